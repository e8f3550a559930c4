"""Transformer parts shared by the feature transformation and the decoder.

The decoder's attention has no biases and stacks q, k, v in one matrix, as MusicGen's does.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[B, S, D] -> [B, H, S, D/H]."""
    batch, steps, width = x.shape
    return x.view(batch, steps, heads, width // heads).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """[B, H, S, D/H] -> [B, S, D]."""
    batch, heads, steps, width = x.shape
    return x.transpose(1, 2).reshape(batch, steps, heads * width)


class StackedProjection(nn.Module):
    """One matrix [3D, D] for queries, keys and values, and the output matrix [D, D]; no biases."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.out_proj = nn.Linear(dim, dim, bias=False)
        self.dim = dim
        nn.init.normal_(self.in_proj_weight, std=dim**-0.5)

    def query_key_value(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v of x [B, S, D], each [B, S, D]."""
        query, key, value = F.linear(x, self.in_proj_weight).chunk(3, dim=-1)
        return query, key, value

    def query(self, x: Tensor) -> Tensor:
        """q of x [B, S, D]."""
        return F.linear(x, self.in_proj_weight[: self.dim])

    def key_value(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """k and v of x [B, F, D]."""
        key, value = F.linear(x, self.in_proj_weight[self.dim :]).chunk(2, dim=-1)
        return key, value


def sinusoidal_position(positions: Tensor, dim: int) -> Tensor:
    """Position signal [..., dim] of integer `positions` [...]: cosine half first, exponent denominator dim/2 - 1.

    As in audiocraft's transformer and so in the published model: cos(p / 10000^(j / (D/2 - 1))), then sin.
    """
    half = dim // 2
    exponent = torch.arange(half, device=positions.device, dtype=torch.float32) / max(half - 1, 1)
    phase = positions[..., None].float() / (10000.0**exponent)
    return torch.cat([phase.cos(), phase.sin()], dim=-1)


Rotation = tuple[Tensor, Tensor]  # cosine and sine, [B, 1, S, W/2] each


def rotation(positions: Tensor, width: int) -> Rotation:
    """Angles of rotary position (arXiv 2104.09864) for `positions` [B, S] and heads of `width`."""
    half = width // 2
    rate = 10000.0 ** (-torch.arange(half, device=positions.device, dtype=torch.float32) / half)
    phase = positions[:, None, :, None].float() * rate
    return phase.cos(), phase.sin()


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """x [B, H, S, W] turned by a rotation."""
    half = x.shape[-1] // 2
    cos, sin = by[0].to(x.dtype), by[1].to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


def attend(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """Attention of query [R, H, n, W] over keys [R, H, W, S] and values [R, H, S, W]; bias [R, 1 or H, n, S].

    For few queries: with the keys lying the other way round, a query's scores are one matrix times vector over
    memory in order. The library's fused kernel takes 7 times as long for it in bf16 (docs/log.md).
    Scores are summed with their bias and normalised in single precision.
    """
    query = (query * query.shape[-1] ** -0.5).to(keys.dtype)
    weights = torch.softmax(torch.matmul(query, keys) + bias, dim=-1)
    return torch.matmul(weights.to(values.dtype), values)


class TimeWindow(nn.Module):
    """Where in time each head looks: bias [B, H, S, F] = -(t_frame - t_step - offset_h)^2 / (2 width_h^2).

    The temporal position on the picture side that the published model lacks. Widths start from a sixteenth note to
    half a window, so that some heads see *now* and others the whole scene; both are learned.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        widths = torch.logspace(math.log10(0.2), math.log10(12.0), heads)
        self.log_width = nn.Parameter(widths.log())
        self.offset = nn.Parameter(torch.zeros(heads))

    def forward(self, step_times: Tensor, frame_times: Tensor) -> Tensor:
        """Bias for steps at `step_times` [B, S] s and frames at `frame_times` [B, F] s."""
        gap = frame_times[:, None, None, :] - step_times[:, None, :, None] - self.offset[:, None, None]
        return gap.square() * (-0.5 * (-2.0 * self.log_width).exp()[:, None, None])

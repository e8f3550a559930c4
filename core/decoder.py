"""Temporal cross-attention decoder: delayed code sequences in, logits of the next codes out.

A MusicGen-style transformer whose cross-attention reads the picture's conditioning over time. `forward` is for
training (whole sequences); `advance` writes and reads a static cache, for the engine. Both run the same layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import DecoderConfig
from core.kv_cache import StaticKVCache
from core.layers import StackedProjection, TimeWindow, merge_heads, rotate, sinusoidal_position, split_heads


@dataclass
class Picture:
    """What cross-attention reads: keys and values per layer, computed once a window.

    keys, values: per layer [R, H, F, W]. frame_times [R, F] s. present [R, F]: False where a row has no such frame.
    Rows of the null condition are all zero: without biases their cross-attention is exactly zero.
    """

    keys: list[Tensor]
    values: list[Tensor]
    frame_times: Tensor
    present: Tensor

    def rows(self, index: slice) -> Picture:
        """Views of some rows."""
        return Picture(
            [k[index] for k in self.keys], [v[index] for v in self.values], self.frame_times[index], self.present[index]
        )


class DecoderLayer(nn.Module):
    """Pre-norm self-attention, temporal cross-attention and feed-forward, each with a residual."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        dim, self.heads, self.rotary = config.dim, config.heads, config.position == "rotary"
        self.norm1 = nn.LayerNorm(dim, eps=config.eps)
        self.self_attn = StackedProjection(dim)
        self.norm_cross = nn.LayerNorm(dim, eps=config.eps)
        self.cross_attention = StackedProjection(dim)
        self.norm2 = nn.LayerNorm(dim, eps=config.eps)
        self.linear1 = nn.Linear(dim, config.hidden_scale * dim, bias=False)
        self.linear2 = nn.Linear(config.hidden_scale * dim, dim, bias=False)

    def self_query_key_value(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v [R, H, n, W] of x [R, n, D] at `positions` [R, n]."""
        query, key, value = (split_heads(part, self.heads) for part in self.self_attn.query_key_value(self.norm1(x)))
        if self.rotary:
            query, key = rotate(query, positions), rotate(key, positions)
        return query, key, value

    def cross(self, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        """What the picture adds to x [R, n, D]; bias [R, 1 or H, n, F] in score units."""
        query = split_heads(self.cross_attention.query(self.norm_cross(x)), self.heads)
        attended = F.scaled_dot_product_attention(query, keys, values, attn_mask=bias.to(query.dtype))
        out: Tensor = self.cross_attention.out_proj(merge_heads(attended))
        return out

    def feed_forward(self, x: Tensor) -> Tensor:
        """What the feed-forward adds to x [R, n, D]."""
        out: Tensor = self.linear2(F.gelu(self.linear1(self.norm2(x))))
        return out


class Decoder(nn.Module):
    """Code sequences [B, K, S] and the picture's conditioning -> logits [B, K, S, V]."""

    def __init__(self, config: DecoderConfig, condition_channels: int) -> None:
        super().__init__()
        self.config = config
        self.emb = nn.ModuleList(nn.Embedding(config.card + 1, config.dim) for _ in range(config.streams))
        self.control_proj = (
            nn.Linear(config.control_channels, config.dim, bias=False) if config.control_channels else None
        )
        self.condition_proj = nn.Linear(condition_channels, config.dim)
        self.time_window = TimeWindow(config.heads) if config.temporal_position else None
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.out_norm = nn.LayerNorm(config.dim, eps=config.eps)
        self.linears = nn.ModuleList(nn.Linear(config.dim, config.card, bias=False) for _ in range(config.streams))
        self.apply(_initialise)

    def picture(self, condition: Tensor, frame_times: Tensor, present: Tensor) -> Picture:
        """Cross-attention keys and values of `condition` [B, F, out]; rows with no frame present become the null."""
        hidden = self.condition_proj(condition) * present[..., None].to(condition.dtype)
        pairs = [layer.cross_attention.key_value(hidden) for layer in self._layers()]
        heads = self.config.heads
        return Picture(
            [split_heads(k, heads) for k, _ in pairs], [split_heads(v, heads) for _, v in pairs], frame_times, present
        )

    def forward(self, sequence: Tensor, picture: Picture, control: Tensor | None, step_times: Tensor) -> Tensor:
        """Teacher-forced logits [B, K, S, V]: at step s those of sequence step s + 1.

        sequence [B, K, S] as `patterns.delay` makes it; control [B, S, control_channels]; step_times [B, S] s.
        """
        batch, _, steps = sequence.shape
        positions = torch.arange(steps, device=sequence.device).expand(batch, steps)
        x = self._embed(sequence, positions, control)
        bias = self._cross_bias(picture, step_times)
        for index, layer in enumerate(self._layers()):
            query, key, value = layer.self_query_key_value(x, positions)
            attended = F.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = x + layer.self_attn.out_proj(merge_heads(attended))
            x = x + layer.cross(x, picture.keys[index], picture.values[index], bias)
            x = x + layer.feed_forward(x)
        return self._logits(x)

    def advance(
        self, sequence: Tensor, picture: Picture, control: Tensor | None, step_times: Tensor, positions: Tensor,
        cache: list[StaticKVCache], rows: slice,
    ) -> Tensor:  # fmt: skip
        """Logits [r, K, V] after the last of n new steps of `rows` [r], whose past lies in `cache` (written on).

        sequence [r, K, n], positions [r, n]; picture, control [r, n, ...] and step_times [r, n] are of these rows.
        """
        x = self._embed(sequence, positions, control)
        length = int(positions.max()) + 1
        seen = torch.arange(length, device=x.device) <= positions[:, None, :, None]  # [r, 1, n, length]
        bias = self._cross_bias(picture, step_times)
        for index, layer in enumerate(self._layers()):
            query, key, value = layer.self_query_key_value(x, positions)
            cache[index].write(rows, positions, key, value)
            keys, values = cache[index].read(rows, length)
            attended = F.scaled_dot_product_attention(query, keys, values, attn_mask=seen)
            x = x + layer.self_attn.out_proj(merge_heads(attended))
            x = x + layer.cross(x, picture.keys[index], picture.values[index], bias)
            x = x + layer.feed_forward(x)
        return self._logits(x[:, -1:])[:, :, 0]

    def new_cache(self, rows: int, steps: int) -> list[StaticKVCache]:
        """Empty caches for `rows` rows of at most `steps` sequence steps, one a layer."""
        weight, heads = self.linears[0].weight, self.config.heads
        assert isinstance(weight, Tensor)
        width = self.config.dim // heads
        return [StaticKVCache(rows, heads, steps, width, weight.device, weight.dtype) for _ in self.layers]

    def _layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]

    def _embed(self, sequence: Tensor, positions: Tensor, control: Tensor | None) -> Tensor:
        x: Tensor = torch.stack([emb(sequence[:, k]) for k, emb in enumerate(self.emb)]).sum(dim=0)
        if self.config.position == "sinusoidal":
            x = x + sinusoidal_position(positions, self.config.dim).to(x.dtype)
        if self.control_proj is not None:
            assert control is not None, "this decoder reads a control track"
            x = x + self.control_proj(control.to(self.control_proj.weight.dtype))
        return x

    def _cross_bias(self, picture: Picture, step_times: Tensor) -> Tensor:
        """Score bias of the cross-attention: absent frames, and the time window where the model has one."""
        absent = _absent_bias(picture.present)
        if self.time_window is None:
            return absent.expand(-1, -1, step_times.shape[1], -1)
        bias: Tensor = self.time_window(step_times, picture.frame_times) + absent
        return bias

    def _logits(self, x: Tensor) -> Tensor:
        x = self.out_norm(x)
        return torch.stack([linear(x) for linear in self.linears], dim=1)


def _initialise(module: nn.Module) -> None:
    """Gaussian of std 1/sqrt(fan-in), so that activations keep their size at any width."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=module.in_features**-0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)


def _absent_bias(present: Tensor) -> Tensor:
    """[R, 1, 1, F]: 0 where a frame is there, a large negative number where it isn't.

    Not minus infinity: a row without any frame (the null condition) must give zeros, not NaN.
    """
    return torch.where(present, 0.0, -1e4)[:, None, None, :]

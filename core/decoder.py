"""Temporal cross-attention decoder: delayed code sequences in, logits of the next codes out.

A MusicGen-style transformer whose cross-attention reads the picture's conditioning over time. `forward` is for
training (whole sequences); `advance` writes and reads a static cache, for the engine. Both run the same layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from core.config import DecoderConfig
from core.kv_cache import StaticKVCache
from core.layers import (
    Rotation,
    StackedProjection,
    TimeWindow,
    attend,
    merge_heads,
    rotate,
    rotation,
    sinusoidal_position,
    split_heads,
)


@dataclass
class Picture:
    """What is read of the pictures: cross-attention keys and values per layer, computed once a window.

    keys per layer [N, H, W, F], values [N, H, F, W]. frame_times [N, F] s. present [N, F]: False where an item has no
    such frame. added [N, D] or None: what a model without temporal cross-attention adds to every step instead.
    An item without any frame is the null condition: without biases its cross-attention is exactly zero.
    """

    keys: list[Tensor]
    values: list[Tensor]
    frame_times: Tensor
    present: Tensor
    added: Tensor | None = None

    def items(self, index: slice) -> Picture:
        """Views of some items."""
        return Picture(
            [k[index] for k in self.keys],
            [v[index] for v in self.values],
            self.frame_times[index],
            self.present[index],
            None if self.added is None else self.added[index],
        )


class DecoderLayer(nn.Module):
    """Pre-norm self-attention, temporal cross-attention and feed-forward, each with a residual."""

    checkpointing = False  # see `forward`

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        dim, self.heads = config.dim, config.heads
        self.norm1 = nn.LayerNorm(dim, eps=config.eps)
        self.self_attn = StackedProjection(dim)
        if config.temporal_cross_attention:
            self.norm_cross = nn.LayerNorm(dim, eps=config.eps)
            self.cross_attention = StackedProjection(dim)
        self.norm2 = nn.LayerNorm(dim, eps=config.eps)
        self.linear1 = nn.Linear(dim, config.hidden_scale * dim, bias=False)
        self.linear2 = nn.Linear(config.hidden_scale * dim, dim, bias=False)

    def self_query_key_value(self, x: Tensor, turned: Rotation | None) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v [R, H, n, W] of x [R, n, D], q and k turned to their positions where the model is rotary."""
        query, key, value = (split_heads(part, self.heads) for part in self.self_attn.query_key_value(self.norm1(x)))
        if turned is not None:
            query, key = rotate(query, turned), rotate(key, turned)
        return query, key, value

    def cross_query(self, x: Tensor) -> Tensor:
        """q [R, H, n, W] of x [R, n, D] for the cross-attention."""
        return split_heads(self.cross_attention.query(self.norm_cross(x)), self.heads)

    def picture_key_value(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """k and v [N, H, F, W] of the picture's condition vectors [N, F, D]."""
        key, value = self.cross_attention.key_value(hidden)
        return split_heads(key, self.heads), split_heads(value, self.heads)

    def feed_forward(self, x: Tensor) -> Tensor:
        """What the feed-forward adds to x [R, n, D]."""
        out: Tensor = self.linear2(F.gelu(self.linear1(self.norm2(x))))
        return out

    def forward(
        self, x: Tensor, turned: Rotation | None, keys: Tensor | None, values: Tensor | None, bias: Tensor
    ) -> Tensor:
        """Whole sequences x [B, S, D] after the layer, for training; keys [B, H, W, F], values and bias of the picture.

        With `checkpointing` its inner values are computed again for the gradient instead of kept.
        """
        if self.checkpointing and torch.is_grad_enabled():
            again: Tensor = checkpoint(self._forward, x, turned, keys, values, bias, use_reentrant=False)
            return again
        return self._forward(x, turned, keys, values, bias)

    def _forward(
        self, x: Tensor, turned: Rotation | None, keys: Tensor | None, values: Tensor | None, bias: Tensor
    ) -> Tensor:
        query, key, value = self.self_query_key_value(x, turned)
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.self_attn.out_proj(merge_heads(attended))
        if keys is not None and values is not None:
            query = self.cross_query(x)
            attended = F.scaled_dot_product_attention(
                query, keys.transpose(2, 3), values, attn_mask=bias.to(query.dtype)
            )
            x = x + self.cross_attention.out_proj(merge_heads(attended))
        return x + self.feed_forward(x)


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
        self.joint_heads: nn.Module | None = None  # all of `linears` as one matrix (core.precision)
        self._cache_dtype: torch.dtype | None = None
        self.apply(_initialise)

    @property
    def cache_dtype(self) -> torch.dtype:
        """Type of cached keys and values."""
        return self._cache_dtype or self.condition_proj.weight.dtype

    def keep_cache_in(self, dtype: torch.dtype) -> None:
        """Cached keys and values are of `dtype` from here on."""
        self._cache_dtype = dtype

    @property
    def device(self) -> torch.device:
        """Where the decoder computes."""
        return self.condition_proj.weight.device

    def picture(self, condition: Tensor, frame_times: Tensor, present: Tensor) -> Picture:
        """What is read of `condition` [B, F, out] shown at frame_times [B, F] s; where not `present`, it is null."""
        there = present[..., None].to(condition.dtype)
        hidden = self.condition_proj(condition) * there
        if not self.config.temporal_cross_attention:
            mean = hidden.sum(dim=1) / there.sum(dim=1).clamp(min=1)
            return Picture([], [], frame_times, present, mean)
        pairs = [layer.picture_key_value(hidden) for layer in self._layers()]
        return Picture([k.transpose(2, 3) for k, _ in pairs], [v for _, v in pairs], frame_times, present)

    def forward(self, sequence: Tensor, picture: Picture, control: Tensor | None, step_times: Tensor) -> Tensor:
        """Teacher-forced logits [B, K, S, V]: at step s those of sequence step s + 1.

        sequence [B, K, S] as `patterns.delay` makes it; control [B, S, control_channels]; step_times [B, S] s.
        """
        batch, _, steps = sequence.shape
        positions = torch.arange(steps, device=sequence.device).expand(batch, steps)
        x = self._embed(sequence, positions, control)
        if picture.added is not None:
            x = x + picture.added[:, None]
        bias = self._cross_bias(picture, step_times)
        turned = self._rotation(positions)
        nothing = [None] * self.config.layers
        for layer, keys, values in zip(self.layers, picture.keys or nothing, picture.values or nothing, strict=True):
            x = layer(x, turned, keys, values, bias)
        return self._logits(x)

    def advance(
        self, sequence: Tensor, picture: Picture, control: Tensor | None, step_times: Tensor, positions: Tensor,
        cache: list[StaticKVCache], rows: slice,
    ) -> Tensor:  # fmt: skip
        """Logits [r, K, V] after the last of n new steps of `rows` [r], whose past lies in `cache` (written on).

        sequence [r, K, n], positions [r, n], control [r, n, ...] and step_times [r, n] are of these rows; positions
        must have room in the cache. picture: of N items, r = N or 2N; of two rows the first sees the item and the
        second is its null condition, to which cross-attention adds nothing and so isn't computed.
        """
        x = self._embed(sequence, positions, control).float()
        seeing = slice(None, None, len(x) // len(picture.present))
        if picture.added is not None:
            x[seeing] += picture.added[:, None]
        unseen = torch.arange(cache[0].steps, device=x.device) > positions[:, None, :, None]
        mask = torch.zeros(unseen.shape, device=x.device).masked_fill_(unseen, float("-inf"))  # [r, 1, n, S]
        bias = self._cross_bias(picture, step_times[seeing])
        turned, places = self._rotation(positions), cache[0].places(rows, positions)
        for index, layer in enumerate(self._layers()):
            query, key, value = layer.self_query_key_value(x, turned)
            cache[index].write(places, key, value)
            keys, values = cache[index].read(rows)
            x += layer.self_attn.out_proj(merge_heads(attend(query, keys, values, mask)))
            if picture.keys:
                query = layer.cross_query(x[seeing])
                attended = attend(query, picture.keys[index], picture.values[index], bias)
                x[seeing] += layer.cross_attention.out_proj(merge_heads(attended))
            x += layer.feed_forward(x)
        return self._logits(x[:, -1:])[:, :, 0]

    def new_cache(self, rows: int, steps: int) -> list[StaticKVCache]:
        """Empty caches for `rows` rows of at most `steps` sequence steps, one a layer."""
        heads, width = self.config.heads, self.config.dim // self.config.heads
        return [StaticKVCache(rows, heads, steps, width, self.device, self.cache_dtype) for _ in self.layers]

    def new_picture(self, items: int, vectors: int) -> Picture:
        """Room for the pictures of `items` items of at most `vectors` condition vectors, none of them present."""
        heads, width, device = self.config.heads, self.config.dim // self.config.heads, self.device
        layers = self.config.layers if self.config.temporal_cross_attention else 0
        blank = torch.zeros(items, vectors, device=device)
        return Picture(
            [torch.zeros(items, heads, width, vectors, device=device, dtype=self.cache_dtype) for _ in range(layers)],
            [torch.zeros(items, heads, vectors, width, device=device, dtype=self.cache_dtype) for _ in range(layers)],
            blank,
            blank.bool(),
            None if layers else torch.zeros(items, self.config.dim, device=device),
        )

    def _layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]

    def _embed(self, sequence: Tensor, positions: Tensor, control: Tensor | None) -> Tensor:
        x: Tensor = torch.stack([emb(sequence[:, k]) for k, emb in enumerate(self.emb)]).sum(dim=0)
        if self.config.position == "sinusoidal":
            x = x + sinusoidal_position(positions, self.config.dim)
        if self.control_proj is not None:
            assert control is not None, "this decoder reads a control track"
            x = x + self.control_proj(control.to(self.control_proj.weight.dtype))
        return x

    def _rotation(self, positions: Tensor) -> Rotation | None:
        """What queries and keys at `positions` [R, n] are turned by, the same in every layer."""
        if self.config.position != "rotary":
            return None
        return rotation(positions, self.config.dim // self.config.heads)

    def _cross_bias(self, picture: Picture, step_times: Tensor) -> Tensor:
        """Score bias of the cross-attention: absent frames, and the time window where the model has one."""
        absent = _absent_bias(picture.present)
        if self.time_window is None:
            return absent.expand(-1, -1, step_times.shape[1], -1)
        bias: Tensor = self.time_window(step_times, picture.frame_times) + absent
        return bias

    def _logits(self, x: Tensor) -> Tensor:
        x = self.out_norm(x)
        if self.joint_heads is not None:
            joint: Tensor = self.joint_heads(x)
            return joint.view(*x.shape[:2], self.config.streams, self.config.card).transpose(1, 2)
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

"""Static key/value cache: allocated once, written by position, read by mask. Knows nothing of what is attended."""

from __future__ import annotations

import torch
from torch import Tensor


class StaticKVCache:
    """Keys and values of one self-attention layer, [R, H, S, W] each, for R independent rows."""

    def __init__(self, rows: int, heads: int, steps: int, width: int, device: torch.device, dtype: torch.dtype) -> None:
        self.keys = torch.zeros(rows, heads, steps, width, device=device, dtype=dtype)
        self.values = torch.zeros_like(self.keys)

    @property
    def steps(self) -> int:
        """How many sequence steps fit."""
        return self.keys.shape[2]

    def write(self, rows: slice, positions: Tensor, key: Tensor, value: Tensor) -> None:
        """Store key, value [r, H, n, W] of the r `rows` at `positions` [r, n]."""
        assert int(positions.max()) < self.steps, f"position {int(positions.max())} beyond the {self.steps} allocated"
        index = positions[:, None, :, None].expand_as(key)
        self.keys[rows].scatter_(2, index, key.to(self.keys.dtype))
        self.values[rows].scatter_(2, index, value.to(self.values.dtype))

    def read(self, rows: slice, length: int) -> tuple[Tensor, Tensor]:
        """Views of keys and values [r, H, length, W] of `rows`; what lies after a row's position must be masked."""
        return self.keys[rows, :, :length], self.values[rows, :, :length]

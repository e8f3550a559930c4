"""Static key/value cache: allocated once, written by position, read by mask. Knows nothing of what is attended."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Places(NamedTuple):
    """Where some rows' steps lie in a cache: flat indices of key elements [r, H, n, W] and of value vectors [r*H*n]."""

    keys: Tensor
    values: Tensor


class StaticKVCache:
    """Keys [R, H, W, S] and values [R, H, S, W] of one self-attention layer, for R independent rows.

    The keys lie with their steps side by side, as `layers.attend` reads them. All S steps are read, so that the
    kernels find them without gaps and copy nothing; `grow` makes room in a few large steps.
    """

    def __init__(self, rows: int, heads: int, steps: int, width: int, device: torch.device, dtype: torch.dtype) -> None:
        self.keys = torch.zeros(rows, heads, width, steps, device=device, dtype=dtype)
        self.values = torch.zeros(rows, heads, steps, width, device=device, dtype=dtype)

    @property
    def steps(self) -> int:
        """How many sequence steps fit."""
        return self.values.shape[2]

    def grow(self, steps: int) -> None:
        """Make room for `steps` steps, keeping what is there."""
        more = steps - self.steps
        if more > 0:
            self.keys = F.pad(self.keys, (0, more))
            self.values = F.pad(self.values, (0, 0, 0, more))

    def places(self, rows: slice, positions: Tensor) -> Places:
        """Where `positions` [r, n] of the r `rows`, which must be less than `steps`, lie; the same in every layer."""
        _, heads, width, steps = self.keys.shape
        device = positions.device
        first = torch.arange(rows.start, rows.stop, device=device)[:, None] * heads + torch.arange(heads, device=device)
        vectors = first[..., None] * steps + positions[:, None, :]  # [r, H, n], counted in vectors of W
        channels = first[..., None] * width + torch.arange(width, device=device)  # [r, H, W], counted in lines of S
        return Places(channels[:, :, None] * steps + positions[:, None, :, None], vectors.flatten())

    def write(self, places: Places, key: Tensor, value: Tensor) -> None:
        """Store key, value [r, H, n, W]."""
        # Not scatter_: in bfloat16 it takes milliseconds for what takes microseconds here (docs/log.md).
        self.keys.put_(places.keys, key.to(self.keys.dtype))
        vectors = self.values.view(-1, self.values.shape[-1])
        vectors.index_copy_(0, places.values, value.to(self.values.dtype).reshape(-1, vectors.shape[1]))

    def read(self, rows: slice) -> tuple[Tensor, Tensor]:
        """Views of the keys and values of `rows`; what lies after a row's position must be masked."""
        return self.keys[rows], self.values[rows]

    def move(self, source: slice, target: slice) -> None:
        """Copy rows onto others."""
        self.keys[target] = self.keys[source]
        self.values[target] = self.values[source]

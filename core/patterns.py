"""The delay pattern of MusicGen (arXiv 2306.05284, section 2.2) as pure functions.

Stream k lags by delays[k] steps, so that at one sequence step the model writes code t of stream 0 beside code
t - delays[k] of stream k. Sequence step 0 is all `special`:

    delays 0 1 2           s = 0   1   2   3   4        . = special
                 stream 0      .   a0  a1  a2  .
                 stream 1      .   .   b0  b1  b2  ...
                 stream 2      .   .   .   c0  c1  ...
"""

from __future__ import annotations

import torch
from torch import Tensor


def delay(codes: Tensor, delays: tuple[int, ...], special: int) -> Tensor:
    """Codes [B, K, T] laid out along the pattern: [B, K, T + max(delays) + 1]; step 0 is all `special`."""
    batch, streams, steps = codes.shape
    assert streams == len(delays), (streams, delays)
    out = codes.new_full((batch, streams, steps + max(delays) + 1), special)
    for stream, lag in enumerate(delays):
        out[:, stream, 1 + lag : 1 + lag + steps] = codes[:, stream]
    return out


def undelay(sequence: Tensor, delays: tuple[int, ...]) -> Tensor:
    """The inverse of `delay`: sequence [B, K, S] -> codes [B, K, S - max(delays) - 1]."""
    steps = sequence.shape[-1] - max(delays) - 1
    return torch.stack([sequence[:, k, 1 + lag : 1 + lag + steps] for k, lag in enumerate(delays)], dim=1)


def predicted(valid: Tensor, delays: tuple[int, ...], tail: bool = True) -> Tensor:
    """Which codes [B, K, T] count in the loss: those that are `valid` [B, T].

    A window's valid codes are its first ones. Without `tail`, as in the published code, it ends for all streams with
    the step that writes its last code of stream 0: the last delays[k] codes of stream k aren't predicted any more.
    """
    lags = torch.tensor(delays, device=valid.device)[:, None]
    lengths = valid.sum(dim=-1)[:, None, None]  # of each window, which may be shorter than the batch is
    within = torch.arange(valid.shape[-1], device=valid.device) < lengths - (0 if tail else 1) * lags
    return valid[:, None] & within

"""Pieces of (picture, codes) -> batches for training. Knows no model and no composer.

Legend: see core.shapes; G = control channels of one step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.errors import ModelError
from core.windows import plan_windows

_POOL = 12  # batches whose windows are sorted by length together


@dataclass(frozen=True, eq=False)
class Piece:
    """One cue: what was seen, what was asked and what was played.

    patches float16 [F, P, C] at frame_times [F] s; codes int16 [K, S]; control float16 [S, G]; step_seconds [S+1].
    """

    patches: npt.NDArray[np.float16]
    frame_times: npt.NDArray[np.float64]
    codes: npt.NDArray[np.int16]
    control: npt.NDArray[np.float16]
    step_seconds: npt.NDArray[np.float64]


def save_pieces(pieces: Sequence[Piece], path: Path) -> None:
    """Write pieces to one .npz, whole or not at all."""
    arrays = {f"{i}.{f.name}": getattr(piece, f.name) for i, piece in enumerate(pieces) for f in fields(Piece)}
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)
    partial.replace(path)


def load_pieces(path: Path) -> list[Piece]:
    """The pieces that `save_pieces` wrote; ModelError when the file is damaged."""
    try:
        with np.load(path) as data:
            count = 1 + max(int(name.split(".")[0]) for name in data.files)
            return [Piece(*(data[f"{i}.{f.name}"] for f in fields(Piece))) for i in range(count)]
    except (OSError, ValueError, KeyError) as err:
        raise ModelError(f"{path} is not a whole file of training pieces ({err}): delete it, build it again") from err


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows, padded to the longest.

    patches [B, F, P, C], frame_times [B, F], present [B, F]; codes [B, K, T], valid [B, T];
    control [B, T + longest delay, G * (longest delay + 1)], step_times [B, T + longest delay].
    """

    patches: Tensor
    frame_times: Tensor
    present: Tensor
    codes: Tensor
    valid: Tensor
    control: Tensor
    step_times: Tensor


class Windows:
    """Random windows of at most 30 s out of pieces; `lagged` makes sequence controls (see core.starter.controls)."""

    def __init__(self, pieces: Sequence[Piece], delays: tuple[int, ...], null_share: float = 0.0) -> None:
        self.pieces = pieces
        self.longest_delay = max(delays)
        self.null_share = null_share  # of the windows, how many lose their picture, for classifier-free guidance

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Endless batches of `size` windows of about the same length, in a fresh random order each epoch."""
        while True:
            order = rng.permutation(len(self.pieces))
            for start in range(0, len(order), _POOL * size):
                pool = [self.pieces[i] for i in order[start : start + _POOL * size]]
                drawn = [(piece, *self._window(piece, rng)) for piece in pool]
                drawn.sort(key=lambda window: window[2] - window[1])  # so that little is padding
                groups = [drawn[at : at + size] for at in range(0, len(drawn) - size + 1, size)]
                for index in rng.permutation(len(groups)):
                    yield self.collate(groups[index], rng)

    def collate(self, windows: Sequence[tuple[Piece, int, int]], rng: np.random.Generator) -> Batch:
        """The batch of (piece, first step, last step)."""
        from core.starter.controls import lagged

        seen = [_frames(piece, first, last) for piece, first, last in windows]
        # Few different shapes: the matrix library compiles a kernel for each (three times slower without this).
        steps = _round_up(max(last - first for _, first, last in windows), 32)
        frames = _round_up(max(1, max(stop - start for start, stop in seen)), 20)
        size, lag = len(windows), self.longest_delay
        piece0 = windows[0][0]
        patches = np.zeros((size, frames, *piece0.patches.shape[1:]), np.float32)
        frame_times, present = np.zeros((size, frames), np.float32), np.zeros((size, frames), bool)
        codes, valid = np.zeros((size, len(piece0.codes), steps), np.int64), np.zeros((size, steps), bool)
        control = np.zeros((size, steps + lag, piece0.control.shape[1] * (lag + 1)), np.float32)
        times = np.zeros((size, steps + lag), np.float32)
        for row, ((piece, first, last), (start, stop)) in enumerate(zip(windows, seen, strict=True)):
            count = last - first
            if rng.random() >= self.null_share:
                patches[row, : stop - start] = piece.patches[start:stop]
                present[row, : stop - start] = True
            frame_times[row, : stop - start] = piece.frame_times[start:stop]
            codes[row, :, :count] = piece.codes[:, first:last]
            valid[row, :count] = True
            control[row, : count + lag] = lagged(piece.control.astype(np.float32), first, last, lag)
            times[row, :count] = piece.step_seconds[first:last]
            times[row, count:] = piece.step_seconds[last - 1]
        return Batch(*(torch.from_numpy(a) for a in (patches, frame_times, present, codes, valid, control, times)))

    def _window(self, piece: Piece, rng: np.random.Generator) -> tuple[int, int]:
        """First and last step of a random one of the windows that generation would make."""
        windows = plan_windows(piece.step_seconds)
        chosen = windows[rng.integers(len(windows))]
        return chosen.first, chosen.last


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _frames(piece: Piece, first: int, last: int) -> tuple[int, int]:
    """First and last (exclusive) frame that steps first..last see."""
    bounds = np.searchsorted(piece.frame_times, [piece.step_seconds[first] - 1e-9, piece.step_seconds[last] - 1e-9])
    return int(bounds[0]), int(bounds[1])

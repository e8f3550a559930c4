"""What is trained on: batches, how examples are asked for, and the starter's pieces. Knows no model and no composer.

Legend: see core.shapes; G = control channels of one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.errors import ModelError
from core.training.manifest import DAMAGED
from core.windows import plan_windows

_Record = TypeVar("_Record")
_POOL = 12  # batches whose windows are sorted by length together


@dataclass(frozen=True)
class Draw:
    """One row of a batch, decided in full: which example, whether it loses its picture, and where in it its window
    begins (0..1 of the room there is)."""  # fmt: skip

    index: int
    blind: bool = False
    place: float = 0.0


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows, padded to the longest.

    patches [B, F, P, C], or uint8 pictures [B, F, 3, R, R] that a tower has yet to look at; frame_times [B, F],
    present [B, F]; codes [B, K, T], valid [B, T]; control [B, T + longest delay, G * (longest delay + 1)] or None;
    step_times [B, T + longest delay]. ids: of the examples. failed: of those that couldn't be read, with the reason;
    nothing of them is valid.
    """

    patches: Tensor
    frame_times: Tensor
    present: Tensor
    codes: Tensor
    valid: Tensor
    control: Tensor | None
    step_times: Tensor
    ids: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()

    def to(self, device: torch.device) -> Batch:
        """The batch on `device`."""
        return self._each(lambda value: value.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The batch where a GPU can fetch it from without waiting; torch's loader asks for this."""
        return self._each(lambda value: value.pin_memory())

    def blind(self) -> Batch:
        """The batch without its pictures."""
        return replace(self, present=torch.zeros_like(self.present))

    def with_others_pictures(self) -> Batch:
        """The batch in which each music has the picture of the one before it."""
        turned = {name: getattr(self, name).roll(1, 0) for name in ("patches", "frame_times", "present")}
        return replace(self, **turned)

    def _each(self, change: Any) -> Batch:
        changed = {f.name: change(v) for f in fields(self) if isinstance(v := getattr(self, f.name), Tensor)}
        return replace(self, **changed)


class Examples(Protocol):
    """Windows of picture and music, each found by its number. What a batch holds depends on its draws alone."""

    def __len__(self) -> int:
        """How many there are."""

    def name(self, index: int) -> str:
        """What an example is called where one is listed."""

    def epoch(self, rng: np.random.Generator, size: int) -> list[list[int]]:
        """The examples of one epoch in batches of `size`, in an order that `rng` draws; as many in every epoch."""

    def batch(self, draws: Sequence[Draw]) -> Batch:
        """The batch of these rows."""


def shuffled(count: int, rng: np.random.Generator, size: int) -> list[list[int]]:
    """0..count in batches of `size` in a random order; what doesn't fill a batch is left for another epoch."""
    order = rng.permutation(count).tolist()
    return [order[at : at + size] for at in range(0, count - size + 1, size)]


# --- the starter's pieces ----------------------------------------------------------------------------------------


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
    save_records(pieces, path)


def load_pieces(path: Path) -> list[Piece]:
    """The pieces that `save_pieces` wrote; ModelError when the file is damaged."""
    return load_records(Piece, path)


def save_records(records: Sequence[Any], path: Path) -> None:
    """Write dataclasses of arrays, all of one kind, to one .npz, whole or not at all."""
    arrays = {f"{i}.{f.name}": getattr(record, f.name) for i, record in enumerate(records) for f in fields(record)}
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)
    partial.replace(path)


def load_records(kind: type[_Record], path: Path) -> list[_Record]:
    """The dataclasses of `kind` that `save_records` wrote; ModelError when the file is damaged."""
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    try:
        with path.open("rb") as file, np.load(file) as data:
            count = 1 + max(int(name.split(".")[0]) for name in data.files)
            return [kind(*(data[f"{i}.{name}"] for name in names)) for i in range(count)]
    except DAMAGED as err:
        raise ModelError(f"{path} is not a whole file of a corpus ({err}): delete it, build it again") from err


class ScoreExamples:
    """Windows of at most 30 s out of pieces: those that generation would make. Each epoch sees one of each piece."""

    def __init__(self, pieces: Sequence[Piece], delays: tuple[int, ...]) -> None:
        self.pieces = pieces
        self.longest_delay = max(delays)
        self.windows = [
            (number, window.first, window.last)
            for number, piece in enumerate(pieces)
            for window in plan_windows(piece.step_seconds)
        ]
        self._of_piece: list[list[int]] = [[] for _ in pieces]
        for index, (number, _, _) in enumerate(self.windows):
            self._of_piece[number].append(index)

    def __len__(self) -> int:
        return len(self.windows)

    def name(self, index: int) -> str:
        """Number of the piece and the window's steps."""
        number, first, last = self.windows[index]
        return f"piece {number}, steps {first} to {last}"

    def epoch(self, rng: np.random.Generator, size: int) -> list[list[int]]:
        """One window of every piece; those of a batch are about equally long, so that little is padding."""
        batches: list[list[int]] = []
        order = rng.permutation(len(self.pieces))
        for start in range(0, len(order), _POOL * size):
            pool = order[start : start + _POOL * size]
            drawn = [self._of_piece[number][rng.integers(len(self._of_piece[number]))] for number in pool]
            drawn.sort(key=lambda index: self.windows[index][2] - self.windows[index][1])
            groups = [drawn[at : at + size] for at in range(0, len(drawn) - size + 1, size)]
            batches += [groups[group] for group in rng.permutation(len(groups))]
        return batches

    def batch(self, draws: Sequence[Draw]) -> Batch:
        """The batch of these windows."""
        from core.starter.controls import lagged

        windows = [self.windows[draw.index] for draw in draws]
        pieces = [self.pieces[number] for number, _, _ in windows]
        seen = [_frames(piece, first, last) for piece, (_, first, last) in zip(pieces, windows, strict=True)]
        # Few different shapes: the matrix library compiles a kernel for each (three times slower without this).
        steps = round_up(max(last - first for _, first, last in windows), 32)
        frames = round_up(max(1, max(stop - start for start, stop in seen)), 20)
        size, lag = len(windows), self.longest_delay
        patches = np.zeros((size, frames, *pieces[0].patches.shape[1:]), np.float32)
        frame_times, present = np.zeros((size, frames), np.float32), np.zeros((size, frames), bool)
        codes, valid = np.zeros((size, len(pieces[0].codes), steps), np.int64), np.zeros((size, steps), bool)
        control = np.zeros((size, steps + lag, pieces[0].control.shape[1] * (lag + 1)), np.float32)
        times = np.zeros((size, steps + lag), np.float32)
        for row, (piece, (_, first, last), (start, stop)) in enumerate(zip(pieces, windows, seen, strict=True)):
            count = last - first
            if not draws[row].blind:
                patches[row, : stop - start] = piece.patches[start:stop]
                present[row, : stop - start] = True
            frame_times[row, : stop - start] = piece.frame_times[start:stop]
            codes[row, :, :count] = piece.codes[:, first:last]
            valid[row, :count] = True
            control[row, : count + lag] = lagged(piece.control.astype(np.float32), first, last, lag)
            times[row, :count] = piece.step_seconds[first:last]
            times[row, count:] = piece.step_seconds[last - 1]
        return Batch(
            patches=torch.from_numpy(patches),
            frame_times=torch.from_numpy(frame_times),
            present=torch.from_numpy(present),
            codes=torch.from_numpy(codes),
            valid=torch.from_numpy(valid),
            control=torch.from_numpy(control),
            step_times=torch.from_numpy(times),
            ids=tuple(self.name(draw.index) for draw in draws),
        )


def round_up(count: int, multiple: int) -> int:
    """The next multiple of `multiple`."""
    return -(-count // multiple) * multiple


def _frames(piece: Piece, first: int, last: int) -> tuple[int, int]:
    """First and last (exclusive) frame that steps first..last see."""
    bounds = np.searchsorted(piece.frame_times, [piece.step_seconds[first] - 1e-9, piece.step_seconds[last] - 1e-9])
    return int(bounds[0]), int(bounds[1])

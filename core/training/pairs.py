"""Pairs of a data set (core.training.manifest) as training windows: codes of the music, pictures or what was seen.

Rows that can't be used are found before the training begins, as far as that can be told without decoding a film;
a file that turns out damaged later gives a row in which nothing counts, and is listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from core.config import ModelConfig
from core.errors import GVMError
from core.frames import decode_frames
from core.training.data import Batch, Draw, round_up, shuffled
from core.training.manifest import Dataset, Pair
from core.vision import descriptors
from core.vision.picture import PictureFeatures
from core.vision.preprocess import crop_clip, crop_vivit

_TOLERANCE: Final = 0.1  # seconds by which a pair may be shorter than a window
_SEEN: Final = "descriptors"  # name of the cached features that a model on patch descriptors reads


@dataclass(frozen=True)
class Usable:
    """What of a data set can be trained on: pairs, and (id, reason) of those that were left out."""

    pairs: tuple[Pair, ...]
    skipped: tuple[tuple[str, str], ...]


def usable_pairs(dataset: Dataset, split: str, vision: str, window_seconds: float) -> Usable:
    """The pairs of a split that windows of this length can be made of. Codes are read; films aren't."""
    good, skipped = [], []
    for pair in dataset.split(split):
        problem = _problem(dataset, pair, vision, window_seconds)
        if problem:
            skipped.append((pair.id, problem))
        else:
            good.append(pair)
    return Usable(tuple(good), tuple(skipped))


def _problem(dataset: Dataset, pair: Pair, vision: str, window_seconds: float) -> str:
    """Why a pair can't be used; empty where it can."""
    if pair.seconds < window_seconds - _TOLERANCE:
        return f"{pair.seconds:.1f} s are shorter than a window of {window_seconds:g} s"
    cached = vision == "descriptors" and _SEEN in pair.features
    if not cached and pair.clip is None:
        return f"there is neither a clip nor cached {_SEEN}" if vision == "descriptors" else "there is no clip"
    picture = dataset.path(pair.features[_SEEN] if cached else str(pair.clip))
    if not picture.is_file() or not picture.stat().st_size:
        return f"{picture.name} is {'empty' if picture.is_file() else 'missing'}"
    try:
        codes = dataset.codes(pair)
    except GVMError as err:
        return str(err)
    assert dataset.codec is not None, "codes were read"
    steps = pair.seconds * dataset.codec.codes_per_second
    if codes.shape[1] < steps - max(2, _TOLERANCE * dataset.codec.codes_per_second):
        return f"picture and music don't match: {codes.shape[1]} steps of codes for {steps:.0f} of picture"
    return ""


class PairExamples:
    """Windows of `window_seconds` out of pairs that `usable_pairs` found."""

    def __init__(self, dataset: Dataset, pairs: Sequence[Pair], config: ModelConfig, window_seconds: float) -> None:
        assert dataset.codec is not None, "usable pairs have codes"
        self.dataset, self.pairs, self.config = dataset, tuple(pairs), config
        self.window_seconds = window_seconds
        self.rate = dataset.codec.codes_per_second
        self.steps = int(window_seconds * self.rate + 1e-6)

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, index: int) -> str:
        """The pair's id."""
        return self.pairs[index].id

    def epoch(self, rng: np.random.Generator, size: int) -> list[list[int]]:
        """Every pair once."""
        return shuffled(len(self), rng, size)

    def batch(self, draws: Sequence[Draw]) -> Batch:
        """The batch of one window of each pair, `place` of the way from its first possible moment to its last."""
        rows = [self._row(draw) for draw in draws]
        lag, steps, streams = self.config.decoder.longest_delay, self.steps, self.config.decoder.streams
        frames = round_up(max(1, max(len(row.seen.times) for row in rows)), 4 if self.config.tower is None else 1)
        example = next((row.seen.values for row in rows if len(row.seen.values)), None)
        if example is None:  # nothing is seen in the whole batch
            example = np.zeros((1, 1, self.config.features.patch_channels), np.float32)
        patches = np.zeros((len(rows), frames, *example.shape[1:]), example.dtype)
        frame_times, present = np.zeros((len(rows), frames), np.float32), np.zeros((len(rows), frames), bool)
        codes, valid = np.zeros((len(rows), streams, steps), np.int64), np.zeros((len(rows), steps), bool)
        times = np.minimum(np.arange(steps + lag), steps - 1).astype(np.float32) / np.float32(self.rate)
        for number, row in enumerate(rows):
            count, length = len(row.seen.times), row.codes.shape[1]
            if count:
                patches[number, :count], frame_times[number, :count] = row.seen.values, row.seen.times
                present[number, :count] = True
            codes[number, :, :length], valid[number, :length] = row.codes, True
        return Batch(
            patches=torch.from_numpy(patches),
            frame_times=torch.from_numpy(frame_times),
            present=torch.from_numpy(present),
            codes=torch.from_numpy(codes),
            valid=torch.from_numpy(valid),
            control=None,
            step_times=torch.from_numpy(times).expand(len(rows), -1).contiguous(),
            ids=tuple(self.name(draw.index) for draw in draws),
            failed=tuple((self.name(d.index), row.problem) for d, row in zip(draws, rows, strict=True) if row.problem),
        )

    def _row(self, draw: Draw) -> _Row:
        pair = self.pairs[draw.index]
        try:
            codes = self.dataset.codes(pair)[:, : round(pair.seconds * self.rate)]
            first = int(draw.place * max(0, codes.shape[1] - self.steps))
            start = first / self.rate
            seen = _NOTHING if draw.blind else self._look(pair, start)
        except GVMError as err:
            return _Row(_NOTHING, np.zeros((self.config.decoder.streams, 0), np.int16), str(err))
        return _Row(seen, codes[:, first : first + self.steps])

    def _look(self, pair: Pair, start: float) -> PictureFeatures:
        """What is seen in the window that begins at `start`: patches, or pictures uint8 [F, 3, R, R]; its own times."""
        end = start + self.window_seconds
        if self.config.tower is None:
            seen = self._descriptors(pair).between(start, end)
            return PictureFeatures(seen.times - start, descriptors.relative_to_cue(seen.values))
        crop = crop_vivit if self.config.vision == "vivit" else crop_clip
        path, rate = self.dataset.path(str(pair.clip)), Fraction(self.config.frames_per_second)
        shown = list(decode_frames(path, None, None, rate, (start, end)))
        pictures = [crop(rgb, self.config.tower.resolution).numpy() for _, rgb in shown]
        if not pictures:
            raise GVMError(f"{path} shows no picture from {start:.1f} to {end:.1f} s")
        return PictureFeatures(np.array([seconds for seconds, _ in shown]) - start, np.stack(pictures))

    def _descriptors(self, pair: Pair) -> PictureFeatures:
        if _SEEN in pair.features:
            values, times = self.dataset.features(pair, _SEEN)
            return PictureFeatures(times, values)
        encoder = descriptors.PatchDescriptors()
        path = self.dataset.path(str(pair.clip))
        for seconds, rgb in decode_frames(path, encoder.width, encoder.height, encoder.fps):
            encoder.push(seconds, rgb)
        return encoder.finish()


@dataclass(frozen=True, eq=False)
class _Row:
    seen: PictureFeatures
    codes: npt.NDArray[np.int16]  # [K, T]
    problem: str = ""


_NOTHING: Final = PictureFeatures(np.zeros(0), np.zeros((0, 1, 1), np.float32))

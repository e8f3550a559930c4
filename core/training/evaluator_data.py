"""What the evaluator learns from: films with their music as features, and windows of them, matched and mismatched.

Two sources: the sound corpus (sound-*.npz, `core.starter.sound_corpus`) and a folder that `gvm dataset` wrote. Features
are computed once and kept beside the data, in DATA/evaluator-features. What a step is shown follows from (seed, step).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.errors import ModelError
from core.evaluation import listen
from core.evaluation.config import LONGEST_SECONDS, SHORTEST_SECONDS
from core.evaluation.look import look, stack
from core.starter.sound_corpus import load_scenes
from core.training.evaluator_augment import another_camera, another_recording
from core.vision.descriptors import FEATURE_SECONDS

HELD_OUT_SHARDS: Final = 8  # of the sound corpus, the first ones: nothing learns from them
FEATURES: Final = "evaluator-features"
SHIFT_SECONDS: Final = 4.0  # the least by which music is out of step in a mismatched pair

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Film:
    """A film with its music, as features.

    picture [F, ...] at `picture_rate` a second, music [n, C] at `music_rate` a second; both begin together.
    """

    picture: npt.NDArray[np.float16]
    music: npt.NDArray[np.float16]
    picture_rate: float
    music_rate: float

    @property
    def seconds(self) -> float:
        """What both have."""
        return min(len(self.picture) / self.picture_rate, len(self.music) / self.music_rate)


@dataclass(frozen=True, eq=False)
class Windows:
    """B windows of one length: video [B, T, C], its music [B, T, C'], and that music out of step [B, T, C']."""

    video: Tensor
    music: Tensor
    shifted: Tensor


@dataclass(frozen=True)
class View:
    """How a window's features become the model's inputs, and what may be done to them in training."""

    see: Callable[[npt.NDArray[np.floating]], FloatArray]
    hear: Callable[[npt.NDArray[np.floating]], FloatArray]
    camera: Callable[[npt.NDArray[np.floating], np.random.Generator], FloatArray]
    recording: Callable[[npt.NDArray[np.floating], np.random.Generator], FloatArray]


def _as_it_is(rows: npt.NDArray[np.floating], rng: np.random.Generator | None = None) -> FloatArray:
    return rows.astype(np.float32)


DESCRIPTORS: Final = View(lambda p: stack(look(p)), listen.positions, another_camera, another_recording)
PUBLISHED: Final = View(_as_it_is, _as_it_is, _as_it_is, _as_it_is)


def read_corpus(
    data: Path, say: Callable[[str], None], least_shard: int = 0, most_shard: int | None = None
) -> list[Film]:
    """Films of the sound corpus' shards least_shard .. most_shard - 1, features cached. ModelError for damaged ones."""
    films: list[Film] = []
    for path in sorted(data.glob("sound-*.npz")):
        number = int(path.stem.rpartition("-")[2])
        if number >= least_shard and (most_shard is None or number < most_shard):
            films += _shard(path, data / FEATURES / f"{path.stem}-{listen.VERSION}.npz", say)
    return films


def _shard(path: Path, cached: Path, say: Callable[[str], None]) -> list[Film]:
    if not cached.is_file():
        say(f"hearing {path.name}")
        cached.parent.mkdir(exist_ok=True)
        arrays: dict[str, Any] = {}
        for index, scene in enumerate(load_scenes(path)):
            arrays[f"{index}.picture"] = scene.patches
            arrays[f"{index}.music"] = listen.listen(np.asarray(scene.sound / 32768, np.float32))
        partial = cached.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, **arrays)
        partial.replace(cached)
    try:
        with np.load(cached) as kept:
            return [
                Film(kept[f"{i}.picture"], kept[f"{i}.music"], 1 / FEATURE_SECONDS, float(listen.FRAME_RATE))
                for i in range(len(kept.files) // 2)
            ]
    except (OSError, ValueError, KeyError) as err:
        raise ModelError(f"{cached} is damaged ({err}): delete it, it is made again") from err


def cut(film: Film, start: float, seconds: float) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float16]]:
    """Picture and music of the film's window at `start`, as features."""
    return (
        _span(film.picture, film.picture_rate, start, seconds),
        _span(film.music, film.music_rate, start, seconds),
    )


def turned(rows: npt.NDArray[np.float16], rate: float, seconds: float) -> npt.NDArray[np.float16]:
    """The same rows, beginning `seconds` later and going on from their beginning."""
    return np.roll(rows, -round(seconds * rate), axis=0)


def draw(films: Sequence[Film], view: View, size: int, seed: int, step: int, step_seconds: float) -> Windows:
    """The windows of a training step. A pure function of its arguments."""
    rng = np.random.default_rng([seed, step])
    chosen = [films[i] for i in rng.choice(len(films), min(size, len(films)), replace=False)]
    longest = min(LONGEST_SECONDS, *(film.seconds for film in chosen))
    kind = rng.random()
    seconds = longest if kind < 0.5 else 15.0 if kind < 0.7 else float(rng.uniform(SHORTEST_SECONDS, longest))
    seconds = max(2 * step_seconds, np.floor(min(seconds, longest) / step_seconds) * step_seconds)
    rows = [_drawn(film, seconds, view, rng, step_seconds) for film in chosen]
    return Windows(*(torch.from_numpy(np.stack([row[i] for row in rows])) for i in range(3)))


def _drawn(
    film: Film, seconds: float, view: View, rng: np.random.Generator, step_seconds: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """A window, augmented: picture, its music, the music out of step.

    Half of all windows begin inside and go on from their start, picture and music alike: so a seam in the music says
    nothing about whether it belongs to the picture.
    """
    start = float(np.floor(rng.uniform(0.0, max(0.0, film.seconds - seconds)) / step_seconds) * step_seconds)
    picture, music = cut(film, start, seconds)
    other = _out_of_step(film, start, seconds, rng)
    if rng.random() < 0.5:
        turn = float(np.floor(rng.uniform(0.0, seconds)))
        picture = turned(picture, film.picture_rate, turn)
        music, other = (turned(rows, film.music_rate, turn) for rows in (music, other))
    return (
        view.see(view.camera(picture, rng)),
        view.hear(view.recording(music, rng)),
        view.hear(view.recording(other, rng)),
    )


def _out_of_step(film: Film, start: float, seconds: float, rng: np.random.Generator) -> npt.NDArray[np.float16]:
    """The film's music, at least 4 s too early or too late: truly, where the film is long enough, or turned round."""
    least = min(SHIFT_SECONDS, seconds / 2)
    free = [(0.0, start - least), (start + least, film.seconds - seconds)]
    free = [(low, high) for low, high in free if high > low]
    if free and rng.random() < 0.7:
        low, high = free[rng.integers(len(free))]
        return cut(film, float(rng.uniform(low, high)), seconds)[1]
    return turned(cut(film, start, seconds)[1], film.music_rate, float(rng.uniform(least, seconds - least)))


def _span(rows: npt.NDArray[np.float16], rate: float, start: float, seconds: float) -> npt.NDArray[np.float16]:
    first, count = round(start * rate), round(seconds * rate)
    span = rows[first : first + count]
    if len(span) < count:  # a frame short by rounding
        span = np.concatenate([span, np.repeat(span[-1:], count - len(span), axis=0)])
    return span

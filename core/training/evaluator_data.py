"""What the evaluator learns from: windows of films and their music, matched and mismatched.

What a step is shown follows from (seed, step). Where films come from: `core.training.evaluator_films`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.evaluation import listen
from core.evaluation.config import LONGEST_SECONDS, SHORTEST_SECONDS
from core.evaluation.look import look, stack
from core.training.evaluator_augment import another_camera, another_recording

SHIFT_SECONDS: Final = 4.0  # the least by which music is out of step in a mismatched pair

FloatArray = npt.NDArray[np.float32]

_POOL = 4  # times as many films as a batch takes, to choose similar ones from


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
    chosen = _alike(films, min(size, len(films)), rng)
    longest = min(LONGEST_SECONDS, *(film.seconds for film in chosen))
    kind = rng.random()
    seconds = longest if kind < 0.5 else 15.0 if kind < 0.7 else float(rng.uniform(SHORTEST_SECONDS, longest))
    seconds = max(2 * step_seconds, np.floor(min(seconds, longest) / step_seconds) * step_seconds)
    rows = [_drawn(film, seconds, view, rng, step_seconds) for film in chosen]
    return Windows(*(torch.from_numpy(np.stack([row[i] for row in rows])) for i in range(3)))


def _alike(films: Sequence[Film], size: int, rng: np.random.Generator) -> list[Film]:
    """Some films; most of the time such as are about equally lively, which are harder to tell apart."""
    alike = rng.random() < 0.7
    pool = [films[i] for i in rng.choice(len(films), min(len(films), size * (_POOL if alike else 1)), replace=False)]
    if len(pool) > size:
        pool.sort(
            key=lambda film: float(film.picture.reshape(len(film.picture), -1).astype(np.float32).std(axis=0).mean())
        )
        first = int(rng.integers(len(pool) - size + 1))
        pool = pool[first : first + size]
    return pool


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

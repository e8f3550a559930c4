"""A bank of grey textures with the spectra and edges of photographs, drawn once per process from a fixed seed."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from numpy.random import Generator

Grey = npt.NDArray[np.uint8]  # [HEIGHT, WIDTH]

HEIGHT: Final = 144
WIDTH: Final = 224
_PER_FAMILY: Final = 8


@lru_cache(maxsize=1)
def texture_bank() -> dict[str, tuple[Grey, ...]]:
    """Family name -> textures [144, 224], each spread over 0..255 with mean about 128. About 0.3 s the first time."""
    rng = np.random.default_rng(20)
    draw: dict[str, Callable[[], npt.NDArray[np.float64]]] = {
        "cloud": lambda: _noise(rng, float(rng.uniform(1.4, 2.0))),
        "rock": lambda: _noise(rng, float(rng.uniform(0.8, 1.25))),
        "leaves": lambda: _leaves(rng, round_shapes=True),
        "blocks": lambda: _leaves(rng, round_shapes=False),
        "city": lambda: _city(rng),
        "branches": lambda: _branches(rng),
        "lines": lambda: _lines(rng),
    }
    return {name: tuple(_levels(make()) for _ in range(_PER_FAMILY)) for name, make in draw.items()}


@lru_cache(maxsize=1)
def grain_bank() -> npt.NDArray[np.float32]:
    """Film grain [32, 72, 128, 1] of unit standard deviation, a little blotchy as real grain is."""
    noise = np.random.default_rng(21).normal(size=(32, 72, 128)).astype(np.float32)
    blotchy = np.stack([cv2.GaussianBlur(frame, (3, 3), 0.6) for frame in noise])
    return np.asarray(blotchy / blotchy.std(), dtype=np.float32)[..., None]


def _levels(texture: npt.NDArray[np.float64]) -> Grey:
    """`texture` with its 1st..99th percentiles spread over 0..255."""
    low, high = np.percentile(texture, [1.0, 99.0])
    return np.asarray(np.clip((texture - low) / (high - low + 1e-9) * 255.0, 0, 255), dtype=np.uint8)


def _noise(rng: Generator, slope: float) -> npt.NDArray[np.float64]:
    """Noise whose amplitude falls as 1 / frequency ** `slope`; photographs lie near 1 (Field 1987)."""
    fy, fx = np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None]
    radius = np.sqrt(fx * fx + (fy * rng.uniform(0.6, 2.0)) ** 2)
    radius[0, 0] = 1.0
    spectrum = np.exp(2j * np.pi * rng.random(radius.shape)) / radius**slope
    spectrum[0, 0] = 0.0
    return np.asarray(np.fft.irfft2(spectrum, (HEIGHT, WIDTH)))


def _unit_noise(rng: Generator, slope: float) -> npt.NDArray[np.float64]:
    noise = _noise(rng, slope)
    return np.asarray(noise / noise.std())


def _leaves(rng: Generator, round_shapes: bool) -> npt.NDArray[np.float64]:
    """Shapes that hide each other, sizes by a power law: the "dead leaves" model of pictures (Lee et al. 2001)."""
    canvas = np.zeros((HEIGHT * 2, WIDTH * 2), np.float32)
    largest = rng.uniform(30, 90)
    for size in np.sort(4.0 + largest * rng.pareto(2.0, 500).clip(0, 1.5) / 1.5)[::-1]:
        at = (int(rng.integers(WIDTH * 2)), int(rng.integers(HEIGHT * 2)))
        axes = (max(2, int(size)), max(2, int(size * rng.uniform(0.3, 1.0))))
        tone = float(rng.normal(0.5, 0.25))
        angle = float(rng.uniform(0, 180)) if round_shapes else float(rng.choice([0, 0, 0, rng.uniform(-20, 20)]))
        if round_shapes:
            cv2.ellipse(canvas, at, axes, angle, 0, 360, tone, -1)
        else:
            corners = cv2.boxPoints((at, (axes[0] * 2.0, axes[1] * 2.0), angle))
            cv2.fillPoly(canvas, [corners.astype(np.int32)], tone)
    small = cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(small + 0.07 * _unit_noise(rng, 1.0))


def _city(rng: Generator) -> npt.NDArray[np.float64]:
    """House fronts with windows before a sky."""
    canvas = np.asarray(0.75 + 0.1 * _unit_noise(rng, 1.6))
    left = 0
    while left < WIDTH:
        width, top = int(rng.integers(10, 40)), int(rng.integers(0, HEIGHT * 2 // 3))
        tone, step = rng.uniform(0.1, 0.6), int(rng.integers(3, 8))
        house = np.full((HEIGHT - top, min(width, WIDTH - left)), tone)
        lit = rng.random((house.shape[0] // step + 1, house.shape[1] // step + 1)) < rng.uniform(0.2, 0.9)
        windows = np.kron(lit, np.pad(np.ones((step - 1, step - 2 or 1)), ((0, 1), (0, step - (step - 2 or 1)))))
        house += (rng.uniform(-0.3, 0.5)) * windows[: house.shape[0], : house.shape[1]]
        canvas[top:, left : left + width] = house
        left += width
    return np.asarray(canvas + 0.04 * _unit_noise(rng, 0.9))


def _branches(rng: Generator) -> npt.NDArray[np.float64]:
    """Thin dark and light strands over a soft ground: where smooth noise crosses zero."""
    ridge = np.exp(-np.abs(_unit_noise(rng, rng.uniform(1.1, 1.5))) * rng.uniform(3.0, 7.0))
    leaves = _unit_noise(rng, 0.6) > rng.uniform(0.4, 1.2)
    return np.asarray(0.25 * _unit_noise(rng, 1.7) - ridge + rng.uniform(0.3, 0.9) * leaves)


def _lines(rng: Generator) -> npt.NDArray[np.float64]:
    """Beams, rails, floor boards: crossing lines over a rough ground."""
    canvas = np.zeros((HEIGHT, WIDTH), np.float32)
    slant = rng.uniform(-0.6, 0.6)
    for _ in range(int(rng.integers(10, 40))):
        x = float(rng.uniform(-HEIGHT, WIDTH + HEIGHT))
        flat = rng.random() < 0.25
        start = (0, int(rng.integers(HEIGHT))) if flat else (int(x), 0)
        end = (WIDTH, start[1] + int(rng.integers(-8, 9))) if flat else (int(x + slant * HEIGHT), HEIGHT)
        cv2.line(canvas, start, end, float(rng.normal(0.0, 1.0)), int(rng.integers(1, 7)), cv2.LINE_AA)
    return np.asarray(canvas + 0.35 * _unit_noise(rng, 1.0))

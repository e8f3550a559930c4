"""Sounds for the example videos, made from nothing: somebody talking (in no language), a room, the sea."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from numpy.random import Generator
from scipy.signal import butter, lfilter, sosfilt

Samples = npt.NDArray[np.float32]  # [channels, N]

RATE: Final = 48000
_BLOCK: Final = 240  # formants move every 5 ms
# First three formants of vowels of a grown-up voice, Hz (rounded from Peterson & Barney 1952).
_VOWELS: Final = (
    (730, 1090, 2440),
    (530, 1840, 2480),
    (270, 2290, 3010),
    (570, 840, 2410),
    (300, 870, 2240),
    (490, 1350, 1690),
)
_BANDWIDTHS: Final = (70.0, 100.0, 150.0, 250.0)


def narration(seconds: float, rng: Generator) -> Samples:
    """Mono [1, N]: phrases of two to four seconds of babble with pauses, over a faint room."""
    count = round(seconds * RATE)
    out = np.zeros(count)
    at = 0.8
    while at < seconds - 2.5:
        phrase = _phrase(rng, float(rng.uniform(1.8, min(4.2, seconds - at - 0.4))))
        start = round(at * RATE)
        out[start : start + len(phrase)] += phrase[: count - start]
        at += len(phrase) / RATE + float(rng.uniform(0.5, 1.9))
    room = _band(rng.normal(size=count), 60, 900) * 0.0012
    return np.asarray(0.22 * out / np.abs(out).max() * 2.2 + room, dtype=np.float32).clip(-0.95, 0.95)[None]


def seaside(seconds: float, rng: Generator) -> Samples:
    """Stereo [2, N]: waves that come and go, each on its side, and some wind."""
    count = round(seconds * RATE)
    times = np.arange(count) / RATE
    sides = []
    for _ in range(2):
        swell = 0.5 + 0.5 * np.sin(2 * np.pi * times / float(rng.uniform(5.0, 7.0)) + float(rng.uniform(0, 6)))
        wash = _band(rng.normal(size=count), 250, 5000) * swell**2.5
        wind = _band(rng.normal(size=count), 40, 300) * 0.5
        sides.append(0.03 * (wash + wind))
    fade = np.clip(np.minimum(times, seconds - times) / 0.5, 0, 1)
    return np.asarray(np.stack(sides) * fade, dtype=np.float32)


def _band(samples: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.float64]:
    """`samples` with what lies below `low` and above `high` Hz taken out."""
    return np.asarray(sosfilt(butter(2, (low, high), "bandpass", fs=RATE, output="sos"), samples))


def _phrase(rng: Generator, seconds: float) -> npt.NDArray[np.float64]:
    """One breath of babble [N]: syllables of a consonant and a vowel, pitch falling to the end."""
    starts = [0.0]
    while starts[-1] < seconds - 0.14:
        starts.append(starts[-1] + float(rng.choice([0.13, 0.17, 0.21, 0.28], p=(0.3, 0.35, 0.25, 0.1))))
    count = round(starts[-1] * RATE) // _BLOCK * _BLOCK
    blocks = np.arange(count // _BLOCK) * _BLOCK / RATE
    formants = np.empty((len(blocks), 4))
    voice, hiss = np.zeros(len(blocks)), np.zeros(len(blocks))
    for start, end in pairwise(starts):
        inside = (blocks >= start) & (blocks < end)
        place = (blocks[inside] - start) / (end - start)
        vowel, glide = (np.array((*_VOWELS[int(rng.integers(len(_VOWELS)))], 3500.0)) for _ in range(2))
        formants[inside] = vowel + (glide - vowel) * (0.35 * place**2)[:, None]
        loud = float(rng.uniform(0.6, 1.0))
        voice[inside] = loud * np.clip((place - 0.12) / 0.16, 0.12, 1) * np.clip((1.0 - place) / 0.18, 0.25, 1)
        if rng.random() < 0.45:
            hiss[inside] = 0.5 * loud * (place < 0.22)
    for column in range(4):  # the mouth doesn't jump
        formants[:, column] = np.convolve(np.pad(formants[:, column], 4, mode="edge"), np.ones(9) / 9, "valid")
    pitch = 128.0 * 2 ** (-0.35 * blocks / seconds + 0.12 * np.sin(2 * np.pi * blocks * 1.7 + float(rng.uniform(0, 6))))
    level = np.interp(np.arange(count), np.arange(len(blocks)) * _BLOCK, np.convolve(voice, np.ones(5) / 5, "same"))
    spoken = _through_mouth(_glottis(rng, np.repeat(pitch, _BLOCK)) * level, formants)
    breath = _band(rng.normal(size=count), 2800, 9000) * np.repeat(np.convolve(hiss, np.ones(3) / 3, "same"), _BLOCK)
    return np.asarray(spoken / (np.abs(spoken).max() + 1e-9) + 0.12 * breath)


def _glottis(rng: Generator, pitch: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Airflow of the voice [N] at `pitch` Hz [N]: smooth pulses with a sharp close (Rosenberg 1971), and breath."""
    jitter = np.repeat(rng.normal(0, 0.012, len(pitch) // _BLOCK + 1), _BLOCK)[: len(pitch)]
    phase = np.cumsum(pitch * (1 + jitter) / RATE) % 1.0
    opening, closing = 0.4, 0.16
    rise = 0.5 * (1 - np.cos(np.pi * phase / opening))
    fall = np.cos(np.pi / 2 * (phase - opening) / closing)
    flow = np.where(phase < opening, rise, np.where(phase < opening + closing, fall, 0.0))
    return np.diff(flow, prepend=flow[0]) * 20 + 0.01 * rng.normal(size=len(flow))


def _through_mouth(source: npt.NDArray[np.float64], formants: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`source` [N] through four resonances in a row (Klatt 1980), retuned to `formants` [N / 240, 4] every 5 ms."""
    out = source
    for column, bandwidth in enumerate(_BANDWIDTHS):
        radius = np.exp(-np.pi * bandwidth / RATE)
        state, done = np.zeros(2), np.empty_like(out)
        for block, frequency in enumerate(formants[:, column]):
            b, c = 2 * radius * np.cos(2 * np.pi * frequency / RATE), -radius * radius
            span = slice(block * _BLOCK, (block + 1) * _BLOCK)
            done[span], state = lfilter([1.0 - b - c], [1.0, -b, -c], out[span], zi=state)
        out = done
    return out

"""Rooms: stereo impulse responses made of early reflections and a diffuse tail, and their convolution in blocks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from core.starter.synth import dsp
from core.starter.synth.dsp import Audio

_BANDS: Final = (200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0)


@dataclass(frozen=True, slots=True)
class Room:
    """A room. seconds: T60 at 1 kHz; low, high: T60 at 200 Hz and 6.4 kHz beside it; delay: seconds before anything
    comes back; early: (level, seconds they are spread over); build: seconds the tail takes to rise; bright: return's
    low pass, Hz.
    """

    seconds: float
    low: float
    high: float
    delay: float
    early: tuple[float, float]
    build: float
    bright: float = 8000.0


ROOMS: Final[dict[str, Room]] = {
    "dry_room": Room(0.28, 1.0, 0.6, 0.008, (0.7, 0.025), 0.002),
    "small_room": Room(0.40, 1.1, 0.45, 0.008, (0.7, 0.030), 0.003, 6000.0),
    "room": Room(0.65, 1.1, 0.55, 0.011, (0.6, 0.040), 0.004),
    "plate": Room(1.4, 0.9, 0.55, 0.012, (0.0, 0.03), 0.002, 9500.0),
    "hall": Room(2.6, 1.15, 0.42, 0.022, (0.30, 0.075), 0.020),
    "long_hall": Room(4.2, 1.15, 0.36, 0.030, (0.18, 0.09), 0.045, 7000.0),
}


@lru_cache(maxsize=len(ROOMS))
def impulse_response(name: str) -> Audio:
    """[2, N] what the room `name` answers to one click, left and right independent, of unit energy each."""
    room = ROOMS[name]
    random = dsp.generator("room", name)
    n = int((1.05 * room.seconds * max(room.low, 1.0) + room.delay) * dsp.RATE)
    size = fft.next_fast_len(n, real=True)
    f = fft.rfftfreq(size, 1.0 / dsp.RATE)
    tail = np.zeros((2, n), np.float32)
    white = random.standard_normal((2, 2, f.size), dtype=np.float32)
    spectrum = white[:, 0] + 1j * white[:, 1]
    for k, centre in enumerate(_BANDS):
        place = k / (len(_BANDS) - 1)
        t60 = room.seconds * np.interp(place, (0.0, 0.45, 1.0), (room.low, 1.0, room.high))
        octaves = np.log2(np.maximum(f, 1.0) / centre)
        weight = np.clip(1.0 - np.abs(octaves), 0.0, 1.0)
        if k == 0:
            weight = np.where(octaves < 0, 1.0, weight)
        if k == len(_BANDS) - 1:
            weight = np.where(octaves > 0, 1.0, weight)
        part = fft.irfft(spectrum * np.sqrt(weight).astype(np.float32), size, axis=1)[:, :n]
        tail += part * dsp.decay(n, float(t60))
    tail *= dsp.rise(n, room.build)
    tail /= np.float32(np.sqrt(np.mean(np.sum(tail**2, axis=1))))
    out = np.zeros((2, n), np.float32)
    start = int(room.delay * dsp.RATE)
    out[:, start:] = tail[:, : n - start]
    _add_early(room, out, random)
    spectrum = fft.rfft(out, size, axis=1) * (dsp.high_pass(f, 200.0, 2.0) * dsp.low_pass(f, room.bright, 1.5))
    out = np.asarray(fft.irfft(spectrum, size, axis=1)[:, :n], np.float32)
    out /= np.float32(np.sqrt(np.mean(np.sum(out**2, axis=1))))
    return dsp.fade_end(out, 0.1 * room.seconds)


def _add_early(room: Room, out: Audio, random: np.random.Generator) -> None:
    level, spread = room.early
    if not level:
        return
    for channel in range(2):
        places = room.delay + spread * np.sort(random.uniform(0.0, 1.0, 11)) ** 1.2
        for place in places:
            size = level * 0.35 * np.exp(-(place - room.delay) / spread) * random.choice((-1.0, 1.0))
            out[channel, int(place * dsp.RATE)] += np.float32(size)


class Convolver:
    """Convolution of a stereo stream with a room, block by block; the tail of each block falls into the next."""

    def __init__(self, room: str, block: int) -> None:
        self._block = block
        self._taps = impulse_response(room).shape[1]
        self._size = fft.next_fast_len(block + self._taps - 1, real=True)
        self._spectrum = _spectrum(room, self._size)
        self._tail = np.zeros((2, self._size), np.float32)
        self._left = 0  # samples of tail still to come

    def process(self, block: Audio) -> Audio:
        """[2, block] the room's answer to `block` [2, block] and to all blocks before."""
        n = self._block
        assert block.shape == (2, n), block.shape
        if block.any():
            # What the room hears is narrower than the stage: half of each side reaches the other.
            heard = np.float32(0.8) * block + np.float32(0.2) * block[::-1]
            wet = fft.irfft(fft.rfft(heard, self._size, axis=1) * self._spectrum, self._size, axis=1)
            self._tail += wet
            self._left = self._size
        elif self._left <= 0:
            return np.zeros((2, n), np.float32)
        out = self._tail[:, :n].copy()
        self._tail[:, :-n] = self._tail[:, n:]
        self._tail[:, -n:] = 0.0
        self._left -= n
        return out


@lru_cache(maxsize=len(ROOMS))
def _spectrum(room: str, size: int) -> NDArray[np.complex64]:
    return np.asarray(fft.rfft(impulse_response(room), size, axis=1), np.complex64)

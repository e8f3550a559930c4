"""One period of a steady tone, dark and bright, as wavetables: the source of sections, pads and solo voices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from core.starter.synth import dsp
from core.starter.synth.dsp import Real

SIZE: Final = 8192

Tables = NDArray[np.complex64]


@dataclass(frozen=True, slots=True)
class Timbre:
    """Spectrum of a steady tone.

    tilt: partial n falls as n**-tilt (1 = sawtooth); even: factor on even partials (0 = hollow, clarinet or square);
    cutoff: (dark, bright) low pass in Hz; order: its steepness, 6 dB per octave each;
    track: share of the note's octaves the cutoff moves with (0 fixed, 1 keeps its partial number; reference A3);
    formants: fixed resonances (Hz, width, dB); floor_hz: high pass; first: extra factor on the fundamental;
    scatter: dB by which instruments of a kind differ.
    """

    tilt: float = 1.0
    even: float = 1.0
    cutoff: tuple[float, float] = (1500.0, 6000.0)
    order: float = 2.0
    track: float = 0.3
    formants: tuple[tuple[float, float, float], ...] = ()
    floor_hz: float = 80.0
    first: float = 1.0
    scatter: float = 0.0


@lru_cache(maxsize=128)
def tables(timbre: Timbre, f0: float, seed: int = 0) -> Tables:
    """[2, SIZE] one period as complex numbers (real part dark, imaginary part bright) and its steps to the next sample.

    Both waves have K-weighted RMS 1. f0: fundamental in Hz (with head room for vibrato and glide). seed: which
    instrument of its kind (`scatter`).
    """
    count = max(1, min(int(17_500.0 / f0), SIZE // 4))
    n = np.arange(1, count + 1, dtype=np.float64)
    f = n * f0
    random = dsp.generator("timbre", seed)
    source = n**-timbre.tilt * np.where(n % 2 == 0, timbre.even, 1.0)
    source[0] *= timbre.first
    source *= dsp.peaks(f, timbre.formants) * dsp.high_pass(f, timbre.floor_hz, 2.0)
    source *= 10.0 ** (timbre.scatter * random.standard_normal(count) / 20.0)
    moved = (f0 / 220.0) ** timbre.track
    dark, bright = (source * dsp.low_pass(f, cutoff * moved, timbre.order) for cutoff in timbre.cutoff)
    wave = _period(dark / _weighted_rms(dark, f), n) + 1j * _period(bright / _weighted_rms(bright, f), n)
    return np.stack([wave, np.roll(wave, -1) - wave]).astype(np.complex64)


def _weighted_rms(amps: Real, f: Real) -> float:
    return float(np.sqrt(0.5 * np.sum((amps * dsp.k_weight(f)) ** 2))) + 1e-12


def _period(amps: Real, n: Real) -> Real:
    spectrum = np.zeros(SIZE // 2 + 1, np.complex128)
    # Phases of a sawtooth, bent a little so that the wave is not one spike: lower crest, same sound.
    spectrum[1 : n.size + 1] = -0.5j * SIZE * amps * np.exp(0.02j * np.pi * n**1.5)
    return np.asarray(fft.irfft(spectrum, SIZE))


def read(table: Tables, phase: Real) -> Tables:
    """[N] the wave of `table` at `phase` [N] (periods, not negative): real part dark, imaginary part bright."""
    place = phase * SIZE
    index = place.astype(np.int64)
    part = (place - index).astype(np.float32)
    index &= SIZE - 1
    wave = table[1].take(index)
    wave *= part
    wave += table[0].take(index)
    return np.asarray(wave, np.complex64)

"""One period of a steady tone, dark and bright, as wavetables: the source of sections, pads and solo voices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from scipy import fft

from core.starter.synth import dsp
from core.starter.synth.dsp import Audio, Real

SIZE: Final = 8192


@dataclass(frozen=True, slots=True)
class Timbre:
    """Spectrum of a steady tone.

    tilt: partial n falls as n**-tilt (1 = sawtooth); even: factor on even partials (0 = hollow, clarinet or square);
    cutoff: (dark, bright) low pass in Hz; order: its steepness, 6 dB per octave each;
    track: share of the note's octaves the cutoff moves with (0 fixed, 1 keeps its partial number; reference A3);
    formants: fixed resonances (Hz, width, dB); floor_hz: high pass; first: extra factor on the fundamental.
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
def tables(timbre: Timbre, f0: float, seed: int = 0) -> Audio:
    """[2, SIZE + 1] one period, dark then bright, each of K-weighted RMS 1; the last sample repeats the first.

    f0: fundamental in Hz (with head room for vibrato and glide). seed: which instrument of its kind (`scatter`, dB).
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
    out = np.empty((2, SIZE + 1), np.float32)
    for row, cutoff in enumerate(timbre.cutoff):
        amps = source * dsp.low_pass(f, cutoff * moved, timbre.order)
        out[row] = _period(amps / _weighted_rms(amps, f), n)
    return out


def _weighted_rms(amps: Real, f: Real) -> float:
    return float(np.sqrt(0.5 * np.sum((amps * dsp.k_weight(f)) ** 2))) + 1e-12


def _period(amps: Real, n: Real) -> Real:
    spectrum = np.zeros(SIZE // 2 + 1, np.complex128)
    # Phases of a sawtooth, bent a little so that the wave is not one spike: lower crest, same sound.
    spectrum[1 : n.size + 1] = -0.5j * SIZE * amps * np.exp(0.02j * np.pi * n**1.5)
    wave = fft.irfft(spectrum, SIZE)
    return np.append(wave, wave[0])


def read(table: Audio, phase: Real, bright: Audio | float) -> Audio:
    """[N] the wave of `table` [2, SIZE + 1] at `phase` [N] (periods), `bright` 0 dark .. 1 bright (number or [N])."""
    place = np.mod(phase, 1.0) * SIZE
    index = place.astype(np.int32)
    x = (place - index).astype(np.float32)
    dark_wave, bright_wave = table
    low = dark_wave[index]
    low += x * (dark_wave[index + 1] - low)
    high = bright_wave[index]
    high += x * (bright_wave[index + 1] - high)
    return np.asarray(low + np.asarray(bright, np.float32) * (high - low), np.float32)

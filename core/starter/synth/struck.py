"""Struck instruments: pianos, electric piano, bars, bells, glass, and the pluck synthesiser. A call is one note."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.starter.synth import dsp
from core.starter.synth.dsp import Audio


@dataclass(frozen=True, slots=True)
class Piano:
    """A piano with cloth between hammers and strings.

    cutoff: (soft, loud) hammer low pass, Hz; t60: (C2, C6) seconds; damping: how much faster upper partials die;
    knock: level of the mechanics' noise; seconds: longest sample.
    """

    cutoff: tuple[float, float]
    t60: tuple[float, float]
    damping: float
    knock: float
    seconds: float
    air: float = 0.004


FELT = Piano(cutoff=(420, 2300), t60=(13.0, 4.0), damping=0.22, knock=0.3, seconds=6.0)
MUTED = Piano(cutoff=(380, 1500), t60=(2.0, 0.8), damping=0.35, knock=0.55, seconds=2.2, air=0.01)


def piano(spec: Piano, pitch: int, velocity: float, random: np.random.Generator) -> Audio:
    """[2, N] one note: stiff strings in detuned pairs with two-stage decay, soundboard knock, felt noise."""
    f0 = dsp.hertz(pitch)
    count = int(min(44, max(4, 14_000.0 / f0)))
    n = np.arange(1, count + 1, dtype=np.float64)
    stiffness = 3.2e-4 * 2.0 ** ((pitch - 60) / 12.0 * (0.9 if pitch > 48 else 0.35))
    freqs = f0 * n * np.sqrt((1.0 + stiffness * n**2) / (1.0 + stiffness))
    cutoff = spec.cutoff[0] * (spec.cutoff[1] / spec.cutoff[0]) ** velocity * (f0 / 261.6) ** 0.35
    amps = (0.25 + np.abs(np.sin(np.pi * n * 0.119))) / n**0.55 * dsp.low_pass(freqs, cutoff, 1.7)
    amps *= dsp.peaks(freqs, ((95, 60, 2), (190, 90, 2), (420, 300, 1.5))) * dsp.high_pass(freqs, 60.0, 1.5)
    amps *= np.exp(0.18 * random.standard_normal(count))
    low, high = spec.t60
    first = low * (high / low) ** np.clip((pitch - 36) / 48.0, -0.3, 1.6)
    t60 = first / (1.0 + spec.damping * (n - 1.0) + freqs / 9000.0)
    cents = random.uniform(0.25, 0.55)
    apart = 2.0 ** (cents / 1200.0)
    all_freqs = np.concatenate([freqs / apart, freqs * apart, freqs])
    all_t60 = np.concatenate([0.30 * t60, 0.24 * t60, t60])
    all_amps = np.concatenate([0.42 * amps, 0.36 * amps, 0.22 * amps])
    phase = -0.5 * np.pi - 0.25 * np.tile(n - 1.0, 3) ** 1.4
    left, right = dsp.stereo_amplitudes(all_amps, all_freqs, 0.45, random, phase)
    seconds = float(min(spec.seconds, 0.2 + 1.1 * first))
    out = dsp.modes(all_freqs, all_t60, left, right, seconds)
    out *= dsp.rise(out.shape[1], 0.0045 - 0.003 * velocity)
    _mechanics(spec, out, velocity, random)
    return dsp.fade_end(out, 0.3 * seconds)


def _mechanics(spec: Piano, out: Audio, velocity: float, random: np.random.Generator) -> None:
    peak = float(np.max(np.abs(out[:, :9600])))
    board = np.array([74.0, 118.0, 187.0, 262.0, 391.0, 540.0]) * random.uniform(0.97, 1.03, 6)
    level = np.array([0.5, 1.0, 0.9, 0.7, 0.5, 0.4]) * random.uniform(0.7, 1.3, 6)
    left, right = dsp.stereo_amplitudes(level, board, 0.6, random)
    dsp.add(out, dsp.modes(board, np.full(6, 0.09), left, right, 0.12), 0.2 * spec.knock * peak)
    felt = dsp.burst(random, 0.09, 0.07, dsp.band(180, 1500, 1.0), 2, 0.6)
    dsp.add(out, felt, 0.07 * spec.knock * peak * (0.4 + velocity))
    shuffle = dsp.burst(random, 0.16, 0.14, dsp.band(2500, 14_000, 1.0), 2, 0.9)
    dsp.add(out, shuffle, spec.air * peak * (0.5 + velocity))


def electric_piano(pitch: int, velocity: float, random: np.random.Generator) -> Audio:
    """[2, N] tine piano: 1:1 frequency modulation with a falling index, a 1:14 tine, and a soft key knock."""
    f0 = dsp.hertz(pitch)
    t60 = 7.0 * 2.0 ** (-(pitch - 40) / 22.0) * random.uniform(0.93, 1.07)
    n = int(min(4.0, 1.1 * t60 + 0.2) * dsp.RATE)
    t = dsp.times(n).astype(np.float32)
    register = float(np.clip(1.25 - (pitch - 48) / 60.0, 0.35, 1.4))
    index = (0.25 + 2.0 * velocity**1.6) * register * np.exp(-t / 0.55) + 0.22 * register * velocity
    turn = np.float32(2.0 * np.pi * f0)
    out = np.empty((2, n), np.float32)
    ratio = next(r for r in (14.0, 11.0, 8.0, 5.0, 3.0) if r * f0 < 15_000 or r == 3.0)
    tine = (0.05 + 0.22 * velocity) * np.exp(-t / (0.05 + 0.10 * 261.6 / (261.6 + f0)))
    for channel, cents in enumerate((-0.6, 0.6)):
        w = turn * np.float32(2.0 ** (cents / 1200.0)) * t
        body = np.sin(w + index * np.sin(w))  # both in phase: any other angle would leave a constant
        bell = tine * np.sin(w * np.float32(ratio * (1.0 + 0.0008 * channel)))
        out[channel] = body * np.exp(-6.9 * t / t60) + bell
    out *= dsp.rise(n, 0.0018)
    knock = dsp.burst(random, 0.06, 0.04, dsp.band(150, 5000, 1.0), 2, 0.5)
    dsp.add(out, knock, 0.05 * velocity)
    return dsp.fade_end(out, 0.3)


@dataclass(frozen=True, slots=True)
class Bar:
    """Bars, bells, glasses: partials at fixed ratios.

    ratios, levels, lengths: frequency, level at full velocity and T60 of each partial relative to the first;
    t60: (C4, C7) seconds; hardness: how much velocity brightens; attack seconds; mallet: (level, low, high, seconds);
    pair: cents between the two nearly equal modes of each partial (slow beating).
    """

    ratios: tuple[float, ...]
    levels: tuple[float, ...]
    lengths: tuple[float, ...]
    t60: tuple[float, float]
    hardness: float = 0.8
    attack: float = 0.0008
    mallet: tuple[float, float, float, float] = (0.2, 300, 5000, 0.01)
    pair: float = 0.5
    width: float = 0.5
    floor_hz: float = 60.0
    seconds: float = 4.0


MARIMBA = Bar(
    ratios=(1, 3.93, 9.2, 16.1),
    levels=(1, 0.34, 0.13, 0.05),
    lengths=(1, 0.24, 0.09, 0.05),
    t60=(1.7, 0.35),
    hardness=1.0,
    attack=0.0012,
    mallet=(0.28, 250, 4500, 0.012),
    seconds=2.4,
)
BELLS = Bar(
    ratios=(1, 2.756, 5.404, 8.93, 13.34),
    levels=(1, 0.5, 0.32, 0.2, 0.1),
    lengths=(1, 0.6, 0.35, 0.2, 0.12),
    t60=(3.4, 1.6),
    hardness=0.8,
    attack=0.0006,
    mallet=(0.18, 3000, 14000, 0.004),
    pair=1.2,
)
CELESTA = Bar(
    ratios=(1, 2.0, 3.98, 6.3, 9.1),
    levels=(1, 0.06, 0.34, 0.12, 0.06),
    lengths=(1, 0.8, 0.3, 0.16, 0.1),
    t60=(2.6, 1.0),
    hardness=0.8,
    attack=0.001,
    mallet=(0.14, 900, 11000, 0.008),
    pair=0.8,
)
GLASS = Bar(
    ratios=(1, 2.0, 2.32, 4.25, 6.63, 9.38),
    levels=(1, 0.14, 0.34, 0.22, 0.12, 0.06),
    lengths=(1, 0.8, 0.7, 0.5, 0.32, 0.2),
    t60=(4.6, 2.2),
    hardness=0.7,
    attack=0.006,
    mallet=(0.05, 2500, 14000, 0.02),
    pair=2.4,
    width=0.7,
    seconds=4.5,
)


def bar(spec: Bar, pitch: int, velocity: float, random: np.random.Generator) -> Audio:
    """[2, N] one note of `spec`."""
    f0 = dsp.hertz(pitch)
    low, high = spec.t60
    first = float(low * (high / low) ** np.clip((pitch - 60) / 36.0, -0.6, 1.3))
    ratios, lengths = np.array(spec.ratios), np.array(spec.lengths)
    order = np.arange(ratios.size)
    amps = np.array(spec.levels) * (0.25 + 0.75 * velocity) ** (spec.hardness * np.minimum(order, 3))
    freqs = f0 * ratios * np.where(order, 1.0 + 0.002 * random.standard_normal(ratios.size), 1.0)
    amps *= np.where(order, np.exp(0.2 * random.standard_normal(ratios.size)), 1.0)
    amps *= dsp.high_pass(freqs, spec.floor_hz, 2.0)
    apart = 2.0 ** (spec.pair / 2400.0)
    seconds = min(spec.seconds, 1.1 * first + 0.1)
    all_freqs = np.concatenate([freqs / apart, freqs * apart])
    all_amps = np.concatenate([0.6 * amps, 0.4 * amps])
    left, right = dsp.stereo_amplitudes(all_amps, all_freqs, spec.width, random)
    out = dsp.modes(all_freqs, np.tile(np.maximum(first * lengths, 0.03), 2), left, right, seconds)
    out *= dsp.rise(out.shape[1], spec.attack)
    level, bottom, top, length = spec.mallet
    hit = dsp.burst(random, 5.0 * length, 2.5 * length, dsp.band(bottom, top, 1.2), 2, 0.6)
    dsp.add(out, hit, level * (0.2 + velocity) * 0.7)
    return dsp.fade_end(out, 0.3 * seconds)


def pluck_synth(pitch: int, velocity: float, random: np.random.Generator) -> Audio:
    """[2, N] two detuned band-limited saws under a fast-closing filter, as partials that die by their order."""
    f0 = dsp.hertz(pitch)
    count = max(3, min(110, int(17_000.0 / f0)))
    n = np.arange(1, count + 1, dtype=np.float64)
    freqs = f0 * n
    start = 1800.0 * 8.0**velocity
    amps = 1.0 / n * dsp.low_pass(freqs, start, 2.0) * dsp.high_pass(freqs, 90.0, 2.0)
    t60 = 1.5 / (1.0 + (freqs / 900.0) ** 1.1)
    apart = 2.0 ** (5.0 / 1200.0)
    all_freqs = np.concatenate([freqs / apart, freqs * apart, freqs[: count // 2] * 2.0])
    all_t60 = np.concatenate([t60, t60, 0.6 * t60[: count // 2]])
    lefts = np.concatenate([0.75 * amps, 0.45 * amps, 0.12 * amps[: count // 2]])
    rights = np.concatenate([0.45 * amps, 0.75 * amps, 0.12 * amps[: count // 2]])
    mono = all_freqs < dsp.MONO_BELOW_HZ
    lefts[mono] = rights[mono] = 0.6 * (lefts + rights)[mono]
    turn = np.exp(1j * random.uniform(-0.4, 0.4, all_freqs.size) - 0.5j * np.pi)
    out = dsp.modes(all_freqs, all_t60, lefts * turn, rights * turn, 1.5)
    out *= dsp.rise(out.shape[1], 0.0012)
    return dsp.fade_end(out, 0.4)

"""Plucked strings as the modes of a lossy string: what an extended Karplus-Strong loop would ring with, written out.

A loop of delay, loss filter and pick comb (Jaffe and Smith 1983) is a sum of decaying partials; summing them directly
gives exact tuning, exact decay times and no aliasing, and costs one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.starter.synth import dsp
from core.starter.synth.dsp import Audio, Real


@dataclass(frozen=True, slots=True)
class Pluck:
    """One plucked instrument.

    pick: plucking point as a fraction of the string; softness: spectral fall of the source (partial n as n**-softness).
    cutoff: (soft, loud) low pass of finger or plectrum, Hz; t60: (C2, C6) seconds of the fundamental.
    loss_hz: partials at this frequency decay twice as fast as the fundamental; stiffness: inharmonicity B at C4.
    polarisation: beating of the two planes of vibration, cents; body: resonances (Hz, width, dB).
    thump: level of the body's own knock; click: (level, low Hz, high Hz, seconds) of nail or plectrum noise.
    players: detuned strings or players (cents); spread: seconds they are apart; width: stereo width 0..1.
    snap: cents the pitch starts too high when plucked hard; drive: saturation, 0 = none; pickup: its place on
    the string (0 = none); partials: at most; floor_hz: high pass; seconds: longest sample.
    """

    pick: float
    softness: float
    cutoff: tuple[float, float]
    t60: tuple[float, float]
    loss_hz: float
    stiffness: float = 4e-5
    polarisation: float = 1.0
    body: tuple[tuple[float, float, float], ...] = ()
    thump: float = 0.0
    click: tuple[float, float, float, float] = (0.0, 1000.0, 6000.0, 0.01)
    players: tuple[float, ...] = (0.0,)
    spread: float = 0.0
    width: float = 0.4
    snap: float = 0.0
    drive: float = 0.0
    pickup: float = 0.0
    partials: int = 90
    floor_hz: float = 70.0
    seconds: float = 4.0


def pluck(spec: Pluck, pitch: int, velocity: float, random: np.random.Generator) -> Audio:
    """[2, N] one note of `spec`."""
    f0 = dsp.hertz(pitch)
    first = _fundamental_t60(spec, pitch)
    seconds = min(spec.seconds, 1.1 * first + 0.1)
    out = np.zeros((2, int(seconds * dsp.RATE)), np.float32)
    for player, cents in enumerate(spec.players):
        late = int(spec.spread * random.uniform(0.0, 1.0) * dsp.RATE) if player else 0
        string = _string(spec, f0 * 2.0 ** (cents / 1200.0), first, velocity, seconds, random)
        dsp.add(out, string, 1.0 / np.sqrt(len(spec.players)), late)
    out *= dsp.rise(out.shape[1], 0.0008 - 0.0005 * velocity)
    if spec.snap and velocity > 0.5:
        out = _snap(out, spec.snap * (velocity - 0.3))
    if spec.drive:
        peak = float(np.max(np.abs(out))) + 1e-9
        out = dsp.saturate(out / np.float32(peak), spec.drive * velocity) * np.float32(peak)
    _add_click(spec, out, f0, velocity, random)
    return dsp.fade_end(out, 0.25 * seconds)


def _fundamental_t60(spec: Pluck, pitch: int) -> float:
    low, high = spec.t60
    return float(low * (high / low) ** np.clip((pitch - 36) / 48.0, -0.2, 1.3))


def _string(
    spec: Pluck, f0: float, first: float, velocity: float, seconds: float, random: np.random.Generator
) -> Audio:
    count = max(3, min(spec.partials, int(17_500.0 / f0)))
    n = np.arange(1, count + 1, dtype=np.float64)
    stiffness = spec.stiffness * (f0 / 261.6) ** 1.2
    freqs = f0 * n * np.sqrt((1.0 + stiffness * n**2) / (1.0 + stiffness))
    point = spec.pick * random.uniform(0.93, 1.07)
    cutoff = spec.cutoff[0] * (spec.cutoff[1] / spec.cutoff[0]) ** velocity
    amps = np.sin(np.pi * n * point) / n**spec.softness * dsp.low_pass(freqs, cutoff, 1.8)
    amps *= dsp.peaks(freqs, spec.body) * dsp.high_pass(freqs, spec.floor_hz, 2.0)
    if spec.pickup:
        amps *= np.sin(np.pi * n * spec.pickup)
    amps *= 1.0 + 0.12 * random.standard_normal(count)
    fall = 1.0 + freqs / spec.loss_hz + 0.4 * (freqs / spec.loss_hz) ** 2 / (1.0 + freqs / 6000.0)
    t60 = np.maximum(first / (fall / (1.0 + f0 / spec.loss_hz)), 0.02) * random.uniform(0.85, 1.15, count)
    apart = 2.0 ** (spec.polarisation * random.uniform(0.4, 1.0) / 2400.0)
    both_f = np.concatenate([freqs / apart, freqs * apart])
    both_t = np.concatenate([0.6 * t60, 1.15 * t60])
    both_a = np.concatenate([0.62 * amps, 0.38 * amps])
    return _ring(spec, both_f, both_t, both_a, f0, velocity, seconds, random)


def _ring(
    spec: Pluck, freqs: Real, t60: Real, amps: Real, f0: float, velocity: float, seconds: float,
    random: np.random.Generator,
) -> Audio:  # fmt: skip
    if spec.thump and spec.body:
        knock = np.array([hz for hz, _, _ in spec.body]) * random.uniform(0.97, 1.03, len(spec.body))
        level = (
            spec.thump * velocity * float(np.max(np.abs(amps))) * np.array([10 ** (db / 20) for *_, db in spec.body])
        )
        freqs = np.concatenate([freqs, knock])
        t60 = np.concatenate([t60, np.full(knock.size, 0.11) * (150.0 / knock) ** 0.3])
        amps = np.concatenate([amps, level * dsp.high_pass(knock, spec.floor_hz, 2.0)])
    # The body answers each partial with its own delay, so they don't all peak at once as on the bare string.
    phase = -0.3 * (freqs / f0) ** 1.35 - 0.5 * np.pi * (freqs < 2.5 * f0)
    left, right = dsp.stereo_amplitudes(amps, freqs, spec.width, random, phase)
    return dsp.modes(freqs, t60, left, right, seconds)


def _add_click(spec: Pluck, out: Audio, f0: float, velocity: float, random: np.random.Generator) -> None:
    level, low, high, length = spec.click
    if level:
        hit = dsp.burst(random, 4.0 * length, 2.0 * length, dsp.band(low, high, 1.5), 2, 0.5)
        dsp.add(out, hit, level * velocity * float(np.max(np.abs(out[:, :2000]))))


def _snap(audio: Audio, cents: float) -> Audio:
    """`audio` with its pitch falling by `cents` in the first tenths of a second (tension of a hard pluck)."""
    t = dsp.times(int(0.25 * dsp.RATE))
    return dsp.bend(audio, cents / 100.0 * np.exp(-t / 0.035))


NYLON = Pluck(
    pick=0.21,
    softness=1.0,
    cutoff=(1200, 6500),
    t60=(3.6, 1.1),
    loss_hz=900,
    stiffness=3e-05,
    polarisation=1.6,
    body=((102, 40, 6), (204, 60, 6), (405, 120, 4), (1900, 1500, 3)),
    thump=0.35,
    click=(0.1, 1500, 9000, 0.006),
    snap=6,
)
STEEL = Pluck(
    pick=0.14,
    softness=0.82,
    cutoff=(2000, 13000),
    t60=(5.0, 1.4),
    loss_hz=1900,
    stiffness=7e-05,
    polarisation=2.2,
    body=((105, 40, 5), (195, 60, 6), (390, 120, 4), (2800, 2500, 4)),
    thump=0.3,
    click=(0.2, 2500, 15000, 0.007),
    snap=8,
    partials=110,
)
HARP = Pluck(
    pick=0.32,
    softness=1.2,
    cutoff=(1100, 6500),
    t60=(5.5, 1.6),
    loss_hz=1200,
    stiffness=2e-05,
    polarisation=0.8,
    body=((160, 90, 4), (320, 160, 4), (900, 600, 2)),
    thump=0.25,
    click=(0.05, 1200, 8000, 0.006),
    width=0.7,
)
GUZHENG = Pluck(
    pick=0.09,
    softness=0.9,
    cutoff=(1900, 11500),
    t60=(6.5, 2.0),
    loss_hz=1700,
    stiffness=5e-05,
    polarisation=1.6,
    body=((180, 80, 4), (380, 150, 5), (720, 300, 4), (2600, 1800, 4)),
    thump=0.3,
    click=(0.18, 2500, 15000, 0.005),
    width=0.7,
    snap=14,
    partials=110,
    floor_hz=90,
)
PIPA = Pluck(
    pick=0.07,
    softness=0.85,
    cutoff=(2300, 12500),
    t60=(2.2, 0.7),
    loss_hz=1300,
    stiffness=6e-05,
    polarisation=1.2,
    body=((420, 160, 5), (680, 250, 6), (1500, 700, 4), (3300, 1800, 5)),
    thump=0.4,
    click=(0.26, 2500, 15000, 0.006),
    width=0.5,
    snap=12,
    partials=110,
    floor_hz=110,
)
LOW_ZITHER = Pluck(
    pick=0.16,
    softness=1.1,
    cutoff=(700, 4800),
    t60=(7.0, 2.5),
    loss_hz=800,
    stiffness=3e-05,
    polarisation=1.0,
    body=((95, 50, 4), (210, 90, 5), (430, 200, 4)),
    thump=0.35,
    click=(0.07, 900, 9000, 0.007),
    width=0.4,
    snap=10,
    floor_hz=45,
)
PIZZICATO = Pluck(
    pick=0.18,
    softness=1.0,
    cutoff=(1200, 8000),
    t60=(0.95, 0.34),
    loss_hz=1300,
    stiffness=2e-05,
    polarisation=1.5,
    body=((280, 90, 5), (460, 140, 5), (1050, 500, 4), (2600, 1400, 3)),
    thump=0.6,
    click=(0.1, 1500, 11000, 0.008),
    players=(-5.0, 4.0, 1.0),
    spread=0.009,
    width=0.8,
    snap=6,
    seconds=1.4,
    partials=60,
    floor_hz=90,
)
UPRIGHT = Pluck(
    pick=0.24,
    softness=0.95,
    cutoff=(520, 3400),
    t60=(2.6, 0.9),
    loss_hz=420,
    stiffness=2e-05,
    polarisation=1.0,
    body=((62, 30, 3), (110, 45, 4), (230, 100, 5), (750, 500, 4)),
    thump=0.35,
    click=(0.07, 900, 9000, 0.012),
    width=0.25,
    snap=12,
    partials=40,
    floor_hz=28,
    seconds=3.0,
)
FINGER = Pluck(
    pick=0.2,
    softness=0.85,
    cutoff=(650, 4200),
    t60=(3.6, 1.6),
    loss_hz=700,
    stiffness=5e-05,
    polarisation=0.6,
    body=((80, 60, 1), (800, 700, 5)),
    thump=0.1,
    click=(0.05, 1200, 9000, 0.006),
    width=0.0,
    snap=8,
    drive=0.9,
    pickup=0.27,
    partials=60,
    floor_hz=28,
    seconds=3.5,
)
SLAP = Pluck(
    pick=0.1,
    softness=0.75,
    cutoff=(1600, 10000),
    t60=(3.2, 1.4),
    loss_hz=1300,
    stiffness=6e-05,
    polarisation=0.6,
    body=((90, 60, 5), (2400, 1800, 5)),
    thump=0.1,
    click=(0.4, 1500, 14000, 0.008),
    width=0.0,
    snap=22,
    drive=1.4,
    pickup=0.13,
    partials=110,
    floor_hz=28,
    seconds=2.5,
)
CLAVINET = Pluck(
    pick=0.07,
    softness=0.7,
    cutoff=(1900, 10500),
    t60=(2.2, 0.9),
    loss_hz=1500,
    stiffness=9e-05,
    polarisation=0.4,
    body=((950, 600, 4), (2300, 1400, 5)),
    thump=0.0,
    click=(0.22, 1800, 12000, 0.004),
    width=0.35,
    snap=6,
    drive=1.0,
    pickup=0.11,
    partials=80,
    floor_hz=90,
    seconds=2.0,
)

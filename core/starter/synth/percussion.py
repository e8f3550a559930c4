"""Models of single percussion instruments: each call is one stroke, [2, N], loudest within its first milliseconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.starter.synth import dsp
from core.starter.synth.dsp import Audio

_MEMBRANE = np.array([1.0, 1.593, 2.136, 2.296, 2.653, 2.917, 3.156, 3.5, 3.6, 4.06])  # zeros of Bessel functions


@dataclass(frozen=True, slots=True)
class Kick:
    """Bass drum: a sine falling from `start` to `end` Hz in `fall` seconds; `click` and `drive` make it heard small."""

    start: float = 160.0
    end: float = 48.0
    fall: float = 0.028
    t60: float = 0.55
    click: float = 0.3
    drive: float = 1.2
    air: float = 0.04
    shell: float = 0.0


def kick(spec: Kick, velocity: float, random: np.random.Generator) -> Audio:
    """[2, N] one stroke; mono but for its air."""
    n = int(min(1.2, 1.2 * spec.t60 + 0.05) * dsp.RATE)
    t = dsp.times(n)
    top = spec.start * (0.6 + 0.4 * velocity)
    phase = spec.end * t + (top - spec.end) * spec.fall * (1.0 - np.exp(-t / spec.fall))
    body = (np.sin(2 * np.pi * phase) * np.exp(-6.9 * t / spec.t60)).astype(np.float32)[None]
    if spec.shell:
        ring = np.array([182.0, 247.0, 333.0])
        left, _ = dsp.stereo_amplitudes(np.array([1.0, 0.7, 0.4]) * spec.shell * velocity, ring, 0.0, random)
        body += dsp.modes(ring, np.array([0.12, 0.1, 0.08]), left, left, n / dsp.RATE)[:1]
    beater = dsp.burst(random, 0.02, 0.012, dsp.band(1500, 7000, 1.0), 1)
    dsp.add(body, beater, spec.click * (0.25 + 0.75 * velocity**1.5))
    body *= dsp.rise(n, 0.0006)
    out = np.repeat(dsp.saturate(body, spec.drive * (0.6 + 0.5 * velocity)), 2, axis=0)
    puff = dsp.burst(random, 0.12, 0.10, dsp.band(400, 12_000, 0.7), 2, 0.8)
    dsp.add(out, puff, spec.air * velocity)
    return dsp.fade_end(out, 0.1)


@dataclass(frozen=True, slots=True)
class Snare:
    """Snare drum: two shell modes and the wires' noise. brush: seconds over which the noise swells (0 = stick)."""

    tone: tuple[float, float] = (182.0, 331.0)
    ring: float = 0.16
    wires: float = 0.9
    wire_t60: float = 0.22
    bright: float = 9000.0
    stick: float = 0.4
    brush: float = 0.0
    drive: float = 0.8


def snare(spec: Snare, velocity: float, random: np.random.Generator) -> Audio:
    """[2, N] one stroke."""
    seconds = 1.3 * max(spec.ring, spec.wire_t60) + 0.05
    low, high = spec.tone
    freqs = np.array([low, high, 1.42 * high, 1.93 * high, 2.6 * high]) * random.uniform(0.99, 1.01)
    amps = np.array([1.0, 0.6, 0.3, 0.2, 0.12]) * (0.5 + 0.5 * velocity)
    left, right = dsp.stereo_amplitudes(amps, freqs, 0.4, random)
    out = dsp.modes(freqs, spec.ring * np.array([1.0, 0.8, 0.6, 0.5, 0.4]), left, right, seconds)
    n = out.shape[1]
    top = spec.bright * (0.45 + 0.75 * velocity)
    hiss = dsp.noise(random, n, lambda f: dsp.high_pass(f, 900.0, 1.2) * dsp.low_pass(f, top, 0.9), 2, 0.45)
    fast = 0.7 * dsp.decay(n, 0.35 * spec.wire_t60) + 0.5 * dsp.decay(n, spec.wire_t60 * (0.7 + 0.5 * velocity))
    shape = fast * dsp.rise(n, max(spec.brush, 0.0008))
    out += np.float32(spec.wires * (0.5 + 0.6 * velocity)) * hiss * shape
    tick = dsp.burst(random, 0.015, 0.010, dsp.band(1500, 15_000, 0.8), 2, 0.2)
    dsp.add(out, tick, spec.stick * velocity)
    return dsp.fade_end(_press(out, spec.drive), 0.3 * seconds)


def _press(out: Audio, drive: float) -> Audio:
    """`out` with its peaks rounded by saturation, at full scale 1."""
    peak = float(np.max(np.abs(out))) + 1e-9
    return dsp.saturate(out / np.float32(peak), drive) if drive else out


@dataclass(frozen=True, slots=True)
class Metal:
    """Hats, cymbals, gongs: many inharmonic modes and a wash of noise.

    low, high: range of the modes, Hz; count; t60: (of the lowest, of the highest) seconds; wash: noise level and band;
    bloom: seconds over which the upper modes rise (energy climbing up a gong); tones: strong pitches (Hz, level).
    """

    low: float
    high: float
    count: int
    t60: tuple[float, float]
    wash: float = 0.5
    wash_band: tuple[float, float] = (5000.0, 16_000.0)
    tilt: float = 0.0
    bloom: float = 0.0
    tones: tuple[tuple[float, float], ...] = ()
    stick: float = 0.5
    width: float = 0.7
    glide: float = 0.0
    seconds: float = 3.0


def metal(spec: Metal, velocity: float, random: np.random.Generator) -> Audio:
    """[2, N] one stroke. Loud strokes are brighter and their modes longer."""
    place = np.sort(random.uniform(0.0, 1.0, spec.count))
    freqs = spec.low * (spec.high / spec.low) ** place
    amps = random.rayleigh(0.7, spec.count) * freqs**-spec.tilt * spec.low**spec.tilt
    top = spec.high * (0.35 + 0.9 * velocity)
    amps *= dsp.low_pass(freqs, top, 1.5) / np.sqrt(spec.count)
    t60 = spec.t60[0] * (spec.t60[1] / spec.t60[0]) ** place * random.uniform(0.7, 1.3, spec.count)
    if spec.tones:
        freqs = np.append(freqs, [hz for hz, _ in spec.tones])
        amps = np.append(amps, [level for _, level in spec.tones])
        t60 = np.append(t60, np.full(len(spec.tones), max(spec.t60)))
    amps = amps * np.exp(2j * np.pi * random.uniform(0, 1, amps.size))
    left, right = dsp.stereo_amplitudes(np.abs(amps), freqs, spec.width, random)
    spin = amps / np.maximum(np.abs(amps), 1e-12)
    left, right = left * spin, right * spin
    if spec.bloom:
        late = spec.bloom * np.clip(np.log2(freqs / spec.low) / np.log2(spec.high / spec.low), 0.05, 1.0)
        keep = np.where(freqs < 2.5 * spec.low, 0.0, 0.75)
        freqs, t60 = np.concatenate([freqs, freqs]), np.concatenate([t60, np.minimum(6.9 * late, t60 * 0.9)])
        left, right = np.concatenate([left, -keep * left]), np.concatenate([right, -keep * right])
    seconds = min(spec.seconds, 1.15 * float(t60.max()) + 0.05)
    out = dsp.modes(freqs, t60, left, right, seconds)
    out *= dsp.rise(out.shape[1], 0.0007)
    _wash(spec, out, velocity, random)
    if spec.glide:
        t = dsp.times(out.shape[1])
        out = dsp.bend(out, spec.glide * (1.0 - np.exp(-t / 0.12)))
    return dsp.fade_end(out, 0.35 * seconds)


def _wash(spec: Metal, out: Audio, velocity: float, random: np.random.Generator) -> None:
    n = out.shape[1]
    low, high = spec.wash_band
    hiss = dsp.noise(random, n, dsp.band(low, high * (0.6 + 0.5 * velocity), 1.3), 2, 0.7)
    shape = 0.6 * dsp.decay(n, 0.8 * max(spec.t60[1], 0.03)) + 0.4 * dsp.decay(n, 0.6 * max(spec.t60))
    out += np.float32(spec.wash * (0.3 + 0.7 * velocity)) * hiss * shape * dsp.rise(n, 0.001)
    tick = dsp.burst(random, 0.012, 0.008, dsp.band(2500, 15_000, 0.8), 2, 0.3)
    dsp.add(out, tick, spec.stick * velocity)


@dataclass(frozen=True, slots=True)
class Drum:
    """Taiko, tom, frame drum, dagu: a membrane whose pitch falls a little, and the slap of the hand or stick."""

    f0: float
    t60: float
    drop: float = 0.25
    slap: float = 0.4
    slap_band: tuple[float, float] = (500.0, 7000.0)
    overtones: float = 0.5
    room: float = 0.0
    width: float = 0.4


def drum(spec: Drum, velocity: float, random: np.random.Generator) -> Audio:
    """[2, N] one stroke."""
    f0 = spec.f0 * random.uniform(0.985, 1.015)
    order = np.arange(_MEMBRANE.size, dtype=np.float64)
    freqs = f0 * _MEMBRANE * np.where(order, random.uniform(0.985, 1.015, order.size), 1.0)
    amps = np.where(order, spec.overtones * (0.3 + 0.7 * velocity) * 0.9**order, 1.0)
    t60 = spec.t60 / (1.0 + 0.55 * order)
    seconds = min(2.5, 1.15 * spec.t60 + 0.05)
    left, right = dsp.stereo_amplitudes(amps, freqs, spec.width, random)
    out = dsp.modes(freqs, t60, left, right, seconds)
    t = dsp.times(int(0.35 * dsp.RATE))
    out = dsp.bend(out, 12.0 * np.log2(1.0 + spec.drop * velocity * np.exp(-t / 0.05)))
    out *= dsp.rise(out.shape[1], 0.0012)
    low, high = spec.slap_band
    slap = dsp.burst(random, 0.08, 0.05, dsp.band(low, high * (0.4 + 0.7 * velocity), 0.8), 2, 0.4)
    dsp.add(out, slap, spec.slap * (0.25 + 0.75 * velocity))
    skin = dsp.burst(random, 0.012, 0.008, dsp.band(3000, 15_000, 0.8), 2, 0.3)
    dsp.add(out, skin, 0.5 * spec.slap * velocity)
    if spec.room:
        far = dsp.burst(random, min(seconds, 0.6), 0.5, dsp.band(150, 5000, 0.8), 2, 1.0)
        dsp.add(out, far, 0.12 * spec.room, int(0.009 * dsp.RATE))
    return dsp.fade_end(_press(out, 0.7), 0.35 * seconds)


@dataclass(frozen=True, slots=True)
class Block:
    """Woodblock, claves, rim: two or three short modes and a tick."""

    freqs: tuple[float, ...]
    t60: float
    tick: float = 0.5
    tick_band: tuple[float, float] = (1500.0, 14_000.0)


def block(spec: Block, velocity: float, random: np.random.Generator) -> Audio:
    """[2, N] one stroke."""
    freqs = np.array(spec.freqs) * random.uniform(0.995, 1.005)
    order = np.arange(freqs.size, dtype=np.float64)
    amps = 0.6**order * (0.3 + 0.7 * velocity) ** (0.6 * order)
    left, right = dsp.stereo_amplitudes(amps, freqs, 0.4, random)
    out = dsp.modes(freqs, spec.t60 / (1.0 + 0.5 * order), left, right, 1.3 * spec.t60 + 0.03)
    low, high = spec.tick_band
    tick = dsp.burst(random, 0.03, 0.012, dsp.band(low, high * (0.4 + 0.6 * velocity), 0.8), 2, 0.4)
    out *= dsp.rise(out.shape[1], 0.0005)
    dsp.add(out, tick, spec.tick * (0.3 + 0.7 * velocity))
    return dsp.fade_end(out, 0.02)


@dataclass(frozen=True, slots=True)
class Grains:
    """Shaker, clap, brush swish: shaped noise. strikes: seconds of its bursts; swell: attack seconds of each."""

    low: float
    high: float
    t60: float
    swell: float = 0.001
    strikes: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    jingles: float = 0.0
    width: float = 0.6


def grains(spec: Grains, velocity: float, random: np.random.Generator) -> Audio:
    """[2, N] one stroke."""
    last = max(at for at, _ in spec.strikes)
    n = int((last + 1.2 * spec.t60 + spec.swell + 0.02) * dsp.RATE)
    out = np.zeros((2, n), np.float32)
    high = spec.high * (0.5 + 0.6 * velocity)
    for at, level in spec.strikes:
        size = n - int(at * dsp.RATE)
        hiss = dsp.noise(random, size, dsp.band(spec.low, high, 1.2), 2, spec.width)
        is_last = at == last
        shape = dsp.decay(size, spec.t60 if is_last else min(0.03, spec.t60))
        dsp.add(out, hiss * shape * dsp.rise(size, spec.swell), level, int(at * dsp.RATE))
    if spec.jingles:
        freqs = np.sort(random.uniform(4200, 15_000, 60))
        left, right = dsp.stereo_amplitudes(random.rayleigh(0.2, 60), freqs, 0.8, random)
        ring = dsp.modes(freqs, random.uniform(0.5, 1.4, 60) * spec.t60, left, right, n / dsp.RATE)
        out += np.float32(spec.jingles * (0.4 + 0.6 * velocity)) * ring
    return dsp.fade_end(out, 0.3 * n / dsp.RATE)


Model = Kick | Snare | Metal | Drum | Block | Grains


def strike(spec: Model, velocity: float, random: np.random.Generator) -> Audio:
    """[2, N] one stroke of any percussion model."""
    match spec:
        case Kick():
            return kick(spec, velocity, random)
        case Snare():
            return snare(spec, velocity, random)
        case Metal():
            return metal(spec, velocity, random)
        case Drum():
            return drum(spec, velocity, random)
        case Block():
            return block(spec, velocity, random)
        case Grains():
            return grains(spec, velocity, random)

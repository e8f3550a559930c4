"""Transitions: riser, impact, reverse cymbal, sub drop, swell. Those that lead somewhere end exactly with the note."""

from __future__ import annotations

from typing import Final

import numpy as np

from core.starter.synth import dsp
from core.starter.synth.dsp import Audio
from core.starter.synth.kits import KITS
from core.starter.synth.percussion import Drum, Metal, drum, metal

RISER, IMPACT, REVERSE_CYMBAL, SUB_DROP, SWELL = range(5)
FX: Final = ("riser", "impact", "reverse_cymbal", "sub_drop", "swell")
_RELEASE_SECONDS: Final = 0.04


def effect(kind: int, seconds: float, velocity: float, seed: tuple[object, ...]) -> Audio:
    """[2, N] effect `kind` (RISER ...) of peak 1; RISER, REVERSE_CYMBAL and SWELL peak `seconds` after the start."""
    random = dsp.generator(*seed)
    seconds = float(np.clip(seconds, 0.25, 12.0))
    if kind == IMPACT:
        out = _impact(velocity, random)
    elif kind == SUB_DROP:
        out = _sub_drop(max(seconds, 0.8))
    elif kind == REVERSE_CYMBAL:
        out = _reverse_cymbal(seconds, velocity, random)
    elif kind == RISER:
        out = _riser(seconds, velocity, random)
    else:
        out = _swell(seconds, random)
    return np.asarray(out / (float(np.max(np.abs(out))) + 1e-9), np.float32)


def _led(seconds: float) -> tuple[int, Audio]:
    """Samples of a lead-in of `seconds` with its release, and [N] the place in it: 0 at the start, 1 at the end."""
    n = int((seconds + _RELEASE_SECONDS) * dsp.RATE)
    return n, np.minimum(dsp.times(n) / seconds, 1.0).astype(np.float32)


def _stop(out: Audio) -> Audio:
    return dsp.fade_end(out, _RELEASE_SECONDS)


def _moving_band(random: np.random.Generator, n: int, place: Audio, low: float, high: float) -> Audio:
    """[2, N] noise whose band climbs from `low` to `high` Hz along `place`: neighbouring fixed bands crossfaded."""
    steps = 7
    out = np.zeros((2, n), np.float32)
    centres = low * (high / low) ** (np.arange(steps) / (steps - 1))
    for k, centre in enumerate(centres):
        weight = np.clip(1.0 - np.abs(place * (steps - 1) - k), 0.0, 1.0) ** 0.5
        hiss = dsp.noise(random, n, dsp.band(0.6 * centre, min(1.9 * centre, 17_000), 1.5), 2, 0.8)
        out += weight.astype(np.float32) * hiss
    return out


def _riser(seconds: float, velocity: float, random: np.random.Generator) -> Audio:
    n, place = _led(seconds)
    out = 0.8 * _moving_band(random, n, place, 350.0, 9000.0)
    t = dsp.times(n)
    for cents in (-14.0, -4.0, 5.0, 13.0):
        f = 110.0 * 2.0 ** (2.0 * place.astype(np.float64) ** 1.5 + cents / 1200.0)
        phase = 2 * np.pi * np.cumsum(f) / dsp.RATE + random.uniform(0, 6.28)
        tone = sum(np.sin(k * phase) / k for k in range(1, 9))
        side = np.float32(0.5 + 0.04 * cents)
        out += np.stack([(1 - side) * tone, side * tone]).astype(np.float32) * np.float32(0.35)
    pulse = 1.0 - 0.35 * (0.5 + 0.5 * np.cos(2 * np.pi * (2.0 * t + 3.0 * t**2 / seconds)))
    grow = (place**2.2 * (0.15 + 0.85 * place)).astype(np.float32)
    return _stop(np.asarray(out * grow * pulse.astype(np.float32) * np.float32(0.5 + 0.5 * velocity), np.float32))


def _reverse_cymbal(seconds: float, velocity: float, random: np.random.Generator) -> Audio:
    spec = Metal(
        450, 17_000, 240, (max(1.6, 1.1 * seconds), max(0.9, 0.6 * seconds)), 0.5, (3000, 17_000), 0.2, seconds=seconds
    )
    crash = metal(spec, 0.5 + 0.5 * velocity, random)[:, ::-1]
    n, place = _led(seconds)
    body = n - int(_RELEASE_SECONDS * dsp.RATE)
    out = np.zeros((2, n), np.float32)
    part = crash[:, -body:]
    out[:, body - part.shape[1] : body] = part
    out *= place**1.2
    return out


def _swell(seconds: float, random: np.random.Generator) -> Audio:
    n, place = _led(seconds)
    out = 0.5 * _moving_band(random, n, place, 600.0, 4500.0)
    out += 0.4 * dsp.noise(random, n, dsp.band(5000, 15_000, 1.0), 2, 0.8) * place
    return _stop(np.asarray(out * place**2.6, np.float32))


def _impact(velocity: float, random: np.random.Generator) -> Audio:
    n = int(3.0 * dsp.RATE)
    t = dsp.times(n)
    phase = 36.0 * t + 60.0 * 0.06 * (1.0 - np.exp(-t / 0.06))
    boom = np.sin(2 * np.pi * phase) * np.exp(-6.9 * t / 1.8)
    boom += 0.4 * np.sin(4 * np.pi * phase) * np.exp(-6.9 * t / 0.9)
    out = np.repeat(boom.astype(np.float32)[None], 2, axis=0) * dsp.rise(n, 0.001)
    dsp.add(out, drum(Drum(52, 1.4, 0.3, 0.8, (250, 9000), 0.8, 1.0, 0.6), velocity, random), 0.9)
    crash = KITS["kit_cinematic"][49].model
    assert isinstance(crash, Metal)
    dsp.add(out, metal(crash, 0.5 + 0.4 * velocity, random), 0.30)
    rumble = dsp.noise(random, n, dsp.band(110, 1600, 0.7), 2, 0.7) * dsp.decay(n, 1.5)
    out += np.float32(0.16) * rumble * dsp.rise(n, 0.002)
    return dsp.fade_end(out, 1.0)


def _sub_drop(seconds: float) -> Audio:
    n = int(seconds * dsp.RATE)
    t = dsp.times(n)
    f = 30.0 + 62.0 * np.exp(-t / (0.35 * seconds))
    phase = 2 * np.pi * np.cumsum(f) / dsp.RATE
    tone = np.sin(phase) + 0.25 * np.sin(2 * phase) + 0.12 * np.sin(3 * phase)
    out = (tone * np.exp(-2.5 * t / seconds)).astype(np.float32)[None] * dsp.rise(n, 0.008)
    return dsp.fade_end(np.repeat(out, 2, axis=0), 0.4 * seconds)

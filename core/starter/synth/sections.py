"""Sustained groups and pads: several detuned players rendered as one seamless loop, dark and bright."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import fft

from core.starter.synth import dsp, timbre
from core.starter.synth.dsp import Audio, Real
from core.starter.synth.timbre import Timbre

LOOP: Final = 1 << 17  # 2.73 s; twice that for low notes, so that whole periods per loop stay in tune


@dataclass(frozen=True, slots=True)
class Section:
    """A section of players or the oscillators of a pad.

    layers: (frequency ratio, level) of doublings; players in each; detune: cents of spread; drift: slow wander, cents;
    vibrato: cents (its rate is the player's own, 4.8-6.2 Hz); stroke: depth of bow tremolo 0..1;
    breath: (level, low Hz, high Hz) of bow or breath noise; width: how far apart the players sit.
    """

    timbre: Timbre
    layers: tuple[tuple[float, float], ...] = ((1.0, 1.0),)
    players: int = 6
    detune: float = 6.0
    drift: float = 4.0
    vibrato: float = 0.0
    stroke: float = 0.0
    breath: tuple[float, float, float] = (0.0, 1000.0, 8000.0)
    width: float = 0.8


STRING_BODY = ((290, 120, 4), (480, 160, 4), (950, 400, 3), (1500, 700, 1), (2700, 1600, 6), (4200, 2000, 2))
LOW_BODY = ((110, 60, 3), (210, 90, 3), (420, 200, 3), (800, 500, 2), (1900, 1200, 4))
STRINGS = Section(Timbre(1.05, 1.0, (1500, 5200), 1.6, 0.4, STRING_BODY, 110, scatter=2.5), players=8, detune=7,
                  vibrato=13, breath=(0.055, 1200, 11_000))  # fmt: skip
LOW_STRINGS = Section(Timbre(1.0, 1.0, (800, 3000), 1.5, 0.4, LOW_BODY, 55, scatter=2.5), players=7, detune=6,
                      vibrato=9, breath=(0.05, 700, 8_000), width=0.7)  # fmt: skip
TREMOLO = Section(Timbre(1.0, 1.0, (1700, 6000), 1.5, 0.4, STRING_BODY, 110, scatter=2.5), players=8, detune=8,
                  vibrato=3, stroke=0.75, breath=(0.11, 1500, 12_000))  # fmt: skip
WARM = Section(Timbre(1.1, 1.0, (620, 1900), 2.0, 0.35, ((400, 300, 2),), 90), ((1, 1), (0.5, 0.3), (2, 0.12)), 5, 9, 4,
               breath=(0.008, 1500, 9000))  # fmt: skip
BRIGHT = Section(Timbre(0.95, 0.9, (1600, 6500), 1.6, 0.4, ((2600, 1800, 3),), 110), ((1, 1), (2, 0.28)), 6, 11, 4,
                 breath=(0.02, 3000, 14_000), width=0.9)  # fmt: skip
DARK = Section(Timbre(1.2, 0.8, (300, 850), 2.0, 0.3, ((240, 150, 2),), 70), ((1, 1), (0.5, 0.45)), 5, 10, 5,
               breath=(0.012, 400, 5000), width=0.7)  # fmt: skip
DRONE = Section(Timbre(1.05, 0.9, (330, 1300), 1.6, 0.2, ((180, 90, 2), (520, 200, 3), (1250, 500, 4)), 42),
                ((1, 1), (1.5, 0.22), (2, 0.4), (4, 0.08)), 4, 8, 6, breath=(0.035, 300, 9000), width=0.7)  # fmt: skip
CHOIR = Section(Timbre(1.15, 1.0, (1300, 3800), 1.6, 0.1, ((650, 160, 12), (1100, 200, 9), (2750, 500, 9), (3500, 700, 6)), 110,
                scatter=1.5), players=8, detune=12, drift=7, vibrato=20, breath=(0.05, 1500, 10_000), width=0.9)  # fmt: skip


def loop(spec: Section, pitch: int, random: np.random.Generator) -> Audio:
    """[4, N] one seamless loop of `spec` at `pitch`: dark left, dark right, bright left, bright right."""
    f0 = dsp.hertz(pitch)
    size = LOOP * 2 if f0 < 140.0 else LOOP
    out = np.zeros((4, size), np.float32)
    for ratio, level in spec.layers:
        for player in range(spec.players):
            _add_player(spec, out, f0 * ratio, level, player, random)
    if f0 * spec.layers[0][0] < 3.0 * dsp.MONO_BELOW_HZ or len(spec.layers) > 1:
        _narrow_lows(out)
    level, low, high = spec.breath
    if level:
        rms = float(np.sqrt(np.mean(out[2:] ** 2)))
        hiss = dsp.noise(random, size, dsp.band(low, high, 1.0), 2, 0.9)
        out[:2] += np.float32(0.5 * level * rms) * hiss
        out[2:] += np.float32(level * rms) * hiss
    return out


def _add_player(spec: Section, out: Audio, f0: float, level: float, player: int, random: np.random.Generator) -> None:
    size = out.shape[1]
    turn = np.arange(size) * (2.0 * np.pi / size)
    place = (player - 0.5 * (spec.players - 1)) / max(spec.players - 1, 1)  # -0.5 .. 0.5
    order = (player * 3) % spec.players - 0.5 * (spec.players - 1)  # neighbours on stage are not neighbours in pitch
    cents = spec.detune * order / spec.players * 2.0 + random.uniform(-0.5, 0.5)
    cycles = max(1, round(f0 * 2.0 ** (cents / 1200.0) * size / dsp.RATE))
    phase = np.arange(size) * (cycles / size) + random.uniform()
    phase += _wander(spec.drift, f0, turn, random)
    bow = np.float32(1.0)
    if spec.vibrato:
        swings = round(random.uniform(4.8, 6.2) * size / dsp.RATE)
        depth = spec.vibrato * random.uniform(0.7, 1.3)
        phase += _sway(depth, f0, swings, turn, random)
    wave_bow: Audio | np.float32 = bow
    if spec.stroke:
        strokes = round(random.uniform(6.8, 8.6) * size / dsp.RATE)
        swing = np.cos(strokes * turn + random.uniform(0, 6.28) + 0.5 * np.sin(3 * turn + random.uniform(0, 6.28)))
        wave_bow = (1.0 - spec.stroke * (0.5 + 0.5 * swing) ** 2).astype(np.float32)
    table = timbre.tables(spec.timbre, round(f0 * 1.02, 2), player)
    angle = (0.25 + 0.5 * spec.width * place) * np.pi
    for row, bright in enumerate((0.0, 1.0)):
        wave = _read_row(table[row], phase) * wave_bow * np.float32(level / np.sqrt(spec.players))
        out[2 * row] += np.float32(np.cos(angle)) * wave
        out[2 * row + 1] += np.float32(np.sin(angle)) * wave


def _read_row(row: Audio, phase: Real) -> Audio:
    place = np.mod(phase, 1.0) * timbre.SIZE
    index = place.astype(np.int32)
    value = row[index]
    value += (place - index).astype(np.float32) * (row[index + 1] - value)
    return value


def _wander(cents: float, f0: float, turn: Real, random: np.random.Generator) -> Real:
    """Phase in periods of a slow random pitch drift that closes on itself after one loop."""
    seconds = turn.size / dsp.RATE
    total = np.zeros_like(turn)
    for swings in (1, 2, 3):
        total += _sway(cents * random.uniform(0.3, 0.8), f0, swings, turn, random)
    return total if seconds else turn


def _sway(cents: float, f0: float, swings: int, turn: Real, random: np.random.Generator) -> Real:
    """Phase in periods of a sinusoidal vibrato of `cents` with `swings` in one loop."""
    rate = swings * dsp.RATE / turn.size
    depth_hz = f0 * (2.0 ** (cents / 1200.0) - 1.0)
    return np.asarray(depth_hz / (2.0 * np.pi * rate) * np.sin(swings * turn + random.uniform(0, 6.28)))


def _narrow_lows(out: Audio) -> None:
    """Make what lies under MONO_BELOW_HZ equal left and right, in place; a loop may be filtered as a circle."""
    side = 0.5 * (out[0::2] - out[1::2])
    middle = 0.5 * (out[0::2] + out[1::2])
    spectrum = fft.rfft(side, axis=1)
    f = fft.rfftfreq(out.shape[1], 1.0 / dsp.RATE)
    spectrum *= dsp.high_pass(f, 1.4 * dsp.MONO_BELOW_HZ, 5.0).astype(np.float32)
    side = fft.irfft(spectrum, out.shape[1], axis=1)
    out[0::2], out[1::2] = middle + side, middle - side

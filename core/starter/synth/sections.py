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
_STEP: Final = 128  # samples between the points at which pitch curves are computed


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
STRINGS = Section(
    Timbre(
        tilt=1.05, even=1.0, cutoff=(1500, 5200), order=1.6, track=0.4, formants=STRING_BODY, floor_hz=110, scatter=2.5
    ),
    players=7,
    detune=3.5,
    vibrato=9,
    breath=(0.055, 1200, 11000),
)
LOW_STRINGS = Section(
    Timbre(tilt=1.0, even=1.0, cutoff=(800, 3000), order=1.5, track=0.4, formants=LOW_BODY, floor_hz=55, scatter=2.5),
    players=7,
    detune=5,
    vibrato=8,
    breath=(0.05, 700, 8000),
    width=0.7,
)
TREMOLO = Section(
    Timbre(
        tilt=1.0, even=1.0, cutoff=(1700, 6000), order=1.5, track=0.4, formants=STRING_BODY, floor_hz=110, scatter=2.5
    ),
    players=8,
    detune=8,
    vibrato=3,
    stroke=0.75,
    breath=(0.11, 1500, 12000),
)
WARM = Section(
    Timbre(tilt=1.1, even=1.0, cutoff=(620, 1900), order=2.0, track=0.35, formants=((400, 300, 2),), floor_hz=90),
    layers=((1, 1), (0.5, 0.3), (2, 0.12)),
    players=4,
    detune=4,
    drift=2,
    breath=(0.003, 1500, 9000),
)
BRIGHT = Section(
    Timbre(tilt=0.95, even=0.9, cutoff=(1600, 6500), order=1.6, track=0.4, formants=((2600, 1800, 3),), floor_hz=110),
    layers=((1, 1), (2, 0.28)),
    players=5,
    detune=5,
    drift=2.5,
    breath=(0.01, 3000, 14000),
    width=0.9,
)
DARK = Section(
    Timbre(tilt=1.2, even=0.8, cutoff=(300, 850), order=2.0, track=0.3, formants=((240, 150, 2),), floor_hz=70),
    layers=((1, 1), (0.5, 0.45)),
    players=4,
    detune=4,
    drift=2.5,
    breath=(0.009, 400, 5000),
    width=0.7,
)
DRONE = Section(
    Timbre(
        tilt=1.05,
        even=0.9,
        cutoff=(330, 1300),
        order=1.6,
        track=0.2,
        formants=((180, 90, 2), (520, 200, 3), (1250, 500, 4)),
        floor_hz=50,
    ),
    layers=((1, 1), (1.5, 0.22), (2, 0.4), (4, 0.08)),
    players=4,
    detune=3,
    drift=2,
    breath=(0.015, 300, 9000),
    width=0.7,
)
CHOIR = Section(
    Timbre(
        tilt=1.15,
        even=1.0,
        cutoff=(1300, 3800),
        order=1.6,
        track=0.1,
        formants=((650, 160, 12), (1100, 200, 9), (2750, 500, 9), (3500, 700, 6)),
        floor_hz=110,
        scatter=1.5,
    ),
    players=6,
    detune=5,
    drift=2.5,
    vibrato=12,
    breath=(0.035, 1500, 10000),
    width=0.9,
)


def loop(spec: Section, pitch: int, random: np.random.Generator) -> Audio:
    """[4, N] one seamless loop of `spec` at `pitch`: dark left, dark right, bright left, bright right."""
    f0 = dsp.hertz(pitch)
    size = _loop_samples(f0)
    mix = np.zeros((2, size), np.complex64)  # real part dark, imaginary part bright
    for ratio, level in spec.layers:
        for player in range(spec.players):
            _add_player(spec, mix, f0 * ratio, level, player, random)
    out = np.stack([mix[0].real, mix[1].real, mix[0].imag, mix[1].imag])
    if f0 < 3.0 * dsp.MONO_BELOW_HZ or len(spec.layers) > 1:
        _narrow_lows(out)
    level, low, high = spec.breath
    if level:
        rms = float(np.sqrt(np.mean(out[2:] ** 2)))
        hiss = np.float32(level * rms) * dsp.noise(random, size, dsp.band(low, high, 1.0), 2, 0.9)
        out[:2] += np.float32(0.5) * hiss
        out[2:] += hiss
    return out


def _loop_samples(f0: float) -> int:
    """Length near LOOP (near twice LOOP for low notes) that holds almost exactly a whole number of periods."""
    about = LOOP * (2 if f0 < 140.0 else 1)
    sizes = np.arange(about - about // 8, about + 1, _STEP)
    periods = sizes * (f0 / dsp.RATE)
    return int(sizes[np.argmin(np.abs(periods - np.round(periods)))])


def _add_player(
    spec: Section, mix: timbre.Tables, f0: float, level: float, player: int, random: np.random.Generator
) -> None:
    size = mix.shape[1]
    turn = np.arange(0, size + 1, _STEP) * (2.0 * np.pi / size)
    place = (player - 0.5 * (spec.players - 1)) / max(spec.players - 1, 1)  # -0.5 .. 0.5
    order = (player * 3) % spec.players - 0.5 * (spec.players - 1)  # neighbours on stage are not neighbours in pitch
    middle = f0 * size / dsp.RATE
    away = middle * (2.0 ** (2.0 * spec.detune * abs(order) / spec.players / 1200.0) - 1.0)
    cycles = max(1, round(middle) + round(away) * (1 if order > 0 else -1))
    phase = turn * (cycles / (2.0 * np.pi)) + random.uniform() + 4.0  # whole periods keep it from being negative
    for swings in (1, 2, 3):
        phase += _sway(spec.drift * random.uniform(0.3, 0.8), f0, swings, turn, random)
    if spec.vibrato:
        swings = round(random.uniform(4.8, 6.2) * size / dsp.RATE)
        phase += _sway(spec.vibrato * random.uniform(0.7, 1.3), f0, swings, turn, random)
    wave = timbre.read(timbre.tables(spec.timbre, round(f0 * 1.02, 2), player), dsp.refine(phase, size, _STEP))
    if spec.stroke:
        strokes = round(random.uniform(6.8, 8.6) * size / dsp.RATE)
        swing = np.cos(strokes * turn + random.uniform(0, 6.28) + 0.5 * np.sin(3 * turn + random.uniform(0, 6.28)))
        wave *= dsp.refine(1.0 - spec.stroke * (0.5 + 0.5 * swing) ** 2, size, _STEP).astype(np.float32)
    angle = (0.25 + 0.5 * spec.width * place) * np.pi
    wave *= np.float32(level / np.sqrt(spec.players))
    mix[0] += np.float32(np.cos(angle)) * wave
    mix[1] += np.float32(np.sin(angle)) * wave


def _sway(cents: float, f0: float, swings: int, turn: Real, random: np.random.Generator) -> Real:
    """Phase in periods of a sinusoidal vibrato of `cents` with `swings` in one loop."""
    rate = swings * dsp.RATE / (_STEP * (turn.size - 1))
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

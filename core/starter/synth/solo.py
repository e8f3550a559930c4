"""Single players made note by note: pitch, vibrato, loudness and brightness are curves of the note itself.

Winds, brass, fiddles and monophonic synthesisers need a slide into the note, a vibrato that waits, a swell; a sampler
can't give that, and one voice is cheap: two wavetable readings a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft

from core.starter.synth import dsp, timbre
from core.starter.synth.dsp import Audio, Real
from core.starter.synth.timbre import Timbre


@dataclass(frozen=True, slots=True)
class Solo:
    """One player, or a few in unison.

    detune: cents of each; spread: how far apart they sit; attack, release: seconds; swell: dB long notes rise;
    bright: (at velocity 0, at velocity 1) place between the dark and bright table; fall: seconds in which a synth's
    brightness closes (0 = held); vibrato: (rate Hz, cents, delay seconds); shake: vibrato in level, 0..1;
    scoop: cents the note starts flat; jitter: cents of unsteadiness; slide: seconds a glide of some semitones takes;
    breath: (level, low, high as multiples of the note, hiss level above); chiff: level of the noise at the attack;
    body: number of random narrow resonances of the corpus, 0 = none; octave: level of an octave below; punch: extra
    level of the first tenth of a second (voices with it also start in phase).
    """

    timbre: Timbre
    detune: tuple[float, ...] = (0.0,)
    spread: float = 0.0
    attack: float = 0.06
    release: float = 0.12
    swell: float = 0.0
    bright: tuple[float, float] = (0.0, 1.0)
    fall: float = 0.0
    vibrato: tuple[float, float, float] = (5.4, 0.0, 0.3)
    shake: float = 0.0
    scoop: float = 0.0
    jitter: float = 2.5
    slide: float = 0.11
    breath: tuple[float, float, float, float] = (0.0, 0.8, 4.0, 0.0)
    chiff: float = 0.0
    body: int = 0
    octave: float = 0.0
    punch: float = 0.0


VIOLIN = Solo(
    Timbre(
        tilt=1.0,
        even=1.0,
        cutoff=(1900, 6500),
        order=1.5,
        track=0.3,
        formants=((285, 90, 4), (460, 120, 5), (1100, 400, 2), (2600, 1400, 6)),
        floor_hz=150,
        scatter=2,
    ),
    attack=0.075,
    release=0.13,
    swell=2.5,
    bright=(0.05, 0.9),
    vibrato=(5.6, 20, 0.22),
    shake=0.1,
    scoop=14,
    jitter=3,
    breath=(0.035, 3.0, 14.0, 0.013),
    chiff=0.25,
    body=60,
)
ERHU = Solo(
    Timbre(
        tilt=0.85,
        even=1.0,
        cutoff=(1800, 6200),
        order=1.6,
        track=0.2,
        formants=((500, 160, 9), (1200, 320, 9), (2700, 700, 8), (4100, 1200, 3)),
        floor_hz=200,
        scatter=1.5,
    ),
    attack=0.055,
    release=0.11,
    swell=3.0,
    bright=(0.1, 0.9),
    vibrato=(5.9, 30, 0.28),
    shake=0.12,
    scoop=30,
    jitter=4,
    slide=0.14,
    breath=(0.042, 2.5, 9.0, 0.014),
    chiff=0.3,
    body=36,
)
DIZI = Solo(
    Timbre(
        tilt=1.0,
        even=0.75,
        cutoff=(3200, 9000),
        order=1.5,
        track=0.3,
        formants=((1800, 900, 4), (4200, 1800, 9), (7000, 2500, 6)),
        floor_hz=200,
        scatter=1.0,
    ),
    attack=0.028,
    release=0.07,
    swell=1.5,
    bright=(0.15, 0.95),
    vibrato=(5.3, 9, 0.3),
    shake=0.16,
    scoop=22,
    jitter=3,
    slide=0.08,
    breath=(0.09, 0.9, 5.0, 0.028),
    chiff=0.8,
)
FLUTE = Solo(
    Timbre(
        tilt=1.7,
        even=0.8,
        cutoff=(1300, 3600),
        order=1.6,
        track=0.6,
        formants=((900, 900, 2), (3000, 1800, 3)),
        floor_hz=180,
    ),
    attack=0.05,
    release=0.1,
    swell=1.5,
    bright=(0.05, 0.9),
    vibrato=(5.0, 7, 0.3),
    shake=0.18,
    scoop=12,
    jitter=2.5,
    breath=(0.085, 0.9, 5.0, 0.022),
    chiff=0.6,
)
HORN = Solo(
    Timbre(
        tilt=0.75,
        even=1.0,
        cutoff=(480, 2600),
        order=2.2,
        track=0.6,
        formants=((340, 180, 4), (750, 400, 3), (1700, 900, 2)),
        floor_hz=80,
    ),
    detune=(-4.0, 3.0, 0.5),
    spread=0.5,
    attack=0.07,
    release=0.16,
    swell=2.0,
    bright=(0.0, 0.95),
    vibrato=(4.6, 4, 0.5),
    shake=0.05,
    scoop=22,
    jitter=3,
    breath=(0.02, 1.0, 8.0, 0.01),
    chiff=0.15,
)
BRASS = Solo(
    Timbre(
        tilt=0.62,
        even=1.0,
        cutoff=(1200, 6800),
        order=1.8,
        track=0.3,
        formants=((600, 400, 3), (1300, 700, 4), (2600, 1500, 4)),
        floor_hz=110,
    ),
    detune=(-7.0, 5.0, -2.0, 8.0),
    spread=0.8,
    attack=0.007,
    release=0.07,
    swell=0.0,
    bright=(0.15, 1.0),
    fall=0.28,
    vibrato=(5.2, 6, 0.4),
    scoop=20,
    jitter=4,
    breath=(0.03, 1.0, 6.0, 0.02),
    chiff=0.5,
    punch=0.6,
)
LEAD = Solo(
    Timbre(tilt=0.95, even=1.0, cutoff=(1300, 8500), order=2.0, track=0.4, formants=((2400, 1500, 2),), floor_hz=100),
    detune=(-8.0, 7.0, 0.0, 2.0),
    spread=0.7,
    attack=0.008,
    release=0.14,
    swell=0.0,
    bright=(0.2, 1.0),
    fall=0.45,
    vibrato=(5.5, 9, 0.35),
    jitter=1.0,
    slide=0.06,
    octave=0.2,
    punch=0.35,
)
SYNTH_BASS = Solo(
    Timbre(tilt=0.9, even=0.9, cutoff=(300, 3600), order=1.8, track=0.4, formants=(), floor_hz=28, first=0.8),
    detune=(-3.0, 3.0),
    spread=0.0,
    attack=0.003,
    release=0.05,
    swell=0.0,
    bright=(0.2, 1.0),
    fall=0.22,
    jitter=0.5,
    slide=0.05,
    chiff=0.08,
    punch=0.3,
)
SUB_BASS = Solo(
    Timbre(tilt=1.35, even=0.75, cutoff=(130, 1100), order=1.8, track=0.3, formants=(), floor_hz=32),
    detune=(0.0,),
    spread=0.0,
    attack=0.006,
    release=0.07,
    swell=0.0,
    bright=(0.1, 0.9),
    fall=0.5,
    jitter=0.5,
    slide=0.06,
    chiff=0.05,
)


def play(
    spec: Solo, pitch: int, velocity: float, seconds: float, glide: float, legato: bool, seed: tuple[object, ...]
) -> Audio:
    """[C, N] one note of `seconds` plus its release, about K-weighted RMS 1; C = 1 without players spread or a body.

    glide: semitones from which the pitch slides in; legato: the note before runs into this one.
    """
    random = dsp.generator(*seed)
    n = int((max(seconds, 0.03) + spec.release) * dsp.RATE)
    t = dsp.curve_times(n)
    sway = _sway(spec, t, random)
    level_curve = _level(spec, t, seconds, legato)
    cents = _cents(spec, t, glide, legato, sway, random)
    bright = dsp.refine(_brightness(spec, t, velocity, level_curve), n).astype(np.float32)
    level = dsp.refine(level_curve * (1.0 + spec.shake * sway), n).astype(np.float32)
    f0 = dsp.hertz(pitch)
    table_f0 = round(f0 * 2.0 ** (max(glide, 0.0) / 12.0) * 1.03, 1)
    out = np.zeros((2 if spec.spread else 1, n), np.float32)
    for player, detune in enumerate(spec.detune):
        own = cents + detune + (_jitter(spec.jitter, t, random) if spec.jitter else 0.0)
        phase = np.cumsum(dsp.refine(f0 / dsp.RATE * np.exp2(own / 1200.0), n))
        phase += random.uniform() * (0.08 if spec.punch else 1.0)
        pair = timbre.read(timbre.tables(spec.timbre, table_f0, player), phase)
        if spec.octave:
            pair += np.float32(spec.octave) * timbre.read(timbre.tables(spec.timbre, table_f0 / 2, 9), 0.5 * phase)
        _place(out, pair.real + bright * (pair.imag - pair.real), player, spec)
    out /= np.float32(np.sqrt(len(spec.detune)))
    _blow(spec, out, f0, velocity, random)
    out *= level
    if spec.chiff and not legato:
        _chiff(spec, out, f0, velocity, random)
    if spec.body:
        out = _resonate(spec, out)
    return dsp.fade_end(out, min(0.02, spec.release))


def _sway(spec: Solo, t: Real, random: np.random.Generator) -> Real:
    """Vibrato -1..1, still at first: the same movement shakes pitch and level."""
    rate, _, delay = spec.vibrato
    rate *= random.uniform(0.94, 1.06)
    wait = delay * random.uniform(0.8, 1.25)
    ramp = np.clip((t - wait) / 0.35, 0.0, 1.0) ** 2
    return np.asarray(ramp * np.sin(2.0 * np.pi * rate * (t - wait) * (1.0 + 0.02 * np.sin(1.7 * t))))


def _level(spec: Solo, t: Real, seconds: float, legato: bool) -> Real:
    attack = min(0.03 if legato else spec.attack, 0.6 * max(seconds, 0.03))
    up = np.sin(0.5 * np.pi * np.clip(t / attack, 0.0, 1.0)) ** 1.4
    down = np.exp(-6.0 * np.maximum(t - max(seconds, 0.03), 0.0) / spec.release)
    arc = np.sin(np.pi * np.clip(t / max(seconds, 0.05), 0.0, 1.0) ** 0.8)
    swell = 10.0 ** (spec.swell * (arc - 0.6) * min(seconds / 0.8, 1.0) / 20.0)
    punch = 1.0 + spec.punch * np.exp(-t / 0.07)
    return np.asarray(up * down * swell * punch)


def _cents(spec: Solo, t: Real, glide: float, legato: bool, sway: Real, random: np.random.Generator) -> Real:
    cents = spec.vibrato[1] * random.uniform(0.8, 1.2) * sway
    if glide:
        x = np.clip(t / (spec.slide * (1.0 + 0.06 * abs(glide))), 0.0, 1.0)
        cents += 100.0 * glide * (1.0 - x * x * (3.0 - 2.0 * x))
    elif spec.scoop and not legato:
        cents -= spec.scoop * random.uniform(0.4, 1.3) * np.exp(-t / 0.045)
    return np.asarray(cents)


def _jitter(cents: float, t: Real, random: np.random.Generator) -> Real:
    step = 0.045
    points = random.standard_normal(int(t[-1] / step) + 3)
    smooth = np.convolve(points, (0.25, 0.5, 0.25), "same")
    return np.asarray(cents * np.interp(t, np.arange(smooth.size) * step, smooth))


def _brightness(spec: Solo, t: Real, velocity: float, level: Real) -> Real:
    soft, loud = spec.bright
    amount = soft + (loud - soft) * velocity
    if spec.fall:
        return np.asarray(amount * (0.12 + 0.88 * np.exp(-t / spec.fall)))
    return np.asarray(np.clip(amount * (0.35 + 0.65 * level), 0.0, 1.2))


def _place(out: Audio, wave: Audio, player: int, spec: Solo) -> None:
    if out.shape[0] == 1:
        out[0] += wave
        return
    place = 0.5 + (player / max(len(spec.detune) - 1, 1) - 0.5) * spec.spread if len(spec.detune) > 1 else 0.5
    out[0] += np.float32(np.sqrt(2.0) * np.cos(0.5 * np.pi * place)) * wave
    out[1] += np.float32(np.sqrt(2.0) * np.sin(0.5 * np.pi * place)) * wave


def _blow(spec: Solo, out: Audio, f0: float, velocity: float, random: np.random.Generator) -> None:
    level, low, high, hiss = spec.breath
    n = out.shape[1]
    if level:
        near = _noise(round(low * f0, 1), round(min(high * f0, 12_000.0), 1))
        far = _noise(4000.0, 15_000.0)
        at = random.integers(near.size, size=2)
        blown = np.float32(level * (0.5 + 0.5 * velocity)) * near.take(np.arange(at[0], at[0] + n), mode="wrap")
        blown += np.float32(hiss * (0.4 + 0.6 * velocity)) * far.take(np.arange(at[1], at[1] + n), mode="wrap")
        out += blown


@lru_cache(maxsize=64)
def _noise(low: float, high: float) -> Audio:
    """[65536] endless band of noise, RMS 1."""
    response = dsp.band(low, high, 1.0)
    random = dsp.generator("breath", low, high)
    endless = dsp.noise(random, 1 << 16, lambda f: response(f) * dsp.high_pass(f, 150.0, 3.0))
    return np.asarray(endless[0], np.float32)


def _chiff(spec: Solo, out: Audio, f0: float, velocity: float, random: np.random.Generator) -> None:
    response = dsp.band(max(1.2 * f0, 300.0), min(max(9.0 * f0, 3000.0), 13_000.0), 1.0)
    puff = dsp.burst(random, 0.07, 0.06, response, 1) * dsp.rise(int(0.07 * dsp.RATE), min(0.5 * spec.attack, 0.02))
    dsp.add(out, puff, 0.35 * spec.chiff * (0.3 + 0.7 * velocity))


@lru_cache(maxsize=8)
def _body(count: int) -> Audio:
    """[2, 2048] impulse response of a corpus: `count` narrow resonances 250 Hz - 6 kHz over the direct sound."""
    random = dsp.generator("body", count)
    freqs = 250.0 * 24.0 ** ((np.arange(count) + random.uniform(0, 1, count)) / count)
    amps = random.standard_normal(count) * (freqs / 1000.0) ** 0.2
    left, right = dsp.stereo_amplitudes(amps, freqs, 0.55, random, phase=0.0)
    ring = dsp.modes(freqs, np.full(count, 0.03) * (1000.0 / freqs) ** 0.5, left, right, 2048 / dsp.RATE)
    ring *= np.float32(0.75 / np.sqrt(np.mean(np.sum(ring**2, axis=1))))
    ring[:, 0] += 1.0
    return dsp.fade_end(ring, 0.01)


def _resonate(spec: Solo, out: Audio) -> Audio:
    """`out` heard through the corpus, about as loud as before."""
    ring = _body(spec.body)
    n = out.shape[1]
    size = fft.next_fast_len(n + ring.shape[1], real=True)
    heard = fft.irfft(fft.rfft(out[:1], size, axis=1) * fft.rfft(ring, size, axis=1), size, axis=1)[:, :n]
    power = float(np.sqrt(np.mean(out[0] ** 2) / (np.mean(heard**2) + 1e-12)))
    return np.asarray(heard * np.float32(power), np.float32)

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

    detune: cents of each; spread: how far apart they sit; attack, release: seconds; swell: rise of level in long notes, dB;
    bright: (at velocity 0, at velocity 1) place between the dark and bright table; fall: seconds in which a synth's
    brightness closes (0 = held); vibrato: (rate Hz, cents, delay seconds); shake: vibrato in level, 0..1;
    scoop: cents the note starts flat; jitter: cents of unsteadiness; slide: seconds a glide of some semitones takes;
    breath: (level, low, high as multiples of the note, hiss level above); chiff: level of the noise at the attack;
    body: number of random narrow resonances of the corpus, 0 = none; octave: level of an octave below.
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


VIOLIN = Solo(Timbre(1.0, 1.0, (1900, 6500), 1.5, 0.3, ((285, 90, 4), (460, 120, 5), (1100, 400, 2), (2600, 1400, 6)), 150, scatter=2),
              attack=0.075, release=0.13, swell=2.5, bright=(0.05, 0.9), vibrato=(5.6, 20, 0.22), shake=0.10, scoop=14, jitter=3,
              breath=(0.05, 3.0, 14.0, 0.02), chiff=0.25, body=60)  # fmt: skip
ERHU = Solo(Timbre(0.85, 1.0, (1800, 6200), 1.6, 0.2, ((500, 160, 9), (1200, 320, 9), (2700, 700, 8), (4100, 1200, 3)), 200, scatter=1.5),
            attack=0.055, release=0.11, swell=3.0, bright=(0.1, 0.9), vibrato=(5.9, 30, 0.28), shake=0.12, scoop=30, jitter=4,
            slide=0.14, breath=(0.06, 2.5, 9.0, 0.02), chiff=0.3, body=36)  # fmt: skip
DIZI = Solo(Timbre(1.0, 0.75, (3200, 9000), 1.5, 0.3, ((1800, 900, 4), (4200, 1800, 9), (7000, 2500, 6)), 200, scatter=1.0),
            attack=0.028, release=0.07, swell=1.5, bright=(0.15, 0.95), vibrato=(5.3, 9, 0.3), shake=0.16, scoop=22, jitter=3,
            slide=0.08, breath=(0.16, 0.9, 5.0, 0.05), chiff=0.8)  # fmt: skip
FLUTE = Solo(Timbre(1.7, 0.8, (1300, 3600), 1.6, 0.6, ((900, 900, 2), (3000, 1800, 3)), 180),
             attack=0.05, release=0.10, swell=1.5, bright=(0.05, 0.9), vibrato=(5.0, 7, 0.3), shake=0.18, scoop=12, jitter=2.5,
             breath=(0.13, 0.9, 5.0, 0.04), chiff=0.6)  # fmt: skip
HORN = Solo(Timbre(0.75, 1.0, (480, 2600), 2.2, 0.6, ((340, 180, 4), (750, 400, 3), (1700, 900, 2)), 80),
            (-4.0, 3.0, 0.5), 0.5, 0.07, 0.16, 2.0, (0.0, 0.95), vibrato=(4.6, 4, 0.5), shake=0.05, scoop=22, jitter=3,
            breath=(0.02, 1.0, 8.0, 0.01), chiff=0.15)  # fmt: skip
BRASS = Solo(Timbre(0.62, 1.0, (1200, 6800), 1.8, 0.3, ((600, 400, 3), (1300, 700, 4), (2600, 1500, 4)), 110),
             (-7.0, 5.0, -2.0, 8.0), 0.8, 0.007, 0.07, 0.0, (0.15, 1.0), 0.28, (5.2, 6, 0.4), scoop=28, jitter=4,
             breath=(0.03, 1.0, 6.0, 0.02), chiff=0.5)  # fmt: skip
LEAD = Solo(Timbre(0.95, 1.0, (1300, 8500), 2.0, 0.4, ((2400, 1500, 2),), 100), (-8.0, 7.0, 0.0, 2.0), 0.7, 0.008, 0.14, 0.0, (0.2, 1.0),
            0.45, (5.5, 9, 0.35), jitter=1.0, slide=0.06, octave=0.2)  # fmt: skip
SYNTH_BASS = Solo(Timbre(0.95, 0.9, (260, 2800), 2.0, 0.5, (), 28), (-5.0, 5.0), 0.0, 0.003, 0.05, 0.0, (0.25, 1.0), 0.16,
                  jitter=0.5, slide=0.05, octave=0.0, chiff=0.08)  # fmt: skip
SUB_BASS = Solo(Timbre(2.1, 0.8, (160, 700), 1.8, 0.6, (), 24), (0.0,), 0.0, 0.006, 0.07, 0.0, (0.2, 0.9), 0.35,
                jitter=0.5, slide=0.06, chiff=0.05)  # fmt: skip


def play(
    spec: Solo, pitch: int, velocity: float, seconds: float, glide: float, legato: bool, seed: tuple[object, ...]
) -> Audio:
    """[C, N] one note of `seconds` plus its release, about K-weighted RMS 1; C = 1 without players spread or a body.

    glide: semitones from which the pitch slides in; legato: the note before runs into this one.
    """
    random = dsp.generator(*seed)
    n = int((max(seconds, 0.03) + spec.release) * dsp.RATE)
    t = dsp.times(n)
    level = _level(spec, t, seconds, legato)
    cents = _cents(spec, t, glide, legato, random)
    bright = _brightness(spec, t, velocity, level)
    f0 = dsp.hertz(pitch)
    table_f0 = round(f0 * 2.0 ** (max(glide, 0.0) / 12.0) * 1.03, 1)
    out = np.zeros((2 if spec.spread or spec.body else 1, n), np.float32)
    for player, detune in enumerate(spec.detune):
        own = cents + detune + (_jitter(spec.jitter, t, random) if spec.jitter else 0.0)
        phase = np.cumsum(f0 / dsp.RATE * np.exp2(own / 1200.0)) + random.uniform()
        wave = timbre.read(timbre.tables(spec.timbre, table_f0, player), phase, bright)
        if spec.octave:
            wave += np.float32(spec.octave) * timbre.read(timbre.tables(spec.timbre, table_f0 / 2, 9), phase / 2, bright)
        _place(out, wave, player, spec)
    out /= np.float32(np.sqrt(len(spec.detune)))
    _blow(spec, out, f0, velocity, random)
    out *= level
    if spec.chiff and not legato:
        _chiff(spec, out, f0, velocity, random)
    if spec.body:
        out = _resonate(spec, out)
    return dsp.fade_end(out, min(0.02, spec.release))


def _level(spec: Solo, t: Real, seconds: float, legato: bool) -> Audio:
    attack = min(0.03 if legato else spec.attack, 0.6 * max(seconds, 0.03))
    up = np.sin(0.5 * np.pi * np.clip(t / attack, 0.0, 1.0)) ** 1.4
    down = np.exp(-6.0 * np.maximum(t - max(seconds, 0.03), 0.0) / spec.release)
    arc = np.sin(np.pi * np.clip(t / max(seconds, 0.05), 0.0, 1.0) ** 0.8)
    swell = 10.0 ** (spec.swell * (arc - 0.6) * min(seconds / 0.8, 1.0) / 20.0)
    return np.asarray(up * down * swell, np.float32)


def _cents(spec: Solo, t: Real, glide: float, legato: bool, random: np.random.Generator) -> Real:
    rate, depth, delay = spec.vibrato
    rate *= random.uniform(0.94, 1.06)
    wait = delay * random.uniform(0.8, 1.25)
    ramp = np.clip((t - wait) / 0.35, 0.0, 1.0)
    wave = np.sin(2.0 * np.pi * rate * (t - wait) * (1.0 + 0.02 * np.sin(1.7 * t)))
    cents = depth * random.uniform(0.8, 1.2) * ramp * ramp * wave
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


def _brightness(spec: Solo, t: Real, velocity: float, level: Audio) -> Audio:
    soft, loud = spec.bright
    amount = soft + (loud - soft) * velocity
    if spec.fall:
        return (amount * (0.12 + 0.88 * np.exp(-t / spec.fall))).astype(np.float32)
    return np.clip(amount * (0.35 + 0.65 * level), 0.0, 1.2).astype(np.float32)


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
        near = dsp.band(low * f0, min(high * f0, 12_000.0), 1.0)
        out += np.float32(level * (0.5 + 0.5 * velocity)) * dsp.noise(random, n, near)
        out += np.float32(hiss * (0.4 + 0.6 * velocity)) * dsp.noise(random, n, dsp.band(4000.0, 15_000.0, 1.0))
    if spec.shake:
        rate, _, delay = spec.vibrato
        t = dsp.times(n)
        ramp = np.clip((t - delay) / 0.35, 0.0, 1.0)
        out *= (1.0 + spec.shake * ramp * np.sin(2.0 * np.pi * rate * (t - delay) + 1.0)).astype(np.float32)


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
    left, right = dsp.stereo_amplitudes(amps, freqs, 1.0, random, phase=0.0)
    ring = dsp.modes(freqs, np.full(count, 0.03) * (1000.0 / freqs) ** 0.5, left, right, 2048 / dsp.RATE)
    ring *= np.float32(0.75 / np.sqrt(np.mean(np.sum(ring**2, axis=1))))
    ring[:, 0] += 1.0
    return dsp.fade_end(ring, 0.01)


def _resonate(spec: Solo, out: Audio) -> Audio:
    ring = _body(spec.body)
    n = out.shape[1]
    size = fft.next_fast_len(n + ring.shape[1], real=True)
    return np.asarray(fft.irfft(fft.rfft(out, size, axis=1) * fft.rfft(ring, size, axis=1), size, axis=1)[:, :n], np.float32)

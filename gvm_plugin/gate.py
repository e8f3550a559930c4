"""The quality gate: is a take fit to be heard? What is measured of its sound, and what that makes of it. Pure.

listen      a take's sound -> Heard: plain numbers, kept beside the take
faults      Heard -> what is wrong with it, in words, worst first
clash       two takes that meet -> how far apart the keys that sound there are

Every limit lies between what good music does (the starter's takes, published music) and made defects; the figures
are in docs/log.md, `scripts/bench_gate.py` measures them again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from core.evaluation.musical import MAJOR, MINOR
from gvm_plugin.crossfade import START_FADE_SAMPLES, equal_power
from gvm_plugin.measure import ClickFinder
from gvm_plugin.timeline import SAMPLE_RATE, to_samples

VERSION: Final = 1  # of `Heard`: raise it when the same sound gives other numbers

Audio = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

# Limits. (figure, limit): see the table in docs/log.md.
MOST_SILENCE: Final = 1.5  # seconds under SILENCE_DB within a cue
MOST_CLIPPED: Final = 2.0  # flat tops a second
MOST_PEAK_DB: Final = 12.0  # dBFS of a take, which is floating point
MOST_CLICKS: Final = 1.5  # a minute; in less than a minute
MOST_DC: Final = 0.1  # mean over RMS
LEAST_LEVEL_DB: Final = -55.0  # dBFS, RMS of a whole take
MOST_TICKING: Final = 0.6
LEAST_ENDING_DB: Final = 6.0  # by which the end lies under the music before it
LEAST_HELD: Final = 0.8  # seconds; or so long nothing has happened: a last chord that is held
LIKE_END: Final = 0.93
MOST_CLASH: Final = 0.4

SHORTEST_JUDGED: Final = 6.0  # seconds; shorter cues are too short to say whether they tick, or end abruptly
SILENCE_DB: Final = -50.0  # under the take's mean power
_POWER_RATE: Final = 200  # values a second of the level curve
_CUT_DB: Final = 60.0  # under the mean power: nothing is left
_BESIDE_CUT_DB: Final = 15.0  # under the mean power, at most, right before and after a cut
_CUT_SECONDS: Final = 0.02
_HIGH: Final = 0.5  # of a side's peak: where a top may be flat
_NEARLY: Final = 2e-4  # of the peak, from one sample to the next
_EXACTLY: Final = 1e-6
_STILL: Final = 0.02  # change of a drone, over its loudness
_REAL_FADE: Final = 1.0  # seconds from which on a fade is an ending
_FADED: Final = 99.0
_TICK_LAGS: Final = (0.2, 1.25)  # seconds from one tick to the next
_TICK_WINDOW: Final = 8.0  # seconds
_BANDS_RATE: Final = 50  # spectra a second
_FFT: Final = 2048
_COMPRESSION: Final = 0.3  # of power
_JOIN_SECONDS: Final = 2.0  # of either side that are compared at a join
_CHROMA_FFT: Final = 16_384
_CHROMA_HERTZ: Final = (60.0, 2000.0)


@dataclass(frozen=True)
class Heard:
    """What was measured of one take, as it is assembled.

    level_db        RMS of both sides, dBFS; peak_db: of the samples
    silence         longest stretch in seconds, within the cue, more than 50 dB under the mean power
    dropouts        short stretches of nothing whose edges are too steep for music
    clipped         flat tops a second
    clicks          a minute
    dc              largest mean of a side over the RMS
    ticking         how much every spectrum is the one before it by the same time again, 0..1
    ending_db       by how much the very end lies under the music before it, where nothing takes over
    held            seconds before the end over which nothing happens but that the sound gets softer
    opening, closing    share of each pitch class in the first and in the last seconds [12]; empty for silence
    """

    seconds: float
    level_db: float
    peak_db: float
    silence: float
    dropouts: int
    clipped: float
    clicks: float
    dc: float
    ticking: float
    ending_db: float
    held: float
    opening: tuple[float, ...] = ()
    closing: tuple[float, ...] = ()


@dataclass(frozen=True)
class Fault:
    """One reason not to take a take. words: for a person; severity: 1 at the limit, more beyond it."""

    kind: str
    words: str
    severity: float


def listen(audio: Audio, lead: float = 0.0, tail: float = 0.0, fade: float = 0.0) -> Heard:
    """What there is to hear in a take, [2, N] at 48 kHz with `lead` and `tail` seconds before and after its cue.

    fade: seconds over which its end is to be faded out where nothing takes over.
    """
    sound = _begun(audio)
    power = _power(sound)
    mean = float(power.mean()) if len(power) else 0.0
    level = _decibels(mean)
    seconds = sound.shape[1] / SAMPLE_RATE
    if level < LEAST_LEVEL_DB:
        return Heard(
            seconds,
            round(level, 2),
            round(_peak_db(sound), 2),
            round(seconds, 3),
            0,
            0.0,
            0.0,
            0.0,
            0.0,
            _FADED,
            _FADED,
        )
    inside = power[round(lead * _POWER_RATE) : max(1, len(power) - round(tail * _POWER_RATE))]
    rms = math.sqrt(mean)
    loudness = _loudness(sound)
    return Heard(
        seconds=round(seconds, 3),
        level_db=round(level, 2),
        peak_db=round(_peak_db(sound), 2),
        silence=round(_longest(inside < mean * 10 ** (SILENCE_DB / 10)) / _POWER_RATE, 3),
        dropouts=_dropouts(power / mean),
        clipped=round(_flat_tops(sound) / max(seconds, 1.0), 3),
        clicks=round(_clicks(sound) * 60 / max(seconds, 60.0), 3),
        dc=round(float(np.abs(sound.mean(axis=1, dtype=np.float64)).max()) / rms, 4),
        ticking=round(_ticking(loudness), 4),
        ending_db=round(_ending_db(power), 2) if fade < _REAL_FADE else _FADED,
        held=round(_held(loudness), 2) if fade < _REAL_FADE else _FADED,
        opening=chroma(sound[:, : to_samples(lead + _JOIN_SECONDS)]),
        closing=chroma(sound[:, max(0, sound.shape[1] - to_samples(tail + _JOIN_SECONDS)) :]),
    )


def _begun(audio: Audio) -> Audio:
    """The take with the fade-in that every take gets: where it begins mid-wave is no click."""
    count = min(START_FADE_SAMPLES, audio.shape[1])
    sound = audio.astype(np.float32, copy=True)
    sound[:, :count] *= equal_power(count)[0]
    sound[:, sound.shape[1] - count :] *= equal_power(count)[1]
    return sound


def _power(audio: Audio) -> Floats:
    """Mean power of both sides [T], _POWER_RATE values a second."""
    size = SAMPLE_RATE // _POWER_RATE
    count = audio.shape[1] // size
    pieces = audio[:, : count * size].reshape(2, count, size)
    return np.asarray(np.einsum("ctn,ctn->t", pieces, pieces, dtype=np.float64) / (2 * size))


def _decibels(power: float) -> float:
    return 10 * math.log10(max(power, 1e-20))


def _peak_db(audio: Audio) -> float:
    return 2 * _decibels(float(np.abs(audio).max(initial=0.0)))


def _runs(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """(start, end) of each stretch of True [n, 2]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return np.asarray(edges.reshape(-1, 2), np.intp)


def _longest(flags: npt.NDArray[np.bool_]) -> int:
    runs = _runs(flags)
    return int((runs[:, 1] - runs[:, 0]).max(initial=0))


def _dropouts(power: Floats) -> int:
    """Stretches of 15 ms to MOST_SILENCE in which a take (power relative to its mean) is cut out: music that rests
    or stops dead still rings for more than the 20 ms in which a cut falls by 45 dB.
    """
    low = power < 10 ** (-_CUT_DB / 10)
    reach = round(_CUT_SECONDS * _POWER_RATE)
    count = 0
    for start, end in _runs(low):
        if start < reach or end + reach > len(power) or not 3 <= end - start <= MOST_SILENCE * _POWER_RATE:
            continue
        before, after = float(power[start - reach : start].max()), float(power[end : end + reach].max())
        count += min(before, after) > 10 ** (-_BESIDE_CUT_DB / 10)
    return count


def _flat_tops(audio: Audio) -> int:
    """Stretches where a side stands still at a height near its peak: what clipping leaves of a wave's top.

    A sine of 50 Hz stands still for 9 samples at its top; clipped music does for more, or stands perfectly still.
    """
    count = 0
    for side in audio:
        peak = float(np.abs(side).max())
        if peak <= 0:
            continue
        high = np.abs(side[:-1]) > _HIGH * peak
        moved = np.abs(np.diff(side))
        for still, length in ((_NEARLY * peak, 12), (_EXACTLY * peak, 3)):
            runs = _runs(high & (moved <= still))
            count += int((runs[:, 1] - runs[:, 0] >= length).sum())
    return count


def _clicks(audio: Audio) -> int:
    finder = ClickFinder()
    finder.push(audio)
    return len(finder.finish())


def _ticking(loudness: Floats) -> float:
    """How much of the change in a take's spectra is the same change again after 0.2 to 1.25 s; 1 is a clock.

    The autocorrelation of the bands' loudness (each without its moving mean, so that swells and chords don't count) in
    windows of 8 s, at the lag where it is largest; the median over the windows.
    """
    size = round(_TICK_WINDOW * _BANDS_RATE)
    if len(loudness) < size // 2:
        return 0.0
    starts = range(0, max(1, len(loudness) - size // 2), size // 2)
    return float(np.median([_periodicity(loudness[start : start + size]) for start in starts]))


def _periodicity(loudness: Floats) -> float:
    from scipy.ndimage import uniform_filter1d

    slow = uniform_filter1d(loudness, round(_TICK_LAGS[1] * _BANDS_RATE), axis=0)
    changes = loudness - slow
    if float((changes**2).sum()) < _STILL**2 * float((loudness**2).sum()):
        return 0.0  # nothing moves: a drone doesn't tick
    first, last = (round(lag * _BANDS_RATE) for lag in _TICK_LAGS)
    best = 0.0
    for lag in range(first, min(last, len(changes) // 2) + 1):
        a, b = changes[:-lag], changes[lag:]
        size = math.sqrt(float((a**2).sum()) * float((b**2).sum()))
        best = max(best, float((a * b).sum()) / size if size > 0 else 0.0)
    return best


def _ending_db(power: Floats) -> float:
    """By how much the last 0.1 s lie under the 8 s before the last half."""
    last, half = round(0.1 * _POWER_RATE), round(0.5 * _POWER_RATE)
    before = power[max(0, len(power) - 17 * half) : max(1, len(power) - half)]
    # the 10 ms that listen() itself has faded don't count
    end = power[max(0, len(power) - last - 2) : max(1, len(power) - 2)]
    return _decibels(float(before.mean())) - _decibels(float(end.mean()))


def _held(loudness: Floats) -> float:
    """Seconds before the end over which the sound stays as it is at the very end, but for getting softer: a last chord
    that is held, a ring-out, a fade.

    Over the moments before the end, as long as the shape of the spectrum (loudness of the bands, 0.1 s together) is
    that of the last 0.2 s within LIKE_END.
    """
    from scipy.ndimage import uniform_filter1d

    if len(loudness) < _BANDS_RATE:
        return 0.0
    smooth = uniform_filter1d(loudness, _BANDS_RATE // 10, axis=0)
    shapes = smooth / np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-9)
    end = shapes[-_BANDS_RATE // 5 :].mean(axis=0)
    likeness = shapes @ (end / max(float(np.linalg.norm(end)), 1e-9))
    other = np.flatnonzero(likeness < LIKE_END)
    return float(len(loudness) - 1 - (other[-1] if len(other) else -1)) / _BANDS_RATE


def _loudness(audio: Audio) -> Floats:
    """Loudness of the third-octave bands of both sides together [T, B]: a root of power, as the ear has it."""
    from scipy.fft import rfft

    mono = audio.mean(axis=0)
    hop = SAMPLE_RATE // _BANDS_RATE
    if len(mono) < _FFT:
        return np.zeros((0, 1))
    windows = np.lib.stride_tricks.sliding_window_view(mono, _FFT)[::hop]
    power = np.abs(rfft(windows * np.hanning(_FFT).astype(np.float32), axis=1)) ** 2
    edges = np.unique(np.round(2.0 ** (np.arange(18, 41) / 3) * _FFT / SAMPLE_RATE * 1.0).astype(int))
    bands = np.add.reduceat(power[:, : edges[-1]].astype(np.float64), edges[:-1], axis=1)
    return np.asarray(bands**_COMPRESSION)


def chroma(audio: Audio) -> tuple[float, ...]:
    """Share of each pitch class (C first) in the sound [2, N], from 60 Hz to 2 kHz; empty for silence.

    Of each window's spectrum only the peaks count, so that noise and drums add little; amplitudes, not powers, so that
    the loudest note isn't all.
    """
    from scipy.fft import rfft, rfftfreq

    mono = audio.mean(axis=0)
    if len(mono) < _CHROMA_FFT:
        mono = np.concatenate([mono, np.zeros(_CHROMA_FFT - len(mono), np.float32)])
    windows = np.lib.stride_tricks.sliding_window_view(mono, _CHROMA_FFT)[:: _CHROMA_FFT // 4]
    spectrum = np.abs(rfft(windows * np.hanning(_CHROMA_FFT).astype(np.float32), axis=1))
    hertz = rfftfreq(_CHROMA_FFT, 1 / SAMPLE_RATE)
    low, high = np.searchsorted(hertz, _CHROMA_HERTZ)
    middle = spectrum[:, low:high]
    peaks = (middle > spectrum[:, low - 1 : high - 1]) & (middle >= spectrum[:, low + 1 : high + 1])
    total = np.where(peaks, middle, 0.0).sum(axis=0, dtype=np.float64)
    classes = np.round(12 * np.log2(hertz[low:high] / 440.0) + 9).astype(int) % 12
    shares = np.bincount(classes, total, 12)
    if shares.sum() <= 1e-9 * len(windows) * _CHROMA_FFT:
        return ()
    return tuple(round(float(share), 5) for share in shares / shares.sum())


# --- what that makes of it ---------------------------------------------------------------------------------------


def faults(heard: Heard, followed: bool, cue_seconds: float) -> tuple[Fault, ...]:
    """What is wrong with a take, worst first; empty: it is fit to be heard. followed: another cue takes over."""
    if heard.level_db < LEAST_LEVEL_DB:
        return (Fault("silence", "it is all but silent", 10.0),)
    found: list[Fault] = []

    def check(kind: str, value: float, limit: float, words: str) -> None:
        if value > limit:
            found.append(Fault(kind, words, value / limit if limit else 1.0 + value))

    check("hole", heard.silence, MOST_SILENCE, f"it is silent for {heard.silence:.1f} s")
    times = "once" if heard.dropouts == 1 else f"{heard.dropouts} times"
    check("dropout", heard.dropouts, 0, f"its sound drops out {times}")
    check("clipping", heard.clipped, MOST_CLIPPED, f"it is clipped ({heard.clipped:.0f} flat tops a second)")
    loud = heard.peak_db - MOST_PEAK_DB
    check("peak", max(loud, 0.0), 0, f"its peaks are absurd ({heard.peak_db:+.0f} dBFS)")
    check("clicks", heard.clicks, MOST_CLICKS, f"it clicks ({heard.clicks:.0f} times a minute)")
    check("dc", heard.dc, MOST_DC, f"its wave is off centre (by {heard.dc:.0%} of its level)")
    if cue_seconds >= SHORTEST_JUDGED:
        check("ticking", heard.ticking, MOST_TICKING, f"it only ticks on (repeats itself by {heard.ticking:.0%})")
        if not followed and heard.ending_db < LEAST_ENDING_DB and heard.held < LEAST_HELD:
            missing = LEAST_ENDING_DB - heard.ending_db
            found.append(Fault("ending", "it breaks off at full level instead of ending", 1.0 + missing / 10))
    return tuple(sorted(found, key=lambda fault: -fault.severity))


def clash(before: Sequence[float], after: Sequence[float]) -> float:
    """How far apart the keys are that sound before and after a join: -1 the same key, 0.4 and more nothing in common.

    before, after: shares of the pitch classes [12], as in `Heard`. Minus the correlation of how well each of the 24
    keys explains them (Krumhansl 1990, Cognitive Foundations of Musical Pitch, chapter 4: his distance of keys).
    Keys a fifth or a third apart, which film music moves between, stay under the limit; a semitone or a tritone apart
    they don't.
    """
    if not before or not after:
        return -1.0
    return -_likeness(_keys(before), _keys(after))


def _keys(shares: Sequence[float]) -> Floats:
    """How well each major and minor key explains the pitch classes: 24 correlations."""
    heard = np.asarray(shares, np.float64)
    return np.asarray([_likeness(heard, np.roll(key, tonic)) for key in (MAJOR, MINOR) for tonic in range(12)])


def clash_fault(value: float, other: str) -> tuple[Fault, ...]:
    """The fault of a take whose notes clash with the cue `other` that it meets; empty where they don't."""
    if value <= MOST_CLASH:
        return ()
    return (Fault("clash", f"its key clashes with that of cue {other} where they meet", value / MOST_CLASH),)


def _likeness(a: Floats, b: Floats) -> float:
    """Correlation of two rows of numbers."""
    x, y = a - a.mean(), b - b.mean()
    size = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / size if size > 1e-12 else 0.0

"""Figures of a finished score, measured on its audio: does it follow the picture, hit, breathe, and is it clean.

One pass over the audio in blocks, so a film of an hour needs no more memory than one of a minute. Knows numbers
and files of sound; nothing of cue sheets, models or pages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from gvm_plugin.loudness import Loudness, LoudnessMeter, measure_loudness
from gvm_plugin.onsets import AudioSource, Float32, Float64, OnsetStrength, find_onset
from gvm_plugin.timeline import SAMPLE_RATE, HitPoint, Span

PICTURE_FPS: Final = 8  # of the activity curve
SMOOTH_SECONDS: Final = 0.5  # standard deviation of the Gaussian that smooths both curves before they are compared
CUT_REACH_SECONDS: Final = 0.08
CURVE_POINTS: Final = 600  # of a curve kept for drawing
SILENCE_DB: Final = -50.0  # under the music's own mean level
BANDWIDTH_DB: Final = -80.0  # under the loudest part of the long-term spectrum
MOST_CLICKS: Final = 100  # kept with their times

_POINTS_PER_SECOND: Final = 128 / 14  # of the correlation: 128 on a clip of 15 s
_POWER_RATE: Final = 100  # values a second of the level curve
_FFT: Final = 4096

# A click is a jump that nothing around it explains (see ClickFinder).
_CLICK_CHUNK_SECONDS: Final = 0.001
_CLICK_REACH: Final = 24  # chunks either side: covers one period of a 42 Hz note, whose own edges explain each other
_CLICK_RATIO: Final = 3.0
_CLICK_LEVEL: Final = 0.05  # of the RMS around it: smaller jumps drown in the music
_CLICK_ATTACK: Final = 0.5  # of the RMS of a note that starts here: a steep attack is no click
_CLICK_FLOOR: Final = 1e-3  # of full scale (-60 dBFS)


@dataclass(frozen=True)
class Curve:
    """Values at equal distances in time: value i at `start + i * step` seconds."""

    start: float
    step: float
    values: tuple[float, ...]


@dataclass(frozen=True)
class HitError:
    """A hit point and when it was heard: `error_ms` > 0 is late; None, no onset stands out within 150 ms."""

    seconds: float
    strength: float
    error_ms: float | None


@dataclass(frozen=True)
class Measures:
    """What was measured. None: there was nothing to measure it on.

    activity_energy_r       Pearson correlation of the picture's activity with the music's onset strength
    cut_accent_lift         onset strength at the cuts over that at random moments; 1 = knows nothing of the cuts
    hits                    each hit point with its error; median_hit_error_ms is over absolute errors
    energy                  the music's onset strength, smoothed like the activity, for drawing
    lufs, lra, true_peak_dbtp   of the mix: integrated loudness, loudness range (LU), peak of the 4x oversampled signal
    music_lufs              integrated loudness of the music alone
    longest_silence_seconds     within a cue
    clicks                  times in seconds, the first hundred
    stereo_correlation      1 = mono, 0 = unrelated sides
    bandwidth_hz            highest frequency less than 80 dB under the loudest
    ducking_depth_db        music between speech over music under speech
    """

    duration: float
    activity_energy_r: float | None = None
    cut_accent_lift: float | None = None
    hits: tuple[HitError, ...] = ()
    median_hit_error_ms: float | None = None
    energy: Curve | None = None
    lufs: float | None = None
    lra: float | None = None
    true_peak_dbtp: float | None = None
    music_lufs: float | None = None
    longest_silence_seconds: float = 0.0
    clicks: tuple[float, ...] = ()
    stereo_correlation: float | None = None
    bandwidth_hz: float | None = None
    ducking_depth_db: float | None = None


def measure(
    music: Path | Float32,
    *,
    activity_times: Float64 | None = None,
    activity: Float64 | None = None,
    cuts: Sequence[float] = (),
    hits: Sequence[HitPoint] = (),
    cues: Sequence[Span] | None = None,
    speech: Sequence[Span] = (),
    ducking: Sequence[tuple[float, float]] = (),
    mix: Path | Float32 | Loudness | None = None,
) -> Measures:
    """Figures of `music` (a WAV, or [2, N] at 48 kHz), before ducking, against its picture. All times in seconds.

    cues: where there should be music (None: everywhere). ducking: (seconds, dB) keyframes of the gain that the mix
    applies. mix: music and original sound together, or their loudness and peak if measured before; those of `music`
    count when there is none.
    """
    source = AudioSource(music)
    onsets, levels, clicks, spectrum, meter = (
        OnsetStrength(), LevelMeter(), ClickFinder(), SpectrumMeter(), LoudnessMeter(true_peak=mix is None)
    )  # fmt: skip
    for block in source.blocks():
        for part in (onsets, levels, clicks, spectrum, meter):
            part.push(block)
    alone = meter.result()
    whole = alone if mix is None else mix
    if not isinstance(whole, Loudness):
        whole = measure_loudness(AudioSource(whole).blocks(), true_peak=True)
    times, strength = onsets.finish()
    power = levels.finish()
    heard = tuple(_hit_error(source, hit) for hit in hits)
    errors = [abs(hit.error_ms) for hit in heard if hit.error_ms is not None]
    return Measures(
        duration=source.duration,
        activity_energy_r=activity_energy_r(activity_times, activity, times, strength),
        cut_accent_lift=cut_accent_lift(cuts, times, strength),
        hits=heard,
        median_hit_error_ms=round(float(np.median(errors)), 1) if errors else None,
        energy=energy_curve(times, strength),
        lufs=_rounded(whole.integrated_lufs),
        lra=_rounded(whole.range_lu),
        true_peak_dbtp=_rounded(whole.true_peak_dbtp),
        music_lufs=_rounded(alone.integrated_lufs),
        longest_silence_seconds=longest_silence(power, [Span(0.0, source.duration)] if cues is None else cues),
        clicks=clicks.finish(),
        stereo_correlation=levels.correlation(),
        bandwidth_hz=spectrum.bandwidth_hz(),
        ducking_depth_db=ducking_depth(power, cues, speech, ducking),
    )


def activity_energy_r(
    activity_times: Float64 | None, activity: Float64 | None, times: Float64, strength: Float64
) -> float | None:
    """Pearson correlation of two curves after smoothing both alike, at 128 moments of a 15 s clip; more on longer."""
    if activity_times is None or activity is None or len(activity) < 3 or len(strength) < 3:
        return None
    end = min(float(activity_times[-1]), float(times[-1])) - 0.5
    if end <= 1.0:
        return None
    from scipy.ndimage import gaussian_filter1d

    grid = np.linspace(0.5, end, max(128, round((end - 0.5) * _POINTS_PER_SECOND)))
    picture = gaussian_filter1d(np.asarray(activity, np.float64), SMOOTH_SECONDS * PICTURE_FPS)
    sound = _smooth_strength(times, strength)
    a, b = np.interp(grid, activity_times, picture), np.interp(grid, times, sound)
    if a.std() < 1e-9 or b.std() < 1e-9:
        return None
    return round(float(np.corrcoef(a, b)[0, 1]), 4)


def cut_accent_lift(cuts: Sequence[float], times: Float64, strength: Float64) -> float | None:
    """Mean peak onset strength within 80 ms of a cut, over the same at 400 random moments."""
    if len(times) < 2:
        return None
    end = float(times[-1]) - 0.5
    inside = [cut for cut in cuts if 0.3 < cut < end]
    if not inside:
        return None

    def accent(at: float) -> float:
        near = slice(*np.searchsorted(times, (at - CUT_REACH_SECONDS - 1e-9, at + CUT_REACH_SECONDS + 1e-9)))
        return float(strength[near].max())

    chance = float(np.mean([accent(at) for at in np.random.default_rng(0).uniform(0.5, end, 400)]))
    return round(float(np.mean([accent(at) for at in inside])) / chance, 3) if chance > 1e-9 else None


def energy_curve(times: Float64, strength: Float64) -> Curve | None:
    """The smoothed onset strength in at most CURVE_POINTS values, or None for less than half a second of sound."""
    if len(times) < 50:
        return None
    count = min(CURVE_POINTS, len(times) // 10)
    at = np.linspace(0.0, float(times[-1]), count)
    values = np.interp(at, times, _smooth_strength(times, strength))
    return Curve(0.0, float(at[1]), tuple(round(float(value), 4) for value in values))


def longest_silence(power: Float64, cues: Sequence[Span]) -> float:
    """Longest stretch in seconds, within one cue, that lies more than 50 dB under the mean power of the cues' music."""
    inside = np.zeros(len(power), bool)
    for cue in cues:
        inside[_power_slice(cue)] = True
    if not inside.any():
        return 0.0
    threshold = max(float(power[inside].mean()) * 10 ** (SILENCE_DB / 10), 1e-12)
    longest = 0
    for cue in cues:
        loud = np.flatnonzero(np.concatenate([[True], power[_power_slice(cue)] > threshold, [True]]))
        longest = max(longest, int(np.diff(loud).max()) - 1)
    return longest / _POWER_RATE


def ducking_depth(
    power: Float64, cues: Sequence[Span] | None, speech: Sequence[Span], ducking: Sequence[tuple[float, float]]
) -> float | None:
    """How much lower the music lies under speech than between, in dB, once the `ducking` gain is applied."""
    if not speech or not len(power):
        return None
    playing = np.zeros(len(power), bool)
    for cue in [Span(0.0, len(power) / _POWER_RATE)] if cues is None else cues:
        playing[_power_slice(cue)] = True
    talking = np.zeros(len(power), bool)
    for span in speech:
        talking[_power_slice(span)] = True
    if ducking:
        seconds, gain_db = np.array(ducking, np.float64).T
        power = power * 10 ** (np.interp((np.arange(len(power)) + 0.5) / _POWER_RATE, seconds, gain_db) / 10)
    under, between = power[playing & talking], power[playing & ~talking]
    if not len(under) or not len(between) or between.mean() <= 0 or under.mean() <= 0:
        return None
    return round(10 * math.log10(between.mean() / under.mean()), 2)


def _smooth_strength(times: Float64, strength: Float64) -> Float64:
    from scipy.ndimage import gaussian_filter1d

    smooth: Float64 = gaussian_filter1d(strength, SMOOTH_SECONDS / float(times[1] - times[0]))
    return smooth


def _power_slice(span: Span) -> slice:
    return slice(max(0, round(span.start * _POWER_RATE)), max(0, round(span.end * _POWER_RATE)))


def _hit_error(source: AudioSource, hit: HitPoint) -> HitError:
    onset = find_onset(source, hit.seconds)
    return HitError(hit.seconds, hit.strength, None if onset is None else round((onset - hit.seconds) * 1000, 1))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


@dataclass
class LevelMeter:
    """Mean power in pieces of 10 ms, and the correlation of left and right."""

    _waiting: Float32 = field(default_factory=lambda: np.zeros((2, 0), np.float32), init=False)
    _powers: list[Float64] = field(default_factory=list, init=False)
    _sums: Float64 = field(default_factory=lambda: np.zeros(3), init=False)

    def push(self, block: Float32) -> None:
        """Take the next [2, n] samples."""
        left, right = block.astype(np.float64)
        self._sums += (left @ left, right @ right, left @ right)
        waiting = np.concatenate([self._waiting, block], axis=1)
        size = SAMPLE_RATE // _POWER_RATE
        count = waiting.shape[1] // size
        pieces = waiting[:, : count * size].reshape(2, count, size).astype(np.float64)
        self._powers.append((pieces**2).mean((0, 2)))
        self._waiting = waiting[:, count * size :]

    def finish(self) -> Float64:
        """Mean power of both sides [T], 100 values a second."""
        return np.concatenate([*self._powers, np.zeros(0)])

    def correlation(self) -> float | None:
        """Correlation of left and right, -1..1, or None for silence on either side."""
        left, right, both = self._sums
        return round(float(both / math.sqrt(left * right)), 4) if left > 1e-12 and right > 1e-12 else None


@dataclass
class SpectrumMeter:
    """Long-term power spectrum (4096 samples, Hann, no overlap)."""

    _power: Float64 = field(default_factory=lambda: np.zeros(_FFT // 2 + 1), init=False)

    def push(self, block: Float32) -> None:
        """Take the next [2, n] samples; a rest shorter than a window is left out."""
        from scipy.fft import rfft

        count = block.shape[1] // _FFT
        windows = block[:, : count * _FFT].reshape(2, count, _FFT) * np.hanning(_FFT).astype(np.float32)
        self._power += (np.abs(rfft(windows, axis=2)) ** 2).sum((0, 1), dtype=np.float64)

    def bandwidth_hz(self) -> float | None:
        """Highest frequency at which the spectrum lies less than 80 dB under its loudest part; None for silence."""
        loudest = float(self._power.max())
        if loudest <= 1e-9:
            return None
        return float(np.flatnonzero(self._power > loudest * 10 ** (BANDWIDTH_DB / 10))[-1] * SAMPLE_RATE / _FFT)


@dataclass
class ClickFinder:
    """Jumps of the signal that nothing around them explains: splices, dropped samples, hard starts and ends.

    Lines through the two samples before and after a gap meet in it unless the signal jumps; they miss each other by
    half the third difference. Noise, hits and bright notes have large differences too, but many in a row: a click is
    one that is 3 times larger than any other within 24 ms, on both sides, and not small beside the signal itself.
    """

    _waiting: Float32 = field(init=False)
    _start: int = field(init=False)  # sample of the film at which _waiting starts
    _found: list[float] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._chunk = round(_CLICK_CHUNK_SECONDS * SAMPLE_RATE)
        self._margin = (_CLICK_REACH + 2) * self._chunk
        self._waiting = np.zeros((2, self._margin), np.float32)  # silence before the film
        self._start = -self._margin

    def push(self, block: Float32) -> None:
        """Take the next [2, n] samples."""
        audio = np.concatenate([self._waiting, block], axis=1)
        count = (audio.shape[1] - 3) // self._chunk - 2 * (_CLICK_REACH + 2)
        if count <= 0:
            self._waiting = audio
            return
        used = count * self._chunk
        self._search(audio[:, : used + 2 * self._margin + 3])
        self._waiting, self._start = audio[:, used:], self._start + used

    def finish(self) -> tuple[float, ...]:
        """Times of the clicks in seconds, at most MOST_CLICKS."""
        self.push(np.zeros((2, 2 * self._margin), np.float32))  # and after it
        return tuple(self._found[:MOST_CLICKS])

    def _search(self, audio: Float32) -> None:
        jumps = np.abs(np.diff(audio, n=3, axis=1)).astype(np.float32) / np.float32(2)
        tops = jumps.reshape(2, -1, self._chunk).max(2)
        reach = _CLICK_REACH - 1  # the chunks next door are looked at by _judge, sample by sample
        sides = np.lib.stride_tricks.sliding_window_view(tops, reach, axis=1).max(2)
        index = np.arange(_CLICK_REACH + 2, tops.shape[1] - _CLICK_REACH - 2)
        around = np.maximum(sides[:, index - 1 - reach], sides[:, index + 2])
        bold = tops[:, index] > np.maximum(_CLICK_RATIO * around, _CLICK_FLOOR)
        for chunk in index[bold.any(0)]:
            self._judge(audio, jumps, int(chunk) * self._chunk)

    def _judge(self, audio: Float32, jumps: Float32, start: int) -> None:
        """Note the click in the chunk at `start` unless its surroundings, looked at closely, explain it."""
        channel, at = divmod(int(jumps[:, start : start + self._chunk].argmax()), self._chunk)
        at += start
        reach = _CLICK_REACH * self._chunk
        jump = float(jumps[channel, at])
        others = max(float(jumps[channel, at - reach : at - 3].max()), float(jumps[channel, at + 4 : at + reach].max()))
        before, after = _rms(audio[channel, at - reach : at + 1]), _rms(audio[channel, at + 3 : at + reach])
        audible = max(_CLICK_LEVEL * max(before, after), _CLICK_ATTACK * (after - 2 * before))
        seconds = round((self._start + at + 2) / SAMPLE_RATE, 5)
        repeated = bool(self._found) and abs(seconds - self._found[-1]) < 2 * _CLICK_CHUNK_SECONDS
        if jump > max(_CLICK_RATIO * others, audible) and not repeated:
            self._found.append(seconds)


def _rms(samples: Float32) -> float:
    return math.sqrt(float((samples.astype(np.float64) ** 2).mean()))

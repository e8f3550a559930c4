"""Beats of a take that no grid was asked of, and a gentle bend of its time that puts strong cuts on them.

    find_pulse    where the beats are; None where the music has no clear pulse
    plan_bend     which beat goes to which hit point, as a map of time; at most MOST_STRETCH anywhere, ends fixed
    bend_audio    the sound, bent by that map: same pitch, same length to the sample

Times are seconds after the take's first sample. Knows no model and no film.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from gvm_plugin.onsets import ONSET_HOP, ONSET_RATE, AudioSource, OnsetStrength, find_onset
from gvm_plugin.timeline import SAMPLE_RATE, HitPoint

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

VERSION: Final = 2  # raise it when the same take would be bent in another way
MOST_STRETCH: Final = 0.04
CLEAR_PULSE: Final = 0.2  # correlation of the onset strength with itself one beat later; noise stays under 0.05
FEWEST_BEATS: Final = 4
ON_BEAT_SECONDS: Final = 0.02
STRONG: Final = 0.5  # strength of a hit point from which on it is a strong one

_TEMPO_FRAMES: Final = 2 * 60 * ONSET_RATE // ONSET_HOP
_REFINE_SECONDS: Final = 0.06  # an onset this near to a tracked beat is the beat
_EASE_SECONDS: Final = 0.25  # over which the speed changes; moves an anchor by 2.5 ms at most
_KNOT_SECONDS: Final = 0.05
_GENTLE: Final = 20.0  # price of a squared stretch held for a second, in strengths of a hit: 4 % for 30 s cost one
_LOOK_BACK: Final = 400  # pairs of beat and hit that may come right before another
_PIECE: Final = 30 * SAMPLE_RATE  # samples that are bent at once: about 200 MB
_CONTEXT: Final = SAMPLE_RATE // 2
_FADE: Final = SAMPLE_RATE // 50


@dataclass(frozen=True, eq=False)
class Pulse:
    """A steady beat. beats [B]: seconds. clarity 0..1: how alike the music is one beat later."""

    tempo_bpm: float
    beats: Float64
    clarity: float


@dataclass(frozen=True, eq=False)
class TimeMap:
    """Where each moment goes: `source` [A] to `target` [A], both rising from 0 to the duration, straight between."""

    source: Float64
    target: Float64

    def to_target(self, seconds: Float64) -> Float64:
        """Where moments of the take as it was made are heard."""
        return np.interp(seconds, self.source, self.target)

    @property
    def stretch(self) -> float:
        """The largest share by which anything is made longer or shorter."""
        return float(np.abs(np.diff(self.target) / np.diff(self.source) - 1).max(initial=0.0))


def find_pulse(audio: Float32) -> Pulse | None:
    """The beats of audio [2, N] at 48 kHz; None where it has no clear pulse."""
    import librosa

    meter = OnsetStrength()
    for block in AudioSource(audio).blocks():
        meter.push(block)
    _, strength = meter.finish()
    if len(strength) < 2 * FEWEST_BEATS or strength.std() < 1e-6:
        return None
    onsets = strength.astype(np.float32)
    # The tempo from the middle minutes: its spectra take 35 kB for each of 100 moments a second.
    middle = max(0, (len(onsets) - _TEMPO_FRAMES) // 2)
    tempo = librosa.feature.tempo(
        onset_envelope=onsets[middle : middle + _TEMPO_FRAMES], sr=ONSET_RATE, hop_length=ONSET_HOP
    )
    _, frames = librosa.beat.beat_track(
        onset_envelope=onsets, sr=ONSET_RATE, hop_length=ONSET_HOP, trim=False, bpm=float(tempo[0])
    )
    beats = np.asarray(frames, np.float64) * (ONSET_HOP / ONSET_RATE)
    if len(beats) < FEWEST_BEATS:
        return None
    period = float(np.median(np.diff(beats)))
    clarity = _clarity(strength, round(period * ONSET_RATE / ONSET_HOP))
    if clarity < CLEAR_PULSE:
        return None
    source = AudioSource(audio)
    exact = np.unique([_exact(source, float(beat)) for beat in beats])
    return Pulse(60 / period, exact, clarity)


def _clarity(strength: Float64, lag: int) -> float:
    """Correlation of the onset strength with itself about one beat (`lag` values) later, at the best of near lags."""
    centred = strength - strength.mean()
    power = float(centred @ centred)
    reach = max(1, round(0.03 * lag))
    lags = range(max(1, lag - reach), min(lag + reach, len(centred) - 1) + 1)
    return max(float(centred[:-at] @ centred[at:]) / power * len(centred) / (len(centred) - at) for at in lags)


def plan_bend(pulse: Pulse, hits: Sequence[HitPoint], duration: float) -> TimeMap:
    """The map that puts beats on as many hits as it can, strong ones first, and bends no more than it must."""
    return ease([(0.0, 0.0), *pair_beats(pulse, hits, duration), (duration, duration)], duration)


def pair_beats(pulse: Pulse, hits: Sequence[HitPoint], duration: float) -> list[tuple[float, float]]:
    """(beat, hit) pairs that can all be had together: the best worth of hits less the price of bending.

    A search over chains of pairs: each pair may follow one from which it is reached within MOST_STRETCH.
    """
    period = 60 / pulse.tempo_bpm
    options = [
        (float(beat), hit.seconds, hit.strength**2)
        for hit in sorted(hits, key=lambda hit: hit.seconds)
        if 0 < hit.seconds < duration
        for beat in pulse.beats[np.abs(pulse.beats - hit.seconds) <= period]
        if 0 < beat < duration
    ]
    nodes = np.array([(0.0, 0.0, 0.0), *options, (duration, duration, 0.0)])
    best, before = np.full(len(nodes), -np.inf), np.zeros(len(nodes), int)
    best[0] = 0.0
    for index in range(1, len(nodes)):
        beat, hit, worth = nodes[index]
        first = 0 if index == len(nodes) - 1 else max(0, index - _LOOK_BACK)
        earlier = nodes[first:index]
        apart, asked = beat - earlier[:, 0], hit - earlier[:, 1]
        stretch = np.divide(asked, apart, out=np.full(len(apart), 9.0), where=(apart > 1e-3) & (asked > 1e-3)) - 1
        price = _GENTLE * stretch**2 * np.maximum(asked, 0.0)
        reached = np.where(np.abs(stretch) <= MOST_STRETCH, best[first:index] - price, -np.inf)
        before[index] = first + int(reached.argmax())
        best[index] = reached.max() + worth
    chain, at = [], int(before[-1])
    while at > 0:
        chain.append((float(nodes[at, 0]), float(nodes[at, 1])))
        at = int(before[at])
    return chain[::-1]


def describe(pulse: Pulse, bend: TimeMap, hits: Sequence[HitPoint]) -> dict[str, float | int]:
    """What to tell of a take: its tempo, how far beats were from strong hits before and after, the largest stretch.

    hits: seconds after the take's first sample; those from STRONG up count, or all where none is strong.
    """
    told: dict[str, float | int] = {"bpm": round(pulse.tempo_bpm, 2), "stretch_percent": round(100 * bend.stretch, 2)}
    counted = [hit.seconds for hit in hits if hit.strength >= STRONG] or [hit.seconds for hit in hits]
    if counted:
        before, after = (
            np.array([np.abs(beats - at).min() for at in counted])
            for beats in (pulse.beats, bend.to_target(pulse.beats))
        )
        told |= {
            "hits": len(counted),
            "on_beat": int((after <= ON_BEAT_SECONDS).sum()),
            "median_error_ms": round(1000 * float(np.median(after)), 1),
            "median_error_ms_unbent": round(1000 * float(np.median(before)), 1),
        }
    return told


def _exact(source: AudioSource, beat: float) -> float:
    """The onset that a tracked beat means, to the millisecond; the beat itself where none is near."""
    onset = find_onset(source, beat)
    return beat if onset is None or abs(onset - beat) > _REFINE_SECONDS else onset


def ease(anchors: Sequence[tuple[float, float]], duration: float) -> TimeMap:
    """The straight map through `anchors` (ends included) with its kinks rounded over _EASE_SECONDS.

    It is the running mean of the straight map, continued beyond its ends by reflection in them: so its slope is
    never outside the straight map's, and the ends stay where they are.
    """
    source, target = np.array(anchors, np.float64).T
    if duration <= _EASE_SECONDS or np.allclose(source, target, atol=1e-6):
        return TimeMap(np.array([0.0, duration]), np.array([0.0, duration]))
    mirrored = np.concatenate([-source[:0:-1], source, 2 * duration - source[-2::-1]])
    heights = np.concatenate([-target[:0:-1], target, 2 * duration - target[-2::-1]])
    area = np.concatenate([[0.0], np.cumsum(np.diff(mirrored) * (heights[1:] + heights[:-1]) / 2)])

    def integral(at: Float64) -> Float64:
        height = np.interp(at, mirrored, heights)
        index = np.clip(np.searchsorted(mirrored, at, side="right") - 1, 0, len(mirrored) - 2)
        return np.asarray(area[index] + (at - mirrored[index]) * (heights[index] + height) / 2)

    knots = np.linspace(0.0, duration, max(2, round(duration / _KNOT_SECONDS) + 1))
    half = _EASE_SECONDS / 2
    eased = (integral(knots + half) - integral(knots - half)) / _EASE_SECONDS
    eased[0], eased[-1] = 0.0, duration
    return TimeMap(knots, eased)


def bend_audio(audio: Float32, time_map: TimeMap) -> Float32:
    """`audio` [2, N] at 48 kHz with its time bent, [2, N]: what was at `source` is heard at `target`.

    The stretcher takes harmonic and percussive sound apart: a phase vocoder moves the one, short pieces of the wave
    itself the other, so that attacks stay sharp (Driedger, Müller, Ewert 2014). Left and right go through it as their
    sum and difference, which keeps their places.
    """
    if time_map.stretch < 1e-4:
        return audio
    middle, side = (audio[0] + audio[1]) / 2, (audio[0] - audio[1]) / 2
    bent = _stretch(middle, time_map)
    if not side.any():
        return np.stack([bent, bent])
    beside = _stretch(side, time_map)
    return np.stack([bent + beside, bent - beside])


def _stretch(wave: Float32, time_map: TimeMap) -> Float32:
    """One channel [N], bent piece by piece, so that a long take needs no more memory than a short one.

    Each piece is bent with a little of its neighbours and fades in, just before its own begins, over what is there.
    """
    out = np.zeros(len(wave), np.float32)
    for start, end in pairwise([0, *_joins(wave), len(wave)]):
        first, last = max(0, start - _CONTEXT), min(len(wave), end + _CONTEXT)
        inside = (time_map.source * SAMPLE_RATE > first) & (time_map.source * SAMPLE_RATE < last - 1)
        source = np.concatenate([[first], time_map.source[inside] * SAMPLE_RATE, [last]])
        target = time_map.to_target(source / SAMPLE_RATE) * SAMPLE_RATE
        heard = round(float(time_map.to_target(np.array(start / SAMPLE_RATE)) * SAMPLE_RATE))
        begin, finish = round(float(target[0])), round(float(target[-1]))
        piece = _stretch_piece(wave[first:last], np.stack([source - first, target - begin], axis=1), finish - begin)
        fade = min(_FADE, heard - begin)
        angle = (np.arange(fade) + 0.5) * (np.pi / 2 / max(fade, 1))
        piece[heard - begin - fade : heard - begin] *= np.sin(angle).astype(np.float32)
        out[heard - fade : heard] *= np.cos(angle).astype(np.float32)
        out[heard - fade : heard] += piece[heard - begin - fade : heard - begin]
        out[heard:finish] = piece[heard - begin :]
    return out


def _joins(wave: Float32) -> list[int]:
    """Where a long wave is cut into pieces: in the quietest moment near each multiple of _PIECE samples."""
    joins = []
    for about in range(_PIECE, len(wave) - _PIECE // 2, _PIECE):
        near = wave[about - _CONTEXT : about + _CONTEXT].reshape(-1, _FADE)
        joins.append(about - _CONTEXT + (int((near.astype(np.float64) ** 2).sum(1).argmin()) + 1) * _FADE)
    return joins


def _stretch_piece(wave: Float32, anchors: Float64, samples: int) -> Float32:
    """`wave` bent by anchors [A, 2] (sample in, sample out), `samples` long."""
    from libtsm import hps_tsm

    whole = np.round(anchors).astype(np.int64)
    whole[-1] = len(wave) - 1, samples - 1
    if not wave.any():
        return np.zeros(samples, np.float32)
    # The library's window lengths are meant for 22 kHz; these are as long in seconds at our rate.
    bent = hps_tsm(
        wave.astype(np.float64), whole, Fs=SAMPLE_RATE, hps_ana_hop=512, hps_win_length=2048, pv_syn_hop=1024,
        pv_win_length=4096, ola_syn_hop=256, ola_win_length=512, pv_restore_energy=True,
    )  # fmt: skip
    assert len(bent) == samples, f"the stretcher made {len(bent)} samples of {samples}"
    return np.asarray(bent, np.float32).reshape(-1)

"""Measures of a piece of music that need no weights. Sound is float32 mono [N] at any rate, of seconds or hours.

measure            unit, range     source
tempo_bpm          beats a minute  beat tracking by dynamic programming (Ellis 2007, librosa) on onset strength
tempo_stability    0..1            share of moments whose own tempo lies within 4 % of the piece's (the tolerance of
                                   Gouyon et al. 2006); 1 is a metronome, free time lies under 0.5
key                "A minor", ...  the key whose probe-tone profile (Krumhansl and Kessler 1982) fits the chroma best
key_clarity        -1..1           that correlation; tonal music has 0.7 and more, noise about 0.5
note_density       1/s             peaks of onset strength over its median + half a standard deviation
loudness_range_lu  LU              EBU Tech 3342: 10th to 95th percentile of gated short-term loudness
self_similarity    -1..1           how well 4 s of music come back elsewhere in the piece: median over time of the best
                                   cosine of chroma, its mean taken off (after Foote 1999). It grows with length

None where there is nothing to measure: silence (nothing over -70 LUFS, the gate of BS.1770), no pulse, too short.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.errors import MediaError
from core.onsets import ONSET_HOP, ONSET_RATE, OnsetStrength

if TYPE_CHECKING:
    from core.loudness import Loudness

Float32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

FEATURE_RATE: Final = 22_050
ONSETS_PER_SECOND: Final = ONSET_RATE / ONSET_HOP

# Krumhansl and Kessler's probe-tone ratings (1982) of major and minor keys.
MAJOR: Final = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR: Final = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
TONES: Final = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

_FFT, _HOP = 8192, 2048  # of the chroma, at FEATURE_RATE
_BLOCK_SECONDS: Final = 120  # of sound whose spectrum is in memory at once
_SHORTEST_SECONDS: Final = 1.0
_PULSE_SECONDS: Final = 4.0  # less has no tempo
_RANGE_SECONDS: Final = 6.0  # less has no range of values that are 3 s long each

_TEMPO_WINDOW_SECONDS: Final = 10.0
_TEMPO_HOP_SECONDS: Final = 2.0
_TEMPO_TOLERANCE: Final = 0.04
_TEMPO_REACH: Final = 0.3  # a moment's own period is looked for this far around the piece's
CLEAR_PULSE: Final = 0.2  # correlation of onset strength with itself one beat later; noise stays under 0.05

_REPEAT_SECONDS: Final = 4.0
_REPEAT_STEP_SECONDS: Final = 0.5
_APART_SECONDS: Final = 8.0  # nearer than this it isn't a return


@dataclass(frozen=True)
class MusicalMeasures:
    """See the module. None: nothing to measure it on."""

    tempo_bpm: float | None
    tempo_stability: float | None
    key: str | None
    key_clarity: float | None
    note_density: float | None
    loudness_range_lu: float | None
    self_similarity: float | None


NOTHING: Final = MusicalMeasures(None, None, None, None, None, None, None)


def musical_measures(sound: Float32, rate: int) -> MusicalMeasures:
    """Measures of sound [N] at `rate`; all None for silence. MediaError where it holds values that are no numbers."""
    sound = np.asarray(sound, np.float32)
    if sound.ndim != 1:
        raise ValueError(f"sound must be mono [N], not {list(sound.shape)}")
    if not np.isfinite(sound).all():
        raise MediaError("the sound holds values that are no numbers; export the file again")
    seconds = len(sound) / rate
    loudness = measure_mono(sound, rate) if seconds >= _SHORTEST_SECONDS else None
    if loudness is None or loudness.integrated_lufs is None:
        return NOTHING
    times, strength = onset_strength(sound, rate)
    tempo, stability = tempo_of(strength) if seconds >= _PULSE_SECONDS else (None, None)
    chroma = chromagram(sound, rate)
    key, clarity = best_key(chroma.mean(axis=1))
    return MusicalMeasures(
        tempo_bpm=tempo,
        tempo_stability=stability,
        key=key,
        key_clarity=clarity,
        note_density=onsets_per_second(times, strength),
        loudness_range_lu=loudness.range_lu if seconds >= _RANGE_SECONDS else None,
        self_similarity=self_similarity(chroma, FEATURE_RATE / _HOP),
    )


def resampled(sound: Float32, rate: int, wanted: int, block_seconds: float = 10.0) -> Iterator[Float32]:
    """`sound` [N] in blocks at another rate."""
    if rate == wanted:
        size = round(block_seconds * rate)
        yield from (sound[start : start + size] for start in range(0, len(sound), size))
        return
    import soxr

    stream = soxr.ResampleStream(rate, wanted, 1, dtype="float32")
    size = round(block_seconds * rate)
    for start in range(0, len(sound), size):
        block = np.ascontiguousarray(sound[start : start + size])
        yield stream.resample_chunk(block, last=start + size >= len(sound))


def measure_mono(sound: Float32, rate: int) -> Loudness:
    """Loudness of sound [N], its two sides alike."""
    from core.loudness import SAMPLE_RATE, measure_loudness

    return measure_loudness(np.stack([block, block]) for block in resampled(sound, rate, SAMPLE_RATE))


# --- time --------------------------------------------------------------------------------------------------------


def onset_strength(sound: Float32, rate: int) -> tuple[Floats, Floats]:
    """(times [T] in s, onset strength [T]), a hundred a second, as the project measures it everywhere."""
    meter = OnsetStrength(rate)
    size = 10 * rate
    for start in range(0, len(sound), size):
        meter.push(sound[None, start : start + size])
    return meter.finish()


def onsets_per_second(times: Floats, strength: Floats) -> float:
    """Peaks of onset strength that stand out, per second."""
    from scipy.signal import find_peaks

    peaks, _ = find_peaks(strength, height=float(np.median(strength) + 0.5 * np.std(strength)), distance=5)
    return len(peaks) / max(float(times[-1]), 1e-6)


def tempo_of(strength: Floats) -> tuple[float | None, float | None]:
    """(beats a minute, share of moments that keep it) of onset strength [T]; None, None without a clear pulse."""
    import librosa

    if strength.std() < 1e-6:
        return None, None
    _, frames = librosa.beat.beat_track(
        onset_envelope=strength.astype(np.float32), sr=ONSET_RATE, hop_length=ONSET_HOP, bpm=_first_guess(strength)
    )
    if len(frames) < 4:
        return None, None
    lag = float(np.median(np.diff(frames)))
    if _clarity(strength, round(lag)) < CLEAR_PULSE:
        return None, None
    # Beats are whole frames (10 ms); over many of them the period comes out finer.
    steady = np.abs(np.diff(frames) - lag) <= max(1.0, _TEMPO_TOLERANCE * lag)
    period = float(np.diff(frames)[steady].mean())
    return 60.0 * ONSETS_PER_SECOND / period, _stability(strength, period)


def _first_guess(strength: Floats) -> float:
    """Tempo in beats a minute as librosa guesses it: its tempogram, 800 values a frame, minute by minute."""
    import librosa

    size = round(60 * ONSETS_PER_SECOND)
    width = round(8 * ONSETS_PER_SECOND)  # librosa's own
    total = np.zeros((width, 1))
    for start in range(0, len(strength), size):
        block = strength[start : start + size]
        total[:, 0] += librosa.feature.tempogram(
            onset_envelope=block, sr=ONSET_RATE, hop_length=ONSET_HOP, win_length=width
        ).sum(axis=1)
    guess = librosa.feature.tempo(tg=total / len(strength), sr=ONSET_RATE, hop_length=ONSET_HOP)
    return float(np.ravel(guess)[0])


def _clarity(strength: Floats, lag: int) -> float:
    """Correlation of onset strength with itself about one beat later."""
    centred = strength - strength.mean()
    power = float(centred @ centred)
    reach = max(1, round(0.03 * lag))
    lags = range(max(1, lag - reach), min(lag + reach, len(centred) - 1) + 1)
    return max(float(centred[:-at] @ centred[at:]) / power * len(centred) / (len(centred) - at) for at in lags)


def _stability(strength: Floats, period: float) -> float | None:
    """Share of windows with a pulse of their own, near `period`, that keep to it; None where no window has one."""
    size, hop = round(_TEMPO_WINDOW_SECONDS * ONSETS_PER_SECOND), round(_TEMPO_HOP_SECONDS * ONSETS_PER_SECOND)
    lags = np.arange(round(period * (1 - _TEMPO_REACH)), round(period * (1 + _TEMPO_REACH)) + 2)
    kept = []
    for start in range(0, max(len(strength) - size, 0) + 1, hop):
        window = strength[start : start + size] - strength[start : start + size].mean()
        power = float(window @ window)
        if len(window) <= 2 * lags[-1] or power < 1e-9:
            continue
        found = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * len(window))) ** 2)[lags]
        found *= len(window) / (len(window) - lags)
        best = int(found.argmax())
        kept.append(bool(found[best] >= CLEAR_PULSE / 2 * power) and abs(lags[best] / period - 1) <= _TEMPO_TOLERANCE)
    return float(np.mean(kept)) if kept else None


# --- tones -------------------------------------------------------------------------------------------------------


def chromagram(sound: Float32, rate: int) -> Floats:
    """Chroma [12, T] from C on, about 10.8 a second, of sound [N], its spectrum in blocks of two minutes."""
    import librosa

    parts = []
    # Tuning isn't estimated: it would be another one in every block, and librosa's estimate is code that numba compiles
    # and keeps, which crashed where two processes did so at once.
    for block in resampled(sound, rate, FEATURE_RATE, _BLOCK_SECONDS):
        if len(block) >= _HOP:
            padded = np.pad(block, (0, max(0, _FFT - len(block))))
            found: Any = librosa.feature.chroma_stft(y=padded, sr=FEATURE_RATE, n_fft=_FFT, hop_length=_HOP, tuning=0.0)
            parts.append(found[:, : 1 + len(block) // _HOP])
    return np.asarray(np.concatenate(parts, axis=1), np.float64)


def best_key(chroma: Floats) -> tuple[str, float]:
    """(key, correlation of its profile with chroma [12]) of the major or minor key that fits best."""
    keys = {
        f"{TONES[tonic]} {mode}": float(np.corrcoef(np.roll(chroma, -tonic), profile)[0, 1])
        for tonic in range(12)
        for mode, profile in (("major", MAJOR), ("minor", MINOR))
    }
    key = max(keys, key=keys.__getitem__)
    return key, keys[key]


def self_similarity(chroma: Floats, per_second: float) -> float | None:
    """Median over time of how like 4 s of chroma [12, T] are to any 4 s at least 8 s away; None for under 16 s."""
    step = per_second * _REPEAT_STEP_SECONDS
    edges = np.round(np.arange(0, chroma.shape[1] + 1e-9, step)).astype(int)
    width = round(_REPEAT_SECONDS / _REPEAT_STEP_SECONDS)
    apart = round(_APART_SECONDS / _REPEAT_STEP_SECONDS)
    if len(edges) - width < 2 * apart:
        return None
    means = np.add.reduceat(chroma[:, : edges[-1]], edges[:-1], axis=1) / np.diff(edges)
    changes = means - means.mean(axis=1, keepdims=True)
    if np.square(changes).sum() < 1e-3 * np.square(means).sum():
        return 1.0  # one sound all along
    stretches = np.lib.stride_tricks.sliding_window_view(changes, width, axis=1)  # [12, S, width]
    rows = stretches.transpose(1, 0, 2).reshape(stretches.shape[1], -1)
    rows = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)).astype(np.float32)
    best = []
    for start in range(0, len(rows), 256):  # an hour has 7200 rows: not all pairs at once
        alike = rows[start : start + 256] @ rows.T
        index = np.arange(start, start + len(alike))[:, None]
        alike[np.abs(index - np.arange(len(rows))) < apart] = -1.0
        best.append(alike.max(axis=1))
    return float(np.median(np.concatenate(best)))

"""Pieces that are the same music: copies, re-encodings, other levels and starts, other keys, other instruments.

What a piece is, here, is which tones begin when: the rises of its chroma, ten times a second, each moment on equal
terms. Two pieces are laid over each other at every offset and in all twelve keys; their similarity is the best cosine
over what overlaps: at least half of the shorter, and 15 s where it has them. At another tempo it is another piece.

`SAME_MUSIC` was chosen on 80 pieces of the starter (`scripts/bench_duplicates.py`): none of 3160 pairs of different
pieces reaches it (highest 0.14), none of 400 copies in disguise misses it (lowest 0.51). The same notes by other hands
are found 16 times in 16; with another palette 14; three semitones higher, voices in other octaves, 13.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.errors import MediaError
from core.evaluation.musical import FEATURE_RATE, resampled

Float32 = npt.NDArray[np.float32]

SAME_MUSIC: Final = 0.3  # similarity from which on two pieces are near-duplicates
PER_SECOND: Final = FEATURE_RATE / 2048

_FFT, _HOP = 4096, 1024  # of the chroma, at FEATURE_RATE; two hops make a moment
_BLOCK_SECONDS: Final = 120
_LEVEL_DB: Final = 60.0  # nothing under the loudest by more counts
_LEAST_OVERLAP: Final = 0.5  # of the shorter piece
_SURE_SECONDS: Final = 15.0  # an overlap shorter than this, of pieces longer than this, is alike by chance
_SHORTEST_SECONDS: Final = 2.0
_SILENT: Final = 1e-4  # of full scale (-80 dBFS)


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """rises [12, T]: how much of each tone begins at each moment, PER_SECOND a second; empty for silence."""

    rises: Float32

    @property
    def seconds(self) -> float:
        """Length of what is known of it."""
        return float(self.rises.shape[1] / PER_SECOND)


@dataclass(frozen=True)
class Match:
    """similarity -1..1; the second piece is `transposed` semitones (0..11) higher and starts at `offset_seconds`."""

    similarity: float
    offset_seconds: float
    transposed: int


def fingerprint(sound: Float32, rate: int) -> Fingerprint:
    """What `compare` needs of sound [N]. MediaError where it holds values that are no numbers."""
    import librosa

    sound = np.asarray(sound, np.float32)
    if sound.ndim != 1:
        raise ValueError(f"sound must be mono [N], not {list(sound.shape)}")
    if not np.isfinite(sound).all():
        raise MediaError("the sound holds values that are no numbers; export the file again")
    if len(sound) < _SHORTEST_SECONDS * rate or np.abs(sound).max() < _SILENT:
        return Fingerprint(np.zeros((12, 0), np.float32))
    filters: Any = librosa.filters.chroma(sr=FEATURE_RATE, n_fft=_FFT, tuning=0.0)
    parts = []
    for block in resampled(sound, rate, FEATURE_RATE, _BLOCK_SECONDS):
        if len(block) >= _FFT:
            spectrum = np.abs(librosa.stft(block, n_fft=_FFT, hop_length=_HOP))
            parts.append((filters @ spectrum)[:, : len(block) // _HOP])
    chroma = np.concatenate(parts, axis=1)
    floor = chroma.max() * 10 ** (-_LEVEL_DB / 20)
    level = np.log(np.maximum(chroma, floor) / floor)
    rises = np.maximum(np.diff(level, axis=1, prepend=level[:, :1]), 0)
    pairs = rises[:, : rises.shape[1] // 2 * 2].reshape(12, -1, 2).sum(axis=2)
    pairs = pairs - pairs.mean(axis=0)  # what begins in all tones at once is a drum
    return Fingerprint(np.asarray(pairs / (np.linalg.norm(pairs, axis=0) + 0.2), np.float32))


def compare(a: Fingerprint, b: Fingerprint) -> Match:
    """How alike two pieces are where they are most alike; 0 where one of them is silent."""
    if not a.rises.shape[1] or not b.rises.shape[1]:
        return Match(0.0, 0.0, 0)
    first, second = a.rises.shape[1], b.rises.shape[1]
    size = _fast_length(first + second)
    lags = np.arange(-(second - 1), first)  # of the second's start after the first's
    overlap = np.minimum(first, lags + second) - np.maximum(lags, 0)
    shorter = min(first, second)
    possible = overlap >= max(_LEAST_OVERLAP * shorter, min(shorter, round(_SURE_SECONDS * PER_SECOND)))
    power = np.sqrt(_power(a, lags, second) * _power(b, -lags, first))
    left, right = np.fft.rfft(a.rises, size), np.conj(np.fft.rfft(b.rises, size))
    best = Match(-1.0, 0.0, 0)
    for turn in range(12):
        product = np.fft.irfft((left * np.roll(right, -turn, axis=0)).sum(axis=0), size)
        cosine = np.where(possible, product[lags % size] / np.maximum(power, 1e-9), -1.0)
        at = int(cosine.argmax())
        if cosine[at] > best.similarity:
            best = Match(float(cosine[at]), float(lags[at] / PER_SECOND), turn)
    return best


def near_duplicates(
    sounds: Iterable[Float32], rate: int, threshold: float = SAME_MUSIC
) -> list[tuple[int, int, float]]:
    """(i, j, similarity) with i < j of all pairs that are the same music, the most alike first."""
    return duplicates_of([fingerprint(sound, rate) for sound in sounds], threshold)


def duplicates_of(prints: Sequence[Fingerprint], threshold: float = SAME_MUSIC) -> list[tuple[int, int, float]]:
    """As `near_duplicates`, of fingerprints made before."""
    found = [(i, j, compare(prints[i], prints[j]).similarity) for i, j in combinations(range(len(prints)), 2)]
    return sorted((pair for pair in found if pair[2] >= threshold), key=lambda pair: -pair[2])


def near_duplicate_rate(count: int, pairs: Sequence[tuple[int, int, float]]) -> float:
    """Share of `count` pieces that have a near-duplicate among the others, 0..1; 0 of none."""
    return len({index for pair in pairs for index in pair[:2]}) / count if count else 0.0


def _power(piece: Fingerprint, starts: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.float64]:
    """Power of the part of `piece` under another of `length` moments that starts at each of `starts`."""
    total = np.concatenate([[0.0], np.cumsum(np.square(piece.rises, dtype=np.float64).sum(axis=0))])
    last = len(total) - 1
    return np.asarray(total[np.clip(starts + length, 0, last)] - total[np.clip(starts, 0, last)])


def _fast_length(length: int) -> int:
    from scipy.fft import next_fast_len

    return int(next_fast_len(length, real=True))

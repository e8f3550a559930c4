"""A look-ahead true-peak limiter: no peak between or on the samples above the ceiling, nothing else touched.

    blocks ─▶ peaks at 4 × the rate ─▶ gain needed ─▶ slow release ─▶ lowest of the next 5 ms ─▶ smoothed ─▶ × blocks
                                       per sample     straight line     so that it is down       over the
                                                      in dB             before the peak          same 5 ms

Every step is an operation on whole arrays (the release is a running minimum along a slanted line), and each only ever
lowers the gain where a peak needs it lowered; so what stays under the ceiling passes bit for bit. Both channels get
the same gain, so the stereo image stands still.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from gvm_plugin.timeline import SAMPLE_RATE, to_samples
from gvm_plugin.wav import Block

Float64 = npt.NDArray[np.float64]

MARGIN_DB: Final = 0.1  # under the ceiling: meters' interpolation filters disagree by that much
LOOKAHEAD_SAMPLES: Final = to_samples(0.005)
RELEASE_DB_PER_SECOND: Final = 40.0  # between two peaks of a 50 Hz bass the gain moves by 0.4 dB at most

_HOP: Final = SAMPLE_RATE  # samples limited at a time, whatever the size of the blocks that come
_CHUNK: Final = 64  # samples whose peaks are looked for together
_REACH: Final = 16  # samples of context on either side of the interpolation
_PHASES: Final = 4  # BS.1770-4 annex 2 asks for 4 times the rate at 48 kHz
_AUDIBLE_REDUCTION: Final = 1e-4  # smaller ones (0.001 dB) don't count as limiting


class TruePeakLimiter:
    """Holds sound under `ceiling_dbtp`; blocks in, blocks out, the same number of samples.

    After `stream` has ended: limited_seconds, how long it was at work; max_reduction_db, how hard at most (>= 0).
    """

    def __init__(self, ceiling_dbtp: float = -1.0) -> None:
        if ceiling_dbtp > 0:
            raise ValueError(f"ceiling_dbtp is {ceiling_dbtp:g}; it can't be above 0")
        self.limited_seconds = 0.0
        self.max_reduction_db = 0.0
        self._ceiling = 10 ** ((ceiling_dbtp - MARGIN_DB) / 20)
        self._interpolation = _interpolation_matrix()
        self._smoothing = _smoothing_window()
        self._released_db = 0.0  # reduction at the end of the hop before, <= 0

    def stream(self, blocks: Iterable[npt.NDArray[np.float32]]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield `blocks` [2 + extra, n], limited. The first two channels decide; all get the same gain."""
        # Each hop needs the peaks of the next one before its gain is known, and those a little of the one after.
        here, ahead = np.zeros((2, _HOP), np.float32), np.zeros((2, _HOP), np.float32)
        here_length = ahead_length = 0
        gain_before: Float64 | None = None
        gain_here: Float64 | None = None
        for following, following_length in _hops(blocks):
            around = np.concatenate([here[:2, -_REACH:], ahead[:2], following[:2, :_REACH]], axis=1)
            gain_ahead = self._gain_needed(around)
            if here_length:
                yield self._apply(here, (gain_before, gain_here, gain_ahead))[:, :here_length]
            here, here_length, gain_before, gain_here = ahead, ahead_length, gain_here, gain_ahead
            ahead, ahead_length = following, following_length

    def _gain_needed(self, around: npt.NDArray[np.float32]) -> Float64 | None:
        """Gain <= 1 per sample of a hop with its release, from the hop with its context; None if it is 1 throughout."""
        peaks = self._peaks(around)
        if peaks is None and self._released_db == 0:
            return None
        needed_db = np.zeros(_HOP) if peaks is None else -20 * np.log10(np.maximum(peaks / self._ceiling, 1))
        # r[i] = min(needed[i], r[i - 1] + slope), written as a running minimum along a line that rises by slope.
        line = np.arange(1, _HOP + 1) * (RELEASE_DB_PER_SECOND / SAMPLE_RATE)
        lowest = np.minimum(np.minimum.accumulate(needed_db - line), self._released_db)
        released_db = np.minimum(lowest + line, 0)
        self._released_db = float(released_db[-1])
        return np.asarray(10 ** (released_db / 20))

    def _peaks(self, around: npt.NDArray[np.float32]) -> Float64 | None:
        """Highest value on and after each sample of a hop, 4 values a sample; None if all is far under the ceiling.

        Only chunks whose samples come within 6 dB of the ceiling are interpolated: between samples a wave rises by
        3 dB over them at a quarter of the rate, and by more only in signals built for the purpose.
        """
        level = np.maximum(np.abs(around[0]), np.abs(around[1]))
        chunk_level = level[_REACH:-_REACH].reshape(-1, _CHUNK).max(axis=1)
        loud = np.flatnonzero(chunk_level > self._ceiling / 2)
        if len(loud) == 0:
            return None
        peaks: Float64 = level[_REACH:-_REACH].astype(np.float64)
        windows = np.lib.stride_tricks.sliding_window_view(around, _CHUNK + 2 * _REACH, axis=1)[:, loud * _CHUNK]
        between = np.abs(windows @ self._interpolation).reshape(2 * len(loud), _PHASES - 1, _CHUNK)
        highest = np.maximum.reduce([between[:, phase] for phase in range(_PHASES - 1)]).reshape(2, len(loud), _CHUNK)
        by_chunk = peaks.reshape(-1, _CHUNK)
        by_chunk[loud] = np.maximum(by_chunk[loud], np.maximum(highest[0], highest[1]))
        return peaks

    def _apply(self, hop: npt.NDArray[np.float32], gains: Sequence[Float64 | None]) -> npt.NDArray[np.float32]:
        """The hop times the smoothed gain; gains are of the hop before, this one and the next (None: 1 throughout)."""
        if all(gain is None for gain in gains):
            return hop
        from scipy.ndimage import minimum_filter1d
        from scipy.signal import oaconvolve

        ahead = LOOKAHEAD_SAMPLES
        before, here, after = (np.ones(_HOP) if gain is None else gain for gain in gains)
        needed = np.concatenate([before[-ahead:], here, after[:ahead]])
        # lowest[i] = min(needed[i .. i + ahead]); a mean of lowest[i - ahead .. i] is then nowhere above needed[i].
        lowest = minimum_filter1d(needed, ahead + 1, origin=-(ahead // 2))[: _HOP + ahead]
        reduction = oaconvolve(1 - lowest, self._smoothing, mode="valid")
        reduction[reduction < 1e-9] = 0  # rounding of the transform: where nothing is needed, nothing is done
        self._count(reduction)
        return np.asarray(hop * (1 - reduction).astype(np.float32))

    def _count(self, reduction: Float64) -> None:
        self.limited_seconds += int(np.count_nonzero(reduction > _AUDIBLE_REDUCTION)) / SAMPLE_RATE
        self.max_reduction_db = max(self.max_reduction_db, float(-20 * np.log10(1 - reduction.max())))


def _hops(blocks: Iterable[Block]) -> Iterator[tuple[Block, int]]:
    """(hop, its own samples): the blocks cut anew into hops of one length, the last filled with zeros; two empty ones.

    The empty ones let the limiter, which looks two hops ahead, come to the end.
    """
    waiting: list[Block] = []
    count, channels = 0, 2
    for block in blocks:
        waiting.append(block)
        channels, count = block.shape[0], count + block.shape[1]
        if count < _HOP:
            continue
        joined = np.concatenate(waiting, axis=1)
        whole = count - count % _HOP
        for start in range(0, whole, _HOP):
            yield joined[:, start : start + _HOP], _HOP
        waiting, count = [joined[:, whole:]], count - whole
    if count:
        joined = np.concatenate(waiting, axis=1)
        yield np.pad(joined, ((0, 0), (0, _HOP - count))), count
    for _ in range(2):
        yield np.zeros((channels, _HOP), np.float32), 0


def _interpolation_matrix() -> npt.NDArray[np.float32]:
    """[_CHUNK + 2 _REACH, 3 * _CHUNK]: samples of a chunk and its context -> the three values after each sample.

    Windowed sinc (Kaiser, beta 7: flat to 20 kHz), each phase scaled to unit gain at zero frequency.
    """
    matrix = np.zeros((_CHUNK + 2 * _REACH, _PHASES - 1, _CHUNK))
    offsets = np.arange(-_REACH + 1, _REACH + 1)
    for phase in range(1, _PHASES):
        distance = phase / _PHASES - offsets
        taps = np.sinc(distance) * np.i0(7 * np.sqrt(1 - (distance / _REACH) ** 2))
        taps /= taps.sum()
        for sample in range(_CHUNK):
            matrix[sample + _REACH + offsets, phase - 1, sample] = taps
    return matrix.reshape(_CHUNK + 2 * _REACH, -1).astype(np.float32)


def _smoothing_window() -> Float64:
    """[LOOKAHEAD_SAMPLES + 1] raised cosine that sums to one."""
    window = np.hanning(LOOKAHEAD_SAMPLES + 3)[1:-1]
    return np.asarray(window / window.sum())

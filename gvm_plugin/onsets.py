"""Where single notes begin in a piece of audio, to the millisecond; `core.onsets` has it of the whole, named here too.

Audio is float32 [2, N] (channels x samples). Knows nothing of pictures, cues or reports.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from core.onsets import ONSET_HOP as ONSET_HOP
from core.onsets import ONSET_RATE as ONSET_RATE
from core.onsets import OnsetStrength as OnsetStrength
from core.onsets import mel_filters as mel_filters
from gvm_plugin.timeline import SAMPLE_RATE
from gvm_plugin.wav import BLOCK_SAMPLES, count_samples, read_blocks

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

# A single onset: spectral rise between two neighbouring 11 ms windows, in bands about a third of an octave wide.
_FINE_FFT: Final = 512
_FINE_HOP: Final = 48  # 1 ms at 48 kHz
_LAGS: Final = (5, 30)  # hops before and after: a struck note; where there is none, one that swells in
_BAND_EDGES: Final = (0, 1, 2, 3, 4, 5, 7, 9, 12, 16, 21, 27, 35, 45, 58, 74, 95, 122, 156, 200, 257)  # FFT bins
_EARLY_SECONDS: Final = 0.003  # how much too early struck notes are found: median over kick, snare, hat, string, bell
_COMPRESSION: Final = 0.33  # of power
SEARCH_SECONDS: Final = 0.15
_CONTEXT_SECONDS: Final = 0.6
_RIVAL: Final = 0.6  # an onset at least this strong, relative to the strongest in reach, may win by being nearer


class AudioSource:
    """Audio at 48 kHz of a file (any that libsndfile reads) or an array [2, N], read in pieces."""

    def __init__(self, audio: Path | Float32) -> None:
        self._audio = audio
        self.frames = audio.shape[1] if isinstance(audio, np.ndarray) else count_samples(audio)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.frames / SAMPLE_RATE

    def read(self, start: int, count: int) -> Float32:
        """Samples start .. start + count, [2, count]; zeros where the audio has not begun or is over."""
        first, last = max(start, 0), min(start + count, self.frames)
        piece = np.zeros((2, count), np.float32)
        if last <= first:
            return piece
        if isinstance(self._audio, np.ndarray):
            piece[:, first - start : last - start] = self._audio[:, first:last]
        else:
            import soundfile

            data, _ = soundfile.read(self._audio, last - first, first, dtype="float32", always_2d=True)
            piece[:, first - start : first - start + len(data)] = data.T
        return piece

    def blocks(self) -> Iterator[Float32]:
        """The audio from beginning to end as [2, n] pieces of at most 10 s."""
        if isinstance(self._audio, np.ndarray):
            for start in range(0, self.frames, BLOCK_SAMPLES):
                yield self._audio[:, start : start + BLOCK_SAMPLES]
        else:
            yield from read_blocks(self._audio)


def find_onset(audio: AudioSource, seconds: float) -> float | None:
    """Time of the onset heard at `seconds`, or None when none within 150 ms stands out from its surroundings.

    Of the onsets in reach the strongest counts, unless one nearly as strong lies nearer.
    """
    start = round((seconds - _CONTEXT_SECONDS) * SAMPLE_RATE)
    bands = _bands(audio.read(start, round(2 * _CONTEXT_SECONDS * SAMPLE_RATE)).mean(0))
    for lag in _LAGS:
        rise = _rise(bands, lag)
        times = (start + (np.arange(len(rise)) + lag) * _FINE_HOP + _FINE_FFT / 2) / SAMPLE_RATE + _EARLY_SECONDS
        floor = max(4.0 * float(np.median(rise)), 0.1 * float(bands.sum(1).max()), 1e-6)
        peaks = _peaks(rise, floor)
        peaks = peaks[np.abs(times[peaks] - seconds) <= SEARCH_SECONDS]
        if len(peaks):
            rivals = peaks[rise[peaks] >= _RIVAL * rise[peaks].max()]
            return float(times[rivals[np.abs(times[rivals] - seconds).argmin()]])
    return None


def _peaks(rise: Float64, floor: float) -> npt.NDArray[np.intp]:
    from scipy.signal import find_peaks

    peaks: npt.NDArray[np.intp] = find_peaks(rise, height=floor, distance=3)[0]
    return peaks


def _bands(mono: Float32) -> Float64:
    """Loudness of each band [T, bands], one row per hop.

    Amplitudes are compressed by a root: the rise is then steepest where the attack is, not where it first leaves
    the noise floor as with a logarithm.
    """
    from scipy.fft import rfft

    windows = np.lib.stride_tricks.sliding_window_view(mono, _FINE_FFT)[::_FINE_HOP]
    power = np.abs(rfft(windows * np.hanning(_FINE_FFT), axis=1)) ** 2
    bands: Float64 = np.add.reduceat(power, _BAND_EDGES[:-1], axis=1) ** _COMPRESSION
    return bands


def _rise(bands: Float64, lag: int) -> Float64:
    """How much the bands gain in all from `lag` hops before to `lag` hops after each moment, [T - 2 * lag]."""
    from scipy.ndimage import gaussian_filter1d

    rise: Float64 = gaussian_filter1d(np.maximum(bands[2 * lag :] - bands[: -2 * lag], 0).sum(1), 1.5)
    return rise

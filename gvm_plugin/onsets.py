"""Where notes begin in a piece of audio: onset strength of a whole film, and single onsets to the millisecond.

Audio is float32 [2, N] (channels x samples). Knows nothing of pictures, cues or reports.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import numpy as np
import numpy.typing as npt

from gvm_plugin.timeline import SAMPLE_RATE
from gvm_plugin.wav import BLOCK_SAMPLES, count_samples, read_blocks

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

# Onset strength as librosa.onset.onset_strength gives it at these settings.
ONSET_RATE: Final = 32_000  # Hz
ONSET_HOP: Final = 320  # samples: 100 values a second
_FFT: Final = 2048
_MELS: Final = 128
_SHIFT: Final = 1 + _FFT // (2 * ONSET_HOP)  # frames: the difference's lag and the half window, as librosa shifts
_RANGE_DB: Final = 80.0  # nothing lower than this under the loudest mel cell counts
_SPOOL_BYTES: Final = 32 << 20  # a mel spectrogram larger than this (10 min) waits on disk

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


@dataclass
class OnsetStrength:
    """Onset strength of audio pushed block by block; equal to librosa's of the whole, in bounded memory.

    librosa clips the mel spectrogram 80 dB under its loudest cell, which is known only at the end. So the
    spectrogram waits in a spool (memory first, then a temporary file) for `finish`.
    """

    _waiting: Float32 = field(default_factory=lambda: np.zeros(_FFT // 2, np.float32), init=False)
    _frames: int = field(default=0, init=False)
    _loudest: float = field(default=-np.inf, init=False)

    def __post_init__(self) -> None:
        import soxr
        from scipy.signal import get_window

        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115  # closed by finish
        self._resampler = soxr.ResampleStream(SAMPLE_RATE, ONSET_RATE, 1, dtype="float32")
        self._filters = mel_filters()
        self._window = get_window("hann", _FFT).astype(np.float32)

    def push(self, block: Float32) -> None:
        """Take the next [2, n] samples."""
        self._take(self._resampler.resample_chunk(np.ascontiguousarray(block.mean(0))))

    def finish(self) -> tuple[Float64, Float64]:
        """(times [T] in seconds, onset strength [T]) of all that was pushed."""
        tail = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        self._take(np.concatenate([tail, np.zeros(_FFT // 2, np.float32)]))
        strength = np.zeros(self._frames + _SHIFT)
        with self._spool as spool:
            spool.seek(0)
            before, at = np.zeros((0, _MELS), np.float32), 0
            while data := spool.read(_MELS * 4 * 4096):
                mel = np.maximum(np.frombuffer(data, np.float32).reshape(-1, _MELS), self._loudest - _RANGE_DB)
                joined = np.concatenate([before, mel])
                rise = np.maximum(np.diff(joined, axis=0), 0).mean(1)
                strength[at + _SHIFT : at + _SHIFT + len(rise)] = rise
                at += len(rise)
                before = mel[-1:]
        times = np.arange(self._frames, dtype=np.float64) * (ONSET_HOP / ONSET_RATE)
        return times, strength[: self._frames]

    def _take(self, mono: Float32) -> None:
        waiting = np.concatenate([self._waiting, mono])
        count = (len(waiting) - _FFT) // ONSET_HOP + 1
        if count > 0:
            windows = np.lib.stride_tricks.sliding_window_view(waiting, _FFT)[: count * ONSET_HOP : ONSET_HOP]
            from scipy.fft import rfft

            power = np.abs(rfft(windows * self._window, axis=1)) ** 2
            mel = 10 * np.log10(np.maximum(power @ self._filters.T, 1e-10))
            self._spool.write(mel.astype(np.float32).tobytes())
            self._loudest = max(self._loudest, float(mel.max()))
            self._frames += count
            waiting = waiting[count * ONSET_HOP :]
        self._waiting = waiting


def mel_filters() -> Float32:
    """[_MELS, _FFT // 2 + 1] triangles of equal area on the mel scale of Slaney's auditory toolbox (as in librosa).

    That scale is straight up to 1 kHz (3 mel per 200 Hz), then logarithmic (27 mel per factor of 6.4).
    """
    knee, log_step = 15.0, math.log(6.4) / 27.0
    top = knee + math.log(ONSET_RATE / 2 / 1000.0) / log_step
    mel = np.linspace(0.0, top, _MELS + 2)
    corners = np.where(mel < knee, mel * 200.0 / 3.0, 1000.0 * np.exp(log_step * (mel - knee)))  # Hz
    hertz = np.arange(_FFT // 2 + 1) * (ONSET_RATE / _FFT)
    low, middle, high = (corners[shift : shift + _MELS, None] for shift in range(3))
    triangles = np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle))
    return np.asarray(np.maximum(triangles, 0.0) * 2.0 / (high - low), np.float32)


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

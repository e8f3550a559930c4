"""Onset strength of a whole piece in bounded memory: how much new sound begins, a hundred times a second.

Sound is float32 [C, n] at any rate, pushed in blocks. Knows nothing of pictures, cues or reports.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, field
from typing import IO, Final

import numpy as np
import numpy.typing as npt

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


@dataclass
class OnsetStrength:
    """Onset strength of audio pushed block by block; equal to librosa's of the whole, in bounded memory.

    librosa clips the mel spectrogram 80 dB under its loudest cell, which is known only at the end. So the
    spectrogram waits in a spool (memory first, then a temporary file) for `finish`.
    """

    rate: int = 48_000
    _waiting: Float32 = field(default_factory=lambda: np.zeros(_FFT // 2, np.float32), init=False)
    _frames: int = field(default=0, init=False)
    _loudest: float = field(default=-np.inf, init=False)

    def __post_init__(self) -> None:
        import soxr
        from scipy.signal import get_window

        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115  # closed by finish
        self._resampler = soxr.ResampleStream(self.rate, ONSET_RATE, 1, dtype="float32")
        self._filters = mel_filters()
        self._window = get_window("hann", _FFT).astype(np.float32)

    def push(self, block: Float32) -> None:
        """Take the next [C, n] samples."""
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

"""What the evaluation model is told of music: how loud, how bright, what begins when, which pitches. No download.

Sound -> `listen` -> 16 frames a second of 49 numbers -> `positions` -> rows of half a second, relative to their own
window, so that overall gain says nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from core.errors import MediaError

RATE: Final = 16_000  # Hz
FRAME_RATE: Final = 16  # frames a second
PER_POSITION: Final = 8  # frames of a position of half a second
BANDS: Final = 32  # mel bands
FLUX_BANDS: Final = 4
PITCHES: Final = 12
FRAME_CHANNELS: Final = BANDS + FLUX_BANDS + PITCHES + 1
POSITION_CHANNELS: Final = PER_POSITION * (FLUX_BANDS + 1) + BANDS + PITCHES + 2
VERSION: Final = 1  # of what `listen` gives; caches of older ones are not read

FloatArray = npt.NDArray[np.float32]

_SCALE: Final = np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1])
_HOP = 250  # samples: 64 columns a second, four a frame
_FFT = 1024
_LOW, _HIGH = 40.0, 7_600.0
_FLOOR_DB = 70.0  # below the loudest
_SILENT = 1e-5  # amplitude: below -100 dBFS
_SOFT = 1e4  # 40 dB below the loudest, where what begins starts to count less
_DB = 10.0 / 20.0  # numbers of about 1 for 20 dB


def to_mono(sound: npt.NDArray[np.floating], rate: int, wanted: int = RATE) -> FloatArray:
    """Sound [N] or [C, N] at `rate` Hz as mono [N'] at the rate that is wanted. MediaError for what is no sound."""
    import soxr

    if sound.ndim not in (1, 2) or (sound.ndim == 2 and sound.shape[0] > 32):
        raise MediaError(f"music must have the shape [samples] or [channels, samples], not {list(sound.shape)}")
    mono = np.asarray(sound if sound.ndim == 1 else sound.mean(axis=0), np.float32)
    if not np.isfinite(mono).all():
        raise MediaError("the music holds samples that are no numbers: export it again")
    if rate == wanted or not len(mono):
        return mono
    resampled: FloatArray = soxr.resample(mono, rate, wanted)
    return resampled


def is_silent(mono: FloatArray, loudest: float | None = None) -> bool:
    """Whether there is nothing to hear, or nothing within 50 dB of a peak of `loudest`."""
    peak = float(np.abs(mono).max()) if len(mono) else 0.0
    return peak < max(_SILENT, (loudest or 0.0) * 10 ** (-50 / 20))


def listen(mono: FloatArray) -> npt.NDArray[np.float16]:
    """Frames [n, 49] of mono sound [N] at RATE, n = 16 a second, rounded down.

    0-31 mel bands in units of 20 dB, relative to the loudest of the sound (0) and no lower than 70 dB below it;
    32-35 what begins in four ranges of bands; 36-47 chroma of the frame (strongest 1); 48 level like the bands.
    """
    from scipy import fft

    count = len(mono) * FRAME_RATE // RATE
    columns = count * RATE // FRAME_RATE // _HOP
    padded = np.pad(mono, (_FFT // 2, _FFT))
    strided = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[: columns * _HOP : _HOP][:columns]
    power = np.square(np.abs(fft.rfft(strided * np.hanning(_FFT).astype(np.float32), axis=1)))  # single precision
    bands, chroma = _filters()
    mel, level = power @ bands.T, power.mean(axis=1)
    out = np.zeros((count, FRAME_CHANNELS), np.float32)
    if not count:
        return out.astype(np.float16)
    four = (count, -1)
    loud = np.log10(1.0 + mel * (_SOFT / max(float(mel.max()), 1e-20))) * _DB
    flux = np.maximum(np.diff(loud, axis=0, prepend=loud[:1]), 0.0)
    out[:, :BANDS] = _decibels(mel.reshape(*four, BANDS).mean(axis=1))
    begins = flux.reshape(columns, FLUX_BANDS, -1).mean(axis=2)
    out[:, BANDS : BANDS + FLUX_BANDS] = begins.reshape(*four, FLUX_BANDS).sum(axis=1)
    pitches = (power @ chroma.T).reshape(*four, PITCHES).mean(axis=1)
    out[:, BANDS + FLUX_BANDS : -1] = pitches / np.maximum(pitches.max(axis=1, keepdims=True), 1e-12)
    out[:, -1] = _decibels(level.reshape(four).mean(axis=1))
    return out.astype(np.float16)


def positions(frames: npt.NDArray[np.floating]) -> FloatArray:
    """Rows [n // 8, 86] of frames [n, 49] of one window: half a second each.

    0-31 what begins (4 bands x 8 frames), relative to the window's mean; 32-39 level of each frame less the window's
    mean; 40-71 the bands' shape: less the frame's own level; 72-83 chroma from the scale's first step on; 84-85 level
    and what begins, whole.
    """
    count = len(frames) // PER_POSITION
    values = frames[: count * PER_POSITION].astype(np.float32)
    flux, level = values[:, BANDS : BANDS + FLUX_BANDS], values[:, -1:]
    flux = flux / (flux.mean() + 0.02)
    level = level - level.mean()
    shape = values[:, :BANDS] - values[:, :BANDS].mean(axis=1, keepdims=True)
    chroma = _in_scale(values[:, BANDS + FLUX_BANDS : -1])

    def fine(x: FloatArray) -> FloatArray:
        return x.reshape(count, -1)

    def coarse(x: FloatArray) -> FloatArray:
        means: FloatArray = x.reshape(count, PER_POSITION, -1).mean(axis=1)
        return means

    return np.concatenate(
        [fine(flux), fine(level), coarse(shape), coarse(chroma), coarse(level), coarse(flux.mean(axis=1))], axis=1
    ).astype(np.float32)


def _in_scale(chroma: FloatArray) -> FloatArray:
    """Chroma [n, 12] turned so that the diatonic scale that fits the window best begins at 0: key says nothing.

    Major and minor tell themselves apart by the steps of the scale that sound most.
    """
    if not len(chroma):
        return chroma
    fits = [float((np.roll(chroma.mean(axis=0), -tonic) * _SCALE).sum()) for tonic in range(PITCHES)]
    return np.roll(chroma, -int(np.argmax(fits)), axis=1)


def _decibels(power: FloatArray) -> FloatArray:
    """Power in units of 20 dB relative to its loudest, no lower than the floor."""
    loudest = max(float(power.max()), 1e-20)
    decibels: FloatArray = np.log10(np.maximum(power / loudest, 10 ** (-_FLOOR_DB / 10))) * _DB
    return decibels


@cache
def _filters() -> tuple[FloatArray, FloatArray]:
    """Mel bands [32, 513] and chroma [12, 513] (semitones above C, 55 Hz to 2 kHz) over the columns' frequencies."""
    frequency = np.fft.rfftfreq(_FFT, 1 / RATE)

    mel = 2595.0 * np.log10(1.0 + frequency / 700.0)  # O'Shaughnessy
    edges = np.interp(np.linspace(0, 1, BANDS + 2), [0, 1], 2595.0 * np.log10(1.0 + np.array([_LOW, _HIGH]) / 700.0))
    rising = (mel - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - mel) / np.diff(edges)[1:, None]
    bands = np.maximum(0.0, np.minimum(rising, falling))
    bands /= bands.sum(axis=1, keepdims=True)
    audible = (frequency > 100.0) & (frequency < 2_000.0)
    pitch = np.where(audible, 12.0 * np.log2(np.maximum(frequency, 1.0) / 261.6256), 0.0)
    away = np.abs((pitch[None] - np.arange(PITCHES)[:, None] + 6.0) % 12.0 - 6.0)
    chroma = np.exp(-0.5 * (away / 0.5) ** 2) * audible / np.maximum(frequency, 100.0)
    return bands.astype(np.float32), chroma.astype(np.float32)

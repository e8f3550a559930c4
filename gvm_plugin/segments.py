"""Music as numpy arrays (librosa, scipy, ...) and as pydub's segments, and both as audio clips of MoviePy.

    to_array      [2, n] or, mono, [n], float32, full scale at -1 and 1
    from_array    the other way: an audio clip
    to_segment    a pydub AudioSegment of 16, 24 or 32 bits
    from_segment  the other way

Whole pieces in memory, as these libraries have it. Importing this imports neither MoviePy nor pydub.
"""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from gvm_plugin.timeline import SAMPLE_RATE

if TYPE_CHECKING:
    from moviepy import AudioClip
    from moviepy.Clip import Clip
    from pydub import AudioSegment

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]

BITS: Final = (16, 24, 32)


def to_array(sound: Clip | AudioSegment | npt.NDArray[Any], rate: int = SAMPLE_RATE, mono: bool = False) -> Floats:
    """Samples [2, n] of `sound` at `rate`, channels first as librosa wants them; with `mono`, their mean [n].

    sound: an audio clip, a video clip (its audio), a pydub segment, or an array at 48 kHz as `from_array` takes it.
    ValueError where it has no sound or no length.
    """
    stereo, now = _samples_of(sound)
    if now != rate:
        stereo = _resampled(stereo, now, rate)
    return np.asarray(stereo.mean(axis=0), np.float32) if mono else stereo


def from_array(samples: npt.NDArray[Any], rate: int = SAMPLE_RATE) -> AudioClip:
    """An audio clip of 48 kHz stereo. samples: [n] or [1, n] (mono), [2, n] or [n, 2], floats with full scale at 1."""
    from gvm_plugin.moviepy_fx.sound import SoundClip

    stereo = _stereo(samples)
    if rate != SAMPLE_RATE:
        stereo = _resampled(stereo, rate, SAMPLE_RATE)
    return SoundClip(iter([stereo]))


def to_segment(sound: Clip | AudioSegment | npt.NDArray[Any], rate: int = SAMPLE_RATE, bits: int = 16) -> AudioSegment:
    """A pydub segment, stereo at `rate`. bits: 16, 24 (which pydub keeps in 32) or 32.

    Values are rounded to the nearest step, not dithered, so that what came from a segment of as many bits comes back
    bit for bit (of 32 bits: the upper 24). What is over full scale is clipped, never wrapped, and told.
    """
    if bits not in BITS:
        raise ValueError(f"bits is {bits}; choose one of {', '.join(map(str, BITS))}")
    whole = to_array(sound, rate).T.astype(np.float64)
    scale = 2.0 ** (bits - 1)
    steps = np.rint(whole * scale)
    over = int(np.count_nonzero((steps > scale) | (steps < -scale)))  # +1 itself is one step over, heard by nobody
    if over:
        log.warning("%d samples over full scale were clipped; MatchLoudness before this keeps peaks under it", over)
    integers = np.clip(steps, -scale, scale - 1).astype(np.int64)
    width, shift = (2, 0) if bits == 16 else (4, 32 - bits)
    data = (integers << shift).astype(f"<i{width}").tobytes()
    return _pydub().AudioSegment(data, sample_width=width, frame_rate=rate, channels=2)


def from_segment(segment: AudioSegment) -> AudioClip:
    """An audio clip of 48 kHz stereo."""
    return from_array(*_samples_of(segment))


def _samples_of(sound: Any) -> tuple[Floats, int]:
    """([2, n], their rate)."""
    if isinstance(sound, np.ndarray):
        return _stereo(sound), SAMPLE_RATE
    if hasattr(sound, "get_array_of_samples"):  # a segment: known without importing pydub
        integers = np.frombuffer(sound.raw_data, f"<i{sound.sample_width}").reshape(-1, sound.channels)
        return _stereo(integers[:, :2].T / 2.0 ** (8 * sound.sample_width - 1)), int(sound.frame_rate)
    from gvm_plugin.moviepy_fx.sound import length_of, read_sound

    audio = getattr(sound, "audio", sound)
    if audio is None:
        raise ValueError("the clip has no sound; give one that has")
    return np.concatenate(list(read_sound(audio, length_of(audio))), axis=1), SAMPLE_RATE


def _stereo(samples: npt.NDArray[Any]) -> Floats:
    """[2, n] float32 of [n], [1, n], [2, n], [n, 1] or [n, 2]; ValueError for other shapes and for integers."""
    if not np.issubdtype(samples.dtype, np.floating):
        raise ValueError(f"samples are {samples.dtype}; divide integers by their full scale, 32768.0 for 16 bits")
    rows = np.atleast_2d(samples)
    if rows.ndim == 2 and rows.shape[0] > 2 >= rows.shape[1]:
        rows = rows.T
    if rows.ndim != 2 or rows.shape[0] not in (1, 2) or rows.shape[1] == 0:
        raise ValueError(f"samples have the shape {samples.shape}; give [n] or [2, n]")
    return np.ascontiguousarray(np.broadcast_to(rows, (2, rows.shape[1])), np.float32)


def _resampled(stereo: Floats, now: int, rate: int) -> Floats:
    import soxr

    return np.ascontiguousarray(soxr.resample(stereo.T, now, rate).T, np.float32)


def _pydub() -> Any:
    with warnings.catch_warnings():
        # it wants an ffmpeg on the path, which only its own reading and writing of files needs
        warnings.filterwarnings("ignore", message="Couldn't find ff", category=RuntimeWarning)
        warnings.filterwarnings("ignore", message="'audioop' is deprecated")  # we ask for its successor
        warnings.filterwarnings("ignore", message="invalid escape sequence")  # in its source, told when it is compiled
        import pydub
    return pydub

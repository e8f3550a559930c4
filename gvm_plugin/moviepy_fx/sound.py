"""A MoviePy clip's sound as blocks of 48 kHz, and sound on disk as a MoviePy clip. Knows nothing of cues or films.

read_sound     a clip's sound, block by block: resampled properly, silent beyond its end
detect_speech  where somebody speaks in it
SoundClip      48 kHz stereo on disk as an audio clip: exact samples, silence outside, removed with its last copy
"""

from __future__ import annotations

import logging
import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from moviepy import AudioClip

from gvm_plugin.speech import Downsampler, SpeechDetector
from gvm_plugin.timeline import SAMPLE_RATE, Span, to_samples
from gvm_plugin.wav import Block, read_blocks

log = logging.getLogger(__name__)

Samples = npt.NDArray[np.float64]  # [n, 2]

# As many as MoviePy's own writer takes at a time: asked for more than half of its buffer, its reader gives samples from
# elsewhere in the file.
READ_SAMPLES: Final = 2000
BLOCK_SECONDS: Final = 1
DEFAULT_RATE: Final = 44_100  # MoviePy's, of clips that don't say theirs
# Clips are asked a thousandth of a sample late: at the very end of a clip MoviePy plays it and the one after it.
LATE_SAMPLES: Final = 1e-3

TAPS: Final = 32  # of the interpolation between samples
_OFFSETS: Final = np.arange(1 - TAPS // 2, TAPS // 2 + 1)
PHASES: Final = 1024  # between two samples at which it is tabulated; straight lines between are 110 dB exact
KAISER_BETA: Final = 9.0
ON_A_SAMPLE: Final = 1e-2  # samples; so close to one counts as it (times are rounded floats)
INTERPOLATED: Final = 16_384  # samples worked on at a time


def read_sound(sound: AudioClip | None, seconds: float) -> Iterator[Block]:
    """Blocks [2, n] of `sound` at 48 kHz from its beginning, `seconds` in all; silence beyond its end. None: silence.

    It is sampled at its own rate, where MoviePy gives what is in the file, and resampled from there.
    """
    total = to_samples(seconds)
    given = 0
    if sound is not None:
        heard = seconds if sound.duration is None else min(seconds, float(sound.duration))
        rate = round(getattr(sound, "fps", None) or DEFAULT_RATE)
        blocks = _at_its_rate(sound, rate, heard)
        for block in blocks if rate == SAMPLE_RATE else _resampled(blocks, rate):
            part = block[:, : total - given]
            given += part.shape[1]
            yield part
    for done in range(given, total, SAMPLE_RATE):
        yield np.zeros((2, min(SAMPLE_RATE, total - done)), np.float32)


def length_of(clip: Any) -> float:
    """Seconds of a clip. ValueError where it has no length."""
    if clip.duration is None or clip.duration <= 0:
        raise ValueError(f"the clip's duration is {clip.duration}; give it one with clip.with_duration(seconds)")
    return float(clip.duration)


def detect_speech(sound: AudioClip) -> tuple[Span, ...]:
    """Where somebody speaks in `sound`, in its own seconds."""
    seconds = length_of(sound)
    low, voice = Downsampler(), SpeechDetector()
    for block in read_sound(sound, seconds):
        voice.push(low.push(block.mean(axis=0)))
    return voice.spans(seconds)


def _at_its_rate(sound: AudioClip, rate: int, seconds: float) -> Iterator[Block]:
    """Blocks of about a second at `rate`."""
    count = to_samples(seconds, rate)
    waiting: list[Block] = []
    for first in range(0, count, READ_SAMPLES):
        numbers = np.arange(first, min(first + READ_SAMPLES, count))
        waiting.append(sample(sound, (numbers + LATE_SAMPLES) / rate))
        if len(waiting) * READ_SAMPLES >= BLOCK_SECONDS * rate:
            yield np.concatenate(waiting, axis=1)
            waiting = []
    if waiting:
        yield np.concatenate(waiting, axis=1)


def sample(sound: AudioClip, seconds: Samples) -> Block:
    """[2, n] of `sound` at n moments, in order; a mono clip on both sides. Silence where its file has ended."""
    try:
        values = np.asarray(sound.get_frame(seconds), np.float32)
    except OSError as err:  # MoviePy's reader, asked for nothing but what lies outside of the file
        log.debug("outside of its file: %s", err)
        return np.zeros((2, len(seconds)), np.float32)
    if values.shape[:1] != (len(seconds),):  # the same at all moments, such as lambda t: [0, 0]
        values = np.broadcast_to(values, (len(seconds), max(1, values.size)))
    values = values.reshape(len(seconds), -1)
    left, right = values[:, 0], values[:, min(1, values.shape[1] - 1)]
    return np.stack([left, right])


def _resampled(blocks: Iterator[Block], rate: int) -> Iterator[Block]:
    """The blocks at 48 kHz; by soxr, whose result isn't late."""
    import soxr

    stream = soxr.ResampleStream(rate, SAMPLE_RATE, 2, dtype="float32")
    for block in blocks:
        yield np.ascontiguousarray(stream.resample_chunk(np.ascontiguousarray(block.T)).T)
    yield np.ascontiguousarray(stream.resample_chunk(np.zeros((0, 2), np.float32), last=True).T)


class SoundClip(AudioClip):  # type: ignore[misc]
    """48 kHz stereo on disk as an audio clip: sample n at n / 48000 s, interpolated between, silent outside.

    The samples lie in a file of their own in the folder for temporary files; it is removed when the clip is closed,
    or when the last copy of it is gone. Memory doesn't grow with its length.
    """

    def __init__(self, blocks: Iterator[Block]) -> None:
        """Write `blocks` [2, n]; if that fails, nothing stays behind."""
        self._samples = _Samples(blocks)
        super().__init__(self._samples.at, _duration(self._samples.count), SAMPLE_RATE)

    @classmethod
    def from_wav(cls, path: Path) -> SoundClip:
        """What is in a WAV file of 48 kHz stereo; the file isn't needed any more."""
        return cls(read_blocks(path))

    def close(self) -> None:
        """Remove the samples; this clip and all copies of it are silenced for good."""
        self._samples.close()


class _Samples:
    """Float samples on disk, mapped into memory."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        handle, name = tempfile.mkstemp(prefix="gvm-", suffix=".f32")
        try:
            with os.fdopen(handle, "wb") as file:
                self.count = 0
                for block in blocks:
                    file.write(np.ascontiguousarray(block.T, "<f4").tobytes())
                    self.count += block.shape[1]
            if self.count == 0:
                raise ValueError("there is no sound in it; give the clip a duration")
            self._mapped = [np.memmap(name, "<f4", "r", shape=(self.count, 2))]
        except BaseException:
            os.unlink(name)
            raise
        self.close = weakref.finalize(self, _remove, self._mapped, name)

    def at(self, seconds: Any) -> Samples:
        """[n, 2] at moments [n], or [2] at one moment."""
        if not self._mapped:
            raise ValueError("this clip's sound was closed; make it again, or close it later")
        if not isinstance(seconds, np.ndarray):
            one: Samples = self.at(np.array([float(seconds)]))[0]
            return one
        place = seconds.astype(np.float64) * SAMPLE_RATE
        nearest = np.rint(place).astype(np.int64)
        if np.abs(place - nearest).max(initial=0.0) <= ON_A_SAMPLE:
            return self._pick(nearest)
        parts = range(0, len(place), INTERPOLATED)
        return np.concatenate([self._between(place[first : first + INTERPOLATED]) for first in parts])

    def _pick(self, numbers: npt.NDArray[np.int64]) -> Samples:
        """Samples [..., 2] of these numbers [...]; zeros outside."""
        inside = (numbers >= 0) & (numbers < self.count)
        values: Samples = self._mapped[0][np.where(inside, numbers, 0)].astype(np.float64)
        return values * inside[..., None]

    def _between(self, place: Samples) -> Samples:
        """Windowed sinc interpolation at places [n], in samples. MoviePy's own rule, the nearest sample, leaves 28 dB
        between a note of 1 kHz and its distortion, at 9 kHz 9 dB, wherever a file of another rate is written.
        """
        base = np.floor(place).astype(np.int64)
        phase, part = np.divmod((place - base) * PHASES, 1)
        row = np.minimum(phase.astype(np.int64), PHASES - 1)
        kernels, steps = _kernels()
        weights = kernels[row] + part[:, None] * steps[row]
        values: Samples = np.einsum("nt,ntc->nc", weights, self._pick(base[:, None] + _OFFSETS))
        values[(place < -0.5) | (place > self.count - 0.5)] = 0
        return values


@lru_cache(maxsize=1)
def _kernels() -> tuple[Samples, Samples]:
    """(weights [PHASES, TAPS] of the samples around a place, the way from each row to the next)."""
    distance = np.linspace(0, 1, PHASES + 1)[:, None] - _OFFSETS
    weights = np.sinc(distance) * np.i0(KAISER_BETA * np.sqrt(np.maximum(1 - (2 * distance / TAPS) ** 2, 0)))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights[:-1], np.diff(weights, axis=0)


def _remove(mapped: list[Any], name: str) -> None:
    """Let go of the file, then remove it: some systems remove none that is in use."""
    mapped.clear()
    with suppress(OSError):
        os.unlink(name)


def _duration(samples: int) -> float:
    """Seconds of which MoviePy, which cuts off what is no whole sample, makes exactly `samples` again."""
    seconds = samples / SAMPLE_RATE
    return seconds if int(seconds * SAMPLE_RATE) == samples else float(np.nextafter(seconds, np.inf))

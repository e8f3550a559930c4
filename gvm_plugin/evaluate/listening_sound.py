"""Excerpts of music at one common loudness, so that no system wins by being louder. Gain and nothing else.

All excerpts of a test get the loudness of the loudest target at which none of them goes over the ceiling: a limiter
would change how some of them sound and others not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from core.errors import MediaError
from core.frames import shown_name
from gvm_plugin.loudness import decibels, measure_loudness
from gvm_plugin.probe import probe_sound, read_audio_blocks
from gvm_plugin.timeline import SAMPLE_RATE, to_samples
from gvm_plugin.wav import Block, write_wav

TARGET_LUFS: Final = -18.0
CEILING_DBTP: Final = -1.0
CODEC_ROOM_DB: Final = 0.5  # what AAC adds to peaks
FADE_IN_SECONDS: Final = 0.02
FADE_OUT_SECONDS: Final = 0.5
CHECK_SECONDS: Final = 6.0
_NOISE_SLOPE: Final = 0.5  # of the amplitude against frequency: pink, about as dull as music


@dataclass(frozen=True)
class Excerpt:
    """A stretch of a music file. lufs, true_peak_dbtp: of the stretch with its fades, as it is in the file."""

    path: Path
    start: float
    seconds: float
    lufs: float
    true_peak_dbtp: float


def sound_seconds(path: Path, most: float) -> float:
    """Length of the music in `path`, `most` seconds at most, by what there is to hear. MediaError without sound.

    Headers aren't asked: in recordings and streams they say nothing, or what isn't so.
    """
    blocks = read_audio_blocks(probe_sound(path), duration=most, pad=False)
    samples: int = sum(block.shape[1] for block in blocks)
    return samples / SAMPLE_RATE


def measure_excerpt(path: Path, start: float, seconds: float) -> Excerpt:
    """The stretch of `path` from second `start` on. MediaError where there is nothing to hear in it."""
    measured = measure_loudness(_blocks(path, start, seconds), true_peak=True)
    if measured.integrated_lufs is None or measured.true_peak_dbtp is None:
        raise MediaError(
            f"{shown_name(path)}: is silent from {start:g} s to {start + seconds:g} s, so there is nothing to rate; "
            "choose another stretch with --start, or another file"
        )
    return Excerpt(path, start, seconds, measured.integrated_lufs, measured.true_peak_dbtp)


def common_loudness(excerpts: Sequence[Excerpt], target_lufs: float = TARGET_LUFS) -> float:
    """The loudness, LUFS, at most `target_lufs`, to which all `excerpts` can be brought without a limiter."""
    room = CEILING_DBTP - CODEC_ROOM_DB
    return min([target_lufs, *(excerpt.lufs + room - excerpt.true_peak_dbtp for excerpt in excerpts)])


def write_excerpt(excerpt: Excerpt, lufs: float, path: Path) -> None:
    """Write `excerpt` at loudness `lufs` to the WAV `path`."""
    gain = decibels(lufs - excerpt.lufs)
    blocks = (block * gain for block in _blocks(excerpt.path, excerpt.start, excerpt.seconds))
    write_wav(path, blocks, to_samples(excerpt.seconds))


def write_sound_check(lufs: float, path: Path) -> None:
    """Write CHECK_SECONDS of pink noise at loudness `lufs` to the WAV `path`, to set the volume by."""
    samples = to_samples(CHECK_SECONDS)
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(samples))
    frequencies = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    band = (frequencies > 80) & (frequencies < 12_000)
    spectrum[band] /= frequencies[band] ** _NOISE_SLOPE
    noise = np.fft.irfft(np.where(band, spectrum, 0), samples)
    sound = np.repeat((0.1 * noise / noise.std()).astype(np.float32)[None], 2, axis=0) * _fade(0, samples, samples)
    measured = measure_loudness([sound]).integrated_lufs
    assert measured is not None
    write_wav(path, [sound * decibels(lufs - measured)], samples)


def _blocks(path: Path, start: float, seconds: float) -> Iterator[Block]:
    """The stretch as blocks [2, n], faded in and out."""
    total, at = to_samples(seconds), 0
    for block in read_audio_blocks(probe_sound(path), duration=seconds, start=start):
        if not np.isfinite(block).all():
            raise MediaError(f"{shown_name(path)}: holds samples that are no numbers; export it again")
        yield block * _fade(at, block.shape[1], total)
        at += block.shape[1]


def _fade(at: int, count: int, total: int) -> Block:
    """Gain [1, count] of the samples from `at` on, of `total`: half-cosine flanks."""
    index = np.arange(at, at + count, dtype=np.float64)
    rise = np.clip(index / min(to_samples(FADE_IN_SECONDS), total / 2), 0, 1)
    fall = np.clip((total - 1 - index) / min(to_samples(FADE_OUT_SECONDS), total / 2), 0, 1)
    gain: Block = (np.sin(rise * np.pi / 2) * np.sin(fall * np.pi / 2)).astype(np.float32)[None]
    return gain

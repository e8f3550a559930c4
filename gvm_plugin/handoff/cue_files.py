"""Takes as WAV files for editors: 48 kHz, 24 bit, at the level of the mix, beginning on a frame of the film.

        film   |     |     |     |     |     |     frames
        take          ╭──lead──┬── cue ...
        file   ╭──────┴────────┴── cue ...         silence up to the take, so that the file begins on a frame

An editor places clips on frames. As the file begins where one does, the music stands to the sample where it stood in
the mix. At 29.97 only each fifth frame begins on a whole sample of 48 kHz; the files begin on such a one, so that
their time stamp names the frame exactly, and not one sample beside it, which editors take for the frame before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from gvm_plugin.handoff.broadcast_wave import Stamp, stamp_file
from gvm_plugin.handoff.source import Film
from gvm_plugin.handoff.timecode import Rate
from gvm_plugin.handoff.timeline_doc import Media
from gvm_plugin.timeline import SAMPLE_RATE, to_samples

if TYPE_CHECKING:
    from gvm_plugin.cache import StoredTake
    from gvm_plugin.cuesheet import Cue, CueSheet
    from gvm_plugin.takes import TakeId, Takes
    from gvm_plugin.wav import Block

_LONGEST_GRID: Final = 10  # frames; stranger rates than this asks for don't begin on whole samples at all


@dataclass(frozen=True)
class Place:
    """Where a cue file lies: its first and its last frame + 1, in frames of the timeline (the first may be < 0)."""

    start: int
    end: int


def file_names(sheet: CueSheet, takes: Takes, film_name: str) -> dict[TakeId, str]:
    """A file name for each take, each once, even where two cues are called alike but for signs."""
    from gvm_plugin.outputs import file_name

    names: dict[TakeId, str] = {}
    for cue in sheet.sounding:
        stem = f"{film_name}.{file_name(cue.id)}"
        while any(name.casefold().startswith(f"{stem}.take".casefold()) for name in names.values()):
            stem += "_"
        names |= {(cue.id, number): f"{stem}.take{number}.wav" for id_, number in sorted(takes) if id_ == cue.id}
    return names


def grid_of(rate: Rate) -> int:
    """The number of frames after which one begins on a whole sample again: 5 at 29.97, 1 at 25."""
    frames = (SAMPLE_RATE / rate.fps).denominator
    return frames if frames <= _LONGEST_GRID else 1


def place(cue: Cue, sheet: CueSheet, film: Film) -> Place:
    """Where the file of a cue's takes begins and ends."""
    from gvm_plugin.takes import margins

    lead, tail = margins(cue, sheet)
    grid = grid_of(film.rate)
    first = film.rate.frame_at(Fraction(to_samples(cue.span.start - lead), SAMPLE_RATE))
    last = film.rate.frame_from(Fraction(to_samples(cue.span.end + tail), SAMPLE_RATE))
    down, up = math.floor(Fraction(film.start + first, grid)), math.ceil(Fraction(film.start + last, grid))
    return Place(down * grid - film.start, up * grid - film.start)


def media_of(path: Path, where: Place, film: Film) -> Media:
    """The file of a take as media of the edit."""
    frames = where.end - where.start
    return Media(path, film.start + where.start, frames, channels=2, audio_rate=SAMPLE_RATE)


def sample_of(film: Film, frame: int) -> int:
    """The first sample since midnight that isn't before a frame of the timeline."""
    return math.ceil(film.rate.seconds(film.start + frame) * SAMPLE_RATE)


def write_takes(
    sheet: CueSheet,
    takes: Mapping[TakeId, StoredTake],
    names: Mapping[TakeId, str],
    film: Film,
    gain_db: float,
    ceiling_dbtp: float,
    folder: Path,
    stamps: Mapping[TakeId, Stamp],
) -> dict[str, Path]:
    """Write each take to `folder` under its name; name -> path.

    gain_db: what the mix does to the music; ceiling_dbtp: true peak that its limiter lets through.
    """
    from gvm_plugin.limiter import TruePeakLimiter
    from gvm_plugin.loudness import decibels
    from gvm_plugin.wav import write_wav

    written: dict[str, Path] = {}
    raw = folder / "take.raw"
    for cue in sheet.sounding:
        where = place(cue, sheet, film)
        for take_id in (take_id for take_id in names if take_id[0] == cue.id):
            blocks = (block * decibels(gain_db) for block in _placed(takes[take_id], cue, sheet, where, film))
            samples = sample_of(film, where.end) - sample_of(film, where.start)
            write_wav(raw, TruePeakLimiter(ceiling_dbtp).stream(blocks), samples, "24 bit")
            path = folder / names[take_id]
            stamp_file(raw, path, stamps[take_id])
            written[names[take_id]] = path
    raw.unlink(missing_ok=True)
    return written


def _placed(take: StoredTake, cue: Cue, sheet: CueSheet, where: Place, film: Film) -> Iterator[Block]:
    """The take's sound from the first frame of its file to the last: silence, the take, silence."""
    from gvm_plugin.takes import margins
    from gvm_plugin.wav import read_blocks

    lead, _ = margins(cue, sheet)
    begins = round(film.rate.seconds(film.start) * SAMPLE_RATE)  # the film's first sample, since midnight
    silence = begins + to_samples(cue.span.start - lead) - sample_of(film, where.start)
    left = sample_of(film, where.end) - sample_of(film, where.start) - max(0, silence)
    yield np.zeros((2, max(0, silence)), np.float32)
    skip = max(0, -silence)  # by rounding, at strange rates only
    for block in read_blocks(take.music):
        yield block[:, skip:][:, :left]
        left -= block[:, skip:][:, :left].shape[1]
        skip = max(0, skip - block.shape[1])
    yield np.zeros((2, left), np.float32)

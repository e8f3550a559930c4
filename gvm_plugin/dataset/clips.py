"""One span of a film into files: its pictures as a small H.264 clip, its sound as FLAC. Exact on both sides.

A clip's time 0 is the first picture at or after the span's beginning, to the tick of the film's own clock; its
pictures keep their distances (23.976, 29.97, variable), without a B frame, so that time stamps count from 0 in every
player. Its music begins at the nearest sample of that moment and is as long as the clip.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.errors import MediaError
from gvm_plugin.probe import MediaInfo, Sound, probe, probe_sound, read_audio_blocks
from gvm_plugin.timeline import SAMPLE_RATE, Span, to_samples
from gvm_plugin.wav import removed_on_error

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

MAX_WAIT: Final = Fraction(1, 2)  # seconds until the first picture; a picture held longer is on screen at 0
SEEK_FROM: Final = 3.0  # seconds; what begins earlier is read from the start
PRESET: Final = "veryfast"
KEY_PICTURES: Final = 60  # at most between two pictures that a reader can begin with


@dataclass(frozen=True)
class Cut:
    """What was cut: `start` and `seconds` of the film exactly, and how many pictures."""

    start: Fraction
    seconds: Fraction
    pictures: int


def cut_pictures(path: Path, span: Span, picture_start: float, out: Path | None, side: int, crf: int) -> Cut:
    """Write the pictures of `span` to `out` (None: only find where they begin), whole or not at all.

    picture_start: of the first picture, in the file's own time, as the analysis measured it. side: pixels of the
    shorter side, at most the film's own. MediaError where the span has no picture.
    """
    from core.frames import shown_name

    for seek in (True, False):
        with closing(_frames(path, span, picture_start, seek)) as frames:
            first = next(frames, None)
            if first is None or (seek and first[0] > Fraction(span.start) + MAX_WAIT):
                continue  # the file's index leads astray: read it from its start
            start, seconds = first[0], Fraction(span.duration).limit_denominator(1000)
            if out is None:
                return Cut(start, seconds, 0)
            partial = out.with_name(f"{out.name}.{os.getpid()}.partial")
            out.parent.mkdir(parents=True, exist_ok=True)
            with removed_on_error(partial):
                count = _encode(chain([first], frames), start, seconds, partial, path, side, crf)
                os.replace(partial, out)
            return Cut(start, seconds, count)
    raise MediaError(f"{shown_name(path)}: has no picture at {span.start:.1f} s; copy it again")


def _frames(
    path: Path, span: Span, picture_start: float, seek: bool
) -> Generator[tuple[Fraction, VideoFrame], None, None]:
    """(seconds of the film, picture) from the beginning of `span` on, without end."""
    from core.frames import PictureStream

    begin = Fraction(span.start).limit_denominator(10**6)
    with PictureStream(path, threads=1) as pictures:
        told = float((pictures.stream.start_time or 0) * pictures.time_base)
        if seek and span.start > SEEK_FROM and abs(told - picture_start) < 1e-3:
            pictures.seek(begin)
        held: VideoFrame | None = None
        begun = False
        for seconds, frame in pictures:
            if not begun and seconds + pictures.time_base / 2 < begin:
                held = frame
                continue
            if not begun and held is not None and seconds > begin + MAX_WAIT:
                yield begin, held
            begun = True
            yield seconds, frame
        if not begun and held is not None:
            yield begin, held


def _encode(
    frames: Iterator[tuple[Fraction, VideoFrame]],
    start: Fraction,
    seconds: Fraction,
    out: Path,
    source: Path,
    side: int,
    crf: int,
) -> int:
    """Write the pictures with start <= time < start + seconds as H.264 in MP4; how many there were."""
    import av

    from core.frames import Scaler

    info = probe(source)
    width, height = info.shown_size
    factor = min(1.0, side / min(width, height))
    size = [max(2, round(length * factor / 2) * 2) for length in (width, height)]
    scale = Scaler(size[0], size[1])
    count = 0
    with av.open(str(out), "w", format="mp4", options={"movflags": "faststart"}) as output:
        stream = output.add_stream("libx264", rate=info.average_rate)
        stream.width, stream.height, stream.pix_fmt = size[0], size[1], "yuv420p"
        tick = Fraction(1, 90_000)
        stream.codec_context.time_base = tick
        stream.codec_context.thread_count = 1  # the same bytes on every machine
        stream.options = {"preset": PRESET, "crf": str(crf), "bf": "0", "g": str(KEY_PICTURES)}
        lengths: dict[int, int] = {}
        last: int | None = None
        for at, frame in frames:
            if at - start >= seconds:
                break
            stamp = round((at - start) / tick)
            if last is not None:
                if stamp <= last:
                    continue
                lengths[last] = stamp - last
            picture = av.VideoFrame.from_ndarray(scale(frame), format="rgb24")
            picture.pts, picture.time_base, last = stamp, tick, stamp
            lengths[stamp] = round(seconds / tick) - stamp
            count += 1
            _mux(output, stream.encode(picture), lengths)
        _mux(output, stream.encode(None), lengths)
    return count


def _mux(output: Any, packets: list[Any], lengths: dict[int, int]) -> None:
    """Write packets; each is shown until the next one, the last until the clip ends."""
    for packet in packets:
        if packet.pts in lengths:
            packet.duration = lengths[packet.pts]
        output.mux(packet)


def sound_of(path: Path, sound_file: Path | None, picture_start: float) -> MediaInfo:
    """The file that the music is read from, with time counted from the first picture."""
    if sound_file is not None:
        return probe_sound(sound_file)
    return replace(probe(path), picture_start=picture_start)


def read_cut(info: MediaInfo, cut: Cut, rate: int = SAMPLE_RATE, layout: str = "stereo") -> Sound:
    """The sound [C, N] of a cut at `rate`: N is its seconds to the nearest sample. MediaError where most is missing."""
    blocks = list(
        read_audio_blocks(info, rate=rate, layout=layout, start=float(cut.start), duration=float(cut.seconds))
    )
    channels = blocks[0].shape[0] if blocks else 1
    sound = np.concatenate([*blocks, np.zeros((channels, 0), np.float32)], axis=1)
    assert sound.shape[1] == to_samples(cut.seconds, rate), (sound.shape, cut)
    return sound


def write_music(sound: Sound, out: Path) -> None:
    """Write sound [2, N] at 48 kHz as 16 bit FLAC, whole or not at all."""
    import soundfile

    partial = out.with_name(f"{out.name}.{os.getpid()}.partial")
    out.parent.mkdir(parents=True, exist_ok=True)
    with removed_on_error(partial):
        try:
            soundfile.write(str(partial), np.clip(sound.T, -1, 1), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        except soundfile.LibsndfileError as err:
            import errno

            raise OSError(errno.EIO, str(err), str(out)) from err
        os.replace(partial, out)

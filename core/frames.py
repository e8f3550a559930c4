"""Video file or span -> pictures by presentation time stamp. The only decoder of pictures; numpy and av alone.

Time here is a `Fraction` of seconds after the first picture shown, taken from the stream's time stamps and never
from counting frames: so 24000/1001, variable rates and a first time stamp other than 0 need no special case.

    open_media        path -> container, or a `MediaError` with its remedy
    PictureStream     every picture of a file once, in order, going on past damaged packets
    FrameGrid         which of the moments 0, 1/fps, 2/fps ... fall before a picture
    decode_frames     the pictures on screen at those moments, upright and as large as asked
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from core.errors import MediaError
from core.vision.picture import FrameArray

log = logging.getLogger(__name__)

# A picture stamped up to this long after a moment still counts as on screen: Matroska and FLV round to 1 ms.
MAX_TICK: Final = Fraction(2, 1000)
# How often reading may fail in a row before the rest of the file counts as lost.
MAX_READ_ERRORS: Final = 50
MAX_OPENING_PACKETS: Final = 300  # packets looked at for the first picture


def shown_name(path: Path) -> str:
    """File name fit for a one-line message: line breaks and control characters are written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in path.name)


def media_url(path: Path) -> str:
    """Address that ffmpeg takes for exactly this file, whatever the name holds (leading dash, colon, percent)."""
    return f"file:{path.absolute()}"


def open_media(path: Path) -> InputContainer:
    """The file opened for reading. MediaError where it is missing, empty, not readable or not a film."""
    name = shown_name(path)
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except FileNotFoundError as err:
        raise MediaError(f"{name}: there is no such file; check the name and the folder") from err
    except IsADirectoryError as err:
        raise MediaError(f"{name}: is a folder; use `gvm score-folder` for folders") from err
    except PermissionError as err:
        raise MediaError(f"{name}: may not be read; give yourself the right to read it (chmod +r)") from err
    except OSError as err:
        raise MediaError(f"{name}: can't be read ({err.strerror}); check the disk or copy it again") from err
    if not head:
        raise MediaError(f"{name}: is empty (0 bytes); copy it again from the camera or delete it")
    try:
        return av.open(media_url(path), metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as err:
        if head[4:8] in (b"ftyp", b"mdat", b"wide", b"free"):
            problem = "is unfinished: its index (moov) is missing; copy it again from the camera or repair it"
        else:
            problem = "is no video that ffmpeg can read; convert it to mp4, or take it out of the folder"
        raise MediaError(f"{name}: {problem}") from err


def find_picture(container: InputContainer, path: Path) -> VideoStream:
    """The video stream to score: the default one, else the first; cover art doesn't count."""
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        raise MediaError(f"{shown_name(path)}: has no picture, only sound or data; gvm scores videos")
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        raise MediaError(f"{shown_name(path)}: its kind of picture isn't known to this ffmpeg; convert it to H.264")
    return next((stream for stream in known if stream.disposition & Disposition.default), known[0])


def first_picture(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    """The first picture that can be decoded near the start of a just opened file, or None."""
    try:
        for number, packet in enumerate(container.demux(stream)):
            try:
                frames = stream.decode(packet)
            except av.error.FFmpegError:
                frames = []
            if frames:
                return frames[0]
            if number > MAX_OPENING_PACKETS:
                return None
    except av.error.FFmpegError as err:
        log.debug("%s: reading: %s", container.name, err)
    return None


def quarter_turns(degrees: float) -> int:
    """Quarter turns counterclockwise, 0..3, that set a picture upright whose display matrix says `degrees`."""
    return round(degrees / 90) % 4


class Scaler:
    """Pictures of one film as they are shown: upright, scaled to [height, width, 3] RGB (their shape isn't kept).

    Keeps the tables of the scaling from picture to picture, which is half the work for small sizes.
    """

    def __init__(self, width: int, height: int, interpolation: str = "AREA") -> None:
        self._size = (width, height)
        self._interpolation = interpolation
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> FrameArray:
        """`frame` as [height, width, 3] RGB."""
        turns = quarter_turns(frame.rotation)
        width, height = self._size if turns % 2 == 0 else self._size[::-1]
        small = self._reformatter.reformat(frame, width, height, "rgb24", interpolation=self._interpolation, threads=1)
        return np.ascontiguousarray(np.rot90(small.to_ndarray(), turns), dtype=np.uint8)


class AsShown:
    """Pictures of one film as they are shown, each as large as it is: upright, with square pixels, [H, W, 3] RGB.

    pixel_aspect: width by height of a pixel of the file; the side that it makes longer is stretched.
    """

    def __init__(self, pixel_aspect: Fraction) -> None:
        self._stretch = (max(float(pixel_aspect), 1.0), max(float(1 / pixel_aspect), 1.0))
        self._size = (0, 0)
        self._scale: Scaler | None = None

    def __call__(self, frame: VideoFrame) -> FrameArray:
        """`frame` as [H, W, 3] RGB."""
        width, height = round(frame.width * self._stretch[0]), round(frame.height * self._stretch[1])
        size = (height, width) if quarter_turns(frame.rotation) % 2 else (width, height)
        if self._scale is None or size != self._size:  # an edit's clips may differ in shape
            self._size, self._scale = size, Scaler(*size, interpolation="BICUBIC")
        return self._scale(frame)


def frame_scaler(width: int | None, height: int | None, pixel_aspect: Fraction) -> Scaler | AsShown:
    """What brings a film's pictures to the size that is asked for; None: as large as they are shown."""
    return AsShown(pixel_aspect) if width is None or height is None else Scaler(width, height)


class PictureStream:
    """Every picture of a file, once and in order, as (Fraction seconds after the first, frame).

    Use as a context manager and iterate once. Damaged packets are skipped and counted.

    After iterating: `count` pictures, `damaged` packets, `end` Fraction seconds at which the last picture ends,
    `start` Fraction seconds of the first in the file's own time, `variable` whether pictures last unequally long.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        self.path = path
        self.container = open_media(path)
        try:
            self.stream = find_picture(self.container, path)
        except MediaError:
            self.container.close()
            raise
        self.stream.thread_type = "AUTO"
        self.stream.codec_context.thread_count = threads
        self.time_base = self.stream.time_base or Fraction(1, 1000)
        self.rate = self.stream.average_rate or self.stream.guessed_rate or Fraction(25)
        self.count = 0
        self.damaged = 0
        self.start: Fraction | None = None
        self.end = Fraction(0)
        self.variable = False

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel by its height."""
        return Fraction(self.stream.sample_aspect_ratio or 1)

    def __enter__(self) -> PictureStream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.container.close()

    def __iter__(self) -> Iterator[tuple[Fraction, VideoFrame]]:
        last = Fraction(-1)
        steps: set[int] = set()
        for frame in self._frames():
            stamp = frame.pts if frame.pts is not None else frame.dts
            at = stamp * self.time_base if stamp is not None else (self.start or 0) + self.end
            if self.start is None:
                self.start = at
            seconds = at - self.start
            if seconds <= last:
                continue  # a repeated or backward stamp: a player wouldn't show it either
            if last >= 0 and len(steps) < 1000:
                steps.add(round((seconds - last) / self.time_base))
            last = seconds
            self.end = seconds + (frame.duration * self.time_base if frame.duration else 1 / self.rate)
            self.count += 1
            yield seconds, frame
        # constant rates rounded to the stream's tick (Matroska: 33, 33, 34 ms) vary by one tick
        self.variable = bool(steps) and max(steps) - min(steps) > max(1, round(0.02 / self.rate / self.time_base))

    def seek(self, seconds: Fraction) -> None:
        """Go to the last key picture at or before `seconds`; needs the start that the file's header tells."""
        self.start = (self.stream.start_time or 0) * self.time_base
        self.container.seek(int((seconds + self.start) / self.time_base), stream=self.stream)

    def _frames(self) -> Iterator[VideoFrame]:
        errors = 0
        while errors < MAX_READ_ERRORS:
            try:
                for packet in self.container.demux(self.stream):
                    yield from self._decode(packet)
                    errors = 0
                return
            except av.error.FFmpegError as err:
                log.debug("%s: reading: %s", self.path, err)
                errors += 1
                self.damaged += 1
        yield from self._decode(None)

    def _decode(self, packet: av.Packet[VideoStream] | None) -> list[VideoFrame]:
        try:
            return self.stream.decode(packet)
        except av.error.FFmpegError as err:
            log.debug("%s: decoding: %s", self.path, err)
            self.damaged += 1
            return []


class FrameGrid:
    """The moments k / fps, given out once each, in order.

    tick: how far after a moment a picture may be stamped and still be the one on screen (at most `MAX_TICK`).
    """

    def __init__(self, fps: Fraction, tick: Fraction = Fraction(0), start: Fraction = Fraction(0)) -> None:
        if fps <= 0:
            raise ValueError(f"fps must be above 0, not {fps}")
        self.fps = fps
        self.tick = min(tick, MAX_TICK)
        self._next = -((-start * fps) // 1)

    def due_before(self, seconds: Fraction) -> list[Fraction]:
        """The moments not yet given out at which a picture stamped `seconds` isn't on screen yet."""
        due = []
        while self._next / self.fps < seconds - self.tick:
            due.append(Fraction(self._next) / self.fps)
            self._next += 1
        return due


def decode_frames(
    path: Path, width: int | None, height: int | None, fps: Fraction, span: tuple[float, float] | None = None
) -> Iterator[tuple[float, FrameArray]]:
    """(seconds, [height, width, 3] RGB) of the picture on screen at each k / fps of the film, or of `span` of it.

    width and height None: as large as the film shows its pictures. A picture held for long is given several times;
    pictures between two moments are left out.
    """
    first, last = (Fraction(0), None) if span is None else (Fraction(span[0]), Fraction(span[1]))
    with PictureStream(path) as pictures:
        grid = FrameGrid(fps, pictures.time_base, first)
        if first > 0:
            pictures.seek(first)
        scale = frame_scaler(width, height, pictures.pixel_aspect)
        shown: VideoFrame | None = None
        for seconds, frame in pictures:
            until = seconds if last is None else min(seconds, last)
            if shown is not None:
                yield from _repeat(shown, scale, grid.due_before(until))
            if last is not None and seconds >= last:
                return
            shown = frame
        if shown is not None:
            end = pictures.end if last is None else min(pictures.end, last)
            yield from _repeat(shown, scale, grid.due_before(end))


def _repeat(frame: VideoFrame, scale: Scaler | AsShown, due: list[Fraction]) -> Iterator[tuple[float, FrameArray]]:
    if due:
        image = scale(frame)
        for seconds in due:
            yield float(seconds), image

"""What the analysis needs of a film, wherever it comes from: a file, an edit's clips, a clip in memory.

FilmSource      protocol: header, pictures, sound
Pictures        protocol: every picture once, in order; `core.frames.PictureStream` is one
FileSource      a film that is one file
header          what a film that is no file says in the place of one's header
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from gvm_plugin.probe import AudioTrack, MediaInfo, Sound, probe, read_audio_blocks
from gvm_plugin.timeline import SAMPLE_RATE

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


class Pictures(Protocol):
    """Every picture of a film, once and in order, as (Fraction seconds after the first, frame); iterate once.

    rate: pictures a second, about; time_base: the tick that times are rounded to; pixel_aspect: width by height.
    After iterating: count of pictures, damaged packets, end of the last picture, start (of the first, in the file's
    own time, None if there was no picture) and variable (do pictures last unequally long?).
    """

    rate: Fraction
    time_base: Fraction
    count: int
    damaged: int
    start: Fraction | None
    end: Fraction
    variable: bool

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel by its height."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def __iter__(self) -> Iterator[tuple[Fraction, VideoFrame]]: ...


class FilmSource(Protocol):
    """A film to analyse. name: for messages. cuts: seconds at which the picture is known to cut, besides those seen."""

    name: str
    cuts: Sequence[float]

    def info(self) -> MediaInfo:
        """What is known without decoding; `audio` lists the tracks to listen to. MediaError if there is nothing."""

    def pictures(self) -> Pictures:
        """The pictures, opened; a context manager."""

    def sound(self, info: MediaInfo, track: AudioTrack, warnings: list[str]) -> Iterator[Sound]:
        """Blocks [2, n] at 48 kHz of one track, `info.picture_duration` seconds in all."""


class FileSource:
    """A film that is one file."""

    cuts: Sequence[float] = ()

    def __init__(self, path: Path) -> None:
        from core.frames import shown_name

        self.path = path
        self.name = shown_name(path)

    def info(self) -> MediaInfo:
        """What the file's header says."""
        return probe(self.path)

    def pictures(self) -> Pictures:
        """The pictures, opened."""
        from core.frames import PictureStream

        return PictureStream(self.path)

    def sound(self, info: MediaInfo, track: AudioTrack, warnings: list[str]) -> Iterator[Sound]:
        """Blocks of one track."""
        return read_audio_blocks(info, track, warnings=warnings)


def header(kind: str, seconds: float, size: tuple[int, int], rate: Fraction, sound: bool) -> MediaInfo:
    """MediaInfo of a film without a file: upright square pixels, at most one track, stereo at 48 kHz.

    kind: "edit", "clip"; size: width and height; rate: pictures a second.
    """
    track = AudioTrack(0, kind, SAMPLE_RATE, 2, "stereo", None, None, True, 0.0)
    return MediaInfo(
        path=Path(kind),
        container=kind,
        duration=seconds,
        picture_duration=seconds,
        picture_start=0.0,
        video_index=0,
        video_codec=kind,
        width=size[0],
        height=size[1],
        rotation=0,
        pixel_aspect=Fraction(1),
        average_rate=rate,
        variable_rate=False,
        audio=(track,) if sound else (),
    )

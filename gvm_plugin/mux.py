"""Mixed sound + the untouched picture of the source -> the delivered film. One run of ffmpeg, nothing re-encoded but
the sound.

The video stream is copied packet for packet with its time stamps; so are the other tracks, subtitles, chapters, cover
pictures, attachments, rotation and tags, as far as the container can hold them. The sound begins with the first
picture shown and ends with the last, to the sample, in every container that can say where an encoder's padding ends.

The film is written under a temporary name beside its place and renamed when complete.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import DeliveryError, FFmpegError
from gvm_plugin.ffmpeg import file_url, run_ffmpeg
from gvm_plugin.probe import MediaInfo
from gvm_plugin.wav import removed_on_error

if TYPE_CHECKING:
    from av.stream import Stream

# The encoder's default coder throws peaks up by as much as 4 dB on sharp attacks; the fast one by 0.3 at this rate.
_AAC: Final = ("aac", "-aac_coder:a", "fast", "-b:a", "448k")
_OPUS: Final = ("libopus", "-b:a", "256k")
_WEBM_VIDEO: Final = ("vp8", "vp9", "av1")
# Tags that MP4 has places for. For others (a phone's make, model, place) its free key/value form has to be chosen,
# which fewer players show.
_MP4_TAGS: Final = frozenset({
    "title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright", "grouping",
    "lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords", "track", "disc", "encoder",
    "creation_time", "timecode", "major_brand", "minor_version", "compatible_brands",
})  # fmt: skip


@dataclass(frozen=True)
class Container:
    """A file format we deliver.

    muxer: ffmpeg's name. sound: codec of the mix, with its options. exact: the format says where the encoder's
    padding ends, so decoded sound is as long as the picture to the sample. warning: why it isn't the source's own.
    """

    muxer: str
    suffix: str
    sound: tuple[str, ...]
    exact: bool = True
    options: tuple[str, ...] = ()
    warning: str | None = None


@dataclass(frozen=True)
class MuxReport:
    """The delivered film. sound_codec: of the mix; warnings: what of the source couldn't be kept, and why."""

    path: Path
    container: Container
    sound_codec: str
    warnings: tuple[str, ...] = ()


def container_for(info: MediaInfo) -> Container:
    """The format to deliver: the source's own where it can be, by what the file is and not by what it is called.

    Matroska marks AAC's padding in no way that players follow, so it gets Opus, as WebM does.
    """
    suffix = info.path.suffix.lower()
    if "mp4" in info.container.split(","):
        if suffix in (".mov", ".qt"):
            return Container("mov", suffix, _AAC, options=("-movflags", "+faststart"))
        suffix = suffix if suffix in (".mp4", ".m4v") else ".mp4"
        return Container("mp4", suffix, _AAC, options=("-movflags", "+faststart"))
    if "matroska" in info.container:
        if suffix == ".webm" and info.video_codec in _WEBM_VIDEO:
            return Container("webm", ".webm", _OPUS)
        return Container("matroska", ".mkv", _OPUS)
    if info.container == "mpegts":
        suffix = suffix if suffix in (".ts", ".mts", ".m2ts") else ".ts"
        options = ("-muxdelay", "0", "-muxpreload", "0", "-mpegts_m2ts_mode", "0" if suffix == ".ts" else "1")
        return Container("mpegts", suffix, _AAC, exact=False, options=options,
                         warning="MPEG-TS can't mark the padding of its sound: the track is up to 0.05 s longer than "
                                 "the picture, in sync all the same")  # fmt: skip
    return Container("matroska", ".mkv", _OPUS,
                     warning=f"{info.container} can't hold exact sound; delivered as Matroska (.mkv)")  # fmt: skip


def delivered_name(info: MediaInfo) -> str:
    """Name of the delivered file: the source's, with another suffix where it changes its format."""
    return f"{info.path.stem}{container_for(info).suffix}"


def mux(
    info: MediaInfo,
    sound: Path,
    out: Path,
    *,
    keep_original: bool = True,
    separate_track: bool = False,
) -> MuxReport:
    """Write the film `info` with `sound` (48 kHz WAV, from the first picture on) to `out`, whole or not at all.

    The mix takes the place of the main sound track and comes first; other sound tracks stay behind it, unless
    `keep_original` is false. With `separate_track` all tracks stay as they are and `sound` is added as the last.
    `out` should have the suffix of `container_for(info)`.
    """
    from core.frames import shown_name

    container = container_for(info)
    plan, lost = _choose_streams(info, container, keep_original, separate_track)
    # Short whatever the film is called, and the same again after a kill: the next run overwrites what was left.
    partial = out.with_name(f".gvm-{hashlib.sha256(out.name.encode()).hexdigest()[:16]}.partial")
    warnings = [container.warning] if container.warning else []
    try:
        with removed_on_error(partial):
            partial.touch()
            try:
                run_ffmpeg(_arguments(info, sound, partial, container, plan))
            except FFmpegError as err:
                if not plan.doubtful or err.disk_reason:
                    raise
                lost = (*lost, *map(str, plan.doubtful))
                run_ffmpeg(_arguments(info, sound, partial, container, plan.without_doubtful()))
            os.replace(partial, out)
    except FFmpegError as err:
        if not err.disk_reason:
            message = f"{shown_name(info.path)}: {err}; convert it to mp4 and try again"
            raise FFmpegError(message, err.argv, err.stderr_tail) from err
        raise DeliveryError(
            f"{shown_name(out)}: can't be written to {out.parent} ({err.disk_reason}); make room and run again"
        ) from err
    except OSError as err:
        raise DeliveryError(
            f"{shown_name(out)}: can't be written to {out.parent} ({err.strerror}); check that the folder is there, "
            "writable and not full"
        ) from err
    warnings += [f"{what} can't be kept in {container.muxer}" for what in lost]
    return MuxReport(out, container, container.sound[0].removeprefix("lib"), tuple(warnings))


@dataclass(frozen=True)
class _Source:
    """What matters of a stream of the source."""

    index: int
    type: str
    codec: str | None
    language: str | None
    tags: dict[str, str]

    def __str__(self) -> str:
        name = self.tags.get("handler_name") or self.tags.get("filename") or self.codec or "unknown"
        return f"{self.type} stream {self.index} ({name.strip()})"


@dataclass(frozen=True)
class _Plan:
    """Streams of the delivered film in order; None stands for the new sound. doubtful: may be refused by the muxer."""

    streams: tuple[_Source | None, ...]
    replaced: _Source | None  # the track whose place and language the mix takes
    tags: tuple[str, ...]  # of the whole file

    @property
    def doubtful(self) -> tuple[_Source, ...]:
        return tuple(stream for stream in self.streams if stream and stream.type not in ("video", "audio"))

    def without_doubtful(self) -> _Plan:
        kept = tuple(stream for stream in self.streams if stream not in self.doubtful)
        return _Plan(kept, self.replaced, self.tags)


def _choose_streams(
    info: MediaInfo, container: Container, keep_original: bool, separate_track: bool
) -> tuple[_Plan, tuple[str, ...]]:
    """The streams to deliver, and in words those the container can't hold."""
    from core.frames import open_media

    with open_media(info.path) as media:
        sources = [_describe(stream) for stream in media.streams]
        tags = tuple(media.metadata)
        has_chapters = bool(media.chapters())
    picture = next(source for source in sources if source.index == info.video_index)
    others = [source for source in sources if source is not picture]
    sounds = [source for source in others if source.type == "audio"]
    main = next((source for source in sounds if info.main_audio and source.index == info.main_audio.index), None)
    rest: list[_Source] = []
    lost: list[_Source] = []
    for source in others:
        if source.type == "audio" or (source.type == "data" and _is_made_anew(source, has_chapters)):
            continue  # sound is placed below
        (rest if _fits(source, container) else lost).append(source)
    if separate_track:
        streams = [picture, *sounds, None, *rest]
    else:
        kept = [source for source in sounds if source is not main] if keep_original else []
        streams = [picture, None, *kept, *rest]
    return _Plan(tuple(streams), None if separate_track else main, tags), tuple(map(str, lost))


def _describe(stream: Stream) -> _Source:
    return _Source(stream.index, stream.type, stream.name, stream.language, dict(stream.metadata))


def _is_made_anew(source: _Source, has_chapters: bool) -> bool:
    """Whether a data track of MP4 is one that the muxer writes itself: time code, or the names of chapters."""
    names_chapters = has_chapters and source.codec == "bin_data" and "GoPro" not in source.tags.get("handler_name", "")
    return "timecode" in source.tags or names_chapters


def _fits(source: _Source, container: Container) -> bool:
    """Whether the muxer may take the stream; what it says decides in the end."""
    if source.type == "data":
        # Of telemetry, ffmpeg's mov muxer takes GoPro's; it knows that one, and no other, as binary data.
        return container.muxer == "mpegts" or (container.muxer in ("mp4", "mov") and source.codec == "bin_data")
    if source.type == "attachment":
        return container.muxer == "matroska"
    return source.type in ("video", "audio", "subtitle")


def _arguments(info: MediaInfo, sound: Path, partial: Path, container: Container, plan: _Plan) -> list[str]:
    """Arguments of ffmpeg that copy the streams of `plan` and encode `sound` among them."""
    repair = ["-fflags", "+genpts"] if container.warning and container.muxer == "matroska" else []  # AVI has no pts
    # MP4 trims an encoder's padding only before time 0, so there the first picture has to stand at 0.
    shift = info.picture_start if container.muxer in ("mp4", "mov") else 0.0
    arguments = ["-copyts", *repair, "-itsoffset", f"{-shift:.9f}", "-i", file_url(info.path)]
    arguments += ["-itsoffset", f"{info.picture_start - shift:.9f}", "-i", file_url(sound)]
    for stream in plan.streams:
        arguments += ["-map", f"0:{stream.index}" if stream else "1:a:0"]
    place = sum(1 for stream in plan.streams[: plan.streams.index(None)] if stream and stream.type == "audio")
    codec, *options = container.sound
    arguments += ["-map_metadata", "0", "-map_chapters", "0", "-copy_unknown", "-copyinkf", "-c", "copy"]
    arguments += [f"-c:a:{place}", codec, *(_at(option, place) for option in options)]
    arguments += _sound_tags(plan, place)
    arguments += container.options
    if container.muxer in ("mp4", "mov") and not _MP4_TAGS.issuperset(plan.tags):
        arguments += ["-movflags", "+faststart+use_metadata_tags"]
        for brand in ("major_brand", "minor_version", "compatible_brands"):  # the muxer writes its own
            arguments += ["-metadata", f"{brand}="]
    return [*arguments, "-f", container.muxer, file_url(partial)]


def _sound_tags(plan: _Plan, place: int) -> list[str]:
    """Arguments for name, language and disposition of the new sound."""
    if plan.replaced is None:
        first = place == 0
        name = ["-metadata:s:a:" + str(place), "title=Music", "-metadata:s:a:" + str(place), "handler_name=Music"]
        return [*name, f"-disposition:a:{place}", "default" if first else "0"]
    arguments = [f"-disposition:a:{place}", "default"]
    if plan.replaced.language:
        arguments += [f"-metadata:s:a:{place}", f"language={plan.replaced.language}"]
    return arguments


def _at(option: str, place: int) -> str:
    """An option for one sound stream: -b:a -> -b:a:1; values stay as they are."""
    return f"{option}:{place}" if option.startswith("-") else option

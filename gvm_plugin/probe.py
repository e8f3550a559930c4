"""What a video file holds, and its sound as blocks of samples. Of the pictures it decodes the first alone.

Sound is aligned to the picture: sample 0 is heard while the first picture is shown. A track that begins later is
padded with silence, one that begins earlier is cut, and gaps in its time stamps become silence.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from core.errors import MediaError
from gvm_plugin.timeline import SAMPLE_RATE, to_samples

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream

log = logging.getLogger(__name__)

BLOCK_SECONDS: Final = 10
# Sound stamped this far from where the samples before it end starts anew there; less is rounding of time stamps.
MAX_JITTER_SECONDS: Final = 0.05
MAX_READ_ERRORS: Final = 50
SEEK_FROM_SECONDS: Final = 5.0  # what begins earlier in a file is read from its start
SEEK_EARLY_SECONDS: Final = 0.5  # for the decoder to settle
EXACT_SEEK: Final = frozenset(("mov", "matroska", "wav", "w64", "flac", "aiff"))  # mp3 and others land about there

Sound = npt.NDArray[np.float32]  # [channels, N]


@dataclass(frozen=True)
class AudioTrack:
    """One audio stream. index: in the file. start: seconds after the first picture (negative: before it)."""

    index: int
    codec: str
    rate: int
    channels: int
    layout: str
    language: str | None
    title: str | None
    default: bool
    start: float


@dataclass(frozen=True)
class MediaInfo:
    """What a file's header says; after `analyse` the start, picture_duration and variable_rate are as measured.

    container: ffmpeg's name of the format. duration: of the whole file, picture_duration: of its pictures, seconds.
    picture_start: time of the first picture in the file's own time. width, height: as stored; rotation: quarter
    turns counterclockwise, in degrees 0..270, that set the picture upright. video_index: of the stream scored.
    """

    path: Path
    container: str
    duration: float
    picture_duration: float
    picture_start: float
    video_index: int
    video_codec: str
    width: int
    height: int
    rotation: int
    pixel_aspect: Fraction
    average_rate: Fraction
    variable_rate: bool
    audio: tuple[AudioTrack, ...]
    other_streams: tuple[str, ...] = ()

    @property
    def main_audio(self) -> AudioTrack | None:
        """The track that players play: the default one, else the first; its sound is what gets mixed and measured."""
        return next((track for track in self.audio if track.default), self.audio[0] if self.audio else None)

    @property
    def shown_size(self) -> tuple[int, int]:
        """(width, height) as shown: upright, with square pixels."""
        width = round(self.width * self.pixel_aspect)
        return (self.height, width) if self.rotation % 180 else (width, self.height)


def probe(path: Path) -> MediaInfo:
    """What the header of `path` says. MediaError where it is no readable film with a picture."""
    from core.frames import find_picture, first_picture, open_media, quarter_turns, shown_name

    if path.exists() and not path.is_file() and not path.is_dir():
        raise MediaError(f"{shown_name(path)}: is no file but a pipe or device; name a file")
    with open_media(path) as container:
        video = find_picture(container, path)
        time_base = video.time_base or Fraction(1, 1000)
        first = first_picture(container, video)
        stamp = first.pts if first is not None and first.pts is not None else video.start_time or 0
        start = stamp * time_base
        whole = container.duration / 1_000_000 if container.duration else 0.0
        seconds = float(video.duration * time_base) if video.duration else max(0.0, whole - max(0.0, float(start)))
        average = video.average_rate or video.guessed_rate or Fraction(25)
        base = video.base_rate or average
        return MediaInfo(
            path=path,
            container=container.format.name,
            duration=whole or seconds,
            picture_duration=seconds,
            picture_start=float(start),
            video_index=video.index,
            video_codec=video.codec_context.name,
            width=video.codec_context.width,
            height=video.codec_context.height,
            rotation=quarter_turns(first.rotation) * 90 if first is not None else 0,
            pixel_aspect=Fraction(video.sample_aspect_ratio or 1),
            average_rate=average,
            variable_rate=abs(base / average - 1) > 0.01,
            audio=tuple(_audio_track(stream, start) for stream in container.streams.audio if stream.codec_context),
            other_streams=tuple(
                stream.type for stream in container.streams if stream.type != "audio" and stream.index != video.index
            ),
        )


def probe_sound(path: Path) -> MediaInfo:
    """What the header of `path` says, whether it has a picture or not; without one, time begins with its sound.

    MediaError where there is no sound.
    """
    from core.frames import open_media, shown_name

    try:
        info = probe(path)
    except MediaError:
        with open_media(path) as container:
            starts = [
                (stream.start_time or 0) * (stream.time_base or Fraction(1)) for stream in container.streams.audio
            ]
            start = min(starts, default=Fraction(0))
            tracks = tuple(_audio_track(stream, start) for stream in container.streams.audio if stream.codec_context)
            seconds = container.duration / 1_000_000 if container.duration else 0.0
            info = MediaInfo(
                path, container.format.name, seconds, seconds, float(start), -1, "", 0, 0, 0,
                Fraction(1), Fraction(25), False, tracks,
            )  # fmt: skip
    if not info.audio:
        raise MediaError(f"{shown_name(path)}: has no sound; choose another file, or take it out")
    return info


def _audio_track(stream: AudioStream, picture_start: Fraction) -> AudioTrack:
    from av.stream import Disposition

    begins = (stream.start_time or 0) * (stream.time_base or Fraction(1, 1000))
    return AudioTrack(
        index=stream.index,
        codec=stream.codec_context.name,
        rate=stream.codec_context.sample_rate,
        channels=stream.codec_context.layout.nb_channels,
        layout=stream.codec_context.layout.name,
        language=stream.language if stream.language != "und" else None,
        title=stream.metadata.get("title") or None,
        default=bool(stream.disposition & Disposition.default),
        start=float(begins - picture_start),
    )


def read_audio_blocks(
    info: MediaInfo,
    track: AudioTrack | None = None,
    rate: int = SAMPLE_RATE,
    layout: str = "stereo",
    block_seconds: float = BLOCK_SECONDS,
    duration: float | None = None,
    warnings: list[str] | None = None,
    start: float = 0.0,
    pad: bool = True,
) -> Iterator[Sound]:
    """The sound of `track` (the main one if None), [channels, n] at `rate`, in blocks of `block_seconds`.

    All blocks together have exactly `duration` seconds (the picture's if None), from second `start` on, cut or
    padded with silence (with `pad`); the last may be shorter. 5.1 is mixed down and mono doubled. What was damaged is
    appended to `warnings`.
    """
    track = track or info.main_audio
    if track is None:
        raise ValueError(f"{info.path.name} has no sound to read")
    total = to_samples(info.picture_duration if duration is None else duration, rate)
    block = to_samples(block_seconds, rate)
    pending: list[Sound] = []
    held = given = channels = 0
    for part in _placed(info, track, rate, layout, total, [] if warnings is None else warnings, start, pad):
        channels = part.shape[0]
        pending.append(part)
        held += part.shape[1]
        while held >= block:
            whole = np.concatenate(pending, axis=1)
            yield np.ascontiguousarray(whole[:, :block])
            pending, held, given = [whole[:, block:]], held - block, given + block
    rest = np.concatenate([*pending, np.zeros((channels, 0), np.float32)], axis=1)
    if rest.shape[1]:
        yield rest


def _placed(
    info: MediaInfo, track: AudioTrack, rate: int, layout: str, total: int, warnings: list[str], begin: float, pad: bool
) -> Iterator[Sound]:
    """Parts [channels, n] that follow each other without a gap, `total` samples in all, from second `begin` on."""
    from av.audio.layout import AudioLayout

    channels = AudioLayout(layout).nb_channels
    written = cursor = 0
    offset = to_samples(begin, rate)
    for at, sound in _resampled(info, track, rate, layout, warnings, begin):
        cursor = cursor if at is None else at - offset
        fresh = sound[:, max(0, written - cursor) :]  # without what lies before the picture or was given already
        if fresh.shape[1]:
            start = max(written, cursor)
            yield from _silence(channels, min(start, total) - written, rate)
            fresh = fresh[:, : max(0, total - start)]
            written = min(start, total) + fresh.shape[1]
            yield fresh
        cursor += sound.shape[1]
        if written >= total:
            return
    if pad:
        yield from _silence(channels, total - written, rate)


def _silence(channels: int, samples: int, rate: int) -> Iterator[Sound]:
    for done in range(0, samples, rate):
        yield np.zeros((channels, min(rate, samples - done)), np.float32)


def _resampled(
    info: MediaInfo, track: AudioTrack, rate: int, layout: str, warnings: list[str], begin: float
) -> Iterator[tuple[int | None, Sound]]:
    """(index of the first sample after the first picture, or None if it follows directly; samples [channels, n])."""
    from av.audio.resampler import AudioResampler

    picture_start = Fraction(info.picture_start).limit_denominator(10**9)
    resampler, form, expected, mono = None, None, Fraction(0), False
    for frame in _audio_frames(info, track, warnings, begin):
        now = (frame.format.name, frame.layout.name, frame.sample_rate)
        at = expected
        if frame.pts is not None and frame.time_base is not None:
            at = frame.pts * frame.time_base - picture_start
        begins: int | None = None
        if resampler is None or now != form or abs(at - expected) > MAX_JITTER_SECONDS:
            if resampler is not None:
                yield from ((None, _samples(part, mono)) for part in resampler.resample(None))
            # the resampler would take 3 dB off when doubling mono; players don't
            mono = frame.layout.nb_channels == 1 and layout == "stereo"
            resampler = AudioResampler(format="fltp", layout="mono" if mono else layout, rate=rate)
            form, begins, expected = now, round(at * rate), at
        expected += Fraction(frame.samples, frame.sample_rate)
        frame.pts = None
        for part in resampler.resample(frame):
            yield begins, _samples(part, mono)
            begins = None
    if resampler is not None:
        yield from ((None, _samples(part, mono)) for part in resampler.resample(None))


def _samples(frame: AudioFrame, double: bool) -> Sound:
    samples = np.asarray(frame.to_ndarray(), dtype=np.float32)
    return np.repeat(samples, 2, axis=0) if double else samples


def _audio_frames(info: MediaInfo, track: AudioTrack, warnings: list[str], begin: float) -> Iterator[AudioFrame]:
    """Decoded frames of `track`, going on past damaged packets; where that is exact, from a little before `begin`."""
    import av.error

    from core.frames import open_media, shown_name

    damaged = errors = 0
    with open_media(info.path) as container:
        stream = container.streams[track.index]
        assert isinstance(stream, av.AudioStream), stream
        if begin > SEEK_FROM_SECONDS and EXACT_SEEK & set(info.container.split(",")):
            moment = max(0.0, info.picture_start + begin - SEEK_EARLY_SECONDS)
            container.seek(int(moment / (stream.time_base or Fraction(1, 1000))), stream=stream)
        try:
            while errors < MAX_READ_ERRORS:
                try:
                    for packet in container.demux(stream):
                        try:
                            yield from packet.decode()
                        except av.error.FFmpegError as err:
                            log.debug("%s: decoding sound: %s", info.path, err)
                            damaged += 1
                        errors = 0
                    break
                except av.error.FFmpegError as err:
                    log.debug("%s: reading sound: %s", info.path, err)
                    errors += 1
                    damaged += 1
        finally:  # also when the reader has enough
            if damaged:
                warnings.append(f"{shown_name(info.path)}: {damaged} damaged packets of sound were skipped")

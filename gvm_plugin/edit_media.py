"""An edit as a film to analyse, without rendering it: each clip's file is decoded where the timeline shows it.

    EditSource      the FilmSource: what is missing becomes a warning, and black or silent
    _Pictures       one clip after the other: trimmed, faster or slower, backwards, held; fitted into one shape
    _Mix            the sounds added up, in blocks

Memory doesn't grow with the edit: one file of pictures is open at a time, and the sounds that are heard at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from core.errors import MediaError
from core.frames import MAX_TICK, PictureStream, Scaler, quarter_turns, shown_name
from gvm_plugin.edit_list import Clip, Edit, EditSound, located
from gvm_plugin.film_source import Pictures, header
from gvm_plugin.probe import BLOCK_SECONDS, AudioTrack, MediaInfo, Sound, probe_sound, read_audio_blocks
from gvm_plugin.timeline import SAMPLE_RATE, to_samples

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

log = logging.getLogger(__name__)

HOLD: Final = Fraction(1, 8)  # seconds between two looks at a picture that doesn't change
SEEK_FROM: Final = 2  # seconds; what begins earlier in a file is decoded from its start
CHUNK: Final = 1  # seconds of a file decoded at a time to be shown backwards
CANVAS_HEIGHT: Final = 540  # of pictures that have to be fitted in
SAME_SHAPE: Final = 0.01  # relative difference of two shapes that counts as none
SHORT_SECONDS: Final = 0.5  # of a clip that its file can't fill, from which on it is told

MOST_SOUND_SPEED: Final = 16  # beyond that, either way, a sound says nothing

Shown = Iterator[tuple[Fraction, "VideoFrame"]]


@dataclass(frozen=True)
class _File:
    """What is known of a file of pictures. start: of its first picture, in its own time; aspect: as shown.

    seconds: how long its pictures last, as its header says.
    """

    path: Path
    start: Fraction
    rate: Fraction
    time_base: Fraction
    shape: tuple[int, int, int, Fraction]  # width, height, quarter turns, pixel aspect
    seconds: Fraction

    @property
    def aspect(self) -> float:
        width, height, turns, pixel = self.shape
        aspect = float(width * pixel / height)
        return 1 / aspect if turns % 2 else aspect


class EditSource:
    """An edit as a FilmSource. warnings: of files that can't be used; complete once it is made."""

    name = "the edit"

    def __init__(self, edit: Edit) -> None:
        self.warnings: list[str] = []
        self._files: dict[Path, _File] = {}
        self.edit = replace(edit, clips=self._usable_clips(edit), sounds=self._usable_sounds(edit))
        self.cuts: Sequence[float] = self.edit.cuts
        if edit.clips and not self.edit.clips:
            raise MediaError(f"no clip of the edit can be read: {self.warnings[0]}")

    def _usable_clips(self, edit: Edit) -> tuple[Clip, ...]:
        bad: set[Path] = set()
        for path in dict.fromkeys(clip.file for clip in edit.clips if clip.file is not None):
            try:
                self._files[path] = _look_at(_no_device(path))
            except MediaError as err:
                bad.add(path)
                self.warnings.append(f"{err}; its place in the edit is black")
        usable = (clip for clip in edit.clips if clip.file not in bad)
        return tuple(self._located(clip, edit.fps) for clip in usable)

    def _located(self, clip: Clip, fps: Fraction) -> Clip:
        file = self._files[clip.file] if clip.file is not None else None
        return clip if file is None else located(clip, fps, file.seconds, file.rate)

    def _usable_sounds(self, edit: Edit) -> tuple[EditSound, ...]:
        self._sounds: dict[Path, MediaInfo] = {}
        for path in dict.fromkeys(sound.file for sound in edit.audible):
            try:
                self._sounds[path] = probe_sound(_no_device(path))
            except MediaError as err:
                self.warnings.append(f"{err}; its place in the edit is silent")
        heard = (sound for sound in edit.audible if sound.file in self._sounds)
        usable = (located(sound, edit.fps, Fraction(self._sounds[sound.file].duration)) for sound in heard)
        return tuple(sound for sound in usable if 1 / MOST_SOUND_SPEED <= sound.speed <= MOST_SOUND_SPEED)

    def info(self) -> MediaInfo:
        """The edit as if it were a file's header."""
        width, height = self.edit.size or next((file.shape[:2] for file in self._files.values()), (64, 36))
        duration = float(self.edit.duration)
        return header("edit", duration, (width, height), self.edit.fps, sound=bool(self.edit.sounds))

    def pictures(self) -> Pictures:
        """The pictures, opened."""
        return _Pictures(self.edit, self._files, self.warnings)

    def sound(self, info: MediaInfo, track: AudioTrack, warnings: list[str]) -> Iterator[Sound]:
        """Blocks [2, n] of all that is heard."""
        return self.mixed(info.picture_duration, warnings)

    def mixed(self, seconds: float | None = None, warnings: list[str] | None = None) -> Iterator[Sound]:
        """The edit's own sound, [2, n] at 48 kHz in blocks, `seconds` (None: all of it) in all."""
        warnings = [] if warnings is None else warnings
        total = to_samples(self.edit.duration if seconds is None else seconds)
        waiting = [_Player(sound, self._sounds[sound.file], warnings) for sound in self.edit.audible]
        size = BLOCK_SECONDS * SAMPLE_RATE
        playing: list[_Player] = []
        for position in range(0, total, size):
            block = np.zeros((2, min(size, total - position)), np.float32)
            end = position + block.shape[1]
            playing += [player for player in waiting if player.first < end]
            waiting = [player for player in waiting if player.first >= end]
            for player in playing:
                player.add_to(block, position)
            playing = [player for player in playing if player.last > end]
            yield block


# --- pictures ----------------------------------------------------------------------------------------------------


def _no_device(path: Path) -> Path:
    """`path`; MediaError for pipes and devices, which one could wait for without end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise MediaError(f"{shown_name(path)}: is no file but a pipe or device; name a file")
    return path


def _look_at(path: Path) -> _File:
    with PictureStream(path) as stream:
        frame = next((frame for _, frame in stream), None)
        if frame is None or stream.start is None:
            raise MediaError(f"{shown_name(path)}: no picture of it can be decoded; copy it again or take it out")
        shape = (frame.width, frame.height, quarter_turns(frame.rotation), stream.pixel_aspect)
        seconds = stream.stream.frames / stream.rate  # of which an editor counts; not every container says how many
        if not seconds and stream.stream.duration is not None:
            seconds = stream.stream.duration * stream.time_base
        elif not seconds and stream.container.duration is not None:
            seconds = Fraction(stream.container.duration, 1_000_000)
        return _File(path, stream.start, stream.rate, stream.time_base, shape, seconds)


class _Pictures:
    """The pictures of an edit in order; see `film_source.Pictures`."""

    variable = False

    def __init__(self, edit: Edit, files: dict[Path, _File], warnings: list[str]) -> None:
        self._edit, self._files, self._warnings = edit, files, warnings
        used = [files[clip.file] for clip in edit.shown if clip.file is not None]
        moving = {
            (files[clip.file].rate, clip.speed) for clip in edit.shown if clip.file is not None and not clip.still
        }
        rates = {rate * speed for rate, speed in moving}
        self.rate = rates.pop() if len(rates) == 1 else edit.fps
        self.time_base = max((file.time_base for file in used), default=Fraction(1, 1000))
        aspect = edit.size[0] / edit.size[1] if edit.size else used[0].aspect if used else 16 / 9
        alike = all(abs(file.aspect / aspect - 1) < SAME_SHAPE for file in used)
        self._as_they_are = alike and len({file.shape[2:] for file in used}) == 1
        self.pixel_aspect = used[0].shape[3] if self._as_they_are else Fraction(1)
        self._fit = _Fit(aspect)
        self.count = self.damaged = 0
        self.start: Fraction | None = Fraction(0)
        self.end = edit.duration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def __iter__(self) -> Shown:
        last = Fraction(-1)
        for clip in self._edit.shown:
            for seconds, frame in self._of_clip(clip):
                if seconds > last:
                    self.count += 1
                    last = seconds
                    yield seconds, frame

    def _of_clip(self, clip: Clip) -> Shown:
        if clip.file is None:
            return _held(self._fit.plain(clip.colour), clip.start, clip.end)
        file = self._files[clip.file]
        pictures = self._still(clip, file) if clip.still else self._moving(clip, file)
        if self._as_they_are or clip.reverse:
            return pictures
        return ((seconds, self._fit(frame, file)) for seconds, frame in pictures)

    def _still(self, clip: Clip, file: _File) -> Shown:
        with PictureStream(file.path, threads=1) as stream:
            _, frame = next(iter(stream))
        yield from _held(frame, clip.start, clip.end)

    def _moving(self, clip: Clip, file: _File) -> Shown:
        """The pictures of a clip, the first stamped with its start; its last one is held where the file ends early."""
        given = self._backwards(clip, file) if clip.reverse else self._forwards(clip, file)
        shown: tuple[Fraction, VideoFrame] | None = None
        tick = -1
        for seconds, frame in given:
            number = seconds * self._edit.fps // 1
            if shown is not None and clip.speed > 1 and number == tick:
                continue  # the editor doesn't show it either
            tick, shown = number, (seconds, frame)
            yield shown
        if shown is None:
            self._warnings.append(f"{shown_name(file.path)}: ends before a clip of it begins; its place is black")
            yield from _held(self._fit.plain((0.0, 0.0, 0.0)), clip.start, clip.end)
            return
        missing = clip.end - shown[0] - 1 / (file.rate * clip.speed)
        if missing > SHORT_SECONDS:
            self._warnings.append(
                f"{shown_name(file.path)}: ends {float(missing):.1f} s before a clip of it does; its last picture stays"
            )
        if missing > HOLD:
            yield from _held(shown[1], shown[0] + HOLD, clip.end)

    def _forwards(self, clip: Clip, file: _File) -> Shown:
        for seconds, frame in self._between(file, clip.source, clip.source_end):
            yield clip.start + (seconds - clip.source) / clip.speed, frame

    def _backwards(self, clip: Clip, file: _File) -> Shown:
        """In chunks from the end on, in the small shape."""
        high = clip.source_end
        while high > clip.source:
            low = max(clip.source, high - CHUNK)
            chunk = [(seconds, self._fit(frame, file)) for seconds, frame in self._between(file, low, high)]
            ends = [*(seconds for seconds, _ in chunk[1:]), high]
            for (_, frame), end in zip(reversed(chunk), reversed(ends[: len(chunk)]), strict=True):
                yield clip.start + (clip.source_end - end) / clip.speed, frame
            high = low

    def _between(self, file: _File, first: Fraction, last: Fraction) -> Shown:
        """(seconds of the file, picture) from the one on screen at `first`, stamped so, to the last before `last`."""
        tick = min(file.time_base, MAX_TICK)
        begun = False
        on_screen: VideoFrame | None = None
        for seconds, frame in self._decoded(file, first, tick):
            if seconds <= first + tick:
                on_screen = frame
                continue
            if not begun and on_screen is not None:
                yield first, on_screen
            if seconds >= last - tick:
                return
            yield (seconds if begun or on_screen is not None else first), frame
            begun = True
        if not begun and on_screen is not None:
            yield first, on_screen

    def _decoded(self, file: _File, first: Fraction, tick: Fraction) -> Shown:
        """The file's pictures, beginning at or before `first` wherever there is one."""
        if first > SEEK_FROM:
            with self._counting_damage(file) as stream:
                stream.seek(first)
                stream.start = file.start
                for number, (seconds, frame) in enumerate(stream):
                    if number == 0 and seconds > first + tick:
                        break  # the file's index is wrong; what follows starts from its beginning
                    yield seconds, frame
                else:
                    return
        with self._counting_damage(file) as stream:
            yield from stream

    @contextmanager
    def _counting_damage(self, file: _File) -> Iterator[PictureStream]:
        with PictureStream(file.path) as stream:
            yield stream
            self.damaged += stream.damaged


def _held(frame: VideoFrame, start: Fraction, end: Fraction) -> Shown:
    """One picture from `start` to `end`, shown again now and then for those who watch."""
    while start < end:
        yield start, frame
        start += HOLD


class _Fit:
    """Pictures fitted into one shape, with black beside them. aspect: width by height."""

    def __init__(self, aspect: float) -> None:
        self._height = CANVAS_HEIGHT
        self._width = max(2, min(8 * CANVAS_HEIGHT, round(CANVAS_HEIGHT * aspect)))
        self._scalers: dict[Path, tuple[Scaler, int, int]] = {}

    def __call__(self, frame: VideoFrame, file: _File) -> VideoFrame:
        """`frame` of a file, upright, on the canvas."""
        if file.path not in self._scalers:
            wide = file.aspect * self._height / self._width
            width = max(2, round(self._width * min(1.0, wide)))
            height = max(2, round(self._height / max(1.0, wide)))
            self._scalers[file.path] = Scaler(width, height), (self._width - width) // 2, (self._height - height) // 2
        scale, left, top = self._scalers[file.path]
        image = scale(frame)
        canvas = np.zeros((self._height, self._width, 3), np.uint8)
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
        return _to_frame(canvas)

    def plain(self, colour: tuple[float, float, float]) -> VideoFrame:
        """A canvas of one colour, RGB 0..1."""
        return _to_frame(np.full((self._height, self._width, 3), np.round(np.array(colour) * 255), np.uint8))


def _to_frame(image: npt.NDArray[np.uint8]) -> VideoFrame:
    from av.video.frame import VideoFrame

    return VideoFrame.from_ndarray(image, format="rgb24")


# --- sound -------------------------------------------------------------------------------------------------------


class _Player:
    """One sound of the edit while it is played. first, last: samples of the timeline where it begins and ends."""

    def __init__(self, sound: EditSound, info: MediaInfo, warnings: list[str]) -> None:
        late = max(Fraction(0), -sound.start)  # begins before the timeline does
        self._sound = sound
        self.first, self.last = to_samples(sound.start + late), to_samples(sound.end)
        self._blocks = read_audio_blocks(
            info,
            rate=round(SAMPLE_RATE / sound.speed),
            duration=float((sound.end - sound.start - late) * sound.speed),
            start=float(sound.source + late * sound.speed),
            warnings=warnings,
        )
        self._rest: Sound = np.zeros((2, 0), np.float32)

    def add_to(self, block: Sound, position: int) -> None:
        """Add what is heard of it in `block`, which begins at sample `position`."""
        start, end = max(self.first, position), min(self.last, position + block.shape[1])
        heard = self._take(end - start)
        gain = np.float32(self._sound.volume)
        if self._sound.volumes:
            seconds = np.arange(start, start + heard.shape[1]) / SAMPLE_RATE
            times, factors = np.array(self._sound.volumes).T
            heard = heard * np.interp(seconds, times, factors).astype(np.float32)
        block[:, start - position : start - position + heard.shape[1]] += heard * gain

    def _take(self, samples: int) -> Sound:
        """The next [2, samples], or fewer at the end."""
        parts, missing = [self._rest[:, :samples]], samples - self._rest.shape[1]
        self._rest = self._rest[:, samples:]
        while missing > 0 and (block := next(self._blocks, None)) is not None:
            parts.append(block[:, :missing])
            self._rest = block[:, missing:]
            missing -= block.shape[1]
        return np.concatenate(parts, axis=1)

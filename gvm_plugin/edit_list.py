"""An edit: clips and sounds on a timeline, as an editor has them. Exact time, no media opened, numpy-free.

    read_edit       JSON of a request -> Edit; every complaint names the field
    Edit.shown      what is on screen: clips that tile the timeline, layers and gaps resolved
    picture_of      what is shown during a cue, as plain values that can be kept
    find_picture    where that is in another edit

Seconds are `Fraction`s of the timeline. A clip maps them to seconds of its file, counted from the first picture there.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Final, TypeVar

from gvm_plugin.timeline import Span

LONGEST: Final = 24 * 3600  # seconds of an edit
MOST_CLIPS: Final = 20_000
SEAMLESS: Final = Fraction(1, 2000)  # seconds: what a soft split may lose by rounding
MOST: Final = 10**7  # of any number in a request
LOUDEST: Final = 1000  # factor of a volume
SAME_SECONDS: Final = 0.002  # pictures shown so little apart are the same
_KEY_BYTES: Final = 1 << 16  # read at either end of a file to know it again

ROUNDED_FRAMES: Final = Fraction(3, 2)  # by which an editor's length of a clip may be off

_NUMBER: Final = re.compile(r"[+-]?\d{1,25}([./]\d{1,25})?")

Picture = list[list[Any]]  # what is shown: [key, seconds of the file, speed, way, for how long] of each part


@dataclass(frozen=True)
class Content:
    """What an editor knows of a clip that doesn't know its file's length: `located` works out the rest.

    seconds: of the timeline that the whole content would take; offset: of it that lie before what is seen or heard.
    trimmed: pictures of the file that the content leaves out for good, at its beginning and at its end.
    """

    seconds: Fraction
    offset: Fraction = Fraction(0)
    trimmed: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Clip:
    """What is on screen from start to end. file None: a plain colour (RGB 0..1).

    source: lowest second of the file that is seen; speed: seconds of the file a second; still: its first picture.
    """

    start: Fraction
    end: Fraction
    file: Path | None = None
    source: Fraction = Fraction(0)
    speed: Fraction = Fraction(1)
    reverse: bool = False
    still: bool = False
    colour: tuple[float, float, float] = (0.0, 0.0, 0.0)
    layer: int = 0
    content: Content | None = None  # until it is located

    @property
    def seconds(self) -> Fraction:
        """How long it is seen."""
        return self.end - self.start

    @property
    def source_end(self) -> Fraction:
        """Highest second of the file that is seen."""
        return self.source + self.seconds * self.speed

    def part(self, start: Fraction, end: Fraction) -> Clip:
        """What of it is seen from `start` to `end`, both within it."""
        before = self.end - end if self.reverse else start - self.start
        moving = self.file is not None and not self.still
        return replace(self, start=start, end=end, source=self.source + before * self.speed if moving else self.source)

    def goes_on_in(self, other: Clip) -> bool:
        """Is `other`, which follows, the same picture going on, as after a soft split?"""
        mine = (self.file, self.still, self.speed, self.reverse)
        if mine != (other.file, other.still, other.speed, other.reverse):
            return False
        if self.file is None:
            return self.colour == other.colour
        seam = self.source - other.source_end if self.reverse else self.source_end - other.source
        return self.still or abs(seam) <= SEAMLESS

    @property
    def way(self) -> str:
        """How it is played, in a word."""
        return "still" if self.still or self.file is None else "back" if self.reverse else "on"


@dataclass(frozen=True)
class EditSound:
    """What is heard from start to end. volume: a factor; volumes: (seconds of the timeline, factor), times volume."""

    start: Fraction
    end: Fraction
    file: Path
    source: Fraction = Fraction(0)
    speed: Fraction = Fraction(1)
    volume: float = 1.0
    volumes: tuple[tuple[float, float], ...] = ()
    mute: bool = False
    content: Content | None = None  # until it is located

    @property
    def audible(self) -> bool:
        """Can anything of it be heard?"""
        loud = not self.volumes or any(volume > 0 for _, volume in self.volumes)
        return not self.mute and self.volume > 0 and loud


Piece = TypeVar("Piece", Clip, EditSound)


@dataclass(frozen=True)
class Edit:
    """A timeline from 0 to duration at `fps`. size: (width, height) of the picture, None: as the clips are."""

    fps: Fraction
    duration: Fraction
    clips: tuple[Clip, ...] = ()
    sounds: tuple[EditSound, ...] = ()
    size: tuple[int, int] | None = None

    @cached_property
    def shown(self) -> tuple[Clip, ...]:
        """The clips on screen, tiling 0..duration: of several the one with the highest layer, of none black."""
        edges = {Fraction(0), self.duration}
        for clip in self.clips:
            edges |= {edge for edge in (clip.start, clip.end) if 0 < edge < self.duration}
        starting = sorted(self.clips, key=lambda clip: clip.start)
        active: list[Clip] = []
        tiles: list[Clip] = []
        for start, end in pairwise(sorted(edges)):
            while starting and starting[0].start <= start:
                active.append(starting.pop(0))
            active = [clip for clip in active if clip.end > start]
            top = max(active, key=lambda clip: clip.layer, default=None)
            tile = Clip(start, end) if top is None else top.part(start, end)
            if tiles and tiles[-1].goes_on_in(tile):
                before = tiles.pop()
                source = tile.source if tile.reverse else before.source
                tile = replace(before, end=end, source=source)
            tiles.append(tile)
        return tuple(tiles)

    @property
    def cuts(self) -> tuple[float, ...]:
        """Seconds at which another clip begins to be seen."""
        return tuple(float(clip.start) for clip in self.shown[1:])

    @property
    def audible(self) -> tuple[EditSound, ...]:
        """The sounds that can be heard, in order of time."""
        sounds = (sound for sound in self.sounds if sound.audible and sound.start < self.duration and sound.end > 0)
        return tuple(sorted(sounds, key=lambda sound: sound.start))

    def content(self) -> list[Any]:
        """Plain values that stand for everything seen and heard; other content, other values."""
        return [
            str(self.fps), str(self.duration), self.size,
            [[str(clip.start), file_key(clip.file), str(clip.source), str(clip.speed), clip.way, clip.colour]
             for clip in self.shown],
            [[str(sound.start), str(sound.end), file_key(sound.file), str(sound.source), str(sound.speed),
              sound.volume, sound.volumes] for sound in self.audible],
        ]  # fmt: skip


# --- contents that are told by their length on the timeline --------------------------------------------------------


def located(piece: Piece, fps: Fraction, seconds: Fraction, rate: Fraction | None = None) -> Piece:
    """A clip or sound with `source` and `speed` instead of its content.

    fps: of the timeline; seconds: of the file; rate: pictures of it a second, None for a sound.
    """
    content = piece.content
    if content is None:
        return piece
    first, last = content.trimmed if rate else (0, 0)
    start, end = (Fraction(count) / (rate or 1) for count in (first, last))
    left = seconds - start - end
    if left <= 0:
        return replace(piece, content=None)
    speed = content_speed(left, content.seconds, fps, rate)
    before = content.offset
    if isinstance(piece, Clip) and piece.reverse:
        before = content.seconds - content.offset - piece.seconds
    return replace(piece, content=None, source=max(Fraction(0), start + before * speed), speed=speed)


def content_speed(file: Fraction, timeline: Fraction, fps: Fraction, rate: Fraction | None) -> Fraction:
    """Seconds of the file a second, given how long both last; editors round lengths to their frames.

    The plain speeds come first: in time, picture for picture. Then multiples of them, the roundest first.
    """
    plain = [Fraction(1), *([fps / rate] if rate else [])]
    rounding = ROUNDED_FRAMES / fps

    def fits(speed: Fraction) -> bool:
        return speed > 0 and abs(file / speed - timeline) <= rounding

    steps = [Fraction(step, 100) for step in (100, 50, 25, 10, 5, 1)]
    multiples = [base * step * round(file / timeline / base / step) for step in steps for base in plain]
    return next((speed for speed in (*plain, *multiples) if fits(speed)), file / timeline)


# --- what is shown during a cue ----------------------------------------------------------------------------------


def file_key(path: Path | None) -> str:
    """Knows a file again wherever it lies: from its length, its beginning and its end; "" for a missing one."""
    if path is None:
        return ""
    try:
        stat = path.stat()
        return _key_of(path, stat.st_size, stat.st_mtime_ns)
    except OSError:
        return ""


@lru_cache(maxsize=4096)
def _key_of(path: Path, size: int, _changed: int) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256(f"{size} ".encode() + file.read(_KEY_BYTES))
        file.seek(max(0, size - _KEY_BYTES))
        digest.update(file.read(_KEY_BYTES))
    return digest.hexdigest()[:16]


def picture_of(edit: Edit, span: Span) -> Picture:
    """What is shown during `span`, wherever on the timeline it lies."""
    start, end = _exact(span.start), _exact(span.end)
    picture: Picture = []
    index = max(0, bisect_right(edit.shown, start, key=lambda clip: clip.start) - 1)
    for clip in islice(edit.shown, index, None):
        if clip.start >= end:
            break
        first, last = max(clip.start, start), min(clip.end, end)
        if last - first > SAME_SECONDS:
            part = clip.part(first, last)
            picture.append([_key(part), _round(part.source), str(part.speed), part.way, _round(part.seconds)])
    return picture


def _key(clip: Clip) -> str:
    return file_key(clip.file) if clip.file is not None else "#" + " ".join(f"{part:.3f}" for part in clip.colour)


def same_picture(one: Picture, other: Picture) -> bool:
    """Do both show the same, as far as eyes can tell?"""
    return len(one) == len(other) and all(
        a[0] == b[0] and a[2:4] == b[2:4] and abs(a[1] - b[1]) <= SAME_SECONDS and abs(a[4] - b[4]) <= SAME_SECONDS
        for a, b in zip(one, other, strict=True)
    )


def find_picture(edit: Edit, picture: Picture, was_at: float) -> list[float]:
    """Seconds at which all of `picture` begins in `edit`, nearest to `was_at` first."""
    if not picture:
        return []
    key, source, speed, way, seconds = picture[0]
    length = sum(part[4] for part in picture)
    places = {was_at}
    for clip in edit.shown:
        if clip.way != way or str(clip.speed) != speed or _key(clip) != key:
            continue
        if way == "on":
            places.add(float(clip.start + (_exact(source) - clip.source) / clip.speed))
        elif way == "back":
            places.add(float(clip.end - (_exact(source + seconds * float(clip.speed)) - clip.source) / clip.speed))
        else:
            places |= {float(clip.start), float(clip.end) - seconds}
    found: list[float] = []
    for place in sorted((_round(place) for place in places), key=lambda at: abs(at - was_at)):
        fits = place >= -SAME_SECONDS and place + length <= float(edit.duration) + SAME_SECONDS
        place = max(0.0, place)
        fresh = all(abs(place - other) > SAME_SECONDS for other in found)
        if fits and fresh and same_picture(picture_of(edit, Span(place, place + length)), picture):
            found.append(place)
    return found


def read_picture(value: Any) -> Picture:
    """A picture that `picture_of` gave and a client kept; ValueError if it is none."""
    good = isinstance(value, list) and all(
        isinstance(part, list) and list(map(type, part[:4])) in ([str, float, str, str], [str, int, str, str])
        and len(part) == 5 and isinstance(part[4], int | float) for part in value
    )  # fmt: skip
    if not good:
        raise ValueError("picture isn't what a result gave; keep it as it is")
    return [list(part) for part in value]


def _exact(seconds: float) -> Fraction:
    return Fraction(seconds).limit_denominator(10**9)


def _round(seconds: Fraction | float) -> float:
    return round(float(seconds), 6)


# --- reading a request -------------------------------------------------------------------------------------------


def read_edit(value: Any) -> Edit:
    """The edit in a request. ValueError naming the field where something is impossible."""
    fields = _Fields(value, "edit", {"fps", "size", "duration", "clips", "sounds"})
    fps, duration = fields.number("fps"), fields.number("duration")
    if not 1 <= fps <= 1000:
        raise ValueError(f"edit.fps is {float(fps):g}; it must lie between 1 and 1000")
    if not 0 < duration <= LONGEST:
        raise ValueError(f"edit.duration is {float(duration):g} s; it must be above 0 and {LONGEST} at most")
    return Edit(
        fps=fps,
        duration=duration,
        clips=tuple(_read_clip(item, f"edit.clips[{n}]") for n, item in enumerate(fields.items("clips"))),
        sounds=tuple(_read_sound(item, f"edit.sounds[{n}]") for n, item in enumerate(fields.items("sounds"))),
        size=_read_size(fields.given("size")),
    )


def _read_clip(value: Any, name: str) -> Clip:
    names = {"file", "start", "end", "source", "speed", "content", "reverse", "still", "colour", "layer"}
    fields = _Fields(value, name, names)
    start, end = fields.span()
    if fields.given("file") is None:
        return Clip(start, end, colour=_read_colour(fields.given("colour"), name), layer=fields.whole("layer"))
    return Clip(
        start=start,
        end=end,
        file=fields.path("file"),
        source=fields.number("source", Fraction(0)),
        speed=fields.speed(),
        reverse=fields.flag("reverse"),
        still=fields.flag("still"),
        layer=fields.whole("layer"),
        content=fields.content(),
    )


def _read_sound(value: Any, name: str) -> EditSound:
    names = {"file", "start", "end", "source", "speed", "content", "volume", "volumes", "mute"}
    fields = _Fields(value, name, names)
    start, end = fields.span()
    points = fields.items("volumes")
    if not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise ValueError(f"{name}.volumes must be a list of [seconds, factor]")
    volumes = [(float(read_number(at, name)), float(read_number(volume, name))) for at, volume in points]
    volume = float(fields.number("volume", Fraction(1)))
    factors = [volume, *(factor for _, factor in volumes)]
    if not (min(factors) >= 0 and max(factors) <= LOUDEST):
        raise ValueError(f"{name}: volumes must lie between 0 and {LOUDEST}")
    return EditSound(
        start=start,
        end=end,
        file=fields.path("file"),
        source=fields.number("source", Fraction(0)),
        speed=fields.speed(),
        volume=volume,
        volumes=tuple(sorted(volumes)),
        mute=fields.flag("mute"),
        content=fields.content(),
    )


def read_number(value: Any, name: str) -> Fraction:
    """An exact number from a JSON number or a text NUM/DEN."""
    number: Fraction | None = None
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        with suppress(ZeroDivisionError):
            number = Fraction(value)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        number = Fraction(value).limit_denominator(10**9)
    if number is not None and abs(number) <= MOST:
        return number
    raise ValueError(f'{name} is {str(value)[:40]!r}; give a number or a text such as "1001/30000"')


def _read_size(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    if not (isinstance(value, list) and len(value) == 2 and all(type(side) is int for side in value)):
        raise ValueError("edit.size must be [width, height]")
    if not all(1 <= side <= 32_768 for side in value):
        raise ValueError(f"edit.size is {value}; sides must lie between 1 and 32768")
    return value[0], value[1]


def _read_colour(value: Any, name: str) -> tuple[float, float, float]:
    if value is None:
        return 0.0, 0.0, 0.0
    if not (isinstance(value, list) and len(value) == 3):
        raise ValueError(f"{name}.colour must be [red, green, blue], 0..1 each")
    red, green, blue = (min(1.0, max(0.0, float(read_number(part, f"{name}.colour")))) for part in value)
    return red, green, blue


@dataclass(frozen=True)
class _Fields:
    """The fields of one JSON object, asked for by type."""

    value: Any
    name: str
    known: set[str]

    def __post_init__(self) -> None:
        if not isinstance(self.value, Mapping):
            raise ValueError(f"{self.name} must be an object")
        if unknown := sorted(set(self.value) - self.known):
            raise ValueError(f"{self.name} has no field {unknown[0]!r}; it has {', '.join(sorted(self.known))}")

    def given(self, name: str) -> Any:
        return self.value.get(name)

    def number(self, name: str, default: Fraction | None = None) -> Fraction:
        value = self.value.get(name)
        if value is None and default is not None:
            return default
        return read_number(value, f"{self.name}.{name}")

    def speed(self) -> Fraction:
        speed = self.number("speed", Fraction(1))
        if not Fraction(1, 1000) <= speed <= 1000:
            raise ValueError(f"{self.name}.speed is {float(speed):g}; it must lie between 0.001 and 1000")
        return speed

    def span(self) -> tuple[Fraction, Fraction]:
        start, end = self.number("start"), self.number("end")
        if end <= start:
            raise ValueError(f"{self.name} ends ({float(end):g} s) before it starts ({float(start):g} s)")
        return start, end

    def content(self) -> Content | None:
        """How long the whole file lasts on the timeline, where that is given instead of source and speed."""
        if self.given("content") is None:
            return None
        if given := {"source", "speed"} & set(self.value):
            raise ValueError(f"{self.name} has both content and {given.pop()}; give one of them")
        inner = _Fields(self.given("content"), f"{self.name}.content", {"seconds", "offset", "trimmed"})
        seconds = inner.number("seconds")
        trimmed = inner.given("trimmed") or [0, 0]
        if seconds <= 0:
            raise ValueError(f"{inner.name}.seconds must be above 0")
        if not (isinstance(trimmed, list) and len(trimmed) == 2 and all(type(n) is int and n >= 0 for n in trimmed)):
            raise ValueError(f"{inner.name}.trimmed must be two numbers of pictures")
        return Content(seconds, inner.number("offset", Fraction(0)), (trimmed[0], trimmed[1]))

    def flag(self, name: str) -> bool:
        value = self.value.get(name, False)
        if not isinstance(value, bool):
            raise ValueError(f"{self.name}.{name} must be true or false")
        return value

    def whole(self, name: str) -> int:
        value = self.value.get(name, 0)
        if type(value) is not int:
            raise ValueError(f"{self.name}.{name} must be a whole number")
        return value

    def path(self, name: str) -> Path:
        value = self.value.get(name)
        if not isinstance(value, str) or "\0" in value or not os.path.isabs(value):
            raise ValueError(f"{self.name}.{name} must be the absolute path of a file")
        return Path(value)

    def items(self, name: str) -> Sequence[Any]:
        value = self.value.get(name, [])
        if not isinstance(value, list) or len(value) > MOST_CLIPS:
            raise ValueError(f"{self.name}.{name} must be a list ({MOST_CLIPS} entries at most)")
        return value

"""The edit as no format in particular: tracks of clips on a grid of frames, markers, levels. Plain data.

Frames of the timeline count from 0 at the film's first picture; timecode adds `Timeline.start`. A clip's level is

    volume_db + the ducking between its keys (straight in dB), times its fades

Fades are apart from the keys because formats that have both would else fade twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import cos, log10, pi, sin
from pathlib import Path
from typing import Final, Literal

from gvm_plugin.handoff.timecode import Rate

SILENT_DB: Final = -96.0  # what editors take for silence
FADE_STEPS: Final = 4  # straight lines that stand for an equal-power fade


@dataclass(frozen=True)
class Media:
    """A file that clips show. start: the frame, counted from midnight, of its timecode; frames: its length."""

    path: Path
    start: int
    frames: int
    width: int = 0
    height: int = 0
    channels: int = 0
    audio_rate: int = 0

    @property
    def has_picture(self) -> bool:
        """Does it have pictures?"""
        return self.width > 0

    @property
    def name(self) -> str:
        """Its file name, fit for XML."""
        return printable(self.path.name)

    @property
    def url(self) -> str:
        """Its address, file:///..."""
        return self.path.absolute().as_uri()


@dataclass(frozen=True)
class Key:
    """A level at a frame of the timeline."""

    frame: int
    gain_db: float


@dataclass(frozen=True)
class Clip:
    """`frames` of `media` from its frame `source` (0: its first) on, at `start` of the timeline.

    volume_db: its level; keys: what ducking adds to that, empty where there is none. fade_in, fade_out: equal-power
    fades at its ends, in frames. facts: where the music comes from, plain values.
    """

    name: str
    media: Media
    start: int
    frames: int
    source: int = 0
    enabled: bool = True
    volume_db: float = 0.0
    keys: tuple[Key, ...] = ()
    fade_in: int = 0
    fade_out: int = 0
    facts: Mapping[str, str | int | float] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """The first frame of the timeline after it."""
        return self.start + self.frames


Kind = Literal["picture", "sound", "music", "takes"]


@dataclass(frozen=True)
class Track:
    """Clips that don't overlap, in order. picture and sound: the film's own."""

    name: str
    kind: Kind
    clips: tuple[Clip, ...]


@dataclass(frozen=True)
class Marker:
    """A moment that the music marks. strong: the whole orchestra does."""

    frame: int
    name: str
    note: str
    strong: bool


@dataclass(frozen=True)
class Timeline:
    """One edit. start: the frame, counted from midnight, of its timecode; frames: its length.

    master_gain_db: what all of it has to be raised by to be as loud as the film that gvm mixed.
    """

    name: str
    rate: Rate
    start: int
    frames: int
    width: int
    height: int
    tracks: tuple[Track, ...]
    markers: tuple[Marker, ...] = ()
    master_gain_db: float = 0.0
    note: str = ""

    def timecode(self, frame: int) -> str:
        """Timecode of a frame of the timeline."""
        return self.rate.timecode(self.start + frame)

    def of_kind(self, *kinds: Kind) -> tuple[Track, ...]:
        """Its tracks of these kinds, in order."""
        return tuple(track for track in self.tracks if track.kind in kinds)


def printable(text: str) -> str:
    """`text` without what XML can't hold and lists can't show."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def lay_out(clips: Sequence[Clip], most: int = 2) -> list[list[Clip]]:
    """`clips`, in order, on as few tracks as they need so that none overlap, but on `most` in turn where they can.

    So neighbours lie on two tracks, and an editor can pull either over the other.
    """
    tracks: list[list[Clip]] = [[] for _ in range(min(most, len(clips)))]
    turn = 0
    for clip in clips:
        order = [*range(turn, len(tracks)), *range(turn)]
        free = next((index for index in order if not tracks[index] or tracks[index][-1].end <= clip.start), None)
        if free is None:
            tracks.append([])
            free = len(tracks) - 1
        tracks[free].append(clip)
        turn = (free + 1) % len(tracks)
    return tracks


def level_keys(clip: Clip) -> tuple[Key, ...]:
    """The clip's whole level, fades and all, for formats that have nothing but keys; empty where it doesn't change."""
    frames = {key.frame for key in clip.keys}
    for step in range(FADE_STEPS + 1):
        frames.add(clip.start + round(clip.fade_in * step / FADE_STEPS))
        frames.add(clip.end - round(clip.fade_out * step / FADE_STEPS))
    if not (clip.keys or clip.fade_in or clip.fade_out):
        return ()
    inside = sorted(frame for frame in frames if clip.start <= frame <= clip.end)
    return tuple(Key(frame, _level(clip, frame)) for frame in inside)


def ducking_at(keys: Sequence[Key], frame: float) -> float:
    """Gain in dB that `keys` give at a frame: straight lines between them, level outside."""
    if not keys:
        return 0.0
    if frame <= keys[0].frame:
        return keys[0].gain_db
    for before, after in pairwise(keys):
        if frame <= after.frame:
            share = (frame - before.frame) / (after.frame - before.frame)
            return before.gain_db + share * (after.gain_db - before.gain_db)
    return keys[-1].gain_db


def _level(clip: Clip, frame: int) -> float:
    gain = 1.0
    if frame < clip.start + clip.fade_in:
        gain *= sin(pi / 2 * (frame - clip.start) / clip.fade_in)
    if frame > clip.end - clip.fade_out:
        gain *= cos(pi / 2 * (frame - (clip.end - clip.fade_out)) / clip.fade_out)
    level = clip.volume_db + ducking_at(clip.keys, frame)
    return max(SILENT_DB, level + 20 * log10(gain)) if gain > 1e-6 else SILENT_DB

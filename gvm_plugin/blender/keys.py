# SPDX-License-Identifier: GPL-3.0-or-later
"""A cue's gain, fades and ducking as a few volume keys with straight lines between. Numbers in, numbers out."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

FADE_KEYS = 5  # of a fade: with straight lines between, its level is 0.2 dB off at most
BENT_DB = 6.0  # a ramp of more than that gets a key in its middle: straight in dB is bent in volume
FLAT = 0.01  # relative: what a key may be off the line of its neighbours and be left out

Key = tuple[int, float]


@dataclass(frozen=True)
class Level:
    """How a take is to sound. first, last: frames from the edit's first one (last exclusive); keys: (frame, volume)."""

    first: int
    last: int
    volume: float
    keys: tuple[Key, ...] = ()


def level_of(cue: Mapping[str, Any], take: Mapping[str, Any], fps: Fraction) -> Level:
    """The handles and keys of a take's strip."""
    begins, ends = int(take["start_frame"]), int(take["start_frame"]) + int(take["frames"])
    fade_in, fade_out = (_frames(cue[name], fps) for name in ("fade_in", "fade_out"))
    first = min(max(begins, fade_in[0]), ends - 1)
    last = max(min(ends, fade_out[1]), first + 1)
    gain = 10 ** (float(take["gain_db"]) / 20)
    ducking = _on_frames(cue.get("ducking") or (), fps)
    moments = {first, last, *_fade_keys(fade_in), *_fade_keys(fade_out), *_duck_keys(ducking)}
    points = [
        (at, gain * _rising(at, fade_in) * _rising(at, fade_out, down=True) * 10 ** (_at(ducking, at) / 20))
        for at in sorted(moments)
        if first <= at <= last
    ]
    points = _thinned(points)
    if max(value for _, value in points) - min(value for _, value in points) <= FLAT * gain:
        return Level(first, last, round(points[0][1], 4))
    return Level(first, last, round(gain, 4), tuple((at, round(value, 4)) for at, value in points))


def _frames(fade: Mapping[str, float], fps: Fraction) -> tuple[int, int]:
    """First and last frame of a fade; the same for the two cues of a join, as they have the same seconds."""
    return round(float(fade["start"]) * float(fps)), round(float(fade["end"]) * float(fps))


def _on_frames(points: Sequence[Sequence[float]], fps: Fraction) -> list[Key]:
    """Points (seconds, dB) moved to whole frames, so that the keys reach the full depth; of two on one the lower."""
    moved: dict[int, float] = {}
    for seconds, db in points:
        frame = round(float(seconds) * float(fps))
        moved[frame] = min(float(db), moved.get(frame, math.inf))
    return sorted(moved.items())


def _fade_keys(fade: tuple[int, int]) -> list[int]:
    first, last = fade
    if last - first < 2:
        return []  # too short for keys: the file itself begins and ends without a click
    return sorted({first + round((last - first) * step / (FADE_KEYS - 1)) for step in range(FADE_KEYS)})


def _duck_keys(ducking: Sequence[Key]) -> list[int]:
    keys = [at for at, _ in ducking]
    for (at, db), (after, then) in itertools.pairwise(ducking):
        if abs(then - db) > BENT_DB:
            keys.append(round((at + after) / 2))
    return keys


def _rising(at: int, fade: tuple[int, int], down: bool = False) -> float:
    """Equal power: sine up, cosine down."""
    first, last = fade
    if last - first < 2:
        return 1.0
    share = min(1.0, max(0.0, (at - first) / (last - first)))
    return math.cos(share * math.pi / 2) if down else math.sin(share * math.pi / 2)


def _at(points: Sequence[Key], at: float) -> float:
    """Straight lines between points, flat beyond; 0 without any."""
    if not points:
        return 0.0
    index = bisect.bisect_right([moment for moment, _ in points], at)
    if index in (0, len(points)):
        return points[min(index, len(points) - 1)][1]
    (first, low), (last, high) = points[index - 1], points[index]
    return low + (high - low) * (at - first) / (last - first)


def _thinned(points: Sequence[Key]) -> list[Key]:
    """Without those that lie on the line between their neighbours."""
    kept = list(points[:1])
    for index in range(1, len(points) - 1):
        (before, low), (at, value), (after, high) = kept[-1], points[index], points[index + 1]
        line = low + (high - low) * (at - before) / (after - before)
        if abs(value - line) > FLAT * max(abs(value), 0.05):
            kept.append(points[index])
    return [*kept, points[-1]] if len(points) > 1 else kept

"""Choosing tempo, phase and small bends so that cuts fall on beats and the ending on the cue's out. Pure.

The way of a film composer with a click book: try every tempo of the style; at each, walk through the hit points and
let the beat bend by at most 4 % so that a sixteenth (better a beat, best a downbeat) falls exactly on each; keep the
tempo at which the strong hits stand on the strongest beats with the least bending and the last bar line leaves room
for the ending. A hit that no allowed bend reaches is played off the grid, at its exact time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.starter.grid import Grid, GridHit

BEND = 0.04  # largest local change of tempo (docs/how-it-works.md, rules of music)
FIT_BEND = 0.03  # largest change of the last stretch, which brings the final bar line to its place
CLOSEST_ANCHORS = 0.3  # s; hits closer than this to the one before can't be anchors of their own

# How well a hit sits on each place of the bar; downbeats count double (docs/how-it-works.md, rules of music).
_ON_DOWNBEAT, _ON_BEAT, _ON_EIGHTH, _ON_SIXTEENTH, _OFF_GRID = 2.0, 1.0, 0.6, 0.3, -0.6


@dataclass(frozen=True)
class _Anchor:
    seconds: float
    step: int


def plan_grid(
    duration: float,
    hits: Sequence[tuple[float, float]],
    tempo_range: tuple[float, float],
    steps_per_bar: int,
    button: bool,
    rng: np.random.Generator,
) -> Grid:
    """The Grid of a cue of `duration` s whose `hits` are (seconds after the in, strength 0..1).

    tempo_range: lowest and highest tempo allowed, bpm (equal: that tempo). button: the ending is a short full stop
    just before the out instead of a chord that rings for about 2 s. rng breaks ties between good tempos.
    """
    low, high = tempo_range
    if not 20 <= low <= high <= 300:
        raise ValueError(f"tempo range {low}..{high} bpm is outside 20..300")
    inside = sorted((seconds, strength) for seconds, strength in hits if 0.0 <= seconds < duration)
    tempos = np.arange(low, high + 1e-6, 0.5)
    best: tuple[float, Grid] | None = None
    for tempo in tempos:
        grid, score = _walk(float(tempo), duration, inside, steps_per_bar, button)
        score += float(rng.uniform(0.0, 0.15))
        if best is None or score > best[0]:
            best = (score, grid)
    assert best is not None
    return best[1]


def _walk(
    tempo: float, duration: float, hits: Sequence[tuple[float, float]], bar: int, button: bool
) -> tuple[Grid, float]:
    """The grid at one tempo, and how good it is."""
    step = 15.0 / tempo
    anchors = [_Anchor(0.0, 0)]
    score, weight = 0.0, 1e-6
    least, most = _ring(duration, button)
    wish = (least + most) / 2
    late = [(strength, duration - seconds) for seconds, strength in hits if least <= duration - seconds <= most]
    if late:  # a cut where the ending may stand: the last chord lands on it
        wish = max(late)[1]
    for seconds, strength in hits:
        if seconds < step / 2 or seconds > duration - most:  # the cue's own first downbeat; what the ending decides
            continue
        place, bend = _reach(anchors[-1], seconds, step, bar)
        weight += strength
        score += strength * (_worth(place, bar) - 5.0 * abs(bend) if place is not None else _OFF_GRID)
        if place is not None:
            anchors.append(_Anchor(seconds, place))
    final, ending_score = _final_step(anchors, duration, step, bar, (least, wish, most))
    times = _step_times(anchors, step, duration)
    grid_hits = tuple(_on_grid(seconds, strength, times) for seconds, strength in hits)
    final = min(final, len(times) - 2)
    grid = Grid(times, bar, 0, max(final, 0), duration, grid_hits, button)
    return grid, score / weight + ending_score


def _ring(duration: float, button: bool) -> tuple[float, float]:
    """Least and most seconds between the last downbeat and the out: a chord rings 1.3 to 3 s, less in short cues."""
    if button:
        return 0.35, 0.95
    return min(1.3, 0.15 * duration), max(min(3.0, 0.16 * duration), min(2.2, 0.25 * duration))


def _reach(last: _Anchor, seconds: float, step: float, bar: int) -> tuple[int | None, float]:
    """The best step that can fall on `seconds` within BEND after anchor `last`, and the bend it takes."""
    gap = seconds - last.seconds
    if gap < CLOSEST_ANCHORS:
        return None, 0.0
    fewest = int(np.ceil(gap / (step * (1 + BEND)) - 1e-9))
    most = int(np.floor(gap / (step * (1 - BEND)) + 1e-9))
    best: tuple[float, int, float] | None = None
    for count in range(max(fewest, 1), most + 1):
        bend = gap / (count * step) - 1.0
        worth = _worth(last.step + count, bar) - 5.0 * abs(bend)
        if best is None or worth > best[0]:
            best = (worth, last.step + count, bend)
    return (None, 0.0) if best is None else (best[1], best[2])


def _worth(step: int, bar: int) -> float:
    """How strong a place of the bar `step` is."""
    if step % bar == 0:
        return _ON_DOWNBEAT
    if step % 4 == 0:
        return _ON_BEAT
    return _ON_EIGHTH if step % 2 == 0 else _ON_SIXTEENTH


def _final_step(
    anchors: list[_Anchor], duration: float, step: float, bar: int, ring: tuple[float, float, float]
) -> tuple[int, float]:
    """The step of the last downbeat, bending the last stretch to bring it to its place; and how good that is.

    Appends the anchor it makes. ring: least, wished and most seconds before the out. If no bar line can be brought
    there, the nearest beat serves.
    """
    least, wish, most = ring
    last = anchors[-1]
    best: tuple[float, int, float] | None = None
    span_steps = (duration - last.seconds) / step
    for unit, penalty in ((bar, 0.0), (4, 0.8), (1, 1.6)):
        first = -(-last.step // unit) * unit
        for place in range(first, last.step + int(span_steps * 1.05) + 2, unit):
            count = place - last.step
            plain = last.seconds + count * step
            low, high = plain - FIT_BEND * count * step, plain + FIT_BEND * count * step
            at = float(np.clip(duration - wish, low, high))
            left = duration - at
            if not least - 1e-6 <= left <= most + 1e-6:
                continue
            bend = abs(at - plain) / max(count * step, 1e-9) if count else 0.0
            score = 0.5 - penalty - 0.5 * abs(left - wish) - 5.0 * bend
            if best is None or score > best[0]:
                best = (score, place, at)
    if best is None:  # too short for any ending: it ends on the last thing that fits
        count = max(0, int((duration - last.seconds) / step) - 1)
        return last.step + count, -2.0
    score, place, at = best
    if place > last.step:
        anchors.append(_Anchor(at, place))
    return place, score


def _step_times(anchors: Sequence[_Anchor], step: float, duration: float) -> npt.NDArray[np.float64]:
    """Times of all steps: straight lines between anchors, the plain tempo after the last, up to the out."""
    after = max(0, int(np.ceil((duration - anchors[-1].seconds) / step - 1e-9)))
    places = [anchor.step for anchor in anchors] + ([anchors[-1].step + after] if after else [])
    moments = [anchor.seconds for anchor in anchors] + ([anchors[-1].seconds + after * step] if after else [])
    if len(places) == 1:  # a cue shorter than anything: one step
        places, moments = [0, 1], [0.0, max(duration, step)]
    steps = np.arange(places[-1] + 1)
    return np.interp(steps, places, moments)


def _on_grid(seconds: float, strength: float, times: npt.NDArray[np.float64]) -> GridHit:
    """The hit with the step nearest to it."""
    nearest = int(np.abs(times[:-1] - seconds).argmin())
    return GridHit(nearest, seconds, strength)

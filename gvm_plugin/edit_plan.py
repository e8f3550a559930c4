"""Which cues an edit gets: those it had whose pictures are still there stay, the rest is spotted anew. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gvm_plugin.cache import content_key
from gvm_plugin.cuesheet import Cue, derive_seed, quantise
from gvm_plugin.edit_list import SAME_SECONDS, Edit, Picture, find_picture, picture_of
from gvm_plugin.edit_takes import Reach
from gvm_plugin.options import AUTO, ScoreOptions
from gvm_plugin.spotting import SHORTEST_GAP, cue_name, spot
from gvm_plugin.timeline import HitPoint, Span

if TYPE_CHECKING:
    from gvm_plugin.analysis import Analysis

FIXABLE: Final = ("mood", "energy", "seed")  # what a changed cue keeps only if the person set it


@dataclass(frozen=True)
class EditCue:
    """A cue of an edit. picture: what is shown during it.

    change: new, same, moved or changed; was_in: where a moved one began. makes: numbers of the takes to make.
    reach: of takes that exist. fixed: what the person set. seed_open, hits_open: they weren't given.
    """

    cue: Cue
    picture: Picture
    change: str = "new"
    was_in: float | None = None
    makes: tuple[int, ...] = ()
    reach: Reach | None = None
    fixed: tuple[str, ...] = ()
    seed_open: bool = False
    hits_open: bool = False


def plan_cues(
    edit: Edit, project: str, options: ScoreOptions, analysis: Analysis, previous: Sequence[EditCue]
) -> tuple[tuple[EditCue, ...], tuple[str, ...]]:
    """(the cues of the edit in order, ids of the previous ones that have no place any more)."""
    stay = staying(edit, previous)
    free = _between([cue.cue.span for cue in stay], quantise(analysis.duration))
    if stay and options.style == AUTO:
        options = replace(options, style=Counter(cue.cue.style for cue in stay).most_common(1)[0][0])
    spotted = spot(analysis, options, "edit", project, within=free)
    left = [cue for cue in previous if cue.cue.id not in {kept.cue.id for kept in stay}]
    cues: list[EditCue] = []
    fresh = [EditCue(cue, picture_of(edit, cue.span)) for cue in spotted.cues]
    for cue in sorted([*stay, *fresh], key=lambda cue: cue.cue.span):
        if cue in stay:
            cues.append(cue)
            continue
        old = next((old for old in left if _fits_in(old, cues, stay, previous)), None)
        if old is not None:
            left.remove(old)
        cues.append(_spotted(cue, old, project, options))
    return _named(cues, previous), tuple(old.cue.id for old in left)


def staying(edit: Edit, previous: Sequence[EditCue]) -> list[EditCue]:
    """The previous cues whose pictures are in the edit, in order of time: first those at their old place."""
    stay: list[EditCue] = []
    candidates = [
        (cue, place)
        for cue in previous
        if not cue.cue.silent and cue.picture
        for place in find_picture(edit, cue.picture, cue.cue.span.start)
    ]
    candidates.sort(key=lambda item: abs(item[1] - item[0].cue.span.start) > SAME_SECONDS)
    for cue, place in candidates:
        by = quantise(place - cue.cue.span.start)
        span = cue.cue.span if abs(by) <= SAME_SECONDS else _moved(cue.cue.span, by, float(edit.duration))
        taken = any(kept.cue.span.overlap(span) > SAME_SECONDS for kept in stay)
        if taken or any(kept.cue.id == cue.cue.id for kept in stay):
            continue
        if span == cue.cue.span:
            stay.append(replace(cue, change="same", makes=()))
            continue
        hits = tuple(HitPoint(quantise(hit.seconds + by), hit.strength) for hit in cue.cue.hits)
        moved = replace(cue.cue, span=span, hits=hits)
        stay.append(replace(cue, cue=moved, change="moved", was_in=cue.cue.span.start, makes=()))
    return sorted(stay, key=lambda cue: cue.cue.span)


def _moved(span: Span, by: float, duration: float) -> Span:
    start = max(0.0, quantise(span.start + by))
    return Span(start, max(start, min(quantise(span.end + by), quantise(duration))))


def _between(taken: Sequence[Span], duration: float) -> list[Span]:
    """What of 0..duration isn't taken, without what is too short for a cue beside one."""
    edges = [0.0, *(edge for span in taken for edge in (span.start, span.end)), duration]
    gaps = [Span(a, max(a, b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return [gap for gap in gaps if gap.duration >= SHORTEST_GAP or (gap.duration > 0 and not taken)]


def _fits_in(old: EditCue, before: Sequence[EditCue], stay: Sequence[EditCue], previous: Sequence[EditCue]) -> bool:
    """Stood `old` among the previous cues where the next one after `before` stands now?"""
    order = [cue.cue.id for cue in sorted(previous, key=lambda cue: cue.cue.span)]
    kept = {cue.cue.id for cue in stay}
    passed = [order.index(cue.cue.id) for cue in before if cue.cue.id in kept]
    coming = [order.index(cue.cue.id) for cue in stay if cue not in before]
    place = order.index(old.cue.id)
    return place > max(passed, default=-1) and place < min(coming, default=len(order))


def _spotted(fresh: EditCue, old: EditCue | None, project: str, options: ScoreOptions) -> EditCue:
    """A newly spotted cue; what it takes over from the one it replaces: its style, key and tempo, what was set."""
    seed = derive_seed(options.seed, project, content_key(fresh.picture))
    makes = () if fresh.cue.silent else tuple(range(1, options.takes + 1))
    fresh = replace(fresh, cue=replace(fresh.cue, seed=seed), makes=makes)
    if old is None:
        return fresh
    was, cue = old.cue, replace(fresh.cue, id=old.cue.id)
    if not was.silent and not cue.silent:
        kept = {name: getattr(was, name) for name in FIXABLE if name in old.fixed}
        cue = replace(cue, style=was.style, tempo=was.tempo, key=was.key, **kept)
    return replace(fresh, cue=cue, change="changed", fixed=old.fixed)


def _named(cues: Sequence[EditCue], previous: Sequence[EditCue]) -> tuple[EditCue, ...]:
    """The cues with names of their own: new ones get the first that no cue has or had."""
    used = {cue.cue.id for cue in previous}
    named = []
    for cue in cues:
        if cue.change == "new":
            number = 0
            while cue_name(number) in used:
                number += 1
            cue = replace(cue, cue=replace(cue.cue, id=cue_name(number)))
            used.add(cue.cue.id)
        named.append(cue)
    return tuple(named)

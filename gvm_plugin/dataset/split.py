"""Which side of train and test a film lies on: by its content, for good, and never one film on both. Pure.

A film's place, 0..1, comes from the hash of its bytes: below the share of test it is a test film. So the side of a
film hangs on nothing but itself, and films that are added move no other. Only where that leaves the test side with
less than half or more than one and a half times its share of the seconds (few or very unequal films) are films taken
over, those nearest to the border first. Sides are recorded with the data set; what was decided stays.

Copies of one film (`fingerprints`) and films that a reader puts into one group are one film here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

SLACK: Final = 0.5  # of the test share, within which what the hashes say is let be
TRAIN, TEST = "train", "test"


@dataclass(frozen=True)
class Film:
    """A film to put on a side. key: of its record. sha256: of its bytes. seconds: of its pairs.

    said: the side that its data set's own lists say, if any.
    """

    key: str
    sha256: str
    seconds: float
    said: str | None = None


def place(sha256: str) -> float:
    """Where a film stands, 0..1, the same for ever."""
    return int(hashlib.sha256(f"gvm split {sha256}".encode()).hexdigest()[:13], 16) / 16**13


def group_films(keys: Iterable[str], same: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Key -> the least key of all that are the same film as it; `same` names pairs of keys."""
    leader = {key: key for key in keys}

    def find(key: str) -> str:
        while leader[key] != key:
            leader[key] = leader[leader[key]]
            key = leader[key]
        return key

    for one, other in same:
        first, second = sorted((find(one), find(other)))
        leader[second] = first
    return {key: find(key) for key in leader}


def assign_sides(
    films: Sequence[Film], groups: Mapping[str, str], known: Mapping[str, str], test_share: float
) -> dict[str, str | None]:
    """Key of each film -> its side; None for a new film that is a copy of films on both sides, and must stay out.

    groups: as `group_films` gives. known: key -> side of films decided before.
    """
    members: dict[str, list[Film]] = {}
    for film in sorted(films, key=lambda film: film.key):
        members.setdefault(groups[film.key], []).append(film)
    sides: dict[str, str] = {}
    free: list[str] = []
    torn: set[str] = set()
    for name, group in members.items():
        decided = {known[film.key] for film in group if film.key in known}
        said = {film.said for film in group if film.said}
        if len(decided) > 1:
            torn.add(name)
        elif decided or said:
            sides[name] = decided.pop() if decided else TEST if TEST in said else TRAIN
        else:
            free.append(name)
    places = {name: min(place(film.sha256) for film in members[name]) for name in free}
    seconds = {name: sum(film.seconds for film in group) for name, group in members.items()}
    for name in free:
        sides[name] = TEST if places[name] < test_share else TRAIN
    if free and len(members) > 1:
        _balance(sides, sorted(free, key=lambda name: abs(places[name] - test_share)), seconds, test_share)
    result: dict[str, str | None] = {}
    for name, group in members.items():
        for film in group:
            result[film.key] = known.get(film.key) if name in torn else sides[name]
    return result


def _balance(sides: dict[str, str], free: Sequence[str], seconds: Mapping[str, float], test_share: float) -> None:
    """Take films over to the side that lacks seconds, in the order of `free`, while that brings it nearer."""
    total = sum(seconds[name] for name in sides)

    def off() -> float:
        """How much too much of everything is in test, as a share."""
        return sum(seconds[name] for name in sides if sides[name] == TEST) / max(total, 1e-9) - test_share

    for name in free:
        amiss = off()
        if abs(amiss) <= SLACK * test_share:
            return
        before, other = sides[name], TEST if amiss < 0 else TRAIN
        if before == other or list(sides.values()).count(before) == 1:
            continue
        was_empty = other not in sides.values()
        sides[name] = other
        if abs(off()) >= abs(amiss) and not was_empty:
            sides[name] = before

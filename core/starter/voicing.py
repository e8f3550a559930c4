"""Chords as pitches: which tones to play, voice leading from chord to chord, open spacing in the low register.

MIDI numbers throughout. Pure functions; knows nothing of time, instruments or codes but `vocab.QUALITIES`.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Final

from core.starter.vocab import QUALITIES

Voicing = tuple[int, ...]  # ascending MIDI numbers

LOWEST_THIRD: Final = 40  # E2: below it only fifths and octaves are clear (rules of music)
CLOSE_FROM: Final = 48  # C3: below it voices keep at least a fourth apart


def chord_tones(root: int, quality: int, voices: int) -> tuple[int, ...]:
    """`voices` pitch classes of a chord, root first; the fifth, then the root, go when there are too many.

    root: pitch class 0..11. Where the chord has too few, they repeat from the root.
    """
    intervals = list(QUALITIES[quality][1])
    for spare in (7, 0):
        if len(intervals) > voices and spare in intervals:
            intervals.remove(spare)
    classes = [(root + interval) % 12 for interval in intervals[:voices]]
    return tuple(classes[i % len(classes)] for i in range(voices))


@lru_cache(maxsize=4096)
def candidates(root: int, quality: int, voices: int, centre: int) -> tuple[Voicing, ...]:
    """Close and drop-two voicings of a chord in every inversion, whose mean lies within an octave of `centre`."""
    classes = sorted(set(chord_tones(root, quality, voices)))
    found: set[Voicing] = set()
    for bottom in range(centre - 16, centre + 6):
        if bottom % 12 not in classes:
            continue
        close = [bottom]
        at = classes.index(bottom % 12)
        while len(close) < voices:
            at += 1
            close.append(close[-1] + ((classes[at % len(classes)] - close[-1]) % 12 or 12))
        found.add(tuple(close))
        if voices >= 4:
            found.add(tuple(sorted([*close[:-2], close[-2] - 12, close[-1]])))
    kept = [v for v in found if abs(sum(v) / voices - centre) <= 9] or list(found)
    return tuple(sorted(kept))


@lru_cache(maxsize=4096)
def lead_to(previous: Voicing, root: int, quality: int, voices: int, centre: int) -> Voicing:
    """The voicing of a chord that moves least from `previous` (empty: the one nearest `centre`).

    Common tones cost nothing and steps little; drifting from the centre, clusters and thirds in the bass cost more.
    """
    return min(candidates(root, quality, voices, centre), key=lambda v: (_cost(v, previous, centre), v))


def _cost(voicing: Voicing, previous: Voicing, centre: int) -> float:
    cost = 0.6 * abs(sum(voicing) / len(voicing) - centre)
    if len(previous) == len(voicing):
        moves = [abs(a - b) for a, b in zip(voicing, previous, strict=True)]
        cost += sum(moves) + 0.5 * max(moves)
    cost += 2.5 * sum(upper - lower == 1 for lower, upper in pairwise(voicing))
    return cost + 2.0 * (open_low(voicing) != voicing)


@lru_cache(maxsize=4096)
def open_low(voicing: Voicing) -> Voicing:
    """`voicing` with its low end opened: a tone too near one below it is raised an octave (see LOWEST_THIRD).

    Below CLOSE_FROM neighbours keep a fourth apart; when the lower one is under LOWEST_THIRD, a fifth.
    """
    out: list[int] = []
    for pitch in sorted(voicing):
        placed = pitch
        while out and _crowded(out, placed):
            placed += 12
        if placed not in out:
            out.append(placed)
    return tuple(sorted(out))


def _crowded(below: list[int], pitch: int) -> bool:
    return any(
        (other < LOWEST_THIRD and abs(pitch - other) < 7) or (other < CLOSE_FROM and abs(pitch - other) < 5)
        for other in below
    )


def fold(pitch: int, low: int, high: int) -> int:
    """`pitch` moved by octaves into low..high (a range of at least an octave)."""
    if pitch < low:
        return pitch + 12 * -(-(low - pitch) // 12)
    if pitch > high:
        return pitch - 12 * -(-(pitch - high) // 12)
    return pitch


def fold_line(pitches: list[int], low: int, high: int) -> list[int]:
    """A melodic line moved as a whole by octaves into low..high; tones that still stick out are folded one by one."""
    shift = fold(max(pitches), low, high) - max(pitches)
    if min(pitches) + shift < low and max(pitches) + shift + 12 <= high:
        shift += 12
    return [fold(pitch + shift, low, high) for pitch in pitches]


def transposition(tonic: int) -> int:
    """Semitones -5..6 that bring music thought in C to pitch class `tonic`, so that registers stay where they are."""
    tonic %= 12
    return tonic if tonic <= 6 else tonic - 12

"""The ideas a piece is made of: one motif and its derivatives, two grooves, two figures, two bass lines.

Drawn once per piece and kept, so that what comes back is recognised. Patterns are parsed here, once per text.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np

from core.starter import vocab
from core.starter.style import NEVER, BassLine, CounterKind, Figure, Groove, Metre, Style

_T = TypeVar("_T")

FIGURES = {
    "1": vocab.FIGURE_VOICE_1, "2": vocab.FIGURE_VOICE_2, "3": vocab.FIGURE_VOICE_3, "4": vocab.FIGURE_VOICE_4,
    "L": vocab.FIGURE_LOW_PAIR, "H": vocab.FIGURE_HIGH_PAIR, "B": vocab.FIGURE_BLOCK, "S": vocab.FIGURE_STAB,
    "D": vocab.FIGURE_STRUM_DOWN, "U": vocab.FIGURE_STRUM_UP, "T": vocab.FIGURE_TREMOLO, "R": vocab.FIGURE_ROLLED,
    "O": vocab.FIGURE_OCTAVE,
}  # fmt: skip
QUIET = -1  # in a parsed `when`: a rest is written here
ORNAMENTAL = 8  # tune levels from here up are ornaments between the motif's notes


@lru_cache(maxsize=1024)
def parse_when(text: str, steps: int) -> tuple[int, ...]:
    """Least level per step of a bar of `steps`; NEVER for '.', QUIET for '-'. A pattern too short goes round."""
    if not text:
        return (NEVER,) * steps
    marks = {".": NEVER, "-": QUIET}
    return tuple(marks[c] if c in marks else int(c, 16) for c in (text[i % len(text)] for i in range(steps)))


@lru_cache(maxsize=1024)
def parse_play(text: str, steps: int) -> str:
    """The letters of a bar of `steps`, every '.' replaced by the letter before it."""
    letters = ""
    for index in range(steps):
        letter = text[index % len(text)]
        letters += letters[-1] if letter == "." else letter
    return letters


@dataclass(frozen=True, slots=True)
class Tone:
    """One event of a tune's bar: from which level it plays, how far (in scale steps) it lies from the bar's first note.

    level: QUIET for a rest. ornamental: a passing or neighbouring note, found by the notes around it.
    """

    level: int
    offset: int
    ornamental: bool = False
    grace: bool = False


Cell = dict[int, Tone]  # place in the bar -> event


@dataclass(frozen=True, slots=True)
class Material:
    """The ideas of one piece. grooves, figures, basses: (home, away). cells: the tune's bars by letter.

    Letters: M the motif, V varied at its end, I turned upside down on a second rhythm, F its first half twice,
    C a cadence, L one long note, R rest. schemes: letters of a four-bar phrase, by section.
    """

    grooves: tuple[Groove, Groove]
    figures: tuple[Figure, Figure]
    basses: tuple[BassLine, BassLine]
    cells: dict[str, Cell]
    schemes: tuple[str, ...]
    counter: CounterKind
    answer: Cell


def metre_of(style: Style, bar_steps: int) -> Metre:
    """The patterns of `style` for bars of `bar_steps`; those of its usual metre, cut to length, if it has none."""
    return next((metre for metre in style.metres if metre.steps == bar_steps), style.metres[0])


def draw_material(style: Style, bar_steps: int, rng: np.random.Generator) -> Material:
    """The ideas of one piece in `style`, drawn with `rng`."""
    metre = metre_of(style, bar_steps)
    grooves, figures, basses = _two(metre.grooves, rng), _two(metre.figures, rng), _two(metre.basses, rng)
    tune, second = _two(metre.tunes, rng)
    motif = _motif(parse_when(tune, bar_steps), style.grace, rng)
    other = _motif(parse_when(second, bar_steps), style.grace, rng)
    statement = ("MSMC", "MMSC", "MSVC")[int(rng.integers(3))]
    variation = ("MVSC", "VSMC", "MVVC")[int(rng.integers(3))]
    contrast = ("IFIC", "IIFC", "FIMC")[int(rng.integers(3))]
    cells = {
        "M": motif, "S": motif, "V": _varied(motif), "I": _upside_down(other), "F": _fragment(motif, bar_steps),
        "C": _cadence(motif, bar_steps), "L": _long(bar_steps), "R": {},
    }  # fmt: skip
    schemes = ("RRRR", statement, variation, contrast, statement, "FFMF", "LRLR", "RRRR")
    counter = style.counters[int(rng.integers(len(style.counters)))]
    return Material(grooves, figures, basses, cells, schemes, counter, _answer(motif, bar_steps))


def _two(options: tuple[_T, ...], rng: np.random.Generator) -> tuple[_T, _T]:
    first = int(rng.integers(len(options)))
    shift = int(rng.integers(1, len(options))) if len(options) > 1 else 0
    return options[first], options[(first + shift) % len(options)]


def _motif(levels: tuple[int, ...], grace: float, rng: np.random.Generator) -> Cell:
    """A motif on the rhythm `levels`: mostly steps, a leap now and then that turns back, staying within a sixth."""
    cell: Cell = {}
    offset, direction, leapt = 0, 1 if rng.random() < 0.6 else -1, False
    first = True
    for place, level in enumerate(levels):
        if level == NEVER:
            continue
        if level == QUIET or level >= ORNAMENTAL:
            cell[place] = Tone(level, offset, ornamental=level != QUIET)
            continue
        if not first:
            draw = rng.random()
            if leapt or abs(offset + direction) > 4:
                direction, size, leapt = -direction, 1, False
            elif draw < 0.60:
                size = 1
            elif draw < 0.82:
                size, leapt = 2 + int(rng.integers(2)), True
            else:
                direction, size = -direction, 1
            offset += direction * size
        first = False
        cell[place] = Tone(level, offset, grace=bool(rng.random() < grace))
    return cell


def _varied(motif: Cell) -> Cell:
    """The motif with its second half turned the other way."""
    main = [place for place, tone in motif.items() if not tone.ornamental and tone.level != QUIET]
    if len(main) < 3:
        return _upside_down(motif)
    pivot = main[len(main) // 2]
    axis = motif[pivot].offset
    return {p: (_moved(tone, 2 * axis - tone.offset) if p > pivot else tone) for p, tone in motif.items()}


def _upside_down(motif: Cell) -> Cell:
    return {place: _moved(tone, -tone.offset) for place, tone in motif.items()}


def _fragment(motif: Cell, bar_steps: int) -> Cell:
    """The motif's first half twice, the second time a step higher; the last notes left out to breathe."""
    half = bar_steps // 2
    first = {place: tone for place, tone in motif.items() if place < half and tone.level != QUIET}
    cell = dict(first)
    for place, tone in first.items():
        cell[place + half] = _moved(tone, tone.offset + 1)
    cell.setdefault(max(bar_steps - 2, 1), Tone(QUIET, 0))
    return cell


def _cadence(motif: Cell, bar_steps: int) -> Cell:
    """The motif's first note, one that answers it, held, then a rest."""
    main = [tone for tone in motif.values() if not tone.ornamental and tone.level != QUIET]
    step = -1 if main and main[-1].offset > 0 else 1
    quarter = max(bar_steps // 4, 1)
    return {0: Tone(2, 0), quarter: Tone(5, step), 2 * quarter: Tone(3, 0, grace=any(tone.grace for tone in main)),
            max(bar_steps - quarter, 2 * quarter + 1): Tone(QUIET, 0)}  # fmt: skip


def _long(bar_steps: int) -> Cell:
    return {0: Tone(2, 0), max(bar_steps - bar_steps // 4, 1): Tone(QUIET, 0)}


def _answer(motif: Cell, bar_steps: int) -> Cell:
    """The motif's first half moved to the bar's second half, for another instrument to answer with."""
    half = bar_steps // 2
    return {
        place + half: tone for place, tone in motif.items() if place < half and not tone.ornamental and tone.level >= 0
    }


def _moved(tone: Tone, offset: int) -> Tone:
    return Tone(tone.level, offset, tone.ornamental, tone.grace)

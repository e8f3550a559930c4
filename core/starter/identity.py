"""What the films of one channel share: an orchestra, a home key and a motif that opens and closes their cues.

The motif is a promise like a hit point: where it stands the melody's codes are given, and the chord under it is the
tonic; everything round it is the model's to decide, and differs from film to film.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from core.starter import vocab as v
from core.starter.grid import Grid
from core.starter.styles import STYLES

EIGHTHS: Final = 16  # a motif is two bars of 4/4; other metres squeeze it into two of theirs
BARS: Final = 2
_RETURN_BARS: Final = 16  # at most so far apart, so that a long cue has it more than twice
# Degrees that stand over a major tonic as well as over a minor one: no third, no sixth, no seventh.
_DEGREES: Final = (-5, 0, 2, 5, 7, 12)
_OCTAVES: Final = (0, 12, 24)  # where the tonic may lie among the codes of the melody
_WIDEST: Final = 7  # semitones between neighbours
_RHYTHMS: Final = (
    (0, 3, 4, 6), (0, 2, 3, 4), (0, 1, 2, 4), (0, 3, 6, 7), (0, 2, 4, 5), (0, 4, 6, 7), (0, 1, 4, 6), (0, 3, 5, 6),
)  # fmt: skip
_CLOSES: Final = ((8, 10, 12), (8, 11, 12), (8, 12), (9, 10, 12), (8, 9, 12))


@dataclass(frozen=True)
class MotifNote:
    """One note: onset and length in eighths of the two bars, pitch in semitones above the tonic."""

    onset: int
    length: int
    pitch: int


@dataclass(frozen=True)
class Motif:
    """A tune of a few notes in two bars.

    ValueError where its notes overlap, leave the bars, span over an octave and a half or lie out of any lead's reach.
    """

    notes: tuple[MotifNote, ...]

    def __post_init__(self) -> None:
        if not 3 <= len(self.notes) <= 12:
            raise ValueError(f"a motif has 3 to 12 notes, not {len(self.notes)}")
        at = 0
        for note in self.notes:
            if note.onset < at or note.length < 1 or note.onset + note.length > EIGHTHS:
                raise ValueError(
                    f"note at eighth {note.onset} of length {note.length}: notes follow each other within {EIGHTHS}"
                )
            at = note.onset + note.length
        pitches = [note.pitch for note in self.notes]
        if max(pitches) - min(pitches) > 17:
            raise ValueError(f"a motif spans at most 17 semitones, not {max(pitches) - min(pitches)}")
        lowest, highest = -_OCTAVES[-1], v.PITCHES - 1
        for pitch in pitches:
            if not lowest <= pitch <= highest:
                raise ValueError(
                    f"a note of the motif is {pitch} semitones above the tonic; {lowest} to {highest} can be played, "
                    "mostly 0 to 12 (no MIDI numbers)"
                )


@dataclass(frozen=True)
class Identity:
    """What a channel's films share. seed: of all that isn't said. palette: a name among the style's orchestras.

    tonic 0..11: the key that its films move round.
    """

    seed: int
    style: str
    palette: str
    tonic: int
    motif: Motif


def draw_motif(seed: int) -> Motif:
    """A motif of six or seven notes: rises or falls to a long tone, never two in a row that leap more than a fifth."""
    rng = np.random.default_rng([seed, 31])
    onsets = [*_RHYTHMS[int(rng.integers(len(_RHYTHMS)))], *_CLOSES[int(rng.integers(len(_CLOSES)))]]
    pitches = [int(rng.choice([0, 7, -5, 12]))]
    for left in range(len(onsets) - 1, 0, -1):
        near = [degree for degree in _DEGREES if 0 < abs(degree - pitches[-1]) <= _WIDEST]
        if left == 1:
            near = [degree for degree in near if degree % 12 in (0, 7)] or [0]
        pitches.append(int(rng.choice(near)))
    ends = [*onsets[1:], EIGHTHS - 1]
    return Motif(
        tuple(MotifNote(on, min(end - on, 4), pitch) for on, end, pitch in zip(onsets, ends, pitches, strict=True))
    )


def statements(grid: Grid, speech: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Steps at which the motif begins in a cue on `grid`: near its start, before its last downbeat, some between.

    speech [S]: someone speaks at the step; there nothing is stated. Empty for a cue that has no two bars to give.
    """
    length = BARS * grid.steps_per_bar
    free = [start for start in grid.bar_starts() if start + length <= grid.final_step]
    free = [start for start in free if not speech[start : start + length].any()]
    if not free:
        return ()
    first = next((start for start in free if start >= grid.steps_per_bar), free[0])
    chosen = [first]
    for start in free:
        if start - chosen[-1] >= _RETURN_BARS * grid.steps_per_bar:
            chosen.append(start)
    if free[-1] - chosen[-1] >= length:
        chosen.append(free[-1])
    elif len(chosen) > 1 and free[-1] > chosen[-1]:
        chosen[-1] = free[-1]
    return tuple(chosen)


def promise_motif(
    allowed: npt.NDArray[np.bool_], grid: Grid, style: str, motif: Motif, starts: tuple[int, ...]
) -> None:
    """Narrow `allowed` [S, K, CARD] (see `core.starter.constraints`) to the motif at each step of `starts`."""
    base = _octave(style, motif)
    for start in starts:
        _hold_tonic(allowed, grid, start)
        written = _written(grid, motif, start)
        for step in range(start, max(written) + 1):
            code = written.get(step, v.HOLD)
            melody = allowed[step, v.MELODY]
            melody[:] = False
            if code in (v.HOLD, v.REST):
                melody[code] = True
            else:
                for ornament in range(3):
                    melody[v.melody_code(base + motif.notes[code - 2].pitch, ornament)] = True


def _written(grid: Grid, motif: Motif, start: int) -> dict[int, int]:
    """Step -> 2 + number of the note that begins there, or REST where one ends and none follows at once."""
    each = grid.steps_per_bar * BARS / EIGHTHS
    out: dict[int, int] = {}
    for number, note in enumerate(motif.notes):
        begin, end = round(note.onset * each), round((note.onset + note.length) * each)
        out[start + begin] = 2 + number
        follows = number + 1 < len(motif.notes) and round(motif.notes[number + 1].onset * each) == end
        if not follows and note.onset + note.length < EIGHTHS:
            out[start + end] = v.REST
    return out


def _hold_tonic(allowed: npt.NDArray[np.bool_], grid: Grid, start: int) -> None:
    """The tonic at the motif's first step; after it the tonic, the fourth or the fifth, on bar lines alone."""
    codes = np.arange(v.CARD)
    root = np.where(codes > 0, (codes - 1) // len(v.QUALITIES), -1)
    harmony = allowed[:, v.HARMONY]
    harmony[start] &= (root == 0) & (codes > 0)
    second = start + grid.steps_per_bar
    for step in range(start + 1, start + BARS * grid.steps_per_bar):
        harmony[step] &= (codes == v.HOLD) | ((step == second) & np.isin(root, (0, 5, 7)))


def _octave(style: str, motif: Motif) -> int:
    """The pitch of the tonic, a multiple of 12, that puts the motif best into the range of the style's lead."""
    low, high = STYLES[style].lead
    pitches = [note.pitch for note in motif.notes]
    middle = (low + high) / 2

    def misfit(base: int) -> tuple[float, float]:
        outside = max(0, low - base - min(pitches)) + max(0, base + max(pitches) - high)
        return (outside, abs(base + (min(pitches) + max(pitches)) / 2 - middle))

    fitting = [base for base in _OCTAVES if base + min(pitches) >= 0 and base + max(pitches) < v.PITCHES]
    return min(fitting, key=misfit)

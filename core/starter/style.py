"""What a style of the starter model is made of: harmony, grooves, figures, tunes, as plain data classes.

A pattern is one bar written as a string, a character per sixteenth. In `when` strings a hexadecimal digit is the
least ENERGY level (0..15) at which this step plays, '.' never, '-' a rest: "2.7.5.7." plays the downbeat almost
always, quarters when something happens, eighths when it moves. So the picture decides how much is played, the
pattern what. In `play` strings a letter says what is played, '.' the same as the step before.
Knows the meaning of codes (`vocab`), nothing else; light enough for the plugin to import.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from core.starter.vocab import CYMBAL, FIGURE_BLOCK, KICK, PERC_NONE, SNARE, TOM

CounterKind = Literal["guide", "thirds", "answer", "octave"]
NEVER: Final = 99  # a level no step reaches


@dataclass(frozen=True)
class Colour:
    """One harmonic world of a style and the mood it stands for.

    valence: -1 dark .. 1 bright, where it fits best. mode: a key of `theory.MODES`. home and away: progressions in
    Roman numerals for the main and the contrasting phrases. cadence: the chords just before the last tonic.
    tonic: the chord everything ends on.
    """

    valence: float
    mode: str
    home: tuple[str, ...]
    away: tuple[str, ...]
    cadence: str
    tonic: str


@dataclass(frozen=True)
class Groove:
    """What the drums do in a bar: a `when` string per drum, and hand percussion lines (PERC_* code, `when`).

    Where several percussion lines play at once the last of them is heard.
    """

    kick: str = ""
    snare: str = ""
    tom: str = ""
    ghost: str = ""
    cymbal: str = ""
    perc: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Figure:
    """What the chord instrument does in a bar.

    play: a letter per step: 1-4 one voice, L low pair, H high pair, B block, S stab, D and U strums, T tremolo,
    R rolled, O octave. thick: the same, used from level 10 up.
    """

    when: str
    play: str
    thick: str = ""


@dataclass(frozen=True)
class BassLine:
    """A bass bar. play: r root, 5 fifth, o octave, 3 third, a approach to the next chord's root."""

    when: str
    play: str


@dataclass(frozen=True)
class Metre:
    """All patterns of a style for bars of `steps` sixteenths. tunes: rhythms of the lead, levels 8 up are ornaments."""

    steps: int
    grooves: tuple[Groove, ...]
    figures: tuple[Figure, ...]
    basses: tuple[BassLine, ...]
    tunes: tuple[str, ...]


@dataclass(frozen=True)
class Style:
    """Everything that makes a style itself, as data.

    tempo: (slowest, fastest) quarter notes a minute. swing: where the second of two eighths' halves falls, 0.5
    straight. chord_bars: bars per chord. phrase_bars: usual length of a phrase. lead: (lowest, highest) pitch of the
    melody. register: of the chords, 0..2. grace: share of a motif's notes that are ornamented. pad: loudness of the
    pad at rest and at full energy. counters: kinds of second voice. accent_*: how a strong hit is played.
    fill: drums of the first and second half of a beat's fill at a phrase's end, 0 for none.
    bell: PERC_* code that marks a light accent. riser: PERC_* code that leads to the strongest hits, or PERC_NONE.
    ending: "ring" lets the last chord ring, "button" ends short where the grid asks for it.
    """

    name: str
    title: str
    tempo: tuple[float, float]
    swing: float
    colours: tuple[Colour, ...]
    metres: tuple[Metre, ...]
    chord_bars: float = 1.0
    phrase_bars: int = 4
    lead: tuple[int, int] = (7, 26)
    register: int = 1
    grace: float = 0.0
    pad: tuple[int, int] = (1, 2)
    counters: tuple[CounterKind, ...] = ("guide", "answer")
    accent_drums: int = KICK | CYMBAL
    accent_perc: int = PERC_NONE
    accent_figure: int = FIGURE_BLOCK
    fill: tuple[int, int] = (TOM, SNARE)
    bell: int = PERC_NONE
    riser: int = PERC_NONE
    ending: Literal["ring", "button"] = "ring"

    @property
    def steps_per_bar(self) -> tuple[int, ...]:
        """Bar lengths, in sixteenths, that the style is written for; the usual one first."""
        return tuple(metre.steps for metre in self.metres)

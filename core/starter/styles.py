"""The ten styles of the starter model, as data: tempo, metre, harmony, grooves, figures, tunes, endings.

A pattern is one bar written as a string, a character per sixteenth. In `when` strings a hexadecimal digit is the
least ENERGY level (0..15) at which this step plays, '.' never, '-' a rest: "2.7.5.7." plays the downbeat almost
always, quarters when something happens, eighths when it moves. So the picture decides how much is played, the pattern what.
Knows the meaning of codes (`vocab`) and of chord names (`theory`), nothing else; light enough for the plugin to import.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from core.starter.vocab import (
    CYMBAL,
    FIGURE_BLOCK,
    FIGURE_ROLLED,
    FIGURE_STAB,
    FIGURE_STRUM_DOWN,
    KICK,
    PERC_CLAVE,
    PERC_GONG,
    PERC_HAT,
    PERC_HAT_LOUD,
    PERC_HAT_OPEN,
    PERC_HEARTBEAT,
    PERC_NONE,
    PERC_RIDE,
    PERC_RIDE_BELL,
    PERC_RISER,
    PERC_ROLL,
    PERC_SHAKER,
    PERC_SHAKER_LOUD,
    PERC_TAMBOURINE,
    PERC_WOODBLOCK,
    PERC_WOODBLOCK_LOUD,
    SNARE,
    TOM,
)

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
    perc: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Figure:
    """What the chord instrument does in a bar.

    play: a letter per step: 1-4 one voice, L low pair, H high pair, B block, S stab, D and U strums, T tremolo,
    R rolled, O octave. thick: the same, used from level 11 up.
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
    bell: int = PERC_NONE
    riser: int = PERC_NONE
    ending: Literal["ring", "button"] = "ring"

    @property
    def steps_per_bar(self) -> tuple[int, ...]:
        """Bar lengths, in sixteenths, that the style is written for; the usual one first."""
        return tuple(metre.steps for metre in self.metres)


_CINEMATIC = Style(
    name="cinematic",
    title="Cinematic",
    tempo=(60, 84),
    swing=0.5,
    colours=(
        Colour(-0.8, "minor", ("i bVI iv V", "i iv bVI V"), ("bVI bVII i V", "iv i bVI V"), "iv V", "i"),
        Colour(-0.2, "minor", ("i bVI bIII bVII", "i bIII bVII iv"), ("bVI bVII i i", "iv bVI bIII bVII"), "bVI bVII", "i"),
        Colour(0.2, "dorian", ("i IV bVII i", "i bIII IV i"), ("bVII IV i IV", "bIII bVII IV IV"), "IV bVII", "i"),
        Colour(0.8, "lydian", ("I II vi IVadd9", "Iadd9 V vi IV"), ("vi IV I V", "IV I II V"), "IV V", "I"),
    ),
    metres=(
        Metre(
            16,
            (
                Groove("5.......8.....d.", "............c.e.", "8.....b.a...b.cd", "..b...c...b...c.",
                       ((PERC_SHAKER, "8c9c7c9c8c9c7c9c"),)),
                Groove("5.....9...8.....", "........b....e.e", "9..b..a.9..b..cc", "....b...d...b.d.",
                       ((PERC_SHAKER, "7.8b7.8b7.8b7.8b"), (PERC_RIDE, "b...b...b...b..."))),
                Groove("6...a...7...a...", "............bdcd", "8.a.9.b.8.a.9.bb", "", ((PERC_SHAKER, "7a8c7a8c7a8c7a8c"),)),
            ),
            (
                Figure("1a5b3a6b2a5b3a6b", "1232343212323432", "B2H2L2H2B2H2L2H2"),
                Figure("1.6a4.6a2.6a4.6a", "L...H...L...H...".replace(".", "H"), "B.HHL.HHB.HHL.HH".replace(".", "H")),
                Figure("1.7.4.6b2.7.4.6b", "R.3.4.32L.3.4.32".replace(".", "3"), "B.H.B.HHB.H.B.HH".replace(".", "H")),
            ),
            (
                BassLine("1.......5.......", "r.......5......."),
                BassLine("1.....8.5...9.b.", "r.....r.r...5.a."),
                BassLine("1...9.b.4...9.b.", "r...r.r.5...o.a."),
            ),
            ("2.......5.a.4.b.", "2.....5.4...-...", "3...5.b.3.......", "3..b6.b.2..b..-.", "2...4.a.5.b.6.-."),
        ),
        Metre(
            12,
            (
                Groove("5.....8.....", "..........cd", "8...b.9..b.c", "..b.....b...", ((PERC_SHAKER, "7b8b8b7b8b8b"),)),
                Groove("5...a.7.....", "......b...ce", "9..b..8..bbb", "", ((PERC_SHAKER, "8.8.8a8.8.8a"),)),
            ),
            (
                Figure("1a5b5a3a5b5a", "123432123432", "B2H4H2B2H4H2"),
                Figure("1.6.5b3.6.5b", "LHH.HHLHH.HH".replace(".", "H"), "B.H.HHB.H.HH".replace(".", "H")),
            ),
            (BassLine("1.....5.....", "r.....5....."), BassLine("1...8.5...9.", "r...r.5...a.")),
            ("2...5.4.b.b.", "2.....4...-.", "3..b5.3...-.", "2.b.5.4.b.-."),
        ),
    ),
    lead=(7, 26),
    pad=(2, 3),
    counters=("guide", "thirds", "answer"),
    accent_drums=KICK | TOM | CYMBAL,
    accent_figure=FIGURE_BLOCK,
    bell=PERC_RIDE_BELL,
    riser=PERC_ROLL,
)

_DOCUMENTARY = Style(
    name="documentary",
    title="Documentary",
    tempo=(76, 104),
    swing=0.5,
    colours=(
        Colour(-0.6, "dorian", ("i IV i bVII", "i7 IV i7 v7"), ("bVII IV i i", "bIII bVII i IV"), "IV", "i"),
        Colour(0.2, "major", ("Iadd9 vi7 IVadd9 Isus", "I IVadd9 vi7 V"), ("vi7 IVadd9 ii7 V", "IV I ii7 V"), "V", "I"),
        Colour(0.8, "lydian", ("Iadd9 II Iadd9 II", "Imaj7 II vi7 V"), ("vi7 II IVadd9 V", "IVadd9 V iii7 vi7"), "II V", "Iadd9"),
    ),
    metres=(
        Metre(
            16,
            (
                Groove("7.......9.b.....", "", "", "....a.....c.a..d",
                       ((PERC_SHAKER, "8b7b7b7b8b7b7b7b"), (PERC_SHAKER_LOUD, "....d.......d..."))),
                Groove("7.....b.8.......", "....c.......c...", "", "..d...d...d...d.",
                       ((PERC_SHAKER, "..7a..7a..7a..7a"), (PERC_WOODBLOCK, "8..9..a.....a.b."))),
                Groove("7...c...8...c...", "............b...", "..........b..d..", "....9..c....9..c",
                       ((PERC_SHAKER, "7b8b7b8b7b8b7b8b"), (PERC_TAMBOURINE, "....c.......c..."))),
            ),
            (
                Figure("1.6.4.6c3.6.4.6c", "1.3.2.3413.2.34.".replace(".", "3"), "L.3.H.34B.3.H.34".replace(".", "3")),
                Figure("1..6..5...6.5..b", "1..2..3...4.3..2".replace(".", "2"), "B..H..H...B.H..H".replace(".", "H")),
                Figure("1...3.7.5...4.7a", "L...H.3.L...H.34".replace(".", "3"), "B...H.H.B...H.HH".replace(".", "H")),
            ),
            (
                BassLine("1.........5.....", "r.........5....."),
                BassLine("1.....8.6.....b.", "r.....5.r.....a."),
                BassLine("1...9...5...8.b.", "r...5...o...5.a."),
            ),
            ("3..5..4.b.6..b-.", "3.b.5.b.3..5.-..", "4...3..6..5.b.-.", "..4.5.6b3.b...-.", "3...5..4.a.a-..."),
        ),
    ),
    chord_bars=2.0,
    lead=(9, 26),
    pad=(1, 2),
    counters=("answer", "guide", "thirds"),
    accent_drums=KICK | SNARE | CYMBAL,
    accent_figure=FIGURE_BLOCK,
    bell=PERC_TAMBOURINE,
)

_ACOUSTIC = Style(
    name="acoustic",
    title="Acoustic",
    tempo=(84, 120),
    swing=0.53,
    colours=(
        Colour(-0.6, "minor", ("vi IV I V", "vi I V IV"), ("IV vi ii V", "ii vi IV V"), "IV V", "vi"),
        Colour(0.1, "mixolydian", ("I bVII IV I", "Iadd9 v7 IV I"), ("bVII IV I I", "ii7 IV bVII IV"), "bVII IV", "I"),
        Colour(0.6, "major", ("I V vi IV", "Iadd9 IV vi V", "I IVadd9 V IV"), ("vi IV ii7 V", "IV I IV V", "ii7 V vi IV"), "IV V", "I"),
    ),
    metres=(
        Metre(
            16,
            (
                Groove("7.......8.c.....", "....9.......9...", "", "..c...b...c...bd",
                       ((PERC_SHAKER, "8b7b8b7b8b7b8b7b"),)),
                Groove("7.....a...8.....", "....9.......9..e", "", "......c.......c.",
                       ((PERC_TAMBOURINE, "....b.......b..."), (PERC_SHAKER, "7.7c7.7c7.7c7.7c"))),
                Groove("6...a...7...a...", "....8.......8...", "..............de", "..b...b...b...b.",
                       ((PERC_SHAKER, "7a8c7a8c7a8c7a8c"),)),
            ),
            (
                Figure("1...4.6b..5.4.6b", "D...D.UU..U.D.UU", "D...D.UUD.U.D.UU"),
                Figure("1.7.4.6c3.7.4.6c", "1.3.2.341.3.2.34", "D.U.D.UUD.U.D.UU"),
                Figure("1..6..5.3..6..6b", "1..3..2.L..3..43", "D..D..U.D..D..UU"),
            ),
            (
                BassLine("1.......4.....b.", "r.......5.....a."),
                BassLine("1.....8.5...8...", "r.....r.5...r..."),
                BassLine("1...8...4...7.b.", "r...r...5...5.a."),
            ),
            ("3.4.b.5...6.-...", "3..5..4.b.4.b.-.", "..3.5.4...6.b.-.", "4.b.3...5.b.4.-.", "3.....5.4.6.-..."),
        ),
        Metre(
            12,
            (
                Groove("7.....9.....", "......9.....", "", "....c.....bd", ((PERC_SHAKER, "8b7b7b8b7b7b"),)),
                Groove("7...c.8.....", "......a...d.", "", "..b.b...b.b.", ((PERC_SHAKER, "7.7.7c7.7.7c"),)),
            ),
            (
                Figure("1.6.5b3.6.5b", "1.2.33L.3.43", "D.D.UUD.D.UU"),
                Figure("1...5.4...6b", "D...U.D...UU", "D.U.D.D.UUDU"),
            ),
            (BassLine("1.....4.....", "r.....5....."), BassLine("1...9.5...b.", "r...r.5...a.")),
            ("3...5.4.b.-.", "3.b.5.4...-.", "4.5.6.3...-."),
        ),
    ),
    lead=(7, 24),
    pad=(1, 1),
    counters=("thirds", "answer", "guide"),
    accent_drums=KICK | SNARE | CYMBAL,
    accent_figure=FIGURE_STRUM_DOWN,
    bell=PERC_TAMBOURINE,
)

_LOFI = Style(
    name="lofi",
    title="Lo-fi",
    tempo=(68, 88),
    swing=0.59,
    colours=(
        Colour(-0.5, "dorian", ("i9 iv9 i9 bVIImaj7", "i9 bVImaj7 iv9 V9"), ("iv9 bVII bIIImaj7 V9", "bVImaj7 V9 i9 i9"), "iv9 V9", "i9"),
        Colour(0.3, "major", ("ii9 V9 Imaj7 vi7", "Imaj7 vi7 ii9 V9"), ("iii7 vi9 ii9 V9", "IVmaj7 iii7 ii9 V9"), "ii9 V9", "Imaj7"),
        Colour(0.8, "major", ("IVmaj7 V9 iii7 vi7", "Imaj7 IVmaj7 iii7 vi9"), ("ii9 iii7 IVmaj7 V9", "vi9 ii9 V9 Imaj7"), "ii9 V9", "Imaj7"),
    ),
    metres=(
        Metre(
            16,
            (
                Groove("5.....a...7....d", "....8.......8...", "", ".......c.b.....c",
                       ((PERC_HAT, "8b7b8b7b8b7b8b7b"), (PERC_HAT_OPEN, "..............d."))),
                Groove("5..b......6..c..", "....8.......8..e", "", "..c....d..c....d",
                       ((PERC_HAT, "7.6c7.6b7.6c7.6b"), (PERC_SHAKER, ".b...b...b...b..")),),
                Groove("5......9..6.....", "....7.......7...", "", ".c...c....d..c..",
                       ((PERC_HAT, "7a8c7a8c7a8c7a8c"), (PERC_RIDE, "c...c...c...c..."))),
            ),
            (
                Figure("1.....4...7b6..b", "B.....H...S.H..H".replace("S.", "SH"), "B.....B...SHB..H"),
                Figure("1..6..5...4..8.b", "R..H..H...B..H.H", "B..H..B...B..H.H"),
                Figure("1...5.6c3...5.6c", "L...H.34L...H.43", "B...H.HHB...H.HH"),
            ),
            (
                BassLine("2.....8...5.....", "r.....r...5....."),
                BassLine("2..8......5...b.", "r..r......r...a."),
                BassLine("2......8..5..9b.", "r......o..5..ra."),
            ),
            ("..3.5..4.b..-...", "3..4.b.5....-...", "....4.5.6.b.4.-.", "4.b.5..6..-.....", "..4..5.3.b.6..-."),
        ),
    ),
    lead=(9, 26),
    pad=(1, 2),
    grace=0.15,
    counters=("answer", "guide"),
    accent_drums=KICK | SNARE | CYMBAL,
    accent_perc=PERC_HAT_OPEN,
    accent_figure=FIGURE_ROLLED,
    bell=PERC_RIDE_BELL,
)

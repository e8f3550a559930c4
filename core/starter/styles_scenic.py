"""The five scenic styles: cinematic, documentary, ambient, Chinese traditional, tension.

See `style` for the notation. Data only.
"""

from __future__ import annotations

from typing import Final

from core.starter.style import BassLine, Colour, Figure, Groove, Metre, Style
from core.starter.vocab import (
    CYMBAL,
    FIGURE_BLOCK,
    FIGURE_ROLLED,
    FIGURE_STAB,
    GHOST,
    KICK,
    PERC_CLAVE,
    PERC_GONG,
    PERC_HAT,
    PERC_HAT_LOUD,
    PERC_HEARTBEAT,
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

CINEMATIC: Final = Style(
    name="cinematic",
    title="Cinematic",
    tempo=(60, 84),
    swing=0.5,
    colours=(
        Colour(-0.8, "minor", ("i bVI iv V", "i iv bVI V"), ("bVI bVII i V", "iv i bVI V"), "iv V", "i"),
        Colour(
            -0.2, "minor", ("i bVI bIII bVII", "i bIII bVII iv"), ("bVI bVII i i", "iv bVI bIII bVII"), "bVI bVII", "i"
        ),
        Colour(0.2, "dorian", ("i IV bVII i", "i bIII IV i"), ("bVII IV i IV", "bIII bVII IV IV"), "IV bVII", "i"),
        Colour(0.8, "lydian", ("I II vi IVadd9", "Iadd9 V vi IV"), ("vi IV I V", "IV I II V"), "IV V", "I"),
    ),
    metres=(
        Metre(
            16,
            (
                Groove(
                    "5.......8.....d.",
                    "............c.e.",
                    "8.....b.a...b.cd",
                    "..b...c...b...c.",
                    ((PERC_SHAKER, "8c9c7c9c8c9c7c9c"),),
                ),
                Groove(
                    "5.....9...8.....",
                    "........b....e.e",
                    "9..b..a.9..b..cc",
                    "....b...d...b.d.",
                    ((PERC_SHAKER, "7.8b7.8b7.8b7.8b"), (PERC_RIDE, "b...b...b...b...")),
                ),
                Groove(
                    "6...a...7...a...", "............bdcd", "8.a.9.b.8.a.9.bb", "", ((PERC_SHAKER, "7a8c7a8c7a8c7a8c"),)
                ),
            ),
            (
                Figure("1a5b3a6b2a5b3a6b", "1232343212323432", "B2H2L2H2B2H2L2H2"),
                Figure("1.6a4.6a2.6a4.6a", "LHHHHHHHLHHHHHHH", "BHHHLHHHBHHHLHHH"),
                Figure("1.7.4.6b2.7.4.6b", "R3344322L3344323", "BHHHBHHHBHHHBHHH"),
            ),
            (
                BassLine("1.......5.......", "r.......5......."),
                BassLine("1.....8.5...9.b.", "r.....r.r...5.a."),
                BassLine("1...9.b.4...9.b.", "r...r.r.5...o.a."),
            ),
            ("1...3...2.5.b.-.", "1.....4.2...3.-.", "2...4.b.1...5...", "1..b4.2...5...-.", "1...3.b.4.2...-."),
        ),
        Metre(
            12,
            (
                Groove(
                    "5.....8.....", "..........cd", "8...b.9..b.c", "..b.....b...", ((PERC_SHAKER, "7b8b8b7b8b8b"),)
                ),
                Groove("5...a.7.....", "......b...ce", "9..b..8..bbb", "", ((PERC_SHAKER, "8.8.8a8.8.8a"),)),
            ),
            (
                Figure("1a5b5a3a5b5a", "123432123432", "B2H4H2B2H4H2"),
                Figure("1.6.5b3.6.5b", "LHHHHHLHHHHH", "BHHHHHBHHHHH"),
            ),
            (BassLine("1.....5.....", "r.....5....."), BassLine("1...8.5...9.", "r...r.5...a.")),
            ("1...4.2.b.5.", "1.....3.2.-.", "2..b4.1.4.-.", "1.b.4.2.3.-."),
        ),
    ),
    lead=(7, 26),
    pad=(2, 3),
    counters=("guide", "thirds", "answer"),
    accent_drums=KICK | TOM | CYMBAL,
    accent_figure=FIGURE_BLOCK,
    fill=(TOM, TOM),
    bell=PERC_RIDE_BELL,
    riser=PERC_ROLL,
)

DOCUMENTARY: Final = Style(
    name="documentary",
    title="Documentary",
    tempo=(76, 104),
    swing=0.5,
    colours=(
        Colour(-0.6, "dorian", ("i IV i bVII", "i7 IV i7 v7"), ("bVII IV i i", "bIII bVII i IV"), "IV", "i"),
        Colour(0.2, "major", ("Iadd9 vi7 IVadd9 Isus", "I IVadd9 vi7 V"), ("vi7 IVadd9 ii7 V", "IV I ii7 V"), "V", "I"),
        Colour(
            0.8,
            "lydian",
            ("Iadd9 II Iadd9 II", "Imaj7 II vi7 V"),
            ("vi7 II IVadd9 V", "IVadd9 V iii7 vi7"),
            "II V",
            "Iadd9",
        ),
    ),
    metres=(
        Metre(
            16,
            (
                Groove(
                    "7.......9.b.....",
                    "",
                    "",
                    "....a.....c.a..d",
                    ((PERC_SHAKER, "8b7b7b7b8b7b7b7b"), (PERC_SHAKER_LOUD, "....d.......d...")),
                ),
                Groove(
                    "7.....b.8.......",
                    "....c.......c...",
                    "",
                    "..d...d...d...d.",
                    ((PERC_SHAKER, "..7a..7a..7a..7a"), (PERC_WOODBLOCK, "8..9..a.....a.b.")),
                ),
                Groove(
                    "7...c...8...c...",
                    "............b...",
                    "..........b..d..",
                    "....9..c....9..c",
                    ((PERC_SHAKER, "7b8b7b8b7b8b7b8b"), (PERC_TAMBOURINE, "....c.......c...")),
                ),
            ),
            (
                Figure("1.6.4.6c3.6.4.6c", "1.3.2.3413.2.34.", "L.3.H.34B.3.H.34"),
                Figure("1..6..5...6.5..b", "1..2..3...4.3..2", "B..H..H...B.H..H"),
                Figure("1...3.7.5...4.7a", "L...H.3.L...H.34", "B...H.H.B...H.HH"),
            ),
            (
                BassLine("1.........5.....", "r.........5....."),
                BassLine("1.....8.6.....b.", "r.....5.r.....a."),
                BassLine("1...9...5...8.b.", "r...5...o...5.a."),
            ),
            ("2..4..3.b.5..b-.", "2.b.4.b.2.4.5.-.", "3...1..5..4.b.-.", "..2.4.5b1.b...-.", "1...4..3.a.a4.-."),
        ),
    ),
    chord_bars=2.0,
    lead=(9, 26),
    pad=(1, 2),
    counters=("answer", "guide", "thirds"),
    accent_drums=KICK | SNARE | CYMBAL,
    accent_figure=FIGURE_BLOCK,
    fill=(0, GHOST),
    bell=PERC_TAMBOURINE,
)

AMBIENT: Final = Style(
    name="ambient",
    title="Ambient",
    tempo=(50, 70),
    swing=0.5,
    colours=(
        Colour(-0.6, "dorian", ("i9 bVIImaj7", "i9 IVadd9"), ("bIIImaj7 IVadd9", "v7 i9"), "IVadd9", "i9"),
        Colour(
            0.2, "mixolydian", ("Iadd9 bVIIadd9", "Iadd9 v7"), ("IVadd9 bVIIadd9", "ii9 IVadd9"), "bVIIadd9", "Iadd9"
        ),
        Colour(0.7, "lydian", ("Imaj7 II", "Iadd9 Vadd9"), ("vi9 II", "iii7 Vadd9"), "Vadd9", "Imaj7"),
    ),
    metres=(
        Metre(
            16,
            (
                Groove(
                    "8...............",
                    "",
                    "a.......b.....d.",
                    "....d..d....d..d",
                    ((PERC_SHAKER, "9b8b9b8b9b8b9b8b"), (PERC_RIDE_BELL, "7.....9.......8.")),
                ),
                Groove(
                    "9.........b.....",
                    "",
                    "......b.......c.",
                    "..d...d...d...d.",
                    ((PERC_SHAKER, "8a9b8a9b8a9b8a9b"), (PERC_RIDE, "a...c...a...c...")),
                ),
            ),
            (
                Figure("1a5a3a5a2a5a4a5a", "R234341223434312", "B4H4H3H4B4H4H3H4"),
                Figure("1.5b4.6b2.5b4a6b", "1332443213324342", "LHHHHHHHLHHHHHHH"),
                Figure("1.6a3.6.4a6.3.6a", "R33344322L443323", "BHHHHHHHBHHHHHHH"),
            ),
            (BassLine("1...............", "r..............."), BassLine("1.......7.......", "r.......5.......")),
            ("1.....3.2.a.3.-.", "1...3.2..a3...-.", "..1...3.2...3.-.", "1..3..2...3.-..."),
        ),
        Metre(
            12,
            (Groove("8...........", "", "a.....b..d..", "..d..d..d..d", ((PERC_SHAKER, "8b9b8b9b8b9b"),)),),
            (
                Figure("1a5a4a3a5a5a", "R23434123432", "B4H4H4B4H4H4"),
                Figure("1.5.5b3.5.5b", "133443133443", "BHHHHHBHHHHH"),
            ),
            (BassLine("1...........", "r..........."),),
            ("1...3.2.a.-.", "..1...2.3.-.", "1.....3.2.-."),
        ),
    ),
    chord_bars=1.0,
    phrase_bars=2,
    lead=(11, 28),
    register=2,
    grace=0.0,
    pad=(2, 3),
    counters=("guide", "octave"),
    accent_drums=KICK | CYMBAL,
    accent_perc=PERC_GONG,
    accent_figure=FIGURE_ROLLED,
    fill=(0, 0),
    bell=PERC_RIDE_BELL,
)

CHINESE: Final = Style(
    name="chinese",
    title="Chinese traditional",
    tempo=(56, 108),
    swing=0.5,
    colours=(
        Colour(-0.7, "yu", ("i5 i5 IV5 i5", "i5 bVII5 i5 v5"), ("bIII5 bVII5 IVsus v5", "IV5 bIII5 v5 i5"), "v5", "i5"),
        Colour(
            -0.3,
            "jue",
            ("i5 bVI5 i5 iv5", "i5 iv5 bVI5 i5"),
            ("bIII5 bVI5 iv5 bVII5", "iv5 bIII5 bVI5 i5"),
            "bVII5",
            "i5",
        ),
        Colour(
            0.1,
            "shang",
            ("Isus ii5 Isus V5", "I5 bVII5 IVsus I5"),
            ("bVII5 IV5 V5 V5", "ii5 IV5 bVII5 I5"),
            "bVII5",
            "I5",
        ),
        Colour(0.4, "zhi", ("I5 Vsus I5 IV5", "I5 ii5 IV5 V5"), ("IV5 ii5 V5 V5", "V5 IV5 ii5 I5"), "Vsus", "I5"),
        Colour(0.8, "gong", ("I5 V5 I5 vi5", "I5 vi5 ii5 V5"), ("vi5 iii5 V5 V5", "V5 ii5 vi5 V5"), "Vsus", "I5"),
    ),
    metres=(
        Metre(
            16,
            (
                Groove(
                    "9.......c.......",
                    "",
                    "6.....a.7...9.b.",
                    "..d.....c.d.d.d.",
                    ((PERC_WOODBLOCK, "8.a.7b9.8.a.7b9b"), (PERC_WOODBLOCK_LOUD, "d...c...d...c...")),
                ),
                Groove(
                    "8...............",
                    "............d...",
                    "6...b.a.8..b9.bc",
                    "....c.....c...d.",
                    ((PERC_WOODBLOCK, "..8a..8a..8a..8a"), (PERC_SHAKER, "b.b.b.b.b.b.b.b.")),
                ),
            ),
            (
                Figure("1.5b4.6b3.5b4a6b", "1333433423334343", "L3H4H3H4L3H4H3H4"),
                Figure("1...4.6a3.6.4a6b", "R333334123334321", "BHHHHHH4LHHHH4H4"),
                Figure("1.6b3.6b4.6b3a6a", "L343O343L343O343", "B3H3O3H3B3H3O3H3"),
            ),
            (BassLine("1.......6.......", "r.......5......."), BassLine("1.....8.5...9...", "r.....5.r...5...")),
            ("1.3.b.2...4.b.-.", "2...b.4.3.b.-...", "1..b3.4.2.b.4.-.", "2.4.3.b.2.....-.", "1.....4.2.b.5.-."),
        ),
        Metre(
            8,
            (
                Groove("8.......", "", "6...8.b.", "..d...d.", ((PERC_WOODBLOCK, "9.7b9.7b"),)),
                Groove(
                    "a.......",
                    "",
                    "7..b..9.",
                    "....c..d",
                    ((PERC_WOODBLOCK, "..7a..7a"), (PERC_WOODBLOCK_LOUD, "d...c...")),
                ),
            ),
            (Figure("1.6b4.5b", "13343343", "L3H4H3H4"), Figure("1.6a3.6a", "L343O343", "B3H3O3H3")),
            (BassLine("1.......", "r......."), BassLine("1...6...", "r...5...")),
            ("1.b.3.4-", "1.3.b.4.", "2..b3.4-", "2.4.3.-."),
        ),
    ),
    phrase_bars=4,
    lead=(9, 27),
    grace=0.4,
    pad=(1, 1),
    counters=("octave", "answer"),
    accent_drums=KICK | TOM | CYMBAL,
    accent_perc=PERC_GONG,
    accent_figure=FIGURE_ROLLED,
    fill=(TOM, TOM),
    bell=PERC_WOODBLOCK_LOUD,
)

TENSION: Final = Style(
    name="tension",
    title="Tension",
    tempo=(70, 100),
    swing=0.5,
    colours=(
        Colour(-0.8, "phrygian", ("i5 i5 bII i5", "i bII i viio"), ("bII bIII bII i", "vo bII i5 bvo"), "bII", "i5"),
        Colour(-0.3, "octatonic", ("i io i bvo", "i5 bIII io i5"), ("bIII bvo io i", "bvo bIII bvo i5"), "bvo", "i"),
        Colour(0.4, "minor", ("i i bVI i", "i5 bVII bVI i5"), ("iv bVI bVII V", "bVI iv bVI V"), "V", "i"),
    ),
    metres=(
        Metre(
            16,
            (
                Groove(
                    "5.......8.......",
                    "............e...",
                    "9.....c.b...d.bc",
                    "..d...d...d...d.",
                    ((PERC_HAT, "9b8b9b8b9b8b9b8b"), (PERC_HEARTBEAT, "3.......4.......")),
                ),
                Groove(
                    "4..9......8.....",
                    "........d.....e.",
                    "9..c..a.9..c..bb",
                    "",
                    ((PERC_CLAVE, "8.9a8.9a8.9a8.9a"), (PERC_SHAKER, "..b...b...b...b.")),
                ),
                Groove(
                    "5...a...7...a...",
                    "............d.dd",
                    "8.b.9.b.8.b.9.bb",
                    "....c.....c.....",
                    ((PERC_HAT, "7b8b7b8b7b8b7b8b"), (PERC_HAT_LOUD, "d...d...d...d...")),
                ),
            ),
            (
                Figure("1b6a4b6a2b6a4b6a", "1112111311121113", "L1H1L1H1L1H1L1H1"),
                Figure("1.6b4.6b3.6b4a6a", "OOO1OOO1OOO2OOO1", "B1H1B1H1B1H1B1H1"),
                Figure("1.5.4.6a3.5a4.6a", "TT1122331T123321", "BTHHBTHHBTHHBTHH"),
            ),
            (
                BassLine("1.......6.......", "r.......r......."),
                BassLine("1...8...5...8.b.", "r...r...r...r.a."),
                BassLine("1.a.6.a.4.a.6.a.", "rrrrrrrrrrrrrr5a"),
            ),
            ("1.....3...2.-...", "2.3...b.4.-.....", "....1.3.4...b.-.", "1...2.b.b.3.-..."),
        ),
        Metre(
            12,
            (
                Groove(
                    "4.....7.....",
                    "..........de",
                    "9..c..b..c.d",
                    "",
                    ((PERC_HAT, "8b8b8b8b8b8b"), (PERC_HEARTBEAT, "3.....4.....")),
                ),
                Groove("5..9..7..9..", "......d.....", "8.b.b.8.b.bb", "", ((PERC_CLAVE, "8.9.9.8.9a9a"),)),
            ),
            (
                Figure("1b5a5b3b5a5b", "111211111311", "L1H1H1L1H1H1"),
                Figure("1.5b5.3.5b5b", "OO11OOOO11O1", "B1H1H1B1H1H1"),
            ),
            (BassLine("1.....6.....", "r.....r....."), BassLine("1..8..5..8..", "r..r..r..r..")),
            ("1...3.2...-.", "2.3...b.4.-.", "1..2..b.3.-."),
        ),
    ),
    chord_bars=1.0,
    lead=(6, 22),
    register=0,
    pad=(2, 3),
    counters=("guide", "thirds"),
    accent_drums=KICK | TOM | CYMBAL,
    accent_figure=FIGURE_STAB,
    fill=(TOM, TOM),
    bell=PERC_CLAVE,
    riser=PERC_RISER,
)

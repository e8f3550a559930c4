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
                    kick="4.......6.....b.",
                    snare="......c.....a.d.",
                    tom="7.9.8.a.7.9.8.ab",
                    cymbal="b.......d.......",
                    perc=((PERC_SHAKER, "6a7a5a7a6a7a5a7a"),),
                ),
                Groove(
                    kick="4.....8...6.....",
                    snare="....b.......a..c",
                    tom="8..9..8.8..9..aa",
                    cymbal="c.......c...e...",
                    perc=(
                        (PERC_SHAKER, "5.6959695.695969"),
                        (PERC_RIDE, "b...b...b...b..."),
                    ),
                ),
                Groove(
                    kick="5...8...6...8...",
                    snare="........a...bdcc",
                    tom="7.8.7.9.7.8.7.99",
                    cymbal="b.......c.......",
                    perc=(
                        (PERC_SHAKER, "597a597a597a597a"),
                        (PERC_SHAKER_LOUD, "d...d...d...d..."),
                    ),
                ),
            ),
            (
                Figure("1859386928593869", "1232343212323432", "B2H2L2H2B2H2L2H2"),
                Figure("1.684.682.684.68", "LHHHHHHHLHHHHHHH", "BHHHLHHHBHHHLHHH"),
                Figure("1.7.4.692.7.4.69", "R3344322L3344323", "BHHHBHHHBHHHBHHH"),
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
                    kick="4.....6.....",
                    snare="......b...cd",
                    tom="7...9.7..9.a",
                    cymbal="b.....d.....",
                    perc=((PERC_SHAKER, "596a6a596a6a"),),
                ),
                Groove(
                    kick="4...8.6.....",
                    snare="......a...bd",
                    tom="8..9..7..999",
                    cymbal="c.....c.....",
                    perc=((PERC_SHAKER, "6.5.696.5.69"),),
                ),
            ),
            (
                Figure("185958385958", "123432123432", "B2H4H2B2H4H2"),
                Figure("1.6.593.6.59", "LHHHHHLHHHHH", "BHHHHHBHHHHH"),
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
                    kick="6.......8.b.....",
                    snare="....d.......b...",
                    ghost="....9.....b.9..c",
                    cymbal="d...............",
                    perc=(
                        (PERC_SHAKER, "8a6a6a6a8a6a6a6a"),
                        (PERC_SHAKER_LOUD, "....d.......d..."),
                    ),
                ),
                Groove(
                    kick="6.....a.7.......",
                    snare="....b.......b...",
                    ghost="..d...c...d...c.",
                    cymbal="d...............",
                    perc=(
                        (PERC_SHAKER, "..6a..6a..6a..6a"),
                        (PERC_WOODBLOCK, "7..9..a.....a.b."),
                    ),
                ),
                Groove(
                    kick="6...b...7...b...",
                    snare="....c.......b...",
                    tom="..........b..d..",
                    ghost="....9..b....9..b",
                    cymbal="d...............",
                    perc=(
                        (PERC_SHAKER, "6a7a6a7a6a7a6a7a"),
                        (PERC_TAMBOURINE, "....b.......b..."),
                    ),
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
                    kick="7.......b.......",
                    tom="9...b...a...c.c.",
                    ghost="..c...c...c...c.",
                    cymbal="b.......d.......",
                    perc=(
                        (PERC_SHAKER, "7a7969797a796979"),
                        (PERC_RIDE_BELL, "6.....8...9...8."),
                    ),
                ),
                Groove(
                    kick="8.........a.....",
                    tom="..9...a...9...b.",
                    ghost="....b.......b...",
                    cymbal="c.......c.......",
                    perc=(
                        (PERC_SHAKER, "6979697969796979"),
                        (PERC_RIDE, "9...a...9...a..."),
                    ),
                ),
            ),
            (
                Figure("1858385828584858", "R234341223434312", "B4H4H3H4B4H4H3H4"),
                Figure("1.594.692.594869", "1332443213324342", "LHHHHHHHLHHHHHHH"),
                Figure("1.683.6.486.3.68", "R33344322L443323", "BHHHHHHHBHHHHHHH"),
            ),
            (BassLine("1...............", "r..............."), BassLine("1.......7.......", "r.......5.......")),
            ("1.....3.2.a.3.-.", "1...3.2..a3...-.", "..1...3.2...3.-.", "1..3..2...3.-..."),
        ),
        Metre(
            12,
            (
                Groove(
                    kick="7.....b.....",
                    tom="9..a..9..b..",
                    ghost="..c..c..c..c",
                    cymbal="b...........",
                    perc=(
                        (PERC_SHAKER, "6979796979a9"),
                        (PERC_RIDE_BELL, "8.....9....."),
                    ),
                ),
            ),
            (
                Figure("185848385858", "R23434123432", "B4H4H4B4H4H4"),
                Figure("1.5.593.5.59", "133443133443", "BHHHHHBHHHHH"),
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
                    kick="7.......a.......",
                    tom="5...8.9.6...8.aa",
                    ghost="..b.....b.c.b.b.",
                    cymbal="c.......d.......",
                    perc=(
                        (PERC_WOODBLOCK, "7.9.69787.9.6978"),
                        (PERC_WOODBLOCK_LOUD, "c...b...c...b..."),
                    ),
                ),
                Groove(
                    kick="7.......9.......",
                    snare="............b...",
                    tom="5.9.8.9.6..88.9a",
                    ghost="....b.....b...c.",
                    cymbal="c.......d...e...",
                    perc=(
                        (PERC_WOODBLOCK, "..68..68..68..68"),
                        (PERC_SHAKER, "a.a.a.a.a.a.a.a."),
                    ),
                ),
            ),
            (
                Figure("1.594.693.594869", "1333433423334343", "L3H4H3H4L3H4H3H4"),
                Figure("1...4.683.6.4869", "R333334123334321", "BHHHHHH4LHHHH4H4"),
                Figure("1.693.694.693868", "L343O343L343O343", "B3H3O3H3B3H3O3H3"),
            ),
            (BassLine("1.......6.......", "r.......5......."), BassLine("1.....8.5...9...", "r.....5.r...5...")),
            ("1.3.b.2...4.b.-.", "2...b.4.3.b.-...", "1..b3.4.2.b.4.-.", "2.4.3.b.2.....-.", "1.....4.2.b.5.-."),
        ),
        Metre(
            8,
            (
                Groove(
                    kick="7.......",
                    tom="5.8.7.9a",
                    ghost="..c...c.",
                    cymbal="c.......",
                    perc=((PERC_WOODBLOCK, "7968796a"),),
                ),
                Groove(
                    kick="8...a...",
                    tom="6..97.89",
                    ghost="....b..c",
                    cymbal="c...e...",
                    perc=(
                        (PERC_WOODBLOCK, "..68..68"),
                        (PERC_WOODBLOCK_LOUD, "c...b..."),
                    ),
                ),
            ),
            (Figure("1.694.59", "13343343", "L3H4H3H4"), Figure("1.683.68", "L343O343", "B3H3O3H3")),
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
                    kick="4.......6.......",
                    snare="....c.......c...",
                    tom="8.....a.9...b.ab",
                    ghost="..c...c...c...c.",
                    cymbal="d.......e.......",
                    perc=(
                        (PERC_HAT, "7968796879687968"),
                        (PERC_HEARTBEAT, "3.......4......."),
                    ),
                ),
                Groove(
                    kick="4..8......7.....",
                    snare="........b.....d.",
                    tom="8..a..8.8..a..99",
                    cymbal="d...............",
                    perc=(
                        (PERC_CLAVE, "6.796.796.796.79"),
                        (PERC_HAT, "..8...8...8...8."),
                    ),
                ),
                Groove(
                    kick="4...9...6...9...",
                    snare="....d.......b.cc",
                    tom="7.9.8.9.7.9.8.99",
                    ghost="....b.....b.....",
                    cymbal="c.......d.......",
                    perc=(
                        (PERC_HAT, "6869686968696869"),
                        (PERC_HAT_LOUD, "c...c...c...c..."),
                    ),
                ),
            ),
            (
                Figure("1968496829684968", "1112111311121113", "L1H1L1H1L1H1L1H1"),
                Figure("1.694.693.694868", "OOO1OOO1OOO2OOO1", "B1H1B1H1B1H1B1H1"),
                Figure("1.5.4.683.584.68", "TT1122331T123321", "BTHHBTHHBTHHBTHH"),
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
                    kick="4.....6.....",
                    snare="......c...cd",
                    tom="8..a..9..a.b",
                    cymbal="d...........",
                    perc=(
                        (PERC_HAT, "7968696869a9"),
                        (PERC_HEARTBEAT, "3.....4....."),
                    ),
                ),
                Groove(
                    kick="4..8..6..8..",
                    snare="......b.....",
                    tom="7.9.9.7.9.99",
                    cymbal="d...........",
                    perc=((PERC_CLAVE, "6.7.7.6.7979"),),
                ),
            ),
            (
                Figure("195859395859", "111211111311", "L1H1H1L1H1H1"),
                Figure("1.595.3.5959", "OO11OOOO11O1", "B1H1H1B1H1H1"),
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

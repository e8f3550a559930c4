"""The five lively styles: acoustic, lo-fi, upbeat, electronic, funk.

See `style` for the notation. Data only.
"""

from __future__ import annotations

from typing import Final

from core.starter.style import BassLine, Colour, Figure, Groove, Metre, Style
from core.starter.vocab import (
    CYMBAL,
    FIGURE_ROLLED,
    FIGURE_STAB,
    FIGURE_STRUM_DOWN,
    GHOST,
    KICK,
    PERC_CLAVE,
    PERC_HAT,
    PERC_HAT_LOUD,
    PERC_HAT_OPEN,
    PERC_RIDE,
    PERC_RIDE_BELL,
    PERC_RISER,
    PERC_SHAKER,
    PERC_TAMBOURINE,
    SNARE,
)

ACOUSTIC: Final = Style(
    name="acoustic",
    title="Acoustic",
    tempo=(84, 120),
    swing=0.53,
    colours=(
        Colour(
            -0.6, "minor", ("i bVI bIII bVII", "i bIII bVII bVI"), ("bVI i iv bVII", "iv i bVI bVII"), "bVI bVII", "i"
        ),
        Colour(0.1, "mixolydian", ("I bVII IV I", "Iadd9 v7 IV I"), ("bVII IV I I", "ii7 IV bVII IV"), "bVII IV", "I"),
        Colour(
            0.6,
            "major",
            ("I V vi IV", "Iadd9 IV vi V", "I IVadd9 V IV"),
            ("vi IV ii7 V", "IV I IV V", "ii7 V vi IV"),
            "IV V",
            "I",
        ),
    ),
    metres=(
        Metre(
            16,
            (
                Groove(
                    kick="7.......8.c.....",
                    snare="....9.......9...",
                    ghost="..c...b...c...bd",
                    perc=((PERC_SHAKER, "8b7b8b7b8b7b8b7b"),),
                ),
                Groove(
                    kick="7.....a...8.....",
                    snare="....9.......9..e",
                    ghost="......c.......c.",
                    perc=((PERC_TAMBOURINE, "....b.......b..."), (PERC_SHAKER, "7.7c7.7c7.7c7.7c")),
                ),
                Groove(
                    kick="6...a...7...a...",
                    snare="....8.......8...",
                    tom="..............de",
                    ghost="..b...b...b...b.",
                    perc=((PERC_SHAKER, "7a8c7a8c7a8c7a8c"),),
                ),
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
            ("2.3.b.4...5.-...", "2..4..3.b.3.b.-.", "..2.4.3...5.b.-.", "3.b.2...4.b.3.-.", "2.....4.3.5.-..."),
        ),
        Metre(
            12,
            (
                Groove(
                    kick="7.....9.....",
                    snare="......9.....",
                    ghost="....c.....bd",
                    perc=((PERC_SHAKER, "8b7b7b8b7b7b"),),
                ),
                Groove(
                    kick="7...c.8.....",
                    snare="......a...d.",
                    ghost="..b.b...b.b.",
                    perc=((PERC_SHAKER, "7.7.7c7.7.7c"),),
                ),
            ),
            (
                Figure("1.6.5b3.6.5b", "1.2.33L.3.43", "D.D.UUD.D.UU"),
                Figure("1...5.4...6b", "D...U.D...UU", "D.U.D.D.UUDU"),
            ),
            (BassLine("1.....4.....", "r.....5....."), BassLine("1...9.5...b.", "r...r.5...a.")),
            ("2...4.3.b.-.", "2.b.4.3...-.", "3.4.5.2...-."),
        ),
    ),
    lead=(7, 24),
    pad=(1, 1),
    counters=("thirds", "answer", "guide"),
    accent_drums=KICK | SNARE | CYMBAL,
    accent_figure=FIGURE_STRUM_DOWN,
    bell=PERC_TAMBOURINE,
)

LOFI: Final = Style(
    name="lofi",
    title="Lo-fi",
    tempo=(68, 88),
    swing=0.59,
    colours=(
        Colour(
            -0.5,
            "dorian",
            ("i9 iv9 i9 bVIImaj7", "i9 bVImaj7 iv9 V9"),
            ("iv9 bVII bIIImaj7 V9", "bVImaj7 V9 i9 i9"),
            "iv9 V9",
            "i9",
        ),
        Colour(
            0.3,
            "major",
            ("ii9 V9 Imaj7 vi7", "Imaj7 vi7 ii9 V9"),
            ("iii7 vi9 ii9 V9", "IVmaj7 iii7 ii9 V9"),
            "ii9 V9",
            "Imaj7",
        ),
        Colour(
            0.8,
            "major",
            ("IVmaj7 V9 iii7 vi7", "Imaj7 IVmaj7 iii7 vi9"),
            ("ii9 iii7 IVmaj7 V9", "vi9 ii9 V9 Imaj7"),
            "ii9 V9",
            "Imaj7",
        ),
    ),
    metres=(
        Metre(
            16,
            (
                Groove(
                    kick="5.....a...7....d",
                    snare="....8.......8...",
                    ghost=".......c.b.....c",
                    perc=((PERC_HAT, "8b7b8b7b8b7b8b7b"), (PERC_HAT_OPEN, "..............d.")),
                ),
                Groove(
                    kick="5..b......6..c..",
                    snare="....8.......8..e",
                    ghost="..c....d..c....d",
                    perc=((PERC_HAT, "7.6c7.6b7.6c7.6b"), (PERC_SHAKER, ".b...b...b...b..")),
                ),
                Groove(
                    kick="5......9..6.....",
                    snare="....7.......7...",
                    ghost=".c...c....d..c..",
                    perc=((PERC_HAT, "7a8c7a8c7a8c7a8c"), (PERC_RIDE, "c...c...c...c...")),
                ),
            ),
            (
                Figure("1.....4...7b6..b", "B.....H...S.H..H", "B.....B...SHB..H"),
                Figure("1..6..5...4..8.b", "R..H..H...B..H.H", "B..H..B...B..H.H"),
                Figure("1...5.6c3...5.6c", "L...H.34L...H.43", "B...H.HHB...H.HH"),
            ),
            (
                BassLine("2.....8...5.....", "r.....r...5....."),
                BassLine("2..8......5...b.", "r..r......r...a."),
                BassLine("2......8..5..9b.", "r......o..5..ra."),
            ),
            ("..1.4..3.b.5-...", "2..3.b.4....5.-.", "....2.4.5.b.3.-.", "3.b.1.4..5..-...", "..3..4.1.b.5..-."),
        ),
    ),
    lead=(9, 26),
    pad=(1, 2),
    grace=0.15,
    counters=("answer", "guide"),
    accent_drums=KICK | SNARE | CYMBAL,
    accent_perc=PERC_HAT_OPEN,
    accent_figure=FIGURE_ROLLED,
    fill=(GHOST, SNARE),
    bell=PERC_RIDE_BELL,
)

UPBEAT: Final = Style(
    name="upbeat",
    title="Upbeat",
    tempo=(104, 128),
    swing=0.5,
    colours=(
        Colour(
            -0.4,
            "minor",
            ("i bVI bIII bVII", "i bVII bVI bVII"),
            ("bVI bIII bVII i", "iv bVI bIII bVII"),
            "bVI bVII",
            "i",
        ),
        Colour(0.3, "major", ("vi IV I V", "I V vi IV"), ("IV V vi I", "ii7 IV vi V"), "IV V", "I"),
        Colour(
            0.8, "major", ("I vi IV V", "I IV vi V", "Iadd9 IV ii7 Vsus"), ("IV V I vi", "vi V IV V"), "IV Vsus", "I"
        ),
    ),
    metres=(
        Metre(
            16,
            (
                Groove(
                    "4...6...5...6...",
                    "....9.......9...",
                    "..............de",
                    "",
                    perc=(
                        (PERC_HAT, "b.8cb.8cb.8cb.8c"),
                        (PERC_HAT_OPEN, "..b...b...b...b."),
                        (PERC_TAMBOURINE, "....e.......e..."),
                    ),
                ),
                Groove(
                    kick="4...6...5...6...",
                    snare="....8.......8..d",
                    ghost="......c..d....c.",
                    perc=((PERC_SHAKER, "7b8b7b8b7b8b7b8b"), (PERC_HAT_OPEN, "..c...c...c...c.")),
                ),
                Groove(
                    kick="5...7..b5...7...",
                    snare="....8.......8...",
                    tom="...........e.eed",
                    ghost="..c.......c.....",
                    perc=((PERC_TAMBOURINE, "..8a..8a..8a..8a"), (PERC_HAT_LOUD, "d...d...d...d...")),
                ),
            ),
            (
                Figure("1.6.3.6a3.6.4.6a", "B.H.B.HHB.H.B.HH", "B.B.B.BHB.B.B.BH"),
                Figure("1..6..5.3..6..5b", "B..B..H.B..B..HH", "B..B..B.B..B..BH"),
                Figure("1.7b4.6b3.7b4.6b", "1.332.431.332.43", "B.4HH.4HB.4HH.4H"),
            ),
            (
                BassLine("1.7.6.7.4.7.6.7.", "r.r.r.r.r.r.r.a."),
                BassLine("1.....6.4...8.9.", "r.....r.r...5.a."),
                BassLine("1-8-5-8-4-8-5-8-", "r.o.r.o.r.o.r.o."),
            ),
            ("2.3.b.4.b.3.-...", "2..3..4.b.4.b.-.", "..3.3.b.4..5.b-.", "2.b.4.3.b.4.-...", "3..4..2.....b.-."),
        ),
    ),
    lead=(9, 27),
    pad=(1, 2),
    counters=("thirds", "answer", "octave"),
    accent_drums=KICK | SNARE | CYMBAL,
    accent_figure=FIGURE_STAB,
    bell=PERC_TAMBOURINE,
    ending="button",
)

ELECTRONIC: Final = Style(
    name="electronic",
    title="Electronic",
    tempo=(90, 140),
    swing=0.5,
    colours=(
        Colour(-0.5, "minor", ("i bVI bIII bVII", "i iv bVI v7"), ("bVI bVII i i", "iv bVI i bVII"), "bVI bVII", "i"),
        Colour(0.1, "dorian", ("i IV i bVII", "i7 v7 IV i7"), ("bVII IV i i", "bIII bVII IV i"), "bVII", "i"),
        Colour(0.7, "major", ("vi IV I V", "IVmaj7 V vi7 Iadd9"), ("ii7 vi IV V", "IV vi V V"), "IV V", "I"),
    ),
    metres=(
        Metre(
            16,
            (
                Groove(
                    kick="4...7...6...7...",
                    snare="....9.......9...",
                    ghost=".......d.....d..",
                    perc=((PERC_HAT, "ac7cac7cac7cac7c"), (PERC_HAT_OPEN, "..c...c...c...c.")),
                ),
                Groove(
                    kick="4.....8...6.....",
                    snare="....8.......8..d",
                    ghost="...c..c....c..c.",
                    perc=((PERC_HAT, "7b8a7b8a7b8a7b8a"), (PERC_SHAKER, "....d.......d...")),
                ),
                Groove(
                    kick="5..8..a.5..8..a.",
                    snare="........7.......",
                    tom="..............de",
                    ghost="....b.......b..b",
                    perc=((PERC_HAT, "8a7a8a7a8a7a8a7a"), (PERC_RIDE, "d...d...d...d...")),
                ),
            ),
            (
                Figure("1b6a4b6a3b6a4b6a", "1234321412343214", "B3H4B3H4B3H4B3H4"),
                Figure("1..5..6.4..5..6b", "1..3..4.2..3..44", "B..B..B.B..B..BH"),
                Figure("1a6b3a6b4a6b3a6b", "1314131423142314", "B3H3B3H3B3H3B3H3"),
            ),
            (
                BassLine("1..6..5.4..6..8.", "r..r..o.r..r..a."),
                BassLine("1.8.6.8.4.8.6.8.", "r.r.r.o.r.r.r.a."),
                BassLine("1.....7...4.....", "r.....5...r....."),
            ),
            ("2..3..4.a.b.-...", "2.b.3..4.b.b-...", "..2..3.b3..4..-.", "2.....3.b.4.b.-."),
        ),
    ),
    lead=(9, 27),
    pad=(2, 2),
    counters=("octave", "answer", "guide"),
    accent_drums=KICK | SNARE | CYMBAL,
    accent_figure=FIGURE_STAB,
    bell=PERC_HAT_OPEN,
    riser=PERC_RISER,
    ending="button",
)

FUNK: Final = Style(
    name="funk",
    title="Funk",
    tempo=(96, 116),
    swing=0.54,
    colours=(
        Colour(-0.4, "dorian", ("i9 IV9", "i9 i9 IV9 IV9"), ("bVII9 IV9", "bVI9 V9"), "V9", "i9"),
        Colour(0.4, "mixolydian", ("I9 IV9", "I9 I9 IV9 V9"), ("bVII9 IV9", "ii9 V9"), "V9", "I9"),
        Colour(0.9, "mixolydian", ("I9 bVII9", "I9 ii9 IV9 ii9"), ("vi9 ii9", "IV9 bVII9"), "IV9 V9", "I9"),
    ),
    metres=(
        Metre(
            16,
            (
                Groove(
                    kick="4.....a..b6.....",
                    snare="....7.......7...",
                    tom="..............de",
                    ghost=".......9.a.....b",
                    perc=((PERC_HAT, "8b7b8b7b8b7b8b7b"), (PERC_HAT_OPEN, "..............a.")),
                ),
                Groove(
                    kick="4..9......6..c..",
                    snare="....7.......7..d",
                    ghost="..b....a.b....b.",
                    perc=((PERC_HAT, "7a8b7a8b7a8b7a8b"), (PERC_TAMBOURINE, "....c.......c...")),
                ),
                Groove(
                    kick="4.8.......5...b.",
                    snare="....7..b....7...",
                    tom=".............eed",
                    ghost=".......9...a...b",
                    perc=((PERC_HAT, "8.7a8.7a8.7a8.7a"), (PERC_CLAVE, "...d..d...d.d...")),
                ),
            ),
            (
                Figure("1..5..6b..4.7..b", "S..S..S3..S.S..4", "S..S..SS..S.S..S"),
                Figure("1-6b.-5...4-.6.b", "B.34..H...B..H.4", "B.HH..S...B..S.H"),
                Figure("1..b3-6.b.5-.4.b", "S..3H.S.4.S..H.3", "S..HS.S.H.S..S.H"),
            ),
            (
                BassLine("1-.7..5b.-4..8.a", "r..o..r5..r..o.a"),
                BassLine("1..8.-5...4.7b-a", "r..r..5...r.o5.a"),
                BassLine("1-7-..b.5-..6.8b", "r.o...r.r...5.oa"),
            ),
            ("..2.b3.4-...b...", "3..4..2-..b.4.-.", "2.b3..-...4.b.-.", "..3.2.b.b-..3.-."),
        ),
    ),
    lead=(7, 24),
    pad=(1, 1),
    grace=0.15,
    counters=("answer", "thirds"),
    accent_drums=KICK | SNARE | CYMBAL,
    accent_figure=FIGURE_STAB,
    bell=PERC_CLAVE,
    ending="button",
)

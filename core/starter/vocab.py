"""The score codec's alphabet: what the K = 9 code streams of the starter model mean, per sixteenth note.

A code is one integer per stream and step; every stream shares one cardinality, `CARD`. Pitches are relative to
the cue's tonic (a cue is always thought "in C"; the performer transposes), so one code means the same in any key.

    k  stream   code
    0  ENERGY   level + 16 * flag    level 0..15 = how intense this moment is; flag: NONE, ACCENT (light),
                                     HIT (strong: the whole orchestra marks it), BREATH (drop out before a hit)
    1  HARMONY  0 hold, else 1 + root * 10 + quality      a new chord starts here; root 0..11 above the tonic
    2  FORM     0 inside a bar, else 1 + section * 4 + pad    at each bar start: section, pad loudness 0..3
    3  BASS     0 hold, 1 rest, 2..33: a note, tonic relative semitone (code - 2) - 12
    4  DRUMS    bits: 1 kick, 2 snare or clap, 4 tom or taiko, 8 cymbal, 16 ghost or rim; +32 = loud
    5  PERC     one of PERC_*: hats, shaker, ride, woodblock, gong, roll ...
    6  ACCOMP   0 hold, 1 rest, else 2 + figure * 3 + register       figures: FIGURE_*; register 0 low, 1 mid, 2 high
    7  MELODY   0 hold, 1 rest, else 2 + ornament * 36 + pitch       pitch 0..35 = semitones above the tonic of
                                     the lead's lowest octave; ornament 0 plain, 1 ornamented, 2 accented
    8  COUNTER  0 hold, 1 rest, 2..37: pitch 0..35 of the second voice

Order matters: with the delay pattern, stream k of a step is written knowing streams 0..k-1 of the same step. So
intensity comes first, then harmony and form, then the bass and drums, then what is played over them.
"""

from __future__ import annotations

from typing import Final

ENERGY, HARMONY, FORM, BASS, DRUMS, PERC, ACCOMP, MELODY, COUNTER = range(9)
STREAMS: Final = ("energy", "harmony", "form", "bass", "drums", "perc", "accomp", "melody", "counter")
K: Final = len(STREAMS)
CARD: Final = 128
STEPS_PER_BEAT: Final = 4

# ENERGY
LEVELS: Final = 16
FLAG_NONE, FLAG_ACCENT, FLAG_HIT, FLAG_BREATH = range(4)

# HARMONY: intervals above the root, in semitones
QUALITIES: Final[tuple[tuple[str, tuple[int, ...]], ...]] = (
    ("maj", (0, 4, 7)),
    ("min", (0, 3, 7)),
    ("maj7", (0, 4, 7, 11)),
    ("min7", (0, 3, 7, 10)),
    ("dom9", (0, 4, 7, 10, 14)),
    ("min9", (0, 3, 7, 10, 14)),
    ("sus", (0, 5, 7)),
    ("add9", (0, 4, 7, 14)),
    ("dim", (0, 3, 6)),
    ("fifth", (0, 7)),
)
HOLD, REST = 0, 1

# FORM
SECTIONS: Final = ("head", "statement", "variation", "contrast", "return", "build", "break", "ending")

# DRUMS
KICK, SNARE, TOM, CYMBAL, GHOST, LOUD = 1, 2, 4, 8, 16, 32

# PERC
(
    PERC_NONE, PERC_HAT, PERC_HAT_LOUD, PERC_HAT_OPEN, PERC_SHAKER, PERC_SHAKER_LOUD, PERC_RIDE, PERC_RIDE_BELL,
    PERC_WOODBLOCK, PERC_WOODBLOCK_LOUD, PERC_TAMBOURINE, PERC_GONG, PERC_CLAVE, PERC_ROLL, PERC_RISER, PERC_HEARTBEAT,
) = range(16)  # fmt: skip

# ACCOMP: what the chord instrument does. VOICE_n plays one chord tone (1 = lowest); the rest several at once.
(
    FIGURE_VOICE_1, FIGURE_VOICE_2, FIGURE_VOICE_3, FIGURE_VOICE_4, FIGURE_LOW_PAIR, FIGURE_HIGH_PAIR,
    FIGURE_BLOCK, FIGURE_STAB, FIGURE_STRUM_DOWN, FIGURE_STRUM_UP, FIGURE_TREMOLO, FIGURE_ROLLED, FIGURE_OCTAVE,
) = range(13)  # fmt: skip
REGISTERS: Final = 3

# MELODY
PITCHES: Final = 36
ORNAMENT_PLAIN, ORNAMENT_GRACE, ORNAMENT_ACCENT = range(3)


def energy_code(level: int, flag: int = FLAG_NONE) -> int:
    """Code of stream ENERGY for `level` 0..15 and `flag`."""
    assert 0 <= level < LEVELS and 0 <= flag < 4, (level, flag)
    return level + LEVELS * flag


def chord_code(root: int, quality: int) -> int:
    """Code of stream HARMONY that starts a chord: root 0..11 above the tonic, quality an index of QUALITIES."""
    assert 0 <= root < 12 and 0 <= quality < len(QUALITIES), (root, quality)
    return 1 + root * len(QUALITIES) + quality


def chord_of(code: int) -> tuple[int, int] | None:
    """(root, quality) that a HARMONY code starts, or None for hold."""
    return None if code == HOLD else divmod(code - 1, len(QUALITIES))


def form_code(section: int, pad: int) -> int:
    """Code of stream FORM at a bar start: section an index of SECTIONS, pad loudness 0..3."""
    assert 0 <= section < len(SECTIONS) and 0 <= pad < 4, (section, pad)
    return 1 + section * 4 + pad


def bass_code(semitone: int) -> int:
    """Code of stream BASS for a note `semitone` above the tonic of the bass octave, -12..19."""
    assert -12 <= semitone < 20, semitone
    return 2 + semitone + 12


def accomp_code(figure: int, register: int) -> int:
    """Code of stream ACCOMP for FIGURE_* `figure` in `register` 0 low, 1 mid, 2 high."""
    assert 0 <= figure < 13 and 0 <= register < REGISTERS, (figure, register)
    return 2 + figure * REGISTERS + register


def melody_code(pitch: int, ornament: int = ORNAMENT_PLAIN) -> int:
    """Code of stream MELODY: pitch 0..35 above the lead's lowest tonic, ornament 0..2."""
    assert 0 <= pitch < PITCHES and 0 <= ornament < 3, (pitch, ornament)
    return 2 + ornament * PITCHES + pitch


def counter_code(pitch: int) -> int:
    """Code of stream COUNTER: pitch 0..35 above the second voice's lowest tonic."""
    assert 0 <= pitch < PITCHES, pitch
    return 2 + pitch


# How many codes of each stream are in use (the rest of CARD never occurs; the sampler masks them).
USED: Final = (64, 121, 33, 34, 64, 16, 41, 110, 38)

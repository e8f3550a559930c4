"""Music theory of the starter model: modes, chords from Roman numerals, scales that fit a chord, moving by step.

Pitches are semitones above the tonic (see `vocab`); a pitch class is a pitch modulo 12. Pure functions, cached:
the composer asks the same few questions thousands of times.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from typing import Final

from core.starter.vocab import PITCHES, QUALITIES

# Semitones above the tonic. The five Chinese modes are named by their degree of the gong scale (do re mi sol la).
MODES: Final[dict[str, tuple[int, ...]]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "octatonic": (0, 1, 3, 4, 6, 7, 9, 10),
    "major pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
    "gong": (0, 2, 4, 7, 9),
    "shang": (0, 2, 5, 7, 10),
    "jue": (0, 3, 5, 8, 10),
    "zhi": (0, 2, 5, 7, 9),
    "yu": (0, 3, 5, 7, 10),
}
QUALITY: Final[dict[str, int]] = {name: index for index, (name, _) in enumerate(QUALITIES)}
_NUMERALS: Final = {"I": 0, "II": 2, "III": 4, "IV": 5, "V": 7, "VI": 9, "VII": 11}
_SUFFIXES: Final = {
    False: {"": "maj", "maj7": "maj7", "9": "dom9", "sus": "sus", "add9": "add9", "5": "fifth"},
    True: {"": "min", "7": "min7", "9": "min9", "o": "dim", "5": "fifth", "sus": "sus"},
}

Chord = tuple[int, int]  # root 0..11 above the tonic, index of QUALITIES


@lru_cache(maxsize=256)
def parse_chord(numeral: str) -> Chord:
    """(root, quality) of a Roman numeral: 'bVI', 'ii7', 'V9', 'Imaj7', 'Isus', 'I5', 'viio', 'iv9', 'IVadd9'.

    Small letters are minor; accidentals count from the major scale, so the sixth of minor is 'bVI'.
    Raises ValueError for anything else.
    """
    body = numeral.lstrip("b#")
    shift = numeral.count("#", 0, len(numeral) - len(body)) - numeral.count("b", 0, len(numeral) - len(body))
    roman = body[: len(body) - len(body.lstrip("IViv"))]
    suffix = body[len(roman) :]
    minor = roman.islower()
    name = _SUFFIXES[minor].get(suffix)
    if roman.upper() not in _NUMERALS or name is None:
        raise ValueError(f"{numeral!r} is not a chord")
    return (_NUMERALS[roman.upper()] + shift) % 12, QUALITY[name]


@lru_cache(maxsize=256)
def parse_progression(numerals: str) -> tuple[Chord, ...]:
    """The chords of a line of Roman numerals separated by blanks."""
    return tuple(parse_chord(numeral) for numeral in numerals.split())


@lru_cache(maxsize=512)
def chord_classes(chord: Chord) -> frozenset[int]:
    """Pitch classes of `chord`."""
    root, quality = chord
    return frozenset((root + interval) % 12 for interval in QUALITIES[quality][1])


@lru_cache(maxsize=1024)
def chord_ladder(chord: Chord) -> tuple[int, ...]:
    """All pitches 0..35 that belong to `chord`, ascending."""
    classes = chord_classes(chord)
    return tuple(pitch for pitch in range(PITCHES) if pitch % 12 in classes)


@lru_cache(maxsize=4096)
def scale_ladder(mode: str, chord: Chord) -> tuple[int, ...]:
    """All pitches 0..35 a melody may use over `chord`: the mode, bent where the chord has a note foreign to it.

    (Over V in minor the chord's leading tone takes the place of the mode's seventh.)
    """
    classes, scale = chord_classes(chord), frozenset(MODES[mode])
    foreign = classes - scale
    kept = {c for c in scale if c in classes or not any((c - f) % 12 in (1, 11) for f in foreign)}
    kept |= classes if len(scale) > 5 else foreign & {11}  # pentatonic tunes stay pentatonic over rich chords
    if len(kept) < 3:
        kept |= classes
    return tuple(pitch for pitch in range(PITCHES) if pitch % 12 in kept)


@lru_cache(maxsize=4096)
def stable_ladder(mode: str, chord: Chord) -> tuple[int, ...]:
    """All pitches 0..35 a melody may rest on over `chord`: its notes; over bare fifths thirds and sixths too."""
    classes = chord_classes(chord)
    if len(classes) < 3:
        soft = {(chord[0] + interval) % 12 for interval in (3, 4, 8, 9)}
        classes |= {c for c in soft if c in MODES[mode] and not clashes(c, chord)}
    return tuple(pitch for pitch in range(PITCHES) if pitch % 12 in classes)


def clashes(pitch: int, chord: Chord) -> bool:
    """Whether `pitch` is not in `chord` but a semitone away from one of its notes."""
    classes = chord_classes(chord)
    return pitch % 12 not in classes and ((pitch + 1) % 12 in classes or (pitch - 1) % 12 in classes)


def nearest(ladder: tuple[int, ...], pitch: float, toward: float | None = None) -> int:
    """The member of `ladder` nearest `pitch`; of two equally near, the one nearer `toward`."""
    bias = pitch if toward is None else toward
    return min(ladder, key=lambda member: (abs(member - pitch), abs(member - bias)))


def move(ladder: tuple[int, ...], pitch: int, degrees: int) -> int:
    """The pitch `degrees` rungs above (or below) `pitch` on `ladder`, kept on the ladder's ends.

    A pitch between two rungs counts as standing half-way, so that moving up or down one reaches its neighbours.
    """
    index = bisect_left(ladder, pitch)
    between = index == len(ladder) or ladder[index] != pitch
    if between and degrees > 0:
        index -= 1
    return ladder[min(max(index + degrees, 0), len(ladder) - 1)]


def bass_pitch(root: int) -> int:
    """`root` 0..11 laid into the bass octave, -5..6: near the tonic, so that bass lines stay compact."""
    return root if root <= 6 else root - 12


def lead_voices(previous: tuple[int, ...], chord: Chord) -> tuple[int, ...]:
    """Voices of `chord` that move least from `previous`: common tones stay, the others go to the nearest free tone.

    previous: ascending pitches, one per voice; the answer has as many, ascending (doubling where a chord is short).
    """
    ladder = chord_ladder(chord)
    voices: list[int] = []
    for pitch in previous:
        free = tuple(tone for tone in ladder if tone not in voices and (not voices or tone > voices[-1]))
        voices.append(nearest(free or ladder, pitch))
    return tuple(voices)

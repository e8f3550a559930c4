"""What the performer hands to the synthesiser and to MIDI: notes in seconds, grouped in stems."""

from __future__ import annotations

from dataclasses import dataclass

STEMS = ("lead", "counter", "chords", "pad", "bass", "drums", "hits")


@dataclass(frozen=True, slots=True)
class Note:
    """One played note.

    start, duration: seconds after the cue's in; start may be negative (a pickup or riser in the lead-in).
    pitch: MIDI number; on drum kits the General MIDI percussion key (36 kick, 38 snare, 42 closed hat ...).
    velocity: 0..1. instrument: a name of `core.starter.synth.INSTRUMENTS`. stem: one of STEMS.
    glide: semitones the pitch slides in from (portamento), 0 = none. pan: -1 left .. 1 right, added to the role's.
    """

    start: float
    duration: float
    pitch: int
    velocity: float
    instrument: str
    stem: str
    glide: float = 0.0
    pan: float = 0.0


@dataclass(frozen=True)
class Performance:
    """All notes of a cue, sorted by start, and what is needed to write them as a file.

    duration: the cue's length in seconds (notes may ring past it).
    tempo_map: (seconds, bpm) pairs, the first at 0; beats_per_bar: quarter notes in a bar.
    markers: (seconds, text), e.g. hit points and sections.
    """

    notes: tuple[Note, ...]
    duration: float
    style: str
    tempo_map: tuple[tuple[float, float], ...]
    beats_per_bar: float
    markers: tuple[tuple[float, str], ...] = ()

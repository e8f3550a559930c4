"""Cues as standard MIDI files: exact times, named tracks, programs, markers, slides."""

from __future__ import annotations

import io
from collections import Counter

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from score_fixtures import band_codes, bent_grid, random_codes, with_hits

from core.starter.midi import DRUM_CHANNEL, FX_KEYS, TICKS_PER_QUARTER, midi_key, midi_velocity, to_midi
from core.starter.notes import Note, Performance
from core.starter.palettes import INSTRUMENTS, STYLES
from core.starter.performer import perform


class Read:
    """A MIDI file read back by mido, with every event at its second."""

    def __init__(self, data: bytes) -> None:
        self.file = mido.MidiFile(file=io.BytesIO(data))
        self.tempos: list[tuple[int, int]] = []
        at = 0
        for message in self.file.tracks[0]:
            at += message.time
            if message.type == "set_tempo":
                self.tempos.append((at, message.tempo))

    def seconds(self, tick: int) -> float:
        total, before, tempo = 0.0, 0, 500_000
        for at, following in self.tempos:
            if at >= tick:
                break
            total += (at - before) * tempo * 1e-6 / TICKS_PER_QUARTER
            before, tempo = at, following
        return total + (tick - before) * tempo * 1e-6 / TICKS_PER_QUARTER

    def events(self, track: mido.MidiTrack) -> list[tuple[float, mido.Message]]:
        at, out = 0, []
        for message in track:
            at += message.time
            out.append((self.seconds(at), message))
        return out

    def cue_in(self) -> float:
        return next(s for s, m in self.events(self.file.tracks[0]) if m.type == "marker" and m.text == "cue in")


def performance_of(style: str = "cinematic", seed: int = 0, bend: float = 0.02, lead: float = 0.8) -> Performance:
    grid = with_hits(bent_grid(96.0, 16.0, 16, bend), (24, 0.03, 0.9), (40, 0.0, 0.2))
    return perform(band_codes(grid), grid, style, 2, seed, lead)


@settings(max_examples=20, deadline=None)
@given(
    style=st.sampled_from(STYLES), seed=st.integers(0, 99), tempo=st.floats(52, 138), bend=st.floats(-0.04, 0.04),
    lead=st.sampled_from((0.0, 1.0)), bar=st.sampled_from((8, 12, 16)),
)  # fmt: skip
def test_every_note_comes_back_within_a_tick(
    style: str, seed: int, tempo: float, bend: float, lead: float, bar: int
) -> None:
    grid = bent_grid(tempo, 10.0, bar, bend)
    performance = perform(random_codes(grid, seed), grid, style, seed % 12, seed, lead)
    read = Read(to_midi(performance))
    origin = read.cue_in()
    tick = 60.0 / tempo * 1.05 / TICKS_PER_QUARTER
    for track in read.file.tracks[1:]:
        stem, instrument = track.name.split(": ")
        found = sorted((s - origin, m.note) for s, m in read.events(track) if m.type == "note_on" and m.velocity)
        drums = any(m.channel == DRUM_CHANNEL for m in track if m.type == "note_on")
        asked = sorted(
            (n.start, midi_key(n)) for n in performance.notes
            if (n.stem, n.instrument) == (stem, instrument)
            and drums == (instrument.startswith("kit_") or (instrument == "fx" and n.pitch in FX_KEYS))
        )  # fmt: skip
        assert Counter(key for _, key in found) == Counter(key for _, key in asked)
        by_key = [sorted(pairs, key=lambda pair: (pair[1], pair[0])) for pairs in (found, asked)]
        errors = [abs(a[0] - b[0]) for a, b in zip(*by_key, strict=True)]
        assert max(errors) <= tick
    assert sum(m.type == "note_on" for t in read.file.tracks for m in t) == len(performance.notes)


def test_tracks_are_named_and_carry_their_general_midi_program() -> None:
    performance = performance_of()
    read = Read(to_midi(performance))
    assert read.file.type == 1
    assert read.file.tracks[0].name == "gvm: cinematic"
    for track in read.file.tracks[1:]:
        instrument = track.name.split(": ")[1]
        channels = {m.channel for m in track if m.type == "note_on"}
        if channels == {DRUM_CHANNEL}:
            assert instrument.startswith("kit_") or instrument == "fx"
        else:
            assert [m.program for m in track if m.type == "program_change"] == [INSTRUMENTS[instrument].program]
    tonal = [t for t in read.file.tracks[1:] if not any(m.type == "note_on" and m.channel == 9 for m in t)]
    assert len({next(m.channel for m in t if m.type == "note_on") for t in tonal}) == len(tonal)


def test_hits_and_sections_are_markers_at_their_seconds() -> None:
    performance = performance_of()
    read = Read(to_midi(performance))
    marks = {m.text: s - read.cue_in() for s, m in read.events(read.file.tracks[0]) if m.type == "marker"}
    for seconds, text in performance.markers:
        assert marks[text] == pytest.approx(seconds, abs=1e-3)
    assert marks["cue out"] == pytest.approx(performance.duration, abs=1e-3)


@pytest.mark.parametrize(("bar", "signature"), [(16, (4, 4)), (8, (2, 4)), (12, (6, 8))])
def test_metre_and_bar_lines(bar: int, signature: tuple[int, int]) -> None:
    grid = bent_grid(96.0, 10.0, bar)
    read = Read(to_midi(perform(band_codes(grid), grid, "cinematic", 0, 0, lead_seconds=1.0)))
    metre = next(m for m in read.file.tracks[0] if m.type == "time_signature")
    assert (metre.numerator, metre.denominator) == signature
    at = 0
    for message in read.file.tracks[0]:
        at += message.time
        if message.type == "marker" and message.text == "cue in":
            assert at > 0
            assert at % (bar * TICKS_PER_QUARTER // 4) == 0


def test_the_tempo_map_of_a_bent_grid_stays_on_the_grid() -> None:
    grid = bent_grid(96.0, 16.0, 16, 0.02)
    read = Read(to_midi(perform(band_codes(grid), grid, "upbeat", 0, 0)))
    assert [tempo for _, tempo in read.tempos] == [625_000, round(625_000 * 1.02)]
    steps = [read.seconds(step * TICKS_PER_QUARTER // 4) for step in range(grid.steps)]
    assert np.allclose(steps, grid.seconds[:-1], atol=2e-4)


def test_a_slide_bends_the_pitch_wheel_home() -> None:
    note = Note(1.0, 0.8, 74, 0.7, "erhu", "lead", glide=-2.0)
    read = Read(to_midi(Performance((note,), 4.0, "chinese", ((0.0, 90.0),), 4.0)))
    bends = [(s, m.pitch) for s, m in read.events(read.file.tracks[1]) if m.type == "pitchwheel"]
    assert bends[0] == (pytest.approx(1.0, abs=1e-3), round(8192 * -2 / 12))
    assert bends[-1][1] == 0
    assert bends[-1][0] < 1.2
    assert [p for _, p in bends] == sorted(p for _, p in bends)


def test_a_restruck_key_is_released_first() -> None:
    notes = (Note(0.0, 1.0, 60, 0.5, "harp", "chords"), Note(0.5, 1.0, 60, 0.6, "harp", "chords"))
    read = Read(to_midi(Performance(notes, 2.0, "ambient", ((0.0, 120.0),), 4.0)))
    kinds = [m.type for _, m in read.events(read.file.tracks[1]) if m.type.startswith("note")]
    assert kinds == ["note_on", "note_off", "note_on", "note_off"]


def test_velocities_span_the_midi_range() -> None:
    assert midi_velocity(Note(0, 1, 60, 1.0, "harp", "chords")) == 127
    assert midi_velocity(Note(0, 1, 60, 0.001, "harp", "chords")) == 1


def test_a_cue_without_notes_is_still_a_file() -> None:
    read = Read(to_midi(Performance((), 2.0, "ambient", (), 4.0)))
    assert len(read.file.tracks) == 1
    assert read.cue_in() == 0.0

"""A Performance as a Standard MIDI File: tempo map, named tracks, General MIDI programs, markers, slides.

Times: the file's tempo map is made of whole microseconds per quarter note, so it differs a hair from the
performance's; notes are placed by the file's own map and so are right to half a tick (about 0.3 ms) wherever they are.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import mido

from core.starter.notes import Note, Performance
from core.starter.palettes import FX_IMPACT, FX_SUB_DROP, INSTRUMENTS

TICKS_PER_QUARTER: Final = 960
GRID_TICKS: Final = TICKS_PER_QUARTER // 4  # tempo changes stand on sixteenths
BEND_RANGE: Final = 12  # semitones of the pitch wheel on tracks that slide
SLIDE_SECONDS: Final = 0.09
_BEND_STEPS: Final = 8
DRUM_CHANNEL: Final = 9  # channel 10 of musicians
FX_KEYS: Final = {FX_IMPACT: 36, FX_SUB_DROP: 35}  # effects that a General MIDI kit has something like
FX_PITCH: Final = 60  # what the rest is played at, on program "Reverse Cymbal"


@dataclass(frozen=True)
class _Clock:
    """Seconds to ticks by a piecewise constant tempo. starts: (second, tick) of each stretch; tempos: us a quarter."""

    starts: tuple[tuple[float, int], ...]
    tempos: tuple[int, ...]

    def tick(self, seconds: float) -> int:
        index = max(0, bisect_right(self.starts, (seconds, 1 << 62)) - 1)
        second, tick = self.starts[index]
        return max(0, tick + round((seconds - second) * 1e6 / self.tempos[index] * TICKS_PER_QUARTER))


def to_midi(performance: Performance) -> bytes:
    """A Standard MIDI File, format 1: a conductor track with tempo, metre and markers, then a track per instrument.

    The cue's in stands on a bar line; if the performance begins before it (pickup), on the first bar line after.
    The marker "cue in" says where.
    """
    clock, offset = _clock(performance)
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_QUARTER)
    file.tracks.append(_conductor_track(performance, clock, offset))
    for index, ((stem, instrument, drums), notes) in enumerate(_parts(performance).items()):
        channel = DRUM_CHANNEL if drums else [c for c in range(16) if c != DRUM_CHANNEL][index % 15]
        file.tracks.append(_instrument_track(f"{stem}: {instrument}", instrument, channel, notes, clock, offset))
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def _clock(performance: Performance) -> tuple[_Clock, float]:
    """The file's clock, and how many seconds after the file's start the cue's in lies."""
    tempo_map = performance.tempo_map or ((0.0, 120.0),)
    first = round(60e6 / tempo_map[0][1])
    bar = performance.beats_per_bar * first * 1e-6
    earliest = min((note.start for note in performance.notes), default=0.0)
    bars = max(0, int(-(earliest // bar))) if earliest < 0 else 0
    offset = bars * bar
    starts, tempos = [(0.0, 0)], [first]
    for (before, bpm), (second, following) in pairwise(tempo_map):
        lead_in = offset if len(starts) == 1 else 0.0
        quarters = (second - before) * bpm / 60.0 + lead_in * 1e6 / first
        ticks = round(quarters * TICKS_PER_QUARTER / GRID_TICKS) * GRID_TICKS
        wide = starts[-1][0] + ticks / TICKS_PER_QUARTER * tempos[-1] * 1e-6
        starts.append((wide, starts[-1][1] + ticks))
        tempos.append(round(60e6 / following))
    return _Clock(tuple(starts), tuple(tempos)), offset


def _conductor_track(performance: Performance, clock: _Clock, offset: float) -> mido.MidiTrack:
    numerator, denominator = (6, 8) if performance.beats_per_bar == 3 else (round(performance.beats_per_bar), 4)
    events: list[tuple[int, mido.MetaMessage]] = [
        (0, mido.MetaMessage("track_name", name=f"gvm: {performance.style}")),
        (0, mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)),
    ]
    events += [
        (tick, mido.MetaMessage("set_tempo", tempo=tempo))
        for (_, tick), tempo in zip(clock.starts, clock.tempos, strict=True)
    ]
    marks = [(0.0, "cue in"), *performance.markers, (performance.duration, "cue out")]
    events += [(clock.tick(second + offset), mido.MetaMessage("marker", text=text)) for second, text in marks]
    return _track(events)


def _parts(performance: Performance) -> dict[tuple[str, str, bool], list[Note]]:
    """Notes by (stem, instrument, on the drum channel), in order of stem and first appearance."""
    parts: dict[tuple[str, str, bool], list[Note]] = {}
    for note in performance.notes:
        drums = note.instrument.startswith("kit_") or (note.instrument == "fx" and note.pitch in FX_KEYS)
        parts.setdefault((note.stem, note.instrument, drums), []).append(note)
    return parts


def midi_key(note: Note) -> int:
    """The MIDI key that plays `note`: its pitch, or what comes nearest to an effect."""
    return FX_KEYS.get(note.pitch, FX_PITCH) if note.instrument == "fx" else min(127, max(0, note.pitch))


def midi_velocity(note: Note) -> int:
    """MIDI velocity 1..127 of `note`."""
    return min(127, max(1, round(127 * note.velocity)))


def without_overlaps(notes: list[Note]) -> list[tuple[Note, float]]:
    """(note, end second) such that no key is struck while it still sounds: MIDI can't tell two apart."""
    ends: list[tuple[Note, float]] = []
    last: dict[int, int] = {}
    for note in sorted(notes, key=lambda n: n.start):
        key = midi_key(note)
        if key in last:
            before, end = ends[last[key]]
            ends[last[key]] = (before, min(end, note.start))
        last[key] = len(ends)
        ends.append((note, note.start + note.duration))
    return ends


def _instrument_track(
    name: str, instrument: str, channel: int, notes: list[Note], clock: _Clock, offset: float
) -> mido.MidiTrack:
    head: list[mido.MetaMessage | mido.Message] = [mido.MetaMessage("track_name", name=name)]
    if channel != DRUM_CHANNEL:
        head.append(mido.Message("program_change", channel=channel, program=INSTRUMENTS[instrument].program))
    if any(note.glide for note in notes):
        controls = ((101, 0), (100, 0), (6, BEND_RANGE), (38, 0))  # registered parameter 0: pitch bend range
        head += [mido.Message("control_change", channel=channel, control=c, value=x) for c, x in controls]
    events = [(0, message) for message in head]
    struck: list[tuple[int, mido.Message]] = []
    for note, end in without_overlaps(notes):
        key, start = midi_key(note), clock.tick(note.start + offset)
        if note.glide and channel != DRUM_CHANNEL:
            struck += _slide(note, channel, clock, offset)
        struck.append((start, mido.Message("note_on", channel=channel, note=key, velocity=midi_velocity(note))))
        struck.append((max(start + 1, clock.tick(end + offset)), mido.Message("note_off", channel=channel, note=key)))
    return _track(events + struck)


def _slide(note: Note, channel: int, clock: _Clock, offset: float) -> list[tuple[int, mido.Message]]:
    """Pitch wheel messages that bring `note` from its glide home."""
    length = min(SLIDE_SECONDS, 0.6 * note.duration)
    out = []
    for step in range(_BEND_STEPS + 1):
        left = 1.0 - step / _BEND_STEPS
        bend = min(8191, max(-8192, round(8192 * note.glide * left / BEND_RANGE)))
        tick = clock.tick(note.start + offset + length * step / _BEND_STEPS)
        out.append((tick, mido.Message("pitchwheel", channel=channel, pitch=bend)))
    return out


_ORDER: Final = {"note_off": 1, "pitchwheel": 2, "note_on": 3}  # at one tick; everything else comes first


def _track(events: list[tuple[int, mido.Message | mido.MetaMessage]]) -> mido.MidiTrack:
    """A track of events given at absolute ticks."""
    track, now = mido.MidiTrack(), 0
    for tick, message in sorted(events, key=lambda event: (event[0], _ORDER.get(event[1].type, 0))):
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=0))
    return track

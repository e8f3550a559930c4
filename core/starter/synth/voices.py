"""Notes -> sound: picks the tone or makes the voice of each note, with its envelope. Knows no mix and no room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import signal

from core.starter.notes import Note
from core.starter.synth import dsp, effects, solo
from core.starter.synth.bank import LAYER_EDGES, VARIATIONS, Bank, Tone
from core.starter.synth.dsp import Audio
from core.starter.synth.instruments import TABLE, Effects, Held, Kit, Played, Sampled

REFERENCE: Final = 0.038  # K-weighted RMS of a note at VELOCITY before the mix: -28 dBFS
VELOCITY: Final = 0.7
CHOKE_SECONDS: Final = 0.03
LEGATO_SECONDS: Final = 0.035
GLIDE_SECONDS: Final = 0.12
MELLOW_SECONDS: Final = 0.5
OPEN_VELOCITY: Final = 0.85  # from here on a struck note has all its top
OPEN_HZ: Final = 15_000.0
OPEN_POWER: Final = 2.3


@dataclass(frozen=True, slots=True)
class Event:
    """A note as it will sound: its place among the notes, whether it is tied to the one before, when it is cut off."""

    note: Note
    index: int
    legato: bool = False
    cut_seconds: float = 60.0

    @property
    def start_sample(self) -> int:
        """First sample, counted from the cue's in."""
        return round(self.note.start * dsp.RATE)


def plan(notes: Sequence[Note]) -> list[Event]:
    """An Event per note, in order of start, with what depends on its neighbours on the same instrument."""
    ordered = sorted(enumerate(notes), key=lambda pair: (pair[1].start, pair[0]))
    events: list[Event] = []
    counts: dict[tuple[str, int], int] = {}
    before: dict[tuple[str, str], Note] = {}
    for _, note in ordered:
        if note.instrument not in TABLE:
            raise ValueError(f"no instrument {note.instrument!r}; choose one of {', '.join(sorted(TABLE))}")
        count = counts[note.instrument, note.pitch] = counts.get((note.instrument, note.pitch), -1) + 1
        previous = before.get((note.stem, note.instrument))
        legato = previous is not None and _tied(previous, note)
        before[note.stem, note.instrument] = note
        events.append(Event(note, count, legato))
    return _choked(events)


def _tied(previous: Note, note: Note) -> bool:
    gap = note.start - previous.start - previous.duration
    return gap < LEGATO_SECONDS and note.start > previous.start + 0.05 and previous.pitch != note.pitch


def _choked(events: list[Event]) -> list[Event]:
    """`events` with strokes cut off by the next of their choke group (an open hat by a closed one)."""
    upcoming: dict[tuple[str, str, int], float] = {}
    result: list[Event] = []
    for event in reversed(events):
        note = event.note
        group = _choke_group(note)
        if group:
            key = (note.stem, note.instrument, group)
            cut = upcoming.get(key, 1e9) - note.start
            upcoming[key] = note.start
            event = Event(note, event.index, event.legato, min(cut, 60.0))
        result.append(event)
    return result[::-1]


def _choke_group(note: Note) -> int:
    instrument = TABLE[note.instrument]
    if not isinstance(instrument, Kit):
        return 0
    stroke = instrument.strokes.get(note.pitch)
    return stroke.choke if stroke else 0


def sound(event: Event, bank: Bank) -> Audio:
    """[C, N] the note from its start to its last audible sample; C = 1 when it has no width."""
    note = event.note
    instrument = TABLE[note.instrument]
    level = dsp.gain(instrument.trim_db) * (max(note.velocity, 0.02) / VELOCITY) ** instrument.curve
    match instrument:
        case Sampled():
            return _sampled(instrument, event, bank, REFERENCE * level)
        case Held():
            return _held(instrument, event, bank, REFERENCE * level)
        case Played():
            seed = ("solo", note.instrument, note.pitch, event.index, event.start_sample)
            wave = solo.play(instrument.solo, note.pitch, note.velocity, note.duration, note.glide, event.legato, seed)
            return wave * np.float32(REFERENCE * level)
        case Kit():
            return _stroke(instrument, event, bank, 0.28 * level)
        case Effects():
            key = ("fx", note.pitch, event.index)
            return effects.effect(note.pitch, note.duration, note.velocity, key) * np.float32(0.20 * level)


def _layer(velocity: float) -> int:
    return sum(velocity >= edge for edge in LAYER_EDGES)


def _tone(event: Event, bank: Bank) -> Tone:
    note = event.note
    return bank.tone(note.instrument, note.pitch, _layer(note.velocity), event.index % VARIATIONS)


def _sampled(instrument: Sampled, event: Event, bank: Bank, level: float) -> Audio:
    note = event.note
    tone = _tone(event, bank)
    held = max(int(note.duration * dsp.RATE), int(0.03 * dsp.RATE))
    n = min(held + int(instrument.release * dsp.RATE), tone.wave.shape[1])
    wiggle = dsp.gain(0.5 * np.sin(2.4 * event.index + note.pitch))  # repeated notes are never identical
    wave = tone.wave[:, :n].astype(np.float32)
    wave *= np.float32(tone.scale * level * wiggle)
    if note.glide:
        x = dsp.times(int(GLIDE_SECONDS * dsp.RATE)) / GLIDE_SECONDS
        wave = dsp.bend(wave, note.glide * (1.0 - x * x * (3.0 - 2.0 * x)))
    return _damp(_mellow(wave, note.velocity), held, instrument.release)


def _mellow(wave: Audio, velocity: float) -> Audio:
    """`wave`, in place, its attack the duller the softer it was struck: a soft touch leaves the top silent.

    The layers of the bank are few and each starts with a click of its own; high partials are gone after MELLOW_SECONDS.
    """
    if velocity >= OPEN_VELOCITY:
        return wave
    cutoff = max(OPEN_HZ * (velocity / OPEN_VELOCITY) ** OPEN_POWER, 500.0)
    n = min(wave.shape[1], int(MELLOW_SECONDS * dsp.RATE))
    soft = signal.sosfilt(signal.butter(2, cutoff, fs=dsp.RATE, output="sos"), wave[:, :n], axis=1).astype(np.float32)
    fade = np.linspace(0.0, 1.0, n, dtype=np.float32) ** 6
    wave[:, :n] = soft + fade * (wave[:, :n] - soft)
    return wave


def _damp(wave: Audio, held: int, release: float) -> Audio:
    """`wave`, in place, falling by 60 dB within `release` seconds after `held` samples, and ending at 0."""
    tail = wave.shape[1] - held
    if tail > 0:
        wave[:, held:] *= dsp.decay(tail, max(release, 0.01))
        dsp.fade_end(wave[:, held:], 0.25 * tail / dsp.RATE)
    return wave


def _held(instrument: Held, event: Event, bank: Bank, level: float) -> Audio:
    note = event.note
    tone = bank.tone(note.instrument, note.pitch, 0, 0)
    n = int((max(note.duration, 0.05) + instrument.release) * dsp.RATE)
    random = dsp.generator("held", note.instrument, note.pitch, event.index)
    start = int(random.integers(tone.wave.shape[1]))
    loop = np.take(tone.wave, np.arange(start, start + n), axis=1, mode="wrap").astype(np.float32)
    loop *= np.float32(tone.scale * level)
    envelope, bright = _shape(instrument, note, n, random)
    wave = loop[2:] - loop[:2]
    wave *= bright
    wave += loop[:2]
    wave *= envelope
    return wave


def _shape(instrument: Held, note: Note, n: int, random: np.random.Generator) -> tuple[Audio, Audio]:
    """Loudness and brightness [n] of a held note: attack, a slight arc, release; a slow filter movement."""
    t = dsp.curve_times(n)
    held = max(note.duration, 0.05)
    attack = min(instrument.attack * (1.25 - 0.5 * note.velocity), 0.5 * held)
    up = np.sin(0.5 * np.pi * np.clip(t / attack, 0.0, 1.0)) ** 1.5
    down = np.clip(1.0 - (t - held) / instrument.release, 0.0, 1.0) ** 2
    arc = np.sin(np.pi * np.clip(t / max(held, 0.3), 0.0, 1.0) ** 0.8)
    swell = 10.0 ** (instrument.swell * (arc - 0.6) * min(held, 1.0) / 20.0)
    soft, loud = instrument.bright
    depth, period = instrument.sweep
    sweep = depth * np.sin(2 * np.pi * t / period + random.uniform(0, 6.28))
    bright = np.clip((soft + (loud - soft) * note.velocity) * (0.4 + 0.6 * up * down) + sweep, 0.0, 1.0)
    return dsp.refine(up * down * swell, n).astype(np.float32), dsp.refine(bright, n).astype(np.float32)


def _stroke(kit: Kit, event: Event, bank: Bank, level: float) -> Audio:
    note = event.note
    stroke = kit.strokes.get(note.pitch)
    if stroke is None:
        raise ValueError(
            f"{note.instrument} has no key {note.pitch}; it has {', '.join(map(str, sorted(kit.strokes)))}"
        )
    tone = _tone(event, bank)
    n = min(tone.wave.shape[1], int((event.cut_seconds + CHOKE_SECONDS) * dsp.RATE))
    wave = tone.wave[:, :n].astype(np.float32)
    wave *= np.float32(tone.scale * level * dsp.gain(stroke.level_db + 0.5 * np.sin(2.4 * event.index)))
    wave = _mellow(wave, 0.35 + 0.65 * note.velocity)
    if n < tone.wave.shape[1]:
        dsp.fade_end(wave, CHOKE_SECONDS)
    return balance(wave, stroke.pan)


def balance(wave: Audio, pan: float) -> Audio:
    """[2, N] `wave` moved to `pan` -1..1: constant power, 0 dB in the middle."""
    if pan == 0.0:
        return wave
    angle = 0.25 * np.pi * (1.0 + float(np.clip(pan, -1.0, 1.0)))
    sides = np.sqrt(2.0) * np.array([[np.cos(angle)], [np.sin(angle)]], np.float32)
    return np.asarray(wave * sides, np.float32)

"""Spine of the synthesiser: notes of a performance -> stereo mix and stems, block by block."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from core.starter.notes import Performance
from core.starter.synth import dsp, inserts
from core.starter.synth.bank import Bank, bank
from core.starter.synth.dsp import Audio
from core.starter.synth.mixdown import Channel, Mixdown
from core.starter.synth.rooms import Convolver
from core.starter.synth.voices import Event, balance, plan, sound

BLOCK: Final = 1 << 18
_KICKS: Final = (35, 36)


@dataclass(frozen=True)
class Rendered:
    """audio [2, N] float32 at 48 kHz; stems: the same sound in parts, by stem (empty when not asked for)."""

    audio: Audio
    stems: dict[str, Audio] = field(default_factory=dict)


def render(performance: Performance, mixdown: Mixdown, start: float, samples: int, stems: bool = False) -> Rendered:
    """The `samples` samples of the performance from `start` seconds after the cue's in (negative: lead-in).

    Notes that began before sound on from where they are. The same performance gives the same samples, whichever part
    of it is asked for. The stems sum to the audio.
    """
    first = round(start * dsp.RATE)
    events = plan(performance.notes)
    origin = min([first, *(event.start_sample for event in events[:1])])
    desk = _Desk(performance, mixdown, stems, bank())
    audio = np.zeros((2, samples), np.float32)
    parts = {name: np.zeros((2, samples), np.float32) for name in desk.stem_names} if stems else {}
    for at in range(origin, first + samples, BLOCK):
        while events and events[0].start_sample < at + BLOCK:
            desk.start(events.pop(0))
        mixed = desk.block(at)
        for name, part in mixed.items():
            _paste(audio if name == _MIX else parts[name], part, at - first)
    return Rendered(audio, parts)


_MIX: Final = ""


def _paste(target: Audio, block: Audio, at: int) -> None:
    begin, end = max(at, 0), min(at + block.shape[1], target.shape[1])
    if begin < end:
        target[:, begin:end] = block[:, begin - at : end - at]


class _Strip:
    """One channel of the desk: the notes sounding on it and its effects."""

    def __init__(self, stem: str, instrument: str, settings: Channel) -> None:
        self.stem = stem
        self.settings = settings
        self._sounds: list[tuple[int, Audio]] = []
        self._chorus = inserts.Chorus() if settings.chorus else None
        self._swings = instrument == "electric_piano"
        self._idle = 0

    def start(self, event: Event, wave: Audio) -> None:
        """Let `wave` sound from the event's first sample on."""
        self._sounds.append((event.start_sample, balance(wave, self.settings.pan + event.note.pan)))

    def block(self, at: int, kicks: list[float]) -> Audio | None:
        """[2, BLOCK] the channel from sample `at`, or None when it is silent."""
        if not self._sounds and self._chorus is None:
            return None
        out = np.zeros((2, BLOCK), np.float32)
        for begin, wave in self._sounds:
            low, high = max(begin, at), min(begin + wave.shape[1], at + BLOCK)
            out[:, low - at : high - at] += wave[:, low - begin : high - begin]
        self._sounds = [(begin, wave) for begin, wave in self._sounds if begin + wave.shape[1] > at + BLOCK]
        if self._swings:
            out = inserts.tremolo(out, at)
        if self._chorus is not None:
            out = self._chorus.process(out, at)
        out *= np.float32(dsp.gain(self.settings.level_db))
        if self.settings.pump_db:
            out *= inserts.side_chain(kicks, self.settings.pump_db, at, BLOCK)
        return out


class _Bus:
    """Where channels meet: a dry sum, what goes to the echo and what goes to the room."""

    def __init__(self, room: str, echo_seconds: float) -> None:
        self._room = Convolver(room, BLOCK)
        self._echo_seconds = echo_seconds
        self._echo: inserts.Echo | None = None
        self.clear()

    def clear(self) -> None:
        self.dry = np.zeros((2, BLOCK), np.float32)
        self._send = np.zeros((2, BLOCK), np.float32)
        self._delay = np.zeros((2, BLOCK), np.float32)

    def add(self, block: Audio, settings: Channel) -> None:
        self.dry += block
        if settings.send:
            self._send += np.float32(settings.send) * block
        if settings.delay:
            self._echo = self._echo or inserts.Echo(self._echo_seconds)
            self._delay += np.float32(settings.delay) * block

    def finish(self) -> Audio:
        """[2, BLOCK] dry, echoes and room together; the bus is empty afterwards."""
        if self._echo is not None:
            echoes = self._echo.process(self._delay)
            self.dry += echoes
            self._send += np.float32(0.3) * echoes
        out = self.dry + self._room.process(self._send)
        self.clear()
        return out


class _Desk:
    """All channels, one bus (or one per stem), and the compressor over the whole."""

    def __init__(self, performance: Performance, mixdown: Mixdown, stems: bool, tones: Bank) -> None:
        self.stem_names = tuple(dict.fromkeys(note.stem for note in performance.notes))
        self._mixdown = mixdown
        self._bank = tones
        self._strips: dict[tuple[str, str], _Strip] = {}
        tempo = performance.tempo_map[0][1] if performance.tempo_map else 100.0
        echo = mixdown.echo_beats * 60.0 / tempo
        self._buses = {name: _Bus(mixdown.room, echo) for name in (self.stem_names if stems else (_MIX,))}
        self._by_stem = stems
        self._kicks = sorted(n.start for n in performance.notes if n.stem == "drums" and n.pitch in _KICKS)
        self._master = np.float32(dsp.gain(mixdown.master_db))
        self._compressor = inserts.BusCompressor()

    def start(self, event: Event) -> None:
        """Play `event` from its own sample on."""
        note = event.note
        key = (note.stem, note.instrument)
        if key not in self._strips:
            self._strips[key] = _Strip(*key, self._mixdown.channel(*key))
        self._strips[key].start(event, sound(event, self._bank))

    def block(self, at: int) -> dict[str, Audio]:
        """[2, BLOCK] from sample `at`: the mix under "", and each stem under its name."""
        for strip in self._strips.values():
            block = strip.block(at, self._kicks)
            if block is not None:
                self._buses[strip.stem if self._by_stem else _MIX].add(block, strip.settings)
        parts = {name: bus.finish() * self._master for name, bus in self._buses.items()}
        mixed = np.sum(list(parts.values()), axis=0) if parts else np.zeros((2, BLOCK), np.float32)
        gains = self._compressor.gains(mixed)
        gains *= inserts.round_peaks(mixed * gains)
        for part in parts.values():
            part *= gains
        return {**parts, _MIX: np.asarray(mixed * gains, np.float32)}

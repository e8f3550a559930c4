"""A Performance played through the user's own SF2/SF3 sound font instead of our synthesiser, off line, in stems.

Needs the package tinysoundfont (MIT). Its wheel asks for pyaudio, which only its live playback uses; so it is
installed alone:  pip install --no-deps tinysoundfont
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.errors import MissingDependencyError, ModelError
from core.shapes import MUSIC_RATE
from core.starter.midi import BEND_RANGE, SLIDE_SECONDS, midi_key, midi_velocity, without_overlaps
from core.starter.notes import Note, Performance
from core.starter.palettes import FX_RISER, FX_SWELL, INSTRUMENTS, Palette, Part
from core.starter.synth.rooms import Convolver

Audio = npt.NDArray[np.float32]

INSTALL: Final = "pip install --no-deps tinysoundfont"
DRUM_BANK: Final = 128  # where sound fonts keep their kits
MOST_VOICES: Final = 128
_CHANNEL: Final = 0
_BEND_CENTRE: Final = 8192
_BEND_STEPS: Final = 8
_ROOM_BLOCK: Final = 1 << 16
_SKIPPED_FX: Final = (FX_RISER, FX_SWELL)  # General MIDI has nothing that rises


def render_soundfont(
    performance: Performance, soundfont: Path, palette: Palette, start: float, samples: int
) -> dict[str, Audio]:
    """Stems [2, samples] at 48 kHz of `performance` from `start` seconds after the cue's in, by stem.

    Instruments become their General MIDI programs; levels, places and room are those of `palette`.
    Raises MissingDependencyError without tinysoundfont, ModelError for a missing or broken file.
    """
    synth = _open(soundfont)
    parts: dict[tuple[str, str], list[Note]] = {}
    for note in performance.notes:
        if note.instrument != "fx" or note.pitch not in _SKIPPED_FX:
            parts.setdefault((note.stem, note.instrument), []).append(note)
    stems: dict[str, Audio] = {}
    sends: dict[str, Audio] = {}
    for (stem, instrument), notes in parts.items():
        part = palette.part(stem)
        dry = _play(synth, instrument, part, notes, start, samples)
        stems[stem] = stems.get(stem, 0.0) + dry
        sends[stem] = sends.get(stem, 0.0) + np.float32(part.send) * dry
    return {stem: stems[stem] + _room(palette.room, sends[stem]) for stem in stems}


def _open(soundfont: Path) -> Any:
    """The loaded sound font; the last one used is kept, as a film asks for the same one cue after cue."""
    try:
        import tinysoundfont  # noqa: F401  (told apart from a broken file)
    except ImportError as err:
        raise MissingDependencyError(f"playing {soundfont.name} needs the package tinysoundfont: {INSTALL}") from err
    try:
        status = soundfont.stat()
    except OSError as err:
        raise ModelError(f"can't read the sound font {soundfont}: {err.strerror}; check the path") from err
    if not soundfont.is_file():
        raise ModelError(f"the sound font {soundfont} is a folder; name an .sf2 or .sf3 file in it")
    return _load(soundfont.resolve(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)
def _load(path: Path, modified: int, size: int) -> Any:
    import tinysoundfont

    synth = tinysoundfont.Synth(samplerate=MUSIC_RATE)
    try:
        identity = synth.sfload(str(path), max_voices=MOST_VOICES)
    except RuntimeError as err:
        raise ModelError(
            f"{path} ({size} bytes) is no sound font that can be played; give a whole SF2 or SF3 file"
        ) from err
    assert identity == 0, identity
    return synth


def _play(synth: Any, instrument: str, part: Part, notes: list[Note], start: float, samples: int) -> Audio:
    """[2, samples] of one instrument alone, with its level and place."""
    synth.sounds_off(_CHANNEL)
    drums = instrument.startswith("kit_")
    _select(synth, 0 if drums else INSTRUMENTS[instrument].program, drums)
    synth.control_change(_CHANNEL, 10, round(64 + 63 * part.pan))
    synth.pitchbend_range(_CHANNEL, BEND_RANGE)
    synth.pitchbend(_CHANNEL, _BEND_CENTRE)
    out = np.zeros((samples, 2), np.float32)
    done = 0
    for at, action, note, bend in _actions(notes, start, samples):
        if at > done:
            _render(synth, out[done:at])
            done = at
        if action == _ON:
            synth.noteon(_CHANNEL, midi_key(note), midi_velocity(note))
        elif action == _OFF:
            synth.noteoff(_CHANNEL, midi_key(note))
        else:
            synth.pitchbend(_CHANNEL, bend)
    _render(synth, out[done:])
    synth.sounds_off(_CHANNEL)
    return np.ascontiguousarray(out.T) * np.float32(10 ** (part.level_db / 20))


_OFF, _BEND, _ON = range(3)


def _actions(notes: list[Note], start: float, samples: int) -> list[tuple[int, int, Note, int]]:
    """(sample, what, note, pitch wheel) in order; at one sample notes end before others begin."""
    actions: list[tuple[int, int, Note, int]] = []
    for note, end in without_overlaps(notes):
        first, last = round((note.start - start) * MUSIC_RATE), round((end - start) * MUSIC_RATE)
        if last <= 0 or first >= samples:
            continue
        first = max(first, 0)
        if note.glide:
            length = min(SLIDE_SECONDS, 0.6 * note.duration)
            for step in range(_BEND_STEPS + 1):
                left = note.glide * (1.0 - step / _BEND_STEPS) / BEND_RANGE
                bend = min(16383, max(0, round(_BEND_CENTRE * (1.0 + left))))
                actions.append((first + round(length * MUSIC_RATE * step / _BEND_STEPS), _BEND, note, bend))
        actions.append((first, _ON, note, 0))
        actions.append((last, _OFF, note, 0))
    return sorted((a for a in actions if a[0] < samples), key=lambda a: (a[0], a[1]))


def _select(synth: Any, program: int, drums: bool) -> None:
    """Choose the program, or what comes nearest in a sound font that has not got it: its first kit or first preset."""
    wanted = [(DRUM_BANK, 0), (0, 0)] if drums else [(0, program), (0, 0), (DRUM_BANK, 0)]
    wanted += [(bank, preset) for bank in (0, 1, 8, DRUM_BANK) for preset in range(128)]
    for bank, preset in wanted:
        if synth.sfpreset_name(0, bank, preset) is not None:
            synth.program_select(_CHANNEL, 0, bank, preset, bank == DRUM_BANK)
            return
    raise ModelError("the sound font has no presets that can be played; choose another file")


def _render(synth: Any, frames: Audio) -> None:
    """Fill `frames` [n, 2], a contiguous part of the output."""
    if len(frames):
        synth.generate_simple(len(frames), frames.data.cast("B"))


def _room(room: str, send: Audio) -> Audio:
    """[2, N] the room's answer to `send`."""
    convolver = Convolver(room, _ROOM_BLOCK)
    out = np.empty_like(send)
    for at in range(0, send.shape[1], _ROOM_BLOCK):
        block = send[:, at : at + _ROOM_BLOCK]
        padded = np.zeros((2, _ROOM_BLOCK), np.float32)
        padded[:, : block.shape[1]] = block
        out[:, at : at + block.shape[1]] = convolver.process(padded)[:, : block.shape[1]]
    return out

"""The user's own sound font plays the cue: in tune, on time, in stems; broken files get a plain message."""

from __future__ import annotations

import builtins
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tinysoundfont")

from core.errors import MissingDependencyError, ModelError
from core.shapes import MUSIC_RATE
from core.starter.notes import Note, Performance
from core.starter.palettes import choose_palette
from core.starter.soundfont import render_soundfont

ROOT_KEY = 69  # A4: the sample below is 440 Hz
SAMPLE_RATE = 44_000


def _chunk(tag: bytes, body: bytes) -> bytes:
    return tag + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _list(kind: bytes, *chunks: bytes) -> bytes:
    return _chunk(b"LIST", kind + b"".join(chunks))


def _name(text: str) -> bytes:
    return text.encode().ljust(20, b"\0")


def write_soundfont(path: Path) -> Path:
    """A SoundFont 2.01 file with one preset: a looped sine of 440 Hz (ten samples of 100 per period, 44 kHz)."""
    period = 100
    count = 10 * period
    wave = np.round(20_000 * np.sin(2 * np.pi * np.arange(count) / period)).astype("<i2")
    info = _list(
        b"INFO", _chunk(b"ifil", struct.pack("<HH", 2, 1)), _chunk(b"isng", b"EMU8000\0"), _chunk(b"INAM", b"sine\0\0")
    )
    sdta = _list(b"sdta", _chunk(b"smpl", wave.tobytes() + b"\0" * 92))
    preset = "<20sHHHIII"
    phdr = struct.pack(preset, _name("Sine"), 0, 0, 0, 0, 0, 0) + struct.pack(preset, _name("EOP"), 0, 0, 1, 0, 0, 0)
    pbag = struct.pack("<HH", 0, 0) + struct.pack("<HH", 1, 0)
    pgen = struct.pack("<HH", 41, 0) + struct.pack("<HH", 0, 0)  # instrument 0
    inst = struct.pack("<20sH", _name("Sine"), 0) + struct.pack("<20sH", _name("EOI"), 1)
    ibag = struct.pack("<HH", 0, 0) + struct.pack("<HH", 2, 0)
    igen = struct.pack("<HH", 54, 1) + struct.pack("<HH", 53, 0) + struct.pack("<HH", 0, 0)  # loop; sample 0
    header = "<20sIIIIIBbHH"
    frequency = 440.0 * period
    assert frequency == SAMPLE_RATE
    shdr = struct.pack(header, _name("sine"), 0, count, 0, count - 1, SAMPLE_RATE, ROOT_KEY, 0, 0, 1)
    shdr += struct.pack(header, _name("EOS"), 0, 0, 0, 0, 0, 0, 0, 0, 0)
    pdta = _list(
        b"pdta", _chunk(b"phdr", phdr), _chunk(b"pbag", pbag), _chunk(b"pmod", b"\0" * 10), _chunk(b"pgen", pgen),
        _chunk(b"inst", inst), _chunk(b"ibag", ibag), _chunk(b"imod", b"\0" * 10), _chunk(b"igen", igen),
        _chunk(b"shdr", shdr),
    )  # fmt: skip
    path.write_bytes(_chunk(b"RIFF", b"sfbk" + info + sdta + pdta))
    return path


@pytest.fixture
def soundfont(tmp_path: Path) -> Path:
    return write_soundfont(tmp_path / "sine.sf2")


def performance(*notes: Note) -> Performance:
    return Performance(tuple(sorted(notes, key=lambda n: n.start)), 2.0, "documentary", ((0.0, 100.0),), 4.0)


def pitch_of(audio: np.ndarray) -> float:
    mono = audio.sum(0) * np.hanning(audio.shape[1])
    spectrum = np.abs(np.fft.rfft(mono, 8 * len(mono)))
    return float(spectrum.argmax() * MUSIC_RATE / (8 * len(mono)))


PALETTE = choose_palette("documentary", 0)


def test_notes_sound_at_their_pitch_and_their_time_in_their_stem(soundfont: Path) -> None:
    notes = (Note(0.5, 0.4, 69, 0.8, "felt_piano", "lead"), Note(1.2, 0.3, 57, 0.8, "finger_bass", "bass"))
    stems = render_soundfont(performance(*notes), soundfont, PALETTE, 0.0, 2 * MUSIC_RATE)
    assert set(stems) == {"lead", "bass"}
    assert {stem.shape for stem in stems.values()} == {(2, 2 * MUSIC_RATE)}
    lead, bass = stems["lead"], stems["bass"]
    first = int(np.flatnonzero(np.abs(lead).max(0) > 1e-4)[0])
    assert 0 <= first - 0.5 * MUSIC_RATE < 0.003 * MUSIC_RATE
    assert pitch_of(lead[:, 26_000:40_000]) == pytest.approx(440, abs=1.5)
    assert pitch_of(bass[:, 60_000:70_000]) == pytest.approx(220, abs=1.5)


def test_a_lead_in_shifts_everything_and_an_old_note_leaves_no_trace(soundfont: Path) -> None:
    pickup = performance(Note(-0.5, 0.3, 69, 0.8, "felt_piano", "lead"))
    stem = render_soundfont(pickup, soundfont, PALETTE, -1.0, MUSIC_RATE)["lead"]
    first = int(np.flatnonzero(np.abs(stem).max(0) > 1e-4)[0])
    assert 0 <= first - 0.5 * MUSIC_RATE < 0.003 * MUSIC_RATE
    late = render_soundfont(pickup, soundfont, PALETTE, 0.5, MUSIC_RATE)["lead"]
    assert not late.any()


def test_the_same_notes_give_the_same_samples(soundfont: Path) -> None:
    notes = performance(Note(0.1, 0.4, 64, 0.6, "erhu", "lead", -2.0), Note(0.1, 0.2, 38, 0.9, "kit_pop", "drums"))
    once = render_soundfont(notes, soundfont, PALETTE, 0.0, MUSIC_RATE)
    again = render_soundfont(notes, soundfont, PALETTE, 0.0, MUSIC_RATE)
    assert all(np.array_equal(once[stem], again[stem]) for stem in once)


def test_a_slide_begins_off_pitch_and_comes_home(soundfont: Path) -> None:
    slid = performance(Note(0.0, 0.8, 69, 0.8, "erhu", "lead", -5.0))
    stem = render_soundfont(slid, soundfont, PALETTE, 0.0, MUSIC_RATE)["lead"]
    assert pitch_of(stem[:, 100:1500]) < 400
    assert pitch_of(stem[:, 12_000:30_000]) == pytest.approx(440, abs=1.5)


@pytest.mark.parametrize("content", [b"", b"not a sound font", b"RIFF\x10\0\0\0sfbkLIST\0\0\0\0"])
def test_a_broken_file_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    broken = tmp_path / "broken.sf2"
    broken.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.sf2.*SF2") as caught:
        render_soundfont(performance(Note(0, 1, 60, 0.5, "horn", "lead")), broken, PALETTE, 0.0, 100)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    notes = performance(Note(0, 1, 60, 0.5, "horn", "lead"))
    with pytest.raises(ModelError, match="No such file"):
        render_soundfont(notes, tmp_path / "none.sf2", PALETTE, 0.0, 100)
    with pytest.raises(ModelError, match="folder"):
        render_soundfont(notes, tmp_path, PALETTE, 0.0, 100)


def test_without_the_package_the_message_says_how_to_install_it(
    soundfont: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "tinysoundfont":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match="pip install --no-deps tinysoundfont"):
        render_soundfont(performance(Note(0, 1, 60, 0.5, "horn", "lead")), soundfont, PALETTE, 0.0, 100)

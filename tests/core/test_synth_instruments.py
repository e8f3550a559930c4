"""Every instrument of the synthesiser: in tune, alive to velocity, quick where it is struck, clean at its ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.starter.notes import Note
from core.starter.palettes import INSTRUMENTS as PLAYING
from core.starter.synth import INSTRUMENTS, dsp
from core.starter.synth.bank import LAYERS, Bank
from core.starter.synth.dsp import RATE, Audio
from core.starter.synth.instruments import TABLE, Held, Kit, Played, Sampled
from core.starter.synth.voices import plan, sound

PITCHED = sorted(name for name, made in TABLE.items() if isinstance(made, Sampled | Held | Played))
STRUCK = sorted(name for name, made in TABLE.items() if isinstance(made, Sampled))
KITS = sorted(name for name, made in TABLE.items() if isinstance(made, Kit))
TONES = Bank(None)


def play(instrument: str, pitch: int, velocity: float = 0.7, seconds: float = 1.0, glide: float = 0.0) -> Audio:
    (event,) = plan([Note(0.0, seconds, pitch, velocity, instrument, "lead", glide)])
    return sound(event, TONES)


def middle(instrument: str) -> int:
    return (PLAYING[instrument].low + PLAYING[instrument].high) // 2


def mean_frequency(audio: Audio, about: float) -> float:
    """Mean instantaneous frequency of the partial of `audio` near `about` Hz, weighted by its power."""
    mono = audio.mean(axis=0)[int(0.15 * RATE) : int(0.95 * RATE)]
    size = 1 << 17
    spectrum = np.fft.fft(mono, size)
    f = np.fft.fftfreq(size, 1.0 / RATE)
    partial = np.fft.ifft(spectrum * np.exp(-0.5 * ((f - about) / (0.035 * about)) ** 2))[: mono.size]
    turn = np.angle(np.sum(partial[1:] * np.conj(partial[:-1])))
    return float(turn * RATE / (2 * np.pi))


def log_centroid(audio: Audio) -> float:
    """Centre of the amplitude spectrum in octaves above 1 Hz, of the first 0.4 s."""
    mono = audio.mean(axis=0)[: int(0.4 * RATE)]
    spectrum = np.abs(np.fft.rfft(mono))[20:]
    f = np.fft.rfftfreq(mono.size, 1.0 / RATE)[20:]
    return float(np.sum(spectrum * np.log2(f)) / np.sum(spectrum))


def peak_ms(audio: Audio, share: float = 0.7) -> float:
    """When the level first reaches `share` of its peak."""
    level = np.abs(audio).max(axis=0)
    return float(np.argmax(level >= share * level.max())) / RATE * 1e3


def test_every_instrument_the_palettes_know_can_be_played() -> None:
    assert set(PLAYING) == INSTRUMENTS


@pytest.mark.parametrize("name", PITCHED)
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_pitched_instruments_are_in_tune_over_their_range(name: str, place: float) -> None:
    low, high = PLAYING[name].low, PLAYING[name].high
    pitch = round(low + place * (high - low))
    wanted = dsp.hertz(pitch)
    cents = 1200 * np.log2(mean_frequency(play(name, pitch, 0.6), wanted) / wanted)
    assert abs(cents) < 6.0, cents


@pytest.mark.parametrize("name", PITCHED)
def test_louder_is_brighter_and_louder(name: str) -> None:
    soft, loud = play(name, middle(name), 0.3), play(name, middle(name), 0.95)
    assert log_centroid(loud) > log_centroid(soft) + 0.02
    assert 4.0 < 20 * np.log10(dsp.loudness(loud) / dsp.loudness(soft)) < 24.0


@pytest.mark.parametrize("name", STRUCK)
def test_struck_and_plucked_instruments_speak_at_once(name: str) -> None:
    for pitch in (middle(name), PLAYING[name].high):
        assert peak_ms(play(name, pitch, 0.9)) < 12.0


@pytest.mark.parametrize("name", KITS)
def test_every_stroke_of_a_kit_is_immediate_and_reaches_the_top(name: str) -> None:
    kit = TABLE[name]
    assert isinstance(kit, Kit)
    assert set(kit.strokes) >= {35, 36, 37, 38, 39, 41, 42, 43, 44, 45, 46, 48, 49, 51, 52, 53, 54, 70, 75, 76, 77}
    for key in (36, 38, 42, 49, 70, 76):
        stroke = play(name, key, 0.9)
        assert peak_ms(stroke, 0.5) < 12.0, key
        spectrum = np.abs(np.fft.rfft(stroke.mean(axis=0)[: RATE // 4])) ** 2
        f = np.fft.rfftfreq(min(stroke.shape[1], RATE // 4), 1.0 / RATE)
        top = 10 * np.log10(spectrum[f > 10_000].sum() / spectrum.sum())
        # A dusty or deep drum keeps little of the top, a hat or shaker must keep it.
        assert top > (-14.0 if key in (42, 70) and name != "kit_dusty" else -65.0), (key, top)


@pytest.mark.parametrize("name", sorted(INSTRUMENTS))
def test_notes_begin_and_end_without_a_click_and_hold_no_constant(name: str) -> None:
    pitch = {"fx": 1}.get(name, 38 if name in KITS else middle(name))
    wave = play(name, pitch, 0.8, 0.5)
    assert np.isfinite(wave).all()
    assert np.abs(wave[:, -2:]).max() < 2e-3 * np.abs(wave).max()
    assert np.abs(wave[:, 0]).max() < 0.2 * np.abs(wave).max()
    assert abs(float(wave.mean())) < 5e-3 * np.abs(wave).max()


@pytest.mark.parametrize("name", ["string_ensemble", "warm_pad", "drone", "choir_pad"])
def test_loops_are_seamless(name: str) -> None:
    wave = TONES.tone(name, 57, 0, 0).wave.astype(float)
    steps = np.abs(np.diff(np.concatenate([wave[:, -2000:], wave[:, :2000]], axis=1), axis=1))
    assert steps[:, 1999].max() <= steps.max(axis=1).max()
    assert steps[:, 1999].max() < 5 * steps.mean() + 2


@pytest.mark.parametrize(("kind", "leads"), [(0, True), (1, False), (2, True), (3, False), (4, True)])
def test_effects_that_lead_somewhere_peak_at_their_end(kind: int, leads: bool) -> None:
    wave = play("fx", kind, 0.8, 2.0)
    level = np.sqrt(np.mean(wave[:, : wave.shape[1] // 480 * 480].reshape(2, -1, 480) ** 2, axis=(0, 2)))
    loudest = int(np.argmax(level)) / 100
    assert (1.7 < loudest <= 2.05) if leads else loudest < 0.5
    if leads:
        assert wave.shape[1] <= 2.1 * RATE
        assert level[-1] < 0.2 * level.max()


def test_a_slide_arrives_from_below() -> None:
    # A fifth up into A4: first the lower note, then the upper one.
    wave = play("erhu", 69, 0.7, 1.0, glide=-7.0)
    early = wave[:, int(0.01 * RATE) : int(0.06 * RATE)].mean(axis=0)
    spectrum = np.abs(np.fft.rfft(early * np.hanning(early.size), 1 << 15))
    f = np.fft.rfftfreq(1 << 15, 1.0 / RATE)
    near = (f > 240) & (f < 480)
    assert f[near][np.argmax(spectrum[near])] < 360
    assert abs(1200 * np.log2(mean_frequency(wave, 440.0) / 440.0)) < 12.0


def test_repeated_notes_are_never_identical() -> None:
    notes = [Note(0.5 * k, 0.4, 60, 0.7, "steel_guitar", "lead") for k in range(3)]
    first, second, third = (sound(event, TONES) for event in plan(notes))
    assert not np.allclose(first, second)
    assert not np.allclose(first, third)


def test_a_closed_hat_cuts_off_an_open_one() -> None:
    notes = [Note(0.0, 0.1, 46, 0.8, "kit_pop", "drums"), Note(0.25, 0.1, 42, 0.8, "kit_pop", "drums")]
    open_hat = sound(plan(notes)[0], TONES)
    assert open_hat.shape[1] < 0.3 * RATE < sound(plan(notes[:1])[0], TONES).shape[1]


def test_tied_notes_of_a_wind_are_joined() -> None:
    notes = [
        Note(0.0, 0.52, 72, 0.7, "flute", "lead"),
        Note(0.5, 0.5, 74, 0.7, "flute", "lead"),
        Note(1.4, 0.5, 76, 0.7, "flute", "lead"),
    ]
    assert [event.legato for event in plan(notes)] == [False, True, False]


def test_an_unknown_instrument_or_key_is_named() -> None:
    with pytest.raises(ValueError, match="kazoo"):
        plan([Note(0.0, 1.0, 60, 0.7, "kazoo", "lead")])
    with pytest.raises(ValueError, match="no key 99"):
        play("kit_pop", 99)


def test_tones_kept_on_disk_come_back_the_same(tmp_path: Path) -> None:
    made = Bank(tmp_path).tone("pizzicato", 60, 1, 0)
    again = Bank(tmp_path).tone("pizzicato", 60, 1, 0)
    assert again.scale == pytest.approx(made.scale, rel=1e-6)
    assert np.array_equal(again.wave, made.wave)
    (file,) = tmp_path.rglob("*.tone")
    file.write_bytes(file.read_bytes()[:1000])  # a torn file is made anew
    assert np.array_equal(Bank(tmp_path).tone("pizzicato", 60, 1, 0).wave, made.wave)


def test_a_bank_without_a_writable_folder_still_plays(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert Bank(blocked / "tones").tone("marimba", 60, 0, 0).wave.size


def test_a_bank_forgets_what_it_used_longest_ago() -> None:
    small = Bank(None, memory_bytes=1)
    first = small.tone("marimba", 60, 0, 0)
    small.tone("marimba", 62, 0, 0)
    assert small.tone("marimba", 60, 0, 0) is not first
    assert len(LAYERS) == 3

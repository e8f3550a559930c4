"""The gate: good music passes, every defect built into it is found and named, and nothing hangs on how loud it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvm_plugin import gate
from gvm_plugin.timeline import SAMPLE_RATE as RATE

Audio = npt.NDArray[np.float32]
SECONDS = 12.0
CHORDS = ((0, 4, 7), (9, 0, 4), (5, 9, 0), (7, 11, 2))  # C Am F G


@cache
def music(seconds: float = SECONDS, turn: int = 0, seed: int = 0) -> Audio:
    """Four chords of two seconds over and over with a tune, ending on the first and ringing out; in C, or turned."""
    rng = np.random.default_rng(seed)
    wave = np.zeros(round(seconds * RATE))

    def note(at: float, tone: float, gain: float, ring: float) -> None:
        first = round(at * RATE)
        t = np.arange(len(wave) - first) / RATE
        hertz = 261.6 * 2 ** ((tone + turn) / 12)
        sound = sum(np.sin(2 * np.pi * hertz * k * t) * np.exp(-t * k / ring) / k for k in (1, 2, 3, 4))
        wave[first:] += gain * np.minimum(t / 0.005, 1) * sound

    beats = np.arange(0, seconds - 2.5, 0.5)
    for number, at in enumerate(beats):
        chord = CHORDS[number // 4 % 4]
        if number % 4 == 0:
            for tone in chord:
                note(at, tone - 12, 0.15, 1.5)
        if rng.random() < 0.8:
            note(at + 0.25 * (rng.random() < 0.4), rng.choice(chord) + 12 * (rng.random() < 0.3), 0.2, 0.4)
    for tone in CHORDS[0]:
        note(float(beats[-1] + 0.5), tone, 0.2, 0.6)
    sides = np.stack([wave, np.roll(wave, 300)]) + rng.normal(0, 1e-4, (2, len(wave)))
    return np.asarray(0.5 * sides / np.abs(sides).max(), np.float32)


def kinds(audio: Audio, followed: bool = False) -> list[str]:
    return [fault.kind for fault in gate.faults(gate.listen(audio), followed, audio.shape[1] / RATE)]


def hole(audio: Audio) -> Audio:
    made = audio.copy()
    made[:, 4 * RATE : 6 * RATE] *= 1e-4
    return made


def dropout(audio: Audio) -> Audio:
    made = audio.copy()
    made[:, 4 * RATE + 5000 : 4 * RATE + 10_000] = 0
    return made


def clipping(audio: Audio) -> Audio:
    return np.clip(3 * audio, -0.4, 0.4)


def absurd(audio: Audio) -> Audio:
    return 12 * audio


def clicks(audio: Audio) -> Audio:
    made = audio.copy()
    for at in range(2 * RATE, 10 * RATE, RATE // 2 + 777):
        made[:, at] += 0.5
    return made


def offset(audio: Audio) -> Audio:
    return audio + np.float32(0.1)


def ticking(audio: Audio) -> Audio:
    t = np.arange(RATE // 2) / RATE
    tick = 0.3 * np.sin(2 * np.pi * 1500 * t) * np.exp(-t * 50)
    return np.tile(tick, (2, audio.shape[1] // len(tick) + 1))[:, : audio.shape[1]].astype(np.float32)


def broken_off(audio: Audio) -> Audio:
    return audio[:, : round(8.1 * RATE)]


def nothing(audio: Audio) -> Audio:
    return audio * np.float32(1e-4)


DEFECTS: dict[Callable[[Audio], Audio], str] = {
    hole: "hole", dropout: "dropout", clipping: "clipping", absurd: "peak", clicks: "clicks", offset: "dc",
    ticking: "ticking", broken_off: "ending", nothing: "silence",
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_good_music_passes(seed: int) -> None:
    assert kinds(music(seed=seed)) == []


@pytest.mark.parametrize("make", DEFECTS, ids=lambda make: make.__name__)
def test_a_defect_is_found_and_named(make: Callable[[Audio], Audio]) -> None:
    found = gate.faults(gate.listen(make(music())), False, SECONDS)
    assert DEFECTS[make] in [fault.kind for fault in found]
    assert all(fault.severity >= 1 and fault.words for fault in found)
    assert [fault.severity for fault in found] == sorted((fault.severity for fault in found), reverse=True)


def test_digital_silence_is_one_fault_and_no_error() -> None:
    assert kinds(np.zeros((2, 8 * RATE), np.float32)) == ["silence"]
    assert kinds(np.zeros((2, 0), np.float32)) == ["silence"]


def test_where_another_cue_takes_over_nothing_has_to_end() -> None:
    assert kinds(broken_off(music()), followed=True) == []


def test_a_take_that_is_faded_out_has_an_end() -> None:
    audio = broken_off(music())
    assert gate.faults(gate.listen(audio, fade=2.0), False, 8.1) == ()


def test_silence_outside_of_the_cue_is_no_hole() -> None:
    audio = np.concatenate([np.zeros((2, 2 * RATE), np.float32), music()], axis=1)
    assert gate.listen(audio, lead=2.0).silence < 0.1
    assert gate.listen(audio).silence == pytest.approx(2.0, abs=0.05)


def test_short_cues_are_not_asked_for_what_they_cannot_show() -> None:
    piece = music()[:, 2 * RATE : 5 * RATE]
    assert kinds(piece) == []


def test_a_sine_at_its_top_is_not_clipped() -> None:
    t = np.arange(8 * RATE) / RATE
    for hertz in (55.0, 110.0, 440.0):
        wave = np.tile(0.5 * np.sin(2 * np.pi * hertz * t), (2, 1)).astype(np.float32)
        assert gate.listen(wave).clipped <= gate.MOST_CLIPPED, hertz


def test_keys_that_are_far_apart_clash_and_near_ones_do_not() -> None:
    closing = gate.listen(music()).closing
    clashes = [gate.clash(closing, gate.listen(music(seed=5, turn=turn)).closing) for turn in range(12)]
    assert clashes[0] < -0.8
    assert all(clashes[turn] <= gate.MOST_CLASH for turn in (0, 5, 7))  # the same, a fourth, a fifth
    assert all(clashes[turn] > gate.MOST_CLASH for turn in (1, 6, 11))  # a semitone, a tritone
    assert gate.clash_fault(clashes[6], "B")[0].words == "its key clashes with that of cue B where they meet"
    assert gate.clash_fault(clashes[0], "B") == ()
    assert gate.clash((), closing) == -1.0


shares = st.lists(st.floats(0.0, 1.0), min_size=12, max_size=12).filter(lambda x: max(x) - min(x) > 0.1)


@given(a=shares, b=shares, turn=st.integers(0, 11))
@settings(max_examples=60, deadline=None)
def test_clash_is_symmetric_bounded_and_the_same_in_every_key(a: list[float], b: list[float], turn: int) -> None:
    value = gate.clash(a, b)
    assert -1 - 1e-9 <= value <= 1 + 1e-9
    assert gate.clash(b, a) == pytest.approx(value, abs=1e-9)
    assert gate.clash(a, a) == pytest.approx(-1)
    turned = gate.clash(np.roll(a, turn).tolist(), np.roll(b, turn).tolist())
    assert turned == pytest.approx(value, abs=1e-9)


@given(gain=st.floats(0.1, 4.0))
@settings(max_examples=5, deadline=None)
def test_how_loud_a_take_is_decides_nothing(gain: float) -> None:
    quiet, loud = gate.listen(music(8.0)), gate.listen((gain * music(8.0)).astype(np.float32))
    assert quiet.silence == loud.silence and quiet.dropouts == loud.dropouts
    assert loud.ticking == pytest.approx(quiet.ticking, abs=1e-3)
    assert loud.ending_db == pytest.approx(quiet.ending_db, abs=0.05)
    assert loud.opening == pytest.approx(quiet.opening, abs=1e-3)
    assert loud.level_db == pytest.approx(quiet.level_db + 20 * np.log10(gain), abs=0.05)


def test_pitch_classes_are_those_played() -> None:
    t = np.arange(2 * RATE) / RATE
    wave = sum(np.sin(2 * np.pi * 261.626 * 2 ** (tone / 12) * t) for tone in (0, 4, 7))
    heard = gate.chroma(np.tile(0.1 * np.asarray(wave), (2, 1)).astype(np.float32))
    assert sum(heard) == pytest.approx(1, abs=1e-3)
    assert sorted(np.argsort(heard)[-3:]) == [0, 4, 7]
    assert gate.chroma(np.zeros((2, RATE), np.float32)) == ()

"""Chords by name, scales that fit them, and moving by step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.starter.theory import (
    MODES,
    bass_pitch,
    chord_classes,
    chord_ladder,
    clashes,
    lead_voices,
    move,
    nearest,
    parse_chord,
    parse_progression,
    scale_ladder,
    stable_ladder,
)
from core.starter.vocab import QUALITIES

CHORDS = st.tuples(st.integers(0, 11), st.integers(0, len(QUALITIES) - 1))


@pytest.mark.parametrize(
    ("numeral", "root", "quality"),
    [("I", 0, "maj"), ("bVI", 8, "maj"), ("ii7", 2, "min7"), ("V9", 7, "dom9"), ("viio", 11, "dim"), ("i5", 0, "fifth"),
     ("IVadd9", 5, "add9"), ("Isus", 0, "sus"), ("iv9", 5, "min9"), ("#iv", 6, "min"), ("bvo", 6, "dim")],
)  # fmt: skip
def test_roman_numerals(numeral: str, root: int, quality: str) -> None:
    chord = parse_chord(numeral)
    assert (chord[0], QUALITIES[chord[1]][0]) == (root, quality)


@pytest.mark.parametrize("wrong", ["", "H", "Ixyz", "vmaj7", "bb"])
def test_what_is_no_chord_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="is not a chord"):
        parse_chord(wrong)


def test_a_progression_is_its_chords() -> None:
    assert parse_progression("ii7 V9 Imaj7") == (parse_chord("ii7"), parse_chord("V9"), parse_chord("Imaj7"))


def test_the_leading_tone_replaces_the_minor_seventh_over_a_major_dominant() -> None:
    over_dominant = {pitch % 12 for pitch in scale_ladder("minor", parse_chord("V"))}
    assert 11 in over_dominant and 10 not in over_dominant
    assert {pitch % 12 for pitch in scale_ladder("minor", parse_chord("i"))} == set(MODES["minor"])


@given(st.sampled_from(sorted(MODES)), CHORDS)
def test_a_melody_may_rest_on_every_stable_note(mode: str, chord: tuple[int, int]) -> None:
    stable = stable_ladder(mode, chord)
    assert set(chord_ladder(chord)) <= set(stable)
    assert not any(clashes(pitch, chord) for pitch in stable)


@given(st.sampled_from(sorted(MODES)), CHORDS, st.integers(0, 35), st.integers(1, 4))
def test_moving_up_and_down_stays_on_the_ladder(mode: str, chord: tuple[int, int], pitch: int, degrees: int) -> None:
    ladder = scale_ladder(mode, chord)
    up, down = move(ladder, pitch, degrees), move(ladder, pitch, -degrees)
    assert up in ladder and down in ladder
    assert up > pitch or up == ladder[-1]
    assert down < pitch or down == ladder[0]


def test_moving_from_between_two_rungs_reaches_the_neighbours() -> None:
    assert move((0, 4, 7), 5, 1) == 7
    assert move((0, 4, 7), 5, -1) == 4


def test_nearest_prefers_the_side_it_came_from() -> None:
    assert nearest((0, 4), 2, toward=9) == 4
    assert nearest((0, 4), 2, toward=-3) == 0


@given(CHORDS, CHORDS)
def test_voices_keep_common_tones_and_do_not_cross(one: tuple[int, int], other: tuple[int, int]) -> None:
    before = lead_voices((12, 16, 19), one)
    after = lead_voices(before, other)
    assert len(after) == 3
    assert list(after) == sorted(after) or len(set(after)) == 3
    assert {voice % 12 for voice in after} <= chord_classes(other)
    assert lead_voices(before, one) == before


def test_bass_roots_stay_near_the_tonic() -> None:
    assert sorted(bass_pitch(root) for root in range(12)) == list(range(-5, 7))

from __future__ import annotations

import dataclasses

import pytest

from gvm_plugin.options import PRESETS, ScoreOptions


def test_defaults_are_valid_and_frozen() -> None:
    options = ScoreOptions()
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.seed = 3  # type: ignore[misc]


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_gives_the_loudness_and_lufs_overrides_it(preset: str) -> None:
    assert ScoreOptions(preset=preset).target_lufs == PRESETS[preset]
    assert ScoreOptions(preset=preset, lufs=-18.5).target_lufs == -18.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("style", "polka"),
        ("mood", 1.5),
        ("energy", -0.1),
        ("tempo", 12.0),
        ("key", "H"),
        ("key", "Cmaj"),
        ("seed", -1),
        ("takes", 0),
        ("preset", "cinema"),
        ("lufs", float("nan")),
        ("duck", -3.0),
        ("original", "mute"),
        ("crossfade", 9.0),
        ("max_cue", 13.0),
    ],
)
def test_values_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        ScoreOptions(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["C", "F#", "Bb", "Am", "C#m", "Ebm"])
def test_keys_as_musicians_write_them(key: str) -> None:
    assert ScoreOptions(key=key).key == key


def test_a_second_track_needs_a_film() -> None:
    with pytest.raises(ValueError, match="separate_track"):
        ScoreOptions(music_only=True, separate_track=True)

"""The orchestras: complete, playable by the synthesiser, balanced, and different from each other."""

from __future__ import annotations

import numpy as np
import pytest

from core.starter import vocab as v
from core.starter.drumming import KEYS, PERC_KEYS, keys_of
from core.starter.notes import STEMS
from core.starter.palettes import INSTRUMENTS, PALETTES, ROOMS, STYLES, Palette, choose_palette
from core.starter.styles import STYLES as COMPOSED
from core.starter.synth import INSTRUMENTS as SYNTHESISED
from core.starter.synth import ROOMS as BUILT

EVERY = [pytest.param(p, id=f"{style}: {p.name}") for style, variants in PALETTES.items() for p in variants]


def test_every_style_that_can_be_composed_has_two_or_three_orchestras() -> None:
    assert set(STYLES) == set(COMPOSED)
    assert all(len(variants) in (2, 3) for variants in PALETTES.values())


def test_the_synthesiser_has_every_instrument_and_room() -> None:
    assert set(INSTRUMENTS) <= set(SYNTHESISED)
    assert set(ROOMS) <= set(BUILT)


@pytest.mark.parametrize("palette", EVERY)
def test_an_orchestra_is_complete_and_balanced(palette: Palette) -> None:
    for stem in STEMS:
        part = palette.part(stem)
        assert part.instrument in INSTRUMENTS
        assert -18.0 <= part.level_db <= 3.0
        assert -0.5 <= part.pan <= 0.5
        assert 0.0 <= part.send <= 0.5
    assert palette.room in ROOMS
    assert palette.pad.playing.sustained  # it keeps the quiet passages alive
    assert palette.drums.instrument.startswith("kit_")
    assert abs(palette.bass.pan) <= 0.15
    assert 0.5 <= palette.swing <= 0.62
    assert {palette.hit.stab, palette.hit.accent_voice} <= set(INSTRUMENTS)


@pytest.mark.parametrize("palette", EVERY)
def test_an_accent_is_broad_band_and_a_strong_one_stronger(palette: Palette) -> None:
    low, bright = {35, 36, 41, 43}, {37, 38, 39, 46, 49, 51, 52, 53, 54, 76}
    strong, light = dict(palette.hit.drums), dict(palette.hit.accent)
    assert low & set(strong)
    assert bright & set(strong)
    assert bright & set(light)
    assert max(strong.values()) > max(light.values()) - 0.06


def test_instruments_are_loose_by_four_to_twelve_milliseconds_drums_least() -> None:
    assert all(4.0 <= playing.sigma_ms <= 12.0 for name, playing in INSTRUMENTS.items() if name != "fx")
    strings = np.mean([INSTRUMENTS[n].sigma_ms for n in ("string_ensemble", "solo_violin", "low_strings")])
    assert INSTRUMENTS["kit_pop"].sigma_ms < INSTRUMENTS["felt_piano"].sigma_ms < strings


def test_neighbouring_seeds_choose_different_orchestras_the_same_seed_the_same() -> None:
    for style in STYLES:
        assert choose_palette(style, 3) is choose_palette(style, 3)
        assert choose_palette(style, 3) is not choose_palette(style, 4)
    with pytest.raises(ValueError, match="choose one of"):
        choose_palette("polka", 0)


def test_every_kit_has_a_key_for_every_drum_and_every_percussion_code() -> None:
    for name in INSTRUMENTS:
        if name.startswith("kit_"):
            assert all(keys_of(name, drum) for drum in KEYS)
    unpitched = set(range(1, 16)) - {v.PERC_ROLL, v.PERC_RISER, v.PERC_HEARTBEAT}
    assert set(PERC_KEYS) == unpitched

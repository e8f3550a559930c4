from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvm_plugin.character import Character, choose_style
from gvm_plugin.cuesheet import to_yaml
from gvm_plugin.cuesheet_reader import from_yaml
from gvm_plugin.options import STYLES, ScoreOptions
from gvm_plugin.spotting import HIT_SPACING, STRONG, STRONG_SPACING, cue_name, hit_points, spot
from gvm_plugin.timeline import Shot, Span

GREY = (0.4, 0.4, 0.4)
SUNSET, NIGHT = (0.8, 0.5, 0.2), (0.05, 0.08, 0.2)


def look(rgb: tuple[float, float, float]) -> np.ndarray[Any, Any]:
    histogram = np.zeros(64)
    histogram[int(np.clip(np.array(rgb) * 4, 0, 3).astype(int) @ [16, 4, 1])] = 1
    brightness, saturation = float(np.mean(rgb)), (max(rgb) - min(rgb)) / max(rgb)
    return np.concatenate([rgb, [brightness, saturation], histogram]).astype(np.float32)


def film(
    duration: float,
    cuts: Sequence[float] = (),
    colours: Sequence[tuple[float, float, float]] = (),
    strength: float = 0.6,
    activity: float = 0.02,
    music: Sequence[Span] = (),
) -> Any:
    """What analysis says of a film with these cuts; the shots' colours repeat."""
    edges = [0.0, *cuts, duration]
    shots = tuple(Shot(Span(a, b), strength if a else 0.0) for a, b in pairwise(edges))
    colours = colours or (GREY,)
    return SimpleNamespace(
        duration=duration,
        shots=shots,
        looks=np.stack([look(colours[i % len(colours)]) for i in range(len(shots))]),
        activity_times=np.arange(1, duration * 8) / 8,
        activity=np.full(len(np.arange(1, duration * 8)), activity, np.float32),
        speech=(Span(1.0, 2.0),),
        music=tuple(music),
        warnings=(),
    )


def test_a_short_film_is_one_cue_whatever_it_shows() -> None:
    sheet = spot(film(20, cuts=[8], colours=[SUNSET, NIGHT]), ScoreOptions())
    assert [cue.span for cue in sheet.cues] == [Span(0, 20)]


def test_a_new_look_begins_a_new_cue_at_its_cut() -> None:
    sheet = spot(film(80, cuts=[10, 20, 33.7, 50, 65], colours=[SUNSET] * 3 + [NIGHT] * 3), ScoreOptions())
    assert [cue.span for cue in sheet.cues] == [Span(0, 33.7), Span(33.7, 80)]
    assert sheet.cues[0].mood > sheet.cues[1].mood
    assert "another look" in sheet.cues[1].reason


def test_alternating_shots_of_one_scene_stay_together() -> None:
    sheet = spot(film(60, cuts=range(4, 60, 4), colours=[SUNSET, NIGHT]), ScoreOptions())
    assert len(sheet.cues) == 1


def test_a_long_single_look_is_divided_evenly() -> None:
    sheet = spot(film(600), ScoreOptions())
    assert len(sheet.cues) == 5
    assert all(cue.span.duration == pytest.approx(120) for cue in sheet.cues)


def test_existing_music_is_left_alone_and_said() -> None:
    sheet = spot(film(90, music=[Span(30, 50), Span(80, 82)]), ScoreOptions())
    assert [(cue.span, cue.silent) for cue in sheet.cues] == [
        (Span(0, 30), False),
        (Span(30, 50), True),
        (Span(50, 90), False),
    ]
    assert "music of its own" in sheet.cues[1].reason
    assert len(sheet.warnings) == 1 and "0:30.000" in sheet.warnings[0]


def test_no_sliver_of_music_beside_music() -> None:
    sheet = spot(film(60, music=[Span(3, 57)]), ScoreOptions())
    assert [(cue.span, cue.silent) for cue in sheet.cues] == [(Span(0, 60), True)]


@settings(deadline=None, max_examples=60)
@given(
    st.floats(0.6, 1500),
    st.lists(st.floats(0.01, 0.99), max_size=40, unique=True),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 0.3)), max_size=3),
    st.lists(st.sampled_from([SUNSET, NIGHT, GREY]), min_size=1, max_size=7),
    st.floats(0, 1),
)
def test_cues_tile_the_film_and_the_sheet_can_be_written(
    duration: float,
    cuts: list[float],
    music: list[tuple[float, float]],
    colours: list[tuple[float, float, float]],
    strength: float,
) -> None:
    spans = [Span(duration * start, min(duration, duration * (start + length))) for start, length in music]
    options = ScoreOptions()
    sheet = spot(film(duration, sorted({duration * c for c in cuts}), colours, strength, 0.02, spans), options, "a.mp4")
    assert sheet.cues[0].span.start == 0 and sheet.cues[-1].span.end == sheet.duration
    assert all(a.span.end == b.span.start for a, b in pairwise(sheet.cues))
    sounding = sheet.sounding
    assert all(cue.span.duration <= options.max_cue + 1e-5 for cue in sounding)
    for before, after in pairwise(sheet.cues):
        if not before.silent and not after.silent:
            assert min(before.span.duration, after.span.duration) >= options.min_cue - 1e-5
    for cue in sheet.cues:
        assert all(cue.span.start <= hit.seconds < cue.span.end for hit in cue.hits)
        assert all(b.seconds - a.seconds >= HIT_SPACING - 1e-5 for a, b in pairwise(cue.hits))
        strong = [hit.seconds for hit in cue.hits if hit.strength >= STRONG]
        assert all(b - a >= STRONG_SPACING - 1e-5 for a, b in pairwise(strong))
        assert cue.style in STYLES and cue.reason
    assert from_yaml(to_yaml(sheet), "x") == sheet


def shots_at(*cuts: tuple[float, float], end: float = 60.0) -> list[Shot]:
    edges = [(0.0, 0.0), *cuts, (end, 0.0)]
    return [Shot(Span(a[0], b[0]), a[1]) for a, b in pairwise(edges)]


def test_lonely_hard_cuts_are_strong_and_crowded_ones_are_not() -> None:
    hits = {hit.seconds: hit.strength for hit in hit_points(shots_at((10, 0.7), (20, 0.7), (20.9, 0.7)), Span(0, 60))}
    assert hits[10] == 0.7
    assert hits[20] < STRONG and hits[20.9] < STRONG


def test_every_cut_far_enough_from_the_next_is_at_least_lightly_marked() -> None:
    hits = hit_points(shots_at(*((t, 0.1) for t in (3.0, 3.8, 4.6, 5.4))), Span(0, 60))
    assert [hit.seconds for hit in hits] == [3.0, 3.8, 4.6, 5.4]
    assert all(0.2 <= hit.strength < STRONG for hit in hits)


def test_of_cuts_in_a_flurry_the_hardest_is_marked() -> None:
    hits = hit_points(shots_at((3.0, 0.3), (3.2, 0.8), (3.5, 0.3)), Span(0, 60))
    assert [hit.seconds for hit in hits] == [3.2]


def test_a_cut_one_hardly_sees_is_marked_only_when_alone_and_weakens_no_other() -> None:
    hits = hit_points(shots_at((3.0, 0.8), (4.0, 0.01), (9.0, 0.01)), Span(0, 60))
    assert [(hit.seconds, hit.strength) for hit in hits] == [(3.0, 0.8), (9.0, 0.2)]


def test_styles_follow_the_picture() -> None:
    quick_and_bright = film(60, cuts=range(2, 60, 2), colours=[(0.7, 0.65, 0.5)], activity=0.08)
    still_and_cold = film(60, colours=[(0.4, 0.45, 0.55)], activity=0.004)
    dark_and_moving = film(60, cuts=range(7, 60, 7), colours=[(0.16, 0.18, 0.2)], activity=0.03)
    styles = {spot(f, ScoreOptions()).cues[0].style for f in (quick_and_bright, still_and_cold, dark_and_moving)}
    assert len(styles) == 3
    energies = [spot(f, ScoreOptions()).cues[0].energy or 0 for f in (quick_and_bright, still_and_cold)]
    assert energies[0] > energies[1] + 0.3


def test_every_style_can_be_chosen_but_strong_flavours_are_rare() -> None:
    rng = np.random.default_rng(0)
    chosen = [choose_style(Character(*row)) for row in rng.uniform(0, 1, (4000, 5))]
    shares = {style: chosen.count(style) / len(chosen) for style in STYLES}
    assert all(share > 0.005 for share in shares.values()), shares
    assert shares["chinese"] < 0.08 and shares["tension"] < 0.08


def test_a_film_full_of_speech_gets_no_busy_style() -> None:
    talk = film(60, cuts=range(3, 60, 3), colours=[(0.5, 0.4, 0.3)], activity=0.02)
    silent_style = spot(talk, ScoreOptions()).cues[0].style
    talk.speech = (Span(0, 55),)
    cue = spot(talk, ScoreOptions()).cues[0]
    assert silent_style in ("funk", "upbeat") and cue.style in ("acoustic", "documentary", "lofi")
    assert "much speech" in cue.reason


def test_what_is_asked_for_is_obeyed() -> None:
    options = ScoreOptions(style="lofi", mood=-0.5, energy=0.9, tempo=77.0, key="Am")
    cue = spot(film(20), options).cues[0]
    assert (cue.style, cue.mood, cue.energy, cue.tempo, cue.key) == ("lofi", -0.5, 0.9, 77.0, "Am")


def test_seeds_differ_between_cues_films_and_base_seeds() -> None:
    picture = film(600)
    seeds = [
        cue.seed
        for options, content in ((ScoreOptions(), "aa"), (ScoreOptions(), "bb"), (ScoreOptions(seed=1), "aa"))
        for cue in spot(picture, options, "f.mp4", content).cues
    ]
    assert len(set(seeds)) == len(seeds) == 15
    again = spot(picture, replace(ScoreOptions(), takes=4), "g.mp4", "aa").cues
    assert [cue.seed for cue in again] == seeds[:5]


def test_cue_names_are_unique() -> None:
    assert len({cue_name(i) for i in range(200)}) == 200

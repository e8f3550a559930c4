"""Tempo, phase and bends: cuts on beats, the ending where it should be, time always forwards."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.starter.grid import Grid
from core.starter.tempo import BEND, plan_grid

durations = st.floats(0.3, 90.0)
hit_lists = st.lists(st.tuples(st.floats(0.0, 90.0), st.floats(0.05, 1.0)), max_size=12)


def make(duration: float, hits: list[tuple[float, float]], button: bool = False, seed: int = 0) -> Grid:
    return plan_grid(duration, hits, (84.0, 120.0), 16, button, np.random.default_rng(seed))


@settings(deadline=None, max_examples=60)
@given(durations, hit_lists, st.booleans())
def test_time_runs_forwards_and_covers_the_cue(duration: float, hits: list[tuple[float, float]], button: bool) -> None:
    grid = make(duration, hits, button)
    steps = np.diff(grid.seconds)
    assert grid.seconds[0] == 0.0
    assert (steps > 0).all()
    assert grid.seconds[-1] >= duration - 1e-6
    assert grid.seconds[-2] < duration + 1e-6
    assert 0 <= grid.final_step < grid.steps


@settings(deadline=None, max_examples=60)
@given(st.floats(4.0, 90.0), hit_lists)
def test_the_beat_never_bends_by_more_than_four_per_cent(duration: float, hits: list[tuple[float, float]]) -> None:
    grid = make(duration, hits)
    steps = np.diff(grid.seconds)
    assert steps.max() / steps.min() <= (1 + BEND) / (1 - BEND) + 1e-6


@settings(deadline=None, max_examples=60)
@given(st.floats(8.0, 90.0), hit_lists)
def test_the_last_downbeat_leaves_room_to_ring(duration: float, hits: list[tuple[float, float]]) -> None:
    grid = make(duration, hits)
    ring = duration - grid.seconds[grid.final_step]
    assert 1.15 <= ring <= 3.0 + 1e-6


@settings(deadline=None, max_examples=60)
@given(durations, hit_lists)
def test_every_hit_keeps_its_exact_time_and_gets_the_nearest_step(
    duration: float, hits: list[tuple[float, float]]
) -> None:
    grid = make(duration, hits)
    inside = sorted(hit for hit in hits if hit[0] < duration)
    assert [(h.seconds, h.strength) for h in grid.hits] == inside
    for hit in grid.hits:
        assert abs(grid.seconds[hit.step] - hit.seconds) == pytest.approx(np.abs(grid.seconds[:-1] - hit.seconds).min())


def test_a_few_well_spaced_cuts_all_fall_exactly_on_sixteenths() -> None:
    hits = [(2.1, 0.9), (5.3, 0.7), (8.17, 1.0), (11.9, 0.6)]
    grid = make(20.0, hits)
    for hit in grid.hits:
        assert grid.seconds[hit.step] == pytest.approx(hit.seconds, abs=1e-9)


def test_a_strong_cut_before_the_out_gets_the_last_chord() -> None:
    grid = make(30.0, [(27.8, 1.0)])
    assert grid.seconds[grid.final_step] == pytest.approx(27.8, abs=1e-9)


def test_a_tempo_that_is_asked_for_is_kept() -> None:
    grid = plan_grid(30.0, [], (100.0, 100.0), 16, False, np.random.default_rng(0))
    assert grid.tempo_bpm == pytest.approx(100.0, rel=0.03)


def test_a_button_stands_just_before_the_out() -> None:
    grid = make(20.0, [], button=True)
    assert 0.35 - 1e-6 <= 20.0 - grid.seconds[grid.final_step] <= 0.95 + 1e-6


def test_an_impossible_tempo_is_refused() -> None:
    with pytest.raises(ValueError, match="tempo range"):
        plan_grid(10.0, [], (5.0, 900.0), 16, False, np.random.default_rng(0))

"""Tempo, phase and bends: cuts on beats, the ending where it should be, time always forwards."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.starter.grid import Grid
from core.starter.tempo import BEND, plan_grid


def make(duration: float, hits: list[tuple[float, float]], button: bool = False, seed: int = 0) -> Grid:
    return plan_grid(duration, hits, (84.0, 120.0), 16, button, np.random.default_rng(seed))


@settings(deadline=None, max_examples=80)
@given(
    st.one_of(st.floats(0.3, 8.0), st.floats(8.0, 90.0)),
    st.lists(st.tuples(st.floats(0.0, 90.0), st.floats(0.05, 1.0)), max_size=12),
    st.booleans(),
)
def test_any_cue_with_any_hits(duration: float, hits: list[tuple[float, float]], button: bool) -> None:
    """Time runs forwards and covers the cue, the beat bends by 4 % at most, every hit keeps its time, the end rings."""
    grid = make(duration, hits, button)
    steps = np.diff(grid.seconds)
    assert grid.seconds[0] == 0.0
    assert (steps > 0).all()
    assert grid.seconds[-1] >= duration - 1e-6
    assert grid.seconds[-2] < duration + 1e-6
    assert 0 <= grid.final_step < grid.steps

    inside = sorted(hit for hit in hits if hit[0] < duration)
    assert [(h.seconds, h.strength) for h in grid.hits] == inside
    for hit in grid.hits:
        assert abs(grid.seconds[hit.step] - hit.seconds) == pytest.approx(np.abs(grid.seconds[:-1] - hit.seconds).min())

    if duration >= 4:
        assert steps.max() / steps.min() <= (1 + BEND) / (1 - BEND) + 1e-6
    if duration >= 8 and not button:
        assert 1.15 <= duration - grid.seconds[grid.final_step] <= 3.0 + 1e-6


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

"""Intervals that hold what they promise, differences film by film, ranks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvm_plugin.evaluate import statistics
from gvm_plugin.evaluate.statistics import chance_rank, mean, of_sets, paired, ranks, share

numbers = st.floats(-100, 100, allow_nan=False)


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_the_interval_of_a_mean_covers_the_truth(draw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """30 films, 200 times: about 95 of 100 intervals hold the true mean, also where values are lopsided."""
    monkeypatch.setattr(statistics, "RESAMPLES", 399)
    random = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        values = random.normal(3.0, 2.0, 30) if draw == "normal" else random.exponential(3.0, 30)
        estimate = mean(list(values))
        assert estimate is not None
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= 3.0 <= estimate.high
    assert 0.89 <= covered / 200 <= 0.99


def test_a_figure_of_sets_has_an_interval_around_itself() -> None:
    """The distance of two sets comes out larger with films drawn twice; its interval doesn't move away with it."""
    random = np.random.default_rng(2)
    ours, theirs = random.normal(0, 1, (24, 4)), random.normal(0.5, 1, (24, 4))

    def spread_and_distance(chosen: np.ndarray) -> float:
        a, b = ours[chosen], theirs[chosen]
        return float(np.square(a.mean(0) - b.mean(0)).sum() + np.square(np.cov(a.T) - np.cov(b.T)).sum())

    estimate = of_sets(spread_and_distance, 24, 200, least=0.0)
    assert estimate.low is not None
    assert estimate.high is not None
    assert 0.0 <= estimate.low < estimate.value < estimate.high


def test_the_interval_of_a_set_covers_what_sets_of_this_size_have() -> None:
    random = np.random.default_rng(9)

    def figure(values: np.ndarray) -> float:
        return float(np.var(values, ddof=1))

    truth = 4.0  # the variance is unbiased, so this is what sets of any size have on the mean
    covered = 0
    for _ in range(120):
        values = random.normal(0, 2.0, 60)
        estimate = of_sets(lambda chosen, values=values: figure(values[chosen]), 60, 200)
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= truth <= estimate.high
    assert covered / 120 > 0.86


def test_the_same_values_give_the_same_figures() -> None:
    values = [0.1, 0.5, 0.2, 0.9, None, 0.4]
    assert mean(values) == mean(values)
    assert paired(values, values[::-1]) == paired(values, values[::-1])


def test_what_is_not_there_does_not_count() -> None:
    estimate = mean([1.0, None, 3.0])
    assert estimate is not None
    assert (estimate.value, estimate.n) == (2.0, 2)
    assert mean([None, None]) is None
    assert mean([]) is None
    alone = mean([4.0])
    assert alone is not None
    assert (alone.value, alone.low, alone.high, alone.n) == (4.0, None, None, 1)
    equal = mean([0.3, 0.3, 0.3])
    assert equal is not None
    assert equal.low == equal.high == pytest.approx(0.3)


@given(st.lists(numbers, min_size=2, max_size=12))
@settings(max_examples=25, deadline=None)
def test_a_mean_lies_in_its_interval_and_that_among_the_values(values: list[float]) -> None:
    estimate = mean(list(values))
    assert estimate is not None
    assert estimate.low is not None
    assert estimate.high is not None
    slack = 1e-6 * max(1.0, max(map(abs, values)))
    assert min(values) - slack <= estimate.low <= estimate.value + slack
    assert estimate.value - slack <= estimate.high <= max(values) + slack


def test_differences_are_film_by_film() -> None:
    """A small gain on every film is found, though the films differ from each other far more than the systems."""
    films = np.linspace(0, 100, 12)
    gain = np.array([0.9, 1.1, 1.0, 1.2, 0.8, 1.0, 1.05, 0.95, 1.1, 0.9, 1.0, 1.0])
    difference = paired(list(films + gain), list(films))
    assert difference is not None
    assert difference.estimate.value == pytest.approx(1.0)
    assert difference.estimate.low is not None
    assert difference.estimate.low > 0.9
    assert difference.p == pytest.approx(2 / 2**12)  # all twelve signs alike, either way


def test_no_difference_is_no_finding() -> None:
    random = np.random.default_rng(0)
    found = 0
    for _ in range(60):
        ours, theirs = random.normal(0, 1, (2, 10))
        difference = paired(list(ours), list(theirs))
        assert difference is not None
        assert difference.p is not None
        found += difference.p < 0.05
    assert found <= 8  # 3 are to be expected
    same = paired([1.0, 2.0], [1.0, 2.0])
    assert same is not None
    assert same.p == 1.0
    assert paired([1.0, None], [None, 1.0]) is None


def test_a_share_of_all_or_none_still_has_an_interval() -> None:
    every, never = share([True] * 12), share([False] * 12)
    assert every is not None
    assert never is not None
    assert every.value == 1.0
    assert every.low == pytest.approx(0.7575, abs=1e-3)  # Wilson's lower bound, z = 1.96
    assert never.high == pytest.approx(1 - 0.7575, abs=1e-3)
    assert share([]) is None


def test_the_rank_of_the_own_music() -> None:
    scores = np.array([[0.9, 0.1, 0.2], [0.5, 0.4, 0.1], [0.3, 0.3, 0.3]])
    assert ranks(scores).tolist() == [1.0, 2.0, 2.0]  # the last: three alike share 1, 2 and 3
    assert chance_rank(12) == 6.5


@given(st.integers(2, 8), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_ranks_depend_on_order_alone(count: int, seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=(count, count))
    places = ranks(scores)
    assert ((places >= 1) & (places <= count)).all()
    assert (ranks(np.exp(2 * scores) + 5) == places).all()
    assert all(math.isclose(place, 1 + (scores[i] > scores[i, i]).sum()) for i, place in enumerate(places))

"""Means with 95 % intervals, paired differences, shares and ranks. Pure and seeded: the same values, the same figures.

What is drawn again and again is films, never windows or seconds of one film, which are no independent evidence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

LEVEL: Final = 0.95
RESAMPLES: Final = 9999
SEED: Final = 0

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval from `n` films; low and high are None where there are too few to say."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Difference:
    """What one system has over another, film by film. p: two-sided, that it is so by chance; None if not tested."""

    estimate: Estimate
    p: float | None


def mean(values: Sequence[float | None]) -> Estimate | None:
    """Mean of what is there, with a BCa bootstrap interval over films (Efron, JASA 82(397), 1987)."""
    there = np.array([value for value in values if value is not None], np.float64)
    if not len(there):
        return None
    middle = float(there.mean())
    if len(there) < 2:
        return Estimate(middle, None, None, len(there))
    spread = float(np.ptp(there))
    if spread <= 1e-12 * max(1.0, abs(middle)):
        return Estimate(middle, middle, middle, len(there))
    from scipy.stats import bootstrap

    result = bootstrap(
        (there,), np.mean, n_resamples=RESAMPLES, confidence_level=LEVEL, method="BCa", rng=np.random.default_rng(SEED)
    )
    low, high = result.confidence_interval
    return Estimate(middle, float(low), float(high), len(there))


def paired(values: Sequence[float | None], baseline: Sequence[float | None]) -> Difference | None:
    """Mean of `values` - `baseline` over the films that have both, with its interval.

    p is from the permutation test of signs: were the two systems alike, each difference could as well have the other
    sign. All sign patterns are counted up to 13 films, 9999 random ones beyond.
    """
    both = [(a, b) for a, b in zip(values, baseline, strict=True) if a is not None and b is not None]
    if not both:
        return None
    ours, theirs = np.array(both, np.float64).T
    estimate = mean(list(ours - theirs))
    assert estimate is not None
    if len(both) < 2:
        return Difference(estimate, None)
    if not np.any(ours != theirs):
        return Difference(estimate, 1.0)
    from scipy.stats import permutation_test

    test = permutation_test(
        (ours, theirs),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(SEED),
    )
    return Difference(estimate, min(1.0, float(test.pvalue)))


def share(hits: Sequence[bool]) -> Estimate | None:
    """Share of `hits` with Wilson's interval (JASA 22(158), 1927), which doesn't shrink to nothing at 0 and 1."""
    if not hits:
        return None
    from scipy.stats import binomtest

    count = sum(hits)
    interval = binomtest(count, len(hits)).proportion_ci(LEVEL, method="wilson")
    return Estimate(count / len(hits), float(interval.low), float(interval.high), len(hits))


def of_sets(
    statistic: Callable[[npt.NDArray[np.intp]], float], n: int, resamples: int, least: float = -math.inf
) -> Estimate:
    """A figure that only a set of films has (such as FAD), with a bootstrap interval over the films.

    statistic: takes indices of films, some of them twice. A set with films drawn twice is poorer than the real one,
    which moves a distance between sets upwards, so the interval is that of the drawn values moved back to the middle
    of the value itself. It is one for sets of this size: FAD depends on how many pieces there are. least: no
    value can be lower.
    """
    value = statistic(np.arange(n))
    if n < 2:
        return Estimate(value, None, None, n)
    drawn = _draw(statistic, n, resamples)
    drawn += value - drawn.mean()
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, max(least, float(low)), float(high), n)


def _draw(statistic: Callable[[npt.NDArray[np.intp]], float], n: int, resamples: int) -> Float64:
    random = np.random.default_rng(SEED)
    return np.array([statistic(random.integers(0, n, n)) for _ in range(resamples)], np.float64)


def ranks(scores: npt.NDArray[np.floating]) -> Float64:
    """Rank [V] of the own music (column i for film i) among all for each film, 1 the best; ties share their ranks.

    scores [V, V]: of film i with music j, higher fits better.
    """
    own = np.diagonal(scores)[:, None]
    better = (scores > own).sum(1)
    equal = (scores == own).sum(1) - 1
    result: Float64 = 1.0 + better + equal / 2
    return result


def chance_rank(count: int) -> float:
    """Mean rank of the own music among `count` where the score knows nothing."""
    return (count + 1) / 2

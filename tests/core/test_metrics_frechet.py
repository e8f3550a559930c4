"""Fréchet distance and KL divergence against closed forms and scipy's own roots and divergences."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from core.errors import MediaError
from core.evaluation.divergence import bernoulli_divergence, kl_divergence, pair_divergences
from core.evaluation.frechet import (
    extrapolated_distance,
    fit_gaussian,
    frechet_distance,
    gaussian_distance,
    gaussian_of,
    small_sample_note,
)

Floats = npt.NDArray[np.float64]


def embeddings(count: int, dimensions: int, seed: int = 0, shift: float = 0.0) -> Floats:
    """Correlated, of very different scales."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(dimensions, dimensions)) * np.logspace(0, -3, dimensions)
    return rng.normal(size=(count, dimensions)) @ mix + shift


# --- Fréchet distance --------------------------------------------------------------------------------------------


def test_two_gaussians_in_one_dimension_in_closed_form() -> None:
    """(m1 - m2)^2 + (s1 - s2)^2."""
    a, b = gaussian_of(np.array([1.0]), np.array([[4.0]])), gaussian_of(np.array([-2.0]), np.array([[25.0]]))
    assert gaussian_distance(a, b) == pytest.approx(9 + 9)


def test_covariances_that_commute_in_closed_form() -> None:
    """Same axes: the sum of the squared differences of the standard deviations along them."""
    axes = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    s, t = np.array([3.0, 1, 2, 0, 1e-6, 5]), np.array([1.0, 1, 0, 0, 2e-6, 9])
    a, b = (gaussian_of(np.zeros(6), axes * d**2 @ axes.T) for d in (s, t))
    assert gaussian_distance(a, b) == pytest.approx(float(((s - t) ** 2).sum()), rel=1e-6)


@pytest.mark.parametrize(("count", "other", "dimensions"), [(500, 300, 16), (2000, 2000, 64)])
def test_scipys_root_of_the_product_gives_the_same(count: int, other: int, dimensions: int) -> None:
    from scipy.linalg import sqrtm

    a, b = embeddings(count, dimensions, 0), embeddings(other, dimensions, 1, shift=0.3)
    c, d = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    apart = a.mean(0) - b.mean(0)
    theirs = float(apart @ apart + np.trace(c) + np.trace(d) - 2 * np.trace(sqrtm(c @ d).real))
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-6)
    assert gaussian_distance(gaussian_of(a.mean(0), c), gaussian_of(b.mean(0), d)) == pytest.approx(theirs, rel=1e-6)


def test_fewer_embeddings_than_dimensions_need_no_offset() -> None:
    """A second way, through eigenvalues of the Gram matrix of both sets: exact where the covariances are singular."""
    a, b = embeddings(20, 64, 0), embeddings(33, 64, 1)
    x, y = (a - a.mean(0)) / np.sqrt(19), (b - b.mean(0)) / np.sqrt(32)
    cross = x @ y.T
    common = np.sqrt(np.maximum(np.linalg.eigvalsh(cross @ cross.T), 0)).sum()
    wanted = ((a.mean(0) - b.mean(0)) ** 2).sum() + (x**2).sum() + (y**2).sum() - 2 * common
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-7)


def test_a_set_has_no_distance_from_itself_and_both_ways_are_one() -> None:
    a, b = embeddings(50, 128, 0), embeddings(90, 128, 1)
    scale = np.square(a).sum(1).mean()
    assert frechet_distance(a, a) < 1e-9 * scale
    assert frechet_distance(a, a[::-1]) < 1e-9 * scale
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a))
    assert frechet_distance(a, a + 2.0) == pytest.approx(4.0 * 128)


def test_constant_embeddings_are_points() -> None:
    assert frechet_distance(np.zeros((5, 3)), np.ones((9, 3))) == pytest.approx(3.0)


def test_small_sets_come_out_too_large_and_the_extrapolation_takes_that_back() -> None:
    """Both from the same distribution: the true distance is 0."""
    rng = np.random.default_rng(0)
    reference = fit_gaussian(rng.normal(size=(200_000, 32)))
    few = rng.normal(size=(400, 32))
    plain, found = gaussian_distance(reference, fit_gaussian(few)), extrapolated_distance(reference, few)
    assert plain > 0.5
    assert abs(found.distance) < 0.1 * plain
    assert found.slope > 0
    assert found.r2 > 0.9
    assert extrapolated_distance(reference, few) == found  # the same subsets every time
    assert extrapolated_distance(reference, few + 1.0).distance == pytest.approx(32, rel=0.02)


@pytest.mark.parametrize(
    ("counts", "dimensions", "said"),
    [((1000, 641), 128, ""), ((1000, 640), 128, "from 640 embeddings: "), ((90, 300), 128, "fewer than its 128 dim")],
)
def test_small_sets_are_warned_of(counts: tuple[int, ...], dimensions: int, said: str) -> None:
    note = small_sample_note(counts, dimensions)
    assert said in note
    assert bool(note) == bool(said)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (np.zeros((0, 4)), "0 embedding"),
        (np.zeros((1, 4)), "1 embedding.* give more or longer music"),
        (np.full((9, 4), np.nan), "no numbers"),
        (np.full((9, 4), np.inf), "no numbers"),
    ],
)
def test_embeddings_that_are_none(bad: Floats, said: str) -> None:
    with pytest.raises(MediaError, match=said):
        frechet_distance(bad, np.ones((9, 4)))


def test_embeddings_of_different_embedders() -> None:
    with pytest.raises(ValueError, match="4 and 5 dimensions aren't of the same embedder"):
        frechet_distance(np.ones((9, 4)), np.ones((9, 5)))
    with pytest.raises(ValueError, match=r"\[N, D\]"):
        frechet_distance(np.ones(4), np.ones(4))
    with pytest.raises(MediaError, match="16 at least"):
        extrapolated_distance(np.ones((9, 4)), np.ones((9, 4)))
    with pytest.raises(ValueError, match="covariance"):
        gaussian_of(np.zeros(3), np.eye(4))
    with pytest.raises(MediaError, match="compute the statistics again"):
        gaussian_of(np.zeros(3), np.full((3, 3), np.nan))


# --- KL divergence -----------------------------------------------------------------------------------------------


def softmax(logits: Floats) -> Floats:
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True))


def test_kl_is_that_of_audiocraft_written_with_torch() -> None:
    """torch's kl_div of log(generated + 1e-6) and the reference, summed over labels, mean over pairs."""
    import torch

    rng = np.random.default_rng(0)
    p, q = softmax(3 * rng.normal(size=(7, 527))), softmax(3 * rng.normal(size=(7, 527)))
    theirs = torch.nn.functional.kl_div((torch.tensor(q) + 1e-6).log(), torch.tensor(p), reduction="none").sum(-1)
    np.testing.assert_allclose(pair_divergences(p, q), theirs.numpy(), rtol=1e-9)
    assert kl_divergence(p, q) == pytest.approx(float(theirs.mean()))


def test_kl_of_two_coins() -> None:
    assert kl_divergence(np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])) == pytest.approx(
        0.5 * np.log(4 / 3), rel=1e-4
    )
    p = softmax(np.random.default_rng(1).normal(size=(5, 20)))
    assert kl_divergence(p, p) == pytest.approx(0, abs=1e-4)
    certain = np.eye(3)
    assert np.isfinite(kl_divergence(certain, np.roll(certain, 1, axis=0)))


def test_labels_that_exclude_nothing_are_coins_of_their_own() -> None:
    from scipy.stats import entropy

    p, q = np.array([[0.9, 0.2]]), np.array([[0.5, 0.2]])
    assert bernoulli_divergence(p, q) == pytest.approx(entropy([0.9, 0.1], [0.5, 0.5]), rel=1e-4)
    assert bernoulli_divergence(p, p) == pytest.approx(0, abs=1e-9)


def test_labels_that_are_no_pairs() -> None:
    with pytest.raises(MediaError, match="no pair of reference and generated music"):
        kl_divergence(np.zeros((0, 3)), np.zeros((0, 3)))
    with pytest.raises(ValueError, match="pairs of the same labels"):
        kl_divergence(np.ones((2, 3)) / 3, np.ones((2, 4)) / 4)
    with pytest.raises(ValueError, match="softmax"):
        kl_divergence(np.full((1, 3), 0.5), np.full((1, 3), 0.5))
    with pytest.raises(MediaError, match="hold values that are none"):
        kl_divergence(np.full((1, 3), np.nan), np.full((1, 3), 0.5))

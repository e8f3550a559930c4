"""Fréchet distance of two sets of embeddings: FAD when they come from sound (Kilgour et al., arXiv 1812.08466).

Each set is taken for a Gaussian. The distance of N(m1, C1) and N(m2, C2) is (Dowson and Landau 1982, squared)

    |m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1 C2)^(1/2)

A covariance is kept as a factor F [R, D] with C = F'F. The trace of the root of the product is then the sum of the
singular values of F1 F2': nothing is squared and rooted again, so singular covariances (fewer embeddings than
dimensions) need no offset on the diagonal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.errors import MediaError

Floats = npt.NDArray[np.float64]

SUBSETS: Final = 12  # sizes of subset that the extrapolation looks at
DRAWS: Final = 4  # of each size


@dataclass(frozen=True, eq=False)
class Gaussian:
    """mean [D] and factor [R, D] of the covariance (factor.T @ factor) of `count` embeddings."""

    mean: Floats
    factor: Floats
    count: int


@dataclass(frozen=True)
class Extrapolation:
    """Distance as it would be with endless samples: of the line distance = `distance` + slope / n; r2 of its fit."""

    distance: float
    slope: float
    r2: float


def fit_gaussian(embeddings: npt.NDArray[Any]) -> Gaussian:
    """The Gaussian of embeddings [N, D] (covariance over N - 1); MediaError with fewer than two or non-finite ones."""
    values = _checked(embeddings)
    centred = values - values.mean(0)
    factor = np.linalg.qr(centred, mode="r") if len(values) > values.shape[1] else centred
    return Gaussian(values.mean(0), factor / np.sqrt(len(values) - 1), len(values))


def gaussian_of(mean: npt.NDArray[Any], covariance: npt.NDArray[Any], count: int = 0) -> Gaussian:
    """The Gaussian of a mean [D] and a covariance [D, D], as published statistics have them."""
    mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
    if covariance.shape != (len(mean), len(mean)):
        raise ValueError(f"covariance {list(covariance.shape)} doesn't go with a mean of {len(mean)} dimensions")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise MediaError("mean or covariance hold values that are no numbers; compute the statistics again")
    powers, directions = np.linalg.eigh((covariance + covariance.T) / 2)
    return Gaussian(mean, np.sqrt(np.maximum(powers, 0.0))[:, None] * directions.T, count)


def gaussian_distance(a: Gaussian, b: Gaussian) -> float:
    """Squared Fréchet distance of two Gaussians, at least 0, in the embedding's units squared."""
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"embeddings of {len(a.mean)} and {len(b.mean)} dimensions aren't of the same embedder")
    apart = a.mean - b.mean
    common = float(np.linalg.svd(a.factor @ b.factor.T, compute_uv=False).sum())
    spread = float(np.square(a.factor).sum() + np.square(b.factor).sum())
    return max(0.0, float(apart @ apart) + spread - 2.0 * common)


def frechet_distance(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Squared Fréchet distance of embeddings [N, D] and [M, D]: 0 for equal sets; small sets make it too large."""
    return gaussian_distance(fit_gaussian(a), fit_gaussian(b))


def extrapolated_distance(
    reference: npt.NDArray[Any] | Gaussian, embeddings: npt.NDArray[Any], seed: int = 0
) -> Extrapolation:
    """Fréchet distance freed of what the number of `embeddings` [N, D] adds to it: FAD-infinity.

    The distance of n embeddings is, to first order, a straight line in 1/n (Chong and Forsyth, arXiv 1911.07023; for
    sound Gui et al., arXiv 2311.01616). Random subsets from N/4 to N, without repetition, give the line. The bias
    of `reference` stays: it should be large, and the same for all systems that are compared.
    """
    values = _checked(embeddings)
    if len(values) < 16:
        raise MediaError(f"{len(values)} embeddings are too few to extrapolate from; give more music (16 at least)")
    base = reference if isinstance(reference, Gaussian) else fit_gaussian(reference)
    rng = np.random.default_rng(seed)
    inverse = np.linspace(1 / len(values), 4 / len(values), SUBSETS)
    sizes = np.repeat(np.round(1 / inverse).astype(int), DRAWS)
    subsets = (fit_gaussian(values[rng.choice(len(values), size, replace=False)]) for size in sizes)
    distances = np.array([gaussian_distance(base, subset) for subset in subsets])
    slope, distance = np.polyfit(1 / sizes, distances, 1)
    residue = distances - (slope / sizes + distance)
    spread = float(np.square(distances - distances.mean()).sum())
    return Extrapolation(float(distance), float(slope), 1 - float(residue @ residue) / spread if spread else 1.0)


def small_sample_note(counts: tuple[int, ...], dimensions: int) -> str:
    """One sentence on what sets of these sizes do to the distance; empty where they are large enough."""
    fewest = min(counts)
    if fewest > 5 * dimensions:
        return ""
    singular = f", fewer than its {dimensions} dimensions" if fewest <= dimensions else ""
    return (
        f"from {fewest} embeddings{singular}: distances of so few come out too large, so compare only systems with "
        "equally many; more music makes it better"
    )


def _checked(embeddings: npt.NDArray[Any]) -> Floats:
    values = np.asarray(embeddings, np.float64)
    if values.ndim != 2:
        raise ValueError(f"embeddings must be [N, D], not {list(values.shape)}")
    if len(values) < 2:
        raise MediaError(f"{len(values)} embedding(s) have no spread to compare; give more or longer music")
    if not np.isfinite(values).all():
        raise MediaError("embeddings hold values that are no numbers; check the music for damaged files")
    return values

"""KL divergence of AudioSet label probabilities, pair by pair: the KLD of the literature on generated music.

As MusicGen and AudioGen measure it (audiocraft, `audiocraft/metrics/kld.py`): softmax over the classifier's logits,
KL(reference || generated) with 1e-6 added to the generated side, summed over labels, mean over pairs. AudioSet's
labels aren't exclusive, so each logit's sigmoid would be the more natural probability; audioldm_eval gives that
figure too, but a sum of `p log(p / q)` over numbers that don't add up to one is no divergence (it can be negative).
`bernoulli_divergence` is the one that is: every label a yes or no of its own.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.errors import MediaError

Floats = npt.NDArray[np.float64]

EPSILON: Final = 1e-6


def kl_divergence(p: npt.NDArray[Any], q: npt.NDArray[Any]) -> float:
    """Mean KL(p || q) in nats over pairs of rows: p [N, C] of the reference, q [N, C] of what was generated.

    Rows are probabilities that add up to one. ValueError otherwise; MediaError where there is no pair.
    """
    return float(pair_divergences(p, q).mean())


def pair_divergences(p: npt.NDArray[Any], q: npt.NDArray[Any]) -> Floats:
    """KL(p || q) in nats of each pair of rows [N]."""
    p, q = _checked(p, q)
    for rows in (p, q):
        if np.abs(rows.sum(1) - 1).max() > 1e-3:
            raise ValueError("label probabilities must add up to one: take the softmax of the logits")
    terms = np.where(p > 0, p * (np.log(np.maximum(p, 1e-300)) - np.log(q + EPSILON)), 0.0)
    return np.asarray(terms.sum(1))


def bernoulli_divergence(p: npt.NDArray[Any], q: npt.NDArray[Any]) -> float:
    """Mean over pairs of the summed KL in nats of each label's yes and no; p, q [N, C] are sigmoids of the logits."""
    p, q = _checked(p, q)
    p, q = np.clip(p, EPSILON, 1 - EPSILON), np.clip(q, EPSILON, 1 - EPSILON)
    terms = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    return float(terms.sum(1).mean())


def _checked(p: npt.NDArray[Any], q: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
    if p.ndim != 2 or p.shape != q.shape:
        raise ValueError(f"label probabilities {list(p.shape)} and {list(q.shape)} aren't pairs of the same labels")
    if not len(p):
        raise MediaError("there is no pair of reference and generated music; give files of the same names")
    if not (np.isfinite(p).all() and np.isfinite(q).all() and p.min() >= 0 and q.min() >= 0):
        raise MediaError("label probabilities hold values that are none; check the music for damaged files")
    return p, q

"""From logits to codes: guidance, then top-p or top-k and temperature, then a draw. Pure functions of their arguments.

The draw takes its random numbers as an argument, one per row and stream, so that a row's codes depend on its own
seed alone and not on what is decoded beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How codes are drawn.

    guidance: 1 = without classifier-free guidance. temperature: 0 = always the best code. top_p: if more than 0, only
    the likeliest codes that together make this share; else top_k: the k likeliest, 0 = all.
    """

    guidance: float = 3.0
    top_k: int = 250
    temperature: float = 1.0
    top_p: float = 0.0


def guide(with_picture: Tensor, without_picture: Tensor, coefficient: float) -> Tensor:
    """Classifier-free guidance: away from the picture-less logits, [R, K, V] each."""
    return without_picture + (with_picture - without_picture) * coefficient


def choose(logits: Tensor, uniform: Tensor, top_k: int = 0, temperature: float = 1.0, top_p: float = 0.0) -> Tensor:
    """Codes [R, K] drawn from `logits` [R, K, V] with `uniform` [R, K] in 0..1; temperature 0 takes the best.

    As the published model does: top-k keeps every code at least as likely as the k-th (ties stay); top-p, which goes
    before top-k, keeps a code unless the likelier ones make more than that share without it.
    """
    if temperature <= 0:
        return logits.argmax(dim=-1)
    probabilities = torch.softmax(logits.float() / temperature, dim=-1)
    if top_p > 0:
        ordered, order = probabilities.sort(dim=-1, descending=True)
        kept = torch.where(ordered.cumsum(dim=-1) - ordered > top_p, 0.0, ordered)
        probabilities = torch.zeros_like(kept).scatter_(-1, order, kept)
    elif 0 < top_k < logits.shape[-1]:
        least = probabilities.topk(top_k, dim=-1).values[..., -1:]
        probabilities = probabilities * (probabilities >= least)
    heights = probabilities.double().cumsum(dim=-1)
    target = uniform.double()[..., None] * heights[..., -1:]
    # The first code whose cumulative height exceeds the target; a code of probability 0 adds no height, so is skipped.
    return (heights <= target).sum(dim=-1).clamp(max=logits.shape[-1] - 1)

"""Residual vector quantisation that learns: EnCodec's codebooks moved by averages of what they quantise.

As in the EnCodec paper (arXiv 2210.13438, section 3.2, after arXiv 1711.00937 and 2107.03312): entries follow an
exponential moving average of the latents that chose them, start from k-means, and are taken from the data anew when
hardly anything chooses them. The gradient goes straight through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class CodebookRecipe:
    """How codebooks learn.

    decay: of the moving averages, a step. dead: an entry that is chosen less often than this share of the mean is
    taken from the data anew. rounds: of k-means.
    """

    decay: float = 0.98
    dead: float = 0.05
    rounds: int = 10


class LearningQuantizer:
    """The codebooks of transformers' EnCodec (its `quantizer`), in training. Works on its buffers, in place."""

    def __init__(self, quantizer: Any, recipe: CodebookRecipe, generator: torch.Generator) -> None:
        self._books = [layer.codebook for layer in quantizer.layers]
        self._recipe, self._random = recipe, generator
        self.revived = 0  # entries taken anew so far

    @torch.no_grad()
    def start(self, latents: Tensor) -> None:
        """Begin from k-means of latents [n, D], one codebook after the other on what the earlier ones leave."""
        residual = latents
        for book in self._books:
            entries, counts = k_means(residual, len(book.embed), self._recipe.rounds, self._random)
            share = counts / counts.sum() * len(counts)  # as moving averages whose mean is 1
            book.embed.copy_(entries)
            book.cluster_size.copy_(share)
            book.embed_avg.copy_(entries * share[:, None])
            residual = residual - F.embedding(book.quantize(residual), book.embed)

    def __call__(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Latent [B, D, T] -> the quantised one (its gradient is the latent's), codes [K, B, T], commitment loss.

        The codebooks learn from the call. Commitment: mean squared distance of what each codebook is given from the
        entry it chose, summed over codebooks; its gradient reaches the latent alone.
        """
        batch, width, steps = latent.shape
        flat = latent.transpose(1, 2).reshape(-1, width)
        residual, commitment, codes = flat, flat.new_zeros(()), []
        for book in self._books:
            chosen = book.quantize(residual.detach())
            entry = F.embedding(chosen, book.embed).detach()
            commitment = commitment + F.mse_loss(residual, entry)
            self._learn(book, residual.detach(), chosen)
            residual = residual - entry
            codes.append(chosen.view(batch, steps))
        quantised = flat + (flat - residual - flat).detach()
        return quantised.view(batch, steps, width).transpose(1, 2), torch.stack(codes), commitment

    @torch.no_grad()
    def _learn(self, book: Any, given: Tensor, chosen: Tensor) -> None:
        """Move entries to the average of what chose them; replace those that hardly anything chooses."""
        size, decay = len(book.embed), self._recipe.decay
        per_entry = len(given) / size  # so that the averages don't depend on the batch: their mean is 1
        counts = torch.bincount(chosen, minlength=size).to(given.dtype) / per_entry
        sums = torch.zeros_like(book.embed).index_add_(0, chosen, given) / per_entry
        book.cluster_size.mul_(decay).add_(counts, alpha=1 - decay)
        book.embed_avg.mul_(decay).add_(sums, alpha=1 - decay)
        dead = book.cluster_size < self._recipe.dead
        if number := int(dead.sum()):
            drawn = torch.randint(len(given), (number,), generator=self._random)
            book.cluster_size[dead] = 1.0
            book.embed_avg[dead] = given[drawn]
            self.revived += number
        book.embed.copy_(book.embed_avg / book.cluster_size[:, None])


@torch.no_grad()
def k_means(points: Tensor, size: int, rounds: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Centres [size, D] of points [n, D] and how many points are nearest to each [size]. Empty ones keep their place.

    Starts from random points (again and again the same ones where there are fewer than `size`).
    """
    order = torch.randperm(len(points), generator=generator)
    centres = points[order.repeat(-(-size // len(points)))[:size]].clone()
    counts = points.new_zeros(size)
    for _ in range(rounds):
        nearest = torch.cdist(points, centres).argmin(dim=1)
        counts = torch.bincount(nearest, minlength=size).to(points.dtype)
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        filled = counts > 0
        centres[filled] = sums[filled] / counts[filled, None]
    return centres, counts


def perplexity(codes: Tensor, card: int) -> tuple[float, float]:
    """How many entries of a codebook codes [any shape] use: share of those that occur, and exp of their entropy."""
    counts = torch.bincount(codes.flatten(), minlength=card).double()
    share = counts / counts.sum()
    entropy = -(share * share.clamp(min=1e-12).log()).sum()
    return float((counts > 0).double().mean()), float(entropy.exp())

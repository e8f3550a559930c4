"""What fewer bits cost: a prepared decoder held to the same weights in fp32, teacher-forced through the cache."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.decoder import Decoder
from core.sampling import guide

GUIDANCE = 3.0


@torch.inference_mode()
def stepwise_logits(decoder: Decoder, sequence: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [S, B, K, V] with the picture and without, step by step over sequence [B, K, S]."""
    batch, _, steps = sequence.shape
    blank = torch.zeros(condition.shape[:2], device=condition.device)
    picture = decoder.picture(condition, blank, torch.ones_like(blank, dtype=torch.bool))
    cache, rows = decoder.new_cache(2 * batch, steps), slice(0, 2 * batch)
    tokens, out = sequence.repeat_interleave(2, dim=0), []
    for step in range(steps):
        at = torch.full((2 * batch, 1), step, device=sequence.device)
        out.append(decoder.advance(tokens[..., step : step + 1], picture, None, at / 50.0, at, cache, rows).float())
    logits = torch.stack(out)
    return logits[:, 0::2], logits[:, 1::2]


def compare(exact: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """Mean KL per codebook in nats and top-1 agreement: of the model's own logits, and of the guided ones."""
    plain = {"": (exact[0], other[0]), "guided_": (guide(*exact, GUIDANCE), guide(*other, GUIDANCE))}
    out: dict[str, Any] = {}
    for name, (p, q) in plain.items():
        p, q = torch.log_softmax(p, -1), torch.log_softmax(q, -1)
        divergence = (p.exp() * (p - q)).sum(-1).mean(dim=(0, 1))  # [K]
        out[f"{name}kl_per_codebook"] = [round(float(value), 7) for value in divergence]
        out[f"{name}top1_agreement"] = round(float((p.argmax(-1) == q.argmax(-1)).float().mean()), 4)
    return out

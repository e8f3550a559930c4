"""audiocraft's own language model as GVMGen has it, with random weights: what ours is held to and measured against.

Needs audiocraft (`make audiocraft`). Shapes: B items, F vectors of the condition, K streams, D width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.codecs.audiocraft_loader import load_audiocraft

CONDITION = "visual_content"


def build_lm(dim: int, heads: int, layers: int, card: int = 2048, streams: int = 4, seed: int = 0) -> Any:
    """audiocraft's LMModel in eval mode with the published settings: delay pattern, cross-attention, guidance 3.0.

    Its only condition is given as vectors [F, D] themselves (see `conditions`, `condition_tensors`).
    """
    load_audiocraft()
    from audiocraft.models.lm import LMModel
    from audiocraft.modules.codebooks_patterns import DelayedPatternProvider
    from audiocraft.modules.conditioners import ConditionFuser, ConditioningProvider

    torch.manual_seed(seed)
    lm = LMModel(
        DelayedPatternProvider(streams, delays=list(range(streams))),
        ConditioningProvider({CONDITION: _given_vectors(dim)}),
        ConditionFuser({"sum": [], "prepend": [], "cross": [CONDITION], "input_interpolate": []}),
        n_q=streams,
        card=card,
        dim=dim,
        num_heads=heads,
        num_layers=layers,
        hidden_scale=4,
        norm="layer_norm",
        norm_first=True,
        bias_proj=False,
        bias_ff=False,
        bias_attn=False,
        weight_init="gaussian",
        depthwise_init="current",
        zero_bias_init=True,
        cfg_dropout=0.3,
        cfg_coef=3.0,
        activation="gelu",
        dropout=0.0,
        causal=True,
        custom=False,
        memory_efficient=True,
        positional_embedding="sin",
        cross_attention=True,
    )
    return lm.eval()


def conditions(condition: Tensor) -> list[Any]:
    """What `lm.generate(conditions=...)` takes for condition [B, F, D]; the null condition it makes itself: zeros."""
    from audiocraft.modules.conditioners import ConditioningAttributes

    return [ConditioningAttributes(text={CONDITION: vectors}) for vectors in condition]


def condition_tensors(condition: Tensor, guidance: bool = True) -> dict[str, tuple[Tensor, Tensor]]:
    """What `lm(sequence, [], condition_tensors)` takes for condition [B, F, D]: rows of it, then as many null rows."""
    rows = torch.cat([condition, torch.zeros_like(condition)]) if guidance else condition
    mask = torch.zeros(rows.shape[:2], device=rows.device)
    mask[: len(condition)] = 1
    return {CONDITION: (rows, mask)}


def _given_vectors(dim: int) -> Any:
    """A conditioner whose "texts" are the vectors themselves; None is the null condition."""
    from audiocraft.modules.conditioners import TextConditioner

    class GivenVectors(TextConditioner):  # type: ignore[misc]
        def tokenize(self, x: list[Tensor | None]) -> tuple[Tensor, Tensor]:
            some = next(vectors for vectors in x if vectors is not None)
            rows = torch.stack([torch.zeros_like(some) if vectors is None else vectors for vectors in x])
            return rows, torch.tensor([[float(vectors is not None)] * len(some) for vectors in x], device=rows.device)

        def forward(self, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            return inputs

    vectors = GivenVectors(dim, dim)
    vectors.output_proj = torch.nn.Identity()  # the vectors are of the model's width already
    return vectors

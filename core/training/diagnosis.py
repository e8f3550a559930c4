"""Where numbers broke: in what was seen, in the weights, in a layer on the way forward, or on the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from core.patterns import predicted
from core.training.data import Batch
from core.training.recipe import Recipe
from core.training.step import Eyes, arithmetic, inputs


@torch.no_grad()
def first_break(recipe: Recipe, model: Any, module: nn.Module, parts: Sequence[Batch], eyes: Eyes) -> str:
    """In words, the first place on the way forward that holds something else than numbers.

    model: the GVMGen, module: what is called for its loss. All devices have to call it together.
    """
    weights = [name for name, value in model.named_parameters() if not _finite(value)]
    found: list[str] = []
    hooks = [
        each.register_forward_hook(lambda _, __, out, name=name: found.append(name) if not _finite(out) else None)
        for name, each in model.named_modules()
        if not list(each.children())
    ]
    try:
        for part in parts:
            seen = eyes(part)
            if not _finite(seen.patches):
                found.append("what is seen in the pictures")
            counted = predicted(part.valid, model.config.decoder.delays, recipe.loss.tail == "predicted")
            with arithmetic(eyes.device, recipe.compute.precision):
                module(*inputs(seen, counted.to(eyes.device)))
    finally:
        for hook in hooks:
            hook.remove()
    if weights:
        return f"in the weights already: {weights[0]}" + f" and {len(weights) - 1} more" * (len(weights) > 1)
    return f"first in {found[0]}" if found else "on the way back, in the gradient"


def _finite(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_finite(each) for each in value)
    if isinstance(value, DTensor):
        value = value.to_local()
    return not isinstance(value, Tensor) or not value.is_floating_point() or bool(value.isfinite().all())

"""The training loop: step, log, evaluate, checkpoint. Reads batches, knows nothing of where they come from."""

from __future__ import annotations

import copy
import ctypes
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from core.errors import ModelError
from core.model import GVMGen
from core.training.data import Batch


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to learn. The learning rate warms up over steps, then falls as a cosine of the time."""

    seconds: float  # of wall clock; the fall follows the clock, so that a slow machine still ends well
    learning_rate: float = 1e-3
    warmup: int = 200  # steps; fewer and the loss explodes
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    ema: float = 0.995
    log_every: int = 50


def train(
    model: GVMGen, batches: Iterator[Batch], held_out: list[Batch], recipe: Recipe, log: Path,
    keep: Callable[[GVMGen], None],
) -> GVMGen:  # fmt: skip
    """Train `model` and return its exponential moving average; a line of JSON per `log_every` steps goes to `log`.

    keep is called with the averaged model every ten minutes and at the end. ModelError when the loss is no number.
    """
    _keep_freed_memory()
    optimiser = torch.optim.AdamW(_groups(model, recipe.weight_decay), lr=recipe.learning_rate, betas=(0.9, 0.97))
    average = copy.deepcopy(model).eval()
    started = kept = time.monotonic()
    step = 0
    with log.open("w") as lines:
        while (spent := time.monotonic() - started) < recipe.seconds:
            rate = recipe.learning_rate * _schedule(spent / recipe.seconds, (step + 1) / recipe.warmup)
            for group in optimiser.param_groups:
                group["lr"] = rate
            losses = _step(model, next(batches), optimiser, recipe.clip_norm)
            if not math.isfinite(float(losses.sum())):
                raise ModelError(f"the loss is no number at step {step}: lower the learning rate ({rate:.2g} now)")
            _blend(average, model, min(recipe.ema, (step + 1) / (step + 10)))
            if step % recipe.log_every == 0:
                row = {"step": step, "seconds": round(spent), "rate": rate, "loss": _rounded(losses)}
                if step % (recipe.log_every * 10) == 0:
                    row |= evaluate(average, held_out)
                lines.write(json.dumps(row) + "\n")
                lines.flush()
            if time.monotonic() - kept > 600:
                keep(average)
                kept = time.monotonic()
            step += 1
        lines.write(json.dumps({"step": step, "seconds": round(recipe.seconds), **evaluate(average, held_out)}) + "\n")
    keep(average)
    return average


@torch.inference_mode()
def evaluate(model: GVMGen, held_out: list[Batch]) -> dict[str, list[float]]:
    """Held-out cross-entropy per stream, nats: with the right picture, with another film's, and with none."""
    right, other, without = (torch.zeros(model.config.decoder.streams) for _ in range(3))
    for batch in held_out:
        swapped = replace(batch, patches=batch.patches.roll(1, 0), present=batch.present.roll(1, 0))
        blind = replace(batch, present=torch.zeros_like(batch.present))
        for total, which in ((right, batch), (other, swapped), (without, blind)):
            total += _losses(model, which) / len(held_out)
    return {"held_out": _rounded(right), "other_picture": _rounded(other), "no_picture": _rounded(without)}


def _losses(model: GVMGen, batch: Batch) -> Tensor:
    device = next(model.parameters()).device
    fields = [getattr(batch, name).to(device) for name in
              ("patches", "frame_times", "present", "codes", "valid", "control", "step_times")]  # fmt: skip
    # The plain kernel: for sequences this short the fused one's backward pass on a CPU takes three times as long.
    kernel = SDPBackend.MATH if device.type == "cpu" else SDPBackend.EFFICIENT_ATTENTION
    with torch.autocast(device.type, dtype=torch.bfloat16), sdpa_kernel([kernel, SDPBackend.MATH]):
        return model.loss(*fields)


def _step(model: GVMGen, batch: Batch, optimiser: torch.optim.Optimizer, clip_norm: float) -> Tensor:
    """One update; the loss per stream before it."""
    losses = _losses(model, batch)
    optimiser.zero_grad(set_to_none=True)
    losses.mean().backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimiser.step()
    return losses.detach()


@torch.no_grad()
def _blend(average: GVMGen, model: GVMGen, keep: float) -> None:
    for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, 1.0 - keep)


def _schedule(done: float, warm: float) -> float:
    """Factor of the learning rate when a share `done` of the time and `warm` of the warm-up is over."""
    return min(1.0, warm) * 0.5 * (1.0 + math.cos(math.pi * done))


def _groups(model: GVMGen, weight_decay: float) -> list[dict[str, object]]:
    """Matrices decay, vectors (norms, biases, time windows) don't."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def _keep_freed_memory() -> None:
    """Have glibc keep what is freed, instead of asking the system for zeroed pages again at every step (2x faster)."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(-4, 0)  # M_MMAP_MAX: no block of its own for a large tensor
            libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: never give memory back


def _rounded(losses: Tensor) -> list[float]:
    return [round(float(value), 4) for value in losses]

"""One update of the weights, and the loss on windows that aren't learned from. Knows no files and no order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import clip_grad_norm_

from core.model import GVMGen
from core.patterns import predicted
from core.training.checkpoints import State
from core.training.data import Batch
from core.training.devices import World, last_part_only, whole
from core.training.recipe import Recipe
from core.vision.tower import Tower

_AT_ONCE: Final = 64  # pictures that go through a frozen tower together
_TYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Looked:
    """What an update found: losses per stream [K] over all devices, the gradient's norm before it was clipped.

    finite: nan or infinite numbers nowhere. gone: was nothing changed because half precision overflowed?
    """

    losses: Tensor
    norm: float
    finite: bool
    overflowed: bool = False


@contextmanager
def arithmetic(device: torch.device, precision: str) -> Iterator[None]:
    """Context in which models are computed for training: number format, and attention kernels that fit the device."""
    with torch.autocast(device.type, _TYPES[precision], enabled=precision != "fp32"), attention(device):
        yield


@contextmanager
def attention(device: torch.device) -> Iterator[None]:
    """Context with the attention kernels that fit the device; also for the way back, where layers may be recomputed."""
    # The plain kernel: for sequences this short the fused one's backward pass on a CPU takes three times as long.
    kernels = [SDPBackend.MATH]
    if device.type != "cpu":
        kernels = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    with sdpa_kernel(kernels):
        yield


class Eyes:
    """The frozen tower of a model, and the device that batches have to be on."""

    def __init__(self, tower: Tower | None, device: torch.device, precision: str) -> None:
        self.tower, self.device, self.precision = tower, device, precision

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Batch:
        """The batch on the device, pictures replaced by what the tower sees in them."""
        batch = batch.to(self.device)
        if self.tower is None or batch.patches.dtype != torch.uint8:
            return batch
        at_once, tubelet = self.tower.config.frames_at_once, self.tower.config.tubelet
        missing = -batch.patches.shape[1] % at_once
        pictures = _lengthened(batch.patches, missing)
        rows, frames = pictures.shape[:2]
        chunks = torch.split(pictures.flatten(0, 1), max(_AT_ONCE // at_once, 1) * at_once)
        tokens = torch.cat([self.tower(self.tower.normalise(chunk)).to(_TYPES[self.precision]) for chunk in chunks])
        moments = tokens.view(rows, frames // tubelet, *tokens.shape[1:])
        times = _lengthened(batch.frame_times, missing).view(rows, -1, tubelet).mean(dim=-1)
        shown = torch.cat([batch.present, batch.present.new_zeros(rows, missing)], dim=1)
        return replace(batch, patches=moments, frame_times=times, present=shown.view(rows, -1, tubelet).any(dim=-1))


def update(recipe: Recipe, world: World, state: State, module: nn.Module, parts: Sequence[Batch], eyes: Eyes) -> Looked:
    """One step of the optimiser on `parts`, this device's share of the batch; what is called is `module`.

    Every code of the whole batch counts the same, however it is divided. Where the numbers aren't finite nothing is
    changed.
    """
    delays, tail = state.model.config.decoder.delays, recipe.loss.tail == "predicted"
    counted = [predicted(part.valid, delays, tail) for part in parts]
    totals = world.sum(_per_stream(counted).to(world.device)).clamp(min=1)
    seed_step(recipe.run.seed, state.step, world.rank)
    sums = torch.zeros(len(delays), device=world.device)
    state.optimiser.zero_grad(set_to_none=True)
    for number, (part, which) in enumerate(zip(parts, counted, strict=True)):
        seen = eyes(part)
        with last_part_only(module, number == len(parts) - 1):
            with arithmetic(world.device, recipe.compute.precision):
                losses = module(*inputs(seen, which.to(world.device)))
            # Gradients are averaged over the devices, the loss is a sum over them.
            with attention(world.device):
                state.scaler.scale((losses / totals).mean() * world.size).backward()
        sums += losses.detach()
    losses = world.sum(sums) / totals
    state.scaler.unscale_(state.optimiser)
    norm = float(whole(clip_grad_norm_(state.model.parameters(), recipe.optimiser.clip_norm)))
    finite = bool(losses.isfinite().all()) and (np.isfinite(norm) or state.scaler.is_enabled())
    if not finite:
        return Looked(losses, norm, False)
    state.scaler.step(state.optimiser)
    state.scaler.update()
    overflowed = not np.isfinite(norm)
    if not overflowed and recipe.ema.every:
        state.average.blend(state.model, state.step)
    return Looked(losses, norm, True, overflowed)


@torch.no_grad()
def held_out_loss(recipe: Recipe, model: GVMGen, batches: Sequence[Batch], eyes: Eyes) -> dict[str, Tensor]:
    """Cross-entropy per stream [K], nats: with the right picture, with another film's, and with none."""
    delays, tail = model.config.decoder.delays, recipe.loss.tail == "predicted"
    kinds = ("held_out", "other_picture", "no_picture")
    sums = {kind: torch.zeros(len(delays), dtype=torch.float64) for kind in kinds}
    codes = torch.zeros(len(delays), dtype=torch.float64)
    for batch in batches:
        counted = predicted(batch.valid, delays, tail)
        seen = eyes(batch)
        for kind, which in zip(kinds, (seen, seen.with_others_pictures(), seen.blind()), strict=True):
            with arithmetic(eyes.device, recipe.compute.precision):
                sums[kind] += model(*inputs(which, counted.to(eyes.device))).double().cpu()
        codes += _per_stream([counted])
    return {kind: total / codes.clamp(min=1) for kind, total in sums.items()}


def inputs(batch: Batch, counted: Tensor) -> tuple[Tensor | None, ...]:
    """What `GVMGen` takes of a batch."""
    codes = batch.codes.masked_fill(~batch.valid[:, None], -1)
    return batch.patches, batch.frame_times, batch.present, codes, counted, batch.control, batch.step_times


def seed_step(seed: int, step: int, rank: int) -> None:
    """Dropout's random numbers of this step, whatever came before it."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> 1))


def _per_stream(counted: Sequence[Tensor]) -> Tensor:
    """How many codes count, per stream [K]."""
    return torch.stack([which.sum(dim=(0, 2)) for which in counted]).sum(dim=0).float()


def _lengthened(value: Tensor, count: int) -> Tensor:
    """`value` [B, F, ...] with its last frame standing still for `count` more."""
    return torch.cat([value, value[:, -1:].expand(-1, count, *value.shape[2:])], dim=1) if count else value

"""One device or several: who takes part in a training, how the model is spread over them, and gathered again.

Started by torchrun, every process has one device. With "ddp" each holds a copy of the model and the gradients are
averaged; with "fsdp" (FSDP2) each holds a shard of every weight, whole layers are put together when they are needed.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from core.errors import TrainingError
from core.memory import check_device
from core.model import GVMGen
from core.training.recipe import ComputeRecipe


@dataclass(frozen=True)
class World:
    """This process among those that train together."""

    rank: int
    size: int
    device: torch.device
    parallel: str

    @property
    def main(self) -> bool:
        """Is it the one that writes and speaks?"""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """`value` summed over all processes."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def join(recipe: ComputeRecipe) -> Iterator[World]:
    """Context in which the processes that torchrun started know each other; one process alone needs nothing.

    TrainingError, before anything is read, where there are fewer devices or processes than the recipe asks for.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    device = _device(recipe, int(os.environ.get("LOCAL_RANK", "0")))
    wanted = recipe.devices or size
    start = f"torchrun --nproc-per-node {wanted} scripts/train.py ..."
    if wanted != size:
        raise TrainingError(
            f"{wanted} devices are asked for (compute.devices), but {size} process{'es are' * (size > 1)}"
            f"{' is' * (size == 1)} running; start it with {start}, or set compute.devices=0"
        )
    if size > 1 and recipe.parallel == "none":
        raise TrainingError(
            f"torchrun started {size} processes, but the recipe trains on one; add --set compute.parallel=ddp or fsdp"
        )
    if size == 1:
        yield World(0, 1, device, "none")
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(rank, size, device, recipe.parallel)
    finally:
        dist.destroy_process_group()


def _device(recipe: ComputeRecipe, local_rank: int) -> torch.device:
    """The device of this process."""
    kind = recipe.device
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind != "cuda":
        return check_device(kind)
    here = torch.cuda.device_count()
    if local_rank >= here:
        raise TrainingError(
            f"process {local_rank + 1} on this machine has no GPU: torch sees {here}; start as many processes as "
            "there are GPUs (--nproc-per-node), or train on the CPU (--set compute.device=cpu)"
        )
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    return device


def spread(model: GVMGen, world: World) -> nn.Module:
    """What to call for the loss: the model itself, whose parameters may be shards from here on, or what wraps it."""
    if world.parallel == "fsdp":
        from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

        # Keys and values leave a layer as views; nothing of ours writes into them.
        warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor", UserWarning)
        for layer in model.decoder.layers:
            fully_shard(layer)
            if model.config.decoder.temporal_cross_attention:
                register_fsdp_forward_method(layer, "picture_key_value")
        for layer in getattr(model.features, "layers", []):
            fully_shard(layer)
        fully_shard(model)
        return model
    if world.parallel == "ddp":
        ids = [world.device.index] if world.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=ids)
    return model


def last_part_only(module: nn.Module, last: bool) -> Any:
    """Context in which gradients stay here unless it is the `last` part of an update: they are exchanged once."""
    if isinstance(module, nn.parallel.DistributedDataParallel) and not last:
        return module.no_sync()
    return nullcontext()


def whole(value: Tensor) -> Tensor:
    """The whole of a tensor that may be sharded, as a copy on the CPU; all processes have to ask for it together."""
    value = value.detach()
    full = value.full_tensor() if isinstance(value, DTensor) else value
    return full.to("cpu", copy=True)


@torch.no_grad()
def fill(place: Tensor, value: Tensor) -> None:
    """Write the whole `value` into `place`, of which this process may hold a shard."""
    if isinstance(place, DTensor):
        value = distribute_tensor(value.to(place.device), place.device_mesh, place.placements)
    place.copy_(value)

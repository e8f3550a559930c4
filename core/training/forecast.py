"""How much memory a training will take, before it takes any: weights by their sizes, activations by a dry run.

The dry run computes the loss with tensors that have shapes and types but no numbers, and adds up what is kept for the
way back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from core.config import ModelConfig
from core.model import GVMGen
from core.training.data import Batch
from core.training.devices import World
from core.training.recipe import Recipe

# Weights, gradients and what the optimiser keeps beside each weight.
COPIES: Final = {"adam": 4, "adamw": 4, "dadapt": 5}
# Beside what is kept for the way back: gradients on it, kernels' workspaces, fragments. Measured on small models.
_BESIDE: Final = 1.4


@dataclass(frozen=True)
class Forecast:
    """Bytes on one device: weights, gradients, optimiser and average; frozen tower; activations of one row at a time.

    rows: that are computed together. trained, frozen: how many numbers.
    """

    trained: int
    frozen: int
    state_bytes: int
    tower_bytes: int
    row_bytes: int
    rows: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.state_bytes + self.tower_bytes + self.row_bytes * self.rows

    def rows_that_fit(self, free: int) -> int:
        """How many rows `free` bytes would hold."""
        return max(0, (free - self.state_bytes - self.tower_bytes) // max(self.row_bytes, 1))


def forecast(recipe: Recipe, config: ModelConfig, world: World, example: Batch) -> Forecast:
    """Memory for training `config`; `example`: a batch as it will come, of any size."""
    with torch.device("meta"):
        trained = sum(parameter.numel() for parameter in GVMGen(config).parameters())
    copies = COPIES[recipe.optimiser.kind] + bool(recipe.ema.every)
    shards = world.size if world.parallel == "fsdp" else 1
    frozen = tower_parameters(config)
    rows = recipe.data.batch // (world.size * recipe.compute.accumulate)
    return Forecast(
        trained=trained,
        frozen=frozen,
        state_bytes=4 * trained * copies // shards,
        tower_bytes=frozen * (2 if world.device.type == "cuda" else 4),
        row_bytes=round(_BESIDE * kept_for_the_way_back(recipe, config, world.device.type, example)),
        rows=rows,
    )


def tower_parameters(config: ModelConfig) -> int:
    """How many numbers the frozen tower has."""
    if config.tower is None:
        return 0
    from core.vision.build import new_tower

    with torch.device("meta"):
        return sum(parameter.numel() for parameter in new_tower(config).parameters())


def kept_for_the_way_back(recipe: Recipe, config: ModelConfig, device: str, example: Batch) -> int:
    """Bytes that one row's forward pass keeps for the gradient, from a dry run."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    patches = _patches(config, example)
    with FakeTensorMode(), _as_on(device, recipe.compute.precision):
        model = GVMGen(config)
        for layer in model.decoder.layers:
            layer.checkpointing = recipe.compute.checkpoint_activations  # type: ignore[assignment]
        counted, given = Kept(model), (1, *example.codes.shape[1:])
        inputs: tuple[Any, ...] = (
            torch.empty(1, *patches),
            torch.empty(1, patches[0]),
            torch.ones(1, patches[0], dtype=torch.bool),
            torch.zeros(given, dtype=torch.long),
            torch.ones(given, dtype=torch.bool),
            None if example.control is None else torch.empty(1, *example.control.shape[1:]),
            torch.empty(1, *example.step_times.shape[1:]),
        )
        with counted:
            model(*inputs)
    layers = 0
    if recipe.compute.checkpoint_activations:  # what goes into each layer is kept where no hook sees it
        layers = config.decoder.layers * example.step_times.shape[1] * config.decoder.dim * 4
    return counted.bytes + layers


class Kept:
    """Context that adds up the bytes of what is saved for the gradient, parameters and views of the same not twice."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.bytes = 0
        self._seen: dict[int, Any] = {p.untyped_storage()._cdata: p.untyped_storage() for p in model.parameters()}
        self._hooks: Any = torch.autograd.graph.saved_tensors_hooks(self._count, lambda value: value)

    def __enter__(self) -> Kept:
        self._hooks.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._hooks.__exit__(*exc)

    def _count(self, value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage._cdata not in self._seen:
            self._seen[storage._cdata] = storage  # held, so that its number isn't given to another one
            self.bytes += storage.nbytes()
        return value


@contextmanager
def _as_on(device: str, precision: str) -> Iterator[None]:
    """Context in which a CPU keeps what `device` would: number format and kind of attention."""
    kernels = [SDPBackend.MATH] if device == "cpu" else [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]
    half = torch.float16 if precision == "fp16" else torch.bfloat16
    with torch.autocast("cpu", half, enabled=precision != "fp32"), sdpa_kernel(kernels):
        yield


def _patches(config: ModelConfig, example: Batch) -> tuple[int, int, int]:
    """F, P and C of what the model reads of the example's pictures."""
    frames = example.patches.shape[1]
    if config.tower is None or example.patches.dtype != torch.uint8:
        return frames, example.patches.shape[2], example.patches.shape[3]
    at_once, tubelet = config.tower.frames_at_once, config.tower.tubelet
    return -(-frames // at_once) * at_once // tubelet, config.tower.patches + 1, config.tower.width

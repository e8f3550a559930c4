"""Optimisers, the learning rate over the steps, and the average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from core.training.recipe import EmaRecipe, OptimiserRecipe, ScheduleRecipe


def make_optimiser(model: nn.Module, recipe: OptimiserRecipe) -> torch.optim.Optimizer:
    """The recipe's optimiser of the parameters that are trained."""
    groups = _groups(model, recipe)
    if recipe.kind == "dadapt":
        return DAdaptAdam(groups, recipe.learning_rate, recipe.betas, recipe.eps, recipe.first_d)
    kind = torch.optim.Adam if recipe.kind == "adam" else torch.optim.AdamW
    return kind(groups, lr=recipe.learning_rate, betas=recipe.betas, eps=recipe.eps)


def learning_rate(recipe: ScheduleRecipe, step: int, total: int, share: float | None = None) -> float:
    """Factor of the learning rate at `step` of `total`: step / warmup_steps, then 0.5 (1 + cos(pi x)), x from 0 to 1.

    share: how much of the time is over, for trainings that go by the clock: their cosine falls from the beginning.
    """
    warm = min(1.0, step / recipe.warmup_steps) if recipe.warmup_steps else 1.0
    if recipe.kind == "constant":
        return warm
    if share is not None:
        return warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))
    if step < recipe.warmup_steps:
        return warm
    done = (step - recipe.warmup_steps) / max(1, total - recipe.warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * done))


class DAdaptAdam(torch.optim.Optimizer):
    """Adam that finds its own learning rate (D-Adaptation, arXiv 2301.07733, algorithm 5), decoupled weight decay.

    d estimates from below how far the weights are from where they should be; a step is d * lr long. No correction of
    the averages' bias, no limit to d's growth: as GVMGen was trained. lr is a factor that a schedule may lower.
    """

    def __init__(
        self, parameters: Iterable[Any], lr: float = 1.0, betas: tuple[float, float] = (0.9, 0.95), eps: float = 1e-4,
        first_d: float = 1e-6,
    ) -> None:  # fmt: skip
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0, "d": first_d, "weighted_square": 0.0}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update. d and the sums behind it are of all groups together."""
        assert closure is None, "no optimiser of ours computes the loss again"
        first = self.param_groups[0]
        if first["lr"] == 0:
            return  # as in the published code: not even the averages take the gradient in
        (fast, slow), d, rate = first["betas"], first["d"], first["d"] * first["lr"]
        given = [(p, group) for group in self.param_groups for p in group["params"] if p.grad is not None]
        sums: list[Tensor] = []
        for parameter, group in given:
            state, gradient = self._state(parameter), parameter.grad
            state["mean"].mul_(fast).add_(gradient, alpha=rate * (1 - fast))
            state["square"].mul_(slow).addcmul_(gradient, gradient, value=1 - slow)
            state["way"].mul_(slow).add_(gradient, alpha=rate * (1 - slow))
            steepness = state["square"].sqrt().add_(group["eps"])
            way = state["way"]
            parts = (gradient * gradient / steepness, way * way / steepness, way.abs())
            sums.append(torch.stack([_local(part).sum(dtype=torch.float64) for part in parts]))
        square, towards, length = _over_shards(torch.stack(sums).sum(dim=0), given[0][0])
        if length == 0:
            return  # every gradient is zero
        weighted = slow * first["weighted_square"] + rate**2 * (1 - slow) * square
        better = (towards / (1 - slow) - weighted) / length
        for group in self.param_groups:
            group["weighted_square"] = weighted
            group["d"] = max(d, better)
        for parameter, group in given:
            state = self.state[parameter]
            parameter.mul_(1 - group["weight_decay"] * rate)
            parameter.addcdiv_(state["mean"], state["square"].sqrt().add_(group["eps"]), value=-1)

    def _state(self, parameter: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            state.update({name: torch.zeros_like(parameter) for name in ("mean", "square", "way")})
        return state


class Average:
    """The exponential moving average of a model's weights, unbiased: after n blends the newest has weight 1 / (1 +
    decay + ... + decay^(n-1)), so the first one is a copy."""  # fmt: skip

    def __init__(self, model: nn.Module, recipe: EmaRecipe) -> None:
        self.recipe = recipe
        self.count = 0.0
        self.weights = {name: value.detach().clone() for name, value in model.named_parameters()}

    @torch.no_grad()
    def blend(self, model: nn.Module, step: int) -> None:
        """Take in the weights after update number `step` (0 for the first), if it is one of every `every`."""
        if (step + 1) % self.recipe.every:
            return
        self.count = self.recipe.decay * self.count + 1.0
        for name, value in model.named_parameters():
            self.weights[name].lerp_(value, 1.0 / self.count)

    @contextmanager
    def inside(self, model: nn.Module) -> Iterator[None]:
        """Context in which `model` computes with the average."""
        if not self.count:
            yield
            return
        self._swap(model)
        try:
            yield
        finally:
            self._swap(model)

    @torch.no_grad()
    def _swap(self, model: nn.Module) -> None:
        for name, value in model.named_parameters():
            kept = value.clone()
            value.copy_(self.weights[name])
            self.weights[name].copy_(kept)


def _groups(model: nn.Module, recipe: OptimiserRecipe) -> list[dict[str, Any]]:
    """Matrices decay; vectors (norms, biases, time windows) where the recipe says so."""
    trained: Mapping[str, Tensor] = {name: p for name, p in model.named_parameters() if p.requires_grad}
    decaying = [p for p in trained.values() if p.ndim >= 2 or recipe.decay_vectors]
    others = [p for p in trained.values() if p.ndim < 2 and not recipe.decay_vectors]
    groups: list[dict[str, Any]] = [{"params": decaying, "weight_decay": recipe.weight_decay}]
    return groups + ([{"params": others, "weight_decay": 0.0}] if others else [])


def _local(value: Tensor) -> Tensor:
    """The part of `value` that lies on this device."""
    return value.to_local() if isinstance(value, DTensor) else value


def _over_shards(sums: Tensor, parameter: Tensor) -> list[float]:
    """The sums over all devices where the parameters are sharded as this one."""
    if isinstance(parameter, DTensor):
        dist.all_reduce(sums)
    return [float(value) for value in sums.cpu()]

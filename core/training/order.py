"""Which examples are learned from at which step: a pure function of the seed and the step, on any number of devices.

So a training that goes on after a stop needs no memory of what it has read.
"""

from __future__ import annotations

import signal
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from core.training.data import Batch, Draw, Examples
from core.training.recipe import DataRecipe

_EPOCH, _STEP, _HELD_OUT = 1, 2, 3  # what random numbers are for


class Order:
    """The whole batches of every step."""

    def __init__(self, examples: Examples, recipe: DataRecipe, seed: int) -> None:
        self.examples, self.recipe, self.seed = examples, recipe, seed
        self.steps_per_epoch = len(self._batches(0))
        self._kept: tuple[int, list[list[int]]] | None = None

    def draws(self, step: int) -> list[Draw]:
        """The rows of step `step`'s batch, over all devices."""
        epoch, at = divmod(step, self.steps_per_epoch)
        if self._kept is None or self._kept[0] != epoch:
            self._kept = epoch, self._batches(epoch)
        rng = np.random.default_rng([self.seed, _STEP, step])
        places, nulls = rng.random(self.recipe.batch), rng.random(self.recipe.batch)
        if self.recipe.null_by == "batch":
            nulls[:] = nulls[0]
        rows = zip(self._kept[1][at], places, nulls, strict=True)
        return [Draw(index, bool(null < self.recipe.null_share), float(place)) for index, place, null in rows]

    def _batches(self, epoch: int) -> list[list[int]]:
        return self.examples.epoch(np.random.default_rng([self.seed, _EPOCH, epoch]), self.recipe.batch)


def held_out_draws(examples: Examples, size: int, batches: int) -> list[list[Draw]]:
    """The same windows in every run: at most `batches` batches of at least two rows, each from its pair's beginning."""
    rng = np.random.default_rng([0, _HELD_OUT])
    size = min(size, len(examples))
    return [[Draw(index) for index in rows] for rows in examples.epoch(rng, size)[:batches]] if size > 1 else []


@dataclass(frozen=True)
class Share(Dataset[list[Batch]]):
    """What one of `size` devices computes of each step: `parts` batches, one after the other."""

    order: Order
    rank: int
    size: int
    parts: int

    def __getitem__(self, step: int) -> list[Batch]:
        draws = self.order.draws(step)
        rows = len(draws) // (self.size * self.parts)
        first = self.rank * self.parts * rows
        starts = range(first, first + self.parts * rows, rows)
        return [self.order.examples.batch(draws[start : start + rows]) for start in starts]


def read_ahead(
    share: Share, first: int, last: int, recipe: DataRecipe, pin: bool
) -> Generator[list[Batch], None, None]:
    """The device's parts of steps first..last, read by `recipe.workers` processes ahead of time, in order.

    It has to be closed: the readers heed no signal, so nothing else ends them while the trainer lives.
    """
    settings: dict[str, Any] = {"batch_size": None, "sampler": range(first, last), "pin_memory": pin}
    if recipe.workers:
        settings |= {"num_workers": recipe.workers, "prefetch_factor": recipe.prefetch}
        settings |= {"multiprocessing_context": "spawn"}  # a fork of a process with threads may hang
        settings |= {"worker_init_fn": _leave_signals_to_the_trainer}
    loader: DataLoader[list[Batch]] = DataLoader(share, **settings)
    yield from loader


def _leave_signals_to_the_trainer(worker: int) -> None:
    """A terminal, `timeout` and batch systems send them to all processes; the trainer finishes its step first.

    Where that ends without a word (kill -9) torch's reader notices within seconds, and ends.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)

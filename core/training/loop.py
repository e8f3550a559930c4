"""SPINE of training: read, update, tell, evaluate, keep; until it is done, is told to stop, or the numbers break.

What a step does follows from the recipe's seed and the step's number alone, so a run that was stopped anywhere goes
on from its last checkpoint exactly as if nothing had happened.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn

from core.errors import TrainingError
from core.model import GVMGen
from core.training.checkpoints import Checkpoints, State, save_whole
from core.training.data import Batch
from core.training.devices import World, whole
from core.training.journal import Journal, exact
from core.training.optim import learning_rate
from core.training.order import Order, Share, read_ahead
from core.training.recipe import Recipe
from core.training.step import Eyes, Looked, held_out_loss, update

BROKEN: Final = "broken-at-step-{:09}.pt"  # what is kept of a training whose numbers broke
_ENDLESS: Final = 10**9  # steps of a training that goes by the clock
_T = TypeVar("_T")


@dataclass
class Training:
    """A run, made ready. module: what is called for the loss (see `devices.spread`).

    total: steps, 0 where minutes count. held_out: batches that are never learned from. keep: writes the model of the
    averaged weights (on the CPU) after so many steps, with figures. sample: makes music with the model as it is, see
    `samples.Sampler`.
    """

    recipe: Recipe
    world: World
    folder: Path
    state: State
    module: nn.Module
    order: Order
    eyes: Eyes
    held_out: Sequence[Batch]
    total: int
    keep: Callable[[dict[str, Tensor], int, dict[str, Any]], Any]
    sample: Callable[[GVMGen, int], tuple[Sequence[Path], Sequence[tuple[str, str]]]] | None = None
    bar: bool = True


def train(run: Training) -> None:
    """Train to the end of the recipe. KeyboardInterrupt after a signal, TrainingError where the numbers break; both
    times everything is kept first."""  # fmt: skip
    recipe, world, state = run.recipe, run.world, run.state
    kept = Checkpoints(run.folder, recipe.run.keep_last)
    share = Share(run.order, world.rank, world.size, recipe.compute.accumulate)
    log = Journal(run.folder, state.step, run.total, writes=world.main, tensorboard=recipe.run.tensorboard, bar=run.bar)
    clock = Clock(state.seconds)
    ahead = read_ahead(share, state.step, run.total or _ENDLESS, recipe.data, world.device.type == "cuda")
    with Stop() as stop, log, closing(ahead):
        for parts in clock.waiting_for(ahead):
            step = state.step
            rate = _set_rate(run, clock)
            found = update(recipe, world, state, run.module, parts, run.eyes)
            if not found.finite:
                _give_up(run, found, parts, rate)
            state.step, state.seconds = step + 1, clock.seconds
            last = _is_last(run, clock)
            _tell(run, log, clock, step, found, parts, rate)
            if last or _due(recipe.run.evaluate_every, state.step):
                evaluate(run, log, step)
            if run.sample is not None and _due(recipe.run.samples_every, state.step):
                _sample(run, log, step)
            stopping = stop.asked_anywhere(world)
            if last or stopping or _due(recipe.run.checkpoint_every, state.step):
                gathered = state.gather(world)
                if world.main:
                    kept.save(gathered)
            if last:
                break
            if stopping:
                raise KeyboardInterrupt
    world.wait()


def evaluate(run: Training, log: Journal, step: int) -> None:
    """Held-out loss with the averaged weights; the model folder is written where it is the best so far."""
    state, world = run.state, run.world
    state.model.eval()
    for name, problem in (failed for batch in run.held_out for failed in batch.failed):
        log.row(step, skipped=name, why=problem)
    held_out = [batch for batch in run.held_out if bool(batch.valid.any())]
    with state.average.inside(state.model):
        found = held_out_loss(run.recipe, state.model, held_out, run.eyes)
        weights = {name: whole(value) for name, value in state.model.state_dict().items()}
    state.model.train()
    mean = float(found["held_out"].mean()) if held_out else state.best
    figures = {name: [round(float(v), 5) for v in values] for name, values in found.items()} if held_out else {}
    log.row(step, **figures)
    if (not held_out or mean < state.best) and world.main:
        run.keep(weights, state.step, figures)
    state.best = min(state.best, mean)


def _set_rate(run: Training, clock: Clock) -> float:
    """The learning rate of this step, given to the optimiser."""
    schedule = run.recipe.schedule
    share = _seconds(run, clock) / (60 * schedule.minutes) if schedule.minutes else None
    rate = run.recipe.optimiser.learning_rate * learning_rate(schedule, run.state.step, run.total, share)
    for group in run.state.optimiser.param_groups:
        group["lr"] = rate
    return rate


def _is_last(run: Training, clock: Clock) -> bool:
    """Is the training over?"""
    if run.total:
        return run.state.step >= run.total
    return _seconds(run, clock) >= 60 * run.recipe.schedule.minutes


def _seconds(run: Training, clock: Clock) -> float:
    """How long the run has taken by the clock of the first process: all of them must find the same."""
    mine = clock.seconds if run.world.main else 0.0
    return float(run.world.sum(torch.tensor(mine, dtype=torch.float64, device=run.world.device)))


def _tell(
    run: Training, log: Journal, clock: Clock, step: int, found: Looked, parts: Sequence[Batch], rate: float
) -> None:
    said = f"loss {float(found.losses.mean()):.3f}, {clock.waited_share:.0%} waiting"
    log.advance(said)
    for part in parts:
        for name, problem in part.failed:
            log.row(step, skipped=name, why=problem)
    if step % run.recipe.run.log_every == 0 or step + 1 == run.total:
        log.row(
            step,
            loss=exact(found.losses),
            rate=rate,
            norm=round(found.norm, 6),
            **({"overflowed": True} if found.overflowed else {}),
            **({"d": run.state.optimiser.param_groups[0]["d"]} if run.recipe.optimiser.kind == "dadapt" else {}),
            seconds=round(clock.seconds, 2),
            per_second=round(clock.steps_per_second * run.recipe.data.batch, 3),
            waiting=round(clock.waited_share, 4),
        )


def _sample(run: Training, log: Journal, step: int) -> None:
    """Music of the averaged weights, on the first device; shards are put together for it."""
    assert run.sample is not None
    state, world = run.state, run.world
    model: GVMGen | None = state.model
    state.model.eval()
    with state.average.inside(state.model):
        if world.parallel == "fsdp":
            weights = {name: whole(value) for name, value in state.model.state_dict().items()}
            model = _copy_of(state.model, weights, world) if world.main else None
        if world.main and model is not None:
            pictures, failed = run.sample(model, state.step)
            for name, problem in failed:
                log.row(step, skipped=name, why=problem)
            for number, picture in enumerate(pictures):
                log.picture(step, f"sample {number}", picture)
    state.model.train()
    world.wait()


def _copy_of(model: GVMGen, weights: dict[str, Tensor], world: World) -> GVMGen:
    copy = GVMGen(model.config)
    copy.load_state_dict(weights)
    return copy.to(world.device).eval()


def _give_up(run: Training, found: Looked, parts: Sequence[Batch], rate: float) -> None:
    """Keep what was there before the numbers broke, and say where they did. Raises TrainingError."""
    from core.training.diagnosis import first_break

    state, world = run.state, run.world
    gathered = state.gather(world)
    path = run.folder / BROKEN.format(state.step)
    where = first_break(run.recipe, state.model, run.module, parts, run.eyes)
    if world.main:
        save_whole(gathered | {"batch": [name for part in parts for name in part.ids], "where": where}, path)
    streams = [str(index) for index, loss in enumerate(found.losses.tolist()) if not torch.isfinite(torch.tensor(loss))]
    what = f"the loss of codebook {', '.join(streams)}" if streams else "the gradient"
    names = ", ".join(name for part in parts for name in part.ids[:4])
    raise TrainingError(
        f"{what} is no number at step {state.step} (learning rate {rate:.3g}; batch {names}; {where}); the weights "
        f"before it are in {path.name}; lower optimiser.learning_rate, or go on from a checkpoint"
    )


def _due(every: int, steps: int) -> bool:
    return bool(every) and steps % every == 0


class Clock:
    """How long a run takes, and how much of that it waits for data. The first step counts for neither speed nor
    waiting: it starts readers, compiles and warms up."""  # fmt: skip

    def __init__(self, before: float) -> None:
        self._before, self._began = before, time.monotonic()
        self._done, self._waited, self._mark = 0, 0.0, 0.0

    @property
    def seconds(self) -> float:
        """Of the whole run, also before it was stopped."""
        return self._before + time.monotonic() - self._began

    @property
    def waited_share(self) -> float:
        """How much of the time is spent waiting for data."""
        return self._waited / (time.monotonic() - self._mark) if self._done else 0.0

    @property
    def steps_per_second(self) -> float:
        """Steps a second, all that happens between them counted."""
        return self._done / (time.monotonic() - self._mark) if self._done else 0.0

    def waiting_for(self, items: Iterator[_T]) -> Iterator[_T]:
        """The items, the time that each is waited for counted."""
        number, began = 0, time.monotonic()
        for item in items:
            if number == 0:
                self._mark = time.monotonic()
            else:
                self._waited += time.monotonic() - began
                self._done = number
            yield item
            number, began = number + 1, time.monotonic()


class Stop:
    """Context that takes note of Ctrl-C and of SIGTERM, so that the step at work can be finished and kept.

    A second one interrupts at once, unless it comes with the first: `timeout` signals its child and then the child's
    whole group.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)
    _TOGETHER = 0.5  # seconds

    def __init__(self) -> None:
        self.asked = False
        self._when = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in self._SIGNALS}
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def asked_anywhere(self, world: World) -> bool:
        """Was this process or another one asked to stop?"""
        if world.size == 1:
            return self.asked
        return bool(world.sum(torch.tensor(float(self.asked), device=world.device)) > 0)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked, self._when = True, time.monotonic()
        elif time.monotonic() - self._when > self._TOGETHER:
            raise KeyboardInterrupt

"""What is impossible is said before anything heavy: sizes that don't divide, files that lack, memory and disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch

from core.errors import MissingDependencyError, TrainingError
from core.memory import HEADROOM_BYTES, free_bytes
from core.model import GVMGen
from core.training.data import Examples
from core.training.devices import World
from core.training.forecast import COPIES, Forecast
from core.training.recipe import Recipe


def check_folder(out: Path, resume: bool, checkpoints: Sequence[int]) -> None:
    """That a new run doesn't overwrite another one, and that there is something to go on from."""
    if resume:
        if not checkpoints and (out / "model").exists():
            raise TrainingError(
                f"{out} holds a model but no checkpoint to go on from; begin a new run from it (--set "
                f"model.start_from={out / 'model'}), or remove it to begin this one again"
            )
        return
    if not out.exists():
        return
    if not out.is_dir():
        raise TrainingError(f"{out} is a file; name a folder for the run (--out)")
    if checkpoints or (out / "log.jsonl").exists():
        raise TrainingError(f"{out} holds a training already; go on with it (--resume {out}) or name another --out")


def check_recipe(recipe: Recipe, world: World) -> None:
    """That the batch can be divided, and that what the recipe switches on is installed."""
    parts = world.size * recipe.compute.accumulate
    if recipe.data.batch % parts:
        raise TrainingError(
            f"a batch of {recipe.data.batch} can't be divided over {world.size} devices and "
            f"{recipe.compute.accumulate} parts each; make data.batch a multiple of {parts}"
        )
    if recipe.run.tensorboard and find_spec("tensorboard") is None:
        raise MissingDependencyError(
            "TensorBoard isn't installed: pip install 'gvm[training]', or leave it out (--set run.tensorboard=false)"
        )
    if recipe.run.samples_every and find_spec("matplotlib") is None:
        raise MissingDependencyError(
            "matplotlib draws the samples and isn't installed: pip install 'gvm[training]', or make none "
            "(--set run.samples_every=0)"
        )
    if recipe.compute.compile and not _compiler(world.device):
        raise MissingDependencyError(
            "torch.compile needs a C++ compiler on a CPU (g++ or clang) and triton on a GPU; install it, or leave it "
            "out (--set compute.compile=false)"
        )


def check_data(recipe: Recipe, examples: Examples, skipped: Sequence[tuple[str, str]]) -> None:
    """That there is a batch of usable examples."""
    if len(examples) < recipe.data.batch:
        why = f"; {len(skipped)} were left out, the first because {skipped[0][1]}" if skipped else ""
        raise TrainingError(
            f"{recipe.data.folder} has {len(examples)} pairs to train on, a batch needs {recipe.data.batch}{why}; "
            "lower data.batch or data.window_seconds, or build a larger data set"
        )


def check_length(recipe: Recipe, total: int) -> None:
    """That the learning rate has risen before a training of `total` steps (0: it goes by the clock) ends."""
    schedule = recipe.schedule
    if total and schedule.kind == "cosine" and schedule.warmup_steps >= total:
        raise TrainingError(
            f"schedule.warmup_steps {schedule.warmup_steps} never ends within {total} steps, which is all that "
            f"schedule.epochs {schedule.epochs} of these data make; lower it (--set schedule.warmup_steps=N), or train "
            "for longer"
        )


def check_same_data(before: str, now: str, out: Path) -> None:
    """That a run goes on with what it began with."""
    if before != now:
        raise TrainingError(
            f"the data of {out} have changed since it began, so it can't go on as it would have; bring them back, or "
            f"begin a new run from its model (--set model.start_from={out}/model)"
        )


def check_room(recipe: Recipe, need: Forecast, out: Path, world: World) -> None:
    """That weights, optimiser and a part of the batch fit the memory, and the checkpoints the disk."""
    free = free_bytes(world.device)
    if free is not None and need.total + HEADROOM_BYTES > free:
        raise TrainingError(
            f"training {need.trained / 1e6:.0f} million parameters with {need.rows} windows at a time needs about "
            f"{need.total / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free on {world.device}, enough for "
            f"{need.rows_that_fit(free - HEADROOM_BYTES)}; compute the batch in parts (--set compute.accumulate=N), "
            "set compute.checkpoint_activations=true, share it out (compute.parallel=fsdp), or take a smaller model"
        )
    place = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    kept = 4 * need.trained * (COPIES[recipe.optimiser.kind] - 1 + bool(recipe.ema.every))
    needed, room = kept * (recipe.run.keep_last + 1), shutil.disk_usage(place).free
    if needed > room:
        raise TrainingError(
            f"{place} has {room / 1e9:.1f} GB free, {recipe.run.keep_last} checkpoints and the one being written need "
            f"{needed / 1e9:.1f} GB; make room, name another --out, or keep fewer (--set run.keep_last=1)"
        )


def describe(recipe: Recipe, need: Forecast, world: World, examples: int, held_out: int) -> Iterator[str]:
    """Lines for people: what is trained on what, where, and how much memory that takes."""
    where = f"{world.size} x {world.device.type} ({world.parallel})" if world.size > 1 else str(world.device)
    frozen = f", {need.frozen / 1e6:.1f} million stay frozen" if need.frozen else ""
    yield (
        f"{need.trained / 1e6:.2f} million parameters are trained{frozen}, on {where} in {recipe.compute.precision}; "
        f"{examples} examples, {held_out} held out"
    )
    free = free_bytes(world.device)
    fits = f"; {need.rows_that_fit(free)} would fit the {_size(free)} that are free" if free is not None else ""
    yield (
        f"memory on each device: {_size(need.state_bytes)} for weights, gradients, optimiser and average, "
        f"{_size(need.tower_bytes)} for the tower, about {_size(need.row_bytes)} for each of {need.rows} windows "
        f"at a time{fits}"
    )


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def speed_up(recipe: Recipe, model: GVMGen) -> None:
    """Switch on what the recipe asks for in the model's layers."""
    for layer in model.decoder.layers:
        layer.checkpointing = recipe.compute.checkpoint_activations  # type: ignore[assignment]
        if recipe.compute.compile:
            layer.compile(dynamic=True)


def _compiler(device: torch.device) -> bool:
    if device.type == "cuda":
        return find_spec("triton") is not None
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++", "cl"))

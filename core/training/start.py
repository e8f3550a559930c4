"""A recipe and a folder -> a training that runs. What can be told to be impossible is told before anything heavy.

RUN/recipe.toml       the whole recipe
RUN/log.jsonl         losses, figures, evaluations; RUN/tensorboard/ where asked
RUN/skipped.jsonl     pairs that can't be used, with the reason
RUN/checkpoints/      the last few, to go on from
RUN/samples/          music and pictures made on the way
RUN/model/            the best so far, for `gvm score --model RUN/model`
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from core.errors import TrainingError
from core.starter.taste import TASTE
from core.training import preflight
from core.training.checkpoints import Checkpoints, State
from core.training.data import Draw, Examples, ScoreExamples, load_pieces
from core.training.devices import World, join, spread
from core.training.forecast import forecast
from core.training.loop import Training, train
from core.training.manifest import read_dataset
from core.training.optim import Average, make_optimiser
from core.training.order import Order, held_out_draws
from core.training.pairs import PairExamples, usable_pairs
from core.training.parts import Built, ModelPlan, build_model, plan_model
from core.training.presets import PRESETS
from core.training.recipe import Recipe, read_recipe, to_toml
from core.training.result import Result
from core.training.samples import Sampler
from core.training.step import Eyes
from core.vision.tower import best_dtype

RECIPE: Final = "recipe.toml"
SKIPPED: Final = "skipped.jsonl"
_HELD_OUT_SHARDS: Final = 2

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Material:
    """What there is to learn from. skipped: (id, reason). mark: changes when the usable data change."""

    plan: ModelPlan
    examples: Examples
    held_out: Examples
    skipped: tuple[tuple[str, str], ...]
    mark: str
    about: dict[str, Any]


def run_training(
    recipe: Recipe, out: Path, *, resume: bool = False, find: Callable[[str], Path] = Path, say: Say | None = None,
    bar: bool = False,
) -> Path:  # fmt: skip
    """Train as the recipe says into the run folder `out`, or go on with what is there; the model folder.

    find: path of a model or part by its name. say: takes lines for people, on the first of several processes.
    GVMError before anything heavy where it can't work; KeyboardInterrupt where it was stopped, all kept.
    """
    with join(recipe.compute) as world:
        speak = say if say is not None and world.main else _silent
        kept = Checkpoints(out, recipe.run.keep_last)
        preflight.check_folder(out, resume, kept.steps())
        preflight.check_recipe(recipe, world)
        material = open_material(recipe, find)
        preflight.check_data(recipe, material.examples, material.skipped)
        if not resume:
            preflight.check_length(recipe, _total(recipe, Order(material.examples, recipe.data, recipe.run.seed)))
        need = forecast(recipe, material.plan.config, world, material.examples.batch([Draw(0)]))
        preflight.check_room(recipe, need, out, world)
        for line in preflight.describe(recipe, need, world, len(material.examples), len(material.held_out)):
            speak(line)
        if material.skipped:
            speak(f"{len(material.skipped)} pairs are left out: see {out / SKIPPED}")
        _threads(recipe)
        built = build_model(material.plan, recipe.run.seed)
        if built.fresh and built.taken:
            speak(f"{len(built.taken)} tensors come from files, {len(built.fresh)} start from random numbers")
        run = _ready(recipe, world, out, material, built)
        run.bar, state = bar, run.state
        if resume and kept.steps():
            saved = kept.load()
            preflight.check_same_data(saved["mark"], material.mark, out)
            state.restore(saved)
            speak(f"goes on after {state.step} steps")
        elif world.main:
            _begin(out, recipe, material)
        train(run)
        speak(f"the model is in {out / 'model'}")
    return out / "model"


def check_new_run(recipe: Recipe, out: Path) -> None:
    """That a run may begin in `out` and can work here, for who makes its data first; nothing is read or written.

    TrainingError; also where torchrun started several processes, which would all make the same data.
    """
    if (size := int(os.environ.get("WORLD_SIZE", "1"))) > 1:
        raise TrainingError(
            f"what is learned from films is made by one process, and torchrun started {size}; train without it, or "
            "name pieces that are made already (--data RUN/lessons)"
        )
    with join(recipe.compute) as world:
        preflight.check_folder(out, False, Checkpoints(out, recipe.run.keep_last).steps())
        preflight.check_recipe(recipe, world)


def resume_training(out: Path, **more: Any) -> Path:
    """Go on with the run in `out` as its own recipe says; see `run_training`."""
    if not (out / RECIPE).is_file():
        raise TrainingError(
            f"{out} is no training run ({RECIPE} is missing); begin one with gvm train RECIPE --out {out}"
        )
    return run_training(read_recipe(out / RECIPE, PRESETS), out, resume=True, **more)


def open_material(recipe: Recipe, find: Callable[[str], Path] = Path) -> Material:
    """The model's plan and the examples that the recipe names. No weights are read."""
    folder = Path(recipe.data.folder)
    if not recipe.data.folder:
        raise TrainingError("the recipe names no data; add --data FOLDER (gvm dataset build makes one)")
    if recipe.data.kind == "pieces":
        return _pieces(recipe, folder, find)
    dataset = read_dataset(folder)
    if dataset.codec is None:
        raise TrainingError(
            f"{folder} has no cached codes; build it with a codec: gvm dataset build ... --codec FOLDER"
        )
    if int(recipe.data.window_seconds * dataset.codec.codes_per_second + 1e-6) < 1:
        raise TrainingError(
            f"a window of {recipe.data.window_seconds:g} s (data.window_seconds) is shorter than a step of codes, "
            f"{1 / dataset.codec.codes_per_second:g} s; make it longer"
        )
    plan = plan_model(recipe.model, dataset.codec, find)
    train_pairs = usable_pairs(dataset, "train", plan.config.vision, recipe.data.window_seconds)
    test_pairs = usable_pairs(dataset, "test", plan.config.vision, recipe.data.window_seconds)
    make = [
        PairExamples(dataset, each.pairs, plan.config, recipe.data.window_seconds) for each in (train_pairs, test_pairs)
    ]
    names = "\n".join(pair.id for each in (train_pairs, test_pairs) for pair in each.pairs)
    about = {"pairs": len(train_pairs.pairs), "hours": round(sum(p.seconds for p in train_pairs.pairs) / 3600, 3)}
    mark = hashlib.sha256(f"{dataset.codec}\n{names}".encode()).hexdigest()
    return Material(plan, make[0], make[1], train_pairs.skipped + test_pairs.skipped, mark, about)


def _pieces(recipe: Recipe, folder: Path, find: Callable[[str], Path]) -> Material:
    """Shards of the starter's corpus: those named test-* are held out, or else the first two."""
    shards = sorted(folder.glob("*.npz"))
    unseen = [path for path in shards if path.name.startswith("test-")] or shards[:_HELD_OUT_SHARDS]
    seen = [path for path in shards if path not in unseen]
    if not seen:
        raise TrainingError(
            f"{folder} holds no shards of pieces to train on besides those held out; build more of them"
        )
    plan = plan_model(recipe.model, None, find)
    examples, held_out = (
        ScoreExamples([piece for path in paths for piece in load_pieces(path)], plan.config.decoder.delays)
        for paths in (seen, unseen)
    )
    mark = hashlib.sha256(repr([(path.name, path.stat().st_size) for path in shards]).encode()).hexdigest()
    return Material(plan, examples, held_out, (), mark, {"pieces": len(examples.pieces), **_taste(folder)})


def _taste(folder: Path) -> dict[str, Any]:
    """The taste that was found with the pieces in `folder`, for the model's card; nothing where there is none."""
    path = folder / f"{TASTE}.json"
    if not path.is_file():
        return {}
    try:
        return {TASTE: json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError) as err:
        raise TrainingError(f"{path} can't be read ({err}); delete {folder} and make the lessons again") from err


def _ready(recipe: Recipe, world: World, out: Path, material: Material, built: Built) -> Training:
    """The model on its device or devices, with all that works on it."""
    model = built.model.to(world.device)
    preflight.speed_up(recipe, model)
    result = Result(out, material.plan, recipe, built.tower, material.about)
    tower = None if built.tower is None else built.tower.place(world.device, best_dtype(world.device))
    module = spread(model, world)
    scaler = torch.amp.GradScaler(world.device.type, enabled=recipe.compute.precision == "fp16")
    state = State(model, make_optimiser(model, recipe.optimiser), Average(model, recipe.ema), scaler)
    state.mark = material.mark
    order = Order(material.examples, recipe.data, recipe.run.seed)
    rows = held_out_draws(material.held_out, max(2, min(recipe.data.batch, 16)), recipe.run.evaluate_batches)
    eyes = Eyes(tower, world.device, recipe.compute.precision)
    sampler = Sampler(out, material.plan, material.held_out, recipe.run.samples, eyes)
    return Training(
        recipe=recipe,
        world=world,
        folder=out,
        state=state,
        module=module,
        order=order,
        eyes=eyes,
        held_out=[material.held_out.batch(draws) for draws in rows],
        total=_total(recipe, order),
        keep=result.write,
        sample=sampler if recipe.run.samples_every else None,
    )


def _total(recipe: Recipe, order: Order) -> int:
    """Steps of the whole training, 0 where it goes by the clock."""
    return recipe.schedule.steps or recipe.schedule.epochs * order.steps_per_epoch


def _begin(out: Path, recipe: Recipe, material: Material) -> None:
    """The run's folder, with its recipe and what was left out."""
    out.mkdir(parents=True, exist_ok=True)
    absolute = replace(recipe, data=replace(recipe.data, folder=os.path.abspath(recipe.data.folder)))
    (out / RECIPE).write_text(to_toml(absolute), encoding="utf-8")
    lines = [json.dumps({"id": name, "why": why}, ensure_ascii=False) for name, why in material.skipped]
    (out / SKIPPED).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _threads(recipe: Recipe) -> None:
    """As many threads on a CPU as the recipe says, or as there are cores."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(recipe.compute.threads or there)


def keep_freed_memory() -> None:
    """Have glibc keep what is freed, instead of asking the system for zeroed pages again at every step (2x faster).

    It lasts as long as the process does, so only programs that do nothing but train call it.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(-4, 0)  # M_MMAP_MAX: no block of its own for a large tensor
            libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: never give memory back


def _silent(line: str) -> None:
    pass

"""Everything that decides a training run, as frozen dataclasses checked when they are made. No torch.

A recipe file is TOML with one table per dataclass below; `preset` names the recipe it starts from:

    preset = "paper"

    [model]
    scale = "small"

    [data]
    folder = "DATA"
    batch = 4
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from core.errors import brief

Scale = Literal["small", "large", "waveform", "starter"]
_T = TypeVar("_T")


@dataclass(frozen=True)
class ModelRecipe:
    """What is trained, and what it starts from. All paths; "" where there is none.

    scale: "small" and "large" are the published sizes (CLIP's tower, EnCodec), "waveform" a small model on patch
    descriptors with any codec, "starter" the starter's. start_from: a model folder, whose sizes then count.
    musicgen, clip: first weights. codec: folder of the codec that the data set's codes are of. features, decoder:
    settings of core.config that differ from the scale's. name, licence: of the result, "" for what follows from what
    it is made of.
    """

    scale: Scale = "small"
    start_from: str = ""
    musicgen: str = ""
    clip: str = ""
    codec: str = ""
    features: dict[str, Any] = field(default_factory=dict)
    decoder: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        _one_of(self.scale, ("small", "large", "waveform", "starter"), "model.scale")
        if self.start_from and (self.musicgen or self.clip):
            raise ValueError("model.start_from has all weights: leave model.musicgen and model.clip out")


@dataclass(frozen=True)
class DataRecipe:
    """What is learned from.

    kind: "pairs" is a folder of `gvm dataset build`, "pieces" the starter's shards. batch: windows of one update, over
    all devices and accumulated parts. null_share of them lose their picture, drawn for each "item" or once a "batch".
    workers: processes that read ahead on each device, `prefetch` batches each; 0 to read in the training's own.
    """

    folder: str = ""
    kind: Literal["pairs", "pieces"] = "pairs"
    batch: int = 6
    window_seconds: float = 30.0
    null_share: float = 0.1
    null_by: Literal["item", "batch"] = "item"
    workers: int = 2
    prefetch: int = 2

    def __post_init__(self) -> None:
        _one_of(self.kind, ("pairs", "pieces"), "data.kind")
        _one_of(self.null_by, ("item", "batch"), "data.null_by")
        _at_least(self, "data", batch=1, workers=0, prefetch=1)
        _above_zero(self, "data", "window_seconds")
        _share(self.null_share, "data.null_share")


@dataclass(frozen=True)
class LossRecipe:
    """What is summed up.

    tail: are the last codes of the streams that lag predicted? "dropped" as in the published code: codebook k's last
    delays[k] codes of each window count for nothing.
    """

    tail: Literal["predicted", "dropped"] = "predicted"

    def __post_init__(self) -> None:
        _one_of(self.tail, ("predicted", "dropped"), "loss.tail")


@dataclass(frozen=True)
class OptimiserRecipe:
    """How the weights follow the gradients.

    kind: adam (weight decay as a gradient), adamw (decoupled), dadapt (D-Adaptation, finds its own rate from
    `first_d` up; learning_rate is then a factor, usually 1). decay_vectors: do norms and biases decay too?
    """

    kind: Literal["adam", "adamw", "dadapt"] = "adamw"
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.01
    decay_vectors: bool = False
    clip_norm: float = 1.0
    first_d: float = 1e-6

    def __post_init__(self) -> None:
        _one_of(self.kind, ("adam", "adamw", "dadapt"), "optimiser.kind")
        _above_zero(self, "optimiser", "learning_rate", "eps", "first_d")
        if not self.clip_norm > 0:
            raise ValueError(f"optimiser.clip_norm is {self.clip_norm}; it must be above 0 (inf: nothing is clipped)")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"optimiser.betas is {list(self.betas)}; it must be two shares below 1")
        _at_least(self, "optimiser", weight_decay=0)


@dataclass(frozen=True)
class ScheduleRecipe:
    """How long, and how fast.

    Just one of steps, epochs and minutes is above 0. The learning rate rises over warmup_steps from 0 (so step 0
    changes nothing) and then falls as a cosine to 0, or stays "constant".
    minutes: of wall clock, over which the cosine falls too, so that a slow machine still ends well. Such a run can go
    on after a stop, but not to the bit.
    """

    kind: Literal["cosine", "constant"] = "cosine"
    warmup_steps: int = 4000
    steps: int = 0
    epochs: int = 0
    minutes: float = 0.0

    def __post_init__(self) -> None:
        _one_of(self.kind, ("cosine", "constant"), "schedule.kind")
        _at_least(self, "schedule", warmup_steps=0, steps=0, epochs=0, minutes=0)
        given = [name for name in ("steps", "epochs", "minutes") if getattr(self, name)]
        if len(given) != 1:
            said = " and ".join(f"schedule.{name}" for name in given) or "none of steps, epochs, minutes"
            raise ValueError(f"a training needs just one length: {said} is given; set the others to 0")
        if self.steps and self.warmup_steps >= self.steps and self.kind == "cosine":
            raise ValueError(
                f"schedule.warmup_steps {self.warmup_steps} never ends within {self.steps} steps; lower it "
                "(--set schedule.warmup_steps=N)"
            )


@dataclass(frozen=True)
class EmaRecipe:
    """The average of the weights that is evaluated and delivered.

    Unbiased, blended at every `every`-th step; every 0 for none.
    """

    decay: float = 0.999
    every: int = 1

    def __post_init__(self) -> None:
        _share(self.decay, "ema.decay")
        _at_least(self, "ema", every=0)


@dataclass(frozen=True)
class ComputeRecipe:
    """Where and how it is computed.

    device: auto, cpu or cuda. precision: of the arithmetic; weights and sums stay in single precision. parallel:
    with torchrun, ddp (a copy on every device) or fsdp (FSDP2: shards). devices: how many there must be, 0 for as many
    as there are processes. accumulate: parts that a device's share of the batch is computed in, one after the other.
    checkpoint_activations: compute each layer twice instead of keeping what it computed. compile: torch.compile.
    threads: on a CPU, 0 for all cores.
    """

    device: str = "auto"
    precision: Literal["fp32", "bf16", "fp16"] = "bf16"
    parallel: Literal["none", "ddp", "fsdp"] = "none"
    devices: int = 0
    accumulate: int = 1
    checkpoint_activations: bool = False
    compile: bool = False
    threads: int = 0

    def __post_init__(self) -> None:
        _one_of(self.precision, ("fp32", "bf16", "fp16"), "compute.precision")
        _one_of(self.parallel, ("none", "ddp", "fsdp"), "compute.parallel")
        _at_least(self, "compute", devices=0, accumulate=1, threads=0)


@dataclass(frozen=True)
class RunRecipe:
    """What a run leaves behind, and how often, in steps; 0 for never.

    seed: of weights, order, windows, dropout. evaluate_batches: of held-out windows, each as large as a batch.
    keep_last: checkpoints. samples: held-out windows that music is made for.
    """

    seed: int = 1
    log_every: int = 10
    evaluate_every: int = 500
    evaluate_batches: int = 8
    checkpoint_every: int = 500
    keep_last: int = 3
    samples_every: int = 0
    samples: int = 2
    tensorboard: bool = False

    def __post_init__(self) -> None:
        _at_least(self, "run", seed=0, log_every=1, evaluate_every=0, evaluate_batches=1, checkpoint_every=0,
                  keep_last=1, samples_every=0, samples=1)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """A whole training run."""

    model: ModelRecipe = field(default_factory=ModelRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    optimiser: OptimiserRecipe = field(default_factory=OptimiserRecipe)
    schedule: ScheduleRecipe = field(default_factory=lambda: ScheduleRecipe(epochs=150))
    ema: EmaRecipe = field(default_factory=EmaRecipe)
    compute: ComputeRecipe = field(default_factory=ComputeRecipe)
    run: RunRecipe = field(default_factory=RunRecipe)


def with_settings(recipe: Recipe, tables: Mapping[str, Any]) -> Recipe:
    """`recipe` with what `tables` (table -> setting -> value) says; ValueError that names what is wrong."""
    changed = {}
    for table, values in tables.items():
        _known(table, [each.name for each in dataclasses.fields(Recipe)], "table", "")
        if not isinstance(values, Mapping):
            raise ValueError(f"{table} is {brief(values)}; it must be a table of settings")
        changed[table] = _replaced(getattr(recipe, table), table, values)
    return dataclasses.replace(recipe, **changed)


def with_typed(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """`recipe` with settings as a person types them: "data.batch=4". A new length replaces the old one."""
    tables: dict[str, dict[str, Any]] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        table, _, key = name.strip().partition(".")
        if not equals or not key:
            raise ValueError(f"{setting!r} is no setting; write TABLE.NAME=VALUE, such as data.batch=4")
        inner = tables.setdefault(table, {})
        *above, last = key.split(".")
        for part in above:  # model.decoder.layers=4
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ValueError(f"{setting!r} sets what is inside of {part}, which is {brief(inner)} before it")
        inner[last] = _typed(text.strip())
    for outer in ("features", "decoder"):
        if isinstance((given := tables.get("model", {})).get(outer), dict):
            given[outer] = {**getattr(recipe.model, outer), **given[outer]}
    lengths = {"steps", "epochs", "minutes"}
    if (asked := tables.get("schedule", {})) and lengths & asked.keys():
        asked.update(dict.fromkeys(lengths - asked.keys(), 0))
    return with_settings(recipe, tables)


def read_recipe(path: Path, presets: Mapping[str, Recipe]) -> Recipe:
    """The recipe in a TOML file; ValueError that names the file where it says something impossible."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise ValueError(f"{path}: there is no such file, and no preset of that name ({', '.join(presets)})") from err
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as err:
        raise ValueError(f"{path}: can't be read as TOML ({err}); docs/training.md shows a recipe") from err
    preset = tables.pop("preset", None)
    try:
        if preset is not None:
            _known(str(preset), list(presets), "preset", "")
        base = Recipe() if preset is None else presets[str(preset)]
        given = tables.get("schedule", {})
        if isinstance(given, dict) and (lengths := {"steps", "epochs", "minutes"}) & given.keys():
            given.update(dict.fromkeys(lengths - given.keys(), 0))
        return with_settings(base, tables)
    except ValueError as err:
        raise ValueError(f"{path}: {err}") from err


def to_toml(recipe: Recipe) -> str:
    """The whole recipe as `read_recipe` reads it."""
    lines = []
    for table, values in dataclasses.asdict(recipe).items():
        inner = {name: value for name, value in values.items() if isinstance(value, dict)}
        lines += [f"[{table}]", *(f"{name} = {_toml(v)}" for name, v in values.items() if name not in inner)]
        for name, settings in inner.items():
            lines += [f"[{table}.{name}]", *(f"{key} = {_toml(v)}" for key, v in settings.items())] if settings else []
        lines.append("")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    """Text, finite numbers, truth values and lists of them are written in TOML as in JSON."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)  # inf, -inf, nan
    return json.dumps(value, ensure_ascii=False)


def _typed(text: str) -> Any:
    """What a value typed by a person means in TOML; text where it is nothing else."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _replaced(part: _T, table: str, values: Mapping[str, Any]) -> _T:
    given = {}
    assert dataclasses.is_dataclass(part) and not isinstance(part, type)
    for name, value in values.items():
        _known(name, [each.name for each in dataclasses.fields(part)], "setting", f"{table}.")
        given[name] = _like(value, getattr(part, name), f"{table}.{name}")
    return dataclasses.replace(part, **given)


def _like(value: Any, before: Any, name: str) -> Any:
    """`value` as the type of what it replaces; ValueError where it isn't one."""
    if isinstance(before, bool) or isinstance(value, bool):
        fits = isinstance(value, bool) and isinstance(before, bool)
    elif isinstance(before, float):
        fits = isinstance(value, int | float)
        value = float(value) if fits else value
    elif isinstance(before, tuple):
        fits = isinstance(value, list | tuple) and all(isinstance(each, int | float) for each in value)
        value = tuple(value) if fits else value
    else:
        fits = isinstance(value, type(before))
    if not fits:
        kind = {int: "a whole number", float: "a number", bool: "true or false", str: "text", tuple: "a list"}
        raise ValueError(f"{name} is {brief(value)}; it must be {kind.get(type(before), 'a table')}")
    return value


def _known(name: str, known: Sequence[str], what: str, before: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {before}{near[0]}?" if near else f"there are {', '.join(known)}"
        raise ValueError(f"{before}{name} is no {what}; {hint}")


def _one_of(value: str, known: tuple[str, ...], name: str) -> None:
    if value not in known:
        raise ValueError(f"{name} is {brief(value)}; it must be one of {', '.join(known)}")


def _at_least(part: object, table: str, **least: float) -> None:
    for name, low in least.items():
        if not low <= getattr(part, name) < math.inf:
            raise ValueError(f"{table}.{name} is {getattr(part, name)}; it must be at least {low}, and finite")


def _above_zero(part: object, table: str, *names: str) -> None:
    for name in names:
        if not 0 < getattr(part, name) < math.inf:
            raise ValueError(f"{table}.{name} is {getattr(part, name)}; it must be above 0, and finite")


def _share(value: float, name: str) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{name} is {value}; it must be a share from 0 to below 1")

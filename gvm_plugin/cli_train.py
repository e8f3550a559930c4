"""`gvm train`: a recipe -> a trained model; `gvm train codec` and `gvm train evaluator` for what stands beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gvm_plugin.machine import cores
from gvm_plugin.terminal import printable

if TYPE_CHECKING:
    from core.training.recipe import Recipe

_PATH: Final = click.Path(path_type=Path)
_QUIET: Final = click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
PRESETS: Final = ("paper", "published", "starter", "small-waveform", "finetune")  # of core.training.presets

# Options that stand for one setting of the recipe each.
_SHORTCUTS: Final = {
    "data": "data.folder",
    "model_scale": "model.scale",
    "model": "model.start_from",
    "init_musicgen": "model.musicgen",
    "init_clip": "model.clip",
    "codec": "model.codec",
    "name": "model.name",
    "device": "compute.device",
}


class _Train(click.Group):
    """A group in which everything that is no command is what `run` is told: a recipe and options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group("train", cls=_Train, subcommand_metavar="[RECIPE | COMMAND] [ARGS]...")
def train_group() -> None:
    """Train a model as RECIPE says, a TOML file or a preset's name (docs/training.md).

    \b
    gvm train paper --data DATA --model-scale small --init-clip clip-vit-l-14-336 --codec CODEC --out RUN
    gvm train --resume RUN
    """


@train_group.command("run")
@click.argument("recipe", required=False)
@click.option("--preset", type=click.Choice(PRESETS), help="A recipe by name, the same as RECIPE.")
@click.option("--data", type=_PATH, metavar="DIR", help="What gvm dataset build made.")
@click.option("--out", "-o", type=_PATH, metavar="RUN", help="Folder of the run.  [default: a new one in runs/]")
@click.option("--resume", type=_PATH, metavar="RUN", help="Go on with a run that was stopped.")
@click.option("--model-scale", type=click.Choice(["small", "large", "waveform", "starter"]), help="How large.")
@click.option("--model", metavar="NAME", help="A model to go on from: a name of `gvm models`, or its folder.")
@click.option("--init-musicgen", metavar="PATH|NAME", help="First weights of the decoder.")
@click.option("--init-clip", metavar="PATH|NAME", help="Weights of the frozen vision tower.")
@click.option("--codec", metavar="PATH|NAME", help="The codec that the data set was built with.")
@click.option("--name", help="What to call the model; its folder's name otherwise.")
@click.option("--device", metavar="NAME", help="Where to compute: auto, cpu, cuda.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting, such as data.batch=4.")
@click.option("--show", is_flag=True, help="Print the whole recipe and stop.")
@_QUIET
def run_command(
    recipe: str | None,
    preset: str | None,
    out: Path | None,
    resume: Path | None,
    settings: tuple[str, ...],
    show: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Train a model as RECIPE says."""
    from core.training.presets import PRESETS as RECIPES
    from core.training.recipe import read_recipe, to_toml, with_typed
    from core.training.start import keep_freed_memory, resume_training, run_training

    say = None if quiet else _say
    keep_freed_memory()
    given = {name: str(value) for name, value in given.items() if value is not None}
    if resume is not None:
        if recipe or preset or out or settings or given:
            raise click.UsageError("--resume goes on as the run began: it takes no recipe and no settings")
        resume_training(resume, find=find_weights, say=say, bar=not quiet)
        return 0
    named = recipe or preset
    if named is None or (recipe and preset):
        raise click.UsageError(f"name one recipe: a TOML file, or one of {', '.join(RECIPES)}")
    chosen: Recipe = RECIPES[named] if named in RECIPES else read_recipe(Path(named), RECIPES)
    typed = [f"{_SHORTCUTS[name]}={_quoted(value)}" for name, value in given.items()]
    chosen = with_typed(chosen, [*typed, *settings])
    if show:
        click.echo(to_toml(chosen))
        return 0
    folder = out or _new_run(Path(named).stem)
    chosen = _with_lessons(chosen, folder, say)
    run_training(chosen, folder, find=find_weights, say=say, bar=not quiet)
    return 0


def _with_lessons(recipe: Recipe, out: Path, say: Callable[[str], None] | None) -> Recipe:
    """The recipe with the lessons that are made of its films, where its data are films and not pieces already."""
    from core.errors import MediaError
    from core.training.start import check_new_run
    from gvm_plugin.lessons import holds_films, prepare_lessons

    films = Path(recipe.data.folder)
    if recipe.data.kind != "pieces" or not recipe.data.folder or any(films.glob("*.npz")):
        return recipe
    if not holds_films(films):
        raise MediaError(f"{films}: holds no films; name a folder of films with music you like (--data FOLDER)")
    check_new_run(recipe, out)  # before anything is written: the folder may hold another run with its lessons
    made = prepare_lessons(films, recipe.model.start_from or "starter", out / "lessons", recipe.run.seed, say)
    batch = min(recipe.data.batch, made.pieces)  # a few films have fewer than a usual batch
    return replace(recipe, data=replace(recipe.data, folder=str(made.folder), batch=batch))


@train_group.command("codec")
@click.argument("sounds", type=_PATH)
@click.option("--out", "-o", type=_PATH, required=True, help="Folder of the codec.")
@click.option("--minutes", type=float, default=20.0, show_default=True, help="How long.")
@click.option("--filters", type=click.IntRange(2), default=8, show_default=True, help="Width of its first layer.")
@click.option("--codebooks", type=click.IntRange(1, 32), default=4, show_default=True, help="Codes a step.")
@click.option("--card", type=click.IntRange(2, 32768), default=256, show_default=True, help="Values a code has.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Another number, another codec.")
@_QUIET
def codec_command(
    sounds: Path, out: Path, minutes: float, filters: int, codebooks: int, card: int, seed: int, quiet: bool
) -> int:
    """Train a small codec of 16 kHz on the folder SOUNDS; a data set's music is turned into codes by it."""
    from dataclasses import replace

    import torch

    from core.training.codec import SMALL_CODEC, CodecRecipe, train_codec
    from core.training.start import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(cores())
    config = replace(SMALL_CODEC, filters=filters, codebooks=codebooks, card=card)
    report = train_codec(sounds, out, config, CodecRecipe(minutes=minutes, seed=seed), None if quiet else _share)
    if not quiet:
        _say(f"SI-SDR {report.si_sdr_db[-1]:.1f} dB, mel distance {report.mel_db[-1]:.1f} dB on sounds it hasn't heard")
        _say(f"the codec is in {out}; gvm dataset build ... --codec {out}")
    return 0


@train_group.command("evaluator")
@click.argument("data", type=_PATH)
@click.option("--out", "-o", type=_PATH, required=True, help="Folder of the evaluator.")
@click.option("--minutes", type=float, default=25.0, show_default=True, help="How long.")
@click.option("--steps", type=click.IntRange(1), help="Steps instead of minutes: repeatable to the bit.")
@click.option("--features", type=click.Choice(["descriptors", "published"]), default="descriptors", show_default=True,
              help="What it sees and hears by.")  # fmt: skip
@click.option("--model", metavar="NAME", help="Whose features, for --features published.")
@click.option("--device", default="cpu", show_default=True, metavar="NAME", help="Where to compute.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Another number, another evaluator.")
@_QUIET
def evaluator_command(
    data: Path,
    out: Path,
    minutes: float,
    steps: int | None,
    features: str,
    model: str | None,
    device: str,
    seed: int,
    quiet: bool,
) -> int:
    """Train the evaluator of `gvm evaluate fit` on DATA: a data set, or a folder of the sound corpus's shards."""
    from core.training.evaluator import EvaluatorRecipe, train_evaluator

    recipe = EvaluatorRecipe(minutes=minutes, steps=steps, features=features, seed=seed)
    named = None if model is None else find_weights(model)
    train_evaluator(data, out, recipe, model=named, device=device, say=_silent if quiet else _say)
    return 0


def find_weights(name: str) -> Path:
    """Where a model or part lies: a path as it is, else the folder that `gvm models` knows by that name."""
    from core.errors import ModelError
    from gvm_plugin.models import find_installed

    path = Path(name).expanduser()
    if path.exists():
        return path
    try:
        model = find_installed(name)
    except ModelError:
        return path  # who asked for it says what is missing, and why it is needed
    return model.folder or path


def _new_run(name: str) -> Path:
    """runs/NAME, or the first NAME-2, NAME-3 ... that isn't there."""
    runs, number = Path("runs"), 1
    while (folder := runs / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def _quoted(value: str) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def _say(line: str) -> None:
    click.echo(printable(line))


def _silent(line: str) -> None:
    pass


def _share(done: float, line: str) -> None:
    _say(f"{done:4.0%} {line}")

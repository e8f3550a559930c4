"""`gvm models`: lists what there is, shows cards, brings in weights from files and from the hub, checks, removes."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from core.errors import ModelError
from gvm_plugin.terminal import print_table, printable, size_text

if TYPE_CHECKING:
    from gvm_plugin.models import ModelInfo

_QUIET: Final = click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")


class _Models(click.Group):
    """A group in which a word that is no command is the name of a model, whose card is shown."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None:
            args = ["show", *args]
        return super().resolve_command(ctx, args)


@click.group("models", cls=_Models, invoke_without_command=True, subcommand_metavar="[NAME | COMMAND [ARGS]...]")
@click.pass_context
def models_group(context: click.Context) -> int:
    """List the models with their licences, or show the card of NAME; COMMAND brings in others."""
    if context.invoked_subcommand is None:
        _print_models()
    return 0


@models_group.command("list")
def list_command() -> int:
    """List the models, as `gvm models` alone does."""
    _print_models()
    return 0


@models_group.command("show")
@click.argument("name")
def show_command(name: str) -> int:
    """Show the card of NAME."""
    from gvm_plugin.hub import REMOTES
    from gvm_plugin.models import card_text, find_installed, models_folder

    if any(name == remote.name for remote in REMOTES) and not (models_folder() / name).is_dir():
        raise ModelError(f"{name} isn't here; `gvm models pull {name}` fetches it")
    for line in card_text(find_installed(name)).splitlines():
        click.echo(printable(line))
    return 0


@models_group.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="What to call it; a name for --model.")
@click.option("--codec", metavar="DIR|FILE|NAME", help="The EnCodec, where it doesn't lie beside the weights.")
@click.option("--overwrite", is_flag=True, help="Replace a model of that name.")
@_QUIET
def import_command(source: Path, name: str, codec: str | None, overwrite: bool, quiet: bool) -> int:
    """Make a published checkpoint, the folder or file SOURCE, a model that --model can name."""
    from gvm_plugin.model_import import import_model

    say = None if quiet else functools.partial(click.echo, f"reading {source}; a large model takes minutes")
    model = import_model(source, name, codec, overwrite, say)
    if not quiet:
        _print_what_it_is(model)
        click.echo(f"use it: gvm score film.mp4 --model {model.name}")
    return 0


@models_group.command("pull")
@click.argument("name", required=False)
@click.option("--overwrite", is_flag=True, help="Fetch again what changed on the hub.")
@_QUIET
def pull_command(name: str | None, overwrite: bool, quiet: bool) -> int:
    """Fetch NAME from the Hugging Face hub, or go on with it; without NAME, list what can be fetched."""
    from gvm_plugin.hub import REMOTES, pull
    from gvm_plugin.progress import TransferBar

    if name is None:
        rows = [(remote.name, remote.licence, remote.repository, remote.about) for remote in REMOTES]
        print_table([("name", "licence", "repository", "what it is"), *rows])
        return 0
    with TransferBar(quiet) as bar:
        part = pull(name, bar.progress, overwrite)
    if not quiet:
        _print_what_it_is(part)
    return 0


@models_group.command("check")
@click.argument("name")
def check_command(name: str) -> int:
    """Read every byte of NAME and compare it with the hashes on its card."""
    from gvm_plugin.models import find_installed, verify

    model = find_installed(name)
    wrong = [model.problem] if model.problem else []
    rows = [("file", "size", "")]
    for file, size, problem in verify(model):
        rows.append((file, size_text(size), problem or "as described"))
        if problem:
            wrong.append(f"{file} is {problem}; import or pull it again")
    if len(rows) > 1:
        print_table(rows)
    if wrong:
        raise ModelError(f"model {name}: {wrong[0]}" + f" ({len(wrong) - 1} more)" * (len(wrong) > 1))
    click.echo(f"{name} is whole" if len(rows) > 1 else f"{name} has no files")
    return 0


@models_group.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Don't ask.")
def remove_command(name: str, yes: bool) -> int:
    """Delete NAME from the folder of models."""
    from gvm_plugin.models import is_name, models_folder, remove_model

    folder = models_folder() / name
    if not yes and is_name(name) and folder.is_dir():
        if not sys.stdin.isatty():
            raise click.UsageError(f"nobody can be asked whether to delete {folder}: say --yes")
        if not click.confirm(f"delete {folder} and all that is in it?"):
            click.echo("kept")
            return 0
    remove_model(name)
    click.echo(f"{name} is gone")
    return 0


def _print_models() -> None:
    from gvm_plugin.models import list_models, list_parts

    print_table([("model", "licence", "earning money", "size", "weights", "where"), *map(_row, list_models())])
    if parts := list_parts():
        click.echo()
        print_table([("part", "licence", "earning money", "size", "", "where"), *map(_row, parts)])


def _row(model: ModelInfo) -> tuple[str, ...]:
    uses = "allowed" if model.commercial_use else "forbidden"
    where = model.problem or str(model.folder or "built in")
    weights = model.sha256[:12] or ("" if model.kind == "part" else "-")
    return model.name, model.licence, uses, size_text(model.size_bytes), weights, where


def _print_what_it_is(model: ModelInfo) -> None:
    from gvm_plugin.models import licence_in_words

    click.echo(f"{model.name}: {model.about}")
    if model.parameters:
        click.echo(f"{model.parameters / 1e6:.1f} million parameters, {size_text(model.size_bytes)}, in {model.folder}")
    else:
        click.echo(f"{size_text(model.size_bytes)}, in {model.folder}")
    click.echo(f"licence: {model.licence}. {licence_in_words(model.licence, model.commercial_use)}.")

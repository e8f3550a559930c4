"""`gvm dataset`: builds a data set from films, brings in others' data sets, says what is in one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from core.errors import DatasetError
from gvm_plugin.terminal import print_table, printable, size_text

if TYPE_CHECKING:
    from gvm_plugin.dataset.build import Outlook, Result
    from gvm_plugin.dataset.options import BuildOptions, Problem, Source
    from gvm_plugin.dataset.record import Record

_F = TypeVar("_F", bound=Callable[..., Any])
_PATH: Final = click.Path(path_type=Path)
_TYPES: Final = ("music video", "film", "vlog", "animation", "documentary")
_FORMATS: Final = ("films", "pairs", "published", "symmv", "muvi-sync", "aist", "tiktok")
_SHORT: Final = ("aist", "tiktok", "published")  # data sets of short clips
_SHOWN: Final = 20  # problems on the terminal; the page has more

_SETTINGS: tuple[Callable[[_F], _F], ...] = (
    click.option("--out", "-o", type=_PATH, required=True, metavar="DATA", help="Folder of the data set."),
    click.option("--type", "kind", type=click.Choice(_TYPES), help="Type of all these films; default: guessed."),
    click.option("--labels", type=_PATH, metavar="FILE", help="CSV or JSONL: file, type and any other columns."),
    click.option("--seconds", type=float, default=30.0, show_default=True, help="Length of a pair."),
    click.option("--shortest", type=float, metavar="S", help="Also keep shorter rests from so many seconds up."),
    click.option(
        "--no-check", multiple=True, type=click.Choice(("music", "speech", "text")), help="Don't drop for this reason."
    ),
    click.option("--codec", type=_PATH, metavar="FOLDER", help="Cache the codes of this codec, or of this model's."),
    click.option("--features", multiple=True, type=click.Choice(("descriptors",)), help="Cache these features too."),
    click.option("--no-clips", is_flag=True, help="No video; needs --features."),
    click.option("--no-music", is_flag=True, help="No sound; needs --codec."),
    click.option("--side", type=int, default=336, show_default=True, help="Pixels of a clip's shorter side."),
    click.option("--test-share", type=float, default=0.15, show_default=True, help="Share of the test films."),
    click.option("--jobs", "-j", type=click.IntRange(1), help="Films at once.  [default: what the machine can]"),
    click.option("--dry-run", is_flag=True, help="Say what it takes at most; do nothing."),
    click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
)


def _settings(command: _F) -> _F:
    for option in reversed(_SETTINGS):
        command = option(command)
    return command


@click.group("dataset")
def dataset_group() -> None:
    """Make data sets to train on, from films or from others' data sets."""


@dataset_group.command("build")
@click.argument("films", nargs=-1, required=True, type=_PATH)
@click.option("--format", "form", type=click.Choice(_FORMATS), default="films", show_default=True, help="Of FILMS.")
@_settings
def build_command(films: tuple[Path, ...], form: str, **values: Any) -> int:
    """Cut FILMS (files and folders) into pairs of picture and music, without speech or much text."""
    return _build(films, form, **values)


@dataset_group.command("import")
@click.argument("form", metavar="KIND", type=click.Choice(_FORMATS))
@click.argument("folder", type=_PATH)
@_settings
def import_command(form: str, folder: Path, **values: Any) -> int:
    """Bring in the data set in FOLDER; KIND: films, pairs, published, symmv, muvi-sync, aist or tiktok."""
    return _build((folder,), form, **values)


@dataset_group.command("info")
@click.argument("data", type=_PATH)
def info_command(data: Path) -> int:
    """Say what is in the data set DATA, and what is wrong with it."""
    from core.training.manifest import count, read_dataset

    found = read_dataset(data)
    numbers = count(found.pairs)
    rows: list[tuple[str, ...]] = [("", "pairs", "films", "hours")]
    for name in ("train", "test", "all"):
        rows.append((name, *(str(numbers[name][what]) for what in ("pairs", "films", "hours"))))
    print_table(rows)
    click.echo()
    guessed = sum(pair.type_by == "guess" for pair in found.pairs)
    print_table([("type", "pairs"), *((name, str(number)) for name, number in numbers["types"].items())])
    if guessed:
        click.echo(f"({guessed} of these types are guesses)")
    sizes = {name: _size(found.folder, pairs) for name, pairs in _parts(found).items() if pairs}
    if sizes:
        click.echo()
        print_table([("files", "size", "a pair"), *((n, size_text(s), size_text(p)) for n, (s, p) in sizes.items())])
    codec = found.codec
    codes = f"{codec.codebooks} codebooks of {codec.card}, {codec.codes_per_second:g} a second" if codec else "none"
    click.echo(f"\ncodes: {codes}; made by {found.about.get('made_by', 'somebody')}")
    problems = found.check_files()
    for problem in problems[:_SHOWN]:
        click.echo(f"problem: {printable(problem)}")
    if len(problems) > _SHOWN:
        click.echo(f"... and {len(problems) - _SHOWN} more")
    if problems:
        raise DatasetError(f"{data}: {len(problems)} of its files are missing or damaged; build it again")
    click.echo("all files are there")
    return 0


def _parts(found: Any) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {"clips": [], "music": [], "codes": [], "features": []}
    for pair in found.pairs:
        for name in pair.files():
            parts[name.partition("/")[0]].append(name)
    return parts


def _size(folder: Path, names: list[str]) -> tuple[int, int]:
    """(bytes of all, of one on average)."""
    total = sum((folder / name).stat().st_size for name in names if (folder / name).is_file())
    return total, total // len(names)


def _build(places: tuple[Path, ...], form: str, *, out: Path, jobs: int | None, quiet: bool, **values: Any) -> int:
    from gvm_plugin.dataset.build import build, forecast, read_all
    from gvm_plugin.dataset.labels import read_labels

    options = _options(form, values)
    labels = read_labels(values["labels"]) if values["labels"] is not None else {}
    found = read_all(form, places, labels)
    if values["dry_run"]:
        return _print_forecast(forecast(found, out, options), out)
    if not found.sources:
        for problem in found.problems[:_SHOWN]:
            _say(problem)
        raise DatasetError(f"{places[0]}: no pair can be made of it; see docs/dataset.md for the layout")
    with _Bar(len(found.sources), quiet) as bar:
        result = build(found, out, options, jobs, bar.progress, bar.done)
    for problem in result.problems[:_SHOWN]:
        _say(problem)
    if len(result.problems) > _SHOWN:
        click.echo(f"... and {len(result.problems) - _SHOWN} more, in {out / 'dropped.jsonl'}", err=True)
    if not quiet:
        _print_result(result)
    return 1 if result.problems else 0


def _options(form: str, values: dict[str, Any]) -> BuildOptions:
    from gvm_plugin.dataset.options import CHECKS, BuildOptions

    shortest = values["shortest"]
    if shortest is None and form in _SHORT:
        shortest = min(5.0, values["seconds"])
    return BuildOptions(
        seconds=values["seconds"],
        shortest=shortest,
        side=values["side"],
        test_share=values["test_share"],
        checks=tuple(name for name in CHECKS if name not in values["no_check"]),
        codec=values["codec"],
        features=values["features"],
        clips=not values["no_clips"],
        music=not values["no_music"],
        type=values["kind"],
    )


def _say(problem: Problem) -> None:
    why = problem.why.removeprefix(f"{problem.source}: ").removeprefix(f"{problem.source.rpartition('/')[2]}: ")
    click.echo(f"left out: {printable(problem.source)}: {printable(why)}", err=True)


def _print_forecast(outlook: Outlook, out: Path) -> int:
    for problem in outlook.problems[:_SHOWN]:
        _say(problem)
    click.echo(
        f"{outlook.films} films, {outlook.seconds / 3600:.2f} hours: at most {outlook.pairs} pairs and "
        f"{outlook.bytes / 1e9:.2f} GB; {outlook.free / 1e9:.1f} GB are free in {out}"
    )
    if outlook.bytes > outlook.free:
        raise DatasetError("not enough room for all of it; make room, or choose another folder with --out")
    return 0


def _print_result(result: Result) -> None:
    from core.training.manifest import count

    numbers = count(result.pairs)
    click.echo(f"{result.made} films done, {result.kept} were done before, {len(result.problems)} left out")
    for side in ("train", "test"):
        its = numbers[side]
        click.echo(f"{side:5}  {its['pairs']} pairs of {its['films']} films, {its['hours']:.2f} hours")
    click.echo(f"look at {result.page}")


class _Bar:
    """A bar over the films; how far the one at hand is stands before it."""

    def __init__(self, films: int, quiet: bool) -> None:
        self._bar: Any = None
        if not quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=films, unit="film")

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def progress(self, source: Source, stage: str, share: float) -> None:
        """Show how far a film is."""
        if self._bar is not None:
            self._bar.set_description_str(f"{printable(source.name)[-30:]}: {stage} {share:.0%}")

    def done(self, source: Source, record: Record | None) -> None:
        """Count a film."""
        if self._bar is not None:
            self._bar.update()

"""`gvm evaluate`: does this music fit this film, and which of several systems' music fits best.

Nothing heavy at import: what a command needs is imported inside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gvm_plugin.terminal import print_table, printable

if TYPE_CHECKING:
    from core.evaluation.fit import FitModel
    from gvm_plugin.evaluate.compare import Comparison

_PATH: Final = click.Path(path_type=Path)
_QUIET: Final = click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
_JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON instead.")
_EVALUATOR: Final = click.option(
    "--evaluator", type=_PATH, metavar="FOLDER", help="Another evaluation model.  [default: the one that ships]"
)
_DEVICE: Final = click.option("--device", default="cpu", show_default=True, metavar="NAME", help="cpu, cuda ...")


@click.group("evaluate")
def evaluate_group() -> None:
    """Measure how music fits films, and compare systems."""


@evaluate_group.command("fit")
@click.argument("video", type=_PATH)
@click.argument("music", type=_PATH, required=False)
@click.option("--out", "-o", type=_PATH, metavar="PAGE.html", help="Also a page with player and curves.")
@_JSON
@_EVALUATOR
@_DEVICE
@_QUIET
def fit_command(
    video: Path, music: Path | None, out: Path | None, as_json: bool, evaluator: Path | None, device: str, quiet: bool
) -> int:
    """Say how well MUSIC fits VIDEO; without MUSIC, how well the film's own sound does."""
    from gvm_plugin.evaluate.fit import evaluate_fit
    from gvm_plugin.evaluate.tables import fit_rows, fit_to_json
    from gvm_plugin.progress import StepBar

    if out is not None:
        _check_page(out)
    with StepBar(quiet or as_json) as bar:
        result = evaluate_fit(video, music, model=_load(evaluator, device), device=device, progress=bar.progress)
    if out is not None:
        from gvm_plugin.evaluate.page import write_fit_page

        write_fit_page(result, out)
    if as_json:
        click.echo(fit_to_json(result))
    elif not quiet:
        click.echo(printable(result.sentence) + "\n")
        print_table(fit_rows(result))
        for note in result.notes:
            click.echo(f"note: {printable(note)}")
    if out is not None and not (quiet or as_json):
        click.echo(f"look at {out}")
    return 0


def _load(evaluator: Path | None, device: str) -> FitModel:
    from core.evaluation.fit import FitModel

    return FitModel.load(evaluator, device=device)


def _check_page(out: Path) -> None:
    """Complain of a place for a page that can't be, before the long work."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{out}: is to be a page, so its name must end in .html")
    if not out.parent.is_dir():
        raise ValueError(f"{out.parent}: there is no such folder; make it first, or choose another with --out")


@evaluate_group.command("listening-test")
@click.option("--videos", type=_PATH, required=True, metavar="FOLDER", help="The films.")
@click.option("--system", "systems", multiple=True, metavar="NAME=FOLDER", help="A system's music; give two or more.")
@click.option("--pattern", "patterns", multiple=True, metavar="NAME=PATTERN", help="Its files: '{stem}_gen*.wav'.")
@click.option("--out", "-o", type=_PATH, required=True, metavar="FOLDER", help="The test, to hand out.")
@click.option(
    "--key",
    "key_file",
    type=_PATH,
    metavar="FILE",
    help="Which sample is whose.  [default: FOLDER.key.json, beside it]",
)
@click.option("--seconds", type=float, default=15.0, show_default=True, metavar="S", help="Length of a sample.")
@click.option("--start", type=float, default=0.0, show_default=True, metavar="S", help="Where in the films they begin.")
@click.option(
    "--series", type=int, default=10, show_default=True, metavar="N", help="Films by which richness is judged."
)
@click.option(
    "--listeners", type=int, default=60, show_default=True, metavar="N", help="Orders to make, one a listener."
)
@click.option("--title", default="Listening test", show_default=True, help="What the page is called.")
@click.option("--overwrite", is_flag=True, help="Replace a test that is there, and its key.")
@_QUIET
def listening_test_command(
    videos: Path, systems: tuple[str, ...], patterns: tuple[str, ...], out: Path, key_file: Path | None, seconds: float,
    start: float, series: int, listeners: int, title: str, overwrite: bool, quiet: bool,
) -> int:  # fmt: skip
    """Make a blind listening test of several systems' music: a folder with a page that works from a file."""
    from gvm_plugin.evaluate.listening import ListeningOptions, build_listening_test
    from gvm_plugin.evaluate.systems import parse_system
    from gvm_plugin.progress import StepBar

    options = ListeningOptions(seconds=seconds, start=start, series=series, listeners=listeners, title=title)
    with StepBar(quiet) as bar:
        test = build_listening_test(
            videos, _named([parse_system(text) for text in systems], "system"), out, options, key=key_file,
            patterns={name: str(pattern) for name, pattern in map(parse_system, patterns)},
            overwrite=overwrite, progress=lambda share: bar.progress("samples", share),
        )  # fmt: skip
    if not quiet:
        for note in test.notes:
            click.echo(f"note: {printable(note)}")
        click.echo(
            f"{test.samples} samples of {test.films} films at {test.lufs:.1f} LUFS, {test.minutes:.0f} min to hear"
        )
        click.echo(f"hand out {test.folder}: listeners open {test.page.name}")
        click.echo(f"keep back {test.key}: it says which sample is whose")
    return 0


@evaluate_group.command("listening-results")
@click.argument("answers", type=_PATH, nargs=-1, required=True, metavar="CSV...")
@click.option("--key", "key_file", type=_PATH, required=True, metavar="FILE", help="The .key.json of the test.")
@click.option("--out", "-o", type=_PATH, metavar="FOLDER", help="Also results.md and results.csv there.")
def listening_results_command(answers: tuple[Path, ...], key_file: Path, out: Path | None) -> int:
    """Turn the CSV files of listeners into means with 95 % intervals, for experts and non-experts."""
    from gvm_plugin.evaluate.listening_results import listening_results, to_markdown, write_results

    results = listening_results(answers, key_file)
    if out is not None:
        write_results(results, out)
    for line in to_markdown(results).splitlines():
        click.echo(printable(line))
    return 0


def _named(pairs: list[tuple[str, Path]], option: str) -> dict[str, Path]:
    """Pairs as a mapping. ValueError where two have the same name."""
    named = dict(pairs)
    if len(named) < len(pairs):
        twice = next(name for name in named if [each for each, _ in pairs].count(name) > 1)
        raise ValueError(f"--{option} {twice} is given twice; give each a name of its own")
    return named


@evaluate_group.command("compare")
@click.option("--videos", type=_PATH, required=True, metavar="FOLDER", help="The films.")
@click.option("--system", "systems", multiple=True, required=True, metavar="NAME=FOLDER", help="Music of one system.")
@click.option("--reference", type=_PATH, metavar="FOLDER", help="The films' real music, for FAD and KLD.")
@click.option("--pattern", "patterns", multiple=True, metavar="NAME=PATH", help="How a system's files are called.")
@click.option("--baseline", metavar="NAME", help="From which differences are counted.  [default: the first system]")
@click.option(
    "--embedder", "embedders", multiple=True, metavar="NAME[=WEIGHTS]", help="For FAD: vggish, clap, encodec."
)
@click.option("--labels", multiple=True, metavar="NAME[=WEIGHTS]", help="For KLD: ast.")
@click.option("--out", "-o", type=_PATH, metavar="FOLDER", help="Also a page with players, Markdown, CSV and JSON.")
@_JSON
@_EVALUATOR
@_DEVICE
@_QUIET
def compare_command(
    videos: Path,
    systems: tuple[str, ...],
    reference: Path | None,
    patterns: tuple[str, ...],
    baseline: str | None,
    embedders: tuple[str, ...],
    labels: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    evaluator: Path | None,
    device: str,
    quiet: bool,
) -> int:
    """Compare the music of several systems for the same films: tables with intervals, retrieval, a page to listen."""
    from gvm_plugin.evaluate.compare import compare
    from gvm_plugin.evaluate.systems import parse_system
    from gvm_plugin.evaluate.tables import comparison_to_json
    from gvm_plugin.progress import StepBar

    named = [parse_system(text) for text in systems]
    if len({name for name, _ in named}) < len(named):
        raise ValueError("two systems have the same name; give each its own: --system NAME=FOLDER")
    with StepBar(quiet or as_json) as bar:
        result = compare(
            videos,
            dict(named),
            reference=reference,
            patterns=dict(_name_and_value(text, "pattern") for text in patterns),
            baseline=baseline,
            embedders=embedders,
            labels=labels,
            model=_load(evaluator, device),
            device=device,
            keep=_made(out),
            progress=bar.progress,
        )
    written = _write_comparison(result, out, videos) if out is not None else ()
    if as_json:
        click.echo(comparison_to_json(result), nl=False)
    elif not quiet:
        _print_comparison(result)
        for path in written:
            click.echo(path)
    return 0


def _name_and_value(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise ValueError(f"--{option} {text!r} isn't NAME=VALUE")
    return name, value


def _made(out: Path | None) -> Path | None:
    """The folder `out`, made if need be; DeliveryError where nothing can be written, or others' files be replaced."""
    from gvm_plugin.evaluate.own import COMPARISON, check_own
    from gvm_plugin.folder import check_writable

    if out is not None:
        check_own(out, COMPARISON)
        check_writable(out)
    return out


def _write_comparison(result: Comparison, out: Path, videos: Path) -> list[Path]:
    """Write page, Markdown, CSV and JSON to the folder `out`."""
    import shlex
    import sys

    from gvm_plugin.evaluate import tables
    from gvm_plugin.evaluate.page import write_comparison_page, write_text

    command = shlex.join(["gvm", *sys.argv[1:]])
    texts = {
        "comparison.md": tables.to_markdown(result, command),
        "systems.csv": tables.systems_csv(result),
        "films.csv": tables.films_csv(result),
        "comparison.json": tables.comparison_to_json(result),
    }
    for name, text in texts.items():
        write_text(out / name, text)
    page = out / "comparison.html"
    write_comparison_page(result, page, videos.resolve().name, command)
    return [*(out / name for name in texts), page]


def _print_comparison(result: Comparison) -> None:
    from gvm_plugin.evaluate.tables import match_lines, tables_of

    for line in match_lines(result):
        click.echo(printable(line))
    for table in tables_of(result):
        click.echo(f"\n{table.title}\n{table.about}\n")
        print_table([table.header, *table.rows])
    click.echo()
    for note in result.notes:
        click.echo(f"note: {printable(note)}")


@evaluate_group.command("figures")
@click.argument("video", type=_PATH)
@click.option("--system", "systems", multiple=True, metavar="NAME=FILE", help="A system's music for VIDEO; up to six.")
@click.option("--out", "-o", type=_PATH, required=True, metavar="FIGURE", help="A file .png, .svg or .pdf.")
@click.option("--start", type=float, default=0.0, show_default=True, metavar="S", help="Where in the film it begins.")
@click.option("--seconds", type=float, metavar="S", help="How much of it to draw.  [default: all, 120 at most]")
@_QUIET
def figures_command(
    video: Path, systems: tuple[str, ...], out: Path, start: float, seconds: float | None, quiet: bool
) -> int:
    """Draw several systems' music for VIDEO: mel spectrograms side by side, pitch contours over the shots."""
    from gvm_plugin.evaluate.figures import draw_figures
    from gvm_plugin.evaluate.systems import parse_system
    from gvm_plugin.progress import StepBar

    music = _named([parse_system(text) for text in systems], "system")
    with StepBar(quiet) as bar:
        draw_figures(video, music, out, start, seconds, lambda share: bar.progress("figure", share))
    if not quiet:
        click.echo(f"look at {out}")
    return 0

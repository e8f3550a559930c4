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

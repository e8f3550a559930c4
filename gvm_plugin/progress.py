"""Progress on a terminal: a bar over the films, one over the stages of a film. Silent elsewhere, or if asked to be."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from gvm_plugin.score import STAGES

if TYPE_CHECKING:
    from gvm_plugin.folder import FilmResult

# About how the time of a film is shared among its stages.
WEIGHTS: Final = dict(zip(STAGES, (0.45, 0.30, 0.02, 0.10, 0.08, 0.05), strict=True))


def share_of_film(stage: str, share: float) -> float:
    """How much of a film's work is done, 0..1, when `share` of `stage` is."""
    before = sum(WEIGHTS[name] for name in STAGES[: STAGES.index(stage)])
    return before + WEIGHTS[stage] * share


class StageBar:
    """One bar over the stages of one film."""

    def __init__(self, quiet: bool = False, position: int = 0) -> None:
        self._shown = not quiet and sys.stderr.isatty()
        self._position = position
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def progress(self, stage: str, share: float) -> None:
        """Show that `share` of `stage` is done."""
        if not self._shown:
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=100, leave=False, position=self._position, bar_format="{l_bar}{bar}| {elapsed}")
        self._bar.set_description_str(stage, refresh=False)
        self._bar.n = round(100 * share_of_film(stage, share))
        self._bar.refresh()


class FolderBars:
    """A bar over the films, one over the stages of the film at hand, and a line for each that failed."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._shown = not quiet and sys.stderr.isatty()
        self._stages = StageBar(quiet, position=1)
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stages.__exit__()
        if self._bar is not None:
            self._bar.close()

    def films(self, count: int) -> None:
        """Show the bar over `count` films."""
        if self._shown:
            from tqdm import tqdm

            self._bar = tqdm(total=count, unit="film")

    def progress(self, film: Path, stage: str, share: float) -> None:
        """Show that `share` of `stage` of `film` is done."""
        if self._bar is not None:
            self._bar.set_description_str(film.name[:40])
        self._stages.progress(stage, share)

    def done(self, result: FilmResult) -> None:
        """Count a film; say what went wrong with it."""
        import click

        from core.frames import shown_name

        report = result.report
        if self._bar is not None:
            self._bar.update()
        if report.status == "failed":
            name = "/".join(shown_name(Path(part)) for part in report.name.split("/"))
            problem = report.error.removeprefix(f"{name.rpartition('/')[2]}: ")
            line = f"error: {name}: {problem}" + (f"; {report.remedy}" if report.remedy else "")
            click.echo(line, err=True)
        elif report.status == "skipped" and not self._quiet:
            click.echo(f"{report.name}: skipped: {report.error}", err=True)

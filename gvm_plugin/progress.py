"""Progress on a terminal: a bar over the films, one over the stages of a film. Silent elsewhere, or if asked to be."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from gvm_plugin.score import STAGES

if TYPE_CHECKING:
    from gvm_plugin.folder import FilmResult

# About how the time of a film is shared among its stages.
WEIGHTS: Final = dict(zip(STAGES, (0.42, 0.27, 0.02, 0.01, 0.11, 0.11, 0.05, 0.01), strict=True))
_TELLING_SECONDS: Final = 10.0  # a stage shorter than that says nothing of the time it has left


def share_of_film(stage: str, share: float) -> float:
    """How much of a film's work is done, 0..1, when `share` of `stage` is."""
    before = sum(WEIGHTS[name] for name in STAGES[: STAGES.index(stage)])
    return before + WEIGHTS[stage] * share


class StepBar:
    """One bar over work whose steps have names, and tell the share of the whole. position: the line it stands on."""

    def __init__(self, quiet: bool = False, position: int = 0) -> None:
        self._shown = not quiet and sys.stderr.isatty()
        self._position = position
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def progress(self, step: str, share: float) -> None:
        """Show that `share` of the work is done, now at `step`."""
        if not self._shown:
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=100, leave=False, position=self._position, bar_format="{l_bar}{bar}| {elapsed}")
        self._bar.set_description_str(step, refresh=False)
        self._bar.n = round(100 * share)
        self._bar.refresh()


class StageBar(StepBar):
    """One bar over the stages of one film. name: what stands before it."""

    def __init__(self, quiet: bool = False, position: int = 0, name: str = "") -> None:
        super().__init__(quiet, position)
        self._prefix = f"{name}: " if name else ""
        self._stage, self._began, self._from = "", 0.0, 0.0

    def progress(self, stage: str, share: float) -> None:
        """Show that `share` of `stage` is done."""
        super().progress(f"{self._prefix}{stage}{self._left(stage, share)}", share_of_film(stage, share))

    def _left(self, stage: str, share: float) -> str:
        """How long the stage will still take, where that is long enough to be worth saying.

        Counted from the first share that was told: what comes before, such as reading weights, isn't of its pace.
        """
        now = time.monotonic()
        if stage != self._stage or not self._from:
            self._stage, self._began, self._from = stage, now, share
        took, done = now - self._began, share - self._from
        left = took * (1 - share) / done if done > 0.005 and took > _TELLING_SECONDS else 0.0
        return f", {left / 60:.0f} min left" if left > 90 else f", {left:.0f} s left" if left > _TELLING_SECONDS else ""


class FolderBars:
    """A bar over the films, one over the stages of each film at hand, and a line for each that failed."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._shown = not quiet and sys.stderr.isatty()
        self._at_hand: dict[Path, tuple[int, StageBar]] = {}  # with the line each stands on
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for _, bar in self._at_hand.values():
            bar.__exit__()
        if self._bar is not None:
            self._bar.close()

    def films(self, count: int) -> None:
        """Show the bar over `count` films."""
        if self._shown:
            from tqdm import tqdm

            self._bar = tqdm(total=count, unit="film")

    def progress(self, film: Path, stage: str, share: float) -> None:
        """Show that `share` of `stage` of `film` is done."""
        if not self._shown:
            return
        if film not in self._at_hand:
            taken = {line for line, _ in self._at_hand.values()}
            line = next(line for line in range(1, len(taken) + 2) if line not in taken)
            self._at_hand[film] = line, StageBar(self._quiet, line, film.name[:40])
        self._at_hand[film][1].progress(stage, share)

    def done(self, result: FilmResult) -> None:
        """Count a film; say what went wrong with it."""
        from core.frames import shown_name

        report = result.report
        if result.film.video in self._at_hand:
            self._at_hand.pop(result.film.video)[1].__exit__()
        if self._bar is not None:
            self._bar.update()
        if report.status == "failed":
            name = "/".join(shown_name(Path(part)) for part in report.name.split("/"))
            problem = report.error.removeprefix(f"{name.rpartition('/')[2]}: ")
            line = f"error: {name}: {problem}" + (f"; {report.remedy}" if report.remedy else "")
            self._say(line)
        elif report.status == "skipped" and not self._quiet:
            self._say(f"{report.name}: skipped: {report.error}")

    def _say(self, line: str) -> None:
        """Write a line for the person, above the bars if there are any."""
        import click

        if self._bar is None:
            click.echo(line, err=True)
        else:
            self._bar.write(line, file=sys.stderr)


class TransferBar:
    """A bar over the bytes of each file that comes from the hub, one after the other."""

    def __init__(self, quiet: bool = False) -> None:
        self._shown = not quiet and sys.stderr.isatty()
        self._file = ""
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def progress(self, file: str, have: int, size: int) -> None:
        """Show that `have` of `size` bytes of `file` are there."""
        if not self._shown:
            return
        if self._file != file:
            from tqdm import tqdm

            self.__exit__()
            self._file = file
            # What an earlier run had already brought counts for the bar, not for the speed.
            self._bar = tqdm(total=size, initial=have, desc=file, unit="B", unit_scale=True, leave=False)
        self._bar.update(have - self._bar.n)

"""Progress of our stages as one of MoviePy's bars (proglog)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import proglog

Logger = Any  # "bar", None, or a proglog.ProgressBarLogger
Ticks = Callable[[float], None]

BAR: Final = "score"
# About how the time is shared among the stages of a clip.
WEIGHTS: Final = {"analyse": 0.5, "generate": 0.35, "mix": 0.15}


class Progress:
    """One bar of 100 steps. What the logger raises ends the job."""

    def __init__(self, logger: Logger) -> None:
        self._logger = proglog.default_bar_logger(logger)
        self._shown = -1

    def __enter__(self) -> Progress:
        self._logger(message="gvm - Scoring the clip.")
        self._logger(**{f"{BAR}__total": 100})
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        if kind is None:
            self._show(100)
            self._logger(message="gvm - Done.")
            return
        for bar in getattr(self._logger, "tqdm_bars", {}).values():  # else it would stay under what is told next
            if bar is not None:
                bar.close()

    def part(self, stage: str) -> Ticks:
        """The function that takes the share done of a stage, 0..1."""
        names = list(WEIGHTS)
        before = sum(WEIGHTS[name] for name in names[: names.index(stage)])
        return lambda share: self._show(int(100 * (before + WEIGHTS[stage] * min(share, 1.0))))

    def _show(self, percent: int) -> None:
        if percent > self._shown:
            self._shown = percent
            self._logger(**{f"{BAR}__index": percent})

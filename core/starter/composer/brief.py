"""What the composer is told about a cue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.starter.grid import Grid
from core.starter.styles import STYLES
from core.starter.vocab import LEVELS

STRONG = 0.5  # strength from which a hit point is marked by everybody


@dataclass(frozen=True, eq=False)
class Brief:
    """A cue to be composed. S is the number of sixteenth steps of `grid`.

    energy: [S] 0..1, how intense the picture is at every step, relative to the cue. valence: -1 dark .. 1 bright.
    speech: [S] bool, where someone talks. style: a key of `STYLES`. Raises ValueError where these do not fit.
    """

    grid: Grid
    energy: npt.NDArray[np.floating]
    valence: float
    speech: npt.NDArray[np.bool_]
    style: str

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise ValueError(f"unknown style {self.style!r}; there are {', '.join(STYLES)}")
        if self.energy.shape != (self.grid.steps,) or self.speech.shape != (self.grid.steps,):
            raise ValueError(
                f"energy {self.energy.shape} and speech {self.speech.shape} need one value per step ({self.grid.steps})"
            )

    def levels(self) -> list[int]:
        """ENERGY level 0..15 per step: the energy, smoothed over three steps so that it does not flicker."""
        energy = np.clip(np.nan_to_num(self.energy.astype(np.float64)), 0.0, 1.0)
        padded = np.pad(energy, 1, mode="edge")
        smooth = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
        levels: list[int] = np.rint((LEVELS - 1) * smooth).astype(int).tolist()
        return levels

    def hit_strengths(self) -> dict[int, float]:
        """Strength of the strongest hit at each step that has one, steps outside the cue left out."""
        hits: dict[int, float] = {}
        for hit in self.grid.hits:
            if 0 <= hit.step < self.grid.steps:
                hits[hit.step] = max(hits.get(hit.step, 0.0), hit.strength)
        return hits

"""What a starter that was adapted to somebody's films likes besides what its weights learned.

Style, orchestras and tempo aren't written by the decoder but chosen before it begins, so a taste in them can't be
learned as weights. It stands in the model's card (`training`, `taste`), found by `core.training.lessons`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from core.errors import ModelError
from core.starter.palettes import PALETTES

TASTE: Final = "taste"  # its name in the card and, as taste.json, among the lessons


@dataclass(frozen=True)
class Taste:
    """style: of cues that are asked for in none. palettes: names of its orchestras, the best first.

    tempo: lowest and highest, beats a minute, in that style. ValueError where they don't fit each other.
    """

    style: str
    palettes: tuple[str, ...]
    tempo: tuple[float, float]

    def __post_init__(self) -> None:
        names = {palette.name for palette in PALETTES.get(self.style, ())}
        if not self.palettes or not set(self.palettes) <= names:
            raise ValueError(f"style {self.style!r} with the orchestras {self.palettes}, of which it hasn't all")
        if not 20 <= self.tempo[0] <= self.tempo[1] <= 300:
            raise ValueError(f"tempo {self.tempo}; it must be two numbers in order, 20 to 300")

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers."""
        return asdict(self)

    @staticmethod
    def of_card(training: dict[str, Any]) -> Taste | None:
        """The taste in a model card's `training`; None where there is none, ModelError where it is damaged."""
        said = training.get(TASTE)
        if said is None:
            return None
        try:
            low, high = (float(value) for value in said["tempo"])
            return Taste(str(said["style"]), tuple(map(str, said["palettes"])), (low, high))
        except (KeyError, TypeError, ValueError) as err:
            raise ModelError(f"the taste in the model's card is damaged ({err}); fine-tune it again") from err

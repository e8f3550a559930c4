"""The vision tower that a model's settings ask for."""

from __future__ import annotations

from core.config import ModelConfig
from core.vision.clip import ClipTower
from core.vision.tower import Tower
from core.vision.vivit import VivitTower


def new_tower(config: ModelConfig) -> Tower:
    """The tower of a "clip" or "vivit" model with random weights, to be filled; ValueError for one without a tower."""
    if config.tower is None:
        raise ValueError(f"a model with vision {config.vision!r} has no tower")
    return VivitTower(config.tower) if config.vision == "vivit" else ClipTower(config.tower)

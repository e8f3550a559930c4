"""Music made on the way: held-out windows, written by the model as it is, to be heard and looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.training.checkpoints import State


class Sampler:
    """Writes RUN/samples/step-N/ with a WAV and a PNG for each of `count` held-out windows."""

    def __init__(self, run: Path, material: Any, count: int) -> None:
        self.folder, self.material, self.count = run / "samples", material, count

    def __call__(self, state: State, step: int) -> Sequence[Path]:
        """The pictures that were drawn."""
        raise NotImplementedError

"""What a training ends in: a model folder that `gvm score --model` takes, with a card that says where it comes from."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from core import checkpoint
from core.checkpoint import ModelCard
from core.errors import DeliveryError
from core.training.parts import ModelPlan
from core.training.recipe import Recipe
from core.vision.tower import Tower

FOLDER: Final = "model"


class Result:
    """Writes the model folder of a run, again and again as it gets better.

    tower: as it was read; once it is placed on a device it may be rounded to another format.
    """

    def __init__(
        self, run: Path, plan: ModelPlan, recipe: Recipe, tower: Tower | None, data: Mapping[str, Any]
    ) -> None:
        self.folder = run / FOLDER
        self.plan, self.recipe, self.data = plan, recipe, dict(data)
        self._frozen: dict[str, Mapping[str, Tensor]] = {}
        if tower is not None:
            self._frozen[checkpoint.VISION] = {name: value.half() for name, value in tower.state_dict().items()}
        self._name = recipe.model.name or run.resolve().name

    def write(self, weights: Mapping[str, Tensor], step: int, figures: Mapping[str, Any]) -> Path:
        """Write the model with these trained weights (on the CPU). DeliveryError where it can't be written."""
        codec = self.plan.codec
        frozen = dict(self._frozen)
        if codec is not None:
            frozen[checkpoint.CODEC] = codec.state
        trained = {name: value.to(torch.float16) for name, value in weights.items()}
        try:
            checkpoint.write(
                self.folder, self.plan.config, self.card(step, figures), {checkpoint.MODEL: trained, **frozen}
            )
        except OSError as err:
            reason = "the disk is full" if err.errno == errno.ENOSPC else err.strerror or str(err)
            for left in self.folder.glob("*.partial"):
                left.unlink(missing_ok=True)
            raise DeliveryError(
                f"{self.folder} can't be written ({reason}); make room, then gvm train --resume {self.folder.parent}"
            ) from err
        return self.folder

    def card(self, step: int, figures: Mapping[str, Any]) -> ModelCard:
        """Name, licence and history of the model after `step` updates."""
        licence, commercial = self.plan.licence()
        model = self.plan.recipe
        origins = [("start_from", str(self.plan.start or "")), ("musicgen", model.musicgen), ("clip", model.clip)]
        named = {name: os.path.basename(path) for name, path in origins if path}
        if self.plan.codec is not None:
            named["codec"] = self.plan.codec.path.name
        begun = "from " + ", ".join(f"{name} {path}" for name, path in named.items()) if named else "from nothing"
        return ModelCard(
            name=self._name,
            licence=licence,
            commercial_use=commercial,
            source=f"trained by gvm train, {begun}",
            training={"updates": step, "seed": self.recipe.run.seed, **self.data, "began_from": named, **figures},
        )

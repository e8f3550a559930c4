"""Where a training stands, and how it is kept: whole or not at all, the same on any number of devices."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from core.errors import DeliveryError, TrainingError
from core.model import GVMGen
from core.training.devices import World, fill, whole
from core.training.optim import Average

FORMAT: Final = 1
FOLDER: Final = "checkpoints"
_KEPT: Final = {"model", "average", "optimiser", "groups", "scaler", "progress", "mark"}  # by `State.gather`
_NAME: Final = re.compile(r"step-(\d{9})\.pt")


@dataclass
class State:
    """All that changes while a model is trained. step: updates done. seconds: spent on them. best: held-out loss.
    mark: of the data.

    Random numbers are no part of it: every step draws its own from the seed and its number.
    """

    model: GVMGen
    optimiser: torch.optim.Optimizer
    average: Average
    scaler: torch.amp.GradScaler
    step: int = 0
    seconds: float = 0.0
    best: float = float("inf")
    mark: str = ""

    def gather(self, world: World) -> dict[str, Any]:
        """Everything on the CPU, shards put together; all processes have to call it, one keeps what it gives."""
        names: dict[Tensor, str] = {parameter: name for name, parameter in self.model.named_parameters()}
        kept: dict[str, Any] = {"format": FORMAT, "model": {}, "average": {}, "optimiser": {}}
        for name, value in self.model.state_dict().items():
            _keep(kept["model"], name, whole(value), world)
        for name, value in self.average.weights.items():
            _keep(kept["average"], name, whole(value), world)
        for parameter, values in self.optimiser.state.items():
            mine: dict[str, Any] = {}
            for key, value in values.items():
                _keep(mine, key, whole(value) if isinstance(value, Tensor) else value, world)
            kept["optimiser"][names[parameter]] = mine
        groups = [{k: v for k, v in group.items() if k != "params"} for group in self.optimiser.param_groups]
        progress = {"step": self.step, "seconds": self.seconds, "best": self.best, "count": self.average.count}
        return kept | {"groups": groups, "scaler": self.scaler.state_dict(), "progress": progress, "mark": self.mark}

    def restore(self, kept: dict[str, Any]) -> None:
        """Take over what `gather` gave, on as many devices as there are now."""
        for name, place in self.model.state_dict().items():
            fill(place, kept["model"][name])
        for name, place in self.average.weights.items():
            fill(place, kept["average"][name])
        for name, parameter in self.model.named_parameters():
            if name in kept["optimiser"]:
                self.optimiser.state[parameter] = {
                    key: _like(parameter, value) if isinstance(value, Tensor) else value
                    for key, value in kept["optimiser"][name].items()
                }
        for group, values in zip(self.optimiser.param_groups, kept["groups"], strict=True):
            group.update(values)
        if kept["scaler"]:
            self.scaler.load_state_dict(kept["scaler"])
        progress = kept["progress"]
        self.step, self.seconds, self.best = progress["step"], progress["seconds"], progress["best"]
        self.average.count = progress["count"]


def _keep(into: dict[str, Any], name: str, value: Any, world: World) -> None:
    if world.main:
        into[name] = value


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """Optimiser state as it lay beside `parameter`: sums of its shape are sharded as it is, counters stay whole."""
    if value.shape != parameter.shape:
        return value.clone()
    place = torch.zeros_like(parameter.detach(), dtype=value.dtype)
    fill(place, value)
    return place


class Checkpoints:
    """The checkpoints of one run, the last `keep` of them."""

    def __init__(self, run: Path, keep: int) -> None:
        self.folder, self.keep = run / FOLDER, keep

    def steps(self) -> list[int]:
        """After how many updates there are checkpoints."""
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted(int(match[1]) for path in found if (match := _NAME.fullmatch(path.name)))

    def path(self, step: int) -> Path:
        """Where the checkpoint after `step` updates lies."""
        return self.folder / f"step-{step:09}.pt"

    def save(self, kept: dict[str, Any]) -> Path:
        """Write a checkpoint, then remove the oldest. DeliveryError where it can't be; those there are stay."""
        path = self.path(kept["progress"]["step"])
        save_whole(kept, path)
        for old in self.steps()[: -self.keep]:
            self.path(old).unlink(missing_ok=True)
        return path

    def load(self, step: int | None = None) -> dict[str, Any]:
        """The last checkpoint, or that after `step` updates; TrainingError where there is none or it can't be read."""
        there = self.steps()
        if not there:
            raise TrainingError(f"{self.folder} holds no checkpoint to go on from; begin the training again")
        path = self.path(there[-1] if step is None else step)
        try:
            kept: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except Exception as err:  # reading a damaged pickle may raise anything
            raise TrainingError(
                f"{path} can't be read ({' '.join(str(err).split())[:120]}); remove it to go on from the one before"
            ) from err
        if not isinstance(kept, dict) or (kept.get("format") == FORMAT and _KEPT - kept.keys()):
            raise TrainingError(f"{path} holds no whole checkpoint; remove it to go on from the one before")
        if kept.get("format") != FORMAT:
            raise TrainingError(f"{path} was written by another gvm (format {kept.get('format')}); use that one")
        return kept


def save_whole(kept: dict[str, Any], path: Path) -> None:
    """Write under a temporary name, wait until it is on the disk, then give it its own. DeliveryError."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        needed, free = size_of(kept), shutil.disk_usage(path.parent).free
        if needed > free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with partial.open("wb") as file:
            _write(kept, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as err:  # torch's writer gives a full disk its own name
        partial.unlink(missing_ok=True)
        reason = err.strerror if isinstance(err, OSError) and err.strerror else " ".join(str(err).split())[:80]
        raise DeliveryError(
            f"{path} can't be written ({reason}); the checkpoints before it are whole: make room, then go on with "
            f"gvm train --resume {path.parent.parent}"
        ) from err


def _write(kept: dict[str, Any], file: io.BufferedWriter) -> None:
    torch.save(kept, file)


def size_of(kept: Any) -> int:
    """Bytes of all tensors in it."""
    if isinstance(kept, Tensor):
        return kept.nbytes
    inner = kept.values() if isinstance(kept, dict) else kept if isinstance(kept, list | tuple) else ()
    return sum(size_of(value) for value in inner)


def _sync_folder(folder: Path) -> None:
    """The new name is on the disk too, where the system lets one ask for it."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""What a training tells while it runs: a line of JSON per step that counts, TensorBoard where asked, a bar."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from tqdm import tqdm

from core.errors import MissingDependencyError

LOG = "log.jsonl"


def open_tensorboard(folder: Path, step: int) -> Any:
    """TensorBoard's writer, what was written from `step` on forgotten; MissingDependencyError where it isn't there."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as err:
        raise MissingDependencyError(
            "TensorBoard isn't installed: pip install 'gvm[training]', or leave it out (--set run.tensorboard=false)"
        ) from err
    writer: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=step)
    return writer


class Journal:
    """Writes for one process of a run; the others have a silent one. `first`: the step that the run goes on from."""

    def __init__(self, folder: Path, first: int, total: int, *, writes: bool, tensorboard: bool, bar: bool) -> None:
        self.writes = writes
        self._board = open_tensorboard(folder, first) if writes and tensorboard else None
        self._bar = tqdm(total=total or None, initial=first, unit="step", disable=not (writes and bar), smoothing=0.05)
        if writes:
            folder.mkdir(parents=True, exist_ok=True)
            forget_after(folder / LOG, first)
            self._lines = (folder / LOG).open("a", encoding="utf-8")

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.close()
        if self._board is not None:
            self._board.close()
        if self.writes:
            self._lines.close()

    def row(self, step: int, **values: Any) -> None:
        """Write what happened at `step`."""
        if not self.writes:
            return
        self._lines.write(json.dumps({"step": step, **values}) + "\n")
        self._lines.flush()
        if self._board is not None:
            for name, value in values.items():
                for tag, number in _scalars(name, value):
                    self._board.add_scalar(tag, number, step)

    def picture(self, step: int, name: str, image: Path) -> None:
        """Show a PNG file on TensorBoard."""
        if self._board is not None:
            import cv2

            shown = cv2.imread(str(image))
            assert shown is not None, image
            self._board.add_image(name, shown[..., ::-1], step, dataformats="HWC")

    def advance(self, said: str) -> None:
        """One step is done."""
        self._bar.update()
        self._bar.set_postfix_str(said, refresh=False)


def forget_after(log: Path, first: int) -> None:
    """Take the lines of steps `first` and later out of the log: they will be made again."""
    if not log.is_file():
        return
    kept = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # cut off when the process was killed
            continue
        if row.get("step", 0) < first:
            kept.append(line)
    partial = log.with_suffix(".partial")
    partial.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    os.replace(partial, log)


def exact(values: Tensor) -> list[float]:
    """Single-precision numbers as the shortest decimals that say all of their bits."""
    return [float(str(value)) for value in values.detach().float().cpu().numpy().astype(np.float32).reshape(-1)]


def _scalars(name: str, value: Any) -> list[tuple[str, float]]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [(name, float(value))]
    if isinstance(value, list) and value and all(isinstance(each, int | float) for each in value):
        streams = [(f"{name}/{index}", float(each)) for index, each in enumerate(value)]
        return [(f"{name}/mean", sum(value) / len(value)), *streams]
    return []

"""The published format's three tiny checkpoints, with what the published code computes from them.

They lie beside the repository; tests that need them skip where they don't. `OFFICIAL_FORMAT.md` there describes them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

FOLDER = Path(__file__).resolve().parents[1] / ".." / "shared" / "parity"
KEYS = FOLDER / "keys"
NAMES = ("mean16", "one", "sum4")

TOLERANCE = 1e-4  # what "equal" means in single precision


@dataclass(frozen=True)
class Parity:
    """One fixture: its folder, `meta.json`, and the tensors of `inputs` and `expected` (see its README.txt)."""

    name: str
    folder: Path
    meta: dict[str, Any]
    inputs: dict[str, Tensor]
    expected: dict[str, Tensor]


@cache
def parity(name: str) -> Parity:
    """The fixture of that name; the test is skipped where it isn't there. Don't write to its tensors."""
    from safetensors.torch import load_file

    folder = FOLDER / name
    if not (folder / "expected.safetensors").is_file():
        pytest.skip(f"{folder} isn't there")
    meta = json.loads((folder / "meta.json").read_text())
    return Parity(
        name,
        folder.resolve(),
        meta,
        load_file(folder / "inputs.safetensors"),
        load_file(folder / "expected.safetensors"),
    )


every = pytest.mark.parametrize("name", NAMES)  # for tests that take a fixture's name


def imported(name: str, folder: Path) -> Path:
    """The fixture brought in as a model folder of ours, `folder`/`name`; the test is skipped where it isn't there."""
    from core.published.importer import import_checkpoint

    return import_checkpoint(parity(name).folder, folder / name, name).folder

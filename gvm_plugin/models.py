"""Which models there are: name, licence, size, weight hash, where they lie. Reads their cards alone, never weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from core.errors import ModelError

STARTER: Final = "starter"


@dataclass(frozen=True)
class ModelInfo:
    """One model. folder: of its weights, None for what needs none. problem: why it can't be used, or empty."""

    name: str
    licence: str
    commercial_use: bool
    size_bytes: int
    sha256: str
    folder: Path | None
    about: str
    problem: str = ""


def list_models() -> list[ModelInfo]:
    """All models that this installation knows."""
    return [_starter(), _tone()]


def find_model(name: str) -> ModelInfo:
    """The model called `name`; ModelError if there is none."""
    for model in list_models():
        if model.name == name:
            return model
    known = ", ".join(model.name for model in list_models())
    raise ModelError(f"no model is called {name!r}; known are {known}")


def card_text(model: ModelInfo) -> str:
    """The model card, for reading."""
    if model.folder is not None and (card := model.folder / "MODEL_CARD.md").is_file():
        return card.read_text(encoding="utf-8")
    uses = "allowed" if model.commercial_use else "not allowed"
    return f"# {model.name}\n\n{model.about}\n\nLicence: {model.licence}. Commercial use: {uses}.\n"


def _starter() -> ModelInfo:
    spec = find_spec("core")
    assert spec is not None and spec.origin is not None, "core is part of gvm"
    folder = Path(spec.origin).parent / "starter" / "weights"
    card, sha256, problem = _read_card(folder)
    weights = folder / "model.safetensors"
    return ModelInfo(
        name=STARTER,
        licence=str(card.get("licence", "CC0-1.0")),
        commercial_use=bool(card.get("commercial_use", True)),
        size_bytes=weights.stat().st_size if weights.is_file() else 0,
        sha256=sha256,
        folder=folder,
        about="Ships with gvm: patch descriptors -> GVMGen -> score codec and synthesiser, ten styles, stems and MIDI.",
        problem=problem if weights.is_file() or problem else "its weights are missing; install gvm again",
    )


def _read_card(folder: Path) -> tuple[dict[str, Any], str, str]:
    """(card, weight hash, what is wrong) of the model in `folder`."""
    path = folder / "model.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        return dict(about["card"]), str(about["sha256"]), ""
    except FileNotFoundError:
        return {}, "", "its weights are missing; install gvm again, or train it: python scripts/train_starter.py"
    except (OSError, ValueError, KeyError, TypeError):
        return {}, "", f"{path} is damaged; install gvm again"


def _tone() -> ModelInfo:
    from gvm_plugin.generators import ToneGenerator

    tone = ToneGenerator
    about = "Sine chords on a steady beat, for tests: needs no weights and no torch."
    return ModelInfo(tone.name, tone.licence, tone.commercial_use, 0, tone.weights_sha256, None, about)

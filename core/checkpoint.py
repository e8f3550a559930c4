"""Weights in and out: safetensors and a JSON config, written whole or not at all. Nothing else touches state dicts."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.config import ModelConfig
from core.errors import ModelError
from core.model import GVMGen

STARTER = Path(__file__).parent / "starter" / "weights"


@dataclass(frozen=True)
class ModelCard:
    """What travels with weights: name, licence (SPDX), whether commercial use is allowed, source, training."""

    name: str
    licence: str
    commercial_use: bool
    source: str
    training: dict[str, Any]


def save(model: GVMGen, card: ModelCard, folder: Path) -> None:
    """Write `model.safetensors` (half precision) and `model.json` (config, card, hash) to `folder`, atomically."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().half().contiguous() for name, value in model.state_dict().items()}
    partial = folder / "model.safetensors.partial"
    save_file(weights, partial)
    digest = sha256(partial)
    about = {"config": model.config.to_json(), "card": card.__dict__, "sha256": digest}
    text = folder / "model.json.partial"
    text.write_text(json.dumps(about, indent=2) + "\n")
    partial.chmod(0o644)  # safetensors writes for the owner alone
    os.replace(partial, folder / "model.safetensors")
    os.replace(text, folder / "model.json")


def read_card(folder: Path) -> tuple[ModelConfig, ModelCard, str]:
    """Config, card and weight hash of the model in `folder`; no tensor is read."""
    path = folder / "model.json"
    try:
        about = json.loads(path.read_text())
        return ModelConfig.from_json(about["config"]), ModelCard(**about["card"]), about["sha256"]
    except FileNotFoundError as err:
        raise ModelError(f"{path} is missing: reinstall gvm, or train the model (scripts/train_starter.py)") from err
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as err:
        raise ModelError(f"{path} is not a model description of gvm ({err}); reinstall gvm") from err


def load(folder: Path, device: str = "cpu") -> tuple[GVMGen, ModelCard, str]:
    """The model in `folder` in eval mode, its card, and the hash of its weights; ModelError if they don't fit."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config, card, digest = read_card(folder)
    path = folder / "model.safetensors"
    if not path.is_file():
        raise ModelError(f"{path} is missing: reinstall gvm, or train the model (scripts/train_starter.py)")
    if sha256(path) != digest:
        raise ModelError(f"{path} is not the file its model.json describes (hash differs): fetch or train it again")
    model = GVMGen(config)
    try:
        weights = load_file(path)
    except SafetensorError as err:
        raise ModelError(f"{path} is not a safetensors file ({err}): fetch or train it again") from err
    missing, left_over = model.load_state_dict({k: v.float() for k, v in weights.items()}, strict=False)
    if missing or left_over:
        raise ModelError(f"{path} doesn't fit its config: missing {missing[:5]}, left over {left_over[:5]}")
    return model.to(torch.device(device)).eval(), card, digest


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

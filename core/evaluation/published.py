"""The published evaluation model: its state dict under our names, both ways.

Files `clip{N}.pth` of `evaluation_model/`: plain state dicts. What they compute: `Evaluator.logits_as_published`.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from core.errors import ModelError
from core.evaluation.config import EvaluatorConfig, published_config
from core.evaluation.evaluator import Evaluator
from core.shapes import account

_THEIRS, _OURS = "cross_transformer.resblocks.", "blocks."
_HEAD_WIDTH = 128  # of the published one: 512 / 4


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under our names."""
    return {name.replace(_THEIRS, _OURS, 1): value for name, value in state.items()}


def to_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Ours under theirs."""
    return {_THEIRS + name[len(_OURS) :] if name.startswith(_OURS) else name: value for name, value in state.items()}


def load_published(path: Path, heads: int | None = None) -> Evaluator:
    """The evaluation model in a published file, in eval mode. heads: where it isn't hidden / 128 (no tensor says it).

    ModelError for what is no such file, names what is missing or left over.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as err:
        raise ModelError(f"{path} is missing: give the published evaluation model's clip*.pth") from err
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as err:
        raise ModelError(f"{path} is not a published evaluation model ({type(err).__name__}): fetch it again") from err
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{path} is not a published evaluation model: a plain dictionary of tensors was expected")
    renamed = from_published(state)
    config = _config(renamed, heads, path)
    with torch.device("meta"):
        model = Evaluator(config)
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    account({name: tuple(value.shape) for name, value in renamed.items()}, wanted, f"{path} doesn't fit")
    model.load_state_dict(renamed, assign=True)
    return model.eval()


def _config(state: Mapping[str, Tensor], heads: int | None, path: Path) -> EvaluatorConfig:
    try:
        hidden, video = state["video_linear.weight"].shape
        music = state["music_linear.weight"].shape[1]
    except (KeyError, ValueError) as err:
        raise ModelError(f"{path} is not a published evaluation model: no video_linear, music_linear matrices") from err
    layers = len({name.split(".")[1] for name in state if name.startswith(_OURS)})
    try:
        return published_config(video, music, hidden, layers, heads or max(1, hidden // _HEAD_WIDTH))
    except ValueError as err:
        raise ModelError(f"{path} is not a published evaluation model ({err})") from err

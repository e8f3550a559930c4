"""First weights for training: MusicGen's in the decoder, CLIP's in the vision tower, random ones in between."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from core.config import ModelConfig
from core.errors import ModelError
from core.model import GVMGen
from core.published.musicgen import read_musicgen
from core.vision.clip import read_clip
from core.vision.tower import Tower

# Settings that change what MusicGen's numbers mean; the others add parts, which start fresh.
_SHARED: Final = ("dim", "heads", "layers", "streams", "card", "delays", "hidden_scale", "position", "eps")
_CLIP_FILES: Final = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


@dataclass(frozen=True)
class FirstWeights:
    """model: ready to train. tower: the frozen one, None where no CLIP was given.

    taken: names of the model's parameters that came from a file; fresh: those that are random (or start at zero).
    left: names in the files that have no place in the model: text, and what reads it.

    MusicGen's weights are CC BY-NC 4.0, and so is what is trained from them: say so on the card of the result.
    """

    model: GVMGen
    tower: Tower | None
    taken: list[str]
    fresh: list[str]
    left: list[str]


def initial_weights(config: ModelConfig, musicgen: Path | None = None, clip: Path | None = None) -> FirstWeights:
    """A model of `config` with everything that `musicgen` and `clip` can give it; each a file, or a folder with it.

    What reads the picture starts without a say: the cross-attention's output matrix is zero, so the first step of
    training begins from MusicGen's own music without text, whatever the picture. Random numbers come from torch's
    global generator. ModelError where a file doesn't fit the config.
    """
    model = GVMGen(config)
    given: dict[str, Tensor] = {}
    tower: Tower | None = None
    left: list[str] = []
    if musicgen is not None:
        state, left = _of_musicgen(config, musicgen)
        given |= state
    if clip is not None:
        tower, state = _of_clip(config, clip)
        given |= state
    own = model.state_dict()
    wrong = [f"{name} {tuple(value.shape)}" for name, value in given.items() if own[name].shape != value.shape]
    if wrong:
        raise ModelError(f"{clip or musicgen} doesn't fit the model's settings: {', '.join(wrong[:5])}")
    with torch.no_grad():
        for name, value in given.items():
            own[name].copy_(value)
        if musicgen is not None and config.decoder.temporal_cross_attention:
            for name, value in own.items():
                if name.endswith(".cross_attention.out_proj.weight") and name.startswith("decoder."):
                    value.zero_()
    return FirstWeights(model, tower, sorted(given), sorted(own.keys() - given.keys()), left)


def _of_musicgen(config: ModelConfig, source: Path) -> tuple[dict[str, Tensor], list[str]]:
    found = read_musicgen(source)
    differ = [
        f"{name} {getattr(found.config, name)!r} and not {getattr(config.decoder, name)!r}"
        for name in _SHARED
        if getattr(found.config, name) != getattr(config.decoder, name)
    ]
    if differ:
        raise ModelError(f"{found.path} has another decoder than the model to be trained: {', '.join(differ)}")
    return {f"decoder.{name}": value for name, value in found.state.items()}, found.left


def _of_clip(config: ModelConfig, path: Path) -> tuple[Tower, dict[str, Tensor]]:
    if config.vision != "clip":
        raise ModelError(f"{path} is a CLIP, but the model to be trained sees by {config.vision!r}; leave it out")
    tower, start = read_clip(_clip_file(path))
    if tower.config != config.tower:
        raise ModelError(
            f"{path} has another vision tower ({tower.config}) than the model to be trained ({config.tower})"
        )
    return tower, {f"features.{name}": value for name, value in start.items()}


def _clip_file(source: Path) -> Path:
    """`source` itself, or the weights in that folder, as open_clip's repositories and `gvm models pull` have them."""
    named = [source / name for name in _CLIP_FILES if (source / name).is_file()]
    return named[0] if named else source

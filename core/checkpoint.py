"""Weights in and out: safetensors and a JSON config, written whole or not at all. Nothing else touches state dicts.

A model folder: model.json (config, card, hashes), model.safetensors (what was trained, `core.model.GVMGen`), and where
the model has them vision.safetensors (the frozen tower) and codec.safetensors (EnCodec, in transformers' names).
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from core.config import ModelConfig
from core.errors import ModelError
from core.memory import check_device, check_fits
from core.model import GVMGen
from core.shapes import account

if TYPE_CHECKING:
    from core.codecs.encodec import Encodec
    from core.vision.tower import Tower

STARTER = Path(__file__).parent / "starter" / "weights"
FORMAT: Final = 1  # of model.json
DESCRIPTION: Final = "model.json"
MODEL: Final = "model.safetensors"
VISION: Final = "vision.safetensors"
CODEC: Final = "codec.safetensors"

_AGAIN: Final = "import or fetch the model again (gvm models), or reinstall gvm if it is the starter"


@dataclass(frozen=True)
class ModelCard:
    """What travels with weights: name, licence (SPDX), whether commercial use is allowed, source, training.

    originals: the files they were made of, name -> {"sha256": hex, "bytes": int}; empty for what was trained here.
    """

    name: str
    licence: str
    commercial_use: bool
    source: str
    training: dict[str, Any]
    originals: dict[str, Any] = field(default_factory=dict)


def save(model: GVMGen, card: ModelCard, folder: Path, dtype: torch.dtype | None = torch.float16) -> None:
    """Write `model.safetensors` (in `dtype`, None: as it is) and `model.json` (config, card, hash), atomically."""
    state = {name: value.detach().cpu().to(dtype or value.dtype) for name, value in model.state_dict().items()}
    write(folder, model.config, card, {MODEL: state})


def write(folder: Path, config: ModelConfig, card: ModelCard, files: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Write a model folder: safetensors `files` by name, each under its name when whole, then `model.json`.

    Tensors that are mapped from another file stay so: memory holds about one of them at a time. OSError where the
    folder can't be written, or has no room.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    hashes = {}
    for name, tensors in files.items():
        partial = folder / f"{name}.partial"
        try:
            save_file({key: value.contiguous() for key, value in tensors.items()}, partial)
        except SafetensorError as err:  # its own name for what the system says
            raise OSError(errno.EIO, str(err), str(partial)) from err
        partial.chmod(0o644)  # safetensors writes for the owner alone
        hashes[name] = sha256(partial)
    about = {
        "format": FORMAT,
        "config": config.to_json(),
        "card": card.__dict__,
        "sha256": hashes[MODEL],
        "files": hashes,
    }
    text = folder / f"{DESCRIPTION}.partial"
    text.write_text(json.dumps(about, indent=2) + "\n")
    for name in [*files, DESCRIPTION]:
        os.replace(folder / f"{name}.partial", folder / name)


def read_card(folder: Path) -> tuple[ModelConfig, ModelCard, str]:
    """Config, card and weight hash of the model in `folder`; no tensor is read."""
    about = _description(folder)
    path = folder / DESCRIPTION
    try:
        return ModelConfig.from_json(about["config"]), ModelCard(**about["card"]), str(about["sha256"])
    except TypeError as err:
        if "unexpected keyword" in str(err):
            unknown = str(err).rpartition("argument ")[2]
            raise ModelError(f"{path} has a setting that this gvm doesn't know ({unknown}): update gvm") from err
        raise ModelError(f"{path} is not a model description of gvm ({err}): {_AGAIN}") from err
    except (KeyError, ValueError, AttributeError) as err:
        raise ModelError(f"{path} is not a model description of gvm ({err}): {_AGAIN}") from err


def load(
    folder: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[GVMGen, ModelCard, str]:
    """The model in `folder` in eval mode, its card, and the hash of its weights; ModelError if they don't fit.

    Weights go to `device` in `dtype` one by one, so memory holds one copy of them.
    """
    config, card, digest = read_card(folder)
    with torch.device("meta"):  # no time for random weights that are overwritten
        model = GVMGen(config)
    model.load_state_dict(read_weights(folder / MODEL, digest, model.state_dict(), device, dtype), assign=True)
    assert not any(value.is_meta for value in (*model.parameters(), *model.buffers())), "a buffer isn't in the weights"
    return model.eval(), card, digest


def load_tower(
    folder: Path, config: ModelConfig, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Tower:
    """The frozen vision tower of the model in `folder`, its matrices in `dtype`."""
    from core.vision.build import new_tower

    with torch.device("meta"):
        tower = new_tower(config)
    state = read_weights(folder / VISION, _digest(folder, VISION), tower.state_dict(), "cpu", torch.float32)
    tower.load_state_dict(state, assign=True)
    assert not any(value.is_meta for value in (*tower.parameters(), *tower.buffers())), "a buffer isn't in the weights"
    return tower.place(check_device(device), dtype)


def load_codec(
    folder: Path, config: ModelConfig, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Encodec:
    """The codec of the model in `folder`."""
    from core.codecs.encodec import Encodec

    assert config.encodec is not None, "a model without EnCodec"
    state = read_weights(folder / CODEC, _digest(folder, CODEC), None, device, None)
    return Encodec(config.encodec, state, device, dtype)


def read_weights(
    path: Path,
    digest: str,
    wanted: Mapping[str, Tensor] | None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> dict[str, Tensor]:
    """The tensors in `path` on `device`, floats in `dtype` (None: as stored).

    digest: SHA-256 that the file must have. wanted: tensors of the names and shapes that it must hold, no more and no
    less; None to take what is there. ModelError where anything of that is wrong or the memory doesn't suffice.
    """
    from safetensors import SafetensorError, safe_open

    device = check_device(device)
    try:
        shapes = read_shapes(path)
    except FileNotFoundError as err:
        raise ModelError(f"{path} is missing: {_AGAIN}") from err
    if wanted is not None:
        account(shapes, {name: tuple(value.shape) for name, value in wanted.items()}, f"{path} doesn't fit its config")
    each = 4 if dtype is None else dtype.itemsize
    check_fits(sum(map(math.prod, shapes.values())) * each, device, str(path))
    if sha256(path) != digest:
        raise ModelError(f"{path} is not the file its {DESCRIPTION} describes (hash differs): {_AGAIN}")
    weights = {}
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            for name in shapes:
                value = file.get_tensor(name)
                weights[name] = value.to(device, dtype if value.is_floating_point() else None, copy=True)
    except SafetensorError as err:
        raise ModelError(f"{path} is not a safetensors file ({err}): {_AGAIN}") from err
    return weights


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors that a safetensors file declares; no tensor is read. FileNotFoundError, ModelError."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as err:
        raise ModelError(f"{path} is not a safetensors file or cut off ({err}): {_AGAIN}") from err


def memory_needed(
    folder: Path, dtype: torch.dtype = torch.float32, files: Iterable[str] = (MODEL, VISION, CODEC)
) -> int:
    """Bytes that the weights in `folder` take in memory: the codec in single precision, the others in `dtype`."""
    there = [name for name in files if (folder / name).is_file()]
    sizes = {name: sum(map(math.prod, read_shapes(folder / name).values())) for name in there}
    return sum(count * (4 if name == CODEC else dtype.itemsize) for name, count in sizes.items())


def check_memory(folder: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> None:
    """ModelError where the whole model in `folder` wouldn't fit into `device`, or there is no such device."""
    check_fits(memory_needed(folder, dtype), check_device(device), f"the model {folder.name}")


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise ModelError(f"{path} is missing: {_AGAIN}, or train the model (scripts/train_starter.py)") from err
    except (OSError, ValueError) as err:
        raise ModelError(f"{path} is not a model description of gvm ({err}): {_AGAIN}") from err
    if not isinstance(about, dict):
        raise ModelError(f"{path} is not a model description of gvm: {_AGAIN}")
    form = about.get("format", FORMAT)  # the starter's is older than this field
    if not isinstance(form, int) or form > FORMAT:
        raise ModelError(
            f"{path} was written by a later gvm (format {form}, this one reads up to {FORMAT}): update gvm"
        )
    return about


def _digest(folder: Path, name: str) -> str:
    """The hash that `model.json` says `name` has."""
    files = _description(folder).get("files", {})
    if not isinstance(files, dict) or not isinstance(files.get(name), str):
        raise ModelError(f"{folder / DESCRIPTION} doesn't say what {name} is (its hash): {_AGAIN}")
    return str(files[name])

"""Reads published checkpoint files as data, never as code, and says in one line what a file is when it's the wrong one.

Weights are mapped, not read, where the file allows it: a tensor costs memory when somebody looks at it.
"""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from core.errors import ModelError
from core.published.names import CONDITIONER

LM_FILE: Final = "state_dict.bin"
CODEC_FILE: Final = "compression_state_dict.bin"
TRAINING_FILE: Final = "checkpoint.th"

# Both forms of torch.save: a zip archive, and the pickles of before 2020.
_ZIP: Final = b"PK\x03\x04"
_PICKLE: Final = b"\x80"
# What tensors and plain data are made of.
_DATA: Final = ("torch.", "collections.OrderedDict", "numpy.")
_EXPORT: Final = (
    "export it with the project that trained it (audiocraft: utils.export.export_lm) and import what comes out"
)


@dataclass(frozen=True)
class Checkpoint:
    """state: published name -> tensor, mapped from `path`. cfg: its xp.cfg, interpolations such as ${x} unresolved."""

    path: Path
    state: dict[str, Tensor]
    cfg: dict[str, Any]


@dataclass(frozen=True)
class Elsewhere:
    """A codec file that only names the codec it means."""

    path: Path
    name: str


def find_lm(source: Path) -> Path:
    """The file with the weights of a published model: `source` itself, or the one in that folder."""
    if source.is_file():
        return source
    if not source.is_dir():
        raise ModelError(f"{source} isn't there; name the folder or file of a published checkpoint")
    for name in (LM_FILE, TRAINING_FILE):
        if (source / name).is_file():
            return source / name
    if (source / "model.json").is_file():
        raise ModelError(f"{source} is a model of gvm already; use it as it is: --model {source}")
    has = "has the codec alone" if (source / CODEC_FILE).is_file() else "has no checkpoint"
    raise ModelError(f"{source} {has}: put {LM_FILE} there too, as its authors published it, or name the file itself")


def find_codec(source: Path) -> Path:
    """The codec's file: `source` itself, or the one in that folder."""
    path = source / CODEC_FILE if source.is_dir() else source
    if not path.is_file():
        raise ModelError(
            f"{path} isn't there; put the codec beside the model's weights, or fetch MusicGen's (gvm models pull "
            "encodec-32khz) and name it (--codec encodec-32khz)"
        )
    return path


def read_gvmgen(path: Path) -> Checkpoint:
    """The language model of a published GVMGen; ModelError naming what `path` holds instead."""
    checkpoint = read_lm(path)
    if not any(name.startswith(CONDITIONER) for name in checkpoint.state):
        if any(name.startswith("condition_provider.") for name in checkpoint.state):
            raise ModelError(f"{path} is a MusicGen: it reads text and no pictures, so it can only initialise training")
        raise ModelError(
            f"{path} has no picture side ({CONDITIONER}*), so it makes no music from films; import a whole GVMGen"
        )
    return checkpoint


def read_lm(path: Path) -> Checkpoint:
    """Any language model in audiocraft's format, GVMGen or MusicGen; ModelError naming what `path` holds instead."""
    package = read_package(path)
    if "pretrained" in package and "best_state" not in package:
        raise ModelError(f"{path} only names a codec, {package['pretrained']!r}; name the {LM_FILE} of a model")
    state = _state(package, path)
    cfg = _cfg(package, path)
    if not any(re.match(r"emb\.\d+\.weight$", name) for name in state):
        if _is_codec(state, cfg):
            raise ModelError(f"{path} is a codec, where a model was expected; name the {LM_FILE} beside it")
        raise ModelError(f"{path} is a checkpoint of something else ({_some(state)}); name the {LM_FILE} of a GVMGen")
    return Checkpoint(path, state, cfg)


def read_codec(path: Path) -> Checkpoint | Elsewhere:
    """An EnCodec as audiocraft exports it, or the name of the one that is meant."""
    package = read_package(path)
    if "best_state" not in package and isinstance(package.get("pretrained"), str):
        return Elsewhere(path, package["pretrained"])
    state, cfg = _state(package, path), _cfg(package, path)
    if not _is_codec(state, cfg):
        what = (
            "a model's weights"
            if any(name.startswith("emb.") for name in state)
            else f"something else ({_some(state)})"
        )
        raise ModelError(f"{path} is {what}, where a codec was expected; name the {CODEC_FILE} of MusicGen or GVMGen")
    return Checkpoint(path, state, cfg)


def read_huggingface(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any], Path]:
    """Tensors (mapped), config.json and weights file of a Hugging Face repository in `folder`."""
    from safetensors import SafetensorError, safe_open

    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise ModelError(f"{folder / 'config.json'} is missing or damaged; fetch the repository again") from err
    if not isinstance(config, dict):
        raise ModelError(f"{folder / 'config.json'} is damaged; fetch the repository again")
    shards = sorted(folder.glob("model-*-of-*.safetensors"))
    paths = shards if shards else [folder / "model.safetensors"]
    if not paths[0].is_file():
        path = folder / "pytorch_model.bin"
        if not path.is_file():
            raise ModelError(f"{folder} has settings and no weights (model.safetensors); fetch the repository again")
        return _tensors(read_package(path), path), config, path
    tensors: dict[str, Tensor] = {}
    for path in paths:
        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except SafetensorError as err:
            raise ModelError(f"{path} is damaged or cut off ({err}); fetch it again") from err
    return tensors, config, paths[0]


def read_package(path: Path) -> dict[str, Any]:
    """What torch.save wrote to `path`, as plain data and tensors; nothing in it is run.

    ModelError where it is no such file, cut off, or asks for code to be run.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(4)
    except OSError as err:
        raise ModelError(f"{path} can't be read ({err.strerror}); check the name and its rights") from err
    if beginning != _ZIP and not beginning.startswith(_PICKLE):
        raise ModelError(f"{path} is no checkpoint{_guess(path)}; fetch {LM_FILE} and {CODEC_FILE} from their authors")
    try:
        with warnings.catch_warnings():
            # torch remarks on pickle protocols it may not know; what it can't read raises all the same.
            warnings.simplefilter("ignore")
            package = torch.load(path, map_location="cpu", weights_only=True, mmap=beginning == _ZIP)
    except pickle.UnpicklingError as err:
        raise ModelError(_refusal(path)) from err
    except (RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, OSError) as err:
        raise ModelError(
            f"{path} is damaged or cut off; fetch it again and compare its size with the source's"
        ) from err
    if not isinstance(package, dict):
        raise ModelError(f"{path} holds a {type(package).__name__} and no checkpoint; name the {LM_FILE} of a GVMGen")
    return package


def _refusal(path: Path) -> str:
    """What to say of a pickle that isn't plain data. torch's own text recommends running it: that is left out."""
    strange = [name for name in _named_objects(path) if not name.startswith(_DATA)]
    if not strange:
        return f"{path} is damaged or no checkpoint; fetch it again and compare its size with the source's"
    if strange[0].startswith("omegaconf."):
        return f"{path} is a checkpoint of training, its settings stored as code objects ({strange[0]}); {_EXPORT}"
    return (
        f"{path} asks to run code ({strange[0]}) and was refused; nothing of it was run. Weights are data: "
        "delete the file unless you know who made it, and fetch the published one"
    )


def _named_objects(path: Path) -> list[str]:
    """Every function and class that the pickle in `path` names, found by reading its instructions, not by obeying."""
    try:
        with zipfile.ZipFile(path) as archive:
            content = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    except (zipfile.BadZipFile, StopIteration):
        content = path.read_bytes()
    named, strings, file = [], ["", ""], io.BytesIO(content)
    try:
        while file.tell() < len(content):  # old files are several pickles end to end
            for instruction, argument, _ in pickletools.genops(file):
                if instruction.name == "GLOBAL":
                    named.append(str(argument).replace(" ", "."))
                elif instruction.name == "STACK_GLOBAL":
                    named.append(".".join(strings[-2:]))
                elif isinstance(argument, str):
                    strings.append(argument)
    except (ValueError, EOFError):
        pass  # no pickle from here on, or a damaged one; what was named before counts
    return named


def _state(package: dict[str, Any], path: Path) -> dict[str, Tensor]:
    """The best weights in a package: exported, or as training keeps them (sharded first, as the published export)."""
    for key in ("fsdp_best_state", "best_state"):
        state = package.get(key)
        if isinstance(state, dict) and isinstance(state.get("model"), dict):
            state = state["model"]
        if not isinstance(state, dict) or not state:
            continue
        return _tensors(state, path)
    if "xp.cfg" in package:
        raise ModelError(f"{path} has settings and no weights (best_state is missing or empty); {_EXPORT}")
    if package and all(isinstance(value, Tensor) for value in package.values()):
        if any(name.startswith("decoder.model.decoder.") for name in package):
            raise ModelError(
                f"{path} is a MusicGen of Hugging Face; it has no picture side and only initialises training"
            )
        raise ModelError(
            f"{path} has weights and no settings (a bare state dict: best_state and xp.cfg are missing); {_EXPORT}"
        )
    raise ModelError(
        f"{path} is no published checkpoint (it has {_some(package)}, not best_state and xp.cfg); {_EXPORT}"
    )


def _tensors(state: dict[str, Any], path: Path) -> dict[str, Tensor]:
    strange = [str(name) for name, value in state.items() if not isinstance(value, Tensor)]
    if strange:
        raise ModelError(f"{path} holds more than tensors among its weights ({_some(strange)}); {_EXPORT}")
    return state


def _cfg(package: dict[str, Any], path: Path) -> dict[str, Any]:
    """xp.cfg as plain data: exports have it as YAML text."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    text = package.get("xp.cfg")
    if text is None:
        raise ModelError(
            f"{path} has weights and no settings (xp.cfg is missing), and they aren't all in its shapes; {_EXPORT}"
        )
    if isinstance(text, str):
        try:
            text = YAML(typ="safe", pure=True).load(text)
        except (YAMLError, ValueError, RecursionError) as err:  # the latter two from odd dates, numbers, nesting
            raise ModelError(f"{path} has settings (xp.cfg) that are no YAML; {_EXPORT}") from err
    if not isinstance(text, dict):
        raise ModelError(f"{path} has settings (xp.cfg) that can't be read; {_EXPORT}")
    return text


def _is_codec(state: dict[str, Tensor], cfg: dict[str, Any]) -> bool:
    return "compression_model" in cfg or any(name.startswith("quantizer.vq.") for name in state)


def _some(names: Any) -> str:
    """The first few of many names."""
    names = [str(name) for name in names]
    return ", ".join(names[:3]) + f" and {len(names) - 3} more" * (len(names) > 3)


def _guess(path: Path) -> str:
    """What else it may be, from its first bytes: a page or a pointer that was fetched in its place."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return " (it is empty)"
    if start.startswith(b"version https://git-lfs"):
        return " but a Git LFS pointer to one (`git lfs pull` fetches it)"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return " but a web page"
    return ""

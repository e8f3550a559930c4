"""A published GVMGen becomes a model folder of ours: read as data, every tensor accounted for, written once.

Nothing is written before everything was checked; what is written gets its name when it is whole.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from core import checkpoint
from core.checkpoint import ModelCard
from core.config import CodecConfig, ModelConfig
from core.errors import ModelError
from core.model import GVMGen
from core.published import geometry, names, reader
from core.shapes import account

LICENCE: Final = "CC-BY-NC-4.0"
CARD_FILE: Final = "MODEL_CARD.md"
_CODEC_NAME: Final = "encodec-32khz"


@dataclass(frozen=True)
class Imported:
    """What was written: the model's folder, its settings and card, and how many numbers it has in all its parts."""

    folder: Path
    config: ModelConfig
    card: ModelCard
    parameters: int


def import_checkpoint(source: Path, target: Path, name: str, codec: Path | None = None) -> Imported:
    """Write the published GVMGen in `source` (a folder, or its state_dict.bin) to the new model folder `target`.

    codec: compression_state_dict.bin, the folder it lies in, or that of a Hugging Face EnCodec; None to take the one
    beside the weights. ModelError in one line for whatever is wrong, before anything is written.
    """
    if target.exists():
        raise ModelError(f"{target} is there already; remove it (gvm models remove {name}) or take another --name")
    path = reader.find_lm(source)
    published = reader.read_gvmgen(path)
    codec_path = reader.find_codec(path.parent) if codec is None else codec
    codec_config, codec_state, codec_file = read_codec(codec_path)
    codec_config, codec_state = _codebooks_used(published, codec_config, codec_state)
    config = geometry.model_config(published, codec_config)
    renamed = names.to_ours(published.state)
    _account(renamed, config, path)
    parts = {checkpoint.MODEL: renamed.model, checkpoint.VISION: renamed.vision, checkpoint.CODEC: codec_state}
    _check_numbers(parts, path)
    card = _card(name, path, codec_file)
    _write(target, config, card, parts)
    return Imported(target, config, card, _count(parts))


def read_codec(source: Path) -> tuple[CodecConfig, dict[str, Tensor], Path]:
    """Config, state dict in transformers' names, and file of the EnCodec in `source`: published, or Hugging Face's."""
    from core.codecs.encodec_files import convert_huggingface, convert_published

    if source.is_dir() and (source / "config.json").is_file():
        state, settings, path = reader.read_huggingface(source)
        return *convert_huggingface(state, settings, str(path)), path
    found = reader.read_codec(reader.find_codec(source))
    if isinstance(found, reader.Elsewhere):
        raise ModelError(
            f"{found.path} only names its codec, {found.name!r}; fetch it (gvm models pull {_CODEC_NAME}) and "
            f"name it (--codec {_CODEC_NAME})"
        )
    return *convert_published(found.state, found.cfg, str(found.path)), found.path


def _codebooks_used(
    published: reader.Checkpoint, config: CodecConfig, state: dict[str, Tensor]
) -> tuple[CodecConfig, dict[str, Tensor]]:
    """The codec with as many codebooks as the model was trained on: residual codebooks can be left off at the end."""
    used = geometry.codebooks_used(published.cfg, config, published.path)
    gone = tuple(f"quantizer.layers.{index}." for index in range(used, config.codebooks))
    return replace(config, codebooks=used), {key: v for key, v in state.items() if not (gone and key.startswith(gone))}


def _account(renamed: names.Renamed, config: ModelConfig, path: Path) -> None:
    """ModelError that lists, under their published names, what is missing, left over or misshapen."""
    from core.vision.build import new_tower

    with torch.device("meta"):
        model, tower = GVMGen(config).state_dict(), new_tower(config).state_dict()
    there = _published_shapes(renamed.model, renamed.vision) | dict.fromkeys(renamed.unknown, ())
    needed = _published_shapes(model, tower)
    account(there, needed, f"{path} doesn't fit its own settings, so it can't be imported")


def _check_numbers(parts: Mapping[str, Mapping[str, Tensor]], path: Path) -> None:
    """ModelError where a training that failed left something else than numbers: it would only show as noise."""
    broken = [name for part in parts.values() for name, value in part.items() if not bool(value.isfinite().all())]
    if broken:
        raise ModelError(
            f"{path} or its codec holds values that are no numbers, in {len(broken)} tensors "
            f"({', '.join(broken[:3])}); fetch it again, or take another checkpoint of the training"
        )


def _published_shapes(model: Mapping[str, Tensor], vision: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Published name -> shape with us; names of ours that the published format doesn't know stay as they are."""
    shapes = {names.published_name("model", name) or name: tuple(value.shape) for name, value in model.items()}
    return shapes | {names.published_name("vision", name) or name: tuple(v.shape) for name, v in vision.items()}


def _card(name: str, path: Path, codec_file: Path) -> ModelCard:
    originals = {
        file.name: {"sha256": checkpoint.sha256(file), "bytes": file.stat().st_size} for file in (path, codec_file)
    }
    return ModelCard(
        name=name,
        licence=LICENCE,
        commercial_use=False,
        source="GVMGen as published by its authors (github.com/chouliuzuo/GVMGen), imported from their files",
        training={"by": "the authors of GVMGen (AAAI 2025); nothing was trained or changed by the import"},
        originals=originals,
    )


def _write(target: Path, config: ModelConfig, card: ModelCard, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
    """The folder, under a temporary name beside its place until it is whole."""
    bytes_needed = sum(value.nbytes for part in parts.values() for value in part.values())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if (free := shutil.disk_usage(target.parent).free) < bytes_needed + 1_000_000:
            raise ModelError(
                f"{target.parent} has {free / 1e9:.1f} GB free, the model needs {bytes_needed / 1e9:.1f} GB; make room "
                "or name another folder (GVM_MODELS)"
            )
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    except OSError as err:
        raise ModelError(
            f"{target.parent} can't be written to ({err.strerror}); name another folder (GVM_MODELS)"
        ) from err
    try:
        partial.chmod(0o755)
        checkpoint.write(partial, config, card, parts)
        (partial / CARD_FILE).write_text(card_text(config, card, parts), encoding="utf-8")
        os.replace(partial, target)
    except OSError as err:
        raise ModelError(
            f"{target} can't be written ({err.strerror}); make room, or name another folder (GVM_MODELS)"
        ) from err
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # gone already where all went well


def card_text(config: ModelConfig, card: ModelCard, parts: Mapping[str, Mapping[str, Tensor]]) -> str:
    """The model card, for people."""
    features, decoder, tower, codec = config.features, config.decoder, config.tower, config.encodec
    assert tower is not None and codec is not None
    whole, trained = _count(parts) / 1e6, _count({"": parts[checkpoint.MODEL]}) / 1e6
    kinds = sorted({str(value.dtype).removeprefix("torch.") for value in parts[checkpoint.MODEL].values()})
    lines = [
        f"# {card.name}",
        f"{card.source}.",
        "## Licence",
        f"{card.licence}: not for commercial use. GVMGen's authors publish their weights for non-commercial use; they "
        "were trained on from MusicGen's, which Meta licenses under CC BY-NC 4.0, as it does EnCodec's. `gvm` says "
        "so with every run and refuses `--monetised`. Credit the authors where you show what it made.",
        "## What it is",
        f"- sees: CLIP vision transformer, {tower.layers} layers x {tower.width}, {tower.resolution} pixels, "
        f"{config.frames_per_second} frame a second",
        f"- reads: {features.queries} music quer{'y' if features.queries == 1 else 'ies'}, {features.layers} layers, "
        f"pooling {features.pooling}",
        f"- writes: decoder of {decoder.layers} layers x {decoder.dim}, {decoder.heads} heads",
        f"- sounds: EnCodec, {codec.sample_rate} Hz, {codec.codebooks} codebooks of {codec.card}",
        f"- numbers: {whole:.1f} million in all, {trained:.1f} million of them trained; stored as {', '.join(kinds)}",
        "## Made from",
        *(f"- {file}: {about['bytes']} bytes, SHA-256 {about['sha256']}" for file, about in card.originals.items()),
    ]
    return "\n".join(("\n" if line.startswith("## ") else "") + line for line in lines) + "\n"


def _count(parts: Mapping[str, Mapping[str, Tensor]]) -> int:
    return sum(math.prod(value.shape) for part in parts.values() for value in part.values())

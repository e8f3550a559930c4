"""Brings published weights into the folder of models; what can be checked before torch is loaded is checked first."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from core.errors import DeliveryError, ModelError
from gvm_plugin.hub import REMOTES
from gvm_plugin.models import ModelInfo, check_name, claimed, find_model, is_name, models_folder, put_in_place

_ROOM: Final = 1.1  # free space wanted, of the size of what is imported


def import_model(
    source: Path,
    name: str,
    codec: str | None = None,
    overwrite: bool = False,
    begins: Callable[[], None] | None = None,
) -> ModelInfo:
    """Make the published checkpoint `source` (a folder or its file of weights) the model `name`; what it is then.

    codec: the folder or file of an EnCodec, or the name of one that was pulled; None for the one beside the weights.
    overwrite: replace a model of that name, at the end and only if all went well. begins: called when the long part
    begins. Raises ModelError, DeliveryError.
    """
    check_name(name)
    if any(name == remote.name for remote in REMOTES):
        raise ModelError(f"the name {name!r} is kept for what `gvm models pull {name}` fetches; choose another --name")
    if not source.exists():
        raise ModelError(f"{source} isn't there; name the folder or file of a published checkpoint")
    target = models_folder() / name
    with claimed(name):
        if os.path.lexists(target) and not overwrite:
            raise ModelError(
                f"{name} is there already, in {target}; choose another --name, or replace it with --overwrite"
            )
        codec_path = _codec_path(codec)
        _check_room(source, codec_path, target.parent)
        if begins is not None:
            begins()
        new = target.with_name(f".{name}.new")  # no name for a model, so never listed
        _import(source, new, name, codec_path)
        put_in_place(new, name)
    return find_model(name)


def _import(source: Path, new: Path, name: str, codec: Path | None) -> None:
    from core.published.importer import import_checkpoint

    _clear(new)
    try:
        import_checkpoint(source, new, name, codec)
    except BaseException:  # also Ctrl-C: nothing half stays
        _clear(new)
        raise


def _clear(new: Path) -> None:
    """Remove what an import that was killed may have left."""
    shutil.rmtree(new, ignore_errors=True)
    for partial in new.parent.glob(f".{new.name}.*.partial"):
        shutil.rmtree(partial, ignore_errors=True)


def _codec_path(codec: str | None) -> Path | None:
    if codec is None or Path(codec).exists():
        return None if codec is None else Path(codec)
    pulled = models_folder() / codec
    if is_name(codec) and pulled.is_dir():
        return pulled
    pullable = any(codec == remote.name for remote in REMOTES)
    remedy = f"fetch it: gvm models pull {codec}" if pullable else "name the folder or file of an EnCodec"
    raise ModelError(f"the codec {codec} isn't there; {remedy}")


def _check_room(source: Path, codec: Path | None, folder: Path) -> None:
    """DeliveryError where the folder of models hasn't room for what is as large as the weights in `source`."""
    files = [path for place in (source, codec) if place is not None for path in _weights(place)]
    needed = sum(path.stat().st_size for path in files) * _ROOM
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise DeliveryError(
            f"the model needs about {needed / 1e9:.2f} GB and {place} has {free / 1e9:.2f} GB free; make room, or set "
            "GVM_MODELS to a folder elsewhere"
        )


def _weights(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    names = ("state_dict.bin", "compression_state_dict.bin", "model.safetensors")
    return [place / name for name in names if (place / name).is_file()]

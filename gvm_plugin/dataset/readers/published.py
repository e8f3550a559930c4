"""The published code's layout after its preprocessing: frame tensors (.pt), music (.wav), and audiocraft's manifests.

    train/data.jsonl, eval/data.jsonl    a row: {"path": ".../NAME.wav", "duration", "sample_rate", ...}
    NAME.pt                              named by the row ("video_path" or whatever ends in .pt), else of the wav's name

Paths in the rows are those of the machine that made them: where they lead nowhere, the file of that name below the
folder is taken. Without manifests every .pt with a .wav of its name is a pair.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from core.errors import DatasetError
from gvm_plugin.dataset.options import Problem, Source
from gvm_plugin.dataset.readers.common import SOUND_SUFFIXES, Found, below, files_below, nothing

SIDES: Final = {"train": "train", "eval": "test", "evaluate": "test", "test": "test", "valid": "test", "val": "test"}
_OWN: Final = ("path", "duration", "sample_rate", "amplitude", "weight", "info_path")


def read(folder: Path) -> Found:
    """Every pair of tensor and sound below `folder`; the manifests' sides are kept."""
    tensors = {path.stem: path for path in files_below(folder, (".pt",))}
    sounds = {path.name: path for path in files_below(folder, SOUND_SUFFIXES)}
    if not tensors:
        raise nothing(folder, "no frame tensors (.pt)")
    manifests = [*sorted(folder.rglob("data.jsonl")), *sorted(folder.rglob("data.jsonl.gz"))]
    sources: list[Source] = []
    problems: list[Problem] = []
    listed: set[Path] = set()
    for manifest in manifests:
        side = SIDES.get(manifest.parent.name.lower())
        for number, row in _rows(manifest):
            sound = _find(str(row["path"]), sounds)
            tensor = _tensor(row, sound, tensors)
            where = f"{below(manifest, folder)}, line {number}"
            if sound is None or tensor is None:
                lacking = str(row["path"]) if sound is None else "a frame tensor (.pt) of its name"
                problems.append(Problem(where, f"{Path(lacking).name or lacking}: isn't there; copy it again"))
                continue
            if tensor in listed:
                problems.append(Problem(where, f"{tensor.name}: is listed twice; leave one of the lines"))
                continue
            listed.add(tensor)
            labels = {name: value for name, value in row.items() if name not in _OWN and isinstance(value, str | int)}
            labels = {name: value for name, value in labels.items() if not str(value).endswith((".pt", ".wav"))}
            sources.append(Source(tensor, below(tensor, folder), sound=sound, labels=labels, split=side))
    if not manifests:
        by_stem = {path.stem: path for path in sounds.values()}
        for stem, tensor in sorted(tensors.items()):
            if stem in by_stem:
                sources.append(Source(tensor, below(tensor, folder), sound=by_stem[stem]))
            else:
                problems.append(Problem(below(tensor, folder), "has no sound of its name; copy it again"))
    return Found(tuple(sources), tuple(problems))


def _rows(manifest: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        data = manifest.read_bytes()
        text = (gzip.decompress(data) if manifest.suffix == ".gz" else data).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as err:
        raise DatasetError(f"{manifest}: can't be read; copy the data set again") from err
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as err:
            raise DatasetError(f"{manifest}, line {number}: is no JSON; make the manifest again") from err
        if not isinstance(row, dict) or not isinstance(row.get("path"), str):
            raise DatasetError(f"{manifest}, line {number}: has no path; it is no manifest of audiocraft")
        yield number, row


def _find(name: str, files: dict[str, Path]) -> Path | None:
    path = Path(name)
    return path if path.is_absolute() and path.is_file() else files.get(name.replace("\\", "/").rpartition("/")[2])


def _tensor(row: dict[str, Any], sound: Path | None, tensors: dict[str, Path]) -> Path | None:
    for value in row.values():
        if isinstance(value, str) and value.endswith(".pt"):
            return _find(value, {path.name: path for path in tensors.values()})
    return tensors.get(sound.stem) if sound is not None else None

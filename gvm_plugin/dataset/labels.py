"""What people say of films: a CSV or JSONL file, one film a row.

Column `file` names it; `type` is its type; the rest are labels.

A name in `file` matches a film by its path below the folder that was given, else by its file name, with or without
its suffix.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import DatasetError, brief
from gvm_plugin.dataset.kinds import parse_type
from gvm_plugin.dataset.options import TYPES


@dataclass(frozen=True)
class Label:
    """What is said of one film. type: one of `TYPES`, or None; labels: everything else, by column."""

    type: str | None
    labels: Mapping[str, Any]


def read_labels(path: Path) -> dict[str, Label]:
    """Name of a film -> what is said of it. DatasetError, with the line, where the file can't be understood."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as err:
        raise DatasetError(f"{path}: there is no such file of labels; check the name") from err
    except (OSError, UnicodeDecodeError) as err:
        raise DatasetError(f"{path}: can't be read as a text in UTF-8; save it as CSV (UTF-8) or JSONL") from err
    rows = _json_rows(text, path) if path.suffix.lower() in (".jsonl", ".json", ".ndjson") else _csv_rows(text, path)
    found: dict[str, Label] = {}
    for number, row in rows:
        name = row.pop("file", None)
        if not isinstance(name, str) or not name.strip():
            raise DatasetError(f"{path}, line {number}: has no file; name the film there")
        name = name.strip().replace("\\", "/")
        if name in found:
            raise DatasetError(f"{path}, line {number}: {brief(name)} was there before; leave one of both lines")
        kind = row.pop("type", None)
        said = parse_type(str(kind)) if kind not in (None, "") else None
        if kind not in (None, "") and said is None:
            raise DatasetError(f"{path}, line {number}: there is no type {brief(kind)}; there are {', '.join(TYPES)}")
        found[name] = Label(said, {key: value for key, value in row.items() if value not in (None, "")})
    return found


def label_of(labels: Mapping[str, Label], name: str) -> Label | None:
    """What is said of the film called `name` (its path below the folder given, with forward slashes)."""
    last = name.rpartition("/")[2]
    for key in (name, last, last.rpartition(".")[0] or last):
        if key in labels:
            return labels[key]
    return None


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    first = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter="\t" if "\t" in first else ";" if ";" in first else ",")
    if "file" not in [(name or "").strip() for name in reader.fieldnames or ()]:
        raise DatasetError(f"{path}: has no column called file; the first line names the columns")
    for row in reader:
        if None in row:
            raise DatasetError(f"{path}, line {reader.line_num}: has more fields than columns; quote what holds commas")
        yield reader.line_num, {name.strip(): (value or "").strip() for name, value in row.items()}


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as err:
            raise DatasetError(f"{path}, line {number}: is no JSON ({err}); one object a line") from err
        if not isinstance(row, dict):
            raise DatasetError(f'{path}, line {number}: is no object; write {{"file": ..., ...}}')
        yield number, row

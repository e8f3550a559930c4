"""Files that a command may replace: those that gvm wrote, known by a stretch of text that each of them holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from core.errors import DeliveryError

COMPARISON: Final = {
    "comparison.md": "## Columns\n\n- **",
    "systems.csv": "system,figure,value,low,high,",
    "films.csv": "film,system,file,seconds,",
    "comparison.json": '"evaluator_sha256"',
    "comparison.html": '<meta name="generator" content="gvm ',
}
RESULTS: Final = {"results.md": "OMQ: overall music quality", "results.csv": "group,scale,system,other,"}


def holds(path: Path, text: str) -> bool:
    """Whether `text` stands in the file `path`; not in what is no file or can't be read."""
    try:
        return text.encode() in path.read_bytes()
    except OSError:
        return False


def check_own(folder: Path, marks: Mapping[str, str]) -> None:
    """DeliveryError where `folder` holds a file of one of these names without its mark: somebody else's."""
    for name, mark in marks.items():
        path = folder / name
        if path.exists() and not holds(path, mark):
            raise DeliveryError(
                f"{path}: isn't a file that gvm wrote, so it isn't replaced; move it away, or choose another folder "
                "with --out"
            )

"""What the worker sees of an edit against what Blender showed: watch.py EDIT.json FILM, with the project's Python.

Prints JSON: for each frame the numbers of the pictures (tests/clips.py numbers them by their grey), None where black.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from core.frames import PictureStream  # noqa: E402
from gvm_plugin.edit_list import read_edit  # noqa: E402
from gvm_plugin.edit_media import EditSource  # noqa: E402
from tests.clips import grey_of  # noqa: E402

NUMBERS = {grey_of(number): number for number in range(43)}


def number_of(grey: float) -> int | None:
    """The number of the picture with that grey."""
    if grey < 15:
        return None
    return NUMBERS[min(NUMBERS, key=lambda known: abs(known - grey))]


def main(edit_path: Path, film: Path) -> None:
    """Print the numbers of both."""
    edit = read_edit(json.loads(edit_path.read_text()))
    source = EditSource(edit)
    with source.pictures() as shown:
        seen = [(seconds, float(frame.to_ndarray(format="rgb24").mean())) for seconds, frame in shown]
    with PictureStream(film) as stream:
        rendered = [float(frame.to_ndarray(format="rgb24").mean()) for _, frame in stream]
    rows = []
    for index, grey in enumerate(rendered):
        at = index / edit.fps + 1 / edit.fps / 1000
        mine = next(value for seconds, value in reversed(seen) if seconds <= at)
        rows.append([index, number_of(mine), number_of(grey)])
    print(json.dumps({"rows": rows, "warnings": source.warnings}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""Films with their own sound. A folder named after a type (vlogs, Music_Videos) says the type of what is in it."""

from __future__ import annotations

from pathlib import Path

from gvm_plugin.dataset.kinds import type_of_folder
from gvm_plugin.dataset.options import Source
from gvm_plugin.dataset.readers.common import Found, below, films_below, nothing


def read(folder: Path) -> Found:
    """Every film below `folder`, or the film that `folder` is."""
    if folder.is_file():
        return Found((Source(folder, folder.name, type=type_of_folder(folder, folder.parent)),))
    films = films_below(folder)
    if not films:
        raise nothing(folder, "no film")
    return Found(tuple(Source(path, below(path, folder), type=type_of_folder(path, folder)) for path in films))

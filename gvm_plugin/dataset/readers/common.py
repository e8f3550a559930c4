"""What readers share: which files are films or sounds, what belongs together, lines of lists."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import DatasetError
from gvm_plugin.cache import FOLDER
from gvm_plugin.dataset.options import Problem, Source
from gvm_plugin.folder import VIDEO_SUFFIXES

SOUND_SUFFIXES: Final = (".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".aiff", ".aif", ".w64")


@dataclass(frozen=True)
class Found:
    """What a reader found: films to take pairs from, and what should have been some but can't be."""

    sources: tuple[Source, ...]
    problems: tuple[Problem, ...] = ()


def files_below(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Files below `folder` with one of `suffixes`, in order, without hidden ones and without data sets of ours."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: is no folder; name the one that holds the data")
    return sorted(_walk(folder, suffixes))


def _walk(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not os.path.isdir(os.path.join(place, name, FOLDER))
        )
        for name in files:
            path = Path(place, name)
            if not name.startswith(".") and path.suffix.lower() in suffixes and (path.is_file() or not path.exists()):
                yield path


def films_below(folder: Path) -> list[Path]:
    """The films below `folder`."""
    return files_below(folder, VIDEO_SUFFIXES)


def sounds_by_stem(folder: Path) -> dict[str, Path]:
    """Name without suffix -> the sound file below `folder`; of several the one without loss."""
    found: dict[str, Path] = {}
    for path in sorted(files_below(folder, SOUND_SUFFIXES), key=lambda path: SOUND_SUFFIXES.index(path.suffix.lower())):
        found.setdefault(path.stem, path)
    return found


def below(path: Path, folder: Path) -> str:
    """Name of a film for people: its path below `folder`, with forward slashes."""
    return path.relative_to(folder).as_posix()


def read_list(path: Path) -> list[str]:
    """Lines of a list, without empty ones. DatasetError where it can't be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise DatasetError(f"{path}: can't be read as a text; copy the data set again") from err
    return [line.strip() for line in text.splitlines() if line.strip()]


def find_file(folder: Path, *names: str) -> Path | None:
    """The first of `names` (paths below `folder`) that is there."""
    return next((folder / name for name in names if (folder / name).exists()), None)


def nothing(folder: Path, what: str) -> DatasetError:
    """The error for a folder in which a reader finds nothing of its own."""
    return DatasetError(f"{folder}: holds {what}; see docs/dataset.md for what it should look like")

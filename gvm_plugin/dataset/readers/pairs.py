"""A plain folder of pairs: NAME.mp4 and NAME.wav side by side, or in two folders. Films alone use their own sound."""

from __future__ import annotations

from pathlib import Path

from gvm_plugin.dataset.kinds import type_of_folder
from gvm_plugin.dataset.options import Problem, Source
from gvm_plugin.dataset.readers.common import SOUND_SUFFIXES, Found, below, files_below, films_below, nothing


def read(folder: Path) -> Found:
    """Every film below `folder` with the sound of its name; sounds without a film are problems."""
    films = films_below(folder)
    if not films:
        raise nothing(folder, "no film")
    sounds = files_below(folder, SOUND_SUFFIXES)
    taken: set[Path] = set()
    sources = []
    for film in films:
        beside = [path for path in sounds if path.stem == film.stem]
        beside.sort(key=lambda path: (path.parent != film.parent, path.parent.parent != film.parent.parent, path))
        sound = beside[0] if beside else None
        taken.update(beside)
        sources.append(Source(film, below(film, folder), sound=sound, type=type_of_folder(film, folder)))
    alone = [path for path in sounds if path not in taken]
    why = "is a sound without a film of its name; name both alike, or take it out"
    return Found(tuple(sources), tuple(Problem(below(path, folder), why) for path in alone))

"""AIST++: street dance, each dance filmed by up to nine cameras at once, over music of the AIST Dance database.

    gBR_sBM_c01_d04_mBR0_ch01.mp4       genre, situation, camera (cAll in lists), dancer, music, choreography
    splits/crossmodal_train.txt, ..._val.txt, ..._test.txt      names of dances, with cAll
    ignore_list.txt                     dances with faulty motion; left out
    mBR0.wav                            music; used where a video has no sound of its own

All cameras of a dance are one film: they show the same thing to the same music. Where the official cross-modal split
is there, it is kept (val counts as test).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from gvm_plugin.dataset.options import Problem, Source
from gvm_plugin.dataset.readers.common import Found, below, films_below, find_file, nothing, read_list, sounds_by_stem

_NAME: Final = re.compile(r"^g([A-Z]{2})_s([A-Z]{2})_c(\w+?)_d(\d+)_m([A-Z]{2}\d)_ch(\d+)$")
GENRES: Final = {
    "BR": "break", "PO": "pop", "LO": "lock", "MH": "middle hip-hop", "LH": "LA style hip-hop", "HO": "house",
    "WA": "waack", "KR": "krump", "JS": "street jazz", "JB": "ballet jazz",
}  # fmt: skip


def read(folder: Path) -> Found:
    """Every video named as AIST names them, but for ignored dances."""
    sounds = sounds_by_stem(folder)
    sides = _sides(folder)
    list_of_ignored = find_file(folder, "ignore_list.txt", "annotations/ignore_list.txt")
    ignored = set(read_list(list_of_ignored)) if list_of_ignored is not None else set()
    sources, problems = [], []
    for film in films_below(folder):
        found = _NAME.match(film.stem)
        if not found:
            problems.append(Problem(below(film, folder), "isn't named as AIST names its videos; use --format films"))
            continue
        genre, _, camera, dancer, music, _ = found.groups()
        dance = film.stem.replace(f"_c{camera}_", "_cAll_")
        if dance in ignored:
            problems.append(Problem(below(film, folder), "is on AIST++'s list of faulty dances"))
            continue
        labels = {"genre": GENRES.get(genre, genre), "camera": camera, "dancer": dancer, "music_id": f"m{music}"}
        sound = None if _has_sound(film) else sounds.get(f"m{music}")
        sources.append(
            Source(film, below(film, folder), sound=sound, labels=labels, split=sides.get(dance), group=dance,
                   trusted=("length",))
        )  # fmt: skip
    if not sources:
        raise nothing(folder, "no video named as AIST names them (gBR_sBM_c01_d04_mBR0_ch01.mp4)")
    return Found(tuple(sources), tuple(problems))


def _has_sound(film: Path) -> bool:
    from core.errors import MediaError
    from gvm_plugin.probe import probe

    try:
        return bool(probe(film).audio)
    except MediaError:  # the work will say what is wrong
        return True


def _sides(folder: Path) -> dict[str, str]:
    sides: dict[str, str] = {}
    for name, side in (("train", "train"), ("val", "test"), ("test", "test")):
        path = find_file(folder, f"splits/crossmodal_{name}.txt", f"annotations/splits/crossmodal_{name}.txt")
        if path is not None:
            sides.update(dict.fromkeys(read_list(path), side))
    return sides

"""SymMV (CC BY-NC-SA): annotations of piano covers' music videos; the videos one downloads oneself.

SymMV.csv       tab-separated: index, youtube_url, tonality, shazam_id
chord/00001.txt, midi/00001.mid     by index, five digits
videos          anywhere below, named by index (00001.mp4, 1.mp4) or by YouTube id (..[ID].mp4, ID.mp4)
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from core.errors import DatasetError
from gvm_plugin.dataset.options import Problem, Source
from gvm_plugin.dataset.readers.common import Found, below, films_below, find_file, nothing, read_list, sounds_by_stem

_ID = re.compile(r"(?:v=|youtu\.be/|/embed/|/shorts/)([\w-]{11})")


def read(folder: Path) -> Found:
    """Every row of SymMV.csv whose video is there; the others are problems. All are music videos."""
    table = find_file(folder, "SymMV.csv", "dataset/SymMV.csv")
    if table is None:
        raise nothing(folder, "no SymMV.csv")
    films = films_below(folder)
    sounds = sounds_by_stem(folder)
    by_name = {film.stem.lstrip("0") or "0": film for film in films if film.stem.isdigit()}
    sources, problems = [], []
    for row in _rows(table):
        index = str(row.get("index", "")).strip()
        found = _ID.search(row.get("youtube_url") or "")
        film = by_name.get(index.lstrip("0") or "0")
        if film is None and found:
            film = next((path for path in films if path.stem == found[1] or f"[{found[1]}]" in path.stem), None)
        if film is None:
            problems.append(Problem(f"SymMV {index}", f"its video isn't there ({row.get('youtube_url')}); download it"))
            continue
        labels: dict[str, Any] = {name: value for name, value in row.items() if name and name != "index" and value}
        padded = index.zfill(5)
        for kind, name in (("chords", f"chord/{padded}.txt"), ("midi", f"midi/{padded}.mid")):
            if (table.parent / name).is_file():
                labels[kind] = name
        sound = sounds.get(film.stem)
        name = below(film, folder)
        sources.append(Source(film, name, sound=sound, type="music video", labels={"index": index, **labels}))
    return Found(tuple(sources), tuple(problems))


def _rows(table: Path) -> list[dict[str, str]]:
    lines = read_list(table)
    rows = list(csv.DictReader(lines, delimiter="\t" if lines and "\t" in lines[0] else ","))
    if not rows or "youtube_url" not in rows[0]:
        raise DatasetError(f"{table}: has no column youtube_url; copy SymMV.csv again")
    return rows

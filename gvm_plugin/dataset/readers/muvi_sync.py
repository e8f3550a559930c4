"""MuVi-Sync: music videos with features of both sides, by number.

vevo/001.mp4                        videos (an archive of their own)
vevo_audio/001.wav (or .mp3)        their sound, if one fetched that too; else the videos' own
vevo_meta/idlist.txt                001-Title<TAB>YouTube id
vevo_meta/split/v1/train.txt, val.txt, test.txt     numbers
vevo_emotion/6c_l14p/all/001.lab    per second: time, six probabilities; their means become labels
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gvm_plugin.dataset.options import Problem, Source
from gvm_plugin.dataset.readers.common import Found, below, films_below, find_file, nothing, read_list, sounds_by_stem

EMOTIONS = ("exciting", "fearful", "tense", "sad", "relaxing", "neutral")
_NUMBER = re.compile(r"^(\d+)")


def read(folder: Path) -> Found:
    """Every numbered video; its title, YouTube id, side and emotions where the lists are there."""
    root = folder if (folder / "vevo_meta").is_dir() else folder / "dataset"
    if not (root / "vevo_meta").is_dir():
        raise nothing(folder, "no vevo_meta")
    titles = _titles(root)
    sides = _sides(root)
    sounds = sounds_by_stem(folder)
    films = {found[1]: film for film in films_below(folder) if (found := _NUMBER.match(film.stem))}
    sources = []
    for number, film in sorted(films.items()):
        labels: dict[str, Any] = {**titles.get(number, {}), **_emotions(root, number)}
        side = sides.get(number)
        if side is not None:
            labels["official_split"] = side
        split = None if side is None else "train" if side == "train" else "test"
        name = below(film, folder)
        sound = sounds.get(film.stem) or sounds.get(number)
        sources.append(Source(film, name, sound=sound, type="music video", labels=labels, split=split))
    missing = sorted(set(titles or sides) - set(films))
    problems = [Problem(f"MuVi-Sync {number}", "its video isn't there; download it") for number in missing]
    if not sources and not problems:
        raise nothing(folder, "no videos")
    return Found(tuple(sources), tuple(problems))


def _titles(root: Path) -> dict[str, dict[str, str]]:
    path = find_file(root, "vevo_meta/idlist.txt")
    found = {}
    for line in read_list(path) if path is not None else []:
        name, _, youtube = line.rpartition("\t")
        number, _, title = (name or youtube).partition("-")
        found[number] = {"title": title, "youtube_id": youtube} if name else {"title": title}
    return found


def _sides(root: Path) -> dict[str, str]:
    place = find_file(root, "vevo_meta/split/v1", "vevo_meta/split")
    sides: dict[str, str] = {}
    for name in ("train", "val", "test"):
        path = place / f"{name}.txt" if place is not None else None
        if path is not None and path.is_file():
            sides.update(dict.fromkeys(read_list(path), name))
    return sides


def _emotions(root: Path, number: str) -> dict[str, float]:
    path = find_file(root, f"vevo_emotion/6c_l14p/all/{number}.lab", f"vevo_emotion/all/{number}.lab")
    if path is None:
        return {}
    rows = []
    for line in read_list(path):
        try:
            rows.append([float(value) for value in line.split()[1:]])
        except ValueError:  # the line that names the columns
            continue
    rows = [row for row in rows if len(row) == len(EMOTIONS)]
    return {name: round(sum(row[i] for row in rows) / len(rows), 3) for i, name in enumerate(EMOTIONS)} if rows else {}

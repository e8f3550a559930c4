"""TikTok Dance-Music (of D2M-GAN): 445 short dance videos, about 12.5 s each.

    000007_7_188.mp4                        song, then two numbers of the video
    tiktok_audio_train_segment.txt, tiktok_audio_test_segment.txt   (and video, motion)
                                            .../000007_7_188_seg3.wav: two-second segments of the videos

A video's side is that of its segments. Videos over one song (the first number) are kept on one side.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from gvm_plugin.dataset.options import Problem, Source
from gvm_plugin.dataset.readers.common import Found, below, films_below, nothing, read_list, sounds_by_stem

_SEGMENT: Final = re.compile(r"^(.*?)(?:_seg\d+)?$")


def read(folder: Path) -> Found:
    """Every video; what the lists name and isn't there is a problem."""
    films = films_below(folder)
    if not films:
        raise nothing(folder, "no video")
    sounds = sounds_by_stem(folder)
    sides = _sides(folder)
    sources = []
    for film in films:
        song = film.stem.split("_")[0]
        sources.append(
            Source(film, below(film, folder), sound=sounds.get(film.stem), labels={"song": song},
                   split=sides.get(film.stem), group=f"tiktok song {song}")
        )  # fmt: skip
    missing = sorted(set(sides) - {film.stem for film in films})
    return Found(tuple(sources), tuple(Problem(f"TikTok {name}", "its video isn't there") for name in missing))


def _sides(folder: Path) -> dict[str, str]:
    sides: dict[str, str] = {}
    for side in ("train", "test"):
        for path in sorted(folder.rglob(f"tiktok_*_{side}_segment.txt")):
            for line in read_list(path):
                found = _SEGMENT.match(Path(line.replace("\\", "/")).stem)
                assert found is not None
                sides.setdefault(found[1], side)
    return sides

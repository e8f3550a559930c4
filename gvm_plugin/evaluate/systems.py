"""Which file in a folder of music belongs to which film: by name, tolerant to what systems add to it.

A file belongs to the film whose stem it has, or with whose stem it begins, followed by no letter or digit:
holiday.music.wav, holiday_gen.mp3 and `holiday (2).flac` are holiday's, holiday2.wav is not. Of several films the one
with the longest stem gets it; of several files the closest name wins, sound before film, lossless before lossy.
Names are compared without regard to case and to how accents are stored. Pure but for listing folders.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import Final

from core.errors import MediaError
from core.frames import shown_name
from gvm_plugin.folder import VIDEO_SUFFIXES

LOSSLESS: Final = (".wav", ".flac", ".aif", ".aiff", ".w64", ".rf64", ".caf")
SOUND_SUFFIXES: Final = (*LOSSLESS, ".m4a", ".mp3", ".ogg", ".oga", ".opus", ".aac", ".wma", ".mka", ".ac3", ".eac3")
STEM: Final = "{stem}"  # in a pattern: the film's stem
_EDGE: Final = "\ue000"  # stands in a pattern for _NO_LETTER_OR_DIGIT while it becomes an expression; no name has it
_NO_LETTER_OR_DIGIT: Final = r"(?![^\W_])"  # what follows begins with neither


@dataclass(frozen=True)
class Matches:
    """What was found for the films in one folder.

    files: film -> its file. missing: films without one. also: files that could have been a film's too, by film.
    unused: files that belong to no film.
    """

    folder: Path
    files: Mapping[Path, Path]
    missing: tuple[Path, ...]
    also: Mapping[Path, tuple[Path, ...]]
    unused: tuple[Path, ...]


def films_in(folder: Path) -> list[Path]:
    """The films of `folder`, in order of their names. MediaError where there are none, or two share a stem."""
    files = [path for path in _files(folder, "videos") if path.suffix.lower() in VIDEO_SUFFIXES]
    if not files:
        raise MediaError(f"{folder}: has no films; name the folder that holds the videos with --videos")
    by_stem: dict[str, Path] = {}
    for path in files:
        other = by_stem.setdefault(_plain(path.stem), path)
        if other is not path:
            raise MediaError(
                f"{shown_name(path)}: has the same stem as {shown_name(other)}, so no music can be told apart; "
                "rename one of them, or take it out of the folder"
            )
    return files


def match(films: Sequence[Path], folder: Path, pattern: str | None = None) -> Matches:
    """The file in `folder` for each of `films`. MediaError where not one has any.

    pattern: a path below the folder with {stem} for the film's stem, * and ? for anything: "{stem}/*_out.wav". As
    without a pattern, what a * stands for behind the stem begins with no letter or digit, and only sound and films are
    taken, unless the pattern says how the name ends.
    """
    if pattern is not None and STEM not in pattern:
        raise ValueError(f"pattern {pattern!r} has no {STEM}, which stands for the film's name without its suffix")
    candidates = _below(folder, pattern) if pattern else _files(folder)
    if not (pattern and _names_an_end(pattern)):
        candidates = [path for path in candidates if _is_media(path)]
    found: dict[Path, list[Path]] = {film: [] for film in films}
    unused: list[Path] = []
    for path in candidates:
        film = _by_pattern(path, folder, films, pattern) if pattern else owner(path, films)
        if film is None:
            unused.append(path)
        else:
            found[film].append(path)
    files, also = {}, {}
    for film, paths in found.items():
        if paths:
            best, *others = sorted(paths, key=lambda path: closeness(path, film))
            files[film] = best
            if others:
                also[film] = tuple(others)
    if not files:
        raise _nothing_matched(films, folder, candidates, pattern)
    return Matches(folder, files, tuple(film for film in films if film not in files), also, tuple(unused))


def owner(path: Path, films: Sequence[Path]) -> Path | None:
    """The film whose stem the name of `path` has or begins with; of several the one with the longest stem."""
    stem = _plain(path.stem)
    fitting = [film for film in films if _begins(stem, _plain(film.stem))]
    return max(fitting, key=lambda film: len(_plain(film.stem)), default=None)


def closeness(path: Path, film: Path) -> tuple[bool, int, bool, str]:
    """Sorts the files that could be a film's: sound before film, nearest name, lossless, then by name."""
    suffix = path.suffix.lower()
    added = len(_plain(path.stem)) - len(_plain(film.stem))
    return suffix in VIDEO_SUFFIXES, added, suffix not in LOSSLESS, path.name


def parse_system(text: str) -> tuple[str, Path]:
    """NAME=FOLDER as a pair. ValueError where it is something else."""
    name, equals, folder = text.partition("=")
    if not (name.strip() and equals and folder.strip()):
        raise ValueError(f"system {text!r} isn't NAME=FOLDER, such as ours=scored")
    return name.strip(), Path(folder.strip())


def _begins(stem: str, film: str) -> bool:
    return stem == film or (stem.startswith(film) and bool(film) and not stem[len(film)].isalnum())


def _plain(name: str) -> str:
    """`name` as it is compared: macOS stores an accent apart from its letter, and case is no difference."""
    return unicodedata.normalize("NFC", name).casefold()


def _is_media(path: Path) -> bool:
    return path.suffix.lower() in (*SOUND_SUFFIXES, *VIDEO_SUFFIXES)


def _files(folder: Path, option: str = "system") -> list[Path]:
    """Visible files of `folder`, in the order of people (clip_2 before clip_12)."""
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "there is no such folder"
        raise MediaError(f"{folder}: {what}; check what --{option} says")
    return sorted((path for path in folder.iterdir() if path.is_file() and path.name[0] != "."), key=natural)


def _below(folder: Path, pattern: str) -> list[Path]:
    _files(folder)
    depth = pattern.count("/")
    return sorted((path for path in folder.glob("*/" * depth + "*") if path.is_file()), key=natural)


def natural(path: Path) -> list[tuple[int, str]]:
    """Sorting key of a path in which numbers count as numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"[0-9]+|[^0-9]+", str(path))]


def _by_pattern(path: Path, folder: Path, films: Sequence[Path], pattern: str) -> Path | None:
    relative = _plain(path.relative_to(folder).as_posix())
    wanted = _plain(pattern).replace(f"{STEM}*", f"{STEM}{_EDGE}*")
    fitting = []
    for film in films:
        expression = translate(wanted.replace(STEM, _literal(_plain(film.stem))))
        if re.match(expression.replace(_EDGE, _NO_LETTER_OR_DIGIT), relative):
            fitting.append(film)
    return max(fitting, key=lambda film: len(film.stem), default=None)


def _names_an_end(pattern: str) -> bool:
    """Whether `pattern` says how a file's name ends, so that what it finds is what was meant."""
    return not set("*?[") & set(re.split(r"[./]", pattern)[-1])


def _literal(text: str) -> str:
    """`text` with what fnmatch takes for wild cards made plain."""
    return re.sub(r"([*?[])", r"[\1]", text)


def _nothing_matched(
    films: Sequence[Path], folder: Path, candidates: Sequence[Path], pattern: str | None
) -> MediaError:
    there = f"the first of {len(candidates)} is {shown_name(candidates[0])}" if candidates else "it has no sound files"
    remedy = f"rename them, or say how they are called: --pattern NAME='music_for_{STEM}.wav'"
    remedy = "mend --pattern" if pattern else remedy
    return MediaError(
        f"{folder}: no file there has the name of a film ({there}; the first film is {shown_name(films[0])}); {remedy}"
    )

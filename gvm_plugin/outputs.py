"""Where the results of one film go. Names only; nothing is written here.

OUT/NAME.mp4          the film with its score          OUT/NAME.stems/    groups of instruments
OUT/NAME.music.wav    the music alone                  OUT/NAME.midi/     the notes, a file per cue
OUT/NAME.cues.yaml    the cue sheet                    OUT/NAME.takes/    the alternatives
OUT/NAME.export/      for other editors
OUT/.gvm/             cache, records of the folder job
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import MediaError
from gvm_plugin.cuesheet import SUFFIX

DEFAULT_FOLDER: Final = "scored"
_LONGEST_NAME: Final = 200  # bytes; file systems take 255, and suffixes and temporary names need some of them


@dataclass(frozen=True)
class Outputs:
    """The places of one film's results: `film` is folder/NAME.ext, the others are named after NAME."""

    film: Path
    name: str

    @property
    def folder(self) -> Path:
        """OUT."""
        return self.film.parent

    @property
    def music(self) -> Path:
        """The music alone, 48 kHz, 24 bit."""
        return self.folder / f"{self.name}.music.wav"

    @property
    def sheet(self) -> Path:
        """The cue sheet."""
        return self.folder / f"{self.name}{SUFFIX}"

    @property
    def stems(self) -> Path:
        """Folder of the stems."""
        return self.folder / f"{self.name}.stems"

    @property
    def midi(self) -> Path:
        """Folder of the MIDI files."""
        return self.folder / f"{self.name}.midi"

    @property
    def takes(self) -> Path:
        """Folder of the alternatives."""
        return self.folder / f"{self.name}.takes"

    @property
    def export(self) -> Path:
        """Folder of what other editors read."""
        return self.folder / f"{self.name}.export"

    def in_container(self, suffix: str) -> Outputs:
        """The same, with a film that ends in `suffix`."""
        if self.film.suffix.lower() == suffix.lower():
            return self
        return Outputs(self.folder / f"{self.name}{suffix}", self.name)


def outputs_of(video: Path, out: Path | None) -> Outputs:
    """Where the results of `video` go: `out` is a file, a folder, or None for the folder `scored` beside the film."""
    if out is None:
        out = video.parent / DEFAULT_FOLDER
    if out.is_dir() or not out.suffix:
        return outputs_named(out, video, video.stem)
    return outputs_named(out.parent, out, out.stem)


def outputs_named(folder: Path, video: Path, name: str) -> Outputs:
    """Where the results of `video` go when they are called `name` in `folder`; very long names are shortened.

    A `name` that is all of the film's own name, suffix and all, is the name of the delivered film too.
    """
    short = _fitting(video.stem) + video.suffix
    if name in (video.name, short):
        return Outputs(folder / short, short)
    return Outputs(folder / (_fitting(name) + video.suffix), _fitting(name))


def outputs_of_sheet(sheet: Path, video: Path) -> Outputs:
    """Where the results of the cue sheet at `sheet` go: beside it, under its name."""
    name = sheet.name.removesuffix(SUFFIX) if sheet.name.endswith(SUFFIX) else sheet.stem
    return outputs_named(sheet.parent, video, name)


def distinct_names(videos: Sequence[Path]) -> list[str]:
    """A NAME for each film of one folder: its stem, or all of its name where another film has the same stem.

    So a.mp4 and a.mov give the films a.mp4 and a.mov, but a.mp4.music.wav and a.mov.music.wav.
    """
    names = [video.stem for video in videos]
    while True:  # all of a.mp4's name may in turn be the stem of a.mp4.mp4
        times = Counter(name.casefold() for name in names)
        longer = [video.name if times[name.casefold()] > 1 else name for video, name in zip(videos, names, strict=True)]
        if longer == names:
            return names
        names = longer


def file_name(text: str) -> str:
    """`text` fit for a file name anywhere."""
    return re.sub(r"[^\w.-]", "_", text)[:60] or "_"


def file_names(texts: Sequence[str]) -> dict[str, str]:
    """For each of `texts` (ids of cues, each once) a file name of its own, also where capitals don't count."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for text in texts:
        name = file_name(text)
        while name.casefold() in taken:
            name += "_"
        taken.add(name.casefold())
        names[text] = name
    return names


def check_name(outputs: Outputs) -> None:
    """MediaError where the name of the film can't be written down: in cue sheet, records and page."""
    from core.frames import shown_name

    try:
        outputs.film.name.encode("utf-8")
    except UnicodeEncodeError:
        raise MediaError(f"{shown_name(outputs.film)}: the name is not valid UTF-8; rename the film") from None


def _fitting(name: str) -> str:
    """`name`, or where it is too long for the names of all results its beginning and a mark of its own."""
    encoded = os.fsencode(name)
    if len(encoded) <= _LONGEST_NAME:
        return name
    mark = hashlib.sha256(encoded).hexdigest()[:8]
    return f"{encoded[: _LONGEST_NAME - 9].decode(errors='ignore')}~{mark}"

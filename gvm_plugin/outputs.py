"""Where the results of one film go. Names only; nothing is written here.

OUT/NAME.mp4          the film with its score          OUT/NAME.stems/    groups of instruments
OUT/NAME.music.wav    the music alone                  OUT/NAME.midi/     the notes, a file per cue
OUT/NAME.cues.yaml    the cue sheet                    OUT/NAME.takes/    the alternatives
OUT/.gvm/             cache, records of the folder job
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import MediaError
from gvm_plugin.cuesheet import SUFFIX

DEFAULT_FOLDER: Final = "scored"
_LONGEST_NAME: Final = 255 - len(".99999999.partial") - len(SUFFIX)  # bytes that file systems take


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


def outputs_of(video: Path, out: Path | None) -> Outputs:
    """Where the results of `video` go: `out` is a file, a folder, or None for the folder `scored` beside the film."""
    if out is None:
        out = video.parent / DEFAULT_FOLDER
    if out.is_dir() or not out.suffix:
        return outputs_named(out, video, video.stem)
    return _checked(Outputs(out, out.stem))


def outputs_named(folder: Path, video: Path, name: str) -> Outputs:
    """Where the results of `video` go when they are called `name` in `folder`."""
    return _checked(Outputs(folder / f"{name}{video.suffix}", name))


def outputs_of_sheet(sheet: Path, video: Path) -> Outputs:
    """Where the results of the cue sheet at `sheet` go: beside it, under its name."""
    name = sheet.name.removesuffix(SUFFIX) if sheet.name.endswith(SUFFIX) else sheet.stem
    return outputs_named(sheet.parent, video, name)


def distinct_names(videos: Sequence[Path]) -> list[str]:
    """A NAME for each film of one folder: its stem, or all of its name where another film has the same stem.

    So a.mp4 and a.mov give a.mp4.music.wav and a.mov.music.wav; their films stay a.mp4.mp4 and a.mov.mov.
    """
    stems = Counter(video.stem.casefold() for video in videos)
    return [video.name if stems[video.stem.casefold()] > 1 else video.stem for video in videos]


def _checked(outputs: Outputs) -> Outputs:
    name = outputs.film.name
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise MediaError(f"{name!r}: the name is not valid UTF-8; rename the film") from None
    if len(os.fsencode(outputs.name)) > _LONGEST_NAME:
        raise MediaError(f"{name[:40]}...: the name is too long for the names of its results; shorten it")
    return outputs

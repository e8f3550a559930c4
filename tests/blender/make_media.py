"""Films and sounds for the tests inside Blender, written with the project's own Python: make_media.py FOLDER."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from tests.clips import numbered  # noqa: E402
from tests.conftest import sound_of, write_clip  # noqa: E402

NTSC = Fraction(30000, 1001)


def main(folder: Path) -> None:
    """Write them, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    numbered(folder / "count30.mp4", range(0, 120 * 1001, 1001), Fraction(1, 30_000))
    numbered(folder / "count24.mp4", range(120), Fraction(1, 24))
    for number, name in enumerate("abc"):
        cuts = (2.0 + number, 5.0) if number else (3.0, 5.5)
        write_clip(folder / f"{name}.mp4", 8 + number, NTSC, ((160, 90), (128, 72), (128, 96))[number], cuts, None)
    talk = np.zeros((12 * 48_000, 2), np.float32)
    talk[3 * 48_000 : 8 * 48_000] = 0.8 * sound_of("speechlike", 5).T
    soundfile.write(folder / "talk.wav", talk, 48_000)
    clicks = np.zeros((4 * 48_000, 2), np.float32)
    clicks[48_000:48_480] = 0.5
    soundfile.write(folder / "click.wav", clicks, 48_000)
    (folder / "broken.mp4").write_bytes(b"this is no film" * 100)
    (folder / "done").touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

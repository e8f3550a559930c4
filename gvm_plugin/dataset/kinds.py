"""What type of film it is: music video, film, vlog, animation or documentary. A guess by rule, marked as one. Pure.

A person's word goes first (--type, a labels file, a folder named like a type). Without it each type gets points for
what was measured; the confidence of the guess is how far the best is ahead of the next, and never above `MAX_SURE`.

    animation     flat areas and hard outlines, strong colours
    music video   music all along, no speech, many cuts
    vlog          somebody speaks, the picture fills the frame
    film          bars above and below, dim and pale pictures
    documentary   few cuts, calm, natural colours, some speech or none

The rules were made by eye on twelve clips; docs/dataset.md says how often they are right there and elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from gvm_plugin.dataset.options import TYPES

MAX_SURE: Final = 0.6
BAR_LEVEL: Final = 20  # grey below which a row is black
WHITE_LEVEL: Final = 238
_WIDTH, _HEIGHT = 160, 90


@dataclass(frozen=True)
class Style:
    """What one picture looks like. flat: share of its 8 x 8 blocks without any texture. saturation, brightness: 0..1.

    bars: share of its height that is black above and below, the lesser of both.
    """

    flat: float
    saturation: float
    brightness: float
    bars: float


@dataclass(frozen=True)
class Traits:
    """What a whole film is like: means of `Style`, and shares 0..1 of its time with music, speech and text."""

    flat: float
    saturation: float
    brightness: float
    bars: float
    cuts_per_minute: float
    music: float
    speech: float
    text: float


@dataclass(frozen=True)
class Guess:
    """A type and how sure it is, 0..1."""

    type: str
    confidence: float


def describe(rgb: npt.NDArray[np.uint8]) -> Style:
    """The style of a picture [H, W, 3]."""
    import cv2

    small = np.asarray(cv2.resize(rgb, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA), np.float32)
    grey = small @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    lit = grey.max(axis=1) >= BAR_LEVEL
    rows = np.flatnonzero(lit)
    bars = min(int(rows[0]), _HEIGHT - 1 - int(rows[-1])) / _HEIGHT if len(rows) else 0.0
    inside = small[rows[0] : rows[-1] + 1] if len(rows) >= 8 else small
    shown = inside @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    blocks = shown[: len(shown) // 5 * 5, :].reshape(-1, 5, _WIDTH // 5, 5).std(axis=(1, 3))
    means = shown[: len(shown) // 5 * 5, :].reshape(-1, 5, _WIDTH // 5, 5).mean(axis=(1, 3))
    bright = (means > BAR_LEVEL) & (means < WHITE_LEVEL)  # what is black or blown out is flat in every film
    high, low = inside.max(axis=2), inside.min(axis=2)
    return Style(
        flat=float((blocks[bright] < 1.5).mean()) if bright.any() else 0.0,
        saturation=float(((high - low) / np.maximum(high, 1)).mean()),
        brightness=float(shown.mean() / 255),
        bars=bars,
    )


def guess(traits: Traits) -> Guess:
    """The type that fits best, and how sure that is."""
    cuts = traits.cuts_per_minute
    points = {
        "animation": 5.0 * max(0.0, traits.flat - 0.07) + 0.5 * max(0.0, traits.saturation - 0.4),
        "music video": 0.1 * traits.music + 0.035 * min(max(cuts - 14, 0), 25) - 0.8 * traits.speech,
        "vlog": 1.6 * min(traits.speech, 0.6) - 2.0 * min(traits.bars, 0.1),
        "film": 4.0 * min(traits.bars, 0.15) + 0.6 * max(0.0, 0.45 - traits.brightness),
        "documentary": 0.55 - 0.02 * min(cuts, 20) + 0.3 * min(traits.speech, 0.5) - 2.0 * traits.bars,
    }
    ranked = sorted(TYPES, key=lambda name: points[name], reverse=True)
    ahead = points[ranked[0]] - points[ranked[1]]
    return Guess(ranked[0], round(min(MAX_SURE, 0.2 + 0.4 * max(0.0, ahead)), 2))


def type_of_folder(path: Path, above: Path | None = None) -> str | None:
    """The type that a folder over `path`, up to `above`, is named after (Music_Videos, vlogs ...); the nearest one.

    `above` itself may be called films, as any folder of films is.
    """
    for folder in path.parents:
        found = parse_type(folder.name)
        if found and not (folder == above and found == "film"):
            return found
        if folder == above:
            return None
    return None


def parse_type(text: str) -> str | None:
    """The type that `text` names, however it is written; None where it names none."""
    words = re.sub(r"[\s_-]+", " ", text).strip().lower()
    singular = {
        "music videos": "music video",
        "mv": "music video",
        "mvs": "music video",
        "movie": "film",
        "anime": "animation",
    }
    words = singular.get(words, words)
    for name in TYPES:
        if words in (name, name + "s"):
            return name
    return "film" if words == "movies" else None

"""The character of a stretch of picture, and the style, mood and energy of music that go with it. Pure.

Everything is a rule that can be said in words: no weights, no chance. The numbers are a film composer's rough
habits, chosen from what the measures can be for any film, not fitted to particular ones.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gvm_plugin.timeline import Shot, Span

Look = npt.NDArray[np.float32]  # [5 + 64]: red, green, blue, brightness, saturation (0..1), colour histogram
Looks = npt.NDArray[np.float32]  # [S, 5 + 64]: one per shot

FAST_CUTTING: Final = 30.0  # cuts per minute that count as full pace
STILL, WILD = 0.004, 0.12  # activity of a locked-off interview, of a camera thrown about
DARK, BRIGHT = 0.12, 0.65  # mean luma
PALE, VIVID = 0.05, 0.6  # mean saturation
WARM_SPAN: Final = 0.15  # red minus blue, either way


@dataclass(frozen=True)
class Character:
    """What a stretch of picture is like, each 0..1: pace of cutting, motion, light, colour, warmth (0.5 neutral)."""

    pace: float
    motion: float
    light: float
    colour: float
    warmth: float

    @property
    def mood(self) -> float:
        """Valence -1..1: light, colourful and warm pictures are happy ones."""
        return _clip(1.1 * (self.light - 0.5) + 0.5 * (self.colour - 0.5) + 0.7 * (self.warmth - 0.5), -1.0, 1.0)

    @property
    def energy(self) -> float:
        """0..1: mostly how much moves, then how often it is cut."""
        return _clip(0.15 + 0.45 * self.motion + 0.35 * self.pace, 0.0, 1.0)

    def words(self) -> str:
        """A few words for the cue sheet."""
        return ", ".join(names[min(2, int(value * 3))] for names, value in zip(_WORDS, astuple(self), strict=True))


_WORDS: Final = (
    ("calm cutting", "steady cutting", "quick cutting"),
    ("little movement", "some movement", "much movement"),
    ("dark", "half light", "bright"),
    ("pale", "coloured", "vivid"),
    ("cool", "neutral", "warm"),
)

# What each style likes best, in the order of Character's fields.
PROTOTYPES: Final[dict[str, Character]] = {
    "cinematic": Character(0.25, 0.55, 0.25, 0.45, 0.40),
    "documentary": Character(0.20, 0.45, 0.60, 0.35, 0.45),
    "acoustic": Character(0.30, 0.45, 0.60, 0.60, 0.80),
    "lofi": Character(0.15, 0.20, 0.40, 0.45, 0.70),
    "upbeat": Character(0.70, 0.70, 0.80, 0.65, 0.55),
    "electronic": Character(0.75, 0.80, 0.30, 0.65, 0.25),
    "ambient": Character(0.05, 0.15, 0.55, 0.30, 0.25),
    "chinese": Character(0.10, 0.35, 0.45, 0.90, 0.95),
    "funk": Character(0.60, 0.60, 0.50, 0.80, 0.80),
    "tension": Character(0.45, 0.65, 0.05, 0.15, 0.35),
}
_WEIGHTS: Final = Character(1.0, 1.0, 0.8, 0.6, 0.7)  # how much each field matters for the choice
_RESERVE: Final = {"chinese": 0.06, "tension": 0.06}  # strong flavours wait for a picture that clearly asks for them
_BUSY: Final = ("upbeat", "electronic", "funk", "tension")
_TALKING: Final = 0.2  # how much further away these are where somebody speaks throughout


def choose_style(character: Character, talking: float = 0.0) -> str:
    """The style whose liking is nearest to `character`. talking: share of the film with speech; busy styles shun it."""

    def distance(style: str) -> float:
        fields = zip(astuple(_WEIGHTS), astuple(character), astuple(PROTOTYPES[style]), strict=True)
        reserve = _RESERVE.get(style, 0.0) + (_TALKING * talking if style in _BUSY else 0.0)
        return math.sqrt(sum((weight * (have - want)) ** 2 for weight, have, want in fields)) + reserve

    return min(PROTOTYPES, key=distance)


def characterise(
    span: Span,
    shots: Sequence[Shot],
    looks: Looks,
    activity_times: npt.NDArray[np.float64],
    activity: npt.NDArray[np.float32],
) -> Character:
    """The character of `span`. activity: of moments activity_times, 0..1."""
    cuts = sum(1 for shot in shots if span.start < shot.span.start < span.end)
    inside = (activity_times >= span.start) & (activity_times < span.end)
    motion = float(np.mean(activity[inside])) if inside.any() else STILL
    look = mean_look(span, shots, looks)
    red, _, blue, brightness, saturation = (float(value) for value in look[:5])
    return Character(
        pace=_clip(cuts * 60 / max(span.duration, 10.0) / FAST_CUTTING),
        motion=_clip(math.log(max(motion, STILL) / STILL) / math.log(WILD / STILL)),
        light=_clip((brightness - DARK) / (BRIGHT - DARK)),
        colour=_clip((saturation - PALE) / (VIVID - PALE)),
        warmth=_clip(0.5 + (red - blue) / (2 * WARM_SPAN)),
    )


def mean_look(span: Span, shots: Sequence[Shot], looks: Looks) -> Look:
    """Mean look of the picture in `span`, each shot by how long it is seen there. Shots are in order of time."""
    first = max(0, bisect_right(shots, span.start, key=lambda shot: shot.span.start) - 1)
    last = max(first + 1, bisect_left(shots, span.end, key=lambda shot: shot.span.start))
    weights = np.array([max(span.overlap(shot.span), 1e-6) for shot in shots[first:last]])
    return np.asarray(np.average(looks[first:last], axis=0, weights=weights), dtype=np.float32)


def difference(one: Look, other: Look) -> float:
    """0..1: how unlike two looks are: half the histograms' distance, half that of light and colour."""
    histograms = 0.5 * float(np.abs(one[5:] - other[5:]).sum())
    means = float(np.abs(one[:5] - other[:5]).max())
    return 0.5 * min(1.0, histograms) + 0.5 * min(1.0, 2 * means)


def _clip(value: float, low: float = 0.0, high: float = 1.0) -> float:
    return min(high, max(low, value))

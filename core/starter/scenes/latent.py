"""The latent scene, and how intense a composer feels each of its moments to be.

Knows nothing of pixels or notes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

FloatArray = npt.NDArray[np.float64]
Colour = tuple[float, float, float]  # hue 0..1 (0 red, 1/3 green, 2/3 blue), saturation 0..1, value 0..1

ACTIVITY_FPS: Final = 8
_FINE_FPS: Final = 40  # the rate at which energy is worked out, fine enough for a bump that starts on a cut
_SMOOTH_SECONDS: Final = 0.35
_BUMP_SECONDS: Final = 0.5  # a cut's bump falls to 1/e in this time
_CUT_CHANGE: Final = 0.15  # typical mean absolute difference of grey across a hard cut in real footage
_QUIET_CUT: Final = 0.8  # weight of a cut beside activity 0..1 where nothing else moves,
_BUSY_CUT: Final = 0.3  # and where the picture moves as much as a cut changes it
_MEAN_ENERGY: Final = 0.4


@dataclass(frozen=True)
class Look:
    """How one camera set-up looks. Two shots of one look show the same place.

    seed: fixes textures and paths. colours: main, second and accent colour. brightness 0..1: mean grey aimed at.
    contrast: steepness of the tone curve, about 2 (flat, misty) to 6 (hard). texture: name of a texture family.
    camera 0..1: share of the camera in the movement (0 = tripod, only objects move). objects: how many move.
    grain: standard deviation of film grain, full scale 1. flicker: share of lighting in the movement.
    """

    seed: int
    colours: tuple[Colour, Colour, Colour]
    brightness: float
    contrast: float
    texture: str
    camera: float
    objects: int
    grain: float
    flicker: float
    horizon: bool
    caption: bool


@dataclass(frozen=True)
class SceneShot:
    """A shot, [start, end) seconds. transition: how it begins: "cut", "dissolve", "fade" or "flash"."""

    start: float
    end: float
    look: Look
    transition: str = "cut"


@dataclass(frozen=True, eq=False)
class LatentScene:
    """What a film is before it is drawn or scored.

    duration: seconds. cuts: (seconds, strength 0..1), strong where the picture changes much.
    activity [ceil(duration * 8)]: how much moves at each 1/8 s, relative: 1 is about the scene's 95th percentile.
    scale: the mean absolute difference of grey (full scale 1) per 1/8 s where activity is 1.
    valence -1..1 (sad or dark .. happy); arousal 0..1 (calm .. excited); pace: shots per minute.
    letterbox: height of each black bar as a share of the picture's. palette: the colours its looks vary.
    """

    duration: float
    cuts: tuple[tuple[float, float], ...]
    shots: tuple[SceneShot, ...]
    activity: FloatArray
    scale: float
    valence: float
    arousal: float
    pace: float
    palette: tuple[Colour, Colour, Colour]
    letterbox: float
    seed: int

    def activity_at(self, times: FloatArray) -> FloatArray:
        """Relative activity [S] at `times` [S] in seconds."""
        grid = np.arange(len(self.activity)) / ACTIVITY_FPS
        return np.interp(times, grid, self.activity)


def energy_curve(scene: LatentScene, times: FloatArray) -> FloatArray:
    """Musical intensity [S] 0..1 of `scene` at `times` [S] in seconds.

    The scene's own activity, smoothed over a third of a second and spread between its own still and busy
    moments, and a bump on each cut that dies away in half a second. Quiet scenes give cuts more weight, for
    there they are what happens. The mean is about 0.4; a scene in which nothing changes stays near it.
    """
    fine = np.arange(0.0, scene.duration + 1.0 / _FINE_FPS, 1.0 / _FINE_FPS)
    smooth = gaussian_filter1d(scene.activity_at(fine), _SMOOTH_SECONDS * _FINE_FPS, mode="nearest")
    spread, liveliness = _spread(smooth)
    quiet = float(np.clip(math.log(_CUT_CHANGE / scene.scale) / math.log(100.0), 0.0, 1.0))
    if scene.cuts:  # movement that can hardly be seen is hardly felt where there are cuts to feel
        spread = spread * (1.0 - 0.5 * quiet)
    raw = spread + (_BUSY_CUT + (_QUIET_CUT - _BUSY_CUT) * quiet) * _bumps(scene, fine)
    top = max(float(np.percentile(raw, 99.0)), 0.5)
    shaped = _to_mean(np.clip(raw / top, 0.0, 1.0), _MEAN_ENERGY)
    if not scene.cuts:
        shaped = _MEAN_ENERGY + (shaped - _MEAN_ENERGY) * liveliness
    return np.interp(np.asarray(times, dtype=np.float64), fine, shaped)


def _spread(curve: FloatArray) -> tuple[FloatArray, float]:
    """(`curve` stretched so that its 5th..95th percentiles span 0..1, liveliness 0..1: 0 for a constant curve)."""
    low, high = (float(value) for value in np.percentile(curve, [5.0, 95.0]))
    middle = float(curve.mean()) + 1e-9
    liveliness = min(1.0, (high - low) / middle / 0.5)
    stretched = np.clip((curve - low) / max(high - low, 1e-9), 0.0, 1.15)
    return _MEAN_ENERGY + (stretched - _MEAN_ENERGY) * liveliness, liveliness


def _bumps(scene: LatentScene, times: FloatArray) -> FloatArray:
    """What the cuts add: each jumps up within 50 ms and dies away; overlapping ones don't pile up past 1."""
    quiet = np.ones_like(times)
    for seconds, strength in scene.cuts:
        since = times - seconds
        rise = np.clip(since / 0.05 + 1.0, 0.0, 1.0)
        quiet *= 1.0 - strength * rise * np.exp(-np.maximum(since, 0.0) / _BUMP_SECONDS)
    return 1.0 - quiet


def _to_mean(curve: FloatArray, mean: float) -> FloatArray:
    """`curve` 0..1 raised to the power (0.45 to 1.8) that brings its mean nearest to `mean`."""
    low, high = 0.45, 1.8
    for _ in range(20):
        power = (low + high) / 2
        low, high = (power, high) if float((curve**power).mean()) > mean else (low, power)
    return curve ** ((low + high) / 2)

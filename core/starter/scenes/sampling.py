"""Random latent scenes with the dynamics of real footage.

Real activity, measured at 8 frames a second, is a level of its own in every shot (levels within one film differ by
10 or 100 times), slow drift on it, and events: bursts, pans, stillness, steady bouncing. Scenes are made likewise.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter1d

from core.starter.scenes.latent import ACTIVITY_FPS, Colour, FloatArray, LatentScene, Look, SceneShot

TEXTURE_FAMILIES: Final = ("cloud", "rock", "leaves", "blocks", "city", "branches", "lines")
_SHORTEST_SHOT: Final = 0.4
_SOFT: Final = {"cut": 1.0, "flash": 1.0, "fade": 0.6, "dissolve": 0.3}  # how much of a cut each transition is


def sample_scene(rng: Generator, duration: float | None = None) -> LatentScene:
    """A random scene of `duration` seconds (or of 8 to 60)."""
    if duration is None:
        duration = float(np.clip(rng.lognormal(math.log(22.0), 0.45), 8.0, 60.0))
    valence = float(np.clip(rng.normal(0.05, 0.5), -1.0, 1.0))
    scale = float(0.0013 * 180.0 ** rng.beta(1.6, 1.0))
    palette = _sample_palette(rng, valence)
    shots = _sample_shots(rng, duration, valence, palette, scale)
    cuts = tuple((after.start, _cut_strength(before, after)) for before, after in pairwise(shots))
    activity = _within_reach(_sample_activity(rng, duration, shots), shots, scale)
    pace = 60.0 * len(shots) / duration
    motion = np.clip(math.log(scale / 0.0013) / math.log(180.0), 0.0, 1.0)
    hurry = np.clip(math.log(max(pace, 2.0) / 2.0) / math.log(30.0), 0.0, 1.0)
    return LatentScene(
        duration=duration,
        cuts=cuts,
        shots=shots,
        activity=activity,
        scale=scale,
        valence=valence,
        arousal=float(np.clip(0.6 * motion + 0.4 * hurry, 0.0, 1.0)),
        pace=pace,
        palette=palette,
        letterbox=float(rng.uniform(0.04, 0.15)) if rng.random() < 0.3 else 0.0,
        seed=int(rng.integers(2**31)),
    )


def speech_spans(rng: Generator, scene: LatentScene) -> tuple[tuple[float, float], ...]:
    """Random (start, end) seconds in which somebody talks in `scene`; about half of the scenes have none."""
    if rng.random() < 0.5:
        return ()
    spans: list[tuple[float, float]] = []
    talkative = rng.uniform(0.3, 1.0)
    at = float(rng.exponential(2.0))
    while at < scene.duration - 0.6:
        end = min(at + float(rng.uniform(0.7, 2.0 + 7.0 * talkative)), scene.duration)
        spans.append((at, end))
        at = end + 0.3 + float(rng.exponential(0.4 + 4.0 * (1.0 - talkative)))
    return tuple(spans)


def _sample_palette(rng: Generator, valence: float) -> tuple[Colour, Colour, Colour]:
    """Main, second and accent colour: happy scenes tend to warm, bright and saturated, sad ones to cold and grey."""
    warm, cold = float(rng.normal(0.09, 0.06)), float(rng.normal(0.58, 0.07))
    first = warm if rng.random() < 0.5 + 0.45 * valence else cold
    if rng.random() < 0.22:
        first = float(rng.choice([0.0, 0.05, 0.12, 0.3, 0.36, 0.5, 0.65, 0.75, 0.92]))  # a wood, a pink room
    second = first + float(rng.choice([0.0, 0.04, 0.08, -0.08, -0.04, 0.3, 0.5])) + float(rng.normal(0.0, 0.04))
    saturation = float(np.clip(rng.normal(0.44 + 0.2 * valence, 0.24), 0.02, 1.0))
    if rng.random() < 0.18:
        saturation = float(rng.uniform(0.85, 1.0))  # coloured light, drawn films
    value = float(np.clip(rng.normal(0.36 + 0.3 * valence, 0.16), 0.05, 0.85))
    return (
        (first % 1.0, saturation, value),
        (second % 1.0, float(np.clip(saturation + rng.normal(0.0, 0.15), 0.0, 1.0)), value),
        (float(rng.random()), float(np.clip(saturation + rng.uniform(0.0, 0.5), 0.0, 1.0)), min(1.0, value + 0.25)),
    )


def _sample_shots(
    rng: Generator, duration: float, valence: float, palette: tuple[Colour, Colour, Colour], scale: float
) -> tuple[SceneShot, ...]:
    """Shots that fill [0, duration): lengths by a cutting rate that may change, looks that may come back."""
    changing = rng.random() < 0.4
    lengths = np.exp(rng.uniform(math.log(0.9), math.log(9.0), size=2 if changing else 1))
    if scale > 0.05 and rng.random() < 0.3:  # a montage
        lengths *= 0.5
    one_take = rng.random() < 0.12
    soft = rng.random() < 0.25
    variety = rng.uniform(0.03, 0.25)
    plain = rng.random() < 0.1
    tripod = scale < 0.008 and rng.random() < 0.4
    shots: list[SceneShot] = []
    looks: list[Look] = []
    at = 0.0
    while at < duration:
        mean = float(lengths[min(int(at / duration * len(lengths)), len(lengths) - 1)])
        length = duration if one_take else max(_SHORTEST_SHOT, float(rng.gamma(3.0, mean / 3.0)))
        end = duration if duration - at - length < 2 * _SHORTEST_SHOT else at + length
        if len(looks) > 1 and rng.random() < 0.25:
            look = looks[int(rng.integers(len(looks) - 1))]
        else:
            look = _sample_look(rng, valence, palette, variety, scale, tripod)
            look = replace(look, texture="cloud", horizon=False) if plain else look
            looks.append(look)
        kinds = ("dissolve", "fade", "flash") if soft else ("flash", "fade", "dissolve")
        kind = str(rng.choice(kinds, p=(0.8, 0.15, 0.05))) if rng.random() < (0.6 if soft else 0.08) else "cut"
        shots.append(SceneShot(at, end, look, kind if shots and end - at > 1.5 else "cut"))
        at = end
    return tuple(shots)


def _sample_look(
    rng: Generator, valence: float, palette: tuple[Colour, Colour, Colour], variety: float, scale: float, tripod: bool
) -> Look:
    """A look in the scene's palette, differing from its other looks by `variety`."""

    def vary(colour: Colour) -> Colour:
        hue, saturation, value = colour
        hue = float(hue + rng.normal(0.0, 0.35 * variety)) % 1.0
        if 0.2 < hue < 0.48 or 0.74 < hue < 0.95:  # few things are neon green or magenta
            saturation *= 0.65
        return (
            hue,
            float(np.clip(saturation + rng.normal(0.0, variety), 0.0, 1.0)),
            float(np.clip(value + rng.normal(0.0, variety), 0.03, 0.92)),
        )

    colours = (vary(palette[0]), vary(palette[1]), vary(palette[2]))
    busy = scale > 0.03
    camera = 0.0 if tripod else float(rng.choice([0.0, 0.3, 1.0], p=(0.15, 0.25, 0.6) if busy else (0.45, 0.3, 0.25)))
    return Look(
        seed=int(rng.integers(2**31)),
        colours=colours,
        brightness=float(np.clip(colours[0][2] + rng.normal(0.0, 0.5 * variety), 0.04, 0.85)),
        contrast=float(np.clip(rng.normal(6.0 if busy else 5.0, 1.7) + 0.3 * valence, 1.6, 9.5)),
        texture=str(rng.choice(TEXTURE_FAMILIES)),
        camera=camera,
        objects=1 if tripod else int(rng.integers(0 if camera == 1.0 else 1, 4)),
        grain=float(np.exp(rng.uniform(math.log(1e-4), math.log(4e-3)))) * min(1.0, scale / 0.02),
        flicker=0.0 if tripod else float(rng.choice([0.0, 0.3, 1.0], p=(0.7, 0.2, 0.1))),
        horizon=bool(rng.random() < 0.4),
        caption=bool(rng.random() < 0.12),
    )


def _cut_strength(before: SceneShot, after: SceneShot) -> float:
    """Strength 0..1 of the cut between two shots: how much the picture changes, less if softened or one of many."""
    a, b = before.look, after.look
    if a is b:
        return 0.1
    tone = abs(a.brightness - b.brightness)
    turn = abs(a.colours[0][0] - b.colours[0][0])
    hue = min(turn, 1.0 - turn) * min(a.colours[0][1], b.colours[0][1])
    change = 0.45 + 1.2 * tone + 0.8 * hue + 0.05 * (a.contrast + b.contrast - 6.0)
    room = min(before.end - before.start, after.end - after.start)
    return float(np.clip(change * _SOFT[after.transition] * (1.0 - math.exp(-room / 0.8)), 0.05, 1.0))


def _sample_activity(rng: Generator, duration: float, shots: tuple[SceneShot, ...]) -> FloatArray:
    """Relative activity [ceil(duration * 8)], its 95th percentile about 1."""
    times = np.arange(math.ceil(duration * ACTIVITY_FPS)) / ACTIVITY_FPS
    temper = rng.choice(["even", "lively", "wild"], p=(0.2, 0.45, 0.35))
    spread, events = {"even": (0.12, 0.1), "lively": (0.5, 0.7), "wild": (1.2, 1.1)}[str(temper)]
    dancing = rng.random() < 0.15
    beat = rng.uniform(0.7, 2.2)
    log_level = _drift(rng, len(times), rng.uniform(1.0, 6.0)) * spread * 0.5
    log_level += _arc(rng, times / duration) * spread
    for shot in shots:
        inside = (times >= shot.start) & (times < shot.end)
        if not inside.any():
            continue
        local = times[inside] - shot.start
        log_level[inside] += rng.normal(0.0, spread)
        log_level[inside] += _shot_events(rng, local, shot.end - shot.start, events)
        if dancing and rng.random() < 0.8:
            log_level[inside] += rng.uniform(0.3, 0.9) * np.sin(2 * np.pi * beat * times[inside])
    log_level += rng.normal(0.0, rng.uniform(0.02, 0.12), len(times))
    level = np.exp(np.clip(log_level - np.percentile(log_level, 95.0), -5.5, 0.6))
    return np.asarray(level, dtype=np.float64)


def _within_reach(activity: FloatArray, shots: tuple[SceneShot, ...], scale: float) -> FloatArray:
    """`activity` made less in shots whose light is too flat or too dark to change so much."""
    times = np.arange(len(activity)) / ACTIVITY_FPS
    activity = activity.copy()
    for shot in shots:
        inside = (times >= shot.start) & (times < shot.end)
        if inside.any():
            tone = shot.look.brightness * (1.0 - shot.look.brightness) * shot.look.contrast
            reach = 0.1 * math.sqrt(tone)  # measured: half of the looks can change so much, the rest in harder light
            most = float(np.percentile(activity[inside], 95)) * scale
            activity[inside] = np.minimum(activity[inside] * min(1.0, reach / most), 1.25 * reach / scale)
    return activity


def _drift(rng: Generator, count: int, seconds: float) -> FloatArray:
    """Smooth random drift [count] of unit size that turns about every `seconds`."""
    noise = gaussian_filter1d(rng.normal(size=count + 64), seconds * ACTIVITY_FPS / 2, mode="wrap")[:count]
    return np.asarray(noise / (noise.std() + 1e-9), dtype=np.float64)


def _arc(rng: Generator, place: FloatArray) -> FloatArray:
    """A shape over the whole scene, about -1..1: rising, falling, a hill, a valley, or none. place [S] 0..1."""
    match rng.integers(5):
        case 0:
            return 2.0 * place - 1.0
        case 1:
            return 1.0 - 2.0 * place
        case 2:
            return np.asarray(np.sin(np.pi * place) * 2.0 - 1.0)
        case 3:
            return np.asarray(1.0 - np.sin(np.pi * place) * 2.0)
    return np.zeros_like(place)


def _shot_events(rng: Generator, local: FloatArray, length: float, amount: float) -> FloatArray:
    """What happens inside one shot, in log activity [S]: bursts, a pan, stillness, a ramp. local [S]: seconds in."""
    curve = np.zeros_like(local)
    for _ in range(rng.poisson(amount * length / 4.0)):
        at, rise, fall = rng.uniform(0.0, length), rng.uniform(0.1, 0.5), rng.uniform(0.2, 1.4)
        since = local - at
        shape = np.where(since < 0, np.exp(since / rise), np.exp(-since / fall))
        curve += rng.uniform(0.7, 2.6) * amount * shape
    if length > 2.0 and rng.random() < 0.35 * amount:  # a pan, or a stretch of stillness, with soft ends
        start, span = rng.uniform(0.0, length * 0.7), rng.uniform(0.8, max(1.0, length * 0.6))
        edge = rng.uniform(0.15, 0.5)
        inside = np.clip((local - start) / edge, 0, 1) * np.clip((start + span - local) / edge, 0, 1)
        curve += inside * rng.choice([-2.5, -1.5, 1.2, 2.2]) * amount
    if rng.random() < 0.3:
        curve += (local / length - 0.5) * rng.normal(0.0, 1.5) * amount
    return curve

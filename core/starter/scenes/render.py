"""Frames of a latent scene: shot by shot, moving exactly as fast as the scene's activity asks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from core.starter.scenes.latent import ACTIVITY_FPS, FloatArray, LatentScene, Look, SceneShot
from core.starter.scenes.shotview import Phases, Pictures, ShotView
from core.starter.scenes.textures import grain_bank

Frames = npt.NDArray[np.uint8]  # [F, height, width, 3] RGB

_GREY: Final = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601 luma
_PROBES: Final = (0.3, 1.5, 8.0)  # steps of the phase whose change is measured before a shot is drawn
_PROBE_PLACES: Final = 2
_CORRECTIONS: Final = 2  # times a shot is drawn again, at corrected speeds, until
_GOOD_ENOUGH: Final = 0.12  # its changes are off by less than this on average (logarithm of the ratio)
_KNOT: Final = 0.125  # slower than this, pictures are mixed from two drawn ones: OpenCV moves in 1/32 pixel
_SOFT_SECONDS: Final = 0.7  # a dissolve, or a fade out and in


def render_scene(scene: LatentScene, fps: float = 8, width: int = 64, height: int = 36) -> Frames:
    """Frames [F, height, width, 3] of `scene`, F = ceil(duration * fps); frame i shows the moment i / fps.

    The mean absolute difference of grey between frames 1/8 s apart follows `scene.scale * scene.activity` inside
    the shots as far as their contrast allows.
    """
    rng = np.random.default_rng(scene.seed)
    count = math.ceil(scene.duration * fps - 1e-9)
    out = np.zeros((count, height, width, 3), np.float32)
    times = np.arange(count) / fps
    for shot, follower in _with_follower(scene.shots):
        lead = _SOFT_SECONDS / 2 if shot.transition == "dissolve" else 0.0
        tail = _SOFT_SECONDS / 2 if follower is not None and follower.transition == "dissolve" else 0.0
        inside = np.flatnonzero((times >= shot.start - lead) & (times < shot.end + tail))
        if not len(inside):
            continue
        pictures = _render_shot(rng, scene, shot.look, times[inside], fps, width, height)
        share = _shares(shot, follower, times[inside], lead, tail)
        out[inside] += pictures * share.astype(np.float32)[:, None, None, None]
        if shot.transition == "flash":
            glow = np.clip(1.0 - (times[inside] - shot.start) / 0.35, 0.0, 1.0).astype(np.float32)
            out[inside] += (255.0 - out[inside]) * (glow * 0.6)[:, None, None, None]
    bar = round(scene.letterbox * height)
    if bar:
        out[:, :bar] = 0.0
        out[:, height - bar :] = 0.0
    out += np.float32(0.5)
    return np.clip(out, 0, 255, out=out).astype(np.uint8)


def _with_follower(shots: tuple[SceneShot, ...]) -> Iterator[tuple[SceneShot, SceneShot | None]]:
    """Each shot with the one after it."""
    return zip(shots, (*shots[1:], None), strict=True)


def _shares(shot: SceneShot, follower: SceneShot | None, times: FloatArray, lead: float, tail: float) -> FloatArray:
    """How much of each frame [N] is this shot's: less than 1 in dissolves, and in fades, where the rest is black."""
    share = np.ones_like(times)
    half = _SOFT_SECONDS / 2
    if lead:
        share *= np.clip((times - shot.start + lead) / (2 * lead), 0.0, 1.0)
    if tail:
        share *= np.clip((shot.end + tail - times) / (2 * tail), 0.0, 1.0)
    if shot.transition == "fade":
        share *= np.clip((times - shot.start) / half, 0.0, 1.0)
    if follower is not None and follower.transition == "fade":
        share *= np.clip((shot.end - times) / half, 0.0, 1.0)
    return share


def _render_shot(
    rng: Generator, scene: LatentScene, look: Look, times: FloatArray, fps: float, width: int, height: int
) -> Pictures:
    """Pictures [N, height, width, 3] of `look` at `times`, moving as the scene does then."""
    noise = 1.13 * look.grain  # mean absolute difference of two Gaussian grains of this deviation
    wanted = np.sqrt(np.maximum((scene.scale * scene.activity_at(times)) ** 2 - noise**2, 0.0))
    view, speed = _able_view(rng, look, wanted, width, height)
    start = float(rng.uniform(0.0, 4.0))
    pictures = _draw(view, start + np.cumsum(speed) * (ACTIVITY_FPS / fps))
    if fps == ACTIVITY_FPS and len(times) > 1:
        pictures = _corrected(view, pictures, start, speed, wanted)
    if look.grain > 0:
        pictures += _grain(rng, len(times), width, height) * np.float32(255.0 * look.grain)
    if look.caption:
        _write_caption(np.random.default_rng(look.seed), pictures)
    return pictures


def _able_view(rng: Generator, look: Look, wanted: FloatArray, width: int, height: int) -> tuple[ShotView, FloatArray]:
    """(A view of `look` that can change as much as `wanted` [N], the speeds [N] of its phase that should do so).

    A small thing alone can't change the picture much: then the camera moves too, or at last the light is harder.
    """
    needed = float(np.percentile(wanted, 95)) * 1.3
    for camera, harder in ((None, 1.0), (1.0, 1.0), (1.0, 1.7)):
        view = ShotView(replace(look, contrast=look.contrast * harder), width, height, camera)
        steps, changes = _probe(rng, view)
        if needed <= changes[-1]:
            break
    return view, _speed_for(wanted, steps, changes)


def _corrected(view: ShotView, pictures: Pictures, start: float, speed: FloatArray, wanted: FloatArray) -> Pictures:
    """`pictures`, drawn with `speed` [N], or better ones: drawn again until they change by `wanted` [N]."""
    best, best_error = pictures, np.inf
    for attempt in range(_CORRECTIONS + 1):
        found = np.abs(np.diff(pictures @ (_GREY / 255), axis=0)).mean((1, 2)).astype(np.float64)
        factor = np.clip((wanted[1:] + 1e-5) / (found + 1e-5), 0.3, 3.5)
        error = float(np.mean(np.abs(np.log(factor))))
        if error < best_error:
            best, best_error = pictures, error
        if error < _GOOD_ENOUGH or attempt == _CORRECTIONS:
            break
        speed = speed * np.concatenate([factor[:1], factor]) ** 0.9
        pictures = _draw(view, start + np.cumsum(speed))
    return best


def _probe(rng: Generator, view: ShotView) -> tuple[FloatArray, FloatArray]:
    """(steps of the phase, mean absolute difference of grey over each), the latter made to rise."""
    places = rng.uniform(0.0, 40.0, _PROBE_PLACES)
    phases = np.concatenate([places, *(places + step for step in _PROBES)])
    grey = view.at(phases) @ (_GREY / 255)
    grey = grey.reshape(len(_PROBES) + 1, _PROBE_PLACES, -1)
    changes = np.abs(grey[1:] - grey[0]).mean((1, 2)).astype(np.float64) + 1e-6
    return np.array(_PROBES), np.maximum.accumulate(changes * (1.0 + 1e-6 * np.arange(len(_PROBES))))


def _speed_for(wanted: FloatArray, steps: FloatArray, changes: FloatArray) -> FloatArray:
    """Steps of the phase [N] that change the picture by `wanted` [N]; below the first probe in proportion."""
    inside = np.exp(np.interp(np.log(wanted + 1e-9), np.log(changes), np.log(steps)))
    return np.where(wanted < changes[0], steps[0] * wanted / changes[0], inside)


def _draw(view: ShotView, phases: Phases) -> Pictures:
    """Pictures at `phases` [N], rising; where they move slowly, mixed from pictures drawn `_KNOT` apart."""
    slow = np.diff(phases, prepend=phases[0]) < 2 * _KNOT
    low = np.where(slow, np.floor(phases / _KNOT) * _KNOT, phases)
    high = np.where(slow, low + _KNOT, phases)
    unique, places = np.unique(np.concatenate([low, high]), return_inverse=True)
    drawn = view.at(unique)
    first, second = places[: len(phases)], places[len(phases) :]
    pictures: Pictures = drawn[first]
    if slow.any():
        weight = ((phases - low) / _KNOT)[slow].astype(np.float32)[:, None, None, None]
        pictures[slow] += (drawn[second[slow]] - pictures[slow]) * weight
    return pictures


def _grain(rng: Generator, count: int, width: int, height: int) -> npt.NDArray[np.float32]:
    """Film grain [count, height, width, 1] of unit deviation."""
    bank = grain_bank()
    if width > bank.shape[2] or height > bank.shape[1]:
        return rng.normal(size=(count, height, width, 1)).astype(np.float32)
    top, left = int(rng.integers(bank.shape[1] - height + 1)), int(rng.integers(bank.shape[2] - width + 1))
    return bank[rng.integers(len(bank), size=count), top : top + height, left : left + width]


def _write_caption(rng: Generator, pictures: Pictures) -> None:
    """Put a line of something like lettering over all `pictures`, low in the frame."""
    height, width = pictures.shape[1:3]
    tall = max(2, height // 14)
    top = int(height * rng.uniform(0.72, 0.85))
    left, right = int(width * rng.uniform(0.1, 0.3)), int(width * rng.uniform(0.6, 0.9))
    ink = rng.random((tall, right - left)) < 0.6
    ink[:, rng.random(right - left) < 0.25] = False
    pictures[:, top : top + tall, left:right][:, ink] = rng.choice([235.0, 20.0])

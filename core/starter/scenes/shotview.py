"""What one camera set-up shows, as a function of a single number: how far things have moved.

`ShotView.at(phases)` draws the picture at each phase. Everything in a shot, camera, objects and light, moves with
the one phase, about a pixel of a 64x36 picture per unit, so that the speed of the phase is the shot's activity.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from core.starter.scenes.latent import Colour, Look
from core.starter.scenes.textures import HEIGHT, WIDTH, texture_bank

Phases = npt.NDArray[np.float64]  # [N]
Canvas = npt.NDArray[Any]  # uint8, [h, w, 3 or 4]: RGB, or RGB and alpha
Pictures = npt.NDArray[np.float32]  # [N, height, width, 3], 0..255

_GREY = np.array([0.299, 0.587, 0.114])  # BT.601 luma
_SPRITE = 96
_ZOOM_REACH = 25.0  # pixels from the centre at which a zoom or turn counts as moving one pixel


@dataclass(frozen=True)
class _Path:
    """Where a layer's centre lies at each phase: a straight pan and an ellipse, a zoom and a turn that sway."""

    origin: tuple[float, float]
    pan: tuple[float, float]
    ellipse: tuple[float, float]
    turn_phase: float
    zoom: float
    zoom_sway: float
    tilt: float
    tilt_sway: float

    def matrices(self, phases: Phases, unit: float, centre: tuple[float, float]) -> npt.NDArray[np.float64]:
        """Affine maps [N, 2, 3] from picture to canvas pixels. unit: canvas pixels per picture pixel at zoom 1."""
        mean = (self.ellipse[0] + self.ellipse[1]) / 2 + 1e-6
        angle = phases / mean + self.turn_phase
        x = self.origin[0] + self.pan[0] * phases + self.ellipse[0] * np.cos(angle)
        y = self.origin[1] + self.pan[1] * phases + self.ellipse[1] * np.sin(angle)
        reach = _ZOOM_REACH
        zoom = self.zoom * np.exp(self.zoom_sway * np.sin(phases / (reach * 0.25) + self.turn_phase))
        tilt = self.tilt + self.tilt_sway * np.sin(phases / (reach * 0.2) + 2.0 * self.turn_phase)
        cos, sin = zoom * unit * np.cos(tilt), zoom * unit * np.sin(tilt)
        left = x - cos * centre[0] + sin * centre[1]
        top = y - sin * centre[0] - cos * centre[1]
        return np.stack([np.stack([cos, -sin, left], -1), np.stack([sin, cos, top], -1)], -2)


@dataclass(frozen=True, eq=False)
class _Layer:
    """A canvas on a path. moving False: the path is followed at phase 0 only (a tripod)."""

    canvas: Canvas
    path: _Path
    border: int

    def draw(self, phases: Phases, width: int, height: int) -> Canvas:
        """The layer at each phase, [N, height, width, channels]."""
        unit = 64.0 / width
        maps = self.path.matrices(phases, unit, ((width - 1) / 2, (height - 1) / 2))
        out = np.empty((len(phases), height, width, self.canvas.shape[2]), np.uint8)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        for picture, matrix in zip(out, maps, strict=True):
            cv2.warpAffine(self.canvas, matrix, (width, height), picture, flags, self.border)
        return out


class ShotView:
    """The picture of `look`, drawn at any phase."""

    def __init__(self, look: Look, width: int, height: int, camera: float | None = None) -> None:
        rng = np.random.default_rng(look.seed)
        self.width, self.height = width, height
        self._flicker = 0.12 * look.flicker
        self._ground = _ground(rng, look, look.camera if camera is None else camera)
        self._objects = [_object(rng, look) for _ in range(look.objects)]
        x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
        dark = rng.uniform(0.0, 0.35) * (x[None] ** 2 + y[:, None] ** 2) / 2
        self._lamp = (np.clip(0.5 + 0.7 * x * rng.choice([-1.0, 1.0]), 0.0, 1.0))[None, None, :, None]
        self._vignette = (1.0 - dark).astype(np.float32)[..., None]

    def at(self, phases: Phases) -> Pictures:
        """Pictures [N, height, width, 3] at `phases` [N]."""
        stack = self._ground.draw(phases, self.width, self.height)
        for layer in self._objects:
            stack = _over(layer.draw(phases, self.width, self.height), stack)
        pictures = stack.astype(np.float32)
        if self._flicker:  # two lamps a quarter turn apart, so that the light never stands still at its turning
            angle = (phases * 0.4)[:, None, None, None]
            lamps = 1.0 + self._flicker * (self._lamp * np.sin(angle) + (1.0 - self._lamp) * np.cos(angle))
            pictures *= lamps.astype(np.float32)
        pictures *= self._vignette
        return np.minimum(pictures, np.float32(255.0), out=pictures)


def _over(top: Canvas, below: Canvas) -> Canvas:
    """`top` [N, h, w, 4], its colours already multiplied by its alpha, laid over `below` [N, h, w, 3]."""
    flat = below.reshape(-1, below.shape[2], 3)
    colours, hides = np.empty_like(flat), np.empty_like(flat)
    cv2.mixChannels([top.reshape(-1, top.shape[2], 4)], [colours, hides], [0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 3, 5])
    seen = cv2.multiply(flat, cv2.bitwise_not(hides), scale=1 / 255)
    return np.asarray(cv2.add(seen, colours), dtype=np.uint8).reshape(below.shape)


def tone_ramp(colour: Colour, highlight: Colour, brightness: float, contrast: float) -> Canvas:
    """RGB of the 256 greys, [256, 3]: an S-curve of mean `brightness`, tinted from `colour` to `highlight`."""
    grey = np.linspace(0.0, 1.0, 256)
    value = 1.0 / (1.0 + np.exp(-(np.log(brightness / (1.0 - brightness)) + contrast * (grey - 0.5))))
    low, high = (np.array(colorsys.hsv_to_rgb(hue, saturation, 1.0)) for hue, saturation, _ in (colour, highlight))
    tint = low + (high - low) * grey[:, None]
    tint /= (tint @ _GREY)[:, None] ** 0.7
    rgb = tint * value[:, None]
    over = np.clip(rgb - 1.0, 0.0, None).sum(1, keepdims=True)  # light that a channel can't hold spills to white
    return np.asarray(np.clip(rgb + 0.3 * over, 0.0, 1.0) * 255, dtype=np.uint8)


def _texture(rng: Generator, family: str) -> Canvas:
    """A texture of `family`, [144, 224], shifted, mirrored or mixed with another at random."""
    bank = texture_bank()
    one: Canvas = bank[family][int(rng.integers(len(bank[family])))]
    if rng.random() < 0.5:
        one = cv2.flip(one, 1)
    if rng.random() < 0.5:
        other_family = str(rng.choice(list(bank)))
        other = bank[other_family][int(rng.integers(len(bank[other_family])))]
        share = rng.uniform(0.1, 0.45)
        one = cv2.addWeighted(one, 1.0 - share, other, share, 0.0)
    return np.roll(one, int(rng.integers(WIDTH)), axis=1)


def _ground(rng: Generator, look: Look, camera: float) -> _Layer:
    """The background and the camera's way over it."""
    grey = _texture(rng, look.texture)
    if look.horizon:
        sky = cv2.addWeighted(_texture(rng, "cloud"), rng.uniform(0.1, 0.5), grey, 0.0, rng.uniform(60, 160))
        edge = HEIGHT / 2 + rng.uniform(-8, 8) + 6 * (grey.mean(0) / 128.0 - 1.0)
        above = np.clip(edge[None] - np.arange(HEIGHT)[:, None], 0, 1).astype(np.float32)
        grey = cv2.blendLinear(sky, grey, above, 1.0 - above)
    if rng.random() < 0.7:  # a part in focus, the rest smooth
        focus = np.clip((_texture(rng, "cloud").astype(np.float32) - rng.uniform(60, 170)) / 40.0, 0.0, 1.0)
        coarse = cv2.resize(
            grey, None, fx=(shrink := 1.0 / rng.uniform(4, 12)), fy=shrink, interpolation=cv2.INTER_AREA
        )
        smooth = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        grey = cv2.blendLinear(grey, smooth, focus, 1.0 - focus)
    ramps = [
        tone_ramp(look.colours[0], look.colours[1], look.brightness, look.contrast),
        tone_ramp(look.colours[1], look.colours[2], float(np.clip(look.brightness + rng.normal(0, 0.18), 0.04, 0.9)),
                  look.contrast),
    ]  # fmt: skip
    three = cv2.merge([grey, grey, grey])
    first, second = (cv2.LUT(three, ramp[None]) for ramp in ramps)
    mask = _texture(rng, str(rng.choice(["cloud", "leaves", "blocks"]))).astype(np.float32)
    share = np.clip((mask - rng.uniform(60.0, 260.0)) / 12.0, 0.0, 1.0)
    canvas = cv2.blendLinear(first, second, 1.0 - share, share)
    direction = rng.uniform(0, 2 * np.pi)
    straight = rng.uniform(0.3, 1.0) * camera
    shake = rng.uniform(1.5, 10.0) * camera + 1e-3
    flat = 0.25 if rng.random() < 0.7 else 1.0  # most pans go sideways
    path = _Path(
        origin=(float(rng.uniform(60, WIDTH - 60)), float(HEIGHT / 2 + rng.uniform(-14, 14))),
        pan=(float(np.cos(direction)) * straight, float(np.sin(direction)) * straight * flat),
        ellipse=(shake, shake * float(rng.uniform(0.4, 1.0))),
        turn_phase=float(rng.uniform(0, 2 * np.pi)),
        zoom=float(rng.uniform(0.35, 1.6)),
        zoom_sway=0.25 * camera * float(rng.random() < 0.3),
        tilt=float(rng.normal(0.0, 0.06)),
        tilt_sway=0.2 * camera * float(rng.random() < 0.2),
    )
    if camera == 0.0:
        path = _Path(path.origin, (0.0, 0.0), (0.0, 0.0), 0.0, path.zoom, 0.0, path.tilt, 0.0)
    return _Layer(canvas, path, cv2.BORDER_REFLECT_101)


def _object(rng: Generator, look: Look) -> _Layer:
    """Something that moves before the background: a figure, or one time in four leaves or a crowd all over."""
    ramp = tone_ramp(
        look.colours[2], look.colours[0], float(np.clip(look.brightness + rng.normal(0.0, 0.2), 0.05, 0.9)),
        look.contrast,
    )  # fmt: skip
    grey = _texture(rng, str(rng.choice(["rock", "leaves", "blocks", "branches"])))
    sway = float(rng.uniform(2.0, 14.0))
    if rng.random() < 0.25:
        mask = _texture(rng, str(rng.choice(["branches", "leaves", "rock"]))).astype(np.float32)
        alpha = np.clip((mask - rng.uniform(130, 220)) / 20.0, 0, 1) * 255
        origin = (float(rng.uniform(60, WIDTH - 60)), HEIGHT / 2.0)
        zoom, border = float(rng.uniform(0.5, 1.3)), cv2.BORDER_REFLECT_101
        pan = (float(rng.uniform(-0.6, 0.6)), 0.0)
    else:
        grey, alpha = grey[:_SPRITE, :_SPRITE], _figure(rng)
        zoom, border = float(np.exp(rng.uniform(0.3, 2.2))), cv2.BORDER_CONSTANT
        origin = (_SPRITE / 2 + float(rng.normal(0, 14)) * zoom, _SPRITE / 2 + float(rng.normal(0, 7)) * zoom)
        pan, sway = (0.0, 0.0), sway * zoom
    colours = cv2.LUT(cv2.merge([grey, grey, grey]), ramp[None])
    alpha = alpha.astype(np.uint8)
    canvas = cv2.merge([*(cv2.multiply(one, alpha, scale=1 / 255) for one in cv2.split(colours)), alpha])
    path = _Path(
        origin=origin,
        pan=pan,
        ellipse=(sway, sway * float(rng.uniform(0.1, 0.8))),
        turn_phase=float(rng.uniform(0, 2 * np.pi)),
        zoom=zoom,
        zoom_sway=0.2 * float(rng.random() < 0.3),
        tilt=float(rng.normal(0.0, 0.2)),
        tilt_sway=0.25 * float(rng.random() < 0.3),
    )
    return _Layer(canvas, path, border)


def _figure(rng: Generator) -> Canvas:
    """Alpha [96, 96] of a figure: a person, a vehicle, a ball or a lump; its edge is soft by up to two pixels."""
    alpha = np.zeros((_SPRITE, _SPRITE), np.uint8)
    middle = _SPRITE // 2
    match rng.integers(4):
        case 0:
            cv2.circle(alpha, (middle, 26), 11, 255, -1, cv2.LINE_AA)
            cv2.ellipse(alpha, (middle, 66), (int(rng.integers(12, 22)), 28), 0, 0, 360, 255, -1, cv2.LINE_AA)
            for side in (-1, 1):
                hand = (middle + side * int(rng.integers(14, 40)), int(rng.integers(20, 80)))
                cv2.line(alpha, (middle + side * 8, 48), hand, 255, 7, cv2.LINE_AA)
        case 1:
            cv2.rectangle(alpha, (10, 44), (86, 70), 255, -1)
            cv2.rectangle(alpha, (26, 26), (66, 46), 255, -1)
            for x in (26, 70):
                cv2.circle(alpha, (x, 72), 10, 255, -1, cv2.LINE_AA)
        case 2:
            axes = (int(rng.integers(18, 42)), int(rng.integers(14, 42)))
            cv2.ellipse(alpha, (middle, middle), axes, float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
        case _:
            angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
            radii = rng.uniform(16, 44, 12)
            outline = np.stack([middle + radii * np.cos(angles), middle + radii * np.sin(angles)], 1)
            cv2.fillPoly(alpha, [outline.astype(np.int32)], 255, cv2.LINE_AA)
    blurred: Canvas = cv2.GaussianBlur(alpha, (0, 0), float(rng.uniform(0.8, 4.0)))
    return blurred

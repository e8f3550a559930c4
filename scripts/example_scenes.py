"""Little drawn places for the example videos: hills, roads, harbours, kitchens, cities at night.

Each place is a function `(size, rng) -> Draw`; a Draw gives the picture [H, W, 3] RGB at any moment, so a shot can
run it faster or slower. Flat shapes with sub-pixel edges, drawn by OpenCV; nothing is read from files.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
from numpy.random import Generator

Image = npt.NDArray[np.uint8]
Draw = Callable[[float], Image]
Place = Callable[[tuple[int, int], Generator], Draw]
Colour = tuple[int, int, int]
Points = npt.NDArray[np.float64]

_SUB = 4  # OpenCV's `shift`: coordinates carry 4 binary digits after the point


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """The colour `share` of the way from `one` to `other`."""
    red, green, blue = (round(a + (b - a) * min(max(share, 0.0), 1.0)) for a, b in zip(one, other, strict=True))
    return red, green, blue


def gradient(size: tuple[int, int], *stops: Colour) -> Image:
    """Picture of `size` (width, height) shading from the first colour at the top to the last at the bottom."""
    width, height = size
    places = np.linspace(0, 1, len(stops))
    rows = np.stack([np.interp(np.linspace(0, 1, height), places, [c[i] for c in stops]) for i in range(3)], -1)
    return np.ascontiguousarray(np.broadcast_to(rows[:, None], (height, width, 3)).round().astype(np.uint8))


def disc(image: Image, x: float, y: float, radius: float, colour: Colour) -> None:
    """Paint a filled circle."""
    scale = 1 << _SUB
    cv2.circle(image, (round(x * scale), round(y * scale)), round(radius * scale), colour, -1, cv2.LINE_AA, _SUB)


def oval(image: Image, x: float, y: float, axes: tuple[float, float], colour: Colour, angle: float = 0.0) -> None:
    """Paint a filled ellipse of half axes `axes`, turned by `angle` degrees."""
    scale = 1 << _SUB
    half = (round(axes[0] * scale), round(axes[1] * scale))
    cv2.ellipse(image, (round(x * scale), round(y * scale)), half, angle, 0, 360, colour, -1, cv2.LINE_AA, _SUB)


def shape(image: Image, points: list[tuple[float, float]] | Points, colour: Colour) -> None:
    """Paint a filled polygon."""
    corners = np.round(np.asarray(points, dtype=np.float64) * (1 << _SUB)).astype(np.int32)
    cv2.fillPoly(image, [corners], colour, cv2.LINE_AA, _SUB)


def stroke(image: Image, points: list[tuple[float, float]] | Points, colour: Colour, thick: int = 2) -> None:
    """Paint an open line through `points`."""
    corners = np.round(np.asarray(points, dtype=np.float64) * (1 << _SUB)).astype(np.int32)
    cv2.polylines(image, [corners], False, colour, thick, cv2.LINE_AA, _SUB)


def veil(image: Image, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
    """Lay soft mist of `colour` over a point; `radius` is where it has gone."""
    left, top = max(0, int(x - radius)), max(0, int(y - radius))
    part = image[top : max(top, int(y + radius) + 1), left : max(left, int(x + radius) + 1)]
    if part.size == 0:
        return
    rows, columns = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
    far = np.minimum(((columns - x) ** 2 + (rows - y) ** 2) / radius**2, 1.0)
    cover = (strength * (1.0 - far) ** 2)[..., None]
    part[:] = (part + (np.array(colour) - part) * cover).astype(np.uint8)


def glow(image: Image, x: float, y: float, radius: float, colour: Colour, strength: float = 1.0) -> None:
    """Add soft light of `colour` round a point; `radius` is where it has faded."""
    left, top = max(0, int(x - radius)), max(0, int(y - radius))
    part = image[top : max(top, int(y + radius) + 1), left : max(left, int(x + radius) + 1)]
    if part.size == 0:
        return
    rows, columns = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
    far = np.minimum(((columns - x) ** 2 + (rows - y) ** 2) / radius**2, 1.0)
    light = (strength * (1.0 - far) ** 3)[..., None] * np.array(colour)
    part[:] = np.minimum(part + light, 255).astype(np.uint8)


def ridge(x: Points, seed: float, rough: float = 1.0) -> Points:
    """Height -1..1 of an endless mountain ridge at `x` (in picture widths)."""
    waves = ((1.3, 0.5), (2.9, 0.27), (6.1, 0.14 * rough), (13.7, 0.06 * rough), (29.0, 0.03 * rough))
    return np.asarray(
        sum(size * np.sin(2 * np.pi * f * 0.37 * x + seed * (i + 1.7)) for i, (f, size) in enumerate(waves))
    )


def land(
    image: Image, offset: float, level: float, tall: float, seed: float, colour: Colour, rough: float = 1.0
) -> None:
    """Paint the ground below a ridge whose mean lies at `level` (share of the height), `offset` widths along."""
    height, width = image.shape[:2]
    x = np.linspace(0, width, width // 4 + 1)
    y = height * (level - tall * ridge(x / width + offset, seed, rough))
    shape(image, np.concatenate([np.stack([x, y], 1), [[width, height], [0, height]]]), colour)


def cloud(image: Image, x: float, y: float, size: float, colour: Colour) -> None:
    """Paint a small flat-bottomed cloud."""
    for dx, dy, r in ((-0.9, 0.05, 0.4), (-0.4, -0.2, 0.55), (0.2, -0.28, 0.6), (0.7, -0.05, 0.45)):
        disc(image, x + dx * size, y + dy * size, r * size, colour)
    oval(image, x, y + 0.2 * size, (1.35 * size, 0.24 * size), colour)


def tree(image: Image, x: float, y: float, size: float, colour: Colour) -> None:
    """Paint a fir whose foot is at (x, y)."""
    stroke(image, [(x, y), (x, y - 0.3 * size)], mix(colour, (40, 25, 15), 0.6), max(1, int(size / 14)))
    for step in range(3):
        base, half = y - (0.2 + 0.24 * step) * size, (0.3 - 0.07 * step) * size
        shape(image, [(x - half, base), (x + half, base), (x, base - 0.42 * size)], colour)


def bicycle(image: Image, x: float, y: float, size: float, turn: float, colour: Colour) -> None:
    """Paint a rider; (x, y) is on the road between the wheels, `turn` the wheels' angle in radians."""
    hub, radius = size * 0.42, size * 0.3
    wheel = y - radius
    for side in (-1, 1):
        centre = (x + side * hub, wheel)
        ring = [
            (centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in np.linspace(0, 6.2832, 40)
        ]
        stroke(image, ring, colour, max(2, int(size / 28)))
        for spoke in range(5):
            angle = turn + spoke * 2 * math.pi / 5
            end = (centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle))
            stroke(image, [centre, end], colour, 1)
    crank, seat, bar = (x - 0.05 * size, wheel), (x - 0.2 * size, y - 0.72 * size), (x + 0.3 * size, y - 0.78 * size)
    thick = max(2, int(size / 24))
    for a, b in (((x - hub, wheel), crank), (crank, bar), (seat, crank), (seat, bar), ((x - hub, wheel), seat),
                 (bar, (x + hub, wheel))):  # fmt: skip
        stroke(image, [a, b], colour, thick)
    hip, shoulder = (seat[0], seat[1] - 0.05 * size), (x + 0.1 * size, y - 1.2 * size)
    stroke(image, [hip, shoulder], colour, thick * 3)
    stroke(image, [shoulder, bar], colour, thick * 2)
    for leg in (0.0, math.pi):
        foot = (crank[0] + 0.13 * size * math.cos(turn + leg), crank[1] + 0.13 * size * math.sin(turn + leg))
        knee = ((hip[0] + foot[0]) / 2 + 0.16 * size, (hip[1] + foot[1]) / 2 - 0.03 * size)
        stroke(image, [hip, knee, foot], colour, thick * 2)
    disc(image, shoulder[0] + 0.09 * size, shoulder[1] - 0.13 * size, 0.12 * size, colour)


# ------------------------------------------------------------------------------------------------ places by day


def hills(size: tuple[int, int], rng: Generator) -> Draw:
    """Sunrise behind four ranges of hills that pass at different speeds."""
    width, height = size
    sky = gradient(size, (64, 92, 158), (232, 150, 122), (255, 214, 150))
    seeds = rng.uniform(0, 9, 4)
    sun = (width * rng.uniform(0.55, 0.75), height * 0.45)

    def draw(t: float) -> Image:
        image = sky.copy()
        glow(image, sun[0], sun[1] - 4 * t, height * 0.55, (150, 96, 40), 0.75)
        disc(image, sun[0], sun[1] - 4 * t, height * 0.08, (255, 252, 232))
        for i in range(3):
            cloud(image, (width * (0.2 + 0.4 * i) - (6 + 3 * i) * t) % (width * 1.4) - width * 0.2,
                  height * (0.16 + 0.07 * i), 26 - 4 * i, (255, 226, 205))  # fmt: skip
        for i in range(4):
            tint = mix((196, 128, 140), (34, 48, 62), i / 3)
            land(image, 0.02 * t * (1 + i) ** 1.4, 0.62 + 0.09 * i, 0.13 - 0.015 * i, seeds[i], tint, 1 + i / 2)
        return image

    return draw


def ride(size: tuple[int, int], rng: Generator) -> Draw:
    """A bicycle seen from the side; fields, trees and posts fly past."""
    width, height = size
    sky = gradient(size, (110, 182, 235), (224, 242, 250))
    seeds = rng.uniform(0, 9, 3)

    def draw(t: float) -> Image:
        image, metres = sky.copy(), 0.42 * t
        for i in range(3):
            drift = (width * (0.1 + 0.45 * i) - 14 * t) % (width * 1.5)
            cloud(image, drift - width * 0.25, height * (0.14 + 0.08 * i), 24,
                  (252, 252, 255))  # fmt: skip
        land(image, metres * 0.12, 0.56, 0.12, seeds[0], (150, 190, 170))
        land(image, metres * 0.3, 0.66, 0.08, seeds[1], (112, 168, 96))
        for i in range(9):
            x = (i / 6 - metres * 0.7) % 1.5 - 0.25
            tree(image, x * width, height * (0.74 + 0.01 * (i % 3)), height * (0.24 + 0.05 * (i % 4)), (52, 112, 72))
        cv2.rectangle(image, (0, int(height * 0.75)), (width, height), (196, 178, 120), -1)
        cv2.rectangle(image, (0, int(height * 0.8)), (width, int(height * 0.95)), (88, 90, 98), -1)
        for i in range(7):
            x = ((i / 5 - metres * 1.2) % 1.4 - 0.2) * width
            top, bottom = height * 0.87, height * 0.885
            shape(image, [(x, top), (x + 50, top), (x + 46, bottom), (x - 4, bottom)],
                  (236, 232, 214))  # fmt: skip
        bounce = 1.5 * math.sin(5.1 * t)
        bicycle(image, width * 0.45, height * 0.9 + bounce, height * 0.38, 3.8 * t, (36, 42, 66))
        for i in range(3):
            x = ((i / 2.2 - metres * 2.0) % 1.6 - 0.3) * width
            cv2.rectangle(image, (int(x), int(height * 0.62)), (int(x) + 9, height), (245, 240, 232), -1)
        return image

    return draw


def road(size: tuple[int, int], rng: Generator) -> Draw:
    """The view ahead: a road runs under us, trees grow out of the distance."""
    width, height = size
    sky = gradient(size, (86, 160, 226), (214, 236, 248), (214, 236, 248))
    seed, firs = float(rng.uniform(0, 9)), rng.uniform(0, 1, (26, 3))

    def draw(t: float) -> Image:
        image = sky.copy()
        centre, horizon = width * (0.5 + 0.06 * math.sin(0.5 * t)), height * 0.48
        land(image, 0.03 * math.sin(0.5 * t), 0.47, 0.07, seed, (138, 172, 178))
        cv2.rectangle(image, (0, int(horizon)), (width, height), (118, 164, 88), -1)
        shape(image, [(centre - 4, horizon), (centre + 4, horizon), (width * 1.02, height), (width * -0.02, height)],
              (84, 86, 94))  # fmt: skip
        for i in range(8):  # depth 1 is at the wheel; things at depth d stand at 1 / d of full size
            near = ((i / 8 + 0.55 * t) % 1.0) ** 2.2
            far = max(0.0, near - 0.08 * near - 0.004)
            rows = [horizon + (height - horizon) * depth for depth in (far, near)]
            x = [centre + (width * 0.5 - centre) * depth for depth in (far, near)]
            half = [width * 0.012 * depth for depth in (far, near)]
            shape(image, [(x[0] - half[0], rows[0]), (x[0] + half[0], rows[0]), (x[1] + half[1], rows[1]),
                          (x[1] - half[1], rows[1])], (240, 234, 205))  # fmt: skip
        order = sorted((((z + 0.2 * t) % 1.0) ** 2.4, side, tall) for z, side, tall in firs)
        for near, side, tall in order:
            way = 1 if side > 0.5 else -1
            x = centre + way * width * (0.03 + near * (0.75 + 0.5 * tall))
            green = mix((128, 168, 140), (30, 86, 58), near * 2)
            tree(image, x, horizon + (height - horizon) * near * 0.9, height * near * (1.1 + 0.5 * tall) + 3, green)
        return image

    return draw


def lake(size: tuple[int, int], rng: Generator) -> Draw:
    """A still lake under mountains; only the light moves on it."""
    width, height = size
    upper = gradient((width, height // 2), (120, 170, 214), (246, 226, 206))
    seeds = rng.uniform(0, 9, 2)
    glints = rng.uniform(0, 1, (60, 3))

    def draw(t: float) -> Image:
        view = upper.copy()
        land(view, 0.004 * t, 0.72, 0.34, seeds[0], (122, 136, 166), 1.6)
        land(view, 0.007 * t, 0.92, 0.16, seeds[1], (58, 84, 92), 1.4)
        mirror = cv2.addWeighted(view[::-1], 0.72, np.full_like(view, (60, 96, 128)), 0.28, 0)
        rows = np.arange(mirror.shape[0], dtype=np.float32)
        sway = (1.5 + rows / 40) * np.sin(rows / 3.0 + 1.6 * t)
        across = np.arange(width, dtype=np.float32)[None] + sway[:, None].astype(np.float32)
        down = np.broadcast_to(rows[:, None], across.shape).copy()
        mirror = cv2.remap(mirror, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        image = np.concatenate([view, mirror])[:height]
        for x, y, phase in glints:
            shine = max(0.0, math.sin(1.7 * t + 40 * phase))
            centre = (x * width, height * (0.53 + 0.45 * y))
            oval(image, *centre, (2 + 9 * y, 0.8), mix((150, 170, 190), (255, 244, 224), shine))
        return np.ascontiguousarray(image)

    return draw


def sea(size: tuple[int, int], rng: Generator) -> Draw:
    """Waves, a lighthouse, a boat that bobs, gulls."""
    width, height = size
    sky = gradient(size, (96, 158, 206), (200, 226, 236), (246, 232, 212))
    gulls = rng.uniform(0, 1, (5, 3))

    def draw(t: float) -> Image:
        image = sky.copy()
        cloud(image, (width * 0.3 + 5 * t) % (width * 1.3) - 30, height * 0.14, width * 0.07, (255, 252, 248))
        cloud(image, (width * 0.9 + 3 * t) % (width * 1.3) - 30, height * 0.24, width * 0.05, (252, 246, 242))
        x, y = width * 0.82, height * 0.6
        shape(image, [(x - 70, y), (x - 34, y - 22), (x + 30, y - 26), (x + 90, y)], (84, 78, 82))
        for i in range(5):
            w = 11 - i
            cv2.rectangle(image, (int(x - w), int(y - 50 - 22 * i)), (int(x + w), int(y - 24 - 22 * i)),
                          (206, 64, 58) if i % 2 else (246, 242, 236), -1)  # fmt: skip
        glow(image, x, y - 142, 26, (255, 236, 170), 0.8)
        for i in range(5):
            if i == 2:
                _boat(image, width * (0.3 + 0.03 * math.sin(0.3 * t)), height * 0.7 + 5 * math.sin(1.3 * t), t)
            across = np.linspace(-10, width + 10, 60)
            crest = height * (0.58 + 0.09 * i) + (2 + 2.2 * i) * np.sin(
                across / (26 + 13 * i) + (1.0 + 0.25 * i) * t + i
            )
            crest += (1 + i) * np.sin(across / (11 + 5 * i) - 1.7 * t)
            tint = mix((104, 164, 186), (22, 74, 104), i / 4)
            shape(image, np.concatenate([np.stack([across, crest], 1), [[width + 10, height], [-10, height]]]), tint)
            stroke(image, np.stack([across, crest + 1], 1), mix(tint, (255, 255, 255), 0.45), 1 + i // 2)
        for gx, gy, phase in gulls:
            bird_x = (gx * width + (26 + 20 * phase) * t) % (width + 60) - 30
            bird_y = height * (0.12 + 0.3 * gy) + 6 * math.sin(0.9 * t + 9 * phase)
            wing = 7 * math.sin(6 * t + 9 * phase)
            stroke(
                image, [(bird_x - 11, bird_y - wing), (bird_x, bird_y), (bird_x + 11, bird_y - wing)], (70, 78, 92), 2
            )
        return image

    return draw


def _boat(image: Image, x: float, y: float, t: float) -> None:
    """Paint a sailing boat that leans with the waves."""
    lean = 0.07 * math.sin(1.3 * t + 0.8)
    turn = np.array([[math.cos(lean), math.sin(lean)], [-math.sin(lean), math.cos(lean)]])
    parts: tuple[tuple[list[tuple[float, float]], Colour], ...] = (
        ([(-52, -8), (52, -8), (36, 18), (-38, 18)], (176, 74, 58)),
        ([(-3, -8), (3, -8), (2, -112), (-2, -112)], (90, 66, 50)),
        ([(6, -106), (6, -16), (50, -16)], (250, 246, 236)),
        ([(-6, -94), (-6, -18), (-36, -18)], (236, 214, 186)),
    )
    for outline, colour in parts:
        shape(image, np.array(outline) @ turn + (x, y), colour)


def quay(size: tuple[int, int], rng: Generator) -> Draw:
    """A walk along a quay: masts, bollards and houses pass, each at its depth, with the bob of steps."""
    width, height = size
    sky = gradient(size, (142, 188, 220), (250, 228, 200))
    houses = rng.uniform(0, 1, (14, 3))
    fronts: tuple[Colour, ...] = ((222, 122, 92), (240, 200, 120), (122, 160, 170), (236, 228, 214), (176, 92, 96))

    def draw(t: float) -> Image:
        image, metres = sky.copy(), 0.13 * t
        bob = 4 * abs(math.sin(5.2 * t))
        ground = height * 0.62 + bob
        for i, (_, tall, window) in enumerate(houses):
            x = ((i * 0.2 - metres * 0.5) % 2.8 - 0.4) * width
            top, right = ground - height * (0.16 + 0.16 * tall), x + 0.19 * width
            shape(image, [(x, ground), (x, top), ((x + right) / 2, top - height * 0.05), (right, top), (right, ground)],
                  fronts[i % 5])  # fmt: skip
            for row in range(2 + int(3 * window)):
                for column in (0.2, 0.6):
                    wx, wy = x + column * 0.19 * width, top + 10 + row * height * 0.06
                    shape(image, [(wx, wy), (wx + 0.04 * width, wy), (wx + 0.04 * width, wy + 0.035 * height),
                                  (wx, wy + 0.035 * height)], mix(fronts[i % 5], (60, 70, 90), 0.75))  # fmt: skip
        cv2.rectangle(image, (0, int(ground)), (width, height), (72, 126, 150), -1)
        for i in range(12):
            y = ground + (i + 0.5) * height * 0.02
            x = width * ((i * 0.37 + 0.02 * t) % 1.0)
            stroke(image, [(x - 40, y), (x + 40, y)],
                   (120, 168, 184), 1)  # fmt: skip
        for i in range(6):
            x = ((i * 0.36 - metres * 1.1) % 2.16 - 0.4) * width
            lean = 3 * math.sin(1.1 * t + i)
            stroke(image, [(x, ground + height * 0.14), (x + lean, ground - height * 0.36)], (238, 234, 226), 4)
            oval(
                image,
                x,
                ground + height * 0.15,
                (width * 0.14, height * 0.022),
                ((238, 238, 236), (56, 74, 110))[i % 2],
            )
        cv2.rectangle(image, (0, int(height * 0.86 + bob)), (width, height), (164, 152, 138), -1)
        for i in range(5):
            x = ((i * 0.5 - metres * 2.4) % 2.5 - 0.5) * width
            shape(image, [(x, height * 0.97), (x + 5, height * 0.86), (x + 31, height * 0.86), (x + 36, height * 0.97)],
                  (62, 60, 66))  # fmt: skip
            oval(image, x + 18, height * 0.86, (20, 6), (84, 82, 88))
        return image

    return draw


def train(size: tuple[int, int], rng: Generator) -> Draw:
    """Out of a train window: poles and hedges rush by, hills hardly move."""
    width, height = size
    sky = gradient(size, (128, 178, 216), (240, 236, 220))
    seeds = rng.uniform(0, 9, 3)

    def draw(t: float) -> Image:
        image = sky.copy()
        for i in range(3):
            land(image, (0.04, 0.16, 0.5)[i] * t, 0.5 + 0.13 * i, 0.09, seeds[i],
                 ((140, 164, 184), (132, 168, 112), (84, 132, 76))[i], 1 + i)  # fmt: skip
        for i in range(10):
            x = ((i * 0.17 - 0.9 * t) % 1.7 - 0.3) * width
            oval(
                image,
                x,
                height * 0.86,
                (60 + 14 * (i % 3), 34 + 8 * (i % 4)),
                mix((52, 98, 58), (82, 120, 60), i % 3 / 2),
            )
        for i in range(2):
            x = ((i * 0.9 - 2.3 * t) % 1.8 - 0.4) * width
            shape(image, [(x, 0), (x + 26, 0), (x + 26, height), (x, height)], (72, 66, 70))
        frame = (58, 54, 62)
        for a, b in (((0, 0), (width, 18)), ((0, height - 46), (width, height)), ((0, 0), (26, height)),
                     ((width - 26, 0), (width, height))):  # fmt: skip
            cv2.rectangle(image, a, b, frame, -1)
        cv2.rectangle(
            image, (int(width * 0.8) - 17, height - 78), (int(width * 0.8) + 17, height - 40), (236, 232, 226), -1
        )
        oval(image, width * 0.8, height - 78, (17, 4), (116, 74, 48))
        return image

    return draw

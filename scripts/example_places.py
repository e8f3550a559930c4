"""More drawn places for the example videos: kitchens, and whatever shines at night."""

from __future__ import annotations

import math

import cv2
import numpy as np
from example_scenes import Colour, Draw, Image, disc, glow, gradient, land, mix, oval, shape, stroke, tree, veil
from numpy.random import Generator


def _table(
    size: tuple[int, int], rng: Generator, light: Colour = (208, 160, 110), dark: Colour = (120, 80, 50)
) -> Image:
    """A wooden table top seen from above, planks of `light` with grain of `dark`."""
    width, height = size
    image = np.full((height, width, 3), mix(light, dark, 0.15), np.uint8)
    for i in range(6):
        tone = mix(light, dark, 0.25 * float(rng.random()))
        cv2.rectangle(image, (0, i * height // 6), (width, (i + 1) * height // 6 - 2), tone, -1)
        for _ in range(5):
            y = (i + float(rng.random())) * height / 6
            start = float(rng.uniform(0, width))
            stroke(image, [(start, y), (start + 160, y + float(rng.normal(0, 2)))], mix(tone, dark, 0.25), 1)
    return image


def _dumpling(image: Image, x: float, y: float, size: float, pleats: float = 1.0, angle: float = 0.0) -> None:
    """Paint a folded dumpling; `pleats` 0..1 is how far it is closed."""
    across = np.linspace(-1, 1, 24)
    upper, lower = -(0.25 + 0.35 * pleats) * np.sqrt(1 - across**2), 0.55 * np.sqrt(1 - across**2)
    outline = np.concatenate([np.stack([across, upper], 1), np.stack([across[::-1], lower[::-1]], 1)]) * size
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    shape(image, outline @ turn + (x + 3, y + 5), (132, 96, 62))
    shape(image, outline @ turn + (x, y), (244, 232, 208))
    count = int(9 * pleats)
    for i in range(count):
        at = -0.75 + 1.5 * i / 8
        fold = np.array([[at, -0.5 * math.sqrt(1 - at * at)], [at * 0.8, 0.05]]) * size
        stroke(image, fold @ turn + (x, y), (206, 184, 150), max(1, int(size / 26)))


def rolling(size: tuple[int, int], rng: Generator) -> Draw:
    """A rolling pin goes to and fro over dough that grows; flour flies."""
    width, height = size
    table = _table(size, rng)
    specks = rng.uniform(0, 1, (70, 3))

    def draw(t: float) -> Image:
        image = table.copy()
        for x, y, grey in specks:
            disc(image, x * width, y * height, 1 + 2 * grey, mix((214, 176, 130), (250, 244, 234), grey))
        reach = 0.5 + 0.12 * min(t / 6, 1.0)
        oval(image, width * 0.5 + 5, height * 0.52 + 6, (height * reach * 0.8, height * reach * 0.62), (150, 108, 68))
        oval(image, width * 0.5, height * 0.52, (height * reach * 0.8, height * reach * 0.62), (246, 236, 212))
        y = height * (0.5 + 0.24 * math.sin(3.3 * t))
        cv2.rectangle(image, (int(width * 0.22), int(y) - 15), (int(width * 0.78), int(y) + 25), (128, 88, 54), -1)
        cv2.rectangle(image, (int(width * 0.22), int(y) - 22), (int(width * 0.78), int(y) + 18), (216, 164, 104), -1)
        cv2.rectangle(image, (int(width * 0.22), int(y) - 14), (int(width * 0.78), int(y) - 8), (236, 192, 136), -1)
        for side in (0.19, 0.81):
            oval(image, width * side, y - 2, (34, 12), (176, 122, 72))
            oval(image, width * side, y + 6, (30, 30), (232, 184, 152))
        return image

    return draw


def folding(size: tuple[int, int], rng: Generator) -> Draw:
    """A dumpling is closed pleat by pleat between two thumbs; finished ones wait behind."""
    width, height = size
    table = _table(size, rng, (74, 104, 112), (30, 44, 52))

    def draw(t: float) -> Image:
        image = table.copy()
        for i in range(5):
            _dumpling(image, width * (0.12 + 0.19 * i), height * 0.17, 38, 1.0, 0.15 * math.sin(i * 2.1))
        closed = min(1.0, (t % 5.0) / 4.0)
        shift = 8 * math.sin(2.2 * t)
        _dumpling(image, width * 0.5, height * 0.62, 120, closed, 0.03 * math.sin(2.2 * t))
        for side in (-1, 1):
            x, y = width * 0.5 + side * (150 - 24 * closed) + shift * side, height * 0.66 + 4 * math.sin(4.4 * t + side)
            oval(image, x + side * 60, y + 44, (110, 44), (222, 168, 136), side * 24)
            oval(image, x, y, (46, 20), (234, 184, 152), side * 28)
            oval(image, x - side * 28, y - 14, (12, 8), (246, 206, 184), side * 28)
        return image

    return draw


def pot(size: tuple[int, int], rng: Generator) -> Draw:
    """Dumplings bob in boiling water under steam."""
    width, height = size
    stove = gradient(size, (60, 58, 66), (96, 92, 98))
    bubbles, steam = rng.uniform(0, 1, (46, 4)), rng.uniform(0, 1, (12, 3))

    def draw(t: float) -> Image:
        image = stove.copy()
        x, y, r = width * 0.5, height * 0.52, height * 0.44
        disc(image, x + 6, y + 10, r * 1.07, (34, 32, 38))
        disc(image, x, y, r * 1.06, (176, 180, 188))
        disc(image, x, y, r, (206, 214, 206))
        for a, d, phase, big in bubbles:
            life = (t * (0.8 + big) + phase) % 1.0
            angle, far = 2 * math.pi * a, r * math.sqrt(d) * 0.92
            size_now = (2 + 9 * big) * math.sin(math.pi * life)
            disc(
                image,
                x + far * math.cos(angle),
                y + far * math.sin(angle),
                size_now,
                mix((206, 214, 206), (244, 250, 246), 0.7),
            )
        for i in range(7):
            angle = i * 0.9 + 0.25 * t
            far = r * (0.28 + 0.4 * (i % 3) / 2)
            _dumpling(image, x + far * math.cos(angle) + 3 * math.sin(3 * t + i), y + far * math.sin(angle) * 0.9
                      + 4 * math.sin(2.6 * t + 2 * i), 36, 1.0, angle)  # fmt: skip
        for sx, phase, wide in steam:
            life = (0.22 * t + phase) % 1.0
            veil(image, width * (0.25 + 0.5 * sx) + 20 * math.sin(t + 9 * phase), height * (0.9 - life),
                 60 + 70 * wide, (236, 236, 240), 0.5 * math.sin(math.pi * life))  # fmt: skip
        return image

    return draw


def plate(size: tuple[int, int], rng: Generator) -> Draw:
    """The finished plate, chopsticks beside it, a little steam: hardly anything moves."""
    width, height = size
    table = _table(size, rng, (186, 96, 84), (104, 44, 44))
    steam = rng.uniform(0, 1, (6, 3))

    def draw(t: float) -> Image:
        image = table.copy()
        x, y = width * 0.46, height * 0.53
        disc(image, x + 6, y + 9, height * 0.4, (120, 84, 54))
        disc(image, x, y, height * 0.4, (238, 242, 246))
        disc(image, x, y, height * 0.33, (214, 226, 238))
        disc(image, x, y, height * 0.31, (244, 247, 250))
        for i in range(8):
            angle = i * math.pi / 4
            _dumpling(image, x + 68 * math.cos(angle), y + 68 * math.sin(angle), 36, 1.0, angle + 1.2)
        disc(image, x, y, 26, (92, 44, 28))
        disc(image, x, y, 23, (62, 26, 18))
        for dx in (0, 18):
            stroke(image, [(width * 0.83 + dx, height * 0.15), (width * 0.8 + dx, height * 0.9)], (48, 30, 30), 6)
        for sx, phase, wide in steam:
            life = (0.16 * t + phase) % 1.0
            veil(image, x + 130 * (sx - 0.5), y - height * 0.5 * life, 40 + 40 * wide, (250, 250, 250),
                 0.4 * math.sin(math.pi * life))  # fmt: skip
        return image

    return draw


# ----------------------------------------------------------------------------------------------- places by night


def skyline(size: tuple[int, int], rng: Generator) -> Draw:
    """Towers with lit windows under a moon, slowly passing; a lamp goes on or off now and then."""
    width, height = size
    sky = gradient(size, (10, 14, 40), (42, 34, 86), (120, 68, 110))
    stars, towers = rng.uniform(0, 1, (70, 3)), rng.uniform(0, 1, (18, 4))
    lamps = rng.uniform(0, 1, (18, 12, 6))

    def draw(t: float) -> Image:
        image = sky.copy()
        for x, y, phase in stars:
            disc(
                image,
                x * width,
                y * height * 0.6,
                0.9,
                mix((120, 120, 170), (255, 255, 255), math.sin(2 * t + 30 * phase)),
            )
        glow(image, width * 0.76, height * 0.2, 90, (120, 120, 160), 0.5)
        disc(image, width * 0.76, height * 0.2, 22, (244, 240, 222))
        for depth, colour in ((0, (44, 36, 78)), (1, (18, 18, 38))):
            for i in range(depth, 18, 2):
                tall, wide, _, _ = towers[i]
                x = ((i * 0.11 - (0.012 + 0.018 * depth) * t) % 1.98 - 0.3) * width
                right, top = x + width * (0.08 + 0.06 * wide), height * (0.3 + 0.2 * depth + 0.36 * tall)
                shape(image, [(x, height), (x, top), (right, top), (right, height)], colour)
                for row in range(12):
                    for column in range(6):
                        lit = lamps[i, row, column] + 0.06 * math.sin(0.7 * t + 20 * lamps[i, column, row % 6]) > 0.62
                        wx, wy = x + 6 + column * (right - x - 8) / 6, top + 8 + row * 15
                        if lit and wy < height - 8:
                            shape(image, [(wx, wy), (wx + 5, wy), (wx + 5, wy + 7), (wx, wy + 7)],
                                  mix(colour, (255, 206, 120), 0.55 + 0.45 * depth))  # fmt: skip
        return image

    return draw


def street(size: tuple[int, int], rng: Generator) -> Draw:
    """Rain in a street: lights of cars drift by out of focus and lie on the wet road."""
    width, height = size
    night = gradient(size, (12, 14, 30), (28, 26, 48), (16, 16, 26))
    cars, drops = rng.uniform(0, 1, (16, 4)), rng.uniform(0, 1, (70, 3))
    tints: tuple[Colour, ...] = ((255, 226, 170), (255, 92, 72), (120, 200, 255), (255, 170, 80), (160, 255, 200))
    for i in range(14):  # house fronts, their windows out of focus
        side = i % 2
        left = width * (0.07 * (i // 2)) if side else width * (1 - 0.07 * (i // 2 + 1))
        top = height * (0.05 + 0.045 * (i // 2))
        cv2.rectangle(
            night, (int(left), int(top)), (int(left + width * 0.065), int(height * 0.62)), (20 + i, 20 + i, 38 + i), -1
        )
        for row in range(5):
            if rng.random() < 0.5:
                glow(night, left + 20, top + 22 + 30 * row, 15, (170, 120, 60), 0.5)

    def draw(t: float) -> Image:
        image = night.copy()
        for i, (x0, y0, speed, big) in enumerate(cars):
            way = 1 if i % 2 else -1
            x = ((x0 + way * (0.05 + 0.16 * speed) * t) % 1.3 - 0.15) * width
            y, r = height * (0.34 + 0.22 * y0), 8 + 24 * big
            colour = tints[i % 5]
            glow(image, x, y, r * 2.4, colour, 0.35)
            layer = image.copy()
            disc(layer, x, y, r, colour)
            for k in range(4):
                oval(
                    layer,
                    x + 3 * math.sin(3 * t + k + i),
                    height * (0.72 + 0.055 * k),
                    (r * (0.9 - 0.15 * k), 5),
                    colour,
                )
            cv2.addWeighted(layer, 0.42, image, 0.58, 0, image)
        for x0, y0, speed in drops:
            y = ((y0 + (1.3 + 0.8 * speed) * t) % 1.1 - 0.05) * height
            x = (x0 - 0.04 * y / height) * width
            stroke(image, [(x, y), (x - 2, y + 13 + 8 * speed)], (118, 126, 156), 1)
        return image

    return draw


def tunnel(size: tuple[int, int], rng: Generator) -> Draw:
    """Lamps of a tunnel rush past on all sides."""
    width, height = size
    streaks = rng.uniform(0, 1, (56, 3))
    tints: tuple[Colour, ...] = ((255, 196, 110), (255, 236, 196), (110, 190, 255), (255, 110, 150))

    def draw(t: float) -> Image:
        image = np.full((height, width, 3), (10, 10, 20), np.uint8)
        cx, cy = width * (0.5 + 0.05 * math.sin(0.9 * t)), height * (0.5 + 0.04 * math.sin(1.3 * t))
        for i in range(7):
            near = ((i / 7 + 0.5 * t) % 1.0) ** 2.5
            ring = [
                (cx + width * 0.75 * near * math.cos(a), cy + width * 0.6 * near * math.sin(a))
                for a in np.linspace(0, 6.2832, 49)
            ]
            stroke(image, ring, mix((12, 12, 24), (92, 84, 120), near * 1.5), 1 + int(12 * near))
        for i, (turn, phase, speed) in enumerate(streaks):
            near = ((phase + (0.6 + 0.5 * speed) * t) % 1.0) ** 3
            angle, colour = 2 * math.pi * turn, tints[i % 4]
            a, b = width * 0.75 * near, width * 0.75 * (near + 0.02 + 0.28 * near)
            stroke(image, [(cx + a * math.cos(angle), cy + 0.8 * a * math.sin(angle)),
                           (cx + b * math.cos(angle), cy + 0.8 * b * math.sin(angle))],
                   mix((14, 14, 26), colour, 0.3 + near * 1.6), 1 + int(9 * near))  # fmt: skip
        return image

    return draw


def camp(size: tuple[int, int], rng: Generator) -> Draw:
    """A tent and a fire under stars; sparks rise."""
    width, height = size
    sky = gradient(size, (8, 12, 36), (24, 34, 72), (52, 58, 92))
    stars, sparks, seed = rng.uniform(0, 1, (110, 3)), rng.uniform(0, 1, (26, 3)), float(rng.uniform(0, 9))

    def draw(t: float) -> Image:
        image = sky.copy()
        for x, y, phase in stars:
            disc(
                image,
                x * width,
                y * height * 0.7,
                0.7 + phase,
                mix((90, 96, 140), (255, 255, 250), math.sin(1.6 * t + 40 * phase)),
            )
        land(image, 0.0, 0.72, 0.07, seed, (22, 30, 52))
        for i in range(9):
            tree(
                image, width * (0.03 + 0.12 * i), height * 0.84, height * (0.26 + 0.12 * (i * 7 % 4) / 3), (12, 24, 36)
            )
        cv2.rectangle(image, (0, int(height * 0.82)), (width, height), (24, 30, 34), -1)
        flame = 1.0 + 0.16 * math.sin(9 * t) + 0.1 * math.sin(23 * t)
        x, y = width * 0.36, height * 0.88
        glow(image, x, y - 20, height * 0.62 * flame, (255, 140, 50), 0.55)
        shape(
            image,
            [(width * 0.56, height * 0.9), (width * 0.72, height * 0.55), (width * 0.9, height * 0.9)],
            (206, 120, 64),
        )
        shape(
            image,
            [(width * 0.68, height * 0.9), (width * 0.72, height * 0.62), (width * 0.77, height * 0.9)],
            (92, 48, 40),
        )
        for k, (wide, tall, colour) in enumerate(
            ((26, 76, (244, 96, 36)), (18, 54, (255, 170, 60)), (9, 30, (255, 240, 170)))
        ):
            lean = 7 * math.sin(6 * t + k)
            shape(image, [(x - wide, y), (x - wide * 0.6, y - tall * 0.45), (x + lean, y - tall * flame),
                          (x + wide * 0.7, y - tall * 0.4), (x + wide, y)], colour)  # fmt: skip
        stroke(image, [(x - 36, y + 5), (x + 36, y - 3)], (70, 44, 32), 9)
        stroke(image, [(x - 36, y - 3), (x + 36, y + 5)], (86, 54, 38), 8)
        for sx, phase, speed in sparks:
            life = ((0.25 + 0.3 * speed) * t + phase) % 1.0
            across = 70 * (sx - 0.5) * (0.3 + life) + 9 * math.sin(5 * t + 20 * phase)
            disc(image, x + across, y - 30 - height * 0.6 * life,
                 1.8 * (1 - life) + 0.4, mix((255, 220, 130), (90, 50, 40), life))  # fmt: skip
        return image

    return draw


def fireworks(size: tuple[int, int], rng: Generator) -> Draw:
    """Rockets burst over dark hills, one after the other."""
    width, height = size
    sky = gradient(size, (6, 8, 28), (30, 24, 62), (64, 40, 80))
    bursts, seed = rng.uniform(0, 1, (12, 4)), float(rng.uniform(0, 9))
    tints: tuple[Colour, ...] = ((255, 120, 110), (255, 214, 120), (130, 220, 255), (190, 140, 255), (150, 255, 180))

    def draw(t: float) -> Image:
        image = sky.copy()
        for i, (bx, by, phase, big) in enumerate(bursts):
            age = (t + 3.4 * phase) % 3.4
            x, y, colour = width * (0.12 + 0.76 * bx), height * (0.14 + 0.34 * by), tints[i % 5]
            if age < 0.7:
                rise = age / 0.7
                disc(image, x, height * 0.85 + (y - height * 0.85) * rise, 1.8, (255, 230, 190))
            elif age < 2.6:
                burst = (age - 0.7) / 1.9
                far = (60 + 80 * big) * (1 - (1 - burst) ** 3)
                glow(image, x, y, far * 1.5 + 20, colour, 0.5 * (1 - burst) ** 2)
                for ray in range(26):
                    angle = ray * 2 * math.pi / 26 + 7 * phase
                    tip = (x + far * math.cos(angle), y + far * math.sin(angle) + 26 * burst**2)
                    tail = (x + far * 0.8 * math.cos(angle), y + far * 0.8 * math.sin(angle) + 18 * burst**2)
                    stroke(image, [tail, tip], mix(colour, (40, 30, 66), burst**1.5), 2)
        land(image, 0.0, 0.86, 0.06, seed, (12, 14, 24), 2.0)
        return image

    return draw

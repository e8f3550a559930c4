"""Small films for the tests of data sets: music that the detector knows as music, flashes with clicks, captions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

RATE = 48_000
SIZE = (96, 54)

Draw = Callable[[float], npt.NDArray[np.uint8]]


def music(seconds: float, seed: int = 0) -> npt.NDArray[np.float32]:
    """Sound [2, N] of chords that change every second: held, tuned partials, as music has them."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * RATE)) / RATE
    wave = np.zeros(len(times))
    for second in range(int(np.ceil(seconds))):
        inside = slice(second * RATE, min((second + 1) * RATE, len(times)))
        for note in rng.choice([0, 2, 4, 5, 7, 9, 11, 12, 14, 16], 4, replace=False):
            hertz = 220 * 2 ** (note / 12)
            for harmonic in (1, 2, 3):
                wave[inside] += 0.05 / harmonic * np.sin(2 * np.pi * hertz * harmonic * times[inside])
    return np.stack([wave, wave]).astype(np.float32)


def moving(seed: int = 0, size: tuple[int, int] = SIZE) -> Draw:
    """Pictures of soft blobs that wander: no two seconds alike, and nothing like another seed's."""
    rng = np.random.default_rng(seed)
    width, height = size
    blobs = rng.uniform([0, 0, 0.1, 0.3, 0, 0, 0], [1, 1, 0.4, 3, 255, 255, 255], (7, 7))
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]

    def draw(seconds: float) -> npt.NDArray[np.uint8]:
        image = np.full((height, width, 3), 90.0)
        for bx, by, radius, speed, *colour in blobs:
            cx, cy = 0.5 + 0.5 * np.sin(speed * seconds + 6 * bx), 0.5 + 0.5 * np.cos(0.7 * speed * seconds + 6 * by)
            weight = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / radius**2 * 3)[..., None]
            image = image * (1 - weight) + np.array(colour) * weight
        return np.ascontiguousarray(image.astype(np.uint8))

    return draw


def captioned(draw: Draw, spans: Sequence[tuple[float, float]]) -> Draw:
    """`draw` with a caption over it in `spans`."""

    def over(seconds: float) -> npt.NDArray[np.uint8]:
        image = draw(seconds)
        if any(start <= seconds < end for start, end in spans):
            scale = image.shape[0] / 360
            place = (round(30 * scale), round(320 * scale))
            for colour, width in (((0, 0, 0), 6), ((255, 255, 255), 2)):
                cv2.putText(image, "somebody said these words", place, 0, 1.1 * scale, colour, width, cv2.LINE_AA)
        return image

    return over


def film(
    path: Path,
    seconds: float,
    sound: npt.NDArray[np.float32] | None,
    draw: Draw | None = None,
    rate: Fraction = Fraction(10),
    stamps: Sequence[Fraction] | None = None,
    size: tuple[int, int] = SIZE,
    crf: int = 18,
    codec: str = "pcm_s16le",
) -> Path:
    """Write a film (.mkv, .mov or .mp4 by its suffix). stamps: of its pictures, where they don't come at `rate`."""
    draw = draw or moving(0, size)
    stamps = stamps or [Fraction(number) / rate for number in range(round(seconds * rate))]
    tick = Fraction(1, 90_000) if path.suffix != ".mkv" else Fraction(1, 1000)
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=rate)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.codec_context.time_base = tick
        video.options = {"preset": "ultrafast", "crf": str(crf), "bf": "2", "g": "20"}
        track = output.add_stream(codec, rate=RATE, layout="stereo") if sound is not None else None
        for stamp in stamps:
            frame = av.VideoFrame.from_ndarray(draw(float(stamp)), format="rgb24")
            frame.pts, frame.time_base = round(stamp / tick), tick
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if track is not None and sound is not None:
            whole = np.ascontiguousarray((np.clip(sound.T, -1, 1) * 32767).round().astype(np.int16).reshape(1, -1))
            for first in range(0, sound.shape[1], 4800):
                part = np.ascontiguousarray(whole[:, first * 2 : (first + 4800) * 2])
                block = av.AudioFrame.from_ndarray(part, format="s16", layout="stereo")
                block.sample_rate, block.time_base, block.pts = RATE, Fraction(1, RATE), first
                output.mux(track.encode(block))
            output.mux(track.encode(None))
    return path

#!/usr/bin/env python3
"""Draw the example videos: `scripts/make_examples.py [--out examples/vlogs] [--only NAME ...]`.

Everything in them is drawn and sounded by this script and its three neighbours; the same script gives the same
pictures and sounds. They show what a folder of a vlogger's films may hold: several frame rates, one filmed upright
(rotated by its container, as phones do), one with a voice, one longer than a minute, and some without sound.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from example_places import camp, fireworks, folding, plate, pot, rolling, skyline, street, tunnel
from example_scenes import Image, Place, hills, lake, quay, ride, road, sea, train
from example_sounds import RATE, Samples, narration, seaside
from numpy.random import Generator, default_rng
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont


@dataclass(frozen=True)
class Shot:
    """A drawn place for `seconds`. speeds: (share of the shot, speed) pairs between which its clock runs smoothly.

    shake: how far a hand holding the camera strays, in pixels. zoom: at the start and at the end.
    """

    place: Place
    seconds: float
    speeds: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    seed: int = 1
    shake: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    title: str = ""

    def clock(self, seconds: float) -> float:
        """How far the drawing's own time has run `seconds` after the shot began."""
        at = np.linspace(0.0, seconds, 65)
        speed = np.interp(at / self.seconds, [place for place, _ in self.speeds], [fast for _, fast in self.speeds])
        return float(np.trapezoid(speed, at))


@dataclass(frozen=True)
class Film:
    """A video to make. upright: drawn 360x640, stored 640x360 with the rotation noted in the container."""

    name: str
    title: str
    rate: Fraction
    shots: tuple[Shot, ...]
    upright: bool = False
    crf: int = 29  # x264's quality: flat drawings stay clean at this
    sound: Callable[[float, Generator], Samples] | None = None

    @property
    def seconds(self) -> float:
        """Length of the picture: the shots' lengths, rounded up to whole frames."""
        return float(math.ceil(sum(_exact(shot.seconds) for shot in self.shots) * self.rate) / self.rate)


FILMS = (
    Film("morning-ride", "Morning ride", Fraction(30), (
        Shot(hills, 4.2, ((0, 0.6), (1, 1.4)), title="Morning ride"),
        Shot(ride, 4.6, ((0, 0.5), (0.5, 1.0), (1, 1.5)), zoom=(1.0, 1.12)),
        Shot(road, 3.4, ((0, 0.8), (1, 1.7)), shake=2.5),
        Shot(lake, 3.8, ((0, 0.6),)),
        Shot(ride, 2.2, ((0, 1.5), (1, 2.0)), seed=5, shake=4.0, zoom=(1.35, 1.35)),
        Shot(hills, 2.4, ((0, 1.6), (1, 0.5)), seed=7),
    )),
    Film("city-night", "City at night", Fraction(24000, 1001), (
        Shot(skyline, 4.4, ((0, 1.0),), title="City at night"),
        Shot(street, 3.2, ((0, 0.7), (1, 1.2)), shake=1.5),
        Shot(tunnel, 2.6, ((0, 0.5), (1, 1.3))),
        Shot(street, 1.6, ((0, 1.6),), seed=6, zoom=(1.4, 1.5)),
        Shot(tunnel, 2.4, ((0, 1.4), (1, 1.0)), seed=6, shake=3.0),
        Shot(skyline, 3.6, ((0, 3.0), (0.5, 0.8)), seed=6, zoom=(1.3, 1.0)),
    ), crf=31),
    Film("harbour-walk", "Harbour walk", Fraction(25), (
        Shot(quay, 5.0, ((0, 0.7), (1, 1.1)), title="Harbour walk"),
        Shot(sea, 4.0, ((0, 1.0),), shake=1.5),
        Shot(quay, 2.8, ((0, 1.6),), seed=3, shake=2.0),
        Shot(sea, 3.4, ((0, 1.6), (1, 0.8)), seed=3, zoom=(1.5, 1.2)),
    ), upright=True, sound=seaside),
    Film("making-dumplings", "Making dumplings", Fraction(25), (
        Shot(rolling, 5.2, ((0, 0.7), (1, 1.2)), title="Making dumplings"),
        Shot(folding, 6.0, ((0, 1.0),), shake=1.0),
        Shot(pot, 4.6, ((0, 0.8), (1, 1.3))),
        Shot(folding, 3.0, ((0, 1.8),), seed=3, zoom=(1.4, 1.4)),
        Shot(plate, 4.2, ((0, 0.6),), zoom=(1.0, 1.15)),
    ), sound=narration),
    Film("weekend-trip", "Weekend trip", Fraction(30000, 1001), (
        Shot(skyline, 4.0, ((0, 1.5),), seed=8, title="Weekend trip"),
        Shot(train, 5.5, ((0, 0.3), (1, 1.0)), title="Saturday"),
        Shot(train, 2.6, ((0, 1.3),), seed=2, shake=1.5, zoom=(1.25, 1.25)),
        Shot(hills, 5.0, ((0, 1.0),), seed=3),
        Shot(road, 5.2, ((0, 0.7), (1, 1.5)), seed=2, shake=1.5),
        Shot(ride, 2.4, ((0, 1.5),), seed=2),
        Shot(road, 1.8, ((0, 1.8),), seed=4, shake=4.0),
        Shot(ride, 3.4, ((0, 1.8), (1, 0.6)), seed=3, zoom=(1.2, 1.2)),
        Shot(lake, 6.5, ((0, 0.6),), seed=2),
        Shot(camp, 6.0, ((0, 1.0),), zoom=(1.0, 1.1)),
        Shot(fireworks, 5.0, ((0, 0.8), (1, 1.3)), seed=2),
        Shot(camp, 3.2, ((0, 1.0),), seed=2, zoom=(1.5, 1.4)),
        Shot(sea, 5.4, ((0, 1.0),), seed=2, title="Sunday"),
        Shot(quay, 4.6, ((0, 1.0), (1, 1.5)), seed=2),
        Shot(sea, 4.0, ((0, 1.4), (1, 0.8)), seed=5, shake=1.5, zoom=(1.3, 1.3)),
        Shot(train, 4.2, ((0, 1.2), (1, 0.5)), seed=5),
        Shot(hills, 6.2, ((0, 0.8), (1, 0.2)), seed=9),
    ), crf=39),
)  # fmt: skip


def _exact(seconds: float) -> Fraction:
    """`seconds` as they are written in the list above: 4.2 is 21/5."""
    return Fraction(str(seconds))


def frames(film: Film) -> Iterator[Image]:
    """The pictures of `film` in order, [H, W, 3] RGB, the right way up."""
    size = (360, 640) if film.upright else (640, 360)
    index, begun = 0, Fraction(0)
    for shot in film.shots:
        draw = shot.place(size, default_rng(shot.seed))
        while (since := index / film.rate - begun) < _exact(shot.seconds):
            image = _filmed(draw(shot.clock(float(since))), shot, float(since))
            yield _titled(image, shot.title, float(since)) if shot.title else image
            index += 1
        begun += _exact(shot.seconds)


def _filmed(image: Image, shot: Shot, since: float) -> Image:
    """`image` through a camera that zooms and is held by hand."""
    if not shot.shake and shot.zoom == (1.0, 1.0):
        return image
    height, width = image.shape[:2]
    zoom = shot.zoom[0] + (shot.zoom[1] - shot.zoom[0]) * since / shot.seconds + shot.shake / 60
    x = shot.shake * (math.sin(4.7 * since) + 0.6 * math.sin(11.3 * since + 1))
    y = shot.shake * (math.sin(5.9 * since + 2) + 0.6 * math.sin(13.1 * since))
    move = np.array([[zoom, 0, (1 - zoom) * width / 2 + x], [0, zoom, (1 - zoom) * height / 2 + y]])
    return np.asarray(cv2.warpAffine(image, move, (width, height), borderMode=cv2.BORDER_REFLECT_101), dtype=np.uint8)


def _titled(image: Image, text: str, since: float) -> Image:
    """`image` with `text` that comes and goes within three seconds."""
    share = min(max(min((since - 0.4) / 0.5, (3.0 - since) / 0.5), 0.0), 1.0)
    if share == 0.0:
        return image
    mask = _lettering(text, image.shape[1], image.shape[0])[..., None] * share
    shadow = np.roll(mask, (2, 2), (0, 1)) * 0.6
    return np.asarray(image * (1 - shadow) * (1 - mask) + 250 * mask, dtype=np.uint8)


@lru_cache(maxsize=8)
def _lettering(text: str, width: int, height: int) -> npt.NDArray[np.float64]:
    """Coverage 0..1 [H, W] of `text`, centred in the upper part."""
    picture = Picture.new("L", (width, height))
    font = ImageFont.load_default(size=round(min(width, height) * 0.15))
    ImageDraw.Draw(picture).text((width / 2, height * 0.2), text, fill=255, font=font, anchor="mm")
    return np.asarray(picture, dtype=np.float64) / 255


def write(film: Film, path: Path) -> None:
    """Encode `film` as H.264 (and AAC) into `path`."""
    sound = None
    with av.open(str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as media:
        media.metadata["title"] = film.title
        video = media.add_stream(
            "libx264",
            film.rate,
            options={
                "crf": str(film.crf),
                "preset": "slower",
                "tune": "animation",
                "x264-params": "aq-mode=3:bframes=8",
            },
        )
        video.width, video.height, video.pix_fmt = 640, 360, "yuv420p"
        video.codec_context.time_base = 1 / film.rate
        samples = None if film.sound is None else film.sound(film.seconds, default_rng(11))
        if samples is not None:
            sound = media.add_stream("aac", RATE, layout="mono" if len(samples) == 1 else "stereo", bit_rate=80000)
        for index, image in enumerate(frames(film)):
            stored = np.rot90(image) if film.upright else image
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(stored), "rgb24")
            picture.pts, picture.time_base = index, 1 / film.rate
            media.mux(video.encode(picture))
        media.mux(video.encode(None))
        if sound is not None and samples is not None:
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", sound.layout.name)
            block.sample_rate, block.pts, block.time_base = RATE, 0, Fraction(1, RATE)
            media.mux(sound.encode(block))
            media.mux(sound.encode(None))
    if film.upright:
        _note_rotation(path, 360)


def _note_rotation(path: Path, stored_height: int) -> None:
    """Set the matrix in the video's track header (ISO 14496-12, 8.3.2) so that players turn it clockwise by 90."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44
    values = (0, 1 << 16, 0, -1 << 16, 0, 0, stored_height << 16, 0, 1 << 30)
    data[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in values)
    path.write_bytes(data)


def main() -> None:
    """Parse the command line and make the films."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "examples" / "vlogs")
    parser.add_argument("--only", nargs="*", default=[film.name for film in FILMS], help="names of films to make")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for film in FILMS:
        if film.name in args.only:
            path = args.out / f"{film.name}.mp4"
            write(film, path)
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

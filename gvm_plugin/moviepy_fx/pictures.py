"""A MoviePy clip as a film to analyse, whether it comes from a file or exists in memory alone.

ClipSource     the FilmSource: pictures and sound as the clip would be written
joins          where the clips of a composed one meet, as far as MoviePy still knows
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Final, Self

import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from moviepy import CompositeVideoClip, VideoClip

from gvm_plugin.film_source import Pictures, header
from gvm_plugin.moviepy_fx.sound import length_of, read_sound
from gvm_plugin.probe import AudioTrack, MediaInfo, Sound

LEAST_FPS: Final = 24.0  # looked at, also of stills, which have no rate: two cuts are so many pictures apart at least
LEAST_FPS_ALMOST: Final = 23.9
MOST_FPS: Final = 30.5  # looked at; of faster clips every second picture, or every third
HIGHEST: Final = 540  # lines; larger pictures are made smaller before anything else
WHOLE_PICTURE: Final = 0.6  # share of the frame from which on a clip in a composition counts as a shot, not as a title

Picture = npt.NDArray[np.uint8]


class ClipSource:
    """A clip as a FilmSource. ValueError where it is no picture, has no length, or was closed."""

    name = "the clip"

    def __init__(self, clip: VideoClip) -> None:
        if not isinstance(clip, VideoClip):
            raise ValueError(f"{type(clip).__name__} has no picture to score; give a video clip")
        if getattr(clip, "reader", clip) is None:
            raise ValueError("the clip was closed; open its file again, and close it when all is written")
        self.clip = clip
        self.seconds = length_of(clip)
        self.cuts: Sequence[float] = joins(clip)
        self._rate = _rate_of(clip)

    def info(self) -> MediaInfo:
        """The clip as if it were a file's header."""
        width, height = (int(side) for side in self.clip.size)
        return header("clip", self.seconds, (width, height), self._rate, sound=self.clip.audio is not None)

    def pictures(self) -> Pictures:
        """The pictures, opened."""
        return _Pictures(self.clip, self._rate, self.seconds)

    def sound(self, info: MediaInfo, track: AudioTrack, warnings: list[str]) -> Iterator[Sound]:
        """Blocks [2, n] of the clip's sound."""
        return self.own_sound()

    def own_sound(self) -> Iterator[Sound]:
        """The same: the clip's sound, exactly as long as the clip."""
        return read_sound(self.clip.audio, self.seconds)


class _Pictures:
    """The pictures of a clip in order; see `film_source.Pictures`."""

    variable = False
    damaged = 0
    pixel_aspect = Fraction(1)

    def __init__(self, clip: VideoClip, rate: Fraction, seconds: float) -> None:
        self._clip = clip
        self.rate = rate
        self.time_base = 1 / rate
        self.count = 0
        self.start: Fraction | None = Fraction(0)
        self.end = Fraction(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def __iter__(self) -> Iterator[tuple[Fraction, VideoFrame]]:
        shape: tuple[int, ...] | None = None
        for number in range(max(1, int(self.end * self.rate))):
            seconds = number / self.rate
            image = _small(_picture(self._clip, float(seconds)))
            shape = shape or image.shape
            if image.shape != shape:  # clips of several sizes, put one after the other
                image = np.asarray(cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_AREA), np.uint8)
            self.count += 1
            yield seconds, VideoFrame.from_ndarray(image, format="rgb24")


def _picture(clip: VideoClip, seconds: float) -> Picture:
    """[H, W, 3] RGB of the clip at a moment."""
    with warnings.catch_warnings():
        # where a file's header promises more pictures than it has, the last one stays; MoviePy tells when it writes
        warnings.filterwarnings("ignore", message=".*bytes wanted but", category=UserWarning)
        image = np.asarray(clip.get_frame(seconds))
    if image.ndim == 2:  # a mask, 0..1
        image = np.repeat(image[..., None] * 255.0, 3, axis=2)
    if image.dtype != np.uint8:
        image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(image[..., :3])


def _small(image: Picture) -> Picture:
    height, width = image.shape[:2]
    if height <= HIGHEST:
        return image
    size = (max(2, round(width * HIGHEST / height)), HIGHEST)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _rate_of(clip: VideoClip) -> Fraction:
    """Pictures looked at per second: the clip's own, a slow one multiplied and a fast one divided by a whole number."""
    fps = float(getattr(clip, "fps", None) or LEAST_FPS)
    return Fraction(fps).limit_denominator(1001) * math.ceil(LEAST_FPS_ALMOST / fps) / math.ceil(fps / MOST_FPS)


def joins(clip: Any) -> tuple[float, ...]:
    """Seconds inside `clip` at which one of its clips takes over the picture; none where MoviePy can't tell.

    Trimming or speeding up a composition leaves the times of its clips as they were, so only those of an untouched
    one are believed. What isn't known is seen: the analysis looks for cuts anyway.
    """
    inside = (float(at) for at in _starts(clip))
    return tuple(sorted({at for at in inside if 0 < at < length_of(clip)}))


def _starts(clip: Any) -> Iterator[float]:
    if isinstance(clip, CompositeVideoClip):
        if "frame_function" in vars(clip):  # trimmed, faster, coloured ...
            return
        width, height = clip.size
        for part in clip.clips:
            if part.size[0] * part.size[1] >= WHOLE_PICTURE * width * height:
                yield part.start
                yield from (part.start + at for at in _starts(part))
        return
    made_by = getattr(getattr(clip, "frame_function", None), "__qualname__", "")
    if made_by.startswith("concatenate_videoclips."):
        yield from clip.start_times

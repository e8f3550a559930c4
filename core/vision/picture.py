"""What a vision encoder gives back, and how it is fed: frame by frame, in one pass over the film. Numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt

FrameArray = npt.NDArray[np.uint8]  # [H, W, 3] RGB


@dataclass(frozen=True, eq=False)
class PictureFeatures:
    """Frozen encoder's view of a film.

    times [F]: seconds of each frame. values [F, P, C]: P patches (or tokens) of C channels per frame.
    """

    times: npt.NDArray[np.float64]
    values: npt.NDArray[np.float16] | npt.NDArray[np.float32]

    def between(self, start: float, end: float) -> PictureFeatures:
        """The frames with start <= time < end, times kept."""
        first, last = np.searchsorted(self.times, [start - 1e-9, end - 1e-9])
        return PictureFeatures(self.times[first:last], self.values[first:last])


class FrameEncoder(Protocol):
    """Takes the frames of one film in order and gives back their features."""

    @property
    def fps(self) -> Fraction:
        """How often it wants a frame."""

    @property
    def width(self) -> int | None:
        """How wide it wants the frames; None: as the film shows them."""

    @property
    def height(self) -> int | None:
        """How high it wants the frames; None, together with `width`: as the film shows them."""

    def push(self, seconds: float, rgb: FrameArray) -> None:
        """Take the next frame, [height, width, 3] RGB."""

    def finish(self) -> PictureFeatures:
        """Features of all frames pushed."""

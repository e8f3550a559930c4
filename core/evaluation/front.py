"""What the evaluation model is told of a film and its music, window by window: between files' features and tensors.

The one that ships reads the starter's picture features and hears with `core.evaluation.listen`: nothing to download.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from core.evaluation import listen
from core.evaluation.look import look, slots, stack
from core.vision.picture import FrameEncoder, PictureFeatures

FloatArray = npt.NDArray[np.float32]


class Front(Protocol):
    """Turns a window of a film and of its music into the evaluation model's inputs."""

    @property
    def sound_rate(self) -> int:
        """Hz of the mono sound that `hear` takes."""

    def open_encoder(self) -> FrameEncoder:
        """A new encoder for one film's frames."""

    def see(self, picture: PictureFeatures, start: float, end: float) -> FloatArray:
        """Rows [T, C] of the picture from start to end, seconds."""

    def hear(self, mono: FloatArray) -> FloatArray:
        """Rows [T, C'] of a window's sound [N] at `sound_rate`."""


class DescriptorFront:
    """The starter's descriptors and our own ear."""

    sound_rate = listen.RATE

    def open_encoder(self) -> FrameEncoder:
        """The starter's frozen encoder."""
        from core.vision.descriptors import PatchDescriptors

        return PatchDescriptors()

    def see(self, picture: PictureFeatures, start: float, end: float) -> FloatArray:
        """Rows [T, 58], two a second. MediaError where there is no picture."""
        return stack(look(slots(picture, start, end)))

    def hear(self, mono: FloatArray) -> FloatArray:
        """Rows [T, 86], two a second."""
        return listen.positions(listen.listen(mono))

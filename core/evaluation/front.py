"""What the evaluation model is told of a film and its music, window by window: between files' features and tensors.

DescriptorFront, the one that ships, reads the starter's picture features and hears with `core.evaluation.listen`:
nothing to download. PublishedFront reads what a published model's tower and feature transformation see, and EnCodec's
latent, a position a second, as the paper does.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import torch

from core.errors import MediaError, ModelError
from core.evaluation import listen
from core.evaluation.look import look, slots, stack
from core.vision.descriptors import FEATURE_SECONDS
from core.vision.picture import FrameEncoder, PictureFeatures

if TYPE_CHECKING:
    from core.codecs.encodec import Encodec
    from core.features import FeatureTransformation
    from core.vision.tower import Tower

FloatArray = npt.NDArray[np.float32]


class Front(Protocol):
    """Turns a window of a film and of its music into the evaluation model's inputs."""

    @property
    def name(self) -> str:
        """What its features are called."""

    @property
    def sound_rate(self) -> int:
        """Hz of the mono sound that `hear` takes."""

    @property
    def picture_rate(self) -> float:
        """Rows a second of the features that training keeps of pictures."""

    @property
    def music_rate(self) -> float:
        """The same of music."""

    def open_encoder(self) -> FrameEncoder:
        """A new encoder for one film's frames."""

    def see(self, picture: PictureFeatures, start: float, end: float) -> FloatArray:
        """Rows [T, C] of the picture from start to end, seconds."""

    def hear(self, mono: FloatArray) -> FloatArray:
        """Rows [T, C'] of a window's sound [N] at `sound_rate`."""


class DescriptorFront:
    """The starter's descriptors and our own ear."""

    name = "descriptors"
    sound_rate = listen.RATE
    picture_rate = 1 / FEATURE_SECONDS
    music_rate = float(listen.FRAME_RATE)

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


class PublishedFront:
    """What a published model sees (768 numbers a second) and EnCodec hears (128), from the model's folder.

    ModelError where the folder holds no model with a tower and EnCodec. Weights are read when first needed.
    """

    picture_rate = 1.0
    music_rate = 1.0

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        from core import checkpoint

        self.config, _, self.sha256 = checkpoint.read_card(folder)
        if self.config.tower is None or self.config.encodec is None:
            raise ModelError(f"{folder}: has no vision tower and EnCodec to see and hear with; give a published model")
        self.folder, self.device = folder, device
        self.name = f"published-{self.sha256[:12]}"
        self.sound_rate = self.config.encodec.sample_rate

    @property
    def channels(self) -> tuple[int, int]:
        """Numbers a second of picture and of music."""
        assert self.config.encodec is not None, "checked when it was made"
        return self.config.features.out_channels, self.config.encodec.dimension

    def open_encoder(self) -> FrameEncoder:
        """The model's tower and feature transformation."""
        from core.vision.tower import TowerFrames

        return TowerFrames(self._tower, self._features, self.config.frames_per_second)

    def see(self, picture: PictureFeatures, start: float, end: float) -> FloatArray:
        """Rows [T, 768] of whole seconds: the mean of the frames in each, or the frame before."""
        rows = []
        for second in range(int(end - start + 1e-6)):
            part = picture.between(start + second, start + second + 1)
            if len(part.times):
                rows.append(np.asarray(part.values, np.float32).mean(axis=(0, 1)))
            elif rows:
                rows.append(rows[-1])
            else:
                raise MediaError(f"the film has no picture at {start + second:.2f} s: choose a span inside the film")
        return np.stack(rows) if rows else np.zeros((0, self.channels[0]), np.float32)

    def hear(self, mono: FloatArray) -> FloatArray:
        """Rows [T, 128] of whole seconds: means of EnCodec's latent before it is quantised."""
        assert self.config.encodec is not None, "checked when it was made"
        sound = torch.from_numpy(np.ascontiguousarray(mono))[None, None].expand(1, self.config.encodec.channels, -1)
        latent = self._codec.encode_latent(sound)[0].float().cpu().numpy().T
        seconds = int(len(mono) / self.sound_rate + 1e-6)
        per_second = self.sound_rate / self.config.encodec.hop
        bounds = [round(second * per_second) for second in range(seconds + 1)]
        rows = [latent[low:high].mean(axis=0) for low, high in pairwise(bounds)]
        return np.stack(rows).astype(np.float32) if rows else np.zeros((0, self.channels[1]), np.float32)

    @cached_property
    def _features(self) -> FeatureTransformation:
        from core import checkpoint

        return checkpoint.load(self.folder, self.device)[0].features

    @cached_property
    def _tower(self) -> Tower:
        from core import checkpoint

        return checkpoint.load_tower(self.folder, self.config, self.device)

    @cached_property
    def _codec(self) -> Encodec:
        from core import checkpoint

        return checkpoint.load_codec(self.folder, self.config, self.device)

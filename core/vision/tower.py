"""What the frozen vision towers have in common, and how a film's frames go through one.

Legend: R resolution, P patches of a moment and the class token before them, C channels, q conditioning vectors a frame.
A *moment* is what shares a token in time: one frame for an image tower, a tubelet of frames for a video tower.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from core.config import TowerConfig
from core.vision.picture import FrameArray, PictureFeatures

BATCH = 8  # frames that go through an image tower together


class Tower(nn.Module):
    """A frozen vision transformer: frames [F, 3, R, R] -> tokens [F / tubelet, 1 + P, C], class token first.

    F is a multiple of config.frames_at_once.
    """

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config

    def preprocess(self, rgb: FrameArray) -> Tensor:
        """Float32 [3, R, R] of a frame [H, W, 3] RGB."""
        raise NotImplementedError

    def normalise(self, pictures: Tensor) -> Tensor:
        """The same, float32 [..., 3, R, R], of pictures uint8 that are cropped already."""
        raise NotImplementedError

    def place(self, device: torch.device | str, dtype: torch.dtype) -> Self:
        """Itself on `device`, frozen, computing in `dtype`."""
        return self.to(device, dtype).eval().requires_grad_(False)

    def pack(self) -> Self:
        """Itself, made quicker where there is a way; for inference alone from here on."""
        return self

    @property
    def dtype(self) -> torch.dtype:
        """What its matrices multiply in."""
        return next(self.parameters()).dtype


class Reader(Protocol):
    """What reads a tower's tokens: `core.features.FeatureTransformation`."""

    def per_frame(self, patches: Tensor) -> Tensor:
        """Conditioning [F, q, out] of tokens [F, P, C]."""


def best_dtype(device: torch.device | str) -> torch.dtype:
    """The fastest number format a tower computes well in: half precision where the device multiplies in it."""
    if torch.device(device).type == "cuda":
        return torch.float16
    # an older torch doesn't tell what the processor can
    able: Mapping[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32


class TowerFrames:
    """Pushes a film's frames through a tower and what reads it, a few at a time: a `FrameEncoder`.

    Only the conditioning is kept (3 KB a frame), not the tokens (2 MB a frame at CLIP's size).
    """

    width = None
    height = None

    def __init__(self, tower: Tower, reader: Reader, frames_per_second: int = 1) -> None:
        self.fps = Fraction(frames_per_second)
        self._tower = tower.pack()
        self._reader = reader
        self._batch = max(BATCH // tower.config.frames_at_once, 1) * tower.config.frames_at_once
        self._frames: list[Tensor] = []
        self._seconds: list[float] = []
        self._times: list[float] = []
        self._values: list[npt.NDArray[np.float32]] = []

    def push(self, seconds: float, rgb: FrameArray) -> None:
        """Take the next frame, [H, W, 3] RGB of any size."""
        self._frames.append(self._tower.preprocess(rgb))
        self._seconds.append(seconds)
        if len(self._frames) == self._batch:
            self._encode()

    def finish(self) -> PictureFeatures:
        """Conditioning of all frames pushed: values float32 [moments, q, out]."""
        if self._frames:
            self._encode()
        if not self._values:
            return PictureFeatures(np.zeros(0), np.zeros((0, 1, 1), np.float32))
        return PictureFeatures(np.asarray(self._times), np.concatenate(self._values))

    @torch.inference_mode()
    def _encode(self) -> None:
        at_once, tubelet = self._tower.config.frames_at_once, self._tower.config.tubelet
        moments = -(-len(self._frames) // tubelet)
        while len(self._frames) % at_once:  # the last picture stands still until the tower has its number
            self._frames.append(self._frames[-1])
            self._seconds.append(self._seconds[-1] + float(1 / self.fps))
        device, dtype = next(self._tower.parameters()).device, self._tower.dtype
        tokens = self._tower(torch.stack(self._frames).to(device))[:moments]
        half = dtype != torch.float32
        with torch.autocast(device.type, dtype if half else torch.bfloat16, enabled=half):
            condition = self._reader.per_frame(tokens)
        self._values.append(condition.float().cpu().numpy())
        self._times += np.reshape(self._seconds, (-1, tubelet)).mean(axis=1)[:moments].tolist()
        self._frames, self._seconds = [], []

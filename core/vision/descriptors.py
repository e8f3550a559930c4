"""The starter's frozen vision encoder: what every grid cell of a small frame looks like and how it moves.

Nothing to download and nothing to train: colour, contrast, saturation, edges and motion of 8 x 4 cells, and a 33rd
token for the frame as a whole. Frames come at 8 per second (motion needs neighbours in time) and leave at 4.

Channels of a cell: 0 lightness, 1-2 colour opponents (Lab, each about -1..1), 3 contrast, 4 saturation, 5 edges,
6 motion amount, 7 the same as a logarithm, 8-9 motion across and down (normal flow), 10-11 where the cell is.
The whole-frame token (last) has their means in 0-9, then 10-13 how lively this moment is *within the cue* (filled
in by `relative_to_cue`, since music follows contrast and not absolute motion), 14 change of brightness, 15 always 1.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from core.vision.picture import FrameArray, PictureFeatures

FPS = Fraction(8)
WIDTH, HEIGHT = 64, 36
COLUMNS, ROWS = 8, 4
PATCHES = COLUMNS * ROWS + 1
CHANNELS = 16
GLOBAL = PATCHES - 1
FEATURE_SECONDS = 0.25  # two frames a feature
ACTIVITY_SCALE = 10.0  # mean absolute difference of grey 0..1 is mostly below 0.1

_BATCH = 64  # frames described at once

FloatArray = npt.NDArray[np.float32]


def describe(frames: npt.NDArray[np.uint8], before: FrameArray | None = None) -> FloatArray:
    """Features [n // 2, 33, 16] of frames [n, 36, 64, 3] at 8 per second; `before` is the frame before the first."""
    import cv2

    count = len(frames) // 2 * 2
    frames = frames[:count]
    if count == 0:
        return np.zeros((0, PATCHES, CHANNELS), np.float32)
    with_before = np.concatenate([frames[:1] if before is None else before[None], frames])
    lab = cv2.cvtColor(with_before.reshape(-1, WIDTH, 3), cv2.COLOR_RGB2LAB)
    lab = lab.reshape(count + 1, HEIGHT, WIDTH, 3).astype(np.float32)
    light = lab[..., 0] / 255.0
    now, change = light[1:], np.diff(light, axis=0)
    if before is None and count > 1:
        change[0] = change[1]  # nothing came before the first frame: it moves as the second does
    across, down = np.gradient(now, axis=2), np.gradient(now, axis=1)

    out: FloatArray = np.zeros((count, PATCHES, CHANNELS), np.float32)
    mean = _cells(now)
    colour = (lab[1:, ..., 1:] - 128.0) / 64.0
    slope = _cells(across * across + down * down)
    per_cell = [
        2.0 * mean - 1.0,
        _cells(colour[..., 0]),
        _cells(colour[..., 1]),
        4.0 * np.sqrt(np.maximum(_cells(now * now) - mean * mean, 0.0)),
        2.0 * _cells(np.hypot(colour[..., 0], colour[..., 1])),
        4.0 * np.sqrt(slope),
        ACTIVITY_SCALE * _cells(np.abs(change)),
        np.zeros_like(mean),  # filled below from the mean over two frames
        np.clip(-_cells(change * across) / (slope + 1e-4), -2.0, 2.0),
        np.clip(-_cells(change * down) / (slope + 1e-4), -2.0, 2.0),
    ]
    out[:, :GLOBAL, : len(per_cell)] = np.stack(per_cell, axis=-1)
    out = out.reshape(count // 2, 2, PATCHES, CHANNELS).mean(axis=1)
    cells = out[:, :GLOBAL]
    cells[..., 10] = np.tile(np.linspace(-1, 1, COLUMNS, dtype=np.float32), ROWS)
    cells[..., 11] = np.repeat(np.linspace(-1, 1, ROWS, dtype=np.float32), COLUMNS)
    out[:, GLOBAL, :10] = cells[..., :10].mean(axis=1)
    out[..., 7] = np.log(out[..., 6] / ACTIVITY_SCALE + 1e-3) / 3.0 + 1.0
    out[:, GLOBAL, 14] = 5.0 * (light[1:].mean((1, 2)) - light[:-1].mean((1, 2))).reshape(-1, 2).sum(axis=1)
    out[:, GLOBAL, 15] = 1.0
    return out


def relative_to_cue(values: npt.NDArray[np.floating]) -> FloatArray:
    """The same features [F, 33, 16] with channels 10-13 of the whole-frame token filled in over these frames.

    10-12: activity smoothed over 1/3, 1 and 3 s, less its mean, scaled by half the span between the 5th and the 95th
    percentile of the first; 13: how much activity varies at all (lowest for a still or steady picture).
    """
    from scipy.ndimage import gaussian_filter1d

    out = values.astype(np.float32)
    if not len(out):
        return out
    activity = out[:, GLOBAL, 6].astype(np.float64)
    quick = gaussian_filter1d(activity, 0.33 / FEATURE_SECONDS, mode="nearest")
    low, high = np.percentile(quick, [5, 95])
    # A picture whose activity hardly varies (below a quarter of its mean) must not be blown up to full contrast.
    half_range = max((high - low) / 2.0, 0.125 * float(quick.mean()), 1e-3 * ACTIVITY_SCALE)
    for channel, seconds in ((10, 0.0), (11, 1.0), (12, 3.0)):
        curve = gaussian_filter1d(quick, seconds / FEATURE_SECONDS, mode="nearest") if seconds else quick
        out[:, GLOBAL, channel] = np.clip((curve - quick.mean()) / half_range, -2.0, 3.0)
    out[:, GLOBAL, 13] = np.log(half_range / (float(quick.mean()) + 1e-6) + 1e-2)
    return out


class PatchDescriptors:
    """Feeds frames to `describe` as they come: a `FrameEncoder`."""

    fps = FPS
    width = WIDTH
    height = HEIGHT

    def __init__(self) -> None:
        self._frames: list[FrameArray] = []
        self._seconds: list[float] = []
        self._before: FrameArray | None = None
        self._times: list[float] = []
        self._values: list[npt.NDArray[np.float16]] = []

    def push(self, seconds: float, rgb: FrameArray) -> None:
        """Take the next frame, [36, 64, 3] RGB."""
        self._frames.append(rgb)
        self._seconds.append(seconds)
        if len(self._frames) == _BATCH:
            self._describe()

    def finish(self) -> PictureFeatures:
        """Features of all frames pushed: values float16 [F, 33, 16], a quarter of a second each."""
        if len(self._frames) % 2:  # an odd last frame stands still for its other half
            self.push(self._seconds[-1] + float(1 / FPS), self._frames[-1])
        if self._frames:
            self._describe()
        if not self._values:
            return PictureFeatures(np.zeros(0), np.zeros((0, PATCHES, CHANNELS), np.float16))
        return PictureFeatures(np.asarray(self._times), np.concatenate(self._values))

    def _describe(self) -> None:
        frames = np.stack(self._frames)
        self._values.append(describe(frames, self._before).astype(np.float16))
        pairs = zip(self._seconds[::2], self._seconds[1::2], strict=True)
        self._times += [(first + second) / 2 for first, second in pairs]
        self._before = frames[-1]
        self._frames, self._seconds = [], []


def _cells(plane: npt.NDArray[Any]) -> FloatArray:
    """Means [n, 32] over the cells of plane [n, 36, 64], row by row."""
    count = len(plane)
    cells = plane.reshape(count, ROWS, HEIGHT // ROWS, COLUMNS, WIDTH // COLUMNS)
    means: FloatArray = cells.mean(axis=(2, 4), dtype=np.float32)
    return means.reshape(count, -1)

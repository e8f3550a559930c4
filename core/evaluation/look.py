"""What the evaluation model is told of the picture: what changes, how much, and when; not where in the frame.

Nothing here depends on the place of a cell: means and spreads over the cells. Real footage and drawn scenes differ
in what they show where; in how they move and change they are alike.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from core.errors import MediaError
from core.vision.descriptors import ACTIVITY_SCALE, CHANNELS, FEATURE_SECONDS, GLOBAL, PATCHES, relative_to_cue
from core.vision.picture import PictureFeatures

FRAME_CHANNELS: Final = 29
PER_POSITION: Final = 2  # frames of a quarter of a second

FloatArray = npt.NDArray[np.float32]

_TINY = 1e-3
_STILL = 0.3  # spread of logarithms below which a window hardly changes


def slots(picture: PictureFeatures, start: float, end: float) -> npt.NDArray[np.float16] | FloatArray:
    """The descriptors [n, 33, 16] of every quarter of a second from start to end: of the frame nearest to its middle.

    MediaError where the picture isn't the starter's descriptors or holds none of that time.
    """
    if picture.values.shape[1:] != (PATCHES, CHANNELS):
        raise MediaError(
            f"the evaluator wants picture features of {PATCHES} x {CHANNELS} numbers a frame, not "
            f"{picture.values.shape[1:]}: encode the film with the evaluator's own encoder (open_encoder)"
        )
    if not len(picture.times) or picture.times[-1] < start - FEATURE_SECONDS:
        raise MediaError(f"the film has no picture from {start:.2f} s to {end:.2f} s: choose a span inside the film")
    middles = start + (np.arange(round((end - start) / FEATURE_SECONDS)) + 0.5) * FEATURE_SECONDS
    after = np.clip(np.searchsorted(picture.times, middles), 1, max(len(picture.times) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(picture.times) - 1)
    nearer = middles - picture.times[before] <= picture.times[after] - middles
    return picture.values[np.where(nearer, before, after)]


def look(patches: npt.NDArray[np.floating]) -> FloatArray:
    """Features [n, 29] of descriptors [n, 33, 16] of one window, a quarter of a second each.

    0-9 means over the cells, 10-13 liveliness within the window, 14 change of brightness, 15-20 spread over the
    cells, 21-22 strongest motion and flow, 23-25 novelty against the frame before (its logarithm, and relative to the
    window's own), 26-28 the same of activity and its change.
    """
    values = relative_to_cue(patches)
    whole, cells = values[:, GLOBAL], values[:, :GLOBAL]
    out = np.zeros((len(values), FRAME_CHANNELS), np.float32)
    out[:, :15] = whole[:, :15]
    out[:, 15:21] = cells[..., [0, 1, 2, 4, 5, 6]].std(axis=1)
    out[:, 21] = np.log(cells[..., 6].max(axis=1) / ACTIVITY_SCALE + _TINY)
    out[:, 22] = np.abs(cells[..., 8:10]).mean(axis=(1, 2))
    change = np.abs(np.diff(cells[..., :6], axis=0, prepend=cells[:1, :, :6])).mean(axis=(1, 2))
    out[:, 23:26] = _relative(change)
    out[:, 26:28] = _relative(whole[:, 6] / ACTIVITY_SCALE)[:, :2]
    out[:, 28] = np.diff(out[:, 26], prepend=out[:1, 26])
    return out


def _relative(curve: FloatArray) -> FloatArray:
    """[n, 3]: logarithm, the same less its mean, and that by its spread (a still picture stays still)."""
    log = np.log(curve + _TINY)
    about_mean = log - log.mean()
    return np.stack([log, about_mean, about_mean / (log.std() + _STILL)], axis=1).astype(np.float32)


def stack(frames: FloatArray) -> FloatArray:
    """Positions [n // 2, 2 * 29] of frames [n, 29]."""
    count = len(frames) // PER_POSITION
    return frames[: count * PER_POSITION].reshape(count, PER_POSITION * frames.shape[1])

"""The same film and the same music as other cameras, rooms and files would have them: for training the evaluator.

Cheap: what is changed are features, not pictures and sound. Nothing here moves anything in time by more than an
eighth of a second, or what belongs together would no longer be.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.evaluation.listen import BANDS, FLUX_BANDS
from core.vision.descriptors import ACTIVITY_SCALE, GLOBAL

FloatArray = npt.NDArray[np.float32]

_AS_IT_IS = 0.35  # share that stays


def another_camera(patches: npt.NDArray[np.floating], rng: np.random.Generator) -> FloatArray:
    """Descriptors [n, 33, 16] under another exposure, contrast, colour, crop, shake and grain."""
    out = patches.astype(np.float32)
    if rng.random() < _AS_IT_IS:
        return out
    contrast, colour, motion = np.exp(rng.normal(0.0, [0.2, 0.3, 0.4]))
    out[..., 0] = np.clip(out[..., 0] * contrast + rng.normal(0.0, 0.15), -1.0, 1.0)
    out[..., [3, 5]] *= contrast
    out[..., [1, 2]] = out[..., [1, 2]] * colour + rng.normal(0.0, 0.06, 2)
    out[..., 4] *= colour
    if rng.random() < 0.5:  # a part of the frame alone
        first, second = np.sort(rng.choice(9, 2, replace=False))
        cells = out[:, :GLOBAL].reshape(len(out), 4, 8, -1)[:, :, first:second]
        kept = np.repeat(cells.mean(axis=2, keepdims=True), 8, axis=2)
        kept[:, :, : second - first] = cells
        share = float(rng.uniform(0.3, 1.0))
        out[:, :GLOBAL, :10] += share * (kept.reshape(len(out), GLOBAL, -1)[..., :10] - out[:, :GLOBAL, :10])
        out[:, GLOBAL, :10] = out[:, :GLOBAL, :10].mean(axis=1)
    grain = float(rng.exponential(0.03)) if rng.random() < 0.5 else 0.0
    shake = float(rng.exponential(0.1)) * rng.random((len(out), 1)) if rng.random() < 0.15 else 0.0
    out[..., 6] = out[..., 6] * motion + grain + shake
    if rng.random() < 0.15:  # a still moment, as when a coder repeats a frame
        out[rng.integers(len(out), size=len(out) // 20), :, 6] = 0.0
    out[..., 7] = np.log(out[..., 6] / ACTIVITY_SCALE + 1e-3) / 3.0 + 1.0
    return out


def another_recording(frames: npt.NDArray[np.floating], rng: np.random.Generator) -> FloatArray:
    """Sound frames [n, 49] in another key, mix, file or room."""
    out = frames.astype(np.float32)
    if rng.random() < _AS_IT_IS:
        return out
    if rng.random() < 0.5:
        out = _other_speed(out, float(rng.uniform(0.98, 1.02)))
    out = np.roll(out, int(rng.integers(-2, 3)), axis=0)  # up to an eighth of a second early or late
    bands, flux = out[:, :BANDS], out[:, BANDS : BANDS + FLUX_BANDS]
    chroma, level = out[:, BANDS + FLUX_BANDS : -1], out[:, -1:]
    flux *= np.exp(rng.normal(0.0, 0.35, FLUX_BANDS)).astype(np.float32)
    flux += np.abs(rng.normal(0.0, float(rng.exponential(0.03)), flux.shape)).astype(np.float32)
    tilt, curve = rng.normal(0.0, [0.3, 0.15])
    place = np.linspace(-1, 1, BANDS)
    bands += (tilt * place + curve * (place**2 - 0.33) + rng.normal(0.0, 0.08, BANDS)).astype(np.float32)
    dynamics = float(rng.uniform(0.5, 1.3))  # a compressor, or the opposite
    squeezed = (dynamics - 1.0) * (level - level.mean())
    bands += squeezed
    level += squeezed
    if rng.random() < 0.3:  # no treble
        top = int(rng.integers(14, BANDS))
        bands[:, top:] = np.minimum(bands[:, top:], bands.min())
        flux[:, (top * FLUX_BANDS) // BANDS + 1 :] *= 0.1
    if rng.random() < 0.15:  # no bass
        bands[:, : int(rng.integers(1, 8))] = bands.min()
        flux[:, 0] *= 0.2
    if rng.random() < 0.4:  # noise
        noise = float(rng.uniform(-3.2, -1.2))
        bands[:] = 0.5 * np.log10(10 ** (2 * bands) + 10 ** (2 * (noise + 0.2 * place)))
        level[:] = 0.5 * np.log10(10 ** (2 * level) + 10 ** (2 * noise))
    level += rng.normal(0.0, 0.01, level.shape)
    chroma[:] = np.roll(chroma, int(rng.integers(12)), axis=1) ** float(rng.uniform(0.7, 1.5))
    return out


def _other_speed(frames: FloatArray, speed: float) -> FloatArray:
    """The middle stays where it is; a span of 30 s ends at most 0.3 s off."""
    middle = (len(frames) - 1) / 2
    at = np.clip(middle + (np.arange(len(frames)) - middle) * speed, 0, len(frames) - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(frames) - 1)
    share = (at - low)[:, None].astype(np.float32)
    between: FloatArray = frames[low] * (1 - share) + frames[high] * share
    return between

"""Patch descriptors: what moves, where, how much, and how lively a moment is within its cue."""

import numpy as np
import pytest

from core.vision.descriptors import GLOBAL, HEIGHT, WIDTH, PatchDescriptors, describe, relative_to_cue


def moving_square(count: int, speed: int, size: int = 9) -> np.ndarray:
    """A white square on grey that moves `speed` pixels a frame to the right."""
    frames = np.full((count, HEIGHT, WIDTH, 3), 90, np.uint8)
    for index, frame in enumerate(frames):
        left = (index * speed) % (WIDTH - size)
        frame[9 : 9 + size, left : left + size] = 250
    return frames


def test_a_still_picture_has_no_motion_and_a_moving_one_has() -> None:
    still, moving = describe(moving_square(16, 0)), describe(moving_square(16, 3))
    assert still[:, GLOBAL, 6].max() == 0.0
    assert moving[:, GLOBAL, 6].min() > 0.01


def test_motion_is_found_in_the_cells_where_it_is() -> None:
    motion = describe(moving_square(16, 2))[:, :GLOBAL, 6].mean(axis=0).reshape(4, 8)
    assert motion[1].sum() > 0.95 * motion.sum()  # the square moves in the second row of cells


def test_direction_of_motion_is_seen() -> None:
    ramp = np.tile(np.linspace(0, 255, WIDTH), (HEIGHT, 1))
    right = np.stack([np.roll(ramp, shift, axis=1) for shift in range(8)])
    frames = np.repeat(right[..., None], 3, axis=-1).astype(np.uint8)
    flow = describe(frames)[1:, :GLOBAL, 8].reshape(-1, 4, 8)[:, :, 3:7]
    assert flow.mean() > 0.5


@pytest.mark.parametrize("count", [0, 1, 2, 7, 64, 131])
def test_feeding_frame_by_frame_gives_what_the_whole_gives(count: int) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (count, HEIGHT, WIDTH, 3), dtype=np.uint8)
    encoder = PatchDescriptors()
    for index, frame in enumerate(frames):
        encoder.push(index / 8, frame)
    features = encoder.finish()
    whole = describe(np.concatenate([frames, frames[-1:]]) if count % 2 else frames)
    assert features.values.shape == (-(-count // 2), 33, 16)
    assert np.allclose(features.values, whole.astype(np.float16), atol=2e-3)
    assert np.allclose(features.times, (np.arange(len(whole)) * 2 + 0.5) / 8)


def test_liveliness_is_relative_to_the_cue_but_a_steady_picture_stays_steady() -> None:
    quiet_then_busy = np.concatenate([moving_square(80, 1), moving_square(80, 6)])
    lively = relative_to_cue(describe(quiet_then_busy))[:, GLOBAL, 10]
    assert lively[:30].mean() < -0.7
    assert lively[-30:].mean() > 0.7
    calm = relative_to_cue(describe(quiet_then_busy // 8))[:, GLOBAL, 10]
    assert np.corrcoef(lively, calm)[0, 1] > 0.95
    steady = relative_to_cue(describe(moving_square(160, 2)))[:, GLOBAL, 10]
    assert np.abs(steady).mean() < 0.6

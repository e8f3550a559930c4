"""The one pass through the pictures gives an encoder the frames at the size and the moments it asks for."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import clips
import numpy as np
import pytest
from conftest import ClipFactory

from core.vision.picture import FrameArray, PictureFeatures
from gvm_plugin.film_source import FileSource
from gvm_plugin.picture_pass import watch


class Recorder:
    """Keeps the frames it is given."""

    fps = Fraction(1)

    def __init__(self, width: int | None, height: int | None) -> None:
        self.width, self.height = width, height
        self.frames: list[tuple[float, FrameArray]] = []

    def push(self, seconds: float, rgb: FrameArray) -> None:
        self.frames.append((seconds, rgb))

    def finish(self) -> PictureFeatures:
        return PictureFeatures(np.zeros(0), np.zeros((0, 1, 1), np.float32))


@pytest.mark.parametrize(
    ("size", "shape"), [((None, None), (54, 96, 3)), ((32, 18), (18, 32, 3))], ids=["as shown", "small"]
)
def test_frames_have_the_size_that_is_asked_for(
    size: tuple[int | None, int | None], shape: tuple[int, ...], clip_factory: ClipFactory
) -> None:
    encoder = Recorder(*size)
    watch(FileSource(clip_factory("film", seconds=2.5, size=(96, 54))), encoder, 2.5, None)
    assert [seconds for seconds, _ in encoder.frames] == [0.0, 1.0, 2.0]
    assert {rgb.shape for _, rgb in encoder.frames} == {shape}
    assert all(rgb.dtype == np.uint8 and rgb.std() > 5 for _, rgb in encoder.frames)


def test_a_film_held_upright_is_seen_upright(clip_factory: ClipFactory, tmp_path: Path) -> None:
    level = clip_factory("film", seconds=1, size=(96, 54))
    seen = []
    for path in (level, clips.rotated(level, tmp_path / "portrait.mp4", -90)):
        encoder = Recorder(None, None)
        watch(FileSource(path), encoder, 1, None)
        seen.append(encoder.frames[0][1])
    assert seen[1].shape == (96, 54, 3)
    np.testing.assert_array_equal(np.rot90(seen[1]), seen[0])


@pytest.mark.parametrize("rate", [8, 12, 24])
def test_quick_cuts_are_seen_at_any_rate(rate: int, clip_factory: ClipFactory) -> None:
    """PySceneDetect merges shots of fewer than 15 pictures, which are 1.9 s at 8 a second."""
    film = clip_factory("film", seconds=4, fps=Fraction(rate), cuts=(1.0, 1.75, 2.5))
    seen = watch(FileSource(film), Recorder(32, 18), 4, None)
    assert [seconds for seconds, _ in seen.cuts] == pytest.approx([1.0, 1.75, 2.5], abs=1 / rate)

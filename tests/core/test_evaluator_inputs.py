"""What the evaluation model is told of picture and music: what must matter does, what mustn't doesn't."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from core.errors import MediaError
from core.evaluation import listen
from core.evaluation.config import EvaluatorConfig
from core.evaluation.look import FRAME_CHANNELS, PER_POSITION, look, slots, stack
from core.training.evaluator_augment import another_camera, another_recording
from core.vision.descriptors import CHANNELS, GLOBAL, PATCHES
from core.vision.picture import PictureFeatures

RATE = listen.RATE


def beats(seconds: float = 10.0, every: float = 0.5, pitch: float = 440.0) -> npt.NDArray[np.float32]:
    """A decaying tone every so many seconds."""
    times = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.exp(-8 * (times % every)) * np.sin(2 * np.pi * pitch * times)).astype(np.float32)


def moving(seconds: float = 10.0) -> npt.NDArray[np.float32]:
    """Descriptors of a picture that moves in its second half only."""
    frames = round(seconds * 4)
    patches = np.random.default_rng(0).normal(0, 0.01, (frames, PATCHES, CHANNELS)).astype(np.float32)
    patches[..., 6] = 0.01
    patches[frames // 2 :, :, 6] = 0.8
    return patches


def test_rows_are_as_wide_as_the_model_expects() -> None:
    rows = listen.positions(listen.listen(beats()))
    assert rows.shape == (20, EvaluatorConfig().music_channels)
    assert stack(look(moving())).shape == (20, EvaluatorConfig().video_channels)
    assert EvaluatorConfig().video_channels == FRAME_CHANNELS * PER_POSITION


@pytest.mark.parametrize("gain", [0.001, 0.1, 3.0])
def test_gain_says_nothing(gain: float) -> None:
    sound = beats() + 0.01 * np.random.default_rng(0).normal(size=10 * RATE).astype(np.float32)
    there, quieter = (listen.positions(listen.listen(s)) for s in (sound, sound * np.float32(gain)))
    assert np.abs(there - quieter).max() < 0.02


def test_beginnings_are_heard_when_they_are() -> None:
    frames = listen.listen(beats(4.0, every=1.0)).astype(np.float32)
    flux = frames[:, listen.BANDS : listen.BANDS + listen.FLUX_BANDS].sum(axis=1)
    loudest = sorted(np.argsort(flux[4:])[-3:] + 4)
    assert all(abs(frame / listen.FRAME_RATE - beat) < 0.13 for frame, beat in zip(loudest, (1, 2, 3), strict=True))


def test_the_key_says_nothing_and_the_scale_does() -> None:
    def chord(*semitones: int) -> npt.NDArray[np.float32]:
        times = np.arange(4 * RATE) / RATE
        tones = [np.sin(2 * np.pi * 261.63 * 2 ** (s / 12) * times) for s in semitones]
        chroma = listen.positions(listen.listen(np.sum(tones, axis=0).astype(np.float32) * 0.1))[2, 72:84]
        return chroma

    major, higher, minor = chord(0, 4, 7), chord(3, 7, 10), chord(0, 3, 7)
    assert np.abs(major - higher).max() < 0.35
    assert np.abs(major - minor).max() > 0.5


def test_levels_are_relative_to_the_window() -> None:
    sound = beats(12.0)
    sound[: 6 * RATE] *= 0.1
    level = listen.positions(listen.listen(sound))[:, 84]
    assert abs(float(level.mean())) < 1e-3
    assert level[:10].mean() < -0.3 < 0.3 < level[-10:].mean()


def test_any_rate_and_number_of_channels_is_heard_alike() -> None:
    import soxr

    sound = beats()
    stereo = np.stack([sound, sound])
    high = soxr.resample(stereo.T, RATE, 48_000).T
    plain, resampled = (
        listen.positions(listen.listen(listen.to_mono(s, r))) for s, r in ((stereo, RATE), (high, 48_000))
    )
    assert np.corrcoef(plain[:, :32].ravel(), resampled[:, :32].ravel())[0, 1] > 0.99


def test_what_is_no_sound_is_refused() -> None:
    with pytest.raises(MediaError, match="no numbers"):
        listen.to_mono(np.array([0.0, np.nan], np.float32), RATE)
    with pytest.raises(MediaError, match=r"not \[1, 2, 3\]"):
        listen.to_mono(np.zeros((1, 2, 3), np.float32), RATE)
    with pytest.raises(MediaError, match=r"\[samples\] or \[channels, samples\]"):
        listen.to_mono(np.zeros((16_000, 2), np.float32), RATE)  # the wrong way round


def test_silence_is_silence_beside_something_loud() -> None:
    assert listen.is_silent(np.zeros(100, np.float32))
    assert not listen.is_silent(beats() * np.float32(0.001))
    assert listen.is_silent(beats() * np.float32(0.001), loudest=1.0)


def test_the_moving_half_is_told_from_the_still_one() -> None:
    rows = look(moving())
    assert rows[:18, 26].mean() < rows[22:, 26].mean() - 1.0  # logarithm of activity
    assert rows[:18, 10].mean() < 0 < rows[22:, 10].mean()  # liveliness within the window


def test_mirrored_cells_look_the_same() -> None:
    patches = moving()
    mirrored = patches.copy()
    mirrored[:, :GLOBAL] = patches[:, :GLOBAL].reshape(-1, 4, 8, CHANNELS)[:, :, ::-1].reshape(-1, GLOBAL, CHANNELS)
    assert np.allclose(look(patches), look(mirrored), atol=1e-5)


def test_each_quarter_of_a_second_takes_the_frame_nearest_to_it() -> None:
    times = np.array([0.1, 0.9, 1.1])
    values = np.arange(3, dtype=np.float32)[:, None, None] * np.ones((1, PATCHES, CHANNELS), np.float32)
    found = slots(PictureFeatures(times, values), 0.0, 1.5)[:, 0, 0]
    assert found.tolist() == [0, 0, 1, 1, 2, 2]


def test_pictures_of_another_encoder_are_refused() -> None:
    with pytest.raises(MediaError, match="evaluator's own encoder"):
        slots(PictureFeatures(np.arange(8.0), np.zeros((8, 577, 1024), np.float32)), 0.0, 8.0)
    with pytest.raises(MediaError, match="no picture from 20"):
        slots(PictureFeatures(np.arange(8.0), np.zeros((8, PATCHES, CHANNELS), np.float32)), 20.0, 28.0)


def test_augmentation_keeps_shapes_and_what_happens_when() -> None:
    patches, frames = moving(), listen.listen(beats(every=1.0))
    rng = np.random.default_rng(0)
    for _ in range(20):
        seen, heard = another_camera(patches, rng), another_recording(frames, rng)
        assert seen.shape == patches.shape
        assert heard.shape == frames.shape
        assert np.isfinite(seen).all()
        assert np.isfinite(heard).all()
        assert look(seen)[:18, 26].mean() < look(seen)[22:, 26].mean()
    assert patches.max() == moving().max()  # the originals stay

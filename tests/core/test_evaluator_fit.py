"""The evaluator that ships, on scenes it hasn't seen: whose music is whose, in step or not; and what can go wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from core import checkpoint
from core.errors import MediaError, ModelError
from core.evaluation.fit import DESCRIPTION, MODEL, WEIGHTS, FitModel, Mismatched, plan
from core.starter.sound_corpus import SOUND_RATE, sound_scene
from core.vision.descriptors import CHANNELS, PATCHES
from core.vision.picture import PictureFeatures

Sound = npt.NDArray[np.float32]
Film = tuple[PictureFeatures, Sound]


@pytest.fixture(scope="module")
def fit() -> FitModel:
    return FitModel.load()


@pytest.fixture(scope="module")
def films() -> list[Film]:
    """Two scenes of no corpus, composed for and drawn here and now, and their music as sound."""
    made = [sound_scene(seed) for seed in (9_000_001, 9_000_003)]
    return [(PictureFeatures(s.frame_times, s.patches), np.asarray(s.sound / 32768, np.float32)) for s in made]


def joined(films: list[Film]) -> Film:
    """One after the other, 30 s each."""
    pictures = [film[0].between(0, 30) for film in films]
    times = np.concatenate([picture.times + 30 * i for i, picture in enumerate(pictures)])
    sound = np.concatenate([film[1][: 30 * SOUND_RATE] for film in films])
    return PictureFeatures(times, np.concatenate([p.values for p in pictures])), sound


def test_a_film_prefers_its_own_music(fit: FitModel, films: list[Film]) -> None:
    pictures, sounds = [film[0] for film in films], [film[1] for film in films]
    for matrix in (fit.matrix(pictures, sounds, SOUND_RATE), fit.matrix_ta(pictures, sounds, SOUND_RATE)):
        assert matrix.shape == (2, 2)
        assert (matrix.argmax(axis=1) == [0, 1]).all()
        assert (matrix.argmax(axis=0) == [0, 1]).all()


@pytest.mark.parametrize("seconds", [4.0, 7.5])
def test_music_out_of_step_fits_less(fit: FitModel, films: list[Film], seconds: float) -> None:
    for picture, sound in films:
        own = fit.score(picture, sound, SOUND_RATE, (0, 30))
        later = fit.score(picture, np.roll(sound, round(seconds * SOUND_RATE)), SOUND_RATE, (0, 30))
        assert later.ta < own.ta / 2
        assert later.cmr < own.cmr
        assert own.ta_percentile > 90
        assert own.cmr_percentile > 90


def test_gain_channels_and_rate_change_nothing_that_matters(fit: FitModel, films: list[Film]) -> None:
    import soxr

    picture, sound = films[0]
    plain = fit.score(picture, sound, SOUND_RATE)
    stereo = soxr.resample(np.stack([sound, sound]).T * 0.05, SOUND_RATE, 48_000).T
    other = fit.score(picture, np.ascontiguousarray(stereo), 48_000)
    assert other.cmr == pytest.approx(plain.cmr, abs=0.02)
    assert other.ta == pytest.approx(plain.ta, abs=0.02)


def test_a_long_film_is_judged_window_by_window(fit: FitModel, films: list[Film]) -> None:
    picture, sound = joined([*films, films[0]])
    found = fit.score(picture, sound, SOUND_RATE)
    assert [(w.start, w.end) for w in found.windows] == [(0, 30), (15, 45), (30, 60), (45, 75), (60, 90)]
    assert found.cmr == pytest.approx(np.mean([w.cmr for w in found.windows]))
    assert len(found.curve) == len(found.curve_times) == 180
    assert found.curve_times[[0, -1]].tolist() == [0.25, 89.75]
    assert bool(((found.curve >= 0) & (found.curve <= 1)).all())
    alone = fit.score(picture, sound, SOUND_RATE, (0, 30))
    assert alone.cmr == pytest.approx(found.windows[0].cmr)  # what comes later changes nothing


def test_where_the_music_is_silent_nothing_is_judged(fit: FitModel, films: list[Film]) -> None:
    picture, sound = joined([*films, films[0]])
    sound = sound.copy()
    sound[30 * SOUND_RATE : 60 * SOUND_RATE] = 0
    found = fit.score(picture, sound, SOUND_RATE)
    assert (30, 60) not in [(w.start, w.end) for w in found.windows]
    assert len(found.windows) == 4


def test_windows_end_with_the_film() -> None:
    assert plan(0.0, 20.3, 2.0) == [(0.0, 20.0)]
    assert plan(2.0, 32.0, 2.0) == [(2.0, 32.0)]
    assert plan(0.0, 31.2, 2.0) == [(0.0, 30.0), (1.0, 31.0)]
    assert plan(10.0, 60.0, 2.0) == [(10.0, 40.0), (25.0, 55.0), (30.0, 60.0)]


def test_percentiles_are_shares_of_mismatched_pairs() -> None:
    known = Mismatched((10.0, 30.0), (tuple(np.linspace(0, 1, 101)), tuple(np.linspace(0, 0.5, 101))), ())
    assert known.percentile("cmr", 0.25, 30.0) == pytest.approx(50)
    assert known.percentile("cmr", 0.25, 10.0) == pytest.approx(25)
    assert known.percentile("cmr", 0.255, 10.0) == pytest.approx(25.5)
    assert (known.percentile("cmr", -1.0, 20.0), known.percentile("cmr", 2.0, 20.0)) == (0, 100)
    assert np.isnan(Mismatched().percentile("cmr", 0.5, 30.0))


# --- what can go wrong -------------------------------------------------------------------------------------------


def still(seconds: float) -> PictureFeatures:
    frames = round(seconds * 4)
    return PictureFeatures((np.arange(frames) + 0.25) / 4, np.zeros((frames, PATCHES, CHANNELS), np.float16))


def test_silence_and_too_little_are_said_in_one_line(fit: FitModel) -> None:
    with pytest.raises(MediaError, match=r"the music is silent from 0\.0 s to"):
        fit.score(still(10), np.zeros(10 * SOUND_RATE, np.float32), SOUND_RATE)
    noise = np.random.default_rng(0).normal(0, 0.1, 10 * SOUND_RATE).astype(np.float32)
    with pytest.raises(MediaError, match=r"have 5\.0 s in common: at least 6 s"):
        fit.score(still(10), noise[: 5 * SOUND_RATE], SOUND_RATE)
    with pytest.raises(MediaError, match=r"have 3\.0 s in common"):
        fit.score(still(10), noise, SOUND_RATE, (2, 5))
    with pytest.raises(MediaError, match="evaluator's own encoder"):
        fit.score(PictureFeatures(np.arange(10.0), np.zeros((10, 577, 8), np.float32)), noise, SOUND_RATE)
    with pytest.raises(MediaError, match="music number 2 is silent"):
        fit.matrix([still(10)], [noise, noise * 0], SOUND_RATE)
    with pytest.raises(MediaError, match="nothing to compare"):
        fit.matrix([], [noise], SOUND_RATE)


def test_a_still_picture_under_noise_gets_numbers_all_the_same(fit: FitModel) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 10 * SOUND_RATE)).astype(np.float32)
    found = fit.score(still(10), noise, SOUND_RATE)
    assert np.isfinite([found.cmr, found.ta, *found.curve]).all()


def test_damaged_or_missing_weights_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(WEIGHTS, folder)
    data = bytearray((folder / MODEL).read_bytes())
    data[-1] ^= 1
    (folder / MODEL).write_bytes(data)
    with pytest.raises(ModelError, match=r"hash differs.*gvm train evaluator"):
        FitModel.load(folder)
    (folder / MODEL).unlink()
    with pytest.raises(ModelError, match=r"evaluator\.safetensors is missing"):
        FitModel.load(folder)
    about = json.loads((folder / DESCRIPTION).read_text())
    (folder / DESCRIPTION).write_text(json.dumps(about | {"format": 99}))
    with pytest.raises(ModelError, match="later gvm"):
        FitModel.load(folder)
    (folder / DESCRIPTION).write_text("{")
    with pytest.raises(ModelError, match="can't be read"):
        FitModel.load(folder)
    (folder / DESCRIPTION).unlink()
    with pytest.raises(ModelError, match=r"evaluator\.json is missing"):
        FitModel.load(folder)


def test_a_device_that_is_not_there_is_no_fault_of_the_weights() -> None:
    with pytest.raises(ModelError, match="there is no device 'foo'; take cpu or cuda") as caught:
        FitModel.load(device="foo")
    assert "reinstall" not in str(caught.value)


def test_what_ships_is_small_described_and_free(fit: FitModel) -> None:
    assert (WEIGHTS / MODEL).stat().st_size < 3_000_000
    assert checkpoint.sha256(WEIGHTS / MODEL) == fit.sha256
    assert fit.about["licence"] == "CC0-1.0"
    measured = fit.about["measured"]
    assert measured["retrieval"]["batch"] == 16
    card = (WEIGHTS / "MODEL_CARD.md").read_text("utf-8")
    shares = [measured["retrieval"][way] for way in ("video_to_music", "music_to_video")]
    for value in (*shares, measured["shifted_30s"]["auc_ta"]):
        assert f"{100 * value:.1f} %" in card or f"{value:.3f}" in card, value
    assert fit.sha256[:12] in card
    assert fit.mismatched.seconds == (6.0, 10.0, 15.0, 20.0, 30.0)

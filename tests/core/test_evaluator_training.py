"""Training the evaluator: what a step sees, that it learns, what it writes, and what stops it."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import write_clip
from tiny_published import write_tiny

from core.errors import DatasetError, GVMError, ModelError
from core.evaluation.config import EvaluatorConfig
from core.evaluation.fit import FitModel
from core.published.importer import import_checkpoint
from core.starter.sound_corpus import SOUND_RATE, SoundScene, save_scenes
from core.training import evaluator_films
from core.training.evaluator import EvaluatorRecipe, check_evaluator, learn, losses, new_evaluator, train_evaluator
from core.training.evaluator_check import auc, check
from core.training.evaluator_data import DESCRIPTORS, Film, View, cut, draw, turned
from core.training.manifest import Pair, write_dataset
from core.vision.descriptors import CHANNELS, PATCHES

QUICK = EvaluatorRecipe(steps=3, batch=4, hidden=16, heads=2, layers=1, warmup=2)


def quiet(_: str) -> None:
    pass


def plain(rows: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    return rows.astype(np.float32)


PLAIN = View(plain, plain, plain, plain)


def films(count: int, seed: int = 0) -> list[Film]:
    """Films of 32 s whose picture and music, 6 numbers each twice a second, are different views of the same 3."""
    rng = np.random.default_rng(seed)
    see, hear = np.random.default_rng(99).normal(size=(2, 3, 6))
    made = []
    for _ in range(count):
        shared = np.repeat(rng.normal(size=(32, 3)), 2, axis=0)
        made.append(Film((shared @ see).astype(np.float16), (shared @ hear).astype(np.float16), 2.0, 2.0))
    return made


def scene(seed: int) -> SoundScene:
    """Half noise, half silence in turns, seen and heard alike; nothing composed, so that it takes no time."""
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.random(16) > 0.5, 2).astype(np.float32)
    patches = np.zeros((128, PATCHES, CHANNELS), np.float16)
    patches[..., 6] = np.repeat(loud, 4)[:, None] + 0.01
    sound = rng.normal(0, 3000, 32 * SOUND_RATE) * (0.05 + np.repeat(loud, SOUND_RATE))
    times = (np.arange(128) + 0.25) / 4
    frames = np.zeros((1, 1, 1, 3), np.uint8)
    return SoundScene(patches, times, frames, sound.astype(np.int16), np.zeros((0, 2)), np.array("made=up"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    save_scenes([scene(i) for i in range(4)], folder / "sound-0000.npz")
    save_scenes([scene(10 + i) for i in range(6)], folder / "sound-0008.npz")
    return folder


# --- learning ----------------------------------------------------------------------------------------------------


def test_a_few_steps_lower_the_loss_and_the_held_out_ones_are_told_apart() -> None:
    config = EvaluatorConfig(video_channels=6, music_channels=6, hidden=16, heads=2, layers=1, dropout=0.0)
    recipe = EvaluatorRecipe(steps=30, batch=8, warmup=3, learning_rate=8e-3, ema=0.8)
    learned_from, held = films(40), films(24, seed=1)
    model = new_evaluator(config, learned_from, PLAIN, seed=0)
    windows = draw(held, PLAIN, 8, 5, 0, 0.5)
    with torch.inference_mode():
        before = losses(model.eval(), windows)
    learned, steps = learn(model, learned_from, PLAIN, recipe, say=quiet)
    with torch.inference_mode():
        after = losses(learned, windows)
    assert steps == 30
    assert float(after["cmr"]) < 0.5 * float(before["cmr"])
    assert float(after["ta"]) < float(before["ta"])
    figures = check(learned, held, PLAIN, batch=8, draws=2)
    assert figures["retrieval"]["video_to_music"] > 0.9
    low, high = figures["retrieval"]["video_to_music_interval"]
    assert 0.7 < low <= figures["retrieval"]["video_to_music"] <= high <= 1.0
    assert figures["shifted_30s"]["auc_ta"] > 0.9


def test_the_same_steps_give_the_same_weights() -> None:
    config = EvaluatorConfig(video_channels=6, music_channels=6, hidden=8, heads=2, layers=1)
    recipe = EvaluatorRecipe(steps=3, batch=4)
    state = [
        learn(new_evaluator(config, films(8), PLAIN, 1), films(8), PLAIN, recipe, say=quiet)[0].state_dict()
        for _ in range(2)
    ]
    assert all(torch.equal(state[0][name], state[1][name]) for name in state[0])


def test_a_step_sees_what_seed_and_number_say() -> None:
    again = [draw(films(9), PLAIN, 4, 3, step, 0.5) for step in (7, 7, 8)]
    assert torch.equal(again[0].video, again[1].video)
    assert again[0].video.shape != again[2].video.shape or not torch.equal(again[0].video, again[2].video)


def test_music_out_of_step_is_the_same_film_elsewhere() -> None:
    """In the films above picture and music are the same 3 numbers, so what fits can be computed: music from picture."""
    many = films(6)
    view = np.linalg.lstsq(
        *(np.concatenate(side).astype(float) for side in ([f.music for f in many], [f.picture for f in many])),
        rcond=None,
    )[0]
    for step in range(12):
        windows = draw(many, PLAIN, 6, 1, step, 0.5)
        own = (windows.music.double() @ torch.from_numpy(view) - windows.video.double()).square().mean((1, 2))
        away = (windows.shifted.double() @ torch.from_numpy(view) - windows.video.double()).square().mean((1, 2))
        assert float(own.max()) < 0.01 < 0.1 < float(away.min())


def test_windows_and_turns_are_exact() -> None:
    film = Film(np.arange(128, dtype=np.float16)[:, None], np.arange(512, dtype=np.float16)[:, None], 4.0, 16.0)
    picture, music = cut(film, 2.0, 10.0)
    assert (len(picture), float(picture[0, 0]), len(music), float(music[0, 0])) == (40, 8, 160, 32)
    assert float(turned(music, 16.0, 1.0)[0, 0]) == 48
    assert float(turned(music, 16.0, 1.0)[-1, 0]) == 47


def test_auc_counts_ties_half() -> None:
    assert auc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1.0
    assert auc(np.array([1.0]), np.array([1.0])) == 0.5
    assert auc(np.array([1.0, 3.0]), np.array([2.0])) == 0.5


# --- from a folder to weights ------------------------------------------------------------------------------------


def test_a_sound_corpus_becomes_an_evaluator_that_can_be_loaded(corpus: Path, tmp_path: Path) -> None:
    told: list[str] = []
    found = train_evaluator(corpus, tmp_path / "out", QUICK, say=told.append)
    assert sum("hearing" in line for line in told) == 2
    fit = FitModel.load(tmp_path / "out")
    assert found["sha256"] == fit.sha256
    assert fit.about["training"]["films"] == 6
    assert fit.about["measured"]["films"] == 4
    assert len(fit.mismatched.cmr[0]) == 101
    again: list[str] = []
    checked = check_evaluator(corpus, tmp_path / "out", say=again.append)
    assert checked["retrieval"] == found["retrieval"]
    assert again == []  # features were kept
    assert check_evaluator(corpus, tmp_path / "out", unseen=True, say=quiet)["films"] == 10
    with pytest.raises(ModelError, match="has 0 films to check with"):
        check_evaluator(tmp_path, tmp_path / "out", unseen=True, say=quiet)
    further = train_evaluator(corpus, tmp_path / "more", QUICK, start_from=tmp_path / "out", say=quiet)
    assert FitModel.load(tmp_path / "more").about["training"]["start_from"] == found["sha256"] != further["sha256"]
    with pytest.raises(ModelError, match="is of other sizes: missing 20"):
        train_evaluator(corpus, tmp_path / "more", EvaluatorRecipe(steps=1, batch=4), start_from=tmp_path / "out")
    json.dumps(checked)


def test_a_data_set_becomes_an_evaluator_on_a_published_models_features(tmp_path: Path) -> None:
    """Tiny random weights in the published format: pictures through the tower, music through EnCodec."""
    data = tmp_path / "data"
    pairs = []
    for index in range(4):
        name = f"{index:04d}"
        for kind in ("clips", "music"):
            (data / kind).mkdir(parents=True, exist_ok=True)
        write_clip(data / "clips" / f"{name}.mp4", 8, Fraction(10), (64, 36), (2.0 + index / 2,), None)
        noise = np.random.default_rng(index).normal(0, 0.1, 8 * 32_000).astype(np.float32)
        soundfile.write(data / "music" / f"{name}.flac", noise, 32_000)
        split = "train" if index < 2 else "test"
        files = {"clip": f"clips/{name}.mp4", "music": f"music/{name}.flac"}
        pairs.append(Pair(name, split, f"film{index}.mp4", f"{index:064d}", 0.0, 8.0, group=f"g{index}", **files))
    write_dataset(data, pairs, None, "test")
    model = import_checkpoint(write_tiny(tmp_path / "published"), tmp_path / "tiny", "tiny").folder
    recipe = EvaluatorRecipe(steps=2, batch=2, features="published", hidden=8, heads=2, layers=1)
    train_evaluator(data, tmp_path / "out", recipe, model=model, say=quiet)
    fit = FitModel.load(tmp_path / "out")
    assert fit.model.config.video_channels == 24  # of the tiny model
    encoder = fit.open_encoder()
    for second in range(8):
        encoder.push(float(second), np.full((36, 64, 3), 20 * second, np.uint8))
    sound = np.random.default_rng(0).normal(0, 0.1, 8 * 32_000).astype(np.float32)
    found = fit.score(encoder.finish(), sound, 32_000)
    assert np.isfinite([found.cmr, found.ta]).all()
    with pytest.raises(ModelError, match="need that model"):
        train_evaluator(data, tmp_path / "out", recipe, say=quiet)
    pairs[0] = Pair("0000", "train", "film0.mp4", f"{0:064d}", 0.0, 8.0, group="g0", music="music/0000.flac",
                    features={"other": "features/other/0000.npz"})  # fmt: skip
    write_dataset(data, pairs, None, "test")
    for kept in (data / "evaluator-features").iterdir():
        kept.unlink()
    with pytest.raises(DatasetError, match="0000 has no clip"):
        train_evaluator(data, tmp_path / "out", recipe, model=model, say=quiet)
    pairs[0] = dataclasses.replace(pairs[0], codes="codes/0000.npz", music=None)
    write_dataset(data, pairs, None, "test")
    with pytest.raises(DatasetError, match="0000 has no music file to hear; build the data set without --no-music"):
        train_evaluator(data, tmp_path / "out", recipe, model=model, say=quiet)


@pytest.mark.parametrize("content", [b"", b"PK\3\4" + bytes(300)])
def test_damaged_features_are_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "film.npz").write_bytes(content)
    with pytest.raises(ModelError, match=r"film\.npz is damaged .*delete it, it is made again"):
        evaluator_films._kept(tmp_path / "film.npz")


def test_what_stops_training_is_said_in_one_line(corpus: Path, tmp_path: Path) -> None:
    def refused(data: Path, recipe: EvaluatorRecipe = QUICK) -> str:
        with pytest.raises(GVMError) as caught:
            train_evaluator(data, tmp_path / "out", recipe, say=quiet)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()
        return str(caught.value)

    assert "neither a sound corpus" in refused(tmp_path)
    assert "6 films to learn from and 4 held out" in refused(corpus, EvaluatorRecipe(steps=1, batch=16))
    (tmp_path / "sound-0009.npz").write_bytes(b"cut short")
    assert "sound-0009.npz is not a whole file" in refused(tmp_path)
    with pytest.raises(ValueError, match="features is 'other'"):
        EvaluatorRecipe(features="other")
    with pytest.raises(ValueError, match="minutes and learning rate above 0"):
        EvaluatorRecipe(minutes=float("nan"))


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    config = EvaluatorConfig(video_channels=6, music_channels=6, hidden=8, heads=2, layers=1)
    model = new_evaluator(config, films(4), PLAIN, 1)
    with torch.no_grad():
        model.video_linear.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="lower the learning rate"):
        learn(model, films(4), PLAIN, EvaluatorRecipe(steps=2, batch=4), say=quiet)


def test_descriptors_are_what_the_corpus_keeps(corpus: Path) -> None:
    made = scene(0)
    film = Film(made.patches, np.zeros((512, 49), np.float16), 4.0, 16.0)
    picture, music = cut(film, 0.0, 30.0)
    assert DESCRIPTORS.see(picture).shape == (60, EvaluatorConfig().video_channels)
    assert DESCRIPTORS.hear(music).shape == (60, EvaluatorConfig().music_channels)

"""The proof's script goes all the way on a few made-up scenes, and its measures know right from wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import prove_training
from proof_measures import (
    Losses,
    activity_curve,
    correspondence,
    energy_curve,
    interval,
    loss_table,
    spectral_embeddings,
)

from core import checkpoint
from core.evaluation.frechet import frechet_distance
from core.training.codec import codec_info
from core.training.manifest import read_dataset


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object], list[str]]:
    work, said = tmp_path_factory.mktemp("proof"), []
    plan = prove_training.QUICK
    return work, prove_training.prove(work, work / "sound", plan, work / "docs", said.append), said


def test_from_nothing_to_figures_and_pictures(proof: tuple[Path, dict[str, object], list[str]]) -> None:
    work, figures, _ = proof
    assert json.loads((work / "figures.json").read_text()) == json.loads(json.dumps(figures))
    assert figures["steps"] == 4
    table = figures["loss"]
    assert isinstance(table, dict)
    assert table["scenes"] == 4
    assert all(np.isfinite(table[kind]).all() and len(table[kind]) == 4 for kind in ("right", "other", "none"))
    for name in ("it-learns-curves.png", "it-learns-spectrograms.png"):
        picture = (work / "docs" / name).read_bytes()
        assert picture.startswith(b"\x89PNG") and len(picture) < 300_000


def test_the_data_set_is_one_for_gvm_train(proof: tuple[Path, dict[str, object], list[str]]) -> None:
    work = proof[0]
    dataset = read_dataset(work / "pairs")
    assert dataset.check_files() == []
    assert dataset.codec == codec_info(work / "codec")
    assert [len(dataset.split(name)) for name in ("train", "test")] == [4, 4]
    pair = dataset.split("test")[0]
    assert pair.id == "sound-0000-00"  # of a shard that is held out
    assert pair.labels == {"style": "none"}
    assert dataset.codes(pair).shape == (4, 1500)
    values, times = dataset.features(pair, "descriptors")
    assert values.shape == (120, 33, 16) and times[-1] < 30
    model, _, _ = checkpoint.load(work / "run" / "model")
    assert checkpoint.load_codec(work / "run" / "model", model.config).config == model.config.encodec


def test_what_is_there_is_not_made_again(proof: tuple[Path, dict[str, object], list[str]]) -> None:
    work, _, _ = proof
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.suffix in (".safetensors", ".npz")}
    prove_training.train_codec(work / "sound", work / "codec", prove_training.QUICK, print)
    prove_training.train_model(work / "pairs", work / "codec", work / "run", prove_training.QUICK, print)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_gains_come_with_intervals() -> None:
    rng = np.random.default_rng(0)
    right = rng.normal(3.0, 0.5, (60, 2))
    table = loss_table(Losses(right, right + rng.normal([0.1, 0.0], 0.05, (60, 2)), right + 0.2))
    mean, low, high = table["over_other"][0]
    assert low < mean < high and low > 0.05
    assert table["over_other"][1][1] < 0.02  # nothing is gained there
    assert table["over_none_share"] == 1.0
    mean, low, high = interval(np.ones(5))
    assert mean == low == high == 1


def test_sound_that_follows_its_picture_is_told_from_sound_that_does_not() -> None:
    rng, rate = np.random.default_rng(0), 16_000
    pictures, following, heedless = [], [], []
    for _ in range(12):
        lively = np.clip(np.interp(np.arange(40), np.arange(0, 41, 8), rng.uniform(0.1, 2, 6)), 0.05, None)
        patches = np.zeros((40, 33, 16))
        patches[:, 32, 6] = lively
        pictures.append(activity_curve(patches))
        noise = rng.normal(0, 0.1, 10 * rate)
        following.append(energy_curve((noise * np.repeat(lively, rate // 4)).astype(np.float32), rate))
        heedless.append(energy_curve(noise.astype(np.float32), rate))
    found = correspondence(pictures, following)
    assert found["own"][0] > 0.9 > 0.5 > found["others"][0]
    assert found["difference"][1] > 0.5
    assert abs(correspondence(pictures, heedless)["difference"][0]) < 0.3


def test_the_spectral_distance_knows_what_sounds_alike() -> None:
    rng, rate = np.random.default_rng(0), 16_000

    def tones(low: float, high: float) -> list[np.ndarray]:
        times = np.arange(4 * rate) / rate
        return [np.sin(2 * np.pi * rng.uniform(low, high) * times).astype(np.float32) * 0.3 for _ in range(30)]

    bass, again, treble = (
        spectral_embeddings(each, rate) for each in (tones(80, 400), tones(80, 400), tones(2e3, 6e3))
    )
    assert bass.shape == (60, 40)
    assert frechet_distance(bass, again) < 0.2 * frechet_distance(bass, treble)

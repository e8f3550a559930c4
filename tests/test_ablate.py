"""The ablation runner trains, measures and tabulates variants of the model on a few made-up scenes."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import ablate
import make_pairs
import prove_training
from ablate import VARIANTS, Budget, Tubelets

from core.training.data import Draw
from core.training.start import open_material

TINY = Budget(steps=3, batch=2, window_seconds=2.0, dim=16, layers=1, heads=2, width=8, heard=0, scenes=4,
              places=(0.0,))  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data set and its codec."""
    work = tmp_path_factory.mktemp("ablate")
    plan = dataclasses.replace(prove_training.QUICK, codec={"minutes": None, "steps": 2, "batch": 2})
    prove_training.quick_corpus(work / "sound")
    prove_training.train_codec(work / "sound", work / "codec", plan, print)
    make_pairs.make_pairs(work / "sound", work / "codec", work / "pairs")
    return work / "pairs", work / "codec"


def test_two_variants_are_trained_measured_and_tabulated(data: tuple[Path, Path], tmp_path: Path) -> None:
    names, said = ["base", "video-encoder"], []
    budget = dataclasses.replace(TINY, window_seconds=6.0, heard=1)
    rows = ablate.ablate(names, [1], budget, *data, tmp_path, said.append)
    assert [row["name"] for row in rows] == names
    for row in rows:
        assert np.isfinite([row["right"], row["other"], row["none"], *row["gain_over_other"]]).all()
        assert row["parameters"] > 1000
        assert -1 <= row["cmr"][0] <= 1 and 0 <= row["ta"][0] <= 1
    assert rows[0]["right"] != rows[1]["right"]
    table = (tmp_path / "table.md").read_text()
    assert VARIANTS["base"].words in table and VARIANTS["video-encoder"].words in table
    before = (tmp_path / "base-seed-1.json").stat().st_mtime_ns
    assert ablate.ablate(names, [1], budget, *data, tmp_path, print) == json.loads(json.dumps(rows))
    assert (tmp_path / "base-seed-1.json").stat().st_mtime_ns == before  # what is there isn't done again


def test_the_same_seed_gives_the_same_row(data: tuple[Path, Path], tmp_path: Path) -> None:
    found = [
        ablate.run_variant("base", TINY, *data, tmp_path / str(number), seed)["right_per_scene"]
        for number, seed in enumerate((1, 1, 2))
    ]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_the_base_but_for_what_it_changes(name: str, data: tuple[Path, Path]) -> None:
    budget = dataclasses.replace(TINY, width=16)
    base, other = (
        open_material(ablate.recipe_of(VARIANTS[each], budget, *data, 1)).plan.config for each in ("base", name)
    )
    variant = VARIANTS[name]
    assert (
        dataclasses.replace(
            other,
            features=dataclasses.replace(
                other.features, **{key: getattr(base.features, key) for key in variant.features}
            ),
            decoder=dataclasses.replace(other.decoder, **{key: getattr(base.decoder, key) for key in variant.decoder}),
        )
        == base
    )
    for key, value in (variant.features | variant.decoder).items():
        assert value in (getattr(other.features, key, None), getattr(other.decoder, key, None))


def test_tokens_of_the_video_encoder_span_time(data: tuple[Path, Path]) -> None:
    inner = open_material(ablate.recipe_of(VARIANTS["base"], TINY, *data, 1)).held_out
    assert len(inner) == 4
    tubelets = Tubelets(inner, 4)  # type: ignore[arg-type]
    frames, spans = inner.batch([Draw(0), Draw(1, blind=True)]), tubelets.batch([Draw(0), Draw(1, blind=True)])
    assert frames.patches.shape[1] == 8 and spans.patches.shape[1] == 2
    assert torch.allclose(spans.patches[0, 1], frames.patches[0, 4:8].mean(dim=0), atol=1e-6)
    assert float(spans.frame_times[0, 0]) == pytest.approx(float(frames.frame_times[0, :4].mean()))
    assert spans.present.tolist() == [[True, True], [False, False]]
    assert torch.equal(spans.codes, frames.codes)
    three = Tubelets(inner, 3).batch([Draw(0)])  # type: ignore[arg-type]
    assert torch.allclose(three.patches[0, 2], frames.patches[0, 6:8].mean(dim=0), atol=1e-6)


def test_the_scenes_own_music_is_the_reference(data: tuple[Path, Path]) -> None:
    budget = dataclasses.replace(TINY, window_seconds=6.0, heard=2)
    unseen = open_material(ablate.recipe_of(VARIANTS["base"], budget, *data, 1)).held_out
    found = ablate.references_of(unseen, data[1], budget)
    assert found["own"] != found["another scene's"]
    assert all(-1 <= kind["cmr"][0] <= 1 for kind in found.values())


def test_between_seeds() -> None:
    rows = [{"name": "base", "right": 1.0}, {"name": "base", "right": 1.2}, {"name": "x", "right": 3.0}]
    assert ablate.noise_of(rows) == pytest.approx(0.1414, abs=1e-3)
    assert ablate.noise_of(rows[2:]) is None

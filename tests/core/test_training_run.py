"""A run from its recipe to its model: what it leaves, what it leaves out, and what stops it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from core import checkpoint
from core.config import ModelConfig, tiny
from core.errors import DatasetError, GVMError, MissingDependencyError, ModelError, TrainingError
from core.model import GVMGen
from core.patterns import predicted
from core.training import forecast, loop, preflight
from core.training.data import Batch, Draw, Piece, ScoreExamples, load_pieces
from core.training.devices import World
from core.training.manifest import CodecInfo, Pair, read_dataset, write_codes, write_dataset
from core.training.recipe import Recipe, to_toml, with_settings
from core.training.start import open_material, run_training
from core.training.step import arithmetic, inputs
from tests.conftest import ClipFactory
from tests.core.training_fixtures import CODEC, tiny_recipe, write_all, write_codec
from tests.tiny_published import write_tiny

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return write_all(tmp_path_factory.mktemp("training"))


@pytest.fixture
def data(recipe: Recipe, tmp_path: Path) -> Path:
    """A copy of the data set that a test may damage."""
    shutil.copytree(recipe.data.folder, tmp_path / "data")
    return tmp_path / "data"


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def run(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """120 steps with samples and TensorBoard, and what was said."""
    said: list[str] = []
    more = {
        "schedule": {"steps": 120},
        "optimiser": {"learning_rate": 0.03},
        "run": {"samples_every": 120, "evaluate_every": 40, "checkpoint_every": 0, "tensorboard": True},
    }
    folder = tmp_path_factory.mktemp("run") / "mine"
    run_training(with_settings(recipe, more), folder, say=said.append)
    return folder, said


def test_it_learns(run: tuple[Path, list[str]]) -> None:
    losses = [row["loss"] for row in rows(run[0]) if "loss" in row]
    assert len(losses) == 120
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.8


def test_the_right_picture_helps(run: tuple[Path, list[str]]) -> None:
    last = rows(run[0])[-1]
    right, other, none = (np.mean(last[name]) for name in ("held_out", "other_picture", "no_picture"))
    assert right < other - 0.05 and right < none - 0.02


def test_samples_are_heard_and_seen(run: tuple[Path, list[str]]) -> None:
    made = run[0] / "samples" / "step-000000120"
    names = {f"{number}-film1{number + 2}.{kind}" for number in (0, 1) for kind in ("wav", "png")}
    assert {path.name for path in made.iterdir()} == names
    sound, rate = soundfile.read(made / "0-film12.wav")
    assert (rate, len(sound)) == (CODEC.sample_rate, 20 * CODEC.hop)
    assert (made / "0-film12.png").read_bytes()[:4] == b"\x89PNG"
    assert list((run[0] / "tensorboard").iterdir())


def test_the_model_is_a_model_folder(run: tuple[Path, list[str]]) -> None:
    model, card, _ = checkpoint.load(run[0] / "model")
    assert (card.name, card.licence, card.commercial_use) == ("mine", "LicenseRef-own", True)
    assert card.training["pairs"] == 12 and card.training["updates"] == 120
    assert model.config.encodec == CODEC
    checkpoint.load_codec(run[0] / "model", model.config)


def test_memory_is_told_first(run: tuple[Path, list[str]]) -> None:
    assert "0.01 million parameters are trained, on cpu in fp32; 12 examples, 4 held out" in run[1][0]
    assert "weights, gradients, optimiser and average" in run[1][1] and "each of 4 windows" in run[1][1]
    assert "would fit" in run[1][1]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_dry_run_keeps_what_the_real_one_keeps(recipe: Recipe, precision: str) -> None:
    changed = with_settings(recipe, {"compute": {"precision": precision}})
    material = open_material(changed)
    batch = material.examples.batch([Draw(0)])
    model = checkpoint.GVMGen(material.plan.config)
    kept = forecast.Kept(model)
    with arithmetic(CPU, precision), kept:
        model(*inputs(batch, batch.valid[:, None].expand(-1, 3, -1)))
    told = forecast.kept_for_the_way_back(changed, material.plan.config, "cpu", batch)
    assert told == pytest.approx(kept.bytes, rel=0.01)


def test_processes_that_read_ahead_change_nothing(recipe: Recipe, tmp_path: Path) -> None:
    losses = []
    for workers in (0, 1):
        run_training(with_settings(recipe, {"data": {"workers": workers}}), tmp_path / f"run{workers}")
        losses.append([row["loss"] for row in rows(tmp_path / f"run{workers}") if "loss" in row])
    assert losses[0] == losses[1]


# --- going on from a model ---------------------------------------------------------------------------------------


def test_it_goes_on_from_a_model(run: tuple[Path, list[str]], recipe: Recipe, tmp_path: Path) -> None:
    model = {"start_from": str(run[0] / "model"), "codec": "", "features": {}, "decoder": {}, "name": "again"}
    run_training(with_settings(recipe, {"model": model, "schedule": {"steps": 3}}), tmp_path / "run")
    before = [row["loss"] for row in rows(run[0]) if "loss" in row]
    assert np.mean(rows(tmp_path / "run")[0]["loss"]) < np.mean(before[:5]) - 0.5
    card = checkpoint.read_card(tmp_path / "run" / "model")[1]
    assert (card.name, card.training["began_from"]["start_from"]) == ("again", "model")


@pytest.mark.parametrize("kind", ["start_from", "codec"])
def test_the_strictest_licence_is_handed_on(
    kind: str, run: tuple[Path, list[str]], recipe: Recipe, tmp_path: Path
) -> None:
    model = shutil.copytree(run[0] / "model", tmp_path / "model")
    about = json.loads((model / "model.json").read_text())
    about["card"] |= {"licence": "CC-BY-NC-4.0", "commercial_use": False}
    (model / "model.json").write_text(json.dumps(about))
    changed = with_settings(recipe, {"model": {kind: str(model)}})
    plan = open_material(changed).plan
    assert plan.licence() == ("CC-BY-NC-4.0", False)


# --- numbers that break ------------------------------------------------------------------------------------------


def broken(monkeypatch: pytest.MonkeyPatch, harm: Callable[[Any], None]) -> None:
    """Before step 3 `harm` is done to the model."""
    real = loop.update

    def update(how: Any, world: Any, state: Any, *rest: Any) -> Any:
        if state.step == 3:
            with torch.no_grad():
                harm(state.model)
        return real(how, world, state, *rest)

    monkeypatch.setattr(loop, "update", update)


def test_a_loss_that_is_no_number_stops_it(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, lambda model: model.decoder.layers[1].linear1.weight.fill_(float("inf")))
    with pytest.raises(TrainingError) as caught:
        run_training(recipe, tmp_path / "run")
    said = str(caught.value)
    assert "the loss of codebook 0, 1, 2 is no number at step 3" in said
    assert "film" in said and "in the weights already: decoder.layers.1.linear1.weight" in said and "\n" not in said
    kept = torch.load(tmp_path / "run" / "broken-at-step-000000003.pt", weights_only=True)
    assert kept["progress"]["step"] == 3 and len(kept["batch"]) == 4
    assert (tmp_path / "run" / "checkpoints" / "step-000000002.pt").is_file()


def test_the_layer_is_named(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, lambda model: model.decoder.layers[1].norm2.weight.fill_(1e38))
    with pytest.raises(TrainingError, match=r"first in decoder\.layers\.1\.(norm2|linear1|linear2)"):
        run_training(recipe, tmp_path / "run")


# --- rows that can't be used -------------------------------------------------------------------------------------


def test_rows_that_cant_be_used_are_listed(recipe: Recipe, data: Path, tmp_path: Path) -> None:
    (data / "codes" / "film00.npz").unlink()
    (data / "features" / "descriptors" / "film01.npz").write_bytes(b"")
    (data / "codes" / "film02.npz").write_bytes(b"not an archive")
    dataset = read_dataset(data)
    ends = {"film03": 1.0, "film04": 9.0}
    pairs = [replace(pair, end=ends.get(pair.id, pair.end)) for pair in dataset.pairs]
    write_dataset(data, pairs, dataset.codec, "gvm test")
    said: list[str] = []
    run_training(with_settings(recipe, {"data": {"folder": str(data)}}), tmp_path / "run", say=said.append)
    lines = (tmp_path / "run" / "skipped.jsonl").read_text().splitlines()
    left_out = {row["id"]: row["why"] for row in map(json.loads, lines)}
    assert set(left_out) == {"film00", "film01", "film02", "film03", "film04"}
    assert "missing" in left_out["film00"] and "empty" in left_out["film01"]
    assert "1.0 s are shorter than a window of 2 s" in left_out["film03"]
    assert "don't match: 30 steps of codes for 90 of picture" in left_out["film04"]
    assert any("5 pairs are left out" in line for line in said)


def test_what_turns_out_damaged_later_counts_for_nothing(recipe: Recipe, data: Path, tmp_path: Path) -> None:
    name = "features/descriptors/film05.npz"
    (data / name).write_bytes((data / name).read_bytes()[:200])
    run_training(with_settings(recipe, {"data": {"folder": str(data)}}), tmp_path / "run")
    skipped = [row for row in rows(tmp_path / "run") if "skipped" in row]
    assert skipped and {row["skipped"] for row in skipped} == {"film05"} and "film05.npz" in skipped[0]["why"]
    assert rows(tmp_path / "run")[-1]["step"] == 5


def test_held_out_pairs_that_cant_be_read_are_left_out(recipe: Recipe, data: Path, tmp_path: Path) -> None:
    """The first of the pairs that are sampled, and then all that are held out."""
    more = {"data": {"folder": str(data)}, "run": {"samples_every": 3}, "schedule": {"steps": 3}}
    damaged = [data / pair.features["descriptors"] for pair in read_dataset(data).split("test")]
    damaged[0].write_bytes(b"no archive")
    run_training(with_settings(recipe, more), tmp_path / "one")
    assert {row["skipped"] for row in rows(tmp_path / "one") if "skipped" in row} == {"film12"}
    made = {path.name for path in (tmp_path / "one" / "samples" / "step-000000003").iterdir()}
    assert made == {"1-film13.wav", "1-film13.png"}
    for path in damaged:
        path.write_bytes(b"no archive")
    run_training(with_settings(recipe, more), tmp_path / "all")
    names = {row["skipped"] for row in rows(tmp_path / "all") if "skipped" in row}
    assert names == {"film12", "film13", "film14", "film15"}
    assert not [row for row in rows(tmp_path / "all") if "held_out" in row]
    kept = torch.load(tmp_path / "all" / "checkpoints" / "step-000000003.pt", weights_only=True)
    assert kept["progress"]["best"] == float("inf")  # nothing was measured
    assert checkpoint.read_card(tmp_path / "all" / "model")[1].training["updates"] == 3


# --- what can't work is told first -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tables", "error", "said"),
    [
        ({"data": {"folder": ""}}, TrainingError, "the recipe names no data; add --data"),
        ({"data": {"folder": "absent"}}, DatasetError, r"absent: is no data set"),
        ({"data": {"window_seconds": 4.0}}, TrainingError, r"has 0 pairs .*16 were left out, the first because 3\.0 s"),
        ({"data": {"batch": 13}}, TrainingError, "has 12 pairs to train on, a batch needs 13"),
        ({"compute": {"accumulate": 3}}, TrainingError, r"a batch of 4 can't be divided over 1 devices and 3 parts"),
        ({"model": {"codec": ""}}, TrainingError, "names no codec"),
        ({"model": {"codec": "absent"}}, ModelError, "absent: there is no such codec"),
        ({"model": {"scale": "small"}}, TrainingError, r"CLIP's frozen tower.*gvm models pull clip-vit"),
        ({"model": {"scale": "starter"}}, TrainingError, "the starter writes scores, and the data set holds sound"),
        ({"model": {"musicgen": "absent"}}, TrainingError, r"absent: there is no such file .*model\.musicgen"),
        (
            {"data": {"window_seconds": 0.05}},
            TrainingError,
            r"a window of 0\.05 s .* shorter than a step of codes, 0\.1",
        ),
        (
            {"schedule": {"steps": 0, "epochs": 2, "warmup_steps": 6}},
            TrainingError,
            r"6 never ends within 6 steps.*epochs 2",
        ),
        (
            {"model": {"decoder": {"heads": 0}}},
            ValueError,
            "decoder: heads is 0; it must be a whole number, at least 1",
        ),
        ({"model": {"decoder": {"layers": 0}}}, ValueError, "decoder: layers is 0; it must be a whole number"),
        ({"model": {"decoder": {"layers": "a"}}}, ValueError, "decoder: layers is 'a'; it must be a whole number"),
        ({"model": {"decoder": {"delays": 3}}}, ValueError, "decoder: delays is 3; it must be a list"),
        ({"model": {"features": {"width": True}}}, ValueError, "features: width is True; it must be a whole number"),
        ({"model": {"features": {"heads": 0}}}, ValueError, "features: heads is 0; it must be a whole number"),
        ({"model": {"decoder": {"dims": 3}}}, ValueError, r"model\.decoder\.dims is no setting"),
        ({"compute": {"device": "cuda:7"}}, ModelError, "device cuda:7 was asked for"),
    ],
)
def test_impossible_settings(recipe: Recipe, tables: Any, error: type[Exception], said: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=said) as caught:
        run_training(with_settings(recipe, tables), tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_another_codec(recipe: Recipe, tmp_path: Path) -> None:
    write_codec(tmp_path / "codec")
    torch.manual_seed(1)
    weights = tmp_path / "codec" / "codec.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(TrainingError, match=r"has other weights \(hash differs\)"):
        open_material(with_settings(recipe, {"model": {"codec": str(tmp_path / "codec")}}))
    about = json.loads((tmp_path / "codec" / "codec.json").read_text())
    about["config"]["card"] = 32
    (tmp_path / "codec" / "codec.json").write_text(json.dumps(about))
    with pytest.raises(TrainingError, match=r"it has 3 codebooks of 32 .*the codes are 3 of 16"):
        open_material(with_settings(recipe, {"model": {"codec": str(tmp_path / "codec")}}))


def test_memory_and_disk(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need = forecast.Forecast(10**9, 0, 20 * 10**9, 0, 10**9, 4)
    world = World(0, 1, CPU, "none")
    monkeypatch.setattr(preflight, "free_bytes", lambda device: 22_500_000_000)
    with pytest.raises(TrainingError, match=r"needs about 24\.0 GB of memory, 22\.5 GB are free on cpu, enough for 2;"):
        preflight.check_room(recipe, need, tmp_path, world)
    monkeypatch.setattr(preflight, "free_bytes", lambda device: None)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(1, 1, 10**9))  # type: ignore[attr-defined]
    with pytest.raises(TrainingError, match=r"has 1\.0 GB free, 3 checkpoints and the one being written need 64\.0 GB"):
        preflight.check_room(recipe, need, tmp_path, world)


@pytest.mark.parametrize(
    ("tables", "absent", "said"),
    [
        ({"run": {"tensorboard": True}}, "tensorboard", r"pip install 'gvm\[training\]'"),
        ({"run": {"samples_every": 5}}, "matplotlib", r"pip install 'gvm\[training\]'"),
        ({"compute": {"compile": True}}, "", r"torch\.compile needs a C\+\+ compiler"),
    ],
)
def test_what_isnt_installed(
    recipe: Recipe, tables: Any, absent: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = preflight.find_spec
    monkeypatch.setattr(preflight, "find_spec", lambda name: None if name == absent else real(name))
    monkeypatch.setattr(preflight.shutil, "which", lambda name: None)
    with pytest.raises(MissingDependencyError, match=said):
        preflight.check_recipe(with_settings(recipe, tables), World(0, 1, CPU, "none"))


def test_errors_are_gvms() -> None:
    assert issubclass(TrainingError, GVMError)


# --- pictures and pieces -----------------------------------------------------------------------------------------


def test_the_tower_looks_at_pictures() -> None:
    """Uint8 pictures become the tower's tokens, the same as one by one; a batch without any stays as it is."""
    from core.config import TowerConfig
    from core.training.step import Eyes
    from core.vision.clip import ClipTower

    torch.manual_seed(0)
    tower = ClipTower(TowerConfig(64, 1, 1, 7, 14))
    for parameter in tower.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    pictures = torch.randint(0, 255, (2, 3, 3, 14, 14), dtype=torch.uint8)
    batch = Batch(
        pictures, torch.arange(3).expand(2, -1).float(), torch.ones(2, 3, dtype=torch.bool),
        torch.zeros(2, 3, 5, dtype=torch.long), torch.ones(2, 5, dtype=torch.bool), None, torch.zeros(2, 7),
    )  # fmt: skip
    seen = Eyes(tower, CPU, "fp32")(batch)
    assert seen.patches.shape == (2, 3, 5, 64)
    alone = tower(tower.normalise(pictures[1, 2])[None])[0]
    torch.testing.assert_close(seen.patches[1, 2], alone, atol=1e-5, rtol=0)
    blind = replace(batch, patches=torch.zeros(2, 3, 1, 64))
    assert Eyes(tower, CPU, "fp32")(blind).patches is blind.patches


def test_from_films_to_a_model_that_looks_through_a_tower(clip_factory: ClipFactory, tmp_path: Path) -> None:
    """A published model in small goes on learning from clips: they are decoded, and its frozen tower looks at them."""
    from core.published.importer import import_checkpoint

    start = import_checkpoint(write_tiny(tmp_path / "published"), tmp_path / "model", "tiny").folder
    config = checkpoint.read_card(start)[0]
    assert config.encodec is not None
    codec = CodecInfo(checkpoint.sha256(start / checkpoint.CODEC), 32_000, 640, 4, config.encodec.card)
    pairs, data = [], tmp_path / "data"
    (data / "clips").mkdir(parents=True)
    for number in range(6):
        clip_factory(f"film{number}", seconds=2, fps=Fraction(10)).rename(data / f"clips/{number}.mp4")
        codes = np.random.default_rng(number).integers(0, codec.card, (4, 100))
        write_codes(data / f"codes/{number}.npz", codes, codec)
        split, digest = "train" if number < 4 else "test", f"{number:064}"
        pairs.append(Pair(f"film{number}", split, f"film{number}.mp4", digest, 0.0, 2.0, f"clips/{number}.mp4",
                          codes=f"codes/{number}.npz"))  # fmt: skip
    write_dataset(data, pairs, codec, "gvm test")
    (data / "clips" / "3.mp4").write_bytes(b"no film at all")
    changed = with_settings(
        Recipe(),
        {
            "model": {"start_from": str(start)},
            "data": {"folder": str(data), "batch": 2, "window_seconds": 2.0, "workers": 0, "null_share": 0.0},
            "schedule": {"steps": 2, "epochs": 0, "warmup_steps": 1},
            "compute": {"device": "cpu", "threads": 1},
            "run": {"log_every": 1, "samples_every": 2, "samples": 1},
        },
    )
    model = run_training(changed, tmp_path / "run")
    assert [row["skipped"] for row in rows(tmp_path / "run") if "skipped" in row] == ["film3"]
    assert checkpoint.read_card(model)[1].licence == "CC-BY-NC-4.0"
    tower, before = (checkpoint.load_tower(folder, config).state_dict() for folder in (model, start))
    assert all(torch.equal(value.half(), before[name].half()) for name, value in tower.items())
    assert (tmp_path / "run" / "samples" / "step-000000002" / "0-film4.wav").is_file()


@pytest.mark.parametrize("tail", [True, False])
def test_how_windows_are_put_together_changes_nothing(tail: bool) -> None:
    """Windows of unequal length: their losses beside longer ones, whose padding they share, are those alone."""
    config = with_lags((0, 1, 3))
    torch.manual_seed(0)
    model, rng = GVMGen(config).eval(), np.random.default_rng(0)
    pieces = []
    for steps in (32, 37, 90):
        seconds, seen = np.arange(steps + 1) / 8, np.arange(0.1, steps / 8, 0.5)
        pieces.append(
            Piece(
                rng.normal(0, 0.3, (len(seen), 3, 8)).astype(np.float16),
                seen,
                rng.integers(0, config.decoder.card, (3, steps)).astype(np.int16),
                rng.normal(0, 1, (steps, 1)).astype(np.float16),
                seconds,
            )
        )
    examples = ScoreExamples(pieces, config.decoder.delays)

    @torch.no_grad()
    def sums(*indices: int) -> torch.Tensor:
        batch = examples.batch([Draw(index) for index in indices])
        found: torch.Tensor = model(*inputs(batch, predicted(batch.valid, config.decoder.delays, tail)))
        return found

    apart = sum((sums(index) for index in range(3)), torch.zeros(3))
    torch.testing.assert_close(sums(0, 1, 2), apart, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(sums(0, 1) + sums(2), apart, rtol=1e-5, atol=1e-3)
    one = examples.batch([Draw(1)])
    loss = model.loss(*inputs(one, one.valid), tail=tail)  # type: ignore[arg-type]
    counted = predicted(one.valid, config.decoder.delays, tail).sum(dim=(0, 2))
    torch.testing.assert_close(loss * counted, sums(1), rtol=1e-5, atol=1e-3)


def with_lags(delays: tuple[int, ...]) -> ModelConfig:
    """A tiny model whose streams lag so far, with one control channel a step that lags as far."""
    config = tiny(control_channels=1 + max(delays))
    return replace(config, decoder=replace(config.decoder, streams=len(delays), delays=delays))


def test_pieces_of_the_starter(tmp_path: Path) -> None:
    """The starter's preset on two scenes: it trains by the clock, and ends in a model with the starter's settings."""
    from core.starter.corpus import scene_pieces
    from core.training.data import save_pieces
    from core.training.presets import STARTER

    (tmp_path / "pieces").mkdir()
    for seed, name in ((1, "scenes-0000"), (2, "test-0000")):
        save_pieces(list(scene_pieces(seed)), tmp_path / "pieces" / f"{name}.npz")
    changed = with_settings(
        STARTER,
        {
            "model": {"features": {"width": 8, "heads": 2, "queries": 2, "layers": 1},
                      "decoder": {"dim": 28, "heads": 7, "layers": 1}},
            "data": {"folder": str(tmp_path / "pieces"), "batch": 2},
            "schedule": {"minutes": 0.02},
            "compute": {"device": "cpu", "threads": 1},
            "run": {"log_every": 1},
        },
    )  # fmt: skip
    model = run_training(changed, tmp_path / "run")
    card = checkpoint.read_card(model)[1]
    assert (card.name, card.licence, card.commercial_use) == ("starter", "CC0-1.0", True)
    assert rows(tmp_path / "run")[0]["seconds"] < 60
    assert (tmp_path / "run" / "recipe.toml").read_text() == to_toml(changed)


@pytest.mark.parametrize("content", [b"", b"PK\3\4" + bytes(300)])
def test_a_damaged_file_of_pieces_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "scenes-0000.npz"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"scenes-0000\.npz is not a whole file of a corpus.*delete it"):
        load_pieces(path)


def test_the_first_process_holds_the_clock() -> None:
    """All processes learn at one rate and end at one step, whenever each began."""

    class Second(World):
        def sum(self, value: torch.Tensor) -> torch.Tensor:
            assert float(value) == 0  # what it says itself isn't asked for
            return value + spent

    timed = with_settings(Recipe(), {"schedule": {"epochs": 0, "minutes": 1.0, "warmup_steps": 0}})
    state: Any = SimpleNamespace(step=5, optimiser=SimpleNamespace(param_groups=[{}]))
    run: Any = SimpleNamespace(recipe=timed, total=0, state=state, world=Second(1, 2, CPU, "ddp"))
    for spent, share in ((0.0, 1.0), (30.0, 0.5), (60.0, 0.0)):
        rate = loop._set_rate(run, loop.Clock(before=1000.0))
        assert rate == pytest.approx(timed.optimiser.learning_rate * share)
        assert loop._is_last(run, loop.Clock(before=1000.0)) == (spent == 60)


def test_a_recipe_for_tests_is_small(recipe: Recipe) -> None:
    assert tiny_recipe(Path(recipe.data.folder), Path(recipe.model.codec)) == recipe

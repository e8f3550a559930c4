"""`gvm train` on the command line: recipes by name and file, options, exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.training import presets, start
from core.training.recipe import Recipe, to_toml
from gvm_plugin import cli_train
from gvm_plugin.cli import run
from gvm_plugin.lessons import Prepared
from tests.core.training_fixtures import write_all


@pytest.fixture(autouse=True)
def _memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "keep_freed_memory", lambda: None)  # it would last for all tests after


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return write_all(tmp_path_factory.mktemp("training"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Recipe, Path]]:
    """What the trainer was asked for; nothing is trained."""
    calls: list[tuple[Recipe, Path]] = []

    def take(recipe: Recipe, out: Path, **more: Any) -> Path:
        calls.append((recipe, out))
        return out

    monkeypatch.setattr(start, "run_training", take)
    return calls


def test_presets_are_those_of_core() -> None:
    assert tuple(presets.PRESETS) == cli_train.PRESETS


def test_a_preset_with_options(asked: list[tuple[Recipe, Path]], tmp_path: Path) -> None:
    line = "train paper --data DATA --model-scale small --init-musicgen M --init-clip C --codec E --name mine"
    assert run([*line.split(), "--out", str(tmp_path), "--set", "data.batch=2", "--device", "cpu"]) == 0
    recipe, out = asked[0]
    assert out == tmp_path
    assert (recipe.data.folder, recipe.data.batch, recipe.model.scale) == ("DATA", 2, "small")
    assert (recipe.model.musicgen, recipe.model.clip, recipe.model.codec) == ("M", "C", "E")
    assert (recipe.model.name, recipe.compute.device) == ("mine", "cpu")
    assert recipe.optimiser == presets.PAPER.optimiser


def test_preset_is_the_same_as_its_name(asked: list[tuple[Recipe, Path]]) -> None:
    assert run(["train", "--preset", "small-waveform", "--data", "films", "--model", "starter", "--out", "a"]) == 0
    assert run(["train", "small-waveform", "--data", "films", "--model", "starter", "--out", "a"]) == 0
    assert asked[0] == asked[1]
    assert asked[0][0].model.start_from == "starter"


def test_runs_have_folders_of_their_own(
    asked: list[tuple[Recipe, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert run(["train", "paper"]) == 0
        asked[-1][1].mkdir(parents=True)
    assert [str(out) for _, out in asked] == ["runs/paper", "runs/paper-2"]


def test_train_and_resume(recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text(to_toml(recipe))
    assert run(["train", str(tmp_path / "mine.toml"), "--out", str(tmp_path / "run"), "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    assert (tmp_path / "run" / "model" / "model.json").is_file()
    assert run(["train", "--resume", str(tmp_path / "run")]) == 0
    assert "goes on after 6 steps" in capsys.readouterr().out
    assert run(["train", str(tmp_path / "mine.toml"), "--out", str(tmp_path / "run")]) == 1
    assert "holds a training already" in capsys.readouterr().err


@pytest.fixture
def lessons(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of films; lessons that are made of them are a file and no work."""

    def prepare(films: Path, model: str, out: Path, *_: Any) -> Prepared:
        out.mkdir(parents=True, exist_ok=True)
        (out / "pieces-0000.npz").write_bytes(b"new lessons")
        return Prepared(out, 1, 1, 3, ())

    monkeypatch.setattr("gvm_plugin.lessons.prepare_lessons", prepare)
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.mp4").write_bytes(b"film")
    return tmp_path / "films"


def test_lessons_are_made_of_films(lessons: Path, asked: list[tuple[Recipe, Path]], tmp_path: Path) -> None:
    assert run(["train", "finetune", "--data", str(lessons), "--out", str(tmp_path / "run")]) == 0
    recipe, _ = asked[0]
    assert Path(recipe.data.folder) == tmp_path / "run" / "lessons" and recipe.data.batch == 3


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "holds a training already"),
        (["--out", "another", "--set", "compute.accumulate=5"], "a batch of 16 can't be divided"),
    ],
)
def test_lessons_of_another_run_stay(
    more: list[str],
    said: str,
    lessons: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    kept = tmp_path / "run" / "lessons" / "pieces-0000.npz"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"what it learned from")
    (tmp_path / "run" / "log.jsonl").write_text("{}\n")
    assert run(["train", "finetune", "--data", str(lessons), "--device", "cpu", "--out", "run", *more]) == 1
    assert said in capsys.readouterr().err
    assert kept.read_bytes() == b"what it learned from" and not (tmp_path / "another").exists()


def test_several_processes_dont_make_the_same_lessons(
    lessons: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run(["train", "finetune", "--data", str(lessons), "--out", str(tmp_path / "run")]) == 1
    assert "made by one process, and torchrun started 2" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_show(capsys: pytest.CaptureFixture[str], recipe: Recipe, tmp_path: Path) -> None:
    assert run(["train", "paper", "--set", "data.batch=3", "--show"]) == 0
    shown = capsys.readouterr().out
    assert "batch = 3" in shown and "warmup_steps = 4000" in shown


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("train", 2, "Usage"),
        ("train --out x", 2, "name one recipe"),
        ("train paper --preset paper", 2, "name one recipe"),
        ("train papr", 2, "papr: there is no such file, and no preset of that name"),
        ("train paper --set data.bach=2", 2, "did you mean data.batch?"),
        ("train paper --resume run", 2, "--resume goes on as the run began"),
        ("train --resume absent", 1, "is no training run (recipe.toml is missing)"),
        ("train paper --out x", 1, "the recipe names no data"),
        ("train paper --data absent --out x", 1, "absent: is no data set"),
        ("train codec absent --out x", 1, "absent"),
        ("train evaluator absent --out x", 1, "absent"),
    ],
)
def test_what_cant_be(
    line: str, code: int, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(line.split()) == code
    err = capsys.readouterr().err
    assert said in err
    assert line == "train" or err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_ctrl_c_ends_in_130(asked: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "run_training", stopped)
    assert run(["train", "paper", "--out", "x"]) == 130
    assert "interrupted; what was finished is kept" in capsys.readouterr().err

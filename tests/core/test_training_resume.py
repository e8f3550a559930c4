"""A training that is stopped anywhere, kill -9 included, goes on as if nothing had happened: the same to the bit."""

from __future__ import annotations

import errno
import io
import json
import multiprocessing.connection
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from core.errors import DeliveryError, TrainingError
from core.training import checkpoints, loop
from core.training.checkpoints import Checkpoints
from core.training.recipe import Recipe, to_toml, with_settings
from core.training.start import resume_training, run_training
from tests.core.training_fixtures import write_all

PROGRAM = Path(__file__).with_name("training_process.py")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """With dropout, accumulation and dropped pictures: everything random that there is."""
    more: dict[str, Any] = {
        "model": {"features": {"width": 8, "heads": 2, "queries": 2, "layers": 1, "out_channels": 8, "dropout": 0.2}},
        "data": {"null_share": 0.3},
        "compute": {"accumulate": 2},
    }
    return with_settings(write_all(tmp_path_factory.mktemp("training")), more)


@pytest.fixture(scope="module")
def uninterrupted(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    run_training(recipe, run)
    return run


def curve(run: Path) -> list[dict[str, Any]]:
    """The log without what the clock says."""
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "per_second", "waiting")} for row in rows]


def same_weights(run: Path, other: Path) -> bool:
    mine, theirs = (load_file(each / "model" / "model.safetensors") for each in (run, other))
    return all(torch.equal(mine[name], theirs[name]) for name in mine | theirs)


def test_kill_9_while_saving(recipe: Recipe, uninterrupted: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(to_toml(recipe))
    run = tmp_path / "run"
    program = [sys.executable, str(PROGRAM), str(tmp_path / "recipe.toml"), str(run), "--die-saving", "6"]
    done = subprocess.run(program, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert (run / "checkpoints" / "step-000000006.pt.partial").stat().st_size == 20
    assert Checkpoints(run, 3).steps() == [2, 4]
    assert curve(run)[-1]["step"] == 5  # it had been further than its last checkpoint
    resume_training(run)
    assert curve(run) == curve(uninterrupted)
    assert same_weights(run, uninterrupted)


@pytest.mark.parametrize(
    "settings",
    [
        {"compute": {"precision": "fp16"}, "optimiser": {"kind": "adam"}},
        {"optimiser": {"kind": "dadapt", "learning_rate": 1.0, "first_d": 1e-3, "eps": 1e-4}, "ema": {"every": 2}},
    ],
    ids=["half precision with its scaler", "D-Adaptation, average every 2"],
)
def test_whatever_is_kept_goes_on(
    recipe: Recipe, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = with_settings(recipe, settings)
    run_training(changed, tmp_path / "whole")
    with monkeypatch.context() as patched:
        real = loop.update

        def breaks(how: Any, world: Any, state: Any, *rest: Any) -> Any:
            if state.step == 5:
                raise RuntimeError("the power failed")
            return real(how, world, state, *rest)

        patched.setattr(loop, "update", breaks)
        with pytest.raises(RuntimeError, match="power"):
            run_training(changed, tmp_path / "run")
    resume_training(tmp_path / "run")
    assert curve(tmp_path / "run") == curve(tmp_path / "whole")
    assert same_weights(tmp_path / "run", tmp_path / "whole")


def test_a_signal_saves_and_stops(
    recipe: Recipe, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = loop.update
    with monkeypatch.context() as patched:

        def signalled(how: Any, world: Any, state: Any, *rest: Any) -> Any:
            if state.step == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return real(how, world, state, *rest)

        patched.setattr(loop, "update", signalled)
        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            run_training(recipe, tmp_path / "run")
    assert signal.getsignal(signal.SIGTERM) is before
    assert Checkpoints(tmp_path / "run", 3).steps() == [2, 3]  # 3 is no multiple of checkpoint_every
    resume_training(tmp_path / "run")
    assert curve(tmp_path / "run") == curve(uninterrupted)


def test_a_signal_that_comes_twice_at_once_is_one() -> None:
    """`timeout` signals its child and then the child's group."""
    with loop.Stop() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
        stop._when -= 60  # a minute later
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_to_all_processes_saves_and_stops(
    recipe: Recipe, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As batch systems send it: the process that reads ahead lives until the step is saved, and then ends."""
    real = loop.update
    readers: list[multiprocessing.process.BaseProcess] = []
    with monkeypatch.context() as patched:

        def signalled(how: Any, world: Any, state: Any, *rest: Any) -> Any:
            if state.step == 1:
                readers.extend(multiprocessing.active_children())
                everyone = [str(process) for process in (os.getpid(), *(reader.pid for reader in readers))]
                subprocess.run(["kill", "-TERM", *everyone], check=True)  # not from us: torch's readers know their own
                multiprocessing.connection.wait([reader.sentinel for reader in readers], 0.1)
            return real(how, world, state, *rest)

        patched.setattr(loop, "update", signalled)
        with pytest.raises(KeyboardInterrupt):
            run_training(with_settings(recipe, {"data": {"workers": 1}}), tmp_path / "run")
    assert len(readers) == 1 and readers[0].exitcode == 0
    assert Checkpoints(tmp_path / "run", 3).steps() == [2]
    assert curve(tmp_path / "run") == curve(uninterrupted)[:2]


def test_a_full_disk_leaves_the_old_checkpoint(
    recipe: Recipe, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        whole = checkpoints._write

        def full(kept: dict[str, Any], file: io.BufferedWriter) -> None:
            if kept["progress"]["step"] > 2:
                file.write(b"x" * 1000)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            whole(kept, file)

        patched.setattr(checkpoints, "_write", full)
        with pytest.raises(
            DeliveryError, match=r"step-000000004\.pt can't be written \(No space left.*--resume"
        ) as said:
            run_training(recipe, run)
    assert "\n" not in str(said.value)
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-000000002.pt"]
    resume_training(run)
    assert curve(run) == curve(uninterrupted)


def test_only_the_last_are_kept_and_the_best_is_the_model(uninterrupted: Path) -> None:
    assert Checkpoints(uninterrupted, 3).steps() == [2, 4, 6]
    held_out = [row["held_out"] for row in curve(uninterrupted) if "held_out" in row]
    card = json.loads((uninterrupted / "model" / "model.json").read_text())["card"]
    assert card["training"]["held_out"] == min(held_out, key=sum)


def test_a_run_is_never_overwritten(recipe: Recipe, uninterrupted: Path) -> None:
    with pytest.raises(TrainingError, match=r"holds a training already; go on with it"):
        run_training(recipe, uninterrupted)


def test_there_must_be_something_to_go_on_with(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"recipe\.toml is missing"):
        resume_training(tmp_path)


def test_other_data_are_refused(uninterrupted: Path, recipe: Recipe, tmp_path: Path) -> None:
    shutil.copytree(uninterrupted, tmp_path / "run")
    shutil.copytree(recipe.data.folder, tmp_path / "data")
    lines = (tmp_path / "data" / "manifest.jsonl").read_text().splitlines()
    (tmp_path / "data" / "manifest.jsonl").write_text("\n".join(lines[1:]) + "\n")
    changed = with_settings(recipe, {"data": {"folder": str(tmp_path / "data")}})
    (tmp_path / "run" / "recipe.toml").write_text(to_toml(changed))
    with pytest.raises(TrainingError, match="have changed since it began"):
        resume_training(tmp_path / "run")


def test_a_model_is_not_replaced_where_its_checkpoints_are_gone(uninterrupted: Path, tmp_path: Path) -> None:
    run = shutil.copytree(uninterrupted, tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    before = (run / "model" / "model.safetensors").stat().st_mtime_ns
    with pytest.raises(TrainingError, match=r"no checkpoint to go on from; begin a new run from it"):
        resume_training(run)
    assert (run / "model" / "model.safetensors").stat().st_mtime_ns == before
    shutil.rmtree(run / "model")  # as a run that was killed before it had made anything
    resume_training(run)
    assert curve(run) == curve(uninterrupted)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ([1], "holds no whole checkpoint"),
        ({"format": 1}, "holds no whole checkpoint"),
        ({"format": 7}, r"another gvm \(format 7\)"),
        (b"", "can't be read"),
        (b"hello world\n" * 50, "can't be read"),
        (b"\x80\x02}q\x00(X\xff\xff", "can't be read"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named(kept: Any, said: str, tmp_path: Path) -> None:
    path = Checkpoints(tmp_path, 1).path(3)
    path.parent.mkdir()
    if isinstance(kept, bytes):
        path.write_bytes(kept)
    else:
        torch.save(kept, path)
    with pytest.raises(TrainingError, match=rf"step-000000003\.pt .*{said}") as caught:
        Checkpoints(tmp_path, 1).load()
    assert "\n" not in str(caught.value)


def test_a_damaged_checkpoint_is_named(uninterrupted: Path, tmp_path: Path) -> None:
    shutil.copytree(uninterrupted, tmp_path / "run")
    damaged = tmp_path / "run" / "checkpoints" / "step-000000006.pt"
    damaged.write_bytes(damaged.read_bytes()[:500])
    with pytest.raises(TrainingError, match=r"06\.pt can't be read .*remove it to go on from the one before"):
        resume_training(tmp_path / "run")
    damaged.unlink()
    resume_training(tmp_path / "run")
    assert curve(tmp_path / "run") == curve(uninterrupted)

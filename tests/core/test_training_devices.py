"""The same training however it is divided: in parts, with layers computed twice, on two devices, in shards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.errors import TrainingError
from core.training.checkpoints import Checkpoints
from core.training.devices import join
from core.training.recipe import ComputeRecipe, Recipe, to_toml, with_settings
from core.training.start import resume_training, run_training
from tests.core.test_training_resume import PROGRAM, curve
from tests.core.training_fixtures import write_all

ROUNDING = 2e-5


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """With an eps that keeps Adam from making whole steps of gradients that are zero but for rounding (key biases)."""
    return with_settings(write_all(tmp_path_factory.mktemp("training")), {"optimiser": {"eps": 1e-3}})


@pytest.fixture(scope="module")
def alone(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("alone") / "run"
    run_training(recipe, run)
    return run


@pytest.fixture(scope="module")
def together(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on two processes, ddp and fsdp."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "recipe.toml").write_text(to_toml(recipe))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    about = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    program = [sys.executable, str(PROGRAM), str(folder / "recipe.toml"), str(folder), "--parallel", "ddp,fsdp"]
    started = [
        subprocess.Popen(program, env=os.environ | about | {"RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE)
        for rank in ("0", "1")
    ]
    for process in started:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said.decode()
    return folder


def close(run: Path, other: Path) -> None:
    """Equal curves and weights within rounding."""
    mine, theirs = curve(run), curve(other)
    assert [row["step"] for row in mine] == [row["step"] for row in theirs]
    for row, wanted in zip(mine, theirs, strict=True):
        for name in ("loss", "held_out", "norm"):
            if name in wanted:
                np.testing.assert_allclose(row[name], wanted[name], atol=ROUNDING * 5, err_msg=f"{name} {row['step']}")
    for name, value in weights(other).items():
        torch.testing.assert_close(weights(run)[name], value, atol=ROUNDING, rtol=0, msg=name)


def weights(run: Path) -> dict[str, torch.Tensor]:
    kept: dict[str, Any] = Checkpoints(run, 3).load()
    return dict(kept["model"])


@pytest.mark.parametrize(
    "compute", [{"accumulate": 4}, {"checkpoint_activations": True}], ids=["in four parts", "layers computed twice"]
)
def test_dividing_changes_nothing(recipe: Recipe, alone: Path, compute: dict[str, Any], tmp_path: Path) -> None:
    run_training(with_settings(recipe, {"compute": compute}), tmp_path / "run")
    close(tmp_path / "run", alone)


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_devices_are_as_one(parallel: str, together: Path, alone: Path) -> None:
    close(together / parallel, alone)
    model = load_file(together / parallel / "model" / "model.safetensors")
    assert {name: value.shape for name, value in model.items()} == {
        name: value.shape for name, value in load_file(alone / "model" / "model.safetensors").items()
    }


def test_shards_go_on_on_one_device(together: Path, alone: Path, tmp_path: Path) -> None:
    shutil.copytree(together / "fsdp", tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "step-000000006.pt").unlink()
    resume_training(tmp_path / "run")
    close(tmp_path / "run", alone)


# --- what can't be ----------------------------------------------------------------------------------------------


def test_fewer_processes_than_asked() -> None:
    asked = ComputeRecipe(device="cpu", parallel="ddp", devices=2)
    said = r"2 devices are asked for.* 1 process is running; start it with torchrun"
    with pytest.raises(TrainingError, match=said), join(asked):
        pass


def test_processes_that_arent_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = r"started 2 processes.*compute\.parallel=ddp"
    with pytest.raises(TrainingError, match=said), join(ComputeRecipe(device="cpu")):
        pass


def test_fewer_gpus_than_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    asked = ComputeRecipe(device="cuda", parallel="ddp")
    with pytest.raises(TrainingError, match="process 2 on this machine has no GPU: torch sees 1"), join(asked):
        pass


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("compute", [{"precision": "fp16"}, {"precision": "bf16"}, {"compile": True}])
def test_on_a_gpu(recipe: Recipe, alone: Path, compute: dict[str, Any], tmp_path: Path) -> None:
    changed = with_settings(recipe, {"compute": {"device": "cuda", **compute}})
    run_training(changed, tmp_path / "run")
    for row, wanted in zip(curve(tmp_path / "run"), curve(alone), strict=True):
        if "loss" in wanted:
            np.testing.assert_allclose(row["loss"], wanted["loss"], atol=0.05)

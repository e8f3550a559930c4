"""`gvm score --model` with a model that can't be had: one line, and nothing of the film is touched before it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from parity import imported, parity

from gvm_plugin import score
from gvm_plugin.cli import run


@pytest.fixture(scope="module")
def imported_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return imported("one", tmp_path_factory.mktemp("imported"))


@pytest.fixture
def model(imported_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an imported model that the store calls `mine`."""
    monkeypatch.setenv("GVM_MODELS", str(tmp_path / "models"))
    return Path(shutil.copytree(imported_once, tmp_path / "models" / "mine"))


@pytest.fixture
def film(clip_factory: Callable[..., Path]) -> Path:
    return clip_factory("film", seconds=1.5, cuts=(0.75,))


Spoil = Callable[[Path, pytest.MonkeyPatch], list[str]]  # spoils the model's folder, gives back the options


def near_name(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    return ["--model", "mime"]


def path_without_a_model(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    return ["--model", str(folder.parent)]


def published_file(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    return ["--model", str(parity("one").folder / "state_dict.bin")]


def empty_folder(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    (folder.parent / "hollow").mkdir()
    return ["--model", "hollow"]


def later_gvm(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    about = json.loads((folder / "model.json").read_text())
    about["config"]["wings"] = 2
    (folder / "model.json").write_text(json.dumps(about))
    return ["--model", "mine"]


def later_format(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    about = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**about, "format": about["format"] + 1}))
    return ["--model", str(folder)]


def weights_cut_off(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    return ["--model", "mine"]


def tower_missing(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    (folder / "vision.safetensors").unlink()
    return ["--model", "mine"]


def codec_of_other_codebooks(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    about = json.loads((folder / "model.json").read_text())
    about["config"]["encodec"]["codebooks"] = 8
    (folder / "model.json").write_text(json.dumps(about))
    return ["--model", "mine"]


def for_money(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    (folder / "model.safetensors").chmod(0)  # not even looked at
    return ["--model", "mine", "--monetised"]


def absent_gpu(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    patch.setattr(torch.cuda, "is_available", lambda: False)
    patch.setattr(torch.cuda, "device_count", lambda: 0)
    return ["--model", "mine", "--device", "cuda"]


def no_such_device(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    return ["--model", "mine", "--device", "warp"]


def too_large(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    patch.setattr("core.memory.free_bytes", lambda device: 100_000_000)
    return ["--model", "mine"]


def diffusion_not_pulled(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    return ["--model", "mine", "--decoder", "mbd"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (near_name, r"no model is called 'mime'; known are starter, tone, mine; did you mean mine\?"),
        (path_without_a_model, r"holds no model\.json; `gvm models import"),
        (published_file, r"state_dict\.bin is a file, not a model folder; `gvm models import"),
        (empty_folder, r"hollow makes no music: .* isn't finished; `gvm models pull hollow` goes on"),
        (later_gvm, r"model mine: .*model\.json was written by a later gvm .*'wings'.*; update gvm"),
        (later_format, r"model mine: .*model\.json was written by a later gvm \(format 2, .*; update gvm"),
        (weights_cut_off, r"model mine: .*model\.safetensors is damaged \(\d+ bytes of \d+\); import the model again"),
        (tower_missing, r"model mine: .*vision\.safetensors is missing; import the model again"),
        (codec_of_other_codebooks, r"its codec has 8 codebooks of 128, its decoder 4 of 128.*; import it again"),
        (for_money, r"its licence \(CC-BY-NC-4\.0\) forbids films that earn money; use --model starter"),
        (absent_gpu, r"'?cuda'? .*; .*take cpu"),
        (no_such_device, r"device 'warp' .*; .*take cpu"),
        (too_large, r"the model mine needs about 0\.\d GB of memory, 0\.1 GB are free on cpu; close other programs"),
        (diffusion_not_pulled, r"mbd_musicgen_32khz\.th .*; `gvm models pull mbd-musicgen-32khz`"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_it_is_said_in_one_line_before_the_film_is_looked_at(
    spoil: Spoil,
    said: str,
    model: Path,
    film: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def looked_at(*_: object) -> None:
        raise AssertionError("minutes would be spent")

    monkeypatch.setattr(score, "_spot", looked_at)
    assert run(["score", str(film), *spoil(model, monkeypatch), "-q"]) == 1
    captured = capsys.readouterr()
    assert re.fullmatch(r"error: [^\n]+\n", captured.err), captured.err
    assert re.search(said, captured.err), captured.err
    assert [path.name for path in film.parent.iterdir() if path.name != "models"] == [film.name]


def test_a_changed_weight_is_refused(
    model: Path, film: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Its length is right, so it shows only when the weights are read; which is before the first frame is decoded."""
    path = model / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert run(["score", str(film), "--model", "mine", "-q"]) == 1
    assert re.fullmatch(r"error: [^\n]*model\.safetensors[^\n]*hash[^\n]*\n", capsys.readouterr().err)
    assert not (film.parent / "scored" / film.name).exists()
    told = [record.getMessage() for record in caplog.records if "forbids films that earn money" in record.getMessage()]
    assert len(told) == 1

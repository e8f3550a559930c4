"""`gvm models` from the command line: what it prints, and one line for whatever can be wrong with a checkpoint."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from hub_server import Hub, serving
from parity import parity

from gvm_plugin import hub
from gvm_plugin.cli import run

Make = Callable[[Path], list[str]]  # prepares a folder, gives back the arguments of `gvm models import`


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("GVM_MODELS", str(folder))
    return folder


def published(name: str = "one") -> Path:
    return parity(name).folder


def package(name: str = "one") -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(published(name) / "state_dict.bin", weights_only=True)
    return loaded


# --- what goes well ----------------------------------------------------------------------------------------------


def test_import_list_show_check_remove(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "import", str(published()), "--name", "mine"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert re.search(r"^mine: CLIP .* decoder \d+ layers x 128, .*EnCodec", captured.out, re.MULTILINE)
    assert re.search(r"^\d+\.\d million parameters, ", captured.out, re.MULTILINE)
    assert "licence: CC-BY-NC-4.0. Free with credit" in captured.out
    assert captured.out.endswith("use it: gvm score film.mp4 --model mine\n")

    assert run(["models"]) == 0
    assert re.search(r"^mine\s+CC-BY-NC-4\.0\s+forbidden\s+\d", capsys.readouterr().out, re.MULTILINE)
    assert run(["models", "mine"]) == 0
    card = capsys.readouterr().out
    assert run(["models", "show", "mine"]) == 0
    assert capsys.readouterr().out == card
    assert "# mine" in card and "not for commercial use" in card

    assert run(["models", "check", "mine"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "mine is whole"
    assert run(["models", "remove", "mine", "--yes"]) == 0
    assert capsys.readouterr().out == "mine is gone\n"
    assert list(store.iterdir()) == []


def test_a_changed_byte_is_found(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "import", str(published()), "--name", "mine", "-q"]) == 0
    path = store / "mine" / "codec.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert run(["models", "check", "mine"]) == 1
    captured = capsys.readouterr()
    assert re.search(r"^codec\.safetensors\s.*hash differs", captured.out, re.MULTILINE)
    assert re.fullmatch(r"error: model mine: codec\.safetensors is not the bytes .*; import or pull .*\n", captured.err)


def test_check_of_what_ships(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "check", "starter"]) == 0
    assert run(["models", "check", "tone"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "tone has no files"


def test_overwrite_replaces_at_the_end_and_only_if_all_went_well(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "import", str(published()), "--name", "mine", "-q"]) == 0
    before = (store / "mine" / "model.json").read_bytes()
    assert run(["models", "import", str(tmp_path), "--name", "mine", "--overwrite", "-q"]) == 1
    assert (store / "mine" / "model.json").read_bytes() == before
    assert run(["models", "import", str(published("sum4")), "--name", "mine", "--overwrite", "-q"]) == 0
    assert (store / "mine" / "model.json").read_bytes() != before
    assert [path.name for path in store.iterdir()] == ["mine"]
    assert run(["models", "check", "mine"]) == 0


def test_ctrl_c_leaves_nothing(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from core import checkpoint

    def stop(folder: Path, *_: Any) -> None:
        (folder / "model.safetensors.partial").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "write", stop)
    assert run(["models", "import", str(published()), "--name", "mine"]) == 130
    assert capsys.readouterr().err.strip() == "error: interrupted; what was finished is kept"
    assert list(store.iterdir()) == []


def test_an_overwrite_that_cant_be_finished_keeps_the_old_one(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "import", str(published()), "--name", "mine", "-q"]) == 0
    before = (store / "mine" / "model.json").read_bytes()
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == ".mine.new":
            raise PermissionError(13, "Permission denied", str(target))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    assert run(["models", "import", str(published("sum4")), "--name", "mine", "--overwrite", "-q"]) == 1
    assert re.fullmatch(r"error: .*mine can't be written \(.*\); see what lies there\n", capsys.readouterr().err)
    assert (store / "mine" / "model.json").read_bytes() == before
    assert run(["models", "check", "mine"]) == 0


def test_what_a_killed_import_left_goes_with_the_next(store: Path) -> None:
    for name in (".mine.new", "..mine.new.x1y2.partial"):
        (store / name).mkdir(parents=True)
        (store / name / "model.safetensors").write_bytes(b"half")
    assert run(["models", "import", str(published()), "--name", "mine", "-q"]) == 0
    assert [path.name for path in store.iterdir()] == ["mine"]


def test_a_pulled_codec_is_named_by_its_name(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hub on this machine has the codec in MusicGen's repository; the model's own folder hasn't."""
    files = {name: (published() / name).read_bytes() for name in ("state_dict.bin", "compression_state_dict.bin")}
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    shutil.copy(published() / "state_dict.bin", tmp_path / "state_dict.bin")
    arguments = ["models", "import", str(tmp_path / "state_dict.bin"), "--name", "mine", "--codec", "musicgen-small"]
    assert run(arguments) == 1
    assert "musicgen-small isn't there; fetch it: gvm models pull musicgen-small" in capsys.readouterr().err
    with serving(Hub({"facebook/musicgen-small": files})) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        assert run(["models", "pull", "musicgen-small"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "licence: CC-BY-NC-4.0. Free with credit" in captured.out
    assert run(arguments) == 0
    assert run(["models"]) == 0
    assert re.search(r"^musicgen-small\s+CC-BY-NC-4\.0\s+forbidden", capsys.readouterr().out, re.MULTILINE)
    assert run(["models", "check", "musicgen-small"]) == 0


def test_what_can_be_pulled_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "pull"]) == 0
    said = capsys.readouterr().out
    for remote in hub.REMOTES:
        assert re.search(rf"^{re.escape(remote.name)}\s+{re.escape(remote.licence)}\s", said, re.MULTILINE)


def test_a_card_cant_play_tricks_on_a_terminal(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "import", str(published()), "--name", "mine", "-q"]) == 0
    (store / "mine" / "MODEL_CARD.md").write_text("# mine\n\x1b[2Jgone\n")
    assert run(["models", "mine"]) == 0
    assert "\x1b" not in capsys.readouterr().out


# --- what can be wrong -------------------------------------------------------------------------------------------


class _Evil:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.proof), "w"))


def _saved(folder: Path, content: Any) -> Path:
    folder.mkdir()
    torch.save(content, folder / "state_dict.bin")
    shutil.copy(published() / "compression_state_dict.bin", folder)
    return folder


def wrong_checkpoint(folder: Path) -> list[str]:
    return [str(_saved(folder / "source", {"model": {"layer.weight": torch.zeros(2)}}))]


def truncated_file(folder: Path) -> list[str]:
    source = _saved(folder / "source", package())
    path = source / "state_dict.bin"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return [str(source)]


def empty_file(folder: Path) -> list[str]:
    (folder / "state_dict.bin").write_bytes(b"")
    return [str(folder / "state_dict.bin")]


def config_without_weights(folder: Path) -> list[str]:
    return [str(_saved(folder / "source", {**package(), "best_state": {}}))]


def weights_without_config(folder: Path) -> list[str]:
    return [str(_saved(folder / "source", {"best_state": package()["best_state"]}))]


def musicgen_in_its_place(folder: Path) -> list[str]:
    state = package()["best_state"]
    kept = {name: value for name, value in state.items() if not name.startswith("condition_provider.")}
    kept["condition_provider.conditioners.description.output_proj.weight"] = torch.zeros(4, 4)
    return [str(_saved(folder / "source", {**package(), "best_state": kept}))]


def another_codec(folder: Path) -> list[str]:
    return [str(published() / "state_dict.bin"), "--codec", str(published("mean16"))]


def model_as_codec(folder: Path) -> list[str]:
    return [str(published()), "--codec", str(published() / "state_dict.bin")]


def no_codec(folder: Path) -> list[str]:
    shutil.copy(published() / "state_dict.bin", folder)
    return [str(folder / "state_dict.bin")]


def codec_that_isnt_there(folder: Path) -> list[str]:
    return [str(published()), "--codec", str(folder / "absent")]


def malicious(folder: Path) -> list[str]:
    return [str(_saved(folder / "source", {**package(), "note": _Evil(folder / "proof")}))]


def malicious_old_pickle(folder: Path) -> list[str]:
    source = _saved(folder / "source", {})
    content = io.BytesIO()
    torch.save({"best_state": _Evil(folder / "proof")}, content, _use_new_zipfile_serialization=False)
    (source / "state_dict.bin").write_bytes(content.getvalue())
    return [str(source)]


def malicious_codec(folder: Path) -> list[str]:
    torch.save({"best_state": _Evil(folder / "proof")}, folder / "codec.bin")
    return [str(published()), "--codec", str(folder / "codec.bin")]


def empty_folder(folder: Path) -> list[str]:
    (folder / "source").mkdir()
    return [str(folder / "source")]


def nothing_there(folder: Path) -> list[str]:
    return [str(folder / "absent")]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (wrong_checkpoint, r"state_dict\.bin is no published checkpoint .*; export it"),
        (truncated_file, r"state_dict\.bin is damaged or cut off; fetch it again"),
        (empty_file, r"is no checkpoint \(it is empty\); fetch state_dict\.bin"),
        (config_without_weights, r"has settings and no weights .*; export it"),
        (weights_without_config, r"has weights and no settings .*; export it"),
        (musicgen_in_its_place, r"is a MusicGen: it reads text and no pictures, so it can only initialise training"),
        (another_codec, r"writes 4 codebooks of 128 codes, its codec has 4 of 2048; name the codec it was trained"),
        (model_as_codec, r"is a model's weights, where a codec was expected; name the compression_state_dict\.bin"),
        (no_codec, r"compression_state_dict\.bin isn't there; put the codec beside .* pull encodec-32khz"),
        (codec_that_isnt_there, r"the codec .*absent isn't there; name the folder or file"),
        (malicious, r"asks to run code \(.*open\) and was refused; nothing of it was run"),
        (malicious_old_pickle, r"asks to run code \(.*open\) and was refused; nothing of it was run"),
        (malicious_codec, r"asks to run code \(.*open\) and was refused; nothing of it was run"),
        (empty_folder, r"has no checkpoint: put state_dict\.bin there"),
        (nothing_there, r"isn't there; name the folder or file of a published checkpoint"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cant_be_imported_is_one_line_and_leaves_nothing(
    make: Make, said: str, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    assert run(["models", "import", *make(here), "--name", "mine", "-q"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"error: [^\n]+\n", captured.err)
    assert re.search(said, captured.err), captured.err
    assert not (here / "proof").exists()
    assert not store.exists() or list(store.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "x", "--name", "a b"], r"can't be the name of a model; take letters"),
        (["import", "x", "--name", "starter"], r"taken by gvm itself; choose another with --name"),
        (["import", "x", "--name", "encodec-32khz"], r"kept for what `gvm models pull encodec-32khz` fetches; choose"),
        (["pull", "musicgen-smal"], r"can't be pulled; .* did you mean musicgen-small\?"),
        (["musicgen-small"], r"isn't here; `gvm models pull musicgen-small` fetches it"),
        (["startr"], r"known are starter, tone; did you mean starter\?"),
        (["check", "absent"], r"no model is called 'absent'"),
        (["remove", "absent", "--yes"], r"isn't there; `gvm models` lists"),
        (["remove", "starter", "--yes"], r"part of gvm itself; only what was imported"),
        (["remove", "../models", "--yes"], r"isn't there; `gvm models` lists"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_names_are_one_line(
    arguments: list[str], said: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", *arguments]) == 1
    captured = capsys.readouterr()
    assert re.fullmatch(r"error: [^\n]+\n", captured.err)
    assert re.search(said, captured.err), captured.err


def test_a_name_that_is_taken(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "import", str(published()), "--name", "mine", "-q"]) == 0
    before = (store / "mine" / "model.json").stat().st_mtime_ns
    assert run(["models", "import", str(published()), "--name", "mine"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"error: mine is there already, .*; choose another --name, or .* --overwrite\n", captured.err)
    assert (store / "mine" / "model.json").stat().st_mtime_ns == before


def test_too_little_room_is_said_before_anything_is_read(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=1000))
    assert run(["models", "import", str(published()), "--name", "mine"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"error: the model needs about .* GB and .* has 0\.00 GB free; make room, .*\n", captured.err)


def test_nobody_to_ask_whether_to_remove(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "import", str(published()), "--name", "mine", "-q"]) == 0
    assert run(["models", "remove", "mine"]) == 2
    assert re.fullmatch(r"error: nobody can be asked .*: say --yes; .*\n", capsys.readouterr().err)
    assert (store / "mine").is_dir()


def test_asked_and_answered(store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "import", str(published()), "--name", "mine", "-q"]) == 0
    for answer, left in (("n\n", True), ("y\n", False)):
        stdin = io.StringIO(answer)
        monkeypatch.setattr(stdin, "isatty", lambda: True, raising=False)
        monkeypatch.setattr("sys.stdin", stdin)
        assert run(["models", "remove", "mine"]) == 0
        assert (store / "mine").is_dir() == left
    assert capsys.readouterr().out.endswith("mine is gone\n")


def test_list_is_what_models_alone_prints(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models"]) == 0
    listing = capsys.readouterr().out
    assert run(["models", "list"]) == 0
    assert capsys.readouterr().out == listing and "starter" in listing

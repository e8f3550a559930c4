"""`gvm models pull`, against a hub on this machine: all of it, the rest of it, or nothing and why."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
from hub_server import Hub, serving

from core.errors import DeliveryError, ModelError
from gvm_plugin import hub as ours
from gvm_plugin.cli import run
from gvm_plugin.hub import REMOTES, find_remote, pull
from gvm_plugin.models import find_installed, list_models, list_parts, remove_model

CODEC = "facebook/encodec_32khz"
WEIGHTS = np.random.default_rng(0).bytes(3_000_000)
CONFIG = b'{"model_type": "encodec"}'


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that holds the codec, named by HF_ENDPOINT; the store of models is empty."""
    monkeypatch.setenv("GVM_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)  # read from the variable at import
    monkeypatch.setattr(ours, "PAUSE_SECONDS", 0.01)
    files = {
        "config.json": CONFIG,
        "model.safetensors": WEIGHTS,
        "README.md": b"not wanted",
        "tf_model.h5": b"nor this",
    }
    with serving(Hub({CODEC: files})) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the codec goes."""
    return tmp_path / "models" / "encodec-32khz"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_is_wanted_comes_whole_with_its_card(hub: Hub, folder: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    part = pull("encodec-32khz", lambda *state: seen.append(state))
    assert names(folder) == {"config.json", "model.safetensors", "source.json", "MODEL_CARD.md"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert (part.kind, part.problem, part.licence, part.commercial_use) == ("part", "", "CC-BY-NC-4.0", False)
    assert part == find_installed("encodec-32khz") == list_parts()[0]
    about = json.loads((folder / "source.json").read_text())
    assert about["revision"] == "c" * 40
    assert about["files"]["model.safetensors"] == hashlib.sha256(WEIGHTS).hexdigest()
    card = (folder / "MODEL_CARD.md").read_text()
    assert "https://huggingface.co/facebook/encodec_32khz" in card
    assert "not for monetised videos" in card
    done = [(have, size) for name, have, size in seen if name == "model.safetensors"]
    assert done[-1] == (len(WEIGHTS), len(WEIGHTS))
    assert done == sorted(done)
    assert len(done) > 1


def test_a_connection_that_breaks_is_taken_up_again_in_the_same_run(hub: Hub, folder: Path) -> None:
    hub.cut_after, hub.drops = 700_000, 3
    pull("encodec-32khz")
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.sent == len(WEIGHTS) + len(CONFIG)  # no byte came twice


def test_the_next_run_fetches_the_rest(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.cut_after, hub.drops = 1_000_000, 10**6
    monkeypatch.setattr(ours, "_TRIES", 2)
    real, calls = ours._stream, []

    def twice(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) > 2:
            hub.file_status = 503
        real(*arguments)

    monkeypatch.setattr(ours, "_stream", twice)
    with pytest.raises(ModelError, match="the hub answers HTTP 503"):
        pull("encodec-32khz")
    (part,) = folder.glob("*.part")
    assert part.stat().st_size == 1_000_000
    assert part.read_bytes() == WEIGHTS[:1_000_000]
    assert "; " in find_installed("encodec-32khz").problem
    monkeypatch.setattr(ours, "_stream", real)
    hub.file_status, hub.cut_after, hub.sent = 200, None, 0
    hub.asked.clear()
    pull("encodec-32khz")
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.sent == 2_000_000
    assert {asked for path, asked, _ in hub.asked if path.startswith("/cdn")} == {"bytes=1000000-"}
    assert not list(folder.glob("*.part"))


def test_ctrl_c_keeps_the_part_and_gives_nothing_a_final_name(hub: Hub, folder: Path) -> None:
    def stop(name: str, have: int, size: int) -> None:
        if name == "model.safetensors":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull("encodec-32khz", stop)
    assert {name.split(".")[0] for name in names(folder)} == {"config", "model"}
    assert not (folder / "model.safetensors").exists()
    assert not (folder / "source.json").exists()
    (part,) = folder.glob("*.part")
    had = part.stat().st_size
    assert had > 0
    hub.asked.clear()
    pull("encodec-32khz")
    assert {asked for path, asked, _ in hub.asked if path.startswith("/cdn")} == {f"bytes={had}-"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_a_server_without_ranges_sends_it_all_again(hub: Hub, folder: Path) -> None:
    hub.ranges, hub.cut_after, hub.drops = False, 500_000, 2
    pull("encodec-32khz")
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_wrong_bytes_are_refused_and_removed(hub: Hub, folder: Path) -> None:
    hub.lie = True
    with pytest.raises(ModelError, match=r"model\.safetensors of encodec-32khz came with other bytes .* removed; run"):
        pull("encodec-32khz")
    assert names(folder) == {"config.json"}
    hub.lie = False
    assert pull("encodec-32khz").problem == ""


def test_a_damaged_part_of_an_earlier_run_costs_one_more_run(hub: Hub, folder: Path) -> None:
    folder.mkdir(parents=True)
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    (folder / f"model.safetensors.{digest[:12]}.part").write_bytes(b"x" * 1000)
    (folder / "model.safetensors.0123456789ab.part").write_bytes(b"of another revision")
    with pytest.raises(ModelError, match="other bytes"):
        pull("encodec-32khz")
    assert not list(folder.glob("*.part"))
    assert pull("encodec-32khz").problem == ""


def test_a_part_longer_than_the_file_is_no_loop(hub: Hub, folder: Path) -> None:
    folder.mkdir(parents=True)
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    (folder / f"model.safetensors.{digest[:12]}.part").write_bytes(WEIGHTS + b"more")
    with pytest.raises(ModelError, match="other bytes"):
        pull("encodec-32khz")


def test_the_next_of_two_names_is_taken_where_the_first_is_not_there(hub: Hub, folder: Path) -> None:
    hub.repositories[CODEC]["pytorch_model.bin"] = hub.repositories[CODEC].pop("model.safetensors")
    pull("encodec-32khz")
    assert (folder / "pytorch_model.bin").read_bytes() == WEIGHTS


def test_what_is_there_is_not_fetched_twice(hub: Hub, folder: Path) -> None:
    pull("encodec-32khz")
    hub.sent = 0
    with pytest.raises(ModelError, match=r"is there already, .*; --overwrite"):
        pull("encodec-32khz")
    pull("encodec-32khz", overwrite=True)
    assert hub.sent == 0
    hub.repositories[CODEC]["config.json"] = b"{}"
    pull("encodec-32khz", overwrite=True)
    assert (hub.sent, (folder / "config.json").read_bytes()) == (2, b"{}")


def test_what_was_put_there_by_hand_is_taken_if_it_is_right(hub: Hub, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "config.json").write_bytes(b"something else")
    pull("encodec-32khz")
    assert hub.sent == len(CONFIG)
    assert (folder / "config.json").read_bytes() == CONFIG


def test_the_token_goes_to_the_hub_and_to_nobody_else(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "hf_secret"
    with pytest.raises(ModelError, match=r"HTTP 401\); accept the licence on https://huggingface\.co/.* HF_TOKEN"):
        pull("encodec-32khz")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    pull("encodec-32khz")
    told = {path.split("/")[1] for path, _, header in hub.asked if header == "Bearer hf_secret"}
    assert told == {"api", "facebook"}
    assert any(path.startswith("/cdn/") and not header for path, _, header in hub.asked)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, r"HTTP 401\); accept the licence .* HF_TOKEN"),
        (403, r"HTTP 403\); accept the licence .* HF_TOKEN"),
        (404, r"HTTP 404\); update gvm"),
        (500, r"answers HTTP 500\); with a connection run this again, or download by hand https"),
    ],
)
def test_answers_other_than_yes(hub: Hub, status: int, said: str) -> None:
    hub.status = status
    with pytest.raises(ModelError, match=said):
        pull("encodec-32khz")


def test_a_file_that_is_gone_between_listing_and_fetching(hub: Hub) -> None:
    hub.file_status = 404
    with pytest.raises(ModelError, match="HTTP 404"):
        pull("encodec-32khz")


def test_a_repository_without_the_file(hub: Hub) -> None:
    del hub.repositories[CODEC]["model.safetensors"]
    with pytest.raises(ModelError, match=r"holds no model\.safetensors or pytorch_model\.bin any more; update gvm"):
        pull("encodec-32khz")


def test_a_network_that_answers_for_the_hub(hub: Hub) -> None:
    hub.html = True
    with pytest.raises(ModelError, match="isn't a hub; check HF_ENDPOINT"):
        pull("encodec-32khz")


BY_HAND = re.compile(
    r"encodec-32khz can't be fetched \(.+\); with a connection run this again, or download by hand "
    r"https://huggingface\.co/facebook/encodec_32khz/resolve/main/config\.json, "
    r"https://huggingface\.co/facebook/encodec_32khz/resolve/main/model\.safetensors or .+ into (.+) and run it again"
)


def test_without_a_network_it_says_what_to_put_where_and_takes_it_then(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(ModelError) as caught:
        pull("encodec-32khz")
    match = BY_HAND.fullmatch(str(caught.value))
    assert match
    assert Path(match[1]) == folder
    (folder / "config.json").write_bytes(CONFIG)
    with pytest.raises(ModelError):
        pull("encodec-32khz")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    part = pull("encodec-32khz")
    assert part.problem == ""
    assert "by hand, not compared with the hub" in part.source


def test_offline_mode_asks_nobody(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        pull("encodec-32khz")
    assert hub.asked == []


def test_too_little_room_is_said_before_anything_comes(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=2_000_000))
    with pytest.raises(DeliveryError, match=r"needs 0\.00 GB and .* has 0\.00 GB free; make room"):
        pull("encodec-32khz")
    assert hub.sent == 0


def test_a_disk_that_fills_up_leaves_a_part_to_go_on_with(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str, have: int, size: int) -> None:
        if have > 1_500_000:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DeliveryError, match=r"the disk is full; make room, .* it goes on where it stopped"):
        pull("encodec-32khz", full)
    assert list(folder.glob("*.part"))
    assert pull("encodec-32khz").problem == ""


def test_a_store_that_cant_be_written(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GVM_MODELS", str(tmp_path / "file"))
    with pytest.raises(DeliveryError, match=r"can't be written .*; set GVM_MODELS"):
        pull("encodec-32khz")


def test_two_pulls_of_the_same_at_once(hub: Hub, folder: Path) -> None:
    def again(*_: Any) -> None:
        with pytest.raises(ModelError, match=r"another gvm is working on encodec-32khz, in .*; wait until it is done"):
            pull("encodec-32khz")
        with pytest.raises(ModelError, match="another gvm is working on encodec-32khz"):
            remove_model("encodec-32khz")

    assert pull("encodec-32khz", again).problem == ""
    assert names(folder.parent) == {"encodec-32khz"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_a_claim_ends_with_its_process(hub: Hub, folder: Path) -> None:
    program = (
        "from gvm_plugin.models import claimed\nwith claimed('encodec-32khz'):\n"
        "    print('mine', flush=True)\n    input()\n"
    )
    other = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdin is not None and other.stdout is not None
    with other:
        assert other.stdout.readline() == b"mine\n"
        with pytest.raises(ModelError, match="another gvm is working on"):
            pull("encodec-32khz")
        other.kill()
    assert pull("encodec-32khz").problem == ""
    assert names(folder.parent) == {"encodec-32khz"}


def test_a_model_of_ones_own_is_not_overwritten(hub: Hub, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "model.json").write_text("{}")
    with pytest.raises(ModelError, match="a model of your own has the name"):
        pull("encodec-32khz")


@pytest.mark.parametrize("address", ["nonsense", "http://[x", "ftp://127.0.0.1", "http://127.0.0.1:99999", "http://"])
def test_an_address_that_is_none(address: str, folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(ModelError, match=r"HF_ENDPOINT is '.*', which is no address of a hub; unset it"):
        pull("encodec-32khz")
    assert not folder.exists()


def test_unknown_names_are_met_with_near_ones() -> None:
    with pytest.raises(ModelError, match=r"did you mean musicgen-small\?"):
        find_remote("musicgen_smal")
    with pytest.raises(ModelError, match="`gvm models import`"):
        find_remote("xyzzy")


@pytest.mark.parametrize("remote", REMOTES, ids=lambda remote: remote.name)
def test_everything_that_can_be_pulled_comes(remote: ours.Remote, hub: Hub, tmp_path: Path) -> None:
    hub.repositories = {remote.repository: {group[0]: group[0].encode() * 10 for group in remote.files}}
    part = pull(remote.name)
    assert part.problem == ""
    assert part.licence in (tmp_path / "models" / remote.name / "MODEL_CARD.md").read_text()
    assert all(model.name != remote.name for model in list_models())


def test_on_a_terminal_a_bar_shows_what_comes(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert run(["models", "pull", "encodec-32khz"]) == 0
    shown = capsys.readouterr().err
    assert re.search(r"model\.safetensors: +\d+%", shown)
    assert run(["models", "remove", "encodec-32khz", "--yes"]) == 0
    assert run(["models", "pull", "encodec-32khz", "-q"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("encodec-32khz is gone\n", "")

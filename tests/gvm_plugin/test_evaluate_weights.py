"""Where `gvm evaluate` finds what it listens with, and one line that says how to get it where it isn't."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.errors import ModelError
from core.evaluation.embedders import EMBEDDERS, TAGGERS
from gvm_plugin.evaluate_weights import LISTENERS, find_weights
from gvm_plugin.hub import REMOTES


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of models, and an empty store of the hub's own."""
    monkeypatch.setenv("GVM_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    return tmp_path / "models"


def test_everything_that_can_listen_has_its_place() -> None:
    assert set(LISTENERS) == {*EMBEDDERS, *TAGGERS}
    pulled = {remote.name: remote.repository for remote in REMOTES}
    for listener in LISTENERS.values():
        assert not listener.repository or pulled[listener.part] == listener.repository


def test_what_is_named_is_taken(store: Path, tmp_path: Path) -> None:
    assert find_weights("clap", tmp_path) == tmp_path
    with pytest.raises(ModelError, match=r"nowhere isn't there; name the file or folder with the weights of clap"):
        find_weights("clap", tmp_path / "nowhere")


def test_what_was_pulled_is_taken(store: Path) -> None:
    folder = store / "clap-music"
    folder.mkdir(parents=True)
    with pytest.raises(ModelError, match="fetch them: gvm models pull clap-music"):
        find_weights("clap")  # a pull that was interrupted
    (folder / "source.json").write_text("{}")
    assert find_weights("clap") == folder


def test_what_another_program_fetched_is_taken(store: Path, tmp_path: Path) -> None:
    snapshots = tmp_path / "home" / "hub" / "models--MIT--ast-finetuned-audioset-10-10-0.4593" / "snapshots"
    half, whole = snapshots / ("a" * 40), snapshots / ("b" * 40)
    for folder in (half, whole):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
    (whole / "model.safetensors").write_bytes(b"")
    assert find_weights("ast") == whole


@pytest.mark.parametrize("name", LISTENERS)
def test_what_is_nowhere_is_said_with_the_remedy(store: Path, name: str) -> None:
    with pytest.raises(ModelError) as caught:
        find_weights(name)
    remedy = rf"gvm models pull {LISTENERS[name].part}" if LISTENERS[name].repository else "download https://.*vggish"
    assert re.search(remedy, str(caught.value))
    assert "\n" not in str(caught.value)


def test_vggish_is_put_there_by_hand(store: Path) -> None:
    (store / "vggish").mkdir(parents=True)
    assert find_weights("vggish") == store / "vggish"


def test_a_name_that_is_none(store: Path) -> None:
    with pytest.raises(ModelError, match="no 'passt' to listen with; there is vggish, clap, encodec, ast"):
        find_weights("passt")

"""The store of models: what lies there is found, named, described, and refused with a reason, by its cards alone."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.config import published, tiny
from core.errors import ModelError
from gvm_plugin import models
from gvm_plugin.generators import ToneGenerator
from gvm_plugin.models import (
    card_text,
    check_name,
    find_installed,
    find_model,
    licence_in_words,
    list_models,
    list_parts,
)
from gvm_plugin.weights_file import WeightsFileError, read_shapes

HASH = "0" * 64
FILES = {"model.safetensors": HASH, "vision.safetensors": HASH, "codec.safetensors": HASH}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models, empty."""
    folder = tmp_path / "models"
    monkeypatch.setenv("GVM_MODELS", str(folder))
    return folder


def write_weights(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """A safetensors file of zeros, two bytes a number."""
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2
        for n in shape:
            size *= n
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))


def write_model(folder: Path, **changes: Any) -> Path:
    """A folder as the importer writes it, with weights that are only as long as they say."""
    folder.mkdir(parents=True)
    card = {"name": "x", "licence": "CC-BY-NC-4.0", "commercial_use": False, "source": "a test", "training": {}}
    about = {"config": published("small").to_json(), "card": card, "sha256": HASH, "files": FILES, **changes}
    (folder / "model.json").write_text(json.dumps(about))
    for name in FILES:
        write_weights(folder / name, {"weight": (3, 4), "bias": (3,)})
    return folder


def test_without_a_store_there_is_what_ships(store: Path) -> None:
    assert [model.name for model in list_models()] == ["starter", "tone"]
    assert not any(model.problem for model in list_models())
    assert list_parts() == []
    assert not store.exists()


def test_tone_is_what_the_generator_says_of_itself() -> None:
    tone, generator = find_model("tone"), ToneGenerator()
    assert (tone.name, tone.licence, tone.commercial_use, tone.sha256) == (
        generator.name,
        generator.licence,
        generator.commercial_use,
        generator.weights_sha256,
    )


def test_where_models_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GVM_MODELS", str(tmp_path / "a"))
    assert models.models_folder() == tmp_path / "a"
    monkeypatch.setenv("GVM_MODELS", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert models.models_folder() == tmp_path / "gvm" / "models"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert models.models_folder() == tmp_path / ".local" / "share" / "gvm" / "models"


def test_an_imported_model_is_found_by_name_and_by_path(store: Path) -> None:
    folder = write_model(store / "mine")
    model = find_model("mine")
    assert model == find_model(str(folder)) == find_installed("mine") == list_models()[2]
    assert (model.name, model.folder, model.problem) == ("mine", folder, "")
    assert (model.licence, model.commercial_use, model.source) == ("CC-BY-NC-4.0", False, "a test")
    assert model.parameters == 3 * 15
    assert model.size_bytes == sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    assert model.config == published("small")
    assert "24 layers x 1024" in model.about
    assert model.slow
    assert not find_model("starter").slow


def test_cards_are_read_without_torch_or_numpy(store: Path) -> None:
    write_model(store / "mine")
    program = (
        "from gvm_plugin.models import find_model, list_models; import sys; list_models();"
        "assert find_model('mine').commercial_use is False; assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).resolve().parents[2])


def test_another_model_of_the_same_classes_can_be_named_by_path(tmp_path: Path) -> None:
    write_model(tmp_path / "trained", config=tiny().to_json(), files={})
    assert find_model(str(tmp_path / "trained")).problem == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"config": {}}, "describes no model"),
        ({"config": dict(published("small").to_json(), wings=2)}, "later gvm .*'wings'.*; update gvm"),
        ({"format": 99}, "later gvm .*; update gvm"),
        ({"card": {"licence": "CC0-1.0"}}, "its licence isn't said"),
        ({"sha256": "abc"}, "the hash of its weights isn't said"),
        ({"files": {"../../etc/passwd": HASH}}, "its list of files"),
        ({"files": {**FILES, "absent.safetensors": HASH}}, "absent.safetensors is missing"),
        ({"files": {"codec.safetensors": HASH}}, r"names no vision\.safetensors, which its settings ask for"),
        ({"files": [1]}, "its list of files"),
    ],
)
def test_a_card_that_says_nonsense_is_a_problem_with_a_remedy(store: Path, changes: dict[str, Any], said: str) -> None:
    write_model(store / "odd", **changes)
    problem = find_model("odd").problem
    assert re.search(said, problem), problem
    assert "; " in problem and "\n" not in problem
    assert problem in {model.problem for model in list_models()}


@pytest.mark.parametrize("cut", [0, 5, 60, 150])
def test_weights_cut_off_are_seen_without_reading_them(store: Path, cut: int) -> None:
    folder = write_model(store / "mine")
    path = folder / "codec.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    assert "codec.safetensors is damaged" in find_model("mine").problem


def test_a_damaged_card_is_listed_with_its_problem_and_allows_nothing(store: Path) -> None:
    write_model(store / "torn")
    (store / "torn" / "model.json").write_text('{"config": ')
    (torn,) = list_models()[2:]
    assert "model.json is damaged; " in torn.problem
    assert torn.commercial_use is False


def test_an_unfinished_folder_is_a_part_that_says_how_to_go_on(store: Path) -> None:
    (store / "half").mkdir(parents=True)
    assert list_parts() == []  # nothing in it yet
    with pytest.raises(ModelError, match="isn't finished; `gvm models pull half` goes on"):
        find_model("half")
    (store / "half" / "weights.bin.0123456789ab.part").write_bytes(b"123")
    (part,) = list_parts()
    assert (part.name, part.about, part.size_bytes, part.commercial_use) == ("half", "unfinished", 3, False)


def test_what_isnt_a_model_of_ours_is_left_out_of_the_list(store: Path) -> None:
    write_model(store / "mine")
    (store / ".mine.partial").mkdir()
    (store / "starter").mkdir()
    (store / "notes.txt").write_text("x")
    assert [model.name for model in list_models()] == ["starter", "tone", "mine"]


def test_parts_are_listed_apart_and_make_no_music(store: Path) -> None:
    folder = store / "encodec-32khz"
    folder.mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"12345")
    about = {"licence": "CC-BY-NC-4.0", "commercial_use": False, "about": "a codec", "files": {"weights.bin": HASH}}
    (folder / "source.json").write_text(json.dumps(about))
    assert [model.name for model in list_models()] == ["starter", "tone"]
    (part,) = list_parts()
    assert (part.name, part.kind, part.size_bytes, part.problem) == ("encodec-32khz", "part", 5, "")
    assert find_installed("encodec-32khz") == part
    with pytest.raises(ModelError, match=r"makes music \(a codec\)"):
        find_model("encodec-32khz")
    (folder / "weights.bin").unlink()
    assert "weights.bin is missing; fetch it again: gvm models pull encodec-32khz" in list_parts()[0].problem


def test_an_unknown_name_is_met_with_a_near_one(store: Path) -> None:
    write_model(store / "gvmgen-large")
    with pytest.raises(ModelError, match=r"known are starter, tone, gvmgen-large; did you mean gvmgen-large\?"):
        find_model("gvmgen_large")
    with pytest.raises(ModelError, match="; `gvm models import`"):
        find_model("xyzzy")


def test_a_path_without_a_model_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "state_dict.bin"
    file.write_bytes(b"x")
    with pytest.raises(ModelError, match="is a file, not a model folder; `gvm models import"):
        find_model(str(file))
    with pytest.raises(ModelError, match=r"holds no model\.json; `gvm models import"):
        find_model(str(tmp_path))
    with pytest.raises(ModelError, match="isn't there; "):
        find_model("./nowhere")


@pytest.mark.parametrize("name", ["gvmgen-large", "a", "GVM.2_x", "0"])
def test_names_that_folders_can_have(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "..", ".x", "-x", "a/b", "a b", "é", "x" * 65, "a\n", "con", "NUL.txt", "x.", "starter", "Import", "tone"],
)
def test_names_that_cant_be(name: str) -> None:
    with pytest.raises(ModelError, match=r"; |take letters") as caught:
        check_name(name)
    assert "\n" not in str(caught.value)


def test_licences_in_plain_words(store: Path) -> None:
    assert "one that earns money; no credit" in licence_in_words("CC0-1.0", True)
    assert "not for monetised videos" in licence_in_words("CC-BY-NC-4.0", False)
    write_model(store / "mine")
    assert "not for monetised videos" in card_text(find_model("mine"))
    assert "starter" in card_text(find_model("starter"))


def test_every_mutilation_of_a_header_is_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_weights(path, {"a": (2, 3), "b": ()})
    shapes = read_shapes(path)
    assert (shapes.shapes, shapes.parameters) == ({"a": (2, 3), "b": ()}, 7)
    whole = path.read_bytes()
    for text in (
        b"[]",
        b'{"a": 1}',
        b'{"a": {"shape": [2]}}',
        b'{"a": {"shape": "x", "data_offsets": [0, 4]}}',
        b"\xff",
    ):
        path.write_bytes(struct.pack("<Q", len(text)) + text)
        with pytest.raises(WeightsFileError):
            read_shapes(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsFileError):
            read_shapes(path)
    path.write_bytes(whole + b"x")
    with pytest.raises(WeightsFileError):
        read_shapes(path)


def test_the_folder_is_called_the_same_on_both_sides() -> None:
    """`models` loads no torch and so can't ask `checkpoint`, which does."""
    from core import checkpoint
    from gvm_plugin import models

    assert (models.FORMAT, models.MODEL_FILE, models.WEIGHTS) == (
        checkpoint.FORMAT,
        checkpoint.DESCRIPTION,
        checkpoint.MODEL,
    )

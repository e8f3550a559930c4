"""Weights in and out: what is saved comes back, and whatever doesn't fit is said in one line before time is spent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from core import checkpoint, memory
from core.checkpoint import ModelCard
from core.codecs.encodec_files import build
from core.config import CodecConfig, DecoderConfig, FeatureConfig, ModelConfig, TowerConfig, tiny
from core.errors import ModelError
from core.model import GVMGen
from core.vision.build import new_tower

CARD = ModelCard("tiny", "CC0-1.0", True, "made here", {"steps": 3})


@pytest.fixture
def model() -> GVMGen:
    torch.manual_seed(0)
    return GVMGen(tiny())


def whole_config() -> ModelConfig:
    """A model of a few thousand numbers that has every part."""
    return ModelConfig(
        "clip",
        "encodec",
        FeatureConfig(patch_channels=64, width=64, heads=1, queries=2, layers=1, out_channels=8),
        DecoderConfig(dim=16, heads=2, layers=1, card=32),
        tower=TowerConfig(width=64, layers=1, heads=1, patch=7, resolution=14),
        encodec=CodecConfig(card=32, dimension=8, filters=2, lstm_layers=1),
    )


def write_whole(folder: Path) -> dict[str, dict[str, Any]]:
    """Writes that model with random weights; gives back its state dicts."""
    config = whole_config()
    assert config.encodec is not None
    torch.manual_seed(1)
    parts = {
        checkpoint.MODEL: GVMGen(config).state_dict(),
        checkpoint.VISION: new_tower(config).state_dict(),
        checkpoint.CODEC: build(config.encodec).state_dict(),
    }
    checkpoint.write(folder, config, CARD, parts)
    return parts


def refusal(call: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(ModelError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    about = json.loads((folder / "model.json").read_text())
    change(about)
    (folder / "model.json").write_text(json.dumps(about))


# --- round trips -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float32])
def test_what_is_saved_comes_back(tmp_path: Path, model: GVMGen, stored: torch.dtype) -> None:
    checkpoint.save(model, CARD, tmp_path / "tiny", stored)
    found, card, digest = checkpoint.load(tmp_path / "tiny")
    assert card == CARD
    assert digest == checkpoint.sha256(tmp_path / "tiny" / "model.safetensors")
    assert found.config == model.config
    assert not found.training
    for name, value in model.state_dict().items():
        assert torch.equal(found.state_dict()[name], value.to(stored).float()), name
    assert all(value.requires_grad for value in found.parameters())


def test_the_dtype_is_kept_where_asked(tmp_path: Path, model: GVMGen) -> None:
    model.decoder.bfloat16()
    checkpoint.save(model, CARD, tmp_path, None)
    stored = load_file(tmp_path / "model.safetensors")
    assert stored["decoder.emb.0.weight"].dtype == torch.bfloat16
    assert stored["features.query_tokens"].dtype == torch.float32


def test_loading_in_another_dtype(tmp_path: Path, model: GVMGen) -> None:
    checkpoint.save(model, CARD, tmp_path)
    found, _, _ = checkpoint.load(tmp_path, dtype=torch.bfloat16)
    assert {value.dtype for value in found.parameters()} == {torch.bfloat16}


def test_a_loaded_model_computes_the_same(tmp_path: Path, model: GVMGen) -> None:
    checkpoint.save(model, CARD, tmp_path, torch.float32)
    found, _, _ = checkpoint.load(tmp_path)
    patches = torch.randn(1, 3, 5, 8)
    assert torch.equal(found.condition(patches), model.eval().condition(patches))


def test_the_starter_is_what_its_file_says() -> None:
    found, card, digest = checkpoint.load(checkpoint.STARTER)
    stored = load_file(checkpoint.STARTER / "model.safetensors")
    assert (card.licence, card.commercial_use, card.originals) == ("CC0-1.0", True, {})
    assert digest == checkpoint.sha256(checkpoint.STARTER / "model.safetensors")
    state = found.state_dict()
    assert state.keys() == stored.keys()
    assert all(torch.equal(state[name], value.float()) for name, value in stored.items())


def test_loading_draws_no_random_numbers() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    checkpoint.load(checkpoint.STARTER)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_with_every_part(tmp_path: Path) -> None:
    parts = write_whole(tmp_path)
    found, _, _ = checkpoint.load(tmp_path)
    tower = checkpoint.load_tower(tmp_path, found.config)
    codec = checkpoint.load_codec(tmp_path, found.config)
    assert all(torch.equal(tower.state_dict()[name], value) for name, value in parts[checkpoint.VISION].items())
    assert not any(value.requires_grad for value in tower.parameters())
    assert tower(torch.zeros(2, 3, 14, 14)).shape == (2, 5, 64)
    assert codec.decode(torch.zeros(1, 4, 3, dtype=torch.long)).shape == (1, 1, 3 * 640)
    half = checkpoint.load_tower(tmp_path, found.config, dtype=torch.bfloat16)
    assert {value.dtype for value in half.parameters()} >= {torch.bfloat16}


def test_nothing_half_written_has_a_name(tmp_path: Path, model: GVMGen, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(model, CARD, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dumps", fail)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(GVMGen(tiny()), CARD, tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


# --- what doesn't fit --------------------------------------------------------------------------------------------


def test_files_that_arent_there(tmp_path: Path, model: GVMGen) -> None:
    assert "model.json is missing" in refusal(checkpoint.load, tmp_path)
    checkpoint.save(model, CARD, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    assert "model.safetensors is missing" in refusal(checkpoint.load, tmp_path)
    write_whole(tmp_path)
    (tmp_path / "codec.safetensors").unlink()
    assert "codec.safetensors is missing" in refusal(checkpoint.load_codec, tmp_path, whole_config())
    edit(tmp_path, lambda about: about.pop("files"))
    assert "doesn't say what vision.safetensors is" in refusal(checkpoint.load_tower, tmp_path, whole_config())


@pytest.mark.parametrize("name", ["model", "vision", "codec"])
def test_a_file_that_was_changed(tmp_path: Path, name: str) -> None:
    write_whole(tmp_path)
    path = tmp_path / f"{name}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    load = {"model": checkpoint.load, "vision": checkpoint.load_tower, "codec": checkpoint.load_codec}[name]
    arguments = (tmp_path,) if name == "model" else (tmp_path, whole_config())
    assert "hash differs" in refusal(load, *arguments)
    path.write_bytes(content[: len(content) // 2])
    assert "cut off" in refusal(load, *arguments)
    path.write_bytes(b"text")
    assert "not a safetensors file" in refusal(load, *arguments)


def test_weights_of_another_model(tmp_path: Path, model: GVMGen) -> None:
    checkpoint.save(model, CARD, tmp_path)
    edit(tmp_path, lambda about: about["config"]["decoder"].update(layers=3, card=24))
    said = refusal(checkpoint.load, tmp_path)
    assert "missing 12 (decoder.layers.2." in said
    assert "of another shape 8 (decoder.emb.0.weight (21, 32) for (25, 32)" in said
    weights = load_file(tmp_path / "model.safetensors")
    other = tmp_path / "other"
    checkpoint.save(model, CARD, other)
    save_file({**weights, "extra": torch.zeros(2)}, other / "model.safetensors")
    assert "left over 1 (extra)" in refusal(checkpoint.load, other)


def test_a_later_gvms_model(tmp_path: Path, model: GVMGen) -> None:
    checkpoint.save(model, CARD, tmp_path)
    edit(tmp_path, lambda about: about["config"].update(quantum=True))
    assert "'quantum'" in refusal(checkpoint.read_card, tmp_path)
    assert "update gvm" in refusal(checkpoint.read_card, tmp_path)
    edit(tmp_path, lambda about: about.update(format=2))
    assert "written by a later gvm" in refusal(checkpoint.load, tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"config": 3}', '{"config": {"decoder": {}}}'])
def test_what_is_no_description(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.json").write_text(text)
    assert "not a model description of gvm" in refusal(checkpoint.load, tmp_path)


# --- devices and memory ------------------------------------------------------------------------------------------


def test_a_device_that_isnt_there(tmp_path: Path, model: GVMGen, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(model, CARD, tmp_path)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    said = refusal(checkpoint.load, tmp_path, "cuda")
    assert "no CUDA GPU" in said
    assert "take cpu" in said
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert "no number 3" in refusal(memory.check_device, "cuda:3")
    assert memory.check_device("cuda:0") == torch.device("cuda:0")
    assert "no device 'quantum'" in refusal(memory.check_device, "quantum")


def test_weights_that_dont_fit(tmp_path: Path, model: GVMGen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before a byte of the weights is read: the hash isn't even looked at."""
    write_whole(tmp_path)
    monkeypatch.setattr(memory, "free_bytes", lambda _: memory.HEADROOM_BYTES + 1000)
    monkeypatch.setattr(checkpoint, "sha256", lambda _: pytest.fail("weights were read"))
    for call in (checkpoint.load, checkpoint.check_memory):
        said = refusal(call, tmp_path)
        assert "needs about 0.3 GB of memory, 0.3 GB are free on cpu" in said
        assert "--precision" in said
    monkeypatch.setattr(memory, "free_bytes", lambda _: None)
    checkpoint.check_memory(tmp_path)  # a system that doesn't tell is no reason to refuse


def test_memory_needed_is_that_of_the_weights(tmp_path: Path) -> None:
    parts = write_whole(tmp_path)
    counts = {name: sum(value.numel() for value in part.values()) for name, part in parts.items()}
    assert checkpoint.memory_needed(tmp_path) == 4 * sum(counts.values())
    assert checkpoint.memory_needed(tmp_path, torch.bfloat16) == 2 * sum(counts.values()) + 2 * counts[checkpoint.CODEC]
    assert checkpoint.memory_needed(tmp_path, files=[checkpoint.MODEL]) == 4 * counts[checkpoint.MODEL]


def test_free_memory_is_what_the_system_and_the_container_leave(tmp_path: Path) -> None:
    import psutil

    free = memory.free_bytes("cpu")
    if free is not None:
        assert 0 < free <= psutil.virtual_memory().total
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  9 kB\nMemAvailable:     8 kB\n")
    assert memory._available(meminfo) == 8192
    assert memory._available(tmp_path / "none") is None
    assert memory._left_in_group(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 300\ninactive_file 250\nactive_file 50\n")
    assert memory._left_in_group(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    assert memory._left_in_group(tmp_path) == 600


@pytest.mark.gpu
def test_loading_onto_a_gpu(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    write_whole(tmp_path)
    found, _, _ = checkpoint.load(tmp_path, "cuda", torch.bfloat16)
    assert {(value.device.type, value.dtype) for value in found.parameters()} == {("cuda", torch.bfloat16)}
    free = memory.free_bytes("cuda")
    assert free is not None and 0 < free <= torch.cuda.mem_get_info()[1]
    codec = checkpoint.load_codec(tmp_path, replace(found.config), "cuda")
    assert codec.decode(torch.zeros(1, 4, 3, dtype=torch.long)).device.type == "cuda"

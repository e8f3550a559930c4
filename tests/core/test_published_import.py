"""Published checkpoints brought in end to end: the same numbers as the published code, and nothing silently wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from parity import TOLERANCE, Parity, every, imported, parity
from ruamel.yaml import YAML
from safetensors.torch import load_file
from torch import Tensor

from core import checkpoint
from core.errors import ModelError
from core.model import GVMGen
from core.patterns import delay
from core.published import names
from core.published.importer import import_checkpoint

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Function from a fixture's name to its model folder, imported once."""
    folder = tmp_path_factory.mktemp("models")
    return lambda name: folder / name if (folder / name).is_dir() else imported(name, folder)


def conditioned(fixture: Parity, folder: Path) -> tuple[GVMGen, Tensor, Tensor]:
    """The model in `folder`, the tower's tokens [B, F, P, C] of the fixture's films, and the condition [B, F, out]."""
    model, _, _ = checkpoint.load(folder)
    tower = checkpoint.load_tower(folder, model.config)
    tokens = torch.stack([tower(fixture.inputs["video"]), tower(fixture.inputs["video_b"])])
    return model, tokens, model.condition(tokens)


def close(ours: Tensor, theirs: Tensor) -> bool:
    assert ours.shape == theirs.shape
    return bool((ours - theirs).abs().max() < TOLERANCE)


# --- equal to the published code ---------------------------------------------------------------------------------


@every
@torch.inference_mode()
def test_the_condition_is_the_published_one(name: str, models: Callable[[str], Path]) -> None:
    fixture = parity(name)
    model, tokens, pooled = conditioned(fixture, models(name))
    assert close(tokens[0], fixture.expected["vit_tokens"])
    assert close(pooled, fixture.expected["pooled"])
    assert close(model.decoder.condition_proj(pooled), fixture.expected["cond"])
    frames = pooled.shape[1]
    shown = torch.arange(4)[:, None].expand(4, frames) < 2  # the last two rows are the null condition
    null = model.decoder.picture(pooled.repeat(2, 1, 1), torch.zeros(4, frames), shown)
    assert all(
        (keys[2:] == 0).all() and (values[2:] == 0).all() for keys, values in zip(null.keys, null.values, strict=True)
    )
    assert (fixture.expected["cond_and_null"][2:] == 0).all()


@every
@torch.inference_mode()
def test_teacher_forced_logits_are_the_published_ones(name: str, models: Callable[[str], Path]) -> None:
    fixture = parity(name)
    model, _, pooled = conditioned(fixture, models(name))
    codes, config = fixture.inputs["codes"], model.config.decoder
    batch, _, steps = codes.shape
    times, present = torch.zeros(pooled.shape[:2]), torch.ones(pooled.shape[:2], dtype=torch.bool)
    sequence = delay(codes, config.delays, config.special)[..., : steps + 1]
    picture = model.decoder.picture(pooled, times, present)
    logits = model.decoder(sequence, picture, None, torch.zeros(batch, steps + 1))
    expected, mask = fixture.expected["logits"], fixture.expected["logits_mask"]
    for stream, lag in enumerate(config.delays):
        predicted = steps - lag  # the last `lag` codes of a stream come after the sequence's end
        assert mask[:, stream].sum() == batch * predicted
        assert mask[:, stream, :predicted].all()
        assert close(logits[:, stream, lag : lag + predicted], expected[:, stream, :predicted])
        assert expected[:, stream, predicted:].isnan().all()


@every
@torch.inference_mode()
def test_the_loss_is_the_published_one(name: str, models: Callable[[str], Path]) -> None:
    fixture = parity(name)
    model, tokens, _ = conditioned(fixture, models(name))
    codes = fixture.inputs["codes"]
    batch, streams, steps = codes.shape
    times, present = torch.zeros(tokens.shape[:2]), torch.ones(tokens.shape[:2], dtype=torch.bool)
    losses = []
    for stream, lag in enumerate(model.config.decoder.delays):
        valid = (torch.arange(steps) < steps - lag).expand(batch, steps)  # what the published code counts of a stream
        step_times = torch.zeros(batch, steps + model.config.decoder.longest_delay)
        losses.append(model.loss(tokens, times, present, codes, valid, None, step_times)[stream])
    assert streams == len(losses)
    assert close(torch.stack(losses), fixture.expected["ce_per_codebook"])
    assert close(torch.stack(losses).mean()[None], fixture.expected["ce"])


# --- what is written ---------------------------------------------------------------------------------------------


@every
def test_every_number_arrives_as_it_was(name: str, models: Callable[[str], Path]) -> None:
    folder, fixture = models(name), parity(name)
    package = torch.load(fixture.folder / "state_dict.bin", weights_only=True)
    back = names.to_published(load_file(folder / "model.safetensors"), load_file(folder / "vision.safetensors"))
    assert back.keys() == package["best_state"].keys()
    for key, value in package["best_state"].items():
        assert back[key].dtype == value.dtype
        assert torch.equal(back[key], value), key


def test_the_folder_says_what_it_is(models: Callable[[str], Path]) -> None:
    folder, fixture = models("mean16"), parity("mean16")
    config, card, digest = checkpoint.read_card(folder)
    meta = fixture.meta
    decoder, tower, features = config.decoder, config.tower, config.features
    lm = {"dim": decoder.dim, "num_heads": decoder.heads, "num_layers": decoder.layers, "card": decoder.card}
    assert lm | {"n_q": decoder.streams, "hidden_scale": decoder.hidden_scale} == meta["lm"]
    assert tower is not None and config.encodec is not None
    assert (tower.width, tower.layers, tower.patch, tower.resolution, tower.heads) == tuple(
        meta["vit"][key] for key in ("width", "layers", "patch", "resolution", "heads")
    )
    assert (features.queries, features.pooling, features.eps, features.layers, features.cross_every) == tuple(
        meta["qformer"][key]
        for key in ("query_num", "query_type", "layer_norm_eps", "qformer_layers", "cross_attention_frequency")
    )
    assert config.encodec.ratios == tuple(meta["codec"]["ratios"])
    assert (card.name, card.licence, card.commercial_use) == ("mean16", "CC-BY-NC-4.0", False)
    for file in ("state_dict.bin", "compression_state_dict.bin"):
        original = fixture.folder / file
        assert card.originals[file] == {"sha256": checkpoint.sha256(original), "bytes": original.stat().st_size}
    about = json.loads((folder / "model.json").read_text())
    assert about["files"] == {
        file: checkpoint.sha256(folder / file)
        for file in ("model.safetensors", "vision.safetensors", "codec.safetensors")
    }
    assert digest == about["files"]["model.safetensors"]
    text = (folder / "MODEL_CARD.md").read_text()
    assert "CC-BY-NC-4.0" in text
    assert all(about["sha256"] in text for about in card.originals.values())
    assert sorted(path.name for path in folder.parent.iterdir() if path.name.startswith(".")) == []


def test_importing_twice_gives_the_same_bytes(tmp_path: Path, models: Callable[[str], Path]) -> None:
    again = imported("one", tmp_path)
    for path in models("one").iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_the_codec_may_be_named(tmp_path: Path) -> None:
    source = parity("one").folder
    shutil.copy(source / "state_dict.bin", tmp_path)
    with pytest.raises(ModelError, match="gvm models pull encodec-32khz"):
        import_checkpoint(tmp_path / "state_dict.bin", tmp_path / "out", "x")
    for codec in (source, source / "compression_state_dict.bin"):
        found = import_checkpoint(tmp_path, tmp_path / f"out-{codec.name}", "x", codec)
        assert found.config.encodec is not None


def test_a_codec_of_hugging_face(tmp_path: Path, models: Callable[[str], Path]) -> None:
    """transformers' own files hold the same codec, and the model made with it is the same."""
    import transformers

    from core.codecs.encodec_files import build

    config, _, _ = checkpoint.read_card(models("sum4"))
    assert config.encodec is not None
    network: Any = build(config.encodec)
    network.load_state_dict(load_file(models("sum4") / "codec.safetensors"))
    transformers.logging.disable_progress_bar()
    network.save_pretrained(tmp_path / "hub")
    found = import_checkpoint(parity("sum4").folder / "state_dict.bin", tmp_path / "out", "x", tmp_path / "hub")
    assert found.config == config
    ours, theirs = (load_file(folder / "codec.safetensors") for folder in (found.folder, models("sum4")))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


# --- what is refused ---------------------------------------------------------------------------------------------


def changed(tmp_path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None], name: str = "one") -> Path:
    """A folder with the fixture whose weights and settings went through `change`."""
    source = parity(name).folder
    package = torch.load(source / "state_dict.bin", weights_only=True)
    yaml = YAML(typ="safe", pure=True)
    cfg = yaml.load(package["xp.cfg"])
    change(package["best_state"], cfg)
    folder = tmp_path / "source"
    folder.mkdir()
    torch.save({**package, "xp.cfg": cfg}, folder / "state_dict.bin")
    shutil.copy(source / "compression_state_dict.bin", folder)
    return folder


def refusal(tmp_path: Path, source: Path, codec: Path | None = None) -> str:
    """What import says of `source`: one line, and nothing is left behind."""
    with pytest.raises(ModelError) as caught:
        import_checkpoint(source, tmp_path / "models" / "x", "x", codec)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "models").exists()
    return str(caught.value)


def setting(name: str, value: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def change(_: dict[str, Any], cfg: dict[str, Any]) -> None:
        *path, last = name.split(".")
        for part in path:
            cfg = cfg.setdefault(part, {})
        cfg[last] = value

    return change


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("transformer_lm.layer_scale", 0.1),
        ("transformer_lm.kv_repeat", 2),
        ("transformer_lm.xpos", True),
        ("transformer_lm.positional_embedding", "rope"),
        ("transformer_lm.two_step_cfg", True),
        ("transformer_lm.norm_first", False),
        ("transformer_lm.activation", "relu"),
        ("transformer_lm.bias_attn", True),
        ("transformer_lm.qk_layer_norm_cross", True),
        ("transformer_lm.past_context", 100),
        ("transformer_lm.causal", False),
        ("lm_model", "other"),
        ("channels", 2),
        ("interleave_stereo_codebooks.use", True),
        ("fuser.cross_attention_pos_emb", True),
        ("fuser.prepend", ["visual_content"]),
        ("codebooks_pattern.modeling", "parallel"),
        ("codebooks_pattern.delay.delays", [0, 1]),
        ("codebooks_pattern.delay.flatten_first", 1),
        ("conditioners.description", {"model": "t5"}),
        ("conditioners.visual_content.model", "t5"),
        ("conditioners.visual_content.video.qformer.qformer.query_type", "max"),
        ("conditioners.visual_content.video.qformer.qformer.layer_norm_eps", "none"),
    ],
)
def test_what_we_dont_compute_is_named(tmp_path: Path, name: str, value: Any) -> None:
    said = refusal(tmp_path, changed(tmp_path, setting(name, value)))
    field = name.removeprefix("conditioners.visual_content.video.qformer.").removesuffix(".description")
    assert field in said
    assert "can't be imported" in said


def test_settings_of_training_alone_dont_matter(tmp_path: Path) -> None:
    def change(_: dict[str, Any], cfg: dict[str, Any]) -> None:
        cfg["transformer_lm"] |= {"dropout": 0.2, "memory_efficient": False, "attention_as_float32": True}
        cfg["transformer_lm"]["dim"] = 9999  # shapes count
        cfg["optim"] = None

    found = import_checkpoint(changed(tmp_path, change), tmp_path / "out", "x")
    assert found.config.decoder.dim == 128


def test_the_query_settings_count_only_where_the_published_code_reads_them(tmp_path: Path) -> None:
    def change(_: dict[str, Any], cfg: dict[str, Any]) -> None:
        block = cfg["conditioners"]["visual_content"]["video"]["qformer"]
        del block["qformer"]
        block |= {"query_num": 32, "query_type": "sum", "layer_norm_eps": 1e-3, "qformer_layers": 9}

    features = import_checkpoint(changed(tmp_path, change), tmp_path / "out", "x").config.features
    assert (features.queries, features.pooling, features.eps, features.layers) == (1, "mean", 1e-12, 3)


def test_missing_and_left_over_names_are_listed(tmp_path: Path) -> None:
    gone = [f"transformer.layers.{layer}.norm_cross.bias" for layer in range(4)]
    gone.append(f"{names.VISUAL}transformer.resblocks.0.ln_1.bias")

    def change(state: dict[str, Any], _: dict[str, Any]) -> None:
        for name in gone:
            del state[name]
        state["linears.1.weight"] = torch.zeros(128, 64)
        state |= {f"extra.{index}": torch.zeros(1) for index in range(20)}
        state[f"{names.VISUAL}qformer.encoder.layer.0.gate.weight"] = torch.zeros(1)

    said = refusal(tmp_path, changed(tmp_path, change))
    assert "missing 5" in said
    assert all(name in said for name in gone)
    assert "left over 21 (extra.0, " in said
    assert "of another shape 1 (linears.1.weight (128, 64) for (128, 128))" in said


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("emb.2.weight", "emb.N.weight"),
        ("emb.0.weight", "emb.N.weight"),
        (f"{names.VISUAL}proj", "proj is missing"),
        (f"{names.VISUAL}conv1.weight", "conv1.weight is missing"),
        (f"{names.VISUAL}query_tokens", "no music queries"),
    ],
)
def test_a_checkpoint_that_isnt_whole(tmp_path: Path, name: str, words: str) -> None:
    said = refusal(tmp_path, changed(tmp_path, lambda state, _: state.pop(name)))
    assert words in said


def test_a_model_without_its_tower(tmp_path: Path) -> None:
    def change(state: dict[str, Any], _: dict[str, Any]) -> None:
        for name in [name for name in state if name.startswith(names.VISUAL)]:
            del state[name]

    assert "is_qformer: false" in refusal(tmp_path, changed(tmp_path, change))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_a_failed_training_left(tmp_path: Path, value: float) -> None:
    def change(state: dict[str, Any], _: dict[str, Any]) -> None:
        state["linears.2.weight"][5, 7] = value

    said = refusal(tmp_path, changed(tmp_path, change))
    assert "no numbers, in 1 tensors (decoder.linears.2.weight)" in said


def test_a_model_of_ours(tmp_path: Path, models: Callable[[str], Path]) -> None:
    assert f"--model {models('one')}" in refusal(tmp_path, models("one"))


def test_heads_that_no_shape_tells(tmp_path: Path) -> None:
    assert "num_heads" in refusal(tmp_path, changed(tmp_path, setting("transformer_lm.num_heads", None)))


def test_heads_that_cant_be(tmp_path: Path) -> None:
    assert "not a multiple of heads 7" in refusal(tmp_path, changed(tmp_path, setting("transformer_lm.num_heads", 7)))


def test_another_models_codec(tmp_path: Path) -> None:
    said = refusal(tmp_path, parity("one").folder, parity("mean16").folder)
    assert "4 codebooks of 128" in said
    assert "4 of 2048" in said
    assert "--codec" in said


def test_a_codec_that_is_only_named(tmp_path: Path) -> None:
    folder = changed(tmp_path, lambda *_: None)
    torch.save({"pretrained": "facebook/encodec_32khz", "exported": True}, folder / "compression_state_dict.bin")
    said = refusal(tmp_path, folder)
    assert "facebook/encodec_32khz" in said
    assert "gvm models pull encodec-32khz" in said
    assert "--codec" in said


def test_a_codec_of_which_the_model_uses_less(tmp_path: Path) -> None:
    """Residual codebooks can be left off at the end; what the model was trained on stays."""

    def change(state: dict[str, Any], cfg: dict[str, Any]) -> None:
        for name in ("emb.3.weight", "linears.3.weight"):
            del state[name]
        cfg["compression_model_n_q"] = 3
        cfg["codebooks_pattern"]["delay"]["delays"] = [0, 1, 2]

    found = import_checkpoint(changed(tmp_path, change), tmp_path / "out", "x")
    assert found.config.encodec is not None
    assert (found.config.encodec.codebooks, found.config.decoder.streams) == (3, 3)
    codec = checkpoint.load_codec(found.folder, found.config)
    whole = checkpoint.load_codec(imported("one", tmp_path), checkpoint.read_card(tmp_path / "one")[0])
    codes = parity("one").expected["gen_tokens"][:1, :3, :20]
    assert torch.equal(codec.decode(codes), whole.decode(codes))


def test_more_codebooks_than_the_codec_has(tmp_path: Path) -> None:
    said = refusal(tmp_path, changed(tmp_path, setting("compression_model_n_q", 8)))
    assert "compression_model_n_q" in said


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(ModelError, match="gvm models remove x"):
        import_checkpoint(parity("one").folder, tmp_path / "x", "x")
    assert list((tmp_path / "x").iterdir()) == []


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(ModelError, match="make room"):
        import_checkpoint(parity("one").folder, tmp_path / "models" / "x", "x")
    assert list((tmp_path / "models").iterdir()) == []


def test_writing_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(ModelError, match="No space left on device"):
        import_checkpoint(parity("one").folder, tmp_path / "models" / "x", "x")
    assert list((tmp_path / "models").iterdir()) == []

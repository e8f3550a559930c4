"""MusicGen and CLIP as first weights: the same decoder from either format, and the same logits as transformers' own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.config import DecoderConfig, FeatureConfig, ModelConfig, TowerConfig
from core.decoder import Decoder
from core.errors import ModelError
from core.model import GVMGen
from core.published.initial import initial_weights
from core.published.musicgen import read_musicgen
from core.training.checkpoints import State
from core.training.data import Batch
from core.training.devices import World
from core.training.optim import Average, make_optimiser
from core.training.recipe import ComputeRecipe, OptimiserRecipe, Recipe
from core.training.step import Eyes, held_out_loss, update
from core.vision.clip import ClipTower

DIM, LAYERS, HEADS, CARD = 32, 3, 4, 20
DECODER = DecoderConfig(dim=DIM, heads=HEADS, layers=LAYERS, card=CARD)
TOWER = TowerConfig(width=64, layers=1, heads=1, patch=7, resolution=14)
TEXT = "condition_provider.conditioners.description.output_proj"
CFG = f"""
lm_model: transformer_lm
transformer_lm: {{dim: {DIM}, num_heads: {HEADS}, num_layers: {LAYERS}, n_q: 4, card: {CARD}, kv_repeat: 1}}
codebooks_pattern: {{modeling: delay, delay: {{delays: [0, 1, 2, 3], flatten_first: 0, empty_initial: 0}}}}
fuser: {{cross: [description], sum: [], prepend: []}}
"""


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """transformers' MusicGen decoder with random weights, biases of the norms included."""
    from transformers import utils

    # Its audio helpers import torchaudio where that is installed, which refuses torch builds for another CUDA.
    monkeypatch.setattr(utils, "is_torchaudio_available", lambda: False)
    from transformers import MusicgenDecoderConfig, MusicgenForCausalLM

    settings: dict[str, Any] = {
        "vocab_size": CARD, "hidden_size": DIM, "num_hidden_layers": LAYERS, "ffn_dim": 4 * DIM,
        "num_attention_heads": HEADS, "num_codebooks": 4, "max_position_embeddings": 64,
        "pad_token_id": None, "bos_token_id": None,
    }  # fmt: skip
    model = MusicgenForCausalLM(MusicgenDecoderConfig(**settings)).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for value in model.parameters():
            value.normal_(0, 0.2)
    return model


@pytest.fixture
def huggingface(theirs: Any, tmp_path: Path) -> Path:
    """A repository with that decoder inside a whole MusicGen."""
    folder = tmp_path / "hub"
    folder.mkdir()
    state = {f"decoder.{name}": value.contiguous() for name, value in theirs.state_dict().items()}
    others = {"text_encoder.shared.weight": torch.zeros(2), "enc_to_dec_proj.bias": torch.zeros(2)}
    save_file(state | others, folder / "model.safetensors")
    about = {"model_type": "musicgen", "decoder": {"model_type": "musicgen_decoder", "num_attention_heads": HEADS}}
    (folder / "config.json").write_text(json.dumps(about))
    return folder


@pytest.fixture
def audiocraft(theirs: Any, tmp_path: Path) -> Path:
    """The same decoder as audiocraft exports it."""
    torch.save({"best_state": exported(theirs), "xp.cfg": CFG, "version": "1.0"}, tmp_path / "state_dict.bin")
    return tmp_path / "state_dict.bin"


def exported(theirs: Any) -> dict[str, Tensor]:
    """transformers' state dict under audiocraft's names, written down here once more, layer by layer."""
    state, hf = {}, theirs.state_dict()
    for stream in range(4):
        state[f"emb.{stream}.weight"] = hf[f"model.decoder.embed_tokens.{stream}.weight"]
        state[f"linears.{stream}.weight"] = hf[f"lm_heads.{stream}.weight"]
    for layer in range(LAYERS):
        here, there = f"transformer.layers.{layer}.", f"model.decoder.layers.{layer}."
        for ours, other in {"self_attn": "self_attn", "cross_attention": "encoder_attn"}.items():
            matrices = [hf[f"{there}{other}.{part}_proj.weight"] for part in "qkv"]
            state[f"{here}{ours}.in_proj_weight"] = torch.cat(matrices)
            state[f"{here}{ours}.out_proj.weight"] = hf[f"{there}{other}.out_proj.weight"]
        state[f"{here}linear1.weight"], state[f"{here}linear2.weight"] = (hf[f"{there}fc{n}.weight"] for n in (1, 2))
        norms = {"norm1": "self_attn_layer_norm", "norm_cross": "encoder_attn_layer_norm", "norm2": "final_layer_norm"}
        for ours, other in norms.items():
            for kind in ("weight", "bias"):
                state[f"{here}{ours}.{kind}"] = hf[f"{there}{other}.{kind}"]
    for kind in ("weight", "bias"):
        state[f"out_norm.{kind}"] = hf[f"model.decoder.layer_norm.{kind}"]
    return state | {f"{TEXT}.weight": torch.zeros(DIM, 8), f"{TEXT}.bias": torch.zeros(DIM)}


def config(decoder: DecoderConfig = DECODER) -> ModelConfig:
    features = FeatureConfig(patch_channels=64, width=64, heads=1, queries=2, layers=1, out_channels=12)
    return ModelConfig("clip", "score", features, decoder, tower=TOWER)


def clip_file(path: Path) -> dict[str, Tensor]:
    """A CLIP of the tower's size with random weights, as open_clip reads it; gives back what is in it."""
    torch.manual_seed(4)
    state = {f"visual.{name}": torch.randn_like(value) for name, value in ClipTower(TOWER).state_dict().items()}
    state |= {f"visual.ln_post.{kind}": torch.randn(64) for kind in ("weight", "bias")}
    state |= {"visual.proj": torch.randn(64, 12), "logit_scale": torch.ones([])}
    save_file(state, path)
    return state


def logits(decoder: Decoder, sequence: Tensor, frames: int, present: bool) -> Tensor:
    batch, _, steps = sequence.shape
    width = decoder.condition_proj.in_features
    shown = torch.full((batch, frames), present)
    picture = decoder.picture(torch.randn(batch, frames, width), torch.zeros(batch, frames), shown)
    return decoder(sequence, picture, None, torch.zeros(batch, steps))


def test_both_formats_are_the_same_decoder(huggingface: Path, audiocraft: Path) -> None:
    hub, craft = read_musicgen(huggingface), read_musicgen(audiocraft)
    assert hub.config == craft.config == DECODER
    assert hub.state.keys() == craft.state.keys()
    assert all(torch.equal(hub.state[name], craft.state[name]) for name in hub.state)
    assert read_musicgen(audiocraft.parent).path == audiocraft  # a folder with state_dict.bin is audiocraft's
    assert all(re.search("cross|description", name) for name in craft.left)
    assert len(craft.left) == LAYERS * 4 + 2
    assert len(hub.left) == LAYERS * 6 + 2


@torch.inference_mode()
def test_without_text_and_picture_it_is_transformers_own_network(theirs: Any, huggingface: Path) -> None:
    """Embeddings, positions, self-attention, feed-forward, norms and heads: all as transformers computes them."""
    first = initial_weights(config(), musicgen=huggingface)
    sequence = torch.randint(CARD + 1, (2, 4, 17))
    expected = theirs(input_ids=sequence.flatten(0, 1)).logits.view(2, 4, 17, CARD)
    assert expected.std() > 0.1
    for frames, present in ((3, False), (3, True)):  # a picture has no say yet
        ours = logits(first.model.eval().decoder, sequence, frames, present)
        assert (ours - expected).abs().max() < 1e-4


def test_what_is_taken_and_what_is_fresh(audiocraft: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clip-vit-l-14-336"  # as it is pulled
    folder.mkdir()
    clip = clip_file(folder / "open_clip_model.safetensors")
    torch.manual_seed(0)
    untouched = GVMGen(config()).state_dict()
    torch.manual_seed(0)
    first = initial_weights(config(), audiocraft, folder)
    state = first.model.state_dict()
    assert set(first.taken) | set(first.fresh) == state.keys()
    assert not set(first.taken) & set(first.fresh)
    assert first.tower is not None
    assert all(torch.equal(value, clip[f"visual.{name}"]) for name, value in first.tower.state_dict().items())
    assert torch.equal(state["features.proj.weight"], clip["visual.proj"].t())
    assert torch.equal(state["features.out_norm.bias"], clip["visual.ln_post.bias"])
    for name in first.fresh:
        fresh_zero = name.endswith("cross_attention.out_proj.weight") and name.startswith("decoder.")
        assert torch.equal(state[name], torch.zeros_like(state[name]) if fresh_zero else untouched[name]), name
    assert {name.split(".")[0] for name in first.fresh} == {"features", "decoder"}
    decoder_fresh = [name for name in first.fresh if name.startswith("decoder.")]
    assert all(re.search(r"cross_attention|norm_cross|condition_proj", name) for name in decoder_fresh)
    assert len(decoder_fresh) == LAYERS * 4 + 2
    assert f"{TEXT}.weight" in first.left


def test_it_learns_to_look(huggingface: Path) -> None:
    """The output matrix that starts at zero has a gradient, so the picture gets its say by training."""
    decoder = initial_weights(config(), musicgen=huggingface).model.decoder
    logits(decoder, torch.randint(CARD, (1, 4, 9)), 3, True).square().mean().backward()
    layer: Any = decoder.layers[0]
    assert layer.cross_attention.out_proj.weight.grad.abs().max() > 0


def test_training_starts_from_it(huggingface: Path) -> None:
    first = initial_weights(config(), musicgen=huggingface)
    torch.manual_seed(1)
    batch = Batch(
        patches=torch.randn(2, 3, 4, 64), frame_times=torch.zeros(2, 3), present=torch.ones(2, 3, dtype=torch.bool),
        codes=torch.randint(CARD, (2, 4, 9)), valid=torch.ones(2, 9, dtype=torch.bool),
        control=None, step_times=torch.zeros(2, 12),
    )  # fmt: skip
    recipe = Recipe(optimiser=OptimiserRecipe(learning_rate=3e-3), compute=ComputeRecipe("cpu", "fp32"))
    cpu = torch.device("cpu")
    eyes, scaler = Eyes(None, cpu, "fp32"), torch.amp.GradScaler("cpu", enabled=False)
    model = first.model.train()
    state = State(model, make_optimiser(model, recipe.optimiser), Average(model, recipe.ema), scaler)
    before = held_out_loss(recipe, model.eval(), [batch], eyes)
    assert before["held_out"].tolist() == before["no_picture"].tolist()
    model.train()
    for step in range(20):
        state.step = step
        update(recipe, World(0, 1, cpu, "none"), state, model, [batch], eyes)
    after = held_out_loss(recipe, model.eval(), [batch], eyes)
    assert after["held_out"].sum() < before["held_out"].sum() - 0.1
    assert after["held_out"].tolist() != after["no_picture"].tolist()


def test_parts_that_musicgen_hasnt_start_fresh(huggingface: Path) -> None:
    decoder = DecoderConfig(
        dim=DIM, heads=HEADS, layers=LAYERS, card=CARD, temporal_position=True, control_channels=5
    )  # fmt: skip
    first = initial_weights(config(decoder=decoder), musicgen=huggingface)
    assert {"decoder.time_window.log_width", "decoder.control_proj.weight"} <= set(first.fresh)


def test_sharded_and_older_repositories(huggingface: Path, theirs: Any) -> None:
    whole = read_musicgen(huggingface)
    path = huggingface / "model.safetensors"
    tensors = load_file(path)
    names = sorted(tensors)
    path.unlink()
    for number, part in enumerate((names[:20], names[20:]), start=1):
        save_file({name: tensors[name] for name in part}, huggingface / f"model-0000{number}-of-00002.safetensors")
    sharded = read_musicgen(huggingface)
    for shard in huggingface.glob("model-*"):
        shard.unlink()
    # Alone, the decoder has no prefix; older files carry the table of positions.
    table = {"model.decoder.embed_positions.weights": torch.zeros(3, DIM)}
    torch.save(theirs.state_dict() | table, huggingface / "pytorch_model.bin")
    (huggingface / "config.json").write_text(
        json.dumps({"model_type": "musicgen_decoder", "num_attention_heads": HEADS})
    )
    alone = read_musicgen(huggingface)
    for other in (sharded, alone):
        assert other.config == whole.config
        assert all(torch.equal(other.state[name], whole.state[name]) for name in whole.state)


# --- what is refused ---------------------------------------------------------------------------------------------


def refusal(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    with pytest.raises(ModelError) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "t5"}, "not a MusicGen"),
        ({"decoder": {"model_type": "musicgen_decoder", "num_attention_heads": 5}}, "not a multiple of heads 5"),
        ({"decoder": {"model_type": "musicgen_decoder"}}, "num_attention_heads"),
        (
            {"decoder": {"model_type": "musicgen_decoder", "num_attention_heads": 4, "audio_channels": 2}},
            "audio_channels",
        ),
        ({"decoder": {"model_type": "musicgen_decoder", "activation_function": "relu"}}, "activation_function"),
    ],
)
def test_settings_of_another_network(huggingface: Path, change: dict[str, Any], words: str) -> None:
    about = json.loads((huggingface / "config.json").read_text())
    about |= change
    if "model_type" in change:
        del about["decoder"]
    (huggingface / "config.json").write_text(json.dumps(about))
    assert words in refusal(read_musicgen, huggingface)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("decoder.lm_heads.1.weight", "missing 1 ['linears.1.weight']"),
        ("decoder.model.decoder.layers.1.self_attn.k_proj.weight", "layers.1.self_attn.in_proj_weight"),
        ("decoder.model.decoder.layers.2.final_layer_norm.bias", "layers.2.norm2.bias"),
    ],
)
def test_a_repository_that_isnt_whole(huggingface: Path, name: str, words: str) -> None:
    tensors = load_file(huggingface / "model.safetensors")
    del tensors[name]
    save_file(tensors, huggingface / "model.safetensors")
    assert words in refusal(read_musicgen, huggingface)


def test_names_that_no_musicgen_has(huggingface: Path, audiocraft: Path, theirs: Any) -> None:
    tensors = load_file(huggingface / "model.safetensors")
    save_file({**tensors, "decoder.model.decoder.gate.weight": torch.zeros(2)}, huggingface / "model.safetensors")
    assert "gate.weight" in refusal(read_musicgen, huggingface)
    state = exported(theirs) | {"gate.weight": torch.zeros(2)}
    torch.save({"best_state": state, "xp.cfg": CFG}, audiocraft)
    assert "gate.weight" in refusal(read_musicgen, audiocraft)


def test_a_damaged_repository(huggingface: Path) -> None:
    path = huggingface / "model.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    assert "damaged or cut off" in refusal(read_musicgen, huggingface)
    path.unlink()
    assert "no weights" in refusal(read_musicgen, huggingface)
    (huggingface / "config.json").write_text("[]")
    assert "config.json is damaged" in refusal(read_musicgen, huggingface)


def test_weights_of_another_size(audiocraft: Path, tmp_path: Path) -> None:
    other = DecoderConfig(dim=DIM, heads=8, layers=LAYERS + 1, card=CARD)
    said = refusal(initial_weights, config(decoder=other), musicgen=audiocraft)
    assert "heads 4 and not 8" in said
    assert "layers 3 and not 4" in said
    rotary = DecoderConfig(dim=DIM, heads=HEADS, layers=LAYERS, card=CARD, position="rotary")
    assert "'sinusoidal' and not 'rotary'" in refusal(initial_weights, config(decoder=rotary), musicgen=audiocraft)
    state = clip_file(tmp_path / "clip.safetensors")
    save_file({**state, "visual.proj": torch.zeros(64, 13)}, tmp_path / "clip.safetensors")
    assert "features.proj.weight (13, 64)" in refusal(initial_weights, config(), clip=tmp_path / "clip.safetensors")
    sees = ModelConfig("clip", "score", config().features, DECODER, tower=TowerConfig(64, 2, 1, 7, 14))
    clip_file(tmp_path / "clip.safetensors")
    assert "another vision tower" in refusal(initial_weights, sees, clip=tmp_path / "clip.safetensors")
    blind = ModelConfig("descriptors", "score", config().features, DECODER)
    assert "leave it out" in refusal(initial_weights, blind, clip=tmp_path / "clip.safetensors")

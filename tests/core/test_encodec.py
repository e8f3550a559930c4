"""EnCodec: the published code's numbers, both published forms, any length in pieces, one line where a file is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from codec_fixtures import TINY, XP_CFG, random_state, settings_of
from hypothesis import given, settings
from hypothesis import strategies as st
from parity import KEYS, every, parity
from safetensors.torch import save_file
from torch import Tensor

from core.codecs import encodec
from core.codecs.encodec import Encodec
from core.codecs.encodec_files import build, config_from_hf, config_from_xp, convert_huggingface, convert_published
from core.config import CodecConfig
from core.errors import ModelError
from core.published.importer import read_codec


def published_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As audiocraft names them: the way back of what is tested."""
    named = {}
    for name, tensor in state.items():
        side, _, rest = name.partition(".layers.")
        rest = rest.replace("parametrizations.weight.original0", "weight_g")
        rest = rest.replace("parametrizations.weight.original1", "weight_v").replace("codebook.", "_codebook.")
        transposed = side == "decoder" and rest.split(".")[0] in ("3", "6", "9") and "block" not in rest
        rest = rest.replace("conv.", "convtr.convtr." if transposed else "conv.conv.")
        named[("quantizer.vq.layers." if side == "quantizer" else f"{side}.model.") + rest] = tensor
    return named


def random_codes(config: CodecConfig, batch: int, steps: int) -> Tensor:
    return torch.randint(config.card, (batch, config.codebooks, steps))


def apart(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).abs().max())


# --- the published code's numbers ----------------------------------------------------------------------------------


@cache
def published(name: str) -> Encodec:
    """The codec of a fixture."""
    file = torch.load(parity(name).folder / "compression_state_dict.bin", weights_only=True)
    return Encodec(*convert_published(file["best_state"], settings_of(file["xp.cfg"])))


@every
@pytest.mark.parametrize("piece_steps", [250, 11])
def test_decodes_what_the_published_code_decodes(name: str, piece_steps: int) -> None:
    codec, expected = published(name), parity(name).expected
    codes = expected["gen_tokens"][:1]
    assert apart(codec.latent(codes), expected["decoded_latent"]) < 1e-5
    assert apart(codec.decode(codes, piece_steps), expected["decoded_audio"]) < 1e-5
    assert apart(codec.decode(expected["wav_codes"], piece_steps), expected["wav_roundtrip"]) < 1e-5


@every
@pytest.mark.parametrize("piece_steps", [250, 11])
def test_encodes_what_the_published_code_encodes(name: str, piece_steps: int) -> None:
    codec, inputs, expected = published(name), parity(name).inputs, parity(name).expected
    assert torch.equal(codec.encode(inputs["wav"], piece_steps), expected["wav_codes"])
    assert apart(codec.encode_latent(inputs["wav"], piece_steps), expected["wav_latent"]) < 1e-5


# --- any length ----------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(
    ratios=st.lists(st.integers(2, 5), min_size=1, max_size=3),
    residual=st.integers(1, 2),
    kernels=st.tuples(st.sampled_from([3, 5, 7]), st.sampled_from([3, 7])),
    pad_mode=st.sampled_from(["constant", "reflect"]),
    steps=st.integers(1, 40),
    piece=st.integers(1, 20),
    spare=st.integers(0, 30),
    batch=st.integers(1, 3),
    stretch=st.integers(1, 50),
)
def test_in_pieces_is_the_whole(
    ratios: list[int],
    residual: int,
    kernels: tuple[int, int],
    pad_mode: Any,
    steps: int,
    piece: int,
    spare: int,
    batch: int,
    stretch: int,
) -> None:
    """Decoded and encoded in pieces as transformers' own model does it at once, for any geometry and length."""
    config = replace(
        TINY,
        ratios=tuple(ratios),
        residual_layers=residual,
        kernel_size=kernels[0],
        last_kernel_size=kernels[1],
        pad_mode=pad_mode,
    )
    state = random_state(config, steps)
    codec, whole = Encodec(config, state), build(config).eval()
    whole.load_state_dict(state)
    codes = random_codes(config, batch, steps)
    with torch.inference_mode():
        decoded = whole.decode(codes[None], [None])[0]
        sound = torch.randn(batch, 1, max(1, steps * config.hop - spare))
        encoded = whole.encoder(sound)
    with mock.patch.object(encodec, "LSTM_STEPS", stretch):
        assert apart(codec.decode(codes, piece), decoded) < 1e-5
        assert apart(codec.encode_latent(sound, piece), encoded) < 1e-5


def test_memory_does_not_grow_with_the_length() -> None:
    """The convolutions never see more than a piece: that is where memory goes."""
    codec = Encodec(TINY, random_state(TINY))
    seen: list[int] = []
    last = codec._decoder.layers[-1]
    last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[0] * inputs[0].shape[-1]))
    codec.decode(random_codes(TINY, 2, 900), piece_steps=100)
    assert len(seen) == 18
    assert max(seen) <= 2 * (50 + 2 * codec._context) * TINY.hop


def test_nothing_in_nothing_out() -> None:
    codec = Encodec(TINY, random_state(TINY))
    assert codec.decode(random_codes(TINY, 2, 0)).shape == (2, 1, 0)
    assert codec.decode(random_codes(TINY, 0, 5)).shape == (0, 1, 5 * TINY.hop)


def test_fewer_codebooks_than_the_codec_has() -> None:
    """The sum of the first ones, as a model trained on fewer has it."""
    codec = Encodec(TINY, random_state(TINY))
    codes = random_codes(TINY, 1, 9)
    embed = random_state(TINY)
    first = sum(embed[f"quantizer.layers.{k}.codebook.embed"][codes[0, k]] for k in range(2))
    assert isinstance(first, Tensor)
    assert apart(codec.latent(codes[:, :2])[0].T, first) == 0
    assert codec.decode(codes[:, :2]).shape == (1, 1, 9 * TINY.hop)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close(dtype: torch.dtype) -> None:
    state = random_state(TINY)
    full, half = Encodec(TINY, state), Encodec(TINY, state, dtype=dtype)
    codes = random_codes(TINY, 1, 50)
    decoded = full.decode(codes)
    assert half.decode(codes).dtype == torch.float32
    assert apart(half.decode(codes), decoded) < 0.02 * float(decoded.abs().max())


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_on_a_graphics_card_it_is_close(dtype: torch.dtype) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    state, codes = random_state(TINY), random_codes(TINY, 2, 300)
    full, fast = Encodec(TINY, state), Encodec(TINY, state, "cuda", dtype)
    decoded = full.decode(codes)
    assert apart(fast.decode(codes).cpu(), decoded) < 0.02 * float(decoded.abs().max())
    same = fast.encode(decoded).cpu() == full.encode(decoded)
    assert float(same.float().mean()) > 0.9  # near ties fall either way


# --- files ---------------------------------------------------------------------------------------------------------


def test_a_published_file_becomes_ours() -> None:
    state = random_state(TINY)
    config, renamed = convert_published(published_names(state), settings_of())
    assert config == TINY
    assert renamed.keys() == state.keys()
    assert all(torch.equal(renamed[name], tensor) for name, tensor in state.items())


def test_the_published_geometry() -> None:
    """Of MusicGen's codec, settings and names as its authors wrote them."""
    if not KEYS.is_dir():
        pytest.skip("the published names (../shared/parity/keys) aren't beside the repository")
    cfg = settings_of((KEYS / "xp_cfg_encodec_32khz.yaml").read_text())
    assert config_from_xp(cfg) == CodecConfig()
    lines = (KEYS / "encodec_32khz.txt").read_text().splitlines()
    shapes = {name: json.loads(shape) for name, shape in (line.split(" ", 1) for line in lines if line[0] != "#")}
    state = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    assert len(convert_published(state, cfg)[1]) == 116


@pytest.mark.parametrize("form", ["safetensors", "bin"])
@pytest.mark.parametrize("old_names", [False, True])
def test_a_hugging_face_repository_is_read(tmp_path: Path, form: str, old_names: bool) -> None:
    """As transformers writes it, and as facebook/encodec_32khz has it: weight_g and weight_v, a .bin beside."""
    state = random_state(TINY)
    model = build(TINY)
    model.load_state_dict(state)
    model.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    if old_names:
        state = {
            name.replace("parametrizations.weight.original0", "weight_g").replace(
                "parametrizations.weight.original1", "weight_v"
            ): tensor
            for name, tensor in state.items()
        }
    if form == "bin":
        torch.save(state, tmp_path / "pytorch_model.bin")
    else:
        save_file(state, tmp_path / "model.safetensors")
    config, read, path = read_codec(tmp_path)
    assert path.parent == tmp_path
    assert config == TINY
    codes = random_codes(TINY, 1, 20)
    with torch.inference_mode():
        expected = model.eval().decode(codes[None], [None])[0]
    assert apart(Encodec(config, read).decode(codes), expected) < 1e-5


def test_a_setting_left_out_has_its_default() -> None:
    config = config_from_hf({"use_causal_conv": False, "sampling_rate": 32000, "upsampling_ratios": [8, 5, 4, 4]})
    assert (config.filters, config.card, config.true_skip) == (32, 1024, False)


# --- what is wrong is said -----------------------------------------------------------------------------------------


def complaint(caught: pytest.ExceptionInfo[ModelError]) -> str:
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_missing_and_left_over_tensors_are_listed() -> None:
    state = published_names(random_state(TINY))
    del state["encoder.model.0.conv.conv.bias"]
    state["decoder.model.99.conv.conv.bias"] = torch.zeros(3)
    with pytest.raises(ModelError) as caught:
        convert_published(state, settings_of(), "a/compression_state_dict.bin")
    said = complaint(caught)
    assert said.startswith("a/compression_state_dict.bin")
    assert "missing 1 (encoder.layers.0.conv.bias)" in said
    assert "left over 1 (decoder.layers.99.conv.bias)" in said


def test_another_number_of_codebooks_is_found() -> None:
    with pytest.raises(ModelError, match=r"missing [34] \(quantizer\.layers\.3"):
        convert_published(published_names(random_state(TINY)), settings_of(XP_CFG.replace("n_q: 3", "n_q: 4")))
    config, _ = convert_published(
        published_names(random_state(replace(TINY, codebooks=8))), settings_of(XP_CFG.replace("n_q: 3", "n_q: 8"))
    )
    assert config.codebooks == 8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("compression_model: encodec", "compression_model: dac"), "compression_model is 'dac'"),
        (("causal: false", "causal: true"), "encodec.causal is True"),
        (("  ratios: [4, 3, 2],", ""), "lacks seanet.ratios"),
        (("n_q: 3", "n_q: 0"), "0 codebooks"),
        (("bins: 16", "bins: 17"), "power of two"),
        (("sample_rate: 32000", "sample_rate: '${channels}'"), "refers to itself"),
        (("channels: 1", "channels: '${sample_rate}'"), "refers to itself"),
    ],
)
def test_settings_that_make_no_codec_are_named(change: tuple[str, str], said: str) -> None:
    text = XP_CFG.replace(*change, 1)
    if "refers" in said:
        text = XP_CFG.replace("sample_rate: 32000", "sample_rate: '${channels}'").replace(
            "channels: 1", "channels: '${sample_rate}'"
        )
    with pytest.raises(ModelError, match=said) as caught:
        config_from_xp(settings_of(text))
    complaint(caught)


def test_a_causal_codec_of_the_hub_is_refused() -> None:
    with pytest.raises(ModelError, match=r"use_causal_conv is True.*facebook/encodec_32khz"):
        config_from_hf({"use_causal_conv": True})
    with pytest.raises(ModelError, match=r"make no EnCodec .*num_filters.*; fetch the repository again") as caught:
        config_from_hf({"num_filters": "many"})
    complaint(caught)
    with pytest.raises(ModelError, match="of a 'bert'"):
        convert_huggingface({}, {"model_type": "bert"})


def test_codes_of_another_codec_are_refused() -> None:
    codec = Encodec(TINY, random_state(TINY))
    with pytest.raises(ModelError, match="3 codebooks"):
        codec.decode(torch.zeros(1, 4, 5, dtype=torch.long))
    with pytest.raises(ModelError, match="from 0 to 16"):
        codec.decode(torch.tensor([[[0], [0], [16]]]))
    with pytest.raises(ModelError, match=r"\[B, 1, N\]"):
        codec.encode(torch.zeros(1, 2, 50))

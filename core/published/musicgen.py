"""MusicGen's decoder as first weights for ours, from audiocraft's files or Hugging Face's.

The two decoders are the same network but for what cross-attention reads: MusicGen's reads text, so its
cross-attention, the norm before it and the text's projection stay behind. All else is taken by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from core.config import DecoderConfig
from core.errors import ModelError
from core.published import geometry, reader
from core.published.names import our_name

# Parts of our decoder that read the picture, which MusicGen never saw.
_PICTURE: Final = re.compile(r"layers\.\d+\.(cross_attention|norm_cross)\.|condition_proj\.")

# Hugging Face's names inside `model.decoder.` and ours; q, k and v lie in one matrix with us.
_NAMES: Final = (
    (re.compile(r"embed_tokens\.(\d+)\.weight"), r"emb.\1.weight"),
    (re.compile(r"layers\.(\d+)\.self_attn\.out_proj\.weight"), r"layers.\1.self_attn.out_proj.weight"),
    (re.compile(r"layers\.(\d+)\.self_attn_layer_norm\.(weight|bias)"), r"layers.\1.norm1.\2"),
    (re.compile(r"layers\.(\d+)\.fc1\.weight"), r"layers.\1.linear1.weight"),
    (re.compile(r"layers\.(\d+)\.fc2\.weight"), r"layers.\1.linear2.weight"),
    (re.compile(r"layers\.(\d+)\.final_layer_norm\.(weight|bias)"), r"layers.\1.norm2.\2"),
    (re.compile(r"layer_norm\.(weight|bias)"), r"out_norm.\1"),
)
_STACKED: Final = re.compile(r"layers\.(\d+)\.self_attn\.([qkv])_proj\.weight")
_TEXT: Final = re.compile(r"layers\.\d+\.encoder_attn(_layer_norm)?\.|embed_positions\.")
_OTHER_PARTS: Final = ("text_encoder.", "audio_encoder.", "enc_to_dec_proj.")
# What a Hugging Face config must say for our decoder to compute the same; what it leaves out is so.
_SETTINGS: Final[dict[str, Any]] = {"activation_function": "gelu", "scale_embedding": False, "audio_channels": 1}


@dataclass(frozen=True)
class MusicGen:
    """config: of its decoder. state: under the names of `core.decoder.Decoder`. left: names in `path` not taken."""

    path: Path
    config: DecoderConfig
    state: dict[str, Tensor]
    left: list[str]


def read_musicgen(source: Path) -> MusicGen:
    """The MusicGen in `source`: audiocraft's state_dict.bin, a folder with it, or a folder from Hugging Face."""
    huggingface = source.is_dir() and (source / "config.json").is_file() and not (source / reader.LM_FILE).is_file()
    found = _from_huggingface(source) if huggingface else _from_audiocraft(reader.find_lm(source))
    needed = _expected(found.config)
    if found.state.keys() != needed:
        missing, left_over = sorted(needed - found.state.keys()), sorted(found.state.keys() - needed)
        raise ModelError(
            f"{found.path} isn't a whole MusicGen: missing {len(missing)} {missing[:5]}, left over {len(left_over)} "
            f"{left_over[:5]}; fetch it again (gvm models pull musicgen-small)"
        )
    return found


def _from_audiocraft(path: Path) -> MusicGen:
    checkpoint = reader.read_lm(path)
    state, left = {}, []
    for name, value in checkpoint.state.items():
        place = our_name(name)
        ours = place[1].removeprefix("decoder.") if place and place[1].startswith("decoder.") else None
        if ours is None and not name.startswith("condition_provider."):
            raise ModelError(
                f"{path} has {name}, which no MusicGen has; fetch it again (gvm models pull musicgen-small)"
            )
        if ours is None or _PICTURE.match(ours):
            left.append(name)
        else:
            state[ours] = value
    return MusicGen(path, geometry.decoder_config(checkpoint), state, left)


def _from_huggingface(folder: Path) -> MusicGen:
    tensors, about, path = reader.read_huggingface(folder)
    settings = about.get("decoder", about)
    if not isinstance(settings, dict) or not str(settings.get("model_type", "")).startswith("musicgen"):
        raise ModelError(f"{folder} holds a {about.get('model_type', 'model')!r}, not a MusicGen; name one of those")
    for name, needed in _SETTINGS.items():
        if settings.get(name, needed) != needed:
            raise ModelError(f"{path} was trained with {name} = {settings[name]!r}; gvm computes {needed!r} only")
    state, left = _renamed(tensors, path)
    return MusicGen(path, _config(settings, state, path), state, left)


def _renamed(tensors: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """(state dict under our names, names not taken) of Hugging Face's; an unknown name is an error."""
    state: dict[str, Tensor] = {}
    stacks: dict[int, dict[str, Tensor]] = {}
    left = []
    for name, value in tensors.items():
        inside = name.removeprefix("decoder.")  # the whole model has it before the decoder's names
        place = _place(inside)
        if name.startswith(_OTHER_PARTS) or _TEXT.match(inside.removeprefix("model.decoder.")):
            left.append(name)
        elif stacked := _STACKED.fullmatch(inside.removeprefix("model.decoder.")):
            stacks.setdefault(int(stacked[1]), {})[stacked[2]] = value
        elif place is None:
            raise ModelError(f"{path} has {name}, which no MusicGen has; fetch it again from its authors")
        else:
            state[place] = value
    for layer, parts in stacks.items():
        if len(parts) == 3:
            state[f"layers.{layer}.self_attn.in_proj_weight"] = torch.cat([parts["q"], parts["k"], parts["v"]])
    return state, left


def _place(inside: str) -> str | None:
    """Our name of a parameter of Hugging Face's decoder."""
    if head := re.fullmatch(r"lm_heads\.(\d+)\.weight", inside):
        return f"linears.{head[1]}.weight"
    for pattern, ours in _NAMES:
        if match := pattern.fullmatch(inside.removeprefix("model.decoder.")):
            return match.expand(ours)
    return None


def _config(settings: Mapping[str, Any], state: Mapping[str, Tensor], path: Path) -> DecoderConfig:
    try:
        embedding, hidden = state["emb.0.weight"].shape, state["layers.0.linear1.weight"].shape
        streams = sum(name.startswith("emb.") for name in state)
        return DecoderConfig(
            dim=embedding[1],
            heads=int(settings["num_attention_heads"]),
            layers=sum(name.endswith(".linear1.weight") for name in state),
            streams=streams,
            card=embedding[0] - 1,
            delays=tuple(range(streams)),  # Hugging Face's model knows no others
            hidden_scale=hidden[0] // embedding[1],
        )
    except (KeyError, TypeError, ValueError, IndexError) as err:
        raise ModelError(
            f"{path} or its config.json isn't that of a MusicGen ({err}); fetch the repository again"
        ) from err


def _expected(config: DecoderConfig) -> set[str]:
    from core.decoder import Decoder

    with torch.device("meta"):
        names = Decoder(config, 1).state_dict()
    return {name for name in names if not _PICTURE.match(name)}

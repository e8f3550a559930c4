"""Config of a published GVMGen: from the shapes of its tensors first, from xp.cfg only what no shape tells.

Whatever the settings ask for that our model doesn't compute is an error that names the field: never silently wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from core.config import CodecConfig, DecoderConfig, FeatureConfig, ModelConfig, TowerConfig
from core.errors import ModelError, brief
from core.published.names import CONDITIONER, VISUAL
from core.published.reader import Checkpoint

HEAD_WIDTH: Final = 64  # of the tower and of its queries, in CLIP and in the published code

# What the decoder must be told for ours to compute the same. A field that isn't there has this value in audiocraft.
_DECODER: Final[dict[str, Any]] = {
    "activation": "gelu",
    "norm_first": True,
    "norm": "layer_norm",
    "bias_ff": False,
    "bias_attn": False,
    "bias_proj": False,
    "past_context": None,
    "causal": True,
    "layer_scale": None,
    "positional_embedding": "sin",
    "xpos": False,
    "qk_layer_norm": False,
    "qk_layer_norm_cross": False,
    "kv_repeat": 1,
    "two_step_cfg": False,
}
# The condition reaches the decoder by cross-attention alone.
_FUSER: Final[dict[str, Any]] = {
    "cross": ["visual_content"],
    "sum": [],
    "prepend": [],
    "input_interpolate": [],
    "cross_attention_pos_emb": False,
}
_QUERY_TYPES: Final = ("mean", "sum", "none")


def model_config(checkpoint: Checkpoint, codec: CodecConfig) -> ModelConfig:
    """Config of a published GVMGen that writes codes of `codec`; ModelError for what we can't compute."""
    cfg, path = checkpoint.cfg, checkpoint.path
    _check_whole(cfg, path)
    decoder = decoder_config(checkpoint)
    _check_picture_side(cfg, checkpoint)
    check_codec(codec, decoder, path)
    guidance = field(cfg, "classifier_free_guidance.inference_coef", 3.0)
    try:
        return ModelConfig(
            "clip",
            "encodec",
            feature_config(checkpoint),
            decoder,
            guidance=float(guidance),
            tower=tower_config(checkpoint.state, path),
            encodec=codec,
        )
    except ValueError as err:
        raise ModelError(f"{path} has a geometry that can't be ({err}); fetch it again from its authors") from err


def decoder_config(checkpoint: Checkpoint) -> DecoderConfig:
    """The decoder's config; also that of a MusicGen in audiocraft's format."""
    cfg, path, state = checkpoint.cfg, checkpoint.path, checkpoint.state
    if field(cfg, "lm_model", "transformer_lm") != "transformer_lm":
        raise _unsupported(path, "lm_model", cfg["lm_model"], "transformer_lm")
    for name, needed in _DECODER.items():
        value = field(cfg, f"transformer_lm.{name}", needed)
        if value != needed:
            raise _unsupported(path, f"transformer_lm.{name}", value, needed)
    heads = field(cfg, "transformer_lm.num_heads", None)
    if not isinstance(heads, int) or heads < 1:
        raise ModelError(
            f"{path} doesn't say transformer_lm.num_heads in its xp.cfg, and no shape tells; export it again"
        )
    streams = _count(state, r"emb\.(\d+)\.weight", path)
    embedding = _matrix(state, "emb.0.weight", path)
    first = "transformer.layers.0.linear1.weight"
    try:
        return DecoderConfig(
            dim=embedding[1],
            heads=heads,
            layers=_count(state, r"transformer\.layers\.(\d+)\..+", path),
            streams=streams,
            card=embedding[0] - 1,
            delays=_delays(cfg, streams, path),
            hidden_scale=_matrix(state, first, path)[0] // embedding[1],
        )
    except ValueError as err:
        raise ModelError(f"{path} has a decoder that can't be ({err}); fetch it again from its authors") from err


def feature_config(checkpoint: Checkpoint) -> FeatureConfig:
    """The feature transformation's config.

    Queries, width and layers come from shapes. The pooling and the norms' eps stand in xp.cfg, where the published
    code ignores the qformer block unless it is nested in another one: then its constructor's defaults hold.
    """
    state, path = checkpoint.state, checkpoint.path
    block = field(checkpoint.cfg, "conditioners.visual_content.video.qformer", None)
    nested = block.get("qformer") if isinstance(block, dict) else None
    settings = nested if isinstance(nested, dict) else {}
    pooling = settings.get("query_type", "mean")
    if pooling not in _QUERY_TYPES:
        raise _unsupported(path, "qformer.query_type", pooling, "one of " + ", ".join(_QUERY_TYPES))
    queries = _shape(state, f"{VISUAL}query_tokens", 3, path)
    layer = re.escape(f"{VISUAL}qformer.encoder.layer.")
    layers = _count(state, layer + r"(\d+)\..+", path)
    return FeatureConfig(
        patch_channels=queries[2],
        width=queries[2],
        heads=_heads(queries[2], path),
        queries=queries[1],
        layers=layers,
        cross_every=_cross_every(_numbers(state, layer + r"(\d+)\.crossattention\..+"), layers, path),
        pooling=pooling,
        out_channels=_matrix(state, f"{VISUAL}proj", path)[1],
        eps=_number(settings.get("layer_norm_eps", 1e-12), "qformer.layer_norm_eps", path),
        dropout=_number(settings.get("hidden_dropout_prob", 0.1), "qformer.hidden_dropout_prob", path),
    )


def tower_config(state: Mapping[str, Tensor], path: Path) -> TowerConfig:
    """The vision tower's config, from the shapes of a published GVMGen."""
    patches = _shape(state, f"{VISUAL}conv1.weight", 4, path)
    places = _matrix(state, f"{VISUAL}positional_embedding", path)[0] - 1
    grid = math.isqrt(places)
    if grid * grid != places:
        raise ModelError(f"{path} has a vision tower of {places} patches, which is no square; fetch it again")
    layers = _count(state, re.escape(f"{VISUAL}transformer.resblocks.") + r"(\d+)\..+", path)
    return TowerConfig(patches[0], layers, _heads(patches[0], path), patches[3], patches[3] * grid)


def check_codec(codec: CodecConfig, decoder: DecoderConfig, path: Path) -> None:
    """ModelError where the codec can't speak the decoder's codes."""
    if (codec.codebooks, codec.card) != (decoder.streams, decoder.card):
        raise ModelError(
            f"{path} writes {decoder.streams} codebooks of {decoder.card} codes, its codec has {codec.codebooks} of "
            f"{codec.card}; name the codec it was trained with (--codec)"
        )


def codebooks_used(cfg: Mapping[str, Any], codec: CodecConfig, path: Path) -> int:
    """How many of the codec's codebooks the model was trained on: xp.cfg may say fewer than there are."""
    used = field(cfg, "compression_model_n_q", None)
    if used is None:
        return codec.codebooks
    if not isinstance(used, int) or not 1 <= used <= codec.codebooks:
        raise ModelError(
            f"{path} wants {brief(used)} codebooks (compression_model_n_q), its codec has {codec.codebooks}; name the "
            "codec it was trained with (--codec)"
        )
    return used


def field(cfg: Mapping[str, Any], name: str, default: Any) -> Any:
    """A setting by its dotted name, `default` where it isn't said."""
    value: Any = cfg
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return default
        value = value[part]
    return value


def _check_whole(cfg: Mapping[str, Any], path: Path) -> None:
    if field(cfg, "interleave_stereo_codebooks.use", False):
        raise _unsupported(path, "interleave_stereo_codebooks.use", True, "false: stereo models aren't read yet")
    if field(cfg, "channels", 1) != 1:
        raise _unsupported(path, "channels", cfg["channels"], "1: stereo models aren't read yet")
    fuser = field(cfg, "fuser", {})
    for name, needed in _FUSER.items():
        value = field(fuser, name, needed)
        if value != needed:
            raise _unsupported(path, f"fuser.{name}", value, needed)


def _check_picture_side(cfg: Mapping[str, Any], checkpoint: Checkpoint) -> None:
    path = checkpoint.path
    conditioners = field(cfg, "conditioners", {"visual_content": {}})
    if list(conditioners) != ["visual_content"]:
        raise _unsupported(path, "conditioners", list(conditioners), ["visual_content"])
    kind = field(conditioners, "visual_content.model", "video")
    if kind != "video":
        raise _unsupported(path, "conditioners.visual_content.model", kind, "video")
    if not any(name.startswith(f"{VISUAL}query_tokens") for name in checkpoint.state):
        tower = any(name.startswith(VISUAL) for name in checkpoint.state)
        what = "no music queries" if tower else "neither vision tower nor music queries (is_qformer: false)"
        raise ModelError(
            f"{path} has {what} under {CONDITIONER}*; only models with the feature transformation are read"
        )


def _delays(cfg: Mapping[str, Any], streams: int, path: Path) -> tuple[int, ...]:
    pattern = field(cfg, "codebooks_pattern", {})
    if field(pattern, "modeling", "delay") != "delay":
        raise _unsupported(path, "codebooks_pattern.modeling", pattern["modeling"], "delay")
    for name in ("flatten_first", "empty_initial"):
        if value := field(pattern, f"delay.{name}", 0):
            raise _unsupported(path, f"codebooks_pattern.delay.{name}", value, 0)
    delays = field(pattern, "delay.delays", None)
    if delays is None:
        return tuple(range(streams))
    if not isinstance(delays, list) or len(delays) != streams or not all(isinstance(lag, int) for lag in delays):
        raise _unsupported(path, "codebooks_pattern.delay.delays", delays, f"{streams} whole numbers")
    return tuple(delays)


def _cross_every(crossing: list[int], layers: int, path: Path) -> int:
    """Every how many layers there is cross-attention, given the layers that have it."""
    every = crossing[1] - crossing[0] if len(crossing) > 1 else layers
    if crossing != list(range(0, layers, every)):
        raise ModelError(f"{path} has cross-attention in query layers {crossing}, which is no regular step from 0 on")
    return every


def _heads(width: int, path: Path) -> int:
    if width % HEAD_WIDTH:
        raise ModelError(f"{path} has a vision tower {width} wide, which isn't made of heads of {HEAD_WIDTH}")
    return width // HEAD_WIDTH


def _number(value: Any, name: str, path: Path) -> float:
    try:
        number = float(value)  # YAML 1.1 reads 1e-5 as text
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < 1:
        raise _unsupported(path, name, value, "a number from 0 to 1")
    return number


def _numbers(names: Iterable[str], pattern: str) -> list[int]:
    """The numbers that the group in `pattern` matches, each once, ascending."""
    found = {int(match[1]) for name in names if (match := re.fullmatch(pattern, name))}
    return sorted(found)


def _count(names: Iterable[str], pattern: str, path: Path) -> int:
    numbers = _numbers(names, pattern)
    if not numbers or numbers != list(range(len(numbers))):
        readable = pattern.replace("\\", "").replace("(d+)", "N").replace("..+", ".*")
        raise ModelError(f"{path} isn't whole: of {readable} it has the numbers {numbers[:9]}; fetch it again")
    return len(numbers)


def _shape(state: Mapping[str, Tensor], name: str, dimensions: int, path: Path) -> tuple[int, ...]:
    if name not in state or state[name].ndim != dimensions:
        raise ModelError(f"{path} isn't whole: {name} is missing or of another shape; fetch it again")
    return tuple(state[name].shape)


def _matrix(state: Mapping[str, Tensor], name: str, path: Path) -> tuple[int, ...]:
    return _shape(state, name, 2, path)


def _unsupported(path: Path, name: str, value: Any, needed: Any) -> ModelError:
    return ModelError(
        f"{path} was trained with {name} = {brief(value)}; gvm computes {needed!r} only, so it can't be imported"
    )

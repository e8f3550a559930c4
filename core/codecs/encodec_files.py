"""EnCodec's weights as published: audiocraft's export and the Hugging Face repository -> transformers' names."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from core.config import CodecConfig
from core.errors import ModelError, brief
from core.shapes import account

if TYPE_CHECKING:
    from transformers import EncodecModel

_PUBLISHED = (
    (re.compile(r"^(encoder|decoder)\.model\."), r"\1.layers."),
    (re.compile(r"\.conv\.conv\.|\.convtr\.convtr\."), ".conv."),
    (re.compile(r"^quantizer\.vq\.layers\."), "quantizer.layers."),
    (re.compile(r"\._codebook\."), ".codebook."),
)
_WEIGHT_NORM = (
    (re.compile(r"\.weight_g$"), ".parametrizations.weight.original0"),
    (re.compile(r"\.weight_v$"), ".parametrizations.weight.original1"),
)

# CodecConfig's fields and what transformers calls them; those that all models here have in common.
_HF_SETTINGS = {
    "sample_rate": "sampling_rate",
    "channels": "audio_channels",
    "card": "codebook_size",
    "dimension": "hidden_size",
    "filters": "num_filters",
    "residual_layers": "num_residual_layers",
    "ratios": "upsampling_ratios",
    "lstm_layers": "num_lstm_layers",
    "kernel_size": "kernel_size",
    "residual_kernel_size": "residual_kernel_size",
    "last_kernel_size": "last_kernel_size",
    "dilation_base": "dilation_growth_rate",
    "compress": "compress",
    "pad_mode": "pad_mode",
}
_HF_FIXED: dict[str, Any] = {
    "use_causal_conv": False,
    "normalize": False,
    "norm_type": "weight_norm",
    "chunk_length_s": None,
}


def convert_published(
    state: Mapping[str, Tensor], xp_cfg: Mapping[str, Any], where: str = "compression_state_dict.bin"
) -> tuple[CodecConfig, dict[str, Tensor]]:
    """Config and state dict in transformers' names of audiocraft's EnCodec export.

    state: its `best_state`. xp_cfg: its `xp.cfg`. Tensors are kept as they are.
    Raises ModelError where the settings aren't those of such a codec or a tensor is missing, left over or misshapen.
    """
    config = config_from_xp(xp_cfg, where)
    renamed = _rename(state, _PUBLISHED + _WEIGHT_NORM, where)
    check_state(config, renamed, where)
    return config, renamed


def convert_huggingface(
    state: Mapping[str, Tensor], config: Mapping[str, Any], where: str = "codec"
) -> tuple[CodecConfig, dict[str, Tensor]]:
    """Config and state dict of a Hugging Face EnCodec: weights of its file and its config.json as a dict."""
    ours = config_from_hf(config, where)
    renamed = _rename(state, _WEIGHT_NORM, where)
    check_state(ours, renamed, where)
    return ours, renamed


def config_from_xp(xp_cfg: Mapping[str, Any], where: str = "compression_state_dict.bin") -> CodecConfig:
    """CodecConfig of audiocraft's `xp.cfg`, whose `${...}` references may be unresolved."""
    settings = _Settings(xp_cfg, where)
    _only(where, settings, "compression_model", "encodec")
    _only(where, settings, "encodec.autoencoder", "seanet")
    _only(where, settings, "encodec.quantizer", "rvq")
    _only(where, settings, "encodec.causal", False)
    _only(where, settings, "encodec.renormalize", False)
    _only(where, settings, "seanet.norm", "weight_norm")
    _only(where, settings, "seanet.activation", "ELU")
    _only(where, settings, "seanet.disable_norm_outer_blocks", 0)
    _only(where, settings, "seanet.decoder.final_activation", None)
    return _make(
        where,
        sample_rate=settings["encodec.sample_rate"],
        channels=settings["encodec.channels"],
        codebooks=settings["rvq.n_q"],
        card=settings["rvq.bins"],
        dimension=settings["seanet.dimension"],
        filters=settings["seanet.n_filters"],
        residual_layers=settings["seanet.n_residual_layers"],
        ratios=settings["seanet.ratios"],
        lstm_layers=settings["seanet.lstm"],
        kernel_size=settings["seanet.kernel_size"],
        residual_kernel_size=settings["seanet.residual_kernel_size"],
        last_kernel_size=settings["seanet.last_kernel_size"],
        dilation_base=settings["seanet.dilation_base"],
        compress=settings["seanet.compress"],
        pad_mode=settings["seanet.pad_mode"],
        true_skip=settings["seanet.true_skip"],
    )


def config_from_hf(config: Mapping[str, Any], where: str = "config.json") -> CodecConfig:
    """CodecConfig of a Hugging Face EnCodec's config.json. Settings that it leaves out have transformers' defaults."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import EncodecConfig

    if config.get("model_type", "encodec") != "encodec":
        raise ModelError(f"{where}: of a {config['model_type']!r}, not of an EnCodec; take facebook/encodec_32khz")
    names = {*_HF_SETTINGS.values(), *_HF_FIXED, "target_bandwidths", "use_conv_shortcut"}
    try:
        full = EncodecConfig(**{name: config[name] for name in names & config.keys()})
    except (StrictDataclassError, TypeError, ValueError) as err:
        reason = " ".join(str(err).split())[:160]
        raise ModelError(f"{where}: its settings make no EnCodec ({reason}); fetch the repository again") from err
    for name, needed in _HF_FIXED.items():
        if getattr(full, name) != needed:
            raise ModelError(
                f"{where}: {name} is {getattr(full, name)!r}, the models here need an EnCodec with {needed!r}; "
                "take facebook/encodec_32khz"
            )
    settings = {ours: getattr(full, theirs) for ours, theirs in _HF_SETTINGS.items()}
    return _make(where, **settings, codebooks=full.num_quantizers, true_skip=not full.use_conv_shortcut)


def build(config: CodecConfig) -> EncodecModel:
    """transformers' model of this geometry with weights as they come."""
    # Imported here: it takes seconds, and only models with EnCodec need it.
    from transformers import EncodecConfig, EncodecModel

    bits = (config.card - 1).bit_length()
    rate = -(-config.sample_rate // config.hop)
    settings: dict[str, Any] = {theirs: getattr(config, ours) for ours, theirs in _HF_SETTINGS.items()}
    return EncodecModel(
        EncodecConfig(
            # transformers counts codebooks by bandwidth in kbit/s; the half bit keeps its division on the right side.
            target_bandwidths=((config.codebooks * rate * bits + 0.5) / 1000,),
            use_conv_shortcut=not config.true_skip,
            **settings,
            **_HF_FIXED,
        )
    )


def check_state(config: CodecConfig, state: Mapping[str, Tensor], where: str = "codec") -> None:
    """Raises ModelError that lists missing, left-over and misshapen tensors of a state dict in transformers' names."""
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in build(config).state_dict().items()}
    have = {name: tuple(tensor.shape) for name, tensor in state.items()}
    account(have, wanted, f"{where} doesn't fit its own settings, so it can't be used; fetch it again")


class _Settings:
    """Values of an xp.cfg by dotted path, `${...}` references followed."""

    def __init__(self, tree: Mapping[str, Any], where: str) -> None:
        self._tree = tree
        self._where = where

    def __getitem__(self, path: str) -> Any:
        for _ in range(8):
            value: Any = self._tree
            for part in path.split("."):
                if not isinstance(value, Mapping) or part not in value:
                    raise ModelError(f"{self._where}: its xp.cfg lacks {path}; it isn't a published EnCodec's")
                value = value[part]
            reference = re.fullmatch(r"\$\{([\w.]+)\}", value) if isinstance(value, str) else None
            if reference is None:
                return value
            path = reference[1]
        raise ModelError(f"{self._where}: {path} of its xp.cfg refers to itself")


def _only(where: str, settings: _Settings, path: str, needed: object) -> None:
    value = settings[path]
    if value != needed:
        raise ModelError(
            f"{where}: {path} is {brief(value)}, only {needed!r} is known here; take MusicGen's 32 kHz EnCodec"
        )


def _make(where: str, **settings: Any) -> CodecConfig:
    try:
        config = CodecConfig(**dict(settings, ratios=tuple(int(ratio) for ratio in settings["ratios"])))
    except (TypeError, ValueError) as err:
        raise ModelError(f"{where}: {err}") from err
    if not math.log2(config.card).is_integer():
        raise ModelError(f"{where}: codebooks of {config.card}; EnCodec's have a power of two")
    return config


def _rename(
    state: Mapping[str, Tensor], rules: tuple[tuple[re.Pattern[str], str], ...], where: str
) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        new = name
        for pattern, replacement in rules:
            new = pattern.sub(replacement, new)
        if new in renamed:
            raise ModelError(f"{where}: two tensors are named {new}")
        renamed[new] = tensor
    return renamed

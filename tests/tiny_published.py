"""A tiny GVMGen with random weights, written as its authors' code writes one: `state_dict.bin` and its codec's file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML

from core.codecs.encodec_files import build
from core.config import CodecConfig, DecoderConfig, FeatureConfig, ModelConfig, TowerConfig
from core.model import GVMGen
from core.published import names
from core.vision.build import new_tower

CODEC = CodecConfig(dimension=8, filters=2, card=64, lstm_layers=1)
CONFIG = ModelConfig(
    "clip",
    "encodec",
    FeatureConfig(patch_channels=64, width=64, heads=1, queries=4, layers=2, out_channels=24),
    DecoderConfig(dim=32, heads=4, layers=2, card=64),
    tower=TowerConfig(width=64, layers=1, heads=1, patch=14, resolution=28),
    encodec=CODEC,
)


def write_tiny(folder: Path, seed: int = 0) -> Path:
    """The two published files in `folder`, which is given back."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    model, tower = GVMGen(CONFIG), new_tower(CONFIG)
    for parameter in tower.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    state = names.to_published(model.state_dict(), tower.state_dict())
    lm = {"best_state": {k: v.clone() for k, v in state.items()}, "xp.cfg": _yaml(_LM_SETTINGS), "exported": True}
    torch.save(lm, folder / "state_dict.bin")
    codec: Any = build(CODEC)
    for layer in codec.quantizer.layers:
        layer.codebook.embed.normal_()
    written = {_codec_name(name): value.clone() for name, value in codec.state_dict().items()}
    settings = {"best_state": written, "xp.cfg": _yaml(_CODEC_SETTINGS), "version": "1", "exported": True}
    torch.save(settings, folder / "compression_state_dict.bin")
    return folder


def _codec_name(name: str) -> str:
    side, _, rest = name.partition(".layers.")
    rest = rest.replace("parametrizations.weight.original0", "weight_g")
    rest = rest.replace("parametrizations.weight.original1", "weight_v").replace("codebook.", "_codebook.")
    transposed = side == "decoder" and rest.split(".")[0] in ("3", "6", "9", "12") and "block" not in rest
    rest = rest.replace("conv.", "convtr.convtr." if transposed else "conv.conv.")
    return ("quantizer.vq.layers." if side == "quantizer" else f"{side}.model.") + rest


_QUERIES: dict[str, Any] = {
    "query_num": CONFIG.features.queries,
    "query_type": "mean",
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1,
    "qformer_layers": CONFIG.features.layers,
    "cross_attention_frequency": 2,
}
_LM_SETTINGS: dict[str, Any] = {
    "sample_rate": 32000,
    "channels": 1,
    "lm_model": "transformer_lm",
    "transformer_lm": {
        "dim": CONFIG.decoder.dim,
        "num_heads": CONFIG.decoder.heads,
        "num_layers": CONFIG.decoder.layers,
        "n_q": 4,
        "card": CONFIG.decoder.card,
        "hidden_scale": 4,
    },
    "codebooks_pattern": {
        "modeling": "delay",
        "delay": {"delays": [0, 1, 2, 3], "flatten_first": 0, "empty_initial": 0},
    },
    "classifier_free_guidance": {"training_dropout": 0.3, "inference_coef": 3.0},
    "fuser": {"cross": ["visual_content"], "sum": [], "prepend": [], "input_interpolate": []},
    "conditioners": {
        "visual_content": {
            "model": "video",
            "video": {"name": "ViT-L/14@336px", "video_len": 30, "is_qformer": True, "qformer": {"qformer": _QUERIES}},
        }
    },
}
_CODEC_SETTINGS: dict[str, Any] = {
    "sample_rate": 32000,
    "channels": 1,
    "compression_model": "encodec",
    "encodec": {
        "autoencoder": "seanet",
        "quantizer": "rvq",
        "sample_rate": "${sample_rate}",
        "channels": "${channels}",
        "causal": False,
        "renormalize": False,
    },
    "seanet": {
        "dimension": CODEC.dimension,
        "channels": "${channels}",
        "causal": "${encodec.causal}",
        "n_filters": CODEC.filters,
        "n_residual_layers": 1,
        "ratios": list(CODEC.ratios),
        "activation": "ELU",
        "norm": "weight_norm",
        "kernel_size": 7,
        "residual_kernel_size": 3,
        "last_kernel_size": 7,
        "dilation_base": 2,
        "pad_mode": "constant",
        "true_skip": True,
        "compress": 2,
        "lstm": CODEC.lstm_layers,
        "disable_norm_outer_blocks": 0,
        "decoder": {"trim_right_ratio": 1.0, "final_activation": None},
    },
    "rvq": {"n_q": CODEC.codebooks, "bins": CODEC.card},
}


def _yaml(settings: dict[str, Any]) -> str:
    text = io.StringIO()
    YAML(typ="safe").dump(settings, text)
    return text.getvalue()

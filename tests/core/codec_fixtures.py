"""A tiny EnCodec with random weights, and the settings its authors' code would write beside it."""

from __future__ import annotations

from typing import Any

import torch
from ruamel.yaml import YAML
from torch import Tensor

from core.codecs.encodec_files import build
from core.config import CodecConfig

TINY = CodecConfig(dimension=6, filters=2, card=16, codebooks=3, lstm_layers=1, ratios=(4, 3, 2))
XP_CFG = """
sample_rate: 32000
channels: 1
compression_model: encodec
encodec: {autoencoder: seanet, quantizer: rvq, sample_rate: '${sample_rate}', channels: '${channels}', causal: false,
  renormalize: false}
seanet: {dimension: 6, channels: '${channels}', causal: '${encodec.causal}', n_filters: 2, n_residual_layers: 1,
  ratios: [4, 3, 2], activation: ELU, norm: weight_norm, kernel_size: 7, residual_kernel_size: 3, last_kernel_size: 7,
  dilation_base: 2, pad_mode: constant, true_skip: true, compress: 2, lstm: 1, disable_norm_outer_blocks: 0,
  decoder: {trim_right_ratio: 1.0, final_activation: null}}
rvq: {n_q: 3, bins: 16}
"""


def settings_of(text: str = XP_CFG) -> dict[str, Any]:
    """An xp.cfg as the reader of published files hands it on."""
    settings: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return settings


def random_state(config: CodecConfig, seed: int = 0) -> dict[str, Tensor]:
    """Weights that make a loud sound and codebooks whose entries differ."""
    torch.manual_seed(seed)
    model = build(config)
    for layer in model.quantizer.layers:
        layer.codebook.embed.normal_()
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}

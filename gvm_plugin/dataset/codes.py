"""Cached codec codes: what the decoder learns to say, instead of sound. Needs torch, once a codec is asked for."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import ModelError
from core.training.manifest import CodecInfo
from gvm_plugin.dataset.clips import Cut, read_cut
from gvm_plugin.probe import MediaInfo


def codec_info(folder: Path) -> CodecInfo:
    """What the codec of the model in `folder` is; no weights are read. ModelError where it has none."""
    from core.checkpoint import CODEC, read_card, sha256

    config, _, _ = read_card(folder)
    if config.encodec is None or not (folder / CODEC).is_file():
        raise ModelError(f"{folder}: has no codec ({CODEC}); name the folder of a model that writes sound")
    codec = config.encodec
    return CodecInfo(sha256(folder / CODEC), codec.sample_rate, codec.hop, codec.codebooks, codec.card)


def encode(folder: Path, sound: MediaInfo, cut: Cut) -> npt.NDArray[np.int16]:
    """Codes [K, T] of the sound of a cut, by the codec of the model in `folder`."""
    import torch

    codec = _open(folder)
    config = codec.config
    wave = read_cut(sound, cut, config.sample_rate, "mono" if config.channels == 1 else "stereo")
    codes = codec.encode(torch.from_numpy(wave)[None])[0]
    return np.asarray(codes.cpu().numpy(), np.int16)


@lru_cache(maxsize=1)
def _open(folder: Path) -> Any:
    from core.checkpoint import load_codec, read_card

    config, _, _ = read_card(folder)
    return load_codec(folder, config)

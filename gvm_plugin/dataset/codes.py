"""Cached codec codes: what the decoder learns to say, instead of sound. Needs torch, once a codec is asked for."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from core.training.manifest import CodecInfo
from gvm_plugin.dataset.clips import Cut, read_cut
from gvm_plugin.probe import MediaInfo

if TYPE_CHECKING:
    from core.codecs.encodec import Encodec


def codec_info(path: Path) -> CodecInfo:
    """What the codec at `path` is: a folder of `gvm train codec`, a model's folder, or a published file.

    ModelError where there is none.
    """
    from core.checkpoint import CODEC, sha256
    from core.training.parts import find_codec

    found = find_codec(path)
    own = path / CODEC
    digest = sha256(own) if path.is_dir() and own.is_file() else min(found.digests)
    config = found.config
    return CodecInfo(digest, config.sample_rate, config.hop, config.codebooks, config.card)


def encode(path: Path, sound: MediaInfo, cut: Cut) -> npt.NDArray[np.int16]:
    """Codes [K, T] of the sound of a cut, by the codec at `path`."""
    import torch

    codec = _open(path)
    config = codec.config
    wave = read_cut(sound, cut, config.sample_rate, "mono" if config.channels == 1 else "stereo")
    codes = codec.encode(torch.from_numpy(wave)[None])[0]
    return np.asarray(codes.cpu().numpy(), np.int16)


@lru_cache(maxsize=1)
def _open(path: Path) -> Encodec:
    from core.codecs.encodec import Encodec
    from core.training.parts import find_codec

    found = find_codec(path)
    return Encodec(found.config, found.state)

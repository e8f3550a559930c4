"""A data set of a few pairs, a codec and a model small enough to be trained in a test."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from core import checkpoint
from core.codecs.encodec_files import build
from core.config import CodecConfig
from core.training.codec import save_codec
from core.training.manifest import CodecInfo, Pair, write_codes, write_dataset, write_features
from core.training.presets import SMALL_WAVEFORM
from core.training.recipe import Recipe, with_settings

CODEC = CodecConfig(
    sample_rate=800, codebooks=3, card=16, dimension=4, filters=2, ratios=(5, 4, 4), lstm_layers=1
)  # 10 steps a second
SECONDS = 3.0
TINY_FEATURES = {"width": 8, "heads": 2, "queries": 2, "layers": 1, "out_channels": 8}
TINY_DECODER = {"dim": 16, "heads": 2, "layers": 2}


def write_codec(folder: Path) -> CodecInfo:
    """A codec with random weights, and how a data set names it."""
    torch.manual_seed(0)
    save_codec(folder, CODEC, {name: value.detach() for name, value in build(CODEC).state_dict().items()})
    digest = checkpoint.sha256(folder / checkpoint.CODEC)
    return CodecInfo(digest, CODEC.sample_rate, CODEC.hop, CODEC.codebooks, CODEC.card)


def write_pairs(folder: Path, codec: CodecInfo, train: int = 12, test: int = 4, seconds: float = SECONDS) -> Path:
    """A data set in which each music follows its picture: what is seen says which codes are common."""
    rng = np.random.default_rng(0)
    pairs = []
    for number in range(train + test):
        name = f"film{number:02}"
        kind = number % 3
        times = np.arange(0.125, seconds, 0.25)
        values = rng.normal(0, 0.3, (len(times), 33, 16))
        values[..., 6] = np.abs(values[..., 6])  # activity is never negative
        values[:, :, 0] += kind
        steps = round(seconds * codec.codes_per_second)
        codes = (rng.integers(0, 3, (codec.codebooks, steps)) + 4 * kind) % codec.card
        write_codes(folder / f"codes/{name}.npz", codes, codec)
        write_features(folder / f"features/descriptors/{name}.npz", values, times)
        split = "train" if number < train else "test"
        digest = hashlib.sha256(name.encode()).hexdigest()
        pairs.append(
            Pair(name, split, f"{name}.mp4", digest, 0.0, seconds, codes=f"codes/{name}.npz",
                 features={"descriptors": f"features/descriptors/{name}.npz"})
        )  # fmt: skip
    write_dataset(folder, pairs, codec, "gvm test")
    return folder


def write_all(folder: Path, **more: int) -> Recipe:
    """Codec and data set in `folder`, and a recipe of a few steps that trains on them."""
    write_pairs(folder / "data", write_codec(folder / "codec"), **more)
    return tiny_recipe(folder / "data", folder / "codec")


def tiny_recipe(data: Path, codec: Path, steps: int = 6) -> Recipe:
    """Six steps of four windows."""
    return with_settings(
        replace(SMALL_WAVEFORM),
        {
            "model": {"codec": str(codec), "features": TINY_FEATURES, "decoder": TINY_DECODER},
            "data": {"folder": str(data), "batch": 4, "window_seconds": 2.0, "workers": 0},
            "schedule": {"steps": steps, "warmup_steps": 2},
            "optimiser": {"learning_rate": 0.01},
            "compute": {"device": "cpu", "precision": "fp32", "threads": 1},
            "run": {"log_every": 1, "evaluate_every": 3, "checkpoint_every": 2, "samples_every": 0},
        },
    )

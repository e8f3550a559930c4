#!/usr/bin/env python3
"""Measure the vision side of a published-size model against the published way: `scripts/bench_vision.py`.

    scripts/bench_vision.py [--frames 4] [--threads 2] [--device cpu]

CLIP ViT-L/14@336 and 16 queries with random weights, from prepared frames to the conditioning of a window of 30. The
published way encodes all frames at once in single precision through torch's own attention, and as many null frames
(on a GPU under fp16 autocast, as it does there). Ours: the same weights in single and in the best precision. Each way
runs in a process of its own, so that its peak memory is its own; --frames are timed and scaled to 30. Last line JSON:
seconds of a window, their ratios, peak memory, how far ours lies from the published conditioning, and the floor:
arithmetic of our window at the rate of the device's own matrix product in that precision.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import core.features
from core.config import FeatureConfig, TowerConfig, published
from core.features import FeatureTransformation
from core.vision.clip import ClipTower
from core.vision.preprocess import preprocess
from core.vision.tower import BATCH, TowerFrames, best_dtype

WINDOW = 30  # frames
WAYS = ("published", "fp32", "best")
TARGET = 0.40  # of the published time


class Spent(NamedTuple):
    """Seconds on the wall clock, and of all processor cores together (waiting for another thread counts as well).

    On a machine that others use too, compare the second with --threads 1.
    """

    seconds: float
    cpu_seconds: float


def parts() -> tuple[ClipTower, FeatureTransformation]:
    """Tower and queries of the published size; the same random weights in every process."""
    config = published("small")
    assert config.tower is not None
    torch.manual_seed(0)
    return ClipTower(config.tower).eval(), FeatureTransformation(config.features).eval().requires_grad_(False)


@torch.no_grad()
def encode_as_published(tower: ClipTower, features: FeatureTransformation, frames: Tensor) -> Tensor:
    """Conditioning [F, out] of frames; attention token-first through torch's module, QuickGELU as it is written."""
    patches = tower.conv1(frames).flatten(2).transpose(1, 2)
    x = torch.cat([tower.class_embedding.expand(len(patches), 1, -1), patches], dim=1)
    x = tower.ln_pre(x + tower.positional_embedding).transpose(0, 1)
    for block in tower.transformer.resblocks:
        block.attn.batch_first = False
        x = block(x)
    return features.per_frame(x.transpose(0, 1))[:, 0]


def run_published(device: torch.device, frames: Tensor) -> tuple[Spent, Tensor]:
    """Seconds and conditioning of frames, and of as many null frames, as the published code encodes them."""
    tower, features = parts()
    tower, features = tower.to(device), features.to(device)
    core.features.attend = lambda attention, queries, source: attention(queries, source, source, need_weights=False)[0]
    frames = frames.to(device)

    def encode() -> Tensor:
        with torch.autocast(device.type, torch.float16, enabled=device.type == "cuda"):
            condition = encode_as_published(tower, features, frames)
            encode_as_published(tower, features, torch.zeros_like(frames))
        return condition

    encode_as_published(tower, features, frames[:1])
    return timed(encode, device)


def run_ours(device: torch.device, frames: Tensor, dtype: torch.dtype) -> tuple[Spent, Tensor]:
    """Seconds and conditioning of frames through our encoder; the null condition needs none."""
    tower, features = parts()
    tower, features = tower.place(device, dtype), features.to(device)

    def encode(some: Tensor) -> Tensor:
        encoder = TowerFrames(tower, features)
        tower.preprocess = lambda frame: frame  # type: ignore[method-assign, assignment]
        for second, frame in enumerate(some):
            encoder.push(second, frame)  # type: ignore[arg-type]
        return torch.from_numpy(encoder.finish().values[:, 0])

    encode(frames[:1])
    return timed(lambda: encode(frames), device)


def timed(function: Callable[[], Tensor], device: torch.device) -> tuple[Spent, Tensor]:
    """What `function` took, and its result on the CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak of building the weights
    started, busy = time.perf_counter(), time.process_time()
    result = function().float().cpu()
    return Spent(time.perf_counter() - started, time.process_time() - busy), result


def arithmetic(tower: TowerConfig, features: FeatureConfig) -> float:
    """Floating-point operations (a product and a sum are two) from a prepared frame to its conditioning."""
    tokens, width, queries = tower.patches + 1, tower.width, features.queries
    block = 2 * tokens * 12 * width**2 + 4 * tokens**2 * width
    crossing = -(-features.layers // features.cross_every)
    cross = 2 * tokens * 2 * width**2 + 2 * queries * 3 * width**2
    query_layer = 2 * queries * (4 + 1 + 4) * width**2
    return tower.layers * block + crossing * cross + features.layers * query_layer


def product_rate(device: torch.device, dtype: torch.dtype, width: int, rows: int) -> float:
    """Operations a second of a matrix product as large as the tower's largest, the best of ten."""
    left = torch.randn(rows, width).to(device, dtype)
    right = torch.randn(4 * width, width).to(device, dtype)
    best = min(timed(lambda: F.linear(left, right)[:1, :1], device)[0].seconds for _ in range(10))
    return 2 * rows * 4 * width**2 / best


def run_way(way: str, args: argparse.Namespace) -> dict[str, Any]:
    """One way, in this process; its conditioning goes to args.keep."""
    device = torch.device(args.device)
    config = published("small")
    assert config.tower is not None
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (args.frames, 9, 16, 3), dtype=np.uint8)
    pictures = coarse.repeat(80, axis=1).repeat(80, axis=2)
    started = time.perf_counter()
    frames = torch.stack([preprocess(picture, config.tower.resolution) for picture in pictures])
    prepared = (time.perf_counter() - started) / args.frames
    dtype = best_dtype(device) if way == "best" else torch.float32
    with torch.inference_mode():
        rate = product_rate(device, dtype, config.tower.width, BATCH * (config.tower.patches + 1))
    spent, condition = run_published(device, frames) if way == "published" else run_ours(device, frames, dtype)
    np.save(args.keep, condition.numpy())
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else resident_peak()
    return {
        "seconds": spent.seconds * WINDOW / args.frames,
        "cpu_seconds": spent.cpu_seconds * WINDOW / args.frames,
        "dtype": str(dtype).removeprefix("torch."),
        "peak_mib": round(peak / 2**20),
        "floor_seconds": WINDOW * arithmetic(config.tower, config.features) / rate,
        "gflops": round(rate / 1e9),
        "prepare_seconds": prepared * WINDOW,
    }


def resident_peak() -> int:
    """Bytes of memory that this process held at most, on Linux since `timed` began."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in status if line.startswith("VmHWM")).split()[1])
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def run_apart(way: str, args: argparse.Namespace, keep: Path) -> dict[str, Any]:
    """One way, in a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--keep", str(keep), "--frames", str(args.frames),
               "--threads", str(args.threads), "--device", args.device]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{way:10} {result['dtype']:9} {result['seconds']:7.1f} s a window, {result['peak_mib']} MiB", flush=True)
    return result


def main() -> None:
    """Run all ways one after the other and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=4, help="frames timed; the figures are scaled to 30")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--keep", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.way:
        print(json.dumps(run_way(args.way, args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        kept = {way: Path(folder) / f"{way}.npy" for way in WAYS}
        results = {way: run_apart(way, args, kept[way]) for way in WAYS}
        conditions = {way: np.load(path).astype(np.float64) for way, path in kept.items()}
    reference = conditions["published"]
    summary = {
        "window_frames": WINDOW,
        "timed_frames": args.frames,
        "threads": args.threads,
        "device": args.device,
        "load_average": round(os.getloadavg()[0], 1),
        "ratio_best": results["best"]["seconds"] / results["published"]["seconds"],
        "ratio_fp32": results["fp32"]["seconds"] / results["published"]["seconds"],
        "cpu_ratio_best": results["best"]["cpu_seconds"] / results["published"]["cpu_seconds"],
        "target_ratio": TARGET,
        "relative_error": {
            way: float(np.linalg.norm(conditions[way] - reference) / np.linalg.norm(reference)) for way in WAYS[1:]
        },
        **results,
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()

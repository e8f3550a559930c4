#!/usr/bin/env python3
"""Build the starter's corpus and train its weights: `scripts/train_starter.py` (about 75 minutes on 2 cores).

    scripts/train_starter.py [--scenes 4500] [--minutes 60] [--out core/starter/weights] [--work build/starter]

The corpus goes to --work in shards that are kept (a second run goes on where the first stopped). The last line is
JSON: held-out cross-entropy per stream with the right picture, with another film's, and with none.
"""

from __future__ import annotations

import argparse
import json
from multiprocessing import get_context
from pathlib import Path

SHARD = 50  # scenes a file
HELD_OUT_SHARDS = 2


def build_shard(job: tuple[int, Path]) -> Path:
    """Compose the scenes of one shard, unless it is there."""
    from core.starter.corpus import scene_pieces
    from core.training.data import save_pieces

    index, folder = job
    path = folder / f"scenes-{index:04}.npz"
    if not path.exists():
        save_pieces([piece for seed in range(index * SHARD, (index + 1) * SHARD) for piece in scene_pieces(seed)], path)
    return path


def build_corpus(scenes: int, folder: Path, processes: int) -> list[Path]:
    """Paths of all shards, made by `processes` workers."""
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(index, folder) for index in range(-(-scenes // SHARD))]
    with get_context("spawn").Pool(processes) as pool:
        return list(tqdm(pool.imap(build_shard, jobs), total=len(jobs), desc="corpus", unit="shard"))


def main() -> None:
    """Parse arguments, build, train, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=4500)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--start-from", type=Path, help="a model folder whose weights to go on from")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("core/starter/weights"))
    parser.add_argument("--work", type=Path, default=Path("build/starter"))
    parser.add_argument("--corpus-only", action="store_true")
    args = parser.parse_args()
    shards = build_corpus(args.scenes, args.work, args.processes)
    if args.corpus_only:
        return

    import numpy as np
    import torch

    from core import checkpoint
    from core.config import starter
    from core.model import GVMGen
    from core.starter.controls import CHANNELS
    from core.training.data import Windows, load_pieces
    from core.training.loop import Recipe, evaluate, train
    from core.vision.descriptors import CHANNELS as PATCH_CHANNELS

    torch.manual_seed(args.seed)
    delays = starter(1, 1).decoder.delays
    config = starter(PATCH_CHANNELS, CHANNELS * (max(delays) + 1))
    pieces = [piece for shard in shards[HELD_OUT_SHARDS:] for piece in load_pieces(shard)]
    unseen = [piece for shard in shards[:HELD_OUT_SHARDS] for piece in load_pieces(shard)]
    held_out_batches = Windows(unseen[::3], delays).batches(16, np.random.default_rng(0))
    held_out = [next(held_out_batches) for _ in range(min(6, len(unseen) // 48))]
    batches = Windows(pieces, delays, null_share=0.1).batches(args.batch, np.random.default_rng(args.seed))
    card = checkpoint.ModelCard(
        name="starter", licence="CC0-1.0", commercial_use=True,
        source="trained by scripts/train_starter.py on pictures and music that gvm's own composer made",
        training={"scenes": args.scenes, "pieces": len(pieces), "minutes": args.minutes, "seed": args.seed},
    )  # fmt: skip
    device = "cuda" if torch.cuda.is_available() else "cpu"
    fresh = checkpoint.load(args.start_from)[0].train() if args.start_from else GVMGen(config)
    recipe = Recipe(seconds=60 * args.minutes, learning_rate=args.learning_rate)
    model = train(
        fresh.to(device), batches, held_out, recipe, args.work / "log.jsonl",
        keep=lambda average: checkpoint.save(average, card, args.out),
    )  # fmt: skip
    print(json.dumps({"parameters": sum(p.numel() for p in model.parameters()), **evaluate(model, held_out)}))


if __name__ == "__main__":
    main()

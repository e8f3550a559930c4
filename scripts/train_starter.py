#!/usr/bin/env python3
"""Build the starter's corpus and train its weights: `scripts/train_starter.py` (about 75 minutes on 2 cores).

    scripts/train_starter.py [--scenes 4500] [--minutes 60] [--out core/starter/weights] [--work build/starter]

The corpus goes to --work in shards that are kept (a second run goes on where the first stopped); the training is a
run of the recipe `starter` in --work/run (docs/training.md), which --resume goes on with. The last line is JSON:
held-out cross-entropy per stream with the right picture, with another film's, and with none.
"""

from __future__ import annotations

import argparse
import json
import shutil
from multiprocessing import get_context
from pathlib import Path

SHARD = 50  # scenes a file


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
    parser.add_argument("--resume", action="store_true", help="go on with the training that was stopped")
    parser.add_argument("--corpus-only", action="store_true")
    args = parser.parse_args()
    build_corpus(args.scenes, args.work, args.processes)
    if args.corpus_only:
        return

    from core.training.presets import STARTER
    from core.training.recipe import with_typed
    from core.training.start import keep_freed_memory, resume_training, run_training

    run = args.work / "run"
    settings = [f'data.folder="{args.work}"', f"data.batch={args.batch}", f"schedule.minutes={args.minutes}"]
    settings += [f"optimiser.learning_rate={args.learning_rate}", f"run.seed={args.seed}"]
    if args.start_from:
        settings.append(f'model.start_from="{args.start_from}"')
    keep_freed_memory()
    if args.resume:
        resume_training(run, say=print, bar=True)
    else:
        run_training(with_typed(STARTER, settings), run, say=print, bar=True)
    args.out.mkdir(parents=True, exist_ok=True)
    for name in ("model.safetensors", "model.json"):
        shutil.copyfile(run / "model" / name, args.out / name)
    about = json.loads((args.out / "model.json").read_text())
    print(json.dumps(about["card"]["training"]))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Draw, compose and play scenes: the corpus that the evaluator and waveform models learn from.

    scripts/make_sound_corpus.py [--scenes 1600] [--work build/sound] [--processes 2]
    scripts/make_sound_corpus.py --first 2000 --scenes 1000 --work build/unseen

Shards of 20 scenes go to --work and are kept: a second run goes on where the first stopped. Shards 0 to 7 are held
out by everything that trains on them. --first begins at a later scene: a folder of its own for scenes that nothing
has learned from.
"""

from __future__ import annotations

import argparse
from multiprocessing import get_context
from pathlib import Path

SHARD = 20  # scenes a file
HELD_OUT_SHARDS = 8


def build_shard(job: tuple[int, Path]) -> Path:
    """Make the scenes of one shard, unless it is there."""
    import torch

    from core.starter.sound_corpus import save_scenes, sound_scene

    torch.set_num_threads(1)
    index, folder = job
    path = folder / f"sound-{index:04}.npz"
    if not path.exists():
        save_scenes([sound_scene(seed) for seed in range(index * SHARD, (index + 1) * SHARD)], path)
    return path


def build_corpus(scenes: int, folder: Path, processes: int, first: int = 0) -> list[Path]:
    """Paths of all shards with the scenes from `first` on, a multiple of SHARD, made by `processes` workers."""
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(first // SHARD + index, folder) for index in range(-(-scenes // SHARD))]
    with get_context("spawn").Pool(processes) as pool:
        return list(tqdm(pool.imap(build_shard, jobs), total=len(jobs), desc="sound corpus", unit="shard"))


def main() -> None:
    """Parse arguments, build."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=1600)
    parser.add_argument("--first", type=int, default=0, help=f"the first scene, a multiple of {SHARD}")
    parser.add_argument("--work", type=Path, default=Path("build/sound"))
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    if args.first % SHARD:
        parser.error(f"--first is {args.first}; it must be a multiple of {SHARD}, as many as a shard holds")
    shards = build_corpus(args.scenes, args.work, args.processes, args.first)
    print(f"{len(shards)} shards of {SHARD} scenes in {args.work}")


if __name__ == "__main__":
    main()

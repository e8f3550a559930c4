#!/usr/bin/env python3
"""Draw, compose and play scenes: the corpus that the evaluator and waveform models learn from.

    scripts/make_sound_corpus.py [--scenes 1600] [--work build/sound] [--processes 2]

Shards of 20 scenes go to --work and are kept: a second run goes on where the first stopped. Shards 0 to 7 are held
out by everything that trains on them.
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


def build_corpus(scenes: int, folder: Path, processes: int) -> list[Path]:
    """Paths of all shards, made by `processes` workers."""
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(index, folder) for index in range(-(-scenes // SHARD))]
    with get_context("spawn").Pool(processes) as pool:
        return list(tqdm(pool.imap(build_shard, jobs), total=len(jobs), desc="sound corpus", unit="shard"))


def main() -> None:
    """Parse arguments, build."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=1600)
    parser.add_argument("--work", type=Path, default=Path("build/sound"))
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    shards = build_corpus(args.scenes, args.work, args.processes)
    print(f"{len(shards)} shards of {SHARD} scenes in {args.work}")


if __name__ == "__main__":
    main()

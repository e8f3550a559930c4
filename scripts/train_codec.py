#!/usr/bin/env python3
"""Train a small EnCodec on a folder of sounds: `scripts/train_codec.py [--sounds build/sound] [--out build/codec]`.

About 20 minutes of one core. The last line is JSON: how well it gives back sounds that it hasn't heard, and how much
of its codebooks it uses. The same as `gvm train codec`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path


def main() -> None:
    """Parse arguments, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=Path, default=Path("build/sound"))
    parser.add_argument("--out", type=Path, default=Path("build/codec"))
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--filters", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    import torch

    from core.training.codec import SMALL_CODEC, CodecRecipe, train_codec
    from core.training.start import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(args.threads)
    report = train_codec(
        args.sounds,
        args.out,
        dataclasses.replace(SMALL_CODEC, filters=args.filters),
        CodecRecipe(minutes=args.minutes, seed=args.seed),
        progress=lambda share, line: print(f"{share:4.0%} {line}", flush=True),
    )
    print(json.dumps(dataclasses.asdict(report)))


if __name__ == "__main__":
    main()

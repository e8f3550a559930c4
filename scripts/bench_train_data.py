#!/usr/bin/env python3
"""How fast training windows of a data set can be read: `scripts/bench_train_data.py DATA [--workers 0 1 2]`.

By clip (decoded and cropped for CLIP) where there are clips, by cached descriptors where there are those. The last line
is JSON: windows a second of each way.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any


def main() -> None:
    """Parse arguments, read, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--window-seconds", type=float, default=30.0)
    args = parser.parse_args()
    found = []
    for vision in ("descriptors", "clip"):
        for workers in args.workers:
            row = measure(args.data, vision, workers, args.batch, args.steps, args.window_seconds)
            if row is not None:
                found.append(row)
                print(f"{vision:12} {workers} workers  {row['windows_per_second']:8.2f} windows a second", flush=True)
    print(json.dumps(found))


def measure(
    data: Path, vision: str, workers: int, batch: int, steps: int, window_seconds: float
) -> dict[str, Any] | None:
    """Figures of one way to read; None where the data set has nothing for it."""
    from core.config import CodecConfig, published
    from core.training.manifest import read_dataset
    from core.training.order import Order, Share, read_ahead
    from core.training.pairs import PairExamples, usable_pairs
    from core.training.parts import waveform
    from core.training.recipe import DataRecipe

    dataset = read_dataset(data)
    if dataset.codec is None:
        raise SystemExit(f"{data} has no codes; build it with --codec")
    pairs = usable_pairs(dataset, "train", vision, window_seconds).pairs
    if len(pairs) < batch:
        return None
    config = published("small") if vision == "clip" else waveform(CodecConfig())
    books = dataset.codec.codebooks
    config = replace(
        config,
        encodec=replace(config.encodec or CodecConfig(), codebooks=books, card=dataset.codec.card),
        decoder=replace(config.decoder, streams=books, card=dataset.codec.card, delays=tuple(range(books))),
    )
    examples = PairExamples(dataset, pairs, config, window_seconds)
    recipe = DataRecipe(str(data), batch=batch, window_seconds=window_seconds, null_share=0.0, workers=workers)
    batches = read_ahead(Share(Order(examples, recipe, 1), 0, 1, 1), 0, steps + 1, recipe, pin=False)
    next(batches)  # workers start up
    began = time.monotonic()
    count = sum(1 for _ in batches)
    seconds = time.monotonic() - began
    return {"vision": vision, "workers": workers, "windows_per_second": round(count * batch / seconds, 2)}


if __name__ == "__main__":
    main()

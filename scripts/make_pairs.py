#!/usr/bin/env python3
"""The sound corpus as a data set for `gvm train`: `scripts/make_pairs.py [--sounds build/sound] [--codec build/codec]
[--out build/pairs]`.

A pair is the first 30 s of a scene: its descriptors (as the encoder gives them: what is relative to the cue is filled
in by whoever reads a window) and its sound's codes. Clips and music aren't written: both lie in the corpus. Scenes of
shards 0 to 7 are the test side. A second run goes on where the first stopped.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

SECONDS = 30.0
HELD_OUT_SHARDS = 8
FEATURES = "descriptors"


def write_shard(job: tuple[Path, Path, Path]) -> Path:
    """Write codes and features of the scenes of one shard (shard, codec's folder, data set's folder), if missing."""
    import torch

    from core.codecs.encodec import Encodec
    from core.starter.sound_corpus import load_scenes
    from core.training.codec import codec_info, load_codec
    from core.training.manifest import write_codes, write_features

    shard, codec_folder, out = job
    torch.set_num_threads(1)
    names = scene_ids(shard)
    if all((out / codes_path(name)).exists() for name in names):
        return shard
    config, state = load_codec(codec_folder)
    codec, info = Encodec(config, state), codec_info(codec_folder)
    steps = round(SECONDS * config.sample_rate / config.hop)
    for name, scene in zip(names, load_scenes(shard), strict=True):
        sound = torch.from_numpy(scene.sound[: steps * config.hop] / 32768.0).float()
        codes = codec.encode(sound[None, None])[0].numpy()
        seen = scene.frame_times < SECONDS
        write_features(out / features_path(name), scene.patches[seen], scene.frame_times[seen])
        write_codes(out / codes_path(name), codes, info)  # last: it says that the scene is done
    return shard


def pairs_of(shard: Path, about: list[str]) -> Iterator[object]:
    """The manifest's lines of one shard's scenes."""
    from core.training.manifest import Pair

    split = "test" if int(shard.stem.split("-")[1]) < HELD_OUT_SHARDS else "train"
    for name, text in zip(scene_ids(shard), about, strict=True):
        labels = dict(item.split("=", 1) for item in text.split())
        digest = hashlib.sha256(f"{name} {text}".encode()).hexdigest()
        yield Pair(
            id=name, split=split, source=f"{name} (drawn)", source_sha256=digest, start=0.0, end=SECONDS,
            codes=codes_path(name), features={FEATURES: features_path(name)}, type="animation", type_by="person",
            labels=labels,
        )  # fmt: skip


def scene_ids(shard: Path) -> list[str]:
    """Ids of a shard's scenes; the shard must be there."""
    import numpy as np

    with np.load(shard) as data:
        count = sum(name.endswith(".about") for name in data.files)
    return [f"{shard.stem}-{index:02}" for index in range(count)]


def codes_path(name: str) -> str:
    """Where a scene's codes lie in the data set."""
    return f"codes/{name}.npz"


def features_path(name: str) -> str:
    """Where a scene's features lie in the data set."""
    return f"features/{FEATURES}/{name}.npz"


def make_pairs(
    sounds: Path,
    codec: Path,
    out: Path,
    processes: int = 1,
    told: Callable[[str], None] | None = None,
    most: int | None = None,
) -> int:
    """Write the data set of all shards in `sounds`, or of the first `most`, into `out`; how many pairs it has."""
    import numpy as np

    from core.training.codec import codec_info
    from core.training.manifest import write_dataset

    shards = sorted(sounds.glob("sound-*.npz"))[:most]
    jobs = [(shard, codec, out) for shard in shards]
    with ExitStack() as stack:
        pool = stack.enter_context(get_context("spawn").Pool(processes)) if processes > 1 else None
        for done, _ in enumerate(map(write_shard, jobs) if pool is None else pool.imap(write_shard, jobs), 1):
            if told is not None:
                told(f"{done} of {len(shards)} shards")
    pairs = []
    for shard in shards:
        with np.load(shard) as data:
            about = [str(data[f"{index}.about"]) for index in range(len(scene_ids(shard)))]
        pairs += pairs_of(shard, about)
    write_dataset(out, pairs, codec_info(codec), "scripts/make_pairs.py")
    return len(pairs)


def main() -> None:
    """Parse arguments, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=Path, default=Path("build/sound"))
    parser.add_argument("--codec", type=Path, default=Path("build/codec"))
    parser.add_argument("--out", type=Path, default=Path("build/pairs"))
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    told = lambda line: print(line, flush=True)  # noqa: E731
    print(f"{make_pairs(args.sounds, args.codec, args.out, args.processes, told)} pairs in {args.out}")


if __name__ == "__main__":
    main()

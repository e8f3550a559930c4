#!/usr/bin/env python3
"""Proof that a GVMGen learns here, from nothing: `scripts/prove_training.py [--work build/proof] [--quick]`.

    corpus ─▶ codec ─▶ pairs ─▶ gvm train small-waveform ─▶ held-out loss, music, figures

Scenes are drawn and their music composed and played; a small EnCodec learns that sound; a small GVMGen learns its
codes from the pictures; then it is measured on scenes that neither has seen. What is there already isn't made again.
The last line is JSON, also in WORK/figures.json. `--quick` goes all the way in seconds on made-up noise: it proves the
script, not the model. docs/it-learns.md has the figures of the full run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import make_pairs
import make_sound_corpus
import numpy as np
from proof_figures import Heard, draw_curves, draw_spectrograms, read_log
from proof_measures import (
    activity_curve,
    correspondence,
    energy_curve,
    generate,
    held_out_losses,
    loss_table,
    play,
    scores_of,
    spectral_embeddings,
)

if TYPE_CHECKING:
    from core.config import CodecConfig
    from core.training.pairs import PairExamples
    from core.training.recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    heard: held-out scenes that music is made for. processes: for corpus and codes. codec, settings: of the codec's
    recipe and the training's.
    """

    scenes: int = 2000
    codec: dict[str, Any] = dataclasses.field(default_factory=lambda: {"minutes": 16.0})
    train_minutes: float = 42.0
    heard: int = 64
    processes: int = 1
    settings: dict[str, Any] = dataclasses.field(
        default_factory=lambda: {"model": {"decoder": {"dim": 192, "layers": 5, "heads": 6}}}
    )


QUICK = Plan(
    scenes=0,
    codec={"minutes": None, "steps": 10, "batch": 2, "excerpt_seconds": 0.1},
    train_minutes=0.0,
    heard=2,
    settings={
        "model": {"decoder": {"dim": 16, "heads": 2, "layers": 1}, "features": {"width": 8, "heads": 2, "layers": 1}},
        "data": {"batch": 2, "window_seconds": 2.0},
        "schedule": {"steps": 4, "minutes": 0.0, "warmup_steps": 1},
        "run": {"evaluate_every": 2, "checkpoint_every": 4, "log_every": 1, "evaluate_batches": 1},
    },
)


def prove(work: Path, sounds: Path, plan: Plan, docs: Path, told: Callable[[str], None]) -> dict[str, Any]:
    """Do everything that isn't done yet; the figures."""
    seconds: dict[str, float] = {}

    def timed(name: str, make: Callable[[], Any]) -> None:
        began = time.monotonic()
        told(f"{name} ...")
        make()
        seconds[name] = round(time.monotonic() - began, 1)

    codec, pairs, run = work / "codec", work / "pairs", work / "run"
    if plan.scenes:
        timed("corpus", lambda: make_sound_corpus.build_corpus(plan.scenes, sounds, plan.processes))
    else:
        timed("corpus", lambda: quick_corpus(sounds))
    timed("codec", lambda: train_codec(sounds, codec, plan, told))
    shards = -(-plan.scenes // make_sound_corpus.SHARD) or None
    timed("pairs", lambda: make_pairs.make_pairs(sounds, codec, pairs, plan.processes, told, shards))
    timed("training", lambda: train_model(pairs, codec, run, plan, told))
    told("measuring ...")
    figures = measure(run, pairs, plan, docs)
    figures["codec"] = json.loads((codec / "codec.json").read_text(encoding="utf-8"))["report"]
    figures["seconds"] = seconds
    (work / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return figures


def train_codec(sounds: Path, folder: Path, plan: Plan, told: Callable[[str], None]) -> None:
    """The codec, unless its training came to its end before."""
    from core.training import codec

    done = folder / codec.DESCRIPTION
    if done.exists() and json.loads(done.read_text(encoding="utf-8"))["report"]:
        return
    config: CodecConfig = codec.SMALL_CODEC
    if not plan.scenes:
        config = dataclasses.replace(config, card=16, dimension=8, filters=2)
    recipe = codec.CodecRecipe(**plan.codec)
    codec.train_codec(sounds, folder, config, recipe, lambda share, line: told(f"codec {share:.0%} {line}"))


def recipe_of(plan: Plan, pairs: Path, codec: Path) -> Recipe:
    """`gvm train small-waveform` with the plan's settings, on one core."""
    from core.training.presets import PRESETS
    from core.training.recipe import with_settings

    always = {
        "data": {"folder": str(pairs), "workers": 0},
        "model": {"codec": str(codec)},
        "compute": {"device": "cpu", "threads": 1},
        "schedule": {"steps": 0, "minutes": plan.train_minutes},
        "run": {"samples_every": 0},
    }
    merged = {name: {**always.get(name, {}), **plan.settings.get(name, {})} for name in {*always, *plan.settings}}
    return with_settings(PRESETS["small-waveform"], merged)


def train_model(pairs: Path, codec: Path, run: Path, plan: Plan, told: Callable[[str], None]) -> None:
    """The model, or the rest of its training."""
    from core.training.start import RECIPE, resume_training, run_training

    if (run / "done").exists():
        return
    if (run / RECIPE).exists():
        resume_training(run, say=told)
    else:
        run_training(recipe_of(plan, pairs, codec), run, say=told)
    (run / "done").touch()


def measure(run: Path, pairs: Path, plan: Plan, docs: Path) -> dict[str, Any]:
    """Everything that is said of the model in `run`, and its pictures in `docs`."""
    import torch

    from core import checkpoint
    from core.model import GVMGen
    from core.training.manifest import read_dataset
    from core.training.pairs import PairExamples, usable_pairs
    from core.training.presets import PRESETS
    from core.training.recipe import read_recipe

    recipe = read_recipe(run / "recipe.toml", PRESETS)
    model, _, _ = checkpoint.load(run / "model")
    dataset, window = read_dataset(pairs), recipe.data.window_seconds
    unseen = PairExamples(dataset, usable_pairs(dataset, "test", "descriptors", window).pairs, model.config, window)
    seen = PairExamples(dataset, usable_pairs(dataset, "train", "descriptors", window).pairs, model.config, window)
    table = loss_table(held_out_losses(model, unseen))
    torch.manual_seed(0)
    untrained = GVMGen(model.config).eval()
    log = read_log(run / "log.jsonl")
    figures = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": log[-1]["step"] + 1,
        "train_pairs": len(seen),
        "uniform_loss": round(float(np.log(model.config.decoder.card)), 4),
        "loss": table,
    }
    draw_curves(log, table, docs / "it-learns-curves.png")
    heard, rows = listen(model, untrained, run, unseen, seen, plan.heard)
    draw_spectrograms(rows, docs / "it-learns-spectrograms.png")
    return figures | heard


def listen(
    model: Any, untrained: Any, run: Path, unseen: PairExamples, seen: PairExamples, count: int
) -> tuple[dict[str, Any], list[Heard]]:
    """Figures of the music that the model makes for held-out scenes, and some of it to be drawn."""
    from core import checkpoint
    from core.evaluation.config import SHORTEST_SECONDS
    from core.evaluation.frechet import frechet_distance
    from core.training.data import Draw

    codec = checkpoint.load_codec(run / "model", model.config)
    rate = codec.config.sample_rate
    indices = list(range(min(count, len(unseen))))

    def corpus(examples: PairExamples, which: list[int]) -> list[Any]:
        return [examples.batch([Draw(index)]).codes[0].numpy() for index in which]

    real = corpus(unseen, indices)
    rng = np.random.default_rng(0)
    pool = np.concatenate(corpus(seen, list(range(min(count, len(seen))))), axis=1)
    shuffled = [np.stack([rng.choice(stream, c.shape[1]) for stream in pool]) for c in real]
    written = {
        "trained, guidance 1": generate(model, unseen, indices, 1.0),
        "trained, guidance 3": generate(model, unseen, indices, 3.0),
        "untrained": generate(untrained, unseen, indices, 1.0),
        "codes drawn by how often they occur": shuffled,
        "other scenes of the corpus": corpus(seen, list(range(min(count, len(seen))))),
    }
    sounds = {name: [play(codec, c) for c in codes] for name, codes in {"held out": real, **written}.items()}
    embedded = {name: spectral_embeddings(each, rate) for name, each in sounds.items()}
    distances = {
        name: round(frechet_distance(values, embedded["held out"]), 1)
        for name, values in embedded.items() if name != "held out"
    }  # fmt: skip
    activities = [activity_curve(unseen.batch([Draw(index)]).patches[0].numpy()) for index in indices]
    follows = {
        name: correspondence(activities, [energy_curve(sound, rate) for sound in sounds[name]])
        for name in ("held out", "trained, guidance 1", "trained, guidance 3", "untrained")
    }
    told = {"held out": real, **written} if unseen.window_seconds >= SHORTEST_SECONDS else {}
    fits = {
        name: scores_of(unseen, indices[:32], told[name][:32], codec)
        for name in ("held out", "other scenes of the corpus", *list(written)[:3]) if name in told
    }  # fmt: skip
    liveliest = int(np.argmax([curve.std() for curve in activities]))
    titles = {
        "held out": "the corpus (through the codec)",
        "trained, guidance 3": "trained, same picture",
        "untrained": "untrained",
        "codes drawn by how often they occur": "codes drawn by how often they occur",
    }
    rows = [Heard(title, sounds[name][liveliest], rate, activities[liveliest] if number < 2 else None)
            for number, (name, title) in enumerate(titles.items())]  # fmt: skip
    return {"frechet": distances, "frechet_windows": len(indices), "follows": follows, "fit": fits}, rows


def quick_corpus(folder: Path) -> None:
    """A few made-up scenes whose noise is as loud as their pictures are lively: one held-out shard and one other."""
    from core.starter.sound_corpus import SOUND_RATE, SoundScene, save_scenes
    from core.vision.descriptors import CHANNELS, FEATURE_SECONDS, GLOBAL, PATCHES

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for shard in (0, 8):
        scenes = []
        for _ in range(4):
            times = (np.arange(122) + 0.5) * FEATURE_SECONDS
            lively = 1 + np.sin(times * rng.uniform(0.5, 2.0))
            patches = rng.normal(0, 0.3, (len(times), PATCHES, CHANNELS))
            patches[:, GLOBAL, 6] = lively
            loud = np.repeat(lively, round(FEATURE_SECONDS * SOUND_RATE))
            sound = np.round(3000 * loud * rng.normal(0, 1, len(loud)).clip(-3, 3)).astype(np.int16)
            frames = np.zeros((len(times), 2, 2, 3), np.uint8)
            scenes.append(
                SoundScene(patches.astype(np.float16), times, frames, sound, np.zeros((0, 2)), np.array("style=none"))
            )
        save_scenes(scenes, folder / f"sound-{shard:04}.npz")


def main() -> None:
    """Parse arguments, prove, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/proof"))
    parser.add_argument("--sounds", type=Path, default=Path("build/sound"), help="where the corpus is, or will be")
    parser.add_argument("--docs", type=Path, help="where the pictures go; WORK/docs if left out")
    parser.add_argument("--scenes", type=int, default=Plan.scenes)
    parser.add_argument("--codec-minutes", type=float, default=16.0)
    parser.add_argument("--train-minutes", type=float, default=Plan.train_minutes)
    parser.add_argument("--processes", type=int, default=2, help="for corpus and codes; the trainings take one core")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()

    from core.training.start import keep_freed_memory

    plan = Plan(args.scenes, {"minutes": args.codec_minutes}, args.train_minutes, processes=args.processes)
    sounds = args.sounds
    if args.quick:
        plan, sounds = QUICK, args.work / "sound"
    docs = args.docs or args.work / "docs"
    keep_freed_memory()
    print(json.dumps(prove(args.work, sounds, plan, docs, lambda line: print(line, flush=True))))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The paper's Table 5 on our own corpus: `scripts/ablate.py [--pairs build/proof/pairs] [--codec build/proof/codec]`.

Every variant of a small GVMGen is trained from the same seed on the same windows in the same order for as many steps,
and measured on the same held-out scenes. About three minutes of one core each. What is in WORK already isn't done
again. Prints the table as Markdown, over all seeds that are in WORK, and writes it to WORK/table.md.

A variant's video encoder can't be a trained ViViT here, nor the others' a trained ViT: all read patch descriptors.
What sets the video encoder apart, that its tokens span a stretch of time, is kept: each of its tokens is the mean of
one cell's descriptors over two seconds, as the tubelets of ViViT (32 frames in 16 tubelets) span two of the paper's.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from proof_measures import Losses, generate, held_out_losses, interval, scores_of

if TYPE_CHECKING:
    from core.model import GVMGen
    from core.training.data import Batch, Draw
    from core.training.manifest import Pair
    from core.training.pairs import PairExamples
    from core.training.recipe import Recipe

TUBELET_FRAMES = 8  # features that a token of the video encoder spans: two seconds


@dataclass(frozen=True)
class Variant:
    """A row of the table: what is changed in the base model."""

    words: str
    features: dict[str, Any] = field(default_factory=dict)
    decoder: dict[str, Any] = field(default_factory=dict)
    tubelet: int = 1


VARIANTS = {
    "base": Variant("16 queries, mean, temporal cross-attention and position"),
    "queries-4": Variant("4 queries", {"queries": 4}),
    "queries-8": Variant("8 queries", {"queries": 8}),
    "queries-32": Variant("32 queries", {"queries": 32}),
    "pooling-sum": Variant("sum over queries", {"pooling": "sum"}),
    "pooling-none": Variant("queries kept apart", {"pooling": "none"}),
    "no-temporal-cross-attention": Variant(
        "no temporal cross-attention", decoder={"temporal_cross_attention": False, "temporal_position": False}
    ),
    # The token of the whole frame is the descriptors' last.
    "no-feature-transformation": Variant(
        "no feature transformation", {"transformation": "none", "class_token": 32}
    ),
    "video-encoder": Variant("video encoder: tokens of 2 s", tubelet=TUBELET_FRAMES),
    "no-temporal-position": Variant("no temporal position (as published)", decoder={"temporal_position": False}),
    "video-encoder-no-position": Variant(
        "video encoder, no temporal position", decoder={"temporal_position": False}, tubelet=TUBELET_FRAMES
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Budget:
    """What every variant gets. heard: held-out scenes that music is made for; scenes: that the loss is taken of."""

    steps: int = 240
    batch: int = 8
    window_seconds: float = 8.0
    dim: int = 128
    layers: int = 3
    heads: int = 4
    width: int = 48
    heard: int = 20
    scenes: int = 120
    places: tuple[float, ...] = (0.0, 0.7)


@dataclass(frozen=True, eq=False)
class Tubelets:
    """Examples whose pictures are means over `frames` features of `inner`, as a video encoder's tokens span time."""

    inner: PairExamples
    frames: int

    def __len__(self) -> int:
        return len(self.inner)

    @property
    def steps(self) -> int:
        """Code steps of a window."""
        return self.inner.steps

    @property
    def rate(self) -> float:
        """Code steps a second."""
        return self.inner.rate

    @property
    def pairs(self) -> Sequence[Pair]:
        """The pairs behind it."""
        return self.inner.pairs

    def name(self, index: int) -> str:
        """The pair's id."""
        return self.inner.name(index)

    def epoch(self, rng: np.random.Generator, size: int) -> list[list[int]]:
        """Every pair once."""
        return self.inner.epoch(rng, size)

    def batch(self, draws: Sequence[Draw]) -> Batch:
        """The same windows, frames averaged; the last tubelet may be shorter."""
        import torch.nn.functional as F

        batch = self.inner.batch(draws)
        missing = -batch.present.shape[1] % self.frames
        rows = len(batch.present)
        there = F.pad(batch.present.float(), (0, missing)).view(rows, -1, self.frames)
        share = there / there.sum(dim=-1, keepdim=True).clamp(min=1)
        patches = F.pad(batch.patches, (0, 0, 0, 0, 0, missing))
        patches = patches.view(rows, -1, self.frames, *patches.shape[2:])
        times = F.pad(batch.frame_times, (0, missing)).view(rows, -1, self.frames)
        return replace(
            batch,
            patches=(patches * share[..., None, None]).sum(dim=2),
            frame_times=(times * share).sum(dim=2),
            present=there.sum(dim=-1) > 0,
        )


def recipe_of(variant: Variant, budget: Budget, pairs: Path, codec: Path, seed: int) -> Recipe:
    """How a variant is trained: `gvm train small-waveform`, smaller and shorter."""
    from core.training.presets import PRESETS
    from core.training.recipe import with_settings

    decoder = {"dim": budget.dim, "heads": budget.heads, "layers": budget.layers} | variant.decoder
    features = {"width": budget.width} | variant.features
    return with_settings(
        PRESETS["small-waveform"],
        {
            "model": {"codec": str(codec), "decoder": decoder, "features": features},
            "data": {"folder": str(pairs), "workers": 0, "batch": budget.batch,
                     "window_seconds": budget.window_seconds},
            "schedule": {"steps": budget.steps, "epochs": 0, "minutes": 0.0,
                         "warmup_steps": min(60, budget.steps // 4)},
            "ema": {"decay": 0.98},
            "compute": {"device": "cpu", "threads": 1},
            "run": {"seed": seed, "samples_every": 0, "evaluate_every": 0, "checkpoint_every": 0},
        },
    )  # fmt: skip


def run_variant(
    name: str, budget: Budget, pairs: Path, codec: Path, work: Path, seed: int, variant: Variant | None = None
) -> dict[str, Any]:
    """Train and measure one variant; its row, which is also kept in `work`."""
    from core import checkpoint
    from core.training.start import open_material

    variant = variant or VARIANTS[name]
    kept = work / f"{name}-seed-{seed}.json"
    settings = json.loads(json.dumps({**dataclasses.asdict(budget), **dataclasses.asdict(variant)}))
    row: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    recipe = recipe_of(variant, budget, pairs, codec, seed)
    material = open_material(recipe)
    seen, unseen = material.examples, material.held_out
    if variant.tubelet > 1:
        seen, unseen = Tubelets(seen, variant.tubelet), Tubelets(unseen, variant.tubelet)  # type: ignore[arg-type]
    folder = work / f"{name}-seed-{seed}"
    if row.get("settings") != settings:
        model, seconds = train_variant(recipe, material.plan, seen, folder, seed)
        losses = held_out_losses(model, unseen, budget.places, budget.scenes)  # type: ignore[arg-type]
        row = {"name": name, "seed": seed, "settings": settings, **row_of(losses, model), "seconds": seconds}
    elif row.get("cmr"):
        return row
    model, _, _ = checkpoint.load(folder / "model")
    row |= correspondence_of(model, unseen, codec, budget)
    work.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")
    return row


def train_variant(recipe: Recipe, plan: Any, seen: Any, folder: Path, seed: int) -> tuple[GVMGen, float]:
    """The variant's averaged weights after the recipe's steps, and the seconds it took."""
    import torch

    from core import checkpoint
    from core.training import preflight
    from core.training.checkpoints import State
    from core.training.devices import World
    from core.training.loop import Training, train
    from core.training.optim import Average, make_optimiser
    from core.training.order import Order
    from core.training.parts import build_model
    from core.training.step import Eyes

    torch.set_num_threads(1)
    model = build_model(plan, seed).model
    preflight.speed_up(recipe, model)
    state = State(model, make_optimiser(model, recipe.optimiser), Average(model, recipe.ema),
                  torch.amp.GradScaler("cpu", enabled=False))  # fmt: skip
    device = torch.device("cpu")
    began = time.monotonic()
    train(
        Training(
            recipe, World(0, 1, device, "none"), folder, state, model, Order(seen, recipe.data, seed),
            Eyes(None, device, recipe.compute.precision), [], recipe.schedule.steps,
            keep=lambda *_: None, bar=False,
        )
    )  # fmt: skip
    seconds = round(time.monotonic() - began, 1)
    model.eval()
    with state.average.inside(model):
        averaged = {key: value.clone() for key, value in model.state_dict().items()}
    model.load_state_dict(averaged)
    card = checkpoint.ModelCard(folder.name, "CC0-1.0", True, "scripts/ablate.py", {"steps": recipe.schedule.steps})
    checkpoint.save(model, card, folder / "model", dtype=None)
    return model, seconds


def row_of(losses: Losses, model: GVMGen) -> dict[str, Any]:
    """Loss with the right, another and no picture (means over codebooks) and the gains, with intervals over scenes."""
    right, other, none = (getattr(losses, name).mean(axis=1) for name in ("right", "other", "none"))
    return {
        "right": round(float(right.mean()), 4),
        "other": round(float(other.mean()), 4),
        "none": round(float(none.mean()), 4),
        "gain_over_other": interval(other - right),
        "gain_over_none": interval(none - right),
        "right_per_scene": np.round(right, 5).tolist(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "vectors": model.config.features.vectors,
    }


def correspondence_of(model: GVMGen, unseen: Any, codec_folder: Path, budget: Budget) -> dict[str, Any]:
    """CMR and TA by the evaluator that ships (see `gvm evaluate fit`) of music made for held-out scenes.

    None where no music is to be made, or windows are too short for the evaluator.
    """
    from core.codecs.encodec import Encodec
    from core.evaluation.config import SHORTEST_SECONDS
    from core.training.codec import load_codec

    if not budget.heard or budget.window_seconds < SHORTEST_SECONDS:
        return {"cmr": None, "ta": None}
    indices = list(range(min(budget.heard, len(unseen))))
    return scores_of(unseen, indices, generate(model, unseen, indices, 3.0), Encodec(*load_codec(codec_folder)))


def references_of(unseen: Any, codec_folder: Path, budget: Budget) -> dict[str, Any]:
    """CMR and TA of the scenes' own music, and of the next scene's, both through the codec."""
    from core.codecs.encodec import Encodec
    from core.training.codec import load_codec
    from core.training.data import Draw

    indices = list(range(min(budget.heard, len(unseen))))
    codes = [unseen.batch([Draw(index)]).codes[0].numpy() for index in indices]
    turned = codes[1:] + codes[:1]
    codec = Encodec(*load_codec(codec_folder))
    return {
        "own": scores_of(unseen, indices, codes, codec),
        "another scene's": scores_of(unseen, indices, turned, codec),
    }


def table_of(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown; several seeds of a variant are averaged, their spread is given."""
    lines = [
        "| variant | right | other | none | gain over other | gain over none | CMR | TA | parameters | seconds |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name in dict.fromkeys(row["name"] for row in rows):
        mine = [row for row in rows if row["name"] == name]
        words = VARIANTS[name].words if name in VARIANTS else name
        cells = [f"{_mean(mine, key):.4f}" for key in ("right", "other", "none")]
        cells += [_gain(mine, key) for key in ("gain_over_other", "gain_over_none")]
        cells += [f"{np.mean([row[key][0] for row in mine]):.3f}" if all(row[key] for row in mine) else "–"
                  for key in ("cmr", "ta")]  # fmt: skip
        cells += [f"{mine[0]['parameters']:,}", f"{_mean(mine, 'seconds'):.0f}"]
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def noise_of(rows: Sequence[dict[str, Any]]) -> float | None:
    """Standard deviation of the right-picture loss between seeds of one variant, pooled; None with one seed each."""
    groups = [[row["right"] for row in rows if row["name"] == name] for name in {row["name"] for row in rows}]
    spread = [np.var(group, ddof=1) for group in groups if len(group) > 1]
    return round(float(np.sqrt(np.mean(spread))), 5) if spread else None


def _mean(rows: Sequence[dict[str, Any]], key: str) -> float:
    return float(np.mean([row[key] for row in rows]))


def _gain(rows: Sequence[dict[str, Any]], key: str) -> str:
    """Mean over seeds, and the widest interval."""
    mean = np.mean([row[key][0] for row in rows])
    low, high = min(row[key][1] for row in rows), max(row[key][2] for row in rows)
    return f"{mean:.4f} ({low:.4f} to {high:.4f})"


def ablate(
    names: Sequence[str], seeds: Sequence[int], budget: Budget, pairs: Path, codec: Path, work: Path,
    told: Callable[[str], None],
) -> list[dict[str, Any]]:  # fmt: skip
    """Rows of these variants and seeds. The table is written after each, with all rows of this budget in `work`."""
    rows: list[dict[str, Any]] = []
    work.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for name in names:
            rows.append(run_variant(name, budget, pairs, codec, work, seed))
            row = rows[-1]
            told(f"{name} (seed {seed}): {row['right']:.4f}, gain {row['gain_over_other'][0]:.4f}, {row['seconds']} s")
            (work / "table.md").write_text(table_of(kept_rows(work, budget)) + "\n", encoding="utf-8")
    return rows


def kept_rows(work: Path, budget: Budget) -> list[dict[str, Any]]:
    """All rows in `work` that had this budget, variants in their order, seeds in theirs."""
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(work.glob("*-seed-*.json"))]
    wanted = json.loads(json.dumps(dataclasses.asdict(budget)))
    rows = [row for row in rows if row["settings"] | wanted == row["settings"]]
    return sorted(rows, key=lambda row: (list(VARIANTS).index(row["name"]), row["seed"]))


def main() -> None:
    """Parse arguments, ablate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, default=Path("build/proof/pairs"))
    parser.add_argument("--codec", type=Path, default=Path("build/proof/codec"))
    parser.add_argument("--work", type=Path, default=Path("build/ablations"))
    parser.add_argument("--variants", default=",".join(VARIANTS), help="comma-separated; all if left out")
    parser.add_argument("--seeds", default="1", help="comma-separated")
    parser.add_argument("--steps", type=int, default=Budget.steps)
    args = parser.parse_args()
    names = args.variants.split(",")
    if unknown := set(names) - set(VARIANTS):
        parser.error(f"there is no variant {sorted(unknown)[0]}; there are {', '.join(VARIANTS)}")

    from core.training.start import keep_freed_memory, open_material

    keep_freed_memory()
    budget = Budget(steps=args.steps)
    seeds = [int(seed) for seed in args.seeds.split(",")]
    ablate(names, seeds, budget, args.pairs, args.codec, args.work, lambda line: print(line, flush=True))
    rows = kept_rows(args.work, budget)
    print(table_of(rows))
    material = open_material(recipe_of(VARIANTS["base"], budget, args.pairs, args.codec, 1))
    references = references_of(material.held_out, args.codec, budget)
    print(json.dumps({"variants": len(names), "between_seeds": noise_of(rows), "references": references}))


if __name__ == "__main__":
    main()

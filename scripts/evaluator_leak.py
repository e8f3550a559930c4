#!/usr/bin/env python3
"""Show what the published evaluation model's CMR measures: `scripts/evaluator_leak.py [--corpus build/sound]`.

It lets video i and music i exchange what they know before all videos meet all musics, so the pair on the diagonal can
be told whatever the content. Trained here the published way (symmetric cross-entropy over batches of 16, 30 positions,
Adam), on noise that has nothing in common, and on the sound corpus. Then asked, on films it hasn't seen, for the CMR
of films with their own music, and of the same films each handed another film's music: an honest measure is low there.
Last line JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.evaluation.config import published_config
from core.evaluation.evaluator import Evaluator
from core.training.evaluator_data import DESCRIPTORS, cut
from core.training.evaluator_films import HELD_OUT_SHARDS, read_corpus

BATCH = 16
Draw = Callable[[np.random.Generator], tuple[Tensor, Tensor]]


def noise(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Video [16, 30, 24] and music [16, 30, 12] that have nothing to do with each other."""
    return (
        torch.from_numpy(rng.normal(size=(BATCH, 30, 24)).astype(np.float32)),
        torch.from_numpy(rng.normal(size=(BATCH, 30, 12)).astype(np.float32)),
    )


def corpus(data: Path, least: int, most: int) -> Draw:
    """Windows of 30 s of the sound corpus, a position a second, every number with mean 0 and spread 1."""
    films = read_corpus(data, print, least, most)
    rows = [(DESCRIPTORS.see(p), DESCRIPTORS.hear(m)) for p, m in (cut(film, 0.0, 30.0) for film in films)]
    both = []
    for side in zip(*rows, strict=True):
        values = np.stack(side).reshape(len(films), 30, 2, -1).mean(axis=2)
        both.append(torch.from_numpy((values - values.mean((0, 1))) / (values.std((0, 1)) + 1e-3)))

    def draw(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        chosen = rng.choice(len(films), BATCH, replace=False)
        return both[0][chosen], both[1][chosen]

    return draw


def train(draw: Draw, steps: int) -> Evaluator:
    """The published design, trained the published way (but for a larger learning rate, 1e-3)."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    video, music = draw(rng)
    model = Evaluator(published_config(video.shape[-1], music.shape[-1], 64, 2, 4))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-3)
    own = torch.arange(BATCH)
    for _ in range(steps):
        logits, _ = model.logits_as_published(*draw(rng))
        loss = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    return model.eval()


@torch.inference_mode()
def ask(model: Evaluator, draw: Draw, batches: int = 20) -> dict[str, float]:
    """The published CMR (mean of the softmax's diagonal) and accuracy, own music and handed round by one."""
    rng = np.random.default_rng(1)
    own = torch.arange(BATCH)
    found: dict[str, list[float]] = {}
    for _ in range(batches):
        video, music = draw(rng)
        for name, heard in (("own", music), ("another", music.roll(1, 0))):
            logits, _ = model.logits_as_published(video, heard)
            found.setdefault(f"cmr_{name}", []).append(float(logits.softmax(-1).diagonal().mean()))
            found.setdefault(f"accuracy_{name}", []).append(float((logits.argmax(1) == own).float().mean()))
    return {name: round(float(np.mean(values)), 4) for name, values in found.items()}


def main() -> None:
    """Train both, ask both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=Path("build/sound"))
    parser.add_argument("--steps", type=int, default=1500)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = {"noise": ask(train(noise, args.steps), noise)}
    if any(args.corpus.glob("sound-*.npz")):
        model = train(corpus(args.corpus, HELD_OUT_SHARDS, 1000), args.steps)
        found["sound_corpus"] = ask(model, corpus(args.corpus, 0, HELD_OUT_SHARDS))
    print(json.dumps(found))


if __name__ == "__main__":
    main()

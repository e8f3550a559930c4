"""Trains the evaluation model: SPINE of `gvm train evaluator`.

What is learned (paper, eq. 3-5): InfoNCE of CMR among the films of a batch, both ways, each pair judged by itself;
the map's diagonal towards one; and, what the paper lacks, that music out of step and other films' music score lower.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import ModelError
from core.evaluation import fit, listen
from core.evaluation.config import EvaluatorConfig
from core.evaluation.evaluator import Evaluator
from core.evaluation.front import DescriptorFront, Front, PublishedFront
from core.evaluation.look import FRAME_CHANNELS, PER_POSITION
from core.memory import check_device
from core.shapes import account
from core.training.evaluator_check import check, mismatched
from core.training.evaluator_data import DESCRIPTORS, PUBLISHED, Film, View, Windows, draw
from core.training.evaluator_films import read_corpus, read_films


@dataclass(frozen=True)
class EvaluatorRecipe:
    """How an evaluator is trained. `minutes` of wall clock, or `steps` where they are given (then exactly repeatable).

    features: "descriptors" (nothing to download) or "published" (a published model's picture features and EnCodec,
    from `model`). ta_weight, shift_weight: of the map's diagonal (eq. 3) and of telling music that is out of step.
    """

    minutes: float = 25.0
    steps: int | None = None
    features: str = "descriptors"
    batch: int = 16
    learning_rate: float = 2e-3
    warmup: int = 50
    weight_decay: float = 0.1
    ema: float = 0.998
    ta_weight: float = 1.0
    shift_weight: float = 0.5
    hidden: int = 64
    layers: int = 2
    heads: int = 4
    channel_dropout: float = 0.1
    seed: int = 1

    def __post_init__(self) -> None:
        if self.features not in ("descriptors", "published"):
            raise ValueError(f"features is {self.features!r}; it must be descriptors or published")
        if self.batch < 2 or not 0 < self.minutes < math.inf or self.learning_rate <= 0:
            raise ValueError("evaluator: batch must be at least 2, minutes and learning rate above 0")


def train_evaluator(
    data: Path,
    out: Path,
    recipe: EvaluatorRecipe | None = None,
    *,
    model: Path | None = None,
    device: str = "cpu",
    start_from: Path | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Train on `data` (a sound corpus or a folder of `gvm dataset`), write the evaluator to `out`; its figures.

    model: for features "published", the model folder whose tower, feature transformation and codec are used.
    start_from: an evaluator of the same sizes to go on from. say is told a line now and then. ModelError where data
    is missing or too little, or the loss is no number.
    """
    recipe = recipe or EvaluatorRecipe()
    check_device(device)
    front = _front(recipe.features, model, device)
    view, config = _view_and_config(front, recipe)
    train, held = read_films(data, front, say)
    if len(train) < recipe.batch or len(held) < 2:
        raise ModelError(
            f"{data} has {len(train)} films to learn from and {len(held)} held out: {recipe.batch} (a batch) and 2 are "
            "the least; give more, or a smaller batch"
        )
    say(f"{len(train)} films to learn from, {len(held)} held out")
    fresh = new_evaluator(config, train, view, recipe.seed)
    if start_from is not None:
        _go_on(fresh, start_from, model)
    learned, steps = learn(fresh, train, view, recipe, device, say)
    learned = learned.to("cpu").half().float()  # as it will be read: the figures are those of the file
    figures = check(learned, held, view)
    about = {
        "licence": "CC0-1.0" if recipe.features == "descriptors" else "as the features' model",
        "source": "trained by gvm train evaluator",
        "training": dataclasses.asdict(recipe)
        | {"films": len(train), "steps_done": steps}
        | ({} if start_from is None else {"start_from": fit.FitModel.load(start_from, model=model).sha256}),
        "measured": figures,
        "mismatched": mismatched(learned, held, view),
    }
    if isinstance(front, PublishedFront):
        about["model"] = {"folder": str(front.folder.resolve()), "sha256": front.sha256}
    digest = fit.save(learned, out, about)
    say(json.dumps(figures))
    return {"sha256": digest, "steps": steps, **figures}


def check_evaluator(
    data: Path,
    folder: Path | None = None,
    *,
    model: Path | None = None,
    unseen: bool = False,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Figures of the evaluator in `folder` (None: the one that ships) on the films of `data` that are held out.

    unseen: `data` is a sound corpus that nothing has learned from: all of its films count.
    """
    found = fit.FitModel.load(folder, model=model)
    held = read_corpus(data, say) if unseen else read_films(data, found.front, say, held_out_only=True)[1]
    if len(held) < 2:
        raise ModelError(f"{data} has {len(held)} films to check with; 2 are the least")
    view = PUBLISHED if isinstance(found.front, PublishedFront) else DESCRIPTORS
    return {"sha256": found.sha256, **check(found.model, held, view)}


def new_evaluator(config: EvaluatorConfig, films: Sequence[Film], view: View, seed: int) -> Evaluator:
    """Random weights; the inputs' mean and spread as in `films`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Evaluator(config)
    windows = draw(films, view, min(64, len(films)), seed, 0, 1 / config.rate)
    for name, rows in (("video", windows.video), ("music", windows.music)):
        flat = rows.flatten(0, 1)
        getattr(model, f"{name}_mean").copy_(flat.mean(dim=0))
        getattr(model, f"{name}_scale").copy_(1.0 / flat.std(dim=0).clamp_min(1e-3))
    return model


def _go_on(fresh: Evaluator, folder: Path, model: Path | None) -> None:
    """Give `fresh` the weights of the evaluator in `folder`; ModelError where they are of other sizes."""
    known = fit.FitModel.load(folder, model=model).model.state_dict()
    account({name: tuple(value.shape) for name, value in known.items()},
            {name: tuple(value.shape) for name, value in fresh.state_dict().items()},
            f"{folder} is of other sizes")  # fmt: skip
    fresh.load_state_dict(known)


def learn(
    model: Evaluator,
    films: Sequence[Film],
    view: View,
    recipe: EvaluatorRecipe,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> tuple[Evaluator, int]:
    """The exponential moving average of `model` after training, in eval mode, and how many steps there were."""
    model = model.to(device).train()
    average = copy.deepcopy(model).eval()
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))
    torch.manual_seed(recipe.seed)  # dropout
    began, step = time.monotonic(), 0
    while (done := _done(recipe, step, time.monotonic() - began)) < 1.0:
        rate = recipe.learning_rate * min(1.0, (step + 1) / recipe.warmup) * 0.5 * (1.0 + math.cos(math.pi * done))
        for group in optimiser.param_groups:
            group["lr"] = rate
        windows = draw(films, view, recipe.batch, recipe.seed, step, 1 / model.config.rate)
        parts = losses(model, windows, device)
        loss = parts["cmr"] + recipe.ta_weight * parts["ta"] + recipe.shift_weight * parts["shift"]
        if not math.isfinite(float(loss.detach())):
            raise ModelError(f"the loss is no number at step {step}: lower the learning rate ({rate:.2g} now)")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        keep = min(recipe.ema, (step + 1) / (step + 10))
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
                slow.lerp_(fast, 1.0 - keep)
        if step % 50 == 0:
            told = {name: round(float(value.detach()), 4) for name, value in parts.items()}
            say(json.dumps({"step": step, "seconds": round(time.monotonic() - began), **told}))
        step += 1
    return average, step


def losses(model: Evaluator, windows: Windows, device: str = "cpu") -> dict[str, Tensor]:
    """The parts of the loss: cmr (eq. 4, 5), ta (eq. 3 and its logarithm), shift (who is in step, by TA); and hits.

    The music out of step stands as one more candidate beside the batch's: (i, j) for j < B, and (i, i shifted).
    """
    size = len(windows.video)
    music = torch.cat([windows.music, windows.shifted]).to(device)
    v, m = model.streams(windows.video.to(device), music)
    index = torch.arange(size, device=device)
    rows = torch.cat([index.repeat_interleave(size), index])
    columns = torch.cat([index.repeat(size), index + size])
    judged = model.judge_streams(v, m, rows, columns)
    scale = model.logit_scale.exp().clamp(max=100.0)
    cosine = judged.cmr
    logits = scale * torch.cat([cosine[:-size].view(size, size), cosine[-size:, None]], dim=1)
    cmr = (F.cross_entropy(logits, index) + F.cross_entropy(logits[:, :size].T, index)) / 2
    # Logarithms of the diagonal: where it is near nothing, eq. 3 has no slope.
    log = judged.curve.clamp_min(1e-6).log().mean(dim=-1)
    together = torch.cat([log[:-size].view(size, size), log[-size:, None]], dim=1)
    own = judged.curve[:-size].view(size, size, -1)[index, index]
    ta = (1.0 - own).abs().mean() - 0.3 * together[index, index].mean()
    shift = F.cross_entropy(4.0 * together, index)
    hits = (logits.argmax(dim=1) == index).float().mean()
    return {"cmr": cmr, "ta": ta, "shift": shift, "hits": hits.detach()}


def _done(recipe: EvaluatorRecipe, step: int, seconds: float) -> float:
    return step / recipe.steps if recipe.steps else seconds / (60.0 * recipe.minutes)


def _front(features: str, model: Path | None, device: str) -> Front:
    if features == "descriptors":
        return DescriptorFront()
    if model is None:
        raise ModelError("a published model's features need that model: give its folder or name (--model)")
    return PublishedFront(model, device)


def _view_and_config(front: Front, recipe: EvaluatorRecipe) -> tuple[View, EvaluatorConfig]:
    """How films become inputs, and the settings that fit."""
    names = ("hidden", "layers", "heads", "channel_dropout")
    sizes: dict[str, Any] = {name: getattr(recipe, name) for name in names}
    if isinstance(front, PublishedFront):
        seen, heard = front.channels
        return PUBLISHED, EvaluatorConfig("published", seen, heard, rate=1.0, positions=30, summaries=16, **sizes)
    channels = FRAME_CHANNELS * PER_POSITION, listen.POSITION_CHANNELS
    return DESCRIPTORS, EvaluatorConfig("descriptors", *channels, **sizes)

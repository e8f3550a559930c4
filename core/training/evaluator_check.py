"""How good an evaluator is on films it has not learned from: the figures that its description and card give.

Retrieval: batches of 16 films, each once, windows of 30 s; who finds its own. Mismatched in time: the music turned
round inside the window by at least 4 s, and, without a seam, music truly 4 s later or more in shorter windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from core.evaluation.config import LONGEST_SECONDS
from core.evaluation.evaluator import Evaluator
from core.training.evaluator_data import SHIFT_SECONDS, Film, View, cut, turned

FloatArray = npt.NDArray[np.float64]

_LENGTHS = (6.0, 10.0, 15.0, 20.0, 30.0)  # windows that quantiles are kept for


@torch.inference_mode()
def check(model: Evaluator, films: Sequence[Film], view: View, batch: int = 16, draws: int = 5) -> dict[str, Any]:
    """Figures on `films`, which the model must not have seen; the model in eval mode."""
    films = [film for film in films if film.seconds >= LONGEST_SECONDS] or list(films)
    batch = min(batch, len(films))
    return {
        "films": len(films),
        "retrieval": _retrieval(model, films, view, batch, draws),
        "shifted_30s": _shifted(model, films, view, LONGEST_SECONDS, turn=True),
        "shifted_30s_no_seam": _shifted(model, films, view, LONGEST_SECONDS, turn=False),
        "shifted_20s_no_seam": _shifted(model, films, view, 20.0, turn=False),
        "shifted_10s_no_seam": _shifted(model, films, view, 10.0, turn=False),
    }


@torch.inference_mode()
def mismatched(model: Evaluator, films: Sequence[Film], view: View) -> dict[str, Any]:
    """Quantiles 0..100 % of CMR and TA of pairs that don't belong together, for some lengths (`fit.Mismatched`)."""
    rng = np.random.default_rng(7)
    found: dict[str, Any] = {"seconds": [], "cmr": [], "ta": []}
    for seconds in _LENGTHS:
        able = [film for film in films if film.seconds >= seconds]
        if len(able) < 2:
            continue
        rows = [cut(film, float(rng.uniform(0, film.seconds - seconds)), seconds) for film in able]
        v, m = model.streams(_stack([view.see(p) for p, _ in rows]), _stack([view.hear(s) for _, s in rows]))
        cmr, ta = [], []
        for away in range(1, min(len(able), 17)):
            index = torch.arange(len(able))
            judged = model.judge_streams(v, m, index, (index + away) % len(able))
            cmr.append(judged.cmr.numpy())
            ta.append(judged.ta.numpy())
        found["seconds"].append(seconds)
        for name, values in (("cmr", cmr), ("ta", ta)):
            quantiles = np.quantile(np.concatenate(values), np.linspace(0, 1, 101))
            found[name].append([round(float(value), 5) for value in quantiles])
    return found


def _retrieval(model: Evaluator, films: list[Film], view: View, batch: int, draws: int) -> dict[str, Any]:
    """Share of films that find their own music among `batch`, and of music that finds its film; by CMR and by TA."""
    rng = np.random.default_rng(0)
    seconds = min(LONGEST_SECONDS, *(film.seconds for film in films))
    seconds = np.floor(seconds * model.config.rate) / model.config.rate
    rows = [cut(film, 0.0, seconds) for film in films]
    v, m = model.streams(_stack([view.see(p) for p, _ in rows]), _stack([view.hear(s) for _, s in rows]))
    found = {name: np.zeros((draws, len(films))) for name in ("video_to_music", "music_to_video", "ta_video_to_music")}
    counted = np.zeros((draws, len(films)), bool)
    for draw in range(draws):
        order = rng.permutation(len(films))
        for first in range(0, len(order) - batch + 1, batch):
            chosen = torch.as_tensor(order[first : first + batch])
            pairs = torch.cartesian_prod(chosen, chosen)
            judged = model.judge_streams(v, m, pairs[:, 0], pairs[:, 1])
            cmr, ta = judged.cmr.view(batch, batch), judged.ta.view(batch, batch)
            own = torch.arange(batch)
            found["video_to_music"][draw, chosen] = cmr.argmax(1) == own
            found["music_to_video"][draw, chosen] = cmr.argmax(0) == own
            found["ta_video_to_music"][draw, chosen] = ta.argmax(1) == own
            counted[draw, chosen] = True
    shares = {name: right[counted].mean() for name, right in found.items()}
    # A film that is hard is hard in every division: what is drawn again are films, not answers.
    seen = counted.any(axis=0)
    by_film = {name: (right.sum(axis=0) / counted.sum(axis=0).clip(1))[seen] for name, right in found.items()}
    return {"batch": batch, "seconds": float(seconds), "draws": draws} | {
        name: round(float(share), 4) for name, share in shares.items()
    } | {f"{name}_interval": _interval(by_film[name]) for name in shares}  # fmt: skip


def _interval(values: FloatArray) -> list[float]:
    """Where 95 % of the means of so many films drawn again lie."""
    means = np.random.default_rng(0).choice(values, (2000, len(values))).mean(axis=1)
    return [round(float(bound), 4) for bound in np.quantile(means, [0.025, 0.975])]


def _shifted(model: Evaluator, films: list[Film], view: View, seconds: float, turn: bool) -> dict[str, Any]:
    """AUC of matched against time-shifted pairs, by TA and by CMR. Four shifts a film."""
    rng = np.random.default_rng(1)
    own: list[tuple[npt.NDArray[np.float32], ...]] = []
    other: list[npt.NDArray[np.float32]] = []
    for film in films:
        if film.seconds < seconds + (0 if turn else SHIFT_SECONDS):
            continue
        for _ in range(4):
            last = film.seconds - seconds - (0 if turn else SHIFT_SECONDS)
            start = float(np.floor(rng.uniform(0, last)))
            picture, music = cut(film, start, seconds)
            if turn:
                away = turned(music, film.music_rate, float(rng.uniform(SHIFT_SECONDS, seconds - SHIFT_SECONDS)))
            else:
                later = float(rng.uniform(start + SHIFT_SECONDS, film.seconds - seconds))
                away = cut(film, later, seconds)[1]
            own.append((view.see(picture), view.hear(music)))
            other.append(view.hear(away))
    if not own:
        return {"pairs": 0}
    scores = {"ta": ([], []), "cmr": ([], [])}  # type: dict[str, tuple[list[float], list[float]]]
    for first in range(0, len(own), 64):
        part = slice(first, first + 64)
        video = _stack([v for v, _ in own[part]])
        for column, heard in enumerate(([m for _, m in own[part]], other[part])):
            judged = model.judge(video, _stack(heard))
            scores["ta"][column].extend(judged.ta.tolist())
            scores["cmr"][column].extend(judged.cmr.tolist())
    found: dict[str, Any] = {"pairs": len(own)}
    for name, (matched, shifted) in scores.items():
        found[f"auc_{name}"] = round(auc(np.asarray(matched), np.asarray(shifted)), 4)
        found[f"{name}_matched"] = round(float(np.mean(matched)), 4)
        found[f"{name}_shifted"] = round(float(np.mean(shifted)), 4)
    return found


def auc(higher: FloatArray, lower: FloatArray) -> float:
    """Chance that one of `higher` is above one of `lower` (Mann-Whitney), ties counting half."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([higher, lower]))[: len(higher)]
    return float((ranks.sum() - len(higher) * (len(higher) + 1) / 2) / (len(higher) * len(lower)))


def _stack(rows: list[npt.NDArray[np.float32]]) -> torch.Tensor:
    return torch.from_numpy(np.stack(rows))

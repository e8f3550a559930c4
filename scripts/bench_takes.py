"""What best of N brings: first take against the best of N, chosen in three ways; table and JSON.

    python scripts/bench_takes.py [--films DIR [DIR ...]] [--takes 8] [--out DIR] [--no-evaluator]

Of every cue of every film N takes are made and measured on their own sound: CMR and TA by the evaluator,
activity-energy correlation, accents on the cuts and error of the hit points by counting. Then a take is chosen by the
evaluator alone, by the counted figures alone, and by both (what `--pick best` does), and what was chosen is averaged
over cues. A figure that wasn't chosen by says whether choosing brings more than its own noise: look at the counted
figures in the row `evaluator` and at CMR and TA in the row `sync`. `highest` is the most that could be had of each
figure alone. Differences from the first take come with 95 % intervals (bootstrap over cues). Seconds are those of the
processor, in one thread: looking at the films, making first takes and others, gate and counted figures, evaluator.
--out keeps the takes for the next run. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gvm_plugin.choose import HALVES, SPREADS, TakeFigures, ranked, scored
from gvm_plugin.machine import compute_in_one_thread

ROOT = Path(__file__).resolve().parents[1]
FILMS = (ROOT.parent / "shared" / "media" / "clips", ROOT / "examples" / "vlogs")
WAYS: dict[str, Sequence[Sequence[str]]] = {"evaluator": HALVES[:1], "sync": HALVES[1:], "both": HALVES}
Chooser = Callable[[Sequence[TakeFigures]], TakeFigures]


@dataclass(frozen=True)
class CueTakes:
    """The takes of one cue of a film."""

    film: str
    cue: str
    seconds: float
    takes: tuple[TakeFigures, ...]


@dataclass
class Cost:
    """Seconds of processor time spent on all films."""

    looking: float = 0.0
    first: float = 0.0
    others: float = 0.0
    judging: float = 0.0
    fitting: float = 0.0
    film_seconds: float = 0.0


def measure(video: Path, count: int, out: Path, with_fit: bool, cost: Cost) -> list[CueTakes]:
    """The figures of `count` takes of every cue of a film."""
    from gvm_plugin.analysis import analyse
    from gvm_plugin.cache import Cache
    from gvm_plugin.gate import faults
    from gvm_plugin.judge import Judge
    from gvm_plugin.options import ScoreOptions
    from gvm_plugin.picking import evaluator_for, meet
    from gvm_plugin.score import open_generator
    from gvm_plugin.spotting import spot
    from gvm_plugin.takes import TakeMaker, margins

    options = ScoreOptions(takes=count)
    cache, generator = Cache(out), open_generator(options)
    clock = time.process_time()

    def lap() -> float:
        nonlocal clock
        before, clock = clock, time.process_time()
        return clock - before

    analysis = analyse(video, generator.open_encoder())
    sheet = spot(analysis, options, video.name, cache.film_sha256(video))
    judge = Judge.of_film(analysis, evaluator_for(analysis.features, lambda encoder: analysis.features))
    cost.looking += lap()
    alone = replace(sheet, settings=replace(sheet.settings, takes=1))
    TakeMaker(cache, generator, analysis.features, alone).make(lambda share: None)
    cost.first += lap()
    takes = TakeMaker(cache, generator, analysis.features, sheet).make(lambda share: None)
    cost.others += lap()
    cost.film_seconds += analysis.duration
    found = []
    for cue in sheet.sounding:
        reach, figures = margins(cue, sheet), []
        followed = any(other.span > cue.span and meet(cue, other, sheet) for other in sheet.sounding)
        for number in range(1, count + 1):
            take = takes[cue.id, number]
            wrong = faults(judge.hear(take, reach), followed, cue.span.duration)
            made = judge.figures(number, take, cue, reach, with_fit=False)
            cost.judging += lap()
            fit = judge.fit(take, cue, reach) if with_fit else {}
            cost.fitting += lap()
            made = replace(made, cmr=fit.get("cmr"), ta=fit.get("ta"), faults=tuple(fault.words for fault in wrong))
            figures.append(made)
        found.append(CueTakes(video.name, cue.id, cue.span.duration, tuple(figures)))
    return found


def first(takes: Sequence[TakeFigures]) -> TakeFigures:
    """Take 1, as it is."""
    return takes[0]


def best_by(halves: Sequence[Sequence[str]], count: int) -> Chooser:
    """The best of the first `count` takes by some of the figures."""

    def choose(takes: Sequence[TakeFigures]) -> TakeFigures:
        some = scored(takes[:count], halves)
        return (ranked(some) or list(some))[0]

    return choose


def interval(values: Sequence[float]) -> list[float]:
    """Mean and the ends of its 95 % bootstrap interval."""
    numbers = np.asarray(values, np.float64)
    draws = np.random.default_rng(0).integers(0, len(numbers), (4000, len(numbers)))
    low, high = np.quantile(numbers[draws].mean(axis=1), (0.025, 0.975))
    return [round(float(value), 4) for value in (numbers.mean(), low, high)]


def row(cues: Sequence[CueTakes], choose: Chooser) -> dict[str, dict[str, list[float]]]:
    """Per figure: the mean over cues of what was chosen, and the difference from the first take, each with interval."""
    said: dict[str, dict[str, list[float]]] = {}
    for name in SPREADS:
        pairs = [(getattr(choose(cue.takes), name), getattr(cue.takes[0], name)) for cue in cues]
        known = [(ours, base) for ours, base in pairs if ours is not None and base is not None]
        if known:
            said[name] = {
                "mean": interval([ours for ours, _ in known]),
                "gain": interval([ours - base for ours, base in known]),
            }
    return said


def spreads(cues: Sequence[CueTakes]) -> dict[str, float]:
    """Standard deviation of each figure among takes of one cue, pooled over cues (what SPREADS in choose.py holds)."""
    pooled = {}
    for name in SPREADS:
        columns = [[getattr(take, name) for take in cue.takes] for cue in cues]
        variances = [np.var(column, ddof=1) for column in columns if all(value is not None for value in column)]
        if variances:
            pooled[name] = round(float(np.sqrt(np.mean(variances))), 4)
    return pooled


def main() -> None:
    """Measure and print."""
    compute_in_one_thread()
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--films", type=Path, nargs="+", default=[path for path in FILMS if path.is_dir()])
    parser.add_argument("--takes", type=int, default=8)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--no-evaluator", action="store_true")
    given = parser.parse_args()
    videos = [path for folder in given.films for path in sorted(folder.glob("*.mp4"))]
    cost, cues = Cost(), list[CueTakes]()
    with tempfile.TemporaryDirectory() as temporary:
        out = given.out or Path(temporary)
        out.mkdir(parents=True, exist_ok=True)
        for video in videos:
            cues += measure(video, given.takes, out, not given.no_evaluator, cost)
            print(f"{video.name}: {len(cues)} cues so far", flush=True)
    counts = [count for count in (4, given.takes) if count <= given.takes]
    ways: dict[str, Chooser] = {"first": first}
    for count in dict.fromkeys(counts):
        usable = {name: halves for name, halves in WAYS.items() if name == "sync" or not given.no_evaluator}
        ways |= {f"{name}, best of {count}": best_by(halves, count) for name, halves in usable.items()}
    for name, (_, sign) in SPREADS.items():
        ways[f"highest {name}"] = lambda takes, name=name, sign=sign: max(  # type: ignore[misc]
            takes, key=lambda take: sign * (getattr(take, name) if getattr(take, name) is not None else -1e9 * sign)
        )
    rows = {name: row(cues, choose) for name, choose in ways.items()}
    for name, figures in rows.items():
        shown = [f"{key} {f['mean'][0]:.3f} ({f['gain'][0]:+.3f} {f['gain'][1]:+.3f}..{f['gain'][2]:+.3f})"
                 for key, f in figures.items()]  # fmt: skip
        print(f"{name:28} {'  '.join(shown)}")
    rejected = sum(bool(take.faults) for cue in cues for take in cue.takes)
    print(json.dumps({
        "films": len(videos), "cues": len(cues), "takes": given.takes, "rejected": rejected, "spreads": spreads(cues),
        "seconds": {key: round(value, 1) for key, value in vars(cost).items()}, "rows": rows,
    }))  # fmt: skip


if __name__ == "__main__":
    main()

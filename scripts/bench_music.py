#!/usr/bin/env python3
"""Measure the music of every style on pictures that nothing was trained on: `scripts/bench_music.py`.

    scripts/bench_music.py [--pictures 3] [--seconds 20] [--styles cinematic,lofi] [--composer] [--reference DIR]

Each picture is a fresh scene, drawn and described as a film would be; the model (or, with --composer, its teacher)
writes for it in every style; performer and synthesiser play it. Prints medians per style with a * at what leaves its
healthy range, writes a page with pictures to --out, and as the last line JSON. --reference: a folder of music to
compare with by Fréchet distance, beside the same scores played on plain sawtooths.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
from bench_music_measures import HEALTHY, Floats, Piece, measures
from bench_music_page import draw, format_value, write_page
from bench_music_styles import (
    bars_of,
    frechet,
    most_shared,
    reference_windows,
    sawtooth,
    style_accuracy,
    style_features,
    window_features,
)

from core.pipeline import KEYS, MusicRequest, StarterModel, job_of, plan, play
from core.starter.composer import Brief, compose
from core.starter.grid import Grid
from core.starter.palettes import choose_palette
from core.starter.performer import perform
from core.starter.styles import STYLES
from core.vision.descriptors import FPS, GLOBAL, HEIGHT, WIDTH, relative_to_cue
from core.vision.picture import PictureFeatures

FIRST_SEED = 1_000_000  # the training corpus has seeds from 0 up, some thousands
RATE = 48_000
_FADE = RATE // 10
_LIVELINESS = 10  # channel of the whole-frame token: how lively a moment is within its cue


@dataclass(frozen=True, eq=False)
class Picture:
    """What an unseen scene looks like to the model, its activity as an onlooker measures it, and its cuts."""

    features: PictureFeatures
    activity_times: Floats
    activity: Floats
    cuts: tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class Written:
    """A score and what it was asked for."""

    picture: int
    request: MusicRequest
    grid: Grid
    codes: npt.NDArray[np.int64]


def draw_picture(seed: int, seconds: float) -> Picture:
    """The scene of `seed`, which has at least one cut."""
    from core.starter.scenes import render_scene, sample_scene
    from core.vision.descriptors import PatchDescriptors

    for attempt in range(100):
        scene = sample_scene(np.random.default_rng([seed, attempt]), seconds)
        if scene.cuts:
            break
    frames = render_scene(scene, float(FPS), WIDTH, HEIGHT)
    encoder = PatchDescriptors()
    for index, frame in enumerate(frames):
        encoder.push(index / float(FPS), frame)
    grey = frames.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255.0
    activity = np.abs(np.diff(grey, axis=0)).mean(axis=(1, 2)).astype(np.float64)
    return Picture(encoder.finish(), np.arange(1, len(frames)) / float(FPS), activity, scene.cuts)


def ask(picture: Picture, style: str, index: int, seconds: float, take: int) -> MusicRequest:
    """What is asked of the music for `picture`; each picture is a film of its own."""
    return MusicRequest(
        picture.features, seconds, style, 0.0, 0.5, None, None, index + 1000 * take, index, picture.cuts, (), 0.0,
        round(seconds * RATE),
    )  # fmt: skip


def write_scores(
    pictures: Sequence[Picture], styles: Sequence[str], seconds: float, model: StarterModel | None
) -> list[Written]:
    """A score per style and picture, and a second take of the first picture's."""
    wanted = [(i, ask(p, style, i, seconds, 0)) for style in styles for i, p in enumerate(pictures)]
    wanted += [(0, ask(pictures[0], style, 0, seconds, 1)) for style in styles]
    grids = [plan(request) for _, request in wanted]
    if model is None:
        scores = [composed(request, grid) for (_, request), grid in zip(wanted, grids, strict=True)]
    else:
        jobs = [job_of(r, g, model.model) for (_, r), g in zip(wanted, grids, strict=True)]
        scores = model.engine.generate(jobs)
    return [Written(i, r, g, c) for (i, r), g, c in zip(wanted, grids, scores, strict=True)]


def composed(request: MusicRequest, grid: Grid) -> npt.NDArray[np.int64]:
    """What the model's teacher writes for the liveliness that the model would see."""
    lively = relative_to_cue(request.features.values)[:, GLOBAL, _LIVELINESS]
    energy = np.interp(grid.seconds[:-1], request.features.times, np.clip(0.4 + 0.33 * lively, 0.0, 1.0))
    brief = Brief(grid, energy, request.valence, np.zeros(grid.steps, bool), request.style)
    return compose(brief, np.random.default_rng(request.seed)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class StyleResult:
    """What was measured of one style: rows of measures, feature vectors with their picture, windows [W, D]."""

    style: str
    rows: list[dict[str, float]]
    vectors: list[Floats]
    pictures: list[int]
    windows: Floats
    plain_windows: Floats | None


def measure_style(job: tuple[str, list[Written], list[Picture], Path, bool]) -> StyleResult:
    """Play and measure all pieces of one style, and draw the one that follows its picture as well as most."""
    style, scores, pictures, out, with_plain = job
    rows, vectors, owners, windows, plain, pieces = [], [], [], [], [], []
    for written in scores:
        take = play(written.request, written.grid, written.codes)
        take.audio[:, -_FADE:] *= np.linspace(1.0, 0.0, _FADE, dtype=np.float32)  # as at a film's end
        request, picture = written.request, pictures[written.picture]
        palette = choose_palette(style, request.film_seed)
        performance = perform(
            written.codes, written.grid, style, KEYS.index(take.key), request.seed, request.lead_seconds, palette
        )
        piece = Piece(
            style, written.picture, take.audio, performance.notes, written.codes, written.grid,
            picture.activity_times, picture.activity, [seconds for seconds, _ in picture.cuts],
        )  # fmt: skip
        rows.append(measures(piece))
        features = style_features(take.audio)
        vectors += features
        owners += [written.picture] * len(features)
        windows.append(window_features(take.audio))
        if with_plain:
            plain.append(window_features(sawtooth(performance, take.audio.shape[1])))
        pieces.append(piece)
    speed = real_time_factor(scores[-1])
    rows = [{**row, "real_time_factor": speed} for row in rows]
    order = np.argsort([row["activity_energy_r"] for row in rows])
    draw(pieces[int(order[len(order) // 2])], out / f"{style}.png")
    return StyleResult(style, rows, vectors, owners, np.concatenate(windows), np.concatenate(plain) if plain else None)


def real_time_factor(written: Written) -> float:
    """Seconds of music per second of one core, with all tones in the bank, as after a first film."""
    begun = time.process_time()
    play(written.request, written.grid, written.codes)
    return written.request.duration / max(time.process_time() - begun, 1e-6)


def medians(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Median of each measure over pieces, those without a value left out."""
    columns = {h.name: np.array([row[h.name] for row in rows]) for h in HEALTHY}
    return {k: float(np.nanmedian(v)) if not np.isnan(v).all() else float("nan") for k, v in columns.items()}


def main() -> None:
    """Draw, write, play, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--styles", default=",".join(STYLES))
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--composer", action="store_true", help="let the model's teacher write instead of the model")
    parser.add_argument("--weights", type=Path, default=None, help="folder of the model's weights")
    parser.add_argument("--reference", type=Path, default=None, help="folder of music to compare with")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("build/music"))
    args = parser.parse_args()
    styles = [name.strip() for name in args.styles.split(",")]
    unknown = sorted(set(styles) - set(STYLES))
    if unknown or args.pictures < 1:
        parser.error(f"no style {', '.join(unknown)}" if unknown else "--pictures must be at least 1")
    args.out.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    model = None if args.composer else (StarterModel(folder=args.weights) if args.weights else StarterModel())
    pictures = [draw_picture(args.seed + i, args.seconds) for i in range(args.pictures)]
    scores = write_scores(pictures, styles, args.seconds, model)
    firsts = scores[: len(styles) * len(pictures)]
    jobs = [
        (style, [w for w in firsts if w.request.style == style], pictures, args.out, args.reference is not None)
        for style in styles
    ]
    os.environ["OMP_NUM_THREADS"] = "1"
    with get_context("spawn").Pool(args.processes) as pool:
        results = pool.map(measure_style, jobs, chunksize=1)
    report(args, results, firsts, scores, time.perf_counter() - begun)


def report(
    args: argparse.Namespace, results: Sequence[StyleResult], firsts: Sequence[Written], scores: Sequence[Written],
    seconds: float,
) -> None:  # fmt: skip
    """Print the table and the JSON line, write the page."""
    table = {result.style: medians(result.rows) for result in results}
    missed = {s: [h.name for h in HEALTHY if h.missed(s, row[h.name])] for s, row in table.items()}
    takes = {w.request.style: bars_of(w.codes, w.grid) for w in scores[len(firsts) :]}
    own = {w.request.style: bars_of(w.codes, w.grid) for w in firsts if w.picture == 0}
    summary: dict[str, object] = {
        "writer": "composer" if args.composer else "model",
        "pieces": len(firsts),
        "style_accuracy": _rounded(style_accuracy(
            [v for r in results for v in r.vectors],
            [r.style for r in results for _ in r.vectors],
            [p for r in results for p in r.pictures],
        )),
        "most_shared_bars": _rounded(most_shared([bars_of(w.codes, w.grid) for w in firsts])),
        "most_shared_bars_of_two_takes": _rounded(max(most_shared([takes[s], own[s]]) for s in takes)),
        "missed": {style: names for style, names in missed.items() if names},
    }  # fmt: skip
    if args.reference is not None:
        summary |= compare(args.reference, results)
    page = write_page(args.out, table, missed, {**summary, "seconds": round(seconds)})
    for name in (h.name for h in HEALTHY):
        cells = (f"{format_value(row[name])}{'*' if name in missed[s] else ' '}" for s, row in table.items())
        print(f"{name:22}" + "".join(f"{cell:>9}" for cell in cells))
    print(f"{'':22}" + "".join(f"{style[:8]:>9}" for style in table))
    print(f"page: {page}")
    means = {h.name: _rounded(float(np.nanmean([row[h.name] for row in table.values()]))) for h in HEALTHY}
    print(json.dumps({**summary, "mean": means, "seconds": round(seconds)}))


def compare(folder: Path, results: Sequence[StyleResult]) -> dict[str, object]:
    """Fréchet distance from the music in `folder`, of ours and of the same scores as plain sawtooths."""
    windows, rows = reference_windows(folder)
    ours = np.concatenate([r.windows for r in results])
    plain = np.concatenate([r.plain_windows for r in results if r.plain_windows is not None])
    return {
        "frechet_ours": _rounded(frechet(ours, windows)),
        "frechet_sawtooth": _rounded(frechet(plain, windows)),
        "reference": {name: _rounded(float(np.median([row[name] for row in rows]))) for name in rows[0]},
        "ours": {name: _rounded(float(np.median([r[name] for s in results for r in s.rows]))) for name in rows[0]},
    }


def _rounded(value: float) -> float:
    return round(value, 3)


if __name__ == "__main__":
    main()

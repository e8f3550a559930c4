"""What scoring films would take, before it is done: cues, minutes on this machine, disk, what is skipped and why.

Where the film was analysed before, its cues are counted; else they are estimated from its length. Minutes come from
how fast earlier films of the same output folder went, else from a usual speed scaled by how fast this machine is.
"""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import GVMError
from gvm_plugin.cache import FOLDER, read_json
from gvm_plugin.folder import Film, describe, reason_to_skip
from gvm_plugin.options import ScoreOptions
from gvm_plugin.score import bytes_needed

if TYPE_CHECKING:
    from gvm_plugin.generators import MusicGenerator

USUAL_CUE: Final = 60.0  # seconds
# Seconds of one core, as `scripts/bench_score.py` shows them, on the machine where the yardstick takes YARDSTICK.
ANALYSIS_SECONDS: Final = 0.075  # per second and megapixel of film
MUSIC_SECONDS: Final = 0.05  # per second of film and take: writing and playing the notes
FINISH_SECONDS: Final = 0.04  # per second of film: mix, measuring, encoding the sound
YARDSTICK: Final = 0.0115  # seconds


@dataclass(frozen=True)
class Forecast:
    """What one film would take. skip: why nothing would be done, or empty. exact: the cues are counted."""

    film: Film
    skip: str = ""
    cues: int = 0
    exact: bool = False
    minutes: float = 0.0
    disk_bytes: int = 0


def forecast(films: Sequence[Film], out: Path, options: ScoreOptions, generator: MusicGenerator) -> list[Forecast]:
    """A Forecast for each film; nothing is decoded, nothing written."""
    pace = _pace(out)
    return [_forecast(film, out, options, generator, pace) for film in films]


def free_bytes(out: Path) -> int:
    """Free space where `out` is, or would be."""
    place = next(parent for parent in (out.absolute(), *out.absolute().parents) if parent.exists())
    return shutil.disk_usage(place).free


def _forecast(film: Film, out: Path, options: ScoreOptions, generator: MusicGenerator, pace: float | None) -> Forecast:
    from gvm_plugin.probe import probe

    skipped = reason_to_skip(film, out, options, generator.weights_sha256)
    if skipped is not None:
        return Forecast(film, skip=skipped[0])
    try:
        info = probe(film.video)
        size = film.video.stat().st_size
    except (GVMError, OSError) as err:
        return Forecast(film, skip="; ".join(part for part in describe(err) if part))
    seconds = info.picture_duration
    if pace is not None:
        work = seconds * pace
    else:
        megapixels = info.width * info.height / 1e6
        work = seconds * (ANALYSIS_SECONDS * megapixels + MUSIC_SECONDS * options.takes + FINISH_SECONDS) * _slowness()
    counted = _count_cues(film, out)
    return Forecast(
        film,
        cues=counted or max(1, round(seconds / USUAL_CUE)),
        exact=counted is not None,
        minutes=work / 60,
        disk_bytes=bytes_needed(seconds, size, options.takes, options.stems),
    )


def _count_cues(film: Film, out: Path) -> int | None:
    """Cues of the last time, if the film was scored before."""
    from gvm_plugin.folder import record_path

    record = read_json(record_path(out, film))
    try:
        return len(json.loads(record["report"])["cues"])
    except (TypeError, KeyError, ValueError):
        return None


def _pace(out: Path) -> float | None:
    """Seconds of work per second of film, as the films finished before took it; None if there are none."""
    paces = []
    for path in (out / FOLDER / "films").glob("*.json"):
        record = read_json(path)
        try:
            report = json.loads(record["report"])
            paces.append(sum(report["timings"].values()) / report["duration"])
        except (TypeError, KeyError, ValueError, ZeroDivisionError):
            continue
    return statistics.median(paces) if paces else None


@cache
def _slowness() -> float:
    """How many times slower than usual this machine is: a little arithmetic, timed."""
    import numpy as np

    matrix = np.random.default_rng(0).standard_normal((400, 400)).astype(np.float32)
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        for _ in range(10):
            matrix @ matrix
        np.sort(matrix.ravel())
        best = min(best, time.perf_counter() - started)
    return best / YARDSTICK

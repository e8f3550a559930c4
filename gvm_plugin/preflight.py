"""What scoring films would take, before it is done: cues, minutes on this machine, disk, what is skipped and why.

Where the film was analysed before, its cues are counted; else they are estimated from its length. Minutes come from
how fast earlier films of the same output folder went, else from a usual speed scaled by how fast this machine is.
"""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import GVMError
from gvm_plugin.cache import FOLDER, read_json
from gvm_plugin.folder import Film, describe, reason_to_skip, weights_key
from gvm_plugin.models import find_model
from gvm_plugin.options import ScoreOptions
from gvm_plugin.score import bytes_needed

if TYPE_CHECKING:
    from gvm_plugin.generators import MusicGenerator

USUAL_CUE: Final = 60.0  # seconds
# Seconds of one core, as `scripts/bench_score.py` shows them, on the machine where the yardstick takes YARDSTICK.
ANALYSIS_SECONDS: Final = 0.075  # per second and megapixel of film
MUSIC_SECONDS: Final = 0.05  # per second of film and take: writing and playing the notes
GATE_SECONDS: Final = 0.003  # per second of film and take: is it fit to be heard
RANK_SECONDS: Final = 0.003  # the same for its figures and the evaluator
FINISH_SECONDS: Final = 0.04  # per second of film: mix, measuring, encoding the sound
YARDSTICK: Final = 0.0115  # seconds
_REACHED: Final = 0.6  # share of a processor's speed that a large model gets out of it


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
    pace = _pace(out, generator.name, options.takes)
    return [_forecast(film, out, options, generator, pace) for film in films]


def free_bytes(out: Path) -> int:
    """Free space where `out` is, or would be."""
    place = next(parent for parent in (out.absolute(), *out.absolute().parents) if parent.exists())
    return shutil.disk_usage(place).free


def _forecast(film: Film, out: Path, options: ScoreOptions, generator: MusicGenerator, pace: float | None) -> Forecast:
    from gvm_plugin.probe import probe

    weights = weights_key(find_model(options.model) if generator.slow else generator)
    skipped = reason_to_skip(film, out, options, weights)
    if skipped is not None:
        return Forecast(film, skip=skipped[0])
    try:
        info = probe(film.video)
        size = film.video.stat().st_size
    except (GVMError, OSError) as err:
        return Forecast(film, skip="; ".join(part for part in describe(err) if part))
    seconds = info.picture_duration
    counted = _count_cues(film, out)
    cues = counted or max(1, round(seconds / USUAL_CUE))
    if pace is not None:
        work = seconds * pace
    else:
        megapixels = info.width * info.height / 1e6
        work = seconds * (ANALYSIS_SECONDS * megapixels + _take_seconds(options) + FINISH_SECONDS) * _slowness()
        work += _slow_work(generator, seconds, options.takes, cues)
    return Forecast(
        film,
        cues=cues,
        exact=counted is not None,
        minutes=work / 60,
        disk_bytes=bytes_needed(seconds, size, options.takes, options.stems),
    )


def _take_seconds(options: ScoreOptions) -> float:
    """Per second of film: all takes, heard and, where there is a choice, ranked."""
    heard = 0.0 if options.no_gate else GATE_SECONDS
    ranking = RANK_SECONDS if options.pick == "best" and options.takes > 1 else 0.0
    return (MUSIC_SECONDS + heard + ranking) * options.takes


def _count_cues(film: Film, out: Path) -> int | None:
    """Cues of the last time, if the film was scored before."""
    from gvm_plugin.folder import record_path

    record = read_json(record_path(out, film))
    try:
        return len(json.loads(record["report"])["cues"])
    except (TypeError, KeyError, ValueError):
        return None


def _slow_work(generator: MusicGenerator, seconds: float, takes: int, cues: int) -> float:
    """Seconds that a model which writes sound outright takes beside the rest; 0 for others."""
    from gvm_plugin.generators import WaveformGenerator

    if not isinstance(generator, WaveformGenerator):
        return 0.0
    return generator.seconds_of_work(seconds, takes, cues, _speed())


@cache
def _speed() -> tuple[float, float]:
    """(operations, bytes) that this machine does in a second in a large model: one core timed, for all of them."""
    import numpy as np

    from gvm_plugin.machine import cores

    matrix = np.random.default_rng(0).standard_normal((1000, 1000)).astype(np.float32)
    best = _fastest(lambda: matrix @ matrix)
    large = np.ones(16_000_000, np.float32)
    reading = _fastest(lambda: large.dot(large))
    return 2 * 1000**3 / best * cores() * _REACHED, large.nbytes / reading * min(cores(), 2) * _REACHED


def _fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of a few times."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def _pace(out: Path, model: str, takes: int) -> float | None:
    """Seconds of work per second of film, as the films took it that `model` scored before; None if there are none.

    takes: of each cue, now; the films before may have had more or fewer.
    """
    paces = []
    for path in (out / FOLDER / "films").glob("*.json"):
        record = read_json(path)
        try:
            report = json.loads(record["report"])
            if report["model"] != model:
                continue
            per_take = sum(report["timings"].get(stage, 0.0) for stage in ("generate", "choose"))
            counts = [len(choice["takes"]) for choice in report["choices"]] or [1]
            more = per_take * (takes / max(statistics.fmean(counts), 1.0) - 1.0)
            paces.append((sum(report["timings"].values()) + more) / report["duration"])
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

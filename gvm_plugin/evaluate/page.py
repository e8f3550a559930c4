"""A comparison or a fit as a page with players: one HTML file that asks nothing of the network.

Films and music aren't copied: the page points to them relative to itself, so keep them where they are, or move page
and folders together.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.errors import DeliveryError
from gvm_plugin import __version__
from gvm_plugin.evaluate.metrics import FITTING, RANK
from gvm_plugin.evaluate.tables import fit_rows, tables_of
from gvm_plugin.measure import Measures
from gvm_plugin.report import VideoReport, curve
from gvm_plugin.report_view import Lanes, clean, film_frames, film_lanes, href, timecode
from gvm_plugin.timeline import Span

if TYPE_CHECKING:
    from gvm_plugin.analysis import Analysis
    from gvm_plugin.evaluate.compare import Comparison, System
    from gvm_plugin.evaluate.fit import FilmFit

Floats = npt.NDArray[np.floating]

_HIGHEST: Final = 94.0  # of 100, of a curve's peak
_LEAST_TOP: Final = 0.5
_MOST_POINTS: Final = 1200  # of a curve as drawn
_MOST_WINDOWS: Final = 40  # whose edges are drawn
_HUES: Final = (28, 235, 150, 320, 95, 265, 190, 60)  # OKLCH, of systems in order; the reference is grey


def write_fit_page(result: FilmFit, path: Path) -> None:
    """Write the page of one fit to `path`, complete or not at all."""
    analysis, name = result.analysis, result.video.name
    report = _report(analysis, name, result.measures, result.speech)
    frames = film_frames(report)
    lanes = Lanes(analysis.duration)
    top = _top([result.fit.curve])
    header, *rows = fit_rows(result)
    _write(
        path,
        "fit_page.html.j2",
        {
            "title": clean(name),
            "music": clean(result.music.name) if result.music is not None else "",
            "sentence": result.sentence,
            "seconds": analysis.duration,
            "lanes": film_lanes(report, frames),
            "curve": _path(result.fit.curve_times, result.fit.curve, lanes, top),
            "windows": [
                {
                    **lanes.box(Span(w.start, w.end)),
                    "title": f"{timecode(w.start)}–{timecode(w.end)}: CMR {w.cmr:.2f}, TA {w.ta:.2f}",
                }
                for w in (result.fit.windows if len(result.fit.windows) <= _MOST_WINDOWS else ())
            ],
            "weakest": None if result.weakest is None else lanes.box(result.weakest),
            "beyond": None
            if result.seconds > analysis.duration - 0.5
            else lanes.box(Span(result.seconds, analysis.duration)),
            "video": _link(result.video, path),
            "audio": "" if result.music is None else _link(result.music, path),
            "poster": frames[len(frames) // 2]["image"] if frames else "",
            "header": header,
            "rows": [tuple(clean(cell) for cell in row) for row in rows],
            "notes": [clean(note) for note in result.notes],
            "evaluator": result.evaluator_sha256[:12],
        },
    )


def write_comparison_page(comparison: Comparison, path: Path, title: str, command: str = "") -> None:
    """Write the page of a comparison to `path`, complete or not at all. title: as a rule the films' folder."""
    systems = [_system_row(comparison, number) for number in range(len(comparison.systems))]
    _write(
        path,
        "compare_page.html.j2",
        {
            "title": clean(title),
            "systems": systems,
            "headings": [*(m.title for m in FITTING), "rank"],
            "tables": [
                {
                    "title": clean(table.title),
                    "about": clean(table.about),
                    "header": [clean(cell) for cell in table.header],
                    "rows": [
                        [
                            _cell(cell, column < len(table.best) and table.best[column] == number)
                            if column
                            else {"value": clean(cell)}
                            for column, cell in enumerate(row)
                        ]
                        for number, row in enumerate(table.rows)
                    ],
                }
                for table in tables_of(comparison)
            ],
            "films": [
                _film(comparison, film, analysis, number, path)
                for number, (film, analysis) in enumerate(comparison.films.items(), 1)
            ],
            "notes": [clean(note) for note in comparison.notes],
            "columns": [{"title": m.title, "about": m.about} for m in (*comparison.metrics, RANK)],
            "command": clean(command),
            "evaluator": comparison.evaluator_sha256[:12],
        },
    )


def _system_row(comparison: Comparison, number: int) -> dict[str, Any]:
    each = comparison.systems[number]
    others = [system.name for system in comparison.systems if system.name != comparison.reference]
    real = each.name == comparison.reference
    hue = None if real else _HUES[others.index(each.name) % len(_HUES)]
    return {"name": clean(each.name), "hue": hue, "count": len(each.pieces)}


def _film(comparison: Comparison, film: Path, analysis: Analysis, number: int, page: Path) -> dict[str, Any]:
    report = _report(analysis, film.name)
    frames = film_frames(report)
    there = [each.pieces[film].fit.curve for each in comparison.systems if film in each.pieces]
    tracks = []
    for place, each in enumerate(comparison.systems):
        tracks.append({**_system_row(comparison, place), **_track(each, film, analysis, _top(there), page)})
    return {
        "id": f"film-{number}",
        "name": clean(film.name),
        "seconds": analysis.duration,
        "length": timecode(analysis.duration, 1),
        "video": _link(film, page),
        "poster": frames[len(frames) // 2]["image"] if frames else "",
        "lanes": film_lanes(report, frames),
        "tracks": tracks,
    }


def _track(each: System, film: Path, analysis: Analysis, top: float, page: Path) -> dict[str, Any]:
    """One system's row under a film: its sound, curve and figures."""
    piece = each.pieces.get(film)
    if piece is None:
        return {"audio": "", "why": clean(each.refused.get(film, "no music for this film")), "figures": [], "curve": ""}
    rank = None if each.retrieval is None else each.retrieval.ranks.get(film)
    figures = [m.write(piece.values.get(m.key)) for m in FITTING]
    figures.append("–" if rank is None or each.retrieval is None else f"{rank:g} of {each.retrieval.pool}")
    return {
        "audio": _link(piece.path, page),
        "why": "",
        "file": clean(piece.path.name),
        "figures": figures,
        "curve": _path(piece.fit.curve_times, piece.fit.curve, Lanes(analysis.duration), top),
        "note": clean(piece.note),
    }


def _report(
    analysis: Analysis, name: str, measures: Measures | None = None, speech: Sequence[Span] = ()
) -> VideoReport:
    """What the strips of a film are drawn from."""
    return VideoReport(
        name,
        duration=analysis.duration,
        thumbnails=analysis.thumbnails,
        shots=analysis.shots,
        speech=tuple(speech),
        activity=curve(analysis.activity_times, analysis.activity.astype(float)),
        measures=measures,
    )


def _top(curves: Sequence[Floats]) -> float:
    """What the top of several TA curves stands for: their highest, but no less than half, so that poor looks poor."""
    return max([_LEAST_TOP, *(float(np.max(values)) for values in curves if len(values))])


def _cell(text: str, best: bool) -> dict[str, Any]:
    """A cell as lines: value, [interval], p."""
    value, bracket, rest = clean(text).partition(" [")
    interval, _, p = rest.partition(", p ")
    return {"value": value, "interval": f"[{interval}" if bracket else "", "p": f"p {p}" if p else "", "best": best}


def _path(times: Floats, values: Floats, lanes: Lanes, top: float) -> str:
    """SVG path of the surface under a curve, nought at 100 and `top` near 0."""
    if not len(values):
        return ""
    times, values = np.asarray(times, np.float64), np.asarray(values, np.float64)
    if len(values) > _MOST_POINTS:
        parts = [np.array_split(each, _MOST_POINTS) for each in (times, values)]
        times, values = (np.array([part.mean() for part in each]) for each in parts)
    x = np.clip(times / lanes.seconds, 0.0, 1.0) * 1000
    y = 100 - np.clip(values / top, 0.0, 1.0) * _HIGHEST
    line = "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
    return f"M{x[0]:.1f} 100L{line}L{x[-1]:.1f} 100Z"


def _link(target: Path, page: Path) -> str:
    """URL of a file relative to the page; of one on another drive, its whole address."""
    try:
        return href(os.path.relpath(target.absolute(), page.absolute().parent).replace(os.sep, "/"))
    except ValueError:
        return target.absolute().as_uri()


def _write(path: Path, template: str, data: Mapping[str, Any]) -> None:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("gvm_plugin", "evaluate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template(template).render(data, version=__version__)
    write_text(path, html)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, complete or not at all. DeliveryError where it can't be."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(text.encode("utf-8", "replace"))
        os.replace(partial, path)
    except OSError as err:
        raise DeliveryError(f"{path}: can't be written ({err.strerror}); check folder and disk space") from err
    finally:
        partial.unlink(missing_ok=True)

"""A comparison or a fit as text: rows for a terminal, Markdown, CSV, JSON. Pure; writes no files."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gvm_plugin.evaluate.fit import hit_error_ms
from gvm_plugin.evaluate.metrics import FIRST, MUSICAL, RANK, Metric
from gvm_plugin.report_view import timecode

if TYPE_CHECKING:
    from gvm_plugin.evaluate.compare import Comparison, System
    from gvm_plugin.evaluate.fit import FilmFit
    from gvm_plugin.evaluate.statistics import Difference, Estimate
    from gvm_plugin.timeline import Span

Row = tuple[str, ...]

MOST_WINDOWS: Final = 10  # of a fit's table; of a long film the weakest are shown


@dataclass(frozen=True)
class Table:
    """A table with its title and a sentence on how to read it. best: for each column the row that stands out, or -1."""

    title: str
    about: str
    header: Row
    rows: tuple[Row, ...]
    best: tuple[int, ...] = ()


# --- one fit -----------------------------------------------------------------------------------------------------


def fit_rows(result: FilmFit) -> list[Row]:
    """(figure, value, remark) of one fit, the headings first."""
    fit, m = result.fit, result.measures
    rows: list[Row] = [
        ("figure", "value", ""),
        ("CMR, character", f"{fit.cmr:.3f}", _higher_than(fit.cmr_percentile)),
        ("TA, moment by moment", f"{fit.ta:.3f}", _higher_than(fit.ta_percentile)),
    ]
    if m.activity_energy_r is not None:
        rows.append(("activity-energy r", f"{m.activity_energy_r:+.2f}", "of motion and music; 0 is chance"))
    if m.cut_accent_lift is not None:
        rows.append(("accents on cuts", f"x {m.cut_accent_lift:.2f}", "1 is chance"))
    error = hit_error_ms(m.hits)
    if error is not None:
        heard = sum(hit.error_ms is not None for hit in m.hits)
        rows.append(("hit error", f"{error:.0f} ms", f"{heard} of {len(m.hits)} heard; {result.hits_from}"))
    windows = fit.windows if len(fit.windows) > 1 else ()
    if len(windows) > MOST_WINDOWS:
        rows.append((f"the weakest of {len(windows)} windows:", "", ""))
        windows = tuple(sorted(sorted(windows, key=lambda window: window.cmr)[:MOST_WINDOWS], key=lambda w: w.start))
    for window in windows:
        place = f"{timecode(window.start)}-{timecode(window.end)}"
        rows.append((place, f"CMR {window.cmr:.3f}", f"TA {window.ta:.3f}"))
    return rows


def fit_to_json(result: FilmFit) -> str:
    """All figures of one fit as JSON text; no value that isn't a number."""
    fit, m = result.fit, result.measures
    return _json(
        {
            "video": str(result.video),
            "music": None if result.music is None else str(result.music),
            "seconds_compared": result.seconds,
            "sentence": result.sentence,
            "cmr": fit.cmr,
            "ta": fit.ta,
            "cmr_percentile": fit.cmr_percentile,
            "ta_percentile": fit.ta_percentile,
            "windows": [{"start": w.start, "end": w.end, "cmr": w.cmr, "ta": w.ta} for w in fit.windows],
            "curve": {"times": [float(t) for t in fit.curve_times], "ta": [float(v) for v in fit.curve]},
            "weakest": _pair(result.weakest),
            "activity_energy_r": m.activity_energy_r,
            "cut_accent_lift": m.cut_accent_lift,
            "hits_from": result.hits_from,
            "hit_error_ms": hit_error_ms(m.hits),
            "hits": [{"seconds": h.seconds, "strength": h.strength, "error_ms": h.error_ms} for h in m.hits],
            "speech": [_pair(span) for span in result.speech],
            "notes": list(result.notes),
            "evaluator_sha256": result.evaluator_sha256,
        }
    )


# --- a comparison ------------------------------------------------------------------------------------------------


def tables_of(comparison: Comparison) -> list[Table]:
    """The tables: fit (as the paper's Tables 3 and 4), own music found, the music itself, differences."""
    systems = comparison.systems
    there = [m for m in comparison.metrics if any(each.summary.get(m.key) is not None for each in systems)]
    like = [metric for metric in there if metric not in MUSICAL]
    musical = [metric for metric in there if metric in MUSICAL]
    tables = [
        Table(
            "Does the music fit the films?",
            "Mean over the films with its 95 % interval (bootstrap over films).",
            ("system", "films", *(metric.heading for metric in like)),
            tuple(
                (each.name, str(len(each.pieces)), *(m.write_estimate(each.summary.get(m.key)) for m in like))
                for each in systems
            ),
            (-1, -1, *(_best(comparison, metric) for metric in like)),
        ),
        _retrieval_table(comparison),
        Table(
            "The music itself",
            "No direction is better; what stands out from the others deserves a listen.",
            ("system", *(metric.title for metric in musical)),
            tuple((each.name, *(m.write_estimate(each.summary.get(m.key)) for m in musical)) for each in systems),
        ),
    ]
    others = [each for each in systems if each.differences]
    if others:
        tables.append(_difference_table(comparison, others))
    return [table for table in tables if table.rows]


def _retrieval_table(comparison: Comparison) -> Table:
    rows = []
    for each in comparison.systems:
        found = each.retrieval
        row = ("–", "–", "–")
        if found is not None:
            by_chance = f"{1 / found.pool:.2f}, {found.chance_rank:.1f}"
            row = (FIRST.write_estimate(found.first), RANK.write_estimate(found.rank), by_chance)
        rate = "–" if each.duplicate_rate is None else f"{100 * each.duplicate_rate:.0f} %"
        rows.append((each.name, *row, rate))
    return Table(
        "Does a film find its own music among all of the system's?",
        "By CMR over the opening 30 s; the interval of rank-1 is Wilson's. Near duplicates: share of pieces that are "
        "nearly the same music as another film's.",
        ("system", FIRST.heading, RANK.heading, "by chance", "near duplicates"),
        tuple(rows),
    )


def _difference_table(comparison: Comparison, others: Sequence[System]) -> Table:
    metrics = [metric for metric in comparison.metrics if metric not in MUSICAL]
    metrics = [m for m in (*metrics, RANK) if any(each.differences.get(m.key) is not None for each in others)]
    return Table(
        f"Differences from {comparison.baseline}",
        f"System minus {comparison.baseline}, film by film: mean, 95 % interval, and p of a permutation test of the "
        "signs (not corrected for the number of figures).",
        ("system", *(metric.heading for metric in metrics)),
        tuple((each.name, *(_difference(m, each.differences.get(m.key)) for m in metrics)) for each in others),
    )


def _difference(metric: Metric, difference: Difference | None) -> str:
    if difference is None:
        return "–"
    text = metric.write_estimate(difference.estimate, signed=True)
    if difference.p is None:
        return text
    return f"{text}, p < 0.001" if difference.p < 0.001 else f"{text}, p = {difference.p:.3f}"


def _best(comparison: Comparison, metric: Metric) -> int:
    """Row of the best system, the reference aside; -1 where there is nothing to choose."""
    values = [
        (estimate.value, row)
        for row, each in enumerate(comparison.systems)
        if (estimate := each.summary.get(metric.key)) is not None and each.name != comparison.reference
    ]
    if len(values) < 2 or not metric.better:
        return -1
    return max(values)[1] if metric.better == "higher" else min(values)[1]


def to_markdown(comparison: Comparison, command: str = "") -> str:
    """The comparison as Markdown: tables, notes, what the columns mean, the command that made it."""
    parts = ["# Comparison\n"]
    if command:
        parts.append(f"```sh\n{command}\n```\n")
    for table in tables_of(comparison):
        parts.append(f"## {_escaped(table.title)}\n\n{_escaped(table.about)}\n\n{markdown_table(table)}")
    if comparison.notes:
        parts.append("## Notes\n\n" + "\n".join(f"- {_escaped(note)}" for note in comparison.notes) + "\n")
    columns = "\n".join(f"- **{metric.title}**: {metric.about}" for metric in comparison.metrics)
    parts.append(f"## Columns\n\n{columns}\n")
    parts.append("## Files\n\n" + markdown_table(files_table(comparison)))
    parts.append(f"Evaluator {comparison.evaluator_sha256[:12]}.\n")
    return "\n".join(parts)


def markdown_table(table: Table) -> str:
    """One table as Markdown, the best of each column in bold."""
    lines = [
        _markdown_row([_escaped(cell) for cell in table.header]),
        "|" + "|".join("---" for _ in table.header) + "|",
    ]
    for number, row in enumerate(table.rows):
        cells = [_escaped(cell) for cell in row]
        bold = [column < len(table.best) and table.best[column] == number for column in range(len(row))]
        lines.append(_markdown_row([_bold(cell) if strong else cell for cell, strong in zip(cells, bold, strict=True)]))
    return "\n".join(lines) + "\n"


def files_table(comparison: Comparison) -> Table:
    """What matched what: a row per film, a column per system."""
    rows = []
    for film in comparison.asked:
        cells = []
        for each in comparison.systems:
            path = each.matches.files.get(film)
            cells.append("missing" if path is None else path.name + (" (refused)" if film in each.refused else ""))
        rows.append((film.name, *cells))
    header = ("film", *(each.name for each in comparison.systems))
    return Table("Files", "Which file was taken for which film.", header, tuple(rows))


def match_lines(comparison: Comparison) -> list[str]:
    """A line per system on what matched, for a terminal."""
    lines = []
    for each in comparison.systems:
        found = each.matches
        line = f"{each.name}: {len(found.files)} of {len(comparison.asked)} films matched in {found.folder}"
        if found.also:
            film, others = next(iter(found.also.items()))
            line += f"; {found.files[film].name} was taken before {others[0].name}"
        if found.unused:
            line += f"; {len(found.unused)} files belong to no film ({found.unused[0].name})"
        lines.append(line)
    return lines


def systems_csv(comparison: Comparison) -> str:
    """One row per system and figure: value, interval, number of films, difference from the baseline."""
    rows: list[list[Any]] = [
        ["system", "figure", "value", "low", "high", "films", "baseline", "difference", "difference_low",
         "difference_high", "p"]
    ]  # fmt: skip
    for each in comparison.systems:
        estimates: dict[str, Estimate | None] = dict(each.summary)
        if each.retrieval is not None:
            estimates |= {"rank_1": each.retrieval.first, "rank": each.retrieval.rank}
        for key, estimate in estimates.items():
            row = [each.name, key, *_cells(estimate), "" if estimate is None else estimate.n]
            difference = each.differences.get(key)
            if difference is not None:
                row += [comparison.baseline or "", *_cells(difference.estimate), _number(difference.p)]
            rows.append(row + [""] * (len(rows[0]) - len(row)))
        if each.duplicate_rate is not None:
            row = [each.name, "near_duplicate_rate", _number(each.duplicate_rate), "", "", len(each.pieces)]
            rows.append(row + [""] * (len(rows[0]) - len(row)))
    return _csv(rows)


def films_csv(comparison: Comparison) -> str:
    """One row per film and system with every figure, for statistics of one's own."""
    keys = [metric.key for metric in comparison.metrics if not metric.embedder]
    rows: list[list[Any]] = [["film", "system", "file", "seconds", *keys, "rank", "remark"]]
    for film in comparison.asked:
        for each in comparison.systems:
            piece = each.pieces.get(film)
            if piece is None:
                why = each.refused.get(film, "no file")
                rows.append([film.name, each.name, *[""] * (len(rows[0]) - 3), why])
                continue
            rank = None if each.retrieval is None else each.retrieval.ranks.get(film)
            values = [_number(value) for value in (piece.seconds, *(piece.values.get(key) for key in keys), rank)]
            rows.append([film.name, each.name, piece.path.name, *values, piece.note])
    return _csv(rows)


def comparison_to_json(comparison: Comparison) -> str:
    """Everything but curves and thumbnails as JSON text."""
    systems = []
    for each in comparison.systems:
        found = each.retrieval
        systems.append(
            {
                "name": each.name,
                "folder": str(each.matches.folder),
                "figures": {key: _estimate_json(value) for key, value in each.summary.items()},
                "retrieval": None
                if found is None
                else {
                    "rank_1": _estimate_json(found.first),
                    "mean_rank": _estimate_json(found.rank),
                    "pool": found.pool,
                    "ranks": {film.name: rank for film, rank in found.ranks.items()},
                },
                "near_duplicate_rate": each.duplicate_rate,
                "near_duplicates": [[a.name, b.name, likeness] for a, b, likeness in each.duplicates],
                "differences": {
                    key: None if value is None else {**(_estimate_json(value.estimate) or {}), "p": value.p}
                    for key, value in each.differences.items()
                },
                "films": {
                    film.name: {"file": str(piece.path), "seconds": piece.seconds, **piece.values, "note": piece.note}
                    for film, piece in each.pieces.items()
                },
                "refused": {film.name: reason for film, reason in each.refused.items()},
                "missing": [film.name for film in each.matches.missing],
            }
        )
    return _json(
        {
            "reference": comparison.reference,
            "baseline": comparison.baseline,
            "systems": systems,
            "notes": list(comparison.notes),
            "evaluator_sha256": comparison.evaluator_sha256,
        }
    )


# --- cells -------------------------------------------------------------------------------------------------------


def _higher_than(percentile: float) -> str:
    return f"higher than {min(int(percentile), 99)} % of mismatched pairs" if math.isfinite(percentile) else ""


def _pair(span: Span | None) -> list[float] | None:
    return None if span is None else [span.start, span.end]


def _estimate_json(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n}


def _cells(estimate: Estimate | None) -> list[str]:
    return ["", "", ""] if estimate is None else [_number(v) for v in (estimate.value, estimate.low, estimate.high)]


def _number(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.6g}"


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _json(value: Any) -> str:
    return json.dumps(_plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """`value` with floats rounded to what they are worth, and none that is no number."""
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _bold(cell: str) -> str:
    value, bracket, interval = cell.partition(" [")
    return f"**{value}**{bracket}{interval}"


def _escaped(text: str) -> str:
    """`text` with what Markdown would take for its own made plain, on one line."""
    return re.sub(r"[\\|`*]|<(?=[\w/!?])|(?<!\w)_|_(?!\w)", r"\\\g<0>", " ".join(text.split()))

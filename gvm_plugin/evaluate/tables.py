"""A fit as text: rows for a terminal, JSON."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from gvm_plugin.evaluate.fit import hit_error_ms
from gvm_plugin.report_view import timecode

if TYPE_CHECKING:
    from gvm_plugin.evaluate.fit import FilmFit
    from gvm_plugin.timeline import Span


def fit_rows(result: FilmFit) -> list[tuple[str, str, str]]:
    """(figure, value, remark) of one fit, the headings first."""
    fit, m = result.fit, result.measures
    rows = [
        ("figure", "value", ""),
        ("CMR, character", f"{fit.cmr:.3f}", _higher_than(fit.cmr_percentile)),
        ("TA, moment by moment", f"{fit.ta:.3f}", _higher_than(fit.ta_percentile)),
    ]
    if m.activity_energy_r is not None:
        rows.append(
            ("activity-energy r", f"{m.activity_energy_r:+.2f}", "correlation of motion and music; 0 is chance")
        )
    if m.cut_accent_lift is not None:
        rows.append(("accents on cuts", f"x {m.cut_accent_lift:.2f}", "1 is chance"))
    error = hit_error_ms(m.hits)
    if error is not None:
        heard = sum(hit.error_ms is not None for hit in m.hits)
        rows.append(("hit error", f"{error:.0f} ms", f"{heard} of {len(m.hits)} heard; {result.hits_from}"))
    for window in fit.windows if len(fit.windows) > 1 else ():
        place = f"{timecode(window.start)}-{timecode(window.end)}"
        rows.append((place, f"{window.cmr:.3f}", f"TA {window.ta:.3f}"))
    return rows


def fit_to_json(result: FilmFit) -> str:
    """All figures of one fit as JSON text; no value that isn't a number."""
    fit, m = result.fit, result.measures
    data: dict[str, Any] = {
        "video": str(result.video),
        "music": None if result.music is None else str(result.music),
        "seconds_compared": round(result.seconds, 3),
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
    return json.dumps(_plain(data), indent=1, ensure_ascii=False, allow_nan=False)


def _higher_than(percentile: float) -> str:
    return f"higher than {percentile:.0f} % of mismatched pairs" if math.isfinite(percentile) else ""


def _pair(span: Span | None) -> list[float] | None:
    return None if span is None else [round(span.start, 3), round(span.end, 3)]


def _plain(value: Any) -> Any:
    """`value` with floats rounded to what they are worth."""
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value

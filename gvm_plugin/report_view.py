"""What the report's template draws: words, percentages and SVG paths of each film. Pure; knows no files.

Positions are percentages of the film's length. Curves are drawn in a box of 1000 x 100 that the page stretches.
"""

from __future__ import annotations

import base64
import math
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from gvm_plugin.measure import SMOOTH_SECONDS, Curve, HitError, Measures
from gvm_plugin.timeline import Span

if TYPE_CHECKING:
    from gvm_plugin.choose import Choice
    from gvm_plugin.cuesheet import Cue
    from gvm_plugin.report import OutputFile, VideoReport

MOST_FRAMES: Final = 24  # thumbnails on a film's strip
MOST_LONG_CUTS: Final = 60  # more would cover the strip: they are marked at its foot only
MOST_FRAME_BYTES: Final = 150_000
HIT_GOOD_MS: Final = 40.0  # off the picture; sound 45 ms early is where it begins to be noticed (ITU-R BT.1359)
HIT_FAIR_MS: Final = 80.0
LUFS_TOLERANCE: Final = 0.2
MOST_SILENCE_SECONDS: Final = 1.5
LEAST_BANDWIDTH_HZ: Final = 12_000.0
LEAST_DUCKING_DB: Final = 9.0
MOST_CORRELATION: Final = 0.98

_TICK_SECONDS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_MOST_TICKS: Final = 12
_HUES: Final[dict[str, int]] = {  # OKLCH hue of a style
    "cinematic": 285, "documentary": 235, "acoustic": 65, "lofi": 320, "upbeat": 95,
    "electronic": 205, "ambient": 170, "chinese": 25, "funk": 350, "tension": 260,
}  # fmt: skip
_FILE_WORDS: Final = {
    "video": "Scored film", "music": "Music alone", "sheet": "Cue sheet", "midi": "MIDI", "stem": "Stem",
    "other": "File",
}  # fmt: skip

_TAKE_COLUMNS: Final = (
    ("fit", "CMR", "How well music and picture belong together, by the evaluator, -1 to 1"),
    ("in_time", "TA", "How well they go together in time, by the evaluator, 0 to 1"),
    ("follows", "Follows", "Correlation of the picture's activity with the music's energy"),
    ("accents", "Accents", "Onset strength on the cuts; 1 is chance"),
    ("hits", "Hits", "Median error of the hit points"),
    ("score", "Score", "All of it, beside the take that is used: 1 is about what takes differ by"),
)


class Figure(NamedTuple):
    """A line of a film's table: what, how much, a remark, and whether it lies outside what is healthy."""

    name: str
    value: str
    remark: str = ""
    amiss: bool = False


@dataclass(frozen=True)
class Lanes:
    """Geometry of one film's timeline."""

    seconds: float

    def at(self, seconds: float) -> str:
        """Position of a moment in percent."""
        return f"{min(max(seconds / self.seconds, 0.0), 1.0) * 100:.3f}".rstrip("0").rstrip(".")

    def box(self, span: Span) -> dict[str, str]:
        """Left edge and width of a stretch in percent."""
        start, end = max(span.start, 0.0), min(span.end, self.seconds)
        return {"left": self.at(start), "width": self.at(max(end - start, 0.0))}

    def line(self, curve: Curve) -> str:
        """SVG path of a curve, its lowest near 100, its 99.5th percentile near 0 (a flash shan't flatten the rest).

        Only the shape is to be compared, so a curve that never comes near zero is drawn from a little under its lowest.
        """
        ranked = sorted(curve.values)
        low, top = 0.8 * ranked[0], ranked[int((len(ranked) - 1) * 0.995)]
        scale = 94 / (top - low) if top > low else 0.0
        points = []
        for index, value in enumerate(curve.values):
            x = min((curve.start + index * curve.step) / self.seconds, 1.0) * 1000
            points.append(f"{x:.1f} {100 - min(max((value - low) * scale, 0.0), 99.0):.1f}")
        return "M" + "L".join(points)

    def area(self, curve: Curve) -> str:
        """SVG path of the surface under a curve."""
        line = self.line(curve)
        first, last = line[1:].split(" ", 1)[0], line.rsplit("L", 1)[-1].split(" ", 1)[0]
        return f"{line}L{last} 100L{first} 100Z"


def page(videos: Sequence[VideoReport], title: str, version: str) -> dict[str, Any]:
    """Everything the template needs, as plain values."""
    done = [video for video in videos if video.status == "ok"]
    count = {status: sum(video.status == status for video in videos) for status in ("failed", "skipped")}
    said = [_plural(len(done), "film") + " scored"]
    said += [f"{number} {status}" for status, number in count.items() if number]
    models = sorted({(v.model, v.licence, v.commercial_use, v.weights_sha256) for v in done if v.model})
    return {
        "title": clean(title),
        "said": said,
        "minutes": spell_duration(sum(video.duration for video in done)),
        "failed": count["failed"],
        "warned": sum(bool(video.warnings) for video in videos),
        "version": version,
        "models": [
            {"name": clean(name), "licence": clean(licence), "commercial": commercial, "hash": weights[:12]}
            for name, licence, commercial, weights in models
        ],
        "films": [_film(video, number) for number, video in enumerate(videos, 1)],
    }


def clean(text: str) -> str:
    """`text` as it can be shown: a line break as ↵, other control characters and broken bytes as �."""
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "↵").replace("\n", "↵")
    return "".join(char if char.isprintable() or char.isspace() or char in "\u200d\ufe0f" else "�" for char in text)


def href(path: str) -> str:
    """URL of a file named relative to the page, whatever characters its name has."""
    return "./" + quote(os.fsencode(path))


def timecode(seconds: float, decimals: int = 0) -> str:
    """m:ss, or h:mm:ss from an hour on; with `decimals` digits after the seconds."""
    scale = 10**decimals
    units = round(max(seconds, 0.0) * scale)
    whole, fraction = divmod(units, scale)
    minutes, rest = divmod(whole, 60)
    tail = f".{fraction:0{decimals}d}" if decimals else ""
    if minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}{tail}"
    return f"{minutes}:{rest:02d}{tail}"


def spell_duration(seconds: float) -> str:
    """A duration in words: 45 s, 4 min 45 s, 1 h 2 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 // 60 else "")


def _film(video: VideoReport, number: int) -> dict[str, Any]:
    measures = video.measures
    by_kind = {file.kind: file for file in reversed(video.outputs)}
    frames = film_frames(video)
    words = [timecode(video.duration, 1)] if video.duration else []
    words += [clean(video.picture)] if video.picture else []
    words += [_plural(len(video.shots), "shot")] if video.shots else []
    sounding = [cue for cue in video.cues if not cue.silent]
    words += [_plural(len(sounding), "cue")] if video.cues else []
    return {
        "id": f"film-{number}",
        "number": f"{number:02d}",
        "name": clean(video.name),
        "status": video.status,
        "error": clean(video.error),
        "remedy": clean(video.remedy),
        "facts": words,
        "duration": video.duration,
        "length": timecode(video.duration) if video.duration else "",
        "cue_count": len(sounding),
        "styles": list(dict.fromkeys(clean(cue.style) for cue in sounding)),
        "video": href(by_kind["video"].path) if "video" in by_kind else "",
        "music": href(by_kind["music"].path) if "music" in by_kind else "",
        "poster": frames[len(frames) // 2]["image"] if frames else "",
        "lanes": film_lanes(video, frames) if video.duration > 0 else None,
        "figures": figures(video),
        "summary": _summary(video),
        "cues": [_cue_row(cue) for cue in video.cues],
        **_takes(video.choices),
        "hits": [_hit_row(hit) for hit in measures.hits] if measures else [],
        "warnings": [clean(warning) for warning in video.warnings],
        "files": _file_links(video.outputs),
        "timings": _timings(video),
        "model": clean(video.model),
        "licence": clean(video.licence),
    }


def film_lanes(video: VideoReport, frames: list[dict[str, str]]) -> dict[str, Any]:
    """What the tracks of a film's timeline are drawn from. frames: as `film_frames` gives them."""
    lanes = Lanes(video.duration)
    measures = video.measures or Measures(video.duration)
    cuts = [shot.span.start for shot in video.shots if 0 < shot.span.start < video.duration]
    top = 0 if len(cuts) <= MOST_LONG_CUTS else 82
    floor = min((key.gain_db for key in video.ducking), default=0.0)
    return {
        "ticks": [
            {"left": lanes.at(at), "label": timecode(at), "minor": n % 2} for n, at in enumerate(_ticks(video.duration))
        ],
        "frames": frames,
        "cuts": "".join(f"M{cut / video.duration * 1000:.1f} {top}V100" for cut in cuts),
        "cut_count": len(cuts),
        "cues": [{**lanes.box(cue.span), **_cue_row(cue)} for cue in video.cues],
        "activity": lanes.area(_smoothed(video.activity)) if video.activity else "",
        "raw": lanes.area(video.activity) if video.activity else "",
        "energy": lanes.line(measures.energy) if measures.energy else "",
        "follows": None if measures.activity_energy_r is None else f"{measures.activity_energy_r:+.2f}",
        "hits": [{"left": lanes.at(hit.seconds), **_hit_row(hit)} for hit in measures.hits],
        "speech": [{**lanes.box(span), "title": f"Speech {_from_to(span)}"} for span in video.speech],
        "music": [{**lanes.box(span), "title": f"The film's own music {_from_to(span)}"} for span in video.music],
        "ducking": _ducking_path(video, floor) if floor < 0 else "",
        "floor": f"{floor:.0f}".replace("-", "−"),
    }


def film_frames(video: VideoReport) -> list[dict[str, str]]:
    """The strip's pictures, each over its stretch of film: one per shot, or per few short shots; small in bytes."""
    if not video.thumbnails or video.duration <= 0:
        return []
    for most in (MOST_FRAMES, 16, 10, 6, 3, 1):
        runs = _runs([shot.span.start for shot in video.shots], video.duration, video.duration / most)
        chosen: list[tuple[Span, bytes]] = []
        for run in runs:
            image = _thumbnail_of(run, video.thumbnails)
            if chosen and chosen[-1][1] is image:
                chosen[-1] = (Span(chosen[-1][0].start, run.end), image)
            else:
                chosen.append((run, image))
        if sum(len(image) for _, image in chosen) <= MOST_FRAME_BYTES:
            break
    lanes = Lanes(video.duration)
    return [
        {**lanes.box(run), "image": "data:image/jpeg;base64," + base64.b64encode(image).decode("ascii")}
        for run, image in chosen
    ]


def _runs(starts: Iterable[float], duration: float, shortest: float) -> list[Span]:
    """The film cut at those of `starts` that leave no stretch shorter than `shortest`."""
    edges = [0.0]
    for start in starts:
        if start - edges[-1] >= shortest and duration - start >= shortest:
            edges.append(start)
    return [Span(a, b) for a, b in zip(edges, [*edges[1:], duration], strict=True)]


def _thumbnail_of(run: Span, thumbnails: Sequence[tuple[float, bytes]]) -> bytes:
    middle = (run.start + run.end) / 2
    inside = [one for one in thumbnails if run.start <= one[0] < run.end]
    return min(inside or thumbnails, key=lambda one: abs(one[0] - middle))[1]


def _smoothed(curve: Curve) -> Curve:
    """The activity smoothed as the music's energy is, so that the eye compares what the correlation compares."""
    from scipy.ndimage import gaussian_filter1d

    values = gaussian_filter1d(curve.values, SMOOTH_SECONDS / curve.step)
    return Curve(curve.start, curve.step, tuple(float(value) for value in values))


def _ticks(duration: float) -> list[float]:
    step = next((step for step in _TICK_SECONDS if duration / step <= _MOST_TICKS), _TICK_SECONDS[-1])
    return [float(at) for at in range(0, math.ceil(duration - 0.04 * duration), step)]


def _ducking_path(video: VideoReport, floor: float) -> str:
    points = [(key.seconds / video.duration * 1000, 12 + 76 * key.gain_db / floor) for key in video.ducking]
    points = [(0.0, points[0][1]), *points, (1000.0, points[-1][1])]
    return "M" + "L".join(f"{min(max(x, 0), 1000):.1f} {y:.1f}" for x, y in points)


def _cue_row(cue: Cue) -> dict[str, Any]:
    words = [f"{cue.tempo:.0f} bpm" if cue.tempo else "", clean(cue.key or "")]
    if cue.mood is not None:
        words.append(f"mood {cue.mood:+.1f}".replace("-", "−"))
    if cue.energy is not None:
        words.append(f"energy {cue.energy:.1f}")
    style = "silence" if cue.silent else clean(cue.style)
    detail = "" if cue.silent else " · ".join(word for word in words if word)
    return {
        "id": clean(cue.id),
        "style": style,
        "silent": cue.silent,
        "hue": _HUES.get(cue.style, zlib.crc32(cue.style.encode("utf-8", "replace")) % 360),
        "detail": detail,
        "seed": cue.seed,
        "take": cue.take or 1,
        "from": timecode(cue.span.start, 2),
        "to": timecode(cue.span.end, 2),
        "reason": clean(cue.reason),
        "title": " · ".join(
            word for word in (f"{clean(cue.id)} {_from_to(cue.span)}", style, detail, clean(cue.reason)) if word
        ),
    }


def _takes(choices: Sequence[Choice]) -> dict[str, Any]:
    """The table of takes: its rows, the columns that have something in them, what its summary says."""
    rows = [_choice_row(choice) for choice in choices]
    heard = [take for row in rows for take in row["takes"]]
    rejected = sum(bool(take["verdict"]) for take in heard)
    said = f"{_plural(len(heard), 'take')} of {_plural(len(rows), 'cue')}"
    said += f", {rejected} faulty" if rejected else ", none faulty" if heard else ""
    columns = [
        {"key": key, "name": name, "title": title}
        for key, name, title in _TAKE_COLUMNS
        if any(take[key] for take in heard)
    ]
    return {"takes": rows, "take_columns": columns, "take_words": said, "faulty": bool(rejected)}


def _choice_row(choice: Choice) -> dict[str, Any]:
    """One cue's takes with their figures, the chosen one marked; said says in words which it is, and why."""

    def shown(value: float | None, form: str) -> str:
        return "" if value is None else _minus(form.format(value))

    best = next((take.score for take in choice.takes if take.number == choice.take), None) or 0.0
    takes = [
        {
            "number": take.number,
            "chosen": take.number == choice.take,
            "fit": shown(take.cmr, "{:+.2f}"),
            "in_time": shown(take.ta, "{:.2f}"),
            "follows": shown(take.activity_energy_r, "{:+.2f}"),
            "accents": shown(take.cut_accent_lift, "×\N{NO-BREAK SPACE}{:.2f}"),
            "hits": shown(take.hit_error_ms, "{:.0f}\N{NO-BREAK SPACE}ms"),
            "score": shown(None if take.score is None else take.score - best, "{:+.2f}"),
            "verdict": ", ".join(take.faults),
        }
        for take in choice.takes
    ]
    why = choice.why
    if choice.by in ("hand", "kept"):
        used = [fault for take in choice.takes if take.number == choice.take for fault in take.faults]
        faults = [fault for fault in used if fault not in why]  # a last resort's reason names them already
        why = "; although ".join(filter(None, [why, " and ".join(faults)]))
    return {"cue": clean(choice.cue), "take": choice.take, "by": choice.by, "why": clean(why), "takes": takes}


def _hit_row(hit: HitError) -> dict[str, str]:
    if hit.error_ms is None:
        quality, heard = "none", "not heard"
    else:
        off = abs(hit.error_ms)
        quality = "good" if off <= HIT_GOOD_MS else "fair" if off <= HIT_FAIR_MS else "poor"
        heard = "on the frame" if off < 0.5 else f"{off:.0f} ms {'late' if hit.error_ms > 0 else 'early'}"
    strong = "strong" if hit.strength >= 0.5 else "light"
    at = timecode(hit.seconds, 2)
    return {
        "at": at,
        "quality": quality,
        "weight": strong,
        "heard": heard,
        "title": f"{strong} hit point {at}: {heard}",
    }


def figures(video: VideoReport) -> list[Figure]:
    """The film's table of measures; what wasn't measured isn't in it."""
    m = video.measures
    if m is None:
        return []
    rows: list[Figure] = []

    def add(name: str, value: float | None, form: str, remark: str = "", amiss: bool = False) -> None:
        if value is not None:
            rows.append(Figure(name, _minus(form.format(value)), _minus(remark), amiss))

    target = video.target_lufs
    off_target = abs(m.lufs - target) if m.lufs is not None and target is not None else None
    on_time = sum(hit.error_ms is not None and abs(hit.error_ms) <= HIT_GOOD_MS for hit in m.hits)
    within = f"{on_time} of {len(m.hits)} within {HIT_GOOD_MS:.0f} ms"
    depth = None if m.ducking_depth_db is None else -m.ducking_depth_db
    kilohertz = None if m.bandwidth_hz is None else m.bandwidth_hz / 1000
    add("Follows the picture", m.activity_energy_r, "r {:+.2f}", "correlation")
    add("Accents on cuts", m.cut_accent_lift, "× {:.2f}", "1 is chance")
    add("Hit points, median", m.median_hit_error_ms, "{:.0f} ms", within, _over(m.median_hit_error_ms, HIT_GOOD_MS))
    asked = "" if target is None else f"asked {target:.1f}"
    add("Loudness", m.lufs, "{:.1f} LUFS", asked, _over(off_target, LUFS_TOLERANCE))
    ceiling = f"ceiling {video.ceiling_dbtp:.1f}"
    add("True peak", m.true_peak_dbtp, "{:.1f} dBTP", ceiling, _over(m.true_peak_dbtp, video.ceiling_dbtp))
    add("Loudness range", m.lra, "{:.1f} LU")
    add("Music under speech", depth, "{:+.1f} dB", "than without speech", _over(depth, -LEAST_DUCKING_DB))
    silence = m.longest_silence_seconds
    add("Longest silence", silence, "{:.1f} s", "inside a cue", _over(silence, MOST_SILENCE_SECONDS))
    add("Clicks", len(m.clicks), "{:.0f}", ", ".join(timecode(at, 2) for at in m.clicks[:4]), bool(m.clicks))
    add(
        "Stereo correlation", m.stereo_correlation, "{:.2f}", "1 is mono", _over(m.stereo_correlation, MOST_CORRELATION)
    )
    add("Bandwidth", kilohertz, "{:.1f} kHz", "", _over(-(m.bandwidth_hz or 0.0), -LEAST_BANDWIDTH_HZ))
    return rows


def _over(value: float | None, limit: float) -> bool:
    return value is not None and value > limit + 0.005  # figures are kept to two decimals


def _summary(video: VideoReport) -> dict[str, str]:
    """What the overview says of a film."""
    m = video.measures
    if m is None:
        return {"lufs": "", "follows": "", "hits": ""}
    return {
        "lufs": "" if m.lufs is None else _minus(f"{m.lufs:.1f}"),
        "follows": "" if m.activity_energy_r is None else _minus(f"{m.activity_energy_r:.2f}"),
        "hits": "" if m.median_hit_error_ms is None else f"{m.median_hit_error_ms:.0f} ms",
    }


def _minus(text: str) -> str:
    return text.replace(" -", " −") if not text.startswith("-") else "−" + text[1:]


def _file_links(outputs: Sequence[OutputFile]) -> list[dict[str, Any]]:
    """Delivered files in groups of a kind."""
    groups: dict[str, list[dict[str, str]]] = {}
    for file in outputs:
        link = {"word": clean(file.label), "href": href(file.path), "name": clean(file.path)}
        groups.setdefault(_FILE_WORDS[file.kind], []).append(link)
    return [{"word": word, "links": links} for word, links in groups.items()]


def _timings(video: VideoReport) -> dict[str, Any] | None:
    total = sum(video.timings.values())
    if total <= 0:
        return None
    stages = [{"name": clean(name), "seconds": f"{spent:.1f} s"} for name, spent in video.timings.items()]
    speed = f"{video.duration / total:.1f} × real time" if video.duration else ""
    return {"total": f"{total:.1f} s", "speed": speed, "stages": stages}


def _from_to(span: Span) -> str:
    return f"{timecode(span.start, 1)}–{timecode(span.end, 1)}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"

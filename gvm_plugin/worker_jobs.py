"""What a request of `gvm worker` asks for -> the work -> what is answered. Knows no lines, threads or signals.

Every job is a function of the request's fields and `Tools`; ValueError where a field is impossible.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.errors import DeliveryError
from gvm_plugin import __version__
from gvm_plugin.cuesheet import Cue
from gvm_plugin.edit_list import read_edit, read_number, read_picture
from gvm_plugin.edit_plan import FIXABLE, EditCue
from gvm_plugin.edit_takes import Reach
from gvm_plugin.options import AUTO, STYLES, ScoreOptions
from gvm_plugin.timeline import HitPoint, Span

if TYPE_CHECKING:
    from gvm_plugin.edit_score import EditJob, EditScore
    from gvm_plugin.edit_takes import EditTake
    from gvm_plugin.generators import MusicGenerator
    from gvm_plugin.score import Score

Answer = dict[str, Any]

LONGEST_MARGIN: Final = 600  # seconds
MOST_GAIN_DB: Final = 200
LONGEST_TEXT: Final = 200  # of ids and names
# Options that say something of a film's file; an edit has none.
FILM_ONLY: Final = frozenset(
    ("original", "music_only", "stems", "midi", "export", "separate_track", "overwrite")
)  # fmt: skip

IGNORABLE: Final = (
    "style",
    "mood",
    "energy",
    "tempo",
    "key",
    "identity",
    "soundfont",
)  # by models that write sound outright


@dataclass(eq=False)
class Tools:
    """What a job works with. generator: gives the one that options name, loading it where needed.

    folders: where the job works, to be tidied if it ends badly.
    """

    defaults: ScoreOptions
    generator: Callable[[ScoreOptions], MusicGenerator]
    progress: Callable[[str, float], None]
    warn: Callable[[str], None]
    folders: list[Path] = field(default_factory=list)


# --- jobs --------------------------------------------------------------------------------------------------------


def check(request: Mapping[str, Any], tools: Tools) -> Answer:
    """What is installed and what is missing."""
    from gvm_plugin.doctor import examine

    findings = examine()
    return {
        "ok": all(finding.level != "missing" for finding in findings),
        "findings": [
            {"what": finding.what, "level": finding.level, "detail": finding.detail, "remedy": finding.remedy}
            for finding in findings
        ],
    }


def warm(request: Mapping[str, Any], tools: Tools) -> Answer:
    """Load the model."""
    started = time.monotonic()
    options = read_options({name: request[name] for name in ("model", "device") if name in request}, tools.defaults)
    generator = tools.generator(options)
    if (load := getattr(generator, "load", None)) is not None:  # models whose weights are read when they are needed
        load()
    return {
        "model": generator.name,
        "licence": generator.licence,
        "commercial_use": generator.commercial_use,
        "seconds": round(time.monotonic() - started, 3),
    }


def analyse(request: Mapping[str, Any], tools: Tools) -> Answer:
    """The cues of an edit, without music."""
    from gvm_plugin.edit_score import spot_edit

    job = _edit_job(request, tools)
    return score_to_json(spot_edit(job), made=False) | _origin(job)


def score(request: Mapping[str, Any], tools: Tools) -> Answer:
    """The cues of an edit with their takes; after a re-edit, of what changed."""
    from gvm_plugin.edit_score import score_edit

    previous = [_read_cue(item, n, kept=True) for n, item in enumerate(_list(request, "previous"))]
    _check_ids(previous)
    job = _edit_job(request, tools)
    return score_to_json(score_edit(job, previous, _gain(request))) | _origin(job)


def cue(request: Mapping[str, Any], tools: Tools) -> Answer:
    """Takes of given cues."""
    from gvm_plugin.edit_score import make_cues

    cues = [_read_cue(item, n, kept=False) for n, item in enumerate(_list(request, "cues"))]
    _check_ids(cues)
    if not any(cue.makes for cue in cues):
        raise ValueError("cues has none to make; give at least one with `makes`")
    job = _edit_job(request, tools)
    return score_to_json(make_cues(job, cues, _gain(request))) | _origin(job)


def film(request: Mapping[str, Any], tools: Tools) -> Answer:
    """A film with its music, as `gvm score` makes it."""
    from gvm_plugin.outputs import outputs_of
    from gvm_plugin.score import score_video

    options = read_options(request.get("options", {}), tools.defaults)
    video, out = _path(request, "film"), _path(request, "out", optional=True)
    tools.folders.append(outputs_of(video, out).folder)
    return _film_to_json(score_video(video, out, options, tools.generator(options), tools.progress))


def render(request: Mapping[str, Any], tools: Tools) -> Answer:
    """A film as its cue sheet says, as `gvm render` makes it."""
    from gvm_plugin import cuesheet_reader
    from gvm_plugin.score import render as render_sheet

    sheet, out = _path(request, "sheet"), _path(request, "out", optional=True)
    tools.folders.append(sheet.parent if out is None else out)
    settings = cuesheet_reader.read(sheet).settings
    options = replace(tools.defaults, model=settings.model)
    overwrite = request.get("overwrite", False)
    if not isinstance(overwrite, bool):
        raise ValueError("overwrite must be true or false")
    generator = tools.generator(options)
    return _film_to_json(render_sheet(sheet, out, generator, tools.progress, overwrite=overwrite))


JOBS: Final[dict[str, Callable[[Mapping[str, Any], Tools], Answer]]] = {
    "check": check, "warm": warm, "analyse": analyse, "score": score, "cue": cue, "film": film, "render": render,
}  # fmt: skip
_EDIT: Final = frozenset(("edit", "project", "options", "folder"))
FIELDS: Final[dict[str, frozenset[str]]] = {
    "check": frozenset(),
    "warm": frozenset(("model", "device")),
    "analyse": _EDIT,
    "score": _EDIT | {"previous", "music_gain_db"},
    "cue": _EDIT | {"cues", "music_gain_db"},
    "film": frozenset(("film", "out", "options")),
    "render": frozenset(("sheet", "out", "overwrite")),
}
# About how the time of a request is shared among its stages.
_MADE: Final = {"load": 0.05, "analyse": 0.5, "generate": 0.35, "mix": 0.1}
WEIGHTS: Final[dict[str, Mapping[str, float]]] = {
    "analyse": {"load": 0.1, "analyse": 0.9},
    "score": _MADE,
    "cue": {"load": 0.05, "analyse": 0.15, "generate": 0.6, "mix": 0.2},
}


# --- what is asked -----------------------------------------------------------------------------------------------


def read_options(value: Any, defaults: ScoreOptions, but: frozenset[str] = frozenset()) -> ScoreOptions:
    """ScoreOptions from a JSON object. ValueError for unknown names, wrong types and impossible values."""
    if not isinstance(value, Mapping):
        raise ValueError("options must be an object")
    kinds = {field.name: str(field.type) for field in fields(ScoreOptions) if field.name not in but}
    if unknown := sorted(set(value) - set(kinds)):
        raise ValueError(f"options has no {unknown[0]!r}; it has {', '.join(kinds)}")
    given = {name: _option(name, kinds[name], item) for name, item in value.items()}
    return replace(defaults, **given)


def _option(name: str, kind: str, value: Any) -> Any:
    if value is None and "None" in kind:
        return None
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind.startswith("int") and type(value) is int:
        return value
    if kind.startswith("float") and type(value) in (int, float):
        return float(value)
    if kind.startswith("str") and isinstance(value, str):
        return value
    if kind.startswith("Path") and isinstance(value, str) and os.path.isabs(value) and "\0" not in value:
        return Path(value)
    if kind.startswith("tuple") and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ValueError(f"options.{name} is {str(value)[:40]!r}; it must be of the type {kind}")


def _edit_job(request: Mapping[str, Any], tools: Tools) -> EditJob:
    """The edit of a request, ready to be worked on, with its folder made and its model loaded."""
    from gvm_plugin.edit_score import EditJob
    from gvm_plugin.takes import say_ignored

    edit = read_edit(request.get("edit"))
    options = read_options(request.get("options", {}), tools.defaults, but=FILM_ONLY)
    project = request.get("project")
    if not (isinstance(project, str) and 0 < len(project) <= LONGEST_TEXT):
        raise ValueError(f"project must be a text of 1 to {LONGEST_TEXT} characters that stays the same")
    folder = _path(request, "folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise DeliveryError(f"{folder}: can't be made ({err.strerror}); choose another folder") from err
    tools.folders.append(folder)
    generator = tools.generator(options)
    given = request.get("options", {})
    asked = [name for name in IGNORABLE if given.get(name, AUTO) not in (None, AUTO)]
    for line in say_ignored(generator, asked):
        tools.warn(line)
    return EditJob(edit, project, options, folder, generator, tools.progress, tools.warn)


def _read_cue(value: Any, number: int, kept: bool) -> EditCue:
    """A cue of a request; kept: one of the last result, which says all of itself."""
    name = f"cues[{number}]"
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be an object")
    own = value.get("id")
    if not (isinstance(own, str) and 0 < len(own) <= LONGEST_TEXT):
        raise ValueError(f"{name}.id must be a text")
    start, end = (float(read_number(value.get(edge), f"{name}.{edge}")) for edge in ("in", "out"))
    if end <= start:
        raise ValueError(f"{name} ends ({end:g} s) before it begins ({start:g} s)")
    silent = value.get("silent", False) is True
    seed = value.get("seed")
    wished = {key: value[key] for key in ("style", "mood", "energy", "tempo", "key") if value.get(key) is not None}
    checked = read_options({**wished, **({} if seed is None else {"seed": seed})}, ScoreOptions())
    if checked.style == AUTO and not silent:
        raise ValueError(f"{name}.style is missing; choose one of {', '.join(STYLES)}")
    fixed = value.get("fixed", [])
    if not (isinstance(fixed, list) and set(fixed) <= {*FIXABLE, "style", "tempo", "key"}):
        raise ValueError(f"{name}.fixed must be a list of {', '.join(FIXABLE)}")
    return EditCue(
        cue=Cue(
            id=own,
            span=Span(start, end),
            style=checked.style,
            mood=checked.mood,
            energy=checked.energy,
            tempo=checked.tempo,
            key=checked.key,
            seed=checked.seed,
            silent=silent,
            hits=_read_hits(value.get("hits") or [], name),
            reason=str(value.get("reason", ""))[:1000],
        ),
        picture=read_picture(value.get("picture", [])) if kept else [],
        makes=() if kept or silent else _read_makes(value, name),
        reach=_read_reach(value),
        fixed=tuple(fixed),
        seed_open=seed is None,
        hits_open=value.get("hits") is None,
    )


def _read_hits(value: Any, name: str) -> tuple[HitPoint, ...]:
    if not isinstance(value, list) or not all(isinstance(item, list) and len(item) == 2 for item in value):
        raise ValueError(f"{name}.hits must be a list of [seconds, strength]")
    hits = [[float(read_number(part, f"{name}.hits")) for part in item] for item in value]
    return tuple(HitPoint(seconds, min(1.0, max(0.0, strength))) for seconds, strength in sorted(hits))


def _read_makes(value: Mapping[str, Any], name: str) -> tuple[int, ...]:
    makes = value.get("makes", [1])
    if not isinstance(makes, list) or not all(type(number) is int and 1 <= number <= 9999 for number in makes):
        raise ValueError(f"{name}.makes must be a list of numbers of takes, from 1 up")
    return tuple(sorted(set(makes)))


def _read_reach(value: Mapping[str, Any]) -> Reach | None:
    """That of the takes that a cue has already."""
    takes = value.get("takes")
    if not (isinstance(takes, list) and takes and isinstance(takes[0], Mapping)):
        return None
    reach = [float(read_number(takes[0].get(name, 0), name)) for name in ("lead", "tail", "ending")]
    if not all(0 <= seconds <= LONGEST_MARGIN for seconds in reach):
        raise ValueError(f"lead, tail and ending of a take lie between 0 and {LONGEST_MARGIN} s; keep them as they are")
    return Reach(*reach)


def _check_ids(cues: list[EditCue]) -> None:
    ids = [cue.cue.id for cue in cues]
    if len(set(ids)) < len(ids):
        raise ValueError("two cues have the same id; give each its own")


def _list(request: Mapping[str, Any], name: str) -> list[Any]:
    value = request.get(name, [])
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list")
    return value


def _gain(request: Mapping[str, Any]) -> float | None:
    value = request.get("music_gain_db")
    gain_db = None if value is None else float(read_number(value, "music_gain_db"))
    if gain_db is not None and abs(gain_db) > MOST_GAIN_DB:
        raise ValueError(f"music_gain_db is {gain_db:g}; it must lie between -{MOST_GAIN_DB} and {MOST_GAIN_DB}")
    return gain_db


def _path(request: Mapping[str, Any], name: str, optional: bool = False) -> Any:
    """The absolute path in a field; None where an optional one is missing."""
    value = request.get(name)
    if value is None and optional:
        return None
    if not (isinstance(value, str) and os.path.isabs(value) and "\0" not in value):
        raise ValueError(f"{name} must be an absolute path")
    return Path(value)


# --- what is answered --------------------------------------------------------------------------------------------


def score_to_json(score: EditScore, made: bool = True) -> Answer:
    """The answer of `analyse` (made: False), `score` and `cue`."""
    analysis = score.analysis
    answer: Answer = {
        "duration": _seconds(analysis.duration),
        "fps": str(score.edit.fps),
        "cues": [_cue_to_json(cue, score, made) for cue in score.cues],
        "gone": list(score.gone),
        "shots": [_seconds(shot.span.start) for shot in analysis.shots],
        "speech": [[_seconds(span.start), _seconds(span.end)] for span in analysis.speech],
        "music": [[_seconds(span.start), _seconds(span.end)] for span in analysis.music],
    }
    if score.mix is not None:
        mix = score.mix
        levels = {field.name: getattr(mix, field.name) for field in fields(mix)} | {"to_target_db": mix.to_target_db}
        answer["mix"] = {name: None if value is None else round(value, 2) for name, value in levels.items()}
    return answer


def _origin(job: EditJob) -> Answer:
    """Where the music comes from, for whoever asks later."""
    generator = job.generator
    names = ("name", "licence", "commercial_use", "weights_sha256")
    return {"gvm": __version__, "model": {name: getattr(generator, name) for name in names}}


def _cue_to_json(cue: EditCue, score: EditScore, made: bool) -> Answer:
    own = cue.cue
    answer: Answer = {
        "id": own.id,
        "in": _seconds(own.span.start),
        "out": _seconds(own.span.end),
        "silent": own.silent,
        "style": own.style,
        "mood": own.mood,
        "energy": own.energy,
        "tempo": own.tempo,
        "key": own.key,
        "seed": own.seed,
        "reason": own.reason,
        "hits": [[_seconds(hit.seconds), hit.strength] for hit in own.hits],
        "picture": cue.picture,
        "change": cue.change,
        "fixed": list(cue.fixed),
    }
    if cue.was_in is not None:
        answer["was_in"] = _seconds(cue.was_in)
    if made and not own.silent:
        fade_in, fade_out = score.fades[own.id]
        answer["fade_in"] = {"start": _seconds(fade_in.start), "end": _seconds(fade_in.end)}
        answer["fade_out"] = {"start": _seconds(fade_out.start), "end": _seconds(fade_out.end)}
        answer["ducking"] = _ducking(score, fade_in.start, fade_out.end)
        choice = next((choice for choice in score.choices if choice.cue == own.id), None)
        faults = {} if choice is None else {take.number: list(take.faults) for take in choice.takes}
        files = score.takes.get(own.id, ())
        answer["takes"] = [_take_to_json(take) | {"faults": faults.get(take.number, [])} for take in files]
    return answer


def _ducking(score: EditScore, start: float, end: float) -> list[list[float]]:
    """The ducking between two moments, with a point at each of them; empty where there is none."""
    import numpy as np

    times = [key.seconds for key in score.ducking]
    gains = [key.gain_db for key in score.ducking]
    inside = [(at, gain) for at, gain in zip(times, gains, strict=True) if start < at < end]
    if not times:
        return []
    first, last = (float(np.interp(moment, times, gains)) for moment in (start, end))
    points = [(start, first), *inside, (end, last)]
    if all(gain == 0 for _, gain in points):
        return []
    return [[_seconds(at), round(gain, 2)] for at, gain in points]


def _take_to_json(take: EditTake) -> Answer:
    return {
        "number": take.number,
        "file": str(take.file),
        "start": _seconds(take.start),
        "start_frame": take.start_frame,
        "frames": take.frames,
        "seconds": _seconds(take.seconds),
        "lead": _seconds(take.reach.lead),
        "tail": _seconds(take.reach.tail),
        "ending": _seconds(take.reach.ending),
        "gain_db": round(take.gain_db, 2),
        "lufs": None if take.lufs is None else round(take.lufs, 2),
        "tempo": round(take.tempo, 3),
        "key": take.key,
        "bars": [_seconds(at) for at in take.bars],
        "hits": [[_seconds(asked), _seconds(played)] for asked, played in take.hits],
    }


def _film_to_json(score: Score) -> Answer:
    outputs = score.outputs
    return {
        "film": str(outputs.film) if not score.sheet.settings.music_only else None,
        "music": str(outputs.music),
        "sheet": str(outputs.sheet),
        "files": [str(outputs.folder / file.path) for file in score.report.outputs],
        "warnings": list(score.report.warnings),
    }


def _seconds(value: float) -> float:
    return round(float(value), 6)

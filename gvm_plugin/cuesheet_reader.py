"""Reads a cue sheet that a person may have edited: everything is checked, every complaint names line and remedy."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from core.errors import CueSheetError
from gvm_plugin.cuesheet import VERSION, Cue, CueSheet, Settings, format_time, parse_time, yaml_parser
from gvm_plugin.options import (
    AUTO,
    DECODERS,
    EXPORTS,
    MAX_SEED,
    MAX_TAKES,
    ORIGINALS,
    PICKS,
    PRECISIONS,
    STYLES,
    TEMPO_RANGE,
    check_key,
    parse_exports,
)
from gvm_plugin.timeline import HitPoint, Shot, Span

_PARTS: Final = ("gvm_cue_sheet", "video", "settings", "cues", "shots", "speech", "music", "warnings", "provenance")
_END_TOLERANCE: Final = 0.002  # seconds a typed time may pass the end of the film: people round
_PAST_END: Final = 0.1  # seconds that a cue may pass the end of its film: programs disagree by frames where that is


def read(path: Path) -> CueSheet:
    """The sheet at `path`; CueSheetError with the line where it can't be obeyed."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as err:
        raise CueSheetError(
            f"{path}: can't read the cue sheet ({err.strerror}); check the name and its rights"
        ) from err
    except UnicodeDecodeError as err:
        raise CueSheetError(
            f"{path}: is no UTF-8 text; name the .cues.yaml that `gvm spot` wrote, or save it as UTF-8"
        ) from err
    return from_yaml(text, str(path))


def from_yaml(text: str, name: str) -> CueSheet:
    """The sheet that `text` describes; `name` stands in messages."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        document = yaml_parser().load(text)
    except MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        raise _syntax_error(name, err.problem or err.context or "no YAML", mark.line + 1 if mark else None) from err
    # What isn't YAMLError is what the parser makes of dates that there are not, and of tags in the wrong place.
    except (YAMLError, ValueError, AttributeError, TypeError, LookupError) as err:
        raise CueSheetError(f"{name}: not readable as YAML ({str(err).splitlines()[0]}); undo the last edit") from err
    return _Reader(name).sheet(document)


def check_within(path: Path, sheet: CueSheet, duration: float) -> None:
    """CueSheetError where a cue isn't within the film, as one may be whose sheet says a wrong `duration`."""
    for cue in sheet.sounding:
        if cue.span.end > duration + _PAST_END:
            raise CueSheetError(
                f"{path}: cue {cue.id} goes from {format_time(cue.span.start)} to {format_time(cue.span.end)}, but the "
                f"film ends at {format_time(duration)}; mend the cue, and `duration` under `video`"
            )


def _syntax_error(name: str, problem: str, line: int | None) -> CueSheetError:
    where = f"{name}, line {line}" if line else name
    if "\\t" in problem or "tab" in problem.lower():
        return CueSheetError(f"{where}: a tab; indent with spaces", line)
    if "duplicate key" in problem:
        return CueSheetError(f"{where}: {problem.splitlines()[0]}; keep one of the two", line)
    return CueSheetError(f"{where}: {problem.splitlines()[0]}; compare with the lines around it", line)


class _Reader:
    """Turns the parsed document into a CueSheet; knows the line of everything it complains about."""

    def __init__(self, name: str) -> None:
        self.name = name

    def fail(self, message: str, line: int | None) -> CueSheetError:
        where = f"{self.name}, line {line}" if line else self.name
        return CueSheetError(f"{where}: {message}", line)

    def sheet(self, document: Any) -> CueSheet:
        """The whole document."""
        self.mapping(document, "the sheet", _PARTS, required=("gvm_cue_sheet", "video", "cues"), line=1)
        if document["gvm_cue_sheet"] != VERSION:
            raise self.fail(
                f"gvm_cue_sheet is {document['gvm_cue_sheet']!r}, this gvm reads version {VERSION}; "
                "update gvm or spot the film again",
                _line(document, "gvm_cue_sheet"),
            )
        video = document["video"]
        self.mapping(video, "video", ("file", "sha256", "duration"), ("file", "duration"), _line(document, "video"))
        duration = self.value(video, "duration", parse_time)
        cues = self.items(document, "cues", lambda item, line: self.cue(item, line, duration))
        self.check_order(cues, [_item_line(document["cues"], i) for i in range(len(cues))])
        starts = self.items(document, "shots", lambda item, line: self.hit(item, line, "a shot", duration))
        provenance = document.get("provenance") or {}
        return CueSheet(
            video=self.value(video, "file", _text),
            sha256=self.value(video, "sha256", _optional_text, ""),
            duration=duration,
            cues=tuple(cues),
            settings=self.settings(document),
            shots=_shots(starts, duration),
            speech=tuple(self.items(document, "speech", lambda item, line: self.span(item, line, duration))),
            music=tuple(self.items(document, "music", lambda item, line: self.span(item, line, duration))),
            warnings=tuple(self.items(document, "warnings", lambda item, line: str(item))),
            provenance=_unwrap(provenance),
        )

    def settings(self, document: Any) -> Settings:
        """The `settings` part; what isn't said has its default."""
        node, default = document.get("settings") or {}, Settings()
        names = tuple(f.name for f in fields(Settings))
        self.mapping(node, "settings", names, line=_line(document, "settings"))
        parsers: dict[str, Callable[[Any], Any]] = {
            "model": _text,
            "precision": lambda v: _choice(v, PRECISIONS),
            "decoder": lambda v: _choice(v, DECODERS),
            "lufs": lambda v: _number(v, -40, -5),
            "duck": lambda v: _number(v, 0, 60),
            "original": lambda v: _choice(v, ORIGINALS),
            "crossfade": lambda v: _number(v, 0, 5),
            "seed": lambda v: _integer(v, 0, MAX_SEED),
            "takes": lambda v: _integer(v, 1, MAX_TAKES),
            "pick": lambda v: _choice(v, PICKS),
            "export": _exports,
            "identity": lambda v: None if v in (None, "none") else _text(v),
            "soundfont": lambda v: None if v in (None, "none") else _text(v),
        }
        return Settings(**{n: self.value(node, n, parsers.get(n, _flag), getattr(default, n)) for n in names})

    def cue(self, node: Any, line: int | None, duration: float) -> Cue:
        """One item of `cues`."""
        names = ("id", "in", "out", *(f.name for f in fields(Cue) if f.name not in ("id", "span")))
        self.mapping(node, "a cue", names, ("id", "in", "out"), line)
        start, end = self.value(node, "in", parse_time), self.value(node, "out", parse_time)
        span = self.checked_span(start, end, duration, _line(node, "out") or line, "out", "in")
        return Cue(
            id=self.value(node, "id", _text),
            span=span,
            style=self.value(node, "style", lambda v: _choice(v, STYLES), STYLES[0]),
            mood=self.value(node, "mood", lambda v: _or_auto(v, -1, 1), None),
            energy=self.value(node, "energy", lambda v: _or_auto(v, 0, 1), None),
            tempo=self.value(node, "tempo", lambda v: _or_auto(v, *TEMPO_RANGE), None),
            key=self.value(node, "key", _key, None),
            seed=self.value(node, "seed", lambda v: _integer(v, 0, MAX_SEED), 0),
            take=self.value(node, "take", _take, None),
            silent=self.value(node, "silent", _flag, False),
            reason=self.value(node, "reason", _optional_text, ""),
            hits=self.hits(node, span),
        )

    def hits(self, node: Any, span: Span) -> tuple[HitPoint, ...]:
        """The hit points of a cue, in order of time, each inside it."""
        hits = self.items(node, "hits", lambda item, line: self.hit(item, line, "a hit", span.end))
        for index, hit in enumerate(hits):
            if hit.seconds < span.start:
                line = _item_line(node["hits"], index)
                raise self.fail(f"a hit at {format_time(hit.seconds)} lies before the cue's in; move one of them", line)
        return tuple(sorted(hits, key=lambda hit: hit.seconds))

    def hit(self, item: Any, line: int | None, what: str, end: float) -> HitPoint:
        """A pair [moment, strength]."""
        if not (isinstance(item, Sequence) and not isinstance(item, str) and len(item) == 2):
            raise self.fail(f"{what} is {item!r}; write [moment, strength], such as [0:04.200, 0.6]", line)
        try:
            seconds, strength = parse_time(item[0]), _number(item[1], 0, 1)
        except ValueError as err:
            raise self.fail(f"{what}: {err}", line) from err
        if seconds > end + _END_TOLERANCE:
            raise self.fail(f"{what} at {format_time(seconds)} lies after the end, {format_time(end)}; move it", line)
        return HitPoint(min(seconds, end), strength)

    def span(self, item: Any, line: int | None, duration: float) -> Span:
        """A pair [from, to]."""
        if not (isinstance(item, Sequence) and not isinstance(item, str) and len(item) == 2):
            raise self.fail(f"{item!r} is no stretch; write [from, to], such as [0:04.200, 0:06.000]", line)
        try:
            start, end = parse_time(item[0]), parse_time(item[1])
        except ValueError as err:
            raise self.fail(str(err), line) from err
        return self.checked_span(start, end, duration, line, "the end", "the start")

    def checked_span(
        self, start: float, end: float, duration: float, line: int | None, end_name: str, start_name: str
    ) -> Span:
        """start..end, within the film and the right way round."""
        if end > duration + _END_TOLERANCE:
            message = f"{end_name} is {format_time(end)}, the film ends at {format_time(duration)}; make it earlier"
            raise self.fail(message, line)
        if end <= start:
            raise self.fail(
                f"{end_name} {format_time(end)} is not after {start_name} {format_time(start)}; swap or mend", line
            )
        return Span(start, min(end, duration))

    def check_order(self, cues: Sequence[Cue], lines: Sequence[int | None]) -> None:
        """Ids each once; cues in order and apart."""
        seen: set[str] = set()
        for cue, line in zip(cues, lines, strict=True):
            if cue.id in seen:
                raise self.fail(f"two cues are called {cue.id!r}; rename one", line)
            seen.add(cue.id)
        for before, cue, line in zip(cues, cues[1:], lines[1:], strict=False):
            if cue.span.start < before.span.end:
                raise self.fail(
                    f"cue {cue.id} begins at {format_time(cue.span.start)}, before {before.id} ends at "
                    f"{format_time(before.span.end)}; cues follow each other and don't overlap",
                    line,
                )

    def mapping(
        self, node: Any, what: str, allowed: Sequence[str], required: Sequence[str] = (), line: int | None = None
    ) -> None:
        """Check that `node` has known keys only, and the required ones."""
        if not isinstance(node, Mapping):
            raise self.fail(f"{what} must be lines of `name: value`, not {_shown(node)}", line)
        for key in node:
            if key not in allowed:
                close = difflib.get_close_matches(str(key), allowed, n=1)
                remedy = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(allowed)}"
                raise self.fail(f"{what} has an unknown key {key!r}; {remedy}", _line(node, key) or line)
        for key in required:
            if key not in node:
                raise self.fail(f"{what} lacks {key!r}; add it", line)

    def value(self, node: Any, key: str, parse: Callable[[Any], Any], default: Any = None) -> Any:
        """node[key] parsed, or `default` where it isn't said."""
        if key not in node:
            return default
        try:
            return parse(_unwrap(node[key]))
        except ValueError as err:
            raise self.fail(f"{key}: {err}", _line(node, key)) from err

    def items(self, node: Any, key: str, parse: Callable[[Any, int | None], Any]) -> list[Any]:
        """Each item of the list node[key] parsed; an empty list where it isn't said."""
        listed = node.get(key)
        if listed is None:
            return []
        if not isinstance(listed, list):
            raise self.fail(f"{key} must be a list, each item after a dash, not {_shown(listed)}", _line(node, key))
        return [parse(item, _item_line(listed, index)) for index, item in enumerate(listed)]


def _line(node: Any, key: object) -> int | None:
    """1-based line of `key` in a mapping of ruamel's."""
    try:
        return int(node.lc.key(key)[0]) + 1
    except (AttributeError, KeyError, TypeError):
        return None


def _item_line(sequence: Any, index: int) -> int | None:
    """1-based line of an item in a sequence of ruamel's."""
    try:
        return int(sequence.lc.item(index)[0]) + 1
    except (AttributeError, KeyError, TypeError):
        return None


def _shown(value: Any) -> str:
    text = repr(_unwrap(value))
    return text if len(text) <= 40 else text[:37] + "..."


def _unwrap(value: Any) -> Any:
    """Plain Python values of ruamel's, which carry comments and formats."""
    if isinstance(value, Mapping):
        return {str(key): _unwrap(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unwrap(item) for item in value]
    for plain in (bool, int, float, str):
        if isinstance(value, plain):
            return plain(value)
    return value if value is None else str(value)


def _shots(starts: Sequence[HitPoint], duration: float) -> tuple[Shot, ...]:
    ordered = sorted(starts, key=lambda shot: shot.seconds)
    ends = [shot.seconds for shot in ordered[1:]] + [duration]
    return tuple(Shot(Span(shot.seconds, end), shot.strength) for shot, end in zip(ordered, ends, strict=False))


# --- single values; ValueError says what to write ----------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool) or str(value) == "":
        raise ValueError(f"{value!r} is no text; write a name, in quotes if it looks like something else")
    return str(value)


def _optional_text(value: Any) -> str:
    return "" if value is None else str(value)


def _number(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{value!r} is no number between {low:g} and {high:g}")
    return float(value)


def _or_auto(value: Any, low: float, high: float) -> float | None:
    if value is None or value == AUTO:
        return None
    try:
        return _number(value, low, high)
    except ValueError as err:
        raise ValueError(f"{err}, nor auto") from None


def _integer(value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{value!r} is no whole number between {low} and {high}")
    return value


def _take(value: Any) -> int | None:
    if value is None or value == AUTO:
        return None
    try:
        return _integer(value, 1, MAX_TAKES)
    except ValueError as err:
        raise ValueError(f"{err}, nor auto") from None


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _key(value: Any) -> str | None:
    if value is None or value == AUTO:
        return None
    check_key(_text(value))
    return str(value)


def _exports(value: Any) -> tuple[str, ...]:
    text = ",".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    return tuple(_choice(name, EXPORTS) for name in parse_exports(text))


def _choice(value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        close = difflib.get_close_matches(str(value), choices, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(choices)}"
        raise ValueError(f"{value!r} is unknown; {remedy}")
    return str(value)

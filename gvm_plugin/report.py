"""The page of a folder: what was done to every film, seen and heard. One HTML file that asks nothing of the network.

`VideoReport` is what is known of one film when its work is over; it keeps as JSON, so that a film which needn't be
scored again still has its place on the page. `report_view` turns it into what the template draws.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

from core.errors import DeliveryError
from gvm_plugin.choose import Choice
from gvm_plugin.cuesheet import Cue
from gvm_plugin.ducking import Keyframe
from gvm_plugin.measure import CURVE_POINTS, Curve, Measures
from gvm_plugin.onsets import Float64
from gvm_plugin.timeline import Shot, Span

FORMAT: Final = 1  # of the JSON

Status = Literal["ok", "failed", "skipped"]
Kind = Literal["video", "music", "sheet", "midi", "stem", "other"]


@dataclass(frozen=True)
class OutputFile:
    """A delivered file. path: relative to the page, with forward slashes."""

    kind: Kind
    path: str
    label: str = ""


@dataclass(frozen=True)
class VideoReport:
    """What is known of one film when its work is over. Times in seconds of the film.

    name        the file's name below the folder, as it is on disk
    status      ok, failed (see error and remedy) or skipped (error says why)
    outputs     what was delivered
    picture     a few words on the stream, such as "1280 × 720, 29.97 fps"
    thumbnails  (seconds, JPEG bytes)
    cues        as made: with the tempo, key and seed that were used
    music       stretches where the original already has music
    ducking     gain of the music in the mix
    activity    how much the picture moves (see `curve`)
    measures    what was measured on the result
    timings     seconds spent, by stage
    choices     which take each cue got, what is known of the others, and why
    """

    name: str
    status: Status = "ok"
    outputs: tuple[OutputFile, ...] = ()
    error: str = ""
    remedy: str = ""
    duration: float = 0.0
    picture: str = ""
    thumbnails: tuple[tuple[float, bytes], ...] = ()
    shots: tuple[Shot, ...] = ()
    cues: tuple[Cue, ...] = ()
    speech: tuple[Span, ...] = ()
    music: tuple[Span, ...] = ()
    ducking: tuple[Keyframe, ...] = ()
    activity: Curve | None = None
    measures: Measures | None = None
    target_lufs: float | None = None
    ceiling_dbtp: float = -1.0
    warnings: tuple[str, ...] = ()
    model: str = ""
    licence: str = ""
    commercial_use: bool = True
    weights_sha256: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()

    def to_json(self) -> str:
        """The report as JSON text; thumbnails in base64."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, default=_encode, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> VideoReport:
        """The report that `to_json` wrote. ValueError if it is of another format or broken."""
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise ValueError(f"report format {data['format']} is not {FORMAT}")
            report = _decode(cls, data)
        except (KeyError, TypeError, AttributeError) as err:
            raise ValueError(f"not a film's report ({err!r})") from err
        assert isinstance(report, VideoReport)
        return report


def curve(times: Sequence[float] | Float64, values: Sequence[float] | Float64) -> Curve | None:
    """`values` at `times` (seconds, rising) as a Curve of at most CURVE_POINTS points; None for fewer than two."""
    import numpy as np

    if len(times) < 2:
        return None
    x, y = np.asarray(times, np.float64), np.asarray(values, np.float64)
    if len(x) > CURVE_POINTS:  # means of equal shares, so that no peak falls between the points
        edges = np.linspace(0, len(x), CURVE_POINTS + 1).astype(int)
        x, y = (np.add.reduceat(each, edges[:-1]) / np.diff(edges) for each in (x, y))
    at = np.linspace(x[0], x[-1], len(x))
    return Curve(float(at[0]), float(at[1] - at[0]), tuple(float(f"{value:.4g}") for value in np.interp(at, x, y)))


def write_report(videos: Sequence[VideoReport], path: Path, title: str = "") -> None:
    """Write the page of `videos` to `path`, complete or not at all. title: as a rule the folder's name.

    Players and links point to each film's outputs relative to the page.
    """
    from jinja2 import Environment, StrictUndefined

    from gvm_plugin.report_view import page

    template = files("gvm_plugin").joinpath("report_template.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    html = environment.from_string(template).render(page(videos, title, _version()))
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(html.encode("utf-8", "replace"))
        os.replace(partial, path)
    except OSError as err:
        raise DeliveryError(f"{path}: can't be written ({err.strerror}); check folder and disk space") from err
    finally:
        partial.unlink(missing_ok=True)


def _version() -> str:
    try:
        return version("gvm")
    except PackageNotFoundError:
        return "from source"


def _encode(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"{type(value).__name__} has no place in a report")


def _decode(kind: Any, value: Any) -> Any:
    """`value`, as JSON gave it, as the type `kind`: a dataclass, tuple, mapping, optional, bytes or plain value."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _decode(inner[0], value)
    if origin is tuple:
        kinds = (inner[0],) * len(value) if inner[-1] is Ellipsis else inner
        return tuple(_decode(each, part) for each, part in zip(kinds, value, strict=True))
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return kind(**{name: _decode(hint, value[name]) for name, hint in _hints(kind).items()})
    return base64.b64decode(value) if kind is bytes else value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)

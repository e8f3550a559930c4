"""SPINE of the hand-off: a finished score -> the files that other editors read, still in the work folder.

    describe the film -> write the takes -> build the edit -> write it in every format asked for

OUT/NAME.export/NAME.otio, NAME.fcpxml, NAME.xml, NAME.edl, NAME.markers.edl      the edit
OUT/NAME.export/NAME.CUE.take1.wav                                               every take of every cue
OUT/NAME.export/NAME.cue-sheet.csv, NAME.cue-sheet.html                          for broadcasters
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.errors import DeliveryError
from gvm_plugin import __version__
from gvm_plugin.handoff import cue_files, cue_list
from gvm_plugin.handoff.broadcast_wave import Stamp, stamp_file
from gvm_plugin.handoff.build import Scored, build
from gvm_plugin.handoff.edl import to_edl, to_marker_edl
from gvm_plugin.handoff.fcpxml import to_fcpxml
from gvm_plugin.handoff.otio import to_otio
from gvm_plugin.handoff.source import Film
from gvm_plugin.handoff.xmeml import to_xmeml

if TYPE_CHECKING:
    from gvm_plugin.handoff.timeline_doc import Timeline

TIMELINES: Final[dict[str, dict[str, Callable[[Timeline], str]]]] = {  # format -> suffix -> what writes it
    "otio": {".otio": to_otio},
    "fcpxml": {".fcpxml": to_fcpxml},
    "xmeml": {".xml": to_xmeml},
    "edl": {".edl": to_edl, ".markers.edl": to_marker_edl},
}


_SUFFIXES: Final = (*(end for writers in TIMELINES.values() for end in writers), ".cue-sheet.csv", ".cue-sheet.html")


@dataclass(frozen=True)
class Target:
    """Where it will lie: `folder`/`name`..., and where it is made."""

    folder: Path
    name: str
    work: Path


def export(scored: Scored, film: Film, target: Target, provenance: Mapping[str, Any]) -> dict[str, Path]:
    """Write what the sheet's `export` asks for to `target.work`; file name -> path, what an editor opens first."""
    from gvm_plugin.mix import MixSettings

    sheet, asked = scored.sheet, scored.sheet.settings.export
    written: dict[str, Path] = {}
    if any(format_ in TIMELINES for format_ in asked):
        usual = MixSettings()
        names = cue_files.file_names(sheet, scored.takes, target.name)
        gain_db = scored.mixed.music_gain_db + scored.mixed.gain_db
        ceiling = usual.ceiling_dbtp - usual.codec_headroom_db
        stamps = {
            (cue.id, number): _stamp(
                cue_files.sample_of(film, cue_files.place(cue, sheet, film).start),
                f"Cue {cue.id}, take {number}, of {film.path.name}. {scored.model}, {scored.licence}",
                scored.takes[cue.id, number].folder.name,
                provenance,
            )
            for cue in sheet.sounding
            for id_, number in names
            if id_ == cue.id
        }
        timeline = build(scored, film, names, target.folder.resolve())
        for format_ in (format_ for format_ in TIMELINES if format_ in asked):
            for suffix, write in TIMELINES[format_].items():
                written |= _write(target, target.name + suffix, write(timeline))
        written |= cue_files.write_takes(sheet, scored.takes, names, film, gain_db, ceiling, target.work, stamps)
    if "csv" in asked:
        lines = cue_list.entries(sheet, film, scored.model, scored.licence)
        weights = str(provenance["model"]["weights_sha256"])
        date = str(provenance["date"])[:10]
        written |= _write(target, f"{target.name}.cue-sheet.csv", cue_list.to_csv(lines, film.path.stem))
        page = cue_list.to_html(lines, film, sheet.duration, date, weights)
        written |= _write(target, f"{target.name}.cue-sheet.html", page)
    return written


def is_ours(name: str, film_name: str) -> bool:
    """Is a file in the folder one that an export of this film wrote? What an editor saves beside them isn't."""
    if name in {f"{film_name}{suffix}" for suffix in _SUFFIXES}:
        return True
    return re.fullmatch(rf"{re.escape(film_name)}\..+\.take\d+\.wav", name) is not None


def stamp_stems(stems: Mapping[str, Path], film: Film, licence: str, provenance: Mapping[str, Any]) -> dict[str, Path]:
    """The stems with the film's start as their time stamp, in the place of those without."""
    stamped: dict[str, Path] = {}
    for name, path in stems.items():
        description = f"Stem {name} of the music of {film.path.name}. {provenance['model']['name']}, {licence}"
        reference = f"{film.path.stem}.{name}"
        stamped[name] = path.with_name(f"{path.stem}.stamped.wav")
        stamp_file(path, stamped[name], _stamp(cue_files.sample_of(film, 0), description, reference, provenance))
        path.unlink()
    return stamped


def _stamp(time_reference: int, description: str, reference: str, provenance: Mapping[str, Any]) -> Stamp:
    date, _, time = str(provenance["date"]).partition("T")
    return Stamp(time_reference, description, f"gvm {__version__}", reference, date, time[:8])


def _write(target: Target, name: str, text: str) -> dict[str, Path]:
    path = target.work / name
    try:
        path.write_text(text, encoding="utf-8", errors="replace", newline="")
    except OSError as err:
        raise DeliveryError(f"{target.folder}: can't be written ({err.strerror}); check rights and free space") from err
    return {name: path}

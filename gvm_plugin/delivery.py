"""Finished work -> its place: film, music, stems, notes, alternatives, cue sheet, and what there is to tell of it."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import DeliveryError
from gvm_plugin import __version__, cuesheet, cuesheet_reader
from gvm_plugin.cache import content_key
from gvm_plugin.choose import circumstances
from gvm_plugin.cuesheet import Cue, CueSheet
from gvm_plugin.generators import MusicGenerator
from gvm_plugin.outputs import Outputs, file_names
from gvm_plugin.takes import Takes, chosen_takes

if TYPE_CHECKING:
    from gvm_plugin.analysis import Analysis
    from gvm_plugin.choose import Choice
    from gvm_plugin.measure import Measures
    from gvm_plugin.mix import MixReport
    from gvm_plugin.report import OutputFile, VideoReport

log = logging.getLogger(__name__)

_WRITTEN = "sheet"  # of the provenance: the key of the sheet as gvm wrote it


@dataclass(frozen=True, eq=False)
class Finished:
    """All that was made of one film, still in its work folder.

    film: the muxed film, None if only the music was asked for. edited: the sheet of a person, which keeps its text.
    exported: files for other editors, by name. choices: which take each cue got, and why. asked: the takes by cue, as
    the sheet named them.
    """

    sheet: CueSheet
    takes: Takes
    mixed: MixReport
    film: Path | None
    edited: Path | None
    exported: Mapping[str, Path] = field(default_factory=dict)
    choices: Sequence[Choice] = ()
    asked: Mapping[str, int | None] = field(default_factory=dict)


def deliver(finished: Finished, outputs: Outputs) -> tuple[OutputFile, ...]:
    """Everything moved into its place, the film last: where it lies, the rest does too."""
    from gvm_plugin.report import OutputFile

    sheet, takes = finished.sheet, finished.takes
    scratch = finished.mixed.music.with_name("scratch")
    files = [OutputFile("music", _move(finished.mixed.music, outputs.music))]
    stems = _fill(outputs.stems, {f"{name}.wav": path for name, path in finished.mixed.stems.items()}, scratch)
    files += [OutputFile("stem", name, Path(name).stem) for name in stems]
    names = file_names([cue.id for cue in sheet.sounding])
    notes = {f"{names[cue.id]}.mid": take.midi for cue, take in chosen_takes(sheet, takes) if sheet.settings.midi}
    written = _fill(outputs.midi, {name: data for name, data in notes.items() if data is not None}, scratch)
    files += [OutputFile("midi", name, f"MIDI {Path(name).stem}") for name in written]
    several = sheet.settings.takes > 1
    alternatives = {f"{names[cue]}.take{n}.wav": take.music for (cue, n), take in takes.items() if several}
    written = _fill(outputs.takes, alternatives, scratch, copy=True)
    files += [OutputFile("other", name, Path(name).stem) for name in written]
    if finished.exported:  # else what an editor may have open by now stays as it is
        from gvm_plugin.handoff.export import is_ours

        written = _fill(outputs.export, finished.exported, scratch, ours=lambda name: is_ours(name, outputs.name))
        files += [OutputFile("other", name, Path(name).name) for name in written]
    if finished.edited is None or finished.edited.absolute() != outputs.sheet.absolute():
        cuesheet.write(sheet, outputs.sheet)
    else:
        _update_sheet(finished, finished.edited)
    files.append(OutputFile("sheet", outputs.sheet.name))
    if finished.film is not None:
        files.insert(0, OutputFile("video", _move(finished.film, outputs.film)))
    return tuple(files)


def sheet_key(sheet: CueSheet) -> str:
    """Stands for what the sheet asks for, however it is written."""
    return content_key(asdict(replace(sheet, provenance={})))


def is_as_written(sheet: CueSheet) -> bool:
    """Whether a sheet that was read still says what gvm wrote: after a kill no record may tell of it."""
    return sheet.provenance.get(_WRITTEN) == sheet_key(sheet)


def signed(sheet: CueSheet) -> CueSheet:
    """The sheet with its own key in its provenance; of the sheet as it is read, where numbers are rounded."""
    as_read = cuesheet_reader.from_yaml(cuesheet.to_yaml(sheet), "cue sheet")
    return replace(sheet, provenance={**sheet.provenance, _WRITTEN: sheet_key(as_read)})


def _update_sheet(finished: Finished, path: Path) -> None:
    """Write into a person's sheet where the score came from and which takes were chosen; a warning where one can't."""
    takes = {cue.id: (finished.asked.get(cue.id), cue.take) for cue in finished.sheet.cues}
    problem = cuesheet.update(path, finished.sheet.provenance, takes)
    if problem:
        log.warning("%s", problem)


def provenance(
    sheet: CueSheet, takes: Takes, generator: MusicGenerator, choices: Sequence[Choice] = ()
) -> dict[str, Any]:
    """Where the score comes from: plain values for the sheet. What was asked stands in the sheet itself."""
    ranking = {choice.cue: choice.to_json() for choice in choices}
    return {
        "gvm": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": {
            "name": generator.name,
            "licence": generator.licence,
            "commercial_use": generator.commercial_use,
            "weights_sha256": generator.weights_sha256,
        },
        "choosing": circumstances(sheet.settings),
        "cues": {
            cue.id: {
                "tempo": round(float(take.info["tempo"]), 3),
                "key": take.info["key"],
                "take": take.folder.name,
                **take.info["notes"],
                **({"ranking": ranking[cue.id]} if cue.id in ranking else {}),
            }
            for cue, take in chosen_takes(sheet, takes)
        },
    }


def report_of(
    video: Path,
    analysis: Analysis,
    finished: Finished,
    measures: Measures,
    generator: MusicGenerator,
    outputs: Sequence[OutputFile],
    warnings: Sequence[str],
    timings: Mapping[str, float],
) -> VideoReport:
    """What the page of the folder says of this film."""
    from gvm_plugin.report import VideoReport, curve

    sheet, info = finished.sheet, analysis.info
    width, height = info.shown_size
    return VideoReport(
        name=video.name,
        outputs=tuple(outputs),
        duration=analysis.duration,
        picture=f"{width} × {height}, {float(info.average_rate):.5g} fps{' (variable)' if info.variable_rate else ''}",
        thumbnails=analysis.thumbnails,
        shots=sheet.shots,
        cues=cues_as_played(sheet, finished.takes, generator),
        speech=sheet.speech,
        music=sheet.music,
        ducking=finished.mixed.keyframes,
        activity=curve(analysis.activity_times.tolist(), analysis.activity.tolist()),
        measures=measures,
        target_lufs=sheet.settings.lufs,
        warnings=tuple(warnings),
        model=generator.name,
        licence=generator.licence,
        commercial_use=generator.commercial_use,
        weights_sha256=generator.weights_sha256,
        timings=timings,
        choices=tuple(finished.choices),
    )


def cues_as_played(sheet: CueSheet, takes: Takes, generator: MusicGenerator) -> tuple[Cue, ...]:
    """The sheet's cues with the tempo and key of their takes; what the model didn't know of a cue isn't said of it."""
    played = {cue.id: take.info for cue, take in chosen_takes(sheet, takes)}
    unheard: dict[str, Any] = {"mood": None, "energy": None} if "mood" in generator.ignores else {}
    if "style" in generator.ignores:
        unheard["style"] = generator.name
    return tuple(
        replace(
            cue,
            tempo=float(played[cue.id]["tempo"]),
            key=str(played[cue.id]["key"]),
            reason="; ".join(filter(None, [cue.reason, told_of_beats(played[cue.id]["notes"])])),
            **unheard,
        )
        if cue.id in played
        else cue
        for cue in sheet.cues
    )


def told_of_beats(notes: Mapping[str, Any]) -> str:
    """What became of the beats of a take whose model knows none; empty where it was written to a grid."""
    beats = notes.get("beats")
    if not isinstance(beats, Mapping):
        return str(beats or "")
    told = f"time bent by up to {beats['stretch_percent']:.1f} %" if beats["stretch_percent"] else "time as it was"
    if "hits" not in beats:
        return told
    return (
        f"{told}: {beats['on_beat']} of {beats['hits']} hit points within 20 ms of a beat, "
        f"median {beats['median_error_ms']:.0f} ms, unbent {beats['median_error_ms_unbent']:.0f} ms"
    )


def _move(source: Path, target: Path) -> str:
    """Put `source` in the place of `target`; the name there."""
    try:
        os.replace(source, target)
    except OSError as err:
        raise DeliveryError(f"{target}: can't be written ({err.strerror}); check folder and rights") from err
    return target.name


def _is_sound(name: str) -> bool:
    return name.endswith((".wav", ".mid"))


def _fill(
    folder: Path,
    files: Mapping[str, Path | bytes],
    scratch: Path,
    copy: bool = False,
    ours: Callable[[str], bool] = _is_sound,
) -> list[str]:
    """Put `files` into `folder`, in the place of what we had there before; FOLDER/NAME of each.

    scratch: a file that what has to be written is written to first, so that nothing half lies under its name.
    ours: tells by its name what we had there.
    """
    try:
        if folder.is_dir():
            for old in folder.iterdir():
                if ours(old.name) and old.name not in files:
                    old.unlink()
            if not files and not any(folder.iterdir()):
                folder.rmdir()
        if files:
            folder.mkdir(parents=True, exist_ok=True)
        for name, source in files.items():
            if isinstance(source, bytes):
                scratch.write_bytes(source)
            elif copy:
                shutil.copyfile(source, scratch)
            os.replace(scratch if copy or isinstance(source, bytes) else source, folder / name)
    except OSError as err:
        raise DeliveryError(f"{folder}: can't be written ({err.strerror}); check rights and free space") from err
    return [f"{folder.name}/{name}" for name in files]

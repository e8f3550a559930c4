"""The editable text file of one film, NAME.cues.yaml: what it says, and how it is written for people.

A sheet is everything `gvm render` needs besides the film: its shots, speech and existing music as analysis found
them, its cues as spotting decided and a person may change, the settings of the mix, and where it all came from.
Times are exact to the microsecond and written m:ss.mmm. `cuesheet_reader` reads it back.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from core.errors import DeliveryError
from gvm_plugin.options import AUTO, STYLES
from gvm_plugin.timeline import HitPoint, Shot, Span

VERSION: Final = 1
SUFFIX: Final = ".cues.yaml"
MINOR_MOOD: Final = -0.3  # models tell minor from major by the mood; from here down it is minor
MAJOR_MOOD: Final = 0.2  # and from here up major


@dataclass(frozen=True)
class Cue:
    """One continuous piece of music, or (silent) a stretch that has none. None lets the model decide.

    mood -1..1, energy 0..1, tempo in beats per minute; take counts from 1 (None: gvm chooses, see `picking`); hits in
    film seconds, in order.
    """

    id: str
    span: Span
    style: str
    mood: float | None = None
    energy: float | None = None
    tempo: float | None = None
    key: str | None = None
    seed: int = 0
    take: int | None = None
    silent: bool = False
    hits: tuple[HitPoint, ...] = ()
    reason: str = ""

    @property
    def valence(self) -> float | None:
        """The mood as a model is asked for it: in a minor key never brighter than MINOR_MOOD."""
        if self.key is None or not self.key.endswith("m"):
            return self.mood
        return MINOR_MOOD if self.mood is None else min(self.mood, MINOR_MOOD)


@dataclass(frozen=True)
class Settings:
    """How the cues become a delivered film. Every name is one of ScoreOptions and means the same there."""

    model: str = "starter"
    precision: str = AUTO
    decoder: str = "encodec"
    no_nudge: bool = False
    lufs: float = -14.0
    duck: float = 12.0
    original: str = "keep"
    crossfade: float = 0.5
    seed: int = 0
    takes: int = 1
    pick: str = "first"
    no_gate: bool = False
    music_only: bool = False
    separate_track: bool = False
    stems: bool = False
    midi: bool = False
    export: tuple[str, ...] = ()
    identity: str | None = None
    soundfont: str | None = None


@dataclass(frozen=True)
class CueSheet:
    """One film's cue sheet.

    video: the film's path, relative to the sheet. sha256: of the film's bytes. duration: seconds of its picture.
    music: stretches where the original already has music. provenance: plain values, see `provenance` in the file.
    """

    video: str
    sha256: str
    duration: float
    cues: tuple[Cue, ...]
    settings: Settings = Settings()
    shots: tuple[Shot, ...] = ()
    speech: tuple[Span, ...] = ()
    music: tuple[Span, ...] = ()
    warnings: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sounding(self) -> tuple[Cue, ...]:
        """The cues that are not silent."""
        return tuple(cue for cue in self.cues if not cue.silent)


def quantise(seconds: float) -> float:
    """`seconds` on the microsecond grid that a sheet can say."""
    return round(seconds * 1_000_000) / 1_000_000


def format_time(seconds: float) -> str:
    """m:ss.mmm, with up to six decimals where three would lose something."""
    micros = round(seconds * 1_000_000)
    minutes, rest = divmod(micros, 60_000_000)
    text = f"{minutes}:{rest // 1_000_000:02d}.{rest % 1_000_000:06d}"
    return text[:-3] + text[-3:].rstrip("0")


_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d{1,2}(?:\.\d*)?)")


def parse_time(value: object) -> float:
    """Seconds of `1:02.5`, `1:02:03.25`, `62.5` or the number 62.5; ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is no time; write 1:02.500 or seconds")
    clock = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if clock:
        seconds = float(clock[3])
        if seconds >= 60 or (clock[1] and int(clock[2]) >= 60):
            raise ValueError(f"{value!r} is no time: minutes and seconds go up to 59 after a colon")
        return quantise(int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + seconds)
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"{value!r} is no time; write 1:02.500 or seconds") from None
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{value!r} is no time within the film; write 1:02.500 or seconds")
    return quantise(number)


# --- writing -----------------------------------------------------------------------------------------------------

_HEAD = """\
Cue sheet of gvm: what music stands where in one film, and why. Edit it and run
    gvm render {name}
Only cues that you change are made again; the others stay bit-identical. Times are m:ss.mmm (or seconds) after the
first frame. Only gvm_cue_sheet, video and a cue's id, in and out must be there. More: README, "Cue sheet".
"""
_NOTES: Final[dict[str, str]] = {
    "video": "The film. Its path is relative to this sheet; the sha256 tells whether it is still the same film.",
    "settings": "How the cues become the delivered film: the same names as the options of `gvm score`.",
    "cues": """\
The cues, in the order of the film; where there is none, there is no music.
  id          a name of your choice, each once
  in, out     where the cue begins (a bar line falls there) and ends (a real ending, or a join with the next cue)
  style       {styles}
  mood        -1 dark or sad .. 1 bright or happy; auto leaves it to the model
  energy      0 calm .. 1 driving; auto
  tempo       beats per minute; auto lets it fit the hit points
  key         C, F#, Bb, Am ...; auto. An m makes it minor; without one the mood decides
  seed        another number, other music
  take        which of the alternatives is used, counted from 1; auto: the first, or the best, that isn't faulty.
              gvm writes here which one it chose: that holds until the cue is changed, a number of yours for good
  silent      true: no music here
  hits        [moment, strength]: what the music marks; strength 0..1, from 0.5 up the whole orchestra does
  reason      why this cue is here; for the reader only""",
    "shots": "What analysis found. Shots: [start, how hard the cut into it is 0..1].",
    "speech": "Where somebody speaks, [from, to]: the music goes down there, and plays no lead.",
    "music": "Where the film already has music, [from, to].",
    "warnings": "What you should know about this film.",
    "provenance": "Where the score came from, and which takes gvm chose itself. Written by gvm.",
}
_SETTING_NOTES: Final[dict[str, str]] = {
    "model": "gvm models lists them",
    "precision": "of a large model's weights: auto, fp32, bf16, fp16 or int8",
    "decoder": "encodec, or mbd: finer sound of a waveform model, slow",
    "no_nudge": "true: a waveform model's time isn't bent to put beats on strong cuts",
    "lufs": "loudness of the mix: web -14, podcast -16, broadcast -23",
    "duck": "how many dB the music goes down under speech; 0: not at all",
    "original": "keep or replace the film's own sound",
    "crossfade": "seconds, where two cues meet",
    "seed": "of the film: which orchestra plays all its cues, and round which key",
    "takes": "alternatives to make of each cue",
    "pick": "first or best: which of them a cue with take: auto gets",
    "no_gate": "true: also a faulty one",
    "music_only": "true: deliver the music, no film",
    "separate_track": "true: the score becomes a second audio track",
    "stems": "true: also the groups of instruments apart",
    "midi": "true: also the notes as MIDI",
    "export": "files for other editors: otio, fcpxml, xmeml, edl, csv; or none",
    "identity": "folder of a channel, whose orchestra, key and motif this film shares; or none",
    "soundfont": "an SF2 or SF3 file to play the notes, or none",
}


def derive_seed(base: int, sha256: str, part: int | str) -> int:
    """31-bit seed of a part of a film, e.g. a cue's index; other films, parts and base seeds give others."""
    return int.from_bytes(hashlib.sha256(f"{base} {sha256} {part}".encode()).digest()[:4]) >> 1


def write(sheet: CueSheet, path: Path) -> None:
    """Write `sheet` to `path`, complete or not at all."""
    _replace_text(path, to_yaml(sheet, path.name))


def to_yaml(sheet: CueSheet, name: str = "film.cues.yaml") -> str:
    """The text of `sheet`, with a comment on every field."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    def flow(items: Iterable[Any]) -> Any:
        sequence = CommentedSeq(items)
        sequence.fa.set_flow_style()
        return sequence

    def spans(items: Iterable[Span]) -> list[Any]:
        return [flow((format_time(span.start), format_time(span.end))) for span in items]

    settings = CommentedMap((f.name, _plain(getattr(sheet.settings, f.name))) for f in fields(Settings))
    for key, note in _SETTING_NOTES.items():
        settings.yaml_add_eol_comment(note, key, column=28)
    document = CommentedMap(
        gvm_cue_sheet=VERSION,
        video={"file": sheet.video, "sha256": sheet.sha256, "duration": format_time(sheet.duration)},
        settings=settings,
        cues=[_cue_map(cue, flow) for cue in sheet.cues],
        shots=[flow((format_time(shot.span.start), shot.cut_strength)) for shot in sheet.shots],
        speech=spans(sheet.speech),
        music=spans(sheet.music),
        warnings=list(sheet.warnings),
        provenance=dict(sheet.provenance),
    )
    document.yaml_set_start_comment(_HEAD.format(name=name if name.isprintable() else repr(name)))
    for key, note in _NOTES.items():
        comment = "\n" + note.format(styles=", ".join(STYLES))
        document.yaml_set_comment_before_after_key(key, before=comment)
    buffer = io.StringIO()
    yaml_parser().dump(document, buffer)
    return buffer.getvalue()


def update(
    path: Path, provenance: Mapping[str, Any], takes: Mapping[str, tuple[int | None, int | None]] | None = None
) -> str:
    """Write `provenance` into the sheet at `path`, leaving all else, also a person's comments, as it stands.

    takes: by a cue's id the (old, new) number of its take, which is written too where the old one still stands there.
    The sheet may have been edited since it was read: what is no sheet any more stays as it is, and the line that is
    returned says so; it is empty where all went well.
    """
    from ruamel.yaml.error import YAMLError

    yaml = yaml_parser()
    try:
        document = yaml.load(path.read_text(encoding="utf-8"))
        cues = {str(cue["id"]): cue for cue in document["cues"]}
        document["provenance"] = dict(provenance)
        for name, (old, new) in (takes or {}).items():
            if name in cues and old != new and cues[name].get("take", AUTO) in ({None, AUTO} if old is None else {old}):
                _set_take(cues[name], AUTO if new is None else new)
        buffer = io.StringIO()
        yaml.dump(document, buffer)
    except (OSError, YAMLError, ValueError, LookupError, TypeError, AttributeError):
        return f"{path}: was changed while it was rendered, and can't be read now; mend it and run `gvm render` again"
    _replace_text(path, buffer.getvalue())
    return ""


def _set_take(cue: Any, take: int | str) -> None:
    """Set the take of a cue as ruamel has it, behind the id where there was none: what follows may have comments."""
    if "take" in cue:
        cue["take"] = take
    else:
        cue.insert(list(cue).index("id") + 1, "take", take)


def yaml_parser() -> Any:
    """A YAML reader and writer that keeps comments."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 110
    yaml.allow_unicode = True
    return yaml


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        value = ", ".join(value)
    return "none" if value in (None, "") else value


def _cue_map(cue: Cue, flow: Callable[[Iterable[Any]], Any]) -> dict[str, Any]:
    def auto(value: Any) -> Any:
        return AUTO if value is None else value

    return {
        "id": cue.id,
        "in": format_time(cue.span.start),
        "out": format_time(cue.span.end),
        "style": cue.style,
        "mood": auto(cue.mood),
        "energy": auto(cue.energy),
        "tempo": auto(cue.tempo),
        "key": auto(cue.key),
        "seed": cue.seed,
        "take": auto(cue.take),
        "silent": cue.silent,
        "reason": cue.reason,
        "hits": [flow((format_time(hit.seconds), hit.strength)) for hit in cue.hits],
    }


def _replace_text(path: Path, text: str) -> None:
    # Short whatever the sheet is called, and the same again after a kill: the next run overwrites what was left.
    partial = path.with_name(f".gvm-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as err:
        partial.unlink(missing_ok=True)
        raise DeliveryError(
            f"{path}: can't write the cue sheet ({err.strerror}); choose a folder you may write to"
        ) from err

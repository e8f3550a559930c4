"""Cue sheet, mix and film -> the edit: the film's own tracks untouched, the music's beside them, hit points as markers.

The film's own clips get no level at all, so the music's clips carry what sets them against it: the mix raised
everything by one gain, and that is taken off them here. `Timeline.master_gain_db` says what it was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gvm_plugin.ducking import Keyframe, duck
from gvm_plugin.handoff.cue_files import Place, media_of, place
from gvm_plugin.handoff.source import Film
from gvm_plugin.handoff.timeline_doc import (
    Clip,
    Key,
    Marker,
    Media,
    Timeline,
    Track,
    ducking_at,
    lay_out,
    printable,
)
from gvm_plugin.timeline import SAMPLE_RATE

if TYPE_CHECKING:
    from gvm_plugin.crossfade import Placement
    from gvm_plugin.cuesheet import Cue, CueSheet
    from gvm_plugin.mix import MixReport
    from gvm_plugin.takes import TakeId, Takes

STRONG: Final = 0.5  # strength of a hit from which on the whole orchestra marks it
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, eq=False)
class Scored:
    """What the edit is made of. placed: where each sounding cue sounds; model: who wrote the music."""

    sheet: CueSheet
    takes: Takes
    placed: Sequence[Placement]
    mixed: MixReport
    model: str
    licence: str


def build(scored: Scored, film: Film, names: Mapping[TakeId, str], folder: Path) -> Timeline:
    """The edit. names: of the take files that lie, or will lie, in `folder`."""
    sheet, settings = scored.sheet, scored.sheet.settings
    with_sound = settings.original == "keep" and film.channels > 0
    # Where no film is delivered, the music was mixed as if alone; the editor has the film all the same.
    music_alone = settings.music_only and with_sound
    ducking = duck(sheet.speech, sheet.duration, settings.duck) if music_alone else scored.mixed.keyframes
    volume_db = -scored.mixed.gain_db if with_sound and not music_alone else 0.0
    media = Media(film.path, film.start, film.frames, film.width, film.height, film.channels, film.audio_rate)
    whole = Clip(media.name, media, 0, film.frames)
    tracks = [Track("Picture", "picture", (whole,))]
    if film.channels:
        tracks.append(Track("Original sound", "sound", (replace(whole, enabled=with_sound),)))

    spans = _on_frames(scored.placed, film)
    chosen: list[Clip] = []
    others: list[Clip] = []
    for cue, span in zip(sheet.sounding, spans, strict=True):
        keys = _keys(ducking, span, film)
        for (id_, number), name in names.items():
            if id_ != cue.id:
                continue
            clip = _clip(scored, cue, number, span, place(cue, sheet, film), film, folder / name)
            clip = replace(clip, volume_db=round(volume_db, 2), keys=keys, enabled=number == cue.take)
            (chosen if number == cue.take else others).append(clip)
    tracks += _tracks("Music", "music", chosen)
    deepest = max((sum(clip.facts["cue"] == cue.id for clip in others) for cue in sheet.sounding), default=0)
    for row in range(deepest):
        each = [[clip for clip in others if clip.facts["cue"] == cue.id][row : row + 1] for cue in sheet.sounding]
        tracks += _tracks(f"Other takes {row + 1}", "takes", [clip for clips in each for clip in clips])
    return Timeline(
        name=f"{printable(film.path.stem)} with music",
        rate=film.rate,
        start=film.start,
        frames=film.frames,
        width=film.width,
        height=film.height,
        tracks=tuple(tracks),
        markers=_markers(sheet, film),
        master_gain_db=round(scored.mixed.gain_db, 2) if volume_db else 0.0,
        note=_note(scored, volume_db),
    )


def _clip(scored: Scored, cue: Cue, number: int, span: _Frames, where: Place, film: Film, path: Path) -> Clip:
    info = scored.takes[cue.id, number].info
    return Clip(
        name=printable(path.stem),
        media=media_of(path, where, film),
        start=span.start,
        frames=span.end - span.start,
        source=span.start - where.start,
        fade_in=span.fade_in,
        fade_out=span.fade_out,
        facts={
            "cue": cue.id,
            "take": number,
            "style": cue.style,
            "tempo": round(float(info["tempo"]), 3),
            "key": str(info["key"]),
            "seed": cue.seed,
            "model": scored.model,
            "licence": scored.licence,
            "reason": cue.reason,
        },
    )


@dataclass(frozen=True)
class _Frames:
    """Where a cue sounds and fades, in frames."""

    start: int
    end: int
    fade_in: int
    fade_out: int


def _on_frames(placed: Sequence[Placement], film: Film) -> list[_Frames]:
    """The placements on whole frames, outwards. Where two cues cross, both fades take all of what they share."""

    def frame(sample: int) -> Fraction:
        return Fraction(sample, SAMPLE_RATE) * film.rate.fps

    spans = []
    for each in placed:
        start, end = math.floor(frame(each.start)), min(math.ceil(frame(each.end)), film.frames)
        end = max(end, start + 1)
        fade_in = math.ceil(frame(each.start + each.fade_in) - start) if each.fade_in else 0
        fade_out = math.ceil(end - frame(each.end - each.fade_out)) if each.fade_out else 0
        spans.append(_Frames(start, end, min(fade_in, end - start), min(max(fade_out, 0), end - start)))
    for index, (before, after) in enumerate(pairwise(placed)):
        if before.end > after.start:
            shared = spans[index].end - spans[index + 1].start
            spans[index] = replace(spans[index], fade_out=shared)
            spans[index + 1] = replace(spans[index + 1], fade_in=shared)
    return spans


def _keys(ducking: Sequence[Keyframe], span: _Frames, film: Film) -> tuple[Key, ...]:
    """The ducking of one clip, with a key at each of its ends; empty where it isn't ducked."""
    keys = list({film.rate.frame(key.seconds): key.gain_db for key in ducking}.items())
    curve = [Key(frame, gain_db) for frame, gain_db in keys]
    inside = [key for key in curve if span.start < key.frame < span.end]
    first, last = (Key(frame, round(ducking_at(curve, frame), 3)) for frame in (span.start, span.end))
    whole = (first, *inside, last)
    return whole if any(key.gain_db for key in whole) else ()


def _tracks(name: str, kind: str, clips: Sequence[Clip]) -> list[Track]:
    rows = lay_out(clips)
    letters = [f" {_LETTERS[row % 26]}{row // 26 or ''}" if len(rows) > 1 else "" for row in range(len(rows))]
    return [
        Track(name + letter, "music" if kind == "music" else "takes", tuple(row))
        for letter, row in zip(letters, rows, strict=True)
    ]


def _markers(sheet: CueSheet, film: Film) -> tuple[Marker, ...]:
    """A marker on the frame that shows each hit point; two on one frame are one."""
    markers: dict[int, Marker] = {}
    for cue in sheet.sounding:
        for number, hit in enumerate(cue.hits, 1):
            frame = min(film.rate.frame(hit.seconds), film.frames - 1)
            strong = hit.strength >= STRONG
            marker = Marker(frame, f"{printable(cue.id)} hit {number}", f"strength {hit.strength:.2f}", strong)
            if frame not in markers or (strong and not markers[frame].strong):
                markers[frame] = marker
    return tuple(markers[frame] for frame in sorted(markers))


def _note(scored: Scored, volume_db: float) -> str:
    said = f"Music by gvm, model {scored.model}, licence {scored.licence}."
    if not volume_db:
        return said
    lufs = scored.sheet.settings.lufs
    return f"{said} Balanced against the film's own sound as it is; {-volume_db:+.1f} dB on all gives {lufs:g} LUFS."

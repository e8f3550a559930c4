# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker answers -> strips, volume keys and markers. Everything else in the scene stays as it is.

All of it is looked at before anything is changed; the caller makes it one undo step.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import bpy

from . import compat, keys, properties, store

COLOURS = ("COLOR_05", "COLOR_06", "COLOR_04", "COLOR_07")  # of the cues in turn
PLACEHOLDER = "COLOR_09"
HIGHEST_CHANNEL = 128
MARK = "♪"


class NotPlaced(Exception):
    """The answer can't be put into the scene; the message says why."""


# --- a whole score -----------------------------------------------------------------------------------------------


def place_score(scene: Any, score: str, record: store.Record, result: Mapping[str, Any]) -> str:
    """Put a new score, or what changed of one, into the scene; a line that says what was done."""
    check_files(result["cues"])
    gone = set(result.get("gone", ()))
    moved_by = record["first"] - store.scores(scene).get(score, record)["first"]
    done = dict.fromkeys(("new", "changed", "moved", "same"), 0)
    for cue in result["cues"]:
        if cue["change"] in ("same", "moved") and not cue["silent"]:
            continue
        gone.add(cue["id"])
    record["cues"] = [{name: value for name, value in cue.items() if name != "takes"} for cue in result["cues"]]
    for name in gone & {strip[store.CUE] for strip in store.ours(scene, score)}:
        remove_cue(scene, score, name)
    for cue in result["cues"]:
        if cue["silent"]:
            continue
        if cue["change"] in ("same", "moved"):
            frames = moved_by + round((cue["in"] - cue.get("was_in", cue["in"])) * float(record["fps_value"]))
            _keep_cue(scene, score, record, cue, frames)
            done["moved" if frames else "same"] += 1
            continue
        done[cue["change"]] += 1
        _place_cue(scene, score, record, cue)
    place_markers(scene, score, record)
    store.keep(scene, score, _plain(record))
    told = [f"{count} {name}" for name, count in done.items() if count]
    return ("Cues: " + ", ".join(told)) if told else "No music: the picture has some of its own or is too short"


def place_cue(scene: Any, score: str, record: store.Record, result: Mapping[str, Any], name: str, add: bool) -> str:
    """Put one cue's new takes into the scene. add: beside those it has, which are muted; else in their place."""
    check_files(result["cues"])
    if not any(True for _ in store.ours(scene, score, name)):
        raise NotPlaced(f"cue {name} isn't there any more; its new music is left out")
    shown = scene.sequence_editor.active_strip
    active = shown is not None and (shown.get(store.SCORE), shown.get(store.CUE)) == (score, name)
    for cue in result["cues"]:
        if cue["silent"]:
            continue
        if cue["id"] != name:
            _refresh_cue(scene, score, record, cue)
            continue
        if add:
            for strip in store.takes(scene, score, name):
                strip.mute = True
            _refresh_cue(scene, score, record, cue)
        else:
            remove_cue(scene, score, name)
        _place_cue(scene, score, record, cue)
        if active:
            heard = next(strip for strip in store.takes(scene, score, name) if not strip.mute)
            heard.select, scene.sequence_editor.active_strip = True, heard
        kept = {key: value for key, value in cue.items() if key not in ("takes", "change", "was_in")}
        record["cues"] = [kept if one["id"] == name else one for one in record["cues"]]
    place_markers(scene, score, record)
    store.keep(scene, score, _plain(record))
    return f"Cue {name}: " + ("another take" if add else "made again")


def place_spots(scene: Any, score: str, record: store.Record, result: Mapping[str, Any]) -> str:
    """Put muted colour strips where music would stand, and markers for what it would stress."""
    remove_score(scene, score)
    base = _base_channel(scene, record)
    fps = record["fps_value"]
    for number, cue in enumerate(cue for cue in result["cues"] if not cue["silent"]):
        first, last = (record["first"] + round(cue[edge] * float(fps)) for edge in ("in", "out"))
        channel = free_channel(scene, first, last, base)
        strip = compat.new_effect(
            scene.sequence_editor, _title(record, cue), "COLOR", channel, first, max(first + 1, last)
        )
        strip.mute, strip.color_tag = True, PLACEHOLDER
        strip.color = (0.15, 0.35, 0.3) if number % 2 else (0.2, 0.3, 0.4)
        store.write(strip, score, cue, None, None)
        properties.set_wishes(strip.gvm, cue)
    record["cues"], record["spotted"] = list(result["cues"]), True
    place_markers(scene, score, record, starts=True)
    store.keep(scene, score, _plain(record))
    count = sum(not cue["silent"] for cue in result["cues"])
    return f"{count} cue{'s' * (count != 1)} proposed: move them, then Generate"


def remove_score(scene: Any, score: str) -> None:
    """Take all that a score put into the scene out again."""
    for name in {strip[store.CUE] for strip in store.ours(scene, score)}:
        remove_cue(scene, score, name)
    remove_markers(scene, store.scores(scene).get(score, {}))
    store.keep(scene, score, None)


def check_files(cues: Iterable[Mapping[str, Any]]) -> None:
    """NotPlaced if music that was made isn't there."""
    for cue in cues:
        for take in cue.get("takes") or ():
            if not os.path.isfile(take["file"]):
                raise NotPlaced(f"{take['file']} isn't there any more; score again")


# --- strips ------------------------------------------------------------------------------------------------------


def _place_cue(scene: Any, score: str, record: store.Record, cue: store.Record) -> None:
    base = _base_channel(scene, record)
    before = len(store.takes(scene, score, cue["id"]))
    number = [one["id"] for one in record["cues"]].index(cue["id"])
    for index, take in enumerate(cue["takes"]):
        level = keys.level_of(cue, take, record["fps_value"])
        first, last = record["first"] + level.first, record["first"] + level.last
        channel = free_channel(scene, first, last, base + 2 * (before + index))
        strip = _new_sound(
            scene, _title(record, cue, take), take["file"], channel, record["first"] + take["start_frame"]
        )
        compat.set_extent(strip, first, min(last, compat.end(strip)))
        strip.color_tag, strip.mute = COLOURS[number % len(COLOURS)], index > 0
        written = _set_level(scene, strip, level, record["first"])
        store.write(strip, score, cue, take, written)
        properties.set_wishes(strip.gvm, cue)


def _keep_cue(scene: Any, score: str, record: store.Record, cue: store.Record, frames: int) -> None:
    """A cue whose music stays: moved along if need be, with its fades for its new neighbours."""
    mine = list(store.ours(scene, score, cue["id"]))
    if frames:
        for strip in mine:
            _move(scene, strip, frames, mine)
    _refresh_cue(scene, score, record, cue)


def _refresh_cue(scene: Any, score: str, record: store.Record, cue: store.Record) -> None:
    """New volume keys where fades and ducking are others now, unless the person has changed them by hand."""
    fps = record["fps_value"]
    for strip in store.takes(scene, score, cue["id"]):
        noted = store.data(strip)
        moved = round((float(cue["in"]) - float(noted["cue"]["in"])) * float(fps))
        take = {**noted["take"], "start_frame": noted["take"]["start_frame"] + moved}
        begin = int(compat.content_start(strip)) - take["start_frame"]
        volume, points = noted["keys"]
        expected = [volume, [[frame + moved, value] for frame, value in points]]
        level = keys.level_of(cue, take, fps)
        new = [level.volume, [list(key) for key in level.keys]]
        if new != expected and expected == _read_level(scene, strip, begin):
            first, last = begin + level.first, begin + min(level.last, take["start_frame"] + take["frames"])
            if _is_free(scene, strip, first, last):
                compat.set_extent(strip, first, last)
            expected = _set_level(scene, strip, level, begin)
        store.write(strip, score, cue, take, expected)


def _new_sound(scene: Any, name: str, path: str, channel: int, frame: int) -> Any:
    shown = _as_blender_keeps(path)
    strip = compat.strips(scene.sequence_editor).new_sound(
        name=name, filepath=shown, channel=channel, frame_start=frame
    )
    if strip.sound is None or not getattr(strip.sound, "samplerate", 1):
        _remove(scene, strip)
        raise NotPlaced(f"{path} can't be read by this Blender; score again")
    return strip


def _as_blender_keeps(path: str) -> str:
    """The path relative to the blend file, if that is what the person prefers."""
    if bpy.data.filepath and bpy.context.preferences.filepaths.use_relative_paths:
        with contextlib.suppress(ValueError):  # on another drive
            return bpy.path.relpath(path)
    return path


def _move(scene: Any, strip: Any, frames: int, company: Sequence[Any]) -> None:
    """Move a strip with its keys, to another channel where something is in the way."""
    first, last = compat.start(strip) + frames, compat.end(strip) + frames
    if not _is_free(scene, strip, first, last):
        strip.channel = free_channel(scene, min(first, first - frames), max(last, last - frames), strip.channel)
    found = _curve(scene, strip)
    before = [tuple(point.co) for point in found[0].keyframe_points] if found else []
    compat.shift(strip, frames)
    if found and before and tuple(found[0].keyframe_points[0].co) == before[0]:
        for point in found[0].keyframe_points:
            point.co[0] += frames
            point.handle_left[0] += frames
            point.handle_right[0] += frames
        found[0].update()


def remove_cue(scene: Any, score: str, cue: str) -> None:
    """Take a cue's strips out, with their keys and with sounds nobody else uses."""
    while strip := next(store.ours(scene, score, cue), None):
        _remove(scene, strip)


def _remove(scene: Any, strip: Any) -> None:
    sound = getattr(strip, "sound", None)
    found = _curve(scene, strip)
    if found is not None:
        found[1].remove(found[0])
    parent = strip.parent_meta()
    compat.strips(parent if parent is not None else scene.sequence_editor).remove(strip)
    if sound is not None and sound.users == 0:
        bpy.data.sounds.remove(sound)


def free_channel(scene: Any, first: int, last: int, lowest: int) -> int:
    """The first channel from `lowest` on, else from 1 on, that is free over first..last, unlocked and heard."""
    editor = scene.sequence_editor
    used = {s.channel for s in compat.strips(editor) if compat.start(s) < last and compat.end(s) > first}
    shut = {number for number, channel in enumerate(editor.channels) if channel.lock or channel.mute}
    order = [*range(max(1, lowest), HIGHEST_CHANNEL + 1), *range(1, max(1, lowest))]
    free = next((channel for channel in order if channel not in used | shut), None)
    if free is None:
        raise NotPlaced("no channel of the sequencer is free and unlocked; free one and score again")
    return free


def _is_free(scene: Any, strip: Any, first: int, last: int) -> bool:
    """May the strip have this extent on its channel?"""
    name = strip.name
    return not any(
        other.channel == strip.channel
        and other.name != name
        and compat.start(other) < last
        and compat.end(other) > first
        for other in compat.strips(strip.parent_meta() or scene.sequence_editor)
    )


def _base_channel(scene: Any, record: store.Record) -> int:
    """The first channel above all strips of the person in what is scored."""
    theirs = [
        strip.channel
        for strip in compat.strips(scene.sequence_editor)
        if not store.is_ours(strip) and compat.start(strip) < record["last"] and compat.end(strip) > record["first"]
    ]
    return 1 + max(theirs, default=0)


def _title(record: store.Record, cue: store.Record, take: Mapping[str, Any] | None = None) -> str:
    """A strip's name: which cue, which style, which take."""
    title = f"{MARK} {_cue_name(record, cue)} {cue['style']}"
    return title if take is None or take["number"] == 1 else f"{title} take {take['number']}"


def _cue_name(record: store.Record, cue: store.Record) -> str:
    """A cue's id; with the score's number where there is more than one score."""
    return cue["id"] if record.get("number", 1) == 1 else f"{record['number']}{cue['id']}"


# --- volume ------------------------------------------------------------------------------------------------------


def _curve(scene: Any, strip: Any) -> tuple[Any, Any] | None:
    """(f-curve of a strip's volume, the collection it is in), None without one."""
    path = strip.path_from_id("volume") if hasattr(strip, "volume") else None
    return next((item for item in compat.fcurves(scene) if item[0].data_path == path), None)


def _set_level(scene: Any, strip: Any, level: keys.Level, begin: int) -> list[Any]:
    """Volume, with keys where it changes. begin: the frame that the level's frame 0 is. What was set, to be noted."""
    found = _curve(scene, strip)
    if found is not None:
        found[1].remove(found[0])
    strip.volume = level.volume
    if level.keys:
        curve = compat.new_fcurve(scene, strip.path_from_id("volume"), f"{scene.name} music")
        curve.keyframe_points.add(len(level.keys))
        for point, (frame, value) in zip(curve.keyframe_points, level.keys, strict=True):
            point.co = (begin + frame, value)
            point.interpolation = "LINEAR"
        curve.update()
    return [level.volume, [list(key) for key in level.keys]]


def _read_level(scene: Any, strip: Any, begin: int) -> list[Any]:
    """The volume of a strip as it is now, in the form in which it was noted."""
    found = _curve(scene, strip)
    if found is None:
        return [round(strip.volume, 4), []]
    points = [[round(point.co[0]) - begin, round(point.co[1], 4)] for point in found[0].keyframe_points]
    return [store.data(strip)["keys"][0], points]


# --- markers -----------------------------------------------------------------------------------------------------


def place_markers(scene: Any, score: str, record: store.Record, starts: bool = False) -> None:
    """Markers for the hit points of a score's cues; starts: also for where they begin and end."""
    remove_markers(scene, store.scores(scene).get(score, {}))
    wanted: list[tuple[str, int]] = []
    fps = float(record["fps_value"])
    sounding = [cue for cue in record["cues"] if not cue["silent"]]
    for cue, after in zip(sounding, [*sounding[1:], None], strict=True):
        name = _cue_name(record, cue)
        if starts:
            wanted.append((f"{MARK} {name}", record["first"] + round(cue["in"] * fps)))
            if after is None or after["in"] - cue["out"] > 0.5 / fps:
                wanted.append((f"{MARK} {name} end", record["first"] + round(cue["out"] * fps)))
        if record.get("hit_markers", True):
            hits = enumerate(cue.get("hits") or (), 1)
            wanted += [(f"{MARK} {name} hit {n}", record["first"] + round(at * fps)) for n, (at, _) in hits]
    theirs = {marker.name for marker in scene.timeline_markers}
    record["markers"] = []
    for name, frame in wanted:
        if name not in theirs:
            scene.timeline_markers.new(name, frame=frame)
            record["markers"].append([name, frame])


def remove_markers(scene: Any, record: Mapping[str, Any]) -> None:
    """Take a score's markers out."""
    names = {name for name, _ in record.get("markers", ())}
    for marker in [marker for marker in scene.timeline_markers if marker.name in names]:
        scene.timeline_markers.remove(marker)


def _plain(record: store.Record) -> store.Record:
    """A record as it can be kept: exact numbers as text."""
    return {name: value for name, value in record.items() if name != "fps_value"} | {"fps": str(record["fps_value"])}


def with_rate(record: store.Record) -> store.Record:
    """A record that was kept, with its rate as an exact number."""
    return {**record, "fps_value": Fraction(record["fps"])}

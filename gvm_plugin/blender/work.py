# SPDX-License-Identifier: GPL-3.0-or-later
"""What the buttons ask of the worker: reads the scene, starts the job, says where the answer goes."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import bpy

from . import compat, edit, finding, jobs, place, properties, proxy, store, worker_client
from .place import NotPlaced


class NotReady(Exception):
    """The job can't begin; the message says why and what to do."""


def begin_score(context: Any, what: str) -> None:
    """Score the selected strips or the whole edit. Music that gvm made for the same place is replaced."""
    scene = compat.scene_of(context)
    window = _window(scene, what)
    score = _score_for(scene, window)
    record = _record(scene, score, what, window)
    edit_fields, rendering = _edit(scene, window, record)

    def done(found: Any, result: jobs.Result) -> str:
        record["gain_db"] = result["mix"]["music_gain_db"] if result.get("mix") else None
        place.remove_score(found, score)
        for cue in result["cues"]:
            cue["change"] = "new"
        return place.place_score(found, score, record, result)

    _begin(scene, "score", "Score", {**edit_fields, "project": score}, record, done, rendering, "Score")


def begin_spot(context: Any, what: str) -> None:
    """Propose cues, without music."""
    scene = compat.scene_of(context)
    window = _window(scene, what)
    score = _score_for(scene, window)
    record = _record(scene, score, what, window)
    edit_fields, rendering = _edit(scene, window, record)
    if any(strip.get(store.TAKE) for strip in store.ours(scene, score)):
        raise NotReady("there is music here already: remove it first, or use Re-score")

    def done(found: Any, result: jobs.Result) -> str:
        return place.place_spots(found, score, record, result)

    _begin(scene, "analyse", "Spot", {**edit_fields, "project": score}, record, done, rendering, "Spot cues")


def begin_generate(context: Any) -> None:
    """Make the music of the cues that were proposed, as they stand now."""
    scene = compat.scene_of(context)
    score, record = _current(context, scene)
    if not record.get("spotted"):
        raise NotReady("these cues have their music; use Re-score or change one of them")
    cues = cues_as_they_stand(scene, score, record)
    if not any(not cue.get("silent") for cue in cues):
        raise NotReady("no proposed cue is left: spot again")
    record = {**record, "options": _options(scene), "spotted": False}
    makes = list(range(1, record["options"]["takes"] + 1))
    for cue in cues:
        if not cue.get("silent"):
            cue["makes"] = makes
    edit_fields, rendering = _edit(scene, (record["first"], record["last"]), record)

    def done(found: Any, result: jobs.Result) -> str:
        record["gain_db"] = result["mix"]["music_gain_db"] if result.get("mix") else None
        if not any(True for _ in store.ours(found, score)):
            raise NotPlaced("the proposed cues are gone; their music is left out")
        place.remove_score(found, score)
        for cue in result["cues"]:
            cue["change"] = "new"
        return place.place_score(found, score, record, result)

    fields = {**edit_fields, "project": score, "cues": cues}
    _begin(scene, "cue", "Generate", fields, record, done, rendering, "Score")


def begin_rescore(context: Any) -> None:
    """After a re-edit: music whose picture is the same stays, what moved moves, the rest is made anew."""
    scene = compat.scene_of(context)
    score, old = _current(context, scene)
    if old.get("spotted"):
        raise NotReady("these cues have no music yet: generate it, or spot again")
    window = edit.extent(scene) if old["what"] == "ALL" else _window_of(scene, old)
    if window is None:
        raise NotReady("no strips with pictures are left")
    record = {**old, "first": window[0], "last": window[1], "options": _options(scene)}
    record["fps_value"] = edit.frame_rate(scene.render)
    if record["fps_value"] != Fraction(old["fps"]):
        raise NotReady("the scene has another frame rate now: score it anew")
    edit_fields, rendering = _edit(scene, window, record)
    fields = {**edit_fields, "project": score, "previous": store.cues(scene, score)}
    if record.get("gain_db") is not None:
        fields["music_gain_db"] = record["gain_db"]

    def done(found: Any, result: jobs.Result) -> str:
        return place.place_score(found, score, record, result)

    _begin(scene, "score", "Re-score", fields, record, done, rendering, "Re-score")


def begin_cue(context: Any, again: bool) -> None:
    """Another take of the active cue (again), or the cue made anew with its settings."""
    scene = compat.scene_of(context)
    score, record = _current(context, scene)
    active = compat.active_strip(context)
    if active is None or active.get(store.SCORE) != score:
        raise NotReady("select a strip of the cue first")
    if record.get("spotted"):
        raise NotReady("this cue has no music yet: press Generate")
    name = str(active[store.CUE])
    cues = store.cues(scene, score)
    wanted = next(cue for cue in cues if cue["id"] == name)
    if again:
        wanted["makes"] = [1 + max((int(take["number"]) for take in wanted["takes"]), default=0)]
    else:
        wishes = properties.wishes(active.gvm)
        changed = [key for key, value in wishes.items() if value != wanted.get(key)]
        wanted.update(wishes)
        wanted["fixed"] = sorted({*wanted.get("fixed", ()), *changed})
        wanted["makes"] = sorted({int(take["number"]) for take in wanted["takes"]}) or [1]
        if "style" in changed:
            wanted["key"] = None
        if not changed:
            wanted["seed"] = (int(wanted["seed"]) + 1) % 2**63
            wanted["fixed"] = sorted({*wanted["fixed"], "seed"})
    for cue in cues:
        if cue is not wanted:
            cue["makes"] = []
    edit_fields, rendering = _edit(scene, (record["first"], record["last"]), record)
    fields = {**edit_fields, "project": score, "cues": cues}
    if len(wanted["makes"]) < 2:  # nothing to choose from
        fields["options"] = {**record["options"], "pick": "first"}
    if record.get("gain_db") is not None:
        fields["music_gain_db"] = record["gain_db"]

    def done(found: Any, result: jobs.Result) -> str:
        return place.place_cue(found, score, record, result, name, again)

    title = f"Cue {name}"
    _begin(scene, "cue", title, fields, record, done, rendering, "Another take" if again else "Make cue again")


def begin_check() -> None:
    """Ask the worker what it finds on this computer."""

    def done(result: jobs.Result) -> str:
        jobs.STATE.findings = list(result["findings"])
        return "gvm works" if result["ok"] else "gvm lacks something: see below"

    jobs.STATE.warnings = []
    jobs.begin(jobs.Job("check", "Check", "check", {}, done), _command(), not bpy.app.online_access)


# --- parts -------------------------------------------------------------------------------------------------------


def _begin(
    scene: Any, do: str, title: str, fields: dict[str, Any], record: store.Record,
    done: Callable[[Any, jobs.Result], str], rendering: proxy.Rendering | None, undo: str,
) -> None:  # fmt: skip
    """Start a job whose answer goes into `scene`, if that is still there when it comes, and its strips too."""
    name, uid, sources = scene.name, scene.session_uid, list(record.pop("sources"))

    def put(result: jobs.Result) -> str:
        found = next((one for one in bpy.data.scenes if one.name == name and one.session_uid == uid), None)
        if found is None:
            found = bpy.data.scenes.get(name)  # after an undo it has another number
        if found is None or found.sequence_editor is None:
            raise NotPlaced(f"the scene {name} is gone; its music is left out")
        if edit.frame_rate(found.render) != record["fps_value"]:
            raise NotPlaced("the frame rate was changed meanwhile; score again")
        there = {strip.name for strip in compat.strips(found.sequence_editor)}
        if sources and not there & set(sources):
            raise NotPlaced("the strips that were scored are gone; their music is left out")
        message = done(found, result)
        if not set(sources) <= there:
            jobs.STATE.warnings.append("the edit was changed meanwhile: Re-score brings the music in step")
        return message

    fields = {"options": record["options"], **fields, "folder": _folder()}
    try:
        jobs.begin(jobs.Job(do, title, do, fields, put, undo, rendering), _command(), not bpy.app.online_access)
    except OSError as err:
        if rendering is not None:
            rendering.kill()
        raise NotReady(f"{err}. {finding.HOW}") from err


def _command() -> list[str]:
    from .preferences import preferences

    program = finding.program(preferences().program)
    if program is None:
        raise NotReady(f"gvm isn't found. {finding.HOW}")
    return worker_client.command_of(program)


def _window(scene: Any, what: str) -> edit.Window:
    window = edit.extent(scene, selected=what == "SELECTED")
    if window is None:
        raise NotReady(
            "no strip with a picture is selected: select some, or score the whole edit"
            if what == "SELECTED"
            else "there are no strips with pictures in the sequencer: add some first"
        )
    return window


def _window_of(scene: Any, record: store.Record) -> edit.Window | None:
    """Where the strips of a scored selection are now; where they were if they can't be told any more."""
    names = set(record.get("names", ()))
    found = [strip for strip in compat.strips(scene.sequence_editor) if strip.name in names and not strip.mute]
    if not found:
        return record["first"], record["last"]
    return min(compat.start(strip) for strip in found), max(compat.end(strip) for strip in found)


def _score_for(scene: Any, window: edit.Window) -> str:
    """The score that stands in `window` already, whose place a new one takes; else a new one."""
    for score, record in store.scores(scene).items():
        both = min(window[1], record["last"]) - max(window[0], record["first"])
        if 2 * both > record["last"] - record["first"]:
            return score
    return store.new_id()


def _record(scene: Any, score: str, what: str, window: edit.Window) -> store.Record:
    from .preferences import preferences

    known = store.scores(scene)
    number = known[score]["number"] if score in known else 1 + max((one["number"] for one in known.values()), default=0)
    selected = [
        strip.name for strip in compat.strips(scene.sequence_editor) if strip.select and not store.is_ours(strip)
    ]
    return {
        "number": number, "what": what, "first": window[0], "last": window[1], "options": _options(scene),
        "names": selected if what == "SELECTED" else [], "cues": [], "markers": [], "spotted": False,
        "hit_markers": preferences().hit_markers, "fps_value": edit.frame_rate(scene.render),
    }  # fmt: skip


def _options(scene: Any) -> dict[str, Any]:
    from .preferences import preferences

    wanted, own = preferences(), scene.gvm
    return {
        **properties.wishes(own), "seed": own.seed, "takes": own.takes,
        "pick": own.pick if own.takes > 1 else "first", "model": wanted.model or "starter",
        "device": wanted.device, "preset": wanted.preset, "duck": round(wanted.duck, 3),
        "crossfade": round(wanted.crossfade, 3), "min_cue": round(wanted.min_cue, 3),
        "max_cue": round(max(wanted.max_cue, 2 * wanted.min_cue), 3),
    }  # fmt: skip


def _edit(scene: Any, window: edit.Window, record: store.Record) -> tuple[dict[str, Any], proxy.Rendering | None]:
    """({"edit": the edit, or what gives it once effects are rendered}, their rendering)."""
    from .preferences import preferences

    folder = _folder()
    reading = edit.read(scene, window, bpy.path.abspath, lambda sound: _unpacked(sound, folder))
    record["sources"] = sorted(set(reading.sources))
    if not reading.clips and not reading.rendered:
        raise NotReady("all strips with pictures are muted: nothing is seen")
    jobs.STATE.warnings = list(reading.notes)
    spans = reading.spans_to_render()
    if spans and preferences().render_effects and not jobs.busy():
        _allow_one_job()
        proxies = os.path.join(folder, ".gvm", "proxies")
        seconds = lambda frame: jobs.clock((frame - window[0]) / float(reading.fps))  # noqa: E731
        return {"edit": reading.request}, proxy.Rendering(scene, spans, proxies, seconds)
    return {"edit": reading.request()}, None


def _allow_one_job() -> None:
    if jobs.busy():
        raise NotReady("a job is running: wait for it, or cancel it")


def _folder() -> str:
    """Where the music goes: a folder beside the blend file."""
    if not bpy.data.filepath:
        raise NotReady("save the file first: the music goes into a folder beside it")
    own = os.path.splitext(os.path.basename(bpy.data.filepath))[0]
    return os.path.join(os.path.dirname(bpy.data.filepath), f"{own} music")


def _unpacked(sound: Any, folder: str) -> str | None:
    """A sound that lies inside the blend file, as a file for the worker to read."""
    content = bytes(sound.packed_file.data)
    if not content:
        return None
    kind = os.path.splitext(sound.filepath)[1] or ".wav"
    path = os.path.join(folder, ".gvm", "packed", hashlib.sha256(content).hexdigest()[:16] + kind)
    if not os.path.isfile(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    return path


def _current(context: Any, scene: Any) -> tuple[str, store.Record]:
    score = store.current(scene, context) if scene.sequence_editor else None
    if score is None:
        raise NotReady("there is no music of gvm in this scene yet: score it first")
    return score, place.with_rate(store.scores(scene)[score])


# --- cues that were proposed and moved about ---------------------------------------------------------------------


def cues_as_they_stand(scene: Any, score: str, record: store.Record) -> list[store.Record]:
    """Proposed cues with what the person changed: strips, their settings, or markers that were moved; in order."""
    fps, first = record["fps_value"], record["first"]
    moved = _moved_markers(scene, record)
    cues = []
    for cue in record["cues"]:
        strip = next(store.ours(scene, score, cue["id"]), None)
        if strip is None:
            if cue.get("silent"):
                cues.append(dict(cue))
            continue
        frames = {"in": compat.start(strip) - first, "out": compat.end(strip) - first}
        changed = {edge: float(frame / fps) for edge, frame in frames.items() if frame != round(cue[edge] * float(fps))}
        name = place._cue_name(record, cue)
        own = {**cue, **properties.wishes(strip.gvm)}
        own["in"] = changed.get("in", moved.get(f"{place.MARK} {name}", cue["in"]))
        own["out"] = changed.get("out", moved.get(f"{place.MARK} {name} end", cue["out"]))
        own["fixed"] = [key for key in properties.wishes(strip.gvm) if own[key] != cue.get(key)]
        hits = [[moved.get(f"{place.MARK} {name} hit {n}", at), how] for n, (at, how) in enumerate(cue["hits"], 1)]
        own["hits"] = hits
        own["was"] = cue["in"], cue["out"]
        cues.append(own)
    return _fitted(sorted(cues, key=lambda cue: cue["in"]), float((record["last"] - first) / fps), record)


def _fitted(cues: list[store.Record], duration: float, record: store.Record) -> list[store.Record]:
    """Cues inside the edit that don't overlap: where one edge was moved, the neighbour's that met it goes along."""
    for cue, after in itertools.pairwise(cues):
        met = "was" in cue and "was" in after and abs(cue["was"][1] - after["was"][0]) < 1e-3
        if met and cue["out"] == cue["was"][1]:
            cue["out"] = after["in"]
        elif (met and after["in"] == after["was"][0]) or cue["out"] > after["in"]:
            after["in"] = cue["out"]
    fitted = []
    for cue in cues:
        cue.pop("was", None)
        cue["in"], cue["out"] = max(0.0, cue["in"]), min(duration, cue["out"])
        cue["hits"] = [hit for hit in cue.get("hits", ()) if cue["in"] < hit[0] < cue["out"]]
        if cue["out"] - cue["in"] >= 1.0:
            fitted.append(cue)
    return fitted


def _moved_markers(scene: Any, record: store.Record) -> dict[str, float]:
    """Seconds at which markers of ours stand now, of those that were moved."""
    known = dict(record.get("markers", ()))
    return {
        marker.name: float((marker.frame - record["first"]) / record["fps_value"])
        for marker in scene.timeline_markers
        if known.get(marker.name, marker.frame) != marker.frame
    }

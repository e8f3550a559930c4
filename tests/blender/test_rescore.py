"""After a re-edit: what stays, what moves along, what is made again. And cues moved about before there is music."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from conftest import Editor, worker_kept


def state_of(film: Editor, cue: str) -> list[Any]:
    """All of a cue's strips, with their keys."""
    curves = {curve.data_path: curve for curve, _ in film.compat.fcurves(film.scene)}
    found = []
    for strip in film.ours:
        if strip["gvm_cue"] == cue:
            curve = curves.get(strip.path_from_id("volume"))
            points = [tuple(point.co) for point in curve.keyframe_points] if curve else []
            place = film.compat.start(strip), film.compat.end(strip), strip.channel, strip.mute
            found.append([strip["gvm_take"], *place, strip.sound.filepath, points])
    return found


def spans(film: Editor) -> dict[str, tuple[int, int]]:
    return {s["gvm_cue"]: (film.compat.start(s), film.compat.end(s)) for s in film.ours if not s.mute}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scored film is kept."""
    return tmp_path_factory.mktemp("scored") / "scored.blend"


@pytest.fixture
def scored(film: Editor, saved: Path) -> Editor:
    """Four shots, three cues or more of two takes each."""
    film.two_cues()
    if not saved.exists():
        bpy.ops.wm.save_as_mainfile(filepath=str(saved))
        film.row_of_films("a", "b", "c", "a")
        film.strips[-1].name = "last"
        film.score(takes=2)
        bpy.ops.wm.save_as_mainfile(filepath=str(saved))
    with worker_kept():
        bpy.ops.wm.open_mainfile(filepath=str(saved))
    with contextlib.suppress(AttributeError):
        bpy.context.workspace.sequencer_scene = film.scene
    film.step()
    assert len(spans(film)) >= 3
    return film


def test_nothing_changed(scored: Editor) -> None:
    before = scored.everything()
    message = scored.run(bpy.ops.gvm.rescore)
    assert "same" in message
    assert "new" not in message
    assert "changed" not in message
    now, then = json.loads(scored.everything()), json.loads(before)
    assert now[0] == then[0]
    assert [strip[:5] for strip in now[1]] == [strip[:5] for strip in then[1]]
    assert now[2:4] == then[2:4]


def test_a_strip_put_in_moves_the_cues_behind_it(scored: Editor) -> None:
    """All that follows goes 150 frames later, keys and all; the first cue stays."""
    film = scored
    old = spans(film)
    names = sorted(old, key=lambda name: old[name])
    before = {name: state_of(film, name) for name in names}
    edge = film.compat.start(film.strips["last"])
    cut = next(old[name][0] for name in names if old[name][0] > 200)  # between two cues, or nearly
    moving = [s for s in film.strips if not film.store.is_ours(s) and film.compat.start(s) >= cut - 20]
    assert moving, (old, edge)
    at = min(film.compat.start(strip) for strip in moving)
    for strip in sorted(moving, key=film.compat.start, reverse=True):
        film.compat.shift(strip, 240)
    film.movie("inserted", "count24.mp4", at)
    film.step()
    film.run(bpy.ops.gvm.rescore)
    new = spans(film)
    assert state_of(film, names[0])[0][:3] == before[names[0]][0][:3]
    moved = [name for name in names if name in new and old[name][0] >= at and new[name][0] == old[name][0] + 240]
    assert moved
    for name in moved:
        for was, now in zip(before[name], state_of(film, name), strict=True):
            assert now[5] == was[5]  # the same music
            assert (now[1], now[0]) == (was[1] + 240, was[0])
            inner_was = [(at + 240, value) for at, value in was[6][2:-2]]
            assert [point for point in now[6] if point in inner_was] == inner_was or not was[6]
    assert max(end for _, end in new.values()) == max(end for _, end in old.values()) + 240
    bpy.ops.ed.undo()
    assert {name: state_of(film, name) for name in names} == before


def test_a_shot_replaced_changes_its_cue_alone(scored: Editor) -> None:
    film = scored
    old = spans(film)
    names = sorted(old, key=lambda name: old[name])
    before = {name: state_of(film, name) for name in names}
    last = film.strips["last"]
    at, end, channel = film.compat.start(last), film.compat.end(last), last.channel
    film.strips.remove(last)
    other = film.movie("other", "c.mp4", at, channel=channel)
    film.compat.set_extent(other, at, end)
    message = film.run(bpy.ops.gvm.rescore)
    assert "same" in message
    untouched = [name for name in names if old[name][1] <= at]
    assert untouched
    for name in untouched:
        assert [strip[5] for strip in state_of(film, name)] == [strip[5] for strip in before[name]]
    touched = [name for name in names if old[name][1] > at + 30]
    now = spans(film)
    assert all(name not in now or state_of(film, name)[0][5] != before[name][0][5] for name in touched)


def test_keys_set_by_hand_stay(scored: Editor) -> None:
    film = scored
    strip = next(s for s in film.ours if not s.mute)
    for curve, owner in film.compat.fcurves(film.scene):
        if curve.data_path == strip.path_from_id("volume"):
            owner.remove(curve)
            break
    strip.volume = 0.3
    film.run(bpy.ops.gvm.rescore)
    strip = next(s for s in film.ours if not s.mute)
    assert strip.volume == pytest.approx(0.3)
    assert not any(c.data_path == strip.path_from_id("volume") for c, _ in film.compat.fcurves(film.scene))


def test_the_whole_edit_moved(scored: Editor) -> None:
    film = scored
    old = {name: state_of(film, name) for name in spans(film)}
    for strip in sorted((s for s in film.strips if not film.store.is_ours(s)), key=film.compat.start, reverse=True):
        film.compat.shift(strip, 1000)
    message = film.run(bpy.ops.gvm.rescore)
    assert message == f"Cues: {len(old)} moved"
    for name, was in old.items():
        now = state_of(film, name)
        assert [(s[1] - 1000, s[2] - 1000, s[5]) for s in now] == [(s[1], s[2], s[5]) for s in was]
        assert [[(at - 1000, value) for at, value in s[6]] for s in now] == [s[6] for s in was]


# --- spotting ----------------------------------------------------------------------------------------------------


def test_cues_are_moved_and_then_made(film: Editor) -> None:
    film.two_cues()
    film.row_of_films("a", "b", "c", "a")
    film.step()
    bare = film.everything()
    picture = film.edit.read(film.scene, film.edit.extent(film.scene), bpy.path.abspath, lambda _: None).request()
    assert "proposed" in film.run(bpy.ops.gvm.spot, what="ALL")
    proposed = film.ours
    assert len(proposed) >= 3
    assert all(s.type == "COLOR" and s.mute and s["gvm_take"] == 0 for s in proposed)
    markers = {marker.name: marker for marker in film.scene.timeline_markers}
    assert {f"♪ {strip['gvm_cue']}" for strip in proposed} <= set(markers)
    again = film.edit.read(film.scene, film.edit.extent(film.scene), bpy.path.abspath, lambda _: None).request()
    assert again == picture  # the proposals aren't part of the film
    first, second, third = proposed[:3]
    border = film.compat.end(first)
    assert film.compat.start(second) == border
    film.compat.set_extent(first, 1, border - 24)  # the first cue ends a second earlier: so the second begins there
    third_starts = film.compat.start(third)
    markers[f"♪ {third['gvm_cue']}"].frame = third_starts + 12  # by its marker, half a second later
    second.gvm.style, second.gvm.use_tempo, second.gvm.tempo = "ambient", True, 70
    names = [strip["gvm_cue"] for strip in proposed]
    film.step()
    film.run(bpy.ops.gvm.generate)
    made = {s["gvm_cue"]: film.store.data(s) for s in film.ours}
    assert {s.type for s in film.ours} == {"SOUND"}
    a, b, c = (made[name]["cue"] for name in names[:3])
    assert (a["out"] * 24, b["in"] * 24) == pytest.approx((border - 25, border - 25), abs=0.01)
    assert (b["out"] * 24, c["in"] * 24) == pytest.approx((third_starts + 11, third_starts + 11), abs=0.01)
    assert (b["style"], made[names[1]]["take"]["tempo"]) == ("ambient", 70)
    assert not any(marker.name == f"♪ {names[0]}" for marker in film.scene.timeline_markers)
    bpy.ops.ed.undo()
    assert {s.type for s in film.ours} == {"COLOR"}
    bpy.ops.ed.undo()
    bpy.ops.ed.undo()
    assert film.everything() == bare


def test_a_proposed_cue_deleted_gets_no_music(film: Editor) -> None:
    film.two_cues()
    film.row_of_films("a", "b", "c", "a")
    film.run(bpy.ops.gvm.spot, what="ALL")
    gone = film.ours[1]
    name = gone["gvm_cue"]
    film.strips.remove(gone)
    film.run(bpy.ops.gvm.generate)
    assert name not in {strip["gvm_cue"] for strip in film.ours}
    assert len(film.ours) >= 2
    assert np.all([strip.type == "SOUND" for strip in film.ours])

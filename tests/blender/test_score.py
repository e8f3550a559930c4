"""A score in Blender: what is placed, where it sounds, and that nothing else is touched."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from typing import Any, ClassVar

import bpy
import numpy as np
import pytest
from conftest import MODULE, Editor, heard, part

FRAME = 48_000 // 24


def test_the_zip_is_installed() -> None:
    assert MODULE in bpy.context.preferences.addons
    assert bpy.types.GVM_PT_score.bl_category == "Music"


def test_one_strip_a_cue_and_one_undo(film: Editor) -> None:
    film.row_of_films()
    film.sound("talk", "talk.wav", 1)
    film.editor.channels[3].lock = True
    film.editor.channels[4].mute = True
    film.scene.timeline_markers.new("mine", frame=7)
    film.step()
    before, everything = film.snapshot(), film.everything()
    assert film.score(takes=2).startswith("Cues: ")
    assert film.snapshot() == before
    strips = film.ours
    assert len(strips) >= 2
    for strip in strips:
        assert strip.channel not in (1, 2, 3, 4)
        assert strip.mute == (strip["gvm_take"] > 1)
        assert strip.name.startswith("♪ ")
        assert strip.color_tag != "NONE"
        assert strip.gvm.style in strip.name
        assert os.path.dirname(bpy.path.abspath(strip.sound.filepath)) == str(film.folder / "film music")
        others = [s for s in film.strips if s.channel == strip.channel and s.name != strip.name]
        for other in others:
            assert film.compat.end(other) <= film.compat.start(strip) or film.compat.end(strip) <= film.compat.start(
                other
            )
    marks = [marker for marker in film.scene.timeline_markers if "hit" in marker.name]
    cuts = {film.compat.start(s) for s in film.strips if s.type == "MOVIE"} - {1}
    assert cuts <= {marker.frame for marker in marks}
    after = film.everything()
    bpy.ops.ed.undo()
    assert film.everything() == everything
    bpy.ops.ed.redo()
    assert film.everything() == after


def test_the_best_take_is_heard_and_a_reroll_is_not_ranked(film: Editor) -> None:
    film.row_of_films()
    film.score(takes=3, pick="best")
    record = next(iter(film.store.scores(film.scene).values()))
    assert record["options"]["pick"] == "best"
    cues = {strip["gvm_cue"] for strip in film.ours}
    for cue in cues:
        mine = [strip for strip in film.ours if strip["gvm_cue"] == cue]
        assert [strip["gvm_take"] for strip in mine] == [1, 2, 3]
        assert [strip.mute for strip in mine].count(False) == 1
    film.activate(film.ours[0])
    film.run(bpy.ops.gvm.reroll)
    assert [strip["gvm_take"] for strip in film.ours if strip["gvm_cue"] == "A" and not strip.mute] == [4]
    assert not film.jobs.STATE.warnings


def test_saved_and_opened_again(film: Editor) -> None:
    film.row_of_films()
    film.score(takes=2, style="lofi", seed=4)
    before = film.everything()
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(film.folder / "film.blend"))
    assert film.everything() == before
    assert (film.scene.gvm.style, film.scene.gvm.seed) == ("lofi", 4)
    bpy.ops.wm.save_mainfile()
    strip = film.ours[0]
    film.activate(strip)
    assert strip.gvm.style == "lofi"
    assert bpy.ops.gvm.take(step=1) == {"FINISHED"}
    assert [s.mute for s in film.ours if s["gvm_cue"] == "A"] == [True, False]
    bpy.ops.gvm.take(step=1)
    assert [s.mute for s in film.ours if s["gvm_cue"] == "A"] == [False, True]


def expected_mix(film: Editor) -> np.ndarray:
    """The music as its strips and keys say, added up by hand: [N, 2]."""
    last = max(film.compat.end(strip) for strip in film.strips)
    mix = np.zeros(((last - 1) * FRAME, 2))
    for strip in film.ours:
        if strip.mute:
            continue
        sound = heard(bpy.path.abspath(strip.sound.filepath))
        first, end = film.compat.start(strip), film.compat.end(strip)
        skipped = (first - int(film.compat.content_start(strip))) * FRAME
        piece = sound[skipped : skipped + (end - first) * FRAME]
        frames = np.arange(first, end + 1)
        curve = next(
            (c for c, _ in film.compat.fcurves(film.scene) if c.data_path == strip.path_from_id("volume")), None
        )
        volume = [curve.evaluate(frame) if curve else strip.volume for frame in frames]
        gains = np.interp(np.arange(len(piece)) / FRAME, frames - first, volume)
        mix[(first - 1) * FRAME : (first - 1) * FRAME + len(piece)] += piece * gains[:, None]
    return mix


def test_the_mix_sounds_where_the_strips_stand(film: Editor) -> None:
    """Each cue by itself, by correlation with its file: within a frame; and its level with fades and ducking."""
    film.row_of_films("a", "b", "c", "a")
    film.two_cues()
    talk = film.sound("talk", "talk.wav", 60)
    film.score()
    cues = film.ours
    assert len(cues) >= 2
    talk.mute = True
    whole, mix = expected_mix(film), film.mix()
    length = min(len(whole), len(mix))
    error = level(whole[:length] - mix[:length]) / level(whole)
    assert error < 0.1  # keys lag by a frame in some versions
    for strip in cues:
        for other in cues:
            other.mute = other.name != strip.name
        alone = film.mix()[:, 0]
        at, end = (film.compat.start(strip) - 1) * FRAME, (film.compat.end(strip) - 1) * FRAME
        sounding = np.flatnonzero(np.abs(alone) > 1e-4)
        assert at - FRAME <= sounding[0] <= at + 12 * FRAME
        assert sounding[-1] <= end + FRAME
        assert abs(lag(alone, expected_mix(film)[:, 0])) <= FRAME
    for strip in cues:
        strip.mute = False


def level(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(sound))))


def lag(sound: np.ndarray, other: np.ndarray) -> int:
    """Samples by which `sound` is later than `other`."""
    size = 1 << (len(sound) + len(other)).bit_length()
    product = np.fft.irfft(np.fft.rfft(sound, size) * np.conj(np.fft.rfft(other, size)), size)
    at = int(np.argmax(product))
    return at if at < size // 2 else at - size


def test_the_music_goes_down_under_speech(film: Editor) -> None:
    film.row_of_films()
    talk = film.sound("talk", "talk.wav", 1)
    film.score()
    assert any(film.store.data(strip)["cue"]["ducking"] for strip in film.ours)
    talk.mute = True
    ducked = film.mix()
    for curve, owner in film.compat.fcurves(film.scene):
        owner.remove(curve)
    for strip in film.ours:
        strip.volume = film.store.data(strip)["keys"][0]
    plain = film.mix()
    speech = slice(5 * 48_000, 7 * 48_000)
    down = 20 * np.log10(level(ducked[speech]) / level(plain[speech]))
    assert down == pytest.approx(-12, abs=0.5)
    before = slice(2 * 48_000, int(2.3 * 48_000))
    assert abs(20 * np.log10(level(ducked[before]) / level(plain[before]))) < 1


def test_keys_are_few_and_joins_have_equal_power(film: Editor) -> None:
    film.row_of_films("a", "b", "c", "a")
    film.two_cues()
    film.score()
    curves = {c.data_path: c for c, _ in film.compat.fcurves(film.scene)}
    strips = film.ours
    assert len(strips) >= 2
    for strip in strips:
        curve = curves[strip.path_from_id("volume")]
        assert len(curve.keyframe_points) <= 12
        assert {point.interpolation for point in curve.keyframe_points} == {"LINEAR"}
        assert all(point.co[0] == int(point.co[0]) for point in curve.keyframe_points)
    assert strips[0].color_tag != strips[1].color_tag
    one, other = strips[:2]
    assert film.compat.start(other) < film.compat.end(one)
    for frame in range(film.compat.start(other), film.compat.end(one) + 1):
        power = sum(
            (curves[s.path_from_id("volume")].evaluate(frame) / film.store.data(s)["keys"][0]) ** 2
            for s in (one, other)
        )
        assert power == pytest.approx(1, abs=0.08)


def test_the_starter_model_scores_too(film: Editor) -> None:
    """Real music: it begins with the film, marks the cut, and ends with the picture."""
    film.preferences.model = "starter"
    try:
        film.row_of_films("a", "b")
        film.score(style="cinematic")
    finally:
        film.preferences.model = "tone"
        film.scene.gvm.style = "auto"
    (strip,) = film.ours
    take = film.store.data(strip)["take"]
    assert take["hits"]
    mix = film.mix()[:, 0]
    sounding = np.flatnonzero(np.abs(mix) > 1e-3)
    end = (film.compat.end(strip) - 1) * FRAME
    assert sounding[0] < 48_000
    assert end - 2 * 48_000 < sounding[-1] <= end + FRAME
    assert level(mix) > 0.01


def test_selected_strips(film: Editor) -> None:
    row = film.row_of_films()
    film.activate(row[1])
    row[2].select = True
    film.run(bpy.ops.gvm.score, what="SELECTED")
    assert min(film.compat.start(s) for s in film.ours) == film.compat.start(row[1])
    assert max(film.compat.end(s) for s in film.ours) == film.compat.end(row[2])
    film.activate(row[0])
    film.run(bpy.ops.gvm.score, what="SELECTED")  # a second score beside it
    assert len(film.store.scores(film.scene)) == 2
    assert min(film.compat.start(s) for s in film.ours) == 1
    assert len({strip["gvm_score"] for strip in film.ours}) == 2
    film.run(bpy.ops.gvm.score, what="SELECTED")  # again: in the place of that one
    assert len(film.store.scores(film.scene)) == 2


@pytest.mark.parametrize(("fps", "base"), [(30, 1.001), (24, 1.001), (25, 1.0)])
def test_other_rates(film: Editor, fps: int, base: float) -> None:
    film.scene.render.fps, film.scene.render.fps_base = fps, base
    film.row_of_films()
    film.score()
    rate = film.edit.frame_rate(film.scene.render)
    assert rate == Fraction(fps) / (Fraction(1001, 1000) if base > 1 else 1)
    assert {json.loads(film.scene["gvm_scores"])[strip["gvm_score"]]["fps"] for strip in film.ours} == {str(rate)}
    mix = film.mix()[:, 0]
    strip = film.ours[-1]
    sounding = np.flatnonzero(np.abs(mix) > 1e-4)
    last = (film.compat.end(strip) - 1) * 48_000 / float(rate)
    assert last - 48_000 < sounding[-1] <= last + 48_000 / float(rate)


def test_settings_of_the_cue_and_takes(film: Editor) -> None:
    film.row_of_films("a", "b", "c", "a")
    film.two_cues()
    film.score(takes=2)
    film.step()
    others = [[s.name, s.channel, s["gvm_data"]] for s in film.ours if s["gvm_cue"] != "A"]
    film.activate(film.ours[0])
    film.run(bpy.ops.gvm.reroll)
    takes = [s for s in film.ours if s["gvm_cue"] == "A"]
    assert [(s["gvm_take"], s.mute) for s in takes] == [(1, True), (2, True), (3, False)]
    assert len({s.channel for s in takes}) == 3
    assert len({bpy.path.abspath(s.sound.filepath) for s in takes}) == 3
    strip = takes[0]
    film.activate(strip)
    strip.gvm.style, strip.gvm.use_tempo, strip.gvm.tempo = "funk", True, 90
    strip.gvm.use_mood, strip.gvm.mood = True, -0.5
    film.run(bpy.ops.gvm.regenerate)
    assert film.editor.active_strip["gvm_cue"] == "A"
    takes = [s for s in film.ours if s["gvm_cue"] == "A"]
    assert [(s["gvm_take"], s.mute) for s in takes] == [(1, False), (2, True), (3, True)]
    noted = film.store.data(takes[0])
    assert (noted["cue"]["style"], noted["cue"]["tempo"], noted["take"]["tempo"]) == ("funk", 90, 90)
    assert noted["cue"]["mood"] == -0.5
    assert set(noted["cue"]["fixed"]) >= {"mood", "tempo", "style"}
    assert [[s.name, s.channel, s["gvm_data"]] for s in film.ours if s["gvm_cue"] != "A"] == others
    bpy.ops.ed.undo()
    assert [s["gvm_take"] for s in film.ours if s["gvm_cue"] == "A"] == [1, 2, 3]
    assert "funk" not in film.ours[0].name


def test_panels_draw(film: Editor) -> None:
    class Layout:
        """Takes whatever a panel says, and notes the texts."""

        said: ClassVar[list[str]] = []

        def __getattr__(self, name: str) -> Any:
            def call(*_: Any, **fields: Any) -> Layout:
                self.said.extend(str(fields[key]) for key in ("text",) if key in fields)
                return Layout()

            return call

    film.row_of_films()
    film.score(takes=2)
    film.activate(film.ours[0])
    for name in ("GVM_PT_score", "GVM_PT_wishes", "GVM_PT_cues", "GVM_PT_cue"):
        kind = getattr(bpy.types, name)
        assert not hasattr(kind, "poll") or kind.poll(bpy.context)
        kind.draw(type("Panel", (), {"layout": Layout()})(), bpy.context)
    assert any("Take 1 of 2" in text for text in Layout.said)
    assert any(text.startswith("A   0:00 - ") and text.endswith("1/2") for text in Layout.said)
    part("preferences").GVMPreferences.draw(_Preferences(Layout()), bpy.context)


class _Preferences:
    program, model = "", "tone"

    def __init__(self, layout: Any) -> None:
        self.layout = layout


def test_the_check_says_what_there_is(film: Editor) -> None:
    assert film.run(bpy.ops.gvm.check) in ("gvm works", "gvm lacks something: see below")
    assert any(found["what"] == "gvm" for found in film.jobs.STATE.findings)
    film.preferences.program = "/nowhere/gvm"
    with pytest.raises(RuntimeError, match=r"gvm isn't found.*pip install"):
        bpy.ops.gvm.check()
    film.preferences.program = os.environ["GVM_PROGRAM"]

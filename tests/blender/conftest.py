"""The add-on as people have it: the built zip, installed into a Blender of its own, talking to the real worker.

Run by `make blender-tests` with the Python of each bpy environment. GVM_ADDON is the zip, GVM_PROGRAM the worker's
program, GVM_MEDIA what make_media.py wrote.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("BLENDER_USER_RESOURCES", tempfile.mkdtemp(prefix="gvm-blender-"))

import bpy
import numpy as np
import pytest

MODULE = "bl_ext.user_default.gvm_score"
MEDIA = Path(os.environ["GVM_MEDIA"])
PROGRAM = os.environ["GVM_PROGRAM"]


def part(name: str) -> Any:
    """A module of the installed add-on."""
    return importlib.import_module(f"{MODULE}.{name}")


@pytest.fixture(scope="session", autouse=True)
def _installed() -> Iterator[None]:
    bpy.ops.extensions.package_install_files(
        filepath=os.environ["GVM_ADDON"], repo="user_default", enable_on_install=True
    )
    bpy.context.preferences.addons[MODULE].preferences.program = PROGRAM
    bpy.context.preferences.addons[MODULE].preferences.model = "tone"
    yield
    bpy.ops.preferences.addon_disable(module=MODULE)


class Editor:
    """A film project at 24 frames a second, saved in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.preferences = bpy.context.preferences.addons[MODULE].preferences
        self.compat, self.jobs, self.store, self.edit = (part(name) for name in ("compat", "jobs", "store", "edit"))
        self.reads = 0

    @property
    def scene(self) -> Any:
        return bpy.data.scenes["Scene"]

    @property
    def editor(self) -> Any:
        return self.scene.sequence_editor_create()

    @property
    def strips(self) -> Any:
        return self.compat.strips(self.editor)

    @property
    def ours(self) -> list[Any]:
        return sorted(self.store.ours(self.scene), key=lambda s: (s["gvm_cue"], s["gvm_take"]))

    def movie(self, name: str, file: str, start: int, channel: int = 2) -> Any:
        return self.strips.new_movie(name=name, filepath=str(MEDIA / file), channel=channel, frame_start=start)

    def sound(self, name: str, file: str, start: int, channel: int = 1) -> Any:
        return self.strips.new_sound(name=name, filepath=str(MEDIA / file), channel=channel, frame_start=start)

    def row_of_films(self, *names: str) -> list[Any]:
        at, row = 1, []
        for name in names or ("a", "b", "c"):
            row.append(self.movie(name, f"{name}.mp4", at))
            at = self.compat.end(row[-1])
        return row

    def two_cues(self) -> None:
        """Have cues short enough that a minute has several."""
        self.preferences.min_cue, self.preferences.max_cue = 6, 16

    def activate(self, strip: Any) -> None:
        for other in self.compat.strips_all(self.editor):
            other.select = False
        strip.select = True
        self.editor.active_strip = strip

    def operator(self, call: Callable[..., Any], **fields: Any) -> Any:
        """An operator of Blender's that wants a sequencer on screen."""
        window = bpy.context.window_manager.windows[0]
        area = max(window.screen.areas, key=lambda area: area.width * area.height)
        area.type = "SEQUENCE_EDITOR"
        region = next(region for region in area.regions if region.type == "WINDOW")
        with bpy.context.temp_override(window=window, screen=window.screen, area=area, region=region):
            return call(**fields)

    def step(self) -> None:
        """What a person's own step leaves in the undo history."""
        bpy.ops.ed.undo_push(message="the person's step")

    def wait(self, seconds: float = 60, until: Callable[[], bool] = lambda: False) -> Any:
        """Tick until the job is done; the state after it."""
        ends = time.monotonic() + seconds
        while self.jobs.busy() and not until():
            assert time.monotonic() < ends, f"still {self.jobs.status()}"
            time.sleep(0.02)
            self.jobs.tick()
        return self.jobs.STATE

    def run(self, operator: Any, **fields: Any) -> str:
        """Press a button and wait; the message in the panel. Fails where that tells an error."""
        assert operator(**fields) == {"FINISHED"}
        state = self.wait()
        assert not state.failed, (state.message, state.log[-15:])
        return str(state.message)

    def score(self, **wishes: Any) -> str:
        for name, value in wishes.items():
            setattr(self.scene.gvm, name, value)
        return self.run(bpy.ops.gvm.score, what="ALL")

    def snapshot(self) -> str:
        """All that is the person's: strips, channels, markers, settings, keys."""
        scene, compat = self.scene, self.compat
        ours = {strip.name for strip in self.store.ours(scene)}
        data = {
            "strips": [
                [s.name, s.type, s.channel, compat.start(s), compat.end(s), s.mute, s.select, s.color_tag, s.blend_type]
                for s in compat.strips_all(scene.sequence_editor)
                if s.name not in ours
            ],
            "channels": [[c.name, c.lock, c.mute] for c in scene.sequence_editor.channels],
            "markers": [[m.name, m.frame] for m in scene.timeline_markers if not m.name.startswith("♪")],
            "scene": [scene.frame_start, scene.frame_end, scene.frame_current, scene.render.fps, scene.render.filepath],
            "keys": [c.data_path for c, _ in compat.fcurves(scene) if "♪" not in c.data_path],
        }
        return json.dumps(data)

    def everything(self) -> str:
        """That and what the add-on put there."""
        scene, compat = self.scene, self.compat
        ours = [[s.name, s.channel, compat.start(s), compat.end(s), s.mute, s.get("gvm_data")] for s in self.ours]
        keys = sorted(c.data_path for c, _ in compat.fcurves(scene) if "♪" in c.data_path)
        marks = sorted([m.name, m.frame] for m in scene.timeline_markers)
        return json.dumps([json.loads(self.snapshot()), ours, keys, marks, scene.get("gvm_scores")])

    def mix(self) -> np.ndarray:
        """What is heard from frame 1 on: [N, 2] at 48 kHz."""
        if (5, 2, 0) <= bpy.app.version <= (5, 2, 2):
            pytest.skip("sound.mixdown of this Blender returns before it has written anything")
        pytest.importorskip("aud", reason="this Blender was built without its sound module for Python")
        path = self.folder / "mix.wav"
        self.scene.frame_start = 1
        self.scene.frame_end = max(self.compat.end(strip) for strip in self.strips)
        bpy.ops.sound.mixdown(
            filepath=str(path), container="WAV", codec="PCM", format="F32", mixrate=48000, channels="STEREO"
        )
        return heard(str(path))


def heard(path: str) -> np.ndarray:
    """A sound file as [N, 2] at 48 kHz."""
    import aud

    sound = aud.Sound(path)
    return np.array(sound.resample(48000, 2).data() if sound.specs[0] != 48000 else sound.data())


@contextlib.contextmanager
def worker_kept() -> Iterator[None]:
    """While a file is opened, the worker goes on; people's ends then, but starting one for each test takes long."""
    state = part("jobs").STATE
    client, state.client = state.client, None
    yield
    state.client = client


@pytest.fixture
def film(tmp_path: Path, _installed: None) -> Iterator[Editor]:
    """An empty project, saved; afterwards no job is left."""
    with worker_kept():
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    editor = Editor(tmp_path)
    scene = bpy.data.scenes[0]
    scene.name = "Scene"
    scene.render.fps, scene.render.fps_base = 24, 1.0
    scene.render.resolution_x, scene.render.resolution_y = 160, 90
    editor.editor  # noqa: B018  made
    with contextlib.suppress(AttributeError):
        bpy.context.workspace.sequencer_scene = scene
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "film.blend"))
    editor.preferences.min_cue, editor.preferences.max_cue = 12, 120
    yield editor
    if editor.jobs.busy():
        editor.jobs.cancel()
        editor.wait()
    state = editor.jobs.STATE
    assert "bl_ext" not in "\n".join(state.log), state.log  # the worker's log may tell of errors there
    state.log.clear()
    state.message = ""


def alive(pid: int | None) -> bool:
    """Is there such a process, and is it no zombie?"""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"

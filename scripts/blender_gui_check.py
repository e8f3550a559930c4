"""The add-on in a Blender with a window: timers, cancel, progress, undo, and a picture of the panel.

Outside Blender (needs Xvfb and ImageMagick's `import`; Blender 4.2 or newer):

    python scripts/blender_gui_check.py --blender blender --zip build/blender/gvm_score-0.1.0.zip \\
        --gvm .venv/bin/gvm --picture shot.png

starts Blender under a virtual display with this same file as its script. Exit code 0 where all went as it should.
With `--root FOLDER` Blender, Xvfb and `import` run in a chroot, in which all paths given must be the same as outside.
Debian 13 has Blender 4.3, sid has 5.2: docs/blender.md says how to make such a chroot.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FILMS = Path(__file__).resolve().parents[1] / "examples" / "vlogs"
SIZE = (1600, 900)
SECONDS = 240  # until it is given up


# --- outside -----------------------------------------------------------------------------------------------------


def outside() -> int:
    """Start display and Blender, wait, say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blender", default="blender")
    parser.add_argument("--zip", type=Path, required=True)
    parser.add_argument("--gvm", type=Path, required=True)
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--root", help="a chroot to run in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gvm-gui-", dir=options.picture.resolve().parent) as work:
        task = {
            "zip": str(options.zip.resolve()), "gvm": str(options.gvm.absolute()), "work": work,
            "picture": str(options.picture.resolve()),
        }  # fmt: skip
        Path(work, "task.json").write_text(json.dumps(task))
        screen = f"-screen 0 {SIZE[0]}x{SIZE[1]}x24"
        command = [
            *(["chroot", options.root] if options.root else []),
            "env", f"BLENDER_USER_RESOURCES={work}/blender", f"HOME={work}", "LIBGL_ALWAYS_SOFTWARE=1",
            "xvfb-run", "-a", "-s", screen, options.blender, "--factory-startup",
            "--window-geometry", "0", "0", str(SIZE[0]), str(SIZE[1]),
            "--python-exit-code", "1", "--python", str(Path(__file__).resolve()), "--", work,
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 60, check=False)
        except subprocess.TimeoutExpired:
            print("error: Blender didn't end")
            return 1
        report = Path(work, "report.json")
        if not report.is_file():
            print(done.stdout[-3000:], done.stderr[-3000:])
            return 1
        found: dict[str, Any] = json.loads(report.read_text())
    for line in found["said"]:
        print(line)
    alive = Path(f"/proc/{found['worker']}").exists()
    print("after quitting: the worker", "is still there" if alive else "is gone")
    print("failed: " + found["failed"] if found["failed"] else "all as it should be")
    return int(bool(found["failed"]) or alive)


# --- inside ------------------------------------------------------------------------------------------------------


class Check:
    """The steps, one a call of a timer, so that Blender lives on between them."""

    def __init__(self, task: dict[str, str]) -> None:
        import importlib

        import bpy

        self.bpy, self.task, self.said, self.started = bpy, task, [], time.monotonic()
        bpy.ops.extensions.package_install_files(filepath=task["zip"], repo="user_default", enable_on_install=True)
        module = "bl_ext.user_default.gvm_score"
        bpy.context.preferences.addons[module].preferences.program = task["gvm"]
        bpy.context.preferences.view.show_splash = False
        self.jobs, self.compat, self.store = (
            importlib.import_module(f"{module}.{name}") for name in ("jobs", "compat", "store")
        )
        self.ticks, self.worst, self.last = 0, 0.0, time.monotonic()
        self.seen: set[str] = set()
        self.steps = iter(self.all_steps())
        self.pid: int | None = None

    def __call__(self) -> float | None:
        """One look; the timer's next interval."""
        now = time.monotonic()
        self.worst, self.last, self.ticks = max(self.worst, now - self.last), now, self.ticks + 1
        try:
            assert now - self.started < SECONDS, "it took too long"
            return next(self.steps)
        except StopIteration:
            self.end("")
        except Exception as err:  # noqa: BLE001  whatever it is, it has to be told, and Blender has to end
            self.end(f"{type(err).__name__}: {err}")
        return None

    def end(self, failed: str) -> None:
        """Write what was found, quit."""
        report = {"said": self.said, "failed": failed, "worker": self.pid}
        Path(self.task["work"], "report.json").write_text(json.dumps(report))
        self.bpy.ops.wm.quit_blender()

    def all_steps(self) -> Any:
        """The whole check: yields seconds to wait."""
        bpy = self.bpy
        self.say(f"Blender {bpy.app.version_string}")
        area = self.open_sequencer()
        yield 1.0
        scene = self.build_edit()
        bpy.ops.wm.save_as_mainfile(filepath=str(Path(self.task["work"], "holiday.blend")))
        bpy.ops.ed.undo_push(message="edit")
        self.show_tab(area)
        yield 0.5
        self.press(lambda: bpy.ops.gvm.score(what="ALL"))
        self.pid = self.jobs.STATE.client.pid
        while self.jobs.busy() and self.jobs.STATE.job.fraction < 0.1:
            yield 0.05
        assert self.jobs.busy(), self.jobs.STATE.message
        self.say(f"while it runs: {self.jobs.status()!r}; {self.ticks} timer calls, longest pause {self.worst:.2f} s")
        yield 0.3
        self.shoot(self.task["picture"].replace(".png", ".running.png"))
        bpy.ops.gvm.cancel()
        bpy.ops.gvm.cancel()
        cancelled = time.monotonic()
        while self.jobs.busy():
            yield 0.05
        self.say(f"cancelled after {time.monotonic() - cancelled:.2f} s: {self.jobs.STATE.message}")
        assert not list(self.store.ours(scene)), "strips of a cancelled job"
        scene.gvm.takes = 2
        begun = time.monotonic()
        self.press(lambda: bpy.ops.gvm.score(what="ALL"))
        while self.jobs.busy():
            yield 0.05
        assert not self.jobs.STATE.failed, (self.jobs.STATE.message, self.jobs.STATE.log)
        seconds = time.monotonic() - begun
        self.say(f"{self.jobs.STATE.message} in {seconds:.1f} s, longest pause of the window {self.worst:.2f} s")
        scene = self.scene()
        made = len(list(self.store.ours(scene)))
        bpy.ops.ed.undo()
        yield 0.3
        assert not list(self.store.ours(self.scene())), "one undo didn't take all away"
        bpy.ops.ed.redo()
        yield 0.3
        assert len(list(self.store.ours(self.scene()))) == made, "redo"
        self.say(f"undo and redo: {made} strips")
        self.choose_cue()
        self.fit(area)
        yield 1.0
        self.shoot(self.task["picture"])

    def say(self, line: str) -> None:
        """For the report."""
        self.said.append(line)

    def press(self, operator: Any) -> None:
        """Press a button; how long the window stood still for it."""
        begun, self.worst, self.last = time.perf_counter(), 0.0, time.monotonic()
        assert operator() == {"FINISHED"}
        self.say(f"the button came back after {1000 * (time.perf_counter() - begun):.0f} ms")

    def scene(self) -> Any:
        """The scene that is edited, as it is now."""
        return self.bpy.data.scenes[0]

    def open_sequencer(self) -> Any:
        """A sequencer with preview over the whole window, sidebar open."""
        bpy = self.bpy
        window = bpy.context.window_manager.windows[0]
        area = max(window.screen.areas, key=lambda area: area.width * area.height)
        area.type = "SEQUENCE_EDITOR"
        if bpy.app.version >= (5, 0):  # from a timer, this crashes 4.3
            with bpy.context.temp_override(window=window, screen=window.screen, area=area):
                bpy.ops.screen.screen_full_area(use_hide_panels=False)
        area = next(a for a in window.screen.areas if a.type == "SEQUENCE_EDITOR")
        space = area.spaces.active
        space.view_type = "SEQUENCER_PREVIEW"
        space.show_region_ui = True
        if hasattr(window.workspace, "sequencer_scene"):
            window.workspace.sequencer_scene = self.scene()
        return area

    def show_tab(self, area: Any) -> None:
        """Our tab of the sidebar."""
        for region in area.regions:
            if region.type == "UI":
                try:
                    region.active_panel_category = "Music"
                except (AttributeError, TypeError) as err:
                    self.say(f"the tab has to be clicked in this version ({err})")

    def build_edit(self) -> Any:
        """A holiday film of our example films, about a minute."""
        scene = self.scene()
        scene.render.fps, scene.render.fps_base = 25, 1.0
        scene.render.resolution_x, scene.render.resolution_y = 640, 360
        strips, at = self.compat.strips(scene.sequence_editor_create()), 1
        for name, seconds in (("harbour-walk", 12), ("making-dumplings", 23), ("morning-ride", 13), ("city-night", 10)):
            path = str(FILMS / f"{name}.mp4")
            film = strips.new_movie(name=name, filepath=path, channel=2, frame_start=at)
            end = min(self.compat.end(film), at + 25 * seconds)
            if name in ("harbour-walk", "making-dumplings"):
                sound = strips.new_sound(name=f"{name} sound", filepath=path, channel=1, frame_start=at)
                self.compat.set_extent(sound, at, min(end, self.compat.end(sound)))
            self.compat.set_extent(film, at, end)
            at = end
        scene.frame_end = at
        for strip in strips:
            strip.select = False
        return scene

    def choose_cue(self) -> None:
        """The second cue is the selected one."""
        scene = self.scene()
        score = self.store.current(scene)
        cues = sorted({strip["gvm_cue"] for strip in self.store.ours(scene)})
        self.bpy.ops.gvm.select(cue=cues[min(1, len(cues) - 1)], score=score)
        scene.frame_current = 25 * 20

    def fit(self, area: Any) -> None:
        """All strips in view."""
        region = next(r for r in area.regions if r.type == "WINDOW")
        window = self.bpy.context.window_manager.windows[0]
        with self.bpy.context.temp_override(window=window, screen=window.screen, area=area, region=region):
            self.bpy.ops.sequencer.view_all()

    def shoot(self, path: str) -> None:
        """A picture of the whole screen."""
        self.bpy.ops.wm.redraw_timer(type="DRAW_WIN_SWAP", iterations=2)
        subprocess.run(["import", "-window", "root", path], check=True, env={**os.environ, "LD_LIBRARY_PATH": ""})


def inside() -> None:
    """Run in Blender."""
    import bpy

    check = Check(json.loads(Path(sys.argv[-1], "task.json").read_text()))
    bpy.app.timers.register(check, first_interval=1.0)


if __name__ == "__main__":
    if "bpy" in sys.modules:
        inside()
    else:
        sys.exit(outside())

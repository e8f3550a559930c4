"""When things go wrong: no traceback, no process and no file left over, the edit as before."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import bpy
import pytest
from conftest import MEDIA, MODULE, Editor, alive, part, worker_kept


def processes() -> set[int]:
    """All processes that this one started, and those they started."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and alive(int(folder.name)):
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    found: set[int] = {os.getpid()}
    while grown := {child for child, parent in parents.items() if parent in found} - found:
        found |= grown
    return found - {os.getpid()}


@pytest.fixture
def begun(film: Editor) -> Editor:
    """A job that has begun to watch the film."""
    film.row_of_films()
    film.step()
    assert bpy.ops.gvm.score(what="ALL") == {"FINISHED"}
    film.wait(until=lambda: film.jobs.STATE.job.fraction > 0.05)
    assert film.jobs.busy()
    return film


def left_over(film: Editor) -> list[str]:
    """Files of a job beside the blend file, but for what is kept on purpose."""
    return sorted(path.name for path in film.folder.iterdir() if path.name not in ("film.blend", "film.blend1"))


def test_the_worker_is_killed(begun: Editor) -> None:
    before = begun.everything()
    os.kill(begun.jobs.STATE.client.pid, signal.SIGKILL)
    state = begun.wait()
    assert state.failed
    assert "worker" in state.message
    assert begun.everything() == before
    assert left_over(begun) == []
    begun.score()  # another one is started
    assert begun.ours


def test_cancel_twice(begun: Editor) -> None:
    before = begun.everything()
    bpy.ops.gvm.cancel()
    bpy.ops.gvm.cancel()
    state = begun.wait(10)
    assert (state.message, state.failed) == ("Cancelled", False)
    bpy.ops.gvm.cancel()
    assert begun.everything() == before
    assert left_over(begun) == []


def test_cancelled_when_the_first_takes_are_written(film: Editor) -> None:
    """They go again, and those of an earlier score stay."""
    film.two_cues()
    film.row_of_films("a", "b", "c", "a")
    film.score()
    earlier = sorted(path.name for path in (film.folder / "film music").glob("*.wav"))
    before = film.everything()
    film.scene.gvm.seed, film.scene.gvm.takes = 5, 8
    bpy.ops.gvm.score(what="ALL")
    film.wait(until=lambda: len(list((film.folder / "film music").glob("*.wav"))) > len(earlier))
    assert film.jobs.busy()
    bpy.ops.gvm.cancel()
    assert film.wait(10).message == "Cancelled"
    assert sorted(path.name for path in (film.folder / "film music").glob("*.wav")) == earlier
    assert film.everything() == before


def test_undo_during_a_job(film: Editor) -> None:
    """The undo takes the strips away; so nothing is placed."""
    film.step()
    bare = film.everything()
    film.row_of_films()
    film.step()
    bpy.ops.gvm.score(what="ALL")
    film.wait(until=lambda: film.jobs.STATE.job.fraction > 0.05)
    bpy.ops.ed.undo()
    assert film.everything() == bare
    state = film.wait()
    assert state.failed
    assert "gone" in state.message
    assert film.everything() == bare
    assert left_over(film) == []


def test_strips_deleted_during_a_job(begun: Editor) -> None:
    for strip in list(begun.strips):
        begun.strips.remove(strip)
    bare = begun.everything()
    state = begun.wait()
    assert state.failed
    assert "gone" in state.message
    assert begun.everything() == bare
    assert left_over(begun) == []


def test_the_cue_deleted_during_a_job(film: Editor) -> None:
    film.row_of_films()
    film.score()
    film.activate(film.ours[0])
    bpy.ops.gvm.reroll()
    for strip in film.ours:
        film.strips.remove(strip)
    before = film.everything()
    files = sorted(path.name for path in (film.folder / "film music").glob("*.wav"))
    state = film.wait()
    assert state.failed
    assert "isn't there any more" in state.message
    assert film.everything() == before
    assert sorted(path.name for path in (film.folder / "film music").glob("*.wav")) == files


def test_the_scene_deleted_during_a_job(begun: Editor) -> None:
    bpy.data.scenes.new("Other")
    bpy.data.scenes.remove(bpy.data.scenes["Scene"])
    state = begun.wait()
    assert "the scene Scene is gone" in state.message
    bpy.data.scenes["Other"].name = "Scene"


def test_a_part_of_the_edit_changed_during_a_job(begun: Editor) -> None:
    begun.strips.remove(begun.strips["c"])
    state = begun.wait()
    assert not state.failed
    assert begun.ours
    assert any("Re-score" in warning for warning in state.warnings)


def test_a_broken_film(film: Editor) -> None:
    row = film.row_of_films()
    for strip in row:
        strip.filepath = str(MEDIA / "broken.mp4")
    film.step()
    before = film.everything()
    bpy.ops.gvm.score(what="ALL")
    state = film.wait()
    assert state.failed
    assert "broken.mp4" in state.message
    assert film.everything() == before
    assert left_over(film) == []


def test_another_file_is_opened_during_a_job(begun: Editor) -> None:
    pid = begun.jobs.STATE.client.pid
    bpy.ops.wm.open_mainfile(filepath=str(begun.folder / "film.blend"))
    assert not begun.jobs.busy()
    assert not alive(pid)
    assert processes() == set()
    assert left_over(begun) == []
    begun.jobs.tick()


def test_the_add_on_is_switched_off_during_a_job(begun: Editor) -> None:
    bpy.ops.preferences.addon_disable(module=MODULE)
    assert processes() == set()
    assert left_over(begun) == []
    bpy.ops.preferences.addon_enable(module=MODULE)
    preferences = bpy.context.preferences.addons[MODULE].preferences
    preferences.program, preferences.model = os.environ["GVM_PROGRAM"], "tone"


def test_a_render_of_effects_is_cancelled(film: Editor) -> None:
    one = film.row_of_films()[0]
    one.blend_type = "ADD"
    work = set(Path("/tmp").glob("gvm-proxy-*"))
    bpy.ops.gvm.score(what="ALL")
    assert film.jobs.STATE.job.proxy.running()
    bpy.ops.gvm.cancel()
    assert not film.jobs.busy()
    assert set(Path("/tmp").glob("gvm-proxy-*")) <= work
    assert left_over(film) == []


def test_no_gvm(film: Editor) -> None:
    film.row_of_films()
    film.preferences.program = str(film.folder / "no gvm")
    with pytest.raises(RuntimeError, match="gvm isn't found"):
        bpy.ops.gvm.score(what="ALL")
    program = film.folder / "gvm"
    program.write_text("#!/bin/sh\necho 'ImportError: no module named torch' >&2\nexit 3\n")
    program.chmod(0o755)
    film.preferences.program = str(program)
    bpy.ops.gvm.score(what="ALL")
    state = film.wait()
    film.preferences.program = os.environ["GVM_PROGRAM"]
    assert state.failed
    assert "no module named torch" in state.message


def test_nothing_to_score(film: Editor) -> None:
    for operator, said in ((bpy.ops.gvm.rescore, "score it first"), (bpy.ops.gvm.generate, "score it first")):
        with pytest.raises(RuntimeError, match=said):
            operator()
    with pytest.raises(RuntimeError, match="no strips with pictures"):
        bpy.ops.gvm.score(what="ALL")
    film.row_of_films()
    for strip in film.strips:
        strip.select = False
    with pytest.raises(RuntimeError, match="no strip with a picture is selected"):
        bpy.ops.gvm.score(what="SELECTED")


def test_all_channels_in_use(film: Editor) -> None:
    row = film.row_of_films("a")
    for channel in range(3, 129):
        film.compat.new_effect(film.editor, f"c{channel}", "TEXT", channel, 1, film.compat.end(row[0]))
    film.editor.channels[1].lock = True
    film.step()
    before = film.everything()
    bpy.ops.gvm.score(what="ALL")
    state = film.wait()
    assert state.failed
    assert "channel" in state.message
    assert film.everything() == before


def test_a_bug_in_placing_frees_the_job(film: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    film.row_of_films()

    def broken(*_: object, **__: object) -> None:
        raise KeyError("something unforeseen")

    monkeypatch.setattr(part("place"), "_new_sound", broken)
    bpy.ops.gvm.score(what="ALL")
    state = film.wait()
    assert state.failed
    assert "unforeseen" in state.message
    assert any("Traceback" in line for line in state.log)
    state.log.clear()
    assert film.ours == []


def test_offline_is_respected(film: Editor, tmp_path: Path) -> None:
    """The worker gets HF_HUB_OFFLINE unless Blender allows online access."""
    assert not bpy.app.online_access
    program, seen = tmp_path / "gvm", tmp_path / "seen"
    program.write_text(f'#!/bin/sh\nenv > {seen}\nexec {os.environ["GVM_PROGRAM"]} "$@"\n')
    program.chmod(0o755)
    film.preferences.program = str(program)
    film.run(bpy.ops.gvm.check)
    assert "HF_HUB_OFFLINE=1" in seen.read_text().splitlines()
    bpy.context.preferences.system.use_online_access = True
    film.run(bpy.ops.gvm.check)
    assert not any(line.startswith("HF_HUB_OFFLINE") for line in seen.read_text().splitlines())
    bpy.context.preferences.system.use_online_access = False
    film.preferences.program = os.environ["GVM_PROGRAM"]


def test_music_removed_from_disk(film: Editor) -> None:
    film.row_of_films()
    film.score()
    shutil.rmtree(film.folder / "film music")
    film.activate(film.ours[0])
    film.run(bpy.ops.gvm.reroll)
    assert len(film.ours) == 2


def test_a_file_that_was_never_saved(film: Editor) -> None:
    """There would be no place for the music that goes with it."""
    with worker_kept():
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.context.scene.name = "Scene"
    film.row_of_films()
    with pytest.raises(RuntimeError, match="save the file first"):
        bpy.ops.gvm.score(what="ALL")


@pytest.mark.skipif(bool(bpy.app.binary_path), reason="the program, not the Python package; see blender_gui_check.py")
def test_blender_quits_during_a_job(film: Editor) -> None:
    """In a process of its own: when that has ended, the worker has too."""
    film.row_of_films()
    bpy.ops.wm.save_mainfile()
    program = [
        "import os, time, bpy, importlib",
        f"bpy.ops.preferences.addon_enable(module={MODULE!r})",
        f"preferences = bpy.context.preferences.addons[{MODULE!r}].preferences",
        f"preferences.program, preferences.model = {os.environ['GVM_PROGRAM']!r}, 'tone'",
        f"bpy.ops.wm.open_mainfile(filepath={str(film.folder / 'film.blend')!r})",
        f"jobs = importlib.import_module({MODULE + '.jobs'!r})",
        "bpy.ops.gvm.score(what='ALL')",
        "while jobs.STATE.job.fraction < 0.05: time.sleep(0.02); jobs.tick()",
        "print('worker', jobs.STATE.client.pid, flush=True)",
    ]
    text = "\n".join(program)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False)
    told = [line for line in done.stdout.splitlines() if line.startswith("worker ")]
    assert told, done.stderr
    deadline = time.monotonic() + 5
    while alive(int(told[0].split()[1])) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(int(told[0].split()[1]))
    assert "Traceback" not in done.stderr
    assert not list((film.folder / "film music").glob("*.wav"))
    assert not list((film.folder / "film music").glob(".gvm/work/*"))


def test_many_strips(film: Editor) -> None:
    """The button comes back with the job begun; how soon is printed, not tested: machines differ."""
    for number in range(600):
        film.compat.new_effect(film.editor, f"c{number}", "COLOR", 2 + number % 3, 1 + 5 * number, 6 + 5 * number)
    begun = time.perf_counter()
    bpy.ops.gvm.score(what="ALL")
    print(f"600 strips: the button came back after {1000 * (time.perf_counter() - begun):.0f} ms")
    assert film.jobs.busy()
    bpy.ops.gvm.cancel()
    film.wait()

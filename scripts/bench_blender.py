"""How long the Blender add-on takes from click to strips. Run with the Python of a bpy environment:

    .venv-bpy45/bin/python scripts/bench_blender.py --zip build/blender/gvm_score-0.1.0.zip --gvm .venv/bin/gvm FILM ...

The films are put in a row (60 s of them), scored with the worker cold, and again, another edit, with the worker warm.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

MODULE = "bl_ext.user_default.gvm_score"
FPS = 24


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zip", required=True)
    parser.add_argument("--gvm", required=True)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("films", nargs="+", type=Path)
    options = parser.parse_args()
    os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="gvm-bench-")
    import bpy

    bpy.ops.extensions.package_install_files(
        filepath=os.path.abspath(options.zip), repo="user_default", enable_on_install=True
    )
    preferences = bpy.context.preferences.addons[MODULE].preferences
    preferences.program, preferences.model = os.path.abspath(options.gvm), options.model
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = FPS, 1.0
    if hasattr(bpy.context.workspace, "sequencer_scene"):
        bpy.context.workspace.sequencer_scene = scene
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(tempfile.mkdtemp(prefix="gvm-bench-"), "bench.blend"))
    print(f"Blender {bpy.app.version_string}, model {options.model}, {options.seconds} s of edit")
    edits = {"cold": options.films, "warm": options.films[::-1]}
    figures = {name: once(scene, films, options.seconds, name) for name, films in edits.items()}
    print(json.dumps({"blender": bpy.app.version_string, "edit_s": options.seconds, **figures}))


def once(scene: Any, films: list[Path], seconds: int, name: str) -> dict[str, Any]:
    """Lay out the films, score them, say how long it took; the same as a dict, seconds."""
    import bpy

    jobs, compat, store = (importlib.import_module(f"{MODULE}.{part}") for part in ("jobs", "compat", "store"))
    strips, at, last = compat.strips(scene.sequence_editor_create()), 1, 1 + FPS * seconds
    for strip in list(strips):
        strips.remove(strip)
    for film in films:
        if at >= last:
            break
        strip = strips.new_movie(name=film.stem, filepath=str(film.resolve()), channel=2, frame_start=at)
        compat.set_extent(strip, at, min(compat.end(strip), last))
        at = compat.end(strip)
    click = time.perf_counter()
    bpy.ops.gvm.score(what="ALL")
    back = time.perf_counter() - click
    stages: dict[str, float] = {}
    longest = 0.0
    while jobs.busy():
        stage, begun = jobs.STATE.job.stage, time.perf_counter()
        time.sleep(0.02)
        tick = time.perf_counter()
        jobs.tick()
        longest = max(longest, time.perf_counter() - tick)
        stages[stage] = stages.get(stage, 0.0) + time.perf_counter() - begun
    whole = time.perf_counter() - click
    parts = ", ".join(f"{stage} {value:.1f} s" for stage, value in stages.items())
    print(f"{name}: button {1000 * back:.0f} ms, strips after {whole:.1f} s ({parts})")
    print(f"      longest tick {1000 * longest:.0f} ms")
    print(f"      {jobs.STATE.message} {jobs.STATE.remedy}; {len(list(store.ours(scene)))} strips")
    rounded = {stage: round(value, 2) for stage, value in stages.items()}
    return {"button": round(back, 4), "strips": round(whole, 2), "longest_tick": round(longest, 4), "stages": rounded}


if __name__ == "__main__":
    main()

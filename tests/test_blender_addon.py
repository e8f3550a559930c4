"""The add-on for Blender as far as it can be looked at without one; tests/blender/ runs it inside Blender."""

from __future__ import annotations

import ast
import importlib.util
import math
import subprocess
import sys
import tomllib
from dataclasses import fields
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gvm_plugin import __version__
from gvm_plugin.options import STYLES, ScoreOptions

ROOT = Path(__file__).resolve().parents[1]
ADDON = ROOT / "gvm_plugin" / "blender"


def plain(name: str) -> ModuleType:
    """One of its modules that needs no bpy."""
    spec = importlib.util.spec_from_file_location(f"blender_{name}", ADDON / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


keys = plain("keys")


def tree_of(name: str) -> ast.Module:
    return ast.parse((ADDON / f"{name}.py").read_text("utf-8"))


# --- what it shares with gvm -------------------------------------------------------------------------------------


def test_it_is_of_the_same_version() -> None:
    manifest = tomllib.loads((ADDON / "blender_manifest.toml").read_text("utf-8"))
    assert manifest["version"] == __version__
    assert manifest["license"] == ["SPDX:GPL-3.0-or-later"]


def test_it_has_the_same_styles() -> None:
    (styles,) = (
        ast.literal_eval(node.value)
        for node in tree_of("properties").body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "STYLES"
    )
    assert tuple(name for name, _, _ in styles) == STYLES


def test_the_options_it_sends_exist() -> None:
    (function,) = (n for n in tree_of("work").body if isinstance(n, ast.FunctionDef) and n.name == "_options")
    (sent,) = (node for node in ast.walk(function) if isinstance(node, ast.Dict))
    names = {ast.literal_eval(key) for key in sent.keys if key is not None}
    assert {"seed", "takes", "model"} < names <= {field.name for field in fields(ScoreOptions)}


def _of_compat(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node.value) == "compat"


def test_names_that_blender_changed_are_in_one_file() -> None:
    """compat.py alone asks for versions and knows names that some versions lack."""
    changed = {
        "Sequence", "Strip", "sequences", "sequences_all", "strips_all", "frame_final_start", "frame_final_end",
        "left_handle", "right_handle", "frame_start", "content_start", "sequencer_scene", "version",
    }  # fmt: skip
    for path in ADDON.glob("*.py"):
        used = {node.attr for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Attribute)}
        mine = {node.attr for node in ast.walk(ast.parse(path.read_text("utf-8"))) if _of_compat(node)}
        if path.name not in ("compat.py", "proxy_render.py"):
            assert not (used - mine) & changed, path.name


def test_every_file_tells_its_licence() -> None:
    for path in ADDON.glob("*.py"):
        assert path.read_text("utf-8").startswith("# SPDX-License-Identifier: GPL-3.0-or-later\n"), path.name
    assert "GNU GENERAL PUBLIC LICENSE" in (ROOT / "LICENSES" / "GPL-3.0-or-later.txt").read_text("utf-8")


def test_without_blender_the_tests_in_it_are_left_out_in_a_line(tmp_path: Path) -> None:
    """An environment that can't be had is no error."""
    script = (ROOT / "scripts" / "blender_tests.py").read_text("utf-8")
    program = tmp_path / "scripts" / "blender_tests.py"
    program.parent.mkdir()
    (tmp_path / "tests" / "blender").mkdir(parents=True)
    program.write_text(script.replace('"4.5.15"', '"0.0.1.no.such.version"'))
    done = subprocess.run(
        [sys.executable, str(program), "--only", "4.5"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith("Blender 4.5: not tested here")


# --- volume keys -------------------------------------------------------------------------------------------------

FPS = Fraction(24)


def cue(**changed: Any) -> dict[str, Any]:
    return {
        "fade_in": {"start": 0.0, "end": 0.001}, "fade_out": {"start": 9.99, "end": 10.0}, "ducking": [], **changed,
    }  # fmt: skip


def take(**changed: Any) -> dict[str, Any]:
    return {"start_frame": 0, "frames": 240, "gain_db": -6.0206, **changed}


def at(level: Any, frame: float) -> float:
    """The volume at a frame, with straight lines between keys."""
    points = level.keys
    for (first, low), (last, high) in pairwise(points):
        if first <= frame <= last:
            return float(low + (high - low) * (frame - first) / (last - first))
    return float(level.volume)


def test_without_fades_there_are_no_keys() -> None:
    level = keys.level_of(cue(), take(), FPS)
    assert (level.first, level.last, level.volume, level.keys) == (0, 240, 0.5, ())


def test_a_join_has_equal_power_at_every_frame() -> None:
    join = {"start": 5.0, "end": 6.0}
    leaves = keys.level_of(cue(fade_out=join), take(gain_db=0), FPS)
    comes = keys.level_of(cue(fade_in=join), take(gain_db=0, start_frame=110, frames=130), FPS)
    assert (leaves.last, comes.first) == (144, 120)
    assert len(leaves.keys) <= 6
    for frame in range(120, 145):
        power = at(leaves, frame) ** 2 + at(comes, frame) ** 2
        assert power == pytest.approx(1, abs=0.08)
    assert (at(leaves, 144), at(comes, 120)) == (0, 0)


def test_ducking_is_as_deep_as_asked_and_has_few_keys() -> None:
    ducking = [[0.0, 0.0], [3.0, 0.0], [3.3, -12.0], [6.0, -12.0], [7.0, 0.0], [10.0, 0.0]]
    level = keys.level_of(cue(ducking=ducking), take(gain_db=0), FPS)
    assert len(level.keys) <= 8
    for seconds, gain in ((2.0, 0.0), (4.0, -12.0), (5.5, -12.0), (8.0, 0.0)):
        assert 20 * math.log10(at(level, 24 * seconds)) == pytest.approx(gain, abs=0.1)
    assert 20 * math.log10(at(level, 24 * 6.5)) == pytest.approx(-6, abs=0.5)


def test_handles_are_where_the_fades_end() -> None:
    level = keys.level_of(
        cue(fade_in={"start": 2.0, "end": 2.5}, fade_out={"start": 7.0, "end": 8.0}), take(start_frame=24), FPS
    )
    assert (level.first, level.last) == (48, 192)
    assert (level.keys[0], level.keys[-1]) == ((48, 0.0), (192, 0.0))

"""What others may import from `gvm_plugin`, and what comes with the package: exactly this, typed and documented."""

from __future__ import annotations

import inspect
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

import gvm_plugin

ROOT = Path(__file__).resolve().parents[1]

PARAMETERS = {
    "score_video": ("video", "out", "options", "generator", "progress"),
    "score_folder": ("folder", "out", "options", "recursive", "jobs", "generator", "progress", "done"),
    "spot": ("video", "out", "options", "generator", "progress"),
    "render": ("sheet_path", "out", "generator", "progress", "device", "monetised", "overwrite", "export"),
    "score_clip": ("clip", "options", "generator", "logger", "sheet", "project", "folder"),
    "to_array": ("sound", "rate", "mono"),
    "from_array": ("samples", "rate"),
    "to_segment": ("sound", "rate", "bits"),
    "from_segment": ("segment",),
}
EFFECTS = ("DuckUnder", "GVMScore", "MatchLoudness", "ShotCrossfade")  # for MoviePy


def test_a_star_import_gives_the_public_names_and_nothing_else() -> None:
    program = "before = set(dir()); from gvm_plugin import *; print(sorted(set(dir()) - before - {'before'}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == str(sorted(gvm_plugin.__all__))
    assert sorted(gvm_plugin.__all__) == sorted([*PARAMETERS, *EFFECTS, "ScoreOptions"])


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_public_function_keeps_its_parameters(name: str) -> None:
    """Taking one away or renaming it breaks other people's scripts: change this table and the changelog together."""
    function = getattr(gvm_plugin, name)
    signature = inspect.signature(function)
    assert tuple(signature.parameters) == PARAMETERS[name]
    assert all(parameter.annotation is not inspect.Parameter.empty for parameter in signature.parameters.values())
    first, *others = signature.parameters.values()
    assert first.default is inspect.Parameter.empty
    assert all(parameter.default is not inspect.Parameter.empty for parameter in others)
    assert inspect.getdoc(function)


def test_an_unknown_option_is_no_option() -> None:
    with pytest.raises(TypeError):
        gvm_plugin.ScoreOptions(styl="lofi")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="style is 'jazz'; choose one of auto, cinematic"):
        gvm_plugin.ScoreOptions(style="jazz")


@pytest.mark.parametrize("package", ["core", "gvm_plugin"])
def test_all_that_is_no_python_goes_into_the_wheel(package: str) -> None:
    """A file that no pattern of package-data names would be missing after `pip install`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"][package]
    files = [
        path.relative_to(ROOT / package).as_posix()
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and not path.name.endswith(".partial")
    ]
    assert "py.typed" in files
    assert [name for name in files if not any(fnmatch(name, pattern) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in files)] == []

"""What pyproject.toml asks pip for is what the packages import, no more and no less."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.test_architecture import import_statements

ROOT = Path(__file__).resolve().parents[1]
OURS = {"core", "gvm_plugin"}

# Where the name one imports isn't the name pip knows.
DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "imageio_ffmpeg": "moviepy",  # which brings it, and with it the ffmpeg program
    "open_clip": "open_clip_torch",
    "ruamel": "ruamel.yaml",
    "scenedetect": "scenedetect-headless",
}
# Asked for, though no import statement names it.
WITHOUT_IMPORT = {
    "audioop-lts": "pydub imports it, from Python 3.13 on, which has no audioop of its own any more",
    "silero-vad": "its weights are read from its folder (gvm_plugin/speech.py)",
}
# Imported where it is there, not needed otherwise.
OPTIONAL = {"tinysoundfont", "matplotlib", "audiocraft", "omegaconf"}
# Inside of Blender alone.
BLENDERS = {"bpy", "aud"}


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {re.split(r"[<>=!~ \[]", requirement)[0] for requirement in project["dependencies"]}


def imported(folders: set[str]) -> set[str]:
    """Distributions of all third-party modules that the Python files in `folders` import anywhere."""
    names = {name.split(".")[0] for folder in folders for path in (ROOT / folder).rglob("*.py") for name in _of(path)}
    return {DISTRIBUTIONS.get(name, name) for name in names - set(sys.stdlib_module_names) - OURS - BLENDERS}


def _of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def test_what_is_imported_is_declared() -> None:
    assert imported(OURS) - OPTIONAL - declared() == set()


def test_what_is_declared_is_imported() -> None:
    assert declared() - imported(OURS) - set(WITHOUT_IMPORT) == set()


def test_scripts_and_examples_need_nothing_else() -> None:
    """But what `pip install '.[dev]'` brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    dev = {re.split(r"[<>=]", requirement)[0] for requirement in project["optional-dependencies"]["dev"]}
    siblings = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    others = {"PIL": "moviepy", "sklearn": "scikit-learn"}  # what brings them
    needed = {others.get(name, name) for name in imported({"scripts", "examples"}) - siblings}
    assert needed - declared() - dev - OPTIONAL == set()


def test_the_doctor_asks_for_nothing_that_isnt_declared() -> None:
    from gvm_plugin.doctor import NEEDED
    from gvm_plugin.doctor import OPTIONAL as NICE

    assert set(NEEDED) <= declared()
    assert set(NICE) <= OPTIONAL


def test_no_module_of_ours_needs_itself_in_a_circle() -> None:
    """Also not by imports inside functions; those for type checkers alone don't count."""
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in OURS
        for path in (ROOT / package).rglob("*.py")
    }
    needs = {name: _modules(path, set(paths)) - {name} for name, path in paths.items()}
    while free := [name for name, needed in needs.items() if not needed]:
        needs = {name: needed - set(free) for name, needed in needs.items() if name not in free}
    assert needs == {}


def _modules(path: Path, ours: set[str]) -> set[str]:
    """Our modules that a file imports. A name imported from a package that is a module counts as that module."""
    found: set[str] = set()
    for node in import_statements(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            named = {f"{node.module}.{alias.name}" for alias in node.names} & ours
            found |= named or {str(node.module)}
    return found & ours

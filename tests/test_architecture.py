"""The layers as data: a file imports only from files listed above it; nothing heavy when nothing heavy is asked for."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PLUGIN_LAYERS = [
    "timeline",
    "options",
    "weights_file",
    "models",
    "hub",
    "model_import",
    "evaluate_weights",
    "ffmpeg",
    "machine",
    "probe",
    "film_source",
    "edit_list",
    "edit_media",
    "wav",
    "loudness",
    "limiter",
    "onsets",
    "beats",
    "generators",
    "speech",
    "music_detection",
    "picture_pass",
    "analysis",
    "cuesheet",
    "cuesheet_reader",
    "identity",
    "character",
    "spotting",
    "outputs",
    "cache",
    "takes",
    "crossfade",
    "ducking",
    "mix",
    "mux",
    "encode",
    "measure",
    "gate",
    "choose",
    "judge",
    "picking",
    "report_view",
    "report",
    "handoff",
    "delivery",
    "score",
    "moviepy_fx",
    "segments",
    "workers",
    "folder",
    "preflight",
    "terminal",
    "dataset",
    "lessons",
    "evaluate",
    "doctor",
    "progress",
    "cli_models",
    "cli_dataset",
    "cli_train",
    "cli_evaluate",
    "edit_takes",
    "edit_plan",
    "edit_score",
    "worker_events",
    "worker_jobs",
    "worker",
    "worker_client",
    "cli",
    "__main__",
]


def import_statements(path: Path) -> Iterator[ast.Import | ast.ImportFrom]:
    """All imports of a file from other packages or modules, also inside functions, but not for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module and node.level == 0):
            yield node


def imports_of(path: Path) -> set[str]:
    """Full names of all modules that a file imports, and of what it takes from them."""
    names: set[str] = set()
    for node in import_statements(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        else:
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def plugin_modules() -> list[Path]:
    return sorted(path for path in (ROOT / "gvm_plugin").glob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("path", plugin_modules(), ids=lambda path: path.stem)
def test_a_file_imports_only_from_files_above_it(path: Path) -> None:
    assert path.stem in PLUGIN_LAYERS, f"{path.name} has no place in PLUGIN_LAYERS: give it one"
    above = PLUGIN_LAYERS[: PLUGIN_LAYERS.index(path.stem)]
    used = {name.split(".")[1] for name in imports_of(path) if name.startswith("gvm_plugin.")}
    below = {name for name in used if name in PLUGIN_LAYERS and name not in above}
    assert not below, f"{path.name} imports {below} from below it"


INNER_LAYERS = {
    "dataset": [
        *("options", "text_overlay", "fingerprints", "kinds", "labels", "spans", "split", "clips", "tensors", "codes"),
        *("watching", "record", "film", "page", "build"),
    ],
    "evaluate": [
        *("own", "material", "statistics", "systems", "metrics", "resemblance", "fit", "compare", "tables", "page"),
        *("listening_orders", "listening_sound", "listening", "listening_answers", "listening_results"),
        *("pitch", "figures"),
    ],
    "handoff": [
        *("timecode", "source", "timeline_doc", "broadcast_wave", "cue_files", "build", "otio", "fcpxml", "xmeml"),
        *("edl", "cue_list", "export"),
    ],
    "moviepy_fx": [
        *("sound", "pictures", "progress", "scoring"),
        *("gvm_score", "match_loudness", "duck_under", "shot_crossfade"),
    ],
}


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package, names in INNER_LAYERS.items() for name in names]
)
def test_packages_inside_are_layered_too(package: str, name: str) -> None:
    layers = INNER_LAYERS[package]
    used = imports_of(ROOT / "gvm_plugin" / package / f"{name}.py")
    inside = {other.split(".")[2] for other in used if other.startswith(f"gvm_plugin.{package}.")}
    assert inside & set(layers) <= set(layers[: layers.index(name)])
    outside = {other.split(".")[1] for other in used if other.startswith("gvm_plugin.")} & set(PLUGIN_LAYERS)
    assert outside <= set(PLUGIN_LAYERS[: PLUGIN_LAYERS.index(package) + 1])
    assert package != "moviepy_fx" or name == "scoring" or "gvm_plugin.score" not in used  # effects without a model


@pytest.mark.parametrize("package", INNER_LAYERS)
def test_the_layers_inside_are_the_files(package: str) -> None:
    files = {path.stem for path in (ROOT / "gvm_plugin" / package).glob("*.py")}
    assert files == {"__init__", *INNER_LAYERS[package]}


def test_core_knows_nothing_of_films() -> None:
    for path in (ROOT / "core").rglob("*.py"):
        assert not any(name.split(".")[0] == "gvm_plugin" for name in imports_of(path)), path


def test_only_generators_and_lessons_open_the_model() -> None:
    for path in plugin_modules():
        if path.stem not in ("generators", "lessons"):
            used = {
                name
                for name in imports_of(path)
                if name.startswith(("core.pipeline", "core.waveform", "core.model", "core.engine"))
            }
            assert not used, path


def test_bpy_stays_in_its_folder() -> None:
    for package in ("core", "gvm_plugin"):
        for path in (ROOT / package).rglob("*.py"):
            if "blender" not in path.relative_to(ROOT).parts:
                assert not any(name.split(".")[0] in ("bpy", "blf", "gpu") for name in imports_of(path)), path


def test_the_add_on_for_blender_needs_nothing_but_blender() -> None:
    for path in (ROOT / "gvm_plugin" / "blender").glob("*.py"):
        others = {name.split(".")[0] for name in imports_of(path)} - set(sys.stdlib_module_names)
        assert others <= {"bpy"}, path
    assert {name.split(".")[0] for name in imports_of(ROOT / "gvm_plugin" / "worker_client.py")} <= set(
        sys.stdlib_module_names
    )


def test_only_one_module_starts_programs() -> None:
    for path in plugin_modules():
        if path.stem not in ("ffmpeg", "worker_client"):
            assert "subprocess" not in imports_of(path), path


@pytest.mark.parametrize(
    "code",
    [
        "import gvm_plugin",
        "from gvm_plugin import score_video, score_folder, spot, render, ScoreOptions",
        "from gvm_plugin.cli import run; run(['--help'])",
        "from gvm_plugin.cli import run; run(['score-folder', '--help'])",
        "from gvm_plugin.cli import run; run(['evaluate', '--help'])",
    ],
)
def test_light_import(code: str) -> None:
    """In a fresh process: neither the package nor the help loads anything heavy."""
    program = f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    heavy = {
        "torch",
        "librosa",
        "libtsm",
        "scipy",
        "av",
        "scenedetect",
        "cv2",
        "soundfile",
        "moviepy",
        "ruamel.yaml",
        "opentimelineio",
        "pydub",
    }
    assert not loaded & heavy
    if "--help" in code:
        assert "numpy" not in loaded


def test_core_is_ours() -> None:
    import core

    assert core.__file__ is not None
    assert Path(core.__file__).resolve().is_relative_to(ROOT)


def test_public_names_exist() -> None:
    import gvm_plugin

    for name in gvm_plugin.__all__:
        assert getattr(gvm_plugin, name).__doc__
    with pytest.raises(AttributeError):
        _ = gvm_plugin.absent


def test_the_version_is_said_once() -> None:
    import tomllib

    import gvm_plugin

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == gvm_plugin.__version__

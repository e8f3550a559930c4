"""Runs tests/blender/ inside real Blenders: the bpy packages, each in an environment of its own, with the built add-on.

    python scripts/blender_tests.py [--only 4.5] [pytest's arguments]

Makes .venv-bpy45 and .venv-bpy50 (about 370 MB to fetch and 1 GB of disk each). Where one can't be had (no network, a
Python other than 3.11, a system library missing: docs/blender.md) it says so in a line and goes on: that is no error.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = {"4.5": "4.5.15", "5.0": "5.0.1"}
MEDIA = ROOT / "build" / "blender-tests" / "media"
TESTS = ROOT / "tests" / "blender"


def environment(version: str) -> Path | None:
    """The environment with that bpy, made if it isn't there; None, told in a line, where it can't be had."""
    folder = ROOT / f".venv-bpy{version.replace('.', '')}"
    python = folder / "bin" / "python"
    if not python.exists():
        _quiet(sys.executable, "-m", "venv", folder)
    if _quiet(python, "-c", "import pytest") is not None:
        packages = [f"bpy=={VERSIONS[version]}", "pytest>=8"]
        error = _quiet(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
        if error is not None:
            return _without(version, error)
    error = _quiet(python, "-c", "import bpy")
    return folder if error is None else _without(version, error)


def _quiet(*command: str | Path) -> str | None:
    """Run it; None if it went well, else the last line it said."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd=TESTS)
    said = (done.stdout + done.stderr).strip().splitlines()
    return None if done.returncode == 0 else (said[-1] if said else f"exit code {done.returncode}")


def _without(version: str, error: str) -> None:
    print(f"Blender {version}: not tested here ({error}); see docs/blender.md")


def test(version: str, folder: Path, arguments: list[str]) -> tuple[str, int, str]:
    """(version, exit code, what pytest said) of the tests in one Blender."""
    sys.path.insert(0, str(ROOT / "scripts"))
    from build_blender_addon import blender_files, build

    out = ROOT / "build" / "blender-tests" / version
    out.mkdir(parents=True, exist_ok=True)
    variables = {
        **os.environ, "GVM_ADDON": str(build(blender_files([folder]), out)), "GVM_MEDIA": str(MEDIA),
        "GVM_PROGRAM": str(Path(sys.executable).parent / "gvm"),
    }  # fmt: skip
    command = [
        folder / "bin" / "python", "-m", "pytest", "-c", TESTS / "pytest.ini", "--rootdir", TESTS,
        "--confcutdir", TESTS, *(arguments or [TESTS]),
    ]  # fmt: skip
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, cwd=TESTS, env=variables
    )
    return version, done.returncode, done.stdout + done.stderr


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=VERSIONS)
    parser.add_argument("--prepare", action="store_true", help="make the environments, run nothing")
    options, arguments = parser.parse_known_args()
    wanted = [options.only] if options.only else list(VERSIONS)
    found = {version: folder for version in wanted if (folder := environment(version))}
    if options.prepare or not found:
        return 0
    if not (MEDIA / "done").is_file():
        subprocess.run([sys.executable, str(TESTS / "make_media.py"), str(MEDIA)], check=True, cwd=ROOT)
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda item: test(*item, arguments), found.items()))
    for version, _, said in results:
        print(f"--- Blender {version}\n{said.strip()}")
    return max(code for _, code, _ in results)


if __name__ == "__main__":
    sys.exit(main())

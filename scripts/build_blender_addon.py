"""Builds the Blender add-on: build/blender/gvm_score-VERSION.zip and a static repository index beside it.

    python scripts/build_blender_addon.py [--bpy ENVIRONMENT] [--out FOLDER]

Uses Blender's own tool, which lies in every Blender and in the bpy package: the environments .venv-bpy* (made by
`make blender-addon`) are looked through, and a Blender that is installed. A plain Python runs it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "gvm_plugin" / "blender"
TOOL = "scripts/addons_core/bl_pkg/cli/blender_ext.py"
TAGS = "scripts/modules/_bpy_internal/extensions/tags.py"  # newer Blenders; older ones have no list
FOLDERS = (  # of Blender's own files, below an environment or where a Blender is installed
    "lib/python3*/site-packages/bpy/*", "Lib/site-packages/bpy/*", "usr/share/blender", "usr/share/blender/*",
)  # fmt: skip


def blender_files(environments: list[Path]) -> Path:
    """The newest folder with Blender's own tool. SystemExit where there is none."""
    found = [folder for env in environments for pattern in FOLDERS for folder in env.glob(pattern)]
    found = [folder for folder in found if (folder / TOOL).is_file()]
    if not found:
        sys.exit("error: no bpy package and no Blender is here: make blender-addon, or give --bpy ENVIRONMENT")
    return max(found, key=lambda folder: (folder.name.replace(".", "").isdigit(), folder.name))


def gather(folder: Path) -> None:
    """Put the add-on's files together: its own, the worker's client, the licence."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in [*SOURCE.glob("*.py"), SOURCE / "blender_manifest.toml", ROOT / "gvm_plugin" / "worker_client.py"]:
        shutil.copyfile(path, folder / path.name)
    shutil.copyfile(ROOT / "LICENSES" / "GPL-3.0-or-later.txt", folder / "LICENSE")
    shutil.copyfile(ROOT / "LICENSES" / "Apache-2.0.txt", folder / "LICENSE-worker_client")


def build(blender: Path, out: Path) -> Path:
    """The built and validated zip in `out`, with index.json and index.html beside it."""
    source = out / "source"
    gather(source)
    for old in out.glob("*.zip"):
        old.unlink()
    tags = ["--valid-tags", str(blender / TAGS)] if (blender / TAGS).is_file() else []
    _run(blender, "validate", *tags, source)
    _run(blender, "build", "--source-dir", source, "--output-dir", out)
    (built,) = out.glob("*.zip")
    _run(blender, "validate", *tags, built)
    _run(blender, "server-generate", "--repo-dir", out, "--html")
    return built


def _run(blender: Path, *arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, str(blender / TOOL), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"error: {arguments[0]} of Blender's tool: {(done.stdout + done.stderr).strip()}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bpy", type=Path, action="append", help="an environment with bpy, or a Blender's root")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "blender")
    arguments = parser.parse_args()
    print(build(blender_files(arguments.bpy or [*sorted(ROOT.glob(".venv-bpy*")), Path("/")]), arguments.out))


if __name__ == "__main__":
    main()

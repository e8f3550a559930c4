"""What of this machine and installation gvm needs, whether it is there, and what to do where it isn't."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from core.errors import GVMError
from gvm_plugin import __version__

NEEDED: Final = (
    "av", "click", "jinja2", "mido", "moviepy", "numpy", "opencv-python-headless", "ruamel.yaml",
    "safetensors", "scenedetect-headless", "scipy", "silero-vad", "soundfile", "torch", "tqdm",
)  # fmt: skip
OPTIONAL: Final = {"tinysoundfont": "plays --soundfont files: pip install --no-deps tinysoundfont"}
ENCODERS: Final = {"aac": "sound in mp4 and mov", "libopus": "sound in mkv and webm"}
MIN_FREE_BYTES: Final = 2 * 10**9


@dataclass(frozen=True)
class Finding:
    """One thing looked at. level: ok, note or missing; remedy: what to do unless ok."""

    what: str
    level: str
    detail: str
    remedy: str = ""


def examine(folder: Path | None = None) -> list[Finding]:
    """Findings on everything gvm needs. folder: where results would go, for the free space."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (_python, _packages, _ffmpeg, _models, _device)
    findings = [finding for check in checks for finding in check()]
    return [*findings, _disk(folder or Path.cwd())]


def _python() -> Iterator[Finding]:
    yield Finding("gvm", "ok", f"{__version__}, Python {platform.python_version()} on {platform.system()}")


def _packages() -> Iterator[Finding]:
    for name in NEEDED:
        found = _version(name)
        if found:
            yield Finding(name, "ok", found)
        else:
            yield Finding(name, "missing", "not installed", f"pip install {name}")
    for name, remedy in OPTIONAL.items():
        found = _version(name)
        yield Finding(name, "ok" if found else "note", found or "not installed (optional)", "" if found else remedy)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _ffmpeg() -> Iterator[Finding]:
    from gvm_plugin.ffmpeg import ffmpeg_exe, ffmpeg_version, run_ffmpeg

    remedy = "pip install imageio-ffmpeg, or set GVM_FFMPEG to an ffmpeg program"
    try:
        yield Finding("ffmpeg", "ok", f"{ffmpeg_version()} ({ffmpeg_exe()})")
    except (GVMError, ImportError) as err:
        yield Finding("ffmpeg", "missing", str(err).splitlines()[0], remedy)
        return
    for name, use in ENCODERS.items():
        try:  # a tenth of a second of silence, really encoded
            run_ffmpeg(["-f", "lavfi", "-i", "anullsrc", "-t", "0.1", "-c:a", name, "-f", "null", "-"], 30)
            yield Finding(f"encoder {name}", "ok", use)
        except GVMError:
            yield Finding(f"encoder {name}", "missing", f"ffmpeg lacks it; for {use}", remedy)


def _models() -> Iterator[Finding]:
    from gvm_plugin.models import list_models

    for model in list_models():
        problem, _, remedy = model.problem.partition("; ")
        detail = problem or f"{model.licence}, {model.size_bytes / 1e6:.0f} MB"
        yield Finding(f"model {model.name}", "missing" if problem else "ok", detail, remedy)


def _device() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("CPU", "ok", f"{cores} cores, {platform.machine()}")
    try:
        import torch
    except ImportError:
        return  # said among the packages
    if torch.cuda.is_available():
        yield Finding("GPU", "ok", torch.cuda.get_device_name(0))
    elif torch.backends.mps.is_available():
        yield Finding("GPU", "ok", "Apple")
    else:
        yield Finding("GPU", "ok", "none; the starter model needs none")


def _disk(folder: Path) -> Finding:
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(place).free
    detail = f"{free / 1e9:.1f} GB free in {place}"
    if not os.access(place, os.W_OK):
        return Finding("disk", "missing", f"{place} can't be written to", "choose another folder with --out")
    if free < MIN_FREE_BYTES:
        return Finding("disk", "note", detail, "make room: an hour of film takes about 5 GB while it is scored")
    return Finding("disk", "ok", detail)

"""What of this machine and installation gvm needs, whether it is there, and what to do where it isn't."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from core.errors import GVMError
from gvm_plugin import __version__

NEEDED: Final = (
    "av", "click", "huggingface_hub", "jinja2", "librosa", "mido", "moviepy", "numpy", "open_clip_torch",
    "opencv-python-headless", "opentimelineio", "ruamel.yaml", "safetensors", "scenedetect-headless", "scipy",
    "silero-vad", "soundfile", "torch", "torchvision", "tqdm", "transformers",
)  # fmt: skip
OPTIONAL: Final = {
    "tinysoundfont": "plays --soundfont files: pip install --no-deps tinysoundfont",
    "matplotlib": "draws `gvm evaluate figures`: pip install 'gvm[evaluation]'",
    "audiocraft": "MultiBandDiffusion, and comparisons with the published code: make audiocraft",
}
ENCODERS: Final = {"aac": "sound in mp4 and mov", "libopus": "sound in mkv and webm"}
MIN_FREE_BYTES: Final = 2 * 10**9
LARGE_BYTES: Final = 10 * 10**9
# Instruction sets, any of which makes weights of that kind fast.
FAST: Final = {
    "bf16": {"avx512_bf16", "amx_bf16", "bf16"},
    "int8": {"avx512_vnni", "avx_vnni", "amx_int8", "i8mm", "asimddp"},
}


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
        lacking = [each for each in _extra(name) if not _version(each)] if found else []
        detail = f"{found}, without {', '.join(lacking)}" if lacking else found or "not installed (optional)"
        whole = bool(found) and not lacking
        yield Finding(name, "ok" if whole else "note", detail, "" if whole else remedy)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _extra(name: str) -> list[str]:
    """Packages of our own optional extra of that name."""
    try:
        needs = metadata.requires("gvm") or []
    except metadata.PackageNotFoundError:
        return []
    return [re.split(r"[^\w.-]", need)[0] for need in needs if re.search(rf"extra == .{re.escape(name)}.$", need)]


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
    from gvm_plugin.models import STARTER, list_models, list_parts, models_folder
    from gvm_plugin.terminal import size_text

    for model in [*list_models(), *list_parts()]:
        problem, _, remedy = model.problem.partition("; ")
        size = f"{model.parameters / 1e6:.1f} million parameters, " if model.parameters else ""
        size += size_text(model.size_bytes) if model.size_bytes else "no weights"
        level = "ok" if not problem else "missing" if model.name == STARTER else "note"  # the others came by wish
        yield Finding(f"{model.kind} {model.name}", level, problem or f"{model.licence}, {size}", remedy)
    yield Finding("folder of models", "ok", str(models_folder()))


def _device() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        import torch

        from core.memory import free_bytes
    except ImportError:  # said among the packages
        yield Finding("CPU", "ok", f"{cores} cores, {platform.machine()}")
        return
    yield Finding("CPU", "ok", f"{cores} cores, {platform.machine()}; {_precisions()}")
    free = free_bytes("cpu")
    if free is not None:
        large = "" if free >= LARGE_BYTES else f"a model of GVMGen's large scale takes {LARGE_BYTES / 1e9:.0f} GB"
        yield Finding("memory", "note" if large else "ok", f"{free / 1e9:.1f} GB free", large)
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            left = free_bytes(f"cuda:{index}") or 0
            yield Finding("GPU", "ok", f"{torch.cuda.get_device_name(index)}, {left / 1e9:.1f} GB free")
    elif torch.backends.mps.is_available():
        yield Finding("GPU", "ok", "Apple")
    else:
        yield Finding("GPU", "ok", "none; the starter model needs none")


def _precisions() -> str:
    """What this processor computes fast besides fp32: small weights are read in less time."""
    there = _cpu_features()
    if not there:
        return "its instructions aren't known"
    fast = [name for name, needed in FAST.items() if there & needed]
    return f"fast with {', '.join(fast)} weights" if fast else "fast with fp32 weights only"


def _cpu_features(path: Path = Path("/proc/cpuinfo")) -> set[str]:
    """Names of instruction sets, as Linux spells them; empty where the system doesn't say."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return set(flags.partition(":")[2].split())


def _disk(folder: Path) -> Finding:
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(place).free
    detail = f"{free / 1e9:.1f} GB free in {place}"
    if not os.access(place, os.W_OK):
        return Finding("disk", "missing", f"{place} can't be written to", "choose another folder with --out")
    if free < MIN_FREE_BYTES:
        return Finding("disk", "note", detail, "make room: an hour of film takes about 5 GB while it is scored")
    return Finding("disk", "ok", detail)

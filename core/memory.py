"""How much memory is free, and one clear line where weights wouldn't fit, before any minute is spent.

Says nothing where the system doesn't tell: a check that can't be made is left out, not guessed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import torch

from core.errors import ModelError

# Beside the weights: caches, activations, what the libraries keep.
HEADROOM_BYTES: Final = 300_000_000
_GROUP: Final = Path("/sys/fs/cgroup")


def check_device(device: torch.device | str) -> torch.device:
    """`device`, if the machine has it; ModelError where it hasn't."""
    try:
        wanted = torch.device(device)
    except RuntimeError as err:
        raise ModelError(f"there is no device {device!r}; take cpu or cuda") from err
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        have = torch.cuda.device_count()
        said = (
            "no CUDA GPU that torch can use"
            if not have
            else f"{have} CUDA GPU{'s' * (have > 1)}, no number {wanted.index}"
        )
        raise ModelError(f"device {device} was asked for, but this machine has {said}; take cpu")
    if wanted.type == "mps" and not torch.backends.mps.is_available():
        raise ModelError(f"device {device} was asked for, but torch can't use one here; take cpu")
    return wanted


def free_bytes(device: torch.device | str) -> int | None:
    """Memory of `device` that can still be taken; None where the system doesn't say."""
    device = torch.device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch has set aside and doesn't use can be had too.
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type != "cpu" or sys.platform != "linux":
        return None
    known = [value for value in (_available(), _left_in_group()) if value is not None]
    return min(known, default=None)


def check_fits(needed_bytes: int, device: torch.device | str, what: str) -> None:
    """ModelError where `what` doesn't fit into the free memory of `device`."""
    free = free_bytes(device)
    if free is not None and needed_bytes + HEADROOM_BYTES > free:
        needed = (needed_bytes + HEADROOM_BYTES) / 1e9
        raise ModelError(
            f"{what} needs about {needed:.1f} GB of memory, {free / 1e9:.1f} GB are free on {device}; "
            "close other programs, take a smaller model or fewer bytes a weight (--precision)"
        )


def _available(path: Path = Path("/proc/meminfo")) -> int | None:
    """What Linux says new programs can have without swapping."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name == "MemAvailable" and value.split():
            return int(value.split()[0]) * 1024
    return None


def _left_in_group(folder: Path = _GROUP) -> int | None:
    """What the container that we may run in still allows (cgroup v2); cached files don't count, they make room."""
    try:
        limit = (folder / "memory.max").read_text().strip()
        used = int((folder / "memory.current").read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    if limit == "max":
        return None
    return int(limit) - used + int(stat.get("inactive_file", 0)) + int(stat.get("active_file", 0))

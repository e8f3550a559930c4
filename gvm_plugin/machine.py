"""How we treat the machine: freed memory goes back to the system, work computes in one thread but for large models."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Final

THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_share: dict[str, int] = {"workers": 1}


def compute_in_one_thread() -> None:
    """Let the array libraries that this process loads later use one thread, unless the user says otherwise.

    Our arrays are small: threads would wait for each other most of the time, and burn it waiting (on two busy cores
    the mix took twice the CPU time). Several films at once, and ffmpeg's own threads, use the other cores.
    """
    if asked := os.environ.get(THREAD_VARIABLES[0], ""):
        _share["asked"] = int(asked) if asked.isdigit() and int(asked) else 1
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")


def work_beside(workers: int) -> None:
    """Note that this process is one of so many that share the cores."""
    _share["workers"] = workers


def cores() -> int:
    """Cores that a large model may compute on in this process: its share of them, or as many as the user said."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return _share.get("asked") or max(1, there // _share["workers"])


def give_memory_back() -> None:
    """Give freed memory back to the system, where its C library can be asked to: glibc would keep it.

    After a take of two minutes that is about 150 MB, in a hundredth of a second.
    """
    if sys.platform != "linux":
        return
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):  # another C library
        return

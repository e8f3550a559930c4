"""Memory that was freed goes back to the system: glibc keeps it otherwise, and a long film's process would look large.

After a take of two minutes that is about 150 MB, in a hundredth of a second.
"""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Give freed memory back to the system, where its C library can be asked to."""
    if sys.platform != "linux":
        return
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):  # another C library
        return

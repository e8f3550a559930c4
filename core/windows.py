"""A cue's code steps -> overlapping windows of at most 30 s of picture. Pure.

    steps      0 . . . . . . . . . . . . . . . . . . . . . . . . . . S
    window 1   [=============================]
    window 2                      [prompt|===================]
    window 3                                       [prompt|=======]

Each window sees its own frames. Its first steps are given: they are the last ~10 s of the window before, so that
the music goes on as one stream and nothing has to be crossfaded inside a cue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Window:
    """Steps first <= t < last of a cue, of which the first `prompt` are already written."""

    first: int
    prompt: int
    last: int


def plan_windows(
    step_seconds: npt.NDArray[np.float64], window_seconds: float = 30.0, prompt_seconds: float = 10.0
) -> list[Window]:
    """Windows that cover all S steps, whose times are step_seconds [S+1]; every step is written exactly once."""
    if not 0 <= prompt_seconds < window_seconds:
        raise ValueError(f"a window of {window_seconds} s can't hold a prompt of {prompt_seconds} s")
    total = len(step_seconds) - 1
    windows: list[Window] = []
    written = 0
    while written < total:
        first = written
        if windows:
            first = int(np.searchsorted(step_seconds, step_seconds[written] - prompt_seconds - 1e-9))
        end = step_seconds[first] + window_seconds + 1e-9
        last = int(np.searchsorted(step_seconds, end, side="right")) - 1
        last = min(max(last, written + 1), total)  # a step longer than the window still has to be written
        windows.append(Window(first, written - first, last))
        written = last
    return windows

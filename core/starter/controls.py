"""The starter decoder's control track: what it is told of each sixteenth besides the picture.

Where the step lies in bar, phrase and cue; where hit points are; where someone speaks; style, mood, energy, tempo.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.starter.grid import Grid
from core.starter.styles import STYLES

FloatArray = npt.NDArray[np.float32]

_STYLE_NAMES = tuple(STYLES)
_FIXED = 16 + 3 + 4 + 8 + 4 + 7 + 3 + 4  # see `control_track`
CHANNELS = _FIXED + len(_STYLE_NAMES)
STRONG = 0.5  # strength from which a hit point is a strong hit


def control_track(grid: Grid, style: str, valence: float, energy: float, speech: npt.NDArray[np.bool_]) -> FloatArray:
    """Controls [S, CHANNELS] of every step of a cue.

    valence -1..1; energy 0..1 (how lively the person asked it to be, 0.5 = as the picture is); speech [S].
    """
    steps = np.arange(grid.steps)
    bar_steps = grid.steps_per_bar
    in_bar = (steps + grid.bar_offset) % bar_steps
    bar = (steps + grid.bar_offset) // bar_steps
    to_final = (grid.final_step - steps) / bar_steps  # bars
    columns = [
        _one_hot(in_bar, 16),
        np.tile(_one_hot(np.array([{16: 0, 8: 1, 12: 2}[bar_steps]]), 3), (grid.steps, 1)),
        _one_hot(bar % 4, 4),
        _one_hot(bar % 8, 8),
        np.stack([np.exp(-bar / 2.0), np.exp(-bar / 8.0), steps < bar_steps, steps == 0], axis=1),
        np.stack(
            [
                np.exp(-np.maximum(to_final, 0) / 1.0),
                np.exp(-np.maximum(to_final, 0) / 4.0),
                np.exp(-np.maximum(to_final, 0) / 16.0),
                steps == grid.final_step,
                steps > grid.final_step,
                (to_final > 0) & (to_final <= 1),
                np.full(grid.steps, grid.button),
            ],
            axis=1,
        ),
        _hit_columns(grid),
        np.stack(
            [speech, *(np.full(grid.steps, each) for each in (valence, 2 * energy - 1, grid.tempo_bpm / 50.0 - 2.0))],
            axis=1,
        ),
        np.tile(_one_hot(np.array([_STYLE_NAMES.index(style)]), len(_STYLE_NAMES)), (grid.steps, 1)),
    ]
    track = np.concatenate([np.asarray(c, np.float32) for c in columns], axis=1)
    assert track.shape[1] == CHANNELS, track.shape
    return track


def lagged(track: FloatArray, first: int, last: int, longest_delay: int) -> FloatArray:
    """Controls of the delay pattern's sequence steps: [last - first + longest_delay, CHANNELS * (longest_delay + 1)].

    At sequence step s stream k writes code s - delay: so each step sees the controls of its own time and of the
    `longest_delay` times before. Zero outside the cue.
    """
    padded = np.pad(track, ((longest_delay, longest_delay), (0, 0)))
    count = last - first + longest_delay
    parts = [padded[first + longest_delay - lag :][:count] for lag in range(longest_delay + 1)]
    return np.concatenate(parts, axis=1)


def _hit_columns(grid: Grid) -> FloatArray:
    """[S, 3]: strength of the hit at the step, and how near the next strong and the next light hit are."""
    out = np.zeros((grid.steps, 3), np.float32)
    steps = np.arange(grid.steps)
    for hit in grid.hits:
        if not 0 <= hit.step < grid.steps:
            continue
        out[hit.step, 0] = max(out[hit.step, 0], hit.strength)
        ahead = hit.step - steps
        near = np.where(ahead > 0, np.exp(-ahead / 4.0), 0.0)
        column = 1 if hit.strength >= STRONG else 2
        out[:, column] = np.maximum(out[:, column], near)
    return out


def _one_hot(index: npt.NDArray[np.int_], size: int) -> FloatArray:
    return np.eye(size, dtype=np.float32)[np.minimum(index, size - 1)]

"""Small scores for the tests of performer, MIDI and sound fonts: grids with bends and hits, codes written by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from core.starter import vocab as v
from core.starter.grid import Grid, GridHit, uniform_grid

Codes = npt.NDArray[np.int64]


def random_codes(grid: Grid, seed: int, density: float = 0.35) -> Codes:
    """Any codes at all, [K, S]: what an untrained model might write."""
    rng = np.random.default_rng(seed)
    rows = [rng.integers(0, used, grid.steps) * (rng.random(grid.steps) < density) for used in v.USED]
    rows[v.ENERGY] = rng.integers(0, v.LEVELS, grid.steps)
    return np.stack(rows)


def bent_grid(
    tempo: float = 100.0, duration: float = 20.0, bar: int = 16, bend: float = 0.0, button: bool = False
) -> Grid:
    """A grid whose tempo leans by `bend` (a share) in its second half."""
    plain = uniform_grid(duration, tempo, bar, 0.6 if button else 2.0)
    lengths = np.diff(plain.seconds)
    lengths[len(lengths) // 2 :] *= 1.0 + bend
    seconds = np.concatenate([[0.0], np.cumsum(lengths)])
    final = min(plain.final_step, int(np.searchsorted(seconds, duration)) - 2)
    return replace(plain, seconds=seconds, duration=min(duration, float(seconds[-1])), final_step=final, button=button)


def with_hits(grid: Grid, *hits: tuple[int, float, float]) -> Grid:
    """`grid` with hits (step, seconds off the step, strength)."""
    placed = tuple(GridHit(step, float(grid.seconds[step]) + off, strength) for step, off, strength in hits)
    return replace(grid, hits=placed)


def quiet_codes(grid: Grid, level: int = 8) -> Codes:
    """A score in which nobody plays: one level, a tonic chord at the start, pads silent."""
    codes = np.zeros((v.K, grid.steps), int)
    codes[v.ENERGY] = level
    codes[v.HARMONY, 0] = v.chord_code(0, 0)
    codes[v.FORM, grid.bar_starts()] = v.form_code(1, 0)
    return codes


def band_codes(grid: Grid, level: int = 8) -> Codes:
    """A plain full band: a chord a bar (I vi IV V), quarter basses, eighth figures, backbeat, hats, a tune."""
    codes = quiet_codes(grid, level)
    bars = grid.bar_starts()
    for index, bar in enumerate(bars):
        root, quality = ((0, 0), (9, 1), (5, 0), (7, 0))[index % 4]
        codes[v.HARMONY, bar] = v.chord_code(root, quality)
        codes[v.FORM, bar] = v.form_code(1, 2)
        for step in range(bar, min(bar + grid.steps_per_bar, grid.steps)):
            at = step - bar
            if at % 4 == 0:
                codes[v.BASS, step] = v.bass_code(root if root < 7 else root - 12)
                codes[v.DRUMS, step] = v.KICK if at % 8 == 0 else v.SNARE
            if at % 2 == 0:
                codes[v.ACCOMP, step] = v.accomp_code((v.FIGURE_BLOCK, v.FIGURE_VOICE_3)[at > 0], 1)
                codes[v.PERC, step] = v.PERC_HAT
            if at in (0, 4, 6, 8):
                codes[v.MELODY, step] = v.melody_code(12 + (0, 4, 2, 7)[(index + at // 2) % 4])
            if at == 12:
                codes[v.MELODY, step] = v.REST
    return codes

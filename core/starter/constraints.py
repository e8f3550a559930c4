"""Which codes may occur at which step of a cue: what the film asks is promised, not hoped for.

Hit points are marked where they stand and nowhere else, the last bar line is the tonic and nothing new starts after
it, bars begin where the grid says, and no tune is played under speech. All else is the model's to decide. Every
piece of the composer keeps to these rules (a test holds it to that), so they never fight what the model learnt.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.starter import vocab as v
from core.starter.controls import STRONG
from core.starter.grid import Grid

BREATH_STEPS = 4  # a breath may come this many sixteenths before a strong hit


def allowed_codes(grid: Grid, speech: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Mask [S, K, CARD] for a cue on `grid`; speech [S]: someone speaks at the step."""
    mask = np.zeros((grid.steps, v.K, v.CARD), bool)
    for stream, used in enumerate(v.USED):
        mask[:, stream, :used] = True
    _mark_hits(mask[:, v.ENERGY], grid)
    _place_bars(mask[:, v.FORM], grid)
    mask[0, v.HARMONY, v.HOLD] = False
    if speech.any():
        for stream in (v.MELODY, v.COUNTER):
            mask[speech, stream, v.REST + 1 :] = False
    _end(mask, grid)
    return mask


def _mark_hits(energy: npt.NDArray[np.bool_], grid: Grid) -> None:
    """Flags of stream ENERGY [S, CARD]: HIT or ACCENT exactly at hit points, BREATH only before strong ones."""
    flag = np.arange(v.CARD) // v.LEVELS
    expected = np.zeros(grid.steps, int)
    for hit in grid.hits:
        if hit.step > grid.final_step:  # the last chord rings: the performer marks such a hit lightly
            continue
        kind = v.FLAG_HIT if hit.strength >= STRONG else v.FLAG_ACCENT
        expected[hit.step] = max(expected[hit.step], kind)
    for step, kind in enumerate(expected):
        if kind:
            energy[step] &= flag == kind
        else:
            soon = (expected[step + 1 : step + 1 + BREATH_STEPS] == v.FLAG_HIT).any()
            energy[step] &= (flag == v.FLAG_NONE) | (soon & (flag == v.FLAG_BREATH))


def _place_bars(form: npt.NDArray[np.bool_], grid: Grid) -> None:
    """Stream FORM [S, CARD]: a section code at bar starts, the cue's first step and its last downbeat, only there."""
    starts = np.zeros(grid.steps, bool)
    starts[[0, *grid.bar_starts()]] = True
    starts[grid.final_step :] = False
    starts[grid.final_step] = True
    form[starts, 0] = False
    form[~starts, 1:] = False


def _end(mask: npt.NDArray[np.bool_], grid: Grid) -> None:
    """The tonic chord and bass on the last downbeat; after it everything rings."""
    final = grid.final_step
    codes = np.arange(v.CARD)
    mask[final, v.HARMONY] &= (codes >= 1) & (codes < 1 + len(v.QUALITIES))  # root 0, any colour
    mask[final, v.BASS] &= (codes <= v.REST) | ((codes - 2 - 12) % 12 == 0)
    after = slice(final + 1, None)
    mask[after, v.HARMONY, 1:] = False
    mask[after, v.DRUMS, 1:] = False
    mask[after, v.PERC, 1:] = False
    for stream in (v.BASS, v.ACCOMP, v.MELODY, v.COUNTER):
        mask[after, stream, v.REST + 1 :] = False

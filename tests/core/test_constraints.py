"""What is promised about hit points, bars, speech and endings is what the composer does, and is enforced."""

import numpy as np
import pytest

from core.starter import vocab as v
from core.starter.composer import Brief, compose
from core.starter.constraints import allowed_codes
from core.starter.grid import Grid
from core.starter.scenes import energy_curve, sample_scene, speech_spans
from core.starter.styles import STYLES
from core.starter.tempo import plan_grid


def make_cue(style: str, seed: int) -> tuple[Grid, np.ndarray, np.ndarray]:
    """A composed cue of a random scene: its grid, speech [S] and codes."""
    rng = np.random.default_rng(seed)
    scene = sample_scene(rng, float(rng.uniform(3.0, 40.0)))
    plan = STYLES[style]
    grid = plan_grid(scene.duration, scene.cuts, plan.tempo, plan.steps_per_bar[0], plan.ending == "button", rng)
    times = grid.seconds[:-1]
    speech = np.zeros(grid.steps, bool)
    for start, end in speech_spans(rng, scene):
        speech |= (times >= start) & (times < end)
    return grid, speech, compose(Brief(grid, energy_curve(scene, times), scene.valence, speech, style), rng)


@pytest.mark.parametrize("style", STYLES)
def test_every_piece_of_the_composer_keeps_to_the_rules(style: str) -> None:
    for seed in range(12):
        grid, speech, codes = make_cue(style, seed)
        allowed = allowed_codes(grid, speech)
        kept = allowed[np.arange(grid.steps)[:, None], np.arange(v.K), codes.T]
        broken = [(v.STREAMS[k], step, int(codes[k, step])) for step, k in np.argwhere(~kept)]
        assert not broken, (seed, broken[:5])


def test_every_step_leaves_some_code_in_every_stream() -> None:
    for seed in range(10):
        grid, speech, _ = make_cue("cinematic", seed)
        assert allowed_codes(grid, speech).any(axis=-1).all()


def test_no_tune_starts_under_speech_and_nothing_after_the_last_downbeat() -> None:
    grid, _, _ = make_cue("acoustic", 3)
    spoken = np.zeros(grid.steps, bool)
    spoken[10:30] = True
    allowed = allowed_codes(grid, spoken)
    assert not allowed[10:30, v.MELODY, v.REST + 1 :].any()
    assert allowed[31, v.MELODY, v.REST + 1 :].any()
    assert not allowed[grid.final_step + 1 :, v.DRUMS, 1:].any()
    assert allowed[grid.final_step, v.HARMONY, 1:11].all()
    assert not allowed[grid.final_step, v.HARMONY, 11:].any()

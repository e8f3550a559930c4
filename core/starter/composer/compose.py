"""SPINE of the composer: a brief becomes a plan, the plan a score.

Energy decides how much is played at every sixteenth; form, harmony and a few ideas that are drawn once decide what.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.starter import vocab
from core.starter.composer.accents import start_sounding, write_ending, write_energy, write_hits
from core.starter.composer.brief import Brief
from core.starter.composer.counter import write_counter
from core.starter.composer.form import make_plan
from core.starter.composer.material import draw_material
from core.starter.composer.rhythm import drop_idle_rests, write_accompaniment, write_bass, write_drums, write_form
from core.starter.composer.tune import Melodist
from core.starter.styles import STYLES
from core.starter.vocab import K


def compose(brief: Brief, rng: np.random.Generator) -> npt.NDArray[np.int16]:
    """The score of a cue: codes [K, S], int16, each below `vocab.USED` of its stream.

    The same brief and the same state of `rng` give the same score.
    """
    style = STYLES[brief.style]
    # 1. What will not change: form, harmony, hit points; and the few ideas the piece is made of.
    plan = make_plan(brief, style, rng)
    material = draw_material(style, plan.bar_steps, rng)
    # 2. Each part plays its pattern as far as the picture's energy asks for it.
    rows = [[vocab.HOLD] * brief.grid.steps for _ in range(K)]
    write_form(rows, plan)
    write_bass(rows, plan, material)
    write_drums(rows, plan, material)
    write_accompaniment(rows, plan, material)
    Melodist(plan, material).write(rows)
    write_counter(rows, plan, material)
    # 3. What everybody does together goes on top: the ending, then hit points, then intensity and its flags.
    write_ending(rows, plan)
    write_hits(rows, plan)
    write_energy(rows, plan)
    start_sounding(rows, plan)
    for stream in (vocab.BASS, vocab.ACCOMP, vocab.MELODY, vocab.COUNTER):
        drop_idle_rests(rows[stream])
    return np.array(rows, dtype=np.int16)

"""Hit points and the ending: what everybody does together, written over what each part had."""

from __future__ import annotations

from core.starter import vocab
from core.starter.composer.form import ENDING, NEAR_FINAL, Plan
from core.starter.theory import bass_pitch
from core.starter.vocab import (
    ACCOMP,
    BASS,
    COUNTER,
    CYMBAL,
    DRUMS,
    ENERGY,
    FIGURE_BLOCK,
    FIGURE_ROLLED,
    FLAG_ACCENT,
    FLAG_BREATH,
    FLAG_HIT,
    FLAG_NONE,
    FORM,
    HOLD,
    KICK,
    LOUD,
    MELODY,
    PERC,
    PERC_NONE,
    REST,
    SNARE,
)

Rows = list[list[int]]

_VOICES = (BASS, ACCOMP, MELODY, COUNTER)
_RISER_STRENGTH = 0.75
_RISER_STEPS = 6
_RISER_LEVEL = 8


def write_energy(rows: Rows, plan: Plan) -> None:
    """Fill ENERGY: the level, lifted at hits, dying away after the final downbeat; flags for hits and breaths."""
    steps, row = len(plan.levels), rows[ENERGY]
    tail, ringing = max(steps - plan.final - 1, 1), 6
    for step, level in enumerate(plan.levels):
        flag = FLAG_NONE
        if step > plan.final:
            ringing = level = min(level, ringing, 6 * (steps - step) // (tail + 1))
        elif step in plan.strong:
            level, flag = max(level, 9 + round(6 * min(plan.strong[step], 1.0))), FLAG_HIT
        elif step in plan.light:
            level, flag = max(level, 8), FLAG_ACCENT
        elif plan.breath[step]:
            flag = FLAG_BREATH
        elif step == plan.final:
            level = max(level, 5)
        row[step] = vocab.energy_code(level, flag)


def write_hits(rows: Rows, plan: Plan) -> None:
    """Silence before strong hits, then everybody together; a light touch on the others."""
    for step, breathing in enumerate(plan.breath):
        if breathing:
            rows[DRUMS][step], rows[PERC][step] = 0, PERC_NONE
            for voice in _VOICES:
                rows[voice][step] = REST
    for step, strength in plan.strong.items():
        _strong_hit(rows, plan, step)
        if strength >= _RISER_STRENGTH:
            _lead_up(rows, plan, step)
    for step in plan.light:
        _light_hit(rows, plan, step)


def _strong_hit(rows: Rows, plan: Plan, step: int) -> None:
    style, talking = plan.style, plan.speech[step]
    rows[DRUMS][step] = style.accent_drums & (~CYMBAL if talking else ~0) | LOUD
    rows[PERC][step] = PERC_NONE if talking else style.accent_perc
    rows[ACCOMP][step] = vocab.accomp_code(FIGURE_BLOCK if talking else style.accent_figure, style.register)
    rows[BASS][step] = vocab.bass_code(bass_pitch(plan.chords[step][0]))


def _light_hit(rows: Rows, plan: Plan, step: int) -> None:
    style, talking = plan.style, plan.speech[step]
    rows[DRUMS][step] = rows[DRUMS][step] & ~LOUD | KICK | (0 if talking else style.accent_drums & SNARE)
    if not talking:
        rows[PERC][step] = style.bell or rows[PERC][step]
    rows[ACCOMP][step] = vocab.accomp_code(style.accent_figure, style.register)


def _lead_up(rows: Rows, plan: Plan, hit: int) -> None:
    """A roll or riser over the steps before `hit`, where nothing else is marked there."""
    start = hit - _RISER_STEPS
    busy = {*plan.strong, *plan.light}
    if (
        plan.style.riser == PERC_NONE
        or start < 1
        or plan.levels[start] < _RISER_LEVEL
        or any(step in busy for step in range(start - 2, hit))
    ):
        return
    if not plan.speech[start]:
        rows[PERC][start:hit] = [plan.style.riser] + [PERC_NONE] * (_RISER_STEPS - 1)


def write_ending(rows: Rows, plan: Plan) -> None:
    """The tonic on the final downbeat, everybody together, and nothing new after it."""
    final, style, steps = plan.final, plan.style, len(plan.levels)
    root, _ = plan.chords[final]
    marked = any(final - NEAR_FINAL <= hit <= final for hit in plan.strong)
    talking = plan.speech[final]
    rows[FORM][final] = vocab.form_code(ENDING, style.pad[0] if plan.button else max(style.pad[0], 2))
    rows[BASS][final] = vocab.bass_code(bass_pitch(root))
    for row in rows[1:]:
        row[final + 1 :] = [HOLD] * (steps - final - 1)
    rows[COUNTER][final] = REST
    if marked:  # the hit was, or on this very step will be, the last word
        rows[DRUMS][final], rows[PERC][final], rows[ACCOMP][final] = 0, PERC_NONE, HOLD
    if plan.button:
        if not marked:
            rows[DRUMS][final] = style.accent_drums & ~(CYMBAL if talking else 0) | (0 if talking else LOUD)
            rows[ACCOMP][final] = vocab.accomp_code(style.accent_figure, style.register)
        stop = final + 2
        if stop < steps:
            for voice in _VOICES:
                rows[voice][stop] = REST
    elif not marked:
        level = plan.levels[final]
        rows[DRUMS][final] = KICK | (CYMBAL if level >= 8 else 0) if level >= 5 and not talking else 0
        rows[PERC][final] = style.accent_perc if level >= 4 and not talking else PERC_NONE
        rows[ACCOMP][final] = vocab.accomp_code(FIGURE_ROLLED, style.register)


def start_sounding(rows: Rows, plan: Plan) -> None:
    """Make sure that the cue's first step has harmony, form and a chord that is played."""
    rows[vocab.HARMONY][0] = vocab.chord_code(*plan.chords[0])
    if rows[FORM][0] == HOLD:
        rows[FORM][0] = vocab.form_code(plan.bars[0].section if plan.bars else ENDING, max(plan.style.pad[0], 1))
    if rows[ACCOMP][0] <= REST:
        rows[ACCOMP][0] = vocab.accomp_code(FIGURE_ROLLED, plan.style.register)

"""The second voice: guide tones under the tune, thirds below it, an answer in its rests, or its shadow in octaves."""

from __future__ import annotations

from core.starter import vocab
from core.starter.composer.form import BREAK, HEAD, STATEMENT, Bar, Plan
from core.starter.composer.material import Material
from core.starter.composer.tune import sounding_pitches
from core.starter.theory import chord_ladder, clashes, lead_voices, move, nearest, scale_ladder
from core.starter.vocab import HOLD, PITCHES, REST

Rows = list[list[int]]

_LOW, _HIGH = 4, 24  # the second voice's range
_GUIDE_LEVEL, _DOUBLE_LEVEL = 4, 7  # levels from which it joins


def write_counter(rows: Rows, plan: Plan, material: Material) -> None:
    """Fill COUNTER up to the final downbeat, in the sections that have a second voice."""
    row, melody = rows[vocab.COUNTER], rows[vocab.MELODY]
    tune = sounding_pitches(melody, 2, PITCHES)
    held: tuple[int, ...] = (14,)
    for bar in plan.bars:
        present = bar.section not in (HEAD, BREAK) and (bar.section != STATEMENT or bar.level >= 8)
        for step in range(bar.start, bar.stop):
            if plan.speech[step] or plan.breath[step] or (not present and step == bar.start):
                row[step] = REST
            elif not present:
                continue
            elif material.counter == "guide":
                held = _guide(row, plan, step, held)
            elif material.counter == "answer":
                _answer(row, plan, material, bar, step, tune)
            else:
                _double(row, plan, step, melody, tune, thirds=material.counter == "thirds")
    row[plan.final] = REST


def _guide(row: list[int], plan: Plan, step: int, held: tuple[int, ...]) -> tuple[int, ...]:
    """A long note, moved as little as the harmony allows."""
    fresh = plan.changes[step] or step in plan.strong
    if fresh and plan.levels[step] >= _GUIDE_LEVEL:
        held = lead_voices(held, plan.chords[step])
        row[step] = vocab.counter_code(min(max(held[0], _LOW), _HIGH)) if _LOW <= held[0] <= _HIGH else REST
    elif fresh:
        row[step] = REST
    return held


def _answer(row: list[int], plan: Plan, material: Material, bar: Bar, step: int, tune: list[int]) -> None:
    """The motif's beginning where the tune is silent, resting again as soon as it sings."""
    if tune[step] >= 0:
        row[step] = REST
        return
    tone = material.answer.get(bar.phase + step - bar.start)
    if tone is not None and plan.levels[step] >= tone.level:
        ladder = chord_ladder(plan.chords[step])
        row[step] = vocab.counter_code(move(ladder, nearest(ladder, 13), tone.offset // 2))


def _double(row: list[int], plan: Plan, step: int, melody: list[int], tune: list[int], thirds: bool) -> None:
    """Every note of the tune, a third (or sixth) below, or in octaves, when it is lively; resting with it."""
    code = melody[step]
    if code == REST or (code != HOLD and plan.levels[step] < _DOUBLE_LEVEL):
        row[step] = REST
    elif code != HOLD:
        pitch = tune[step]
        if thirds:
            ladder = scale_ladder(plan.colour.mode, plan.chords[step])
            pitch = move(ladder, pitch, -2)
            if clashes(pitch, plan.chords[step]) or pitch == tune[step]:
                pitch = nearest(chord_ladder(plan.chords[step]), tune[step] - 4)
        row[step] = vocab.counter_code(pitch)

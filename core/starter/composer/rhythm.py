"""Bass, drums, percussion and chords: patterns whose steps play when the picture's level reaches theirs."""

from __future__ import annotations

from core.starter import vocab
from core.starter.composer.form import BREAK, BUILD, CONTRAST, HEAD, VARIATION, Bar, Plan
from core.starter.composer.material import FIGURES, QUIET, Material, parse_play, parse_when
from core.starter.style import NEVER, Groove
from core.starter.theory import bass_pitch
from core.starter.vocab import (
    CYMBAL,
    FIGURE_LOW_PAIR,
    FIGURE_ROLLED,
    GHOST,
    HOLD,
    KICK,
    LOUD,
    QUALITIES,
    REST,
    SNARE,
    TOM,
)

Rows = list[list[int]]  # K lists of S codes

THICK = 10  # level from which figures are played full
LOUD_FROM = 12  # level from which the drums' beats are loud
SPEECH_SHIFT = 5  # levels the drums lose under speech
_FILL = (6, 10, 7, 9)  # levels of the four sixteenths of a fill at a phrase's end


def is_away(bar: Bar, swapped: int) -> bool:
    """Whether `bar` uses the second of two ideas; in rounds of the form that have bit `swapped`, the first instead.

    So long pieces pair grooves and figures anew in every round instead of repeating themselves.
    """
    return (bar.section in (VARIATION, CONTRAST, BUILD)) != bool(bar.round & swapped)


def write_drums(rows: Rows, plan: Plan, material: Material) -> None:
    """Fill DRUMS and PERC up to the final downbeat."""
    drums, perc, levels = rows[vocab.DRUMS], rows[vocab.PERC], plan.levels
    size = plan.bar_steps
    beat = 6 if size == 12 else 4
    for index, bar in enumerate(plan.bars):
        groove = material.grooves[is_away(bar, 1)]
        kit = [(bit, parse_when(text, size)) for bit, text in _kit(groove) if text]
        lines = [(code, parse_when(text, size)) for code, text in groove.perc]
        shift = 2 if bar.section in (HEAD, BREAK) else 0
        last = bar.place == bar.of - 1 and index + 1 < len(plan.bars)
        for step in range(bar.start, bar.stop):
            place = bar.phase + step - bar.start
            level = levels[step] - shift - (SPEECH_SHIFT if plan.speech[step] else 0)
            hit = 0
            for bit, when in kit:
                if level >= when[place]:
                    hit |= bit
            for code, when in lines:
                if level >= when[place]:
                    perc[step] = code
            if last and place >= size - 4 and level >= _FILL[place - size + 4]:
                hit |= plan.style.fill[place >= size - 2]
            if place == 0 and bar.place == 0 and index and level >= 9:
                hit |= CYMBAL
            if hit and level >= LOUD_FROM and place % beat == 0:
                hit |= LOUD
            drums[step] = hit


def _kit(groove: Groove) -> tuple[tuple[int, str], ...]:
    """(bit of DRUMS, pattern) of every drum."""
    return (
        (KICK, groove.kick), (SNARE, groove.snare), (TOM, groove.tom), (GHOST, groove.ghost), (CYMBAL, groove.cymbal)
    )  # fmt: skip


def write_bass(rows: Rows, plan: Plan, material: Material) -> None:
    """Fill BASS up to the final downbeat: the pattern, and the root wherever the harmony moves."""
    bass, levels, size = rows[vocab.BASS], plan.levels, plan.bar_steps
    for bar in plan.bars:
        line = material.basses[is_away(bar, 1)]
        when, play = parse_when(line.when, size), parse_play(line.play, size)
        shift = 2 if bar.section == HEAD else 0
        for step in range(bar.start, bar.stop):
            place = bar.phase + step - bar.start
            level = levels[step] - shift
            need = when[place]
            if need == QUIET:
                bass[step] = REST
            elif plan.changes[step] and level >= 1:
                bass[step] = vocab.bass_code(bass_pitch(plan.chords[step][0]))
            elif need != NEVER and level >= need + (3 if plan.speech[step] and place else 0):
                bass[step] = vocab.bass_code(_bass_note(play[place], plan, step))


def _bass_note(letter: str, plan: Plan, step: int) -> int:
    """Semitone of the bass for a pattern `letter`; an approach note lies a step from the next chord's root."""
    root, quality = plan.chords[step]
    base = bass_pitch(root)
    if letter == "a":
        ahead = next((plan.chords[s] for s in range(step + 1, min(step + 5, plan.final + 1)) if plan.changes[s]), None)
        if ahead is not None and ahead[0] != root:
            goal = bass_pitch(ahead[0])
            return goal - 1 if goal > base else goal + 2
        letter = "5"
    if letter == "5":
        return base + (6 if quality == 8 else 7)
    if letter == "3":
        return base + QUALITIES[quality][1][1] % 12
    return base + (12 if letter == "o" else 0)


def write_accompaniment(rows: Rows, plan: Plan, material: Material) -> None:
    """Fill ACCOMP up to the final downbeat; under speech only long soft chords where the harmony moves."""
    accomp, levels, size = rows[vocab.ACCOMP], plan.levels, plan.bar_steps
    for bar in plan.bars:
        figure = material.figures[is_away(bar, 2)]
        when, play = parse_when(figure.when, size), parse_play(figure.play, size)
        thick = parse_play(figure.thick, size) if figure.thick else play
        base = plan.style.register
        for step in range(bar.start, bar.stop):
            place = bar.phase + step - bar.start
            level, need = levels[step], when[place]
            if plan.speech[step]:
                if plan.changes[step]:
                    accomp[step] = vocab.accomp_code(FIGURE_LOW_PAIR, 0)
                continue
            if need == QUIET:
                accomp[step] = REST
            elif step == 0 or (plan.changes[step] and bar.place == 0 and step == bar.start):
                accomp[step] = vocab.accomp_code(FIGURE_ROLLED if level < THICK else FIGURES[thick[place]], base)
            elif (need != NEVER and level >= need) or (plan.changes[step] and level >= 2):
                letter = thick[place] if level >= THICK else play[place]
                high = min(base + (level >= THICK + 2), vocab.REGISTERS - 1)
                accomp[step] = vocab.accomp_code(FIGURES[letter], high)


def write_form(rows: Rows, plan: Plan) -> None:
    """Fill FORM at bar starts, and HARMONY where chords start or a phrase does."""
    form, harmony = rows[vocab.FORM], rows[vocab.HARMONY]
    quiet, full = plan.style.pad
    for bar in plan.bars:
        form[bar.start] = vocab.form_code(bar.section, max(full if bar.level >= 7.0 else quiet, 1))
        if bar.place == 0:
            harmony[bar.start] = vocab.chord_code(*plan.chords[bar.start])
    for step, change in enumerate(plan.changes):
        if change:
            harmony[step] = vocab.chord_code(*plan.chords[step])


def drop_idle_rests(row: list[int]) -> None:
    """Turn every REST of `row` that silences nothing into HOLD, so that silence is written one way only."""
    sounding = False
    for step, code in enumerate(row):
        if code == REST:
            if not sounding:
                row[step] = HOLD
            sounding = False
        elif code != HOLD:
            sounding = True

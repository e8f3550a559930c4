"""The plan of a piece: bars in phrases, a section name for each, and the chord that sounds at every step.

Phrases are counted from the cue's first bar, so that a listener (and the model) can feel where the next one starts;
the last one is as long as it has to be to end on the grid's final downbeat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.starter.composer.brief import STRONG, Brief
from core.starter.style import Colour, Style
from core.starter.theory import Chord, parse_chord, parse_progression
from core.starter.vocab import SECTIONS

HEAD, STATEMENT, VARIATION, CONTRAST, RETURN, BUILD, BREAK, ENDING = range(len(SECTIONS))
NEAR_FINAL = 3  # a strong hit at most so many steps before the final downbeat is the ending
_ORDER = {  # sections by number of phrases; longer pieces go round the last three
    1: (STATEMENT,),
    2: (STATEMENT, RETURN),
    3: (STATEMENT, CONTRAST, RETURN),
    4: (STATEMENT, VARIATION, CONTRAST, RETURN),
}


@dataclass(slots=True)
class Bar:
    """One bar, or what the cue has of it: steps `start` (included) to `stop`; `phase` is the place of `start` in it."""

    start: int
    stop: int
    phase: int
    phrase: int
    place: int  # which bar of its phrase
    of: int  # how many bars its phrase has
    section: int = STATEMENT
    level: float = 0.0  # mean ENERGY level

    @property
    def round(self) -> int:
        """How often the form has gone round variation, contrast and return before."""
        return max(self.phrase - 1, 0) // 3


@dataclass(slots=True)
class Plan:
    """Everything that is decided before a note is written.

    levels [S]; strong and light: the hits that will be played; breath [S]: steps of silence before strong hits.
    chords [S]: the chord sounding at each step; changes [S]: whether it starts there.
    """

    style: Style
    colour: Colour
    final: int
    button: bool
    bar_steps: int
    levels: list[int]
    speech: list[bool]
    strong: dict[int, float]
    light: dict[int, float]
    breath: list[bool]
    bars: list[Bar]
    chords: list[Chord]
    changes: list[bool]


def make_plan(brief: Brief, style: Style, rng: np.random.Generator) -> Plan:
    """The plan of a piece for `brief`: colour by mood, bars, sections, hits with their breaths, and harmony."""
    grid, levels = brief.grid, brief.levels()
    final = min(max(grid.final_step, 0), grid.steps - 1)
    colour = _choose_colour(style, brief.valence, rng)
    hits = {step: strength for step, strength in brief.hit_strengths().items() if step <= final}
    strong = {step: strength for step, strength in hits.items() if strength >= STRONG}
    light = {step: strength for step, strength in hits.items() if strength < STRONG}
    step_seconds = float(grid.seconds[-1] - grid.seconds[0]) / grid.steps
    bars = _lay_bars(grid.bar_offset, grid.steps_per_bar, final, style.phrase_bars)
    _name_sections(bars, levels)
    home, away = style_progressions(colour, rng)
    chords, changes = _harmonise(bars, final, grid.steps, sorted(strong), style, colour, home, away, grid.steps_per_bar)
    return Plan(
        style, colour, final, grid.button and style.ending == "button", grid.steps_per_bar, levels,
        brief.speech.tolist(), strong, light, _breaths(strong, light, step_seconds, grid.steps),
        bars, chords, changes,
    )  # fmt: skip


def style_progressions(colour: Colour, rng: np.random.Generator) -> tuple[tuple[Chord, ...], tuple[Chord, ...]]:
    """A home and an away progression of `colour`."""
    home = colour.home[int(rng.integers(len(colour.home)))]
    away = colour.away[int(rng.integers(len(colour.away)))]
    return parse_progression(home), parse_progression(away)


def _choose_colour(style: Style, valence: float, rng: np.random.Generator) -> Colour:
    """The colour nearest `valence`, give or take a little."""
    wish = valence + float(rng.normal(0.0, 0.12))
    return min(style.colours, key=lambda colour: abs(colour.valence - wish))


def _lay_bars(offset: int, bar_steps: int, final: int, phrase_bars: int) -> list[Bar]:
    """The bars before `final`, in phrases; a last phrase of less than half the usual length joins the one before."""
    bars: list[Bar] = []
    start = 0
    while start < final:
        phase = (start + offset) % bar_steps
        stop = min(start + bar_steps - phase, final)
        bars.append(Bar(start, stop, phase, len(bars) // phrase_bars, len(bars) % phrase_bars, phrase_bars))
        start = stop
    remainder = len(bars) % phrase_bars
    if bars and remainder:
        joined = 2 * remainder < phrase_bars and len(bars) > phrase_bars
        for bar in bars[-remainder:]:
            if joined:
                bar.phrase, bar.place = bar.phrase - 1, bar.place + phrase_bars
        last = bars[-1].phrase
        for bar in bars:
            if bar.phrase == last:
                bar.of = remainder + phrase_bars if joined else remainder
    return bars


def _name_sections(bars: list[Bar], levels: list[int]) -> None:
    """Give every bar its mean level and its section: the order of the form, bent by what the picture does."""
    for bar in bars:
        bar.level = sum(levels[bar.start : bar.stop]) / (bar.stop - bar.start)
    count = bars[-1].phrase + 1 if bars else 0
    order = _ORDER.get(count) or (STATEMENT, *((VARIATION, CONTRAST, RETURN)[i % 3] for i in range(count - 2)), RETURN)
    for phrase in range(count):
        members = [bar for bar in bars if bar.phrase == phrase]
        section, half = order[phrase], len(members) // 2
        mean = sum(bar.level for bar in members) / len(members)
        if 0 < phrase < count - 1:
            rise = 0.0 if not half else sum(b.level for b in members[half:]) / (len(members) - half) - mean
            if mean <= 3.0:
                section = BREAK
            elif rise >= 1.5:
                section = BUILD
        for bar in members:
            bar.section = section
    head = 2 if len(bars) >= 12 else 1 if len(bars) >= 5 else 0
    for bar in bars[:head]:
        if bar.level >= 8.0:
            break
        bar.section = HEAD


def _breaths(strong: dict[int, float], light: dict[int, float], step_seconds: float, steps: int) -> list[bool]:
    """Where everything drops out before a strong hit: about 0.2 to 0.3 s, if nothing important lies there."""
    out = [False] * steps
    length = 2 if step_seconds < 0.16 else 1
    busy = sorted({*strong, *light})
    for hit in strong:
        before = [step for step in busy if step < hit]
        room = hit - (before[-1] if before else -1)
        if room >= length + 3 and hit >= length + 2:
            for step in range(hit - length, hit):
                out[step] = True
    return out


def _harmonise(
    bars: list[Bar], final: int, steps: int, hits: list[int], style: Style, colour: Colour,
    home: tuple[Chord, ...], away: tuple[Chord, ...], bar_steps: int,
) -> tuple[list[Chord], list[bool]]:  # fmt: skip
    """The chord of every step and where chords start: progressions by phrase, changes drawn to hits, a cadence."""
    points = _change_points(bars, hits, final, max(round(style.chord_bars * bar_steps), 1))
    used = {True: 0, False: 0}
    phrase_of = [bar.phrase for bar in bars for _ in range(bar.start, bar.stop)]
    contrast = {bar.phrase: bar.section in (CONTRAST, BUILD) for bar in bars}
    named: list[tuple[int, Chord]] = []
    for point in points:
        apart = contrast[phrase_of[point]]
        progression = away if apart else home
        named.append((point, progression[used[apart] % len(progression)]))
        used[apart] += 1
    cadence = parse_progression(colour.cadence)
    for back, chord in enumerate(reversed(cadence), start=1):
        if back < len(named):
            named[-back] = (named[-back][0], chord)
    tonic = parse_chord(colour.tonic)
    named = [(point, tonic if point >= final - NEAR_FINAL else chord) for point, chord in named]
    named.append((final, tonic))
    if named[0][0] > 0:
        named.insert(0, (0, named[0][1]))
    chords: list[Chord] = []
    changes = [False] * steps
    for index, (point, chord) in enumerate(named):
        stop = named[index + 1][0] if index + 1 < len(named) else steps
        changes[point] = True
        chords += [chord] * (stop - point)
    return chords, changes


def _change_points(bars: list[Bar], hits: list[int], final: int, length: int) -> list[int]:
    """Steps before `final` where the harmony moves: every `length` steps of a phrase, and on strong hits instead.

    A hit takes over the change nearest to it (up to half a chord away); the others stay.
    """
    phrases = [bar.start for bar in bars if bar.place == 0]
    points: list[int] = []
    for start, stop in zip(phrases, [*phrases[1:], final][: len(phrases)], strict=True):
        first = start - next((bar.phase for bar in bars if bar.start == start), 0)
        points += [max(step, start) for step in range(first, stop, length) if step + length > start]
    if len(bars) > 1 and length > bars[-1].stop - bars[-1].start:  # room for the cadence when chords last long
        points = sorted({*points, bars[-1].start})
    taken = [point for point in points if not any(0 < abs(point - hit) <= length // 2 for hit in hits) or point == 0]
    return sorted({*taken, *(hit for hit in hits if hit < final)})

"""The melody: the motif's bars laid over the harmony, a note for each event that the picture's level reaches.

Strong beats stand on chord tones, the notes between move by step, leaps turn back, phrases rise to a peak at two
thirds. Written left to right, so every note follows from what sounded before it.
"""

from __future__ import annotations

from core.starter import vocab
from core.starter.composer.form import BREAK, HEAD, Bar, Plan
from core.starter.composer.material import QUIET, Cell, Material, Tone
from core.starter.style import NEVER
from core.starter.theory import clashes, move, nearest, scale_ladder, stable_ladder
from core.starter.vocab import HOLD, ORNAMENT_ACCENT, ORNAMENT_GRACE, ORNAMENT_PLAIN, REST

Rows = list[list[int]]

_ARC = (0.0, 2.0, 4.0, 0.0)  # semitones a phrase's bars lie above its start
_LEAP = 5  # semitones; from here up a leap that wants to turn back
_WIDEST = 9
_STILL = 2  # level at which a held note is let go, after this many steps
_LONGEST_STILL = 4


class Melodist:
    """Writes MELODY. Keeps what a player would remember: the last note, how it was reached, whether it still sounds."""

    def __init__(self, plan: Plan, material: Material) -> None:
        self.plan, self.material = plan, material
        self.low, self.high = plan.style.lead
        self.half = 6 if plan.bar_steps == 12 else 8  # steps between strong beats
        self.previous: int | None = None
        self.interval = 0
        self.sounding = False
        self.since = 0  # step at which the last note began

    def write(self, rows: Rows) -> None:
        """Fill MELODY up to and including the final downbeat."""
        for index, bar in enumerate(self.plan.bars):
            letter = cell_letter(self.material, bar)
            cell = self.material.cells[letter]
            if letter == "R" and index + 1 < len(self.plan.bars) and bar.section != HEAD:
                cell = {0: Tone(QUIET, 0)}
            self._write_bar(rows[vocab.MELODY], bar, cell)
        self._finish(rows[vocab.MELODY])

    def _write_bar(self, row: list[int], bar: Bar, cell: Cell) -> None:
        plan = self.plan
        base: tuple[int, int] | None = None  # (offset, pitch) of the last note of the motif
        active = bar.section != HEAD
        for step in range(bar.start, bar.stop):
            place = bar.phase + step - bar.start
            tone = cell.get(place)
            if plan.speech[step] or plan.breath[step]:
                self._rest(row, step)
                base = None
                continue
            if step in plan.strong and active:
                self._play(row, step, self._chord_tone(step, (self.previous or self._centre(bar)) + 2), ORNAMENT_ACCENT)
                base = None
            elif tone is not None and tone.level == QUIET:
                self._rest(row, step)
            elif tone is not None and plan.levels[step] >= tone.level != NEVER:
                pitch = self._pitch(step, place, tone, base, bar)
                self._play(row, step, pitch, ORNAMENT_GRACE if tone.grace else ORNAMENT_PLAIN)
                if not tone.ornamental:
                    base = (tone.offset, pitch)
            elif self._must_resolve(step, place):
                self._play(row, step, self._chord_tone(step, self.previous or 0), ORNAMENT_PLAIN)
            elif plan.levels[step] <= _STILL and step - self.since >= _LONGEST_STILL:
                self._rest(row, step)

    def _must_resolve(self, step: int, place: int) -> bool:
        """Whether a held note rubs against a new chord or a strong beat, so that it has to move."""
        if not self.sounding or self.previous is None:
            return False
        return (self.plan.changes[step] or place % self.half == 0) and clashes(self.previous, self.plan.chords[step])

    def _pitch(self, step: int, place: int, tone: Tone, base: tuple[int, int] | None, bar: Bar) -> int:
        """The pitch of one event: where the motif goes from its last note, or near the phrase's arc at its start."""
        plan, previous = self.plan, self.previous
        chord = plan.chords[step]
        ladder = self._within(scale_ladder(plan.colour.mode, chord))
        strong = place % self.half == 0
        if base is None:
            centre = self._centre(bar)
            wish = centre if previous is None else 0.4 * centre + 0.6 * previous
            if previous is not None:
                wish = min(max(wish, previous - 7), previous + 7)
            return self._chord_tone(step, wish)
        offset, anchor = base
        if tone.ornamental:
            pitch = self._ornament(ladder, anchor, tone, step)
            return self._chord_tone(step, pitch) if strong else pitch
        pitch = move(ladder, anchor, tone.offset - offset)
        if previous is not None and abs(self.interval) >= _LEAP and not strong:
            pitch = move(ladder, previous, -1 if self.interval > 0 else 1)
        if strong or (place % 2 == 0 and clashes(pitch, chord)):
            pitch = self._chord_tone(step, pitch if previous is None else 0.7 * pitch + 0.3 * previous)
        if previous is not None and abs(pitch - previous) > _WIDEST:
            pitch = nearest(ladder, previous + (4 if pitch > previous else -4))
        return pitch

    def _ornament(self, ladder: tuple[int, ...], anchor: int, tone: Tone, step: int) -> int:
        """A neighbour of the last note: on the side the motif goes on, so that it passes or turns back."""
        previous = self.previous if self.previous is not None else anchor
        if previous != anchor:  # second ornament in a row: step back towards the motif
            return move(ladder, previous, 1 if anchor > previous else -1)
        return move(ladder, anchor, 1 if (tone.offset + step // self.plan.bar_steps) % 2 == 0 else -1)

    def _centre(self, bar: Bar) -> float:
        """Where the melody wants to be in `bar`: the middle of its range, the phrase's arc, higher when it is wild."""
        arc = _ARC[min(4 * bar.place // max(bar.of, 1), 3)]
        lift = 3.0 if bar.level >= 9 else -2.0 if bar.level <= 3 or bar.section == BREAK else 0.0
        return 0.5 * (self.low + self.high) - 2.0 + arc + lift

    def _chord_tone(self, step: int, wish: float) -> int:
        return nearest(self._within(stable_ladder(self.plan.colour.mode, self.plan.chords[step])), wish, self.previous)

    def _within(self, ladder: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(pitch for pitch in ladder if self.low <= pitch <= self.high)

    def _play(self, row: list[int], step: int, pitch: int, ornament: int) -> None:
        row[step] = vocab.melody_code(pitch, ornament)
        self.interval = 0 if self.previous is None else pitch - self.previous
        self.previous, self.sounding, self.since = pitch, True, step

    def _rest(self, row: list[int], step: int) -> None:
        if self.sounding:
            row[step] = REST
        self.sounding = False

    def _finish(self, row: list[int]) -> None:
        """The last note: the tonic, third or fifth nearest to the note before, where nobody is talking."""
        plan = self.plan
        if plan.speech[plan.final] or self.previous is None:
            self._rest(row, plan.final)
            return
        root = plan.chords[plan.final][0]
        tones = stable_ladder(plan.colour.mode, plan.chords[plan.final])
        triad = self._within(tuple(pitch for pitch in tones if (pitch - root) % 12 in (0, 3, 4, 7)))
        self._play(row, plan.final, nearest(triad, self.previous - 0.4), ORNAMENT_PLAIN)


def cell_letter(material: Material, bar: Bar) -> str:
    """Which idea `bar` plays: by its section's scheme; a phrase's last bar always closes it."""
    scheme = material.schemes[bar.section]
    if bar.round & 1:  # the second time round the tune comes varied
        scheme = scheme[0] + ("V" if scheme[1] != "V" else "M") + scheme[2:]
    if bar.place == bar.of - 1 and bar.of > 1:
        return scheme[3]
    return scheme[bar.place % 3 if bar.place >= 4 else min(bar.place, 2 if bar.place < 3 else 3)]


def sounding_pitches(row: list[int], first_note: int, modulus: int) -> list[int]:
    """The pitch that sounds at every step of a melody-like `row`, -1 where it rests."""
    out: list[int] = []
    pitch = -1
    for code in row:
        if code != HOLD:
            pitch = -1 if code == REST else (code - first_note) % modulus
        out.append(pitch)
    return out

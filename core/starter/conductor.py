"""When and how loud: the time and dynamics that all players of a cue share. Also collects what they play.

Knows codes, grid and palette; nothing of voicings or figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from core.starter import vocab as v
from core.starter.grid import Grid, GridHit
from core.starter.notes import STEMS, Note
from core.starter.palettes import Palette, Part
from core.starter.voicing import transposition

RING_SECONDS: Final = 2.0  # how long the last chord is held past the cue's out, for the next cue to fade in under
HELD_OVER_STEPS: Final = 8  # a note struck this many sixteenths before the last downbeat may ring on through it
BUTTON_SECONDS: Final = 0.22  # length of a full stop
NEW_BOW: Final = 4  # levels by which intensity has to change for a held note to be taken anew
LUFT_SECONDS: Final = 0.06  # what ends at a hit stops this much earlier: the short breath that makes it stand out
SOFTEST: Final = 0.25  # velocity of ENERGY level 0; level 15 is 1.0
STRONG_RISE: Final = 0.6  # share of its rise over what surrounds it that a strong hit keeps: a summit, not a shock
LIGHT_RISE: Final = 2.0  # levels by which a light accent may stand over what surrounds it
SURROUNDINGS: Final = 6  # steps either side

_METRE_16: Final = (1.1, 0.84, 0.93, 0.85, 1.0, 0.84, 0.93, 0.85, 1.05, 0.84, 0.93, 0.85, 1.0, 0.84, 0.93, 0.86)
_METRE_12: Final = (1.1, 0.84, 0.94, 0.85, 0.96, 0.84, 1.05, 0.84, 0.94, 0.85, 0.96, 0.85)


@dataclass(frozen=True, slots=True)
class ChordSpan:
    """A stretch of one harmony: steps first..last (last exclusive), root as an absolute pitch class, quality."""

    first: int
    last: int
    root: int
    quality: int


@dataclass(slots=True)
class Event:
    """One code of a stream that is neither hold nor rest; it lasts from step `first` up to step `last`."""

    first: int
    last: int
    code: int


@dataclass(slots=True)
class Draft:
    """A note before it is finished; the fields of `Note`, still open to change."""

    start: float
    end: float
    pitch: int
    velocity: float
    instrument: str
    stem: str
    glide: float = 0.0
    pan: float = 0.0


class Conductor:
    """Time, loudness and harmony of every step of one cue.

    at: seconds of each step, swung, hits at their exact times; exact: steps that nobody may humanise.
    level: ENERGY 0..15 per step; felt: the same as it is played, accents kept in proportion to what surrounds them;
    flag: FLAG_* per step; chords: all ChordSpans in order.
    hits: GridHit by the step that plays it, where that step lies within its neighbours.
    final: the step of the last downbeat; `end` of everything struck there is `ring_end`.
    """

    def __init__(
        self, codes: npt.NDArray[np.integer], grid: Grid, palette: Palette, tonic: int, seed: int, lead_seconds: float
    ) -> None:
        if codes.shape != (v.K, grid.steps):
            raise ValueError(f"codes have shape {codes.shape}; this grid needs ({v.K}, {grid.steps})")
        self.streams: list[list[int]] = codes.astype(int).tolist()
        self.grid, self.palette, self.lead_seconds = grid, palette, max(0.0, lead_seconds)
        self.shift = transposition(tonic)
        self.final = min(grid.final_step, grid.steps - 1)
        self.level = [code % v.LEVELS for code in self.streams[v.ENERGY]]
        self.flag = [min(code // v.LEVELS, 3) for code in self.streams[v.ENERGY]]
        self.felt = self._felt_levels()
        self.at = _swung(grid, palette)
        self.hits = self._place_hits()
        self.exact = {0, self.final, *self.hits}  # the cue's in is a cut more often than not
        out = grid.duration
        self.ring_end = self.at[self.final] + BUTTON_SECONDS if grid.button else out + RING_SECONDS
        self.chords = self._chords(tonic)
        self.chord_at = [0] * (grid.steps + 1)
        for index, chord in enumerate(self.chords):
            self.chord_at[chord.first :] = [index] * (grid.steps + 1 - chord.first)
        self.next_breath = self._next_breaths()
        self.drafts: list[Draft] = []
        rng = np.random.default_rng([seed, len(self.streams[0])])
        self._normals: list[float] = np.clip(rng.standard_normal(2048), -2.2, 2.2).tolist()
        self._uniforms: list[float] = rng.random(1024).tolist()
        self._drawn = 0

    def _felt_levels(self) -> list[float]:
        """ENERGY as it is played: hits rise from their surroundings by a share, light accents by a little."""
        felt = [float(level) for level in self.level]
        for step, flag in enumerate(self.flag):
            if flag not in (v.FLAG_HIT, v.FLAG_ACCENT):
                continue
            near = range(max(0, step - SURROUNDINGS), min(len(felt), step + SURROUNDINGS + 1))
            plain = [self.level[s] for s in near if self.flag[s] == v.FLAG_NONE] or [self.level[step]]
            rise = max(0.0, self.level[step] - max(plain))
            kept = STRONG_RISE * rise if flag == v.FLAG_HIT else min(rise, LIGHT_RISE)
            felt[step] = self.level[step] - rise + kept
        return felt

    def _place_hits(self) -> dict[int, GridHit]:
        """Hits by step; each moves its step to its exact time, unless that would overtake a neighbouring step."""
        placed: dict[int, GridHit] = {}
        for hit in self.grid.hits:
            step = hit.step
            if not 0 <= step <= self.final:
                continue
            before = self.at[step - 1] if step else -np.inf
            known = placed.get(step)
            if before < hit.seconds < self.at[step + 1] and (known is None or known.strength < hit.strength):
                placed[step] = hit
        for step, hit in placed.items():
            self.at[step] = hit.seconds
        return placed

    def _chords(self, tonic: int) -> list[ChordSpan]:
        starts = [(s, chord) for s, code in enumerate(self.streams[v.HARMONY]) if (chord := v.chord_of(code))]
        starts = [(s, chord) for s, chord in starts if s <= self.final]
        if not starts or starts[0][0] > 0:  # nothing said yet: what comes first, or an open fifth on the tonic
            starts.insert(0, (0, starts[0][1] if starts else (0, len(v.QUALITIES) - 1)))
        ends = [s for s, _ in starts[1:]] + [self.grid.steps]
        return [
            ChordSpan(first, last, (root + tonic) % 12, min(quality, len(v.QUALITIES) - 1))
            for (first, (root, quality)), last in zip(starts, ends, strict=True)
        ]

    def _next_breaths(self) -> list[int]:
        """For each step, the first later step at which everyone stops to breathe."""
        following = [self.grid.steps] * (self.grid.steps + 1)
        for step in range(self.grid.steps - 1, -1, -1):
            following[step] = step + 1 if self.breathing(step + 1) else following[step + 1]
        return following

    def breathing(self, step: int) -> bool:
        """Whether `step` is a drop-out before a hit."""
        return step < self.final and self.flag[step] == v.FLAG_BREATH

    def chord(self, step: int) -> ChordSpan:
        """The harmony that sounds at `step`."""
        return self.chords[self.chord_at[step]]

    def events(self, stream: int) -> Iterator[Event]:
        """The notes of a held stream (0 hold, 1 rest); those inside a breath or after the last downbeat are silent."""
        row = self.streams[stream]
        open_event: Event | None = None
        for step in range(self.final + 1):
            code = row[step]
            if code == v.HOLD:
                continue
            if open_event is not None:
                open_event.last = step
                yield open_event
                open_event = None
            if code != v.REST and not self.breathing(step):
                open_event = Event(step, self.grid.steps, code)
        if open_event is not None:
            yield open_event

    def start(self, step: int, part: Part) -> float:
        """When `part` plays `step`, seconds: loose, and behind the beat as its style has it; exact where it must be."""
        if step in self.exact:
            return self.at[step]
        return self.at[step] + 1e-3 * (part.late_ms + part.playing.sigma_ms * self.normal())

    def stop(self, first: int, last: int, extra: float = 0.0) -> float:
        """When a note held from step `first` up to `last` ends: earlier for a breath or the ending.

        extra: seconds of overlap into the next note (legato), given up where the note runs into a hit.
        """
        if first == self.final:
            return self.ring_end
        last = min(last, self.next_breath[first])
        if last > self.final:  # struck just before the last downbeat and held over it: that is the last chord
            return self.ring_end if self.final - first <= HELD_OVER_STEPS else self.at[self.final]
        if last == self.final:
            return self.at[last] + (0.0 if self.grid.button else min(extra, 0.02))
        if (last in self.hits and self.flag[last] == v.FLAG_HIT) or self.breathing(last):
            return self.at[last] - min(LUFT_SECONDS, 0.35 * (self.at[last] - self.at[first]))
        return self.at[last] + extra

    def bows(self, first: int, last: int) -> list[tuple[int, int]]:
        """A long note cut, on beats, where the intensity has changed: held instruments take a new, fitting breath."""
        pieces, since = [], first
        for step in range(first + 4, min(last, self.final) - 3, 4):
            if abs(self.level[step] - self.level[since]) >= NEW_BOW and not self.breathing(step):
                pieces.append((since, step))
                since = step
        return [*pieces, (since, last)]

    def loudness(self, step: int, metre: float = 1.0) -> float:
        """Velocity 0..1 that `step` asks for: its energy, bent by the metre (0 = not at all, 1 = fully) and by hits."""
        base = SOFTEST + (1.0 - SOFTEST) * self.felt[step] / (v.LEVELS - 1)
        place = self.grid.position_in_bar(step)
        table = _METRE_12 if self.grid.steps_per_bar == 12 else _METRE_16
        accent = 1.0 + metre * (table[place] - 1.0)
        if self.flag[step] == v.FLAG_HIT and step in self.hits:
            accent = max(accent, 1.0 + 0.15 * self.hits[step].strength)
        return float(base * accent)

    def mean_loudness(self, first: int, last: int) -> float:
        """Velocity for what sounds from step `first` up to `last`: the median of its energy, no accents."""
        levels = sorted(self.level[first : max(last, first + 1)])
        return float(SOFTEST + (1.0 - SOFTEST) * levels[len(levels) // 2] / (v.LEVELS - 1))

    def normal(self) -> float:
        """The next normal deviate, within 2.2 sigma."""
        self._drawn += 1
        return self._normals[self._drawn % 2048]

    def uniform(self) -> float:
        """The next number 0..1."""
        self._drawn += 1
        return self._uniforms[self._drawn % 1024]

    def play(
        self, stem: str, instrument: str, start: float, end: float, pitch: int, velocity: float,
        glide: float = 0.0, pan: float = 0.0,
    ) -> None:  # fmt: skip
        """Take down one note; velocity gets the last few per cent of life."""
        alive = velocity * (1.0 + 0.05 * self.normal())
        self.drafts.append(Draft(start, max(end, start + 0.04), pitch, alive, instrument, stem, glide, pan))

    def finished(self, sounds_alone: Callable[[Draft], bool]) -> tuple[Note, ...]:
        """All notes taken down, sorted, within the lead-in, restruck tones cut, no two neighbours of one velocity.

        sounds_alone: whether a draft's instrument can't sound one pitch twice at a time (strings, keys).
        """
        order = {stem: index for index, stem in enumerate(STEMS)}
        self.drafts.sort(key=lambda d: (d.start, order[d.stem], d.pitch))
        last: dict[tuple[str, str, int], Draft] = {}
        for draft in self.drafts:
            key = (draft.stem, draft.instrument, draft.pitch)
            before = last.get(key)
            if before is not None:
                if before.end > draft.start and sounds_alone(draft):
                    before.end = max(draft.start, before.start + 0.03)
                if abs(before.velocity - draft.velocity) < 0.012:
                    draft.velocity = before.velocity + (0.018 if before.velocity < 0.9 else -0.018)
            last[key] = draft
        return tuple(self._finish(draft) for draft in self.drafts)

    def _finish(self, d: Draft) -> Note:
        start = max(d.start, -self.lead_seconds)
        velocity = min(1.0, max(0.04, d.velocity))
        return Note(start, max(d.end - start, 0.03), d.pitch, velocity, d.instrument, d.stem, d.glide, d.pan)


def _swung(grid: Grid, palette: Palette) -> list[float]:
    """Seconds of each step [S+1] with the palette's swing: inside each pair the first half is stretched.

    Compound metres stay straight. The map is linear in each half, so what lies between bends with it.
    """
    seconds = np.asarray(grid.seconds, float)
    unit, ratio = palette.swing_steps, palette.swing
    if ratio == 0.5 or grid.steps_per_bar % (2 * unit):
        return [float(x) for x in seconds]
    steps = np.arange(len(seconds))
    phase = (steps + grid.bar_offset) % (2 * unit)
    straight = phase / (2 * unit)
    bent = np.where(straight <= 0.5, straight * 2 * ratio, 1 - (1 - straight) * 2 * (1 - ratio))
    width = np.gradient(seconds) if len(seconds) > 1 else np.zeros(1)
    return [float(x) for x in seconds + (bent - straight) * 2 * unit * width]

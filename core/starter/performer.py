"""SPINE of the performance: score codes on a grid -> notes in seconds, as a small orchestra would play them.

The players (`players`, `drumming`, `accents`) decide what is played, the `Conductor` when and how loud, the
`palettes` by whom. Nothing here knows pictures or audio.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.starter import vocab as v
from core.starter.accents import STRONG, play_hits, play_pickup
from core.starter.conductor import Conductor, Draft
from core.starter.drumming import play_drums, play_percussion
from core.starter.grid import Grid
from core.starter.notes import Performance
from core.starter.palettes import INSTRUMENTS, Palette, choose_palette
from core.starter.players import VOICES, play_bass, play_chords, play_counter, play_lead, play_pad
from core.starter.voicing import fold, lead_to, open_low

__all__ = ["choose_palette", "perform"]

LONGEST_GAP = 0.7  # s without a sounding note before the pad comes in


def perform(
    codes: npt.NDArray[np.integer], grid: Grid, style: str, tonic: int, seed: int, lead_seconds: float = 0.0,
    palette: Palette | None = None,
) -> Performance:  # fmt: skip
    """The notes of score `codes` [K, S] on `grid`, in the key of pitch class `tonic` 0..11.

    Same arguments, same notes. lead_seconds: how far before the cue's in a pickup may start. palette: the orchestra,
    by default `choose_palette(style, seed)`. Raises ValueError for an unknown style or codes that don't fit the grid.
    """
    conductor = Conductor(codes, grid, palette or choose_palette(style, seed), tonic, seed, lead_seconds)
    # 1. the score, part by part
    play_lead(conductor)
    play_counter(conductor)
    play_chords(conductor)
    play_pad(conductor)
    play_bass(conductor)
    play_drums(conductor)
    play_percussion(conductor)
    # 2. the film: accents on its cuts, a pickup into the cue, a whole last chord
    play_hits(conductor)
    play_pickup(conductor)
    _complete_ending(conductor)
    # 3. something always sounds
    _fill_gaps(conductor)
    return Performance(
        conductor.finished(_one_string_per_pitch), grid.duration, style, _tempo_map(grid), grid.steps_per_bar / 4,
        _markers(conductor),
    )  # fmt: skip


def _one_string_per_pitch(draft: Draft) -> bool:
    return draft.stem not in ("pad", "drums", "hits")


def _complete_ending(c: Conductor) -> None:
    """The last downbeat has a chord and a root, whatever the codes wrote there."""
    chord, start, loud = c.chord(c.final), c.at[c.final], c.loudness(c.final, 0.5)
    begun = {draft.stem for draft in c.drafts if draft.end >= c.ring_end - 0.05 or abs(draft.start - start) < 0.02}
    if "bass" not in begun:
        part = c.palette.bass
        root = fold(36 + chord.root, part.playing.low, part.playing.high)
        c.play("bass", part.instrument, start, c.ring_end, root, loud)
    if "chords" not in begun:
        part = c.palette.chords
        tones = lead_to((), chord.root, chord.quality, VOICES, part.base)
        roll = 0.0 if c.grid.button else 1e-3 * part.playing.spread_ms
        seated = open_low(tuple(sorted({fold(p, part.playing.low, part.playing.high) for p in tones})))
        for index, pitch in enumerate(seated):
            c.play("chords", part.instrument, start + index * roll, c.ring_end, pitch, 0.9 * loud)


def _fill_gaps(c: Conductor) -> None:
    """The pad sounds softly wherever nothing else would: a cue is never dead."""
    until = c.at[c.final] if c.grid.button else c.grid.duration
    spans = sorted((d.start, d.start + _audible(d)) for d in c.drafts)
    reach, gaps = 0.0, []
    for start, end in [*spans, (until, until)]:
        if start - reach > LONGEST_GAP:
            gaps.append((reach, start))
        reach = max(reach, end)
    part = c.palette.pad
    times = np.asarray(c.at)
    for first, last in gaps:
        step = int(np.clip(np.searchsorted(times, first, side="right") - 1, 0, c.grid.steps - 1))
        chord = c.chord(step)
        for pitch in lead_to((), chord.root, chord.quality, VOICES - 1, part.base):
            seated = fold(pitch, part.playing.low, part.playing.high)
            c.play("pad", part.instrument, max(first - 0.1, 0.0), last + 0.2, seated, 0.5 * c.loudness(step, 0.0))


def _audible(draft: Draft) -> float:
    """Seconds for which a note is surely heard."""
    playing = INSTRUMENTS[draft.instrument]
    if draft.stem == "drums" or draft.instrument == "fx":
        return 0.25
    held = draft.end - draft.start
    return held if playing.sustained else min(held, playing.ring_seconds)


def _tempo_map(grid: Grid) -> tuple[tuple[float, float], ...]:
    """(seconds, bpm) wherever the length of a sixteenth changes."""
    lengths = np.diff(np.asarray(grid.seconds, float))
    out: list[tuple[float, float]] = []
    for start, length in zip(grid.seconds[:-1].tolist(), lengths.tolist(), strict=True):
        bpm = 15.0 / max(length, 1e-3)
        if not out or abs(bpm - out[-1][1]) > 1e-6 * bpm:
            out.append((start, bpm))
    return tuple(out)


def _markers(c: Conductor) -> tuple[tuple[float, str], ...]:
    """Hit points at their exact times, and sections where they begin."""
    marks = [
        (hit.seconds, f"{'hit' if hit.strength >= STRONG else 'accent'} {hit.strength:.2f}") for hit in c.grid.hits
    ]
    current = -1
    for step, code in enumerate(c.streams[v.FORM][: c.final + 1]):
        section = (code - 1) // 4
        if code and section != current and section < len(v.SECTIONS):
            marks.append((float(c.grid.seconds[step]), v.SECTIONS[section]))
            current = section
    return tuple(sorted(marks))

"""The tonal players: lead, counter, bass, chords and pad. Each reads its code stream and tells the conductor's book.

A player decides pitches, lengths and ornaments; when and how loud comes from the Conductor.
"""

from __future__ import annotations

from math import cos, pi, sin
from typing import Final

from core.starter import vocab as v
from core.starter.conductor import ChordSpan, Conductor, Event
from core.starter.palettes import INSTRUMENTS, Part
from core.starter.voicing import Voicing, fold, fold_line, lead_to, open_low

VOICES: Final = 4
TUTTI: Final = 11  # ENERGY level from which lines are doubled and chords thickened
QUIET: Final = 3  # ENERGY level up to which chords are thinned
GRACE_SECONDS: Final = 0.075
RUN_SECONDS: Final = 0.045  # between the notes of a zither's run
STROKES_PER_SECOND: Final = 11.5  # of a tremolo on a plucked string
PEDAL_SECONDS: Final = 2.5  # longest a pedalled note rings past its written end
_SLIDE_CHANCE: Final = {"erhu": 0.5, "solo_violin": 0.22, "lead_synth": 0.3}


# Lines


def play_lead(conductor: Conductor) -> None:
    """The melody: phrased, legato, ornamented as its instrument does, doubled an octave up in a tutti."""
    _play_line(conductor, v.MELODY, "lead", 1.06)


def play_counter(conductor: Conductor) -> None:
    """The second voice: the same art, a little softer, plain."""
    _play_line(conductor, v.COUNTER, "counter", 0.88)


def _play_line(c: Conductor, stream: int, stem: str, level: float) -> None:
    part = c.palette.part(stem)
    phrases = _phrases(list(c.events(stream)))
    scale = sorted({_pitch(c, e, part) % 12 for phrase in phrases for e in phrase})
    for phrase in phrases:
        pitches = fold_line([_pitch(c, e, part) for e in phrase], part.playing.low, part.playing.high)
        previous: int | None = None
        for index, (event, pitch) in enumerate(zip(phrase, pitches, strict=True)):
            tied = index + 1 < len(phrase)
            velocity = level * _arc((index + 0.5) / len(phrase)) * c.loudness(event.first, 0.7)
            _play_tone(c, stem, event, pitch, previous, velocity, tied, scale)
            previous = pitch


def _phrases(events: list[Event]) -> list[list[Event]]:
    """Events grouped where no rest parts them."""
    phrases: list[list[Event]] = []
    for event in events:
        if phrases and phrases[-1][-1].last == event.first:
            phrases[-1].append(event)
        else:
            phrases.append([event])
    return phrases


def _pitch(c: Conductor, event: Event, part: Part) -> int:
    return part.base + c.shift + (event.code - 2) % v.PITCHES


def _arc(x: float) -> float:
    """Loudness over a phrase at share `x`: 0.85 at its ends, 1.15 at two thirds (rules of music)."""
    peak = 2 / 3
    rise = sin(pi / 2 * x / peak) if x < peak else cos(pi / 2 * (x - peak) / (1 - peak) * 0.9)
    return 0.85 + 0.3 * rise


def _play_tone(
    c: Conductor, stem: str, event: Event, pitch: int, previous: int | None, velocity: float,
    tied: bool, scale: list[int],
) -> None:  # fmt: skip
    part = c.palette.part(stem)
    playing = part.playing
    start = c.start(event.first, part)
    extra = 1e-3 * playing.legato_ms * (0.7 + 0.6 * c.uniform()) if tied else 0.0
    end = c.stop(event.first, event.last, extra or (0.15 if playing.pedal else 0.0))
    if playing.gate < 1.0 and event.first != c.final:
        end = start + (end - start) * playing.gate
    ornament = (event.code - 2) // v.PITCHES if stem == "lead" else v.ORNAMENT_PLAIN
    if ornament == v.ORNAMENT_ACCENT:
        velocity *= 1.18
    held = c.bows(event.first, event.last) if playing.sustained else []
    for first, last in held[1:]:  # the same tone goes on, as loud as its moment is
        again, level = c.start(first, part), 0.9 * velocity * c.loudness(first, 0.0) / c.loudness(event.first, 0.0)
        c.play(stem, part.instrument, again, end if last == event.last else c.stop(first, last, 0.03), pitch, level)
    end = c.stop(event.first, held[0][1], 0.05) if len(held) > 1 else end
    if stem == "lead" and c.level[event.first] >= TUTTI:
        _double(c, event.first, start, end, pitch, velocity)
    graced = ornament == v.ORNAMENT_GRACE and event.first not in c.exact
    rings = end > c.at[c.final] + 0.02  # nothing is struck after the last downbeat
    if playing.idiom == "slide":
        glide = _glide(c, part, pitch, previous, ornament == v.ORNAMENT_GRACE)
        c.play(stem, part.instrument, start, end, pitch, velocity, glide)
    elif playing.idiom == "trill" and ornament == v.ORNAMENT_GRACE and end - start > 0.7 and not rings:
        _trill(c, stem, start, end, pitch, velocity, scale)
    elif playing.idiom == "repeat" and end - start > 0.45 and not rings:
        _strokes(c, stem, start, end, (pitch,), velocity)
    else:
        if graced and playing.idiom != "none":
            _grace(c, stem, start, pitch, velocity, scale, 3 if playing.idiom == "run" else 1)
        c.play(stem, part.instrument, start, end, pitch, velocity)


def _double(c: Conductor, step: int, start: float, end: float, pitch: int, velocity: float) -> None:
    """The lead's tone an octave up (at the unison where that is too high) on the palette's doubling instrument."""
    if not c.palette.doubling:
        return
    playing = INSTRUMENTS[c.palette.doubling]
    tone = fold(pitch + 12, playing.low, playing.high)
    if tone != pitch or c.palette.doubling != c.palette.lead.instrument:
        late = 0.0 if step in c.exact else 0.004 + 0.003 * abs(c.normal())
        c.play("lead", c.palette.doubling, start + late, end, tone, 0.65 * velocity)


def _glide(c: Conductor, part: Part, pitch: int, previous: int | None, graced: bool) -> float:
    """Semitones to slide in from: from the tone before, from below where a phrase starts or an ornament asks."""
    chance = _SLIDE_CHANCE.get(part.instrument, 0.2)
    if previous is not None and 1 <= abs(previous - pitch) <= 5 and (graced or c.uniform() < chance):
        return float(previous - pitch)
    if graced or (previous is None and c.uniform() < 0.8 * chance):
        return -2.0
    return 0.0


def _grace(c: Conductor, stem: str, start: float, pitch: int, velocity: float, scale: list[int], count: int) -> None:
    """`count` quick tones of the tune's own scale just before `start`: one from above, several running up."""
    part = c.palette.part(stem)
    apart = RUN_SECONDS if count > 1 else GRACE_SECONDS
    tone = pitch
    for index in range(1, count + 1):
        tone = _neighbour(scale, tone, -1 if count > 1 else 1)
        at = start - index * apart
        if at > -c.lead_seconds:
            c.play(stem, part.instrument, at, at + apart * 1.3, tone, velocity * (0.68 - 0.08 * index))


def _neighbour(scale: list[int], pitch: int, direction: int) -> int:
    """The next pitch above or below whose class is in `scale`, at most a third away; else a whole tone away."""
    for distance in (1, 2, 3, 4):
        if (pitch + direction * distance) % 12 in scale:
            return pitch + direction * distance
    return pitch + 2 * direction


def _trill(c: Conductor, stem: str, start: float, end: float, pitch: int, velocity: float, scale: list[int]) -> None:
    part = c.palette.part(stem)
    upper, at, index = _neighbour(scale, pitch, 1), start, 0
    settle = start + 0.55 * (end - start)
    while at < settle:
        length = 0.078 + 0.012 * c.uniform() + (0.08 if index == 0 else 0.0)
        tone, weight = (upper, 0.8) if index % 2 else (pitch, 0.9)
        c.play(stem, part.instrument, at, at + length + 0.01, tone, weight * velocity)
        at, index = at + length, index + 1
    c.play(stem, part.instrument, at, end, pitch, 0.9 * velocity)


def _strokes(c: Conductor, stem: str, start: float, end: float, pitches: Voicing, velocity: float) -> None:
    """Tremolo written out: strokes that swell a little towards the end, the first one firm."""
    part = c.palette.part(stem)
    apart, at, index = 1.0 / STROKES_PER_SECOND, start, 0
    while at < end - 0.03:
        share = (at - start) / max(end - start, 1e-6)
        swell = 1.0 if index == 0 else 0.62 + 0.2 * share + 0.06 * (index % 2)
        for pitch in pitches:
            c.play(stem, part.instrument, at, min(at + 1.8 * apart, end), pitch, velocity * swell)
        at, index = at + apart * (1.0 + 0.05 * c.normal()), index + 1


# Bass


def play_bass(conductor: Conductor) -> None:
    """The bass line; bowed basses are doubled at the octave below in a tutti."""
    c, part = conductor, conductor.palette.bass
    playing = part.playing
    for event in c.events(v.BASS):
        pitch = fold(part.base + c.shift + event.code - 2 - 12, playing.low, playing.high)
        pieces = c.bows(event.first, event.last) if playing.sustained else [(event.first, event.last)]
        for first, last in pieces:
            start = c.start(first, part)
            end = c.stop(first, last, 1e-3 * playing.legato_ms)
            if playing.gate < 1.0 and first != c.final and last == event.last:
                end = start + (end - start) * playing.gate
            velocity = c.loudness(first, 0.8)
            c.play("bass", part.instrument, start, end, pitch, velocity)
            if part.instrument == "low_strings" and c.level[first] >= TUTTI - 2:
                other = pitch - 12 if pitch - 12 >= playing.low else pitch + 12
                c.play("bass", part.instrument, start + 0.006, end, other, 0.75 * velocity)


# Chords


def voicings(conductor: Conductor, part: Part, voices: int) -> list[Voicing]:
    """One voicing for each chord of the cue, led from one to the next."""
    out: list[Voicing] = []
    previous: Voicing = ()
    for chord in conductor.chords:
        previous = lead_to(previous, chord.root, chord.quality, voices, part.base)
        out.append(previous)
    return out


def play_chords(conductor: Conductor) -> None:
    """The accompaniment: every figure of the ACCOMP stream over the harmony of its moment."""
    c, part = conductor, conductor.palette.chords
    led = voicings(c, part, VOICES)
    row = c.streams[v.ACCOMP]
    for event in c.events(v.ACCOMP):
        figure, register = divmod(event.code - 2, v.REGISTERS)
        damped = event.last < c.grid.steps and row[event.last] == v.REST
        for first, last in _harmonic_pieces(c, event, part.playing.sustained):
            chord = c.chords[c.chord_at[first]]
            pitches = figure_pitches(figure, led[c.chord_at[first]], chord, c.level[first])
            pitches = _seated(pitches, 12 * (register - 1), part)
            if part.playing.pedal and not damped and first != c.final:
                last = max(last, _pedal_end(c, first, chord))
            _play_figure(c, figure, first, last, pitches)


def _harmonic_pieces(c: Conductor, event: Event, sustained: bool) -> list[tuple[int, int]]:
    """The event cut where the harmony changes: held instruments move with it, the others let go."""
    pieces: list[tuple[int, int]] = []
    first = event.first
    while True:
        change = c.chord(first).last
        if change >= event.last or first >= c.final:
            return pieces + (c.bows(first, event.last) if sustained else [(first, event.last)])
        pieces += c.bows(first, change) if sustained else [(first, change)]
        if not sustained or change > c.final or c.breathing(change):
            return pieces
        first = change


def _pedal_end(c: Conductor, first: int, chord: ChordSpan) -> int:
    """The step up to which a pedalled note may ring: its chord's end, or PEDAL_SECONDS."""
    last = first + 1
    while last < chord.last and c.at[last] - c.at[first] < PEDAL_SECONDS:
        last += 1
    return last


def figure_pitches(figure: int, voicing: Voicing, chord: ChordSpan, level: int) -> Voicing:
    """The tones that a FIGURE_* takes of `voicing`; full chords are thinned when quiet and thickened in a tutti."""
    if v.FIGURE_VOICE_1 <= figure <= v.FIGURE_VOICE_4:
        return (voicing[figure - v.FIGURE_VOICE_1],)
    if figure == v.FIGURE_LOW_PAIR:
        return voicing[:2]
    if figure in (v.FIGURE_HIGH_PAIR, v.FIGURE_TREMOLO):
        return voicing[2:]
    if figure == v.FIGURE_OCTAVE:
        root = voicing[0] - (voicing[0] - chord.root) % 12
        return (root, root + 12)
    if figure == v.FIGURE_STRUM_UP:
        return voicing[1:]
    if figure == v.FIGURE_STRUM_DOWN:
        return (voicing[0] - (voicing[0] - chord.root) % 12, *voicing)
    if level <= QUIET and figure == v.FIGURE_BLOCK:
        return (voicing[0], *voicing[2:])
    if level >= TUTTI:
        return (*voicing, voicing[0] + 12)
    return voicing


def _seated(pitches: Voicing, shift: int, part: Part) -> Voicing:
    """`pitches` in the register asked for, opened in the bass, within the instrument's range."""
    moved = open_low(tuple(sorted({fold(p + shift, part.playing.low, part.playing.high) for p in pitches})))
    return tuple(p for p in moved if p <= part.playing.high)


def _play_figure(c: Conductor, figure: int, first: int, last: int, pitches: Voicing) -> None:
    part = c.palette.chords
    playing = part.playing
    start = c.start(first, part)
    end = c.stop(first, last, 1e-3 * playing.legato_ms)
    velocity = c.loudness(first, 0.9) * (0.92 if len(pitches) > 2 else 0.86)
    if figure == v.FIGURE_STAB and first != c.final:
        end = min(end, start + 0.2)
        velocity *= 1.08
    elif playing.gate < 1.0 and first != c.final:
        end = start + (end - start) * playing.gate
    if figure == v.FIGURE_TREMOLO and not playing.sustained and first != c.final:
        _strokes(c, "chords", start, min(end, c.at[c.final]), pitches, 0.85 * velocity)
        return
    delays = _spread(c, figure, len(pitches), velocity, first in c.exact)
    order = tuple(reversed(pitches)) if figure == v.FIGURE_STRUM_UP else pitches
    for delay, pitch in zip(delays, order, strict=True):
        weight = 1.03 if pitch == pitches[-1] else 0.95
        c.play("chords", part.instrument, start + delay, end, pitch, velocity * weight)


def _spread(c: Conductor, figure: int, count: int, velocity: float, exact: bool) -> list[float]:
    """Seconds by which each string of a chord comes after the first: 8-30 ms over a strum, more when rolled."""
    spread = 1e-3 * c.palette.chords.playing.spread_ms
    if count < 2:
        return [0.0] * count
    if figure == v.FIGURE_ROLLED:
        apart = (0.01 + 1.2 * spread) * (0.5 if exact else 1.0)
        return [i * apart for i in range(count)]
    if figure in (v.FIGURE_STRUM_DOWN, v.FIGURE_STRUM_UP):
        whole = 0.008 if exact else min(0.03, max(0.008, spread * (2.0 - 1.2 * velocity) * (0.8 + 0.4 * c.uniform())))
        return [whole * i / (count - 1) for i in range(count)]
    return [0.0] * count if exact else [0.004 * abs(c.normal()) for _ in range(count)]


# Pad


def play_pad(conductor: Conductor) -> None:
    """The pad: each chord struck softly and overlapping the one before, again every two bars so that it breathes.

    It follows the intensity of its whole stretch: a hit that starts it is not its business.
    """
    c, part = conductor, conductor.palette.pad
    led = voicings(c, part, VOICES)
    bars = [(s, (code - 1) % 4) for s, code in enumerate(c.streams[v.FORM]) if code > 0]
    for first, last, loud in _pad_pieces(c, bars):
        if loud == 0 and first != c.final:
            continue
        velocity = (0.45 + 0.13 * max(loud, 1)) * c.mean_loudness(first, last if first != c.final else first + 1)
        if first == c.final:
            end = c.ring_end
        else:
            overlap = min(0.35, 0.25 * (c.at[last] - c.at[first]))
            end = c.at[last] + (0.0 if last == c.final and c.grid.button else overlap)
        tones = led[c.chord_at[first]]
        if c.level[first] <= QUIET:
            tones = (tones[0], *tones[2:])
        for pitch in _seated(tones, 0, part):
            c.play("pad", part.instrument, c.start(first, part), end, pitch, velocity)


def _pad_pieces(c: Conductor, bars: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """(first step, last step, loudness 0..3) between changes of chord and loudness, two bars long at most."""
    loud_at = [0] * (c.grid.steps + 1)
    for step, loud in bars:
        loud_at[step:] = [loud] * (c.grid.steps + 1 - step)
    longest = 2 * c.grid.steps_per_bar
    out, first = [], 0
    for step in range(1, c.final + 1):
        changed = loud_at[step] != loud_at[step - 1] or c.chord_at[step] != c.chord_at[step - 1]
        if changed or step - first >= longest or step == c.final:
            out += [(begin, end, loud_at[begin]) for begin, end in c.bows(first, step)]
            first = step
    return [*out, (c.final, c.grid.steps, max(1, loud_at[c.final]))]

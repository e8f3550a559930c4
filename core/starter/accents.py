"""Hit points: the accents that fall exactly on cuts, what swells into them, and the pickup into the cue.

An accent has to be heard as one with the cut: it starts within a sample of the hit's time, whole (low drum, cymbal,
chord) when the hit is strong and light (one small sound and a chord tone) when it is not.
"""

from __future__ import annotations

from typing import Final

from core.starter import vocab as v
from core.starter.conductor import ChordSpan, Conductor
from core.starter.drumming import SHORTEST_SWELL, keys_of, strike
from core.starter.grid import GridHit
from core.starter.palettes import FX_IMPACT, FX_REVERSE_CYMBAL, FX_SWELL, INSTRUMENTS
from core.starter.players import VOICES
from core.starter.voicing import fold, lead_to, open_low

STRONG: Final = 0.5  # strength from which a hit is the whole orchestra's
ROOM_SECONDS: Final = 1.5  # a swell into a hit needs this much time since the hit before
SWELL_SECONDS: Final = 1.4  # longest swell
PICKUP_SECONDS: Final = 1.0  # longest swell into the cue


def play_hits(conductor: Conductor) -> None:
    """Every hit point of the grid at its exact time, and the flags of the codes that stand alone."""
    c = conductor
    hits = sorted((hit for hit in c.grid.hits if hit.step <= c.final), key=lambda hit: hit.seconds)
    previous = 0.0
    for hit in hits:
        flag = c.flag[hit.step] if 0 <= hit.step < c.grid.steps else v.FLAG_NONE
        if flag == v.FLAG_HIT:
            _strong(c, hit)
            if hit.seconds - previous >= ROOM_SECONDS and hit.strength >= STRONG:
                _swell_into(c, hit, previous)
        else:
            _light(c, hit.step, hit.seconds, 0.7 + 0.5 * hit.strength)
        previous = hit.seconds
    marked = {hit.step + near for hit in hits for near in (-2, -1, 0, 1, 2)}
    for step in range(c.final):
        if c.flag[step] in (v.FLAG_ACCENT, v.FLAG_HIT) and step not in marked:
            _light(c, step, c.at[step], 0.6)


def _strong(c: Conductor, hit: GridHit) -> None:
    """The whole orchestra, as loud as the hit is strong and its surroundings bear."""
    idiom = c.palette.hit
    force = (0.62 + 0.38 * hit.strength) * (0.7 + 0.3 * c.felt[hit.step] / (v.LEVELS - 1))
    for key, weight in idiom.drums:
        if not _plays_anyway(c, hit.step, key):
            strike(c, hit.seconds, key, weight * force, "hits")
    for pitch, weight in idiom.fx:
        if pitch == FX_IMPACT or hit.strength > 0.6:
            c.play("hits", "fx", hit.seconds, hit.seconds + 2.0, pitch, weight * force)
    chord = c.chord(hit.step)
    length = idiom.stab_seconds if hit.step != c.final or c.grid.button else 2.0
    for pitch in _stab(c, chord):
        c.play("hits", idiom.stab, hit.seconds, hit.seconds + length, pitch, 0.95 * force)


def _stab(c: Conductor, chord: ChordSpan) -> tuple[int, ...]:
    """The chord of a strong hit, with its root below."""
    playing = INSTRUMENTS[c.palette.hit.stab]
    upper = lead_to((), chord.root, chord.quality, VOICES, c.palette.hit.stab_base)
    root = fold(chord.root + 36, playing.low, playing.high)
    return open_low(tuple(sorted({fold(p, playing.low, playing.high) for p in (root, *upper)})))


def _light(c: Conductor, step: int, seconds: float, force: float) -> None:
    """One small bright sound and a high chord tone."""
    idiom = c.palette.hit
    at = min(max(step, 0), c.grid.steps - 1)
    loud = force * (0.5 + 0.5 * c.felt[at] / (v.LEVELS - 1))
    for key, weight in idiom.accent:
        strike(c, seconds, key, weight * loud, "hits")
    playing = INSTRUMENTS[idiom.accent_voice]
    chord = c.chord(at)
    top = lead_to((), chord.root, chord.quality, VOICES, 72)[-1]
    c.play("hits", idiom.accent_voice, seconds, seconds + 0.8, fold(top, playing.low, playing.high), 0.75 * loud)


def _plays_anyway(c: Conductor, step: int, key: int) -> bool:
    """Whether the drum stream strikes `key` at `step` itself, so that the accent needn't."""
    code, kit = c.streams[v.DRUMS][step], c.palette.drums.instrument
    if step not in c.hits or step > c.final:
        return False
    bits = ((v.KICK, "kick"), (v.CYMBAL, "cymbal"))
    return any(code & bit and key in keys_of(kit, drum) for bit, drum in bits)


def _swell_into(c: Conductor, hit: GridHit, previous: float) -> None:
    """The style's swell, ending exactly on the hit; none where the composer wrote a roll or a riser."""
    row = c.streams[v.PERC]
    if any(row[s] in (v.PERC_ROLL, v.PERC_RISER) for s in range(max(0, hit.step - c.grid.steps_per_bar), hit.step)):
        return
    pitch, weight = c.palette.hit.lead_in
    length = min(SWELL_SECONDS, 0.6 * (hit.seconds - previous))
    c.play("hits", "fx", hit.seconds - length, hit.seconds, pitch, weight * (0.6 + 0.4 * hit.strength))


def play_pickup(conductor: Conductor) -> None:
    """A soft swell through the lead-in to the cue's first downbeat, and a bass pickup where the tempo leaves room."""
    c = conductor
    if c.lead_seconds < SHORTEST_SWELL:
        return
    length = min(PICKUP_SECONDS, c.lead_seconds)
    pitch = FX_SWELL if c.level[0] <= 5 else FX_REVERSE_CYMBAL
    c.play("hits", "fx", -length, 0.0, pitch, 0.25 + 0.3 * c.level[0] / (v.LEVELS - 1))
    eighth = 2 * (c.at[1] - c.at[0])
    if eighth <= c.lead_seconds and c.streams[v.BASS][0] > v.REST:
        part = c.palette.bass
        chord = c.chord(0)
        fifth = fold(36 + (chord.root + 7) % 12, part.playing.low, part.playing.high)
        c.play("bass", part.instrument, -eighth, -0.02, fifth, 0.6 * c.loudness(0, 0.0))

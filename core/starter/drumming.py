"""The percussion players: drum kit, hand percussion, written-out rolls, risers. General MIDI percussion keys.

A kit in a style plays the same bits with what it has: a Chinese kit answers a kick with a frame drum.
"""

from __future__ import annotations

from typing import Final

from core.starter import vocab as v
from core.starter.conductor import Conductor
from core.starter.palettes import FX_RISER

KEYS: Final = {"kick": 36, "snare": 38, "clap": 39, "rim": 37, "toms": (48, 45, 41), "cymbal": 49, "roll": 38}
KIT_KEYS: Final[dict[str, dict[str, int | tuple[int, ...]]]] = {
    "kit_cinematic": {"roll": 45, "snare": 45, "toms": (41, 45, 41)},
    "kit_chinese": {"kick": 43, "snare": 45, "rim": 76, "toms": (41, 45, 48), "cymbal": 52, "roll": 45},
    "kit_electronic": {"snare": 39},
    "kit_brushes": {"roll": 38},
}
PERC_KEYS: Final[dict[int, tuple[int, float]]] = {  # code: (key, weight)
    v.PERC_HAT: (42, 0.62), v.PERC_HAT_LOUD: (42, 0.85), v.PERC_HAT_OPEN: (46, 0.75),
    v.PERC_SHAKER: (70, 0.55), v.PERC_SHAKER_LOUD: (70, 0.8),
    v.PERC_RIDE: (51, 0.65), v.PERC_RIDE_BELL: (53, 0.75),
    v.PERC_WOODBLOCK: (77, 0.6), v.PERC_WOODBLOCK_LOUD: (76, 0.85),
    v.PERC_TAMBOURINE: (54, 0.65), v.PERC_GONG: (52, 0.8), v.PERC_CLAVE: (75, 0.65),
}  # fmt: skip
PAN: Final = {42: 0.28, 46: 0.28, 51: -0.3, 53: -0.3, 49: 0.2, 70: -0.4, 54: 0.4, 75: -0.25, 76: 0.3, 77: -0.3,
              48: -0.25, 45: 0.05, 41: 0.3, 52: -0.15, 37: 0.1, 39: 0.05}  # fmt: skip
LENGTH: Final = {49: 2.5, 52: 3.5, 51: 1.2, 53: 1.2, 46: 0.35, 36: 0.6, 41: 1.2, 43: 0.8, 45: 0.9, 48: 0.7}
STROKES_PER_SECOND: Final = 13.0
SHORTEST_SWELL: Final = 0.3  # s; a shorter swell is a click
LEAD_STEPS: Final = 8  # a roll or riser reaches to a hit this many sixteenths after its code
HEARTBEAT_SECONDS: Final = 0.21  # between the two beats of a heart


def keys_of(kit: str, drum: str) -> tuple[int, ...]:
    """The keys that `kit` plays for `drum`, a name of KEYS; several where strokes go round (toms)."""
    key = KIT_KEYS.get(kit, {}).get(drum, KEYS[drum])
    return key if isinstance(key, tuple) else (key,)


def strike(c: Conductor, start: float, key: int, velocity: float, stem: str = "drums") -> None:
    """One stroke on the cue's kit."""
    c.play(stem, c.palette.drums.instrument, start, start + LENGTH.get(key, 0.3), key, velocity, pan=PAN.get(key, 0.0))


def play_drums(conductor: Conductor) -> None:
    """Kick, snare, toms, cymbal and ghost strokes as the DRUMS bits say."""
    c, kit = conductor, conductor.palette.drums
    tom_count = 0
    for step in range(c.final + 1):
        code = c.streams[v.DRUMS][step]
        if code == 0 or c.breathing(step):
            continue
        loud = c.loudness(step, 0.7) * (1.12 if code & v.LOUD else 0.88)
        start = c.start(step, kit)
        if code & v.KICK:
            strike(c, start, keys_of(kit.instrument, "kick")[0], loud)
        if code & v.SNARE:
            strike(c, start, keys_of(kit.instrument, "snare")[0], loud)
            if code & v.LOUD and kit.instrument == "kit_pop":
                strike(c, start, keys_of(kit.instrument, "clap")[0], 0.8 * loud)
        if code & v.TOM:
            toms = keys_of(kit.instrument, "toms")
            strike(c, start, toms[tom_count % len(toms)], 0.95 * loud)
            tom_count += 1
        if code & v.CYMBAL:
            strike(c, start, keys_of(kit.instrument, "cymbal")[0], 0.68 * loud)
        if code & v.GHOST:
            strike(c, start, keys_of(kit.instrument, "rim")[0], 0.42 * loud)


def play_percussion(conductor: Conductor) -> None:
    """Hats, shakers, blocks and gongs as PERC says; rolls and risers last as long as their code repeats."""
    c, kit = conductor, conductor.palette.drums
    row = c.streams[v.PERC]
    step = 0
    while step <= c.final:
        code = row[step]
        last = step + 1
        if code in (v.PERC_ROLL, v.PERC_RISER) and step < c.final:
            while last < c.final and row[last] == code and last not in c.hits:
                last += 1
            last = _led_to(c, last)
            (_roll if code == v.PERC_ROLL else _riser)(c, step, last)
        elif code and not c.breathing(step):
            start = c.start(step, kit)
            loud = c.loudness(step)
            if code == v.PERC_HEARTBEAT:
                strike(c, start, 35, loud)
                strike(c, start + HEARTBEAT_SECONDS, 35, 0.6 * loud)
            elif code in PERC_KEYS:
                key, weight = PERC_KEYS[code]
                strike(c, start, key, weight * loud)
        step = last


def _led_to(c: Conductor, last: int) -> int:
    """The step that a roll or riser written up to step `last` leads to: a hit within two beats, else `last`."""
    row = c.streams[v.PERC]
    for step in range(last, min(last + LEAD_STEPS, c.final) + 1):
        if step in c.hits:
            return step
        if row[step] != v.PERC_NONE:
            break
    return min(last, c.final)


def _roll(c: Conductor, first: int, last: int) -> None:
    """Strokes that swell from `first` to just before `last`."""
    key = keys_of(c.palette.drums.instrument, "roll")[0]
    begin, end = c.at[first], c.at[last]
    loud = c.loudness(max(first, last - 1), 0.0)
    at = begin
    while at < end - 0.03:
        share = (at - begin) / max(end - begin, 1e-6)
        strike(c, at, key, loud * (0.35 + 0.5 * share))
        at += (1.0 + 0.06 * c.normal()) / STROKES_PER_SECOND


def _riser(c: Conductor, first: int, last: int) -> None:
    """A riser that ends exactly on step `last`."""
    if c.at[last] - c.at[first] > SHORTEST_SWELL:
        c.play("hits", "fx", c.at[first], c.at[last], FX_RISER, 0.8 * c.loudness(first, 0.0))

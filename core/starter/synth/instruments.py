"""Every instrument by name: its model, how loud it is, how it stops. Data only; the models are in their own files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from core.starter.synth import plucked, sections, solo, struck
from core.starter.synth.dsp import Audio
from core.starter.synth.kits import KITS, Stroke
from core.starter.synth.sections import Section
from core.starter.synth.solo import Solo

Maker = Callable[[int, float, np.random.Generator], Audio]


@dataclass(frozen=True, slots=True)
class Sampled:
    """Rings by itself: rendered once per pitch, velocity layer and variation.

    release: seconds to fall 60 dB when the note ends; curve: loudness as velocity**curve; trim_db: level beside others;
    attack: seconds by which a soft stroke is rounded.
    """

    make: Maker
    release: float
    curve: float = 1.75
    trim_db: float = 1.5


@dataclass(frozen=True, slots=True)
class Held:
    """Sounds as long as it is held: a loop per pitch, dark and bright, mixed by velocity and time.

    bright: (at velocity 0, at velocity 1); sweep: (depth, seconds) of a slow filter movement; swell dB in long notes.
    """

    section: Section
    attack: float
    release: float
    bright: tuple[float, float] = (0.0, 1.0)
    sweep: tuple[float, float] = (0.0, 8.0)
    swell: float = 0.0
    curve: float = 1.15
    trim_db: float = 0.0


@dataclass(frozen=True, slots=True)
class Played:
    """One voice made note by note."""

    solo: Solo
    curve: float = 1.4
    trim_db: float = 0.0


@dataclass(frozen=True, slots=True)
class Kit:
    """Percussion: a stroke per General MIDI key."""

    strokes: dict[int, Stroke]
    curve: float = 1.9
    trim_db: float = 0.0


@dataclass(frozen=True, slots=True)
class Effects:
    """Risers, impacts and the like, made to the length of their note."""

    curve: float = 1.4
    trim_db: float = 0.0


Instrument = Sampled | Held | Played | Kit | Effects


def _string(spec: plucked.Pluck, release: float, trim_db: float = 1.5, curve: float = 1.75) -> Sampled:
    return Sampled(partial(plucked.pluck, spec), release, curve, trim_db)


def _bar(spec: struck.Bar, release: float, trim_db: float = 1.5) -> Sampled:
    return Sampled(partial(struck.bar, spec), release, trim_db=trim_db)


TABLE: Final[dict[str, Instrument]] = {
    "felt_piano": Sampled(partial(struck.piano, struck.FELT), 0.35),
    "electric_piano": Sampled(struck.electric_piano, 0.25),
    "muted_keys": Sampled(partial(struck.piano, struck.MUTED), 0.18),
    "nylon_guitar": _string(plucked.NYLON, 0.30),
    "steel_guitar": _string(plucked.STEEL, 0.30),
    "upright_bass": _string(plucked.UPRIGHT, 0.16),
    "finger_bass": _string(plucked.FINGER, 0.10),
    "slap_bass": _string(plucked.SLAP, 0.08),
    "harp": _string(plucked.HARP, 1.6),
    "guzheng": _string(plucked.GUZHENG, 1.6),
    "pipa": _string(plucked.PIPA, 0.5),
    "low_zither": _string(plucked.LOW_ZITHER, 1.2),
    "pizzicato": _string(plucked.PIZZICATO, 0.5),
    "clavinet": _string(plucked.CLAVINET, 0.05),
    "marimba": _bar(struck.MARIMBA, 0.8),
    "bells": _bar(struck.BELLS, 2.0),
    "celesta": _bar(struck.CELESTA, 1.0),
    "glass": _bar(struck.GLASS, 1.8),
    "pluck_synth": Sampled(struck.pluck_synth, 0.30),
    "synth_bass": Played(solo.SYNTH_BASS, 1.2),
    "sub_bass": Played(solo.SUB_BASS, 1.1),
    "solo_violin": Played(solo.VIOLIN),
    "horn": Played(solo.HORN),
    "brass_stab": Played(solo.BRASS),
    "flute": Played(solo.FLUTE),
    "lead_synth": Played(solo.LEAD),
    "erhu": Played(solo.ERHU),
    "dizi": Played(solo.DIZI),
    "low_strings": Held(sections.LOW_STRINGS, 0.11, 0.45, (0.0, 1.0), (0.05, 5.0), 1.5),
    "string_ensemble": Held(sections.STRINGS, 0.13, 0.50, (0.0, 1.0), (0.06, 5.0), 2.0),
    "tremolo_strings": Held(sections.TREMOLO, 0.06, 0.35, (0.1, 1.0), (0.08, 4.0), 1.5),
    "warm_pad": Held(sections.WARM, 0.30, 0.9, (0.0, 0.9), (0.15, 9.0)),
    "bright_pad": Held(sections.BRIGHT, 0.20, 0.8, (0.1, 1.0), (0.18, 7.0)),
    "dark_pad": Held(sections.DARK, 0.40, 1.1, (0.0, 1.0), (0.2, 11.0)),
    "drone": Held(sections.DRONE, 0.60, 1.4, (0.0, 0.9), (0.2, 13.0)),
    "choir_pad": Held(sections.CHOIR, 0.28, 0.8, (0.0, 0.9), (0.08, 6.0), 1.5),
    "fx": Effects(),
    **{name: Kit(strokes) for name, strokes in KITS.items()},
}
INSTRUMENTS: Final = frozenset(TABLE)

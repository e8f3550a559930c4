"""The drum kits as data: General MIDI percussion key -> percussion model, peak level and place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.starter.synth.percussion import Block, Drum, Grains, Kick, Metal, Model, Snare


@dataclass(frozen=True, slots=True)
class Stroke:
    """One key of a kit: its model, peak level in dB at full velocity, pan -1..1, and which keys it cuts off."""

    model: Model
    level_db: float
    pan: float = 0.0
    choke: int = 0  # strokes of one choke group silence each other (open and closed hat)
    soft_top: float = 0.0  # low pass of a dusty kit, Hz; 0 = none


_HAT = Metal(3200, 16500, count=90, t60=(0.07, 0.045), wash=0.55, wash_band=(6000, 17000), stick=0.5, seconds=0.25)
_HAT_PEDAL = Metal(2800, 14000, count=80, t60=(0.1, 0.05), wash=0.35, wash_band=(5000, 14000), stick=0.2, seconds=0.25)
_HAT_OPEN = Metal(3000, 16500, count=110, t60=(0.75, 0.42), wash=0.5, wash_band=(6000, 17000), stick=0.5, seconds=1.1)
_CRASH = Metal(
    380,
    17000,
    count=240,
    t60=(2.4, 1.1),
    wash=0.55,
    wash_band=(3000, 17000),
    tilt=0.25,
    bloom=0.05,
    stick=0.5,
    width=0.9,
    seconds=3.0,
)
_RIDE = Metal(
    420,
    15000,
    count=160,
    t60=(2.2, 0.7),
    wash=0.12,
    wash_band=(4000, 15000),
    tilt=0.2,
    bloom=0.0,
    tones=((3150, 0.1), (4730, 0.08), (1890, 0.05)),
    stick=0.9,
    width=0.6,
    seconds=2.2,
)
_BELL = Metal(
    900,
    14000,
    count=60,
    t60=(2.4, 0.6),
    wash=0.05,
    wash_band=(5000, 15000),
    tilt=0.3,
    bloom=0.0,
    tones=((1046, 0.22), (2480, 0.3), (3920, 0.2), (5610, 0.12)),
    stick=0.6,
    width=0.4,
    seconds=2.4,
)
_CHINA = Metal(
    260,
    15000,
    count=220,
    t60=(1.6, 0.7),
    wash=0.7,
    wash_band=(2500, 16000),
    tilt=0.15,
    bloom=0.02,
    stick=0.6,
    width=0.8,
    seconds=2.0,
)
_GONG = Metal(
    92,
    9000,
    count=200,
    t60=(6.0, 1.6),
    wash=0.12,
    wash_band=(1500, 12000),
    tilt=0.55,
    bloom=0.35,
    tones=((92, 0.25), (138, 0.18), (231, 0.12)),
    stick=0.3,
    width=0.7,
    seconds=5.0,
)
_SMALL_GONG = Metal(
    520,
    11000,
    count=110,
    t60=(1.6, 0.5),
    wash=0.1,
    wash_band=(3000, 13000),
    tilt=0.5,
    bloom=0.04,
    tones=((541, 0.35), (1130, 0.22), (1790, 0.15)),
    stick=0.5,
    width=0.4,
    glide=1.3,
    seconds=1.8,
)
_HEART = Kick(start=70, end=46, fall=0.05, t60=0.35, click=0.05, drive=1.4, air=0.03)
_SHAKER = Grains(4500, 15000, t60=0.085, swell=0.009)
_TAMBOURINE = Grains(4000, 15000, t60=0.16, swell=0.0015, jingles=0.8)
_CLAP = Grains(800, 9500, t60=0.17, swell=0.0008, strikes=((0.0, 0.9), (0.0085, 0.7), (0.0175, 0.8)))
_RIM = Block((1680, 2410, 480), t60=0.055, tick=0.9)
_WOOD_HIGH = Block((1130, 2560, 4150), t60=0.085, tick=0.5)
_WOOD_LOW = Block((805, 1870, 3060), t60=0.1, tick=0.5)
_CLAVES = Block((2480, 4730), t60=0.13, tick=0.35)
_FRAME = Drum(88, t60=0.55, drop=0.12, slap=0.35, slap_band=(350, 6000), overtones=0.6, room=0.3)

_COMMON: Final[dict[int, Stroke]] = {
    35: Stroke(_HEART, -3.0),
    36: Stroke(Kick(), -1.0),
    37: Stroke(_RIM, -8.0, 0.1),
    38: Stroke(Snare(), -3.0),
    39: Stroke(_CLAP, -6.0, -0.1),
    41: Stroke(Drum(82, t60=0.55, drop=0.3, slap=0.35), -3.0, 0.3),
    42: Stroke(_HAT, -13.0, 0.25, 1),
    43: Stroke(_FRAME, -4.0, -0.2),
    44: Stroke(_HAT_PEDAL, -15.0, 0.25, 1),
    45: Stroke(Drum(112, t60=0.45, drop=0.3, slap=0.35), -3.5, 0.0),
    46: Stroke(_HAT_OPEN, -13.0, 0.25, 1),
    48: Stroke(Drum(151, t60=0.38, drop=0.3, slap=0.35), -4.0, -0.3),
    49: Stroke(_CRASH, -9.0, -0.3),
    51: Stroke(_RIDE, -14.0, 0.35),
    52: Stroke(_CHINA, -10.0, 0.3),
    53: Stroke(_BELL, -15.0, 0.35),
    54: Stroke(_TAMBOURINE, -14.0, -0.3),
    70: Stroke(_SHAKER, -15.0, -0.35),
    75: Stroke(_CLAVES, -12.0, 0.3),
    76: Stroke(_WOOD_HIGH, -10.0, -0.25),
    77: Stroke(_WOOD_LOW, -10.0, -0.15),
}

_TAIKO = Drum(58, t60=1.5, drop=0.22, slap=0.5, slap_band=(300, 6000), overtones=0.55, room=0.6, width=0.5)


def _kit(**changed: Stroke) -> dict[int, Stroke]:
    return {**_COMMON, **{int(key[1:]): stroke for key, stroke in changed.items()}}


KITS: Final[dict[str, dict[int, Stroke]]] = {
    "kit_acoustic": _kit(
        k36=Stroke(Kick(start=130, end=54, fall=0.022, t60=0.38, click=0.45, drive=0.9, air=0.07, shell=0.12), -2.0)
    ),
    "kit_brushes": _kit(
        k36=Stroke(Kick(start=105, end=56, fall=0.02, t60=0.32, click=0.12, drive=0.7, air=0.05, shell=0.08), -5.0),
        k38=Stroke(
            Snare(tone=(190, 320), ring=0.1, wires=1.1, wire_t60=0.24, bright=8000, stick=0.1, brush=0.006, drive=0.4),
            -7.0,
        ),
        k39=Stroke(Grains(1200, 11000, t60=0.2, swell=0.006), -11.0, -0.1),
        k42=Stroke(
            Metal(3600, 15000, count=80, t60=(0.06, 0.04), wash=0.6, wash_band=(5000, 15000), stick=0.15, seconds=0.2),
            -16.0,
            0.25,
            1,
        ),
    ),
    "kit_dusty": _kit(
        k36=Stroke(
            Kick(start=120, end=52, fall=0.026, t60=0.34, click=0.25, drive=1.8, air=0.05, shell=0.1),
            -1.5,
            soft_top=7000,
        ),
        k38=Stroke(
            Snare(tone=(170, 300), ring=0.14, wires=0.9, wire_t60=0.19, bright=6500, stick=0.35, brush=0.0, drive=1.4),
            -4.0,
            soft_top=9500,
        ),
        k37=Stroke(_RIM, -9.0, 0.1, soft_top=9500),
        k42=Stroke(_HAT, -15.0, 0.2, 1, 12500),
        k46=Stroke(_HAT_OPEN, -16.0, 0.2, 1, 12500),
        k70=Stroke(_SHAKER, -17.0, -0.3, 0, 13500),
    ),
    "kit_electronic": _kit(
        k36=Stroke(Kick(start=230, end=46, fall=0.03, t60=0.6, click=0.35, drive=1.8, air=0.02), -0.5),
        k38=Stroke(
            Snare(tone=(196, 344), ring=0.12, wires=1.1, wire_t60=0.24, bright=11000, stick=0.35, brush=0.0, drive=1.2),
            -3.5,
        ),
        k39=Stroke(
            Grains(900, 11000, t60=0.24, swell=0.0008, strikes=((0.0, 0.9), (0.0095, 0.7), (0.019, 0.8))), -5.0, 0.0
        ),
        k42=Stroke(
            Metal(5200, 17000, count=70, t60=(0.05, 0.035), wash=0.7, wash_band=(7000, 18000), stick=0.4, seconds=0.16),
            -13.0,
            0.15,
            1,
        ),
        k46=Stroke(
            Metal(5000, 17000, count=90, t60=(0.42, 0.3), wash=0.7, wash_band=(7000, 18000), stick=0.4, seconds=0.6),
            -13.0,
            0.15,
            1,
        ),
    ),
    "kit_pop": _kit(
        k36=Stroke(Kick(start=180, end=50, fall=0.024, t60=0.42, click=0.6, drive=1.5, air=0.05, shell=0.05), -0.5),
        k38=Stroke(
            Snare(tone=(200, 352), ring=0.14, wires=1.0, wire_t60=0.22, bright=11000, stick=0.5, brush=0.0, drive=1.2),
            -2.5,
        ),
    ),
    "kit_cinematic": _kit(
        k36=Stroke(
            Drum(46, t60=1.9, drop=0.3, slap=0.4, slap_band=(200, 4500), overtones=0.4, room=0.8, width=0.5), -0.5
        ),
        k38=Stroke(Snare(tone=(165, 290), ring=0.3, wires=0.8, wire_t60=0.36, bright=8500, stick=0.3), -5.0),
        k41=Stroke(_TAIKO, -1.0, -0.2),
        k43=Stroke(Drum(74, t60=0.9, drop=0.12, slap=0.35, slap_band=(300, 5000), overtones=0.5, room=0.5), -4.0, 0.2),
        k45=Stroke(
            Drum(83, t60=1.1, drop=0.22, slap=0.5, slap_band=(350, 6500), overtones=0.55, room=0.6, width=0.5),
            -2.0,
            0.15,
        ),
        k48=Stroke(
            Drum(121, t60=0.8, drop=0.22, slap=0.5, slap_band=(450, 7500), overtones=0.55, room=0.5, width=0.5),
            -3.5,
            0.3,
        ),
        k52=Stroke(_GONG, -8.0, 0.1),
    ),
    "kit_chinese": _kit(
        k36=Stroke(
            Drum(62, t60=1.2, drop=0.2, slap=0.5, slap_band=(300, 6000), overtones=0.6, room=0.6, width=0.5), -1.5
        ),
        k38=Stroke(Drum(238, t60=0.28, drop=0.1, slap=0.7, slap_band=(900, 11000), overtones=0.9, room=0.3), -6.0, 0.1),
        k41=Stroke(Drum(84, t60=0.9, drop=0.18, slap=0.5, slap_band=(350, 7000), overtones=0.6, room=0.5), -2.5, -0.15),
        k43=Stroke(_FRAME, -3.5, -0.2),
        k45=Stroke(
            Drum(124, t60=0.6, drop=0.15, slap=0.55, slap_band=(450, 8000), overtones=0.7, room=0.4), -3.5, 0.15
        ),
        k48=Stroke(Drum(186, t60=0.4, drop=0.12, slap=0.6, slap_band=(600, 9000), overtones=0.7, room=0.3), -4.5, 0.25),
        k49=Stroke(
            Metal(
                420,
                15000,
                count=200,
                t60=(1.5, 0.8),
                wash=0.45,
                wash_band=(3000, 16000),
                tilt=0.25,
                bloom=0.02,
                stick=0.5,
                width=0.7,
                seconds=2.0,
            ),
            -11.0,
            -0.25,
        ),
        k52=Stroke(_SMALL_GONG, -9.0, 0.25),
        k53=Stroke(
            Metal(
                1900,
                13000,
                count=40,
                t60=(1.5, 0.5),
                wash=0.04,
                wash_band=(6000, 15000),
                tilt=0.3,
                bloom=0.0,
                tones=((2093, 0.4), (4310, 0.25), (7020, 0.1)),
                stick=0.5,
                width=0.4,
                seconds=1.6,
            ),
            -16.0,
            0.3,
        ),
    ),
}

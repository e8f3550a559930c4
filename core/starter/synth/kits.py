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


_HAT = Metal(3200, 16_500, 90, (0.07, 0.045), 0.55, (6000, 17_000), stick=0.5, seconds=0.25)
_HAT_PEDAL = Metal(2800, 14_000, 80, (0.10, 0.05), 0.35, (5000, 14_000), stick=0.2, seconds=0.25)
_HAT_OPEN = Metal(3000, 16_500, 110, (0.75, 0.42), 0.5, (6000, 17_000), stick=0.5, seconds=1.1)
_CRASH = Metal(380, 17_000, 240, (2.4, 1.1), 0.55, (3000, 17_000), 0.25, 0.05, stick=0.5, width=0.9, seconds=3.0)
_RIDE = Metal(420, 15_000, 160, (2.2, 0.7), 0.12, (4000, 15_000), 0.2, 0.0, ((3150, 0.10), (4730, 0.08), (1890, 0.05)), 0.9, 0.6, seconds=2.2)
_BELL = Metal(900, 14_000, 60, (2.4, 0.6), 0.05, (5000, 15_000), 0.3, 0.0, ((1046, 0.22), (2480, 0.3), (3920, 0.2), (5610, 0.12)), 0.6, 0.4, seconds=2.4)  # fmt: skip
_CHINA = Metal(260, 15_000, 220, (1.6, 0.7), 0.7, (2500, 16_000), 0.15, 0.02, stick=0.6, width=0.8, seconds=2.0)
_GONG = Metal(92, 9000, 200, (6.0, 1.6), 0.12, (1500, 12_000), 0.55, 0.35, ((92, 0.25), (138, 0.18), (231, 0.12)), 0.3, 0.7, seconds=5.0)
_SMALL_GONG = Metal(520, 11_000, 110, (1.6, 0.5), 0.10, (3000, 13_000), 0.5, 0.04, ((541, 0.35), (1130, 0.22), (1790, 0.15)), 0.5, 0.4,
                    glide=1.3, seconds=1.8)  # fmt: skip
_HEART = Kick(70, 46, 0.05, 0.35, 0.05, 1.4, 0.03)
_SHAKER = Grains(4500, 15_000, 0.085, 0.009)
_TAMBOURINE = Grains(4000, 15_000, 0.16, 0.0015, jingles=0.8)
_CLAP = Grains(800, 9500, 0.17, 0.0008, ((0.0, 0.9), (0.0085, 0.7), (0.0175, 0.8)))
_RIM = Block((1680, 2410, 480), 0.055, 0.9)
_WOOD_HIGH = Block((1130, 2560, 4150), 0.085, 0.5)
_WOOD_LOW = Block((805, 1870, 3060), 0.10, 0.5)
_CLAVES = Block((2480, 4730), 0.13, 0.35)
_FRAME = Drum(88, 0.55, 0.12, 0.35, (350, 6000), 0.6, 0.3)

_COMMON: Final[dict[int, Stroke]] = {
    35: Stroke(_HEART, -3.0),
    36: Stroke(Kick(), -1.0),
    37: Stroke(_RIM, -8.0, 0.1),
    38: Stroke(Snare(), -3.0),
    39: Stroke(_CLAP, -6.0, -0.1),
    41: Stroke(Drum(82, 0.55, 0.3, 0.35), -3.0, 0.3),
    42: Stroke(_HAT, -13.0, 0.25, 1),
    43: Stroke(_FRAME, -4.0, -0.2),
    44: Stroke(_HAT_PEDAL, -15.0, 0.25, 1),
    45: Stroke(Drum(112, 0.45, 0.3, 0.35), -3.5, 0.0),
    46: Stroke(_HAT_OPEN, -13.0, 0.25, 1),
    48: Stroke(Drum(151, 0.38, 0.3, 0.35), -4.0, -0.3),
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

_TAIKO = Drum(58, 1.5, 0.22, 0.5, (300, 6000), 0.55, 0.6, 0.5)


def _kit(**changed: Stroke) -> dict[int, Stroke]:
    return {**_COMMON, **{int(key[1:]): stroke for key, stroke in changed.items()}}


KITS: Final[dict[str, dict[int, Stroke]]] = {
    "kit_acoustic": _kit(k36=Stroke(Kick(130, 54, 0.022, 0.38, 0.45, 0.9, 0.07, 0.12), -2.0)),
    "kit_brushes": _kit(
        k36=Stroke(Kick(105, 56, 0.02, 0.32, 0.12, 0.7, 0.05, 0.08), -5.0),
        k38=Stroke(Snare((190, 320), 0.10, 1.1, 0.24, 8000, 0.10, 0.006, 0.4), -7.0),
        k39=Stroke(Grains(1200, 11_000, 0.20, 0.006), -11.0, -0.1),
        k42=Stroke(Metal(3600, 15_000, 80, (0.06, 0.04), 0.6, (5000, 15_000), stick=0.15, seconds=0.2), -16.0, 0.25, 1),
    ),
    "kit_dusty": _kit(
        k36=Stroke(Kick(120, 52, 0.026, 0.34, 0.25, 1.8, 0.05, 0.1), -1.5, soft_top=7000),
        k38=Stroke(Snare((170, 300), 0.14, 0.9, 0.19, 6500, 0.35, 0.0, 1.4), -4.0, soft_top=9500),
        k37=Stroke(_RIM, -9.0, 0.1, soft_top=9500),
        k42=Stroke(_HAT, -15.0, 0.2, 1, 12_500),
        k46=Stroke(_HAT_OPEN, -16.0, 0.2, 1, 12_500),
        k70=Stroke(_SHAKER, -17.0, -0.3, 0, 13_500),
    ),
    "kit_electronic": _kit(
        k36=Stroke(Kick(230, 46, 0.030, 0.60, 0.35, 1.8, 0.02), -0.5),
        k38=Stroke(Snare((196, 344), 0.12, 1.1, 0.24, 11_000, 0.35, 0.0, 1.2), -3.5),
        k39=Stroke(Grains(900, 11_000, 0.24, 0.0008, ((0.0, 0.9), (0.0095, 0.7), (0.019, 0.8))), -5.0, 0.0),
        k42=Stroke(Metal(5200, 17_000, 70, (0.05, 0.035), 0.7, (7000, 18_000), stick=0.4, seconds=0.16), -13.0, 0.15, 1),
        k46=Stroke(Metal(5000, 17_000, 90, (0.42, 0.30), 0.7, (7000, 18_000), stick=0.4, seconds=0.6), -13.0, 0.15, 1),
    ),
    "kit_pop": _kit(
        k36=Stroke(Kick(180, 50, 0.024, 0.42, 0.6, 1.5, 0.05, 0.05), -0.5),
        k38=Stroke(Snare((200, 352), 0.14, 1.0, 0.22, 11_000, 0.5, 0.0, 1.2), -2.5),
    ),
    "kit_cinematic": _kit(
        k36=Stroke(Drum(46, 1.9, 0.3, 0.4, (200, 4500), 0.4, 0.8, 0.5), -0.5),
        k38=Stroke(Snare((165, 290), 0.3, 0.8, 0.36, 8500, 0.3), -5.0),
        k41=Stroke(_TAIKO, -1.0, -0.2),
        k43=Stroke(Drum(74, 0.9, 0.12, 0.35, (300, 5000), 0.5, 0.5), -4.0, 0.2),
        k45=Stroke(Drum(83, 1.1, 0.22, 0.5, (350, 6500), 0.55, 0.6, 0.5), -2.0, 0.15),
        k48=Stroke(Drum(121, 0.8, 0.22, 0.5, (450, 7500), 0.55, 0.5, 0.5), -3.5, 0.3),
        k52=Stroke(_GONG, -8.0, 0.1),
    ),
    "kit_chinese": _kit(
        k36=Stroke(Drum(62, 1.2, 0.2, 0.5, (300, 6000), 0.6, 0.6, 0.5), -1.5),
        k38=Stroke(Drum(238, 0.28, 0.1, 0.7, (900, 11_000), 0.9, 0.3), -6.0, 0.1),
        k41=Stroke(Drum(84, 0.9, 0.18, 0.5, (350, 7000), 0.6, 0.5), -2.5, -0.15),
        k43=Stroke(_FRAME, -3.5, -0.2),
        k45=Stroke(Drum(124, 0.6, 0.15, 0.55, (450, 8000), 0.7, 0.4), -3.5, 0.15),
        k48=Stroke(Drum(186, 0.4, 0.12, 0.6, (600, 9000), 0.7, 0.3), -4.5, 0.25),
        k49=Stroke(Metal(420, 15_000, 200, (1.5, 0.8), 0.45, (3000, 16_000), 0.25, 0.02, stick=0.5, width=0.7, seconds=2.0), -11.0, -0.25),
        k52=Stroke(_SMALL_GONG, -9.0, 0.25),
        k53=Stroke(Metal(1900, 13_000, 40, (1.5, 0.5), 0.04, (6000, 15_000), 0.3, 0.0, ((2093, 0.4), (4310, 0.25), (7020, 0.1)), 0.5, 0.4, seconds=1.6), -16.0, 0.3),
    ),
}  # fmt: skip

"""Who plays what: the instruments, and for each style two or three orchestras ("palettes") of them. Data only.

`INSTRUMENTS` says how an instrument is played wherever it appears; a `Palette` says which instrument takes which
role in a style, where it sits (octave, level, pan, room) and how that style swings and marks its hit points.
Spreads and looseness start from common practice: drums tight (4-5 ms), strings loose (10-12 ms). Levels lean towards
what is struck: percussion and plucks carry the picture's energy, so they stand as high as the lead or above it where
they play seldom (the scenic styles), and pads lie 9-17 dB under it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ROOMS: Final = ("room", "small_room", "plate", "hall", "long_hall", "dry_room")
FX_RISER, FX_IMPACT, FX_REVERSE_CYMBAL, FX_SUB_DROP, FX_SWELL = range(5)  # the pitches of instrument "fx"


@dataclass(frozen=True, slots=True)
class Playing:
    """How one instrument is played.

    low, high: MIDI numbers of its range. sigma_ms: looseness of its timing. gate: sounding share of a written note.
    legato_ms: how far a note reaches into the next. spread_ms: between the strings of a strummed or rolled chord.
    sustained: sounds as long as it is held; otherwise it decays by itself in about ring_seconds.
    pedal: notes ring until the harmony changes. idiom: how it ornaments: "grace", "slide", "trill", "run", "repeat",
    "none". program: General MIDI program 0..127, for files and sound fonts.
    """

    low: int
    high: int
    program: int
    sigma_ms: float = 7.0
    gate: float = 1.0
    legato_ms: float = 0.0
    spread_ms: float = 12.0
    sustained: bool = False
    ring_seconds: float = 1.5
    pedal: bool = False
    idiom: str = "none"


def _held(low: int, high: int, program: int, sigma_ms: float, legato_ms: float, idiom: str = "none") -> Playing:
    return Playing(low, high, program, sigma_ms, legato_ms=legato_ms, spread_ms=8.0, sustained=True, idiom=idiom)


INSTRUMENTS: Final[dict[str, Playing]] = {
    "felt_piano": Playing(28, 96, 0, 7, spread_ms=12, ring_seconds=3.0, pedal=True, idiom="grace"),
    "electric_piano": Playing(33, 93, 4, 7, gate=0.97, spread_ms=9, ring_seconds=2.5, idiom="grace"),
    "muted_keys": Playing(40, 90, 5, 7, gate=0.85, spread_ms=9, ring_seconds=0.8, idiom="grace"),
    "nylon_guitar": Playing(40, 83, 24, 8, spread_ms=15, ring_seconds=2.0, pedal=True, idiom="grace"),
    "steel_guitar": Playing(40, 86, 25, 8, spread_ms=14, ring_seconds=2.2, pedal=True, idiom="grace"),
    "upright_bass": Playing(28, 60, 32, 8, gate=0.92, ring_seconds=1.4),
    "finger_bass": Playing(28, 62, 33, 5, gate=0.93, ring_seconds=1.8),
    "synth_bass": Playing(26, 60, 38, 4, gate=0.85, sustained=True),
    "sub_bass": Playing(26, 52, 39, 4, gate=0.95, sustained=True),
    "slap_bass": Playing(28, 62, 36, 5, gate=0.68, ring_seconds=1.2),
    "low_strings": _held(28, 62, 43, 10, 70),
    "string_ensemble": _held(43, 96, 48, 11, 60),
    "tremolo_strings": _held(40, 93, 44, 9, 60),
    "solo_violin": _held(55, 98, 40, 10, 55, "slide"),
    "pizzicato": Playing(40, 93, 45, 9, gate=0.6, ring_seconds=0.5),
    "horn": _held(41, 77, 60, 10, 50),
    "brass_stab": Playing(36, 84, 61, 5, gate=0.6, spread_ms=8, sustained=True),
    "flute": _held(60, 96, 73, 8, 40, "trill"),
    "glass": Playing(55, 100, 98, 9, ring_seconds=3.5, pedal=True, spread_ms=25),
    "marimba": Playing(45, 96, 12, 6, ring_seconds=0.7, idiom="grace"),
    "bells": Playing(60, 103, 9, 7, ring_seconds=3.0, pedal=True),
    "celesta": Playing(60, 103, 8, 7, ring_seconds=1.8, pedal=True, idiom="grace"),
    "harp": Playing(31, 100, 46, 8, spread_ms=30, ring_seconds=2.5, pedal=True, idiom="run"),
    "pluck_synth": Playing(43, 96, 81, 4, gate=0.8, spread_ms=8, ring_seconds=0.7),
    "lead_synth": Playing(48, 96, 80, 4, legato_ms=30, sustained=True, idiom="slide"),
    "clavinet": Playing(40, 86, 7, 5, gate=0.6, spread_ms=8, ring_seconds=0.8),
    "warm_pad": _held(36, 90, 89, 10, 80),
    "bright_pad": _held(40, 93, 90, 10, 80),
    "dark_pad": _held(31, 84, 95, 10, 80),
    "drone": _held(24, 72, 97, 10, 80),
    "choir_pad": _held(43, 84, 91, 11, 80),
    "erhu": _held(62, 93, 110, 10, 60, "slide"),
    "dizi": _held(67, 98, 72, 8, 35, "trill"),
    "guzheng": Playing(43, 96, 107, 8, spread_ms=22, ring_seconds=2.2, pedal=True, idiom="run"),
    "pipa": Playing(45, 88, 106, 8, spread_ms=16, ring_seconds=0.9, idiom="repeat"),
    "low_zither": Playing(31, 67, 107, 9, ring_seconds=2.5, spread_ms=20),
    **{f"kit_{name}": Playing(0, 127, 0, 4.5) for name in ("electronic", "pop", "acoustic", "cinematic")},
    **{f"kit_{name}": Playing(0, 127, 0, 6.5) for name in ("brushes", "dusty", "chinese")},
    "fx": Playing(0, 4, 119, 0.0, sustained=True),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One role of a palette: the instrument and where it sits.

    base: MIDI number of C that pitch code 0 of a melodic part stands for (bass: the C of its middle octave), or the
    centre of the voicings of chords and pad; unused by kits. level_db: relative to the lead. pan: -1 left .. 1 right.
    send: share sent to the palette's room, 0..1. late_ms: how far behind the beat this style plays it.
    """

    instrument: str
    base: int
    level_db: float
    pan: float = 0.0
    send: float = 0.25
    late_ms: float = 0.0

    @property
    def playing(self) -> Playing:
        """How its instrument is played."""
        return INSTRUMENTS[self.instrument]


@dataclass(frozen=True, slots=True)
class HitIdiom:
    """How a style marks a hit point. Strikes are (key, velocity) on the palette's kit; fx are (FX_*, velocity).

    stab: the instrument of the chord struck on a strong hit, `stab_seconds` long around MIDI `stab_base`.
    accent: strikes of a light accent; accent_voice: what plays one high chord tone with it.
    lead_in: the FX_* that swells into a strong hit, with its velocity.
    """

    drums: tuple[tuple[int, float], ...]
    fx: tuple[tuple[int, float], ...]
    stab: str
    stab_base: int
    stab_seconds: float
    accent: tuple[tuple[int, float], ...]
    accent_voice: str
    lead_in: tuple[int, float] = (FX_REVERSE_CYMBAL, 0.5)


@dataclass(frozen=True)
class Palette:
    """The orchestra of one cue: a Part for each role, the room they share, how they swing and mark hit points.

    swing: where the second of a pair falls, as a share of the pair: 0.5 straight. swing_steps: sixteenths in half a
    pair (1 = sixteenths swing, 2 = eighths swing). doubling: the instrument that
    doubles the lead an octave up when energy is high ("" = none); a struck one gives a held lead its edge.
    """

    name: str
    lead: Part
    counter: Part
    chords: Part
    pad: Part
    bass: Part
    drums: Part
    hits: Part
    room: str
    hit: HitIdiom
    swing: float = 0.5
    swing_steps: int = 1
    doubling: str = ""

    def part(self, stem: str) -> Part:
        """The Part that plays `stem`, one of `core.starter.notes.STEMS`."""
        found = getattr(self, stem)
        assert isinstance(found, Part), stem
        return found


def _kit(name: str, level_db: float, send: float = 0.15, late_ms: float = 0.0) -> Part:
    return Part(f"kit_{name}", 0, level_db, 0.0, send, late_ms)


def _fx(level_db: float = -1.5, send: float = 0.2) -> Part:
    return Part("fx", 0, level_db, 0.0, send)


_CINEMATIC_HIT = HitIdiom(
    drums=((36, 1.0), (41, 0.95), (49, 0.68)), fx=((FX_IMPACT, 0.9), (FX_SUB_DROP, 0.5)),
    stab="brass_stab", stab_base=55, stab_seconds=0.9,
    accent=((45, 0.7), (49, 0.38)), accent_voice="felt_piano",
)  # fmt: skip
_DOCUMENTARY_HIT = HitIdiom(
    drums=((36, 0.9), (49, 0.56), (54, 0.6)), fx=((FX_IMPACT, 0.6),),
    stab="felt_piano", stab_base=60, stab_seconds=1.2,
    accent=((54, 0.7), (37, 0.6)), accent_voice="celesta", lead_in=(FX_REVERSE_CYMBAL, 0.35),
)  # fmt: skip
_ACOUSTIC_HIT = HitIdiom(
    drums=((36, 0.95), (39, 0.9), (49, 0.56)), fx=((FX_IMPACT, 0.4),),
    stab="steel_guitar", stab_base=60, stab_seconds=1.2,
    accent=((39, 0.65), (54, 0.6)), accent_voice="nylon_guitar", lead_in=(FX_REVERSE_CYMBAL, 0.35),
)  # fmt: skip
_LOFI_HIT = HitIdiom(
    drums=((36, 0.95), (38, 0.9), (49, 0.52)), fx=((FX_IMPACT, 0.5),),
    stab="electric_piano", stab_base=62, stab_seconds=1.0,
    accent=((38, 0.6), (46, 0.65)), accent_voice="bells", lead_in=(FX_REVERSE_CYMBAL, 0.4),
)  # fmt: skip
_UPBEAT_HIT = HitIdiom(
    drums=((36, 1.0), (39, 0.95), (49, 0.71)), fx=((FX_IMPACT, 0.75),),
    stab="pluck_synth", stab_base=64, stab_seconds=0.7,
    accent=((39, 0.7), (49, 0.38)), accent_voice="bells", lead_in=(FX_RISER, 0.5),
)  # fmt: skip
_ELECTRONIC_HIT = HitIdiom(
    drums=((36, 1.0), (39, 0.95), (49, 0.68)), fx=((FX_IMPACT, 0.9), (FX_SUB_DROP, 0.6)),
    stab="lead_synth", stab_base=62, stab_seconds=0.5,
    accent=((39, 0.65), (46, 0.65)), accent_voice="pluck_synth", lead_in=(FX_RISER, 0.6),
)  # fmt: skip
_AMBIENT_HIT = HitIdiom(
    drums=((36, 0.75), (49, 0.45)), fx=((FX_IMPACT, 0.6), (FX_SUB_DROP, 0.6)),
    stab="bells", stab_base=72, stab_seconds=3.0,
    accent=((53, 0.5), (49, 0.22)), accent_voice="bells", lead_in=(FX_SWELL, 0.5),
)  # fmt: skip
_CHINESE_HIT = HitIdiom(
    drums=((52, 0.68), (43, 1.0), (41, 0.95)), fx=((FX_IMPACT, 0.4),),
    stab="guzheng", stab_base=64, stab_seconds=1.5,
    accent=((76, 0.8), (43, 0.7)), accent_voice="pipa", lead_in=(FX_SWELL, 0.4),
)  # fmt: skip
_FUNK_HIT = HitIdiom(
    drums=((36, 1.0), (38, 1.0), (49, 0.68)), fx=((FX_IMPACT, 0.4),),
    stab="brass_stab", stab_base=64, stab_seconds=0.35,
    accent=((38, 0.7), (46, 0.7)), accent_voice="clavinet", lead_in=(FX_REVERSE_CYMBAL, 0.35),
)  # fmt: skip
_TENSION_HIT = HitIdiom(
    drums=((36, 1.0), (41, 1.0), (49, 0.6), (52, 0.38)), fx=((FX_IMPACT, 1.0), (FX_SUB_DROP, 0.7)),
    stab="brass_stab", stab_base=50, stab_seconds=0.8,
    accent=((41, 0.7), (37, 0.7)), accent_voice="pizzicato", lead_in=(FX_RISER, 0.6),
)  # fmt: skip

PALETTES: Final[dict[str, tuple[Palette, ...]]] = {
    "cinematic": (
        Palette(
            "strings and horn", Part("solo_violin", 60, -2.0, -0.15, 0.4), Part("horn", 48, -6.0, 0.3, 0.45),
            Part("felt_piano", 57, -2.5, -0.2, 0.35), Part("string_ensemble", 60, -12.5, 0.0, 0.45),
            Part("low_strings", 36, -5.5, 0.1, 0.35), _kit("cinematic", 2.0, 0.2), _fx(-6.0, 0.3),
            "hall", _CINEMATIC_HIT, doubling="pizzicato",
        ),
        Palette(
            "horn and harp", Part("horn", 48, -2.0, 0.15, 0.45), Part("flute", 60, -6.0, -0.3, 0.4),
            Part("harp", 60, -2.5, 0.3, 0.4), Part("string_ensemble", 58, -12.0, 0.0, 0.45),
            Part("low_strings", 36, -5.0, -0.1, 0.35), _kit("cinematic", 2.5, 0.2), _fx(-6.0, 0.3),
            "hall", _CINEMATIC_HIT, doubling="harp",
        ),
        Palette(
            "felt piano", Part("felt_piano", 60, 0.0, -0.1, 0.35), Part("solo_violin", 60, -6.0, 0.25, 0.45),
            Part("string_ensemble", 58, -8.5, -0.15, 0.4), Part("choir_pad", 60, -15.0, 0.0, 0.5),
            Part("low_strings", 36, -5.5, 0.1, 0.35), _kit("cinematic", 1.5, 0.2), _fx(-6.5, 0.3),
            "hall", _CINEMATIC_HIT, doubling="felt_piano",
        ),
    ),
    "documentary": (
        Palette(
            "marimba", Part("marimba", 60, 0.0, 0.15, 0.25), Part("pizzicato", 60, -5.5, -0.3, 0.3),
            Part("felt_piano", 60, -4.5, -0.2, 0.25), Part("warm_pad", 60, -13.0, 0.0, 0.3),
            Part("finger_bass", 36, -4.5, 0.0, 0.08), _kit("brushes", -2.5, 0.14), _fx(-7.0, 0.25),
            "plate", _DOCUMENTARY_HIT, doubling="marimba",
        ),
        Palette(
            "felt piano", Part("felt_piano", 60, 0.0, -0.1, 0.25), Part("flute", 60, -6.0, 0.25, 0.35),
            Part("pizzicato", 60, -4.0, 0.3, 0.3), Part("string_ensemble", 60, -13.5, 0.0, 0.35),
            Part("upright_bass", 36, -4.5, 0.0, 0.08), _kit("brushes", -2.5, 0.14), _fx(-7.0, 0.25),
            "plate", _DOCUMENTARY_HIT, doubling="felt_piano",
        ),
        Palette(
            "celesta and guitar", Part("celesta", 60, -1.0, 0.2, 0.3), Part("marimba", 60, -5.5, -0.3, 0.25),
            Part("nylon_guitar", 58, -4.0, -0.2, 0.2), Part("warm_pad", 60, -13.0, 0.0, 0.3),
            Part("finger_bass", 36, -4.5, 0.0, 0.08), _kit("acoustic", -3.0, 0.14), _fx(-7.0, 0.25),
            "plate", _DOCUMENTARY_HIT, doubling="marimba",
        ),
    ),
    "acoustic": (
        Palette(
            "two guitars", Part("nylon_guitar", 60, 0.0, 0.2, 0.18), Part("flute", 60, -7.0, -0.3, 0.25),
            Part("steel_guitar", 59, -4.5, -0.3, 0.15), Part("warm_pad", 60, -14.0, 0.0, 0.25),
            Part("upright_bass", 36, -4.0, 0.0, 0.05), _kit("acoustic", -3.0, 0.12), _fx(-7.0, 0.15),
            "room", _ACOUSTIC_HIT, swing=0.54, swing_steps=2, doubling="nylon_guitar",
        ),
        Palette(
            "guitar and fiddle", Part("solo_violin", 60, -1.0, 0.15, 0.25), Part("nylon_guitar", 60, -5.0, -0.35, 0.15),
            Part("steel_guitar", 59, -4.0, 0.3, 0.15), Part("warm_pad", 60, -14.0, 0.0, 0.25),
            Part("upright_bass", 36, -4.0, 0.0, 0.05), _kit("brushes", -2.5, 0.12), _fx(-7.0, 0.15),
            "room", _ACOUSTIC_HIT, swing=0.55, swing_steps=2, doubling="nylon_guitar",
        ),
        Palette(
            "piano and guitar", Part("felt_piano", 60, 0.0, -0.15, 0.2), Part("nylon_guitar", 60, -5.0, 0.35, 0.15),
            Part("steel_guitar", 59, -4.5, -0.3, 0.15), Part("string_ensemble", 60, -14.0, 0.0, 0.3),
            Part("finger_bass", 36, -4.0, 0.0, 0.05), _kit("acoustic", -3.0, 0.12), _fx(-7.0, 0.15),
            "room", _ACOUSTIC_HIT, swing=0.53, swing_steps=2, doubling="felt_piano",
        ),
    ),
    "lofi": (
        Palette(
            "muted keys", Part("muted_keys", 60, 0.0, 0.15, 0.2, 6.0), Part("bells", 60, -9.0, -0.3, 0.3),
            Part("electric_piano", 60, -4.5, -0.1, 0.2, 4.0), Part("warm_pad", 60, -13.5, 0.0, 0.25),
            Part("sub_bass", 36, -4.0, 0.0, 0.0, 6.0), _kit("dusty", -2.0, 0.1, 8.0), _fx(-7.5, 0.2),
            "small_room", _LOFI_HIT, swing=0.58,
        ),
        Palette(
            "guitar", Part("nylon_guitar", 60, 0.0, 0.2, 0.2, 8.0), Part("flute", 60, -6.5, -0.25, 0.3),
            Part("electric_piano", 60, -4.5, -0.15, 0.2, 4.0), Part("choir_pad", 60, -14.5, 0.0, 0.3),
            Part("finger_bass", 36, -4.0, 0.0, 0.03, 8.0), _kit("dusty", -2.0, 0.1, 10.0), _fx(-7.5, 0.2),
            "small_room", _LOFI_HIT, swing=0.6,
        ),
        Palette(
            "felt piano", Part("felt_piano", 60, 0.0, -0.1, 0.2, 6.0), Part("muted_keys", 60, -6.0, 0.3, 0.2),
            Part("electric_piano", 60, -5.5, 0.15, 0.2, 4.0), Part("warm_pad", 58, -13.5, 0.0, 0.25),
            Part("upright_bass", 36, -3.5, 0.0, 0.05, 8.0), _kit("dusty", -2.5, 0.1, 9.0), _fx(-7.5, 0.2),
            "small_room", _LOFI_HIT, swing=0.57,
        ),
    ),
    "upbeat": (
        Palette(
            "pluck and bells", Part("pluck_synth", 60, 0.0, 0.1, 0.25), Part("bells", 60, -7.0, -0.3, 0.3),
            Part("electric_piano", 60, -5.0, -0.25, 0.2), Part("bright_pad", 62, -13.0, 0.0, 0.25),
            Part("synth_bass", 36, -3.5, 0.0, 0.0), _kit("pop", -1.0, 0.1), _fx(-6.0, 0.2),
            "plate", _UPBEAT_HIT, doubling="pluck_synth",
        ),
        Palette(
            "guitar pop", Part("lead_synth", 60, -1.0, 0.1, 0.25), Part("celesta", 60, -7.0, -0.3, 0.3),
            Part("steel_guitar", 60, -4.0, 0.3, 0.15), Part("bright_pad", 62, -14.0, 0.0, 0.25),
            Part("finger_bass", 36, -3.5, 0.0, 0.0), _kit("pop", -1.0, 0.1), _fx(-6.0, 0.2),
            "plate", _UPBEAT_HIT, doubling="pluck_synth",
        ),
        Palette(
            "piano pop", Part("bells", 60, -2.0, 0.2, 0.25), Part("pluck_synth", 60, -6.0, -0.3, 0.25),
            Part("felt_piano", 62, -3.5, -0.15, 0.15), Part("warm_pad", 62, -13.0, 0.0, 0.25),
            Part("synth_bass", 36, -3.5, 0.0, 0.0), _kit("pop", -1.0, 0.1), _fx(-6.0, 0.2),
            "plate", _UPBEAT_HIT, swing=0.52, doubling="pluck_synth",
        ),
    ),
    "electronic": (
        Palette(
            "saw lead", Part("lead_synth", 60, -0.5, 0.0, 0.3), Part("pluck_synth", 60, -6.0, 0.35, 0.35),
            Part("pluck_synth", 62, -4.5, -0.3, 0.3), Part("dark_pad", 60, -12.0, 0.0, 0.3),
            Part("sub_bass", 36, -3.0, 0.0, 0.0), _kit("electronic", -1.0, 0.1), _fx(-6.0, 0.25),
            "plate", _ELECTRONIC_HIT, doubling="pluck_synth",
        ),
        Palette(
            "glass and bass", Part("pluck_synth", 60, -0.5, 0.1, 0.35), Part("glass", 60, -7.0, -0.3, 0.4),
            Part("electric_piano", 60, -4.5, 0.25, 0.25), Part("bright_pad", 60, -12.0, 0.0, 0.3),
            Part("synth_bass", 36, -3.0, 0.0, 0.0), _kit("electronic", -1.0, 0.1), _fx(-6.0, 0.25),
            "plate", _ELECTRONIC_HIT, swing=0.53, doubling="pluck_synth",
        ),
    ),
    "ambient": (
        Palette(
            "glass", Part("glass", 60, 0.0, 0.15, 0.5), Part("flute", 60, -6.0, -0.25, 0.5),
            Part("harp", 60, -3.0, 0.25, 0.45), Part("warm_pad", 58, -10.0, 0.0, 0.45),
            Part("drone", 36, -8.0, 0.0, 0.25), _kit("cinematic", -1.0, 0.3), _fx(-9.0, 0.45),
            "long_hall", _AMBIENT_HIT,
        ),
        Palette(
            "flute and choir", Part("flute", 60, -2.0, -0.1, 0.5), Part("glass", 60, -6.0, 0.3, 0.5),
            Part("felt_piano", 60, -2.0, -0.2, 0.45), Part("choir_pad", 60, -11.0, 0.0, 0.5),
            Part("drone", 36, -8.0, 0.0, 0.25), _kit("cinematic", -1.0, 0.3), _fx(-9.0, 0.45),
            "long_hall", _AMBIENT_HIT,
        ),
        Palette(
            "felt piano", Part("felt_piano", 60, 0.0, 0.1, 0.45), Part("bells", 60, -9.0, -0.3, 0.5),
            Part("glass", 62, -4.0, 0.3, 0.5), Part("dark_pad", 57, -10.0, 0.0, 0.45),
            Part("sub_bass", 36, -8.0, 0.0, 0.1), _kit("cinematic", -1.0, 0.3), _fx(-9.0, 0.45),
            "long_hall", _AMBIENT_HIT,
        ),
    ),
    "chinese": (
        Palette(
            "erhu", Part("erhu", 60, -1.5, -0.1, 0.35), Part("dizi", 60, -8.0, 0.3, 0.35),
            Part("guzheng", 62, -2.5, 0.25, 0.3), Part("string_ensemble", 60, -17.0, 0.0, 0.4),
            Part("low_zither", 36, -4.0, -0.15, 0.25), _kit("chinese", 0.5, 0.2), _fx(-8.0, 0.3),
            "hall", _CHINESE_HIT, doubling="pipa",
        ),
        Palette(
            "dizi", Part("dizi", 60, -2.0, 0.1, 0.35), Part("erhu", 60, -6.5, -0.3, 0.35),
            Part("pipa", 62, -2.0, -0.2, 0.25), Part("choir_pad", 60, -18.0, 0.0, 0.4),
            Part("low_zither", 36, -4.0, 0.15, 0.25), _kit("chinese", 0.5, 0.2), _fx(-8.0, 0.3),
            "hall", _CHINESE_HIT, doubling="guzheng",
        ),
        Palette(
            "guzheng", Part("guzheng", 60, 0.0, 0.1, 0.3), Part("erhu", 60, -7.0, -0.3, 0.4),
            Part("pipa", 62, -3.5, 0.3, 0.25), Part("warm_pad", 60, -17.0, 0.0, 0.4),
            Part("low_zither", 36, -4.0, -0.1, 0.25), _kit("chinese", 0.0, 0.2), _fx(-8.0, 0.3),
            "hall", _CHINESE_HIT, doubling="pipa",
        ),
    ),
    "funk": (
        Palette(
            "clav and brass", Part("clavinet", 60, 0.0, 0.2, 0.1), Part("brass_stab", 48, -3.5, -0.25, 0.15),
            Part("electric_piano", 60, -5.5, -0.2, 0.1), Part("warm_pad", 62, -15.0, 0.0, 0.15),
            Part("slap_bass", 36, -2.5, 0.0, 0.0), _kit("pop", -1.5, 0.06), _fx(-7.0, 0.1),
            "dry_room", _FUNK_HIT, swing=0.54,
        ),
        Palette(
            "brass", Part("brass_stab", 60, -1.0, 0.1, 0.15), Part("clavinet", 48, -4.5, -0.3, 0.1),
            Part("clavinet", 62, -4.5, 0.3, 0.1), Part("warm_pad", 62, -15.0, 0.0, 0.15),
            Part("finger_bass", 36, -2.5, 0.0, 0.0), _kit("acoustic", -1.5, 0.06), _fx(-7.0, 0.1),
            "dry_room", _FUNK_HIT, swing=0.55, doubling="brass_stab",
        ),
    ),
    "tension": (
        Palette(
            "tremolo", Part("tremolo_strings", 60, -2.0, -0.15, 0.4), Part("felt_piano", 48, -6.0, 0.25, 0.35),
            Part("pizzicato", 58, -2.0, 0.2, 0.35), Part("dark_pad", 55, -12.0, 0.0, 0.4),
            Part("drone", 36, -5.0, 0.0, 0.2), _kit("cinematic", 2.0, 0.2), _fx(-6.0, 0.3),
            "hall", _TENSION_HIT, doubling="pizzicato",
        ),
        Palette(
            "low piano", Part("felt_piano", 48, 0.0, 0.1, 0.4), Part("solo_violin", 60, -7.0, -0.3, 0.45),
            Part("tremolo_strings", 60, -7.5, -0.15, 0.4), Part("choir_pad", 55, -15.0, 0.0, 0.45),
            Part("low_strings", 36, -5.0, 0.0, 0.3), _kit("cinematic", 2.0, 0.2), _fx(-6.0, 0.3),
            "hall", _TENSION_HIT, doubling="felt_piano",
        ),
        Palette(
            "synth", Part("glass", 60, 0.0, 0.2, 0.4), Part("tremolo_strings", 60, -7.0, -0.25, 0.4),
            Part("muted_keys", 56, -2.0, 0.25, 0.3), Part("dark_pad", 55, -12.0, 0.0, 0.4),
            Part("synth_bass", 36, -5.0, 0.0, 0.1), _kit("cinematic", 2.0, 0.2), _fx(-6.0, 0.3),
            "hall", _TENSION_HIT, doubling="glass",
        ),
    ),
}  # fmt: skip
STYLES: Final = tuple(PALETTES)


def choose_palette(style: str, seed: int) -> Palette:
    """The palette that `style` plays with under `seed`; neighbouring seeds get different ones."""
    if style not in PALETTES:
        raise ValueError(f"no style {style!r}; choose one of {', '.join(STYLES)}")
    variants = PALETTES[style]
    return variants[seed % len(variants)]


def palette_named(style: str, name: str) -> Palette:
    """The palette of `style` called `name`; ValueError where it has none of that name."""
    for palette in PALETTES.get(style, ()):
        if palette.name == name:
            return palette
    names = ", ".join(palette.name for palette in PALETTES.get(style, ()))
    raise ValueError(f"style {style!r} has no orchestra {name!r}; it has {names}")

"""The mixing desk as data: level, place, room and effects of every instrument or stem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.starter.palettes import Palette
from core.starter.synth.rooms import ROOMS


@dataclass(frozen=True, slots=True)
class Channel:
    """Settings of one channel. level_db beside the lead; pan -1..1; send, delay: shares sent to room and echo, 0..1.

    chorus: doubled and widened. pump_db: how far each kick pushes it down (side chain), 0 = not.
    """

    level_db: float = 0.0
    pan: float = 0.0
    send: float = 0.25
    delay: float = 0.0
    chorus: bool = False
    pump_db: float = 0.0


@dataclass(frozen=True)
class Mixdown:
    """A mix. channels: by "stem/instrument", instrument or stem, the first of these that is there, else `Channel()`.

    room: one of `core.starter.synth.rooms.ROOMS`. echo_beats: length of the echo in quarter notes at the first tempo.
    master_db: gain before the bus compressor.
    """

    room: str = "room"
    channels: Mapping[str, Channel] = field(default_factory=dict)
    echo_beats: float = 0.75
    master_db: float = 0.0

    def __post_init__(self) -> None:
        if self.room not in ROOMS:
            raise ValueError(f"no room {self.room!r}; choose one of {', '.join(sorted(ROOMS))}")

    def channel(self, stem: str, instrument: str) -> Channel:
        """The channel that `instrument` in `stem` goes through."""
        for key in (f"{stem}/{instrument}", instrument, stem):
            if key in self.channels:
                return self.channels[key]
        return Channel()


_ECHO = {"electronic": 0.22, "ambient": 0.18, "upbeat": 0.12, "lofi": 0.08}
# dB before the bus: styles of short, sharp notes need more, so that their peaks are rounded as the others' are.
_DRIVE = {"documentary": 3.0, "acoustic": 2.5, "lofi": 2.5, "chinese": 2.5, "funk": 3.0, "ambient": 1.0, "upbeat": 1.0}
_PUMP = {"electronic": 5.0, "upbeat": 2.5, "lofi": 2.0}


def palette_mixdown(palette: Palette, style: str) -> Mixdown:
    """The mix that `palette` describes, with what `style` adds: echo on leads, side chain on pads and bass, chorus."""
    channels: dict[str, Channel] = {}
    for stem in ("lead", "counter", "chords", "pad", "bass", "drums", "hits"):
        part = palette.part(stem)
        channels[stem] = Channel(
            part.level_db,
            part.pan,
            part.send,
            delay=_ECHO.get(style, 0.0) if stem in ("lead", "counter") else 0.0,
            chorus=part.instrument == "electric_piano",
            pump_db=_PUMP.get(style, 0.0) if stem in ("pad", "bass") else 0.0,
        )
    return Mixdown(palette.room, channels, master_db=_DRIVE.get(style, 0.0))

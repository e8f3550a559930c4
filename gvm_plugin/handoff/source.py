"""What an editor needs to know of the film: its rate, its length in frames, the timecode it starts at."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from gvm_plugin.handoff.timecode import (
    DROPPING_RATES,
    Rate,
    is_drop_frame,
    nearest_standard,
    nominal_standard,
)

if TYPE_CHECKING:
    from gvm_plugin.probe import MediaInfo


@dataclass(frozen=True)
class Film:
    """The film as media of an edit.

    start: the frame, counted from midnight, of its timecode; 0 without one. frames: its length. width, height: as
    shown. channels, audio_rate: of the sound that players play; 0 without sound. warnings: for the person.
    """

    path: Path
    rate: Rate
    start: int
    frames: int
    width: int
    height: int
    channels: int = 0
    audio_rate: int = 0
    warnings: tuple[str, ...] = ()


def describe_film(info: MediaInfo, duration: float) -> Film:
    """The film `info`, of `duration` seconds. What had to be guessed is in the warnings."""
    warnings = []
    if info.variable_rate:
        fps = nominal_standard(info.average_rate)
        warnings.append(
            f"the frame rate varies around {float(info.average_rate):.5g}; the timelines count {float(fps):.5g} frames "
            "per second. Editors may count other frames: convert the film to a constant rate first if it must be exact"
        )
    else:
        fps = nearest_standard(info.average_rate)
    rate, start = Rate(fps, drop_frame=fps in DROPPING_RATES), 0
    text = start_timecode(info.path)
    if text:
        try:
            rate = Rate(fps, drop_frame=fps in DROPPING_RATES and is_drop_frame(text))
            start = rate.parse(text)
        except ValueError as err:
            warnings.append(f"its start timecode can't be used ({err}); the timelines start at 00:00:00:00")
    width, height = info.shown_size
    sound = info.main_audio
    return Film(
        path=info.path.parent.resolve() / info.path.name,  # no `..`, but a link keeps its own name
        rate=rate,
        start=start,
        frames=max(1, rate.frame(Fraction(duration))),
        width=width,
        height=height,
        channels=sound.channels if sound else 0,
        audio_rate=sound.rate if sound else 0,
        warnings=tuple(warnings),
    )


def start_timecode(path: Path) -> str | None:
    """The timecode of the first picture as the file says it, on a timecode track or in its tags; None if it doesn't."""
    from core.frames import open_media

    with open_media(path) as media:
        tags = [media.metadata, *(stream.metadata for stream in media.streams)]
    return next((tag["timecode"] for tag in tags if tag.get("timecode")), None)

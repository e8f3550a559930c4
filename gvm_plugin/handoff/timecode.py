"""Frame rates and SMPTE timecode. Exact: rates are fractions, frames are whole numbers, nothing is a float.

Drop-frame timecode (SMPTE 12M) skips numbers, never frames: at 29.97 the numbers 00 and 01 at the start of every
minute but each tenth, at 59.94 the numbers 00 to 03. So it stays with the clock to within two frames a minute.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

STANDARD_RATES: Final = (
    *(Fraction(nominal * 1000, 1001) for nominal in (24, 30, 48, 60, 120)),
    *(Fraction(nominal) for nominal in (24, 25, 30, 48, 50, 60, 100, 120)),
)
DROPPING_RATES: Final = (Fraction(30000, 1001), Fraction(60000, 1001))
# Files say 2997/100 for 30000/1001, and averages are off by a frame in the film; 24 and 23.976 are 0.001 apart.
_CLOSE: Final = Fraction(4, 10_000)
_TIMECODE: Final = re.compile(r"(\d{1,2})[:;.,](\d{2})[:;.,](\d{2})([:;.,])(\d{2,3})")


@dataclass(frozen=True)
class Rate:
    """Frames per second, exact, and how timecode counts them."""

    fps: Fraction
    drop_frame: bool = False

    def __post_init__(self) -> None:
        if self.fps <= 0:
            raise ValueError(f"fps is {self.fps}; it must be more than 0")
        if self.drop_frame and self.fps not in DROPPING_RATES:
            raise ValueError(f"drop-frame timecode is for 29.97 and 59.94 frames per second, not {float(self.fps):g}")

    @property
    def nominal(self) -> int:
        """Frames that a second of timecode counts: 30 for 29.97."""
        return math.ceil(self.fps)

    @property
    def ntsc(self) -> bool:
        """Is the rate 1000/1001 of its nominal one?"""
        return self.fps == Fraction(self.nominal * 1000, 1001)

    @property
    def frame_seconds(self) -> Fraction:
        """How long a frame is."""
        return 1 / self.fps

    def seconds(self, frame: int) -> Fraction:
        """When a frame begins."""
        return frame / self.fps

    def frame(self, seconds: float | Fraction) -> int:
        """The frame that begins nearest to a moment."""
        return round(Fraction(seconds) * self.fps)

    def frame_at(self, seconds: float | Fraction) -> int:
        """The frame shown at a moment."""
        return math.floor(Fraction(seconds) * self.fps)

    def frame_from(self, seconds: float | Fraction) -> int:
        """The first frame that begins at a moment or after it."""
        return math.ceil(Fraction(seconds) * self.fps)

    def timecode(self, frame: int) -> str:
        """hh:mm:ss:ff of a frame counted from midnight; hh:mm:ss;ff where numbers are dropped. Wraps at 24 h."""
        if self.drop_frame:
            dropped = self.nominal // 15
            per_minute, per_ten = self.nominal * 60 - dropped, self.nominal * 600 - 9 * dropped
            frame %= 144 * per_ten
            tens, rest = divmod(frame, per_ten)
            frame += 9 * dropped * tens + dropped * max(0, (rest - dropped) // per_minute)
        seconds, frames = divmod(frame, self.nominal)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        width = 3 if self.nominal > 100 else 2
        return f"{hours % 24:02d}:{minutes:02d}:{seconds:02d}{';' if self.drop_frame else ':'}{frames:0{width}d}"

    def parse(self, text: str) -> int:
        """The frame, counted from midnight, that has the timecode `text`. ValueError where there is none."""
        match = _TIMECODE.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is no timecode; write 01:00:00:00")
        hours, minutes, seconds, frames = (int(match[group]) for group in (1, 2, 3, 5))
        if hours > 23 or minutes > 59 or seconds > 59 or frames >= self.nominal:
            raise ValueError(f"{text!r} is no timecode at {float(self.fps):.5g} frames per second")
        frame = ((hours * 60 + minutes) * 60 + seconds) * self.nominal + frames
        if not self.drop_frame:
            return frame
        dropped = self.nominal // 15
        if minutes % 10 and seconds == 0 and frames < dropped:
            raise ValueError(f"{text!r} is dropped in drop-frame timecode")
        total_minutes = hours * 60 + minutes
        return frame - dropped * (total_minutes - total_minutes // 10)


def is_drop_frame(text: str) -> bool:
    """Does the timecode `text` mark itself as drop-frame?"""
    match = _TIMECODE.fullmatch(text.strip())
    return match is not None and match[4] in ";,"


def nearest_standard(fps: Fraction) -> Fraction:
    """The standard rate that is meant by `fps`, or `fps` itself if it is close to none."""
    standard = min(STANDARD_RATES, key=lambda rate: abs(rate - fps))
    return standard if abs(standard / fps - 1) < _CLOSE else fps


def nominal_standard(fps: Fraction) -> Fraction:
    """The standard rate nearest to `fps`, however far; for films that keep to none."""
    return min(STANDARD_RATES, key=lambda rate: abs(rate / fps - 1))

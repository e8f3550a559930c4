"""Exact time: spans of a film in seconds, shots, hit points. Imports nothing of ours but errors."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

SAMPLE_RATE = 48_000  # of all music and mixes, Hz


def to_samples(seconds: float | Fraction, rate: int = SAMPLE_RATE) -> int:
    """Nearest sample index of a moment."""
    return round(Fraction(seconds) * rate)


@dataclass(frozen=True, order=True)
class Span:
    """A stretch of the film, start <= t < end, in seconds after the picture's first frame."""

    start: float
    end: float

    def __post_init__(self) -> None:
        if not self.start <= self.end:
            raise ValueError(f"span ends ({self.end}) before it starts ({self.start})")

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.end - self.start

    def overlap(self, other: Span) -> float:
        """Seconds that both spans share."""
        return max(0.0, min(self.end, other.end) - max(self.start, other.start))


@dataclass(frozen=True)
class Shot:
    """Picture between two cuts. `cut_strength` 0..1: how hard the cut into it is (0 for the first shot)."""

    span: Span
    cut_strength: float = 0.0


@dataclass(frozen=True)
class HitPoint:
    """A moment, in seconds of the film, that the music should accent. strength 0..1; from 0.5 up a strong hit."""

    seconds: float
    strength: float

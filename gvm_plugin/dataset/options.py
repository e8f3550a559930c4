"""What `gvm dataset build` is asked to do: every default, once. A source: one film, wherever its sound comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

TYPES: Final = ("music video", "film", "vlog", "animation", "documentary")
CHECKS: Final = ("music", "speech", "text")
FEATURES: Final = ("descriptors",)
SHORTEST: Final = 2.0  # seconds of a pair


@dataclass(frozen=True)
class BuildOptions:
    """Settings of one data set.

    seconds: of a pair. shortest: what is left of a span is kept from so many seconds up; None: whole pairs only.
    side: pixels of a clip's shorter side; crf: of x264. checks: what keeps a span out, see `spans`.
    test_share: of the seconds, aimed at. codec: model folder whose codec makes the cached codes.
    clips, music: are the pictures kept as video, the sound as FLAC? type: of all films, where a person says so.
    """

    seconds: float = 30.0
    shortest: float | None = None
    side: int = 336
    crf: int = 26
    test_share: float = 0.15
    checks: tuple[str, ...] = CHECKS
    codec: Path | None = None
    features: tuple[str, ...] = ()
    clips: bool = True
    music: bool = True
    type: str | None = None

    def __post_init__(self) -> None:
        if not SHORTEST <= self.seconds <= 600:
            raise ValueError(f"seconds is {self.seconds:g}; a pair lasts {SHORTEST:g} to 600 seconds")
        if self.shortest is not None and not SHORTEST <= self.shortest <= self.seconds:
            raise ValueError(f"shortest is {self.shortest:g}; it must be {SHORTEST:g} to {self.seconds:g} seconds")
        if not 32 <= self.side <= 2160:
            raise ValueError(f"side is {self.side}; it must be 32 to 2160 pixels")
        if not 0 <= self.crf <= 51:
            raise ValueError(f"crf is {self.crf}; it must be 0 (lossless) to 51")
        if not 0 < self.test_share < 1:
            raise ValueError(f"test share is {self.test_share:g}; it must be between 0 and 1")
        if unknown := set(self.checks) - set(CHECKS):
            raise ValueError(f"there is no check {min(unknown)}; there are {', '.join(CHECKS)}")
        if unknown := set(self.features) - set(FEATURES):
            raise ValueError(f"there are no features {min(unknown)}; there are {', '.join(FEATURES)}")
        if not self.clips and not self.features:
            raise ValueError("without clips a pair has no picture: ask for features as well")
        if not self.music and self.codec is None:
            raise ValueError("without music a pair has no sound: name a codec as well")
        if self.type is not None and self.type not in TYPES:
            raise ValueError(f"there is no type {self.type!r}; there are {', '.join(TYPES)}")

    @property
    def least(self) -> float:
        """Seconds of the shortest pair."""
        return self.seconds if self.shortest is None else self.shortest


@dataclass(frozen=True)
class Source:
    """One film to take pairs from.

    picture: the film, or the frame tensor of the published layout (.pt, one picture a second). sound: where the music
    is; None: in the film. type, labels: as a person or the data set says. split: where the data set's own lists put
    it. group: films that must lie on one side. trusted: checks not needed, for the data set is known to pass them.
    """

    picture: Path
    name: str
    sound: Path | None = None
    type: str | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    split: str | None = None
    group: str | None = None
    trusted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Problem:
    """A film, or what should have been one, that gives no pairs; why: one line."""

    source: str
    why: str

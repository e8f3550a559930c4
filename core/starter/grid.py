"""The musical time of a cue: where every sixteenth note, beat, bar and hit point lies, in seconds.

Knows nothing of codes, notes or pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GridHit:
    """A hit point on the grid: `seconds` after the cue's in is exact; `step` is the sixteenth that plays it."""

    step: int
    seconds: float
    strength: float  # 0..1; from 0.5 up a strong hit (FLAG_HIT), below a light accent (FLAG_ACCENT)


@dataclass(frozen=True, eq=False)
class Grid:
    """Times of the S sixteenth steps of one cue.

    seconds [S+1]: time of each step after the cue's in; seconds[0] == 0, seconds[S] is at or after the cue's out.
    steps_per_bar: 16 in 4/4, 8 in 2/4, 12 in 6/8.
    bar_offset: index in its bar of step 0 (0 = the cue starts on a downbeat).
    final_step: the step of the ending's last downbeat; after it nothing new starts, the last chord rings.
    duration: the cue's length in seconds.
    """

    seconds: FloatArray
    steps_per_bar: int
    bar_offset: int
    final_step: int
    duration: float
    hits: tuple[GridHit, ...] = ()
    button: bool = False  # the last downbeat is a short "button" just before the out instead of a ringing chord

    @property
    def steps(self) -> int:
        """Number of sixteenth steps S."""
        return len(self.seconds) - 1

    @property
    def tempo_bpm(self) -> float:
        """Mean tempo, in quarter notes (dotted-quarter feel of 6/8 is still counted in its sixteenths) a minute."""
        return 60.0 * self.steps / (4.0 * float(self.seconds[-1] - self.seconds[0]))

    def position_in_bar(self, step: int) -> int:
        """Sixteenth of the bar, 0 = downbeat."""
        return (step + self.bar_offset) % self.steps_per_bar

    def bar_starts(self) -> list[int]:
        """Steps that are downbeats, in order."""
        first = (-self.bar_offset) % self.steps_per_bar
        return list(range(first, self.steps, self.steps_per_bar))


def uniform_grid(duration: float, tempo_bpm: float, steps_per_bar: int = 16, ending_seconds: float = 2.0) -> Grid:
    """A Grid of constant tempo over `duration` s; its last downbeat lies nearest `ending_seconds` before the out."""
    step = 15.0 / tempo_bpm
    count = int(np.ceil(duration / step - 1e-9))
    bars = max(1, round((duration - ending_seconds) / (step * steps_per_bar)))
    final = min(bars * steps_per_bar, max(count - 1, 0))
    return Grid(np.arange(count + 1, dtype=np.float64) * step, steps_per_bar, 0, final, duration)

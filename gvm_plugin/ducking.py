"""Speech spans -> a gain curve that takes the music down before each of them and lets it return slowly. Pure.

      0 dB ──╮                                   ╭────
              ╲                                ╱
               ╲                            ╱             straight lines in dB between keyframes
    -depth      ╰──────────────────────────╯
             │ ││ speech   (short gap)   speech │  │   │
        attack lookahead                      hold release

The curve is a list of keyframes, so that an editor can draw, change and export it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gvm_plugin.timeline import SAMPLE_RATE, Span

DEPTH_DB: Final = 12.0
ATTACK_SECONDS: Final = 0.3  # quick, yet heard as a fade and not as a cut
LOOKAHEAD_SECONDS: Final = 0.1  # the music is down this long before the first syllable: a VAD may be that late
HOLD_SECONDS: Final = 0.3  # pauses between words shouldn't let it start to rise
RELEASE_SECONDS: Final = 1.5
SHORTEST_RETURN_SECONDS: Final = 1.0  # at full level; a pause that leaves less isn't worth the pumping


@dataclass(frozen=True)
class Keyframe:
    """The music's gain at a moment of the film; straight in dB to the next keyframe."""

    seconds: float
    gain_db: float


def duck(
    speech: Iterable[Span],
    duration: float,
    depth_db: float = DEPTH_DB,
    attack: float = ATTACK_SECONDS,
    release: float = RELEASE_SECONDS,
) -> tuple[Keyframe, ...]:
    """Keyframes of the music's gain, first at 0 and last at `duration` seconds; empty where nothing is to be ducked.

    attack, release: seconds on the way down and up again.
    """
    if depth_db < 0:
        raise ValueError(f"depth_db is {depth_db:g}; it must be 0 or more")
    if attack < 0 or release < 0:
        raise ValueError(f"attack and release are {attack:g} and {release:g} s; they can't be negative")
    if duration <= 0 or depth_db == 0:
        return ()
    down = _spans_down(speech, duration, attack + release)
    if not down:
        return ()
    corners: list[Keyframe] = []
    for span in down:
        corners += [
            Keyframe(span.start - attack, 0.0),
            Keyframe(span.start, -depth_db),
            Keyframe(span.end, -depth_db),
            Keyframe(span.end + release, 0.0),
        ]
    ends = (Keyframe(moment, _gain_db(corners, moment)) for moment in (0.0, duration))
    first, last = ends
    return (first, *(corner for corner in corners if 0 < corner.seconds < duration), last)


def gain_of_block(keyframes: Sequence[Keyframe], start: int, samples: int) -> np.float32 | npt.NDArray[np.float32]:
    """Linear gain of `samples` from sample `start` of the film: [samples], or one number where it doesn't change."""
    if not keyframes:
        return np.float32(1)
    first, last = start / SAMPLE_RATE, (start + samples) / SAMPLE_RATE
    inside = [key.gain_db for key in keyframes if first < key.seconds < last]
    levels = {_gain_db(keyframes, first), _gain_db(keyframes, last), *inside}
    if len(levels) == 1:
        return np.float32(10 ** (levels.pop() / 20))
    return gain_at(keyframes, np.arange(start, start + samples) / SAMPLE_RATE)


def gain_at(keyframes: Sequence[Keyframe], seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Linear gain [n] at moments [n] of the film; that of the first or last keyframe outside of them."""
    if not keyframes:
        return np.ones(len(seconds), np.float32)
    gain_db = np.interp(seconds, [key.seconds for key in keyframes], [key.gain_db for key in keyframes])
    return (10 ** (gain_db / 20)).astype(np.float32)


def _spans_down(speech: Iterable[Span], duration: float, moving: float) -> list[Span]:
    """Where the music is all the way down: speech with look-ahead and hold, over pauses too short to come back in.

    moving: seconds that the way up and down takes.
    """
    shortest_pause = moving + SHORTEST_RETURN_SECONDS
    down: list[Span] = []
    for span in sorted(speech):
        if span.duration == 0 or span.start >= duration or span.end <= 0:
            continue
        start, end = span.start - LOOKAHEAD_SECONDS, span.end + HOLD_SECONDS
        if down and start - down[-1].end < shortest_pause:
            down[-1] = Span(down[-1].start, max(end, down[-1].end))
        else:
            down.append(Span(start, end))
    return down


def _gain_db(keyframes: Sequence[Keyframe], seconds: float) -> float:
    return float(np.interp(seconds, [key.seconds for key in keyframes], [key.gain_db for key in keyframes]))

"""ShotCrossfade: the sound of a composed clip goes over from shot to shot, as one of MoviePy's effects. No model.

    A  ───────────────╮ cos            what A has beyond its end, as far as its file goes
                       ╲
          before B's    ╳              gains² add up to one
          beginning      ╲
                sin ╭────────────────  B
                    │  │  │
                   -a cut +b           a + b = the seconds asked for, half on either side where both have so much

Where a clip has nothing beyond the cut (it was used whole), the other one's part of the way is all there is; where
neither has, or there is silence on the other side, A fades out up to the cut and B in from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
from moviepy import AudioClip, CompositeAudioClip, Effect
from moviepy.Clip import Clip
from moviepy.decorators import audio_video_effect

from gvm_plugin.crossfade import equal_power
from gvm_plugin.moviepy_fx.sound import READ_SAMPLES, Samples, length_of, sample
from gvm_plugin.timeline import SAMPLE_RATE, to_samples

MEETING: Final = 1e-3  # seconds between two clips that count as none
INAUDIBLE: Final = 1e-4  # -80 dBFS


@dataclass
class ShotCrossfade(Effect):  # type: ignore[misc]
    """The clip with its sound crossfaded over `seconds` at every cut between its clips, with equal power.

    For what concatenate_videoclips, CompositeVideoClip and their sisters for audio give, untrimmed. Picture, length
    and the place of every sound stay as they are: the way over lies half before and half after the cut, and takes
    what the clips' files have beyond their trims. ValueError where the sound isn't made of clips.
    """

    seconds: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= 10:
            raise ValueError(f"seconds is {self.seconds:g}; it must lie between 0 and 10")

    @audio_video_effect  # type: ignore[untyped-decorator]
    def apply(self, clip: Clip) -> Clip:
        """`clip` with its joins crossfaded."""
        if not isinstance(clip, CompositeAudioClip) or "frame_function" in vars(clip):
            raise ValueError(
                "ShotCrossfade needs the clips themselves: apply it to what concatenate_videoclips or "
                "CompositeVideoClip gave, before trimming or changing it"
            )
        seconds = length_of(clip)
        players = [_Player(part, part.start, min(part.end or seconds, seconds)) for part in clip.clips]
        players = _with_fades(players, self.seconds, seconds)
        faded = AudioClip(_Together(players, clip.nchannels).at, seconds, getattr(clip, "fps", SAMPLE_RATE))
        return faded.with_start(clip.start)


@dataclass(frozen=True)
class _Fade:
    """From `start` to `end`, seconds of the whole."""

    start: float
    end: float

    def gain(self, seconds: Samples, rising: bool) -> Samples:
        """Gain [n] at moments [n]."""
        curve = equal_power(max(2, to_samples(self.end - self.start)))[0 if rising else 1]
        places = np.linspace(self.start, self.end, len(curve))
        return np.interp(seconds, places, curve, left=1.0 - rising, right=float(rising))


@dataclass(frozen=True)
class _Player:
    """One clip of the whole: heard from `start` to `end`, with its fades beyond."""

    sound: AudioClip
    start: float
    end: float
    fade_in: _Fade | None = None
    fade_out: _Fade | None = None

    def at(self, seconds: Samples, channels: int) -> Samples:
        """[n, channels] at moments [n] of the whole, in order."""
        first = self.start if self.fade_in is None else self.fade_in.start
        last = self.end if self.fade_out is None else self.fade_out.end
        result: Samples = np.zeros((len(seconds), channels))
        heard = (seconds >= first) & (seconds < last)
        if not heard.any():
            return result
        moments = seconds[heard]
        gain = np.ones(len(moments))
        if self.fade_in is not None:
            gain = gain * self.fade_in.gain(moments, rising=True)
        if self.fade_out is not None:
            gain = gain * self.fade_out.gain(moments, rising=False)
        result[heard] = (sample(self.sound, moments - self.sound.start) * gain).T[:, :channels]
        return result

    def beyond(self, seconds: float, after: bool) -> float:
        """How much of `seconds` the clip's file has after the clip's end, or before its beginning."""
        count = to_samples(seconds)
        away = np.arange(count) / SAMPLE_RATE
        edge = (self.end if after else self.start) - self.sound.start
        moments = edge + away if after else (edge - away[::-1] - 1 / SAMPLE_RATE)
        parts = [moments[at : at + READ_SAMPLES] for at in range(0, count, READ_SAMPLES)]
        level = np.concatenate([np.abs(sample(self.sound, part)).max(axis=0) for part in parts])
        there = np.flatnonzero((level if after else level[::-1]) > INAUDIBLE)
        return 0.0 if len(there) == 0 else (int(there[-1]) + 1) / SAMPLE_RATE


def _with_fades(players: Sequence[_Player], seconds: float, whole: float) -> list[_Player]:
    """The players with their fades; none where the whole, of `whole` seconds, begins and ends."""
    ordered = sorted(players, key=lambda player: player.start)
    if ordered[0].start > MEETING:
        ordered[0] = _beside_silence(ordered[0], seconds, beginning=True)
    if ordered[-1].end < whole - MEETING:
        ordered[-1] = _beside_silence(ordered[-1], seconds, beginning=False)
    for index, (here, after) in enumerate(pairwise(ordered)):
        if after.start < here.end - MEETING:
            continue  # they overlap: somebody has mixed them already
        half = min(seconds, here.end - here.start, after.end - after.start) / 2
        before = behind = 0.0
        if after.start <= here.end + MEETING:
            before, behind = after.beyond(half, after=False), here.beyond(half, after=True)
        if before + behind > 0:
            fade = _Fade(after.start - before, after.start + behind)
            ordered[index], ordered[index + 1] = replace(here, fade_out=fade), replace(after, fade_in=fade)
        else:
            ordered[index] = _beside_silence(here, 2 * half, beginning=False)
            ordered[index + 1] = _beside_silence(after, 2 * half, beginning=True)
    return ordered


def _beside_silence(player: _Player, seconds: float, beginning: bool) -> _Player:
    """The player faded in or out within itself, over half of `seconds`."""
    half = min(seconds, player.end - player.start) / 2
    if beginning:
        return replace(player, fade_in=_Fade(player.start, player.start + half))
    return replace(player, fade_out=_Fade(player.end - half, player.end))


class _Together:
    """What all players give."""

    def __init__(self, players: Sequence[_Player], channels: int) -> None:
        self._players, self._channels = players, channels

    def at(self, seconds: Any) -> Samples:
        """[n, channels] at moments [n], or [channels] at one."""
        if not isinstance(seconds, np.ndarray):
            one: Samples = self.at(np.array([float(seconds)]))[0]
            return one
        moments = seconds.astype(np.float64)
        whole: Samples = np.zeros((len(moments), self._channels))
        for player in self._players:
            whole += player.at(moments, self._channels)
        return whole

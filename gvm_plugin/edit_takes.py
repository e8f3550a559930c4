"""Takes as sound files that an editor can lay on its frames, and the fades between them. 48 kHz, 24 bit.

timeline  |     |     |     |     |     |     frames
take         ╭──lead──┬── cue ──┬─tail─╮
file      ╭──┴────────┴─────────┴──────┴─╮   silence up to the next frame on either side
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from core.errors import DeliveryError
from gvm_plugin.cache import StoredTake
from gvm_plugin.crossfade import DECLICK_SAMPLES, END_FADE_SAMPLES, START_FADE_SAMPLES, equal_power
from gvm_plugin.cuesheet import Cue
from gvm_plugin.loudness import measure_loudness
from gvm_plugin.outputs import file_name
from gvm_plugin.timeline import SAMPLE_RATE, to_samples
from gvm_plugin.wav import count_samples, write_wav

HIGHEST_PEAK: Final = 10 ** (-1 / 20)  # of a file's samples; louder takes are lowered, and their gain says so
ON_FRAME: Final = 1e-3  # frames: so close before one counts as on it


@dataclass(frozen=True)
class Fade:
    """From silence to full level, or back: seconds of the timeline."""

    start: float
    end: float


@dataclass(frozen=True)
class Reach:
    """How far a cue's takes sound before its in and after its out, and over how long they have to be faded out where
    nothing takes over; seconds.
    """

    lead: float
    tail: float
    ending: float = 0.0


@dataclass(frozen=True)
class EditTake:
    """One take on disk. start: first frame of the timeline; frames: how long. gain_db: what its file needs.

    lufs: of the file as it is. bars, hits (asked, played): seconds of the timeline.
    """

    number: int
    file: Path
    start_frame: int
    frames: int
    start: float
    seconds: float
    reach: Reach
    gain_db: float
    lufs: float | None
    tempo: float
    key: str
    bars: tuple[float, ...]
    hits: tuple[tuple[float, float], ...]


def write_take(
    take: StoredTake, number: int, cue: Cue, reach: Reach, fps: Fraction, folder: Path, work: Path
) -> EditTake:
    """`take` of `cue` in `folder`, complete or not at all. work: a folder for what is half done."""
    audio, _ = take.load()
    begin = to_samples(cue.span.start - reach.lead)
    start_frame = math.floor(begin / SAMPLE_RATE * fps + Fraction(ON_FRAME))
    first = to_samples(start_frame / fps)
    silence = max(0, begin - first)
    frames = math.ceil((silence + audio.shape[1]) / SAMPLE_RATE * fps - Fraction(ON_FRAME))
    samples = to_samples((start_frame + frames) / fps) - first
    peak = float(np.abs(audio).max(initial=0.0))
    scale = min(1.0, HIGHEST_PEAK / peak) if peak > 0 else 1.0
    whole = np.zeros((2, samples), np.float32)
    fitting = min(audio.shape[1], samples - silence)
    whole[:, silence : silence + fitting] = (_declicked(audio) * np.float32(scale))[:, :fitting]
    target = folder / f"{file_name(cue.id)}-{take.folder.name[:12]}.take{number}.wav"
    _deliver(whole, target, work / "take.wav")
    return EditTake(
        number=number,
        file=target.absolute(),
        start_frame=start_frame,
        frames=frames,
        start=float(start_frame / fps),
        seconds=float(frames / fps),
        reach=reach,
        gain_db=-20 * math.log10(scale),
        lufs=measure_loudness([whole]).integrated_lufs,
        tempo=float(take.info["tempo"]),
        key=str(take.info["key"]),
        bars=tuple(float(at) for at in take.info["bar_times"]),
        hits=tuple((float(asked), float(played)) for asked, played in take.info["hits"]),
    )


def fades(
    cues: Sequence[Cue], reaches: Mapping[str, Reach], duration: float, crossfade: float
) -> dict[str, tuple[Fade, Fade]]:
    """(fade-in, fade-out) of each cue, by id; the same joins as `crossfade.assemble` makes. reaches: by id too."""
    declick, opening, ending = (s / SAMPLE_RATE for s in (DECLICK_SAMPLES, START_FADE_SAMPLES, END_FADE_SAMPLES))
    width = max(crossfade, declick)
    ordered = sorted(cues, key=lambda cue: cue.span)
    ins: dict[str, Fade] = {}
    outs: dict[str, Fade] = {}
    for index, cue in enumerate(ordered):
        reach = reaches[cue.id]
        first, last = cue.span.start - reach.lead, min(cue.span.end + reach.tail, duration)
        if cue.id not in ins:
            begin = max(first, ordered[index - 1].span.end if index else first)
            ins[cue.id] = Fade(begin, begin + (opening if begin < cue.span.start else declick))
        if index + 1 < len(ordered):
            after = ordered[index + 1]
            enters = after.span.start - reaches[after.id].lead
            end = min(last, after.span.start)
            start = max(enters, end - width, ins[cue.id].end)
            if enters <= end and start < end:
                ins[after.id] = outs[cue.id] = Fade(start, end)
                continue
            last = end
        cut = cue.span.end + reach.tail >= duration - 0.5 / SAMPLE_RATE
        fade = max(ending if cut else max(min(width, last - cue.span.end), declick), reach.ending)
        outs[cue.id] = Fade(max(last - fade, first), last)
    return {cue.id: (ins[cue.id], outs[cue.id]) for cue in ordered}


def _declicked(audio: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """`audio` [2, N] that begins and ends at zero: an editor may play it without fades."""
    count = min(DECLICK_SAMPLES, audio.shape[1] // 2)
    rise, fall = equal_power(count)
    audio = audio.copy()
    audio[:, :count] *= rise
    audio[:, audio.shape[1] - count :] *= fall
    return audio


def _deliver(sound: npt.NDArray[np.float32], target: Path, scratch: Path) -> None:
    """Put `sound` into `target`, unless it is there already: a name stands for its content."""
    if target.is_file() and count_samples(target) == sound.shape[1]:
        return
    write_wav(scratch, [sound], sound.shape[1], "24 bit")
    try:
        os.replace(scratch, target)
    except OSError as err:
        raise DeliveryError(f"{target}: can't be written ({err.strerror}); check folder and rights") from err

"""Takes of cues -> one continuous music track, sample for sample as long as the film.

Two neighbours A and B meet at B's in (its downbeat, usually a cut). The crossfade lies before that moment:

        A plays ───────────────╮ cos          A's ring-out
                                ╲
                     B's pickup  ╳             gains² add up to one at every sample
                                ╱
                          sin ╭───────────────  B plays
                              │      │
                       join - width  B's in: B stands at its full level exactly here

Beside silence a cue sounds with all of its lead-in and tail. If the tail of A reaches into the lead-in of B, the
crossfade ends where the tail ends, or at B's in, whichever comes first. So at every sample one cue sounds, or two
with gains cos and sin, or none.

One take is in memory at a time, plus what of the one before it may still be crossfaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from gvm_plugin.timeline import Span, to_samples
from gvm_plugin.wav import BLOCK_SAMPLES, Block, WavWriter

Gain = npt.NDArray[np.float32]  # [n]

DECLICK_SAMPLES: Final = to_samples(0.005)  # shortest fade anywhere: a cut mid-wave would click
START_FADE_SAMPLES: Final = to_samples(0.010)
END_FADE_SAMPLES: Final = to_samples(0.4)  # where the film ends before the ring-out does
_MUSIC: Final = ""  # name of the music itself among its stems


@dataclass(frozen=True, eq=False)
class Piece:
    """A take in its place: audio [2, N] from span.start - lead_seconds to span.end + tail_seconds of the film.

    Each stem has the same shape, and the stems add up to the audio. fade_seconds: how long its end is to be faded out
    where no other piece takes over; 0 for music with an ending of its own.
    """

    span: Span
    audio: Block
    lead_seconds: float = 0.0
    tail_seconds: float = 0.0
    stems: Mapping[str, Block] = field(default_factory=dict)
    fade_seconds: float = 0.0

    def __post_init__(self) -> None:
        expected = to_samples(self.span.end + self.tail_seconds) - to_samples(self.span.start - self.lead_seconds)
        for name, sound in {_MUSIC: self.audio, **self.stems}.items():
            if sound.shape != (2, expected):
                what = f"stem {name!r}" if name else "audio"
                raise ValueError(f"{what} of the take at {self.span.start:.2f} s is {sound.shape}, not (2, {expected})")


@dataclass(frozen=True)
class Join:
    """One crossfade: samples of the film where it starts and where it ends."""

    start: int
    end: int


@dataclass(frozen=True)
class Placement:
    """Where a piece sounds, in samples of the film, and how long it fades in and out."""

    start: int
    end: int
    fade_in: int
    fade_out: int


@dataclass(frozen=True)
class AssembledMusic:
    """The music of a film: float WAV files of `samples` each; the stems add up to the music.

    placed: where each piece sounds, in their order.
    """

    path: Path
    stems: dict[str, Path]
    samples: int
    joins: tuple[Join, ...]
    placed: tuple[Placement, ...] = ()


def equal_power(samples: int) -> tuple[Gain, Gain]:
    """(fade-in, fade-out), each [samples]: sine and cosine of 0..90 degrees; their squares add up to one."""
    angle = (np.arange(samples) + 0.5) * (np.pi / 2 / max(samples, 1))
    rise, fall = np.sin(angle).astype(np.float32), np.cos(angle).astype(np.float32)
    assert np.allclose(rise**2 + fall**2, 1, atol=1e-5), "gains of a crossfade must keep the power"
    return rise, fall


def assemble(
    pieces: Iterable[Piece],
    samples: int,
    path: Path,
    *,
    crossfade_seconds: float = 0.5,
    stem_folder: Path | None = None,
) -> AssembledMusic:
    """Write the music of a film, `samples` long, to the float WAV file `path`; say where its joins are.

    pieces: in the order of the film, taken one at a time. Stems are written to `stem_folder`/NAME.wav, or left out
    without one; a stem that a take doesn't have is silent there. If a piece fails, nothing stays behind.
    """
    if crossfade_seconds < 0:
        raise ValueError(f"crossfade_seconds is {crossfade_seconds:g}; it can't be negative")
    track = _Track(path, samples, stem_folder)
    width = max(to_samples(crossfade_seconds), DECLICK_SAMPLES)
    joins: list[Join] = []
    placed: list[Placement] = []
    with track:
        held: _Held | None = None
        for piece in pieces:
            entering = _Held(piece, samples)
            if held is None:
                entering.start_after_silence(entering.first_sample)
            elif join := _join(held, entering, width, track):
                joins.append(join)
            if held is not None:
                placed.append(held.placement)
            # Only the end of a take can still meet the next one; the rest goes to disk before that one is made.
            entering.write_until(track, entering.earliest_join(width))
            entering.forget_written()
            held = entering
            del piece, entering
        if held is not None:
            held.finish(track, held.last_sample, width)
            placed.append(held.placement)
        track.silence_until(samples)
    return AssembledMusic(path, track.stem_files(), samples, tuple(joins), tuple(placed))


class _Held:
    """A take while it is being written: its sounds, where it lies in the film, how much of it is on disk."""

    def __init__(self, piece: Piece, film_samples: int) -> None:
        self.sounds: dict[str, Block] = {_MUSIC: piece.audio, **piece.stems}
        self.origin = to_samples(piece.span.start - piece.lead_seconds)  # of `sounds`, in samples of the film
        end = self.origin + int(piece.audio.shape[1])
        self.first_sample = max(self.origin, 0)
        self.last_sample = min(end, film_samples)
        self.cut_by_film = end >= film_samples
        self.cue_in = to_samples(piece.span.start)
        self.cue_out = to_samples(piece.span.end)
        self.position = self.first_sample  # of the next sample to write
        self.fade_in = self.fade_out = 0  # samples
        self.ending = to_samples(piece.fade_seconds)  # of its fade-out, if nothing takes over
        if not 0 <= self.cue_in < film_samples:
            raise ValueError(f"a cue begins at {piece.span.start:.2f} s, outside the film; correct its in")

    @property
    def placement(self) -> Placement:
        """Where it sounds, once it has been written to its end."""
        return Placement(self.first_sample, self.position, self.fade_in, self.fade_out)

    def earliest_join(self, width: int) -> int:
        """First sample that the next take or the last fade may still change."""
        return max(self.position, min(self.cue_out - 1, self.last_sample) - max(width, END_FADE_SAMPLES, self.ending))

    def start_after_silence(self, at: int) -> None:
        """Begin to sound at sample `at` of the film. A fade on the downbeat itself is as short as can be."""
        self.start(at, START_FADE_SAMPLES if at < self.cue_in else DECLICK_SAMPLES)

    def start(self, at: int, fade: int) -> None:
        """Begin to sound at sample `at` of the film, with a fade-in of `fade` samples."""
        self.position = self.first_sample = at
        self.fade_in = min(fade, max(0, self.last_sample - at))

    def forget_written(self) -> None:
        """Let go of what is on disk (the copy frees the take itself)."""
        self.sounds = {name: sound[:, self.position - self.origin :].copy() for name, sound in self.sounds.items()}
        self.origin = self.position

    def slices(self, start: int, end: int) -> dict[str, Block]:
        """The sounds [2, end - start] of these samples of the film, with the fade-in where it reaches."""
        out = {name: sound[:, start - self.origin : end - self.origin] for name, sound in self.sounds.items()}
        reach = self.first_sample + self.fade_in
        if start < reach:
            rise, _ = equal_power(self.fade_in)
            gain = np.ones(end - start, np.float32)
            count = min(end, reach) - start
            gain[:count] = rise[start - self.first_sample : start - self.first_sample + count]
            out = {name: sound * gain for name, sound in out.items()}
        return out

    def write_until(self, track: _Track, end: int) -> None:
        """Write what isn't on disk yet, up to sample `end` of the film; before the first of it, silence."""
        track.silence_until(self.position)
        for start in range(self.position, end, BLOCK_SAMPLES):
            track.write(self.slices(start, min(start + BLOCK_SAMPLES, end)))
        self.position = max(self.position, end)

    def finish(self, track: _Track, end: int, width: int) -> None:
        """Write the rest, faded out to silence at sample `end`."""
        fade = END_FADE_SAMPLES if self.cut_by_film else max(min(width, end - self.cue_out), DECLICK_SAMPLES)
        fade = max(0, min(max(fade, self.ending), end - self.position))
        self.write_until(track, end - fade)
        _, fall = equal_power(fade)
        track.write({name: sound * fall for name, sound in self.slices(end - fade, end).items()})
        self.position, self.fade_out = max(self.position, end), fade


def _join(leaving: _Held, entering: _Held, width: int, track: _Track) -> Join | None:
    """Write `leaving` to its end, and the crossfade into `entering` if they meet; None if silence lies between."""
    if entering.cue_in < leaving.cue_out - 1:
        raise ValueError(
            f"two cues overlap: one ends at sample {leaving.cue_out}, the next begins at {entering.cue_in}"
        )
    end = min(leaving.last_sample, entering.cue_in)
    start = max(entering.first_sample, end - width, leaving.position)
    if entering.first_sample > end or start >= end:
        leaving.finish(track, end, width)
        entering.start_after_silence(max(entering.first_sample, end))
        return None
    leaving.write_until(track, start)
    entering.start(start, end - start)
    _, fall = equal_power(end - start)
    falling = {name: sound * fall for name, sound in leaving.slices(start, end).items()}
    rising = entering.slices(start, end)
    track.write(_sum(falling, rising))
    leaving.position, leaving.fade_out = end, end - start
    entering.position = end
    return Join(start, end)


def _sum(a: Mapping[str, Block], b: Mapping[str, Block]) -> dict[str, Block]:
    """Sounds of both, added where they have the same name."""
    return {
        name: a[name] + b[name] if name in a and name in b else (a[name] if name in a else b[name])
        for name in dict.fromkeys([*a, *b])
    }


class _Track:
    """The files being written: the music and its stems, always equally long."""

    def __init__(self, path: Path, samples: int, stem_folder: Path | None) -> None:
        self._path = path
        self._samples = samples
        self._folder = stem_folder
        self._writers: dict[str, WavWriter] = {}
        self._stack = ExitStack()
        self.position = 0

    def __enter__(self) -> _Track:
        self._open(_MUSIC, self._path)
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        self._stack.close()
        if kind is not None:
            for writer in self._writers.values():
                writer.path.unlink(missing_ok=True)

    def stem_files(self) -> dict[str, Path]:
        """The file of each stem."""
        return {name: writer.path for name, writer in self._writers.items() if name != _MUSIC}

    def write(self, sounds: Mapping[str, Block]) -> None:
        """Append [2, n] to every file: the sound of its name, or silence."""
        count = sounds[_MUSIC].shape[1]
        for name in sounds:
            if name not in self._writers and self._folder is not None:
                self._open(name, self._folder / f"{name}.wav")
        for name, writer in self._writers.items():
            if name in sounds:
                writer.write(sounds[name])
            else:
                writer.write_silence(count)
        self.position += count

    def silence_until(self, position: int) -> None:
        """Append silence up to sample `position` of the film."""
        for writer in self._writers.values():
            writer.write_silence(position - self.position)
        self.position = max(self.position, position)

    def _open(self, name: str, path: Path) -> None:
        writer = self._writers[name] = self._stack.enter_context(WavWriter(path, self._samples))
        writer.write_silence(self.position)

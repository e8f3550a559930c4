"""What makes music: the `MusicGenerator` protocol, and a small real one (sine chords, no torch) for tests and demos.

This is the only module of the plug-in that imports `core.pipeline`, and only when the starter model is asked for.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from core.errors import ModelError
from core.vision.picture import FrameArray, FrameEncoder, PictureFeatures
from gvm_plugin.timeline import SAMPLE_RATE, HitPoint, Span, to_samples

if TYPE_CHECKING:
    from core.pipeline import MusicRequest

Audio = npt.NDArray[np.float32]  # [2, N] at 48 kHz
Progress = Callable[[float], None]

GENERATORS: Final = ("starter", "tone")


@dataclass(frozen=True, eq=False)
class CueRequest:
    """One take of one cue, as asked of a generator. All times are seconds of the film.

    features: of the whole film. valence -1..1, energy 0..1, tempo (bpm), key: None lets the generator decide.
    film_seed: the same for all cues of a film; what they share (orchestra, keys) comes from it. None: the cue's seed.
    lead_seconds, tail_seconds: how much to play before and after the span, for the joins with its neighbours.
    """

    cue_id: str
    span: Span
    features: PictureFeatures
    style: str
    valence: float | None = None
    energy: float | None = None
    tempo: float | None = None
    key: str | None = None
    seed: int = 0
    film_seed: int | None = None
    take: int = 1
    hits: tuple[HitPoint, ...] = ()
    speech: tuple[Span, ...] = ()
    lead_seconds: float = 0.0
    tail_seconds: float = 0.0
    stems: bool = False
    soundfont: Path | None = None

    @property
    def samples(self) -> int:
        """How many samples the take has: from span.start - lead to span.end + tail."""
        return to_samples(self.span.end + self.tail_seconds) - to_samples(self.span.start - self.lead_seconds)


@dataclass(frozen=True, eq=False)
class CueTake:
    """One take of one cue.

    audio [2, N] covers [span.start - lead, span.end + tail] exactly; so does each stem, and the stems add up to it.
    bar_times: film seconds of the bar lines. hits: (film seconds asked, seconds played) for each hit point asked.
    midi: a standard MIDI file, or None. notes: what else goes into the provenance (plain JSON values).
    """

    audio: Audio
    stems: dict[str, Audio] = field(default_factory=dict)
    tempo_bpm: float = 0.0
    key: str = "C"
    bar_times: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    hits: tuple[tuple[float, float], ...] = ()
    midi: bytes | None = None
    notes: dict[str, Any] = field(default_factory=dict)


class MusicGenerator(Protocol):
    """Makes cues from what its own encoder saw of the film.

    licence: SPDX name or a sentence. weights_sha256: changes whenever the music could.
    """

    name: str
    licence: str
    commercial_use: bool
    weights_sha256: str

    def open_encoder(self) -> FrameEncoder:
        """A fresh encoder for one film."""

    def generate(self, requests: Sequence[CueRequest], progress: Progress | None = None) -> Iterator[CueTake]:
        """A take for each request, in order; lazily, so that one take at a time is in memory.

        progress: takes the share done, 0..1, of what comes before the first take.
        """


def load_generator(name: str, device: str = "auto") -> MusicGenerator:
    """The generator called `name`, its weights read. ModelError where there is none, or no such device."""
    if name == "tone":
        return ToneGenerator()
    if name == "starter":
        return StarterGenerator(device)
    raise ModelError(f"no model is called {name!r}; `gvm models` lists those there are ({', '.join(GENERATORS)})")


class StarterGenerator:
    """The model that ships with gvm, from the films' side: cues in film time -> `core.pipeline` and back."""

    name = "starter"

    def __init__(self, device: str = "auto") -> None:
        from core.pipeline import StarterModel

        self._model = StarterModel(_torch_device(device))
        self.licence: str = self._model.card.licence
        self.commercial_use: bool = self._model.card.commercial_use
        self.weights_sha256: str = self._model.sha256

    def open_encoder(self) -> FrameEncoder:
        """A fresh encoder for one film."""
        return self._model.open_encoder()

    def generate(self, requests: Sequence[CueRequest], progress: Progress | None = None) -> Iterator[CueTake]:
        """A take for each request, in order: the codes of all side by side, then the sound of one after the other."""
        music = self._model.generate_music([_music_request(request) for request in requests], progress)
        for request, take in zip(requests, music, strict=True):
            start = request.span.start
            bars = take.grid.seconds[take.grid.bar_starts()]
            yield CueTake(
                audio=take.audio,
                stems=take.stems if request.stems else {},
                tempo_bpm=take.grid.tempo_bpm,
                key=take.key,
                bar_times=start + bars[bars < request.span.duration],
                hits=tuple((start + hit.seconds, start + hit.seconds) for hit in take.grid.hits),
                midi=take.midi,
                notes={"palette": take.palette},
            )


def _music_request(request: CueRequest) -> MusicRequest:
    """The request in seconds after the cue's in, as core counts. Take n has a seed of its own, take 1 the cue's."""
    from core.pipeline import MusicRequest, parse_key

    start, end = request.span.start, request.span.end
    seen = request.features.between(start, end)
    seeds = np.random.SeedSequence([request.seed, request.take]).generate_state(1)
    return MusicRequest(
        features=PictureFeatures(seen.times - start, seen.values),
        duration=request.span.duration,
        style=request.style,
        valence=0.0 if request.valence is None else request.valence,
        energy=0.5 if request.energy is None else request.energy,
        tempo=request.tempo,
        tonic=None if request.key is None else parse_key(request.key),
        film_seed=request.seed if request.film_seed is None else request.film_seed,
        seed=request.seed if request.take == 1 else int(seeds[0]),
        hits=[(hit.seconds - start, hit.strength) for hit in request.hits],
        speech=[(span.start - start, span.end - start) for span in request.speech],
        lead_seconds=request.lead_seconds,
        samples=request.samples,
        stems=request.stems,
        soundfont=request.soundfont,
    )


def _torch_device(name: str) -> str:
    """The device `name` if it is there; auto takes a CUDA one where there is one. ModelError otherwise."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as err:
        raise ModelError(f"device {name!r} can't be used here; leave --device out, or take cpu") from err
    return name


class GridEncoder:
    """Mean colour of each cell of a 4 x 3 grid, twice a second: values [F, 12, 3] in 0..1."""

    fps = Fraction(2)
    width = 32
    height = 24

    def __init__(self) -> None:
        self._times: list[float] = []
        self._values: list[npt.NDArray[np.float32]] = []

    def push(self, seconds: float, rgb: FrameArray) -> None:
        """Take the next frame, [24, 32, 3] RGB."""
        cells = rgb.reshape(3, self.height // 3, 4, self.width // 4, 3).mean(axis=(1, 3), dtype=np.float32)
        self._times.append(seconds)
        self._values.append(cells.reshape(12, 3) / np.float32(255))

    def finish(self) -> PictureFeatures:
        """Features of all frames pushed."""
        values = np.stack(self._values) if self._values else np.zeros((0, 12, 3), np.float32)
        return PictureFeatures(np.asarray(self._times, np.float64), values.astype(np.float32))


_NOTE_NAMES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_PROGRESSION = (0, -3, -7, -5)  # I vi IV V as semitones of the bass


class ToneGenerator:
    """Sine chords on a steady beat: a real generator in a few milliseconds, so that everything else can be tested."""

    name = "tone"
    licence = "CC0-1.0"
    commercial_use = True
    weights_sha256 = hashlib.sha256(b"tone 1").hexdigest()

    def open_encoder(self) -> FrameEncoder:
        """A fresh encoder for one film."""
        return GridEncoder()

    def generate(self, requests: Sequence[CueRequest], progress: Progress | None = None) -> Iterator[CueTake]:
        """A take for each request, in order."""
        return map(_play, requests)


def _play(request: CueRequest) -> CueTake:
    """Chords that change every bar, an accent on each hit point, the picture's brightness in the level."""
    rng = np.random.default_rng([request.seed, request.take, *request.style.encode()])
    tempo = request.tempo or float(rng.integers(80, 121))
    key = request.key or str(rng.choice(list(_NOTE_NAMES)))
    start, end = request.span.start - request.lead_seconds, request.span.end + request.tail_seconds
    seconds = (np.arange(request.samples) / SAMPLE_RATE + start).astype(np.float64)

    bar = 4 * 60 / tempo
    bar_times = np.arange(request.span.start, end, bar)
    position = np.floor((seconds - request.span.start) / bar).astype(int)
    tonic = _NOTE_NAMES[key[0]] + (1 if "#" in key else -1 if "b" in key else 0)
    root_hz = 130.8 * 2 ** ((tonic + np.asarray(_PROGRESSION)[position % 4]) / 12)
    phase = np.cumsum(root_hz / SAMPLE_RATE) * 2 * np.pi

    level = np.full(seconds.shape, 0.1)
    for hit in request.hits:
        level += 0.2 * hit.strength * np.exp(-np.maximum(seconds - hit.seconds, 0) * 8) * (seconds >= hit.seconds)
    level *= _loudness_of_picture(request, seconds)
    ring_out = np.clip((end - seconds) / max(request.tail_seconds, 0.05), 0, 1)
    chord = np.stack([np.sin(phase * 2) + np.sin(phase * 3), np.sin(phase * 2.004) + np.sin(phase * 4)])
    stems = {
        "chords": (0.5 * chord * level * ring_out).astype(np.float32),
        "bass": np.tile(np.sin(phase) * level * ring_out, (2, 1)).astype(np.float32),
    }
    return CueTake(
        audio=stems["chords"] + stems["bass"],
        stems=stems if request.stems else {},
        tempo_bpm=tempo,
        key=key,
        bar_times=bar_times,
        hits=tuple((hit.seconds, hit.seconds) for hit in request.hits),
        midi=_midi(tempo, bar_times),
        notes={"progression": list(_PROGRESSION)},
    )


def _loudness_of_picture(request: CueRequest, seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """0.5..1.5 per sample: how bright the picture is then, times how much energy was asked for."""
    energy = 0.5 if request.energy is None else request.energy
    features = request.features
    if len(features.times) == 0:
        return np.full(seconds.shape, 0.75 + 0.5 * energy)
    brightness = features.values.astype(np.float64).mean(axis=(1, 2))
    return np.asarray((0.5 + 0.5 * np.interp(seconds, features.times, brightness)) * (0.5 + energy))


def _midi(tempo: float, bar_times: npt.NDArray[np.float64]) -> bytes:
    """One track of bass notes, as a standard MIDI file."""
    import mido

    track = mido.MidiTrack([mido.MetaMessage("track_name", name="bass"),
                            mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo))])  # fmt: skip
    for index in range(len(bar_times)):
        note = 48 + _PROGRESSION[index % 4]
        track += [mido.Message("note_on", note=note, velocity=80), mido.Message("note_off", note=note, time=4 * 480)]
    buffer = io.BytesIO()
    mido.MidiFile(tracks=[track], ticks_per_beat=480).save(file=buffer)
    return buffer.getvalue()

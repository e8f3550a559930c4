"""What makes music: the `MusicGenerator` protocol, the models behind it, and a small real one (sine chords, no torch).

With `lessons` this is the only module of the plug-in that imports `core.pipeline` and `core.waveform`, and only when
such a model is asked for.
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
from gvm_plugin import beats
from gvm_plugin.loudness import decibels, measure_loudness
from gvm_plugin.machine import cores
from gvm_plugin.models import ModelInfo, find_model, models_folder
from gvm_plugin.options import AUTO
from gvm_plugin.timeline import SAMPLE_RATE, HitPoint, Span, to_samples

if TYPE_CHECKING:
    from core.pipeline import MusicRequest
    from core.precision import Precision
    from core.starter.identity import Identity
    from core.waveform import WaveformModel, WaveRequest

Audio = npt.NDArray[np.float32]  # [2, N] at 48 kHz
Progress = Callable[[float], None]

# What a model that writes sound outright can't be asked for: settings by their names in ScoreOptions, and speech.
WAVEFORM_IGNORES: Final = frozenset(
    {"style", "mood", "energy", "tempo", "key", "stems", "midi", "soundfont", "identity", "speech"}
)

TAKE_LUFS: Final = -16.0  # of a waveform model's takes, so that its cues are equally loud
_MOST_GAIN_DB: Final = 20.0
_DIFFUSION: Final = "mbd-musicgen-32khz"  # as `gvm models pull` names it
_SIDE_BY_SIDE: Final = 8  # cues that are written together
_GPU_SPEED: Final = (2e13, 8e11)  # operations and bytes a second of a middling one
_SOUND_SECONDS: Final = 0.3  # per second of music: codec, beats, bending
_LOADED_BYTES: Final = 1.2e8  # of weights a second: read, checked and put into their precision
_FADE_SHARE, _SHORTEST_FADE, _LONGEST_FADE = 0.08, 1.5, 5.0  # of a cue, seconds


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
    identity: Identity | None = None

    @property
    def samples(self) -> int:
        """How many samples the take has: from span.start - lead to span.end + tail."""
        return to_samples(self.span.end + self.tail_seconds) - to_samples(self.span.start - self.lead_seconds)


@dataclass(frozen=True, eq=False)
class CueTake:
    """One take of one cue.

    audio [2, N] covers [span.start - lead, span.end + tail] exactly; so does each stem, and the stems add up to it.
    bar_times: film seconds of the bar lines. hits: (film seconds asked, seconds played) for each hit point asked.
    fade_seconds: over which it is to be faded out where no other cue follows at once; 0: it has an ending of its own.
    midi: a standard MIDI file, or None. notes: what else goes into the provenance (plain JSON values).
    """

    audio: Audio
    stems: dict[str, Audio] = field(default_factory=dict)
    tempo_bpm: float = 0.0
    key: str = "C"
    bar_times: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    hits: tuple[tuple[float, float], ...] = ()
    fade_seconds: float = 0.0
    midi: bytes | None = None
    notes: dict[str, Any] = field(default_factory=dict)


class MusicGenerator(Protocol):
    """Makes cues from what its own encoder saw of the film.

    licence: SPDX name or a sentence. weights_sha256: of the weights, as `gvm models` shows it. ignores: settings that
    it can't obey. slow: so much so that one film at a time keeps the machine busy. usual_style: of films that ask for
    none; None leaves it to the picture.
    """

    name: str
    licence: str
    commercial_use: bool
    weights_sha256: str
    ignores: frozenset[str]
    slow: bool
    usual_style: str | None

    @property
    def encoder_sha256(self) -> str:
        """Stands for all that decides what its encoder sees of a film."""

    @property
    def music_sha256(self) -> str:
        """Stands for all that decides how a request sounds."""

    def open_encoder(self) -> FrameEncoder:
        """A fresh encoder for one film."""

    def generate(self, requests: Sequence[CueRequest], progress: Progress | None = None) -> Iterator[CueTake]:
        """A take for each request, in order; lazily, so that one take at a time is in memory.

        progress: takes the share done, 0..1, of what comes before the first take.
        """


def load_generator(
    name: str, device: str = AUTO, *, precision: str = AUTO, decoder: str = "encodec", nudge: bool = True
) -> MusicGenerator:
    """The generator called `name`, or whose folder `name` is. ModelError where there is none, or no such device.

    precision, decoder, nudge: as in ScoreOptions, for models that write sound outright; others have no use for them.
    """
    model = find_model(name)
    if model.problem:
        raise ModelError(f"model {model.name}: {model.problem}")
    if model.name == ToneGenerator.name and model.folder is None:
        return ToneGenerator()
    if model.slow:
        return WaveformGenerator(model, device, precision, decoder, nudge)
    return StarterGenerator(device, model)


class StarterGenerator:
    """The model that ships with gvm, from the films' side: cues in film time -> `core.pipeline` and back."""

    name = "starter"
    ignores: frozenset[str] = frozenset()
    slow = False
    usual_style: str | None = None

    def __init__(self, device: str = AUTO, model: ModelInfo | None = None) -> None:
        from core.pipeline import StarterModel

        info = model or find_model("starter")
        assert info.folder is not None, "a model with a score codec has weights"
        self.name = info.name
        self._model = StarterModel(_torch_device(device), info.folder)
        self.licence: str = self._model.card.licence
        self.commercial_use: bool = self._model.card.commercial_use
        self.weights_sha256: str = self._model.sha256
        taste = self._model.taste
        self.usual_style = None if taste is None else taste.style
        self._music = self.weights_sha256 if taste is None else f"{self.weights_sha256} {taste}"

    @property
    def encoder_sha256(self) -> str:
        """Its weights alone decide."""
        return self.weights_sha256

    @property
    def music_sha256(self) -> str:
        """Its weights decide, and the taste that it was given with them."""
        return self._music

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
                notes={"palette": take.palette, **_motif_note(take.motif, start)},
            )


def _motif_note(motif: Sequence[float], start: float) -> dict[str, Any]:
    """Film seconds at which the channel's motif begins, for the provenance; nothing where there is none."""
    return {"motif": [round(start + at, 3) for at in motif]} if motif else {}


def _music_request(request: CueRequest) -> MusicRequest:
    """The request in seconds after the cue's in, as core counts. Take n has a seed of its own, take 1 the cue's."""
    from core.pipeline import MusicRequest, parse_key

    start, end = request.span.start, request.span.end
    seen = request.features.between(start, end)
    return MusicRequest(
        features=PictureFeatures(seen.times - start, seen.values),
        duration=request.span.duration,
        style=request.style,
        valence=0.0 if request.valence is None else request.valence,
        energy=0.5 if request.energy is None else request.energy,
        tempo=request.tempo,
        tonic=None if request.key is None else parse_key(request.key),
        film_seed=request.seed if request.film_seed is None else request.film_seed,
        seed=_take_seed(request),
        hits=[(hit.seconds - start, hit.strength) for hit in request.hits],
        speech=[(span.start - start, span.end - start) for span in request.speech],
        lead_seconds=request.lead_seconds,
        samples=request.samples,
        stems=request.stems,
        soundfont=request.soundfont,
        identity=request.identity,
    )


def _take_seed(request: CueRequest) -> int:
    """Take 1 has the cue's own seed, take n another."""
    seeds = np.random.SeedSequence([request.seed, request.take]).generate_state(1)
    return request.seed if request.take == 1 else int(seeds[0])


class WaveformGenerator:
    """A model that writes sound outright, such as GVMGen as published: cues in film time -> `core.waveform` and back.

    It has no grid, so the beats of what it played are tracked, and its time is bent by at most 4 % to put them on
    strong cuts (`beats`). It doesn't know where a cue ends, so its takes are faded out there when they are assembled.
    Making one reads the model's description alone; its weights are read when a film is looked at or scored.
    """

    ignores = WAVEFORM_IGNORES
    slow = True
    usual_style: str | None = None

    def __init__(
        self, model: ModelInfo, device: str = AUTO, precision: str = AUTO, decoder: str = "encodec", nudge: bool = True
    ) -> None:
        from core.waveform import WaveformModel

        assert model.folder is not None, "a model with a waveform codec has weights"
        wanted: Precision | Any = precision
        diffusion = models_folder() / _DIFFUSION if decoder == "mbd" else None
        self._model: WaveformModel = WaveformModel(model.folder, _torch_device(device), wanted, diffusion, cores())
        self._nudge, self._decoder, self._size = nudge, decoder, model.size_bytes
        self.name = model.name
        self.licence = model.licence
        self.commercial_use = model.commercial_use and diffusion is None  # MultiBandDiffusion's weights are CC-BY-NC
        self.weights_sha256 = model.sha256
        formats = [self._model.precision, str(self._model.tower_dtype), decoder]
        how = [*formats, beats.VERSION if nudge else 0, TAKE_LUFS, sorted(model.files)]
        self._music = hashlib.sha256(repr([model.sha256, how]).encode()).hexdigest()

    @property
    def encoder_sha256(self) -> str:
        """Stands for its weights and the number format of its tower, which the decoder's precision has no part in."""
        return hashlib.sha256(f"{self.weights_sha256} {self._model.tower_dtype}".encode()).hexdigest()

    @property
    def music_sha256(self) -> str:
        """Stands for its files, the precision of its decoder, what makes its codes sound, and how its time is bent."""
        return self._music

    def load(self) -> None:
        """Read all weights now."""
        self._model.load()

    def open_encoder(self) -> FrameEncoder:
        """A fresh encoder for one film."""
        return self._model.open_encoder()

    def seconds_of_work(self, film_seconds: float, takes: int, cues: int, speed: tuple[float, float]) -> float:
        """About how long a film takes where `speed` operations and bytes a second can be had; from sizes alone."""
        work = self._model.work(film_seconds, film_seconds * takes, min(cues * takes, _SIDE_BY_SIDE))
        operations, read = speed if self._model.device.type == "cpu" else _GPU_SPEED
        computing = work.operations / operations + work.bytes_read / read
        return self._size / _LOADED_BYTES + computing + film_seconds * takes * _SOUND_SECONDS

    def generate(self, requests: Sequence[CueRequest], progress: Progress | None = None) -> Iterator[CueTake]:
        """A take for each request, in order; a take that is complete before those in front of it waits for them.

        They are written side by side, so shorter ones are complete first: ask for them in front.
        """
        waiting: dict[int, CueTake] = {}
        due = 0
        music = self._model.generate_music([_wave_request(request) for request in requests], progress)
        for index, take in music:
            waiting[index] = self._finish(requests[index], take.audio)
            while due in waiting:
                yield waiting.pop(due)
                due += 1

    def _finish(self, request: CueRequest, audio: Audio) -> CueTake:
        """The take as the film wants it: beats found and put on its hit points, at the usual loudness."""
        start = request.span.start - request.lead_seconds
        hits = [HitPoint(hit.seconds - start, hit.strength) for hit in request.hits]
        pulse = beats.find_pulse(audio)
        played: tuple[tuple[float, float], ...] = ()
        notes: dict[str, Any] = {
            "precision": self._model.precision,
            "decoder": self._decoder,
            "beats": "no clear pulse",
        }
        if pulse is not None:
            bend = beats.plan_bend(pulse, hits if self._nudge else [], audio.shape[1] / SAMPLE_RATE)
            audio = beats.bend_audio(audio, bend)
            heard = bend.to_target(pulse.beats)
            nearest = [float(heard[np.abs(heard - hit.seconds).argmin()]) for hit in hits]
            played = tuple((hit.seconds + start, beat + start) for hit, beat in zip(hits, nearest, strict=True))
            notes["beats"] = beats.describe(pulse, bend, hits)
        return CueTake(
            audio=_at_loudness(audio),
            tempo_bpm=0.0 if pulse is None else pulse.tempo_bpm,
            key="",
            hits=played,
            fade_seconds=_fade_seconds(request.span.duration),
            notes=notes,
        )


def _wave_request(request: CueRequest) -> WaveRequest:
    """The request in seconds after the cue's in, with the frames that its lead and tail see too."""
    from core.waveform import WaveRequest

    start, end = request.span.start - request.lead_seconds, request.span.end + request.tail_seconds
    seen = request.features.between(start, end)
    features = PictureFeatures(seen.times - request.span.start, seen.values)
    return WaveRequest(features, request.lead_seconds, request.samples, _take_seed(request))


def _at_loudness(audio: Audio) -> Audio:
    """`audio` at TAKE_LUFS; as it is where it is (nearly) silent."""
    loudness = measure_loudness([audio]).integrated_lufs
    if loudness is None or loudness < TAKE_LUFS - 3 * _MOST_GAIN_DB:
        return audio
    return audio * decibels(float(np.clip(TAKE_LUFS - loudness, -_MOST_GAIN_DB, _MOST_GAIN_DB)))


def _fade_seconds(cue_seconds: float) -> float:
    """How long the music of a cue takes to fade out: longer in a long cue, never more than a third of it."""
    return min(max(_FADE_SHARE * cue_seconds, _SHORTEST_FADE), _LONGEST_FADE, cue_seconds / 3)


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
_TONE_ATTACK: Final = 0.003  # seconds: a jump would click
_TONE_ENDING: Final = 2.0  # seconds: the gate rejects what breaks off
_PROGRESSION = (0, -3, -7, -5)  # I vi IV V as semitones of the bass


class ToneGenerator:
    """Sine chords on a steady beat: a real generator in a few milliseconds, so that everything else can be tested."""

    name = "tone"
    licence = "CC0-1.0"
    commercial_use = True
    weights_sha256 = hashlib.sha256(b"tone 3").hexdigest()  # its version alone decides
    encoder_sha256 = music_sha256 = weights_sha256
    ignores: frozenset[str] = frozenset()
    slow = False
    usual_style: str | None = None

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
    of_film = np.random.default_rng(request.seed if request.film_seed is None else request.film_seed)
    key = request.key or str(of_film.choice(list(_NOTE_NAMES)))  # one key a film, so that cues don't clash at joins
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
        since = np.maximum(seconds - hit.seconds, 0)
        level += 0.2 * hit.strength * np.exp(-since * 8) * np.minimum(since / _TONE_ATTACK, 1)
    level *= _loudness_of_picture(request, seconds)
    ending = max(request.tail_seconds, min(_TONE_ENDING, request.span.duration / 4))
    ring_out = np.clip((end - seconds) / ending, 0, 1)
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

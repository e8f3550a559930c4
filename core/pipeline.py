"""The spine of `core`: what was seen of a span of film, and what is asked of its music -> the music.

    picture features ─▶ grid (tempo, beats on cuts) ─▶ control track ─▶ engine: codes ─▶ performer ─▶ synthesiser

Many requests are decoded side by side; their audio is rendered one at a time, as it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from core import checkpoint
from core.engine import Engine, Job, Progress, Sampling, one_thread
from core.model import GVMGen
from core.starter.constraints import allowed_codes
from core.starter.controls import control_track, lagged
from core.starter.grid import Grid
from core.starter.identity import Identity, promise_motif, statements
from core.starter.midi import to_midi
from core.starter.notes import Performance
from core.starter.palettes import Palette, choose_palette, palette_named
from core.starter.performer import perform
from core.starter.styles import STYLES
from core.starter.synth import Rendered, palette_mixdown, render
from core.starter.taste import Taste
from core.starter.tempo import plan_grid
from core.vision.descriptors import GLOBAL, PatchDescriptors, relative_to_cue
from core.vision.picture import FrameEncoder, PictureFeatures
from core.windows import plan_windows

KEYS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_TONICS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
TEMPO_SLACK = 0.03  # a tempo that is asked for may still bend by this share to fit the film


@dataclass(frozen=True, eq=False)
class MusicRequest:
    """One take of one cue. Times are seconds after the cue's in unless said otherwise.

    features: what was seen during the cue, times shifted to its in. duration: seconds. style: a name of STYLES.
    valence -1..1; energy 0..1, 0.5 = as the picture is; tempo in bpm or None; tonic 0..11 or None.
    film_seed: the same for all cues of a film: chooses the orchestra and the key the film moves round.
    hits: (seconds, strength). speech: (start, end). lead, tail: samples played before the in and after the out;
    samples: of the whole take, lead and tail included. identity: of the channel that the film belongs to, whose motif
    is stated and whose orchestra plays wherever the cue is in its style. taste: the model's own unless given.
    """

    features: PictureFeatures
    duration: float
    style: str
    valence: float
    energy: float
    tempo: float | None
    tonic: int | None
    seed: int
    film_seed: int
    hits: Sequence[tuple[float, float]]
    speech: Sequence[tuple[float, float]]
    lead_seconds: float
    samples: int
    stems: bool = False
    soundfont: Path | None = None
    identity: Identity | None = None
    taste: Taste | None = None


@dataclass(frozen=True, eq=False)
class MusicTake:
    """What was made: audio and stems [2, N] at 48 kHz, the grid, the key, MIDI, and the codes [K, S].

    motif: seconds after the cue's in at which the channel's motif begins.
    """

    audio: npt.NDArray[np.float32]
    stems: dict[str, npt.NDArray[np.float32]]
    grid: Grid
    key: str
    midi: bytes
    codes: npt.NDArray[np.int64]
    palette: str
    motif: tuple[float, ...] = ()


class StarterModel:
    """The starter model, loaded: encoder, decoder and score codec."""

    def __init__(self, device: str = "cpu", folder: Path = checkpoint.STARTER) -> None:
        self.model, self.card, self.sha256 = checkpoint.load(folder, device)
        self.taste = Taste.of_card(self.card.training)
        config = self.model.config
        self.engine = Engine(self.model.decoder, Sampling(config.guidance, config.top_k, config.temperature))

    def open_encoder(self) -> FrameEncoder:
        """A fresh vision encoder for one film."""
        return PatchDescriptors()

    def generate_music(self, requests: Sequence[MusicRequest], progress: Progress | None = None) -> Iterator[MusicTake]:
        """A take for each request, in order: all codes first, then the audio of one after the other."""
        requests = [replace(request, taste=request.taste or self.taste) for request in requests]
        grids = [plan(request) for request in requests]
        jobs = [job_of(request, grid, self.model) for request, grid in zip(requests, grids, strict=True)]
        codes = self.engine.generate(jobs, progress)
        for request, grid, written in zip(requests, grids, codes, strict=True):
            yield play(request, grid, written)


def plan(request: MusicRequest) -> Grid:
    """Where the beats of a cue fall."""
    style, taste = STYLES[request.style], request.taste
    tempo = taste.tempo if taste is not None and taste.style == request.style else style.tempo
    if request.tempo is not None:
        tempo = (request.tempo * (1 - TEMPO_SLACK), request.tempo * (1 + TEMPO_SLACK))
    rng = np.random.default_rng([request.seed, 1])
    button = ends_on_a_button(request.features, request.duration, style.ending)
    return plan_grid(request.duration, request.hits, tempo, style.steps_per_bar[0], button, rng)


def ends_on_a_button(features: PictureFeatures, duration: float, usual: str) -> bool:
    """Should the cue stop short at its out instead of ringing? It should where the picture is busy to the end.

    usual: how the style likes to end, "ring" or "button"; it decides where the picture is neither busy nor still.
    """
    if not len(features.times):
        return usual == "button"
    lively = relative_to_cue(features.values)[features.times > duration - 2.5, GLOBAL, 10]
    return bool(lively.mean() > (-0.3 if usual == "button" else 0.3)) if len(lively) else usual == "button"


def job_of(request: MusicRequest, grid: Grid, model: GVMGen) -> Job:
    """What the engine is told of a cue that `model` is to write."""
    speech = spoken_steps(grid, request.speech)
    allowed = allowed_codes(grid, speech)
    if request.identity is not None:
        promise_motif(allowed, grid, request.style, request.identity.motif, statements(grid, speech))
    return Job(
        condition=condition_of(relative_to_cue(request.features.values), model),
        frame_times=request.features.times,
        step_seconds=grid.seconds,
        windows=plan_windows(grid.seconds),
        seed=request.seed,
        control=control_track(grid, request.style, request.valence, request.energy, speech),
        lagged=lagged,
        allowed=allowed,
    )


@torch.inference_mode()
def condition_of(patches: npt.NDArray[np.float32], model: GVMGen) -> npt.NDArray[np.float32]:
    """What the decoder reads of patches [F, P, C]: [F, Q, out], Q = 1 unless the model keeps its queries apart."""
    features, frames = model.config.features, len(patches)
    if not frames:
        return np.zeros((0, 1, features.out_channels), np.float32)
    device = next(model.parameters()).device
    with one_thread(device):
        condition = model.condition(torch.as_tensor(patches[None], dtype=torch.float32, device=device))
    return condition.reshape(frames, -1, features.out_channels).cpu().numpy()


def spoken_steps(grid: Grid, speech: Sequence[tuple[float, float]]) -> npt.NDArray[np.bool_]:
    """[S]: does someone speak during the step?"""
    spoken = np.zeros(grid.steps, bool)
    for start, end in speech:
        spoken |= (grid.seconds[1:] > start) & (grid.seconds[:-1] < end)
    return spoken


def play(request: MusicRequest, grid: Grid, codes: npt.NDArray[np.int64]) -> MusicTake:
    """The score codec's decoder: codes -> notes -> audio."""
    tonic = request.tonic if request.tonic is not None else _usual_tonic(request)
    palette = orchestra_of(request)
    performance = perform(codes, grid, request.style, tonic, request.seed, request.lead_seconds, palette)
    rendered = render_audio(performance, palette, request)
    stated = statements(grid, spoken_steps(grid, request.speech)) if request.identity else ()
    motif = tuple(float(grid.seconds[step]) for step in stated)
    return MusicTake(
        rendered.audio, rendered.stems, grid, KEYS[tonic], to_midi(performance), codes, palette.name, motif
    )


def orchestra_of(request: MusicRequest) -> Palette:
    """The channel's orchestra where the cue is in its style; else one that a seed chooses, of those the model likes."""
    identity = request.identity
    if identity is not None and identity.style == request.style:
        return palette_named(identity.style, identity.palette)
    seed, taste = request.film_seed if identity is None else identity.seed, request.taste
    if taste is not None and taste.style == request.style:
        return palette_named(taste.style, taste.palettes[seed % len(taste.palettes)])
    return choose_palette(request.style, seed)


def render_audio(performance: Performance, palette: Palette, request: MusicRequest) -> Rendered:
    """Audio [2, N] and stems of a performance, by the synthesiser or through the user's sound font."""
    mixdown = palette_mixdown(palette, request.style)
    start = -request.lead_seconds
    if request.soundfont is None:
        return render(performance, mixdown, start, request.samples, request.stems)
    from core.starter.soundfont import render_soundfont

    stems = render_soundfont(performance, request.soundfont, palette, start, request.samples)
    audio = np.asarray(np.sum(list(stems.values()), axis=0, dtype=np.float32))
    return Rendered(audio, stems if request.stems else {})


def _usual_tonic(request: MusicRequest) -> int:
    """A tonic for a cue that was asked for in no key: the home key, or one a fourth, a fifth or a sixth from it.

    Home is the channel's, or the film's own.
    """
    if request.identity is not None:
        home = request.identity.tonic
    else:
        home = int(np.random.default_rng([request.film_seed, 2]).integers(12))
    return (home + int(np.random.default_rng([request.seed, 2]).choice([0, 0, 5, 7, 9]))) % 12


def parse_key(key: str) -> int:
    """Tonic 0..11 of a key such as "C", "F#", "Bb" or "Am"; ValueError otherwise."""
    name = key.strip().removesuffix("m")
    if name[:1] in _TONICS and name[1:] in ("", "#", "b"):
        return (_TONICS[name[0]] + {"": 0, "#": 1, "b": -1}[name[1:]]) % 12
    raise ValueError(f"unknown key {key!r}: write C, F#, Bb, Am ...")

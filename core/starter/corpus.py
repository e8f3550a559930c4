"""The starter's training corpus: pieces in which music and picture share a latent scene and nothing else.

Each scene is drawn once and composed for several times, in different styles, moods and energies. Everything follows
from a seed, so anyone can rebuild it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.starter.composer import Brief, compose
from core.starter.controls import control_track
from core.starter.grid import Grid
from core.starter.scenes import LatentScene, energy_curve, render_scene, sample_scene, speech_spans
from core.starter.styles import STYLES
from core.starter.tempo import plan_grid
from core.training.data import Piece
from core.vision.descriptors import FEATURE_SECONDS, FPS, HEIGHT, WIDTH, describe, relative_to_cue

PIECES_PER_SCENE = 3


def scene_pieces(seed: int) -> Iterator[Piece]:
    """The pieces of one scene."""
    rng = np.random.default_rng([seed, 20_261])
    # Cues of a quarter of a minute are as common as those that need several windows.
    duration = float(rng.uniform(4.0, 30.0) if rng.random() < 0.5 else rng.uniform(30.0, 70.0))
    scene = sample_scene(rng, duration)
    frames = render_scene(scene, float(FPS), WIDTH, HEIGHT)
    patches = relative_to_cue(describe(frames)).astype(np.float16)
    frame_times = (np.arange(len(patches), dtype=np.float64) + 0.25) * FEATURE_SECONDS
    for _ in range(PIECES_PER_SCENE):
        yield compose_for(scene, patches, frame_times, str(rng.choice(list(STYLES))), rng)


@dataclass(frozen=True, eq=False)
class Composed:
    """What the composer wrote for a scene: codes [K, S] on `grid`, and what it was told besides the picture.

    speech [S] bool; valence -1..1; wish 0..1: how lively it was asked to be (see `asked_energy`).
    """

    codes: npt.NDArray[np.int16]
    grid: Grid
    style: str
    speech: npt.NDArray[np.bool_]
    valence: float
    wish: float


def compose_for(
    scene: LatentScene,
    patches: npt.NDArray[np.float16],
    frame_times: npt.NDArray[np.float64],
    style: str,
    rng: np.random.Generator,
) -> Piece:
    """One piece of music for `scene`, whose picture is `patches` at `frame_times`."""
    made = compose_scene(scene, style, rng)
    control = control_track(made.grid, style, made.valence, made.wish, made.speech)
    return Piece(patches, frame_times, made.codes.astype(np.int16), control.astype(np.float16), made.grid.seconds)


def compose_scene(scene: LatentScene, style: str, rng: np.random.Generator) -> Composed:
    """What the composer writes for `scene` in `style`, at a tempo, mood and liveliness that `rng` draws."""
    plan = STYLES[style]
    hits = sample_hits(scene, rng)
    tempo = plan.tempo if rng.random() < 0.7 else (float(rng.uniform(*plan.tempo)),) * 2
    busy_end = energy_curve(scene, np.linspace(max(0.0, scene.duration - 2.5), scene.duration, 10)).mean() > 0.45
    button = bool(rng.random() < (0.8 if busy_end else 0.6 if plan.ending == "button" else 0.1))
    grid = plan_grid(scene.duration, hits, tempo, int(rng.choice(plan.steps_per_bar)), button, rng)
    times = grid.seconds[:-1]
    speech = np.zeros(grid.steps, bool)
    for start, end in speech_spans(rng, scene):
        speech |= (times >= start) & (times < end)
    wish = float(rng.uniform()) if rng.random() < 0.5 else 0.5
    valence = float(np.clip(scene.valence + rng.normal(0.0, 0.3), -1.0, 1.0))
    energy = asked_energy(energy_curve(scene, times), wish)
    codes = compose(Brief(grid, energy, valence, speech, style), rng)
    return Composed(codes, grid, style, speech, valence, wish)


def sample_hits(scene: LatentScene, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Hit points of a scene: its cuts as spotting grades them, a few missing, now and then one set by hand."""
    hits = [(seconds, float(np.clip(strength * rng.uniform(0.7, 1.1), 0.05, 1.0)))
            for seconds, strength in scene.cuts if rng.random() < 0.95]  # fmt: skip
    if rng.random() < 0.3:
        hits.append((float(rng.uniform(0.0, scene.duration)), float(rng.uniform(0.3, 1.0))))
    if rng.random() < 0.5:
        hits.append((0.0, float(rng.uniform(0.3, 1.0))))
    return sorted(hits)


def asked_energy(curve: npt.NDArray[np.float64], wish: float) -> npt.NDArray[np.float64]:
    """The energy curve [S] of a cue that was asked to be `wish` lively: 0.5 as it is, 0 calmer, 1 wilder."""
    return np.clip(curve * (0.5 + wish) + 0.3 * (wish - 0.5), 0.0, 1.0)

"""Scenes with their music as *sound*: what the evaluator and models with a waveform codec learn from here.

Picture and sound share the latent scene and nothing else, as in `core.starter.corpus`. Everything follows from a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from core.starter.composer.brief import STRONG
from core.starter.corpus import compose_scene
from core.starter.palettes import choose_palette
from core.starter.performer import perform
from core.starter.scenes import render_scene, sample_scene
from core.starter.styles import STYLES
from core.starter.synth import palette_mixdown, render
from core.starter.synth.dsp import RATE
from core.training.data import load_records, save_records
from core.vision.descriptors import FEATURE_SECONDS, FPS, HEIGHT, WIDTH, describe

SOUND_RATE: Final = 16_000
_SHORTEST, _LONGEST = 30.5, 36.0  # seconds: a window of 30 s fits in everywhere


@dataclass(frozen=True, eq=False)
class SoundScene:
    """One scene, seen and heard.

    patches float16 [F, P, C] of the descriptors, not yet relative to anything, at frame_times [F] s; frames uint8
    [F, H, W, 3] of the same moments. sound int16 [N]: mono at SOUND_RATE. cuts [n, 2]: (seconds, strength 0..1).
    about: style, tempo (bpm), valence -1..1, wish 0..1, tonic 0..11, as one row of text `key=value`.
    """

    patches: npt.NDArray[np.float16]
    frame_times: npt.NDArray[np.float64]
    frames: npt.NDArray[np.uint8]
    sound: npt.NDArray[np.int16]
    cuts: npt.NDArray[np.float64]
    about: npt.NDArray[np.str_]


def sound_scene(seed: int) -> SoundScene:
    """The scene of `seed`, composed for once, played and drawn."""
    import soxr

    rng = np.random.default_rng([seed, 20_262])
    duration = float(rng.uniform(_SHORTEST, _LONGEST))
    scene = sample_scene(rng, duration)
    frames = render_scene(scene, float(FPS), WIDTH, HEIGHT)
    patches = describe(frames).astype(np.float16)
    frame_times = (np.arange(len(patches), dtype=np.float64) + 0.25) * FEATURE_SECONDS
    style = str(rng.choice(list(STYLES)))
    made = compose_scene(scene, style, rng)
    tonic = int(rng.integers(12))
    palette = choose_palette(style, seed)
    performance = perform(made.codes, made.grid, style, tonic, seed, 0.0, palette)
    played = render(performance, palette_mixdown(palette, style), 0.0, round(duration * RATE)).audio
    mono = soxr.resample(played.mean(axis=0), RATE, SOUND_RATE)
    mono *= 0.5 / max(float(np.abs(mono).max()), 1e-6)
    cuts = np.asarray(scene.cuts, np.float64).reshape(-1, 2)
    strong = int((cuts[:, 1] >= STRONG).sum())
    about = f"style={style} tempo={made.grid.tempo_bpm:.2f} valence={made.valence:.2f} wish={made.wish:.2f}"
    return SoundScene(
        patches,
        frame_times,
        frames[: 2 * len(patches) : 2],
        np.round(mono * 32767).astype(np.int16),
        cuts,
        np.array(f"{about} tonic={tonic} strong={strong} seed={seed}"),
    )


def save_scenes(scenes: Sequence[SoundScene], path: Path) -> None:
    """Write scenes to one .npz, whole or not at all."""
    save_records(scenes, path)


def load_scenes(path: Path) -> list[SoundScene]:
    """The scenes that `save_scenes` wrote; ModelError when the file is damaged."""
    return load_records(SoundScene, path)

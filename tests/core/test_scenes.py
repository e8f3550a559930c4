"""Latent scenes: sampling, the energy a composer reads from them, and that their pictures move as they say."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.starter.scenes import LatentScene, energy_curve, render_scene, sample_scene, speech_spans

GREY = np.array([0.299, 0.587, 0.114])


def scene_of(seed: int, duration: float | None = None) -> LatentScene:
    return sample_scene(np.random.default_rng(seed), duration)


def changes(scene: LatentScene) -> np.ndarray:
    """Mean absolute difference of grey of each rendered frame from the one before; the first is 0."""
    grey = render_scene(scene) / 255.0 @ GREY
    moved = np.abs(np.diff(grey, axis=0)).mean((1, 2))
    return np.concatenate([[0.0], moved])


def inside_shots(scene: LatentScene) -> np.ndarray:
    """Mask of frames that neither start a shot nor lie in a fade, dissolve or flash."""
    times = np.arange(len(scene.activity)) / 8
    mask = times > 0
    for shot in scene.shots[1:]:
        before, after = (0.0, 0.125) if shot.transition == "cut" else (0.6, 0.6)
        mask &= ~((times >= shot.start - before) & (times < shot.start + after))
    return mask


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), duration=st.floats(1.0, 90.0))
def test_shots_fill_the_scene_and_cuts_lie_between_them(seed: int, duration: float) -> None:
    scene = scene_of(seed, duration)
    assert scene.duration == duration
    assert scene.shots[0].start == 0.0
    assert scene.shots[-1].end == duration
    assert all(a.end == b.start for a, b in zip(scene.shots, scene.shots[1:], strict=False))
    assert [cut[0] for cut in scene.cuts] == [shot.start for shot in scene.shots[1:]]
    assert all(0.0 <= strength <= 1.0 for _, strength in scene.cuts)
    assert len(scene.activity) == math.ceil(duration * 8)
    assert np.isfinite(scene.activity).all()
    assert (scene.activity >= 0).all()
    assert -1 <= scene.valence <= 1
    assert 0 <= scene.arousal <= 1


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_energy_spans_the_scene_s_own_range_round_a_middling_mean(seed: int) -> None:
    scene = scene_of(seed)
    energy = energy_curve(scene, np.arange(0, scene.duration, 0.05))
    assert energy.min() >= 0.0
    assert energy.max() <= 1.0
    assert 0.12 < energy.mean() < 0.6  # a scene that moves once and is still for the rest stays low


def test_energy_of_a_scene_in_which_nothing_changes_is_flat() -> None:
    scene = scene_of(3, 20.0)
    still = replace(scene, cuts=(), shots=scene.shots[:1], activity=np.full(160, 0.7))
    energy = energy_curve(still, np.linspace(0, 20, 200))
    assert np.ptp(energy) < 0.02
    assert 0.35 < energy.mean() < 0.5


def test_energy_follows_activity_and_jumps_at_a_cut() -> None:
    scene = scene_of(3, 20.0)
    ramp = replace(scene, cuts=((10.0, 0.9),), activity=np.linspace(0.1, 1.0, 160), scale=0.02)
    before, at, rest = energy_curve(ramp, np.array([9.9, 10.05, 13.0]))
    assert at > before + 0.15
    assert at > rest
    times = np.linspace(0, 9, 50)
    assert np.corrcoef(energy_curve(ramp, times), ramp.activity_at(times))[0, 1] > 0.95


def test_energy_differs_most_by_cuts_where_hardly_anything_moves() -> None:
    scene = scene_of(3, 20.0)
    wave = 0.6 + 0.4 * np.sin(np.arange(160) / 10)
    lift = {}
    for scale in (0.002, 0.15):
        cut = replace(scene, cuts=((10.0, 0.9),), activity=wave, scale=scale)
        lift[scale] = float(np.subtract(*energy_curve(cut, np.array([10.05, 9.9]))))
    assert lift[0.002] > 1.5 * lift[0.15] > 0


def test_same_seed_same_frames_another_seed_others() -> None:
    one, same, other = (render_scene(scene_of(seed, 4.0)) for seed in (5, 5, 6))
    assert one.shape == (32, 36, 64, 3)
    assert one.dtype == np.uint8
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_frames_come_at_the_rate_and_size_asked_for() -> None:
    assert render_scene(scene_of(5, 2.3), fps=10, width=96, height=54).shape == (23, 54, 96, 3)


def test_pictures_move_as_the_scene_says() -> None:
    """Activity measured on the frames follows the latent curve, in level and in shape, from still to wild."""
    correlations, ratios, levels = [], [], []
    for seed in range(40):
        scene = scene_of(seed, 12.0)
        mask, wanted = inside_shots(scene), scene.activity * scene.scale
        if mask.sum() < 24:
            continue
        bars = 1.0 - 2 * round(scene.letterbox * 36) / 36
        found = changes(scene) / bars
        ratios.append(np.median(found[mask]) / np.median(wanted[mask]))
        levels.append(np.median(found[mask]))
        if wanted[mask].std() > 0.25 * wanted[mask].mean():  # a flat curve has no shape to follow
            correlations.append(np.corrcoef(found[mask], wanted[mask])[0, 1])
    assert len(correlations) > 15
    assert np.median(correlations) > 0.95
    assert np.mean(correlations) > 0.9
    assert 0.8 < np.median(ratios) < 1.25
    assert min(levels) < 0.003
    assert max(levels) > 0.04


def test_hard_cuts_change_the_picture_at_the_frame_they_are_at() -> None:
    checked = 0
    for seed in range(12):
        scene = scene_of(seed, 10.0)
        moved = changes(scene)
        for (seconds, strength), shot in zip(scene.cuts, scene.shots[1:], strict=True):
            frame = math.ceil(seconds * 8 - 1e-9)
            if shot.transition == "cut" and strength > 0.4 and scene.scale < 0.03 and frame + 2 < len(moved):
                assert moved[frame] > 2 * scene.scale * scene.activity[frame], (seed, seconds)
                checked += 1
    assert checked > 10


def test_happy_scenes_are_brighter_and_warmer_than_sad_ones_on_average() -> None:
    scenes = [scene_of(seed, 3.0) for seed in range(120)]
    means = np.array([render_scene(scene)[::8].mean((0, 1, 2)) for scene in scenes])
    valence = np.array([scene.valence for scene in scenes])
    assert np.corrcoef(valence, means.mean(1))[0, 1] > 0.2
    assert np.corrcoef(valence, means[:, 0] - means[:, 2])[0, 1] > 0.2


@pytest.mark.parametrize("seed", range(8))
def test_speech_spans_are_ordered_and_inside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = sample_scene(rng, 25.0)
    spans = speech_spans(rng, scene)
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges)
    assert all(0 <= edge <= scene.duration for edge in edges)


def test_some_scenes_have_speech_and_some_have_none() -> None:
    rng = np.random.default_rng(0)
    scene = sample_scene(rng, 25.0)
    talked = [bool(speech_spans(rng, scene)) for _ in range(40)]
    assert 8 < sum(talked) < 32

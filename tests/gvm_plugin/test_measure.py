"""Measures say what was built into the sound: where it was hit, how loud it is, where it clicks or falls silent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt

from gvm_plugin.measure import (
    ClickFinder,
    Measures,
    activity_energy_r,
    cut_accent_lift,
    longest_silence,
    measure,
)
from gvm_plugin.onsets import AudioSource, OnsetStrength, find_onset
from gvm_plugin.timeline import HitPoint, Span

RATE = 48_000
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


def decay(seconds: float, tau: float) -> Float64:
    return np.exp(-np.arange(round(seconds * RATE)) / (tau * RATE))


def chord(seconds: float, tau: float = 0.4, root: float = 220.0) -> Float64:
    t = np.arange(round(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * root * ratio * t) for ratio in (1, 1.26, 1.5, 2.01))
    return np.asarray(tones * decay(seconds, tau) * np.minimum(t / 0.002, 1) * 0.1)


def kick() -> Float64:
    sweep = 50 + 250 * np.exp(-np.arange(RATE // 2) / (0.03 * RATE))
    return np.sin(2 * np.pi * np.cumsum(sweep) / RATE) * decay(0.5, 0.1) * 0.7


def snare(seed: int = 0) -> Float64:
    noise = np.random.default_rng(seed).normal(size=RATE // 4)
    return noise * decay(0.25, 0.05) * 0.25


def hat(seed: int = 0) -> Float64:
    return np.asarray(sosfilt(butter(2, 7000, "high", fs=RATE, output="sos"), snare(seed)))


def place(*sounds: tuple[float, Float64], seconds: float = 8.0) -> Float32:
    """Stereo audio with each sound at its time, the end faded out."""
    audio = np.zeros(round(seconds * RATE))
    for at, sound in sounds:
        start = round(at * RATE)
        part = sound[: len(audio) - start]
        audio[start : start + len(part)] += part
    audio[-RATE // 4 :] *= np.linspace(1, 0, RATE // 4)
    return np.stack([audio, audio]).astype(np.float32)


def drum_kit(seconds: float = 8.0) -> Float32:
    beats = np.arange(0, seconds - 0.5, 0.5)
    sounds = [(at, kick()) for at in beats] + [(at + 0.25, snare(int(at * 8))) for at in beats]
    return place(*sounds, *((at, hat(int(at * 8))) for at in np.arange(0, seconds, 0.125)), seconds=seconds)


def clicks_of(audio: Float32, block: int = RATE) -> tuple[float, ...]:
    finder = ClickFinder()
    for start in range(0, audio.shape[1], block):
        finder.push(audio[:, start : start + block])
    return finder.finish()


# --- onsets and hit points


def test_mel_filters_are_librosas() -> None:
    import librosa

    from gvm_plugin.onsets import mel_filters

    expected = librosa.filters.mel(sr=32_000, n_fft=2048, n_mels=128, fmax=16_000)
    assert np.allclose(mel_filters(), expected, atol=1e-6 * expected.max())


def test_onset_strength_is_librosas_whatever_the_blocks() -> None:
    import librosa

    audio = drum_kit(5.0)
    whole = librosa.resample(audio.mean(0), orig_sr=RATE, target_sr=32_000)
    expected = librosa.onset.onset_strength(y=whole, sr=32_000, hop_length=320)
    meter = OnsetStrength()
    for start in range(0, audio.shape[1], 7001):
        meter.push(audio[:, start : start + 7001])
    times, strength = meter.finish()
    assert times[1] == pytest.approx(0.01)
    assert len(strength) == len(expected)
    assert np.abs(strength - expected).max() < 0.01 * expected.max()


@pytest.mark.parametrize(
    "sound", [kick(), snare(), hat(), chord(1.0, root=523.0)], ids=["kick", "snare", "hat", "bell"]
)
@pytest.mark.parametrize("offset_ms", [-120.0, -15.0, 0.0, 40.0, 120.0])
def test_error_of_a_hit_point_is_how_late_it_was_played(sound: Float64, offset_ms: float) -> None:
    bed = [(float(at), chord(1.0) * 0.4) for at in (0.0, 1.0, 2.0, 4.0)]
    audio = place(*bed, (3.0 + offset_ms / 1000, sound), seconds=5.0)
    (hit,) = measure(audio, hits=[HitPoint(3.0, 1.0)]).hits
    assert hit.error_ms == pytest.approx(offset_ms, abs=5.0)


def test_a_hit_point_nobody_plays_has_no_error() -> None:
    t = np.arange(4 * RATE) / RATE
    steady = np.sin(2 * np.pi * 220 * t) * 0.2 + np.random.default_rng(0).normal(size=4 * RATE) * 0.01
    result = measure(np.stack([steady, steady]).astype(np.float32), hits=[HitPoint(2.0, 1.0)])
    assert result.hits[0].error_ms is None
    assert result.median_hit_error_ms is None
    assert find_onset(AudioSource(np.zeros((2, 4 * RATE), np.float32)), 2.0) is None


def test_a_slow_swell_is_an_onset_too() -> None:
    swell = chord(1.5, tau=3.0, root=330.0)
    swell *= np.minimum(np.arange(len(swell)) / (0.08 * RATE), 1)
    found = find_onset(AudioSource(place((2.0, swell), seconds=4.0)), 2.05)
    assert found is not None
    assert 2.0 < found < 2.08


def test_median_is_over_absolute_errors() -> None:
    audio = place((0.98, kick()), (2.03, kick()), (3.01, kick()), seconds=5.0)
    assert measure(audio, hits=[HitPoint(s, 1.0) for s in (1.0, 2.0, 3.0)]).median_hit_error_ms == pytest.approx(
        20, abs=5
    )


# --- picture and music


def moving_picture(seconds: float, seed: int) -> tuple[Float64, Float64]:
    times = np.arange(0, seconds, 1 / 8)
    waves = np.random.default_rng(seed).uniform(0, 6.3, 3)
    return times, 1.2 + np.sin(times / 1.3 + waves[0]) + 0.5 * np.sin(times / 0.6 + waves[1])


def test_music_that_plays_more_where_the_picture_moves_correlates() -> None:
    times, activity = moving_picture(20.0, seed=1)
    density = np.interp(np.arange(0, 19.5, 0.05), times, activity) / activity.max()
    chosen = np.arange(0, 19.5, 0.05)[np.random.default_rng(0).random(len(density)) < density**2]
    audio = place(*((float(at), hat(i)) for i, at in enumerate(chosen)), seconds=20.0)
    own = measure(audio, activity_times=times, activity=activity).activity_energy_r
    other = measure(audio, activity_times=times, activity=activity.max() - activity).activity_energy_r
    assert own is not None
    assert own > 0.6
    assert other == pytest.approx(-own, abs=1e-3)


def test_correlation_is_that_of_the_definition_on_a_short_clip() -> None:
    """128 moments from 0.5 s to half a second before the end, both curves smoothed by a Gaussian of 0.5 s."""
    from scipy.ndimage import gaussian_filter1d

    times, activity = moving_picture(15.0, seed=2)
    heard, strength = np.arange(1500) / 100, np.random.default_rng(3).random(1500)
    grid = np.linspace(0.5, min(times[-1], heard[-1]) - 0.5, 128)
    a = np.interp(grid, times, gaussian_filter1d(activity, 4))
    b = np.interp(grid, heard, gaussian_filter1d(strength, 50))
    assert activity_energy_r(times, activity, heard, strength) == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-3)


def test_a_still_picture_or_no_picture_has_no_correlation() -> None:
    times = np.arange(0, 10, 1 / 8)
    heard, strength = np.arange(1000) / 100, np.random.default_rng(3).random(1000)
    assert activity_energy_r(times, np.full(len(times), 0.3), heard, strength) is None
    assert activity_energy_r(None, None, heard, strength) is None
    assert activity_energy_r(times[:2], times[:2], heard, strength) is None


def test_accents_on_cuts_lift_and_accents_elsewhere_do_not() -> None:
    accents = np.arange(1.0, 18.0, 1.37)
    meter = OnsetStrength()
    meter.push(place(*((float(at), kick()) for at in accents), seconds=20.0))
    times, strength = meter.finish()
    on, off = (cut_accent_lift(cuts, times, strength) for cuts in (tuple(accents), tuple(accents + 0.6)))
    assert on is not None
    assert off is not None
    assert on > 3.0
    assert off < 0.7
    assert cut_accent_lift((), times, strength) is None


def test_energy_curve_is_short_and_covers_the_film() -> None:
    curve = measure(drum_kit(10.0)).energy
    assert curve is not None
    assert 50 <= len(curve.values) <= 600
    assert curve.start + curve.step * (len(curve.values) - 1) == pytest.approx(10.0, abs=0.05)


# --- clean sound


def test_drums_plucked_strings_and_noise_are_no_clicks() -> None:
    string = np.random.default_rng(4).uniform(-0.4, 0.4, RATE)
    for start in range(218, RATE, 218):  # Karplus-Strong at 220 Hz
        before = string[start - 218 : start]
        part = 0.5 * (before + np.roll(before, -1))
        string[start : start + 218] = part[: len(string[start : start + 218])]
    string *= np.minimum(np.arange(RATE)[::-1] / 4800, 1)
    assert clicks_of(drum_kit()) == ()
    assert clicks_of(place(*((float(at), string) for at in range(7)))) == ()
    noise = np.random.default_rng(5).normal(size=4 * RATE) * 0.1 * np.minimum(np.arange(4 * RATE) / 4800, 1)
    assert clicks_of(place((0.0, noise), seconds=4.0)) == ()


@given(st.integers(RATE // 2, 3 * RATE), st.integers(1000, 90_000))
@settings(max_examples=20, deadline=None)
def test_a_butt_splice_is_a_click_and_blocks_do_not_matter(at: int, block: int) -> None:
    music = place((0.0, chord(4.0, tau=9.0)), seconds=4.0)
    other = -music if abs(music[0, at]) > 0.02 else music + np.float32(0.1)
    spliced = np.concatenate([music[:, :at], other[:, at:]], axis=1)
    spliced[:, -RATE // 4 :] *= np.linspace(1, 0, RATE // 4, dtype=np.float32)
    assert clicks_of(music, block) == ()
    (click,) = clicks_of(spliced, block)
    assert click == pytest.approx(at / RATE, abs=0.001)


def test_a_lost_sample_in_one_channel_and_a_hard_end_are_clicks() -> None:
    music = place((0.0, chord(4.0, tau=9.0)), seconds=4.0)
    dropped = music.copy()
    dropped[1, 2 * RATE] = 0.9
    assert [round(at, 2) for at in clicks_of(dropped)] == [2.0]
    loud_end = music[:, : 2 * RATE + 31]
    assert [round(at, 2) for at in clicks_of(loud_end)] == [2.0]


def test_loudness_and_peak_of_a_tone_are_the_standards() -> None:
    """EBU Tech 3341, case 1: 1 kHz at -23 dBFS on both sides reads -23.0 LUFS."""
    tone = np.sin(2 * np.pi * 1000 * np.arange(round(5.03 * RATE)) / RATE) * 10 ** (-23 / 20)
    result = measure(np.stack([tone, tone]).astype(np.float32))
    assert result.lufs == pytest.approx(-23.0, abs=0.1)
    assert result.music_lufs == result.lufs
    assert result.true_peak_dbtp == pytest.approx(-23.0, abs=0.1)
    assert result.lra == pytest.approx(0.0, abs=0.1)


def test_loudness_is_that_of_the_mix_when_there_is_one() -> None:
    music = drum_kit(4.0)
    result = measure(music, mix=music * np.float32(0.5))
    alone = measure(music)
    assert alone.lufs is not None
    assert result.lufs == pytest.approx(alone.lufs - 6.02, abs=0.05)
    assert result.music_lufs == alone.music_lufs


def test_bandwidth_is_where_the_filter_was_set() -> None:
    noise = np.random.default_rng(6).normal(size=(2, 4 * RATE)) * 0.1
    low = sosfilt(butter(16, 8000, fs=RATE, output="sos"), noise).astype(np.float32)
    assert 8000 < (measure(low).bandwidth_hz or 0) < 14_000
    assert (measure(noise.astype(np.float32)).bandwidth_hz or 0) > 23_000


def test_stereo_correlation_tells_mono_from_wide() -> None:
    sides = (np.random.default_rng(7).normal(size=(2, 2 * RATE)) * 0.1).astype(np.float32)
    assert measure(np.stack([sides[0], sides[0]])).stereo_correlation == pytest.approx(1.0)
    assert measure(sides).stereo_correlation == pytest.approx(0.0, abs=0.02)


def test_silence_counts_inside_cues_only() -> None:
    power = np.full(2000, 0.01)
    power[500:700] = 0.0  # 2 s
    power[1000:1600] = 0.0  # 6 s, of which the first cue ends after 1 s
    assert longest_silence(power, [Span(0, 11), Span(16, 20)]) == pytest.approx(2.0)
    assert longest_silence(power, [Span(0, 20)]) == pytest.approx(6.0)
    assert longest_silence(power, []) == 0.0


def test_ducking_depth_is_the_difference_that_the_gain_curve_makes() -> None:
    music = (np.random.default_rng(8).normal(size=(2, 10 * RATE)) * 0.1).astype(np.float32)
    keyframes = [(2.8, 0.0), (3.0, -12.0), (5.0, -12.0), (5.2, 0.0)]
    result = measure(music, speech=[Span(3.0, 5.0)], ducking=keyframes)
    assert result.ducking_depth_db == pytest.approx(12.0, abs=0.4)
    assert measure(music, speech=[Span(3.0, 5.0)]).ducking_depth_db == pytest.approx(0.0, abs=0.2)
    assert measure(music).ducking_depth_db is None


def test_a_file_measures_like_the_array_it_holds(tmp_path: Path) -> None:
    import soundfile

    audio = drum_kit(5.0)
    soundfile.write(tmp_path / "music.wav", audio.T, RATE, subtype="FLOAT")
    hits = [HitPoint(2.01, 1.0)]
    assert measure(tmp_path / "music.wav", hits=hits) == measure(audio, hits=hits)


def test_silence_and_next_to_nothing_measure_without_complaint() -> None:
    silent = measure(np.zeros((2, 3 * RATE), np.float32), hits=[HitPoint(1.0, 1.0)], speech=[Span(1, 2)])
    assert (silent.lufs, silent.true_peak_dbtp, silent.stereo_correlation, silent.bandwidth_hz) == (None,) * 4
    assert silent.clicks == ()
    tiny = measure(np.zeros((2, 5), np.float32))
    assert isinstance(tiny, Measures)
    assert tiny.energy is None

"""The music benchmark: its measures know good from bad on sounds whose answer is known, and a style goes through it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import bench_music
import bench_music_measures as measures
import bench_music_styles as styles
from bench_music_page import format_value, write_page

from core.starter import vocab as v
from core.starter.grid import uniform_grid
from core.starter.notes import Note, Performance

RATE = measures.RATE


def noise(seconds: float, slope_db_octave: float = 0.0, seed: int = 0) -> measures.Audio:
    """[2, N] unrelated sides of noise whose spectrum falls by `slope_db_octave`."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    spectrum = np.fft.rfft(rng.standard_normal((2, n)))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(n, 1 / RATE), 20.0) / 1000.0)
    return 0.05 * np.fft.irfft(spectrum * 10 ** (slope_db_octave * octaves / 20), n).astype(np.float32)


def clicks(seconds: float, apart: float) -> measures.Audio:
    audio = np.zeros((2, round(seconds * RATE)), np.float32)
    for start in np.arange(0.1, seconds - 0.1, apart):
        at = round(start * RATE)
        audio[:, at : at + 480] = noise(0.01, seed=at)[0]
    return audio


@pytest.mark.parametrize("slope", [-5.0, -3.0, 0.0])
def test_the_slope_of_shaped_noise_is_found(slope: float) -> None:
    assert measures.spectrum_slope(*measures.third_octaves(noise(4.0, slope))) == pytest.approx(slope, abs=0.3)


def test_a_lone_resonance_is_an_outlier() -> None:
    even = noise(4.0, -4.0)
    t = np.arange(even.shape[1]) / RATE
    ringing = even + (0.3 * np.sin(2 * np.pi * 500 * t)).astype(np.float32)
    assert measures.band_outlier(*measures.third_octaves(even)) < 2.0
    assert measures.band_outlier(*measures.third_octaves(ringing)) > 10.0


def test_the_low_end_is_told_mono_from_wide() -> None:
    wide = noise(3.0)
    assert measures.low_correlation(np.tile(wide[:1], (2, 1))) == pytest.approx(1.0, abs=1e-6)
    assert abs(measures.low_correlation(wide)) < 0.3


def test_a_metronome_is_more_periodic_than_noise() -> None:
    ticking = measures.onset_periodicity(*measures.onset_strength(clicks(6.0, 0.5)))
    assert ticking > 0.8
    assert measures.onset_periodicity(*measures.onset_strength(noise(6.0))) < 0.3


def test_onsets_are_counted() -> None:
    assert measures.onsets_per_second(*measures.onset_strength(clicks(6.0, 0.5))) == pytest.approx(2.0, abs=0.3)


def test_looseness_is_measured_beside_swing_and_velocity_beside_its_mean() -> None:
    grid = uniform_grid(30.0, 100.0)
    rng = np.random.default_rng(1)
    starts = grid.seconds[:160:2] + 0.02 * (np.arange(80) % 2)  # every other eighth 20 ms late: swing
    exact = [Note(float(s), 0.1, 60, 0.5, "felt_piano", "chords") for s in starts]
    loose = [Note(float(s + rng.normal(0.0, 0.006)), 0.1, 60, 0.4 + 0.2 * float(rng.random()), "felt_piano", "chords")
             for s in starts]  # fmt: skip
    assert measures.timing_spread(exact, grid) < 0.01
    assert 4.0 < measures.timing_spread(loose, grid) < 8.0
    assert measures.velocity_spread(exact) == pytest.approx(0.0, abs=1e-9)
    assert 0.05 < measures.velocity_spread(loose) < 0.2


def test_only_styles_that_are_not_exempt_miss() -> None:
    key = next(h for h in measures.HEALTHY if h.name == "key_clarity")
    assert key.missed("upbeat", 0.5)
    assert not key.missed("upbeat", 0.8)
    assert not key.missed("tension", 0.5)
    assert not key.missed("upbeat", float("nan"))


def test_frechet_distance_is_nothing_to_oneself_and_grows_with_distance() -> None:
    a = np.random.default_rng(0).normal(size=(200, 4))
    assert styles.frechet(a, a) == pytest.approx(0.0, abs=1e-6)
    assert styles.frechet(a, a + 1.0) == pytest.approx(4.0, abs=1e-6)
    assert styles.frechet(a, 3.0 * a) > 1.0


def test_styles_that_sound_alike_are_not_told_apart_and_others_are() -> None:
    rng = np.random.default_rng(0)
    names, pictures = ["one", "other"] * 30, [i // 6 for i in range(60)]
    far = [rng.normal(3.0 * (name == "other"), 1.0, 8) for name in names]
    near = [rng.normal(0.0, 1.0, 8) for _ in names]
    assert styles.style_accuracy(far, names, pictures) > 0.95
    assert 0.25 < styles.style_accuracy(near, names, pictures) < 0.75
    assert np.isnan(styles.style_accuracy(far[:2], names[:2], [0, 0]))


def test_bars_count_as_shared_only_when_they_say_the_same() -> None:
    grid = uniform_grid(12.0, 120.0)
    codes = np.zeros((v.K, grid.steps), np.int64)
    codes[v.MELODY, ::4] = v.melody_code(7)
    codes[v.MELODY, 16] = v.melody_code(9)
    other = codes.copy()
    other[v.ENERGY] = 5  # how loud it is doesn't make it other music
    assert styles.most_shared([styles.bars_of(codes, grid), styles.bars_of(other, grid)]) == 1.0
    other[v.MELODY, ::4] += 1
    assert styles.most_shared([styles.bars_of(codes, grid), styles.bars_of(other, grid)]) == 0.0
    assert styles.most_shared([styles.bars_of(codes, grid)]) == 0.0


def test_sawtooths_play_the_notes_they_are_given() -> None:
    notes = (Note(0.5, 1.0, 69, 0.8, "felt_piano", "lead"), Note(2.0, 0.2, 38, 0.8, "kit_pop", "drums"))
    audio = styles.sawtooth(Performance(notes, 3.0, "upbeat", ((0.0, 100.0),), 4.0), 3 * RATE)
    assert audio.shape == (2, 3 * RATE)
    assert not audio[:, : RATE // 2].any()
    tone = np.abs(np.fft.rfft(audio[0, RATE // 2 : 3 * RATE // 2] * np.hanning(RATE)))
    assert tone.argmax() == pytest.approx(440, abs=2)
    assert np.abs(audio[:, 2 * RATE : 2 * RATE + 4800]).max() > 0.05


def test_a_style_goes_through_the_whole_benchmark(tmp_path: Path) -> None:
    picture = bench_music.draw_picture(bench_music.FIRST_SEED, 7.0)
    assert picture.cuts
    scores = bench_music.write_scores([picture], ["lofi"], 7.0, None)
    assert [w.request.seed for w in scores] == [0, 1000]
    result = bench_music.measure_style(("lofi", scores[:1], [picture], tmp_path, True))
    assert {h.name for h in measures.HEALTHY} <= set(result.rows[0])
    assert result.plain_windows is not None
    assert result.plain_windows.shape == result.windows.shape
    assert result.rows[0]["clicks"] == 0
    assert (tmp_path / "lofi.png").stat().st_size > 20_000
    page = write_page(tmp_path, {"lofi": bench_music.medians(result.rows)}, {"lofi": ["crest_db"]}, {"pieces": 1})
    text = page.read_text(encoding="utf-8")
    assert text.count("class=bad") == 1
    assert "data:image/png;base64," in text


def test_values_are_written_short() -> None:
    assert [format_value(x) for x in (float("nan"), 24000.0, 0.0213, 4.518)] == ["–", "24000", "0.021", "4.52"]

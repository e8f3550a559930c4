import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from gvm_plugin.limiter import LOOKAHEAD_SAMPLES, MARGIN_DB, RELEASE_DB_PER_SECOND, TruePeakLimiter
from gvm_plugin.loudness import measure_loudness
from gvm_plugin.wav import Block

RATE = 48_000


def limit(sound: Block, ceiling: float = -1.0, sizes: tuple[int, ...] = ()) -> tuple[Block, TruePeakLimiter]:
    limiter = TruePeakLimiter(ceiling)
    blocks = list(limiter.stream(np.split(sound, np.cumsum(sizes), axis=1)))
    return np.concatenate([*blocks, np.zeros((len(sound), 0), np.float32)], axis=1), limiter


def music_like(samples: int, seed: int = 0, level: float = 0.5) -> Block:
    """Noise under 16 kHz that swells and hits, faded at its ends."""
    random = np.random.default_rng(seed)
    spectrum = np.fft.rfft(random.standard_normal((2, samples)))
    hz = np.fft.rfftfreq(samples, 1 / RATE)
    wave = np.fft.irfft(spectrum * (hz < 16_000) / np.sqrt(1 + hz / 200), samples)
    envelope = 1 + 4 * np.exp(-(np.arange(samples) % (RATE // 2)) / 2000)
    edge = np.clip(np.minimum(np.arange(samples), np.arange(samples)[::-1]) / 2000, 0, 1)
    return (wave / wave.std() * 0.2 * level * envelope * edge).astype(np.float32)


def true_peak_db(sound: Block) -> float:
    return float(20 * np.log10(np.abs(resample_poly(sound, 8, 1, axis=1)).max()))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(0.3, 4), st.floats(-6, 0))
def test_no_peak_between_or_on_the_samples_gets_over_the_ceiling(seed: int, level: float, ceiling: float) -> None:
    sound = music_like(2 * RATE + seed, seed, level)
    limited, _ = limit(sound, ceiling)
    assert limited.shape == sound.shape
    assert true_peak_db(limited) <= ceiling
    peak = measure_loudness([limited], true_peak=True).true_peak_dbtp
    assert peak is not None and peak <= ceiling


def test_peaks_between_the_samples_are_found() -> None:
    """A sine at a quarter of the rate, sampled 45 degrees beside its peaks: they are 3 dB over the samples."""
    seconds = np.arange(RATE) / RATE
    edge = np.clip(np.minimum(seconds, 1 - seconds) / 0.05, 0, 1)
    sine = np.tile(np.sin(2 * np.pi * 12_000 * seconds + np.pi / 4) * edge, (2, 1)).astype(np.float32)
    limited, limiter = limit(sine)
    assert np.abs(sine).max() < 0.71
    assert limiter.max_reduction_db == pytest.approx(1 + MARGIN_DB, abs=0.02)
    assert true_peak_db(limited) <= -1


def test_what_stays_under_the_ceiling_passes_bit_for_bit() -> None:
    sound = music_like(3 * RATE, level=0.4)
    sound *= 10 ** (-1.5 / 20) / np.abs(resample_poly(sound, 8, 1, axis=1)).max()
    limited, limiter = limit(sound)
    assert np.array_equal(limited, sound)
    assert limiter.limited_seconds == limiter.max_reduction_db == 0


def test_only_the_neighbourhood_of_a_peak_is_touched() -> None:
    sound = music_like(4 * RATE, level=0.1)
    at = 2 * RATE
    sound[:, at - 3 : at + 4] += np.hanning(9)[1:-1].astype(np.float32) * 1.5
    limited, limiter = limit(sound)
    changed = np.flatnonzero((limited != sound).any(axis=0))
    release = limiter.max_reduction_db / RELEASE_DB_PER_SECOND * RATE
    assert at - 2 * LOOKAHEAD_SAMPLES - 8 <= changed[0] and changed[-1] <= at + release + 2 * LOOKAHEAD_SAMPLES
    assert limiter.limited_seconds == pytest.approx(release / RATE, abs=0.02)


def test_both_channels_get_the_same_gain_and_extra_ones_too() -> None:
    sound = music_like(RATE, level=3)
    sound[1] *= 0.1
    together = np.concatenate([sound, 0.5 * sound, sound * 5])
    limited, _ = limit(together)
    gain = limited[0][np.abs(sound[0]) > 0.1] / sound[0][np.abs(sound[0]) > 0.1]
    assert gain.min() < 0.9
    np.testing.assert_allclose(limited[2:4], 0.5 * limited[:2], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(limited[4:6], 5 * limited[:2], rtol=1e-5, atol=1e-6)
    assert np.array_equal(limited[:2], limit(sound)[0])


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 70_000), max_size=5))
def test_the_size_of_the_blocks_makes_no_difference(sizes: list[int]) -> None:
    sound = music_like(3 * RATE + 17, level=2)
    assert np.array_equal(limit(sound, sizes=tuple(sizes))[0], limit(sound)[0])


def test_the_gain_is_smooth() -> None:
    """No step of the gain that would be heard as a click: under 0.05 dB from one sample to the next."""
    seconds = np.arange(2 * RATE) / RATE
    tone = np.tile(np.sin(2 * np.pi * 440 * seconds) * np.where(seconds % 0.5 < 0.25, 0.2, 1.6), (2, 1))
    limited, _ = limit(tone.astype(np.float32))
    heard = np.abs(tone[0]) > 0.01
    gain_db = 20 * np.log10(np.abs(limited[0][heard]) / np.abs(tone[0][heard]))
    steps = np.abs(np.diff(gain_db)) / np.diff(np.flatnonzero(heard))
    assert steps.max() < 0.1


def test_nothing_in_nothing_out() -> None:
    assert limit(np.zeros((2, 0), np.float32))[0].shape == (2, 0)


def test_a_ceiling_over_full_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="ceiling_dbtp is 1"):
        TruePeakLimiter(1.0)

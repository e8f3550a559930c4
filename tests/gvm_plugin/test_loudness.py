"""The meter against EBU Tech 3341's signals and against BS.1770-4 written out here from its tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from gvm_plugin.loudness import LoudnessMeter, decibels, measure_loudness
from gvm_plugin.wav import Block

RATE = 48_000


def tone(parts: list[tuple[float, float]], hz: float = 1000.0) -> Block:
    """Stereo sine in parts (seconds, dBFS peak of each channel)."""
    level = np.concatenate([np.full(round(seconds * RATE), 10 ** (dbfs / 20)) for seconds, dbfs in parts])
    return np.tile(level * np.sin(2 * np.pi * hz * np.arange(len(level)) / RATE), (2, 1)).astype(np.float32)


def by_the_tables(sound: Block) -> float:
    """Integrated loudness as BS.1770-4 writes it: annex 1 tables 1 and 2 for 48 kHz, equations 2 to 7."""
    wave = lfilter([1.53512485958697, -2.69169618940638, 1.19839281085285], [1, -1.69065929318241, 0.73248077421585],
                   sound.astype(float))  # fmt: skip
    wave = lfilter([1, -2, 1], [1, -1.99004745483398, 0.99007225036621], wave)
    tenths = wave[:, : wave.shape[1] // (RATE // 10) * (RATE // 10)].reshape(2, -1, RATE // 10)
    blocks = np.convolve((tenths**2).mean(axis=2).sum(axis=0), np.full(4, 0.25), "valid")
    loud = blocks[-0.691 + 10 * np.log10(blocks + 1e-20) > -70]
    gate = -0.691 + 10 * np.log10(loud.mean()) - 10
    return float(-0.691 + 10 * np.log10(loud[-0.691 + 10 * np.log10(loud) > gate].mean()))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(20, -23.0)], -23.0),  # case 1
        ([(20, -33.0)], -33.0),  # case 2
        ([(10, -36), (60, -23), (10, -36)], -23.0),  # case 3: the relative gate
        ([(10, -72), (10, -36), (60, -23), (10, -36), (10, -72)], -23.0),  # case 4: both gates
        ([(20, -26), (20.1, -20), (20, -26)], -23.0),  # case 5
    ],
)
def test_ebu_tech_3341(parts: list[tuple[float, float]], expected: float) -> None:
    assert measure_loudness([tone(parts)]).integrated_lufs == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(
    ("hz", "phase", "expected"), [(12_000, 0, -6.0), (12_000, 45, -6.0), (8_000, 60, -6.0), (6_000, 67.5, -6.0)]
)
def test_true_peak_of_ebu_tech_3341(hz: float, phase: float, expected: float) -> None:
    """Cases 15 to 18: a sine of half of full scale whose samples miss its peaks, faded in and out."""
    seconds = np.arange(RATE) / RATE
    wave = (
        0.5
        * np.sin(2 * np.pi * hz * seconds + np.radians(phase))
        * np.clip(10 * np.minimum(seconds, 1 - seconds), 0, 1)
    )
    peak = measure_loudness([np.tile(wave, (2, 1)).astype(np.float32)], true_peak=True).true_peak_dbtp
    assert peak is not None and -0.4 <= peak - expected <= 0.2


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 1000), st.floats(-40, -3), st.floats(0.5, 6))
def test_it_agrees_with_the_standard_s_own_equations(seed: int, dbfs: float, seconds: float) -> None:
    random = np.random.default_rng(seed)
    slow = np.repeat(random.uniform(0, 1, 100), -(-round(seconds * RATE) // 100))[: round(seconds * RATE)]
    sound = (random.standard_normal((2, len(slow))) * slow * 10 ** (dbfs / 20)).astype(np.float32)
    assert measure_loudness([sound]).integrated_lufs == pytest.approx(by_the_tables(sound), abs=0.03)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 90_000), min_size=1, max_size=6))
def test_the_size_of_the_blocks_makes_no_difference(sizes: list[int]) -> None:
    sound = tone([(1, -20), (1, -30), (1, -12)])
    cuts = np.cumsum(sizes)
    assert measure_loudness(np.split(sound, cuts, axis=1), True) == measure_loudness([sound], True)


@pytest.mark.parametrize("block", [np.zeros((2, RATE), np.float32), np.zeros((2, 0), np.float32)])
def test_silence_has_no_loudness_and_no_peak(block: Block) -> None:
    measured = measure_loudness([block], true_peak=True)
    assert measured.integrated_lufs is None and measured.true_peak_dbtp is None


def test_nothing_pushed_is_silence() -> None:
    assert LoudnessMeter().result().integrated_lufs is None


def test_less_than_a_gating_block_is_measured_as_if_repeated() -> None:
    assert measure_loudness([tone([(0.1, -20)])]).integrated_lufs == pytest.approx(-20, abs=0.2)


def test_the_peak_of_faint_sound_is_not_rounded_away() -> None:
    peak = measure_loudness([tone([(1, -75)], hz=100)], true_peak=True).true_peak_dbtp
    assert peak == pytest.approx(-75, abs=0.1)


def test_decibels() -> None:
    assert decibels(20) == 10 and decibels(0) == 1
    assert decibels(-6.0).dtype == np.float32

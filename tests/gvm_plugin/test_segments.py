"""Arrays and pydub segments: right shape, right rate, rounded and never wrapped, back bit for bit."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from moviepy import AudioClip, ColorClip
from moviepy.audio.AudioClip import AudioArrayClip

from gvm_plugin.segments import from_array, from_segment, to_array, to_segment

RATE = 48_000


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def error_db(heard: np.ndarray, wanted: np.ndarray) -> float:
    """The difference against what is wanted, dB."""
    return float(10 * np.log10(np.mean((heard - wanted) ** 2) / np.mean(wanted**2)))


def test_an_array_has_channels_first_and_comes_back_as_it_was() -> None:
    stereo = np.stack([tone(440), tone(660)]).astype(np.float32)
    clip = from_array(stereo)
    assert (clip.fps, clip.nchannels) == (RATE, 2)
    back = to_array(clip)
    assert back.shape == (2, RATE) and back.dtype == np.float32
    np.testing.assert_array_equal(back, stereo)
    np.testing.assert_array_equal(to_array(from_array(stereo.T)), stereo)  # [n, 2], as soundfile has it


def test_mono_is_what_librosa_wants() -> None:
    y = to_array(np.stack([tone(440), -0.5 * tone(440)]), rate=22_050, mono=True)
    assert y.shape == (22_050,) and y.dtype == np.float32
    middle = slice(1000, -1000)
    assert error_db(y[middle], 0.25 * tone(440, rate=22_050)[middle]) < -80
    both = to_array(from_array(tone(440)))
    np.testing.assert_array_equal(both[0], both[1])


def test_another_rate_is_resampled_and_not_merely_picked() -> None:
    """A high note, where picking the nearest sample leaves 20 dB."""
    clip = AudioArrayClip(np.stack([tone(9000, rate=44_100)] * 2, axis=1), fps=44_100)
    heard = to_array(clip)
    middle = slice(2000, -2000)
    assert heard.shape == (2, RATE)
    assert error_db(heard[0][middle], tone(9000)[middle]) < -80


@pytest.mark.parametrize(("bits", "width"), [(16, 2), (24, 4), (32, 4)])
def test_a_segment_comes_back_bit_for_bit(bits: int, width: int) -> None:
    rng = np.random.default_rng(1)
    kept = min(bits, 24)  # what float32 holds
    integers = rng.integers(-(2 ** (kept - 1)), 2 ** (kept - 1), (2, 4800))
    samples = integers / 2.0 ** (kept - 1)
    segment = to_segment(samples, bits=bits)
    assert (segment.sample_width, segment.frame_rate, segment.channels) == (width, RATE, 2)
    assert len(segment) == 100  # milliseconds
    assert segment.raw_data == to_segment(from_segment(segment), bits=bits).raw_data
    np.testing.assert_array_equal(to_array(segment), samples.astype(np.float32))


def test_rounding_is_to_the_nearest_step() -> None:
    step = 2.0**-15
    segment = to_segment(np.array([0.4, 0.6, -0.4, -0.6, 1.5, 2.5]) * step)
    assert segment.get_array_of_samples()[::2].tolist() == [0, 1, 0, -1, 2, 2]


def test_too_loud_is_clipped_and_told_and_never_wrapped(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        segment = to_segment(np.array([1.0, -1.0, 1.3, -1.3, 0.999]))
    assert segment.get_array_of_samples()[::2].tolist() == [32767, -32768, 32767, -32768, round(0.999 * 32768)]
    (message,) = caplog.messages
    assert message.startswith("4 samples over full scale were clipped")
    caplog.clear()
    to_segment(np.array([1.0, -1.0]))  # full scale itself isn't over it
    assert caplog.messages == []


def test_a_mono_segment_of_another_rate() -> None:
    AudioSegment = type(to_segment(np.zeros(4)))
    integers = np.rint(tone(440, rate=32_000) * 32767).astype("<i2")
    clip = from_segment(AudioSegment(integers.tobytes(), sample_width=2, frame_rate=32_000, channels=1))
    heard = to_array(clip)
    assert heard.shape == (2, RATE)
    assert error_db(heard[1][1000:-1000], tone(440)[1000:-1000]) < -70


def test_what_is_no_sound() -> None:
    with pytest.raises(ValueError, match="divide integers by their full scale"):
        to_array(np.zeros(5, np.int16))
    with pytest.raises(ValueError, match=r"shape \(3, 5\); give \[n\] or \[2, n\]"):
        to_array(np.zeros((3, 5)))
    with pytest.raises(ValueError, match="bits is 12; choose one of 16, 24, 32"):
        to_segment(np.zeros(5), bits=12)
    with pytest.raises(ValueError, match="the clip has no sound"):
        to_array(ColorClip((8, 8), color=(0, 0, 0), duration=1))
    with pytest.raises(ValueError, match="duration is None; give it one"):
        to_array(AudioClip(lambda t: np.sin(t)))

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvm_plugin.ducking import (
    ATTACK_SECONDS,
    HOLD_SECONDS,
    LOOKAHEAD_SECONDS,
    RELEASE_SECONDS,
    Keyframe,
    duck,
    gain_of_block,
)
from gvm_plugin.timeline import Span

RATE = 48_000
FILM = 60.0


def spans() -> st.SearchStrategy[list[Span]]:
    def span(start: float, length: float) -> Span:
        return Span(start, start + length)

    return st.lists(st.builds(span, st.floats(-2, FILM + 2), st.floats(0.02, 15)), max_size=8)


def curve_db(keyframes: tuple[Keyframe, ...], seconds: np.ndarray) -> np.ndarray:
    if not keyframes:
        return np.zeros_like(seconds)
    return np.interp(seconds, [key.seconds for key in keyframes], [key.gain_db for key in keyframes])


def test_the_curve_of_one_sentence() -> None:
    start, end = 10 - LOOKAHEAD_SECONDS, 14 + HOLD_SECONDS
    assert duck([Span(10, 14)], FILM, 12) == (
        Keyframe(0, 0),
        Keyframe(start - ATTACK_SECONDS, 0),
        Keyframe(start, -12),
        Keyframe(end, -12),
        Keyframe(end + RELEASE_SECONDS, 0),
        Keyframe(FILM, 0),
    )


@given(spans(), st.floats(0.5, 40))
def test_the_music_is_all_the_way_down_whenever_someone_speaks(speech: list[Span], depth: float) -> None:
    keyframes = duck(speech, FILM, depth)
    seconds = np.arange(0, FILM, 0.01)
    gain = curve_db(keyframes, seconds)
    assert gain.min() >= -depth - 1e-9 and gain.max() <= 1e-9
    for span in (span for span in speech if span.start < FILM):  # what begins at the end is in no film
        inside = (seconds >= span.start - LOOKAHEAD_SECONDS + 1e-6) & (seconds <= span.end)
        np.testing.assert_allclose(gain[inside & (seconds < FILM)], -depth, atol=1e-6)


@given(spans(), st.floats(0.5, 40))
def test_far_from_speech_it_is_untouched_and_it_never_pumps(speech: list[Span], depth: float) -> None:
    keyframes = duck(speech, FILM, depth)
    seconds = np.arange(0, FILM, 0.01)
    gain = curve_db(keyframes, seconds)
    far = np.ones(len(seconds), bool)
    for span in speech:
        far &= (seconds < span.start - 4) | (seconds > span.end + 4)
    assert not gain[far].any()
    # Once it comes back it comes all the way and stays a second.
    up = np.flatnonzero(np.diff((gain > -1e-6).astype(int)))
    full = [stretch for stretch in np.split(gain, up + 1) if stretch[0] > -1e-6]
    assert all(len(stretch) >= 98 for stretch in full[1:-1])


@given(spans())
def test_keyframes_cover_the_film_in_order(speech: list[Span]) -> None:
    moments = [key.seconds for key in duck(speech, FILM)]
    assert moments == sorted(moments) and len(set(moments)) == len(moments)
    assert not moments or (moments[0], moments[-1]) == (0, FILM)


def test_short_pauses_keep_it_down_and_long_ones_bring_it_back() -> None:
    gain = curve_db(duck([Span(5, 8), Span(10, 12), Span(22, 24)], FILM), np.array([9.0, 18.0]))
    assert gain.tolist() == [-12, 0]


def test_speech_from_the_first_frame_starts_ducked() -> None:
    assert duck([Span(0, 3)], FILM)[0] == Keyframe(0, -12)


@pytest.mark.parametrize("speech", [[], [Span(5, 5)], [Span(FILM + 1, FILM + 2)]])
def test_without_speech_there_is_no_curve(speech: list[Span]) -> None:
    assert duck(speech, FILM) == ()
    assert gain_of_block((), 0, 100) == 1


def test_switched_off_and_impossible_depths() -> None:
    assert duck([Span(1, 2)], FILM, 0) == ()
    with pytest.raises(ValueError, match="depth_db is -3"):
        duck([Span(1, 2)], FILM, -3)


@given(spans(), st.integers(0, 59 * RATE), st.integers(1, RATE))
def test_gain_of_a_block_is_the_curve_sample_by_sample(speech: list[Span], start: int, samples: int) -> None:
    keyframes = duck(speech, FILM)
    gain = np.broadcast_to(gain_of_block(keyframes, start, samples), samples)
    expected = 10 ** (curve_db(keyframes, np.arange(start, start + samples) / RATE) / 20)
    assert gain.dtype == np.float32
    np.testing.assert_allclose(gain, expected, rtol=1e-5)

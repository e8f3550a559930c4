"""Windows cover a cue: every step written once, never more than 30 s of picture, ~10 s of music carried."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.windows import plan_windows


@given(step=st.floats(0.05, 0.4), total=st.integers(1, 2000))
def test_every_step_is_written_exactly_once(step: float, total: int) -> None:
    seconds = np.arange(total + 1) * step
    written = [t for w in plan_windows(seconds) for t in range(w.first + w.prompt, w.last)]
    assert written == list(range(total))


@given(step=st.floats(0.05, 0.4), total=st.integers(1, 2000))
def test_windows_are_at_most_30_s_and_carry_about_10_s(step: float, total: int) -> None:
    seconds = np.arange(total + 1) * step
    windows = plan_windows(seconds)
    for window in windows:
        assert seconds[window.last] - seconds[window.first] <= 30 + 1e-6
    for window in windows[1:]:
        carried = seconds[window.first + window.prompt] - seconds[window.first]
        assert 10 - step - 1e-6 <= carried <= 10 + 1e-6


def test_a_short_cue_is_one_window_without_prompt() -> None:
    (window,) = plan_windows(np.arange(101) * 0.15)
    assert (window.first, window.prompt, window.last) == (0, 0, 100)


def test_a_prompt_as_long_as_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="can't hold"):
        plan_windows(np.arange(10.0), window_seconds=5, prompt_seconds=5)

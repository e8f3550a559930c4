from __future__ import annotations

import pytest

from gvm_plugin.progress import STAGES, StageBar, share_of_film


def test_a_films_share_rises_from_nothing_to_all() -> None:
    shares = [share_of_film(stage, share) for stage in STAGES for share in (0.0, 0.5, 1.0)]
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


def test_the_time_left_is_that_of_the_pace_since_the_first_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute of reading weights, then a tenth every ten seconds: what was read isn't counted into the pace."""
    now = 0.0
    monkeypatch.setattr("gvm_plugin.progress.time.monotonic", lambda: now)
    bar = StageBar()
    assert bar._left("generate", 0.0) == ""
    now = 60.0
    assert bar._left("generate", 0.01) == ""
    told = []
    for tenth in range(1, 10):
        now = 60.0 + 10 * tenth
        told.append(bar._left("generate", 0.01 + tenth / 10))
    assert told[1:3] == [", 79 s left", ", 69 s left"]
    assert told[-1] == "", "less than ten seconds isn't worth a word"
    now = 1000.0
    assert bar._left("mix", 0.0) == ""
    now = 1600.0
    assert bar._left("mix", 0.1) == ""  # the first share is where counting starts
    now = 2200.0
    assert bar._left("mix", 0.2) == ", 80 min left"

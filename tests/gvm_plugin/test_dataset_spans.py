"""What becomes of a film's time: every second is in a pair or dropped with a reason."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvm_plugin.dataset.options import BuildOptions
from gvm_plugin.dataset.spans import NO_MUSIC, SPEECH, TEXT, TOO_SHORT, intersect, plan_pieces, share, subtract
from gvm_plugin.timeline import Span

spans = st.lists(st.tuples(st.floats(0, 200), st.floats(0.1, 60)), max_size=6).map(
    lambda rows: subtract([Span(0, 400)], subtract([Span(0, 400)], [Span(a, a + b) for a, b in rows]))
)


def test_a_film_full_of_music_is_cut_from_its_beginning() -> None:
    plan = plan_pieces(100, [Span(0, 100)], [], [], BuildOptions())
    assert plan.pieces == (Span(0, 30), Span(30, 60), Span(60, 90))
    assert [(each.span, each.why) for each in plan.dropped] == [(Span(90, 100), TOO_SHORT)]


def test_speech_and_captions_are_left_out() -> None:
    plan = plan_pieces(200, [Span(0, 160)], [Span(40, 45), Span(100, 100.3)], [Span(80, 90)], BuildOptions())
    assert plan.pieces == (Span(0, 30), Span(45.25, 75.25), Span(90, 120), Span(120, 150))
    why = {each.why: each.span for each in plan.dropped if each.span.duration > 3}
    assert why == {
        TOO_SHORT: Span(150, 160), SPEECH: Span(39.75, 45.25), TEXT: Span(80, 90), NO_MUSIC: Span(160, 200)
    }  # fmt: skip


def test_a_piece_with_many_blips_of_speech_is_left_out() -> None:
    blips = [Span(at, at + 0.3) for at in range(2, 28, 4)]
    assert not plan_pieces(30, [Span(0, 30)], blips, [], BuildOptions()).pieces
    assert plan_pieces(30, [Span(0, 30)], blips[:1], [], BuildOptions()).pieces


def test_checks_that_arent_asked_for_drop_nothing() -> None:
    plan = plan_pieces(60, [], [Span(0, 60)], [Span(0, 60)], BuildOptions(), checks=())
    assert len(plan.pieces) == 2 and not plan.dropped


def test_short_rests_are_kept_if_asked_for() -> None:
    plan = plan_pieces(45, [Span(0, 45)], [], [], BuildOptions(shortest=10))
    assert plan.pieces == (Span(0, 30), Span(30, 45))


@given(st.floats(1, 400), spans, spans, spans, st.sampled_from([None, 2.0, 10.0]))
def test_pieces_and_what_is_dropped_tile_the_film(
    duration: float,
    music: tuple[Span, ...],
    speech: tuple[Span, ...],
    text: tuple[Span, ...],
    shortest: float | None,
) -> None:
    options = BuildOptions(shortest=shortest)
    plan = plan_pieces(duration, music, speech, text, options)
    together = sorted([*plan.pieces, *(each.span for each in plan.dropped)])
    assert sum(span.duration for span in together) == pytest.approx(duration, abs=1e-4)
    assert all(a.end <= b.start + 1e-6 for a, b in pairwise(together))
    for piece in plan.pieces:
        assert options.least - 1e-6 <= piece.duration <= options.seconds + 1e-6
        assert share(piece, music) == pytest.approx(1, abs=1e-6)
        assert not any(piece.overlap(each) > 1e-6 for each in text if each.duration >= 3)
        assert not any(piece.overlap(each) > 1e-6 for each in speech if each.duration >= 0.4)


def test_sets_of_spans() -> None:
    assert intersect([Span(0, 10), Span(20, 30)], [Span(5, 25)]) == (Span(5, 10), Span(20, 25))
    assert subtract([Span(0, 10)], [Span(2, 3), Span(9, 12)]) == (Span(0, 2), Span(3, 9))


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": 1}, {"shortest": 40}, {"side": 8}, {"crf": 60}, {"test_share": 1.0}, {"checks": ("noise",)},
        {"features": ("clap",)}, {"clips": False}, {"music": False}, {"type": "opera"},
    ],
)  # fmt: skip
def test_settings_that_cant_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        BuildOptions(**wrong)  # type: ignore[arg-type]

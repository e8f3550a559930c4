"""The choice among takes: better figures win, faulty takes don't, ties go to the first, and what was done is said."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvm_plugin.choose import HALVES, SPREADS, Choice, TakeFigures, choose, notes, ranked, scored

number = st.floats(-3, 3).map(lambda value: round(value, 3))


def take(index: int, **figures: object) -> TakeFigures:
    return TakeFigures(index, **figures)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SPREADS)
def test_a_better_figure_is_a_better_score_whatever_it_measures(name: str) -> None:
    spread, sign = SPREADS[name]
    base = take(1, cmr=0.5, ta=0.4, activity_energy_r=0.5, cut_accent_lift=1.5, hit_error_ms=20.0)
    better = replace(base, number=2, **{name: getattr(base, name) + sign * spread})
    one, two = scored([base, better])
    assert one.score is not None and two.score is not None
    half = next(half for half in HALVES if name in half)
    assert two.score - one.score == pytest.approx(1 / len(half) / 2, abs=2e-4)


def test_a_figure_that_one_take_lacks_counts_for_none() -> None:
    with_hits, without = take(1, activity_energy_r=0.2, hit_error_ms=1.0), take(2, activity_energy_r=0.3)
    assert [t.number for t in ranked(scored([with_hits, without]))] == [2, 1]


def test_a_silent_take_that_is_rejected_leaves_the_others_their_figures() -> None:
    mute = take(1, activity_energy_r=0.9, faults=("it is all but silent",), severity=10.0)
    poor, good = take(2, cmr=0.2, ta=0.1, activity_energy_r=0.1), take(3, cmr=0.6, ta=0.7, activity_energy_r=0.1)
    takes = scored([mute, poor, good])
    assert takes[0].score is None and None not in (takes[1].score, takes[2].score)
    choice = choose("A", takes, "best")
    assert (choice.take, choice.by) == (3, "best")
    rejected = [replace(one, faults=("it clicks",)) for one in (poor, good)]
    assert [one.score is None for one in scored([mute, *rejected])] == [False] * 3  # by what all have


def test_without_figures_there_is_no_score_and_the_first_is_taken() -> None:
    takes = scored([take(1), take(2)])
    assert [t.score for t in takes] == [None, None]
    choice = choose("A", takes, "best")
    assert (choice.take, choice.by, notes(choice)) == (1, "first", ())


def test_of_equals_the_first_is_taken() -> None:
    assert choose("A", scored([take(3, ta=0.5), take(2, ta=0.5), take(4, ta=0.5)]), "best").take == 2


def test_the_best_that_passed_is_taken_and_the_rejected_one_told() -> None:
    takes = scored([take(1, ta=0.3), take(2, ta=0.9, faults=("it clicks",), severity=2.0), take(3, ta=0.5)])
    choice = choose("A", takes, "best")
    assert (choice.take, choice.by, choice.why) == (3, "best", "the best of the 2 that passed")
    assert notes(choice) == ("cue A: take 2 rejected: it clicks; take 3 is used",)


def test_the_first_that_passed_is_taken_where_the_first_is_asked_for() -> None:
    takes = [take(1, ta=0.3, faults=("it clicks",), severity=2.0), take(2, ta=0.1), take(3, ta=0.9)]
    choice = choose("A", takes, "first")
    assert (choice.take, choice.by, choice.why) == (2, "first", "the first that passed")


def test_where_all_are_faulty_the_least_bad_is_kept_and_shouted_about() -> None:
    takes = [take(n, faults=(f"fault {n}",), severity=s) for n, s in ((1, 4.0), (2, 1.5), (3, 1.5))]
    choice = choose("A", takes, "best")
    assert (choice.take, choice.by) == (2, "last resort")
    (line,) = notes(choice)
    assert "KEPT TAKE 2 ALTHOUGH fault 2 (all 3 takes are faulty)" in line
    assert "--seed" in line


def test_a_persons_own_take_is_complained_of_and_kept() -> None:
    choice = Choice("A", 2, "hand", "chosen in the cue sheet", (take(2, faults=("it clicks",), severity=1.0),))
    (line,) = notes(choice)
    assert "take 2 was chosen in the cue sheet and is kept, although it clicks" in line
    assert "take: auto" in line
    assert notes(replace(choice, takes=(take(2),))) == ()


def test_a_take_that_is_kept_is_complained_of_and_says_how_to_get_another() -> None:
    known = (take(1, faults=("it clicks",)), take(2, faults=("its key clashes",)))
    (line,) = notes(Choice("A", 2, "kept", "the first", known))
    assert line == "cue A: take 2 is kept as it was, although its key clashes; with take: auto gvm chooses again"
    (line,) = notes(Choice("A", 2, "kept", "the first", (known[0], take(2))))
    assert line == "cue A: take 1 rejected: it clicks; take 2 is used"


def test_a_choice_is_plain_values_for_the_sheet() -> None:
    takes = scored([take(1, ta=0.3, faults=("it clicks", "it ends")), take(2, ta=0.5)])
    said = choose("A", takes, "best").to_json()
    assert json.loads(json.dumps(said)) == said
    assert said["take"] == 2
    assert said["takes"][0]["rejected"] == "it clicks, it ends"
    assert "cmr" not in said["takes"][0] and said["takes"][1]["ta"] == 0.5


figures = st.fixed_dictionaries(dict.fromkeys(SPREADS, number))
several = st.lists(figures, min_size=1, max_size=6)


@given(several)
def test_the_order_in_which_takes_come_decides_nothing(values: list[dict[str, float]]) -> None:
    takes = [take(n, **each) for n, each in enumerate(values, 1)]
    assert choose("A", scored(takes), "best").take == choose("A", scored(takes[::-1]), "best").take


@given(several, st.integers(0, 5))
def test_a_take_that_is_better_in_everything_wins(values: list[dict[str, float]], place: int) -> None:
    place = min(place, len(values) - 1)
    top = {n: max(sign * each[n] for each in values) * sign + sign * 0.1 for n, (_, sign) in SPREADS.items()}
    takes = [take(n, **(top if n == place + 1 else each)) for n, each in enumerate(values, 1)]
    assert choose("A", scored(takes), "best").take == place + 1


@given(several, st.sampled_from(sorted(SPREADS)), number)
def test_only_differences_among_takes_of_a_cue_matter(values: list[dict[str, float]], name: str, shift: float) -> None:
    takes = [take(n, **each) for n, each in enumerate(values, 1)]
    moved = [replace(one, **{name: getattr(one, name) + shift * SPREADS[name][0]}) for one in takes]
    before, after = ([one.score or 0.0 for one in scored(some)] for some in (takes, moved))
    differences = [b - a for a, b in zip(before, after, strict=True)]
    assert max(differences) - min(differences) < 1e-3

"""No film is on both sides, whatever comes, and none moves when others are added."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from gvm_plugin.dataset.split import SLACK, TEST, TRAIN, Film, assign_sides, group_films

SHARE = 0.15


def film(number: int, seconds: float = 300.0, said: str | None = None) -> Film:
    return Film(f"key{number:04}", hashlib.sha256(str(number).encode()).hexdigest(), seconds, said)


def sides_of(films: list[Film], known: dict[str, str] | None = None, same: list[tuple[str, str]] | None = None):
    groups = group_films([each.key for each in films], same or [])
    return assign_sides(films, groups, known or {}, SHARE), groups


films = st.dictionaries(st.integers(0, 9999), st.floats(30, 7200), min_size=1, max_size=60).map(
    lambda given: [film(number, seconds) for number, seconds in given.items()]
)


@given(films, st.data())
def test_copies_of_a_film_are_on_one_side_and_added_films_move_no_other(
    chosen: list[Film], data: st.DataObject
) -> None:
    keys = [each.key for each in chosen]
    same = data.draw(st.lists(st.tuples(st.sampled_from(keys), st.sampled_from(keys)), max_size=8))
    before, groups = sides_of(chosen, same=same)
    assert set(before) == set(keys)
    for one in keys:
        for other in keys:
            assert groups[one] != groups[other] or before[one] == before[other] is not None
    added = data.draw(films)
    more = [*chosen, *(each for each in added if each.key not in keys)]
    known = {key: side for key, side in before.items() if side is not None}
    after, groups = sides_of(more, known=known, same=same)
    assert {key: after[key] for key in keys} == before
    assert after == sides_of(list(reversed(more)), known=known, same=same)[0]


@given(films)
def test_both_sides_have_films_wherever_there_are_two(chosen: list[Film]) -> None:
    sides, _ = sides_of(chosen)
    assert set(sides.values()) == {TRAIN, TEST} if len(chosen) > 1 else len(set(sides.values())) == 1


def test_many_films_come_out_near_to_the_share_by_their_hashes_alone() -> None:
    chosen = [film(number) for number in range(400)]
    sides, _ = sides_of(chosen)
    share = sum(side == TEST for side in sides.values()) / len(chosen)
    assert abs(share - SHARE) < SLACK * SHARE
    # in a fresh data set too: half of the films lie where they lay among all of them
    half, _ = sides_of(chosen[::2])
    assert {key: sides[key] for key in half} == half


def test_few_films_are_balanced() -> None:
    for start in range(0, 200, 7):
        sides, _ = sides_of([film(number) for number in range(start, start + 7)])
        assert list(sides.values()).count(TEST) == 1


def test_what_a_data_set_says_of_its_own_sides_is_kept() -> None:
    chosen = [film(1, said=TEST), film(2, said=TRAIN), film(3, said=TRAIN), film(4, said=TEST)]
    assert sides_of(chosen)[0] == {each.key: each.said for each in chosen}
    # a film of which one copy is a test film is no training film
    together, _ = sides_of(chosen, same=[("key0001", "key0002")])
    assert together["key0002"] == TEST


def test_a_copy_of_films_on_both_sides_stays_out() -> None:
    known = {"key0001": TRAIN, "key0002": TEST}
    sides, _ = sides_of([film(1), film(2), film(3)], known=known, same=[("key0001", "key0003"), ("key0002", "key0003")])
    assert sides == {**known, "key0003": None}

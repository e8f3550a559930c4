"""Nobody gains from the place in which he is heard."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from gvm_plugin.evaluate.listening_orders import sample_orders, series_orders, williams_design


@pytest.mark.parametrize("count", range(1, 8))
def test_a_williams_design_is_balanced_in_place_and_in_what_comes_before(count: int) -> None:
    rows = williams_design(count)
    assert len(rows) == (count if count % 2 == 0 or count == 1 else 2 * count)
    places = Counter((place, number) for row in rows for place, number in enumerate(row))
    assert set(places.values()) == {len(rows) // count} and len(places) == count**2
    neighbours = Counter(pair for row in rows for pair in pairwise(row))
    assert len(neighbours) == count * (count - 1) and len(set(neighbours.values())) <= 1


@pytest.mark.parametrize(("films", "systems"), [(12, 2), (7, 3), (10, 4), (5, 5), (1, 2)])
def test_forty_listeners_hear_every_sample_once_and_no_system_earlier_than_another(films: int, systems: int) -> None:
    orders = sample_orders(films, systems, 40, seed=5)
    everything = {(film, system) for film in range(films) for system in range(systems)}
    assert len(orders) == 40 and all(len(order) == len(everything) and set(order) == everything for order in orders)
    rows = len(williams_design(systems))
    whole = orders[: 40 - 40 % rows]  # of every block of listeners each place has every system equally often, exactly
    for place in range(films * systems):
        heard = Counter(order[place][1] for order in whole)
        assert set(heard.values()) == {len(whole) // systems}
        assert max(Counter(order[place][1] for order in orders).values()) <= 40 / systems + rows / 2
    for film in range(films):
        first = Counter(next(system for seen, system in order if seen == film) for order in whole)
        assert set(first.values()) == {len(whole) // systems}


def test_a_film_never_follows_itself_and_rounds_hold_every_film_once() -> None:
    for order in sample_orders(6, 3, 60, seed=1):
        assert all(one[0] != other[0] for one, other in pairwise(order))
        for start in (0, 6, 12):
            assert {film for film, _ in order[start : start + 6]} == set(range(6))


def test_systems_are_mixed_within_a_round() -> None:
    for order in sample_orders(12, 3, 12, seed=2):
        assert set(Counter(system for _, system in order[:12]).values()) == {4}


def test_listeners_differ_and_the_same_seed_draws_the_same() -> None:
    orders = sample_orders(12, 2, 40, seed=3)
    assert len(set(orders)) == 40
    assert orders == sample_orders(12, 2, 40, seed=3) != sample_orders(12, 2, 40, seed=4)


def test_series_come_in_every_place_equally_often() -> None:
    orders = series_orders(4, 40, seed=0)
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert set(Counter(order[0] for order in orders).values()) == {10}
    with pytest.raises(ValueError, match="one at least"):
        williams_design(0)

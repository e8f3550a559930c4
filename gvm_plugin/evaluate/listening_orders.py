"""In which order each listener hears what: balanced over listeners, so that no system gains from its place. Pure.

A listener hears every film with every system, in as many rounds as there are systems; in each round every film comes
once. Which system a film has in which round is a row of a Williams design: over the rows every system comes in every
round equally often, and (for two rounds in a row) after every other system equally often.

                  round 1                        round 2
    listener 1    film 3: A   film 1: B  ...     film 1: A   film 3: B  ...      the films' order is drawn anew for
    listener 2    film 3: B   film 1: A  ...     film 1: B   film 3: A  ...      every block of listeners that together
                                                                                 have had all rows (here: two)

So over a block every place of the sequence has every system equally often, exactly.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

Sample = tuple[int, int]  # (film, system)


def williams_design(count: int) -> list[tuple[int, ...]]:
    """Rows that are orders of 0..count-1: `count` of them where it is even, else twice as many.

    Every number stands in every place equally often, and directly after every other number equally often.
    (E. J. Williams, Australian Journal of Scientific Research A 2, 1949.)
    """
    if count < 1:
        raise ValueError(f"a design for {count} systems; there has to be one at least")
    zigzag = [index // 2 + 1 if index % 2 else -index // 2 for index in range(count)]  # 0, 1, -1, 2, -2 ...
    rows = [tuple((step + shift) % count for step in zigzag) for shift in range(count)]
    return rows if count % 2 == 0 or count == 1 else [*rows, *(row[::-1] for row in rows)]


def sample_orders(films: int, systems: int, listeners: int, seed: int) -> list[tuple[Sample, ...]]:
    """For each of `listeners` the order of all films x systems samples. The same film never comes twice running.

    (With one film alone it has to.)
    """
    rows = williams_design(systems)
    draw = random.Random(seed)
    orders: list[tuple[Sample, ...]] = []
    while len(orders) < listeners:
        shifts = _spread(films, len(rows), draw)
        rounds = _rounds(films, systems, draw)
        for number in range(len(rows)):
            orders.append(
                tuple(
                    (film, rows[(number + shifts[film]) % len(rows)][place])
                    for place, order in enumerate(rounds)
                    for film in order
                )
            )
    return orders[:listeners]


def series_orders(systems: int, listeners: int, seed: int) -> list[tuple[int, ...]]:
    """For each of `listeners` the order in which the systems' series come: rows of the design, in blocks."""
    rows = williams_design(systems)
    draw = random.Random(seed)
    orders: list[tuple[int, ...]] = []
    while len(orders) < listeners:
        orders += draw.sample(rows, len(rows))
    return orders[:listeners]


def _spread(films: int, rows: int, draw: random.Random) -> Sequence[int]:
    """A row for each film, every row for about as many films."""
    shifts = [film % rows for film in range(films)]
    draw.shuffle(shifts)
    return shifts


def _rounds(films: int, systems: int, draw: random.Random) -> list[list[int]]:
    """An order of the films for each round; no round begins with the film that the one before ended with."""
    rounds: list[list[int]] = []
    for _ in range(systems):
        order = draw.sample(range(films), films)
        if rounds and films > 1 and order[0] == rounds[-1][-1]:
            order[0], order[-1] = order[-1], order[0]
        rounds.append(order)
    return rounds

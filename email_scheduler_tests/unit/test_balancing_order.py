"""Choosing the first of many without sorting all of them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from email_scheduler.planning.rules.balancing import first_in_order

rows = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 3)), max_size=40)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(rows=rows, share=st.floats(0, 1))
def test_the_first_ones_are_those_of_a_sort(rows: list[tuple[int, int, int]], share: float) -> None:
    # the last column tells any two rows apart
    rows = [(*row, number) for number, row in enumerate(rows)]
    np.random.default_rng(len(rows)).shuffle(rows)
    count = round(share * len(rows))
    columns = [np.array([row[key] for row in rows]) for key in range(4)]
    chosen = first_in_order(len(rows), count, *(lambda at, c=column: c[at] for column in columns))
    expected = sorted(range(len(rows)), key=lambda position: tuple(rows[position]))[:count]
    assert sorted(chosen.tolist()) == sorted(expected)


def test_a_key_is_asked_only_about_those_that_are_tied_at_the_border() -> None:
    asked = []

    def second_key(at: np.ndarray) -> np.ndarray:
        asked.extend(at.tolist())
        return np.array([3, 2, 1, 0, 0])[at]

    chosen = first_in_order(5, 2, lambda at: np.array([0, 1, 1, 2, 2])[at], second_key)
    assert sorted(chosen.tolist()) == [0, 2]
    assert asked == [1, 2]


def test_none_and_all_are_chosen_without_asking() -> None:
    def never(at: np.ndarray) -> np.ndarray:
        raise AssertionError

    assert first_in_order(3, 0, never).tolist() == []
    assert sorted(first_in_order(3, 3, never).tolist()) == [0, 1, 2]

"""A cube counts what a slow count over the rows does, however the rows are split into parts."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_scheduler.planning.cube import Axis, Cube

TYPES = ("birthday", "aep", "campaign_promo")
Rows = list[tuple[str | None, int, bool]]
ROWS = st.lists(
    st.tuples(
        st.sampled_from([*TYPES, None]),
        st.one_of(st.integers(-3, 3), st.sampled_from([-(2**40), 2**40])),
        st.booleans(),
    ),
    max_size=30,
)


def cube_of(rows: Rows, names: tuple[str, ...] = TYPES) -> Cube:
    types = pd.Categorical([row[0] for row in rows], categories=list(names))
    return Cube.count(
        {
            "email_type": Axis.of_labels(pd.Series(types)),
            "day": Axis.of_numbers(np.array([row[1] for row in rows], np.int64)),
            "status": Axis.of_flags(np.array([row[2] for row in rows], np.bool_), "goes", "stays"),
        }
    )


def slowly(rows: Rows) -> Counter[tuple[object, ...]]:
    return Counter((email_type, day, "goes" if goes else "stays") for email_type, day, goes in rows)


@given(ROWS)
def test_a_cube_is_what_counting_the_rows_one_by_one_gives(rows: Rows) -> None:
    cube = cube_of(rows)
    assert dict(cube.cells()) == slowly(rows)
    assert cube.total == len(rows)
    assert cube.counts_by("day") == Counter(day for _, day, _ in rows)
    assert list(cube.counts_by("day")) == sorted({day for _, day, _ in rows})
    by_type = cube.where(status="goes").table("email_type", "day")
    assert {(name, day): count for name, days in by_type.items() for day, count in days.items()} == (
        Counter((email_type, day) for email_type, day, goes in rows if goes)
    )
    frequent = cube.most_frequent("email_type")
    assert sorted(frequent.values(), reverse=True) == list(frequent.values())
    assert cube.from_number("day", -3, 7) == [sum(row[1] == day for row in rows) for day in range(-3, 4)]
    few = cube.where(email_type=("aep", None))
    assert few.total == sum(row[0] in {"aep", None} for row in rows)


@given(ROWS, st.integers(0, 30), st.integers(0, 30))
def test_the_cube_of_all_rows_is_the_sum_of_the_cubes_of_its_parts(rows: Rows, one: int, other: int) -> None:
    first, last = sorted((one, other))
    # each part may know its labels in an order of its own
    parts = [
        cube_of(rows[:first], TYPES[::-1]),
        cube_of(rows[first:last]),
        cube_of(rows[last:], (*TYPES[1:], TYPES[0], "post_window")),
    ]
    whole = cube_of(rows)
    assert Cube.sum(parts) == whole
    assert parts[0] + parts[1] + parts[2] == whole
    assert whole - parts[2] == parts[0] + parts[1]
    assert whole - whole == Cube.empty("email_type", "day", "status")
    assert (parts[0] + parts[1]).by("day") == parts[0].by("day") + parts[1].by("day")


@given(ROWS)
def test_a_cube_can_be_kept_as_json_and_counts_together_what_gets_one_name(rows: Rows) -> None:
    cube = cube_of(rows)
    assert Cube.of_document(json.loads(json.dumps(cube.document()))) == cube
    assert Cube.of_cells(list(cube.legends), dict(cube.cells())) == cube
    small = cube.renamed("day", lambda day: "late" if isinstance(day, int) and day > 0 else "in time")
    assert small.counts_by("day") == Counter("late" if row[1] > 0 else "in time" for row in rows)


def test_cubes_of_other_axes_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="other axes than day"):
        Cube.empty("day") + Cube.empty("state")

"""Working out the next of something while the present one is used."""

import threading
from collections.abc import Iterator

import pytest

from email_scheduler.database.connections.connection import prefetched


def test_all_items_arrive_in_their_order() -> None:
    assert list(prefetched([])) == []
    assert list(prefetched(range(100))) == list(range(100))


def test_the_next_item_is_worked_out_while_the_present_one_is_used() -> None:
    is_begun = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        is_begun.set()
        yield 2

    for item in prefetched(items()):
        assert item == 2 or is_begun.wait(10)


def test_an_error_is_raised_where_its_item_is_asked_for() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    arrived = []
    with pytest.raises(ValueError, match="no more"):
        arrived.extend(iter(prefetched(items())))
    several = prefetched(items())
    assert next(several) == 1
    with pytest.raises(ValueError, match="no more"):
        next(several)


def test_who_stops_early_gets_no_more() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    for item in prefetched(items()):
        if item == 3:
            break
    assert len(taken) <= 6

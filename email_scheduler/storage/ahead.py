"""Working out the next of something while the present one is used."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")


def ahead(items: Iterable[_T]) -> Iterator[_T]:
    """Yield the items in their order; while one is used, a thread works out the next.

    Nothing that ``items`` uses, such as a connection, may be used by anybody else until the last one has
    arrived. An error of ``items`` is raised where its item is asked for.
    """
    source = iter(items)

    def take() -> list[_T]:
        # a thread cannot hand on a StopIteration
        return [item for _, item in zip(range(1), source, strict=False)]

    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        waiting = thread.submit(take)
        while taken := waiting.result():
            waiting = thread.submit(take)
            yield taken[0]
            # a batch may be large: it is let go of before the next one arrives
            taken.clear()

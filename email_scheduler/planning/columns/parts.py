"""Working on a part of the contacts at a time: parts that fit the processor's cache, on all its cores.

Nothing here knows a rule. What is asked of a part must not depend on where the parts begin and end.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")

CONTACTS_AT_A_TIME = 1 << 17
# The most that work at once.
THREADS: Final = min(4, os.cpu_count() or 1)


def chunks(count: int) -> list[slice]:
    """Return the slices of at most ``CONTACTS_AT_A_TIME`` that ``count`` contacts are worked on in."""
    starts = range(0, max(count, 1), CONTACTS_AT_A_TIME)
    return [slice(start, min(start + CONTACTS_AT_A_TIME, count)) for start in starts]


def side_by_side(work: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
    """Return what ``work`` returns for each part, in their order; numpy lets several threads work at once."""
    parts = list(parts)
    if len(parts) <= 1 or THREADS == 1:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, parts))

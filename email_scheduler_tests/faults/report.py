"""How often the fault tests repeat a fault, and where they say what they saw.

The ordinary test run repeats each fault a few times. ``make faults`` repeats it often, and collects a row of
the table of docs/reliability.md from each test.
"""

import os
from collections.abc import Callable
from pathlib import Path

FULL_VARIABLE = "EMAIL_SCHEDULER_FAULTS"
REPORT_VARIABLE = "EMAIL_SCHEDULER_FAULTS_REPORT"


def repetitions(full: int, short: int) -> int:
    """Return how often a fault is repeated: ``full`` times with ``make faults``, else ``short`` times."""
    return full if os.environ.get(FULL_VARIABLE) else short


def record(fault: str, promise: str, what: str, seen: str) -> None:
    """Add a row to the table of faults, if one is asked for."""
    path = os.environ.get(REPORT_VARIABLE)
    if path:
        with Path(path).open("a") as report:
            report.write(f"| {fault} | {promise} | {what} | {seen} |\n")


def only_by_make_faults(test: Callable[..., None]) -> Callable[..., None] | None:
    """Leave a test that takes minutes out of the ordinary suite, where it is not even one that is skipped."""
    return test if repetitions(1, 0) else None

"""How often a fault is provoked, and the rows of the table of faults."""

import os
from pathlib import Path

_ALL = "EMAIL_SCHEDULER_FAULTS"
_REPORT = "EMAIL_SCHEDULER_FAULTS_REPORT"


def repetitions(full: int, short: int) -> int:
    """Return how often to try: ``full`` where ``make faults`` asks for it, else ``short``."""
    return full if os.environ.get(_ALL) else short


def record(fault: str, promise: str, what: str, seen: str) -> None:
    """Add a row to the table of faults, if a file is to hold it."""
    file = os.environ.get(_REPORT)
    if file:
        with Path(file).open("a", encoding="utf-8") as table:
            table.write(f"| {fault} | {promise} | {what} | {seen} |\n")

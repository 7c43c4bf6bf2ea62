"""What the tests of faults report, and how often they repeat themselves."""

import os
from pathlib import Path

FULL_VARIABLE = "EMAIL_SCHEDULER_FAULTS"
REPORT_VARIABLE = "EMAIL_SCHEDULER_FAULTS_REPORT"


def repetitions(full: int, short: int) -> int:
    """Return how often a fault is tried: ``full`` times by ``make faults``, else ``short`` times."""
    return full if os.environ.get(FULL_VARIABLE) else short


def record(fault: str, promise: str, what: str, seen: str) -> None:
    """Add a row to the table of docs/reliability.md, if somebody asks for it."""
    file = os.environ.get(REPORT_VARIABLE)
    if file:
        with Path(file).open("a") as report:
            report.write(f"| {fault} | {promise} | {what} | {seen} |\n")

"""One row for each occurrence; one follow-up for each contact and each initial email (sections 1 and 10)."""

import numpy as np
import numpy.typing as npt

from email_scheduler.planning.compliance.columns import FOLLOW_UP
from email_scheduler.planning.compliance.days import Flags, Ids, repeats
from email_scheduler.planning.compliance.plan_rows import PlanRows
from email_scheduler.planning.compliance.report import Report


def check_duplicates(rows: PlanRows, contact_ids: Ids, report: Report) -> None:
    """Report every row whose occurrence another row before it has; ``contact_ids`` are those of the rows."""
    columns: list[npt.NDArray[np.integer]] = [contact_ids, rows.type_codes, rows.instance, rows.event]
    order = None if _ascend(columns) else np.lexsort(columns[::-1])
    if order is not None:
        columns = [column[order] for column in columns]
    again = np.ones(max(len(rows.who) - 1, 0), dtype=bool)
    for column in columns:
        again &= column[1:] == column[:-1]
    repeated = np.flatnonzero(again) + 1
    if order is not None:
        repeated = np.sort(order[repeated])
    report.rows("duplicate_occurrence", repeated[rows.kind[repeated] != FOLLOW_UP])

    follow_ups = np.flatnonzero(rows.kind == FOLLOW_UP)
    is_second = repeats(contact_ids[follow_ups]) | repeats(rows.initial[follow_ups])
    report.rows(
        "duplicate_occurrence", follow_ups[is_second], "one follow-up for each contact and initial email"
    )


def _ascend(columns: list[npt.NDArray[np.integer]]) -> bool:
    """Return whether the rows ascend by the columns, the first of them first; equal rows may follow."""
    ascends: Flags = np.ones(max(len(columns[0]) - 1, 0), dtype=bool)
    for column in reversed(columns):
        ascends = (column[1:] > column[:-1]) | ((column[1:] == column[:-1]) & ascends)
    return bool(ascends.all())

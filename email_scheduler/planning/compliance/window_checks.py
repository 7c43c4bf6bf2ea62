"""No email that exclusion windows bind goes out on an excluded day, nor beyond one (sections 5, 6 and 9)."""

import numpy as np

from email_scheduler.planning.compliance.columns import FOLLOW_UP
from email_scheduler.planning.compliance.plan_rows import PlanRows
from email_scheduler.planning.compliance.report import Report
from email_scheduler.planning.compliance.windows import ALLOWED, REASONS, ReasonCodes, Windows


def check_windows(
    as_of: int, windows: Windows, rows: PlanRows, ideal_reasons: ReasonCodes, report: Report
) -> None:
    """Report planned emails that are bound by windows and stand on, or behind, an excluded day.

    ``ideal_reasons`` says of every row why its ideal date is excluded for it, ALLOWED where it is not.
    """
    bound = np.flatnonzero(rows.is_planned & rows.is_bound & (rows.who >= 0))
    bound = bound[windows.bind(rows.who[bound])]
    reasons = windows.reasons(rows.who[bound], rows.send[bound])
    is_excluded = reasons != ALLOWED
    found = bound[is_excluded]
    texts = np.array(["", *REASONS.values()], dtype=object)[reasons[is_excluded]]
    states = np.array(windows.states, dtype=object)[windows.states_of(rows.who[found])]
    report.rows("excluded_day", found, texts + " in " + states)

    meant = bound[~is_excluded & rows.is_known[bound] & (rows.kind[bound] != FOLLOW_UP)]
    is_excluded = ideal_reasons[meant] != ALLOWED
    report.rows("excluded_ideal_date", meant[is_excluded])
    meant = meant[~is_excluded & (rows.send[meant] <= rows.deadline[meant]) & (rows.send[meant] >= as_of)]
    is_early = rows.send[meant] < rows.ideal[meant]
    early, other = meant[is_early], meant[~is_early]
    across = windows.touch(rows.who[early], rows.send[early], rows.ideal[early])
    report.rows("across_window", early[across])

    start = np.maximum(rows.ideal[other], as_of)
    is_late = rows.send[other] > start
    late, start = other[is_late], start[is_late]
    first = windows.next_allowed(rows.who[late], start, rows.send[late])
    report.rows("across_window", late[windows.touch(rows.who[late], first, rows.send[late])])

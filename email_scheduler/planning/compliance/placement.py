"""Where the emails of a plan stand: their dates, deadlines and closed days (sections 6 to 10)."""

import numpy as np
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.compliance.columns import (
    EFFECTIVE_DATE,
    FOLLOW_UP,
    codes_of,
    per_text,
)
from email_scheduler.planning.compliance.days import ClosedDays, number_of, texts_of
from email_scheduler.planning.compliance.plan_rows import PlanRows
from email_scheduler.planning.compliance.report import Report


def check_dates(
    as_of: int, rows: PlanRows, adjustment: pd.Series, config: SchedulerConfig, report: Report
) -> None:
    """Report emails before the plan's day, before their ideal date, after their deadline, on closed days."""
    closed = ClosedDays(config)
    planned = np.flatnonzero(rows.is_planned & (rows.who >= 0))
    report.rows("before_as_of", planned[rows.send[planned] < as_of])
    if closed.exist:
        report.rows("closed_day", planned[closed.contain(rows.send[planned])])
    known = planned[rows.is_known[planned]]
    late = known[rows.send[known] > rows.deadline[known]]
    report.rows("after_deadline", late, texts_of(rows.deadline[late], "the deadline is "))

    adjustments = codes_of(adjustment)
    forward = per_text(adjustments, [name == "brought_forward" for name in adjustments[1]], False, np.bool_)
    early = known[rows.send[known] < rows.ideal[known]]
    is_allowed = (rows.kind[early] == EFFECTIVE_DATE) & (
        rows.ideal[early] - rows.send[early] <= smoothing_days(config)
    )
    # an email is brought forward to the last open day before its ideal date
    is_allowed |= forward[early] & (closed.next_open(rows.send[early] + 1) > rows.ideal[early])
    early = early[~is_allowed]
    report.rows("before_ideal_date", early, texts_of(rows.ideal[early], "the ideal date is "))

    known = np.flatnonzero(rows.is_known)
    wrong = known[rows.stated_ideal[known] != rows.ideal[known]]
    report.rows("wrong_ideal_date", wrong, texts_of(rows.ideal[wrong], "the ideal date is "))
    if config.go_live_date:
        is_too_old = rows.ideal[known] < number_of(config.go_live_date)
        report.rows("before_go_live", known[is_too_old & (rows.kind[known] != FOLLOW_UP)])


def smoothing_days(config: SchedulerConfig) -> int:
    """Return how far smoothing may move an effective-date email (section 9, rule 5)."""
    is_smoothing = config.features.enable_load_balancing
    return config.load_balancing.ed_smoothing_window_days if is_smoothing else 0

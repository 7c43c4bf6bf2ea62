"""The proof of a plan: whether it keeps the planning rules, by arithmetic of its own.

Nothing here is shared with the planner: what both read wrongly in the same way would be proved right. The
configuration and the frames are all that they have in common.
"""

import numpy as np
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.compliance.campaign_book import read_campaign_book
from email_scheduler.planning.compliance.campaign_targets import check_campaigns
from email_scheduler.planning.compliance.columns import FOLLOW_UP, FOREIGN, ContactPositions
from email_scheduler.planning.compliance.contact_limits import CampaignDays, Frequency
from email_scheduler.planning.compliance.days import number_of
from email_scheduler.planning.compliance.duplicates import check_duplicates
from email_scheduler.planning.compliance.initial_emails import check_follow_ups
from email_scheduler.planning.compliance.placement import check_dates
from email_scheduler.planning.compliance.plan_rows import PlanRows, read_plan_rows
from email_scheduler.planning.compliance.promises import check_promises
from email_scheduler.planning.compliance.report import RULES, Report
from email_scheduler.planning.compliance.senders import read_sender_rows
from email_scheduler.planning.compliance.series import check_series, read_series
from email_scheduler.planning.compliance.skip_reasons import SkipReasons
from email_scheduler.planning.compliance.suppressed import check_suppressed
from email_scheduler.planning.compliance.volume import check_daily_volume
from email_scheduler.planning.compliance.window_checks import check_windows
from email_scheduler.planning.compliance.windows import ReasonCodes, Windows
from email_scheduler.planning.frames import CONTACTS, EMAIL_SCHEDULES, PlanInputs

__all__ = ["RULES", "find_violations"]


def find_violations(
    inputs: PlanInputs, contacts: pd.DataFrame, schedules: pd.DataFrame, config: SchedulerConfig
) -> pd.DataFrame:
    """Return what in a plan breaks the planning rules; nothing in a plan that may be published.

    Args:
        inputs: What the plan was made from.
        contacts: The valid contacts (``CONTACTS``).
        schedules: The plan (``EMAIL_SCHEDULES``), in any order.
        config: The organisation's configuration.

    Returns:
        ``VIOLATIONS``: one row for each row of the plan and rule of ``RULES`` that it breaks, for each
        occurrence that the plan does not account for, and for each day that is over its limit; in the order
        of ``RULES``.

    Raises:
        InputDataError: ``contacts`` or ``schedules`` do not keep the contract of their frame.
    """
    CONTACTS.check(contacts)
    EMAIL_SCHEDULES.check(schedules)
    as_of = number_of(inputs.as_of)
    report = Report(schedules)
    positions = ContactPositions(contacts)
    windows = Windows(contacts, config)
    senders = read_sender_rows(inputs.history, positions)
    rows = read_plan_rows(schedules, positions)
    book = read_campaign_book(as_of, inputs, config)

    _check_words(rows, report)
    check_duplicates(rows, schedules["contact_id"].to_numpy(), report)
    check_suppressed(as_of, inputs, positions, rows, report)

    series = read_series(as_of, windows, senders, config)
    check_series(series, rows, positions.ids, config, report)
    check_promises(as_of, series, windows, senders, rows, positions.ids, config, report)
    check_campaigns(as_of, book, inputs.contact_campaigns, positions, senders, rows, config, report)
    check_follow_ups(as_of, book, senders, rows, positions.ids, config, report)

    ideal_reasons = _ideal_reasons(windows, rows)
    check_dates(as_of, rows, schedules["adjustment"], config, report)
    check_windows(as_of, windows, rows, ideal_reasons, report)
    frequency = Frequency(as_of, senders, rows, config)
    campaign_days = CampaignDays(senders, rows)
    reasons = SkipReasons(as_of, windows, rows, ideal_reasons, schedules["skip_reason"], config)
    reasons.check(frequency, campaign_days, report)
    check_daily_volume(len(contacts), senders, rows, config, report)
    frequency.check(report)
    campaign_days.check(report)
    return report.frame()


def _check_words(rows: PlanRows, report: Report) -> None:
    """Report rows of unknown contacts, statuses and types."""
    report.rows("unknown_contact", np.flatnonzero(rows.who < 0))
    report.rows("unknown_status", np.flatnonzero(~rows.is_planned & ~rows.is_skipped))
    report.rows("unknown_occurrence", rows.of_kind(FOREIGN), "no type of the planning rules")


def _ideal_reasons(windows: Windows, rows: PlanRows) -> ReasonCodes:
    """Return why the ideal date of each row is excluded; ALLOWED for rows that this does not matter for.

    What windows do not bind, and follow-ups, are not skipped because of their ideal date.
    """
    reasons = np.zeros(len(rows.who), dtype=np.int8)
    known = np.flatnonzero(rows.is_known & rows.is_bound & (rows.kind != FOLLOW_UP))
    known = known[windows.bind(rows.who[known])]
    reasons[known] = windows.reasons(rows.who[known], rows.ideal[known])
    return reasons

"""How many emails a day takes (section 11)."""

import math
from fractions import Fraction

import numpy as np

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.compliance.columns import FOLLOW_UP
from email_scheduler.planning.compliance.days import Days
from email_scheduler.planning.compliance.plan_rows import PlanRows
from email_scheduler.planning.compliance.report import Report
from email_scheduler.planning.compliance.senders import SenderRows


def check_daily_volume(
    contact_count: int, senders: SenderRows, rows: PlanRows, config: SchedulerConfig, report: Report
) -> None:
    """Report the days that what is planned pushes over their limit.

    Live rows, waiting rows of unknown types and follow-ups are not moved, and may fill a day on their own.
    A day whose own emails stay within the limit takes as many as these; any other takes emails up to the cap
    only. So a day that takes any email at all holds, with what is fixed, no more than the larger of the cap
    and the whole part of the limit. Places kept for follow-ups to come only lower that.
    """
    if not config.features.enable_load_balancing:
        return
    balancing = config.load_balancing
    cap = max(1, math.floor(Fraction(balancing.daily_send_percentage_cap) * contact_count))
    most = max(cap, math.floor(Fraction(balancing.overage_threshold) * cap))
    is_follow_up = rows.kind == FOLLOW_UP
    days, placed = np.unique(rows.send[rows.is_planned & ~is_follow_up], return_counts=True)
    fixed = _count(rows.send[rows.is_planned & is_follow_up], days)
    fixed += _count(senders.send[senders.takes_a_place], days)
    over = np.flatnonzero(placed + fixed > most)
    details = [f"{placed[day]} planned, {fixed[day]} fixed, at most {most} in all" for day in over]
    report.days("daily_volume", days[over], details)


def _count(sends: Days, days: Days) -> np.ndarray:
    """Return how many of ``sends`` fall on each of the ascending ``days``."""
    ordered = np.sort(sends)
    return np.searchsorted(ordered, days, side="right") - np.searchsorted(ordered, days, side="left")

"""Which emails are lost because the days are full, and what would help."""

from decimal import ROUND_UP, Decimal

import numpy as np
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.frames import CAPACITY_SHORTFALL
from email_scheduler.planning.registry.reasons import DAILY_CAP_EXCEEDED
from email_scheduler.planning.send_calendar import OpenDays


def capacity_shortfall(
    balanced: pd.DataFrame, contact_count: int, cap: int, config: SchedulerConfig
) -> pd.DataFrame:
    """Return the emails that find no place, by email type, and about which cap would give them one.

    Args:
        balanced: ``BALANCED_SCHEDULES``.
        contact_count: Valid contacts.
        cap: The daily cap.
        config: The organisation's configuration.

    Returns:
        ``CAPACITY_SHORTFALL``, one row an email type that loses emails. ``sufficient_cap`` is an estimate:
        the cap plus the lost emails spread evenly over the open days that they compete for.
    """
    lost = balanced[balanced["skip_reason"] == DAILY_CAP_EXCEEDED]
    if lost.empty:
        return CAPACITY_SHORTFALL.empty()
    open_days = OpenDays(config.send_calendar)
    rows = []
    for email_type, emails in lost.groupby("email_type", observed=True):
        first, last = int(emails["first_date"].min()), int(emails["last_date"].max())
        days = int(open_days.is_open(np.arange(first, last + 1, dtype=np.int32)).sum())
        # every email that is placed keeps a place for its follow-up two days on, so that it takes two
        places = 2 if emails["expects_follow_up"].any() else 1
        needed = cap + -(-places * len(emails) // max(days, 1))
        share = (Decimal(needed) / contact_count).quantize(Decimal("0.001"), rounding=ROUND_UP)
        rows.append((email_type, len(emails), first, last, needed, str(min(share, Decimal(1)))))
    frame = pd.DataFrame(rows, columns=list(CAPACITY_SHORTFALL.columns))
    types = {"email_type": "category", "sufficient_percentage_cap": "str"}
    types |= dict.fromkeys(("emails", "first_date", "last_date", "sufficient_cap"), "int32")
    return CAPACITY_SHORTFALL.check(frame.astype(types))

"""How many emails go out on each day."""

import numpy as np
import pandas as pd

from email_scheduler.planning.registry.email_types import FOLLOW_UP_TYPES, PRE_SCHEDULED


def daily_volume(schedules: pd.DataFrame, fixed: pd.Series, first_day: int, days: int) -> list[int]:
    """Return how many emails go out, or have gone out, on each day from ``first_day`` on.

    Args:
        schedules: ``EMAIL_SCHEDULES``.
        fixed: Emails of each day that balancing could not move, planned follow-ups among them; the index
            holds day numbers.
        first_day: A day number.
        days: How many days.
    """
    is_movable = (schedules["status"] == PRE_SCHEDULED) & ~schedules["email_type"].isin(FOLLOW_UP_TYPES)
    sent = schedules.loc[is_movable, "scheduled_send_date"].to_numpy() - first_day
    placed = np.bincount(sent[(sent >= 0) & (sent < days)], minlength=days)
    kept = fixed.reindex(range(first_day, first_day + days), fill_value=0).to_numpy()
    return [int(count) for count in placed + kept]

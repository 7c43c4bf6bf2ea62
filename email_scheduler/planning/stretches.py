"""The excluded days of each contact as stretches, for people: what section 5 comes to in the time ahead."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config.schema import StateRules
from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.dates import Days, Flags
from email_scheduler.planning.exclusions import Rows
from email_scheduler.planning.frames import EXCLUSION_STRETCHES, NO_DATE
from email_scheduler.planning.labels import skip_codes, skip_reasons
from email_scheduler.planning.registry.email_types import PRE_SCHEDULED

# How far ahead the stretches are looked at: every window opens once in that time.
DAYS_AHEAD: Final = 366


def exclusion_stretches(basis: PlanningBasis) -> pd.DataFrame:
    """Return when the contacts are excluded, from the as-of date to ``DAYS_AHEAD`` days later, inclusive.

    Returns:
        ``EXCLUSION_STRETCHES``: one row for each contact and longest stretch of excluded days, cut at both
        ends of that time. The reason is that of the first day: windows that overlap are one stretch.
    """
    windows, last_day = basis.windows, np.int32(basis.today + DAYS_AHEAD)
    rows: Rows = np.flatnonzero(windows.is_ruled)
    days = np.full(len(rows), basis.today, np.int32)
    where, first, last = [rows[:0]], [days[:0]], [days[:0]]
    while len(rows):
        starts = windows.next_excluded(rows, days)
        is_ahead = starts <= last_day
        rows, starts = rows[is_ahead], starts[is_ahead]
        allowed = windows.first_allowed(rows, starts, np.full(len(rows), last_day, np.int32))
        where.append(rows)
        first.append(starts)
        last.append(np.minimum(allowed - np.int32(1), last_day))
        is_more = allowed <= last_day
        rows, days = rows[is_more], allowed[is_more]
    contact, first_date = np.concatenate(where), np.concatenate(first)
    order = np.lexsort((first_date, contact))
    contact, first_date = contact[order], first_date[order]
    return EXCLUSION_STRETCHES.build(
        {
            "contact_id": basis.contacts["contact_id"].to_numpy()[contact],
            "first_date": first_date,
            "last_date": np.concatenate(last)[order],
            "reason": skip_reasons(skip_codes(windows.reasons(contact, first_date))),
        }
    )


def bound_rows_in_stretches(
    basis: PlanningBasis, schedules: pd.DataFrame, stretches: pd.DataFrame
) -> pd.DataFrame:
    """Return the pre-scheduled rows of a plan that windows bind and that lie within a stretch: mistakes.

    Args:
        basis: What planning looks at.
        schedules: ``EMAIL_SCHEDULES``.
        stretches: ``EXCLUSION_STRETCHES`` of the same as-of date.
    """
    unbound = [instance.id for instance in basis.instances.values() if not instance.respects_windows]
    is_bound = ~schedules["campaign_instance_id"].isin(unbound) | (schedules["initial_email_id"] != 0)
    planned = schedules[is_bound & (schedules["status"] == PRE_SCHEDULED)]
    day = planned["scheduled_send_date"].to_numpy()
    # the last stretch of the contact that begins on that day or before it
    begins = _moments(basis, stretches["contact_id"], stretches["first_date"].to_numpy())
    place = np.searchsorted(begins, _moments(basis, planned["contact_id"], day), side="right") - 1
    ids = np.append(stretches["contact_id"].to_numpy(), 0)
    last = np.append(stretches["last_date"].to_numpy(), np.int32(NO_DATE))
    is_within: Flags = (ids[place] == planned["contact_id"].to_numpy()) & (day <= last[place])
    return planned.loc[is_within]


def contacts_with_unknown_dates(contacts: pd.DataFrame, rules: StateRules) -> npt.NDArray[np.int64]:
    """Return the contacts whose state has a window around a date of theirs that is missing or unreadable.

    Args:
        contacts: ``CONTACTS``.
        rules: The state rules.
    """
    is_unknown = np.zeros(len(contacts), np.bool_)
    for column, windows in (
        ("birth_date", rules.birthday_windows),
        ("effective_date", rules.effective_date_windows),
    ):
        in_window_state = contacts["state"].isin(list(windows)).to_numpy()
        is_unknown |= in_window_state & (contacts[column].to_numpy() == NO_DATE)
    ids: npt.NDArray[np.int64] = contacts["contact_id"].to_numpy()[is_unknown]
    return ids


def _moments(basis: PlanningBasis, contact_ids: pd.Series, days: Days) -> npt.NDArray[np.int64]:
    """Return numbers that compare by contact, then by day."""
    moments: npt.NDArray[np.int64] = basis.positions(contact_ids.to_numpy()) * (1 << 32) + days
    return moments

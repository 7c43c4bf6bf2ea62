"""The legal interval of every email: on which days it may go out (section 9 of the planning rules).

Also the excluded days of each contact as stretches, for people: what section 5 comes to in the time ahead.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig, StateRules
from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.categories import NOT_SKIPPED, skip_code, skip_codes, skip_reasons
from email_scheduler.planning.columns import Days, Flags, stable_hash, years_of
from email_scheduler.planning.frames import EXCLUSION_STRETCHES, NO_DATE, SCHEDULES
from email_scheduler.planning.rules.exclusions import Rows
from email_scheduler.registry import EFFECTIVE_DATE, NO_SEND_DAY, PRE_SCHEDULED

# How far ahead the stretches are looked at: every window opens once in that time.
DAYS_AHEAD: Final = 366


def crowded_ideal_dates(effective_date_load: pd.Series, cap: int, config: SchedulerConfig) -> Days:
    """Return the ideal dates that carry more effective-date emails than smoothing allows (section 9, rule 5).

    Args:
        effective_date_load: Current occurrences by ideal date, of the whole organisation.
        cap: The daily cap.
        config: The organisation's configuration.
    """
    balancing = config.load_balancing
    if not config.features.enable_load_balancing:
        return np.empty(0, np.int32)
    limit = min(balancing.ed_daily_soft_limit, int(balancing.ed_soft_limit_percentage * cap))
    return effective_date_load.index[effective_date_load > limit].to_numpy().astype(np.int32)


def assign_intervals(basis: PlanningBasis, occurrences: pd.DataFrame, crowded: Days) -> pd.DataFrame:
    """Give each occurrence that nothing stops its base date and the days on which it may go out (section 9).

    Args:
        basis: What planning looks at.
        occurrences: ``OCCURRENCES`` of the basis's contacts.
        crowded: The ideal dates whose effective-date emails are smoothed.

    Returns:
        ``SCHEDULES``, row for row. Emails without a legal day get a ``skip_reason``.
    """
    windows, open_days = basis.windows, basis.open_days
    codes = occurrences["skip_reason"].cat.codes.to_numpy().astype(np.int16)
    live = np.flatnonzero(codes == NOT_SKIPPED)
    rows = basis.positions(occurrences["contact_id"].to_numpy()[live])
    is_bound = occurrences["is_window_bound"].to_numpy()[live]
    deadline = occurrences["deadline"].to_numpy()[live]
    base = _smoothed(basis, occurrences, live, rows, crowded)

    day = np.maximum(base, np.int32(basis.today))
    first, last = day.copy(), deadline.copy()
    bound = np.flatnonzero(is_bound)
    first[bound] = windows.first_allowed(rows[bound], day[bound], deadline[bound])
    is_late = first > deadline
    bound = np.flatnonzero(is_bound & ~is_late)
    last[bound] = np.minimum(windows.next_excluded(rows[bound], first[bound]) - 1, deadline[bound])
    reasons = np.full(len(live), NOT_SKIPPED)
    reasons[is_late] = skip_codes(windows.reasons(rows[is_late], day[is_late]))

    last_open = open_days.previous_open(last)
    closed = np.flatnonzero((last_open < first) & ~is_late)
    last = np.where(last_open >= first, last_open, last)
    is_brought_forward = np.zeros(len(live), np.bool_)
    if len(closed):
        earlier = open_days.previous_open(first[closed] - np.int32(1))
        blocked = is_bound[closed] & (windows.next_excluded(rows[closed], earlier) < first[closed])
        is_possible = (earlier >= basis.today) & ~blocked
        forward = closed[is_possible]
        base[forward] = first[forward] = last[forward] = earlier[is_possible]
        is_brought_forward[forward] = True
        reasons[closed[~is_possible]] = skip_code(NO_SEND_DAY)

    codes[live] = reasons
    is_due = reasons == NOT_SKIPPED
    columns: dict[str, object] = {name: occurrences[name] for name in occurrences.columns}
    columns["skip_reason"] = skip_reasons(codes)
    for name, days in (("base_date", base), ("first_date", first), ("last_date", last)):
        spread = np.full(len(occurrences), NO_DATE, np.int32)
        spread[live[is_due]] = days[is_due]
        columns[name] = spread
    flags = np.zeros(len(occurrences), np.bool_)
    flags[live] = is_brought_forward
    columns["is_brought_forward"] = flags
    return SCHEDULES.build(columns)


def _smoothed(basis: PlanningBasis, occurrences: pd.DataFrame, live: Rows, rows: Rows, crowded: Days) -> Days:
    """Return the base dates of the emails that nothing stops: the ideal dates, or days around them (rule 5).

    Args:
        basis: What planning looks at.
        occurrences: ``OCCURRENCES``.
        live: Which of them nothing stops.
        rows: The contact of each of these.
        crowded: The ideal dates whose effective-date emails are spread around them.
    """
    base = occurrences["ideal_send_date"].to_numpy()[live]
    types = occurrences["email_type"].array
    of_type = np.flatnonzero(types.codes[live] == types.categories.get_loc(EFFECTIVE_DATE))
    chosen = of_type[np.isin(base[of_type], crowded)]
    if len(chosen) == 0:
        return base
    ideal, emails = base[chosen], live[chosen]
    reach = basis.config.load_balancing.ed_smoothing_window_days
    spread = stable_hash(
        "smooth",
        occurrences["contact_id"].to_numpy()[emails],
        types[emails],
        years_of(occurrences["event_date"].to_numpy()[emails]),
    ) % np.uint64(2 * reach + 1)
    moved = ideal + spread.astype(np.int32) - np.int32(reach)
    is_legal = (moved <= occurrences["deadline"].to_numpy()[emails]) & basis.open_days.is_open(moved)
    is_legal &= basis.windows.next_excluded(rows[chosen], np.minimum(moved, ideal)) > np.maximum(moved, ideal)
    base[chosen] = np.where(is_legal, moved, ideal)
    return base


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

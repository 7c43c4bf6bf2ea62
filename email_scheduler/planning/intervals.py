"""The legal interval of every email: on which days it may go out (section 9 of the planning rules)."""

import numpy as np
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.dates import Days, Flags, years_of
from email_scheduler.planning.exclusions import Rows
from email_scheduler.planning.frames import NO_DATE, SCHEDULES
from email_scheduler.planning.hashing import stable_hash
from email_scheduler.planning.vocabulary import (
    EFFECTIVE_DATE,
    NO_SEND_DAY,
    NOT_SKIPPED,
    skip_code,
    skip_codes,
    skip_reasons,
)


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
    due = occurrences.iloc[live]
    rows = basis.rows_of(due["contact_id"].to_numpy())
    is_bound = due["is_window_bound"].to_numpy()
    deadline = due["deadline"].to_numpy()
    base = _smoothed(basis, due, rows, crowded)

    day = np.maximum(base, np.int32(basis.today))
    first, last = day.copy(), deadline.copy()
    bound = np.flatnonzero(is_bound)
    first[bound] = windows.first_allowed(rows[bound], day[bound], deadline[bound])
    is_late = first > deadline
    bound = np.flatnonzero(is_bound & ~is_late)
    last[bound] = np.minimum(windows.next_excluded(rows[bound], first[bound]) - 1, deadline[bound])
    reasons = np.full(len(due), NOT_SKIPPED)
    reasons[is_late] = skip_codes(windows.reasons(rows[is_late], day[is_late]))

    last_open = open_days.previous_open(last)
    closed = np.flatnonzero((last_open < first) & ~is_late)
    last = np.where(last_open >= first, last_open, last)
    is_brought_forward = np.zeros(len(due), np.bool_)
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


def _smoothed(basis: PlanningBasis, due: pd.DataFrame, rows: Rows, crowded: Days) -> Days:
    """Return the base dates: the ideal dates, those of crowded days spread around them (rule 5)."""
    base = due["ideal_send_date"].to_numpy().copy()
    is_crowded: Flags = (due["email_type"] == EFFECTIVE_DATE).to_numpy() & np.isin(base, crowded)
    chosen = np.flatnonzero(is_crowded)
    if len(chosen) == 0:
        return base
    ideal = base[chosen]
    reach = basis.config.load_balancing.ed_smoothing_window_days
    spread = stable_hash(
        "smooth",
        due["contact_id"].to_numpy()[chosen],
        due["email_type"].array[chosen],
        years_of(due["event_date"].to_numpy()[chosen]),
    ) % np.uint64(2 * reach + 1)
    moved = ideal + spread.astype(np.int32) - np.int32(reach)
    is_legal = (moved <= due["deadline"].to_numpy()[chosen]) & basis.open_days.is_open(moved)
    is_legal &= basis.windows.next_excluded(rows[chosen], np.minimum(moved, ideal)) > np.maximum(moved, ideal)
    base[chosen] = np.where(is_legal, moved, ideal)
    return base

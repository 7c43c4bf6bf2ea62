"""Limits per contact: campaigns of one day, and emails in a period (section 12 of the planning rules)."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.categories import NOT_SKIPPED, is_label, skip_code, skip_reasons
from email_scheduler.planning.columns import Flags, side_by_side
from email_scheduler.planning.frames import BALANCED_SCHEDULES, NO_DATE
from email_scheduler.planning.rules.exclusions import Rows
from email_scheduler.planning.rules.history import has_type
from email_scheduler.registry import (
    CAMPAIGN_CONFLICT,
    CAMPAIGN_PREFIX,
    FOLLOW_UP_PREFIX,
    FREQUENCY_LIMIT_EXCEEDED,
    LIVE_STATUSES,
)

# A packed key is a contact's position and a day.
_DAY_BITS = 32
# A slot without an email: further from any day than any period is long.
_EMPTY = -(1 << 40)


def limit_per_contact(
    basis: PlanningBasis, balanced: pd.DataFrame, balanced_by_part: list[Rows]
) -> pd.DataFrame:
    """Skip what would be too much for a contact (section 12).

    Args:
        basis: What planning looks at, for all contacts of the organisation.
        balanced: ``BALANCED_SCHEDULES``.
        balanced_by_part: Its rows by the parts of ``basis``.

    Returns:
        ``BALANCED_SCHEDULES``, row for row; what became skipped stays dated at the day it was placed on.
    """
    codes = balanced["skip_reason"].cat.codes.to_numpy().astype(np.int16)
    history = basis.history
    is_live = is_label(history["status"], LIVE_STATUSES) & ~has_type(history, FOLLOW_UP_PREFIX).to_numpy()
    is_live &= history["send_date"].to_numpy() > basis.today - basis.config.load_balancing.period_days
    is_live &= basis.positions(history["contact_id"].to_numpy()) >= 0
    live = history[is_live]

    def limit_part(of_part: tuple[PlanningBasis, Rows, Rows]) -> None:
        part, rows, live_rows = of_part
        placed = rows[codes[rows] == NOT_SKIPPED]
        doubtful = placed[_could_break_a_limit(part, balanced, placed, live, live_rows)]
        if len(doubtful):
            # no two parts have a row in common
            codes[doubtful] = _accept_in_order(balanced.take(doubtful), live.take(live_rows), basis.config)

    live_by_part = basis.rows_by_part(live["contact_id"].to_numpy())
    side_by_side(limit_part, zip(basis.parts, balanced_by_part, live_by_part, strict=True))
    return BALANCED_SCHEDULES.check(balanced.assign(skip_reason=skip_reasons(codes)))


def _could_break_a_limit(
    part: PlanningBasis, balanced: pd.DataFrame, placed: Rows, live: pd.DataFrame, live_rows: Rows
) -> Flags:
    """Tell which emails are of a contact with too many emails in a period, or two on one day."""
    limit, period = _limits(part.config)
    ids, days = (
        np.concatenate([balanced[name].to_numpy()[placed], live[name].to_numpy()[live_rows]])
        for name in ("contact_id", "send_date")
    )
    contact = part.positions(ids)
    keys = np.sort((contact << _DAY_BITS) + (days.astype(np.int64) - NO_DATE))
    is_near = np.zeros(len(keys), np.bool_)
    for ahead, reach in ((limit, period - 1), (1, 0)):
        if ahead == 0:
            is_near[:] = True
        elif ahead < len(keys):
            is_near[:-ahead] |= keys[ahead:] - keys[:-ahead] <= reach
    is_doubtful = np.zeros(len(part.contacts), np.bool_)
    is_doubtful[keys[is_near] >> _DAY_BITS] = True
    flags: Flags = is_doubtful[contact[: len(placed)]]
    return flags


def _accept_in_order(
    emails: pd.DataFrame, live: pd.DataFrame, config: SchedulerConfig
) -> npt.NDArray[np.int16]:
    """Go through the emails of all contacts at once, the first of each, then the second, and so on."""
    limit, period = _limits(config)
    types = emails["email_type"].cat
    rank_of_type = np.argsort(np.argsort(types.categories.to_numpy().astype("U")))
    order = np.lexsort(
        (
            emails["event_date"],
            emails["campaign_instance_id"],
            rank_of_type[types.codes],
            emails["send_date"],
            emails["priority"],
            emails["contact_id"],
        )
    )
    contacts, contact = np.unique(emails["contact_id"].to_numpy()[order], return_inverse=True)
    days = emails["send_date"].to_numpy()[order].astype(np.int64)
    is_campaign = has_type(emails, CAMPAIGN_PREFIX).to_numpy()[order]
    turn = np.arange(len(order)) - np.searchsorted(contact, contact)

    live = live[live["contact_id"].isin(contacts)].sort_values("contact_id", kind="stable")
    live_contact = np.searchsorted(contacts, live["contact_id"].to_numpy())
    live_turn = np.arange(len(live)) - np.searchsorted(live_contact, live_contact)
    live_slots = int(live_turn.max(initial=-1)) + 1
    slots = live_slots + int(turn.max()) + 1
    taken = np.full((len(contacts), slots), _EMPTY, np.int64)
    taken_by_campaign = np.zeros((len(contacts), slots), np.bool_)
    taken[live_contact, live_turn] = live["send_date"].to_numpy()
    taken_by_campaign[live_contact, live_turn] = has_type(live, CAMPAIGN_PREFIX).to_numpy()

    codes = np.full(len(order), NOT_SKIPPED)
    for round_number in range(int(turn.max()) + 1):
        now = np.flatnonzero(turn == round_number)
        of, day = contact[now], days[now]
        others = taken[of]
        has_conflict = is_campaign[now] & ((others == day[:, None]) & taken_by_campaign[of]).any(axis=1)
        is_too_much = busiest_period(others, day, period) > limit
        codes[now[is_too_much]] = skip_code(FREQUENCY_LIMIT_EXCEEDED)
        codes[now[has_conflict]] = skip_code(CAMPAIGN_CONFLICT)
        accepted = ~(has_conflict | is_too_much)
        taken[of[accepted], live_slots + round_number] = day[accepted]
        taken_by_campaign[of[accepted], live_slots + round_number] = is_campaign[now[accepted]]
    result = np.empty_like(codes)
    result[order] = codes
    return result


def busiest_period(
    others: npt.NDArray[np.int64], day: npt.NDArray[np.int64], period: int
) -> npt.NDArray[np.int64]:
    """Return the most emails in any ``period`` consecutive days that contain ``day``, that email included.

    The busiest such period can be taken to begin on the day of an email.
    """
    dates = np.concatenate([day[:, None], others], axis=1)
    busiest = np.zeros(len(day), np.int64)
    for start in dates.T:
        count = ((dates >= start[:, None]) & (dates < start[:, None] + period)).sum(axis=1)
        contains = (start <= day) & (day < start + period)
        busiest = np.maximum(busiest, np.where(contains, count, 0))
    return busiest


def _limits(config: SchedulerConfig) -> tuple[int, int]:
    balancing = config.load_balancing
    return balancing.max_emails_per_contact_per_period, balancing.period_days

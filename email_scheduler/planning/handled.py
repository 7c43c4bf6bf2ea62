"""Handled occurrences: those that a row of the sending system answers (section 1, "handled")."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config.schema import MonthDay
from email_scheduler.planning.dates import Days, Flags, anniversaries, years_of
from email_scheduler.planning.frames import NO_DATE
from email_scheduler.planning.vocabulary import AEP, BIRTHDAY, CAMPAIGN_PREFIX, EFFECTIVE_DATE, POST_WINDOW

# How far an answering row's event date may lie from the occurrence's, days, inclusive.
TOLERANCE_DAYS: Final = {BIRTHDAY: 182, EFFECTIVE_DATE: 182, POST_WINDOW: 60}

Ids = npt.NDArray[np.int64]


def is_handled(
    occurrences: pd.DataFrame,
    history: pd.DataFrame,
    aep_dates: tuple[MonthDay, ...],
    is_implicit: Flags | None = None,
) -> Flags:
    """Tell which occurrences a sender's row of the same contact and type answers.

    Args:
        occurrences: A frame with contact_id, email_type, campaign_instance_id and event_date.
        history: ``HISTORY``.
        aep_dates: ``aep_config.default_dates``: an AEP row answers the AEP date nearest to its event date,
            the earlier of two, whatever ``aep_config.years`` says.
        is_implicit: Which campaign occurrences are implicit targets (section 8): any row of their instance
            answers them. None: no occurrence is.
    """
    result = np.zeros(len(occurrences), np.bool_)
    senders = history[history["is_senders"]]
    if senders.empty or occurrences.empty:
        return result
    types = occurrences["email_type"]
    for code, email_type in enumerate(types.cat.categories):
        of_type = senders[senders["email_type"] == email_type]
        rows = np.flatnonzero(types.cat.codes.to_numpy() == code) if len(of_type) else np.empty(0, np.int64)
        if len(rows) == 0:
            continue
        contact_ids = occurrences["contact_id"].to_numpy()[rows]
        events = occurrences["event_date"].to_numpy()[rows]
        sender_ids, sender_events = of_type["contact_id"].to_numpy(), of_type["event_date"].to_numpy()
        if email_type.startswith(CAMPAIGN_PREFIX):
            implicit = np.zeros(len(rows), np.bool_) if is_implicit is None else is_implicit[rows]
            instances = occurrences["campaign_instance_id"].to_numpy()[rows]
            result[rows] = _is_campaign_handled(contact_ids, instances, events, implicit, of_type)
        elif email_type == AEP:
            result[rows] = _has_event(
                contact_ids, events, sender_ids, nearest_aep_dates(sender_events, aep_dates), 0
            )
        else:
            tolerance = TOLERANCE_DAYS[email_type]
            result[rows] = _has_event(contact_ids, events, sender_ids, sender_events, tolerance)
    return result


def nearest_aep_dates(days: Days, aep_dates: tuple[MonthDay, ...]) -> Days:
    """Return the AEP date nearest to each day, the earlier of two; ``NO_DATE`` where there is none."""
    nearest = np.full(len(days), NO_DATE, np.int32)
    distance = np.full(len(days), np.iinfo(np.int64).max)
    is_date = days != NO_DATE
    years = years_of(np.where(is_date, days, 0).astype(np.int32))
    for shift in (-1, 0, 1):
        for entry in aep_dates:
            candidate = anniversaries(entry.month, entry.day, years + shift)
            away = np.abs(candidate.astype(np.int64) - days)
            nearest = np.where(is_date & (away < distance), candidate, nearest)
            distance = np.minimum(distance, away)
    return nearest


def _is_campaign_handled(
    contact_ids: Ids, instances: Ids, events: Days, is_implicit: Flags, senders: pd.DataFrame
) -> Flags:
    result = np.zeros(len(contact_ids), np.bool_)
    for instance in np.unique(instances):
        of_instance = senders[senders["campaign_instance_id"] == instance]
        rows = np.flatnonzero(instances == instance)
        sender_ids, sender_events = of_instance["contact_id"].to_numpy(), of_instance["event_date"].to_numpy()
        result[rows] = np.where(
            is_implicit[rows],
            np.isin(contact_ids[rows], sender_ids),
            _has_event(contact_ids[rows], events[rows], sender_ids, sender_events, 0),
        )
    return result


def _has_event(contact_ids: Ids, events: Days, sender_ids: Ids, sender_events: Days, tolerance: int) -> Flags:
    """Tell for which contact and event a sender's event of the contact lies within ``tolerance`` days."""
    distinct = np.unique(sender_ids)
    if len(distinct) == 0:
        return np.zeros(len(contact_ids), np.bool_)
    position = np.minimum(np.searchsorted(distinct, contact_ids), len(distinct) - 1)
    keys = np.sort(_key(np.searchsorted(distinct, sender_ids), sender_events))
    lowest = np.searchsorted(keys, _key(position, events) - tolerance, side="left")
    highest = np.searchsorted(keys, _key(position, events) + tolerance, side="right")
    found: Flags = (distinct[position] == contact_ids) & (highest > lowest)
    return found


def _key(position: Ids, days: Days) -> Ids:
    return (position << 32) + (days.astype(np.int64) - NO_DATE)

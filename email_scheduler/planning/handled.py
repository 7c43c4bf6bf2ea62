"""Handled occurrences: those that a row of the sending system answers (section 1, "handled")."""

from dataclasses import dataclass, replace
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
    types, of_history = occurrences["email_type"].cat, history["email_type"].cat
    codes, history_codes = types.codes.to_numpy(), of_history.codes.to_numpy()
    is_senders = history["is_senders"].to_numpy()
    asked, given = _Events.of(occurrences), _Events.of(history)
    implicit = np.zeros(len(occurrences), np.bool_) if is_implicit is None else is_implicit
    for code in np.unique(codes):
        email_type = types.categories[code]
        same_type = of_history.categories.get_indexer(pd.Index([email_type]))[0]
        senders = given.take(np.flatnonzero((history_codes == same_type) & is_senders))
        if same_type < 0 or len(senders.days) == 0:
            continue
        rows = np.flatnonzero(codes == code)
        due = asked.take(rows)
        if email_type.startswith(CAMPAIGN_PREFIX):
            result[rows] = _is_campaign_handled(due, senders, implicit[rows])
        elif email_type == AEP:
            nearest = replace(senders, days=nearest_aep_dates(senders.days, aep_dates))
            result[rows] = _has_event(due, nearest, 0)
        else:
            result[rows] = _has_event(due, senders, TOLERANCE_DAYS[email_type])
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


@dataclass(frozen=True)
class _Events:
    """Contact, campaign instance and event date of some rows; columns, since frames are slow to cut up."""

    contact_ids: Ids
    instances: Ids
    days: Days

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "_Events":
        return cls(*(frame[name].to_numpy() for name in ("contact_id", "campaign_instance_id", "event_date")))

    def take(self, rows: Ids) -> "_Events":
        return _Events(self.contact_ids[rows], self.instances[rows], self.days[rows])


def _is_campaign_handled(due: _Events, senders: _Events, is_implicit: Flags) -> Flags:
    result = np.zeros(len(due.days), np.bool_)
    for instance in np.unique(due.instances):
        rows = np.flatnonzero(due.instances == instance)
        of_instance = senders.take(np.flatnonzero(senders.instances == instance))
        result[rows] = np.where(
            is_implicit[rows],
            np.isin(due.contact_ids[rows], of_instance.contact_ids),
            _has_event(due.take(rows), of_instance, 0),
        )
    return result


def _has_event(due: _Events, senders: _Events, tolerance: int) -> Flags:
    """Tell for which rows an event of the same contact lies within ``tolerance`` days."""
    distinct = np.unique(senders.contact_ids)
    if len(distinct) == 0:
        return np.zeros(len(due.days), np.bool_)
    position = np.minimum(np.searchsorted(distinct, due.contact_ids), len(distinct) - 1)
    keys = np.sort(_key(np.searchsorted(distinct, senders.contact_ids), senders.days))
    lowest = np.searchsorted(keys, _key(position, due.days) - tolerance, side="left")
    highest = np.searchsorted(keys, _key(position, due.days) + tolerance, side="right")
    found: Flags = (distinct[position] == due.contact_ids) & (highest > lowest)
    return found


def _key(position: Ids, days: Days) -> Ids:
    return (position << 32) + (days.astype(np.int64) - NO_DATE)

"""What the sending system has done, and which occurrences that answers: they are handled (section 1)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import MonthDay, SchedulerConfig
from email_scheduler.planning.categories import is_label, labels
from email_scheduler.planning.columns import (
    Days,
    Flags,
    SortedIds,
    anniversaries,
    date_parts,
    event_days,
    is_among,
    pack_alike,
    parse_dates,
    side_by_side,
    years_of,
)
from email_scheduler.planning.frames import HISTORY, HISTORY_TABLE, NO_DATE
from email_scheduler.planning.rules.campaign_instances import variant_in
from email_scheduler.registry import (
    AEP,
    ANNIVERSARY_EMAILS,
    CAMPAIGN_PREFIX,
    FOLLOW_UP_PREFIX,
    PRE_SCHEDULED,
    SKIPPED,
)

# How far an answering row's event date may lie from the occurrence's, days, inclusive.
TOLERANCE_DAYS: Final = {name: each.tolerance_days for name, each in ANNIVERSARY_EMAILS.items()}
# The same of campaign emails: of targets listed with a date, of an anniversary of an audience, of all others.
THAT_DAY: Final = 0
THAT_YEAR: Final = 182
ANY_DAY: Final = -1
# A contact's position and a day as one number; _END is above all days.
_DAY_BITS: Final = 32
_END: Final = np.iinfo(np.int64).max
Ids = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]


def read_history(table: pd.DataFrame) -> pd.DataFrame:
    """Return ``HISTORY``, one row for each row of ``HISTORY_TABLE``.

    The send date of a row is the date part of its actual send time if there is one, else its scheduled
    date. The event date of a row that holds none is its send date. A row without a status is the sender's.
    """
    HISTORY_TABLE.check(table)
    actual = date_parts(table["actual_send_datetime"])
    send_date = np.where(actual != NO_DATE, actual, date_parts(table["scheduled_send_date"])).astype(np.int32)
    event_date = event_days(*(table[f"event_{part}"].to_numpy() for part in ("year", "month", "day")))
    status = _labels(table["status"])
    return HISTORY.build(
        {
            "id": table["id"],
            "contact_id": table["contact_id"],
            "email_type": _labels(table["email_type"]),
            "status": status,
            "campaign_instance_id": table["campaign_instance_id"],
            "event_date": np.where(event_date != NO_DATE, event_date, send_date).astype(np.int32),
            "send_date": send_date,
            "priority": table["priority"],
            "initial_email_id": table["initial_email_id"],
            "is_senders": ~is_label(status, [PRE_SCHEDULED, SKIPPED]),
            "variant": _variants(_labels(table["metadata"])),
        }
    )


def has_type(rows: pd.DataFrame, prefix: str) -> pd.Series:
    """Tell which rows of a frame with an email_type are of one that begins with ``prefix``."""
    types = rows["email_type"].cat
    return pd.Series(
        np.append(types.categories.str.startswith(prefix).astype(np.bool_), False)[types.codes],
        index=rows.index,
    )


def _variants(metadata: pd.Series) -> pd.Categorical:
    said = [variant_in(text) for text in metadata.cat.categories]
    names = sorted({name for name in said if name is not None})
    codes = [-1 if name is None else names.index(name) for name in said]
    return labels(np.array([*codes, -1], np.int32)[metadata.cat.codes.to_numpy()], names)


def _labels(texts: pd.Series) -> pd.Series:
    return texts if isinstance(texts.dtype, pd.CategoricalDtype) else texts.astype("category")


@dataclass(frozen=True)
class SenderEvents:
    """What the sender's rows answer: contact and event date of each, by what they are about.

    Attributes:
        first: The position of the contact that is called 0 in questions.
        keys: Ascending packed positions and days, by email type (and instance 0), or of campaign emails by
            instance, whatever type it had when they were sent (and ``CAMPAIGN_PREFIX``).
    """

    first: int
    keys: dict[tuple[str, int], Ids]

    @classmethod
    def read(cls, history: pd.DataFrame, contact: Rows, aep_dates: tuple[MonthDay, ...]) -> "SenderEvents":
        """Sort the rows by what they answer.

        Args:
            history: ``HISTORY``.
            contact: The position of each row's contact, -1 for those that nobody asks about.
            aep_dates: ``aep_config.default_dates``: an AEP row answers the AEP date nearest to its event
                date, the earlier of two, whatever ``aep_config.years`` says.
        """
        types = history["email_type"].cat
        days, instances = history["event_date"].to_numpy(), history["campaign_instance_id"].to_numpy()
        # a type's code, one for all campaign emails, and one more for the rows that answer nothing
        campaign = len(types.categories)
        nothing = campaign + 1
        is_campaign = types.categories.str.startswith(CAMPAIGN_PREFIX).astype(np.bool_)
        meaning = np.append(np.where(is_campaign, campaign, np.arange(campaign)), nothing)
        answers = history["is_senders"].to_numpy() & (contact >= 0)
        codes = np.where(answers, meaning[types.codes.to_numpy()], nothing)

        def of_kind(code: int) -> dict[tuple[str, int], Ids]:
            rows = np.flatnonzero(codes == code)
            if code == campaign:
                keys, ids = _keys(contact[rows], days[rows]), instances[rows]
                return {(CAMPAIGN_PREFIX, int(one)): np.sort(keys[ids == one]) for one in np.unique(ids)}
            email_type = types.categories[code]
            if email_type not in TOLERANCE_DAYS:
                return {}
            events = nearest_aep_dates(days[rows], aep_dates) if email_type == AEP else days[rows]
            return {(email_type, 0): np.sort(_keys(contact[rows], events))}

        found = side_by_side(of_kind, range(nothing))
        return cls(0, {name: keys for each in found for name, keys in each.items()})

    def of_contacts(self, start: int, stop: int) -> "SenderEvents":
        """Return what is known of the contacts from ``start`` (called 0 from now on) to before ``stop``."""
        first, last = self.first + start, self.first + stop
        ends = np.array([first << _DAY_BITS, last << _DAY_BITS])
        sliced = {name: keys[slice(*keys.searchsorted(ends))] for name, keys in self.keys.items()}
        return SenderEvents(first, sliced)

    def answer(self, email_type: str, rows: Rows, events: Days) -> Flags:
        """Tell which anniversary emails to these contacts about these days are handled."""
        tolerance = TOLERANCE_DAYS[email_type]
        wanted = _keys(rows + self.first, events)
        return self._any_within(email_type, 0, wanted - tolerance, wanted + tolerance)

    def answer_campaign(self, instance: int, rows: Rows, events: Days, tolerance: Days) -> Flags:
        """Tell which emails of a campaign instance are handled, each by a row for a day that far away."""
        wanted = _keys(rows + self.first, events)
        begin = (rows + self.first) << _DAY_BITS
        lowest = np.where(tolerance == ANY_DAY, begin, wanted - tolerance)
        highest = np.where(tolerance == ANY_DAY, begin + ((1 << _DAY_BITS) - 1), wanted + tolerance)
        return self._any_within(CAMPAIGN_PREFIX, instance, lowest, highest)

    def _any_within(self, kind: str, instance: int, lowest: Ids, highest: Ids) -> Flags:
        """Tell whether there is a key from ``lowest`` to ``highest``, both inclusive."""
        keys = self.keys.get((kind, instance))
        if keys is None or len(keys) == 0:
            return np.zeros(len(lowest), np.bool_)
        found: Flags = np.append(keys, _END)[keys.searchsorted(lowest)] <= highest
        return found


def tolerance_of_campaigns(is_listed: Flags | bool, has_date: Flags | bool, is_yearly: Flags | bool) -> Days:
    """Return how far away the day may be that a row is for which answers a campaign email.

    Args:
        is_listed: Whether the database lists the contact as a target of the instance (section 8).
        has_date: Whether it lists the contact with this trigger date.
        is_yearly: Whether the instance's other targets get an email each year, for an anniversary.
    """
    of_implicit = np.where(is_yearly, THAT_YEAR, ANY_DAY)
    of_listed = np.where(has_date, THAT_DAY, ANY_DAY)
    return np.where(is_listed, of_listed, of_implicit).astype(np.int32)


def is_handled(
    occurrences: pd.DataFrame,
    history: pd.DataFrame,
    aep_dates: tuple[MonthDay, ...],
    tolerance: Days | None = None,
) -> Flags:
    """Tell which occurrences a sender's row of the same contact and type, or campaign instance, answers.

    Args:
        occurrences: A frame with contact_id, email_type, campaign_instance_id and event_date.
        history: ``HISTORY``.
        aep_dates: ``aep_config.default_dates``.
        tolerance: How far the event date of a row that answers a campaign occurrence may be away, days:
            ``THAT_DAY``, ``THAT_YEAR`` or ``ANY_DAY``. None: ``THAT_DAY``.
    """
    ids = SortedIds(np.unique(occurrences["contact_id"].to_numpy()))
    senders = SenderEvents.read(history, ids.positions(history["contact_id"].to_numpy()), aep_dates)
    contact = ids.positions(occurrences["contact_id"].to_numpy())
    events, instances = occurrences["event_date"].to_numpy(), occurrences["campaign_instance_id"].to_numpy()
    if tolerance is None:
        tolerance = np.full(len(occurrences), THAT_DAY, np.int32)
    types = occurrences["email_type"].cat
    result = np.zeros(len(occurrences), np.bool_)
    is_campaign = has_type(occurrences, CAMPAIGN_PREFIX).to_numpy()
    for kind, instance in senders.keys:
        if kind == CAMPAIGN_PREFIX:
            rows = np.flatnonzero(is_campaign & (instances == instance))
            result[rows] = senders.answer_campaign(instance, contact[rows], events[rows], tolerance[rows])
        elif kind in types.categories:
            rows = np.flatnonzero(types.codes == types.categories.get_loc(kind))
            result[rows] = senders.answer(kind, contact[rows], events[rows])
    return result


def is_answered(
    schedules: pd.DataFrame,
    taken: pd.DataFrame,
    targets: pd.DataFrame,
    yearly: Collection[int],
    config: SchedulerConfig,
) -> Flags:
    """Tell which rows of a plan the sending system has made needless.

    An anniversary or campaign email, if a row that it took answers the occurrence, be it for a date that was
    corrected since (section 1, "handled"). A follow-up, if it took a follow-up to the same contact
    (section 10).

    Args:
        schedules: ``EMAIL_SCHEDULES``.
        taken: ``HISTORY``: the rows that it took.
        targets: ``CONTACT_CAMPAIGNS_TABLE``, as the plan knew it.
        yearly: Campaign instances whose implicit targets get an email each year (``yearly_instances``).
        config: The organisation's configuration.
    """
    is_follow_up = schedules["initial_email_id"].to_numpy() != 0
    follow_ups = taken[has_type(taken, FOLLOW_UP_PREFIX)]
    answered: Flags = is_follow_up & np.isin(schedules["contact_id"], follow_ups["contact_id"])
    others = schedules[~is_follow_up]
    is_yearly = np.isin(others["campaign_instance_id"], list(yearly))
    is_listed, has_date = _as_listed(others, targets)
    tolerance = tolerance_of_campaigns(is_listed, has_date, is_yearly)
    answered[~is_follow_up] = is_handled(others, taken, config.aep_config.default_dates, tolerance)
    return answered


def _as_listed(schedules: pd.DataFrame, targets: pd.DataFrame) -> tuple[Flags, Flags]:
    """Tell which campaign emails are for contacts with a row for the instance, and which for its date."""
    targets = targets[np.isin(targets["contact_id"], schedules["contact_id"])]
    names = ("contact_id", "campaign_instance_id")
    pairs = [(schedules[name].to_numpy(), targets[name].to_numpy()) for name in names]
    dates = (schedules["event_date"].to_numpy(), parse_dates(targets["trigger_date"])[0])
    (keys, listed), (dated_keys, dated) = pack_alike(pairs), pack_alike([*pairs, dates])
    return is_among(keys, np.sort(listed)), is_among(dated_keys, np.sort(dated))


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


def _keys(contact: Rows, days: Days) -> Ids:
    return (contact << _DAY_BITS) + (days.astype(np.int64) - NO_DATE)

"""Whom campaigns are for, by lists of targets and by audiences, and their rows (section 8)."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning.frames import NO_DATE, PlanInputs
from email_scheduler.proof.arithmetic import (
    CAMPAIGN,
    FOREVER,
    LONG_AGO,
    ContactPositions,
    Days,
    Flags,
    Ids,
    anniversaries,
    codes_of,
    date_of,
    day_of_date,
    days_of_dates,
    is_among,
    is_blank,
    is_date,
    number_of,
    pack,
    parts_of,
    per_text,
    unpack,
)
from email_scheduler.proof.campaign_instances_and_variants import CampaignInstances, InstancePositions
from email_scheduler.proof.planned_and_sent import PlanRows, SenderRows
from email_scheduler.proof.violations import Violations

_FIRST_TRIGGER = date(1900, 1, 1)
_LAST_TRIGGER = date(2100, 12, 31)
_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?")
_LETTERS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
# An anniversary is answered by a row that is about a day that is not further away.
_MOST_DAYS_OF_THE_SAME_YEAR = 182


class Audiences:
    """Finds the trigger date of each contact that an audience is for."""

    def __init__(
        self, as_of: int, campaigns: CampaignInstances, inputs: PlanInputs, contacts: pd.DataFrame
    ) -> None:
        self._as_of = as_of
        self._campaigns = campaigns
        self._contacts = contacts
        self._inputs = inputs

    def triggers(self, at: int) -> Days:
        """Return the trigger date of each contact in the instance at a position of ``campaigns``.

        ``NO_DATE`` where the contact does not match, or has no date that can be read.
        """
        audience = self._campaigns.audiences[at]
        if audience is None:
            return np.full(len(self._contacts), self._campaigns.default_trigger[at], dtype=np.int32)
        found = self._trigger_dates(at, audience.get("trigger"))
        where = audience.get("where")
        for name, condition in where.items() if isinstance(where, dict) else ():
            found[~self._meets(str(name).lower(), condition)] = NO_DATE
        return found

    def _trigger_dates(self, at: int, trigger: object) -> Days:
        stated = trigger if isinstance(trigger, dict) else {}
        name = stated.get("column") or stated.get("anniversary_of")
        if name is None:
            day = (
                day_of_date(str(stated["date"]))
                if stated.get("date")
                else self._campaigns.default_trigger[at]
            )
            return np.full(len(self._contacts), day, dtype=np.int32)
        column = str(name).lower()
        days = days_of_dates(self._texts(column))
        latest = self._as_of if column == "birth_date" else number_of(_LAST_TRIGGER)
        days[(days < number_of(_FIRST_TRIGGER)) | (days > latest)] = NO_DATE
        return self._current(at, days) if stated.get("anniversary_of") else days

    def _current(self, at: int, days: Days) -> Days:
        """Return the anniversary that each date is about now: the earliest that is not over."""
        campaigns = self._campaigns
        not_before = max(self._as_of, int(campaigns.starts[at]))
        days_before = int(campaigns.days_before[at])
        # from the event to its deadline
        lead = -1 if days_before > 0 else campaigns.anniversary_catch_up_days - days_before
        years, months, days_of_month = parts_of(days)
        first = np.maximum(years + 1, date_of(not_before - lead).year - 1)
        current = np.full(len(days), NO_DATE, dtype=np.int32)
        for later in (2, 1, 0):
            event = anniversaries(months, days_of_month, first + later)
            current = np.where(event + lead >= not_before, event, current)
        return np.where(days == NO_DATE, NO_DATE, current).astype(np.int32)

    def _meets(self, name: str, condition: object) -> Flags:
        if name == "state":
            excluded = condition.get("not") if isinstance(condition, Mapping) else None
            stated = condition if excluded is None else excluded
            states = stated if isinstance(stated, list) else [stated]
            named = {str(state).strip().upper() for state in states}
            return _per_contact(self._contacts["state"], lambda state: (state in named) == (excluded is None))
        if self._has(name):
            return _per_contact(self._texts(name), _test_of(condition, is_date=name.endswith("_date")))
        base, _, part = name.rpartition("_")
        is_in_part = _test_of(condition, is_date=False)

        def test(text: str) -> bool:
            day = day_of_date(text)
            found = None if day == NO_DATE else date_of(day)
            return found is not None and is_in_part(str(found.month if part == "month" else found.year))

        return _per_contact(self._texts(f"{base}_date"), test)

    def _has(self, name: str) -> bool:
        return name in self._inputs.contacts or name in self._inputs.contact_attributes

    def _texts(self, name: str) -> pd.Series:
        """Return a column of the table contacts for the valid ones, in their order."""
        is_known = name in self._inputs.contacts
        table = self._known if is_known else self._attributes
        column = table[name].reindex(self._contacts["contact_id"])
        return column.astype("str") if name == "id" else column

    @cached_property
    def _known(self) -> pd.DataFrame:
        return self._inputs.contacts.set_index("id", drop=False)

    @cached_property
    def _attributes(self) -> pd.DataFrame:
        return self._inputs.contact_attributes.set_index("id")


def _per_contact(column: pd.Series, test: Callable[[str], bool]) -> Flags:
    coded = codes_of(column)
    return per_text(coded, [test(text) for text in coded[1]], test(""), np.bool_)


def _test_of(condition: object, *, is_date: bool) -> Callable[[str], bool]:
    """Return what tells whether a text meets a condition."""
    if isinstance(condition, Mapping) and "not" in condition:
        is_one = _test_of(condition["not"], is_date=is_date)
        return lambda text: not is_one(text)
    if isinstance(condition, Mapping):
        return _test_of_range(condition)
    values: Sequence[object] = condition if isinstance(condition, list) else [condition]
    words = {str(value or "").strip().translate(_LETTERS) for value in values if not _is_number(value)}
    numbers = {float(str(value)) for value in values if _is_number(value)}

    def test(text: str) -> bool:
        shown = text.strip().translate(_LETTERS)
        day = day_of_date(text) if is_date else NO_DATE
        if day != NO_DATE:
            shown = date_of(day).isoformat()
        return shown in words or (bool(numbers) and _number_of(text) in numbers)

    return test


def _test_of_range(bounds: Mapping[str, object]) -> Callable[[str], bool]:
    stated = [bounds[name] for name in ("min", "max") if bounds.get(name) is not None]
    read = _number_of if _is_number(stated[0]) else _day_of
    least, most = bounds.get("min"), bounds.get("max")
    lowest = -np.inf if least is None else _bound(least)
    highest = np.inf if most is None else _bound(most)

    def test(text: str) -> bool:
        value = read(text)
        return value is not None and lowest <= value <= highest

    return test


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _bound(value: object) -> float:
    return float(str(value)) if _is_number(value) else day_of_date(str(value))


def _number_of(text: str) -> float | None:
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _day_of(text: str) -> float | None:
    day = day_of_date(text)
    return None if day == NO_DATE else day


@dataclass(frozen=True)
class _Emails:
    """Campaign emails: whose, of which instance (-1: of none that fits), about which trigger date."""

    who: npt.NDArray[np.int32]
    instance: InstancePositions
    event: Days

    def between(self, ends: npt.NDArray[np.int32]) -> "_Emails":
        """Return those of the contacts from the first end to before the second, counted from the first."""
        part = slice(*self.who.searchsorted(ends))
        return _Emails(self.who[part] - ends[0], self.instance[part], self.event[part])

    def where(self, chosen: Flags) -> "_Emails":
        """Return the chosen ones."""
        return _Emails(self.who[chosen], self.instance[chosen], self.event[chosen])


@dataclass(frozen=True)
class Targets:
    """The targets that the database lists, in the order of their contacts, and those that it does not list.

    Attributes:
        explicit: Those of planned instances that are still open and have a trigger date of their own.
        undated: Those that have that of their instance, and none of the first kind for the same date.
        listed_who, listed_at: Contact and instance of all of them: for whom no instance for all is.
        implicit: Of each planned instance that is for all or for an audience, the trigger date of each
            contact that it is for; ``NO_DATE`` of the others.
    """

    explicit: _Emails
    undated: _Emails
    listed_who: npt.NDArray[np.int32]
    listed_at: InstancePositions
    implicit: dict[int, Days]

    def of_contacts(self, contacts: slice) -> "Targets":
        """Return those of these contacts, which are counted from the first of them."""
        ends = np.array([contacts.start, contacts.stop], np.int32)
        listed = slice(*self.listed_who.searchsorted(ends))
        return Targets(
            self.explicit.between(ends),
            self.undated.between(ends),
            self.listed_who[listed] - ends[0],
            self.listed_at[listed],
            {at: events[contacts] for at, events in self.implicit.items()},
        )


def read_targets(
    campaigns: CampaignInstances,
    audiences: Audiences,
    contact_campaigns: pd.DataFrame,
    positions: ContactPositions,
) -> Targets:
    """Return the targets of valid contacts in ``contact_campaigns`` (``CONTACT_CAMPAIGNS_TABLE``)."""
    who = positions.of(contact_campaigns["contact_id"].to_numpy())
    order = np.argsort(who, kind="stable")
    contact_campaigns, who = contact_campaigns.take(order), who[order]
    at = campaigns.find(contact_campaigns["campaign_instance_id"].to_numpy())
    explicit, undated = _explicit_targets(campaigns, contact_campaigns, at, who)
    implicit = {
        at: audiences.triggers(at)
        for at in np.flatnonzero(campaigns.is_planned & campaigns.is_for_all).tolist()
    }
    return Targets(explicit, undated, who[who >= 0], at[who >= 0], implicit)


def check_campaigns(
    as_of: int,
    campaigns: CampaignInstances,
    targets: Targets,
    senders: SenderRows,
    rows: PlanRows,
    contact_ids: Ids,
    config: SchedulerConfig,
    violations: Violations,
) -> None:
    """Settle the campaign rows; report those that no target asks for, and targets without a row."""
    of_kind = rows.of_kind(CAMPAIGN)
    at = campaigns.find_typed(rows.instance[of_kind], rows.type_codes[of_kind], rows.type_names)
    rows.is_bound[of_kind] = np.append(campaigns.is_bound, True)[at]
    rows.ends[of_kind] = np.append(campaigns.ends, FOREVER)[at]
    at[rows.initial[of_kind] != 0] = -1
    planned = _Emails(rows.who[of_kind], at, rows.event[of_kind])
    # a row without any date answers an email to a contact that is not listed all the same
    answers = senders.answering(CAMPAIGN)
    sent = _Emails(answers.who, campaigns.find(answers.instance), answers.event)

    check = _Check(as_of, campaigns, rows, of_kind, planned, sent, contact_ids, config, violations)
    check.explicit(targets.explicit, answered_by_date=True)
    check.explicit(targets.undated, answered_by_date=False)
    for instance, events in targets.implicit.items():
        check.implicit(instance, events, targets.listed_who[targets.listed_at == instance])
    violations.rows("unknown_occurrence", of_kind[~rows.is_known[of_kind]])


def _explicit_targets(
    campaigns: CampaignInstances,
    contact_campaigns: pd.DataFrame,
    at: InstancePositions,
    who: npt.NDArray[np.int32],
) -> tuple[_Emails, _Emails]:
    """Return the targets that the database lists, of planned instances: with a trigger date, and without.

    Those without have that of their instance. One that a target with a date makes needless is left out.
    """
    statuses = codes_of(contact_campaigns["status"])
    is_open = per_text(statuses, [name in {"pending", "scheduled"} for name in statuses[1]], False, np.bool_)
    chosen = is_open & (who >= 0) & np.append(campaigns.is_planned, False)[at]
    trigger = contact_campaigns["trigger_date"]
    own_trigger, has_none = days_of_dates(trigger)[chosen], is_blank(trigger)[chosen]
    default = np.append(campaigns.default_trigger, np.int32(NO_DATE))[at[chosen]]
    event = np.where(has_none, default, own_trigger)
    # an email whose day does not exist is none
    ideal, _ = campaigns.dates(at[chosen], event, 0, implicit=False)
    emails, exists = _Emails(who[chosen], at[chosen], event), (event != NO_DATE) & is_date(ideal)
    explicit, undated = emails.where(exists & ~has_none), emails.where(exists & has_none)
    appointments = np.unique(pack(explicit.instance, explicit.event))
    is_repeated = is_among(_keys(undated, appointments), np.sort(_keys(explicit, appointments)))
    return explicit, undated.where(~is_repeated)


class _Check:
    """Compares the campaign rows of a plan with the targets."""

    def __init__(
        self,
        as_of: int,
        campaigns: CampaignInstances,
        rows: PlanRows,
        of_kind: npt.NDArray[np.intp],
        planned: _Emails,
        sent: _Emails,
        contact_ids: Ids,
        config: SchedulerConfig,
        violations: Violations,
    ) -> None:
        self._as_of = as_of
        self._campaigns = campaigns
        self._rows = rows
        self._of_kind = of_kind
        self._planned = planned
        self._sent = sent
        self._contact_ids = contact_ids
        self._go_live = number_of(config.go_live_date) if config.go_live_date else LONG_AGO
        self._violations = violations

    def explicit(self, targets: _Emails, *, answered_by_date: bool) -> None:
        """Check targets that the database lists; two that come to the same date are one.

        Args:
            targets: The targets.
            answered_by_date: What answers one is an email about its date; otherwise any one of its instance.
        """
        appointments = np.unique(pack(targets.instance, targets.event))
        keys, planned = (np.unique(_keys(targets, appointments)), _keys(self._planned, appointments))
        who, appointment = unpack(keys)
        at, event = unpack(appointments[appointment])
        if answered_by_date:
            is_handled = is_among(keys, np.sort(_keys(self._sent, appointments)))
        else:
            is_handled = is_among(pack(who, at), np.sort(pack(self._sent.who, self._sent.instance)))
        found = is_among(planned, keys)
        self._settle(found, is_among(planned, keys[is_handled]), implicit=False)
        lacking = ~is_handled & ~is_among(keys, np.sort(planned))
        self._miss(who[lacking], at[lacking].astype(np.intp), event[lacking], implicit=False)

    def implicit(self, instance: int, event: Days, listed: npt.NDArray[np.int32]) -> None:
        """Check the contacts that an instance is for without their being listed, with their trigger dates."""
        is_target = event != NO_DATE
        is_target[listed] = False
        sent_who, sent_event = (
            each[self._sent.instance == instance] for each in (self._sent.who, self._sent.event)
        )
        answers = np.ones(len(sent_who), dtype=bool)
        if self._campaigns.is_yearly[instance]:
            answers = np.abs(sent_event.astype(np.int64) - event[sent_who]) <= _MOST_DAYS_OF_THE_SAME_YEAR
        is_handled = np.zeros(len(self._contact_ids), dtype=bool)
        is_handled[sent_who[answers]] = True
        planned = self._planned
        found = (
            (planned.instance == instance) & is_target[planned.who] & (planned.event == event[planned.who])
        )
        self._settle(found, found & is_handled[planned.who], implicit=True)
        is_target &= ~is_handled
        is_target[planned.who[found]] = False
        who = np.flatnonzero(is_target)
        self._miss(who, np.full(len(who), instance), event[who], implicit=True)

    def _settle(self, found: Flags, is_handled: Flags, *, implicit: bool) -> None:
        at, event = self._planned.instance[found], self._planned.event[found]
        ideal, deadline = self._campaigns.dates(at, event, self._as_of, implicit=implicit)
        self._rows.settle(self._of_kind[found], ideal, deadline)
        self._violations.rows("already_handled", self._of_kind[is_handled])

    def _miss(
        self,
        who: npt.NDArray[np.intp] | npt.NDArray[np.int32],
        at: InstancePositions,
        event: Days,
        *,
        implicit: bool,
    ) -> None:
        ideal, _ = self._campaigns.dates(at, event, self._as_of, implicit=implicit)
        due = ideal >= self._go_live
        names = np.array(self._campaigns.email_types, dtype=object)[at[due]]
        self._violations.missing(self._contact_ids[who[due]], names, event[due], self._campaigns.ids[at[due]])


def _keys(emails: _Emails, appointments: Ids) -> Ids:
    """Return one number for each contact and appointment (instance and trigger date); -1 for any other."""
    wanted = pack(emails.instance, emails.event)
    if not len(appointments):
        return np.full(len(wanted), -1, dtype=np.int64)
    place = np.searchsorted(appointments, wanted)
    place[place == len(appointments)] = 0
    return np.where(appointments[place] == wanted, pack(emails.who, place), -1)

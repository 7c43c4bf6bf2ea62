"""Whom the audiences of instances are for, and about which dates (section 8)."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from email_scheduler.planning.compliance.campaign_book import CampaignBook
from email_scheduler.planning.compliance.columns import codes_of, day_of_date, days_of_dates, per_text
from email_scheduler.planning.compliance.days import Days, Flags, anniversaries, date_of, number_of, parts_of
from email_scheduler.planning.frames import NO_DATE, PlanInputs

_FIRST_TRIGGER = date(1900, 1, 1)
_LAST_TRIGGER = date(2100, 12, 31)
_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?")
_LETTERS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


class Audiences:
    """Finds the trigger date of each contact that an audience is for."""

    def __init__(self, as_of: int, book: CampaignBook, inputs: PlanInputs, contacts: pd.DataFrame) -> None:
        self._as_of = as_of
        self._book = book
        self._contacts = contacts
        self._inputs = inputs

    def triggers(self, at: int) -> Days:
        """Return the trigger date of each contact in the instance at a position of the book.

        ``NO_DATE`` where the contact does not match, or has no date that can be read.
        """
        audience = self._book.audiences[at]
        if audience is None:
            return np.full(len(self._contacts), self._book.default_trigger[at], dtype=np.int32)
        found = self._trigger_dates(at, audience.get("trigger"))
        where = audience.get("where")
        for name, condition in where.items() if isinstance(where, dict) else ():
            found[~self._meets(str(name).lower(), condition)] = NO_DATE
        return found

    def _trigger_dates(self, at: int, trigger: object) -> Days:
        stated = trigger if isinstance(trigger, dict) else {}
        name = stated.get("column") or stated.get("anniversary_of")
        if name is None:
            day = day_of_date(str(stated["date"])) if stated.get("date") else self._book.default_trigger[at]
            return np.full(len(self._contacts), day, dtype=np.int32)
        column = str(name).lower()
        days = days_of_dates(self._texts(column))
        latest = self._as_of if column == "birth_date" else number_of(_LAST_TRIGGER)
        days[(days < number_of(_FIRST_TRIGGER)) | (days > latest)] = NO_DATE
        return self._current(at, days) if stated.get("anniversary_of") else days

    def _current(self, at: int, days: Days) -> Days:
        """Return the anniversary that each date is about now: the earliest that is not over."""
        book = self._book
        not_before = max(self._as_of, int(book.starts[at]))
        days_before = int(book.days_before[at])
        # from the event to its deadline
        lead = -1 if days_before > 0 else book.anniversary_catch_up_days - days_before
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

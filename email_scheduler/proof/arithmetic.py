"""The proof's own arithmetic: dates as days since 1970-01-01, texts as codes, pairs as one number.

All of it works on whole columns. Days, flags and ids of the proof have their types from here.
"""

import json
import re
from collections.abc import Iterable
from datetime import date
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning.frames import NO_DATE

Days = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.int64]
Positions = npt.NDArray[np.int32] | npt.NDArray[np.intp]

# Far enough from every date, and far enough from the ends of int32 that offsets can be added.
LONG_AGO = -2_000_000_000
FOREVER = 2_000_000_000

_FIRST_YEAR = 1
_LAST_YEAR = 9999
_UNIX_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
# The first day of every month, from January of the first year to January after the last.
_MONTH_STARTS: Days = (
    np.arange(np.datetime64("0001-01"), np.datetime64("10000-02"), dtype="datetime64[M]")
    .astype("datetime64[D]")
    .astype(np.int32)
)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAY_OF_DAY_0 = date(1970, 1, 1).weekday()
T = TypeVar("T", bound=np.generic)

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

BIRTHDAY = 0
EFFECTIVE_DATE = 1
AEP = 2
POST_WINDOW = 3
CAMPAIGN = 4
FOLLOW_UP = 5
FOREIGN = 6

CAMPAIGN_PREFIX = "campaign_"
_FOLLOW_UP_PREFIX = "followup_"
_KINDS = {
    "birthday": BIRTHDAY,
    "effective_date": EFFECTIVE_DATE,
    "aep": AEP,
    "post_window": POST_WINDOW,
    "followup_1_cold": FOLLOW_UP,
    "followup_2_clicked_no_hq": FOLLOW_UP,
    "followup_3_hq_no_yes": FOLLOW_UP,
    "followup_4_hq_with_yes": FOLLOW_UP,
}

Codes = npt.NDArray[np.integer]


def number_of(day: date) -> int:
    """Return ``day`` as days since 1970-01-01."""
    return day.toordinal() - _UNIX_EPOCH_ORDINAL


def date_of(number: int) -> date:
    """Return the date that is ``number`` days after 1970-01-01."""
    return date.fromordinal(number + _UNIX_EPOCH_ORDINAL)


def is_date(days: Days) -> Flags:
    """Return which numbers are dates of the years 1 to 9999."""
    found: Flags = (days >= _MONTH_STARTS[0]) & (days <= number_of(date.max))
    return found


def texts_of(days: Days, before: str = "") -> npt.NDArray[np.object_]:
    """Return each day as ``before`` and its ISO date, for the details of violations."""
    distinct, index = np.unique(days, return_inverse=True)
    texts = [f"{before}{date_of(int(day))}" if _is_date(int(day)) else "no date" for day in distinct]
    found: npt.NDArray[np.object_] = np.array(texts, dtype=object)[index]
    return found


def parts_of(days: Days) -> tuple[Numbers, Numbers, Numbers]:
    """Return year, month and day of the month of each day; those of 1970-01-01 where there is no date."""
    dates = np.where(days == NO_DATE, 0, days).astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    month_numbers = months.astype(np.int32)
    days_of_month = (dates - months.astype("datetime64[D]")).astype(np.int32) + 1
    return month_numbers // 12 + 1970, month_numbers % 12 + 1, days_of_month


def anniversaries(months: Numbers, days: Numbers, years: Numbers | int) -> Days:
    """Return the month and day in each year; 29 February is the last of February in a common year."""
    index = (np.asarray(years, dtype=np.int32) - _FIRST_YEAR) * 12 + months - 1
    found: Days = np.minimum(_MONTH_STARTS[index] + days - 1, _MONTH_STARTS[index + 1] - 1)
    return found


def anniversary(month: int, day: int, year: int) -> int:
    """Return the month and day in ``year``; 29 February is the last of February in a common year."""
    index = (year - _FIRST_YEAR) * 12 + month - 1
    return min(int(_MONTH_STARTS[index]) + day - 1, int(_MONTH_STARTS[index + 1]) - 1)


def days_of_parts(years: Numbers, months: Numbers, days: Numbers) -> Days:
    """Return the day with these parts, ``NO_DATE`` where there is none."""
    possible = (years >= _FIRST_YEAR) & (years <= _LAST_YEAR) & (months >= 1) & (months <= 12) & (days >= 1)
    index = np.where(possible, (years - _FIRST_YEAR) * 12 + months - 1, 0)
    found = _MONTH_STARTS[index] + np.where(possible, days, 0) - 1
    return np.where(possible & (days <= 31) & (found < _MONTH_STARTS[index + 1]), found, NO_DATE).astype(
        np.int32
    )


class ClosedDays:
    """The days on which nothing is sent (``send_calendar``)."""

    def __init__(self, config: SchedulerConfig) -> None:
        calendar = config.send_calendar
        self._weekdays = np.array([day in calendar.no_send_weekdays for day in _WEEKDAYS])
        self._dates = np.array(sorted(map(number_of, calendar.no_send_dates)), dtype=np.int32)

    @property
    def exist(self) -> bool:
        """Whether any day is closed."""
        return bool(self._weekdays.any() or len(self._dates))

    def contain(self, days: Days) -> Flags:
        """Return which of the days are closed."""
        closed: Flags = self._weekdays[(days + _WEEKDAY_OF_DAY_0) % 7]
        return closed | np.isin(days, self._dates)

    def next_open(self, days: Days) -> Days:
        """Return the first open day on or after each day."""
        closed = self.contain(days)
        while closed.any():
            days = days + closed.astype(np.int32)
            closed = self.contain(days)
        return days


def pack(high: npt.NDArray[np.integer], low: npt.NDArray[np.integer] | int) -> Ids:
    """Return one number for each pair, ordered as the pairs are; ``low`` is an int32."""
    return (high.astype(np.int64) << 32) + (np.asarray(low, dtype=np.int64) - NO_DATE)


def unpack(keys: Ids) -> tuple[Numbers, Numbers]:
    """Return the pairs that ``pack`` made these numbers of."""
    return (keys >> 32).astype(np.int32), ((keys & 0xFFFFFFFF) + NO_DATE).astype(np.int32)


def is_among(keys: Ids, ordered: Ids) -> Flags:
    """Return which of the keys occur in the ascending ``ordered``."""
    if not len(ordered):
        return np.zeros(len(keys), dtype=bool)
    at = np.searchsorted(ordered, keys)
    at[at == len(ordered)] = 0
    found: Flags = ordered[at] == keys
    return found


def repeats(keys: Ids) -> Flags:
    """Return which keys have occurred before."""
    first = np.unique(keys, return_index=True)[1]
    repeated = np.ones(len(keys), dtype=bool)
    repeated[first] = False
    return repeated


def merged(parts: Iterable[Ids]) -> Ids:
    """Return the distinct keys of all parts, ascending."""
    keys = np.sort(np.concatenate([np.empty(0, dtype=np.int64), *parts]))
    is_new: Flags = np.append(True, keys[1:] != keys[:-1])[: len(keys)]
    return keys[is_new]


def _is_date(number: int) -> bool:
    return 0 < number + _UNIX_EPOCH_ORDINAL <= date.max.toordinal()


def kind_of_planned(email_type: str) -> int:
    """Return the kind of an email type of the planning rules, ``FOREIGN`` for any other."""
    if email_type.startswith(CAMPAIGN_PREFIX):
        return CAMPAIGN
    return _KINDS.get(email_type, FOREIGN)


def kind_of_sent(email_type: str) -> int:
    """Return the kind of a sender's row: any type ``followup_…`` counts as a follow-up (section 10)."""
    return FOLLOW_UP if email_type.startswith(_FOLLOW_UP_PREFIX) else kind_of_planned(email_type)


def codes_of(column: pd.Series) -> tuple[Codes, list[str]]:
    """Return a text column as codes into its distinct texts, -1 where a text is missing."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy(), [str(text) for text in column.cat.categories]
    codes, texts = pd.factorize(column)
    return codes, [str(text) for text in texts]


def per_text(
    coded: tuple[Codes, list[str]], values: list[int] | list[bool], missing: int | bool, dtype: type[T]
) -> npt.NDArray[T]:
    """Return the value of each row's text, ``missing`` where there is no text."""
    return np.array([*values, missing], dtype=dtype)[coded[0]]


def day_of_timestamp(text: str) -> int:
    """Return the day that the first ten characters of ``text`` name, ``NO_DATE`` where they name none."""
    head = text[:10]
    if not _ISO_DATE.fullmatch(head):
        return NO_DATE
    try:
        return number_of(date.fromisoformat(head))
    except ValueError:
        return NO_DATE


def day_of_date(text: str) -> int:
    """Return the day that ``text`` names, with white space around it and a time after it or without."""
    text = text.strip()
    return NO_DATE if text[10:11].strip("T ") else day_of_timestamp(text)


def days_of_timestamps(column: pd.Series) -> Days:
    """Return a column of timestamps as days; ``NO_DATE`` where one is missing or unreadable."""
    codes: Codes = np.arange(len(column))
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, column = column.cat.codes.to_numpy(), column.cat.categories.to_series()
    # dates repeat, times do not
    head_codes, heads = codes_of(column.str.slice(0, 10))
    days = per_text((head_codes, heads), [day_of_timestamp(text) for text in heads], NO_DATE, np.int32)
    return np.append(days, np.int32(NO_DATE))[codes]


def days_of_dates(column: pd.Series) -> Days:
    """Return a column of dates as days; ``NO_DATE`` where one is missing or unreadable."""
    coded = codes_of(column)
    return per_text(coded, [day_of_date(text) for text in coded[1]], NO_DATE, np.int32)


def is_blank(column: pd.Series) -> Flags:
    """Return where a text is missing or holds nothing but white space."""
    coded = codes_of(column)
    return per_text(coded, [not text.strip() for text in coded[1]], True, np.bool_)


def object_of_json(text: object) -> dict[str, object]:
    """Return the object that a JSON text holds; an empty one where the text is missing or is no object."""
    if not isinstance(text, str):
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class ContactPositions:
    """Finds contacts by their id."""

    def __init__(self, contacts: pd.DataFrame) -> None:
        ids = contacts["contact_id"].to_numpy()
        self.ids: Ids = ids
        self._order = None if (np.diff(ids) > 0).all() else np.argsort(ids)
        self._sorted = ids if self._order is None else ids[self._order]
        self._dense = self._dense_table()

    def _dense_table(self) -> npt.NDArray[np.int32] | None:
        """Return the position of every id from 0 to the highest, where that table is not too large."""
        count = len(self.ids)
        if not count or self._sorted[0] < 0 or self._sorted[-1] > 8 * count + 1_000_000:
            return None
        table = np.full(int(self._sorted[-1]) + 1, -1, dtype=np.int32)
        table[self.ids] = np.arange(count, dtype=np.int32)
        return table

    def of(self, ids: Ids) -> npt.NDArray[np.int32]:
        """Return the position of each id in ``contacts``, -1 where there is no such contact."""
        if not len(self.ids):
            return np.full(len(ids), -1, dtype=np.int32)
        if self._dense is not None:
            inside = (ids >= 0) & (ids < len(self._dense))
            return np.where(inside, self._dense[np.where(inside, ids, 0)], np.int32(-1))
        at = np.searchsorted(self._sorted, ids)
        at[at == len(self._sorted)] = 0
        positions = at if self._order is None else self._order[at]
        return np.where(self._sorted[at] == ids, positions, -1).astype(np.int32)

"""The proof's own arithmetic on dates, over whole columns of days since 1970-01-01."""

from collections.abc import Iterable
from datetime import date

import numpy as np
import numpy.typing as npt

from email_scheduler.config.schema import SchedulerConfig
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

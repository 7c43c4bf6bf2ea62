"""Days as numbers, and text columns (sections 1 and 4 of the planning rules).

Reading ISO dates, anniversaries, 29 February; what is blank, what is trimmed, and working on the distinct
texts instead of on every row.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from email_scheduler.planning.frames import NO_DATE

# What Python's str.strip and the \s of its regular expressions take for white space; Arrow differs.
WHITESPACE: Final = "".join(map(chr, (*range(9, 14), *range(28, 33), 133, 160, 5760, *range(8192, 8203)))) + (
    "\u2028\u2029\u202f\u205f\u3000"
)
Days = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
_Scalar = TypeVar("_Scalar", bound=np.generic)
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
FIRST_DAY: Final = date.min.toordinal() - _EPOCH_ORDINAL
LAST_DAY: Final = date.max.toordinal() - _EPOCH_ORDINAL
_LAST_YEAR: Final = 12_000
_YEARS: Final = np.arange(_LAST_YEAR + 2)
_IS_LEAP: Final = (_YEARS % 4 == 0) & ((_YEARS % 100 != 0) | (_YEARS % 400 == 0))
_JANUARY_1: Final = (_YEARS - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int32)
_MONTH_LENGTHS: Final = np.array(
    [
        [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31],
        [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31],
    ],
    dtype=np.int32,
)
_DAYS_BEFORE_MONTH: Final = (np.cumsum(_MONTH_LENGTHS, axis=1) - _MONTH_LENGTHS).astype(np.int32)
_YEAR_OF_DAY: Final = np.repeat(_YEARS[:-1].astype(np.int16), np.diff(_JANUARY_1))
# Month and day in one number, _MONTH * month + day, find the days since January 1 in a table. The second half
# of the table, _LEAP numbers on, is that of leap years.
_MONTH: Final = 32
_LEAP: Final = 13 * _MONTH
_DAY_OF_MONTH: Final = np.arange(_MONTH, dtype=np.int32)
_DAY_OF_YEAR: Final = (
    _DAYS_BEFORE_MONTH[:, :, None] + np.minimum(_DAY_OF_MONTH, _MONTH_LENGTHS[:, :, None]) - np.int32(1)
).ravel()
_TABLE_OF_YEAR: Final = np.where(_IS_LEAP, _LEAP, 0).astype(np.int16)
# The month and day of each day of a common year, and of a leap year.
_MONTH_DAYS: Final = np.concatenate(
    [
        np.concatenate([np.arange(1, length + 1) + _MONTH * month for month, length in enumerate(lengths)])
        for lengths in _MONTH_LENGTHS.tolist()
    ]
).astype(np.int16)
_DAYS_OF_COMMON_YEAR: Final = 365


def trim(texts: pa.Array) -> pa.Array:
    """Return the texts without white space at both ends."""
    return pc.utf8_trim(texts, characters=WHITESPACE)


def to_arrow(texts: pd.Series) -> pa.Array:
    """Return a text column as one Arrow array of strings, null where missing."""
    if isinstance(texts.dtype, pd.CategoricalDtype):
        codes, uniques = codes_and_texts(texts)
        return pc.take(uniques, pa.array(codes, mask=codes < 0))
    array = pa.array(texts, type=pa.large_string(), from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def codes_and_texts(texts: pd.Series) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Split a text column into the code of each row, -1 where it is missing, and the distinct texts."""
    if isinstance(texts.dtype, pd.CategoricalDtype):
        codes = texts.cat.codes.to_numpy()
        uniques = pa.array(texts.cat.categories, type=pa.large_string(), from_pandas=True)
    else:
        encoded = pc.dictionary_encode(to_arrow(texts))
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        uniques = encoded.dictionary
    if isinstance(uniques, pa.ChunkedArray):
        uniques = uniques.combine_chunks()
    return codes.astype(np.int64), uniques


def to_day(value: date) -> int:
    """Return the day number of a date: days since 1970-01-01."""
    return value.toordinal() - _EPOCH_ORDINAL


def is_in_calendar(day: int) -> bool:
    """Tell whether a day number is a date of the years 1 to 9999."""
    return FIRST_DAY <= day <= LAST_DAY


def from_day(day: int) -> date:
    """Return the date of a day number."""
    return date.fromordinal(int(day) + _EPOCH_ORDINAL)


def ordinals(days: Days) -> npt.NDArray[np.int64]:
    """Return Python's ``toordinal`` of each day: 0001-01-01 is 1."""
    return days.astype(np.int64) + _EPOCH_ORDINAL


def years_of(days: Days) -> Days:
    """Return the calendar year of each day; the first or last year of the calendar for days beyond it."""
    years: Days = _YEAR_OF_DAY.take(days - _JANUARY_1[0], mode="clip").astype(np.int32)
    return years


@dataclass(frozen=True)
class Anchors:
    """A date of each contact as year, month and day: what its anniversaries are counted from.

    Attributes:
        year: int32, one a contact; meaningless where the date is not known.
        month_day: int16, month and day in one number.
        is_known: Whether the contact has a readable date.
    """

    year: Days
    month_day: npt.NDArray[np.int16]
    is_known: Flags

    @classmethod
    def of(cls, days: Days) -> "Anchors":
        """Split the dates of all contacts (``NO_DATE`` where unknown)."""
        is_known = days != NO_DATE
        dates = np.where(is_known, days, np.int32(0))
        year = years_of(dates)
        day_of_year = dates - _JANUARY_1[year]
        is_leap = _IS_LEAP[year]
        return cls(year, _MONTH_DAYS[day_of_year + _DAYS_OF_COMMON_YEAR * is_leap], is_known)

    @property
    def month(self) -> npt.NDArray[np.int16]:
        """1 to 12."""
        return self.month_day // np.int16(_MONTH)

    @property
    def day(self) -> npt.NDArray[np.int16]:
        """1 to 31."""
        return self.month_day % np.int16(_MONTH)

    def take(self, rows: npt.NDArray[np.int64]) -> "Anchors":
        """Return the anchors of these contacts."""
        return Anchors(self.year[rows], self.month_day[rows], self.is_known[rows])

    def first_of_month(self, is_month_start: Flags) -> "Anchors":
        """Return the same anchors, moved to the first of their month where the flag says so."""
        first = self.month * np.int16(_MONTH) + np.int16(1)
        return Anchors(self.year, np.where(is_month_start, first, self.month_day), self.is_known)

    def anniversaries(self, years: Days) -> Days:
        """Return the anniversary of each contact in the year given for it (section 1, ``A(x, y)``)."""
        return _days_in_years(self.month_day, years)


def anniversaries(months: npt.ArrayLike, days: npt.ArrayLike, years: npt.ArrayLike) -> Days:
    """Return month and day in each year as day numbers; 29 February is the 28th in a common year."""
    month_days = np.asarray(months, np.int16) * np.int16(_MONTH) + np.asarray(days, np.int16)
    return _days_in_years(month_days, years)


def _days_in_years(month_days: npt.NDArray[np.int16], years: npt.ArrayLike) -> Days:
    year = np.clip(years, 0, _LAST_YEAR)
    result: Days = _JANUARY_1[year] + _DAY_OF_YEAR[_TABLE_OF_YEAR[year] + month_days]
    return result


def event_days(years: Days, months: Days, days: Days) -> Days:
    """Return the day of each year, month and day; ``NO_DATE`` where they are no date of the calendar."""
    in_range = (years >= 1) & (years <= 9999) & (months >= 1) & (months <= 12) & (days >= 1)
    year, month = np.where(in_range, years, 1), np.where(in_range, months, 1)
    length = _MONTH_LENGTHS[_IS_LEAP[year].astype(np.int8), month]
    is_date = in_range & (days <= length)
    first = _JANUARY_1[year] + _DAYS_BEFORE_MONTH[_IS_LEAP[year].astype(np.int8), month]
    return np.where(is_date, first + np.where(is_date, days, 1) - 1, NO_DATE).astype(np.int32)


def parse_dates(texts: pd.Series, *, first: date = date.min, last: date = date.max) -> tuple[Days, Flags]:
    """Read dates as section 4 accepts them: ISO, trimmed, whatever follows ``T`` or a space ignored.

    Args:
        texts: Texts, missing values allowed.
        first: The earliest date accepted, inclusive.
        last: The latest date accepted, inclusive.

    Returns:
        The days (``NO_DATE`` where there is none) and which texts are unreadable: neither missing, blank,
        nor a date from ``first`` to ``last``.
    """
    codes, uniques = codes_and_texts(texts)
    trimmed = trim(uniques)
    is_blank = to_flags(pc.equal(trimmed, ""))
    has_tail = pc.match_substring_regex(trimmed, r"^\d{4}-\d{2}-\d{2}([T ]|\z)")
    days = _iso_days(pc.if_else(has_tail, pc.utf8_slice_codeunits(trimmed, 0, 10), ""))
    is_accepted = (days != NO_DATE) & (days >= to_day(first)) & (days <= to_day(last))
    days = np.where(is_accepted, days, NO_DATE).astype(np.int32)
    return _spread(days, codes, NO_DATE), _spread(~is_accepted & ~is_blank, codes, False)


def date_parts(texts: pd.Series) -> Days:
    """Return the date part of timestamps, their first ten characters; ``NO_DATE`` where it is no date."""
    codes, uniques = codes_and_texts(texts)
    return _spread(_iso_days(pc.utf8_slice_codeunits(uniques, 0, 10)), codes, NO_DATE)


def format_days(days: Days) -> npt.NDArray[np.str_]:
    """Return each day as ``YYYY-MM-DD``; meant for few values, such as those of a dictionary."""
    return np.datetime_as_string(np.asarray(days).astype("datetime64[D]"))


def _iso_days(texts: pa.Array) -> Days:
    is_iso = pc.match_substring_regex(texts, r"^\d{4}-\d{2}-\d{2}\z")
    safe = pc.if_else(is_iso, texts, "0000-00-00")
    parts = [
        pc.cast(pc.utf8_slice_codeunits(safe, start, stop), pa.int32()).to_numpy(zero_copy_only=False)
        for start, stop in ((0, 4), (5, 7), (8, 10))
    ]
    return event_days(*parts)


def to_flags(array: pa.Array) -> Flags:
    """Return a column of booleans without nulls as numpy has it."""
    flags: Flags = array.to_numpy(zero_copy_only=False).astype(np.bool_)
    return flags


def _spread(
    values: npt.NDArray[_Scalar], codes: npt.NDArray[np.int64], missing: object
) -> npt.NDArray[_Scalar]:
    """Give each row the value of its text; rows without a text get ``missing``."""
    with_missing = np.append(values, np.array([missing], dtype=values.dtype))
    return with_missing[codes]

"""What may be asked of a contact: columns of ``contacts``, and conditions (section 8)."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from email_scheduler.config.audiences import NOT, STATE, Condition, Value, values_of
from email_scheduler.planning.contacts import FIRST_DATE, LAST_EFFECTIVE_DATE
from email_scheduler.planning.dates import Anchors, Days, Flags, format_days, parse_dates, to_day
from email_scheduler.planning.exclusions import Rows
from email_scheduler.planning.frames import NO_DATE
from email_scheduler.planning.packing import SortedIds
from email_scheduler.planning.texts import codes_and_texts, trim

# What of a date may be asked for, and the greatest that it can be.
PARTS: Final = {"month": 12, "year": 9999}
_DATE: Final = "_date"
_NUMBER: Final = r"^-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?\z"


def source_of(name: str, columns: Collection[str]) -> tuple[str, str] | None:
    """Return the column that a value is taken from, and which part of its date (``""``: all of it).

    None: there is no such column. Names are in small letters.
    """
    if name in columns:
        return name, ""
    base, _, part = name.rpartition("_")
    return (base + _DATE, part) if part in PARTS and base + _DATE in columns else None


def suits_part(condition: Condition, part: str) -> bool:
    """Tell whether a condition can be asked of a part of a date: whole numbers that it can have."""
    return all(isinstance(value, int) and 1 <= value <= PARTS[part] for value in values_of(condition))


class ContactTable:
    """The columns of ``contacts`` for some of them, each looked up when it is asked for.

    Args:
        contacts: Their ``contact_id``, and ``state``: that of the ZIP, missing where there is none.
        tables: Where the columns are, each with ``id``.
    """

    def __init__(self, contacts: pd.DataFrame, tables: Sequence[pd.DataFrame]) -> None:
        self._contacts = contacts
        self._tables = tables
        self._known_places: dict[int, Rows] = {}
        self.columns = {str(name) for table in self._tables for name in table.columns}

    def meets(self, name: str, condition: Condition) -> Flags:
        """Tell which contacts meet a condition.

        Of a part of a date, those who have none meet nothing, whatever it is not.
        """
        is_negated = isinstance(condition, dict) and NOT in condition
        wanted = values_of(condition) if is_negated else condition
        if name == STATE:
            codes, texts = codes_and_texts(self._contacts[STATE])
            is_met = _flags(pc.is_in(texts, pa.array(wanted, texts.type))) != is_negated
            return np.append(is_met, _takes_blank(wanted) != is_negated)[codes]
        column, part = source_of(name, self.columns) or (name, "")
        codes, texts = codes_and_texts(self._column(column))
        texts = trim(texts)
        if part:
            values = _part_of_dates(texts, part)
            is_met = (
                _is_in_range(values, wanted)
                if isinstance(wanted, dict)
                else (np.isin(values, wanted) != is_negated) & (values != NO_DATE)
            )
            return np.append(is_met, False)[codes]
        is_met = _meets(texts, wanted, is_date=column.endswith(_DATE)) != is_negated
        return np.append(is_met, _takes_blank(wanted) != is_negated)[codes]

    def days(self, column: str, rows: Rows, as_of: date) -> tuple[Days, Flags]:
        """Return the date of some contacts in a column, and where it cannot be read (section 4)."""
        last = as_of if column == "birth_date" else LAST_EFFECTIVE_DATE
        return parse_dates(self._column(column).iloc[rows], first=FIRST_DATE, last=last)

    def _column(self, name: str) -> pd.Series:
        table = next(each for each in self._tables if name in each.columns)
        values = table[name].astype("str") if name == "id" else table[name]
        return pd.Series(values.array.take(self._places(table), allow_fill=True))

    def _places(self, table: pd.DataFrame) -> Rows:
        """Return the row of each contact in a table, -1 where there is none."""
        if id(table) not in self._known_places:
            ids = table["id"].to_numpy()
            order = np.argsort(ids, kind="stable")
            found = SortedIds(ids[order]).positions(self._contacts["contact_id"].to_numpy())
            self._known_places[id(table)] = np.append(order, -1)[found]
        return self._known_places[id(table)]


def _meets(texts: pa.Array, condition: Condition, *, is_date: bool) -> Flags:
    """Tell which trimmed texts meet a condition."""
    if isinstance(condition, dict):
        return _is_in_range(*_comparable(texts, condition))
    numbers = [value for value in condition if not isinstance(value, str)]
    words = pa.array([value.strip() for value in condition if isinstance(value, str)], texts.type)
    shown = _with_iso_dates(texts) if is_date else texts
    is_met = _flags(pc.is_in(pc.ascii_lower(shown), pc.ascii_lower(words)))
    return is_met | np.isin(_numbers(texts), numbers) if numbers else is_met


def _comparable(texts: pa.Array, bounds: dict[str, Value]) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """Return texts and the bounds of a range as numbers: day numbers if it is a range of dates."""
    if any(isinstance(bound, str) for bound in bounds.values()):
        days = {name: to_day(date.fromisoformat(str(bound))) for name, bound in bounds.items()}
        return _days(texts), days
    return _numbers(texts), bounds


def _is_in_range(values: npt.NDArray[Any], bounds: dict[str, Any]) -> Flags:
    is_within: Flags = np.isfinite(values) & (values != NO_DATE)
    if "min" in bounds:
        is_within &= values >= bounds["min"]
    if "max" in bounds:
        is_within &= values <= bounds["max"]
    return is_within


def _takes_blank(condition: Condition) -> bool:
    return not isinstance(condition, dict) and any(not str(value).strip() for value in condition)


def _numbers(texts: pa.Array) -> npt.NDArray[np.float64]:
    """Return the number that each text is; NaN where it is none."""
    is_number = pc.match_substring_regex(texts, _NUMBER)
    numbers: npt.NDArray[np.float64] = pc.cast(pc.if_else(is_number, texts, "nan"), pa.float64()).to_numpy(
        zero_copy_only=False
    )
    return numbers


def _days(texts: pa.Array) -> Days:
    return parse_dates(pd.Series(texts.to_pandas(), dtype="str"))[0]


def _with_iso_dates(texts: pa.Array) -> pa.Array:
    """Return the texts, those that are dates without the time after them."""
    days = _days(texts)
    is_day = days != NO_DATE
    iso = pa.array(format_days(np.where(is_day, days, 0)).astype(object), texts.type)
    return pc.if_else(pa.array(is_day), iso, texts)


def _part_of_dates(texts: pa.Array, part: str) -> npt.NDArray[np.int32]:
    """Return month or year of each text that is a date; ``NO_DATE`` where it is none."""
    anchors = Anchors.of(_days(texts))
    values = anchors.month if part == "month" else anchors.year
    # NO_DATE has no room in the few bits of a month
    return np.where(anchors.is_known, values.astype(np.int32), np.int32(NO_DATE))


def _flags(array: pa.Array) -> Flags:
    flags: Flags = array.to_numpy(zero_copy_only=False).astype(np.bool_)
    return flags

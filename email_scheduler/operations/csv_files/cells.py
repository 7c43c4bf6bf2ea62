"""Cells of CSV files: what is accepted in them, and formulas that are none.

A cell that begins with ``= + - @`` would be a formula in a spreadsheet. On reading it is data like any other;
on writing it gets an apostrophe in front, which reading takes off again.
"""

import csv
import re
from collections.abc import Iterable
from datetime import date
from typing import Final, TextIO

from email_scheduler.config.values import FIRST_YEAR, LAST_YEAR

CONTACT_ID: Final = "contact_id"
EMAIL: Final = "email"

ACCEPTED_ID: Final = "not a contact id; accepted is a whole number"
ACCEPTED_DATE: Final = f"not a date; accepted is YYYY-MM-DD in the years {FIRST_YEAR} to {LAST_YEAR}"
NO_CONTACT: Final = "neither contact_id nor email is given; accepted is one of them"

_ID: Final = re.compile(r"[0-9]{1,18}")
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED: Final = re.compile(r"'+[=+\-@\t\r]")


def is_id(text: str) -> bool:
    """Tell whether a text is an id: a whole number that fits into a column of ids."""
    return _ID.fullmatch(text) is not None


def escape_cell(text: str) -> str:
    """Return a cell as it is written, so that no spreadsheet takes it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescape_cell(text: str) -> str:
    """Return a cell that ``escape_cell`` has written as it was before."""
    return text[1:] if text[:1] == "'" and _ESCAPED.match(text) else text


def write_csv(file: TextIO, headings: Iterable[str], rows: Iterable[Iterable[object]]) -> int:
    """Write rows as CSV, and return how many; None is a blank cell."""
    # with these line ends, cells that hold one of them are quoted
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(headings)
    count = 0
    for row in rows:
        writer.writerow("" if cell is None else escape_cell(str(cell)) for cell in row)
        count += 1
    return count


class Dates:
    """Tells whether a text is a date; most files name few dates many times."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}

    def is_date(self, text: str) -> bool:
        """Tell whether a text is a date that is accepted (``ACCEPTED_DATE``)."""
        if text not in self._known:
            if len(self._known) > 100_000:
                self._known.clear()
            self._known[text] = _is_date(text)
        return self._known[text]


def _is_date(text: str) -> bool:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    try:
        return FIRST_YEAR <= date.fromisoformat(text).year <= LAST_YEAR
    except ValueError:
        return False

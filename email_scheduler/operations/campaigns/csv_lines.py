"""Reading targets from a CSV file, a line at a time, and writing them.

A cell that begins with ``= + - @`` would be a formula in a spreadsheet. On reading it is data like any other;
on writing it gets an apostrophe in front, which reading takes off again.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, TextIO

from email_scheduler.config.values import FIRST_YEAR, LAST_YEAR
from email_scheduler.errors import UsageError
from email_scheduler.operations.campaigns.bad_lines import BadLines

CONTACT_ID: Final = "contact_id"
EMAIL: Final = "email"
TRIGGER_DATE: Final = "trigger_date"
_OWN_COLUMNS: Final = (CONTACT_ID, EMAIL, TRIGGER_DATE)

ACCEPTED_ID: Final = "not a contact id; accepted is a whole number"
ACCEPTED_DATE: Final = f"not a date; accepted is YYYY-MM-DD in the years {FIRST_YEAR} to {LAST_YEAR}"
NO_CONTACT: Final = "neither contact_id nor email is given; accepted is one of them"
NO_DATE: Final = "no date, and the campaign instance has none of its own; accepted is YYYY-MM-DD"
NOT_TEXT: Final = "not text in UTF-8; accepted is a text file in UTF-8"
NOT_QUOTED: Final = (
    "quotation marks do not match; accepted are a pair of them around a cell, inner ones doubled"
)
CELL_COUNT: Final = "another number of cells than the heading; accepted is one for each column"

_ID: Final = re.compile(r"[0-9]{1,18}")
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED: Final = re.compile(r"'+[=+\-@\t\r]")
_DELIMITERS: Final = (",", ";", "\t")


@dataclass(frozen=True, slots=True)
class TargetLine:
    """One line that can be read.

    Attributes:
        number: The line of the file on which it begins; the heading is line 1.
        contact_id: None: the address tells who is meant.
        address: Trimmed; None: not given.
        trigger_date: ISO 8601; None: that of the instance.
        metadata: JSON of the other columns; None: they are blank.
    """

    number: int
    contact_id: int | None
    address: str | None
    trigger_date: str | None
    metadata: str | None


def escape_cell(text: str) -> str:
    """Return a cell as it is written, so that no spreadsheet takes it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescape_cell(text: str) -> str:
    """Return a cell that ``escape_cell`` has written as it was before."""
    return text[1:] if _ESCAPED.match(text) else text


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


def read_csv(path: Path, bad_lines: BadLines, *, needs_date: bool) -> Iterator[TargetLine]:
    """Yield the lines of a file that can be read; note the others.

    Columns are told by the heading, in any order: ``contact_id`` or ``email`` (or both), ``trigger_date``,
    and any others, which become metadata. Cells are separated by commas, semicolons or tabs.

    Args:
        path: The file, UTF-8.
        bad_lines: Gets the lines that cannot be read.
        needs_date: Whether a line without a trigger date is one of them.

    Raises:
        UsageError: The file cannot be opened, or its heading is not accepted.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield from read_lines(file, str(path), bad_lines, needs_date=needs_date)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def read_lines(
    lines: Iterable[str], source: str, bad_lines: BadLines, *, needs_date: bool
) -> Iterator[TargetLine]:
    """Do the same for lines that are open already; bytes that are no UTF-8 are surrogates.

    Args:
        lines: With their line ends.
        source: What they are called in messages.
        bad_lines: See ``read_csv``.
        needs_date: See ``read_csv``.
    """
    records = _Records(lines)
    heading = records.heading(source)
    read = _reader_of(heading, source, needs_date=needs_date)
    for number, cells, problem in records:
        if problem is not None:
            bad_lines.add(number, "", problem)
        elif len(cells) != len(heading):
            bad_lines.add(number, "", CELL_COUNT)
        else:
            line = read(number, cells, bad_lines)
            if line is not None:
                yield line


class _Records:
    """The records of a CSV file, each with the line on which it begins; blank lines are passed over."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._is_text = True
        self._first: list[str] = []
        self._reader = csv.reader(self._checked())

    def heading(self, source: str) -> list[str]:
        """Return the names of the columns, in lower case."""
        first = next(self._lines, None)
        if first is None or not first.strip():
            raise UsageError(f"{source}: no heading in line 1; accepted is one that names the columns")
        delimiter = max(_DELIMITERS, key=first.count)
        self._first = [first]
        self._reader = csv.reader(self._checked(), delimiter=delimiter, strict=True)
        try:
            names = [name.strip().lower() for name in next(self._reader)]
        except csv.Error as error:
            raise UsageError(f"{source}: line 1: {NOT_QUOTED}") from error
        if not self._is_text:
            raise UsageError(f"{source}: line 1: {NOT_TEXT}")
        return names

    def __iter__(self) -> Iterator[tuple[int, list[str], str | None]]:
        """Yield line number, cells, and what is wrong with them."""
        while True:
            number = self._reader.line_num + 1
            self._is_text = True
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error:
                yield number, [], NOT_QUOTED
                continue
            if cells:
                yield number, cells, None if self._is_text else NOT_TEXT

    def _checked(self) -> Iterator[str]:
        for line in self._first:
            self._check(line)
            yield line
        for line in self._lines:
            self._check(line)
            yield line

    def _check(self, line: str) -> None:
        try:
            is_text = "\0" not in line and (line.isascii() or bool(line.encode()))
        except UnicodeEncodeError:
            is_text = False
        self._is_text = self._is_text and is_text


def _reader_of(
    heading: list[str], source: str, *, needs_date: bool
) -> Callable[[int, list[str], BadLines], TargetLine | None]:
    """Return what reads the cells of a line, given the heading."""
    position = _positions(heading, source)
    id_at, email_at, date_at = (position.get(name) for name in _OWN_COLUMNS)
    free = [(name, at) for name, at in position.items() if name not in _OWN_COLUMNS]
    dates = _Dates()

    def cell(cells: list[str], at: int | None) -> str:
        return "" if at is None else unescape_cell(cells[at].strip())

    def read(number: int, cells: list[str], bad_lines: BadLines) -> TargetLine | None:
        contact, email, trigger = cell(cells, id_at), cell(cells, email_at), cell(cells, date_at)
        problems = []
        if contact and not _ID.fullmatch(contact):
            problems.append((CONTACT_ID, ACCEPTED_ID))
        if not contact and not email:
            problems.append((CONTACT_ID if email_at is None else EMAIL, NO_CONTACT))
        if trigger and not dates.is_date(trigger):
            problems.append((TRIGGER_DATE, ACCEPTED_DATE))
        if not trigger and needs_date:
            problems.append((TRIGGER_DATE, NO_DATE))
        for column, reason in problems:
            bad_lines.add(number, column, reason)
        if problems:
            return None
        metadata = {name: unescape_cell(cells[at]) for name, at in free if cells[at].strip()}
        return TargetLine(
            number,
            int(contact) if contact else None,
            email or None,
            trigger or None,
            json.dumps(metadata, ensure_ascii=False) if metadata else None,
        )

    return read


def _positions(heading: list[str], source: str) -> Mapping[str, int]:
    for at, name in enumerate(heading):
        if not name:
            raise UsageError(f"{source}: line 1: column {at + 1} has no name; accepted is a name for each")
        if name in heading[:at]:
            # the name may be somebody's data, where the heading is missing
            raise UsageError(
                f"{source}: line 1: columns {heading.index(name) + 1} and {at + 1} have the same name;"
                " accepted is a name of its own for each"
            )
    if CONTACT_ID not in heading and EMAIL not in heading:
        raise UsageError(
            f"{source}: line 1: none of the {len(heading)} columns is contact_id or email; accepted is one of"
            " them, trigger_date if you like, and any others"
        )
    return {name: at for at, name in enumerate(heading)}


class _Dates:
    """Tells whether a text is a date; most files name few dates many times."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}

    def is_date(self, text: str) -> bool:
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

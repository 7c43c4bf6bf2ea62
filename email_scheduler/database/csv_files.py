"""The lines of CSV files: what is accepted in their cells, and which cannot be taken, and why.

What spreadsheets leave in a file is passed over: blank lines, blank columns at the end, a line ``sep=;``.
Millions of bad lines fit into little memory.
"""

import csv
import io
import re
from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Final, TextIO, TypeVar

from email_scheduler.config import FIRST_YEAR, LAST_YEAR
from email_scheduler.errors import UsageError
from email_scheduler.files import open_regular

# What the lines of an import are called: of a file, of a list of ids, of contacts by condition.
PLURALS: Final = {"line": "lines", "entry": "entries", "contact": "contacts"}
CONTACT_ID: Final = "contact_id"
EMAIL: Final = "email"
ACCEPTED_ID: Final = "not a contact id; accepted is a whole number"
ACCEPTED_DATE: Final = f"not a date; accepted is YYYY-MM-DD in the years {FIRST_YEAR} to {LAST_YEAR}"
NO_CONTACT: Final = "neither contact_id nor email is given; accepted is one of them"
NOT_TEXT: Final = "not text in UTF-8; accepted is a text file in UTF-8"
HAS_NUL: Final = "holds a NUL, a character that is no text; accepted is a text file without one"
NOT_QUOTED: Final = (
    "quotation marks do not match; accepted are a pair of them around a cell, inner ones doubled"
)
CELL_COUNT: Final = (
    "another number of cells than the heading; accepted is one for each column, and blank ones behind them"
)
# What a file may hold at most; a line is one with all the lines of its cells.
MOST_COLUMNS: Final = 1_000
LONGEST_LINE: Final = 1_000_000
LONGEST_CELL: Final = csv.field_size_limit()
MOST_LISTED: Final = 100
LONG_LINE: Final = f"longer than {LONGEST_LINE:,} characters, as where a quotation mark is never closed"
LONG_CELL: Final = (
    f"a cell of it is longer than {LONGEST_CELL:,} characters, as where a quotation mark is never closed"
)
# Spreadsheets write .0 behind whole numbers.
_ID: Final = re.compile(r"([0-9]{1,18})(\.0+)?")
_DATE: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})([T ].*)?", re.DOTALL)
# What Excel calls the separator by.
_SEPARATOR: Final = re.compile(r'"?sep=([^"\r\n])"?[,;\t]*', re.IGNORECASE)
_WORKBOOKS: Final = {
    b"PK\x03\x04": "a workbook, such as an .xlsx file, or another ZIP archive",
    b"\xd0\xcf\x11\xe0": "a workbook of an older Excel, such as an .xls file",
}
_BYTES_LOOKED_AT: Final = 4096
_UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_SAVE_AS: Final = "accepted is a CSV file in UTF-8; in Excel: save as, CSV UTF-8 (comma delimited)"
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED: Final = re.compile(r"'+[=+\-@\t\r]")
_DELIMITERS: Final = (",", ";", "\t")
_Line = TypeVar("_Line")
# What is wrong with a line: columns, each with the reason.
Problems = list[tuple[str, str]]
# Returns what a line says, given its number, its cells and a list that gets what is wrong with it.
LineReader = Callable[[int, list[str], Problems], _Line]


class BadLines:
    """Lines with their reasons: all are counted, the first ones kept. No cell is: it may be anybody's data.

    Iterating gives ``(line, column, reason)`` of the first ``MOST_LISTED`` reasons in the order of the lines;
    the column is empty where the whole line is concerned.
    """

    def __init__(self) -> None:
        self._first: list[tuple[int, str, str]] = []
        self._reasons = 0
        # which lines of each 64 there are, a bit each
        self._lines: dict[int, int] = {}

    def add(self, line: int, column: str, reason: str, last: int | None = None) -> None:
        """Note a line; one may be noted several times, for several reasons.

        Args:
            line: Its number.
            column: What of it is concerned; empty: all of it.
            reason: Why it cannot be taken.
            last: The last line that goes with it; None: it is the only one.
        """
        self._reasons += 1
        for each in range(line, line + 1 if last is None else last + 1):
            self._lines[each >> 6] = self._lines.get(each >> 6, 0) | 1 << (each & 63)
        note = (line, column, reason)
        if len(self._first) < MOST_LISTED or note < self._first[-1]:
            insort(self._first, note)
            del self._first[MOST_LISTED:]

    def __len__(self) -> int:
        """How many reasons there are; a line may have several."""
        return self._reasons

    def __iter__(self) -> Iterator[tuple[int, str, str]]:
        return iter(self._first)

    @property
    def more(self) -> str:
        """What there is to say of those that are not kept; empty: all are."""
        more = self._reasons - len(self._first)
        return f"and {more:,} more" if more else ""

    def count(self) -> int:
        """Return how many lines there are."""
        return sum(map(int.bit_count, self._lines.values()))


class BadLinesError(UsageError):
    """Lines of an import cannot be taken, and nothing was imported.

    Attributes:
        source: What was imported.
        bad_lines: The lines and the reasons.
    """

    def __init__(self, source: str, bad_lines: BadLines, unit: str, *, can_skip: bool = True) -> None:
        super().__init__(source)
        self.source = source
        self.bad_lines = bad_lines
        self._unit = unit
        self._remedy = "; --skip-bad takes the others" if can_skip else ""

    def __str__(self) -> str:
        count = self.bad_lines.count()
        what = self._unit if count == 1 else PLURALS[self._unit]
        shown = [
            f"{self.source}: {self._unit} {line}: {f'{column}: ' if column else ''}{reason}"
            for line, column, reason in self.bad_lines
        ]
        if self.bad_lines.more:
            shown.append(f"{self.source}: {self.bad_lines.more}")
        summary = f"{self.source}: {count:,} {what} cannot be taken, and nothing was changed{self._remedy}"
        return "\n".join([*shown, summary])


def read_lines(
    lines: Iterable[str],
    source: str,
    bad_lines: BadLines,
    reader_of: Callable[[list[str], str], LineReader[_Line]],
) -> Iterator[_Line]:
    """Yield what the lines of a file say; note those that cannot be read.

    Args:
        lines: With their line ends; bytes that are no UTF-8 are surrogates.
        source: What they are called in messages.
        bad_lines: Gets the lines that cannot be read, as they are read.
        reader_of: Returns what reads a line, given the heading, and what its place is called in messages.

    Raises:
        UsageError: The heading is not accepted.
    """
    heading, where, records = _read_records(lines, source, bad_lines)
    read = reader_of(heading, where)
    for number, cells in records:
        problems: Problems = []
        line = read(number, cells, problems)
        for column, reason in problems:
            bad_lines.add(number, column, reason)
        if not problems:
            yield line


def read_contact(contact: str, email: str, column: str, problems: Problems) -> tuple[int | None, str | None]:
    """Return the id and the address that tell who is meant; None where one is not given.

    Args:
        contact: The cell of the id.
        email: The cell of the address.
        column: The one in which something is missing where neither is given.
        problems: Gets what is wrong.
    """
    contact_id = read_id(contact)
    if contact and contact_id is None:
        problems.append((CONTACT_ID, ACCEPTED_ID))
    if not contact and not email:
        problems.append((column, NO_CONTACT))
    return contact_id, email or None


def read_id(text: str) -> int | None:
    """Return the whole number that a cell holds, with ``.0`` behind it or not; None: it holds none."""
    found = _ID.fullmatch(text)
    return None if found is None else int(found[1])


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
    """Reads dates; most files name few dates many times."""

    def __init__(self) -> None:
        self._known: dict[str, str | None] = {}

    def date_of(self, text: str) -> str | None:
        """Return the date of a text, ISO 8601, without a time behind it; None: none that is accepted.

        What is accepted says ``ACCEPTED_DATE``. A time is told by ``T`` or a blank before it.
        """
        if text not in self._known:
            if len(self._known) > 100_000:
                self._known.clear()
            self._known[text] = _date_of(text)
        return self._known[text]


def _date_of(text: str) -> str | None:
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    try:
        return found[1] if FIRST_YEAR <= date.fromisoformat(found[1]).year <= LAST_YEAR else None
    except ValueError:
        return None


@contextmanager
def open_csv(path: Path) -> Iterator[Iterable[str]]:
    """Open a file for the block and return its lines; bytes that are no UTF-8 are surrogates.

    Raises:
        UsageError: The file cannot be read, or is a workbook or in UTF-16.
    """
    try:
        with open_regular(path) as content:
            kind = _kind_of(content.peek(_BYTES_LOOKED_AT)[:_BYTES_LOOKED_AT])
            if kind is not None:
                raise UsageError(f"{path}: {kind}; {_SAVE_AS}")
            with io.TextIOWrapper(
                content, encoding="utf-8-sig", errors="surrogateescape", newline=""
            ) as file:
                yield _bounded(file)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def _bounded(file: TextIO) -> Iterator[str]:
    """Yield the lines of a file; of one that is too long the beginning."""
    while line := file.readline(LONGEST_LINE + 1):
        yield line
        while len(line) > LONGEST_LINE and not line.endswith(("\n", "\r")):
            line = file.readline(LONGEST_LINE + 1)


def _kind_of(beginning: bytes) -> str | None:
    """Return what a file is that is no CSV file in UTF-8, by its first bytes; None: it may be one."""
    for mark, kind in _WORKBOOKS.items():
        if beginning.startswith(mark):
            return kind
    # in UTF-16, every other byte of English text is a NUL
    halves = [beginning[at::2] for at in (0, 1)]
    is_wide = any(half and half.count(0) > 0.9 * len(half) for half in halves)
    return "text in UTF-16" if beginning.startswith(_UTF_16_MARKS) or is_wide else None


def _read_records(
    lines: Iterable[str], source: str, bad_lines: BadLines
) -> tuple[list[str], str, Iterator[tuple[int, list[str]]]]:
    """Return the heading of a file, what its place is called, and its lines.

    Of each line that has a cell for each column, number and cells.

    Args:
        lines: With their line ends.
        source: What they are called in messages.
        bad_lines: Gets the other lines, as they are read.

    Raises:
        UsageError: The heading cannot be read, or a column has no name or that of another one.
    """
    records = _Records(lines, source)
    heading, where = records.heading, records.where
    if len(heading) > MOST_COLUMNS:
        raise UsageError(f"{where}: {len(heading):,} columns; accepted are up to {MOST_COLUMNS:,}")
    for at, name in enumerate(heading):
        if not name:
            raise UsageError(f"{where}: column {at + 1} has no name; accepted is a name for each")
        if name in heading[:at]:
            # the name may be somebody's data, where the heading is missing
            raise UsageError(
                f"{where}: columns {heading.index(name) + 1} and {at + 1} have the same name;"
                " accepted is a name of its own for each"
            )
    return heading, where, _whole_records(records, len(heading), bad_lines)


def _whole_records(
    records: "_Records", column_count: int, bad_lines: BadLines
) -> Iterator[tuple[int, list[str]]]:
    for number, cells, problem in records:
        if problem is not None:
            bad_lines.add(number, "", problem, records.line)
        elif len(cells) < column_count or any(map(str.strip, cells[column_count:])):
            bad_lines.add(number, "", CELL_COUNT)
        else:
            yield number, cells


class _LongLineError(Exception):
    """A line is longer than is accepted."""


class _Records:
    """The records of a CSV file, each with the line on which it begins; blank lines are passed over.

    Attributes:
        heading: The names of the columns, in lower case, without blank ones at the end.
        where: What its place is called in messages.
        line: The number of the line that was read last.
    """

    def __init__(self, lines: Iterable[str], source: str) -> None:
        """Read the heading.

        Raises:
            UsageError: There is none, or it cannot be read.
        """
        self._lines = iter(lines)
        self._problem: str | None = None
        heading_line, first, self._delimiter = self._find_heading(source)
        self.line, self._characters = heading_line - 1, 0
        self._lines = map(self._checked, chain([first], self._lines))
        self._reader = self._new_reader()
        self.where = f"{source}: line {heading_line}"
        try:
            self.heading = [name.strip().lower() for name in next(self._reader)]
        except (csv.Error, _LongLineError) as error:
            raise UsageError(f"{self.where}: {_problem_of(error)}") from error
        if self._problem is not None:
            raise UsageError(f"{self.where}: {self._problem}")
        while not self.heading[-1]:
            self.heading.pop()

    def _new_reader(self) -> Iterator[list[str]]:
        return csv.reader(self._lines, delimiter=self._delimiter, strict=True)

    def _find_heading(self, source: str) -> tuple[int, str, str]:
        """Return number and text of the first line that is not blank, and what separates its cells."""
        delimiter = None
        for number, line in enumerate(self._lines, start=1):
            separator = _SEPARATOR.fullmatch(line.strip("\r\n "))
            if separator is not None and delimiter is None:
                delimiter = separator[1]
            elif not _holds_blank_cells(line, delimiter or ""):
                return number, line, delimiter or max(_DELIMITERS, key=line.count)
        raise UsageError(f"{source}: no heading; accepted is a first line that names the columns")

    def __iter__(self) -> Iterator[tuple[int, list[str], str | None]]:
        """Yield line number, cells, and what is wrong with them."""
        while True:
            number = self.line + 1
            self._problem, self._characters = None, 0
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except (csv.Error, _LongLineError) as error:
                # what was read of the line does not belong to the next one
                self._reader = self._new_reader()
                yield number, [], _problem_of(error)
                continue
            if not _is_blank(cells):
                yield number, cells, self._problem

    def _checked(self, line: str) -> str:
        """Return a line, and note what is wrong with it."""
        self.line += 1
        self._characters += len(line)
        if self._characters > LONGEST_LINE:
            raise _LongLineError
        if "\0" in line:
            self._problem = HAS_NUL
        elif not line.isascii():
            try:
                line.encode()
            except UnicodeEncodeError:
                self._problem = NOT_TEXT
        return line


def _problem_of(error: Exception) -> str:
    if isinstance(error, _LongLineError):
        return LONG_LINE
    return LONG_CELL if "field larger than field limit" in str(error) else NOT_QUOTED


def _holds_blank_cells(line: str, delimiter: str) -> bool:
    blank = {'"', *_DELIMITERS, delimiter}
    return line.count('"') % 2 == 0 and all(each in blank or each.isspace() for each in line)


def _is_blank(cells: Iterable[str]) -> bool:
    return not any(map(str.strip, cells))

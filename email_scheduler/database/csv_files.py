"""The lines of CSV files: what is accepted in their cells, and which cannot be taken, and why.

Millions of bad lines fit into little memory.
"""

import csv
import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from heapq import merge
from pathlib import Path
from typing import Final, TextIO, TypeVar

from email_scheduler.config import FIRST_YEAR, LAST_YEAR
from email_scheduler.errors import UsageError

# What the lines of an import are called: of a file, of a list of ids, of contacts by condition.
PLURALS: Final = {"line": "lines", "entry": "entries", "contact": "contacts"}
CONTACT_ID: Final = "contact_id"
EMAIL: Final = "email"
ACCEPTED_ID: Final = "not a contact id; accepted is a whole number"
ACCEPTED_DATE: Final = f"not a date; accepted is YYYY-MM-DD in the years {FIRST_YEAR} to {LAST_YEAR}"
NO_CONTACT: Final = "neither contact_id nor email is given; accepted is one of them"
NOT_TEXT: Final = "not text in UTF-8; accepted is a text file in UTF-8"
NOT_QUOTED: Final = (
    "quotation marks do not match; accepted are a pair of them around a cell, inner ones doubled"
)
CELL_COUNT: Final = "another number of cells than the heading; accepted is one for each column"
_ID: Final = re.compile(r"[0-9]{1,18}")
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED: Final = re.compile(r"'+[=+\-@\t\r]")
_DELIMITERS: Final = (",", ";", "\t")
_Line = TypeVar("_Line")
# What is wrong with a line: columns, each with the reason.
Problems = list[tuple[str, str]]
# Returns what a line says, given its number, its cells and a list that gets what is wrong with it.
LineReader = Callable[[int, list[str], Problems], _Line]


class BadLines:
    """Lines with their reasons. No cell is kept: a message must not hold anybody's data.

    Iterating gives ``(line, column, reason)`` in the order of the lines; the column is empty where the whole
    line is concerned.
    """

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], array[int]] = {}

    def add(self, line: int, column: str, reason: str) -> None:
        """Note a line; one may be noted several times, for several reasons."""
        self._lines.setdefault((column, reason), array("q")).append(line)

    def __len__(self) -> int:
        """How many reasons there are; a line may have several."""
        return sum(map(len, self._lines.values()))

    def __iter__(self) -> Iterator[tuple[int, str, str]]:
        return merge(*(_notes(lines, *what) for what, lines in self._lines.items()))

    def count(self) -> int:
        """Return how many lines there are."""
        return len({line for lines in self._lines.values() for line in lines})


def _notes(lines: "array[int]", column: str, reason: str) -> Iterator[tuple[int, str, str]]:
    for line in sorted(lines):
        yield line, column, reason


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
        summary = f"{self.source}: {count:,} {what} cannot be taken, and nothing was changed{self._remedy}"
        return "\n".join([*shown, summary])


def read_lines(
    lines: Iterable[str],
    source: str,
    bad_lines: BadLines,
    reader_of: Callable[[list[str]], LineReader[_Line]],
) -> Iterator[_Line]:
    """Yield what the lines of a file say; note those that cannot be read.

    Args:
        lines: With their line ends; bytes that are no UTF-8 are surrogates.
        source: What they are called in messages.
        bad_lines: Gets the lines that cannot be read, as they are read.
        reader_of: Returns what reads a line, given the heading.

    Raises:
        UsageError: The heading is not accepted.
    """
    heading, records = _read_records(lines, source, bad_lines)
    read = reader_of(heading)
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
    is_id = _ID.fullmatch(contact) is not None
    if contact and not is_id:
        problems.append((CONTACT_ID, ACCEPTED_ID))
    if not contact and not email:
        problems.append((column, NO_CONTACT))
    return int(contact) if is_id else None, email or None


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


@contextmanager
def open_csv(path: Path) -> Iterator[Iterable[str]]:
    """Open a file for the block and return its lines; bytes that are no UTF-8 are surrogates.

    Raises:
        UsageError: The file cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield file
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def _read_records(
    lines: Iterable[str], source: str, bad_lines: BadLines
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return the heading of a file, and number and cells of each line that has a cell for each column.

    Args:
        lines: With their line ends.
        source: What they are called in messages.
        bad_lines: Gets the other lines, as they are read.

    Raises:
        UsageError: The heading cannot be read, or a column has no name or that of another one.
    """
    records = _Records(lines)
    heading = records.heading(source)
    for at, name in enumerate(heading):
        if not name:
            raise UsageError(f"{source}: line 1: column {at + 1} has no name; accepted is a name for each")
        if name in heading[:at]:
            # the name may be somebody's data, where the heading is missing
            raise UsageError(
                f"{source}: line 1: columns {heading.index(name) + 1} and {at + 1} have the same name;"
                " accepted is a name of its own for each"
            )
    return heading, _whole_records(records, len(heading), bad_lines)


def _whole_records(
    records: "_Records", column_count: int, bad_lines: BadLines
) -> Iterator[tuple[int, list[str]]]:
    for number, cells, problem in records:
        if problem is not None:
            bad_lines.add(number, "", problem)
        elif len(cells) != column_count:
            bad_lines.add(number, "", CELL_COUNT)
        else:
            yield number, cells


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

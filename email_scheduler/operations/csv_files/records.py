"""The records of a CSV file, a line at a time."""

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from email_scheduler.errors import UsageError
from email_scheduler.operations.csv_files.bad_lines import BadLines

NOT_TEXT: Final = "not text in UTF-8; accepted is a text file in UTF-8"
NOT_QUOTED: Final = (
    "quotation marks do not match; accepted are a pair of them around a cell, inner ones doubled"
)
CELL_COUNT: Final = "another number of cells than the heading; accepted is one for each column"

_DELIMITERS: Final = (",", ";", "\t")


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


def read_records(
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

"""Reading targets from a CSV file, a line at a time."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from email_scheduler.errors import UsageError
from email_scheduler.operations.csv_files.bad_lines import BadLines
from email_scheduler.operations.csv_files.cells import (
    ACCEPTED_DATE,
    ACCEPTED_ID,
    CONTACT_ID,
    EMAIL,
    NO_CONTACT,
    Dates,
    is_id,
    unescape_cell,
)
from email_scheduler.operations.csv_files.records import open_csv, read_records

TRIGGER_DATE: Final = "trigger_date"
_OWN_COLUMNS: Final = (CONTACT_ID, EMAIL, TRIGGER_DATE)

NO_DATE: Final = "no date, and the campaign instance has none of its own; accepted is YYYY-MM-DD"


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
    with open_csv(path) as lines:
        yield from read_lines(lines, str(path), bad_lines, needs_date=needs_date)


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
    heading, records = read_records(lines, source, bad_lines)
    read = _reader_of(heading, source, needs_date=needs_date)
    for number, cells in records:
        line = read(number, cells, bad_lines)
        if line is not None:
            yield line


def _reader_of(
    heading: list[str], source: str, *, needs_date: bool
) -> Callable[[int, list[str], BadLines], TargetLine | None]:
    """Return what reads the cells of a line, given the heading."""
    if CONTACT_ID not in heading and EMAIL not in heading:
        raise UsageError(
            f"{source}: line 1: none of the {len(heading)} columns is contact_id or email; accepted is one of"
            " them, trigger_date if you like, and any others"
        )
    position = {name: at for at, name in enumerate(heading)}
    id_at, email_at, date_at = (position.get(name) for name in _OWN_COLUMNS)
    free = [(name, at) for name, at in position.items() if name not in _OWN_COLUMNS]
    dates = Dates()

    def cell(cells: list[str], at: int | None) -> str:
        return "" if at is None else unescape_cell(cells[at].strip())

    def read(number: int, cells: list[str], bad_lines: BadLines) -> TargetLine | None:
        contact, email, trigger = cell(cells, id_at), cell(cells, email_at), cell(cells, date_at)
        problems = []
        if contact and not is_id(contact):
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

"""The contacts that an operator means: by id, of a CSV file, by condition, or all; each is a line."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from sqlalchemy import Column, Integer, Text, func

from email_scheduler.errors import UsageError
from email_scheduler.operations.campaigns.conditions import find_contacts
from email_scheduler.operations.csv_files.bad_lines import BadLines
from email_scheduler.operations.csv_files.line_import import LineKind, Source, import_lines, stage_table
from email_scheduler.operations.csv_files.lines import (
    ACCEPTED_DATE,
    CONTACT_ID,
    EMAIL,
    Dates,
    LineReader,
    Problems,
    open_csv,
    read_contact,
    read_lines,
    unescape_cell,
)
from email_scheduler.storage.connection import Connection
from email_scheduler.storage.types import ID

TRIGGER_DATE: Final = "trigger_date"
_OWN_COLUMNS: Final = (CONTACT_ID, EMAIL, TRIGGER_DATE)

NO_DATE: Final = "no date, and the campaign instance has none of its own; accepted is YYYY-MM-DD"
TWO_DATES: Final = "the contact stands further up with another trigger date; accepted is one for each contact"

stage: Final = stage_table(
    "campaign_import",
    Column("trigger_date", Text),
    Column("metadata", Text),
    # what the database says about the contact and the instance
    Column("same_id", ID),
    Column("same_status", Text),
    Column("open_id", ID),
    Column("open_count", Integer),
    Column("closed_status", Text),
    Column("is_taken", Integer),
    Column("is_same_taken", Integer),
)
# A line is about a contact, and says its trigger date.
TARGETS: Final = LineKind(
    stage,
    about=lambda _: [],
    says=lambda columns: [func.coalesce(columns.trigger_date, "")],
    conflict=(TWO_DATES, TRIGGER_DATE),
)


@dataclass(frozen=True)
class ById:
    """Contacts by their ids."""

    ids: Sequence[int]


@dataclass(frozen=True)
class FromCsv:
    """Contacts of a CSV file; see ``read_targets``."""

    path: Path


@dataclass(frozen=True)
class Where:
    """Contacts that meet all of these conditions; see ``conditions``."""

    conditions: Sequence[str]


@dataclass(frozen=True)
class AllContacts:
    """Every contact."""


Selection = ById | FromCsv | Where | AllContacts


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
    address: str | None = None
    trigger_date: str | None = None
    metadata: str | None = None

    def row(self, trigger_date: str | None = None) -> dict[str, object]:
        """Return the line as a row of the temporary table, with this trigger date if it has none."""
        return {
            "line": self.number,
            "contact_id": self.contact_id,
            "address": self.address,
            "trigger_date": self.trigger_date or trigger_date,
            "metadata": self.metadata,
        }


def source_of(selection: Selection) -> Source:
    """Return what a selection is called in messages, and what its lines are called."""
    match selection:
        case FromCsv(path):
            return Source(str(path))
        case ById():
            return Source("contact ids", "entry")
        case _:
            return Source("contacts", "contact")


def import_selection(
    connection: Connection,
    selection: Selection,
    *,
    trigger_date: date | None = None,
    needs_date: bool = False,
    skip_bad: bool = False,
) -> BadLines:
    """Put the contacts that are meant into the temporary table, as ``import_lines`` does.

    Args:
        connection: Not in a transaction.
        selection: Who is meant.
        trigger_date: Of lines without one.
        needs_date: Whether a line without any trigger date is bad.
        skip_bad: Take the other lines if some cannot be taken.

    Raises:
        BadLinesError: Some lines cannot be taken.
        UsageError: The file or the conditions cannot be read.
    """
    day = None if trigger_date is None else trigger_date.isoformat()

    def read(bad_lines: BadLines) -> Iterator[dict[str, object]]:
        lines = _lines(connection, selection, bad_lines, needs_date=needs_date and day is None)
        return (line.row(day) for line in lines)

    return import_lines(connection, TARGETS, source_of(selection), read, skip_bad=skip_bad)


def _lines(
    connection: Connection, selection: Selection, bad_lines: BadLines, *, needs_date: bool
) -> Iterable[TargetLine]:
    match selection:
        case FromCsv(path):
            return read_csv(path, bad_lines, needs_date=needs_date)
        case ById(ids):
            return (TargetLine(number, each) for number, each in enumerate(ids, start=1))
        case Where(conditions) if not conditions:
            raise UsageError("no condition; accepted is one such as state=CA,TX")
        case Where(conditions):
            found = find_contacts(connection, conditions)
        case AllContacts():
            found = find_contacts(connection, ())
    return (TargetLine(each, each) for each in found.tolist())


def read_csv(path: Path, bad_lines: BadLines, *, needs_date: bool) -> Iterator[TargetLine]:
    """Yield the lines of a file in UTF-8 that can be read, as ``read_targets`` does.

    Raises:
        UsageError: The file cannot be opened, or its heading is not accepted.
    """
    with open_csv(path) as lines:
        yield from read_targets(lines, str(path), bad_lines, needs_date=needs_date)


def read_targets(
    lines: Iterable[str], source: str, bad_lines: BadLines, *, needs_date: bool
) -> Iterator[TargetLine]:
    """Yield the lines that can be read; note the others.

    Columns are told by the heading, in any order: ``contact_id`` or ``email`` (or both), ``trigger_date``,
    and any others, which become metadata. Cells are separated by commas, semicolons or tabs.

    Args:
        lines: With their line ends; bytes that are no UTF-8 are surrogates.
        source: What they are called in messages.
        bad_lines: Gets the lines that cannot be read.
        needs_date: Whether a line without a trigger date is one of them.

    Raises:
        UsageError: The heading is not accepted.
    """

    def reader_of(heading: list[str]) -> LineReader[TargetLine]:
        return _reader_of(heading, source, needs_date=needs_date)

    return read_lines(lines, source, bad_lines, reader_of)


def _reader_of(heading: list[str], source: str, *, needs_date: bool) -> LineReader[TargetLine]:
    if CONTACT_ID not in heading and EMAIL not in heading:
        raise UsageError(
            f"{source}: line 1: none of the {len(heading)} columns is contact_id or email; accepted is one of"
            " them, trigger_date if you like, and any others"
        )
    position = {name: at for at, name in enumerate(heading)}
    id_at, email_at, date_at = (position.get(name) for name in _OWN_COLUMNS)
    free = [(name, at) for name, at in position.items() if name not in _OWN_COLUMNS]
    contact_column = CONTACT_ID if email_at is None else EMAIL
    dates = Dates()

    def cell(cells: list[str], at: int | None) -> str:
        return "" if at is None else unescape_cell(cells[at].strip())

    def read(number: int, cells: list[str], problems: Problems) -> TargetLine:
        contact_id, address = read_contact(
            cell(cells, id_at), cell(cells, email_at), contact_column, problems
        )
        trigger = cell(cells, date_at)
        if trigger and not dates.is_date(trigger):
            problems.append((TRIGGER_DATE, ACCEPTED_DATE))
        if not trigger and needs_date:
            problems.append((TRIGGER_DATE, NO_DATE))
        metadata = {name: unescape_cell(cells[at]) for name, at in free if cells[at].strip()}
        return TargetLine(
            number,
            contact_id,
            address,
            trigger or None,
            json.dumps(metadata, ensure_ascii=False) if metadata else None,
        )

    return read

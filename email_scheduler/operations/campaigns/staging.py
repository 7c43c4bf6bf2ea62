"""The contacts that an operator means, in a temporary table: set-based SQL does the rest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Connection

from email_scheduler.errors import UsageError
from email_scheduler.operations.campaigns.conditions import select_contacts
from email_scheduler.operations.campaigns.csv_lines import TRIGGER_DATE, TargetLine, read_csv
from email_scheduler.operations.csv_files.bad_lines import BadLines
from email_scheduler.operations.csv_files.contacts import (
    COLUMN_OF,
    batches,
    contact_columns,
    find_contacts,
    note_bad,
)
from email_scheduler.storage.types import ID

TWO_DATES: Final = "the contact stands further up with another trigger date; accepted is one for each contact"
_COLUMN_OF: Final = COLUMN_OF | {TWO_DATES: TRIGGER_DATE}


@dataclass(frozen=True)
class ById:
    """Contacts by their ids."""

    ids: Sequence[int]


@dataclass(frozen=True)
class FromCsv:
    """Contacts of a CSV file; see ``csv_lines.read_csv``."""

    path: Path


@dataclass(frozen=True)
class Where:
    """Contacts that meet all of these conditions; see ``conditions``."""

    conditions: Sequence[str]


@dataclass(frozen=True)
class AllContacts:
    """Every contact."""


Selection = ById | FromCsv | Where | AllContacts


def source_of(selection: Selection) -> tuple[str, str]:
    """Return what a selection is called in messages, and what its lines are called."""
    match selection:
        case FromCsv(path):
            return str(path), "line"
        case ById():
            return "contact ids", "entry"
        case _:
            return "contacts", "contact"


stage: Final = Table(
    "campaign_import",
    MetaData(),
    Column("line", ID, primary_key=True, autoincrement=False),
    *contact_columns(),
    Column("trigger_date", Text),
    Column("metadata", Text),
    # of the contact: the first line that names it
    Column("first_line", ID),
    # what the database says about the contact and the instance
    Column("same_id", ID),
    Column("same_status", Text),
    Column("open_id", ID),
    Column("open_count", Integer),
    Column("closed_status", Text),
    Column("is_taken", Integer),
    Column("is_same_taken", Integer),
    Column("outcome", Text),
    prefixes=["TEMPORARY"],
)


def fill_stage(
    connection: Connection,
    selection: Selection,
    bad_lines: BadLines,
    *,
    trigger_date: date | None = None,
    needs_date: bool = False,
) -> None:
    """Put the contacts that are meant into the temporary table, in transactions of their own.

    Afterwards ``outcome`` is null for lines that name one contact that exists, and that no line further up
    names; ``repeated`` for a line that says what another one says; all others are noted as bad and gone.

    Args:
        connection: Not in a transaction.
        selection: Who is meant.
        bad_lines: Gets what cannot be taken.
        trigger_date: Of lines without one.
        needs_date: Whether a line without any trigger date is bad.

    Raises:
        UsageError: The file or the conditions cannot be read.
    """
    with connection.begin():
        create_stage(connection)
    day = None if trigger_date is None else trigger_date.isoformat()
    with connection.begin():
        match selection:
            case FromCsv(path):
                lines = read_csv(path, bad_lines, needs_date=needs_date and day is None)
                insert_lines(connection, lines, day)
            case ById(ids):
                numbered = enumerate(ids, start=1)
                insert_lines(connection, (TargetLine(n, each, None, None, None) for n, each in numbered), day)
            case Where(conditions):
                if not conditions:
                    raise UsageError("no condition; accepted is one such as state=CA,TX")
                _insert_contacts(connection, select_contacts(connection, conditions), day)
            case AllContacts():
                _insert_contacts(connection, select_contacts(connection, ()), day)
    with connection.begin():
        find_contacts(connection, stage)
        note_bad(connection, stage, bad_lines, _COLUMN_OF)
        _find_repeated(connection)
        note_bad(connection, stage, bad_lines, _COLUMN_OF)


def create_stage(connection: Connection) -> None:
    """Make the temporary table, which is gone when the connection is closed."""
    stage.create(connection, checkfirst=False)


def insert_lines(
    connection: Connection, lines: Iterable[TargetLine], trigger_date: str | None = None
) -> None:
    """Put lines into the temporary table as they are.

    Args:
        connection: In a transaction.
        lines: With different numbers.
        trigger_date: Of lines without one, ISO 8601.
    """
    for batch in batches(lines):
        connection.execute(
            insert(stage),
            [
                {
                    "line": line.number,
                    "contact_id": line.contact_id,
                    "address": line.address,
                    "trigger_date": line.trigger_date or trigger_date,
                    "metadata": line.metadata,
                }
                for line in batch
            ],
        )


def _insert_contacts(connection: Connection, ids: Select[tuple[int]], trigger_date: str | None) -> None:
    (contact_id,) = ids.selected_columns
    people = ids.add_columns(contact_id.label("contact_id"), literal(trigger_date, Text()))
    connection.execute(insert(stage).from_select(["line", "contact_id", "trigger_date"], people))


def _find_repeated(connection: Connection) -> None:
    # made when the table is full, which is cheaper
    connection.exec_driver_sql("CREATE INDEX ix_campaign_import ON campaign_import (contact_id, line)")
    other = stage.alias("other")
    first = select(func.min(other.c.line)).where(other.c.contact_id == stage.c.contact_id)
    connection.execute(update(stage).values(first_line=first.scalar_subquery()))
    is_further_down = stage.c.line > stage.c.first_line
    says_the_same = exists().where(
        other.c.line == stage.c.first_line,
        or_(
            other.c.trigger_date == stage.c.trigger_date,
            and_(other.c.trigger_date.is_(None), stage.c.trigger_date.is_(None)),
        ),
    )
    connection.execute(update(stage).where(is_further_down, says_the_same).values(outcome="repeated"))
    connection.execute(update(stage).where(is_further_down, ~says_the_same).values(outcome=TWO_DATES))

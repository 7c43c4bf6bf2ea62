"""The contacts that an operator means, in a temporary table: set-based SQL does the rest."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
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
    text,
    update,
)
from sqlalchemy.engine import Connection

from email_scheduler.errors import UsageError
from email_scheduler.operations.campaigns.bad_lines import BadLines
from email_scheduler.operations.campaigns.conditions import select_contacts
from email_scheduler.operations.campaigns.csv_lines import CONTACT_ID, EMAIL, TargetLine, read_csv
from email_scheduler.storage.tables import contacts
from email_scheduler.storage.types import address_sql

_ROWS_AT_A_TIME: Final = 5_000
_ID: Final = BigInteger().with_variant(Integer(), "sqlite")

UNKNOWN_CONTACT: Final = "no contact has this id"
UNKNOWN_ADDRESS: Final = "no contact has this address"
SHARED_ADDRESS: Final = "several contacts have this address; accepted is a contact_id"
NOT_THE_SAME: Final = "contact_id and email belong to different contacts"
TWO_DATES: Final = "the contact stands further up with another trigger date; accepted is one for each contact"


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
    Column("line", _ID, primary_key=True, autoincrement=False),
    Column("contact_id", _ID),
    Column("address", Text),
    Column("trigger_date", Text),
    Column("metadata", Text),
    # of the address: one contact that has it, and how many have it
    Column("found_id", _ID),
    Column("found_count", Integer),
    # of the contact: the first line that names it
    Column("first_line", _ID),
    # what the database says about the contact and the instance
    Column("same_id", _ID),
    Column("same_status", Text),
    Column("open_id", _ID),
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
        _find_contacts(connection)
        _note_bad(connection, bad_lines)
        _find_repeated(connection)
        _note_bad(connection, bad_lines)


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
    for batch in _batches(lines):
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


def _batches(lines: Iterable[TargetLine]) -> Iterator[list[TargetLine]]:
    rest = iter(lines)
    while batch := list(islice(rest, _ROWS_AT_A_TIME)):
        yield batch


def _insert_contacts(connection: Connection, ids: Select[tuple[int]], trigger_date: str | None) -> None:
    (contact_id,) = ids.selected_columns
    people = ids.add_columns(contact_id.label("contact_id"), literal(trigger_date, Text()))
    connection.execute(insert(stage).from_select(["line", "contact_id", "trigger_date"], people))


def _find_contacts(connection: Connection) -> None:
    # a contact's address is in an index as it is spelled there
    address = address_sql("email", connection.dialect.name)
    has_address = text(f"{address} = lower(campaign_import.address)")
    having_it = select(func.min(contacts.c.id)).where(has_address)
    counted = select(func.count()).select_from(contacts).where(has_address)
    connection.execute(
        update(stage)
        .where(stage.c.address.is_not(None))
        .values(found_id=having_it.scalar_subquery(), found_count=counted.scalar_subquery())
    )
    is_known = exists().where(contacts.c.id == stage.c.contact_id)
    has_that_address = exists().where(contacts.c.id == stage.c.contact_id, has_address)
    by_address = stage.c.contact_id.is_(None)
    for condition, outcome in (
        (and_(by_address, stage.c.found_count == 0), UNKNOWN_ADDRESS),
        (and_(by_address, stage.c.found_count > 1), SHARED_ADDRESS),
        (and_(~by_address, ~is_known), UNKNOWN_CONTACT),
        (and_(~by_address, is_known, stage.c.address.is_not(None), ~has_that_address), NOT_THE_SAME),
    ):
        connection.execute(update(stage).where(condition).values(outcome=outcome))
    connection.execute(
        update(stage).where(by_address, stage.c.found_count == 1).values(contact_id=stage.c.found_id)
    )


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


_COLUMN_OF: Final = {
    UNKNOWN_CONTACT: CONTACT_ID,
    NOT_THE_SAME: CONTACT_ID,
    UNKNOWN_ADDRESS: EMAIL,
    SHARED_ADDRESS: EMAIL,
    TWO_DATES: "trigger_date",
}


def _note_bad(connection: Connection, bad_lines: BadLines) -> None:
    """Note the lines whose outcome is a reason, and take them out of the table."""
    is_bad = stage.c.outcome.in_(list(_COLUMN_OF))
    for line, reason in connection.execute(select(stage.c.line, stage.c.outcome).where(is_bad)):
        bad_lines.add(line, _COLUMN_OF[reason], reason)
    connection.execute(stage.delete().where(is_bad))

"""Finding the contacts that the lines of a file mean, in the temporary table that holds the lines."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import Column, Integer, Table, Text, and_, exists, func, select, text, update
from sqlalchemy.engine import Connection

from email_scheduler.operations.csv_files.bad_lines import BadLines
from email_scheduler.operations.csv_files.cells import CONTACT_ID, EMAIL
from email_scheduler.storage.tables import contacts
from email_scheduler.storage.types import ID, address_sql

_Line = TypeVar("_Line")

UNKNOWN_CONTACT: Final = "no contact has this id"
UNKNOWN_ADDRESS: Final = "no contact has this address"
SHARED_ADDRESS: Final = "several contacts have this address; accepted is a contact_id"
NOT_THE_SAME: Final = "contact_id and email belong to different contacts"
# The column of the file that a reason is about.
COLUMN_OF: Final = {
    UNKNOWN_CONTACT: CONTACT_ID,
    NOT_THE_SAME: CONTACT_ID,
    UNKNOWN_ADDRESS: EMAIL,
    SHARED_ADDRESS: EMAIL,
}

_ROWS_AT_A_TIME: Final = 5_000


def contact_columns() -> list[Column[Any]]:
    """Return the columns of a temporary table by which contacts are found; it needs ``outcome``, too."""
    return [
        Column("contact_id", ID),
        Column("address", Text),
        # of the address: one contact that has it, and how many have it
        Column("found_id", ID),
        Column("found_count", Integer),
    ]


def batches(lines: Iterable[_Line]) -> Iterator[list[_Line]]:
    """Yield lines in lists, each of which is worth a statement."""
    rest = iter(lines)
    while batch := list(islice(rest, _ROWS_AT_A_TIME)):
        yield batch


def find_contacts(connection: Connection, stage: Table) -> None:
    """Write ``contact_id`` of lines that give an address, and why a line means nobody into ``outcome``.

    Args:
        connection: In a transaction.
        stage: A temporary table with ``contact_columns`` and ``outcome``.
    """
    # a contact's address is in an index as it is spelled there
    address = address_sql("email", connection.dialect.name)
    has_address = text(f"{address} = lower({stage.name}.address)")
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


def note_bad(connection: Connection, stage: Table, bad_lines: BadLines, column_of: Mapping[str, str]) -> None:
    """Note the lines whose outcome is a reason, and take them out of the table.

    Args:
        connection: In a transaction.
        stage: The temporary table.
        bad_lines: Gets the lines.
        column_of: The reasons, each with the column of the file that it is about.
    """
    is_bad = stage.c.outcome.in_(list(column_of))
    for line, reason in connection.execute(select(stage.c.line, stage.c.outcome).where(is_bad)):
        bad_lines.add(line, column_of[reason], reason)
    connection.execute(stage.delete().where(is_bad))

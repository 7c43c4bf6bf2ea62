"""Importing lines, whatever they are about: staged, their contacts looked up, bad and repeated ones told."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import pyarrow as pa
from sqlalchemy import (
    Column,
    ColumnCollection,
    ColumnElement,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    delete,
    exists,
    func,
    select,
    update,
)

from email_scheduler.database.addresses import has_that_address, look_up_addresses
from email_scheduler.database.connections import ID, Connection
from email_scheduler.database.csv_files import CONTACT_ID, EMAIL, BadLines, BadLinesError
from email_scheduler.database.tables import contacts
from email_scheduler.planning import address_keys

UNKNOWN_CONTACT: Final = "no contact has this id"
UNKNOWN_ADDRESS: Final = "no contact has this address"
SHARED_ADDRESS: Final = "several contacts have this address; accepted is a contact_id"
NOT_THE_SAME: Final = "contact_id and email belong to different contacts"
# The column of the file that a reason is about.
_COLUMN_OF: Final = {
    UNKNOWN_CONTACT: CONTACT_ID,
    NOT_THE_SAME: CONTACT_ID,
    UNKNOWN_ADDRESS: EMAIL,
    SHARED_ADDRESS: EMAIL,
}

# What becomes of a line, whatever it is about.
ADDED: Final = "added"
REPEATED: Final = "repeated"

_ROWS_AT_A_TIME: Final = 20_000
_BAD_LINES_AT_A_TIME: Final = 100_000

Columns = ColumnCollection[str, Column[Any]]


def stage_table(name: str, *columns: Column[Any]) -> Table:
    """Return a temporary table for lines that name contacts and say more in further columns.

    Of its columns, a line brings ``line``, ``contact_id`` and ``address``; ``outcome`` is null as long as it
    is not decided what becomes of the line.
    """
    return Table(
        name,
        MetaData(),
        Column("line", ID, primary_key=True, autoincrement=False),
        Column("contact_id", ID),
        # its key
        Column("address", Text),
        # of the address: one contact that has it, and how many have it
        Column("found_id", ID),
        Column("found_count", Integer),
        # the first line about the same
        Column("first_line", ID),
        Column("outcome", Text),
        *columns,
        prefixes=["TEMPORARY"],
    )


@dataclass(frozen=True)
class LineKind:
    """What a line of an import is.

    Attributes:
        stage: ``stage_table``.
        about: What a line is about besides its contact: of the columns, values that are never null.
        says: What it says about that, likewise. Lines about the same have to say the same.
        conflict: Why a line that says something else than one further up is bad, and the column concerned.
    """

    stage: Table
    about: Callable[[Columns], Sequence[ColumnElement[Any]]]
    says: Callable[[Columns], Sequence[ColumnElement[Any]]]
    conflict: tuple[str, str]


@dataclass(frozen=True)
class Source:
    """Where lines come from: what that is called in messages, and what a line of it is called."""

    name: str
    unit: str = "line"


def import_lines(
    connection: Connection,
    kind: LineKind,
    source: Source,
    read: Callable[[BadLines], Iterable[Mapping[str, object]]],
    *,
    skip_bad: bool = False,
) -> BadLines:
    """Put lines into their temporary table, while others may write to the database; return the bad ones.

    Afterwards ``outcome`` is null for lines that name one contact that exists, and what no line further up is
    about; ``repeated`` for a line that says what another one says; all others are noted as bad and gone.

    Args:
        connection: Not in a transaction.
        kind: What the lines are.
        source: Where they come from.
        read: Returns the lines as rows of the temporary table, and notes those that cannot be read.
        skip_bad: Take the other lines if some cannot be taken.

    Raises:
        BadLinesError: Some lines cannot be taken.
        UsageError: The source cannot be read.
    """
    bad_lines = BadLines()
    with connection.staging():
        stage_lines(connection, kind, read(bad_lines))
    with connection.staging():
        _find_contacts(connection, kind.stage)
        take_out(connection, kind.stage, bad_lines, _COLUMN_OF)
        find_repeated(connection, kind)
        take_out(connection, kind.stage, bad_lines, dict([kind.conflict]))
    if bad_lines and not skip_bad:
        raise BadLinesError(source.name, bad_lines, source.unit)
    return bad_lines


def stage_lines(connection: Connection, kind: LineKind, rows: Iterable[Mapping[str, object]]) -> None:
    """Make the temporary table, which is gone when the connection is closed, and put rows into it.

    Args:
        connection: In a transaction, or staging.
        kind: What the lines are.
        rows: With different numbers; all with the same columns, and addresses as they are written.
    """
    connection.create_temporary(kind.stage)
    rest = iter(rows)
    while batch := list(islice(rest, _ROWS_AT_A_TIME)):
        keys = address_keys(pa.array([row["address"] for row in batch], pa.large_string()))
        connection.append_rows(
            kind.stage,
            [{**row, "address": key} for row, key in zip(batch, keys.to_pylist(), strict=True)],
        )


def count_outcomes(connection: Connection, stage: Table) -> dict[str, int]:
    """Return how many lines have come to what; those of which nothing is noted were added."""
    counted = select(stage.c.outcome, func.count()).group_by(stage.c.outcome).order_by(stage.c.outcome)
    return {outcome or ADDED: int(count) for outcome, count in connection.execute(counted)}


def _find_contacts(connection: Connection, stage: Table) -> None:
    """Write ``contact_id`` of lines that give an address, and why a line means nobody into ``outcome``."""
    look_up_addresses(connection, stage)
    is_known = exists().where(contacts.c.id == stage.c.contact_id)
    is_its_own = has_that_address(connection, stage)
    by_address = stage.c.contact_id.is_(None)
    for condition, outcome in (
        (and_(by_address, stage.c.found_count == 0), UNKNOWN_ADDRESS),
        (and_(by_address, stage.c.found_count > 1), SHARED_ADDRESS),
        (and_(~by_address, ~is_known), UNKNOWN_CONTACT),
        (and_(~by_address, is_known, stage.c.address.is_not(None), ~is_its_own), NOT_THE_SAME),
    ):
        connection.execute(update(stage).where(condition).values(outcome=outcome))
    connection.execute(
        update(stage).where(by_address, stage.c.found_count == 1).values(contact_id=stage.c.found_id)
    )


def find_repeated(connection: Connection, kind: LineKind) -> None:
    """Note which lines say what another one further up says, and which contradict one."""
    stage = kind.stage
    # made when the table is full, which is cheaper
    connection.execute(f"CREATE INDEX ix_{stage.name} ON {stage.name} (contact_id, line)")
    other = stage.alias("other")
    first = select(func.min(other.c.line)).where(
        other.c.contact_id == stage.c.contact_id, *_equal(kind.about, other.c, stage.c)
    )
    connection.execute(update(stage).values(first_line=first.scalar_subquery()))
    is_further_down = stage.c.line > stage.c.first_line
    says_the_same = exists().where(other.c.line == stage.c.first_line, *_equal(kind.says, other.c, stage.c))
    connection.execute(update(stage).where(is_further_down, says_the_same).values(outcome=REPEATED))
    connection.execute(update(stage).where(is_further_down, ~says_the_same).values(outcome=kind.conflict[0]))


def _equal(
    values: Callable[[Columns], Sequence[ColumnElement[Any]]], left: Any, right: Any
) -> list[ColumnElement[bool]]:
    return [one == another for one, another in zip(values(left), values(right), strict=True)]


def take_out(connection: Connection, stage: Table, bad_lines: BadLines, column_of: Mapping[str, str]) -> None:
    """Note the lines whose outcome is one of these reasons, and take them out of the table."""
    is_bad = stage.c.outcome.in_(list(column_of))
    query = select(stage.c.line, stage.c.outcome).where(is_bad).order_by(stage.c.line)
    last = -(1 << 63)
    while rows := connection.execute(query.where(stage.c.line > last).limit(_BAD_LINES_AT_A_TIME)):
        for line, reason in rows:
            bad_lines.add(line, column_of[reason], reason)
        last = rows[-1][0]
    connection.execute(delete(stage).where(is_bad))

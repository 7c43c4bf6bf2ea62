"""Contacts of a file, staged: whom each line is about, what becomes of it, and writing what changes.

What becomes of each line is decided before anything is written. Then only rows that change are written, some
thousand lines in a transaction.
"""

from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Table,
    TableClause,
    and_,
    case,
    cast,
    column,
    delete,
    exists,
    false,
    func,
    insert,
    or_,
    select,
    table,
    update,
)
from sqlalchemy.sql.elements import quoted_name

from email_scheduler.contacts.contact_file import ContactFile, kind_of, value_name
from email_scheduler.database import (
    CONTACT_ID,
    DRIVER_ERRORS,
    EMAIL,
    ID,
    REPEATED,
    SHARED_ADDRESS,
    BadLines,
    Connection,
    LineKind,
    count_outcomes,
    describe,
    find_repeated,
    has_that_address,
    look_up_addresses,
    stage_lines,
    take_out,
)
from email_scheduler.errors import DatabaseError

CREATED: Final = "created"
UPDATED: Final = "updated"
UNCHANGED: Final = "unchanged"
DELETED: Final = "deleted"

NAMED_BY_ID: Final = (
    "no contact has this address, and another line gives it to a contact with an id;"
    " accepted is the id in both lines, or one line"
)
CONFLICT: Final = (
    "the address is that of another contact than the id; accepted is the id of the contact with the address"
    " (--trust-ids takes the id, and contacts rekey is for contacts that were given new ids)"
)
_COLUMN_OF: Final = {SHARED_ADDRESS: EMAIL, NAMED_BY_ID: EMAIL, CONFLICT: CONTACT_ID}
_LINES_AT_A_TIME: Final = 20_000
# What stands for the id of a contact that is to be created by its address: this, and its line, below 0.
_NO_ID: Final = 1 << 61

_leaving: Final = Table(
    "contacts_leaving",
    MetaData(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", ID),
    prefixes=["TEMPORARY"],
)


@dataclass(frozen=True)
class _Value:
    """A column that lines have a value for.

    Attributes:
        name: Of the column of ``contacts``, in small letters.
        staged: The value of the line, as the column takes it; null where the line leaves what is stored.
        stored: The column.
        is_added: Whether it is not there yet when it is decided what becomes of the lines.
    """

    name: str
    staged: ColumnElement[Any]
    stored: ColumnElement[Any]
    is_added: bool

    @property
    def differs(self) -> ColumnElement[bool]:
        """The condition that the line changes the column of its contact."""
        is_given = self.staged.is_not(None)
        return is_given if self.is_added else and_(is_given, self.staged.is_distinct_from(self.stored))


class StagedContacts:
    """Staged lines, and what becomes of them."""

    def __init__(self, connection: Connection, kind: LineKind, file: ContactFile) -> None:
        self._connection = connection
        self._kind = kind
        self._stage = kind.stage
        self._added = file.columns.added
        names = list(file.columns.at)
        stored = {name: quoted_name(file.types[name].column, quote=True) for name in names}
        self._contacts = table("contacts", column("id"), *(column(name) for name in stored.values()))
        self._values = [
            _Value(
                name,
                # on SQLite the temporary table has the column's own type
                cast(kind.stage.c[value_name(number)], file.types[name])
                if file.is_typed
                else kind.stage.c[value_name(number)],
                self._contacts.c[stored[name]],
                name in file.columns.added,
            )
            for number, name in enumerate(names)
        ]
        self._email_name = value_name(names.index(EMAIL)) if EMAIL in names else None
        self._counted: dict[str, int] = {}
        self.leaving = 0
        self.contacts_before = 0

    @classmethod
    def staged(cls, connection: Connection, file: ContactFile, bad_lines: BadLines) -> "StagedContacts":
        """Put the lines of a file into a temporary table."""
        with connection.staging():
            rows = file.rows(bad_lines)
            first = list(zip(range(1), rows, strict=False))
            kind = kind_of(file)
            stage_lines(connection, kind, chain((row for _, row in first), rows))
        return cls(connection, kind, file)

    def find_contacts(self, bad_lines: BadLines, *, trust_ids: bool) -> None:
        """Write ``contact_id`` of lines that give an address only; take out lines that are not clear."""
        connection, stage = self._connection, self._stage
        by_address = stage.c.contact_id.is_(None)
        is_new = and_(by_address, stage.c.found_count == 0)
        other = stage.alias("other")
        has_its_address = other.c.address == stage.c.address
        with connection.staging():
            connection.execute(f"CREATE INDEX ix_{stage.name}_address ON {stage.name} (address, line)")
            look_up_addresses(connection, stage)
            self._note(and_(by_address, stage.c.found_count > 1), SHARED_ADDRESS)
            named_by_id = exists().where(has_its_address, other.c.contact_id.is_not(None))
            self._note(and_(is_new, named_by_id), NAMED_BY_ID)
            if not trust_ids:
                is_anothers = and_(~by_address, stage.c.found_count > 0)
                self._note(and_(is_anothers, ~has_that_address(connection, stage)), CONFLICT)
            take_out(connection, stage, bad_lines, _COLUMN_OF)
            first = select(func.min(other.c.line)).where(has_its_address, other.c.contact_id.is_(None))
            connection.execute(update(stage).where(is_new).values(found_id=first.scalar_subquery()))
            # the address that says who is meant stays as it is written
            stays = {} if self._email_name is None else {self._email_name: None}
            is_found = and_(by_address, stage.c.found_count == 1)
            connection.execute(update(stage).where(is_found).values(contact_id=stage.c.found_id, **stays))
            connection.execute(update(stage).where(is_new).values(contact_id=-_NO_ID - stage.c.found_id))
            find_repeated(connection, self._kind)
            take_out(connection, stage, bad_lines, dict([self._kind.conflict]))

    def decide(self, *, replace: bool) -> None:
        """Note what becomes of each line, and which contacts the file does not name."""
        connection, stage, stored = self._connection, self._stage, self._contacts
        is_its_contact = stored.c.id == stage.c.contact_id
        is_known = exists().where(is_its_contact)
        is_changed = exists().where(is_its_contact, self._differs)
        outcome = case((~is_known, CREATED), (is_changed, UPDATED), else_=UNCHANGED)
        with connection.staging():
            connection.execute(update(stage).where(stage.c.outcome.is_(None)).values(outcome=outcome))
            ((self.contacts_before,),) = connection.execute(select(func.count()).select_from(stored))
            if replace:
                connection.create_temporary(_leaving)
                is_named = exists().where(is_its_contact)
                numbered = func.row_number().over(order_by=stored.c.id)
                connection.execute(
                    insert(_leaving).from_select(
                        ["number", "id"], select(numbered, stored.c.id).where(~is_named)
                    )
                )
                ((self.leaving,),) = connection.execute(select(func.count()).select_from(_leaving))
        self._counted = count_outcomes(connection, stage)

    def counts(self) -> dict[str, int]:
        """Return how many lines come to what, and how many contacts are deleted."""
        names = (CREATED, UPDATED, UNCHANGED, REPEATED)
        return {name: self._counted.get(name, 0) for name in names} | {DELETED: self.leaving}

    def updated(self) -> dict[str, int]:
        """Return of how many contacts each column changes."""
        if not self._values:
            return {}
        stage, stored = self._stage, self._contacts
        changed = [func.coalesce(func.sum(case((each.differs, 1), else_=0)), 0) for each in self._values]
        (row,) = self._connection.execute(
            select(*changed).where(stored.c.id == stage.c.contact_id, stage.c.outcome == UPDATED)
        )
        return {each.name: int(count) for each, count in zip(self._values, row, strict=True) if count}

    def try_writing(self, kind: str) -> None:
        """Write a line of each sort, and take it back, where ``contacts`` is no table.

        Args:
            kind: What it is.

        Raises:
            DatabaseError: It does not take them.
        """
        if self._added:
            raise DatabaseError(
                f"contacts is a {kind}, which nobody adds columns to: {', '.join(self._added)}; accepted is"
                " a file without them, or another view"
            )
        connection, stage = self._connection, self._stage
        has_id = stage.c.contact_id >= 0
        firsts = (
            select(func.min(stage.c.line)).group_by(stage.c.outcome, has_id).where(stage.c.outcome == outcome)
            for outcome in (CREATED, UPDATED)
        )
        lines = [line for first in firsts for (line,) in connection.execute(first)]
        try:
            with connection.transaction(is_dry_run=True):
                self._create(stage.c.line.in_(lines))
                self._update(stage.c.line.in_(lines))
                if self.leaving:
                    self._delete(_leaving.c.number == 1)
        except DRIVER_ERRORS as error:
            raise DatabaseError(
                f"contacts is a {kind}, and does not take what the file changes ({describe(error)}); nothing"
                " was changed. Accepted is one that can be written to, or a load of the table behind it"
            ) from error

    def write(self) -> None:
        """Write what the lines change, and delete the contacts that leave."""
        connection, stage = self._connection, self._stage
        if self._added:
            with connection.transaction():
                for name in self._added:
                    connection.execute(f'ALTER TABLE contacts ADD COLUMN "{name}" TEXT')
        ((last,),) = connection.execute(select(func.coalesce(func.max(stage.c.line), 0)))
        for start in range(0, int(last) + 1, _LINES_AT_A_TIME):
            lines = stage.c.line.between(start, start + _LINES_AT_A_TIME - 1)
            with connection.transaction():
                self._create(lines)
                self._update(lines)
        for start in range(1, self.leaving + 1, _LINES_AT_A_TIME):
            numbers = _leaving.c.number.between(start, start + _LINES_AT_A_TIME - 1)
            with connection.transaction():
                self._delete(numbers)

    def _create(self, lines: ColumnElement[bool]) -> None:
        if not self._counted.get(CREATED):
            # not every view takes new rows, not even none of them
            return
        stage = self._stage
        new = and_(lines, stage.c.outcome == CREATED)
        values = [each.staged for each in self._values]
        names = [each.stored.name for each in self._values]
        with_id = select(stage.c.contact_id, *values).where(new, stage.c.contact_id >= 0)
        without_id = select(*values).where(new, stage.c.contact_id < 0)
        into: TableClause = self._contacts
        self._connection.execute(insert(into).from_select(["id", *names], with_id.order_by(stage.c.line)))
        self._connection.number_beyond("contacts")
        if names:
            self._connection.execute(insert(into).from_select(names, without_id.order_by(stage.c.line)))

    def _delete(self, numbers: ColumnElement[bool]) -> None:
        ids = select(_leaving.c.id).where(numbers)
        self._connection.execute(delete(self._contacts).where(self._contacts.c.id.in_(ids)))

    def _update(self, lines: ColumnElement[bool]) -> None:
        if not self._counted.get(UPDATED):
            return
        stage, stored = self._stage, self._contacts
        values: dict[Any, Any] = {
            each.stored: func.coalesce(each.staged, each.stored) for each in self._values
        }
        self._connection.execute(
            update(stored)
            .values(values)
            .where(stored.c.id == stage.c.contact_id, lines, stage.c.outcome == UPDATED, self._differs)
        )

    @property
    def _differs(self) -> ColumnElement[bool]:
        return or_(false(), *(each.differs for each in self._values))

    def _note(self, condition: ColumnElement[bool], outcome: str) -> None:
        stage = self._stage
        self._connection.execute(
            update(stage).where(stage.c.outcome.is_(None), condition).values(outcome=outcome)
        )

"""Loading contacts from a CSV file: creating those that are not there, updating the others.

Lines are staged, and what becomes of each is decided before anything is written. Then only rows that change
are written, some thousand lines in a transaction. A load that is stopped half-way is completed by the same
load: what is written already is unchanged.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Table,
    TableClause,
    Text,
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

from email_scheduler.config import SchedulerConfig
from email_scheduler.contacts.headings import Columns, read_columns
from email_scheduler.contacts.values import StoredType, any_text, reader_of_values
from email_scheduler.database import (
    CONTACT_ID,
    EMAIL,
    ID,
    REPEATED,
    SHARED_ADDRESS,
    SQLITE,
    BadLines,
    BadLinesError,
    Connection,
    LineKind,
    LineReader,
    Problems,
    connected,
    count_outcomes,
    find_repeated,
    has_that_address,
    look_up_addresses,
    open_csv,
    read_contact,
    read_lines,
    require_current_schema,
    stage_lines,
    stage_table,
    take_out,
    unescape_cell,
)
from email_scheduler.errors import UsageError
from email_scheduler.planning import LEAST_LOST

CREATED: Final = "created"
UPDATED: Final = "updated"
UNCHANGED: Final = "unchanged"
DELETED: Final = "deleted"

TWO_LINES: Final = "the contact stands further up with other values; accepted is one line for each contact"
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
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AcceptedDeletion:
    """Somebody's word that a load may delete as many contacts as it does.

    Attributes:
        by: Who says so.
        reason: Why.
    """

    by: str
    reason: str


@dataclass(frozen=True)
class ContactsImport:
    """What became of the lines of a file.

    Attributes:
        counts: Lines by what became of them: created, updated, unchanged, repeated; and contacts that were
            deleted.
        updated: Contacts of which a column changed, by column.
        contacts_before: How many contacts there were.
        added_columns: Columns that ``contacts`` got.
        ignored_columns: Headings of columns that were passed over.
        deletes_too_much: Whether somebody has to accept the deletions (of a dry run: would have to).
        bad_lines: Those that could not be taken.
    """

    counts: dict[str, int]
    updated: dict[str, int]
    contacts_before: int
    added_columns: tuple[str, ...]
    ignored_columns: tuple[str, ...]
    deletes_too_much: bool
    bad_lines: BadLines = field(default_factory=BadLines)


def import_contacts(
    url: str,
    config: SchedulerConfig,
    path: Path,
    *,
    mapping: Mapping[str, str] | None = None,
    add_columns: bool = False,
    trust_ids: bool = False,
    skip_bad: bool = False,
    replace: bool = False,
    accepted: AcceptedDeletion | None = None,
    is_dry_run: bool = False,
) -> ContactsImport:
    """Create and update contacts from a CSV file.

    A line with an id is about the contact with this id, any other one about the contact with its address. A
    blank cell leaves what is stored. An address that says who is meant stays as it is written.

    Args:
        url: The organisation's database, initialised.
        config: Its configuration.
        path: The file; its columns: ``headings.read_columns``.
        mapping: What headings mean (``headings.parse_mapping``).
        add_columns: Add columns to ``contacts`` that it does not have.
        trust_ids: Take lines whose address is that of another contact than their id.
        skip_bad: Take the other lines if some cannot be taken.
        replace: Delete the contacts that the file does not name.
        accepted: Somebody's word that many may be deleted.
        is_dry_run: Return what would become of them; change nothing.

    Raises:
        BadLinesError: Some lines cannot be taken; nothing was changed.
        DatabaseError: The database cannot be used; batches before that are written.
        UsageError: The file cannot be read, or too many contacts would be deleted; nothing was changed.
    """
    if replace and skip_bad:
        raise UsageError(
            "--replace with --skip-bad would delete the contacts of bad lines; accepted is one of the two"
        )
    require_current_schema(url, config)
    with connected(url, config, is_bulky=True) as connection:
        bad_lines = BadLines()
        is_typed = connection.dialect.name != SQLITE
        file = _File(path, _stored_types(connection), mapping or {}, add_columns, is_typed)
        load = _Load.staged(connection, file, bad_lines)
        load.find_contacts(bad_lines, trust_ids=trust_ids)
        if bad_lines and not skip_bad:
            raise BadLinesError(str(path), bad_lines, "line")
        load.decide(replace=replace)
        most = config.guard.max_contact_loss_share
        found = ContactsImport(
            load.counts(),
            load.updated(),
            load.contacts_before,
            file.columns.added,
            file.columns.ignored,
            deletes_too_much(load.leaving, load.contacts_before, most),
            bad_lines,
        )
        if not is_dry_run:
            if replace:
                _check_deletions(found, str(path), accepted, most)
            load.write()
    return found


def deletes_too_much(leaving: int, contacts: int, share: Decimal) -> bool:
    """Tell whether somebody has to accept that contacts are deleted (section 17 of the planning rules).

    Args:
        leaving: How many are deleted.
        contacts: How many there are.
        share: The share of them that may be deleted without a word.
    """
    return leaving >= LEAST_LOST and leaving > share * contacts


def _check_deletions(
    found: ContactsImport, source: str, accepted: AcceptedDeletion | None, most: Decimal
) -> None:
    leaving, there = found.counts[DELETED], found.contacts_before
    if leaving and not sum(found.counts[each] for each in (CREATED, UPDATED, UNCHANGED)):
        raise UsageError(f"{source}: the file holds no contact; accepted for --replace is one with contacts")
    if not found.deletes_too_much:
        return
    told = f"{leaving:,} of {there:,} contacts are not in the file"
    if accepted is None:
        raise UsageError(
            f"{source}: {told}, more than guard.max_contact_loss_share ({most}) allows, and --replace would"
            " delete them; nothing was changed. Accepted is a whole file, or --accept-loss --by NAME"
            " --reason TEXT"
        )
    _logger.warning("%s; %s accepts that they are deleted: %s", told, accepted.by, accepted.reason)


def _stored_types(connection: Connection) -> dict[str, StoredType]:
    # a name in small letters goes before the same one in capital letters
    types = sorted(connection.column_types("contacts").items())
    return {name.lower(): StoredType(name, kind) for name, kind in types}


@dataclass
class _File:
    """The lines of a file, as rows of the temporary table.

    Attributes:
        path: The file.
        types: Of the columns of ``contacts``, by their names in small letters.
        mapping: What headings mean.
        add_columns: Whether columns that ``contacts`` does not have are taken.
        is_typed: Whether a column takes values of its type only.
        columns: Where a line has what, once a line was asked for.
    """

    path: Path
    types: dict[str, StoredType]
    mapping: Mapping[str, str]
    add_columns: bool
    is_typed: bool
    columns: Columns = field(init=False)

    def rows(self, bad_lines: BadLines) -> Iterator[dict[str, object]]:
        """Yield the rows; note bad lines."""
        with open_csv(self.path) as lines:
            yield from read_lines(lines, str(self.path), bad_lines, self._reader_of)

    def _reader_of(self, heading: list[str], where: str) -> LineReader[dict[str, object]]:
        known = self.types.keys() - {"id"}
        columns = read_columns(heading, where, known, self.mapping, add_columns=self.add_columns)
        self.columns = columns
        self.types |= {name: StoredType(name, "TEXT") for name in columns.added}
        id_at, email_at = columns.id_at, columns.at.get(EMAIL)
        contact_column = CONTACT_ID if email_at is None else EMAIL
        values = [
            (_value_name(number), at, reader_of_values(self.types[name]) if self.is_typed else any_text)
            for number, (name, at) in enumerate(columns.at.items())
        ]

        def cell(cells: list[str], at: int | None) -> str:
            return "" if at is None else unescape_cell(cells[at].strip())

        def read(number: int, cells: list[str], problems: Problems) -> dict[str, object]:
            contact_id, address = read_contact(
                cell(cells, id_at), cell(cells, email_at), contact_column, problems
            )
            row: dict[str, object] = {"line": number, "contact_id": contact_id, "address": address}
            for name, at, read_value in values:
                row[name] = read_value(unescape_cell(cells[at].strip()), problems)
            return row

        return read


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


class _Load:
    """Staged lines, and what becomes of them."""

    def __init__(self, connection: Connection, kind: LineKind, file: _File) -> None:
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
                cast(kind.stage.c[_value_name(number)], file.types[name])
                if file.is_typed
                else kind.stage.c[_value_name(number)],
                self._contacts.c[stored[name]],
                name in file.columns.added,
            )
            for number, name in enumerate(names)
        ]
        self._email_name = _value_name(names.index(EMAIL)) if EMAIL in names else None
        self.leaving = 0
        self.contacts_before = 0

    @classmethod
    def staged(cls, connection: Connection, file: _File, bad_lines: BadLines) -> "_Load":
        """Put the lines of a file into a temporary table."""
        with connection.staging():
            rows = file.rows(bad_lines)
            first = list(zip(range(1), rows, strict=False))
            kind = _kind_of(file)
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

    def counts(self) -> dict[str, int]:
        """Return how many lines come to what, and how many contacts are deleted."""
        counted = count_outcomes(self._connection, self._stage)
        names = (CREATED, UPDATED, UNCHANGED, REPEATED)
        return {name: counted.get(name, 0) for name in names} | {DELETED: self.leaving}

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
                ids = select(_leaving.c.id).where(numbers)
                connection.execute(delete(self._contacts).where(self._contacts.c.id.in_(ids)))

    def _create(self, lines: ColumnElement[bool]) -> None:
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

    def _update(self, lines: ColumnElement[bool]) -> None:
        if not self._values:
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


_leaving: Final = Table(
    "contacts_leaving",
    MetaData(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", ID),
    prefixes=["TEMPORARY"],
)


def _value_name(number: int) -> str:
    return f"value_{number}"


def _kind_of(file: _File) -> LineKind:
    columns = [
        Column(_value_name(number), Text() if file.is_typed else file.types[name])
        for number, name in enumerate(file.columns.at)
    ]
    stage = stage_table("contacts_import", *columns)

    def says(of: Any) -> Sequence[ColumnElement[Any]]:
        return [func.coalesce(cast(of[each.name], Text()), "") for each in columns]

    # a line is about a contact, and says its values
    return LineKind(stage, about=lambda _: [], says=says, conflict=(TWO_LINES, ""))

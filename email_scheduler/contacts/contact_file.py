"""A CSV file of contacts: its lines as rows of a temporary table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Text, cast, func

from email_scheduler.contacts.headings import Columns, read_columns
from email_scheduler.contacts.values import StoredType, any_text, reader_of_values
from email_scheduler.database import (
    CONTACT_ID,
    EMAIL,
    BadLines,
    Connection,
    LineKind,
    LineReader,
    Problems,
    open_csv,
    read_contact,
    read_lines,
    stage_table,
    unescape_cell,
)

TWO_LINES: Final = "the contact stands further up with other values; accepted is one line for each contact"


@dataclass
class ContactFile:
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
            (value_name(number), at, reader_of_values(self.types[name]) if self.is_typed else any_text)
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


def stored_types(connection: Connection) -> dict[str, StoredType]:
    """Return the types of the columns of ``contacts``, by their names in small letters."""
    # a name in small letters goes before the same one in capital letters
    types = sorted(connection.column_types("contacts").items())
    return {name.lower(): StoredType(name, kind) for name, kind in types}


def value_name(number: int) -> str:
    """Return what the value of a column is called in the temporary table."""
    return f"value_{number}"


def kind_of(file: ContactFile) -> LineKind:
    """Return what a line is, once the heading is read: its values are ``value_0``, ``value_1`` ..."""
    columns = [
        Column(value_name(number), Text() if file.is_typed else file.types[name])
        for number, name in enumerate(file.columns.at)
    ]
    stage = stage_table("contacts_import", *columns)

    def says(of: Any) -> Sequence[ColumnElement[Any]]:
        return [func.coalesce(cast(of[each.name], Text()), "") for each in columns]

    # a line is about a contact, and says its values
    return LineKind(stage, about=lambda _: [], says=says, conflict=(TWO_LINES, ""))

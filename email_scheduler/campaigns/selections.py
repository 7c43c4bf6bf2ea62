"""The contacts that an operator means: by id, of a CSV file, by condition, or all; each is a line.

Conditions that are typed, such as ``state=CA,TX``, are those of audiences.
"""

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic_core import PydanticCustomError
from sqlalchemy import Column, Integer, Text, func

from email_scheduler.config import NOT, STATE, Condition, Value, as_condition, of_states, read_text
from email_scheduler.database import (
    ACCEPTED_DATE,
    CONTACT_ID,
    EMAIL,
    ID,
    BadLines,
    Connection,
    Dates,
    LineKind,
    LineReader,
    Problems,
    Source,
    contact_columns,
    import_lines,
    open_csv,
    read_columns,
    read_contact,
    read_lines,
    stage_table,
    unescape_cell,
)
from email_scheduler.errors import ConfigurationError, UsageError
from email_scheduler.planning import PARTS, ContactTable, source_of, states_of, suits_part

STATE_NOTE: Final = (
    "state is the state that the ZIP lies in, as in audiences and plans;"
    " the column state does not count any more"
)
_CONDITION: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(!=|<=|>=|=|<|>)(.*)", re.DOTALL)
# Digits with a nought before them are a text, such as a ZIP.
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")
_PART: Final = re.compile(r"[0-9]{1,4}")
_ISO_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ACCEPTED: Final = "accepted is COLUMN=VALUE[,VALUE...], or COLUMN with != < <= > >= and a value"
_BOUND: Final = {">": "min", ">=": "min", "<": "max", "<=": "max"}
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


def find_contacts(connection: Connection, conditions: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the ids of the contacts that meet all of these conditions, valid or not, in order.

    Args:
        connection: To the organisation's database: its table may have more columns than are known here.
        conditions: Such as ``state=CA,TX``; none: every contact.

    Raises:
        UsageError: One cannot be read, or names a column that there is not.
    """
    columns = contact_columns(connection)
    read = [read_condition(text, columns) for text in conditions]
    names = {name for name, _ in read}
    # a ZIP that has lost its first digits may be contradicted by the column state
    people = read_columns(connection, names | ({"zip_code"} if STATE in names else set()))
    states = states_of(people["zip_code"], people[STATE]) if STATE in names else None
    table = ContactTable(pd.DataFrame({"contact_id": people["id"], STATE: states}), [people])
    is_meant = np.ones(len(people), np.bool_)
    for name, condition in read:
        is_meant &= table.meets(name, condition)
    ids: npt.NDArray[np.int64] = np.sort(people["id"].to_numpy()[is_meant])
    return ids


def names_state(conditions: Iterable[str]) -> bool:
    """Tell whether one of these conditions is about ``state``."""
    found = map(_CONDITION.fullmatch, conditions)
    return any(match is not None and match[1].lower() == STATE for match in found)


def read_condition(text: str, columns: Collection[str]) -> tuple[str, Condition]:
    """Return the name and the condition on its value, as audiences have them.

    Args:
        text: As it is typed.
        columns: Those of ``contacts``, in small letters.

    Raises:
        UsageError: It cannot be read, or names a column that there is not.
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise UsageError(f"condition {text!r}: {_ACCEPTED}")
    name, operator, written = match[1].lower(), match[2], match[3].strip()
    source = source_of(name, columns)
    if source is None:
        dates = [each.removesuffix("_date") for each in columns if each.endswith("_date")]
        known = sorted({*columns, *(f"{each}_{kind}" for each in dates for kind in PARTS)})
        raise UsageError(
            f"condition {text!r}: contacts have no column {name}; accepted is one of {', '.join(known)}"
        )
    try:
        return name, _read(name, source[1], operator, written)
    except (UsageError, PydanticCustomError) as error:
        raise UsageError(f"condition {text!r}: {error}") from error


def _read(name: str, part: str, operator: str, written: str) -> Condition:
    condition = _values(written, is_part=bool(part))
    if part and not (suits_part(condition, part) and (operator not in _BOUND or len(condition) == 1)):
        raise UsageError(f"accepted is a {part}, a whole number from 1 to {PARTS[part]}")
    if operator in _BOUND:
        return _range(operator, condition, written, is_date=name.endswith("_date"))
    if operator == "!=":
        condition = as_condition({NOT: condition})
    return of_states(condition) if name == STATE and written else condition


def _values(written: str, *, is_part: bool) -> Condition:
    if written[:1] + written[-1:] in {"[]", "{}"}:
        try:
            return as_condition(read_text(f"value: {written}", Path("condition"))["value"])
        except ConfigurationError as error:
            raise UsageError("accepted in brackets is what audiences accept, written in YAML") from error
    return [_value(each.strip(), is_part=is_part) for each in written.split(",")]


def _value(text: str, *, is_part: bool) -> Value:
    if is_part and _PART.fullmatch(text):
        return int(text)
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def _range(operator: str, condition: Condition, written: str, *, is_date: bool) -> Condition:
    """Return the range on one side of a value; without the value itself, it begins with the next one."""
    bound = condition[0] if isinstance(condition, list) and len(condition) == 1 else None
    step = {">": 1, "<": -1}.get(operator, 0)
    try:
        if isinstance(bound, str) and _ISO_DATE.fullmatch(bound):
            return {_BOUND[operator]: (date.fromisoformat(bound) + timedelta(days=step)).isoformat()}
    except (ValueError, OverflowError):
        bound = None
    if bound is None or isinstance(bound, str) or is_date:
        raise UsageError(
            f"{written!r} cannot be compared by {operator}; accepted is a date YYYY-MM-DD, or of other"
            " columns a number"
        )
    return {_BOUND[operator]: math.nextafter(bound, step * math.inf) if step else bound}


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


def selection_source(selection: Selection) -> Source:
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

    return import_lines(connection, TARGETS, selection_source(selection), read, skip_bad=skip_bad)


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

    def reader_of(heading: list[str], where: str) -> LineReader[TargetLine]:
        return _reader_of(heading, where, needs_date=needs_date)

    return read_lines(lines, source, bad_lines, reader_of)


def _reader_of(heading: list[str], where: str, *, needs_date: bool) -> LineReader[TargetLine]:
    if CONTACT_ID not in heading and EMAIL not in heading:
        raise UsageError(
            f"{where}: none of the {len(heading)} columns is contact_id or email; accepted is one of"
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
        written = cell(cells, date_at)
        trigger = dates.date_of(written)
        if written and trigger is None:
            problems.append((TRIGGER_DATE, ACCEPTED_DATE))
        if not written and needs_date:
            problems.append((TRIGGER_DATE, NO_DATE))
        metadata = {name: unescape_cell(cells[at]) for name, at in free if cells[at].strip()}
        return TargetLine(
            number,
            contact_id,
            address,
            trigger,
            json.dumps(metadata, ensure_ascii=False) if metadata else None,
        )

    return read

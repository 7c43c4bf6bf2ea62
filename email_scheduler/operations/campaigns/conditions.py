"""Conditions over columns of ``contacts``, such as ``state=CA,TX`` or ``effective_month=11``.

A condition is a column, one of ``= != < <= > >=``, and a value, or several with commas between them for ``=``
and ``!=``. Any column of the table will do, and ``<name>_month`` and ``<name>_year`` of every column
``<name>_date``. Texts are compared trimmed, capital letters and small ones alike. An empty value stands for a
blank cell. Nothing that a user writes becomes SQL: values are bound, columns are those that there are.
"""

import re
from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    cast,
    column,
    func,
    inspect,
    literal,
    select,
    table,
)
from sqlalchemy.engine import Connection

from email_scheduler.errors import UsageError
from email_scheduler.storage.tables import contacts

Columns = dict[str, ColumnElement[Any]]

_CONDITION: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(!=|<=|>=|=|<|>)(.*)", re.DOTALL)
_PART: Final = re.compile(r"(.+)_(month|year)")
_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_ISO_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ID: Final = "id"
# Where the year and the month stand in a date, and how many digits they have.
_PARTS: Final = {"year": (1, 4), "month": (6, 2)}
_ACCEPTED: Final = "accepted is COLUMN=VALUE[,VALUE...], or COLUMN with != < <= > >= and a value"


def select_contacts(connection: Connection, conditions: Iterable[str]) -> Select[tuple[int]]:
    """Return the query for the ids of the contacts that meet all of these conditions.

    Args:
        connection: To the organisation's database: its table may have more columns than are known here.
        conditions: Such as ``state=CA,TX``; none: every contact.

    Raises:
        UsageError: One cannot be read, or names a column that there is not.
    """
    names = [str(each["name"]) for each in inspect(connection).get_columns(contacts.name)]
    people = table(contacts.name, *(column(name) for name in names))
    columns: Columns = {name.lower(): people.c[name] for name in names}
    met = [_parse(text, columns) for text in conditions]
    return select(columns[_ID]).where(columns[_ID].is_not(None), *met)


def _parse(text: str, columns: Columns) -> ColumnElement[bool]:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise UsageError(f"condition {text!r}: {_ACCEPTED}")
    name, operator, value = match[1].lower(), match[2], match[3].strip()
    part = _PART.fullmatch(name)
    if name in columns:
        return _whole_column(text, name, columns[name], operator, value)
    if part is not None and f"{part[1]}_date" in columns:
        return _part_of_date(text, columns[f"{part[1]}_date"], part[2], operator, value)
    dates = [each.removesuffix("_date") for each in columns if each.endswith("_date")]
    known = sorted({*columns, *(f"{each}_{kind}" for each in dates for kind in _PARTS)})
    raise UsageError(
        f"condition {text!r}: contacts have no column {name}; accepted is one of {', '.join(known)}"
    )


def _whole_column(
    text: str, name: str, stored: ColumnElement[Any], operator: str, value: str
) -> ColumnElement[bool]:
    if operator in {"=", "!="}:
        shown = func.lower(func.trim(func.coalesce(cast(stored, Text()), "")))
        if name.endswith("_date"):
            shown = func.substr(shown, 1, 10)
        values = [each.strip().lower() for each in value.split(",")]
        return shown.in_(values) if operator == "=" else shown.not_in(values)
    if name == _ID and _WHOLE_NUMBER.fullmatch(value):
        return stored.op(operator, is_comparison=True)(literal(int(value), Integer()))
    if not _is_date(value):
        raise UsageError(
            f"condition {text!r}: {value!r} cannot be compared by {operator}; accepted is a date YYYY-MM-DD,"
            " or of the column id a whole number"
        )
    day = func.substr(func.trim(cast(stored, Text())), 1, 10)
    return and_(day.like("____-__-__"), day.op(operator, is_comparison=True)(value))


def _part_of_date(
    text: str, stored: ColumnElement[Any], part: str, operator: str, value: str
) -> ColumnElement[bool]:
    start, digits = _PARTS[part]
    values = [each.strip() for each in value.split(",")]
    most = 12 if part == "month" else 9999
    is_number = all(re.fullmatch(r"[0-9]{1,4}", each) and 1 <= int(each) <= most for each in values)
    if not is_number or (operator not in {"=", "!="} and len(values) > 1):
        raise UsageError(f"condition {text!r}: accepted is a {part}, a whole number from 1 to {most}")
    shown = func.trim(cast(stored, Text()))
    found = func.substr(shown, start, digits)
    padded = [each.zfill(digits) for each in values]
    is_date = shown.like("____-__-__%")
    if operator == "=":
        return and_(is_date, found.in_(padded))
    if operator == "!=":
        return and_(is_date, found.not_in(padded))
    return and_(is_date, found.op(operator, is_comparison=True)(padded[0]))


def _is_date(value: str) -> bool:
    try:
        return bool(_ISO_DATE.fullmatch(value)) and date.fromisoformat(value) is not None
    except ValueError:
        return False

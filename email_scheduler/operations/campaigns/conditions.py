"""Conditions as they are typed, such as ``state=CA,TX`` or ``premium>=100``: those of audiences, in short.

A condition is the name of a value of contacts (section 8 of the planning rules), one of ``= != < <= > >=``,
and a value, or several with commas between them for ``=`` and ``!=``. Nothing stands for a blank cell. In
brackets, values are written as in the configuration: ``carrier=["Smith, Jones"]``, ``premium={min: 100}``.
"""

import math
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic_core import PydanticCustomError

from email_scheduler.config.audiences import NOT, STATE, Condition, Value, as_condition, of_states
from email_scheduler.config.strict_yaml import read_text
from email_scheduler.errors import ConfigurationError, UsageError
from email_scheduler.planning.contact_values import PARTS, ContactTable, source_of, suits_part
from email_scheduler.planning.contacts import states_of
from email_scheduler.storage.attributes import contact_columns, read_columns
from email_scheduler.storage.connection import Connection

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

"""What columns of the campaign tables hold, whichever database it is and whoever wrote the rows."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import Column, ColumnElement, Text, cast, func, literal, type_coerce
from sqlalchemy.types import NullType, TypeEngine

from email_scheduler.config.problems import problems_of
from email_scheduler.errors import UsageError

_TRUE_WORDS = {"1", "1.0", "true", "t", "yes", "y", "on"}
_Model = TypeVar("_Model", bound=BaseModel)


def checked(model: type[_Model], settings: Mapping[str, Any], subject: str) -> _Model:
    """Return settings as a model.

    Args:
        model: What is accepted.
        settings: What was given.
        subject: What the settings are for, for the message.

    Raises:
        UsageError: Something is not accepted; one line for each problem.
    """
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        problems = problems_of(error, model, settings, lambda key: (subject, key))
        raise UsageError("\n".join(dict.fromkeys(map(str, problems)))) from error


def raw(column: Column[Any]) -> ColumnElement[Any]:
    """Return a column as it is stored: a flag may hold a word, which its type would not read."""
    return type_coerce(column, NullType()).label(column.name)


def is_true(value: object, *, default: bool = True) -> bool:
    """Read a flag as the planner does; null is the default."""
    return default if value is None else str(value).strip().lower() in _TRUE_WORDS


def as_text(value: object) -> str | None:
    """Return a value as the change log holds it: flags are true and false, dates ISO 8601."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case date():
            return value.isoformat()
        case Mapping():
            return to_json(value)
        case _:
            return str(value)


def as_date(value: object) -> date | None:
    """Return the date part of what a column of dates holds; None if it has none that exists."""
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def to_json(value: object) -> str:
    """Return a value as JSON of one line, equal values as equal texts."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=as_text)


def read_json(value: object) -> dict[str, Any]:
    """Return what a column of JSON objects holds; nothing where it holds no object."""
    if isinstance(value, str | bytes):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return dict(value) if isinstance(value, Mapping) else {}


def as_stored(text: str | None, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    """Return a text as a value of a column that may be of another type, such as JSON or a timestamp."""
    return cast(literal(text, Text()), kind)


def date_text(column: ColumnElement[Any]) -> ColumnElement[str]:
    """Return the date part of a column as text; null where it is null or blank."""
    return func.nullif(func.trim(func.substr(cast(column, Text()), 1, 10)), "")

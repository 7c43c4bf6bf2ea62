"""What the columns of ``contacts`` take: text as it stands. In PostgreSQL, some may have other types."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy.types import UserDefinedType

from email_scheduler.database import ACCEPTED_DATE, Dates, Problems, read_id

ACCEPTED_NUMBER: Final = "not a number, and the column takes nothing else; accepted is a whole number"
_WHOLE_NUMBERS: Final = ("bigint", "integer", "smallint")
ValueReader = Callable[[str, Problems], str | None]


class StoredType(UserDefinedType[str]):
    """The type of a column, as the database calls it; values are text here.

    Attributes:
        column: The name of the column, as the database has it.
        name: Of the type.
    """

    cache_ok = True

    def __init__(self, column: str, name: str) -> None:
        self.column = column
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        """Return the name of the type."""
        return self.name


def any_text(text: str, _problems: Problems) -> str | None:
    """Return a cell as it stands; None where it is blank."""
    return text or None


def reader_of_values(kind: StoredType) -> ValueReader:
    """Return what reads the cells of a column of PostgreSQL, which takes values of its type only."""
    if kind.name == "date":
        return _dates(kind.column)
    return _whole_numbers(kind.column) if kind.name in _WHOLE_NUMBERS else any_text


def _dates(column: str) -> ValueReader:
    dates = Dates()

    def read(text: str, problems: Problems) -> str | None:
        day = dates.date_of(text)
        if text and day is None:
            problems.append((column, ACCEPTED_DATE))
        return day

    return read


def _whole_numbers(column: str) -> ValueReader:
    def read(text: str, problems: Problems) -> str | None:
        number = read_id(text)
        if text and number is None:
            problems.append((column, ACCEPTED_NUMBER))
        return None if number is None else str(number)

    return read

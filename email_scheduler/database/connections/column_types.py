"""The types of columns, and the time of day, as they are stored.

PostgreSQL has its own types for dates, moments and JSON, SQLite keeps them all as text.
"""

from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Integer, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import UserDefinedType

from email_scheduler.planning import WHITESPACE


class _AsText(UserDefinedType[str]):
    """A type of PostgreSQL whose values are text here."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        """Return the name of the type."""
        return self.name


# SQLite numbers rows by itself only where the key's type is spelled INTEGER.
ID: Final = BigInteger().with_variant(Integer(), "sqlite")
DATE: Final = Text().with_variant(_AsText("DATE"), "postgresql")
MOMENT: Final = Text().with_variant(_AsText("TIMESTAMP WITH TIME ZONE"), "postgresql")
# not JSONB: plans are compared by their text, which has to come back unchanged
JSON: Final = Text().with_variant(_AsText("JSON"), "postgresql")

# White space as Python's str.strip has it, so that addresses are the same here and in the planner.
_WHITESPACE_SQLITE: Final = f"char({', '.join(str(ord(character)) for character in WHITESPACE)})"
_WHITESPACE_POSTGRESQL: Final = "E'" + "".join(f"\\u{ord(character):04X}" for character in WHITESPACE) + "'"


def trimmed_sql(expression: str, dialect_name: str) -> str:
    """Return SQL of a text without white space at both ends."""
    if dialect_name == "postgresql":
        return f"btrim({expression}, {_WHITESPACE_POSTGRESQL})"
    return f"trim({expression}, {_WHITESPACE_SQLITE})"


def address_sql(expression: str, dialect_name: str) -> str:
    """Return SQL of what makes two contacts the same addressee: trimmed, with small letters for A to Z."""
    trimmed = trimmed_sql(expression, dialect_name)
    return f'lower({trimmed} COLLATE "C")' if dialect_name == "postgresql" else f"lower({trimmed})"


class Address(ColumnElement[str]):
    """``address_sql`` of the column ``email``, for an index."""

    inherit_cache = True


@compiles(Address)
def _address(element: Address, compiler: Any, **_: Any) -> str:  # noqa: ARG001 - it has no parts
    return address_sql("email", compiler.dialect.name)


def last_date_sql(dialect_name: str) -> str:
    """Return SQL of the latest of the dates of a row of ``email_schedules``: event, planned, and actual.

    On SQLite ISO text; what is no date there may seem later than it is, never earlier. On PostgreSQL a date,
    null where there is none.
    """
    if dialect_name == "postgresql":
        return (
            "GREATEST(scheduled_send_date, CAST(actual_send_datetime AT TIME ZONE 'America/Chicago' AS DATE),"
            " CASE WHEN event_year BETWEEN 1 AND 9999 AND event_month BETWEEN 1 AND 12"
            " AND event_day BETWEEN 1 AND 31"
            " THEN make_date(event_year, event_month, 1) + (event_day - 1) END)"
        )
    return (
        "max(printf('%04d-%02d-%02d', event_year, event_month, event_day),"
        " coalesce(substr(scheduled_send_date, 1, 10), ''),"
        " coalesce(substr(actual_send_datetime, 1, 10), ''))"
    )


class LastDate(ColumnElement[str]):
    """``last_date_sql``, for an index."""

    inherit_cache = True


@compiles(LastDate)
def _last_date(element: LastDate, compiler: Any, **_: Any) -> str:  # noqa: ARG001 - it has no parts
    return f"({last_date_sql(compiler.dialect.name)})"


def utc_now() -> datetime:
    """Return the time of day, for timestamps and locks; planning never asks for it."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Return a moment as it is stored: ISO 8601 in UTC with its offset, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def read_moment(text: str | None, without_offset: tzinfo = UTC) -> datetime | None:
    """Return a moment as it was stored; None where it is none.

    Args:
        text: ISO 8601.
        without_offset: What a time without an offset is: UTC is what this program writes, and what SQLite
            fills in (``CURRENT_TIMESTAMP``); the sending system's times are US Central by the contract.
    """
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=without_offset)

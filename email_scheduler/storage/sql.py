"""Statements over an ADBC connection: Python values for a few rows, Arrow tables for many."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from email_scheduler.storage.engine import AdbcConnection

Row = tuple[Any, ...]


def utc_now() -> datetime:
    """Return the time of day, for timestamps and locks; planning never asks for it."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Return a moment as it is stored: ISO 8601 in UTC with its offset, to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def execute(connection: AdbcConnection, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
    """Run one statement and return its rows, if it has any; meant for few of them."""
    with connection.cursor() as cursor:
        cursor.execute(statement, tuple(parameters) or None)
        rows: list[Row] = cursor.fetchall()
    return rows


def execute_for_each(connection: AdbcConnection, statement: str, parameters: pa.Table) -> None:
    """Run a statement once for each row of ``parameters``, whose columns are bound in their order."""
    if parameters.num_rows:
        with connection.cursor() as cursor:
            cursor.executemany(statement, parameters)


def append(connection: AdbcConnection, table_name: str, rows: pa.Table) -> None:
    """Append rows to a table; columns that ``rows`` does not have get their default."""
    if rows.num_rows:
        with connection.cursor() as cursor:
            cursor.adbc_ingest(table_name, rows, mode="append")

"""Reading many rows: a query becomes a frame, column by column, through Arrow.

A SQLite column may hold anything, whatever it was declared as. So every column is cast in SQL to what its
frame says, and arrives as one type.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from email_scheduler.planning.dates import date_parts
from email_scheduler.planning.frames import DATE, FLAG, ID, NO_NUMBER, NUMBER, Frame
from email_scheduler.storage.engine import AdbcConnection

_ROWS_AT_A_TIME: Final = 65_536
_GREATEST_NUMBER: Final = int(np.iinfo(np.int32).max)
_TRUE_WORDS: Final = "'1', '1.0', 'true', 't', 'yes', 'y', 'on'"


def read_frame(
    connection: AdbcConnection,
    frame: Frame,
    source: str,
    *,
    sql: Mapping[str, str] | None = None,
    distinct: Collection[str] = (),
) -> pd.DataFrame:
    """Return the rows of a query as a frame; each column by the kind that its contract says.

    Ids are 0 and numbers ``NO_NUMBER`` where there is none, numbers beyond int32 the nearest within it.
    Dates are the date part of their text, ``NO_DATE`` where that is no date. A flag is true where it is a
    number 1 or a word like true; null is false. Text and label columns become categories.

    Args:
        connection: From ``adbc_connection``.
        frame: The contract of the result.
        source: SQL of what follows ``FROM``, conditions included.
        sql: Columns that are not called in the source as in the frame: their SQL.
        distinct: Text columns whose values hardly repeat: they become ``str``, not a category.
    """
    expressions = dict(sql or {})
    names = ", ".join(_cast(expressions.get(name, name), kind) for name, kind in frame.columns.items())
    # The driver takes a column's type from the first rows, and fails when nulls only are followed by text:
    # a row in front, which is dropped again, holds a value of each type.
    first = ", ".join(f"{_example(kind)} AS {name}" for name, kind in frame.columns.items())
    table = query(connection, f"SELECT {first} UNION ALL SELECT {names} FROM {source}").slice(1)  # noqa: S608
    return frame.build(
        {
            name: _column(table.column(name), kind, is_category=name not in distinct)
            for name, kind in frame.columns.items()
        }
    )


def query(connection: AdbcConnection, sql: str) -> Any:
    """Return the rows of a query as an Arrow table."""
    options = {"adbc.sqlite.query.batch_rows": str(_ROWS_AT_A_TIME)}
    with connection.cursor(adbc_stmt_kwargs=options) as cursor:
        cursor.execute(sql)
        return cursor.fetch_arrow_table()


def _cast(expression: str, kind: str) -> str:
    if kind == ID:
        return f"coalesce(CAST({expression} AS INTEGER), 0)"
    if kind == NUMBER:
        number = f"max(min(CAST({expression} AS INTEGER), {_GREATEST_NUMBER}), {-_GREATEST_NUMBER})"
        return f"coalesce({number}, {NO_NUMBER})"
    if kind == FLAG:
        return f"coalesce(lower(trim(CAST({expression} AS TEXT))) IN ({_TRUE_WORDS}), 0)"
    return f"CAST({expression} AS TEXT)"


def _example(kind: str) -> str:
    return "0" if kind in {ID, NUMBER, FLAG} else "''"


def _column(values: Any, kind: str, *, is_category: bool) -> object:
    if kind == ID:
        return values.to_numpy()
    if kind == NUMBER:
        return values.to_numpy().astype(np.int32)
    if kind == FLAG:
        return values.to_numpy().astype(np.bool_)
    texts = _readable(values)
    if kind == DATE:
        return date_parts(pd.Series(_category(texts)))
    return _category(texts) if is_category else texts.to_pandas()


def _category(texts: Any) -> pd.Categorical:
    encoded = texts.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return pd.Categorical.from_codes(codes, categories=pd.Index(encoded.dictionary.to_pandas(), dtype="str"))


def _readable(texts: Any) -> Any:
    """Replace bytes that are no UTF-8, which SQLite does not mind, by question marks."""
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        values = texts.cast(pa.binary()).to_pylist()
        decoded = [value if value is None else value.decode("utf-8", errors="replace") for value in values]
        return pa.chunked_array([decoded], type=pa.string())
    return texts

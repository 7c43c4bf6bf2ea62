"""Reading many rows: a query becomes a frame, column by column, through Arrow."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.types import union_categoricals

from email_scheduler.planning.dates import date_parts
from email_scheduler.planning.frames import (
    CONTACTS_TABLE,
    DATE,
    FLAG,
    HASH,
    ID,
    NO_CONTACT,
    NUMBER,
    Frame,
)
from email_scheduler.storage.connection import Cell, Connection

_CATEGORY: Final = pa.dictionary(pa.int32(), pa.string())


def read_frame(
    connection: Connection,
    frame: Frame,
    source: str,
    *,
    sql: Mapping[str, str] | None = None,
    distinct: Collection[str] = (),
) -> pd.DataFrame:
    """Return the rows of a query as a frame; each column by the kind that its contract says.

    Ids are 0 (of contacts ``NO_CONTACT``) and numbers ``NO_NUMBER`` where there is none, numbers beyond
    int32 the nearest within it. Dates are the date part of their text, ``NO_DATE`` where that is no date. A
    flag is true where it is a number 1 or a word like true; null is false. Text and label columns become
    categories.

    Args:
        connection: Where to read.
        frame: The contract of the result.
        source: SQL of what follows ``FROM``, conditions included.
        sql: Columns that are not called in the source as in the frame: their SQL.
        distinct: Text columns whose values hardly repeat: they become ``str``, not a category.
    """
    batches = list(connection.read(_cells(frame, sql, distinct), source))
    return _to_frame(frame, pa.Table.from_batches(batches)) if batches else _without_rows(frame, distinct)


def read_frames(connection: Connection, frame: Frame, source: str) -> Iterator[pd.DataFrame]:
    """Return the same frame in parts, whose categories differ; none where there are no rows."""
    for batch in connection.read(_cells(frame, None, ()), source):
        yield _to_frame(frame, pa.Table.from_batches([batch]))


def append_rows(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return frames of the same contract one below the other; label columns get common categories."""
    columns: dict[str, object] = {}
    for name in parts[0].columns:
        values = [part[name] for part in parts]
        if isinstance(values[0].dtype, pd.CategoricalDtype):
            columns[name] = union_categoricals(values)
        elif isinstance(values[0].dtype, np.dtype):
            columns[name] = np.concatenate([part.to_numpy() for part in values])
        else:
            columns[name] = pd.concat(values, ignore_index=True)
    return pd.DataFrame(columns, copy=False)


def _cells(frame: Frame, sql: Mapping[str, str] | None, distinct: Collection[str]) -> dict[str, Cell]:
    expressions = sql or {}
    of_contacts = {"contact_id", "id"} if frame is CONTACTS_TABLE else {"contact_id"}
    return {
        name: Cell(
            expressions.get(name, name),
            kind,
            is_encoded=name not in distinct,
            nothing=NO_CONTACT if name in of_contacts else 0,
        )
        for name, kind in frame.columns.items()
    }


def _to_frame(frame: Frame, table: pa.Table) -> pd.DataFrame:
    return frame.build({name: from_arrow(table.column(name), kind) for name, kind in frame.columns.items()})


def _without_rows(frame: Frame, distinct: Collection[str]) -> pd.DataFrame:
    empty = frame.empty()
    texts = [name for name, kind in frame.columns.items() if not _is_numeric(kind) and name not in distinct]
    categories = pd.CategoricalDtype(pd.Index([], dtype="str"))
    return frame.check(empty.astype(dict.fromkeys(texts, categories)))


def _is_numeric(kind: str) -> bool:
    return kind in {ID, NUMBER, FLAG, DATE}


def from_arrow(values: Any, kind: str) -> object:
    """Return a column of Arrow as a column of a frame, by its kind."""
    if kind in {ID, HASH}:
        return values.to_numpy()
    if kind == NUMBER:
        return values.to_numpy().astype(np.int32)
    if kind == FLAG:
        return values.to_numpy().astype(np.bool_)
    if kind == DATE:
        is_day = pa.types.is_integer(values.type)
        return values.to_numpy() if is_day else date_parts(pd.Series(_category(values)))
    return _category(values) if pa.types.is_dictionary(values.type) else values.to_pandas()


def _category(texts: Any) -> pd.Categorical:
    encoded = texts.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0) if encoded.num_chunks else pa.array([], _CATEGORY)
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return pd.Categorical.from_codes(codes, categories=pd.Index(encoded.dictionary.to_pandas(), dtype="str"))

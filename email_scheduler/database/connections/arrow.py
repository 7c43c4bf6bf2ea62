"""Many rows at once: a query becomes a frame, and frames become tables that the driver can write.

Column by column, through Arrow; dates as text, 0 and ``NO_DATE`` as null.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.types import union_categoricals

from email_scheduler.database.connections.connection import Cell, Connection
from email_scheduler.planning import (
    CONTACTS_TABLE,
    DATE,
    EMAIL_SCHEDULES,
    FLAG,
    HASH,
    ID,
    LABEL,
    NO_CONTACT,
    NO_DATE,
    NO_NUMBER,
    NUMBER,
    Frame,
    date_parts,
    side_by_side,
)

_CATEGORY: Final = pa.dictionary(pa.int32(), pa.string())
Positions = npt.NDArray[np.intp]


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


def read_frame_by_ranges(
    connections: Sequence[Connection],
    frame: Frame,
    table_name: str,
    source: Callable[[str], str],
    *,
    sql: Mapping[str, str] | None = None,
    distinct: Collection[str] = (),
) -> pd.DataFrame:
    """Return the same frame; each of the connections reads a range of ids at the same time.

    Args:
        connections: Where to read, all at one moment.
        frame: The contract of the result.
        table_name: The table whose ids are split.
        source: Given the condition on ``id``, returns SQL of what follows ``FROM``.
        sql: As in ``read_frame``.
        distinct: As in ``read_frame``.
    """
    conditions = id_ranges(connections[0], table_name, len(connections))
    parts = side_by_side(
        lambda each: read_frame(each[0], frame, source(each[1]), sql=sql, distinct=distinct),
        zip(connections, conditions, strict=False),
    )
    return append_rows(parts) if len(parts) > 1 else parts[0]


def id_ranges(connection: Connection, table_name: str, count: int) -> list[str]:
    """Return conditions on ``id`` of which each row of a table meets one, ascending; one if that is all."""
    if count == 1:
        return ["TRUE"]
    ((least, greatest),) = connection.execute(f"SELECT min(id), max(id) FROM {table_name}")  # noqa: S608
    # a file may hold anything there: texts have another order
    if not (isinstance(least, int) and isinstance(greatest, int)):
        return ["TRUE"]
    ends = [least + (greatest - least) * number // count for number in range(1, count)]
    below = [f"id <= {end}" for end in ends]
    above = [f"id > {end}" for end in ends]
    return [
        f"({below[0]} OR id IS NULL)",
        *(f"{low} AND {high}" for low, high in zip(above[:-1], below[1:], strict=True)),
        above[-1],
    ]


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


class ScheduleEncoder:
    """Turns rows of a plan into rows of ``email_schedules``.

    Texts travel as codes of dictionaries, which are made once for the whole plan.
    """

    def __init__(self, schedules: pd.DataFrame, run_id: str, now: str) -> None:
        self._schedules = schedules
        self._run_id = run_id
        self._now = now
        self._labels = {
            name: (schedules[name].cat.codes.to_numpy(), _texts(schedules[name].cat.categories))
            for name, kind in EMAIL_SCHEDULES.columns.items()
            if kind == LABEL
        }

    def new_rows(self, positions: Positions) -> pa.Table:
        """Return these rows of the plan as rows to append; the database numbers them."""
        columns = self._content(positions)
        columns["created_at"] = columns["updated_at"]
        return pa.table(columns)

    def changes(self, positions: Positions, row_ids: npt.NDArray[np.int64]) -> pa.Table:
        """Return these rows of the plan as new values of existing rows; the last column is their id."""
        return pa.table({**self._content(positions), "id": pa.array(row_ids)})

    def _content(self, positions: Positions) -> dict[str, Any]:
        event_date = dates(self._values("event_date", positions))
        return {
            "contact_id": pa.array(self._values("contact_id", positions)),
            "campaign_instance_id": ids(self._values("campaign_instance_id", positions)),
            "initial_email_id": ids(self._values("initial_email_id", positions)),
            "event_year": pc.year(event_date),
            "event_month": pc.month(event_date),
            "event_day": pc.day(event_date),
            "ideal_send_date": date_texts(self._values("ideal_send_date", positions)),
            "scheduled_send_date": date_texts(self._values("scheduled_send_date", positions)),
            "priority": numbers(self._values("priority", positions)),
            **{
                name: labels(codes[positions], dictionary)
                for name, (codes, dictionary) in self._labels.items()
            },
            "scheduler_run_id": constant(self._run_id, len(positions)),
            "updated_at": constant(self._now, len(positions)),
        }

    def _values(self, name: str, positions: Positions) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = self._schedules[name].to_numpy()[positions]
        return values


def label_column(values: pd.Series) -> pa.Array:
    """Return a label column as dictionary-encoded texts."""
    return labels(values.cat.codes.to_numpy(), _texts(values.cat.categories))


def labels(codes: npt.NDArray[np.integer], dictionary: pa.Array) -> pa.Array:
    """Return texts by their codes, null for -1."""
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes < 0), dictionary)


def constant(text: str, count: int) -> pa.Array:
    """Return the same text ``count`` times."""
    return labels(np.zeros(count, np.int32), pa.array([text]))


def ids(values: npt.NDArray[np.int64]) -> pa.Array:
    """Return ids, null for 0."""
    return pa.array(values, mask=values == 0)


def numbers(values: npt.NDArray[np.int32]) -> pa.Array:
    """Return numbers, null for ``NO_NUMBER``."""
    return pa.array(values, mask=values == NO_NUMBER)


def dates(days: npt.NDArray[np.int32]) -> pa.Array:
    """Return days as Arrow dates, null for ``NO_DATE``."""
    return pa.array(days.astype(np.int32), mask=days == NO_DATE).cast(pa.date32())


def date_texts(days: npt.NDArray[np.int32]) -> pa.Array:
    """Return days as ``YYYY-MM-DD``, null for ``NO_DATE``."""
    return dates(days).cast(pa.string())


def _texts(categories: pd.Index) -> pa.Array:
    texts = pa.array(categories, type=pa.string(), from_pandas=True)
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts

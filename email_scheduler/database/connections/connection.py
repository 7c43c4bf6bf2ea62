"""One connection to an organisation's database, for few rows and for many: what the two databases share."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from sqlalchemy import Boolean, ClauseElement, Integer, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import ReturnsRows

from email_scheduler.planning import FLAG, ID, NO_NUMBER, NUMBER

_T = TypeVar("_T")
Row = tuple[Any, ...]
GREATEST_NUMBER: Final = int(np.iinfo(np.int32).max)
_TRUE_WORDS: Final = "'1', '1.0', 'true', 't', 'yes', 'y', 'on'"


def prefetched(items: Iterable[_T]) -> Iterator[_T]:
    """Yield the items in their order; while one is used, a thread works out the next.

    Nothing that ``items`` uses, such as a connection, may be used by anybody else until the last one has
    arrived. An error of ``items`` is raised where its item is asked for.
    """
    source = iter(items)

    def take() -> list[_T]:
        # a thread cannot hand on a StopIteration
        return [item for _, item in zip(range(1), source, strict=False)]

    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        waiting = thread.submit(take)
        while taken := waiting.result():
            waiting = thread.submit(take)
            yield taken[0]
            # a batch may be large: it is let go of before the next one arrives
            taken.clear()


@dataclass(frozen=True)
class Cell:
    """One column of a query: SQL, and what becomes of it.

    Attributes:
        expression: SQL.
        kind: As in ``frames``: ``ID``, ``DATE``, ``NUMBER``, ``FLAG``, ``TEXT`` or ``LABEL``.
        is_encoded: Whether texts become codes of a dictionary.
        nothing: What stands for an id that is none.
    """

    expression: str
    kind: str
    is_encoded: bool = True
    nothing: int = 0


@dataclass(frozen=True)
class Encoded:
    """Rows in the form in which they travel to a database.

    Attributes:
        column_names: What they hold.
        content: As the kind of connection has it.
    """

    column_names: list[str]
    content: Any


class Found(NamedTuple):
    """What a statement returned.

    Attributes:
        names: Of the columns.
        rows: None of them where the statement is not one that returns rows.
    """

    names: list[str]
    rows: list[Row]


class Connection(ABC):
    """An open connection.

    A statement is SQL with ``?`` where its parameters go, or one of SQLAlchemy's, which holds its values.

    Outside of ``transaction`` and ``staging`` it only reads, all at one moment, until ``end_reading``.

    Attributes:
        dialect: How statements of SQLAlchemy are spelled, with the driver's own marks for parameters.
    """

    dialect: Dialect

    def __init__(self) -> None:
        self._temporary_tables: set[str] = set()

    @abstractmethod
    def transaction(self, *, is_dry_run: bool = False) -> AbstractContextManager[None]:
        """Write within the block: all of it, or after an error nothing.

        Whatever was read before, the transaction sees the database as it is now.

        Args:
            is_dry_run: Take everything back at the end, without an error.
        """

    @abstractmethod
    def staging(self) -> AbstractContextManager[None]:
        """Create and fill temporary tables within the block, while others may write to the database."""

    @abstractmethod
    def share_moment(self, others: Sequence["Connection"]) -> bool:
        """Let connections to the same database read at one moment, this one too, until ``end_reading``.

        Returns:
            Whether they do: not where others write to a file all the time.
        """

    @abstractmethod
    def end_reading(self) -> None:
        """Let go of the moment at which was read so far; what is read next is read at a new one."""

    def execute(self, statement: str | ClauseElement, parameters: Sequence[object] = ()) -> list[Row]:
        """Run one statement and return its rows, if it has any; meant for few of them.

        Dates, timestamps and JSON are returned as text. Flags are booleans where the statement is one of
        SQLAlchemy's and knows of them; else SQLite returns 0 and 1.

        Args:
            statement: SQL, or one of SQLAlchemy's.
            parameters: Of SQL.
        """
        return self._found(statement, parameters).rows

    def rows(self, statement: str | ClauseElement, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Run one statement, as ``execute``, and return its rows by the names of their columns."""
        names, rows = self._found(statement, parameters)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def change(self, statement: str | ClauseElement, parameters: Sequence[object] = ()) -> int:
        """Run one statement that returns no rows; return how many it inserted, updated or deleted."""
        if isinstance(statement, str):
            return self._change(self._spelled(statement), parameters)
        return self._change(*_compiled(statement, self.dialect))

    def create_temporary(self, table: Table) -> None:
        """Create a temporary table, which only this connection sees, within ``staging`` or a transaction.

        Args:
            table: Has the prefix ``TEMPORARY``.
        """
        self.execute(CreateTable(table))
        self._temporary_tables.add(table.name)

    def append_rows(self, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
        """Append rows to a table, a temporary one too.

        Args:
            table: As it was created.
            rows: By the names of their columns, which are those of the first row; other columns get their
                default.
        """
        if rows:
            schema = pa.schema([(name, _arrow_type(table, name)) for name in rows[0]])
            self.append(table.name, pa.Table.from_pylist(list(rows), schema=schema))

    def _found(self, statement: str | ClauseElement, parameters: Sequence[object]) -> Found:
        if isinstance(statement, str):
            return self._run(self._spelled(statement), parameters)
        found = self._run(*_compiled(statement, self.dialect))
        if not isinstance(statement, ReturnsRows):
            return found
        converts = [
            column.type.dialect_impl(self.dialect).result_processor(self.dialect, None)
            for column in statement.exported_columns
        ]
        if not any(converts):
            return found
        return Found(
            found.names,
            [
                tuple(
                    value if convert is None else convert(value)
                    for convert, value in zip(converts, row, strict=True)
                )
                for row in found.rows
            ],
        )

    @abstractmethod
    def _run(self, sql: str, parameters: Sequence[object]) -> Found:
        """Run a statement that is spelled as the driver takes it."""

    @abstractmethod
    def _change(self, sql: str, parameters: Sequence[object]) -> int:
        """Run such a statement and return how many rows it has changed."""

    def _spelled(self, statement: str) -> str:
        """Return SQL with the driver's marks for parameters."""
        return statement

    @abstractmethod
    def read(self, cells: Mapping[str, Cell], source: str) -> Iterator[pa.RecordBatch]:
        """Return the rows of a query, many at a time.

        Ids and numbers arrive as ``int64``, flags as 0 or 1, dates as ISO text or as ``int32`` day numbers
        (``NO_DATE`` where there is none), texts as ``string`` or dictionaries of it.

        Args:
            cells: The columns by name.
            source: SQL of what follows ``FROM``, conditions included.
        """

    @abstractmethod
    def encode(self, rows: pa.Table) -> Encoded:
        """Return rows as ``append_encoded`` takes them; the database is not asked."""

    @abstractmethod
    def append_encoded(self, table_name: str, rows: Encoded) -> None:
        """Append rows to a table; columns that ``rows`` does not have get their default."""

    def append(self, table_name: str, rows: pa.Table) -> None:
        """Append rows to a table; columns that ``rows`` does not have get their default."""
        if rows.num_rows:
            self.append_encoded(table_name, self.encode(rows))

    @abstractmethod
    def stage(self, name: str, rows: pa.Table, like: str) -> None:
        """Put rows into a temporary table, in place of what it held, for statements that join it.

        Args:
            name: The temporary table, which only this connection sees.
            rows: Columns of ``like``.
            like: The table whose columns they are.
        """

    @abstractmethod
    def version(self) -> int | None:
        """Return a number that changes when another connection writes; None if that cannot be known."""

    @abstractmethod
    def lock_contacts(self, contact_ids: Sequence[int]) -> None:
        """Keep others from writing the planner's rows of these contacts until the transaction ends."""

    @abstractmethod
    def lock_planner_table(self) -> None:
        """Keep others from taking or renewing the planner lock until the transaction ends."""

    @abstractmethod
    def is_gone(self, owner: str, token: int) -> bool:
        """Tell whether the holder of the planner lock has certainly ended."""

    @abstractmethod
    def drop_index(self, name: str) -> None:
        """Drop an index, within a transaction."""

    @abstractmethod
    def trigger_names(self, table_name: str) -> set[str]:
        """Return the names of the triggers of a table."""

    @abstractmethod
    def index_names(self) -> set[str]:
        """Return the names of all indexes."""

    @abstractmethod
    def column_names(self, table_name: str) -> list[str]:
        """Return the names of the columns of a table."""

    @abstractmethod
    def column_types(self, table_name: str) -> dict[str, str]:
        """Return the columns of a table that can be written, each with its type as the database calls it."""

    @abstractmethod
    def number_beyond(self, table_name: str) -> None:
        """Let new rows get ids beyond those that are there, within a transaction."""

    @abstractmethod
    def create_index(self, statement: str) -> None:
        """Create an index in the way that is the fastest for many rows, in a transaction of its own."""

    @abstractmethod
    def tidy(self) -> None:
        """Do what is due after much was written; nobody has to wait for long."""

    def indexed_by(self, _index: str) -> str:
        """Return SQL after a table's name that makes the database use an index, where it needs to be told."""
        return ""


def _compiled(statement: ClauseElement, dialect: Dialect) -> tuple[str, list[object]]:
    """Return SQL of a statement and its values, in the order of their marks."""
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    if not isinstance(compiled, SQLCompiler):
        return str(compiled), []
    values = compiled.params
    return str(compiled), [values[name] for name in compiled.positiontup or ()]


def _arrow_type(table: Table, name: str) -> pa.DataType:
    kind = table.columns[name].type
    if isinstance(kind, Boolean):
        return pa.bool_()
    return pa.int64() if isinstance(kind, Integer) else pa.string()


def or_nothing(expression: str, cell: Cell) -> str:
    """Return SQL of an id, or of what stands for none."""
    # the lowest number has no literal of its own: its digits alone are beyond the highest
    return f"coalesce({expression}, ({cell.nothing + 1} - 1))"


def among(column: str, ids: Collection[int] | None) -> str:
    """Return SQL of the condition that a column holds one of these ids; None: any, or none."""
    if ids is None:
        return "TRUE"
    return f"{column} IN ({', '.join(map(str, sorted(map(int, ids))))})" if ids else "FALSE"


def cast_number(expression: str, greatest: str, least: str) -> str:
    """Return SQL of an int32, ``NO_NUMBER`` where there is none; numbers beyond are the nearest within.

    Args:
        expression: SQL of an integer.
        greatest: The database's function for the greater of two values.
        least: The one for the lesser.
    """
    return f"coalesce({greatest}({least}({expression}, {GREATEST_NUMBER}), {-GREATEST_NUMBER}), {NO_NUMBER})"


def cast_flag(expression: str) -> str:
    """Return SQL of 1 where the value is a number 1 or a word like true, else 0."""
    return f"CAST(coalesce(lower(trim(CAST({expression} AS TEXT))) IN ({_TRUE_WORDS}), FALSE) AS INTEGER)"


def is_number(kind: str) -> bool:
    """Tell whether a kind of column arrives as ``int64``."""
    return kind in {ID, NUMBER, FLAG}

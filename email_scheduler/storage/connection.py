"""One connection to an organisation's database, for few rows and for many: what the two databases share."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from email_scheduler.planning.frames import FLAG, ID, NO_NUMBER, NUMBER

Row = tuple[Any, ...]

GREATEST_NUMBER: Final = int(np.iinfo(np.int32).max)
_TRUE_WORDS: Final = "'1', '1.0', 'true', 't', 'yes', 'y', 'on'"


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


class Connection(ABC):
    """An open connection. Statements have ``?`` where their parameters go.

    Outside of ``transaction`` it only reads, all at one moment, until ``end_reading``.
    """

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """Write within the block: all of it, or after an error nothing.

        Whatever was read before, the transaction sees the database as it is now.
        """

    @abstractmethod
    def end_reading(self) -> None:
        """Let go of the moment at which was read so far; what is read next is read at a new one."""

    @abstractmethod
    def execute(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run one statement and return its rows, if it has any; meant for few of them.

        Dates, timestamps and JSON are returned as text.
        """

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
    def index_names(self) -> set[str]:
        """Return the names of all indexes."""

    @abstractmethod
    def column_names(self, table_name: str) -> list[str]:
        """Return the names of the columns of a table."""

    @abstractmethod
    def create_index(self, statement: str) -> None:
        """Create an index in the way that is the fastest for many rows, in a transaction of its own."""

    @abstractmethod
    def tidy(self) -> None:
        """Do what is due after much was written; nobody has to wait for long."""

    def indexed_by(self, _index: str) -> str:
        """Return SQL after a table's name that makes the database use an index, where it needs to be told."""
        return ""


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

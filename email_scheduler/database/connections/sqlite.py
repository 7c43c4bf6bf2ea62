"""SQLite through ADBC.

Nobody but SQLite opens the file of a database: the operating system keeps file locks by process, so that
whoever closes the file, after a look at its first bytes, takes the locks of all open connections away.
"""

import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import adbc_driver_manager
import adbc_driver_sqlite.dbapi
import numpy as np
import pyarrow as pa
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from email_scheduler.config import Database
from email_scheduler.database.connections.connection import (
    Cell,
    Connection,
    Encoded,
    Found,
    cast_flag,
    cast_number,
    is_number,
    or_nothing,
)
from email_scheduler.database.connections.faults import existing_database
from email_scheduler.planning import ID, NUMBER

_BATCH_ROWS: Final = "adbc.sqlite.query.batch_rows"
_ROWS_AT_A_TIME: Final = 262_144
_ALL_ROWS: Final = str(1 << 30)
# How often connections begin to read before they give up to do so at one moment.
_ATTEMPTS: Final = 20
# Sorting for an index is fastest where the runs fit into the processor's cache, lie in files, and a thread
# of its own writes them.
_INDEX_PRAGMAS: Final = ("threads = 2", "cache_size = -8000", "temp_store = FILE")

_logger = logging.getLogger(__name__)


@contextmanager
def connect_sqlite(url: str, database: Database, *, read_only: bool = False) -> Iterator["SqliteConnection"]:
    """Open an existing SQLite database, with the pragmas of the configuration, and close it at the end.

    Read only, the file stays as it is: its journal mode, too.

    Raises:
        DatabaseError: As ``existing_database``.
    """
    wanted = [each for each in pragmas(database) if not (read_only and "journal_mode" in each)]
    with open_file(existing_database(url), "mode=ro" if read_only else "mode=rw", wanted) as connection:
        yield connection


@contextmanager
def open_file(
    path: Path, parameters: str = "mode=rw", statements: Sequence[str] = ()
) -> Iterator["SqliteConnection"]:
    """Open a SQLite file as it is, and close it at the end.

    Args:
        path: The file.
        parameters: Of SQLite's URI.
        statements: Pragmas to begin with.
    """
    adbc = adbc_driver_sqlite.dbapi.connect(f"{path.absolute().as_uri()}?{parameters}")
    try:
        # not connect(autocommit=True): such a connection ignores commit() and rollback() for ever
        connection = SqliteConnection(adbc, statements)
        connection.set_pragmas(statements)
        yield connection
    finally:
        adbc.close()


class SqliteConnection(Connection):
    """An ADBC connection; it is always in a transaction.

    Attributes:
        pragmas: What was set when it was opened.
    """

    dialect = SQLiteDialect(paramstyle="qmark")

    def __init__(self, adbc: Any, statements: Sequence[str]) -> None:
        super().__init__()
        self.pragmas = statements
        self._adbc = adbc

    @contextmanager
    def transaction(self, *, is_dry_run: bool = False) -> Iterator[None]:
        """Write within the block, which holds the write lock from its beginning."""
        with self._adbc.cursor() as cursor:
            cursor.execute("COMMIT")
            try:
                cursor.execute("BEGIN IMMEDIATE")
            except BaseException:
                # the driver takes for granted that there is a transaction
                cursor.execute("BEGIN")
                raise
        with self._ended(is_dry_run):
            yield

    @contextmanager
    def staging(self) -> Iterator[None]:
        """Create and fill temporary tables within the block, which takes no lock that others wait for."""
        self.end_reading()
        with self._ended(is_dry_run=False):
            yield

    @contextmanager
    def _ended(self, is_dry_run: bool) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._adbc.rollback()
            raise
        if is_dry_run:
            self._adbc.rollback()
        else:
            self._adbc.commit()

    def share_moment(self, others: Sequence[Connection]) -> bool:
        """Begin reading on all, again until nobody has written meanwhile."""
        for _ in range(_ATTEMPTS):
            with self._outside_transactions():
                before = self.version()
            for each in (*others, self):
                each.end_reading()
                each.execute("SELECT count(*) FROM sqlite_master")
            if self.version() == before:
                return True
        return False

    def end_reading(self) -> None:
        """Let go of the moment at which was read so far."""
        self._adbc.rollback()

    def _run(self, sql: str, parameters: Sequence[object]) -> Found:
        # The driver takes a column's type from the rows that it fetches first: fetch all.
        with self._adbc.cursor(adbc_stmt_kwargs={_BATCH_ROWS: _ALL_ROWS}) as cursor:
            cursor.execute(sql, tuple(parameters) or None)
            table = cursor.fetch_arrow_table()
            columns = [_values_of(column) for column in table.columns]
            return Found(table.column_names, list(zip(*columns, strict=True)))

    def _change(self, sql: str, parameters: Sequence[object]) -> int:
        self._run(sql, parameters)
        ((count,),) = self._run("SELECT changes()", ()).rows
        return int(count)

    def read(self, cells: Mapping[str, Cell], source: str) -> Iterator[pa.RecordBatch]:
        """Return the rows of a query, many at a time.

        A column may hold anything, whatever it was declared as, so that every value is cast.
        """
        names = ", ".join(_cast(cell) for cell in cells.values())
        # The driver takes a column's type from the first rows, and fails when nulls only are followed by
        # text: a row in front, which is dropped again, holds a value of each type.
        example = ", ".join(
            f'{"0" if is_number(c.kind) else repr("")} AS "{name}"' for name, c in cells.items()
        )
        sql = f"SELECT {example} UNION ALL SELECT {names} FROM {source}"  # noqa: S608
        with self._adbc.cursor(adbc_stmt_kwargs={_BATCH_ROWS: str(_ROWS_AT_A_TIME)}) as cursor:
            cursor.execute(sql)
            is_first = True
            for batch in cursor.fetch_record_batch():
                rows = batch.slice(1) if is_first else batch
                is_first = False
                if rows.num_rows:
                    yield pa.RecordBatch.from_arrays(
                        [_encoded(rows.column(i), cell) for i, cell in enumerate(cells.values())], list(cells)
                    )

    def encode(self, rows: pa.Table) -> Encoded:
        """Return rows as they are: the driver takes tables of Arrow."""
        return Encoded(rows.column_names, rows)

    def append_encoded(self, table_name: str, rows: Encoded) -> None:
        """Append rows to a table; columns that ``rows`` does not have get their default."""
        with self._adbc.cursor() as cursor:
            is_temporary = table_name in self._temporary_tables
            cursor.adbc_ingest(table_name, rows.content, mode="append", temporary=is_temporary)

    def stage(self, name: str, rows: pa.Table, like: str) -> None:  # noqa: ARG002 - values have no types here
        """Put rows into a temporary table, in place of what it held."""
        self.execute(f"DROP TABLE IF EXISTS temp.{name}")
        self.execute(f"CREATE TEMP TABLE {name} ({', '.join(rows.column_names)})")
        self._temporary_tables.add(name)
        self.append(name, rows)

    def version(self) -> int | None:
        """Return a number that changes when another connection writes."""
        ((version,),) = self.execute("PRAGMA data_version")
        return int(version)

    def lock_contacts(self, contact_ids: Sequence[int]) -> None:
        """Do nothing: a transaction holds the write lock of the whole database."""

    def lock_planner_table(self) -> None:
        """Do nothing: a transaction holds the write lock of the whole database."""

    def is_gone(self, owner: str, token: int) -> bool:  # noqa: ARG002 - the process tells it
        """Tell whether an owner was a process of this host that has ended."""
        host, _, process = owner.rpartition(":")
        if host != socket.gethostname() or not (process.isascii() and process.isdigit()):
            return False
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            return False
        return False

    def drop_index(self, name: str) -> None:
        """Drop an index, within a transaction."""
        self.execute(f'DROP INDEX IF EXISTS "{name}"')

    def trigger_names(self, table_name: str) -> set[str]:
        """Return the names of the triggers of a table."""
        found = self.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = ?", (table_name,)
        )
        return {str(name) for (name,) in found}

    def index_names(self) -> set[str]:
        """Return the names of all indexes."""
        return {str(name) for (name,) in self.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}

    def column_names(self, table_name: str) -> list[str]:
        """Return the names of the columns of a table, generated ones too."""
        return [
            str(name) for (name,) in self.execute("SELECT name FROM pragma_table_xinfo(?)", (table_name,))
        ]

    def column_types(self, table_name: str) -> dict[str, str]:
        """Return the columns of a table that can be written, each with its type."""
        found = self.execute("SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden = 0", (table_name,))
        return {str(name): str(kind) for name, kind in found}

    def number_beyond(self, table_name: str) -> None:
        """Do nothing: SQLite looks at the ids that are there."""

    def create_index(self, statement: str) -> None:
        """Create an index, in a transaction of its own."""
        self.set_pragmas([f"PRAGMA {pragma}" for pragma in _INDEX_PRAGMAS])
        try:
            with self.transaction():
                self.execute(statement)
        finally:
            self.set_pragmas(self.pragmas)

    def set_pragmas(self, statements: Sequence[str]) -> None:
        """Run statements that have no effect, or fail, within a transaction."""
        with self._outside_transactions():
            for statement in statements:
                self.execute(statement)

    def attach(self, file: Path, name: str) -> None:
        """Open another file over this connection: its tables are ``name.TABLE``."""
        with self._outside_transactions():
            self.execute(f"ATTACH DATABASE ? AS {name}", (str(file),))

    def vacuum_into(self, file: Path) -> None:
        """Copy the whole database, as it is at one moment, into a file that is new or empty."""
        with self._outside_transactions():
            self.execute("VACUUM INTO ?", (str(file),))

    @contextmanager
    def _outside_transactions(self) -> Iterator[None]:
        self._adbc.adbc_connection.set_autocommit(True)
        try:
            yield
        finally:
            self._adbc.adbc_connection.set_autocommit(False)

    def tidy(self) -> None:
        """Move the write-ahead log into the database and cut it, as far as nobody is reading it.

        First without keeping other writers waiting; the rest is little, and given up soon.
        """
        try:
            checkpoint = ("wal_checkpoint(PASSIVE)", "busy_timeout = 500", "wal_checkpoint(TRUNCATE)")
            self.set_pragmas([f"PRAGMA {pragma}" for pragma in checkpoint])
        except adbc_driver_manager.Error as failure:
            _logger.info("the write-ahead log could not be shortened: %s", failure)

    def indexed_by(self, index: str) -> str:
        """Return SQL that makes the database use an index: without statistics it prefers to scan."""
        return f" INDEXED BY {index}"


def pragmas(database: Database, foreign_keys: bool | None = None) -> list[str]:
    """Return the pragmas of a new connection; they have to be set outside of a transaction.

    Args:
        database: The section ``database`` of the configuration.
        foreign_keys: Instead of what the section says.
    """
    sqlite = database.sqlite_optimizations
    enforce = database.foreign_keys if foreign_keys is None else foreign_keys
    return [
        # first, since changing the journal mode may have to wait
        f"PRAGMA busy_timeout = {database.connection_pool.connection_timeout * 1000}",
        f"PRAGMA foreign_keys = {'ON' if enforce else 'OFF'}",
        f"PRAGMA journal_mode = {sqlite.journal_mode}",
        f"PRAGMA synchronous = {sqlite.synchronous}",
        f"PRAGMA cache_size = {sqlite.cache_size}",
        f"PRAGMA temp_store = {sqlite.temp_store}",
        "PRAGMA threads = 0",
    ]


def _cast(cell: Cell) -> str:
    if cell.kind == ID:
        return or_nothing(_whole_number(cell.expression), cell)
    if cell.kind == NUMBER:
        return cast_number(_whole_number(cell.expression), "max", "min")
    return cast_flag(cell.expression) if is_number(cell.kind) else f"CAST({cell.expression} AS TEXT)"


def _whole_number(expression: str) -> str:
    """Return SQL of the whole number that a value is; null where it is none.

    A cast alone makes 12 of the text 12abc, and 1 of 1.5. Whether a text with a NUL behind its digits is a
    number differs between versions of SQLite: here it is none.
    """
    cast = f"CAST({expression} AS INTEGER)"
    is_whole = f"{cast} = {expression} AND instr(CAST({expression} AS BLOB), x'00') = 0"
    return f"CASE WHEN typeof({expression}) = 'integer' THEN {expression} WHEN {is_whole} THEN {cast} END"


def _encoded(values: pa.Array, cell: Cell) -> pa.Array:
    # copies, since whatever refers to a batch of the driver keeps all columns of it
    if is_number(cell.kind):
        return pa.array(values.to_numpy().copy())
    texts = _readable(values)
    return texts.dictionary_encode() if cell.is_encoded else texts.take(pa.array(np.arange(len(texts))))


def _values_of(column: pa.ChunkedArray) -> list[Any]:
    values = column.combine_chunks()
    is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    return (_readable(values) if is_text else values).to_pylist()  # type: ignore[no-any-return]


def _readable(texts: pa.Array) -> pa.Array:
    """Replace bytes that are no UTF-8, which SQLite does not mind, by question marks."""
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        values = texts.cast(pa.binary()).to_pylist()
        decoded = [value if value is None else value.decode("utf-8", errors="replace") for value in values]
        return pa.array(decoded, type=pa.string())
    return texts

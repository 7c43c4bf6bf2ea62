"""PostgreSQL through psycopg: many rows travel as CSV in ``COPY``, which Arrow reads and writes.

Days are days in US Central time: so is the time zone of every session, and the date part of a timestamp, its
first ten characters, is the one that the planning rules mean.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Final

import psycopg
import pyarrow as pa
import pyarrow.csv
from psycopg.abc import AdaptContext
from psycopg.types.string import TextLoader
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from email_scheduler.clock import TIME_ZONE_NAME
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
    prefetched,
)
from email_scheduler.database.connections.faults import server_address
from email_scheduler.planning import DATE, ID, NO_DATE, NO_NUMBER, NUMBER

_BYTES_AT_A_TIME: Final = 32 << 20
_TEXT_TYPES: Final = ("date", "json", "jsonb", "time", "timestamp", "timestamptz")
# The first of the two numbers of an advisory lock; the second is the token of the planner lock.
_LOCK_FAMILY: Final = 0x656D7363
_READING: Final = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_CSV: Final = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")


@contextmanager
def connect_postgresql(url: str, database: Database) -> Iterator["PostgresqlConnection"]:
    """Open a connection to a PostgreSQL database, and close it at the end.

    Raises:
        DatabaseError: The URL does not name a PostgreSQL database.
        psycopg.OperationalError: The server cannot be reached, or refuses.
    """
    connection = PostgresqlConnection(partial(_open, server_address(url), session_options(database)))
    try:
        yield connection
    finally:
        connection.close()


def session_options(database: Database) -> dict[str, Any]:
    """Return what a session begins with, as psycopg takes it."""
    seconds = database.connection_pool.connection_timeout
    return {
        "connect_timeout": max(seconds, 2),
        "application_name": "email-scheduler",
        "options": f"-c TimeZone={TIME_ZONE_NAME} -c DateStyle=ISO -c lock_timeout={max(seconds, 1) * 1000}",
    }


def load_as_text(context: AdaptContext) -> None:
    """Make dates, timestamps and JSON arrive as text, as SQLite holds them."""
    for name in _TEXT_TYPES:
        context.adapters.register_loader(name, TextLoader)


class PostgresqlConnection(Connection):
    """A psycopg connection in autocommit mode, whose transactions are begun here.

    A transaction opens the connection anew if the server has ended it.

    Args:
        open_connection: Connects to the server.
    """

    dialect = PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call]

    def __init__(self, open_connection: "Callable[[], psycopg.Connection[Any]]") -> None:
        super().__init__()
        self._open = open_connection
        self._connection = open_connection()
        self._is_reading = False

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    @contextmanager
    def transaction(self, *, is_dry_run: bool = False) -> Iterator[None]:
        """Write within the block: all of it, or after an error nothing."""
        self.end_reading()
        if self._connection.closed:
            self._connection = self._open()
        with self._connection.transaction(force_rollback=is_dry_run):
            yield

    def staging(self) -> AbstractContextManager[None]:
        """Create and fill temporary tables within the block."""
        return self.transaction()

    def share_moment(self, others: Sequence[Connection]) -> bool:
        """Let the others read the snapshot of this one."""
        ((snapshot,),) = self.execute("SELECT pg_export_snapshot()")
        for each in others:
            each.end_reading()
            # a parameter is not accepted there; the name is the server's own
            each.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        return True

    def end_reading(self) -> None:
        """Let go of the moment at which was read so far."""
        if self._is_reading:
            self._is_reading = False
            if not self._connection.closed:
                self._connection.rollback()

    def _run(self, sql: str, parameters: Sequence[object]) -> Found:
        cursor = self._executed(sql, parameters)
        if cursor.description is None:
            return Found([], [])
        return Found([column.name for column in cursor.description], cursor.fetchall())

    def _change(self, sql: str, parameters: Sequence[object]) -> int:
        return max(self._executed(sql, parameters).rowcount, 0)

    def _executed(self, sql: str, parameters: Sequence[object]) -> "psycopg.Cursor[Any]":
        self._begin_reading()
        return self._connection.execute(sql, tuple(parameters))

    def _spelled(self, statement: str) -> str:
        return statement.replace("%", "%%").replace("?", "%s")

    def read(self, cells: Mapping[str, Cell], source: str) -> Iterator[pa.RecordBatch]:
        """Return the rows of a query, many at a time."""
        self._begin_reading()
        names = ", ".join(_cast(cell) for cell in cells.values())
        copy = f"COPY (SELECT {names} FROM {source}) TO STDOUT (FORMAT csv)"  # noqa: S608
        types = {name: _arrow_type(cell) for name, cell in cells.items()}
        with self._connection.cursor() as cursor, cursor.copy(copy) as rows:
            # the server and the network go on while a part is parsed
            for text in prefetched(_parts(rows)):
                yield _parse(text, types)

    def encode(self, rows: pa.Table) -> Encoded:
        """Return rows as CSV, which the server takes whatever the types of its columns are."""
        parts = [_csv(rows.slice(start, 100_000)) for start in range(0, rows.num_rows, 100_000)]
        return Encoded(rows.column_names, parts)

    def append_encoded(self, table_name: str, rows: Encoded) -> None:
        """Append rows to a table; columns that ``rows`` does not have get their default."""
        names = ", ".join(rows.column_names)
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {table_name} ({names}) FROM STDIN (FORMAT csv)") as copy,
        ):
            for part in rows.content:
                copy.write(part)
        if "id" in rows.column_names:
            self.number_beyond(table_name)

    def stage(self, name: str, rows: pa.Table, like: str) -> None:
        """Put rows into a temporary table, in place of what it held."""
        self.execute(f"DROP TABLE IF EXISTS pg_temp.{name}")
        names = ", ".join(rows.column_names)
        self.execute(f"CREATE TEMP TABLE {name} AS SELECT {names} FROM {like} LIMIT 0")  # noqa: S608
        self.append(name, rows)
        self.execute(f"ANALYZE {name}")

    def copy_text(self, table_name: str, columns: str, lines: Iterable[bytes]) -> None:
        """Append rows as ``COPY`` writes them, within a transaction."""
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {table_name} ({columns}) FROM STDIN") as copy,
        ):
            for line in lines:
                copy.write(line)

    def version(self) -> int | None:
        """Return None: the server does not tell."""
        return None

    def lock_contacts(self, contact_ids: Sequence[int]) -> None:
        """Lock the planner's rows of these contacts: a sender that claims one waits."""
        self.execute(
            "SELECT count(*) FROM (SELECT 1 FROM email_schedules WHERE contact_id = ANY(?)"
            " AND status IN ('pre-scheduled', 'skipped') FOR UPDATE) AS locked",
            (list(contact_ids),),
        )

    def lock_planner_table(self) -> None:
        """Keep others from taking or renewing the planner lock until the transaction ends."""
        self.execute("LOCK TABLE planner_lock IN SHARE ROW EXCLUSIVE MODE")

    def announce(self, token: int) -> None:
        """Take the advisory lock of the token, which the server gives up when this connection ends."""
        self.execute("SELECT pg_advisory_lock(?, ?)", (_LOCK_FAMILY, token))

    def is_gone(self, owner: str, token: int) -> bool:  # noqa: ARG002 - its connection tells it
        """Tell whether nobody holds the advisory lock of the token any more."""
        ((is_free,),) = self.execute("SELECT pg_try_advisory_lock(?, ?)", (_LOCK_FAMILY, token))
        if is_free:
            self.execute("SELECT pg_advisory_unlock(?, ?)", (_LOCK_FAMILY, token))
        return bool(is_free)

    def drop_index(self, name: str) -> None:
        """Drop an index, within a transaction."""
        self.execute(f'DROP INDEX IF EXISTS "{name}"')

    def trigger_names(self, table_name: str) -> set[str]:
        """Return the names of the triggers of a table of the schema."""
        rows = self.execute(
            "SELECT tgname FROM pg_trigger JOIN pg_class AS tables ON tables.oid = tgrelid"
            " WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relname = ?",
            (table_name,),
        )
        return {str(name) for (name,) in rows}

    def index_names(self) -> set[str]:
        """Return the names of all indexes of the schema."""
        rows = self.execute("SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()")
        return {str(name) for (name,) in rows}

    def column_names(self, table_name: str) -> list[str]:
        """Return the names of the columns of a table of the schema."""
        rows = self.execute(
            # the standard's list of columns leaves materialized views out
            "SELECT attname FROM pg_attribute JOIN pg_class AS tables ON tables.oid = attrelid"
            " WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relname = ?"
            " AND attnum > 0 AND NOT attisdropped",
            (table_name,),
        )
        return [str(name) for (name,) in rows]

    def column_types(self, table_name: str) -> dict[str, str]:
        """Return the columns of a table that can be written, each with its type."""
        found = self.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = to_regclass(quote_ident(?)) AND attnum > 0 AND NOT attisdropped"
            " AND attgenerated = ''",
            (table_name,),
        )
        return {str(name): str(kind) for name, kind in found}

    def create_index(self, statement: str) -> None:
        """Create an index, in a transaction of its own, with more memory than a session has as a rule."""
        with self.transaction():
            self.execute("SET LOCAL maintenance_work_mem = '512MB'")
            self.execute(statement)

    def tidy(self) -> None:
        """Let the server look at what was written: plans of queries depend on it.

        ``contacts`` too: without it the server does not know that hardly two contacts share an address.
        """
        self.end_reading()
        self._connection.execute("ANALYZE email_schedules, contacts")

    def number_beyond(self, table_name: str) -> None:
        """Let new rows get ids beyond those that are there."""
        ((sequence,),) = self.execute("SELECT pg_get_serial_sequence(?, 'id')", (table_name,))
        if sequence is not None:
            self.execute(
                f"SELECT setval('{sequence}', max(id)) FROM {table_name}"  # noqa: S608
                f" HAVING max(id) >= (SELECT last_value FROM {sequence})"
            )

    def _begin_reading(self) -> None:
        if self._connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            self._connection.execute(_READING)
            self._is_reading = True


def _open(address: str, options: Mapping[str, Any]) -> "psycopg.Connection[Any]":
    connection = psycopg.connect(address, autocommit=True, **options)
    load_as_text(connection)
    return connection


def _cast(cell: Cell) -> str:
    if cell.kind == ID:
        return or_nothing(f"CAST({cell.expression} AS BIGINT)", cell)
    if cell.kind == NUMBER:
        number = cast_number(f"CAST({cell.expression} AS BIGINT)", "greatest", "least")
        # greatest and least leave nulls out
        return f"CASE WHEN {cell.expression} IS NULL THEN {NO_NUMBER} ELSE {number} END"
    if cell.kind == DATE:
        # a date that has no text of ten characters is none
        is_readable = f"{cell.expression} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'"
        return f"CASE WHEN {is_readable} THEN {cell.expression} - DATE '1970-01-01' ELSE {NO_DATE} END"
    return cast_flag(cell.expression) if is_number(cell.kind) else f"CAST({cell.expression} AS TEXT)"


def _arrow_type(cell: Cell) -> pa.DataType:
    if is_number(cell.kind):
        return pa.int64()
    if cell.kind == DATE:
        return pa.int32()
    return pa.dictionary(pa.int32(), pa.string()) if cell.is_encoded else pa.string()


def _parts(rows: Iterable[bytes | bytearray | memoryview]) -> Iterator[io.BytesIO]:
    """Put what arrives row by row together to parts that are worth parsing."""
    text = io.BytesIO()
    for row in rows:
        text.write(row)
        if text.tell() >= _BYTES_AT_A_TIME:
            yield text
            text = io.BytesIO()
    if text.tell():
        yield text


def _parse(text: io.BytesIO, types: Mapping[str, pa.DataType]) -> pa.RecordBatch:
    size = text.tell()
    text.seek(0)
    table = pyarrow.csv.read_csv(
        text,
        # one block, so that texts get one dictionary
        pyarrow.csv.ReadOptions(column_names=list(types), block_size=size + 1),
        pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        # null is nothing at all, an empty text has quotes
        pyarrow.csv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    (batch,) = table.combine_chunks().to_batches()
    return batch


def _csv(rows: pa.Table) -> bytes:
    columns = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in rows.columns
    ]
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(pa.table(columns, rows.column_names), sink, _CSV)
    text: bytes = sink.getvalue().to_pybytes()
    return text

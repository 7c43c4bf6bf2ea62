"""An organisation's database of either kind, for tests that are about what is in it and not about its kind.

Tests on PostgreSQL need a server on which databases can be created; ``EMAIL_SCHEDULER_TEST_POSTGRES_URL``
names it. A process has one database there, which is emptied before each test: creating and dropping one takes
a second or two.
"""

import os
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.connections.faults import server_address
from email_scheduler.database.connections.postgresql import load_as_text, session_options
from email_scheduler.database.tables import metadata
from email_scheduler.database.upgrade import initialise_database

SERVER_VARIABLE = "EMAIL_SCHEDULER_TEST_POSTGRES_URL"
SERVER_URL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"

Values = Mapping[str, object]
# By table.
Rows = dict[str, list[dict[str, Any]]]


class Database(ABC):
    """A database that a test writes and reads. Statements have ``?`` where parameters go, flags are booleans.

    Attributes:
        url: As the package takes it.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def is_postgresql(self) -> bool:
        return self.url.startswith("postgresql")

    @contextmanager
    @abstractmethod
    def connection(self) -> Iterator[Any]:
        """Open a connection of the driver; what was done over it is committed at the end."""

    @abstractmethod
    def run(self, script: str) -> None:
        """Run statements without parameters."""

    def write(self, statement: str, parameters: Sequence[object] = ()) -> None:
        """Run one statement."""
        with self.connection() as connection:
            connection.execute(self._placeholders(statement), tuple(parameters))

    def insert(self, table: str, *rows: Values) -> None:
        """Insert rows, and let new rows be numbered after them."""
        with self.connection() as connection:
            for row in rows:
                marks = ", ".join("?" * len(row))
                statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"
                connection.execute(self._placeholders(statement), tuple(row.values()))
            self.number_on(connection, table)

    def query(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return rows; dates, timestamps and JSON are text."""
        with self.connection() as connection:
            return connection.execute(self._placeholders(statement), tuple(parameters)).fetchall()

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Return rows by the names of their columns."""
        with self.connection() as connection:
            cursor = connection.execute(self._placeholders(statement), tuple(parameters))
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _placeholders(self, statement: str) -> str:
        return statement

    @abstractmethod
    def without_triggers(self, connection: Any) -> AbstractContextManager[None]:
        """Let no trigger see what is written in the block."""

    @abstractmethod
    def number_on(self, connection: Any, table: str) -> None:
        """Let new rows be numbered after those that are there."""


class SqliteDatabase(Database):
    """A SQLite file."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"sqlite:///{path}")
        self.path = path

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            yield connection

    def run(self, script: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(script)

    @contextmanager
    def without_triggers(self, connection: Any) -> Iterator[None]:
        connection.execute("BEGIN")
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        yield
        for _, statement in triggers:
            connection.execute(statement)

    def number_on(self, connection: Any, table: str) -> None:
        """Do nothing: SQLite looks at the ids that are there."""


class PostgresqlDatabase(Database):
    """A database on the test server."""

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        options = session_options(SchedulerConfig().database)
        with psycopg.connect(server_address(self.url), **options) as connection:
            load_as_text(connection)
            yield connection

    def run(self, script: str) -> None:
        with self.connection() as connection:
            connection.execute(script)
            for table in metadata.tables:
                self.number_on(connection, table)

    @contextmanager
    def without_triggers(self, connection: Any) -> Iterator[None]:
        connection.execute("SET session_replication_role = replica")
        yield
        connection.execute("SET session_replication_role = DEFAULT")

    def shape(self) -> object:
        """Return what tells whether a test has changed the tables."""
        return self.query(
            "SELECT count(DISTINCT pg_class.oid), count(attnum) FROM pg_class"
            " LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0"
            " WHERE relnamespace = CAST('public' AS regnamespace)"
        )

    def empty(self) -> None:
        """Delete all rows, and number new ones from 1."""
        with self.connection() as connection:
            # names of a session that a test has left may still hold locks
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            for table in reversed(metadata.sorted_tables):
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))
            connection.execute(
                "SELECT setval(CAST(format('%I.%I', schemaname, sequencename) AS regclass), 1, FALSE)"
                " FROM pg_sequences"
            )

    def remove_everything(self) -> None:
        """Drop all tables."""
        self.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    def _placeholders(self, statement: str) -> str:
        return statement.replace("%", "%%").replace("?", "%s")

    def number_on(self, connection: Any, table: str) -> None:
        found = connection.execute(
            "SELECT pg_get_serial_sequence(%s, 'id') FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attname = 'id'",
            (table, table),
        ).fetchone()
        sequence = found and found[0]
        if sequence is not None:
            connection.execute(
                f"SELECT setval('{sequence}', max(id)) FROM {table}"
                f" HAVING max(id) >= (SELECT last_value FROM {sequence})"
            )


def database_at(url: str) -> Database:
    """Return the database of this URL."""
    if url.startswith("sqlite:///"):
        return SqliteDatabase(Path(url.removeprefix("sqlite:///")))
    return PostgresqlDatabase(url)


class Server:
    """The PostgreSQL server of the tests.

    Raises:
        psycopg.OperationalError: It cannot be reached.
    """

    def __init__(self) -> None:
        self.url = os.environ.get(SERVER_VARIABLE) or SERVER_URL
        with self._connection():
            pass

    def url_of(self, name: str) -> str:
        """Return the URL of one of its databases."""
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    @contextmanager
    def database(self, name: str) -> Iterator[PostgresqlDatabase]:
        """Create an empty database for the block."""
        identifier = sql.Identifier(name)
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier)
        with self._connection() as connection:
            connection.execute(drop)
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(identifier)
            )
        try:
            yield PostgresqlDatabase(self.url_of(name))
        finally:
            with self._connection() as connection:
                connection.execute(drop)

    def _connection(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(server_address(self.url), autocommit=True, connect_timeout=5)


def initialised_sqlite(template: Path, path: Path) -> SqliteDatabase:
    """Return a new SQLite database with all tables; ``template`` is made the first time, then copied."""
    if not template.exists():
        initialise_database(f"sqlite:///{template}")
    shutil.copy(template, path)
    return SqliteDatabase(path)


def replace_rows(database: Database, rows: Rows, *, are_taken: bool = True) -> None:
    """Put rows in the place of all that are there; no trigger sees it.

    Args:
        database: An initialised one.
        rows: The rows; tables that are not named are emptied.
        are_taken: Whether the database must take all of them; otherwise it takes those that it can hold.
    """
    refused = (sqlite3.Error, psycopg.Error, OverflowError, UnicodeEncodeError, ValueError)
    with database.connection() as connection, database.without_triggers(connection):
        for table in reversed(metadata.sorted_tables):
            connection.execute(f"DELETE FROM {table.name}")
        for table in metadata.sorted_tables:
            for row in rows.get(table.name, []):
                marks = ", ".join(["%s" if database.is_postgresql else "?"] * len(row))
                statement = f"INSERT INTO {table.name} ({', '.join(row)}) VALUES ({marks})"
                connection.execute("SAVEPOINT a_row")
                try:
                    connection.execute(statement, tuple(row.values()))
                except refused:
                    connection.execute("ROLLBACK TO a_row")
                    if are_taken:
                        raise
                connection.execute("RELEASE a_row")
            database.number_on(connection, table.name)


# For tests that are about SQLite, or write what only SQLite can hold.
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)

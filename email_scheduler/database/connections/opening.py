"""Opening an organisation's database: as a ``Connection``; for migrations, as an engine of SQLAlchemy."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import Connection as SqlalchemyConnection
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.pool import NullPool

from email_scheduler.config import Database, SchedulerConfig, display_url
from email_scheduler.database.connections.connection import Connection
from email_scheduler.database.connections.faults import (
    POSTGRESQL,
    backend_of,
    check_is_file,
    database_errors,
    database_path,
    existing_database,
)
from email_scheduler.database.connections.postgresql import connect_postgresql, load_as_text, session_options
from email_scheduler.database.connections.sqlite import connect_sqlite, pragmas
from email_scheduler.files import make_private_directory, make_private_file
from email_scheduler.planning import THREADS

_PAGE_SIZE: Final = 16_384


@contextmanager
def connect(url: str, config: SchedulerConfig, *, read_only: bool = False) -> Iterator[Connection]:
    """Open an existing database, and close it at the end.

    Args:
        url: The database.
        config: Where the settings of the connection come from.
        read_only: Nothing is going to be written, so that a file of another program stays as it is.

    Raises:
        DatabaseError: The URL is not accepted, or there is no such database.
    """
    if backend_of(url) == POSTGRESQL:
        with connect_postgresql(url, config.database) as connection:
            yield connection
    else:
        with connect_sqlite(url, config.database, read_only=read_only) as connection:
            yield connection


@contextmanager
def connect_side_by_side(
    url: str, config: SchedulerConfig, is_much: Callable[[Connection], bool]
) -> Iterator[Sequence[Connection]]:
    """Open connections that read at one moment: one for each processor if there is much to read, else one.

    Args:
        url: The database.
        config: Where the settings of the connections come from.
        is_much: Asked of the first of them.

    Raises:
        DatabaseError: The URL is not accepted, or there is no such database.
    """
    with ExitStack() as stack:
        first = stack.enter_context(connect(url, config))
        connections = [first]
        if THREADS > 1 and is_much(first):
            first.end_reading()
            others = [stack.enter_context(connect(url, config)) for _ in range(THREADS - 1)]
            if first.share_moment(others):
                connections += others
        yield connections


@contextmanager
def announced(url: str, config: SchedulerConfig, token: int) -> Iterator[None]:
    """Show others, for the block, that whoever holds the planner lock with this token is alive.

    On PostgreSQL by an open connection; on SQLite the owner of the lock names host and process.
    """
    if backend_of(url) == POSTGRESQL:
        with connect_postgresql(url, config.database) as connection:
            connection.announce(token)
            yield
    else:
        yield


def open_engine(
    url: str, database: Database, *, create: bool = False, foreign_keys: bool | None = None
) -> Engine:
    """Return an engine without a pool, for ``init-db`` alone. Dates, timestamps and JSON arrive as text.

    On SQLite it goes over Python's ``sqlite3``, a copy of SQLite beside that of ADBC, which does not know of
    the locks of the other: nothing else may have the file open in this process.

    SQLite gets the pragmas of the configuration and real transactions: one begins with ``BEGIN``, so that
    changes of the schema belong to it as well; with the execution option ``sqlite_begin="IMMEDIATE"`` it
    takes the write lock at once.

    Args:
        url: The database.
        database: The section ``database`` of the configuration.
        create: Create SQLite's file, and the directories above it, if there is none. A database on a server
            has to exist.
        foreign_keys: SQLite's pragma, instead of what the section says.

    Raises:
        DatabaseError: The URL is not accepted, or there is no such file.
    """
    if backend_of(url) == POSTGRESQL:
        return _postgresql_engine(url, database)
    return _sqlite_engine(url, database, create=create, foreign_keys=foreign_keys)


def _postgresql_engine(url: str, database: Database) -> Engine:
    options = session_options(database)
    engine = sqlalchemy.create_engine(make_url(url), connect_args=options, poolclass=NullPool)
    event.listen(engine, "connect", lambda connection, _: load_as_text(connection))
    return engine


def _sqlite_engine(url: str, database: Database, *, create: bool, foreign_keys: bool | None) -> Engine:
    if create:
        path = database_path(url)
        if path.exists():
            check_is_file(path, display_url(url))
        with database_errors(url):
            make_private_directory(path.parent)
            # SQLite gives its log the rights of the database
            make_private_file(path)
    else:
        path = existing_database(url)
    file = f"{path.as_uri()}?mode={'rwc' if create else 'rw'}"
    # larger pages than SQLite's own make loading and reading faster; an existing file keeps those it has
    statements = [f"PRAGMA page_size = {_PAGE_SIZE}", *pragmas(database, foreign_keys)]

    def open_file() -> Any:
        # not at the beginning of this module: nothing else needs this copy of SQLite
        import sqlite3  # noqa: PLC0415

        connection = sqlite3.connect(file, uri=True, isolation_level=None, check_same_thread=False)
        try:
            for statement in statements:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection

    engine = sqlalchemy.create_engine("sqlite://", creator=open_file, poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: SqlalchemyConnection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")

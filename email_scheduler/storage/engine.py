"""Opening an organisation's database: SQLAlchemy for few rows, ADBC for many.

Python's ``sqlite3``, which SQLAlchemy uses, and ADBC's driver are two copies of SQLite in one process. The
operating system keeps SQLite's file locks by process: when one copy closes a file, the locks that the other
copy holds on it are gone, silently, and two writers can damage the database. So a process never has a
connection of both kinds to one file. Connections here are not pooled, and opening one of the second kind
raises ``RuntimeError``: close the first one before.
"""

import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import adbc_driver_manager
import adbc_driver_sqlite.dbapi
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.config.sections import Database
from email_scheduler.errors import DatabaseError

# A connection of adbc_driver_manager.dbapi, which ships no types.
AdbcConnection = Any

_ACCEPTED: Final = "accepted is sqlite:///PATH (four slashes before an absolute path)"
_HEADER: Final = b"SQLite format 3\x00"
_LONGEST_WAIT_SECONDS: Final = 60
_SQLALCHEMY: Final = "SQLAlchemy"
_ADBC: Final = "ADBC"

_logger = logging.getLogger(__name__)
_open_connections: Counter[tuple[Path, str]] = Counter()
_open_connections_lock = threading.Lock()


def database_path(url: str) -> Path:
    """Return the absolute path of the SQLite file that a database URL names, whether or not it exists.

    Raises:
        DatabaseError: The URL is not of the form ``sqlite:///PATH``, or names a database in memory.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        # the text may hold a password if it was meant as a URL
        shown = "" if "@" in url else f" {url!r}"
        raise DatabaseError(f"database{shown} is not a database URL; {_ACCEPTED}") from None
    shown = display_url(parsed)
    if parsed.get_backend_name() != "sqlite" or parsed.get_driver_name() != "pysqlite" or parsed.host:
        raise DatabaseError(f"database {shown}: not supported; {_ACCEPTED}")
    if parsed.database in {None, "", ":memory:"} or str(parsed.database).startswith("file:"):
        raise DatabaseError(
            f"database {shown}: a plan outlives its process, so that it needs a file; {_ACCEPTED}"
        )
    if parsed.query:
        raise DatabaseError(f"database {shown}: parameters after ? are not supported; {_ACCEPTED}")
    return Path(str(parsed.database)).expanduser().resolve()


def existing_database(url: str) -> Path:
    """Return the absolute path of the SQLite file that a database URL names.

    Raises:
        DatabaseError: The URL is not accepted, there is no such file, or it is no SQLite database.
    """
    path = database_path(url)
    shown = display_url(url)
    if not path.exists():
        raise DatabaseError(
            f"database {shown}: there is no file {path}; email-scheduler init-db --database URL creates it"
        )
    check_is_database(path, shown)
    return path


def check_is_database(path: Path, shown: str) -> None:
    """Raise a ``DatabaseError`` if an existing file is not a SQLite database; an empty file is one."""
    try:
        with path.open("rb") as file:
            header = file.read(len(_HEADER))
    except OSError as error:
        raise DatabaseError(f"database {shown}: {path} cannot be read: {error.strerror}") from error
    if header not in {b"", _HEADER}:
        raise DatabaseError(f"database {shown}: {path} is not a SQLite database")


def display_url(url: str | URL) -> str:
    """Return a database URL as it may be shown: without its password."""
    return make_url(url).render_as_string(hide_password=True)


@contextmanager
def database_errors(url: str) -> Iterator[None]:
    """Turn what a database driver raises within the block into a ``DatabaseError`` of one line."""
    try:
        yield
    except (DBAPIError, sqlite3.Error, adbc_driver_manager.Error, OSError) as error:
        reason = str(error.orig if isinstance(error, DBAPIError) else error)
        raise DatabaseError(f"database {display_url(url)}: {' '.join(reason.split())}") from error


def is_locked(error: BaseException) -> bool:
    """Tell whether an error of a driver means that somebody else is using the database just now."""
    return is_from_driver(error) and " is locked" in str(error)


def is_from_driver(error: BaseException | None) -> bool:
    """Tell whether an error comes from a driver or the operating system: it may not last."""
    return isinstance(error, DBAPIError | sqlite3.Error | adbc_driver_manager.Error | OSError)


def retrying(config: SchedulerConfig) -> Retrying:
    """Return what calls a function again while the database is locked: ``retrying(config)(function, ...)``.

    It is tried ``processing.max_retry_attempts`` more times, first after ``processing.retry_delay`` seconds,
    then after twice as long each time, up to a minute, with some jitter. The last error is raised as it is.
    """
    delay = config.processing.retry_delay
    return Retrying(
        retry=retry_if_exception(is_locked),
        stop=stop_after_attempt(1 + config.processing.max_retry_attempts),
        wait=wait_exponential(multiplier=delay, max=max(delay, _LONGEST_WAIT_SECONDS))
        + wait_random(0, delay / 2),
        before_sleep=_log_retry,
        reraise=True,
    )


def open_engine(
    url: str, database: Database, *, create: bool = False, foreign_keys: bool | None = None
) -> Engine:
    """Return an engine for one SQLite file: no pool, the pragmas of the configuration, real transactions.

    A transaction begins with ``BEGIN``, so that changes of the schema belong to it as well; with the
    execution option ``sqlite_begin="IMMEDIATE"`` it takes the write lock at once.

    Args:
        url: ``sqlite:///PATH``.
        database: The section ``database`` of the configuration.
        create: Create the file, and the directories above it, if there is none.
        foreign_keys: Instead of what the section says.

    Raises:
        DatabaseError: As ``existing_database``.
    """
    if create:
        path = database_path(url)
        if path.exists():
            check_is_database(path, display_url(url))
        with database_errors(url):
            path.parent.mkdir(parents=True, exist_ok=True)
    else:
        path = existing_database(url)
    file = f"{path.as_uri()}?mode={'rwc' if create else 'rw'}"
    pragmas = _pragmas(database, foreign_keys)

    def connect() -> sqlite3.Connection:
        _register(path, _SQLALCHEMY, other=_ADBC)
        connection = None
        try:
            connection = sqlite3.connect(file, uri=True, isolation_level=None, check_same_thread=False)
            for pragma in pragmas:
                connection.execute(pragma)
        except BaseException:
            if connection is not None:
                connection.close()
            _unregister(path, _SQLALCHEMY)
            raise
        return connection

    engine = sqlalchemy.create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "close", lambda *_: _unregister(path, _SQLALCHEMY))
    return engine


@contextmanager
def adbc_connection(url: str, config: SchedulerConfig) -> Iterator[AdbcConnection]:
    """Open an existing database through ADBC, with the pragmas of the configuration, and close it at the end.

    The connection is always in a transaction: reading keeps to one snapshot of the database until
    ``commit()`` or ``rollback()``. For writing use ``immediate_transaction``.

    Raises:
        DatabaseError: As ``existing_database``.
        RuntimeError: A SQLAlchemy connection to the file is open (see above).
    """
    path = existing_database(url)
    _register(path, _ADBC, other=_SQLALCHEMY)
    try:
        connection = adbc_driver_sqlite.dbapi.connect(f"{path.as_uri()}?mode=rw")
        try:
            # not connect(autocommit=True): such a connection ignores commit() and rollback() for ever
            connection.adbc_connection.set_autocommit(True)
            with connection.cursor() as cursor:
                for pragma in _pragmas(config.database):
                    cursor.execute(pragma)
                    cursor.fetchall()
            connection.adbc_connection.set_autocommit(False)
            yield connection
        finally:
            connection.close()
    finally:
        _unregister(path, _ADBC)


@contextmanager
def immediate_transaction(connection: AdbcConnection) -> Iterator[AdbcConnection]:
    """Write in one transaction that holds the write lock from its beginning: commit at the end, or roll back.

    ``connection`` comes from ``adbc_connection``. Whatever it has read before, the transaction sees the
    database as it is now.
    """
    with connection.cursor() as cursor:
        cursor.execute("COMMIT")
        try:
            cursor.execute("BEGIN IMMEDIATE")
        except BaseException:
            # the driver takes for granted that there is a transaction
            cursor.execute("BEGIN")
            raise
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _pragmas(database: Database, foreign_keys: bool | None = None) -> list[str]:
    """Return the pragmas of a new connection; they have to be set outside of a transaction."""
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
    ]


def _begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")


def _register(path: Path, kind: str, *, other: str) -> None:
    with _open_connections_lock:
        if _open_connections[path, other]:
            raise RuntimeError(f"{path}: a connection of {other} is open in this process; close it before")
        _open_connections[path, kind] += 1


def _unregister(path: Path, kind: str) -> None:
    with _open_connections_lock:
        _open_connections[path, kind] -= 1


def _log_retry(state: RetryCallState) -> None:
    _logger.warning(
        "the database is locked; attempt %d, next one in %.1f seconds",
        state.attempt_number,
        state.upcoming_sleep,
    )

"""Copies of SQLite databases for backups: as a whole, or the planner's tables.

All of it goes over Python's ``sqlite3``, so that no ADBC connection to the database may be open (see
``sqlite``).
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from email_scheduler.config.sections import Database
from email_scheduler.errors import BackupError
from email_scheduler.storage.backup_files import compress, private_file
from email_scheduler.storage.sqlite import ADBC, SQLALCHEMY, pragmas, register, unregister
from email_scheduler.storage.urls import existing_database


def copy_sqlite(
    url: str, database: Database, target: Path, tables: Sequence[str], *, is_whole: bool
) -> tuple[dict[str, int], int]:
    """Copy a database as it is at one moment, check the copy, and compress it.

    Args:
        url: The database.
        database: The section ``database`` of the configuration.
        target: The compressed file to make.
        tables: The tables to copy and to count.
        is_whole: Copy the whole file instead (SQLite's backup API), which takes indexes along.

    Returns:
        The rows of each of ``tables``, and the bytes of the copy.

    Raises:
        BackupError: The copy is damaged, since the database is.
    """
    plain = target.with_name(f"{target.name}.part")
    try:
        with private_file(plain):
            pass
        with _opened(url, database) as source:
            if is_whole:
                _copy_pages(source, plain)
            else:
                _copy_tables(source, plain, tables)
        rows = check_sqlite(plain, tables)
        size = plain.stat().st_size
        compress(plain, target)
    finally:
        plain.unlink(missing_ok=True)
    return rows, size


def check_sqlite(file: Path, tables: Sequence[str]) -> dict[str, int]:
    """Check that a copy is sound (``PRAGMA integrity_check``), and count the rows of its tables.

    Raises:
        BackupError: It is damaged.
    """
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as copy:
            found = [str(text) for (text,) in copy.execute("PRAGMA integrity_check(1)")]
            if found != ["ok"]:
                raise BackupError(f"backup {file}: the copy is damaged: {' '.join(found[0].split())}")
            count = "SELECT count(*) FROM {}"
            return {name: copy.execute(count.format(name)).fetchone()[0] for name in tables}
    except sqlite3.DatabaseError as error:
        raise BackupError(f"backup {file}: the copy is damaged: {error}") from error


@contextmanager
def _opened(url: str, database: Database) -> Iterator[sqlite3.Connection]:
    path = existing_database(url)
    register(path, SQLALCHEMY, other=ADBC)
    try:
        address = f"{path.as_uri()}?mode=rw"
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
            for statement in pragmas(database):
                connection.execute(statement)
            yield connection
    finally:
        unregister(path, SQLALCHEMY)


def _copy_pages(source: sqlite3.Connection, target: Path) -> None:
    with closing(sqlite3.connect(target)) as copy:
        # all pages in one step: the copy is of one moment, and never begins anew when somebody writes
        source.backup(copy)
        # the copy is one file, whatever journal the database has
        copy.execute("PRAGMA journal_mode = DELETE")


def _copy_tables(source: sqlite3.Connection, target: Path, tables: Sequence[str]) -> None:
    source.execute("ATTACH DATABASE ? AS copy", (str(target),))
    # nobody else knows the file, and one that was not finished is thrown away
    for pragma in ("page_size = 16384", "journal_mode = OFF", "synchronous = OFF"):
        source.execute(f"PRAGMA copy.{pragma}")
    source.execute("BEGIN")
    for name in tables:
        columns = [row[1] for row in source.execute(f"PRAGMA main.table_info({name})")]
        # without types, so that every value stays as it is
        definitions = ["id INTEGER PRIMARY KEY" if each == "id" else f'"{each}"' for each in columns]
        source.execute(f"CREATE TABLE copy.{name} ({', '.join(definitions)})")
        names = ", ".join(f'"{each}"' for each in columns)
        source.execute(
            f"INSERT INTO copy.{name} ({names}) SELECT {names} FROM main.{name} ORDER BY rowid"  # noqa: S608
        )
    source.execute("COMMIT")
    source.execute("DETACH DATABASE copy")

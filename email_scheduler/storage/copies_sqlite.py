"""Copies of SQLite databases for backups: as a whole, or some tables."""

from collections.abc import Sequence
from pathlib import Path

import adbc_driver_manager

from email_scheduler.config.sections import Database
from email_scheduler.errors import BackupError
from email_scheduler.storage.backup_files import compress, private_file
from email_scheduler.storage.faults import describe
from email_scheduler.storage.sqlite import SqliteConnection, connect_sqlite, open_file


def copy_sqlite(
    url: str, database: Database, target: Path, tables: Sequence[str], *, is_whole: bool
) -> tuple[dict[str, int], int]:
    """Copy a database as it is at one moment, check the copy, and compress it.

    Args:
        url: The database.
        database: The section ``database`` of the configuration.
        target: The compressed file to make.
        tables: The tables to copy and to count.
        is_whole: Copy the whole database instead, which takes indexes along.

    Returns:
        The rows of each of ``tables``, and the bytes of the copy.

    Raises:
        BackupError: The copy is damaged, since the database is.
    """
    plain = target.with_name(f"{target.name}.part")
    try:
        with private_file(plain):
            pass
        with connect_sqlite(url, database) as source:
            if is_whole:
                source.vacuum_into(plain)
            else:
                copy_tables(source, plain, tables)
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
        with open_file(file, "mode=ro&immutable=1") as copy:
            found = [str(text) for (text,) in copy.execute("PRAGMA integrity_check(1)")]
            if found != ["ok"]:
                raise BackupError(f"backup {file}: the copy is damaged: {' '.join(found[0].split())}")
            return {
                name: int(copy.execute(f"SELECT count(*) FROM {name}")[0][0])  # noqa: S608
                for name in tables
            }
    except adbc_driver_manager.Error as error:
        raise BackupError(f"backup {file}: the copy is damaged: {describe(error)}") from error


def copy_tables(
    source: SqliteConnection, target: Path, tables: Sequence[str], condition: str = "TRUE"
) -> None:
    """Copy rows as they are at one moment, without indexes, into a file that is new or empty.

    Args:
        source: Where they are; the file stays attached to it.
        target: The file. What is in it after an error is worth nothing.
        tables: Their tables.
        condition: SQL of the rows to copy.
    """
    source.attach(target, "copy")
    # nobody else knows the file, and one that was not finished is thrown away
    pragmas = ("page_size = 16384", "journal_mode = OFF", "synchronous = OFF")
    source.set_pragmas([f"PRAGMA copy.{pragma}" for pragma in pragmas])
    with source.staging():
        for name in tables:
            columns = [
                str(each)
                for (each,) in source.execute("SELECT name FROM pragma_table_info(?, 'main')", (name,))
            ]
            # without types, so that every value stays as it is
            definitions = ["id INTEGER PRIMARY KEY" if each == "id" else f'"{each}"' for each in columns]
            source.execute(f"CREATE TABLE copy.{name} ({', '.join(definitions)})")
            names = ", ".join(f'"{each}"' for each in columns)
            source.execute(
                f"INSERT INTO copy.{name} ({names}) SELECT {names} FROM main.{name}"  # noqa: S608
                f" WHERE {condition} ORDER BY rowid"
            )

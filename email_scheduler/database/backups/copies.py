"""Copies of databases for backups: of SQLite as a whole or in part, of PostgreSQL by ``pg_dump``."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import adbc_driver_manager
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from email_scheduler.config import Database
from email_scheduler.database.backups.backup_files import compress, compressing, private_file
from email_scheduler.database.connections import (
    PostgresqlConnection,
    SqliteConnection,
    connect_postgresql,
    connect_sqlite,
    describe,
    open_file,
    server_address,
)
from email_scheduler.errors import BackupError, BackupUnavailableError

_CHUNK: Final = 1 << 20
# To check an index, each of its entries is looked up: with little memory, from the file again and again.
_INDEX_CHECK_PRAGMAS: Final = ("PRAGMA cache_size = -100000",)
_END_OF_ROWS: Final = b"\\."


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
        rows = check_sqlite(plain, tables, has_indexes=is_whole)
        size = plain.stat().st_size
        compress(plain, target)
    finally:
        plain.unlink(missing_ok=True)
    return rows, size


def check_sqlite(file: Path, tables: Sequence[str], *, has_indexes: bool) -> dict[str, int]:
    """Check that a copy is sound (``PRAGMA integrity_check``), and count the rows of its tables.

    Args:
        file: The copy.
        tables: The tables to count.
        has_indexes: Whether there are indexes to check, which is worth 100 MB of memory.

    Raises:
        BackupError: It is damaged.
    """
    try:
        statements = _INDEX_CHECK_PRAGMAS if has_indexes else ()
        with open_file(file, "mode=ro&immutable=1", statements) as copy:
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


def copy_postgresql(
    url: str, database: Database, target: Path, tables: Sequence[str], *, is_whole: bool
) -> tuple[dict[str, int], int]:
    """Dump a database as it is at one moment, compress it, and check that the dump can be read.

    Args:
        url: The database.
        database: The section ``database`` of the configuration.
        target: The compressed file to make.
        tables: The tables to dump and to count.
        is_whole: Dump the whole schema instead.

    Returns:
        The rows of each of ``tables``, and the bytes of the dump.

    Raises:
        BackupUnavailableError: ``pg_dump`` is not installed.
        BackupError: It fails.
    """
    program = _program("pg_dump")
    with connect_postgresql(url, database) as connection:
        # the dump sees what this transaction sees, and so do the counts
        ((snapshot,),) = connection.execute("SELECT pg_export_snapshot()")
        ((schema,),) = connection.execute("SELECT quote_ident(current_schema())")
        wanted = [f"--schema={schema}"] if is_whole else [f"--table={schema}.{name}" for name in tables]
        options = [
            "--format=custom",
            "--compress=0",
            "--no-owner",
            "--no-privileges",
            f"--snapshot={snapshot}",
        ]
        rows = {
            name: int(connection.execute(f"SELECT count(*) FROM {name}")[0][0])  # noqa: S608
            for name in tables
        }
        size = 0
        address, environment = _without_password(url)
        with (
            _running([program, *options, *wanted, f"--dbname={address}"], target, environment) as process,
            compressing(target) as stream,
        ):
            while chunk := process.stdout.read(_CHUNK) if process.stdout else b"":
                size += len(chunk)
                stream.write(chunk)
    return rows, size


def check_dump(file: Path) -> None:
    """Check that ``pg_restore`` can read a dump from its beginning to its end.

    Raises:
        BackupUnavailableError: ``pg_restore`` is not installed.
        BackupError: The dump is damaged.
    """
    with _running([_program("pg_restore"), "--file=-", str(file)], file) as process:
        while process.stdout and process.stdout.read(_CHUNK):
            pass


def load_table(connection: PostgresqlConnection, file: Path, table: str, target: str) -> None:
    """Load the rows of one table of a dump into a new temporary table.

    Raises:
        BackupUnavailableError: ``pg_restore`` is not installed.
        BackupError: It fails, or the dump does not hold the table.
    """
    command = [_program("pg_restore"), "--data-only", f"--table={table}", "--file=-", str(file)]
    connection.execute(f"CREATE TEMP TABLE {target} (LIKE {table}) ON COMMIT DROP")
    is_found = False
    with _running(command, file) as process:
        lines = iter(process.stdout or ())
        for line in lines:
            if line.startswith(b"COPY "):
                is_found = True
                columns = line[line.index(b"(") + 1 : line.index(b")")].decode()
                connection.copy_text(target, columns, _rows(lines))
    if not is_found:
        raise BackupError(f"backup {file}: it does not hold the table {table}")
    connection.execute(f"ANALYZE {target}")


def _rows(lines: Iterator[bytes]) -> Iterator[bytes]:
    for line in lines:
        if line.rstrip(b"\r\n") == _END_OF_ROWS:
            return
        yield line


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise BackupUnavailableError(
            f"{name} is not installed, so that there are no backups of PostgreSQL databases; it comes with"
            " PostgreSQL's client programs (on Debian: apt-get install postgresql-client)"
        )
    return found


def _without_password(url: str) -> tuple[str, dict[str, str]]:
    """Return the address of a server without the password, which others could read, and the environment."""
    parts = conninfo_to_dict(server_address(url))
    password = parts.pop("password", None)
    return make_conninfo("", **parts), {} if password is None else {"PGPASSWORD": str(password)}


@contextmanager
def _running(
    command: list[str], file: Path, environment: dict[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program for the block; raise a ``BackupError`` with its message if it fails."""
    name = Path(command[0]).name
    # stderr goes to a file: a full pipe would stop the program
    messages = file.with_name(f"{file.name}.messages.part")
    try:
        with (
            messages.open("w+b") as errors,
            subprocess.Popen(  # noqa: S603 - nobody's words but the URL's, and no shell
                command, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **(environment or {})}
            ) as process,
        ):
            try:
                yield process
            except BaseException:
                process.kill()
                raise
            if process.wait():
                errors.seek(0)
                text = " ".join(errors.read(2_000).decode(errors="replace").split())
                raise BackupError(f"backup {file}: {name} failed: {text}")
    finally:
        messages.unlink(missing_ok=True)

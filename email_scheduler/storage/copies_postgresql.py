"""Copies of PostgreSQL databases for backups, by ``pg_dump``; and reading them, by ``pg_restore``."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from email_scheduler.config.sections import Database
from email_scheduler.errors import BackupError, BackupUnavailableError
from email_scheduler.storage.backup_files import compressing
from email_scheduler.storage.postgresql import PostgresqlConnection, connect_postgresql
from email_scheduler.storage.urls import server_address

_CHUNK: Final = 1 << 20
_END_OF_ROWS: Final = b"\\."


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

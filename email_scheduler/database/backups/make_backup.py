"""Backups of an organisation's database: copies of one moment, checked, compressed, kept for some days.

What the planner writes is what it can damage, so that a backup holds the planner's tables
(``audit.backup_scope``: ``planner_tables``): a small part of the database, without indexes. ``database``
takes everything. ``restore`` brings either back in the same way.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from email_scheduler.clock import TIME_ZONE, today
from email_scheduler.config import SchedulerConfig
from email_scheduler.database.backups.backup_files import (
    Backup,
    all_backups,
    backup_directory,
    file_errors,
    finished_backups,
    make_private,
    new_name,
    prune,
    read_description,
    sha256_of,
    unpack,
    write_description,
)
from email_scheduler.database.backups.copies import check_dump, check_sqlite, copy_postgresql, copy_sqlite
from email_scheduler.database.connections import (
    DRIVER_ERRORS,
    SQLITE,
    backend_of,
    connect,
    database_errors,
    describe,
    display_url,
    timestamp,
    utc_now,
)
from email_scheduler.database.records import read_runs
from email_scheduler.database.relations import VERSION_TABLE
from email_scheduler.database.schema_version import schema_version
from email_scheduler.database.tables import PRE_SCHEDULED_SQL
from email_scheduler.errors import BackupError, BackupUnavailableError

__all__ = [
    "FOR_PLAN",
    "FOR_REQUEST",
    "FOR_RESTORE",
    "PLANNER_TABLES",
    "Backup",
    "all_backups",
    "backup_before_publishing",
    "backup_directory",
    "create_backup",
    "find_backup",
    "finished_backups",
    "prune",
    "unpacked",
    "verify_backup",
]

# What made a backup.
FOR_PLAN: Final = "plan"
FOR_REQUEST: Final = "request"
FOR_RESTORE: Final = "restore"

WHOLE_DATABASE: Final = "database"
# What the planner writes, and what its rows refer to. Not the archive: rows only come to it.
PLANNER_TABLES: Final = (
    "email_schedules",
    "contact_campaigns",
    "campaign_types",
    "campaign_instances",
    "campaign_change_log",
    "organization_holds",
    "contact_issues",
    "config_versions",
    "scheduler_checkpoints",
    VERSION_TABLE,
)
LATEST: Final = "latest"
_logger = logging.getLogger(__name__)

FinishBackup = Callable[[], "Backup | None"]


def create_backup(
    url: str, config: SchedulerConfig, *, made_for: str = FOR_REQUEST, scope: str | None = None
) -> Backup:
    """Make a backup of a database as it is at one moment, check it, and remove those that are too old.

    Args:
        url: The database.
        config: The organisation's configuration.
        made_for: What it is made for.
        scope: What it holds; None: ``audit.backup_scope``.

    Raises:
        BackupUnavailableError: The program that makes such backups is not installed.
        BackupError: It cannot be made; there is nothing left of it.
        DatabaseError: The database cannot be read.
    """
    directory = backup_directory(url, config)
    make_private(directory)
    kind, moment = backend_of(url), utc_now()
    description = Backup(
        name=new_name(moment),
        made_at=timestamp(moment),
        made_for=made_for,
        kind=kind,
        scope=scope or config.audit.backup_scope,
        schema_version=_schema_version(url, config),
        rows={},
        content_bytes=0,
        bytes=0,
        sha256="",
    )
    file = description.file(directory)
    copy = copy_sqlite if kind == SQLITE else copy_postgresql
    try:
        is_whole = description.scope == WHOLE_DATABASE
        rows, size = copy(url, config.database, file, PLANNER_TABLES, is_whole=is_whole)
        backup = replace(
            description,
            rows={name: count for name, count in rows.items() if name != VERSION_TABLE},
            content_bytes=size,
            bytes=file.stat().st_size,
            sha256=sha256_of(file),
        )
        write_description(directory, backup)
    except DRIVER_ERRORS as error:
        file.unlink(missing_ok=True)
        raise BackupError(f"backup {file}: {describe(error)}") from error
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    if made_for != FOR_RESTORE:
        # else the one that is being restored might go
        prune(directory, config.audit.backup_retention_days)
    return backup


@contextmanager
def backup_before_publishing(url: str, config: SchedulerConfig) -> Iterator[FinishBackup]:
    """Make the backup of the day, if it is due, while the block does something else.

    It is due where ``audit.enable_pit_backups`` is on, something has been planned before, and none was made
    for a plan today (US Central). A thread makes it over a connection of its own. To be entered while the
    planner lock is held.

    Returns:
        A function that waits for the backup and returns it, None where none is due or none can be made for
        want of ``pg_dump``, which is logged. It is to be called before anything is written.

    Raises:
        BackupError: It cannot be made; from the function.
    """
    if not config.audit.enable_pit_backups or not _has_plan(url, config) or _has_one_of(today(), url, config):
        yield lambda: None
        return
    with ThreadPoolExecutor(1, thread_name_prefix="backup") as thread:
        yield thread.submit(_make_for_plan, url, config).result


def find_backup(url: str, config: SchedulerConfig, name: str) -> tuple[Path, Backup]:
    """Return the directory of a backup, and the backup.

    Args:
        url: The database.
        config: Its configuration.
        name: Its name, ``latest``, or the path of its file.

    Raises:
        BackupError: There is none of this name, or it is damaged; also where the latest one is.
    """
    if "/" in name:
        file = Path(name)
        stem = file.name.split(".", 1)[0]
        return file.parent, read_description(file.parent / f"{stem}.json")
    directory = backup_directory(url, config)
    backups, damaged = all_backups(directory)
    latest = max([*(each.name for each in backups), *(each.name for each in damaged)], default="")
    for each in damaged:
        # not silently another one than the one that is meant
        if name == each.name or (name == LATEST and latest == each.name):
            raise BackupError(each.reason)
    for backup in backups:
        if name in {backup.name, LATEST}:
            return directory, backup
    known = ", ".join(each.name for each in backups[:5]) or "none"
    raise BackupError(
        f"database {display_url(url)}: no backup {name!r} in {directory}; accepted is latest, the path of a"
        f" file, or a name: {known}{', ...' if len(backups) > 5 else ''}"
    )


def verify_backup(directory: Path, backup: Backup) -> None:
    """Check that a backup is what was made: its checksum, that it can be read, and how many rows it holds.

    Raises:
        BackupUnavailableError: The program that reads such backups is not installed.
        BackupError: It is damaged.
    """
    with unpacked(directory, backup):
        pass


@contextmanager
def unpacked(directory: Path, backup: Backup) -> Iterator[Path]:
    """Check a backup, and return a file that holds its content during the block.

    Raises:
        BackupUnavailableError: The program that reads such backups is not installed.
        BackupError: It is damaged.
    """
    file = backup.file(directory)
    found = sha256_of(file)
    if found != backup.sha256:
        raise BackupError(
            f"backup {file}: it is damaged: its SHA-256 is {found}, and was {backup.sha256} when it was made"
        )
    with ExitStack() as stack:
        with file_errors(directory):
            place = stack.enter_context(TemporaryDirectory(prefix="unpacked-", suffix=".part", dir=directory))
        content = Path(place) / "content"
        unpack(file, content)
        if backup.kind == SQLITE:
            has_indexes = backup.scope == WHOLE_DATABASE
            rows = check_sqlite(content, list(backup.rows), has_indexes=has_indexes)
            if rows != backup.rows:
                raise BackupError(f"backup {file}: it holds other numbers of rows than when it was made")
        else:
            check_dump(content)
        yield content


def _make_for_plan(url: str, config: SchedulerConfig) -> Backup | None:
    try:
        return create_backup(url, config, made_for=FOR_PLAN)
    except BackupUnavailableError as error:
        _logger.warning("no backup before this plan: %s", error)
        return None
    except BackupError as error:
        raise BackupError(
            f"{error}. A plan is not published without the backup before it: mend this, name another"
            " directory (audit.backup_directory), or go without (audit.enable_pit_backups: false)"
        ) from error


def _has_plan(url: str, config: SchedulerConfig) -> bool:
    with database_errors(url), connect(url, config) as connection:
        planned = f"SELECT 1 FROM email_schedules WHERE {PRE_SCHEDULED_SQL} LIMIT 1"  # noqa: S608
        return bool(connection.execute(planned) or read_runs(connection))


def _schema_version(url: str, config: SchedulerConfig) -> str:
    with database_errors(url), connect(url, config) as connection:
        return str(schema_version(connection))


def _has_one_of(day: date, url: str, config: SchedulerConfig) -> bool:
    return any(
        backup.made_for == FOR_PLAN and backup.moment.astimezone(TIME_ZONE).date() == day
        for backup in finished_backups(backup_directory(url, config))
    )

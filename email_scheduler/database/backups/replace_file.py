"""Putting a backup of the whole database in the place of a SQLite file that cannot be read any more."""

# ruff: noqa: S608 - put together from names and conditions of this package

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import adbc_driver_manager

from email_scheduler.clock import TIME_ZONE, today
from email_scheduler.config import SchedulerConfig
from email_scheduler.database.backups.backup_files import Backup, file_errors, private_file
from email_scheduler.database.backups.copies import copy_tables
from email_scheduler.database.backups.make_backup import WHOLE_DATABASE, unpacked
from email_scheduler.database.campaign_changes import RESTORED
from email_scheduler.database.connections import (
    SQLITE,
    Connection,
    database_path,
    open_file,
    timestamp,
    utc_now,
)
from email_scheduler.database.holds import hold
from email_scheduler.database.lock import refuse_while_planning
from email_scheduler.database.tables import PRE_SCHEDULED_SQL, SENDER_ROW_SQL, metadata
from email_scheduler.errors import BackupError

# What others have written since the backup, the sending system first.
_TO_CARRY_OVER: Final = {
    "email_schedules": SENDER_ROW_SQL,
    "contact_suppressions": "TRUE",
    "suppressed_addresses": "TRUE",
    "tracking_clicks": "TRUE",
    "contact_events": "TRUE",
    "email_tracking": "TRUE",
}
# Ids that the lost file has given since the backup must not be given again.
_IDS_LEFT_OUT: Final = 10_000_000


@dataclass(frozen=True)
class ReplacedFile:
    """What putting a backup in the place of a file did.

    Attributes:
        name: The backup.
        kept: The file that was there; None: there was none.
        carried_over: Rows of the sending system that were read from that file; None: it could not be read.
        unresolved: Rows that may have been sent since the backup, and are ``processing`` now.
        lost: Tables of others whose rows since the backup could not be read.
    """

    name: str
    kept: str | None
    carried_over: int | None
    unresolved: int
    lost: list[str]


def replace_file(
    url: str, config: SchedulerConfig, directory: Path, backup: Backup, *, restored_by: str
) -> ReplacedFile:
    """Check a backup and make it the database; the file that was there stays under another name.

    What can still be read of that file is carried over: the rows of the sending system, suppressions, clicks
    and answers. Where the sender's rows cannot be read, nobody knows what went out since the backup: what was
    due in these days becomes ``processing``, so that it is never sent by itself. The organisation is held.

    Args:
        url: The database. No program may have it open.
        config: The organisation's configuration.
        directory: Where the backup lies.
        backup: A backup of the whole database.
        restored_by: Who restores it.

    Raises:
        BackupError: The backup is damaged, or does not hold a whole SQLite database; nothing was changed.
        PlannerLockedError: As far as the file can be read, a planner is at work on it; nothing was changed.
    """
    path = database_path(url)
    if backup.kind != SQLITE or backup.scope != WHOLE_DATABASE:
        raise BackupError(
            f"backup {backup.name}: it holds {backup.scope} of a {backup.kind} database; only a backup of a"
            " whole SQLite database can take the place of a file"
        )
    refuse_while_planning(url, config)
    part, kept = (path.with_name(f"{path.name}.{end}") for end in ("part", f"damaged-{backup.name}"))
    with unpacked(directory, backup) as content, file_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(content, part)
        part.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o600)
        salvaged = _salvage(path, content.parent)
        result = _complete(part, salvaged, backup, restored_by)
        is_there = path.exists()
        for end in ("", "-wal", "-shm"):
            old = path.with_name(f"{path.name}{end}")
            if old.exists():
                old.replace(kept.with_name(f"{kept.name}{end}"))
        part.replace(path)
    return ReplacedFile(backup.name, str(kept) if is_there else None, *result)


def _salvage(old: Path, directory: Path) -> dict[str, Path]:
    """Copy what can be read of a damaged file; return a file for each table that is sound."""
    if not old.exists():
        return {}
    found = {}
    for table, condition in _TO_CARRY_OVER.items():
        file = directory / f"{table}.salvaged"
        with private_file(file):
            pass
        try:
            with open_file(old) as source:
                if source.execute(f"PRAGMA integrity_check({table})") != [("ok",)]:
                    continue
                copy_tables(source, file, [table], condition)
        except adbc_driver_manager.Error:
            continue
        found[table] = file
    return found


def _complete(
    part: Path, salvaged: Mapping[str, Path], backup: Backup, restored_by: str
) -> tuple[int | None, int, list[str]]:
    now = timestamp(utc_now())
    with open_file(part, statements=["PRAGMA foreign_keys = OFF"]) as connection:
        for table, file in salvaged.items():
            connection.attach(file, f"salvaged_{table}")
        with connection.transaction():
            # a backup of an older schema may not have them all
            known = [table for table in salvaged if connection.column_names(table)]
            carried_over = {table: _carry_over(connection, table) for table in known}
            unresolved = 0
            if "email_schedules" not in carried_over:
                unresolved = connection.change(
                    "UPDATE email_schedules SET status = 'processing', updated_at = ?"
                    f" WHERE {PRE_SCHEDULED_SQL} AND scheduled_send_date BETWEEN ? AND ?",
                    (now, backup.moment.astimezone(TIME_ZONE).date().isoformat(), today().isoformat()),
                )
            connection.execute(
                "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'email_schedules'", (_IDS_LEFT_OUT,)
            )
            connection.execute(
                "UPDATE planner_lock SET owner = NULL, run_id = NULL, acquired_at = NULL, heartbeat_at = NULL"
            )
            connection.execute(
                "INSERT INTO campaign_change_log (field_changed, new_value, changed_at, changed_by,"
                " requires_rescheduling) VALUES (?, ?, ?, ?, TRUE)",
                (RESTORED, backup.name, now, restored_by),
            )
            reason = f"the file was replaced by backup {backup.name}: make a new plan before anything is sent"
            hold(connection, reason, restored_by, now)
    lost = [name for name in _TO_CARRY_OVER if name not in carried_over and name != "email_schedules"]
    return carried_over.get("email_schedules"), unresolved, lost


def _carry_over(connection: Connection, table: str) -> int:
    """Take rows of the old file over, in the place of those that they contradict."""
    names = ", ".join(column.name for column in metadata.tables[table].columns)
    return connection.change(
        f"INSERT OR REPLACE INTO {table} ({names}) SELECT {names} FROM salvaged_{table}.{table}"
    )

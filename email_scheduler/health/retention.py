"""Deleting the audit that is older than it has to be kept; never a row of ``email_schedules``.

Rows leave a few at a time, with a pause in between, so that whoever sends need not wait.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from email_scheduler.config import SchedulerConfig
from email_scheduler.database import (
    COMPLETED,
    FAILED,
    PENDING_SQL,
    SQLITE,
    Connection,
    Turns,
    backend_of,
    connect,
    database_errors,
    database_path,
    retrying,
)

_BATCH_ROWS: Final = 2_000
_ARCHIVE: Final = "email_schedules_archive"


def _is_before(column: str) -> str:
    """Return SQL that tells whether the date part of a timestamp lies before a day; ``?`` is the day."""
    return f"substr(CAST({column} AS TEXT), 1, 10) < ?"


# Which rows of a table nobody needs any more once they are old; a table stands before what it refers to.
_EXPIRED: Final = {
    # the last plan is the one that newer ones are compared with
    "scheduler_checkpoints": f"status IN ('{COMPLETED}', '{FAILED}') AND id <> coalesce((SELECT id FROM"
    f" scheduler_checkpoints WHERE status = '{COMPLETED}' ORDER BY id DESC LIMIT 1), 0)"
    f" AND {_is_before('coalesce(completed_at, run_timestamp)')}",
    "config_versions": "valid_to IS NOT NULL AND id NOT IN (SELECT config_version_id FROM"
    f" scheduler_checkpoints WHERE config_version_id IS NOT NULL) AND {_is_before('valid_to')}",
    "followup_processing_log": _is_before("processed_at"),
    # the last change of the log tells what a plan has seen
    "campaign_change_log": f"NOT ({PENDING_SQL}) AND id < (SELECT max(id) FROM campaign_change_log)"
    f" AND {_is_before('changed_at')}",
    _ARCHIVE: _is_before("archived_at"),
}


@dataclass(frozen=True)
class Retention:
    """What deleting old rows did to a database.

    Attributes:
        rows: Rows deleted, by table.
        bytes_before: Size of the database, the write-ahead log included.
        bytes_after: The same afterwards. A file does not shrink: the room is used for new rows.
        reusable_bytes: Such room; None on a server, which does not tell.
    """

    rows: dict[str, int]
    bytes_before: int
    bytes_after: int
    reusable_bytes: int | None


def delete_expired(url: str, config: SchedulerConfig, today: date) -> Retention:
    """Delete the audit that is older than ``audit.audit_retention_days`` (``archive_retention_days``).

    Args:
        url: The organisation's database.
        config: Its configuration.
        today: Ages are counted back from this day.

    Raises:
        DatabaseError: The database cannot be read or written.
    """
    audit = config.audit
    days = dict.fromkeys(_EXPIRED, audit.audit_retention_days) | {_ARCHIVE: audit.archive_retention_days}
    with database_errors(url), connect(url, config) as connection:
        is_file = backend_of(url) == SQLITE
        before, _ = _size(connection, url, is_file)
        rows = {
            table: 0
            if days[table] is None
            else _delete(connection, config, table, _days_before(today, days[table]), is_file)
            for table in _EXPIRED
        }
        if any(rows.values()):
            connection.tidy()
        after, reusable = _size(connection, url, is_file)
    return Retention(rows, before, after, reusable)


def _days_before(today: date, days: int | None) -> str:
    try:
        return (today - timedelta(days=days or 0)).isoformat()
    except OverflowError:
        # before all days: nothing is that old
        return ""


def _delete(connection: Connection, config: SchedulerConfig, table: str, day: str, is_file: bool) -> int:
    turns, deleted = Turns(), 0
    while True:
        # looked for outside of the transaction, which keeps others from writing
        last = _last_of_batch(connection, table, day, is_file)
        connection.end_reading()
        if last is None:
            return deleted
        turns.begin()
        try:
            deleted += retrying(config)(_delete_batch, connection, table, day, last, is_file)
        finally:
            turns.end()


# ruff: noqa: S608 - put together from names and conditions of this module
def _last_of_batch(connection: Connection, table: str, day: str, is_file: bool) -> int | None:
    key = "rowid" if is_file else "1"
    order = " ORDER BY rowid" if is_file else ""
    batch = f"SELECT {key} AS position FROM {table} WHERE {_EXPIRED[table]}{order} LIMIT {_BATCH_ROWS}"
    ((last,),) = connection.execute(f"SELECT max(position) FROM ({batch}) AS expired", (day,))
    return None if last is None else int(last)


def _delete_batch(connection: Connection, table: str, day: str, last: int, is_file: bool) -> int:
    condition = _EXPIRED[table]
    parameters: tuple[object, ...] = (day,)
    if is_file:
        condition, parameters = f"rowid <= ? AND {condition}", (last, day)
    else:
        batch = f"SELECT ctid FROM {table} WHERE {condition} LIMIT {_BATCH_ROWS}"
        # rows of other partitions may stand at the same places
        condition, parameters = f"ctid = ANY(ARRAY({batch})) AND {condition}", (day, day)
    with connection.transaction():
        return len(connection.execute(f"DELETE FROM {table} WHERE {condition} RETURNING 1", parameters))


def _size(connection: Connection, url: str, is_file: bool) -> tuple[int, int | None]:
    if not is_file:
        ((size,),) = connection.execute("SELECT pg_database_size(current_database())")
        connection.end_reading()
        return int(size), None
    ((pages,),) = connection.execute("PRAGMA freelist_count")
    ((page_size,),) = connection.execute("PRAGMA page_size")
    connection.end_reading()
    path = database_path(url)
    log = path.with_name(f"{path.name}-wal")
    size = path.stat().st_size + (log.stat().st_size if log.exists() else 0)
    return size, int(pages) * int(page_size)

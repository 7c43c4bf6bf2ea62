"""Restoring a backup: the planner's rows become those of the backup, within the database that is there.

Nothing else changes. What the sending system has done stays done, whatever the backup says: a row of its own
always wins over a planned one, so that no email goes out twice. The file itself stays, and so do all
connections to it. All of it is one transaction that holds the write lock: no email can be claimed in between.
"""

# ruff: noqa: S608 - put together from names and conditions of this package

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from email_scheduler.config import SchedulerConfig
from email_scheduler.database.backups.backup_files import Backup
from email_scheduler.database.backups.copies import load_table
from email_scheduler.database.backups.make_backup import FOR_RESTORE, create_backup, unpacked
from email_scheduler.database.campaign_changes import RESTORED, without_logging
from email_scheduler.database.connections import (
    Connection,
    PostgresqlConnection,
    Row,
    SqliteConnection,
    append_rows,
    backend_of,
    connect,
    database_errors,
    display_url,
    read_frame,
    read_frames,
    timestamp,
    utc_now,
)
from email_scheduler.database.holds import hold, read_hold
from email_scheduler.database.inputs import HISTORY_SQL
from email_scheduler.database.lock import PlannerLock, planner_lock
from email_scheduler.database.publishing.planned_rows import STORED_PLANNER_ROWS, with_event_date
from email_scheduler.database.schema_version import require_current_schema
from email_scheduler.database.tables import (
    PLANNER_ROW_SQL,
    PLANNER_TYPE_SQL,
    SENDER_ROW_SQL,
    contact_issues,
    email_schedules,
    metadata,
)
from email_scheduler.errors import BackupError
from email_scheduler.planning import (
    CONTACT_CAMPAIGNS_TABLE,
    HISTORY_TABLE,
    PLANNER_ROWS,
    is_answered,
    read_history,
)

_OWN_SQL: Final = f"{PLANNER_ROW_SQL} AND {PLANNER_TYPE_SQL}"
_STAGED: Final = "restored_rows"
_JSON_COLUMNS: Final = {"metadata"}
# Records that only grow: those that are missing come back. Configurations first, checkpoints refer to them.
_RECORDS: Final = ("config_versions", "scheduler_checkpoints")
_NEEDED: Final = ("email_schedules", "contact_campaigns", "contact_issues", "campaign_change_log", *_RECORDS)

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Restored:
    """What restoring did.

    Attributes:
        name: The backup.
        kept: The backup of what was there before.
        planned: The planner's rows that are there now.
        returned: Of these, rows that came back.
        left: The planner's rows that were there before and are not any more; they are in the archive.
        answered: The planner's rows of the backup that did not come back: the sending system has taken them,
            or something that answers them, since.
        recovered: Rows of the sending system that had been lost, and came back.
        is_held: Whether the organisation is held since, because it was not before.
    """

    name: str
    kept: str
    planned: int
    returned: int
    left: int
    answered: int
    recovered: int
    is_held: bool


def restore_backup(
    url: str, config: SchedulerConfig, directory: Path, backup: Backup, *, restored_by: str
) -> Restored:
    """Check a backup, keep what is there in another one, and restore it.

    The organisation is held from then on: the plan was proved for the day that it was made for, not for
    today.

    Args:
        url: The database.
        config: The organisation's configuration.
        directory: Where the backup lies.
        backup: The backup.
        restored_by: Who restores it.

    Raises:
        BackupError: It is damaged, or of another kind of database, or of a newer version of this program.
        PlannerLockedError: A plan is being published.
        DatabaseError: The database cannot be used; nothing was changed.
    """
    require_current_schema(url, config)
    if backup.kind != backend_of(url):
        raise BackupError(
            f"backup {backup.name} is of a {backup.kind} database; {display_url(url)} is of another kind"
        )
    patience = config.processing.model_copy(update={"lock_timeout_seconds": 0})
    impatient = config.model_copy(update={"processing": patience})
    run_id = f"restore-{uuid4().hex[:12]}"
    with (
        unpacked(directory, backup) as content,
        planner_lock(url, impatient, run_id) as lock,
    ):
        kept = create_backup(url, config, made_for=FOR_RESTORE)
        lock.heartbeat()
        with database_errors(url), connect(url, config) as connection:
            return _Restoration(connection, config, lock, backup, restored_by).run(content, kept)


class _Restoration:
    """One backup on its way into one database."""

    def __init__(
        self,
        connection: Connection,
        config: SchedulerConfig,
        lock: PlannerLock,
        backup: Backup,
        restored_by: str,
    ) -> None:
        self._connection = connection
        self._config = config
        self._lock = lock
        self._backup = backup
        self._restored_by = restored_by
        self._now = timestamp(utc_now())
        is_attached = isinstance(connection, SqliteConnection)
        self._source = {name: f"backup.{name}" if is_attached else f"backup_{name}" for name in _NEEDED}

    def run(self, content: Path, kept: Backup) -> Restored:
        """Restore everything in one transaction."""
        connection = self._connection
        if isinstance(connection, SqliteConnection):
            connection.attach(content, "backup")
        with connection.transaction():
            self._lock.renew(connection)
            if isinstance(connection, PostgresqlConnection):
                connection.execute(
                    "LOCK TABLE email_schedules, contact_campaigns IN SHARE ROW EXCLUSIVE MODE"
                )
                for name, target in self._source.items():
                    load_table(connection, content, name, target)
            result = self._restore_emails(kept)
            with without_logging(connection, self._restored_by):
                self._restore_target_statuses()
            self._restore_issues()
            for name in _RECORDS:
                self._insert(name, "TRUE")
            self._ask_for_a_plan()
            is_held = self._hold()
            if isinstance(connection, PostgresqlConnection):
                for name in ("email_schedules", *_RECORDS):
                    connection.number_beyond(name)
        connection.tidy()
        return replace(result, is_held=is_held)

    def _restore_emails(self, kept: Backup) -> Restored:
        emails = self._source["email_schedules"]
        self._connection.stage(_STAGED, pa.table({"id": pa.array(self._answered())}), email_schedules.name)
        comes_back = f"{_OWN_SQL} AND id NOT IN (SELECT id FROM {_STAGED})"
        stays = f"SELECT 1 FROM {emails} AS b WHERE b.id = email_schedules.id AND {comes_back}"
        left = self._archive(f"NOT EXISTS ({stays})")
        # what is left is in the backup, word for word, so that it is in nobody's way
        same = " AND ".join(
            f"{_comparable(f'b.{name}')} IS NOT DISTINCT FROM {_comparable(f'email_schedules.{name}')}"
            for name in self._columns("email_schedules")
        )
        self._execute(f"DELETE FROM email_schedules WHERE {_OWN_SQL} AND NOT EXISTS ({stays} AND {same})")
        recovered = self._insert("email_schedules", SENDER_ROW_SQL)
        returned = self._insert("email_schedules", comes_back)
        planned = self._count("email_schedules", _OWN_SQL)
        return Restored(
            name=self._backup.name,
            kept=kept.name,
            planned=planned,
            returned=returned,
            left=left,
            answered=self._count(emails, _OWN_SQL) - planned,
            recovered=recovered,
            is_held=False,
        )

    def _answered(self) -> Ids:
        """Return the ids of the planner's rows of the backup that the sending system has made needless.

        By the rule by which publishing drops rows of a plan: also where a date was corrected since, so that
        the email that went out is about another day than the one of the backup.
        """
        connection, emails = self._connection, self._source["email_schedules"]
        is_new = (
            f"NOT EXISTS (SELECT 1 FROM {emails} AS b WHERE b.id = email_schedules.id AND {SENDER_ROW_SQL})"
        )
        taken = read_history(
            read_frame(
                connection,
                HISTORY_TABLE,
                f"email_schedules WHERE {SENDER_ROW_SQL} AND {is_new}",
                sql=HISTORY_SQL,
            )
        )
        parts = [
            with_event_date(rows)
            for rows in read_frames(connection, STORED_PLANNER_ROWS, f"{emails} WHERE {_OWN_SQL}")
        ]
        if not parts or taken.empty:
            return np.empty(0, np.int64)
        planned = PLANNER_ROWS.check(append_rows(parts))
        targets = read_frame(connection, CONTACT_CAMPAIGNS_TABLE, "contact_campaigns")
        # an email of last year answers those of a yearly campaign, too: the next plan brings them back
        is_needless = is_answered(planned, taken, targets, [], self._config)
        ids: Ids = planned["id"].to_numpy()[is_needless]
        return ids

    def _restore_target_statuses(self) -> None:
        """Give targets the status that they had; what is final by now stays."""
        self._execute(
            "UPDATE contact_campaigns SET status = b.status, updated_at = ?"
            f" FROM {self._source['contact_campaigns']} AS b WHERE b.id = contact_campaigns.id"
            " AND contact_campaigns.status IN ('pending', 'scheduled')"
            " AND b.status IN ('pending', 'scheduled')"
            " AND b.status <> contact_campaigns.status",
            (self._now,),
        )

    def _restore_issues(self) -> None:
        names = ", ".join(self._columns(contact_issues.name))
        self._execute("DELETE FROM contact_issues")
        self._execute(
            f"INSERT INTO contact_issues ({names}) SELECT {names} FROM {self._source['contact_issues']}"
        )

    def _ask_for_a_plan(self) -> None:
        """Make changes pending again that the restored plan has not seen, and record that it was restored."""
        log = self._source["campaign_change_log"]
        self._execute(
            "UPDATE campaign_change_log SET processed_run_id = NULL WHERE processed_run_id IS NOT NULL"
            " AND coalesce(requires_rescheduling, FALSE) AND NOT EXISTS (SELECT 1 FROM"
            f" {log} AS b WHERE b.id = campaign_change_log.id AND b.processed_run_id IS NOT NULL)"
        )
        self._execute(
            "INSERT INTO campaign_change_log (field_changed, new_value, changed_at, changed_by,"
            " requires_rescheduling) VALUES (?, ?, ?, ?, TRUE)",
            (RESTORED, self._backup.name, self._now, self._restored_by),
        )

    def _hold(self) -> bool:
        if read_hold(self._connection) is not None:
            return False
        reason = (
            f"backup {self._backup.name} was restored: make a new plan before anything is sent, then release"
        )
        hold(self._connection, reason, self._restored_by, self._now)
        return True

    def _archive(self, condition: str) -> int:
        """Put planned rows that leave into the archive, and return how many there are."""
        checkpoints = self._source["scheduler_checkpoints"]
        dates = self._execute(f"SELECT max(as_of_date) FROM {checkpoints} WHERE status = 'completed'")
        names = ", ".join(self._columns("email_schedules"))
        leaving = f"email_schedules WHERE {_OWN_SQL} AND {condition}"
        self._execute(
            f"INSERT INTO email_schedules_archive ({names}, archived_at, as_of_date)"
            f" SELECT {names}, ?, ? FROM {leaving}",
            (self._now, dates[0][0]),
        )
        ((count,),) = self._execute(f"SELECT count(*) FROM {leaving}")
        return int(count)

    def _insert(self, table: str, condition: str) -> int:
        """Insert rows of the backup, unless one that is there is in the way; return how many came."""
        names = ", ".join(self._columns(table))
        before = self._count(table, "TRUE")
        self._execute(
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {self._source[table]} WHERE {condition}"
            " ON CONFLICT DO NOTHING"
        )
        return self._count(table, "TRUE") - before

    def _columns(self, table: str) -> list[str]:
        """Return the columns of a table that the backup has; one of an older version may lack some."""
        names = [column.name for column in metadata.tables[table].columns]
        if not isinstance(self._connection, SqliteConnection):
            return names
        info = self._execute("SELECT name FROM pragma_table_info(?, 'backup')", (table,))
        present = {str(name) for (name,) in info}
        return [name for name in names if name in present]

    def _count(self, source: str, condition: str) -> int:
        ((count,),) = self._execute(f"SELECT count(*) FROM {source} WHERE {condition}")
        return int(count)

    def _execute(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        return self._connection.execute(statement, parameters)


def _comparable(column: str) -> str:
    # PostgreSQL does not compare JSON
    return f"CAST({column} AS TEXT)" if column.split(".")[1] in _JSON_COLUMNS else column

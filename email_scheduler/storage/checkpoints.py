"""Writing the record of a run (``scheduler_checkpoints``): started, in_progress, then completed or failed."""

import json
from datetime import date
from typing import Final

from email_scheduler.planning.figures import FiguresOfPlan
from email_scheduler.storage.changes import Changes
from email_scheduler.storage.connection import Connection
from email_scheduler.storage.faults import told
from email_scheduler.storage.runs import COMPLETED, FAILED, IN_PROGRESS, STARTED, document_of

_OPEN_SQL: Final = f"status IN ('{STARTED}', '{IN_PROGRESS}')"
_ABANDONED: Final = "the run ended without saying how: its process was stopped, or it lost the planner lock"


def close_abandoned_checkpoints(connection: Connection, now: str) -> None:
    """Close what earlier runs left open as failed; their summary tells what they had written.

    Only for the holder of the planner lock: no other run can be alive then.
    """
    connection.execute(
        f"UPDATE scheduler_checkpoints SET status = '{FAILED}', error_message = ?, completed_at = ? "  # noqa: S608
        f"WHERE {_OPEN_SQL}",
        (_ABANDONED, now),
    )


def start_checkpoint(
    connection: Connection,
    run_id: str,
    *,
    as_of: date,
    config_version_id: int,
    contacts_checksum: str,
    contacts_processed: int,
    invalid_contacts: int,
    now: str,
) -> None:
    """Record that a run has started; a run that is tried again under its id begins its record anew."""
    connection.execute("DELETE FROM scheduler_checkpoints WHERE scheduler_run_id = ?", (run_id,))
    connection.execute(
        "INSERT INTO scheduler_checkpoints (run_timestamp, scheduler_run_id, as_of_date, config_version_id, "
        "contacts_checksum, contacts_processed, invalid_contacts, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            now,
            run_id,
            as_of.isoformat(),
            config_version_id,
            contacts_checksum,
            contacts_processed,
            invalid_contacts,
            STARTED,
        ),
    )


def begin_writing(connection: Connection, run_id: str, schedules_before_checksum: str) -> None:
    """Record that the run now writes, and what it found."""
    connection.execute(
        f"UPDATE scheduler_checkpoints SET status = '{IN_PROGRESS}', schedules_before_checksum = ? "  # noqa: S608
        "WHERE scheduler_run_id = ?",
        (schedules_before_checksum, run_id),
    )


def record_progress(connection: Connection, run_id: str, changes: Changes) -> None:
    """Record what the run has written so far; to be called in the transaction that writes it."""
    connection.execute(
        "UPDATE scheduler_checkpoints SET summary = ? WHERE scheduler_run_id = ?",
        (_json(changes), run_id),
    )


def complete_checkpoint(
    connection: Connection,
    run_id: str,
    *,
    schedules_after_checksum: str,
    emails_scheduled: int,
    emails_skipped: int,
    changes: Changes,
    figures: FiguresOfPlan,
    now: str,
) -> None:
    """Record that the plan is published."""
    connection.execute(
        f"UPDATE scheduler_checkpoints SET status = '{COMPLETED}', schedules_after_checksum = ?, "  # noqa: S608
        "emails_scheduled = ?, emails_skipped = ?, summary = ?, completed_at = ? WHERE scheduler_run_id = ?",
        (schedules_after_checksum, emails_scheduled, emails_skipped, _json(changes, figures), now, run_id),
    )


def fail_checkpoint(connection: Connection, run_id: str, error: BaseException, now: str) -> None:
    """Record that the run failed and why, unless somebody has closed its record in the meantime."""
    connection.execute(
        f"UPDATE scheduler_checkpoints SET status = '{FAILED}', error_message = ?, completed_at = ? "  # noqa: S608
        f"WHERE scheduler_run_id = ? AND {_OPEN_SQL}",
        (told(error), now, run_id),
    )


def _json(changes: Changes, figures: FiguresOfPlan | None = None) -> str:
    return json.dumps(document_of(changes, figures), ensure_ascii=False, separators=(",", ":"))

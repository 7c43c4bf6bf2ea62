"""What is kept of the plans of one day: the records of their runs. Nothing is counted anew."""

import json
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import UsageError
from email_scheduler.storage.checkpoints import COMPLETED, FAILED
from email_scheduler.storage.connection import Connection
from email_scheduler.storage.engine import connect
from email_scheduler.storage.faults import database_errors
from email_scheduler.storage.holds import Hold, read_hold
from email_scheduler.storage.schema import require_current_schema
from email_scheduler.storage.tables import PRE_SCHEDULED_SQL, SENDER_ROW_SQL, SENDER_ROWS_INDEX
from email_scheduler.storage.urls import display_url

_SHOWN_DATES: Final = 10


@dataclass(frozen=True)
class PublishedRun:
    """One run that has published a plan.

    Attributes:
        run_id: The run.
        completed_at: When it was done, ISO 8601; None where that is not on record.
        contacts: Contacts read, valid or not.
        invalid_contacts: Of these, not valid.
        planned, skipped: Rows of the plan.
        config_version: The row of ``config_versions`` that it was made with.
        config_since: From when that version counts, ISO 8601.
        config_by: Who planned with it first.
        summary: What is kept of it: see ``scheduler_checkpoints.summary``.
    """

    run_id: str
    completed_at: str | None
    contacts: int
    invalid_contacts: int
    planned: int
    skipped: int
    config_version: int | None
    config_since: str | None
    config_by: str | None
    summary: dict[str, Any]


@dataclass(frozen=True)
class SendersDay:
    """How far the sending system is today.

    Attributes:
        due: Emails of today that it may take now; none while the organisation is held.
        waiting: Emails of today that are planned and not taken, whether or not they are due.
        overdue: Emails of days that are over that it has not taken.
        taken: Emails of today that it has taken, by status.
    """

    due: int
    waiting: int
    overdue: int
    taken: dict[str, int]


@dataclass(frozen=True)
class PublishedDay:
    """What is kept of the plans for one date.

    Attributes:
        runs: The runs that have published one, the last one last; at least one.
        failed_runs: Runs that began to publish one and failed.
        hold: Why nothing of the organisation is due now; None: it is not held.
        sender: How far the sending system is; None: the date is not today.
    """

    runs: list[PublishedRun]
    failed_runs: int
    hold: Hold | None
    sender: SendersDay | None


def read_published_day(url: str, config: SchedulerConfig, as_of: date, today: date) -> PublishedDay:
    """Read what is kept of the plans for a date.

    Args:
        url: The organisation's database.
        config: Its configuration.
        as_of: The date that the plans were made for.
        today: The date now.

    Raises:
        DatabaseError: The database cannot be read.
        UsageError: No plan for the date is kept; the message names the dates of those that are.
    """
    require_current_schema(url, config)
    with database_errors(url), connect(url, config) as connection:
        runs = _runs(connection, as_of)
        if not runs:
            raise UsageError(
                f"database {display_url(url)}: no plan for {as_of} is kept; {_kept_dates(connection)}"
            )
        ((failed,),) = connection.execute(
            f"SELECT count(*) FROM scheduler_checkpoints WHERE status = '{FAILED}' AND as_of_date = ?",  # noqa: S608
            (as_of.isoformat(),),
        )
        return PublishedDay(
            runs,
            int(failed),
            read_hold(connection),
            _sender(connection, today) if as_of == today else None,
        )


def _runs(connection: Connection, as_of: date) -> list[PublishedRun]:
    rows = connection.execute(
        "SELECT run.scheduler_run_id, CAST(run.completed_at AS TEXT), run.contacts_processed,"  # noqa: S608
        " run.invalid_contacts, run.emails_scheduled, run.emails_skipped, run.config_version_id,"
        " CAST(version.valid_from AS TEXT), version.created_by, run.summary FROM scheduler_checkpoints AS run"
        " LEFT JOIN config_versions AS version ON version.id = run.config_version_id"
        f" WHERE run.status = '{COMPLETED}' AND run.as_of_date = ? ORDER BY run.id",
        (as_of.isoformat(),),
    )
    return [
        PublishedRun(
            run_id=str(run_id),
            completed_at=completed_at,
            contacts=int(contacts or 0),
            invalid_contacts=int(invalid or 0),
            planned=int(planned or 0),
            skipped=int(skipped or 0),
            config_version=None if version is None else int(version),
            config_since=since,
            config_by=by,
            summary=json.loads(summary) if summary else {},
        )
        for run_id, completed_at, contacts, invalid, planned, skipped, version, since, by, summary in rows
    ]


def _kept_dates(connection: Connection) -> str:
    rows = connection.execute(
        f"SELECT DISTINCT CAST(as_of_date AS TEXT) FROM scheduler_checkpoints WHERE status = '{COMPLETED}'"  # noqa: S608
        " AND as_of_date IS NOT NULL ORDER BY 1 DESC"
    )
    days = [str(day)[:10] for (day,) in rows]
    if not days:
        return "none is: email-scheduler plan makes one"
    shown = ", ".join(reversed(days[:_SHOWN_DATES]))
    some = f"the last {_SHOWN_DATES} of {len(days)} are " if len(days) > _SHOWN_DATES else ""
    return f"accepted is the date of a kept plan: {some}{shown}"


def _sender(connection: Connection, today: date) -> SendersDay:
    day = today.isoformat()
    ((due,),) = connection.execute("SELECT count(*) FROM due_emails WHERE scheduled_send_date = ?", (day,))
    ((waiting, overdue),) = connection.execute(
        "SELECT sum(CASE WHEN scheduled_send_date = ? THEN 1 ELSE 0 END),"  # noqa: S608
        " sum(CASE WHEN scheduled_send_date < ? THEN 1 ELSE 0 END) FROM email_schedules"
        f" WHERE {PRE_SCHEDULED_SQL} AND scheduled_send_date <= ?",
        (day, day, day),
    )
    # the actual moment of sending says which day it was, if there is one (section 1 of the rules)
    moment = "coalesce(CAST(actual_send_datetime AS TEXT), CAST(scheduled_send_date AS TEXT))"
    taken = connection.execute(
        f"SELECT status, count(*) FROM email_schedules{connection.indexed_by(SENDER_ROWS_INDEX)}"  # noqa: S608
        f" WHERE {SENDER_ROW_SQL} AND substr({moment}, 1, 10) = ? GROUP BY status ORDER BY status",
        (day,),
    )
    return SendersDay(
        due=int(due),
        waiting=int(waiting or 0),
        overdue=int(overdue or 0),
        taken={str(status): int(count) for status, count in taken},
    )

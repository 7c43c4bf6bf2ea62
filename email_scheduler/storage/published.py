"""What is kept of the plans of one day: the records of their runs. Nothing is counted anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import UsageError
from email_scheduler.storage.config_versions import ConfigVersion, read_config_version
from email_scheduler.storage.connection import Connection
from email_scheduler.storage.engine import connect
from email_scheduler.storage.faults import database_errors
from email_scheduler.storage.holds import Hold, read_hold
from email_scheduler.storage.runs import COMPLETED, FAILED, Kept, Run, read_kept, read_runs
from email_scheduler.storage.schema import require_current_schema
from email_scheduler.storage.tables import PRE_SCHEDULED_SQL, SENDER_ROW_SQL, SENDER_ROWS_INDEX
from email_scheduler.storage.urls import display_url

_SHOWN_DATES: Final = 10


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
        kept: What is kept of each.
        config: The configuration of the last one; None: it is not kept.
        failed_runs: Runs that began to publish one and failed.
        hold: Why nothing of the organisation is due now; None: it is not held.
        sender: How far the sending system is; None: the date is not today.
    """

    runs: list[Run]
    kept: list[Kept]
    config: ConfigVersion | None
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
        all_runs = read_runs(connection)
        runs = [run for run in all_runs if run.status == COMPLETED and run.as_of == as_of.isoformat()]
        if not runs:
            raise UsageError(
                f"database {display_url(url)}: no plan for {as_of} is kept; {_kept_dates(all_runs)}"
            )
        version = runs[-1].config_version
        return PublishedDay(
            runs=runs,
            kept=[read_kept(connection, run) for run in runs],
            config=None if version is None else read_config_version(connection, version),
            failed_runs=sum(run.status == FAILED and run.as_of == as_of.isoformat() for run in all_runs),
            hold=read_hold(connection),
            sender=_sender(connection, today) if as_of == today else None,
        )


def _kept_dates(runs: Sequence[Run]) -> str:
    days = sorted({run.as_of for run in runs if run.status == COMPLETED and run.as_of}, reverse=True)
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

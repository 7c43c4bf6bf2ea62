"""Importing what the older program has sent, so that nothing of it is sent again."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from sqlalchemy import cast, func, insert, literal, select, update
from sqlalchemy.engine import Connection

from email_scheduler.clock import new_run_id, today
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.operations.campaigns.session import Session, connected, current_user, transaction
from email_scheduler.operations.campaigns.values import as_stored
from email_scheduler.operations.csv_files.bad_lines import BadLines, BadLinesError
from email_scheduler.operations.cutover.history_stage import (
    ADDED,
    NOT_SENT,
    fill_stage,
    find_present,
    stage,
)
from email_scheduler.operations.rate_increases import ensure_older_instance, most_used
from email_scheduler.storage.schema import require_current_schema
from email_scheduler.storage.tables import email_schedules

_COPIED: Final = (
    "contact_id",
    "email_type",
    "status",
    "campaign_instance_id",
    "email_template",
    "event_year",
    "event_month",
    "event_day",
)


@dataclass(frozen=True)
class HistoryImport:
    """What became of the lines of a file.

    Attributes:
        run_id: In ``scheduler_run_id`` of the rows that were added.
        counts: Lines by what became of them: added, there_already, repeated, not_sent.
        added: Rows that were added, by email type.
        first_date, last_date: Of the rows that were added, ISO 8601; None: there are none.
        bad_lines: Those that could not be taken.
    """

    run_id: str
    counts: dict[str, int]
    added: dict[str, int]
    first_date: str | None
    last_date: str | None
    bad_lines: BadLines = field(default_factory=BadLines)


def import_history(
    url: str,
    config: SchedulerConfig,
    path: Path,
    *,
    as_of: date | None = None,
    changed_by: str | None = None,
    skip_bad: bool = False,
    is_dry_run: bool = False,
) -> HistoryImport:
    """Add the emails of a CSV file to ``email_schedules`` as rows of the sending system, in one transaction.

    An email is the same as one that is there if contact, type, campaign instance and day are: a second time
    nothing is added. The rows have no ideal date, like all of the older program, so that none can stand in a
    plan's way. Emails of the type ``rate_increase`` become those of the instance that
    ``migrate_rate_increases`` makes.

    Args:
        url: The organisation's database, initialised.
        config: Its configuration.
        path: The file; its columns: ``email_lines.read_emails``.
        as_of: The last day on which an email can have been sent; None: today.
        changed_by: Who does it, if a campaign instance is made; None: the operating system's user.
        skip_bad: Take the other lines if some cannot be taken.
        is_dry_run: Return what would become of them; change nothing.

    Raises:
        BadLinesError: Some lines cannot be taken; nothing was changed.
        DatabaseError: The database cannot be used; nothing was changed.
        UsageError: The file cannot be read.
    """
    require_current_schema(url, config)
    bad_lines = BadLines()
    run_id = new_run_id(today(), "import")
    with connected(url, config, is_bulky=True) as connection:
        not_sent = fill_stage(connection, path, bad_lines, as_of or today())
        if bad_lines and not skip_bad:
            raise BadLinesError(str(path), bad_lines, "line")
        with transaction(connection, changed_by or current_user(), is_dry_run=is_dry_run) as session:
            _place_rate_increases(session, config)
            find_present(connection)
            _add(session, run_id)
            counts, added, first_date, last_date = _outcomes(connection)
    return HistoryImport(run_id, counts | {NOT_SENT: not_sent}, added, first_date, last_date, bad_lines)


def _place_rate_increases(session: Session, config: SchedulerConfig) -> None:
    """Give rate increases of the older program the instance that was not there yet."""
    without = stage.c.campaign_instance_id == 0
    templates = session.connection.execute(select(stage.c.email_template).where(without)).scalars().all()
    if templates:
        instance = ensure_older_instance(session, config, most_used(templates))
        session.connection.execute(update(stage).where(without).values(campaign_instance_id=instance.id))


def _add(session: Session, run_id: str) -> None:
    emails = email_schedules.c
    now = session.now
    values = {
        "scheduled_send_date": cast(stage.c.send_date, emails.scheduled_send_date.type),
        "actual_send_datetime": cast(stage.c.sent_at, emails.actual_send_datetime.type),
        "scheduler_run_id": literal(run_id),
        "created_at": as_stored(now, emails.created_at.type),
        "updated_at": as_stored(now, emails.updated_at.type),
    }
    new = select(*(stage.c[name] for name in _COPIED), *values.values()).where(stage.c.outcome.is_(None))
    session.connection.execute(
        insert(email_schedules).from_select([*_COPIED, *values], new.order_by(stage.c.line))
    )


def _outcomes(connection: Connection) -> tuple[dict[str, int], dict[str, int], str | None, str | None]:
    """Return lines by what became of them, added ones by type, and the first and last day of these."""
    outcome = func.coalesce(stage.c.outcome, ADDED)
    counted: Any = select(outcome, func.count()).group_by(outcome).order_by(outcome)
    counts = {str(name): int(count) for name, count in connection.execute(counted)}
    is_added = stage.c.outcome.is_(None)
    by_type = select(stage.c.email_type, func.count()).where(is_added).group_by(stage.c.email_type)
    types = connection.execute(by_type.order_by(stage.c.email_type))
    added = {str(name): int(count) for name, count in types}
    dates = select(func.min(stage.c.send_date), func.max(stage.c.send_date)).where(is_added)
    first_date, last_date = connection.execute(dates).one()
    return counts, added, first_date, last_date

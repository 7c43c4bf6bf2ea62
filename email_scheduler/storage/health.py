"""What is known of how an organisation does: counts, sizes and moments, never what a row says of a person.

Each figure is read over an index, or from the record of the last plan. What the sending system did is one
pass over its rows: two seconds for a million rows, half of them its own.
"""

import shutil
from datetime import date, datetime, timedelta
from typing import Any, Final

from email_scheduler.clock import TIME_ZONE
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.exclusions import EXCLUSION_REASONS
from email_scheduler.planning.registry.email_types import FOLLOW_UP_TYPES, PRE_SCHEDULED
from email_scheduler.storage.connection import Connection
from email_scheduler.storage.engine import connect
from email_scheduler.storage.faults import database_errors
from email_scheduler.storage.health_figures import (
    DAYS_AHEAD,
    AheadFigures,
    DatabaseFigures,
    HealthFigures,
    PlanFigures,
    SenderFigures,
)
from email_scheduler.storage.holds import read_hold
from email_scheduler.storage.moments import read_moment
from email_scheduler.storage.runs import FAILED, last_published, read_kept, read_runs
from email_scheduler.storage.schema import require_current_schema
from email_scheduler.storage.tables import PRE_SCHEDULED_SQL, SENDER_ROW_SQL, SENDER_ROWS_INDEX, metadata
from email_scheduler.storage.urls import SQLITE, backend_of, database_path
from email_scheduler.storage.watch import impatient

_RECENT: Final = timedelta(hours=24)
_MOST_FINDINGS: Final = 3
# Looking at these takes a moment, and an unreadable file shows in one of them as a rule.
_SMALL_TABLES: Final = (
    "scheduler_checkpoints",
    "config_versions",
    "campaign_types",
    "campaign_instances",
    "planner_lock",
)


def read_health(
    url: str, config: SchedulerConfig, now: datetime, *, is_thorough: bool = False
) -> HealthFigures:
    """Read the figures of an organisation.

    Args:
        url: Its database.
        config: Its configuration.
        now: The time of day, with its time zone.
        is_thorough: Check all of a SQLite file, which reads it as a whole.

    Raises:
        DatabaseError: The database cannot be read, or has another schema than this package.
    """
    settings = impatient(config)
    require_current_schema(url, settings)
    with database_errors(url), connect(url, settings) as connection:
        is_file = backend_of(url) == SQLITE
        indexes = connection.index_names()
        damage = _sqlite_damage(connection, url, is_thorough) if is_file else _server_damage(connection)
        hold = read_hold(connection)
        return HealthFigures(
            plan=_plan(connection, now),
            sender=_sender(connection, config, now, is_file=is_file, has_index=SENDER_ROWS_INDEX in indexes),
            ahead=_ahead(connection, now.astimezone(TIME_ZONE).date()),
            database=_database(connection, url, is_file, sorted(_expected_indexes() - indexes), damage),
            contact_issues={
                str(issue): int(count)
                for issue, count in connection.execute(
                    "SELECT issue, count(*) FROM contact_issues GROUP BY issue ORDER BY issue"
                )
            },
            held_since=(hold and hold.held_at) or None,
        )


def _expected_indexes() -> set[str]:
    return {str(index.name) for table in metadata.tables.values() for index in table.indexes}


def _plan(connection: Connection, now: datetime) -> PlanFigures | None:
    runs = read_runs(connection)
    last = last_published(runs)
    if last is None:
        return None
    kept = read_kept(connection, last)
    planned = {} if kept.rows is None else kept.rows.where(reason=PRE_SCHEDULED).counts_by("email_type")
    return PlanFigures(
        as_of_date=last.as_of,
        age_hours=_hours_since(last.completed_at, now),
        failed_since=sum(run.status == FAILED and run.number > last.number for run in runs),
        contacts=last.contacts,
        invalid_contacts=last.invalid_contacts,
        emails_planned=last.planned,
        emails_skipped=last.skipped,
        stopped_by_windows=None if kept.rows is None else kept.rows.where(reason=EXCLUSION_REASONS).total,
        daily_cap=kept.daily_cap,
        follow_ups={name: planned.get(name, 0) for name in FOLLOW_UP_TYPES},
    )


def _hours_since(text: str | None, now: datetime) -> float | None:
    moment = read_moment(text)
    return None if moment is None else round((now - moment).total_seconds() / 3600, 2)


def _sender(
    connection: Connection, config: SchedulerConfig, now: datetime, *, is_file: bool, has_index: bool
) -> SenderFigures:
    health = config.health
    recent = _is_since("updated_at", now - _RECENT, is_file=is_file)
    fresh = _is_since("updated_at", now - timedelta(hours=health.stuck_after_hours), is_file=is_file)
    is_processing, is_outcome = "status = 'processing'", "status IN ('sent', 'delivered', 'failed')"
    is_failed = "status = 'failed'"
    hint = connection.indexed_by(SENDER_ROWS_INDEX) if has_index else ""
    # a claim without a time is as old as can be
    ((processing, stuck, outcomes, failed),) = connection.execute(
        f"SELECT {_count(is_processing)},"  # noqa: S608 - put together from conditions of this module
        f" {_count(f'{is_processing} AND NOT coalesce({fresh}, FALSE)')},"
        f" {_count(f'{is_outcome} AND {recent}')}, {_count(f'{is_failed} AND {recent}')}"
        f" FROM email_schedules{hint} WHERE {SENDER_ROW_SQL}"
    )
    return SenderFigures(
        untaken=_untaken(connection, config, now, is_file=is_file),
        processing=int(processing or 0),
        stuck=int(stuck or 0),
        outcomes_24h=int(outcomes or 0),
        failed_24h=int(failed or 0),
    )


def _untaken(connection: Connection, config: SchedulerConfig, now: datetime, *, is_file: bool) -> int:
    local = now.astimezone(TIME_ZONE)
    latest = local - timedelta(hours=config.health.untaken_after_hours)
    today = local.date().isoformat()
    condition, parameters = "scheduled_send_date < ?", [today, today]
    # before the day has that many hours, none of its emails is late
    if latest.date() == local.date():
        # a plan may bring emails for the same day at any time
        is_new = _is_since("updated_at", latest, is_file=is_file)
        condition += f" OR coalesce(scheduled_send_time, '') <= ? AND NOT coalesce({is_new}, FALSE)"
        parameters.append(f"{latest:%H:%M:%S}")
    ((count,),) = connection.execute(
        f"SELECT count(*) FROM due_emails WHERE scheduled_send_date <= ? AND ({condition})",  # noqa: S608
        parameters,
    )
    return int(count)


def _is_since(column: str, moment: datetime, *, is_file: bool) -> str:
    """Return SQL: a timestamp is not before a moment. One without an offset counts as US Central."""
    if not is_file:
        return f"{column} >= TIMESTAMPTZ '{moment.isoformat()}'"
    offset = moment.astimezone(TIME_ZONE).utcoffset() or timedelta()
    has_offset = f"({column} GLOB '*[0-9][+-][0-9][0-9]:[0-9][0-9]' OR {column} GLOB '*Z')"
    seconds = (
        f"CAST(strftime('%s', {column}) AS INTEGER)"
        f" - (CASE WHEN {has_offset} THEN 0 ELSE {int(offset.total_seconds())} END)"
    )
    # the date alone tells of nearly all rows, and costs next to nothing
    day = (moment - timedelta(days=2)).date().isoformat()
    return f"({column} >= '{day}' AND {seconds} >= {int(moment.timestamp())})"


def _count(condition: str) -> str:
    return f"sum(CASE WHEN {condition} THEN 1 ELSE 0 END)"


def _ahead(connection: Connection, today: date) -> AheadFigures:
    rows = connection.execute(
        "SELECT CAST(scheduled_send_date AS TEXT), count(*),"  # noqa: S608
        f" {_count('ideal_send_date < ?')} FROM email_schedules"
        f" WHERE {PRE_SCHEDULED_SQL} AND scheduled_send_date < ? GROUP BY scheduled_send_date",
        (today.isoformat(), (today + timedelta(days=DAYS_AHEAD)).isoformat()),
    )
    volume = {str(day): int(count) for day, count, _ in rows if str(day) >= today.isoformat()}
    peak_date = max(volume, key=lambda day: volume[day], default=None)
    return AheadFigures(
        backlog=sum(int(late or 0) for _, _, late in rows),
        average=round(sum(volume.values()) / DAYS_AHEAD, 1),
        peak=volume[peak_date] if peak_date is not None else 0,
        peak_date=peak_date,
    )


def _database(
    connection: Connection, url: str, is_file: bool, missing: list[str], damage: list[str]
) -> DatabaseFigures:
    if not is_file:
        ((size,),) = connection.execute("SELECT pg_database_size(current_database())")
        return DatabaseFigures(int(size), None, None, None, missing, damage)
    path = database_path(url)
    log = path.with_name(f"{path.name}-wal")
    disk = shutil.disk_usage(path.parent)
    return DatabaseFigures(
        bytes=path.stat().st_size,
        wal_bytes=log.stat().st_size if log.exists() else 0,
        disk_bytes=disk.total,
        disk_free_bytes=disk.free,
        missing_indexes=missing,
        damage=damage,
    )


def _sqlite_damage(connection: Connection, url: str, is_thorough: bool) -> list[str]:
    if is_thorough:
        checks: list[list[Any]] = [connection.execute(f"PRAGMA integrity_check({_MOST_FINDINGS})")]
    else:
        checks = [connection.execute(f"PRAGMA quick_check('{table}')") for table in _SMALL_TABLES]
    found = [str(line) for rows in checks for (line,) in rows if line != "ok"]
    path = database_path(url)
    log = path.with_name(f"{path.name}-wal")
    ((pages,),) = connection.execute("PRAGMA page_count")
    ((page_size,),) = connection.execute("PRAGMA page_size")
    # what the write-ahead log holds may lie beyond the end of the file
    is_in_log = log.exists() and log.stat().st_size > 0
    if path.stat().st_size < int(pages) * int(page_size) and not is_in_log:
        found.insert(0, "the file is shorter than it says")
    return found[:_MOST_FINDINGS]


def _server_damage(connection: Connection) -> list[str]:
    """Return what the server has noticed; without checksums of its pages it notices nothing."""
    ((failures,),) = connection.execute(
        "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()"
    )
    return [f"{failures} pages whose checksum is wrong"] if failures else []

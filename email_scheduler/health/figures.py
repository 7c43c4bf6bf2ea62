"""What is known of how an organisation does: counts, sizes and moments, never what a row says of a person.

Also the few numbers that the sensors look at, read in a moment.
"""

import shutil
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from email_scheduler.clock import TIME_ZONE
from email_scheduler.config import SchedulerConfig
from email_scheduler.database import (
    FAILED,
    FOREIGN_ROW_SQL,
    FOREIGN_ROWS_INDEX,
    PENDING_SQL,
    PRE_SCHEDULED_SQL,
    SENDER_ROW_SQL,
    SENDER_ROWS_INDEX,
    SQLITE,
    Connection,
    backend_of,
    connect,
    contacts,
    contacts_kind,
    database_errors,
    database_path,
    is_table,
    last_date_sql,
    last_published,
    metadata,
    missing_watch_triggers,
    read_hold,
    read_kept,
    read_moment,
    read_runs,
    require_current_schema,
    unwatched_contacts,
    waiting_plan,
)
from email_scheduler.planning import EXCLUSION_REASONS, FoundNote
from email_scheduler.registry import (
    FOLLOW_UP_TYPES,
    PRE_SCHEDULED,
    SENDER_ROWS_WITHOUT_CONTACT,
    SUPPRESSIONS_WITHOUT_CONTACT,
)

# Nobody waits for long for a database that does not answer: the next look is not far.
_LONGEST_WAIT_SECONDS: Final = 5
DAYS_AHEAD: Final = 30
_RECENT: Final = timedelta(hours=24)
# How old the sender's rows are that are looked at.
_LOOKED_BACK: Final = timedelta(days=366)
_MOST_FINDINGS: Final = 3
# Looking at these takes a moment, and an unreadable file shows in one of them as a rule.
_SMALL_TABLES: Final = (
    "scheduler_checkpoints",
    "config_versions",
    "campaign_types",
    "campaign_instances",
    "planner_lock",
)


@dataclass(frozen=True)
class PendingChanges:
    """Changes of campaigns, or edited contacts, that no plan has taken into account.

    Attributes:
        count: How many.
        last_id: What tells the last one from others: the id in the log, or how many contacts there are.
        last_changed_at: When that was; empty if nobody says.
    """

    count: int
    last_id: int
    last_changed_at: str


@dataclass(frozen=True)
class PlanRecord:
    """What is known of the plans of an organisation.

    Attributes:
        last_date: The date that the plan in force was made for; None: there is none.
        has_broken_rules: Whether a plan for the date that was asked about was not published because it broke
            a rule.
        is_waiting: Whether a plan for that date waits for a person, since it loses too much.
    """

    last_date: date | None
    has_broken_rules: bool
    is_waiting: bool


def pending_changes(url: str, config: SchedulerConfig) -> PendingChanges | None:
    """Return the changes of campaigns that wait for a plan; None if there are none.

    Raises:
        DatabaseError: The database cannot be read.
    """
    with database_errors(url), connect(url, impatient(config)) as connection:
        ((count, last_id),) = connection.execute(
            f"SELECT count(*), max(id) FROM campaign_change_log WHERE {PENDING_SQL}"  # noqa: S608
        )
        if not count:
            return None
        ((changed_at,),) = connection.execute(
            "SELECT CAST(changed_at AS TEXT) FROM campaign_change_log WHERE id = ?", (last_id,)
        )
    return PendingChanges(int(count), int(last_id), changed_at or "")


def edited_contacts(url: str, config: SchedulerConfig) -> PendingChanges | None:
    """Return the contacts that were edited since the plan (section 16); None if there are none.

    Raises:
        DatabaseError: The database cannot be read.
    """
    with database_errors(url), connect(url, impatient(config)) as connection:
        ((count, changed_at),) = connection.execute(
            "SELECT count(*), CAST(max(changed_at) AS TEXT) FROM contact_changes"
        )
    return PendingChanges(int(count), int(count), changed_at or "") if count else None


def plan_record(url: str, config: SchedulerConfig, as_of: date) -> PlanRecord:
    """Return what is known of the plans of an organisation.

    Raises:
        DatabaseError: The database cannot be read.
    """
    with database_errors(url), connect(url, impatient(config)) as connection:
        runs = read_runs(connection)
    last, waiting = last_published(runs), waiting_plan(runs)
    return PlanRecord(
        date.fromisoformat(last.as_of) if last is not None and last.as_of else None,
        any(run.has_broken_rules(as_of) for run in runs),
        waiting is not None and waiting.as_of == as_of.isoformat(),
    )


def impatient(config: SchedulerConfig) -> SchedulerConfig:
    """Return the configuration with which a database that does not answer is given up soon."""
    pool = config.database.connection_pool
    seconds = min(pool.connection_timeout, _LONGEST_WAIT_SECONDS)
    database = config.database.model_copy(
        update={"connection_pool": pool.model_copy(update={"connection_timeout": seconds})}
    )
    return config.model_copy(update={"database": database})


@dataclass(frozen=True)
class PlanFigures:
    """The last published plan.

    Attributes:
        as_of_date: The date that it was made for, ISO 8601.
        age_hours: Since it was completed; None: nobody says when that was.
        waiting: Why a plan that loses too much waits for a person, instead of which it counts; None: none
            does.
        failed_since: Runs that failed after it.
        contacts: Contacts, valid or not.
        invalid_contacts: Those that are not valid.
        emails_planned: Rows to be sent.
        emails_skipped: Rows that are skipped.
        stopped_by_windows: Skipped because of an exclusion window; None: the run did not record it.
        daily_cap: Emails that a day takes; None: as before.
        follow_ups: Planned follow-ups by type, which is how they were decided.
        without_contact: Notes about suppressions, and about rows of the sending system, that name no contact;
            none where there are no such rows, or the run did not record them.
    """

    as_of_date: str
    age_hours: float | None
    waiting: str | None
    failed_since: int
    contacts: int
    invalid_contacts: int
    emails_planned: int
    emails_skipped: int
    stopped_by_windows: int | None
    daily_cap: int | None
    follow_ups: dict[str, int]
    without_contact: tuple[FoundNote, ...] = ()


@dataclass(frozen=True)
class SenderFigures:
    """What the sending system did, and did not do.

    Attributes:
        untaken: Due emails whose time is over.
        processing: Emails that it has claimed.
        stuck: Those that it has claimed too long ago.
        outcomes_24h: Emails sent, delivered or failed in the last 24 hours.
        failed_24h: Those that failed.
    """

    untaken: int
    processing: int
    stuck: int
    outcomes_24h: int
    failed_24h: int


@dataclass(frozen=True)
class AheadFigures:
    """The emails that wait to be sent in the ``DAYS_AHEAD`` days from today on.

    Attributes:
        backlog: Late ones, those of days that are over included.
        average: Emails a day.
        peak: Emails of the fullest day.
        peak_date: That day; None where nothing is planned.
    """

    backlog: int
    average: float
    peak: int
    peak_date: str | None


@dataclass(frozen=True)
class DatabaseFigures:
    """The database itself.

    Attributes:
        bytes: Its size.
        wal_bytes: Size of SQLite's write-ahead log; None on a server.
        disk_bytes: Size of the disk that holds it; None on a server.
        disk_free_bytes: What is free of it; None on a server.
        missing_indexes: Expected indexes that are not there.
        missing_triggers: Triggers on ``contacts`` that should note edited contacts, and are not there.
        unwatched: Why there are to be none, so that nobody notes edits after the plan; None: they are noted.
        damage: What is wrong with it, a line each.
    """

    bytes: int
    wal_bytes: int | None
    disk_bytes: int | None
    disk_free_bytes: int | None
    missing_indexes: list[str] = field(default_factory=list)
    missing_triggers: list[str] = field(default_factory=list)
    unwatched: str | None = None
    damage: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class HealthFigures:
    """All figures of one organisation.

    Attributes:
        plan: The last published plan; None: there is none.
        sender: What the sending system did.
        ahead: What waits to be sent.
        database: The database itself.
        contact_issues: Contacts by issue, as the last plan found them.
        held_since: Since when nothing is due, ISO 8601; None: it is not held.
        is_plan_ahead: Whether the last published plan is for a day that is still to come: it is not today's.
        unproved: Pre-scheduled rows of types that are not planned here, by type: they are not due.
    """

    plan: PlanFigures | None
    sender: SenderFigures
    ahead: AheadFigures
    database: DatabaseFigures
    contact_issues: dict[str, int]
    held_since: str | None
    is_plan_ahead: bool = False
    unproved: dict[str, int] = field(default_factory=dict)


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
        indexes, kind = connection.index_names(), contacts_kind(connection)
        damage = _sqlite_damage(connection, url, is_thorough) if is_file else _server_damage(connection)
        hold, plan = read_hold(connection), _plan(connection, now)
        today = now.astimezone(TIME_ZONE).date()
        return HealthFigures(
            plan=plan,
            sender=_sender(connection, config, now, is_file=is_file, has_index=SENDER_ROWS_INDEX in indexes),
            ahead=_ahead(connection, today),
            database=replace(
                _database(connection, url, is_file, sorted(_expected_indexes(kind) - indexes), damage),
                missing_triggers=missing_watch_triggers(connection, config),
                unwatched=unwatched_contacts(connection, config),
            ),
            contact_issues={
                str(issue): int(count)
                for issue, count in connection.execute(
                    "SELECT issue, count(*) FROM contact_issues GROUP BY issue ORDER BY issue"
                )
            },
            held_since=(hold and hold.held_at) or None,
            is_plan_ahead=plan is not None and plan.as_of_date > today.isoformat(),
            unproved=_unproved(connection, has_index=FOREIGN_ROWS_INDEX in indexes),
        )


def _unproved(connection: Connection, *, has_index: bool) -> dict[str, int]:
    hint = connection.indexed_by(FOREIGN_ROWS_INDEX) if has_index else ""
    rows = connection.execute(
        f"SELECT coalesce(email_type, ''), count(*) FROM email_schedules{hint} WHERE {FOREIGN_ROW_SQL}"  # noqa: S608
        " GROUP BY 1 ORDER BY 1"
    )
    return {str(email_type): int(count) for email_type, count in rows}


def _expected_indexes(contacts_kind: str) -> set[str]:
    tables = [each for each in metadata.tables.values() if each is not contacts or is_table(contacts_kind)]
    return {str(index.name) for table in tables for index in table.indexes}


def _plan(connection: Connection, now: datetime) -> PlanFigures | None:
    runs = read_runs(connection)
    last = last_published(runs)
    if last is None:
        return None
    kept, waiting = read_kept(connection, last.number), waiting_plan(runs)
    planned = {} if kept.rows is None else kept.rows.where(reason=PRE_SCHEDULED).counts_by("email_type")
    return PlanFigures(
        as_of_date=last.as_of,
        age_hours=_hours_since(last.completed_at, now),
        waiting=None if waiting is None else waiting.error,
        failed_since=sum(run.status == FAILED and run.number > last.number for run in runs),
        contacts=last.contacts,
        invalid_contacts=last.invalid_contacts,
        emails_planned=last.planned,
        emails_skipped=last.skipped,
        stopped_by_windows=None if kept.rows is None else kept.rows.where(reason=EXCLUSION_REASONS).total,
        daily_cap=kept.daily_cap,
        follow_ups={name: planned.get(name, 0) for name in FOLLOW_UP_TYPES},
        without_contact=tuple(
            note
            for note in (kept.figures and kept.figures.notes) or ()
            if note.name in {SUPPRESSIONS_WITHOUT_CONTACT, SENDER_ROWS_WITHOUT_CONTACT}
        ),
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
        f" AND {last_date_sql(connection.dialect.name)} >= '{(now - _LOOKED_BACK).date()}'"
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
        return DatabaseFigures(int(size), None, None, None, missing, damage=damage)
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

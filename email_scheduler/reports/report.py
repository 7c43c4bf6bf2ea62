"""The report of an organisation's plan of one day: what was published, as it was kept. Counts only."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from email_scheduler.clock import TIME_ZONE
from email_scheduler.config import SchedulerConfig
from email_scheduler.database import (
    COMPLETED,
    FAILED,
    PRE_SCHEDULED_SQL,
    SENDER_ROW_SQL,
    SENDER_ROWS_INDEX,
    AcceptedLoss,
    ConfigVersion,
    Connection,
    EmailChanges,
    Hold,
    Kept,
    Run,
    connect,
    database_errors,
    display_url,
    last_date_sql,
    read_config_version,
    read_hold,
    read_kept,
    read_runs,
    require_current_schema,
    waiting_plan,
)
from email_scheduler.errors import UsageError
from email_scheduler.planning import Breakdown, FiguresOfPlan, kind_of_reason
from email_scheduler.registry import INVALIDATING_ISSUES, NOTES, PRE_SCHEDULED

_SHOWN_DATES: Final = 10
DAYS_OF_WEEK: Final = 7
# What the record of a run of an earlier version does not hold.
NOT_KEPT: Final = (
    "emails by day",
    "skipped by state",
    "what balancing moved",
    "data problems",
    "compliance proof",
    "campaigns in flight",
    "emails added, moved and cancelled",
)
# Days that emails are moved by, as ranges; both ends are inclusive. The ends of all are open.
_RANGES: Final = (
    *((-999, -8), (-7, -3), (-2, -1), (0, 0), (1, 1), (2, 3)),
    *((4, 7), (8, 14), (15, 30), (31, 999)),
)


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
        waiting: Why a plan, for whichever date, waits for a person now; None: none does.
        hold: Why nothing of the organisation is due now; None: it is not held.
        sender: How far the sending system is; None: the date is not today.
    """

    runs: list[Run]
    kept: list[Kept]
    config: ConfigVersion | None
    failed_runs: int
    waiting: str | None
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
        waiting = waiting_plan(all_runs)
        if not runs:
            raise UsageError(
                f"database {display_url(url)}: no plan for {as_of} is kept; {_kept_dates(all_runs)}"
                f"{'' if waiting is None else f'; {waiting.error}'}"
            )
        version = runs[-1].config_version
        return PublishedDay(
            runs=runs,
            kept=[read_kept(connection, run.number) for run in runs],
            config=None if version is None else read_config_version(connection, version),
            failed_runs=sum(run.status == FAILED and run.as_of == as_of.isoformat() for run in all_runs),
            waiting=None if waiting is None else waiting.error,
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
        f" WHERE {SENDER_ROW_SQL} AND {last_date_sql(connection.dialect.name)} >= '{day}'"
        f" AND substr({moment}, 1, 10) = ? GROUP BY status ORDER BY status",
        (day,),
    )
    return SendersDay(
        due=int(due),
        waiting=int(waiting or 0),
        overdue=int(overdue or 0),
        taken={str(status): int(count) for status, count in taken},
    )


@dataclass(frozen=True)
class Report:
    """What operators and compliance officers ask of a plan.

    Attributes:
        organization: The organisation, or its database where it has no name.
        as_of: The date that the plan was made for.
        made_at: When the report was made.
        published: What is kept of the plans for that date.
        figures: What the last one of them comes to; None: it was published by an earlier version.
        changes: What became of emails by all of them together; None: none of them recorded it.
        counted_runs: How many of them recorded it.
    """

    organization: str
    as_of: date
    made_at: datetime
    published: PublishedDay
    figures: FiguresOfPlan | None
    changes: EmailChanges | None
    counted_runs: int

    @property
    def run(self) -> Run:
        """The run whose plan is the last one for the date."""
        return self.published.runs[-1]

    @property
    def accepted_losses(self) -> list[AcceptedLoss]:
        """What plans for the date lost that was too much, and who has accepted it."""
        return [kept.accepted for kept in self.published.kept if kept.accepted is not None]

    @property
    def planned(self) -> Breakdown:
        """The rows of the plan, by email type and reason; ``pre-scheduled`` are those to be sent."""
        rows = self.published.kept[-1].rows
        return {} if rows is None else rows.table("email_type", "reason")

    @property
    def not_kept(self) -> tuple[str, ...]:
        """The parts of the report that the record of the run does not hold."""
        return NOT_KEPT if self.figures is None else ()

    def week(self) -> list[tuple[date, int]]:
        """Return the emails of the seven days from the as-of date on; none where they are not kept."""
        if self.figures is None:
            return []
        volume = self.figures.volume_by_day(DAYS_OF_WEEK)
        return [(self.as_of + timedelta(days=number), count) for number, count in enumerate(volume)]

    def skipped(self) -> list[tuple[str, str, int]]:
        """Return email type, kind of reason and rows, the most first."""
        return [row for row in _by_kind(self.planned) if row[1] != PRE_SCHEDULED]

    def problems(self) -> list[tuple[str, bool, int]]:
        """Return each issue of contacts, whether it makes them invalid, and how many have it."""
        issues = {} if self.figures is None else self.figures.issues
        rows = [(name, name in INVALIDATING_ISSUES, count) for name, count in issues.items()]
        return sorted(rows, key=lambda row: (not row[1], -row[2], row[0]))

    def notes(self) -> list[tuple[str, str]] | None:
        """Return what somebody should look at in the data, and what to do about it; None: it is not kept."""
        notes = None if self.figures is None else self.figures.notes
        return None if notes is None else [(note.found, NOTES[note.name].what_helps) for note in notes]

    def moves(self) -> tuple[list[str], list[tuple[str, list[int]]]]:
        """Return the adjustments that there are, and the emails of each by the days they are moved."""
        adjusted = {} if self.figures is None else self.figures.adjusted
        names = sorted(adjusted, key=lambda name: (-sum(adjusted[name].values()), name))
        rows = []
        for first, last in _RANGES:
            counts = [
                sum(count for days, count in adjusted[name].items() if first <= days <= last)
                for name in names
            ]
            if any(counts):
                rows.append((_words(first, last), counts))
        return names, rows

    def changes_by_kind(self) -> list[tuple[str, list[tuple[str, str, int]]]]:
        """Return added, later, earlier and cancelled, each with type, reason and emails, the most first."""
        if self.changes is None:
            return []
        return [(kind, _by_kind(rows)) for kind, rows in self.changes.document().items()]

    def document(self) -> dict[str, Any]:
        """Return the same for JSON."""
        run, published, config = self.run, self.published, self.published.config
        return {
            "organization": self.organization,
            "as_of": self.as_of.isoformat(),
            "made_at": self.made_at.isoformat(timespec="seconds"),
            "run": {
                "run_id": run.run_id,
                "completed_at": run.completed_at,
                "contacts": run.contacts,
                "invalid_contacts": run.invalid_contacts,
                "planned": run.planned,
                "skipped": run.skipped,
                "config_version": run.config_version,
                "config_since": None if config is None else config.valid_from or None,
                "config_by": None if config is None else config.created_by,
            },
            "runs": len(published.runs),
            "failed_runs": published.failed_runs,
            "waiting": published.waiting,
            "accepted_losses": [asdict(each) for each in self.accepted_losses],
            "held": None if published.hold is None else str(published.hold),
            "week": {str(day): count for day, count in self.week()},
            "sender": None if published.sender is None else asdict(published.sender),
            "planned": self.planned,
            "changes": None
            if self.changes is None
            else {"runs": self.counted_runs, "totals": self.changes.totals, **self.changes.document()},
            "figures": None if self.figures is None else self.figures.document(),
            "not_kept": list(self.not_kept),
        }


def read_report(
    url: str, config: SchedulerConfig, organization: str, as_of: date, now: datetime | None = None
) -> Report:
    """Return the report of a date, from what was kept when its plans were published.

    Args:
        url: The organisation's database.
        config: Its configuration.
        organization: What it is called.
        as_of: The date of the plan.
        now: The time of day, with its time zone; None: that of the clock.

    Raises:
        DatabaseError: The database cannot be read.
        UsageError: No plan for the date is kept; the message names the dates of those that are.
    """
    made_at = (now or datetime.now(TIME_ZONE)).astimezone(TIME_ZONE)
    published = read_published_day(url, config, as_of, made_at.date())
    recorded = [kept.emails for kept in published.kept if kept.emails is not None]
    return Report(
        organization=organization,
        as_of=as_of,
        made_at=made_at,
        published=published,
        figures=published.kept[-1].figures,
        changes=sum(recorded, EmailChanges.none()) if recorded else None,
        counted_runs=len(recorded),
    )


def _by_kind(rows: Breakdown) -> list[tuple[str, str, int]]:
    """Return email type, kind of reason and number, the greatest number first."""
    counts: Counter[tuple[str, str]] = Counter()
    for email_type, reasons in rows.items():
        for reason, count in reasons.items():
            counts[email_type, kind_of_reason(reason)] += count
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return [(email_type, kind, count) for (email_type, kind), count in ordered]


def _words(first: int, last: int) -> str:
    """Return a range of days as people say it."""
    least, most = sorted((abs(first), abs(last)))
    if most == 0:
        return "on the ideal date"
    days = f"{least} days or more" if most == 999 else f"{least} to {most} days" if most > least else "1 day"
    return f"{days} {'earlier' if last < 0 else 'later'}"

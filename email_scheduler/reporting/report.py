"""The report of an organisation's plan of one day: what was published, as it was kept. Counts only."""

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from email_scheduler.clock import TIME_ZONE
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.cube import Breakdown
from email_scheduler.planning.figures import FiguresOfPlan, kind_of_reason
from email_scheduler.planning.registry.email_types import PRE_SCHEDULED
from email_scheduler.planning.registry.reasons import INVALIDATING_ISSUES
from email_scheduler.storage.changes import EmailChanges
from email_scheduler.storage.published import PublishedDay, read_published_day
from email_scheduler.storage.runs import Run

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

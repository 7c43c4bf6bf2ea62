"""What the figures of an organisation mean: healthy, degraded or unhealthy, and why. Pure functions."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from email_scheduler.config import AepConfig, Health, Limits
from email_scheduler.health.figures import HealthFigures
from email_scheduler.health.incidents import REPLACE_PLAN_AHEAD

HEALTHY: Final = "healthy"
DEGRADED: Final = "degraded"
UNHEALTHY: Final = "unhealthy"
# Also the exit codes of the command.
STATUSES: Final = (HEALTHY, DEGRADED, UNHEALTHY)
_MEGABYTE: Final = 1_000_000


@dataclass(frozen=True)
class Reason:
    """Why an organisation is not healthy.

    Attributes:
        status: ``DEGRADED`` or ``UNHEALTHY``.
        text: A sentence with figures, and what to do.
    """

    status: str
    text: str


def worst(statuses: Iterator[str] | list[str]) -> str:
    """Return the worst of some statuses; healthy if there are none."""
    return max(statuses, key=STATUSES.index, default=HEALTHY)


def judge(figures: HealthFigures, health: Health) -> list[Reason]:
    """Return what is wrong with an organisation, the worst first; nothing if it is healthy."""
    reasons = [
        *_database(figures, health),
        *_plan(figures, health),
        *_sender(figures, health),
        *_unproved(figures),
        *_ahead(figures, health),
    ]
    return sorted(reasons, key=lambda reason: -STATUSES.index(reason.status))


def judge_disk(total: int, free: int, what: str, health: Health) -> Iterator[Reason]:
    """Yield what is wrong with a disk.

    Args:
        total: Its size in bytes.
        free: What is free of it.
        what: What lies on it.
        health: The limits.
    """
    share = 1 - free / total if total else 0.0
    yield from _above(
        health.disk_used_share,
        share,
        f"the disk of {what} is {share:.0%} full, {free / 1e9:.1f} GB are free: make room, or have"
        " maintenance keep less (docs/operations.md)",
    )


def judge_years(aep: AepConfig, day: date) -> Iterator[Reason]:
    """Yield that the years with AEP emails have run out."""
    if aep.has_run_out(day):
        yield Reason(DEGRADED, f"{aep.end}: add the years to come")


def _above(limits: Limits, value: float, text: str) -> Iterator[Reason]:
    exact = Decimal(repr(value))
    if limits.unhealthy is not None and exact >= limits.unhealthy:
        yield Reason(UNHEALTHY, text)
    elif limits.degraded is not None and exact >= limits.degraded:
        yield Reason(DEGRADED, text)


def _database(figures: HealthFigures, health: Health) -> Iterator[Reason]:
    database = figures.database
    for finding in database.damage:
        yield Reason(UNHEALTHY, f"the database is damaged ({finding}): restore a backup")
    if database.missing_indexes:
        yield Reason(
            DEGRADED,
            f"indexes are missing ({', '.join(database.missing_indexes)}): planning builds them anew",
        )
    if database.missing_triggers:
        yield Reason(
            UNHEALTHY,
            f"triggers on contacts are missing ({', '.join(database.missing_triggers)}), so that whoever is"
            " edited after the plan stays due: run email-scheduler init-db",
        )
    if database.wal_bytes is not None:
        megabytes = database.wal_bytes // _MEGABYTE
        yield from _above(
            health.wal_megabytes,
            megabytes,
            f"the write-ahead log has {megabytes:,} MB: a program keeps the database open for reading;"
            " end it",
        )
    if database.disk_bytes is not None and database.disk_free_bytes is not None:
        yield from judge_disk(database.disk_bytes, database.disk_free_bytes, "the database", health)
    if figures.held_since is not None:
        yield Reason(
            DEGRADED, f"held since {figures.held_since[:19]}: nothing is due until email-scheduler release"
        )


def _plan(figures: HealthFigures, health: Health) -> Iterator[Reason]:
    plan = figures.plan
    if plan is None:
        yield Reason(UNHEALTHY, "no plan was ever published: run email-scheduler plan")
        return
    if figures.is_plan_ahead:
        yield Reason(
            UNHEALTHY,
            f"the last plan, for {plan.as_of_date}, is ahead of today: nothing is due before its day, and"
            f" plans of today are refused as older; {REPLACE_PLAN_AHEAD}",
        )
    if plan.waiting is not None:
        yield Reason(UNHEALTHY, f"a plan waits for a person: {plan.waiting}")
    if plan.age_hours is not None:
        yield from _above(
            health.plan_age_hours,
            plan.age_hours,
            f"the last plan is {plan.age_hours:.0f} hours old, for {plan.as_of_date}: look at the last runs"
            " of plan_emails",
        )
    yield from _above(
        health.failed_plans,
        plan.failed_since,
        f"runs that failed since the last plan: {plan.failed_since:,}; scheduler_checkpoints says why",
    )
    if plan.contacts:
        share = plan.invalid_contacts / plan.contacts
        yield from _above(
            health.invalid_contact_share,
            share,
            f"{plan.invalid_contacts:,} of {plan.contacts:,} contacts are not valid ({share:.0%}): see"
            " contact_issues, and whether an import failed",
        )
    for note in plan.without_contact:
        yield from _above(health.without_contact_share, note.count / note.out_of, str(note))
    emails = plan.emails_planned + plan.emails_skipped
    if plan.stopped_by_windows is not None and emails:
        share = plan.stopped_by_windows / emails
        yield from _above(
            health.window_share,
            share,
            f"exclusion windows stop {share:.0%} of {emails:,} emails: look at config/state_rules.yaml",
        )


def _sender(figures: HealthFigures, health: Health) -> Iterator[Reason]:
    sender = figures.sender
    yield from _above(
        health.untaken_emails,
        sender.untaken,
        f"due emails that were not taken: {sender.untaken:,}; see whether the sending system is running",
    )
    yield from _above(
        health.stuck_emails,
        sender.stuck,
        f"emails that were claimed more than {health.stuck_after_hours} hours ago and have no outcome:"
        f" {sender.stuck:,}; see docs/sending.md, and whether the sending system was stopped",
    )
    if sender.outcomes_24h >= health.error_share_least_emails:
        share = sender.failed_24h / sender.outcomes_24h
        yield from _above(
            health.error_share,
            share,
            f"{sender.failed_24h:,} of {sender.outcomes_24h:,} emails of the last 24 hours failed"
            f" ({share:.0%}): see what the sending system says, and hold the organisation if need be",
        )


def _unproved(figures: HealthFigures) -> Iterator[Reason]:
    if figures.unproved:
        types = ", ".join(f"{name or 'none'}: {count:,}" for name, count in figures.unproved.items())
        yield Reason(
            UNHEALTHY,
            f"pre-scheduled rows of types that are not planned here ({types}): nobody has proved that they"
            " may be sent, and they are not due; see which program writes them (docs/operations.md)",
        )


def _ahead(figures: HealthFigures, health: Health) -> Iterator[Reason]:
    cap = None if figures.plan is None else figures.plan.daily_cap
    if not cap:
        return
    days = figures.ahead.backlog / cap
    yield from _above(
        health.backlog_days,
        days,
        f"late emails that are still planned: {figures.ahead.backlog:,}, the room of {days:.1f} days; raise"
        " load_balancing.daily_send_percentage_cap, or accept it",
    )
    ratio = figures.ahead.peak / cap
    yield from _above(
        health.peak_to_cap,
        ratio,
        f"{figures.ahead.peak:,} emails on {figures.ahead.peak_date}, {ratio:.1f} times the daily cap of"
        f" {cap:,}: see which types they are of",
    )

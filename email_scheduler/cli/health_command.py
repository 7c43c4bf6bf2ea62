"""``email-scheduler health``: how each organisation does. The exit code says it, too."""

import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import wraps
from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType

from email_scheduler.cli.shared import (
    CONFIG_DIRECTORY,
    Answer,
    AsJson,
    At,
    Config,
    command,
    find_organization,
    load,
    megabytes,
)
from email_scheduler.clock import TIME_ZONE
from email_scheduler.config import SchedulerConfig, load_organizations
from email_scheduler.database import display_url, error_text
from email_scheduler.errors import UsageError
from email_scheduler.health.figures import DAYS_AHEAD, HealthFigures
from email_scheduler.health.installation import Health, check_health
from email_scheduler.health.judgement import STATUSES
from email_scheduler.health.prometheus import prometheus_text
from email_scheduler.reports.terminal import line, table

_STYLES: Final = dict(zip(STATUSES, ("green", "yellow", "bold red"), strict=True))
_NOT_KNOWN: Final = "not known"


def _at_worst_unhealthy(run: Callable[..., None]) -> Callable[..., None]:
    """Return the command so that 1, degraded, is never the exit code of a look that came to no end."""

    @wraps(run)
    def look(**given: Any) -> None:
        try:
            run(**given)
        except (typer.Exit, UsageError):
            raise
        except Exception as error:
            name, said = type(error).__name__, error_text(error)
            why = name if said == name else f"{name}: {said}"
            raise UsageError(
                f"health could not be looked at: {why} (--debug shows what and where)"
            ) from error

    return look


@_at_worst_unhealthy
@command
def health(
    at: At,
    as_json: AsJson = False,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Print the figures in the text format of Prometheus.")
    ] = False,
    thorough: Annotated[
        bool,
        typer.Option(
            "--thorough",
            help="Check all of a SQLite file (PRAGMA integrity_check), which reads it as a whole: minutes"
            " where it has gigabytes.",
        ),
    ] = False,
) -> Answer:
    """Say how each organisation does: healthy (exit code 0), degraded (1) or unhealthy (2), and why."""
    if as_json and prometheus:
        raise UsageError("accepted is --json or --prometheus, not both")
    if at.database is not None and at.organization is not None:
        raise UsageError("accepted is --organization NAME or --database URL, not both")
    settings = load(at.config)
    if at.database is not None:
        organizations = {display_url(at.database): at}
    else:
        names = (
            _names(at.config)
            if at.organization is None
            else [find_organization(at.organization, at.config).name]
        )
        organizations = {name: At(organization=name, config=at.config) for name in names}

    def settings_of(each: At) -> Callable[[], tuple[str, SchedulerConfig]]:
        return lambda: (each.url, each.settings)

    found = check_health(
        [(name, settings_of(each)) for name, each in organizations.items()],
        settings,
        datetime.now(TIME_ZONE),
        is_thorough=thorough,
    )
    exit_code = STATUSES.index(found.status)
    if prometheus:
        sys.stdout.write(prometheus_text(found))
        raise typer.Exit(exit_code)
    return Answer(found.document(), _parts(found), exit_code)


def _names(config: Config) -> list[str]:
    directory = config or CONFIG_DIRECTORY
    names = list(load_organizations(directory))
    if not names:
        raise UsageError(f"{directory}/organizations.yaml: names no organisation")
    return names


def _parts(found: Health) -> Iterator[RenderableType]:
    for each in found.organizations:
        yield line(f"{each.name}: {each.status}", style=_STYLES[each.status])
        yield from (f"  {reason.status}: {reason.text}" for reason in each.reasons)
        if each.figures is not None:
            yield table("", "", " ", rows=_rows(each.figures), left={" "}, header=False)
        yield ""
    for reason in found.reasons:
        yield line(f"{reason.status}: {reason.text}", style=_STYLES[reason.status])
    installation = found.installation
    yield (
        f"frames {_size(installation.parquet_bytes)}, Dagster {_size(installation.dagster_bytes)},"
        f" free disk {_size(installation.disk_free_bytes)}"
    )


def _rows(figures: HealthFigures) -> list[tuple[str, str]]:
    plan, sender, ahead, database = figures.plan, figures.sender, figures.ahead, figures.database
    rows = [("last plan", "none")]
    if plan is not None:
        age = "at a time that is not known" if plan.age_hours is None else f"{plan.age_hours} hours ago"
        rows = [("last plan", f"{plan.as_of_date}, {age}")]
        rows += [
            ("waits for a person", "no plan" if plan.waiting is None else "a plan that loses too much"),
            ("runs failed since", f"{plan.failed_since:,}"),
            ("contacts", f"{plan.contacts:,}, {plan.invalid_contacts:,} of them not valid"),
            ("emails", f"{plan.emails_planned:,} planned, {plan.emails_skipped:,} skipped"),
            ("stopped by windows", _number(plan.stopped_by_windows)),
            ("daily cap", _number(plan.daily_cap)),
            ("follow-ups", _counts(plan.follow_ups)),
            *((note.name.replace("_", " "), f"{note.count:,}") for note in plan.without_contact),
        ]
    rows += [
        ("issues", _counts(figures.contact_issues)),
        ("due, not taken", f"{sender.untaken:,}"),
        ("claimed", f"{sender.processing:,}, {sender.stuck:,} of them stuck"),
        ("outcomes, 24 hours", f"{sender.outcomes_24h:,}, {sender.failed_24h:,} of them failed"),
        ("backlog", f"{ahead.backlog:,}"),
        (
            f"volume, {DAYS_AHEAD} days",
            f"{ahead.average:,.1f} a day, {ahead.peak:,} at most ({ahead.peak_date or 'nothing is planned'})",
        ),
        ("database", f"{_size(database.bytes)}, write-ahead log {_size(database.wal_bytes)}"),
        ("indexes missing", f"{len(database.missing_indexes):,}"),
        ("triggers missing", f"{len(database.missing_triggers):,}"),
        ("edits of contacts", f"not noted: {database.unwatched}" if database.unwatched else "noted"),
        ("types not planned here", _counts(figures.unproved)),
        ("held since", figures.held_since or "not held"),
    ]
    return rows


def _number(value: int | None) -> str:
    return _NOT_KNOWN if value is None else f"{value:,}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count) or "none"


def _size(size: int | None) -> str:
    return _NOT_KNOWN if size is None else megabytes(size)

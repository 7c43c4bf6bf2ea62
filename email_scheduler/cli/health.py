"""``email-scheduler health``: how each organisation does. The exit code says it, too."""

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from email_scheduler.cli.shared import (
    CONFIG_DIRECTORY,
    AnyDatabase,
    AsJson,
    Config,
    OrganizationName,
    database_and_config,
    find_organization,
    load,
    out,
    print_json,
)
from email_scheduler.clock import TIME_ZONE
from email_scheduler.config.loader import load_organizations
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import UsageError
from email_scheduler.monitoring.health import Health, OrganizationHealth, check_health
from email_scheduler.monitoring.judgement import STATUSES
from email_scheduler.monitoring.prometheus import prometheus_text
from email_scheduler.storage.health_figures import DAYS_AHEAD, HealthFigures
from email_scheduler.storage.urls import display_url

_STYLES: Final = dict(zip(STATUSES, ("green", "yellow", "bold red"), strict=True))
_NOT_KNOWN: Final = "not known"


def health(
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    as_json: AsJson = False,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Print the figures in the text format of Prometheus.")
    ] = False,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Check all of a SQLite file, which may take minutes.")
    ] = False,
) -> None:
    """Say how each organisation does: healthy (exit code 0), degraded (1) or unhealthy (2), and why."""
    if as_json and prometheus:
        raise UsageError("accepted is --json or --prometheus, not both")
    if database is not None and organization is not None:
        raise UsageError("accepted is --organization NAME or --database URL, not both")
    settings = load(config)
    if database is not None:
        names = [display_url(database)]
    else:
        names = _names(config) if organization is None else [find_organization(organization, config).name]

    def settings_of(name: str) -> Callable[[], tuple[str, SchedulerConfig]]:
        return lambda: database_and_config(database, None if database is not None else name, config)

    found = check_health(
        [(name, settings_of(name)) for name in names],
        settings,
        datetime.now(TIME_ZONE),
        is_thorough=thorough,
    )
    if as_json:
        print_json(found.document())
    elif prometheus:
        sys.stdout.write(prometheus_text(found))
    else:
        _show(found)
    raise typer.Exit(STATUSES.index(found.status))


def _names(config: Config) -> list[str]:
    directory = config or CONFIG_DIRECTORY
    names = list(load_organizations(directory))
    if not names:
        raise UsageError(f"{directory}/organizations.yaml: names no organisation")
    return names


def _show(found: Health) -> None:
    for each in found.organizations:
        _show_organization(each)
    for reason in found.reasons:
        out.print(f"{reason.status}: {reason.text}", style=_STYLES[reason.status], markup=False)
    installation = found.installation
    out.print(
        f"frames {_size(installation.parquet_bytes)}, Dagster {_size(installation.dagster_bytes)},"
        f" free disk {_size(installation.disk_free_bytes)}",
        markup=False,
    )


def _show_organization(each: OrganizationHealth) -> None:
    out.print(f"{each.name}: {each.status}", style=_STYLES[each.status], markup=False)
    for reason in each.reasons:
        out.print(f"  {reason.status}: {reason.text}", markup=False)
    if each.figures is not None:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, show_header=False)
        for name, text in _rows(each.figures):
            table.add_row(name, text)
        out.print(table)
    out.print()


def _rows(figures: HealthFigures) -> list[tuple[str, str]]:
    plan, sender, ahead, database = figures.plan, figures.sender, figures.ahead, figures.database
    rows = [("last plan", "none" if plan is None else f"{plan.as_of_date}, {plan.age_hours} hours ago")]
    if plan is not None:
        rows += [
            ("runs failed since", f"{plan.failed_since:,}"),
            ("contacts", f"{plan.contacts:,}, {plan.invalid_contacts:,} of them not valid"),
            ("emails", f"{plan.emails_planned:,} planned, {plan.emails_skipped:,} skipped"),
            ("stopped by windows", _number(plan.stopped_by_windows)),
            ("daily cap", _number(plan.daily_cap)),
            ("follow-ups", _counts(plan.follow_ups)),
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
        ("held since", figures.held_since or "not held"),
    ]
    return rows


def _number(value: int | None) -> str:
    return _NOT_KNOWN if value is None else f"{value:,}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count) or "none"


def _size(size: int | None) -> str:
    return _NOT_KNOWN if size is None else f"{size / 1_000_000:,.1f} MB"

"""``email-scheduler simulate``: what contacts would get over the coming time."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType
from rich.text import Text

from email_scheduler.cli.campaign_output import counts_table, plain_table
from email_scheduler.cli.shared import (
    AnyDatabase,
    AsJson,
    Config,
    OrganizationName,
    database_and_config,
    err,
    out,
    parse_date,
    print_json,
)
from email_scheduler.clock import today
from email_scheduler.errors import UsageError
from email_scheduler.operations.private_output import private_output
from email_scheduler.operations.simulation import Reactions
from email_scheduler.operations.simulation import simulate as live_through
from email_scheduler.operations.simulation.figures import figures_of, write_counts
from email_scheduler.operations.simulation.ledger import LATE
from email_scheduler.reporting.simulation_figures import SimulationFigures
from email_scheduler.storage.read import read_inputs
from email_scheduler.storage.schema import require_current_schema
from email_scheduler.storage.urls import display_url

_DAYS: Final = 365
_SHOWN_REASONS: Final = 12
_SHOWN_LABELS: Final = 20
_DEFAULT: Final = Reactions()


def simulate(
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    first: Annotated[
        date | None,
        typer.Option(
            "--from",
            metavar="DATE",
            parser=parse_date,
            help="The first day. [default: today in US Central time]",
        ),
    ] = None,
    days: Annotated[int, typer.Option(metavar="N", min=1, max=3660, help="How many days.")] = _DAYS,
    click_rate: Annotated[
        float, typer.Option(metavar="RATE", help="The share of emails that are clicked on, 0 to 1.")
    ] = _DEFAULT.click_rate,
    answer_rate: Annotated[
        float, typer.Option(metavar="RATE", help="The share of those that are answered, 0 to 1.")
    ] = _DEFAULT.answer_rate,
    condition_rate: Annotated[
        float,
        typer.Option(metavar="RATE", help="The share of answers that tell of medical conditions, 0 to 1."),
    ] = _DEFAULT.condition_rate,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Another one: other contacts react.")
    ] = _DEFAULT.seed,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with charts.")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write counts by day, state, type and outcome."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Plan every day, send what is due, let contacts react; all in memory, the database is only read."""
    reactions = Reactions(click_rate, answer_rate, condition_rate, seed)
    for path in filter(None, (html, csv)):
        _refuse_unwritable(path)
    url, settings = database_and_config(database, organization, config)
    require_current_schema(url, settings)
    with err.status("read") as status:
        inputs = read_inputs(url, first or today(), settings)
        simulation = live_through(
            inputs,
            settings,
            days,
            reactions,
            on_day=lambda done: status.update(f"day {done:,} of {days:,}"),
        )
    figures = figures_of(simulation, reactions, organization or display_url(url))
    if html is not None:
        _write_page(html, figures)
    lines = None if csv is None else write_counts(csv, simulation)
    if as_json:
        print_json(_as_object(figures))
    else:
        for part in _parts(figures):
            out.print(part)
        if html is not None:
            out.print(f"Page with charts, written to {html}", markup=False, soft_wrap=True)
        if lines is not None:
            out.print(f"Counts, written to {csv}: {lines:,}", markup=False, soft_wrap=True)
    if figures.violations:
        raise typer.Exit(1)


def _refuse_unwritable(path: Path) -> None:
    # not after minutes of work
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"{path}: cannot be written; accepted is a file in a directory that is there")


def _write_page(path: Path, figures: SimulationFigures) -> None:
    # drawing takes a second to load
    from email_scheduler.reporting.simulation_page import simulation_page  # noqa: PLC0415

    page = simulation_page(figures)
    with private_output(path) as file:
        file.write(page)


def _as_object(figures: SimulationFigures) -> dict[str, Any]:
    busiest, most = figures.busiest
    return {
        **asdict(figures),
        "days": [day.isoformat() for day in figures.days],
        "contacts": figures.contacts,
        "emails": figures.emails,
        "mean_emails": round(figures.mean_emails, 3),
        "most_emails": figures.most_emails,
        "busiest": {"day": busiest.isoformat(), "emails": most},
    }


def _parts(figures: SimulationFigures) -> Iterator[RenderableType]:
    busiest, most = figures.busiest
    yield Text(
        f"{len(figures.days):,} days, {figures.days[0]} to {figures.days[-1]}, of {figures.organization}",
        style="bold",
    )
    yield Text("Simulated in memory: nothing was sent, and the database is as it was.", style="dim")
    facts = {
        "valid contacts": f"{figures.contacts:,}",
        "emails sent": f"{figures.emails:,}",
        "a contact, on average": f"{figures.mean_emails:.1f}",
        "a contact, at most": f"{figures.most_emails:,}",
        "the busiest day": f"{most:,} on {busiest:%a %Y-%m-%d}; a day takes {figures.caps[0]:,}",
        **{name: f"{count:,}" for name, count in figures.outcomes.items()},
        "still to come, or still skipped": f"{figures.still_open:,}",
        "announced dates that changed": f"{figures.changed_per_thousand:.2f} of 1,000",
    }
    table = plain_table("", "", "")
    table.show_header = False
    for name, value in facts.items():
        table.add_row(name, value)
    yield table
    yield ""
    yield counts_table(
        "Emails a contact got", "emails", "contacts", dict(enumerate(figures.contacts_by_emails))
    )
    yield ""
    yield _late_table(figures)
    yield ""
    yield counts_table("Lost for want of room", "reason", "emails", figures.lost_by_reason)
    yield ""
    yield counts_table("Excluded by law", "reason", "emails", _first_few(figures.excluded_by_reason))
    yield ""
    yield _outcomes_table("By email type", "email type", figures.by_type)
    yield ""
    yield _outcomes_table("By state", "state", figures.by_state)
    proof = f"{figures.proofs:,} of the plans were proved: {figures.violations:,} rows break a rule."
    yield ""
    yield Text(proof, style="red" if figures.violations else "green")


def _late_table(figures: SimulationFigures) -> RenderableType:
    """Return the late emails by days; from a week on in groups."""
    groups: dict[str, int] = {}
    for days, emails in figures.late_by_days.items():
        name = (
            f"{days}" if days < 8 else "8 to 14" if days < 15 else "15 to 30" if days < 31 else "31 or more"
        )
        groups[name] = groups.get(name, 0) + emails
    return counts_table(f"Emails that were {LATE}", "days after the ideal date", "emails", groups)


def _first_few(counts: Mapping[str, int]) -> dict[str, int]:
    names = list(counts)
    shown = {name: counts[name] for name in names[:_SHOWN_REASONS]}
    if len(names) > _SHOWN_REASONS:
        rest = names[_SHOWN_REASONS:]
        shown[f"{len(rest)} other reasons"] = sum(counts[name] for name in rest)
    return shown


def _outcomes_table(title: str, heading: str, counts: Mapping[str, Mapping[str, int]]) -> RenderableType:
    names = list(next(iter(counts.values()), {}))
    table = plain_table(title, heading, *(name.replace(" ", "\n") for name in names))
    most = sorted(counts, key=lambda name: -sum(counts[name].values()))[:_SHOWN_LABELS]
    for name, outcomes in counts.items():
        if name in most:
            table.add_row(name, *(f"{count:,}" for count in outcomes.values()))
    if len(counts) > len(most):
        rest = [outcomes for name, outcomes in counts.items() if name not in most]
        table.add_row(f"{len(rest)} more", *(f"{sum(each[name] for each in rest):,}" for name in names))
    return table

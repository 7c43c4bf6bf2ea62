"""``email-scheduler simulate``: what contacts would get over the coming time."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType

from email_scheduler.cli.shared import (
    Answer,
    At,
    Force,
    command,
    counts_table,
    date_option,
    err,
    write_private,
)
from email_scheduler.clock import today
from email_scheduler.database import read_inputs, require_current_schema
from email_scheduler.errors import UsageError
from email_scheduler.reports.terminal import line, table, unbroken
from email_scheduler.simulation import LATE, Reactions, SimulationFigures, figures_of, write_counts
from email_scheduler.simulation import simulate as live_through

_DAYS: Final = 365
_SHOWN_REASONS: Final = 12
_SHOWN_LABELS: Final = 20
_DEFAULT: Final = Reactions()


@command
def simulate(
    at: At,
    first: Annotated[
        date | None,
        date_option(
            "--from",
            says="The first day. Up to that day the simulation knows what the database knows: if the day lies"
            " ahead, what would have been sent until then is late. [default: today in US Central time]",
        ),
    ] = None,
    days: Annotated[int, typer.Option(metavar="N", min=1, max=3660, help="How many days.")] = _DAYS,
    click_rate: Annotated[
        float,
        typer.Option(
            metavar="RATE",
            help="The share of emails that are clicked on, in the course of the day after they were sent;"
            " from 0 to 1, like the other rates.",
        ),
    ] = _DEFAULT.click_rate,
    answer_rate: Annotated[
        float,
        typer.Option(
            metavar="RATE",
            help="The share of the emails clicked on after which the contact answers the health questions.",
        ),
    ] = _DEFAULT.answer_rate,
    condition_rate: Annotated[
        float, typer.Option(metavar="RATE", help="The share of the answers that tell of medical conditions.")
    ] = _DEFAULT.condition_rate,
    seed: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="The same seed, database and configuration give the same result; another one lets other"
            " contacts react.",
        ),
    ] = _DEFAULT.seed,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page with charts: self-contained, counts only."),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Write the number of emails by day, state, email_type, outcome, reason and late_days.",
        ),
    ] = None,
    force: Force = False,
) -> Answer:
    """Plan every day, send what is due, let contacts react; all in memory, the database is only read."""
    reactions = Reactions(click_rate, answer_rate, condition_rate, seed)
    page, counts = at.output(html, force=force), at.output(csv, force=force)
    if page is not None and counts is not None and page.path.resolve() == counts.path.resolve():
        raise UsageError(f"--html and --csv are both {csv}; accepted is a file of its own for each")
    url, settings = at.url, at.settings
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
    figures = figures_of(simulation, reactions, at.name)
    parts = list(_parts(figures))
    if page is not None:
        # drawing takes a second to load
        from email_scheduler.simulation.simulation_page import simulation_page  # noqa: PLC0415

        write_private(page, simulation_page(figures))
        parts.append(unbroken(f"Page with charts, written to {html}"))
    if counts is not None:
        parts.append(unbroken(f"Counts, written to {csv}: {write_counts(counts, simulation):,}"))
    return Answer(_as_object(figures), parts, exit_code=1 if figures.violations else 0)


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
    yield line(
        f"{len(figures.days):,} days, {figures.days[0]} to {figures.days[-1]}, of {figures.organization}",
        style="bold",
    )
    yield line("Simulated in memory: nothing was sent, and the database is as it was.", style="dim")
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
    yield table("", "", "", rows=facts.items(), header=False)
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
    yield line(proof, style="red" if figures.violations else "green")


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
    most = sorted(counts, key=lambda name: -sum(counts[name].values()))[:_SHOWN_LABELS]
    rows = [(name, *outcomes.values()) for name, outcomes in counts.items() if name in most]
    if len(counts) > len(most):
        rest = [outcomes for name, outcomes in counts.items() if name not in most]
        rows.append((f"{len(rest)} more", *(sum(each[name] for each in rest) for name in names)))
    return table(title, heading, *(name.replace(" ", "\n") for name in names), rows=rows)

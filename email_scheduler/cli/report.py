"""``email-scheduler report``: what was published for a day, as text, JSON, or a page to be mailed."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from email_scheduler.cli.shared import (
    AnyDatabase,
    AsJson,
    Config,
    OrganizationName,
    database_and_config,
    out,
    parse_date,
    print_json,
)
from email_scheduler.clock import today
from email_scheduler.operations.private_output import private_output
from email_scheduler.reporting.report import Report, read_report
from email_scheduler.storage.urls import display_url

ReportDate = Annotated[
    date | None,
    typer.Option(
        "--as-of",
        metavar="DATE",
        parser=parse_date,
        help="The date of the plan, YYYY-MM-DD. [default: today in US Central time]",
    ),
]


def report(
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    as_of: ReportDate = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report as a page, too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Report what was published for a day: volume, changes, skipped emails, the proof. Counts only."""
    url, settings = database_and_config(database, organization, config)
    found = read_report(url, settings, organization or display_url(url), as_of or today())
    if html is not None:
        _write(html, found)
    if as_json:
        print_json(found.document())
    else:
        _show(found)
        if html is not None:
            out.print(f"The page is in {html}.", markup=False)


def _write(path: Path, found: Report) -> None:
    # drawing takes a second to load, which no other command needs
    from email_scheduler.reporting.report_page import report_page  # noqa: PLC0415

    page = report_page(found)
    with private_output(path) as file:
        file.write(page)


def _show(found: Report) -> None:
    run, published = found.run, found.published
    out.print(f"Plan of {found.organization} for {found.as_of:%A}, {found.as_of}", style="bold", markup=False)
    if published.hold is not None:
        out.print(str(published.hold), style="yellow", markup=False)
    if found.not_kept:
        parts = ", ".join(found.not_kept)
        out.print(f"Published by an earlier version, which did not keep: {parts}.", style="yellow")
    out.print(
        f"run {run.run_id}, configuration version {run.config_version};"
        f" {run.planned:,} emails planned, {run.skipped:,} skipped;"
        f" {run.contacts:,} contacts, {run.invalid_contacts:,} of them not valid",
        markup=False,
    )
    _show_volume(found)
    _show_changes(found)
    _show_table("Skipped", ("email type", "reason", "emails"), found.skipped())
    problems = [(name, "not valid" if bad else "noted", count) for name, bad, count in found.problems()]
    _show_table("Data problems", ("problem", "", "contacts"), problems)
    if found.figures is not None:
        campaigns = [
            (f"{each.campaign_type} ({each.instance_id})", each.planned, each.skipped, each.sent)
            for each in found.figures.campaigns
        ]
        _show_table("Campaigns in flight", ("campaign", "planned", "skipped", "sent before"), campaigns)
        violations = sum(found.figures.violations.values())
        out.print(
            f"Compliance proof: {violations:,} violations in {found.figures.rows_looked_at:,} rows,"
            f" {len(found.figures.violations)} rules."
        )


def _show_volume(found: Report) -> None:
    sender = found.published.sender
    if sender is not None:
        taken = ", ".join(f"{count:,} {status}" for status, count in sender.taken.items()) or "none"
        out.print(
            f"Today: {sender.due:,} due; taken by the sending system: {taken}; {sender.overdue:,} overdue"
        )
    _show_table(
        "This week", ("day", "emails"), [(f"{day:%a %Y-%m-%d}", count) for day, count in found.week()]
    )


def _show_changes(found: Report) -> None:
    if found.changes is None:
        return
    totals = found.changes.totals
    out.print()
    out.print(
        f"Changes of the day ({found.counted_runs} of {len(found.published.runs)} runs):"
        f" {totals['added']:,} added, {totals['later']:,} moved later, {totals['earlier']:,} moved earlier,"
        f" {totals['cancelled']:,} cancelled"
    )
    rows = [(kind, *row) for kind, each in found.changes_by_kind() for row in each]
    _show_table("Changes", ("change", "email type", "reason", "emails"), rows)


def _show_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str | int]]) -> None:
    if not rows:
        return
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.show_edge = False
    for heading, value in zip(headings, rows[0], strict=True):
        table.add_column(heading, justify="right" if isinstance(value, int) else "left")
    for row in rows:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else value for value in row))
    out.print()
    out.print(table)

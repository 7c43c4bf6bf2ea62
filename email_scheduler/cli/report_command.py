"""``email-scheduler report``: what was published for a day, as text, JSON, or a page to be mailed."""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from email_scheduler.cli.shared import (
    Answer,
    At,
    Force,
    command,
    date_option,
    write_private,
)
from email_scheduler.clock import today
from email_scheduler.reports.report import Report, read_report
from email_scheduler.reports.terminal import line, table


@command
def report(
    at: At,
    as_of: Annotated[
        date | None,
        date_option("--as-of", says="The date of the plan, YYYY-MM-DD. [default: today in US Central time]"),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write the report as a page, too: one file with its charts, to be mailed or printed. Nobody"
            " but its owner can read it.",
        ),
    ] = None,
    force: Force = False,
) -> Answer:
    """Report what was published for a day: volume, changes, skipped emails, the proof. Counts only."""
    page = at.output(html, force=force)
    found = read_report(at.url, at.settings, at.name, as_of or today())
    if page is not None:
        # drawing takes a second to load, which no other command needs
        from email_scheduler.reports.report_page import report_page  # noqa: PLC0415

        write_private(page, report_page(found))
    written = [] if html is None else [f"The page is in {html}."]
    return Answer(found.document(), [*_parts(found), *written])


def _parts(found: Report) -> Iterator[RenderableType]:
    run, published = found.run, found.published
    yield line(f"Plan of {found.organization} for {found.as_of:%A}, {found.as_of}", style="bold")
    if published.waiting is not None:
        yield line(f"A plan waits for a person: {published.waiting}", style="bold red")
    yield from (line(str(each), style="yellow") for each in found.accepted_losses)
    if published.hold is not None:
        yield line(str(published.hold), style="yellow")
    if found.not_kept:
        parts = ", ".join(found.not_kept)
        yield line(f"Published by an earlier version, which did not keep: {parts}.", style="yellow")
    version = "not kept" if run.config_version is None else run.config_version
    yield (
        f"run {run.run_id}, configuration version {version};"
        f" {run.planned:,} emails planned, {run.skipped:,} skipped;"
        f" {run.contacts:,} contacts, {run.invalid_contacts:,} of them not valid"
    )
    yield from _volume(found)
    yield from _changes(found)
    yield from _table("Skipped", ("email type", "reason", "emails"), found.skipped())
    problems = [(name, "not valid" if bad else "noted", count) for name, bad, count in found.problems()]
    yield from _table("Data problems", ("problem", "", "contacts"), problems)
    yield from _table("Notes about data", ("what was found", "what to do"), found.notes() or ())
    if found.figures is not None:
        campaigns = [
            (f"{each.campaign_type} ({each.instance_id})", each.planned, each.skipped, each.sent)
            for each in found.figures.campaigns
        ]
        yield from _table("Campaigns in flight", ("campaign", "planned", "skipped", "sent before"), campaigns)
        violations = sum(found.figures.violations.values())
        yield (
            f"Compliance proof: {violations:,} violations in {found.figures.rows_looked_at:,} rows,"
            f" {len(found.figures.violations)} rules."
        )


def _volume(found: Report) -> Iterator[RenderableType]:
    sender = found.published.sender
    if sender is not None:
        taken = ", ".join(f"{count:,} {status}" for status, count in sender.taken.items()) or "none"
        yield f"Today: {sender.due:,} due; taken by the sending system: {taken}; {sender.overdue:,} overdue"
    days = [(f"{day:%a %Y-%m-%d}", count) for day, count in found.week()]
    yield from _table("This week", ("day", "emails"), days)


def _changes(found: Report) -> Iterator[RenderableType]:
    if found.changes is None:
        return
    totals = found.changes.totals
    yield ""
    yield (
        f"Changes of the day ({found.counted_runs} of {len(found.published.runs)} runs):"
        f" {totals['added']:,} added, {totals['later']:,} moved later, {totals['earlier']:,} moved earlier,"
        f" {totals['cancelled']:,} cancelled"
    )
    rows = [(kind, *row) for kind, each in found.changes_by_kind() for row in each]
    yield from _table("Changes", ("change", "email type", "reason", "emails"), rows)


def _table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str | int]]
) -> Iterator[RenderableType]:
    if rows:
        texts = {heading for heading, value in zip(headings, rows[0], strict=True) if isinstance(value, str)}
        yield ""
        yield table(title, *headings, rows=rows, left=texts)

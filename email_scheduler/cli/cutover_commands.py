"""The commands of the cutover: ``import-history``, ``migrate-rate-increases`` and ``shadow``."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType

from email_scheduler.cli.shared import (
    DRY_RUN,
    Answer,
    AsOf,
    At,
    AtBy,
    DryRun,
    Force,
    SkipBad,
    command,
    err,
    tell_bad_lines,
    unsqueezed,
)
from email_scheduler.clock import today
from email_scheduler.cutover.import_history import NOT_SENT, THERE_ALREADY, HistoryImport
from email_scheduler.cutover.import_history import import_history as import_file
from email_scheduler.cutover.rate_increases import Migration
from email_scheduler.cutover.rate_increases import migrate_rate_increases as migrate
from email_scheduler.cutover.shadow_run import OUTCOMES, Shadow, shadow_run
from email_scheduler.database import REPEATED
from email_scheduler.files import private_output
from email_scheduler.reports.terminal import table, unbroken

_SHOWN_REASONS: Final = 25


@command
def import_history(
    csv: Annotated[Path, typer.Option("--csv", metavar="FILE", help="The emails, one a line.")],
    at: AtBy,
    dry_run: DryRun = False,
    skip_bad: SkipBad = False,
) -> Answer:
    """Import the emails that the older program has sent from a CSV file, so that none is sent again."""
    done = import_file(at.url, at.settings, csv, changed_by=at.by, skip_bad=skip_bad, is_dry_run=dry_run)
    bad = tell_bad_lines(done.bad_lines, str(csv), "line")
    document = {
        "dry_run": dry_run,
        "run_id": done.run_id,
        "counts": done.counts,
        "added": done.added,
        "first_date": done.first_date,
        "last_date": done.last_date,
        "bad_lines": bad,
    }
    return Answer(document, [*map(unbroken, _history_lines(done)), *([DRY_RUN] if dry_run else [])])


def _history_lines(done: HistoryImport) -> list[str]:
    if done.added:
        total = sum(done.added.values())
        lines = [f"Emails added: {total:,}, sent from {done.first_date} to {done.last_date} ({done.run_id})"]
        lines += [f"  {email_type}: {count:,}" for email_type, count in done.added.items()]
    else:
        lines = ["Emails added: none"]
    notes = {
        "there already": done.counts.get(THERE_ALREADY, 0),
        "said twice by the file": done.counts.get(REPEATED, 0),
        "planned or skipped, not sent; passed over": done.counts[NOT_SENT],
        "not taken: see above": done.bad_lines.count(),
    }
    return lines + [f"Noted: {count:,} lines {what}" for what, count in notes.items() if count]


@command
def migrate_rate_increases(
    at: AtBy,
    dry_run: DryRun = False,
    email_template: Annotated[
        str | None,
        typer.Option(
            "--email-template",
            metavar="NAME",
            help="The template of the instance. [default: that of most waiting rows, else rate_increase_v1]",
        ),
    ] = None,
) -> Answer:
    """Turn the rate increases of the older program into a campaign instance with targets."""
    done = migrate(at.url, at.settings, changed_by=at.by, email_template=email_template, is_dry_run=dry_run)
    return Answer(
        {"dry_run": dry_run, **asdict(done)}, [*_rate_increase_lines(done), *([DRY_RUN] if dry_run else [])]
    )


def _rate_increase_lines(done: Migration) -> list[str]:
    if done.instance is None:
        return ["There are no rate increases of the older program."]
    counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in done.targets.items())
    instance, is_new = done.instance, "new" if done.is_new_instance else "there already"
    lines = [
        f"Campaign instance {instance.reference} ({is_new}), email template {instance.email_template}",
        f"Contacts: {counts or 'none'}",
        f"Rows that were sent, now history of the campaign: {done.history:,}",
        f"Rows that were not sent, now in the archive: {done.archived:,}",
    ]
    notes = {
        "contacts that do not exist any more": done.unknown_contacts,
        "dates that cannot be read": done.unreadable_dates,
        "contacts with several rows, of which the last one counts": done.several_rows,
    }
    return lines + [f"Noted: {count:,} {what}" for what, count in notes.items() if count]


@command
def shadow(
    beside: Annotated[
        str,
        typer.Option(
            "--beside",
            metavar="PLAN",
            help="What the older program has planned: the URL of a database with its email_schedules, which"
            " is only read, or a CSV file.",
        ),
    ],
    at: At,
    as_of: AsOf = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Write the emails that differ to a CSV file: ids, types, dates, statuses and reasons, its"
            " owner's alone.",
        ),
    ] = None,
    force: Force = False,
) -> Answer:
    """Plan, publish nothing, and show what the older program has planned otherwise, by type and reason."""
    url, settings = at.url, at.settings
    output = at.output(csv, force=force)
    with err.status("") as status:
        found = shadow_run(url, settings, as_of or today(), beside, on_phase=status.update)
    title = f"Plan for {found.as_of:%A, %Y-%m-%d}, beside {found.beside}"
    # a number that is cut off would be another one, so that lines may be longer than they should be
    parts = [unbroken(title, style="bold"), "", unsqueezed(Group(*_tables(found)))]
    if output is not None:
        with private_output(output) as file:
            written = found.write_differences(file)
        parts.append(unbroken(f"Emails that differ, written to {csv}: {written:,}"))
    return Answer(_as_object(found), parts)


def _as_object(found: Shadow) -> dict[str, Any]:
    return {
        "as_of": found.as_of.isoformat(),
        "beside": found.beside,
        "by_type": found.by_type(),
        "by_reason": found.by_reason(),
    }


def _tables(found: Shadow) -> Iterator[RenderableType]:
    by_type, by_reason = found.by_type(), found.by_reason()
    headings = (each.replace("skipped_", "skip\n").replace("_", "\n") for each in OUTCOMES)
    rows = [(email_type, *(counts[each] for each in OUTCOMES)) for email_type, counts in by_type.items()]
    types = table("Emails by type", "email type", *headings, rows=rows)
    types.add_section()
    types.add_row("all", *(f"{sum(row[each] for row in by_type.values()):,}" for each in OUTCOMES))
    yield types
    yield ""
    yield _reasons_table(by_reason) if by_reason else "The plans do not differ."


def _reasons_table(by_reason: list[dict[str, Any]]) -> RenderableType:
    rows: list[tuple[object, ...]] = [
        (row["outcome"].replace("_", " "), row["reason"], row["email_type"], row["rows"])
        for row in by_reason[:_SHOWN_REASONS]
    ]
    if len(by_reason) > _SHOWN_REASONS:
        rest = sum(row["rows"] for row in by_reason[_SHOWN_REASONS:])
        rows.append((f"{len(by_reason) - _SHOWN_REASONS} others", "", "", rest))
    headings = ("outcome", "reason", "email type", "emails")
    return table("Why they differ", *headings, rows=rows, left=headings[:3])

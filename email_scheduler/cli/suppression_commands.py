"""The commands of addresses that must not be written to."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from email_scheduler.cli.app import command_group
from email_scheduler.cli.shared import (
    DRY_RUN,
    Answer,
    At,
    AtChanged,
    DryRun,
    Force,
    SkipBad,
    command,
    csv_output_option,
    date_option,
    tell_bad_lines,
)
from email_scheduler.contacts.suppressions import (
    Suppressed,
    overview,
    suppress_file,
    suppress_one,
    write_suppressed,
)
from email_scheduler.contacts.suppressions import unsuppress as unsuppress_address
from email_scheduler.errors import UsageError
from email_scheduler.reports.terminal import table

suppressions = command_group()
Address = Annotated[
    str | None, typer.Option("--email", metavar="ADDRESS", help="One address, in any of its spellings.")
]


@command
def suppress(
    at: AtChanged,
    email: Address = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="A file with a column email (or address), and perhaps reason and until (YYYY-MM-DD).",
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; of lines that do not say it.")
    ] = None,
    until: Annotated[
        date | None,
        date_option("--until", says="The last day on which it counts, YYYY-MM-DD. [default: for good]"),
    ] = None,
    skip_bad: SkipBad = False,
    dry_run: DryRun = False,
) -> Answer:
    """Let nobody write to addresses any more, whoever has them. It counts at once."""
    if (email is None) == (csv is None):
        raise UsageError("accepted is either --email ADDRESS or --csv FILE, one of the two")
    if csv is not None:
        result = suppress_file(at.url, at.settings, csv, reason, until, skip_bad=skip_bad, dry_run=dry_run)
    elif reason is None or not reason.strip():
        raise UsageError("--email: --reason is missing; accepted is a text that says why")
    else:
        result = suppress_one(at.url, at.settings, str(email), reason, until, dry_run=dry_run)
    return _told(result, "--email" if csv is None else str(csv), dry_run=dry_run)


def _told(result: Suppressed, source: str, *, dry_run: bool) -> Answer:
    counts = {
        "added": result.added,
        "known": result.known,
        "repeated": result.repeated,
        "not_taken": result.bad_lines.count(),
    }
    document: dict[str, Any] = {
        "dry_run": dry_run,
        **counts,
        "bad_lines": tell_bad_lines(result.bad_lines, source, "line"),
        "ignored_columns": result.ignored,
    }
    rows = [(name.replace("_", " "), count) for name, count in counts.items()]
    parts = [table("", "", "addresses", rows=rows)]
    ignored = [f"{len(result.ignored)} other columns were not read."] if result.ignored else []
    return Answer(document, [*parts, *ignored, *([DRY_RUN] if dry_run else [])])


@command
def unsuppress(
    at: AtChanged,
    email: Annotated[
        str, typer.Option("--email", metavar="ADDRESS", help="The address, in any of its spellings.")
    ],
    dry_run: DryRun = False,
) -> Answer:
    """Let an address be written to again: also contacts that have it and were suppressed themselves."""
    result = unsuppress_address(at.url, at.settings, email, dry_run=dry_run)
    document = {"dry_run": dry_run, "addresses": result.addresses, "contacts": result.contacts}
    ids = ", ".join(map(str, result.contacts)) or "none"
    said = f"{result.addresses} spellings were taken off the list. Contacts that are free again: {ids}."
    return Answer(document, [said, "The next plan writes to them.", *([DRY_RUN] if dry_run else [])])


@suppressions.callback()
def _suppressions() -> None:
    """Take the commands below."""


@suppressions.command("list")
@command
def list_suppressions(
    at: At,
    csv: Annotated[
        Path | None,
        csv_output_option("Write all suppressed addresses to a CSV file, too."),
    ] = None,
    force: Force = False,
) -> Answer:
    """Count what is suppressed, by reason."""
    output = at.output(csv, force=force)
    found = overview(at.url, at.settings)
    written = None if output is None else write_suppressed(at.url, at.settings, output)
    document = {
        "reasons": [
            {"reason": reason, "of_lists": listed, "of_contacts": own}
            for reason, listed, own in found.by_reason
        ],
        "contacts": found.contacts,
        "contacts_that_do_not_exist": found.without_contact,
        "written": written,
    }
    rows = [("(none)" if reason is None else reason, *counts) for reason, *counts in found.by_reason]
    said = (
        f"{found.contacts:,} contacts are suppressed themselves,"
        f" {found.without_contact:,} of which are in no row of contacts."
    )
    wrote = [] if written is None else [f"{written:,} addresses were written to {csv}."]
    columns = ("reason", "of lists", "of contacts")
    return Answer(
        document,
        [table("Suppressed addresses", *columns, rows=rows or [("none", 0, 0)]), said, *wrote],
    )

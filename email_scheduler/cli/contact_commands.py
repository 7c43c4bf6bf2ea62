"""``email-scheduler contacts``: loading contacts from files."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from email_scheduler.cli.app import command_group
from email_scheduler.cli.shared import (
    DRY_RUN,
    Answer,
    AtBy,
    DryRun,
    SkipBad,
    accepted_loss,
    command,
    tell_bad_lines,
)
from email_scheduler.contacts.headings import parse_mapping
from email_scheduler.contacts.import_contacts import ContactsImport
from email_scheduler.contacts.import_contacts import import_contacts as import_file
from email_scheduler.contacts.rekey import rekey_contacts
from email_scheduler.contacts.staged_contacts import CREATED, DELETED, UNCHANGED, UPDATED
from email_scheduler.database import REPEATED
from email_scheduler.reports.terminal import unbroken

contacts = command_group()


@contacts.command("import")
@command
def import_contacts(
    csv: Annotated[Path, typer.Option("--csv", metavar="FILE", help="The contacts, one a line.")],
    at: AtBy,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="HEADING=COLUMN",
            help="What a heading of the file means, such as 'Email Address=email'; nothing behind = passes"
            " the column over. May be given more than once.",
        ),
    ] = None,
    add_columns: Annotated[
        bool,
        typer.Option(
            "--add-columns",
            help="Add the columns to contacts that it does not have. Without it they are passed over.",
        ),
    ] = False,
    trust_ids: Annotated[
        bool,
        typer.Option(
            "--trust-ids",
            help="Take lines whose address is that of another contact than their id, as couples have.",
        ),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete the contacts that the file does not name.")
    ] = False,
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss", help="Delete them although they are many. Goes with --by and --reason."
        ),
    ] = False,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why so many are deleted.")
    ] = None,
    dry_run: DryRun = False,
    skip_bad: SkipBad = False,
) -> Answer:
    """Create and update contacts from a CSV file, by id or by address."""
    accepted = accepted_loss(at.by, reason, is_accepted=accept_loss)
    done = import_file(
        at.url,
        at.settings,
        csv,
        mapping=parse_mapping(mapping or ()),
        add_columns=add_columns,
        trust_ids=trust_ids,
        skip_bad=skip_bad,
        replace=replace,
        accepted=accepted,
        is_dry_run=dry_run,
    )
    document = {
        "dry_run": dry_run,
        "counts": done.counts,
        "updated": done.updated,
        "contacts_before": done.contacts_before,
        "added_columns": list(done.added_columns),
        "ignored_columns": list(done.ignored_columns),
        "deletes_too_much": done.deletes_too_much,
        "accepted_loss": None if accepted is None else {"by": accepted.by, "reason": accepted.reason},
        "bad_lines": tell_bad_lines(done.bad_lines, str(csv), "line"),
    }
    return Answer(document, [*map(unbroken, _lines(done)), *([DRY_RUN] if dry_run else [])])


@contacts.command()
@command
def rekey(
    csv: Annotated[
        Path, typer.Option("--csv", metavar="FILE", help="A CSV file with the columns old_id and new_id.")
    ],
    at: AtBy,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")
    ] = None,
    dry_run: DryRun = False,
) -> Answer:
    """Carry history, targets, answers and suppressions over to contacts' new ids."""
    done = rekey_contacts(at.url, at.settings, csv, changed_by=at.who, reason=reason, is_dry_run=dry_run)
    lines = [f"Contacts with new ids: {done.contacts:,}", "Rows carried over:"]
    lines += [f"  {name}: {count:,}" for name, count in done.rows.items()] or ["  none"]
    if done.archived:
        lines.append(f"Planned rows archived, whose occurrence another row has: {done.archived:,}")
    lines.append(DRY_RUN if dry_run else "The next plan takes it into account: email-scheduler plan")
    return Answer({"dry_run": dry_run, **asdict(done)}, map(unbroken, lines))


def _lines(done: ContactsImport) -> Iterator[str]:
    counts = done.counts
    yield f"Contacts created: {counts[CREATED]:,}"
    yield f"Contacts updated: {counts[UPDATED]:,}"
    yield from (f"  {name}: {count:,}" for name, count in done.updated.items())
    yield f"Contacts unchanged: {counts[UNCHANGED]:,}"
    yield f"Contacts deleted: {counts[DELETED]:,} of {done.contacts_before:,}"
    if done.added_columns:
        yield f"Columns added: {', '.join(done.added_columns)}"
    if done.ignored_columns:
        yield f"Noted: columns passed over, which contacts do not have: {', '.join(done.ignored_columns)}"
    notes = {"said twice by the file": counts[REPEATED], "not taken: see above": done.bad_lines.count()}
    yield from (f"Noted: {count:,} lines {what}" for what, count in notes.items() if count)
    if done.deletes_too_much:
        yield "Noted: so many contacts are only deleted with --accept-loss --by NAME --reason TEXT"

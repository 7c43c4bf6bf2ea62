"""``email-scheduler migrate-rate-increases``: those of the older program become a campaign."""

from dataclasses import asdict
from typing import Annotated

import typer

from email_scheduler.cli.shared import (
    AnyDatabase,
    AsJson,
    By,
    Config,
    OrganizationName,
    database_and_config,
    out,
    print_json,
)
from email_scheduler.operations.rate_increases import Migration
from email_scheduler.operations.rate_increases import migrate_rate_increases as migrate


def migrate_rate_increases(
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; change nothing.")
    ] = False,
    email_template: Annotated[
        str | None,
        typer.Option(
            "--email-template", metavar="NAME", help="Of the campaign. [default: that of most waiting rows]"
        ),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Turn the rate increases of the older program into a campaign instance with targets."""
    url, settings = database_and_config(database, organization, config)
    done = migrate(url, settings, changed_by=by, email_template=email_template, is_dry_run=dry_run)
    if as_json:
        print_json({"dry_run": dry_run, **asdict(done)})
    else:
        for line in _lines(done):
            out.print(line, markup=False)
        if dry_run:
            out.print("This was a dry run: nothing was changed.")


def _lines(done: Migration) -> list[str]:
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

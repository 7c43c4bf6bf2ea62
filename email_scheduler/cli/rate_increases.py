"""``email-scheduler migrate-rate-increases``: those of the older program become a campaign."""

from dataclasses import asdict
from typing import Annotated

import typer

from email_scheduler.cli.options import AtBy, DryRun, command
from email_scheduler.cli.show import DRY_RUN, Answer
from email_scheduler.operations.rate_increases import Migration
from email_scheduler.operations.rate_increases import migrate_rate_increases as migrate


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
    return Answer({"dry_run": dry_run, **asdict(done)}, [*_lines(done), *([DRY_RUN] if dry_run else [])])


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

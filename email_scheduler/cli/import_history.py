"""``email-scheduler import-history``: what the older program has sent becomes history here."""

from pathlib import Path
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
    tell_bad_lines,
)
from email_scheduler.operations.csv_files.line_import import REPEATED
from email_scheduler.operations.cutover.import_history import NOT_SENT, THERE_ALREADY, HistoryImport
from email_scheduler.operations.cutover.import_history import import_history as import_file


def import_history(
    csv: Annotated[Path, typer.Option("--csv", metavar="FILE", help="The emails, one a line.")],
    database: AnyDatabase = None,
    organization: OrganizationName = None,
    config: Config = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; change nothing.")
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Take the other lines if some cannot be taken.")
    ] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Import the emails that the older program has sent from a CSV file, so that none is sent again."""
    url, settings = database_and_config(database, organization, config)
    done = import_file(url, settings, csv, changed_by=by, skip_bad=skip_bad, is_dry_run=dry_run)
    bad = tell_bad_lines(done.bad_lines, str(csv), "line")
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "run_id": done.run_id,
                "counts": done.counts,
                "added": done.added,
                "first_date": done.first_date,
                "last_date": done.last_date,
                "bad_lines": bad,
            }
        )
        return
    for text in _lines(done):
        out.print(text, markup=False, soft_wrap=True)
    if dry_run:
        out.print("This was a dry run: nothing was changed.")


def _lines(done: HistoryImport) -> list[str]:
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

"""``email-scheduler import-history``: what the older program has sent becomes history here."""

from pathlib import Path
from typing import Annotated

import typer

from email_scheduler.cli.options import AtBy, DryRun, SkipBad, command
from email_scheduler.cli.show import DRY_RUN, Answer, tell_bad_lines, unbroken
from email_scheduler.operations.csv_files.line_import import REPEATED
from email_scheduler.operations.cutover.import_history import NOT_SENT, THERE_ALREADY, HistoryImport
from email_scheduler.operations.cutover.import_history import import_history as import_file


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
    return Answer(document, [*map(unbroken, _lines(done)), *([DRY_RUN] if dry_run else [])])


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

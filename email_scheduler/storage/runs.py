"""The runs on record (``scheduler_checkpoints``) and what is kept of their plans, read in one way."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from email_scheduler.planning.cube import Cube
from email_scheduler.planning.figures import FiguresOfPlan
from email_scheduler.storage.changes import Changes, EmailChanges
from email_scheduler.storage.connection import Connection

STARTED: Final = "started"
IN_PROGRESS: Final = "in_progress"
COMPLETED: Final = "completed"
FAILED: Final = "failed"

# What the message of a run says whose plan was not proved.
BREAKS_RULES: Final = "breaks rules"

_RUNS_SQL: Final = (
    "SELECT id, scheduler_run_id, CAST(as_of_date AS TEXT), status, CAST(run_timestamp AS TEXT),"
    " CAST(completed_at AS TEXT), config_version_id, contacts_processed, invalid_contacts, emails_scheduled,"
    " emails_skipped, error_message FROM scheduler_checkpoints ORDER BY id"
)


@dataclass(frozen=True)
class Run:
    """One run that came as far as publishing.

    Attributes:
        number: Its id: later runs have higher ones.
        run_id: The run; empty: none is named.
        as_of: The date that its plan is for, ISO 8601; empty where that is not on record.
        status: ``STARTED``, ``IN_PROGRESS``, ``COMPLETED`` or ``FAILED``.
        began_at, completed_at: When it began to publish, and when it was done, as the database writes it;
            None: not on record, or not yet.
        config_version: The row of ``config_versions`` that it was made with.
        contacts: Contacts read, valid or not.
        invalid_contacts: Of these, not valid.
        planned, skipped: Rows of the plan.
        error: Why it failed.
    """

    number: int
    run_id: str
    as_of: str
    status: str
    began_at: str | None
    completed_at: str | None
    config_version: int | None
    contacts: int
    invalid_contacts: int
    planned: int
    skipped: int
    error: str | None

    def has_broken_rules(self, as_of: date) -> bool:
        """Tell whether it is one for a date, and was not published because its plan broke a rule."""
        is_that = self.status == FAILED and self.as_of == as_of.isoformat()
        return is_that and f" {BREAKS_RULES}, " in (self.error or "")


@dataclass(frozen=True)
class Kept:
    """What is kept of what a run published, in whichever form it was kept.

    Attributes:
        rows: The rows of the plan by ``email_type`` and ``reason`` at least (``FiguresOfPlan.rows``).
        daily_cap: Emails that a day takes.
        figures: What the plan comes to.
        emails: What became of emails that go out.
        All of them: None where the run did not record it.
    """

    rows: Cube | None
    daily_cap: int | None
    figures: FiguresOfPlan | None
    emails: EmailChanges | None

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "Kept":
        """Read ``summary``: what ``document_of`` has returned, or what runs before cubes have recorded."""
        figures = FiguresOfPlan.of_document(document)
        rows, emails = None, None
        if figures is not None:
            rows = figures.rows
        elif "planned" in document:
            rows = Cube.of_table("email_type", "reason", document["planned"])
        if "changes" in document:
            emails = Changes(Cube.of_document(document["changes"])).emails
        elif "emails" in document:
            emails = EmailChanges.of_document(document["emails"])
        return cls(rows, document.get("daily_cap"), figures, emails)


def document_of(changes: Changes, figures: FiguresOfPlan | None = None) -> dict[str, Any]:
    """Return what is kept of a run, for JSON: what it has changed, and once it is published its figures."""
    return {"changes": changes.cube.document(), **({} if figures is None else figures.kept())}


def read_runs(connection: Connection) -> list[Run]:
    """Read the runs on record, in the order in which they began."""
    runs = []
    for row in connection.execute(_RUNS_SQL):
        number, run_id, as_of, status, began_at, completed_at, version, *counts, error = row
        contacts, invalid_contacts, planned, skipped = (int(count or 0) for count in counts)
        runs.append(
            Run(
                number=int(number),
                run_id=str(run_id or ""),
                as_of=str(as_of or "")[:10],
                status=str(status),
                began_at=began_at,
                completed_at=completed_at,
                config_version=None if version is None else int(version),
                contacts=contacts,
                invalid_contacts=invalid_contacts,
                planned=planned,
                skipped=skipped,
                error=error,
            )
        )
    return runs


def read_kept(connection: Connection, run: Run) -> Kept:
    """Read what is kept of what a run published."""
    ((summary,),) = connection.execute(
        "SELECT summary FROM scheduler_checkpoints WHERE id = ?", (run.number,)
    )
    return Kept.of_document(json.loads(summary) if summary else {})


def last_published(runs: Sequence[Run]) -> Run | None:
    """Return the run whose plan is in force: the last one for the latest date; None: there is none."""
    completed = [run for run in runs if run.status == COMPLETED]
    return max(completed, key=lambda run: (run.as_of, run.number), default=None)

"""The records of runs, with what is kept of their plans, and of the configurations that they had.

Runs are rows of ``scheduler_checkpoints``: started, in_progress, then completed or failed. Every
configuration that a plan was published with, or that was brought back, is in ``config_versions``.
"""

import getpass
import itertools
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final

from email_scheduler.config import SchedulerConfig
from email_scheduler.database.connections import (
    Connection,
    Row,
    connect,
    database_errors,
    error_text,
    timestamp,
    utc_now,
)
from email_scheduler.database.publishing.plan_changes import EmailChanges, PlanChanges
from email_scheduler.errors import UsageError
from email_scheduler.planning import Cube, FiguresOfPlan

STARTED: Final = "started"
IN_PROGRESS: Final = "in_progress"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
# What the message of a run says whose plan was not proved.
BREAKS_RULES: Final = "breaks rules"
# What the message of a run says whose plan waits for a person.
LOSES_TOO_MUCH: Final = "loses too much"
_logger = logging.getLogger(__name__)
# in SQLite, a column may hold what its type does not say
_RUNS_SQL: Final = (
    "SELECT id, CAST(scheduler_run_id AS TEXT), CAST(as_of_date AS TEXT), CAST(status AS TEXT),"
    " CAST(run_timestamp AS TEXT), CAST(completed_at AS TEXT), CAST(config_version_id AS BIGINT),"
    " CAST(contacts_processed AS BIGINT), CAST(invalid_contacts AS BIGINT), CAST(emails_scheduled AS BIGINT),"
    " CAST(emails_skipped AS BIGINT), CAST(error_message AS TEXT) FROM scheduler_checkpoints ORDER BY id"
)
_OPEN_SQL: Final = f"status IN ('{STARTED}', '{IN_PROGRESS}')"
_ACCEPTED: Final = "accepted_loss"
_ABANDONED: Final = "the run ended without saying how: its process was stopped, or it lost the planner lock"
CONFIG_TYPE: Final = "scheduler"
_VERSIONS_SQL: Final = (
    "SELECT id, CAST(config_data AS TEXT), CAST(valid_from AS TEXT), CAST(valid_to AS TEXT),"
    " CAST(created_by AS TEXT)"
    " FROM config_versions WHERE config_type = ?"
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

    @property
    def has_lost_too_much(self) -> bool:
        """Whether it was not published because its plan lost too much (section 17 of the planning rules)."""
        return self.status == FAILED and f" {LOSES_TOO_MUCH}, " in (self.error or "")


@dataclass(frozen=True)
class AcceptedLoss:
    """A loss that a person accepts.

    Attributes:
        by: The person.
        reason: Why.
        loss: What is lost, with figures; empty as long as no plan was published so.

    Raises:
        UsageError: Person or reason are blank.
    """

    by: str
    reason: str
    loss: str = ""

    def __post_init__(self) -> None:
        for name, value in (("who accepts it", self.by), ("a reason", self.reason)):
            if not value.strip():
                raise UsageError(f"a loss is accepted with {name}, which is blank here; accepted is a text")

    def __str__(self) -> str:
        return f"the plan was accepted by {self.by} ({self.reason}) although it {LOSES_TOO_MUCH}: {self.loss}"


@dataclass(frozen=True)
class Kept:
    """What is kept of what a run published, in whichever form it was kept.

    Attributes:
        rows: The rows of the plan by ``email_type`` and ``reason`` at least (``FiguresOfPlan.rows``).
        daily_cap: Emails that a day takes.
        figures: What the plan comes to.
        emails: What became of emails that go out.
        accepted: The loss that a person has accepted; None: there was none to accept.
        All of them: None where the run did not record it.
    """

    rows: Cube | None
    daily_cap: int | None
    figures: FiguresOfPlan | None
    emails: EmailChanges | None
    accepted: AcceptedLoss | None = None

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
            emails = PlanChanges(Cube.of_document(document["changes"])).emails
        elif "emails" in document:
            emails = EmailChanges.of_document(document["emails"])
        accepted = document.get(_ACCEPTED)
        loss = None if accepted is None else AcceptedLoss(**accepted)
        return cls(rows, document.get("daily_cap"), figures, emails, loss)


def document_of(
    changes: PlanChanges, figures: FiguresOfPlan | None = None, accepted: AcceptedLoss | None = None
) -> dict[str, Any]:
    """Return what is kept of a run, for JSON: what it has changed, and once it is published its figures."""
    return {
        "changes": changes.cube.document(),
        **({} if figures is None else figures.kept()),
        **({} if accepted is None else {_ACCEPTED: asdict(accepted)}),
    }


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


def read_kept(connection: Connection, number: int) -> Kept:
    """Read what is kept of what a run published.

    Args:
        connection: To the database.
        number: The run's (``Run.number``).
    """
    ((summary,),) = connection.execute(
        "SELECT CAST(summary AS TEXT) FROM scheduler_checkpoints WHERE id = ?", (number,)
    )
    try:
        return Kept.of_document(json.loads(summary) if summary else {})
    except Exception as error:
        _logger.warning(
            "scheduler_checkpoints %s: what summary holds cannot be read (%s), as if there were nothing",
            *(number, type(error).__name__),
        )
        return Kept.of_document({})


def last_published(runs: Sequence[Run]) -> Run | None:
    """Return the run whose plan is in force: the last one that published; None: there is none."""
    completed = [run for run in runs if run.status == COMPLETED]
    return max(completed, key=lambda run: run.number, default=None)


def waiting_plan(runs: Sequence[Run]) -> Run | None:
    """Return the last run whose plan waits for a person; None: no plan does, or one was published since."""
    since = itertools.takewhile(lambda run: run.status != COMPLETED, reversed(runs))
    return next((run for run in since if run.has_lost_too_much), None)


def record_waiting_plan(
    connection: Connection, run_id: str, *, as_of: date, contacts: int, invalid_contacts: int, error: str
) -> None:
    """Record a plan that waits for a person, as if publishing it had begun; within a transaction."""
    now = timestamp(utc_now())
    connection.execute(
        "INSERT INTO scheduler_checkpoints (run_timestamp, scheduler_run_id, as_of_date, contacts_processed,"
        " invalid_contacts, status, error_message, completed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (now, run_id, as_of.isoformat(), contacts, invalid_contacts, FAILED, error, now),
    )


def close_abandoned_checkpoints(connection: Connection, now: str) -> None:
    """Close what earlier runs left open as failed; their summary tells what they had written.

    Only for the holder of the planner lock: no other run can be alive then.
    """
    connection.execute(
        f"UPDATE scheduler_checkpoints SET status = '{FAILED}', error_message = ?, completed_at = ? "  # noqa: S608
        f"WHERE {_OPEN_SQL}",
        (_ABANDONED, now),
    )


def start_checkpoint(
    connection: Connection,
    run_id: str,
    *,
    as_of: date,
    config_version_id: int,
    contacts_checksum: str,
    contacts_processed: int,
    invalid_contacts: int,
    now: str,
) -> None:
    """Record that a run has started; a run that is tried again under its id begins its record anew."""
    connection.execute("DELETE FROM scheduler_checkpoints WHERE scheduler_run_id = ?", (run_id,))
    connection.execute(
        "INSERT INTO scheduler_checkpoints (run_timestamp, scheduler_run_id, as_of_date, config_version_id, "
        "contacts_checksum, contacts_processed, invalid_contacts, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            now,
            run_id,
            as_of.isoformat(),
            config_version_id,
            contacts_checksum,
            contacts_processed,
            invalid_contacts,
            STARTED,
        ),
    )


def begin_writing(connection: Connection, run_id: str, schedules_before_checksum: str) -> None:
    """Record that the run now writes, and what it found."""
    connection.execute(
        f"UPDATE scheduler_checkpoints SET status = '{IN_PROGRESS}', schedules_before_checksum = ? "  # noqa: S608
        "WHERE scheduler_run_id = ?",
        (schedules_before_checksum, run_id),
    )


def record_progress(connection: Connection, run_id: str, changes: PlanChanges) -> None:
    """Record what the run has written so far; to be called in the transaction that writes it."""
    connection.execute(
        "UPDATE scheduler_checkpoints SET summary = ? WHERE scheduler_run_id = ?",
        (_json(changes), run_id),
    )


def complete_checkpoint(
    connection: Connection,
    run_id: str,
    *,
    schedules_after_checksum: str,
    emails_scheduled: int,
    emails_skipped: int,
    changes: PlanChanges,
    figures: FiguresOfPlan,
    accepted: AcceptedLoss | None,
    now: str,
) -> None:
    """Record that the plan is published."""
    connection.execute(
        f"UPDATE scheduler_checkpoints SET status = '{COMPLETED}', schedules_after_checksum = ?, "  # noqa: S608
        "emails_scheduled = ?, emails_skipped = ?, summary = ?, completed_at = ? WHERE scheduler_run_id = ?",
        (
            schedules_after_checksum,
            emails_scheduled,
            emails_skipped,
            _json(changes, figures, accepted),
            now,
            run_id,
        ),
    )


def fail_checkpoint(connection: Connection, run_id: str, error: BaseException, now: str) -> None:
    """Record that the run failed and why, unless somebody has closed its record in the meantime."""
    connection.execute(
        f"UPDATE scheduler_checkpoints SET status = '{FAILED}', error_message = ?, completed_at = ? "  # noqa: S608
        f"WHERE scheduler_run_id = ? AND {_OPEN_SQL}",
        (error_text(error), now, run_id),
    )


def _json(
    changes: PlanChanges, figures: FiguresOfPlan | None = None, accepted: AcceptedLoss | None = None
) -> str:
    document = document_of(changes, figures, accepted)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class ConfigVersion:
    """One row of ``config_versions``.

    Attributes:
        id: Its number.
        document: The configuration, as ``SchedulerConfig.document`` returns it; what somebody else has put
            there may be anything (``config_of`` refuses it).
        valid_from, valid_to: When it counted, ISO 8601; the second is None while it does.
        created_by: Who planned with it first, or brought it back.
    """

    id: int
    document: Any
    valid_from: str
    valid_to: str | None
    created_by: str | None


def record_config_version(
    connection: Connection, config: SchedulerConfig, now: str, created_by: str | None = None
) -> int:
    """Return the id of the version that holds this configuration, within a transaction of the caller.

    The current version, the one without ``valid_to``, stays if its content is the same; otherwise it ends now
    and a new one begins. An older version with this content is not brought back, so that the versions tell
    what counted when.

    Args:
        connection: In a transaction.
        config: The configuration.
        now: When it counts from.
        created_by: Who is on record; None: the operating system's user.
    """
    document = json.dumps(config.document(), sort_keys=True, ensure_ascii=False)
    current = connection.execute(
        "SELECT id, config_data FROM config_versions WHERE config_type = ? AND valid_to IS NULL "
        "ORDER BY id DESC LIMIT 1",
        (CONFIG_TYPE,),
    )
    if current and current[0][1] == document:
        return int(current[0][0])
    connection.execute(
        "UPDATE config_versions SET valid_to = ? WHERE config_type = ? AND valid_to IS NULL",
        (now, CONFIG_TYPE),
    )
    ((version_id,),) = connection.execute(
        "INSERT INTO config_versions (config_type, config_data, valid_from, created_at, created_by) "
        "VALUES (?, ?, ?, ?, ?) RETURNING id",
        (CONFIG_TYPE, document, now, now, created_by or _user()),
    )
    return int(version_id)


def read_config_versions(url: str, config: SchedulerConfig) -> list[ConfigVersion]:
    """Return all versions, the latest first.

    Raises:
        DatabaseError: The database cannot be read.
    """
    with database_errors(url), connect(url, config) as connection:
        rows = connection.execute(f"{_VERSIONS_SQL} ORDER BY id DESC", (CONFIG_TYPE,))
    return [_version(row) for row in rows]


def read_config_version(connection: Connection, number: int) -> ConfigVersion | None:
    """Return one version, None if it is not kept, within the transaction of ``connection``."""
    rows = connection.execute(f"{_VERSIONS_SQL} AND id = ?", (CONFIG_TYPE, number))
    return _version(rows[0]) if rows else None


def _version(row: Row) -> ConfigVersion:
    number, text, valid_from, valid_to, created_by = row
    try:
        document = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        document = text
    return ConfigVersion(int(number), document, valid_from or "", valid_to, created_by)


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        # a container's process may run under a number that has no name
        return None

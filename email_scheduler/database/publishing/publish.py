"""Publishing a plan: the planned rows of the database become those of the plan (section 13 of the rules)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from email_scheduler.config import SchedulerConfig
from email_scheduler.database import records
from email_scheduler.database.backups.backup_files import Backup
from email_scheduler.database.backups.make_backup import FinishBackup
from email_scheduler.database.campaign_changes import change_effects, stamp_changes, without_logging
from email_scheduler.database.connections import (
    DRIVER_ERRORS,
    Connection,
    connect,
    constant,
    database_errors,
    display_url,
    label_column,
    read_frame,
    timestamp,
    utc_now,
)
from email_scheduler.database.contact_notes import (
    SeenChanges,
    delete_contact_changes,
    note_address_keys,
    note_contacts_of_another_plan,
)
from email_scheduler.database.lock import PlannerLock
from email_scheduler.database.publishing.losses import accept_or_refuse, valid_contacts_before
from email_scheduler.database.publishing.planned_rows import ReadPlannerRows
from email_scheduler.database.publishing.published_plan import PublishRun
from email_scheduler.database.publishing.schedules import (
    Comparison,
    PublishedSchedules,
    compare_with_database,
    publish_schedules,
)
from email_scheduler.database.records import (
    BREAKS_RULES,
    AcceptedLoss,
    last_published,
    read_runs,
    record_config_version,
)
from email_scheduler.database.tables import contact_campaigns
from email_scheduler.errors import ComplianceError, InputDataError, StalePlanError, UsageError
from email_scheduler.planning import (
    CONTACT_ISSUES,
    EMAIL_SCHEDULES,
    NO_CONTACT,
    TARGET_STATUSES,
    DataNotes,
    FiguresOfPlan,
    Loss,
    Plan,
    PlanInputs,
    checksum,
    common_codes,
    figures_of_plan,
    find_notes,
    judge_loss,
    pack_alike,
    to_hex,
)
from email_scheduler.proof import Proved, find_violations
from email_scheduler.proof.violations import RULES

MOST_DAYS_AHEAD: Final = 7
_STAGED_TARGETS: Final = "planner_target_statuses"
_TARGET_SQL: Final = (
    "UPDATE contact_campaigns SET status = new.status, updated_at = new.updated_at "  # noqa: S608
    f"FROM {_STAGED_TARGETS} AS new WHERE contact_campaigns.id = new.id "
    "AND contact_campaigns.status IN ('pending', 'scheduled')"
)
_logger = logging.getLogger(__name__)


def replace_issues(run: PublishRun, *, batch_rows: int = 50_000) -> bool:
    """Make ``contact_issues`` hold the issues of the plan; True if that took any writing.

    Nothing is written if the table holds these issues already; they keep the run that found them first.

    Args:
        run: The plan that is published.
        batch_rows: About how many issues one transaction removes and writes.

    Raises:
        PlannerLockedError: Another planner has taken the lock over.
    """
    issues = run.plan.issues
    CONTACT_ISSUES.check(issues)
    existing = read_frame(run.connection, CONTACT_ISSUES, "contact_issues")
    run.connection.end_reading()
    if _is_same(issues, existing):
        return False
    issues = issues.iloc[np.argsort(issues["contact_id"].to_numpy(), kind="stable")]
    contact_ids = issues["contact_id"].to_numpy()
    everybody = np.sort(np.concatenate((contact_ids, existing["contact_id"].to_numpy())))
    # each batch ends with a whole contact, and begins where the one before has ended
    lasts = np.unique(np.append(everybody[batch_rows - 1 :: batch_rows], everybody[-1]))
    firsts = np.append(np.iinfo(np.int64).min, lasts[:-1] + 1)
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        start, stop = np.searchsorted(contact_ids, first), np.searchsorted(contact_ids, last, side="right")
        rows = _encode(issues.iloc[start:stop], run.run_id)
        run.transact(partial(_replace_range, run.connection, first, last, rows))
    return True


def _replace_range(connection: Connection, first: int, last: int, rows: pa.Table) -> None:
    connection.execute(
        "DELETE FROM contact_issues WHERE coalesce(contact_id, ?) BETWEEN ? AND ?",
        (NO_CONTACT, first, last),
    )
    connection.append("contact_issues", rows)


def _is_same(issues: pd.DataFrame, existing: pd.DataFrame) -> bool:
    if len(issues) != len(existing):
        return False
    contact_ids = (issues["contact_id"].to_numpy(), existing["contact_id"].to_numpy())
    codes = [common_codes(issues[name], existing[name]) for name in ("field", "issue")]
    keys, existing_keys = pack_alike([contact_ids, *codes])
    return bool((np.sort(keys) == np.sort(existing_keys)).all())


def _encode(issues: pd.DataFrame, run_id: str) -> pa.Table:
    contact_ids = issues["contact_id"].to_numpy()
    return pa.table(
        {
            "contact_id": pa.array(contact_ids, mask=contact_ids == NO_CONTACT),
            "field": label_column(issues["field"]),
            "issue": label_column(issues["issue"]),
            "scheduler_run_id": constant(run_id, len(issues)),
        }
    )


@dataclass(frozen=True)
class PublishResult:
    """What publishing did.

    Attributes:
        run_id: The run that published.
        config_version_id: The row of ``config_versions`` that it was planned with.
        schedules: What became of the planned rows.
        effects: What the changes of campaigns led to that the plan has taken into account
            (``CHANGE_EFFECTS``).
        backup: What was there before; None: no backup was due, or ``pg_dump`` is not installed.
        accepted: What the plan loses, and who has accepted it; None: it does not lose too much.
        notes: What somebody should look at in the data.
    """

    run_id: str
    config_version_id: int
    schedules: PublishedSchedules
    effects: pd.DataFrame
    backup: Backup | None
    accepted: AcceptedLoss | None
    notes: DataNotes


def publish_plan(
    url: str,
    config: SchedulerConfig,
    plan: Plan,
    inputs: PlanInputs,
    lock: PlannerLock,
    existing: ReadPlannerRows,
    *,
    changes: SeenChanges | None = None,
    finish_backup: FinishBackup = lambda: None,
    allow_older: bool = False,
    accept_loss: AcceptedLoss | None = None,
    planned_by: str | None = None,
    proved: Proved | None = None,
    on_phase: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> PublishResult:
    """Prove a plan and publish it, ``processing.batch_size`` contacts in each transaction.

    A contact always has its whole old or its whole new plan, and each transaction makes sure that the planner
    lock is still held. After an error, what some batches have written stays; planning again completes it. The
    run is recorded in ``scheduler_checkpoints`` in any case.

    Args:
        url: The organisation's database; no SQLAlchemy connection to it may be open in this process, nor may
            the callbacks open one.
        config: What the plan was made with.
        plan: The plan.
        inputs: What it was made from.
        lock: The planner lock of the database, held since before the inputs were read.
        existing: Returns the planned rows there (``EXISTING_ROWS``), read while the lock was held.
        changes: As they were when the inputs were read. As soon as all is published, those of campaigns are
            stamped, and the notes of contacts are deleted. None: neither.
        finish_backup: Waits for the backup of the database; called before a planned row is written.
        allow_older: Publish even if a plan for a later date has been published.
        accept_loss: Who accepts that the plan loses too much, and why; None: it is refused if it does.
        planned_by: Who is on record for a configuration that counts from now on; None: the operating
            system's user.
        proved: What was proved already; only a plan and inputs that are the same frames are not proved again.
        on_phase: Told the name of each phase as it begins: prove, compare, write.
        on_progress: Told how many of the contacts that something changes for are written, and how many
            there are.

    Raises:
        InputDataError: A frame of the plan does not keep its contract.
        ComplianceError: The plan breaks a rule; nothing was published.
        StalePlanError: A plan for a later date has been published; nothing was published.
        LossError: The plan loses too much against the one before; nothing was published.
        BackupError: The backup cannot be made; nothing was published.
        PlannerLockedError: Another planner has taken the lock over.
        DatabaseError: The database cannot be read or written.
    """
    EMAIL_SCHEDULES.check(plan.schedules)
    if not plan.schedules["contact_id"].is_monotonic_increasing:
        raise InputDataError(f"frame {EMAIL_SCHEDULES.name}: rows are not in the order of contact_id")
    TARGET_STATUSES.check(plan.target_statuses)
    with database_errors(url), connect(url, config) as connection:
        run = PublishRun(connection, config, plan, inputs, lock, timestamp(utc_now()))
        config_version_id = _start(run, planned_by)
        try:
            if not allow_older:
                _refuse_older(run)
            if proved is None or not proved.covers(inputs, plan.contacts, plan.schedules, config):
                on_phase("prove")
                refuse_violations(plan, inputs, config)
            on_phase("compare")
            comparison = compare_with_database(run, existing())
            seen = changes or SeenChanges.none()
            accepted = accept_or_refuse(plan, _loss(run, comparison, seen.campaigns), accept_loss)
            notes = find_notes(plan, inputs)
            on_phase("finish the backup")
            backup = finish_backup()
            run.transact(lambda: None)
            on_phase("write")
            if seen.checkpoint_id is not None:
                note_contacts_of_another_plan(connection, inputs.contacts, seen.checkpoint_id, run.transact)
            schedules = publish_schedules(run, comparison, on_progress)
            _publish_target_statuses(run)
            replace_issues(run)
            note_address_keys(connection, inputs.contacts, run.transact)
            effects = change_effects(
                seen.campaigns,
                plan.schedules,
                comparison.existing,
                comparison.difference,
                inputs.campaign_instances,
            )
            # the table is not asked again, since it would have to be read as a whole
            figures = figures_of_plan(plan, inputs, config, RULES, schedules.dropped, notes)
            _complete(run, schedules, changes, figures, accepted, allow_older=allow_older)
            delete_contact_changes(connection, seen.contacts, run.transact)
        except BaseException as error:
            _fail(run, error)
            raise
        connection.tidy()
    return PublishResult(run.run_id, config_version_id, schedules, effects, backup, accepted, notes)


def refuse_future(as_of: date, today: date) -> None:
    """Refuse to publish a plan of a day too far ahead, for whoever has not asked for it (section 18).

    Args:
        as_of: The date that the plan is made for.
        today: The date in US Central time.

    Raises:
        UsageError: It is more than ``MOST_DAYS_AHEAD`` days after today.
    """
    days = (as_of - today).days
    if days > MOST_DAYS_AHEAD:
        raise UsageError(
            f"the plan is for {as_of}, {days:,} days after today, {today}: accepted is a date at most"
            f" {MOST_DAYS_AHEAD} days ahead. Nothing would be due before it, and plans of the days before it"
            " would be refused; publishing it has to be asked for (--allow-future)"
        )


def refuse_violations(plan: Plan, inputs: PlanInputs, config: SchedulerConfig) -> None:
    """Prove a plan.

    Raises:
        ComplianceError: The plan breaks a rule; the message says which, and in how many rows.
    """
    violations = find_violations(inputs, plan.contacts, plan.schedules, config)
    if len(violations):
        counts = violations["rule"].astype("str").value_counts().sort_index()
        rules = ", ".join(f"{rule} ({count})" for rule, count in counts.items())
        raise ComplianceError(
            f"the plan for {plan.as_of.isoformat()} {BREAKS_RULES}, so that nothing was published"
            f" and the plan before it stays in force: {rules}"
        )


def _start(run: PublishRun, planned_by: str | None) -> int:
    """Open the record of the run; return the id of its configuration."""
    contacts_checksum = to_hex(checksum(run.inputs.contacts))

    def start() -> int:
        records.close_abandoned_checkpoints(run.connection, run.now)
        config_version_id = record_config_version(run.connection, run.config, run.now, planned_by)
        records.start_checkpoint(
            run.connection,
            run.run_id,
            as_of=run.plan.as_of,
            config_version_id=config_version_id,
            contacts_checksum=contacts_checksum,
            contacts_processed=run.plan.contact_count,
            invalid_contacts=run.plan.contact_count - len(run.plan.contacts),
            now=run.now,
        )
        return config_version_id

    return run.transact(start)


def _refuse_older(run: PublishRun) -> None:
    last = last_published(read_runs(run.connection))
    run.connection.end_reading()
    if last is not None and last.as_of > run.plan.as_of.isoformat():
        raise StalePlanError(
            f"the plan is for {run.plan.as_of.isoformat()}, but one for {last.as_of} has been published to "
            f"{display_url(run.lock.url)}; publishing an older one has to be asked for (--allow-older), after"
            " which it is the plan in force"
        )


def _loss(run: PublishRun, comparison: Comparison, changes: pd.DataFrame) -> Loss:
    runs = read_runs(run.connection)
    run.connection.end_reading()
    return judge_loss(
        run.plan,
        run.inputs,
        valid_contacts_before(runs),
        comparison.existing,
        comparison.difference,
        comparison.taken.rows,
        changes,
        run.config,
    )


def _publish_target_statuses(run: PublishRun) -> None:
    targets = run.plan.target_statuses
    batch_size = run.config.processing.batch_size
    for start in range(0, len(targets), batch_size):
        batch = targets.iloc[start : start + batch_size]
        columns = {
            "status": label_column(batch["status"]),
            "updated_at": constant(run.now, len(batch)),
            "id": pa.array(batch["id"].to_numpy()),
        }
        run.transact(partial(_write_target_statuses, run, pa.table(columns)))


def _write_target_statuses(run: PublishRun, rows: pa.Table) -> None:
    run.connection.stage(_STAGED_TARGETS, rows, contact_campaigns.name)
    with without_logging(run.connection, run.run_id):
        run.connection.execute(_TARGET_SQL)


def _complete(
    run: PublishRun,
    schedules: PublishedSchedules,
    changes: SeenChanges | None,
    figures: FiguresOfPlan,
    accepted: AcceptedLoss | None,
    *,
    allow_older: bool,
) -> None:
    def complete() -> None:
        records.complete_checkpoint(
            run.connection,
            run.run_id,
            schedules_after_checksum=schedules.after_checksum,
            emails_scheduled=schedules.scheduled,
            emails_skipped=schedules.skipped,
            changes=schedules.changes,
            figures=figures,
            accepted=accepted,
            now=timestamp(utc_now()),
        )
        if changes is not None:
            stamp_changes(run.connection, run.run_id, changes.campaigns, replaces_newer=allow_older)

    run.transact(complete)


def _fail(run: PublishRun, error: BaseException) -> None:
    """Close the record of the run; what cannot be recorded must not hide the error itself."""
    try:
        with run.connection.transaction():
            records.fail_checkpoint(run.connection, run.run_id, error, timestamp(utc_now()))
    except DRIVER_ERRORS as failure:
        _logger.warning("run %s: its failure could not be recorded: %s", run.run_id, failure)

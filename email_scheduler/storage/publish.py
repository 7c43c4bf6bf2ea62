"""Publishing a plan: the planned rows of the database become those of the plan (section 13 of the rules)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import adbc_driver_manager
import pyarrow as pa

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import ComplianceError, InputDataError, StalePlanError
from email_scheduler.planning.compliance import find_violations
from email_scheduler.planning.frames import EMAIL_SCHEDULES, TARGET_STATUSES, PlanInputs
from email_scheduler.planning.plan import Plan
from email_scheduler.storage import checkpoints
from email_scheduler.storage.checksums import checksum, to_hex
from email_scheduler.storage.config_versions import record_config_version
from email_scheduler.storage.encoding import constant, label_column
from email_scheduler.storage.engine import (
    AdbcConnection,
    adbc_connection,
    database_errors,
    display_url,
    immediate_transaction,
)
from email_scheduler.storage.issues import replace_issues
from email_scheduler.storage.lock import PlannerLock
from email_scheduler.storage.publish_run import PublishRun
from email_scheduler.storage.publish_schedules import (
    PublishedSchedules,
    compare_with_database,
    publish_schedules,
)
from email_scheduler.storage.sql import execute, execute_for_each, timestamp, utc_now

_TARGET_SQL: Final = (
    "UPDATE contact_campaigns SET status = ?, updated_at = ? "
    "WHERE id = ? AND status IN ('pending', 'scheduled')"
)
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PublishResult:
    """What publishing did.

    Attributes:
        run_id: The run that published.
        config_version_id: The row of ``config_versions`` that it was planned with.
        schedules: What became of the planned rows.
    """

    run_id: str
    config_version_id: int
    schedules: PublishedSchedules


def publish_plan(
    url: str,
    config: SchedulerConfig,
    plan: Plan,
    inputs: PlanInputs,
    lock: PlannerLock,
    *,
    allow_older: bool = False,
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
        allow_older: Publish even if a plan for a later date has been published.
        on_phase: Told the name of each phase as it begins: prove, compare, write.
        on_progress: Told how many of the contacts that something changes for are written, and how many
            there are.

    Raises:
        InputDataError: A frame of the plan does not keep its contract.
        ComplianceError: The plan breaks a rule; nothing was published.
        StalePlanError: A plan for a later date has been published; nothing was published.
        PlannerLockedError: Another planner has taken the lock over.
        DatabaseError: The database cannot be read or written.
    """
    EMAIL_SCHEDULES.check(plan.schedules)
    if not plan.schedules["contact_id"].is_monotonic_increasing:
        raise InputDataError(f"frame {EMAIL_SCHEDULES.name}: rows are not in the order of contact_id")
    TARGET_STATUSES.check(plan.target_statuses)
    with database_errors(url), adbc_connection(url, config) as connection:
        run = PublishRun(connection, config, plan, inputs, lock, timestamp(utc_now()))
        config_version_id = _start(run)
        try:
            on_phase("prove")
            if not allow_older:
                _refuse_older(run)
            refuse_violations(plan, inputs, config)
            on_phase("compare")
            comparison = compare_with_database(run)
            on_phase("write")
            schedules = publish_schedules(run, comparison, on_progress)
            _publish_target_statuses(run)
            replace_issues(run)
            _complete(run, schedules)
        except BaseException as error:
            _fail(run, error)
            raise
        _shorten_wal(connection)
    return PublishResult(run.run_id, config_version_id, schedules)


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
            f"the plan for {plan.as_of.isoformat()} breaks rules, so that nothing was published and the "
            f"plan before it stays in force: {rules}"
        )


def _start(run: PublishRun) -> int:
    """Open the record of the run; return the id of its configuration."""
    contacts_checksum = to_hex(checksum(run.inputs.contacts))

    def start() -> int:
        checkpoints.close_abandoned_checkpoints(run.connection, run.now)
        config_version_id = record_config_version(run.connection, run.config, run.now)
        checkpoints.start_checkpoint(
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
    last_date = checkpoints.last_published_date(run.connection)
    run.connection.rollback()
    if last_date is not None and last_date > run.plan.as_of.isoformat():
        raise StalePlanError(
            f"the plan is for {run.plan.as_of.isoformat()}, but one for {last_date} has been published to "
            f"{display_url(run.lock.url)}; publishing an older one has to be asked for (--allow-older)"
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
        run.transact(partial(execute_for_each, run.connection, _TARGET_SQL, pa.table(columns)))


def _complete(run: PublishRun, schedules: PublishedSchedules) -> None:
    run.transact(
        lambda: checkpoints.complete_checkpoint(
            run.connection,
            run.run_id,
            schedules_after_checksum=schedules.after_checksum,
            emails_scheduled=schedules.scheduled,
            emails_skipped=schedules.skipped,
            summary=schedules.changes.summary(),
            now=timestamp(utc_now()),
        )
    )


def _fail(run: PublishRun, error: BaseException) -> None:
    """Close the record of the run; what cannot be recorded must not hide the error itself."""
    try:
        with immediate_transaction(run.connection):
            checkpoints.fail_checkpoint(run.connection, run.run_id, error, timestamp(utc_now()))
    except adbc_driver_manager.Error as failure:
        _logger.warning("run %s: its failure could not be recorded: %s", run.run_id, failure)


def _shorten_wal(connection: AdbcConnection) -> None:
    """Move the write-ahead log into the database and cut it, as far as nobody is reading it.

    First without keeping other writers waiting; the rest is little, and given up soon.
    """
    try:
        connection.adbc_connection.set_autocommit(True)
        for pragma in ("wal_checkpoint(PASSIVE)", "busy_timeout = 500", "wal_checkpoint(TRUNCATE)"):
            execute(connection, f"PRAGMA {pragma}")
    except adbc_driver_manager.Error as failure:
        _logger.info("the write-ahead log could not be shortened: %s", failure)

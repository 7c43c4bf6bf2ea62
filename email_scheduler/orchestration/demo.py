"""Planning today's partition of one organisation without a daemon: what ``make demo`` does."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import dagster as dg

from email_scheduler.clock import today
from email_scheduler.errors import PlanningError
from email_scheduler.files import make_private_directory
from email_scheduler.health.installation import DAGSTER_HOME, HOME_VARIABLE
from email_scheduler.orchestration import asset_frames
from email_scheduler.orchestration.asset_frames import Frames, plan_of
from email_scheduler.orchestration.partitions import JOB_NAME, Partition
from email_scheduler.planning import Plan

# The file that says how the instance works; the Makefile names the same.
INSTANCE_SETTINGS: Final = Path("config/dagster.yaml")


@dataclass(frozen=True)
class MaterializedPlan:
    """What a run came to.

    Attributes:
        run_id: The run in Dagster.
        plan: The plan.
        changes: Rows added, changed, removed and unchanged by publishing it.
    """

    run_id: str
    plan: Plan
    changes: dict[str, int]


@contextmanager
def lasting_instance(
    home: Path = DAGSTER_HOME, settings: Path = INSTANCE_SETTINGS
) -> Iterator[dg.DagsterInstance]:
    """Open the instance that is kept under ``home``; it is created the first time, private to its owner."""
    make_private_directory(home)
    shutil.copyfile(settings, home / "dagster.yaml")
    before = os.environ.get(HOME_VARIABLE)
    os.environ[HOME_VARIABLE] = str(home.resolve())
    try:
        with dg.DagsterInstance.get() as instance:
            yield instance
    finally:
        if before is None:
            del os.environ[HOME_VARIABLE]
        else:
            os.environ[HOME_VARIABLE] = before


def materialize_today(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    organization: str,
    *,
    on_asset: Callable[[str], None] = lambda _: None,
) -> MaterializedPlan:
    """Materialise today's partition of an organisation with the job ``plan_emails``, in this process.

    Args:
        definitions: The project's.
        instance: Remembers the run.
        organization: The name of the organisation.
        on_asset: Told the name of each step as it begins.

    Raises:
        PlanningError: A step failed; the message is that of the step.
    """
    partition = Partition(today(), organization)
    run_id = str(uuid4())

    def tell(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is not None and event.is_step_start and event.step_key is not None:
            on_asset(event.step_key.replace("_", " "))

    instance.add_event_listener(run_id, tell)
    result = definitions.resolve_job_def(JOB_NAME).execute_in_process(
        # what went wrong is in the error, and everything is in the instance
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        instance=instance,
        partition_key=partition.key,
        run_id=run_id,
        raise_on_error=False,
    )
    if not result.success:
        raise PlanningError(f"run {run_id}: {_why(result)}")
    frames: dict[str, Frames] = {
        name: result.asset_value(name) for name in (asset_frames.CONTACTS, asset_frames.BALANCED_SCHEDULES)
    }
    plan = plan_of(partition.as_of, frames[asset_frames.CONTACTS], frames[asset_frames.BALANCED_SCHEDULES])
    return MaterializedPlan(run_id, plan, _changes(result))


def _changes(result: dg.ExecuteInProcessResult) -> dict[str, int]:
    (published,) = result.asset_materializations_for_node(asset_frames.EMAIL_SCHEDULES)
    return {
        name: int(str(published.metadata[f"rows {name}"].value))
        for name in ("added", "changed", "removed", "unchanged")
    }


def _why(result: dg.ExecuteInProcessResult) -> str:
    """Return what the steps that failed said, in one line."""
    messages = []
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data
            said = failure.user_failure_data.description if failure.user_failure_data else None
            message = failure.error.message if failure.error else None
            messages.append(f"{event.step_key}: {said or message}")
    return " ".join("; ".join(messages).split())

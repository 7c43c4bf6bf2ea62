"""Dagster's records of runs: which belong to this project, and deleting the old ones."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Final

import dagster as dg

from email_scheduler.orchestration.dagster_private import event_file
from email_scheduler.orchestration.partitions import DATE_PARTITION_TAG, ORGANIZATION_PARTITION_TAG

FINISHED: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_PAGE: Final = 500


def location_of(run: dg.DagsterRun) -> str | None:
    """Return the code location that a run belongs to; None if it was not launched from one."""
    origin = run.remote_job_origin
    return None if origin is None else origin.location_name


def is_of_location(run: dg.DagsterRun, location: str | None) -> bool:
    """Tell whether a run belongs to a code location, as far as both are known."""
    return location is None or location_of(run) in {None, location}


def delete_old_runs(
    instance: dg.DagsterInstance, before: datetime, first_kept_date: date, location: str | None
) -> int:
    """Delete the records of runs that ended long ago: events, materialisations and logs of their steps.

    Kept are the runs of partitions whose frames are kept, and the last successful run of each job and
    organisation.

    Args:
        instance: The Dagster instance.
        before: Runs that ended before this moment are old.
        first_kept_date: The first date of partitions whose frames are kept.
        location: The code location whose runs are meant; None: all.

    Returns:
        How many runs were deleted.
    """
    # looked up before anything is deleted: a page begins behind a run that is there
    old = [run for run in _ended(instance, before) if is_of_location(run, location)]
    last: dict[tuple[str, str | None], str | None] = {}
    deleted = 0
    for run in old:
        day = run.tags.get(DATE_PARTITION_TAG)
        kind = (run.job_name, run.tags.get(ORGANIZATION_PARTITION_TAG))
        if day is not None and day >= first_kept_date.isoformat():
            continue
        if kind not in last:
            last[kind] = _last_success(instance, *kind)
        if run.run_id != last[kind]:
            _delete(instance, run.run_id)
            deleted += 1
    return deleted


def _ended(instance: dg.DagsterInstance, before: datetime) -> Iterator[dg.DagsterRun]:
    cursor = None
    which = dg.RunsFilter(statuses=FINISHED, updated_before=before)
    while runs := instance.get_runs(filters=which, limit=_PAGE, cursor=cursor):
        yield from runs
        cursor = runs[-1].run_id


def _last_success(instance: dg.DagsterInstance, job_name: str, organization: str | None) -> str | None:
    tags = {} if organization is None else {ORGANIZATION_PARTITION_TAG: organization}
    which = dg.RunsFilter(job_name=job_name, tags=tags, statuses=[dg.DagsterRunStatus.SUCCESS])
    runs = instance.get_runs(filters=which, limit=1)
    return runs[0].run_id if runs else None


def _delete(instance: dg.DagsterInstance, run_id: str) -> None:
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    file = event_file(instance, run_id)
    if file is not None:
        # it stays when its events are deleted
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{file}{suffix}").unlink()

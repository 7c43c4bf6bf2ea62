"""The run worker is killed at a random moment: the next run brings the table to exactly the plan."""

import random
import time
from collections import Counter
from pathlib import Path

import dagster as dg

from email_scheduler.clock import today
from email_scheduler.database.records import COMPLETED, FAILED
from email_scheduler_tests.dagster_project import Project, project, wait
from email_scheduler_tests.faults.report import only_by_make_faults, record, repetitions
from email_scheduler_tests.integration.dagster_organizations import ORGANIZATIONS, database

NORTH, _ = ORGANIZATIONS
# Transactions of a few contacts each, so that there are many moments at which a plan is half written.
SMALL_BATCHES = "processing:\n  batch_size: 3\n"
SEED = 20260308


@only_by_make_faults
def test_a_run_worker_killed_at_a_random_moment_leaves_nothing_that_the_next_run_does_not_mend(
    tmp_path: Path,
) -> None:
    random_moments = random.Random(SEED)
    count = repetitions(20, 1)
    seen: Counter[str] = Counter()
    with project(tmp_path) as made:
        with (made.config / "scheduler.yaml").open("a") as file:
            file.write(SMALL_BATCHES)
        rows = 0
        for attempt in range(count):
            seen[kill_a_run(made, random_moments, attempt)] += 1
            rows = plan_again(made)
        abandoned = [message for status, message in made.checkpoints(NORTH) if status == FAILED]
        assert all("ended without saying how" in message for message in abandoned)
        assert len(abandoned) == seen["while it wrote"]
        assert not list((tmp_path / "frames").rglob("*.unfinished"))
    record(
        "Dagster run worker killed (`kill -9`) at a random moment",
        "launching the partition again gives exactly the plan; the record of the killed run is closed as"
        " failed; no half-written file is taken for a whole one",
        f"{count} runs of `plan_emails`, each in a process of its own (`dagster api execute_run`), killed at"
        " random moments, each followed by another run",
        f"{count} times the table was the plan made afresh ({rows:,} rows, none different); killed"
        f" {', '.join(f'{what}: {times}' for what, times in sorted(seen.items()))};"
        f" {len(abandoned)} records closed as failed, none left open, no unfinished file left",
    )


def kill_a_run(made: Project, random_moments: random.Random, attempt: int) -> str:
    """Start a run for another plan than the one that is there, kill it, and say what it was doing."""
    forget_the_plan(made)
    run = made.create_run(NORTH, today())
    before = len(made.checkpoints(NORTH))
    worker = made.start_worker(run)
    if attempt % 2:
        wait(lambda: steps_begun(made, run) > 0 or worker.poll() is not None, "the first step begins")
        time.sleep(random_moments.uniform(0, 2))
    else:
        wait(lambda: len(made.checkpoints(NORTH)) > before or worker.poll() is not None, "it publishes")
        time.sleep(random_moments.uniform(0, 1.5))
    worker.kill()
    worker.wait(60)
    records = made.checkpoints(NORTH)[before:]
    if not records:
        return "before it wrote"
    return "after the plan was there" if records[0][0] == COMPLETED else "while it wrote"


def forget_the_plan(made: Project) -> None:
    """Take away a part of the planned rows and change another, so that a run has much to write."""
    with database(made.url(NORTH)) as connection:
        connection.execute(
            "DELETE FROM email_schedules WHERE status IN ('pre-scheduled', 'skipped') AND contact_id % 3 = 0"
        )
        connection.execute(
            "UPDATE email_schedules SET email_template = 'older' WHERE status = 'pre-scheduled'"
            " AND contact_id % 3 = 1"
        )


def plan_again(made: Project) -> int:
    run = made.create_run(NORTH, today())
    assert made.start_worker(run).wait(240) == 0, made.messages(run.run_id)
    assert made.status(run) == dg.DagsterRunStatus.SUCCESS
    differences, rows = made.differences(NORTH, today())
    assert differences == 0
    assert rows > 1000
    records = made.checkpoints(NORTH)
    assert records[-1][0] == COMPLETED
    assert {status for status, _ in records} <= {COMPLETED, FAILED}
    return rows


def steps_begun(made: Project, run: dg.DagsterRun) -> int:
    return len(made.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START))

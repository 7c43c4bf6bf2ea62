"""Three launches of one partition at the same time leave one plan."""

from collections import Counter
from pathlib import Path

from email_scheduler.clock import today
from email_scheduler.database.records import COMPLETED, FAILED, STARTED
from email_scheduler_tests.dagster_project import project
from email_scheduler_tests.faults.report import only_by_make_faults, record, repetitions
from email_scheduler_tests.integration.dagster_organizations import ORGANIZATIONS, database

NORTH, _ = ORGANIZATIONS
LAUNCHES = 3


@only_by_make_faults
def test_three_launches_of_one_partition_at_the_same_time_leave_one_plan(tmp_path: Path) -> None:
    rounds = repetitions(5, 1)
    ended: Counter[str] = Counter()
    rows = 0
    with project(tmp_path) as made:
        for _ in range(rounds):
            with database(made.url(NORTH)) as connection:
                connection.execute("DELETE FROM email_schedules WHERE status IN ('pre-scheduled', 'skipped')")
            # past Dagster's queue, which would have them wait for each other
            runs = [made.create_run(NORTH, today()) for _ in range(LAUNCHES)]
            workers = [made.start_worker(run) for run in runs]
            for run, worker in zip(runs, workers, strict=True):
                if worker.wait(300) == 0:
                    ended["succeeded"] += 1
                else:
                    assert "another planner holds the database" in made.messages(run.run_id)
                    ended["waited for the planner lock in vain, and said so"] += 1
            differences, rows = made.differences(NORTH, today())
            assert differences == 0
            assert duplicates(made.url(NORTH)) == 0
            assert not list((tmp_path / "frames").rglob("*.unfinished"))
        statuses = Counter(status for status, _ in made.checkpoints(NORTH))
        assert statuses[COMPLETED] == ended["succeeded"] >= rounds
        assert statuses[FAILED] == statuses[STARTED] == 0
    record(
        "three identical launches of one partition at the same time",
        "one plan; no error but a clear one of the planner lock",
        f"{rounds} times {LAUNCHES} run workers (`dagster api execute_run`) started at once, past Dagster's"
        " queue",
        f"{'; '.join(f'{count} {what}' for what, count in sorted(ended.items()))}; {rounds} times the table"
        f" was the plan made afresh ({rows:,} rows), no occurrence twice",
    )


def duplicates(url: str) -> int:
    with database(url) as connection:
        ((count,),) = connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM email_schedules WHERE status IN ('pre-scheduled', 'skipped')"
            " GROUP BY contact_id, email_type, event_year, campaign_instance_id, initial_email_id"
            " HAVING count(*) > 1)"
        )
    return int(count)

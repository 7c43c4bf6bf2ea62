"""Days of the clock changes, midnight, and a machine that slept over the hour of the plan."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import dagster as dg
import pytest

from email_scheduler import clock
from email_scheduler.clock import TIME_ZONE, today
from email_scheduler.database.records import COMPLETED
from email_scheduler.definitions import build_definitions
from email_scheduler.orchestration import partitions as jobs
from email_scheduler.orchestration.partitions import JOB_NAME, SCHEDULE_NAME, SchedulerResource
from email_scheduler.orchestration.sensors import MISSED_SENSOR
from email_scheduler_tests.dagster_private import (
    InstigatorTick,
    IWorkspaceProcessContext,
    TickStatus,
    WorkspaceFileTarget,
    create_test_daemon_workspace_context,
    launch_scheduled_runs,
    schedule_execution_time_iterator,
)
from email_scheduler_tests.dagster_project import Project, project
from email_scheduler_tests.faults.report import only_by_make_faults, record, repetitions
from email_scheduler_tests.integration.dagster_organizations import (
    ORGANIZATIONS,
    failure_messages,
    run_job,
    write_configuration,
)

# The moments of 05:00 US Central time, by hand: UTC-6 in winter, UTC-5 in summer.
TICKS = {
    "2026-03-07": "2026-03-07T11:00Z",
    "2026-03-08": "2026-03-08T10:00Z",
    "2026-03-09": "2026-03-09T10:00Z",
    "2026-10-31": "2026-10-31T10:00Z",
    "2026-11-01": "2026-11-01T11:00Z",
    "2026-11-02": "2026-11-02T11:00Z",
    "2027-03-13": "2027-03-13T11:00Z",
    "2027-03-14": "2027-03-14T10:00Z",
    "2027-03-15": "2027-03-15T10:00Z",
    "2027-11-06": "2027-11-06T10:00Z",
    "2027-11-07": "2027-11-07T11:00Z",
    "2027-11-08": "2027-11-08T11:00Z",
}
# The last second of a day and the first one of the next, and whose they are.
MIDNIGHTS = {
    "2026-03-08T05:59:59Z": "2026-03-07",
    "2026-03-08T06:00:00Z": "2026-03-08",
    "2026-03-09T04:59:59Z": "2026-03-08",
    "2026-03-09T05:00:00Z": "2026-03-09",
    "2026-11-01T04:59:59Z": "2026-10-31",
    "2026-11-01T05:00:00Z": "2026-11-01",
    "2026-11-02T05:59:59Z": "2026-11-01",
    "2026-11-02T06:00:00Z": "2026-11-02",
    "2027-03-14T05:59:59Z": "2027-03-13",
    "2027-03-14T06:00:00Z": "2027-03-14",
    "2027-03-15T04:59:59Z": "2027-03-14",
    "2027-03-15T05:00:00Z": "2027-03-15",
    "2027-11-07T04:59:59Z": "2027-11-06",
    "2027-11-07T05:00:00Z": "2027-11-07",
    "2027-11-08T05:59:59Z": "2027-11-07",
    "2027-11-08T06:00:00Z": "2027-11-08",
}


def test_around_each_clock_change_every_day_is_planned_once_at_five_and_has_one_partition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions = build_definitions(write_configuration(tmp_path))
    schedule = definitions.resolve_schedule_def(SCHEDULE_NAME)
    repository = definitions.get_repository_def()
    partitions = definitions.resolve_job_def(JOB_NAME).partitions_def
    assert partitions is not None
    keys = [str(key) for key in partitions.get_partition_keys(current_time=datetime(2028, 1, 1, tzinfo=UTC))]
    for first in ("2026-03-07", "2026-10-31", "2027-03-13", "2027-11-06"):
        days = [date.fromisoformat(first) + timedelta(days=offset) for offset in range(3)]
        monkeypatch.setattr(jobs, "today", lambda day=days[0]: day)
        found = []
        start = datetime.combine(days[0], time(), TIME_ZONE)
        for moment in schedule_execution_time_iterator(
            start.timestamp(), schedule.cron_schedule, schedule.execution_timezone, ascending=True
        ):
            if moment.astimezone(TIME_ZONE).date() > days[-1]:
                break
            with dg.DagsterInstance.ephemeral() as instance:
                context = dg.build_schedule_context(instance, moment, repository_def=repository)
                requests = schedule.evaluate_tick(context).run_requests or []
            found.append((moment.timestamp(), [str(each.partition_key) for each in requests]))
        assert found == [
            (
                datetime.fromisoformat(TICKS[day.isoformat()]).timestamp(),
                [f"{day}|{name}" for name in ORGANIZATIONS],
            )
            for day in days
        ]
        for day in days:
            assert [key for key in keys if key.startswith(day.isoformat())] == [
                f"{day}|{name}" for name in ORGANIZATIONS
            ]
    record(
        "the days on which the clocks change",
        "one plan a day for each organisation, at the configured hour as the clock on the wall shows it",
        f"the ticks of {len(TICKS)} days around the four changes of 2026 and 2027, against moments in UTC"
        " worked out by hand",
        f"{len(TICKS)} of {len(TICKS)} days: one tick at 05:00 US Central, one partition an organisation",
    )


def test_the_date_of_a_plan_changes_at_midnight_central_time_whatever_the_clock_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for moment, day in MIDNIGHTS.items():
        monkeypatch.setattr(clock, "datetime", clock_at(moment))
        assert clock.today().isoformat() == day, moment
    record(
        "midnight on the days on which the clocks change",
        "the date of a plan is that of US Central time",
        f"{len(MIDNIGHTS)} moments in UTC, one second before and at midnight",
        f"{len(MIDNIGHTS)} of {len(MIDNIGHTS)} have the date worked out by hand",
    )


def clock_at(moment: str) -> type[datetime]:
    class At(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.fromisoformat(moment).astimezone(tz)  # type: ignore[arg-type]

    return At


def test_after_sleeping_over_two_ticks_only_the_plan_of_today_is_made_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    # one minute after midnight, so that the tick of today is over whenever this runs
    with project(tmp_path, orchestration='  daily_plan_time: "00:01"\n') as made, workspace(made) as context:
        midnight = datetime.combine(today(), time(), TIME_ZONE)
        look(context, midnight - timedelta(days=2, hours=3))
        assert runs(made) == []
        # woken before the hour of today: yesterday's tick is the last one, and its day is over
        look(context, midnight + timedelta(seconds=30))
        assert runs(made) == []
        (missed,) = ticks(made)
        assert missed.status == TickStatus.SKIPPED
        assert missed.skip_reason == (
            f"{today() - timedelta(days=1)} is over, and its plan was missed: there will be none for it"
        )
        # the hour of today comes; then again, minute after minute
        for minutes in (1, 2, 3, 60):
            look(context, midnight + timedelta(minutes=minutes, seconds=5))
        expected = [f"{today()}|{name}" for name in ORGANIZATIONS]
        assert runs(made) == expected
        # the other watchman sees that these runs wait
        assert [missed_plans(made) for _ in range(4)] == [[], [], [], []]
        for name in ORGANIZATIONS[: repetitions(2, 0)]:
            result = run_job(made.definitions, made.instance, name, today())
            assert result.success, failure_messages(result)
            assert made.differences(name, today())[0] == 0
            assert [status for status, _ in made.checkpoints(name)] == [COMPLETED]
        for run in made.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])):
            made.instance.delete_run(run.run_id)
        still_missing = {str(key) for _ in range(4) for key in missed_plans(made)}
        assert still_missing == {f"{today()}|{name}" for name in ORGANIZATIONS[repetitions(2, 0) :]}
    record(
        "the machine sleeps over two hours of the plan",
        "today's plan is made once; none is made of yesterday with what is read today",
        "Dagster's scheduler, two ticks missed, woken before today's hour and after it; then the sensor"
        " `missed_plans`",
        "yesterday's tick skipped with its reason, one run of today's partition for each organisation, none"
        " asked for by `missed_plans`",
    )


@only_by_make_faults
def test_woken_after_the_hour_of_today_the_scheduler_asks_for_today_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    with project(tmp_path) as made, workspace(made) as context:
        midnight = datetime.combine(today(), time(), TIME_ZONE)
        look(context, midnight - timedelta(days=2, hours=3))
        look(context, midnight + timedelta(hours=6))
        look(context, midnight + timedelta(hours=7))
        assert runs(made) == [f"{today()}|{name}" for name in ORGANIZATIONS]


@contextmanager
def workspace(made: Project) -> Iterator[IWorkspaceProcessContext]:
    target = WorkspaceFileTarget([str(made.directory / "workspace.yaml")])
    with create_test_daemon_workspace_context(target, made.instance) as context:
        yield context


def look(context: IWorkspaceProcessContext, moment: datetime) -> None:
    """Let Dagster's scheduler look at its clock."""
    for error in launch_scheduled_runs(context, logging.getLogger(__name__), moment.astimezone(UTC), {}):
        assert error is None


def runs(made: Project) -> list[str]:
    return sorted(run.tags["dagster/partition"] for run in made.plan_runs())


def ticks(made: Project) -> list[InstigatorTick]:
    return [
        tick
        for state in made.instance.all_instigator_state()
        if state.instigator_name == SCHEDULE_NAME
        for tick in made.instance.get_ticks(state.instigator_origin_id, state.selector_id)
    ]


_cursors: dict[Path, str | None] = {}


def missed_plans(made: Project) -> list[str]:
    with dg.build_sensor_context(
        made.instance,
        cursor=_cursors.get(made.directory),
        definitions=made.definitions,
        resources={"scheduler": SchedulerResource(config_directory=str(made.config))},
    ) as context:
        result = made.definitions.resolve_sensor_def(MISSED_SENSOR).evaluate_tick(context)
    _cursors[made.directory] = result.cursor
    return [str(each.partition_key) for each in result.run_requests or []]

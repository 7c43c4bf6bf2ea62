"""The daily schedule: its ticks across clock changes, and one tick under a real daemon."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from email_scheduler.clock import TIME_ZONE, today
from email_scheduler.definitions import build_definitions
from email_scheduler.orchestration.demo import INSTANCE_SETTINGS, lasting_instance, materialize_today
from email_scheduler.orchestration.partitions import SCHEDULE_NAME, Partition
from email_scheduler_tests.dagster_private import schedule_execution_time_iterator
from email_scheduler_tests.dagster_project import project, wait
from email_scheduler_tests.integration.dagster_organizations import (
    ORGANIZATIONS,
    generate_organizations,
    settings_of,
    table_rows,
    write_configuration,
)

REPOSITORY = Path(__file__).parents[2]
SETTINGS = REPOSITORY / INSTANCE_SETTINGS


@pytest.mark.parametrize("time_of_day", ["05:00", "02:30", "01:30"])
@pytest.mark.parametrize("change", [date(2026, 3, 8), date(2026, 11, 1)])
def test_each_day_has_one_run_an_organisation_across_clock_changes(
    tmp_path: Path, change: date, time_of_day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("email_scheduler.orchestration.partitions.today", lambda: change - timedelta(days=2))
    config = write_configuration(tmp_path, orchestration=f'  daily_plan_time: "{time_of_day}"\n')
    definitions = build_definitions(config)
    start = datetime.combine(change - timedelta(days=2), datetime.min.time(), TIME_ZONE)
    ticks = ticks_of(definitions, start, days=5)
    requests = [(request.partition_key, request.tags["organization"]) for tick in ticks for request in tick]
    expected = [
        (Partition(change + timedelta(days=offset), name).key, name)
        for offset in range(-2, 3)
        for name in ORGANIZATIONS
    ]
    assert requests == expected


def ticks_of(definitions: dg.Definitions, start: datetime, days: int) -> Iterator[list[dg.RunRequest]]:
    schedule = definitions.resolve_schedule_def(SCHEDULE_NAME)
    repository = definitions.get_repository_def()
    times = schedule_execution_time_iterator(
        start.timestamp(), schedule.cron_schedule, schedule.execution_timezone, ascending=True
    )
    for moment in times:
        if moment.astimezone(TIME_ZONE).date() >= start.date() + timedelta(days=days):
            return
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_schedule_context(instance, moment, repository_def=repository)
            yield list(schedule.evaluate_tick(context).run_requests or [])


def test_the_schedule_runs_from_the_start_at_five_in_the_morning_central_time(tmp_path: Path) -> None:
    schedule = build_definitions(write_configuration(tmp_path)).resolve_schedule_def(SCHEDULE_NAME)
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 5 * * *", "America/Chicago")


def test_the_first_partition_is_the_configured_start_and_the_last_one_today(tmp_path: Path) -> None:
    orchestration = "  partitions_start_date: 2026-01-15\n"
    job = build_definitions(write_configuration(tmp_path, orchestration=orchestration)).resolve_job_def(
        "plan_emails"
    )
    keys = job.partitions_def.get_partition_keys()
    assert keys[0] == Partition(date(2026, 1, 15), "northwind").key
    assert keys[-1] == Partition(today(), "southwind").key


def test_the_go_live_date_is_the_first_partition_where_no_start_is_configured(tmp_path: Path) -> None:
    config = write_configuration(tmp_path)
    with (config / "scheduler.yaml").open("a") as file:
        file.write("go_live_date: 2026-02-03\n")
    keys = build_definitions(config).resolve_job_def("plan_emails").partitions_def.get_partition_keys()
    assert keys[0] == Partition(date(2026, 2, 3), "northwind").key


def test_the_instance_settings_allow_one_run_an_organisation(tmp_path: Path) -> None:
    with lasting_instance(tmp_path / "home", SETTINGS) as instance:
        limits = instance.get_concurrency_config().run_queue_config.tag_concurrency_limits
        assert {limit["key"]: limit["limit"] for limit in limits} == {
            "dagster/partition/organization": 1,
            "organization": 1,
        }
        assert all(limit["value"] == {"applyLimitPerUniqueValue": True} for limit in limits)
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert instance.run_monitoring_enabled
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0


def test_planning_today_through_dagster_twice_changes_nothing_the_second_time(tmp_path: Path) -> None:
    config = write_configuration(tmp_path)
    generate_organizations(config)
    definitions = build_definitions(config)
    seen: list[str] = []
    with lasting_instance(tmp_path / "home", SETTINGS) as instance:
        first = materialize_today(definitions, instance, "southwind", on_asset=seen.append)
        again = materialize_today(definitions, instance, "southwind")
        runs = {run.run_id: run.status for run in instance.get_runs()}
    assert "balanced schedules" in seen
    assert first.changes["added"] == len(first.plan.schedules) > 1000
    assert again.changes == {"added": 0, "changed": 0, "removed": 0, "unchanged": len(first.plan.schedules)}
    assert runs == dict.fromkeys((first.run_id, again.run_id), dg.DagsterRunStatus.SUCCESS)
    url, _ = settings_of(config, "southwind")
    assert len(table_rows(url)) > len(first.plan.schedules)


def test_a_tick_under_a_real_daemon_plans_every_organisation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    # the minute that begins 65 to 125 seconds from now: the daemon has to be up by then
    due = datetime.now(TIME_ZONE) + timedelta(seconds=125)
    plan_time = f'  daily_plan_time: "{due:%H:%M}"\n'
    with project(tmp_path, orchestration=plan_time, as_of=due.date()) as made:
        made.start_daemon()
        wait(
            lambda: len(made.plan_runs()) >= len(ORGANIZATIONS) and made.have_ended(),
            "the organisations are planned",
            patience=400,
        )
        runs = made.plan_runs()
        assert {run.tags["organization"]: run.status for run in runs} == dict.fromkeys(
            ORGANIZATIONS, dg.DagsterRunStatus.SUCCESS
        )
        assert {run.tags["dagster/schedule_name"] for run in runs} == {SCHEDULE_NAME}
        assert {run.tags["dagster/partition/date"] for run in runs} == {due.date().isoformat()}
        for name in ORGANIZATIONS:
            assert any(row[9] == "pre-scheduled" for row in table_rows(settings_of(made.config, name)[0]))

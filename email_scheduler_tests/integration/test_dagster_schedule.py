"""The daily schedule: its ticks across clock changes, and one tick under a real daemon."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from email_scheduler.clock import TIME_ZONE, today
from email_scheduler.definitions import build_definitions
from email_scheduler.orchestration.demo import INSTANCE_SETTINGS, lasting_instance, materialize_today
from email_scheduler.orchestration.jobs import SCHEDULE_NAME
from email_scheduler.orchestration.partitions import Partition
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
    monkeypatch.setattr("email_scheduler.orchestration.jobs.today", lambda: change - timedelta(days=2))
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
    due = datetime.now(TIME_ZONE) + timedelta(seconds=100)
    config = write_configuration(tmp_path, orchestration=f'  daily_plan_time: "{due:%H:%M}"\n')
    generate_organizations(config, due.date())
    (tmp_path / "project.py").write_text(
        "from pathlib import Path\n"
        "from email_scheduler.definitions import build_definitions\n"
        f"defs = build_definitions(Path({str(config)!r}))\n"
    )
    (tmp_path / "workspace.yaml").write_text("load_from:\n  - python_file: project.py\n")
    home = tmp_path / "home"
    home.mkdir()
    shutil.copyfile(SETTINGS, home / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "DAGSTER_DISABLE_TELEMETRY": "yes"}
    # the storage is made before the daemon starts: two that make it at the same time stumble over each other
    with dg.DagsterInstance.get() as instance, (tmp_path / "daemon.log").open("w") as log:
        daemon = subprocess.Popen(
            [str(Path(sys.executable).parent / "dagster-daemon"), "run", "-w", "workspace.yaml"],
            cwd=tmp_path,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            runs = wait_for_runs(instance, len(ORGANIZATIONS), seconds=400)
        finally:
            daemon.terminate()
            daemon.wait(60)
    log_text = (tmp_path / "daemon.log").read_text()
    assert {run.tags["organization"]: run.status for run in runs} == dict.fromkeys(
        ORGANIZATIONS, dg.DagsterRunStatus.SUCCESS
    ), log_text[-5000:]
    assert {run.tags["dagster/schedule_name"] for run in runs} == {SCHEDULE_NAME}
    assert {run.tags["dagster/partition/date"] for run in runs} == {due.date().isoformat()}
    for name in ORGANIZATIONS:
        assert any(row[9] == "pre-scheduled" for row in table_rows(settings_of(config, name)[0]))


def wait_for_runs(instance: dg.DagsterInstance, count: int, seconds: float) -> list[dg.DagsterRun]:
    """Wait for the plans of organisations; what looks after their health may run at the same time."""
    give_up = datetime.now(UTC) + timedelta(seconds=seconds)
    while True:
        runs = [run for run in instance.get_runs() if "organization" in run.tags]
        if len(runs) >= count and all(run.is_finished for run in runs):
            return runs
        if datetime.now(UTC) > give_up:
            return runs
        time.sleep(1)

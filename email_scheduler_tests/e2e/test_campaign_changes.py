"""Changes of campaigns under a real daemon: soon after each, the plan is the right one."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import dagster as dg

from email_scheduler.clock import today
from email_scheduler.orchestration.sensors import CHANGES_SENSOR
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.dagster_project import REPOSITORY, project, wait
from email_scheduler_tests.integration.dagster_organizations import ORGANIZATIONS, settings_of

NORTH, SOUTH = ORGANIZATIONS


def test_a_change_by_the_command_line_and_one_by_plain_sql_each_lead_to_a_run_and_changed_rows(
    tmp_path: Path,
) -> None:
    with project(tmp_path) as made:
        databases = {}
        for name in ORGANIZATIONS:
            url, settings = settings_of(made.config, name)
            plan_and_publish(url, settings, today())
            databases[name] = Path(url.removeprefix("sqlite:///"))
        made.start_daemon()
        wait(lambda: ticks(made.instance) > 0, "the sensor looks")
        begin = time.monotonic()
        change_by_the_command_line(made.config, databases[NORTH])
        change_by_plain_sql(databases[SOUTH])
        seconds = {}
        for name in ORGANIZATIONS:
            wait(lambda name=name: is_planned(databases[name]), f"{name} is planned")
            seconds[name] = time.monotonic() - begin
        wait(made.have_ended, "the runs end")
        runs = made.plan_runs()
    print("seconds from the change to the plan:", json.dumps(seconds))
    assert {run.tags["organization"]: run.status for run in runs} == dict.fromkeys(
        ORGANIZATIONS, dg.DagsterRunStatus.SUCCESS
    )
    assert {run.tags["dagster/sensor_name"] for run in runs} == {CHANGES_SENSOR}
    assert len(runs) == len(ORGANIZATIONS)
    for database in databases.values():
        assert query(database, "SELECT count(*) FROM email_schedules WHERE email_template = 'by_hand'") > 5


def change_by_the_command_line(config: Path, database: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-c", "from email_scheduler.cli import main; main()"),
            *("campaigns", "instances", "change", "1", "email_template=by_hand"),
            *("--database", f"sqlite:///{database}", "--config", str(config / "scheduler.yaml")),
        ],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=True,
        timeout=60,
    )


def change_by_plain_sql(database: Path) -> None:
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        connection.execute("UPDATE campaign_instances SET email_template = 'by_hand' WHERE id = 1")


def is_planned(database: Path) -> bool:
    """Tell whether a plan has taken the change into account."""
    return query(database, "SELECT count(*) FROM campaign_change_log WHERE processed_run_id IS NOT NULL") == 1


def query(database: Path, sql: str) -> int:
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        ((count,),) = connection.execute(sql).fetchall()
    return int(count)


def ticks(instance: dg.DagsterInstance) -> int:
    return sum(
        len(instance.get_ticks(state.instigator_origin_id, state.selector_id))
        for state in instance.all_instigator_state()
        if state.instigator_name == CHANGES_SENSOR
    )

"""Changes of campaigns under a real daemon: soon after each, the plan is the right one."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import dagster as dg
import pytest

from email_scheduler.clock import today
from email_scheduler.operations.planning_run import plan_and_publish
from email_scheduler.orchestration.demo import INSTANCE_SETTINGS
from email_scheduler.orchestration.sensors import CHANGES_SENSOR
from email_scheduler_tests.integration.dagster_organizations import (
    ORGANIZATIONS,
    generate_organizations,
    settings_of,
    write_configuration,
)

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
NORTH, SOUTH = ORGANIZATIONS
# As seen on a busy machine with two cores; nothing waits longer than it has to.
PATIENCE_SECONDS = 240


def test_a_change_by_the_command_line_and_one_by_plain_sql_each_lead_to_a_run_and_changed_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_configuration(tmp_path)
    generate_organizations(config)
    databases = {}
    for name in ORGANIZATIONS:
        url, settings = settings_of(config, name)
        plan_and_publish(url, settings, today())
        databases[name] = Path(url.removeprefix("sqlite:///"))
    with daemon(tmp_path, config, monkeypatch) as instance:
        wait(lambda: ticks(instance) > 0, "the sensor looks")
        begin = time.monotonic()
        change_by_the_command_line(config, databases[NORTH])
        change_by_plain_sql(databases[SOUTH])
        seconds = {
            name: wait(lambda name=name: is_planned(databases[name]), f"{name} is planned") - begin
            for name in ORGANIZATIONS
        }
        wait(lambda: all(run.is_finished for run in instance.get_runs()), "the runs end")
        # what looks after the health of the organisations may run at the same time
        runs = [run for run in instance.get_runs() if "organization" in run.tags]
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


@contextmanager
def daemon(directory: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Run the daemon over a project of its own."""
    (directory / "project.py").write_text(
        "from pathlib import Path\n"
        "from email_scheduler.definitions import build_definitions\n"
        f"defs = build_definitions(Path({str(config)!r}))\n"
    )
    (directory / "workspace.yaml").write_text("load_from:\n  - python_file: project.py\n")
    home = directory / "home"
    home.mkdir()
    shutil.copyfile(REPOSITORY / INSTANCE_SETTINGS, home / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    log = directory / "daemon.log"
    # the storage is made before the daemon starts: two that make it at the same time stumble over each other
    with dg.DagsterInstance.get() as instance, log.open("w") as output:
        process = subprocess.Popen(
            [str(PROGRAMS / "dagster-daemon"), "run", "-w", "workspace.yaml"],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "DAGSTER_DISABLE_TELEMETRY": "yes"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield instance
        except BaseException as error:
            error.add_note(f"{log.name}:\n{log.read_text()[-5000:]}")
            raise
        finally:
            process.terminate()
            process.wait(60)


def ticks(instance: dg.DagsterInstance) -> int:
    return sum(
        len(instance.get_ticks(state.instigator_origin_id, state.selector_id))
        for state in instance.all_instigator_state()
        if state.instigator_name == CHANGES_SENSOR
    )


def wait(until: Callable[[], bool], what: str) -> float:
    """Wait until something holds; return when that was."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not until():
        if time.monotonic() > give_up:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(0.3)
    return time.monotonic()

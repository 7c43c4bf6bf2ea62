"""Whatever is stored of one organisation: its runs end in our words, and the others go on."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_scheduler.clock import today
from email_scheduler.definitions import build_definitions
from email_scheduler.orchestration.partitions import SchedulerResource
from email_scheduler.proof.violations import RULES
from email_scheduler_tests.databases import Database, replace_rows
from email_scheduler_tests.hostile_values import hostile_examples
from email_scheduler_tests.integration.dagster_organizations import (
    ORGANIZATIONS,
    QUIET,
    failure_messages,
    generate_organizations,
    run_job,
    write_configuration,
)
from email_scheduler_tests.integration.spoilt_rows import TABLES, spoilt

NORTH, SOUTH = ORGANIZATIONS
NORTH_VARIABLE = "NORTH_DATABASE_URL"
# What an error is called that is raised on purpose.
OURS = ("InputDataError: ", "LossError: ", "StalePlanError: ", "DatabaseError: ")


def test_rows_of_one_organisation_end_no_run_but_its_own_and_that_in_words(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_configuration(tmp_path, orchestration='  daily_plan_time: "00:00"\n')
    organizations = config / "organizations.yaml"
    own = f"database: sqlite:///{tmp_path / NORTH}.db"
    assert own in organizations.read_text()
    organizations.write_text(organizations.read_text().replace(own, f"database_env: {NORTH_VARIABLE}"))
    monkeypatch.setenv(NORTH_VARIABLE, database.url)
    generate_organizations(config)
    rows = {name: database.rows(f"SELECT * FROM {name} LIMIT 60") for name in TABLES}
    definitions = build_definitions(config)
    jobs = [job.name for job in definitions.jobs or []]
    assert len(jobs) > 2

    @hostile_examples(2)
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        replace_rows(database, spoilt(rows, seed), are_taken=False)
        with dg.DagsterInstance.ephemeral() as instance:
            planned = run_job(definitions, instance, NORTH, today())
            said = failure_messages(planned)
            if planned.success:
                passed = {check.check_name: check.passed for check in planned.get_asset_check_evaluations()}
                assert all(passed[rule] for rule in RULES), (seed, passed)
            else:
                assert any(ours in said for ours in OURS), (seed, said)
            others = run_job(definitions, instance, SOUTH, today())
            assert others.success, (seed, failure_messages(others))
            for name in jobs:
                job = definitions.resolve_job_def(name)
                if job.partitions_def is None:
                    done = job.execute_in_process(run_config=QUIET, instance=instance, raise_on_error=False)
                    assert done.success, (seed, name, failure_messages(done))
            for sensor in definitions.sensors or []:
                with dg.build_sensor_context(
                    instance,
                    definitions=definitions,
                    resources={"scheduler": SchedulerResource(config_directory=str(config))},
                ) as context:
                    found = definitions.resolve_sensor_def(sensor.name).evaluate_tick(context)
                assert f"{SOUTH} could not be looked at" not in (found.skip_message or ""), (
                    seed,
                    sensor.name,
                )
                # whatever it is, somebody has thought of it
                for error in ("TypeError", "ValueError", "KeyError", "AttributeError", "OverflowError"):
                    assert error not in (found.skip_message or ""), (seed, found.skip_message)
            for schedule in definitions.schedules or []:
                at = dg.build_schedule_context(
                    instance, datetime.now(UTC), repository_def=definitions.get_repository_def()
                )
                definitions.resolve_schedule_def(schedule.name).evaluate_tick(at)

    check()

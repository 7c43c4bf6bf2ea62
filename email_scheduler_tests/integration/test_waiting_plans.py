"""A plan that loses too much, materialised: it waits for a person, and nobody starts it again by himself."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from email_scheduler.clock import today
from email_scheduler.definitions import build_definitions
from email_scheduler.health.figures import plan_record
from email_scheduler.orchestration.checks import LOSES_TOO_MUCH_TAG
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.integration.dagster_organizations import (
    database,
    failure_messages,
    generate_organizations,
    run_job,
    settings_of,
    table_rows,
    write_configuration,
)

NORTH = "northwind"
ACCEPTED = {"accept_loss": {"by": "ann", "reason": "the agency was split"}}


class Agency:
    """An organisation with a published plan of yesterday that has lost two of three contacts since."""

    def __init__(self, directory: Path, instance: dg.DagsterInstance) -> None:
        self.config = write_configuration(directory, reporting="enabled: true")
        self.reports = directory / "reports" / NORTH
        generate_organizations(self.config, today() - timedelta(days=1))
        self.url, self.settings = settings_of(self.config, NORTH)
        plan_and_publish(self.url, self.settings, today() - timedelta(days=1))
        with database(self.url) as connection:
            connection.execute("DELETE FROM contacts WHERE id % 3 <> 0")
        self.definitions = build_definitions(self.config)
        self.instance = instance

    def run(self, *assets: str, **ops: object) -> dg.ExecuteInProcessResult:
        return run_job(self.definitions, self.instance, NORTH, today(), *assets, ops=ops)


@pytest.fixture
def agency(tmp_path: Path) -> Iterator[Agency]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Agency(tmp_path, instance)


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    return next(each for each in result.get_asset_check_evaluations() if each.check_name == "loses_too_much")


def retries(result: dg.ExecuteInProcessResult) -> list[dg.DagsterEvent]:
    return [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]


def test_a_plan_that_loses_too_much_is_stopped_by_the_check_and_waits(agency: Agency) -> None:
    before = table_rows(agency.url)
    result = agency.run()
    assert not result.success
    check = check_of(result)
    assert not check.passed
    assert check.blocking
    metadata = {name: value.value for name, value in check.metadata.items()}
    assert metadata["valid contacts"] < metadata["valid contacts before"] / 2
    assert metadata["emails lost"] > metadata["emails planned before"] / 2
    assert "| contacts that are gone |" in str(metadata["what is lost"])
    assert "accept_loss in the run configuration" in str(metadata["found"])
    assert not result.asset_materializations_for_node("email_schedules")
    (made,) = result.asset_materializations_for_node("balanced_schedules")
    assert made.metadata["waits for a person"].value == metadata["found"]
    assert table_rows(agency.url) == before
    run = agency.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags[LOSES_TOO_MUCH_TAG] == today().isoformat()
    assert plan_record(agency.url, agency.settings, today()).is_waiting
    page = (agency.reports / f"{today() - timedelta(days=1)}.html").read_text()
    assert "A plan waits for a person" in page


def test_publishing_refuses_it_all_the_same(agency: Agency) -> None:
    before = table_rows(agency.url)
    agency.run()
    alone = agency.run("email_schedules")
    assert not alone.success
    assert "LossError: the plan for" in failure_messages(alone)
    assert not retries(alone)
    assert table_rows(agency.url) == before


@pytest.mark.parametrize("asset", ["balanced_schedules", "email_schedules"])
def test_a_loss_that_is_accepted_is_published(agency: Agency, asset: str) -> None:
    agency.run()
    result = agency.run(**{asset: ACCEPTED})
    assert result.success, failure_messages(result)
    check = check_of(result)
    assert check.passed
    assert (check.metadata["accepted by"].value, check.metadata["reason"].value) == (
        "ann",
        "the agency was split",
    )
    (published,) = result.asset_materializations_for_node("email_schedules")
    assert "the plan was accepted by ann (" in str(published.metadata["accepted loss"].value)
    assert not plan_record(agency.url, agency.settings, today()).is_waiting
    assert "The plan was accepted by ann (" in (agency.reports / f"{today()}.html").read_text()
    run = agency.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert LOSES_TOO_MUCH_TAG not in run.tags


def test_the_plan_that_waits_can_be_published_as_it_is(agency: Agency) -> None:
    agency.run()
    result = agency.run("email_schedules", email_schedules=ACCEPTED)
    assert result.success, failure_messages(result)
    with database(agency.url) as connection:
        ((left,),) = connection.execute(
            "SELECT count(*) FROM email_schedules WHERE status = 'pre-scheduled' AND contact_id % 3 <> 0"
        )
    assert left == 0


def test_a_loss_is_not_accepted_without_a_reason(agency: Agency) -> None:
    result = agency.run(email_schedules={"accept_loss": {"by": "ann", "reason": " "}})
    assert not result.success
    assert "a reason, which is blank here" in failure_messages(result)


def test_an_older_partition_is_not_compared_with_a_newer_plan(agency: Agency) -> None:
    plan_and_publish(agency.url, lenient(agency), today() + timedelta(days=1))
    with database(agency.url) as connection:
        connection.execute("DELETE FROM contacts WHERE id % 9 <> 0")
    result = agency.run()
    assert check_of(result).passed
    assert "StalePlanError" in failure_messages(result)
    assert not plan_record(agency.url, agency.settings, today()).is_waiting


def lenient(agency: Agency):
    return agency.settings.model_validate(
        {**agency.settings.model_dump(), "guard": {"max_contact_loss_share": 1, "max_email_loss_share": 1}}
    )

"""The sensors over real databases: what they ask for, whom they leave alone, what a run notes."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from email_scheduler.campaigns.selections import ById
from email_scheduler.campaigns.service import Campaigns
from email_scheduler.clock import today
from email_scheduler.database.holds import hold_organization
from email_scheduler.definitions import build_definitions
from email_scheduler.orchestration.checks import BREAKS_RULES_TAG
from email_scheduler.orchestration.partitions import (
    DATE_PARTITION_TAG,
    ORGANIZATION_PARTITION_TAG,
    Partition,
    SchedulerResource,
)
from email_scheduler.orchestration.sensors import (
    CHANGES_SENSOR,
    CONTACTS_SENSOR,
    LOOKS_BEFORE_MISSED,
    LOOKS_BEFORE_RETRY,
    MISSED_SENSOR,
    Cursor,
)
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.dagster_private import (
    JobPythonOrigin,
    ModuleCodePointer,
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
    RepositoryPythonOrigin,
    SensorExecutionData,
)
from email_scheduler_tests.hostile_urls import SECRET, SOME_HOSTILE_URLS, make_loop
from email_scheduler_tests.integration.dagster_organizations import (
    ORGANIZATIONS,
    database,
    failure_messages,
    generate_organizations,
    run_job,
    settings_of,
    write_configuration,
)

NORTH, SOUTH = ORGANIZATIONS
POINTER = ModuleCodePointer("email_scheduler.definitions", "defs")
ALWAYS_AFTER = '  daily_plan_time: "00:00"\n'


@dataclass
class Watched:
    """Two organisations, and the sensors that look at them."""

    config: Path
    instance: dg.DagsterInstance
    cursors: dict[str, str | None] = field(default_factory=dict)

    def look(self, sensor: str) -> list[dg.RunRequest]:
        return list(self.tick(sensor).run_requests or [])

    def tick(self, sensor: str) -> SensorExecutionData:
        definitions = build_definitions(self.config)
        found = definitions.resolve_sensor_def(sensor)
        with dg.build_sensor_context(
            self.instance,
            cursor=self.cursors.get(sensor),
            definitions=definitions,
            resources={"scheduler": SchedulerResource(config_directory=str(self.config))},
        ) as context:
            result = found.evaluate_tick(context)
        self.cursors[sensor] = result.cursor
        return result

    def looks(self, count: int, sensor: str) -> list[str]:
        """Return the organisations that runs were asked for."""
        return [request.tags["organization"] for _ in range(count) for request in self.look(sensor)]

    def url(self, organization: str) -> str:
        return settings_of(self.config, organization)[0]

    def change(self, organization: str, template: str = "another") -> None:
        service = Campaigns(self.url(organization), settings_of(self.config, organization)[1])
        service.change_instance("1", email_template=template)

    def write(self, organization: str, statement: str) -> None:
        with closing(sqlite3.connect(self.url(organization).removeprefix("sqlite:///"))) as connection:
            connection.execute(statement)
            connection.commit()

    def add_run(self, organization: str, status: dg.DagsterRunStatus) -> dg.DagsterRun:
        job = build_definitions(self.config).resolve_job_def("plan_emails")
        tags = {DATE_PARTITION_TAG: today().isoformat(), ORGANIZATION_PARTITION_TAG: organization}
        location = RegisteredCodeLocationOrigin("project")
        origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job.name)
        return self.instance.create_run_for_job(
            job,
            status=status,
            tags=tags,
            remote_job_origin=origin,
            job_code_origin=JobPythonOrigin(job.name, RepositoryPythonOrigin(sys.executable, POINTER)),
        )


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sensors")
    generate_organizations(write_configuration(directory))
    return directory


@pytest.fixture
def watched(generated: Path, tmp_path: Path) -> Iterator[Watched]:
    config = write_configuration(tmp_path, orchestration=ALWAYS_AFTER)
    for name in ORGANIZATIONS:
        (tmp_path / f"{name}.db").write_bytes((generated / f"{name}.db").read_bytes())
    with dg.DagsterInstance.ephemeral() as instance:
        yield Watched(config, instance)


def test_a_change_leads_to_one_run_of_todays_partition_of_its_organisation(watched: Watched) -> None:
    assert watched.looks(3, CHANGES_SENSOR) == []
    watched.change(NORTH)
    requests = [*watched.look(CHANGES_SENSOR), *watched.look(CHANGES_SENSOR)]
    assert [request.partition_key for request in requests] == [Partition(today(), NORTH).key]
    assert requests[0].run_key.startswith(f"{NORTH}/1@")
    assert requests[0].tags["organization"] == NORTH
    assert watched.looks(3, CHANGES_SENSOR) == []


def test_contacts_that_are_edited_lead_to_one_run_however_many_they_are(watched: Watched) -> None:
    assert watched.looks(3, CONTACTS_SENSOR) == []
    watched.write(NORTH, "UPDATE contacts SET zip_code = '10001' WHERE id <= 20")
    requests = [*watched.look(CONTACTS_SENSOR), *watched.look(CONTACTS_SENSOR)]
    assert [request.partition_key for request in requests] == [Partition(today(), NORTH).key]
    assert watched.looks(3, CONTACTS_SENSOR) == []
    watched.write(NORTH, "UPDATE contacts SET first_name = 'X' WHERE id = 30")
    assert watched.looks(3, CONTACTS_SENSOR) == []
    watched.write(NORTH, "UPDATE contacts SET zip_code = '90210' WHERE id = 3")
    assert watched.looks(3, CONTACTS_SENSOR) == [NORTH]


def test_a_generated_sample_has_no_changes_that_wait(watched: Watched) -> None:
    tick = watched.tick(CHANGES_SENSOR)
    assert tick.skip_message == "nothing has changed"


def test_each_of_several_organisations_with_changes_gets_a_run(watched: Watched) -> None:
    for name in ORGANIZATIONS:
        watched.change(name)
    assert watched.looks(2, CHANGES_SENSOR) == [NORTH, SOUTH]


def test_an_organisation_that_cannot_be_reached_neither_stops_the_others_nor_loses_its_place(
    watched: Watched,
) -> None:
    for name in ORGANIZATIONS:
        watched.change(name)
    watched.look(CHANGES_SENSOR)
    place = Cursor.read(watched.cursors[CHANGES_SENSOR]).positions[NORTH]
    file = Path(watched.url(NORTH).removeprefix("sqlite:///"))
    file.rename(file.with_suffix(".away"))
    assert watched.looks(1, CHANGES_SENSOR) == [SOUTH]
    tick = watched.tick(CHANGES_SENSOR)
    assert f"{NORTH} could not be looked at" in (tick.skip_message or "")
    assert Cursor.read(tick.cursor).positions[NORTH] == place
    file.with_suffix(".away").rename(file)
    assert watched.looks(1, CHANGES_SENSOR) == [NORTH]


def test_an_organisation_whose_configuration_is_broken_does_not_stop_the_others(watched: Watched) -> None:
    watched.change(SOUTH)
    file = watched.config / "organizations.yaml"
    file.write_text(file.read_text().replace(f"database: {watched.url(NORTH)}", "database_env: NOT_SET"))
    assert watched.looks(2, CHANGES_SENSOR) == [SOUTH]


@pytest.mark.parametrize("url", SOME_HOSTILE_URLS)
def test_an_organisation_whose_url_cannot_be_used_blinds_no_sensor_for_the_others(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    make_loop(tmp_path)
    monkeypatch.chdir(tmp_path)
    watched.change(SOUTH)
    watched.write(SOUTH, "UPDATE contacts SET zip_code = '10001' WHERE id = 3")
    file = watched.config / "organizations.yaml"
    file.write_text(
        file.read_text().replace(f"database: {watched.url(NORTH)}", "database_env: NORTH_DATABASE")
    )
    monkeypatch.setenv("NORTH_DATABASE", url)
    for sensor in (CHANGES_SENSOR, CONTACTS_SENSOR, MISSED_SENSOR):
        tick = watched.tick(sensor)
        assert f"{NORTH} could not be looked at: " in (tick.skip_message or "")
        assert SECRET not in (tick.skip_message or "")
        assert watched.looks(LOOKS_BEFORE_MISSED, sensor) == [SOUTH]


@pytest.mark.parametrize("sensor", [CHANGES_SENSOR, CONTACTS_SENSOR, MISSED_SENSOR])
def test_an_error_that_nobody_expected_blinds_no_sensor_for_the_others(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, sensor: str
) -> None:
    real = SchedulerResource.organization

    def organization(self: SchedulerResource, name: str) -> object:
        if name == NORTH:
            raise ArithmeticError(SECRET)
        return real(self, name)

    watched.change(SOUTH)
    watched.write(SOUTH, "UPDATE contacts SET zip_code = '10001' WHERE id = 3")
    monkeypatch.setattr(SchedulerResource, "organization", organization)
    assert f"{NORTH} could not be looked at: ArithmeticError" in (watched.tick(sensor).skip_message or "")
    assert watched.looks(LOOKS_BEFORE_MISSED, sensor) == [SOUTH]


@pytest.mark.parametrize("sensor", [CHANGES_SENSOR, CONTACTS_SENSOR, MISSED_SENSOR])
def test_a_sensor_begins_afresh_with_a_cursor_that_it_cannot_read(watched: Watched, sensor: str) -> None:
    watched.cursors[sensor] = "[" * 5000
    watched.look(sensor)
    assert Cursor.read(watched.cursors[sensor]).last == SOUTH


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTED])
def test_a_run_of_today_that_waits_or_is_under_way_is_waited_for(
    watched: Watched, status: dg.DagsterRunStatus
) -> None:
    run = watched.add_run(NORTH, status)
    for name in ORGANIZATIONS:
        watched.change(name)
    assert watched.looks(6, CHANGES_SENSOR) == [SOUTH]
    watched.instance.delete_run(run.run_id)
    assert watched.looks(1, CHANGES_SENSOR) == [NORTH]


def test_the_run_stamps_what_it_saw_and_says_what_each_change_led_to(watched: Watched) -> None:
    url, settings = settings_of(watched.config, NORTH)
    plan_and_publish(url, settings, today())
    service = Campaigns(url, settings)
    service.change_instance("1", email_template="another")
    service.target("2", ById([1, 2, 3]), trigger_date=today() + timedelta(days=40))
    result = run_job(build_definitions(watched.config), watched.instance, NORTH, today())
    assert result.success, failure_messages(result)
    (published,) = result.asset_materializations_for_node("email_schedules")
    assert published.metadata["campaign changes"].value == 2
    table = published.metadata["contacts and rows by campaign change"].value.splitlines()
    first = [cell.strip() for cell in table[2].strip("|").split("|")]
    with database(url) as connection:
        ((rows, contacts),) = connection.execute(
            "SELECT count(*), count(DISTINCT contact_id) FROM email_schedules"
            " WHERE email_template = 'another'"
        )
        runs = {row[0] for row in connection.execute("SELECT processed_run_id FROM campaign_change_log")}
    assert rows > 5
    assert first[:4] == ["1", "rate_increase", "1", "email_template"]
    assert int(first[4]) >= contacts > 5
    assert int(first[6]) == rows
    assert len(table) == 4
    assert runs == {published.metadata["planner run"].value}


def test_what_changes_between_reading_and_publishing_makes_one_more_run(watched: Watched) -> None:
    definitions = build_definitions(watched.config)
    watched.change(NORTH, "first")
    inputs = ("contacts", "campaigns", "email_history", "engagement")
    planning = (
        "exclusion_windows",
        "anniversary_schedules",
        "campaign_schedules",
        "follow_ups",
        "balanced_schedules",
        "email_schedules",
    )
    read = run_job(definitions, watched.instance, NORTH, today(), *inputs)
    watched.change(NORTH, "second")
    published = run_job(definitions, watched.instance, NORTH, today(), *planning)
    assert read.success
    assert published.success, failure_messages(published)
    assert watched.looks(2, CHANGES_SENSOR) == [NORTH]
    assert run_job(definitions, watched.instance, NORTH, today()).success
    assert watched.looks(3, CHANGES_SENSOR) == []


def test_a_deleted_cursor_plans_nothing_twice(watched: Watched) -> None:
    watched.change(NORTH)
    watched.looks(2, CHANGES_SENSOR)
    assert run_job(build_definitions(watched.config), watched.instance, NORTH, today()).success
    watched.cursors.clear()
    assert watched.looks(5, CHANGES_SENSOR) == []


def test_a_missed_plan_is_started_and_a_plan_of_today_is_not(watched: Watched) -> None:
    plan_and_publish(*settings_of(watched.config, SOUTH), today())
    requests = [request for _ in range(LOOKS_BEFORE_MISSED) for request in watched.look(MISSED_SENSOR)]
    assert [(each.partition_key, each.run_key) for each in requests] == [
        (Partition(today(), NORTH).key, f"{NORTH}/{today().isoformat()}/1")
    ]


def test_no_plan_is_missed_before_the_hour_of_the_schedule(watched: Watched) -> None:
    file = watched.config / "scheduler.yaml"
    file.write_text(file.read_text().replace("00:00", "23:59"))
    assert watched.looks(LOOKS_BEFORE_MISSED + 1, MISSED_SENSOR) == []


def test_no_plan_is_missed_before_the_first_partition(watched: Watched) -> None:
    with (watched.config / "scheduler.yaml").open("a") as file:
        file.write(f"go_live_date: {today() + timedelta(days=3)}\n")
    watched.change(NORTH)
    for sensor in (MISSED_SENSOR, CHANGES_SENSOR):
        assert watched.looks(4, sensor) == []
        assert "the first plan is that of" in (watched.tick(sensor).skip_message or "")


def test_a_held_organisation_is_planned_all_the_same(watched: Watched) -> None:
    hold_organization(watched.url(NORTH), "complaint")
    watched.change(NORTH)
    assert watched.looks(2, CHANGES_SENSOR) == [NORTH]
    assert NORTH in watched.looks(LOOKS_BEFORE_MISSED, MISSED_SENSOR)


def test_a_plan_that_broke_a_rule_is_not_started_again_by_itself(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_and_publish(*settings_of(watched.config, SOUTH), today())
    monkeypatch.setattr(
        "email_scheduler.orchestration.assets.check_plan",
        lambda basis, inputs, plan, stretches: broken(check_plan(basis, inputs, plan, stretches)),
    )
    from email_scheduler.orchestration.checks import check_plan

    result = run_job(build_definitions(watched.config), watched.instance, NORTH, today())
    assert not result.success
    run = watched.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags[BREAKS_RULES_TAG] == today().isoformat()
    assert watched.looks(LOOKS_BEFORE_MISSED + 20, MISSED_SENSOR) == []


def test_a_plan_that_waits_for_a_person_is_not_started_again_until_a_campaign_changes(
    watched: Watched,
) -> None:
    for name in ORGANIZATIONS:
        plan_and_publish(*settings_of(watched.config, name), today() - timedelta(days=name == NORTH))
    with database(watched.url(NORTH)) as connection:
        connection.execute("DELETE FROM contacts WHERE id > 60")
    watched.change(NORTH)
    assert watched.looks(2, CHANGES_SENSOR) == [NORTH]
    result = run_job(build_definitions(watched.config), watched.instance, NORTH, today())
    assert not result.success
    # neither because the plan is missing, nor because the change that it has seen is still pending
    assert watched.looks(LOOKS_BEFORE_MISSED + 20, MISSED_SENSOR) == []
    assert watched.looks(LOOKS_BEFORE_RETRY + 20, CHANGES_SENSOR) == []
    watched.change(NORTH, "yet another")
    assert watched.looks(2, CHANGES_SENSOR) == [NORTH]


def broken(results: list[dg.AssetCheckResult]) -> list[dg.AssetCheckResult]:
    return [each._replace(passed=False) if each.check_name == "frequency" else each for each in results]


def test_both_sensors_are_on_from_the_start_like_the_schedule(watched: Watched) -> None:
    definitions = build_definitions(watched.config)
    for name in (CHANGES_SENSOR, MISSED_SENSOR):
        sensor = definitions.resolve_sensor_def(name)
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
        assert len(sensor.description or "") > 40

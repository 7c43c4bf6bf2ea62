"""Health, maintenance and alerts in Dagster, over real databases and a real instance on disk."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import fsspec
import pytest

from email_scheduler.clock import TIME_ZONE, today
from email_scheduler.database.records import AcceptedLoss
from email_scheduler.definitions import build_definitions
from email_scheduler.errors import LossError
from email_scheduler.health import delivery
from email_scheduler.health.installation import parquet_sizes
from email_scheduler.orchestration.alerts import ALERTS_SENSOR
from email_scheduler.orchestration.asset_frames import delete_old_partitions
from email_scheduler.orchestration.dagster_runs import delete_old_runs
from email_scheduler.orchestration.maintenance import HEALTH_JOB, MAINTENANCE_JOB
from email_scheduler.orchestration.partitions import (
    DATE_PARTITION_TAG,
    ORGANIZATION_PARTITION_TAG,
    SchedulerResource,
)
from email_scheduler.orchestration.sensors import MISSED_SENSOR, MOST_ATTEMPTS
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.dagster_private import SensorExecutionData
from email_scheduler_tests.hostile_urls import SECRET, SOME_HOSTILE_URLS, make_loop
from email_scheduler_tests.integration.dagster_organizations import (
    ORGANIZATIONS,
    QUIET,
    database,
    failure_messages,
    generate_organizations,
    run_job,
    settings_of,
    write_configuration,
)
from email_scheduler_tests.integration.test_delivery import Mailbox, WebServer, mail_server, slow_server

NORTH, SOUTH = ORGANIZATIONS
FAR_AWAY = datetime.now(UTC) + timedelta(days=1)


@dataclass
class Project:
    """Two organisations, an instance on disk, and a web server that is told about incidents."""

    config: Path
    instance: dg.DagsterInstance
    server: WebServer
    cursors: dict[str, str | None] = field(default_factory=dict)

    @cached_property
    def definitions(self) -> dg.Definitions:
        return build_definitions(self.config)

    def url(self, organization: str) -> str:
        return settings_of(self.config, organization)[0]

    def move_away(self, organization: str) -> Path:
        file = Path(self.url(organization).removeprefix("sqlite:///"))
        return file.rename(file.with_suffix(".away"))

    def run(self, job: str) -> dg.ExecuteInProcessResult:
        result = self.definitions.resolve_job_def(job).execute_in_process(
            run_config=QUIET, instance=self.instance, raise_on_error=False
        )
        assert result.success, failure_messages(result)
        return result

    def plan(self, organization: str) -> dg.ExecuteInProcessResult:
        return run_job(self.definitions, self.instance, organization, today())

    def tick(self, sensor: str = ALERTS_SENSOR) -> SensorExecutionData:
        with dg.build_sensor_context(
            self.instance,
            cursor=self.cursors.get(sensor),
            definitions=self.definitions,
            resources={"scheduler": SchedulerResource(config_directory=str(self.config))},
        ) as context:
            result = self.definitions.resolve_sensor_def(sensor).evaluate_tick(context)
        self.cursors[sensor] = result.cursor
        return result

    def told(self) -> list[str]:
        """Return what one look of the sensor tells."""
        before = len(self.server.posts)
        self.tick()
        return [
            ("over: " if notice["is_resolved"] else "") + notice["title"]
            for body in self.server.posts[before:]
            for notice in body["notices"]
        ]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("upkeep")
    generate_organizations(write_configuration(directory))
    return directory


@pytest.fixture
def project(generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    config = write_configuration(tmp_path, orchestration='  daily_plan_time: "00:00"\n')
    for name in ORGANIZATIONS:
        (tmp_path / f"{name}.db").write_bytes((generated / f"{name}.db").read_bytes())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    server = WebServer()
    with server.running() as url, dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setenv("ALERT_WEBHOOK", url)
        yield Project(config, instance, server)


def tell(project: Project, *, deadline: str = "23:59") -> None:
    """Name the web server as the one to tell; without warnings, of which the sample has some."""
    with (project.config / "scheduler.yaml").open("a") as file:
        file.write(
            "health: {disk_used_share: {degraded: null, unhealthy: null}}\n"
            f'alerts: {{plan_deadline: "{deadline}", include_warnings: false,'
            " webhook: {url_env: ALERT_WEBHOOK}}\n"
        )


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (materialization,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in materialization.metadata.items()}


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def test_one_run_looks_at_the_health_of_all_and_the_check_fails_if_one_is_unhealthy(
    project: Project,
) -> None:
    tell(project)
    for name in ORGANIZATIONS:
        plan_and_publish(*settings_of(project.config, name), today())
    healthy = project.run(HEALTH_JOB)
    assert check_of(healthy).passed
    project.move_away(NORTH)
    result = project.run(HEALTH_JOB)
    assert not check_of(result).passed
    found = metadata(result, "organization_health")
    assert found["status"] == "unhealthy"
    by_name = {each["organization"]: each for each in found["figures"]["organizations"]}
    assert (by_name[NORTH]["status"], by_name[SOUTH]["status"]) == ("unhealthy", "healthy")
    assert by_name[SOUTH]["figures"]["plan"]["contacts"] == 300


def test_an_organisation_whose_url_cannot_be_used_keeps_nobody_from_the_upkeep_of_the_others(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(project, deadline="00:00")
    plan_and_publish(*settings_of(project.config, SOUTH), today())
    make_loop(tmp_path)
    monkeypatch.chdir(tmp_path)
    url_of_north = project.url(NORTH)
    plan_and_publish(*settings_of(project.config, NORTH), today())
    assert project.told() == []
    file = project.config / "organizations.yaml"
    file.write_text(file.read_text().replace(f"database: {url_of_north}", "database_env: NORTH_DATABASE"))
    for url in SOME_HOSTILE_URLS:
        monkeypatch.setenv("NORTH_DATABASE", url)
        found = metadata(project.run(HEALTH_JOB), "organization_health")
        by_name = {each["organization"]: each for each in found["figures"]["organizations"]}
        assert (by_name[NORTH]["status"], by_name[SOUTH]["status"]) == ("unhealthy", "healthy")
        assert SECRET not in json.dumps(found["figures"])
    found = metadata(project.run(MAINTENANCE_JOB), "maintenance")
    assert f"| {SOUTH} " in found["deleted"]
    assert NORTH in found["not done"]
    assert SECRET not in found["not done"]
    assert f"{NORTH}: unhealthy" in project.told()
    assert SECRET not in json.dumps(project.server.posts)


def test_maintenance_deletes_what_is_old_and_says_how_much(project: Project) -> None:
    url = project.url(SOUTH)
    with database(url) as connection:
        connection.execute(
            "INSERT INTO scheduler_checkpoints (scheduler_run_id, status, as_of_date, completed_at)"
            " VALUES ('old', 'failed', '2020-01-01', '2020-01-01T00:00:00+00:00')"
        )
        taken = connection.execute("SELECT count(*) FROM email_schedules").fetchone()
    project.move_away(NORTH)
    frames = project.config.parent / "frames"
    first_kept = today() - timedelta(days=30)
    days = [first_kept - timedelta(days=400), first_kept - timedelta(days=1), first_kept, today()]
    for day in days:
        place = frames / "contacts" / day.isoformat() / SOUTH
        place.mkdir(parents=True)
        (place / "valid_contacts.parquet").write_bytes(b"x" * 1_000_000)
    pages = project.config.parent / "reports" / SOUTH
    pages.mkdir(parents=True)
    oldest = today() - timedelta(days=90)
    kept = {f"{day}.html" for day in (oldest, today())} | {"2020-01-01.txt"}
    for page in {*kept, f"{oldest - timedelta(days=1)}.html", "2020-01-01.html"}:
        (pages / page).touch()
    for other in ("contacts/notes", "elsewhere/2020-01-01"):
        (frames / other).mkdir(parents=True)
    result = project.run(MAINTENANCE_JOB)
    assert {each.name for each in (frames / "contacts").iterdir()} == {
        "notes",
        first_kept.isoformat(),
        today().isoformat(),
    }
    assert (frames / "elsewhere" / "2020-01-01").exists()
    assert {each.name for each in pages.iterdir()} == kept
    found = metadata(result, "maintenance")
    assert found["deleted rows"] == 1
    lines = {tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in found["deleted"].splitlines()}
    assert ("frames", "days of assets", "2", "4.00 MB", "2.00 MB") in lines
    assert (SOUTH, "scheduler_checkpoints", "1", "", "") in lines
    assert (SOUTH, "report pages", "2", "", "0.00 MB") in lines
    assert any(line[:3] == (SOUTH, "database", "1") and line[3].endswith(" MB") for line in lines)
    # one that cannot be reached stops nobody else, and is named
    assert not check_of(result).passed
    assert NORTH in found["not done"]
    with database(url) as connection:
        assert connection.execute("SELECT count(*) FROM email_schedules").fetchone() == taken


def test_sizes_of_frames_are_found_at_relative_absolute_and_other_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "frames" / "contacts" / "2026-11-23" / NORTH
    place.mkdir(parents=True)
    (place / "valid_contacts.parquet").write_bytes(b"x" * 123)
    monkeypatch.chdir(tmp_path)
    assert parquet_sizes("frames") == parquet_sizes(str(tmp_path / "frames")) == {NORTH: 123}
    with fsspec.open("memory://upkeep/contacts/2026-11-23/south/a.parquet", "wb") as file:
        file.write(b"x" * 45)
    assert parquet_sizes("memory://upkeep") == {"south": 45}
    assert delete_old_partitions("memory://upkeep", today() + timedelta(days=1)) == 1
    assert parquet_sizes("memory://upkeep") == {}
    assert parquet_sizes("nonsense://upkeep") is None


def test_the_records_of_old_runs_go_with_their_files_but_not_those_of_kept_partitions(
    project: Project, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    job = build_definitions(project.config).resolve_job_def(HEALTH_JOB)
    tags = {DATE_PARTITION_TAG: today().isoformat(), ORGANIZATION_PARTITION_TAG: NORTH}

    def files_of(run_id: str) -> list[Path]:
        return [path for path in home.rglob("*") if run_id in path.name]

    overrides = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(home), overrides) as instance:

        def run(**tags_of_partition: str) -> str:
            result = job.execute_in_process(
                run_config=QUIET, instance=instance, tags={**tags_of_partition}, raise_on_error=False
            )
            assert result.success
            return result.run_id

        old, last = run(), run()
        planned = [run(**tags), run(**tags)]
        assert files_of(old)
        # the partition of today is kept, whenever its runs ended; the last run of the job is the one of today
        assert delete_old_runs(instance, FAR_AWAY, today(), None) == 2
        assert files_of(old) == files_of(last) == []
        assert {each.run_id for each in instance.get_runs()} == set(planned)
        # when it is not kept any more, the last run of its organisation is
        assert delete_old_runs(instance, FAR_AWAY, today() + timedelta(days=1), None) == 1
        assert [each.run_id for each in instance.get_runs()] == planned[1:]
        event = instance.get_latest_materialization_event(dg.AssetKey("organization_health"))
        assert event is not None
        assert event.run_id == planned[1]
        assert delete_old_runs(instance, datetime.now(UTC) - timedelta(days=1), today(), None) == 0


def test_runs_of_other_code_locations_stay(project: Project) -> None:
    for _ in range(2):
        project.run(HEALTH_JOB)
    runs = project.instance.get_runs()
    from email_scheduler.orchestration import dagster_runs

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dagster_runs, "location_of", lambda run: "another")
        assert delete_old_runs(project.instance, FAR_AWAY, today(), "ours") == 0
    assert len(project.instance.get_runs()) == len(runs)


def test_without_somebody_to_tell_nothing_is_told_and_nothing_is_told_later(project: Project) -> None:
    project.move_away(NORTH)
    assert project.told() == []
    project.plan(NORTH)
    tick = project.tick()
    assert "names nobody" in (tick.skip_message or "")
    tell(project)
    assert project.told() == []


def test_a_failed_run_is_told_once_and_told_to_be_over_when_it_succeeds(project: Project) -> None:
    tell(project)
    assert project.told() == []
    away = project.move_away(NORTH)
    for _ in range(2):
        assert not project.plan(NORTH).success
    assert project.told() == [f"{NORTH}: run of plan_emails for {today()} failed"]
    (body,) = project.server.posts
    assert "there is no file" in body["text"]
    assert "What to do" in body["text"]
    assert project.told() == []
    away.rename(away.with_suffix(".db"))
    assert project.plan(NORTH).success
    assert project.told() == [f"over: {NORTH}: run of plan_emails for {today()} failed"]
    assert project.told() == []


def test_a_failed_check_is_told_with_what_its_description_says(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from email_scheduler.orchestration.checks import check_published

    tell(project)
    project.told()
    monkeypatch.setattr(
        "email_scheduler.orchestration.assets.check_published",
        lambda plan, differences: [
            each._replace(passed=each.check_name != "table_equals_plan")
            for each in check_published(plan, differences)
        ],
    )
    project.plan(NORTH)
    assert project.told() == [f"{NORTH}: check table_equals_plan of email_schedules failed (an error)"]
    assert "something else writes to the table" in project.server.posts[0]["text"]


def test_an_unhealthy_organisation_is_told_once_and_told_when_it_recovers(project: Project) -> None:
    tell(project)
    project.told()
    for name in ORGANIZATIONS:
        plan_and_publish(*settings_of(project.config, name), today())
    away = project.move_away(NORTH)
    for expected in ([f"{NORTH}: unhealthy"], [], []):
        project.run(HEALTH_JOB)
        assert project.told() == expected
    away.rename(away.with_suffix(".db"))
    project.run(HEALTH_JOB)
    assert project.told() == [f"over: {NORTH}: unhealthy"]


def test_a_plan_that_is_not_there_at_the_deadline_is_told_though_the_attempts_are_used_up(
    project: Project,
) -> None:
    tell(project, deadline="00:00")
    plan_and_publish(*settings_of(project.config, SOUTH), today())
    asked = [request for _ in range(30) for request in project.tick(MISSED_SENSOR).run_requests or []]
    assert len(asked) == MOST_ATTEMPTS
    assert project.told() == [f"{NORTH}: no plan of {today()} by 00:00"]
    assert project.told() == []
    plan_and_publish(*settings_of(project.config, NORTH), today())
    assert project.told() == [f"over: {NORTH}: no plan of {today()} by 00:00"]


def test_a_plan_ahead_of_today_is_told_as_a_missing_one(project: Project) -> None:
    tell(project, deadline="00:00")
    plan_and_publish(*settings_of(project.config, SOUTH), today())
    plan_and_publish(*settings_of(project.config, NORTH), today() + timedelta(days=3))
    assert project.told() == [f"{NORTH}: no plan of {today()} by 00:00"]
    assert "is ahead of today" in project.server.posts[-1]["text"]
    plan_and_publish(*settings_of(project.config, NORTH), today(), allow_older=True)
    assert project.told() == [f"over: {NORTH}: no plan of {today()} by 00:00"]


def test_before_the_deadline_and_before_the_first_partition_no_plan_is_missed(project: Project) -> None:
    tell(project, deadline="23:59")
    if f"{datetime.now(TIME_ZONE):%H:%M}" < "23:59":
        assert project.told() == []
    file = project.config / "scheduler.yaml"
    file.write_text(
        f"{file.read_text().replace('23:59', '00:00')}go_live_date: {today() + timedelta(days=2)}\n"
    )
    assert project.told() == []


def test_what_could_not_be_delivered_is_delivered_by_the_next_look(project: Project) -> None:
    tell(project, deadline="00:00")
    project.server.status = 500
    tick = project.tick()
    assert "not delivered: the webhook answered 500" in (tick.skip_message or "")
    project.server.status = 200
    assert len(project.told()) == 2
    assert project.told() == []


def tell_both(project: Project, port: int, webhook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell by email and by a webhook of which only a variable knows."""
    tell(project, deadline="00:00")
    file = project.config / "scheduler.yaml"
    email = f"email: {{smtp_host: 127.0.0.1, smtp_port: {port}, starttls: false, sender: a@example.com,"
    file.write_text(
        file.read_text().replace(" webhook:", f" {email} recipients: [b@example.com]}}, webhook:")
    )
    monkeypatch.setenv("ALERT_WEBHOOK", webhook)


@pytest.mark.parametrize("trouble", ["silence", "headers", "no HTTP", "blank", "error"])
def test_a_webhook_in_trouble_neither_stops_nor_repeats_the_email_of_the_same_incident(
    project: Project, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """It holds the promise of docs/operations.md that each incident is told once, by each way."""
    monkeypatch.setattr(delivery, "_SECONDS", 1)
    mailbox = Mailbox()
    if trouble == "error":

        def fail(*_: Any) -> None:
            raise ArithmeticError("/hooks/secret-token")

        monkeypatch.setattr(delivery, "post", fail)
    with slow_server(trouble) as url, mail_server(mailbox) as port:
        webhook = url.replace("/hooks", "/ho oks") if trouble == "blank" else url
        tell_both(project, port, webhook, monkeypatch)
        for _ in range(3):
            tick = project.tick()
            assert "webhook: not delivered" in (tick.skip_message or "")
            assert "secret-token" not in (tick.skip_message or "")
    assert len(mailbox.messages()) == 1


def test_the_alerts_begin_afresh_with_a_cursor_that_cannot_be_read(project: Project) -> None:
    tell(project, deadline="00:00")
    project.cursors[ALERTS_SENSOR] = "[" * 5000
    assert len(project.told()) == 2
    assert project.told() == []


def test_a_broken_configuration_does_not_stop_the_sensor(project: Project) -> None:
    tell(project, deadline="00:00")
    definitions = build_definitions(project.config)
    (project.config / "campaigns.yaml").write_text("nonsense: true\n")
    with dg.build_sensor_context(
        project.instance,
        definitions=definitions,
        resources={"scheduler": SchedulerResource(config_directory=str(project.config))},
    ) as context:
        result = definitions.resolve_sensor_def(ALERTS_SENSOR).evaluate_tick(context)
    assert result.skip_message == "nothing to tell"


def test_nothing_personal_is_told_of_an_error_that_shows_data(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyError("Jane Doe, jane@example.com")

    tell(project)
    project.told()
    monkeypatch.setattr("email_scheduler.orchestration.assets.validate_contacts", fail)
    project.plan(NORTH)
    assert project.told() == [f"{NORTH}: run of plan_emails for {today()} failed"]
    assert "KeyError" in project.server.posts[0]["text"]
    assert "jane" not in json.dumps(project.server.posts).lower()


def test_schedules_are_on_from_the_start_at_the_configured_times(project: Project) -> None:
    definitions = build_definitions(project.config)
    crons = {
        name: definitions.resolve_schedule_def(name)
        for name in ("regular_health_check", "nightly_maintenance")
    }
    assert {name: each.cron_schedule for name, each in crons.items()} == {
        "regular_health_check": "0 * * * *",
        "nightly_maintenance": "0 1 * * *",
    }
    assert all(each.default_status == dg.DefaultScheduleStatus.RUNNING for each in crons.values())
    policy = definitions.resolve_asset_graph().get(dg.AssetKey("email_schedules")).freshness_policy
    assert isinstance(policy, dg.FreshnessPolicy)


def test_a_plan_that_waits_for_a_person_is_told_with_what_is_lost_and_over_once_it_is_accepted(
    project: Project,
) -> None:
    tell(project, deadline="00:00")
    url, settings = settings_of(project.config, NORTH)
    plan_and_publish(*settings_of(project.config, SOUTH), today())
    plan_and_publish(url, settings, today() - timedelta(days=1))
    with database(url) as connection:
        connection.execute("DELETE FROM contacts WHERE id > 60")
    project.told()
    assert not project.plan(NORTH).success
    check = f"{NORTH}: check loses_too_much of balanced_schedules failed (an error)"
    assert check in project.told()
    text = project.server.posts[-1]["text"]
    assert "contacts that are gone (" in text
    assert "--accept-loss --by NAME --reason TEXT" in text
    project.run(HEALTH_JOB)
    assert project.told() == [f"{NORTH}: unhealthy"]
    assert "a plan waits for a person" in project.server.posts[-1]["text"]
    plan_and_publish(url, settings, today(), accept_loss=AcceptedLoss("ann", "sold"))
    assert f"over: {check}" in project.told()


def test_a_plan_that_waits_is_told_as_the_reason_why_there_is_none(project: Project) -> None:
    tell(project, deadline="00:00")
    url, settings = settings_of(project.config, NORTH)
    plan_and_publish(*settings_of(project.config, SOUTH), today())
    plan_and_publish(url, settings, today() - timedelta(days=1))
    with database(url) as connection:
        connection.execute("DELETE FROM contacts WHERE id > 60")
    with pytest.raises(LossError):
        plan_and_publish(url, settings, today())
    assert project.told() == [f"{NORTH}: no plan of {today()} by 00:00"]
    assert "The plan waits for a person, since it loses too much." in project.server.posts[-1]["text"]

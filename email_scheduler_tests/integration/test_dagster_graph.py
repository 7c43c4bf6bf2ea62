"""The whole graph, materialised for two organisations with real partitions, databases and files."""

import importlib
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from email_scheduler.campaigns.service import Campaigns
from email_scheduler.clock import today
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.definitions import build_definitions
from email_scheduler.orchestration.asset_frames import ASSET_FRAMES, Frames
from email_scheduler.orchestration.io_managers import FramesIOManager, read_frame, write_frame
from email_scheduler.orchestration.partitions import Partition
from email_scheduler.planning.columns.dates import to_day
from email_scheduler.planning.frames import EMAIL_SCHEDULES, SCHEDULES
from email_scheduler.planning_run import plan_and_publish
from email_scheduler.proof.violations import RULES
from email_scheduler_tests.integration.dagster_organizations import (
    CONTACTS,
    ORGANIZATIONS,
    database,
    failure_messages,
    generate_organizations,
    run_job,
    settings_of,
    table_rows,
    write_configuration,
)

PUBLISHING = "email_scheduler.database.publishing.publish"
DOWNSTREAM = [
    name for name in ASSET_FRAMES if name not in {"contacts", "campaigns", "email_history", "engagement"}
]


@dataclass
class Project:
    """Two organisations with what was materialised for them."""

    directory: Path
    config: Path
    definitions: dg.Definitions
    instance: dg.DagsterInstance

    def run(self, organization: str, *assets: str, days: int = 0, **ops: object) -> dg.ExecuteInProcessResult:
        as_of = today() + timedelta(days=days)
        return run_job(self.definitions, self.instance, organization, as_of, *assets, ops=ops)

    def file(self, asset: str, frame: str, organization: str = "northwind", days: int = 0) -> Path:
        day = (today() + timedelta(days=days)).isoformat()
        return self.directory / "frames" / asset / day / organization / f"{frame}.parquet"


@pytest.fixture(scope="module")
def planned(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Project, dict[str, dg.ExecuteInProcessResult]]]:
    """Both organisations after today's run of ``plan_emails``; not to be changed."""
    directory = tmp_path_factory.mktemp("dagster")
    config = write_configuration(directory)
    generate_organizations(config)
    with dg.DagsterInstance.ephemeral() as instance:
        project = Project(directory, config, build_definitions(config), instance)
        yield project, {name: project.run(name) for name in ORGANIZATIONS}


@pytest.fixture
def project(planned: tuple[Project, object], tmp_path: Path) -> Iterator[Project]:
    """A copy of the same that a test may change."""
    original = planned[0].directory
    directory = tmp_path / "copy"
    shutil.copytree(original, directory)
    for file in (directory / "config").iterdir():
        file.write_text(file.read_text().replace(str(original), str(directory)))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Project(directory, directory / "config", build_definitions(directory / "config"), instance)


def failed_checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {
        check.check_name: check
        for check in result.get_asset_check_evaluations()
        if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR
    }


def test_every_asset_of_both_organisations_is_materialised(planned: tuple[Project, dict]) -> None:
    runs = planned[1]
    expected = {
        (name, organization) for name in [*ASSET_FRAMES, "email_schedules"] for organization in ORGANIZATIONS
    }
    found = {
        (event.asset_key.path[-1], Partition.of(event.partition).organization)
        for run in runs.values()
        for event in run.get_asset_materialization_events()
    }
    assert found == expected
    assert all(run.success for run in runs.values())
    assert {run.dagster_run.tags["organization"] for run in runs.values()} == set(ORGANIZATIONS)


def test_the_command_line_writes_the_same_table(planned: tuple[Project, dict], tmp_path: Path) -> None:
    config = write_configuration(tmp_path)
    generate_organizations(config)
    for name in ORGANIZATIONS:
        url, settings = settings_of(config, name)
        plan_and_publish(url, settings, today())
        rows = table_rows(url)
        assert rows == table_rows(settings_of(planned[0].config, name)[0])
        assert len(rows) > 1000


def test_materialising_downstream_again_gives_equal_bytes(project: Project) -> None:
    files = [path for name in DOWNSTREAM for path in project.file(name, "x").parent.iterdir()]
    first = {path: path.read_bytes() for path in files}
    for path in files:
        path.unlink()
    result = project.run("northwind", *DOWNSTREAM)
    assert result.success, failure_messages(result)
    assert {path: path.read_bytes() for path in files} == first


def test_planning_again_changes_nothing(project: Project) -> None:
    result = project.run("northwind")
    assert result.success, failure_messages(result)
    (published,) = result.asset_materializations_for_node("email_schedules")
    assert [published.metadata[f"rows {name}"].value for name in ("added", "changed", "removed")] == [0, 0, 0]
    assert published.metadata["rows unchanged"].value > 1000
    # there was a plan to lose
    assert re.fullmatch(r"\d{8}-\d{6}-\d{3}", published.metadata["backup"].value)


def test_a_past_partition_is_not_read_anew_unless_it_is_asked_for(project: Project) -> None:
    refused = project.run("northwind", "contacts", "campaigns", "email_history", "engagement", days=-2)
    assert not refused.success
    assert "read_past_partition: true" in failure_messages(refused)
    assert not project.file("contacts", "valid_contacts", days=-2).exists()
    assert not retries(refused)
    read = project.run(
        "northwind", *list(ASSET_FRAMES), days=-2, organization_tables={"read_past_partition": True}
    )
    assert read.success, failure_messages(read)
    assert project.file("contacts", "valid_contacts", days=-2).exists()


def test_a_past_partition_can_be_replayed_and_gives_equal_bytes(project: Project) -> None:
    run = project.run("northwind", *ASSET_FRAMES, days=-2, organization_tables={"read_past_partition": True})
    assert run.success, failure_messages(run)
    folders = [project.file(asset, "x", days=-2).parent for asset in DOWNSTREAM]
    first = {path: path.read_bytes() for folder in folders for path in folder.iterdir()}
    # the tables move on; what was read that day stays
    url, _ = settings_of(project.config, "northwind")
    with database(url) as connection:
        connection.execute("DELETE FROM contact_campaigns")
    for folder in folders:
        shutil.rmtree(folder)
    replay = project.run("northwind", *DOWNSTREAM, days=-2)
    assert replay.success, failure_messages(replay)
    assert {path: path.read_bytes() for folder in folders for path in folder.iterdir()} == first


def test_publishing_a_past_partition_does_not_overwrite_a_newer_plan(project: Project) -> None:
    url, _ = settings_of(project.config, "northwind")
    before = table_rows(url)
    project.run("northwind", *ASSET_FRAMES, days=-2, organization_tables={"read_past_partition": True})
    result = project.run("northwind", "email_schedules", days=-2)
    assert not result.success
    assert "StalePlanError" in failure_messages(result)
    assert f"one for {today()} has been published" in failure_messages(result)
    assert not retries(result)
    assert table_rows(url) == before


def test_a_plan_for_a_day_far_ahead_is_published_only_where_that_is_asked_for(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = settings_of(project.config, "northwind")
    with database(url) as connection:
        connection.execute("DELETE FROM email_schedules WHERE status = 'pre-scheduled'")
    left = table_rows(url)
    for days, is_refused in ((8, True), (7, False)):
        monkeypatch.setattr(
            "email_scheduler.orchestration.assets.today", lambda d=days: today() - timedelta(d)
        )
        result = project.run("northwind", "email_schedules")
        assert result.success != is_refused, failure_messages(result)
        assert (table_rows(url) == left) == is_refused
        if is_refused:
            assert f"the plan is for {today()}, 8 days after today" in failure_messages(result)
            assert not retries(result)
            asked = project.run("northwind", "email_schedules", email_schedules={"allow_future": True})
            assert asked.success, failure_messages(asked)
            with database(url) as connection:
                connection.execute("DELETE FROM email_schedules WHERE status = 'pre-scheduled'")


def test_a_planted_violation_stops_the_run_before_the_table_is_touched(project: Project) -> None:
    url, _ = settings_of(project.config, "northwind")
    before = table_rows(url)
    file = project.file("anniversary_schedules", "schedules")
    with file.open("rb") as opened:
        schedules = read_frame(opened, SCHEDULES).copy()
    stretches = pd.read_parquet(project.file("exclusion_windows", "exclusion_stretches"))
    chosen = schedules["skip_reason"].notna() & schedules["contact_id"].isin(stretches["contact_id"])
    planted = (
        chosen & (schedules["email_type"] == "birthday") & (schedules["ideal_send_date"] >= to_day(today()))
    )
    count = int(planted.sum())
    assert count > 5
    # emails that a window stops are let out on their ideal date
    for name in ("base_date", "first_date", "last_date"):
        schedules.loc[planted, name] = schedules.loc[planted, "ideal_send_date"]
    schedules.loc[planted, "skip_reason"] = np.nan
    with file.open("wb") as opened:
        write_frame(schedules, SCHEDULES, opened)

    result = project.run("northwind", "balanced_schedules", "email_schedules")
    assert not result.success
    found = failed_checks(result)
    assert {"excluded_day", "outside_exclusion_windows"} <= found.keys()
    metadata = {name: value.value for name, value in found["excluded_day"].metadata.items()}
    assert 0 < metadata["violations"] <= count
    assert metadata["rows looked at"] > 1000
    some_id = int(str(metadata["contact ids"]).split(",")[0])
    assert some_id in set(schedules.loc[planted, "contact_id"])
    assert found["excluded_day"].blocking
    assert found["excluded_day"].partition == Partition(today(), "northwind").key
    (materialization,) = result.asset_materializations_for_node("balanced_schedules")
    lines = materialization.metadata["broken rules"].value.splitlines()
    assert lines[0] == "| rule | rows | ids of some contacts |"
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    assert {rule: int(rows.replace(",", "")) for rule, rows, _ in cells} == {
        rule: check.metadata["violations"].value for rule, check in found.items()
    }
    assert all(re.fullmatch(r"\d+(, \d+)*(, \.\.\.)?", ids) for _, _, ids in cells)
    assert f"| {some_id} | birthday |  |  |" in metadata["some rows"].splitlines()
    assert not result.asset_materializations_for_node("email_schedules")
    assert not retries(result)
    # what balanced_schedules wrote stays written; whoever publishes it all the same is stopped by the proof
    alone = project.run("northwind", "email_schedules")
    assert "ComplianceError" in failure_messages(alone)
    assert not retries(alone)
    assert table_rows(url) == before


def test_a_plan_is_proved_once_in_a_run_and_again_where_its_frames_are_others(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    proofs = []

    def proving(where: str) -> None:
        module = importlib.import_module(where)
        real = module.find_violations
        monkeypatch.setattr(
            module, "find_violations", lambda *frames: (proofs.append(where), real(*frames))[1]
        )

    proving(PUBLISHING)
    proving("email_scheduler.orchestration.checks")
    result = project.run("northwind")
    assert result.success, failure_messages(result)
    assert proofs == ["email_scheduler.orchestration.checks"]

    # frames that were read from files are not those that were proved
    again = project.run("northwind", "email_schedules")
    assert again.success, failure_messages(again)
    assert proofs[1:] == [PUBLISHING]

    # nor are those that somebody changes between the two steps of a run
    url, _ = settings_of(project.config, "northwind")
    before = table_rows(url)
    file = project.file("balanced_schedules", "email_schedules")
    handle_output = FramesIOManager.handle_output

    def change(manager: FramesIOManager, context: dg.OutputContext, value: Frames) -> None:
        handle_output(manager, context, value)
        if context.asset_key.path[-1] == "balanced_schedules":
            schedules = value["email_schedules"].assign(scheduled_send_date=np.int32(to_day(today())))
            with file.open("wb") as opened:
                write_frame(schedules, EMAIL_SCHEDULES, opened)

    monkeypatch.setattr(FramesIOManager, "handle_output", change)
    changed = project.run("northwind")
    assert "ComplianceError" in failure_messages(changed)
    assert proofs[2:] == ["email_scheduler.orchestration.checks", PUBLISHING]
    assert table_rows(url) == before


def retries(result: dg.ExecuteInProcessResult) -> list[dg.DagsterEvent]:
    return [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]


def test_each_rule_of_the_proof_is_a_check_with_numbers_of_its_partition(
    planned: tuple[Project, dict],
) -> None:
    for organization, run in planned[1].items():
        checks = {
            check.check_name: check
            for check in run.get_asset_check_evaluations()
            if check.asset_key.path == ["balanced_schedules"]
        }
        assert set(RULES) < checks.keys()
        for rule in RULES:
            assert checks[rule].passed
            assert checks[rule].blocking
            assert checks[rule].partition == Partition(today(), organization).key
            assert checks[rule].metadata["rows looked at"].value > 1000


def test_rows_of_unknown_types_are_an_error_of_their_organisation_only(project: Project) -> None:
    url, _ = settings_of(project.config, "northwind")
    with database(url) as connection:
        connection.execute(
            "INSERT INTO email_schedules (contact_id, email_type, scheduled_send_date, scheduled_send_time,"
            " status) SELECT id, 'rate_increase', '2099-01-01', '08:30:00', 'pre-scheduled' FROM contacts"
            " LIMIT 3"
        )
    result = project.run("northwind")
    assert result.success, failure_messages(result)
    assert failed_checks(result).keys() == {"no_rows_of_unknown_types"}
    assert failed_checks(result)["no_rows_of_unknown_types"].metadata["waiting rows"].value == 3
    assert not failed_checks(project.run("southwind"))


def test_warnings_have_numbers_and_stop_nothing(project: Project) -> None:
    scheduler = project.config / "scheduler.yaml"
    scheduler.write_text(
        scheduler.read_text()
        + "  minimum_valid_contact_share: 0.99\n"
        + f"aep_config:\n  default_dates: [{{month: 9, day: 15}}]\n  years: [{today().year}]\n"
        + "load_balancing:\n  daily_send_percentage_cap: 0.005\n"
        # there are no AEP emails any more
        + "guard:\n  max_email_loss_share: 1\n"
    )
    result = project.run("northwind")
    assert result.success, failure_messages(result)
    warned = {
        check.check_name: {name: value.value for name, value in check.metadata.items()}
        for check in result.get_asset_check_evaluations()
        if not check.passed and check.severity == dg.AssetCheckSeverity.WARN
    }
    assert {"enough_valid_contacts", "aep_years_ahead", "capacity_suffices"} <= warned.keys()
    assert warned["enough_valid_contacts"]["share"] == warned["enough_valid_contacts"]["valid"] / CONTACTS
    assert warned["capacity_suffices"]["emails lost"] > 0
    assert "| email type | emails lost |" in warned["capacity_suffices"]["by type"]
    assert warned["states_agree_with_zip_codes"]["contacts"] > 0


def test_a_table_that_something_else_changes_is_told_from_the_plan(project: Project) -> None:
    url, _ = settings_of(project.config, "northwind")
    with database(url) as connection:
        connection.execute(
            "CREATE TRIGGER meddle AFTER UPDATE OF status ON scheduler_checkpoints"
            " WHEN new.status = 'completed' BEGIN DELETE FROM email_schedules WHERE id ="
            " (SELECT max(id) FROM email_schedules WHERE status = 'pre-scheduled'); END"
        )
    result = project.run("northwind")
    check = failed_checks(result)["table_equals_plan"]
    assert check.metadata["missing rows"].value == 1


def test_a_damaged_file_is_named_with_its_asset_and_partition(project: Project) -> None:
    file = project.file("follow_ups", "follow_ups")
    file.write_bytes(file.read_bytes()[:-20])
    result = project.run("northwind", "balanced_schedules")
    assert "asset follow_ups, partition " in failure_messages(result)
    assert "|northwind is damaged" in failure_messages(result)
    assert not retries(result)


def test_a_partition_whose_inputs_were_never_read_says_so(project: Project) -> None:
    result = project.run("northwind", "anniversary_schedules", days=-5)
    assert "partition 2" in failure_messages(result)
    assert "|northwind is not there" in failure_messages(result)


@contextmanager
def locked_by_another_process(path: Path) -> Iterator[None]:
    code = (
        "import sqlite3, sys; connection = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "connection.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        yield
    finally:
        holder.communicate()


def test_a_locked_database_is_tried_again_and_a_missing_one_is_not(project: Project) -> None:
    url, _ = settings_of(project.config, "northwind")
    path = Path(url.removeprefix("sqlite:///"))
    scheduler = project.config / "scheduler.yaml"
    scheduler.write_text(
        scheduler.read_text()
        + "processing:\n  max_retry_attempts: 0\n"
        + "database:\n  connection_pool:\n    connection_timeout: 0\n"
    )
    with locked_by_another_process(path):
        locked = project.run("northwind", "balanced_schedules", "email_schedules")
    assert "is locked" in failure_messages(locked)
    assert len(retries(locked)) == 1
    path.unlink()
    missing = project.run("northwind", "contacts", "campaigns", "email_history", "engagement")
    assert "there is no file" in failure_messages(missing)
    assert not retries(missing)


def test_a_plan_of_another_configuration_is_not_published(project: Project) -> None:
    with (project.config / "scheduler.yaml").open("a") as file:
        file.write("features:\n  enable_sms: true\n")
    result = project.run("northwind", "email_schedules")
    assert "the configuration has changed" in failure_messages(result)


def test_a_database_that_is_not_initialised_ends_the_run_with_what_to_do(project: Project) -> None:
    url, settings = settings_of(project.config, "northwind")
    path = Path(url.removeprefix("sqlite:///"))
    path.unlink()
    sqlite3.connect(path).close()
    result = project.run("northwind", "contacts", "campaigns", "email_history", "engagement")
    assert "run email-scheduler init-db" in failure_messages(result)
    initialise_database(url, settings)
    assert project.run("northwind").success


def test_frames_are_the_owners_alone(planned: tuple[Project, object]) -> None:
    paths = [planned[0].directory / "frames", *(planned[0].directory / "frames").rglob("*")]
    modes = {(path.is_dir(), oct(path.stat().st_mode & 0o777)) for path in paths}
    assert modes == {(True, "0o700"), (False, "0o600")}
    assert not [path for path in paths if "unfinished" in path.name]


def test_metadata_holds_counts_and_tables_and_nobodys_data(planned: tuple[Project, dict]) -> None:
    events = planned[1]["northwind"].get_asset_materialization_events()
    by_asset = {event.asset_key.path[-1]: event.materialization.metadata for event in events}
    balanced = by_asset["balanced_schedules"]
    # reporting is switched off here
    assert "volume by day" not in balanced
    assert "report" not in by_asset["email_schedules"]
    assert "| birthday |" in balanced["by type and status"].value
    assert "| prove |" in balanced["seconds by phase"].value
    assert "| Year-round exclusion in NY |" in by_asset["exclusion_windows"]["by state and reason"].value
    assert by_asset["email_schedules"]["rows added"].value == balanced["dagster/row_count"].value
    assert by_asset["email_schedules"]["backup"].value == "none made"
    everything = str([{name: str(value.value) for name, value in each.items()} for each in by_asset.values()])
    assert "@" not in everything


def test_an_audience_goes_by_columns_that_the_agency_has_added(project: Project) -> None:
    url, config = settings_of(project.config, "northwind")
    with database(url) as connection:
        connection.execute("ALTER TABLE contacts ADD COLUMN carrier TEXT")
        connection.execute("UPDATE contacts SET carrier = 'Acme' WHERE id % 3 = 0")
    audience = {"where": {"carrier": "acme"}, "trigger": {"anniversary_of": "effective_date"}}
    made = Campaigns(url, config).create_instance(
        "rate_increase", "acme", email_template="x", metadata={"audience": audience}
    )
    result = project.run("northwind")
    assert result.success, failure_messages(result)
    with project.file("contacts", "contact_attributes").open("rb") as file:
        attributes = read_frame(file, ASSET_FRAMES["contacts"]["contact_attributes"])
    assert list(attributes) == ["id", "carrier"]
    with database(url) as connection:
        rows = connection.execute(
            "SELECT DISTINCT contact_id FROM email_schedules WHERE campaign_instance_id = ?", (made.id,)
        ).fetchall()
    assert len(rows) > CONTACTS / 6
    assert all(contact_id % 3 == 0 for (contact_id,) in rows)
    again = plan_and_publish(url, config, today()).changes.totals
    assert [again[name] for name in ("added", "changed", "removed")] == [0, 0, 0]

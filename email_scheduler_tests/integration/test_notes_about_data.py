"""Notes about data where people see them: plan, report, health, the checks. Counts only."""

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from email_scheduler.clock import TIME_ZONE, today
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.definitions import build_definitions
from email_scheduler.health.figures import read_health
from email_scheduler.health.judgement import DEGRADED, judge
from email_scheduler.planning_run import plan_and_publish
from email_scheduler.registry import NOTES
from email_scheduler.reports.report import read_report
from email_scheduler.reports.report_page import report_page
from email_scheduler_tests.command_line import Outcome, run_command
from email_scheduler_tests.databases import Database, SqliteDatabase
from email_scheduler_tests.integration.dagster_organizations import (
    failure_messages,
    generate_organizations,
    run_job,
    settings_of,
    write_configuration,
)

AS_OF = date(2026, 11, 23)
# every email of a campaign finds a place
ROOM = {"load_balancing": {"daily_send_percentage_cap": 1, "max_emails_per_contact_per_period": 30}}
CONFIG = SchedulerConfig.model_validate(ROOM)
COUNT = 40
PLACEHOLDER = "1900-01-01"
OFFICE = "office@example.com"

Command = Callable[..., Outcome]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return partial(run_command, monkeypatch, capsys)


def contact(number: int, **columns: object) -> dict[str, object]:
    return {
        "id": number,
        "email": f"contact{number}@example.com",
        "zip_code": "75001",
        "birth_date": f"19{40 + number % 30}-{number % 12 + 1:02}-{number % 28 + 1:02}",
        "effective_date": f"20{number % 20:02}-{(number + 5) % 12 + 1:02}-{number % 28 + 1:02}",
        **columns,
    }


def sent(number: int, contact_id: int, moment: str) -> dict[str, object]:
    return {
        "id": number,
        "contact_id": contact_id,
        "email_type": "birthday",
        "status": "sent",
        "scheduled_send_date": "2026-05-20",
        "actual_send_datetime": moment,
    }


def fill(database: Database) -> None:
    """Everything that there is a note about, but for a missing birth date and ZIP code."""
    rows = [contact(number) for number in range(1, COUNT + 1)]
    for row in rows[:20]:
        row["birth_date"] = PLACEHOLDER
    for row in rows[:6]:
        row["email"] = OFFICE
    for row in rows[:25]:
        row["effective_date"] = None
    rows[25]["effective_date"] = "NULL"
    database.insert("contacts", *rows)
    suppressions = [{"contact_id": number, "suppressed_at": "2026-01-05"} for number in (40, 9001)]
    database.insert("contact_suppressions", *suppressions)
    database.insert(
        "email_schedules",
        sent(1, 30, "2026-05-20T01:30:00Z"),
        sent(2, 9001, "2026-05-20T08:30:00-05:00"),
        sent(3, 31, "2026-05-20 13:30:00.123+00:00"),
        sent(4, 32, "2026-05-20"),
    )
    database.insert("campaign_types", {"name": "news", "target_all_contacts": True})
    database.insert(
        "campaign_instances",
        {
            "id": 7,
            "campaign_type": "news",
            "instance_name": "autumn",
            "active_start_date": "2026-09-01",
            "active_end_date": "2026-12-31",
            "metadata": '{"trigger_date": "2026-12-15"}',
        },
    )


EXPECTED = {
    "shared_birth_dates": (20, 40, 1),
    "shared_addresses": (6, 40, 1),
    "missing_effective_dates": (26, 40, 0),
    "placeholders_in_dates": (1, 80, 1),
    "campaigns_long_begun": (39, 39, 1),
    "suppressions_without_contact": (1, 2, 1),
    "sender_rows_without_contact": (1, 4, 1),
}
# PostgreSQL keeps a moment, whatever it was written in.
EXPECTED_ON_SQLITE = {**EXPECTED, "sent_times_in_utc": (2, 4, 0)}


def counted(notes: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    return {name: (each["count"], each["out_of"], each["things"]) for name, each in notes.items()}


@pytest.fixture
def agency(database: Database) -> Database:
    fill(database)
    return database


def expected_in(agency: Database) -> dict[str, tuple[int, int, int]]:
    return EXPECTED if agency.is_postgresql else EXPECTED_ON_SQLITE


@pytest.mark.parametrize("options", [(), ("--dry-run",)], ids=["plan", "dry run"])
def test_a_plan_warns_with_counts_and_names_neither_dates_nor_addresses(
    command: Command, agency: Database, tmp_path: Path, options: tuple[str, ...]
) -> None:
    config = tmp_path / "scheduler.yaml"
    config.write_text(yaml.safe_dump(ROOM), encoding="utf-8")
    of_the_day = ("--as-of", AS_OF, "--allow-future")
    plan = ("plan", "--database", agency.url, "--config", config, *of_the_day, *options)
    told = command(*plan)
    assert told.code == 0, told.err
    text = " ".join(told.out.split())
    for sentence in (
        "Warning: birth dates that many contacts share: 1, of 20 of 40 contacts. Such a date may stand for",
        "Warning: addresses that more than 5 contacts have: 1, of 6 of 40 contacts.",
        "Warning: contacts without an effective date that can be read: 26 of 40.",
        "Warning: texts that stand for no date: 1 (effective_date NULL: 1).",
        "nothing was ever sent: 1, planned emails: 39 (of instance 7: 39).",
        "Warning: suppressions that name no contact: 1 of 2.",
        "Warning: rows of the sending system that name no contact: 1 of 4, of 1 contacts.",
    ):
        assert sentence in text
    assert ("that are in UTC: 2 of 4 rows." in text) != agency.is_postgresql
    as_json = command(*plan, "--json")
    notes = json.loads(as_json.out)["notes"]
    assert counted(notes) == expected_in(agency)
    assert notes["campaigns_long_begun"]["by"] == {"7": 39}
    everything = told.out + told.err + as_json.out + as_json.err
    # what a placeholder may look like stands in the advice
    assert PLACEHOLDER not in everything.replace(f"as {PLACEHOLDER} does", "")
    assert OFFICE not in everything


def test_the_report_of_a_past_day_shows_what_was_noted_then(agency: Database) -> None:
    plan_and_publish(agency.url, CONFIG, AS_OF)
    agency.write("DELETE FROM contact_suppressions WHERE contact_id = 9001")
    found = read_report(agency.url, CONFIG, "north", AS_OF)
    assert counted(found.document()["figures"]["notes"]) == expected_in(agency)
    page = report_page(found)
    assert "suppressions that name no contact: 1 of 2" in page
    assert NOTES["suppressions_without_contact"].what_helps.split(":")[0] in page
    # the next plan has nothing of it to note
    plan_and_publish(agency.url, CONFIG, AS_OF)
    later = read_report(agency.url, CONFIG, "north", AS_OF)
    assert "suppressions_without_contact" not in later.document()["figures"]["notes"]
    assert "suppressions that name no contact" not in report_page(later)


def test_the_report_in_the_terminal_shows_the_notes(command: Command, agency: Database) -> None:
    plan_and_publish(agency.url, CONFIG, AS_OF)
    told = command("report", "--database", agency.url, "--as-of", AS_OF, width=500)
    assert told.code == 0, told.err
    assert "Notes about data" in told.out
    assert "suppressions that name no contact: 1 of 2" in told.out


def test_a_report_where_there_is_nothing_to_note_says_so(database: Database) -> None:
    database.insert("contacts", *(contact(number) for number in range(1, 4)))
    plan_and_publish(database.url, CONFIG, AS_OF)
    found = read_report(database.url, CONFIG, "north", AS_OF)
    assert found.document()["figures"]["notes"] == {}
    assert "Nothing else about the data asks for a look." in report_page(found)


def test_an_organisation_in_which_rows_name_no_contact_is_degraded(agency: Database) -> None:
    plan_and_publish(agency.url, CONFIG, AS_OF)
    figures = read_health(agency.url, CONFIG, datetime(2026, 11, 23, 7, tzinfo=TIME_ZONE))
    said = {reason.text: reason.status for reason in judge(figures, CONFIG.health)}
    for name in ("suppressions_without_contact", "sender_rows_without_contact"):
        (text,) = [each for each in said if each.endswith(NOTES[name].what_helps)]
        assert re.search(": 1 of [24]", text)
        assert said[text] == DEGRADED
    never = CONFIG.health.model_copy(
        update={"without_contact_share": CONFIG.health.wal_megabytes.model_copy(update={"degraded": None})}
    )
    assert not [each for each in judge(figures, never) if "name no contact" in each.text]


def test_each_note_is_a_check_of_its_partition_that_stops_nothing(tmp_path: Path) -> None:
    config = write_configuration(tmp_path)
    generate_organizations(config)
    url, _ = settings_of(config, "northwind")
    database = SqliteDatabase(Path(url.removeprefix("sqlite:///")))
    database.write("UPDATE contacts SET birth_date = ? WHERE id % 2 = 0", (PLACEHOLDER,))
    database.write("INSERT INTO contact_suppressions (contact_id) VALUES (900001)")
    with dg.DagsterInstance.ephemeral() as instance:
        definitions = build_definitions(config)
        results = {name: run_job(definitions, instance, name, today()) for name in ("northwind", "southwind")}
    for name, result in results.items():
        assert result.success, failure_messages(result)
        checks = {each.check_name: each for each in result.get_asset_check_evaluations()}
        assert set(NOTES) <= set(checks)
        for note in NOTES:
            assert checks[note].severity == dg.AssetCheckSeverity.WARN
            assert not checks[note].blocking
        assert checks["shared_birth_dates"].passed == (name == "southwind")
        assert checks["suppressions_without_contact"].passed == (name == "southwind")
    failed = next(
        each
        for each in results["northwind"].get_asset_check_evaluations()
        if each.check_name == "shared_birth_dates"
    )
    metadata = {name: value.value for name, value in failed.metadata.items()}
    assert str(metadata["found"]).startswith("birth dates that many contacts share: 1, of ")
    assert metadata["looked at"] > metadata["count"] > 20
    assert PLACEHOLDER not in str(metadata)

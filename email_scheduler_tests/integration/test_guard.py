"""A plan that loses too much waits for a person: publishing refuses it until somebody accepts the loss."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.records import AcceptedLoss
from email_scheduler.errors import LossError, UsageError
from email_scheduler.planning_run import PlanRun, plan_and_publish, preview_plan
from email_scheduler_tests.command_line import Outcome, run_command
from email_scheduler_tests.databases import Database

AS_OF = date(2026, 11, 23)
CONFIG = SchedulerConfig()
COUNT = 300
PERSON = AcceptedLoss("ann", "the agency closed its Texas office")


@pytest.fixture
def agency(database: Database) -> Database:
    """300 contacts in Texas, each with three emails ahead."""
    fill(database)
    return database


def fill(database: Database) -> None:
    database.insert(
        "contacts",
        *(
            {
                "id": number,
                "email": f"contact{number}@example.com",
                "zip_code": "75001",
                "birth_date": f"1950-{number % 12 + 1:02}-{number % 28 + 1:02}",
                "effective_date": f"2019-{(number + 5) % 12 + 1:02}-{number % 28 + 1:02}",
            }
            for number in range(1, COUNT + 1)
        ),
    )


def publish(agency: Database, *, days: int = 0, config: SchedulerConfig = CONFIG, **options: Any) -> PlanRun:
    return plan_and_publish(agency.url, config, AS_OF + timedelta(days=days), **options)


def refusal(agency: Database, *, days: int = 1, config: SchedulerConfig = CONFIG, **options: Any) -> str:
    """Plan for the next day, which must be refused and write no row of the plan; return why it was."""
    before = planned_rows(agency)
    with pytest.raises(LossError) as refused:
        publish(agency, days=days, config=config, **options)
    assert planned_rows(agency) == before
    record = agency.rows("SELECT * FROM scheduler_checkpoints ORDER BY id DESC LIMIT 1")[0]
    assert (record["status"], record["error_message"]) == ("failed", str(refused.value))
    return str(refused.value)


def planned_rows(agency: Database) -> list[tuple[Any, ...]]:
    return agency.query(
        "SELECT id, contact_id, email_type, status, skip_reason, scheduled_send_date, scheduler_run_id"
        " FROM email_schedules ORDER BY id"
    )


def summary_of(agency: Database) -> dict[str, Any]:
    record = agency.rows("SELECT summary, status FROM scheduler_checkpoints ORDER BY id DESC LIMIT 1")[0]
    assert record["status"] == "completed"
    summary: dict[str, Any] = json.loads(record["summary"])
    return summary


def test_a_plan_without_a_valid_contact_is_refused_when_all_contacts_were_deleted(agency: Database) -> None:
    publish(agency)
    emails = sum(row[3] == "pre-scheduled" and row[5] > "2026-11-24" for row in planned_rows(agency))
    agency.write("DELETE FROM contacts")
    why = refusal(agency)
    assert "the plan for 2026-11-24 loses too much, so that nothing was published" in why
    assert "none of 300 valid contacts is left" in why
    assert f"contacts that are gone (300 contacts, {emails:,} emails)" in why
    assert "plan --as-of 2026-11-24 --accept-loss --by NAME --reason TEXT" in why


def test_a_plan_is_refused_when_nine_of_ten_contacts_were_deleted(agency: Database) -> None:
    publish(agency)
    agency.write("DELETE FROM contacts WHERE id % 10 <> 0")
    why = refusal(agency)
    assert "270 of 300 (90.0%) valid contacts are lost (guard.max_contact_loss_share is 0.10)" in why
    assert "planned emails leave the plan or are skipped (guard.max_email_loss_share is 0.25)" in why
    assert "contacts that are gone (270 contacts, " in why


def test_a_plan_is_refused_when_every_third_address_was_broken_by_a_load(agency: Database) -> None:
    publish(agency)
    agency.write("UPDATE contacts SET email = 'contact' || id WHERE id % 3 = 0")
    why = refusal(agency)
    assert "100 of 300 (33.3%) valid contacts are lost" in why
    assert "contacts that are not valid: invalid_email (100 contacts, " in why


def test_a_plan_is_refused_when_contacts_were_loaded_again_under_other_ids(agency: Database) -> None:
    publish(agency)
    agency.write("UPDATE contacts SET id = id + 1000")
    why = refusal(agency)
    assert "valid contacts" not in why
    assert "(100.0%) planned emails leave the plan or are skipped" in why
    assert "contacts that are gone (300 contacts, " in why


def test_a_plan_is_refused_when_a_rule_of_a_state_stops_the_emails(agency: Database) -> None:
    publish(agency)
    config = SchedulerConfig.model_validate({"state_rules": {"year_round_exclusion": ["TX"]}})
    why = refusal(agency, config=config)
    assert "emails that are skipped: Year-round exclusion in TX (300 contacts, " in why


def test_losses_up_to_the_shares_are_published(agency: Database) -> None:
    publish(agency)
    agency.write("DELETE FROM contacts WHERE id <= 30")
    assert publish(agency, days=1).accepted is None
    # a tenth of 270 is 27
    agency.write("DELETE FROM contacts WHERE id <= 58")
    assert "28 of 270 (10.4%)" in refusal(agency, days=2)


def test_a_small_agency_may_lose_all_but_one_of_its_contacts(agency: Database) -> None:
    agency.write("DELETE FROM contacts WHERE id > 7")
    publish(agency)
    agency.write("DELETE FROM contacts WHERE id > 1")
    publish(agency, days=1)
    agency.write("DELETE FROM contacts")
    assert "none of 1 valid contacts is left" in refusal(agency, days=2)


def test_a_first_plan_has_nothing_to_lose(agency: Database) -> None:
    agency.insert(
        "email_schedules",
        *(
            {
                "contact_id": number,
                "email_type": "birthday",
                "status": "pre-scheduled",
                "scheduled_send_date": "2027-01-01",
                "event_year": 2026,
                "event_month": 6,
                "event_day": 1,
            }
            for number in range(1, 101)
        ),
    )
    agency.write("DELETE FROM contacts WHERE id > 1")
    publish(agency)
    assert {row[1] for row in planned_rows(agency)} == {1}


def test_a_refused_plan_is_compared_with_the_published_one_again(agency: Database) -> None:
    publish(agency)
    agency.write("DELETE FROM contacts WHERE id > 60")
    refusal(agency, days=1)
    refusal(agency, days=1)
    assert "240 of 300" in refusal(agency, days=2)


def test_planning_goes_on_once_the_data_is_mended(agency: Database) -> None:
    publish(agency)
    agency.write("UPDATE contacts SET zip_code = '00000' WHERE id % 2 = 0")
    refusal(agency, days=1)
    agency.write("UPDATE contacts SET zip_code = '75001'")
    assert publish(agency, days=1).accepted is None


def test_an_accepted_plan_is_published_and_recorded_with_person_and_reason(agency: Database) -> None:
    publish(agency)
    agency.write("DELETE FROM contacts WHERE id > 60")
    refusal(agency)
    run = publish(agency, days=1, accept_loss=PERSON)
    assert {row[1] for row in planned_rows(agency)} == set(range(1, 61))
    kept = summary_of(agency)["accepted_loss"]
    assert (kept["by"], kept["reason"]) == (PERSON.by, PERSON.reason)
    assert kept["loss"].startswith("240 of 300 (80.0%) valid contacts are lost")
    assert any("the plan was accepted by ann (" in warning for warning in run.warnings)
    # the next plan has it behind it
    assert publish(agency, days=2).accepted is None
    assert "accepted_loss" not in summary_of(agency)


def test_nothing_is_recorded_as_accepted_where_nothing_is_lost(agency: Database) -> None:
    publish(agency)
    assert publish(agency, days=1, accept_loss=PERSON).accepted is None
    assert "accepted_loss" not in summary_of(agency)


@pytest.mark.parametrize(("by", "reason"), [(" ", "why not"), ("ann", "")])
def test_a_loss_is_not_accepted_by_nobody_or_without_a_reason(by: str, reason: str) -> None:
    with pytest.raises(UsageError, match="blank"):
        AcceptedLoss(by, reason)


def test_a_dry_run_says_that_publishing_would_be_refused(agency: Database) -> None:
    publish(agency)
    agency.write("DELETE FROM contacts WHERE id > 60")
    run = preview_plan(agency.url, CONFIG, AS_OF)
    assert run.loss is not None
    assert (run.loss.contacts_before, run.loss.contacts_after) == (300, 60)
    assert any("publishing would be refused: the plan for 2026-11-23 loses" in text for text in run.warnings)
    assert len(agency.rows("SELECT id FROM scheduler_checkpoints")) == 1


def with_campaign(agency: Database) -> None:
    agency.insert("campaign_types", {"name": "promo", "days_before_event": 0, "priority": 1})
    agency.insert(
        "campaign_instances",
        {"id": 7, "campaign_type": "promo", "instance_name": "spring", "active_end_date": "2027-06-30"},
    )
    agency.insert(
        "contact_campaigns",
        *(
            {"contact_id": number, "campaign_instance_id": 7, "trigger_date": f"2027-0{month}-11"}
            for number in range(1, COUNT + 1)
            for month in (3, 4, 5)
        ),
    )


@pytest.mark.parametrize(
    "stop",
    [
        "UPDATE campaign_instances SET active = FALSE",
        "UPDATE campaign_types SET active = FALSE",
        "UPDATE campaign_instances SET active_end_date = '2026-12-31'",
        "DELETE FROM contact_campaigns",
    ],
)
def test_a_campaign_that_is_stopped_is_meant_to_go(agency: Database, stop: str) -> None:
    with_campaign(agency)
    publish(agency)
    campaign = [row for row in planned_rows(agency) if row[2] == "campaign_promo" and row[4] is None]
    assert len(campaign) > COUNT
    agency.write(stop)
    publish(agency, days=1)
    left = [row for row in planned_rows(agency) if row[2] == "campaign_promo" and row[3] == "pre-scheduled"]
    assert not left


def test_a_campaign_that_nobody_has_stopped_is_not_meant_to_go(agency: Database) -> None:
    with_campaign(agency)
    publish(agency)
    config = SchedulerConfig.model_validate({"features": {"enable_campaigns": False}})
    why = refusal(agency, config=config)
    assert "emails of campaign instance 7, which has none for them any more (300 contacts, " in why


def test_a_campaign_that_is_stopped_hides_no_other_loss(agency: Database) -> None:
    with_campaign(agency)
    publish(agency)
    agency.write("UPDATE campaign_instances SET active = FALSE")
    agency.write("UPDATE contacts SET zip_code = NULL WHERE id <= 200")
    why = refusal(agency)
    assert "campaign" not in why
    assert "contacts that are not valid: missing_zip_code (200 contacts, " in why


def test_emails_that_the_sending_system_took_do_not_count(agency: Database) -> None:
    publish(agency)
    # it sends what it likes, also ahead of time
    agency.write(
        "UPDATE email_schedules SET status = 'sent' WHERE status = 'pre-scheduled' AND contact_id > 20"
    )
    assert publish(agency, days=1).accepted is None


def test_emails_that_the_sending_system_answered_do_not_count(agency: Database) -> None:
    publish(agency)
    rows = agency.rows(
        "SELECT contact_id, email_type, event_year, event_month, event_day FROM email_schedules"
        " WHERE status = 'pre-scheduled'"
    )
    # another program has sent all of them by rows of its own
    agency.insert(
        "email_schedules", *({**row, "status": "sent", "scheduled_send_date": "2026-11-22"} for row in rows)
    )
    kept = {row[0] for row in planned_rows(agency) if row[3] == "pre-scheduled"}
    assert publish(agency, days=1).accepted is None
    assert kept.isdisjoint(row[0] for row in planned_rows(agency))


def test_emails_of_days_that_are_over_do_not_count(agency: Database) -> None:
    publish(agency)
    # nobody was sent to for two years: each email of then is over, and none of them is ahead
    run = publish(agency, days=730)
    assert run.accepted is None


def test_an_older_plan_is_judged_like_any_other(agency: Database) -> None:
    publish(agency)
    publish(agency, days=-3, allow_older=True)
    agency.write("DELETE FROM contacts WHERE id > 60")
    assert "240 of 300" in refusal(agency, days=-4, allow_older=True)


def test_the_limits_are_settings(agency: Database) -> None:
    publish(agency)
    agency.write("DELETE FROM contacts WHERE id > 60")
    lenient = {"max_contact_loss_share": 0.80, "max_email_loss_share": 1}
    config = SchedulerConfig.model_validate({"guard": lenient})
    assert publish(agency, days=1, config=config).accepted is None


Run = Callable[..., Outcome]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return partial(run_command, monkeypatch, capsys)


def test_the_commands_say_that_a_plan_waits_and_later_who_has_accepted_it(
    agency: Database, command: Run, tmp_path: Path
) -> None:
    at, day = ("--database", agency.url), ("--as-of", "2026-11-24")
    assert command("plan", *at, "--as-of", "2026-11-23").code == 0
    agency.write("DELETE FROM contacts WHERE id > 60")

    dry_run = command("plan", *at, *day, "--dry-run", "--json")
    assert dry_run.code == 0
    assert json.loads(dry_run.out)["loss"]["contacts_after"] == 60
    assert "publishing would be refused" in dry_run.err

    refused = command("plan", *at, *day)
    assert refused.code == 3
    (line,) = [line for line in refused.err.splitlines() if line.startswith("error: ")]
    assert "240 of 300 (80.0%) valid contacts are lost" in line
    assert "contacts that are gone (240 contacts, " in line
    assert "plan --as-of 2026-11-24 --accept-loss --by NAME --reason TEXT" in line

    health = json.loads(command("health", *at, "--json").out)["organizations"]
    (figures,) = [each["figures"] for each in (health.values() if isinstance(health, dict) else health)]
    assert "it waits for a person" in figures["plan"]["waiting"]
    page = tmp_path / "report.html"
    report = command("report", *at, "--as-of", "2026-11-23", "--html", str(page))
    assert "A plan waits for a person: the plan for 2026-11-24 loses too much" in unfolded(report.out)
    assert "A plan waits for a person. The plan for 2026-11-24 loses too much" in page.read_text()
    assert "the plan for 2026-11-24 loses too much" in command("report", *at, *day).err

    said = ("--accept-loss", "--by", "ann", "--reason", "the Texas office was sold")
    accepted = command("plan", *at, *day, *said, "--json")
    assert accepted.code == 0, accepted.err
    assert json.loads(accepted.out)["accepted_loss"]["by"] == "ann"
    told = "The plan was accepted by ann (the Texas office was sold) although it loses too much: 240 of 300"
    report = command("report", *at, *day, "--html", str(page), "--force")
    assert told[1:] in unfolded(report.out)
    assert "waits for a person" not in report.out
    assert told in page.read_text()
    assert told in unfolded(command("explain", *at, *day, "--contact", 7).out)
    assert "waits for a person no plan" in unfolded(command("health", *at).out)
    # an earlier plan was not accepted by anybody
    assert "accepted by" not in command("explain", *at, "--as-of", "2026-11-23", "--contact", 7).out


def unfolded(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--accept-loss",), "--accept-loss without --by NAME and --reason TEXT"),
        (("--accept-loss", "--by", "ann"), "--accept-loss without --reason TEXT"),
        (("--accept-loss", "--reason", "sold"), "--accept-loss without --by NAME;"),
        (("--reason", "sold"), "--reason without --accept-loss"),
        (("--reason", "sold", "--by", "ann"), "--reason without --accept-loss"),
        (("--accept-loss", "--by", " ", "--reason", "sold"), "blank"),
        (("--accept-loss", "--by", "ann", "--reason", ""), "blank"),
    ],
)
def test_a_loss_is_accepted_with_a_name_and_a_reason_or_not_at_all(
    sqlite_database: Database, command: Run, options: tuple[str, ...], told: str
) -> None:
    refused = command("plan", "--database", sqlite_database.url, *options)
    assert refused.code == 2
    assert told in refused.err
    assert not sqlite_database.rows("SELECT id FROM scheduler_checkpoints")


def test_after_a_backup_was_restored_a_plan_is_compared_with_what_it_holds(
    sqlite_database: Database, command: Run
) -> None:
    fill(sqlite_database)
    at = ("--database", sqlite_database.url)
    assert command("plan", *at, "--as-of", "2026-11-23").code == 0
    made = json.loads(command("backup", "create", *at, "--json").out)
    sqlite_database.write("DELETE FROM contacts WHERE id > 60")
    loss = ("--accept-loss", "--by", "ann", "--reason", "sold")
    assert command("plan", *at, "--as-of", "2026-11-24", *loss).code == 0
    assert command("plan", *at, "--as-of", "2026-11-25").code == 0
    restored = command("backup", "restore", made["name"], *at, "--yes")
    assert restored.code == 0, restored.err
    assert command("plan", *at, "--as-of", "2026-11-25").code == 3

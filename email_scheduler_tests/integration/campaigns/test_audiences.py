"""Audiences of real databases: columns of an agency's own, from the command to the rows of the plan."""

import json
from datetime import date
from pathlib import Path

import pytest

from email_scheduler.campaigns.preview import NewInstance
from email_scheduler.campaigns.selections import ById
from email_scheduler.campaigns.service import Campaigns
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.inputs import read_inputs
from email_scheduler.errors import InputDataError, UsageError
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.integration.campaigns.campaign_database import CampaignDatabase
from email_scheduler_tests.integration.campaigns.test_campaign_commands import Command, command, told

__all__ = ["command"]
AS_OF = date(2026, 11, 24)
CONFIG = SchedulerConfig.model_validate({"load_balancing": {"daily_send_percentage_cap": 1}})
OWN_COLUMNS = """
    ALTER TABLE contacts ADD COLUMN carrier TEXT;
    ALTER TABLE contacts ADD COLUMN rate_change_date DATE;
    ALTER TABLE contacts ADD COLUMN premium NUMERIC(9, 2);
    ALTER TABLE contacts ADD COLUMN "Group" TEXT;
    UPDATE contacts SET carrier = ' Acme ', premium = 100 * id, "Group" = 'b' WHERE id <> 3;
    UPDATE contacts SET rate_change_date = '2027-05-10' WHERE id IN (1, 2, 3, 7);
"""
RATE_CHANGE = {
    "where": {"carrier": "acme", "state": "TX", "premium": {"max": 800}},
    "trigger": {"column": "rate_change_date"},
}


@pytest.fixture
def agency(database: CampaignDatabase) -> CampaignDatabase:
    """The same contacts with columns of the agency's own; all but 3 are with Acme."""
    database.database.run(OWN_COLUMNS)
    return database


def own_emails(database: CampaignDatabase) -> list[tuple[object, ...]]:
    return database.rows(
        "SELECT contact_id, event_year, event_month, event_day, status FROM email_schedules"
        " WHERE email_type = 'campaign_promo' ORDER BY contact_id"
    )


def test_from_the_command_to_the_rows_and_what_the_preview_said(
    agency: CampaignDatabase, command: Command, tmp_path: Path
) -> None:
    settings = (
        "email_template=rates_v1",
        "active_start_date=2026-12-01",
        "metadata.audience.where.carrier=ACME",
        "metadata.audience.where.state=[TX,FL]",
        "metadata.audience.where.premium.max=800",
        "metadata.audience.trigger.column=rate_change_date",
    )
    file = tmp_path / "acme.yaml"
    where = "{carrier: acme, state: [TX, FL], premium: {max: 800}}"
    file.write_text(
        "campaign_instances:\n  promo:\n    acme:\n      email_template: rates_v1\n"
        "      active_start_date: 2026-12-01\n      metadata:\n        audience:\n"
        f"          where: {where}\n          trigger: {{column: rate_change_date}}\n"
    )
    preview = ("campaigns", "preview", "--as-of", str(AS_OF))
    before = told(command, *preview, "--file", str(file), "--ids", "2")
    # 1, 2, 7 and 8 match; 2 is listed, 8 has no date
    assert before["audience"] == {"matched": 4, "listed": 1, "without_trigger_date": 1, "taken": 2}
    assert command("campaigns", "instances", "create", "promo/acme", *settings).code == 0
    saved = told(command, *preview, "promo/acme")
    assert saved["audience"] == {"matched": 4, "listed": 0, "without_trigger_date": 1, "taken": 3}
    assert sum(saved["emails_by_day"].values()) == 3
    assert "left out: without a trigger date          1" in command(*preview, "promo/acme").out
    plan_and_publish(agency.url, CONFIG, AS_OF)
    assert own_emails(agency) == [(number, 2027, 5, 10, "pre-scheduled") for number in (1, 2, 7)]
    assert agency.rows("SELECT contact_id, issue FROM contact_issues WHERE field = 'trigger_date'") == [
        (8, "missing_trigger_date")
    ]
    assert agency.rows("SELECT count(*) FROM contact_campaigns") == [(0,)]
    shown = command("campaigns", "show", "promo/acme").out
    assert '"carrier": ["ACME"]' in shown
    assert "those of its audience, and those listed" in shown
    assert told(command, "campaigns", "show", "promo/acme")["is_for_audience"]


def test_planning_again_changes_nothing_and_news_of_contacts_are_taken_up(agency: CampaignDatabase) -> None:
    campaigns = Campaigns(agency.url, CONFIG, changed_by="anna")
    campaigns.create_instance("promo", "acme", email_template="x", metadata={"audience": RATE_CHANGE})
    plan_and_publish(agency.url, CONFIG, AS_OF)
    again = plan_and_publish(agency.url, CONFIG, AS_OF).changes.totals
    assert [again[name] for name in ("added", "changed", "removed")] == [0, 0, 0]
    agency.write("UPDATE contacts SET rate_change_date = '2027-06-01' WHERE id = 8")
    agency.write("UPDATE contacts SET carrier = 'Other' WHERE id = 1")
    plan_and_publish(agency.url, CONFIG, AS_OF)
    assert [row[:4] for row in own_emails(agency)] == [(2, 2027, 5, 10), (7, 2027, 5, 10), (8, 2027, 6, 1)]


def test_a_contact_is_withdrawn_from_an_audience_and_what_was_sent_is_not_sent_again(
    agency: CampaignDatabase,
) -> None:
    campaigns = Campaigns(agency.url, CONFIG, changed_by="anna")
    campaigns.create_instance("promo", "acme", email_template="x", metadata={"audience": RATE_CHANGE})
    plan_and_publish(agency.url, CONFIG, AS_OF)
    campaigns.withdraw("acme", ById([2]))
    agency.write(
        "UPDATE email_schedules SET status = 'sent' WHERE contact_id = 7 AND email_type = 'campaign_promo'"
    )
    agency.write("UPDATE contacts SET rate_change_date = '2027-08-01' WHERE id = 7")
    plan_and_publish(agency.url, CONFIG, AS_OF)
    assert [(row[0], row[4]) for row in own_emails(agency)] == [(1, "pre-scheduled"), (7, "sent")]


def test_only_the_columns_of_planned_audiences_are_read(agency: CampaignDatabase) -> None:
    campaigns = Campaigns(agency.url, CONFIG, changed_by="anna")
    assert list(read_inputs(agency.url, AS_OF, CONFIG).contact_attributes) == ["id"]
    audience = {
        "where": {"group": "B", "effective_month": 11},
        "trigger": {"anniversary_of": "rate_change_date"},
    }
    campaigns.create_instance("promo", "acme", email_template="x", metadata={"audience": audience})
    attributes = read_inputs(agency.url, AS_OF, CONFIG).contact_attributes
    assert list(attributes) == ["id", "group", "rate_change_date"]
    by_id = attributes.set_index("id")
    assert (len(by_id), by_id.loc[1, "group"], by_id.loc[1, "rate_change_date"]) == (10, "b", "2027-05-10")
    campaigns.stop_instance("acme")
    assert list(read_inputs(agency.url, AS_OF, CONFIG).contact_attributes) == ["id"]
    # a preview of a stopped instance needs them all the same
    preview = campaigns.preview("acme", AS_OF)
    assert preview.audience is not None
    assert preview.audience.matched == 2


def test_a_column_that_contacts_do_not_have_is_refused_and_later_stops_the_plan(
    agency: CampaignDatabase,
) -> None:
    campaigns = Campaigns(agency.url, CONFIG, changed_by="anna")
    wrong = {"audience": {"where": {"carier": "acme"}}}
    for attempt in (
        lambda: campaigns.create_instance("promo", "acme", email_template="x", metadata=wrong),
        lambda: campaigns.change_instance("spring", metadata=wrong),
        lambda: campaigns.preview(
            NewInstance("promo", "acme", {"email_template": "x", "metadata": wrong}), AS_OF
        ),
    ):
        with pytest.raises(
            UsageError, match=r"metadata\.audience names carier; accepted is a column of contacts; .*carrier"
        ):
            attempt()
    campaigns.create_instance("promo", "acme", email_template="x", metadata={"audience": RATE_CHANGE})
    agency.write("ALTER TABLE contacts DROP COLUMN carrier")
    with pytest.raises(InputDataError, match=r"campaign instance 3: metadata\.audience names carrier"):
        plan_and_publish(agency.url, CONFIG, AS_OF)
    assert own_emails(agency) == []


def test_a_changed_audience_is_on_record_and_takes_the_place_of_the_old_one(agency: CampaignDatabase) -> None:
    campaigns = Campaigns(agency.url, CONFIG, changed_by="anna")
    campaigns.create_instance("promo", "acme", email_template="x", metadata={"audience": RATE_CHANGE})
    [change] = campaigns.change_instance("acme", metadata={"audience": {"where": {"state": "TX"}}})
    assert (change.field, change.requires_rescheduling) == ("metadata", True)
    assert json.loads(change.new or "") == {"audience": {"where": {"state": ["TX"]}}}
    assert campaigns.change_instance("acme", metadata={"audience": {"where": {"state": ["tx"]}}}) == []
    [change] = campaigns.change_instance("acme", metadata={"audience": None})
    assert change.new == "{}"

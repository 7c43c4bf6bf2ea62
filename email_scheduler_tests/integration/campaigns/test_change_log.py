"""What is on record: what other programs change, too; nothing twice, and nothing of the planner's own."""

import json
from datetime import date

import pytest

from email_scheduler.campaigns.selections import ById
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning_run import plan_and_publish
from email_scheduler.sample.sample_data import generate_sample
from email_scheduler_tests.integration.campaigns.campaign_database import CampaignDatabase


def test_every_column_of_a_type_that_another_program_changes_is_on_record(database: CampaignDatabase) -> None:
    database.write("INSERT INTO campaign_types (name) VALUES ('mailing')")
    database.write(
        "UPDATE campaign_types SET respect_exclusion_windows = FALSE, enable_followups = FALSE,"
        " days_before_event = 3, target_all_contacts = TRUE, priority = NULL, active = FALSE,"
        " updated_at = '2026-01-01T00:00:00Z'"
        " WHERE name = 'promo'"
    )
    database.write("DELETE FROM campaign_types WHERE name = 'mailing'")
    assert database.log() == [
        (None, "created", None, "mailing"),
        (None, "days_before_event", "7", "3"),
        (None, "priority", "5", None),
        (None, "respect_exclusion_windows", "true", "false"),
        (None, "enable_followups", "true", "false"),
        (None, "target_all_contacts", "false", "true"),
        (None, "active", "true", "false"),
        (None, "deleted", "mailing", None),
    ]
    rows = database.rows("SELECT campaign_type, changed_by, requires_rescheduling FROM campaign_change_log")
    # a server also says who
    assert {(name, by.partition(" (")[0], bool(requires)) for name, by, requires in rows} == {
        ("mailing", "direct SQL", False),
        ("promo", "direct SQL", True),
    }


def test_every_column_of_an_instance_that_another_program_changes_is_on_record(
    database: CampaignDatabase,
) -> None:
    database.quietly("INSERT INTO campaign_types (name) VALUES ('mailing')")
    database.write(
        "UPDATE campaign_instances SET campaign_type = 'mailing', instance_name = 'x', email_template = 'y',"
        " sms_template = 'z', active_start_date = '2027-01-01', active_end_date = '2027-12-31',"
        " metadata = NULL, active = FALSE, updated_at = '2026-01-01T00:00:00Z' WHERE id = 1"
    )
    database.write(
        "INSERT INTO campaign_instances (id, campaign_type, instance_name) VALUES (9, 'promo', 'new')"
    )
    database.write("DELETE FROM campaign_instances WHERE id = 9")
    assert database.log() == [
        (1, "campaign_type", "promo", "mailing"),
        (1, "instance_name", "spring", "x"),
        (1, "email_template", "promo_v1", "y"),
        (1, "sms_template", None, "z"),
        (1, "active_start_date", None, "2027-01-01"),
        (1, "active_end_date", None, "2027-12-31"),
        (1, "metadata", '{"trigger_date": "2027-03-01"}', None),
        (1, "active", "true", "false"),
        (9, "created", None, "new"),
        (9, "deleted", "new", None),
    ]


def test_what_changes_nothing_is_not_on_record(database: CampaignDatabase) -> None:
    database.write("UPDATE campaign_types SET priority = priority, updated_at = '2026-01-01T00:00:00Z'")
    database.write("UPDATE campaign_instances SET active = active, updated_at = '2026-01-01T00:00:00Z'")
    database.write("INSERT INTO contact_campaigns (contact_id, campaign_instance_id) VALUES (1, 1)")
    before = database.log()
    database.write(
        "UPDATE contact_campaigns SET status = status, trigger_date = trigger_date,"
        " updated_at = '2026-01-01T00:00:00Z'"
    )
    assert database.log() == before


def test_a_statement_of_another_program_that_adds_many_targets_is_one_entry_for_each_instance(
    database: CampaignDatabase,
) -> None:
    database.write(
        "INSERT INTO contact_campaigns (contact_id, campaign_instance_id, trigger_date)"
        " SELECT id, instance, '2027-05-01' FROM contacts, (SELECT 1 AS instance UNION SELECT 2) AS numbers"
        " ORDER BY instance, id"
    )
    assert database.log() == [(1, "targets", None, '{"added": 10}'), (2, "targets", None, '{"added": 10}')]


def test_changes_of_targets_by_another_program_tell_what_happened(database: CampaignDatabase) -> None:
    database.quietly(
        "INSERT INTO contact_campaigns (id, contact_id, campaign_instance_id) VALUES (1, 1, 1), (2, 2, 1),"
        " (3, 3, 1)"
    )
    for statement in (
        "UPDATE contact_campaigns SET trigger_date = '2027-06-01' WHERE id < 3",
        "UPDATE contact_campaigns SET status = 'skipped' WHERE id = 1",
        "UPDATE contact_campaigns SET status = 'pending' WHERE id = 1",
        "UPDATE contact_campaigns SET status = 'sent' WHERE id = 2",
        "UPDATE contact_campaigns SET contact_id = 7 WHERE id = 3",
        "UPDATE contact_campaigns SET metadata = '{}' WHERE id = 3",
        "UPDATE contact_campaigns SET campaign_instance_id = 2 WHERE id = 3",
        "DELETE FROM contact_campaigns WHERE campaign_instance_id = 1",
    ):
        database.write(statement)
    assert [(instance, json.loads(new)) for instance, _, _, new in database.log()] == [
        (1, {"moved": 2}),
        (1, {"withdrawn": 1}),
        (1, {"changed": 1}),
        (1, {"changed": 1}),
        (1, {"changed": 1}),
        (1, {"annotated": 1}),
        (1, {"removed": 1}),
        (2, {"added": 1}),
        (1, {"removed": 2}),
    ]
    assert database.rows("SELECT new_value FROM campaign_change_log WHERE NOT requires_rescheduling") == [
        ('{"annotated": 1}',)
    ]


def test_whether_a_target_is_pending_or_scheduled_is_bookkeeping(database: CampaignDatabase) -> None:
    database.quietly("INSERT INTO contact_campaigns (contact_id, campaign_instance_id) VALUES (1, 1)")
    database.write("UPDATE contact_campaigns SET status = 'scheduled'")
    database.write("UPDATE contact_campaigns SET status = 'pending'")
    assert database.log() == []


def test_changes_that_were_already_taken_into_account_are_not_counted_in_again(
    database: CampaignDatabase,
) -> None:
    insert = "INSERT INTO contact_campaigns (contact_id, campaign_instance_id) VALUES"
    database.write(f"{insert} (1, 1)")
    database.write(
        "UPDATE campaign_change_log SET processed_run_id = 'run', changed_at = '9999-12-31T00:00:00Z'"
    )
    database.write(f"{insert} (2, 1)")
    assert [row[3] for row in database.log()] == ['{"added": 1}', '{"added": 1}']


def test_the_services_own_changes_are_on_record_once(database: CampaignDatabase) -> None:
    service = database.service()
    service.create_type("mailing")
    made = service.create_instance("mailing", "x", email_template="t")
    service.change_instance(str(made.id), email_template="t2")
    service.target("mailing/x", ById([1, 2]), trigger_date=date(2027, 5, 1))
    service.withdraw("mailing/x", ById([1]))
    assert database.log() == [
        (None, "created", None, "mailing"),
        (made.id, "created", None, "x"),
        (made.id, "email_template", "t", "t2"),
        (made.id, "targets", None, '{"added": 2}'),
        (made.id, "targets", None, '{"withdrawn": 1}'),
    ]
    assert database.rows("SELECT DISTINCT changed_by FROM campaign_change_log") == [("anna",)]
    database.write("UPDATE campaign_types SET priority = 9 WHERE name = 'mailing'")
    assert len(database.log()) == 6


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_the_planner_notes_of_targets_is_not_on_record(
    kind: str, request: pytest.FixtureRequest
) -> None:
    database = CampaignDatabase(request.getfixturevalue(f"{kind}_database"))
    as_of = date(2026, 11, 23)
    generate_sample(database.url, 300, 1, as_of, SchedulerConfig())
    assert database.log() == []
    plan_and_publish(database.url, SchedulerConfig(), as_of)
    count = "SELECT count(*) FROM contact_campaigns WHERE status = "
    [(scheduled,)], [(sent,)] = database.rows(f"{count}'scheduled'"), database.rows(f"{count}'sent'")
    assert scheduled > 1
    database.write(
        "UPDATE email_schedules SET status = 'sent' WHERE status = 'pre-scheduled'"
        " AND email_type = 'campaign_rate_increase'"
    )
    plan_and_publish(database.url, SchedulerConfig(), as_of)
    assert database.rows(f"{count}'sent'") == [(sent + scheduled,)]
    assert database.log() == []
    assert database.rows("SELECT * FROM change_context") == []

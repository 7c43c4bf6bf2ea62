"""Campaign types and instances through the service: what is accepted, what is changed, what is on record."""

from datetime import date
from pathlib import Path

import pytest

from email_scheduler.campaigns.service import Campaigns
from email_scheduler.config.loader import load_config
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import DatabaseError, UsageError
from email_scheduler_tests.databases import on_sqlite
from email_scheduler_tests.integration.campaigns.campaign_database import CampaignDatabase


def test_a_type_is_created_with_the_defaults_of_the_configuration(database: CampaignDatabase) -> None:
    made = database.service().create_type("winter_promo", priority=3)
    assert (made.priority, made.days_before_event, made.active, made.target_all_contacts) == (
        3,
        0,
        True,
        False,
    )
    assert [each.name for each in database.service().types()] == ["promo", "winter_promo"]
    assert database.log() == [(None, "created", None, "winter_promo")]


def test_a_change_says_what_was_before_and_who_did_it(database: CampaignDatabase) -> None:
    changes = database.service().change_type("promo", priority=2, active=False, days_before_event=7)
    assert [(c.field, c.old, c.new) for c in changes] == [("priority", "5", "2"), ("active", "true", "false")]
    assert database.log() == [(None, "priority", "5", "2"), (None, "active", "true", "false")]
    assert database.rows(
        "SELECT DISTINCT campaign_type, changed_by, requires_rescheduling, processed_run_id"
        " FROM campaign_change_log"
    ) == [("promo", "anna", 1, None)]
    [row] = database.service().types()
    assert (row.priority, row.active) == (2, False)


def test_a_change_of_nothing_leaves_no_trace(database: CampaignDatabase) -> None:
    before = database.rows("SELECT * FROM campaign_types")
    assert database.service().change_type("promo", priority=5) == []
    assert database.service().change_instance("1", email_template="promo_v1") == []
    assert database.rows("SELECT * FROM campaign_types") == before
    assert database.log() == []


def test_a_type_that_no_instance_has_calls_for_no_plan(database: CampaignDatabase) -> None:
    service = database.service()
    service.create_type("winter_promo")
    service.change_type("winter_promo", priority=1)
    assert database.rows("SELECT DISTINCT requires_rescheduling FROM campaign_change_log") == [(0,)]


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("Promo", {}, "campaign type Promo: name: value 'Promo': accepted is a name"),
        ("_promo", {}, "accepted is a name"),
        ("promo2", {"priority": 0}, "priority: value 0: accepted is a whole number from 1 to 100"),
        ("promo2", {"priority": "1"}, "priority: value '1'"),
        ("promo2", {"color": "red"}, "color: unknown key: accepted is one of respect_exclusion_windows"),
        ("promo", {}, "campaign type promo: there is one already"),
    ],
)
def test_a_type_that_is_not_accepted_is_refused(
    database: CampaignDatabase, name: str, settings: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError) as refused:
        database.service().create_type(name, **settings)
    assert told in str(refused.value)
    assert database.log() == []


def test_an_unknown_type_is_named_beside_those_that_there_are(database: CampaignDatabase) -> None:
    with pytest.raises(
        UsageError, match="campaign type prmo: there is no such type; accepted is one of: promo"
    ):
        database.service().change_type("prmo", priority=1)


def test_an_instance_is_created_with_dates_and_metadata(database: CampaignDatabase) -> None:
    made = database.service().create_instance(
        "promo",
        "autumn",
        email_template="promo_v2",
        active_start_date="2026-09-01",
        active_end_date=date(2026, 12, 31),
        metadata={"trigger_date": "2026-10-01", "priority": 1, "extra": {"owner": "marketing", "cost": 1.5}},
    )
    assert made.reference == "promo/autumn"
    [row] = database.rows(
        "SELECT email_template, sms_template, active_start_date, active_end_date, metadata, active"
        " FROM campaign_instances WHERE id = ?",
        made.id,
    )
    assert row == (
        "promo_v2",
        None,
        "2026-09-01",
        "2026-12-31",
        '{"extra": {"cost": 1.5, "owner": "marketing"}, "priority": 1, "trigger_date": "2026-10-01"}',
        1,
    )
    assert database.log() == [(made.id, "created", None, "autumn")]


@pytest.mark.parametrize(
    ("names", "settings", "told"),
    [
        (("promo", "Autumn 2026"), {"email_template": "t"}, "instance_name: value 'Autumn 2026'"),
        (("promo", "x"), {}, "email_template: missing"),
        (("promo", "x"), {"email_template": " "}, "email_template: value ' '"),
        (("promo", "x"), {"email_template": "t", "sms_template": ""}, "sms_template: value ''"),
        (("promo", "x"), {"email_template": "t", "active_end_date": "2026-02-30"}, "active_end_date"),
        (
            ("promo", "x"),
            {"email_template": "t", "active_start_date": "2026-02-02", "active_end_date": "2026-02-01"},
            "an active_end_date that is not before active_start_date",
        ),
        (
            ("promo", "x"),
            {"email_template": "t", "metadata": {"audiense": 1}},
            "metadata.audiense: unknown key",
        ),
        (
            ("promo", "x"),
            {"email_template": "t", "metadata": {"priority": 101}},
            "metadata.priority: value 101",
        ),
        (
            ("promo", "x"),
            {"email_template": "t", "metadata": {"followup_templates": {"warm": "t"}}},
            "accepted is one of cold, clicked_no_hq",
        ),
        (("nothing", "x"), {"email_template": "t"}, "campaign type nothing: there is no such type"),
        (
            ("promo", "spring"),
            {"email_template": "t"},
            "campaign instance promo/spring: there is one already",
        ),
    ],
)
def test_an_instance_that_is_not_accepted_is_refused(
    database: CampaignDatabase, names: tuple[str, str], settings: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError) as refused:
        database.service().create_instance(*names, **settings)
    assert told in str(refused.value)
    assert database.log() == []


@pytest.mark.parametrize("reference", ["1", "promo/spring", "spring"])
def test_an_instance_is_found_by_id_by_type_and_name_and_by_name(
    database: CampaignDatabase, reference: str
) -> None:
    assert database.service().show(reference).instance.id == 1


def test_a_name_that_two_types_have_needs_the_type(database: CampaignDatabase) -> None:
    service = database.service()
    service.create_type("mailing")
    service.create_instance("mailing", "spring", email_template="t")
    with pytest.raises(UsageError, match=r"there are several: promo/spring \(1\), mailing/spring \(3\)"):
        service.stop_instance("spring")
    with pytest.raises(UsageError, match="campaign instance 77: there is no such instance"):
        service.stop_instance("77")


def test_stopping_takes_an_instance_out_of_what_is_due_at_once_and_starting_brings_it_back(
    database: CampaignDatabase,
) -> None:
    database.write(
        "INSERT INTO email_schedules (id, contact_id, email_type, status, campaign_instance_id)"
        " VALUES (5, 1, 'campaign_promo', 'pre-scheduled', 1)"
    )
    due = "SELECT id FROM due_emails"
    assert database.rows(due) == [(5,)]
    database.service().stop_instance("promo/spring")
    assert database.rows(due) == []
    database.service().start_instance("promo/spring")
    assert database.rows(due) == [(5,)]
    database.service().change_type("promo", active=False)
    assert database.rows(due) == []
    assert database.log() == [
        (1, "active", "true", "false"),
        (1, "active", "false", "true"),
        (None, "active", "true", "false"),
    ]


@on_sqlite
def test_an_instance_that_cannot_be_read_can_still_be_stopped(database: CampaignDatabase) -> None:
    database.quietly(
        "UPDATE campaign_instances SET metadata = '{broken', email_template = NULL,"
        " active_start_date = 'soon'"
    )
    database.service().stop_instance("1")
    assert database.rows("SELECT active, metadata FROM campaign_instances WHERE id = 1") == [(0, "{broken")]


def test_ending_an_instance_sets_its_last_day_but_not_before_its_first(database: CampaignDatabase) -> None:
    service = database.service()
    service.change_instance("1", active_start_date="2027-01-01")
    service.end_instance("1", date(2027, 1, 1))
    with pytest.raises(UsageError, match="accepted is an end that is not before the start"):
        service.end_instance("1", date(2026, 12, 31))
    assert database.rows("SELECT active_end_date FROM campaign_instances WHERE id = 1") == [("2027-01-01",)]


def test_of_metadata_the_keys_that_are_given_change_and_null_takes_one_away(
    database: CampaignDatabase,
) -> None:
    service = database.service()
    service.change_instance("1", metadata={"priority": 2})
    service.change_instance("1", metadata={"trigger_date": None})
    assert database.rows("SELECT metadata FROM campaign_instances WHERE id = 1") == [('{"priority": 2}',)]
    assert [row[1:] for row in database.log()] == [
        ("metadata", '{"trigger_date": "2027-03-01"}', '{"priority": 2, "trigger_date": "2027-03-01"}'),
        ("metadata", '{"priority": 2, "trigger_date": "2027-03-01"}', '{"priority": 2}'),
    ]


def test_what_people_keep_in_extra_calls_for_no_plan(database: CampaignDatabase) -> None:
    service = database.service()
    service.change_instance("1", metadata={"extra": {"note": "x"}})
    service.change_instance("1", metadata={"extra": {"note": "y"}, "priority": 1})
    assert database.rows("SELECT requires_rescheduling FROM campaign_change_log ORDER BY id") == [(0,), (1,)]


def test_the_latest_changes_come_first_and_tell_whether_a_plan_has_them(database: CampaignDatabase) -> None:
    service = database.service()
    service.change_type("promo", priority=2)
    service.change_instance("1", email_template="promo_v2")
    service.change_instance("2", email_template="promo_v3")
    database.write("UPDATE campaign_change_log SET processed_run_id = 'r' WHERE id = 1")
    changes = service.changes()
    assert [(c.instance, c.field, c.new, c.is_processed) for c in changes] == [
        ("promo/undated", "email_template", "promo_v3", False),
        ("promo/spring", "email_template", "promo_v2", False),
        (None, "priority", "2", True),
    ]
    assert [c.id for c in service.changes(limit=1)] == [3]
    assert [c.instance for c in service.changes(instance="spring")] == ["promo/spring"]


def test_a_database_that_is_not_initialised_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(DatabaseError, match="init-db"):
        Campaigns(f"sqlite:///{tmp_path}/empty.db")


WRITTEN = """
campaign_types:
  promo: {priority: 2}
  mailing: {target_all_contacts: true}
campaign_instances:
  promo:
    spring: {email_template: promo_v1, metadata: {priority: 9}}
    autumn: {email_template: promo_v7, active_start_date: 2027-09-01}
"""


def configured(path: Path, text: str) -> SchedulerConfig:
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def test_syncing_brings_the_database_to_what_the_file_says_and_leaves_the_rest(
    database: CampaignDatabase, tmp_path: Path
) -> None:
    service = Campaigns(database.url, configured(tmp_path / "c.yaml", WRITTEN), changed_by="anna")
    service.stop_instance("promo/spring")
    before = database.rows("SELECT * FROM campaign_types"), database.rows("SELECT * FROM campaign_instances")
    promised = service.sync(dry_run=True)
    assert before == (
        database.rows("SELECT * FROM campaign_types"),
        database.rows("SELECT * FROM campaign_instances"),
    )
    assert len(database.log()) == 1
    done = service.sync()
    assert done == promised
    assert [(d.what, d.name, d.field, d.new) for d in done.differences] == [
        ("type", "promo", "priority", "2"),
        ("type", "mailing", None, None),
        ("instance", "promo/spring", "metadata", '{"priority": 9, "trigger_date": "2027-03-01"}'),
        ("instance", "promo/autumn", None, None),
    ]
    assert done.only_in_database == ["promo/undated"]
    # the file does not say that it is active, nor when
    assert database.rows(
        "SELECT i.active, days_before_event FROM campaign_instances AS i, campaign_types AS t"
        " WHERE id = 1 AND t.name = 'promo'"
    ) == [(0, 7)]
    assert len(database.log()) == 1 + 4
    assert service.sync().differences == []


def test_a_file_without_types_says_nothing_about_types(database: CampaignDatabase, tmp_path: Path) -> None:
    config = configured(tmp_path / "c.yaml", "features: {enable_sms: true}\n")
    result = Campaigns(database.url, config).sync()
    assert result.differences == []
    assert [each.name for each in database.service().types()] == ["promo"]


def test_an_instance_of_a_type_that_nobody_knows_stops_the_sync_before_anything_changes(
    database: CampaignDatabase, tmp_path: Path
) -> None:
    text = WRITTEN + "  ghost:\n    x: {email_template: t}\n"
    with pytest.raises(UsageError, match=r"campaign_instances\.ghost: there is no such type"):
        Campaigns(database.url, configured(tmp_path / "c.yaml", text)).sync()
    assert database.log() == []
    assert database.rows("SELECT count(*) FROM campaign_types") == [(1,)]


def test_the_report_counts_what_is_in_store_and_what_was_achieved(database: CampaignDatabase) -> None:
    database.quietly(
        """
        INSERT INTO contact_campaigns (contact_id, campaign_instance_id, trigger_date, status) VALUES
            (1, 1, NULL, 'sent'), (2, 1, NULL, 'sent'), (3, 1, NULL, 'scheduled'), (7, 1, NULL, 'skipped'),
            (8, 2, NULL, 'pending');
        INSERT INTO email_schedules (id, contact_id, email_type, status, scheduled_send_date, skip_reason,
            campaign_instance_id, initial_email_id, actual_send_datetime) VALUES
            (11, 1, 'campaign_promo', 'sent', '2027-02-20', NULL, 1, NULL, '2027-02-22T09:00:00-06:00'),
            (12, 2, 'campaign_promo', 'delivered', '2027-02-22', NULL, 1, NULL, NULL),
            (13, 3, 'campaign_promo', 'pre-scheduled', '2027-02-24', NULL, 1, NULL, NULL),
            (14, 8, 'campaign_promo', 'skipped', '2027-02-22', 'event_passed', 1, NULL, NULL),
            (15, 9, 'campaign_promo', 'failed', '2027-02-22', NULL, 1, NULL, NULL),
            (16, 1, 'followup_1_cold', 'sent', '2027-02-24', NULL, 1, 11, NULL),
            (17, 2, 'followup_2_clicked_no_hq', 'pre-scheduled', '2027-02-26', NULL, 1, 12, NULL),
            (18, 8, 'campaign_promo', 'sent', '2027-02-22', NULL, 2, NULL, NULL),
            (19, 3, 'birthday', 'sent', '2027-02-22', NULL, NULL, NULL, NULL);
        INSERT INTO tracking_clicks (contact_id, email_schedule_id, clicked_at) VALUES
            (2, 12, '2027-02-23T08:00:00'), (2, 12, '2027-02-23T09:00:00'), (3, 19, '2027-02-23'),
            (1, NULL, '2027-02-21');
        INSERT INTO contact_events (contact_id, event_type, created_at) VALUES
            (1, 'eligibility_answered', '2027-02-22T20:00:00'), (2, 'eligibility_answered', '2027-02-21'),
            (2, 'something_else', '2027-02-25');
        """
    )
    report = database.service().show("promo/spring")
    assert report.targets == {"scheduled": 1, "sent": 2, "skipped": 1}
    assert report.planned_by_date == {"2027-02-24": 1}
    assert report.skipped_by_reason == {"event_passed": 1}
    assert report.emails_by_status == {"delivered": 1, "failed": 1, "sent": 1}
    assert (report.sent, report.clicked, report.answered) == (2, 1, 1)
    assert report.follow_ups == {
        ("followup_1_cold", "sent"): 1,
        ("followup_2_clicked_no_hq", "pre-scheduled"): 1,
    }
    database.write("INSERT INTO tracking_clicks (contact_id, clicked_at) VALUES (1, '2027-02-22T10:00:00')")
    assert database.service().show("promo/spring").clicked == 2
    assert [(c.targets, c.planned, c.sent) for c in database.service().instances()] == [(3, 1, 2), (1, 0, 1)]

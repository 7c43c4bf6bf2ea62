"""Variants from the configuration to the report: planned, sent and compared, on each kind of database."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from email_scheduler.campaigns.achievements import wilson_interval
from email_scheduler.campaigns.selections import AllContacts, ById
from email_scheduler.campaigns.service import Campaigns
from email_scheduler.config.loader import load_config
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import InputDataError, UsageError
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests import oracle
from email_scheduler_tests.integration.campaigns.campaign_database import CampaignDatabase
from email_scheduler_tests.integration.campaigns.test_campaign_commands import Command, command, told

__all__ = ["command"]
AS_OF = date(2026, 11, 24)
VARIANTS = [
    {"name": "a", "weight": 50, "email_template": "promo_a"},
    {"name": "b", "weight": 50, "email_template": "promo_b"},
]


def configuration(*, is_switched_on: bool = True) -> SchedulerConfig:
    return SchedulerConfig.model_validate(
        {
            "features": {"enable_ab_testing": is_switched_on},
            "load_balancing": {"daily_send_percentage_cap": 1, "max_emails_per_contact_per_period": 100},
        }
    )


def service(database: CampaignDatabase, *, is_switched_on: bool = True) -> Campaigns:
    return Campaigns(database.url, configuration(is_switched_on=is_switched_on), changed_by="anna")


def publish(database: CampaignDatabase, day: date = AS_OF, *, is_switched_on: bool = True) -> Any:
    return plan_and_publish(database.url, configuration(is_switched_on=is_switched_on), day)


def rows(database: CampaignDatabase, email_type: str = "campaign_promo") -> dict[int, tuple[object, ...]]:
    """Return template and metadata of the planned rows, by contact."""
    return {
        contact: rest
        for contact, *rest in database.rows(
            "SELECT contact_id, email_template, CAST(metadata AS TEXT) FROM email_schedules"
            " WHERE email_type = ? AND status IN ('pre-scheduled', 'skipped') ORDER BY contact_id",
            email_type,
        )
    }


def half(contact_id: int, instance: int) -> str:
    """Return the variant of two equal ones."""
    return "ab"[oracle.stable_hash("variant", contact_id, "campaign_promo", instance) >> 63]


def split_spring(database: CampaignDatabase) -> Campaigns:
    campaigns = service(database)
    campaigns.change_instance("spring", metadata={"variants": VARIANTS})
    campaigns.target("spring", AllContacts())
    return campaigns


def test_rows_are_of_the_variant_of_their_contact_and_a_second_plan_changes_nothing(
    database: CampaignDatabase,
) -> None:
    split_spring(database)
    publish(database)
    planned = rows(database)
    assert len(planned) == 9
    assert planned == {
        contact: [f"promo_{half(contact, 1)}", f'{{"variant": "{half(contact, 1)}"}}'] for contact in planned
    }
    assert {template for template, _ in planned.values()} == {"promo_a", "promo_b"}
    before = database.rows("SELECT id, updated_at, scheduler_run_id FROM email_schedules ORDER BY id")
    publish(database)
    assert database.rows("SELECT id, updated_at, scheduler_run_id FROM email_schedules ORDER BY id") == before


def test_switching_ab_testing_off_and_on_changes_the_rows_and_keeps_them(database: CampaignDatabase) -> None:
    split_spring(database)
    publish(database)
    on = rows(database)
    ids = database.rows("SELECT id FROM email_schedules ORDER BY id")
    publish(database, is_switched_on=False)
    assert set(map(tuple, rows(database).values())) == {("promo_v1", None)}
    publish(database)
    assert rows(database) == on
    assert database.rows("SELECT id FROM email_schedules ORDER BY id") == ids


def send(database: CampaignDatabase, *contacts: int) -> None:
    """Let these contacts' emails go out on the day of the plan, as the sending system does."""
    for contact in contacts:
        database.write(
            "UPDATE email_schedules SET status = 'sent', scheduled_send_date = '2026-11-24',"
            " actual_send_datetime = '2026-11-24T08:30:00' WHERE contact_id = ?"
            " AND email_type = 'campaign_promo' AND status = 'pre-scheduled'",
            contact,
        )


def test_the_variants_are_compared_by_what_was_sent(database: CampaignDatabase) -> None:
    campaigns = split_spring(database)
    publish(database)
    waiting = [
        contact
        for (contact,) in database.rows(
            "SELECT contact_id FROM email_schedules WHERE email_type = 'campaign_promo'"
            " AND status = 'pre-scheduled' ORDER BY contact_id"
        )
    ]
    of_a, of_b = ([one for one in waiting if half(one, 1) == name] for name in "ab")
    assert min(len(of_a), len(of_b)) >= 2
    send(database, *of_a, of_b[0])
    database.write(
        "INSERT INTO tracking_clicks (contact_id, clicked_at) VALUES (?, '2026-11-25T10:00:00')", of_a[0]
    )
    database.write(
        "INSERT INTO contact_events (contact_id, event_type, created_at)"
        " VALUES (?, 'eligibility_answered', '2026-11-25T10:00:00')",
        of_b[0],
    )
    # what was sent stays of its variant, whatever becomes of the weights
    campaigns.change_instance("spring", metadata={"variants": [VARIANTS[1], {**VARIANTS[0], "name": "c"}]})
    publish(database, date(2026, 11, 25))

    report = campaigns.show("spring")
    compared = {one.name: one for one in report.variants}
    assert list(compared) == ["b", "c", "a"]
    assert {name: (one.weight, one.sent) for name, one in compared.items()} == {
        "b": (50, 1),
        "c": (50, 0),
        "a": (None, len(of_a)),
    }
    assert compared["b"].planned + compared["c"].planned == len(of_b) - 1
    assert compared["a"].clicked.count == 1
    assert (compared["a"].clicked.low, compared["a"].clicked.high) == wilson_interval(1, len(of_a))
    assert [one.answered.count for one in report.variants] == [1, 0, 0]
    assert (report.sent, report.clicked, report.answered) == (len(of_a) + 1, 1, 1)

    # the follow-up names the variant that was sent
    publish(database, date(2026, 11, 26))
    for contact, name in ((of_a[0], "a"), (of_b[0], "b")):
        [(said,)] = database.rows(
            "SELECT CAST(metadata AS TEXT) FROM email_schedules WHERE contact_id = ? AND email_type LIKE ?",
            contact,
            "followup%",
        )
        assert json.loads(said)["variant"] == name


def test_emails_from_before_the_split_are_shown_apart(database: CampaignDatabase) -> None:
    campaigns = service(database)
    campaigns.target("spring", ById([1, 2, 3]))
    publish(database)
    assert campaigns.show("spring").variants == []
    send(database, 1, 2)
    campaigns.change_instance("spring", metadata={"variants": VARIANTS})
    publish(database)
    assert [
        (one.name, one.planned, one.sent) for one in campaigns.show("spring").variants if one.name is None
    ] == [(None, 0, 2)]


def test_the_configuration_says_the_variants_and_syncing_twice_changes_nothing(
    database: CampaignDatabase, tmp_path: Path
) -> None:
    file = tmp_path / "scheduler.yaml"
    file.write_text(
        """
        features: {enable_ab_testing: true}
        campaign_types: {promo: {days_before_event: 7}}
        campaign_instances:
          promo:
            autumn:
              email_template: promo_v1
              metadata:
                variants:
                  - {name: a, weight: 70, email_template: promo_a}
                  - {name: b, weight: 30, email_template: promo_b, sms_template: null}
        """
    )
    campaigns = Campaigns(database.url, load_config(file), changed_by="anna")
    assert [one.name for one in campaigns.sync().differences] == ["promo/autumn"]
    assert campaigns.sync().differences == []
    [(stored,)] = database.rows(
        "SELECT CAST(metadata AS TEXT) FROM campaign_instances WHERE instance_name = 'autumn'"
    )
    assert json.loads(stored)["variants"] == [
        {"name": "a", "weight": 70, "email_template": "promo_a"},
        {"name": "b", "weight": 30, "email_template": "promo_b"},
    ]
    assert campaigns.change_instance("autumn", metadata={"variants": None})
    assert [one.field for one in campaigns.sync().differences] == ["metadata"]


def test_variants_that_are_not_accepted_are_refused_by_the_service_and_by_the_plan(
    database: CampaignDatabase,
) -> None:
    with pytest.raises(UsageError, match=r"promo/spring: metadata\.variants: .*two or more variants"):
        service(database).change_instance("spring", metadata={"variants": VARIANTS[:1]})
    with pytest.raises(
        UsageError, match=r"variants \(entry 1\)\.wieght: unknown key: accepted is one of name"
    ):
        service(database).change_instance("spring", metadata={"variants": [{"wieght": 1}, *VARIANTS]})
    database.write("UPDATE campaign_instances SET metadata = '{\"variants\": [1, 2]}' WHERE id = 1")
    with pytest.raises(InputDataError, match=r"campaign instance 1: metadata\.variants \(entry 1\): value 1"):
        publish(database)


def test_two_instances_of_one_type_at_once_write_to_a_contact_once_on_one_day(
    database: CampaignDatabase,
) -> None:
    campaigns = split_spring(database)
    # the same day, and goes first; contact 9 is a target of spring only
    campaigns.create_instance(
        "promo",
        "second",
        email_template="second_v1",
        metadata={
            "variants": [
                {**VARIANTS[0], "email_template": "second_a"},
                {**VARIANTS[1], "email_template": "second_b"},
            ],
            "trigger_date": "2027-03-01",
            "priority": 1,
        },
    )
    second = campaigns.instances()[-1].instance.id
    campaigns.target("second", ById([1, 2, 7, 8]))
    publish(database)
    found = database.rows(
        "SELECT contact_id, campaign_instance_id, skip_reason, email_template FROM email_schedules"
        " WHERE email_type = 'campaign_promo' AND contact_id IN (1, 2, 7, 8, 9)"
        " ORDER BY contact_id, campaign_instance_id"
    )
    expected = []
    for contact in (1, 2, 7, 8):
        expected.append((contact, 1, "campaign_conflict", f"promo_{half(contact, 1)}"))
        expected.append((contact, second, None, f"second_{half(contact, second)}"))
    assert found == [*expected, (9, 1, None, f"promo_{half(9, 1)}")]


def test_the_command_compares_the_variants(database: CampaignDatabase, command: Command) -> None:
    split_spring(database)
    publish(database)
    send(database, *(one for one in range(1, 11) if half(one, 1) == "a"))
    shown = command("campaigns", "show", "spring").out
    assert "Variants" in shown
    assert "In brackets: the 95 % interval of the rate." in shown
    [a, b] = told(command, "campaigns", "show", "spring")["variants"]
    assert (a["name"], a["weight"], a["email_template"]) == ("a", 50, "promo_a")
    assert a["sent"] > 0
    assert a["clicked"] == {"count": 0, "share": 0.0, "low": 0.0, "high": wilson_interval(0, a["sent"])[1]}
    assert (b["sent"], b["clicked"]) == (0, {"count": 0, "share": None, "low": None, "high": None})

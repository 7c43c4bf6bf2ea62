"""What the program before this one did wrong, one test each. Expected values are worked out by hand."""

from collections import Counter
from pathlib import Path

import pytest

from email_scheduler.config.loader import load_config
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.plan import make_plan
from email_scheduler_tests.builders import (
    campaign_instance,
    campaign_type,
    contact,
    email_row,
    inputs,
    target,
)
from email_scheduler_tests.plans import emails

# so many places that a single contact meets no limit of its organisation
ROOMY = {"load_balancing": {"daily_send_percentage_cap": 1, "ed_soft_limit_percentage": 1}}
ROOMY_CONFIG = SchedulerConfig.model_validate(ROOMY)
BIRTHDAY = "1950-03-10"
BIRTHDAY_EMAIL_DAY = "2026-02-24"


def test_an_organisation_so_small_that_its_cap_rounds_to_0_sends_an_email_a_day() -> None:
    # 0.07 of 3 contacts is 0.21; each email keeps the place of its follow-up two days later
    plan = make_plan(
        inputs("2026-02-20", [contact(n, "75001", BIRTHDAY) for n in (1, 2, 3)]), SchedulerConfig()
    )
    assert plan.daily_cap == 1
    assert sorted(email.send_date for email in emails(plan, "birthday")) == [
        "2026-02-24",
        "2026-02-25",
        "2026-02-28",
    ]


def test_the_contact_after_whole_batches_of_invalid_ones_gets_its_emails() -> None:
    config = SchedulerConfig.model_validate({**ROOMY, "processing": {"batch_size": 10}})
    unusable = [contact(number, "75001", BIRTHDAY, email=None) for number in range(1, 36)]
    plan = make_plan(inputs("2026-01-05", [*unusable, contact(36, "75001", BIRTHDAY)]), config)
    assert [email.contact_id for email in emails(plan, "birthday")] == [36]
    assert sorted(plan.issues["contact_id"]) == list(range(1, 36))


def test_no_contact_is_read_twice_or_never_where_invalid_rows_lie_between() -> None:
    config = SchedulerConfig.model_validate({**ROOMY, "processing": {"batch_size": 4}})
    # every third contact is invalid, so that batches of rows and batches of valid contacts differ
    contacts = [contact(n, "00000" if n % 3 == 0 else "75001", BIRTHDAY) for n in range(1, 31)]
    plan = make_plan(inputs("2026-01-05", contacts), config)
    assert [email.contact_id for email in emails(plan, "birthday")] == [
        *(1, 2, 4, 5, 7, 8, 10, 11, 13, 14, 16, 17, 19, 20, 22, 23, 25, 26, 28, 29),
    ]
    assert sorted(plan.issues["contact_id"]) == [3, 6, 9, 12, 15, 18, 21, 24, 27, 30]


def test_the_window_of_a_californian_born_in_january_begins_in_the_year_before() -> None:
    # 20 January 2027: from 90 days before, 2026-10-22, to 60 days after, 2027-03-21
    plan = make_plan(inputs("2026-11-23", [contact(1, "90210", "1950-01-20", "2019-01-10")]), ROOMY_CONFIG)
    reason = "Birthday exclusion window in CA"
    assert [email[1:6] for email in emails(plan)] == [
        ("birthday", 0, "2027-01-20", "2027-01-06", reason),
        ("effective_date", 0, "2027-01-10", "2026-12-11", reason),
        ("aep", 0, "2027-09-15", "2027-09-15", None),
        ("post_window", 0, "2027-03-21", "2027-03-22", None),
    ]


@pytest.mark.parametrize(
    ("sent_before", "skip_reason"),
    [
        (("2026-02-10", "2026-02-11"), None),
        (("2026-02-11", "2026-02-12"), "frequency_limit_exceeded"),
        (("2025-06-01", "2025-06-02"), None),
    ],
)
def test_the_frequency_limit_counts_two_weeks_and_not_for_ever(
    sent_before: tuple[str, str], skip_reason: str | None
) -> None:
    # the fourteen days that end with the birthday email begin on 11 February
    history = [email_row(n, 1, "campaign_letter", day) for n, day in enumerate(sent_before, 1)]
    plan = make_plan(inputs("2026-02-24", [contact(1, "75001", BIRTHDAY)], history=history), ROOMY_CONFIG)
    [birthday] = emails(plan, "birthday")
    assert (birthday.send_date, birthday.skip_reason) == (BIRTHDAY_EMAIL_DAY, skip_reason)


def test_emails_that_lie_months_apart_do_not_count_as_too_many() -> None:
    plan = make_plan(inputs("2026-11-23", [contact(1, "75001", BIRTHDAY, "2019-06-01")]), ROOMY_CONFIG)
    assert [(email.send_date, email.skip_reason) for email in emails(plan)] == [
        ("2027-02-24", None),
        ("2027-05-02", None),
        ("2027-09-15", None),
    ]


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        ("2026-11-23", []),
        ("2026-12-04", []),
        ("2026-12-05", [("2027-12-05", "2027-11-21")]),
    ],
)
def test_an_email_that_was_sent_is_not_planned_again_for_the_same_event(
    as_of: str, expected: list[tuple[str, str]]
) -> None:
    sent = email_row(1, 1, "birthday", "2026-11-21", "2026-12-05")
    plan = make_plan(inputs(as_of, [contact(1, "75001", "1950-12-05")], history=[sent]), ROOMY_CONFIG)
    assert [(email.event_date, email.send_date) for email in emails(plan, "birthday")] == expected


def test_the_daily_cap_is_that_of_the_organisation_and_not_of_a_batch() -> None:
    config = SchedulerConfig.model_validate(
        {"processing": {"batch_size": 10}, "features": {"enable_followups": False}}
    )
    # 0.07 of 100 contacts is 7 a day; 50 birthday emails fill seven days, and one is left
    contacts = [contact(number, "75001", BIRTHDAY if number <= 50 else None) for number in range(1, 101)]
    plan = make_plan(inputs("2026-02-01", contacts), config)
    assert Counter(email.send_date for email in emails(plan, "birthday")) == {
        "2026-02-24": 7,
        "2026-02-25": 7,
        "2026-02-26": 7,
        "2026-02-27": 7,
        "2026-02-28": 7,
        "2026-03-01": 7,
        "2026-03-02": 7,
        "2026-03-03": 1,
    }


def test_skipped_rows_take_no_place_of_a_day() -> None:
    # 93 emails that New York forbids, and seven places for seven Texans
    contacts = [contact(number, "10001", BIRTHDAY) for number in range(1, 94)]
    contacts += [contact(number, "75001", BIRTHDAY) for number in range(94, 101)]
    plan = make_plan(inputs("2026-02-01", contacts), SchedulerConfig())
    assert plan.daily_cap == 7
    birthdays = emails(plan, "birthday")
    assert Counter((email.send_date, email.skip_reason) for email in birthdays) == {
        (BIRTHDAY_EMAIL_DAY, "Year-round exclusion in NY"): 93,
        (BIRTHDAY_EMAIL_DAY, None): 7,
    }


def test_on_the_birthday_itself_the_next_one_is_planned_and_nothing_in_the_past() -> None:
    plan = make_plan(inputs("2026-03-10", [contact(1, "75001", BIRTHDAY)]), ROOMY_CONFIG)
    assert [email[3:6] for email in emails(plan, "birthday")] == [("2027-03-10", "2027-02-24", None)]
    assert min(email.send_date for email in emails(plan)) == "2026-09-15"


def test_new_york_gets_no_post_window_email() -> None:
    plan = make_plan(inputs("2026-01-05", [contact(1, "10001", BIRTHDAY, "2019-06-01")]), ROOMY_CONFIG)
    assert {(email.email_type, email.skip_reason) for email in emails(plan)} == {
        ("birthday", "Year-round exclusion in NY"),
        ("effective_date", "Year-round exclusion in NY"),
        ("aep", "Year-round exclusion in NY"),
    }


def test_a_campaign_for_all_contacts_reaches_those_that_no_row_names() -> None:
    organisation = inputs(
        "2026-11-23",
        [contact(1, "75001"), contact(2, "33101"), contact(3, "75001", email="nowhere")],
        campaign_types=[campaign_type("blast", target_all_contacts=True)],
        campaign_instances=[campaign_instance(9, "blast", "2026-12-01")],
    )
    assert emails(make_plan(organisation, ROOMY_CONFIG), "campaign_blast") == [
        (1, "campaign_blast", 9, "2026-12-01", "2026-12-01", None, 0),
        (2, "campaign_blast", 9, "2026-12-01", "2026-12-01", None, 0),
    ]


def test_two_instances_of_one_campaign_type_are_two_emails() -> None:
    organisation = inputs(
        "2026-11-23",
        [contact(1, "75001")],
        campaign_types=[campaign_type("rate_increase", days_before_event=14)],
        campaign_instances=[
            campaign_instance(1, "rate_increase", "2026-10-01", "2027-06-30"),
            campaign_instance(2, "rate_increase", "2026-10-01", "2027-06-30"),
        ],
        contact_campaigns=[target(1, 1, 1, "2026-12-15"), target(2, 1, 2, "2027-02-15")],
    )
    assert emails(make_plan(organisation, ROOMY_CONFIG), "campaign_rate_increase") == [
        (1, "campaign_rate_increase", 1, "2026-12-15", "2026-12-01", None, 0),
        (1, "campaign_rate_increase", 2, "2027-02-15", "2027-02-01", None, 0),
    ]


@pytest.mark.parametrize("as_of", ["2026-11-21", "2026-11-22", "2026-11-23"])
def test_planning_again_keeps_a_follow_up(as_of: str) -> None:
    sent = email_row(5, 1, "birthday", "2026-11-21", "2026-12-05")
    organisation = inputs(as_of, [contact(1, "75001", "1950-12-05")], history=[sent])
    for _ in range(2):
        plan = make_plan(organisation, ROOMY_CONFIG)
        assert emails(plan, "followup_1_cold") == [
            (1, "followup_1_cold", 0, "2026-12-05", "2026-11-23", None, 5)
        ]


def test_state_rules_that_stand_in_a_file_count(tmp_path: Path) -> None:
    path = tmp_path / "scheduler.yaml"
    path.write_text(
        "state_rules:\n"
        "  year_round_exclusion: [FL]\n"
        "  birthday_windows:\n"
        "    TX: {window_before_days: 20, window_after_days: 5, pre_window_extension_days: 0}\n"
        "load_balancing: {daily_send_percentage_cap: 1}\n"
    )
    contacts = [
        contact(1, "75001", BIRTHDAY),
        contact(2, "33101", BIRTHDAY),
        contact(3, "90210", BIRTHDAY),
    ]
    plan = make_plan(inputs("2026-01-05", contacts), load_config(path))
    # the section is taken as written: California has no window in it
    assert [(e.contact_id, e.send_date, e.skip_reason) for e in emails(plan, "birthday", "post_window")] == [
        (1, "2026-02-24", "Birthday exclusion window in TX"),
        (1, "2026-03-16", None),
        (2, "2026-02-24", "Year-round exclusion in FL"),
        (3, "2026-02-24", None),
    ]


@pytest.mark.parametrize(
    ("days_before_event", "ideal_date"), [(14, "2025-10-05"), (0, "2025-10-19"), (-7, "2025-10-26")]
)
def test_an_email_for_a_trigger_400_days_ago_is_not_sent_tomorrow(
    days_before_event: int, ideal_date: str
) -> None:
    organisation = inputs(
        "2026-11-23",
        [contact(1, "75001")],
        campaign_types=[campaign_type("letter", days_before_event=days_before_event)],
        campaign_instances=[campaign_instance(1, "letter", "2025-01-01")],
        contact_campaigns=[target(1, 1, 1, "2025-10-19")],
    )
    assert emails(make_plan(organisation, ROOMY_CONFIG), "campaign_letter") == [
        (1, "campaign_letter", 1, "2025-10-19", ideal_date, "event_passed", 0)
    ]

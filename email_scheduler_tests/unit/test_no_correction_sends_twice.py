"""After an email went out, no correction of what it was about sends it once more.

Each test lives through days: plan, send what is due, correct something in the morning of some day, and go on
until nothing can go out any more. The contacts of a test are its cases. Where nothing is corrected any more,
a plan is made once in some days, and all that it says is sent.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.frames import PlanInputs
from email_scheduler.planning.plan import make_plan
from email_scheduler_tests.builders import (
    Row,
    campaign_instance,
    campaign_type,
    contact,
    email_row,
    inputs,
    target,
)
from email_scheduler_tests.plans import days_from, emails, plan_and_send

Sent = list[tuple[str, str]]
# room for everybody on every day, and no emails but those that a test is about
ROOMY: Mapping[str, Any] = {
    "load_balancing": {"daily_send_percentage_cap": 1, "ed_soft_limit_percentage": 1},
    "features": {"enable_followups": False},
    "aep_config": {"default_dates": []},
}


def configured(**sections: object) -> SchedulerConfig:
    """Return a roomy configuration with these sections."""
    return SchedulerConfig.model_validate({**ROOMY, **sections})


def sent_to_each(
    days: list[date],
    before: list[Row],
    after: list[Row],
    corrected_on: list[str],
    config: SchedulerConfig,
) -> list[Sent]:
    """Return what each contact was sent; its row is that of ``before`` until its own day of correction."""

    def situation(day: date) -> tuple[PlanInputs, SchedulerConfig]:
        rows = [
            right if day >= date.fromisoformat(on) else wrong
            for wrong, right, on in zip(before, after, corrected_on, strict=True)
        ]
        return inputs(day, rows), config

    sent = plan_and_send(days, situation)
    return [[(e.email_type, e.send_date) for e in sent if e.contact_id == row["id"]] for row in before]


# date in the tables, corrected date, day of correction, day on which the one email goes out
SPRING_CORRECTIONS = [
    # emails are due on 24 February, for 12 March on the 26th, for 8 March on the 22nd
    ("1950-03-10", "1950-03-12", "2026-02-23", "2026-02-26"),
    ("1950-03-10", "1950-03-12", "2026-02-24", "2026-02-26"),
    ("1950-03-10", "1950-03-12", "2026-02-25", "2026-02-24"),
    ("1950-03-10", "1950-03-12", "2026-02-26", "2026-02-24"),
    ("1950-03-10", "1950-03-12", "2026-03-10", "2026-02-24"),
    ("1950-03-10", "1950-03-12", "2026-03-11", "2026-02-24"),
    ("1950-03-10", "1950-03-08", "2026-02-23", "2026-02-23"),
    ("1950-03-10", "1950-03-08", "2026-02-25", "2026-02-24"),
    ("1950-03-10", "1950-03-08", "2026-03-07", "2026-02-24"),
    ("1950-03-10", "1950-03-08", "2026-03-09", "2026-02-24"),
    ("1952-02-29", "1952-03-02", "2026-02-15", "2026-02-14"),
    ("1952-03-01", "1952-02-28", "2026-02-16", "2026-02-15"),
    # the month was wrong
    ("1950-03-10", "1950-03-31", "2026-03-01", "2026-02-24"),
]
# what moves from one year into another
WINTER_CORRECTIONS = [
    ("1950-12-31", "1951-01-02", "2026-12-17", "2026-12-19"),
    ("1950-12-31", "1951-01-02", "2026-12-18", "2026-12-17"),
    ("1950-12-31", "1951-01-02", "2026-12-31", "2026-12-17"),
    ("1950-12-31", "1951-01-02", "2027-01-01", "2026-12-17"),
    ("1951-01-01", "1950-12-30", "2026-12-18", "2026-12-18"),
    ("1951-01-01", "1950-12-30", "2026-12-19", "2026-12-18"),
    ("1951-01-01", "1950-12-30", "2026-12-29", "2026-12-18"),
    ("1951-01-01", "1950-12-30", "2026-12-31", "2026-12-18"),
    ("1951-01-01", "1950-12-30", "2027-01-05", "2026-12-18"),
    # the email itself goes out in the other year
    ("1951-01-15", "1951-01-13", "2027-01-01", "2027-01-01"),
    ("1951-01-13", "1951-01-15", "2026-12-31", "2026-12-30"),
    ("1951-01-13", "1951-01-15", "2027-01-01", "2026-12-30"),
]


@pytest.mark.parametrize(
    ("days", "cases"),
    [
        (
            [
                *days_from("2026-02-12", "2026-03-01"),
                *days_from("2026-03-07", "2026-03-11"),
                *days_from("2026-03-16", "2026-03-30", 7),
            ],
            SPRING_CORRECTIONS,
        ),
        (
            [
                *days_from("2026-12-15", "2026-12-21"),
                *days_from("2026-12-28", "2027-01-06"),
                *days_from("2027-01-10", "2027-01-24", 7),
            ],
            WINTER_CORRECTIONS,
        ),
    ],
    ids=["spring", "turn of the year"],
)
def test_a_corrected_date_does_not_send_its_email_again(
    days: list[date], cases: list[tuple[str, str, str, str]]
) -> None:
    count = len(cases)
    # the same dates as birthdays and, of other contacts, as effective dates
    wrong = [contact(n, "75001", case[0]) for n, case in enumerate(cases)]
    wrong += [contact(n + count, "75001", None, case[0]) for n, case in enumerate(cases)]
    right = [contact(n, "75001", case[1]) for n, case in enumerate(cases)]
    right += [contact(n + count, "75001", None, case[1]) for n, case in enumerate(cases)]
    config = configured(timing_constants={"effective_date_days_before": 14})
    sent = sent_to_each(days, wrong, right, [case[2] for case in cases] * 2, config)
    assert sent[:count] == [[("birthday", case[3])] for case in cases]
    assert sent[count:] == [[("effective_date", case[3])] for case in cases]


@pytest.mark.parametrize(
    ("day_of_september", "corrected_on", "expected"),
    [
        (20, "2026-09-14", "2026-09-20"),
        (20, "2026-09-16", "2026-09-15"),
        (20, "2026-09-20", "2026-09-15"),
        (10, "2026-09-14", "2026-09-14"),
        (10, "2026-09-16", "2026-09-15"),
        (10, "2026-10-12", "2026-09-15"),
    ],
)
def test_a_corrected_aep_date_does_not_send_its_email_again(
    day_of_september: int, corrected_on: str, expected: str
) -> None:
    config = configured(aep_config={"default_dates": [{"month": 9, "day": 15}, {"month": 11, "day": 1}]})
    dates = [{"month": 9, "day": day_of_september}, {"month": 11, "day": 1}]
    corrected = configured(aep_config={"default_dates": dates})

    def situation(day: date) -> tuple[PlanInputs, SchedulerConfig]:
        is_corrected = day >= date.fromisoformat(corrected_on)
        return inputs(day, [contact(1, "75001")]), corrected if is_corrected else config

    # every day around the AEP date and the correction, then once a week
    days = days_from("2026-09-13", "2026-09-21") + days_from("2026-09-26", "2026-10-24", 7)
    sent = plan_and_send(sorted({*days, date.fromisoformat(corrected_on)}), situation)
    assert [email.send_date for email in sent] == [expected]


@pytest.mark.parametrize("day_of_september", [20, 10])
def test_an_aep_date_corrected_while_half_of_its_emails_wait_sends_to_everybody_once(
    day_of_september: int,
) -> None:
    # 20 contacts, two a day
    narrow = {"daily_send_percentage_cap": 0.1}
    config = configured(aep_config={}, load_balancing=narrow)
    corrected = configured(
        aep_config={"default_dates": [{"month": 9, "day": day_of_september}]}, load_balancing=narrow
    )

    def situation(day: date) -> tuple[PlanInputs, SchedulerConfig]:
        organisation = inputs(day, [contact(number, "75001") for number in range(20)])
        return organisation, corrected if day >= date(2026, 9, 19) else config

    days = days_from("2026-09-14", "2026-09-24") + days_from("2026-09-26", "2026-10-24", 7)
    sent = plan_and_send(days, situation)
    assert len([email for email in sent if email.send_date < "2026-09-19"]) == 8
    assert sorted(email.contact_id for email in sent) == list(range(20))


def test_a_corrected_length_of_a_window_sends_nothing_again() -> None:
    # state, ZIP, birth date, window (days before and after) until 14 April and from the 15th, what is sent
    cases: list[tuple[str, str, str, tuple[int, int], tuple[int, int], Sent]] = [
        # went out on the 12th; the window ends later, earlier, and far later
        ("CA", "90210", "1950-02-10", (90, 60), (90, 65), [("post_window", "2026-04-12")]),
        ("OR", "97201", "1950-03-11", (60, 31), (60, 26), [("post_window", "2026-04-12")]),
        ("VA", "23220", "1950-03-12", (60, 30), (60, 60), [("post_window", "2026-04-12")]),
        # due on the 16th: a day after the correction
        ("MD", "21201", "1950-03-16", (60, 30), (60, 32), [("post_window", "2026-04-18")]),
        ("OK", "73101", "1950-03-16", (60, 30), (60, 25), [("post_window", "2026-04-15")]),
        # the birthday email went out on the 6th, and would be held back by the new window
        ("ID", "83701", "1950-04-20", (10, 10), (30, 10), [("birthday", "2026-04-06")]),
        # the birthday email of the 21st is held back no more: no post-window email on 11 May
        ("KY", "40202", "1950-05-05", (60, 5), (10, 5), [("birthday", "2026-04-21")]),
    ]

    def windows(position: int) -> SchedulerConfig:
        by_state = {
            case[0]: {
                "window_before_days": case[position][0],  # type: ignore[index]
                "window_after_days": case[position][1],  # type: ignore[index]
                "pre_window_extension_days": 0,
            }
            for case in cases
        }
        return configured(state_rules={"birthday_windows": by_state})

    before, after = windows(3), windows(4)
    contacts = [contact(number, case[1], case[2]) for number, case in enumerate(cases)]

    def situation(day: date) -> tuple[PlanInputs, SchedulerConfig]:
        return inputs(day, contacts), after if day >= date(2026, 4, 15) else before

    days = days_from("2026-04-04", "2026-04-24") + days_from("2026-04-25", "2026-06-20", 7)
    sent = plan_and_send(days, situation)
    by_contact = [[(e.email_type, e.send_date) for e in sent if e.contact_id == n] for n in range(len(cases))]
    assert by_contact == [case[5] for case in cases]


def test_a_corrected_start_of_a_campaign_for_all_contacts_sends_nothing_again() -> None:
    # start until 3 December, start from the 4th, what is sent
    cases = [
        ("2026-12-01", "2026-12-06", "2026-12-01"),
        ("2026-12-02", "2026-11-27", "2026-12-02"),
        # due a day after the correction
        ("2026-12-05", "2026-12-10", "2026-12-10"),
        ("2026-12-08", "2026-12-03", "2026-12-04"),
    ]
    config = configured(load_balancing={**ROOMY["load_balancing"], "max_emails_per_contact_per_period": 9})

    def situation(day: date) -> tuple[PlanInputs, SchedulerConfig]:
        starts = [case[1] if day >= date(2026, 12, 4) else case[0] for case in cases]
        organisation = inputs(
            day,
            [contact(1, "75001"), contact(2, "10001")],
            campaign_types=[
                campaign_type("blast", respect_exclusion_windows=False, target_all_contacts=True),
            ],
            campaign_instances=[campaign_instance(n, "blast", start) for n, start in enumerate(starts, 1)],
        )
        return organisation, config

    days = days_from("2026-11-26", "2026-12-12") + days_from("2026-12-13", "2027-01-05", 7)
    sent = plan_and_send(days, situation)
    for contact_id in (1, 2):
        by_instance = {n: [] for n in range(1, len(cases) + 1)}
        for email in sent:
            if email.contact_id == contact_id:
                by_instance[email.campaign_instance_id].append(email.send_date)
        assert list(by_instance.values()) == [[case[2]] for case in cases]


def test_a_target_without_a_date_that_was_sent_to_stays_sent_when_its_campaign_moves() -> None:
    # what the plan of the day after sending makes of the target is final
    given = {
        "campaign_types": [campaign_type("blast", target_all_contacts=True)],
        "history": [email_row(1, 1, "campaign_blast", "2026-12-01", "2026-12-01", campaign_instance_id=5)],
    }
    plan = make_plan(
        inputs(
            "2026-12-02",
            [contact(1, "75001")],
            campaign_instances=[campaign_instance(5, "blast", "2026-12-01")],
            contact_campaigns=[target(1, 1, 5, None, "scheduled")],
            **given,
        ),
        configured(),
    )
    assert plan.target_statuses.values.tolist() == [[1, "sent"]]
    plan = make_plan(
        inputs(
            "2026-12-03",
            [contact(1, "75001")],
            campaign_instances=[campaign_instance(5, "blast", "2026-12-06")],
            contact_campaigns=[target(1, 1, 5, None, "sent")],
            **given,
        ),
        configured(),
    )
    assert emails(plan) == []


def test_a_sent_row_without_any_date_makes_no_target_without_a_readable_date_sent() -> None:
    plan = make_plan(
        inputs(
            "2026-12-02",
            [contact(1, "75001")],
            campaign_types=[campaign_type("blast")],
            campaign_instances=[campaign_instance(5, "blast", "2026-12-01")],
            contact_campaigns=[target(1, 1, 5, "2026-02-30")],
            history=[email_row(1, 1, "campaign_blast", None, None, campaign_instance_id=5)],
        ),
        configured(),
    )
    assert plan.target_statuses.empty


def test_a_contact_that_moves_to_another_state_is_not_sent_the_same_again() -> None:
    texas, california, nevada, new_york = "75001", "90210", "89101", "10001"
    config = configured(
        timing_constants={"post_window_grace_days": 10},
        state_rules={
            "year_round_exclusion": ["NY"],
            # the birthday is 10 March: until 20 March, and until the 24th
            "birthday_windows": {
                "CA": {"window_before_days": 30, "window_after_days": 10, "pre_window_extension_days": 0},
                "NV": {"window_before_days": 30, "window_after_days": 14, "pre_window_extension_days": 0},
            },
        },
    )
    # from, to, day of the move, what is sent
    cases: list[tuple[str, str, str, Sent]] = [
        (texas, california, "2026-02-24", [("post_window", "2026-03-21")]),
        (texas, california, "2026-02-25", [("birthday", "2026-02-24")]),
        (texas, california, "2026-03-20", [("birthday", "2026-02-24")]),
        (texas, new_york, "2026-02-25", [("birthday", "2026-02-24")]),
        (new_york, texas, "2026-02-26", [("birthday", "2026-02-26")]),
        (california, texas, "2026-02-23", [("birthday", "2026-02-24")]),
        (california, texas, "2026-02-28", [("birthday", "2026-02-28")]),
        (california, texas, "2026-03-22", [("post_window", "2026-03-21")]),
        (california, nevada, "2026-03-20", [("post_window", "2026-03-25")]),
        (california, nevada, "2026-03-22", [("post_window", "2026-03-21")]),
        (nevada, california, "2026-03-24", [("post_window", "2026-03-24")]),
        (nevada, california, "2026-03-26", [("post_window", "2026-03-25")]),
    ]
    sent = sent_to_each(
        [
            *days_from("2026-02-22", "2026-03-01"),
            *days_from("2026-03-08", "2026-03-15", 7),
            *days_from("2026-03-19", "2026-03-27"),
            *days_from("2026-04-01", "2026-04-08", 7),
        ],
        [contact(number, case[0], "1950-03-10") for number, case in enumerate(cases)],
        [contact(number, case[1], "1950-03-10") for number, case in enumerate(cases)],
        [case[2] for case in cases],
        config,
    )
    assert sent == [case[3] for case in cases]

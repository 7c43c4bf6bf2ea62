"""The worked examples of the planning rules, section 15, against the oracle.

An oracle is worth what it knows.
"""

from collections.abc import Iterable
from datetime import date

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.frames import PlanInputs
from email_scheduler_tests.builders import (
    Row,
    answer,
    campaign_instance,
    campaign_type,
    click,
    contact,
    email_row,
    filler_contacts,
    inputs,
    target,
)
from email_scheduler_tests.oracle import (
    OracleRow,
    contact_issues,
    mix,
    plan_rows,
    stable_hash,
    target_statuses,
)

FILLERS = filler_contacts(60)
TEXAN = ("75001", "1950-03-10", "2019-06-01")
CALIFORNIAN = ("90210", "1948-02-10", "2018-03-01")
CAMPAIGN_TYPES = [
    campaign_type("rate_increase", days_before_event=14, priority=1),
    campaign_type("seasonal_promo", days_before_event=7, priority=5),
    campaign_type(
        "initial_blast",
        respect_exclusion_windows=False,
        enable_followups=False,
        target_all_contacts=True,
        priority=10,
    ),
]
RATE_INCREASE = campaign_instance(1, "rate_increase", "2026-10-01", "2026-12-31")
SEASONAL_PROMO = campaign_instance(2, "seasonal_promo", "2026-11-01", "2026-12-31")
INITIAL_BLAST = campaign_instance(3, "initial_blast", "2026-12-01")
SENT_BIRTHDAY = email_row(1, 1, "birthday", "2026-11-21", "2026-12-05")
CLICK = click(1, "2026-11-22T10:00:00", email_schedule_id=1)


def organisation(as_of: str, one: Row, **tables: Iterable[Row]) -> PlanInputs:
    """Return the inputs with ``one`` and enough others that no campaign is meant for."""
    contact_campaigns = list(tables.pop("contact_campaigns", []))
    for number, filler in enumerate(FILLERS):
        contact_campaigns.append(target(1000 + number, filler["id"], 3, status="skipped"))
    return inputs(as_of, contacts=[one, *FILLERS], contact_campaigns=contact_campaigns, **tables)


def rows_of_contact(contact_id: int, planned: PlanInputs, *email_types: str) -> list[OracleRow]:
    rows = plan_rows(planned, SchedulerConfig())
    return [
        row
        for row in rows
        if row.contact_id == contact_id and (not email_types or row.email_type in email_types)
    ]


def told(rows: Iterable[OracleRow]) -> list[str]:
    """Return rows as the page tells them: type, ``skipped``, date, and why."""
    lines = []
    for row in rows:
        words = [row.email_type]
        if row.status == "skipped":
            words.append("skipped")
        words.append(row.scheduled_send_date.isoformat())
        words += [word for word in (row.skip_reason, row.adjustment) if word]
        lines.append(" ".join(words))
    return sorted(lines)


IN_CA = "Birthday exclusion window in CA"
ANNIVERSARIES = [
    (
        "2026-11-23",
        TEXAN,
        ["aep 2027-09-15", "birthday 2027-02-24", "effective_date 2027-05-02"],
    ),
    (
        "2026-11-23",
        CALIFORNIAN,
        [
            "aep 2027-09-15",
            f"birthday skipped 2027-01-27 {IN_CA}",
            f"effective_date skipped 2027-01-30 {IN_CA}",
            "post_window 2027-04-12",
        ],
    ),
    (
        "2026-03-01",
        CALIFORNIAN,
        [
            "aep 2026-09-15",
            f"birthday skipped 2027-01-27 {IN_CA}",
            f"effective_date skipped 2027-01-30 {IN_CA}",
            "post_window 2026-04-12",
            "post_window 2027-04-12",
        ],
    ),
    (
        "2026-04-14",
        CALIFORNIAN,
        [
            "aep 2026-09-15",
            f"birthday skipped 2027-01-27 {IN_CA}",
            f"effective_date skipped 2027-01-30 {IN_CA}",
            "post_window 2026-04-14 redistributed",
            "post_window 2027-04-12",
        ],
    ),
    (
        "2026-01-05",
        ("89101", "1950-05-20", None),
        [
            "aep 2026-09-15",
            "birthday skipped 2026-05-06 Birthday exclusion window in NV",
            "post_window 2026-07-01",
        ],
    ),
    (
        "2026-01-05",
        ("63101", "1950-05-20", "2018-07-01"),
        [
            "aep 2026-09-15",
            "birthday skipped 2026-05-06 Effective date exclusion window in MO",
            "effective_date skipped 2026-06-01 Effective date exclusion window in MO",
            "post_window 2026-08-04",
        ],
    ),
    (
        "2026-01-05",
        ("10001", "1950-05-20", "2018-07-01"),
        [
            "aep skipped 2026-09-15 Year-round exclusion in NY",
            "birthday skipped 2026-05-06 Year-round exclusion in NY",
            "effective_date skipped 2026-06-01 Year-round exclusion in NY",
        ],
    ),
    (
        "2026-01-05",
        ("75001", "1952-02-29", "2020-02-29"),
        ["aep 2026-09-15", "birthday 2026-02-14", "effective_date 2026-01-29"],
    ),
    (
        "2026-11-23",
        ("2134", "1950-05-20", None),
        [
            "aep skipped 2027-09-15 Year-round exclusion in MA",
            "birthday skipped 2027-05-06 Year-round exclusion in MA",
        ],
    ),
]


@pytest.mark.parametrize(("as_of", "who", "expected"), ANNIVERSARIES)
def test_the_oracle_knows_the_examples_of_anniversaries(
    as_of: str, who: tuple[str, str, str | None], expected: list[str]
) -> None:
    assert told(rows_of_contact(1, organisation(as_of, contact(1, *who)))) == expected


def test_the_oracle_dates_the_post_window_event_on_the_last_excluded_day() -> None:
    planned = organisation("2026-03-01", contact(1, *CALIFORNIAN))
    rows = rows_of_contact(1, planned, "post_window")
    assert [row.event_date for row in rows] == [date(2026, 4, 11), date(2027, 4, 11)]


def test_the_oracle_moves_29_february_to_the_28th_in_a_common_year() -> None:
    planned = organisation("2026-01-05", contact(1, "75001", "1952-02-29", "2020-02-29"))
    rows = rows_of_contact(1, planned, "birthday", "effective_date")
    assert [row.event_date for row in rows] == [date(2026, 2, 28), date(2026, 2, 28)]


@pytest.mark.parametrize(
    ("as_of", "one", "email_type", "expected"),
    [
        ("2026-03-05", contact(7, *TEXAN), "birthday", ["birthday 2026-03-06 catch_up"]),
        ("2026-03-10", contact(7, *TEXAN), "birthday", ["birthday 2027-02-24"]),
        ("2026-10-01", contact(8), "aep", ["aep 2026-10-01 catch_up"]),
        (
            "2026-11-23",
            contact(1, effective_date="2027-01-01"),
            "effective_date",
            ["effective_date 2027-12-02"],
        ),
    ],
)
def test_the_oracle_knows_the_examples_of_late_emails(
    as_of: str, one: Row, email_type: str, expected: list[str]
) -> None:
    assert told(rows_of_contact(one["id"], organisation(as_of, one), email_type)) == expected


def test_the_oracle_plans_nothing_for_a_policy_that_has_not_begun() -> None:
    planned = organisation("2026-11-23", contact(1, effective_date="2027-01-01"))
    assert [row.event_date for row in rows_of_contact(1, planned, "effective_date")] == [date(2028, 1, 1)]


@pytest.mark.parametrize(
    ("as_of", "zip_code", "instances", "targets", "expected"),
    [
        (
            "2026-11-23",
            "75001",
            [RATE_INCREASE, SEASONAL_PROMO],
            [target(1, 1, 1, "2026-12-15"), target(2, 1, 2, "2026-12-08")],
            [
                "campaign_rate_increase 2026-12-01",
                "campaign_seasonal_promo skipped 2026-12-01 campaign_conflict",
            ],
        ),
        ("2026-11-23", "10001", [INITIAL_BLAST], [], ["campaign_initial_blast 2026-12-01"]),
        (
            "2026-12-02",
            "10001",
            [INITIAL_BLAST],
            [],
            ["campaign_initial_blast 2026-12-02 redistributed"],
        ),
        (
            "2026-11-23",
            "75001",
            [RATE_INCREASE],
            [target(1, 1, 1, "2026-11-20")],
            ["campaign_rate_increase skipped 2026-11-06 event_passed"],
        ),
        (
            "2026-11-23",
            "75001",
            [RATE_INCREASE],
            [target(1, 1, 1, "2027-02-01")],
            ["campaign_rate_increase skipped 2027-01-18 outside_campaign_dates"],
        ),
    ],
)
def test_the_oracle_knows_the_examples_of_campaigns(
    as_of: str, zip_code: str, instances: list[Row], targets: list[Row], expected: list[str]
) -> None:
    planned = organisation(
        as_of,
        contact(1, zip_code),
        campaign_types=CAMPAIGN_TYPES,
        campaign_instances=instances,
        contact_campaigns=targets,
    )
    campaigns = ["campaign_rate_increase", "campaign_seasonal_promo", "campaign_initial_blast"]
    assert told(rows_of_contact(1, planned, *campaigns)) == expected


def test_the_oracle_follows_up_a_click() -> None:
    planned = organisation("2026-11-23", contact(1), history=[SENT_BIRTHDAY], clicks=[CLICK])
    rows = rows_of_contact(1, planned, "followup_2_clicked_no_hq")
    assert told(rows) == ["followup_2_clicked_no_hq 2026-11-23"]
    assert (rows[0].event_date, rows[0].initial_email_id) == (date(2026, 12, 5), 1)


def test_the_oracle_follows_up_an_answer_with_conditions() -> None:
    planned = organisation(
        "2026-11-25",
        contact(1),
        history=[SENT_BIRTHDAY],
        clicks=[CLICK],
        answers=[answer(1, 1, "2026-11-22T11:00:00", '{"main_questions_yes_count": 1}')],
    )
    rows = rows_of_contact(1, planned, "followup_4_hq_with_yes")
    assert told(rows) == ["followup_4_hq_with_yes 2026-11-25 catch_up"]


def test_the_oracle_sets_targets_to_scheduled_only_with_a_pre_scheduled_row() -> None:
    planned = organisation(
        "2026-11-23",
        contact(1),
        campaign_types=CAMPAIGN_TYPES,
        campaign_instances=[RATE_INCREASE, SEASONAL_PROMO],
        contact_campaigns=[target(1, 1, 1, "2026-12-15"), target(2, 1, 2, "2026-12-08", "scheduled")],
    )
    rows = plan_rows(planned, SchedulerConfig())
    assert target_statuses(planned, SchedulerConfig(), rows) == {1: "scheduled", 2: "pending"}


def test_the_oracle_takes_a_zip_without_its_zero_only_if_the_state_agrees() -> None:
    contacts = [
        contact(1, "9021", state="CA"),
        contact(2, "2134", state=" ma "),
        contact(3, "75001", state="CA"),
    ]
    assert contact_issues(inputs("2026-11-23", contacts), SchedulerConfig()) == [
        (1, "zip_code", "invalid_zip_code"),
        (3, "state", "state_mismatch"),
    ]


def test_the_oracle_knows_the_values_of_stable_hash() -> None:
    assert mix(0) == 16294208416658607535
    assert mix(1) == 10451216379200822465
    assert stable_hash("catch_up", 1, "birthday", 2026) == 4325376815393844970
    assert stable_hash("smooth", 42, "effective_date", 2027) == 12234167647830523673
    assert stable_hash("order", 3000000, "aep", 2026) == 4748928958703417651

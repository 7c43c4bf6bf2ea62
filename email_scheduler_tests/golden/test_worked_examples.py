"""The planner gives the rows that people worked out by hand from the planning rules."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.columns.dates import format_days
from email_scheduler.planning.columns.packing import mix, stable_hash
from email_scheduler.planning.plan import Plan, make_plan
from email_scheduler.proof import find_violations
from email_scheduler_tests.builders import (
    answer,
    campaign_instance,
    campaign_type,
    click,
    contact,
    email_row,
    inputs,
    target,
)

EXPECTED = Path(__file__).with_name("worked_examples.csv")
# so many places that a single contact meets no limit of its organisation
ROOMY = SchedulerConfig.model_validate(
    {"load_balancing": {"daily_send_percentage_cap": 1, "ed_soft_limit_percentage": 1}}
)
CAMPAIGNS: Mapping[str, Any] = {
    "campaign_types": [
        campaign_type("rate_increase", days_before_event=14, priority=1),
        campaign_type("seasonal_promo", days_before_event=7, priority=5),
        campaign_type(
            "initial_blast",
            respect_exclusion_windows=False,
            enable_followups=False,
            target_all_contacts=True,
            priority=10,
        ),
    ],
}
RATE_INCREASE = campaign_instance(1, "rate_increase", "2026-10-01", "2026-12-31")
SEASONAL_PROMO = campaign_instance(2, "seasonal_promo", "2026-11-01", "2026-12-31")
INITIAL_BLAST = campaign_instance(3, "initial_blast", "2026-12-01")
CALIFORNIAN = contact(1, "90210", "1948-02-10", "2018-03-01")
BIRTHDAY_SENT = email_row(1, 1, "birthday", "2026-11-21", "2026-12-05")
CLICKED = click(1, "2026-11-22 10:00:00", 1)

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "texas": {"contacts": [contact(1, "75001", "1950-03-10", "2019-06-01")]},
    "california": {"contacts": [CALIFORNIAN]},
    "california inside its window": {"contacts": [CALIFORNIAN]},
    "california after its window": {"contacts": [CALIFORNIAN]},
    "nevada": {"contacts": [contact(1, "89101", "1950-05-20")]},
    "missouri": {"contacts": [contact(1, "63101", "1950-05-20", "2018-07-01")]},
    "new york": {"contacts": [contact(1, "10001", "1950-05-20", "2018-07-01")]},
    "born on 29 February": {"contacts": [contact(1, "75001", "1952-02-29", "2020-02-29")]},
    "birthday nearly missed": {"contacts": [contact(7, "75001", "1950-03-10")]},
    "on the birthday": {"contacts": [contact(7, "75001", "1950-03-10")]},
    "enrolment nearly missed": {"contacts": [contact(8, "75001")]},
    "policy not begun": {"contacts": [contact(1, "75001", None, "2027-01-01")]},
    "truncated zip": {"contacts": [contact(1, "2134", "1950-05-20")]},
    "two campaigns of one day": {
        "contacts": [contact(1, "75001")],
        "campaign_instances": [RATE_INCREASE, SEASONAL_PROMO],
        "contact_campaigns": [target(1, 1, 1, "2026-12-15"), target(2, 1, 2, "2026-12-08")],
        **CAMPAIGNS,
    },
    "campaign for everybody": {
        "contacts": [contact(1, "10001")],
        "campaign_instances": [INITIAL_BLAST],
        **CAMPAIGNS,
    },
    "campaign for everybody a day late": {
        "contacts": [contact(1, "10001")],
        "campaign_instances": [INITIAL_BLAST],
        **CAMPAIGNS,
    },
    "trigger passed": {
        "contacts": [contact(1, "75001")],
        "campaign_instances": [RATE_INCREASE],
        "contact_campaigns": [target(1, 1, 1, "2026-11-20")],
        **CAMPAIGNS,
    },
    "trigger after the campaign": {
        "contacts": [contact(1, "75001")],
        "campaign_instances": [RATE_INCREASE],
        "contact_campaigns": [target(1, 1, 1, "2027-02-01")],
        **CAMPAIGNS,
    },
    "clicked": {"contacts": [contact(1, "75001")], "history": [BIRTHDAY_SENT], "clicks": [CLICKED]},
    "answered with conditions": {
        "contacts": [contact(1, "75001")],
        "history": [BIRTHDAY_SENT],
        "clicks": [CLICKED],
        "answers": [answer(1, 1, "2026-11-22 12:00:00", '{"main_questions_yes_count": 1}')],
    },
}


def expected_rows() -> dict[str, list[dict[str, str]]]:
    rows: dict[str, list[dict[str, str]]] = {}
    with EXPECTED.open(newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row.pop("example"), []).append(row)
    return rows


def as_texts(plan: Plan) -> list[dict[str, str]]:
    frame = plan.schedules
    columns = {
        "as_of": np.repeat(plan.as_of.isoformat(), len(frame)),
        "email_type": frame["email_type"].astype("str"),
        "campaign_instance_id": frame["campaign_instance_id"].astype("str"),
        "event_date": format_days(frame["event_date"].to_numpy()),
        "status": frame["status"].astype("str"),
        "scheduled_send_date": format_days(frame["scheduled_send_date"].to_numpy()),
        "skip_reason": frame["skip_reason"].astype("str").fillna(""),
        "adjustment": frame["adjustment"].astype("str").fillna(""),
    }
    return pd.DataFrame(columns).to_dict("records")  # type: ignore[return-value]


def in_order(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
    return sorted(tuple(row.values()) for row in rows)


def test_every_example_is_stated_and_planned() -> None:
    assert set(expected_rows()) == set(EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_worked_example_gives_its_rows_and_no_others(example: str) -> None:
    expected = expected_rows()[example]
    given = inputs(expected[0]["as_of"], **EXAMPLES[example])
    plan = make_plan(given, ROOMY)
    assert in_order(as_texts(plan)) == in_order(expected)
    assert find_violations(given, plan.contacts, plan.schedules, ROOMY).empty


@pytest.mark.parametrize(("value", "expected"), [(0, 16294208416658607535), (1, 10451216379200822465)])
def test_mix_gives_the_published_values(value: int, expected: int) -> None:
    assert int(mix(np.array([value], np.uint64))[0]) == expected


@pytest.mark.parametrize(
    ("purpose", "contact_id", "email_type", "event_year", "expected"),
    [
        ("catch_up", 1, "birthday", 2026, 4325376815393844970),
        ("smooth", 42, "effective_date", 2027, 12234167647830523673),
        ("order", 3000000, "aep", 2026, 4748928958703417651),
        ("variant", 1, "campaign_rate_increase", 7, 11853900510706932040),
    ],
)
def test_stable_hash_gives_the_published_values(
    purpose: str, contact_id: int, email_type: str, event_year: int, expected: int
) -> None:
    hashes = stable_hash(
        purpose, np.array([contact_id]), pd.Categorical([email_type]), np.array([event_year], np.int32)
    )
    assert int(hashes[0]) == expected

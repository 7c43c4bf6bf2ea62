"""The proof finds nothing in the oracle's plans, and something in each of them that is spoilt.

The oracle and the proof are two readings of the planning rules that share no code with the planner, nor with
each other.
"""

import json
import random
from collections.abc import Callable
from datetime import date

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from email_scheduler.planning import frames
from email_scheduler.proof import find_violations
from email_scheduler.proof.violations import RULES
from email_scheduler_tests.builders import table
from email_scheduler_tests.oracle import make_oracle_plan
from email_scheduler_tests.oracle.contacts import read_contacts
from email_scheduler_tests.strategies import Case, cases, random_case

EPOCH = date(1970, 1, 1)
PlanRow = dict[str, object]
Spoiler = Callable[[list[PlanRow], random.Random], str | None]


def as_days(row: PlanRow) -> PlanRow:
    """Return a row whose dates are days since 1970-01-01."""
    return {name: (value - EPOCH).days if isinstance(value, date) else value for name, value in row.items()}


def as_texts(row: PlanRow) -> PlanRow:
    """Return a row whose metadata is JSON text."""
    return {**row, "metadata": None if row["metadata"] is None else json.dumps(row["metadata"])}


def contacts_and_rows(case: Case) -> tuple[pd.DataFrame, list[PlanRow]]:
    """Return the valid contacts and the plan, as the oracle sees them."""
    plan = make_oracle_plan(*case)
    contacts, _ = read_contacts(plan.book)
    people = [
        as_days(
            {name: getattr(one, "id" if name == "contact_id" else name) for name in frames.CONTACTS.columns}
        )
        for one in sorted(contacts, key=lambda one: one.id)
    ]
    return table(frames.CONTACTS, people), [as_texts(as_days(row._asdict())) for row in plan.rows]


def proof(case: Case, contacts: pd.DataFrame, rows: list[PlanRow]) -> pd.DataFrame:
    organisation, config = case
    return find_violations(organisation, contacts, table(frames.EMAIL_SCHEDULES, rows), config)


def assert_nothing_is_found(case: Case) -> None:
    violations = proof(case, *contacts_and_rows(case))
    assert violations.empty, violations.to_string()


@pytest.mark.parametrize("first_seed", range(0, 100, 25))
def test_nothing_is_wrong_with_the_oracles_plans(first_seed: int):
    for seed in range(first_seed, first_seed + 25):
        assert_nothing_is_found(random_case(seed))


@given(cases)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_is_wrong_with_plans_never_seen_before(case: Case):
    assert_nothing_is_found(case)


# -- spoilt plans: each spoiler changes the rows, and returns a rule that they now break -----------------


def lose_a_row(rows: list[PlanRow], rng: random.Random) -> str | None:
    if not rows:
        return None
    rows.remove(rng.choice(rows))
    return "unaccounted_occurrence"


def repeat_a_row(rows: list[PlanRow], rng: random.Random) -> str | None:
    if not rows:
        return None
    rows.append(rng.choice(rows))
    return "duplicate_occurrence"


def move_an_event(rows: list[PlanRow], rng: random.Random) -> str | None:
    if not rows:
        return None
    row = rng.choice(rows)
    row["event_date"] += rng.choice([-400, 1000])
    return "unknown_occurrence"


def forget_a_reason(rows: list[PlanRow], rng: random.Random) -> str | None:
    return change_one(rows, rng, "skipped", "missing_skip_reason", skip_reason=None)


def send_too_late(rows: list[PlanRow], rng: random.Random) -> str | None:
    return change_one(rows, rng, "pre-scheduled", "after_deadline", scheduled_send_date=60_000)


def send_in_the_past(rows: list[PlanRow], rng: random.Random) -> str | None:
    return change_one(rows, rng, "pre-scheduled", "before_as_of", scheduled_send_date=20_000)


def claim_a_window(rows: list[PlanRow], rng: random.Random) -> str | None:
    reason = "Year-round exclusion in CA"
    return change_one(rows, rng, "pre-scheduled", "untrue_skip_reason", status="skipped", skip_reason=reason)


def send_anyway(rows: list[PlanRow], rng: random.Random) -> str | None:
    never = [row for row in rows if str(row["skip_reason"]).startswith("Year-round exclusion")]
    return change_one(never, rng, "skipped", "excluded_day", status="pre-scheduled", skip_reason=None)


def name_another_variant(rows: list[PlanRow], rng: random.Random) -> str | None:
    emails = [row for row in rows if row["initial_email_id"] == 0 and row["metadata"] is not None]
    return change_one(emails, rng, "pre-scheduled", "wrong_variant", metadata='{"variant": "other"}')


def send_another_template(rows: list[PlanRow], rng: random.Random) -> str | None:
    emails = [row for row in rows if row["initial_email_id"] == 0 and row["metadata"] is not None]
    return change_one(emails, rng, "skipped", "wrong_variant", email_template="email_other")


def make_up_a_variant(rows: list[PlanRow], rng: random.Random) -> str | None:
    emails = [row for row in rows if row["campaign_instance_id"] and row["metadata"] is None]
    return change_one(emails, rng, "pre-scheduled", "wrong_variant", metadata='{"variant": "a"}')


def change_one(
    rows: list[PlanRow], rng: random.Random, old_status: str, rule: str, **changes: object
) -> str | None:
    candidates = [row for row in rows if row["status"] == old_status]
    if not candidates:
        return None
    rng.choice(candidates).update(changes)
    return rule


SPOILERS: list[Spoiler] = [
    lose_a_row,
    repeat_a_row,
    move_an_event,
    forget_a_reason,
    send_too_late,
    send_in_the_past,
    claim_a_window,
    send_anyway,
    name_another_variant,
    send_another_template,
    make_up_a_variant,
]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_a_spoilt_plan_is_found_out(spoil: Spoiler):
    spoilt = 0
    for seed in range(60):
        case = random_case(seed)
        contacts, rows = contacts_and_rows(case)
        rule = spoil(rows, random.Random(seed))
        if rule is None:
            continue
        assert rule in RULES
        assert rule in set(proof(case, contacts, rows)["rule"]), f"seed {seed}"
        spoilt += 1
    assert spoilt > 0

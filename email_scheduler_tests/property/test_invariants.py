"""What every plan of the planner keeps, whatever the organisation and its configuration.

Days, windows and intervals are counted by the oracle or here, not by the planner.
"""

import random
from collections import Counter, defaultdict
from dataclasses import fields, replace
from datetime import date, timedelta
from typing import NamedTuple

import pandas as pd
from hypothesis import given

from email_scheduler.planning.frames import CONTACTS_TABLE, EMAIL_SCHEDULES, PlanInputs
from email_scheduler.planning.plan import Plan, make_plan
from email_scheduler.proof import find_violations
from email_scheduler_tests.builders import contact, table
from email_scheduler_tests.oracle import make_oracle_plan
from email_scheduler_tests.oracle.book import read_book, rows_of
from email_scheduler_tests.oracle.emails import Email
from email_scheduler_tests.oracle.interval import is_closed
from email_scheduler_tests.oracle.sweep import fixed_emails
from email_scheduler_tests.oracle.windows import Windows
from email_scheduler_tests.strategies import Case, cases, few_examples

EPOCH = date(1970, 1, 1)
few = few_examples(20)


class Placed(NamedTuple):
    """A row that goes out."""

    contact_id: int
    email_type: str
    campaign_instance_id: int
    event_date: date
    initial_email_id: int
    day: date

    @property
    def is_follow_up(self) -> bool:
        return self.initial_email_id != 0


def placed_rows(plan: Plan) -> list[Placed]:
    """Return the pre-scheduled rows of a plan."""
    return [
        Placed(
            row["contact_id"],
            row["email_type"],
            row["campaign_instance_id"],
            EPOCH + timedelta(days=row["event_date"]),
            row["initial_email_id"],
            EPOCH + timedelta(days=row["scheduled_send_date"]),
        )
        for row in rows_of(plan.schedules)
        if row["status"] == "pre-scheduled"
    ]


def issues_of(plan: Plan) -> list[tuple[object, ...]]:
    """Return the issues of a plan, in order."""
    return sorted(tuple(row.values()) for row in rows_of(plan.issues))


def assert_same_plan(one: Plan, other: Plan) -> None:
    """Fail unless two plans say the same; issues may be in another order."""
    same = {"check_categorical": False}
    pd.testing.assert_frame_equal(one.schedules, other.schedules, **same)
    pd.testing.assert_frame_equal(one.contacts, other.contacts, **same)
    pd.testing.assert_frame_equal(one.target_statuses, other.target_statuses, **same)
    pd.testing.assert_frame_equal(one.capacity_shortfall, other.capacity_shortfall, **same)
    assert issues_of(one) == issues_of(other)
    assert (one.daily_cap, one.daily_limit) == (other.daily_cap, other.daily_limit)
    assert one.foreign_rows == other.foreign_rows


@few
@given(case=cases)
def test_nothing_goes_out_outside_of_its_interval_or_in_a_window(case: Case) -> None:
    organisation, config = case
    oracle = make_oracle_plan(organisation, config)
    windows = Windows(config)
    expected: dict[tuple[object, ...], Email] = {
        (e.contact.id, e.email_type, e.instance_id, e.event_date): e for e in oracle.emails
    }
    valid = {one.contact.id: one.contact for one in [*oracle.emails, *oracle.follow_ups]}
    for row in placed_rows(make_plan(organisation, config)):
        assert row.day >= organisation.as_of
        assert not is_closed(row.day, config)
        if row.is_follow_up:
            assert windows.is_allowed(valid[row.contact_id], row.day)
            continue
        email = expected[row[:4]]
        assert email.first <= row.day <= email.last
        assert row.day <= email.deadline
        if email.is_bound:
            assert windows.is_allowed(email.contact, row.day)


@few
@given(case=cases)
def test_what_the_planner_places_pushes_no_day_over_its_limit(case: Case) -> None:
    organisation, config = case
    plan = make_plan(organisation, config)
    if not config.features.enable_load_balancing:
        return
    placed = placed_rows(plan)
    fixed = fixed_emails([], read_book(organisation, config))
    fixed.update(row.day for row in placed if row.is_follow_up)
    balanced = Counter(row.day for row in placed if not row.is_follow_up)
    cap = max(1, int(config.load_balancing.daily_send_percentage_cap * len(plan.contacts)))
    limit = max(cap, config.load_balancing.overage_threshold * cap)
    for day, count in balanced.items():
        assert count + fixed[day] <= limit, day


@few
@given(case=cases)
def test_no_contact_gets_more_than_the_limits_allow(case: Case) -> None:
    organisation, config = case
    period = config.load_balancing.period_days
    received: dict[int, list[tuple[date, bool]]] = defaultdict(list)
    for row in read_book(organisation, config).history:
        if row.is_live and row.send_date is not None and not row.is_follow_up:
            received[row.contact_id].append((row.send_date, row.is_campaign))
    placed = [row for row in placed_rows(make_plan(organisation, config)) if not row.is_follow_up]
    for row in placed:
        received[row.contact_id].append((row.day, row.campaign_instance_id != 0))
    for row in placed:
        days = [day for day, _ in received[row.contact_id]]
        for shift in range(period):
            first = row.day - timedelta(days=shift)
            in_period = sum(first <= day < first + timedelta(days=period) for day in days)
            assert in_period <= config.load_balancing.max_emails_per_contact_per_period
        assert not row.campaign_instance_id or received[row.contact_id].count((row.day, True)) == 1


@few
@given(case=cases)
def test_an_occurrence_has_one_row_and_one_that_was_sent_has_none(case: Case) -> None:
    organisation, config = case
    plan = make_plan(organisation, config)
    EMAIL_SCHEDULES.check_key(plan.schedules)
    is_follow_up = plan.schedules["initial_email_id"] != 0
    assert plan.schedules["initial_email_id"][is_follow_up].is_unique
    assert plan.schedules["contact_id"][is_follow_up].is_unique
    taken = {
        (row.contact_id, row.email_type, row.campaign_instance_id, row.counted_date)
        for row in read_book(organisation, config).history
        if row.is_senders and not row.is_follow_up
    }
    planned = plan.schedules[~is_follow_up]
    columns = [planned[name].tolist() for name in ("contact_id", "email_type", "campaign_instance_id")]
    events = [EPOCH + timedelta(days=day) for day in planned["event_date"].tolist()]
    assert not taken & set(zip(*columns, events, strict=True))


@few
@given(case=cases)
def test_the_order_of_the_rows_does_not_matter_and_planning_again_changes_nothing(case: Case) -> None:
    organisation, config = case
    tables = [one.name for one in fields(PlanInputs) if one.name != "as_of"]
    before = {name: getattr(organisation, name).copy(deep=True) for name in tables}
    plan = make_plan(organisation, config)
    assert_same_plan(plan, make_plan(organisation, config))
    for name in tables:
        pd.testing.assert_frame_equal(getattr(organisation, name), before[name])
    rng = random.Random(len(plan.schedules))
    shuffled = {}
    for name in tables:
        order = list(range(len(before[name])))
        rng.shuffle(order)
        shuffled[name] = before[name].iloc[order]
    assert_same_plan(plan, make_plan(replace(organisation, **shuffled), config))


@few
@given(case=cases)
def test_a_contact_that_is_not_valid_takes_nothing_from_the_others(case: Case) -> None:
    organisation, config = case
    plan = make_plan(organisation, config)
    invalid = [
        contact(2**51, "75001", "1950-03-10", "2019-06-01", email="nowhere"),
        contact(2**51 + 1, "00000", "1950-03-10", "2019-06-01"),
    ]
    longer = pd.concat([table(CONTACTS_TABLE, invalid), organisation.contacts], ignore_index=True)
    other = make_plan(replace(organisation, contacts=longer), config)
    pd.testing.assert_frame_equal(plan.schedules, other.schedules, check_categorical=False)
    assert other.contact_count == plan.contact_count + 2
    assert len(other.issues) == len(plan.issues) + 2


@few
@given(case=cases)
def test_the_proof_finds_nothing_in_a_plan(case: Case) -> None:
    organisation, config = case
    plan = make_plan(organisation, config)
    violations = find_violations(organisation, plan.contacts, plan.schedules, config)
    assert violations.empty, violations.to_string()

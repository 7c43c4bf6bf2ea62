"""The excluded stretches of the time ahead, against the proof's own arithmetic."""

import numpy as np
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.plan import make_plan, planning_basis
from email_scheduler.planning.rules.contacts import validate_contacts
from email_scheduler.planning.rules.intervals import (
    DAYS_AHEAD,
    bound_rows_in_stretches,
    contacts_with_unknown_dates,
    exclusion_stretches,
)
from email_scheduler.proof.exclusion_windows import Windows
from email_scheduler_tests.builders import campaign_instance, campaign_type, contact, day_number, inputs

CONTACTS = [
    contact(1, "90210", birth_date="1948-02-10", effective_date="2018-03-01"),
    contact(2, "10001", birth_date="1950-05-20"),
    contact(3, "75001", birth_date="1950-05-20"),
    contact(4, "63101", birth_date="1950-05-20", effective_date="2018-07-01"),
    contact(5, "89101", birth_date="1952-02-29"),
    contact(6, "90210", birth_date="1940-11-30"),
    contact(7, "90210", birth_date="not a date"),
    contact(8, "90210"),
]


def basis_of(day: str) -> PlanningBasis:
    tables = inputs(day, CONTACTS)
    valid, _ = validate_contacts(tables, SchedulerConfig())
    return planning_basis(tables, valid, SchedulerConfig())


def test_a_day_lies_in_a_stretch_exactly_when_the_proof_finds_it_excluded() -> None:
    for day in ("2026-11-23", "2027-02-28", "2028-02-29"):
        basis = basis_of(day)
        found = exclusion_stretches(basis)
        windows = Windows(basis.contacts, basis.config)
        days = np.arange(basis.today, basis.today + DAYS_AHEAD + 1, dtype=np.int32)
        for position, contact_id in enumerate(basis.contacts["contact_id"]):
            expected = windows.reasons(np.full(len(days), position), days) > 0
            own = found[found["contact_id"] == contact_id]
            starts, ends = own["first_date"].to_numpy(), own["last_date"].to_numpy()
            inside = ((days[:, None] >= starts) & (days[:, None] <= ends)).any(axis=1)
            assert (inside == expected).all(), (day, contact_id)
            # longest stretches: an allowed day lies between two of them
            assert (starts[1:] > ends[:-1] + 1).all()


def test_a_californian_is_excluded_until_the_window_ends_and_again_next_year() -> None:
    found = exclusion_stretches(basis_of("2027-03-01"))
    own = found[found["contact_id"] == 1]
    assert own["first_date"].tolist()[0] == day_number("2027-03-01")
    assert own["last_date"].tolist()[0] == day_number("2027-04-11")
    assert set(own["reason"]) == {"Birthday exclusion window in CA"}
    assert len(own) == 2


def test_contacts_in_window_states_without_their_date_are_named() -> None:
    basis = basis_of("2026-11-23")
    assert contacts_with_unknown_dates(basis.contacts, basis.config.state_rules).tolist() == [7, 8]


def test_a_bound_email_within_a_stretch_is_found_and_an_unbound_campaign_is_not() -> None:
    tables = inputs(
        "2027-03-01",
        CONTACTS,
        campaign_types=[
            campaign_type("blast", respect_exclusion_windows=False, target_all_contacts=True),
        ],
        campaign_instances=[campaign_instance(1, "blast", "2027-03-02")],
    )
    config = SchedulerConfig()
    plan = make_plan(tables, config)
    basis = planning_basis(tables, plan.contacts, config)
    stretches = exclusion_stretches(basis)
    sent = plan.schedules[plan.schedules["status"] == "pre-scheduled"]
    assert ((sent["campaign_instance_id"] == 1) & (sent["contact_id"] == 1)).any()
    assert bound_rows_in_stretches(basis, plan.schedules, stretches).empty
    moved = plan.schedules.copy()
    own = (moved["contact_id"] == 1) & (moved["email_type"] == "post_window")
    moved.loc[own, "scheduled_send_date"] = day_number("2027-04-11")
    found = bound_rows_in_stretches(basis, moved, stretches)
    assert found["contact_id"].tolist() == [1] * int(own.sum())
    moved.loc[own, "scheduled_send_date"] = day_number("2027-04-12")
    assert bound_rows_in_stretches(basis, moved, stretches).empty
    nothing: pd.DataFrame = plan.schedules.iloc[:0]
    assert bound_rows_in_stretches(basis, nothing, stretches.iloc[:0]).empty

"""Audiences: whom they take, about which date, and what the proof says of plans that get it wrong."""

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from email_scheduler.campaigns.catalogue import checked, to_json
from email_scheduler.config.campaign_settings import CampaignInstance
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import InputDataError, UsageError
from email_scheduler.planning.frames import HISTORY_TABLE, PlanInputs
from email_scheduler.planning.plan import Plan, make_plan, planning_basis
from email_scheduler.planning.rules.audiences import count_audience
from email_scheduler.planning.rules.campaign_instances import yearly_instances
from email_scheduler.planning.rules.history import is_answered as is_answered_by
from email_scheduler.planning.rules.history import read_history
from email_scheduler.proof import find_violations
from email_scheduler_tests.builders import (
    Row,
    campaign_instance,
    campaign_type,
    contact,
    email_row,
    inputs,
    table,
    target,
)
from email_scheduler_tests.plans import emails

TODAY = "2026-11-23"
BEGINS, ENDS = "2026-12-01", "2027-12-31"
PRESENT = SchedulerConfig.model_validate(
    {"aep_config": {"default_dates": []}, "load_balancing": {"daily_send_percentage_cap": 1}}
)


def organisation(audience: object, *people: Row, as_of: str | date = TODAY, **more: Any) -> PlanInputs:
    """Return an organisation whose instance 1 has this audience; people may have any further cells."""
    known = set(contact(0))
    settings = {"days_before_event": 14, "target_all_contacts": False, **more.pop("type_settings", {})}
    return inputs(
        as_of,
        contacts=[{name: cell for name, cell in one.items() if name in known} for one in people],
        contact_attributes=[
            {"id": one["id"], **{name: cell for name, cell in one.items() if name not in known}}
            for one in people
        ],
        campaign_types=[campaign_type("rate", respect_exclusion_windows=False, **settings)],
        campaign_instances=[
            campaign_instance(
                1,
                "rate",
                more.pop("begins", BEGINS),
                more.pop("ends", ENDS),
                metadata=json.dumps({"audience": audience, **more.pop("metadata", {})}),
                active=more.pop("active", True),
            )
        ],
        **more,
    )


def proved(case: PlanInputs, config: SchedulerConfig = PRESENT) -> Plan:
    plan = make_plan(case, config)
    assert find_violations(case, plan.contacts, plan.schedules, config).empty
    return plan


def told(case: PlanInputs, config: SchedulerConfig = PRESENT) -> list[tuple[int, str, str, str | None]]:
    """Return contact, event, send date and skip reason of the emails of the campaign."""
    return [
        (e.contact_id, e.event_date, e.send_date, e.skip_reason)
        for e in emails(proved(case, config), "campaign_rate")
    ]


def taken(where: dict[str, object], *people: Row) -> list[int]:
    return [contact_id for contact_id, *_ in told(organisation({"where": where}, *people))]


def trigger_issues(case: PlanInputs) -> list[tuple[int, str]]:
    found = make_plan(case, PRESENT).issues
    found = found[found["field"] == "trigger_date"]
    return list(zip(found["contact_id"].tolist(), found["issue"].tolist(), strict=True))


# -- whom it takes ----------------------------------------------------------------------------------------


def test_the_state_is_that_of_the_zip_and_not_the_column() -> None:
    people = [
        contact(1, "75001", state=None),
        contact(2, "10001", state="TX"),
        contact(3, "75001", state="CA"),
        contact(4, "33101"),
    ]
    assert taken({"state": "TX"}, *people) == [1, 3]
    assert taken({"STATE": ["tx", "FL"]}, *people) == [1, 3, 4]
    assert taken({"state": {"not": ["FL", "ny"]}}, *people) == [1, 3]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("acme", [1, 2, 3]),
        ("ACME ", [1, 2, 3]),
        (["acme", "7"], [1, 2, 3, 6]),
        (None, [4, 5]),
        ("", [4, 5]),
        (["Other", None], [4, 5, 8]),
        (7, [6, 7]),
        ({"min": 7}, [6, 7]),
        ({"max": 6.99}, []),
        ("étoile", [9]),
        ("Étoile", []),
        ({"not": "Acme"}, [4, 5, 6, 7, 8, 9]),
        ({"not": ["acme", None, 7]}, [8, 9]),
    ],
)
def test_a_value_of_a_column_of_the_agencys_own(condition: object, expected: list[int]) -> None:
    cells = ["acme", "Acme", "  ACME\t", None, "  ", "7", "7.00", "other", "étoile"]
    people = [contact(number) | {"carrier": cell} for number, cell in enumerate(cells, 1)]
    assert taken({"carrier": condition}, *people) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"min": "2019-01-01"}, [1, 2, 3]),
        ({"min": "2019-06-01", "max": "2019-06-01"}, [1, 2]),
        ({"max": "2019-06-01"}, [1, 2, 4]),
        ("2019-06-01", [1, 2]),
        (["2020-02-29", None], [3, 5, 6]),
    ],
)
def test_a_date_counts_without_the_time_after_it_and_what_is_no_date_is_in_no_range(
    condition: object, expected: list[int]
) -> None:
    cells = ["2019-06-01", " 2019-06-01T12:00 ", "2020-02-29", "1850-01-01", None, "", "2019-13-01", "soon"]
    people = [contact(number, effective_date=cell) for number, cell in enumerate(cells, 1)]
    assert taken({"effective_date": condition}, *people) == expected


def test_month_and_year_of_a_date_unless_there_is_a_column_of_that_name() -> None:
    people = [
        contact(1, effective_date="2019-06-01") | {"review_month": "6", "review_date": "2020-01-01"},
        contact(2, effective_date="2020-11-30T00:00") | {"review_month": "x", "review_date": "2020-06-01"},
        contact(3, effective_date="June") | {"review_month": None, "review_date": None},
    ]
    assert taken({"effective_month": [6, 7]}, *people) == [1]
    assert taken({"effective_month": {"max": 9}}, *people) == [1]
    assert taken({"effective_year": {"min": 2020}}, *people) == [2]
    assert taken({"effective_year": {"not": 2020}}, *people) == [1]
    assert taken({"effective_year": {"max": 2020}}, *people) == [1, 2]
    assert taken({"review_month": 6}, *people) == [1]
    assert taken({"review_year": 2020}, *people) == [1, 2]


def test_all_conditions_must_hold_and_only_valid_contacts_count() -> None:
    people = [
        contact(1, "75001", effective_date="2019-06-01"),
        contact(2, "75001", effective_date="2019-07-01"),
        contact(3, "75001", effective_date="2019-06-01", email=None),
        contact(4, "33101", effective_date="2019-06-01"),
    ]
    assert taken({"state": "TX", "effective_month": 6, "id": {"max": 3}}, *people) == [1]


def test_an_audience_takes_the_place_of_everybody() -> None:
    case = organisation(
        {"where": {"state": "TX"}},
        contact(1),
        contact(2, "33101"),
        type_settings={"target_all_contacts": True},
    )
    assert [contact_id for contact_id, *_ in told(case)] == [1]


def test_contacts_with_a_row_of_any_status_are_no_part_of_it_and_listed_ones_have_their_own_date() -> None:
    rows = [
        target(1, 1, 1, "2027-02-01"),
        target(2, 2, 1, None, "skipped"),
        target(3, 3, 1, "2027-02-01", "sent"),
        target(4, 5, 1, "2027-02-01"),
    ]
    people = [contact(number) for number in range(1, 5)] + [contact(5, "33101")]
    audience = {"where": {"state": "TX"}, "trigger": {"date": "2027-03-01"}}
    case = organisation(audience, *people, contact_campaigns=rows)
    assert told(case) == [
        (1, "2027-02-01", "2027-01-18", None),
        (4, "2027-03-01", "2027-02-15", None),
        (5, "2027-02-01", "2027-01-18", None),
    ]
    basis = planning_basis(case, proved(case).contacts, PRESENT)
    counts = count_audience(basis, case, basis.instances[1])
    assert (counts.matched, counts.listed, counts.without_trigger_date, counts.taken) == (4, 3, 0, 1)


# -- about which date -------------------------------------------------------------------------------------


def test_without_a_trigger_the_default_trigger_date_counts() -> None:
    assert told(organisation({"where": {"state": "TX"}}, contact(1))) == [
        (1, "2026-12-15", "2026-12-01", None)
    ]
    case = organisation({"where": {"state": "TX"}}, contact(1), metadata={"trigger_date": "2027-05-15"})
    assert told(case) == [(1, "2027-05-15", "2027-05-01", None)]
    undated = organisation({"where": {"state": "TX"}}, contact(1), contact(2, "33101"), begins=None)
    assert told(undated) == []
    assert trigger_issues(undated) == [(1, "missing_trigger_date")]


def test_the_date_in_a_column() -> None:
    cells = ["2027-06-01", "2026-11-30", None, "  ", "soon", "2101-01-01", " 2027-06-01 00:00 ", "2028-06-01"]
    case = organisation(
        {"trigger": {"column": "Rate_Change_Date"}},
        *(contact(number) | {"rate_change_date": cell} for number, cell in enumerate(cells, 1)),
    )
    assert told(case) == [
        (1, "2027-06-01", "2027-05-18", None),
        (2, "2026-11-30", "2026-12-01", "event_passed"),
        (7, "2027-06-01", "2027-05-18", None),
        (8, "2028-06-01", "2028-05-18", "outside_campaign_dates"),
    ]
    missing = [(3, "missing_trigger_date"), (4, "missing_trigger_date")]
    assert trigger_issues(case) == [*missing, (5, "invalid_trigger_date"), (6, "invalid_trigger_date")]


def test_any_row_of_the_instance_answers_a_date_in_a_column() -> None:
    sent = email_row(
        1, 1, "campaign_rate", "2026-11-01", "2026-11-15", status="failed", campaign_instance_id=1
    )
    person = contact(1) | {"rate_change_date": "2027-06-01"}
    audience = {"trigger": {"column": "rate_change_date"}}
    assert told(organisation(audience, person, history=[sent])) == []
    assert len(told(organisation(audience, person, history=[{**sent, "campaign_instance_id": 2}]))) == 1


@pytest.mark.parametrize(
    ("policy_date", "expected"),
    [
        ("2019-06-01", ("2027-06-01", "2027-05-18", None)),
        ("2019-12-10", ("2026-12-10", "2026-12-01", None)),
        ("2019-12-01", ("2027-12-01", "2027-11-17", None)),
        ("2019-12-02", ("2026-12-02", "2026-12-01", None)),
        ("2020-02-29", ("2027-02-28", "2027-02-14", None)),
        ("2027-06-01", ("2028-06-01", "2028-05-18", "outside_campaign_dates")),
    ],
)
def test_the_next_anniversary_of_a_date(policy_date: str, expected: tuple[str, str, str | None]) -> None:
    case = organisation(
        {"trigger": {"anniversary_of": "policy_date"}}, contact(1) | {"policy_date": policy_date}
    )
    assert [email[1:] for email in told(case)] == [expected]


def test_an_anniversary_without_days_before_it_may_be_late_but_not_into_the_next_year() -> None:
    after = {"begins": None, "ends": None, "type_settings": {"days_before_event": -10}}
    audience = {"trigger": {"anniversary_of": "effective_date"}}
    person = contact(1, effective_date="2019-06-01")

    def event(as_of: str, days: int) -> str:
        config = PRESENT.model_copy(
            update={
                "timing_constants": PRESENT.timing_constants.model_copy(
                    update={"campaign_catch_up_days": days}
                )
            }
        )
        [email] = told(organisation(audience, person, as_of=as_of, **after), config)
        return email[1]

    # ideal date 2026-06-11, and 60 days more
    assert [event("2026-08-10", 60), event("2026-08-11", 60)] == ["2026-06-01", "2027-06-01"]
    # of more days, 364 count: the ideal date of 2027 is 2027-06-11
    assert [event("2027-06-10", 3000), event("2027-06-11", 3000)] == ["2026-06-01", "2027-06-01"]


@pytest.mark.parametrize(
    ("sent_about", "is_answered"),
    [
        ("2027-05-20", True),
        ("2026-12-01", True),
        ("2026-11-30", False),
        ("2027-11-30", True),
        ("2027-12-01", False),
    ],
)
def test_a_row_answers_the_anniversary_that_is_at_most_182_days_away(
    sent_about: str, is_answered: bool
) -> None:
    sent = email_row(1, 1, "campaign_rate", "2026-11-01", sent_about, campaign_instance_id=1)
    audience = {"trigger": {"anniversary_of": "effective_date"}}
    case = organisation(audience, contact(1, effective_date="2019-06-01"), history=[sent])
    assert told(case) == ([] if is_answered else [(1, "2027-06-01", "2027-05-18", None)])


def test_after_a_birth_date_that_is_to_come_nobody_is_written_to() -> None:
    case = organisation(
        {"trigger": {"anniversary_of": "birth_date"}},
        contact(1, birth_date="2026-11-24"),
        contact(2, birth_date="2026-11-23"),
    )
    assert [contact_id for contact_id, *_ in told(case)] == [2]
    assert trigger_issues(case) == [(1, "invalid_trigger_date")]


@given(
    st.dates(date(1930, 1, 1), date(2030, 12, 31)),
    st.dates(date(2026, 1, 1), date(2029, 12, 31)),
    st.integers(-40, 400),
    st.none() | st.dates(date(2026, 1, 1), date(2028, 12, 31)),
)
@settings(max_examples=15, deadline=None)
def test_an_anniversary_that_was_promised_yesterday_is_promised_again(
    anchor: date, day: date, days_before: int, begins: date | None
) -> None:
    def promised(as_of: date) -> tuple[date, date]:
        case = organisation(
            {"trigger": {"anniversary_of": "policy_date"}},
            contact(1) | {"policy_date": anchor.isoformat()},
            as_of=as_of,
            begins=None if begins is None else begins.isoformat(),
            ends=None,
            type_settings={"days_before_event": days_before},
        )
        [(_, event, send_date, reason)] = told(case)
        assert reason is None
        return date.fromisoformat(event), date.fromisoformat(send_date)

    (event, send_date), tomorrow = promised(day), promised(day + timedelta(days=1))
    assert (event.month, event.day) in {(anchor.month, anchor.day), (2, 28)}
    assert event.year > anchor.year
    if send_date > day:
        assert tomorrow == (event, send_date)
    else:
        assert tomorrow[0] == event or (tomorrow[0] - event).days in {365, 366}


@pytest.mark.parametrize(
    ("trigger", "sent_about", "is_answered"),
    [
        ({"anniversary_of": "policy_date"}, "2027-05-20", True),
        ({"anniversary_of": "policy_date"}, "2026-06-01", False),
        ({"column": "policy_date"}, "2020-01-01", True),
    ],
)
def test_a_row_that_was_taken_while_the_plan_was_made_answers_by_the_same_rule(
    trigger: dict[str, str], sent_about: str, is_answered: bool
) -> None:
    case = organisation({"trigger": trigger}, contact(1) | {"policy_date": "2027-06-01"}, ends=None)
    if "anniversary_of" in trigger:
        case = organisation({"trigger": trigger}, contact(1) | {"policy_date": "2019-06-01"})
    rows = make_plan(case, PRESENT).schedules
    taken_row = email_row(
        1, 1, "campaign_rate", TODAY, sent_about, status="processing", campaign_instance_id=1
    )
    taken_rows = read_history(table(HISTORY_TABLE, [taken_row]))
    needless = is_answered_by(rows, taken_rows, case.contact_campaigns, yearly_instances(case), PRESENT)
    assert needless.tolist() == [is_answered]


# -- the proof --------------------------------------------------------------------------------------------


def violations(case: PlanInputs, spoilt: pd.DataFrame) -> set[tuple[str, int]]:
    plan = make_plan(case, PRESENT)
    found = find_violations(case, plan.contacts, spoilt, PRESENT)
    return set(zip(found["rule"].astype(str), found["contact_id"], strict=True))


def test_the_proof_finds_members_that_are_missing_strangers_and_wrong_dates() -> None:
    people = [
        contact(1, effective_date="2019-06-01") | {"carrier": "acme"},
        contact(2, effective_date="2019-07-01") | {"carrier": "acme"},
        contact(3, effective_date="2019-06-01") | {"carrier": "other"},
    ]
    trigger = {"anniversary_of": "effective_date"}
    case = organisation({"where": {"carrier": "acme"}, "trigger": trigger}, *people)
    everybody = organisation({"trigger": trigger}, *people)
    rows = make_plan(case, PRESENT).schedules
    is_own = rows["campaign_instance_id"] == 1
    assert violations(case, rows) == set()
    assert violations(case, rows[~is_own]) == {("unaccounted_occurrence", 1), ("unaccounted_occurrence", 2)}
    assert violations(case, make_plan(everybody, PRESENT).schedules) == {("unknown_occurrence", 3)}
    is_moved = is_own & (rows["contact_id"] == 1)
    moved = rows.assign(
        event_date=np.where(is_moved, rows["event_date"] + 365, rows["event_date"]).astype(np.int32)
    )
    assert {("unknown_occurrence", 1), ("unaccounted_occurrence", 1)} <= violations(case, moved)
    sent = email_row(
        1, 2, "campaign_rate", "2026-11-01", "2027-05-01", status="failed", campaign_instance_id=1
    )
    answered = organisation({"where": {"carrier": "acme"}, "trigger": trigger}, *people, history=[sent])
    assert violations(answered, rows) == {("already_handled", 2)}


# -- what cannot be read ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("audience", "message"),
    [
        (
            {"where": {"colour": "red"}},
            "metadata.audience names colour; accepted is a column of contacts",
        ),
        (
            {"trigger": {"column": "review_date"}},
            "metadata.audience names review_date; accepted is a column of contacts",
        ),
        (
            {"trigger": {"column": "effective_month"}},
            "metadata.audience names effective_month; accepted is a column of contacts",
        ),
        (
            {"where": {"effective_month": 13}},
            "metadata.audience.where.effective_month: accepted are whole numbers from 1 to 12",
        ),
        (
            "TX",
            "metadata.audience: value 'TX': accepted is a mapping (to have the defaults, leave the key out)",
        ),
        (
            {"were": {}},
            "metadata.audience.were: unknown key: accepted is one of where, trigger",
        ),
        (
            {"trigger": {"date": "2027-02-30"}},
            (
                "metadata.audience.trigger.date: value '2027-02-30': accepted is a date YYYY-MM-DD that"
                " exists, in the years 1900 to 2200"
            ),
        ),
    ],
)
def test_an_audience_that_cannot_be_read_stops_the_plan_and_names_the_instance(
    audience: object, message: str
) -> None:
    with pytest.raises(InputDataError) as refused:
        make_plan(organisation(audience, contact(1)), PRESENT)
    assert str(refused.value) == f"campaign instance 1: {message}"


def test_an_unknown_column_of_an_instance_that_is_not_planned_stops_nothing() -> None:
    audience = {"where": {"colour": "red"}}
    for changes in ({"active": False}, {"ends": "2026-11-22"}):
        assert told(organisation(audience, contact(1), **changes)) == []


@pytest.mark.parametrize(
    ("audience", "key"),
    [
        ({}, "metadata.audience:"),
        ({"where": {}}, "metadata.audience:"),
        (
            {"where": {"state": "Texas"}},
            "metadata.audience.where: value {state: 'Texas'}: accepted is the two letters",
        ),
        ({"where": {"state": {"min": "CA"}}}, "metadata.audience.where.state:"),
        (
            {"where": {"rate_date": 5}},
            "metadata.audience.where: value {rate_date: 5}: accepted is dates YYYY-MM-DD or null",
        ),
        ({"where": {"a b": 5}}, "metadata.audience.where.'a b': key 'a b'"),
        ({"where": {"carrier": True}}, "metadata.audience.where.carrier: value true"),
        ({"where": {"carrier": []}}, "metadata.audience.where.carrier: value []"),
        (
            {"where": {"carrier": {"min": 2, "max": 1}}},
            "metadata.audience.where.carrier: value {min: 2, max: 1}",
        ),
        ({"where": {"carrier": {"min": 2, "max": "2027-01-01"}}}, "metadata.audience.where.carrier:"),
        ({"where": {"carrier": {"least": 2}}}, "metadata.audience.where.carrier:"),
        (
            {"where": {"carrier": 1, "Carrier": 2}},
            "metadata.audience.where: value {carrier: 1, Carrier: 2}: accepted is each column once",
        ),
        (
            {"trigger": {}},
            "metadata.audience.trigger: value {}: accepted is one of date, column and anniversary_of",
        ),
        ({"trigger": {"column": "a", "date": "2027-01-01"}}, "metadata.audience.trigger:"),
        ({"trigger": {"column": "state"}}, "metadata.audience:"),
        (
            {"trigger": {"colum": "a"}},
            "metadata.audience.trigger.colum: unknown key: accepted is one of date, column, anniversary_of",
        ),
    ],
)
def test_what_is_no_audience_is_refused_with_its_key(audience: object, key: str) -> None:
    with pytest.raises(UsageError) as refused:
        checked(CampaignInstance, {"email_template": "x", "metadata": {"audience": audience}}, "instance")
    assert str(refused.value).startswith(f"instance: {key}")
    assert "accepted is" in str(refused.value)


def test_an_audience_is_kept_as_it_was_written_and_without_what_says_nothing() -> None:
    audience = {
        "where": {"State": "tx", "rate_date": {"min": date(2027, 1, 1), "max": None}, "x": None},
        "trigger": {"column": "Rate_date"},
    }
    written = checked(
        CampaignInstance, {"email_template": "x", "metadata": {"audience": audience}}, "instance"
    ).metadata
    kept = json.loads(to_json(written.model_dump(include={"audience"})))["audience"]
    assert kept == {
        "where": {"state": ["TX"], "rate_date": {"min": "2027-01-01"}, "x": [""]},
        "trigger": {"column": "rate_date"},
    }
    again = checked(
        CampaignInstance, {"email_template": "x", "metadata": {"audience": kept}}, "instance"
    ).metadata
    assert again.audience == written.audience


def test_a_plan_is_the_same_whatever_else_was_read_of_the_contacts() -> None:
    case = organisation({"where": {"carrier": "acme"}}, contact(1) | {"carrier": "acme", "other": "x"})
    fewer = replace(case, contact_attributes=case.contact_attributes.drop(columns="other"))
    assert make_plan(case, PRESENT).schedules.equals(make_plan(fewer, PRESENT).schedules)

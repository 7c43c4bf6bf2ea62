"""The proof finds every kind of violation that is planted, and none in plans made by hand from the rules."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import InputDataError
from email_scheduler.planning import frames
from email_scheduler.proof import find_violations
from email_scheduler.proof.violations import RULES
from email_scheduler_tests.builders import (
    campaign_instance,
    campaign_type,
    contact,
    day_number,
    email_row,
    inputs,
    suppressed_address,
    suppression,
    table,
    target,
)

Row = Mapping[str, object]
TODAY = "2026-11-23"
CA_BIRTHDAY = "Birthday exclusion window in CA"
MO_EFFECTIVE_DATE = "Effective date exclusion window in MO"
NEW_YORK = "Year-round exclusion in NY"


def config(**sections: Any) -> SchedulerConfig:
    """Return the default configuration of an organisation large enough that no day reaches its limit."""
    balancing = {"overage_threshold": 1000, **sections.pop("load_balancing", {})}
    return SchedulerConfig.model_validate({"load_balancing": balancing, **sections})


def person(
    contact_id: int,
    state: str | None,
    born: str | None = None,
    effective: str | None = None,
    *,
    is_birth_date_unreadable: bool = False,
    is_effective_date_unreadable: bool = False,
) -> Row:
    """Return a row of the valid contacts."""
    return {
        "contact_id": contact_id,
        "state": state,
        "birth_date": day_number(born) if born else None,
        "effective_date": day_number(effective) if effective else None,
        "is_birth_date_unreadable": is_birth_date_unreadable,
        "is_effective_date_unreadable": is_effective_date_unreadable,
    }


def planned(
    contact_id: int,
    email_type: str,
    event: str,
    ideal: str,
    send: str | None = None,
    adjustment: str | None = None,
    *,
    instance: int = 0,
    initial: int = 0,
    **changes: object,
) -> Row:
    """Return a pre-scheduled row of a plan; without ``send`` it goes out on its ideal date."""
    return {
        "contact_id": contact_id,
        "email_type": email_type,
        "campaign_instance_id": instance,
        "event_date": day_number(event),
        "initial_email_id": initial,
        "ideal_send_date": day_number(ideal),
        "scheduled_send_date": day_number(send or ideal),
        "status": "pre-scheduled",
        "adjustment": adjustment,
        **changes,
    }


def skipped(
    contact_id: int,
    email_type: str,
    event: str,
    ideal: str,
    reason: str | None,
    send: str | None = None,
    *,
    instance: int = 0,
    initial: int = 0,
) -> Row:
    """Return a skipped row of a plan, dated at its ideal date unless ``send`` says otherwise."""
    row = planned(contact_id, email_type, event, ideal, send, instance=instance, initial=initial)
    return {**row, "status": "skipped", "skip_reason": reason}


@dataclass(frozen=True)
class Case:
    """A plan with what it was made from."""

    contacts: Iterable[Row]
    rows: Iterable[Row]
    as_of: str = TODAY
    config: SchedulerConfig = field(default_factory=config)
    tables: Mapping[str, Any] = field(default_factory=dict)

    def violations(self) -> pd.DataFrame:
        return find_violations(
            inputs(self.as_of, **self.tables),
            table(frames.CONTACTS, self.contacts),
            table(frames.EMAIL_SCHEDULES, self.rows),
            self.config,
        )


def found(case: Case) -> list[tuple[str, int, str | None, str | None]]:
    """Return rule, contact, email type and send date of every violation of a case."""
    violations = case.violations()
    frames.VIOLATIONS.check(violations)
    return [
        (row.rule, row.contact_id, None if pd.isna(row.email_type) else row.email_type, _date(row))
        for row in violations.itertuples()
    ]


def rules(case: Case) -> list[str]:
    return [rule for rule, *_ in found(case)]


def _date(row: Any) -> str | None:
    return None if row.scheduled_send_date == frames.NO_DATE else _iso(row.scheduled_send_date)


def _iso(day: int) -> str:
    return str(np.datetime64(int(day), "D"))


TEXAN = person(1, "TX", "1950-03-10", "2019-06-01")
BIRTHDAY = planned(1, "birthday", "2027-03-10", "2027-02-24")
EFFECTIVE_DATE = planned(1, "effective_date", "2027-06-01", "2027-05-02")
AEP = planned(1, "aep", "2027-09-15", "2027-09-15")
TEXAN_ROWS = [BIRTHDAY, EFFECTIVE_DATE, AEP]

CALIFORNIAN = person(2, "CA", "1948-02-10", "2018-03-01")
CALIFORNIAN_ROWS = [
    skipped(2, "birthday", "2027-02-10", "2027-01-27", CA_BIRTHDAY),
    skipped(2, "effective_date", "2027-03-01", "2027-01-30", CA_BIRTHDAY),
    planned(2, "aep", "2027-09-15", "2027-09-15"),
    planned(2, "post_window", "2027-04-11", "2027-04-12"),
]
CAMPAIGNS: dict[str, Any] = {
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
    "campaign_instances": [
        campaign_instance(1, "rate_increase", "2026-10-01", "2026-12-31"),
        campaign_instance(2, "seasonal_promo", "2026-11-01", "2026-12-31"),
    ],
}
BLAST = {
    **CAMPAIGNS,
    "campaign_instances": [campaign_instance(3, "initial_blast", "2026-12-01")],
}
NEW_YORKER = person(5, "NY")
NEW_YORKER_AEP = skipped(5, "aep", "2027-09-15", "2027-09-15", NEW_YORK)
NO_AEP = {"aep_config": {"default_dates": []}}


SPLIT = campaign_instance(
    7,
    "rate_increase",
    metadata=json.dumps(
        {
            "variants": [
                {"name": name, "weight": weight, "email_template": f"email_{name}"}
                for name, weight in (("a", 70), ("b", 20), ("c", 10))
            ]
        }
    ),
)


def in_variant(contact_id: int, name: str, **changes: object) -> Row:
    """Return the row of an email of the instance that is split."""
    said = {"metadata": json.dumps({"variant": name}), "email_template": f"email_{name}", **changes}
    return planned(contact_id, "campaign_rate_increase", "2026-12-15", "2026-12-01", instance=7, **said)


def texan(**changes: Any) -> Case:
    """Return the plan of the first worked example with what the keywords change."""
    return replace(Case([TEXAN], TEXAN_ROWS), **changes)


def instead(row: Row, **changes: object) -> list[Row]:
    """Return the Texan's rows with a change of one of them."""
    return [{**one, **changes} if one is row else one for one in TEXAN_ROWS]


def campaign(targets: Iterable[Row], rows: Iterable[Row], **changes: Any) -> Case:
    """Return a plan of campaign emails for a Texan without dates, in a year without AEP emails."""
    contacts = changes.pop("contacts", [person(1, "TX")])
    settings = changes.pop("config", config(**NO_AEP))
    tables = {**CAMPAIGNS, "contact_campaigns": targets, **changes.pop("tables", {})}
    return Case(contacts, rows, tables=tables, config=settings, **changes)


SPEC_EXAMPLES = {
    "the first": texan(),
    "a Californian before the window": Case([CALIFORNIAN], CALIFORNIAN_ROWS),
    "a Californian inside the window": Case(
        [CALIFORNIAN],
        [
            *CALIFORNIAN_ROWS[:2],
            planned(2, "aep", "2026-09-15", "2026-09-15"),
            planned(2, "post_window", "2026-04-11", "2026-04-12"),
            CALIFORNIAN_ROWS[3],
        ],
        "2026-03-01",
    ),
    "a Californian after the window": Case(
        [CALIFORNIAN],
        [
            *CALIFORNIAN_ROWS[:2],
            planned(2, "aep", "2026-09-15", "2026-09-15"),
            planned(2, "post_window", "2026-04-11", "2026-04-12", "2026-04-14", "redistributed"),
            CALIFORNIAN_ROWS[3],
        ],
        "2026-04-14",
    ),
    "a Nevadan": Case(
        [person(3, "NV", "1950-05-20")],
        [
            skipped(3, "birthday", "2026-05-20", "2026-05-06", "Birthday exclusion window in NV"),
            planned(3, "aep", "2026-09-15", "2026-09-15"),
            planned(3, "post_window", "2026-06-30", "2026-07-01"),
        ],
        "2026-01-05",
    ),
    "a Missourian": Case(
        [person(4, "MO", "1950-05-20", "2018-07-01")],
        [
            skipped(4, "birthday", "2026-05-20", "2026-05-06", MO_EFFECTIVE_DATE),
            skipped(4, "effective_date", "2026-07-01", "2026-06-01", MO_EFFECTIVE_DATE),
            planned(4, "aep", "2026-09-15", "2026-09-15"),
            planned(4, "post_window", "2026-08-03", "2026-08-04"),
        ],
        "2026-01-05",
    ),
    "a New Yorker": Case(
        [person(5, "NY", "1950-05-20", "2018-07-01")],
        [
            skipped(5, "birthday", "2026-05-20", "2026-05-06", NEW_YORK),
            skipped(5, "effective_date", "2026-07-01", "2026-06-01", NEW_YORK),
            skipped(5, "aep", "2026-09-15", "2026-09-15", NEW_YORK),
        ],
        "2026-01-05",
    ),
    "born on 29 February": Case(
        [person(6, "TX", "1952-02-29", "2020-02-29")],
        [
            planned(6, "birthday", "2026-02-28", "2026-02-14"),
            planned(6, "effective_date", "2026-02-28", "2026-01-29"),
            planned(6, "aep", "2026-09-15", "2026-09-15"),
        ],
        "2026-01-05",
    ),
    "late for a birthday": Case(
        [person(7, "TX", "1950-03-10")],
        [
            planned(7, "birthday", "2026-03-10", "2026-02-24", "2026-03-06", "catch_up"),
            planned(7, "aep", "2026-09-15", "2026-09-15"),
        ],
        "2026-03-05",
    ),
    "on the birthday": Case(
        [person(7, "TX", "1950-03-10")],
        [
            planned(7, "birthday", "2027-03-10", "2027-02-24"),
            planned(7, "aep", "2026-09-15", "2026-09-15"),
        ],
        "2026-03-10",
    ),
    "late for AEP": Case(
        [person(8, "TX")],
        [planned(8, "aep", "2026-09-15", "2026-09-15", "2026-10-01", "catch_up")],
        "2026-10-01",
    ),
    "the policy has not begun": Case(
        [person(9, "TX", None, "2027-01-01")],
        [
            planned(9, "effective_date", "2028-01-01", "2027-12-02"),
            planned(9, "aep", "2027-09-15", "2027-09-15"),
        ],
    ),
    "two campaigns on one ideal date": campaign(
        [target(1, 1, 1, "2026-12-15"), target(2, 1, 2, "2026-12-08")],
        [
            planned(1, "campaign_rate_increase", "2026-12-15", "2026-12-01", instance=1),
            skipped(
                1, "campaign_seasonal_promo", "2026-12-08", "2026-12-01", "campaign_conflict", instance=2
            ),
        ],
    ),
    "a campaign for all that windows do not bind": Case(
        [NEW_YORKER],
        [NEW_YORKER_AEP, planned(5, "campaign_initial_blast", "2026-12-01", "2026-12-01", instance=3)],
        tables=BLAST,
    ),
    "the same a day late": Case(
        [NEW_YORKER],
        [
            NEW_YORKER_AEP,
            planned(
                5,
                "campaign_initial_blast",
                "2026-12-01",
                "2026-12-01",
                "2026-12-02",
                "redistributed",
                instance=3,
            ),
        ],
        "2026-12-02",
        tables=BLAST,
    ),
    "a trigger that has passed": campaign(
        [target(1, 1, 1, "2026-11-20")],
        [skipped(1, "campaign_rate_increase", "2026-11-20", "2026-11-06", "event_passed", instance=1)],
    ),
    "a trigger after the campaign": campaign(
        [target(1, 1, 1, "2027-02-01")],
        [
            skipped(
                1, "campaign_rate_increase", "2027-02-01", "2027-01-18", "outside_campaign_dates", instance=1
            )
        ],
    ),
    "a follow-up": Case(
        [person(1, "TX", "1950-12-05")],
        [
            planned(1, "followup_2_clicked_no_hq", "2026-12-05", "2026-11-23", initial=70),
            planned(1, "aep", "2027-09-15", "2027-09-15"),
        ],
        tables={"history": [email_row(70, 1, "birthday", "2026-11-21", "2026-12-05")]},
    ),
    "a late follow-up": Case(
        [person(1, "TX", "1950-12-05")],
        [
            planned(
                1, "followup_4_hq_with_yes", "2026-12-05", "2026-11-23", "2026-11-25", "catch_up", initial=70
            ),
            planned(1, "aep", "2027-09-15", "2027-09-15"),
        ],
        "2026-11-25",
        tables={"history": [email_row(70, 1, "birthday", "2026-11-21", "2026-12-05")]},
    ),
}


@pytest.mark.parametrize("name", SPEC_EXAMPLES)
def test_a_plan_that_keeps_the_rules_has_no_violations(name: str):
    assert found(SPEC_EXAMPLES[name]) == []


def test_a_plan_without_contacts_has_no_violations():
    violations = Case([], []).violations()
    assert violations.empty
    frames.VIOLATIONS.check(violations)


def test_a_plan_for_nobody_holds_nothing():
    assert set(rules(Case([], TEXAN_ROWS))) == {"unknown_contact"}


def test_a_frame_of_another_shape_is_refused():
    plan = table(frames.EMAIL_SCHEDULES, TEXAN_ROWS)
    with pytest.raises(InputDataError):
        find_violations(inputs(TODAY), table(frames.CONTACTS, [TEXAN]), plan.drop(columns="status"), config())


def test_the_order_of_contacts_and_rows_does_not_matter():
    people = [TEXAN, CALIFORNIAN]
    rows = [*TEXAN_ROWS, *CALIFORNIAN_ROWS]
    assert found(Case(people[::-1], rows[::-1])) == []
    doubled = [BIRTHDAY, *rows[::-1]]
    assert found(Case(people[::-1], doubled)) == [("duplicate_occurrence", 1, "birthday", "2027-02-24")]


# Born on 20 December: in California the window opens on 21 September, in the middle of the AEP emails.
WINTER_CHILD = person(3, "CA", "1950-12-20")
WINTER_AEP = planned(3, "aep", "2026-09-15", "2026-09-15")
WINTER_ROWS = [
    skipped(3, "birthday", "2026-12-20", "2026-12-06", CA_BIRTHDAY),
    planned(3, "post_window", "2027-02-18", "2027-02-19"),
]


def texan_window(first: int, last: int) -> dict[str, Any]:
    """Return state rules with one birthday window in Texas, in days from the birthday."""
    window = {"window_before_days": -first, "window_after_days": last, "pre_window_extension_days": 0}
    return {"birthday_windows": {"TX": window}}


# One plan for each rule that breaks it alone: rule, contact, email type and send date of what is found.
PLANTED = {
    "unknown_contact": (
        texan(rows=[*TEXAN_ROWS, planned(99, "birthday", "2027-03-10", "2027-02-24")]),
        [("unknown_contact", 99, "birthday", "2027-02-24")],
    ),
    "suppressed_contact": (
        Case(
            [CALIFORNIAN],
            CALIFORNIAN_ROWS,
            tables={"suppressions": [suppression(2)], "contacts": [contact(2)]},
        ),
        [
            ("suppressed_contact", 2, "aep", "2027-09-15"),
            ("suppressed_contact", 2, "post_window", "2027-04-12"),
        ],
    ),
    "shared_address": (
        Case(
            [CALIFORNIAN],
            CALIFORNIAN_ROWS,
            config=config(contacts={"max_per_address": 1}),
            tables={"contacts": [contact(2, email="a@b.co"), contact(3, email="A@b.co"), contact(4)]},
        ),
        [
            ("shared_address", 2, "aep", "2027-09-15"),
            ("shared_address", 2, "post_window", "2027-04-12"),
        ],
    ),
    "unknown_status": (
        texan(rows=instead(BIRTHDAY, status="scheduled")),
        [("unknown_status", 1, "birthday", "2027-02-24")],
    ),
    "missing_skip_reason": (
        Case([NEW_YORKER], [{**NEW_YORKER_AEP, "skip_reason": " "}]),
        [("missing_skip_reason", 5, "aep", "2027-09-15")],
    ),
    "unexpected_skip_reason": (
        texan(rows=instead(AEP, skip_reason="event_passed")),
        [("unexpected_skip_reason", 1, "aep", "2027-09-15")],
    ),
    "untrue_skip_reason": (
        texan(rows=instead(AEP, status="skipped", skip_reason="frequency_limit_exceeded")),
        [("untrue_skip_reason", 1, "aep", "2027-09-15")],
    ),
    "duplicate_occurrence": (
        texan(rows=[*TEXAN_ROWS, {**AEP, "scheduled_send_date": day_number("2027-09-20")}]),
        [("duplicate_occurrence", 1, "aep", "2027-09-20")],
    ),
    "unknown_occurrence": (
        texan(rows=[*TEXAN_ROWS, planned(1, "birthday", "2028-03-10", "2028-02-25")]),
        [("unknown_occurrence", 1, "birthday", "2028-02-25")],
    ),
    "unaccounted_occurrence": (
        texan(rows=[BIRTHDAY, AEP]),
        [("unaccounted_occurrence", 1, "effective_date", None)],
    ),
    "already_handled": (
        texan(tables={"history": [email_row(70, 1, "aep", "2027-09-01", "2027-09-20", status="failed")]}),
        [("already_handled", 1, "aep", "2027-09-15")],
    ),
    "before_go_live": (
        texan(config=config(go_live_date="2027-02-25")),
        [("before_go_live", 1, "birthday", "2027-02-24")],
    ),
    "wrong_ideal_date": (
        texan(rows=instead(BIRTHDAY, ideal_send_date=day_number("2027-02-23"))),
        [("wrong_ideal_date", 1, "birthday", "2027-02-24")],
    ),
    "before_as_of": (
        Case([person(8, "TX")], [planned(8, "aep", "2026-09-15", "2026-09-15", "2026-09-30")], "2026-10-01"),
        [("before_as_of", 8, "aep", "2026-09-30")],
    ),
    "before_ideal_date": (
        texan(rows=instead(BIRTHDAY, scheduled_send_date=day_number("2027-02-23"))),
        [("before_ideal_date", 1, "birthday", "2027-02-23")],
    ),
    "after_deadline": (
        texan(rows=instead(BIRTHDAY, scheduled_send_date=day_number("2027-03-10"))),
        [("after_deadline", 1, "birthday", "2027-03-10")],
    ),
    "closed_day": (
        texan(config=config(send_calendar={"no_send_dates": ["2027-02-24"]})),
        [("closed_day", 1, "birthday", "2027-02-24")],
    ),
    "excluded_day": (
        Case(
            [WINTER_CHILD],
            [{**WINTER_AEP, "scheduled_send_date": day_number("2026-09-21")}, *WINTER_ROWS],
            "2026-09-01",
        ),
        [("excluded_day", 3, "aep", "2026-09-21")],
    ),
    "excluded_ideal_date": (
        texan(
            rows=[
                *instead(BIRTHDAY, scheduled_send_date=day_number("2027-02-28"), adjustment="redistributed"),
                planned(1, "post_window", "2027-02-27", "2027-02-28"),
            ],
            config=config(state_rules=texan_window(-15, -11)),
        ),
        [("excluded_ideal_date", 1, "birthday", "2027-02-28")],
    ),
    "across_window": (
        texan(
            rows=instead(BIRTHDAY, scheduled_send_date=day_number("2027-02-28"), adjustment="redistributed"),
            config=config(state_rules=texan_window(-13, -11)),
        ),
        [("across_window", 1, "birthday", "2027-02-28")],
    ),
    "daily_volume": (
        Case(
            [person(1, "TX"), person(2, "TX")],
            [planned(who, "aep", "2027-09-15", "2027-09-15") for who in (1, 2)],
            config=config(load_balancing={"overage_threshold": 1.9}),
        ),
        [("daily_volume", 0, None, "2027-09-15")],
    ),
    "frequency": (
        Case(
            [person(1, "TX", "1950-03-10", "2019-04-01")],
            [BIRTHDAY, planned(1, "effective_date", "2027-04-01", "2027-03-02"), AEP],
            tables={"history": [email_row(70, 1, "rate_increase", "2027-02-17", status="scheduled")]},
        ),
        [("frequency", 1, "effective_date", "2027-03-02")],
    ),
    "campaign_conflict": (
        campaign(
            [target(1, 1, 1, "2026-12-15"), target(2, 1, 2, "2026-12-09")],
            [
                planned(1, "campaign_rate_increase", "2026-12-15", "2026-12-01", "2026-12-02", instance=1),
                planned(1, "campaign_seasonal_promo", "2026-12-09", "2026-12-02", instance=2),
            ],
        ),
        [("campaign_conflict", 1, "campaign_seasonal_promo", "2026-12-02")],
    ),
    # by the example of the planning rules, contact 1 has a, 5 has b, 8 has c
    "wrong_variant": (
        campaign(
            [target(number, number, 7, "2026-12-15") for number in (1, 5, 8)],
            [in_variant(1, "a"), in_variant(5, "a"), in_variant(8, "c")],
            contacts=[person(1, "TX"), person(5, "TX"), person(8, "TX")],
            config=config(**NO_AEP, features={"enable_ab_testing": True}),
            tables={"campaign_instances": [SPLIT]},
        ),
        [("wrong_variant", 5, "campaign_rate_increase", "2026-12-01")],
    ),
}


@pytest.mark.parametrize("rule", PLANTED)
def test_a_planted_violation_is_found_alone_and_at_its_row(rule: str):
    case, expected = PLANTED[rule]
    assert found(case) == expected


def test_every_rule_is_planted_once():
    assert set(PLANTED) == set(RULES)
    assert all({rule for rule, *_ in expected} == {name} for name, (_, expected) in PLANTED.items())


def test_a_violation_names_the_whole_occurrence():
    violations = PLANTED["campaign_conflict"][0].violations()
    assert violations.loc[0, "campaign_instance_id"] == 2
    assert violations.loc[0, "event_date"] == day_number("2026-12-09")


def test_a_violation_says_what_is_wrong():
    assert _details("excluded_day") == ["Birthday exclusion window in CA"]
    assert _details("wrong_variant") == ["the contact's is b"]
    assert _details("after_deadline") == ["the deadline is 2027-03-09"]
    assert _details("daily_volume") == ["2 planned, 0 fixed, at most 1 in all"]


def _details(rule: str) -> list[str]:
    return PLANTED[rule][0].violations()["detail"].astype("str").to_list()


# -- occurrences -----------------------------------------------------------------------------------------


def sent(
    event: str | None = None, email_type: str = "birthday", who: int = 1, **changes: Any
) -> dict[str, Any]:
    """Return a history with one row of the sending system."""
    send = changes.pop("send", "2026-10-01")
    return {"history": [email_row(70, who, email_type, send, event, **changes)]}


@pytest.mark.parametrize("email_type", ["birthday", "effective_date"])
def test_a_row_within_182_days_answers_an_anniversary_and_one_beyond_does_not(email_type: str):
    row = BIRTHDAY if email_type == "birthday" else EFFECTIVE_DATE
    near, far = (_iso(int(str(row["event_date"])) - days) for days in (182, 183))
    assert rules(texan(tables=sent(near, email_type))) == ["already_handled"]
    assert rules(texan(tables=sent(far, email_type))) == []
    others = [one for one in TEXAN_ROWS if one is not row]
    assert rules(texan(tables=sent(near, email_type), rows=others)) == []
    assert rules(texan(tables=sent(far, email_type), rows=others)) == ["unaccounted_occurrence"]


def test_a_skipped_row_for_a_handled_occurrence_is_a_second_row_too():
    case = Case([NEW_YORKER], [NEW_YORKER_AEP], tables=sent("2027-09-15", "aep", who=5))
    assert rules(case) == ["already_handled"]


def test_a_row_without_an_event_date_counts_with_its_send_date():
    late, early = sent(None, send="2027-01-05"), sent(None, send="2026-01-05")
    assert rules(texan(tables=late)) == ["already_handled"]
    assert rules(texan(tables=early)) == []


@pytest.mark.parametrize(
    "event", ["2027-02-29", "2027-13-01", "2027-00-10", "2027-03-00", "2027-03-32", "0-03-10"]
)
def test_an_event_date_that_does_not_exist_is_none(event: str):
    assert rules(texan(tables=sent(event, send="2027-01-05"))) == ["already_handled"]
    assert rules(texan(tables=sent(event, send="2026-01-05"))) == []


def test_the_actual_send_date_comes_before_the_scheduled_one():
    assert rules(texan(tables=sent(send="2026-01-05", actual_send_datetime="2027-01-05T08:30:00"))) == [
        "already_handled"
    ]


@pytest.mark.parametrize("status", ["failed", "processing", None, "bounced"])
def test_whatever_the_sending_system_calls_its_row_the_occurrence_is_taken(status: str | None):
    assert rules(texan(tables=sent("2027-03-10", status=status))) == ["already_handled"]


def test_the_row_of_another_contact_or_type_answers_nothing():
    assert rules(texan(tables=sent("2027-03-10", who=2))) == []
    assert rules(texan(tables=sent("2027-03-10", "aep"))) == []


TWO_AEP_DATES = {"default_dates": [{"month": 9, "day": 15}, {"month": 10, "day": 15}]}
SEPTEMBER, OCTOBER = (planned(1, "aep", day, day) for day in ("2027-09-15", "2027-10-15"))


@pytest.mark.parametrize(
    ("event", "answered"),
    [
        ("2027-09-30", SEPTEMBER),
        ("2027-10-01", OCTOBER),
        ("2027-05-01", SEPTEMBER),
        ("2028-03-01", OCTOBER),
        ("2027-03-31", None),
        ("2028-04-01", None),
    ],
)
def test_an_aep_row_answers_the_nearest_date_and_the_earlier_of_two(event: str, answered: Row | None):
    case = Case(
        [person(1, "TX")],
        [row for row in (SEPTEMBER, OCTOBER) if row is not answered],
        config=config(aep_config=TWO_AEP_DATES),
        tables=sent(event, "aep"),
    )
    assert found(case) == []
    lost = replace(case, rows=[])
    assert rules(lost) == ["unaccounted_occurrence"] * (1 if answered else 2)


def test_the_nearest_aep_date_may_be_one_of_a_year_without_aep_emails():
    case = Case(
        [person(1, "TX")],
        [planned(1, "aep", "2028-09-15", "2028-09-15")],
        config=config(aep_config={"default_dates": [{"month": 9, "day": 15}], "years": [2026, 2028]}),
        tables=sent("2027-12-01", "aep"),
    )
    assert found(case) == []


def test_the_next_aep_date_of_the_year_ends_the_one_before():
    settings = {"default_dates": [{"month": 9, "day": 15}, {"month": 9, "day": 25}]}
    case = Case(
        [person(1, "TX")],
        [planned(1, "aep", "2026-09-25", "2026-09-25"), planned(1, "aep", "2027-09-15", "2027-09-15")],
        "2026-09-25",
        config(aep_config=settings),
    )
    assert found(case) == []
    day_before = [
        planned(1, "aep", "2026-09-15", "2026-09-15", "2026-09-24", "catch_up"),
        planned(1, "aep", "2026-09-25", "2026-09-25"),
    ]
    assert found(replace(case, rows=day_before, as_of="2026-09-24")) == []
    too_late = [{**day_before[0], "scheduled_send_date": day_number("2026-09-25")}, day_before[1]]
    assert rules(replace(case, rows=too_late, as_of="2026-09-24")) == ["after_deadline"]


def test_nothing_is_missing_when_the_years_have_run_out():
    settings = config(aep_config={"default_dates": [{"month": 9, "day": 15}], "years": [2025]})
    assert found(Case([person(1, "TX")], [], config=settings)) == []


@pytest.mark.parametrize(
    ("days_before", "ideal", "deadline"), [(0, "2026-03-10", "2026-03-16"), (-3, "2026-03-13", "2026-03-19")]
)
def test_an_email_on_or_after_its_event_has_the_days_of_a_backlog(
    days_before: int, ideal: str, deadline: str
):
    settings = config(**NO_AEP, timing_constants={"birthday_email_days_before": days_before})
    last = planned(1, "birthday", "2026-03-10", ideal, deadline, "redistributed")
    case = Case([person(1, "TX", "1950-03-10")], [last], deadline, settings)
    assert found(case) == []
    day_after = _iso(day_number(deadline) + 1)
    moved = {**last, "scheduled_send_date": day_number(day_after)}
    assert rules(replace(case, rows=[moved])) == ["after_deadline"]
    assert rules(replace(case, as_of=day_after, rows=[moved])) == [
        "unknown_occurrence",
        "unaccounted_occurrence",
    ]


def test_the_first_birthday_is_a_year_after_the_birth():
    baby = person(1, "TX", "2026-11-30", "2026-12-15")
    rows = [
        planned(1, "birthday", "2027-11-30", "2027-11-16"),
        planned(1, "effective_date", "2027-12-15", "2027-11-15"),
        AEP,
    ]
    assert found(Case([baby], rows)) == []


def test_an_occurrence_from_before_going_live_is_not_missed():
    assert found(texan(rows=[EFFECTIVE_DATE, AEP], config=config(go_live_date="2027-02-25"))) == []
    assert rules(texan(rows=[EFFECTIVE_DATE, AEP], config=config(go_live_date="2027-02-24"))) == [
        "unaccounted_occurrence"
    ]


@pytest.mark.parametrize(
    "change", [{"campaign_instance_id": 1}, {"initial_email_id": 7}, {"email_type": "birth_day"}]
)
def test_a_row_that_does_not_fit_its_type_is_no_occurrence(change: dict[str, object]):
    rows = [{**BIRTHDAY, **change}, EFFECTIVE_DATE, AEP]
    assert rules(texan(rows=rows)) == ["unknown_occurrence", "unaccounted_occurrence"]


def test_a_promise_of_a_post_window_email_is_not_forgotten():
    case = Case([CALIFORNIAN], CALIFORNIAN_ROWS[:3])
    assert found(case) == [("unaccounted_occurrence", 2, "post_window", None)]
    assert case.violations()["event_date"].to_list() == [day_number("2027-04-11")]


@pytest.mark.parametrize(
    ("event", "is_handled"), [("2027-02-10", True), ("2027-02-09", False), ("2027-06-10", True)]
)
def test_a_post_window_email_within_60_days_answers_the_promise(event: str, is_handled: bool):
    case = Case([CALIFORNIAN], CALIFORNIAN_ROWS, tables=sent(event, "post_window", who=2))
    assert rules(case) == ["already_handled"] * is_handled
    assert rules(replace(case, rows=CALIFORNIAN_ROWS[:3])) == ["unaccounted_occurrence"] * (not is_handled)


def test_nobody_promised_a_post_window_email_outside_a_window():
    stray = planned(1, "post_window", "2027-04-11", "2027-04-12")
    assert rules(texan(rows=[*TEXAN_ROWS, stray])) == ["unknown_occurrence"]


def test_a_handled_birthday_promises_nothing():
    case = Case(
        [person(2, "CA", "1948-02-10")],
        [planned(2, "aep", "2027-09-15", "2027-09-15")],
        tables=sent("2027-02-10", who=2),
    )
    assert found(case) == []


def test_an_occurrence_from_before_going_live_promises_nothing():
    settings = config(go_live_date="2027-01-30")
    rows = [row for row in CALIFORNIAN_ROWS if row["email_type"] != "birthday"]
    assert found(Case([CALIFORNIAN], rows, config=settings)) == []
    later = config(go_live_date="2027-01-31")
    assert found(Case([CALIFORNIAN], CALIFORNIAN_ROWS[2:3], config=later)) == []


def test_a_window_without_an_end_within_366_days_promises_nothing():
    chain = [
        {"window_before_days": 200, "window_after_days": days, "pre_window_extension_days": 0}
        for days in (100, 200)
    ]
    settings = config(**NO_AEP, state_rules={"birthday_windows": {"CA": chain}})
    case = Case([person(2, "CA", "1948-02-10")], CALIFORNIAN_ROWS[:1], config=settings)
    assert found(case) == []


# -- campaigns -------------------------------------------------------------------------------------------


def rate_increase(event: str, ideal: str, send: str | None = None, who: int = 1) -> Row:
    return planned(
        who, "campaign_rate_increase", event, ideal, send, "catch_up" if send else None, instance=1
    )


def instance(
    metadata: str | None = None,
    start: str | None = "2026-10-01",
    end: str | None = "2026-12-31",
    kind: str = "rate_increase",
    **changes: Any,
) -> dict[str, Any]:
    """Return tables with one instance, of id 1."""
    rows = [campaign_instance(1, kind, start, end, metadata=metadata, **changes)]
    return {"campaign_instances": rows}


def blast(send: str | None = None, event: str = "2026-12-01", ideal: str | None = None, who: int = 1) -> Row:
    return planned(
        who, "campaign_initial_blast", event, ideal or event, send, "catch_up" if send else None, instance=1
    )


def test_a_target_without_a_row_is_missed():
    case = campaign([target(1, 1, 1, "2026-12-15")], [])
    assert found(case) == [("unaccounted_occurrence", 1, "campaign_rate_increase", None)]
    violation = case.violations().iloc[0]
    assert (violation["campaign_instance_id"], violation["event_date"]) == (1, day_number("2026-12-15"))


def test_two_targets_for_one_date_are_one():
    targets = [target(1, 1, 1, "2026-12-15"), target(2, 1, 1, "2026-12-15T09:00:00", "scheduled")]
    assert found(campaign(targets, [rate_increase("2026-12-15", "2026-12-01")])) == []


@pytest.mark.parametrize("status", ["sent", "skipped", None])
def test_a_target_that_is_done_is_no_target(status: str | None):
    targets = [target(1, 1, 1, "2026-12-15", status)]
    assert found(campaign(targets, [])) == []
    assert rules(campaign(targets, [rate_increase("2026-12-15", "2026-12-01")])) == ["unknown_occurrence"]


@pytest.mark.parametrize("text", [None, "", " "])
def test_a_target_without_a_date_has_that_of_the_instance(text: str | None):
    targets = [target(1, 1, 1, text)]
    from_start = rate_increase("2026-12-15", "2026-12-01")
    assert found(campaign(targets, [from_start], tables=instance(start="2026-12-01"))) == []
    stated = instance('{"trigger_date": "2026-12-20"}', start="2026-12-01")
    assert found(campaign(targets, [rate_increase("2026-12-20", "2026-12-06")], tables=stated)) == []
    assert found(campaign(targets, [], tables=instance(start=None))) == []


def test_a_target_with_an_unreadable_date_is_not_planned():
    assert found(campaign([target(1, 1, 1, "15.12.2026")], [])) == []


@pytest.mark.parametrize(
    "tables",
    [
        instance(active=False),
        instance(end="2026-11-22"),
        instance(kind="another_type"),
        {"campaign_types": [campaign_type("rate_increase", days_before_event=14, active=False)]},
    ],
)
def test_nothing_is_planned_for_a_campaign_that_is_over_or_inactive(tables: dict[str, Any]):
    targets = [target(1, 1, 1, "2026-12-15")]
    assert found(campaign(targets, [], tables=tables)) == []
    row = rate_increase("2026-12-15", "2026-12-01")
    assert rules(campaign(targets, [row], tables=tables)) == ["unknown_occurrence"]


def test_nothing_is_planned_for_campaigns_that_are_switched_off():
    settings = config(**NO_AEP, features={"enable_campaigns": False})
    targets = [target(1, 1, 1, "2026-12-15")]
    assert found(campaign(targets, [], config=settings)) == []
    row = rate_increase("2026-12-15", "2026-12-01")
    assert rules(campaign(targets, [row], config=settings)) == ["unknown_occurrence"]


def test_a_row_of_another_type_than_its_instance_is_no_occurrence():
    row = {**rate_increase("2026-12-15", "2026-12-01"), "email_type": "campaign_seasonal_promo"}
    assert rules(campaign([target(1, 1, 1, "2026-12-15")], [row])) == [
        "unknown_occurrence",
        "unaccounted_occurrence",
    ]


def test_metadata_overrides_the_days_before_the_event():
    tables = instance('{"days_before_event": 7}')
    row = rate_increase("2026-12-15", "2026-12-08")
    assert found(campaign([target(1, 1, 1, "2026-12-15")], [row], tables=tables)) == []


@pytest.mark.parametrize(
    "metadata", ["no JSON", "[1]", '{"days_before_event": "7"}', '{"days_before_event": true}']
)
def test_metadata_that_says_nothing_readable_overrides_nothing(metadata: str):
    case = campaign(
        [target(1, 1, 1, "2026-12-15")],
        [rate_increase("2026-12-15", "2026-12-01")],
        tables=instance(metadata),
    )
    assert found(case) == []


def test_a_campaign_email_is_not_meant_for_a_day_before_its_campaign():
    tables = instance(start="2026-12-05")
    targets = [target(1, 1, 1, "2026-12-15")]
    assert found(campaign(targets, [rate_increase("2026-12-15", "2026-12-05")], tables=tables)) == []
    early = rate_increase("2026-12-15", "2026-12-05", "2026-12-01")
    assert rules(campaign(targets, [early], tables=tables)) == ["before_ideal_date"]


@pytest.mark.parametrize(("end", "deadline"), [(None, "2027-01-31"), ("2026-12-20", "2026-12-20")])
def test_a_campaign_email_on_its_trigger_has_days_to_catch_up_but_not_beyond_the_campaign(
    end: str | None, deadline: str
):
    tables = instance('{"days_before_event": 0}', end=end)
    targets = [target(1, 1, 1, "2026-12-02")]
    last = rate_increase("2026-12-02", "2026-12-02", deadline)
    assert found(campaign(targets, [last], tables=tables)) == []
    after = {**last, "scheduled_send_date": day_number(deadline) + 1}
    assert rules(campaign(targets, [after], tables=tables)) == ["after_deadline"]


@pytest.mark.parametrize(("as_of", "deadline"), [(TODAY, "2027-12-01"), ("2027-02-01", "2028-02-01")])
def test_an_email_to_everybody_has_a_year_from_today(as_of: str, deadline: str):
    tables = instance(start="2026-12-01", end=None, kind="initial_blast")
    last = blast(deadline)
    assert found(campaign([], [last], as_of=as_of, tables=tables)) == []
    after = {**last, "scheduled_send_date": day_number(deadline) + 1}
    assert rules(campaign([], [after], as_of=as_of, tables=tables)) == ["after_deadline"]


@pytest.mark.parametrize("status", ["skipped", "sent", None])
def test_a_contact_with_a_target_of_its_own_is_not_one_of_everybody(status: str | None):
    tables = instance(start="2026-12-01", kind="initial_blast")
    people = [person(1, "TX"), person(2, "TX")]
    targets = [target(1, 1, 1, "2026-12-01", status)]
    assert found(campaign(targets, [blast(who=2)], contacts=people, tables=tables)) == []
    assert found(campaign(targets, [blast(who=1), blast(who=2)], contacts=people, tables=tables)) == [
        ("unknown_occurrence", 1, "campaign_initial_blast", "2026-12-01")
    ]


def test_an_email_to_everybody_is_missed_by_whoever_does_not_get_it():
    tables = instance(start="2026-12-01", kind="initial_blast")
    people = [person(1, "TX"), person(2, "TX")]
    assert found(campaign([], [blast(who=2)], contacts=people, tables=tables)) == [
        ("unaccounted_occurrence", 1, "campaign_initial_blast", None)
    ]


def test_a_sent_campaign_email_answers_its_own_trigger_date_only():
    history = {
        "history": [
            email_row(70, 1, "campaign_rate_increase", "2026-10-01", "2026-12-15", campaign_instance_id=1)
        ]
    }
    first, second = target(1, 1, 1, "2026-12-15"), target(2, 1, 1, "2026-12-30")
    rows = [rate_increase("2026-12-15", "2026-12-01"), rate_increase("2026-12-30", "2026-12-16")]
    assert found(campaign([first, second], rows[1:], tables=history)) == []
    assert found(campaign([first, second], rows, tables=history)) == [
        ("already_handled", 1, "campaign_rate_increase", "2026-12-01")
    ]


def test_any_sent_email_of_the_instance_answers_one_to_everybody():
    tables = instance(start="2026-12-01", kind="initial_blast")
    row = email_row(70, 1, "campaign_initial_blast", "2026-11-01", "2026-11-01", campaign_instance_id=1)
    assert found(campaign([], [], tables={**tables, "history": [row]})) == []
    assert rules(campaign([], [blast()], tables={**tables, "history": [row]})) == ["already_handled"]
    other = {**row, "campaign_instance_id": 2}
    assert found(campaign([], [blast()], tables={**tables, "history": [other]})) == []


def test_windows_bind_a_campaign_email_unless_its_type_or_its_instance_says_no():
    targets = [target(1, 5, 1, "2026-12-15")]
    row = rate_increase("2026-12-15", "2026-12-01", who=5)
    bound = campaign(targets, [row], contacts=[NEW_YORKER])
    assert rules(bound) == ["excluded_day"]
    free = instance('{"respect_exclusion_windows": false}')
    assert found(campaign(targets, [row], contacts=[NEW_YORKER], tables=free)) == []
    blast_targets, strict = [target(1, 5, 1, "2026-12-01")], '{"respect_exclusion_windows": true}'
    strictly = instance(strict, start="2026-12-01", kind="initial_blast")
    assert rules(campaign(blast_targets, [blast(who=5)], contacts=[NEW_YORKER], tables=strictly)) == [
        "excluded_day"
    ]


def test_a_campaign_email_is_not_planned_beside_one_that_the_sending_system_holds():
    live = email_row(70, 1, "campaign_other", "2026-12-01", status="scheduled")
    targets, row = [target(1, 1, 1, "2026-12-15")], rate_increase("2026-12-15", "2026-12-01")
    assert rules(campaign(targets, [row], tables={"history": [live]})) == ["campaign_conflict"]
    assert found(campaign(targets, [row], tables={"history": [{**live, "status": "failed"}]})) == []
    assert found(campaign(targets, [row], tables={"history": [{**live, "email_type": "aep"}]})) == []


# -- follow-ups ------------------------------------------------------------------------------------------


def initial(email_id: int = 70, send: str = "2026-11-21", email_type: str = "rate", **changes: Any) -> Row:
    return email_row(email_id, 1, email_type, send, "2026-12-05", **changes)


def follow_up(email_id: int = 70, send: str | None = None, ideal: str = "2026-11-23", **changes: Any) -> Row:
    adjustment = "catch_up" if send else None
    return planned(1, "followup_1_cold", "2026-12-05", ideal, send, adjustment, initial=email_id, **changes)


def after(history: Iterable[Row], rows: Iterable[Row], **changes: Any) -> Case:
    """Return a plan of follow-ups for a Texan without dates, in a year without AEP emails."""
    return campaign([], rows, tables={"history": history, **changes.pop("tables", {})}, **changes)


def test_an_email_without_its_follow_up_is_missed():
    case = after([initial(email_type="birthday")], [])
    assert found(case) == [("unaccounted_occurrence", 1, "followup", None)]
    assert case.violations()["initial_email_id"].to_list() == [70]


@pytest.mark.parametrize("email_type", ["birthday", "effective_date", "aep", "post_window"])
@pytest.mark.parametrize("status", ["sent", "delivered"])
def test_an_email_that_went_out_is_followed_up(email_type: str, status: str):
    history = [initial(email_type=email_type, status=status)]
    settings = config(aep_config={"default_dates": [], "years": []})
    assert found(after(history, [follow_up()], config=settings)) == []


@pytest.mark.parametrize(
    "row",
    [
        initial(email_type="birthday", status="processing"),
        initial(email_type="rate_increase"),
        initial(email_type="followup_1_cold"),
        initial(email_type="birthday", send="2026-11-24"),
        initial(email_type="birthday", send="2026-10-18"),
    ],
)
def test_other_emails_are_not_followed_up(row: Row):
    assert found(after([row], [])) == []
    assert rules(after([row], [follow_up(ideal="2026-11-23")])) == ["unknown_occurrence"]


def test_an_email_is_followed_up_for_as_long_as_the_configuration_looks_back():
    row = initial(email_type="birthday", send="2026-10-19")
    rows = [follow_up(ideal="2026-10-21", send=TODAY)]
    assert found(after([row], rows)) == []
    assert found(after([row], [], config=config(**NO_AEP, go_live_date="2026-10-20"))) == []


@pytest.mark.parametrize(
    "change", [{"event_date": day_number("2026-12-06")}, {"campaign_instance_id": 4}, {"contact_id": 2}]
)
def test_a_follow_up_is_about_what_its_email_was_about(change: dict[str, object]):
    case = after(
        [initial(email_type="birthday")],
        [{**follow_up(), **change}],
        contacts=[person(1, "TX"), person(2, "TX")],
    )
    assert rules(case) == ["unknown_occurrence", "unaccounted_occurrence"]


def test_an_email_that_was_followed_up_is_not_followed_up_again():
    history = [
        initial(email_type="birthday"),
        email_row(71, 9, "followup_9_new", "2026-08-01", initial_email_id=70),
    ]
    assert found(after(history, [])) == []
    assert rules(after(history, [follow_up()])) == ["already_handled"]


def test_a_contact_is_not_followed_up_again_soon():
    recent, older = (
        [initial(email_type="birthday"), email_row(71, 1, "followup_1_cold", send, initial_email_id=60)]
        for send in ("2026-10-17", "2026-10-16")
    )
    assert rules(after(recent, [follow_up()])) == ["already_handled"]
    assert found(after(recent, [])) == []
    assert found(after(older, [follow_up()])) == []


def test_only_the_latest_email_of_a_contact_is_followed_up():
    history = [initial(email_type="birthday"), initial(71, "2026-11-20", "post_window")]
    assert found(after(history, [follow_up()])) == []
    assert rules(after(history, [follow_up(71, TODAY, "2026-11-22")])) == ["unknown_occurrence"]
    both = [follow_up(), {**follow_up(71, TODAY, "2026-11-22"), "email_type": "followup_2_clicked_no_hq"}]
    assert rules(after(history, both)) == ["duplicate_occurrence", "unknown_occurrence"]


@pytest.mark.parametrize(
    ("tables", "is_followed_up"),
    [
        ({}, True),
        (instance(end="2026-11-01"), True),
        (instance('{"enable_followups": false}'), False),
        (instance(active=False), False),
        ({"campaign_types": []}, False),
        ({"campaign_instances": []}, False),
    ],
)
def test_a_campaign_email_is_followed_up_if_its_campaign_wants_it(
    tables: dict[str, Any], is_followed_up: bool
):
    history = [initial(email_type="campaign_rate_increase", campaign_instance_id=1)]
    row = follow_up(instance=1)
    assert rules(after(history, [row], tables=tables)) == ["unknown_occurrence"] * (not is_followed_up)
    assert rules(after(history, [], tables=tables)) == ["unaccounted_occurrence"] * is_followed_up


def test_no_follow_up_is_planned_when_they_are_switched_off():
    settings = config(**NO_AEP, features={"enable_followups": False})
    history = [initial(email_type="birthday")]
    assert found(after(history, [], config=settings)) == []
    assert rules(after(history, [follow_up()], config=settings)) == ["unknown_occurrence"]


def test_a_follow_up_has_one_day():
    history = [initial(email_type="birthday")]
    assert rules(after(history, [follow_up(send="2026-11-24")])) == ["after_deadline"]
    closed = config(**NO_AEP, send_calendar={"no_send_weekdays": ["mon"]})
    assert found(after(history, [follow_up(send="2026-11-24")], config=closed)) == []
    assert rules(after(history, [follow_up()], config=closed)) == ["closed_day"]


def test_windows_bind_every_follow_up():
    tables = {"history": [email_row(70, 5, "birthday", "2026-11-21", "2026-12-05")]}
    row = {**follow_up(), "contact_id": 5}
    case = campaign([], [row], contacts=[NEW_YORKER], tables=tables)
    assert rules(case) == ["excluded_day"]
    rightly = {**row, "status": "skipped", "skip_reason": NEW_YORK}
    assert found(replace(case, rows=[rightly])) == []
    wrongly = {**row, "status": "skipped", "skip_reason": "daily_cap_exceeded"}
    assert rules(replace(case, rows=[wrongly])) == ["untrue_skip_reason"]


def test_a_follow_up_that_no_window_stops_is_not_skipped():
    case = after([initial(email_type="birthday")], [])
    for reason in ("daily_cap_exceeded", "Year-round exclusion in TX"):
        row = {**follow_up(), "status": "skipped", "skip_reason": reason}
        assert rules(replace(case, rows=[row])) == ["untrue_skip_reason"]


# -- dates -----------------------------------------------------------------------------------------------


def test_an_email_is_brought_forward_to_the_last_open_day_only():
    closed = [_iso(day) for day in range(day_number("2027-02-24"), day_number("2027-03-10"))]
    settings = config(send_calendar={"no_send_dates": closed})
    forward = instead(BIRTHDAY, scheduled_send_date=day_number("2027-02-23"), adjustment="brought_forward")
    assert found(texan(rows=forward, config=settings)) == []
    too_far = instead(BIRTHDAY, scheduled_send_date=day_number("2027-02-22"), adjustment="brought_forward")
    assert rules(texan(rows=too_far, config=settings)) == ["before_ideal_date"]
    assert rules(texan(rows=forward)) == ["before_ideal_date"]


def test_an_email_is_not_brought_forward_across_a_window():
    closed = [_iso(day) for day in range(day_number("2027-02-23"), day_number("2027-03-10"))]
    settings = config(send_calendar={"no_send_dates": closed}, state_rules=texan_window(-15, -15))
    forward = instead(BIRTHDAY, scheduled_send_date=day_number("2027-02-22"), adjustment="brought_forward")
    assert rules(texan(rows=forward, config=settings)) == ["across_window"]


@pytest.mark.parametrize(
    ("day", "broken"), [("2027-04-30", []), ("2027-05-04", []), ("2027-04-29", ["before_ideal_date"])]
)
def test_smoothing_moves_an_effective_date_email_by_two_days_at_most(day: str, broken: list[str]):
    rows = instead(EFFECTIVE_DATE, scheduled_send_date=day_number(day), adjustment="smoothed")
    assert rules(texan(rows=rows)) == broken


def test_nothing_is_smoothed_without_load_balancing():
    rows = instead(EFFECTIVE_DATE, scheduled_send_date=day_number("2027-05-01"), adjustment="smoothed")
    assert rules(texan(rows=rows, config=config(features={"enable_load_balancing": False}))) == [
        "before_ideal_date"
    ]


def test_nothing_but_effective_date_emails_is_smoothed():
    rows = instead(BIRTHDAY, scheduled_send_date=day_number("2027-02-23"), adjustment="smoothed")
    assert rules(texan(rows=rows)) == ["before_ideal_date"]


def test_a_weekday_can_be_closed():
    settings = config(send_calendar={"no_send_weekdays": ["wed", "sun"]})
    assert found(texan(config=settings)) == [
        ("closed_day", 1, "birthday", "2027-02-24"),
        ("closed_day", 1, "effective_date", "2027-05-02"),
        ("closed_day", 1, "aep", "2027-09-15"),
    ]


def test_an_email_that_a_window_held_up_goes_out_after_it():
    rows = instead(BIRTHDAY, scheduled_send_date=day_number("2027-02-28"), adjustment="redistributed")
    late = texan(rows=rows, as_of="2027-02-26", config=config(state_rules=texan_window(-13, -11)))
    assert found(late) == []


def test_the_windows_of_neighbouring_years_count():
    january_child = person(2, "CA", "1950-01-20", "2018-12-25")
    rows = [
        skipped(2, "birthday", "2027-01-20", "2027-01-06", CA_BIRTHDAY),
        skipped(2, "effective_date", "2026-12-25", "2026-11-25", CA_BIRTHDAY),
        planned(2, "aep", "2027-09-15", "2027-09-15"),
        planned(2, "post_window", "2027-03-21", "2027-03-22"),
    ]
    assert found(Case([january_child], rows)) == []
    planned_anyway = {**rows[1], "status": "pre-scheduled", "skip_reason": None}
    assert rules(Case([january_child], [rows[0], planned_anyway, *rows[2:]])) == ["excluded_day"]


# -- skip reasons ----------------------------------------------------------------------------------------


def reason_of(row: Row, reason: str, **changes: Any) -> list[str]:
    """Return the rules that the Texan's plan breaks if this row of it is skipped for that reason."""
    return rules(texan(rows=instead(row, status="skipped", skip_reason=reason), **changes))


UNTRUE = ["untrue_skip_reason"]


@pytest.mark.parametrize(
    "reason",
    [
        "Birthday exclusion window in TX",
        "Birthday exclusion window in CA",
        "Year-round exclusion in NY",
        "no_send_day",
        "event_passed",
        "outside_campaign_dates",
        "campaign_conflict",
        "frequency_limit_exceeded",
        "because",
    ],
)
def test_nothing_is_skipped_for_a_reason_that_is_not_true(reason: str):
    assert reason_of(BIRTHDAY, reason) == UNTRUE


def test_the_reason_is_that_of_the_contacts_own_state():
    rows = [{**NEW_YORKER_AEP, "skip_reason": "Year-round exclusion in CT"}]
    case = Case(
        [NEW_YORKER, person(6, "CT")],
        [*rows, skipped(6, "aep", "2027-09-15", "2027-09-15", "Year-round exclusion in CT")],
    )
    assert found(case) == [("untrue_skip_reason", 5, "aep", "2027-09-15")]


def test_the_first_reason_counts():
    both = {**texan_window(-15, -11), "year_round_exclusion": ["TX"]}
    settings = config(**NO_AEP, state_rules=both)
    case = Case([person(1, "TX", "1950-03-10")], [{**BIRTHDAY, "status": "skipped"}], config=settings)
    right, wrong = (
        replace(case, rows=[{**BIRTHDAY, "status": "skipped", "skip_reason": f"{rule} in TX"}])
        for rule in ("Year-round exclusion", "Birthday exclusion window")
    )
    assert (rules(right), rules(wrong)) == ([], UNTRUE)


def test_an_email_is_lost_to_a_window_only_if_no_day_is_left():
    reason = "Birthday exclusion window in TX"
    to_the_end, to_the_day_before = (config(state_rules=texan_window(-13, last)) for last in (-1, -2))
    assert reason_of(BIRTHDAY, reason, as_of="2027-02-26", config=to_the_end) == []
    assert reason_of(BIRTHDAY, reason, as_of="2027-02-24", config=to_the_end) == UNTRUE
    assert reason_of(BIRTHDAY, reason, as_of="2027-02-26", config=to_the_day_before) == UNTRUE


def test_an_email_is_lost_to_closed_days_only_if_no_day_is_open():
    closed = [_iso(day) for day in range(day_number("2027-02-24"), day_number("2027-03-10"))]
    all_days, all_but_one = (config(send_calendar={"no_send_dates": days}) for days in (closed, closed[:-1]))
    assert reason_of(BIRTHDAY, "no_send_day", config=all_days) == []
    assert reason_of(BIRTHDAY, "no_send_day", config=all_but_one) == UNTRUE
    behind_window = config(send_calendar={"no_send_dates": closed[:-1]}, state_rules=texan_window(-2, -2))
    assert reason_of(BIRTHDAY, "no_send_day", config=behind_window) == []


def test_nothing_is_lost_for_want_of_capacity_without_load_balancing():
    assert reason_of(BIRTHDAY, "daily_cap_exceeded") == []
    off = config(features={"enable_load_balancing": False})
    assert reason_of(BIRTHDAY, "daily_cap_exceeded", config=off) == UNTRUE


@pytest.mark.parametrize(("most", "sends", "is_true"), [
    (2, ["2027-02-20", "2027-03-05"], True),
    (2, ["2027-02-11", "2027-02-20"], True),
    (2, ["2027-02-10", "2027-02-20"], False),
    (2, ["2027-02-20", "2027-03-06"], False),
    (2, ["2027-02-24"], False),
    (3, ["2027-02-20", "2027-02-24"], False),
    (1, ["2027-03-09"], True),
    (0, [], True),
])  # fmt: skip
def test_the_frequency_limit_stops_an_email_only_if_the_period_is_full(
    most: int, sends: list[str], is_true: bool
):
    history = [
        email_row(70 + at, 1, "rate_increase", day, status="scheduled") for at, day in enumerate(sends)
    ]
    settings = config(**NO_AEP, load_balancing={"max_emails_per_contact_per_period": most})
    row = {**BIRTHDAY, "status": "skipped", "skip_reason": "frequency_limit_exceeded"}
    case = Case([person(1, "TX", "1950-03-10")], [row], config=settings, tables={"history": history})
    assert rules(case) == UNTRUE * (not is_true)


def test_a_campaign_email_yields_only_to_another_one_on_its_day():
    targets = [target(1, 1, 1, "2026-12-15"), target(2, 1, 2, "2026-12-10")]
    rows = [
        rate_increase("2026-12-15", "2026-12-01"),
        skipped(1, "campaign_seasonal_promo", "2026-12-10", "2026-12-03", "campaign_conflict", instance=2),
    ]
    assert rules(campaign(targets, rows)) == UNTRUE
    late = {**rows[0], "scheduled_send_date": day_number("2026-12-03"), "adjustment": "redistributed"}
    assert rules(campaign(targets, [late, rows[1]])) == []


@pytest.mark.parametrize(("trigger", "ideal", "reason"), [
    ("2026-11-20", "2026-11-06", "outside_campaign_dates"),
    ("2026-11-20", "2026-11-06", "daily_cap_exceeded"),
    ("2027-02-01", "2027-01-18", "event_passed"),
    ("2026-12-15", "2026-12-01", "event_passed"),
    ("2026-12-15", "2026-12-01", "outside_campaign_dates"),
])  # fmt: skip
def test_a_campaign_email_has_passed_or_lies_outside_only_by_its_dates(trigger: str, ideal: str, reason: str):
    row = skipped(1, "campaign_rate_increase", trigger, ideal, reason, instance=1)
    assert rules(campaign([target(1, 1, 1, trigger)], [row])) == UNTRUE


# -- volume and frequency --------------------------------------------------------------------------------


def crowd(per_day: list[int], *, cap: object, threshold: object, history: Iterable[Row] = ()) -> Case:
    """Return AEP emails for as many Texans as stand in ``per_day``, from 15 September 2027 on."""
    days = [day for day, count in enumerate(per_day) for _ in range(count)]
    rows = [
        planned(
            who,
            "aep",
            "2027-09-15",
            "2027-09-15",
            _iso(day_number("2027-09-15") + day),
            "redistributed" if day else None,
        )
        for who, day in enumerate(days, start=1)
    ]
    balancing = {"daily_send_percentage_cap": cap, "overage_threshold": threshold}
    people = [person(who, "TX") for who in range(1, len(days) + 1)]
    return Case(people, rows, config=config(load_balancing=balancing), tables={"history": history})


def test_a_day_holds_its_cap_and_the_overage():
    assert found(crowd([8] * 12 + [4], cap=0.07, threshold=1.2)) == []
    assert found(crowd([8] * 11 + [9, 3], cap=0.07, threshold=1.2)) == [
        ("daily_volume", 0, None, "2027-09-26")
    ]


def test_the_cap_is_exact():
    assert found(crowd([29, 29, 29, 13], cap=0.29, threshold=1)) == []
    assert rules(crowd([30, 28, 29, 13], cap=0.29, threshold=1)) == ["daily_volume"]


def test_an_overage_below_the_cap_does_not_lower_the_cap():
    assert found(crowd([10, 10], cap=0.5, threshold=0.5)) == []


def test_the_smallest_organisation_sends_one_email_a_day():
    assert found(crowd([1, 1, 1], cap=0.07, threshold=1.2)) == []
    assert rules(crowd([2, 1], cap=0.07, threshold=1.2)) == ["daily_volume"]


@pytest.mark.parametrize(("row", "counts"), [
    (email_row(70, 99, "aep", "2027-09-16", status="scheduled"), True),
    (email_row(70, 99, "followup_1_cold", "2027-09-16", status="processing"), True),
    (email_row(70, 99, "rate_increase", "2027-09-16", status="pre-scheduled"), True),
    (email_row(70, 99, "aep", "2027-09-01", actual_send_datetime="2027-09-16 08:30"), True),
    (email_row(70, 99, "aep", "2027-09-16", status="failed"), False),
    (email_row(70, 99, "aep", "2027-09-16", status=None), False),
    (email_row(70, 99, "aep", "2027-09-17", status="scheduled"), False),
])  # fmt: skip
def test_what_the_planner_does_not_move_takes_places_of_a_day(row: Row, counts: bool):
    assert rules(crowd([2, 2], cap=0.5, threshold=1, history=[row])) == ["daily_volume"] * counts


def test_a_day_that_is_full_without_the_planner_is_not_the_planners_fault():
    history = [
        email_row(70 + at, 99, "rate_increase", "2027-09-20", status="pre-scheduled") for at in range(9)
    ]
    assert found(crowd([2, 2], cap=0.5, threshold=1, history=history)) == []


def test_follow_ups_take_places_but_are_not_turned_away():
    people = [person(1, "TX"), person(2, "TX")]
    history = [email_row(70 + who, who, "birthday", "2026-11-21", "2026-12-05") for who in (1, 2)]
    rows = [{**follow_up(70 + who), "contact_id": who} for who in (1, 2)]
    small = config(**NO_AEP, load_balancing={"overage_threshold": 1})
    case = campaign([], rows, contacts=people, tables={"history": history}, config=small)
    assert found(case) == []
    promo = planned(1, "campaign_seasonal_promo", "2026-11-30", TODAY, instance=2)
    tables = {**case.tables, "contact_campaigns": [target(1, 1, 2, "2026-11-30")]}
    assert found(replace(case, rows=[*rows, promo], tables=tables)) == [("daily_volume", 0, None, TODAY)]


def test_no_day_has_a_limit_without_load_balancing():
    case = crowd([5], cap=0.07, threshold=1)
    assert found(replace(case, config=config(features={"enable_load_balancing": False}))) == []


def busy(sends: list[str], **changes: Any) -> Case:
    """Return a plan of one birthday email beside live emails of other programs."""
    history = [
        email_row(
            70 + at,
            1,
            changes.get("email_type", "rate_increase"),
            day,
            status=changes.get("status", "scheduled"),
        )
        for at, day in enumerate(sends)
    ]
    return Case(
        [person(1, "TX", "1950-03-10")], [BIRTHDAY], config=config(**NO_AEP), tables={"history": history}
    )


@pytest.mark.parametrize(("sends", "broken"), [
    (["2027-02-11", "2027-02-11"], True),
    (["2027-02-10", "2027-02-11"], False),
    (["2027-03-01", "2027-03-09"], True),
    (["2027-03-01", "2027-03-10"], False),
    (["2027-02-18", "2027-03-03"], True),
    (["2027-02-18", "2027-03-04"], False),
    (["2027-02-24", "2027-02-24"], True),
    (["2026-12-01", "2026-12-01", "2026-12-01", "2026-12-01"], False),
])  # fmt: skip
def test_no_fourteen_days_around_a_planned_email_hold_three(sends: list[str], broken: bool):
    expected = [("frequency", 1, "birthday", "2027-02-24")] if broken else []
    assert found(busy(sends)) == expected


def test_follow_ups_and_failed_emails_do_not_count_for_the_contact():
    assert found(busy(["2027-02-23", "2027-02-24"], email_type="followup_1_cold")) == []
    assert found(busy(["2027-02-23", "2027-02-24"], status="failed")) == []


def test_emails_from_before_today_count_for_the_contact():
    case = busy(["2027-02-11", "2027-02-12"], status="delivered")
    assert rules(replace(case, as_of="2027-02-24")) == ["frequency"]


# -- suppressions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suppressed_at", "counts"), [
    ("2026-11-23T23:59:59", True),
    ("2026-11-24", True),
    ("2026-11-25", False),
    (None, True),
    ("long ago", True),
])  # fmt: skip
def test_a_suppression_counts_from_its_day_on(suppressed_at: str | None, counts: bool):
    tables = {"contacts": [contact(1)], "suppressions": [suppression(1, suppressed_at)]}
    assert rules(texan(tables=tables)) == ["suppressed_contact"] * (3 if counts else 0)


def test_a_suppression_counts_for_everybody_with_the_address():
    people = [contact(1, email="ann@example.com"), contact(8, "", email=" ANN@example.com ")]
    tables = {"contacts": people, "suppressions": [suppression(8)]}
    assert rules(texan(tables=tables)) == ["suppressed_contact"] * 3
    other = {"contacts": [people[0], contact(8, email="bob@example.com")], "suppressions": [suppression(8)]}
    assert found(texan(tables=other)) == []
    nameless = {"contacts": [contact(1, email=" "), contact(8, email=None)], "suppressions": [suppression(8)]}
    assert found(texan(tables=nameless)) == []


@pytest.mark.parametrize(("suppressed_at", "counts"), [
    ("2026-11-24T06:00:00Z", True), ("2026-11-25", False), (None, True), ("long ago", True),
])  # fmt: skip
def test_a_suppressed_address_counts_for_whoever_has_it(suppressed_at: str | None, counts: bool):
    listed = [suppressed_address("X@xn--mnchen-3ya.example", suppressed_at), suppressed_address(" ")]
    tables = {"contacts": [contact(1, email="x@münchen.example")], "suppressed_addresses": listed}
    assert rules(texan(tables=tables)) == ["suppressed_contact"] * (3 if counts else 0)


@pytest.mark.parametrize(("until", "counts"), [
    ("2026-11-23", True), ("2026-11-22", False), (None, True), ("for good", True),
])  # fmt: skip
def test_a_suppressed_address_counts_until_its_last_day_is_over(until: str | None, counts: bool):
    listed = [suppressed_address("a@b.co", until=until)]
    tables = {"contacts": [contact(1, email="A@b.co")], "suppressed_addresses": listed}
    assert rules(texan(tables=tables)) == ["suppressed_contact"] * (3 if counts else 0)


def test_as_many_contacts_as_may_have_an_address_get_emails_at_it():
    blank = [contact(9, email=" "), contact(10, email="")]
    people = [contact(1, email="a@b.co"), contact(8, email="A@b.co"), *blank]
    tables = {"contacts": people}
    assert rules(texan(config=config(contacts={"max_per_address": 2}), tables=tables)) == []
    one = texan(config=config(contacts={"max_per_address": 1}), tables=tables)
    assert rules(one) == ["shared_address"] * 3


def test_rows_of_nobody_are_not_taken_for_those_of_a_suppressed_contact():
    tables = {"contacts": [contact(1)], "suppressions": [suppression(1)]}
    stray = planned(99, "birthday", "2027-03-10", "2027-02-24")
    assert rules(texan(rows=[stray], tables=tables)) == ["unknown_contact"] + ["unaccounted_occurrence"] * 3


def test_a_row_without_dates_breaks_rules_and_nothing_else():
    missing = dict.fromkeys(("event_date", "ideal_send_date", "scheduled_send_date"), frames.NO_DATE)
    assert rules(texan(rows=[*TEXAN_ROWS, {**BIRTHDAY, **missing}])) == ["unknown_occurrence", "before_as_of"]
    never = {**BIRTHDAY, "scheduled_send_date": 2**31 - 1}
    assert rules(Case([CALIFORNIAN], [*CALIFORNIAN_ROWS[:3], {**CALIFORNIAN_ROWS[3], **missing}])) == [
        "unknown_occurrence",
        "unaccounted_occurrence",
        "before_as_of",
    ]
    assert rules(texan(rows=[never, EFFECTIVE_DATE, AEP])) == ["after_deadline"]


def split(*rows: Row, is_switched_on: bool = True, instance: Row = SPLIT) -> Case:
    """Return the plan of contact 5, who has variant b of the instance, and a phone number."""
    features = {"enable_ab_testing": is_switched_on, "enable_sms": True}
    return campaign(
        [target(1, 5, 7, "2026-12-15")],
        rows,
        contacts=[{**person(5, "TX"), "has_phone": True}],
        config=config(**NO_AEP, features=features),
        tables={"campaign_instances": [instance]},
    )


@pytest.mark.parametrize(
    ("row", "is_right"),
    [
        (in_variant(5, "b", sms_template="sms"), True),
        (in_variant(5, "b", sms_template="sms", metadata='{"variant":"b"}'), True),
        (in_variant(5, "b"), False),
        (in_variant(5, "b", sms_template="another"), False),
        (in_variant(5, "b", sms_template="sms", email_template="email_a"), False),
        (in_variant(5, "b", sms_template="sms", metadata=None), False),
        (in_variant(5, "b", sms_template="sms", metadata='{"variant": "b", "more": 1}'), False),
        (in_variant(5, "a", sms_template="sms"), False),
    ],
)
def test_a_row_has_all_that_its_variant_says(row: Row, is_right: bool):
    with_message = {**SPLIT, "sms_template": "sms"}
    assert rules(split(row, instance=with_message)) == ([] if is_right else ["wrong_variant"])


def test_without_ab_testing_no_row_names_a_variant():
    assert rules(split(in_variant(5, "b"), is_switched_on=False)) == ["wrong_variant"]
    assert rules(split(in_variant(5, "b", metadata=None), is_switched_on=False)) == []

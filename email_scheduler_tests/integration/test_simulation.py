"""Small simulations whose emails are worked out by hand, and what every simulation keeps."""

from dataclasses import replace
from datetime import date

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import UsageError
from email_scheduler.planning.columns.dates import from_day
from email_scheduler.planning.frames import PlanInputs
from email_scheduler.planning.plan import make_plan
from email_scheduler.simulation.days import Simulation, simulate
from email_scheduler.simulation.simulated_tables import Reactions
from email_scheduler.simulation.simulation_figures import figures_of
from email_scheduler_tests.builders import (
    campaign_instance,
    campaign_type,
    contact,
    filler_contacts,
    inputs,
    suppression,
    target,
)
from email_scheduler_tests.simulated_organisation import random_organisation

NOBODY = Reactions(click_rate=0)
EVERYBODY = Reactions(click_rate=1, answer_rate=1, condition_rate=1)
# few emails a day would otherwise be too many on one date, and smoothed
UNSMOOTHED = {"ed_smoothing_window_days": 0}


def configured(**sections: object) -> SchedulerConfig:
    """Return a configuration without AEP emails and smoothing."""
    quiet = {"aep_config": {"default_dates": []}, "load_balancing": UNSMOOTHED}
    return SchedulerConfig.model_validate({**quiet, **sections})


def lines(simulation: Simulation) -> list[str]:
    """Return the settled emails, a line each: day, contact, type, what became of it, and why."""
    rows = simulation.emails.sort_values(["day", "contact_id", "email_type"], kind="stable")
    plain = rows.astype("object").where(rows.notna(), None)
    return [
        " ".join(
            filter(
                None,
                (
                    *(from_day(row["day"]).isoformat(), str(row["contact_id"]), row["email_type"]),
                    *(row["outcome"], row["reason"], f"+{row['late_days']}" if row["late_days"] else ""),
                ),
            )
        )
        for row in plain.to_dict("records")
    ]


def test_emails_go_out_on_their_days_and_are_followed_up_once() -> None:
    situation = inputs(
        "2026-03-05",
        [
            # Texas: 14 days before 2026-03-20, 30 days before 2026-04-10
            contact(1, "75001", "1950-03-20", "2018-04-10"),
            # California: its window is open; it closes 60 days after the birthday, on 2026-03-09
            contact(2, "90210", "1950-01-08"),
            # New York: never
            contact(3, "10001", "1950-03-12"),
            *filler_contacts(40),
        ],
    )
    assert lines(simulate(situation, configured(), 9, NOBODY)) == [
        "2026-03-06 1 birthday on time",
        "2026-03-08 1 followup_1_cold on time",
        "2026-03-10 2 post_window on time",
        "2026-03-11 1 effective_date on time",
        "2026-03-12 2 followup_1_cold on time",
        # on its birthday nothing is due to it any more
        "2026-03-12 3 birthday excluded Year-round exclusion in NY",
    ]


@pytest.mark.parametrize(
    ("reactions", "follow_up"),
    [
        (Reactions(click_rate=1, answer_rate=0), "followup_2_clicked_no_hq"),
        (Reactions(click_rate=1, answer_rate=1, condition_rate=0), "followup_3_hq_no_yes"),
        (EVERYBODY, "followup_4_hq_with_yes"),
        # who does not click does not answer
        (Reactions(click_rate=0, answer_rate=1, condition_rate=1), "followup_1_cold"),
    ],
    ids=["clicked", "answered", "with conditions", "neither"],
)
def test_what_contacts_do_decides_what_follows(reactions: Reactions, follow_up: str) -> None:
    situation = inputs("2026-03-05", [contact(1, "75001", "1950-03-20"), *filler_contacts(40)])
    assert lines(simulate(situation, configured(), 5, reactions)) == [
        "2026-03-06 1 birthday on time",
        f"2026-03-08 1 {follow_up} on time",
    ]


def test_a_plan_does_not_know_what_contacts_do_on_its_own_day() -> None:
    situation = inputs("2026-03-05", [contact(1, "75001", "1950-03-20"), *filler_contacts(40)])
    quick = configured(timing_constants={"followup_days_after": 1})
    assert lines(simulate(situation, quick, 5, EVERYBODY)) == [
        "2026-03-06 1 birthday on time",
        "2026-03-07 1 followup_1_cold on time",
    ]


def test_closed_weekends_bring_emails_late_and_keep_follow_ups_for_the_monday() -> None:
    # 2026-03-07 is a Saturday
    situation = inputs("2026-03-02", [contact(1, "75001", "1950-03-21"), *filler_contacts(40)])
    closed = configured(send_calendar={"no_send_weekdays": ["sat", "sun"]})
    assert lines(simulate(situation, closed, 11, NOBODY)) == [
        "2026-03-09 1 birthday late redistributed +2",
        "2026-03-11 1 followup_1_cold on time",
    ]


def test_what_finds_no_room_until_its_deadline_is_lost_and_counted_once() -> None:
    # one email a day at most, and three contacts with one day each: 1 March until 2 March
    situation = inputs(
        "2026-03-01",
        [contact(number, "75001") for number in (1, 2, 3)],
        campaign_types=[campaign_type("offer", days_before_event=1, enable_followups=False)],
        campaign_instances=[campaign_instance(1, "offer", "2026-02-01", "2026-12-31")],
        contact_campaigns=[target(number, number, 1, "2026-03-02") for number in (1, 2, 3)],
    )
    tight = configured(
        load_balancing={**UNSMOOTHED, "daily_send_percentage_cap": 0.34, "overage_threshold": 1}
    )
    found = simulate(situation, tight, 5, NOBODY)
    outcomes = found.emails.groupby(["outcome", "reason"], observed=True, dropna=False).size()
    assert {(o, None if pd.isna(r) else r): n for (o, r), n in outcomes.items()} == {
        ("on time", None): 1,
        ("lost", "daily_cap_exceeded"): 2,
    }
    # the plan goes on saying that their event has passed
    assert found.open_count == 0
    assert found.days[["emails", "daily_cap", "no_place"]].to_numpy().tolist() == [
        [1, 1, 2],
        *[[0, 1, 0]] * 4,
    ]


def test_a_window_that_opens_over_an_email_without_room_does_not_make_it_excluded() -> None:
    # Oregon: excluded from 60 days before the birthday on 2026-05-10, that is from 2026-03-11 on. The
    # effective-date emails of 2026-03-09 (30 days before 2026-04-08) have that day and the next one.
    situation = inputs(
        "2026-03-09", [contact(number, "97201", "1950-05-10", "2018-04-08") for number in range(1, 5)]
    )
    tight = configured(
        load_balancing={**UNSMOOTHED, "daily_send_percentage_cap": 0.25, "overage_threshold": 1}
    )
    found = lines(simulate(situation, tight, 4, NOBODY))
    assert [" ".join(line.split(" ")[::2]) for line in found if "effective_date" in line] == [
        "2026-03-09 effective_date time",
        "2026-03-10 effective_date redistributed",
        # not when the deadline passes, but as soon as nothing can become of them any more
        "2026-03-11 effective_date daily_cap_exceeded",
        "2026-03-11 effective_date daily_cap_exceeded",
    ]
    assert sum(" lost " in line for line in found) == 2


def test_a_contact_that_unsubscribes_gets_nothing_from_the_day_before_the_date_of_that_on() -> None:
    situation = inputs(
        "2026-03-01",
        [contact(1, "75001", "1950-03-20"), *filler_contacts(40)],
        # in UTC it may be a day later than in US Central time
        suppressions=[suppression(1, "2026-03-05")],
    )
    found = simulate(situation, configured(), 4, NOBODY)
    assert lines(found) == ["2026-03-04 1 birthday withdrawn"]
    assert figures_of(found, NOBODY, "north").contacts_by_emails == [41]


def test_the_figures_are_those_of_the_emails() -> None:
    situation = inputs(
        "2026-03-05",
        [contact(1, "75001", "1950-03-20"), contact(2, "10001", "1950-03-10"), *filler_contacts(40)],
    )
    figures = figures_of(simulate(situation, configured(), 6, NOBODY), NOBODY, "north")
    assert figures.contacts_by_emails == [41, 0, 1]
    assert (figures.emails, figures.contacts, figures.most_emails) == (2, 42, 2)
    assert figures.volume["birthday"] == [0, 1, 0, 0, 0, 0]
    assert figures.volume["follow-ups"] == [0, 0, 0, 1, 0, 0]
    assert (figures.total_by_day, figures.busiest) == ([0, 1, 0, 1, 0, 0], (date(2026, 3, 6), 1))
    assert figures.caps == [2] * 6
    assert figures.excluded_by_reason == {"Year-round exclusion in NY": 1}
    nothing = {"late": 0, "lost": 0, "outside dates": 0, "withdrawn": 0}
    assert figures.by_state == {
        "NY": {"on time": 0, "excluded": 1, **nothing},
        "TX": {"on time": 2, "excluded": 0, **nothing},
    }
    assert (figures.proofs, figures.violations) == (1, 0)


@settings(max_examples=2, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 300))
def test_every_simulation_keeps_the_books(seed: int, offset: int) -> None:
    first = date.fromordinal(date(2026, 1, 5).toordinal() + offset)
    situation, reactions = random_organisation(first, 40), Reactions(0.5, 0.5, 0.5, seed)
    before = {name: frame.copy() for name, frame in vars(situation).items() if name != "as_of"}
    found = simulate(situation, SchedulerConfig(), 6, reactions)
    # the first day is the plan of that day
    plan = make_plan(situation, SchedulerConfig()).schedules
    due = plan[
        (plan["status"] == "pre-scheduled") & (plan["scheduled_send_date"] == found.days["day"].iloc[0])
    ]
    sent = found.emails[found.emails["outcome"].isin(["on time", "late"])]
    key = ["contact_id", "email_type", "campaign_instance_id", "event_date", "initial_email_id"]
    assert_same(sent[sent["day"] == found.days["day"].iloc[0]][key], due[key])
    # every email is settled once
    occurrence = ["contact_id", "email_type", "campaign_instance_id", "event_date", "initial_email_id"]
    assert not found.emails.duplicated(occurrence).any()
    assert found.days["emails"].sum() == len(sent)
    assert (found.days["emails"] <= found.days["daily_limit"]).all()
    # the same again is the same, and what it was made from is as it was
    assert_same(simulate(situation, SchedulerConfig(), 6, reactions).emails, found.emails)
    for name, frame in before.items():
        pd.testing.assert_frame_equal(getattr(situation, name), frame)


def assert_same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left.reset_index(drop=True), right.reset_index(drop=True))


def test_another_seed_makes_other_contacts_click() -> None:
    def clicked(seed: int) -> frozenset[int]:
        birthdays = [contact(number, "75001", "1950-03-20") for number in range(1, 41)]
        quick = configured(features={"enable_load_balancing": False})
        emails = simulate(inputs("2026-03-06", birthdays), quick, 3, Reactions(0.5, 0, 0, seed)).emails
        return frozenset(emails["contact_id"][emails["email_type"] == "followup_2_clicked_no_hq"])

    assert clicked(1) == clicked(1) != clicked(2)
    assert 10 < len(clicked(1)) < 30


@pytest.mark.parametrize(
    "rates", [{"click_rate": 1.5}, {"answer_rate": -0.1}, {"condition_rate": float("nan")}]
)
def test_rates_are_from_0_to_1(rates: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"_rate .*; accepted is a number from 0 to 1"):
        Reactions(**rates)


def test_there_is_at_least_one_day() -> None:
    empty: PlanInputs = replace(inputs("2026-03-01"))
    with pytest.raises(UsageError, match="days 0; accepted"):
        simulate(empty, configured(), 0, NOBODY)
    assert figures_of(simulate(empty, configured(), 1, NOBODY), NOBODY, "north").mean_emails == 0

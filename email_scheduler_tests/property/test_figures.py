"""The figures of a plan are what a slow count over its rows comes to."""

import json
from collections import Counter
from datetime import date, timedelta

import numpy as np
import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning import cube
from email_scheduler.planning.columns.dates import to_day
from email_scheduler.planning.cube import MOST_DAYS_MOVED, PlanCounts
from email_scheduler.planning.frames import PlanInputs
from email_scheduler.planning.plan import Plan, make_plan
from email_scheduler.planning.plan_figures import DAYS_COUNTED, FiguresOfPlan, figures_of_plan
from email_scheduler.proof.violations import RULES
from email_scheduler_tests.builders import campaign_instance, campaign_type, contact, email_row, inputs
from email_scheduler_tests.strategies import random_case

TRIGGER = '{"trigger_date": "2026-12-01"}'
SEEDS = range(30, 40)
REASONS_OF_STATES = (
    *("Year-round exclusion", "Birthday exclusion window", "Effective date exclusion window"),
    *("Birth date unknown", "Effective date unknown", "Age 76+ exclusion"),
)


@pytest.mark.parametrize("rows_at_a_time", [cube._ROWS_AT_A_TIME, 3])
def test_the_figures_are_what_counting_the_rows_one_by_one_gives(
    monkeypatch: pytest.MonkeyPatch, rows_at_a_time: int
) -> None:
    monkeypatch.setattr(cube, "_ROWS_AT_A_TIME", rows_at_a_time)
    reached: Counter[str] = Counter()
    for seed in SEEDS if rows_at_a_time > 3 else SEEDS[:4]:
        organisation, config = random_case(seed)
        plan = make_plan(organisation, config)
        dropped = np.arange(0, len(plan.schedules), 7)
        for positions in (None, dropped):
            found = figures_of_plan(plan, organisation, config, RULES, positions)
            counted = slow_count(plan, set() if positions is None else set(positions.tolist()))
            for name, expected in counted.items():
                assert getattr(found, name) == expected, (seed, name)
                reached[name] += bool(expected)
        assert found.closed == [
            number
            for number in range(DAYS_COUNTED)
            if (day := plan.as_of + timedelta(days=number)) in config.send_calendar.no_send_dates
            or f"{day:%a}".lower() in config.send_calendar.no_send_weekdays
        ]
        if positions is not None:
            assert {each.instance_id: (each.planned, each.skipped) for each in found.campaigns}.items() >= (
                by_campaign(plan, set(positions.tolist())).items()
            )
        assert FiguresOfPlan.of_document(json.loads(json.dumps(found.kept()))) == found
        # runs before cubes kept what is shown
        older = FiguresOfPlan.of_document(json.loads(json.dumps(found.document())))
        assert older is not None
        assert older.document() == found.document()
        half = len(plan.schedules) // 2
        parts = [plan.schedules[:half], plan.schedules[half:]]
        assert plan.counts == PlanCounts.sum(
            [PlanCounts.of(part, plan.contacts, plan.as_of) for part in parts]
        )
    assert min(reached[name] for name in ("planned", "volume", "by_state", "adjusted", "issues")) > 3


def slow_count(plan: Plan, dropped: set[int]) -> dict[str, object]:
    """Count a plan row by row."""
    state_of = dict(zip(plan.contacts["contact_id"], plan.contacts["state"], strict=True))
    planned: dict[str, Counter[str]] = {}
    volume: dict[str, Counter[int]] = {}
    by_state: dict[str, Counter[str]] = {}
    adjusted: dict[str, Counter[int]] = {}
    for number, row in enumerate(plan.schedules.astype("object").to_dict("records")):
        if number in dropped:
            continue
        reason = row["skip_reason"]
        if isinstance(reason, str):
            planned.setdefault(row["email_type"], Counter())[reason] += 1
            kind = next((each for each in REASONS_OF_STATES if reason.startswith(each)), reason)
            by_state.setdefault(state_of[row["contact_id"]], Counter())[kind] += 1
            continue
        planned.setdefault(row["email_type"], Counter())["pre-scheduled"] += 1
        day = row["scheduled_send_date"] - to_day(plan.as_of)
        if day < DAYS_COUNTED:
            volume.setdefault(row["email_type"], Counter())[day] += 1
        if isinstance(row["adjustment"], str):
            moved = row["scheduled_send_date"] - row["ideal_send_date"]
            adjusted.setdefault(row["adjustment"], Counter())[min(moved, MOST_DAYS_MOVED)] += 1
    return {
        "planned": planned,
        "volume": {name: [days[day] for day in range(max(days) + 1)] for name, days in volume.items()},
        "by_state": by_state,
        "adjusted": adjusted,
        "issues": Counter(plan.issues["issue"]),
        "rows_looked_at": len(plan.schedules),
        "violations": dict.fromkeys(RULES, 0),
        "daily_cap": plan.daily_cap,
        "daily_limit": plan.daily_limit,
    }


def by_campaign(plan: Plan, dropped: set[int]) -> dict[int, tuple[int, int]]:
    counts: Counter[tuple[int, bool]] = Counter()
    for number, row in enumerate(plan.schedules.astype("object").to_dict("records")):
        if number not in dropped and row["campaign_instance_id"] and not row["initial_email_id"]:
            counts[row["campaign_instance_id"], isinstance(row["skip_reason"], str)] += 1
    return {id_: (counts[id_, False], counts[id_, True]) for id_, _ in counts}


def promotion() -> PlanInputs:
    """Three contacts and one campaign: sent to the first, planned for the second, forbidden for the third."""
    return inputs(
        "2026-11-23",
        contacts=[contact(1, "75001"), contact(2, "75002"), contact(3, "10001"), contact(4, "x")],
        campaign_types=[campaign_type("promo", target_all_contacts=True), campaign_type("old", active=False)],
        campaign_instances=[
            campaign_instance(
                7, "promo", "2026-11-01", "2026-12-31", metadata='{"trigger_date": "2026-12-01"}'
            ),
            campaign_instance(8, "promo", None, "2026-11-22"),
            campaign_instance(9, "old"),
        ],
        history=[
            email_row(50, 1, "campaign_promo", "2026-12-01", "2026-12-01", campaign_instance_id=7),
            email_row(51, 1, "campaign_promo", "2026-11-01", "2026-11-01", campaign_instance_id=8),
            email_row(52, 1, "followup_1_cold", "2026-12-03", campaign_instance_id=7, initial_email_id=50),
            email_row(53, 2, "campaign_promo", "2026-10-01", status="failed", campaign_instance_id=8),
        ],
    )


def test_campaigns_in_flight_are_counted_with_what_was_sent() -> None:
    organisation = promotion()
    config = SchedulerConfig()
    found = figures_of_plan(make_plan(organisation, config), organisation, config, RULES)
    (only,) = found.campaigns
    assert (only.instance_id, only.campaign_type, only.starts, only.ends) == (
        *(7, "promo"),
        *("2026-11-01", "2026-12-31"),
    )
    assert (only.planned, only.skipped, only.sent) == (1, 1, 1)
    assert found.issues == {"invalid_zip_code": 1}
    assert found.by_state == {"NY": {"Year-round exclusion": 2}}
    # what has gone out, or is about to, by somebody else's hand stands beside the plan
    days = [date(2026, 11, 23) + timedelta(days=number) for number, count in enumerate(found.taken) if count]
    assert days == [date(2026, 12, 1), date(2026, 12, 3)]
    # three contacts make a cap of one email a day: what the sent one leaves no room for moves on
    assert found.volume_by_day()[8:11] == [1, 1, 1]
    assert found.volume["campaign_promo"] == [*[0] * 9, 1]


def test_the_document_of_an_earlier_version_holds_no_figures() -> None:
    assert FiguresOfPlan.of_document({"planned": {}, "daily_cap": 3}) is None

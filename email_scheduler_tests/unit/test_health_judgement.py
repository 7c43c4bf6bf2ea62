"""What the figures of an organisation mean."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from email_scheduler.config.monitoring import Health, Limits
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.health.figures import (
    AheadFigures,
    DatabaseFigures,
    HealthFigures,
    PlanFigures,
    SenderFigures,
)
from email_scheduler.health.judgement import DEGRADED, UNHEALTHY, judge, judge_years

PLAN = PlanFigures(
    as_of_date="2026-11-23",
    age_hours=7.0,
    waiting=None,
    failed_since=0,
    contacts=1000,
    invalid_contacts=30,
    emails_planned=800,
    emails_skipped=200,
    stopped_by_windows=150,
    daily_cap=70,
    follow_ups={},
)
FINE = HealthFigures(
    plan=PLAN,
    sender=SenderFigures(untaken=0, processing=3, stuck=0, outcomes_24h=100, failed_24h=1),
    ahead=AheadFigures(backlog=10, average=30.0, peak=70, peak_date="2026-12-01"),
    database=DatabaseFigures(10_000_000, 0, 1_000, 500),
    contact_issues={},
    held_since=None,
)


def with_(group: str, **values: object) -> HealthFigures:
    return replace(FINE, **{group: replace(getattr(FINE, group), **values)})


def statuses(figures: HealthFigures, **limits: Any) -> list[str]:
    return [reason.status for reason in judge(figures, Health(**limits))]


def test_an_organisation_whose_plan_waits_for_a_person_is_unhealthy() -> None:
    (reason,) = judge(with_("plan", waiting="the plan for 2026-11-24 loses too much, so"), Health())
    assert reason.status == UNHEALTHY
    assert reason.text == "a plan waits for a person: the plan for 2026-11-24 loses too much, so"


def test_of_a_healthy_organisation_there_is_nothing_to_say() -> None:
    assert judge(FINE, Health()) == []


@pytest.mark.parametrize(
    ("group", "degraded", "unhealthy"),
    [
        ("plan", {"age_hours": 26.0}, {"age_hours": 50.0}),
        ("plan", {"failed_since": 1}, {"failed_since": 3}),
        ("plan", {"invalid_contacts": 200}, {"invalid_contacts": 500}),
        ("sender", {"untaken": 1}, {"untaken": 1000}),
        ("sender", {"stuck": 1}, {"stuck": 100}),
        ("sender", {"failed_24h": 5}, {"failed_24h": 20}),
        ("ahead", {"backlog": 490}, {"backlog": 2100}),
        ("database", {"disk_free_bytes": 100}, {"disk_free_bytes": 30}),
    ],
)
def test_a_figure_at_its_limit_is_degraded_or_unhealthy(
    group: str, degraded: dict[str, object], unhealthy: dict[str, object]
) -> None:
    assert statuses(with_(group, **degraded)) == [DEGRADED]
    assert statuses(with_(group, **unhealthy)) == [UNHEALTHY]


@pytest.mark.parametrize(
    ("group", "values"),
    [
        ("plan", {"age_hours": 25.99}),
        ("plan", {"invalid_contacts": 199}),
        ("sender", {"failed_24h": 4}),
        # 19 emails say nothing, even if all of them failed
        ("sender", {"outcomes_24h": 19, "failed_24h": 19}),
        ("ahead", {"backlog": 489}),
        ("ahead", {"peak": 90}),
        ("plan", {"stopped_by_windows": None}),
        ("plan", {"daily_cap": None}),
        ("database", {"disk_free_bytes": 101}),
        ("database", {"wal_bytes": 2_047_999_999}),
    ],
)
def test_below_its_limit_it_is_fine(group: str, values: dict[str, object]) -> None:
    assert statuses(with_(group, **values)) == []


@pytest.mark.parametrize(
    ("group", "values"),
    [
        ("ahead", {"peak": 91}),
        ("plan", {"stopped_by_windows": 900}),
        ("database", {"wal_bytes": 2_048_000_000}),
        ("database", {"missing_indexes": ["ix_email_schedules_due_date"]}),
    ],
)
def test_some_figures_are_never_more_than_degraded(group: str, values: dict[str, object]) -> None:
    assert statuses(with_(group, **values)) == [DEGRADED]


def test_damage_and_a_plan_that_never_was_are_unhealthy_whatever_the_limits() -> None:
    assert statuses(with_("database", damage=["row 1 missing from index ix"])) == [UNHEALTHY]
    assert statuses(replace(FINE, plan=None)) == [UNHEALTHY]


def test_the_worst_reason_comes_first() -> None:
    figures = replace(
        with_("sender", untaken=5), held_since="2026-11-23T05:00:00", plan=replace(PLAN, age_hours=60.0)
    )
    assert statuses(figures) == [UNHEALTHY, DEGRADED, DEGRADED]


def test_a_limit_may_be_switched_off_and_one_that_is_left_out_keeps_its_value() -> None:
    assert statuses(with_("sender", untaken=5), untaken_emails={"degraded": None}) == []
    assert Health(untaken_emails={"degraded": 5}).untaken_emails == Limits(
        degraded=Decimal(5), unhealthy=Decimal(1000)
    )
    with pytest.raises(ValidationError, match="degraded at most as large as unhealthy"):
        Health(untaken_emails={"degraded": 1001})


@pytest.mark.parametrize(
    ("day", "is_told"),
    [("2028-01-01", False), ("2028-09-15", False), ("2028-09-16", True), ("2029-01-01", True)],
)
def test_years_with_aep_emails_that_have_run_out_are_told(day: str, is_told: bool) -> None:
    found = list(judge_years(SchedulerConfig().aep_config, date.fromisoformat(day)))
    assert [reason.status for reason in found] == [DEGRADED] * is_told
    assert all("aep_config.years ends with 2028: no AEP email" in reason.text for reason in found)


def test_where_no_years_or_no_dates_are_named_none_run_out() -> None:
    for settings in ({}, {"years": []}, {"default_dates": [], "years": [2024]}):
        aep = SchedulerConfig.model_validate({"aep_config": settings}).aep_config
        assert not list(judge_years(aep, date(2100, 1, 1)))

"""Near the ends of the calendar a date is refused in words, or no day of its plan lies beyond them."""

import re
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import UsageError
from email_scheduler.planning import exclusion_stretches
from email_scheduler.planning.basis import refuse_beyond_calendar
from email_scheduler.planning.frames import NO_DATE
from email_scheduler.planning.plan import make_plan, planning_basis
from email_scheduler.proof import find_violations
from email_scheduler.simulation.days import simulate
from email_scheduler.simulation.simulated_tables import Reactions
from email_scheduler_tests.builders import contact, day_number, inputs

FIRST_DAY, LAST_DAY = day_number("0001-01-01"), day_number("9999-12-31")
CONTACTS = [
    contact(1, "90210", birth_date="1948-02-10", effective_date="2018-03-01"),
    contact(2, "10001", birth_date="1950-12-31", effective_date="2100-12-31"),
    contact(3, "75001", birth_date="1952-02-29", effective_date="1900-01-01"),
    contact(4, "63101", birth_date="2000-01-01", effective_date="2018-07-01"),
    contact(5, "89101", birth_date="1952-02-29"),
    contact(6, "90210", birth_date="not a date"),
]
lengths = st.sampled_from([0, 1, 60, 3660])


@st.composite
def windows(draw: st.DrawFn) -> dict[str, int]:
    return {
        "window_before_days": draw(lengths),
        "window_after_days": draw(lengths),
        "pre_window_extension_days": draw(lengths),
    }


@st.composite
def configurations(draw: st.DrawFn) -> SchedulerConfig:
    return SchedulerConfig.model_validate(
        {
            "timing_constants": {
                "birthday_email_days_before": draw(st.sampled_from([-365, -1, 0, 14, 365])),
                "effective_date_days_before": draw(st.sampled_from([-365, 0, 30, 365])),
                "post_window_grace_days": draw(lengths),
                "followup_lookback_days": draw(lengths),
                "followup_days_after": draw(lengths),
                "campaign_catch_up_days": draw(lengths),
            },
            "aep_config": {
                "default_dates": [{"month": 1, "day": 1}, {"month": 12, "day": 31}],
                "send_period_days": draw(st.sampled_from([1, 366])),
            },
            "load_balancing": {
                "catch_up_spread_days": draw(st.sampled_from([1, 366])),
                "ed_smoothing_window_days": draw(st.sampled_from([0, 365])),
                "ed_daily_soft_limit": 0,
            },
            "state_rules": {
                "birthday_windows": {"CA": draw(windows()), "NV": draw(windows())},
                "effective_date_windows": {"MO": draw(windows()), "TX": draw(windows())},
            },
        }
    )


def accepted_dates(config: SchedulerConfig) -> tuple[date, date]:
    with pytest.raises(UsageError) as refused:
        refuse_beyond_calendar(date.min, config)
    first, last = map(date.fromisoformat, re.findall(r"from (\S+) to (\S+):", str(refused.value))[0])
    return first, last


@given(configurations(), st.integers(0, 400))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_plan_near_an_end_of_the_calendar_is_legal_and_stays_within_it(
    config: SchedulerConfig, days: int
) -> None:
    first, last = accepted_dates(config)
    for as_of in (first, first + timedelta(days=days), last - timedelta(days=days), last):
        tables = inputs(as_of, CONTACTS)
        plan = make_plan(tables, config)
        assert len(find_violations(tables, plan.contacts, plan.schedules, config)) == 0
        stretches = exclusion_stretches(planning_basis(tables, plan.contacts, config))
        for frame in (plan.schedules, stretches):
            for name in frame.columns:
                if name.endswith("_date"):
                    found = frame[name].to_numpy()
                    found = found[found != NO_DATE]
                    assert np.all((found >= FIRST_DAY) & (found <= LAST_DAY)), (as_of, name)


@given(configurations())
@settings(max_examples=20, deadline=None)
def test_the_days_beyond_those_that_are_accepted_are_refused(config: SchedulerConfig) -> None:
    first, last = accepted_dates(config)
    for as_of in (date.min, first - timedelta(days=1), last + timedelta(days=1), date.max):
        with pytest.raises(UsageError, match=f"{as_of}; accepted are dates from {first} to {last}"):
            make_plan(inputs(as_of, CONTACTS), config)


def test_a_simulation_that_would_come_to_the_end_of_the_calendar_does_not_begin() -> None:
    _, last = accepted_dates(SchedulerConfig())
    begun: list[int] = []
    with pytest.raises(UsageError, match=f"{last} and 1 days after it; accepted are dates"):
        simulate(
            inputs(last, CONTACTS), SchedulerConfig(), 2, Reactions(0.0, 0.0, 0.0, 1), on_day=begun.append
        )
    assert begun == []

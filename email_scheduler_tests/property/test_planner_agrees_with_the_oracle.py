"""The planner and the oracle make the same plan of the same organisation.

``python -m email_scheduler_tests.compare_with_oracle --seeds FIRST:END --shrink`` shows what differs.
"""

import pytest
from hypothesis import HealthCheck, given, settings

from email_scheduler_tests.compare_with_oracle import differences
from email_scheduler_tests.oracle import make_oracle_plan
from email_scheduler_tests.strategies import Case, cases, random_case, seeds


@pytest.mark.parametrize("first_seed", range(0, 100, 20))
def test_the_planner_agrees_with_the_oracle_on_the_same_cases_every_time(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 20):
        lines = differences(*random_case(seed))
        assert not lines, "\n".join([f"seed {seed}", *lines])


@given(cases)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_planner_agrees_with_the_oracle_on_cases_never_seen_before(case: Case) -> None:
    lines = differences(*case)
    assert not lines, "\n".join(lines)


def test_the_random_cases_reach_every_rule() -> None:
    """A comparison of plans in which a rule never speaks says nothing about the rule."""
    reached = set()
    for seed in range(100):
        plan = make_oracle_plan(*random_case(seed))
        for row in plan.rows:
            reached |= {
                row.email_type.split("_")[0],
                row.adjustment,
                (row.skip_reason or "").split(" in ")[0],
            }
            if "variant" in (row.metadata or {}):
                reached.add("variant sent" if row.initial_email_id else "variant")
        reached |= {issue for _, _, issue in plan.issues}
        audiences = [one.instance.metadata.get("audience") for one in plan.emails if one.is_implicit]
        reached |= {next(iter(each.get("trigger") or ["default trigger"])) for each in audiences if each}
    assert reached >= {
        *("birthday", "effective", "aep", "post", "campaign", "followup"),
        *("smoothed", "brought_forward", "redistributed", "catch_up"),
        *("Year-round exclusion", "Birthday exclusion window", "Effective date exclusion window"),
        *("Age 76+ exclusion", "Birth date unknown", "Effective date unknown"),
        *("outside_campaign_dates", "event_passed", "campaign_conflict", "no_send_day"),
        *("daily_cap_exceeded", "frequency_limit_exceeded"),
        *("missing_email", "invalid_email", "missing_zip_code", "invalid_zip_code", "suppressed"),
        *("invalid_birth_date", "invalid_effective_date", "state_mismatch"),
        *("missing_trigger_date", "invalid_trigger_date", "unreadable_event_data"),
        *("variant", "variant sent"),
        *("default trigger", "date", "column", "anniversary_of"),
    }


@given(seeds)
@settings(max_examples=5, deadline=None)
def test_a_seed_stands_for_one_case(seed: int) -> None:
    one, other = random_case(seed), random_case(seed)
    assert one[1] == other[1]
    assert one[0].contacts.equals(other[0].contacts)
    assert one[0].history.equals(other[0].history)

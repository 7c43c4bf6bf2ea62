"""A plan and its proof do not depend on how many contacts are worked on at a time."""

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import assume, given, settings

from email_scheduler.planning.columns import parts
from email_scheduler.planning.plan import make_plan
from email_scheduler.proof import find_violations
from email_scheduler_tests.random_boundaries import Case
from email_scheduler_tests.strategies import cases


def _at_a_time(contacts: int, case: Case) -> list[pd.DataFrame]:
    inputs, config = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "CONTACTS_AT_A_TIME", contacts)
        plan = make_plan(inputs, config)
        # every second row is missing and the others go out too late, so that there is something to be found
        wrong = plan.schedules.iloc[::2]
        wrong = wrong.assign(scheduled_send_date=wrong["scheduled_send_date"] + 40)
        return [
            plan.schedules,
            plan.target_statuses,
            plan.issues.astype("str").sort_values(list(plan.issues.columns), ignore_index=True),
            find_violations(inputs, plan.contacts, plan.schedules, config),
            find_violations(inputs, plan.contacts, wrong, config),
        ]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(case=cases)
def test_a_plan_made_in_several_chunks_is_the_same_plan(case: Case) -> None:
    at_once = _at_a_time(1_000_000, case)
    for in_chunks in (_at_a_time(2, case), _at_a_time(5, case)):
        for expected, found in zip(at_once, in_chunks, strict=True):
            pd.testing.assert_frame_equal(found, expected)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(case=cases)
def test_ids_that_lie_far_apart_change_nothing(case: Case) -> None:
    inputs, config = case
    # unless an audience asks for ids
    assume(not inputs.campaign_instances["metadata"].str.contains('"id"', case=False, na=False).any())

    def spread(frame: pd.DataFrame, column: str) -> pd.DataFrame:
        return frame.assign(**{column: frame[column] * 1_000_003})

    names = ("suppressions", "contact_campaigns", "history", "clicks", "answers")
    far_apart = replace(
        inputs,
        contacts=spread(inputs.contacts, "id"),
        contact_attributes=spread(inputs.contact_attributes, "id"),
        **{name: spread(getattr(inputs, name), "contact_id") for name in names},
    )
    plan = make_plan(far_apart, config)
    assert len(find_violations(far_apart, plan.contacts, plan.schedules, config)) == 0
    # which day an email goes out on depends on the hash of the id, what is due to a contact does not
    due = ["contact_id", "email_type", "campaign_instance_id", "event_date", "ideal_send_date"]
    expected = spread(make_plan(inputs, config).schedules[due], "contact_id")
    pd.testing.assert_frame_equal(plan.schedules[due], expected)

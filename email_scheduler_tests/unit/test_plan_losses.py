"""What a plan loses against the last published one, and when a person is to decide (section 17)."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.frames import (
    CAMPAIGN_CHANGES,
    CAPACITY_SHORTFALL,
    CONTACT_ISSUES,
    CONTACTS,
    EMAIL_SCHEDULES,
    HISTORY,
    TARGET_STATUSES,
)
from email_scheduler.planning.guard import LEAST_LOST, Cause, Loss, judge_loss
from email_scheduler.planning.matching import PLANNER_ROWS, compare, existing_rows, without_senders_rows
from email_scheduler.planning.plan import Plan
from email_scheduler_tests.builders import (
    Row,
    campaign_instance,
    campaign_type,
    contact,
    day_number,
    email_row,
    inputs,
    table,
)

AS_OF = date(2026, 11, 23)
CONFIG = SchedulerConfig()


def email(contact_id: int, **columns: Any) -> Row:
    """Return a row of a plan: a birthday email that goes out in February, unless it says otherwise."""
    row = {
        "contact_id": contact_id,
        "email_type": "birthday",
        "event_date": "2027-03-10",
        "scheduled_send_date": "2027-02-24",
        "status": "pre-scheduled",
        **columns,
    }
    dates = {name: day_number(str(row[name])) for name in ("event_date", "scheduled_send_date")}
    return {**row, **dates, "ideal_send_date": dates["scheduled_send_date"]}


def promo(contact_id: int, **columns: Any) -> Row:
    """Return the same of campaign instance 7."""
    return email(contact_id, **{"email_type": "campaign_promo", "campaign_instance_id": 7, **columns})


def skipped(row: Row, reason: str) -> Row:
    return {**row, "status": "skipped", "skip_reason": reason}


def loss(
    there: Iterable[Row],
    planned: Iterable[Row],
    *,
    before: int | None,
    valid: Iterable[int],
    invalid: dict[int, str] | None = None,
    taken: Iterable[Row] = (),
    changes: Iterable[Row] = (),
    config: SchedulerConfig = CONFIG,
    **tables: Any,
) -> Loss:
    """Judge a plan.

    Args:
        there: The planned rows of the database, whose ids count from 101.
        planned: The plan.
        before: The valid contacts of the last published plan.
        valid: The valid contacts.
        invalid: The contacts that are not valid, and why; who is in neither is gone.
        taken: ``HISTORY``.
        changes: ``CAMPAIGN_CHANGES``.
        config: The configuration.
        tables: More of the inputs.
    """
    valid, invalid = sorted(valid), invalid or {}
    read = inputs(AS_OF, [contact(number) for number in (*valid, *invalid)], **tables)
    plan = Plan(
        as_of=AS_OF,
        schedules=table(EMAIL_SCHEDULES, sorted(planned, key=lambda row: row["contact_id"])),
        contacts=table(CONTACTS, [{"contact_id": number, "state": "TX"} for number in valid]),
        issues=table(
            CONTACT_ISSUES,
            [
                {"contact_id": number, "field": "email", "issue": issue}
                for number, each in invalid.items()
                for issue in each.split()
            ],
        ),
        target_statuses=TARGET_STATUSES.empty(),
        contact_count=len(valid) + len(invalid),
        daily_cap=100,
        daily_limit=120,
        fixed=pd.Series(dtype="int64"),
        capacity_shortfall=CAPACITY_SHORTFALL.empty(),
        foreign_rows={},
    )
    numbered = [{"id": number, **row} for number, row in enumerate(there, start=101)]
    rows = without_senders_rows(existing_rows(table(PLANNER_ROWS, numbered)), read.history)
    return judge_loss(
        plan,
        read,
        before,
        rows,
        compare(plan.schedules, rows),
        table(HISTORY, taken),
        table(CAMPAIGN_CHANGES, changes),
        config,
    )


def people(count: int, first: int = 1) -> range:
    return range(first, first + count)


def test_a_first_plan_has_nothing_to_lose() -> None:
    found = loss([email(number) for number in people(100)], [], before=None, valid=[])
    assert not found.is_too_much
    assert (found.contacts_before, found.emails_before) == (0, 0)


def test_a_plan_that_keeps_everything_loses_nothing() -> None:
    rows = [email(number) for number in people(100)]
    found = loss(rows, rows, before=100, valid=people(100))
    assert (found.contacts_lost, found.emails_before, found.emails_lost) == (0, 100, 0)
    assert found.reasons == ()
    assert str(found) == ""


@pytest.mark.parametrize(
    ("before", "left", "is_too_much"),
    [
        (300, 270, False),
        (300, 269, True),
        (199, 180, False),  # more than a tenth is 19, which is less than 20
        (199, 179, True),
        (8, 1, False),
        (8, 0, True),
        (1, 0, True),
        (0, 0, False),
        (300, 400, False),
    ],
)
def test_valid_contacts_may_fall_by_a_tenth_and_any_number_below_twenty(
    before: int, left: int, is_too_much: bool
) -> None:
    assert loss([], [], before=before, valid=people(left)).is_too_much == is_too_much


@pytest.mark.parametrize(
    ("before", "left", "is_too_much"),
    [(400, 300, False), (400, 299, True), (76, 57, False), (76, 56, True), (19, 0, False), (20, 0, True)],
)
def test_a_quarter_of_the_emails_may_go_and_any_number_below_twenty(
    before: int, left: int, is_too_much: bool
) -> None:
    there = [email(number) for number in people(before)]
    found = loss(there, there[:left], before=before, valid=people(before))
    assert (found.emails_before, found.emails_lost) == (before, before - left)
    assert found.is_too_much == is_too_much


def test_shares_are_exact_decimals() -> None:
    # 0.07 of 300 is 21, which as a binary fraction is a little more
    config = SchedulerConfig.model_validate({"guard": {"max_contact_loss_share": 0.07}})
    assert not loss([], [], before=300, valid=people(279), config=config).is_too_much
    assert loss([], [], before=300, valid=people(278), config=config).is_too_much


def test_an_email_that_moves_or_changes_is_not_lost() -> None:
    there = [email(number) for number in people(100)]
    moved = [{**row, "scheduled_send_date": day_number("2027-03-01"), "priority": 1} for row in there]
    assert loss(there, moved, before=100, valid=people(100)).emails_lost == 0


def test_only_pre_scheduled_rows_with_a_send_date_after_the_plan_s_count() -> None:
    there = [
        *(email(number, scheduled_send_date="2026-11-23") for number in people(50)),
        *(email(number, scheduled_send_date="2026-11-24") for number in people(30, 51)),
        *(skipped(email(number), "frequency_limit") for number in people(50, 101)),
    ]
    found = loss(there, [], before=150, valid=people(150))
    assert (found.emails_before, found.emails_lost) == (30, 30)


def test_skipped_emails_are_lost_and_their_reason_is_what_they_have_in_common() -> None:
    there = [email(number) for number in people(100)]
    planned = [skipped(row, "Year-round exclusion in TX") for row in there[:60]] + there[60:]
    found = loss(there, planned, before=100, valid=people(100))
    assert found.causes == (Cause("emails that are skipped: Year-round exclusion in TX", 60, 60),)
    assert str(found) == (
        "60 of 100 (60.0%) planned emails leave the plan or are skipped (guard.max_email_loss_share is 0.25)."
        " What is lost, the most first: emails that are skipped: Year-round exclusion in TX (60 contacts, 60"
        " emails)"
    )


def test_what_is_lost_is_told_by_what_it_has_in_common_the_most_first() -> None:
    there = [
        *(email(number) for number in people(100)),
        *(email(number, email_type="aep") for number in people(100)),
        *(skipped(email(number), "frequency_limit") for number in people(10, 101)),
        *(promo(number) for number in people(5, 81)),
    ]
    # 1 to 40 are gone, 41 to 70 and 101 to 110 are not valid, 71 to 80 have no AEP email any more
    planned = [email(number) for number in people(30, 71)]
    planned += [email(number, email_type="aep") for number in people(20, 81)]
    invalid = {
        **dict.fromkeys(people(30, 41), "state_mismatch invalid_zip_code"),
        **dict.fromkeys(people(10, 101), "invalid_email"),
    }
    found = loss(
        there,
        planned,
        before=110,
        valid=people(30, 71),
        invalid=invalid,
        campaign_types=[campaign_type("promo")],
        campaign_instances=[campaign_instance(7, "promo")],
    )
    assert found.causes == (
        Cause("contacts that are gone", 40, 80),
        Cause("contacts that are not valid: invalid_zip_code", 30, 60),
        Cause("emails of the type aep that are not planned any more", 10, 10),
        Cause("emails of campaign instance 7, which has none for them any more", 5, 5),
        Cause("contacts that are not valid: invalid_email", 10, 0),
    )
    assert (found.contacts_lost, found.emails_before, found.emails_lost) == (80, 205, 155)
    assert found.document()["causes"][0] == {
        "text": "contacts that are gone",
        "contacts": 40,
        "emails": 80,
    }


def test_emails_that_the_sending_system_has_taken_do_not_count() -> None:
    there = [email(number) for number in people(100)]
    taken = [
        {"id": 100 + number, "contact_id": number, "email_type": "birthday", "status": "processing"}
        for number in people(80)
    ]
    found = loss(there, there[80:], before=100, valid=people(100), taken=taken)
    assert (found.emails_before, found.emails_lost) == (20, 0)


def test_emails_that_other_rows_of_the_sending_system_answer_do_not_count() -> None:
    there = [email(number) for number in people(100)]
    history = [email_row(number, number, "birthday", "2026-11-20", "2027-03-09") for number in people(40)]
    answered = loss(there, there[60:], before=100, valid=people(100), history=history)
    # of the 60 that are not answered 20 go, which is more than a quarter
    assert (answered.emails_before, answered.emails_lost, answered.is_too_much) == (60, 20, True)
    assert not loss(there, there[59:], before=100, valid=people(100), history=history).is_too_much


PROMO = {
    "campaign_types": [campaign_type("promo")],
    "campaign_instances": [campaign_instance(7, "promo", "2026-11-01", "2027-06-30")],
}
OF_INSTANCE = {"id": 1, "campaign_instance_id": 7, "campaign_type": "promo", "field_changed": "active"}
OF_TYPE = {**OF_INSTANCE, "campaign_instance_id": 0}


@pytest.mark.parametrize(
    ("changes", "is_too_much"),
    [
        ([], True),
        ([{**OF_INSTANCE, "is_pending": True}], False),
        ([{**OF_TYPE, "is_pending": True}], False),
        # the last published plan has taken it into account
        ([{**OF_INSTANCE, "is_pending": False}], True),
        ([{**OF_INSTANCE, "campaign_instance_id": 8, "is_pending": True}], True),
        ([{**OF_TYPE, "campaign_type": "other", "is_pending": True}], True),
    ],
)
def test_emails_of_a_campaign_that_was_changed_do_not_count(changes: list[Row], is_too_much: bool) -> None:
    there = [*(promo(number) for number in people(80)), *(email(number) for number in people(20))]
    found = loss(there, there[80:], before=80, valid=people(80), changes=changes, **PROMO)
    assert found.is_too_much == is_too_much
    assert found.emails_before == (100 if is_too_much else 20)


@pytest.mark.parametrize(("end", "is_too_much"), [("2027-02-24", True), ("2027-02-23", False)])
def test_emails_after_the_end_of_their_campaign_do_not_count(end: str, is_too_much: bool) -> None:
    there = [promo(number) for number in people(80)]
    ended = {**PROMO, "campaign_instances": [campaign_instance(7, "promo", None, end)]}
    assert loss(there, [], before=80, valid=people(80), **ended).is_too_much == is_too_much


def test_a_stopped_campaign_hides_no_other_loss() -> None:
    there = [*(promo(number) for number in people(800)), *(email(number) for number in people(200))]
    changes = [{**OF_INSTANCE, "is_pending": True}]
    for left, is_too_much in ((150, False), (149, True)):
        found = loss(there, there[800 : 800 + left], before=800, valid=people(800), changes=changes, **PROMO)
        assert (found.emails_before, found.is_too_much) == (200, is_too_much)


def test_a_limit_of_one_lets_everything_pass_but_the_last_valid_contact() -> None:
    config = SchedulerConfig.model_validate(
        {"guard": {"max_contact_loss_share": 1, "max_email_loss_share": 1}}
    )
    there = [email(number) for number in people(100)]
    assert not loss(there, [], before=100, valid=[1], config=config).is_too_much
    found = loss(there, [], before=100, valid=[], config=config)
    assert found.reasons == ("none of 100 valid contacts is left",)


@settings(deadline=None)
@given(
    before=st.integers(0, 60),
    left=st.integers(0, 60),
    there=st.integers(0, 60),
    kept=st.integers(0, 60),
    shares=st.tuples(st.integers(0, 100), st.integers(0, 100)),
)
def test_a_plan_waits_exactly_where_the_rules_say_it(
    before: int, left: int, there: int, kept: int, shares: tuple[int, int]
) -> None:
    most_contacts, most_emails = shares
    config = SchedulerConfig.model_validate(
        {
            "guard": {
                "max_contact_loss_share": most_contacts / 100,
                "max_email_loss_share": most_emails / 100,
            }
        }
    )
    rows = [email(number) for number in people(there)]
    found = loss(rows, rows[:kept], before=before, valid=people(max(left, min(there, kept))), config=config)
    valid, lost = max(left, min(there, kept)), max(there - kept, 0)
    is_too_much = (
        (before > 0 and valid == 0)
        or (before - valid >= LEAST_LOST and (before - valid) * 100 > most_contacts * before)
        or (lost >= LEAST_LOST and lost * 100 > most_emails * there)
    )
    assert found.is_too_much == is_too_much
    if valid and before - valid < LEAST_LOST and lost < LEAST_LOST:
        assert not found.is_too_much
    assert bool(found.causes) == (is_too_much and (lost > 0 or there > valid))

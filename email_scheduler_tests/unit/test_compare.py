"""Finding what is new, changed and gone between the planned rows of a database and a plan."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_scheduler.planning.columns.packing import checksum, pack_alike, row_hashes, to_hex, total
from email_scheduler.planning.cube import Axis, Cube, reasons
from email_scheduler.planning.frames import EMAIL_SCHEDULES, NO_DATE
from email_scheduler.planning.matching import EXISTING_ROWS, PLANNER_ROWS, compare, existing_rows
from email_scheduler_tests.builders import table

BIRTHDAY = {
    "contact_id": 1,
    "email_type": "birthday",
    "campaign_instance_id": 0,
    "event_date": 20_000,
    "initial_email_id": 0,
    "ideal_send_date": 19_986,
    "scheduled_send_date": 19_986,
    "status": "pre-scheduled",
    "skip_reason": None,
    "adjustment": None,
    "priority": 5,
    "scheduled_send_time": "08:30:00",
    "email_template": "birthday_standard_v1",
    "sms_template": None,
    "metadata": None,
}
FOLLOW_UP = {
    **BIRTHDAY,
    "email_type": "followup_1_cold",
    "initial_email_id": 900,
    "metadata": '{"clicked": false}',
}


def planned(*rows):
    return table(EMAIL_SCHEDULES, rows)


def existing(*rows):
    numbered = [{"id": position, **row} for position, row in enumerate(rows, start=101)]
    return existing_rows(table(PLANNER_ROWS, numbered))


def test_a_plan_compared_with_itself_has_no_difference():
    rows = [BIRTHDAY, FOLLOW_UP, {**BIRTHDAY, "contact_id": 2}]
    difference = compare(planned(*rows), existing(*reversed(rows)))
    assert difference.unchanged_count == 3
    assert difference.matches.tolist() == [2, 1, 0]
    assert [len(difference.added), len(difference.changed), len(difference.removed)] == [0, 0, 0]


def test_everything_is_new_in_an_empty_table_and_everything_leaves_for_an_empty_plan():
    assert compare(planned(BIRTHDAY, FOLLOW_UP), EXISTING_ROWS.empty()).added.tolist() == [0, 1]
    assert compare(EMAIL_SCHEDULES.empty(), existing(BIRTHDAY, FOLLOW_UP)).removed.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("contact_id", 2),
        ("email_type", "effective_date"),
        ("campaign_instance_id", 3),
        ("event_date", 20_365),
    ],
)
def test_another_occurrence_is_another_row(column, value):
    difference = compare(planned({**BIRTHDAY, column: value}), existing(BIRTHDAY))
    assert difference.added.tolist() == [0]
    assert difference.removed.tolist() == [0]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("scheduled_send_date", 19_990),
        ("ideal_send_date", 19_990),
        ("scheduled_send_time", "09:00:00"),
        ("status", "skipped"),
        ("skip_reason", "event_passed"),
        ("adjustment", "catch_up"),
        ("priority", 6),
        ("email_template", "birthday_standard_v2"),
        ("email_template", None),
        ("sms_template", "birthday_sms_v1"),
        ("metadata", "{}"),
    ],
)
def test_other_content_of_the_same_occurrence_changes_the_row(column, value):
    difference = compare(planned({**BIRTHDAY, column: value}), existing(BIRTHDAY))
    assert difference.changed.tolist() == [0]
    assert difference.matches.tolist() == [0]
    assert difference.unchanged_count == len(difference.removed) == len(difference.added) == 0


def test_a_follow_up_is_known_by_its_initial_email_and_may_change_its_type():
    answered = {**FOLLOW_UP, "email_type": "followup_3_hq_no_yes", "metadata": '{"clicked": true}'}
    difference = compare(planned(answered), existing(BIRTHDAY, FOLLOW_UP))
    assert difference.matches.tolist() == [1]
    assert difference.changed.tolist() == [0]
    assert difference.removed.tolist() == [0]


def test_categories_in_another_order_make_no_difference():
    there = existing(
        {**BIRTHDAY, "skip_reason": "event_passed"}, {**BIRTHDAY, "contact_id": 2, "skip_reason": "other"}
    )
    plan = planned(
        {**BIRTHDAY, "contact_id": 2, "skip_reason": "other"}, {**BIRTHDAY, "skip_reason": "event_passed"}
    )
    plan["skip_reason"] = plan["skip_reason"].cat.set_categories(["unused", "other", "event_passed"])
    assert compare(plan, there).unchanged_count == 2


def test_of_older_rows_for_one_occurrence_one_is_kept_and_brought_up_to_date():
    older = {**BIRTHDAY, "ideal_send_date": NO_DATE}
    there = existing(older, {**older, "scheduled_send_date": 19_980})
    difference = compare(planned(BIRTHDAY), there)
    assert difference.matches.tolist() == [0]
    assert difference.changed.tolist() == [0]
    assert difference.removed.tolist() == [1]


def test_a_row_with_an_ideal_date_is_kept_before_an_older_one():
    older = {**BIRTHDAY, "ideal_send_date": NO_DATE}
    difference = compare(planned(BIRTHDAY), existing(older, BIRTHDAY))
    assert difference.matches.tolist() == [1]
    assert difference.unchanged_count == 1
    assert difference.removed.tolist() == [0]


def test_an_older_follow_up_without_an_initial_email_leaves():
    older = {**FOLLOW_UP, "initial_email_id": 0, "ideal_send_date": NO_DATE}
    difference = compare(planned(FOLLOW_UP), existing(older))
    assert difference.added.tolist() == [0]
    assert difference.removed.tolist() == [0]


def test_contact_ids_at_the_ends_of_64_bits_are_told_apart():
    ids = [-(2**63), -1, 0, 2**63 - 1]
    rows = [{**BIRTHDAY, "contact_id": contact_id} for contact_id in ids]
    difference = compare(planned(*rows), existing(*reversed(rows)))
    assert difference.matches.tolist() == [3, 2, 1, 0]


def test_rows_are_counted_by_type_and_by_what_became_of_them():
    rows = planned(
        BIRTHDAY,
        {**BIRTHDAY, "contact_id": 2},
        {**BIRTHDAY, "contact_id": 3, "status": "skipped", "skip_reason": "event_passed"},
        FOLLOW_UP,
    )
    assert by_type_and_reason(rows, np.arange(4)) == {
        "birthday": {"event_passed": 1, "pre-scheduled": 2},
        "followup_1_cold": {"pre-scheduled": 1},
    }
    assert by_type_and_reason(rows, np.array([2])) == {"birthday": {"event_passed": 1}}


def by_type_and_reason(rows, at):
    axes = {"email_type": Axis.of_labels(rows["email_type"], at), "reason": reasons(rows, at)}
    return Cube.count(axes).table("email_type", "reason")


INTEGERS = st.one_of(st.integers(-3, 3), st.sampled_from([-(2**63), 2**63 - 1, 2**40]))


@given(
    st.lists(st.tuples(INTEGERS, INTEGERS, INTEGERS), max_size=8),
    st.lists(st.tuples(INTEGERS, INTEGERS, INTEGERS), max_size=8),
)
def test_packed_keys_are_equal_and_ordered_as_the_rows_are(left, right):
    columns = [
        (np.array([row[i] for row in left], np.int64), np.array([row[i] for row in right], np.int64))
        for i in range(3)
    ]
    keys = [int(key) for side in pack_alike(columns) for key in side]
    rows = [*left, *right]
    for row, key in zip(rows, keys, strict=True):
        for other_row, other_key in zip(rows, keys, strict=True):
            assert (key < other_key) == (row < other_row)
            assert (key == other_key) == (row == other_row)


def test_a_checksum_depends_on_the_rows_and_not_on_their_order_or_categories():
    rows = [BIRTHDAY, FOLLOW_UP, {**BIRTHDAY, "contact_id": 2, "skip_reason": "x", "status": "skipped"}]
    forwards, backwards = planned(*rows), planned(*reversed(rows))
    backwards["skip_reason"] = backwards["skip_reason"].cat.set_categories(["unused", "x"])
    assert checksum(forwards) == checksum(backwards)
    assert checksum(forwards) != checksum(planned(*rows[:2]))


def test_the_checksum_of_some_rows_is_what_they_add_to_the_whole():
    rows = planned(BIRTHDAY, FOLLOW_UP, {**BIRTHDAY, "contact_id": 2})
    hashes = row_hashes(rows)
    assert to_hex(total(hashes[[0, 2]]) + total(hashes[[1]])) == to_hex(checksum(rows))
    assert checksum(EMAIL_SCHEDULES.empty()) == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("contact_id", 2),
        ("event_date", NO_DATE),
        ("priority", 4),
        ("email_type", "aep"),
        ("sms_template", ""),
        ("metadata", "birthday_standard_v1"),
    ],
)
def test_every_column_counts_in_a_checksum(column, value):
    assert checksum(planned(BIRTHDAY)) != checksum(planned({**BIRTHDAY, column: value}))


def test_a_value_that_moves_to_another_column_changes_the_checksum():
    swapped = {**BIRTHDAY, "email_template": None, "sms_template": BIRTHDAY["email_template"]}
    assert checksum(planned(BIRTHDAY)) != checksum(planned(swapped))


def test_texts_and_categories_of_the_same_texts_have_the_same_checksum():
    texts = pd.DataFrame({"email": pd.Series(["a@x.org", None, ""], dtype="str")})
    assert checksum(texts) == checksum(texts.astype("category"))
    assert checksum(texts) != checksum(texts.fillna(""))


def test_a_long_frame_has_the_sum_of_its_parts():
    long = pd.DataFrame({"contact_id": np.arange(300_000)})
    halves = checksum(long.iloc[:200_001]) + checksum(long.iloc[200_001:])
    assert to_hex(checksum(long)) == to_hex(halves)

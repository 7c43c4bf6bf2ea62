"""Publishing makes the planned rows of a database those of the plan, and touches no other row."""

import json
import logging
import threading
import time
from dataclasses import fields, replace
from datetime import date, datetime, timedelta
from itertools import pairwise

import pandas as pd
import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.connections.opening import connect
from email_scheduler.database.connections.sqlite import SqliteConnection
from email_scheduler.database.inputs import read_inputs
from email_scheduler.database.lock import planner_lock
from email_scheduler.database.publishing import publish
from email_scheduler.database.publishing.plan_changes import PlanChanges, preview_changes
from email_scheduler.database.publishing.planned_rows import planner_rows_in_background
from email_scheduler.database.publishing.publish import publish_plan
from email_scheduler.database.publishing.published_plan import Turns
from email_scheduler.database.records import Kept
from email_scheduler.errors import ComplianceError, InputDataError, PlannerLockedError, StalePlanError
from email_scheduler.planning import frames
from email_scheduler.planning.cube import Cube
from email_scheduler.planning.plan import Plan, make_plan
from email_scheduler_tests.builders import day_number, table
from email_scheduler_tests.databases import on_sqlite

AS_OF = date(2026, 11, 23)
CONFIG = SchedulerConfig.model_validate({"processing": {"batch_size": 2, "lock_timeout_seconds": 0}})


class Organisation:
    """An organisation's database that a test writes and reads, and publishes to."""

    def __init__(self, database):
        self.url = database.url
        self.database = database
        self.write, self.rows, self.insert = database.write, database.rows, database.insert
        self.runs = 0

    def schedules(self):
        return {row["id"]: row for row in self.rows("SELECT * FROM email_schedules ORDER BY id")}

    def add_schedule(self, **columns):
        row = {"contact_id": 1, "email_type": "birthday", "status": "pre-scheduled", **columns}
        self.insert("email_schedules", row)

    def inputs(self, as_of=AS_OF):
        return read_inputs(self.url, as_of, CONFIG)

    def publish(self, plan, *, inputs=None, config=CONFIG, **options):
        self.runs += 1
        inputs = inputs or self.inputs(plan.as_of)
        with (
            planner_lock(self.url, config, f"run-{self.runs}") as lock,
            planner_rows_in_background(self.url, config) as existing,
        ):
            return publish_plan(self.url, config, plan, inputs, lock, existing, **options)

    def checkpoint(self):
        row = self.rows("SELECT * FROM scheduler_checkpoints ORDER BY id DESC LIMIT 1")[0]
        return {**row, "summary": json.loads(row["summary"]) if row["summary"] else None}


@pytest.fixture
def organisation(database):
    return Organisation(database)


@pytest.fixture
def unproven(monkeypatch):
    """Plans made by hand need not be plans that the rules allow."""
    monkeypatch.setattr(publish, "find_violations", lambda *_: frames.VIOLATIONS.empty())


def planned(contact_id=1, email_type="birthday", event_date="2027-03-10", send_date="2027-02-24", **columns):
    return {
        "contact_id": contact_id,
        "email_type": email_type,
        "event_date": day_number(event_date),
        "ideal_send_date": day_number(columns.pop("ideal_send_date", send_date)),
        "scheduled_send_date": day_number(send_date),
        "status": "pre-scheduled",
        "priority": 5,
        "scheduled_send_time": "08:30:00",
        **columns,
    }


def skipped(contact_id=1, **columns):
    return planned(contact_id, **{"status": "skipped", "skip_reason": "event_passed", **columns})


def plan(*rows, as_of=AS_OF, issues=(), target_statuses=(), contact_count=5):
    # the others are for other readers
    columns = dict.fromkeys(field.name for field in fields(Plan))
    return Plan(
        **{
            **columns,
            "as_of": as_of,
            "schedules": table(frames.EMAIL_SCHEDULES, sorted(rows, key=lambda row: row["contact_id"])),
            "contacts": frames.CONTACTS.empty(),
            "issues": table(frames.CONTACT_ISSUES, issues),
            "target_statuses": table(frames.TARGET_STATUSES, target_statuses),
            "contact_count": contact_count,
            "fixed": pd.Series(dtype="int64"),
        }
    )


# what a table holds


def test_the_first_plan_fills_an_empty_table(organisation, unproven):
    result = organisation.publish(
        plan(
            planned(
                email_template="birthday_standard_v1",
                sms_template="birthday_sms_v1",
                send_date="2027-02-25",
                ideal_send_date="2027-02-24",
                adjustment="redistributed",
            ),
            skipped(2, email_type="campaign_promo", campaign_instance_id=3),
            planned(3, email_type="followup_1_cold", initial_email_id=77, metadata='{"clicked": false}'),
        )
    )
    birthday, promo, follow_up = organisation.schedules().values()
    created_at = birthday["created_at"]
    assert birthday == {
        "id": 1,
        "contact_id": 1,
        "email_type": "birthday",
        "scheduled_send_date": "2027-02-25",
        "scheduled_send_time": "08:30:00",
        "status": "pre-scheduled",
        "skip_reason": None,
        "priority": 5,
        "campaign_instance_id": None,
        "email_template": "birthday_standard_v1",
        "sms_template": "birthday_sms_v1",
        "scheduler_run_id": "run-1",
        "event_year": 2027,
        "event_month": 3,
        "event_day": 10,
        "ideal_send_date": "2027-02-24",
        "adjustment": "redistributed",
        "initial_email_id": None,
        "metadata": None,
        "created_at": created_at,
        "updated_at": created_at,
        "actual_send_datetime": None,
    }
    assert datetime.fromisoformat(created_at).tzinfo is not None
    assert (promo["status"], promo["skip_reason"], promo["campaign_instance_id"]) == (
        "skipped",
        "event_passed",
        3,
    )
    assert (follow_up["initial_email_id"], follow_up["metadata"]) == (77, '{"clicked": false}')
    assert result.schedules.changes.totals == {"added": 3, "changed": 0, "removed": 0, "unchanged": 0}
    assert (result.schedules.scheduled, result.schedules.skipped) == (2, 1)


def test_publishing_the_same_plan_again_writes_no_row(organisation, unproven):
    same = plan(planned(), skipped(2), planned(3, email_type="followup_1_cold", initial_email_id=77))
    organisation.publish(same)
    before = organisation.schedules()
    result = organisation.publish(same)
    assert organisation.schedules() == before
    assert organisation.rows("SELECT * FROM email_schedules_archive") == []
    assert result.schedules.changes.totals == {"added": 0, "changed": 0, "removed": 0, "unchanged": 3}
    assert result.schedules.before_checksum == result.schedules.after_checksum


def test_only_the_row_whose_content_changed_is_written_and_it_keeps_its_id(organisation, unproven):
    organisation.publish(plan(planned(), planned(2)))
    before = organisation.schedules()
    result = organisation.publish(plan(planned(), skipped(2)))
    after = organisation.schedules()
    assert after[1] == before[1]
    assert after[2] == {
        **before[2],
        "status": "skipped",
        "skip_reason": "event_passed",
        "scheduler_run_id": "run-2",
        "updated_at": after[2]["updated_at"],
    }
    assert after[2]["updated_at"] > before[2]["updated_at"]
    assert result.schedules.changes.rows("changed") == {"birthday": {"event_passed": 1}}
    assert result.schedules.changes.totals["unchanged"] == 1


def test_a_row_that_leaves_the_plan_goes_to_the_archive_as_it_was(organisation, unproven):
    organisation.publish(plan(planned(), skipped(2)))
    before = organisation.schedules()
    result = organisation.publish(plan(planned(), as_of=AS_OF + timedelta(days=1)))
    assert list(organisation.schedules()) == [1]
    archived = organisation.rows("SELECT * FROM email_schedules_archive")
    assert len(archived) == 1
    archived_at = archived[0].pop("archived_at")
    assert archived_at > before[2]["updated_at"]
    assert archived[0] == {**before[2], "as_of_date": "2026-11-24"}
    assert result.schedules.changes.rows("removed") == {"birthday": {"event_passed": 1}}


def test_an_id_is_never_given_to_another_row(organisation, unproven):
    organisation.publish(plan(planned(), planned(2)))
    organisation.publish(plan())
    organisation.publish(plan(planned(3)))
    assert list(organisation.schedules()) == [3]


def test_a_corrected_event_is_another_row(organisation, unproven):
    organisation.publish(plan(planned(event_date="2027-03-10")))
    organisation.publish(plan(planned(event_date="2027-03-12")))
    assert [(row["id"], row["event_day"]) for row in organisation.schedules().values()] == [(2, 12)]


def test_a_follow_up_changes_its_type_in_place(organisation, unproven):
    cold = planned(email_type="followup_1_cold", initial_email_id=77)
    organisation.publish(plan(cold))
    organisation.publish(
        plan({**cold, "email_type": "followup_2_clicked_no_hq", "metadata": '{"clicked": true}'})
    )
    assert [(row["id"], row["email_type"], row["metadata"]) for row in organisation.schedules().values()] == [
        (1, "followup_2_clicked_no_hq", '{"clicked": true}')
    ]


def test_of_rows_of_the_older_program_one_an_occurrence_stays_and_is_brought_up_to_date(
    organisation, unproven
):
    event = {"event_year": 2027, "event_month": 3, "event_day": 10}
    organisation.add_schedule(id=11, scheduled_send_date="2027-02-20", created_at="2020-01-01", **event)
    organisation.add_schedule(id=12, scheduled_send_date="2027-02-21", **event)
    organisation.add_schedule(id=13, contact_id=2, scheduled_send_date="2027-02-21", **event)
    organisation.publish(plan(planned()))
    rows = organisation.schedules()
    assert list(rows) == [11]
    assert (rows[11]["scheduled_send_date"], rows[11]["ideal_send_date"]) == ("2027-02-24", "2027-02-24")
    assert (rows[11]["created_at"][:10], rows[11]["scheduler_run_id"]) == ("2020-01-01", "run-1")
    assert [row["id"] for row in organisation.rows("SELECT id FROM email_schedules_archive ORDER BY id")] == [
        12,
        13,
    ]


def test_rows_of_the_sender_and_of_other_programs_are_not_touched(organisation, unproven):
    for number, status in enumerate(("scheduled", "processing", "sent", "delivered", "failed"), start=11):
        organisation.add_schedule(
            id=number, contact_id=number, status=status, scheduled_send_date="2026-11-01"
        )
    organisation.add_schedule(id=21, email_type="rate_increase", scheduled_send_date="2026-12-01")
    before = organisation.schedules()
    organisation.publish(plan(planned(), planned(11, event_date="2028-03-10")))
    after = organisation.schedules()
    assert {key: after[key] for key in before} == before
    assert len(after) == len(before) + 2


# what is refused


def violating(*_):
    return table(
        frames.VIOLATIONS,
        [{"rule": "exclusion_window", "contact_id": 1}, {"rule": "frequency"}, {"rule": "frequency"}],
    )


def test_a_plan_that_breaks_a_rule_is_not_published_and_the_one_before_stays_in_force(
    organisation, unproven, monkeypatch
):
    organisation.publish(plan(planned()))
    before = organisation.schedules()
    monkeypatch.setattr(publish, "find_violations", violating)
    with pytest.raises(ComplianceError, match=r"exclusion_window \(1\), frequency \(2\)") as caught:
        organisation.publish(plan(planned(2)))
    assert organisation.schedules() == before
    checkpoint = organisation.checkpoint()
    assert (checkpoint["status"], checkpoint["error_message"]) == ("failed", str(caught.value))
    assert "stays in force" in checkpoint["error_message"]


def test_the_proof_sees_the_plan_and_what_it_was_made_from(organisation, monkeypatch):
    seen = []
    monkeypatch.setattr(
        publish, "find_violations", lambda *what: seen.append(what) or frames.VIOLATIONS.empty()
    )
    inputs, published = organisation.inputs(), plan(planned())
    organisation.publish(published, inputs=inputs)
    assert [id(part) for part in seen[0]] == [
        id(part) for part in (inputs, published.contacts, published.schedules, CONFIG)
    ]


def test_a_plan_older_than_the_last_published_one_is_refused(organisation, unproven):
    organisation.publish(plan(planned()))
    before = organisation.schedules()
    older = plan(planned(2), as_of=AS_OF - timedelta(days=1))
    with pytest.raises(StalePlanError, match=r"2026-11-22.*2026-11-23.*--allow-older"):
        organisation.publish(older)
    assert organisation.schedules() == before
    assert organisation.checkpoint()["status"] == "failed"
    organisation.publish(older, allow_older=True)
    assert [row["contact_id"] for row in organisation.schedules().values()] == [2]
    # it is the plan in force, so that others of its day are not older
    organisation.publish(plan(planned(3), as_of=AS_OF - timedelta(days=1)))
    assert [row["contact_id"] for row in organisation.schedules().values()] == [3]


def test_a_plan_for_the_same_day_is_published_and_one_that_failed_does_not_count(
    organisation, unproven, monkeypatch
):
    organisation.publish(plan(planned()))
    with monkeypatch.context() as patch:
        patch.setattr(publish, "find_violations", violating)
        with pytest.raises(ComplianceError):
            organisation.publish(plan(planned(2), as_of=AS_OF + timedelta(days=7)))
    organisation.publish(plan(planned(3)))
    assert [row["contact_id"] for row in organisation.schedules().values()] == [3]


def test_rows_out_of_order_are_refused(organisation, unproven):
    disordered = plan(planned(1), planned(2))
    disordered = replace(disordered, schedules=disordered.schedules.iloc[::-1].reset_index(drop=True))
    with pytest.raises(InputDataError, match="order of contact_id"):
        organisation.publish(disordered)
    assert organisation.schedules() == {}


# batches, and what happens between them


def all_rows(organisation):
    return [
        (row["contact_id"], row["email_type"], row["scheduled_send_date"])
        for row in organisation.schedules().values()
    ]


def test_progress_counts_the_contacts_that_something_changes_for(organisation, unproven):
    organisation.publish(plan(*(planned(contact_id) for contact_id in range(1, 6))))
    progress = []
    organisation.publish(
        plan(*(planned(n, send_date="2027-02-25" if n != 3 else "2027-02-24") for n in range(1, 6))),
        on_progress=lambda done, total: progress.append((done, total)),
    )
    assert progress == [(0, 4), (2, 4), (4, 4)]


def test_after_an_error_each_contact_has_its_whole_old_or_its_whole_new_plan(organisation, unproven):
    def of(contact_id, event_date):
        return [planned(contact_id, event_date=event_date), planned(contact_id, "aep", event_date=event_date)]

    old = plan(*(row for n in range(1, 6) for row in of(n, "2027-03-10")))
    new = plan(*(row for n in range(1, 6) for row in of(n, "2027-03-15")))
    organisation.publish(old)

    def fail_after_two_batches(done, total):
        if done == 4:
            raise ZeroDivisionError("somebody@example.com")

    with pytest.raises(ZeroDivisionError):
        organisation.publish(new, on_progress=fail_after_two_batches)
    days = {n: [] for n in range(1, 6)}
    for row in organisation.schedules().values():
        days[row["contact_id"]].append(row["event_day"])
    assert days == {1: [15, 15], 2: [15, 15], 3: [15, 15], 4: [15, 15], 5: [10, 10]}

    checkpoint = organisation.checkpoint()
    assert (checkpoint["status"], checkpoint["error_message"]) == ("failed", "ZeroDivisionError")
    changes = PlanChanges(Cube.of_document(checkpoint["summary"]["changes"]))
    assert changes.rows("added") == {"aep": {"pre-scheduled": 4}, "birthday": {"pre-scheduled": 4}}

    result = organisation.publish(new)
    assert {row["event_day"] for row in organisation.schedules().values()} == {15}
    assert result.schedules.changes.totals == {"added": 2, "changed": 0, "removed": 2, "unchanged": 8}


def test_a_planner_that_lost_its_lock_between_two_batches_writes_nothing_more(organisation, unproven):
    def take_over(done, total):
        if done == 2:
            with connect(organisation.url, CONFIG) as connection, connection.transaction():
                connection.execute(
                    "UPDATE planner_lock SET token = token + 1, owner = 'host:2', run_id = 'run-b'",
                )

    with pytest.raises(PlannerLockedError, match="host:2"):
        organisation.publish(plan(*(planned(n) for n in range(1, 6))), on_progress=take_over)
    assert [row["contact_id"] for row in organisation.schedules().values()] == [1, 2]
    assert organisation.checkpoint()["status"] == "failed"


def test_a_planner_without_the_lock_writes_nothing_at_all(organisation, unproven):
    inputs = organisation.inputs()
    with planner_lock(organisation.url, CONFIG, "run-a") as lock:
        organisation.write("UPDATE planner_lock SET token = token + 1")
        with (
            planner_rows_in_background(organisation.url, CONFIG) as existing,
            pytest.raises(PlannerLockedError),
        ):
            publish_plan(organisation.url, CONFIG, plan(planned()), inputs, lock, existing)
    assert organisation.schedules() == {}
    assert organisation.rows("SELECT * FROM scheduler_checkpoints") == []


@on_sqlite
def test_the_write_ahead_log_is_empty_afterwards(organisation, unproven):
    sizes = []
    original = SqliteConnection.tidy

    def measure(connection):
        wal = organisation.database.path.with_name("org.db-wal")
        sizes.append(wal.stat().st_size)
        original(connection)
        sizes.append(wal.stat().st_size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqliteConnection, "tidy", measure)
        organisation.publish(plan(*(planned(n) for n in range(1, 50))))
    assert sizes[0] > 0
    assert sizes[1] == 0


def test_a_batch_is_tried_again_while_another_writer_holds_the_database(organisation, unproven):
    config = SchedulerConfig.model_validate(
        {
            "processing": {"batch_size": 2, "retry_delay": 0, "max_retry_attempts": 10},
            "database": {"connection_pool": {"connection_timeout": 1}},
        }
    )
    is_locked = threading.Event()

    def hold():
        with connect(organisation.url, config) as connection, connection.transaction():
            connection.lock_planner_table()
            is_locked.set()
            time.sleep(2)

    holder = threading.Thread(target=hold)

    def lock_out(done, total):
        if done == 2:
            holder.start()
            assert is_locked.wait(timeout=10)

    result = organisation.publish(
        plan(*(planned(n) for n in range(1, 6))), config=config, on_progress=lock_out
    )
    holder.join()
    assert result.schedules.changes.totals["added"] == len(organisation.schedules()) == 5


@pytest.mark.parametrize("transaction_seconds", [0.01, 0.3, 0.6])
def test_other_writers_find_the_database_free_at_least_every_second(transaction_seconds):
    now, gaps = [1000.0], []
    turns = Turns(clock=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds))
    free_since = None
    for _ in range(200):
        turns.begin()
        if free_since is not None and now[0] - free_since > 0.1:
            gaps.append(now[0])
        now[0] += transaction_seconds
        turns.end()
        free_since = now[0]
        now[0] += 0.005
    assert max(b - a for a, b in pairwise([1000.0, *gaps])) < 1
    # but no more often than that takes
    assert min(b - a for a, b in pairwise(gaps)) > 0.5


def test_nobody_is_left_waiting_for_when_the_database_was_free_anyway():
    now, slept = [1000.0], []
    turns = Turns(clock=lambda: now[0], sleep=slept.append)
    for _ in range(20):
        turns.begin()
        now[0] += 0.3
        turns.end()
        now[0] += 0.2
    assert slept == []


# the sending system at the same time


def add_campaign(organisation, *, target_all_contacts):
    organisation.write(
        "INSERT INTO campaign_types (name, target_all_contacts) VALUES ('promo', ?)",
        (target_all_contacts,),
    )
    organisation.write(
        "INSERT INTO campaign_instances (id, campaign_type, instance_name) VALUES (7, 'promo', 'spring')"
    )


def taken(organisation, email_type, event_date, **columns):
    """The sending system takes an email that the plan does not know of."""
    year, month, day = map(int, event_date.split("-"))
    organisation.add_schedule(
        email_type=email_type,
        event_year=year,
        event_month=month,
        event_day=day,
        ideal_send_date="2026-11-23",
        scheduled_send_date="2026-11-23",
        **{"id": 500, "status": "processing", **columns},
    )


@pytest.mark.parametrize(
    ("email_type", "event_date", "planned_event", "is_dropped"),
    [
        ("birthday", "2027-03-10", "2027-03-10", True),
        ("birthday", "2027-03-08", "2027-03-10", True),
        ("birthday", "2028-03-10", "2027-03-10", False),
        ("effective_date", "2027-03-10", "2027-03-10", False),
        ("aep", "2026-09-10", "2026-09-15", True),
        ("aep", "2025-09-15", "2026-09-15", False),
        ("post_window", "2026-10-10", "2026-11-22", True),
        ("post_window", "2026-09-10", "2026-11-22", False),
    ],
)
def test_what_the_sender_took_since_the_inputs_were_read_is_not_planned_again(
    organisation, unproven, email_type, event_date, planned_event, is_dropped
):
    planned_type = "birthday" if email_type == "effective_date" else email_type
    inputs = organisation.inputs()
    taken(organisation, email_type, event_date)
    before = organisation.schedules()
    result = organisation.publish(plan(planned(1, planned_type, planned_event), planned(2)), inputs=inputs)
    after = organisation.schedules()
    assert after.pop(500) == before[500]
    assert [row["contact_id"] for row in after.values()] == ([2] if is_dropped else [1, 2])
    assert result.schedules.changes.dropped == int(is_dropped)
    assert result.schedules.scheduled == len(after)


def test_what_the_sender_took_before_the_inputs_were_read_drops_nothing(organisation, unproven):
    # the plan knows of it; if it plans the occurrence nevertheless, the proof has to say so
    taken(organisation, "birthday", "2027-03-08")
    result = organisation.publish(plan(planned(event_date="2027-03-10")))
    assert result.schedules.changes.totals["added"] == 1


@pytest.mark.parametrize("is_explicit", [False, True])
def test_a_campaign_email_to_all_contacts_is_answered_by_any_of_its_instance(
    organisation, unproven, is_explicit
):
    add_campaign(organisation, target_all_contacts=True)
    if is_explicit:
        organisation.write(
            "INSERT INTO contact_campaigns (contact_id, campaign_instance_id, trigger_date)"
            " VALUES (1, 7, '2026-12-01')"
        )
    inputs = organisation.inputs()
    taken(organisation, "campaign_promo", "2026-11-20", campaign_instance_id=7)
    row = planned(1, "campaign_promo", "2026-12-01", "2026-11-24", campaign_instance_id=7)
    result = organisation.publish(plan(row), inputs=inputs)
    assert result.schedules.changes.dropped == int(not is_explicit)


def test_a_follow_up_that_the_sender_took_stands_for_all_of_the_contact(organisation, unproven):
    inputs = organisation.inputs()
    taken(organisation, "followup_1_cold", "2026-11-23", initial_email_id=77)
    result = organisation.publish(
        plan(
            planned(1, "followup_2_clicked_no_hq", initial_email_id=78),
            planned(2, "followup_1_cold", initial_email_id=79),
        ),
        inputs=inputs,
    )
    assert [row["initial_email_id"] for row in organisation.schedules().values()] == [77, 79]
    assert result.schedules.changes.dropped == 1


def test_a_row_that_the_sender_took_stays_although_the_plan_has_changed_or_lost_it(organisation, unproven):
    organisation.publish(plan(planned(1), planned(2), planned(3)))
    inputs = organisation.inputs()
    organisation.write("UPDATE email_schedules SET status = 'sent' WHERE contact_id < 3")
    before = organisation.schedules()
    result = organisation.publish(plan(skipped(1), planned(2, event_date="2027-03-12")), inputs=inputs)
    assert organisation.schedules() == {1: before[1], 2: before[2]}
    assert [row["id"] for row in organisation.rows("SELECT id FROM email_schedules_archive")] == [3]
    assert result.schedules.changes.totals == {"added": 0, "changed": 0, "removed": 1, "unchanged": 0}
    assert result.schedules.changes.dropped == 2
    assert result.schedules.after_checksum == f"{0:016x}"


def test_a_planned_row_that_a_taken_one_makes_needless_leaves_even_if_the_plan_keeps_it(
    organisation, unproven
):
    # two rows for one occurrence can be there while a date is corrected twice
    organisation.publish(plan(planned(event_date="2027-03-10"), planned(event_date="2028-03-10")))
    inputs = organisation.inputs()
    organisation.write(
        "UPDATE email_schedules SET event_year = 2027, event_day = 8, status = 'processing' WHERE id = 2"
    )
    result = organisation.publish(plan(planned(event_date="2027-03-10")), inputs=inputs)
    assert list(organisation.schedules()) == [2]
    assert [row["id"] for row in organisation.rows("SELECT id FROM email_schedules_archive")] == [1]
    assert result.schedules.changes.totals == {"added": 0, "changed": 0, "removed": 1, "unchanged": 0}


def test_what_the_sender_takes_between_two_batches_is_not_planned_again(organisation, unproven):
    organisation.publish(plan(*(planned(n) for n in range(1, 6))))
    taken(organisation, "birthday", "2027-03-08", id=500, contact_id=5)

    def claim(done, total):
        if done == 2:
            with connect(organisation.url, CONFIG) as connection, connection.transaction():
                connection.execute(
                    "UPDATE email_schedules SET status = 'processing' WHERE id IN (1, 4)",
                )

    # the birthdays of contacts 3 to 5 were corrected by two days; the plan knows of row 500
    corrected = [planned(n, event_date="2027-03-12") for n in (3, 4, 5)]
    result = organisation.publish(plan(skipped(1), planned(2), *corrected, planned(6)), on_progress=claim)
    rows = {
        key: (row["contact_id"], row["status"], row["event_day"])
        for key, row in organisation.schedules().items()
    }
    first_new = 501
    assert rows == {
        1: (1, "processing", 10),
        2: (2, "pre-scheduled", 10),
        4: (4, "processing", 10),
        500: (5, "processing", 8),
        first_new: (3, "pre-scheduled", 12),
        first_new + 1: (5, "pre-scheduled", 12),
        first_new + 2: (6, "pre-scheduled", 10),
    }
    assert result.schedules.changes.totals == {"added": 3, "changed": 1, "removed": 2, "unchanged": 1}
    assert result.schedules.changes.dropped == 1


# what goes with the rows


def test_the_status_of_campaign_targets_follows_the_plan_unless_it_is_final(organisation, unproven):
    add_campaign(organisation, target_all_contacts=False)
    for target_id, status in enumerate(("pending", "scheduled", "sent", "skipped", "pending"), start=1):
        organisation.write(
            "INSERT INTO contact_campaigns (id, contact_id, campaign_instance_id, status, updated_at) "
            "VALUES (?, ?, 7, ?, '2020-01-01')",
            (target_id, target_id, status),
        )
    statuses = ("scheduled", "sent", "pending", "pending")
    organisation.publish(
        plan(target_statuses=[{"id": n, "status": status} for n, status in enumerate(statuses, start=1)])
    )
    rows = organisation.rows("SELECT status, updated_at FROM contact_campaigns ORDER BY id")
    assert [row["status"] for row in rows] == ["scheduled", "sent", "sent", "skipped", "pending"]
    assert [row["updated_at"].startswith("2020-01-01") for row in rows] == [False, False, True, True, True]


def issue(contact_id, field="email", text="missing_email"):
    return {"contact_id": contact_id, "field": field, "issue": text}


def issues_there(organisation):
    return {
        (row["contact_id"], row["field"], row["issue"], row["scheduler_run_id"])
        for row in organisation.rows("SELECT * FROM contact_issues")
    }


def test_the_issues_are_those_of_the_last_run(organisation, unproven):
    organisation.publish(plan(issues=[issue(2), issue(1), issue(1, "state", "state_mismatch")]))
    assert len(issues_there(organisation)) == 3
    organisation.publish(plan(issues=[issue(1)]))
    assert issues_there(organisation) == {(1, "email", "missing_email", "run-2")}
    organisation.publish(plan())
    assert issues_there(organisation) == set()


def test_the_same_issues_are_not_written_again(organisation, unproven):
    organisation.publish(plan(issues=[issue(2), issue(1)]))
    organisation.publish(plan(issues=[issue(1), issue(2)]))
    assert {row[3] for row in issues_there(organisation)} == {"run-1"}
    organisation.publish(plan(issues=[issue(1), issue(1)]))
    assert {row[3] for row in issues_there(organisation)} == {"run-3"}


def test_many_issues_are_replaced_in_batches(organisation, unproven, monkeypatch):
    original = publish.replace_issues
    monkeypatch.setattr(publish, "replace_issues", lambda run: original(run, batch_rows=3))
    organisation.write(
        "INSERT INTO contact_issues (contact_id, field, issue) VALUES (NULL, 'email', 'older')"
    )
    organisation.publish(plan(issues=[issue(n) for n in (1, 2, 2, 2, 2, 5)]))
    assert sorted(row["contact_id"] for row in organisation.rows("SELECT * FROM contact_issues")) == [
        1,
        2,
        2,
        2,
        2,
        5,
    ]
    expected = [*range(-3, 8), 2**62]
    organisation.publish(plan(issues=[issue(n) for n in expected]))
    assert sorted(row["contact_id"] for row in organisation.rows("SELECT * FROM contact_issues")) == expected


def test_the_run_is_recorded(organisation, unproven):
    result = organisation.publish(plan(planned(), skipped(2), contact_count=5))
    checkpoint = organisation.checkpoint()
    assert checkpoint == {
        "id": 1,
        "run_timestamp": checkpoint["run_timestamp"],
        "scheduler_run_id": "run-1",
        "as_of_date": "2026-11-23",
        "config_version_id": result.config_version_id,
        "contacts_checksum": checkpoint["contacts_checksum"],
        "schedules_before_checksum": f"{0:016x}",
        "schedules_after_checksum": result.schedules.after_checksum,
        "contacts_processed": 5,
        "invalid_contacts": 5,
        "emails_scheduled": 1,
        "emails_skipped": 1,
        "summary": checkpoint["summary"],
        "status": "completed",
        "error_message": None,
        "completed_at": checkpoint["completed_at"],
    }
    assert checkpoint["run_timestamp"] <= checkpoint["completed_at"]
    changes = PlanChanges(Cube.of_document(checkpoint["summary"]["changes"]))
    assert changes.rows("added") == {"birthday": {"event_passed": 1, "pre-scheduled": 1}}
    assert (changes.rows("changed"), changes.rows("removed")) == ({}, {})
    assert (changes.totals["unchanged"], changes.dropped) == (0, 0)
    kept = Kept.of_document(checkpoint["summary"])
    assert kept.figures is not None
    assert kept.figures.planned == {"birthday": {"event_passed": 1, "pre-scheduled": 1}}
    assert kept.figures.by_state == {"unknown": {"event_passed": 1}}
    assert kept.emails is not None
    assert kept.emails.document() == {
        "added": {"birthday": {"new": 1}},
        "later": {},
        "earlier": {},
        "cancelled": {},
    }


def test_checksums_tell_whether_contacts_and_schedules_changed(organisation, unproven):
    def publish_and_read(*rows):
        organisation.publish(plan(*rows))
        checkpoint = organisation.checkpoint()
        return [
            checkpoint[f"{name}_checksum"] for name in ("contacts", "schedules_before", "schedules_after")
        ]

    contacts, _, one = publish_and_read(planned())
    assert publish_and_read(planned()) == [contacts, one, one]
    organisation.write("INSERT INTO contacts (id, email) VALUES (1, 'one@example.com')")
    with_contact, before, two = publish_and_read(planned(), planned(2))
    assert (with_contact != contacts, before == one, two != one) == (True, True, True)
    assert publish_and_read(planned()) == [with_contact, two, one]


def test_a_run_that_never_ended_is_closed_by_the_next_one(organisation, unproven):
    organisation.write(
        "INSERT INTO scheduler_checkpoints (scheduler_run_id, status) VALUES ('dead', 'in_progress')"
    )
    organisation.publish(plan(planned()))
    dead = organisation.rows("SELECT * FROM scheduler_checkpoints WHERE scheduler_run_id = 'dead'")[0]
    assert dead["status"] == "failed"
    assert dead["error_message"]
    assert dead["completed_at"]


def test_a_run_that_is_tried_again_under_its_id_has_one_record(organisation, unproven, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(publish, "find_violations", violating)
        with pytest.raises(ComplianceError):
            organisation.publish(plan(planned()))
    organisation.runs = 0
    organisation.publish(plan(planned()))
    assert [row["status"] for row in organisation.rows("SELECT * FROM scheduler_checkpoints")] == [
        "completed"
    ]


def test_a_failure_that_cannot_be_recorded_does_not_hide_the_error(organisation, unproven, caplog):
    def drop_checkpoints(done, total):
        with connect(organisation.url, CONFIG) as connection, connection.transaction():
            connection.execute("DROP TABLE scheduler_checkpoints")
        raise ZeroDivisionError

    with caplog.at_level(logging.WARNING), pytest.raises(ZeroDivisionError):
        organisation.publish(plan(planned()), on_progress=drop_checkpoints)
    assert "could not be recorded" in caplog.text


def test_a_configuration_is_a_new_version_only_if_it_differs(organisation, unproven):
    other = SchedulerConfig.model_validate(
        {"priorities": {"aep": 4}, "processing": {"lock_timeout_seconds": 0}}
    )
    ids = [
        organisation.publish(plan(planned()), config=config).config_version_id
        for config in (CONFIG, CONFIG, other, CONFIG)
    ]
    assert ids == [1, 1, 2, 3]
    versions = organisation.rows("SELECT * FROM config_versions ORDER BY id")
    assert [json.loads(row["config_data"]) for row in versions] == [
        config.document() for config in (CONFIG, other, CONFIG)
    ]
    assert [row["valid_to"] for row in versions] == [
        versions[1]["valid_from"],
        versions[2]["valid_from"],
        None,
    ]


def test_a_preview_says_what_publishing_would_change_and_writes_nothing(organisation, unproven):
    organisation.publish(plan(planned(1), planned(2), planned(3)))
    before = organisation.schedules()
    new = plan(planned(1), skipped(2), planned(4), planned(4, "aep"))
    with planner_rows_in_background(organisation.url, CONFIG) as existing:
        preview = preview_changes(new, organisation.inputs(), existing())
    assert organisation.schedules() == before
    assert preview.totals == {"added": 2, "changed": 1, "removed": 1, "unchanged": 1}
    assert preview == organisation.publish(new).schedules.changes


# the planner and the proof themselves


def test_planning_twice_changes_nothing_and_the_next_day_little(organisation):
    zip_codes = ("75001", "90210", "10001", "63101", "89101", "2134", "bad")
    for contact_id in range(1, 61):
        organisation.write(
            "INSERT INTO contacts (id, email, zip_code, birth_date, effective_date) VALUES (?, ?, ?, ?, ?)",
            (
                contact_id,
                f"contact{contact_id}@example.com",
                zip_codes[contact_id % len(zip_codes)],
                f"195{contact_id % 10}-{contact_id % 12 + 1:02}-{contact_id % 28 + 1:02}",
                f"2019-{contact_id % 5 + 1:02}-01",
            ),
        )

    def make_and_publish(as_of):
        inputs = organisation.inputs(as_of)
        return organisation.publish(make_plan(inputs, CONFIG), inputs=inputs).schedules

    first = make_and_publish(AS_OF)
    rows = organisation.schedules()
    assert first.changes.totals["added"] == len(rows) > 60
    again = make_and_publish(AS_OF)
    assert organisation.schedules() == rows
    assert again.changes.totals == {"added": 0, "changed": 0, "removed": 0, "unchanged": len(rows)}
    assert again.before_checksum == again.after_checksum == first.after_checksum
    next_day = make_and_publish(AS_OF + timedelta(days=1)).changes
    assert next_day.totals["unchanged"] > 0.9 * len(rows)

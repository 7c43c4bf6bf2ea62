"""Whatever other programs have stored in any column of any table: every command comes to an end in words."""

import re

import psycopg
from hypothesis import given
from hypothesis import strategies as st

from email_scheduler_tests.databases import on_sqlite, replace_rows
from email_scheduler_tests.hostile_values import hostile_examples
from email_scheduler_tests.integration.every_command import CALLS, DAY, Organisation, tokens_of, written
from email_scheduler_tests.integration.spoilt_rows import spoilt

# of no organisation, or of all of them
NOT_TRIED = {"generate", "demo"}


def test_every_command_comes_to_an_end_whatever_is_stored(agency: Organisation) -> None:
    @hostile_examples(3)
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        replace_rows(agency.database, spoilt(agency.before, seed), are_taken=False)
        failed = []
        for name in CALLS:
            if name not in NOT_TRIED:
                try:
                    agency.run(written(name, *tokens_of(name, agency.database)))
                except AssertionError as error:
                    failed.append(str(error)[:600])
        assert not failed, "\n".join(failed)

    check()


def test_what_a_row_of_a_contact_does_not_say_is_told_as_that(agency: Organisation) -> None:
    # the sender's too, some of which stand in the calendar of the contact
    values = {"email_type": (None, "[/x]"), "skip_reason": (None, "because", "x in y")}
    values |= {"adjustment": (None, "because"), "scheduled_send_date": (None,), "ideal_send_date": (None,)}
    agency.run(written("plan", *tokens_of("plan", agency.database)))
    for column, each in values.items():
        rows = agency.database.rows("SELECT * FROM email_schedules")
        for value in each:
            agency.database.write(f"UPDATE email_schedules SET {column} = ?", (value,))
            for contact in ("1", "3", "7"):
                call = ["explain", "--contact", contact, "--as-of", DAY, "--database", agency.database.url]
                outcome = agency.run(call)
                assert outcome.code == 0, (column, value, outcome)
                assert not re.search(r"\b(None|nan)\b(?! within a year)", outcome.out), (
                    column,
                    value,
                    outcome,
                )
            for row in rows:
                agency.database.write(
                    f"UPDATE email_schedules SET {column} = ? WHERE id = ?", (row[column], row["id"])
                )


def test_a_run_of_which_no_time_and_no_configuration_are_kept_says_so(agency: Organisation) -> None:
    agency.run(written("plan", *tokens_of("plan", agency.database)))
    agency.database.write("UPDATE scheduler_checkpoints SET completed_at = NULL, config_version_id = NULL")
    at = ("--database", agency.database.url)
    assert f"{DAY}, at a time that is not known" in agency.run(["health", *at]).out
    assert "configuration version not kept" in agency.run(["report", "--as-of", DAY, *at]).out


def test_a_record_of_a_run_that_cannot_be_read_hides_nothing_else(agency: Organisation) -> None:
    for summary in ("x", "[]", '{"changes": 1}', '{"accepted_loss": {}}'):
        try:
            agency.database.write("UPDATE scheduler_checkpoints SET summary = ?", (summary,))
        except psycopg.errors.InvalidTextRepresentation:
            continue
        for name in ("report", "states", "explain", "plan"):
            outcome = agency.run(written(name, *tokens_of(name, agency.database)))
            assert outcome.code == 0, (summary, outcome)
        agency.reset()


def test_a_version_of_the_configuration_that_is_none_is_shown_and_not_used(agency: Organisation) -> None:
    agency.database.write("UPDATE config_versions SET config_data = '[1]' WHERE id = 1")
    for name, code in {"config history": 0, "config show": 0, "config diff": 2, "config rollback": 2}.items():
        outcome = agency.run(written(name, *tokens_of(name, agency.database)))
        assert outcome.code == code, outcome
        assert not code or "version 1: it is no configuration; accepted is a mapping" in outcome.err


@on_sqlite
def test_a_number_of_a_campaign_type_that_is_none_is_shown_and_can_be_mended(agency: Organisation) -> None:
    at = ("--database", agency.database.url)
    agency.database.write("UPDATE campaign_types SET priority = 'first', days_before_event = 1e300")
    assert "first" in agency.run(["campaigns", "types", *at]).out
    assert (
        "days_before_event is no whole number"
        in agency.run(["plan", "--as-of", DAY, "--allow-future", *at]).err
    )
    mended = ["campaigns", "types", "change", "promo", "priority=4", "days_before_event=7"]
    assert agency.run([*mended, *at]).code == 0
    assert agency.run(["plan", "--as-of", DAY, "--allow-future", *at]).code == 0


@on_sqlite
def test_text_that_is_no_utf_8_is_shown_with_marks_in_its_place(agency: Organisation) -> None:
    agency.database.write(
        "INSERT INTO campaign_change_log (field_changed, changed_by) VALUES ('x', CAST(X'41FF42' AS TEXT))"
    )
    outcome = agency.run(["campaigns", "changes", "--database", agency.database.url])
    assert outcome.code == 0
    assert "A\ufffdB" in outcome.out


def test_a_simulation_without_room_for_its_ids_says_so(agency: Organisation) -> None:
    agency.database.write("UPDATE tracking_clicks SET email_schedule_id = 9223372036854775807")
    outcome = agency.run(written("simulate", *tokens_of("simulate", agency.database)))
    assert outcome.code == 1
    assert "an id is 9223372036854775807; accepted, for a simulation, are those up to" in outcome.err

"""Planners that are killed at any moment: nothing is lost, and planning again completes what they began."""

import time
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from email_scheduler_tests.dagster_project import wait
from email_scheduler_tests.databases import Database
from email_scheduler_tests.faults.organisation import DAY, Organisation, rng
from email_scheduler_tests.faults.processes import start_planner
from email_scheduler_tests.faults.report import record, repetitions

# From the proof to the end, more or less.
WRITING_SECONDS = 0.5


@pytest.fixture
def organisation(database: Database, tmp_path: Path) -> Organisation:
    return Organisation(database, tmp_path)


def test_a_planner_that_is_killed_loses_nothing_and_the_next_one_completes_the_plan(
    organisation: Organisation,
) -> None:
    random, kills, in_the_middle = rng(), repetitions(200, 4), 0
    began = time.monotonic()
    assert organisation.plan(organisation.settings()) == 0
    seconds = time.monotonic() - began
    for number in range(1, kills + 1):
        settings, sent = organisation.settings(number), organisation.senders_rows()
        if number % 4 == 0:
            organisation.forget_plan()
        planner = start_planner(organisation.database.url, settings, DAY, organisation.log)
        if number % 8 < 4:
            # most of a plan is planning: half of the kills are for what comes after it
            wait(partial(is_past_planning, organisation, planner), "the plan is published")
            planner.join(random.uniform(0, WRITING_SECONDS))
        else:
            planner.join(random.uniform(0, seconds))
        planner.kill()
        planner.join()
        is_in_the_middle = organisation.open_checkpoints() == 1
        in_the_middle += is_in_the_middle
        assert organisation.senders_rows() == sent
        assert organisation.is_sound()
        began = time.monotonic()
        assert organisation.plan(settings) == 0, organisation.log.read_text()
        seconds = time.monotonic() - began
        assert organisation.differences(settings) == {}
        assert organisation.open_checkpoints() == 0
        assert organisation.senders_rows() == sent
    failed = organisation.database.query(
        "SELECT count(*) FROM scheduler_checkpoints WHERE status = 'failed'"
        " AND error_message LIKE 'the run ended without saying how%'"
    )
    assert failed == [(in_the_middle,)]
    kind = "PostgreSQL" if organisation.database.is_postgresql else "SQLite"
    record(
        f"`kill -9` of a planner at any moment, {kind}",
        "Nothing is lost; planning again brings the table to exactly the plan, and the record says what"
        " became of the run",
        f"{kills} plans killed at random moments, half of them after publishing had begun, a quarter of them"
        " first plans, each planned again",
        f"0 rows differ from the plan, 0 rows of the sender changed; {in_the_middle} were writing or about"
        " to, all of them recorded as failed",
    )


def is_past_planning(organisation: Organisation, planner: BaseProcess) -> bool:
    return organisation.open_checkpoints() > 0 or not planner.is_alive()

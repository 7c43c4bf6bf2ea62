"""Planners that sleep for longer than their lock lasts, and several that begin at once."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from email_scheduler_tests.databases import Database
from email_scheduler_tests.faults.organisation import DAY, Organisation, rng
from email_scheduler_tests.faults.processes import REFUSED_EXIT_CODE, start_planner
from email_scheduler_tests.faults.report import record, repetitions

STALE_SECONDS = 1

# Where few are stopped, it may be that none of them holds the planner lock.
MORE_TIMES = 6
TABLE = "SELECT * FROM email_schedules ORDER BY id"


@pytest.fixture
def organisation(database: Database, tmp_path: Path) -> Organisation:
    return Organisation(database, tmp_path)


def impatient(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings of a planner that waits neither for another one nor for the database."""
    return {
        **settings,
        "processing": {**settings["processing"], "lock_stale_after_seconds": STALE_SECONDS},
        "database": {"connection_pool": {"connection_timeout": 1}},
    }


def test_a_planner_that_slept_for_longer_than_its_lock_lasts_writes_nothing_when_it_wakes_up(
    organisation: Organisation,
) -> None:
    random, times, overtaken, number = rng(), repetitions(20, 2), 0, 0
    assert organisation.plan(organisation.settings()) == 0
    while number < times or (overtaken == 0 and number < times + MORE_TIMES):
        number += 1
        sleeper = start_planner(
            organisation.database.url, organisation.settings(number), DAY, organisation.log
        )
        time.sleep(random.uniform(0.2, 1.0))
        os.kill(sleeper.pid or 0, signal.SIGSTOP)
        time.sleep(STALE_SECONDS + 0.5)
        settings = impatient(organisation.settings(number + 1))
        is_overtaken = organisation.plan(settings) == 0
        # one that holds the file itself keeps even readers out
        published = organisation.database.query(TABLE) if is_overtaken else []
        os.kill(sleeper.pid or 0, signal.SIGCONT)
        sleeper.join(60)
        # a sleeper that holds the database in the middle of a transaction keeps others waiting, and goes on
        expected = (0,) if not is_overtaken else (0, REFUSED_EXIT_CODE)
        assert sleeper.exitcode in expected, organisation.log.read_text()
        if is_overtaken and sleeper.exitcode == REFUSED_EXIT_CODE:
            overtaken += 1
            assert "another planner has taken over" in organisation.log.read_text().splitlines()[-1]
            assert organisation.database.query(TABLE) == published
            assert organisation.differences(settings) == {}
        assert organisation.plan(organisation.settings(number)) == 0
        assert organisation.differences(organisation.settings(number)) == {}
    assert overtaken > 0
    kind = "PostgreSQL" if organisation.database.is_postgresql else "SQLite"
    record(
        f"A planner is suspended for longer than its heartbeat, {kind}",
        "Another planner takes over; the first one writes nothing when it wakes up",
        f"{number} planners stopped with `SIGSTOP` at random moments, overtaken, continued",
        f"{overtaken} were overtaken and refused (the others were done, or held the database in the middle"
        " of a transaction, so that the second planner gave up); the table was the second plan each time",
    )


def test_planners_that_begin_at_once_leave_one_plan(organisation: Organisation) -> None:
    times = repetitions(20, 1)
    for number in range(times):
        organisation.forget_plan()
        settings = organisation.settings(number)
        planners = [
            start_planner(organisation.database.url, settings, DAY, organisation.log) for _ in range(3)
        ]
        for planner in planners:
            planner.join(120)
        assert [planner.exitcode for planner in planners] == [0, 0, 0], organisation.log.read_text()
        assert organisation.differences(settings) == {}
    runs = organisation.database.query(
        "SELECT count(*), count(DISTINCT schedules_after_checksum) FROM scheduler_checkpoints"
        " WHERE status = 'completed'"
    )
    assert runs[0][0] == 3 * times
    kind = "PostgreSQL" if organisation.database.is_postgresql else "SQLite"
    record(
        f"Three planners of one organisation begin at once, {kind}",
        "They leave one plan",
        f"three processes, {times} times, from no plan on",
        "all ended well, one after the other; 0 rows differ from the plan",
    )

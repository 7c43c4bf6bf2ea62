"""One planner a database at a time."""

import logging
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.connections.opening import connect
from email_scheduler.database.lock import planner_lock
from email_scheduler.errors import PlannerLockedError
from email_scheduler_tests.databases import on_postgresql

CONFIG = SchedulerConfig.model_validate(
    {"processing": {"lock_timeout_seconds": 0, "lock_stale_after_seconds": 900}}
)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

# Takes the lock as this process does, and either ends without giving it back, or waits to be told to.
HOLDER = """
import os, sys
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.lock import planner_lock
from email_scheduler_tests.databases import on_postgresql
with planner_lock(sys.argv[1], SchedulerConfig(), "other-run"):
    print("holding", flush=True)
    sys.stdin.read()
    os._exit(9)
"""


class Clock:
    """A clock that tests turn by hand."""

    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def url(database):
    return database.url


def row(url):
    with connect(url, CONFIG) as connection:
        rows = connection.execute("SELECT owner, run_id, token, acquired_at, heartbeat_at FROM planner_lock")
    assert len(rows) == 1
    *others, acquired_at, heartbeat_at = rows[0]
    return (*others, _moment(acquired_at), _moment(heartbeat_at))


def _moment(text):
    return None if text is None else datetime.fromisoformat(text)


def test_the_lock_is_held_for_the_block_and_given_back(url):
    with planner_lock(url, CONFIG, "run-1", "host:1", clock=Clock()):
        assert row(url) == ("host:1", "run-1", 1, NOON, NOON)
    assert row(url) == (None, None, 1, None, None)


def test_the_lock_is_given_back_after_an_error(url):
    with pytest.raises(KeyError), planner_lock(url, CONFIG, "run-1", "host:1"):
        raise KeyError
    assert row(url)[0] is None


def test_each_holder_has_a_higher_token(url):
    tokens = []
    for number in range(3):
        with planner_lock(url, CONFIG, f"run-{number}", "host:1") as lock:
            tokens.append(lock.token)
    assert tokens == [1, 2, 3]


def test_without_an_owner_the_host_and_process_hold_the_lock(url):
    with planner_lock(url, CONFIG, "run-1"):
        assert re.fullmatch(rf".+:{os.getpid()}", row(url)[0])


def test_a_second_planner_says_who_holds_the_lock_and_since_when(url):
    clock = Clock()
    with planner_lock(url, CONFIG, "run-1", "host:1", clock=clock) as lock:
        clock.now += timedelta(minutes=5)
        lock.heartbeat()
        with (
            pytest.raises(PlannerLockedError) as caught,
            planner_lock(url, CONFIG, "run-2", "host:2", clock=clock),
        ):
            pytest.fail("two planners hold the lock")
        lock.heartbeat()
    message = str(caught.value)
    since, heartbeat = re.search(r"host:1 \(run run-1\) since (.*), last heartbeat (.*?);", message).groups()
    assert (_moment(since), _moment(heartbeat)) == (NOON, NOON + timedelta(minutes=5))
    assert "lock_timeout_seconds" in message


def test_a_second_planner_waits_until_the_first_one_is_done(url):
    config = SchedulerConfig.model_validate({"processing": {"lock_timeout_seconds": 60}})
    first = planner_lock(url, config, "run-1", "host:1")
    first.__enter__()
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        if len(waited) == 3:
            first.__exit__(None, None, None)

    with planner_lock(url, config, "run-2", "host:2", sleep=sleep):
        assert row(url)[1] == "run-2"
    assert len(waited) == 3


def test_a_heartbeat_is_the_time_of_the_clock(url):
    clock = Clock()
    with planner_lock(url, CONFIG, "run-1", "host:1", clock=clock) as lock:
        clock.now += timedelta(minutes=1)
        lock.heartbeat()
        assert row(url)[3:] == (NOON, NOON + timedelta(minutes=1))


def test_a_lock_without_a_heartbeat_for_too_long_is_taken_over(url, caplog):
    clock = Clock()
    with planner_lock(url, CONFIG, "run-1", "host:1", clock=clock) as suspended:
        clock.now += timedelta(seconds=900)
        with pytest.raises(PlannerLockedError), planner_lock(url, CONFIG, "run-2", "host:2", clock=clock):
            pytest.fail("the heartbeat is not older than 900 seconds")
        clock.now += timedelta(seconds=1)
        with (
            caplog.at_level(logging.WARNING),
            planner_lock(url, CONFIG, "run-2", "host:2", clock=clock) as successor,
        ):
            assert "run-1" in caplog.text
            with pytest.raises(PlannerLockedError, match="host:2 \\(run run-2\\)"):
                suspended.heartbeat()
            successor.heartbeat()


def test_a_suspended_planner_neither_renews_nor_gives_back_what_is_not_its_own(url):
    clock = Clock()
    suspended = planner_lock(url, CONFIG, "run-1", "host:1", clock=clock)
    lock = suspended.__enter__()
    clock.now += timedelta(hours=1)
    with planner_lock(url, CONFIG, "run-2", "host:2", clock=clock):
        suspended.__exit__(None, None, None)
        assert row(url)[0] == "host:2"
        with (
            connect(url, CONFIG) as connection,
            pytest.raises(PlannerLockedError),
            connection.transaction(),
        ):
            lock.renew(connection)
    with pytest.raises(PlannerLockedError, match="held by nobody"):
        lock.heartbeat()


def test_the_token_fences_off_a_former_holder_of_the_same_name(url):
    clock = Clock()
    with planner_lock(url, CONFIG, "run-1", "host:1", clock=clock) as suspended:
        clock.now += timedelta(hours=1)
        with (
            planner_lock(url, CONFIG, "run-1", "host:1", clock=clock),
            pytest.raises(PlannerLockedError),
        ):
            suspended.heartbeat()


def test_a_heartbeat_from_the_future_is_no_heartbeat(url):
    clock = Clock()
    clock.now += timedelta(days=365)
    with planner_lock(url, CONFIG, "run-1", "host:1", clock=clock):
        clock.now = NOON
        with planner_lock(url, CONFIG, "run-2", "host:2", clock=clock):
            assert row(url)[0] == "host:2"


def test_the_lock_of_another_process_is_respected_until_that_process_is_gone(url):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "holding\n"
            with pytest.raises(PlannerLockedError, match="other-run"), planner_lock(url, CONFIG, "run-2"):
                pytest.fail("two planners hold the lock")
        finally:
            process.stdin.close()
            process.wait(timeout=60)
    assert process.returncode == 9
    assert row(url)[1] == "other-run"
    with planner_lock(url, CONFIG, "run-2") as lock:
        assert lock.token == 2


@on_postgresql
def test_on_a_server_it_shows_on_every_host_that_a_planner_is_gone(url, database):
    with planner_lock(url, CONFIG, "run-1", "another-host:1"):
        pass
    database.write(
        "UPDATE planner_lock SET owner = 'another-host:1', run_id = 'run-1', heartbeat_at = ?",
        (datetime.now(UTC).isoformat(),),
    )
    with planner_lock(url, CONFIG, "run-2") as lock:
        assert lock.token == 2


def test_a_process_of_another_host_is_never_taken_for_gone(url):
    with (
        planner_lock(url, CONFIG, "run-1", "another-host:999999999"),
        pytest.raises(PlannerLockedError),
        planner_lock(url, CONFIG, "run-2"),
    ):
        pytest.fail("two planners hold the lock")

"""Databases that are full, damaged, locked or away: a clear error, and the next plan is whole."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from email_scheduler.database.connections.faults import server_address
from email_scheduler_tests.databases import PostgresqlDatabase, SqliteDatabase
from email_scheduler_tests.faults.command import plan_by_command, planner
from email_scheduler_tests.faults.organisation import DAY, Organisation, rng
from email_scheduler_tests.faults.processes import REFUSED_EXIT_CODE, start_planner
from email_scheduler_tests.faults.report import record, repetitions

# Holds the write lock until it is told to let go.
WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


@pytest.fixture
def sqlite_organisation(sqlite_database: SqliteDatabase, tmp_path: Path) -> Organisation:
    return Organisation(sqlite_database, tmp_path)


@pytest.fixture
def postgresql_organisation(postgresql_database: PostgresqlDatabase, tmp_path: Path) -> Organisation:
    return Organisation(postgresql_database, tmp_path)


def test_a_full_disk_is_a_clear_error_and_the_next_plan_is_whole(
    sqlite_organisation: Organisation, tmp_path: Path
) -> None:
    organisation = sqlite_organisation
    path, random = Path(organisation.database.url.removeprefix("sqlite:///")), rng()
    times, refused = repetitions(20, 2), 0
    for number in range(times):
        organisation.forget_plan()
        settings, sent = organisation.settings(number), organisation.senders_rows()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("VACUUM")
        largest = path.stat().st_size + random.randrange(-30_000, 60_000)
        done = plan_by_command(organisation, settings, largest_file=largest)
        assert "Traceback" not in done.stderr
        if done.returncode:
            refused += 1
            assert done.returncode == 2
            assert done.stderr.splitlines()[-1].startswith("error: database sqlite:///")
        assert organisation.is_sound()
        assert organisation.senders_rows() == sent
        assert plan_by_command(organisation, settings).returncode == 0
        assert organisation.differences(settings) == {}
        assert organisation.open_checkpoints() == 0
    assert refused > 0
    record(
        "The disk is full while a plan is published",
        "A clear error, the database stays whole, and the next plan is complete",
        f"{times} first plans of SQLite files that could not grow (`RLIMIT_FSIZE`), then planned with room",
        f"{refused} were refused with one line, exit code 2; `integrity_check` ok, 0 rows differ afterwards",
    )


def test_a_damaged_file_is_a_clear_error_and_is_left_as_it_is(sqlite_organisation: Organisation) -> None:
    organisation = sqlite_organisation
    assert organisation.plan(organisation.settings()) == 0
    path = Path(organisation.database.url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole, random = path.read_bytes(), rng()
    times, refused = repetitions(50, 2), 0
    for number in range(times):
        damaged = bytearray(whole)
        for _ in range(200):
            begin = random.randrange(100, len(whole) - 64)
            damaged[begin : begin + 64] = random.randbytes(64)
        # the first time, the header as well
        path.write_bytes(bytes(damaged) if number else b"SQLite format 3\x00" + bytes(damaged[16:]))
        done = plan_by_command(organisation, organisation.settings(number + 1))
        assert "Traceback" not in done.stderr
        assert "error:" in done.stderr or done.returncode == 0
        refused += done.returncode != 0
        path.write_bytes(whole)
        for leftover in (f"{path}-wal", f"{path}-shm"):
            Path(leftover).unlink(missing_ok=True)
    assert refused == times
    assert plan_by_command(organisation, organisation.settings(1)).returncode == 0
    assert organisation.differences(organisation.settings(1)) == {}
    record(
        "A damaged SQLite file",
        "A clear error, no plan is published; the backup is the way back",
        f"{times} files with 200 times 64 random bytes, each planned",
        f"all {refused} refused with one line",
    )


def test_a_planner_waits_for_another_writer_and_gives_up_with_a_clear_error(
    sqlite_organisation: Organisation,
) -> None:
    organisation = sqlite_organisation
    settings = {**organisation.settings(), "database": {"connection_pool": {"connection_timeout": 1}}}
    settings["processing"] = {**settings["processing"], "max_retry_attempts": 2, "retry_delay": 1}
    path = organisation.database.url.removeprefix("sqlite:///")
    said = {}
    for attempts, expected in ((1, 0), (2, 2)):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdin=-1, stdout=-1, text=True)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "locked\n"
        with subprocess.Popen(**planner(organisation, settings)) as planning:
            assert planning.stderr is not None
            heard = []
            for line in planning.stderr:
                heard.append(line)
                if attempts == 1 and f"cannot be reached; attempt {attempts}" in line:
                    writer.communicate("let go\n")
        writer.kill()
        writer.communicate()
        assert planning.returncode == expected, heard
        said[expected] = heard
    assert "cannot be reached; attempt 2" in "".join(said[2])
    assert "database is locked" in said[2][-1]
    assert organisation.plan(settings) == 0
    assert organisation.differences(settings) == {}
    record(
        "The database is locked by another writer",
        "The planner waits and tries again (`processing.max_retry_attempts`), then gives up with an error",
        "a writer that held SQLite's write lock until the first retry, and one that never let go",
        "planned after the first retry; given up after the second one, in one line",
    )


def test_a_server_that_ends_all_connections_does_not_end_the_plan(
    postgresql_organisation: Organisation,
) -> None:
    organisation = postgresql_organisation
    random, times, survived, cut = rng(), repetitions(40, 2), 0, 0
    for number in range(times):
        organisation.forget_plan()
        settings, sent = organisation.settings(number), organisation.senders_rows()
        process = start_planner(organisation.database.url, settings, DAY, organisation.log)
        for _ in range(3):
            process.join(random.uniform(0.1, 0.6))
            with psycopg.connect(server_address(organisation.database.url), autocommit=True) as connection:
                ended = connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name = 'email-scheduler'"
                ).fetchall()
            cut += len(ended)
        process.join(120)
        assert process.exitcode in {0, REFUSED_EXIT_CODE}, organisation.log.read_text()
        survived += process.exitcode == 0
        organisation.assert_planning_again_completes_it(settings, sent)
    # of a few, each may have been cut off as often as it tries again
    assert survived > 0 or times < 10
    record(
        "PostgreSQL ends the connections in the middle, as when it is restarted",
        "The planner connects again and goes on, or fails with a clear error; planning again completes it",
        f"all connections of {times} first plans ended three times each at random moments: {cut} connections",
        f"{survived} plans went on to the end, the others said what had happened; 0 rows differ afterwards",
    )

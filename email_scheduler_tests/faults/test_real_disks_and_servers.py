"""A disk that is really full, and a PostgreSQL server that is really killed and started again."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.backups.backup_files import backup_directory, finished_backups
from email_scheduler.database.backups.make_backup import verify_backup
from email_scheduler.database.connections.faults import server_address
from email_scheduler.database.upgrade import initialise_database
from email_scheduler_tests.dagster_project import wait
from email_scheduler_tests.databases import PostgresqlDatabase, SqliteDatabase
from email_scheduler_tests.faults.command import plan_by_command
from email_scheduler_tests.faults.organisation import DAY, Organisation, rng
from email_scheduler_tests.faults.processes import REFUSED_EXIT_CODE, start_planner
from email_scheduler_tests.faults.report import only_by_make_faults, record, repetitions
from email_scheduler_tests.integration.test_delivery import free_port

MEGABYTE = 1 << 20
DISK = 24 * MEGABYTE
# What keeps the disk full until it is deleted.
FILLER = "filler"


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """Mount a disk of ``DISK`` bytes for the block."""
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(directory)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def leave(disk: Path, room: int) -> None:
    """Fill a disk up to ``room`` bytes."""
    (disk / FILLER).unlink(missing_ok=True)
    free = shutil.disk_usage(disk).free
    (disk / FILLER).write_bytes(bytes(max(0, free - room)))


@only_by_make_faults
def test_a_disk_that_is_full_while_a_plan_is_written_leaves_a_sound_database(tmp_path: Path) -> None:
    random, times, refused = rng(), repetitions(30, 2), 0
    with small_disk(tmp_path / "disk") as disk:
        initialise_database(f"sqlite:///{disk / 'organisation.db'}")
        organisation = Organisation(SqliteDatabase(disk / "organisation.db"), tmp_path)
        for number in range(times):
            organisation.forget_plan()
            settings, sent = organisation.settings(number), organisation.senders_rows()
            with closing(sqlite3.connect(disk / "organisation.db")) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.execute("VACUUM")
            leave(disk, random.randrange(4_000_000))
            done = plan_by_command(organisation, settings)
            assert "Traceback" not in done.stderr
            if done.returncode:
                refused += 1
                assert done.returncode == 2
                assert done.stderr.splitlines()[-1].startswith("error: ")
            (disk / FILLER).unlink()
            assert organisation.is_sound()
            assert organisation.senders_rows() == sent
            assert plan_by_command(organisation, settings).returncode == 0
            assert organisation.differences(settings) == {}
            assert organisation.open_checkpoints() == 0
    assert refused > 0
    record(
        "A disk that is really full while a plan is published",
        "A clear error, the database stays whole, and the next plan is complete",
        f"{times} first plans on a tmpfs with less than 4 MB to spare, then planned with room",
        f"{refused} were refused with one line, exit code 2, the others found room; `integrity_check` ok, 0"
        " rows differ afterwards",
    )


@only_by_make_faults
def test_without_room_for_its_backup_no_plan_is_published(
    sqlite_database: SqliteDatabase, tmp_path: Path
) -> None:
    organisation, random, times, refused = (
        Organisation(sqlite_database, tmp_path),
        rng(),
        repetitions(20, 2),
        0,
    )
    assert organisation.plan(organisation.settings()) == 0
    with small_disk(tmp_path / "disk") as disk:
        for number in range(1, times + 1):
            settings = {**organisation.settings(number), "audit": {"backup_directory": str(disk / "backups")}}
            config = SchedulerConfig.model_validate(settings)
            backups = backup_directory(sqlite_database.url, config)
            shutil.rmtree(backups, ignore_errors=True)
            before = sqlite_database.query("SELECT * FROM email_schedules ORDER BY id")
            leave(disk, random.randrange(500_000))
            done = plan_by_command(organisation, settings)
            assert "Traceback" not in done.stderr
            if done.returncode:
                refused += 1
                assert "audit.backup_directory" in done.stderr.splitlines()[-1]
                assert sqlite_database.query("SELECT * FROM email_schedules ORDER BY id") == before
                assert finished_backups(backups) == []
            (disk / FILLER).unlink()
            assert plan_by_command(organisation, settings).returncode == 0
            assert organisation.differences(settings) == {}
            (backup,) = finished_backups(backups)
            verify_backup(backups, backup)
            assert backup.rows["email_schedules"] == len(before)
    assert refused > 0
    record(
        "A disk that is really full while the backup of the day is made",
        "No plan without its backup: a clear error, the table as it was, nothing half-made left",
        f"{times} plans whose backup went to a tmpfs with less than 0.5 MB to spare, then with room",
        f"{refused} refused with one line that names the directory; afterwards each planned, 0 rows differ,"
        " and the backup verified",
    )


class OwnServer:
    """A PostgreSQL server of the test alone, which it may kill."""

    def __init__(self, programs: Path, directory: Path) -> None:
        self._programs = programs
        self._data = directory / "data"
        self._port = free_port()
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self._port}/postgres"
        shutil.chown(directory, "postgres", "postgres")
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()

    def start(self) -> None:
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        self._run(
            "pg_ctl", "-D", str(self._data), "-w", "-l", str(self._data / "log"), "-o", options, "start"
        )

    def stop(self, mode: str) -> None:
        """Stop as a restart does (``fast``), or as a crash does (``immediate``)."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), *arguments],
            user="postgres" if os.getuid() == 0 else None,
            cwd="/",
            check=True,
            stdout=subprocess.DEVNULL,
        )


@pytest.fixture
def own_server() -> Iterator[OwnServer]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not programs:
        pytest.skip("the programs of a PostgreSQL server are not installed; on Debian: postgresql")
    with tempfile.TemporaryDirectory(prefix="own-server-") as directory:
        server = OwnServer(programs[-1].parent, Path(directory))
        try:
            yield server
        finally:
            server.stop("immediate")


@only_by_make_faults
def test_a_server_that_is_started_again_in_the_middle_does_not_leave_half_a_plan(
    own_server: OwnServer, tmp_path: Path
) -> None:
    initialise_database(own_server.url)
    organisation = Organisation(PostgresqlDatabase(own_server.url), tmp_path)
    random, survived, hit = rng(), 0, 0
    modes = ["fast", "immediate"] * repetitions(10, 1)
    for number, mode in enumerate(modes):
        organisation.forget_plan()
        # retried after 1, 2 and 4 seconds, more or less
        settings = organisation.settings(number)
        settings["processing"] = {**settings["processing"], "retry_delay": 1}
        sent = organisation.senders_rows()
        process = start_planner(own_server.url, settings, DAY, organisation.log)
        process.join(random.uniform(0.2, 1.5))
        hit += process.exitcode is None
        own_server.stop(mode)
        own_server.start()
        wait(partial(answers, own_server.url), "the server answers")
        process.join(120)
        assert process.exitcode in {0, REFUSED_EXIT_CODE}, organisation.log.read_text()
        survived += process.exitcode == 0
        organisation.assert_planning_again_completes_it(settings, sent)
    assert hit > 0
    record(
        "PostgreSQL is started again in the middle of a plan",
        "The planner connects again and goes on, or fails with a clear error; planning again completes it",
        f"a server of its own, stopped {len(modes)} times during first plans, half of them as by a crash"
        " (`immediate`), and started again",
        f"{hit} plans were under way; {survived} of {len(modes)} ended well, the others said what had"
        " happened; 0 rows differ afterwards",
    )


def answers(url: str) -> bool:
    try:
        psycopg.connect(server_address(url), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True

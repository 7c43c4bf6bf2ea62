"""Opening databases: which URLs are accepted, settings, locks."""

import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import adbc_driver_manager
import pytest
import sqlalchemy

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.connections.faults import database_errors, database_path, is_locked, retrying
from email_scheduler.database.connections.opening import connect, open_engine
from email_scheduler.database.schema_version import require_current_schema
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.errors import DatabaseError
from email_scheduler_tests.databases import SqliteDatabase

IMPATIENT = SchedulerConfig.model_validate(
    {
        "processing": {"max_retry_attempts": 2, "retry_delay": 0},
        "database": {"connection_pool": {"connection_timeout": 0}},
    }
)

# Another process: this one must not close a second connection to a file that it has locked.
LOCK_HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""
# What SQLite's readers hold, as another process sees it.
READERS_LOCK = """
import fcntl, sys
fcntl.lockf(open(sys.argv[1], "rb+"), fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)
"""
WRITER = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as connection:
    connection.execute(sys.argv[2])
"""


LOCKED, NO_TABLE = (
    adbc_driver_manager.OperationalError(text, status_code=adbc_driver_manager.AdbcStatusCode.IO)
    for text in ("database is locked", "no such table: contacts")
)


@contextmanager
def locked(path: Path):
    command = [sys.executable, "-c", LOCK_HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            process.communicate("\n")


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/org.db"
    initialise_database(url)
    return url


def _write(connection, *statements: str) -> None:
    with connection.transaction():
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("org.db", "database org.db: not a database URL; accepted is sqlite:///PATH"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:///org.db?mode=ro", "parameters after"),
        ("sqlite+aiosqlite:///org.db", "not supported; accepted is sqlite:///PATH"),
        (
            "postgresql://me:secret@host/org",
            r"postgresql://\.\.\.: not supported; accepted is sqlite",
        ),
    ],
)
def test_other_urls_are_refused_without_showing_a_password(url: str, message: str) -> None:
    with pytest.raises(DatabaseError, match=message) as caught:
        database_path(url)
    assert "secret" not in str(caught.value)


def test_paths_are_relative_with_three_slashes_and_absolute_with_four(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert database_path("sqlite:///data/org.db") == tmp_path / "data" / "org.db"
    assert database_path("sqlite:////srv/org.db") == Path("/srv/org.db")


def test_a_missing_file_is_an_error_and_stays_missing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/missing.db"
    with pytest.raises(DatabaseError, match=r"there is no file .*missing\.db; email-scheduler init-db"):
        open_engine(url, SchedulerConfig().database)
    with pytest.raises(DatabaseError, match="there is no file"), connect(url, SchedulerConfig()):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"id,email\n1,a@example.org\n", b"x"])
def test_a_file_that_is_no_database_is_refused_and_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "contacts.csv"
    path.write_bytes(content)

    def open_and_read(url: str) -> None:
        with database_errors(url), connect(url, SchedulerConfig()) as connection:
            connection.execute("SELECT count(*) FROM contacts")

    for function in (require_current_schema, initialise_database, open_and_read):
        with pytest.raises(DatabaseError, match=r"contacts\.csv: .*file is not a database"):
            function(f"sqlite:///{path}")
    assert path.read_bytes() == content


def test_opening_a_connection_leaves_the_locks_of_those_that_are_open_alone(
    sqlite_database: SqliteDatabase,
) -> None:
    def is_locked() -> bool:
        command = [sys.executable, "-c", READERS_LOCK, str(sqlite_database.path)]
        return b"BlockingIOError" in subprocess.run(command, check=False, capture_output=True).stderr

    with connect(sqlite_database.url, SchedulerConfig()) as connection:
        connection.execute("SELECT count(*) FROM contacts")
        assert is_locked()
        with connect(sqlite_database.url, SchedulerConfig()) as second:
            second.execute("SELECT count(*) FROM contacts")
            assert is_locked()
        assert is_locked()
    assert not is_locked()


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="is not a file"):
        initialise_database(f"sqlite:///{tmp_path}")


def test_file_names_may_hold_what_means_something_in_urls(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/Smith & Sons #1 100%.db"
    initialise_database(url)
    with connect(url, SchedulerConfig()) as connection:
        assert connection.execute("SELECT count(*) FROM contacts") == [(0,)]
    assert "Smith & Sons #1 100%.db" in {path.name for path in tmp_path.iterdir()}


def test_both_kinds_of_connection_have_the_settings_of_the_configuration(url: str) -> None:
    config = SchedulerConfig.model_validate(
        {
            "database": {
                "foreign_keys": False,
                "sqlite_optimizations": {
                    "journal_mode": "PERSIST",
                    "synchronous": "FULL",
                    "cache_size": -4321,
                    "temp_store": "FILE",
                },
                "connection_pool": {"connection_timeout": 7},
            }
        }
    )
    wanted = {
        "foreign_keys": 0,
        "journal_mode": "persist",
        "synchronous": 2,
        "cache_size": -4321,
        "temp_store": 1,
        "busy_timeout": 7000,
    }
    with open_engine(url, config.database).connect() as connection:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted}
    assert found == wanted
    with connect(url, config) as connection:
        assert {name: connection.execute(f"PRAGMA {name}")[0][0] for name in wanted} == wanted


def test_foreign_keys_are_enforced_by_default(url: str) -> None:
    insert = "INSERT INTO campaign_instances (campaign_type) VALUES ('nobody')"
    with (
        open_engine(url, SchedulerConfig().database).connect() as connection,
        pytest.raises(sqlalchemy.exc.IntegrityError),
    ):
        connection.exec_driver_sql(insert)
    with connect(url, SchedulerConfig()) as connection, pytest.raises(Exception, match="FOREIGN KEY"):
        connection.execute(insert)


def test_a_change_of_the_schema_is_rolled_back_with_its_transaction(url: str) -> None:
    engine = open_engine(url, SchedulerConfig().database)
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE extra (id INTEGER)")
        connection.rollback()
        assert "extra" not in sqlalchemy.inspect(connection).get_table_names()


def test_an_immediate_transaction_is_committed_or_rolled_back_as_a_whole(url: str) -> None:
    insert = "INSERT INTO contacts (id) VALUES ({})"
    with connect(url, SchedulerConfig()) as connection:
        _write(connection, insert.format(1))
        with pytest.raises(Exception, match="UNIQUE"):
            _write(connection, insert.format(2), insert.format(1))
        _write(connection, insert.format(3))
        connection.execute(insert.format(4))
    with connect(url, SchedulerConfig()) as connection:
        assert connection.execute("SELECT id FROM contacts ORDER BY id") == [(1,), (3,)]


def test_an_immediate_transaction_holds_the_write_lock_from_its_beginning(url: str, tmp_path: Path) -> None:
    with connect(url, SchedulerConfig()) as connection, connection.transaction():
        command = [sys.executable, "-c", LOCK_HOLDER.replace("sys.argv[1]", "sys.argv[1], timeout=0")]
        result = subprocess.run(
            [*command, str(tmp_path / "org.db")], capture_output=True, text=True, check=False
        )
        assert "database is locked" in result.stderr


def test_a_connection_can_be_used_on_after_it_found_the_database_locked(url: str, tmp_path: Path) -> None:
    with connect(url, IMPATIENT) as connection:
        with (
            locked(tmp_path / "org.db"),
            pytest.raises(Exception, match="is locked") as caught,
            connection.transaction(),
        ):
            pass
        assert is_locked(caught.value)
        _write(connection, "INSERT INTO contacts (id) VALUES (1)")
        assert connection.execute("SELECT id FROM contacts") == [(1,)]


def test_reading_sees_one_moment_however_long_it_takes(url: str, tmp_path: Path) -> None:
    insert = "INSERT INTO contacts (id) VALUES (1)"
    with connect(url, SchedulerConfig()) as connection:
        assert connection.execute("SELECT count(*) FROM contacts") == [(0,)]
        subprocess.run([sys.executable, "-c", WRITER, str(tmp_path / "org.db"), insert], check=True)
        assert connection.execute("SELECT count(*) FROM contacts") == [(0,)]
        with connection.transaction():
            assert connection.execute("SELECT count(*) FROM contacts") == [(1,)]


def test_a_locked_database_is_tried_again_as_often_as_configured(url: str) -> None:
    attempts = []

    def fail() -> None:
        attempts.append(1)
        raise LOCKED

    with pytest.raises(adbc_driver_manager.OperationalError):
        retrying(IMPATIENT)(fail)
    assert len(attempts) == 3


def test_other_failures_are_not_tried_again(url: str) -> None:
    attempts = []

    def fail() -> None:
        attempts.append(1)
        raise NO_TABLE

    with pytest.raises(adbc_driver_manager.OperationalError):
        retrying(IMPATIENT)(fail)
    assert len(attempts) == 1


def test_waiting_for_a_locked_database_ends_when_it_is_free(url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "org.db", isolation_level=None, timeout=0)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        results = iter([None, "COMMIT"])

        def write() -> str:
            if statement := next(results, None):
                holder.execute(statement)
            with open_engine(url, IMPATIENT.database).connect() as connection:
                connection.exec_driver_sql("INSERT INTO contacts (id) VALUES (1)")
                connection.commit()
            return "written"

        assert retrying(IMPATIENT)(write) == "written"

"""What is particular to PostgreSQL: COPY, its own types, locks, several who initialise at once."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pyarrow as pa
import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.connections.arrow import read_frame
from email_scheduler.database.connections.faults import database_errors, is_locked, retrying
from email_scheduler.database.connections.opening import connect
from email_scheduler.database.schema_version import require_current_schema
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.errors import DatabaseError
from email_scheduler.planning.frames import CONTACT_ISSUES, CONTACTS_TABLE
from email_scheduler_tests.databases import PostgresqlDatabase

CONFIG = SchedulerConfig.model_validate(
    {
        "processing": {"max_retry_attempts": 2, "retry_delay": 0},
        "database": {"connection_pool": {"connection_timeout": 1}},
    }
)
AWKWARD = (
    *(
        "plain",
        "",
        " ",
        '"',
        '""',
        "a,b",
        "a\nb",
        "a\r\nb",
        "\n",
        "\\",
        "\\.",
        "\\N",
        "NULL",
        "\t",
        "%s",
        "?",
        "{}",
    ),
    *("Ä", "\u2028", "😀", "'; --"),
    None,
)


@pytest.fixture
def url(postgresql_database: PostgresqlDatabase) -> str:
    return postgresql_database.url


def test_texts_of_all_kinds_are_written_and_read_as_they_are(url: str) -> None:
    ids = list(range(1, len(AWKWARD) + 1))
    with connect(url, CONFIG) as connection:
        with connection.transaction():
            rows = {"id": ids, "email": AWKWARD, "state": pa.array(AWKWARD).dictionary_encode()}
            connection.append("contacts", pa.table(rows))
        contacts = read_frame(connection, CONTACTS_TABLE, "contacts ORDER BY id", distinct=("email",))
        stored = connection.execute("SELECT email FROM contacts ORDER BY id")
    assert [text for (text,) in stored] == list(AWKWARD)
    for name in ("email", "state"):
        assert [None if text != text else text for text in contacts[name]] == list(AWKWARD)


def test_new_rows_are_numbered_after_appended_ones(url: str, postgresql_database: PostgresqlDatabase) -> None:
    with connect(url, CONFIG) as connection, connection.transaction():
        connection.append("contacts", pa.table({"id": [7, 3]}))
    postgresql_database.write("INSERT INTO contacts (email) VALUES ('a')")
    assert postgresql_database.query("SELECT id FROM contacts ORDER BY id") == [(3,), (7,), (8,)]


def test_dates_and_json_come_back_as_the_text_that_was_written(
    url: str, postgresql_database: PostgresqlDatabase
) -> None:
    document = '{"b":  1, "a": "ü", "b": 2}'
    postgresql_database.insert(
        "email_schedules",
        {
            "status": "sent",
            "scheduled_send_date": "2026-11-23",
            "metadata": document,
            "actual_send_datetime": "2026-11-24T05:30:00Z",
        },
    )
    with connect(url, CONFIG) as connection:
        assert connection.execute(
            "SELECT scheduled_send_date, metadata, actual_send_datetime FROM email_schedules"
        ) == [("2026-11-23", document, "2026-11-23 23:30:00-06")]


def test_reading_sees_one_moment_however_long_it_takes(
    url: str, postgresql_database: PostgresqlDatabase
) -> None:
    with connect(url, CONFIG) as connection:
        assert connection.execute("SELECT count(*) FROM contacts") == [(0,)]
        postgresql_database.insert("contacts", {"id": 1})
        assert connection.execute("SELECT count(*) FROM contacts") == [(0,)]
        with connection.transaction():
            assert connection.execute("SELECT count(*) FROM contacts") == [(1,)]


def test_a_connection_can_be_used_on_after_an_error(url: str) -> None:
    with connect(url, CONFIG) as connection:
        with pytest.raises(psycopg.errors.UniqueViolation), connection.transaction():
            connection.execute("INSERT INTO contacts (id) VALUES (1), (1)")
        with connection.transaction():
            connection.execute("INSERT INTO contacts (id) VALUES (2)")
        with pytest.raises(psycopg.errors.UndefinedColumn):
            connection.execute("SELECT nothing FROM contacts")
        connection.end_reading()
        assert connection.execute("SELECT id FROM contacts") == [(2,)]


def test_outside_of_a_transaction_nothing_can_be_written(url: str) -> None:
    with connect(url, CONFIG) as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("INSERT INTO contacts (id) VALUES (1)")


def test_whoever_waits_too_long_for_a_lock_tries_again_as_often_as_configured(url: str) -> None:
    attempts = []

    def write() -> None:
        attempts.append(1)
        with connect(url, CONFIG) as connection, connection.transaction():
            connection.lock_planner_table()

    with connect(url, CONFIG) as holder, holder.transaction():
        holder.lock_planner_table()
        with pytest.raises(psycopg.errors.LockNotAvailable) as caught:
            retrying(CONFIG)(write)
    assert is_locked(caught.value)
    assert len(attempts) == 3


def test_a_sender_waits_for_the_planner_to_write_the_rows_of_a_contact(
    url: str, postgresql_database: PostgresqlDatabase
) -> None:
    postgresql_database.insert("email_schedules", {"id": 1, "contact_id": 5, "status": "pre-scheduled"})
    claim = "UPDATE email_schedules SET status = 'processing' WHERE id = 1 AND status = 'pre-scheduled'"
    claimed = threading.Event()

    def send() -> None:
        postgresql_database.write(claim)
        claimed.set()

    with ThreadPoolExecutor(1) as sender, connect(url, CONFIG) as connection:
        with connection.transaction():
            connection.lock_contacts([5])
            sending = sender.submit(send)
            assert not claimed.wait(0.3)
            connection.execute("UPDATE email_schedules SET status = 'skipped' WHERE id = 1")
        sending.result(timeout=10)
    assert postgresql_database.query("SELECT status FROM email_schedules") == [("skipped",)]


def test_errors_do_not_show_the_rows_that_they_are_about(
    url: str, postgresql_database: PostgresqlDatabase
) -> None:
    insert = "INSERT INTO contacts (id, email, birth_date) VALUES (1, 'somebody@example.com', '1950-03-10')"
    postgresql_database.write(insert)
    with pytest.raises(DatabaseError, match="duplicate key value") as caught, database_errors(url):
        postgresql_database.write(insert)
    assert "(1)" not in str(caught.value)


def test_several_may_initialise_a_database_at_once(bare_postgresql: PostgresqlDatabase) -> None:
    with ThreadPoolExecutor(4) as executor:
        changes = list(executor.map(initialise_database, [bare_postgresql.url] * 4))
    assert sorted(change.is_change for change in changes) == [False, False, False, True]
    require_current_schema(bare_postgresql.url)


def test_a_database_of_another_encoding_is_refused(bare_postgresql: PostgresqlDatabase) -> None:
    name = f"email_scheduler_test_{os.getpid()}_latin1"
    with psycopg.connect(bare_postgresql.url.replace("+psycopg", ""), autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name}")
        server.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        try:
            with pytest.raises(DatabaseError, match="its encoding is LATIN1; accepted is UTF8"):
                initialise_database(bare_postgresql.url.rpartition("/")[0] + f"/{name}")
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_nothing_is_read_from_an_empty_table_and_nothing_written_from_empty_rows(url: str) -> None:
    with connect(url, CONFIG) as connection:
        with connection.transaction():
            connection.append("contact_issues", pa.table({"contact_id": pa.array([], pa.int64())}))
        assert len(read_frame(connection, CONTACT_ISSUES, "contact_issues")) == 0

"""Bringing the PostgreSQL databases of the older program up to date without losing anything."""

from typing import Any

import psycopg
import pytest
from sqlalchemy.dialects import postgresql

from email_scheduler.database import tables
from email_scheduler.database.migrations import triggers_0004_postgresql
from email_scheduler.database.migrations.adoption_postgresql import PostgresqlAdoption
from email_scheduler.database.relations import VERSION_TABLE
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.errors import DatabaseError
from email_scheduler_tests.databases import PostgresqlDatabase

# As the one of test_init_db, with the types that somebody chose on PostgreSQL.
OLDER_DATABASE = """
    CREATE TABLE contacts (
        id SERIAL PRIMARY KEY, first_name TEXT, last_name TEXT, email VARCHAR(255) NOT NULL,
        zip_code INTEGER, state CHAR(2), birth_date DATE, agent TEXT
    );
    INSERT INTO contacts (id, email, zip_code, birth_date, agent) VALUES
        (1, 'a@example.org', 75001, '1950-03-10', 'north'), (2, 'b@example.org', 2134, '1948-02-10', NULL);
    CREATE TABLE email_schedules (
        id SERIAL PRIMARY KEY,
        contact_id INTEGER NOT NULL REFERENCES contacts(id),
        email_type VARCHAR(50) NOT NULL,
        scheduled_send_date VARCHAR(20) NOT NULL,
        scheduled_send_time TIME DEFAULT '08:30:00',
        status VARCHAR(20) DEFAULT 'pre-scheduled' CHECK (status <> 'unknown'),
        skip_reason TEXT,
        event_year SMALLINT, event_month INTEGER, event_day INTEGER,
        metadata JSONB,
        catchup_note TEXT DEFAULT 'none',
        batch_code TEXT NOT NULL,
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        actual_send_datetime TEXT,
        CONSTRAINT one_a_day UNIQUE (contact_id, email_type, scheduled_send_date)
    );
    CREATE UNIQUE INDEX only_one ON email_schedules (contact_id, scheduled_send_date);
    CREATE INDEX by_batch ON email_schedules (batch_code);
    INSERT INTO email_schedules
        (id, contact_id, email_type, scheduled_send_date, status, event_year, event_month, event_day,
         batch_code, actual_send_datetime, metadata, created_at)
    VALUES
        (3, 1, 'birthday', '2026-02-24', 'sent', 2026, 3, 10, 'x', '2026-02-24T23:30:00', '{"a": 1}',
         '2026-01-05 23:59:59'),
        (4, 1, 'birthday', '2026-02-25', 'sent', 2026, 3, 10, 'x', '', NULL, '2026-01-05'),
        (7, 1, 'rate_increase', '2026-12-01', 'pre-scheduled', NULL, NULL, NULL, 'y', NULL, NULL, NULL),
        (9, 2, 'aep', '2026-09-15 00:00:00', 'skipped', 2026, 9, 15, 'y', NULL, NULL, NULL),
        (10, 2, 'birthday', '2027-01-27', NULL, 2027, 2, 10, 'y', NULL, NULL, NULL);
    SELECT setval('email_schedules_id_seq', 99);
    CREATE TABLE email_tracking (
        id INTEGER PRIMARY KEY, email_id INTEGER REFERENCES email_schedules(id), event_type TEXT,
        event_data TEXT
    );
    INSERT INTO email_tracking VALUES (1, 3, 'click', ''), (2, 3, 'click', ' {"b":  2}');
    CREATE TABLE contact_events (
        contact_id INTEGER REFERENCES contacts(id) ON DELETE CASCADE, event_type TEXT
    );
    INSERT INTO contact_events VALUES (1, 'eligibility_answered');
    CREATE TABLE campaign_types (name VARCHAR(40) PRIMARY KEY, priority BIGINT, active INTEGER, colour TEXT);
    INSERT INTO campaign_types VALUES ('rate_increase', 1, 0, 'red'), ('other', 2, NULL, NULL);
    CREATE TABLE campaign_instances (
        id INTEGER PRIMARY KEY, campaign_type VARCHAR(40) REFERENCES campaign_types(name), instance_name TEXT,
        active_start_date DATE
    );
    INSERT INTO campaign_instances VALUES
        (1, 'rate_increase', 'autumn', '2026-01-01'), (2, 'rate_increase', 'autumn', NULL);
    CREATE TABLE contact_suppressions (contact_id INTEGER, suppressed_at TIMESTAMP);
    INSERT INTO contact_suppressions VALUES (2, '2026-01-05 10:00:00');
    CREATE TABLE sent_log (id SERIAL PRIMARY KEY, schedule_id INTEGER REFERENCES email_schedules(id));
    INSERT INTO sent_log (schedule_id) VALUES (4);
    CREATE VIEW batches AS SELECT id, batch_code FROM email_schedules WHERE batch_code NOT LIKE '%z%';
    CREATE VIEW batches_of_sent (batch) WITH (security_barrier = true) AS
        SELECT batch_code FROM batches JOIN email_schedules USING (id, batch_code) WHERE status = 'sent';
    GRANT SELECT ON batches TO PUBLIC;
    CREATE VIEW due_emails AS SELECT id FROM email_schedules WHERE status = 'pre-scheduled';
    CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO sent_log (schedule_id) VALUES (new.id); RETURN new; END';
    CREATE TRIGGER note_changes AFTER UPDATE ON email_schedules FOR EACH ROW EXECUTE FUNCTION note_change();
"""


CONSTRAINTS = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = CAST('public' AS regnamespace) ORDER BY 1
"""


@pytest.fixture
def older(bare_postgresql: PostgresqlDatabase) -> PostgresqlDatabase:
    bare_postgresql.run(OLDER_DATABASE)
    return bare_postgresql


def _columns(database: PostgresqlDatabase) -> dict[tuple[str, str], str]:
    rows = database.query(
        "SELECT relname, attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " JOIN pg_class ON pg_class.oid = attrelid WHERE relkind = 'r' AND attnum > 0 AND NOT attisdropped"
        " AND relnamespace = CAST('public' AS regnamespace)"
    )
    return {(table, column): kind for table, column, kind in rows}


def _dump(database: PostgresqlDatabase) -> dict[str, Any]:
    dump: dict[str, Any] = {"columns": _columns(database)}
    for name, definition in (
        ("indexes", "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"),
        ("constraints", CONSTRAINTS),
        ("views", "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1"),
        ("sequences", "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1"),
    ):
        dump[name] = database.query(definition)
    for table in sorted({table for table, _ in dump["columns"]}):
        dump[table] = sorted(database.query(f"SELECT * FROM {table}"), key=repr)
    return dump


def _type(column: Any) -> str:
    return str(column.type.compile(postgresql.psycopg.dialect())).lower()


def test_the_migrations_make_the_tables_that_the_package_works_with(
    bare_postgresql: PostgresqlDatabase,
) -> None:
    change = initialise_database(bare_postgresql.url)
    assert (change.before, change.is_change) == (None, True)
    wanted = {
        (table.name, column.name): _type(column)
        for table in tables.metadata.tables.values()
        for column in table.columns
    }
    found = {key: kind for key, kind in _columns(bare_postgresql).items() if key[0] != VERSION_TABLE}
    assert found == wanted
    indexes = {index.name for table in tables.metadata.tables.values() for index in table.indexes}
    assert {name for (name,) in bare_postgresql.query("SELECT indexname FROM pg_indexes")} >= indexes
    assert not initialise_database(bare_postgresql.url).is_change


def test_an_older_database_gets_the_columns_and_types_of_a_new_one(older: PostgresqlDatabase) -> None:
    initialise_database(older.url)
    found = _columns(older)
    wider = {("campaign_types", "priority"): "bigint"}
    for table in tables.metadata.tables.values():
        for column in table.columns:
            key = (table.name, column.name)
            if table.name == "contacts":
                assert key in found
            else:
                assert found[key] == wider.get(key, _type(column)), key


def test_an_older_database_loses_no_row_and_no_value(older: PostgresqlDatabase) -> None:
    initialise_database(older.url)
    assert older.query(
        "SELECT id, contact_id, email_type, scheduled_send_date, scheduled_send_time, status, event_year,"
        " catchup_note, batch_code, CAST(created_at AS TEXT), actual_send_datetime, metadata, updated_at"
        " FROM email_schedules ORDER BY id"
    ) == [
        (
            *(
                3,
                1,
                "birthday",
                "2026-02-24",
                "08:30:00",
                "sent",
                2026,
                "none",
                "x",
                "2026-01-05 23:59:59-06",
            ),
            *("2026-02-24 23:30:00-06", '{"a": 1}', None),
        ),
        (
            *(
                4,
                1,
                "birthday",
                "2026-02-25",
                "08:30:00",
                "sent",
                2026,
                "none",
                "x",
                "2026-01-05 00:00:00-06",
            ),
            *(None, None, None),
        ),
        (
            *(7, 1, "rate_increase", "2026-12-01", "08:30:00", "pre-scheduled", None, "none", "y", None),
            *(None, None, None),
        ),
        (*(9, 2, "aep", "2026-09-15", "08:30:00", "skipped", 2026, "none", "y", None), *(None, None, None)),
        (
            *(10, 2, "birthday", "2027-01-27", "08:30:00", "unknown", 2027, "none", "y", None),
            *(None, None, None),
        ),
    ]
    assert older.query("SELECT id, email, zip_code, birth_date, agent FROM contacts ORDER BY id") == [
        (1, "a@example.org", 75001, "1950-03-10", "north"),
        (2, "b@example.org", 2134, "1948-02-10", None),
    ]
    assert older.query("SELECT id, email_id, event_data, created_at FROM email_tracking ORDER BY id") == [
        (1, 3, None, None),
        (2, 3, '{"b":  2}', None),
    ]
    assert older.query("SELECT name, priority, active, colour FROM campaign_types ORDER BY priority") == [
        ("rate_increase", 1, False, "red"),
        ("other", 2, None, None),
    ]
    assert older.query("SELECT id, active_start_date, active FROM campaign_instances ORDER BY id") == [
        (1, "2026-01-01", True),
        (2, None, True),
    ]
    assert older.query("SELECT id, contact_id, event_type FROM contact_events") == [
        (1, 1, "eligibility_answered")
    ]
    assert older.query("SELECT contact_id, suppressed_at FROM contact_suppressions") == [
        (2, "2026-01-05 10:00:00")
    ]
    assert older.query("SELECT schedule_id FROM sent_log") == [(4,)]


def test_initialising_twice_changes_nothing(older: PostgresqlDatabase) -> None:
    initialise_database(older.url)
    dump = _dump(older)
    assert not initialise_database(older.url).is_change
    assert _dump(older) == dump


def test_what_was_added_to_tables_that_were_there_is_told(older: PostgresqlDatabase) -> None:
    change = initialise_database(older.url)
    assert "contact_changes" in change.new_tables
    assert VERSION_TABLE not in change.new_tables
    told = {(each.table, each.kind): each for each in change.changes}
    added = {where: set(each.added) for where, each in told.items()}
    assert added["contacts", "columns"] == {"effective_date", "phone_number"}
    assert added["contacts", "indexes"] == {tables.ADDRESS_INDEX}
    assert added["contacts", "triggers"] == set(triggers_0004_postgresql.WATCH)
    assert {"priority", "ideal_send_date"} <= added["email_schedules", "columns"]
    assert set(told["email_schedules", "indexes"].removed) == {"one_a_day", "only_one"}
    assert "sent_log" not in {table for table, _ in told}
    assert change.ignored_columns == ("agent",)


def test_an_older_database_allows_what_plans_hold(older: PostgresqlDatabase) -> None:
    initialise_database(older.url)
    row = {"contact_id": 1, "email_type": "post_window", "scheduled_send_date": "2027-01-01"}
    for _ in range(2):
        older.insert("email_schedules", {**row, "status": "pre-scheduled"})
    # the last id that the older program gave away was 99
    assert older.query("SELECT max(id) FROM email_schedules") == [(101,)]
    with pytest.raises(psycopg.errors.NotNullViolation):
        older.insert("email_schedules", {**row})
    older.write("DELETE FROM email_schedules WHERE id = 3")
    older.write("DELETE FROM contacts WHERE id = 1")
    assert older.query("SELECT email_id FROM email_tracking") == [(3,), (3,)]
    assert older.query("SELECT contact_id FROM contact_events") == [(1,)]


def test_views_triggers_and_indexes_of_an_older_database_go_on_working(older: PostgresqlDatabase) -> None:
    initialise_database(older.url)
    older.write("UPDATE email_schedules SET status = 'sent' WHERE id = 7")
    assert older.query("SELECT schedule_id FROM sent_log ORDER BY id") == [(4,), (7,)]
    assert older.query("SELECT count(*) FROM batches") == [(5,)]
    assert older.query("SELECT batch FROM batches_of_sent ORDER BY batch") == [("x",), ("x",), ("y",)]
    (batches, _), (_, options) = older.query(
        "SELECT array_to_string(relacl, ' '), reloptions FROM pg_class"
        " WHERE relname LIKE 'batches%' ORDER BY relname"
    )
    assert "=r/" in batches.split(" ", 1)[1]
    assert options == ["security_barrier=true"]
    indexes = {
        name
        for (name,) in older.query("SELECT indexname FROM pg_indexes WHERE tablename = 'email_schedules'")
    }
    assert "by_batch" in indexes
    assert not {"only_one", "one_a_day"} & indexes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "UPDATE email_schedules SET scheduled_send_date = '3/10/1950' WHERE id IN (4, 9)",
            "table email_schedules: scheduled_send_date holds no date in 2 rows, such as that with the id 4",
        ),
        (
            "UPDATE email_schedules SET scheduled_send_date = '2026-02-30' WHERE id = 9",
            "table email_schedules: scheduled_send_date holds no date in 1 rows, such as that with the id 9",
        ),
        (
            "UPDATE email_schedules SET actual_send_datetime = '2026-02-24 25:00' WHERE id = 9",
            "actual_send_datetime holds no timestamp in 1 rows, such as that with the id 9",
        ),
        (
            "UPDATE email_tracking SET event_data = '{a@example.org' WHERE id = 2",
            "table email_tracking: event_data holds no JSON in 1 rows, such as that with the id 2",
        ),
        (
            "INSERT INTO contact_suppressions VALUES (2, NULL)",
            "table contact_suppressions: 1 values of contact_id are held by more than one row",
        ),
        ("ALTER TABLE contacts RENAME COLUMN id TO number", "table contacts has no column id"),
        (
            "CREATE MATERIALIZED VIEW sent AS SELECT scheduled_send_date FROM email_schedules",
            "cannot alter type of a column used by a view or rule; rule _RETURN on materialized view sent",
        ),
    ],
)
def test_a_failure_leaves_the_database_as_it_was(
    older: PostgresqlDatabase, change: str, message: str
) -> None:
    older.write(change)
    dump = _dump(older)
    with pytest.raises(DatabaseError, match=message) as caught:
        initialise_database(older.url)
    assert "\n" not in str(caught.value)
    assert "1950" not in str(caught.value)
    assert "example.org" not in str(caught.value)
    assert _dump(older) == dump


def test_a_failure_after_the_table_was_changed_leaves_it_as_it_was(
    older: PostgresqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(adoption: PostgresqlAdoption, table: object) -> None:
        raise psycopg.OperationalError("disk full")

    monkeypatch.setattr(PostgresqlAdoption, "add_missing_indexes", fail)
    dump = _dump(older)
    with pytest.raises(DatabaseError, match="disk full"):
        initialise_database(older.url)
    assert _dump(older) == dump


def test_a_database_with_only_contacts_is_adopted(bare_postgresql: PostgresqlDatabase) -> None:
    bare_postgresql.run(
        "CREATE TABLE contacts (id BIGINT, email TEXT); INSERT INTO contacts VALUES (5, 'x@y.org')"
    )
    initialise_database(bare_postgresql.url)
    assert bare_postgresql.query("SELECT id, email, phone_number FROM contacts") == [(5, "x@y.org", None)]

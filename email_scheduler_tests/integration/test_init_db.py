"""Creating a database, and bringing those that exist up to date without losing anything."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateIndex, CreateTable

from email_scheduler.database import tables
from email_scheduler.database.connections import last_date_sql
from email_scheduler.database.migrations import triggers_0003_sqlite, triggers_0004_sqlite
from email_scheduler.database.migrations.adoption_sqlite import SqliteAdoption
from email_scheduler.database.relations import VERSION_TABLE
from email_scheduler.database.schema_version import VERSIONS, require_current_schema
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.errors import DatabaseError

# What the older program left behind: no priority, a constraint that plans do not keep, sent rows that
# answer the same birthday twice, a type of its own, columns and triggers of its own.
OLDER_DATABASE = """
    CREATE TABLE contacts (
        id INTEGER PRIMARY KEY AUTOINCREMENT, first_name TEXT, last_name TEXT, email TEXT NOT NULL,
        zip_code INTEGER, state TEXT, birth_date DATE, agent TEXT
    );
    INSERT INTO contacts (id, email, zip_code, birth_date, agent) VALUES
        (1, 'a@example.org', 75001, '1950-03-10', 'north'), (2, 'b@example.org', 2134, '1948-02-10', NULL);
    CREATE TABLE email_schedules (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        contact_id INTEGER NOT NULL,
        email_type TEXT NOT NULL,
        scheduled_send_date DATE NOT NULL,
        scheduled_send_time TIME DEFAULT '08:30:00',
        status TEXT DEFAULT 'pre-scheduled',
        skip_reason TEXT,
        event_year INTEGER, event_month INTEGER, event_day INTEGER,
        catchup_note TEXT DEFAULT 'none',
        batch_code TEXT NOT NULL,
        created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
        FOREIGN KEY (contact_id) REFERENCES contacts(id),
        UNIQUE (contact_id, email_type, scheduled_send_date)
    );
    CREATE UNIQUE INDEX only_one ON email_schedules (contact_id, scheduled_send_date);
    CREATE INDEX by_batch ON email_schedules (batch_code);
    INSERT INTO email_schedules
        (id, contact_id, email_type, scheduled_send_date, status, event_year, event_month, event_day,
         batch_code)
    VALUES
        (3, 1, 'birthday', '2026-02-24', 'sent', 2026, 3, 10, 'x'),
        (4, 1, 'birthday', '2026-02-25', 'sent', 2026, 3, 10, 'x'),
        (7, 1, 'rate_increase', '2026-12-01', 'pre-scheduled', NULL, NULL, NULL, 'y'),
        (9, 2, 'aep', '2026-09-15', 'skipped', 2026, 9, 15, 'y'),
        (10, 2, 'birthday', '2027-01-27', NULL, 2027, 2, 10, 'y');
    INSERT INTO email_schedules (id, contact_id, email_type, scheduled_send_date, batch_code)
        VALUES (99, 1, 'aep', '2030-01-01', 'gone');
    DELETE FROM email_schedules WHERE id = 99;
    CREATE TABLE email_tracking (
        id INTEGER PRIMARY KEY, email_id INTEGER REFERENCES email_schedules(id), event_type TEXT
    );
    INSERT INTO email_tracking VALUES (1, 3, 'click');
    CREATE TABLE campaign_types (name TEXT PRIMARY KEY, priority INTEGER, colour TEXT);
    INSERT INTO campaign_types VALUES ('rate_increase', 1, 'red');
    CREATE TABLE campaign_instances (
        id INTEGER PRIMARY KEY, campaign_type TEXT REFERENCES campaign_types(name), instance_name TEXT
    );
    INSERT INTO campaign_instances VALUES (1, 'rate_increase', 'autumn'), (2, 'rate_increase', 'autumn');
    CREATE TABLE sent_log (id INTEGER PRIMARY KEY, schedule_id INTEGER REFERENCES email_schedules(id));
    INSERT INTO sent_log VALUES (1, 4);
    CREATE VIEW sent_emails AS SELECT id, contact_id FROM email_schedules WHERE status = 'sent';
    CREATE VIEW due_emails AS SELECT id FROM email_schedules WHERE status = 'pre-scheduled';
    CREATE TRIGGER note_changes AFTER UPDATE OF status ON email_schedules
        BEGIN INSERT INTO sent_log (schedule_id) VALUES (new.id); END;
"""
SMALL_DATABASE = (
    "CREATE TABLE contacts (id INTEGER PRIMARY KEY, email TEXT); INSERT INTO contacts VALUES (5, 'x@y.org')"
)


def _database(path: Path, script: str) -> str:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return f"sqlite:///{path}"


def _rows(path: Path, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def _dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def _normal(sql: str) -> str:
    return " ".join(sql.split())


@pytest.fixture
def older(tmp_path: Path) -> Path:
    _database(tmp_path / "older.db", OLDER_DATABASE)
    return tmp_path / "older.db"


def test_the_versions_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", "email_scheduler.database:migrations")
    config.set_main_option("path_separator", "os")
    revisions = ScriptDirectory.from_config(config).walk_revisions()
    assert [each.revision for each in revisions] == list(reversed(VERSIONS))


def test_a_new_database_and_its_directory_are_created(tmp_path: Path) -> None:
    path = tmp_path / "new" / "directory" / "org.db"
    change = initialise_database(f"sqlite:///{path}")
    assert change.before is None
    assert change.is_change
    names = {name for (name,) in _rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names == {*tables.metadata.tables, VERSION_TABLE, "sqlite_sequence"}
    assert _rows(path, "PRAGMA journal_mode") == [("wal",)]


def test_what_was_added_to_tables_that_were_there_is_told(older: Path) -> None:
    change = initialise_database(f"sqlite:///{older}")
    assert set(change.new_tables) == set(tables.metadata.tables) - {
        *("contacts", "email_schedules", "email_tracking", "campaign_types", "campaign_instances")
    }
    told = {(each.table, each.kind): each for each in change.changes}
    added = {where: set(each.added) for where, each in told.items()}
    assert added["contacts", "columns"] == {"effective_date", "phone_number"}
    assert added["contacts", "indexes"] == {tables.ADDRESS_INDEX}
    assert added["contacts", "triggers"] == set(triggers_0004_sqlite.WATCH)
    assert {"priority", "metadata", "actual_send_datetime"} <= added["email_schedules", "columns"]
    assert tables.SENDER_ROWS_INDEX in added["email_schedules", "indexes"]
    # what plans cannot keep to goes away
    assert told["email_schedules", "indexes"].removed == ("only_one",)
    assert "target_all_contacts" in added["campaign_types", "columns"]
    assert "sent_log" not in {table for table, _ in told}
    assert change.ignored_columns == ("agent",)


def test_of_a_new_database_nothing_is_told_of_tables_that_were_not_there(tmp_path: Path) -> None:
    change = initialise_database(f"sqlite:///{tmp_path / 'org.db'}")
    assert (change.new_tables, change.changes, change.ignored_columns) == ((), (), ())


def test_the_migrations_make_the_tables_that_the_package_works_with(tmp_path: Path) -> None:
    path = tmp_path / "org.db"
    initialise_database(f"sqlite:///{path}")
    made = {name: _normal(sql) for name, sql in _rows(path, "SELECT name, sql FROM sqlite_master") if sql}
    wanted = {}
    for table in tables.metadata.tables.values():
        wanted[table.name] = _normal(str(CreateTable(table).compile(dialect=sqlite.dialect())))
        for index in table.indexes:
            wanted[index.name] = _normal(str(CreateIndex(index).compile(dialect=sqlite.dialect())))
    triggers = {name for name in made if made[name].startswith("CREATE TRIGGER")}
    of_versions = (triggers_0003_sqlite.TRIGGERS, triggers_0004_sqlite.TRIGGERS, triggers_0004_sqlite.WATCH)
    assert len(triggers) == sum(map(len, of_versions))
    others = made.keys() - wanted.keys() - triggers
    assert {name: made[name] for name in wanted} == wanted
    assert others == {VERSION_TABLE, "sqlite_sequence", "due_emails"}


def test_initialising_twice_changes_nothing(older: Path) -> None:
    url = f"sqlite:///{older}"
    assert initialise_database(url).is_change
    dump = _dump(older)
    assert not initialise_database(url).is_change
    assert _dump(older) == dump


def test_an_older_database_loses_no_row_and_no_value(older: Path) -> None:
    columns = (
        "id, contact_id, email_type, scheduled_send_date, scheduled_send_time, skip_reason, event_year,"
        " event_month, event_day, catchup_note, batch_code, created_at"
    )
    queries = [
        f"SELECT {columns} FROM email_schedules ORDER BY id",
        "SELECT id, email, zip_code, birth_date, agent FROM contacts ORDER BY id",
        "SELECT id, email_id, event_type FROM email_tracking",
        "SELECT name, priority, colour FROM campaign_types",
        "SELECT id, campaign_type, instance_name FROM campaign_instances ORDER BY id",
        "SELECT * FROM sent_log",
        "SELECT * FROM sent_emails ORDER BY id",
    ]
    before = [_rows(older, query) for query in queries]
    initialise_database(f"sqlite:///{older}")
    assert [_rows(older, query) for query in queries] == before
    assert len(before[0]) == 5


def test_a_row_without_a_status_becomes_the_senders_and_other_statuses_stay(older: Path) -> None:
    initialise_database(f"sqlite:///{older}")
    assert _rows(older, "SELECT id, status FROM email_schedules ORDER BY id") == [
        (3, "sent"),
        (4, "sent"),
        (7, "pre-scheduled"),
        (9, "skipped"),
        (10, "unknown"),
    ]


def test_every_table_of_an_older_database_gets_the_columns_that_it_lacks(older: Path) -> None:
    initialise_database(f"sqlite:///{older}")
    for table in tables.metadata.tables.values():
        present = {row[1] for row in _rows(older, f"PRAGMA table_info({table.name})")}
        assert present >= set(table.columns.keys()), table.name
    assert _rows(
        older, "SELECT DISTINCT active, enable_followups, target_all_contacts FROM campaign_types"
    ) == [(1, 1, 0)]


def test_times_that_the_older_program_did_not_write_down_stay_unknown(older: Path) -> None:
    initialise_database(f"sqlite:///{older}")
    assert _rows(older, "SELECT DISTINCT updated_at FROM email_schedules") == [(None,)]
    assert _rows(older, "SELECT created_at FROM email_tracking") == [(None,)]


def test_two_emails_of_one_type_may_have_one_date_afterwards(older: Path) -> None:
    initialise_database(f"sqlite:///{older}")
    with closing(sqlite3.connect(older)) as connection:
        connection.executemany(
            "INSERT INTO email_schedules (contact_id, email_type, scheduled_send_date, status)"
            " VALUES (?, ?, ?, ?)",
            [(1, "post_window", "2027-01-01", "pre-scheduled")] * 2,
        )
        # neither its extra mandatory column nor its other unique index is in the way
        assert connection.execute("SELECT count(*) FROM email_schedules").fetchone() == (7,)


def test_an_occurrence_can_be_planned_only_once(tmp_path: Path) -> None:
    path = tmp_path / "org.db"
    initialise_database(f"sqlite:///{path}")
    insert = (
        "INSERT INTO email_schedules (contact_id, email_type, status, event_year, event_month, event_day,"
        " ideal_send_date, campaign_instance_id, initial_email_id)"
        " VALUES (1, ?, 'skipped', 2027, 3, 10, ?, ?, ?)"
    )
    with closing(sqlite3.connect(path)) as connection:
        for row in [
            ("birthday", "2027-02-24", None, None),
            ("campaign_x", "2027-02-24", 1, None),
            ("campaign_x", "2027-02-24", 2, None),
            ("followup_1_cold", "2027-02-24", None, 8),
            ("followup_1_cold", "2027-02-24", None, 9),
            ("birthday", None, None, None),
            ("birthday", None, None, None),
        ]:
            connection.execute(insert, row)
        for row in [
            ("birthday", "2027-02-25", None, None),
            ("campaign_x", "2027-02-25", 2, None),
            ("followup_2_clicked_no_hq", "2027-02-25", None, 9),
        ]:
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(insert, row)


def test_an_id_is_never_used_twice(older: Path) -> None:
    initialise_database(f"sqlite:///{older}")
    with closing(sqlite3.connect(older)) as connection:
        # 99 was the last id that the older program gave away
        insert = "INSERT INTO email_schedules (contact_id, status) VALUES (1, 'skipped')"
        assert connection.execute(insert).lastrowid == 100
        connection.execute("DELETE FROM email_schedules WHERE id = 100")
        assert connection.execute(insert).lastrowid == 101


def test_an_emptied_older_table_does_not_begin_again_with_id_1(tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    url = _database(path, OLDER_DATABASE + "DELETE FROM email_schedules;")
    initialise_database(url)
    with closing(sqlite3.connect(path)) as connection:
        insert = "INSERT INTO email_schedules (contact_id, status) VALUES (1, 'skipped')"
        assert connection.execute(insert).lastrowid == 100


def test_views_triggers_and_indexes_of_an_older_database_go_on_working(older: Path) -> None:
    initialise_database(f"sqlite:///{older}")
    with closing(sqlite3.connect(older)) as connection:
        connection.execute("UPDATE email_schedules SET status = 'sent' WHERE id = 7")
        assert connection.execute("SELECT schedule_id FROM sent_log ORDER BY id").fetchall() == [(4,), (7,)]
        assert connection.execute("SELECT count(*) FROM sent_emails").fetchone() == (3,)
        indexes = {row[1] for row in connection.execute("PRAGMA index_list(email_schedules)")}
        assert "by_batch" in indexes
        assert "only_one" not in indexes
        references = connection.execute("PRAGMA foreign_key_list(sent_log)").fetchall()
        assert [row[2] for row in references] == ["email_schedules"]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_row_that_was_clicked_can_leave_an_older_database(older: Path) -> None:
    initialise_database(f"sqlite:///{older}")
    with closing(sqlite3.connect(older)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM email_schedules WHERE id = 3")
        assert connection.execute("SELECT email_id FROM email_tracking").fetchall() == [(3,)]


def test_a_database_with_only_contacts_is_adopted(tmp_path: Path) -> None:
    url = _database(tmp_path / "org.db", SMALL_DATABASE)
    initialise_database(url)
    require_current_schema(url)
    assert _rows(tmp_path / "org.db", "SELECT id, email, phone_number FROM contacts") == [
        (5, "x@y.org", None)
    ]


def test_contacts_without_a_primary_key_get_an_index_on_their_id(tmp_path: Path) -> None:
    path = tmp_path / "org.db"
    initialise_database(_database(path, "CREATE TABLE contacts (id BIGINT, email TEXT)"))
    plan = _rows(path, "EXPLAIN QUERY PLAN SELECT email FROM contacts WHERE id = 5")
    assert "uq_contacts_id" in plan[0][3]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "CREATE TABLE contacts (id INTEGER, email TEXT); INSERT INTO contacts VALUES (1, 'a'), (1, 'b');",
            "table contacts: 1 values of id are held by more than one row",
        ),
        ("CREATE TABLE contacts (email TEXT);", "table contacts has no column id"),
        (OLDER_DATABASE + "DROP VIEW due_emails; CREATE TABLE due_emails (id INTEGER);", "due_emails"),
    ],
)
def test_a_failure_leaves_the_database_as_it_was(tmp_path: Path, script: str, message: str) -> None:
    path = tmp_path / "org.db"
    url = _database(path, script)
    dump = _dump(path)
    with pytest.raises(DatabaseError, match=message) as caught:
        initialise_database(url)
    assert "\n" not in str(caught.value)
    assert _dump(path) == dump


def test_a_failure_after_the_older_table_was_dropped_leaves_it_as_it_was(
    older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(adoption: SqliteAdoption, table: sqlalchemy.Table) -> None:
        if table.name == "email_schedules":
            assert adoption.run("SELECT status FROM email_schedules WHERE id = 10").scalar() == "unknown"
            raise OperationalError("CREATE INDEX", None, sqlite3.OperationalError("disk full"))

    monkeypatch.setattr(SqliteAdoption, "add_missing_indexes", fail)
    dump = _dump(older)
    with pytest.raises(DatabaseError, match="disk full"):
        initialise_database(f"sqlite:///{older}")
    assert _dump(older) == dump


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "org.db"
    url = f"sqlite:///{path}"
    initialise_database(url)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    for function in (initialise_database, require_current_schema):
        with pytest.raises(
            DatabaseError, match="has the schema 9999, which a newer email-scheduler has made"
        ):
            function(url)


def test_planning_demands_a_database_that_is_initialised(tmp_path: Path) -> None:
    url = _database(tmp_path / "org.db", SMALL_DATABASE)
    with pytest.raises(
        DatabaseError, match="is not initialised: run email-scheduler init-db --database sqlite:///"
    ):
        require_current_schema(url)
    (tmp_path / "empty.db").touch()
    with pytest.raises(DatabaseError, match="is not initialised"):
        require_current_schema(f"sqlite:///{tmp_path}/empty.db")


def test_another_programs_migrations_are_left_alone(tmp_path: Path) -> None:
    script = "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('abc')"
    initialise_database(_database(tmp_path / "org.db", script))
    assert _rows(tmp_path / "org.db", "SELECT * FROM alembic_version") == [("abc",)]


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        (
            f"{tables.SENDER_ROW_SQL} AND {last_date_sql('sqlite')} >= '2026-11-23'",
            "ix_email_schedules_sender_last_date",
        ),
        (
            f"{tables.SENDER_ROW_SQL} AND campaign_instance_id IN (1, 2)",
            "ix_email_schedules_sender_campaign_instance_id",
        ),
        (
            f"{tables.SENDER_ROW_SQL} AND initial_email_id IN (1, 2)",
            "ix_email_schedules_sender_initial_email_id",
        ),
        (f"contact_id BETWEEN 10 AND 20 AND {tables.PLANNER_ROW_SQL}", "ix_email_schedules_contact_id"),
        ("contact_id = 10", "ix_email_schedules_contact_id"),
        (f"{tables.PRE_SCHEDULED_SQL} AND scheduled_send_date = '2026-11-23'", "ix_email_schedules_due_date"),
        (f"id = 5 AND {tables.PRE_SCHEDULED_SQL}", "INTEGER PRIMARY KEY"),
    ],
)
def test_queries_for_some_contacts_or_one_day_do_not_scan(tmp_path: Path, condition: str, index: str) -> None:
    path = tmp_path / "org.db"
    initialise_database(f"sqlite:///{path}")
    steps = _rows(path, f"EXPLAIN QUERY PLAN SELECT * FROM email_schedules WHERE {condition}")
    assert [step[3].startswith("SEARCH email_schedules") for step in steps] == [True]
    assert index in steps[0][3]

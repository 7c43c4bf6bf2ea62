"""``contacts`` may be a view over the agency's own table, or what PostgreSQL has besides views and tables."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.schema_version import require_current_schema
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.errors import DatabaseError
from email_scheduler.health.figures import read_health
from email_scheduler.health.judgement import judge
from email_scheduler.health.retention import delete_expired
from email_scheduler.planning_run import plan_and_publish
from email_scheduler.sample import generate_sample
from email_scheduler_tests.command_line import Outcome, run_command
from email_scheduler_tests.databases import Database, PostgresqlDatabase, SqliteDatabase
from email_scheduler_tests.integration.test_when_data_changes import AS_OF, NEW_YORK, TEXAS, due, noted

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)
CONFIG = SchedulerConfig.model_validate({"audit": {"enable_pit_backups": False}})
READ = "id, email, zip_code, state, birth_date, effective_date, phone_number"
PLANNED = (
    "contact_id, email_type, CAST(scheduled_send_date AS TEXT), scheduled_send_time, status, skip_reason,"
    " priority, campaign_instance_id, email_template, event_year, event_month, event_day,"
    " CAST(ideal_send_date AS TEXT), adjustment"
)
PEOPLE = "ALTER TABLE contacts RENAME TO people;"
FOREIGN = """
    CREATE EXTENSION IF NOT EXISTS postgres_fdw;
    CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({options});
    CREATE USER MAPPING FOR CURRENT_USER SERVER here OPTIONS ({user});
    CREATE FOREIGN TABLE contacts (
        id bigint, email text, zip_code text, state text, birth_date text, effective_date text,
        phone_number text
    ) SERVER here OPTIONS (table_name 'contacts')
"""
# What becomes of a table contacts, by what it is called then.
SHAPES = {
    "view": f"{PEOPLE} CREATE VIEW contacts AS SELECT {READ}, 'north' AS agent FROM people",
    "materialized view": f"{PEOPLE} CREATE MATERIALIZED VIEW contacts AS SELECT {READ} FROM people",
    "foreign table": PEOPLE + FOREIGN,
    "partitioned table": f"""
        {PEOPLE} CREATE TABLE contacts (LIKE people) PARTITION BY LIST (state);
        CREATE TABLE contacts_of_texas PARTITION OF contacts FOR VALUES IN ('TX');
        CREATE TABLE contacts_elsewhere PARTITION OF contacts DEFAULT;
        INSERT INTO contacts SELECT * FROM people
    """,
}
ON_POSTGRESQL = [("postgresql", kind) for kind in SHAPES]


def reshape(database: Database, kind: str, elsewhere: Database | None = None) -> tuple[Database, str]:
    """Make of the table ``contacts`` something else, as somebody would who knows nothing of this program.

    Args:
        database: The database.
        kind: What it becomes.
        elsewhere: Whose ``contacts`` a foreign table shows.

    Returns:
        Where the rows are from then on, and in which table.
    """
    statement = SHAPES[kind]
    if elsewhere is None:
        database.run(statement)
        return database, "contacts" if kind == "partitioned table" else "people"
    url = make_url(elsewhere.url)
    options = {"host": url.host, "port": url.port or 5432, "dbname": url.database}
    user = {"user": url.username, "password": url.password}
    database.run(statement.format(options=_listed(options), user=_listed(user)))
    return elsewhere, "contacts"


def _listed(values: dict[str, object]) -> str:
    return ", ".join(f"{name} '{value}'" for name, value in values.items() if value)


@pytest.fixture
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Database]:
    """Returns a database of a kind without tables."""

    def made(name: str) -> Database:
        if name == "sqlite":
            return SqliteDatabase(tmp_path / "bare.db")
        database: PostgresqlDatabase = request.getfixturevalue("bare_postgresql")
        # servers of foreign tables belong to no schema
        database.run("DROP EXTENSION IF EXISTS postgres_fdw CASCADE")
        return database

    return made


Command = Callable[..., Outcome]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    # without the project's config/ the command has its built-in configuration
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run_command(monkeypatch, capsys, *arguments, width=1000)


def plan(database: Database, days: int = 0) -> None:
    plan_and_publish(database.url, CONFIG, AS_OF + timedelta(days=days))


def planned(database: Database) -> list[tuple[Any, ...]]:
    return sorted(database.query(f"SELECT {PLANNED} FROM email_schedules"), key=repr)


def over_people(bare: Database, columns: str = READ, also: str = "") -> Database:
    """Initialise a database whose contacts are a view over a table with three people, 1, 2 and 3."""
    bare.run(
        "CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT, zip_code TEXT, state TEXT, birth_date TEXT,"
        f" effective_date TEXT, phone_number TEXT); CREATE VIEW contacts AS SELECT {columns} FROM people"
    )
    bare.insert(
        "people",
        *(
            {"id": each, "email": f"c{each}@example.com", "zip_code": TEXAS, "birth_date": "1950-12-07"}
            for each in (1, 2, 3)
        ),
    )
    if also:
        bare.run(also)
    initialise_database(bare.url)
    return bare


@pytest.mark.parametrize(("name", "kind"), [("sqlite", "view"), *ON_POSTGRESQL])
def test_a_plan_on_a_view_holds_the_rows_of_a_plan_on_the_table(
    request: pytest.FixtureRequest, bare: Callable[[str], Database], name: str, kind: str
) -> None:
    table, other = request.getfixturevalue(f"{name}_database"), bare(name)
    for database in (table, other):
        generate_sample(database.url, 200, 1, AS_OF, CONFIG)
    reshape(other, kind, table if kind == "foreign table" else None)
    assert initialise_database(other.url).contacts == kind
    for days in (0, 1):
        for database in (table, other):
            plan(database, days)
        assert planned(other) == planned(table)
        assert len(planned(other)) > 200
        rows = "SELECT id, contact_id, email FROM due_emails ORDER BY 1"
        assert other.query(rows) == table.query(rows)


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_a_new_database_may_begin_with_a_view(
    bare: Callable[[str], Database], command: Command, name: str
) -> None:
    database = over_people(bare(name), f"{READ}, 'a' AS \"Agent\"")
    plan(database)
    assert due(database) == {1, 2, 3}
    again = command("init-db", "--database", database.url)
    assert again.code == 0
    assert "contacts is a view: it is read as a table is, and has no triggers and no indexes" in again.out
    assert "Edits of contacts are not noted, as with features.watch_contacts: false" in again.out
    told = json.loads(command("init-db", "--database", database.url, "--json").out)
    assert (told["contacts"], told["is_change"]) == ("view", False)


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_columns_that_a_view_lacks_are_named_by_every_command(
    bare: Callable[[str], Database], command: Command, name: str
) -> None:
    database = over_people(bare(name))
    if database.is_postgresql:
        # the server lets nobody take a column away that the view of what is due reads
        database.run("DROP VIEW contacts CASCADE; CREATE VIEW contacts AS SELECT id, email FROM people")
    else:
        database.run("DROP VIEW contacts; CREATE VIEW contacts AS SELECT id, email FROM people")
    said = "contacts is a view without zip_code, state, birth_date, effective_date, phone_number; accepted is"
    for name_of in ("init-db", "plan"):
        outcome = command(name_of, "--database", database.url)
        assert outcome.code == 2
        assert said in outcome.err
        assert outcome.err.count("\n") == 1
    # what stops emails works all the same
    urgent = ("suppress", "--email", "c1@example.com", "--reason", "asked")
    assert command(*urgent, "--database", database.url).code == 0
    assert command("hold", "--database", database.url, "--reason", "a column is gone").code == 0
    assert database.query("SELECT address FROM suppressed_addresses") == [("c1@example.com",)]
    assert database.query("SELECT count(*) FROM organization_holds") == [(1,)]


def test_columns_of_types_that_cannot_be_read_are_named(bare_postgresql: PostgresqlDatabase) -> None:
    bare_postgresql.run("CREATE TABLE contacts (id text, email jsonb)")
    with pytest.raises(
        DatabaseError, match=r"contacts\.id is of the type text; accepted is bigint"
    ) as refused:
        initialise_database(bare_postgresql.url)
    assert "contacts.email is of the type jsonb; accepted is text" in str(refused.value)


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_ids_of_a_view_that_more_than_one_row_has_are_refused_and_none_is_recorded(
    bare: Callable[[str], Database], command: Command, name: str
) -> None:
    twice = f"nullif(id, 3) AS {READ}"
    database = over_people(bare(name), twice)
    plan(database)
    assert due(database) == {1, 2}
    assert database.query("SELECT issue FROM contact_issues") == [("invalid_id",)]
    twice = f"CASE id WHEN 2 THEN 1 ELSE id END AS {READ}"
    database.run(
        f"CREATE OR REPLACE VIEW contacts AS SELECT {twice} FROM people"
        if database.is_postgresql
        else f"DROP VIEW contacts; CREATE VIEW contacts AS SELECT {twice} FROM people"
    )
    # neither twice, nor at an address that may be somebody else's
    assert database.query("SELECT id FROM due_emails") == []
    refused = command("init-db", "--database", database.url)
    assert refused.code == 2
    assert "contacts is a view in which 1 ids are those of more than one row" in refused.err
    failed = command("plan", "--database", database.url, "--as-of", AS_OF, "--allow-future")
    assert failed.code == 1
    assert "two rows have the same id, such as 1; accepted is each once" in failed.err


def test_a_foreign_key_to_a_view_is_refused_since_no_row_could_be_written(
    sqlite_database: SqliteDatabase,
) -> None:
    columns = "contact_id INTEGER PRIMARY KEY{}, reason TEXT, suppressed_at TEXT"
    make = "DROP TABLE contact_suppressions; CREATE TABLE contact_suppressions ({})"
    # as it is where the table is renamed in the way that leaves what refers to its name
    sqlite_database.run(make.format(columns.format(" REFERENCES Contacts(id)")))
    sqlite_database.run(f"PRAGMA legacy_alter_table = ON; {SHAPES['view']}")
    with pytest.raises(DatabaseError, match="contact_suppressions has a foreign key to contacts, which is a"):
        initialise_database(sqlite_database.url)
    sqlite_database.run(make.format(columns.format("")))
    assert initialise_database(sqlite_database.url).contacts == "view"


@pytest.mark.parametrize(("name", "kind"), [("sqlite", "view"), *ON_POSTGRESQL[:3]])
def test_edits_are_not_noted_and_health_says_so(
    request: pytest.FixtureRequest, bare: Callable[[str], Database], command: Command, name: str, kind: str
) -> None:
    database = bare(name)
    initialise_database(database.url)
    elsewhere = request.getfixturevalue("postgresql_database") if kind == "foreign table" else None
    (elsewhere or database).insert(
        "contacts",
        *(
            {"id": each, "email": f"c{each}@example.com", "zip_code": TEXAS, "birth_date": "1950-12-07"}
            for each in (1, 2, 3)
        ),
    )
    behind, people = reshape(database, kind, elsewhere)
    change = initialise_database(database.url)
    assert any("watch_contacts_update" in each.removed for each in change.changes)
    plan(database)
    behind.write(f"UPDATE {people} SET zip_code = ?, email = 'new@example.com' WHERE id = 1", (NEW_YORK,))
    behind.write(f"DELETE FROM {people} WHERE id = 2")
    if kind == "materialized view":
        database.run("REFRESH MATERIALIZED VIEW contacts")
    assert noted(database) == set()
    # as it was planned, at the address of now
    rows = set(database.query("SELECT contact_id, email FROM due_emails"))
    assert rows == {(1, "new@example.com"), (3, "c3@example.com")}
    command("suppress", "--database", database.url, "--email", "NEW@example.com", "--reason", "asked")
    assert due(database) == {3}
    found = read_health(database.url, CONFIG, NOON)
    assert found.database.missing_triggers == []
    assert found.database.missing_indexes == []
    assert found.database.unwatched == f"contacts is a {kind}"
    assert not [each for each in judge(found, CONFIG.health) if "init-db" in each.text]
    shown = command("health", "--database", database.url).out
    assert f"not noted: contacts is a {kind}" in shown
    plan(database, 1)
    # nobody in New York gets a birthday email
    rows = database.query("SELECT contact_id, status FROM email_schedules WHERE email_type = 'birthday'")
    assert dict(rows) == {1: "skipped", 3: "pre-scheduled"}


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_contacts_are_loaded_where_a_view_can_be_written_to(
    bare: Callable[[str], Database], command: Command, tmp_path: Path, name: str
) -> None:
    database = over_people(bare(name))
    file = tmp_path / "contacts.csv"
    file.write_text("id,email\n1,other@example.com\n9,nine@example.com\n", encoding="utf-8")
    load = ("contacts", "import", "--database", database.url, "--csv", file, "--trust-ids", "--replace")
    emails = "SELECT id, email FROM people ORDER BY id"
    before = database.query(emails)
    if not database.is_postgresql:
        for more in ((), ("--dry-run",)):
            refused = command(*load, *more)
            assert refused.code == 2
            said = "contacts is a view, and does not take what the file changes"
            assert said in refused.err
            assert "cannot modify contacts because it is a view" in refused.err
            assert "INSERT" not in refused.err
        assert database.query(emails) == before
        database.run(
            "CREATE TRIGGER a INSTEAD OF INSERT ON contacts BEGIN"
            " INSERT INTO people (id, email) VALUES (new.id, new.email); END;"
            "CREATE TRIGGER b INSTEAD OF UPDATE ON contacts BEGIN"
            " UPDATE people SET email = new.email WHERE id = new.id; END;"
            "CREATE TRIGGER c INSTEAD OF DELETE ON contacts BEGIN DELETE FROM people WHERE id = old.id; END;"
        )
    assert command(*load, "--dry-run").code == 0
    assert database.query(emails) == before
    loaded = command(*load)
    assert loaded.code == 0
    assert "Contacts created: 1" in loaded.out
    assert database.query(emails) == [(1, "other@example.com"), (9, "nine@example.com")]
    file.write_text("id,colour\n1,red\n", encoding="utf-8")
    refused = command("contacts", "import", "--database", database.url, "--csv", file, "--add-columns")
    assert refused.code == 2
    assert "contacts is a view, which nobody adds columns to: colour" in refused.err


def test_a_column_that_a_view_computes_is_not_loaded(
    bare_postgresql: PostgresqlDatabase, command: Command, tmp_path: Path
) -> None:
    database = over_people(bare_postgresql, READ.replace("email", "lower(email) AS email"))
    file = tmp_path / "contacts.csv"
    file.write_text("id,email,zip_code\n1,other@example.com,10001\n", encoding="utf-8")
    refused = command("contacts", "import", "--database", database.url, "--csv", file, "--trust-ids")
    assert refused.code == 2
    assert 'cannot update column "email" of view "contacts"' in refused.err


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_what_is_due_is_read_from_the_view_that_took_the_place_of_the_table(
    bare: Callable[[str], Database], name: str
) -> None:
    database = bare(name)
    initialise_database(database.url)
    database.insert(
        "contacts",
        *(
            {"id": each, "email": f"c{each}@example.com", "zip_code": TEXAS, "birth_date": "1950-12-07"}
            for each in (1, 2, 3)
        ),
    )
    plan(database)
    if database.is_postgresql:
        database.run("GRANT SELECT ON due_emails TO PUBLIC")
    database.run(f"{PEOPLE} CREATE VIEW contacts AS SELECT {READ} FROM people WHERE id <> 2")
    initialise_database(database.url)
    assert due(database) == {1, 3}
    database.insert("contact_suppressions", {"contact_id": 3, "reason": "unsubscribed"})
    assert database.query("SELECT address FROM suppressed_addresses") == [("c3@example.com",)]
    assert due(database) == {1}
    if database.is_postgresql:
        rights = "SELECT has_table_privilege('public', 'due_emails', 'SELECT')"
        assert database.query(rights) == [(True,)]
    # and back again
    database.run("DROP VIEW contacts CASCADE" if database.is_postgresql else "DROP VIEW contacts")
    # SQLite looks at what reads the table by its new name, and finds none
    rename = "ALTER TABLE people RENAME TO contacts"
    database.run(rename if database.is_postgresql else f"PRAGMA legacy_alter_table = ON; {rename}")
    assert initialise_database(database.url).contacts == "table"
    assert due(database) == {1, 2}
    database.run("UPDATE contacts SET zip_code = '10001' WHERE id = 1")
    assert noted(database) == {1}


def test_whose_view_of_what_is_due_cannot_be_made_anew_is_told(bare_postgresql: PostgresqlDatabase) -> None:
    database = bare_postgresql
    initialise_database(database.url)
    columns = READ.replace("phone_number", "CAST(phone_number AS varchar(20)) AS phone_number")
    database.run(f"{PEOPLE} CREATE VIEW contacts AS SELECT {columns} FROM people")
    with pytest.raises(DatabaseError, match="due_emails reads another table than contacts"):
        initialise_database(database.url)
    database.run("DROP VIEW due_emails")
    initialise_database(database.url)
    assert due(database) == set()


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_commands_work_on_a_view(
    bare: Callable[[str], Database], command: Command, tmp_path: Path, name: str
) -> None:
    database = bare(name)
    generate_sample(database.url, 200, 1, AS_OF, CONFIG)
    reshape(database, "view")
    initialise_database(database.url)
    plan(database)
    at, day = ("--database", database.url), ("--as-of", AS_OF)
    ids, targets = tmp_path / "ids.csv", tmp_path / "targets.csv"
    database.run("UPDATE people SET id = 9001 WHERE id = 5")
    ids.write_text("old_id,new_id\n5,9001\n", encoding="utf-8")
    targets.write_text("contact_id\n7\n", encoding="utf-8")
    config = tmp_path / "other.yaml"
    config.write_text("timing_constants:\n  birthday_email_days_before: 7\n", encoding="utf-8")
    ((instance,),) = database.query(
        "SELECT campaign_type || '/' || instance_name FROM campaign_instances ORDER BY id LIMIT 1"
    )
    for arguments in (
        ("explain", "--contact", "7", *day),
        ("report", *day),
        ("states",),
        ("suppress", "--email", "somebody@example.com", "--reason", "asked"),
        ("unsuppress", "--email", "somebody@example.com"),
        ("contacts", "rekey", "--csv", ids),
        ("campaigns", "target", instance, "--csv", targets),
        ("campaigns", "preview", instance, *day),
        ("what-if", "--config", config, *day),
        ("simulate", "--days", "2"),
        ("backup", "create", "--scope", "planner_tables"),
        ("backup", "create", "--scope", "database"),
        ("backup", "verify", "latest"),
        ("backup", "restore", "latest", "--yes"),
    ):
        outcome = command(*arguments, *at)
        assert (arguments, outcome.code, outcome.err if outcome.code else "") == (arguments, 0, "")
    assert noted(database) == {9001}
    refused = command("generate", *at)
    assert refused.code == 2
    assert "contacts is a view; accepted is an empty database" in refused.err


def test_edits_of_a_partitioned_table_are_noted_also_those_that_move_a_row(
    bare_postgresql: PostgresqlDatabase,
) -> None:
    database = bare_postgresql
    database.run(
        "CREATE TABLE contacts (id bigint, email text, zip_code text, state text, birth_date text)"
        " PARTITION BY LIST (state);"
        "CREATE TABLE contacts_of_texas PARTITION OF contacts FOR VALUES IN ('TX');"
        "CREATE TABLE contacts_elsewhere PARTITION OF contacts DEFAULT"
    )
    # as versions before have made them
    initialise_database(database.url)
    database.insert(
        "contacts",
        *(
            {"id": each, "email": f"c{each}@example.com", "zip_code": TEXAS, "state": "TX"}
            | {"birth_date": "1950-12-07"}
            for each in range(1, 8)
        ),
    )
    plan(database)
    assert due(database) == set(range(1, 8))
    assert noted(database) == set()
    database.write("UPDATE contacts SET state = 'NY', zip_code = ? WHERE id = 1", (NEW_YORK,))
    database.write("DELETE FROM contacts WHERE id = 2")
    database.write("UPDATE contacts_of_texas SET email = 'x@example.com' WHERE id = 3")
    database.write("DELETE FROM contacts_of_texas WHERE id = 4")
    database.write("UPDATE contacts SET first_name = 'Ann' WHERE id = 5")
    database.write("INSERT INTO contacts_of_texas SELECT * FROM contacts WHERE id = 6")
    assert noted(database) == {1, 2, 3, 4, 6}
    assert read_health(database.url, CONFIG, NOON).database.unwatched is None
    with pytest.raises(
        DatabaseError, match="contacts is a partitioned table in which 1 ids are those of more"
    ):
        initialise_database(database.url)
    database.write("DELETE FROM contacts WHERE id = 6")
    database.run("TRUNCATE contacts")
    assert noted(database) == {1, 2, 3, 4, 5, 6, 7}


def test_statement_triggers_of_a_partitioned_table_give_way_to_those_of_rows(
    bare_postgresql: PostgresqlDatabase,
) -> None:
    database = bare_postgresql
    initialise_database(database.url)
    reshape(database, "partitioned table")
    database.run(
        "CREATE TRIGGER watch_contacts_delete AFTER DELETE ON contacts REFERENCING OLD TABLE AS old_rows"
        " FOR EACH STATEMENT EXECUTE FUNCTION note_contact_delete()"
    )
    initialise_database(database.url)
    definition = "SELECT oid, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE 'watch_%' ORDER BY 1"
    made = database.query(definition)
    assert any("AFTER DELETE ON public.contacts FOR EACH ROW" in each for _, each in made)
    assert not initialise_database(database.url).is_change
    assert database.query(definition) == made


def test_only_what_is_old_leaves_a_partitioned_archive(bare_postgresql: PostgresqlDatabase) -> None:
    database = bare_postgresql
    database.run(
        "CREATE TABLE email_schedules_archive (id bigint, status text, archived_at timestamptz)"
        " PARTITION BY RANGE (archived_at);"
        "CREATE TABLE archive_before PARTITION OF email_schedules_archive"
        " FOR VALUES FROM (MINVALUE) TO ('2026-01-01');"
        "CREATE TABLE archive_since PARTITION OF email_schedules_archive DEFAULT"
    )
    initialise_database(database.url)
    for each, moment in ((1, "2020-05-05"), (2, "2026-11-01")):
        database.insert("email_schedules_archive", {"id": each, "status": "skipped", "archived_at": moment})
    config = SchedulerConfig.model_validate({"audit": {"archive_retention_days": 90}})
    assert delete_expired(database.url, config, AS_OF).rows["email_schedules_archive"] == 1
    assert database.query("SELECT id FROM email_schedules_archive") == [(2,)]


def test_the_schema_and_the_columns_of_the_agency_may_have_any_names(
    bare_postgresql: PostgresqlDatabase,
) -> None:
    database = bare_postgresql
    ((name,),) = database.query("SELECT current_database()")
    database.run(
        'CREATE SCHEMA "Mail Plan"; CREATE TABLE public."People" ("No" bigint, "E-mail" text, zip integer);'
        f"""INSERT INTO public."People" VALUES (1, 'a@example.com', {TEXAS});"""
        f'ALTER DATABASE "{name}" SET search_path = "Mail Plan", public'
    )
    try:
        database.run(
            'CREATE VIEW contacts AS SELECT "No" AS id, "E-mail" AS email, zip AS zip_code, NULL AS state,'
            " DATE '1950-12-07' AS birth_date, NULL AS effective_date, NULL AS phone_number"
            ' FROM public."People"'
        )
        assert initialise_database(database.url).contacts == "view"
        require_current_schema(database.url)
        plan(database)
        assert due(database) == {1}
        ((schema,),) = database.query(
            "SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'email_schedules'"
        )
        assert schema == '"Mail Plan"'
    finally:
        database.run(f'DROP SCHEMA "Mail Plan" CASCADE; ALTER DATABASE "{name}" RESET search_path')

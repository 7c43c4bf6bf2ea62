"""Whatever stands under the name of a table and cannot take its place is named before anything changes."""

from pathlib import Path

import pytest

from email_scheduler.database.relations import VERSION_TABLE
from email_scheduler.database.schema_version import require_current_schema
from email_scheduler.database.tables import metadata
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.errors import DatabaseError
from email_scheduler_tests.command_line import run_command
from email_scheduler_tests.databases import Database, PostgresqlDatabase, SqliteDatabase

NAMES = sorted({*metadata.tables, VERSION_TABLE} - {"contacts"})
# what nobody reads from needs no wrapper that works
SERVER = "CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;"


@pytest.fixture(params=["sqlite", "postgresql"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A database without tables."""
    if request.param == "sqlite":
        return SqliteDatabase(tmp_path / "org.db")
    database: PostgresqlDatabase = request.getfixturevalue("bare_postgresql")
    database.run("DROP FOREIGN DATA WRAPPER IF EXISTS nothing CASCADE")
    return database


def _shape(database: Database) -> list[tuple[str, ...]]:
    if database.is_postgresql:
        return database.query(
            "SELECT relname, CAST(relkind AS text) FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
            " WHERE relnamespace = CAST('public' AS regnamespace) ORDER BY 1, attnum"
        )
    return database.query("SELECT name, sql FROM sqlite_master ORDER BY 1")


def _refusal(database: Database) -> str:
    before = _shape(database)
    with pytest.raises(DatabaseError) as refused:
        initialise_database(database.url)
    assert _shape(database) == before
    return str(refused.value)


def test_views_in_the_place_of_tables_are_all_named(bare: Database) -> None:
    bare.run("".join(f"CREATE VIEW {name} AS SELECT 1 AS id;" for name in NAMES))
    said = _refusal(bare)
    accepted = "a table or a partitioned table" if bare.is_postgresql else "a table"
    for name in NAMES:
        assert f"{name} is a view; accepted is {accepted}" in said


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        ("materialized view", "CREATE MATERIALIZED VIEW {} AS SELECT 1 AS id;"),
        ("foreign table", "CREATE FOREIGN TABLE {} (id bigint) SERVER nowhere;"),
        ("sequence", "CREATE SEQUENCE {};"),
        ("type", "CREATE TYPE {} AS ENUM ('a');"),
    ],
)
def test_other_things_of_postgresql_in_the_place_of_tables_are_all_named(
    bare_postgresql: PostgresqlDatabase, kind: str, statement: str
) -> None:
    bare_postgresql.run("DROP FOREIGN DATA WRAPPER IF EXISTS nothing CASCADE;" + SERVER)
    bare_postgresql.run("".join(statement.format(name) for name in NAMES))
    said = _refusal(bare_postgresql)
    for name in NAMES:
        assert f"{name} is a {kind}; accepted is a table or a partitioned table" in said


def test_virtual_tables_are_named_that_of_contacts_too(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "org.db")
    names = [*NAMES, "contacts"]
    database.run("".join(f"CREATE VIRTUAL TABLE {name} USING fts5(id, email);" for name in names))
    said = _refusal(database)
    assert "contacts is a virtual table; accepted is a table or a view" in said
    for name in NAMES:
        assert f"{name} is a virtual table; accepted is a table" in said


def test_a_table_of_the_name_of_the_view_of_due_emails_is_named(bare: Database) -> None:
    bare.run("CREATE TABLE due_emails (id INTEGER)")
    assert "due_emails is a table; accepted is a view" in _refusal(bare)


def test_a_table_of_somebody_else_that_nothing_takes_over_is_named(bare: Database) -> None:
    bare.run("CREATE TABLE contact_changes (id INTEGER); CREATE TABLE organization_holds (id INTEGER)")
    said = _refusal(bare)
    for name in ("contact_changes", "organization_holds"):
        assert f"{name} is there, and belongs to another program; accepted is a database without it" in said


def test_a_table_that_was_partitioned_so_that_its_keys_cannot_be_is_named(
    bare_postgresql: PostgresqlDatabase,
) -> None:
    bare_postgresql.run(
        "CREATE TABLE email_schedules (id bigint, contact_id bigint) PARTITION BY HASH (contact_id);"
        "CREATE TABLE contact_suppressions (contact_id bigint, reason text) PARTITION BY LIST (reason);"
        "CREATE TABLE tracking_clicks (id bigint, clicked_at text) PARTITION BY HASH (id)"
    )
    said = _refusal(bare_postgresql)
    assert "email_schedules is partitioned by contact_id; accepted is a plain table;" in f"{said};"
    suggested = "accepted is a plain table, or one that is partitioned by contact_id"
    assert f"contact_suppressions is partitioned by reason; {suggested}" in said
    assert "tracking_clicks" not in said
    bare_postgresql.run("DROP TABLE email_schedules, contact_suppressions")
    initialise_database(bare_postgresql.url)


def test_every_command_names_a_view_that_took_the_place_of_a_table(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    database.run(
        "ALTER TABLE contact_suppressions RENAME TO other;"
        "CREATE VIEW contact_suppressions AS SELECT * FROM other"
    )
    said = "contact_suppressions is a view; accepted is a table"
    with pytest.raises(DatabaseError, match=said):
        require_current_schema(database.url)
    for command in (("plan",), ("init-db",), ("report",), ("explain", "--contact", "1")):
        outcome = run_command(monkeypatch, capsys, *command, "--database", database.url)
        assert outcome.code == 2
        assert said in outcome.err
        assert outcome.err.count("\n") == 1

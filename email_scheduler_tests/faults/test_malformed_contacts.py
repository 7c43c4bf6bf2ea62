"""Rows that no program should write: a clear error or a recorded issue, and never a wrong plan."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import psycopg

from email_scheduler.database.inputs import read_inputs
from email_scheduler.errors import EmailSchedulerError, InputDataError
from email_scheduler.planning.plan import make_plan
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.compare_with_oracle import (
    planner_rows,
    row_differences,
    set_differences,
)
from email_scheduler_tests.databases import Database, PostgresqlDatabase, SqliteDatabase, initialised_sqlite
from email_scheduler_tests.faults.malformed_rows import TABLES, Malformed, RawText, malformed
from email_scheduler_tests.faults.raw_reading import raw_inputs
from email_scheduler_tests.faults.report import record, repetitions
from email_scheduler_tests.integration.test_random_organisations import (
    MOMENTS,
    planned,
    published,
    with_batches_of,
)
from email_scheduler_tests.oracle import make_oracle_plan, target_statuses
from email_scheduler_tests.oracle.book import rows_of

CONTACTS = 60
ORGANISATIONS = repetitions(full=170, short=6)
PROMISE = "a clear error or a recorded issue, and the plan that the rules ask for"
# How older programs have declared their contacts.
DECLARATIONS = (
    None,
    "id INTEGER PRIMARY KEY, email, zip_code, state, birth_date, effective_date, phone_number",
    "id INT PRIMARY KEY, email TEXT, zip_code INTEGER, state, birth_date DATE, effective_date, phone_number",
    "id, email BLOB, zip_code REAL, state BLOB, birth_date NUMERIC, effective_date INTEGER, phone_number",
    "id TEXT PRIMARY KEY, email TEXT, zip_code TEXT, state, birth_date TEXT, effective_date, phone_number",
)


def fill(database: SqliteDatabase, one: Malformed) -> Counter[str]:
    """Write the rows that SQLite takes; return how many of each table."""
    written: Counter[str] = Counter()
    with closing(sqlite3.connect(database.path)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        declaration = DECLARATIONS[one.seed % len(DECLARATIONS)]
        if declaration is not None:
            view = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'due_emails'").fetchone()[0]
            connection.execute("DROP VIEW due_emails")
            connection.execute("DROP TABLE contacts")
            connection.execute(f"CREATE TABLE contacts ({declaration}, first_name TEXT, last_name TEXT)")
            connection.execute(view)
        for table in TABLES:
            for row in one.rows[table]:
                try:
                    connection.execute(*statement(table, row))
                except (sqlite3.IntegrityError, OverflowError):
                    continue
                written[table] += 1
        connection.commit()
    return written


def statement(table: str, row: dict[str, object]) -> tuple[str, list[object]]:
    marks = ", ".join("CAST(? AS TEXT)" if isinstance(value, RawText) else "?" for value in row.values())
    values = [value.content if isinstance(value, RawText) else value for value in row.values()]
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", values


def is_clear(error: EmailSchedulerError) -> bool:
    """Say whether an error is one line that somebody can read."""
    text = str(error)
    return "\n" not in text and len(text) < 400 and text.isprintable() and "rror:" not in text


def assert_is_justified(error: EmailSchedulerError, one: Malformed) -> None:
    """Make sure that an error is about a campaign that is broken, and that somebody can read it."""
    assert one.is_campaign_broken, error
    assert isinstance(error, InputDataError), error
    assert str(error).startswith(("campaign instance", "campaign type")), error
    assert is_clear(error), error


def differences_of(one: Malformed, database: SqliteDatabase) -> list[str]:
    """Return what the planner makes of the rows that the rules do not ask for."""
    today, config = one.organisation.as_of, one.config
    raw = raw_inputs(database.path, today, config)
    plan = make_plan(read_inputs(database.url, today, config), config)
    oracle = make_oracle_plan(raw, config)
    lines = row_differences(planner_rows(plan), oracle.rows)
    lines += set_differences(
        "issue",
        {(row["contact_id"], row["field"], row["issue"]) for row in rows_of(plan.issues)},
        set(oracle.issues),
    )
    lines += set_differences(
        "target status",
        {(row["id"], row["status"]) for row in rows_of(plan.target_statuses)},
        set(target_statuses(raw, config, oracle.rows).items()),
    )
    if plan.daily_cap != oracle.cap:
        lines.append(f"daily cap: planner {plan.daily_cap}, oracle {oracle.cap}")
    return lines


def check(one: Malformed, database: SqliteDatabase) -> str:
    """Plan twice and publish; return what came of it."""
    today, config = one.organisation.as_of, with_batches_of(one.config, 20)
    try:
        first = plan_and_publish(database.url, config, today)
    except EmailSchedulerError as error:
        assert_is_justified(error, one)
        return "error"
    assert differences_of(one, database) == []
    assert published(database) == planned(first.plan)
    again = plan_and_publish(database.url, config, today)
    assert [again.changes.totals[name] for name in ("added", "changed", "removed")] == [0, 0, 0]
    return "plan"


def test_malformed_rows_never_make_a_wrong_plan(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for seed in range(ORGANISATIONS):
        database = initialised_sqlite(tmp_path / "template.db", tmp_path / f"{seed}.db")
        one = malformed(seed, CONTACTS)
        rows += fill(database, one)
        try:
            outcomes[check(one, database)] += 1
        except Exception as error:
            error.add_note(repr(one))
            raise
        database.path.unlink()
    assert outcomes["plan"] > ORGANISATIONS // 2
    record(
        "malformed rows in SQLite",
        PROMISE,
        f"{rows['contacts']:,} contacts and {rows.total() - rows['contacts']:,} other rows"
        f" in {ORGANISATIONS} organisations",
        f"{outcomes['plan']} plans as the oracle makes them from the bytes, {outcomes['error']} clear errors"
        " about campaigns, 0 tracebacks",
    )


def fill_alike(postgresql: PostgresqlDatabase, sqlite: SqliteDatabase, one: Malformed) -> Counter[str]:
    """Write into both what PostgreSQL takes, as it returns it."""
    written: Counter[str] = Counter()
    with postgresql.connection() as connection:
        for table in TABLES:
            for row in one.rows[table]:
                kept = {name: value for name, value in row.items() if value is not None or name in MOMENTS}
                marks = ", ".join(["%s"] * len(kept))
                try:
                    with connection.transaction():
                        connection.execute(
                            f"INSERT INTO {table} ({', '.join(kept)}) VALUES ({marks})", tuple(kept.values())
                        )
                except (psycopg.Error, UnicodeEncodeError):
                    continue
                written[table] += 1
        # new rows are numbered after those, as SQLite does it by itself
        connection.execute(
            "SELECT setval(pg_get_serial_sequence('email_schedules', 'id'), max(id)) FROM email_schedules"
            " WHERE id > 0 HAVING max(id) < 1 << 30"
        )
    for table in TABLES:
        sqlite.insert(table, *postgresql.rows(f"SELECT * FROM {table}"))
    return written


def outcome(database: Database, one: Malformed) -> object:
    """Plan and publish; return the rows, what is recorded and how the targets stand, or the error."""
    try:
        plan_and_publish(database.url, with_batches_of(one.config, 20), one.organisation.as_of)
    except EmailSchedulerError as error:
        assert_is_justified(error, one)
        return str(error)
    return (
        published(database),
        sorted(database.query("SELECT contact_id, field, issue FROM contact_issues")),
        sorted(database.query("SELECT id, status FROM contact_campaigns")),
    )


def test_both_databases_make_the_same_of_malformed_rows(
    postgresql_database: PostgresqlDatabase, tmp_path: Path
) -> None:
    rows: Counter[str] = Counter()
    errors = 0
    organisations = repetitions(full=60, short=2)
    for seed in range(100_000, 100_000 + organisations):
        one = malformed(seed, CONTACTS, only_texts=True)
        sqlite_database = initialised_sqlite(tmp_path / "template.db", tmp_path / f"{seed}.db")
        postgresql_database.empty()
        rows += fill_alike(postgresql_database, sqlite_database, one)
        seen = [outcome(database, one) for database in (sqlite_database, postgresql_database)]
        assert seen[0] == seen[1], one
        errors += isinstance(seen[0], str)
    record(
        "malformed rows in PostgreSQL",
        "the same plan, issues and errors as with SQLite",
        f"{rows['contacts']:,} contacts and {rows.total() - rows['contacts']:,} other rows in {organisations}"
        " organisations, as far as the types of PostgreSQL take them, written into both databases",
        f"{organisations - errors} equal plans with equal issues, {errors} equal errors",
    )

"""The ``email-scheduler`` command, on real databases."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from email_scheduler import cli
from email_scheduler.clock import today
from email_scheduler.errors import DatabaseError
from email_scheduler_tests.command_line import Outcome, run_command
from email_scheduler_tests.databases import PostgresqlDatabase, Server, SqliteDatabase, database_at

AS_OF = "2026-11-23"


Command = Callable[..., Outcome]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return partial(run_command, monkeypatch, capsys)


on_both = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest, command: Command) -> str:
    """A sample organisation of 300 contacts that nothing was planned for yet."""
    url = str(request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_database").url)
    generated = command("generate", "--contacts", "300", "--database", url, "--as-of", AS_OF)
    assert generated.code == 0, generated.err
    return url


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    return database_at(url).query(query)


def change(url: str, statement: str) -> None:
    database_at(url).write(statement)


def schedules(url: str) -> list[tuple[object, ...]]:
    return rows(url, "SELECT * FROM email_schedules ORDER BY id")


def planned(command: Command, url: str, *options: str) -> dict[str, dict[str, float]]:
    outcome = command("plan", "--database", url, "--as-of", AS_OF, "--json", *options)
    assert outcome.code == 0, outcome.err
    result: dict[str, dict[str, float]] = json.loads(outcome.out)
    return result


@on_both
def test_a_plan_prints_one_json_object_that_agrees_with_the_table(command: Command, database: str) -> None:
    result = planned(command, database)
    assert set(result) == {
        "run_id",
        "as_of",
        "contacts",
        "rows",
        "changes",
        "campaign_changes",
        "seconds",
        "hold",
        "loss",
        "accepted_loss",
        "notes",
    }
    assert result["as_of"] == AS_OF
    assert sum(result["contacts"].values()) == 300
    [(scheduled,)] = rows(database, "SELECT count(*) FROM email_schedules WHERE status = 'pre-scheduled'")
    [(skipped,)] = rows(database, "SELECT count(*) FROM email_schedules WHERE status = 'skipped'")
    assert result["rows"] == {"pre-scheduled": scheduled, "skipped": skipped}
    assert result["changes"]["added"] == sum(result["rows"].values())
    assert {"read", "balancing", "prove", "compare", "write"} <= set(result["seconds"])


@on_both
def test_planning_again_writes_no_row(command: Command, database: str) -> None:
    first = planned(command, database)
    before = schedules(database)
    again = planned(command, database)
    assert again["changes"] == {
        "added": 0,
        "changed": 0,
        "removed": 0,
        "unchanged": sum(first["rows"].values()),
    }
    assert schedules(database) == before


@on_both
def test_a_dry_run_tells_what_would_change_and_writes_nothing(command: Command, database: str) -> None:
    tables = ("email_schedules", "email_schedules_archive", "scheduler_checkpoints", "contact_issues")
    before = {table: rows(database, f"SELECT * FROM {table}") for table in tables}
    outcome = command("plan", "--database", database, "--as-of", AS_OF, "--dry-run")
    assert outcome.code == 0
    assert "Rows there would be" in outcome.out
    assert "birthday" in outcome.out
    assert {table: rows(database, f"SELECT * FROM {table}") for table in tables} == before
    dry = planned(command, database, "--dry-run")
    assert planned(command, database)["changes"] == dry["changes"]


def test_the_summary_shows_what_an_operator_asks_for(command: Command, database: str) -> None:
    outcome = command("plan", "--database", database, "--as-of", AS_OF)
    for words in ("not valid", "pre-scheduled", "Why emails are skipped", "The next 14 days", "daily cap"):
        assert words in outcome.out
    assert "@" not in outcome.out + outcome.err


def test_an_organisation_that_is_named_is_planned_with_its_overrides(
    command: Command, database: str, tmp_path: Path
) -> None:
    organizations = tmp_path / "organizations.yaml"
    organizations.write_text(
        f"organizations:\n  north:\n    database: {database}\n    overrides:\n"
        "      load_balancing:\n        daily_send_percentage_cap: 0.01\n"
    )
    options = ("--as-of", AS_OF, "--config", str(tmp_path), "--dry-run", "--json")
    assert "a day takes 2 emails" in command("plan", "--organization", "north", *options).err
    assert "a day takes" not in command("plan", "--database", database, *options).err
    assert "a day takes 2 emails" in command("plan", *options).err, "there is no other one"
    with organizations.open("a") as file:
        file.write("  south:\n    database: sqlite:///south.db\n")
    neither = command("plan", *options)
    assert neither.code == 2
    assert "either --organization NAME or --database URL" in neither.err


def test_a_plan_for_another_day_than_today_is_pointed_out(command: Command, database: str) -> None:
    yesterday = today() - timedelta(days=1)
    outcome = command("plan", "--database", database, "--as-of", yesterday.isoformat())
    assert f"the plan is for {yesterday}, not for today" in " ".join(outcome.out.split())


@on_both
def test_waiting_rows_of_a_foreign_type_are_pointed_out_and_stay(command: Command, database: str) -> None:
    change(
        database,
        "INSERT INTO email_schedules (contact_id, email_type, scheduled_send_date, status)"
        " VALUES (1, 'rate_increase', '2026-12-01', 'pre-scheduled')",
    )
    outcome = command("plan", "--database", database, "--as-of", AS_OF)
    assert "1 pre-scheduled rows of the type rate_increase are waiting" in " ".join(outcome.out.split())
    assert rows(database, "SELECT status FROM email_schedules WHERE email_type = 'rate_increase'") == [
        ("pre-scheduled",)
    ]


def test_emails_that_find_no_place_are_pointed_out(command: Command, database: str, tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.yaml"
    narrow.write_text("load_balancing: {daily_send_percentage_cap: 0.001, catch_up_spread_days: 2}\n")
    outcome = command("plan", "--database", database, "--as-of", AS_OF, "--config", str(narrow))
    printed = " ".join(outcome.out.split())
    assert "find no place from" in printed
    assert "load_balancing.daily_send_percentage_cap" in printed


@on_both
def test_an_older_plan_is_refused_unless_it_is_meant(command: Command, database: str) -> None:
    planned(command, database)
    older = ("plan", "--database", database, "--as-of", "2026-11-20")
    refused = command(*older)
    assert refused.code == 1
    assert "2026-11-23" in refused.err
    assert "--allow-older" in refused.err
    assert command(*older, "--allow-older").code == 0


@on_both
def test_a_plan_for_a_day_far_ahead_is_refused_unless_it_is_meant_and_then_it_is_not_todays(
    command: Command, database: str
) -> None:
    plan = ("plan", "--database", database, "--as-of")
    week, far = today() + timedelta(days=7), date(2062, 11, 23)
    assert command(*plan, today()).code == 0
    assert command(*plan, week).code == 0
    before = schedules(database)
    for day in (week + timedelta(days=1), far, date.max):
        refused = command(*plan, day)
        assert (refused.code, schedules(database)) == (2, before)
        assert f"{day}, {(day - today()).days:,} days after today, {today()}" in refused.err
        assert "--allow-future" in refused.err
    tried = command(*plan, far, "--dry-run")
    assert (tried.code, schedules(database)) == (0, before)
    assert "plans of today are refused as older" in " ".join(tried.out.split())
    assert command(*plan, far, "--allow-future").code == 0
    assert "is ahead of today" in " ".join(command("health", "--database", database).out.split())
    refused = command(*plan, today())
    assert refused.code == 1
    assert "2062-11-23" in refused.err
    # what was planned for 2062 is not what is planned for now
    assert command(*plan, today(), "--allow-older").code == 3
    accepted = ("--accept-loss", "--by", "Jo", "--reason", "back to today")
    assert command(*plan, today(), "--allow-older", *accepted).code == 0
    # the way back is open for good
    assert command(*plan, today()).code == 0
    assert "is ahead of today" not in " ".join(command("health", "--database", database).out.split())


@on_both
def test_a_date_at_an_end_of_the_calendar_is_refused_in_words_by_every_command(
    command: Command, database: str, tmp_path: Path
) -> None:
    planned(command, database)
    before = schedules(database)
    other = tmp_path / "other.yaml"
    other.write_text("timing_constants: {post_window_grace_days: 3660}\n")
    for day in ("0001-01-01", "9999-12-31"):
        for arguments in (
            ("plan", "--allow-future", "--as-of", day),
            ("plan", "--dry-run", "--as-of", day),
            ("what-if", "--config", other, "--as-of", day),
            ("simulate", "--days", "2", "--from", day),
            ("campaigns", "preview", "initial_blast/new_website", "--ids", "1", "--as-of", day),
        ):
            refused = command(*arguments, "--database", database)
            assert (refused.code, refused.out) == (2, ""), arguments
            assert f"{day}; accepted are dates from 00" in refused.err or f"{day} and 1 days" in refused.err
    assert command("report", "--as-of", "9999-12-31", "--database", database).code == 2
    assert command("explain", "--contact", "1", "--as-of", "9999-12-31", "--database", database).code == 0
    assert command("explain", "--contact", "1", "--as-of", "0001-01-01", "--database", database).code == 2
    assert schedules(database) == before


@on_both
def test_batches_that_begin_without_a_valid_contact_lose_nobody(
    command: Command, database: str, tmp_path: Path
) -> None:
    change(database, "UPDATE contacts SET email = NULL WHERE id <= 25")
    small = tmp_path / "small.yaml"
    small.write_text("processing: {batch_size: 7}\n")
    result = planned(command, database, "--config", str(small))
    [(contacts,)] = rows(
        database,
        "SELECT count(DISTINCT contact_id) FROM email_schedules"
        " WHERE email_type = 'aep' AND status IN ('pre-scheduled', 'skipped')",
    )
    [(doubled,)] = rows(
        database,
        "SELECT count(*) FROM (SELECT 1 FROM email_schedules WHERE email_type = 'aep'"
        " AND status IN ('pre-scheduled', 'skipped') GROUP BY contact_id, event_year HAVING count(*) > 1)"
        " AS doubled",
    )
    assert doubled == 0
    assert contacts == result["contacts"]["valid"]
    assert rows(database, "SELECT count(*) FROM contact_issues WHERE issue = 'missing_email'")[0][0] >= 25  # type: ignore[operator]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--database", "sqlite:////nowhere/no.db"), "no.db"),
        (("--database", "mysql://host/db"), "sqlite:///"),
        (("--database", "{database}", "--as-of", "23.11.2026"), "YYYY-MM-DD"),
        (("--database", "{database}", "--config", "/nowhere/no.yaml"), "no.yaml"),
        (("--database", "{database}", "--unknown"), "--unknown"),
        ((), "--database"),
    ],
)
def test_bad_arguments_give_one_clear_line_and_the_exit_code_2(
    command: Command, database: str, arguments: tuple[str, ...], told: str
) -> None:
    outcome = command("plan", *(argument.format(database=database) for argument in arguments))
    assert outcome.code == 2
    assert told in outcome.err
    assert "Traceback" not in outcome.err


def test_a_bad_configuration_names_file_key_value_and_what_is_accepted(
    command: Command, database: str, tmp_path: Path
) -> None:
    config = tmp_path / "broken.yaml"
    config.write_text("load_balancing: {daily_send_percentage_cap: -1}\n")
    outcome = command("plan", "--database", database, "--config", str(config))
    assert outcome.code == 2
    for words in ("broken.yaml", "load_balancing.daily_send_percentage_cap", "-1", "accepted"):
        assert words in outcome.err


def test_a_database_that_is_not_initialised_names_the_command_that_does_it(
    command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "bare.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE contacts (id INTEGER PRIMARY KEY)")
    outcome = command("plan", "--database", f"sqlite:///{path}")
    assert outcome.code == 2
    assert "email-scheduler init-db" in outcome.err


@on_both
def test_a_campaign_that_cannot_be_read_stops_the_plan_and_is_named(command: Command, database: str) -> None:
    change(database, 'UPDATE campaign_instances SET metadata = \'{"priority": "high"}\' WHERE id = 1')
    outcome = command("plan", "--database", database, "--as-of", AS_OF)
    assert outcome.code == 1
    assert "campaign instance 1: metadata.priority is 'high'; accepted is a whole number" in outcome.err
    assert rows(database, "SELECT count(*) FROM email_schedules WHERE status = 'pre-scheduled'") == [(0,)]


def test_the_log_goes_to_the_file_that_the_configuration_names(
    command: Command, database: str, tmp_path: Path
) -> None:
    log, config = tmp_path / "logs" / "planner.log", tmp_path / "logged.yaml"
    config.write_text(f"logging: {{file: {log}, level: INFO, format: 'AT %(levelname)s %(message)s'}}\n")
    planned(command, database, "--config", str(config))
    assert "AT INFO read: " in log.read_text()
    config.write_text(f"logging: {{file: {log}, enable_timing_logs: false}}\n")
    log.unlink()
    planned(command, database, "--config", str(config))
    assert "read: " not in log.read_text()


@on_both
def test_generating_into_a_database_in_use_is_refused(command: Command, database: str) -> None:
    outcome = command("generate", "--contacts", "10", "--database", database)
    assert outcome.code == 2
    assert "300" in outcome.err


def test_init_db_twice_changes_nothing_the_second_time(command: Command, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    assert command("init-db", "--database", url).code == 0
    before = rows(url, "SELECT sql FROM sqlite_schema ORDER BY name")
    assert command("init-db", "--database", url).code == 0
    assert rows(url, "SELECT sql FROM sqlite_schema ORDER BY name") == before


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_init_db_says_what_it_added_to_contacts_and_what_it_ignores(
    command: Command, request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    is_file = kind == "sqlite"
    bare = SqliteDatabase(tmp_path / "org.db") if is_file else request.getfixturevalue("bare_postgresql")
    bare.run("CREATE TABLE contacts (id INTEGER PRIMARY KEY, email TEXT, dob TEXT)")
    url = bare.url
    first = command("init-db", "--database", url).out
    flat = " ".join(first.split())
    assert "Table contacts, new columns: birth_date, effective_date, first_name, last_name," in flat
    assert "Table contacts, new triggers: watch_contacts_delete, watch_contacts_insert," in flat
    ignored = "Columns of contacts that no plan reads, unless an audience names them: dob."
    assert ignored in flat
    assert "New tables: campaign_change_log, campaign_instances," in flat
    second = command("init-db", "--database", url).out
    assert "up to date" in second
    assert "new " not in second
    assert ignored in " ".join(second.split())
    config = tmp_path / "unwatched.yaml"
    config.write_text("features:\n  watch_contacts: false\n", encoding="utf-8")
    unwatched = " ".join(command("init-db", "--database", url, "--config", config).out.split())
    assert "Table contacts, removed triggers: watch_contacts_delete, watch_contacts_insert," in unwatched
    watched = " ".join(command("init-db", "--database", url).out.split())
    assert "Table contacts, new triggers: watch_contacts_delete, watch_contacts_insert," in watched


def test_init_db_makes_a_database_on_a_server_ready(
    command: Command, bare_postgresql: PostgresqlDatabase
) -> None:
    url = bare_postgresql.url
    assert "is ready" in command("init-db", "--database", url).out
    before = bare_postgresql.shape()
    assert "up to date" in command("init-db", "--database", url).out
    assert bare_postgresql.shape() == before


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("postgres:secret@127.0.0.1:1/org", "refused"),
        ("{user}:{password}@{host}/no_such_database", 'database "no_such_database" does not exist'),
        ("nobody_of_that_name:secret@{host}/postgres", "nobody_of_that_name"),
        ("{user}@{host}/no_such_database?password={password}", "does not exist"),
    ],
    ids=["no server", "no such database", "no such user", "password as a parameter"],
)
def test_errors_of_a_server_are_one_line_without_the_password(
    command: Command, postgresql_server: Server, address: str, told: str
) -> None:
    server = make_url(postgresql_server.url)
    password = server.password or "secret"
    host = f"{server.host}:{server.port or 5432}"
    url = address.format(user=server.username, password=password, host=host)
    outcome = command("init-db", "--database", f"postgresql+psycopg://{url}")
    assert outcome.code == 2
    assert told in outcome.err
    assert outcome.err.startswith("error: database postgresql+psycopg://")
    assert outcome.err.count("\n") == 1
    assert "secret" not in outcome.err
    assert str(password) not in outcome.err


@pytest.fixture(autouse=True)
def _in_an_empty_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the project's config/ the command has its built-in configuration."""
    monkeypatch.chdir(tmp_path)


def test_a_stack_trace_is_shown_only_when_asked_for(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arguments = ("plan", "--database", f"sqlite:///{tmp_path / 'no.db'}")
    assert command(*arguments).code == 2
    monkeypatch.setattr("sys.argv", ["email-scheduler", *arguments, "--debug"])
    with pytest.raises(DatabaseError):
        cli.main()

"""Backups: what is published first is copied, the copy is checked, and what is damaged is found out."""

import json
import logging
import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.backups import copies
from email_scheduler.database.backups.backup_files import (
    Backup,
    all_backups,
    backup_directory,
    finished_backups,
    prune,
)
from email_scheduler.database.backups.make_backup import (
    PLANNER_TABLES,
    backup_before_publishing,
    create_backup,
    find_backup,
    unpacked,
    verify_backup,
)
from email_scheduler.database.backups.restore import restore_backup
from email_scheduler.database.connections.opening import connect
from email_scheduler.database.tables import email_schedules
from email_scheduler.errors import BackupError, BackupUnavailableError
from email_scheduler.planning_run import plan_and_publish, preview_plan
from email_scheduler_tests.databases import (
    Database,
    PostgresqlDatabase,
    SqliteDatabase,
    on_postgresql,
    on_sqlite,
)

MONDAY = date(2026, 11, 23)
CONFIG = SchedulerConfig()


def settings(**audit: object) -> SchedulerConfig:
    return SchedulerConfig.model_validate({"audit": audit})


@pytest.fixture
def planned(database: Database) -> Database:
    """Three contacts with a plan for Monday."""
    database.insert(
        "contacts",
        *(
            {"id": n, "email": f"c{n}@example.com", "zip_code": "75001", "birth_date": f"1950-12-{n + 9}"}
            for n in (1, 2, 3)
        ),
    )
    plan_and_publish(database.url, CONFIG, MONDAY)
    return database


def made(database: Database, config: SchedulerConfig = CONFIG) -> list[Backup]:
    return finished_backups(backup_directory(database.url, config))


def damage(directory: Path, backup: Backup) -> None:
    file = backup.file(directory)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


@pytest.mark.parametrize("scope", ["planner_tables", "database"])
def test_a_backup_holds_the_rows_of_the_planner_and_is_sound(planned: Database, scope: str) -> None:
    backup = create_backup(planned.url, CONFIG, scope=scope)
    assert set(backup.rows) == set(PLANNER_TABLES) - {"email_scheduler_version"}
    for table, count in backup.rows.items():
        assert planned.query(f"SELECT count(*) FROM {table}") == [(count,)], table
    assert backup.rows["email_schedules"] >= 6
    verify_backup(backup_directory(planned.url, CONFIG), backup)


@on_sqlite
@pytest.mark.parametrize(("scope", "holds_contacts"), [("planner_tables", False), ("database", True)])
def test_only_a_backup_of_the_whole_database_holds_contacts(
    planned: Database, scope: str, holds_contacts: bool
) -> None:
    backup = create_backup(planned.url, CONFIG, scope=scope)
    with unpacked(backup_directory(planned.url, CONFIG), backup) as content:
        connection = sqlite3.connect(content)
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        connection.close()
    assert ("contacts" in names) is holds_contacts


# A column that email_schedules may have besides; the file may be of any program.
COLUMNS_OF_OTHERS = {
    "no default": "other",
    "a word": "other BOOLEAN DEFAULT TRUE",
    "a number": "other INTEGER DEFAULT -1.5",
    "a text": "other VARCHAR(20) DEFAULT 'it''s'",
    "a text in double quotation marks": 'other TEXT DEFAULT "a ""b"" c"',
    "brackets": "other INTEGER DEFAULT (-3.5e-1)",
    "bytes": "other BLOB DEFAULT x'00ff'",
    "odd words for a type": 'other "odd ""type"" (1), of" DEFAULT 1',
    "a collation": "other TEXT COLLATE NOCASE DEFAULT 'x'",
    "computed": "other AS (id * 2)",
    "a condition": "other INTEGER NOT NULL DEFAULT 5 CHECK (other > 4)",
}


@on_sqlite
@pytest.mark.parametrize("column", COLUMNS_OF_OTHERS.values(), ids=COLUMNS_OF_OTHERS)
def test_every_value_is_in_the_backup_as_it_is(planned: Database, column: str, tmp_path: Path) -> None:
    odd = ("x'00ff'", "'1.0'", "1.5", "'text'", "9223372036854775807", "-0.0", "1e300", "'nul' || char(0)")
    for number, value in enumerate(odd):
        planned.write(
            "INSERT INTO email_schedules (contact_id, email_type, status, priority, event_year, metadata)"
            f" VALUES (1, 'letter', 'sent', {value}, {value}, {value})"
        )
        planned.write(f"INSERT INTO contact_issues VALUES ({value}, 'field', {number}, 'run')")
    planned.write("DELETE FROM email_schedules WHERE id IN (2, 3)")
    # the rows that are there are not written anew: they end before it
    planned.write(f"ALTER TABLE email_schedules ADD COLUMN {column}")
    planned.write("INSERT INTO email_schedules (contact_id, status) VALUES (2, 'sent')")
    backup, directory = create_backup(planned.url, CONFIG), backup_directory(planned.url, CONFIG)
    copy = SqliteDatabase(tmp_path / "copy.db")
    with unpacked(directory, backup) as content:
        shutil.copyfile(content, copy.path)
    for table in PLANNER_TABLES:
        names = [name for (name,) in copy.query(f"SELECT name FROM pragma_table_info('{table}')")]
        stored = planned.query(f"SELECT name FROM pragma_table_info('{table}')")
        assert names == [name for (name,) in stored]
        values = ", ".join(f'typeof("{name}"), quote("{name}")' for name in names)
        rows = f"SELECT {values} FROM {table} ORDER BY rowid"
        assert copy.query(rows) == planned.query(rows), table
    known = ", ".join(f"typeof({each.name}), quote({each.name})" for each in email_schedules.columns)
    rows = f"SELECT {known} FROM email_schedules ORDER BY id"
    before = planned.query(rows)
    planned.write("DELETE FROM email_schedules WHERE status = 'pre-scheduled'")
    restored = restore_backup(planned.url, CONFIG, directory, backup, restored_by="a test")
    assert restored.returned > 0
    assert planned.query(rows) == before


def test_only_the_owner_may_read_backups(planned: Database) -> None:
    create_backup(planned.url, CONFIG)
    directory = backup_directory(planned.url, CONFIG)
    files = list(directory.iterdir())
    assert len(files) == 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert {stat.S_IMODE(each.stat().st_mode) for each in (directory, directory.parent)} == {0o700}


def test_nothing_is_backed_up_before_the_first_plan(planned: Database) -> None:
    assert made(planned) == []


def test_there_is_one_backup_a_day_for_plans_however_many_there_are(planned: Database) -> None:
    before = planned.query("SELECT count(*) FROM email_schedules")[0][0]
    for day in (1, 1, 2):
        plan_and_publish(planned.url, CONFIG, MONDAY + timedelta(days=day))
    (backup,) = made(planned)
    assert (backup.made_for, backup.rows["email_schedules"]) == ("plan", before)


def test_a_backup_on_request_is_made_each_time_and_does_not_stand_in_for_that_of_the_plan(
    planned: Database,
) -> None:
    create_backup(planned.url, CONFIG)
    create_backup(planned.url, CONFIG)
    plan_and_publish(planned.url, CONFIG, MONDAY + timedelta(days=1))
    assert [backup.made_for for backup in made(planned)] == ["plan", "request", "request"]


def test_a_dry_run_makes_no_backup(planned: Database) -> None:
    preview_plan(planned.url, CONFIG, MONDAY + timedelta(days=1))
    assert made(planned) == []


def test_backups_can_be_switched_off(planned: Database) -> None:
    config = settings(enable_pit_backups=False)
    plan_and_publish(planned.url, config, MONDAY + timedelta(days=1))
    assert made(planned, config) == []


def test_the_configuration_names_directory_and_scope(planned: Database, tmp_path: Path) -> None:
    config = settings(backup_directory=str(tmp_path / "elsewhere"), backup_scope="database")
    plan_and_publish(planned.url, config, MONDAY + timedelta(days=1))
    (backup,) = made(planned, config)
    assert backup.scope == "database"
    assert backup.file(backup_directory(planned.url, config)).is_relative_to(tmp_path / "elsewhere")


def test_a_plan_is_not_published_without_its_backup(planned: Database, tmp_path: Path) -> None:
    (tmp_path / "a_file").write_text("in the way")
    before = planned.query("SELECT * FROM email_schedules ORDER BY id")
    with pytest.raises(BackupError, match=r"a_file.*audit\.backup_directory.*audit\.enable_pit_backups"):
        plan_and_publish(
            planned.url, settings(backup_directory=str(tmp_path / "a_file")), MONDAY + timedelta(days=1)
        )
    assert planned.query("SELECT * FROM email_schedules ORDER BY id") == before
    # the planner lock was given back
    plan_and_publish(planned.url, CONFIG, MONDAY + timedelta(days=1))


@on_sqlite
def test_nothing_is_left_of_a_backup_for_which_the_disk_was_too_full(
    planned: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copies, "compress", fails)
    with pytest.raises(BackupError, match="No space left on device"):
        create_backup(planned.url, CONFIG)
    assert list(backup_directory(planned.url, CONFIG).iterdir()) == []


def test_a_backup_is_made_while_connections_of_the_planner_are_open(planned: Database) -> None:
    with (
        connect(planned.url, CONFIG) as connection,
        backup_before_publishing(planned.url, CONFIG) as finish_backup,
    ):
        emails = connection.execute("SELECT count(*) FROM email_schedules")
        backup = finish_backup()
        assert backup is not None
        assert emails == [(backup.rows["email_schedules"],)]
    verify_backup(backup_directory(planned.url, CONFIG), backup)


@on_postgresql
def test_without_pg_dump_a_plan_is_published_with_a_warning_and_a_backup_on_request_fails(
    planned: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with caplog.at_level(logging.WARNING):
        plan_and_publish(planned.url, CONFIG, MONDAY + timedelta(days=1))
    assert "pg_dump is not installed" in caplog.text
    assert planned.query("SELECT count(*) FROM scheduler_checkpoints WHERE status = 'completed'") == [(2,)]
    with pytest.raises(BackupUnavailableError, match="apt-get install postgresql-client"):
        create_backup(planned.url, CONFIG)


@on_postgresql
def test_what_pg_dump_says_is_told_and_never_the_password(
    planned: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "pg_dump"
    program.write_text('#!/bin/sh\necho "$@" > "$0.arguments"\necho "no luck" >&2\nexit 1\n')
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    url = planned.url.replace("postgres@", "postgres:dont-show@")
    with pytest.raises(BackupError, match="pg_dump failed: no luck"):
        create_backup(url, CONFIG)
    assert "dont-show" not in (tmp_path / "pg_dump.arguments").read_text()
    assert list(backup_directory(url, CONFIG).iterdir()) == []


def test_a_backup_in_which_one_byte_was_changed_is_found_out(planned: Database) -> None:
    backup, directory = create_backup(planned.url, CONFIG), backup_directory(planned.url, CONFIG)
    damage(directory, backup)
    with pytest.raises(BackupError, match="it is damaged: its SHA-256 is"):
        verify_backup(directory, backup)
    assert len(list(directory.iterdir())) == 2


@on_sqlite
def test_a_damaged_database_gives_no_backup_of_the_whole(planned: SqliteDatabase) -> None:
    ((page,),) = planned.query("SELECT rootpage FROM sqlite_master WHERE name = 'ix_contacts_address'")
    ((size,),) = planned.query("PRAGMA page_size")
    planned.query("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(planned.path.read_bytes())
    # an index that does not know its table any more
    content[page * size - 200 : page * size] = bytes(200)
    planned.path.write_bytes(content)
    with pytest.raises(BackupError, match="the copy is damaged"):
        create_backup(planned.url, CONFIG, scope="database")
    assert made(planned) == []
    assert list(backup_directory(planned.url, CONFIG).iterdir()) == []


def test_old_backups_go_and_the_latest_stays_whatever_its_age(planned: Database) -> None:
    names = [create_backup(planned.url, CONFIG).name for _ in range(3)]
    directory = backup_directory(planned.url, CONFIG)
    later = datetime.now(UTC) + timedelta(days=8)
    assert prune(directory, 9, later) == []
    assert sorted(prune(directory, 7, later)) == sorted(names[:2])
    assert [backup.name for backup in made(planned)] == [names[2]]
    assert len(list(directory.iterdir())) == 2


def test_what_a_backup_left_that_was_stopped_does_not_count_and_goes_after_a_day(planned: Database) -> None:
    create_backup(planned.url, CONFIG)
    directory = backup_directory(planned.url, CONFIG)
    (directory / "20261101-000000-000.sqlite.zst").write_bytes(b"half")
    (directory / "somebody's notes.txt").write_text("keep")
    assert len(made(planned)) == 1
    prune(directory, 7, datetime.now(UTC))
    assert (directory / "20261101-000000-000.sqlite.zst").exists()
    prune(directory, 7, datetime.now(UTC) + timedelta(days=2))
    assert not (directory / "20261101-000000-000.sqlite.zst").exists()
    assert (directory / "somebody's notes.txt").exists()


def test_publishing_removes_backups_that_are_too_old(planned: Database) -> None:
    old, directory = create_backup(planned.url, CONFIG), backup_directory(planned.url, CONFIG)
    file = directory / f"{old.name}.json"
    file.write_text(file.read_text().replace(old.made_at, "2026-01-01T00:00:00.000+00:00"))
    plan_and_publish(planned.url, CONFIG, MONDAY + timedelta(days=1))
    assert [backup.made_for for backup in made(planned)] == ["plan"]


def test_databases_of_one_name_do_not_share_a_directory() -> None:
    urls = ["sqlite:////srv/a/agency.db", "sqlite:////srv/b/agency.db", "postgresql+psycopg://me@host/agency"]
    names = [backup_directory(url, CONFIG).name for url in urls]
    assert len(set(names)) == 3
    assert all(name.startswith("agency-") for name in names)


def test_no_name_of_a_database_leads_out_of_the_directory() -> None:
    url = "postgresql+psycopg://me@host/..%2F..%2Fetc"
    assert backup_directory(url, CONFIG).parent == backup_directory("sqlite:////a.db", CONFIG).parent


def test_a_name_that_is_not_known_is_an_error_that_lists_those_that_are(planned: Database) -> None:
    backup = create_backup(planned.url, CONFIG)
    with pytest.raises(BackupError, match=rf"no backup 'monday' .*latest.*{backup.name}"):
        find_backup(planned.url, CONFIG, "monday")
    file = backup.file(backup_directory(planned.url, CONFIG))
    assert find_backup(planned.url, CONFIG, str(file)) == (file.parent, backup)


@on_postgresql
def test_a_dump_is_of_one_moment(planned: PostgresqlDatabase) -> None:
    backup, directory = create_backup(planned.url, CONFIG), backup_directory(planned.url, CONFIG)
    planned.write("DELETE FROM email_schedules")
    verify_backup(directory, backup)
    assert backup.rows["email_schedules"] > 0


DESCRIPTIONS = {
    "empty": b"",
    "not a mapping": b"5",
    "deep": b"[" * 100_000,
    "long": b" " * 2_000_000,
    "no UTF-8": b"\xff\xfe",
    "rows": {"rows": 5},
    "rows of something else": {"rows": {"x": 1}},
    "rows that are texts": {"rows": {"email_schedules": "5"}},
    "size": {"bytes": "many"},
    "moment": {"made_at": "yesterday"},
    "first moment": {"made_at": "0001-01-01T00:00:00+14:00"},
    "kind": {"kind": ["sqlite"]},
    "name": {"name": "another"},
    "more": {"more": 1},
}


def describe_wrongly(directory: Path, backup: Backup, what: bytes | dict[str, object]) -> None:
    file = directory / f"{backup.name}.json"
    file.write_bytes(
        what if isinstance(what, bytes) else json.dumps({**json.loads(file.read_text()), **what}).encode()
    )


@pytest.mark.parametrize("what", DESCRIPTIONS)
def test_a_damaged_description_of_one_backup_is_shown_and_everything_else_works(
    what: str, planned: Database, command: Callable[..., str]
) -> None:
    directory = backup_directory(planned.url, CONFIG)
    oldest, sound = (create_backup(planned.url, CONFIG) for _ in range(2))
    describe_wrongly(directory, oldest, DESCRIPTIONS[what])
    at = ("--database", planned.url)
    listed = json.loads(command("backup", "list", "--json", *at))
    assert [each["name"] for each in listed["backups"]] == [sound.name]
    assert [each["name"] for each in listed["damaged"]] == [oldest.name]
    printed = command("backup", "list", *at)
    assert re.search(rf"{oldest.name} .* damaged\n", printed)
    with pytest.raises(RuntimeError, match="it is damaged: not the description of"):
        command("backup", "verify", oldest.name, *at)
    assert json.loads(command("backup", "verify", "latest", "--json", *at))["name"] == sound.name
    assert plan_and_publish(planned.url, CONFIG, MONDAY).changes.totals["removed"] == 0
    command("backup", "restore", "latest", "--yes", *at)
    command("backup", "create", *at)
    assert oldest.file(directory).exists()


def test_the_latest_backup_is_not_silently_another_one(planned: Database) -> None:
    directory = backup_directory(planned.url, CONFIG)
    _, damaged = (create_backup(planned.url, CONFIG) for _ in range(2))
    describe_wrongly(directory, damaged, b"")
    with pytest.raises(BackupError, match=f"{damaged.name}.json: it is damaged"):
        find_backup(planned.url, CONFIG, "latest")


def test_a_damaged_backup_goes_when_it_is_too_old(planned: Database) -> None:
    directory = backup_directory(planned.url, CONFIG)
    damaged, sound = (create_backup(planned.url, CONFIG) for _ in range(2))
    describe_wrongly(directory, damaged, b"")
    later = datetime.now(UTC) + timedelta(days=8)
    prune(directory, 9, now=later)
    assert damaged.file(directory).exists()
    prune(directory, 7, now=later)
    assert {file.name.split(".")[0] for file in directory.iterdir()} == {sound.name}


@pytest.mark.parametrize("what", ["loop", "leads nowhere", "directory"])
def test_what_is_no_file_in_the_directory_of_backups_stops_no_other_and_goes_in_time(
    what: str, planned: Database
) -> None:
    sound, directory = create_backup(planned.url, CONFIG), backup_directory(planned.url, CONFIG)
    names = ["20200101-000000-000.json", "20200101-000000-000.sqlite.zst", "notes"]
    for name in names:
        file = directory / name
        if what == "directory":
            file.mkdir()
        else:
            file.symlink_to(file if what == "loop" else directory / "nowhere")
    _, damaged = all_backups(directory)
    assert [each.name for each in damaged] == ["20200101-000000-000"]
    create_backup(planned.url, CONFIG)
    later = datetime.now(UTC) + timedelta(days=8)
    prune(directory, 9, now=later)
    assert all(os.path.lexists(directory / name) for name in names)
    assert prune(directory, 7, now=later) == [sound.name]
    assert [os.path.lexists(directory / name) for name in names] == [False, False, True]

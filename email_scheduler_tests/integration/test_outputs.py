"""What a command writes where it is told to never takes the place of something that is needed."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer

from email_scheduler.cli import app
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.backups.backup_files import backup_directory
from email_scheduler.database.backups.make_backup import create_backup
from email_scheduler.errors import UsageError
from email_scheduler.files import Output
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.command_line import Outcome, run_command
from email_scheduler_tests.databases import SqliteDatabase
from email_scheduler_tests.recording.recorder import all_commands

AS_OF = "2026-11-23"
OUTPUTS = {
    "report": ("--as-of", AS_OF, "--html"),
    "explain": ("--contact", "1", "--as-of", AS_OF, "--html"),
    "simulate": ("--from", AS_OF, "--days", "2", "--html"),
    "what-if": ("--config", "other.yaml", "--present", "scheduler.yaml", "--as-of", AS_OF, "--csv"),
    "campaigns show": ("promo/spring", "--csv"),
    "suppressions list": ("--csv",),
    "shadow": ("--beside", "older.csv", "--as-of", AS_OF, "--csv"),
}
# Options of this name that are read.
READ = {
    *("campaigns target", "campaigns withdraw", "campaigns preview", "contacts import", "contacts rekey"),
    *("suppress", "import-history"),
}
Command = Callable[..., Outcome]


@pytest.fixture
def organisation(
    sqlite_database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SqliteDatabase:
    """A plan, a backup, a configuration and a directory, all below the working directory."""
    monkeypatch.chdir(tmp_path)
    sqlite_database.insert(
        "contacts", {"id": 1, "email": "c1@example.com", "zip_code": "75001", "birth_date": "1950-12-20"}
    )
    sqlite_database.insert("campaign_types", {"name": "promo", "priority": 5})
    sqlite_database.insert(
        "campaign_instances",
        {"id": 1, "campaign_type": "promo", "instance_name": "spring", "email_template": "x"},
    )
    for name in ("scheduler.yaml", "other.yaml"):
        Path(name).write_text("timing_constants: {}\n")
    Path("other.yaml").write_text("timing_constants: {birthday_email_days_before: 21}\n")
    Path("older.csv").write_text(
        "contact_id,email_type,scheduled_send_date,status\n1,birthday,2026-12-01,pre-scheduled\n"
    )
    config = SchedulerConfig()
    plan_and_publish(sqlite_database.url, config, date.fromisoformat(AS_OF))
    create_backup(sqlite_database.url, config)
    return sqlite_database


@pytest.fixture
def command(
    organisation: SqliteDatabase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    def run(name: str, *arguments: str) -> Outcome:
        given = (*OUTPUTS[name], *arguments, *(() if name == "what-if" else ("--config", "scheduler.yaml")))
        return run_command(monkeypatch, capsys, *name.split(), *given, "--database", organisation.url)

    return run


def needed(organisation: SqliteDatabase, tmp_path: Path) -> dict[str, Path]:
    """Return files that no output may replace, and other names of them."""
    with closing(sqlite3.connect("another.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    directory = backup_directory(organisation.url, SchedulerConfig())
    (backup,), (description,) = directory.glob("*.zst"), directory.glob("*.json")
    found = {
        "database": organisation.path,
        "another": Path("another.db"),
        "backup": backup,
        "description": description,
        "configuration": Path("scheduler.yaml"),
        "tried": Path("other.yaml"),
    }
    for name, path in list(found.items()):
        for kind, link in (("symlink", os.symlink), ("hard link", os.link)):
            other = tmp_path / f"{name}-{kind}.html"
            link(path.absolute(), other)
            found[f"{name} {kind}"] = other
    return found


@pytest.mark.parametrize("name", OUTPUTS)
def test_no_output_replaces_a_database_a_backup_or_a_configuration_by_any_name(
    name: str, command: Command, organisation: SqliteDatabase, tmp_path: Path
) -> None:
    for what, path in needed(organisation, tmp_path).items():
        if what.startswith("tried hard") and name != "what-if":
            # by this name it is any other file
            continue
        before = path.read_bytes()
        outcome = command(name, str(path), "--force")
        assert outcome.code == 2, (what, outcome)
        assert "is not replaced; accepted is another file" in outcome.err
        assert path.read_bytes() == before, what
    (tmp_path / "directory").mkdir()
    assert command(name, "directory", "--force").code == 2
    assert command(name, "missing/file", "--force").code == 2


@pytest.mark.parametrize("name", OUTPUTS)
def test_another_file_is_replaced_only_if_that_is_asked_for(
    name: str, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "page[red].html"
    path.write_text("a longer text that was there before " * 10_000)
    refused = command(name, str(path))
    assert refused.code == 2
    assert f"{path}: there is such a file; accepted is another one, or --force" in refused.err
    assert command(name, str(path), "--force").code == 0
    assert "was there before" not in path.read_text()
    path.unlink()
    written = command(name, str(path))
    assert written.code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert command(name, "/dev/null").code == 0


def test_every_command_that_writes_a_file_is_tried() -> None:
    writing = {name for name in all_commands() if {"--html", "--csv"} & _options(name) and name not in READ}
    assert writing == set(OUTPUTS)
    assert all("--force" in _options(name) for name in writing)


def _options(name: str) -> set[str]:
    found: Any = typer.main.get_command(app)
    for part in name.split():
        found = found.commands[part]
    return {option for each in found.params for option in each.opts}


def test_a_log_goes_into_a_regular_file_that_is_nothing_else(
    organisation: SqliteDatabase,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    os.mkfifo("pipe")
    Path("directory").mkdir()
    Path("loop").symlink_to("loop")
    refused = {
        str(organisation.path): "it is a database; accepted is another file",
        "pipe": "it is no regular file; accepted is another file",
        "/dev/full": "it is no regular file",
        "directory": "Is a directory; accepted is a file in a directory that can be",
        "older.csv/run.log": "Not a directory",
        "loop": "symbolic links",
        "x" * 300: "File name too long",
        "a\\0b": "",
    }
    arguments = ("campaigns", "types", "--config", "scheduler.yaml", "--database", organisation.url)
    for file, said in refused.items():
        Path("scheduler.yaml").write_text(f'logging: {{file: "{file}"}}\n')
        outcome = run_command(monkeypatch, capsys, *arguments)
        assert outcome.code == 2, file
        assert said in outcome.err
        assert len(outcome.err.splitlines()) == 1
    assert organisation.query("SELECT count(*) FROM contacts") == [(1,)]
    Path("scheduler.yaml").write_text("logging: {file: new/run.log}\n")
    assert run_command(monkeypatch, capsys, *arguments).code == 0
    assert Path("new/run.log").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_no_output_has_a_name_that_sqlite_uses_beside_a_file(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "org.db").touch()
    output = Output(tmp_path / f"org.db{suffix}")
    for refuse in (output.refuse, output.open):
        with pytest.raises(UsageError, match=r"a part of org\.db; accepted is another name"):
            refuse()
    assert not output.path.exists()
    Output(tmp_path / f"other{suffix}").open().close()
    Output(tmp_path / suffix).open().close()


def test_a_link_that_leads_nowhere_is_refused_before_any_work(tmp_path: Path) -> None:
    link = tmp_path / "page.html"
    link.symlink_to(tmp_path / "gone.html")
    with pytest.raises(UsageError, match="it is a link that leads nowhere; accepted is another file"):
        Output(link).refuse()

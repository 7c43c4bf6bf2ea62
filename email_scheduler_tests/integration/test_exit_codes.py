"""What is printed never decides the exit code of what was done."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from email_scheduler.cli import shared
from email_scheduler_tests.command_line import run_command
from email_scheduler_tests.databases import Database, SqliteDatabase

RUN = (sys.executable, "-c", "from email_scheduler.cli import main; main()")
CHANGE = ("campaigns", "types", "change", "promo", "priority=7", "--by", "[/x]")
LIST = ("campaigns", "types")


@pytest.fixture
def organisation(
    sqlite_database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SqliteDatabase:
    monkeypatch.chdir(tmp_path)
    sqlite_database.insert("campaign_types", {"name": "promo", "priority": 5})
    return sqlite_database


def priority(organisation: SqliteDatabase) -> int:
    ((found,),) = organisation.query("SELECT priority FROM campaign_types")
    return int(found)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_change_is_done_though_nobody_can_read_of_it(
    organisation: SqliteDatabase, options: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("w") as full:
        for arguments, code, said in (
            (CHANGE, 0, "note: what was asked for is done, but cannot be shown: OSError"),
            (LIST, 1, "error: OSError"),
        ):
            ended = subprocess.run(
                [*RUN, *arguments, *options, "--database", organisation.url],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            assert ended.returncode == code, ended.stderr
            assert said in ended.stderr
            assert "Traceback" not in ended.stderr
    assert priority(organisation) == 7


def test_a_change_is_done_though_both_its_outputs_are_closed(organisation: SqliteDatabase) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [*RUN, *CHANGE, "--database", organisation.url], stdout=writing, stderr=writing, check=False
    )
    os.close(writing)
    assert ended.returncode == 0
    assert priority(organisation) == 7


def test_a_mistake_in_what_is_shown_is_told_and_changes_no_exit_code(
    organisation: SqliteDatabase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise TypeError("a value")

    monkeypatch.setattr(shared.out, "print", fails)
    at = ("--database", organisation.url)
    changed = run_command(monkeypatch, capsys, *CHANGE, *at)
    note = "note: what was asked for is done, but cannot be shown: TypeError\n"
    assert (changed.code, changed.err) == (0, note)
    assert priority(organisation) == 7
    assert run_command(monkeypatch, capsys, *LIST, *at).code == 1
    assert run_command(monkeypatch, capsys, "campaigns", "sync", "--dry-run", *at).code == 1


def test_what_a_terminal_cannot_show_is_shown_as_an_escape(organisation: SqliteDatabase) -> None:
    organisation.write("UPDATE campaign_types SET name = ?", ("日本",))
    ended = subprocess.run(
        [*RUN, *LIST, "--database", organisation.url],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "\\u65e5\\u672c" in ended.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("campaigns", "changes", "--limit", "99999999999999999999"),
        ("generate", "--contacts", "99999999999999999999"),
        ("explain", "--contact", "99999999999999999999"),
        ("explain", "--contact", "-99999999999999999999"),
        ("config", "show", "99999999999999999999"),
        ("campaigns", "show", "99999999999999999999"),
        ("simulate", "--days", "99999999999999999999"),
        ("campaigns", "types", "change", "promo", "priority=99999999999999999999"),
    ],
)
def test_a_number_beyond_all_that_is_thought_of_is_refused(
    arguments: tuple[str, ...],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    database.insert("campaign_types", {"name": "promo", "priority": 5})
    outcome = run_command(monkeypatch, capsys, *arguments, "--database", database.url)
    assert outcome.code == 2
    assert "99999999999999999999" in outcome.err or "should be less than or equal to" in outcome.err

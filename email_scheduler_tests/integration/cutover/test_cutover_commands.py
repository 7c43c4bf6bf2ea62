"""The commands of the cutover, as somebody types them."""

import csv
import json
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from email_scheduler.database.upgrade import initialise_database
from email_scheduler_tests.command_line import Outcome, run_command
from email_scheduler_tests.databases import SqliteDatabase

HEADING = "contact_id,email_type,send_date\n"
Command = Callable[..., Outcome]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return partial(run_command, monkeypatch, capsys)


@pytest.fixture
def own(agency: SqliteDatabase, tmp_path: Path) -> SqliteDatabase:
    path = tmp_path / "shadow.db"
    path.write_bytes(agency.path.read_bytes())
    initialise_database(f"sqlite:///{path}")
    return SqliteDatabase(path)


def test_import_history_lists_bad_lines_and_imports_nothing_or_the_rest(
    own: SqliteDatabase, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "sent.csv"
    path.write_text(HEADING + "1,birthday,2024-02-24\n1,new_year,2024-12-31\n", encoding="utf-8")
    arguments = ("import-history", "--database", own.url, "--csv", path)
    code, _, err = command(*arguments)
    assert code == 2
    assert f"{path}: line 3: email_type: not an email type; accepted is one of birthday," in err
    assert "1 line cannot be taken, and nothing was changed; --skip-bad takes the others" in err
    code, out, err = command(*arguments, "--skip-bad", "--json")
    assert code == 0
    done = json.loads(out)
    assert (done["counts"], done["added"]) == ({"added": 1, "not_sent": 0}, {"birthday": 1})
    assert [(each["line"], each["column"]) for each in done["bad_lines"]] == [(3, "email_type")]
    assert f"not taken: {path}: line 3: email_type:" in err
    code, out, _ = command(*arguments, "--skip-bad", "--dry-run")
    assert out.splitlines() == [
        "Emails added: none",
        "Noted: 1 lines there already",
        "Noted: 1 lines not taken: see above",
        "This was a dry run: nothing was changed.",
    ]


def test_shadow_prints_tables_or_json_and_writes_the_differences(
    own: SqliteDatabase, agency: SqliteDatabase, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "differences.csv"
    arguments = ("shadow", "--database", own.url, "--beside", agency.url, "--as-of", "2026-11-23")
    code, out, _ = command(*arguments, "--csv", path)
    assert code == 0
    assert "Plan for Monday, 2026-11-23, beside sqlite:///" in out
    assert "Effective date exclusion window in MO" in out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open(newline="", encoding="utf-8") as file:
        count = len(list(csv.DictReader(file)))
    code, out, _ = command(*arguments, "--json")
    found = json.loads(out)
    assert count == sum(row["rows"] for row in found["by_reason"])
    assert found["by_type"]["newsletter"]["only_there"] == 1


def test_a_password_in_the_url_of_the_older_database_is_not_shown(
    own: SqliteDatabase, command: Command, tmp_path: Path
) -> None:
    config = tmp_path / "impatient.yaml"
    config.write_text("processing: {max_retry_attempts: 0}\n")
    beside = "postgresql+psycopg://planner:secret@127.0.0.1:1/older"
    options = ("--database", own.url, "--beside", beside, "--config", str(config))
    code, out, err = command("shadow", *options)
    assert code == 2
    assert "secret" not in out + err

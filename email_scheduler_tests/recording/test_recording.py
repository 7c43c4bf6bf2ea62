"""What every command prints as JSON on one organisation, and the rows of its plans, stay what they are.

``make recording`` writes the files under ``recorded/`` anew. Whoever changes what is printed reads what has
changed in them, and commits them with the change that is the reason.
"""

import json
import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning_run import plan_and_publish
from email_scheduler.sample.sample_data import generate_sample
from email_scheduler_tests.command_line import run_command
from email_scheduler_tests.databases import Database, SqliteDatabase
from email_scheduler_tests.recording.recorder import Recorder, all_commands, command_of, lines
from email_scheduler_tests.recording.script import FIRST_DAY, WITHOUT_JSON

RECORDED = Path(__file__).parent / "recorded"
# What libraries call nothing; people are shown a dash, or a word that says what is missing.
NOTHING = re.compile(r"(?<![\w.-])(nan|None(?! within)|<NA>|NaT)(?![\w-])")
IS_WRITING = os.environ.get("EMAIL_SCHEDULER_RECORD") == "1"


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Database, Database]:
    """Two databases without rows; ``init-db`` makes the tables that are missing."""
    if request.param == "sqlite":
        return SqliteDatabase(tmp_path / "sample.db"), SqliteDatabase(tmp_path / "older.db")
    fixture = request.getfixturevalue
    return fixture("postgresql_database"), fixture("bare_postgresql")


def test_what_commands_print_and_the_rows_of_plans_are_as_recorded(
    databases: tuple[Database, Database],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorder = Recorder(*databases, tmp_path, partial(run_command, monkeypatch, capsys), monkeypatch)
    recorder.follow()
    shown = [each for said in recorder.for_people for each in said.splitlines()]
    assert [each for each in shown if NOTHING.search(each)] == []
    assert any(re.search("all campaigns +restored", said) for said in recorder.for_people)
    directory = RECORDED / ("postgresql" if databases[0].is_postgresql else "sqlite")
    if IS_WRITING:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "printed.json").write_text(as_text(recorder.printed), encoding="utf-8")
        for name, rows in recorder.rows.items():
            (directory / f"{name}.csv").write_text(rows, encoding="utf-8")
    recorded = json.loads((directory / "printed.json").read_text(encoding="utf-8"))
    for expected, printed in zip(recorded, recorder.printed, strict=True):
        assert printed == expected, printed["command"]
    for name, rows in recorder.rows.items():
        assert rows.splitlines() == (directory / f"{name}.csv").read_text(encoding="utf-8").splitlines(), name


def as_text(value: Any, indent: str = "") -> str:
    """Return JSON in which a mapping or list stands on one line if it fits there."""
    line = json.dumps(value)
    if len(indent) + len(line) <= 118 or not isinstance(value, dict | list):
        return line
    inner = f"{indent} "
    if isinstance(value, list):
        begin, parts, end = "[", [as_text(each, inner) for each in value], "]"
    else:
        begin, end = "{", "}"
        parts = [f"{json.dumps(name)}: {as_text(each, inner)}" for name, each in value.items()]
    return f"{begin}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{end}" + ("" if indent else "\n")


def test_every_command_is_recorded_or_is_named_with_the_reason_why_not() -> None:
    recorded = {command_of(line) for line in lines() if line.endswith(" --json")}
    assert sorted([*recorded, *WITHOUT_JSON]) == sorted(all_commands())


def test_the_plan_of_100_000_contacts_is_the_one_that_it_was(tmp_path: Path) -> None:
    database, config = SqliteDatabase(tmp_path / "sample.db"), SchedulerConfig()
    generate_sample(database.url, 100_000, 1, FIRST_DAY, config)
    plan_and_publish(database.url, config, FIRST_DAY)
    ((checksum,),) = database.query("SELECT schedules_after_checksum FROM scheduler_checkpoints")
    assert checksum == "0e2c02dc365c7018"

"""Every command goes over one copy of SQLite: only what creates a database loads Python's ``sqlite3``.

The commands run one after the other in a process of its own, since the tests themselves use ``sqlite3``.
"""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import typer

from email_scheduler.cli import app
from email_scheduler.database.upgrade import initialise_database
from email_scheduler_tests.older_program import AS_OF, OLDER_DATABASE, write_history

# init-db, and what begins with it; Dagster's own instance, which demo starts, is in SQLite.
CREATE_A_DATABASE = {"init-db", "generate", "demo"}
RUNNER = """
import contextlib, io, json, sys

from email_scheduler import cli

found = []
for arguments in json.load(sys.stdin):
    sys.argv = ["email-scheduler", *arguments]
    said = io.StringIO()
    code = 0
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
    found.append((arguments, code, said.getvalue() if code else "", "_sqlite3" in sys.modules))
json.dump(found, sys.stdout)
"""
CONFIG = """
campaign_types: {promo: {priority: 2}, mailing: {}}
campaign_instances: {mailing: {may: {email_template: may_v1}}}
go_live_date: 2026-11-15
"""


def _all_commands(group: Any, prefix: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _all_commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


def _commands(
    own: str, older: str, config: str, other: str, history: str, contacts: str, ids: str
) -> dict[str, list[str]]:
    """Return the arguments of each command, in an order in which all of them have something to do."""
    day = ["--as-of", AS_OF.isoformat()]
    arguments = {
        "campaigns sync": [],
        "campaigns types create": ["birthday_card", "priority=3"],
        "campaigns types change": ["birthday_card", "priority=4"],
        "campaigns types deactivate": ["birthday_card"],
        "campaigns types activate": ["birthday_card"],
        "campaigns instances create": ["mailing/june", "email_template=june_v1"],
        "campaigns instances change": ["mailing/june", "sms_template=june_sms"],
        "campaigns target": ["mailing/june", "--where", "state=TX", "--trigger-date", "2027-06-01"],
        "campaigns withdraw": ["mailing/june", "--ids", "1"],
        "campaigns preview": ["mailing/june", *day],
        "campaigns show": ["mailing/june"],
        "campaigns instances end": ["mailing/june", "2027-06-30"],
        "campaigns instances stop": ["mailing/june"],
        "campaigns instances start": ["mailing/june"],
        "campaigns changes": [],
        "import-history": ["--csv", history],
        "shadow": ["--beside", older, *day],
        "migrate-rate-increases": [],
        "plan": [*day, "--allow-future"],
        "report": day,
        "explain": ["--contact", "1", *day],
        "states": [],
        "contacts import": ["--csv", contacts],
        "contacts rekey": ["--csv", ids, "--reason", "a test"],
        "suppress": ["--email", "x@example.com", "--reason", "a test"],
        "suppressions list": [],
        "unsuppress": ["--email", "x@example.com"],
        "what-if": ["--config", other, *day],
        "simulate": ["--from", AS_OF.isoformat(), "--days", "2"],
        "hold": ["--reason", "a test"],
        "health": [],
        "release": ["--reason", "a test"],
        "backup create": ["--scope", "database"],
        "backup list": [],
        "backup verify": ["latest"],
        "backup restore": ["latest", "--yes"],
        "config history": [],
        "config show": ["1"],
        "config diff": ["1", *day],
        "config rollback": ["1", "--yes"],
    }
    own_database = ["--database", own]
    settings = {"what-if": ["--present", config]}
    return {
        name: [*name.split(), *given, *own_database, *settings.get(name, ["--config", config])]
        for name, given in arguments.items()
    }


def test_no_command_but_those_that_create_a_database_loads_the_other_copy_of_sqlite(tmp_path: Path) -> None:
    older, own = tmp_path / "older.db", tmp_path / "own.db"
    for path in (older, own):
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(OLDER_DATABASE)
    initialise_database(f"sqlite:///{own}")
    config, other = tmp_path / "scheduler.yaml", tmp_path / "other.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    other.write_text(CONFIG + "timing_constants: {birthday_email_days_before: 21}\n", encoding="utf-8")
    contacts, ids = tmp_path / "contacts.csv", tmp_path / "ids.csv"
    contacts.write_text("id,email,zip_code\n9001,new@example.com,75001\n", encoding="utf-8")
    ids.write_text("old_id,new_id\n8001,9001\n", encoding="utf-8")
    files = (config, other, write_history(tmp_path), contacts, ids)
    commands = _commands(f"sqlite:///{own}", f"sqlite:///{older}", *map(str, files))
    assert set(commands) == set(_all_commands(typer.main.get_command(app))) - CREATE_A_DATABASE
    ended = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(list(commands.values())),
        capture_output=True,
        cwd=tmp_path,
        text=True,
        check=True,
        timeout=500,
    )
    found = json.loads(ended.stdout)
    # 1 and 2 are errors, but for the verdict of health
    failed = [(arguments, said) for arguments, code, said, _ in found if code and arguments[0] != "health"]
    assert failed == []
    assert [arguments for arguments, _, _, is_loaded in found if is_loaded] == []

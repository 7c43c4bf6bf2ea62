"""Runs the script in this process, on one organisation, with a clock that only the script moves."""

import csv
import io
import json
import re
import shlex
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from email_scheduler import cli
from email_scheduler.cli import shared
from email_scheduler.cli.shared import show
from email_scheduler.clock import TIME_ZONE
from email_scheduler.config import display_url
from email_scheduler.reports.terminal import Terminal
from email_scheduler_tests.command_line import Outcome
from email_scheduler_tests.databases import Database
from email_scheduler_tests.documents import set_clock
from email_scheduler_tests.older_program import HISTORY_CSV, OLDER_DATABASE
from email_scheduler_tests.recording.script import FIRST_DAY, SCRIPT

FILES: Final = Path(__file__).parent / "files"

# Values that the machine decides, not the program: durations, names of runs, sizes and checksums of files.
DIFFERS: Final = frozenset(
    {
        "run_id",
        "seconds",
        "bytes",
        "content_bytes",
        "wal_bytes",
        "disk_bytes",
        "disk_free_bytes",
        "sha256",
    }
)
# The same of the rows of a plan, and when they were written.
DIFFERING_COLUMNS: Final = frozenset({"created_at", "updated_at", "scheduler_run_id"})
PLAN: Final = "SELECT * FROM email_schedules WHERE status IN ('pre-scheduled', 'skipped') ORDER BY id"
# Named after the place of the database.
_BACKUP_DIRECTORY: Final = re.compile(r"(?<=DIRECTORY/backups/)[\w-]+-[0-9a-f]{8}")

Run = Callable[..., Outcome]


@cache
def all_commands() -> tuple[str, ...]:
    """Return the name of every command that there is; a group that does something by itself is one."""
    return tuple(_commands_of(typer.main.get_command(cli.app)))


def _commands_of(group: Any, prefix: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        is_group = hasattr(command, "commands")
        if not is_group or command.invoke_without_command:
            yield prefix + name
        if is_group:
            yield from _commands_of(command, f"{prefix}{name} ")


def lines() -> list[str]:
    """Return the lines of the script."""
    return [line for line in SCRIPT.replace("\\\n", "").splitlines() if line]


def command_of(line: str) -> str:
    """Return the name of the command that a line gives."""
    return max((name for name in all_commands() if f"{line} ".startswith(f"{name} ")), key=len)


@dataclass
class Recorder:
    """Follows the script.

    Attributes:
        sample: An empty database, for the organisation that is generated.
        older: Another one, for what the older program leaves behind.
        directory: The working directory.
        run: Runs a command.
        printed: What the commands printed, in their order.
        rows: CSV text by the name of the line ``@rows``.
        for_people: What each command shows people, beside what it prints.
    """

    sample: Database
    older: Database
    directory: Path
    run: Run
    monkeypatch: pytest.MonkeyPatch
    printed: list[dict[str, Any]] = field(default_factory=list)
    rows: dict[str, str] = field(default_factory=dict)
    for_people: list[str] = field(default_factory=list)

    def follow(self) -> None:
        """Do all that the script says."""
        shutil.copytree(FILES, self.directory, dirs_exist_ok=True)
        with closing(sqlite3.connect(self.directory / "agency.db")) as connection:
            connection.executescript(OLDER_DATABASE)
        (self.directory / "history.csv").write_text(HISTORY_CSV, encoding="utf-8")
        self.monkeypatch.chdir(self.directory)
        self.monkeypatch.setattr(shared, "show", self._show)
        self._database = self.sample
        self._set_day(FIRST_DAY)
        for line in lines():
            self._moment += timedelta(minutes=1)
            set_clock(self.monkeypatch, self._moment)
            match shlex.split(line):
                case ["@day", day]:
                    self._set_day(date.fromisoformat(day))
                case ["@send"]:
                    self._send()
                case ["@rows", name]:
                    self.rows[name] = self._rows()
                case ["@older"]:
                    self._database = self.older
                    self._database.run(OLDER_DATABASE)
                case arguments:
                    self._give(line, arguments)

    def _show(self, answer: shared.Answer, **options: Any) -> None:
        parts = list(answer.parts)
        said = io.StringIO()
        for part in parts:
            Terminal(file=said, width=200).print(part, crop=False)
        self.for_people.append(said.getvalue())
        show(replace(answer, parts=parts), **options)

    def _set_day(self, day: date) -> None:
        self._moment = datetime.combine(day, time(9), TIME_ZONE)

    def _give(self, line: str, arguments: list[str]) -> None:
        outcome = self.run(*arguments, "--database", self._database.url)
        if "--json" not in arguments:
            assert not outcome.code, (line, outcome.err)
            return
        entry: dict[str, Any] = {"command": line, "exit_code": outcome.code}
        if outcome.out:
            entry["printed"] = without_what_differs(json.loads(self._without_places(outcome.out)))
        else:
            entry["error"] = self._without_places(outcome.err).splitlines()
        self.printed.append(entry)

    def _without_places(self, text: str) -> str:
        """Return a text in which no database and directory of this run is named."""
        for database in (self.sample, self.older):
            for url in (database.url, display_url(database.url)):
                text = text.replace(url, "DATABASE")
        return _BACKUP_DIRECTORY.sub("ORGANISATION", text.replace(str(self.directory), "DIRECTORY"))

    def _send(self) -> None:
        """Send what is due; a third of it is clicked on, half of that answered."""
        due = self._database.query(
            "SELECT id, contact_id FROM due_emails WHERE CAST(scheduled_send_date AS TEXT) = ? ORDER BY id",
            (self._moment.date().isoformat(),),
        )
        assert due
        now = self._moment.isoformat()
        for number, (id_, contact) in enumerate(due):
            self._database.write(
                "UPDATE email_schedules SET status = 'sent', actual_send_datetime = ? WHERE id = ?",
                (now, id_),
            )
            if number % 3 == 0:
                click = {"contact_id": contact, "email_schedule_id": id_, "clicked_at": now, "url": "/quote"}
                self._database.insert("tracking_clicks", click)
            if number % 6 == 0:
                answer = {
                    "contact_id": contact,
                    "event_type": "eligibility_answered",
                    "event_data": json.dumps({"has_medical_conditions": number % 12 == 0}),
                    "created_at": now,
                }
                self._database.insert("contact_events", answer)

    def _rows(self) -> str:
        file = io.StringIO()
        rows = self._database.rows(PLAN)
        columns = sorted(set(rows[0]) - DIFFERING_COLUMNS)
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return file.getvalue()


def without_what_differs(value: Any) -> Any:
    """Return what was printed with the names of values in the place of those that differ each time."""
    match value:
        case dict():
            return {
                key: f"<{key}>" if key in DIFFERS and each is not None else without_what_differs(each)
                for key, each in value.items()
            }
        case list():
            return [without_what_differs(each) for each in value]
        case _:
            return value

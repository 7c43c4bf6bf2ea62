"""Following a document literally: its commands are run as they stand there, and say what it says they say."""

import itertools
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from email_scheduler import clock
from email_scheduler.changes import config_versions
from email_scheduler.cli import health_command
from email_scheduler.database.backups import backup_files
from email_scheduler.database.connections import column_types
from email_scheduler.reports import report
from email_scheduler_tests.command_line import run_command

REPOSITORY = Path(__file__).parents[1]
# what the clone of a document's reader holds
CLONED = ("config", "workspace.yaml", "Makefile")
PROGRAM = "email-scheduler"
# the Makefile's commands that are the program's own
MAKE = {"make demo": f"{PROGRAM} demo"}
LEFT_OUT = "..."


@dataclass(frozen=True)
class Step:
    """A block of commands, and what it prints.

    Attributes:
        commands: One each, with the lines of its here-document.
        printed: The lines that follow it in the document; None if it does not show them.
    """

    commands: list[str]
    printed: list[str] | None


def steps(text: str) -> Iterator[Step]:
    """Yield the ``sh`` blocks of a document, each with the ``text`` block that is the next one, if it is."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for (kind, block), (next_kind, next_block) in itertools.pairwise([*blocks, ("", "")]):
        if kind == "sh":
            printed = next_block.splitlines() if next_kind == "text" else None
            yield Step(list(commands_of(block)), printed)


def commands_of(block: str) -> Iterator[str]:
    """Yield the commands of a block: a line each, or up to the end of its here-document."""
    lines = iter(block.replace("\\\n", " ").splitlines())
    for line in lines:
        here = re.search(r"<<'(\w+)'", line)
        if here is None:
            yield line
        else:
            document = itertools.takewhile(lambda each, end=here[1]: each != end, lines)
            yield "\n".join([line, *document, here[1], ""])


def differences(printed: list[str], expected: list[str]) -> list[str]:
    """Return where what was printed is not what was expected; ``...`` stands for any lines."""
    lines = [line.rstrip() for line in printed]
    place, may_pass_over = 0, False
    for line in map(str.rstrip, expected):
        if line == LEFT_OUT:
            may_pass_over = True
            continue
        candidates = range(place, len(lines)) if may_pass_over else range(place, min(place + 1, len(lines)))
        found = next((number for number in candidates if lines[number] == line), None)
        if found is None:
            return [f"expected {line!r} after line {place} of:", *lines]
        place, may_pass_over = found + 1, False
    if not may_pass_over and any(lines[place:]):
        return [f"not expected: {lines[place:]}"]
    return []


@dataclass
class Reader:
    """Somebody who does what a document says, in a directory that is like a fresh clone.

    Attributes:
        run_program: Runs ``email-scheduler`` with these arguments and returns what it printed.
        passed_over: Commands that are not run, such as the one that serves the UI until it is stopped.
    """

    run_program: Callable[[list[str]], str]
    passed_over: tuple[str, ...] = ()

    def follow(self, text: str) -> int:
        """Do every step of a document, and return how many said what it says."""
        compared = 0
        for step in steps(text):
            printed = "".join(self.run(command) for command in step.commands)
            if step.printed is not None:
                found = differences(printed.strip("\n").splitlines(), step.printed)
                assert not found, "\n".join([*step.commands, *found])
                compared += 1
        return compared

    def run(self, command: str) -> str:
        command = MAKE.get(command, command)
        if command.startswith(self.passed_over):
            return ""
        if command.startswith(f"{PROGRAM} "):
            return self.run_program(shlex.split(command, comments=True)[1:])
        shell = re.sub(r"^python\b", lambda _: shlex.quote(sys.executable), command)
        done = subprocess.run(["bash", "-ec", shell], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout


def clone(directory: Path) -> None:
    """Copy what a document's reader has cloned."""
    for name in CLONED:
        source = REPOSITORY / name
        copy: Any = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, directory / name)


def set_clock(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    """Let the program believe that it is this moment."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return moment.astimezone(tz)

    for module in (clock, health_command, config_versions, report, column_types, backup_files):
        monkeypatch.setattr(module, "datetime", Then)


def run_program(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Run ``email-scheduler`` in this process; ``health`` may say by its exit code that not all is well."""
    outcome = run_command(monkeypatch, capsys, *arguments)
    assert not outcome.code or arguments[0] == "health", (arguments, outcome.err)
    return outcome.out

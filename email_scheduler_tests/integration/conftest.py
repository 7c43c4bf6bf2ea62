"""What tests of commands share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from email_scheduler_tests.command_line import run_command
from email_scheduler_tests.databases import Database, Rows
from email_scheduler_tests.integration.every_command import Organisation, organisation_of

Command = Callable[..., str]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command as the shell would, and return what it printed; an error fails with its message."""

    def run(*arguments: str) -> str:
        outcome = run_command(monkeypatch, capsys, *arguments)
        if outcome.code:
            raise RuntimeError(outcome.err)
        return outcome.out

    return run


@pytest.fixture(scope="session")
def begun() -> dict[str, Rows]:
    """The rows of ``agency`` for each kind of database, once there are some."""
    return {}


@pytest.fixture
def agency(
    database: Database,
    begun: dict[str, Rows],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Organisation:
    """An organisation in which every command has something to do; the test runs on each kind of database."""
    return organisation_of(database, begun, monkeypatch, capsys, tmp_path)

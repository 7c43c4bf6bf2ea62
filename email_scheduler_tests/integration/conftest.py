"""What tests of commands share."""

from collections.abc import Callable

import pytest

from email_scheduler_tests.command_line import run_command

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

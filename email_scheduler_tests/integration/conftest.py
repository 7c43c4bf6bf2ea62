"""What tests of commands share."""

from collections.abc import Callable

import pytest

from email_scheduler import cli
from email_scheduler.cli.shared import log

Command = Callable[..., str]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command as the shell would, and return what it printed; an error fails with its message."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["email-scheduler", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        # it would go on writing to what was captured
        log.handlers = []
        if ended.value.code:
            raise RuntimeError(printed.err)
        return printed.out

    return run

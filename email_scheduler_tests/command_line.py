"""The command ``email-scheduler``, run in the process of a test."""

from typing import NamedTuple

import pytest

from email_scheduler import cli
from email_scheduler.cli.shared import log, out


class Outcome(NamedTuple):
    """What a command ended with."""

    code: int
    out: str
    err: str


def run_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object, width: int = 80
) -> Outcome:
    """Run the command as the shell would, on a terminal of that many columns."""
    # whatever the surroundings say of the terminal
    monkeypatch.setattr(out, "_width", width)
    monkeypatch.setattr(out, "_height", 25)
    monkeypatch.setattr("sys.argv", ["email-scheduler", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    # it would go on writing to what was captured
    log.handlers = []
    return Outcome(int(ended.value.code or 0), printed.out, printed.err)

"""The exit code of ``email-scheduler health``, which alarms go by: 1 is degraded and nothing else."""

import json
from pathlib import Path

import pytest

from email_scheduler.cli import health_command
from email_scheduler_tests.command_line import Outcome, run_command
from email_scheduler_tests.databases import SqliteDatabase
from email_scheduler_tests.hostile_urls import HOSTILE_URLS, SECRET, make_loop


@pytest.fixture
def directory(sqlite_database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present directory: an organisation that is well, and one whose URL a variable holds."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "organizations.yaml").write_text(
        "organizations:\n  north: {database_env: NORTH_DATABASE}\n"
        f"  south: {{database: '{sqlite_database.url}'}}\n"
    )
    make_loop(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("url", [each for each in HOSTILE_URLS if "\0" not in each])
def test_an_organisation_whose_url_cannot_be_used_is_unhealthy_and_the_exit_code_says_so(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    monkeypatch.setenv("NORTH_DATABASE", url)
    outcome = run_command(monkeypatch, capsys, "health", "--json")
    assert outcome.code == 2, outcome
    north, south = json.loads(outcome.out)["organizations"]
    assert north["status"] == "unhealthy"
    assert south["figures"] is not None
    assert SECRET not in outcome.out + outcome.err
    told = run_command(monkeypatch, capsys, "plan", "--organization", "north")
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert SECRET not in told.out + told.err
    by_url = run_command(monkeypatch, capsys, "health", "--database", url)
    assert by_url.code == 2
    assert SECRET not in by_url.out + by_url.err


@pytest.mark.parametrize("broken", ["check_health", "load", "_parts"])
def test_a_look_that_breaks_down_ends_with_2_and_shows_no_data(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ArithmeticError(SECRET)

    monkeypatch.setattr(health_command, broken, fail)
    outcome: Outcome = run_command(monkeypatch, capsys, "health", "--organization", "south")
    assert outcome.code == 2
    assert outcome.err.startswith("error: health could not be looked at: ArithmeticError")
    assert SECRET not in outcome.out + outcome.err

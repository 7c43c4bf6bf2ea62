"""Whatever text people give a command: it is taken and shown as it is, or refused in words."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from email_scheduler.visible import visible
from email_scheduler_tests.command_line import Outcome, run_command
from email_scheduler_tests.hostile_values import ARGUMENTS, STORED
from email_scheduler_tests.integration.campaigns.campaign_database import CampaignDatabase

Command = Callable[..., Outcome]
_UNSEEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e\u2028]")
_DAY = "2026-11-23"


@pytest.fixture
def command(
    database: CampaignDatabase,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Command:
    """Run a command on the database; what it says is printed whole, and does nothing to a terminal."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Outcome:
        outcome = run_command(monkeypatch, capsys, *arguments, "--database", database.url, width=40_000)
        # what is wrong with a backup is no wrong argument
        codes = {0, 1, 2} if arguments[:1] == ("backup",) else {0, 2}
        assert outcome.code in codes, (arguments, outcome.err)
        assert not _UNSEEN.search(outcome.out + outcome.err), (arguments, outcome)
        assert "Traceback" not in outcome.err
        assert outcome.code == 0 or "rror: " in outcome.err, (arguments, outcome)
        return outcome

    return run


def test_a_template_and_whoever_set_it_are_shown_as_they_are(command: Command) -> None:
    taken = 0
    for value in ARGUMENTS:
        if command("campaigns", "instances", "change", "1", f'email_template="{value}"', "--by", value).code:
            continue
        taken += 1
        assert json.loads(command("campaigns", "show", "1", "--json").out)["email_template"] == value
        assert visible(value) in command("campaigns", "show", "1").out
        (change,) = json.loads(command("campaigns", "changes", "--limit", "1", "--json").out)["changes"]
        assert change["new"] == value
        assert not value or change["changed_by"] == value
        printed = command("campaigns", "changes", "--limit", "1").out
        assert printed.count(visible(value).rstrip()) >= 2, value
    assert taken > 30


def test_a_reason_is_shown_as_it_is_or_refused(command: Command) -> None:
    for value in ARGUMENTS:
        if command("hold", "--reason", value, "--by", value).code:
            continue
        said = " ".join(value.split())
        assert said in command("campaigns", "instances").out
        assert json.loads(command("campaigns", "instances", "--json").out)["hold"]["reason"] == said
        assert command("release", "--reason", value, "--by", value).code == 0


def test_names_conditions_addresses_and_dates_are_taken_or_refused(command: Command) -> None:
    for value in ARGUMENTS:
        for arguments in (
            ("campaigns", "types", "create", value),
            ("campaigns", "instances", "create", f"promo/{value}", "email_template=x"),
            ("campaigns", "instances", "create", "promo/free", f"metadata.note={value}"),
            ("campaigns", "show", value),
            ("campaigns", "target", "1", "--where", f"state={value}"),
            ("campaigns", "target", "1", "--ids", value),
            ("campaigns", "target", "1", "--csv", value),
            ("campaigns", "changes", "--limit", value),
            ("suppress", "--email", value, "--reason", value),
            ("suppressions", "list"),
            ("explain", "--email", value, "--as-of", _DAY),
            ("explain", "--contact", value),
            ("config", "show", value),
            ("backup", "verify", value),
            ("plan", "--as-of", value),
            ("what-if", "--config", value),
            (value,),
        ):
            if len(value) < 300 or "--csv" not in arguments:
                outcome = command(*arguments)
                if outcome.code == 0 and arguments[0] == "suppress":
                    assert visible(value) in command("suppressions", "list").out


def test_types_that_somebody_has_stored_are_planned_and_shown_as_they_are(
    command: Command, database: CampaignDatabase
) -> None:
    names = [
        each
        for each in STORED
        if not database.database.is_postgresql or ("\0" not in each and "\udcff" not in each)
        if not any("\ud800" <= letter <= "\udfff" for letter in each)
    ]
    for number, name in enumerate(names, start=100):
        database.write("INSERT INTO campaign_types (name, priority) VALUES (?, 5)", name)
        database.write(
            "INSERT INTO campaign_instances (id, campaign_type, instance_name, email_template)"
            " VALUES (?, ?, ?, ?)",
            *(number, name, name, name),
        )
        database.write(
            "INSERT INTO contact_campaigns (contact_id, campaign_instance_id, trigger_date)"
            " VALUES (1, ?, '2027-03-01')",
            number,
        )
    assert command("plan", "--as-of", _DAY, "--allow-future", "--by", "[/x]").code == 0
    assert database.rows("SELECT count(*) FROM email_schedules")[0][0] > 0
    for arguments in (
        ("campaigns", "types"),
        ("campaigns", "instances"),
        ("campaigns", "changes", "--limit", "999"),
    ):
        outcome = command(*arguments)
        assert outcome.code == 0
        for name in names:
            assert visible(name).rstrip() in outcome.out, (arguments, name)
    for arguments in (
        ("campaigns", "show", "101"),
        ("config", "history"),
        ("report", "--as-of", _DAY),
        ("explain", "--contact", "1", "--as-of", _DAY),
        ("simulate", "--from", _DAY, "--days", "2"),
    ):
        assert command(*arguments).code == 0, arguments

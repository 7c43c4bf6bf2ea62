"""The commands for campaigns, as an operator types them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from email_scheduler.cli import shared
from email_scheduler_tests.command_line import Outcome, run_command
from email_scheduler_tests.integration.campaigns.campaign_database import CampaignDatabase

Command = Callable[..., Outcome]


@pytest.fixture
def command(
    database: CampaignDatabase,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Command:
    """Run a command on the database, in a directory without a configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shared.out, "width", 200)

    def run(*arguments: str, on: tuple[str, ...] = ("--database", database.url)) -> Outcome:
        return run_command(monkeypatch, capsys, *arguments, *on)

    return run


def told(command: Command, *arguments: str) -> Any:
    outcome = command(*arguments, "--json")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def test_a_campaign_from_its_type_to_its_end(command: Command, database: CampaignDatabase) -> None:
    steps = (
        ("campaigns", "types", "create", "mailing", "priority=3", "days_before_event=10"),
        ("campaigns", "instances", "create", "mailing/may", "email_template=may_v1", "metadata.priority=2"),
        ("campaigns", "target", "mailing/may", "--where", "state=TX", "--trigger-date", "2027-05-01"),
        ("campaigns", "withdraw", "mailing/may", "--ids", "1, 2"),
        ("campaigns", "instances", "change", "mailing/may", "sms_template=may_sms"),
        ("campaigns", "instances", "end", "mailing/may", "2027-05-31"),
        ("campaigns", "instances", "stop", "mailing/may", "--by", "bert"),
        ("campaigns", "instances", "start", "mailing/may"),
        ("campaigns", "types", "change", "mailing", "priority=4"),
        ("campaigns", "types", "deactivate", "mailing"),
        ("campaigns", "types", "activate", "mailing"),
    )
    for step in steps:
        outcome = command(*step, *(() if "--by" in step else ("--by", "anna")))
        assert outcome.code == 0, (step, outcome.err)
        assert outcome.out.strip()
    changes = told(command, "campaigns", "changes", "--limit", "100")["changes"]
    assert [(c["instance"] or c["campaign_type"], c["field"], c["new"]) for c in reversed(changes)] == [
        ("mailing", "created", "mailing"),
        ("mailing/may", "created", "may"),
        ("mailing/may", "targets", '{"added": 6}'),
        ("mailing/may", "targets", '{"withdrawn": 2}'),
        ("mailing/may", "sms_template", "may_sms"),
        ("mailing/may", "active_end_date", "2027-05-31"),
        ("mailing/may", "active", "false"),
        ("mailing/may", "active", "true"),
        ("mailing", "priority", "4"),
        ("mailing", "active", "false"),
        ("mailing", "active", "true"),
    ]
    assert {c["changed_by"] for c in changes} == {"anna", "bert"}
    assert [c["new"] for c in told(command, "campaigns", "changes", "--instance", "1")["changes"]] == []


def test_lists_and_reports_are_tables_for_people_and_objects_for_programs(
    command: Command, database: CampaignDatabase
) -> None:
    assert command("campaigns", "target", "spring", "--ids", "1,2").code == 0
    types = told(command, "campaigns", "types")["types"]
    assert [(each["name"], each["instances"]) for each in types] == [("promo", 2)]
    listed = told(command, "campaigns", "instances")
    assert listed["hold"] is None
    assert [(each["instance"], each["targets"]) for each in listed["instances"]] == [
        ("promo/spring", 2),
        ("promo/undated", 0),
    ]
    report = told(command, "campaigns", "show", "spring")
    assert report["targets"] == {"pending": 2}
    assert {"planned", "skipped", "taken", "sent", "clicked", "answered", "follow_ups", "hold"} <= set(report)
    for arguments, words in (
        (("campaigns", "types"), ("promo", "priority")),
        (("campaigns", "instances"), ("promo/spring", "targets", "planned", "sent")),
        (("campaigns", "show", "1"), ("metadata.trigger_date", "Listed contacts", "Achieved", "clicked")),
        (("campaigns", "changes"), ("targets", '{"added": 2}', "not yet")),
    ):
        outcome = command(*arguments)
        assert outcome.code == 0, outcome.err
        for word in words:
            assert word in outcome.out


def test_bad_lines_of_a_file_are_listed_and_nothing_is_imported(
    command: Command, database: CampaignDatabase, tmp_path: Path
) -> None:
    file = tmp_path / "targets.csv"
    file.write_text("email,trigger_date\none@example.org,\nnobody@example.org,\nthree@example.org,1.5.27\n")
    refused = command("campaigns", "target", "spring", "--csv", str(file))
    assert refused.code == 2
    assert f"{file}: line 3: email: no contact has this address" in refused.err
    assert f"{file}: line 4: trigger_date: not a date; accepted is YYYY-MM-DD" in refused.err
    assert "2 lines cannot be taken, and nothing was changed; --skip-bad takes the others" in refused.err
    assert "@" not in refused.err
    assert database.targets() == []

    taken = command("campaigns", "target", "spring", "--csv", str(file), "--skip-bad", "--json")
    result = json.loads(taken.out)
    assert result["counts"] == {"added": 1}
    assert [(each["line"], each["column"]) for each in result["bad_lines"]] == [
        (3, "email"),
        (4, "trigger_date"),
    ]
    assert taken.err.count("not taken: ") == 2
    shown = command("campaigns", "target", "spring", "--csv", str(file), "--skip-bad")
    assert "not taken: see above" in shown.out


def test_contacts_who_had_the_email_are_reported(command: Command, database: CampaignDatabase) -> None:
    database.write(
        "INSERT INTO email_schedules (contact_id, email_type, status, campaign_instance_id)"
        " VALUES (2, 'campaign_promo', 'sent', 1)"
    )
    outcome = command("campaigns", "target", "spring", "--ids", "1,2")
    assert "left out: the email was sent" in outcome.out
    assert "Left out, entries: 2" in outcome.out
    result = told(command, "campaigns", "target", "spring", "--ids", "2", "--trigger-date", "2027-06-01")
    assert result["reported"] == [{"line": 1, "contact_id": 2, "outcome": "already_sent"}]


def test_the_targets_can_be_written_to_a_file(command: Command, tmp_path: Path) -> None:
    assert command("campaigns", "target", "spring", "--all").code == 0
    assert command("campaigns", "show", "spring", "--csv", "out.csv").code == 0
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 11
    refused = command("campaigns", "show", "spring", "--csv", "no/such/out.csv")
    assert refused.code == 2
    assert "cannot be written" in refused.err


def test_syncing_shows_the_difference_first(
    command: Command, database: CampaignDatabase, tmp_path: Path
) -> None:
    config = tmp_path / "campaigns.yaml"
    config.write_text(
        "campaign_types: {promo: {priority: 2}, mailing: {}}\n"
        "campaign_instances: {mailing: {may: {email_template: may_v1}}}\n"
    )
    arguments = ("campaigns", "sync", "--config", str(config))
    dry = command(*arguments, "--dry-run")
    assert "What would change" in dry.out
    assert "mailing/may" in dry.out
    assert "Only in the database, and left as they are: promo/spring, promo/undated" in dry.out
    assert database.log() == []
    promised = told(command, *arguments, "--dry-run")["differences"]
    assert told(command, *arguments)["differences"] == promised
    assert len(promised) == 3
    assert "The database is as the configuration says." in command(*arguments).out


def test_an_organisation_is_named_instead_of_its_database(
    command: Command, database: CampaignDatabase, tmp_path: Path
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "organizations.yaml").write_text(
        f"organizations: {{north: {{database: '{database.url}'}}}}\n"
    )
    (tmp_path / "config" / "scheduler.yaml").write_text("features: {enable_sms: true}\n")
    by_name = command("campaigns", "types", "--json", on=("--organization", "north"))
    assert json.loads(by_name.out) == told(command, "campaigns", "types")
    unknown = command("campaigns", "types", on=("--organization", "south"))
    assert unknown.code == 2
    assert "no organisation named south; accepted is one of: north" in unknown.err


def test_hold_and_release(command: Command, database: CampaignDatabase) -> None:
    held = told(command, "hold", "--reason", "a complaint", "--by", "anna")
    assert held["hold"]["held_by"] == "anna"
    for arguments in (("campaigns", "instances"), ("campaigns", "show", "spring")):
        assert "held by anna since" in " ".join(command(*arguments).out.split())
    assert told(command, "plan")["hold"]["reason"] == "a complaint"
    assert "this organisation is held by anna" in " ".join(command("plan").out.split())
    again = command("hold", "--reason", "another")
    assert again.code == 2
    assert "held by anna" in again.err
    assert "It was held by anna" in " ".join(command("release", "--reason", "settled").out.split())
    assert told(command, "plan")["hold"] is None
    assert "not held" in command("release", "--reason", "settled").err


def test_the_rate_increases_of_the_older_program(command: Command, database: CampaignDatabase) -> None:
    database.write(
        "INSERT INTO email_schedules (contact_id, email_type, status, scheduled_send_date)"
        " VALUES (1, 'rate_increase', 'pre-scheduled', '2027-01-01')"
    )
    dry = command("migrate-rate-increases", "--dry-run")
    assert "This was a dry run: nothing was changed." in dry.out
    assert database.log() == []
    assert "Rows that were not sent, now in the archive: 1" in dry.out
    done = told(command, "migrate-rate-increases")
    assert done["targets"] == {"added": 1}
    assert database.targets(done["instance"]["id"]) == [(1, "2027-01-15", "pending")]
    assert "There are no rate increases" in command("migrate-rate-increases").out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("campaigns", "target", "spring"), "accepted is one of --ids, --csv, --where and --all"),
        (("campaigns", "target", "spring", "--all", "--ids", "1"), "accepted is one of --ids"),
        (("campaigns", "target", "spring", "--ids", "1,x"), "--ids: 'x'"),
        (("campaigns", "target", "spring", "--ids", ""), "--ids: ''"),
        (("campaigns", "target", "winter", "--all"), "there is no such instance"),
        (("campaigns", "target", "spring", "--csv", "none.csv"), "none.csv: cannot be read"),
        (("campaigns", "types", "change", "promo"), "no setting is given"),
        (("campaigns", "types", "create", "x", "priority=high"), "priority: value 'high'"),
        (("campaigns", "instances", "create", "promo"), "accepted is TYPE/NAME"),
        (("campaigns", "instances", "end", "spring", "31.12.2027"), "YYYY-MM-DD"),
        (("hold",), "--reason"),
    ],
)
def test_bad_arguments_are_told_in_one_line_and_end_with_2(
    command: Command, arguments: tuple[str, ...], expected: str
) -> None:
    outcome = command(*arguments)
    assert outcome.code == 2
    assert expected in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("on", [(), ("--database", "sqlite:///a.db", "--organization", "b")])
def test_either_a_database_or_an_organisation_has_to_be_named(command: Command, on: tuple[str, ...]) -> None:
    outcome = command("campaigns", "types", on=on)
    assert outcome.code == 2
    assert "accepted is either --organization NAME or --database URL" in outcome.err


def test_a_table_shows_values_as_they_are(command: Command) -> None:
    created = command("campaigns", "instances", "create", "promo/marked", "email_template=[red]sale :fire:")
    assert created.code == 0, created.err
    assert "[red]sale :fire:" in command("campaigns", "show", "promo/marked").out

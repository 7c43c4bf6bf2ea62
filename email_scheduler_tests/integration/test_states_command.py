"""``email-scheduler states``: the rules of every state, whom they concern, and where they are written."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from email_scheduler.clock import today
from email_scheduler.config.loader import load_config
from email_scheduler.config.setting_types import STATE_CODES
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.command_line import Outcome, run_command
from email_scheduler_tests.databases import Database

RULES = """\
aep_config: {default_dates: [{month: 9, day: 15}]}
state_rules:
  exclude_when_anchor_missing: true
  year_round_exclusion:
    - MA
    - {state: NY, source: "New York, a statute"}
  age_76_plus_exclusion: [TX]
  birthday_windows:
    CA:
      - {window_before_days: 30, window_after_days: 60, valid_to: 2026-12-31, source: "California, a section"}
      - window_before_days: 0
        window_after_days: 45
        pre_window_extension_days: -1
        min_age: 65
        max_age: 75
        valid_from: 2027-01-01
    NV: {window_after_days: 60, use_month_start: true, pre_window_extension_days: 1}
  effective_date_windows:
    MO: {window_before_days: -1, window_after_days: 33, pre_window_extension_days: 0, source: "Missouri"}
"""
CONTACTS = [
    {"id": 1, "zip_code": "10001"},
    {"id": 2, "zip_code": "10001"},
    # the ZIP decides, not the column
    {"id": 3, "zip_code": "02134", "state": "NY"},
    {"id": 4, "zip_code": "75001"},
    {"id": 5, "zip_code": "99999"},
]
Command = Callable[..., Outcome]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES)
    return partial(run_command, monkeypatch, capsys)


def document(outcome: Outcome) -> dict[str, Any]:
    assert outcome.code == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


def by_letters(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["letters"]: each for each in found["states"]}


def test_every_state_is_listed_with_what_its_rules_say(command: Command) -> None:
    found = document(command("states", "--config", "rules.yaml", "--json"))
    assert [each["letters"] for each in found["states"]] == sorted(STATE_CODES)
    states = by_letters(found)
    assert {letters for letters, each in states.items() if each["rules"]} == {
        *("CA", "MA", "MO", "NV", "NY", "TX")
    }
    assert found["without_rule"] == sorted(STATE_CODES - {"CA", "MA", "MO", "NV", "NY", "TX"})
    assert found["without_source"] == ["CA", "MA", "NV", "TX"]
    assert found["exclude_when_anchor_missing"] is True
    assert states["NY"]["rules"] == [
        {
            "kind": "year_round_exclusion",
            "law": "nothing is ever sent",
            "first_day": None,
            "last_day": None,
            "margin_days": None,
            "source": "New York, a statute",
            "valid_from": None,
            "valid_to": None,
        }
    ]
    assert [
        (each["law"], each["first_day"], each["last_day"], each["margin_days"], each["valid_from"])
        for letters in ("CA", "NV", "MO")
        for each in states[letters]["rules"]
    ] == [
        ("birthday, 30 days before to 60 days after", -30, 60, 60, None),
        (
            *("birthday, that day to 45 days after, where the contact becomes from 65 to 75", 0, 45, -1),
            "2027-01-01",
        ),
        ("first of the birthday's month, that day to 60 days after", 0, 60, 1, None),
        ("effective date, 1 day after to 33 days after", 1, 33, 0, None),
    ]
    [texan] = states["TX"]["rules"]
    assert (texan["kind"], texan["law"]) == (
        "age_76_plus_exclusion",
        "nothing is sent from the 76th birthday on",
    )


def test_without_a_database_and_without_a_plan_the_rules_are_listed_all_the_same(
    command: Command, database: Database
) -> None:
    alone = document(command("states", "--config", "rules.yaml", "--json"))
    assert {(each["contacts"], each["held_back"]) for each in alone["states"]} == {(None, None)}
    assert "neither a database nor an organisation is named" in alone["not_counted"]
    away = document(
        command("states", "--config", "rules.yaml", "--json", "--database", "sqlite:///nothing.db")
    )
    assert "there is no file" in away["not_counted"]
    assert (away["states"], away["without_rule"]) == (alone["states"], alone["without_rule"])
    database.insert("contacts", *({"email": f"{each['id']}@example.com", **each} for each in CONTACTS))
    unplanned = document(command("states", "--config", "rules.yaml", "--json", "--database", database.url))
    states = by_letters(unplanned)
    assert {letters: each["contacts"] for letters, each in states.items() if each["contacts"]} == {
        "NY": 2,
        "MA": 1,
        "TX": 1,
    }
    assert (states["NY"]["held_back"], unplanned["plan"]) == (None, None)
    assert unplanned["not_counted"] == "no emails are counted: there is no plan so far"


def test_contacts_and_emails_that_are_held_back_are_counted_by_state(
    command: Command, database: Database
) -> None:
    born = {"birth_date": "1980-05-20", "effective_date": "2018-07-01"}
    database.insert(
        "contacts", *({"email": f"{each['id']}@example.com", **born, **each} for each in CONTACTS)
    )
    plan_and_publish(database.url, load_config(Path("rules.yaml")), today())
    skipped = dict(
        database.query(
            "SELECT substr(skip_reason, length(skip_reason) - 1), count(*) FROM email_schedules"
            " WHERE status = 'skipped' GROUP BY 1"
        )
    )
    outcome = command("states", "--config", "rules.yaml", "--json", "--database", database.url)
    found = document(outcome)
    states = by_letters(found)
    # birthday, effective date and AEP of each contact in a state that is closed all year
    assert (states["NY"]["held_back"], states["MA"]["held_back"]) == (6, 3)
    assert {letters: each["held_back"] for letters, each in states.items() if each["held_back"]} == skipped
    assert (states["TX"]["contacts"], states["TX"]["held_back"], states["AL"]["contacts"]) == (1, 0, 0)
    assert (found["plan"], found["not_counted"]) == (today().isoformat(), None)
    assert "not counted" not in outcome.err


def test_law_and_margin_stand_on_lines_of_their_own_and_what_has_no_source_is_marked(
    command: Command,
) -> None:
    lines = command("states", "--config", "rules.yaml", width=160).out.splitlines()
    [ca] = [number for number, line in enumerate(lines) if line.startswith("CA ")]
    assert "law: birthday, 30 days before to 60 days after" in lines[ca]
    assert "California, a section" in lines[ca]
    assert "to 2026-12-31" in lines[ca]
    assert lines[ca + 1].split() == ["margin:", "60", "days", "before", "that"]
    assert [line.split() for line in lines if line.startswith("MA ")] == [
        [*("MA", "-", "-"), *["nothing", "is", "ever", "sent", "always", "NO", "SOURCE"]]
    ]
    assert any(line.split() == ["AL", "-"] for line in lines)
    assert "States with a rule without a source: CA, MA, NV, TX" in lines


def test_an_organisation_is_listed_with_its_own_rules(command: Command, database: Database) -> None:
    directory = Path("config")
    directory.mkdir()
    (directory / "rules.yaml").write_text(RULES)
    overrides = "    overrides:\n      state_rules:\n        year_round_exclusion: [VT]\n"
    (directory / "organizations.yaml").write_text(
        f"organizations:\n  north:\n    database: {database.url}\n{overrides}"
    )
    # the only one, unless it is said whose
    for arguments in ((), ("--organization", "north")):
        found = document(command("states", "--json", *arguments))
        assert [each["letters"] for each in found["states"] if len(each["rules"]) > 0] == [
            *("CA", "MO", "NV", "TX", "VT")
        ]
        assert found["not_counted"] == "no emails are counted: there is no plan so far"
    with (directory / "organizations.yaml").open("a") as file:
        file.write("  south:\n    database_env: SOUTH_DATABASE_OF_NOBODY\n")
    assert by_letters(document(command("states", "--json")))["NY"]["contacts"] is None
    unset = document(command("states", "--json", "--organization", "south"))
    assert "SOUTH_DATABASE_OF_NOBODY is not set" in unset["not_counted"]
    assert command("states", "--organization", "west").code == 2


def test_rules_that_are_not_accepted_are_an_error(command: Command) -> None:
    Path("rules.yaml").write_text("state_rules: {year_round_exclusion: [XX]}\n")
    refused = command("states", "--config", "rules.yaml")
    assert (refused.code, refused.out) == (2, "")
    assert "state_rules.year_round_exclusion (entry 1)" in refused.err

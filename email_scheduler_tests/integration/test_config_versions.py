"""Versions of the configuration: who changed what, what that does to the plan, and the way back."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from email_scheduler.config.loader import load_config, load_organizations, organization_config
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.records import read_config_versions
from email_scheduler.planning.frames import PlanInputs
from email_scheduler.planning_run import plan_and_publish
from email_scheduler.reports.plan_difference import KINDS, difference_of_configurations
from email_scheduler_tests.builders import contact, email_row, inputs
from email_scheduler_tests.databases import Database

MONDAY = date(2026, 11, 23)
SCHEDULER = """\
timing_constants:
  # Two weeks before.
  birthday_email_days_before: 14
load_balancing: {daily_send_percentage_cap: 0.07}
"""
RULES = """\
state_rules:
  # Not in New York.
  year_round_exclusion: [NY]
  birthday_windows:
    CA: {window_before_days: 30, window_after_days: 60}
"""
ORGANIZATIONS = """\
# Who there is.
organizations:
  first:
    database: DATABASE
    overrides:
      # Theirs.
      load_balancing:
        daily_send_percentage_cap: 0.05
  second:
    database: sqlite:///second.db
"""

Command = Callable[..., str]


@pytest.fixture
def directory(database: Database, tmp_path: Path) -> Path:
    """The configuration of two organisations, and the database of the first one with a contact."""
    found = tmp_path / "configuration"
    found.mkdir()
    (found / "scheduler.yaml").write_text(SCHEDULER)
    (found / "rules.yaml").write_text(RULES)
    (found / "organizations.yaml").write_text(ORGANIZATIONS.replace("DATABASE", database.url))
    database.insert(
        "contacts", {"id": 1, "email": "c1@example.com", "zip_code": "75001", "birth_date": "1950-12-20"}
    )
    return found


def publish(database: Database, directory: Path, by: str | None = None, name: str = "first") -> None:
    organization = load_organizations(directory)[name]
    config = organization_config(directory, organization)
    plan_and_publish(database.url, config, MONDAY, planned_by=by)


def edit(directory: Path, before: str, after: str, file: str = "scheduler.yaml") -> None:
    path = directory / file
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))


def test_each_change_is_a_version_with_whoever_planned_with_it_first(
    database: Database, directory: Path, command: Command
) -> None:
    publish(database, directory, "anna")
    publish(database, directory, "ben")
    edit(directory, "before: 14", "before: 21")
    publish(database, directory, "ben")
    third, second = read_config_versions(database.url, SchedulerConfig())
    assert [(each.id, each.created_by) for each in (third, second)] == [(2, "ben"), (1, "anna")]
    assert (second.valid_to, third.valid_to) == (third.valid_from, None)
    printed = command("config", "history", "--database", database.url, "--json")
    (latest, first) = json.loads(printed)["versions"]
    assert latest["changed"] == ["timing_constants.birthday_email_days_before"]
    assert (first["changed"], first["created_by"]) == (None, "anna")
    assert "anna" in command("config", "history", "--database", database.url)
    assert "birthday_email_days_before: 21" in command("config", "show", "2", "--database", database.url)


def test_the_difference_of_two_versions_says_what_becomes_of_the_plan_and_publishes_nothing(
    database: Database, directory: Path, command: Command
) -> None:
    publish(database, directory)
    edit(directory, "before: 14", "before: 21")
    publish(database, directory)
    before = database.query("SELECT * FROM email_schedules ORDER BY id")
    options = ("--database", database.url, "--as-of", "2026-11-23", "--json")
    found = json.loads(command("config", "diff", "2", "1", *options))
    assert found["changes"] == [
        {"key": "timing_constants.birthday_email_days_before", "before": 21, "after": 14}
    ]
    assert (found["plan"]["earlier"], found["plan"]["later"]) == (0, 1)
    assert found["plan"]["by_state_and_type"] == [
        {"state": "TX", "email_type": "birthday"}
        | {"added": 0, "later": 1, "earlier": 0, "dropped": 0, "altered": 0}
    ]
    assert database.query("SELECT * FROM email_schedules ORDER BY id") == before
    assert "birthday" in command("config", "diff", "2", "1", *options[:-1])


def test_without_a_second_version_the_files_are_compared(
    database: Database, directory: Path, command: Command
) -> None:
    publish(database, directory)
    edit(directory, "[NY]", "[NY, TX]", "rules.yaml")
    options = ("--organization", "first", "--config", str(directory), "--as-of", "2026-11-23", "--json")
    found = json.loads(command("config", "diff", "1", *options))
    assert [each["key"] for each in found["changes"]] == ["state_rules.year_round_exclusion"]
    assert found["plan"]["dropped"] > 0
    assert found["plan"]["dropped_by_reason"] == {"Year-round exclusion in TX": found["plan"]["dropped"]}
    assert json.loads(command("config", "diff", "1", *options, "--no-plan"))["plan"] is None


def test_rolling_back_writes_the_files_where_the_sections_are_and_keeps_what_they_held(
    database: Database, directory: Path, command: Command
) -> None:
    config = load_config(directory)
    plan_and_publish(database.url, config, MONDAY)
    edit(directory, "before: 14", "before: 21")
    edit(directory, "    CA:", "    OR: {window_after_days: 30}\n    CA:", "rules.yaml")
    edited = (directory / "rules.yaml").read_text()
    options = ("--database", database.url, "--config", str(directory), "--by", "anna", "--yes", "--json")
    done = json.loads(command("config", "rollback", "1", *options))
    assert (directory / "scheduler.yaml").read_text() == SCHEDULER
    assert load_config(directory).document() == config.document()
    assert sorted(Path(file).name for file in done["files"]) == ["rules.yaml", "scheduler.yaml"]
    assert edited in [Path(copy).read_text() for copy in done["copies"]]
    # the copies are not read as a configuration, and other files are as they were
    assert len(list(directory.iterdir())) == 5
    assert "# Who there is." in (directory / "organizations.yaml").read_text()
    assert json.loads(command("config", "rollback", "1", *options))["files"] == []


def test_rolling_back_writes_campaigns_into_the_files_that_hold_them(
    database: Database, directory: Path, command: Command
) -> None:
    spring = (
        "campaign_types:\n  spring:\n    priority: 3\ncampaign_instances:\n  spring:\n"
        "    easter:\n      email_template: easter_v1\n"
    )
    autumn = (
        "campaign_types:\n  autumn:\n    priority: 4\ncampaign_instances:\n  spring:\n"
        "    may:\n      email_template: may_v1\n  autumn:\n    harvest:\n      email_template: harvest_v1\n"
    )
    (directory / "spring.yaml").write_text(spring)
    (directory / "autumn.yaml").write_text(autumn)
    config = load_config(directory)
    plan_and_publish(database.url, config, MONDAY)
    options = ("--database", database.url, "--config", str(directory), "--by", "anna", "--yes", "--json")
    edit(directory, "priority: 3", "priority: 5", "spring.yaml")
    edit(directory, "may_v1", "may_v2", "autumn.yaml")
    command("config", "rollback", "1", *options)
    assert (directory / "spring.yaml").read_text() == spring
    assert (directory / "autumn.yaml").read_text() == autumn
    edit(directory, "    harvest:\n", "    frost:\n", "autumn.yaml")
    command("config", "rollback", "1", *options)
    assert load_config(directory).document() == config.document()
    texts = [(directory / name).read_text() for name in ("spring.yaml", "autumn.yaml")]
    held = [[name for name in ("easter", "may", "harvest", "frost") if f"{name}:" in text] for text in texts]
    assert held == [["easter"], ["may", "harvest"]]


def test_rolling_back_is_a_new_version_by_whoever_did_it(
    database: Database, directory: Path, command: Command
) -> None:
    config = load_config(directory)
    plan_and_publish(database.url, config, MONDAY)
    edit(directory, "before: 14", "before: 21")
    plan_and_publish(database.url, load_config(directory), MONDAY)
    command(
        *("config", "rollback", "1", "--database", database.url),
        *("--config", str(directory), "--by", "anna", "--yes"),
    )
    third, second, first = read_config_versions(database.url, config)
    assert (third.document, third.created_by, third.valid_to) == (first.document, "anna", None)
    assert second.valid_to == third.valid_from
    plan_and_publish(database.url, load_config(directory), MONDAY)
    assert len(read_config_versions(database.url, config)) == 3


def rolled_back(command: Command, directory: Path, *options: str) -> dict[str, Any]:
    arguments = ("--organization", "first", "--config", str(directory), "--yes", "--json")
    result: dict[str, Any] = json.loads(command("config", "rollback", "1", *arguments, *options))
    return result


def test_rolling_back_one_organisation_changes_its_overrides_only(
    database: Database, directory: Path, command: Command
) -> None:
    publish(database, directory)
    wanted = organization_config(directory, load_organizations(directory)["first"]).document()
    edit(directory, "before: 14", "before: 21")
    edit(directory, "0.05", "0.02", "organizations.yaml")
    edit(directory, "[NY]", "[NY, TX]", "rules.yaml")
    others = organization_config(directory, load_organizations(directory)["second"]).document()
    shared = [(directory / name).read_text() for name in ("scheduler.yaml", "rules.yaml")]
    done = rolled_back(command, directory)
    assert [Path(file).name for file in done["files"]] == ["organizations.yaml"]
    organizations = load_organizations(directory)
    assert organization_config(directory, organizations["first"]).document() == wanted
    assert organization_config(directory, organizations["second"]).document() == others
    assert [(directory / name).read_text() for name in ("scheduler.yaml", "rules.yaml")] == shared
    assert "# Who there is." in (directory / "organizations.yaml").read_text()


def test_an_override_that_says_what_the_files_say_goes(
    database: Database, directory: Path, command: Command
) -> None:
    publish(database, directory, name="first")
    text = (directory / "organizations.yaml").read_text()
    edit(
        directory,
        "daily_send_percentage_cap: 0.05",
        "daily_send_percentage_cap: 0.05\n        period_days: 7",
        "organizations.yaml",
    )
    rolled_back(command, directory)
    assert load_organizations(directory)["first"].overrides == {
        "load_balancing": {"daily_send_percentage_cap": load_number("0.05")}
    }
    assert text.splitlines()[0] == "# Who there is."


def load_number(text: str) -> object:
    from decimal import Decimal

    return Decimal(text)


def test_what_an_override_cannot_take_back_is_refused_and_nothing_is_written(
    database: Database, directory: Path, command: Command
) -> None:
    publish(database, directory)
    edit(directory, "    CA:", "    OR: {window_after_days: 30}\n    CA:", "rules.yaml")
    before = {file.name: file.read_text() for file in directory.iterdir()}
    with pytest.raises(RuntimeError, match=r"cannot take back .*state_rules\.birthday_windows\.OR"):
        rolled_back(command, directory)
    assert {file.name: file.read_text() for file in directory.iterdir()} == before


def test_what_counts_for_all_organisations_is_left_alone_and_named(
    database: Database, directory: Path, command: Command
) -> None:
    publish(database, directory)
    edit(directory, "timing_constants", 'orchestration: {daily_plan_time: "04:00"}\ntiming_constants')
    printed = command(
        *("config", "rollback", "1", "--organization", "first", "--config", str(directory), "--yes")
    )
    assert "orchestration.daily_plan_time counts for all organisations and stays" in printed


def test_a_version_that_is_not_there_is_an_error_that_names_those_that_are(
    database: Database, directory: Path, command: Command
) -> None:
    publish(database, directory)
    with pytest.raises(RuntimeError, match=r"no version 9 of the configuration; there are 1$"):
        command("config", "show", "9", "--database", database.url)


def situation() -> PlanInputs:
    """Birthdays on 20 December: one in Texas, one in California, one in Texas that had its email."""
    return inputs(
        MONDAY,
        [
            contact(1, "75001", "1950-12-20", None),
            contact(2, "90210", "1950-12-20", None),
            contact(3, "75001", "1950-12-20", None),
        ],
        history=[email_row(1, 3, "birthday", "2026-11-20", "2026-12-20")],
    )


def configured(**sections: object) -> SchedulerConfig:
    quiet = {
        "aep_config": {"default_dates": []},
        "features": {"enable_followups": False, "enable_load_balancing": False},
    }
    return SchedulerConfig.model_validate({"state_rules": {}, **quiet, **sections})


def test_emails_are_added_moved_dropped_and_altered_by_state_and_type() -> None:
    window = {"birthday_windows": {"CA": {"window_before_days": 30, "window_after_days": 60}}}
    earlier = {"birthday_email_days_before": 21}
    other_time = {"send_time": "09:00:00"}
    for before, after, expected in (
        ({}, {}, {}),
        ({}, {"timing_constants": earlier}, {("CA", "earlier"): 1, ("TX", "earlier"): 1}),
        ({"timing_constants": earlier}, {}, {("CA", "later"): 1, ("TX", "later"): 1}),
        ({}, {"timing_constants": other_time}, {("CA", "altered"): 1, ("TX", "altered"): 1}),
    ):
        found = difference_of_configurations(situation(), configured(**before), configured(**after)).rows
        birthdays = {
            (row["state"], kind): row[kind]
            for row in found
            for kind in KINDS
            if row["email_type"] == "birthday"
        }
        assert {key: count for key, count in birthdays.items() if count} == expected
    closed = difference_of_configurations(situation(), configured(), configured(state_rules=window))
    assert [row for row in closed.rows if row["email_type"] == "birthday"] == [
        {"state": "CA", "email_type": "birthday"}
        | {"added": 0, "later": 0, "earlier": 0, "dropped": 1, "altered": 0}
    ]
    assert closed.dropped_by_reason == {"Birthday exclusion window in CA": 1}
    opened = difference_of_configurations(situation(), configured(state_rules=window), configured())
    assert opened.totals["added"] == 1
    assert opened.after - opened.before == opened.totals["added"] - opened.totals["dropped"]


def test_an_untouched_database_has_no_versions(database: Database, command: Command) -> None:
    assert "No versions" in command("config", "history", "--database", database.url)

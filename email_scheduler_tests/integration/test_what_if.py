"""What if: the plan with another configuration beside the present one; nothing is published."""

import csv
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from email_scheduler.changes import what_if as module
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import ComplianceError
from email_scheduler.reports.plan_difference import difference_of_configurations
from email_scheduler_tests.builders import contact, email_row, inputs
from email_scheduler_tests.databases import SqliteDatabase

AS_OF = "2026-11-23"
INDIANA = """
    IN: {window_after_days: 60, pre_window_extension_days: 60, valid_from: 2026-01-01, source: HB 1226}
"""
RULES = "state_rules:\n  birthday_windows:\n    CA: {window_before_days: 30, window_after_days: 60}\n"
SCHEDULER = "aep_config: {default_dates: []}\nfeatures: {enable_load_balancing: false}\n"
ORGANIZATIONS = "organizations:\n  north: {database: 'DATABASE', overrides: {go_live_date: 2020-01-01}}\n"

Command = Callable[..., str]


@pytest.fixture
def directories(sqlite_database: SqliteDatabase, tmp_path: Path) -> tuple[Path, Path]:
    """The configuration in force, and a copy of it with a rule for Indiana."""
    organizations = ORGANIZATIONS.replace("DATABASE", sqlite_database.url)
    for name, rules in (("present", RULES), ("trial", RULES + INDIANA.lstrip("\n"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scheduler.yaml").write_text(SCHEDULER)
        (tmp_path / name / "state_rules.yaml").write_text(rules)
    (tmp_path / "present" / "organizations.yaml").write_text(organizations)
    sqlite_database.insert(
        "contacts",
        # Indianapolis: 60 days before the birthday to 60 after it; and Dallas
        {"id": 1, "email": "c1@example.com", "zip_code": "46201", "birth_date": "1950-12-20"},
        {"id": 2, "email": "c2@example.com", "zip_code": "75001", "birth_date": "1950-12-20"},
    )
    return tmp_path / "present", tmp_path / "trial"


def options(directories: tuple[Path, Path], other: Path | None = None) -> tuple[str, ...]:
    present, trial = directories
    return (
        *("what-if", "--organization", "north", "--present", str(present)),
        *("--config", str(other or trial), "--as-of", AS_OF),
    )


def test_a_new_rule_shows_its_effect_by_state_day_and_email_and_changes_nothing(
    directories: tuple[Path, Path], command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "changed.csv"
    file.touch(mode=0o644)
    found = json.loads(command(*options(directories), "--csv", str(file), "--force", "--json"))
    assert [each["key"] for each in found["changes"]] == ["state_rules.birthday_windows.IN"]
    plan = found["plan"]
    assert (plan["emails_before"], plan["emails_after"]) == (2, 2)
    nothing = {"later": 0, "earlier": 0, "altered": 0}
    assert plan["by_state_and_type"] == [
        {"state": "IN", "email_type": "birthday", "added": 0, "dropped": 1, **nothing},
        {"state": "IN", "email_type": "post_window", "added": 1, "dropped": 0, **nothing},
    ]
    assert plan["by_day"] == [
        # Texas stays on 6 December
        {"day": "2026-12-06", "before": 2, "after": 1},
        {"day": "2027-02-19", "before": 0, "after": 1},
    ]
    assert plan["dropped_by_reason"] == {"Birthday exclusion window in IN": 1}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with file.open(newline="", encoding="utf-8") as lines:
        birthday, after_window = csv.DictReader(lines)
    assert birthday == {
        "contact_id": "1",
        "state": "IN",
        "email_type": "birthday",
        "campaign_instance_id": "",
        "event_date": "2026-12-20",
        "initial_email_id": "",
        "kind": "dropped",
        "status_before": "pre-scheduled",
        "date_before": "2026-12-06",
        "skip_reason_before": "",
        "adjustment_before": "",
        "status_after": "skipped",
        "date_after": "2026-12-06",
        "skip_reason_after": "Birthday exclusion window in IN",
        "adjustment_after": "",
    }
    assert (after_window["kind"], after_window["date_before"], after_window["date_after"]) == (
        *("added", "", "2027-02-19"),
    )
    assert "c1@" not in file.read_text()


def test_on_a_terminal_it_says_what_was_proved_and_that_nothing_was_published(
    directories: tuple[Path, Path], command: Command, sqlite_database: SqliteDatabase
) -> None:
    printed = command(*options(directories))
    for text in ("Nothing was published", "keeps all rules", "The next 30 days", "Sun 2026-12-06"):
        assert text in printed
    for table in ("email_schedules", "scheduler_checkpoints", "config_versions"):
        assert sqlite_database.query(f"SELECT count(*) FROM {table}") == [(0,)]


def test_the_same_configuration_changes_nothing(
    directories: tuple[Path, Path], command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "none.csv"
    printed = command(*options(directories, directories[0]), "--csv", str(file))
    assert "Nothing would change: the two configurations say the same." in printed
    assert file.read_text().count("\n") == 1


def test_overrides_count_for_both_and_those_beside_the_other_configuration_for_that_one(
    directories: tuple[Path, Path], command: Command
) -> None:
    present, trial = directories
    (trial / "state_rules.yaml").write_text(RULES)
    assert "say the same" in command(*options(directories))
    organizations = (present / "organizations.yaml").read_text()
    (trial / "organizations.yaml").write_text(organizations.replace("2020-01-01", "2026-12-25"))
    found = json.loads(command(*options(directories), "--json"))
    assert [each["key"] for each in found["changes"]] == ["go_live_date"]
    assert found["plan"]["dropped_by_reason"] == {"not planned any more": 2}


def test_errors_say_which_configuration_they_are_about(
    directories: tuple[Path, Path], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RuntimeError, match=r"error: .*nowhere: cannot be read: No such file"):
        command(*options(directories, directories[1] / "nowhere"))

    def refuse(*_: object) -> None:
        raise ComplianceError("the plan for 2026-11-23 breaks rules: closed_day (1)")

    monkeypatch.setattr(module, "refuse_violations", refuse)
    with pytest.raises(RuntimeError, match=r"with the other configuration: the plan .* closed_day"):
        command(*options(directories))


def test_an_email_that_goes_out_with_neither_plan_is_skipped_otherwise() -> None:
    situation = inputs(AS_OF, [contact(1, "46201", "1950-12-20"), contact(2, "75001", "1950-12-20")])
    quiet = {"aep_config": {"default_dates": []}}
    window = {"birthday_windows": {"IN": {"window_after_days": 60}}}
    before = SchedulerConfig.model_validate({"state_rules": window, **quiet})
    after = SchedulerConfig.model_validate({"state_rules": {"year_round_exclusion": ["IN"]}, **quiet})
    found = difference_of_configurations(situation, before, after)
    shown = ["contact_id", "email_type", "kind", "skip_reason_before", "skip_reason_after"]
    rows = found.emails[shown].astype("object")
    assert rows.where(rows.notna(), None).to_numpy().tolist() == [
        [1, "birthday", "skipped otherwise", "Birthday exclusion window in IN", "Year-round exclusion in IN"],
        [1, "post_window", "dropped", None, None],
    ]
    assert found.totals == {"added": 0, "later": 0, "earlier": 0, "dropped": 1, "altered": 0}
    assert found.most_different_days(5).to_numpy().tolist() == [[20868, 1, 0]]


def test_a_follow_up_is_the_same_email_whatever_its_type() -> None:
    history = [email_row(7, 1, "birthday", "2026-11-22", "2026-12-06")]
    situation = inputs(AS_OF, [contact(1, "75001", "1950-12-06")], history=history)
    quiet = {"aep_config": {"default_dates": []}}
    before, after = (
        SchedulerConfig.model_validate({**quiet, "timing_constants": {"followup_days_after": days}})
        for days in (2, 3)
    )
    emails = difference_of_configurations(situation, before, after).emails
    assert emails[["initial_email_id", "kind"]].to_numpy().tolist() == [[7, "later"]]

"""The section ``orchestration`` of the configuration, and what of a configuration a plan depends on."""

from pathlib import Path

import pytest

from email_scheduler.config.loader import load_config, load_organizations
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import ConfigurationError

REPOSITORY = Path(__file__).parents[2]


def test_what_the_file_says_is_what_counts_without_it() -> None:
    assert load_config(REPOSITORY / "config").orchestration == SchedulerConfig().orchestration


@pytest.mark.parametrize(
    ("key", "value", "accepted"),
    [
        ("daily_plan_time", '"5:00"', "HH:MM"),
        ("daily_plan_time", '"24:00"', "HH:MM"),
        ("partitions_start_date", "2026-02-30", "a date YYYY-MM-DD"),
        ("storage_url", '""', "a text of one line"),
        ("max_run_seconds", "5", "a whole number from 60 to 86400"),
        ("minimum_valid_contact_share", "1.5", "a number from 0 to 1"),
        ("run_time", "1", "orchestration.run_time"),
    ],
)
def test_a_value_that_is_not_accepted_is_named(tmp_path: Path, key: str, value: str, accepted: str) -> None:
    file = tmp_path / "scheduler.yaml"
    file.write_text(f"orchestration:\n  {key}: {value}\n")
    with pytest.raises(ConfigurationError) as raised:
        load_config(file)
    assert f"orchestration.{key}" in str(raised.value)
    assert accepted in str(raised.value)


@pytest.mark.parametrize(
    "section", ['orchestration: {daily_plan_time: "06:00"}', "alerts: {}", "reporting: {}"]
)
def test_an_organisation_cannot_have_a_section_of_its_own_that_counts_for_all(
    tmp_path: Path, section: str
) -> None:
    (tmp_path / "organizations.yaml").write_text(
        f"organizations:\n  a:\n    database: sqlite:///a.db\n    overrides:\n      {section}\n"
    )
    with pytest.raises(ConfigurationError, match="orchestration, alerts and reporting count for all of them"):
        load_organizations(tmp_path)


def test_a_plan_depends_on_the_rules_and_not_on_how_the_program_runs() -> None:
    config = SchedulerConfig()
    runs_otherwise = SchedulerConfig.model_validate(
        {
            "orchestration": {"storage_url": "elsewhere"},
            "processing": {"batch_size": 1},
            "logging": {"level": "DEBUG"},
            "reporting": {"enabled": False},
        }
    )
    plans_otherwise = SchedulerConfig.model_validate({"features": {"enable_sms": True}})
    assert runs_otherwise.rules_hash() == config.rules_hash() != plans_otherwise.rules_hash()
    assert runs_otherwise.version_hash() != config.version_hash()

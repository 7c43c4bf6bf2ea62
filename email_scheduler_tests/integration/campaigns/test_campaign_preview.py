"""What a preview says is what happens afterwards, and it changes nothing by itself."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from email_scheduler.campaigns.preview import CampaignPreview, NewInstance
from email_scheduler.campaigns.selections import AllContacts, ById, Where
from email_scheduler.campaigns.service import Campaigns
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.csv_files import BadLinesError
from email_scheduler.errors import ConfigurationError, UsageError
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.integration.campaigns.campaign_database import CampaignDatabase
from email_scheduler_tests.integration.campaigns.test_campaign_commands import Command, command, told

__all__ = ["command"]
AS_OF = date(2026, 11, 24)
TABLES = (
    "campaign_types",
    "campaign_instances",
    "contact_campaigns",
    "campaign_change_log",
    "change_context",
    "email_schedules",
    "scheduler_checkpoints",
    "planner_lock",
)
AUTUMN = NewInstance("promo", "autumn", {"email_template": "autumn_v1", "active_start_date": "2026-12-01"})
MAY = {"trigger_date": "2027-05-10"}


def service(database: CampaignDatabase, **balancing: object) -> Campaigns:
    config = {"load_balancing": {"daily_send_percentage_cap": 1, **balancing}}
    return Campaigns(database.url, SchedulerConfig.model_validate(config), changed_by="anna")


def contents(database: CampaignDatabase) -> dict[str, list[tuple]]:
    return {table: database.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES}


def published(campaigns: Campaigns, instance: str) -> tuple[dict[str, int], dict[str, int]]:
    """Plan for real, and return the emails of an instance by day, and those that are skipped by reason."""
    plan_and_publish(campaigns.url, campaigns.config, AS_OF)
    report = campaigns.show(instance)
    return report.planned_by_date, report.skipped_by_reason


def figures(preview: CampaignPreview) -> tuple[dict[str, int], dict[str, int]]:
    return preview.emails_by_day, preview.skipped_by_reason


def test_the_preview_of_a_saved_instance_is_what_the_next_plan_does(database: CampaignDatabase) -> None:
    campaigns = service(database)
    campaigns.target("spring", Where(["state=TX,CA"]))
    preview = campaigns.preview("spring", AS_OF)
    assert (preview.reference, preview.is_saved, preview.notes) == ("promo/spring", True, [])
    assert sum(preview.emails_by_day.values()) > 2
    assert preview.contacts == sum([*preview.emails_by_day.values(), *preview.skipped_by_reason.values()])
    assert figures(preview) == published(campaigns, "spring")


@pytest.mark.parametrize("selection", [AllContacts(), Where(["state=TX"]), ById([3, 7])])
def test_the_preview_of_a_new_instance_is_what_happens_once_it_is_saved(
    database: CampaignDatabase, selection: Any
) -> None:
    campaigns = service(database)
    preview = campaigns.preview(AUTUMN, AS_OF, selection=selection)
    campaigns.create_instance("promo", "autumn", **AUTUMN.settings)
    campaigns.target("autumn", selection)
    assert not preview.is_saved
    assert preview.emails_by_day
    assert figures(preview) == published(campaigns, "autumn")


def test_contacts_may_be_added_to_a_saved_instance_for_a_preview(database: CampaignDatabase) -> None:
    campaigns = service(database)
    campaigns.target("spring", ById([1]))
    preview = campaigns.preview("spring", AS_OF, selection=ById([2, 3]), trigger_date=date(2027, 4, 1))
    assert campaigns.show("spring").targets == {"pending": 1}
    campaigns.target("spring", ById([2, 3]), trigger_date=date(2027, 4, 1))
    assert figures(preview) == published(campaigns, "spring")
    assert sum(preview.emails_by_day.values()) == 3


def test_a_file_may_change_an_instance_that_is_there(database: CampaignDatabase) -> None:
    campaigns = service(database)
    campaigns.target("spring", ById([1, 2]))
    changed = NewInstance("promo", "spring", {"metadata": MAY})
    assert campaigns.preview(changed, AS_OF).emails_by_day == {"2027-05-03": 2}
    assert campaigns.preview("spring", AS_OF).emails_by_day == {"2027-02-22": 2}


@pytest.mark.parametrize("selection", [None, AllContacts()])
@pytest.mark.parametrize("instance", ["spring", AUTUMN])
def test_a_preview_changes_nothing(
    database: CampaignDatabase, instance: str | NewInstance, selection: AllContacts | None
) -> None:
    campaigns = service(database)
    campaigns.target("spring", ById([1, 2]))
    plan_and_publish(campaigns.url, campaigns.config, AS_OF)
    before = contents(database)
    campaigns.preview(instance, AS_OF, selection=selection)
    assert contents(database) == before


def test_a_stopped_instance_is_planned_as_if_it_were_not_and_that_is_said(database: CampaignDatabase) -> None:
    campaigns = service(database)
    campaigns.target("spring", ById([1, 2]))
    running = campaigns.preview("spring", AS_OF)
    campaigns.stop_instance("spring")
    stopped = campaigns.preview("spring", AS_OF)
    assert stopped.notes == ["promo/spring is stopped: this is what it would do if it were not"]
    assert figures(stopped) == figures(running)


def test_an_instance_of_a_type_that_is_not_active_does_nothing_and_that_is_said(
    database: CampaignDatabase,
) -> None:
    campaigns = service(database)
    campaigns.target("spring", ById([1, 2]))
    campaigns.change_type("promo", active=False)
    preview = campaigns.preview("spring", AS_OF)
    assert preview.notes == ["the type promo is not active: nothing of it is planned"]
    assert figures(preview) == ({}, {})


def test_an_email_that_loses_against_the_instance_is_named_with_its_reason(
    database: CampaignDatabase,
) -> None:
    campaigns = service(database)
    campaigns.target("undated", ById([7]), trigger_date=date(2027, 5, 10))
    preview = campaigns.preview(
        NewInstance("promo", "strong", {"email_template": "strong_v1", "metadata": {**MAY, "priority": 1}}),
        AS_OF,
        selection=ById([7, 8]),
    )
    (displaced,) = preview.displaced
    assert (displaced.email_type, displaced.skipped) == ("campaign_promo", {"campaign_conflict": 1})
    assert (displaced.later, displaced.earlier, displaced.instead) == (0, 0, 0)
    assert preview.emails_by_day == {"2027-05-03": 2}


def test_an_email_that_finds_its_day_full_is_counted_as_moved(database: CampaignDatabase) -> None:
    # one email a day in all
    campaigns = service(database, daily_send_percentage_cap=0.01, overage_threshold=1)
    campaigns.target("undated", ById([7]), trigger_date=date(2027, 5, 10))
    strong = {"email_template": "strong_v1", "metadata": {**MAY, "priority": 1}}
    preview = campaigns.preview(NewInstance("promo", "strong", strong), AS_OF, selection=ById([8]))
    (displaced,) = [each for each in preview.displaced if each.email_type == "campaign_promo"]
    assert (displaced.later, displaced.earlier, displaced.skipped) == (1, 0, {})


def test_emails_that_nothing_happens_to_are_not_named(database: CampaignDatabase) -> None:
    campaigns = service(database)
    campaigns.target("undated", ById([7]), trigger_date=date(2027, 5, 10))
    assert campaigns.preview(AUTUMN, AS_OF, selection=ById([1])).displaced == []


def test_a_selection_with_bad_lines_is_refused_and_nothing_stays(database: CampaignDatabase) -> None:
    before = contents(database)
    with pytest.raises(BadLinesError, match="no contact has this id"):
        service(database).preview(AUTUMN, AS_OF, selection=ById([1, 999]))
    assert contents(database) == before


def test_an_instance_of_an_unknown_type_is_refused(database: CampaignDatabase) -> None:
    with pytest.raises(UsageError, match="nothing_like_it"):
        service(database).preview(NewInstance("nothing_like_it", "x", {"email_template": "y"}), AS_OF)


def write(path: Path, *names: str, extra: str = "") -> Path:
    instances = "".join(f"    {name}:\n      email_template: t_v1\n{extra}" for name in names)
    path.write_text(f"campaign_instances:\n  promo:\n{instances}")
    return path


def test_a_file_holds_one_instance_written_as_in_the_configuration(tmp_path: Path) -> None:
    found = NewInstance.read(write(tmp_path / "one.yaml", "june"))
    assert (found.campaign_type, found.name, found.settings) == ("promo", "june", {"email_template": "t_v1"})
    with pytest.raises(UsageError, match="2 campaign instances; accepted is one"):
        NewInstance.read(write(tmp_path / "two.yaml", "june", "july"))
    with pytest.raises(ConfigurationError, match=r"bad\.yaml.*colour"):
        NewInstance.read(write(tmp_path / "bad.yaml", "june", extra="      colour: red\n"))


def test_the_command_previews_a_file_with_the_contacts_that_it_is_for(
    command: Command, database: CampaignDatabase, tmp_path: Path
) -> None:
    file = write(tmp_path / "june.yaml", "june", extra="      metadata: {trigger_date: 2027-06-10}\n")
    asked = ("campaigns", "preview", "--file", str(file), "--ids", "1,2", "--as-of", AS_OF.isoformat())
    result = told(command, *asked)
    assert (result["reference"], result["is_saved"], result["contacts"]) == ("promo/june", False, 2)
    assert sum(result["emails_by_day"].values()) + sum(result["skipped_by_reason"].values()) == 2
    shown = command(*asked).out
    assert "promo/june, planned for Tuesday, 2026-11-24, with what is not saved yet" in shown
    assert "Nothing was changed." in shown
    assert database.log() == []


@pytest.mark.parametrize("asked", [(), ("spring", "--file", "some.yaml")])
def test_the_command_wants_an_instance_or_a_file(command: Command, asked: tuple[str, ...]) -> None:
    outcome = command("campaigns", "preview", *asked)
    assert outcome.code == 2
    assert "accepted is either INSTANCE or --file FILE" in outcome.err


def test_the_command_previews_a_saved_instance(command: Command, told_of: Callable[[str], Any]) -> None:
    assert told_of("spring")["is_saved"] is True
    assert "No other email changes." in command("campaigns", "preview", "spring").out


@pytest.fixture
def told_of(command: Command) -> Callable[[str], Any]:
    return lambda instance: told(command, "campaigns", "preview", instance)

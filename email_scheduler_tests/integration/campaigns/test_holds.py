"""Holding an organisation: nothing is due, everything is planned, everybody can see why."""

import pytest

from email_scheduler.clock import today
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.holds import current_hold, hold_organization, release_organization
from email_scheduler.errors import UsageError
from email_scheduler.planning_run import plan_and_publish, preview_plan
from email_scheduler_tests.integration.campaigns.campaign_database import CampaignDatabase

DUE = "SELECT count(*) FROM due_emails"


def test_nothing_is_due_while_an_organisation_is_held(database: CampaignDatabase) -> None:
    database.write(
        "INSERT INTO email_schedules (contact_id, email_type, status) VALUES (1, 'birthday', 'pre-scheduled')"
    )
    assert database.rows(DUE) == [(1,)]
    hold_organization(database.url, "a complaint", held_by="anna")
    assert database.rows(DUE) == [(0,)]
    release_organization(database.url, "settled", released_by="bert")
    assert database.rows(DUE) == [(1,)]
    assert database.rows(
        "SELECT reason, held_by, release_reason, released_by, released_at >= held_at FROM organization_holds"
    ) == [("a complaint", "anna", "settled", "bert", 1)]


def test_a_held_organisation_is_planned_and_every_plan_says_that_it_is_held(
    database: CampaignDatabase,
) -> None:
    hold_organization(database.url, "a complaint", held_by="anna")
    run = plan_and_publish(database.url, SchedulerConfig(), today())
    assert run.hold is not None
    assert run.warnings[0].startswith("this organisation is held by anna since ")
    assert "(a complaint)" in run.warnings[0]
    assert database.rows("SELECT count(*) > 0 FROM email_schedules WHERE status = 'pre-scheduled'") == [(1,)]
    assert preview_plan(database.url, SchedulerConfig(), today()).hold == run.hold
    release_organization(database.url, "settled")
    after = plan_and_publish(database.url, SchedulerConfig(), today())
    assert after.hold is None
    assert not any("held" in warning for warning in after.warnings)


def test_a_second_hold_names_the_first_and_a_release_needs_one(database: CampaignDatabase) -> None:
    with pytest.raises(UsageError, match="this organisation is not held"):
        release_organization(database.url, "why not")
    first = hold_organization(database.url, "a complaint", held_by="anna")
    with pytest.raises(UsageError, match=r"held by anna since .* \(a complaint\)"):
        hold_organization(database.url, "another one")
    assert current_hold(database.url) == first
    assert release_organization(database.url, "settled") == first
    assert current_hold(database.url) is None


@pytest.mark.parametrize("reason", ["", "  \n ", "x" * 1001, "bell\a"])
def test_a_hold_needs_a_reason_that_people_can_read(database: CampaignDatabase, reason: str) -> None:
    with pytest.raises(UsageError, match="at most 1000 characters, all of which can be printed"):
        hold_organization(database.url, reason)
    assert current_hold(database.url) is None

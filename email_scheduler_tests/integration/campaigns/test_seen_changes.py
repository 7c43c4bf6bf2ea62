"""Which changes of campaigns a plan has taken into account, and what each of them led to."""

import json
from datetime import date

import pandas as pd
import pytest

from email_scheduler.campaigns.selections import ById
from email_scheduler.cli.plan_commands import as_object
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.inputs import read_inputs_and_changes
from email_scheduler.database.lock import planner_lock
from email_scheduler.database.publishing.planned_rows import planner_rows_in_background
from email_scheduler.database.publishing.publish import PublishResult, publish_plan
from email_scheduler.errors import StalePlanError
from email_scheduler.health.figures import pending_changes, plan_record
from email_scheduler.planning.plan import make_plan
from email_scheduler.planning_run import plan_and_publish, preview_plan
from email_scheduler_tests.integration.campaigns.campaign_database import CampaignDatabase

AS_OF = date(2026, 11, 24)
CONFIG = SchedulerConfig.model_validate(
    {"processing": {"max_retry_attempts": 0}, "load_balancing": {"daily_send_percentage_cap": 1}}
)


def publish(database: CampaignDatabase, read: tuple, **options: bool) -> PublishResult:
    """Plan and publish what was read before, as the steps of a Dagster run do."""
    inputs, seen = read
    with (
        planner_lock(database.url, CONFIG, "late run") as lock,
        planner_rows_in_background(database.url, CONFIG) as existing,
    ):
        plan = make_plan(inputs, CONFIG)
        return publish_plan(database.url, CONFIG, plan, inputs, lock, existing, changes=seen, **options)


def processed(database: CampaignDatabase) -> list[str | None]:
    """Return the runs that are noted in the change log, in its order."""
    return [row[0] for row in database.rows("SELECT processed_run_id FROM campaign_change_log ORDER BY id")]


def counts(effects: pd.DataFrame) -> list[tuple]:
    names = ["campaign_instance_id", "field_changed", "contacts", "added", "changed", "removed"]
    return list(effects[names].itertuples(index=False, name=None))


def test_a_plan_stamps_the_changes_that_it_has_seen(database: CampaignDatabase) -> None:
    service = database.service()
    service.target("spring", ById([1, 2]))
    service.change_instance("spring", email_template="promo_v2")
    run = plan_and_publish(database.url, CONFIG, AS_OF)
    assert processed(database) == [run.run_id] * 2
    assert [each.is_processed for each in service.changes()] == [True, True]


def test_what_is_changed_while_a_plan_is_made_waits_for_the_next_one(database: CampaignDatabase) -> None:
    service = database.service()
    service.target("spring", ById([1]))
    read = read_inputs_and_changes(database.url, AS_OF, CONFIG)
    service.target("spring", ById([2]))
    publish(database, read)
    assert processed(database) == ["late run", None]
    run = plan_and_publish(database.url, CONFIG, AS_OF)
    assert processed(database) == ["late run", run.run_id]


def test_a_change_that_commits_late_under_a_lower_number_is_not_taken_for_seen(
    database: CampaignDatabase,
) -> None:
    service = database.service()
    service.target("spring", ById([1]))
    database.write("UPDATE campaign_change_log SET id = 10")
    read = read_inputs_and_changes(database.url, AS_OF, CONFIG)
    service.target("spring", ById([2]))
    database.write("UPDATE campaign_change_log SET id = 5 WHERE id = 11")
    publish(database, read)
    assert processed(database) == [None, "late run"]


def test_a_plan_of_an_older_state_makes_pending_again_what_it_takes_back(database: CampaignDatabase) -> None:
    service = database.service()
    service.target("spring", ById([1]))
    read = read_inputs_and_changes(database.url, AS_OF, CONFIG)
    service.target("spring", ById([2]))
    newer = plan_and_publish(database.url, CONFIG, AS_OF)
    assert processed(database) == [newer.run_id] * 2
    publish(database, read)
    assert processed(database) == [newer.run_id, None]
    assert pending_changes(database.url, CONFIG).last_id == 2


def test_an_older_plan_that_was_asked_for_stays(database: CampaignDatabase) -> None:
    service = database.service()
    read = read_inputs_and_changes(database.url, AS_OF, CONFIG)
    service.target("spring", ById([2]))
    newer = plan_and_publish(database.url, CONFIG, AS_OF)
    publish(database, read, allow_older=True)
    assert processed(database) == [newer.run_id]


def test_nothing_is_stamped_by_a_run_that_did_not_publish(database: CampaignDatabase) -> None:
    plan_and_publish(database.url, CONFIG, date(2026, 11, 25))
    database.service().target("spring", ById([1]))
    with pytest.raises(StalePlanError):
        plan_and_publish(database.url, CONFIG, AS_OF)
    assert processed(database) == [None]


def test_changes_that_no_plan_depends_on_are_neither_pending_nor_stamped(database: CampaignDatabase) -> None:
    database.service().change_instance("spring", metadata={"extra": {"colour": "blue"}})
    assert pending_changes(database.url, CONFIG) is None
    run = plan_and_publish(database.url, CONFIG, AS_OF)
    assert processed(database) == [None]
    assert run.effects.empty


def test_changes_by_plain_sql_are_pending_until_a_plan_has_seen_them(database: CampaignDatabase) -> None:
    assert pending_changes(database.url, CONFIG) is None
    database.write("UPDATE campaign_instances SET email_template = 'promo_v2' WHERE id = 1")
    database.write("UPDATE campaign_types SET priority = 2")
    found = pending_changes(database.url, CONFIG)
    assert (found.count, found.last_id) == (2, 2)
    assert [(found.last_changed_at,)] == database.rows(
        "SELECT CAST(changed_at AS TEXT) FROM campaign_change_log WHERE id = 2"
    )
    plan_and_publish(database.url, CONFIG, AS_OF)
    assert pending_changes(database.url, CONFIG) is None


def test_each_change_is_told_by_contacts_and_rows_of_its_instance(database: CampaignDatabase) -> None:
    service = database.service()
    service.target("spring", ById([1, 2, 3]))
    service.target("undated", ById([7]), trigger_date=date(2027, 4, 1))
    first = plan_and_publish(database.url, CONFIG, AS_OF)
    assert counts(first.effects) == [(1, "targets", 3, 3, 0, 0), (2, "targets", 1, 1, 0, 0)]
    service.withdraw("spring", ById([1]))
    service.change_instance("spring", email_template="promo_v2")
    second = plan_and_publish(database.url, CONFIG, AS_OF)
    assert counts(second.effects) == [(1, "targets", 3, 0, 2, 1), (1, "email_template", 3, 0, 2, 1)]


def test_a_change_of_a_type_is_told_by_all_of_its_instances(database: CampaignDatabase) -> None:
    service = database.service()
    service.target("spring", ById([1, 2]))
    service.target("undated", ById([2]), trigger_date=date(2027, 4, 1))
    plan_and_publish(database.url, CONFIG, AS_OF)
    service.change_type("promo", active=False)
    assert counts(plan_and_publish(database.url, CONFIG, AS_OF).effects) == [(0, "active", 2, 0, 0, 3)]


def test_a_change_without_any_effect_is_told_as_none(database: CampaignDatabase) -> None:
    plan_and_publish(database.url, CONFIG, AS_OF)
    database.service().change_type("promo", priority=9)
    assert counts(plan_and_publish(database.url, CONFIG, AS_OF).effects) == [(0, "priority", 0, 0, 0, 0)]


def test_a_change_of_what_nobody_knows_any_more_is_stamped_too(database: CampaignDatabase) -> None:
    database.service().target("spring", ById([1, 2]))
    database.write(
        "INSERT INTO campaign_change_log (field_changed, requires_rescheduling) VALUES ('targets', TRUE)"
    )
    run = plan_and_publish(database.url, CONFIG, AS_OF)
    assert counts(run.effects) == [(1, "targets", 2, 2, 0, 0), (0, "targets", 0, 0, 0, 0)]
    assert json.loads(json.dumps(as_object(run)["campaign_changes"]))[1]["campaign_type"] is None
    assert processed(database) == [run.run_id] * 2


def test_a_dry_run_tells_the_effects_and_stamps_nothing(database: CampaignDatabase) -> None:
    database.service().target("spring", ById([1, 2]))
    run = preview_plan(database.url, CONFIG, AS_OF)
    assert counts(run.effects) == [(1, "targets", 2, 2, 0, 0)]
    assert processed(database) == [None]


def test_the_record_of_plans_knows_the_last_date_and_a_plan_that_broke_a_rule(
    database: CampaignDatabase,
) -> None:
    assert plan_record(database.url, CONFIG, AS_OF).last_date is None
    plan_and_publish(database.url, CONFIG, AS_OF)
    assert plan_record(database.url, CONFIG, AS_OF).last_date == AS_OF
    inputs, seen = read_inputs_and_changes(database.url, date(2026, 11, 25), CONFIG)
    plan = make_plan(inputs, CONFIG)
    plan.schedules["scheduled_send_date"] = plan.schedules["scheduled_send_date"] - 9_000
    with (
        planner_lock(database.url, CONFIG, "broken") as lock,
        planner_rows_in_background(database.url, CONFIG) as existing,
        pytest.raises(Exception, match="breaks rules"),
    ):
        publish_plan(database.url, CONFIG, plan, inputs, lock, existing, changes=seen)
    record = plan_record(database.url, CONFIG, date(2026, 11, 25))
    assert (record.last_date, record.has_broken_rules) == (AS_OF, True)
    assert not plan_record(database.url, CONFIG, AS_OF).has_broken_rules

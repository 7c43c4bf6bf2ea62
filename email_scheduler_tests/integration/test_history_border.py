"""Old rows of the sender that are not read change neither a plan nor its proof."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.inputs import Besides, border_of_plan_and_proof, read_inputs
from email_scheduler.planning.columns.dates import from_day
from email_scheduler.planning.frames import HISTORY_TABLE, HistoryBorder, PlanInputs
from email_scheduler.planning.plan import make_plan
from email_scheduler.planning.rules.history_border import history_border
from email_scheduler.proof import find_violations
from email_scheduler.proof import history_border as border_of_proof
from email_scheduler_tests.builders import (
    Row,
    campaign_instance,
    campaign_type,
    click,
    contact,
    email_row,
    inputs,
    table,
    target,
)
from email_scheduler_tests.databases import Database, SqliteDatabase
from email_scheduler_tests.integration.test_random_organisations import fill, planned, storable
from email_scheduler_tests.oracle.book import rows_of
from email_scheduler_tests.strategies import random_case

YEARS = 10
EVENT = ("event_year", "event_month", "event_day")
AS_OF = date(2026, 11, 23)


def with_years_of_history(organisation: PlanInputs, seed: int) -> PlanInputs:
    """Return the organisation with a row ten times more for each of the sender's rows, up to ten years older.

    Each date of a row moves by itself, so that some rows have one old date only; many come to lie where
    rows begin to matter.
    """
    rng = random.Random(seed)
    rows = rows_of(organisation.history)
    ids = [row["id"] for row in rows]
    older: list[Row] = []
    for row in rows:
        if row["status"] == "pre-scheduled":
            continue
        for years in range(1, YEARS + 1):
            moved = dict(row)
            for name in ("scheduled_send_date", "actual_send_datetime"):
                if row[name]:
                    days = 365 * years + rng.choice([0, 0, rng.randint(-400, 400)])
                    moved[name] = earlier(row[name], days) + row[name][10:]
            days = 365 * years + rng.choice([0, 0, rng.randint(-400, 400)])
            moved |= dict(zip(EVENT, earlier_event(row, days), strict=True))
            if row["initial_email_id"] and rng.random() < 0.5:
                moved["initial_email_id"] = rng.choice(ids)
            older.append({**moved, "id": max(ids) + 1 + len(older)})
    return replace(organisation, history=table(HISTORY_TABLE, [*rows, *older]))


def earlier_event(row: Row, days: int) -> list[int | None]:
    """Return the parts of the event date that many days before; what is no date stays as it is."""
    parts = [row[name] for name in EVENT]
    try:
        event = date(*parts) - timedelta(days)
    except (TypeError, ValueError):
        return parts
    return [event.year, event.month, event.day]


def earlier(text: str, days: int) -> str:
    try:
        return (date.fromisoformat(text[:10]) - timedelta(days)).isoformat()
    except ValueError:
        return text[:10]


def is_proved(organisation: PlanInputs, read: PlanInputs, config: SchedulerConfig) -> Iterator[int]:
    plan = make_plan(organisation, config)
    for seen in (organisation, read):
        yield len(find_violations(seen, plan.contacts, plan.schedules, config))


@pytest.mark.parametrize("seed", range(7000, 7012))
def test_ten_years_of_history_and_what_is_read_of_them_make_the_same_plan(
    seed: int, sqlite_database: SqliteDatabase
) -> None:
    organisation, config = random_case(seed)
    organisation = with_years_of_history(organisation, seed)
    fill(sqlite_database, organisation)
    read = read_inputs(sqlite_database.url, organisation.as_of, config)
    assert len(read.history) <= len(organisation.history)
    assert planned(make_plan(read, config)) == planned(make_plan(organisation, config))
    assert set(is_proved(organisation, read, config)) == {0}


@pytest.mark.parametrize("seed", range(7100, 7103))
def test_both_databases_read_the_same_rows(seed: int, database: Database) -> None:
    organisation, config = random_case(seed)
    organisation = storable(with_years_of_history(organisation, seed))
    fill(database, organisation)
    read = read_inputs(database.url, organisation.as_of, config)
    border = border_of_plan_and_proof(organisation, config)
    wanted = {row["id"] for row in rows_of(organisation.history) if matters(row, border)}
    assert wanted <= set(read.history["id"])
    assert planned(make_plan(read, config)) == planned(make_plan(organisation, config))


def matters(row: Row, border: HistoryBorder) -> bool:
    dates = [row["scheduled_send_date"], row["actual_send_datetime"]]
    if None not in (event := earlier_event(row, 0)):
        dates.append("{:04}-{:02}-{:02}".format(*event))
    latest = max((text[:10] for text in dates if text), default="")
    kind = (row["email_type"] or "")[:9]
    first = {"campaign_": border.campaigns, "followup_": border.follow_ups}.get(kind, border.rows)
    return latest >= from_day(first).isoformat() or (
        kind == "campaign_" and row["campaign_instance_id"] in border.instances
    )


def test_most_of_ten_years_is_not_read(sqlite_database: SqliteDatabase) -> None:
    contacts = [contact(number, birth_date="1950-03-10") for number in range(1, 4)]
    days = [(AS_OF - timedelta(days=30 * months)).isoformat() for months in range(120)]
    rows = [email_row(1 + number, 1 + number % 3, "birthday", day, day) for number, day in enumerate(days)]
    fill(sqlite_database, inputs(AS_OF, contacts=contacts, history=rows))
    read = read_inputs(sqlite_database.url, AS_OF, SchedulerConfig())
    # the longest window holds 151 days, and the post-window email has 30 days of grace
    assert sorted(read.history["id"]) == list(range(1, 14))


def day(days_ago: int) -> str:
    return (AS_OF - timedelta(days_ago)).isoformat()


def config_of(**sections: object) -> SchedulerConfig:
    return SchedulerConfig.model_validate(sections)


def window(**settings: object) -> dict[str, object]:
    return {"pre_window_extension_days": 0, **settings}


# The oldest row that decides, id 1, of what it decides; and what it is for.
OLDEST = {
    "an AEP date hidden by the longest window": (
        config_of(
            state_rules={"birthday_windows": {"TX": window(window_before_days=30, window_after_days=60)}},
            aep_config={"default_dates": [{"month": 7, "day": 25}]},
        ),
        {
            "contacts": [contact(1, birth_date="1950-08-24")],
            "history": [
                email_row(1, 1, "aep", day(303), day(303)),
                email_row(2, 1, "birthday", day(91), day(91)),
            ],
        },
        5,
    ),
    "an email that goes out after its event": (
        config_of(
            timing_constants={"effective_date_days_before": -20},
            state_rules={
                "effective_date_windows": {"TX": window(window_before_days=-20, window_after_days=100)}
            },
        ),
        {
            "contacts": [contact(1, effective_date=f"2019{day(131)[4:]}")],
            "history": [
                email_row(1, 1, "effective_date", day(313), day(313)),
                email_row(2, 1, "aep", day(69)),
            ],
        },
        5,
    ),
    "a window that was law until lately, for an unreadable birth date": (
        config_of(
            state_rules={"birthday_windows": {"TX": window(window_after_days=1, valid_to=day(31))}},
        ),
        {
            "contacts": [contact(1, birth_date="unknown", effective_date="2019-11-24")],
            "history": [
                email_row(1, 1, "effective_date", day(546), day(546)),
                email_row(2, 1, "aep", day(69)),
            ],
        },
        60,
    ),
    "a current birthday that is caught up": (
        config_of(
            timing_constants={"birthday_email_days_before": -100},
            load_balancing={"catch_up_spread_days": 7},
            state_rules={},
        ),
        {
            "contacts": [contact(1, birth_date=f"1950{day(106)[4:]}")],
            "history": [email_row(1, 1, "birthday", day(288), day(288))],
        },
        60,
    ),
    "an email of long ago of an instance that is planned": (
        config_of(),
        {
            "contacts": [contact(1)],
            "campaign_types": [campaign_type("blast", target_all_contacts=True)],
            "campaign_instances": [campaign_instance(7, "blast", "2016-12-01")],
            "history": [
                email_row(1, 1, "campaign_blast", "2016-12-01", "2016-12-01", campaign_instance_id=7)
            ],
        },
        None,
    ),
    "an email of an instance that has ended, with a target that is open": (
        config_of(),
        {
            "contacts": [contact(1)],
            "campaign_types": [campaign_type("blast")],
            "campaign_instances": [campaign_instance(7, "blast", "2016-12-01", "2016-12-31")],
            "contact_campaigns": [target(1, 1, 7, "2016-12-01")],
            "history": [
                email_row(1, 1, "campaign_blast", "2016-12-01", "2016-12-01", campaign_instance_id=7)
            ],
        },
        None,
    ),
    "a follow-up with odd dates of an email sent lately": (
        config_of(),
        {
            "contacts": [contact(1)],
            "history": [
                email_row(1, 1, "followup_1_cold", "2015-01-01", "2015-01-01", initial_email_id=2),
                email_row(2, 1, "birthday", day(5), day(-5)),
            ],
        },
        None,
    ),
    "the first email to follow up, of a campaign that has ended": (
        config_of(),
        {
            "contacts": [contact(1)],
            "campaign_types": [campaign_type("blast")],
            "campaign_instances": [campaign_instance(7, "blast", day(40), day(34))],
            "history": [email_row(1, 1, "campaign_blast", day(35), day(35), campaign_instance_id=7)],
        },
        None,
    ),
    "a follow-up of another email, shortly before": (
        config_of(),
        {
            "contacts": [contact(1)],
            "history": [
                email_row(1, 1, "followup_1_cold", day(70), day(80), initial_email_id=99),
                email_row(2, 1, "birthday", day(35), day(25)),
            ],
        },
        1,
    ),
    "an email of another type that counts in the period": (
        config_of(
            load_balancing={"period_days": 400, "max_emails_per_contact_per_period": 1},
            aep_config={"years": [2020]},
            state_rules={},
        ),
        {
            "contacts": [contact(1, birth_date=f"1950{day(-14)[4:]}")],
            "history": [email_row(1, 1, "newsletter", day(399), day(399))],
        },
        5,
    ),
}


@pytest.mark.parametrize("what", OLDEST)
def test_the_oldest_row_that_decides_is_read(what: str, database: Database) -> None:
    config, tables, margin = OLDEST[what]
    organisation = inputs(AS_OF, **tables)
    history = organisation.history
    without = replace(organisation, history=history[history["id"] != 1].reset_index(drop=True))
    assert decided(organisation, config) != decided(without, config)
    fill(database, organisation)
    read = read_inputs(database.url, AS_OF, config)
    assert 1 in set(read.history["id"])
    assert decided(read, config) == decided(organisation, config)
    if margin is not None:
        # the border lies close to it, for the planner and for the proof
        (row,) = rows_of(history[history["id"] == 1])
        for border in (history_border(organisation, config), border_of_proof(organisation, config)):
            first = border.follow_ups if row["email_type"].startswith("followup_") else border.rows
            oldest = date.fromisoformat(row["scheduled_send_date"])
            assert timedelta(0) <= oldest - from_day(first) <= timedelta(margin)


def decided(organisation: PlanInputs, config: SchedulerConfig) -> tuple[object, object]:
    plan = make_plan(organisation, config)
    return planned(plan), rows_of(plan.target_statuses)


def test_rows_that_only_another_configuration_or_a_stopped_instance_needs_are_read_when_asked_for(
    sqlite_database: SqliteDatabase,
) -> None:
    organisation = inputs(
        AS_OF,
        contacts=[contact(1)],
        campaign_types=[campaign_type("blast", target_all_contacts=True)],
        campaign_instances=[campaign_instance(7, "blast", "2016-12-01", active=False)],
        history=[
            email_row(1, 1, "campaign_blast", "2016-12-01", "2016-12-01", campaign_instance_id=7),
            email_row(2, 1, "birthday", day(450), day(450)),
        ],
        clicks=[click(1, day(60))],
    )
    fill(sqlite_database, organisation)
    limits = config_of(load_balancing={"period_days": 500})
    follow_ups = config_of(timing_constants={"followup_lookback_days": 90})

    def read(**besides: Any) -> tuple[set[int], int]:
        found = read_inputs(sqlite_database.url, AS_OF, config_of(), Besides(**besides))
        return set(found.history["id"]), len(found.clicks)

    assert read() == (set(), 0)
    assert read(instances=frozenset({7})) == ({1}, 0)
    assert read(configs=(limits,)) == ({2}, 0)
    assert read(configs=(follow_ups,)) == (set(), 1)

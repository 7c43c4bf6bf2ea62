"""The sample organisation: made up, but with everything in it that a real one has."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.inputs import read_inputs
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.errors import DatabaseError, UsageError
from email_scheduler.planning.frames import NO_DATE, PlanInputs
from email_scheduler.planning.plan import Plan, make_plan
from email_scheduler.planning.rules.contacts import validate_contacts
from email_scheduler.sample.sample_data import generate_sample
from email_scheduler_tests.databases import Database

AS_OF = date(2026, 11, 23)
CONFIG = SchedulerConfig()
TABLES = (
    "contacts",
    "contact_suppressions",
    "campaign_types",
    "campaign_instances",
    "contact_campaigns",
    "email_schedules",
    "tracking_clicks",
    "contact_events",
)


def _query(path: Path, sql: str) -> pd.DataFrame:
    with closing(sqlite3.connect(path)) as connection:
        return pd.read_sql(sql, connection)


def _content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        return {table: connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in TABLES}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.db"
    generate_sample(f"sqlite:///{path}", 2_000, 1, AS_OF, CONFIG)
    return path


@pytest.fixture(scope="module")
def inputs(sample: Path) -> PlanInputs:
    return read_inputs(f"sqlite:///{sample}", AS_OF, CONFIG)


@pytest.fixture(scope="module")
def plan(inputs: PlanInputs) -> Plan:
    return make_plan(inputs, CONFIG)


@pytest.fixture(scope="module")
def emails(sample: Path) -> pd.DataFrame:
    return _query(sample, "SELECT * FROM email_schedules ORDER BY contact_id, scheduled_send_date, id")


@pytest.fixture(scope="module")
def contacts(inputs: PlanInputs) -> Iterator[pd.DataFrame]:
    valid, _ = validate_contacts(inputs, SchedulerConfig())
    return valid.set_index("contact_id")


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(sample: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again.db", tmp_path / "other.db"
    generate_sample(f"sqlite:///{again}", 2_000, 1, AS_OF, CONFIG)
    generate_sample(f"sqlite:///{other}", 2_000, 2, AS_OF, CONFIG)
    assert _content(again) == _content(sample)
    assert _content(other)["contacts"] != _content(sample)["contacts"]


def test_the_rows_reported_are_the_rows_written(tmp_path: Path) -> None:
    path, progress = tmp_path / "new" / "sample.db", []
    rows = generate_sample(f"sqlite:///{path}", 50, 1, AS_OF, CONFIG, on_progress=progress.append)
    assert rows == {table: len(content) for table, content in _content(path).items()}
    assert progress == [50]


def test_a_large_sample_is_made_in_parts_with_ids_that_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("email_scheduler.sample.sample_data._CHUNK", 100)
    path = tmp_path / "sample.db"
    generate_sample(f"sqlite:///{path}", 250, 1, AS_OF, CONFIG)
    content = _content(path)
    assert [row[0] for row in content["contacts"]] == list(range(1, 251))
    for table in ("email_schedules", "contact_campaigns", "tracking_clicks"):
        assert [row[0] for row in content[table]] == list(range(1, len(content[table]) + 1))
    assert max(row[1] for row in content["email_schedules"]) > 200


def test_one_contact_is_a_sample_too(tmp_path: Path) -> None:
    assert generate_sample(f"sqlite:///{tmp_path}/one.db", 1, 1, AS_OF, CONFIG)["contacts"] == 1


def test_the_indexes_are_there_afterwards(sample: Path, tmp_path: Path) -> None:
    initialise_database(f"sqlite:///{tmp_path}/empty.db")
    indexes = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name"
    pd.testing.assert_frame_equal(_query(sample, indexes), _query(tmp_path / "empty.db", indexes))


def test_a_database_in_use_is_refused_and_left_as_it_was(sample: Path) -> None:
    before = _content(sample)
    with pytest.raises(DatabaseError, match=r"contacts holds 2,000 rows; accepted is an empty database"):
        generate_sample(f"sqlite:///{sample}", 10, 1, AS_OF, CONFIG)
    assert _content(sample) == before


def test_an_older_database_in_use_is_not_even_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE contacts (id INTEGER PRIMARY KEY, email TEXT)")
        connection.execute("INSERT INTO contacts VALUES (1, 'somebody@example.com')")
    with pytest.raises(DatabaseError, match="contacts holds 1 rows"):
        generate_sample(f"sqlite:///{path}", 10, 1, AS_OF, CONFIG)
    assert _query(path, "SELECT name FROM sqlite_master")["name"].tolist() == ["contacts"]


@pytest.mark.parametrize(("contacts", "seed"), [(0, 1), (10, -1)])
def test_numbers_out_of_range_are_refused(tmp_path: Path, contacts: int, seed: int) -> None:
    with pytest.raises(UsageError, match="accepted is a whole number"):
        generate_sample(f"sqlite:///{tmp_path}/sample.db", contacts, seed, AS_OF, CONFIG)
    assert not (tmp_path / "sample.db").exists()


def test_addresses_are_of_nobody(inputs: PlanInputs) -> None:
    given = inputs.contacts["email"].dropna()
    given = given[given.str.contains(r"^\S+@[^@\s]+\.\S+$", regex=True) & (given.str.count("@") == 1)]
    assert len(given) > 1_900
    assert given.str.endswith("@example.com").all()
    # 555-0100 to 555-0199 are kept for fiction
    phones = inputs.contacts["phone_number"].dropna()
    assert len(phones) > 1_000
    assert phones.str.fullmatch(r"\+1[2-9]\d\d55501\d\d").all()


def test_every_kind_of_issue_occurs(plan: Plan) -> None:
    assert set(plan.issues["issue"]) >= {
        "missing_email",
        "invalid_email",
        "missing_zip_code",
        "invalid_zip_code",
        "suppressed",
        "state_mismatch",
        "invalid_birth_date",
        "invalid_effective_date",
    }
    assert 0.95 < len(plan.contacts) / plan.contact_count < 0.98


def test_all_states_with_rules_and_most_others_have_contacts(contacts: pd.DataFrame) -> None:
    rules = CONFIG.state_rules
    ruled = {*rules.year_round_exclusion, *rules.birthday_windows, *rules.effective_date_windows}
    present = set(contacts["state"])
    assert ruled <= present
    assert len(present) > 45


def test_a_territory_and_truncated_zip_codes_occur(inputs: PlanInputs, contacts: pd.DataFrame) -> None:
    table = inputs.contacts.set_index("id")
    truncated = table.index[table["zip_code"].fillna("").str.fullmatch(r"\d{3,4}(-\d{4})?")]
    states = set(contacts["state"].reindex(truncated).dropna())
    assert {"MA", "NJ", "PR"} <= states
    assert table["zip_code"].fillna("").str.fullmatch(r"\d{5}-\d{4}").any()


def test_ages_are_those_of_people_on_medicare(contacts: pd.DataFrame) -> None:
    born = pd.to_datetime(contacts["birth_date"][contacts["birth_date"] != NO_DATE], unit="D")
    ages = (pd.Timestamp(AS_OF) - born).dt.days / 365.25
    assert 63.9 < ages.min() < 65
    assert 90 < ages.max() < 96
    assert ((born.dt.month == 2) & (born.dt.day == 29)).sum() >= 5


def test_effective_dates_cluster_on_the_first_of_the_month(inputs: PlanInputs) -> None:
    given = inputs.contacts["effective_date"].dropna()
    assert 0.7 < given.str.endswith("-01").mean() < 0.95
    assert given.str.endswith("-02-29").any()


def test_the_history_ends_the_day_before(emails: pd.DataFrame, inputs: PlanInputs) -> None:
    assert emails["scheduled_send_date"].max() == (AS_OF - timedelta(days=1)).isoformat()
    assert emails["actual_send_datetime"].dropna().max() < AS_OF.isoformat()
    assert inputs.clicks["clicked_at"].astype("str").max() < AS_OF.isoformat()
    assert inputs.answers["created_at"].astype("str").max() < AS_OF.isoformat()


def test_the_history_holds_every_type_and_status(emails: pd.DataFrame) -> None:
    assert set(emails["email_type"]) == {
        "birthday",
        "effective_date",
        "aep",
        "post_window",
        "campaign_rate_increase",
        "followup_1_cold",
        "followup_2_clicked_no_hq",
        "followup_3_hq_no_yes",
        "followup_4_hq_with_yes",
    }
    assert set(emails["status"]) == {"sent", "delivered", "failed"}
    assert emails.loc[emails["status"] == "failed", "actual_send_datetime"].isna().all()
    recent = emails[emails["scheduled_send_date"] >= (AS_OF - timedelta(days=35)).isoformat()]
    assert {"birthday", "effective_date", "post_window"} <= set(recent["email_type"])


def test_a_birthday_email_goes_out_two_weeks_ahead_or_a_little_later(emails: pd.DataFrame) -> None:
    birthdays = emails[emails["email_type"] == "birthday"]
    parts = birthdays[["event_year", "event_month", "event_day"]].set_axis(["year", "month", "day"], axis=1)
    ahead = (pd.to_datetime(parts) - pd.to_datetime(birthdays["scheduled_send_date"])).dt.days
    assert ahead.between(10, 14).all()
    assert (ahead == 14).mean() > 0.7


def test_nobody_in_a_year_round_state_was_ever_sent_anything(
    emails: pd.DataFrame, contacts: pd.DataFrame
) -> None:
    states = set(emails["contact_id"].map(contacts["state"].astype("str")))
    assert states.isdisjoint({"NY", "CT", "MA", "WA"})
    assert {"CA", "MO", "TX"} <= states


def test_nobody_in_california_was_sent_anything_in_the_window(
    emails: pd.DataFrame, contacts: pd.DataFrame
) -> None:
    californians = emails[emails["contact_id"].map(contacts["state"].astype("str")) == "CA"]
    assert len(californians) > 50
    for row in californians.itertuples():
        day = int(contacts.loc[row.contact_id, "birth_date"])
        if day == NO_DATE:
            continue
        born, sent = date(1970, 1, 1) + timedelta(days=day), date.fromisoformat(row.scheduled_send_date)
        for year in (sent.year - 1, sent.year, sent.year + 1):
            is_leap_day = (born.month, born.day) == (2, 29) and year % 4
            birthday = date(year, born.month, 28 if is_leap_day else born.day)
            assert not birthday - timedelta(days=90) <= sent <= birthday + timedelta(days=60)


def test_no_contact_got_more_than_two_emails_in_two_weeks(emails: pd.DataFrame) -> None:
    initial = emails[emails["initial_email_id"].isna()]
    for _, days in initial.groupby("contact_id")["scheduled_send_date"]:
        sent = [date.fromisoformat(day) for day in days]
        assert all((third - first).days >= 14 for first, third in zip(sent, sent[2:], strict=False))


def test_every_follow_up_follows_an_email_that_was_sent_to_the_same_contact(emails: pd.DataFrame) -> None:
    by_id = emails.set_index("id")
    follow_ups = emails[emails["initial_email_id"].notna()]
    initial = by_id.loc[follow_ups["initial_email_id"]]
    assert (initial["contact_id"].to_numpy() == follow_ups["contact_id"].to_numpy()).all()
    assert initial["initial_email_id"].isna().all()
    assert set(initial["status"]) == {"sent", "delivered"}
    days = pd.to_datetime(follow_ups["scheduled_send_date"]).to_numpy() - pd.to_datetime(
        initial["scheduled_send_date"]
    )
    assert set(days.dt.days) == {2}
    assert not follow_ups["initial_email_id"].duplicated().any()


def test_there_are_two_active_campaigns_one_under_way_and_one_ahead(sample: Path) -> None:
    instances = _query(sample, "SELECT * FROM campaign_instances ORDER BY id")
    assert instances["campaign_type"].tolist() == ["rate_increase", "initial_blast"]
    assert instances["active"].all()
    under_way, ahead = instances["active_start_date"]
    assert under_way < AS_OF.isoformat() < ahead
    types = _query(sample, "SELECT name, priority FROM campaign_types")
    assert dict(zip(types["name"], types["priority"], strict=True)) == {
        name: campaign_type.priority for name, campaign_type in CONFIG.campaign_types.items()
    }


def test_targets_say_whether_their_email_was_sent(sample: Path, emails: pd.DataFrame) -> None:
    targets = _query(sample, "SELECT * FROM contact_campaigns")
    assert set(targets["status"]) == {"pending", "skipped", "sent"}
    assert targets["trigger_date"].isna().any()
    campaign = emails[emails["email_type"] == "campaign_rate_increase"]
    reached = campaign.loc[campaign["status"] != "failed", "contact_id"]
    assert set(targets.loc[targets["status"] == "sent", "contact_id"]) == set(reached)


def test_a_plan_for_the_sample_shows_every_type_and_loses_nothing_to_capacity(plan: Plan) -> None:
    rows = Counter(plan.schedules["email_type"].astype("str"))
    assert set(rows) >= {
        "birthday",
        "effective_date",
        "aep",
        "post_window",
        "campaign_rate_increase",
        "campaign_initial_blast",
        "followup_1_cold",
        "followup_2_clicked_no_hq",
    }
    assert plan.capacity_shortfall.empty
    assert "daily_cap_exceeded" not in set(plan.schedules["skip_reason"].dropna())


def test_a_plan_for_the_sample_is_not_drowned_in_follow_ups(plan: Plan) -> None:
    is_follow_up = plan.schedules["email_type"].astype("str").str.startswith("followup_")
    assert 5 < is_follow_up.sum() < plan.daily_cap


def test_a_configuration_without_the_campaign_types_gives_a_sample_without_campaigns(tmp_path: Path) -> None:
    config = SchedulerConfig.model_validate({"campaign_types": {}})
    rows = generate_sample(f"sqlite:///{tmp_path}/sample.db", 300, 1, AS_OF, config)
    assert (rows["campaign_types"], rows["campaign_instances"], rows["contact_campaigns"]) == (0, 0, 0)
    assert rows["email_schedules"] > 100


def test_nothing_was_sent_on_closed_days(tmp_path: Path) -> None:
    config = SchedulerConfig.model_validate({"send_calendar": {"no_send_weekdays": ["sat", "sun"]}})
    generate_sample(f"sqlite:///{tmp_path}/sample.db", 300, 1, AS_OF, config)
    days = _query(tmp_path / "sample.db", "SELECT scheduled_send_date FROM email_schedules")
    assert set(pd.to_datetime(days["scheduled_send_date"]).dt.day_of_week) == {0, 1, 2, 3, 4}


def test_the_sample_is_the_same_on_both_databases(
    sqlite_database: Database, postgresql_database: Database
) -> None:
    inputs = []
    for database in (sqlite_database, postgresql_database):
        generate_sample(database.url, 300, 1, AS_OF, CONFIG)
        inputs.append(read_inputs(database.url, AS_OF, CONFIG))
        assert database.query("SELECT count(*) FROM contacts WHERE id = 300") == [(1,)]
        database.write("INSERT INTO contacts (email) VALUES ('new@example.com')")
        assert database.query("SELECT max(id) FROM contacts") == [(301,)]
    on_sqlite, on_postgresql = (make_plan(each, CONFIG).schedules for each in inputs)
    follow_up = on_sqlite["initial_email_id"] > 0
    assert follow_up.any()
    pd.testing.assert_frame_equal(on_sqlite, on_postgresql, check_categorical=False, check_dtype=False)

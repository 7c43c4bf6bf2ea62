"""What becomes of values of the wrong kind, each example by hand: section 4 of the planning rules."""

import json
import sqlite3
from contextlib import closing
from datetime import date

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import DatabaseError, InputDataError
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.databases import Database, PostgresqlDatabase, SqliteDatabase

AS_OF = date(2026, 11, 23)
TEXAN = {"zip_code": "75001", "birth_date": "1950-03-10"}


def publish(database: Database) -> None:
    plan_and_publish(database.url, SchedulerConfig(), AS_OF)


def issues(database: Database) -> list[tuple[object, ...]]:
    return sorted(database.query("SELECT contact_id, field, issue FROM contact_issues"))


def emails(database: Database, email_type: str) -> list[tuple[object, ...]]:
    return database.query(
        "SELECT contact_id, status, scheduled_send_date FROM email_schedules"
        " WHERE email_type = ? AND ideal_send_date IS NOT NULL ORDER BY contact_id",
        (email_type,),
    )


def other_contacts(database: SqliteDatabase, declaration: str) -> None:
    """Replace the contacts by those of an older program."""
    with closing(sqlite3.connect(database.path)) as connection:
        view = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'due_emails'").fetchone()[0]
    database.run(f"DROP VIEW due_emails; DROP TABLE contacts; CREATE TABLE contacts ({declaration}); {view};")


@pytest.mark.parametrize("contact_id", [0, -1, 2**63 - 1, 1 - 2**63])
def test_any_whole_number_is_an_id(database: Database, contact_id: int) -> None:
    database.insert("contacts", {**TEXAN, "id": contact_id, "email": "a@b.co"})
    database.insert("contact_suppressions", {"contact_id": contact_id, "suppressed_at": "2026-12-01"})
    for _ in range(2):
        publish(database)
        assert emails(database, "birthday") == [(contact_id, "pre-scheduled", "2027-02-24")]
        assert issues(database) == []


def test_the_lowest_number_stands_for_no_id(database: Database) -> None:
    database.insert(
        "contacts", {**TEXAN, "id": -(2**63), "email": "a@b.co"}, {**TEXAN, "id": 1, "email": "c@d.co"}
    )
    for _ in range(2):
        publish(database)
        assert issues(database) == [(None, "id", "invalid_id")]
    assert emails(database, "birthday") == [(1, "pre-scheduled", "2027-02-24")]


def test_what_names_no_contact_counts_for_none(database: Database) -> None:
    database.insert("campaign_types", {"name": "promo"})
    database.insert(
        "campaign_instances", {"id": 1, "campaign_type": "promo", "active_start_date": "2026-12-01"}
    )
    database.insert("contacts", {**TEXAN, "id": 0, "email": "a@b.co"})
    database.insert("contact_campaigns", {"id": 1, "contact_id": None, "campaign_instance_id": 1})
    database.insert(
        "email_schedules",
        {
            "id": 1,
            "contact_id": None,
            "email_type": "birthday",
            "status": "sent",
            "actual_send_datetime": "2026-11-20",
        },
    )
    publish(database)
    assert emails(database, "birthday") == [(0, "pre-scheduled", "2027-02-24")]
    assert emails(database, "campaign_promo") == []


def test_an_id_that_is_no_whole_number_is_no_id(sqlite_database: SqliteDatabase) -> None:
    other_contacts(
        sqlite_database,
        "id INT PRIMARY KEY, first_name, last_name, email, zip_code, state, birth_date, effective_date,"
        " phone_number",
    )
    ids = ["12abc", "abc", 1.5, b"7", None, "9" * 30, "3\0", " 8 ", 9, "10.0"]
    sqlite_database.insert(
        "contacts", *({**TEXAN, "id": one, "email": f"c{place}@b.co"} for place, one in enumerate(ids))
    )
    publish(sqlite_database)
    assert issues(sqlite_database) == [(None, "id", "invalid_id")] * 7
    assert [row[0] for row in emails(sqlite_database, "birthday")] == [8, 9, 10]


def test_a_click_of_the_contact_12abc_is_not_one_of_contact_12(sqlite_database: SqliteDatabase) -> None:
    sqlite_database.insert("contacts", {**TEXAN, "id": 12, "email": "a@b.co"})
    sqlite_database.insert(
        "email_schedules",
        {
            "id": 1,
            "contact_id": 12,
            "email_type": "aep",
            "status": "sent",
            "actual_send_datetime": "2026-11-20",
        },
    )
    sqlite_database.insert("tracking_clicks", {"contact_id": "12abc", "clicked_at": "2026-11-21"})
    publish(sqlite_database)
    assert len(emails(sqlite_database, "followup_1_cold")) == 1


@pytest.mark.parametrize("address", [b"\xff@b.co", b"ann\xc3@b.co", b"a\x00b@c.de", "a@b.\ufffd".encode()])
def test_an_address_that_is_no_text_is_invalid(sqlite_database: SqliteDatabase, address: bytes) -> None:
    sqlite_database.insert("contacts", {**TEXAN, "id": 1, "email": address})
    publish(sqlite_database)
    assert issues(sqlite_database) == [(1, "email", "invalid_email")]


def test_an_address_with_the_replacement_character_is_invalid(database: Database) -> None:
    database.insert("contacts", {**TEXAN, "id": 1, "email": "ann\ufffd@b.co"})
    publish(database)
    assert issues(database) == [(1, "email", "invalid_email")]


def test_a_status_in_bytes_is_the_senders(sqlite_database: SqliteDatabase) -> None:
    sqlite_database.insert("contacts", {**TEXAN, "id": 1, "email": "a@b.co"})
    sqlite_database.insert(
        "email_schedules",
        {
            "id": 5,
            "contact_id": 1,
            "email_type": "birthday",
            "status": b"pre-scheduled",
            "event_year": 2027,
            "event_month": 3,
            "event_day": 10,
            "ideal_send_date": "2027-02-24",
        },
    )
    publish(sqlite_database)
    assert emails(sqlite_database, "birthday") == [(1, b"pre-scheduled", None)]


def with_campaign(database: Database, trigger_date: str | None, **instance: object) -> None:
    """Write one contact that is a target of one campaign, seven days before its trigger date."""
    database.insert(
        "campaign_types", {"name": "promo", "days_before_event": 7, "respect_exclusion_windows": False}
    )
    database.insert(
        "campaign_instances", {"id": 4, "campaign_type": "promo", "instance_name": "spring", **instance}
    )
    database.insert("contacts", {**TEXAN, "id": 1, "email": "a@b.co"})
    database.insert(
        "contact_campaigns", {"contact_id": 1, "campaign_instance_id": 4, "trigger_date": trigger_date}
    )


@pytest.mark.parametrize("variant", ['"\\ud800"', '"a\\u0000"', "1", "[" * 100_000])
def test_a_variant_that_is_no_text_is_none(sqlite_database: SqliteDatabase, variant: str) -> None:
    with_campaign(sqlite_database, None, active_start_date="2026-11-01")
    sqlite_database.insert(
        "email_schedules",
        {
            "id": 9,
            "contact_id": 1,
            "email_type": "campaign_promo",
            "campaign_instance_id": 4,
            "status": "sent",
            "actual_send_datetime": "2026-11-20",
            "metadata": f'{{"variant": {variant}}}',
        },
    )
    publish(sqlite_database)
    [(metadata,)] = sqlite_database.query("SELECT metadata FROM email_schedules WHERE initial_email_id = 9")
    assert "variant" not in json.loads(metadata)


def test_a_row_without_a_readable_date_answers_a_campaign_for_everybody(
    sqlite_database: SqliteDatabase,
) -> None:
    sqlite_database.insert("campaign_types", {"name": "blast", "target_all_contacts": True})
    sqlite_database.insert(
        "campaign_instances", {"id": 4, "campaign_type": "blast", "active_start_date": "2026-12-01"}
    )
    sqlite_database.insert(
        "contacts", {**TEXAN, "id": 1, "email": "a@b.co"}, {**TEXAN, "id": 2, "email": "c@d.co"}
    )
    sqlite_database.insert(
        "email_schedules",
        {
            "contact_id": 1,
            "email_type": "campaign_blast",
            "campaign_instance_id": 4,
            "status": "sent",
            "scheduled_send_date": "some day",
        },
    )
    publish(sqlite_database)
    assert emails(sqlite_database, "campaign_blast") == [(2, "pre-scheduled", "2026-12-01")]


@pytest.mark.parametrize("trigger_date", ["0001-01-01", "0001-01-07"])
def test_a_trigger_date_whose_email_would_go_out_before_the_year_1_is_recorded(
    database: Database, trigger_date: str
) -> None:
    with_campaign(database, trigger_date)
    publish(database)
    assert issues(database) == [(1, "trigger_date", "invalid_trigger_date")]
    assert emails(database, "campaign_promo") == []


def test_a_trigger_date_at_the_ends_of_the_calendar_is_planned(database: Database) -> None:
    with_campaign(database, "0001-01-08")
    database.insert(
        "contact_campaigns", {"contact_id": 1, "campaign_instance_id": 4, "trigger_date": "9999-12-31"}
    )
    for _ in range(2):
        publish(database)
        assert sorted(emails(database, "campaign_promo")) == [
            (1, "pre-scheduled", "9999-12-24"),
            (1, "skipped", "0001-01-01"),
        ]


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ("[" * 100_000, "metadata is no JSON; accepted is a JSON object"),
        ("{'a': 1}", "metadata is no JSON; accepted is a JSON object"),
        ("[1]", "metadata is a list; accepted is a JSON object"),
        ('{"days_before_event": 2147483648}', "is 2147483648; accepted is a whole number from -3660 to 3660"),
        ('{"priority": 1.5}', "is 1.5; accepted is a whole number from -1000000000 to 1000000000"),
        (
            '{"audience": ' + "[" * 900 + "]" * 900 + "}",
            "metadata.audience: value [[[[[[...]]]]]]: accepted is",
        ),
        ('{"variants": ' + '{"a": ' * 900 + "1" + "}" * 900 + "}", "metadata.variants: value {a: {a: {a:"),
        ('{"trigger_date": ["2026-01-01"]}', "is a list; accepted is a date YYYY-MM-DD or nothing"),
        ('{"trigger_date": "\\ud800"}', "is '\\ud800'; accepted is a date YYYY-MM-DD or nothing"),
        (
            '{"trigger_date": "0001-01-01"}',
            "its default trigger date is 7 days from a date that does not exist",
        ),
        (
            '{"followup_templates": {"cold": 5}}',
            "metadata.followup_templates.'cold' is 5; accepted is the name",
        ),
        ('{"followup_templates": {"cold": "\\u0000"}}', "accepted is the name of a template"),
        ('{"enable_followups": "no"}', "metadata.enable_followups is 'no'; accepted is true or false"),
    ],
)
def test_campaign_metadata_that_cannot_be_read_is_one_clear_line(
    sqlite_database: SqliteDatabase, metadata: str, found: str
) -> None:
    with_campaign(sqlite_database, "2026-12-24", metadata=metadata)
    with pytest.raises(InputDataError) as error:
        publish(sqlite_database)
    assert str(error.value).startswith("campaign instance 4: ")
    assert found in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 300


def test_a_campaign_type_with_a_number_that_is_none_is_one_clear_line(
    sqlite_database: SqliteDatabase,
) -> None:
    with_campaign(sqlite_database, "2026-12-24")
    sqlite_database.write("UPDATE campaign_types SET priority = 'first'")
    with pytest.raises(InputDataError, match=r"campaign type 'promo': priority is no whole number; accepted"):
        publish(sqlite_database)


def test_the_metadata_of_a_follow_up_is_json_whatever_its_campaign_is_called(database: Database) -> None:
    with_campaign(database, None, active_start_date="2026-11-01")
    database.write("UPDATE campaign_instances SET instance_name = NULL")
    database.insert(
        "email_schedules",
        {
            "id": 9,
            "contact_id": 1,
            "email_type": 'campaign_"promo',
            "campaign_instance_id": 4,
            "status": "sent",
            "actual_send_datetime": "2026-11-20",
        },
    )
    publish(database)
    [(metadata,)] = database.query("SELECT metadata FROM email_schedules WHERE initial_email_id = 9")

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    said = json.loads(metadata, parse_constant=refuse)
    assert (said["initial_email_type"], said["campaign_name"]) == ('campaign_"promo', None)


def test_an_id_that_postgresql_cannot_convert_is_an_error_that_does_not_show_it(
    bare_postgresql: PostgresqlDatabase,
) -> None:
    bare_postgresql.run("CREATE TABLE contacts (id TEXT PRIMARY KEY, email TEXT)")
    bare_postgresql.run("INSERT INTO contacts VALUES ('ann@example.org', 'ann@example.org')")
    from email_scheduler.database.connections.faults import database_errors
    from email_scheduler.database.connections.opening import connect

    config = SchedulerConfig()
    with (
        pytest.raises(DatabaseError, match="invalid input syntax for type bigint") as error,
        database_errors(bare_postgresql.url),
        connect(bare_postgresql.url, config) as connection,
    ):
        connection.execute("SELECT CAST(id AS BIGINT) FROM contacts")
    assert "ann@" not in str(error.value)

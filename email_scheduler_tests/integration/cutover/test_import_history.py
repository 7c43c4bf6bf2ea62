"""Importing what the older program has sent: what is added, what is refused, and what is there already."""

from pathlib import Path

import pytest

from email_scheduler.campaigns.service import Campaigns
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.cutover.import_history import (
    AFTER_TODAY,
    NO_CAMPAIGN,
    NO_EVENT,
    NO_INSTANCE,
    TWO_LINES,
    UNKNOWN_INSTANCE,
    HistoryImport,
    import_history,
)
from email_scheduler.cutover.rate_increases import migrate_rate_increases
from email_scheduler.database.csv_files import BadLinesError
from email_scheduler.database.line_import import NOT_THE_SAME, UNKNOWN_ADDRESS, UNKNOWN_CONTACT
from email_scheduler.errors import UsageError
from email_scheduler_tests.databases import Database
from email_scheduler_tests.older_program import AS_OF, HISTORY_CSV, write_history

CONFIG = SchedulerConfig()
HEADING = "contact_id,email,email_type,campaign_instance,scheduled_send_date,status,event_date\n"


def imported(database: Database, directory: Path, text: str = HISTORY_CSV, **options: bool) -> HistoryImport:
    return import_history(database.url, CONFIG, write_history(directory, text), as_of=AS_OF, **options)


def history(database: Database, done: HistoryImport) -> list[tuple]:
    return database.query(
        "SELECT contact_id, email_type, CAST(scheduled_send_date AS TEXT), status, event_year, event_month,"
        " event_day FROM email_schedules WHERE scheduler_run_id = ? ORDER BY contact_id, email_type",
        [done.run_id],
    )


def content(database: Database) -> list[list[tuple]]:
    tables = ("email_schedules", "campaign_types", "campaign_instances", "campaign_change_log")
    return [
        database.query(f"SELECT * FROM {table} ORDER BY id") for table in tables if table != "campaign_types"
    ]


def refused(database: Database, directory: Path, lines: str) -> list[tuple[int, str, str]]:
    before = content(database)
    with pytest.raises(BadLinesError) as error:
        imported(database, directory, HEADING + lines)
    assert content(database) == before
    return list(error.value.bad_lines)


def test_what_was_sent_becomes_rows_of_the_sender_and_what_was_not_is_passed_over(
    database: Database, tmp_path: Path
) -> None:
    done = imported(database, tmp_path)
    assert done.counts == {"added": 7, "not_sent": 1}
    assert history(database, done) == [
        (1, "birthday", "2026-02-24", "delivered", 2026, 3, 10),
        (1, "effective_date", "2026-05-02", "sent", 2026, 6, 1),
        (2, "post_window", "2026-04-12", "failed", 2026, 4, 11),
        (10, "effective_date", "2026-11-14", "sent", 2026, 12, 16),
        (11, "birthday", "2026-11-12", "sent", None, None, None),
        (14, "campaign_rate_increase", "2026-09-20", "sent", 2026, 10, 4),
        (14, "followup_1_cold", "2026-09-22", "sent", 2026, 10, 4),
    ]
    assert (done.first_date, done.last_date) == ("2026-02-24", "2026-11-14")


def test_the_day_of_sending_is_the_one_in_us_central_time(database: Database, tmp_path: Path) -> None:
    done = imported(database, tmp_path)
    sent = database.query(
        "SELECT contact_id, substr(CAST(actual_send_datetime AS TEXT), 1, 10) FROM email_schedules"
        " WHERE scheduler_run_id = ? AND actual_send_datetime IS NOT NULL ORDER BY contact_id",
        [done.run_id],
    )
    # the one of contact 10 is written as 03:00 UTC on the 15th
    assert sent == [(1, "2026-02-24"), (10, "2026-11-14"), (11, "2026-11-12")]


def test_imported_rows_have_no_ideal_date_so_that_no_plan_collides_with_them(
    database: Database, tmp_path: Path
) -> None:
    done = imported(database, tmp_path)
    assert database.query(
        "SELECT count(*) FROM email_schedules WHERE scheduler_run_id = ? AND ideal_send_date IS NOT NULL",
        [done.run_id],
    ) == [(0,)]


def test_a_second_time_nothing_is_added(database: Database, tmp_path: Path) -> None:
    imported(database, tmp_path)
    before = content(database)
    again = imported(database, tmp_path)
    assert again.counts == {"there_already": 7, "not_sent": 1}
    assert content(database) == before


def test_what_the_database_knows_already_is_not_added(database: Database, tmp_path: Path) -> None:
    migrate_rate_increases(database.url, CONFIG)
    lines = "7,,birthday,,2026-11-21,sent,\n13,,rate_increase,,2026-10-01,sent,2026-10-15\n"
    assert imported(database, tmp_path, HEADING + lines).counts == {"there_already": 2, "not_sent": 0}


def test_rate_increases_are_the_same_before_and_after_they_became_a_campaign(
    database: Database, tmp_path: Path
) -> None:
    lines = HEADING + "13,,rate_increase,,2026-10-01,sent,2026-10-15\n14,,rate_increase,,2026-09-20,sent,\n"
    assert imported(database, tmp_path, lines).counts == {"added": 1, "there_already": 1, "not_sent": 0}
    migrate_rate_increases(database.url, CONFIG)
    assert imported(database, tmp_path, lines).counts == {"there_already": 2, "not_sent": 0}
    assert database.query(
        "SELECT email.contact_id, instance.instance_name FROM email_schedules AS email"
        " JOIN campaign_instances AS instance ON instance.id = email.campaign_instance_id"
        " WHERE email.email_type = 'campaign_rate_increase' AND email.status = 'sent' ORDER BY 1"
    ) == [(13, "older_program"), (14, "older_program")]


def test_a_dry_run_tells_the_same_and_changes_nothing(database: Database, tmp_path: Path) -> None:
    before = content(database)
    promised = imported(database, tmp_path, is_dry_run=True)
    assert content(database) == before
    done = imported(database, tmp_path)
    assert (promised.counts, promised.added) == (done.counts, done.added)


def test_a_line_that_says_the_same_again_counts_once(database: Database, tmp_path: Path) -> None:
    line = "1,,birthday,,2025-02-24,sent,2025-03-10\n"
    by_address = ",ONE@example.org,birthday,,2025-02-24,,2025-03-10\n"
    done = imported(database, tmp_path, HEADING + line + by_address)
    assert done.counts == {"added": 1, "repeated": 1, "not_sent": 0}


def test_bad_lines_are_told_with_column_and_reason_and_nothing_is_imported(
    database: Database, tmp_path: Path
) -> None:
    Campaigns(database.url).create_type("promo")
    Campaigns(database.url).create_instance("promo", "spring", email_template="promo_v1")
    lines = (
        "98,,birthday,,2025-02-24,sent,\n"
        ",nobody@example.org,birthday,,2025-02-24,sent,\n"
        "1,two@example.org,birthday,,2025-02-24,sent,\n"
        "1,,campaign_promo,,2025-02-24,sent,2025-03-01\n"
        "1,,campaign_promo,autumn,2025-02-24,sent,2025-03-01\n"
        "1,,campaign_promo,spring,2025-02-24,sent,\n"
        "1,,birthday,spring,2025-02-24,sent,\n"
        "1,,birthday,,2026-11-24,sent,\n"
        "2,,birthday,,2025-01-27,sent,\n"
        "2,,birthday,,2025-01-27,failed,\n"
    )
    assert refused(database, tmp_path, lines) == [
        (2, "contact_id", UNKNOWN_CONTACT),
        (3, "email", UNKNOWN_ADDRESS),
        (4, "contact_id", NOT_THE_SAME),
        (5, "campaign_instance", NO_INSTANCE),
        (6, "campaign_instance", UNKNOWN_INSTANCE),
        (7, "event_date", NO_EVENT),
        (8, "campaign_instance", NO_CAMPAIGN),
        (9, "scheduled_send_date", AFTER_TODAY),
        (11, "", TWO_LINES),
    ]


def test_skip_bad_takes_the_other_lines(database: Database, tmp_path: Path) -> None:
    lines = "98,,birthday,,2025-02-24,sent,\n1,,birthday,,2025-02-24,sent,2025-03-10\n"
    done = imported(database, tmp_path, HEADING + lines, skip_bad=True)
    assert done.counts == {"added": 1, "not_sent": 0}
    assert [line for line, _, _ in done.bad_lines] == [2]


def test_a_campaign_is_told_by_name_or_id_and_gives_its_trigger_date(
    database: Database, tmp_path: Path
) -> None:
    campaigns = Campaigns(database.url)
    campaigns.create_type("promo", days_before_event=7)
    campaigns.create_instance(
        "promo", "spring", email_template="promo_v1", metadata={"trigger_date": "2026-03-01"}
    )
    lines = (
        "1,,campaign_promo,spring,2026-02-22,sent,\n"
        "2,,campaign_promo,promo/spring,2026-02-22,sent,2026-03-02\n"
        "4,,campaign_promo,1,2026-02-22,sent,\n"
        "6,,followup_1_cold,promo/spring,2026-02-24,sent,\n"
    )
    done = imported(database, tmp_path, HEADING + lines)
    assert history(database, done) == [
        (1, "campaign_promo", "2026-02-22", "sent", 2026, 3, 1),
        (2, "campaign_promo", "2026-02-22", "sent", 2026, 3, 2),
        (4, "campaign_promo", "2026-02-22", "sent", 2026, 3, 1),
        (6, "followup_1_cold", "2026-02-24", "sent", None, None, None),
    ]
    instances = "SELECT DISTINCT campaign_instance_id FROM email_schedules WHERE scheduler_run_id = ?"
    assert database.query(instances, [done.run_id]) == [(1,)]


def test_an_error_shows_no_cell_of_the_file(database: Database, tmp_path: Path) -> None:
    with pytest.raises(BadLinesError) as error:
        imported(database, tmp_path, HEADING + "1,secret@example.org,Smith,Jones,yesterday,lost,5 May\n")
    for word in ("secret", "Smith", "Jones", "yesterday", "lost", "5 May"):
        assert word not in str(error.value)


def test_a_file_without_the_columns_that_it_takes_is_refused(database: Database, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 1: none of the 2 columns is email_type"):
        imported(database, tmp_path, "contact_id,send_date\n1,2026-01-01\n")


def test_what_spreadsheets_make_of_ids_dates_types_and_statuses_is_read(
    database: Database, tmp_path: Path
) -> None:
    campaigns = Campaigns(database.url)
    campaigns.create_type("promo")
    campaigns.create_instance("promo", "spring", email_template="promo_v1")
    text = (
        "sep=;\r\n;;\r\nContact_ID;Email_Type;Campaign_Instance_ID;Send_Date;Status;Event_Date;\r\n"
        "1.0;Birthday;;2026-02-24 00:00:00;Sent;2026-03-10 00:00:00;\r\n"
        "2.0;AEP;;2026-09-01T00:00;DELIVERED;;\r\n"
        "4.0;Campaign_Promo;1.0;2026-02-22;;2026-03-01T12:00:00Z;\r\n"
        ";;;;;;\r\n"
    )
    done = imported(database, tmp_path, text)
    assert history(database, done) == [
        (1, "birthday", "2026-02-24", "sent", 2026, 3, 10),
        (2, "aep", "2026-09-01", "delivered", None, None, None),
        (4, "campaign_promo", "2026-02-22", "sent", 2026, 3, 1),
    ]
    assert imported(database, tmp_path, text).counts == {"there_already": 3, "not_sent": 0}

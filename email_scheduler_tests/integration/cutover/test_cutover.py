"""From the older program to this one: a copy, its history, a shadow run, the first plan."""

import csv
import io
import re
from pathlib import Path

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.cutover.import_history import import_history
from email_scheduler.cutover.rate_increases import migrate_rate_increases
from email_scheduler.cutover.shadow_run import Shadow, shadow_run
from email_scheduler.database.csv_files import BadLinesError
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.errors import DatabaseError, UsageError
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.databases import Database, PostgresqlDatabase, SqliteDatabase
from email_scheduler_tests.older_program import AS_OF, GO_LIVE, OLDER_DATABASE, write_history

DOCS = Path(__file__).parents[3] / "docs"
# contact, email type, outcome, reason: what a person expects who looks at the older plan
EXPECTED = {
    (1, "birthday", "same", None),
    (1, "effective_date", "earlier", "smoothed"),
    (2, "birthday", "same", None),
    (2, "effective_date", "skipped_here", "Birthday exclusion window in CA"),
    (3, "birthday", "only_there", "day_passed"),
    (4, "birthday", "skipped_here", "Effective date exclusion window in MO"),
    (8, "birthday", "skipped_there", "limit"),
    (9, "birthday", "only_there", "invalid_email"),
    (10, "effective_date", "only_there", "already_sent"),
    (11, "birthday", "only_there", "already_sent"),
    (12, "campaign_rate_increase", "same", None),
    (12, "newsletter", "only_there", "unknown_type"),
    (13, "birthday", "same", None),
    (13, "birthday", "only_there", "planned_twice"),
    (15, "birthday", "only_there", "before_go_live"),
    (99, "birthday", "only_there", "unknown_contact"),
}


def prepared(copy: Database, config: SchedulerConfig, directory: Path) -> None:
    """Do what docs/migration.md does before the shadow run."""
    migrate_rate_increases(copy.url, config)
    import_history(copy.url, config, write_history(directory), as_of=AS_OF)


def compared(found: Shadow) -> set[tuple]:
    columns = ["contact_id", "email_type", "outcome", "reason"]
    rows = found.rows[columns].astype("object")
    return set(rows.where(rows.notna(), None).itertuples(index=False, name=None))


def test_the_shadow_run_tells_what_differs_and_why(
    copy: Database, agency: SqliteDatabase, config: SchedulerConfig, tmp_path: Path
) -> None:
    prepared(copy, config, tmp_path)
    before = copy.query("SELECT * FROM email_schedules ORDER BY id"), agency.path.read_bytes()
    found = shadow_run(copy.url, config, AS_OF, agency.url)
    rows = compared(found)
    assert rows >= EXPECTED
    # contact 6 is due on 2026-12-01 in both, but the follow-up and a cap of one a day have the place
    assert (6, "birthday", "later", "redistributed") in rows
    rest = {row for row in rows if row[2] not in {"same", "only_here"}}
    assert rest - EXPECTED == {
        (1, "aep", "later", "catch_up"),
        (6, "birthday", "later", "redistributed"),
    }
    assert (copy.query("SELECT * FROM email_schedules ORDER BY id"), agency.path.read_bytes()) == before


def test_a_database_and_a_csv_file_of_the_same_plan_compare_alike(
    copy: Database, agency: SqliteDatabase, config: SchedulerConfig, tmp_path: Path
) -> None:
    prepared(copy, config, tmp_path)
    planned = agency.rows("SELECT * FROM email_schedules")
    known = [row for row in planned if row["email_type"] != "newsletter"]
    path = tmp_path / "plan.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(planned[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(known)
    by_file = shadow_run(copy.url, config, AS_OF, str(path))
    by_database = shadow_run(copy.url, config, AS_OF, agency.url)
    newsletter = (12, "newsletter", "only_there", "unknown_type")
    assert compared(by_file) == compared(by_database) - {newsletter}


def test_an_older_plan_on_postgresql_can_be_compared_with(
    agency: SqliteDatabase, bare_postgresql: PostgresqlDatabase, config: SchedulerConfig, tmp_path: Path
) -> None:
    with bare_postgresql.connection() as connection:
        connection.execute(OLDER_DATABASE)
    own = SqliteDatabase(tmp_path / "copy.db")
    own.path.write_bytes(agency.path.read_bytes())
    initialise_database(own.url)
    prepared(own, config, tmp_path)
    there = shadow_run(own.url, config, AS_OF, bare_postgresql.url)
    assert compared(there) == compared(shadow_run(own.url, config, AS_OF, agency.url))
    assert bare_postgresql.query("SELECT count(*) FROM email_schedules") == [(22,)]


def test_differences_are_written_with_ids_types_dates_and_reasons_only(
    copy: Database, agency: SqliteDatabase, config: SchedulerConfig, tmp_path: Path
) -> None:
    agency.write("UPDATE email_schedules SET skip_reason = '=1+1' WHERE id = 111")
    found = shadow_run(copy.url, config, AS_OF, agency.url)
    file = io.StringIO(newline="")
    count = found.write_differences(file)
    lines = list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))
    assert count == len(lines) == sum(row["rows"] for row in found.by_reason())
    assert {line["outcome"] for line in lines} == {row["outcome"] for row in found.by_reason()}
    (escaped,) = [line for line in lines if (line["contact_id"], line["email_type"]) == ("8", "birthday")]
    assert escaped["reason"] == "'=1+1"
    assert (escaped["date_here"], escaped["status_there"]) == ("2027-06-20", "skipped")
    for word in ("example.org", "Hope", "1949"):
        assert word not in file.getvalue()


def test_after_the_switch_nothing_is_planned_again_that_was_sent_and_nothing_from_before_go_live(
    copy: Database, config: SchedulerConfig, tmp_path: Path
) -> None:
    prepared(copy, config, tmp_path)
    run = plan_and_publish(copy.url, config, AS_OF)
    assert run.plan.foreign_rows == {"newsletter": 1}
    planned = set(
        copy.query(
            "SELECT contact_id, email_type, event_year FROM email_schedules"
            " WHERE status IN ('pre-scheduled', 'skipped') AND ideal_send_date IS NOT NULL"
        )
    )
    assert planned
    for contact_id, email_type, year in (
        (1, "aep", 2026),
        (6, "effective_date", 2026),
        (7, "birthday", 2026),
        (10, "effective_date", 2026),
        (11, "birthday", 2026),
        (15, "birthday", 2026),
    ):
        assert (contact_id, email_type, year) not in planned
    assert all(contact_id not in {13, 14} for contact_id, name, _ in planned if name.startswith("campaign_"))
    ideal_dates = copy.query(
        "SELECT CAST(ideal_send_date AS TEXT) FROM email_schedules"
        " WHERE status IN ('pre-scheduled', 'skipped') AND ideal_send_date IS NOT NULL"
    )
    assert min(ideal_dates) >= (GO_LIVE.isoformat(),)


def test_without_the_go_live_date_what_the_older_program_left_out_is_made_up_for(
    copy: Database, tmp_path: Path
) -> None:
    prepared(copy, SchedulerConfig(), tmp_path)
    plan_and_publish(copy.url, SchedulerConfig(), AS_OF)
    assert copy.query(
        "SELECT count(*) FROM email_schedules WHERE contact_id = 15 AND email_type = 'birthday'"
        " AND event_year = 2026 AND status = 'pre-scheduled'"
    ) == [(1,)]


def test_without_the_history_what_was_sent_would_be_planned_again(
    copy: Database, config: SchedulerConfig
) -> None:
    plan_and_publish(copy.url, config, AS_OF)
    assert copy.query(
        "SELECT count(*) FROM email_schedules WHERE contact_id = 11 AND email_type = 'birthday'"
        " AND event_year = 2026 AND status = 'pre-scheduled'"
    ) == [(1,)]


def test_rows_that_were_planned_before_the_import_leave_with_the_next_plan(
    copy: Database, config: SchedulerConfig, tmp_path: Path
) -> None:
    plan_and_publish(copy.url, config, AS_OF)
    prepared(copy, config, tmp_path)
    plan_and_publish(copy.url, config, AS_OF)
    assert copy.query(
        "SELECT count(*) FROM email_schedules WHERE contact_id = 11 AND email_type = 'birthday'"
        " AND event_year = 2026 AND status = 'pre-scheduled'"
    ) == [(0,)]
    archived = "SELECT count(*) FROM email_schedules_archive WHERE contact_id = 11 AND event_year = 2026"
    assert copy.query(archived)[0][0] >= 1


def test_a_plan_that_cannot_be_compared_with_is_refused(
    copy: Database, config: SchedulerConfig, tmp_path: Path
) -> None:
    path = tmp_path / "plan.csv"
    path.write_text("contact_id,email_type,send_date,status\n1,birthday,2027-02-24,sent\n", encoding="utf-8")
    with pytest.raises(UsageError, match="nothing is planned there"):
        shadow_run(copy.url, config, AS_OF, str(path))
    path.write_text("email,email_type,send_date,status\na@b.org,aep,2027-02-24,skipped\n", encoding="utf-8")
    with pytest.raises(BadLinesError, match="line 2: contact_id") as error:
        shadow_run(copy.url, config, AS_OF, str(path))
    assert "--skip-bad" not in str(error.value)
    other = SqliteDatabase(tmp_path / "other.db")
    other.run("CREATE TABLE email_schedules (id INTEGER PRIMARY KEY, contact_id INTEGER)")
    with pytest.raises(DatabaseError, match="email_type, scheduled_send_date, status"):
        shadow_run(copy.url, config, AS_OF, other.url)


def test_on_the_way_back_the_older_program_is_told_what_was_sent(
    agency: SqliteDatabase, config: SchedulerConfig, tmp_path: Path
) -> None:
    before = SqliteDatabase(tmp_path / "before.db")
    before.path.write_bytes(agency.path.read_bytes())
    initialise_database(agency.url)
    prepared(agency, config, tmp_path)
    plan_and_publish(agency.url, config, AS_OF)
    # the birthday of contact 6, which the older program had planned, and a rate increase
    agency.run(
        "UPDATE email_schedules SET status = 'sent' WHERE status = 'pre-scheduled'"
        " AND (id = 109 OR email_type = 'campaign_rate_increase')"
    )
    text = (DOCS / "migration.md").read_text(encoding="utf-8").partition("## 8. The way back")[2]
    (statements,) = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    before.run(statements.replace("'agency.db'", f"'{agency.path}'"))
    waiting = set(
        before.query("SELECT contact_id, email_type FROM email_schedules WHERE status = 'pre-scheduled'")
    )
    assert (6, "birthday") not in waiting
    assert (12, "rate_increase") not in waiting
    assert {(1, "birthday"), (1, "aep"), (12, "newsletter")} <= waiting
    sent = "SELECT contact_id, email_type FROM email_schedules WHERE status IN ('sent', 'delivered')"
    assert {(6, "birthday"), (12, "rate_increase"), (1, "birthday"), (7, "birthday")} <= set(
        before.query(sent)
    )

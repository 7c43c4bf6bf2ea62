"""The report says what the table of that day held, for as long as its run is on record."""

import json
import shutil
import stat
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from email_scheduler import cli
from email_scheduler.clock import TIME_ZONE
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.holds import hold_organization
from email_scheduler.errors import UsageError
from email_scheduler.planning.plan_figures import kind_of_reason
from email_scheduler.planning_run import plan_and_publish
from email_scheduler.proof.violations import RULES
from email_scheduler.reports.report import SendersDay, read_report
from email_scheduler.reports.report_page import report_page
from email_scheduler.sample.sample_data import generate_sample
from email_scheduler_tests.databases import Database, SqliteDatabase

DAY = date(2026, 11, 23)
NEXT_DAY = DAY + timedelta(days=9)
NOON = datetime(2026, 12, 2, 12, tzinfo=TIME_ZONE)
CONTACTS = 150
CONFIG = SchedulerConfig()

Occurrence = tuple[Any, ...]


def planned_rows(database: Database) -> dict[Occurrence, tuple[str, str, str | None, str | None]]:
    """Return send date, type, skip reason and adjustment of the planner's rows, by occurrence."""
    rows = database.query(
        "SELECT contact_id, email_type, event_year, event_month, event_day, campaign_instance_id,"
        " initial_email_id, scheduled_send_date, skip_reason, adjustment, status FROM email_schedules"
        " WHERE status IN ('pre-scheduled', 'skipped')"
    )
    found = {}
    for contact_id, email_type, *event, instance, initial, day, reason, adjustment, _ in rows:
        key = ("follow-up", initial) if initial else (contact_id, email_type, *event, instance or 0)
        found[key] = (str(day), str(email_type), reason, adjustment)
    assert len(found) == len(rows)
    return found


def changes_between(before: dict, after: dict) -> dict[str, Counter[str]]:
    """Return what became of emails from one table to the next, by type, row by row."""
    found: dict[str, Counter[str]] = {kind: Counter() for kind in ("added", "later", "earlier", "cancelled")}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        went, goes = old is not None and old[2] is None, new is not None and new[2] is None
        if goes and not went:
            found["added"][new[1]] += 1
        elif went and not goes:
            found["cancelled"][(new or old)[1]] += 1
        elif goes and went and new[0] != old[0]:
            found["later" if new[0] > old[0] else "earlier"][new[1]] += 1
    return found


def test_the_report_is_what_counting_the_table_comes_to(database: Database) -> None:
    generate_sample(database.url, CONTACTS, 3, DAY, CONFIG)
    plan_and_publish(database.url, CONFIG, DAY)
    before = planned_rows(database)
    # the sender takes the day's emails; those whose date is over wait for the next plan
    database.write(
        "UPDATE email_schedules SET status = 'sent', actual_send_datetime = '2026-11-23T08:30:00-06:00'"
        " WHERE status = 'pre-scheduled' AND scheduled_send_date < '2026-12-02' AND contact_id < 75"
    )
    taken = before.keys() - planned_rows(database).keys()
    assert len(taken) > 3
    plan_and_publish(database.url, CONFIG, NEXT_DAY)
    after = planned_rows(database)
    found = read_report(database.url, CONFIG, "north", NEXT_DAY, NOON).document()

    volume = {
        name: {
            (NEXT_DAY + timedelta(days=number)).isoformat(): count
            for number, count in enumerate(days)
            if count
        }
        for name, days in found["figures"]["volume"].items()
    }
    by_day: dict[str, Counter[str]] = {}
    planned: dict[str, Counter[str]] = {}
    for day, email_type, reason, _ in after.values():
        planned.setdefault(email_type, Counter())[reason or "pre-scheduled"] += 1
        if reason is None and day <= "2027-12-02":
            by_day.setdefault(email_type, Counter())[day] += 1
    assert volume == by_day
    assert found["planned"] == planned
    assert Counter(row[3] for row in after.values() if row[3]) == {
        name: sum(moves.values()) for name, moves in found["figures"]["adjusted"].items()
    }
    by_kind: Counter[str] = Counter()
    for kinds in found["figures"]["by_state"].values():
        by_kind.update(kinds)
    assert by_kind == Counter(kind_of_reason(row[2]) for row in after.values() if row[2])
    issues = database.query("SELECT issue, count(*) FROM contact_issues GROUP BY issue")
    assert found["figures"]["issues"] == dict(issues)

    left = {key: row for key, row in before.items() if key not in taken}
    expected = changes_between(left, after)
    assert {
        kind: {name: sum(reasons.values()) for name, reasons in found["changes"][kind].items()}
        for kind in expected
    } == expected
    assert expected["later"].total() > 3
    assert expected["added"].total() > 0
    assert found["figures"]["violations"] == dict.fromkeys(RULES, 0)
    assert found["figures"]["rows_looked_at"] == len(after)

    today_is_what_is_due_and_what_the_sending_system_has_taken(database)


def today_is_what_is_due_and_what_the_sending_system_has_taken(database: Database) -> None:
    due = database.query(
        "SELECT id FROM email_schedules WHERE status = 'pre-scheduled'"
        " AND scheduled_send_date = '2026-12-02' ORDER BY id"
    )
    first, second, third, *rest = (id_ for (id_,) in due)
    database.write(f"UPDATE email_schedules SET status = 'processing' WHERE id IN ({first}, {second})")
    database.write(
        "UPDATE email_schedules SET status = 'sent', actual_send_datetime = '2026-12-02T09:00:00-06:00'"
        f" WHERE id = {third}"
    )
    sender = read_report(database.url, CONFIG, "north", NEXT_DAY, NOON).published.sender
    assert sender == SendersDay(
        due=len(rest), waiting=len(rest), overdue=0, taken={"processing": 2, "sent": 1}
    )
    hold_organization(database.url, "the mail server is down", held_by="Jo")
    held = read_report(database.url, CONFIG, "north", NEXT_DAY, NOON).published
    assert "held by Jo" in str(held.hold)
    assert held.sender is not None
    assert (held.sender.due, held.sender.waiting) == (0, len(rest))
    # of another day than today nothing is asked
    assert read_report(database.url, CONFIG, "north", DAY, NOON).published.sender is None


@pytest.fixture(scope="module")
def _planned_twice(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabase:
    """Two plans of one day: the second one takes the campaigns away that the first one had."""
    database = SqliteDatabase(tmp_path_factory.mktemp("planned") / "org.db")
    config = CONFIG.model_copy(
        update={"audit": CONFIG.audit.model_copy(update={"enable_pit_backups": False})}
    )
    generate_sample(database.url, CONTACTS, 3, DAY, config)
    plan_and_publish(database.url, config, DAY)
    database.write("UPDATE campaign_instances SET active = FALSE")
    plan_and_publish(database.url, config, DAY)
    return database


@pytest.fixture
def planned_twice(_planned_twice: SqliteDatabase, tmp_path: Path) -> SqliteDatabase:
    shutil.copy(_planned_twice.path, tmp_path / "org.db")
    return SqliteDatabase(tmp_path / "org.db")


def test_the_changes_of_a_day_are_those_of_all_its_runs(planned_twice: SqliteDatabase) -> None:
    found = read_report(planned_twice.url, CONFIG, "north", DAY, NOON)
    kept = [each.emails for each in found.published.kept if each.emails is not None]
    assert len(kept) == found.counted_runs == 2
    assert found.changes is not None
    campaigns = {"campaign_initial_blast", "campaign_rate_increase"}
    cancelled = found.changes.document()["cancelled"]
    left = {name for name, reasons in cancelled.items() if "left the plan" in reasons}
    assert left == campaigns
    totals = [each.totals for each in kept]
    assert found.changes.totals == {kind: totals[0][kind] + totals[1][kind] for kind in totals[0]}
    assert "all 2 runs that published a plan" in report_page(found)


def test_a_plan_of_an_earlier_version_is_reported_as_far_as_it_is_kept(planned_twice: SqliteDatabase) -> None:
    (latest,) = read_report(planned_twice.url, CONFIG, "north", DAY, NOON).published.kept[-1:]
    assert latest.figures is not None
    kept = {"added": {}, "planned": latest.figures.planned, "daily_cap": latest.daily_cap}
    planned_twice.write("UPDATE scheduler_checkpoints SET summary = ?", (json.dumps(kept),))
    found = read_report(planned_twice.url, CONFIG, "north", DAY, NOON)
    document = found.document()
    assert "compliance proof" in document["not_kept"]
    assert (document["figures"], document["changes"]) == (None, None)
    assert document["planned"] == kept["planned"]
    page = report_page(found)
    assert "published by an earlier version, which did not keep: emails by day" in page
    assert "Birthday exclusion window" in page


def test_the_command_reports_a_past_day_and_names_the_days_that_are_kept(
    planned_twice: SqliteDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    def run(*arguments: str) -> str:
        command = ["email-scheduler", "report", "--database", planned_twice.url, *arguments]
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0
        return capsys.readouterr().out

    page = tmp_path / "report.html"
    monkeypatch.chdir(tmp_path)
    text = run("--as-of", "2026-11-23", "--html", str(page))
    assert "Compliance proof: 0 violations" in text
    assert f"The page is in {page}." in text.replace("\n", "")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert page.read_text().count("data:image/png;base64,") == 4
    document = json.loads(run("--as-of", "2026-11-23", "--json"))
    assert (document["as_of"], document["runs"]) == ("2026-11-23", 2)
    with pytest.raises(UsageError, match=r"no plan for 2026-11-22 is kept; accepted .*: 2026-11-23$"):
        read_report(planned_twice.url, CONFIG, "north", date(2026, 11, 22), NOON)

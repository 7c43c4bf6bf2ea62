"""What ``email-scheduler health`` reads from a database of either kind, and what it makes of it."""

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from email_scheduler.clock import TIME_ZONE
from email_scheduler.config.organizations import Organization
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.holds import hold_organization
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.errors import DatabaseError
from email_scheduler.health.figures import HealthFigures, read_health
from email_scheduler.health.installation import check_health
from email_scheduler.health.judgement import DEGRADED, HEALTHY, UNHEALTHY, judge
from email_scheduler.health.prometheus import prometheus_text
from email_scheduler_tests.databases import Database, SqliteDatabase, on_postgresql, on_sqlite
from email_scheduler_tests.hostile_urls import HOSTILE_URLS, SECRET, make_loop

# noon in US Central
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=TIME_ZONE)
TODAY, YESTERDAY, TOMORROW = "2026-11-23", "2026-11-22", "2026-11-24"
CONFIG = SchedulerConfig()


def figures(database: Database, now: datetime = NOW, **options: Any) -> HealthFigures:
    return read_health(database.url, CONFIG, now, **options)


def checkpoint(database: Database, run_id: str, status: str = "completed", **columns: object) -> None:
    row = {
        "scheduler_run_id": run_id,
        "as_of_date": TODAY,
        "status": status,
        "completed_at": "2026-11-23T11:00:00.000+00:00",
        "contacts_processed": 200,
        "invalid_contacts": 20,
        "emails_scheduled": 60,
        "emails_skipped": 40,
        "summary": None,
        **columns,
    }
    database.insert("scheduler_checkpoints", row)


def schedule(database: Database, id_: int, status: str, **columns: object) -> None:
    row = {
        "id": id_,
        "contact_id": id_,
        "email_type": "birthday",
        "status": status,
        "scheduled_send_date": TODAY,
        "scheduled_send_time": "08:30:00",
        "updated_at": "2026-11-23T05:00:00.000-06:00",
        **columns,
    }
    database.insert("email_schedules", row)


def contacts(database: Database, *ids: int) -> None:
    database.insert("contacts", *({"id": id_, "email": f"{id_}@example.com"} for id_ in ids))


def test_of_a_database_without_plan_it_is_said_that_there_is_none(database: Database) -> None:
    found = figures(database)
    assert found.plan is None
    assert (found.ahead.peak, found.ahead.peak_date, found.sender.untaken) == (0, None, 0)
    assert found.database.missing_indexes == []
    assert found.database.damage == []
    assert found.database.bytes > 10_000


def test_a_last_plan_ahead_of_today_is_not_todays_until_one_of_today_has_replaced_it(
    database: Database,
) -> None:
    def reasons() -> list[tuple[str, str]]:
        [found] = check_health([("north", lambda: (database.url, CONFIG))], CONFIG, NOW).organizations
        return [(each.status, each.text) for each in found.reasons if "ahead of today" in each.text]

    checkpoint(database, "a")
    assert reasons() == []
    for number, ahead in enumerate((TOMORROW, "2062-11-23")):
        checkpoint(database, f"ahead-{number}", as_of_date=ahead)
        [(status, text)] = reasons()
        assert (status, ahead in text) == (UNHEALTHY, True)
        assert "refused as older" in text
        assert "plan --allow-older" in text
        assert figures(database).is_plan_ahead
    checkpoint(database, "b")
    assert reasons() == []


def test_the_last_plan_is_the_completed_one_that_was_published_last(database: Database) -> None:
    summary = {
        "daily_cap": 12,
        "planned": {
            "birthday": {"pre-scheduled": 50, "Birthday exclusion window in CA": 7, "event_passed": 4},
            "aep": {"Year-round exclusion in NY": 3},
            "followup_2_clicked_no_hq": {"pre-scheduled": 5},
        },
    }
    checkpoint(database, "a", as_of_date=YESTERDAY)
    checkpoint(database, "b", summary=json.dumps(summary))
    checkpoint(database, "c", as_of_date=YESTERDAY, status="failed")
    checkpoint(database, "d", as_of_date=TOMORROW, status="failed")
    plan = figures(database).plan
    assert plan is not None
    assert (plan.as_of_date, plan.failed_since) == (TODAY, 2)
    # 12:00 in US Central is 18:00 UTC
    assert plan.age_hours == 7.0
    assert (plan.contacts, plan.invalid_contacts) == (200, 20)
    assert (plan.emails_planned, plan.emails_skipped) == (60, 40)
    assert (plan.daily_cap, plan.stopped_by_windows) == (12, 10)
    assert plan.follow_ups == {
        "followup_1_cold": 0,
        "followup_2_clicked_no_hq": 5,
        "followup_3_hq_no_yes": 0,
        "followup_4_hq_with_yes": 0,
    }


def test_a_plan_of_an_older_version_says_nothing_of_windows_and_cap(database: Database) -> None:
    checkpoint(database, "a", summary='{"added": {}}')
    plan = figures(database).plan
    assert plan is not None
    assert (plan.daily_cap, plan.stopped_by_windows) == (None, None)


def test_due_emails_count_as_untaken_when_their_day_or_their_hours_are_over(database: Database) -> None:
    contacts(database, 1, 2, 3, 4, 5)
    schedule(database, 1, "pre-scheduled", scheduled_send_date=YESTERDAY)
    # 3.5 hours after the send time nobody is late; after 4.5 hours everybody is
    schedule(database, 2, "pre-scheduled")
    schedule(database, 3, "pre-scheduled", scheduled_send_date=TOMORROW)
    schedule(database, 4, "skipped")
    # brought by a plan of a moment ago
    schedule(database, 5, "pre-scheduled", updated_at="2026-11-23T18:55:00.000+00:00")
    assert figures(database).sender.untaken == 1
    assert figures(database, NOW + timedelta(hours=1)).sender.untaken == 2
    # in the first hours of a day that of the day before is over
    assert figures(database, datetime(2026, 11, 24, 2, tzinfo=TIME_ZONE)).sender.untaken == 3
    database.insert("contact_suppressions", {"contact_id": 1, "suppressed_at": "2026-01-01"})
    assert figures(database).sender.untaken == 0


# PostgreSQL keeps no time without its offset
@on_sqlite
@pytest.mark.parametrize(
    "completed_at", ["2026-11-23T16:00:00.000+00:00", "2026-11-23T10:00:00-06:00", "2026-11-23 16:00:00"]
)
def test_the_age_of_a_plan_counts_from_its_time_in_utc_where_that_says_no_offset(
    database: SqliteDatabase, completed_at: str
) -> None:
    checkpoint(database, "a", completed_at=completed_at)
    plan = figures(database).plan
    assert plan is not None
    assert plan.age_hours == 2


@pytest.mark.parametrize(
    ("updated_at", "is_stuck"),
    [
        ("2026-11-23T10:30:00-06:00", False),
        ("2026-11-23T09:30:00-06:00", True),
        ("2026-11-23T16:30:00.000+00:00", False),
        ("2026-11-23T15:30:00Z", True),
        # without an offset it is US Central, as the contract for the sending system has it
        ("2026-11-23 10:30:00", False),
        ("2026-11-23 09:30:00", True),
        (None, True),
    ],
)
def test_a_claim_is_stuck_two_hours_after_it_was_made(
    database: Database, updated_at: str | None, is_stuck: bool
) -> None:
    schedule(database, 1, "processing", updated_at=updated_at)
    found = figures(database).sender
    assert (found.processing, found.stuck) == (1, int(is_stuck))


def test_outcomes_count_for_24_hours(database: Database) -> None:
    for id_, (status, updated_at) in enumerate(
        [
            ("sent", "2026-11-22T13:00:00-06:00"),
            ("delivered", "2026-11-23T09:00:00-06:00"),
            ("failed", "2026-11-22T12:30:00-06:00"),
            ("failed", "2026-11-22T11:30:00-06:00"),
            ("sent", "2026-11-01T09:00:00-06:00"),
            ("scheduled", "2026-11-23T09:00:00-06:00"),
            ("pre-scheduled", "2026-11-23T09:00:00-06:00"),
        ],
        start=1,
    ):
        schedule(database, id_, status, updated_at=updated_at)
    found = figures(database).sender
    assert (found.outcomes_24h, found.failed_24h) == (3, 1)


def test_what_waits_is_counted_by_day_and_late_emails_are_those_of_an_earlier_ideal_date(
    database: Database,
) -> None:
    dates = [
        (YESTERDAY, YESTERDAY),
        (TODAY, "2026-11-20"),
        (TOMORROW, TOMORROW),
        (TOMORROW, YESTERDAY),
        (TOMORROW, None),
        ("2026-12-22", "2026-12-22"),
        ("2026-12-23", "2026-11-20"),
    ]
    for id_, (day, ideal) in enumerate(dates, start=1):
        schedule(database, id_, "pre-scheduled", scheduled_send_date=day, ideal_send_date=ideal)
    schedule(database, 99, "sent", scheduled_send_date=TOMORROW, ideal_send_date=YESTERDAY)
    ahead = figures(database).ahead
    assert ahead.backlog == 3
    assert (ahead.peak, ahead.peak_date) == (3, TOMORROW)
    assert ahead.average == 0.2


def test_issues_and_a_hold_are_counted_without_what_they_say(database: Database) -> None:
    database.insert(
        "contact_issues",
        {"contact_id": 1, "field": "email", "issue": "missing_email"},
        {"contact_id": 2, "field": "email", "issue": "missing_email"},
        {"contact_id": 2, "field": "zip_code", "issue": "invalid_zip_code"},
    )
    hold_organization(database.url, "Jane Doe has complained")
    found = figures(database)
    assert found.contact_issues == {"invalid_zip_code": 1, "missing_email": 2}
    assert found.held_since is not None
    (health,) = look(("org", database.url)).organizations
    assert "Jane" not in json.dumps(health.document())
    assert any(each.status == DEGRADED and "held since" in each.text for each in health.reasons)


def test_a_missing_index_is_named_and_the_rest_is_still_counted(database: Database) -> None:
    schedule(database, 1, "processing", updated_at=None)
    database.run("DROP INDEX ix_email_schedules_sender_last_date")
    found = figures(database)
    assert found.database.missing_indexes == ["ix_email_schedules_sender_last_date"]
    assert found.sender.stuck == 1


def test_triggers_that_went_with_the_table_are_missed_until_they_are_made_again(database: Database) -> None:
    assert figures(database).database.missing_triggers == []
    name = "watch_contacts_update"
    database.run(f"DROP TRIGGER {name}{' ON contacts' if database.is_postgresql else ''}")
    found = figures(database)
    assert found.database.missing_triggers == [name]
    assert any("init-db" in each.text for each in judge(found, SchedulerConfig().health))
    off = SchedulerConfig.model_validate({"features": {"watch_contacts": False}})
    assert read_health(database.url, off, NOW).database.missing_triggers == []
    initialise_database(database.url)
    assert figures(database).database.missing_triggers == []


def look(*organizations: tuple[str, str], **options: Any) -> Any:
    settings = [(name, lambda url=url: (url, CONFIG)) for name, url in organizations]
    return check_health(settings, CONFIG, NOW, **options)


def test_an_organisation_that_cannot_be_reached_is_unhealthy_and_the_others_are_looked_at(
    database: Database, tmp_path: Path
) -> None:
    checkpoint(database, "a")
    away = "postgresql+psycopg://planner:secret@127.0.0.1:1/agency"

    def no_variable() -> tuple[str, SchedulerConfig]:
        raise DatabaseError("variable NORTHWIND is not set")

    settings = [
        ("none", lambda: (f"sqlite:///{tmp_path}/none.db", CONFIG)),
        ("away", lambda: (away, CONFIG)),
        ("unset", no_variable),
        ("there", lambda: (database.url, CONFIG)),
    ]
    found = check_health(settings, CONFIG, NOW)
    assert [each.status for each in found.organizations] == [UNHEALTHY, UNHEALTHY, UNHEALTHY, HEALTHY]
    assert all(len(each.reasons) == 1 for each in found.organizations[:3])
    assert "secret" not in json.dumps(found.document())
    assert found.status == UNHEALTHY


@on_sqlite
def test_a_database_that_was_never_initialised_is_unhealthy(database: SqliteDatabase, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    (health,) = look(("org", f"sqlite:///{tmp_path}/empty.db")).organizations
    assert health.status == UNHEALTHY
    assert "not initialised" in health.reasons[0].text


@on_sqlite
def test_a_file_that_was_cut_short_is_unhealthy(database: SqliteDatabase) -> None:
    content = database.path.read_bytes()
    database.path.write_bytes(content[: len(content) // 2])
    (health,) = look(("org", database.url)).organizations
    assert health.status == UNHEALTHY


@on_sqlite
def test_looking_thoroughly_finds_a_page_that_was_overwritten(database: SqliteDatabase) -> None:
    checkpoint(database, "a")
    for id_ in range(1, 400):
        schedule(database, id_, "pre-scheduled", scheduled_send_date="2027-06-01")
    ((page, page_size),) = database.query(
        "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_master"
        " WHERE name = 'ix_email_schedules_contact_id'"
    )
    with database.path.open("r+b") as file:
        file.seek((page - 1) * page_size + 200)
        file.write(b"\xff" * 400)
    (health,) = look(("org", database.url), is_thorough=True).organizations
    assert health.status == UNHEALTHY
    assert "restore a backup" in health.reasons[0].text or "malformed" in health.reasons[0].text


@on_postgresql
def test_of_a_server_there_is_no_write_ahead_log_and_no_disk(database: Database) -> None:
    found = figures(database).database
    assert (found.wal_bytes, found.disk_bytes) == (None, None)


def test_prometheus_gets_counts_by_organisation_and_nothing_of_one_that_is_not_known(
    database: Database, tmp_path: Path
) -> None:
    checkpoint(
        database, "a", summary='{"daily_cap": 12, "planned": {"followup_1_cold": {"pre-scheduled": 2}}}'
    )
    text = prometheus_text(look(('a "quoted" one', database.url), ("none", f"sqlite:///{tmp_path}/none.db")))
    lines = text.splitlines()
    assert 'email_scheduler_contacts{organization="a \\"quoted\\" one"} 200.0' in lines
    assert 'email_scheduler_plan_age_seconds{organization="a \\"quoted\\" one"} 25200.0' in lines
    assert 'email_scheduler_health{organization="none"} 2.0' in lines
    assert not [line for line in lines if 'organization="none"' in line and "_health" not in line]
    assert next(line for line in lines if line.startswith("email_scheduler_follow_ups{")).endswith(
        'type="followup_1_cold"} 2.0'
    )
    # what is no figure of an organisation, and every line is a comment or name{labels} number
    assert all(line.startswith("#") or float(line.rpartition(" ")[2]) >= 0 for line in lines)


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = "from email_scheduler.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, "health", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@on_sqlite
def test_the_exit_code_is_that_of_the_worst_organisation(database: SqliteDatabase, tmp_path: Path) -> None:
    configuration = tmp_path / "config"
    configuration.mkdir()
    now = datetime.now(TIME_ZONE)
    checkpoint(database, "a", as_of_date=now.date().isoformat(), completed_at=now.isoformat())
    (configuration / "scheduler.yaml").write_text(
        "health: {disk_used_share: {degraded: null, unhealthy: null}}\n"
    )
    (configuration / "organizations.yaml").write_text(
        f"organizations:\n  here: {{database: '{database.url}'}}\n"
        "  gone: {database_env: NOT_SET_ANYWHERE}\n"
    )
    here = command("--organization", "here", "--json", cwd=tmp_path)
    assert (here.returncode, json.loads(here.stdout)["status"]) == (0, HEALTHY), here.stderr
    hold_organization(database.url, "a reason")
    held = command("--database", database.url, cwd=tmp_path)
    assert held.returncode == 1
    assert "degraded: held since" in held.stdout
    everything = command(cwd=tmp_path)
    assert everything.returncode == 2
    assert "NOT_SET_ANYWHERE is not set" in " ".join(everything.stdout.split())
    assert "Traceback" not in everything.stdout + everything.stderr
    unknown = command("--organization", "nobody", cwd=tmp_path)
    assert (unknown.returncode, unknown.stdout) == (2, "")


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_an_organisation_whose_url_cannot_be_used_is_unhealthy_and_the_others_are_looked_at(
    sqlite_database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_loop(tmp_path)
    named = Organization("north", "organizations.yaml", database=url)
    found = check_health(
        [
            ("north", lambda: (named.database_url(), CONFIG)),
            ("named", lambda: (url, CONFIG)),
            ("south", lambda: (sqlite_database.url, CONFIG)),
        ],
        CONFIG,
        NOW,
    )
    north, by_url, south = found.organizations
    assert (north.status, by_url.status) == (UNHEALTHY, UNHEALTHY)
    for reason in (*north.reasons, *by_url.reasons):
        assert "accepted" in reason.text
        assert SECRET not in reason.text
    assert south.figures is not None


def test_an_error_that_nobody_expected_is_the_reason_of_its_organisation_alone(
    sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings() -> tuple[str, SchedulerConfig]:
        raise ArithmeticError("of a person")

    found = check_health(
        [("north", settings), ("south", lambda: (sqlite_database.url, CONFIG))], CONFIG, NOW
    ).organizations
    assert [(each.status, each.text) for each in found[0].reasons] == [(UNHEALTHY, "ArithmeticError")]
    assert found[1].figures is not None


def test_a_place_of_frames_that_cannot_be_looked_at_leaves_the_organisations(
    sqlite_database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_loop(tmp_path)
    config = CONFIG.model_copy(
        update={
            "orchestration": CONFIG.orchestration.model_copy(update={"storage_url": str(tmp_path / "loop")})
        }
    )
    found = check_health([("south", lambda: (sqlite_database.url, CONFIG))], config, NOW)
    assert found.organizations[0].figures is not None
    assert [reason.status for reason in found.reasons] == [UNHEALTHY]
    assert "orchestration.storage_url" in found.reasons[0].text

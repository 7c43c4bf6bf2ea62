"""What is told, when, and that it is told once."""

from datetime import date, datetime, timedelta

from email_scheduler.clock import TIME_ZONE
from email_scheduler.health.incidents import (
    Incident,
    IncidentLedger,
    begin,
    delivered,
    end,
    forget,
    missed,
    missed_key,
    notices_for,
    only,
)
from email_scheduler.orchestration.alerts import CheckOutcome, RunOutcome, begun_by, ended_by

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=TIME_ZONE)
TODAY = date(2026, 11, 23)
DOWN = Incident("unhealthy/north", "north: unhealthy", "the reasons")


def titles(ledger: IncidentLedger, channel: str) -> list[str]:
    return [("over: " if each.is_resolved else "") + each.title for each in notices_for(ledger, channel)]


def test_an_incident_is_told_once_however_often_it_is_seen() -> None:
    ledger = begin(IncidentLedger(), [DOWN], ["email"], NOW)
    assert titles(ledger, "email") == ["north: unhealthy"]
    ledger = delivered(ledger, "email")
    for minutes in range(3):
        ledger = begin(ledger, [DOWN], ["email"], NOW + timedelta(minutes=minutes))
        assert titles(ledger, "email") == []


def test_it_is_told_until_the_delivery_succeeds_and_each_way_has_its_own_success() -> None:
    ledger = begin(IncidentLedger(), [DOWN], ["email", "webhook"], NOW)
    ledger = delivered(ledger, "webhook")
    assert titles(ledger, "webhook") == []
    assert titles(ledger, "email") == ["north: unhealthy"]
    assert titles(delivered(ledger, "email"), "email") == []


def test_what_is_remembered_survives_the_daemon() -> None:
    ledger = delivered(begin(IncidentLedger(), [DOWN], ["email", "webhook"], NOW), "email")
    ledger = ledger.with_run("a", NOW)
    read = IncidentLedger.read(ledger.write())
    assert read == ledger
    assert (titles(read, "email"), titles(read, "webhook")) == ([], ["north: unhealthy"])
    assert (
        IncidentLedger.read("nonsense")
        == IncidentLedger.read(None)
        == IncidentLedger.read('{"incidents": {"a": 1}}')
        == IncidentLedger.read("[" * 5000)
        == IncidentLedger.read('{"begins": "yesterday", "runs_until": "today"}')
        == IncidentLedger.read('{"begins": "2026-11-23", "runs_until": "2026-11-23"}')
        == IncidentLedger()
    )


def test_that_it_is_over_is_told_once_to_those_who_knew() -> None:
    ledger = delivered(begin(IncidentLedger(), [DOWN], ["email", "webhook"], NOW), "email")
    ledger = end(ledger, [DOWN.key])
    assert titles(ledger, "email") == ["over: north: unhealthy"]
    assert titles(ledger, "webhook") == []
    ledger = delivered(ledger, "email")
    assert ledger.incidents == {}


def test_an_incident_that_comes_back_is_a_new_one() -> None:
    ledger = delivered(begin(IncidentLedger(), [DOWN], ["email"], NOW), "email")
    ledger = begin(end(ledger, [DOWN.key]), [DOWN], ["email"], NOW)
    assert titles(ledger, "email") == ["north: unhealthy"]


def test_a_missed_plan_is_one_incident_of_its_day() -> None:
    ledger = begin(IncidentLedger(), [missed("north", TODAY, "09:30")], ["email"], NOW)
    assert titles(ledger, "email") == ["north: no plan of 2026-11-23 by 09:30"]
    ledger = delivered(ledger, "email")
    assert missed_key("north", TODAY) in forget(ledger, ["north"], TODAY, NOW).incidents
    tomorrow = TODAY + timedelta(days=1)
    ledger = forget(ledger, ["north"], tomorrow, NOW + timedelta(days=1))
    assert ledger.incidents == {}
    assert titles(begin(ledger, [missed("north", tomorrow, "09:30")], ["email"], NOW), "email")


def test_of_a_plan_ahead_of_today_it_is_told_how_to_replace_it() -> None:
    found = missed("north", TODAY, "09:30", date(2062, 11, 23))
    assert (found.key, found.title) == (
        missed_key("north", TODAY),
        "north: no plan of 2026-11-23 by 09:30",
    )
    assert "for 2062-11-23, is ahead of today" in found.text
    assert "plan --allow-older" in found.text
    assert "allow_older: true" in found.text
    assert missed("north", TODAY, "09:30", TODAY - timedelta(days=1)) == missed("north", TODAY, "09:30")


def test_what_nobody_has_seen_for_a_month_is_forgotten() -> None:
    ledger = delivered(begin(IncidentLedger(), [DOWN], ["email"], NOW), "email")
    assert forget(ledger, [], TODAY, NOW + timedelta(days=30)).incidents
    assert not forget(ledger, [], TODAY, NOW + timedelta(days=31)).incidents


def test_a_way_of_delivery_that_is_gone_keeps_nothing_open() -> None:
    ledger = end(delivered(begin(IncidentLedger(), [DOWN], ["email"], NOW), "email"), [DOWN.key])
    assert only(ledger, ["webhook"]).incidents == {}


def test_runs_are_remembered_no_longer_than_they_may_be_seen_again() -> None:
    ledger = IncidentLedger().with_run("a", NOW).with_run("b", NOW + timedelta(seconds=59))
    assert set(ledger.run_ids) == {"a", "b"}
    assert set(ledger.with_run("c", NOW + timedelta(seconds=61)).run_ids) == {"b", "c"}


def failed(day: str = "2026-11-23", organization: str = "north") -> RunOutcome:
    return RunOutcome("run-1", "plan_emails", organization, day, False, ("contacts: no network",))


def keys(outcome: RunOutcome, *, include_warnings: bool = True) -> list[str]:
    return [each.key for each in begun_by(outcome, include_warnings=include_warnings)]


def test_runs_of_one_partition_that_fail_are_one_incident_until_one_succeeds() -> None:
    assert keys(failed()) == ["run/plan_emails/north/2026-11-23"]
    assert keys(failed("2026-11-24")) != keys(failed())
    ledger = begin(IncidentLedger(), [*begun_by(failed(), include_warnings=True)], ["email"], NOW)
    ledger = begin(ledger, begun_by(failed("2026-11-24"), include_warnings=True), ["email"], NOW)

    def over(day: str, organization: str = "north") -> list[str]:
        return ended_by(RunOutcome("run-2", "plan_emails", organization, day), ledger)

    assert over("2026-11-22") == []
    assert over("2026-11-23") == ["run/plan_emails/north/2026-11-23"]
    assert len(over("2026-11-24")) == 2
    assert over("2026-11-24", "south") == []


def test_an_incident_says_what_to_do_and_where() -> None:
    (incident,) = begun_by(failed(), include_warnings=True, ui_url="https://planner.example/")
    assert incident.title == "north: run of plan_emails for 2026-11-23 failed"
    assert "contacts: no network" in incident.text
    assert "What to do" in incident.text
    assert "https://planner.example/runs/run-1" in incident.text


def with_checks(*checks: CheckOutcome) -> RunOutcome:
    return RunOutcome("run-1", "plan_emails", "north", "2026-11-23", checks=checks)


def test_a_failed_check_is_an_incident_and_a_warning_if_that_is_asked_for() -> None:
    outcome = with_checks(
        CheckOutcome("email_schedules", "table_equals_plan", False),
        CheckOutcome("balanced_schedules", "capacity_suffices", False, is_warning=True),
        CheckOutcome("contacts", "enough_valid_contacts", True, is_warning=True),
    )
    error = "check/email_schedules/table_equals_plan/north"
    assert keys(outcome) == [error, "check/balanced_schedules/capacity_suffices/north"]
    assert keys(outcome, include_warnings=False) == [error]
    (incident,) = begun_by(outcome, include_warnings=False)
    assert "find out what, and materialise this partition again" in incident.text
    assert "check/contacts/enough_valid_contacts/north" in ended_by(outcome, IncidentLedger())


def test_the_check_of_health_makes_an_incident_of_each_unhealthy_organisation() -> None:
    check = CheckOutcome(
        "organization_health",
        "no_organization_is_unhealthy",
        False,
        unhealthy={"north": ["the last plan is 60 hours old"], "south": []},
    )
    outcome = RunOutcome("run-1", "check_health", checks=(check,))
    (incident,) = begun_by(outcome, include_warnings=True)
    assert (incident.key, incident.title) == ("unhealthy/north", "north: unhealthy")
    assert "60 hours old" in incident.text
    assert ended_by(outcome, IncidentLedger()) == ["unhealthy/south"]

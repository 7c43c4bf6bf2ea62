"""What an operator sees: the graph, a run that is started from the UI, its figures, its chart, its checks."""

import re
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from email_scheduler.clock import today
from email_scheduler.definitions import build_definitions
from email_scheduler.orchestration.asset_frames import BALANCED_SCHEDULES, CONTACTS, EMAIL_SCHEDULES
from email_scheduler.orchestration.checks import CHECKS

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make setup")

from email_scheduler_tests.e2e.dagster_ui import (
    SCREENSHOTS,
    Operator,
    operator,
    prepare_project,
    running_ui,
)

CONTACT_COUNT = 300
GROUPS = ("organization_database", "inputs", "planning", "publication", "upkeep")


def test_an_operator_plans_today_in_the_ui_and_sees_what_came_of_it(tmp_path: Path, browser: str) -> None:
    database = prepare_project(tmp_path, CONTACT_COUNT)
    with running_ui(tmp_path) as url, operator(url, browser, SCREENSHOTS) as someone:
        nothing_asks_for_anything(someone)
        the_graph_shows_every_asset(someone, tmp_path)
        todays_run_succeeds(someone)
        the_figures_are_those_of_the_table(someone, database)
        the_chart_opens(someone)
        the_report_is_linked(someone, tmp_path)
        checks_are_green(someone)
        assert someone.strangers == []


def nothing_asks_for_anything(someone: Operator) -> None:
    """Nobody is asked to join a community, nor told that usage is reported."""
    someone.go_to("/")
    someone.page.get_by_text("Timeline", exact=True).wait_for()
    someone.settle()
    assert someone.page.get_by_role("dialog").count() == 0


def the_graph_shows_every_asset(someone: Operator, directory: Path) -> None:
    # the UI draws what is in the window, and shortens names where there is little room
    someone.resize(width=1600, height=2200)
    someone.open_graph(*GROUPS)
    someone.fit_graph()
    someone.keep_screenshot("graph")
    graph = build_definitions(directory / "config").resolve_asset_graph()
    expected = Counter(key.path[-1] for key in graph.get_all_asset_keys())
    assert expected.total() == 21
    assert Counter(someone.names_in_graph()) == expected


def todays_run_succeeds(someone: Operator) -> None:
    someone.resize()
    days = {today()}
    day = someone.launch_today()
    days.add(today())
    assert day in {str(each) for each in days}
    assert someone.outcome_of_run() == "Success"
    someone.settle()
    someone.keep_screenshot("run")
    assert f"{day}|sample" in someone.page.inner_text("body")


def the_figures_are_those_of_the_table(someone: Operator, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        statuses = dict(
            connection.execute("SELECT status, COUNT(*) FROM email_schedules GROUP BY status").fetchall()
        )
    someone.go_to(f"/assets/{BALANCED_SCHEDULES}")
    shown = {status: int(someone.metadata_value(status)) for status in ("pre-scheduled", "skipped")}
    assert shown == {status: statuses[status] for status in shown}
    assert min(shown.values()) > 50
    by_type = someone.metadata_value("by type and status").splitlines()
    assert {"birthday", "effective_date", "aep"} <= {line.split("\t")[0] for line in by_type}
    assert someone.metadata_value("skip reasons").count("Year-round exclusion") >= 1
    someone.settle()
    someone.keep_screenshot("balanced_schedules")


def the_chart_opens(someone: Operator) -> None:
    picture = someone.open_picture("volume by day")
    assert re.match(r"[\d,]+ emails in the year from .*, with a daily cap of [\d,]+$", picture["text"])
    assert (picture["width"], picture["height"]) > (800, 300)
    assert picture["shown"] > 800
    someone.settle()
    someone.keep_screenshot("chart")


def the_report_is_linked(someone: Operator, directory: Path) -> None:
    """The page lies where the web server of ``make ui`` finds it under the address of the link."""
    someone.go_to(f"/assets/{EMAIL_SCHEDULES}")
    address = someone.metadata_value("report")
    assert someone.page.locator(f"a[href='{address}']").count() > 0
    path = address.removeprefix("http://127.0.0.1:3001/")
    assert "<h1>Report of sample" in (directory / "data" / "reports" / path).read_text()


def checks_are_green(someone: Operator) -> None:
    for asset in (CONTACTS, BALANCED_SCHEDULES, EMAIL_SCHEDULES):
        names = [check.name for check in CHECKS if check.asset == asset]
        outcomes = someone.outcomes_of_checks(asset, names)
        someone.keep_screenshot(f"checks_of_{asset}")
        if asset == CONTACTS:
            # the sample has contacts whose state and ZIP code disagree, which is worth a warning
            assert outcomes.pop("states_agree_with_zip_codes") == "Failed"
        assert outcomes == dict.fromkeys(outcomes, "Succeeded")

"""The page of the report, as its readers meet it: at a desk, on a phone, with a keyboard, on paper."""

import re
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from email_scheduler.clock import TIME_ZONE
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.holds import hold_organization
from email_scheduler.planning_run import plan_and_publish
from email_scheduler.reports.report import read_report
from email_scheduler.reports.report_page import report_page
from email_scheduler.sample.sample_data import generate_sample
from email_scheduler_tests.databases import SqliteDatabase

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make setup")

from email_scheduler_tests.e2e.dagster_ui import SCREENSHOTS
from email_scheduler_tests.e2e.pages import PHONE, assert_good_page, reading

DAY = date(2026, 11, 23)


@pytest.fixture
def page(sqlite_database: SqliteDatabase, tmp_path: Path) -> Path:
    config = SchedulerConfig.model_validate({"send_calendar": {"no_send_weekdays": ["sat", "sun"]}})
    generate_sample(sqlite_database.url, 150, 1, DAY, config)
    for day in (DAY, DAY + timedelta(days=2)):
        plan_and_publish(sqlite_database.url, config, day)
    hold_organization(sqlite_database.url, "the mail server is <down>", held_by="Jo")
    now = datetime(2026, 11, 25, 8, tzinfo=TIME_ZONE)
    report = read_report(sqlite_database.url, config, "sample", DAY + timedelta(days=2), now)
    path = tmp_path / "report.html"
    path.write_text(report_page(report))
    return path


def test_the_report_is_readable_at_a_desk_on_a_phone_by_keyboard_and_on_paper(
    page: Path, browser: str
) -> None:
    with reading(page, browser) as reader:
        assert_good_page(reader, SCREENSHOTS, "report")
        links = reader.page.locator("nav a").evaluate_all("links => links.map(link => link.hash)")
        assert len(links) == 9
        assert all(reader.page.locator(f"section{link}").count() == 1 for link in links)
        # the moment of a hold is that of the clock, whatever day the plan is of
        assert re.search(r"held by Jo since \d{4}-\d\d-\d\d", reader.page.inner_text("header"))
        assert "(the mail server is <down>)" in reader.page.inner_text("header")
        texts = reader.page.locator("figure img").evaluate_all("images => images.map(image => image.alt)")
        assert len(texts) == 4
        assert all(any(letter.isdigit() for letter in text) for text in texts)
        # on a phone a chart is as large as one can read it, in a frame that scrolls
        reader.resize(PHONE)
        widths = reader.page.locator("figure img").evaluate_all(
            "images => images.map(image => image.getBoundingClientRect().width)"
        )
        assert min(widths) > 700

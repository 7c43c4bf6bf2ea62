"""The page of an explanation in Chromium: contacts with windows, skipped emails and a long history."""

from datetime import date
from pathlib import Path

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.explain.explaining import explain_address
from email_scheduler.explain.explanation_page import explanation_page
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.builders import (
    campaign_instance,
    campaign_type,
    contact,
    email_row,
    filler_contacts,
    inputs,
    target,
)
from email_scheduler_tests.databases import SqliteDatabase
from email_scheduler_tests.integration.test_random_organisations import fill

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make setup")

from email_scheduler_tests.e2e.pages import assert_good_page, reading
from email_scheduler_tests.e2e.test_dagster_ui import SCREENSHOTS

AS_OF = date(2026, 11, 23)
ADDRESS = "household@example.com"


def test_the_page_tells_each_reader_why(
    sqlite_database: SqliteDatabase, tmp_path: Path, browser: str
) -> None:
    organisation = inputs(
        AS_OF,
        [
            contact(1, "90210", "1951-02-10", "2018-03-01", email=ADDRESS, state="TX"),
            contact(2, "2134", "1950-05-20", email=f" {ADDRESS.upper()}"),
            *filler_contacts(300),
        ],
        campaign_types=[campaign_type("rate_increase", days_before_event=14, priority=1)],
        campaign_instances=[campaign_instance(1, "rate_increase", "2026-10-01", "2026-12-31")],
        contact_campaigns=[target(1, 1, 1, "2026-12-07"), target(2, 1, 1, "2026-11-20")],
        history=[email_row(900, 1, "aep", "2026-09-15", "2026-09-15")],
    )
    fill(sqlite_database, organisation)
    rules = {
        "year_round_exclusion": ["MA", "NY"],
        "birthday_windows": {
            "CA": {
                "window_before_days": 30,
                "window_after_days": 60,
                "source": "California Insurance Code, section 10192.11(h)",
                "valid_from": "2020-07-01",
            }
        },
        "age_76_plus_exclusion": ["CA"],
    }
    config = SchedulerConfig.model_validate({"state_rules": rules})
    plan_and_publish(sqlite_database.url, config, AS_OF)
    page = tmp_path / "explanation.html"
    answer = explain_address(sqlite_database.url, config, ADDRESS, AS_OF)
    page.write_text(explanation_page(answer, "sample"), encoding="utf-8")
    with reading(page, browser) as reader:
        assert_good_page(reader, SCREENSHOTS, "explanation")
        drawing = reader.page.get_by_role("img", name="The year of contact 1")
        assert drawing.count() == 1
        said = drawing.locator("desc").text_content()
        assert "Birthday exclusion window in CA, 2026-11-12 to 2027-04-11" in said
        # what is folded away opens by keyboard
        summary = reader.page.locator("summary", has_text="birthday, for 2027-02-10")
        folded = reader.page.locator("#contact-1 details", has=summary)
        detail = folded.get_by_text("10192.11")
        assert detail.count() == 1
        assert not detail.is_visible()
        folded.locator("summary").focus()
        reader.page.keyboard.press("Enter")
        assert detail.is_visible()

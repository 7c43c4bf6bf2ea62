"""The browser of the tests that need one."""

import pytest


@pytest.fixture
def browser() -> str:
    dagster_ui = pytest.importorskip(
        "email_scheduler_tests.e2e.dagster_ui", reason="playwright is not installed: make setup"
    )
    found = dagster_ui.find_browser()
    if found is None:
        pytest.skip("Chromium is not installed; on Debian: apt-get install chromium")
    return found

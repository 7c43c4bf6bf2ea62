"""What counts for all tests."""

import os
from collections.abc import Generator

import pytest

REQUIRE_ALL = "EMAIL_SCHEDULER_REQUIRE_ALL"


def _must_not_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skipped test into a failed one where every test has to run; an expected failure stays one."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get(REQUIRE_ALL) == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_ALL}=1, but this was not run: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look at each phase of a test."""
    report = yield
    _must_not_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Look at modules that skip themselves as a whole."""
    report = yield
    _must_not_skip(report)
    return report

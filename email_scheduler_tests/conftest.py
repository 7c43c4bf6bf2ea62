"""What counts for all tests."""

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import settings

from email_scheduler.database.backups import backup_files
from email_scheduler.database.upgrade import initialise_database
from email_scheduler_tests.databases import (
    SERVER_VARIABLE,
    Database,
    PostgresqlDatabase,
    Server,
    SqliteDatabase,
    initialised_sqlite,
)

REQUIRE_ALL = "EMAIL_SCHEDULER_REQUIRE_ALL"
# Directories and modules of tests that take long: browsers, daemons, faults, years, long repetitions.
_THOROUGH = {
    "e2e",
    "faults",
    "test_a_year_of_edits.py",
    "test_backups.py",
    "test_chunks.py",
    "test_dagster_graph.py",
    "test_dagster_schedule.py",
    "test_ends_of_the_calendar.py",
    "test_exit_codes.py",
    "test_explain_agrees.py",
    "test_guard.py",
    "test_hostile_arguments.py",
    "test_hostile_configuration.py",
    "test_hostile_dagster.py",
    "test_hostile_rows.py",
    "test_hostile_texts.py",
    "test_no_correction_sends_twice.py",
    "test_privacy.py",
    "test_proof_of_the_oracles_plans.py",
    "test_restore.py",
    "test_sensors.py",
    "test_simulated_years.py",
    "test_tutorial.py",
    "test_upkeep.py",
    "test_view_agrees_with_the_planner.py",
    "test_waiting_plans.py",
    "test_when_data_changes.py",
}
# Of random organisations, make test takes one in so many.
_SEEDS_FOR_ONE = 6

# A test that is slow on a busy machine is no wrong one.
settings.register_profile("email_scheduler", deadline=None)
settings.load_profile("email_scheduler")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what ``make test`` leaves to ``make test-all``, besides tests that say so themselves.

    The second database, what ``_THOROUGH`` names, and most of the seeds.
    """
    for item in items:
        is_slow = _THOROUGH.intersection(item.path.parts) or _is_on_postgresql(item)
        if is_slow or _parameters(item).get("seed", 0) % _SEEDS_FOR_ONE:
            item.add_marker(pytest.mark.thorough)


def _is_on_postgresql(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    return any("postgresql" in name for name in fixtures) or "postgresql" in _parameters(item).values()


def _parameters(item: pytest.Item) -> dict[str, Any]:
    call = getattr(item, "callspec", None)
    return {} if call is None else call.params


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


@pytest.fixture(autouse=True)
def _backups_of_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Backups of a test lie in its own directory."""
    monkeypatch.setattr(backup_files, "DEFAULT_DIRECTORY", tmp_path / "backups")


@pytest.fixture(scope="session")
def postgresql_server() -> Server:
    """The server of the tests; without it they are skipped."""
    try:
        return Server()
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        return pytest.skip(f"no PostgreSQL server ({SERVER_VARIABLE} names one): {reason}")


@pytest.fixture(scope="session")
def _bare_postgresql(postgresql_server: Server) -> Iterator[PostgresqlDatabase]:
    with postgresql_server.database(f"email_scheduler_test_{os.getpid()}_bare") as database:
        yield database


@pytest.fixture
def bare_postgresql(_bare_postgresql: PostgresqlDatabase) -> PostgresqlDatabase:
    """A PostgreSQL database without tables."""
    _bare_postgresql.remove_everything()
    return _bare_postgresql


@pytest.fixture(scope="session")
def _postgresql(postgresql_server: Server) -> Iterator[Callable[[], PostgresqlDatabase]]:
    """Returns a database with all tables and no rows, the same one each time."""
    with postgresql_server.database(f"email_scheduler_test_{os.getpid()}") as database:
        initialise_database(database.url)
        shape = database.shape()

        def emptied() -> PostgresqlDatabase:
            if database.shape() != shape:
                database.remove_everything()
                initialise_database(database.url)
            database.empty()
            return database

        yield emptied


@pytest.fixture
def postgresql_database(_postgresql: Callable[[], PostgresqlDatabase]) -> PostgresqlDatabase:
    """An initialised PostgreSQL database without rows."""
    return _postgresql()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("template") / "org.db"


@pytest.fixture
def sqlite_database(_sqlite_template: Path, tmp_path: Path) -> SqliteDatabase:
    """An initialised SQLite database without rows."""
    return initialised_sqlite(_sqlite_template, tmp_path / "org.db")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """An initialised database without rows; the test runs on each kind."""
    return request.getfixturevalue(f"{request.param}_database")

"""The older program's database, of each kind."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.upgrade import initialise_database
from email_scheduler_tests.databases import Database, SqliteDatabase
from email_scheduler_tests.older_program import GO_LIVE, OLDER_DATABASE, ROWS


@pytest.fixture
def config() -> SchedulerConfig:
    return SchedulerConfig(go_live_date=GO_LIVE)


@pytest.fixture
def agency(tmp_path: Path) -> SqliteDatabase:
    """The database that the older program works with; nobody has touched it."""
    path = tmp_path / "agency.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLDER_DATABASE)
    return SqliteDatabase(path)


def _copied_to_sqlite(tmp_path: Path, agency: SqliteDatabase) -> SqliteDatabase:
    path = tmp_path / "copy.db"
    path.write_bytes(agency.path.read_bytes())
    return SqliteDatabase(path)


@pytest.fixture(params=["sqlite", "postgresql"])
def copy(request: pytest.FixtureRequest, tmp_path: Path, agency: SqliteDatabase) -> Database:
    """A copy of it that ``init-db`` has brought up to date."""
    found: Database
    if request.param == "sqlite":
        found = _copied_to_sqlite(tmp_path, agency)
    else:
        found = request.getfixturevalue("bare_postgresql")
        with found.connection() as connection:
            connection.execute(OLDER_DATABASE)
    initialise_database(found.url)
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """The same rows in a database that was made by ``init-db``."""
    found: Database = request.getfixturevalue(f"{request.param}_database")
    found.run(ROWS)
    return found

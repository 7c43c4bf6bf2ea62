"""What documents tell readers to do: the tutorial, word by word, and the move to PostgreSQL."""

import re
import subprocess
import sys
from datetime import datetime
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from email_scheduler.clock import TIME_ZONE
from email_scheduler.database.tables import metadata
from email_scheduler.orchestration import demo
from email_scheduler_tests import documents
from email_scheduler_tests.databases import PostgresqlDatabase, SqliteDatabase
from email_scheduler_tests.documents import REPOSITORY, Reader, clone, set_clock

# the day whose output the documents show
THE_DAY = datetime(2026, 11, 26, 9, tzinfo=TIME_ZONE)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Reader:
    clone(tmp_path)
    monkeypatch.chdir(tmp_path)
    # Dagster's definitions are those of the clone
    monkeypatch.delitem(sys.modules, "email_scheduler.definitions", raising=False)
    # what Dagster remembers of the demo is not looked at here, and takes half of the time where it is a file
    monkeypatch.setattr(demo, "lasting_instance", dg.DagsterInstance.ephemeral)
    set_clock(monkeypatch, THE_DAY)
    run = partial(documents.run_program, monkeypatch=monkeypatch, capsys=capsys)
    return Reader(run, passed_over=("git ", "cd email_scheduler", "make ui", ". .venv/bin/activate"))


def test_the_tutorial_says_what_happens(reader: Reader) -> None:
    text = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
    assert reader.follow(text) == 12


def test_the_script_of_the_guide_to_postgresql_copies_every_row(
    sqlite_database: SqliteDatabase, postgresql_database: PostgresqlDatabase, tmp_path: Path
) -> None:
    sqlite_database.run(
        """
        INSERT INTO contacts (id, email) VALUES (17, 'one@example.org'), (42, NULL);
        INSERT INTO campaign_types (name, active) VALUES ('promo', 0);
        INSERT INTO campaign_instances (id, campaign_type, instance_name, metadata)
            VALUES (7, 'promo', 'spring', '{"priority": 3}');
        INSERT INTO contact_campaigns (contact_id, campaign_instance_id, status) VALUES (17, 7, 'pending');
        INSERT INTO email_schedules (id, contact_id, status, actual_send_datetime)
            VALUES (90, 17, 'sent', '2027-01-01 23:30:00');
        """
    )
    guide = (REPOSITORY / "docs" / "how-to" / "postgresql.md").read_text(encoding="utf-8")
    script = re.search(r"<<'END'\n(.*?)^END$", guide, re.MULTILINE | re.DOTALL)
    assert script is not None
    (tmp_path / "move.py").write_text(script[1], encoding="utf-8")
    moved = subprocess.run(
        [sys.executable, "move.py", sqlite_database.url, postgresql_database.url],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert moved.returncode == 0, moved.stderr
    for table in sorted(set(metadata.tables) - {"planner_lock"}):
        count = f"SELECT count(*) FROM {table}"
        assert postgresql_database.query(count) == sqlite_database.query(count), table
    assert postgresql_database.query("SELECT active FROM campaign_types") == [(False,)]
    sent = postgresql_database.query("SELECT id, actual_send_datetime FROM email_schedules")
    assert [(id_, str(moment)[:10]) for id_, moment in sent] == [(90, "2027-01-01")]
    postgresql_database.write("INSERT INTO email_schedules (contact_id, status) VALUES (17, 'skipped')")
    assert postgresql_database.query("SELECT max(id) FROM email_schedules") == [(91,)]

"""The command ``simulate``: what it prints and writes, and that the database stays as it is."""

import csv
import json
import stat
from pathlib import Path

import pytest

from email_scheduler.database.tables import metadata
from email_scheduler_tests.databases import SqliteDatabase
from email_scheduler_tests.integration.conftest import Command

FIRST = "2026-03-05"


@pytest.fixture
def organisation(sqlite_database: SqliteDatabase) -> SqliteDatabase:
    """Texas, whose birthday email is due on 6 March, and 40 contacts in New York."""
    sqlite_database.insert(
        "contacts",
        {"id": 1, "email": "c1@example.com", "zip_code": "75001", "birth_date": "1950-03-20"},
        *({"id": number, "email": f"c{number}@example.com", "zip_code": "10001"} for number in range(2, 42)),
    )
    return sqlite_database


def test_it_reports_prints_and_writes_counts_and_leaves_the_database_as_it_is(
    organisation: SqliteDatabase, command: Command, tmp_path: Path
) -> None:
    def everything() -> dict[str, object]:
        return {name: organisation.query(f"SELECT * FROM {name}") for name in metadata.tables}

    before = everything()
    page, counts = tmp_path / "page.html", tmp_path / "counts.csv"
    page.touch(mode=0o644)
    options = (
        "simulate",
        "--database",
        organisation.url,
        "--from",
        FIRST,
        "--days",
        "5",
        "--click-rate",
        "1",
    )
    found = json.loads(command(*options, "--answer-rate", "0", "--json"))
    assert (found["emails"], found["contacts"], found["violations"]) == (2, 41, 0)
    assert found["contacts_by_emails"] == [40, 0, 1]
    assert found["days"] == [f"2026-03-0{day}" for day in range(5, 10)]
    assert set(found["by_type"]) == {"birthday", "followup_2_clicked_no_hq"}

    printed = command(*options, "--html", str(page), "--csv", str(counts), "--force")
    for text in ("nothing was sent, and the database is as it was", "0 rows break a rule", "of 1,000"):
        assert text in printed
    assert everything() == before
    with counts.open(newline="", encoding="utf-8") as file:
        birthday, follow_up = csv.DictReader(file)
    assert birthday == {
        "day": "2026-03-06",
        "state": "TX",
        "email_type": "birthday",
        "outcome": "on time",
        "reason": "",
        "late_days": "0",
        "emails": "1",
    }
    assert (follow_up["day"], follow_up["email_type"]) == (*("2026-03-08", "followup_2_clicked_no_hq"),)
    for path in (page, counts):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "@example.com" not in path.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--click-rate", "2"), "click_rate 2.0; accepted is a number from 0 to 1"),
        (("--from", "tomorrow"), "accepted is a date YYYY-MM-DD"),
        (("--html", "/no/such/place.html", "--days", "1"), "/no/such/place.html: cannot be written"),
    ],
)
def test_what_cannot_be_done_is_an_error(
    organisation: SqliteDatabase, command: Command, options: tuple[str, ...], message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        command("simulate", "--database", organisation.url, *options)


def test_a_page_and_counts_in_one_file_are_refused_before_anything_is_written(
    organisation: SqliteDatabase, command: Command, tmp_path: Path
) -> None:
    both, same = tmp_path / "both", tmp_path / "." / "same"
    both.write_text("before")
    same.symlink_to(both)
    options = ("--database", organisation.url, "--html", str(both), "--csv", str(same), "--force")
    with pytest.raises(RuntimeError, match="accepted is a file of its own for each"):
        command("simulate", *options)
    assert both.read_text() == "before"

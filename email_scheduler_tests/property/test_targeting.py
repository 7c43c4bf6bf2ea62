"""Targeting in sets does what a slow reading of the rules does to one contact after the other."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from email_scheduler.campaigns.selections import FromCsv
from email_scheduler.campaigns.service import Campaigns
from email_scheduler.database.upgrade import initialise_database

DEFAULT = "2027-03-01"
DATES = (None, DEFAULT, "2027-04-01", "2027-05-01")
CONTACTS = range(1, 4)

few = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
contact_ids = st.sampled_from(CONTACTS)
rows = st.lists(
    st.tuples(
        contact_ids, st.sampled_from(DATES), st.sampled_from(["pending", "scheduled", "sent", "skipped"])
    ),
    max_size=8,
    unique_by=lambda row: (row[0], row[1] or DEFAULT),
)
emails = st.lists(st.tuples(contact_ids, st.sampled_from(DATES[1:])), max_size=4, unique=True)
lines = st.lists(st.tuples(contact_ids, st.sampled_from(DATES)), max_size=5, unique_by=lambda line: line[0])


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("targeting") / "org.db"
    initialise_database(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            f"""
            INSERT INTO contacts (id) VALUES {", ".join(f"({each})" for each in CONTACTS)};
            INSERT INTO campaign_types (name) VALUES ('promo');
            INSERT INTO campaign_instances (id, campaign_type, instance_name, email_template, metadata)
                VALUES (1, 'promo', 'x', 't', '{{"trigger_date": "{DEFAULT}"}}');
            """
        )
    return path


@pytest.fixture(scope="module")
def service(path: Path) -> Campaigns:
    return Campaigns(f"sqlite:///{path}")


def expected(
    contact_id: int, day: str | None, before: list[tuple], taken: set[tuple[int, str]], *, again: bool
) -> tuple[str, list[tuple]]:
    """Return what becomes of one line, and the contact's rows afterwards."""
    meant = day or DEFAULT
    own = [row for row in before if row[0] == contact_id]
    same = [row for row in own if (row[1] or DEFAULT) == meant]
    waiting = [
        row
        for row in own
        if row[2] in {"pending", "scheduled"} and (contact_id, row[1] or DEFAULT) not in taken
    ]
    statuses = {row[2] for row in own}
    has_written = "sent" in statuses or any(who == contact_id for who, _ in taken)
    if same and same[0][2] in {"pending", "scheduled"}:
        return "unchanged", own
    if "sent" in {row[2] for row in same} or (contact_id, meant) in taken:
        return "already_sent", own
    if len(waiting) > 1 or (waiting and same):
        return "several_targets", own
    if has_written and not again:
        return "already_sent", own
    if waiting:
        return "moved", [row for row in own if row not in waiting] + [(contact_id, day, "pending")]
    if "skipped" in statuses and not again:
        return "already_withdrawn", own
    return "added", [row for row in own if row not in same] + [
        (contact_id, same[0][1] if same else day, "pending")
    ]


@few
@given(rows=rows, emails=emails, lines=lines, again=st.booleans())
def test_targeting_follows_the_rules_for_each_contact(
    path: Path,
    service: Campaigns,
    rows: list[tuple],
    emails: list[tuple[int, str]],
    lines: list[tuple[int, str | None]],
    again: bool,
) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in ("contact_campaigns", "email_schedules", "campaign_change_log"):
            connection.execute(f"DELETE FROM {table}")
        connection.executemany(
            "INSERT INTO contact_campaigns (contact_id, campaign_instance_id, trigger_date, status)"
            " VALUES (?, 1, ?, ?)",
            rows,
        )
        connection.executemany(
            "INSERT INTO email_schedules (contact_id, email_type, status, campaign_instance_id, event_year,"
            " event_month, event_day) VALUES (?, 'campaign_promo', 'sent', 1, ?, ?, ?)",
            [(contact_id, *map(int, day.split("-"))) for contact_id, day in emails],
        )
        connection.execute("DELETE FROM campaign_change_log")
    file = path.with_suffix(".csv")
    file.write_text(
        "contact_id,trigger_date\n" + "".join(f"{who},{day or ''}\n" for who, day in lines), encoding="utf-8"
    )
    result = service.target("1", FromCsv(file), again=again)

    outcomes = {who: expected(who, day, rows, set(emails), again=again) for who, day in lines}
    counts: dict[str, int] = {}
    for outcome, _ in outcomes.values():
        counts[outcome] = counts.get(outcome, 0) + 1
    assert {name: count for name, count in result.counts.items() if count} == counts
    wanted = [row for row in rows if row[0] not in outcomes]
    wanted += [row for _, after in outcomes.values() for row in after]
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(
            "SELECT contact_id, trigger_date, status FROM contact_campaigns"
        ).fetchall()
        log = connection.execute("SELECT new_value FROM campaign_change_log").fetchall()
    assert sorted(map(repr, found)) == sorted(map(repr, wanted))
    assert len(log) == (1 if {"added", "moved"} & set(counts) else 0)

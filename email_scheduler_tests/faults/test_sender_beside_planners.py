"""The sending system works all through many plans: nothing is sent twice, nothing is lost."""

from collections import Counter
from pathlib import Path

from email_scheduler_tests.databases import Database
from email_scheduler_tests.faults.organisation import DAY, HANDLED, Organisation, rng
from email_scheduler_tests.faults.processes import running_sender
from email_scheduler_tests.faults.report import record, repetitions


def test_nothing_is_sent_twice_while_plans_are_made(database: Database, tmp_path: Path) -> None:
    organisation = Organisation(database, tmp_path, contacts=400)
    random, plans = rng(), repetitions(300, 4)
    outbox = tmp_path / "outbox"
    outbox.touch()
    before = {row[0]: row for row in organisation.senders_rows()}
    assert organisation.plan(organisation.settings()) == 0
    with running_sender(database.url, DAY, outbox, random.randrange(1 << 30)):
        for number in range(1, plans + 1):
            _correct_contacts(database, random.sample(range(1, 401), 15), number)
            assert organisation.plan(organisation.settings(number)) == 0, organisation.log.read_text()
    handed_over = [int(line) for line in outbox.read_text().split()]
    assert len(handed_over) > 3
    assert [row_id for row_id, count in Counter(handed_over).items() if count > 1] == []
    after = {row[0]: row for row in organisation.senders_rows()}
    # what was there before is as it was, and what the provider has got is the sender's
    assert {row_id: after.get(row_id) for row_id in before} == before
    assert set(handed_over) <= set(after)
    assert _sent_more_than_once(organisation, set(handed_over) | set(before)) == []
    settings = organisation.settings(plans + 1)
    assert organisation.plan(settings) == 0
    assert organisation.differences(settings) == {}
    kind = "PostgreSQL" if database.is_postgresql else "SQLite"
    record(
        f"The sending system at work all the time, {kind}",
        "No occurrence is sent twice, no row of the sender is changed, no planned row is lost",
        f"{plans} plans with corrected dates and other priorities, while a sender claims, sends, fails, is"
        " killed half-way, and contacts click, answer and unsubscribe",
        f"{len(handed_over):,} emails handed over, 0 of them twice, 0 occurrences twice, 0 rows of the sender"
        " changed, 0 rows differ from the plan afterwards",
    )


def _correct_contacts(database: Database, contact_ids: list[int], number: int) -> None:
    """Move birthdays and effective dates by some days, as somebody does who finds mistakes."""
    for contact_id in contact_ids:
        day = 1 + (contact_id + number) % 28
        column = ("birth_date", "effective_date")[number % 2]
        database.write(
            f"UPDATE contacts SET {column} = substr(CAST({column} AS TEXT), 1, 8) || '{day:02}'"
            f" WHERE id = ? AND length(CAST({column} AS TEXT)) = 10",
            (contact_id,),
        )


def _sent_more_than_once(organisation: Organisation, row_ids: set[int]) -> list[tuple[object, ...]]:
    """Return the occurrences that several rows of the sender are about, whatever their exact dates."""
    rows = organisation.database.query(
        "SELECT id, contact_id, email_type, coalesce(campaign_instance_id, 0), coalesce(initial_email_id, 0),"
        f" event_year FROM email_schedules WHERE {HANDLED} AND ideal_send_date IS NOT NULL"
    )
    counts = Counter(row[1:] for row in rows if row[0] in row_ids)
    return [occurrence for occurrence, count in counts.items() if count > 1]

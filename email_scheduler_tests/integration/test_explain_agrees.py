"""An explanation never disagrees with the table: random contacts of random organisations."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.explain.emails import CHANGED
from email_scheduler.explain.explaining import explain_address, explain_many
from email_scheduler.explain.explanation import PLANNED, SKIPPED, ExplainedContact, Occurrence
from email_scheduler.planning.frames import PlanInputs
from email_scheduler.planning_run import plan_and_publish
from email_scheduler.registry.reasons import ADJUSTMENTS, NOT_IN_PLAN, SKIP_REASONS
from email_scheduler_tests.builders import Row, inputs
from email_scheduler_tests.databases import Database, PostgresqlDatabase, initialised_sqlite
from email_scheduler_tests.integration.test_random_organisations import fill, send_some, storable
from email_scheduler_tests.random_audiences import random_attributes, with_audiences
from email_scheduler_tests.random_campaigns import random_instances, random_targets, random_types
from email_scheduler_tests.random_configuration import random_configuration
from email_scheduler_tests.random_contacts import random_contacts, random_suppressions
from email_scheduler_tests.random_history import random_answers, random_clicks, random_history

ROWS = """
    SELECT contact_id, id, email_type, ideal_send_date, scheduled_send_date, status, skip_reason, adjustment
    FROM email_schedules WHERE status IN ('pre-scheduled', 'skipped') AND ideal_send_date IS NOT NULL
"""
SEEDS = range(20, 30)
SENDING_SEED = 24
# Contacts of an organisation whose ids may lie anywhere up to that many apart.
FAR_APART = 2**42


def large_organisation(seed: int, contact_count: int) -> tuple[PlanInputs, SchedulerConfig]:
    """Return an organisation like those of ``random_case``, with as many contacts as are asked for."""
    rng = random.Random(seed)
    today = date(2026, 1, 1) + timedelta(days=rng.randint(0, 1000))
    config = random_configuration(rng, today)
    contacts: list[Row] = []
    while len(contacts) < contact_count:
        more = random_contacts(rng, today, config)
        contacts += [{**one, "id": one["id"] + len(contacts) * FAR_APART} for one in more]
    types = random_types(rng)
    instances = random_instances(rng, today, types)
    attributes = random_attributes(rng, today, contacts)
    instances = with_audiences(rng, today, instances, contacts, attributes)
    targets = random_targets(rng, today, contacts, instances)
    history = random_history(rng, today, config, contacts, instances, targets)
    organisation = inputs(
        today,
        contacts=contacts,
        suppressions=random_suppressions(rng, today, contacts),
        campaign_types=types,
        campaign_instances=instances,
        contact_campaigns=targets,
        history=history,
        clicks=random_clicks(rng, today, contacts, history),
        answers=random_answers(rng, today, history),
        contact_attributes=attributes,
    )
    return organisation, config


def contradictions(database: Database, explained: list[ExplainedContact]) -> Iterator[str]:
    """Yield where explanations and table differ, or an explanation contradicts itself."""
    table: dict[int, set[tuple[object, ...]]] = {}
    for contact_id, *row in database.query(ROWS):
        table.setdefault(contact_id, set()).add(tuple(row))
    issues: dict[int, set[str]] = {}
    for contact_id, issue in database.query("SELECT contact_id, issue FROM contact_issues"):
        issues.setdefault(contact_id, set()).add(issue)
    for each in explained:
        explanation = each.explanation
        contact_id = explanation.contact.contact_id
        rows = {told for one in explanation.occurrences if (told := as_row(one)) is not None}
        if rows != table.get(contact_id, set()):
            yield f"{contact_id}: rows {rows ^ table.get(contact_id, set())}"
        if {finding.issue for finding in explanation.contact.findings} != issues.get(contact_id, set()):
            yield f"{contact_id}: issues"
        for one in explanation.occurrences:
            for problem in problems_of(one):
                yield f"{contact_id}: {one.email_type} {one.event_date}: {problem}"


def as_row(one: Occurrence) -> tuple[object, ...] | None:
    if one.plan_row is None or one.plan_row.taken_as is not None:
        return None
    row = one.plan_row.row
    assert one.outcome in {PLANNED, SKIPPED}
    reasons = (one.reason, None) if one.outcome == SKIPPED else (None, one.reason)
    status = {PLANNED: "pre-scheduled", SKIPPED: "skipped"}[one.outcome]
    return row.id, one.email_type, str(one.ideal_send_date), str(row.scheduled_send_date), status, *reasons


def problems_of(one: Occurrence) -> Iterator[str]:
    """Yield what an occurrence says that cannot be, since nothing has changed since the plan was made."""
    if CHANGED in one.notes or one.reason == NOT_IN_PLAN:
        yield "said to have changed since"
    if one.outcome == PLANNED and one.plan_row is not None and one.plan_row.row.initial_email_id is None:
        day = one.plan_row.row.scheduled_send_date
        if not one.base_dates or (one.first_date and not one.first_date <= day <= one.last_date):
            yield f"{day} is not within {one.first_date} and {one.last_date}, base {one.base_dates}"
        if one.reason is None and day != one.ideal_send_date:
            yield f"{day} is not the ideal date {one.ideal_send_date}"
    if one.outcome == SKIPPED:
        if one.next_date is None:
            yield "nothing is said of what comes next"
        elif one.next_date.date and one.next_date.date < min([one.ideal_send_date, *one.base_dates]):
            yield f"next possible on {one.next_date.date}, before its first day"
        if " in " in one.reason and one.rule is None:
            yield "no rule says so"
        if one.reason == "frequency_limit_exceeded" and not one.counted and "0 in" not in one.rule.value:
            yield "nothing counts towards the limit"
        if one.reason == "campaign_conflict" and not one.counted:
            yield "there is no other campaign email"


def outcomes(explained: list[ExplainedContact]) -> Counter[tuple[str, str | None]]:
    return Counter(
        (one.outcome, (one.reason or "").partition(" in ")[0] or None)
        for each in explained
        for one in each.explanation.occurrences
    )


def test_it_never_disagrees_with_the_table(tmp_path: Path) -> None:
    """A thousand contacts; those of one organisation a day later, too, after some were sent."""
    explained_count = sent_count = 0
    seen: Counter[tuple[str, str | None]] = Counter()
    for seed in SEEDS:
        organisation, config = large_organisation(seed, 100)
        database = initialised_sqlite(tmp_path / "template.db", tmp_path / f"{seed}.db")
        fill(database, organisation)
        ids = organisation.contacts["id"].tolist()
        plan_and_publish(database.url, config, organisation.as_of)
        found = explain_many(database.url, config, ids, organisation.as_of)
        assert list(contradictions(database, found)) == [], seed
        explained_count += len(found)
        seen += outcomes(found)
        if seed == SENDING_SEED:
            sent_count += send_some(database, organisation.as_of)
            day = organisation.as_of + timedelta(days=1)
            plan_and_publish(database.url, config, day)
            assert list(contradictions(database, explain_many(database.url, config, ids, day))) == [], seed
    assert explained_count >= 1000
    assert sent_count > 0
    reasons = {reason for outcome, reason in seen if outcome == SKIPPED}
    assert reasons >= set(SKIP_REASONS) | {"Year-round exclusion", "Birthday exclusion window"}
    assert {reason for outcome, reason in seen if outcome == PLANNED} == {None, *ADJUSTMENTS}


def test_it_agrees_on_postgresql(postgresql_database: PostgresqlDatabase) -> None:
    organisation, config = large_organisation(22, 40)
    organisation = storable(organisation)
    fill(postgresql_database, organisation)
    plan_and_publish(postgresql_database.url, config, organisation.as_of)
    ids = organisation.contacts["id"].tolist()
    found = explain_many(postgresql_database.url, config, ids, organisation.as_of)
    assert [
        problem for problem in contradictions(postgresql_database, found) if "issues" not in problem
    ] == []
    assert sum(outcomes(found).values()) > 100
    one = organisation.contacts.dropna(subset=["email"]).iloc[0]
    written = f" {one['email'].swapcase()} "
    answer = explain_address(postgresql_database.url, config, written, organisation.as_of)
    assert one["id"] in {each.explanation.contact.contact_id for each in answer.contacts}

"""What somebody should look at in the data: counted by hand, and slowly over random organisations."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.columns.dates import from_day, parse_dates
from email_scheduler.planning.data_notes import DataNotes, FoundNote, find_notes
from email_scheduler.planning.frames import NO_DATE, PlanInputs
from email_scheduler.planning.plan import Plan, make_plan
from email_scheduler.planning.rules.contacts import address_key
from email_scheduler.registry.notes import NOTES, PLACEHOLDER_TEXTS
from email_scheduler_tests.builders import (
    Row,
    campaign_instance,
    campaign_type,
    contact,
    email_row,
    inputs,
    suppression,
    target,
)
from email_scheduler_tests.strategies import random_case

AS_OF = "2026-11-23"
CONFIG = SchedulerConfig()


def notes(organisation: PlanInputs) -> DataNotes:
    return find_notes(make_plan(organisation, CONFIG), organisation)


def note(organisation: PlanInputs, name: str) -> FoundNote | None:
    return notes(organisation).get(name)


def people(count: int, first_id: int = 1, **columns: Any) -> list[Row]:
    """Contacts with dates of their own, unless ``columns`` says otherwise."""
    first = date(1940, 1, 1)
    return [
        contact(
            number,
            **{
                "birth_date": (first + timedelta(days=number)).isoformat(),
                "effective_date": (first + timedelta(days=20_000 + number)).isoformat(),
                **columns,
            },
        )
        for number in range(first_id, first_id + count)
    ]


def test_of_clean_data_there_is_nothing_to_note() -> None:
    assert notes(inputs(AS_OF, people(60))).document() == {}
    assert notes(inputs(AS_OF)).document() == {}


@pytest.mark.parametrize(
    ("column", "name"),
    [("birth_date", "shared_birth_dates"), ("effective_date", "shared_effective_dates")],
)
def test_a_date_is_noted_that_more_than_two_in_a_hundred_and_at_least_twenty_share(
    column: str, name: str
) -> None:
    def shared_by(*counts: int, out_of: int) -> FoundNote | None:
        rows = people(out_of - sum(counts))
        for number, count in enumerate(counts):
            rows += people(count, len(rows) + 1, **{column: f"1900-01-0{number + 1}"})
        return note(inputs(AS_OF, rows), name)

    assert shared_by(19, out_of=100) is None
    assert shared_by(20, out_of=1000) is None
    assert shared_by(21, out_of=1000) == FoundNote(name, 21, 1000, 1, {})
    assert shared_by(20, out_of=100) == FoundNote(name, 20, 100, 1, {})
    assert shared_by(20, 30, 19, out_of=200) == FoundNote(name, 50, 200, 2, {})


def test_a_date_that_is_written_in_several_ways_is_one() -> None:
    rows = people(50) + people(10, 51, birth_date="1900-01-01") + people(10, 61, birth_date=" 1900-01-01T00 ")
    assert note(inputs(AS_OF, rows), "shared_birth_dates") == FoundNote("shared_birth_dates", 20, 70, 1, {})


def test_a_date_that_cannot_be_a_birth_date_may_be_a_placeholder_too() -> None:
    rows = people(50) + people(20, 51, birth_date="0001-01-01")
    assert note(inputs(AS_OF, rows), "shared_birth_dates") == FoundNote("shared_birth_dates", 20, 70, 1, {})


def test_an_address_that_more_than_five_contacts_have_is_noted() -> None:
    rows = people(10)
    rows += people(5, 11, email="five@example.com")
    rows += [
        *people(3, 16, email="Office@Example.com"),
        *people(3, 19, email=" office@example.com "),
        *people(4, 22, email="JÜRGEN@example.com"),
        *people(3, 26, email="jürgen@example.com"),
    ]
    found = note(inputs(AS_OF, rows), "shared_addresses")
    assert found == FoundNote("shared_addresses", 13, 28, 2, {})


def test_what_many_have_for_want_of_an_address_is_no_shared_address() -> None:
    rows = people(10) + people(8, 11, email="none") + people(8, 19, email="") + people(8, 27, email=None)
    assert note(inputs(AS_OF, rows), "shared_addresses") is None


@pytest.mark.parametrize(
    ("column", "name", "nothing"),
    [
        ("birth_date", "missing_birth_dates", (None, " ", "NULL", "12/31/1950", "2027-01-01")),
        ("effective_date", "missing_effective_dates", (None, "", "n/a", "1899-12-31", "2019-02-30")),
        ("zip_code", "missing_zip_codes", (None, "", "  ", "#N/A", "null")),
    ],
)
def test_a_column_that_more_than_half_of_the_contacts_lack_is_noted(
    column: str, name: str, nothing: tuple[str | None, ...]
) -> None:
    def lacking(count: int) -> FoundNote | None:
        rows = people(10 - count)
        for number in range(count):
            rows += people(1, len(rows) + 1, **{column: nothing[number % len(nothing)]})
        return note(inputs(AS_OF, rows), name)

    assert lacking(5) is None
    assert lacking(6) == FoundNote(name, 6, 10, 0, {})


def test_texts_that_stand_for_no_date_are_counted_as_they_are_written() -> None:
    rows = [
        contact(1, birth_date="NULL", effective_date="2019-05-01"),
        contact(2, birth_date=" NULL ", effective_date="nan"),
        contact(3, birth_date="null", effective_date=None),
        contact(4, birth_date="#N/A", effective_date="unknown"),
        contact(5, birth_date="Ann Miller", effective_date=""),
    ]
    targets = [target(1, 1, 7, "None"), target(2, 2, 7, "2026-12-01")]
    organisation = inputs(
        AS_OF,
        rows,
        campaign_types=[campaign_type("promo")],
        campaign_instances=[campaign_instance(7, "promo")],
        contact_campaigns=targets,
    )
    found = note(organisation, "placeholders_in_dates")
    assert found is not None
    assert (found.count, found.out_of, found.things) == (7, 12, 6)
    assert found.by == {
        "birth_date NULL": 2,
        "birth_date null": 1,
        "birth_date #N/A": 1,
        "effective_date nan": 1,
        "effective_date unknown": 1,
        "trigger_date None": 1,
    }
    assert found.details.startswith("birth_date NULL: 2, birth_date #N/A: 1, ")
    assert "Miller" not in json.dumps(notes(organisation).document())


@pytest.mark.parametrize("text", ["NULL", "nan", "N/A", "none", "-", "null", "#N/A", "unknown"])
def test_what_programs_write_for_no_date_is_known(text: str) -> None:
    found = note(inputs(AS_OF, people(9) + people(1, 10, birth_date=text)), "placeholders_in_dates")
    assert found is not None
    assert found.by == {f"birth_date {text}": 1}


def campaign(
    start: str | None, *, sent: Iterable[Row] = (), metadata: str | None = None, **settings: Any
) -> PlanInputs:
    settings = {"target_all_contacts": True, **settings}
    return inputs(
        AS_OF,
        people(3),
        campaign_types=[campaign_type("promo", **settings)],
        campaign_instances=[
            campaign_instance(7, "promo", start, "2027-03-01", metadata=metadata),
            campaign_instance(8, "promo", start, "2026-11-01", metadata=metadata),
        ],
        history=sent,
    )


SOON = '{"trigger_date": "2026-12-15"}'


@pytest.mark.parametrize(
    ("start", "is_noted"), [("2026-10-23", True), ("2026-10-24", False), ("2027-01-01", False), (None, False)]
)
def test_a_campaign_for_everybody_that_began_long_ago_and_was_never_sent_is_noted(
    start: str | None, is_noted: bool
) -> None:
    found = note(campaign(start, metadata=SOON), "campaigns_long_begun")
    assert (found is not None) == is_noted
    if found is not None:
        # the one that has ended has no emails
        assert (found.count, found.out_of, found.things, found.by) == (3, 3, 1, {"7": 3})


def test_a_campaign_that_was_sent_to_anybody_is_not_noted() -> None:
    sent = email_row(50, 99, "campaign_promo", "2026-11-01", campaign_instance_id=7)
    assert note(campaign("2026-09-01", metadata=SOON, sent=[sent]), "campaigns_long_begun") is None
    other = email_row(50, 99, "campaign_promo", "2026-11-01", campaign_instance_id=8)
    assert note(campaign("2026-09-01", metadata=SOON, sent=[other]), "campaigns_long_begun") is not None


def test_a_campaign_that_is_not_for_everybody_is_not_noted() -> None:
    organisation = campaign("2026-09-01", metadata=SOON, target_all_contacts=False)
    assert note(organisation, "campaigns_long_begun") is None


@pytest.mark.parametrize(
    ("moment", "is_noted"),
    [
        ("2026-11-20T01:30:00Z", True),
        ("2026-11-20T01:30:00.123Z", True),
        ("2026-11-20Z", True),
        ("2026-11-20 01:30:00+00:00", True),
        ("2026-11-20 01:30:00+00", True),
        ("2026-11-19T19:30:00-06:00", False),
        ("2026-11-19 19:30:00", False),
        ("2026-11-19", False),
        ("", False),
        (None, False),
    ],
)
def test_a_time_of_the_sender_in_utc_is_noted(moment: str | None, is_noted: bool) -> None:
    history = [
        email_row(1, 1, "birthday", "2026-11-20", actual_send_datetime=moment),
        email_row(2, 2, "birthday", "2026-11-20", actual_send_datetime="2026-11-20T08:30:00"),
    ]
    found = note(inputs(AS_OF, people(3), history=history), "sent_times_in_utc")
    assert found == (FoundNote("sent_times_in_utc", 1, 2, 0, {}) if is_noted else None)


def test_suppressions_and_sent_emails_that_name_no_contact_are_noted() -> None:
    history = [
        email_row(1, 1, "birthday", "2026-01-20"),
        email_row(2, 11, "birthday", "2026-01-20"),
        email_row(3, 11, "effective_date", "2026-05-20", status="failed"),
        email_row(4, 12, "birthday", "2026-01-20", status=None),
        # another program's, not sent
        email_row(5, 13, "newsletter", "2026-12-20", status="pre-scheduled"),
    ]
    organisation = inputs(
        AS_OF,
        people(3),
        suppressions=[suppression(2), suppression(10), suppression(11)],
        history=history,
    )
    assert notes(organisation).notes == (
        FoundNote("suppressions_without_contact", 2, 3, 2, {}),
        FoundNote("sender_rows_without_contact", 3, 4, 2, {}),
    )


def test_without_any_contact_everything_names_none() -> None:
    organisation = inputs(
        AS_OF, suppressions=[suppression(2)], history=[email_row(1, 1, "aep", "2026-09-15")]
    )
    assert [(each.name, each.count) for each in notes(organisation)] == [
        ("suppressions_without_contact", 1),
        ("sender_rows_without_contact", 1),
    ]


@pytest.mark.parametrize("name", NOTES)
def test_a_note_is_a_sentence_with_figures_and_what_to_do(name: str) -> None:
    found = FoundNote(name, 1234, 56_789, 3, {"birth_date NULL": 1234})
    assert "1,234" in found.found
    assert str(found) == f"{found.found}. {NOTES[name].what_helps}"
    assert DataNotes.of_document(json.loads(json.dumps(DataNotes((found,)).document()))).notes == (found,)


def test_every_note_is_found_where_everything_is_wrong() -> None:
    shared = {"birth_date": "1900-01-01", "effective_date": "2020-01-01", "email": "office@example.com"}
    rows = people(20, **shared) + people(30, 21, birth_date="NULL", effective_date="", zip_code=None)
    sent = email_row(1, 99, "birthday", "2026-01-20", actual_send_datetime="2026-01-20T14:30:00Z")
    organisation = inputs(
        AS_OF,
        rows,
        suppressions=[suppression(98)],
        campaign_types=[campaign_type("promo", target_all_contacts=True)],
        campaign_instances=[campaign_instance(7, "promo", "2026-09-01", "2027-03-01", metadata=SOON)],
        history=[sent],
    )
    assert [each.name for each in notes(organisation)] == list(NOTES)


def test_a_note_that_is_not_known_any_more_is_left_out() -> None:
    assert DataNotes.of_document({"no_longer": {"count": 1}}).notes == ()


# -- a slow count -------------------------------------------------------------------------------------------


def slowly(plan: Plan, organisation: PlanInputs) -> dict[str, tuple[int, int]]:
    """Return count and things of each note, row by row."""
    contacts = organisation.contacts.astype("object").where(organisation.contacts.notna(), None)
    rows, total = contacts.to_dict("records"), len(contacts)
    found: dict[str, tuple[int, int]] = {}

    def note_all(name: str, counts: Iterable[int]) -> None:
        counts = list(counts)
        if counts:
            found[name] = (sum(counts), len(counts))

    for column, last in (("birth_date", plan.as_of), ("effective_date", date(2100, 12, 31))):
        days = [None if day == NO_DATE else from_day(day) for day in parse_dates(contacts[column])[0]]
        counts = Counter(day for day in days if day is not None)
        many = [count for count in counts.values() if count >= 20 and count / total > 0.02]
        note_all(f"shared_{column}s", many)
        missing = sum(day is None or not date(1900, 1, 1) <= day <= last for day in days)
        if total and missing / total > 0.5:
            found[f"missing_{column}s"] = (missing, 0)
    keys = Counter(address_key(row["email"]) for row in rows if row["email"] is not None)
    is_address = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
    note_all("shared_addresses", [n for key, n in keys.items() if n > 5 and is_address.fullmatch(key)])
    no_zip = sum((row["zip_code"] or "").strip().lower() in ("", *PLACEHOLDER_TEXTS) for row in rows)
    if total and no_zip / total > 0.5:
        found["missing_zip_codes"] = (no_zip, 0)
    texts = [(column, row[column]) for column in ("birth_date", "effective_date") for row in rows]
    triggers = organisation.contact_campaigns["trigger_date"]
    texts += [("trigger_date", text) for text in triggers.astype("object").where(triggers.notna(), None)]
    placeholders = Counter(
        (column, text.strip())
        for column, text in texts
        if text is not None and text.strip().lower() in PLACEHOLDER_TEXTS
    )
    note_all("placeholders_in_dates", placeholders.values())
    ids = {row["id"] for row in rows}
    note_all(
        "suppressions_without_contact",
        Counter(id_ for id_ in organisation.suppressions["contact_id"] if id_ not in ids).values(),
    )
    history = organisation.history
    is_planned = history["status"].isin(["pre-scheduled", "skipped"])
    note_all(
        "sender_rows_without_contact",
        Counter(id_ for id_ in history["contact_id"][~is_planned] if id_ not in ids).values(),
    )
    times = history["actual_send_datetime"].dropna()
    if in_utc := sum(text.endswith(("Z", "+00:00")) for text in times):
        found["sent_times_in_utc"] = (in_utc, 0)
    return found


def test_the_notes_are_what_counting_the_rows_one_by_one_gives() -> None:
    reached: Counter[str] = Counter()
    for seed in range(60):
        organisation, config = random_case(seed)
        plan = make_plan(organisation, config)
        found = find_notes(plan, organisation)
        counted = {each.name: (each.count, each.things) for each in found}
        counted.pop("campaigns_long_begun", None)
        assert counted == slowly(plan, organisation), seed
        reached.update(counted.keys())
    assert {"missing_birth_dates", "suppressions_without_contact", "sender_rows_without_contact"} <= set(
        reached
    ), reached

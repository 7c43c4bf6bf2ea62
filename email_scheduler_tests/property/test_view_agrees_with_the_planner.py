"""The view ``due_emails`` and the planner never disagree towards sending, whatever addresses look like.

A plan is made, then contacts and suppressions are written by SQL: whoever still has an email due is somebody
whom a plan made now would find valid. The other way round they may disagree until the next plan.
"""

# ruff: noqa: RUF001 - characters that look alike are what it is about

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from email_scheduler.clock import today
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.connections import connect
from email_scheduler.database.contact_notes import (
    delete_contact_changes,
    note_address_keys,
    read_contact_changes,
)
from email_scheduler.planning.frames import (
    CONTACTS_TABLE,
    SUPPRESSED_ADDRESSES_TABLE,
    SUPPRESSIONS_TABLE,
    PlanInputs,
)
from email_scheduler.planning.rules.contacts import validate_contacts
from email_scheduler_tests.builders import inputs as no_inputs
from email_scheduler_tests.builders import table
from email_scheduler_tests.databases import Database, PostgresqlDatabase, SqliteDatabase, initialised_sqlite

CONFIG = SchedulerConfig()
TODAY = today()
NOTHING = no_inputs(TODAY)
TABLES = (
    "email_schedules",
    "contacts",
    "contact_suppressions",
    "suppressed_addresses",
    "contact_address_keys",
    "contact_changes",
)
DATES = (None, "2000-01-01", str(TODAY), str(TODAY + timedelta(days=1)), "9999-12-31", "9999-02-30", "soon")
ENDS = (None, None, "2001-01-01", str(TODAY - timedelta(days=1)), str(TODAY), "2400-02-29", "never")


def punycode(label: str) -> str:
    return f"xn--{label.encode('punycode').decode('ascii')}"


# what several spellings of one part of an address are; each family has one key
LOCAL_PARTS = (
    ("kim", "KIM", "\u212aim", "kIM", "ｋｉｍ", "\u212a\u0131m", "\u212aİm", "i\u0307m", "İm"),
    ("straße", "STRASSE", "ſtrasse", "STRAẞE", "ﬆrasse", "straſſe"),
    ("jürgen", "ju\u0308rgen", "JÜRGEN", "JU\u0308RGEN", "ｊürgen"),
    ("x.ﬁn", "X.FIN", "x\u2024fin", "x．fin", "x.fin"),
    ("e\u0301", "é", "E\u0301", "É", "e"),
    ("a\u00a8", "a \u0308", "a", "\u00a8a", " \u0308a"),
    ("a\u0323\u0307", "a\u0307\u0323", "\u1ea1\u0307", "A\u0323\u0307"),
    ("ü.y", "Ü.Y", "u\u0308.y"),
)
DOMAINS = (
    ("münchen.de", "MÜNCHEN.de", punycode("münchen") + ".de", "XN--Mnchen-3YA.DE", "mu\u0308nchen．de"),
    ("münchen.de", punycode("münchen．de"), punycode("münchen\u2024de"), punycode("münchen.de")),
    ("b.co", "B.CO", "b．co", "ｂ.co", punycode("b") + ".co", "b." + punycode("co"), punycode("ｂ．co")),
    ("b.münchen", "b." + punycode("münchen"), "B." + punycode("MÜNCHEN"), punycode("b.münchen")),
    ("b.xn--", "b.", "b.xn---", "b.xn--x-", "b.x"),
    ("b." + punycode("xn--mnchen-3ya"), "b." + punycode(punycode("ü")), "b.ü", "b.xn--tda"),
    ("b.co", punycode("c＠b") + ".co", "b.co" + punycode("\u00a0"), punycode("x＠b.co")),
)
ATS = ("@", "@", "@", "@", "＠", "\ufe6b")
EDGES = ("", "", "", " ", "\u00a0", "\t", "\u3000", "\u00a8", "\u200b", "\u0308")


def spelled(local_parts: tuple[str, ...], domains: tuple[str, ...]) -> st.SearchStrategy[str]:
    whole = st.tuples(st.sampled_from(local_parts), st.sampled_from(ATS), st.sampled_from(domains))
    return st.builds(
        lambda before, parts, after: before + "".join(parts) + after,
        st.sampled_from(EDGES),
        whole,
        st.sampled_from(EDGES),
    )


families = st.tuples(st.sampled_from(LOCAL_PARTS), st.sampled_from(DOMAINS))
awkward = st.text(
    st.sampled_from("aKkisS.@-xn0ßſ\u212aﬁ＠．\u2024\u0308\u0307\u0345\u00a0\u00a8İıüÜ "), max_size=10
)
loose = st.builds("{}@{}".format, awkward, awkward) | awkward


@dataclass(frozen=True)
class Story:
    """What happens to an organisation: who is in it and suppressed before a plan, and what comes after it."""

    contacts: list[str]
    suppressed: list[tuple[int, str | None]]
    listed: list[tuple[str, str | None, str | None]]
    later: list[tuple[Any, ...]]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    chosen = draw(st.lists(families, min_size=1, max_size=2))
    addresses = st.one_of(*(spelled(*each) for each in chosen), *(spelled(*each) for each in chosen), loose)
    ids = st.integers(1, 7)
    at, until = st.sampled_from(DATES), st.sampled_from(ENDS)
    suppress = st.tuples(ids, at)
    listing = st.tuples(addresses, at, until)
    step = st.one_of(
        st.tuples(st.just("suppress"), ids, at),
        st.tuples(st.just("suppress"), ids, at),
        st.tuples(st.just("free"), ids),
        st.tuples(st.just("hand over"), ids, ids),
        st.tuples(st.just("list"), addresses, at, until),
        st.tuples(st.just("list"), addresses, at, until),
        st.tuples(st.just("respell"), addresses),
        st.tuples(st.just("correct"), ids, addresses),
        st.tuples(st.just("load"), ids, addresses),
        st.tuples(st.just("delete"), ids),
        st.tuples(st.just("renumber"), ids, ids),
    )
    return Story(
        draw(st.lists(addresses, min_size=1, max_size=5)),
        draw(st.lists(suppress, max_size=2, unique_by=lambda pair: pair[0])),
        draw(st.lists(listing, max_size=2, unique_by=lambda row: row[0])),
        draw(st.lists(step, min_size=1, max_size=5)),
    )


def statements(kind: str, *values: Any) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield what somebody writes by SQL."""
    if kind == "suppress":
        yield "DELETE FROM contact_suppressions WHERE contact_id = ?", values[:1]
        yield "INSERT INTO contact_suppressions (contact_id, suppressed_at) VALUES (?, ?)", values
    elif kind == "free":
        yield "DELETE FROM contact_suppressions WHERE contact_id = ?", values
    elif kind == "hand over":
        there = "NOT EXISTS (SELECT 1 FROM contact_suppressions AS other WHERE other.contact_id = ?)"
        yield (
            f"UPDATE contact_suppressions SET contact_id = ? WHERE contact_id = ? AND {there}",
            (values[1], values[0], values[1]),
        )
    elif kind == "list":
        yield (
            (
                "INSERT INTO suppressed_addresses (address, suppressed_at, suppressed_until) VALUES (?, ?, ?)"
                " ON CONFLICT (address) DO UPDATE SET suppressed_at = excluded.suppressed_at,"
                " suppressed_until = excluded.suppressed_until"
            ),
            values,
        )
    elif kind == "respell":
        yield (
            (
                "UPDATE suppressed_addresses SET address = ?"
                " WHERE address = (SELECT min(address) FROM suppressed_addresses)"
                " AND NOT EXISTS (SELECT 1 FROM suppressed_addresses AS other WHERE other.address = ?)"
            ),
            (values[0], values[0]),
        )
    elif kind == "correct":
        yield "UPDATE contacts SET email = ? WHERE id = ?", (values[1], values[0])
    elif kind == "load":
        yield (
            (
                "INSERT INTO contacts (id, email, zip_code) VALUES (?, ?, '75001')"
                " ON CONFLICT (id) DO UPDATE SET email = excluded.email"
            ),
            values,
        )
    elif kind == "delete":
        yield "DELETE FROM contacts WHERE id = ?", values
    else:
        yield "DELETE FROM contacts WHERE id = ? AND id <> ?", (values[1], values[0])
        yield "UPDATE contacts SET id = ? WHERE id = ?", (values[1], values[0])


def inputs_of(connection: Any) -> PlanInputs:
    """Return what is in the tables that decide who is valid."""

    def rows(columns: tuple[str, ...], table: str) -> list[dict[str, Any]]:
        found = connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
        return [dict(zip(columns, row, strict=True)) for row in found]

    listed = rows(("address", "suppressed_at", "suppressed_until"), "suppressed_addresses")
    return replace(
        NOTHING,
        contacts=table(CONTACTS_TABLE, rows(("id", "email", "zip_code"), "contacts")),
        suppressions=table(SUPPRESSIONS_TABLE, rows(("contact_id", "suppressed_at"), "contact_suppressions")),
        suppressed_addresses=table(SUPPRESSED_ADDRESSES_TABLE, listed),
    )


def valid_contacts(inputs: PlanInputs) -> set[int]:
    """Return the contacts that a plan of today would find valid."""
    found, _ = validate_contacts(inputs, CONFIG)
    return set(found["contact_id"].tolist())


def note(database: Database, inputs: PlanInputs) -> None:
    """Note what publishing a plan notes."""
    with connect(database.url, CONFIG) as connection:

        def transact(work: Callable[[], None]) -> None:
            with connection.transaction():
                work()

        seen = read_contact_changes(connection)
        connection.end_reading()
        note_address_keys(connection, inputs.contacts, transact)
        delete_contact_changes(connection, seen, transact)


def tell(database: Database, story: Story) -> tuple[set[int], set[int]]:
    """Let a story happen; return whose emails are due at its end, and who is valid then."""
    mark = "%s" if database.is_postgresql else "?"

    def write(connection: Any, statement: str, values: tuple[Any, ...]) -> None:
        connection.execute(statement.replace("?", mark), values)

    with database.connection() as connection:
        if not database.is_postgresql:
            connection.execute("PRAGMA synchronous = OFF")
        for name in TABLES:
            connection.execute(f"DELETE FROM {name}")
        for row in enumerate(story.contacts, start=1):
            write(connection, "INSERT INTO contacts (id, email, zip_code) VALUES (?, ?, '75001')", row)
        for kind, rows in (("list", story.listed), ("suppress", story.suppressed)):
            for row in rows:
                for statement, values in statements(kind, *row):
                    write(connection, statement, values)
        inputs = inputs_of(connection)
        for contact_id in valid_contacts(inputs):
            email = (contact_id, "birthday", str(TODAY), "pre-scheduled")
            write(
                connection,
                "INSERT INTO email_schedules (contact_id, email_type, scheduled_send_date, status)"
                " VALUES (?, ?, ?, ?)",
                email,
            )
    note(database, inputs)
    with database.connection() as connection:
        for step in story.later:
            for statement, values in statements(*step):
                write(connection, statement, values)
        due = {row[0] for row in connection.execute("SELECT contact_id FROM due_emails").fetchall()}
        return due, valid_contacts(inputs_of(connection))


@pytest.fixture(scope="module")
def reused_sqlite(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabase:
    directory = tmp_path_factory.mktemp("view")
    return initialised_sqlite(directory / "template.db", directory / "org.db")


def never_towards_sending(max_examples: int) -> Callable[[Any], Any]:
    return settings(
        max_examples=max_examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@never_towards_sending(600)
@given(stories())
@example(
    # a suppressed contact is loaded again, in a spelling that SQL does not know to be that of another one
    Story(["STRASSE@b.co"], [(2, None)], [], [("load", 2, "straße@b.co")])
)
@example(
    # the last label of an address that is punycode, and holds the dot of its domain
    Story(["ü.y@münchen.de"], [], [], [("list", f"ü.y@{punycode('münchen．de')}", None, None)])
)
def test_nobody_is_due_whom_the_planner_would_find_suppressed_or_invalid(
    reused_sqlite: SqliteDatabase, story: Story
) -> None:
    due, valid = tell(reused_sqlite, story)
    assert due <= valid


@never_towards_sending(80)
@given(stories())
@example(Story(["STRASSE@b.co"], [(2, None)], [], [("load", 2, "straße@b.co")]))
@example(Story(["ü.y@münchen.de"], [], [], [("list", f"ü.y@{punycode('münchen．de')}", None, None)]))
def test_nor_is_anybody_on_a_server(postgresql_database: PostgresqlDatabase, story: Story) -> None:
    due, valid = tell(postgresql_database, story)
    assert due <= valid

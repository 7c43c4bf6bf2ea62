"""Loading contacts: what is created and updated, by id and by address; what is refused; what is deleted."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.contacts import staged_contacts
from email_scheduler.contacts.contact_file import TWO_LINES
from email_scheduler.contacts.headings import parse_mapping
from email_scheduler.contacts.import_contacts import (
    ContactsImport,
    deletes_too_much,
    import_contacts,
)
from email_scheduler.contacts.staged_contacts import CONFLICT, NAMED_BY_ID
from email_scheduler.database.csv_files import ACCEPTED_DATE, ACCEPTED_ID, NO_CONTACT, BadLinesError
from email_scheduler.database.line_import import SHARED_ADDRESS
from email_scheduler.database.records import AcceptedLoss
from email_scheduler.errors import LossError, UsageError
from email_scheduler.planning.rules.contacts import address_key
from email_scheduler_tests.databases import Database, PostgresqlDatabase
from email_scheduler_tests.integration.conftest import Command

CONFIG = SchedulerConfig()
NAMES = "id, first_name, last_name, email, zip_code, state, birth_date, effective_date, phone_number"
ANN = (1, "Ann", "Lee", "Ann@example.com", "75001", "TX", "1950-03-10", "2019-06-01", "555-0100")
BOB = (2, "Bob", None, "bob@example.com", "2134", None, None, None, None)
RENEE = (3, "Renée", "Roy", "renée@example.com", "10001", "NY", "1948-01-01", None, None)
SHARED = (
    (4, "Tim", None, "home@example.com", "75001", None, None, None, None),
    (5, "Tom", None, "HOME@example.com", "75001", None, None, None, None),
)


@pytest.fixture
def agency(database: Database) -> Database:
    columns = NAMES.split(", ")
    for row in (ANN, BOB, RENEE, *SHARED):
        database.insert("contacts", dict(zip(columns, row, strict=True)))
    return database


def loaded(database: Database, directory: Path, text: str, **options: Any) -> ContactsImport:
    path = directory / "contacts.csv"
    path.write_text(text, encoding="utf-8")
    return import_contacts(database.url, CONFIG, path, **options)


def refused(database: Database, directory: Path, text: str, **options: Any) -> list[tuple[int, str, str]]:
    before = content(database)
    with pytest.raises(BadLinesError) as error:
        loaded(database, directory, text, **options)
    assert content(database) == before
    return list(error.value.bad_lines)


def content(database: Database, names: str = NAMES) -> list[tuple[Any, ...]]:
    return database.query(f"SELECT {names} FROM contacts ORDER BY id")


def watch_updates(database: Database) -> None:
    """Note each row of contacts that a statement touches, changed or not."""
    database.run("CREATE TABLE touched (id INTEGER, what TEXT)")
    if database.is_postgresql:
        database.run(
            "CREATE FUNCTION note_touch() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO touched VALUES (coalesce(NEW.id, OLD.id), TG_OP); RETURN NULL; END $$;"
            " CREATE TRIGGER note_touch AFTER INSERT OR UPDATE OR DELETE ON contacts"
            " FOR EACH ROW EXECUTE FUNCTION note_touch()"
        )
        return
    for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
        database.run(
            f"CREATE TRIGGER note_{event} AFTER {event} ON contacts BEGIN"
            f" INSERT INTO touched VALUES ({row}.id, '{event}'); END"
        )


def test_contacts_are_created_and_updated_by_id_and_a_blank_cell_leaves_what_is_stored(
    agency: Database, tmp_path: Path
) -> None:
    text = (
        "id,first_name,email,zip_code,birth_date\n"
        "1,Anna,ann.lee@example.com,,\n"
        "2,,,02134,1960-02-29 00:00:00\n"
        "3,Renée,renée@example.com,10001,1948-01-01\n"
        '7,New,new@example.com,"=""02134""",soon\n'
    )
    done = loaded(agency, tmp_path, text)
    assert done.counts == {"created": 1, "updated": 2, "unchanged": 1, "repeated": 0, "deleted": 0}
    assert done.updated == {"first_name": 1, "email": 1, "zip_code": 1, "birth_date": 1}
    assert content(agency) == [
        (1, "Anna", "Lee", "ann.lee@example.com", *ANN[4:]),
        (2, "Bob", None, "bob@example.com", "02134", None, "1960-02-29 00:00:00", None, None),
        RENEE,
        *SHARED,
        (7, "New", None, "new@example.com", '="02134"', None, "soon", None, None),
    ]


def test_without_an_id_the_address_says_who_is_meant_and_stays_as_it_is_written(
    agency: Database, tmp_path: Path
) -> None:
    text = "Email,ZIP\nANN@EXAMPLE.COM,75002\nRENÉE@example.com,\nnew@example.com,60601\n\u00fc@x.co,60602\n"
    done = loaded(agency, tmp_path, text)
    assert done.counts == {"created": 2, "updated": 1, "unchanged": 1, "repeated": 0, "deleted": 0}
    assert content(agency, "id, email, zip_code") == [
        (1, "Ann@example.com", "75002"),
        (2, "bob@example.com", "2134"),
        (3, "renée@example.com", "10001"),
        (4, "home@example.com", "75001"),
        (5, "HOME@example.com", "75001"),
        (6, "new@example.com", "60601"),
        (7, "ü@x.co", "60602"),
    ]


def test_new_ids_of_the_database_go_on_after_those_of_the_file(agency: Database, tmp_path: Path) -> None:
    loaded(agency, tmp_path, "id,email\n90,new@example.com\n,newer@example.com\n")
    loaded(agency, tmp_path, "email\nnewest@example.com\n")
    assert content(agency, "id, email")[-3:] == [
        (90, "new@example.com"),
        (91, "newer@example.com"),
        (92, "newest@example.com"),
    ]


def test_the_same_file_again_touches_no_row(agency: Database, tmp_path: Path) -> None:
    text = "id,email,zip_code,effective_date\n1,Ann@example.com,75001,2019-06-01\n2,bob@example.com,2135,\n"
    text += ",renée@example.com,10001,\n,new@example.com,75001,2020-01-01\n"
    loaded(agency, tmp_path, text)
    watch_updates(agency)
    done = loaded(agency, tmp_path, text)
    assert done.counts == {"created": 0, "updated": 0, "unchanged": 4, "repeated": 0, "deleted": 0}
    assert agency.query("SELECT * FROM touched") == []


def test_only_changed_rows_are_written(agency: Database, tmp_path: Path) -> None:
    watch_updates(agency)
    loaded(agency, tmp_path, "id,email,zip_code\n1,,75001\n2,,2135\n3,Renée@example.com,\n9,,\n")
    assert sorted(agency.query("SELECT * FROM touched")) == [(2, "UPDATE"), (3, "UPDATE"), (9, "INSERT")]


def test_a_dry_run_tells_the_same_and_changes_nothing(agency: Database, tmp_path: Path) -> None:
    text = "id,email,zip_code,plan\n1,,75009,G\n,renée@example.com,10002,\n8,new@example.com,75001,N\n"
    before = content(agency)
    promised = loaded(agency, tmp_path, text, is_dry_run=True, add_columns=True, replace=True)
    assert content(agency) == before
    done = loaded(agency, tmp_path, text, add_columns=True, replace=True)
    assert (done.counts, done.updated, done.added_columns) == (
        promised.counts,
        promised.updated,
        promised.added_columns,
    )
    assert done.counts == {"created": 1, "updated": 2, "unchanged": 0, "repeated": 0, "deleted": 3}
    assert content(agency, "id, plan") == [(1, "G"), (3, None), (8, "N")]


def test_bad_lines_are_told_with_column_and_reason_and_nothing_is_changed(
    agency: Database, tmp_path: Path
) -> None:
    text = (
        "id,email,zip_code\n"
        "x,,75001\n"
        ",,75001\n"
        ",Home@example.com,75001\n"
        "1,bob@example.com,75001\n"
        "8,ann@example.com,75001\n"
        "2,,75001\n"
        "2,,75002\n"
        "3,,10009\n"
        ",Renée@example.com,10008\n"
        ",new@example.com,1\n"
        ",NEW@example.com,1\n"
        "9,newer@example.com,1\n"
        ",newer@example.com,1\n"
    )
    assert refused(agency, tmp_path, text) == [
        (2, "contact_id", ACCEPTED_ID),
        (3, "email", NO_CONTACT),
        (4, "email", SHARED_ADDRESS),
        (5, "contact_id", CONFLICT),
        (6, "contact_id", CONFLICT),
        (8, "", TWO_LINES),
        (10, "", TWO_LINES),
        (12, "", TWO_LINES),
        (14, "email", NAMED_BY_ID),
    ]


def test_skip_bad_takes_the_other_lines(agency: Database, tmp_path: Path) -> None:
    done = loaded(agency, tmp_path, "id,zip_code\nx,1\n1,75009\n1,75008\n", skip_bad=True)
    assert [line for line, _, _ in done.bad_lines] == [2, 4]
    assert done.counts["updated"] == 1
    assert content(agency, "id, zip_code")[0] == (1, "75009")


def test_a_line_that_says_the_same_again_counts_once(agency: Database, tmp_path: Path) -> None:
    text = "id,email,zip_code\n1,,75009\n1.0,,75009\n,ANN@example.com,75009\n,new@x.co,1\n,new@x.co,1\n"
    done = loaded(agency, tmp_path, text)
    assert done.counts == {"created": 1, "updated": 1, "unchanged": 0, "repeated": 3, "deleted": 0}


def test_ids_can_be_trusted_where_an_address_is_that_of_another_contact(
    agency: Database, tmp_path: Path
) -> None:
    text = "id,email\n1,bob@example.com\n8,ann@example.com\n4,home@example.com\n"
    assert [line for line, _, _ in refused(agency, tmp_path, text)] == [2, 3]
    assert loaded(agency, tmp_path, text, trust_ids=True).counts["updated"] == 1
    assert content(agency, "id, email")[-1] == (8, "ann@example.com")


def test_headings_are_recognised_and_mapped_and_others_are_passed_over(
    agency: Database, tmp_path: Path
) -> None:
    text = (
        "Contact ID;First Name;E-Mail Address;Zip;Date of Birth;Policy Effective Date;Handy;Notes;Old Mail;\n"
        "1.0;Anna;a@b.co;75009;1950-03-11;2020-06-01;555-0199;x;y@z.co;\n"
    )
    mapping = parse_mapping(["Handy=phone_number", "old mail="])
    done = loaded(agency, tmp_path, text, mapping=mapping)
    assert done.ignored_columns == ("notes", "old mail")
    assert content(agency)[0] == (
        *(1, "Anna", "Lee", "a@b.co", "75009", "TX", "1950-03-11", "2020-06-01", "555-0199"),
    )


def test_columns_are_added_on_request_and_then_belong_to_the_table(agency: Database, tmp_path: Path) -> None:
    text = "id,Plan Type,carrier\n1,G,\n2,N,Acme\n"
    assert loaded(agency, tmp_path, text).ignored_columns == ("plan type", "carrier")
    done = loaded(agency, tmp_path, text, add_columns=True)
    assert done.added_columns == ("plan_type", "carrier")
    assert done.updated == {"plan_type": 2, "carrier": 1}
    assert content(agency, "id, plan_type, carrier")[:3] == [
        (1, "G", None),
        (2, "N", "Acme"),
        (3, None, None),
    ]
    assert loaded(agency, tmp_path, text, mapping={"plan type": "plan_type"}).counts["unchanged"] == 2


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("first_name,zip_code\nAnn,1\n", {}, "none of the 2 columns is id or email"),
        ("id,Zip,zip_code\n", {}, "columns 2 and 3 are both zip_code"),
        ("id,mail\n", {"mapping": {"post": "email"}}, "--map 'post': no column has this heading"),
        ("id,mail\n", {"mapping": {"mail": "post"}}, "--map 'mail': contacts have no column post"),
        ("id,größe %\n", {"add_columns": True, "mapping": {}}, None),
        ("id,42\n", {"add_columns": True}, "column 2: its heading is no name for a column"),
        ("id\n1\n", {"replace": True, "skip_bad": True}, "--replace with --skip-bad"),
        ("id\n", {"replace": True}, "the file holds no contact"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    agency: Database, tmp_path: Path, text: str, options: dict[str, Any], told: str | None
) -> None:
    if told is None:
        assert loaded(agency, tmp_path, text, **options).added_columns == ("gr_e",)
        return
    before = content(agency)
    with pytest.raises(UsageError) as error:
        loaded(agency, tmp_path, text, **options)
    assert told in str(error.value)
    assert content(agency) == before


@pytest.mark.parametrize("text", ["Email Address", "=email", " = email"])
def test_a_mapping_without_a_heading_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="accepted is HEADING=COLUMN"):
        parse_mapping([text])


def test_a_heading_with_an_equals_sign_can_be_mapped() -> None:
    assert parse_mapping(["A=B=email"]) == {"a=b": "email"}
    with pytest.raises(UsageError, match="stands twice"):
        parse_mapping(["a=id", " A =email"])


@pytest.mark.parametrize(
    ("leaving", "contacts", "is_too_much"),
    [(19, 19, False), (20, 20, True), (20, 200, False), (21, 200, True), (20, 199, True), (0, 0, False)],
)
def test_a_share_of_the_contacts_and_at_least_20_have_to_be_at_stake(
    leaving: int, contacts: int, is_too_much: bool
) -> None:
    assert deletes_too_much(leaving, contacts, Decimal("0.10")) is is_too_much


def test_a_file_that_leaves_out_too_many_replaces_nobody_unless_somebody_accepts_it(
    database: Database, tmp_path: Path
) -> None:
    database.insert("contacts", *({"id": number, "zip_code": "1"} for number in range(1, 101)))
    text = "id,zip_code\n" + "".join(f"{number},2\n" for number in range(1, 81))
    before = content(database)
    promised = loaded(database, tmp_path, text, replace=True, is_dry_run=True)
    assert (promised.counts["deleted"], promised.deletes_too_much) == (20, True)
    told = r"20 of 100 contacts are not in the file, more than guard.max_contact_loss_share \(0.10\) allows"
    with pytest.raises(LossError, match=told):
        loaded(database, tmp_path, text, replace=True)
    assert content(database) == before
    assert not loaded(database, tmp_path, text).deletes_too_much
    assert len(content(database)) == 100
    done = loaded(database, tmp_path, text, replace=True, accepted=AcceptedLoss("anna", "a smaller book"))
    assert done.counts == {"created": 0, "updated": 0, "unchanged": 80, "repeated": 0, "deleted": 20}
    assert content(database, "id, zip_code") == [(number, "2") for number in range(1, 81)]


def test_replacing_keeps_those_that_were_created_without_an_id(agency: Database, tmp_path: Path) -> None:
    done = loaded(agency, tmp_path, "email\nann@example.com\nnew@example.com\n", replace=True)
    assert done.counts == {"created": 1, "updated": 0, "unchanged": 1, "repeated": 0, "deleted": 4}
    assert content(agency, "id, email") == [(1, "Ann@example.com"), (6, "new@example.com")]


def test_columns_of_postgresql_take_values_of_their_type(
    postgresql_database: PostgresqlDatabase, tmp_path: Path
) -> None:
    database = postgresql_database
    database.run("ALTER TABLE contacts ALTER birth_date TYPE date USING NULL, ADD score integer")
    text = "id,birth_date,score\n1,1950-03-10 00:00:00,7.0\n2,1950-03-11,8\n3,,\n"
    assert loaded(database, tmp_path, text).counts["created"] == 3
    assert loaded(database, tmp_path, text).counts["unchanged"] == 3
    assert database.query("SELECT id, CAST(birth_date AS TEXT), score FROM contacts ORDER BY id") == [
        (1, "1950-03-10", 7),
        (2, "1950-03-11", 8),
        (3, None, None),
    ]
    bad = refused(database, tmp_path, "id,birth_date\n1,soon\n")
    assert bad == [(2, "birth_date", ACCEPTED_DATE)]


def test_a_column_of_sqlite_that_holds_numbers_is_unchanged_by_the_same_number(
    sqlite_database: Database, tmp_path: Path
) -> None:
    sqlite_database.run(
        "ALTER TABLE contacts ADD COLUMN score INTEGER; ALTER TABLE contacts ADD COLUMN untyped"
    )
    text = "id,score,untyped\n1,07,07\n2,much,x\n"
    loaded(sqlite_database, tmp_path, text)
    assert loaded(sqlite_database, tmp_path, text).counts["unchanged"] == 2
    assert sqlite_database.query("SELECT id, score, untyped FROM contacts") == [
        (1, 7, "07"),
        (2, "much", "x"),
    ]


def test_the_command_tells_counts_and_never_who_it_is_about(
    agency: Database, tmp_path: Path, command: Command
) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text(
        "sep=;\nE-Mail;Zip;Notes\nANN@example.com;75009;x\nfresh@example.com;;\nhome@example.com;;\n", "utf-8"
    )
    load = ("contacts", "import", "--database", agency.url, "--csv", str(path))
    with pytest.raises(RuntimeError) as error:
        command(*load)
    assert "line 5: email: several contacts have this address" in str(error.value)
    shown = command(*load, "--skip-bad", "--dry-run")
    assert shown.splitlines() == [
        "Contacts created: 1",
        "Contacts updated: 1",
        "  zip_code: 1",
        "Contacts unchanged: 0",
        "Contacts deleted: 0 of 5",
        "Noted: columns passed over, which contacts do not have: notes",
        "Noted: 1 lines not taken: see above",
        "This was a dry run: nothing was changed.",
    ]
    document = json.loads(command(*load, "--skip-bad", "--json"))
    assert document["counts"] == {"created": 1, "updated": 1, "unchanged": 0, "repeated": 0, "deleted": 0}
    assert document["bad_lines"] == [{"line": 5, "column": "email", "reason": SHARED_ADDRESS}]
    for said in (str(error.value), shown, json.dumps(document)):
        assert "example.com" not in said.lower()
    for options in (["--accept-loss"], ["--reason", "x"], ["--accept-loss", "--by", "anna"]):
        with pytest.raises(RuntimeError, match=r"accepted is --(accept-loss with both|reason with --acc)"):
            command(*load, *options)


def test_many_lines_are_written_in_several_transactions_and_a_stopped_load_is_completed_by_the_same(
    agency: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staged_contacts, "_LINES_AT_A_TIME", 2)
    text = "id,email,zip_code\n" + "".join(f"{number},{number}@b.co,1\n" for number in range(1, 8))
    watch_updates(agency)
    written: list[object] = []
    create = staged_contacts.StagedContacts._create

    def stopped(self: Any, lines: Any) -> None:
        written.append(lines)
        if len(written) == 3:
            raise KeyboardInterrupt
        create(self, lines)

    with monkeypatch.context() as patched:
        patched.setattr(staged_contacts.StagedContacts, "_create", stopped)
        with pytest.raises(KeyboardInterrupt):
            loaded(agency, tmp_path, text, replace=True)
    # the heading is line 1: the first transaction holds one line, the second one two, the third was stopped
    assert [zip_code for (zip_code,) in content(agency, "zip_code")] == ["1", "1", "10001", "75001", "75001"]
    done = loaded(agency, tmp_path, text, replace=True)
    assert done.counts["unchanged"] + done.counts["updated"] + done.counts["created"] == 7
    assert done.counts["unchanged"] > 0
    assert content(agency, "id, email, zip_code") == [
        (number, f"{number}@b.co", "1") for number in range(1, 8)
    ]
    touched = agency.query("SELECT id, what FROM touched ORDER BY id")
    assert touched == [(number, "UPDATE" if number <= 5 else "INSERT") for number in range(1, 8)]
    smaller = loaded(agency, tmp_path, "id\n1\n7\n", replace=True)
    assert smaller.counts["deleted"] == 5
    assert content(agency, "id") == [(1,), (7,)]


cells = st.sampled_from(["", "", "1", "2", "renée", "=x", " y "])
given_ids = st.sampled_from(["", "1", "2", "3", "8", "9.0"])
given_addresses = st.sampled_from(
    ["", "Ann@example.com", "ANN@EXAMPLE.COM", "RENÉE@example.com", "n@b.co", "N@b.co"]
)


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(given_ids, given_addresses, cells, cells), min_size=1, max_size=6))
def test_whatever_lines_say_each_is_taken_once_or_told_and_the_table_holds_what_they_say(
    database: Database, tmp_path: Path, lines: list[tuple[str, str, str, str]]
) -> None:
    database.write("DELETE FROM contacts")
    columns = NAMES.split(", ")
    for row in (ANN, BOB, RENEE):
        database.insert("contacts", dict(zip(columns, row, strict=True)))
    text = "id,email,last_name,state\n" + "".join(f"{','.join(line)}\n" for line in lines)
    done = loaded(database, tmp_path, text, skip_bad=True)
    bad = {line for line, _, _ in done.bad_lines}
    blank = {number for number, line in enumerate(lines, start=2) if not any(cell.strip() for cell in line)}
    assert sum(done.counts.values()) + len(bad) + len(blank) == len(lines)
    stored = {row[0]: row[1:] for row in content(database, "id, email, last_name, state")}
    before = {row[0]: (row[3], row[2], row[5]) for row in (ANN, BOB, RENEE)}
    assert len(stored) == 3 + done.counts["created"]
    for number, (contact_id, email, *values) in enumerate(lines, start=2):
        if number in bad | blank:
            continue
        key = address_key(email)
        found = (
            int(float(contact_id))
            if contact_id
            else next(each for each, row in stored.items() if row[0] and address_key(row[0]) == key)
        )
        assert not email or address_key(stored[found][0]) == key
        expected = [
            value.strip() or old
            for value, old in zip(values, before.get(found, (None,) * 3)[1:], strict=True)
        ]
        assert list(stored[found][1:]) == expected
    if bad:
        # what was not clear before may be clear by now
        return
    again = loaded(database, tmp_path, text)
    assert again.counts["created"] == again.counts["updated"] == 0

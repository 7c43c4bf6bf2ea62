"""Contacts are found by their address, however it is written: in CSV files and by ``explain --email``."""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from email_scheduler.campaigns.selections import FromCsv
from email_scheduler.campaigns.service import Campaigns
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.cutover.import_history import import_history
from email_scheduler.database.addresses import contacts_of_addresses
from email_scheduler.database.connections import connect
from email_scheduler.database.csv_files import BadLinesError
from email_scheduler.database.line_import import NOT_THE_SAME, SHARED_ADDRESS, UNKNOWN_ADDRESS
from email_scheduler.planning.rules.contacts import address_key
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.databases import Database
from email_scheduler_tests.integration.conftest import Command

CONFIG = SchedulerConfig.model_validate({"audit": {"enable_pit_backups": False}})
AS_OF = date(2026, 11, 23)
# one contact each: as it is stored, and as somebody else writes it
SPELLINGS = [
    ("renée@example.com", "RENÉE@EXAMPLE.COM"),
    ("JÜRGEN@Example.com", "ju\u0308rgen@example.com"),
    ("STRASSE@b.example", "straße@b.example"),
    ("weiß@b.example", "WEISS@b.example"),
    ("x@münchen.example", "X@xn--mnchen-3ya.example"),
    ("y@XN--mnchen-3ya.example", "y@MÜNCHEN.example"),
    ("\u212aim@example.com", "kim@example.com"),
    ("kate@example.com", "\u212aATE@example.com"),
    ("\u00a0 plain@example.com\t", "Plain@EXAMPLE.com"),
    ("z@xn--0.example", "Z@XN--0.EXAMPLE"),
]
NOBODY = ["nobody@example.com", "renee@example.com", "müller@example.com", ""]


def filled(database: Database, addresses: Sequence[str | None]) -> Database:
    """Give the contacts 1, 2, 3 ... these addresses."""
    database.insert(
        "contacts", *({"id": number, "email": each} for number, each in enumerate(addresses, start=1))
    )
    return database


def found(database: Database, addresses: Sequence[str], at_most: int = 100) -> dict[str, list[int]]:
    with connect(database.url, CONFIG) as connection:
        return contacts_of_addresses(connection, addresses, at_most)


def file(directory: Path, text: str) -> Path:
    path = directory / "lines.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_each_spelling_of_an_address_finds_its_contact_and_nobody_else(database: Database) -> None:
    filled(database, [stored for stored, _ in SPELLINGS] + [None, ""])
    for number, spellings in enumerate(SPELLINGS, start=1):
        for written in spellings:
            assert found(database, [written]) == {address_key(written): [number]}
    assert found(database, NOBODY) == {each: [] for each in NOBODY}


def test_several_addresses_are_looked_up_at_once_and_of_one_not_more_than_are_wanted(
    database: Database,
) -> None:
    filled(database, ["a@b.co", "renée@b.co", "A@b.co", "a@B.co", "RENÉE@b.co"])
    assert found(database, ["A@B.CO", "a@b.co", "Renée@b.co", "x@b.co"]) == {
        "a@b.co": [1, 3, 4],
        "renée@b.co": [2, 5],
        "x@b.co": [],
    }
    assert found(database, ["a@b.co"], at_most=2) == {"a@b.co": [1, 3]}
    assert found(database, []) == {}


PARTS = st.sampled_from(["a", "A", "ß", "SS", "ü", "u\u0308", "Ü", "\u212a", "k", "ﬁ", "FI", " ", "\u3000"])
LABELS = st.sampled_from(["b.co", "B.CO", "xn--mnchen-3ya.co", "münchen.co", "XN--MNCHEN-3YA.co", "xn--0.co"])
ADDRESSES = st.builds(lambda parts, label: f"{''.join(parts)}@{label}", st.lists(PARTS, max_size=3), LABELS)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(stored=st.lists(ADDRESSES, min_size=1, max_size=12), wanted=st.lists(ADDRESSES, max_size=4))
def test_the_contacts_of_an_address_are_those_with_its_key(
    database: Database, stored: list[str], wanted: list[str]
) -> None:
    database.write("DELETE FROM contacts")
    filled(database, stored)
    expected = {
        address_key(each): [
            number for number, other in enumerate(stored, start=1) if address_key(other) == address_key(each)
        ]
        for each in wanted
    }
    assert found(database, wanted) == expected


def test_a_csv_file_of_targets_names_contacts_however_their_address_is_written(
    database: Database, tmp_path: Path
) -> None:
    filled(database, [stored for stored, _ in SPELLINGS])
    campaigns = Campaigns(database.url)
    campaigns.create_type("promo")
    campaigns.create_instance("promo", "spring", email_template="v1", metadata={"trigger_date": "2027-03-01"})
    lines = "".join(f'"{written}"\n' for _, written in SPELLINGS)
    done = campaigns.target("spring", FromCsv(file(tmp_path, f"email\n{lines}")))
    assert done.counts == {"added": len(SPELLINGS)}
    assert database.query("SELECT contact_id FROM contact_campaigns ORDER BY id") == [
        (number,) for number in range(1, len(SPELLINGS) + 1)
    ]


def test_a_csv_file_of_history_names_contacts_however_their_address_is_written(
    database: Database, tmp_path: Path
) -> None:
    filled(database, [stored for stored, _ in SPELLINGS])
    lines = "".join(f'"{written}",birthday,2026-02-01\n' for _, written in SPELLINGS)
    done = import_history(
        database.url, CONFIG, file(tmp_path, f"email,email_type,send_date\n{lines}"), as_of=AS_OF
    )
    assert done.counts == {"added": len(SPELLINGS), "not_sent": 0}
    assert database.query("SELECT contact_id FROM email_schedules ORDER BY id") == [
        (number,) for number in range(1, len(SPELLINGS) + 1)
    ]


def test_an_address_in_several_spellings_is_shared_and_an_id_has_to_belong_to_it(
    database: Database, tmp_path: Path
) -> None:
    filled(database, ["RENÉE@example.com", "renée@example.com", "kim@example.com", "\u212aIM@example.com"])
    lines = (
        ",Renée@example.com\n,KIM@example.com\n1,renée@EXAMPLE.com\n4,Kim@example.com\n"
        "3,renée@example.com\n2,kim@example.com\n,renee@example.com\n"
    )
    text = "contact_id,email,email_type,send_date\n" + lines.replace("\n", ",birthday,2026-02-01\n")
    with pytest.raises(BadLinesError) as refused:
        import_history(database.url, CONFIG, file(tmp_path, text), as_of=AS_OF)
    assert list(refused.value.bad_lines) == [
        (2, "email", SHARED_ADDRESS),
        (3, "email", SHARED_ADDRESS),
        (6, "contact_id", NOT_THE_SAME),
        (7, "contact_id", NOT_THE_SAME),
        (8, "email", UNKNOWN_ADDRESS),
    ]


def test_explain_finds_contacts_however_their_address_is_written(
    database: Database, command: Command
) -> None:
    addresses = [stored for stored, _ in SPELLINGS]
    filled(database, [*addresses, "Renée@Example.COM"])
    database.write("UPDATE contacts SET zip_code = '75001'")
    database.insert("contact_suppressions", {"contact_id": len(addresses) + 1, "suppressed_at": "2026-01-01"})
    plan_and_publish(database.url, CONFIG, AS_OF)
    at = ("explain", "--database", database.url, "--as-of", str(AS_OF), "--json")
    for number, (_, written) in enumerate(SPELLINGS[1:], start=2):
        (answer,) = json.loads(command(*at, "--email", written))["contacts"]
        assert answer["explanation"]["contact"]["contact_id"] == number
    both = json.loads(command(*at, "--email", "RENÉE@EXAMPLE.COM"))["contacts"]
    told = [each["explanation"]["contact"] for each in both]
    assert [(each["contact_id"], each["same_address"]) for each in told] == [(1, [11]), (11, [1])]
    assert [[each["contact_id"] for each in one["suppressions"]] for one in told] == [[11], [11]]
    with pytest.raises(RuntimeError, match="no contact has the address that is given"):
        command(*at, "--email", "renee@example.com")

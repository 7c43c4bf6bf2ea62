"""States are those of the zipcodes package; ZIPs are read as people and spreadsheets write them."""

import numpy as np
import pytest
import zipcodes

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.rules.contacts import STATES, state_codes_by_zip, validate_contacts
from email_scheduler_tests import zip_table
from email_scheduler_tests.builders import contact, inputs


def test_every_zip_of_the_package_has_its_state_and_no_other_zip_has_one() -> None:
    expected = {int(entry["zip_code"]): entry["state"] for entry in zipcodes.list_all()}
    codes = state_codes_by_zip()
    found = {int(number): STATES[codes[number]] for number in np.flatnonzero(codes >= 0)}
    assert found == expected


def test_the_table_is_that_of_the_package() -> None:
    text = zip_table.FILE.read_text(encoding="utf-8")
    assert zip_table.renewed(text) == text, "make reference"


@pytest.mark.parametrize(("zip_code", "stated", "expected"), [
    ("75001", None, "TX"), ("75001.0", None, "TX"), ("2134.0", "MA", "MA"), ("2134.0", "Massachusetts", "MA"),
    ("21341234", None, "MA"), ('="02134"', "TX", "MA"), ("'02134", " ", "MA"), ("7302", "New Jersey", "NJ"),
    ("7302", "NEW\t\u2003jersey ", "NJ"), ("601", "puerto rico", "PR"), ("7302", "Jersey", None),
    ("75001-", "TX", None), ("9021", "CA", None), ("5011234", "NY", None), ("21341234", "NY", None),
    ('="75001', None, None), ("75001.00", None, None),
])  # fmt: skip
def test_the_zip_decides_the_state(zip_code: str, stated: str | None, expected: str | None) -> None:
    tables = inputs("2026-11-23", [contact(1, zip_code, state=stated)])
    contacts, _ = validate_contacts(tables, SchedulerConfig())
    assert contacts["state"].tolist() == ([expected] if expected else [])

"""What an explanation says: words for everything, windows day by day, and the ZIP."""

import re
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.explain.contact import read_zip
from email_scheduler.explain.deciding import window_intervals
from email_scheduler.explain.facts import Facts
from email_scheduler.planning.columns.dates import to_day
from email_scheduler.planning.rules.exclusions import ALLOWED, EXCLUSION_REASONS
from email_scheduler.registry.reasons import NO_ROW
from email_scheduler_tests.builders import contact, inputs
from email_scheduler_tests.strategies import random_case


def test_every_reason_why_there_is_no_row_is_described_and_no_other() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "how-to" / "why-was-this-skipped.md").read_text()
    described = guide.partition("## No row at all")[2].partition("\n## ")[0]
    rows = [line.split(" | ")[0] for line in described.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(NO_ROW)


@pytest.mark.parametrize("seed", range(300, 306))
def test_the_windows_that_are_listed_are_the_days_that_are_excluded(seed: int) -> None:
    organisation, config = random_case(seed)
    facts = Facts(organisation, config)
    first, last = organisation.as_of, organisation.as_of + timedelta(days=800)
    days = np.arange(to_day(first), to_day(last) + 1, dtype=np.int32)
    for position in range(min(len(facts.contacts), 12)):
        codes = facts.basis.windows.reasons(np.full(len(days), position), days)
        expected = ["" if code == ALLOWED else EXCLUSION_REASONS[code - 1] for code in codes]
        listed = [""] * len(days)
        # the first rule that holds gives the reason
        for each in reversed(window_intervals(facts, position, first, last)):
            begin, end = max(each.first or first, first), min(each.last or last, last)
            for number in range((begin - first).days, (end - first).days + 1):
                listed[number] = each.reason
        assert listed == expected, facts.contacts.iloc[position]


def test_a_window_says_its_source_and_what_it_hangs_on() -> None:
    rules = {
        "birthday_windows": {
            "CA": {
                "window_before_days": 30,
                "window_after_days": 60,
                "source": "Ins. Code 10192.11",
                "valid_from": "2027-01-01",
            }
        },
        "age_76_plus_exclusion": ["CA"],
    }
    config = SchedulerConfig.model_validate({"state_rules": rules})
    facts = Facts(inputs("2026-11-23", [contact(1, "90210", "1951-02-10")]), config)
    window, following, age = window_intervals(facts, 0, date(2026, 11, 23), date(2027, 11, 23))
    # 90 days before the birthday, but not before the rule is law
    assert (window.first, window.last, window.anchor) == (
        date(2027, 1, 1),
        date(2027, 4, 11),
        date(2027, 2, 10),
    )
    assert window.rule.setting == "state_rules.birthday_windows.CA"
    assert (window.rule.source, window.rule.valid_from) == ("Ins. Code 10192.11", date(2027, 1, 1))
    assert (following.first, following.anchor) == (date(2027, 11, 12), date(2028, 2, 10))
    assert (window.anchor_name, age.anchor_name) == ("birth_date", None)
    assert (age.reason, age.first, age.last) == ("Age 76+ exclusion in CA", date(2027, 2, 10), None)


@pytest.mark.parametrize(
    ("written", "digits", "said"),
    [
        ("90210", "90210", "lies in CA"),
        ("021341234", "02134", "lies in MA"),
        (" 2134-1234 ", "02134", "leading zero was put back, 02134, MA"),
        ("501", "00501", "leading zeros were put back, 00501, NY"),
        ("00000", "00000", "lies in no state"),
        ("7500x", None, "neither of 5 or 9 digits"),
        (None, None, "no ZIP code"),
    ],
)
def test_how_the_state_came_from_the_zip_is_told(written: str | None, digits: str | None, said: str) -> None:
    found, text = read_zip(written)
    assert found == digits
    assert said in text

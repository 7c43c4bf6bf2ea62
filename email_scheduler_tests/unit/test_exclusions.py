"""Exclusion windows against a scan that asks the oracle about one day of one contact at a time."""

import random
from datetime import date, timedelta

import numpy as np
import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.columns.dates import to_day
from email_scheduler.planning.rules.contacts import validate_contacts
from email_scheduler.planning.rules.exclusions import ALLOWED, EXCLUSION_REASONS, FOREVER, ExclusionWindows
from email_scheduler_tests.builders import contact, inputs
from email_scheduler_tests.oracle.book import read_book
from email_scheduler_tests.oracle.contacts import read_contacts
from email_scheduler_tests.oracle.windows import Windows
from email_scheduler_tests.strategies import random_case

DAYS_SCANNED = 500


@pytest.mark.parametrize("seed", range(8))
def test_the_windows_are_those_of_a_scan_of_every_day(seed: int) -> None:
    organisation, config = random_case(seed)
    contacts, _ = validate_contacts(organisation, config)
    windows = ExclusionWindows(contacts, config.state_rules)
    people = {one.id: one for one in read_contacts(read_book(organisation, config))[0]}
    oracle = Windows(config)
    rng = random.Random(seed)
    for row in rng.sample(range(len(contacts)), min(6, len(contacts))):
        person = people[int(contacts["contact_id"].iloc[row])]
        start = organisation.as_of - timedelta(days=rng.randrange(300))
        expected = [oracle.reason(person, start + timedelta(days=n)) for n in range(DAYS_SCANNED)]
        days = np.arange(DAYS_SCANNED, dtype=np.int32) + np.int32(to_day(start))
        rows = np.full(DAYS_SCANNED, row, np.int64)
        codes = windows.reasons(rows, days)
        assert [None if code == ALLOWED else EXCLUSION_REASONS[code - 1] for code in codes] == expected

        last = days[-1]
        allowed = windows.first_allowed(rows, days, np.full(DAYS_SCANNED, last, np.int32))
        excluded = windows.next_excluded(rows, days)
        for number in range(DAYS_SCANNED):
            rest = expected[number:]
            first_allowed = rest.index(None) if None in rest else None
            first_excluded = next((n for n, reason in enumerate(rest) if reason is not None), None)
            if first_allowed is None:
                assert allowed[number] > last
            else:
                assert allowed[number] == days[number] + first_allowed
            if first_excluded is None:
                assert excluded[number] > last
            else:
                assert excluded[number] == days[number] + first_excluded


def windows_of(birth_date: str, rules: dict[str, object]) -> ExclusionWindows:
    organisation = inputs("2026-11-23", [contact(1, "75001", birth_date)])
    contacts, _ = validate_contacts(organisation, SchedulerConfig())
    return ExclusionWindows(contacts, SchedulerConfig.model_validate({"state_rules": rules}).state_rules)


def excluded_between(windows: ExclusionWindows, first: date, last: date) -> list[date]:
    span = (last - first).days + 1
    days = np.arange(span, dtype=np.int32) + np.int32(to_day(first))
    codes = windows.reasons(np.zeros(span, np.int64), days)
    return [first + timedelta(days=number) for number in range(span) if codes[number] != ALLOWED]


def test_a_window_includes_both_of_its_ends() -> None:
    window = {"window_before_days": 2, "window_after_days": 1, "pre_window_extension_days": 3}
    windows = windows_of("1950-01-03", {"birthday_windows": {"TX": window}})
    found = excluded_between(windows, date(2026, 6, 1), date(2027, 6, 1))
    assert (found[0], found[-1], len(found)) == (date(2026, 12, 29), date(2027, 1, 4), 7)


def test_a_window_excludes_only_days_on_which_it_is_law() -> None:
    window = {
        "window_before_days": 10,
        "window_after_days": 10,
        "pre_window_extension_days": 0,
        "valid_from": "2027-01-01",
        "valid_to": "2027-01-05",
    }
    windows = windows_of("1950-01-03", {"birthday_windows": {"TX": window}})
    found = excluded_between(windows, date(2026, 6, 1), date(2028, 6, 1))
    assert (found[0], found[-1], len(found)) == (date(2027, 1, 1), date(2027, 1, 5), 5)


def test_nobody_is_excluded_by_a_window_before_being_born_but_in_the_year_of_birth() -> None:
    window = {"window_before_days": 0, "window_after_days": 3, "pre_window_extension_days": 0}
    windows = windows_of("2026-11-20", {"birthday_windows": {"TX": window}})
    found = excluded_between(windows, date(2020, 1, 1), date(2027, 6, 1))
    assert found == [date(2026, 11, day) for day in (20, 21, 22, 23)]


def test_the_age_of_76_begins_on_the_birthday_and_never_ends() -> None:
    windows = windows_of("1952-02-29", {"age_76_plus_exclusion": ["TX"]})
    row = np.zeros(1, np.int64)
    begin = to_day(date(2028, 2, 29))
    assert windows.next_excluded(row, np.array([begin - 400], np.int32)).tolist() == [begin]
    far = np.array([begin + 100_000], np.int32)
    assert windows.first_allowed(row, np.array([begin], np.int32), far)[0] > far[0]


def test_a_state_without_a_rule_excludes_nothing() -> None:
    windows = windows_of("1950-03-10", {"year_round_exclusion": ["NY"]})
    row, day = np.zeros(1, np.int64), np.array([to_day(date(2027, 1, 1))], np.int32)
    assert not windows.is_ruled.any()
    assert windows.reasons(row, day).tolist() == [ALLOWED]
    assert windows.first_allowed(row, day, day).tolist() == day.tolist()
    assert windows.next_excluded(row, day)[0] >= FOREVER

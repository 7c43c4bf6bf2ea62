"""The proof's windows agree with a reading of section 5 that asks about one day of one contact at a time."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.config.state_rules import Window
from email_scheduler.planning import frames
from email_scheduler.proof.exclusion_windows import REASONS, Windows
from email_scheduler_tests.builders import table

EPOCH = date(1970, 1, 1)
FIRST, LAST = date(2026, 1, 1), date(2029, 12, 31)
days = st.dates(FIRST, LAST)


@dataclass(frozen=True)
class Person:
    birth_date: date | None
    effective_date: date | None
    is_birth_date_unreadable: bool
    is_effective_date_unreadable: bool


people = st.builds(
    Person,
    birth_date=st.none()
    | st.dates(date(1930, 1, 1), date(1960, 12, 31))
    | st.sampled_from([date(1952, 2, 29), date(1951, 12, 31), date(1950, 1, 1), date(2027, 3, 1)]),
    effective_date=st.none() | st.dates(date(2015, 1, 1), date(2031, 12, 31)),
    is_birth_date_unreadable=st.booleans(),
    is_effective_date_unreadable=st.booleans(),
)


@st.composite
def windows(draw: st.DrawFn) -> dict[str, object]:
    before, extension = draw(st.integers(-40, 400)), draw(st.integers(-20, 90))
    valid = sorted([draw(days), draw(days)])
    return {
        "window_before_days": before,
        "pre_window_extension_days": extension,
        "window_after_days": draw(st.integers(-before - extension, -before - extension + 450)),
        "use_month_start": draw(st.booleans()),
        "valid_from": draw(st.sampled_from([None, valid[0]])),
        "valid_to": draw(st.sampled_from([None, valid[1]])),
    }


ages = st.fixed_dictionaries({}, optional={"min_age": st.integers(60, 77), "max_age": st.integers(77, 99)})


@st.composite
def configurations(draw: st.DrawFn) -> SchedulerConfig:
    rules = {
        "year_round_exclusion": ["CA"] if draw(st.integers(0, 9)) == 0 else [],
        "age_76_plus_exclusion": ["CA"] if draw(st.booleans()) else [],
        "exclude_when_anchor_missing": draw(st.booleans()),
    }
    for kind in ("birthday_windows", "effective_date_windows"):
        own = draw(st.lists(windows(), max_size=2))
        if kind == "birthday_windows":
            own = [window | draw(ages) for window in own]
        rules[kind] = {"CA": own} if own else {}
    return SchedulerConfig.model_validate({"state_rules": rules})


def anniversary(day: date, year: int) -> date:
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def is_in_window(anchor: date, window: Window, day: date) -> bool:
    if (window.valid_from and day < window.valid_from) or (window.valid_to and day > window.valid_to):
        return False
    for year in range(max(anchor.year, day.year - 3), day.year + 4):
        if (
            not (getattr(window, "min_age", None) or 0)
            <= year - anchor.year
            <= (200 if getattr(window, "max_age", None) is None else window.max_age)
        ):
            continue
        event = anniversary(anchor, year)
        if window.use_month_start:
            event = event.replace(day=1)
        opens = event - timedelta(days=window.window_before_days + window.pre_window_extension_days)
        if opens <= day <= event + timedelta(days=window.window_after_days):
            return True
    return False


def reason_of(config: SchedulerConfig, person: Person, day: date) -> str | None:
    """Section 5, for a Californian."""
    rules = config.state_rules
    if "CA" in rules.year_round_exclusion:
        return "Year-round exclusion"
    for name, anchor, unreadable, own in (
        ("Birth", person.birth_date, person.is_birth_date_unreadable, rules.birthday_windows),
        (
            "Effective",
            person.effective_date,
            person.is_effective_date_unreadable,
            rules.effective_date_windows,
        ),
    ):
        for window in own.get("CA", ()):
            is_law = (window.valid_from or FIRST) <= day <= (window.valid_to or LAST)
            if anchor is None and (unreadable or rules.exclude_when_anchor_missing) and is_law:
                return f"{name} date unknown"
            if anchor is not None and is_in_window(anchor, window, day):
                return "Birthday exclusion window" if name == "Birth" else "Effective date exclusion window"
    born = person.birth_date
    unknown = person.is_birth_date_unreadable or rules.exclude_when_anchor_missing
    if "CA" in rules.age_76_plus_exclusion and born is None and unknown:
        return "Birth date unknown"
    if "CA" in rules.age_76_plus_exclusion and born and day >= anniversary(born, born.year + 76):
        return "Age 76+ exclusion"
    return None


def number_of(day: date | None) -> int | None:
    return None if day is None else (day - EPOCH).days


def proofs_windows(config: SchedulerConfig, *several: Person) -> Windows:
    rows = [
        {
            "contact_id": at,
            "state": "CA",
            "birth_date": number_of(person.birth_date),
            "effective_date": number_of(person.effective_date),
            # a date that is there was readable
            "is_birth_date_unreadable": person.is_birth_date_unreadable and person.birth_date is None,
            "is_effective_date_unreadable": person.is_effective_date_unreadable
            and person.effective_date is None,
        }
        for at, person in enumerate(several, start=1)
    ]
    return Windows(table(frames.CONTACTS, rows), config)


def column(*several: date) -> np.ndarray:
    return np.array([number_of(day) for day in several], dtype=np.int32)


@given(configurations(), st.lists(people, min_size=1, max_size=4), st.lists(days, min_size=1, max_size=8))
def test_every_day_is_excluded_for_the_first_reason_that_holds(config, several, some):
    who = np.array([at for at in range(len(several)) for _ in some], dtype=np.int32)
    found = proofs_windows(config, *several).reasons(who, column(*some * len(several)))
    expected = [reason_of(config, person, day) for person in several for day in some]
    assert [REASONS.get(code) for code in found.tolist()] == expected


@given(configurations(), people, st.dates(FIRST, date(2028, 6, 30)), st.integers(0, 366))
def test_the_next_allowed_day_is_the_first_that_is_not_excluded(config, person, start, patience):
    later = [start + timedelta(days=wait) for wait in range(patience + 1)]
    expected = next((day for day in later if reason_of(config, person, day) is None), None)
    who = np.zeros(1, dtype=np.int32)
    limit = column(later[-1])
    found = proofs_windows(config, person).next_allowed(who, column(start), limit)
    assert (found[0] > limit[0]) if expected is None else (found[0] == number_of(expected))


@given(configurations(), people, st.dates(FIRST, date(2028, 6, 30)), st.integers(0, 500))
def test_a_stretch_of_days_touches_a_window_if_one_of_its_days_is_excluded(config, person, start, length):
    stretch = [start + timedelta(days=at) for at in range(length + 1)]
    expected = any(reason_of(config, person, day) for day in stretch)
    who = np.zeros(1, dtype=np.int32)
    assert proofs_windows(config, person).touch(who, column(start), column(stretch[-1]))[0] == expected

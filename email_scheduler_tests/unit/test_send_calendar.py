"""Open and closed days."""

from datetime import date

import numpy as np
import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.columns.dates import format_days
from email_scheduler.planning.rules.exclusions import OpenDays
from email_scheduler_tests.builders import day_number

# 2026-12-25 is a Friday
CHRISTMAS = {"no_send_weekdays": ["sat", "sun"], "no_send_dates": [date(2026, 12, 25), date(2026, 12, 28)]}


def open_days(section: dict[str, object]) -> OpenDays:
    return OpenDays(SchedulerConfig.model_validate({"send_calendar": section}).send_calendar)


def days(*texts: str) -> np.ndarray:
    return np.array([day_number(text) for text in texts], np.int32)


@pytest.mark.parametrize(
    ("day", "before", "after"),
    [
        ("2026-12-24", "2026-12-24", "2026-12-24"),
        ("2026-12-25", "2026-12-24", "2026-12-29"),
        ("2026-12-26", "2026-12-24", "2026-12-29"),
        ("2026-12-28", "2026-12-24", "2026-12-29"),
        ("2026-12-29", "2026-12-29", "2026-12-29"),
        ("2027-01-02", "2027-01-01", "2027-01-04"),
        ("1969-12-28", "1969-12-26", "1969-12-29"),
    ],
)
def test_the_open_days_around_a_day(day: str, before: str, after: str) -> None:
    calendar = open_days(CHRISTMAS)
    assert calendar.is_open(days(day)).tolist() == [day == before]
    assert format_days(calendar.previous_open(days(day, "2026-12-24"))).tolist() == [before, "2026-12-24"]
    assert format_days(calendar.next_open(days(day, "2026-12-24"))).tolist() == [after, "2026-12-24"]
    assert calendar.previous_open_day(day_number(day)) == day_number(before)
    assert calendar.next_open_day(day_number(day)) == day_number(after)


@pytest.mark.parametrize("position", range(7))
def test_each_name_of_a_weekday_closes_its_day(position: int) -> None:
    names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    # 2026-11-23 is a Monday
    week = days(*(f"2026-11-{23 + number}" for number in range(7)))
    is_open = open_days({"no_send_weekdays": [names[position]]}).is_open(week).tolist()
    assert is_open == [number != position for number in range(7)]


def test_without_closed_days_every_day_is_open_and_none_moves() -> None:
    week = days("2026-12-25", "2026-12-26")
    calendar = open_days({})
    assert calendar.is_open(week).all()
    assert calendar.next_open(week).tolist() == calendar.previous_open(week).tolist() == week.tolist()


def test_asking_for_open_days_leaves_the_days_asked_for_as_they_are() -> None:
    given = days("2026-12-26")
    open_days(CHRISTMAS).next_open(given)
    assert given.tolist() == days("2026-12-26").tolist()

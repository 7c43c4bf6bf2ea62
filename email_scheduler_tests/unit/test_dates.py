"""Dates as planning reads and counts them."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from email_scheduler.planning.columns.dates import (
    Anchors,
    anniversaries,
    date_parts,
    event_days,
    format_days,
    from_day,
    ordinals,
    parse_dates,
    to_day,
    years_of,
)
from email_scheduler.planning.frames import NO_DATE
from email_scheduler_tests.builders import day_number


def column(*texts: str | None) -> pd.Series:
    return pd.Series(list(texts), dtype="str")


@pytest.mark.parametrize(
    "text",
    [
        "1952-02-29",
        " 1952-02-29\t",
        "\u00a01952-02-29\u2003",
        "1952-02-29T00:00:00",
        "1952-02-29 23:59:59+02:00",
        "1952-02-29T",
        "1952-02-29 whatever",
    ],
)
def test_an_iso_date_is_read_whatever_time_follows(text: str) -> None:
    days, is_unreadable = parse_dates(column(text))
    assert format_days(days).tolist() == ["1952-02-29"]
    assert is_unreadable.tolist() == [False]


@pytest.mark.parametrize(
    "text",
    [
        "0000-01-01",
        "2023-02-30",
        "1951-02-29",
        "1900-02-29",
        "2023-00-10",
        "2023-13-01",
        "2023-01-00",
        "2023-04-31",
        "1950-3-10",
        "50-03-10",
        "03/10/1950",
        "19500310",
        "1950-03-10x",
        "1950-03-10\nx",
        "x1950-03-10",
        "1950-03-1",
        "1950-03",
        "-1950-03-10",
        "\uff11950-03-10",
        "T",
    ],
)
def test_what_is_no_iso_date_of_the_calendar_is_unreadable(text: str) -> None:
    days, is_unreadable = parse_dates(column(text))
    assert days.tolist() == [NO_DATE]
    assert is_unreadable.tolist() == [True]


@pytest.mark.parametrize("text", [None, "", " ", "\t\n", "\u00a0"])
def test_a_blank_date_is_missing_and_not_unreadable(text: str | None) -> None:
    days, is_unreadable = parse_dates(column(text))
    assert days.tolist() == [NO_DATE]
    assert is_unreadable.tolist() == [False]


def test_the_bounds_of_what_is_accepted_are_inclusive() -> None:
    texts = column("1899-12-31", "1900-01-01", "2026-11-23", "2026-11-24")
    days, is_unreadable = parse_dates(texts, first=date(1900, 1, 1), last=date(2026, 11, 23))
    assert days.tolist() == [NO_DATE, day_number("1900-01-01"), day_number("2026-11-23"), NO_DATE]
    assert is_unreadable.tolist() == [True, False, False, True]


def test_the_whole_calendar_can_be_read() -> None:
    days, is_unreadable = parse_dates(column("0001-01-01", "9999-12-31"))
    assert ordinals(days).tolist() == [date.min.toordinal(), date.max.toordinal()]
    assert not is_unreadable.any()


def test_a_column_of_categories_reads_like_a_column_of_texts() -> None:
    texts = column("1950-03-10", None, "no", "1950-03-10")
    for one, other in zip(parse_dates(texts), parse_dates(texts.astype("category")), strict=True):
        assert one.tolist() == other.tolist()


def test_the_date_part_of_a_timestamp_is_its_first_ten_characters() -> None:
    texts = column("2026-11-23T08:30:07", "2026-11-23x", " 2026-11-23", "2026-11-2", "", None)
    read = day_number("2026-11-23")
    assert date_parts(texts).tolist() == [read, read, NO_DATE, NO_DATE, NO_DATE, NO_DATE]


@pytest.mark.parametrize(
    ("year", "expected"),
    [(2023, "2023-02-28"), (2024, "2024-02-29"), (2100, "2100-02-28"), (2000, "2000-02-29")],
)
def test_29_february_is_the_28th_in_a_common_year(year: int, expected: str) -> None:
    assert anniversaries(2, 29, year) == day_number(expected)
    anchors = Anchors.of(np.array([day_number("1952-02-29")], np.int32))
    assert anchors.anniversaries(np.array([year], np.int32)).tolist() == [day_number(expected)]


def test_the_28th_of_february_stays_the_28th_in_a_leap_year() -> None:
    assert anniversaries(2, 28, 2024) == day_number("2024-02-28")


def test_an_anchor_moves_to_the_first_of_its_month_where_it_is_told() -> None:
    anchors = Anchors.of(np.array([day_number("1952-02-29"), day_number("1950-12-31"), NO_DATE], np.int32))
    moved = anchors.first_of_month(np.array([True, False, True]))
    assert moved.is_known.tolist() == [True, True, False]
    days = moved.anniversaries(np.array([2026, 2026, 2026], np.int32))
    assert format_days(days[:2]).tolist() == ["2026-02-01", "2026-12-31"]


def test_days_before_the_epoch_split_like_those_after_it() -> None:
    some = [date(1900, 1, 1) + timedelta(days=97 * number) for number in range(900)]
    days = np.array([to_day(day) for day in some], np.int32)
    anchors = Anchors.of(days)
    parts = zip(anchors.year.tolist(), anchors.month.tolist(), anchors.day.tolist(), strict=True)
    assert [date(*part) for part in parts] == some
    assert years_of(days).tolist() == [day.year for day in some]
    assert [from_day(day) for day in days] == some


@pytest.mark.parametrize(
    ("year", "month", "day"),
    [(2025, 2, 29), (2025, 2, 30), (0, 1, 1), (10_000, 1, 1), (2025, 13, 1), (2025, 0, 1), (2025, 1, 0)],
)
def test_an_event_that_is_no_date_of_the_calendar_is_none(year: int, month: int, day: int) -> None:
    parts = [np.array([part, good], np.int32) for part, good in ((year, 2024), (month, 2), (day, 29))]
    assert event_days(*parts).tolist() == [NO_DATE, day_number("2024-02-29")]


def test_an_event_of_missing_numbers_is_none() -> None:
    missing = np.array([NO_DATE], np.int32)
    assert event_days(missing, missing, missing).tolist() == [NO_DATE]

"""Reading moments as they are stored."""

from datetime import UTC, datetime, timedelta

import pytest

from email_scheduler.clock import TIME_ZONE
from email_scheduler.database.connections.column_types import read_moment, timestamp

MOMENT = datetime(2026, 11, 23, 16, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T16:30:00.000+00:00",
        "2026-11-23T16:30:00Z",
        "2026-11-23 10:30:00-06",
        # without an offset it is UTC, as SQLite fills it in
        "2026-11-23 16:30:00",
    ],
)
def test_a_moment_is_read_as_it_was_stored(text: str) -> None:
    assert read_moment(text) == MOMENT


def test_a_moment_that_is_written_is_read_back() -> None:
    assert read_moment(timestamp(MOMENT.astimezone(TIME_ZONE))) == MOMENT


def test_without_an_offset_a_moment_may_be_said_to_be_of_another_zone() -> None:
    assert read_moment("2026-11-23 10:30:00", TIME_ZONE) == MOMENT
    assert read_moment("2026-11-23T10:30:00+00:00", TIME_ZONE) == MOMENT - timedelta(hours=6)


@pytest.mark.parametrize("text", [None, "", "yesterday", "2026-13-01"])
def test_what_is_no_moment_is_none(text: str | None) -> None:
    assert read_moment(text) is None

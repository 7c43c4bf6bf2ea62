"""Whatever a CSV file of emails holds: each line is taken as it stands, or told; none is lost."""

import csv
import io
from datetime import date, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from email_scheduler.clock import TIME_ZONE
from email_scheduler.cutover.older_emails import (
    ACCEPTED_MOMENT,
    NO_SEND_DATE,
    UNKNOWN_STATUS,
    UNKNOWN_TYPE,
    EmailLine,
    read_emails,
)
from email_scheduler.database.csv_files import ACCEPTED_DATE, ACCEPTED_ID, NO_CONTACT, BadLines
from email_scheduler.errors import UsageError

some = settings(max_examples=100, deadline=None, derandomize=True, database=None)

HEADING = (
    "contact_id,email_type,scheduled_send_date,actual_send_datetime,status,event_year,event_month,event_day"
)
types = st.sampled_from(
    ["birthday", "aep", "post_window", "campaign_promo_2", "followup_1_cold", "rate_increase"]
)
bad_types = st.sampled_from(["", "birth day", "campaign_", "campaign_no-one", "anniversary", "=cmd"])
days = st.dates(date(1900, 1, 1), date(2200, 12, 31))
bad_days = st.sampled_from(["yesterday", "2026-2-3", "2026-02-30", "12/31/2026", "1899-12-31", "20260101"])
bad_moments = st.sampled_from(["2026-01-01T", "2026-01-01T25:00", "2026-01-01 noon", "2026-13-01T08:00"])
statuses = st.sampled_from(
    ["sent", "delivered", "failed", "processing", "scheduled", "pre-scheduled", "skipped", ""]
)


def read(text: str) -> tuple[list[EmailLine], list[tuple[int, str, str]]]:
    bad = BadLines()
    return list(read_emails(io.StringIO(text, newline=""), "file", bad)), list(bad)


def one_line(*cells: object) -> tuple[list[EmailLine], list[tuple[int, str, str]]]:
    file = io.StringIO(newline="")
    csv.writer(file).writerow(cells)
    return read(f"{HEADING}\n{file.getvalue()}")


@some
@given(
    st.text(max_size=200),
    st.sampled_from(["contact_id,email_type,send_date\n", "email;email_type;sent\n", ""]),
)
def test_no_text_breaks_the_reader_and_no_line_is_both_taken_and_told(text: str, heading: str) -> None:
    try:
        lines, bad = read(heading + text)
    except UsageError:
        return
    taken = [line.number for line in lines]
    assert taken == sorted(set(taken))
    assert not {line for line, _, _ in bad} & set(taken)


@some
@given(st.integers(0, 10**18 - 1), types, days, statuses, st.one_of(st.none(), days))
def test_a_good_line_is_taken_as_it_stands(
    contact: int, email_type: str, sent: date, status: str, event: date | None
) -> None:
    parts = (event.year, event.month, event.day) if event else ("", "", "")
    (line,), bad = one_line(contact, email_type, sent, "", status, *parts)
    assert bad == []
    assert (line.contact_id, line.email_type, line.send_date) == (contact, email_type, sent.isoformat())
    assert (line.status, line.sent_at) == (status or "sent", None)
    assert line.event_date == (event.isoformat() if event else None)


@some
@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(
        lambda moment: moment.replace(microsecond=0)
    ),
    st.integers(-14 * 60, 14 * 60),
)
def test_a_moment_counts_for_its_day_in_us_central_time(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    (line,), _ = one_line(1, "aep", "", aware.isoformat(), "", "", "", "")
    central = aware.astimezone(TIME_ZONE)
    assert line.sent_at is not None
    assert datetime.fromisoformat(line.sent_at) == aware
    assert line.send_date == line.sent_at[:10] == central.date().isoformat()
    # without an offset it is one of US Central time already
    (line,), _ = one_line(1, "aep", "", moment.isoformat(" "), "", "", "", "")
    assert line.send_date == moment.date().isoformat()


@some
@given(
    st.sampled_from(["x", "1.5", "-3", "9" * 19, ""]),
    bad_types,
    st.one_of(bad_days, bad_moments, st.just("")),
    st.sampled_from(["sending", "bounced", "-"]),
    st.sampled_from([(2026, 2, 30), (2026, "", ""), ("x", 1, 1), (0, 1, 1)]),
)
def test_every_bad_cell_is_told_with_its_column(
    contact: str, email_type: str, day: str, status: str, event: tuple[object, ...]
) -> None:
    lines, bad = one_line(contact, email_type, day, "", status, *event)
    assert lines == []
    assert set(bad) == {
        (2, "contact_id", ACCEPTED_ID if contact else NO_CONTACT),
        (2, "email_type", UNKNOWN_TYPE),
        (2, "scheduled_send_date", ACCEPTED_MOMENT if day else NO_SEND_DATE),
        (2, "status", UNKNOWN_STATUS),
        (2, "event_year", ACCEPTED_DATE),
    }

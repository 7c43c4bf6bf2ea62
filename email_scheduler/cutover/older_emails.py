"""Reading the emails of an older program: what it has sent, and what it has planned.

From a CSV file, or from a database that nobody has brought up to date.
"""

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from email_scheduler.clock import TIME_ZONE
from email_scheduler.config import FIRST_YEAR, LAST_YEAR, SchedulerConfig
from email_scheduler.cutover.rate_increases import OLDER_TYPE
from email_scheduler.database import (
    ACCEPTED_DATE,
    CONTACT_ID,
    EMAIL,
    PLANNER_ROW_SQL,
    BadLines,
    BadLinesError,
    Dates,
    Problems,
    connect,
    database_errors,
    display_url,
    open_csv,
    read_contact,
    read_frame,
    read_lines,
    retrying,
    unescape_cell,
)
from email_scheduler.errors import DatabaseError, UsageError
from email_scheduler.planning import ID, NO_NUMBER, NUMBER, TEXT, Frame
from email_scheduler.registry import BUILT_IN_TYPES, CAMPAIGN_PREFIX, LIVE_STATUSES, STATUSES

# event_year, event_month, event_day: NO_NUMBER where the table holds none.
OLDER_PLAN_TABLE: Final = Frame(
    "older plan as it is stored",
    {
        "contact_id": ID,
        "email_type": TEXT,
        "scheduled_send_date": TEXT,
        "status": TEXT,
        "skip_reason": TEXT,
        "event_year": NUMBER,
        "event_month": NUMBER,
        "event_day": NUMBER,
    },
)
_REQUIRED: Final = {"contact_id", "email_type", "scheduled_send_date", "status"}
EMAIL_TYPE: Final = "email_type"
CAMPAIGN_INSTANCE: Final = "campaign_instance"
SEND_DATE: Final = "scheduled_send_date"
SENT_AT: Final = "actual_send_datetime"
STATUS: Final = "status"
EVENT_DATE: Final = "event_date"
EVENT_PARTS: Final = ("event_year", "event_month", "event_day")
SKIP_REASON: Final = "skip_reason"
TEMPLATE: Final = "email_template"
# What a column may be called besides.
_OTHER_NAMES: Final = {
    SEND_DATE: ("send_date",),
    CAMPAIGN_INSTANCE: ("campaign_instance_id",),
    TEMPLATE: ("template",),
}
DEFAULT_STATUS: Final = "sent"
SENDER_STATUSES: Final = (*LIVE_STATUSES, "failed")
UNKNOWN_TYPE: Final = (
    f"not an email type; accepted is one of {', '.join((*BUILT_IN_TYPES, OLDER_TYPE))},"
    f" or {CAMPAIGN_PREFIX} and the name of a campaign type"
)
UNKNOWN_STATUS: Final = f"not a status; accepted is one of {', '.join((*SENDER_STATUSES, *STATUSES))}"
NO_SEND_DATE: Final = f"neither {SEND_DATE} nor {SENT_AT} is given; accepted is one of them"
ACCEPTED_MOMENT: Final = (
    "not a date or a timestamp; accepted is ISO 8601, such as 2026-11-23 or 2026-11-23T08:30:00-06:00,"
    f" in the years {FIRST_YEAR} to {LAST_YEAR}"
)
_KNOWN_TYPES: Final = {*BUILT_IN_TYPES, OLDER_TYPE}
_CAMPAIGN_TYPE: Final = re.compile(CAMPAIGN_PREFIX + r"[a-z0-9][a-z0-9_]{0,62}")
_TIMESTAMP: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ][0-9]{2}:[0-9]{2}.*")
_NUMBER: Final = re.compile(r"[0-9]{1,4}(\.0+)?")
NO_ID: Final = "not given; plans are compared by it, accepted is a whole number"
_LABELS: Final = (EMAIL_TYPE, SEND_DATE, STATUS, SKIP_REASON)


def read_older_plan(url: str, config: SchedulerConfig) -> pd.DataFrame:
    """Return ``OLDER_PLAN_TABLE``: the rows with the statuses pre-scheduled and skipped, of all types.

    The database stays as it is. While it is locked this is tried again (``processing.max_retry_attempts``).

    Raises:
        DatabaseError: The database cannot be read, or has no such table.
    """

    def read() -> pd.DataFrame:
        with connect(url, config, read_only=True) as connection:
            present = {name.lower() for name in connection.column_names("email_schedules")}
            if missing := sorted(_REQUIRED - present):
                raise DatabaseError(
                    f"database {display_url(url)}: there is no table email_schedules with the columns"
                    f" {', '.join(missing)}; accepted is a database of the older program"
                )
            absent = {name: "NULL" for name in OLDER_PLAN_TABLE.columns if name not in present}
            source = f"email_schedules WHERE {PLANNER_ROW_SQL}"
            return read_frame(connection, OLDER_PLAN_TABLE, source, sql=absent)

    with database_errors(url):
        return retrying(config)(read)


@dataclass(frozen=True, slots=True)
class EmailLine:
    """One line that can be read.

    Attributes:
        number: The line of the file on which it begins; the heading is line 1.
        contact_id: None: the address tells who is meant.
        address: Trimmed; None: not given.
        email_type: In small letters.
        campaign_instance: What the file calls the campaign instance; blank: nothing.
        send_date: The scheduled date, ISO 8601; where the file has none, the date of sending.
        sent_at: The date or moment of sending, ISO 8601, a moment in US Central time; None: not given.
        event_date: ISO 8601; None: not given.
        status: ``sent`` where the file has none.
        skip_reason: None: not given.
        email_template: None: not given.
    """

    number: int
    contact_id: int | None
    address: str | None
    email_type: str
    campaign_instance: str
    send_date: str
    sent_at: str | None
    event_date: str | None
    status: str
    skip_reason: str | None
    email_template: str | None


def read_emails(lines: Iterable[str], source: str, bad_lines: BadLines) -> Iterator[EmailLine]:
    """Yield the lines that can be read; note the others.

    Columns are told by the heading, in any order: ``contact_id`` or ``email`` (or both), ``email_type``,
    ``scheduled_send_date`` or ``actual_send_datetime`` (or both), and where they are there ``status``,
    ``event_date`` or its three parts, ``campaign_instance``, ``email_template``, ``skip_reason``. Others are
    passed over. Timestamps with an offset become US Central time, so that their date is the one that counts.

    Args:
        lines: With their line ends.
        source: What they are called in messages.
        bad_lines: Gets the lines that cannot be read.

    Raises:
        UsageError: The heading is not accepted.
    """
    return read_lines(lines, source, bad_lines, lambda *heading: _Reader(_positions(*heading)).read)


def read_older_csv(path: Path) -> pd.DataFrame:
    """Return ``OLDER_PLAN_TABLE``: the lines with the statuses pre-scheduled and skipped, of all types.

    Raises:
        BadLinesError: Some lines cannot be read.
        UsageError: The file cannot be read.
    """
    bad_lines = BadLines()
    ids, numbers = array("q"), {part: array("i") for part in ("year", "month", "day")}
    codes = {name: array("i") for name in _LABELS}
    texts: dict[str, dict[str, int]] = {name: {} for name in _LABELS}
    with open_csv(path) as lines:
        for line in read_emails(lines, str(path), bad_lines):
            if line.status not in STATUSES:
                continue
            if line.contact_id is None:
                bad_lines.add(line.number, CONTACT_ID, NO_ID)
                continue
            ids.append(line.contact_id)
            parts = map(int, line.event_date.split("-")) if line.event_date else (NO_NUMBER,) * 3
            for column, number in zip(numbers.values(), parts, strict=True):
                column.append(number)
            values = (line.email_type, line.send_date, line.status, line.skip_reason)
            for name, text in zip(_LABELS, values, strict=True):
                known = texts[name]
                codes[name].append(-1 if text is None else known.setdefault(text, len(known)))
    if bad_lines:
        raise BadLinesError(str(path), bad_lines, "line", can_skip=False)
    labels = {
        name: pd.Categorical.from_codes(np.array(codes[name]), categories=pd.Index(texts[name], dtype="str"))
        for name in _LABELS
    }
    events = {f"event_{part}": np.array(column, np.int32) for part, column in numbers.items()}
    return OLDER_PLAN_TABLE.build({"contact_id": np.array(ids, np.int64), **labels, **events})


class _Reader:
    """Reads the cells of a line, given where the columns are."""

    def __init__(self, at: Mapping[str, int]) -> None:
        self._at = list(at.items())
        # the column of a line in which something is missing that may stand in one of two
        self._contact_column = CONTACT_ID if CONTACT_ID in at else EMAIL
        self._date_column = SEND_DATE if SEND_DATE in at else SENT_AT
        self._dates = Dates()

    def read(self, number: int, cells: list[str], problems: Problems) -> EmailLine:
        """Return a line, and note what is wrong with which column; where something is, it says nothing."""
        cell = {name: unescape_cell(cells[place].strip()) for name, place in self._at if cells[place]}.get
        contact, address = read_contact(cell(CONTACT_ID, ""), cell(EMAIL, ""), self._contact_column, problems)
        email_type, status = cell(EMAIL_TYPE, "").lower(), cell(STATUS, "").lower() or DEFAULT_STATUS
        if email_type not in _KNOWN_TYPES and not _CAMPAIGN_TYPE.fullmatch(email_type):
            problems.append((EMAIL_TYPE, UNKNOWN_TYPE))
        if status not in SENDER_STATUSES and status not in STATUSES:
            problems.append((STATUS, UNKNOWN_STATUS))
        send_date, sent_at = self._send_date(cell(SEND_DATE, ""), cell(SENT_AT, ""), problems)
        event_date = self._event_date(cell(EVENT_DATE, ""), [cell(n, "") for n in EVENT_PARTS], problems)
        return EmailLine(
            number,
            contact,
            address,
            email_type,
            cell(CAMPAIGN_INSTANCE, ""),
            send_date,
            sent_at,
            event_date,
            status,
            cell(SKIP_REASON) or None,
            cell(TEMPLATE) or None,
        )

    def _send_date(self, scheduled: str, sent: str, problems: Problems) -> tuple[str, str | None]:
        if not scheduled and not sent:
            problems.append((self._date_column, NO_SEND_DATE))
        day, moment = self._moment(scheduled, SEND_DATE, problems), self._moment(sent, SENT_AT, problems)
        return (day or moment)[:10], moment or None

    def _moment(self, text: str, column: str, problems: Problems) -> str:
        """Return a date as it is, and a timestamp as one of US Central time; blank where there is none."""
        if not text or self._dates.date_of(text) == text:
            return text
        found = _TIMESTAMP.fullmatch(text)
        if found is not None and self._dates.date_of(found[1]):
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                pass
            else:
                return (moment if moment.tzinfo is None else moment.astimezone(TIME_ZONE)).isoformat()
        problems.append((column, ACCEPTED_MOMENT))
        return ""

    def _event_date(self, event: str, parts: list[str], problems: Problems) -> str | None:
        """Return the event date, in one column or in three; None where there is none."""
        if event:
            found = self._dates.date_of(event)
            if found is None:
                problems.append((EVENT_DATE, ACCEPTED_DATE))
            return found
        if not any(parts):
            return None
        if all(map(_NUMBER.fullmatch, parts)):
            year, month, day = (int(part.partition(".")[0]) for part in parts)
            event = f"{year:04}-{month:02}-{day:02}"
            if self._dates.date_of(event):
                return event
        problems.append((EVENT_PARTS[0], ACCEPTED_DATE))
        return None


def _positions(heading: list[str], where: str) -> dict[str, int]:
    """Return where the columns are that count, by the names that they have here."""
    at = {name: place for place, name in enumerate(heading)}
    for name, others in _OTHER_NAMES.items():
        for other in others:
            if name not in at and other in at:
                at[name] = at[other]
    for names in ((CONTACT_ID, EMAIL), (EMAIL_TYPE,), (SEND_DATE, SENT_AT)):
        if not any(name in at for name in names):
            raise UsageError(
                f"{where}: none of the {len(heading)} columns is {' or '.join(names)};"
                " accepted is a heading that names the contact, the email_type and the date of each email"
            )
    return at

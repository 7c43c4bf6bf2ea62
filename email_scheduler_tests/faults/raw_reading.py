"""What SQLite holds, byte by byte, read by Python: an independent opinion of what the planner reads."""

import math
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.frames import NO_CONTACT, PlanInputs
from email_scheduler_tests.builders import inputs

Row = dict[str, object]
_TRUE_WORDS = {"1", "1.0", "true", "t", "yes", "y", "on"}
_MOST_NUMBER = 2**31 - 1
_TYPE_DEFAULTS = {
    **dict.fromkeys(("respect_exclusion_windows", "enable_followups", "active"), 1),
    "days_before_event": 0,
    "target_all_contacts": 0,
    "priority": 5,
}


class Value:
    """One value: how SQLite keeps it, and its bytes as text."""

    def __init__(self, kind: str, content: bytes | None) -> None:
        self.kind, self.content = kind, content

    @property
    def is_null(self) -> bool:
        return self.kind == "null"

    def text(self) -> str | None:
        return None if self.content is None else self.content.decode("utf-8", errors="replace")

    def whole_number(self) -> int | None:
        """Return the whole number that the value is, from -2^63 to 2^63 - 1."""
        text = self.text()
        if text is None or self.kind == "blob":
            return None
        number: int | None = None
        if self.kind == "integer" or re.fullmatch(r"[ \t\n\v\f\r]*[-+]?[0-9]+[ \t\n\v\f\r]*", text):
            number = int(text)
        elif re.fullmatch(
            r"[ \t\n\v\f\r]*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?[ \t\n\v\f\r]*", text
        ):
            real = float(text)
            number = int(real) if math.isfinite(real) and real == int(real) else None
        return number if number is not None and -(2**63) <= number < 2**63 else None

    def id(self) -> int:
        return self.whole_number() or 0

    def contact(self) -> int:
        number = self.whole_number()
        return NO_CONTACT if number is None else number

    def number(self) -> int | None:
        number = self.whole_number()
        return None if number is None else max(-_MOST_NUMBER, min(_MOST_NUMBER, number))

    def flag(self, default: bool = False) -> bool:
        return default if self.is_null else self.text().strip(" ").lower() in _TRUE_WORDS


def raw_inputs(path: Path, as_of: date, config: SchedulerConfig) -> PlanInputs:
    """Return what a plan is made from."""
    with closing(sqlite3.connect(path)) as connection:
        book = _Tables(connection)
        history = [
            row
            for row in book.rows("email_schedules")
            if row["status"].kind != "text"
            or row["status"].text() not in ("pre-scheduled", "skipped")
            or (row["status"].text() == "pre-scheduled" and not _is_planners(row["email_type"]))
        ]
        return inputs(
            as_of,
            contacts=[_contact(row) for row in book.rows("contacts")],
            suppressions=[
                {"contact_id": row["contact_id"].contact(), "suppressed_at": row["suppressed_at"].text()}
                for row in book.rows("contact_suppressions")
            ],
            campaign_types=[_type(row) for row in book.rows("campaign_types")],
            campaign_instances=[_instance(row) for row in book.rows("campaign_instances")],
            contact_campaigns=[
                _row(row, ids=("id", "contact_id", "campaign_instance_id"), texts=("trigger_date", "status"))
                for row in book.rows("contact_campaigns")
            ],
            history=[_email(row) for row in history],
            clicks=[
                _row(row, ids=("contact_id", "email_schedule_id"), texts=("clicked_at",))
                for row in book.rows("tracking_clicks")
            ],
            answers=[
                _row(row, ids=("id", "contact_id"), texts=("created_at", "event_data"))
                for row in book.rows("contact_events")
                if row["event_type"].text() == "eligibility_answered"
                and _is_looked_back_to(row["created_at"], as_of, config)
            ],
        )


def _is_looked_back_to(created: Value, as_of: date, config: SchedulerConfig) -> bool:
    # nothing but a shorter list: an older answer decides nothing
    earliest = as_of - timedelta(days=config.timing_constants.followup_lookback_days)
    day = (created.text() or "")[:10]
    return earliest.isoformat() <= day <= as_of.isoformat()


class _Tables:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.text_factory = bytes

    def rows(self, table: str) -> Iterator[dict[str, Value]]:
        names = [name.decode() for _, name, *_ in self._connection.execute(f"PRAGMA table_info({table})")]
        columns = ", ".join(f"typeof({name}), CAST({name} AS BLOB)" for name in names)
        for row in self._connection.execute(f"SELECT {columns} FROM {table}"):
            yield {
                name: Value(kind.decode(), content)
                for name, kind, content in zip(names, row[::2], row[1::2], strict=True)
            }


def _row(row: dict[str, Value], ids: Iterable[str], texts: Iterable[str]) -> Row:
    numbers = {name: row[name].contact() if name == "contact_id" else row[name].id() for name in ids}
    return numbers | {name: row[name].text() for name in texts}


def _contact(row: dict[str, Value]) -> Row:
    texts = ("email", "zip_code", "state", "birth_date", "effective_date", "phone_number")
    return {"id": row["id"].contact()} | _row(row, ids=(), texts=texts)


def _type(row: dict[str, Value]) -> Row:
    flags = ("respect_exclusion_windows", "enable_followups", "target_all_contacts", "active")
    return {
        "name": row["name"].text(),
        **{name: row[name].flag(bool(_TYPE_DEFAULTS[name])) for name in flags},
        **{
            name: _TYPE_DEFAULTS[name] if row[name].is_null else row[name].number()
            for name in ("days_before_event", "priority")
        },
    }


def _instance(row: dict[str, Value]) -> Row:
    texts = (
        *("campaign_type", "instance_name", "email_template", "sms_template", "active_start_date"),
        *("active_end_date", "metadata"),
    )
    return _row(row, ids=("id",), texts=texts) | {"active": row["active"].flag(True)}


def _email(row: dict[str, Value]) -> Row:
    texts = ("email_type", "scheduled_send_date", "actual_send_datetime", "metadata")
    numbers = ("event_year", "event_month", "event_day", "priority")
    status = row["status"].text()
    if row["status"].kind != "text" and status in ("pre-scheduled", "skipped"):
        # bytes: no statement that asks for the planner's rows finds them
        status = "bytes"
    return (
        _row(row, ids=("id", "contact_id", "campaign_instance_id", "initial_email_id"), texts=texts)
        | {name: row[name].number() for name in numbers}
        | {"status": status}
    )


def _is_planners(email_type: Value) -> bool:
    text = email_type.text() or ""
    own = {"birthday", "effective_date", "aep", "post_window", "followup_1_cold", "followup_2_clicked_no_hq"}
    own |= {"followup_3_hq_no_yes", "followup_4_hq_with_yes"}
    return email_type.kind == "text" and (text in own or text.startswith("campaign_"))

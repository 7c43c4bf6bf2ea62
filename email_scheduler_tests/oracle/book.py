"""What the tables of section 2 say, as plain Python: one object per row, nothing decided yet."""

import json
from dataclasses import dataclass
from datetime import date

import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.frames import NO_NUMBER, PlanInputs
from email_scheduler_tests.oracle.words import (
    LIVE_STATUSES,
    SENDER_STATUSES_ARE_NOT,
    calendar_date,
    date_part,
    is_blank,
    plus,
    read_date,
)


@dataclass(frozen=True)
class HistoryRow:
    """A row of ``email_schedules`` that is not the planner's."""

    id: int
    contact_id: int
    email_type: str
    status: str | None
    send_date: date | None
    event_date: date | None
    campaign_instance_id: int
    priority: int | None
    initial_email_id: int
    metadata: str | None

    @property
    def is_senders(self) -> bool:
        """Section 1: a status that is neither ``pre-scheduled`` nor ``skipped``."""
        return self.status not in SENDER_STATUSES_ARE_NOT

    @property
    def is_live(self) -> bool:
        """Section 1: live status."""
        return self.status in LIVE_STATUSES

    @property
    def is_follow_up(self) -> bool:
        """Section 10: of a type ``followup_…``."""
        return self.email_type.startswith("followup_")

    @property
    def is_campaign(self) -> bool:
        """Section 8: of a type ``campaign_<type>``."""
        return self.email_type.startswith("campaign_")

    @property
    def counted_date(self) -> date | None:
        """Section 1: a row without an event date counts with its send date."""
        return self.event_date or self.send_date


@dataclass(frozen=True)
class Instance:
    """A row of ``campaign_instances`` with the row of its type, metadata applied (section 8)."""

    id: int
    type_name: str
    name: str
    email_template: str | None
    sms_template: str | None
    active_start_date: date | None
    active_end_date: date | None
    is_active: bool
    metadata: dict[str, object]
    respects_windows: bool
    has_followups: bool
    days_before_event: int
    priority: int
    targets_all: bool

    @property
    def email_type(self) -> str:
        """Section 8."""
        return f"campaign_{self.type_name}"


@dataclass(frozen=True)
class Target:
    """A row of ``contact_campaigns``."""

    id: int
    contact_id: int
    campaign_instance_id: int
    trigger_date: str | None
    status: str | None


@dataclass(frozen=True)
class Book:
    """Everything that a plan depends on (section 1)."""

    today: date
    config: SchedulerConfig
    contact_rows: list[dict[str, object]]
    attributes: dict[int, dict[str, object]]
    suppressions: list[dict[str, object]]
    suppressed_addresses: list[dict[str, object]]
    instances: dict[int, Instance]
    targets: list[Target]
    history: list[HistoryRow]
    clicks: list[dict[str, object]]
    answers: list[dict[str, object]]


def read_book(inputs: PlanInputs, config: SchedulerConfig) -> Book:
    """Return the tables of ``inputs`` as lists of rows."""
    return Book(
        today=inputs.as_of,
        config=config,
        contact_rows=rows_of(inputs.contacts),
        attributes={row["id"]: row for row in rows_of(inputs.contact_attributes)},
        suppressions=rows_of(inputs.suppressions),
        suppressed_addresses=rows_of(inputs.suppressed_addresses),
        instances=read_instances(inputs),
        targets=[Target(**row) for row in rows_of(inputs.contact_campaigns)],
        history=[read_history_row(row) for row in rows_of(inputs.history)],
        clicks=rows_of(inputs.clicks),
        answers=rows_of(inputs.answers),
    )


def rows_of(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Return a frame as mappings, ``None`` for what is missing."""
    columns = {name: [_value(value) for value in frame[name].tolist()] for name in frame.columns}
    return [{name: columns[name][number] for name in columns} for number in range(len(frame))]


def _value(value: object) -> object:
    if isinstance(value, float) and value != value:
        return None
    return None if value is pd.NA or value == NO_NUMBER else value


def read_history_row(row: dict[str, object]) -> HistoryRow:
    """Section 1: the send date is the date part of ``actual_send_datetime``, else the scheduled date."""
    return HistoryRow(
        id=row["id"],
        contact_id=row["contact_id"],
        email_type=row["email_type"] or "",
        status=row["status"],
        send_date=date_part(row["actual_send_datetime"]) or date_part(row["scheduled_send_date"]),
        event_date=_event_date(row["event_year"], row["event_month"], row["event_day"]),
        campaign_instance_id=row["campaign_instance_id"],
        priority=row["priority"],
        initial_email_id=row["initial_email_id"],
        metadata=row["metadata"],
    )


def _event_date(year: int | None, month: int | None, day: int | None) -> date | None:
    if year is None or month is None or day is None:
        return None
    return calendar_date(f"{year:04d}-{month:02d}-{day:02d}")


def read_instances(inputs: PlanInputs) -> dict[int, Instance]:
    """Section 8: instances whose type exists; ``metadata`` overrides what the type says."""
    types = {row["name"]: row for row in rows_of(inputs.campaign_types)}
    instances = {}
    for row in rows_of(inputs.campaign_instances):
        if row["campaign_type"] not in types:
            continue
        its_type = types[row["campaign_type"]]
        metadata = {} if is_blank(row["metadata"]) else json.loads(row["metadata"])
        chosen = {**its_type, **{name: value for name, value in metadata.items() if value is not None}}
        instances[row["id"]] = Instance(
            id=row["id"],
            type_name=row["campaign_type"],
            name=row["instance_name"],
            email_template=row["email_template"],
            sms_template=row["sms_template"],
            active_start_date=read_date(row["active_start_date"]),
            active_end_date=read_date(row["active_end_date"]),
            is_active=row["active"] and its_type["active"],
            metadata=metadata,
            respects_windows=chosen["respect_exclusion_windows"],
            has_followups=chosen["enable_followups"],
            days_before_event=chosen["days_before_event"],
            priority=chosen["priority"],
            targets_all=its_type["target_all_contacts"],
        )
    return instances


def default_trigger_date(instance: Instance) -> date | None:
    """Section 8: ``metadata.trigger_date``, else ``active_start_date + max(dbe, 0)`` days."""
    stated = instance.metadata.get("trigger_date")
    if not is_blank(stated):
        return read_date(stated)
    if instance.active_start_date is None:
        return None
    return plus(instance.active_start_date, max(instance.days_before_event, 0))

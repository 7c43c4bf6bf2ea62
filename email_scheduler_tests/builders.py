"""What tests make planning inputs from, a line per row.

Every builder returns one row as a mapping that fills the columns of a frame; ``inputs`` puts rows together.
Dates are texts as the database holds them, and may be anything that a test wants to be read::

    inputs("2026-11-23", contacts=[contact(1, "75001", birth_date="1950-03-10")])
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd

from email_scheduler.planning import frames
from email_scheduler.planning.frames import Frame, PlanInputs

Row = Mapping[str, object]


def table(frame: Frame, rows: Iterable[Row]) -> pd.DataFrame:
    """Return ``rows`` as a frame that keeps the contract of ``frame``, in the order given.

    A column that a row does not name, or names with ``None``, is missing in it: 0 for an id, ``NO_DATE``,
    ``NO_NUMBER``, false for a flag, a missing text.

    Raises:
        KeyError: A row names a column that the frame does not have.
    """
    rows = list(rows)
    unknown = {name for row in rows for name in row} - set(frame.columns)
    if unknown:
        raise KeyError(f"frame {frame.name} has no column {', '.join(sorted(unknown))}")
    columns = {name: _column([row.get(name) for row in rows], kind) for name, kind in frame.columns.items()}
    return frame.check(pd.DataFrame(columns))


def _column(values: Sequence[object], kind: str) -> pd.Series:
    if kind in {frames.ID, frames.DATE, frames.NUMBER, frames.FLAG}:
        nothing, dtype = {
            frames.ID: (0, "int64"),
            frames.DATE: (frames.NO_DATE, "int32"),
            frames.NUMBER: (frames.NO_NUMBER, "int32"),
            frames.FLAG: (False, "bool"),
        }[kind]
        return pd.Series(np.array([nothing if value is None else value for value in values], dtype=dtype))
    texts = pd.Series(list(values), dtype="str")
    return texts.astype("category") if kind == frames.LABEL else texts


def contact(
    contact_id: int,
    zip_code: str | None = "75001",
    birth_date: str | None = None,
    effective_date: str | None = None,
    *,
    email: str | None = "",
    state: str | None = None,
    phone_number: str | None = None,
) -> Row:
    """Return a row of ``contacts``; without ``email`` its address is its own and valid."""
    return {
        "id": contact_id,
        "email": f"contact{contact_id}@example.com" if email == "" else email,
        "zip_code": zip_code,
        "state": state,
        "birth_date": birth_date,
        "effective_date": effective_date,
        "phone_number": phone_number,
    }


def suppression(contact_id: int, suppressed_at: str | None = "2000-01-01") -> Row:
    """Return a row of ``contact_suppressions``."""
    return {"contact_id": contact_id, "suppressed_at": suppressed_at}


def suppressed_address(
    address: str, suppressed_at: str | None = "2000-01-01", until: str | None = None
) -> Row:
    """Return a row of ``suppressed_addresses``."""
    return {"address": address, "suppressed_at": suppressed_at, "suppressed_until": until}


def campaign_type(
    name: str,
    *,
    respect_exclusion_windows: bool = True,
    enable_followups: bool = True,
    days_before_event: int = 0,
    target_all_contacts: bool = False,
    priority: int = 5,
    active: bool = True,
) -> Row:
    """Return a row of ``campaign_types``."""
    return {
        "name": name,
        "respect_exclusion_windows": respect_exclusion_windows,
        "enable_followups": enable_followups,
        "days_before_event": days_before_event,
        "target_all_contacts": target_all_contacts,
        "priority": priority,
        "active": active,
    }


def campaign_instance(
    instance_id: int,
    campaign_type: str,
    active_start_date: str | None = None,
    active_end_date: str | None = None,
    *,
    metadata: str | None = None,
    active: bool = True,
    instance_name: str | None = None,
    email_template: str | None = "campaign_template_v1",
    sms_template: str | None = None,
) -> Row:
    """Return a row of ``campaign_instances``; ``metadata`` is JSON text."""
    return {
        "id": instance_id,
        "campaign_type": campaign_type,
        "instance_name": instance_name or f"{campaign_type} {instance_id}",
        "email_template": email_template,
        "sms_template": sms_template,
        "active_start_date": active_start_date,
        "active_end_date": active_end_date,
        "metadata": metadata,
        "active": active,
    }


def target(
    target_id: int,
    contact_id: int,
    campaign_instance_id: int,
    trigger_date: str | None = None,
    status: str | None = "pending",
) -> Row:
    """Return a row of ``contact_campaigns``."""
    return {
        "id": target_id,
        "contact_id": contact_id,
        "campaign_instance_id": campaign_instance_id,
        "trigger_date": trigger_date,
        "status": status,
    }


def email_row(
    email_id: int,
    contact_id: int,
    email_type: str,
    send_date: str | None,
    event_date: str | None = None,
    *,
    status: str | None = "sent",
    actual_send_datetime: str | None = None,
    campaign_instance_id: int = 0,
    priority: int | None = 5,
    initial_email_id: int = 0,
    metadata: str | None = None,
) -> Row:
    """Return a row of ``email_schedules``; ``send_date`` is its ``scheduled_send_date``.

    ``event_date`` is written ``YYYY-MM-DD`` and fills year, month and day, even if there is no such day.
    """
    year, month, day = map(int, event_date.split("-")) if event_date else (None, None, None)
    return {
        "id": email_id,
        "contact_id": contact_id,
        "email_type": email_type,
        "status": status,
        "scheduled_send_date": send_date,
        "actual_send_datetime": actual_send_datetime,
        "event_year": year,
        "event_month": month,
        "event_day": day,
        "campaign_instance_id": campaign_instance_id,
        "priority": priority,
        "initial_email_id": initial_email_id,
        "metadata": metadata,
    }


def click(contact_id: int, clicked_at: str | None, email_schedule_id: int = 0) -> Row:
    """Return a row of the clicks; without ``email_schedule_id`` it names no email."""
    return {"contact_id": contact_id, "email_schedule_id": email_schedule_id, "clicked_at": clicked_at}


def answer(answer_id: int, contact_id: int, created_at: str | None, event_data: str | None = None) -> Row:
    """Return a row of the answers; ``event_data`` is JSON text."""
    return {"id": answer_id, "contact_id": contact_id, "created_at": created_at, "event_data": event_data}


def inputs(
    as_of: str | date,
    contacts: Iterable[Row] = (),
    *,
    suppressions: Iterable[Row] = (),
    campaign_types: Iterable[Row] = (),
    campaign_instances: Iterable[Row] = (),
    contact_campaigns: Iterable[Row] = (),
    history: Iterable[Row] = (),
    clicks: Iterable[Row] = (),
    answers: Iterable[Row] = (),
    contact_attributes: Iterable[Row] = (),
    suppressed_addresses: Iterable[Row] = (),
) -> PlanInputs:
    """Return planning inputs of these rows, as of ``as_of`` (``YYYY-MM-DD`` or a date).

    ``contact_attributes`` are rows with ``id`` and columns of any name, the same in each.
    """
    attributes = list(contact_attributes)
    columns = {
        "id": frames.ID,
        **dict.fromkeys((n for row in attributes for n in row if n != "id"), frames.TEXT),
    }
    attributes_frame = replace(frames.CONTACT_ATTRIBUTES, columns=columns)
    return PlanInputs(
        as_of=as_of if isinstance(as_of, date) else date.fromisoformat(as_of),
        contacts=table(frames.CONTACTS_TABLE, contacts),
        suppressions=table(frames.SUPPRESSIONS_TABLE, suppressions),
        campaign_types=table(frames.CAMPAIGN_TYPES_TABLE, campaign_types),
        campaign_instances=table(frames.CAMPAIGN_INSTANCES_TABLE, campaign_instances),
        contact_campaigns=table(frames.CONTACT_CAMPAIGNS_TABLE, contact_campaigns),
        history=table(frames.HISTORY_TABLE, history),
        clicks=table(frames.CLICKS_TABLE, clicks),
        answers=table(frames.ANSWERS_TABLE, answers),
        contact_attributes=table(attributes_frame, attributes),
        suppressed_addresses=table(frames.SUPPRESSED_ADDRESSES_TABLE, suppressed_addresses),
    )


def filler_contacts(count: int, first_id: int = 1_000_000) -> list[Row]:
    """Return valid contacts that make an organisation large and take no place of anybody.

    They live in New York, where the default configuration sends no anniversary email.
    """
    return [contact(first_id + number, "10001") for number in range(count)]


def day_number(text: str) -> int:
    """Return the ``YYYY-MM-DD`` date as planning frames hold it: days since 1970-01-01."""
    return (date.fromisoformat(text) - date(1970, 1, 1)).days

"""Reading what concerns a few contacts: over indexes, and never the rows of an organisation as a whole.

Only ``tracking_clicks``, ``contact_events`` and ``email_tracking`` have no index by contact. They are looked
through if one of the contacts was sent something, and then nothing of them is kept but its own rows.
"""

# ruff: noqa: S608 - put together from names, conditions and ids of this package

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import pandas as pd

from email_scheduler.clock import TIME_ZONE
from email_scheduler.database import (
    Connection,
    among,
    contacts_of_addresses,
    read_frame,
    read_moment,
    read_runs,
    suppressions_of_addresses,
)
from email_scheduler.explain.explanation import Suppression
from email_scheduler.explain.stored_rows import KeptRun, StoredRow
from email_scheduler.planning import ID, NO_NUMBER, NUMBER, TEXT, Frame, address_key

_ROWS: Final = Frame(
    "rows of contacts",
    {
        "id": ID,
        "contact_id": ID,
        "email_type": TEXT,
        "status": TEXT,
        "skip_reason": TEXT,
        "adjustment": TEXT,
        "campaign_instance_id": ID,
        "initial_email_id": ID,
        "event_year": NUMBER,
        "event_month": NUMBER,
        "event_day": NUMBER,
        "ideal_send_date": TEXT,
        "scheduled_send_date": TEXT,
        "scheduled_send_time": TEXT,
        "priority": NUMBER,
        "email_template": TEXT,
        "sms_template": TEXT,
        "metadata": TEXT,
        "scheduler_run_id": TEXT,
        "created_at": TEXT,
        "updated_at": TEXT,
        "actual_send_datetime": TEXT,
        "archived_at": TEXT,
        "as_of_date": TEXT,
    },
)
_ONLY_IN_ARCHIVE: Final = {"archived_at": "NULL", "as_of_date": "NULL"}
_SUPPRESSIONS: Final = Frame(
    "suppressions of contacts", {"contact_id": ID, "reason": TEXT, "suppressed_at": TEXT}
)
_ADDRESSES: Final = Frame("addresses", {"id": ID, "email": TEXT})
# Addresses that are worth looking for one by one; a placeholder may be the address of many contacts.
_MOST_ADDRESSEES: Final = 1000


def contacts_of_address(connection: Connection, address: str) -> list[int]:
    """Return the contacts that have this address, ascending."""
    (found,) = contacts_of_addresses(connection, [address], _MOST_ADDRESSEES).values()
    return found


def is_contact(connection: Connection, contact_id: int) -> bool:
    """Tell whether there is a contact with this id."""
    return bool(connection.execute(f"SELECT 1 FROM contacts WHERE id = {int(contact_id)} LIMIT 1"))


def addressees(connection: Connection, contact_ids: Collection[int]) -> dict[int, list[int]]:
    """Return for each of these contacts the others with the same address, ascending."""
    own = read_frame(connection, _ADDRESSES, f"contacts WHERE {among('id', contact_ids)}")
    emails = own["email"].astype("object")
    keys = [address_key(email) if isinstance(email, str) else "" for email in emails]
    found = contacts_of_addresses(connection, set(filter(None, keys)), _MOST_ADDRESSEES)
    return {
        contact_id: [other for other in found.get(key, ()) if other != contact_id]
        for contact_id, key in zip(own["id"].tolist(), keys, strict=True)
    }


def read_stored_rows(connection: Connection, contact_ids: Collection[int]) -> list[StoredRow]:
    """Read all rows of some contacts, those of the archive too."""
    condition = among("contact_id", contact_ids)
    present = read_frame(connection, _ROWS, f"email_schedules WHERE {condition}", sql=_ONLY_IN_ARCHIVE)
    archived = read_frame(connection, _ROWS, f"email_schedules_archive WHERE {condition}")
    return [_stored_row(row) for frame in (present, archived) for row in _records(frame)]


def read_suppressions(connection: Connection, contact_ids: Collection[int], as_of: date) -> list[Suppression]:
    """Read the suppressions of some contacts that are in force (section 4), by contact."""
    source = f"contact_suppressions WHERE {among('contact_id', contact_ids)} ORDER BY contact_id"
    found = [
        Suppression(row["contact_id"], row["reason"], row["suppressed_at"])
        for row in _records(read_frame(connection, _SUPPRESSIONS, source))
    ]
    return [each for each in found if _is_in_force(each, as_of)]


def read_address_suppressions(
    connection: Connection, contact_ids: Collection[int], as_of: date
) -> dict[int, list[Suppression]]:
    """Read for each contact why its address is suppressed, whoever has it (section 4)."""
    names = ("contact_id", "reason", "suppressed_at", "suppressed_until")
    own = _records(read_frame(connection, _ADDRESSES, f"contacts WHERE {among('id', contact_ids)}"))
    found = {
        row["id"]: [
            Suppression(**{name: each[name] for name in names}, is_of_address=True)
            for each in suppressions_of_addresses(connection, [row["email"] or ""])
        ]
        for row in own
    }
    return {
        contact_id: [each for each in suppressions if _is_in_force(each, as_of)]
        for contact_id, suppressions in found.items()
    }


def _is_in_force(suppression: Suppression, as_of: date) -> bool:
    # as the planner has it: a time written in UTC is a day ahead of Central every evening
    begins, ends = day_of(suppression.suppressed_at), day_of(suppression.suppressed_until)
    return (begins or as_of) <= as_of + timedelta(days=1) and (ends or as_of) >= as_of


def edited_contacts(connection: Connection, contact_ids: Collection[int]) -> set[int]:
    """Return those of some contacts that were edited since the plan (section 16)."""
    rows = connection.execute(
        f"SELECT contact_id FROM contact_changes WHERE {among('contact_id', contact_ids)}"
    )
    return {int(contact_id) for (contact_id,) in rows}


def kept_runs(connection: Connection) -> list[KeptRun]:
    """Read the runs on record that name a plan and its date, in the order in which they began."""
    found = []
    for run in read_runs(connection):
        day, published = day_of(run.as_of), read_moment(run.completed_at)
        if day is not None and run.run_id:
            local = published and published.astimezone(TIME_ZONE).date()
            moments = read_moment(run.began_at), published, local
            found.append(KeptRun(run.number, run.run_id, day, run.status, *moments, run.config_version))
    return found


def day_of(text: str | None) -> date | None:
    """Return the date part of a timestamp, its first ten characters; None where that is no date."""
    try:
        return datetime.strptime((text or "")[:10], "%Y-%m-%d").date()  # noqa: DTZ007 - a day, not a moment
    except ValueError:
        return None


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype("object")
    records: list[dict[str, Any]] = plain.where(plain.notna(), None).to_dict("records")  # type: ignore[assignment]
    return records


def _stored_row(row: dict[str, Any]) -> StoredRow:
    parts: Sequence[int] = [row["event_year"], row["event_month"], row["event_day"]]
    scheduled, actual = day_of(row["scheduled_send_date"]), day_of(row["actual_send_datetime"])
    send_date = actual or scheduled
    return StoredRow(
        id=row["id"],
        contact_id=row["contact_id"],
        email_type=row["email_type"] or "",
        status=row["status"] or "",
        skip_reason=row["skip_reason"],
        adjustment=row["adjustment"],
        campaign_instance_id=row["campaign_instance_id"] or None,
        initial_email_id=row["initial_email_id"] or None,
        event_date=_date_of(*parts) or send_date,
        ideal_send_date=day_of(row["ideal_send_date"]),
        scheduled_send_date=scheduled,
        scheduled_send_time=row["scheduled_send_time"],
        send_date=send_date,
        priority=None if row["priority"] == NO_NUMBER else row["priority"],
        email_template=row["email_template"],
        sms_template=row["sms_template"],
        metadata=row["metadata"],
        run_id=row["scheduler_run_id"],
        created_at=read_moment(row["created_at"]),
        updated_at=read_moment(row["updated_at"]),
        actual_send_datetime=row["actual_send_datetime"],
        sent_at=_local_moment(row["actual_send_datetime"]),
        archived_at=read_moment(row["archived_at"]),
        archived_as_of=day_of(row["as_of_date"]),
    )


def _date_of(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except (ValueError, OverflowError):
        return None


def _local_moment(text: str | None) -> datetime | None:
    """Return when an email went out, US Central time where the text says no offset; None: no time of day."""
    if text is None or len(text.strip()) <= len("2026-11-23"):
        return None
    return read_moment(text.strip(), TIME_ZONE)

"""A small sending system that keeps the contract of docs/sending.md; the tests and simulations send with it.

It shares no code with the planner: all it knows is the organisation's database.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

CENTRAL = ZoneInfo("America/Chicago")

DUE = sqlalchemy.text(
    """
    SELECT id, email, phone_number FROM due_emails
    WHERE scheduled_send_date = :today AND scheduled_send_time <= :time
    ORDER BY priority, id
    """
)
CLAIM = sqlalchemy.text(
    """
    UPDATE email_schedules SET status = 'processing', updated_at = :now
    WHERE id = :id AND status = 'pre-scheduled' AND EXISTS (
        SELECT 1 FROM due_emails WHERE due_emails.id = :id AND due_emails.scheduled_send_date = :today)
    RETURNING contact_id, email_type, email_template, sms_template
    """
)
MARK_SENT = sqlalchemy.text(
    """
    UPDATE email_schedules SET status = 'sent', actual_send_datetime = :now, updated_at = :now
    WHERE id = :id AND status = 'processing'
    """
)
MARK_FAILED = sqlalchemy.text(
    "UPDATE email_schedules SET status = 'failed', updated_at = :now WHERE id = :id AND status = 'processing'"
)
ADD_CLICK = sqlalchemy.text(
    """
    INSERT INTO tracking_clicks (contact_id, email_schedule_id, clicked_at, url)
    VALUES (:contact_id, :email_schedule_id, :now, :url)
    """
)
ADD_ANSWER = sqlalchemy.text(
    """
    INSERT INTO contact_events (contact_id, event_type, event_data, created_at)
    VALUES (:contact_id, 'eligibility_answered', :event_data, :now)
    """
)
SUPPRESS = sqlalchemy.text(
    "INSERT INTO contact_suppressions (contact_id, reason, suppressed_at) VALUES (:contact_id, :reason, :now)"
)


class RefusedError(Exception):
    """The provider has certainly not sent the email, and never will."""


@dataclass(frozen=True)
class Email:
    """What the provider needs. ``id`` is the key by which it recognises an email that it has got before."""

    id: int
    contact_id: int
    email: str
    phone_number: str | None
    email_type: str
    email_template: str
    sms_template: str | None


@dataclass
class Sent:
    """What a run of the sender came to, as ids of ``email_schedules``.

    Attributes:
        sent: Sent and marked so.
        failed: Refused by the provider.
        unresolved: It is not known whether they were sent; they stay ``processing``.
        missed: Due when the list was read, but no longer when it was their turn.
    """

    sent: list[int]
    failed: list[int]
    unresolved: list[int]
    missed: list[int]


class Sender:
    """Sends the emails of the day from one organisation's database.

    Args:
        url: The database.
        send: Hands an email to the provider. Raises ``RefusedError`` if it was certainly not sent; whatever
            else it raises leaves that open.
        now: The moment, with its time zone.
    """

    def __init__(self, url: str, send: Callable[[Email], None], now: Callable[[], datetime]) -> None:
        self._engine: Engine = sqlalchemy.create_engine(url, poolclass=NullPool)
        self._send = send
        self._now = now

    def send_due_emails(self) -> Sent:
        """Send what is due by now; meant to be called every few minutes from the send time to midnight."""
        result = Sent([], [], [], [])
        begin = self._central()
        today = begin.date().isoformat()
        with self._transaction() as connection:
            due = connection.execute(DUE, {"today": today, "time": begin.strftime("%H:%M:%S")}).all()
        for row in due:
            if self._central().date().isoformat() != today:
                break
            email = self._claim(row, today)
            if email is None:
                result.missed.append(row.id)
            else:
                self._send_claimed(email, result)
        return result

    def record_click(self, contact_id: int, email_schedule_id: int | None, url: str = "") -> None:
        """Record that somebody has clicked a link."""
        self._execute(ADD_CLICK, contact_id=contact_id, email_schedule_id=email_schedule_id, url=url)

    def record_answer(self, contact_id: int, event_data: str) -> None:
        """Record that somebody has answered the health questions."""
        self._execute(ADD_ANSWER, contact_id=contact_id, event_data=event_data)

    def suppress(self, contact_id: int, reason: str) -> None:
        """Record that somebody must not be written to any more."""
        self._execute(SUPPRESS, contact_id=contact_id, reason=reason)

    def _claim(self, row: sqlalchemy.Row, today: str) -> Email | None:
        with self._transaction() as connection:
            claimed = connection.execute(
                CLAIM, {"id": row.id, "today": today, "now": self._timestamp()}
            ).first()
        if claimed is None:
            return None
        return Email(id=row.id, email=row.email, phone_number=row.phone_number, **claimed._mapping)

    def _send_claimed(self, email: Email, result: Sent) -> None:
        try:
            self._send(email)
        except RefusedError:
            self._execute(MARK_FAILED, id=email.id)
            result.failed.append(email.id)
        except Exception:
            # it may have been sent, so that it must not be sent again: somebody has to find out
            result.unresolved.append(email.id)
        else:
            self._execute(MARK_SENT, id=email.id)
            result.sent.append(email.id)

    def _execute(self, statement: sqlalchemy.TextClause, **parameters: object) -> None:
        with self._transaction() as connection:
            connection.execute(statement, {"now": self._timestamp(), **parameters})

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Open a transaction; none is open while the provider is at work, since the planner would wait."""
        with self._engine.begin() as connection:
            yield connection

    def _central(self) -> datetime:
        return self._now().astimezone(CENTRAL)

    def _timestamp(self) -> str:
        return self._central().isoformat(timespec="seconds")

"""Whether an organisation is held, so that nothing of it is due; holding it, and releasing it."""

from dataclasses import dataclass

from sqlalchemy import insert, select, update

from email_scheduler.config import SchedulerConfig
from email_scheduler.database.campaign_changes import current_user
from email_scheduler.database.connections import Connection, connect, database_errors, timestamp, utc_now
from email_scheduler.database.schema_version import require_current_schema
from email_scheduler.database.tables import organization_holds
from email_scheduler.errors import UsageError

_holds = organization_holds.c
_LONGEST_REASON = 1_000


@dataclass(frozen=True)
class Hold:
    """Why nothing of an organisation is due.

    Attributes:
        reason: In somebody's words.
        held_by: Who holds it.
        held_at: Since when, ISO 8601.
    """

    reason: str
    held_by: str
    held_at: str

    def __str__(self) -> str:
        return (
            f"this organisation is held by {self.held_by} since {self.held_at[:19]} ({self.reason}): nothing"
            " is due until email-scheduler release"
        )


def current_hold(url: str, config: SchedulerConfig | None = None) -> Hold | None:
    """Return the hold of an organisation; None if it is not held.

    Raises:
        DatabaseError: The database cannot be read.
    """
    with database_errors(url), connect(url, config or SchedulerConfig()) as connection:
        return read_hold(connection)


def read_hold(connection: Connection) -> Hold | None:
    """Do the same over an open connection."""
    found = connection.execute(
        select(_holds.reason, _holds.held_by, _holds.held_at)
        .where(_holds.released_at.is_(None))
        .order_by(_holds.id)
        .limit(1)
    )
    if not found:
        return None
    ((reason, held_by, held_at),) = found
    return Hold(reason, held_by or "unknown", held_at or "")


def hold(connection: Connection, reason: str, held_by: str, held_at: str) -> Hold:
    """Hold an organisation, within a transaction, and return the hold as it is stored."""
    row = {"reason": reason, "held_by": held_by, "held_at": held_at}
    ((stored_at,),) = connection.execute(insert(organization_holds).values(row).returning(_holds.held_at))
    return Hold(reason, held_by, stored_at)


def release(connection: Connection, reason: str, released_by: str, released_at: str) -> None:
    """End every hold of an organisation, within a transaction."""
    connection.execute(
        update(organization_holds)
        .where(_holds.released_at.is_(None))
        .values(release_reason=reason, released_by=released_by, released_at=released_at)
    )


def hold_organization(
    url: str, reason: str, *, held_by: str | None = None, config: SchedulerConfig | None = None
) -> Hold:
    """Hold an organisation: from this moment on ``due_emails`` is empty. It goes on being planned.

    Raises:
        UsageError: The reason is blank, or it is held already.
        DatabaseError: The database cannot be used.
    """
    settings, text = config or SchedulerConfig(), _reason(reason)
    require_current_schema(url, settings, is_urgent=True)
    with database_errors(url), connect(url, settings) as connection, connection.transaction():
        present = read_hold(connection)
        if present is not None:
            raise UsageError(str(present))
        return hold(connection, text, held_by or current_user(), timestamp(utc_now()))


def release_organization(
    url: str, reason: str, *, released_by: str | None = None, config: SchedulerConfig | None = None
) -> Hold:
    """Release an organisation, and return the hold that ends.

    Raises:
        UsageError: The reason is blank, or it is not held.
        DatabaseError: The database cannot be used.
    """
    settings, text = config or SchedulerConfig(), _reason(reason)
    require_current_schema(url, settings)
    with database_errors(url), connect(url, settings) as connection, connection.transaction():
        present = read_hold(connection)
        if present is None:
            raise UsageError("this organisation is not held")
        release(connection, text, released_by or current_user(), timestamp(utc_now()))
    return present


def _reason(text: str) -> str:
    reason = " ".join(text.split())
    if not reason or len(reason) > _LONGEST_REASON or not reason.isprintable():
        raise UsageError(
            f"reason {text!r}; accepted is a text of at most {_LONGEST_REASON} characters, all of which can"
            " be printed"
        )
    return reason

"""Whether an organisation is held: then nothing of it is due, whatever is planned.

All of ``organization_holds`` is read and written here; only the view ``due_emails`` looks at it, too.
"""

from dataclasses import dataclass

from sqlalchemy import insert, select, update

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.storage.connection import Connection
from email_scheduler.storage.engine import connect
from email_scheduler.storage.faults import database_errors
from email_scheduler.storage.tables import organization_holds

_holds = organization_holds.c


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

"""Whether an organisation is held: then nothing of it is due, whatever is planned."""

from dataclasses import dataclass

from sqlalchemy import select

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.storage.engine import open_engine
from email_scheduler.storage.faults import database_errors
from email_scheduler.storage.tables import organization_holds


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
        RuntimeError: An ADBC connection to it is open in this process.
    """
    holds = organization_holds.c
    query = (
        select(holds.reason, holds.held_by, holds.held_at)
        .where(holds.released_at.is_(None))
        .order_by(holds.id)
        .limit(1)
    )
    engine = open_engine(url, (config or SchedulerConfig()).database)
    with database_errors(url), engine.connect() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    return Hold(row[0], row[1] or "unknown", "" if row[2] is None else str(row[2]))

"""Holding an organisation, and releasing it."""

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import UsageError
from email_scheduler.operations.campaigns.session import current_user
from email_scheduler.storage.engine import connect
from email_scheduler.storage.faults import database_errors
from email_scheduler.storage.holds import Hold, hold, read_hold, release
from email_scheduler.storage.moments import timestamp, utc_now
from email_scheduler.storage.schema import require_current_schema

_LONGEST_REASON = 1_000


def hold_organization(
    url: str, reason: str, *, held_by: str | None = None, config: SchedulerConfig | None = None
) -> Hold:
    """Hold an organisation: from this moment on ``due_emails`` is empty. It goes on being planned.

    Raises:
        UsageError: The reason is blank, or it is held already.
        DatabaseError: The database cannot be used.
    """
    settings, text = config or SchedulerConfig(), _reason(reason)
    require_current_schema(url, settings)
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
        raise UsageError(f"reason {text!r}; accepted is a text of at most {_LONGEST_REASON} characters")
    return reason

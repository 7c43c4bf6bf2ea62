"""Holding an organisation, and releasing it."""

from sqlalchemy import insert, update

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import UsageError
from email_scheduler.operations.campaigns.session import connected, current_user
from email_scheduler.storage.holds import Hold, current_hold
from email_scheduler.storage.moments import timestamp, utc_now
from email_scheduler.storage.schema import require_current_schema
from email_scheduler.storage.tables import organization_holds

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
    present = current_hold(url, settings)
    if present is not None:
        raise UsageError(str(present))
    row = {"reason": text, "held_by": held_by or current_user(), "held_at": timestamp(utc_now())}
    stored = insert(organization_holds).values(row).returning(organization_holds.c.held_at)
    with connected(url, settings) as connection, connection.transaction():
        ((held_at,),) = connection.execute(stored)
    return Hold(text, row["held_by"], held_at)


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
    present = current_hold(url, settings)
    if present is None:
        raise UsageError("this organisation is not held")
    with connected(url, settings) as connection, connection.transaction():
        connection.execute(
            update(organization_holds)
            .where(organization_holds.c.released_at.is_(None))
            .values(
                release_reason=text,
                released_by=released_by or current_user(),
                released_at=timestamp(utc_now()),
            )
        )
    return present


def _reason(text: str) -> str:
    reason = " ".join(text.split())
    if not reason or len(reason) > _LONGEST_REASON or not reason.isprintable():
        raise UsageError(f"reason {text!r}; accepted is a text of at most {_LONGEST_REASON} characters")
    return reason

"""What becomes of each contact that an operator names: decided in sets, in the temporary table."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, Text, and_, case, cast, exists, func, or_, select, text, update
from sqlalchemy.engine import Connection

from email_scheduler.operations.campaigns.campaign_instances import InstanceRow
from email_scheduler.operations.campaigns.staging import stage
from email_scheduler.operations.campaigns.values import date_text
from email_scheduler.planning.campaigns import OPEN_TARGET_STATUSES
from email_scheduler.storage.tables import SENDER_ROW_SQL, contact_campaigns, email_schedules

# What becomes of a line.
ADDED: Final = "added"
MOVED: Final = "moved"
ANNOTATED: Final = "annotated"
UNCHANGED: Final = "unchanged"
REPEATED: Final = "repeated"
ALREADY_SENT: Final = "already_sent"
ALREADY_WITHDRAWN: Final = "already_withdrawn"
SEVERAL: Final = "several_targets"
WITHDRAWN: Final = "withdrawn"
KEPT_OUT: Final = "kept_out"
REVIVED: Final = "revived"

# Lines of which nothing was taken, so that somebody should look at them.
REPORTED: Final = (ALREADY_SENT, ALREADY_WITHDRAWN, SEVERAL)
MOST_REPORTED: Final = 1_000

PENDING: Final = "pending"
SKIPPED: Final = "skipped"
SENT: Final = "sent"


@dataclass(frozen=True)
class Reported:
    """A line of which nothing was taken.

    Attributes:
        line: Its number; of contacts by condition, the contact.
        outcome: ``already_sent``, ``already_withdrawn`` or ``several_targets``.
    """

    line: int
    contact_id: int
    outcome: str


def look_up(connection: Connection, instance: InstanceRow, default: date | None) -> None:
    """Note in the temporary table what the database says about each contact and the instance.

    Args:
        connection: In the transaction that is to write.
        instance: The campaign instance.
        default: The trigger date of targets without one.
    """
    targets = contact_campaigns
    own = and_(targets.c.contact_id == stage.c.contact_id, targets.c.campaign_instance_id == instance.id)
    trigger = date_text(targets.c.trigger_date)
    is_waiting = ~_is_taken(targets.c.contact_id, trigger, instance, default)
    is_open = and_(own, targets.c.status.in_(OPEN_TARGET_STATUSES), is_waiting)
    day = "" if default is None else default.isoformat()
    same_date = func.coalesce(trigger, day) == func.coalesce(stage.c.trigger_date, day)
    # of several targets with one date, an open one counts, else one that was sent
    rank = case((targets.c.status.in_(OPEN_TARGET_STATUSES), 0), (targets.c.status == SENT, 1), else_=2)
    same = select(targets.c.id).where(own, same_date).order_by(rank, targets.c.id).limit(1)
    same_status = select(targets.c.status).where(own, same_date).order_by(rank, targets.c.id).limit(1)
    is_closed = and_(own, targets.c.status.not_in(OPEN_TARGET_STATUSES))
    closed = select(targets.c.status).where(is_closed).order_by(rank).limit(1)
    connection.execute(
        update(stage)
        .where(stage.c.outcome.is_(None))
        .values(
            same_id=same.scalar_subquery(),
            same_status=same_status.scalar_subquery(),
            open_id=select(func.min(targets.c.id)).where(is_open).scalar_subquery(),
            open_count=select(func.count()).select_from(targets).where(is_open).scalar_subquery(),
            closed_status=closed.scalar_subquery(),
            is_taken=case((exists().where(*_senders_rows(stage.c.contact_id, instance)), 1), else_=0),
            is_same_taken=case(
                (_is_taken(stage.c.contact_id, stage.c.trigger_date, instance, default), 1), else_=0
            ),
        )
    )


def _senders_rows(contact_id: ColumnElement[Any], instance: InstanceRow) -> tuple[Any, ...]:
    """Return the conditions for emails of the instance that the sending system has taken."""
    emails = email_schedules.c
    return (
        emails.contact_id == contact_id,
        text(f"email_schedules.{SENDER_ROW_SQL}"),
        emails.campaign_instance_id == instance.id,
        emails.initial_email_id.is_(None),
    )


def _is_taken(
    contact_id: ColumnElement[Any], day: ColumnElement[str], instance: InstanceRow, default: date | None
) -> ColumnElement[bool]:
    """Return whether the sending system has taken the email to a contact about a trigger date."""
    emails = email_schedules.c
    trigger = func.replace(func.coalesce(day, "" if default is None else default.isoformat()), "-", "")
    event = emails.event_year * 10_000 + emails.event_month * 100 + emails.event_day
    return exists().where(
        *_senders_rows(contact_id, instance),
        or_(emails.event_year.is_(None), cast(event, Text()) == trigger),
    )


def decide(connection: Connection, *, again: bool) -> None:
    """Note in the temporary table what is to become of each line, once it is looked up.

    Args:
        connection: In the transaction that is to write.
        again: Take contacts to whom the instance has written, and those that were withdrawn, too.
    """
    is_same_open = stage.c.same_status.in_(OPEN_TARGET_STATUSES)
    brings_news = and_(
        stage.c.metadata.is_not(None),
        exists().where(
            contact_campaigns.c.id == stage.c.same_id,
            func.coalesce(cast(contact_campaigns.c.metadata, Text()), "") != stage.c.metadata,
        ),
    )
    has_written = or_(stage.c.is_taken == 1, stage.c.closed_status == SENT)
    before: list[tuple[ColumnElement[bool], str]] = [
        (and_(is_same_open, brings_news), ANNOTATED),
        (is_same_open, UNCHANGED),
        (or_(stage.c.same_status == SENT, stage.c.is_same_taken == 1), ALREADY_SENT),
        (stage.c.open_count > 1, SEVERAL),
        # moving the open one would make two of the date
        (and_(stage.c.open_count == 1, stage.c.same_status == SKIPPED), SEVERAL),
    ]
    if again:
        cases = [
            *before,
            (stage.c.open_id.is_not(None), MOVED),
            (stage.c.same_status == SKIPPED, REVIVED),
        ]
    else:
        cases = [
            *before,
            (has_written, ALREADY_SENT),
            (stage.c.open_id.is_not(None), MOVED),
            (stage.c.closed_status.is_not(None), ALREADY_WITHDRAWN),
        ]
    connection.execute(
        update(stage).where(stage.c.outcome.is_(None)).values(outcome=case(*cases, else_=ADDED))
    )


def outcomes(connection: Connection) -> tuple[dict[str, int], list[Reported]]:
    """Return how many lines have come to what, and the first of those that somebody should look at."""
    counted = select(stage.c.outcome, func.count()).group_by(stage.c.outcome)
    counts = {str(outcome): int(count) for outcome, count in connection.execute(counted)}
    lines = (
        select(stage.c.line, stage.c.contact_id, stage.c.outcome)
        .where(stage.c.outcome.in_(REPORTED))
        .order_by(stage.c.line)
        .limit(MOST_REPORTED)
    )
    return counts, [Reported(*row) for row in connection.execute(lines)]

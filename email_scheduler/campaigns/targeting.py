"""Targeting contacts of a campaign instance, and withdrawing them: decided in sets, in a temporary table."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from email_scheduler.campaigns.catalogue import InstanceRow, as_stored, date_text, find_instance, find_type
from email_scheduler.campaigns.selections import (
    STATE_NOTE,
    Selection,
    Where,
    import_selection,
    names_state,
    stage,
)
from email_scheduler.database import (
    ADDED,
    SENDER_ROW_SQL,
    BadLines,
    Connection,
    Session,
    contact_campaigns,
    count_outcomes,
    email_schedules,
    targets_changed,
    transaction,
)
from email_scheduler.planning import OPEN_TARGET_STATUSES

# What becomes of a line.
MOVED: Final = "moved"
ANNOTATED: Final = "annotated"
UNCHANGED: Final = "unchanged"
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


@dataclass(frozen=True)
class TargetResult:
    """What targeting or withdrawing did.

    Attributes:
        instance: The campaign instance.
        counts: Lines by what became of them.
        reported: The first of those of which nothing was taken.
        bad_lines: Those that could not be read, or name nobody.
        notes: What there is to know about the selection, a sentence each.
    """

    instance: InstanceRow
    counts: Mapping[str, int]
    reported: list[Reported]
    bad_lines: BadLines = field(default_factory=BadLines)
    notes: tuple[str, ...] = ()


def notes_on(selection: Selection | None) -> tuple[str, ...]:
    """Return what there is to know about a selection."""
    return (STATE_NOTE,) if isinstance(selection, Where) and names_state(selection.conditions) else ()


def target(
    connection: Connection,
    reference: str,
    selection: Selection,
    changed_by: str,
    *,
    trigger_date: date | None = None,
    again: bool = False,
    skip_bad: bool = False,
) -> TargetResult:
    """Make contacts targets of an instance, in one transaction.

    A contact that is a target already, with another trigger date, is corrected: its open target moves. One to
    whom the instance has written is reported and not added, nor is one that was withdrawn, unless ``again``.

    Args:
        connection: Not in a transaction.
        reference: The instance.
        selection: Who is meant.
        changed_by: Who does it.
        trigger_date: Of contacts for which the selection names none; None: that of the instance.
        again: Also contacts to whom the instance has written, on another date, and those that were withdrawn.
        skip_bad: Take the other lines if some cannot be taken.

    Raises:
        BadLinesError: Some lines cannot be taken; nothing was changed.
        UsageError: The instance or the selection is not known.
    """
    default = _default_date(connection, find_instance(connection, reference))
    bad_lines = import_selection(
        connection, selection, trigger_date=trigger_date, needs_date=default is None, skip_bad=skip_bad
    )
    with transaction(connection, changed_by) as session:
        instance = find_instance(connection, reference)
        result = take_targets(session, instance, again=again)
    return replace(result, bad_lines=bad_lines, notes=notes_on(selection))


def take_targets(session: Session, instance: InstanceRow, *, again: bool = False) -> TargetResult:
    """Make what is in the temporary table targets of an instance, and record it."""
    connection = session.connection
    _look_up(connection, instance, _default_date(connection, instance))
    _decide(connection, again=again)
    targets, now = contact_campaigns, session.now
    has_outcome = stage.c.outcome
    added = select(
        stage.c.contact_id,
        literal(instance.id),
        cast(stage.c.trigger_date, targets.c.trigger_date.type),
        literal(PENDING),
        cast(stage.c.metadata, targets.c.metadata.type),
        as_stored(now, targets.c.created_at.type),
        as_stored(now, targets.c.updated_at.type),
    ).where(has_outcome == ADDED)
    names = (
        "contact_id",
        "campaign_instance_id",
        "trigger_date",
        "status",
        "metadata",
        "created_at",
        "updated_at",
    )
    connection.execute(insert(targets).from_select(names, added.order_by(stage.c.line)))
    metadata = func.coalesce(cast(stage.c.metadata, targets.c.metadata.type), targets.c.metadata)
    connection.execute(
        update(targets)
        .where(targets.c.id == stage.c.open_id, has_outcome == MOVED)
        .values(
            trigger_date=cast(stage.c.trigger_date, targets.c.trigger_date.type),
            status=PENDING,
            metadata=metadata,
            updated_at=now,
        )
    )
    same = update(targets).where(targets.c.id == stage.c.same_id)
    connection.execute(same.where(has_outcome == ANNOTATED).values(metadata=metadata, updated_at=now))
    connection.execute(
        same.where(has_outcome == REVIVED).values(status=PENDING, metadata=metadata, updated_at=now)
    )
    counts = count_outcomes(connection, stage)
    # to the operator, a target that comes back is a new one
    counts[ADDED] = counts.get(ADDED, 0) + counts.pop(REVIVED, 0)
    happened = {name: counts.get(name, 0) for name in (ADDED, MOVED, ANNOTATED)}
    session.record(targets_changed(happened, instance.campaign_type, instance.id))
    return TargetResult(instance, counts, _reported(connection))


def withdraw(
    connection: Connection,
    reference: str,
    selection: Selection,
    changed_by: str,
    *,
    skip_bad: bool = False,
) -> TargetResult:
    """Keep contacts out of an instance, in one transaction.

    Their open targets become ``skipped``. A contact without a target gets one that is ``skipped``, so that a
    campaign for everybody does not take it up. One to whom the instance has written is reported.

    Args:
        connection: Not in a transaction.
        reference: The instance.
        selection: Who is meant; trigger dates play no part.
        changed_by: Who does it.
        skip_bad: Take the other lines if some cannot be taken.

    Raises:
        BadLinesError: Some lines cannot be taken; nothing was changed.
        UsageError: The instance or the selection is not known.
    """
    find_instance(connection, reference)
    bad_lines = import_selection(connection, selection, skip_bad=skip_bad)
    with transaction(connection, changed_by) as session:
        result = _withdraw(session, find_instance(connection, reference))
    return replace(result, bad_lines=bad_lines, notes=notes_on(selection))


def _withdraw(session: Session, instance: InstanceRow) -> TargetResult:
    connection, targets = session.connection, contact_campaigns
    _look_up(connection, instance, _default_date(connection, instance))
    outcome = case(
        (stage.c.open_id.is_not(None), WITHDRAWN),
        (stage.c.closed_status == SENT, ALREADY_SENT),
        (stage.c.is_taken == 1, ALREADY_SENT),
        (stage.c.closed_status.is_not(None), ALREADY_WITHDRAWN),
        else_=KEPT_OUT,
    )
    connection.execute(update(stage).where(stage.c.outcome.is_(None)).values(outcome=outcome))
    connection.execute(
        update(targets)
        .where(
            targets.c.campaign_instance_id == instance.id,
            targets.c.status.in_(OPEN_TARGET_STATUSES),
            exists().where(stage.c.contact_id == targets.c.contact_id, stage.c.outcome == WITHDRAWN),
        )
        .values(status=SKIPPED, updated_at=session.now)
    )
    kept_out = select(
        stage.c.contact_id,
        literal(instance.id),
        literal(SKIPPED),
        as_stored(session.now, targets.c.created_at.type),
        as_stored(session.now, targets.c.updated_at.type),
    ).where(stage.c.outcome == KEPT_OUT)
    names = ("contact_id", "campaign_instance_id", "status", "created_at", "updated_at")
    connection.execute(insert(targets).from_select(names, kept_out.order_by(stage.c.line)))
    counts = count_outcomes(connection, stage)
    happened = {WITHDRAWN: counts.get(WITHDRAWN, 0) + counts.get(KEPT_OUT, 0)}
    session.record(targets_changed(happened, instance.campaign_type, instance.id))
    return TargetResult(
        instance, counts, [each for each in _reported(connection) if each.outcome == ALREADY_SENT]
    )


def _default_date(connection: Connection, instance: InstanceRow) -> date | None:
    return instance.default_trigger_date(find_type(connection, instance.campaign_type))


def _look_up(connection: Connection, instance: InstanceRow, default: date | None) -> None:
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


def _decide(connection: Connection, *, again: bool) -> None:
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


def _reported(connection: Connection) -> list[Reported]:
    """Return the first lines that somebody should look at."""
    lines = (
        select(stage.c.line, stage.c.contact_id, stage.c.outcome)
        .where(stage.c.outcome.in_(REPORTED))
        .order_by(stage.c.line)
        .limit(MOST_REPORTED)
    )
    return [Reported(*row) for row in connection.execute(lines)]

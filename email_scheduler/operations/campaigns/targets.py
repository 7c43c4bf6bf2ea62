"""Targeting contacts of a campaign instance, and withdrawing them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import case, cast, exists, func, insert, literal, select, update
from sqlalchemy.engine import Connection

from email_scheduler.operations.campaigns.campaign_instances import InstanceRow, find_instance
from email_scheduler.operations.campaigns.campaign_types import find_type
from email_scheduler.operations.campaigns.decisions import (
    ADDED,
    ALREADY_SENT,
    ALREADY_WITHDRAWN,
    ANNOTATED,
    KEPT_OUT,
    MOVED,
    PENDING,
    REVIVED,
    SENT,
    SKIPPED,
    WITHDRAWN,
    Reported,
    decide,
    look_up,
    outcomes,
)
from email_scheduler.operations.campaigns.session import Session, transaction
from email_scheduler.operations.campaigns.staging import Selection, fill_stage, source_of, stage
from email_scheduler.operations.campaigns.values import as_stored
from email_scheduler.operations.csv_files.bad_lines import BadLines, BadLinesError
from email_scheduler.planning.campaigns import OPEN_TARGET_STATUSES
from email_scheduler.storage.campaign_log import targets_changed
from email_scheduler.storage.tables import contact_campaigns


@dataclass(frozen=True)
class TargetResult:
    """What targeting or withdrawing did.

    Attributes:
        instance: The campaign instance.
        counts: Lines by what became of them.
        reported: The first of those of which nothing was taken.
        bad_lines: Those that could not be read, or name nobody.
    """

    instance: InstanceRow
    counts: Mapping[str, int]
    reported: list[Reported]
    bad_lines: BadLines = field(default_factory=BadLines)


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
    with connection.begin():
        default = _default_date(connection, find_instance(connection, reference))
    bad_lines = BadLines()
    fill_stage(
        connection,
        selection,
        bad_lines,
        trigger_date=trigger_date,
        needs_date=default is None and trigger_date is None,
    )
    if bad_lines and not skip_bad:
        raise BadLinesError(source_of(selection)[0], bad_lines, source_of(selection)[1])
    with transaction(connection, changed_by) as session:
        instance = find_instance(connection, reference)
        result = take_targets(session, instance, again=again)
    return TargetResult(instance, result.counts, result.reported, bad_lines)


def take_targets(session: Session, instance: InstanceRow, *, again: bool = False) -> TargetResult:
    """Make what is in the temporary table targets of an instance, and record it."""
    connection = session.connection
    look_up(connection, instance, _default_date(connection, instance))
    decide(connection, again=again)
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
    counts, reported = outcomes(connection)
    # to the operator, a target that comes back is a new one
    counts[ADDED] = counts.get(ADDED, 0) + counts.pop(REVIVED, 0)
    happened = {name: counts.get(name, 0) for name in (ADDED, MOVED, ANNOTATED)}
    session.record(targets_changed(happened, instance.campaign_type, instance.id))
    return TargetResult(instance, counts, reported)


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
    with connection.begin():
        find_instance(connection, reference)
    bad_lines = BadLines()
    fill_stage(connection, selection, bad_lines)
    if bad_lines and not skip_bad:
        raise BadLinesError(source_of(selection)[0], bad_lines, source_of(selection)[1])
    with transaction(connection, changed_by) as session:
        instance = find_instance(connection, reference)
        counts, reported = _withdraw(session, instance)
    return TargetResult(instance, counts, reported, bad_lines)


def _withdraw(session: Session, instance: InstanceRow) -> tuple[dict[str, int], list[Reported]]:
    connection, targets = session.connection, contact_campaigns
    look_up(connection, instance, _default_date(connection, instance))
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
    counts, reported = outcomes(connection)
    happened = {WITHDRAWN: counts.get(WITHDRAWN, 0) + counts.get(KEPT_OUT, 0)}
    session.record(targets_changed(happened, instance.campaign_type, instance.id))
    return counts, [each for each in reported if each.outcome == ALREADY_SENT]


def _default_date(connection: Connection, instance: InstanceRow) -> date | None:
    return instance.default_trigger_date(find_type(connection, instance.campaign_type))

"""What campaigns have in store and what they have achieved, in numbers, and how variants compare (A/B).

Nobody's data.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
)

from email_scheduler.campaigns.catalogue import (
    InstanceRow,
    TypeRow,
    as_text,
    find_instance,
    find_type,
    is_true,
    list_instances,
    raw,
)
from email_scheduler.database import (
    Connection,
    Row,
    campaign_change_log,
    campaign_instances,
    contact_campaigns,
    contact_events,
    email_schedules,
    email_tracking,
    tracking_clicks,
)
from email_scheduler.planning import read_variants, variant_in
from email_scheduler.registry import PRE_SCHEDULED, SENT_STATUSES, SKIPPED

# Two-sided: 95 of 100 intervals hold the true rate.
_Z: Final = NormalDist().inv_cdf(0.975)
_ANSWERED: Final = "eligibility_answered"
_ANSWERED_BEFORE: Final = "health_question_response"
_emails = email_schedules.c


@dataclass(frozen=True)
class Rate:
    """How many of the emails that went out did something.

    Attributes:
        share: ``count`` of those that went out; None: none went out, like the two after it.
        low, high: The ends of the 95 % interval of the true rate.
    """

    count: int
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class VariantResult:
    """What a variant has in store and what it has achieved.

    Attributes:
        name: None: emails of no variant.
        weight, email_template: As the instance declares it; None: it does not any more.
        planned: Emails that are waiting.
        sent: Emails that went out.
    """

    name: str | None
    weight: int | None
    email_template: str | None
    planned: int
    sent: int
    clicked: Rate
    answered: Rate


def variant_results(
    declared: Any,
    *,
    planned: Mapping[str | None, int],
    sent: Mapping[str | None, int],
    clicked: Mapping[str | None, int],
    answered: Mapping[str | None, int],
) -> list[VariantResult]:
    """Return the variants in the order of the list, then others that emails are of, then emails of none.

    Args:
        declared: ``metadata.variants`` of the instance.
        planned: Emails that are waiting, by their metadata as it is stored.
        sent: The same of emails that went out.
        clicked: Of these, the same of those that were clicked.
        answered: And of those whose contact answered.

    Returns:
        Nothing where no variant is declared and no email is of one.
    """
    counts = [_by_variant(each) for each in (planned, sent, clicked, answered)]
    variants = {each.name: each for each in read_variants(declared)[0]}
    others = sorted({name for each in counts for name in each if name is not None} - set(variants))
    names: list[str | None] = [*variants, *others]
    if names and any(None in each for each in counts):
        names.append(None)
    results = []
    for name in names:
        waiting, out, clicks, answers = (each.get(name, 0) for each in counts)
        variant = variants.get(name) if name is not None else None
        results.append(
            VariantResult(
                name=name,
                weight=None if variant is None else variant.weight,
                email_template=None if variant is None else variant.email_template,
                planned=waiting,
                sent=out,
                clicked=_rate(clicks, out),
                answered=_rate(answers, out),
            )
        )
    return results


def wilson_interval(count: int, total: int) -> tuple[float, float]:
    """Return the ends of Wilson's 95 % score interval of a rate, without continuity correction.

    With n = total, p = count / n, q = 1 - p and z = 1.96: (p + z²/2n ± z √(pq/n + z²/4n²)) / (1 + z²/n).
    It stays within 0 and 1, and is sound for few emails and for rates near 0 and 1 as well.

    Args:
        count: How many did it, from 0 to ``total``.
        total: Of how many, at least 1.
    """
    share, square = count / total, _Z * _Z / total
    middle = share + square / 2
    half = _Z * sqrt(share * (1 - share) / total + square / (4 * total))
    low, high = ((middle + sign * half) / (1 + square) for sign in (-1, 1))
    # exact where rounding would leave something over
    return (0.0 if count == 0 else low), (1.0 if count == total else high)


def _rate(count: int, total: int) -> Rate:
    if total == 0:
        return Rate(count, None, None, None)
    return Rate(count, count / total, *wilson_interval(count, total))


def _by_variant(counts: Mapping[str | None, int]) -> dict[str | None, int]:
    result: dict[str | None, int] = {}
    for metadata, count in counts.items():
        name = None if metadata is None else variant_in(metadata)
        result[name] = result.get(name, 0) + count
    return result


@dataclass(frozen=True)
class InstanceCounts:
    """An instance in the list of all.

    Attributes:
        targets: Contacts that are listed and not withdrawn.
        planned: Emails that are waiting.
        sent: Emails that went out.
    """

    instance: InstanceRow
    targets: int
    planned: int
    sent: int


@dataclass(frozen=True)
class InstanceReport:
    """All that there is to say about an instance.

    Attributes:
        campaign_type: Its type.
        is_for_everybody: Contacts that are not listed get its email too.
        is_for_audience: Those of them that match its audience do.
        targets: Listed contacts by status: pending, scheduled, sent, skipped (withdrawn).
        planned_by_date: Emails that are waiting, by send date.
        skipped_by_reason: Emails of the plan that do not go out.
        emails_by_status: Emails that the sending system has taken.
        sent: Of these, those that went out.
        clicked: Of those, how many were clicked.
        answered: How many of their contacts answered the health questions afterwards.
        follow_ups: Kind of follow-up and status to emails.
        variants: Those that the instance declares, in its order, then others that emails are of, then emails
            of none; empty where there are none of the first two.
    """

    instance: InstanceRow
    campaign_type: TypeRow
    is_for_everybody: bool
    is_for_audience: bool
    targets: dict[str, int]
    planned_by_date: dict[str, int]
    skipped_by_reason: dict[str, int]
    emails_by_status: dict[str, int]
    sent: int
    clicked: int
    answered: int
    follow_ups: dict[tuple[str, str], int]
    variants: list[VariantResult]


@dataclass(frozen=True)
class LogRow:
    """A row of ``campaign_change_log``.

    Attributes:
        instance: ``type/name``, or the id of one that does not exist any more; None: the type was changed.
        is_processed: Whether a plan has taken it into account.
    """

    id: int
    changed_at: str | None
    changed_by: str | None
    campaign_type: str | None
    instance: str | None
    field: str | None
    old: str | None
    new: str | None
    requires_rescheduling: bool
    is_processed: bool


def count_instances(connection: Connection) -> list[InstanceCounts]:
    """Return all instances with their counts, by id."""
    is_target = contact_campaigns.c.status != SKIPPED
    targets = _counts(
        connection,
        select(contact_campaigns.c.campaign_instance_id, func.count())
        .where(is_target)
        .group_by(contact_campaigns.c.campaign_instance_id),
    )
    emails = connection.execute(
        select(_emails.campaign_instance_id, _emails.status, func.count())
        .where(_emails.campaign_instance_id.is_not(None), _emails.initial_email_id.is_(None))
        .group_by(_emails.campaign_instance_id, _emails.status)
    )
    return [
        InstanceCounts(
            instance,
            targets.get(instance.id, 0),
            sum(count for owner, status, count in emails if owner == instance.id and status == PRE_SCHEDULED),
            sum(count for owner, status, count in emails if owner == instance.id and status in SENT_STATUSES),
        )
        for instance in list_instances(connection)
    ]


def report_instance(connection: Connection, reference: str) -> InstanceReport:
    """Return what an instance has in store and what it has achieved.

    Clicks and answers count as for follow-ups (section 10 of the planning rules), however late they come.

    Raises:
        UsageError: There is no such instance.
    """
    instance = find_instance(connection, reference)
    campaign_type = find_type(connection, instance.campaign_type)
    has_audience = instance.metadata.get("audience") is not None
    own = _emails.campaign_instance_id == instance.id
    first = and_(own, _emails.initial_email_id.is_(None))
    by_status = _counts(connection, _grouped(_emails.status, first))
    day = func.substr(cast(_emails.scheduled_send_date, Text()), 1, 10)
    sent = and_(first, _emails.status.in_(SENT_STATUSES))
    follow_ups = select(_emails.email_type, _emails.status, func.count()).where(
        own, _emails.initial_email_id.is_not(None)
    )
    clicked = _by_metadata(connection, sent, _is_clicked())
    answered = _by_metadata(connection, sent, _is_answered())
    return InstanceReport(
        instance=instance,
        campaign_type=campaign_type,
        is_for_everybody=campaign_type.target_all_contacts and not has_audience,
        is_for_audience=has_audience,
        targets=_counts(
            connection,
            _grouped(contact_campaigns.c.status, contact_campaigns.c.campaign_instance_id == instance.id),
        ),
        planned_by_date=_counts(connection, _grouped(day, first, _emails.status == PRE_SCHEDULED)),
        skipped_by_reason=_counts(
            connection, _grouped(_emails.skip_reason, first, _emails.status == SKIPPED)
        ),
        emails_by_status={
            status: count for status, count in by_status.items() if status not in {PRE_SCHEDULED, SKIPPED}
        },
        sent=sum(by_status.get(status, 0) for status in SENT_STATUSES),
        clicked=sum(clicked.values()),
        answered=sum(answered.values()),
        follow_ups={
            (str(email_type), str(status)): int(count)
            for email_type, status, count in connection.execute(
                follow_ups.group_by(_emails.email_type, _emails.status).order_by(
                    _emails.email_type, _emails.status
                )
            )
        },
        variants=variant_results(
            instance.metadata.get("variants"),
            planned=_by_metadata(connection, first, _emails.status == PRE_SCHEDULED),
            sent=_by_metadata(connection, sent),
            clicked=clicked,
            answered=answered,
        ),
    )


def list_changes(connection: Connection, *, limit: int = 50, reference: str | None = None) -> list[LogRow]:
    """Return the latest changes, the latest first.

    Args:
        connection: To the organisation's database.
        limit: How many.
        reference: Of one instance only.

    Raises:
        UsageError: There is no such instance.
    """
    log, instances = campaign_change_log.c, campaign_instances.c
    query = (
        select(
            *map(raw, log),
            instances.campaign_type.label("type_of_instance"),
            instances.instance_name,
        )
        .select_from(
            campaign_change_log.outerjoin(campaign_instances, instances.id == log.campaign_instance_id)
        )
        .order_by(log.id.desc())
        .limit(limit)
    )
    if reference is not None:
        query = query.where(log.campaign_instance_id == find_instance(connection, reference).id)
    return [_log_row(row) for row in connection.rows(query)]


def target_rows(connection: Connection, reference: str) -> Iterable[Row]:
    """Return contact, trigger date, status and metadata of the listed contacts of an instance, by contact.

    Raises:
        UsageError: There is no such instance.
    """
    targets = contact_campaigns.c
    instance = find_instance(connection, reference)
    return connection.execute(
        select(
            targets.contact_id,
            func.substr(cast(targets.trigger_date, Text()), 1, 10),
            targets.status,
            cast(targets.metadata, Text()),
        )
        .where(targets.campaign_instance_id == instance.id)
        .order_by(targets.contact_id, targets.id)
    )


def _log_row(row: dict[str, Any]) -> LogRow:
    instance_id = row["campaign_instance_id"]
    known = f"{row['type_of_instance']}/{row['instance_name']}"
    return LogRow(
        id=int(row["id"]),
        changed_at=as_text(row["changed_at"]),
        changed_by=row["changed_by"],
        campaign_type=row["campaign_type"],
        instance=None if instance_id is None else known if row["instance_name"] else str(instance_id),
        field=row["field_changed"],
        old=row["old_value"],
        new=row["new_value"],
        requires_rescheduling=is_true(row["requires_rescheduling"], default=False),
        is_processed=row["processed_run_id"] is not None,
    )


def _grouped(what: ColumnElement[Any], *conditions: ColumnElement[bool]) -> Select[Any]:
    # named, since the values within an expression make it another one each time that it is written
    return select(what.label("what"), func.count()).where(*conditions).group_by("what").order_by("what")


def _counts(connection: Connection, query: Select[Any]) -> dict[Any, int]:
    return {key: int(count) for key, count in connection.execute(query)}


def _by_metadata(connection: Connection, *conditions: ColumnElement[bool]) -> dict[str | None, int]:
    """Count emails by their metadata as text, which is short: it names no more than the variant."""
    return _counts(connection, _grouped(cast(_emails.metadata, Text()), *conditions))


def _send_date() -> ColumnElement[str]:
    sent_at = func.substr(cast(_emails.actual_send_datetime, Text()), 1, 10)
    return case(
        (func.coalesce(cast(_emails.actual_send_datetime, Text()), "") != "", sent_at),
        else_=func.substr(cast(_emails.scheduled_send_date, Text()), 1, 10),
    )


def _is_clicked() -> ColumnElement[bool]:
    clicks, older = tracking_clicks.c, email_tracking.c
    day = func.substr(cast(clicks.clicked_at, Text()), 1, 10)
    return or_(
        exists().where(clicks.email_schedule_id == _emails.id),
        exists().where(
            clicks.contact_id == _emails.contact_id,
            clicks.email_schedule_id.is_(None),
            day >= _send_date(),
        ),
        exists().where(older.email_id == _emails.id, older.event_type == literal("click")),
    )


def _is_answered() -> ColumnElement[bool]:
    events, older = contact_events.c, email_tracking.c
    day = func.substr(cast(events.created_at, Text()), 1, 10)
    return or_(
        exists().where(
            events.contact_id == _emails.contact_id, events.event_type == _ANSWERED, day >= _send_date()
        ),
        exists().where(older.email_id == _emails.id, older.event_type == _ANSWERED_BEFORE),
    )

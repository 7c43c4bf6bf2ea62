"""What a campaign instance will do, before it does anything: planned with it and without it, and compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError
from sqlalchemy import Text, cast, func, select

from email_scheduler.campaigns.catalogue import (
    InstanceRow,
    change_instance,
    create_instance,
    find_instance,
    find_type,
    list_instances,
    to_json,
)
from email_scheduler.campaigns.selections import Selection, import_selection
from email_scheduler.campaigns.targeting import notes_on, take_targets
from email_scheduler.config import Audience, SchedulerConfig, load_config
from email_scheduler.database import (
    CANCELLED,
    EARLIER,
    EMAIL_KINDS,
    GOES_OUT,
    LATER,
    Besides,
    Connection,
    Session,
    connected,
    contact_campaigns,
    email_change_codes,
    read_inputs,
    transaction,
)
from email_scheduler.errors import UsageError
from email_scheduler.planning import (
    CAMPAIGN_INSTANCES_TABLE,
    CONTACT_CAMPAIGNS_TABLE,
    FLAG,
    ID,
    AudienceCounts,
    Axis,
    Cube,
    Plan,
    PlanCounts,
    PlanInputs,
    count_audience,
    is_label,
    make_plan,
    match_occurrences,
    planning_basis,
)
from email_scheduler.registry import PRE_SCHEDULED, SKIPPED
from email_scheduler.reports.plan_difference import NOT_PLANNED


@dataclass(frozen=True)
class Displaced:
    """What becomes of the other emails of one type.

    Attributes:
        email_type: The type.
        later, earlier: Emails that go out on a later day, or on an earlier one.
        skipped: Emails that do not go out any more, by reason.
        instead: Emails that go out only because of the instance.
    """

    email_type: str
    later: int
    earlier: int
    skipped: dict[str, int]
    instead: int


def displaced_by(planned: pd.DataFrame, without: pd.DataFrame, instance_id: int) -> list[Displaced]:
    """Return what becomes of other emails because of an instance, by type.

    Args:
        planned: The plan with the instance (``EMAIL_SCHEDULES``).
        without: The plan without it.
        instance_id: The instance, whose own emails are left out.
    """
    matches = match_occurrences(planned, without)
    both = np.flatnonzero(matches >= 0)
    gone = np.setdiff1d(np.arange(len(without)), matches)
    went, goes = (is_label(frame["status"], [PRE_SCHEDULED]) for frame in (without, planned))
    before = np.zeros(len(planned), np.bool_)
    before[both] = went[matches[both]]
    days_later = np.zeros(len(planned), np.int32)
    days = [frame["scheduled_send_date"].to_numpy() for frame in (without, planned)]
    days_later[both] = days[1][both] - days[0][matches[both]]
    others, others_gone = (
        np.flatnonzero((frame["campaign_instance_id"] != instance_id).to_numpy())
        for frame in (planned, without)
    )
    gone = np.intersect1d(gone[went[gone]], others_gone)
    codes = email_change_codes(before, goes, days_later)[others]
    counts = Cube.count(
        {
            "email_type": Axis.of_labels(planned["email_type"], others),
            "kind": Axis(codes, EMAIL_KINDS),
            "reason": Axis.of_labels(planned["skip_reason"], others),
        }
    ) + Cube.count(
        {
            "email_type": Axis.of_labels(without["email_type"], gone),
            "kind": Axis(np.zeros(len(gone), np.int8), [CANCELLED]),
            "reason": Axis(np.zeros(len(gone), np.int8), [NOT_PLANNED]),
        }
    )
    counts = counts.where(kind=(GOES_OUT, LATER, EARLIER, CANCELLED))
    by_kind = counts.table("email_type", "kind")
    return [
        Displaced(
            email_type,
            by_kind[email_type].get(LATER, 0),
            by_kind[email_type].get(EARLIER, 0),
            counts.where(email_type=email_type, kind=CANCELLED).most_frequent("reason"),
            by_kind[email_type].get(GOES_OUT, 0),
        )
        for email_type in sorted(by_kind)
    ]


@dataclass(frozen=True)
class NewInstance:
    """An instance as a file describes it.

    Attributes:
        campaign_type: Its type.
        name: Its name.
        settings: What the file says of it, key by key.
    """

    campaign_type: str
    name: str
    settings: dict[str, object]

    @classmethod
    def read(cls, path: Path) -> "NewInstance":
        """Read a file that holds one instance, written as in ``campaigns.yaml``.

        Raises:
            ConfigurationError: The file is not accepted.
            UsageError: It holds no instance, or several.
        """
        found = [
            cls(campaign_type, name, instance.model_dump(exclude_unset=True))
            for campaign_type, instances in load_config(path).campaign_instances.items()
            for name, instance in instances.items()
        ]
        if len(found) != 1:
            raise UsageError(
                f"{path}: {len(found)} campaign instances; accepted is one, written as in campaigns.yaml:"
                " campaign_instances, its type, its name"
            )
        return found[0]


@dataclass(frozen=True)
class CampaignPreview:
    """What an instance will do.

    Attributes:
        reference: The instance, ``type/name``.
        as_of: The day that it was planned for.
        is_saved: Whether all of it is in the database as it was planned.
        contacts: Contacts that get an email or a skipped row.
        emails_by_day: Its emails by send date.
        skipped_by_reason: Its emails that do not go out.
        displaced: What becomes of other emails, by type; types to which nothing happens are left out.
        notes: What else there is to know, a sentence each.
        audience: Whom its audience takes on that day; None if it has none.
    """

    reference: str
    as_of: date
    is_saved: bool
    contacts: int
    emails_by_day: dict[str, int]
    skipped_by_reason: dict[str, int]
    displaced: list[Displaced]
    notes: list[str]
    audience: AudienceCounts | None = None


@dataclass(frozen=True)
class _Subject:
    """An instance and its targets as a plan is to see them; None: all is as the database has it."""

    instance: InstanceRow
    notes: list[str]
    targets: pd.DataFrame | None = None


def preview_instance(
    url: str,
    config: SchedulerConfig,
    instance: str | NewInstance,
    as_of: date,
    *,
    selection: Selection | None = None,
    trigger_date: date | None = None,
    on_phase: Callable[[str], None] = lambda _: None,
) -> CampaignPreview:
    """Plan with an instance and without it, and return the difference; nothing is written.

    An instance that is stopped is planned as if it were not.

    Args:
        url: The organisation's database, initialised.
        config: Its configuration.
        instance: One that is there, or one of a file; a file changes one that is there.
        as_of: The day to plan for.
        selection: Contacts that are to be its targets besides those that are.
        trigger_date: Of contacts for which the selection names none.
        on_phase: Told what is done as it begins.

    Raises:
        BadLinesError: Some lines of the selection cannot be taken.
        UsageError: Instance, type or selection is not known, or a setting is not accepted.
        DatabaseError: The database cannot be used.
    """
    on_phase("look up")
    with connected(url, config, is_bulky=selection is not None) as connection:
        subject = _look_up(connection, instance, selection, trigger_date)
    on_phase("read")
    row = subject.instance
    besides = Besides(instances=frozenset({row.id}), value_names=_values_named(row))
    inputs = read_inputs(url, as_of, config, besides)
    on_phase("plan without it")
    without = make_plan(_with_instance(inputs, replace(row, active=False), subject.targets), config).schedules
    on_phase("plan with it")
    inputs = _with_instance(inputs, replace(row, active=True), subject.targets)
    plan = make_plan(inputs, config)
    planned = plan.schedules
    on_phase("compare")
    is_own = (planned["campaign_instance_id"] == row.id).to_numpy()
    own = planned[is_own & (planned["initial_email_id"] == 0).to_numpy()]
    counts = PlanCounts.of(own, plan.contacts, as_of)
    return CampaignPreview(
        reference=row.reference,
        as_of=as_of,
        is_saved=subject.targets is None,
        contacts=int(own["contact_id"].nunique()),
        emails_by_day={
            (as_of + timedelta(days=day)).isoformat(): emails
            for day, emails in counts.days.counts_by("day").items()
        },
        skipped_by_reason=counts.rows.where(status=SKIPPED).most_frequent("reason"),
        displaced=displaced_by(planned, without, row.id),
        notes=subject.notes,
        audience=_audience_counts(inputs, plan, config, row.id),
    )


def _values_named(instance: InstanceRow) -> frozenset[str]:
    """Return the values of contacts that the audience of an instance is about, planned by now or not."""
    written = instance.metadata.get("audience")
    try:
        return frozenset(() if written is None else Audience.model_validate(written).names)
    except ValidationError:
        # planning says what is wrong with it
        return frozenset()


def _audience_counts(
    inputs: PlanInputs, plan: Plan, config: SchedulerConfig, instance_id: int
) -> AudienceCounts | None:
    basis = planning_basis(inputs, plan.contacts, config)
    instance = basis.instances[instance_id]
    return None if instance.audience is None else count_audience(basis, inputs, instance)


def _look_up(
    connection: Connection,
    instance: str | NewInstance,
    selection: Selection | None,
    trigger_date: date | None,
) -> _Subject:
    if isinstance(instance, str) and selection is None:
        row = find_instance(connection, instance)
        return _Subject(row, _notes(connection, row))
    if selection is not None:
        import_selection(connection, selection, trigger_date=trigger_date)
    with transaction(connection, "preview", is_dry_run=True) as session:
        row = _saved(session, instance)
        if selection is not None:
            take_targets(session, row)
        notes = [*notes_on(selection), *_notes(connection, row)]
        return _Subject(row, notes, _targets(connection, row.id))


def _saved(session: Session, instance: str | NewInstance) -> InstanceRow:
    """Return the instance as it is, or would be, in the database."""
    if isinstance(instance, str):
        return find_instance(session.connection, instance)
    names = (instance.campaign_type, instance.name)
    for present in list_instances(session.connection):
        if (present.campaign_type, present.instance_name) == names:
            change_instance(session, str(present.id), instance.settings)
            return find_instance(session.connection, str(present.id))
    return create_instance(session, *names, instance.settings)


def _notes(connection: Connection, instance: InstanceRow) -> list[str]:
    notes = []
    if not instance.active:
        notes.append(f"{instance.reference} is stopped: this is what it would do if it were not")
    if not find_type(connection, instance.campaign_type).active:
        notes.append(f"the type {instance.campaign_type} is not active: nothing of it is planned")
    return notes


def _targets(connection: Connection, instance_id: int) -> pd.DataFrame:
    """Return ``CONTACT_CAMPAIGNS_TABLE`` of an instance, as the transaction sees it."""
    columns = contact_campaigns.c
    query = (
        select(
            columns.id,
            columns.contact_id,
            columns.campaign_instance_id,
            func.substr(cast(columns.trigger_date, Text()), 1, 10),
            columns.status,
        )
        .where(columns.campaign_instance_id == instance_id)
        .order_by(columns.id)
    )
    return _frame(CONTACT_CAMPAIGNS_TABLE.columns, connection.execute(query))


def _frame(names: dict[str, str], rows: Sequence[Any]) -> pd.DataFrame:
    """Return rows as a frame whose ids are ``int64`` and whose texts are plain."""
    kinds = {ID: "int64", FLAG: "bool"}
    frame = pd.DataFrame([tuple(row) for row in rows], columns=list(names), dtype="object")
    typed: pd.DataFrame = frame.astype({name: kinds.get(kind, "str") for name, kind in names.items()})
    return typed


def _with_instance(inputs: PlanInputs, instance: InstanceRow, targets: pd.DataFrame | None) -> PlanInputs:
    """Return inputs in which the instance, and its targets if they are given, are these."""
    known, listed = inputs.campaign_instances, inputs.contact_campaigns
    is_it = known["id"] == instance.id
    if targets is None:
        active = np.where(is_it, instance.active, known["active"])
        return replace(inputs, campaign_instances=known.assign(active=active))
    written = {
        "id": instance.id,
        "campaign_type": instance.campaign_type,
        "instance_name": instance.instance_name,
        "email_template": instance.email_template,
        "sms_template": instance.sms_template,
        "active_start_date": _text(instance.active_start_date),
        "active_end_date": _text(instance.active_end_date),
        "metadata": to_json(instance.metadata) if instance.metadata else None,
        "active": instance.active,
    }
    row = _frame(CAMPAIGN_INSTANCES_TABLE.columns, [tuple(written.values())])
    instances = CAMPAIGN_INSTANCES_TABLE.check(_replaced(known, is_it, row))
    is_own = listed["campaign_instance_id"] == instance.id
    listed = CONTACT_CAMPAIGNS_TABLE.check(_replaced(listed, is_own, targets))
    return replace(inputs, campaign_instances=instances, contact_campaigns=listed)


def _replaced(frame: pd.DataFrame, which: pd.Series, rows: pd.DataFrame) -> pd.DataFrame:
    """Return a table with other rows in place of some, by id; texts are plain."""
    kept = frame[~which].astype({name: "str" for name in frame if rows[name].dtype == "str"})
    return pd.concat([kept, rows]).sort_values("id", ignore_index=True)


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()

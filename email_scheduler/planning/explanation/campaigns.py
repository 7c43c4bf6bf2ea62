"""Campaigns from which a contact gets no email although it is listed, or might be meant (section 8)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

import numpy as np

from email_scheduler.config.audiences import Audience
from email_scheduler.planning.campaign_instances import CampaignInstance
from email_scheduler.planning.campaigns import OPEN_TARGET_STATUSES
from email_scheduler.planning.contact_values import ContactTable
from email_scheduler.planning.dates import to_day
from email_scheduler.planning.explanation.facts import Facts, as_date
from email_scheduler.planning.explanation.occurrences import no_email
from email_scheduler.planning.explanation.results import Occurrence, Rule
from email_scheduler.planning.explanation.words import (
    CAMPAIGN_ENDED,
    CAMPAIGN_INACTIVE,
    CAMPAIGNS_OFF,
    NO_TRIGGER_DATE,
    NOT_IN_AUDIENCE,
    TARGET_OF_OTHER_STATUS,
    TARGET_SENT,
    TARGET_WITHDRAWN,
    UNREADABLE_TRIGGER_DATE,
)
from email_scheduler.planning.frames import NO_DATE
from email_scheduler.planning.vocabulary import CAMPAIGN_PREFIX

# Campaigns for everybody that ended longer ago are not worth a line.
DAYS_BACK: Final = 366
_FINAL: Final = {"sent": TARGET_SENT, "skipped": TARGET_WITHDRAWN}


def campaigns_without_email(facts: Facts, contact_id: int) -> Iterator[Occurrence]:
    """Yield the campaigns that list a contact, or might have meant it, and why no email comes of them."""
    targets = facts.targets(contact_id)
    ids = {target["campaign_instance_id"] for target in targets}
    for target in targets:
        instance_id, trigger, status = (
            target["campaign_instance_id"],
            target["trigger"],
            str(target["status"]),
        )
        instance = facts.basis.instances.get(instance_id)
        if status not in OPEN_TARGET_STATUSES:
            reason: str | None = _FINAL.get(status, TARGET_OF_OTHER_STATUS)
        else:
            reason = _not_planned(facts, instance) or _no_trigger(trigger, target["is_unreadable"])
        if reason is not None:
            rule = Rule("contact_campaigns.status", status) if status not in OPEN_TARGET_STATUSES else None
            yield _no_email(instance, instance_id, reason, trigger, rule)
    for instance in facts.basis.instances.values():
        if instance.id not in ids and (instance.audience is not None or instance.targets_all_contacts):
            found = _implicit(facts, instance, facts.position(contact_id))
            if found is not None:
                yield _no_email(instance, instance.id, found[0], NO_DATE, found[1])


def _implicit(facts: Facts, instance: CampaignInstance, position: int) -> tuple[str, Rule | None] | None:
    """Return why a contact that an instance does not list gets nothing from it; None: it is meant."""
    reason = _not_planned(facts, instance)
    if reason is not None:
        is_old = instance.end < to_day(facts.inputs.as_of - timedelta(days=DAYS_BACK))
        return None if is_old else (reason, None)
    if instance.audience is None:
        return (NO_TRIGGER_DATE, None) if instance.default_trigger == NO_DATE else None
    members = facts.members[instance.id]
    at = np.flatnonzero(members.rows == position)
    if len(at) == 0:
        return NOT_IN_AUDIENCE, _unmet(facts, instance.audience, position)
    missing = _no_trigger(int(members.triggers[at[0]]), bool(members.is_unreadable[at[0]]))
    return None if missing is None else (missing, None)


def _unmet(facts: Facts, audience: Audience, position: int) -> Rule | None:
    """Return the conditions of an audience that a contact does not meet."""
    table = ContactTable(facts.basis.contacts, (facts.inputs.contacts, facts.inputs.contact_attributes))
    unmet = [name for name, condition in audience.where.items() if not table.meets(name, condition)[position]]
    return Rule("metadata.audience.where", f"not met: {', '.join(unmet)}") if unmet else None


def _not_planned(facts: Facts, instance: CampaignInstance | None) -> str | None:
    if not facts.config.features.enable_campaigns:
        return CAMPAIGNS_OFF
    if instance is None or not instance.is_active:
        return CAMPAIGN_INACTIVE
    return CAMPAIGN_ENDED if instance.end < facts.basis.today else None


def _no_trigger(trigger: int, is_unreadable: bool) -> str | None:
    if is_unreadable:
        return UNREADABLE_TRIGGER_DATE
    return NO_TRIGGER_DATE if trigger == NO_DATE else None


def _no_email(
    instance: CampaignInstance | None, instance_id: int, reason: str, trigger: int, rule: Rule | None
) -> Occurrence:
    if rule is None and reason == CAMPAIGNS_OFF:
        rule = Rule("features.enable_campaigns", "false")
    elif rule is None and reason == CAMPAIGN_ENDED and instance is not None:
        rule = Rule(f"campaign instance {instance.id}: active_end_date", str(as_date(instance.end)))
    return replace(
        no_email(instance.email_type if instance else f"{CAMPAIGN_PREFIX}?", reason, rule),
        campaign_instance_id=instance_id or None,
        campaign_name=instance.name if instance else None,
        event_date=None if trigger == NO_DATE else as_date(trigger),
    )

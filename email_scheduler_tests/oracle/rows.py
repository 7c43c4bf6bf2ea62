"""Section 13 of the planning rules: the rows of a plan."""

import json
from datetime import date
from typing import NamedTuple

from email_scheduler_tests.oracle.book import Book
from email_scheduler_tests.oracle.emails import Email
from email_scheduler_tests.oracle.follow_ups import FollowUp
from email_scheduler_tests.oracle.variants import variant_of
from email_scheduler_tests.oracle.words import plus


class OracleRow(NamedTuple):
    """A row of the plan; the first five fields identify it. ``metadata`` is what the JSON holds."""

    contact_id: int
    email_type: str
    campaign_instance_id: int
    event_date: date
    initial_email_id: int
    ideal_send_date: date
    scheduled_send_date: date
    status: str
    skip_reason: str | None
    adjustment: str | None
    priority: int
    scheduled_send_time: str
    email_template: str | None
    sms_template: str | None
    metadata: dict[str, object] | None = None


def row_of_email(email: Email, book: Book) -> OracleRow:
    """Section 13, for an email of sections 6 to 8."""
    is_placed = email.placed_on is not None
    variant = variant_of(email.contact.id, email.instance, book)
    return OracleRow(
        contact_id=email.contact.id,
        email_type=email.email_type,
        campaign_instance_id=email.instance_id,
        event_date=email.event_date,
        initial_email_id=0,
        ideal_send_date=email.ideal_date,
        scheduled_send_date=email.placed_on if is_placed else email.skipped_at,
        status="pre-scheduled" if is_placed else "skipped",
        skip_reason=email.skip_reason,
        adjustment=adjustment_of(email, book) if is_placed else None,
        priority=email.priority,
        scheduled_send_time=book.config.timing_constants.send_time,
        email_template=email_template_of(email, book),
        sms_template=sms_template_of(email, book),
        metadata=None if variant is None else {"variant": variant["name"]},
    )


def adjustment_of(email: Email, book: Book) -> str | None:
    """Section 13: why a pre-scheduled row is not on its ideal date."""
    if email.placed_on == email.ideal_date:
        return None
    if email.placed_on == email.base:
        return "brought_forward" if email.is_brought_forward else "smoothed"
    if email.placed_on <= plus(email.base, book.config.load_balancing.catch_up_spread_days):
        return "redistributed"
    return "catch_up"


def email_template_of(email: Email, book: Book) -> str | None:
    """Section 13: campaigns from the variant or the instance, anniversaries from the configuration."""
    variant = variant_of(email.contact.id, email.instance, book)
    if variant is not None:
        return variant["email_template"]
    if email.instance is not None:
        return email.instance.email_template
    return getattr(book.config.email_templates.anniversary, email.email_type)


def sms_template_of(email: Email, book: Book) -> str | None:
    """Section 13: only with ``enable_sms`` and a phone number; the instance's, or that of the email type."""
    if not book.config.features.enable_sms or not email.contact.has_phone:
        return None
    variant = variant_of(email.contact.id, email.instance, book)
    if variant is not None and variant.get("sms_template") is not None:
        return variant["sms_template"]
    if email.instance is not None and email.instance.sms_template is not None:
        return email.instance.sms_template
    return book.config.email_templates.sms.get(email.email_type)


def row_of_follow_up(follow_up: FollowUp, book: Book) -> OracleRow:
    """Sections 10 and 13, for a follow-up."""
    is_sent_out = follow_up.skip_reason is None
    is_moved = follow_up.send_date != follow_up.ideal_date
    return OracleRow(
        contact_id=follow_up.contact.id,
        email_type=follow_up.email_type,
        campaign_instance_id=follow_up.initial.campaign_instance_id,
        event_date=follow_up.initial.counted_date,
        initial_email_id=follow_up.initial.id,
        ideal_send_date=follow_up.ideal_date,
        scheduled_send_date=follow_up.send_date,
        status="pre-scheduled" if is_sent_out else "skipped",
        skip_reason=follow_up.skip_reason,
        adjustment="catch_up" if is_sent_out and is_moved else None,
        priority=follow_up.priority,
        scheduled_send_time=book.config.timing_constants.send_time,
        email_template=follow_up_template(follow_up, book),
        sms_template=follow_up_sms_template(follow_up, book),
        metadata=why(follow_up),
    )


def why(follow_up: FollowUp) -> dict[str, object]:
    """Section 10: what the metadata of a follow-up says."""
    initial = follow_up.initial
    said: dict[str, object] = {
        "initial_email_id": initial.id,
        "initial_email_type": initial.email_type,
        "behavior": {
            "clicked": follow_up.has_clicked,
            "answered": follow_up.behaviour in {"hq_no_conditions", "hq_with_conditions"},
            "has_conditions": follow_up.behaviour == "hq_with_conditions",
        },
        "decision": follow_up.email_type,
    }
    if follow_up.instance is not None:
        said["campaign_name"] = follow_up.instance.name
        variant = variant_sent(initial.metadata)
        if variant is not None:
            said["variant"] = variant
    return said


def variant_sent(metadata: str | None) -> str | None:
    """Section 10: the text ``variant`` of a campaign email's own metadata."""
    try:
        said = json.loads(metadata or "null")
    except (ValueError, RecursionError):
        return None
    variant = said.get("variant") if isinstance(said, dict) else None
    return variant if isinstance(variant, str) and variant.isprintable() else None


def follow_up_template(follow_up: FollowUp, book: Book) -> str:
    """Section 13: from the configuration, unless the instance's metadata names one."""
    named = named_template(follow_up, "followup_templates")
    return named or getattr(book.config.email_templates.followups, follow_up.behaviour)


def follow_up_sms_template(follow_up: FollowUp, book: Book) -> str | None:
    """Section 13: only with ``enable_sms`` and a phone number."""
    if not book.config.features.enable_sms or not follow_up.contact.has_phone:
        return None
    named = named_template(follow_up, "followup_sms_templates")
    return named or book.config.email_templates.sms.get(f"followup_{follow_up.behaviour}")


def named_template(follow_up: FollowUp, key: str) -> str | None:
    """Section 13: the template that the instance's metadata names for the behaviour."""
    if follow_up.instance is None:
        return None
    return (follow_up.instance.metadata.get(key) or {}).get(follow_up.behaviour)

"""Section 8 of the planning rules: campaign emails."""

from dataclasses import dataclass
from datetime import date

from email_scheduler_tests.oracle.audiences import anniversary_deadline, is_yearly, matches, trigger_of
from email_scheduler_tests.oracle.book import Book, Instance, Target, default_trigger_date
from email_scheduler_tests.oracle.contacts import Contact, Issue
from email_scheduler_tests.oracle.emails import Email
from email_scheduler_tests.oracle.interval import give_interval
from email_scheduler_tests.oracle.occurrences import is_before_go_live
from email_scheduler_tests.oracle.windows import Windows
from email_scheduler_tests.oracle.words import is_blank, plus, read_date


@dataclass(frozen=True)
class Aim:
    """A contact that an instance is meant for, at a date."""

    contact: Contact
    instance: Instance
    trigger_date: date
    is_implicit: bool
    has_own_date: bool = False


def planned_instances(book: Book) -> list[Instance]:
    """Section 8: active, of an active type, not ended."""
    if not book.config.features.enable_campaigns:
        return []
    return [
        instance
        for instance in book.instances.values()
        if instance.is_active and (instance.active_end_date is None or instance.active_end_date >= book.today)
    ]


def trigger_date_of(target: Target, instance: Instance) -> tuple[date | None, str | None]:
    """Section 8: the trigger date of an explicit target, or the issue why it has none."""
    if not is_blank(target.trigger_date):
        day = read_date(target.trigger_date)
        if day is not None and goes_out_on_no_date(day, instance):
            day = None
        return day, None if day is not None else "invalid_trigger_date"
    return default_trigger_date_or_issue(instance)


def goes_out_on_no_date(trigger_date: date, instance: Instance) -> bool:
    """Section 8: the ideal date lies outside of the years 1 to 9999."""
    number = trigger_date.toordinal() - instance.days_before_event
    if instance.active_start_date is not None:
        number = max(number, instance.active_start_date.toordinal())
    return not 1 <= number <= date.max.toordinal()


def default_trigger_date_or_issue(instance: Instance) -> tuple[date | None, str | None]:
    """Section 8: the default trigger date, or the issue why there is none."""
    day = default_trigger_date(instance)
    if day is not None:
        return day, None
    stated = instance.metadata.get("trigger_date")
    return None, "missing_trigger_date" if is_blank(stated) else "invalid_trigger_date"


def aims_of(instance: Instance, contacts: list[Contact], book: Book) -> tuple[list[Aim], list[Issue]]:
    """Section 8: explicit and implicit targets; two that come to the same date are one."""
    aims: dict[tuple[int, date], Aim] = {}
    issues: list[Issue] = []
    by_id = {contact.id: contact for contact in contacts}
    has_row = set()
    for target in book.targets:
        if target.campaign_instance_id != instance.id:
            continue
        has_row.add(target.contact_id)
        contact = by_id.get(target.contact_id)
        if contact is None or target.status not in {"pending", "scheduled"}:
            continue
        day, issue = trigger_date_of(target, instance)
        if day is None:
            issues.append((contact.id, "trigger_date", issue))
        else:
            # of two that come to the same date, one that has the date as its own is the one
            before = aims.get((contact.id, day))
            has_own_date = not is_blank(target.trigger_date) or (before is not None and before.has_own_date)
            aims[contact.id, day] = Aim(contact, instance, day, is_implicit=False, has_own_date=has_own_date)
    has_audience = instance.metadata.get("audience") is not None
    if instance.targets_all or has_audience:
        for contact in contacts:
            if contact.id in has_row or (has_audience and not matches(contact, instance, book)):
                continue
            if has_audience:
                day, issue = trigger_of(contact, instance, book)
            else:
                day, issue = default_trigger_date_or_issue(instance)
            if day is None:
                issues.append((contact.id, "trigger_date", issue))
            else:
                aims[contact.id, day] = Aim(contact, instance, day, is_implicit=True)
    return list(aims.values()), issues


def is_campaign_handled(aim: Aim, book: Book) -> bool:
    """Section 1, *handled*, for campaigns."""
    for row in book.history:
        if not (row.is_senders and row.is_campaign and row.contact_id == aim.contact.id):
            continue
        if row.campaign_instance_id != aim.instance.id:
            continue
        if not aim.has_own_date and not (aim.is_implicit and is_yearly(aim.instance)):
            return True
        away = abs((row.counted_date - aim.trigger_date).days) if row.counted_date is not None else None
        if away == 0 or (aim.is_implicit and away is not None and away <= 182):
            return True
    return False


def campaign_email(aim: Aim, book: Book) -> Email:
    """Section 8: ideal date and deadline of a campaign email."""
    instance = aim.instance
    days_before = instance.days_before_event
    ideal_date = plus(aim.trigger_date, -days_before)
    if instance.active_start_date is not None and ideal_date < instance.active_start_date:
        ideal_date = instance.active_start_date
    if days_before > 0:
        deadline = plus(aim.trigger_date, -1)
    elif aim.is_implicit and is_yearly(instance):
        deadline = anniversary_deadline(aim.trigger_date, instance, book)
    elif aim.is_implicit:
        deadline = plus(max(ideal_date, book.today), 365)
    else:
        deadline = plus(ideal_date, book.config.timing_constants.campaign_catch_up_days)
    if instance.active_end_date is not None and deadline > instance.active_end_date:
        deadline = instance.active_end_date
    return Email(
        contact=aim.contact,
        email_type=instance.email_type,
        event_date=aim.trigger_date,
        ideal_date=ideal_date,
        deadline=deadline,
        priority=instance.priority,
        is_bound=instance.respects_windows,
        causes_followups=instance.has_followups,
        instance=instance,
        is_implicit=aim.is_implicit,
    )


def campaign_emails(contacts: list[Contact], book: Book, windows: Windows) -> tuple[list[Email], list[Issue]]:
    """Section 8: every campaign email, skipped or with its interval, and what is recorded about targets."""
    emails = []
    issues = []
    for instance in planned_instances(book):
        aims, its_issues = aims_of(instance, contacts, book)
        issues += its_issues
        for aim in aims:
            email = campaign_email(aim, book)
            if is_campaign_handled(aim, book) or is_before_go_live(email.ideal_date, book.config):
                continue
            decide(email, book, windows)
            emails.append(email)
    settle_conflicts(emails)
    return emails, issues


def decide(email: Email, book: Book, windows: Windows) -> None:
    """Section 8: the first of the four that applies."""
    reason = windows.reason(email.contact, email.ideal_date)
    end = email.instance.active_end_date
    if email.is_bound and reason is not None:
        email.skip(reason)
    elif end is not None and email.ideal_date > end:
        email.skip("outside_campaign_dates")
    elif email.deadline < book.today or email.deadline < email.ideal_date:
        email.skip("event_passed")
    else:
        give_interval(email, email.ideal_date, book, windows)


def settle_conflicts(emails: list[Email]) -> None:
    """Section 8: of one contact and one ideal date the lowest (priority, instance id, event date) stays."""
    best: dict[tuple[int, date], Email] = {}
    with_interval = [email for email in emails if email.skip_reason is None]
    for email in sorted(with_interval, key=lambda one: (one.priority, one.instance_id, one.event_date)):
        key = (email.contact.id, email.ideal_date)
        if key in best:
            email.skip("campaign_conflict")
        else:
            best[key] = email

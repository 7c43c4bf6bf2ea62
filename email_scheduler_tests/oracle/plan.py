"""The whole plan, section after section."""

from collections.abc import Iterable
from dataclasses import dataclass

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.frames import PlanInputs
from email_scheduler_tests.oracle.book import Book, read_book
from email_scheduler_tests.oracle.campaigns import campaign_emails, trigger_date_of
from email_scheduler_tests.oracle.contacts import Issue, read_contacts
from email_scheduler_tests.oracle.emails import Email
from email_scheduler_tests.oracle.follow_ups import FollowUp, follow_ups
from email_scheduler_tests.oracle.interval import crowded_dates, give_interval, smoothed_base
from email_scheduler_tests.oracle.occurrences import (
    anniversary_emails,
    current_and_previous_of_all_aep_dates,
    occurrences_of,
    post_window_emails,
)
from email_scheduler_tests.oracle.rows import OracleRow, row_of_email, row_of_follow_up
from email_scheduler_tests.oracle.sweep import apply_limits, daily_cap, sweep
from email_scheduler_tests.oracle.windows import Windows
from email_scheduler_tests.oracle.words import is_blank


@dataclass(frozen=True)
class OraclePlan:
    """What the rules make of an organisation."""

    book: Book
    cap: int
    emails: list[Email]
    follow_ups: list[FollowUp]
    issues: list[Issue]

    @property
    def rows(self) -> list[OracleRow]:
        """The rows in the order of their key."""
        return sorted(
            [row_of_email(email, self.book) for email in self.emails]
            + [row_of_follow_up(follow_up, self.book) for follow_up in self.follow_ups],
            key=lambda row: row[:5],
        )


def make_oracle_plan(inputs: PlanInputs, config: SchedulerConfig) -> OraclePlan:
    """Apply the planning rules in the order in which they stand on their page."""
    book = read_book(inputs, config)
    windows = Windows(config)
    contacts, issues = read_contacts(book)
    cap = daily_cap(len(contacts), book)

    aep = current_and_previous_of_all_aep_dates(book)
    emails = []
    effective_ideal_dates = []
    for contact in contacts:
        occurrences = occurrences_of(contact, book) + aep
        effective_ideal_dates += [
            (contact, current.ideal_date)
            for current, _ in occurrences
            if current is not None and current.email_type == "effective_date"
        ]
        emails += anniversary_emails(contact, occurrences, book, windows)
        emails += post_window_emails(contact, occurrences, book, windows)

    crowded = crowded_dates(effective_ideal_dates, cap, book, windows)
    for email in emails:
        if email.skip_reason is not None:
            continue
        base = email.ideal_date
        if email.email_type == "effective_date" and email.ideal_date in crowded:
            base = smoothed_base(email, book, windows)
        give_interval(email, base, book, windows)

    more_emails, target_issues = campaign_emails(contacts, book, windows)
    emails += more_emails
    planned_follow_ups, answer_issues = follow_ups(contacts, book, windows)
    sweep(emails, planned_follow_ups, cap, book)
    apply_limits(emails, book)
    return OraclePlan(book, cap, emails, planned_follow_ups, issues + target_issues + answer_issues)


def plan_rows(inputs: PlanInputs, config: SchedulerConfig) -> list[OracleRow]:
    """Return the rows of the plan, in the order of their key."""
    return make_oracle_plan(inputs, config).rows


def contact_issues(inputs: PlanInputs, config: SchedulerConfig) -> list[Issue]:
    """Return what is recorded about contacts, their fields and their targets: (contact id, field, issue)."""
    return sorted(make_oracle_plan(inputs, config).issues)


def target_statuses(inputs: PlanInputs, config: SchedulerConfig, rows: Iterable[OracleRow]) -> dict[int, str]:
    """Section 13: what ``contact_campaigns.status`` is to become, for the rows whose status changes."""
    book = read_book(inputs, config)
    pre_scheduled = {
        (row.contact_id, row.email_type, row.campaign_instance_id, row.event_date)
        for row in rows
        if row.status == "pre-scheduled"
    }
    sent = [row for row in book.history if row.status in {"sent", "delivered"} and row.is_campaign]
    sent_about = {(row.contact_id, row.campaign_instance_id, row.counted_date) for row in sent}
    sent_at_all = {(row.contact_id, row.campaign_instance_id) for row in sent}
    changes = {}
    for target in book.targets:
        if target.status not in {"pending", "scheduled"}:
            continue
        status = "pending"
        instance = book.instances.get(target.campaign_instance_id)
        trigger_date = None if instance is None else trigger_date_of(target, instance)[0]
        if trigger_date is not None:
            occurrence = (target.contact_id, instance.email_type, instance.id, trigger_date)
            whose = (target.contact_id, instance.id)
            has_own_date = not is_blank(target.trigger_date)
            if (*whose, trigger_date) in sent_about or (not has_own_date and whose in sent_at_all):
                status = "sent"
            elif occurrence in pre_scheduled:
                status = "scheduled"
        if status != target.status:
            changes[target.id] = status
    return changes

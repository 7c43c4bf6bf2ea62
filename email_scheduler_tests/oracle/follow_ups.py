"""Section 10 of the planning rules: follow-ups."""

import json
from dataclasses import dataclass
from datetime import date

from email_scheduler_tests.oracle.book import Book, HistoryRow, Instance
from email_scheduler_tests.oracle.contacts import Contact, Issue
from email_scheduler_tests.oracle.interval import next_open_day
from email_scheduler_tests.oracle.occurrences import is_before_go_live, priority_of
from email_scheduler_tests.oracle.windows import Windows
from email_scheduler_tests.oracle.words import ANNIVERSARY_TYPES, date_part, is_blank, plus

TYPES = {
    "hq_with_conditions": "followup_4_hq_with_yes",
    "hq_no_conditions": "followup_3_hq_no_yes",
    "clicked_no_hq": "followup_2_clicked_no_hq",
    "cold": "followup_1_cold",
}


@dataclass
class FollowUp:
    """A follow-up of one initial email."""

    contact: Contact
    initial: HistoryRow
    instance: Instance | None
    behaviour: str
    has_clicked: bool
    priority: int
    ideal_date: date
    send_date: date
    skip_reason: str | None

    @property
    def email_type(self) -> str:
        """Section 10: the type that the behaviour asks for."""
        return TYPES[self.behaviour]


def instance_of(row: HistoryRow, book: Book) -> Instance | None:
    """Return the campaign instance of an email, if there is such an instance."""
    return book.instances.get(row.campaign_instance_id) if row.is_campaign else None


def is_initial_email(row: HistoryRow, book: Book) -> bool:
    """Section 10: whether ``row``, of a valid contact, is an initial email."""
    if row.status not in {"sent", "delivered"} or row.send_date is None:
        return False
    lookback = book.config.timing_constants.followup_lookback_days
    if not plus(book.today, -lookback) <= row.send_date <= book.today:
        return False
    if is_before_go_live(row.send_date, book.config):
        return False
    if row.email_type in ANNIVERSARY_TYPES:
        return True
    instance = instance_of(row, book)
    return instance is not None and instance.is_active and instance.has_followups


def is_passed_over(row: HistoryRow, book: Book) -> bool:
    """Section 10: a sender's follow-up names it, or the contact had one not long before, or since."""
    lookback = book.config.timing_constants.followup_lookback_days
    for other in book.history:
        if not other.is_senders or not other.is_follow_up:
            continue
        if other.initial_email_id == row.id:
            return True
        if (
            other.contact_id == row.contact_id
            and other.send_date is not None
            and other.send_date >= plus(row.send_date, -lookback)
        ):
            return True
    return False


def priority_of_initial(row: HistoryRow, book: Book) -> int:
    """Section 10: the priority of the initial email; if its row has none, the configured one of its type."""
    if row.priority is not None:
        return row.priority
    instance = instance_of(row, book)
    return priority_of(row.email_type, book.config) if instance is None else instance.priority


def deciding_answer(contact: Contact, since: date, book: Book) -> dict[str, object] | None:
    """Section 10: the latest answer created from ``since`` to ``D``, then the highest id."""
    answers = []
    for answer in book.answers:
        created_on = date_part(answer["created_at"])
        if (
            answer["contact_id"] == contact.id
            and created_on is not None
            and since <= created_on <= book.today
        ):
            answers.append(answer)
    return max(answers, key=lambda one: (one["created_at"].replace("T", " "), one["id"]), default=None)


def read_event_data(text: str | None) -> dict[str, object] | None:
    """Section 10: what an answer holds; ``None`` where it is unreadable, empty where there is nothing."""
    if is_blank(text):
        return {}
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def has_conditions(data: dict[str, object]) -> bool:
    """Section 10: ``has_medical_conditions: true`` or ``main_questions_yes_count > 0``."""
    if data.get("has_medical_conditions") is True:
        return True
    count = data.get("main_questions_yes_count")
    return isinstance(count, int | float) and not isinstance(count, bool) and count > 0


def has_clicked(row: HistoryRow, book: Book) -> bool:
    """Section 10: a click of ``D`` or earlier that names the email, or names none and is not before it."""
    for click in book.clicks:
        clicked_on = date_part(click["clicked_at"])
        if click["contact_id"] != row.contact_id or clicked_on is None or clicked_on > book.today:
            continue
        if click["email_schedule_id"] == row.id:
            return True
        if click["email_schedule_id"] == 0 and clicked_on >= row.send_date:
            return True
    return False


def behaviour_after(row: HistoryRow, contact: Contact, book: Book) -> tuple[str, bool]:
    """Section 10: what the contact did since the initial email, and whether its answer is unreadable."""
    answer = deciding_answer(contact, row.send_date, book)
    if answer is not None:
        data = read_event_data(answer["event_data"])
        if data is None:
            return "hq_no_conditions", True
        return "hq_with_conditions" if has_conditions(data) else "hq_no_conditions", False
    return "clicked_no_hq" if has_clicked(row, book) else "cold", False


def follow_ups(contacts: list[Contact], book: Book, windows: Windows) -> tuple[list[FollowUp], list[Issue]]:
    """Section 10: at most one follow-up a contact."""
    planned: list[FollowUp] = []
    issues: list[Issue] = []
    if not book.config.features.enable_followups:
        return planned, issues
    for contact in contacts:
        candidates = [
            row
            for row in book.history
            if row.contact_id == contact.id and is_initial_email(row, book) and not is_passed_over(row, book)
        ]
        if not candidates:
            continue
        initial = min(
            candidates,
            key=lambda row: (-row.send_date.toordinal(), priority_of_initial(row, book), -row.id),
        )
        behaviour, is_unreadable = behaviour_after(initial, contact, book)
        if is_unreadable:
            issues.append((contact.id, "event_data", "unreadable_event_data"))
        ideal_date = plus(initial.send_date, book.config.timing_constants.followup_days_after)
        send_date = next_open_day(max(ideal_date, book.today), book.config)
        planned.append(
            FollowUp(
                contact=contact,
                initial=initial,
                instance=instance_of(initial, book),
                behaviour=behaviour,
                has_clicked=has_clicked(initial, book),
                priority=priority_of_initial(initial, book),
                ideal_date=ideal_date,
                send_date=send_date,
                skip_reason=windows.reason(contact, send_date),
            )
        )
    return planned, issues

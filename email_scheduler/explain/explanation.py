"""What an explanation holds: plain values, in the words of the planning rules."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from email_scheduler.explain.stored_rows import PlanRow

# What becomes of an occurrence.
PLANNED: Final = "planned"
SKIPPED: Final = "skipped"
TAKEN: Final = "taken"
NO_EMAIL: Final = "no_email"
NOT_KEPT: Final = "not_kept"
OUTCOMES: Final = (PLANNED, SKIPPED, TAKEN, NO_EMAIL, NOT_KEPT)


@dataclass(frozen=True)
class Rule:
    """What decided: a setting of the configuration, or of a campaign.

    Attributes:
        setting: Its name.
        value: What it says.
        source: Where the rule is written, as the configuration has it.
        valid_from, valid_to: The days between which it is law, as the configuration has it.
    """

    setting: str
    value: str
    source: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None


@dataclass(frozen=True)
class Finding:
    """Something found wrong with the contact.

    Attributes:
        issue: As in ``contact_issues``.
        field: The column that it is about.
        meaning: In a sentence.
        section: Of the planning rules.
    """

    issue: str
    field: str
    meaning: str
    section: int


@dataclass(frozen=True)
class Suppression:
    """Why the contact must not be contacted.

    Attributes:
        contact_id: Whose suppression it is: this contact's, or that of another one that has the same address,
            or had it. None: the address is on a list.
        reason: As it is stored.
        suppressed_at: As it is stored.
        suppressed_until: As it is stored; None: for good.
        is_of_address: The address is suppressed, whoever has it.
    """

    contact_id: int | None
    reason: str | None
    suppressed_at: str | None
    suppressed_until: str | None = None
    is_of_address: bool = False


@dataclass(frozen=True)
class ContactState:
    """The contact, and how it is read (section 4).

    Attributes:
        zip_code, state_column, birth_date, effective_date: As they are stored.
        zip_read: The five digits that are read; None: the ZIP cannot be read.
        zip_reading: How the state came from the ZIP, in a sentence.
        state: The state that counts; None: it is not known.
        birth_date_read, effective_date_read: As they are read; None: missing or unreadable.
        is_valid: Whether anything is planned for the contact.
        findings: The first one is what makes it invalid, if it is not valid.
        suppressions: Those in force.
        same_address: Other contacts with the same address.
    """

    contact_id: int
    zip_code: str | None
    zip_read: str | None
    zip_reading: str
    state_column: str | None
    state: str | None
    birth_date: str | None
    birth_date_read: date | None
    effective_date: str | None
    effective_date_read: date | None
    is_valid: bool
    findings: tuple[Finding, ...]
    suppressions: tuple[Suppression, ...]
    same_address: tuple[int, ...]


@dataclass(frozen=True)
class WindowInterval:
    """Days on which one rule excludes the contact.

    Attributes:
        reason: As a skip reason has it.
        first, last: Inclusive; None: it has no such end.
        anchor_name: ``birth_date`` or ``effective_date``: what the window is counted from; None: nothing.
        anchor: The anniversary that it is counted from (with ``use_month_start`` the first of its month).
        rule: The rule.
    """

    reason: str
    first: date | None
    last: date | None
    anchor_name: str | None
    anchor: date | None
    rule: Rule


@dataclass(frozen=True)
class NextDate:
    """When the contact may get an email that is stopped.

    Attributes:
        date: The first day on which that might be; None: there is none within a year.
        meaning: In a sentence.
    """

    date: date | None
    meaning: str


@dataclass(frozen=True)
class Occurrence:
    """One email that is due, was taken, or might have been due.

    Attributes:
        event_date, ideal_send_date, deadline: None: there is no such occurrence, only a reason why.
        base_dates: The day that the email is meant for. Two: only the whole organisation's plan can tell.
        first_date, last_date: The legal interval; None: there is none, or it is not known.
        outcome: One of ``OUTCOMES``.
        reason: A skip reason, an adjustment, or why there is no row; None: it goes out on its ideal date.
        meaning: The same in a sentence.
        section: Of the planning rules.
        rule: What decided.
        plan_row: The row of the plan.
        answered_by: The sender's rows that answer it.
        counted: The contact's emails that count towards the limit that stops it.
        makes_up_for: Of a post-window email: what the window held back, type and event date.
        next_date: Of an email that is stopped.
        is_window_bound: Whether exclusion windows can stop it.
        notes: What else is to be said, such as that data has changed since.
    """

    email_type: str
    campaign_instance_id: int | None
    campaign_name: str | None
    event_date: date | None
    ideal_send_date: date | None
    deadline: date | None
    outcome: str
    reason: str | None
    meaning: str
    section: int
    base_dates: tuple[date, ...] = ()
    first_date: date | None = None
    last_date: date | None = None
    rule: Rule | None = None
    plan_row: PlanRow | None = None
    answered_by: tuple[int, ...] = ()
    counted: tuple["Email", ...] = ()
    makes_up_for: tuple[tuple[str, date], ...] = ()
    next_date: NextDate | None = None
    is_window_bound: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Email:
    """An email of the contact, sent or planned, in short.

    Attributes:
        id: Its row.
        send_date: As section 1 of the planning rules has it.
    """

    id: int
    email_type: str
    status: str
    send_date: date | None
    event_date: date | None
    initial_email_id: int | None = None
    campaign_instance_id: int | None = None


@dataclass(frozen=True)
class Behaviour:
    """What the contact did.

    Attributes:
        kind: ``click`` or ``answer``.
        at: As it is stored.
        email_id: The email that it names; None: none.
    """

    kind: str
    at: str | None
    email_id: int | None


@dataclass(frozen=True)
class Explanation:
    """All that there is to say about one contact and one plan.

    Attributes:
        as_of: The date that the plan is for.
        first_day, last_day: The year that ``windows`` is about.
        windows: In the order in which they give the reason, then by time.
        occurrences: Every email: anniversaries, post-window, campaigns, the follow-up, and what is left over.
        history: The sender's rows that the plan could know of, the latest first.
        behaviour: Clicks and answers since the earliest day that follow-ups look back to.
        left_plan: Rows that had left the plan before this one, the latest first.
        next_email: The earliest email that is to go out; None: none is planned.
        next_allowed: The first open day, from ``as_of`` on, that no window excludes; None: none in a year.
        notes: What is to be known of all this.
    """

    contact: ContactState
    as_of: date
    first_day: date
    last_day: date
    windows: tuple[WindowInterval, ...]
    occurrences: tuple[Occurrence, ...]
    history: tuple[Email, ...]
    behaviour: tuple[Behaviour, ...]
    left_plan: tuple[PlanRow, ...]
    next_email: Email | None
    next_allowed: date | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PlanInForce:
    """The plan that is explained, and what it was made with.

    Attributes:
        run_id, as_of, completed_at: The run (``scheduler_checkpoints``).
        is_completed: Whether the run was completed; otherwise it was stopped after it wrote this contact.
        is_last: Whether no later plan has been published.
        config_version, valid_from, created_by: The row of ``config_versions``; None: it is not kept.
        config_problem: Why its configuration cannot be used, so that the present one was; None: it was used.
        changed_keys: What the configuration says otherwise now.
        accepted_loss: What the plan lost that was too much, and who has accepted it, in a sentence; None: it
            did not lose too much.
    """

    run_id: str
    as_of: date
    completed_at: datetime | None
    is_completed: bool
    is_last: bool
    config_version: int | None
    config_valid_from: str | None
    config_created_by: str | None
    config_problem: str | None
    changed_keys: tuple[str, ...]
    accepted_loss: str | None


@dataclass(frozen=True)
class ExplainedContact:
    """One contact, and the plan that is explained."""

    plan: PlanInForce
    explanation: Explanation


@dataclass(frozen=True)
class ContactAnswer:
    """What was asked, and the answer.

    Attributes:
        asked_for: The date that was asked for.
        contacts: The contact, or all contacts of the address, by id.
        hold: Why nothing of the organisation is due, in a sentence; None: it is not held.
    """

    asked_for: date
    contacts: tuple[ExplainedContact, ...]
    hold: str | None

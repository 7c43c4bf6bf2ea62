"""The email types that no campaign makes, and the statuses of emails (sections 1, 6, 7 and 10)."""

from dataclasses import dataclass
from typing import Final

from email_scheduler.registry.reasons import NO_BIRTH_DATE, NO_EFFECTIVE_DATE

BIRTHDAY: Final = "birthday"
EFFECTIVE_DATE: Final = "effective_date"
AEP: Final = "aep"
POST_WINDOW: Final = "post_window"
CAMPAIGN_PREFIX: Final = "campaign_"
FOLLOW_UP_PREFIX: Final = "followup_"


@dataclass(frozen=True)
class Yearly:
    """What makes a type one email a year about the anniversary of a date of the contact (section 6).

    Attributes:
        column: The column of ``CONTACTS`` that holds the date.
        setting: The key of ``timing_constants`` with the days from the ideal date to the anniversary.
        days_before: What counts where the configuration does not say it.
        if_unknown: Why contacts get none whose date is not known: one of ``NO_ROW``.
    """

    column: str
    setting: str
    days_before: int
    if_unknown: str


@dataclass(frozen=True)
class AnniversaryEmail:
    """A built-in email type that is no follow-up: an anniversary email, or what makes up for one.

    Attributes:
        name: As in ``email_type``; also its key in ``priorities``, ``email_templates.anniversary`` and
            ``email_templates.sms``.
        text: What it is called in a sentence.
        tolerance_days: How far the event date of a sender's row that answers an occurrence may lie from the
            occurrence's, inclusive (section 1, "handled").
        priority: Where the configuration does not say it; lower numbers win.
        template: The email template where the configuration does not say it.
        sms_template: The same of text messages; None: there are none unless the configuration says so.
        yearly: None: the days are other ones than anniversaries of a date of the contact.
    """

    name: str
    text: str
    tolerance_days: int
    priority: int
    template: str
    sms_template: str | None = None
    yearly: Yearly | None = None


@dataclass(frozen=True)
class FollowUpEmail:
    """A type of follow-up (section 10).

    Attributes:
        name: As in ``email_type``.
        kind: Its key in ``email_templates.followups``; with ``FOLLOW_UP_PREFIX`` in ``email_templates.sms``.
        text: What it is called in a sentence.
        template: The email template where the configuration does not say it.
        sms_template: The same of text messages; None: there are none unless the configuration says so.
    """

    name: str
    kind: str
    text: str
    template: str
    sms_template: str | None = None


ANNIVERSARY_EMAILS: Final = {
    each.name: each
    for each in (
        AnniversaryEmail(
            BIRTHDAY,
            "birthday email",
            tolerance_days=182,
            priority=5,
            template="birthday_standard_v1",
            sms_template="birthday_sms_v1",
            yearly=Yearly("birth_date", "birthday_email_days_before", 14, NO_BIRTH_DATE),
        ),
        AnniversaryEmail(
            EFFECTIVE_DATE,
            "effective-date email",
            tolerance_days=182,
            priority=5,
            template="effective_date_standard_v1",
            sms_template="effective_date_sms_v1",
            yearly=Yearly("effective_date", "effective_date_days_before", 30, NO_EFFECTIVE_DATE),
        ),
        AnniversaryEmail(AEP, "AEP email", tolerance_days=0, priority=3, template="aep_standard_v1"),
        AnniversaryEmail(
            POST_WINDOW,
            "post-window email",
            tolerance_days=60,
            priority=8,
            template="post_window_catchup_v1",
        ),
    )
}
ANNIVERSARY_TYPES: Final = tuple(ANNIVERSARY_EMAILS)
YEARLY_TYPES: Final = {
    name: each.yearly for name, each in ANNIVERSARY_EMAILS.items() if each.yearly is not None
}

FOLLOW_UP_EMAILS: Final = {
    each.name: each
    for each in (
        FollowUpEmail(
            "followup_1_cold",
            "cold",
            "follow-up of a contact who did nothing",
            template="followup_cold_v1",
            sms_template="followup_cold_sms_v1",
        ),
        FollowUpEmail(
            "followup_2_clicked_no_hq",
            "clicked_no_hq",
            "follow-up of one who clicked",
            template="followup_clicked_v1",
        ),
        FollowUpEmail(
            "followup_3_hq_no_yes",
            "hq_no_conditions",
            "follow-up of one who answered: no medical conditions",
            template="followup_healthy_v1",
        ),
        FollowUpEmail(
            "followup_4_hq_with_yes",
            "hq_with_conditions",
            "follow-up of one who answered: medical conditions",
            template="followup_conditions_v1",
        ),
    )
}
FOLLOW_UP_TYPES: Final = tuple(FOLLOW_UP_EMAILS)
BUILT_IN_TYPES: Final = (*ANNIVERSARY_TYPES, *FOLLOW_UP_TYPES)

PRE_SCHEDULED: Final = "pre-scheduled"
SKIPPED: Final = "skipped"
STATUSES: Final = (PRE_SCHEDULED, SKIPPED)
LIVE_STATUSES: Final = ("scheduled", "processing", "sent", "delivered")
SENT_STATUSES: Final = ("sent", "delivered")

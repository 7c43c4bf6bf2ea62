"""What the words of a plan mean: every skip reason, adjustment, issue, and why there is no row."""

from dataclasses import dataclass
from typing import Final

from email_scheduler.planning.exclusions import EXCLUSION_KINDS
from email_scheduler.planning.vocabulary import (
    CAMPAIGN_CONFLICT,
    DAILY_CAP_EXCEEDED,
    EVENT_PASSED,
    FREQUENCY_LIMIT_EXCEEDED,
    NO_SEND_DAY,
    OUTSIDE_CAMPAIGN_DATES,
)

# Why there is no row for an occurrence, a campaign or a follow-up.
HANDLED: Final = "handled"
BEFORE_GO_LIVE: Final = "before_go_live"
NOT_IN_PLAN: Final = "not_in_plan"
NO_BIRTH_DATE: Final = "no_birth_date"
NO_EFFECTIVE_DATE: Final = "no_effective_date"
NO_AEP_YEARS: Final = "no_aep_years"
NO_AEP_DATES: Final = "no_aep_dates"
CAMPAIGNS_OFF: Final = "campaigns_off"
CAMPAIGN_INACTIVE: Final = "campaign_inactive"
CAMPAIGN_ENDED: Final = "campaign_ended"
TARGET_SENT: Final = "target_sent"
TARGET_WITHDRAWN: Final = "target_withdrawn"
TARGET_OF_OTHER_STATUS: Final = "target_of_other_status"
NO_TRIGGER_DATE: Final = "no_trigger_date"
UNREADABLE_TRIGGER_DATE: Final = "unreadable_trigger_date"
NOT_IN_AUDIENCE: Final = "not_in_audience"
FOLLOW_UPS_OFF: Final = "follow_ups_off"
NOTHING_TO_FOLLOW_UP: Final = "nothing_to_follow_up"
FOLLOWED_UP: Final = "followed_up"


@dataclass(frozen=True)
class Meaning:
    """What a word means.

    Attributes:
        text: In a sentence.
        section: Where the planning rules say it.
    """

    text: str
    section: int


_KINDS: Final = dict(
    zip(
        EXCLUSION_KINDS,
        (
            Meaning("Nothing is ever sent to contacts in this state.", 5),
            Meaning("The day lies in the state's exclusion window around the birthday.", 5),
            Meaning(
                "The state has a window around the birthday, and nobody knows when it is: the birth date"
                " is missing or cannot be read.",
                5,
            ),
            Meaning(
                "The day lies in the state's exclusion window around the anniversary of the effective date.",
                5,
            ),
            Meaning(
                "The state has a window around the effective date, and nobody knows when it is: the"
                " effective date is missing or cannot be read.",
                5,
            ),
            Meaning("The contact is 76 or older, and the state excludes such contacts.", 5),
        ),
        strict=True,
    )
)

SKIP_MEANINGS: Final = {
    OUTSIDE_CAMPAIGN_DATES: Meaning("The ideal date is after the end of the campaign.", 8),
    EVENT_PASSED: Meaning("It is too late: the deadline has passed, or lies before the ideal date.", 8),
    NO_SEND_DAY: Meaning("Every day on which it could go out is a closed day.", 9),
    DAILY_CAP_EXCEEDED: Meaning(
        "Every day up to its last one was full: the agency sends only so many emails a day, and emails that"
        " cannot wait, or have a lower priority number, went first.",
        11,
    ),
    CAMPAIGN_CONFLICT: Meaning(
        "Another campaign email of the contact is meant for the same day, and goes first: it has the lower"
        " priority number, or the lower instance id.",
        8,
    ),
    FREQUENCY_LIMIT_EXCEEDED: Meaning(
        "It would be too many emails for the contact in too few days; follow-ups do not count.", 12
    ),
}

ON_IDEAL_DATE: Final = Meaning("It goes out on its ideal date.", 13)
ADJUSTMENT_MEANINGS: Final = {
    "smoothed": Meaning(
        "Moved by some days, because its ideal date carries more effective-date emails than one day should.",
        9,
    ),
    "brought_forward": Meaning("Moved to an earlier day, because all later ones are closed.", 9),
    "redistributed": Meaning(
        "Late by some days: its own day is over, closed or full. A late email is offered again on every open"
        " day.",
        11,
    ),
    "catch_up": Meaning(
        "Late: its own day and those just behind it are over, closed or full. Such emails are spread over the"
        " days that follow. A follow-up is late if its day is over or closed.",
        11,
    ),
}

ISSUE_MEANINGS: Final = {
    "invalid_id": Meaning("The contact has no usable id.", 4),
    "missing_email": Meaning("There is no email address.", 4),
    "invalid_email": Meaning("The email address is not of the form x@y.z.", 4),
    "missing_zip_code": Meaning("There is no ZIP code, so that the state is not known.", 4),
    "invalid_zip_code": Meaning(
        "The ZIP code cannot be read or does not exist, so that the state is not known.", 4
    ),
    "suppressed": Meaning("The contact, or another one with the same address, must not be contacted.", 4),
    "state_mismatch": Meaning("The column state names another state than the ZIP code. The ZIP counts.", 4),
    "invalid_birth_date": Meaning("The birth date cannot be read.", 4),
    "invalid_effective_date": Meaning("The effective date cannot be read.", 4),
    "missing_trigger_date": Meaning("A campaign lists the contact without any trigger date.", 8),
    "invalid_trigger_date": Meaning(
        "A campaign lists the contact with a trigger date that cannot be read.", 8
    ),
    "unreadable_event_data": Meaning(
        "An answer of the contact cannot be read; it counts as an answer without conditions.", 10
    ),
}

NO_ROW_MEANINGS: Final = {
    HANDLED: Meaning("The sending system has taken an email for it already; it is never sent twice.", 1),
    BEFORE_GO_LIVE: Meaning("Its ideal date lies before the go-live date: it was somebody else's email.", 6),
    NOT_IN_PLAN: Meaning(
        "There is no row for it. What is in the database has changed since the plan was made; the next plan"
        " decides about it.",
        13,
    ),
    NO_BIRTH_DATE: Meaning("There is no birth date that can be read.", 6),
    NO_EFFECTIVE_DATE: Meaning("There is no effective date that can be read.", 6),
    NO_AEP_YEARS: Meaning("No later year is listed as a year with AEP emails.", 6),
    NO_AEP_DATES: Meaning("The configuration has no AEP date.", 6),
    CAMPAIGNS_OFF: Meaning("Campaigns are switched off.", 3),
    CAMPAIGN_INACTIVE: Meaning("The campaign, or its type, is not active.", 8),
    CAMPAIGN_ENDED: Meaning("The campaign has ended.", 8),
    TARGET_SENT: Meaning("The campaign's list says that it was sent to the contact. That is final.", 8),
    TARGET_WITHDRAWN: Meaning("The contact was withdrawn from the campaign. That is final.", 8),
    TARGET_OF_OTHER_STATUS: Meaning(
        "The campaign lists the contact with a status that is neither pending nor scheduled.", 8
    ),
    NO_TRIGGER_DATE: Meaning("Neither the contact's line nor the campaign has a trigger date.", 8),
    UNREADABLE_TRIGGER_DATE: Meaning("The trigger date cannot be read.", 8),
    NOT_IN_AUDIENCE: Meaning("The contact does not match the campaign's audience.", 8),
    FOLLOW_UPS_OFF: Meaning("Follow-ups are switched off.", 3),
    NOTHING_TO_FOLLOW_UP: Meaning("No email that is followed up went out lately.", 10),
    FOLLOWED_UP: Meaning("What went out lately has been followed up already: one follow-up is enough.", 10),
}


def skip_meaning(reason: str) -> Meaning:
    """Return what a skip reason means.

    Raises:
        KeyError: Nobody has said what it means.
    """
    kind, is_exclusion, _ = reason.rpartition(" in ")
    return _KINDS[kind] if is_exclusion else SKIP_MEANINGS[reason]


def adjustment_meaning(adjustment: str | None) -> Meaning:
    """Return what an adjustment means; None is the ideal date."""
    return ON_IDEAL_DATE if adjustment is None else ADJUSTMENT_MEANINGS[adjustment]

"""Why an email is skipped, moved or not there at all, and what is found wrong with contacts: word by word."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeVar


@dataclass(frozen=True)
class Word:
    """A word of the rules and its meaning.

    Attributes:
        name: As the database has it.
        text: What it means, in a sentence.
        section: Where the planning rules say it.
    """

    name: str
    text: str
    section: int


_Word = TypeVar("_Word", bound=Word)


def _by_name(words: Iterable[_Word]) -> dict[str, _Word]:
    return {word.name: word for word in words}


@dataclass(frozen=True)
class Setting:
    """The setting that decides.

    Attributes:
        name: Its key path in the configuration, or a column of the campaign instance.
        value: What it says, to be formatted: ``config`` is the configuration, ``closed_days`` a list,
            ``instance`` the campaign instance and ``ends`` its last day.
        is_of_campaign: Whether it is one of the campaign instance.
    """

    name: str
    value: str
    is_of_campaign: bool = False


@dataclass(frozen=True)
class Exclusion(Word):
    """A kind of exclusion window; as a skip reason it names the state, too.

    Attributes:
        setting: Its key in ``state_rules``.
        anchor: The column of ``CONTACTS`` whose anniversaries its windows are counted from; None: none.
        is_anchor_unknown: Whether it counts where that date is not known.
    """

    setting: str
    anchor: str | None = None
    is_anchor_unknown: bool = False


# In the order in which the first one that holds gives the reason; windows around one date share a place.
EXCLUSIONS: Final = _by_name(
    (
        Exclusion(
            "Year-round exclusion",
            "Nothing is ever sent to contacts in this state.",
            5,
            "year_round_exclusion",
        ),
        Exclusion(
            "Birthday exclusion window",
            "The day lies in the state's exclusion window around the birthday.",
            5,
            "birthday_windows",
            "birth_date",
        ),
        Exclusion(
            "Birth date unknown",
            "The state has a window around the birthday, and nobody knows when it is: the birth date"
            " is missing or cannot be read.",
            5,
            "birthday_windows",
            "birth_date",
            is_anchor_unknown=True,
        ),
        Exclusion(
            "Effective date exclusion window",
            "The day lies in the state's exclusion window around the anniversary of the effective date.",
            5,
            "effective_date_windows",
            "effective_date",
        ),
        Exclusion(
            "Effective date unknown",
            "The state has a window around the effective date, and nobody knows when it is: the"
            " effective date is missing or cannot be read.",
            5,
            "effective_date_windows",
            "effective_date",
            is_anchor_unknown=True,
        ),
        Exclusion(
            "Age 76+ exclusion",
            "The contact is 76 or older, and the state excludes such contacts.",
            5,
            "age_76_plus_exclusion",
        ),
    )
)

OUTSIDE_CAMPAIGN_DATES: Final = "outside_campaign_dates"
EVENT_PASSED: Final = "event_passed"
NO_SEND_DAY: Final = "no_send_day"
DAILY_CAP_EXCEEDED: Final = "daily_cap_exceeded"
CAMPAIGN_CONFLICT: Final = "campaign_conflict"
FREQUENCY_LIMIT_EXCEEDED: Final = "frequency_limit_exceeded"


@dataclass(frozen=True)
class SkipReason(Word):
    """A skip reason that is no exclusion window.

    Attributes:
        setting: What decides.
        is_want_of_room: Whether more room would have helped; else the email is for a day outside the dates
            of its campaign, or past.
        needs_everybody: Whether only the plan of a whole organisation can decide (sections 11 and 12). Then
            the email itself may still go out on a later day of its interval.
        what_helps: What has to change, where no such day is left.
    """

    setting: Setting
    is_want_of_room: bool = False
    needs_everybody: bool = False
    what_helps: str = "this email is over."


SKIP_REASONS: Final = _by_name(
    (
        SkipReason(
            OUTSIDE_CAMPAIGN_DATES,
            "The ideal date is after the end of the campaign.",
            8,
            Setting("active_end_date", "{ends}", is_of_campaign=True),
        ),
        SkipReason(
            EVENT_PASSED,
            "It is too late: the deadline has passed, or lies before the ideal date.",
            8,
            Setting("days_before_event", "{instance.days_before_event}", is_of_campaign=True),
        ),
        SkipReason(
            NO_SEND_DAY,
            "Every day on which it could go out is a closed day.",
            9,
            Setting("send_calendar", "{closed_days}"),
            is_want_of_room=True,
            what_helps="only if the closed days change.",
        ),
        SkipReason(
            DAILY_CAP_EXCEEDED,
            "Every day up to its last one was full: the agency sends only so many emails a day, and emails"
            " that cannot wait, or have a lower priority number, went first.",
            11,
            Setting(
                "load_balancing.daily_send_percentage_cap",
                "{config.load_balancing.daily_send_percentage_cap}",
            ),
            is_want_of_room=True,
            needs_everybody=True,
        ),
        SkipReason(
            CAMPAIGN_CONFLICT,
            "Another campaign email of the contact is meant for the same day, and goes first: it has the"
            " lower priority number, or the lower instance id.",
            8,
            Setting("priority", "{instance.priority}", is_of_campaign=True),
            is_want_of_room=True,
            needs_everybody=True,
        ),
        SkipReason(
            FREQUENCY_LIMIT_EXCEEDED,
            "It would be too many emails for the contact in too few days; follow-ups do not count.",
            12,
            Setting(
                "load_balancing.max_emails_per_contact_per_period",
                "{config.load_balancing.max_emails_per_contact_per_period}"
                " in {config.load_balancing.period_days} consecutive days",
            ),
            is_want_of_room=True,
            needs_everybody=True,
        ),
    )
)


def skip_meaning(reason: str) -> Exclusion | SkipReason:
    """Return what a skip reason means.

    Raises:
        KeyError: Nobody has said what it means.
    """
    kind, is_exclusion, _ = reason.rpartition(" in ")
    return EXCLUSIONS[kind] if is_exclusion else SKIP_REASONS[reason]


SMOOTHED: Final = "smoothed"
BROUGHT_FORWARD: Final = "brought_forward"
REDISTRIBUTED: Final = "redistributed"
CATCH_UP: Final = "catch_up"


@dataclass(frozen=True)
class Adjustment(Word):
    """Why an email goes out on another day than its ideal date.

    Attributes:
        setting: What decides; None: the days that have passed, are closed or full.
        is_late: Whether the email is later than it was meant to be.
    """

    setting: Setting | None = None
    is_late: bool = False


ON_IDEAL_DATE: Final = Adjustment("", "It goes out on its ideal date.", 13)
ADJUSTMENTS: Final = _by_name(
    (
        Adjustment(
            SMOOTHED,
            "Moved by some days, because its ideal date carries more effective-date emails than one day"
            " should.",
            9,
            Setting(
                "load_balancing.ed_daily_soft_limit",
                "{config.load_balancing.ed_daily_soft_limit}, or"
                " {config.load_balancing.ed_soft_limit_percentage} of the daily cap;"
                " up to {config.load_balancing.ed_smoothing_window_days} days either way",
            ),
        ),
        Adjustment(
            BROUGHT_FORWARD,
            "Moved to an earlier day, because all later ones are closed.",
            9,
            Setting("send_calendar", "{closed_days}"),
        ),
        Adjustment(
            REDISTRIBUTED,
            "Late by some days: its own day is over, closed or full. A late email is offered again on every"
            " open day.",
            11,
            is_late=True,
        ),
        Adjustment(
            CATCH_UP,
            "Late: its own day and those just behind it are over, closed or full. Such emails are spread over"
            " the days that follow. A follow-up is late if its day is over or closed.",
            11,
            is_late=True,
        ),
    )
)


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

NO_ROW: Final = _by_name(
    (
        Word(HANDLED, "The sending system has taken an email for it already; it is never sent twice.", 1),
        Word(BEFORE_GO_LIVE, "Its ideal date lies before the go-live date: it was somebody else's email.", 6),
        Word(
            NOT_IN_PLAN,
            "There is no row for it. What is in the database has changed since the plan was made; the next"
            " plan decides about it.",
            13,
        ),
        Word(NO_BIRTH_DATE, "There is no birth date that can be read.", 6),
        Word(NO_EFFECTIVE_DATE, "There is no effective date that can be read.", 6),
        Word(NO_AEP_YEARS, "No later year is listed as a year with AEP emails.", 6),
        Word(NO_AEP_DATES, "The configuration has no AEP date.", 6),
        Word(CAMPAIGNS_OFF, "Campaigns are switched off.", 3),
        Word(CAMPAIGN_INACTIVE, "The campaign, or its type, is not active.", 8),
        Word(CAMPAIGN_ENDED, "The campaign has ended.", 8),
        Word(TARGET_SENT, "The campaign's list says that it was sent to the contact. That is final.", 8),
        Word(TARGET_WITHDRAWN, "The contact was withdrawn from the campaign. That is final.", 8),
        Word(
            TARGET_OF_OTHER_STATUS,
            "The campaign lists the contact with a status that is neither pending nor scheduled.",
            8,
        ),
        Word(NO_TRIGGER_DATE, "Neither the contact's line nor the campaign has a trigger date.", 8),
        Word(UNREADABLE_TRIGGER_DATE, "The trigger date cannot be read.", 8),
        Word(NOT_IN_AUDIENCE, "The contact does not match the campaign's audience.", 8),
        Word(FOLLOW_UPS_OFF, "Follow-ups are switched off.", 3),
        Word(NOTHING_TO_FOLLOW_UP, "No email that is followed up went out lately.", 10),
        Word(FOLLOWED_UP, "What went out lately has been followed up already: one follow-up is enough.", 10),
    )
)


@dataclass(frozen=True)
class Issue(Word):
    """Something that is found wrong with a contact.

    Attributes:
        field: The column that it is about.
        is_invalidating: Whether nothing is planned for the contact; the first such issue counts.
    """

    field: str
    is_invalidating: bool = False


ISSUES: Final = _by_name(
    (
        Issue("invalid_id", "The contact has no usable id.", 4, "id", is_invalidating=True),
        Issue("missing_email", "There is no email address.", 4, "email", is_invalidating=True),
        Issue(
            "invalid_email", "The email address is not of the form x@y.z.", 4, "email", is_invalidating=True
        ),
        Issue(
            "missing_zip_code",
            "There is no ZIP code, so that the state is not known.",
            4,
            "zip_code",
            is_invalidating=True,
        ),
        Issue(
            "invalid_zip_code",
            "The ZIP code cannot be read or does not exist, so that the state is not known.",
            4,
            "zip_code",
            is_invalidating=True,
        ),
        Issue(
            "suppressed",
            "The contact, or another one with the same address, must not be contacted.",
            4,
            "contact_id",
            is_invalidating=True,
        ),
        Issue(
            "shared_address",
            "More contacts have the same address than contacts.max_per_address allows.",
            4,
            "email",
            is_invalidating=True,
        ),
        Issue(
            "state_mismatch",
            "The column state names another state than the ZIP code. The ZIP counts.",
            4,
            "state",
        ),
        Issue("invalid_birth_date", "The birth date cannot be read.", 4, "birth_date"),
        Issue("invalid_effective_date", "The effective date cannot be read.", 4, "effective_date"),
        Issue(
            "missing_trigger_date",
            "A campaign lists the contact without any trigger date.",
            8,
            "trigger_date",
        ),
        Issue(
            "invalid_trigger_date",
            "A campaign lists the contact with a trigger date that cannot be read.",
            8,
            "trigger_date",
        ),
        Issue(
            "unreadable_event_data",
            "An answer of the contact cannot be read; it counts as an answer without conditions.",
            10,
            "event_data",
        ),
    )
)
INVALIDATING_ISSUES: Final = tuple(name for name, issue in ISSUES.items() if issue.is_invalidating)

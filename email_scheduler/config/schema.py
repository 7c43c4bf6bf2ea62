"""What an organisation may set: the configuration as frozen models (section 3 of the planning rules).

Attribute paths are the key paths of the YAML files. ``SchedulerConfig()`` holds what counts where a
configuration says nothing.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from email_scheduler.config.campaign_settings import CampaignInstance, CampaignInstanceName
from email_scheduler.config.monitoring import Alerts, Health, Reporting
from email_scheduler.config.sections import (
    Audit,
    CampaignType,
    Contacts,
    Database,
    EmailTemplates,
    Features,
    Guard,
    Logging,
    Orchestration,
    Performance,
    Processing,
    default_campaign_types,
)
from email_scheduler.config.setting_types import (
    MOST_DAYS,
    WEEKDAYS,
    CampaignTypeName,
    Count,
    Days,
    DaysBefore,
    IsoDate,
    PositiveDays,
    Priority,
    Section,
    SendTime,
    Share,
    StateWithSource,
    Weekday,
    WithoutEffect,
    Year,
    exact_number,
    list_of,
    refusal,
    whole_number,
    with_fields,
)
from email_scheduler.config.state_rules import (
    DEFAULT_PRE_WINDOW_EXCLUSION_DAYS,
    BirthdayWindow,
    StateRules,
    Window,
    default_state_rules,
)
from email_scheduler.registry import ANNIVERSARY_EMAILS, BIRTHDAY, EFFECTIVE_DATE, YEARLY_TYPES

__all__ = [
    "AepConfig",
    "Alerts",
    "Audit",
    "BirthdayWindow",
    "CampaignInstance",
    "CampaignType",
    "Contacts",
    "Database",
    "EmailTemplates",
    "Features",
    "Guard",
    "Health",
    "LoadBalancing",
    "Logging",
    "MonthDay",
    "Orchestration",
    "Performance",
    "Priorities",
    "Processing",
    "Reporting",
    "SchedulerConfig",
    "SendCalendar",
    "StateRules",
    "TimingConstants",
    "Window",
]


class TimingConstants(Section):
    """When emails go out, in days before or after what they are about."""

    send_time: SendTime = Field(
        default="08:30:00", description="the earliest time of day at which emails go out, US Central"
    )
    birthday_email_days_before: DaysBefore = Field(
        default=YEARLY_TYPES[BIRTHDAY].days_before,
        description="days from the birthday email to the birthday. 0 or negative: on the birthday or after"
        " it",
    )
    effective_date_days_before: DaysBefore = Field(
        default=YEARLY_TYPES[EFFECTIVE_DATE].days_before,
        description="days from the effective-date email to the policy's anniversary. 0 or negative: on it or"
        " after it",
    )
    pre_window_exclusion_days: Days = Field(
        default=DEFAULT_PRE_WINDOW_EXCLUSION_DAYS,
        description="days before a state's window that are excluded too, for windows that do not say it"
        " themselves. In the files that come with the program **every window says it itself**"
        " (`pre_window_extension_days`), so that this key changes nothing there",
    )
    followup_days_after: Days = Field(default=2, description="days from an email to its follow-up")
    followup_lookback_days: Days = Field(
        default=35, description="emails that were sent longer ago are not followed up"
    )
    post_window_grace_days: Days = Field(
        default=30,
        description="a post-window email may go out until this many days after the first allowed day",
    )
    campaign_catch_up_days: Days = Field(
        default=60,
        description="a campaign email that is meant for its trigger date or later may go out this many days"
        " after its ideal date (listed contacts)",
    )


class MonthDay(Section):
    """A day of every year; 29 February is 28 February in a common year."""

    month: Annotated[int, whole_number(1, 12)] = Field(description="the month")
    day: Annotated[int, whole_number(1, 31)] = Field(
        description="a day that exists; 29 February counts as 28 February in other years"
    )

    @model_validator(mode="after")
    def _exists(self) -> Self:
        try:
            date(2000, self.month, self.day)
        except ValueError as error:
            raise refusal("a day that exists, such as month: 9, day: 15") from error
        return self


def _distinct_days(days: tuple[MonthDay, ...]) -> tuple[MonthDay, ...]:
    pairs = sorted((day.month, day.day) for day in days)
    if len(set(pairs)) < len(pairs):
        raise refusal("a list of days in which no day stands twice")
    if (2, 28) in pairs and (2, 29) in pairs:
        raise refusal("28 February or 29 February, not both: in a common year they are the same day")
    return tuple(sorted(days, key=lambda day: (day.month, day.day)))


def _sorted_years(years: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(years)))


class AepConfig(Section):
    """The annual enrolment period."""

    default_dates: Annotated[
        tuple[MonthDay, ...], list_of("days, each with month and day"), AfterValidator(_distinct_days)
    ] = Field(
        default=(MonthDay(month=9, day=15),),
        description="the AEP dates of each year. `[]`: no AEP emails; no day twice, and not both 28 and 29"
        " February",
    )
    years: Annotated[tuple[Year, ...], list_of("years"), AfterValidator(_sorted_years)] | None = Field(
        default=None,
        description="the years with AEP emails. `null`: all years. The planner warns when the list runs out,"
        " and `health` is degraded after its last date."
        " Without the section: 2024 to 2028; with it, all years unless it names some",
    )
    send_period_days: Annotated[int, whole_number(1, 366)] = Field(
        default=30, description="an AEP email may go out within this many days; the AEP date is the first"
    )

    def has_run_out(self, day: date) -> bool:
        """Tell whether the years that are named have no AEP date on a day or later, and had some."""
        if not self.years or not self.default_dates:
            return False
        last = max((each.month, each.day) for each in self.default_dates)
        return (self.years[-1], *last) < (day.year, day.month, day.day)

    @property
    def end(self) -> str:
        """What there is to say of the last year with AEP emails, where years are named."""
        ends = f"ends with {self.years[-1]}" if self.years else "names no year"
        return (
            f"aep_config.years {ends}: no AEP email is planned for {'later years' if self.years else 'any'}"
        )


class LoadBalancing(Section):
    """How many emails a day and a contact can take (sections 9, 11 and 12 of the planning rules)."""

    daily_send_percentage_cap: Share = Field(
        default=Decimal("0.07"),
        description="the daily cap as a share of the valid contacts. It is rounded down, but a day takes at"
        " least 1 email",
    )
    ed_daily_soft_limit: Count = Field(
        default=15,
        description="effective-date emails on one ideal date above which they are spread over the days around"
        " it",
    )
    ed_soft_limit_percentage: Share = Field(
        default=Decimal("0.30"),
        description="the same as a share of the daily cap; the lower of the two counts",
    )
    ed_smoothing_window_days: Annotated[int, whole_number(0, 365)] = Field(
        default=2, description="they are spread over this many days before and after"
    )
    overage_threshold: Annotated[Decimal, exact_number(0, 1_000_000)] = Field(
        default=Decimal("1.2"), description="a day is over its limit above this many times the daily cap"
    )
    catch_up_spread_days: Annotated[int, whole_number(1, 366)] = Field(
        default=7, description="days over which late emails are spread"
    )
    max_emails_per_contact_per_period: Count = Field(
        default=2,
        description="emails that a contact may get in `period_days` days, follow-ups not counted. 0: no email"
        " but follow-ups",
    )
    period_days: PositiveDays = Field(default=14, description="see above: consecutive days")


@with_fields(
    Priority,
    {
        each.name: (each.priority, f"of the {each.text}; lower numbers go first")
        for each in ANNIVERSARY_EMAILS.values()
    },
)
class Priorities(Section):
    """The priority of each email type that no campaign sets; lower numbers win."""


def _leaves_a_day_open(weekdays: frozenset[str]) -> frozenset[str]:
    if len(weekdays) == len(WEEKDAYS):
        raise refusal("a list that leaves at least one day of the week open")
    return weekdays


class SendCalendar(Section):
    """The closed days: nothing is planned for them."""

    no_send_weekdays: Annotated[
        frozenset[Weekday], list_of(f"weekdays ({', '.join(WEEKDAYS)})"), AfterValidator(_leaves_a_day_open)
    ] = Field(default=frozenset(), description="days of the week on which nothing goes out; not all seven")
    no_send_dates: Annotated[frozenset[IsoDate], list_of("dates")] = Field(
        default=frozenset(), description="dates on which nothing goes out"
    )


def _default_aep() -> AepConfig:
    return AepConfig(years=(2024, 2025, 2026, 2027, 2028))


# Sections that change no plan: how the program runs, and campaigns, for which the database counts.
_HOW_IT_RUNS = {
    *("processing", "orchestration", "logging", "database", "audit", "performance"),
    *("health", "alerts", "reporting", "guard"),
}
_CAMPAIGNS = {"campaign_types", "campaign_instances"}


class SchedulerConfig(Section):
    """The whole configuration of one organisation.

    A section ``aep_config``, ``state_rules`` or ``campaign_types`` that is given is taken as written: without
    ``years`` it means all years, a kind of rule or a campaign type that it does not name is not there.

    A plan takes its campaigns from the database. ``campaign_types`` and ``campaign_instances`` get there with
    ``email-scheduler campaigns sync``; a generated sample has the types, too.
    """

    timing_constants: TimingConstants = TimingConstants()
    aep_config: AepConfig = Field(default_factory=_default_aep)
    load_balancing: LoadBalancing = LoadBalancing()
    processing: Processing = Processing()
    orchestration: Orchestration = Orchestration()
    state_rules: StateRules = Field(default_factory=default_state_rules)
    go_live_date: IsoDate | None = Field(
        default=None,
        description="emails with an earlier ideal date were somebody else's: there is no row for them, and"
        " emails sent earlier are not followed up",
    )
    priorities: Priorities = Priorities()
    send_calendar: SendCalendar = SendCalendar()
    email_templates: EmailTemplates = Field(default_factory=EmailTemplates)
    campaign_types: dict[CampaignTypeName, CampaignType] = Field(
        default_factory=default_campaign_types, description="the types"
    )
    campaign_instances: dict[CampaignTypeName, dict[CampaignInstanceName, CampaignInstance]] = Field(
        default_factory=dict, description="the instances of each type"
    )
    logging: Logging = Logging()
    database: Database = Database()
    audit: Audit = Audit()
    guard: Guard = Guard()
    health: Health = Health()
    alerts: Alerts = Alerts()
    reporting: Reporting = Reporting()
    performance: Annotated[Performance, WithoutEffect()] = Performance()
    features: Features = Features()
    contacts: Contacts = Contacts()

    @model_validator(mode="before")
    @classmethod
    def _extend_windows(cls, data: object) -> object:
        """Give every window that does not say its extension that of ``timing_constants``."""
        if not isinstance(data, Mapping) or not isinstance(data.get("state_rules"), Mapping):
            return data
        rules = dict(data["state_rules"])
        for kind in ("birthday_windows", "effective_date_windows"):
            if isinstance(rules.get(kind), Mapping):
                extension_days = _pre_window_exclusion_days(data.get("timing_constants"))
                rules[kind] = {
                    state: _with_extension(entry, extension_days) for state, entry in rules[kind].items()
                }
        return {**data, "state_rules": rules}

    def document(self) -> dict[str, Any]:
        """Return the configuration as JSON can hold it.

        Keys and sets are sorted, decimal numbers are texts, dates ISO 8601: equal configurations have equal
        documents.
        """
        document: dict[str, Any] = _plain(self.model_dump())
        return document

    def version_hash(self) -> str:
        """Return the SHA-256 of the document, in hexadecimal."""
        return _hash(self.document())

    def rules_document(self) -> dict[str, Any]:
        """Return what a plan depends on of the document: all but how the program runs, and campaigns."""
        left_out = _HOW_IT_RUNS | _CAMPAIGNS
        return {key: value for key, value in self.document().items() if key not in left_out}

    def rules_hash(self) -> str:
        """Return the SHA-256 of what a plan depends on."""
        return _hash(self.rules_document())


def _hash(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _pre_window_exclusion_days(timing: object) -> object:
    """Return what a window's extension is if the window does not say it; what is refused is refused there."""
    if isinstance(timing, TimingConstants):
        return timing.pre_window_exclusion_days
    days = timing.get("pre_window_exclusion_days") if isinstance(timing, Mapping) else None
    return days if type(days) is int and 0 <= days <= MOST_DAYS else DEFAULT_PRE_WINDOW_EXCLUSION_DAYS


def _with_extension(entry: object, extension_days: object) -> object:
    if isinstance(entry, Mapping):
        return {"pre_window_extension_days": extension_days, **entry}
    if isinstance(entry, list | tuple):
        return [
            _with_extension(window, extension_days) if isinstance(window, Mapping) else window
            for window in entry
        ]
    return entry


def _plain(value: object) -> Any:  # noqa: PLR0911 - one line for each type
    match value:
        case Mapping():
            return {str(key): _plain(value[key]) for key in sorted(value)}
        case frozenset():
            return [_plain(item) for item in sorted(value)]
        case StateWithSource():
            return value.written()
        case tuple() | list():
            return [_plain(item) for item in value]
        case Decimal():
            return format(value.normalize(), "f")
        case date():
            return value.isoformat()
        case Path():
            return str(value)
        case _:
            return value

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

from email_scheduler.config.campaigns import CampaignInstance, CampaignInstanceName
from email_scheduler.config.monitoring import Alerts, Health, Reporting
from email_scheduler.config.sections import (
    Audit,
    CampaignType,
    Database,
    EmailTemplates,
    Features,
    Logging,
    Orchestration,
    Performance,
    Processing,
    default_campaign_types,
)
from email_scheduler.config.state_rules import (
    DEFAULT_PRE_WINDOW_EXCLUSION_DAYS,
    BirthdayWindow,
    StateRules,
    Window,
    default_state_rules,
)
from email_scheduler.config.values import (
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
    Weekday,
    WithoutEffect,
    Year,
    exact_number,
    list_of,
    refusal,
    whole_number,
)

__all__ = [
    "AepConfig",
    "Alerts",
    "Audit",
    "BirthdayWindow",
    "CampaignInstance",
    "CampaignType",
    "Database",
    "EmailTemplates",
    "Features",
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
    """When emails go out, in days before or after what they are about.

    Attributes:
        send_time: The time of day, US Central, HH:MM:SS.
        birthday_email_days_before: 0 or negative: the email goes out on or after the birthday.
        effective_date_days_before: 0 or negative: the email goes out on or after the anniversary.
        pre_window_exclusion_days: Days before a state's window that are excluded too, for windows that do
            not say it themselves.
        followup_days_after: Days from an email to its follow-up.
        followup_lookback_days: How far back initial emails are followed up.
        post_window_grace_days: How long after a window its post-window email may still go out.
        campaign_catch_up_days: How long after its ideal date a campaign email that is sent on or after its
            trigger may still go out.
    """

    send_time: SendTime = "08:30:00"
    birthday_email_days_before: DaysBefore = 14
    effective_date_days_before: DaysBefore = 30
    pre_window_exclusion_days: Days = DEFAULT_PRE_WINDOW_EXCLUSION_DAYS
    followup_days_after: Days = 2
    followup_lookback_days: Days = 35
    post_window_grace_days: Days = 30
    campaign_catch_up_days: Days = 60


class MonthDay(Section):
    """A day of every year; 29 February is 28 February in a common year."""

    month: Annotated[int, whole_number(1, 12)]
    day: Annotated[int, whole_number(1, 31)]

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
    """The annual enrolment period.

    Attributes:
        default_dates: The AEP dates of every year, ascending, each once; none: no AEP emails.
        years: The years in which there are AEP emails, ascending; None: all years.
        send_period_days: AEP emails go out within that many days from the AEP date, which is the first.
    """

    default_dates: Annotated[
        tuple[MonthDay, ...], list_of("days, each with month and day"), AfterValidator(_distinct_days)
    ] = (MonthDay(month=9, day=15),)
    years: Annotated[tuple[Year, ...], list_of("years"), AfterValidator(_sorted_years)] | None = None
    send_period_days: Annotated[int, whole_number(1, 366)] = 30


class LoadBalancing(Section):
    """How many emails a day and a contact can take (sections 9, 11 and 12 of the planning rules).

    Attributes:
        daily_send_percentage_cap: Share of the valid contacts that get an email on one day.
        ed_daily_soft_limit: Effective-date emails above which an ideal date is smoothed.
        ed_soft_limit_percentage: The same as a share of the daily cap; the lower of the two counts.
        ed_smoothing_window_days: Smoothing moves by at most that many days, either way.
        overage_threshold: A day is over its limit above that many times the daily cap.
        catch_up_spread_days: Days over which a backlog spreads.
        max_emails_per_contact_per_period: Emails, except follow-ups, of a contact in ``period_days``
            consecutive days.
        period_days: See above.
    """

    daily_send_percentage_cap: Share = Decimal("0.07")
    ed_daily_soft_limit: Count = 15
    ed_soft_limit_percentage: Share = Decimal("0.30")
    ed_smoothing_window_days: Annotated[int, whole_number(0, 365)] = 2
    overage_threshold: Annotated[Decimal, exact_number(0, 1_000_000)] = Decimal("1.2")
    catch_up_spread_days: Annotated[int, whole_number(1, 366)] = 7
    max_emails_per_contact_per_period: Count = 2
    period_days: PositiveDays = 14


class Priorities(Section):
    """The priority of each email type that no campaign sets; lower numbers win."""

    birthday: Priority = 5
    effective_date: Priority = 5
    aep: Priority = 3
    post_window: Priority = 8


def _leaves_a_day_open(weekdays: frozenset[str]) -> frozenset[str]:
    if len(weekdays) == len(WEEKDAYS):
        raise refusal("a list that leaves at least one day of the week open")
    return weekdays


class SendCalendar(Section):
    """The closed days: nothing is planned for them."""

    no_send_weekdays: Annotated[
        frozenset[Weekday], list_of(f"weekdays ({', '.join(WEEKDAYS)})"), AfterValidator(_leaves_a_day_open)
    ] = frozenset()
    no_send_dates: Annotated[frozenset[IsoDate], list_of("dates")] = frozenset()


def _default_aep() -> AepConfig:
    return AepConfig(years=(2024, 2025, 2026, 2027, 2028))


# Sections that change no plan: how the program runs, and campaigns, for which the database counts.
_HOW_IT_RUNS = {
    *("processing", "orchestration", "logging", "database", "audit", "performance"),
    *("health", "alerts", "reporting"),
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
    go_live_date: IsoDate | None = None
    priorities: Priorities = Priorities()
    send_calendar: SendCalendar = SendCalendar()
    email_templates: EmailTemplates = Field(default_factory=EmailTemplates)
    campaign_types: dict[CampaignTypeName, CampaignType] = Field(default_factory=default_campaign_types)
    campaign_instances: dict[CampaignTypeName, dict[CampaignInstanceName, CampaignInstance]] = Field(
        default_factory=dict
    )
    logging: Logging = Logging()
    database: Database = Database()
    audit: Audit = Audit()
    health: Health = Health()
    alerts: Alerts = Alerts()
    reporting: Reporting = Reporting()
    performance: Annotated[Performance, WithoutEffect()] = Performance()
    features: Features = Features()

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
            return sorted(_plain(item) for item in value)
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

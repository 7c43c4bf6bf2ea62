"""Which setting of the configuration, or of a campaign, decided about an email."""

from typing import Final

from email_scheduler.planning.exclusions import FOREVER
from email_scheduler.planning.explanation.facts import Facts, as_date
from email_scheduler.planning.explanation.results import Occurrence, Rule
from email_scheduler.planning.explanation.windows import deciding_window
from email_scheduler.planning.vocabulary import (
    CAMPAIGN_CONFLICT,
    DAILY_CAP_EXCEEDED,
    EVENT_PASSED,
    FOLLOW_UP_PREFIX,
    FREQUENCY_LIMIT_EXCEEDED,
    NO_SEND_DAY,
    OUTSIDE_CAMPAIGN_DATES,
)

_FREQUENCY: Final = "load_balancing.max_emails_per_contact_per_period"


def deciding_rule(facts: Facts, position: int, occurrence: Occurrence) -> Rule | None:
    """Return what decided that an email is skipped, or moved; None: nothing more than is said of it."""
    reason, config = occurrence.reason or "", facts.config
    if " in " in reason:
        return _window_rule(facts, position, occurrence, reason)
    balancing = config.load_balancing
    calendar = config.send_calendar
    closed = [*sorted(calendar.no_send_weekdays), *map(str, sorted(calendar.no_send_dates))]
    instance = facts.basis.instances.get(occurrence.campaign_instance_id or 0)
    rules = {
        DAILY_CAP_EXCEEDED: Rule(
            "load_balancing.daily_send_percentage_cap", f"{balancing.daily_send_percentage_cap}"
        ),
        FREQUENCY_LIMIT_EXCEEDED: Rule(
            _FREQUENCY,
            f"{balancing.max_emails_per_contact_per_period} in {balancing.period_days} consecutive days",
        ),
        NO_SEND_DAY: Rule("send_calendar", ", ".join(closed)),
        "brought_forward": Rule("send_calendar", ", ".join(closed)),
        "smoothed": Rule(
            "load_balancing.ed_daily_soft_limit",
            f"{balancing.ed_daily_soft_limit}, or {balancing.ed_soft_limit_percentage} of the daily cap;"
            f" up to {balancing.ed_smoothing_window_days} days either way",
        ),
    }
    if reason not in {OUTSIDE_CAMPAIGN_DATES, EVENT_PASSED, CAMPAIGN_CONFLICT} or instance is None:
        return rules.get(reason)
    settings = {
        OUTSIDE_CAMPAIGN_DATES: (
            "active_end_date",
            "none" if instance.end >= FOREVER else str(as_date(instance.end)),
        ),
        EVENT_PASSED: ("days_before_event", str(instance.days_before_event)),
        CAMPAIGN_CONFLICT: ("priority", str(instance.priority)),
    }
    name, value = settings[reason]
    return Rule(f"campaign instance {instance.id}: {name}", value)


def _window_rule(facts: Facts, position: int, occurrence: Occurrence, reason: str) -> Rule | None:
    row = occurrence.plan_row.row if occurrence.plan_row else None
    is_follow_up = occurrence.email_type.startswith(FOLLOW_UP_PREFIX)
    ideal = occurrence.ideal_send_date
    days = [row.scheduled_send_date if row is not None and is_follow_up else ideal]
    if ideal is not None and not is_follow_up:
        # an email whose own day was allowed is stopped by the window that holds the day of the plan
        days.append(max(ideal, facts.inputs.as_of))
    for day in days:
        found = None if day is None or position < 0 else deciding_window(facts, position, day, reason)
        if found is not None:
            return found.rule
    return None

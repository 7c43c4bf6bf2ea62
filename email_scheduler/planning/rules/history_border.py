"""Which of the sender's rows can matter to a plan: years of history need not be read (section 1)."""

from collections import Counter
from typing import Final

from email_scheduler.config import SchedulerConfig, StateRules
from email_scheduler.errors import InputDataError
from email_scheduler.planning.categories import is_label
from email_scheduler.planning.columns import to_day
from email_scheduler.planning.frames import HistoryBorder, PlanInputs
from email_scheduler.planning.rules.campaign_instances import read_instances
from email_scheduler.planning.rules.campaign_occurrences import OPEN_TARGET_STATUSES
from email_scheduler.planning.rules.exclusions import SEARCH_DAYS
from email_scheduler.planning.rules.history import TOLERANCE_DAYS
from email_scheduler.registry import POST_WINDOW, YEARLY_TYPES

# How far a day may be from the AEP date that is nearest to it: there is one a year.
_MOST_DAYS_FROM_AEP_DATE: Final = 183
_SHORTEST_YEAR_DAYS: Final = 365


def history_border(inputs: PlanInputs, config: SchedulerConfig) -> HistoryBorder:
    """Return which of the sender's rows can matter to a plan: with all others it is the same plan.

    Rows near a current occurrence, or near a previous one that a window may still hide; those of
    instances that are planned, or have targets that are open; those that limits or follow-ups look at.

    Args:
        inputs: The organisation's tables; its history is not looked at. If a campaign instance cannot be
            read there is nothing to plan.
        config: The organisation's configuration.
    """
    today, timing, balancing = to_day(inputs.as_of), config.timing_constants, config.load_balancing
    # a post-window email whose deadline is today follows an ideal date that far back
    hidden = timing.post_window_grace_days + _longest_exclusion(config.state_rules)
    days_before = [getattr(timing, each.setting) for each in YEARLY_TYPES.values()]
    # an email that goes out after its event is due for longer, and was meant for an earlier one
    after_event = max(0, *(-days for days in days_before))
    due = max(balancing.catch_up_spread_days, config.aep_config.send_period_days)
    events = after_event + max(due, hidden) + max(*TOLERANCE_DAYS.values(), _MOST_DAYS_FROM_AEP_DATE)
    post_windows = timing.post_window_grace_days + 1 + TOLERANCE_DAYS[POST_WINDOW]
    lookback = timing.followup_lookback_days
    recent = max(balancing.period_days, lookback)
    return HistoryBorder(
        rows=today - max(events, post_windows, recent),
        campaigns=today - recent,
        instances=_instances_that_matter(inputs),
        follow_ups=today - 2 * lookback,
        followed_up=today - lookback,
    )


def _longest_exclusion(rules: StateRules) -> int:
    """Return for how many days in a row, at most, a contact may be excluded who is written to afterwards.

    In the days of a year each window of a state excludes as many as it is long; one more, for 29 February.
    """
    by_kind = (rules.birthday_windows, rules.effective_date_windows)
    lengths: Counter[str] = Counter()
    for windows_of_state in by_kind:
        for state, windows in windows_of_state.items():
            for each in windows:
                # where the date is unknown, every day is excluded until the rule is none any more
                is_for_ever = each.valid_to is None
                length = each.last_offset_days - each.first_offset_days + 2
                lengths[state] += length if is_for_ever else SEARCH_DAYS
    longest = max(lengths.values(), default=0)
    return longest if longest < _SHORTEST_YEAR_DAYS else SEARCH_DAYS


def _instances_that_matter(inputs: PlanInputs) -> frozenset[int]:
    try:
        instances = read_instances(inputs.campaign_types, inputs.campaign_instances).values()
    except InputDataError:
        return frozenset()
    today, targets = to_day(inputs.as_of), inputs.contact_campaigns
    planned = {each.id for each in instances if each.is_active and each.end >= today}
    is_open = is_label(targets["status"].astype("category"), OPEN_TARGET_STATUSES)
    return frozenset(planned.union(targets["campaign_instance_id"][is_open].unique().tolist()))

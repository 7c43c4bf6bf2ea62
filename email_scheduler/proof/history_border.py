"""Which of the sender's rows the proof has to see, by its own arithmetic: they are read for it as well."""

from collections.abc import Iterable

from email_scheduler.config import SchedulerConfig, Window
from email_scheduler.planning.frames import NO_DATE, HistoryBorder, PlanInputs
from email_scheduler.proof.anniversary_emails import (
    ANNIVERSARY_HANDLED_WITHIN_DAYS,
    LONGEST_WAIT_DAYS,
    POST_WINDOW_HANDLED_WITHIN_DAYS,
)
from email_scheduler.proof.arithmetic import day_of_date, number_of

# the middle between the AEP dates of two years, one of which has 29 February
_HALF_A_LONG_YEAR = 183
_DAYS_OF_COMMON_YEAR = 365


def history_border(inputs: PlanInputs, config: SchedulerConfig) -> HistoryBorder:
    """Return which of the sender's rows can break or keep a rule (sections 1, 6, 7, 10 to 12).

    Args:
        inputs: What the plan is made from; its history is not looked at.
        config: The organisation's configuration.
    """
    as_of = number_of(inputs.as_of)
    timing = config.timing_constants
    first_to_follow_up = as_of - timing.followup_lookback_days
    first_of_period = as_of - config.load_balancing.period_days
    # of the oldest occurrence that is asked about, whether a row near it has answered it
    spread_days = config.load_balancing.catch_up_spread_days
    grace_days = timing.post_window_grace_days
    oldest_hidden = as_of - grace_days - _longest_wait(config)
    oldest_answers = [first_to_follow_up, first_of_period]
    for days_before in (timing.birthday_email_days_before, timing.effective_date_days_before):
        oldest_due = as_of + 1 if days_before > 0 else as_of + 1 + days_before - spread_days
        oldest_event = min(oldest_due, oldest_hidden + days_before)
        oldest_answers.append(oldest_event - ANNIVERSARY_HANDLED_WITHIN_DAYS)
    oldest_aep = min(as_of + 1 - config.aep_config.send_period_days, oldest_hidden)
    oldest_answers.append(oldest_aep - _HALF_A_LONG_YEAR)
    oldest_answers.append(as_of - grace_days - 1 - POST_WINDOW_HANDLED_WITHIN_DAYS)
    return HistoryBorder(
        rows=min(oldest_answers),
        campaigns=min(first_to_follow_up, first_of_period),
        instances=_planned_instances(as_of, inputs),
        follow_ups=first_to_follow_up - timing.followup_lookback_days,
        followed_up=first_to_follow_up,
    )


def _longest_wait(config: SchedulerConfig) -> int:
    """Return the most days from an excluded ideal date to the first allowed day after it, in any state."""
    rules = config.state_rules
    states = rules.birthday_windows.keys() | rules.effective_date_windows.keys()
    waits = [
        _wait([*rules.birthday_windows.get(state, ()), *rules.effective_date_windows.get(state, ())])
        for state in states
    ]
    return max(waits, default=0)


def _wait(windows: Iterable[Window]) -> int:
    days = 0
    for window in windows:
        if window.valid_to:
            # who has no readable date waits until the rule is law no more
            return LONGEST_WAIT_DAYS
        days += window.window_before_days + window.pre_window_extension_days + window.window_after_days + 1
        # one of two neighbouring years may be a day longer
        days += 1
    # a year without an allowed day is followed by another one
    return days if days < _DAYS_OF_COMMON_YEAR else LONGEST_WAIT_DAYS


def _planned_instances(as_of: int, inputs: PlanInputs) -> frozenset[int]:
    """Return the instances that are active and have not ended."""
    active_types = set(inputs.campaign_types["name"][inputs.campaign_types["active"]].astype("str"))
    found = []
    for row in inputs.campaign_instances.to_dict("records"):
        end = row["active_end_date"]
        last = day_of_date(end) if isinstance(end, str) else NO_DATE
        if row["active"] and str(row["campaign_type"]) in active_types and (last == NO_DATE or last >= as_of):
            found.append(int(row["id"]))
    return frozenset(found)

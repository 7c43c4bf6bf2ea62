"""Random configurations that stress the planning rules, from one ``random.Random``."""

import random
from datetime import date, timedelta

from email_scheduler.config.schema import SchedulerConfig

RULED_STATES = ("CA", "NV", "MO", "NY", "TX", "ID", "MA", "AE", "PR")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def random_configuration(rng: random.Random, today: date) -> SchedulerConfig:
    """Return a configuration whose dates lie around ``today``."""
    most = rng.choice([3, 6])
    document: dict[str, object] = {
        "timing_constants": random_timing(rng),
        "load_balancing": random_balancing(rng),
        "features": random_features(rng),
        "email_templates": {"sms": random_sms_templates(rng)},
        "priorities": {
            name: rng.randint(3, most) for name in ("birthday", "effective_date", "aep", "post_window")
        },
    }
    if rng.random() < 0.7:
        document["aep_config"] = random_aep(rng, today)
    if rng.random() < 0.7:
        document["state_rules"] = random_state_rules(rng, today)
    if rng.random() < 0.6:
        document["send_calendar"] = random_calendar(rng, today)
    if rng.random() < 0.3:
        document["go_live_date"] = today + timedelta(days=rng.randint(-90, 250))
    return SchedulerConfig.model_validate(document)


def random_timing(rng: random.Random) -> dict[str, object]:
    """Return ``timing_constants`` with days before of every sign."""
    return {
        "send_time": rng.choice(["08:30:00", "17:05:00"]),
        "birthday_email_days_before": rng.choice([14, 14, 7, 1, 30, 0, -1, -20, 100, 365]),
        "effective_date_days_before": rng.choice([30, 30, 14, 1, 0, -5, -40, 60, 200]),
        "pre_window_exclusion_days": rng.choice([60, 60, 0, 10]),
        "followup_days_after": rng.choice([0, 1, 2, 2, 3, 5]),
        "followup_lookback_days": rng.choice([35, 35, 35, 60, 10, rng.randint(0, 5)]),
        "post_window_grace_days": rng.choice([30, 30, 0, 5, 90]),
        "campaign_catch_up_days": rng.choice([60, 60, 0, 5, 20]),
    }


def random_balancing(rng: random.Random) -> dict[str, object]:
    """Return ``load_balancing`` with limits that bite a few dozen contacts."""
    return {
        "daily_send_percentage_cap": rng.choice([0.001, 0.0, 0.03, 0.07, 0.07, 0.1, 0.15, 0.3, 1]),
        "ed_daily_soft_limit": rng.choice([15, 15, 0, 1, 2, 4]),
        "ed_soft_limit_percentage": rng.choice([0.3, 0.3, 0.0, 0.5, 1]),
        "ed_smoothing_window_days": rng.randint(0, 5),
        "overage_threshold": rng.choice([1.2, 1.2, 1, 0, 0.5, 1.5, 3]),
        "catch_up_spread_days": rng.choice([7, 7, 1, 2, 3, 5, 10]),
        "max_emails_per_contact_per_period": rng.choice([2, 2, 1, 1, 3, 3, 0]),
        "period_days": rng.choice([14, 14, 1, 2, 7, 21, 30]),
    }


def random_features(rng: random.Random) -> dict[str, bool]:
    """Return ``features``, mostly switched on."""
    return {
        "enable_campaigns": rng.random() < 0.93,
        "enable_followups": rng.random() < 0.85,
        "enable_load_balancing": rng.random() < 0.85,
        "enable_sms": rng.random() < 0.5,
        "enable_ab_testing": rng.random() < 0.7,
    }


def random_sms_templates(rng: random.Random) -> dict[str, str]:
    """Return text message templates for some of the email types."""
    keys = (
        "birthday",
        "effective_date",
        "aep",
        "post_window",
        "campaign_letter",
        "campaign_blast",
        "followup_cold",
        "followup_clicked_no_hq",
        "followup_hq_no_conditions",
        "followup_hq_with_conditions",
    )
    return {key: f"{key}_sms" for key in keys if rng.random() < 0.5}


def random_aep(rng: random.Random, today: date) -> dict[str, object]:
    """Return ``aep_config`` with none to four dates: near each other, near today, or awkward."""
    near = [today + timedelta(days=rng.randint(-30, 60)) for _ in range(3)]
    pool = [(9, 15), (12, 31), (1, 1), (2, 29), *((day.month, day.day) for day in near)]
    chosen = set(rng.sample(pool, rng.choice([0, 1, 1, 2, 3, 4])))
    if (2, 29) in chosen:
        chosen.discard((2, 28))
    section: dict[str, object] = {
        "default_dates": [{"month": month, "day": day} for month, day in sorted(chosen)],
        "send_period_days": rng.choice([30, 30, 1, 5, 60, 366]),
    }
    if rng.random() < 0.5:
        section["years"] = [year for year in range(today.year - 2, today.year + 3) if rng.random() < 0.6]
    return section


def random_state_rules(rng: random.Random, today: date) -> dict[str, object]:
    """Return ``state_rules`` with states of every kind, some of several kinds."""
    return {
        "year_round_exclusion": [
            {"state": state, "source": f"statute {state}"} if rng.random() < 0.3 else state
            for state in RULED_STATES
            if rng.random() < 0.1
        ],
        "age_76_plus_exclusion": [state for state in RULED_STATES if rng.random() < 0.25],
        "exclude_when_anchor_missing": rng.random() < 0.3,
        "birthday_windows": by_age(rng, random_windows(rng, today, 0.45)),
        "effective_date_windows": random_windows(rng, today, 0.3),
    }


def random_windows(rng: random.Random, today: date, share: float) -> dict[str, object]:
    """Return one window or several for some of the states."""
    windows: dict[str, object] = {}
    for state in RULED_STATES:
        if rng.random() < share:
            several = [random_window(rng, today) for _ in range(rng.choice([1, 2, 3]))]
            windows[state] = several if rng.random() < 0.4 else several[0]
    return windows


def by_age(rng: random.Random, windows: dict[str, object]) -> dict[str, object]:
    """Let some windows exist only for some ages: of which contacts become 75 or 76, many have one or none."""

    def limited(window: dict[str, object]) -> dict[str, object]:
        limits = {"min_age": rng.randint(60, 78), "max_age": rng.randint(78, 90)}
        return window | {name: age for name, age in limits.items() if rng.random() < 0.2}

    return {
        state: [limited(each) for each in entry] if isinstance(entry, list) else limited(entry)
        for state, entry in windows.items()
    }


def random_window(rng: random.Random, today: date) -> dict[str, object]:
    """Return one window, rarely one that covers the whole year, or a few days near the ideal dates."""
    if rng.random() < 0.25:
        before = rng.choice([14, 30, 7, 0]) + rng.randint(-6, 6)
        after = rng.randint(0, 3) - before
        return {"window_before_days": before, "window_after_days": after, "pre_window_extension_days": 0}
    window: dict[str, object] = {}
    before = rng.choice([0, 0, 30, 60, 10, -10, 150])
    extension = rng.choice([60, 60, 0, 10, -3])
    after = rng.choice([0, 30, 60, 63, -5, 120, 230])
    if -(before + extension) > after:
        after = -(before + extension) + rng.choice([0, 1, 20])
    window["window_before_days"] = before
    window["window_after_days"] = after
    # without it the configuration's pre_window_exclusion_days counts, which could leave the window empty
    if extension != 60 or before + after < 0:
        window["pre_window_extension_days"] = extension
    if rng.random() < 0.2:
        window["use_month_start"] = True
    valid_from = today + timedelta(days=rng.randint(-200, 300))
    if rng.random() < 0.2:
        window["valid_from"] = valid_from
    if rng.random() < 0.2:
        window["valid_to"] = valid_from + timedelta(days=rng.randint(0, 200))
    return window


def random_calendar(rng: random.Random, today: date) -> dict[str, object]:
    """Return ``send_calendar``: weekends, single days, and closures of weeks."""
    closed = set()
    for _ in range(rng.choice([0, 1, 5])):
        closed.add(today + timedelta(days=rng.randint(-10, 60)))
    for _ in range(rng.choice([0, 0, 1, 2])):
        first = today + timedelta(days=rng.choice([-5, -1, 0, 1, rng.randint(0, 40), rng.randint(0, 300)]))
        closed |= {first + timedelta(days=days) for days in range(rng.choice([3, 8, 20, 45]))}
    weekdays = rng.choice([[], ["sat", "sun"], ["sat", "sun"], rng.sample(WEEKDAYS, rng.randint(1, 6))])
    return {"no_send_weekdays": weekdays, "no_send_dates": sorted(closed)}

"""What a year of planning every day, sending and reacting keeps, in numbers."""

from collections import defaultdict
from datetime import date, timedelta
from itertools import pairwise

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler_tests.simulated_year import Email, SimulatedYear, simulate

START = date(2026, 1, 5)
AEP_DATE = date(2026, 9, 15)
# within how many days two events of a type are one; campaigns for all contacts go out once at all
TOLERANCE_DAYS = {
    "birthday": 182,
    "effective_date": 182,
    "aep": 182,
    "post_window": 60,
    "campaign_rate_increase": 0,
    "campaign_initial_blast": 100_000,
}


def sent_twice(year: SimulatedYear) -> list[tuple[Email, Email]]:
    """Return pairs of emails about the same thing; two follow-ups of one email are such."""
    alike: dict[tuple[object, ...], list[Email]] = defaultdict(list)
    for email in year.sent:
        contact_id, email_type, instance_id, _, initial_id = email.occurrence
        alike[initial_id or (contact_id, email_type, instance_id), email.is_follow_up].append(email)
    pairs = []
    for group in alike.values():
        group.sort(key=lambda email: email.event)
        for earlier, later in pairwise(group):
            if later.is_follow_up or later.event - earlier.event <= TOLERANCE_DAYS[later.email_type]:
                pairs.append((earlier, later))
    return pairs


@pytest.mark.parametrize(
    ("no_send_weekdays", "is_season_too_short"),
    [([], False), (["sat", "sun"], True)],
    ids=["open all week", "weekends closed"],
)
def test_a_year_keeps_its_promises(no_send_weekdays: list[str], is_season_too_short: bool) -> None:
    config = SchedulerConfig.model_validate({"send_calendar": {"no_send_weekdays": no_send_weekdays}})
    year = simulate(config, START)

    assert year.violations == 0
    assert sent_twice(year) == []
    for email_type in ("birthday", "effective_date", "aep", "post_window", "followup_1_cold"):
        assert sum(email.email_type == email_type for email in year.sent) > 100, email_type
    assert not {email.day.strftime("%a").lower() for email in year.sent} & set(no_send_weekdays)

    assert [email for email in year.lost if email.email_type in {"birthday", "effective_date"}] == []
    assert (len(year.moved) + len(year.withdrawn)) * 1000 < year.compared

    assert bool(year.lost) == is_season_too_short
    assert year.capacity_skips[AEP_DATE - timedelta(days=30)].total() >= len(year.lost)

"""What a year of planning every day, sending and reacting keeps, in numbers."""

from datetime import date

import pandas as pd
import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.columns.dates import to_day
from email_scheduler.simulation.days import simulate
from email_scheduler.simulation.simulated_tables import Reactions
from email_scheduler_tests.simulated_organisation import random_organisation

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


def sent_twice(sent: pd.DataFrame) -> pd.DataFrame:
    """Return emails about something that the contact has been written to about before."""
    follow_ups = sent[sent["initial_email_id"] != 0]
    twice = follow_ups[follow_ups.duplicated("initial_email_id")]
    others = sent[sent["initial_email_id"] == 0].astype({"email_type": "str"}).sort_values("event_date")
    days = others.groupby(["contact_id", "email_type", "campaign_instance_id"])["event_date"].diff()
    return pd.concat([twice, others[days <= others["email_type"].map(TOLERANCE_DAYS)]])


@pytest.mark.parametrize(
    ("no_send_weekdays", "first", "days", "is_season_too_short", "changes"),
    # a year with closed days, and without them the season in which the days are full and most dates change
    [(["sat", "sun"], date(2026, 1, 5), 365, True, 1), ([], date(2026, 8, 15), 63, False, 8)],
    ids=["weekends closed", "open all week"],
)
def test_a_year_keeps_its_promises(
    no_send_weekdays: list[str], first: date, days: int, is_season_too_short: bool, changes: int
) -> None:
    config = SchedulerConfig.model_validate({"send_calendar": {"no_send_weekdays": no_send_weekdays}})
    year = simulate(random_organisation(first), config, days, Reactions())
    sent = year.emails[year.emails["outcome"].isin(["on time", "late"])]
    lost = year.emails[year.emails["outcome"] == "lost"]

    assert (year.proofs, year.violations) == (-(-days // 30), 0)
    assert sent_twice(sent).empty
    for email_type in ("birthday", "effective_date", "aep", "post_window", "followup_1_cold"):
        assert (sent["email_type"] == email_type).sum() > 100 * days / 365, email_type
    names = pd.to_datetime(sent["day"], unit="D").dt.strftime("%a").str.lower()
    assert not set(names) & set(no_send_weekdays)

    assert lost[lost["email_type"].isin(["birthday", "effective_date"])].empty
    changed = year.promises.moved + year.promises.withdrawn
    # of 1,000 dates that a plan announced
    assert changed * 1000 < changes * year.promises.compared

    assert (len(lost) > 0) == is_season_too_short
    # a month before, the plan says what will be lost
    foreseen = year.days.set_index("day").loc[to_day(AEP_DATE) - 30, "no_place"]
    assert foreseen >= len(lost)

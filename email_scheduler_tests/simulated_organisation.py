"""An organisation to simulate: contacts of all kinds of states, two campaigns, nothing sent so far."""

import random
from datetime import date, timedelta

from email_scheduler.planning.frames import PlanInputs
from email_scheduler_tests.builders import campaign_instance, campaign_type, contact, inputs, target

# one ZIP of each state, as often as the state is drawn: every state with a rule, and many without one
ZIP_CODES = (
    *("75001", "75001", "75001", "33101", "33101", "30301", "85001", "60601", "43004", "27601", "19019"),
    *("90210", "90210", "83701", "40202", "21201", "89101", "73101", "97201", "23220", "63101"),
    *("10001", "06101", "02134", "98101"),
)


def random_organisation(start: date, contact_count: int = 300) -> PlanInputs:
    """Return contacts of all kinds of states, half of whose policies began on the first of a month."""
    rng = random.Random(20261123)
    contacts = []
    for contact_id in range(1, contact_count + 1):
        birth = date(1935, 1, 1) + timedelta(days=rng.randrange(25 * 365))
        effective = date(2012, 1, 1) + timedelta(days=rng.randrange(13 * 365))
        if rng.random() < 0.5:
            effective = effective.replace(day=1)
        if contact_id % 60 == 0:
            birth, effective = date(1952, 2, 29), date(2020, 2, 29)
        contacts.append(
            contact(
                contact_id,
                rng.choice(ZIP_CODES),
                None if rng.random() < 0.03 else birth.isoformat(),
                None if rng.random() < 0.1 else effective.isoformat(),
                email=None if rng.random() < 0.02 else "",
            )
        )
    year = start.year
    return inputs(
        start,
        contacts,
        campaign_types=[
            campaign_type("rate_increase", days_before_event=14, priority=1),
            campaign_type(
                "initial_blast",
                respect_exclusion_windows=False,
                enable_followups=False,
                target_all_contacts=True,
                priority=10,
            ),
        ],
        campaign_instances=[
            campaign_instance(1, "rate_increase", f"{year}-01-01", f"{year + 1}-12-31"),
            campaign_instance(2, "initial_blast", f"{year}-04-01", f"{year}-06-30"),
        ],
        contact_campaigns=[
            target(number, contact_id, 1, (date(year, 2, 1) + timedelta(days=rng.randrange(300))).isoformat())
            for number, contact_id in enumerate(
                rng.sample(range(1, contact_count + 1), contact_count // 5), 1
            )
        ],
    )

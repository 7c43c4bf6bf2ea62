"""Random organisations and configurations, for hypothesis and for plain loops over seeds."""

import os
import random
from datetime import date, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from email_scheduler.config.schema import Contacts
from email_scheduler_tests.builders import Row, inputs
from email_scheduler_tests.random_audiences import random_attributes, with_audiences
from email_scheduler_tests.random_boundaries import Case, at_a_boundary
from email_scheduler_tests.random_campaigns import random_instances, random_targets, random_types
from email_scheduler_tests.random_configuration import random_configuration
from email_scheduler_tests.random_contacts import (
    random_contacts,
    random_suppressed_addresses,
    random_suppressions,
)
from email_scheduler_tests.random_history import random_answers, random_clicks, random_history

AWKWARD_DAYS = (
    date(2026, 11, 23),
    date(2026, 12, 31),
    date(2027, 1, 1),
    date(2027, 2, 28),
    date(2028, 2, 28),
    date(2028, 2, 29),
    date(2028, 3, 1),
)


def few_examples(count: int, **more: Any) -> settings:
    """Return that hypothesis tries so many examples, the same in every run, unless somebody asks for others.

    ``EMAIL_SCHEDULER_EXAMPLES`` says how many others.
    """
    asked = os.environ.get("EMAIL_SCHEDULER_EXAMPLES")
    return settings(max_examples=int(asked or count), derandomize=asked is None, database=None, **more)


def random_case(seed: int) -> Case:
    """Return the organisation and the configuration that ``seed`` stands for: always the same.

    Small organisations whose contacts share dates, so that caps, smoothing, conflicts and limits bite.
    """
    rng = random.Random(seed)
    today = rng.choice([*AWKWARD_DAYS, date(2026, 1, 1) + timedelta(days=rng.randint(0, 1000))])
    config = random_configuration(rng, today)
    contacts = random_contacts(rng, today, config)
    types = random_types(rng)
    instances = random_instances(rng, today, types)
    # of its own, so that the rest of what a seed stands for does not depend on it
    other_rng = random.Random(f"audiences of {seed}")
    most = other_rng.choice([None, None, None, 1, 2, 5])
    config = config.model_copy(update={"contacts": Contacts(max_per_address=most)})
    attributes = random_attributes(other_rng, today, contacts)
    instances = with_audiences(other_rng, today, instances, contacts, attributes)
    targets = random_targets(rng, today, contacts, instances)
    history = random_history(rng, today, config, contacts, instances, targets)

    def shuffled(rows: list[Row]) -> list[Row]:
        return rng.sample(rows, len(rows))

    organisation = inputs(
        today,
        contacts=shuffled(contacts),
        suppressions=random_suppressions(rng, today, contacts),
        campaign_types=shuffled(types),
        campaign_instances=shuffled(instances),
        contact_campaigns=shuffled(targets),
        history=shuffled(history),
        clicks=shuffled(random_clicks(rng, today, contacts, history)),
        answers=shuffled(random_answers(rng, today, history)),
        contact_attributes=other_rng.sample(attributes, len(attributes)),
        suppressed_addresses=random_suppressed_addresses(other_rng, today, contacts),
    )
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        organisation, config = at_a_boundary(rng, organisation, config)
    return organisation, config


seeds = st.integers(min_value=0, max_value=2**32 - 1)
cases = seeds.map(random_case)

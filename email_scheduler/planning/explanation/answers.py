"""Which of the sender's rows answer an occurrence (section 1, "handled")."""

import numpy as np
import pandas as pd

from email_scheduler.planning.campaigns import OPEN_TARGET_STATUSES
from email_scheduler.planning.dates import Days, to_day
from email_scheduler.planning.explanation.facts import Facts, Key
from email_scheduler.planning.handled import is_handled, tolerance_of_campaigns


def answering_rows(facts: Facts, contact_id: int, key: Key) -> tuple[int, ...]:
    """Return the ids of the sender's rows that answer an occurrence of a contact, ascending."""
    email_type, instance_id, event_date = key
    history = facts.basis.history
    own = history[(history["contact_id"] == contact_id).to_numpy()]
    of_type = own[(own["email_type"] == email_type).to_numpy()]
    if of_type.empty:
        return ()
    occurrence = pd.DataFrame(
        {
            "contact_id": np.array([contact_id], np.int64),
            "email_type": pd.Categorical([email_type]),
            "campaign_instance_id": np.array([instance_id], np.int64),
            "event_date": np.array([to_day(event_date)], np.int32),
        }
    )
    tolerance = _tolerance(facts, contact_id, instance_id)
    dates = facts.config.aep_config.default_dates
    rows = (of_type.iloc[number : number + 1] for number in range(len(of_type)))
    answers = [int(row["id"].iloc[0]) for row in rows if is_handled(occurrence, row, dates, tolerance)[0]]
    return tuple(sorted(answers))


def _tolerance(facts: Facts, contact_id: int, instance_id: int) -> Days:
    own = [each for each in facts.targets(contact_id) if each["campaign_instance_id"] == instance_id]
    is_listed = any(each["status"] in OPEN_TARGET_STATUSES for each in own)
    instance = facts.basis.instances.get(instance_id)
    is_yearly = instance is not None and instance.is_yearly
    return np.full(1, tolerance_of_campaigns(is_listed, is_yearly))

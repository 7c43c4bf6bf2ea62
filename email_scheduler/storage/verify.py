"""Whether the table is what the plan says: read again after publishing."""

import numpy as np

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.campaign_instances import yearly_instances
from email_scheduler.planning.frames import PlanInputs
from email_scheduler.planning.handled import is_answered
from email_scheduler.planning.plan import Plan
from email_scheduler.storage.changes import Changes
from email_scheduler.storage.compare import compare
from email_scheduler.storage.engine import connect
from email_scheduler.storage.faults import database_errors, retrying
from email_scheduler.storage.planner_rows import existing_planner_rows
from email_scheduler.storage.taken import TakenRows


def differences_from_plan(url: str, config: SchedulerConfig, plan: Plan, inputs: PlanInputs) -> Changes:
    """Return what would have to be written so that the table became the plan; nothing if it is the plan.

    Rows of the plan that the sending system has taken since the inputs were read are ``dropped``: that they
    are missing among the planned rows is right.

    Raises:
        DatabaseError: The database cannot be read.
    """

    def read() -> Changes:
        with connect(url, config) as connection:
            existing = existing_planner_rows(connection)
            taken = TakenRows.read(connection, inputs).rows
        difference = compare(plan.schedules, existing)
        is_dropped = is_answered(
            plan.schedules, taken, inputs.contact_campaigns, yearly_instances(inputs), config
        )
        missing, altered = (
            positions[~is_dropped[positions]] for positions in (difference.added, difference.changed)
        )
        changes = Changes.of(
            plan.schedules,
            existing,
            difference,
            written=np.concatenate([missing, altered]),
            removed=difference.removed,
        )
        is_missing_rightly = int(np.count_nonzero(is_dropped[difference.added]))
        return changes + Changes.none(difference.unchanged_count, is_missing_rightly)

    with database_errors(url):
        return retrying(config)(read)
